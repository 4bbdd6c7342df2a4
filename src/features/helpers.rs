//! Helpers: which of them are not asked for without need.

/// The helpers that leave traces when they are asked for, and which.
const LOUD: [(u32, &str); 3] =
    [(6, PRINTS), (36, "asking makes the kernel write a warning into its log"), (177, PRINTS)];

const PRINTS: &str = "asking turns on the kernel's tracepoint of its output";

/// Returns which trace asking for a helper leaves, if it leaves one.
pub(super) fn trace_left(number: u32) -> Option<&'static str> {
    LOUD.iter().find(|(loud, _)| *loud == number).map(|(_, trace)| *trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::helper_number;

    #[test]
    fn the_numbers_are_those_of_the_names() {
        for name in ["trace_printk", "probe_write_user", "trace_vprintk"] {
            assert!(trace_left(helper_number(name.as_bytes()).unwrap() as u32).is_some());
        }
        assert_eq!(trace_left(helper_number(b"override_return").unwrap() as u32), None);
    }
}
