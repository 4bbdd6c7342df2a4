//! Bytes as an object for BPF: whatever is wrong with it is an error, and what was read can be assembled.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/object_bytes.rs"]
mod object_bytes;

fuzz_target!(|bytes: &[u8]| object_bytes::read_all(bytes));
