//! What this kernel is: its CPUs, symbols, tracing files, and why it refuses.

pub mod cpu;
pub mod denied;
pub mod symbols;
pub mod tracefs;
