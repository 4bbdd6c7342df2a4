//! BPF programs as raw instructions in Rust, loaded into Linux, attached and read, by direct system calls:
//! no clang, no LLVM, no object file, no kernel headers, no build script.
//!
//! # Hello, world
//!
//! ```no_run
//! use rawbpf::attach::{self, Target};
//! use rawbpf::trace_pipe::TracePipe;
//! use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
//! use std::ops::ControlFlow;
//!
//! static HELLO: ProgramSpec = ProgramSpec::new("hello", ProgramType::Kprobe, bpf! {
//!     *(u8 *)(r10 - 16) = "Hello, World!";
//!     r1 = r10;
//!     r1 += -16;
//!     r2 = 14;
//!     call trace_printk;
//!     r0 = 0;
//!     exit;
//! });
//!
//! fn main() -> rawbpf::Result<()> {
//!     let program = Loader::new().load(&HELLO)?;
//!     let _link = attach::attach(&program, &Target::kprobe("sys_clone"))?;
//!     let mut pipe = TracePipe::open()?;
//!     loop {
//!         let Some(line) = pipe.next_line(None)? else { continue };
//!         println!("{}", String::from_utf8_lossy(&line));
//!     }
//! }
//! ```
//!
//! # Overview
//!
//! A program is written with [`bpf!`] and assembled by the compiler, so that a misspelled register is a compile error
//! and a [`ProgramSpec`] can be a `static`. A [`Loader`] loads it into the running kernel as a [`Program`], with a
//! [`Map`] for every [`MapSpec`] that its instructions name. [`attach`](mod@attach) attaches it and returns a
//! [`Link`](attach::Link); dropping the link detaches it. The output of programs is read by [`perf::PerfReader`],
//! [`ringbuf`] and [`trace_pipe::TracePipe`]. [`progs`] contains the programs that ship with the library.
//!
//! Programs that are made at run time need no registers chosen by hand: [`codegen`] compiles code over any number of variables
//! to instructions, and [`asm::Builder`] takes those. Programs that need no Rust at all are scripts: `bt` compiles the bpftrace language, in-process, and a
//! `bt::Script` is attached like any other program, with its events and maps as typed values.
//!
//! A *spec* is plain data and the same on every machine; an *object* is what a kernel made of it: it owns a file
//! descriptor, and is released when it is dropped. There is no global state.
//!
//! Every failure is an [`Error`] with the operation, the kernel's answer, the likely cause and the remedy.
//!
//! # Features
//!
//! `cli` (default): the command `rawbpf`. `bt-cli` (part of `cli`): the command with `rawbpf bt` alone. `elf` (default):
//! functions of programs and libraries by name, their USDT probes, and object files; it needs `object`. `advice` (default, part of `bt`):
//! the state of registers and advice beside the verifier's message. `symbolize` (part of `cli`): the functions in which addresses of
//! processes lie, names of C++ and Rust as people write them, and symbols that are compressed in stripped files; it needs
//! `cpp_demangle`, `rustc-demangle` and `xz4rust`. `bt` (part of `cli`): the bpftrace language, the module `bt`; it needs `elf`,
//! `gimli` and `miniz_oxide`. Without them the library needs `libc`, `strsim` and `thiserror`.

// These macros panic when the stream is full or closed; tests may use them.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod asm;
pub mod attach;
#[cfg(feature = "bt")]
pub mod bt;
pub mod btf;
#[cfg(feature = "bt-cli")]
#[doc(hidden)]
pub mod cli;
pub mod codegen;
mod error;
pub mod features;
pub mod histogram;
pub mod insn;
pub mod kernel;
pub mod list;
pub mod map;
#[cfg(feature = "elf")]
pub mod object;
pub mod perf;
pub mod permission;
mod program;
pub mod progs;
mod ring;
pub mod ringbuf;
mod spec;
mod syscall;
pub mod syscall_trace;
mod token;
pub mod trace_pipe;
mod uapi;
pub mod user;
mod util;
pub mod verifier;
mod wait;

#[cfg(test)]
mod requires;

/// The README's example is compiled like the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use error::{Error, ErrorKind, Result};
pub use map::Map;
#[doc(hidden)]
pub use program::resolvable as __resolvable;
pub use program::{
    JitedFunction, Loader, NameProblem, Program, ProgramDump, ProgramInfo, Programs, RunStatistics,
    SourceLine, TestRun, TestRunOptions, TestRunOutput, TextSpec, programs,
};
pub use spec::{AttachTo, Collection, MapSpec, ProgramSpec, attach_point};
pub use token::Token;
pub use uapi::{AttachType, Errno, MapType, ProgramType, flags};
pub use util::char_array::CharArray;
pub use util::pod::{Plain, SpinLock};
pub use verifier::VerifierError;
