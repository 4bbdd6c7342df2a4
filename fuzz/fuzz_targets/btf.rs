//! Bytes as BTF: whatever is wrong with them is an error, and what was read holds together.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/btf_bytes.rs"]
mod btf_bytes;

fuzz_target!(|bytes: &[u8]| btf_bytes::read_all(bytes));
