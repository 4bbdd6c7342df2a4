//! What a program adjusts to the types of a kernel when libbpf loads it (CO-RE), which the language can only remark upon.

use super::names::shown;
use crate::btf::Btf;
use crate::insn::ByteOrder;
use std::collections::{BTreeMap, HashMap};

/// What is adjusted (`enum bpf_core_relo_kind` of `include/uapi/linux/bpf.h`).
const KINDS: [&str; 13] = [
    "offset of field",
    "size of field",
    "existence of field",
    "sign of field",
    "left shift for field",
    "right shift for field",
    "local number of type",
    "number of type",
    "existence of type",
    "size of type",
    "existence of enumerator",
    "value of enumerator",
    "likeness of type",
];

/// Where the header says how long it is, and where this part begins in longer ones.
const LENGTH: usize = 4;
const PART: usize = 24;

/// Remarks on instructions, by the name of their section and their slot there.
pub(super) type Remarks = HashMap<String, BTreeMap<usize, Vec<String>>>;

/// All of them. What cannot be read gives none.
pub(super) fn remarks(ext: &[u8], btf: &Btf, order: ByteOrder) -> Remarks {
    let mut remarks = Remarks::new();
    let _ = read(ext, btf, order, &mut |section, offset, remark| {
        let section = remarks.entry(shown(section)).or_default();
        section.entry(offset as usize / 8).or_default().push(remark);
    });
    remarks
}

fn read(
    ext: &[u8],
    btf: &Btf,
    order: ByteOrder,
    keep: &mut dyn FnMut(&str, u32, String),
) -> Option<()> {
    let word = |bytes: &[u8], at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(match order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    };
    let header = word(ext, LENGTH)? as usize;
    if header < PART + 8 {
        return None;
    }
    let start = header.checked_add(word(ext, PART)? as usize)?;
    let length = word(ext, PART + 4)? as usize;
    let mut part = ext.get(start..start.checked_add(length)?)?;
    let size = word(part, 0)? as usize;
    part = part.get(4..)?;
    if size < 16 {
        return None;
    }
    while !part.is_empty() {
        let (section, count) = (word(part, 0)?, word(part, 4)? as usize);
        let section = btf.string(section, 0).ok()?;
        let records = part.get(8..8_usize.checked_add(count.checked_mul(size)?)?)?;
        for record in records.chunks_exact(size) {
            let (offset, id) = (word(record, 0)?, word(record, 4)?);
            let (access, kind) = (word(record, 8)?, word(record, 12)?);
            let kind = KINDS.get(kind as usize).copied().unwrap_or("something");
            let of = btf.declaration(id, "").unwrap_or_else(|_| format!("type {id}"));
            let access = btf.string(access, id).unwrap_or_default();
            let remark = format!("CO-RE: {kind}, {} {}", shown(&of), shown(access));
            keep(section, offset, remark);
        }
        part = part.get(8 + records.len()..)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Member};

    /// `struct btf_ext_header` with the part of relocations, one of which is for the access `0:1` to a struct.
    #[test]
    fn what_is_adjusted_is_remarked_upon() {
        let mut builder = Builder::new();
        let word = builder.int("int", 4, true);
        let member = |name, bit_offset| Member { name, of: word, bit_offset, bits: None };
        let pair = builder.composite("pair", false, 8, &[member("a", 0), member("b", 32)]);
        let (section, access) = (builder.string("kprobe/x"), builder.string("0:1"));
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        let words = [
            0x0001_eb9f,
            32,
            0,
            0,
            0,
            0,
            0,
            28, // header: no functions, no lines
            16,
            section,
            1,
            24,
            pair,
            access,
            0, // one record of 16 bytes, for the instruction at 24
        ];
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let bytes = |word: u32| match order {
                ByteOrder::Little => word.to_le_bytes(),
                ByteOrder::Big => word.to_be_bytes(),
            };
            let ext: Vec<u8> = words.into_iter().flat_map(bytes).collect();
            let found = remarks(&ext, &btf, order);
            let remark = "CO-RE: offset of field, struct pair 0:1".to_owned();
            let expected = BTreeMap::from([(3, vec![remark])]);
            assert_eq!(found, Remarks::from([("kprobe/x".to_owned(), expected)]));
            for length in 0..ext.len() {
                assert!(remarks(&ext[..length], &btf, order).is_empty());
            }
        }
    }
}
