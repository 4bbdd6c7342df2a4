//! The running kernel: its CPUs, symbols, tracing files, and the reasons why it refuses.
//!
//! Nothing here is read in advance. The functions read a file of the kernel when they are called,
//! keep nothing, and most of them are called only to explain why something else has failed.

#[cfg(feature = "elf")]
pub(crate) mod config;
pub mod cpu;
pub(crate) mod extent;
pub mod format;
pub(crate) mod functions;
pub(crate) mod perf_names;
pub(crate) mod registers;
pub mod symbols;
pub(crate) mod trace_instance;
pub mod tracefs;
pub(crate) mod version;

use std::fs::File;
use std::io::{self, Read};

/// Reads a file of sysfs or tracefs that holds one value. The kernel gives the whole of it, a page at
/// most, to one `read(2)`; `std::fs::read` would make five system calls of it.
fn read_value(mut file: File) -> io::Result<Vec<u8>> {
    let mut text = vec![0; 4096];
    let length = file.read(&mut text)?;
    text.truncate(length);
    Ok(text)
}
