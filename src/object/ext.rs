//! `.BTF.ext` of an object: records about its instructions, section after section.

use crate::btf::Btf;
use crate::insn::ByteOrder;
use std::collections::HashMap;

/// The offset in the header of its length.
const LENGTH: usize = 4;

/// The offset in the header of the place of the functions.
pub(super) const FUNCTIONS: usize = 8;

/// The same of the source lines.
pub(super) const LINES: usize = 16;

/// The same of the CO-RE relocations.
pub(super) const CORE: usize = 24;

/// The number of bits of a column, below those of a line.
const COLUMN: u32 = 10;

/// Passes each record of a part to `keep`, with its section, the slot there and its words behind the offset of the instruction;
/// `None` if the part is damaged. The header has the place of the part at `place`.
pub(super) fn records<const N: usize>(
    ext: &[u8],
    place: usize,
    btf: &Btf,
    order: ByteOrder,
    keep: &mut dyn FnMut(&str, usize, [u32; N]),
) -> Option<()> {
    let word = |bytes: &[u8], at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(match order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    };
    let header = word(ext, LENGTH)? as usize;
    // Older compilers have no such part, others an empty one.
    if header < place + 8 || word(ext, place + 4)? == 0 {
        return Some(());
    }
    let start = header.checked_add(word(ext, place)? as usize)?;
    let length = word(ext, place + 4)? as usize;
    let mut part = ext.get(start..start.checked_add(length)?)?;
    let size = word(part, 0)? as usize;
    part = part.get(4..)?;
    if size < 4 * (N + 1) {
        return None;
    }
    while !part.is_empty() {
        let (section, count) = (word(part, 0)?, word(part, 4)? as usize);
        let section = btf.name(section, 0).ok()?;
        let records = part.get(8..8_usize.checked_add(count.checked_mul(size)?)?)?;
        for record in records.chunks_exact(size) {
            let offset = word(record, 0)?;
            if offset % 8 != 0 {
                return None;
            }
            let mut words = [0; N];
            for (to, at) in words.iter_mut().zip((4..).step_by(4)) {
                *to = word(record, at)?;
            }
            keep(section, offset as usize / 8, words);
        }
        part = part.get(8 + records.len()..)?;
    }
    Some(())
}

/// The records about the instructions in one section, in the order of these: each begins with the offset of one, in bytes.
#[derive(Debug)]
pub(super) struct Records<const N: usize> {
    /// The offset of the name of the section in the strings.
    pub section: u32,
    pub records: Vec<[u32; N]>,
}

/// Writes functions, source lines and CO-RE relocations, section by section.
pub(super) fn written(
    functions: &[Records<2>],
    lines: &[Records<4>],
    core: &[Records<4>],
    order: ByteOrder,
) -> Vec<u8> {
    let word = |word: u32| match order {
        ByteOrder::Little => word.to_le_bytes(),
        ByteOrder::Big => word.to_be_bytes(),
    };
    let parts = [part(functions), part(lines), part(core)];
    // Without relocations the header is that of before Linux 5.6, which all loaders read.
    let parts = if parts[2].is_empty() { &parts[..2] } else { &parts };
    let mut header = vec![8 + 8 * parts.len() as u32];
    let mut start = 0;
    for part in parts {
        let length = 4 * part.len() as u32;
        header.extend([start, length]);
        start += length;
    }
    let magic = match order {
        ByteOrder::Little => 0xeb9f_u16.to_le_bytes(),
        ByteOrder::Big => 0xeb9f_u16.to_be_bytes(),
    };
    // Version and flags; the length of the header; where each part begins behind it, and its length.
    let mut ext = [&magic[..], &[1, 0]].concat();
    ext.extend(header.iter().chain(parts.iter().flatten()).copied().flat_map(word));
    ext
}

/// A part: how long its records are, then section after section. Nothing, if there are none.
fn part<const N: usize>(sections: &[Records<N>]) -> Vec<u32> {
    if sections.is_empty() {
        return Vec::new();
    }
    let mut words = vec![4 * N as u32];
    for Records { section, records } in sections {
        words.extend([*section, records.len() as u32]);
        words.extend(records.iter().flatten());
    }
    words
}

/// The source lines of instructions, by the names of their sections and in the order of their slots.
#[derive(Debug, Default)]
pub(super) struct SourceLines(HashMap<String, Vec<SourceLine>>);

#[derive(Debug, Clone, Copy)]
struct SourceLine {
    slot: usize,
    /// The offset of the name of the file among the strings.
    file: u32,
    line: u32,
}

impl SourceLines {
    /// Reads them; none if they are damaged, since only messages have them.
    pub fn read(ext: &[u8], btf: &Btf, order: ByteOrder) -> SourceLines {
        let mut lines: HashMap<String, Vec<SourceLine>> = HashMap::new();
        let mut keep = |section: &str, slot, [file, _, position]: [u32; 3]| {
            let line = SourceLine { slot, file, line: position >> COLUMN };
            match lines.get_mut(section) {
                Some(lines) => lines.push(line),
                None => drop(lines.insert(section.to_owned(), vec![line])),
            }
        };
        if records(ext, LINES, btf, order, &mut keep).is_none() {
            return SourceLines::default();
        }
        for lines in lines.values_mut() {
            lines.sort_by_key(|line| line.slot);
        }
        SourceLines(lines)
    }

    /// Returns the file and line of an instruction: `trace.c:12`.
    pub fn of(&self, btf: &Btf, section: &str, slot: usize) -> Option<String> {
        let lines = self.0.get(section)?;
        let before = lines.partition_point(|line| line.slot <= slot);
        let SourceLine { file, line, .. } = *lines.get(before.checked_sub(1)?)?;
        let file = btf.name(file, 0).ok()?;
        // The folder is that of the compiler's machine.
        let file = file.rsplit('/').next().unwrap_or(file);
        Some(format!("{}:{line}", super::names::shown(file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Builder;

    #[test]
    fn an_instruction_is_of_the_line_before_it() {
        let mut builder = Builder::new();
        let (section, file) = (builder.string("xdp"), builder.string("/home/me/one.c"));
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        let line = |line: u32| line << 10 | 3;
        let header = [0x0001_eb9f, 32, 0, 0, 0, 44, 44, 0, 16, section, 2];
        // Not in the order of their slots.
        let records = [24, file, 0, line(9), 8, file, 0, line(7)];
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let words = header.iter().chain(&records);
            let bytes = |word: &u32| match order {
                ByteOrder::Little => word.to_le_bytes(),
                ByteOrder::Big => word.to_be_bytes(),
            };
            let ext: Vec<u8> = words.flat_map(bytes).collect();
            let lines = SourceLines::read(&ext, &btf, order);
            for (section, slot, expected) in [
                ("xdp", 0, None),
                ("xdp", 1, Some("one.c:7")),
                ("xdp", 2, Some("one.c:7")),
                ("xdp", 9, Some("one.c:9")),
                ("tc", 1, None),
            ] {
                assert_eq!(lines.of(&btf, section, slot).as_deref(), expected, "{section} {slot}");
            }
            for length in 0..ext.len() {
                let lines = SourceLines::read(&ext[..length], &btf, order);
                assert_eq!(lines.of(&btf, "xdp", 9), None);
            }
        }
    }
}
