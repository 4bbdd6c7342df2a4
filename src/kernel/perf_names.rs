//! The names of the events that the perf subsystem counts, those of `perf list`.

/// The events that the kernel counts (`enum perf_sw_ids`), `PERF_TYPE_SOFTWARE`. Some have a short name, too. (`dummy`
/// and `bpf-output` count nothing.)
pub(crate) const SOFTWARE: &[(&str, u64)] = &[
    ("cpu-clock", 0),
    ("task-clock", 1),
    ("page-faults", 2),
    ("faults", 2),
    ("context-switches", 3),
    ("cs", 3),
    ("cpu-migrations", 4),
    ("migrations", 4),
    ("minor-faults", 5),
    ("major-faults", 6),
    ("alignment-faults", 7),
    ("emulation-faults", 8),
    // Linux 5.13.
    ("cgroup-switches", 11),
];

/// The events that the CPU counts (`enum perf_hw_id`), `PERF_TYPE_HARDWARE`.
pub(crate) const HARDWARE: &[(&str, u64)] = &[
    ("cpu-cycles", 0),
    ("cycles", 0),
    ("instructions", 1),
    ("cache-references", 2),
    ("cache-misses", 3),
    ("branch-instructions", 4),
    ("branches", 4),
    ("branch-misses", 5),
    ("bus-cycles", 6),
    ("stalled-cycles-frontend", 7),
    ("stalled-cycles-backend", 8),
    ("ref-cycles", 9),
];
