//! The events of `software` and `hardware` probes, with the names and the default counts that bpftrace has.

/// An event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// Whether the CPU counts it.
    pub hardware: bool,
    /// Its name.
    pub name: &'static str,
    /// Its name for the kernel's tools.
    pub kernel: &'static str,
    /// The default sample period, in events.
    pub count: u64,
}

const fn software(name: &'static str, kernel: &'static str, count: u64) -> Event {
    Event { hardware: false, name, kernel, count }
}

const fn hardware(name: &'static str, kernel: &'static str, count: u64) -> Event {
    Event { hardware: true, name, kernel, count }
}

/// All events.
pub(super) const EVENTS: &[Event] = &[
    software("alignment-faults", "alignment-faults", 1),
    software("bpf-output", "bpf-output", 1),
    software("context-switches", "context-switches", 1_000),
    software("cpu-clock", "cpu-clock", 1_000_000),
    software("cpu-migrations", "cpu-migrations", 1),
    software("cpu", "cpu-clock", 1_000_000),
    software("cs", "context-switches", 1_000),
    software("dummy", "dummy", 1),
    software("emulation-faults", "emulation-faults", 1),
    software("faults", "page-faults", 100),
    software("major-faults", "major-faults", 1),
    software("minor-faults", "minor-faults", 100),
    software("page-faults", "page-faults", 100),
    software("task-clock", "task-clock", 1),
    hardware("backend-stalls", "stalled-cycles-backend", 1_000_000),
    hardware("branch-instructions", "branch-instructions", 100_000),
    hardware("branch-misses", "branch-misses", 100_000),
    hardware("branches", "branch-instructions", 100_000),
    hardware("bus-cycles", "bus-cycles", 100_000),
    hardware("cache-misses", "cache-misses", 1_000_000),
    hardware("cache-references", "cache-references", 1_000_000),
    hardware("cpu-cycles", "cpu-cycles", 1_000_000),
    hardware("cycles", "cpu-cycles", 1_000_000),
    hardware("frontend-stalls", "stalled-cycles-frontend", 1_000_000),
    hardware("instructions", "instructions", 1_000_000),
    hardware("ref-cycles", "ref-cycles", 1_000_000),
];

/// Returns an event by its name.
pub(super) fn find(hardware: bool, name: &str) -> Option<&'static Event> {
    EVENTS.iter().find(|event| event.hardware == hardware && event.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::perf_names;

    #[test]
    fn the_kernel_has_a_number_for_each() {
        for event in EVENTS.iter().filter(|event| !matches!(event.name, "dummy" | "bpf-output")) {
            let names = if event.hardware { perf_names::HARDWARE } else { perf_names::SOFTWARE };
            assert!(names.iter().any(|(name, _)| *name == event.kernel), "{}", event.name);
        }
    }
}
