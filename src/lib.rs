//! BPF programs as raw instructions in Rust, loaded and attached by direct system calls.
