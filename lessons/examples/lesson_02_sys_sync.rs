//! Lesson 2, `sys_sync`: hello world on another system call.
//!
//! After the second lesson of BCC's tutorial for Python developers, "sys_sync()". Needs kprobes. In another window type
//! `sync`.
//!
//! ```sh
//! cargo run --example lesson_02_sys_sync
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::trace_pipe::TracePipe;
use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// The message. A constant of Rust, so that the program can take its length from it.
const MESSAGE: &str = "sys_sync() called";

static SYNC_CALLED: ProgramSpec = ProgramSpec::new(
    "sync_called",
    ProgramType::Kprobe,
    bpf! {
        // 17 letters and the NUL are 18 bytes, and the stack is filled in words of 8: they begin 24 below its end.
        *(u8 *)(r10 - 24) = "sys_sync() called";

        // trace_printk(format in r1, its size in r2). What stands in braces is Rust, and known when this is compiled.
        r1 = r10;
        r1 += -24;
        r2 = {MESSAGE.len() + 1};
        call trace_printk;

        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let program = Loader::new().load(&SYNC_CALLED)?;
    let _link = attach::attach(&program, &Target::kprobe("sys_sync"))?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "Tracing sys_sync()... Ctrl-C to end.")?;
    while more() {
        if let Some(line) = pipe.next_line(lesson::soon())? {
            writeln!(out, "{}", String::from_utf8_lossy(line))?;
        }
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
