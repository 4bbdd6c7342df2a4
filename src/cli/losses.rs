//! Warnings, on standard error, about events that a run has lost or is going to lose.

use super::stdio::warn;
use crate::error::Error;
use crate::perf::{PerfReader, Record};
use crate::program::Program;
use crate::trace_pipe::TracePipe;
use crate::util::escape;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

/// The interval at which to look for CPUs that come and go.
pub(super) const CPUS: Duration = Duration::from_secs(1);

/// Reports, at the end, how many events found no room.
fn report_lost(count: u64, what: &str) {
    if count > 0 {
        warn(format!("{count} {what} were lost: the kernel had no room for them"));
    }
}

/// The same for a perf event array, with how much it was on each CPU.
pub(super) fn report_lost_samples(reader: &mut PerfReader, what: &str) {
    let count = reader.count_lost();
    let mut words = format!("{count} {what} were lost (");
    let lost = reader.lost_per_cpu().filter(|(_, lost)| *lost > 0);
    for (index, (cpu, lost)) in lost.enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(words, "{comma}CPU {cpu}: {lost}");
    }
    if count > 0 {
        warn(format!("{words}): the kernel had no room for them"));
    }
}

/// Reports, at the end, how many runs of programs the kernel has left out. It runs no program of a probe or a tracepoint on a CPU on which
/// another one runs, or on which a call of `bpf(2)` changes a map; it counts them from Linux 5.12 on, those of kprobes,
/// uprobes and tracepoints from 6.7 on.
pub(super) fn report_missed_runs(programs: &[Program]) {
    for info in programs.iter().filter_map(|program| program.info().ok()) {
        let missed = info.recursion_misses;
        if missed > 0 {
            let name = escape::shown(&info.name);
            warn(format!(
                "{missed} runs of {name} were missed: the CPU ran another program or changed a map"
            ));
        }
    }
}

/// The CPUs about which it has been reported that nothing arrives from them.
#[derive(Debug, Default)]
pub(super) struct SilentCpus(Vec<u32>);

impl SilentCpus {
    /// Reads what has arrived, looks for new CPUs, and reports what may have been lost on them.
    pub(super) fn read(
        &mut self,
        reader: &mut PerfReader,
        what: &str,
        each: impl FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<usize, Error> {
        let read = reader.drain(each)?;
        reader.look_for_cpus();
        for cpu in reader.late_cpus() {
            warn(format!(
                "CPU {cpu} came online: {what} sent there before its perf event was opened are lost, and not counted"
            ));
        }
        for cpu in reader.missing_cpus() {
            if !self.0.contains(cpu) {
                warn(format!(
                    "no perf event can be opened on CPU {cpu} (ENODEV): {what} sent there are lost, and not counted"
                ));
                self.0.push(*cpu);
            }
        }
        self.0.retain(|cpu| reader.missing_cpus().contains(cpu));
        Ok(read)
    }
}

/// Reports, at the end, how many lines of a trace buffer were lost, and whether it has been switched off since it
/// `was_off` or not.
pub(super) fn report_lost_lines(pipe: &TracePipe, was_off: bool) {
    report_lost(pipe.lost(), "lines of the trace buffer");
    if !was_off {
        report_switched_off(pipe);
    }
}

/// Reports if nothing arrives in a trace buffer, because tracing is switched off there. Returns whether it is.
pub(super) fn report_switched_off(pipe: &TracePipe) -> bool {
    let off = pipe.switched_off();
    if let Some(switch) = &off {
        warn(format!(
            "tracing is off: {} is 0, so that nothing is printed: write 1 to it",
            switch.display()
        ));
    }
    off.is_some()
}
