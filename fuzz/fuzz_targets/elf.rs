//! Bytes as an ELF file: whatever is wrong with it is an error, and what was read holds together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

#[path = "../../tests/common/elf_bytes.rs"]
mod elf_bytes;

/// In memory: the library reads files.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| format!("/dev/shm/rawbpf-fuzz-elf-{}", std::process::id()).into());

fuzz_target!(|bytes: &[u8]| elf_bytes::read_all(bytes, &FILE));
