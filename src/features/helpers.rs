//! Helpers: which of them are not asked for without need.

/// Whether asking for it leaves traces: the kernel writes a warning into its log (`probe_write_user`), or turns on the
/// tracepoint that the helper writes to.
pub(super) fn leaves_traces(number: u32) -> bool {
    const LOUD: [u32; 3] = [6, 36, 177];
    LOUD.contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::helper_number;

    #[test]
    fn the_numbers_are_those_of_the_names() {
        for name in ["trace_printk", "probe_write_user", "trace_vprintk"] {
            assert!(leaves_traces(helper_number(name.as_bytes()).unwrap() as u32));
        }
    }
}
