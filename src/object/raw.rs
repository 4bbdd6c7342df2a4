//! The contents of an ELF file for BPF: its sections, its symbols, its relocations. It is treated as untrusted input.

use super::ObjectError;
use super::headers::{check_btf, check_sections, check_symbols};
use crate::asm::Section;
use crate::btf::{Btf, swapped};
use crate::insn::ByteOrder;
use object::elf::{self, FileHeader64};
use object::endian::Endianness;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use std::borrow::Cow;

/// The most bytes of a section of data: the verifier takes no higher offset into a value (`BPF_MAX_VAR_OFF`).
pub(super) const MOST: u64 = 1 << 29;

/// The longest name, bytes: twice what the kernel allows (`KSYM_NAME_LEN`). Many names can be in one place of a file.
pub(super) const LONGEST: usize = 1024;

/// The most bytes of the names of all symbols together.
const MOST_NAMES: usize = 1 << 26;

/// The problem if more is read of a file than is there.
const OVERLAP: &str = "its sections lie one over the other";

/// A file as it is.
#[derive(Debug)]
pub(super) struct Raw<'d> {
    pub order: ByteOrder,
    /// By their numbers in the file, from 0.
    pub sections: Vec<RawSection<'d>>,
    /// The same.
    pub symbols: Vec<RawSymbol>,
}

#[derive(Debug)]
pub(super) struct RawSection<'d> {
    pub name: String,
    pub kind: Kind,
    /// Nothing, of a section of zeros.
    pub bytes: Cow<'d, [u8]>,
    pub size: u64,
    pub align: u64,
    pub relocations: Vec<RawRelocation>,
}

/// The purpose of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Data(Section),
    /// `.maps`
    Maps,
    /// `maps`, of before there was BTF.
    OldMaps,
    /// `.struct_ops`, or `.struct_ops.link`: structs of the kernel with programs in them, registered by a link or not.
    /// With a question mark before the name, they are not created unless the user says so.
    StructOps {
        link: bool,
        autocreate: bool,
    },
    /// `.addr_space.1`: variables of the arena.
    Arena,
    /// `.jumptables`: the places that `gotox` jumps to.
    JumpTables,
    License,
    /// The version of the kernel that old loaders passed on. Only a linker looks at it.
    Version,
    Btf,
    BtfExt,
    /// Data of which nothing is known, by its name.
    Unknown,
    /// Tables, debug information, and what is empty.
    Nothing,
}

