//! BPF programs as raw instructions in Rust, loaded and attached by direct system calls.

pub mod asm;
mod error;
pub mod insn;
pub mod kernel;
mod map;
pub mod perf;
mod program;
mod ring;
mod spec;
mod syscall;
mod verifier;

pub use error::{Error, ErrorKind, Result};
pub use map::Map;
pub use program::{Loader, Program};
pub use spec::{MapSpec, MapType, ProgramSpec, ProgramType};
pub use syscall::Errno;
pub use verifier::VerifierError;
