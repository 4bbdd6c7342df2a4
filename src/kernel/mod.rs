//! What this kernel is: its CPUs, symbols, tracing files, and why it refuses.
//!
//! Nothing here is asked for in advance. The functions read a file of the kernel's when they are called,
//! keep nothing, and most of them are called only to explain why something else has failed.

pub mod cpu;
pub mod denied;
mod nearest;
pub mod symbols;
pub mod tracefs;
