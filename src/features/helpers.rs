//! Helpers: which version brought each. They were only ever added at the end, a few with each version, until 6.2.

use crate::util::Version;

/// Each version that brought helpers, and the number of the last one that came with it (`include/uapi/linux/bpf.h`
/// of that version). 3.19 was the first whose programs could be attached to anything.
const LAST: &[((u16, u16), u32)] = &[
    ((3, 19), 3),
    ((4, 1), 11),
    ((4, 2), 16),
    ((4, 3), 22),
    ((4, 4), 25),
    ((4, 5), 26),
    ((4, 6), 30),
    ((4, 8), 36),
    ((4, 9), 41),
    ((4, 10), 44),
    ((4, 11), 45),
    ((4, 12), 47),
    ((4, 13), 50),
    ((4, 14), 53),
    ((4, 15), 57),
    ((4, 16), 59),
    ((4, 17), 64),
    ((4, 18), 80),
    ((4, 19), 83),
    ((4, 20), 90),
    ((5, 0), 92),
    ((5, 1), 98),
    ((5, 2), 108),
    ((5, 3), 109),
    ((5, 4), 110),
    ((5, 5), 115),
    ((5, 6), 118),
    ((5, 7), 124),
    ((5, 8), 135),
    ((5, 9), 141),
    ((5, 10), 155),
    ((5, 11), 162),
    ((5, 12), 163),
    ((5, 13), 165),
    ((5, 14), 168),
    ((5, 15), 175),
    ((5, 16), 179),
    ((5, 17), 185),
    ((5, 18), 193),
    ((5, 19), 203),
    ((6, 0), 207),
    ((6, 1), 209),
    ((6, 2), 211),
];

/// The version that brought the helper of this number. Some program types got it later.
pub(super) fn since(number: u32) -> Version {
    let at = LAST.partition_point(|(_, last)| *last < number);
    let (major, minor) = LAST.get(at).map_or((6, 2), |(version, _)| *version);
    Version::new(major, minor)
}

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

    /// Versions that bpf-helpers(7) and the commits behind it give; the first and the last of one version.
    #[test]
    fn helpers_came_with_their_versions() {
        for (name, version) in [
            ("map_lookup_elem", (3, 19)),
            ("probe_read", (4, 1)),
            ("get_current_comm", (4, 2)),
            ("perf_event_output", (4, 4)),
            ("get_stackid", (4, 6)),
            ("probe_write_user", (4, 8)),
            ("xdp_adjust_head", (4, 10)),
            ("probe_read_str", (4, 11)),
            ("redirect_map", (4, 14)),
            ("bind", (4, 17)),
            ("get_stack", (4, 18)),
            ("sk_lookup_tcp", (4, 20)),
            ("spin_lock", (5, 1)),
            ("sk_storage_get", (5, 2)),
            ("send_signal", (5, 3)),
            ("probe_read_user", (5, 5)),
            ("probe_read_kernel_str", (5, 5)),
            ("sk_assign", (5, 7)),
            ("ringbuf_output", (5, 8)),
            ("redirect_peer", (5, 10)),
            ("get_func_ip", (5, 15)),
            ("loop", (5, 17)),
            ("ima_file_hash", (5, 18)),
            ("dynptr_from_mem", (5, 19)),
            ("user_ringbuf_drain", (6, 1)),
            ("cgrp_storage_delete", (6, 2)),
        ] {
            let number = helper_number(name.as_bytes()).unwrap() as u32;
            assert_eq!(since(number), Version::new(version.0, version.1), "{name}");
        }
    }

    #[test]
    fn versions_and_numbers_only_grow() {
        assert!(LAST.is_sorted());
        assert!(LAST.is_sorted_by_key(|(_, last)| last));
        let loud = ["trace_printk", "probe_write_user", "trace_vprintk"];
        for name in loud {
            assert!(leaves_traces(helper_number(name.as_bytes()).unwrap() as u32));
        }
    }
}
