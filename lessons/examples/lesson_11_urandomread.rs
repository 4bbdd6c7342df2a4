//! Lesson 11, urandomread: an argument of a tracepoint, by its name.
//!
//! After `examples/tracing/urandomread.py` of BCC, which is on the tracepoint `random:urandom_read` and prints its
//! `got_bits`. Linux 5.18 took that tracepoint out, and the later 5.10 and 5.15 did too; so this is on the system call
//! through which programs get their random numbers now, `getrandom`, and counts the bits that they ask for. Needs no
//! kprobes. In another window type `head -c 5 /dev/urandom` (it does not show: it reads a file) and
//! `python3 -c 'import os; os.urandom(5)'` (it does; since glibc 2.41 it may not, for that makes random bytes of its
//! own, from a few of the kernel's).
//!
//! ```sh
//! cargo run --example lesson_11_urandomread
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::trace_pipe::{TraceFields, TracePipe};
use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// A tracepoint is a place in the kernel's source that is meant to be stable. The layout of its arguments is in
/// `/sys/kernel/tracing/events/syscalls/sys_enter_getrandom/format`; `args.len` is looked up there when this is loaded.
/// That is why the program has to name its tracepoint.
static URANDOMREAD: ProgramSpec = ProgramSpec::new(
    "urandomread",
    ProgramType::Tracepoint,
    bpf! {
        // A program begins with its context in r1: here the tracepoint's fields, one after the other. A system call's
        // arguments are kept there in 8 bytes each.
        r3 = *(u64 *)(r1 + args.len);
        r3 <<= 3;                           // bytes to bits

        *(u8 *)(r10 - 8) = "%llu";          // four letters and a NUL
        r1 = r10;
        r1 += -8;                           // the format
        r2 = 5;                             // its size
        call trace_printk;                  // r3 is the number to print

        r0 = 0;
        exit;
    },
)
.with_target("syscalls/sys_enter_getrandom");

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let program = Loader::new().load(&URANDOMREAD)?;
    let target = Target::tracepoint("syscalls", "sys_enter_getrandom");
    let _link = attach::attach(&program, &target)?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "{:<18} {:<16} {:<6} GOTBITS", "TIME(s)", "COMM", "PID")?;
    while more() {
        let Some(line) = pipe.next_line(lesson::soon())? else { continue };
        // Others print into the same trace.
        let Some(fields) = TraceFields::parse(line) else { continue };
        writeln!(
            out,
            "{:<18.9} {:<16} {:<6} {}",
            fields.time_ns as f64 / 1e9,
            lesson::text(fields.task),
            fields.pid,
            lesson::text(fields.message),
        )?;
    }
    // The trace keeps the newest lines; when they come faster than they are read, the oldest go. The kernel counts them.
    if pipe.lost() > 0 {
        writeln!(out, "{} lines were lost", pipe.lost())?;
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
