//! Checks of the headers of an object: what they say agrees with the rest of the file, or the section at fault is named.

use super::ObjectError;
use super::raw::{Kind, Raw, RawSection, SymbolKind};
use crate::insn::ByteOrder;
use object::elf::{self, FileHeader64, SectionHeader64, SectionType};
use object::endian::Endianness;
use object::read::elf::SectionHeader;

/// The first half-word of `.BTF` and `.BTF.ext`.
const MAGIC: usize = 0xeb9f;

/// The bytes of `struct btf_header`.
const BTF: usize = 24;

/// The bytes of `struct btf_ext_header` of old compilers, which did not have CO-RE relocations, and of new ones.
const EXT: [usize; 2] = [24, 32];

fn damaged(section: &str, problem: &'static str) -> ObjectError {
    ObjectError::Section { section: section.into(), problem }
}

/// A section of a file, by its header.
struct Place<'n> {
    name: &'n str,
    kind: SectionType,
    code: bool,
    start: u64,
    size: u64,
    align: u64,
    link: u32,
    info: u32,
}

/// Checks the headers of the sections, whose names these are.
pub(super) fn check_sections(
    header: &FileHeader64<Endianness>,
    table: &[SectionHeader64<Endianness>],
    endian: Endianness,
    names: &[String],
) -> Result<(), ObjectError> {
    if table.is_empty() {
        return Err(ObjectError::File { problem: "it has no sections" });
    }
    let mut places = Vec::with_capacity(table.len());
    for (section, name) in table.iter().zip(names) {
        places.push(Place {
            name,
            kind: section.sh_type(endian),
            code: section.sh_flags(endian).contains(elf::SHF_EXECINSTR),
            start: section.sh_offset(endian),
            size: section.sh_size(endian),
            align: section.sh_addralign(endian),
            link: section.sh_link(endian),
            info: section.sh_info(endian),
        });
    }
    for (number, section) in places.iter().enumerate() {
        check_section(number, section, &places)?;
    }
    if !places.iter().any(|section| section.kind == elf::SHT_SYMTAB && section.size > 0) {
        return Err(ObjectError::File { problem: "it has no table of symbols" });
    }
    check_overlap(header, endian, &places)
}

fn check_section(number: usize, section: &Place<'_>, all: &[Place<'_>]) -> Result<(), ObjectError> {
    let problem = |problem| Err(damaged(section.name, problem));
    if number == 0 {
        // More sections than the header of the file can count are counted there.
        return match section.kind == elf::SHT_NULL && section.start == 0 {
            true => Ok(()),
            false => Err(ObjectError::File { problem: "its table of sections is damaged" }),
        };
    }
    if section.kind == elf::SHT_NULL {
        return problem("it has the type of no section");
    }
    if section.align > 1 && !section.align.is_power_of_two() {
        return problem("its alignment is no power of two");
    }
    let in_file = section.kind != elf::SHT_NOBITS;
    if section.align > 1 && in_file && !section.start.is_multiple_of(section.align) {
        return problem("its place is not aligned as it says");
    }
    let relocates = |prefix: &str| section.name.strip_prefix(prefix);
    match section.kind {
        elf::SHT_REL | elf::SHT_RELA => {
            let prefix = if section.kind == elf::SHT_REL { ".rel" } else { ".rela" };
            let entry = if section.kind == elf::SHT_REL { 16 } else { 24 };
            let Some(of) = all.get(section.info as usize) else {
                return problem("it is for a section that there is not");
            };
            if relocates(prefix).is_some_and(|name| name != of.name) {
                return problem("it is for a section of another name");
            }
            let symbols = all.get(section.link as usize).map(|symbols| symbols.kind);
            if symbols != Some(elf::SHT_SYMTAB) {
                return problem("it names no table of symbols");
            }
            if section.size == 0 || !section.size.is_multiple_of(entry) {
                return problem("its size is not that of whole relocations");
            }
        }
        elf::SHT_SYMTAB if !section.size.is_multiple_of(24) => {
            return problem("its size is not that of whole symbols");
        }
        kind => {
            let zeros = section.name == ".bss" || section.name.starts_with(".bss.");
            let wanted = if zeros { elf::SHT_NOBITS } else { elf::SHT_PROGBITS };
            if kind != wanted && has_type_of_its_own(section.name) {
                return problem("it has another type than its name says");
            }
            let data = section.name != ".text" && has_type_of_its_own(section.name);
            if section.code && (data || section.name.starts_with(".debug")) {
                return problem("it says that it is code, and its name that it is not");
            }
            if section.size == 0 && HAVE_CONTENTS.contains(&section.name) {
                return problem("it is empty");
            }
        }
    }
    Ok(())
}

/// Sections that there are only if there is something in them.
const HAVE_CONTENTS: [&str; 9] = [
    "license",
    "maps",
    ".maps",
    ".BTF",
    ".BTF.ext",
    ".struct_ops",
    ".struct_ops.link",
    "?.struct_ops",
    "?.struct_ops.link",
];

