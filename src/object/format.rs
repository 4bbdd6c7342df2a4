//! An ELF file for BPF as sections, symbols and relocations, and the bytes that it is.

use crate::insn::ByteOrder;
use object::elf::{
    self, FileFlags, FileHeader64, Ident, Rel64, RelocationType, SectionFlags, SectionHeader64,
    SectionType, Sym64, SymbolInfo, SymbolOther, SymbolSection, SymbolType,
};
use object::endian::{Endianness, U16, U32, U64};
use object::pod::bytes_of;
use std::borrow::Cow;
use std::collections::HashMap;

/// A file that can be linked and loaded (`ET_REL`).
#[derive(Debug, Default)]
pub(super) struct File<'a> {
    pub sections: Vec<Section<'a>>,
    pub symbols: Vec<Symbol<'a>>,
}

/// A section. Those with the tables of symbols, relocations and strings are made from what is here.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub name: Cow<'a, str>,
    pub kind: SectionType,
    pub flags: SectionFlags,
    pub contents: Vec<u8>,
    /// Its size in bytes: those of a section without contents, `.bss`, are zeros in memory only.
    pub size: u64,
    pub relocations: Vec<Relocation>,
}

/// A name for a place.
#[derive(Debug)]
pub(super) struct Symbol<'a> {
    pub name: Cow<'a, str>,
    pub kind: SymbolType,
    /// Whether other files see it.
    pub global: bool,
    /// The index of its section in [`File::sections`].
    pub section: usize,
    pub value: u64,
    pub size: u64,
}

/// A place that is to hold the address of a symbol.
#[derive(Debug)]
pub(super) struct Relocation {
    pub offset: u64,
    /// Its index in [`File::symbols`].
    pub symbol: usize,
    pub kind: RelocationType,
}

impl<'a> Section<'a> {
    /// A section with contents.
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        flags: SectionFlags,
        contents: Vec<u8>,
    ) -> Section<'a> {
        let size = contents.len() as u64;
        let kind = elf::SHT_PROGBITS;
        Section { name: name.into(), kind, flags, contents, size, relocations: Vec::new() }
    }

    /// A section of zeros.
    pub fn zeros(name: impl Into<Cow<'a, str>>, flags: SectionFlags, size: u64) -> Section<'a> {
        let (contents, relocations) = (Vec::new(), Vec::new());
        let name = name.into();
        Section { name, kind: elf::SHT_NOBITS, flags, contents, size, relocations }
    }
}

/// Strings one after the other, each once.
struct Strings<'a> {
    bytes: Vec<u8>,
    known: HashMap<(&'a str, &'a str), u32>,
}

impl<'a> Strings<'a> {
    fn new() -> Strings<'a> {
        Strings { bytes: vec![0], known: HashMap::from([(("", ""), 0)]) }
    }

    /// The offset of a string that is put together of two.
    fn at(&mut self, start: &'a str, end: &'a str) -> u32 {
        // They are names of a text, which has less than 4 GiB; `to_bytes` looks whether all of them do.
        let next = self.bytes.len() as u32;
        *self.known.entry((start, end)).or_insert_with(|| {
            self.bytes.extend([start.as_bytes(), end.as_bytes(), &[0]].concat());
            next
        })
    }
}

