//! What user space is: programs and libraries, where they are, their functions, and the probes that they hold.
//!
//! Everything is looked up when it is asked for, and nothing is kept. [`find_file`] finds a program or library as the
//! dynamic linker does. With the feature `elf` (default) [`functions`] lists what uprobes can be put on.
//! With the feature `symbolize` [`Symbols`] tells which function an address of a process lies in.

#[cfg(feature = "elf")]
mod elf;
#[cfg(all(test, feature = "elf"))]
mod fake;
#[cfg(feature = "elf")]
mod ifunc;
mod ld_cache;
mod library;
#[cfg(feature = "bt")]
mod matching;
#[cfg(feature = "elf")]
mod places;
#[cfg_attr(not(feature = "elf"), allow(dead_code, reason = "it is there to find functions"))]
mod process;
#[cfg(feature = "symbolize")]
mod stack;
#[cfg(feature = "elf")]
mod symbols;
#[cfg(all(test, feature = "elf"))]
mod tests;
#[cfg(feature = "elf")]
mod usdt;
#[cfg(feature = "symbolize")]
#[cfg_attr(not(feature = "bt"), allow(dead_code, reason = "it is for tracers"))]
mod watch;

pub use library::find_file;
#[cfg(feature = "symbolize")]
pub use stack::{Located, Symbols};
#[cfg(feature = "elf")]
pub use symbols::{Function, functions};
#[cfg(feature = "elf")]
pub use usdt::{Argument, ArgumentRegisters, Operand, Register, UsdtPlace, UsdtProbe, usdt_probes};

#[cfg(feature = "elf")]
pub(crate) use elf::Elf;
#[cfg(feature = "bt")]
pub(crate) use process::Process;
#[cfg(feature = "cli")]
pub(crate) use stack::{Code, code_of};
#[cfg(feature = "elf")]
pub(crate) use usdt::find_usdt;
#[cfg(feature = "bt")]
pub(crate) use {matching::find_files, places::file_offset, symbols::symbol};
#[cfg(all(feature = "symbolize", feature = "bt"))]
pub(crate) use {stack::Files, watch::Watch};
