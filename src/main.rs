//! The command `rawbpf`.
fn main() {}
