//! Parts of the reading of symbols that a build can leave out, and messages about those that are missing.

use super::demangle::looks_readable;
use super::elf::{Elf, Table};
#[cfg(feature = "bt")]
use std::path::Path;

/// The features that decide which names of functions are found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// Names of C++ and Rust, as people write them.
    pub demangle: bool,
    /// Symbols in `.gnu_debugdata`.
    pub minidebuginfo: bool,
}

/// The note on a name of C++ or Rust.
pub(super) const NO_DEMANGLE: &str = "this rawbpf was built without the feature `demangle`: functions of C++ and Rust have the names that the file has for them, such as _ZN2ns1fEv";

/// The note on a file whose symbols are packed.
const NO_MINIDEBUGINFO: &str = "this rawbpf was built without the feature `minidebuginfo`, and the symbols of local functions are in the section .gnu_debugdata: install the debug symbols of the file, or name a place by its offset in the file, 0x1234";

impl Parts {
    /// The parts of this build.
    pub(crate) const BUILT: Parts = Parts {
        demangle: cfg!(feature = "demangle"),
        minidebuginfo: cfg!(feature = "minidebuginfo"),
    };

    /// Returns the missing part that could have found a name, or a pattern, which was not found in a file.
    pub(crate) fn unread(self, elf: &Elf, wanted: &str) -> Option<&'static str> {
        if !self.demangle && looks_readable(wanted) {
            return Some(NO_DEMANGLE);
        }
        // It is looked for where there is no other table of all symbols.
        let packed = !self.minidebuginfo
            && elf.has_section(".gnu_debugdata")
            && elf.symbols(Table::Whole, &mut |_| {}).is_ok_and(|whole| !whole);
        packed.then_some(NO_MINIDEBUGINFO)
    }
}

/// The same for a file by its path, in this build.
#[cfg(feature = "bt")]
pub(crate) fn unread(path: &Path, wanted: &str) -> Option<&'static str> {
    Parts::BUILT.unread(&Elf::open(path).ok()?, wanted)
}
