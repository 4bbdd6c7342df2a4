//! Lesson 19, setuid monitor: who changes who they are.
//!
//! After `examples/tracing/setuid_monitor.py` of BCC. Needs no kprobes. In another window type `su nobody -s /bin/sh -c :`.
//!
//! ```sh
//! cargo run --example lesson_19_setuid_monitor
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, plain, stack};
use std::io::Write;
use std::ops::ControlFlow;

#[path = "lesson/mod.rs"]
mod lesson;

plain! {
    /// One call of `setuid`.
    #[repr(C)]
    struct Event {
        ts: u64,
        pid: u32,
        uid: u32,
        comm: [u8; 16],
    }
}

/// The way to user space.
static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// At the beginning of the system call: whether the kernel will allow it is not known yet.
static SETUID: ProgramSpec = ProgramSpec::new(
    "setuid",
    ProgramType::Tracepoint,
    bpf! {
        r6 = r1;                                // the context, kept over the calls

        // Arguments of system calls take 8 bytes each in the context, whatever their type. A user's number has 4.
        r1 = *(u64 *)(r6 + args.uid);
        *(u32 *)(r10 + {stack!(Event, uid)}) = r1;

        // Process in the high half, thread in the low one.
        call get_current_pid_tgid;
        r0 >>= 32;
        *(u32 *)(r10 + {stack!(Event, pid)}) = r0;

        call ktime_get_ns;
        *(u64 *)(r10 + {stack!(Event, ts)}) = r0;

        r1 = r10;
        r1 += {stack!(Event, comm)};
        r2 = 16;
        call get_current_comm;

        r1 = r6;
        r2 = EVENTS ll;
        r3 = enum.BPF_F_CURRENT_CPU ll;
        r4 = r10;
        r4 += {stack!(Event)};
        r5 = {Event::SIZE};
        call perf_event_output;

        r0 = 0;
        exit;
    },
)
.with_target("syscalls/sys_enter_setuid");

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    let options = PerfOptions::new().sample_size(Event::SIZE);
    let mut reader = PerfReader::open(loader.map(&EVENTS)?, &options)?;
    let program = loader.load(&SETUID)?;
    let _link = attach::attach(&program, &Target::tracepoint("syscalls", "sys_enter_setuid"))?;
    writeln!(out, "{:<14} {:<12} {:<6} UID", "TIME(s)", "COMMAND", "PID")?;
    while more() {
        let mut events = Vec::new();
        reader.poll(lesson::soon(), |record| {
            if let Record::Sample { bytes, .. } = record {
                events.extend(Event::from_bytes(bytes));
            }
            ControlFlow::Continue(())
        })?;
        for event in events {
            let (time, comm) = (event.ts as f64 / 1e9, lesson::text(&event.comm));
            writeln!(out, "{time:<14.3} {comm:<12} {:<6} {}", event.pid, event.uid)?;
        }
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
