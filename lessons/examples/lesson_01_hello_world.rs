//! Lesson 1, hello world: a line for each process that is made.
//!
//! After `examples/hello_world.py` of BCC. Needs kprobes. In another window type `ls`, or `sh -c '(:)'`: only the system
//! call `clone` is looked at, and some programs use `clone3` or `vfork` instead.
//!
//! ```sh
//! cargo run --example lesson_01_hello_world
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::trace_pipe::TracePipe;
use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// It runs whenever the kernel enters the function that it is attached to.
static HELLO: ProgramSpec = ProgramSpec::new(
    "hello",
    ProgramType::Kprobe,
    bpf! {
        // r10 points to the end of the 512 bytes of stack that a program has, so what is on the stack lies below it. A
        // string there takes as many stores as it needs; this one has 13 letters and the NUL that ends it.
        *(u8 *)(r10 - 16) = "Hello, World!";

        // A helper is a function of the kernel that programs may call. Its arguments are in r1, r2, ... r5, in that
        // order. This is trace_printk(format, size of the format).
        r1 = r10;
        r1 += -16;
        r2 = 14;
        call trace_printk;

        // r0 is the return value of a program. It means nothing for a kprobe, but it has to be set.
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let program = Loader::new().load(&HELLO)?;
    // On x86-64 the function is called __x64_sys_clone, elsewhere otherwise; rawbpf knows.
    let _link = attach::attach(&program, &Target::kprobe("sys_clone"))?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "Tracing sys_clone()... Ctrl-C to end.")?;
    while more() {
        if let Some(line) = pipe.next_line(lesson::soon())? {
            writeln!(out, "{}", String::from_utf8_lossy(line))?;
        }
    }
    Ok(())
    // Here `_link` is dropped, and the program is attached no more.
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
