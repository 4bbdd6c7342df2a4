//! Programs and libraries of user space: their files, their functions, and the USDT probes in them.
//!
//! Everything is looked up on request, and nothing is cached. [`find_file`] finds a program or library as the dynamic
//! linker does. With the feature `elf` (default) [`functions`] lists the functions that uprobes can be attached to,
//! also of stripped files whose debug symbols are installed, or in them (feature `minidebuginfo`). With the feature
//! `symbolize` [`ProcessSymbols`] finds the function of an address of a process. Names of C++ and Rust are known with
//! the feature `demangle`.

#[cfg(feature = "elf")]
mod bytes;
#[cfg(feature = "symbolize")]
mod code;
#[cfg(feature = "elf")]
mod debug_file;
#[cfg(feature = "elf")]
mod demangle;
#[cfg(feature = "bt")]
pub(crate) mod dwarf;
#[cfg(feature = "elf")]
mod elf;
#[cfg(all(test, feature = "elf"))]
pub(crate) mod fake;
#[cfg(feature = "symbolize")]
mod files;
#[cfg(feature = "elf")]
mod ifunc;
mod ld_cache;
mod library;
#[cfg(feature = "bt")]
mod matching;
mod name;
#[cfg(feature = "elf")]
mod parts;
#[cfg(feature = "symbolize")]
mod perf_map;
#[cfg(feature = "elf")]
mod places;
#[cfg_attr(not(feature = "elf"), allow(dead_code, reason = "it is there to find functions"))]
mod process;
#[cfg(feature = "symbolize")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "it is for tracers"))]
mod processes;
#[cfg(feature = "symbolize")]
mod ranges;
#[cfg(feature = "symbolize")]
mod stack;
#[cfg(feature = "elf")]
mod symbols;
#[cfg(all(test, feature = "elf"))]
mod tests;
#[cfg(feature = "elf")]
mod usdt;
#[cfg(feature = "symbolize")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "it is for tracers"))]
mod watch;

pub use library::find_file;
#[cfg(feature = "symbolize")]
pub use stack::{ProcessSymbols, UserLocation};
#[cfg(feature = "elf")]
pub use symbols::{Function, functions};
#[cfg(feature = "elf")]
pub use usdt::{Argument, ArgumentRegisters, Operand, Register, UsdtPlace, UsdtProbe, usdt_probes};

#[cfg(feature = "elf")]
pub(crate) use elf::Elf;
pub(crate) use name::{Places, file_and_function, file_and_probe};
#[cfg(feature = "bt-cli")]
pub(crate) use parts::Parts;
#[cfg(feature = "bt")]
pub(crate) use parts::unread;
#[cfg(feature = "elf")]
pub(crate) use places::functions_named;
#[cfg(any(feature = "cli", feature = "bt"))]
pub(crate) use places::is_of_go;
#[cfg(feature = "bt")]
pub(crate) use process::Process;
pub(crate) use process::started;
#[cfg(feature = "bt-cli")]
pub(crate) use process::state;
#[cfg(all(feature = "symbolize", feature = "bt"))]
pub(crate) use processes::Processes;
#[cfg(feature = "elf")]
pub(crate) use usdt::find_usdt;
#[cfg(feature = "bt")]
pub(crate) use usdt::{From as UsdtSource, Location as UsdtLocation};
#[cfg(feature = "bt")]
pub(crate) use {matching::find_files, places::file_offset, symbols::symbol};
