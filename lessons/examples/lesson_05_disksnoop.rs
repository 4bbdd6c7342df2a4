//! Lesson 5, `disksnoop`: every request to a disk, its size, and how long it took.
//!
//! After `examples/tracing/disksnoop.py` of BCC. That one has kprobes on functions of the block layer, which have been
//! renamed and inlined since. The tracepoints beside them have stayed: attached to as BTF tracepoints (Linux 5.5) they
//! hand over the same `struct request`, and its fields can be read like any memory, without `probe_read_kernel`.
//!
//! ```sh
//! cargo run --example lesson_05_disksnoop
//! ```

use rawbpf::attach::{self, Options, Target};
use rawbpf::trace_pipe::{TraceFields, TracePipe};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// When each request began: the address of its `struct request` is the key, nanoseconds the value.
static START: MapSpec = MapSpec::hash("start", 8, 8, 10240);

/// A request is handed to the disk's driver.
static ISSUE: ProgramSpec = ProgramSpec::new(
    "issue",
    ProgramType::Tracing,
    bpf! {
        // r1 points to the arguments of the tracepoint, 8 bytes each. Which of them is `rq`, rawbpf finds out when it
        // loads the program: the first today, the second before Linux 5.11.
        r1 = *(u64 *)(r1 + args.rq);
        *(u64 *)(r10 - 8) = r1;             // the key
        call ktime_get_ns;
        *(u64 *)(r10 - 16) = r0;            // the value
        r1 = START ll;
        r2 = r10;
        r2 += -8;
        r3 = r10;
        r3 += -16;
        r4 = 0;                             // BPF_ANY
        call map_update_elem;
        r0 = 0;
        exit;
    },
);

/// The disk is done with a request.
static COMPLETE: ProgramSpec = ProgramSpec::new(
    "complete",
    ProgramType::Tracing,
    bpf! {
        r6 = *(u64 *)(r1 + args.rq);        // r6: the request
        *(u64 *)(r10 - 8) = r6;             // the key
        r1 = START ll;
        r2 = r10;
        r2 += -8;
        call map_lookup_elem;
        if r0 == 0 goto out;                // it began before we did

        r7 = *(u64 *)(r0 + 0);              // r7: when it began
        call ktime_get_ns;
        r0 -= r7;
        r7 = r0;                            // r7: how long it took, nanoseconds
        r7 /= 1000;                         // microseconds

        // trace_printk(format, size, a, b, c). Where in a request its fields are differs from kernel to kernel; by their
        // names they are found when the program is loaded.
        *(u8 *)(r10 - 24) = "%d %x %d";
        r1 = r10;
        r1 += -24;
        r2 = 9;
        r3 = *(u32 *)(r6 + request.__data_len);
        r4 = *(u32 *)(r6 + request.cmd_flags);
        r5 = r7;
        call trace_printk;

        r1 = START ll;                      // not needed any more
        r2 = r10;
        r2 += -8;
        call map_delete_elem;
    out:
        r0 = 0;
        exit;
    },
);

/// `REQ_OP_WRITE` (`include/linux/blk_types.h`): operations that write are odd.
const WRITES: u32 = 1;

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let issued: Target = "tp_btf:block_rq_issue".parse()?;
    let completed: Target = "tp_btf:block_rq_complete".parse()?;
    // One loader for both, so that START is the same map for both.
    let mut loader = Loader::new();
    let options = Options::new();
    let _issue = attach::load_and_attach_with(&mut loader, &ISSUE, &issued, &options)?;
    let _complete = attach::load_and_attach_with(&mut loader, &COMPLETE, &completed, &options)?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "{:<18} {:<2} {:<7} {:>8}", "TIME(s)", "T", "BYTES", "LAT(ms)")?;
    while more() {
        let Some(line) = pipe.next_line(lesson::soon())? else { continue };
        let Some(fields) = TraceFields::parse(line) else { continue };
        let message = String::from_utf8_lossy(fields.message);
        let Some((bytes, flags, micros)) = numbers(&message) else { continue };
        let kind = match (flags & WRITES, bytes) {
            (WRITES, _) => "W",
            (_, 0) => "M",
            _ => "R",
        };
        let (time, millis) = (fields.time_ns as f64 / 1e9, micros as f64 / 1e3);
        writeln!(out, "{time:<18.9} {kind:<2} {bytes:<7} {millis:>8.2}")?;
    }
    Ok(())
}

/// Parses a line that the program printed: bytes, flags, microseconds. `None` if it is another program's.
fn numbers(message: &str) -> Option<(u32, u32, u64)> {
    let mut words = message.split(' ');
    let bytes = words.next()?.parse().ok()?;
    let flags = u32::from_str_radix(words.next()?, 16).ok()?;
    Some((bytes, flags, words.next()?.parse().ok()?))
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
