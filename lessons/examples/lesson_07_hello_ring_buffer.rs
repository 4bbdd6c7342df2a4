//! Lesson 7, hello with the ring buffer: one ring for all CPUs, and the event is written where it will be read.
//!
//! After `examples/tracing/hello_perf_output.py` of BCC, with the map of its `examples/ringbuf/ringbuf_submit.py`. Needs
//! kprobes and Linux 5.8. In another window type `sh -c '(:)'`.
//!
//! ```sh
//! cargo run --example lesson_07_hello_ring_buffer
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, field};
use std::io::Write;
use std::ops::ControlFlow;

#[path = "lesson/mod.rs"]
mod lesson;

rawbpf::plain! {
    /// The record that the program sends.
    #[repr(C)]
    struct Event {
        ts: u64,
        comm: [u8; 16],
        pid: u32,
        /// Nothing; makes the size a multiple of 8.
        pad: u32,
    }
}

/// The ring: 64 KiB, whatever the number of CPUs.
static EVENTS: MapSpec = MapSpec::ring_buffer("events", 64 << 10);

static HELLO: ProgramSpec = ProgramSpec::new(
    "hello",
    ProgramType::Kprobe,
    bpf! {
        // ringbuf_reserve(map, size, flags): r0 is the address of that many bytes in the ring, or 0 if it is full. No
        // event is put together on the stack and copied: it is written in its place.
        r1 = EVENTS ll;
        r2 = {Event::SIZE};
        r3 = 0;
        call ringbuf_reserve;
        if r0 == 0 goto out;
        r6 = r0;                            // r6: the event

        // field!(Event, pid) is how far from the beginning of an Event its field pid is.
        call get_current_pid_tgid;
        *(u32 *)(r6 + {field!(Event, pid)}) = w0;
        *(u32 *)(r6 + {field!(Event, pad)}) = 0;

        call ktime_get_ns;
        *(u64 *)(r6 + {field!(Event, ts)}) = r0;

        r1 = r6;
        r1 += {field!(Event, comm)};
        r2 = 16;
        call get_current_comm;

        // ringbuf_submit(event, flags). The verifier refuses a program that reserves, and on some way out neither submits nor
        // discards.
        r1 = r6;
        r2 = 0;
        call ringbuf_submit;
    out:
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    let mut reader = RingBufReader::open(loader.map(&EVENTS)?)?;
    let program = loader.load(&HELLO)?;
    let _link = attach::attach(&program, &Target::kprobe("sys_clone"))?;
    writeln!(out, "{:<18} {:<16} {:<6} MESSAGE", "TIME(s)", "COMM", "PID")?;
    let mut start = None;
    while more() {
        let mut events = Vec::new();
        reader.poll(lesson::soon(), |record| {
            events.extend(Event::from_bytes(record.bytes));
            ControlFlow::Continue(())
        })?;
        for event in events {
            // Events come in the order in which they were reserved; two CPUs may take the time in the other order.
            let since = event.ts as i64 - *start.get_or_insert(event.ts) as i64;
            writeln!(
                out,
                "{:<18.9} {:<16} {:<6} Hello, ring buffer!",
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
