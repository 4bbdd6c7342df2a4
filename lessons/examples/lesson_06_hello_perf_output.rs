//! Lesson 6, hello with perf output: records instead of lines, through a ring for each CPU.
//!
//! After `examples/tracing/hello_perf_output.py` of BCC. Needs kprobes. In another window type `sh -c '(:)'`.
//!
//! ```sh
//! cargo run --example lesson_06_hello_perf_output
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, stack};
use std::io::Write;
use std::ops::ControlFlow;

#[path = "lesson/mod.rs"]
mod lesson;

rawbpf::plain! {
    /// The sample that the program sends. `#[repr(C)]`: the fields lie in memory in this order, as in C.
    #[repr(C)]
    struct Event {
        ts: u64,
        comm: [u8; 16],
        pid: u32,
        /// C would leave 4 bytes of nothing here. The program has to set them, or what was on the stack before is sent; without
        /// `CAP_PERFMON`, the verifier refuses that.
        pad: u32,
    }
}

/// The rings, one for each CPU.
static EVENTS: MapSpec = MapSpec::perf_event_array("events");

static HELLO: ProgramSpec = ProgramSpec::new(
    "hello",
    ProgramType::Kprobe,
    bpf! {
        // r1 is the context: for a kprobe the registers of the function that is entered. perf_event_output takes it,
        // and calls overwrite r1, so it is kept in r6.
        r6 = r1;

        // The event is put together on the stack. stack!(Event, pid) is where its field pid is when the whole Event lies at
        // the end of the stack: a negative number, from r10.
        call get_current_pid_tgid;          // r0 = process << 32 | thread, in user space's words
        *(u32 *)(r10 + {stack!(Event, pid)}) = w0;      // w0: the lower half of r0. As in BCC, the thread
        *(u32 *)(r10 + {stack!(Event, pad)}) = 0;

        call ktime_get_ns;
        *(u64 *)(r10 + {stack!(Event, ts)}) = r0;

        r1 = r10;                           // get_current_comm(where to, how many bytes)
        r1 += {stack!(Event, comm)};
        r2 = 16;
        call get_current_comm;

        // perf_event_output(context, map, which ring, address, size).
        r1 = r6;
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;                 // BPF_F_CURRENT_CPU. 64 bits wide, for as an immediate of 32 it would be -1
        r4 = r10;
        r4 += {stack!(Event)};
        r5 = {Event::SIZE};
        call perf_event_output;

        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    // The reader comes first: what is sent before there is a ring is lost.
    let options = PerfOptions::new().sample_size(Event::SIZE);
    let mut reader = PerfReader::open(loader.map(&EVENTS)?, &options)?;
    let program = loader.load(&HELLO)?;
    let _link = attach::attach(&program, &Target::kprobe("sys_clone"))?;
    writeln!(out, "{:<18} {:<16} {:<6} MESSAGE", "TIME(s)", "COMM", "PID")?;
    let mut start = None;
    while more() {
        let mut events = Vec::new();
        reader.poll(lesson::soon(), |record| {
            match record {
                Record::Sample { bytes, .. } => events.extend(Event::from_bytes(bytes)),
                Record::Lost { count, .. } => eprintln!("{count} events were lost"),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        for event in events {
            // Rings of several CPUs are not read in order of time: an event may be older than the first that was read.
            let since = event.ts as i64 - *start.get_or_insert(event.ts) as i64;
            writeln!(
                out,
                "{:<18.9} {:<16} {:<6} Hello, perf_output!",
                since as f64 / 1e9,
                lesson::text(&event.comm),
                event.pid,
            )?;
        }
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