/// The header of a section, once its contents have their place.
struct Header<'a> {
    names: [&'a str; 2],
    kind: SectionType,
    flags: SectionFlags,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

/// The length of an ELF header, of a symbol, and of a relocation, as the format has them.
const FILE_HEADER: u16 = size_of::<FileHeader64<Endianness>>() as u16;
const SECTION_HEADER: u16 = size_of::<SectionHeader64<Endianness>>() as u16;
const SYMBOL: u64 = size_of::<Sym64<Endianness>>() as u64;
const RELOCATION: u64 = size_of::<Rel64<Endianness>>() as u64;

/// Contents of a file, with those that follow at multiples of eight.
fn place(out: &mut Vec<u8>, contents: &[u8]) -> u64 {
    out.resize(out.len().next_multiple_of(8), 0);
    let offset = out.len() as u64;
    out.extend(contents);
    offset
}

impl File<'_> {
    /// The bytes, for machines of that order. The error says what there is too much of.
    pub fn to_bytes(&self, order: ByteOrder) -> Result<Vec<u8>, &'static str> {
        let endian = match order {
            ByteOrder::Little => Endianness::Little,
            ByteOrder::Big => Endianness::Big,
        };
        // Local symbols stand before global ones; 0 is none.
        let mut ranked: Vec<usize> = (0..self.symbols.len()).collect();
        ranked.sort_by_key(|index| self.symbols.get(*index).map(|symbol| symbol.global));
        let mut numbers = vec![0; self.symbols.len()];
        for (index, number) in ranked.iter().zip(1..) {
            if let Some(place) = numbers.get_mut(*index) {
                *place = number;
            }
        }
        let locals = 1 + self.symbols.iter().filter(|symbol| !symbol.global).count();

        let with_relocations = self.sections.iter().filter(|s| !s.relocations.is_empty()).count();
        // The first is none; two tables of strings and the symbols stand at the end.
        let table = 1 + self.sections.len() + with_relocations;
        if table + 3 >= usize::from(elf::SHN_LORESERVE) {
            return Err("an object has fewer than 65,280 sections");
        }

        let mut out = vec![0; FILE_HEADER.into()];
        let mut headers = vec![Header::none()];
        for section in &self.sections {
            let offset = place(&mut out, &section.contents);
            headers.push(Header {
                names: ["", &section.name],
                kind: section.kind,
                flags: section.flags,
                offset,
                size: section.size,
                align: 8,
                ..Header::none()
            });
        }
        for (section, number) in self.sections.iter().zip(1..) {
            if section.relocations.is_empty() {
                continue;
            }
            let mut bytes = Vec::with_capacity(section.relocations.len() * RELOCATION as usize);
            for relocation in &section.relocations {
                let symbol = numbers.get(relocation.symbol).copied().unwrap_or_default();
                bytes.extend(bytes_of(&Rel64 {
                    r_offset: U64::new(endian, relocation.offset),
                    r_info: Rel64::r_info(endian, symbol, relocation.kind),
                }));
            }
            headers.push(Header {
                names: [".rel", &section.name],
                kind: elf::SHT_REL,
                flags: elf::SHF_INFO_LINK,
                offset: place(&mut out, &bytes),
                size: bytes.len() as u64,
                link: table as u32,
                info: number,
                align: 8,
                entry: RELOCATION,
            });
        }

        let mut names = Strings::new();
        let mut bytes = vec![0; SYMBOL as usize];
        for symbol in ranked.iter().filter_map(|index| self.symbols.get(*index)) {
            let binding = if symbol.global { elf::STB_GLOBAL } else { elf::STB_LOCAL };
            bytes.extend(bytes_of(&Sym64 {
                st_name: U32::new(endian, names.at("", &symbol.name)),
                st_info: SymbolInfo::new(binding, symbol.kind),
                st_other: SymbolOther(0),
                // Fewer than 2^16, as was seen above.
                st_shndx: U16::new(endian, SymbolSection(symbol.section as u16 + 1)),
                st_value: U64::new(endian, symbol.value),
                st_size: U64::new(endian, symbol.size),
            }));
        }
        headers.push(Header {
            names: ["", ".symtab"],
            kind: elf::SHT_SYMTAB,
            offset: place(&mut out, &bytes),
            size: bytes.len() as u64,
            link: table as u32 + 1,
            info: locals as u32,
            align: 8,
            entry: SYMBOL,
            ..Header::none()
        });
        headers.push(Header::strings(".strtab", &mut out, &names.bytes));
        let mut section_names = Strings::new();
        section_names.at("", ".shstrtab");
        for header in &headers {
            section_names.at(header.names[0], header.names[1]);
        }
        headers.push(Header::strings(".shstrtab", &mut out, &section_names.bytes));
        if u32::try_from(names.bytes.len().max(section_names.bytes.len())).is_err() {
            return Err("the names of an object have less than 4 GiB");
        }

        let start = place(&mut out, &[]);
        for header in &headers {
            let name = section_names.at(header.names[0], header.names[1]);
            out.extend(bytes_of(&header.entry(name, endian)));
        }
        let header = FileHeader64 {
            e_ident: Ident {
                magic: elf::ELFMAG,
                class: elf::ELFCLASS64,
                data: match order {
                    ByteOrder::Little => elf::ELFDATA2LSB,
                    ByteOrder::Big => elf::ELFDATA2MSB,
                },
                version: elf::EV_CURRENT,
                os_abi: elf::ELFOSABI_NONE,
                abi_version: 0,
                padding: [0; 7],
            },
            e_type: U16::new(endian, elf::ET_REL),
            e_machine: U16::new(endian, elf::EM_BPF),
            e_version: U32::new(endian, elf::EV_CURRENT.0.into()),
            e_entry: U64::new(endian, 0),
            e_phoff: U64::new(endian, 0),
            e_shoff: U64::new(endian, start),
            e_flags: U32::new(endian, FileFlags(0)),
            e_ehsize: U16::new(endian, FILE_HEADER),
            e_phentsize: U16::new(endian, 0),
            e_phnum: U16::new(endian, 0),
            e_shentsize: U16::new(endian, SECTION_HEADER),
            e_shnum: U16::new(endian, headers.len() as u16),
            e_shstrndx: U16::new(endian, SymbolSection(table as u16 + 2)),
        };
        if let Some(place) = out.get_mut(..FILE_HEADER.into()) {
            place.copy_from_slice(bytes_of(&header));
        }
        Ok(out)
    }
}

impl<'a> Header<'a> {
    fn none() -> Header<'a> {
        Header {
            names: [""; 2],
            kind: elf::SHT_NULL,
            flags: SectionFlags(0),
            offset: 0,
            size: 0,
            link: 0,
            info: 0,
            align: 0,
            entry: 0,
        }
    }

    fn strings(name: &'a str, out: &mut Vec<u8>, bytes: &[u8]) -> Header<'a> {
        let (offset, size) = (place(out, bytes), bytes.len() as u64);
        let (names, kind) = (["", name], elf::SHT_STRTAB);
        Header { names, kind, offset, size, align: 1, ..Header::none() }
    }

    fn entry(&self, name: u32, endian: Endianness) -> SectionHeader64<Endianness> {
        SectionHeader64 {
            sh_name: U32::new(endian, name),
            sh_type: U32::new(endian, self.kind),
            sh_flags: U64::new(endian, self.flags),
            sh_addr: U64::new(endian, 0),
            sh_offset: U64::new(endian, self.offset),
            sh_size: U64::new(endian, self.size),
            sh_link: U32::new(endian, self.link),
            sh_info: U32::new(endian, self.info),
            sh_addralign: U64::new(endian, self.align),
            sh_entsize: U64::new(endian, self.entry),
        }
    }
}