#[derive(Debug)]
pub(super) struct RawSymbol {
    pub name: String,
    pub kind: SymbolKind,
    /// The number of its section; `None` if it is in none: it is defined elsewhere, or a number.
    pub section: Option<usize>,
    pub value: u64,
    pub size: u64,
    pub global: bool,
    pub weak: bool,
    /// Whether it is not to be seen outside of what the object is linked to (`STV_HIDDEN`, `STV_INTERNAL`).
    pub hidden: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SymbolKind {
    Function,
    Object,
    /// It does not say.
    Untyped,
    /// A section as a whole.
    Section,
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RawRelocation {
    pub offset: u64,
    pub kind: u32,
    /// The number of its symbol.
    pub symbol: usize,
    /// The number that is added to the symbol; `None` if it stands in the instruction itself (`SHT_REL`).
    pub addend: Option<i64>,
}

/// Whether a name is that of a section, or of one of its kind: `.rodata.str1.1`.
fn is(name: &str, section: &str) -> bool {
    name.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn kind_of(name: &str, section_type: elf::SectionType, executable: bool, size: u64) -> Kind {
    let data = || Section::ALL.into_iter().find(|section| is(name, section.name()));
    match section_type {
        _ if size == 0 => Kind::Nothing,
        elf::SHT_PROGBITS if executable => Kind::Code,
        elf::SHT_PROGBITS => match name {
            "license" => Kind::License,
            "version" => Kind::Version,
            ".maps" => Kind::Maps,
            "maps" => Kind::OldMaps,
            ".struct_ops" => Kind::StructOps { link: false, autocreate: true },
            "?.struct_ops" => Kind::StructOps { link: false, autocreate: false },
            ".struct_ops.link" => Kind::StructOps { link: true, autocreate: true },
            "?.struct_ops.link" => Kind::StructOps { link: true, autocreate: false },
            ".addr_space.1" => Kind::Arena,
            ".jumptables" => Kind::JumpTables,
            ".BTF" => Kind::Btf,
            ".BTF.ext" => Kind::BtfExt,
            ".eh_frame" => Kind::Nothing,
            _ if is(name, ".debug") || name.starts_with(".debug_") => Kind::Nothing,
            _ => data().filter(|data| *data != Section::Bss).map_or(Kind::Unknown, Kind::Data),
        },
        elf::SHT_NOBITS => data().map_or(Kind::Unknown, Kind::Data),
        _ => Kind::Nothing,
    }
}

/// Looks whether the data is no more than the verifier can address.
pub(super) fn small_enough(sections: &[RawSection<'_>]) -> Result<(), ObjectError> {
    for of in Section::ALL {
        let sizes = sections.iter().filter(|section| section.kind == Kind::Data(of));
        if sizes.map(|section| section.size.next_multiple_of(64)).sum::<u64>() > MOST {
            let problem = "its sections of data of one kind have more than 512 MiB";
            return Err(ObjectError::File { problem });
        }
    }
    Ok(())
}

fn text(name: &[u8]) -> Result<String, ObjectError> {
    if name.len() > LONGEST {
        return Err(ObjectError::File { problem: "a name has more than 1,024 bytes" });
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

impl<'d> Raw<'d> {
    /// Reads a file.
    pub fn new(data: &'d [u8]) -> Result<Raw<'d>, ObjectError> {
        let wrong = |problem| move |_| ObjectError::File { problem };
        let header = FileHeader64::<Endianness>::parse(data)
            .map_err(wrong("it does not begin as an ELF file of 64 bits does"))?;
        let endian = header.endian().map_err(wrong("it does not say its byte order"))?;
        // Old compilers wrote 0 for the machine.
        let machine = header.e_machine(endian);
        if machine != elf::EM_BPF && machine != elf::EM_NONE {
            return Err(ObjectError::File { problem: "it is for another machine than BPF" });
        }
        if header.e_type(endian) != elf::ET_REL {
            return Err(ObjectError::File { problem: "it is no relocatable object" });
        }
        let table =
            header.sections(endian, data).map_err(wrong("its table of sections is damaged"))?;
        let mut names = Vec::with_capacity(table.len());
        for section in table.iter() {
            let name = table
                .section_name(endian, section)
                .map_err(wrong("a name of a section lies beyond its strings"))?;
            names.push(text(name)?);
        }
        let headers: Vec<_> = table.iter().copied().collect();
        check_sections(header, &headers, endian, &names)?;
        let mut sections = Vec::with_capacity(table.len());
        let mut most = data.len();
        for (section, name) in table.iter().zip(names) {
            let size = section.sh_size(endian);
            let executable = section.sh_flags(endian).contains(elf::SHF_EXECINSTR);
            let kind = kind_of(&name, section.sh_type(endian), executable, size);
            let problem = |problem| ObjectError::Section { section: name.clone(), problem };
            let bytes = match kind {
                Kind::Nothing => &[],
                _ => section
                    .data(endian, data)
                    .map_err(|_| problem("it lies beyond the end of the file"))?,
            };
            if size > MOST && kind != Kind::Nothing {
                return Err(problem("it has more than 512 MiB"));
            }
            most = most.checked_sub(bytes.len()).ok_or(ObjectError::File { problem: OVERLAP })?;
            let align = section.sh_addralign(endian);
            let (bytes, relocations) = (bytes.into(), Vec::new());
            sections.push(RawSection { kind, bytes, size, align, relocations, name });
        }

        small_enough(&sections)?;
        let symbols = table
            .symbols(endian, data, elf::SHT_SYMTAB)
            .map_err(wrong("its table of symbols is damaged"))?;
        let strings = symbols.strings();
        let mut named = Vec::with_capacity(symbols.len());
        let mut most = MOST_NAMES;
        for (index, symbol) in symbols.enumerate() {
            let name = symbol
                .name(endian, strings)
                .map_err(wrong("a name of a symbol lies beyond its strings"))?;
            let section = symbols
                .symbol_section(endian, symbol, index)
                .map_err(wrong("a symbol is in a section that there is not"))?;
            let problem = "the names of its symbols have more than 64 MiB";
            most = most.checked_sub(name.len()).ok_or(ObjectError::File { problem })?;
            named.push(RawSymbol {
                name: text(name)?,
                kind: match symbol.st_type() {
                    elf::STT_FUNC => SymbolKind::Function,
                    elf::STT_OBJECT => SymbolKind::Object,
                    elf::STT_NOTYPE => SymbolKind::Untyped,
                    elf::STT_SECTION => SymbolKind::Section,
                    _ => SymbolKind::Other,
                },
                section: section.map(|section| section.0).filter(|index| *index < sections.len()),
                value: symbol.st_value(endian),
                size: symbol.st_size(endian),
                global: !symbol.is_local(),
                weak: symbol.is_weak(),
                hidden: matches!(symbol.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL),
            });
        }

        let order = match endian {
            Endianness::Little => ByteOrder::Little,
            Endianness::Big => ByteOrder::Big,
        };
        // However many tables say that they are in one place of the file, this is how many there can be.
        let mut most = data.len() / size_of::<elf::Rel64<Endianness>>();
        for section in table.iter() {
            let wrong = wrong("a table of relocations is damaged");
            let read: Vec<RawRelocation> = match section.sh_type(endian) {
                elf::SHT_REL => {
                    let Some((table, _)) = section.rel(endian, data).map_err(wrong)? else {
                        continue;
                    };
                    most = most
                        .checked_sub(table.len())
                        .ok_or(ObjectError::File { problem: OVERLAP })?;
                    let one = |relocation: &elf::Rel64<Endianness>| RawRelocation {
                        offset: relocation.r_offset.get(endian),
                        kind: relocation.r_type(endian).0,
                        symbol: relocation.r_sym(endian) as usize,
                        addend: None,
                    };
                    table.iter().map(one).collect()
                }
                elf::SHT_RELA => {
                    let Some((table, _)) = section.rela(endian, data).map_err(wrong)? else {
                        continue;
                    };
                    most = most
                        .checked_sub(table.len())
                        .ok_or(ObjectError::File { problem: OVERLAP })?;
                    let one = |relocation: &elf::Rela64<Endianness>| RawRelocation {
                        offset: relocation.r_offset.get(endian),
                        kind: relocation.r_type(endian, false).0,
                        symbol: relocation.r_sym(endian, false) as usize,
                        addend: Some(relocation.r_addend.get(endian)),
                    };
                    table.iter().map(one).collect()
                }
                _ => continue,
            };
            let Some(of) = sections.get_mut(section.sh_info(endian) as usize) else {
                return Err(ObjectError::File {
                    problem: "relocations are for a section that there is not",
                });
            };
            // Those of debug information are for debuggers.
            if !matches!(of.kind, Kind::Nothing | Kind::Btf | Kind::BtfExt) {
                let in_place = |relocation: RawRelocation| RawRelocation {
                    addend: relocation.addend.or_else(|| of.addend(relocation.offset, order)),
                    ..relocation
                };
                let read: Vec<_> = read.into_iter().map(in_place).collect();
                of.relocations.extend(read);
            }
        }
        for section in &mut sections {
            section.relocations.sort_by_key(|relocation| relocation.offset);
        }
        let raw = Raw { order, sections, symbols: named };
        check_symbols(&raw)?;
        Ok(raw)
    }

    /// The contents of the first section of a kind.
    pub fn bytes(&self, kind: Kind) -> Option<&[u8]> {
        let found = self.sections.iter().find(|section| section.kind == kind);
        found.map(|section| &*section.bytes)
    }
}

impl Raw<'_> {
    /// Reads its types; `None` if it has none.
    pub fn types(&self) -> Result<Option<Btf>, ObjectError> {
        let Some(bytes) = self.bytes(Kind::Btf) else { return Ok(None) };
        check_btf(bytes, self.order)?;
        let bytes = bytes.to_vec();
        let bytes = match self.order {
            ByteOrder::NATIVE => bytes,
            _ => swapped(bytes).ok_or(ObjectError::File {
                problem: "its types do not have the byte order of the file",
            })?,
        };
        Btf::new(bytes).map(Some).map_err(ObjectError::Types)
    }
}

impl RawSection<'_> {
    /// Returns the addend of an address in data, which stands in its place; instructions have theirs in fields.
    fn addend(&self, offset: u64, order: ByteOrder) -> Option<i64> {
        let bytes = self.bytes.get(usize::try_from(offset).ok()?..)?.first_chunk::<8>()?;
        (self.kind != Kind::Code).then_some(match order {
            ByteOrder::Little => i64::from_le_bytes(*bytes),
            ByteOrder::Big => i64::from_be_bytes(*bytes),
        })
    }
}