/// Whether a section of that name holds what the file is for, or relocations for it.
fn has_type_of_its_own(name: &str) -> bool {
    let data = [".rodata", ".data", ".bss", ".rel"];
    HAVE_CONTENTS.contains(&name)
        || matches!(name, ".text" | "version" | ".addr_space.1" | ".jumptables")
        || data.iter().any(|data| name.starts_with(data))
}

/// Refuses sections that lie one over the other, over the header of the file, or over the table of sections.
fn check_overlap(
    header: &FileHeader64<Endianness>,
    endian: Endianness,
    places: &[Place<'_>],
) -> Result<(), ObjectError> {
    let table = header.e_shoff.get(endian);
    let of_table = (table, table.saturating_add(64 * places.len() as u64), "");
    let mut ranges = vec![(0, 64, ""), of_table];
    for section in places {
        let is_there = section.size > 0 && !matches!(section.kind, elf::SHT_NOBITS | elf::SHT_NULL);
        if is_there {
            let end = section.start.saturating_add(section.size);
            ranges.push((section.start, end, section.name));
        }
    }
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        let [(_, end, before), (start, _, name)] = pair else { continue };
        if end > start {
            let section = if name.is_empty() { before } else { name };
            return Err(damaged(section, "it and another section lie one over the other"));
        }
    }
    Ok(())
}

/// Checks that what has a size lies in its section, and that functions lie in code.
pub(super) fn check_symbols(raw: &Raw<'_>) -> Result<(), ObjectError> {
    for symbol in &raw.symbols {
        let Some(section) = symbol.section.and_then(|index| raw.sections.get(index)) else {
            continue;
        };
        let RawSection { name, kind, size, .. } = section;
        let function = symbol.kind == SymbolKind::Function;
        if !function && symbol.kind != SymbolKind::Object {
            continue;
        }
        if function && *kind != Kind::Code {
            return Err(damaged(name, "there are functions in it, and it is not of code"));
        }
        if symbol.value.checked_add(symbol.size).is_none_or(|end| end > *size) {
            return Err(damaged(name, "a symbol in it lies beyond its end"));
        }
    }
    Ok(())
}

/// The words of a header, in the byte order of the file.
fn word(bytes: &[u8], at: usize, order: ByteOrder) -> Option<usize> {
    let word = *bytes.get(at..)?.first_chunk::<4>()?;
    Some(match order {
        ByteOrder::Little => u32::from_le_bytes(word),
        ByteOrder::Big => u32::from_be_bytes(word),
    } as usize)
}

/// Magic, version and flags, in the byte order of the file.
fn begins_well(bytes: &[u8], order: ByteOrder) -> bool {
    let magic = match order {
        ByteOrder::Little => (MAGIC as u16).to_le_bytes(),
        ByteOrder::Big => (MAGIC as u16).to_be_bytes(),
    };
    bytes.starts_with(&[magic[0], magic[1], 1, 0])
}

/// Checks the header of `.BTF` as kernels do: no flags, and types and strings with nothing between, before or behind them.
pub(super) fn check_btf(bytes: &[u8], order: ByteOrder) -> Result<(), ObjectError> {
    let check = || {
        let field = |at: usize| word(bytes, at, order);
        let [header, types, types_len] = [field(4)?, field(8)?, field(12)?];
        let [strings, strings_len] = [field(16)?, field(20)?];
        let data = bytes.len().checked_sub(header)?;
        let whole = header >= BTF
            && types == 0
            && types_len == strings
            && strings.checked_add(strings_len)? == data;
        (begins_well(bytes, order) && whole).then_some(())
    };
    check().ok_or_else(|| damaged(".BTF", "its header does not describe what is in it"))
}

/// Whether the header of `.BTF.ext` describes all that is in it: functions, source lines and relocations, one behind the other.
pub(super) fn is_whole_ext(bytes: &[u8], order: ByteOrder) -> bool {
    let check = || {
        let header = word(bytes, 4, order)?;
        let mut data = bytes.len().checked_sub(header)?;
        let mut parts = Vec::with_capacity(3);
        for at in (8..header.min(EXT[1])).step_by(8) {
            let (start, len) = (word(bytes, at, order)?, word(bytes, at + 4, order)?);
            if len > 0 {
                parts.push((start, len));
            }
        }
        parts.sort_unstable();
        let mut end = 0;
        for (start, len) in parts {
            if start != end {
                return None;
            }
            end = start.checked_add(len)?;
            data = data.checked_sub(len)?;
        }
        // Newer headers have parts that are not known here.
        let known = EXT.contains(&header);
        let whole = if known { data == 0 } else { header > EXT[1] && header % 4 == 0 };
        (begins_well(bytes, order) && whole).then_some(())
    };
    check().is_some()
}
