//! The tutorial's first program: a line in the kernel's trace buffer each time it runs.
//!
//! After `hello_world.py` of the BCC tutorial, lesson 1. Read what it prints with
//! [`TracePipe`](crate::trace_pipe::TracePipe).

use crate::bpf;
use crate::spec::ProgramSpec;
use crate::uapi::ProgramType;

/// The message that the program prints.
pub const MESSAGE: &str = "Hello, World!";

/// Prints [`MESSAGE`] with `bpf_trace_printk` (Linux 4.1).
///
/// The string is put together on the stack, so that the program needs no map: loading it is one system
/// call.
pub static HELLO: ProgramSpec = ProgramSpec::new(
    "hello",
    ProgramType::Kprobe,
    bpf! {
        *(u8 *)(r10 - 16) = "Hello, World!";    // 14 bytes with the NUL that ends it
        r1 = r10;
        r1 += -16;                              // the format
        r2 = {MESSAGE.len() + 1};               // its size
        call trace_printk;
        r0 = 0;
        exit;
    },
);
