//! BPF for Linux in pure Rust: programs as instructions or as bpftrace scripts, loaded, attached and read by direct system
//! calls. No clang, no LLVM, no object files, no kernel headers, no build script.
//!
//! A program is written with [`bpf!`], which the compiler assembles, and described by a [`ProgramSpec`], which can be a `static`. A
//! [`Loader`] loads it into the running kernel, with a [`Map`] for every [`MapSpec`] that its instructions name.
//! [`attach`](mod@attach) attaches it to a [`Target`](attach::Target); dropping the [`Link`](attach::Link) detaches it.
//!
//! Loading and attaching needs root, or `CAP_BPF` and `CAP_PERFMON`; [`permission`] says what a process lacks. Linux 5.10 and later is tested.
//!
//! # Five common jobs
//!
//! ## Count calls of a kernel function: a kprobe
//!
//! ```no_run
//! use rawbpf::attach::{self, Target};
//! use rawbpf::map::Array;
//! use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
//!
//! static CALLS: MapSpec = Array::<u64>::spec("calls", 1);
//! static COUNT: ProgramSpec = ProgramSpec::new("count", ProgramType::Kprobe, bpf! {
//!     r1 = CALLS[0] ll;               // the address of the value; naming the map has it created
//!     r2 = 1;
//!     lock *(u64 *)(r1 + 0) += r2;
//!     r0 = 0;
//!     exit;
//! });
//!
//! fn main() -> rawbpf::Result<()> {
//!     let mut loader = Loader::new();
//!     let program = loader.load(&COUNT)?;
//!     let _link = attach::attach(&program, &Target::kprobe("vfs_read"))?;
//!     std::thread::sleep(std::time::Duration::from_secs(1));
//!     let calls: Array<u64> = loader.view(&CALLS)?;
//!     println!("{} calls", calls.lookup(0)?);
//!     Ok(())
//! }
//! ```
//!
//! ## Send events through perf rings
//!
//! [`perf`] has one ring for each CPU; it works on every kernel, and tells how many events were lost.
//!
//! ```no_run
//! use rawbpf::attach::{self, Target};
//! use rawbpf::perf::{PerfOptions, PerfReader};
//! use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
//!
//! static EVENTS: MapSpec = MapSpec::perf_event_array("events");
//! static SEND: ProgramSpec = ProgramSpec::new("send", ProgramType::Tracepoint, bpf! {
//!     r6 = r1;                        // the context, kept over the call
//!     call get_current_pid_tgid;
//!     r0 >>= 32;
//!     *(u32 *)(r10 - 4) = r0;         // the event, on the stack: r10 is its end
//!     r1 = r6;
//!     r2 = EVENTS ll;
//!     r3 = 0xffffffff ll;             // BPF_F_CURRENT_CPU
//!     r4 = r10;
//!     r4 += -4;
//!     r5 = {size_of::<u32>()};        // any Rust constant
//!     call perf_event_output;
//!     r0 = 0;
//!     exit;
//! });
//!
//! fn main() -> rawbpf::Result<()> {
//!     let mut loader = Loader::new();
//!     let options = PerfOptions::new().sample_size(size_of::<u32>());
//!     let mut reader = PerfReader::open(loader.map(&EVENTS)?, &options)?;
//!     let program = loader.load(&SEND)?;
//!     let _link = attach::attach(&program, &Target::tracepoint("sched", "sched_process_exec"))?;
//!     loop {
//!         reader.poll(None, |record| match record.value::<u32>() {
//!             Some(pid) => println!("process {pid}"),
//!             None => eprintln!("lost: {record:?}"),
//!         })?;
//!     }
//! }
//! ```
//!
//! ## Send events through a ring buffer
//!
//! [`ringbuf`] is one ring for all CPUs, in order (Linux 5.8). This one also shows arguments by name, `args.filename`, for which the
//! program is loaded for its target, and a struct shared by both sides.
//!
//! ```no_run
//! use rawbpf::attach::{self, Target};
//! use rawbpf::ringbuf::RingBufReader;
//! use rawbpf::{CharArray, Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, field, plain};
//!
//! plain! {
//!     #[repr(C)]
//!     struct Event { pid: u64, file: CharArray<256> }
//! }
//!
//! static EVENTS: MapSpec = MapSpec::ring_buffer("events", 256 << 10);
//! static OPEN: ProgramSpec = ProgramSpec::new("open", ProgramType::Tracepoint, bpf! {
//!     r6 = *(u64 *)(r1 + args.filename);
//!     r1 = EVENTS ll; r2 = {Event::SIZE}; r3 = 0; call ringbuf_reserve;
//!     if r0 == 0 goto out;            // the ring is full
//!     r7 = r0;
//!     call get_current_pid_tgid; r0 >>= 32; *(u64 *)(r7 + {field!(Event, pid)}) = r0;
//!     r1 = r7; r1 += {field!(Event, file)}; r2 = 256; r3 = r6; call probe_read_user_str;
//!     r1 = r7; r2 = 0; call ringbuf_submit;
//! out:
//!     r0 = 0;
//!     exit;
//! });
//!
//! fn main() -> rawbpf::Result<()> {
//!     let mut loader = Loader::new();
//!     let target = Target::tracepoint("syscalls", "sys_enter_openat");
//!     let (_program, _link) = attach::load_and_attach(&mut loader, &OPEN, &target)?;
//!     let mut reader = RingBufReader::open(loader.map(&EVENTS)?)?;
//!     loop {
//!         reader.poll(None, |record| {
//!             if let Some(Event { pid, file }) = record.value() {
//!                 println!("{pid} {file}");
//!             }
//!         })?;
//!     }
//! }
//! ```
//!
//! ## Aggregate in a hash map
//!
//! [`map`] has a typed view for each kind of map: `Hash<K, V>`, `PercpuArray<V>`, `LpmTrie<A, V>`, …
//!
//! ```no_run
//! use rawbpf::attach::{self, Target};
//! use rawbpf::map::Hash;
//! use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
//!
//! static COUNTS: MapSpec = Hash::<u32, u64>::spec("counts", 10240);
//! static COUNT: ProgramSpec = ProgramSpec::new("count", ProgramType::Tracepoint, bpf! {
//!     call get_current_pid_tgid; r0 >>= 32; *(u32 *)(r10 - 4) = r0;       // the key
//!     r1 = COUNTS ll; r2 = r10; r2 += -4;
//!     call map_lookup_elem;
//!     if r0 == 0 goto first;
//!     r1 = 1;
//!     lock *(u64 *)(r0 + 0) += r1;    // r0 is the address of the value
//!     goto out;
//! first:
//!     *(u64 *)(r10 - 16) = 1;
//!     r1 = COUNTS ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0;
//!     call map_update_elem;
//! out:
//!     r0 = 0;
//!     exit;
//! });
//!
//! fn main() -> rawbpf::Result<()> {
//!     let mut loader = Loader::new();
//!     let program = loader.load(&COUNT)?;
//!     let _link = attach::attach(&program, &Target::tracepoint("raw_syscalls", "sys_enter"))?;
//!     std::thread::sleep(std::time::Duration::from_secs(1));
//!     let counts: Hash<u32, u64> = loader.view(&COUNTS)?;
//!     for entry in counts.iter() {
//!         let (pid, count) = entry?;
//!         println!("process {pid}: {count} system calls");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! ## Watch a function of a library: a uprobe
//!
//! For the kernel such a program is a kprobe's; its context is the registers of the process.
//!
//! ```no_run
//! use rawbpf::attach::{self, Options, Target};
//! use rawbpf::histogram::Histogram;
//! use rawbpf::map::Array;
//! use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
//!
//! static SIZES: MapSpec = Array::<u64>::spec("sizes", 65);
//! static MALLOC: ProgramSpec = ProgramSpec::new("malloc", ProgramType::Kprobe, bpf! {
//!     r1 = *(u64 *)(r1 + pt_regs.parm1);      // malloc(size), on any architecture
//!     call log2;                              // the bucket: a function that comes with the assembler
//!     *(u32 *)(r10 - 4) = r0;
//!     r1 = SIZES ll; r2 = r10; r2 += -4;
//!     call map_lookup_elem;
//!     if r0 == 0 goto out;
//!     r1 = 1;
//!     lock *(u64 *)(r0 + 0) += r1;
//! out:
//!     r0 = 0;
//!     exit;
//! });
//!
//! fn main() -> rawbpf::Result<()> {
//!     let mut loader = Loader::new();
//!     let program = loader.load(&MALLOC)?;
//!     let this_process = Options::new().pid(std::process::id());
//!     let _link = attach::attach_with(&program, &Target::uprobe("c", "malloc"), &this_process)?;
//!     std::thread::sleep(std::time::Duration::from_secs(1));
//!     let sizes: Array<u64> = loader.view(&SIZES)?;
//!     println!("{}", Histogram::log2(&sizes.lookup_all()?).label("bytes"));
//!     Ok(())
//! }
//! ```
//!
//! # How to write a program
//!
//! There is one assembly language, the pseudo-C that LLVM, the verifier and `bpftool` print. It comes in three forms, which make the
//! same [`Code`](asm::Code), and beside it there are scripts.
//!
//! **In Rust**, by the macro: its page, [`bpf!`], has the statements, the names of the kernel and how mistakes are reported.
//!
//! **As a text**, read at run time by [`asm::parse()`], with directives for programs, maps and data:
//!
//! ```no_run
//! use rawbpf::Loader;
//! use rawbpf::asm::{ParseOptions, parse};
//!
//! let text = r#"
//! .license "GPL"
//! .map counts, hash, key=4, value=8, max=1024
//! .program count, tracepoint/raw_syscalls/sys_enter
//!         r0 = 0
//!         exit
//! "#;
//! let collection = parse(text, "count.s", &ParseOptions::new())?;
//! let programs = Loader::new().load_collection(&collection)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Built at run time**: [`asm::Builder`] takes instructions and labels as values; [`codegen`] compiles code over any number of
//! variables to them, so that no registers need be chosen.
//!
//! ```
//! use rawbpf::asm::{BuildOptions, Builder};
//! use rawbpf::insn::{AluOp, Bits, Op, Reg, Source};
//! use rawbpf::{ProgramSpec, ProgramType};
//!
//! let mut builder = Builder::new();
//! builder
//!     .push(Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst: Reg::R0, src: Source::Imm(0) })
//!     .push(Op::Exit);
//! let assembly = builder.finish(&BuildOptions::new())?;
//! let spec = ProgramSpec::new("nothing", ProgramType::Kprobe, assembly.code());
//! # assert_eq!(spec.code.slots.len(), 2);
//! # Ok::<(), rawbpf::asm::ResolveErrors>(())
//! ```
//!
//! **As a bpftrace script** (feature `bt`), compiled in-process: [`bt::Script`]. Its events and maps are values; [`bt::Run`] has a descriptor
//! to wait for.
//!
//! ```no_run
//! # #[cfg(feature = "bt")] {
//! use rawbpf::bt::{Event, Script};
//!
//! let script = Script::compile("tracepoint:syscalls:sys_enter_openat { printf(\"%s\", comm); }")?;
//! for event in script.attach()? {
//!     if let Event::Printf { text, .. } = event? {
//!         println!("{}", String::from_utf8_lossy(&text));
//!     }
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Specs and objects
//!
//! A *spec* ([`ProgramSpec`], [`MapSpec`], [`Collection`]) is plain data, the same on every machine. An *object* ([`Program`], [`Map`],
//! [`Link`](attach::Link)) is what a kernel made of it: it owns a file descriptor, and dropping it releases it. There is no global state.
//!
//! # Errors
//!
//! An [`Error`] names the operation, its object, the kernel's answer, the likely cause and what to do; [`Error::kind`] sorts it
//! into what a caller acts on. A program that the verifier rejects comes back with the statement that it is about:
//!
//! ```text
//! cannot load program `peek` (kprobe): the verifier rejected it
//!   src/main.rs:7: r0 = *(u64 *)(r1 + 400)
//!   instruction 0: invalid bpf_context access off=400 size=8
//!   the whole log: RAWBPF_LOG=2, or VerifierError::log()
//! ```
//!
//! # Where to find
//!
//! | | |
//! |---|---|
//! | to write programs | [`bpf!`], [`field!`], [`stack!`], [`plain!`], [`asm`], [`codegen`], [`insn`] |
//! | to describe and load them | [`ProgramSpec`], [`MapSpec`], [`Loader`], [`Token`], [`object`](mod@object) (ELF objects) |
//! | to attach them | [`attach`](mod@attach), [`attach_point`] (all kinds of places), [`list`] (what this kernel has) |
//! | to read what they report | [`perf`], [`ringbuf`], [`trace_pipe`], [`map`], [`histogram`] |
//! | to find out | [`features`] (of this kernel), [`permission`], [`verifier`] (its log as data), [`syscall_trace`] |
//! | types and symbols | [`btf`], [`kernel`], [`user`] (programs, libraries, USDT probes) |
//! | bpftrace scripts | [`bt`] |
//!
//! # Features
//!
//! | feature | brings | needs |
//! |---|---|---|
//! | `elf` (default) | functions and USDT probes of programs and libraries, object files | `object` |
//! | `advice` (default) | the state of registers and advice beside the verifier's message | |
//! | `bt` | the bpftrace language, the module [`bt`]; with `elf` | `gimli`, `miniz_oxide` |
//! | `symbolize` | functions in which addresses of processes lie; with `elf` | |
//! | `demangle` | names of C++ and Rust, in uprobes and in what `symbolize` finds; without it symbols are mangled there; with `elf` | `cpp_demangle`, `rustc-demangle` |
//! | `minidebuginfo` | symbols that are compressed in stripped files (`.gnu_debugdata`); with `elf` | `xz4rust` |
//! | `cli` (default) | the command `rawbpf`; with `advice`, `bt`, `symbolize`, `demangle` and `minidebuginfo` | `clap`, `nix`, `serde_json` |
//! | `bt-cli` | the command with `rawbpf bt` alone; with `bt` and `symbolize` | `nix` |
//!
//! An embedder who wants the library alone turns the defaults off, `rawbpf = { version = "0.1", default-features = false }`; it then
//! needs `bitflags`, `libc`, `strsim` and `thiserror`.
//!
//! # Guides
//!
//! * [`guide::tutorial`]: 19 lessons, from hello world to packets, each beside the C of BCC's tutorial;
//! * [`guide::assembly`]: the reference of the assembly language, with all instructions and attach points;
//! * [`guide::bt`]: the bpftrace language: probes, builtins, functions, differences from bpftrace;
//! * [`guide::objects`]: ELF objects for and from libbpf and clang.

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

