//! Objects of clang's that are damaged: none does harm, and none is made into something else than what its text says.

use crate::common::Folder;
use crate::common::requires::needs_tried;
use crate::object_bytes::read_all;
use crate::objects::{compiled, compilers, no_compiler};
use crate::programs::big_endian;
use std::fs;

/// Sources with all that objects can have.
const SOURCES: [&str; 4] = ["elements.c", "congestion_link.c", "functions.c", "data.c"];

fn number(file: &[u8], at: usize, size: usize) -> usize {
    file[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[test]
fn objects_that_end_early_or_have_other_headers_do_no_harm() {
    needs_tried!("clang", no_compiler());
    needs_tried!("little-endian objects", big_endian());
    for source in SOURCES {
        let folder = Folder::new();
        let whole = fs::read(compiled(compilers()[0], source, &[], folder.path())).unwrap();
        read_all(&whole);
        // `e_shoff` and `e_shnum` of `Elf64_Ehdr`; `Elf64_Shdr` has 64 bytes.
        let (table, count) = (number(&whole, 40, 8), number(&whole, 60, 2));
        for section in 0..count {
            let header = table + section * 64;
            let (offset, size) = (number(&whole, header + 24, 8), number(&whole, header + 32, 8));
            for end in [offset, offset + size / 2, offset + size, header] {
                read_all(&whole[..end.min(whole.len())]);
            }
            // Each word of the header.
            for at in (header..header + 64).step_by(4) {
                let is = number(&whole, at, 4) as u32;
                for value in [is ^ 1, is.wrapping_add(8), u32::MAX] {
                    let mut damaged = whole.clone();
                    damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
                    read_all(&damaged);
                }
            }
            // And some of its contents: names, symbols, relocations, types, code.
            if number(&whole, header + 4, 4) == 8 {
                continue;
            }
            let step = (size / 24).next_multiple_of(4).max(4);
            for at in (offset..(offset + size).saturating_sub(3)).step_by(step) {
                let is = number(&whole, at, 4) as u32;
                for value in [is ^ 1, u32::MAX] {
                    let mut damaged = whole.clone();
                    damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
                    read_all(&damaged);
                }
            }
        }
    }
}
