//! The functions and source lines of an object's code (`.BTF.ext`), as the kernel takes them.

use super::ext::{FUNCTIONS, LINES, records};
use crate::btf::Btf;
use crate::insn::ByteOrder;
use std::collections::HashMap;

/// The records about the code of each section, by its name and in the order of their slots.
#[derive(Debug, Default)]
pub(super) struct Infos {
    /// Slot and BTF id of each function.
    functions: HashMap<String, Vec<[u32; 2]>>,
    /// Slot, offsets of file name and source line in the strings, line and column.
    lines: HashMap<String, Vec<[u32; 4]>>,
}

/// A piece of code in a section, and the slot of the program at which it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'s> {
    pub section: &'s str,
    pub first: usize,
    pub end: usize,
    pub start: usize,
}

impl Infos {
    /// Reads the records, which are in this machine's byte order; `None` if they are malformed.
    pub fn read(ext: &[u8], btf: &Btf) -> Option<Infos> {
        let functions = part::<2, 1>(ext, FUNCTIONS, btf)?;
        Some(Infos { functions, lines: part::<4, 3>(ext, LINES, btf)? })
    }

    /// Returns the BTF id of the function that begins there.
    pub fn function(&self, section: &str, slot: usize) -> Option<u32> {
        let own = self.functions.get(section)?;
        let at = own.binary_search_by_key(&slot, |[start, _]| *start as usize).ok()?;
        own.get(at).map(|[_, id]| *id)
    }

    /// Returns the records of the pieces of a program, in order: of functions one for each piece, or none at all, because the kernel
    /// refuses a program with fewer; and of lines those of all pieces, if each begins with one.
    pub fn of(&self, pieces: &[Piece<'_>]) -> (Vec<[u32; 2]>, Vec<[u32; 4]>) {
        let mut functions = Vec::with_capacity(pieces.len());
        let mut lines: Vec<[u32; 4]> = Vec::new();
        let mut all_lines = true;
        for piece in pieces {
            let own = within(self.functions.get(piece.section), piece);
            if let Some([slot, id]) = own.first().copied()
                && slot as usize == piece.first
            {
                functions.push([piece.start as u32, id]);
            }
            let own = within(self.lines.get(piece.section), piece);
            all_lines &= own.first().is_some_and(|line| line[0] as usize == piece.first);
            lines.extend(own.iter().map(|[slot, file, text, position]| {
                // Programs have fewer slots than 2^22.
                [slot - piece.first as u32 + piece.start as u32, *file, *text, *position]
            }));
        }
        if functions.len() != pieces.len() {
            return (Vec::new(), lines);
        }
        (functions, if all_lines { lines } else { Vec::new() })
    }
}

fn within<'r, const N: usize>(
    records: Option<&'r Vec<[u32; N]>>,
    piece: &Piece<'_>,
) -> &'r [[u32; N]] {
    let records = records.map(Vec::as_slice).unwrap_or_default();
    let at = |slot: usize| records.partition_point(|record| (record[0] as usize) < slot);
    records.get(at(piece.first)..at(piece.end)).unwrap_or_default()
}

/// Reads a part, whose place stands at that offset of the header: `M` words behind the offset of each instruction; `None` if it
/// is malformed.
fn part<const N: usize, const M: usize>(
    ext: &[u8],
    place: usize,
    btf: &Btf,
) -> Option<HashMap<String, Vec<[u32; N]>>> {
    let mut found: HashMap<String, Vec<[u32; N]>> = HashMap::new();
    let mut keep = |section: &str, slot: usize, words: [u32; M]| {
        let mut record = [0; N];
        for (to, from) in record.iter_mut().zip([slot as u32].into_iter().chain(words)) {
            *to = from;
        }
        match found.get_mut(section) {
            Some(records) => records.push(record),
            None => drop(found.insert(section.to_owned(), vec![record])),
        }
    };
    records(ext, place, btf, ByteOrder::NATIVE, &mut keep)?;
    for records in found.values_mut() {
        records.sort_by_key(|record| record[0]);
        // The kernel refuses two for one slot, and of a crafted file each program would have all of them.
        records.dedup_by_key(|record| record[0]);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Builder;

    #[test]
    fn an_instruction_has_one_record() {
        let mut builder = Builder::new();
        let (section, file) = (builder.string("xdp"), builder.string("one.c"));
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        let functions = [8, section, 3, 0, 7, 0, 8, 16, 9];
        let lines = [16, section, 5, 16, file, 0, 3, 0, file, 0, 1, 16, file, 0, 4, 8, file, 0, 2];
        let lines = [&lines[..], &[0, file, 0, 9]].concat();
        let lengths = [functions.len() as u32 * 4, lines.len() as u32 * 4];
        let header = [0x0001_eb9f, 32, 0, lengths[0], lengths[0], lengths[1], 0, 0];
        let words = header.iter().chain(&functions).chain(&lines);
        let ext: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
        let infos = Infos::read(&ext, &btf).unwrap();
        let pieces = [
            Piece { section: "xdp", first: 0, end: 2, start: 0 },
            Piece { section: "xdp", first: 2, end: 3, start: 2 },
        ];
        let expected =
            (vec![[0, 7], [2, 9]], vec![[0, file, 0, 1], [1, file, 0, 2], [2, file, 0, 3]]);
        assert_eq!(infos.of(&pieces), expected);
    }
}