/// The guides: the documents of the folder `docs`, for reading here.
// In the repository their links lead to files; the definitions before each text come first, and lead to pages.
#[cfg(all(doc, not(doctest)))]
pub mod guide {
    /// [assembly.md]: assembly
    #[doc = include_str!("../docs/tutorial.md")]
    pub mod tutorial {}

    /// [objects.md]: objects
    #[doc = include_str!("../docs/assembly.md")]
    pub mod assembly {}

    /// [`rawbpf::bt::Script`]: crate::bt::Script
    #[doc = include_str!("../docs/bt.md")]
    #[allow(rustdoc::broken_intra_doc_links, reason = "`[` in its tables stands for itself")]
    pub mod bt {}

    /// [attach points]: assembly#attach-points
    /// [names]: assembly#names-of-the-running-kernel
    #[doc = include_str!("../docs/objects.md")]
    pub mod objects {}
}

/// The README's example is compiled like the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use error::{AttachOption, Error, ErrorKind, Result};
pub use map::Map;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use program::fuzz as __fuzz;
#[doc(hidden)]
pub use program::resolvable as __resolvable;
pub use program::{
    JitedFunction, Loader, NameProblem, Program, ProgramDump, ProgramInfo, Programs, RunStatistics,
    SourceLine, TestRun, TestRunOptions, TestRunOutput, TextSpec, programs,
};
pub use spec::{AttachTo, Collection, InitialValue, MapSpec, ProgramSpec, attach_point};
pub use token::Token;
pub use uapi::{AttachType, Errno, MapFlags, MapType, ProgramFlags, ProgramType, TestRunFlags};
pub use util::char_array::CharArray;
pub use util::pod::{Plain, SpinLock};
pub use verifier::VerifierError;
