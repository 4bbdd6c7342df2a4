//! Lesson 3, hello with fields: the same line, taken apart and put into columns.
//!
//! After `examples/tracing/hello_fields.py` of BCC. Needs kprobes. In another window type `sh -c '(:)'`.
//!
//! ```sh
//! cargo run --example lesson_03_hello_fields
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::trace_pipe::{TraceFields, TracePipe};
use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// That of lesson 1: what is new here is what becomes of the lines.
static HELLO: ProgramSpec = ProgramSpec::new(
    "hello",
    ProgramType::Kprobe,
    bpf! {
        *(u8 *)(r10 - 16) = "Hello, World!";    // on the stack, at its end
        r1 = r10;
        r1 += -16;                              // where the format is
        r2 = 14;                                // its size, with the NUL
        call trace_printk;
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let program = Loader::new().load(&HELLO)?;
    let _link = attach::attach(&program, &Target::kprobe("sys_clone"))?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "{:<18} {:<16} {:<6} MESSAGE", "TIME(s)", "COMM", "PID")?;
    while more() {
        let Some(line) = pipe.next_line(lesson::soon())? else { continue };
        // The kernel puts time, CPU, name and number of the thread before the text that the program has printed. A
        // line without them is from another source.
        let Some(fields) = TraceFields::parse(line) else { continue };
        writeln!(
            out,
            "{:<18.9} {:<16} {:<6} {}",
            fields.time_ns as f64 / 1e9,
            String::from_utf8_lossy(fields.task),
            fields.pid,
            String::from_utf8_lossy(fields.message),
        )?;
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
