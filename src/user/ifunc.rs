//! Indirect functions (`STT_GNU_IFUNC`), which are chosen when a process starts: finds the chosen one.
//!
//! A symbol such as `strlen` of glibc does not name the function but its resolver: the dynamic linker calls that once,
//! and stores the result where callers find it. A probe on the symbol would count the starts of processes. Only running
//! the resolver shows what it chooses, and code of a file from the command line must not be run for that. But every
//! process that uses the library has the result in its memory, at places that the file's relocations give.

use super::bytes::{Bytes, Pieces};
use super::elf::{Elf, Read};
use super::process::{Mapping, Memory, Process, identity};
use super::symbols::Found;
use crate::error::{Error, Result};
use object::elf::{self, FileHeader32, FileHeader64};
use object::endian::Endianness;
use object::read::elf::{FileHeader, Rel, Rela, SectionHeader, Sym};
use std::collections::HashMap;
use std::ffi::CStr;
use std::path::Path;

/// Relocation types of one machine: that of the result of a resolver, and those of the address of a symbol.
struct Relocations {
    machine: u16,
    chosen: u32,
    symbols: [u32; 3],
}

/// Relocation types from the ABIs of the machines. (RISC-V has no `GLOB_DAT`, but the address of a symbol: 2 with 64
/// bits.)
const RELOCATIONS: &[Relocations] = &[
    Relocations { machine: elf::EM_X86_64.0, chosen: 37, symbols: [6, 7, 1] },
    Relocations { machine: elf::EM_386.0, chosen: 42, symbols: [6, 7, 1] },
    Relocations { machine: elf::EM_AARCH64.0, chosen: 1032, symbols: [1025, 1026, 257] },
    Relocations { machine: elf::EM_ARM.0, chosen: 160, symbols: [21, 22, 2] },
    Relocations { machine: elf::EM_S390.0, chosen: 61, symbols: [10, 11, 22] },
    Relocations { machine: elf::EM_RISCV.0, chosen: 58, symbols: [1, 2, 5] },
    Relocations { machine: elf::EM_PPC64.0, chosen: 248, symbols: [20, 21, 38] },
];

/// Returns the file offsets of the functions that processes use for `name`: all processes that are running, or the
/// given one. Nearly always it is one; with other settings (`GLIBC_TUNABLES`) a process may use another.
///
/// # Errors
/// [`Error::Place`] if the result is not found in any process.
pub(super) fn chosen(elf: &Elf, name: &str, found: &Found, pid: Option<u32>) -> Result<Vec<u64>> {
    let mut search =
        Search { elf, name, resolver: found.offset, offsets: Vec::new(), users: 0, unread: 0 };
    let processes = pid.map_or_else(Process::all, |pid| vec![Process(pid)]);
    // Calls within the library use a slot in one place of one file.
    let own = slots(elf, Wanted::Chosen(found.address))?;
    let mut others = HashMap::new();
    for process in &processes {
        search.look_at(*process, &own, None);
    }
    if search.offsets.is_empty() {
        for process in &processes {
            search.look_at(*process, &[], Some(&mut others));
        }
    }
    let (users, unread) = (search.users, search.unread);
    if search.offsets.is_empty() {
        let why = match (users, unread) {
            (0, _) => {
                "no process that is running has this file mapped, to see which one it is".into()
            }
            (_, 0) => "none of the processes that have this file mapped uses it".to_owned(),
            (_, unread) => format!(
                "the memory of {unread} processes that have this file mapped may not be read, to see which one it is"
            ),
        };
        return Err(Error::Place {
            target: format!("{}:{name}", elf.path().display()),
            problem: format!(
                "it stands for one of several functions, chosen when a process starts (IFUNC), and {why}"
            ),
        });
    }
    search.offsets.sort_unstable();
    Ok(search.offsets)
}

/// Slots of other files, by device and inode.
type Others = HashMap<(u64, u64), Option<(Elf, Vec<u64>)>>;

struct Search<'e> {
    elf: &'e Elf,
    name: &'e str,
    /// The address of the resolver, which is not what is looked for.
    resolver: u64,
    offsets: Vec<u64>,
    /// Processes that have the file mapped, and those of them whose memory cannot be read.
    users: usize,
    unread: usize,
}

impl Search<'_> {
    /// Looks into the slots of the file itself, or into those of all files that the process has mapped.
    fn look_at(&mut self, process: Process, own: &[u64], others: Option<&mut Others>) {
        let Ok(mappings) = process.mappings() else { return };
        let Some(file_name) = self.elf.path().file_name() else { return };
        // A name first: asking the file system about each would take long.
        let same = |mapping: &&Mapping| {
            mapping.path.file_name() == Some(file_name) || mapping.path == self.elf.path()
        };
        let mut names: Vec<&Path> =
            mappings.iter().filter(same).map(|m| m.path.as_path()).collect();
        names.dedup();
        names.retain(|path| identity(&process.path(path)) == Some(self.elf.id()));
        let ours: Vec<_> = mappings.iter().filter(|m| names.contains(&m.path.as_path())).collect();
        let Some(code) = ours.iter().find(|mapping| mapping.executable) else { return };
        if others.is_none() {
            self.users += 1;
        }
        let Ok(memory) = process.memory() else {
            self.unread += usize::from(others.is_none());
            return;
        };
        let mut take = |elf: &Elf, code: &Mapping, slots: &[u64]| {
            let Some(bias) = elf.bias(code.start, code.offset) else { return };
            for slot in slots {
                let Some(to) = word(elf, &memory, slot.wrapping_add(bias)) else { continue };
                let within = |m: &&&Mapping| m.executable && (m.start..m.end).contains(&to);
                let Some(mapping) = ours.iter().find(within) else { continue };
                let offset = mapping.offset.wrapping_add(to - mapping.start);
                if offset != self.resolver && !self.offsets.contains(&offset) {
                    self.offsets.push(offset);
                }
            }
        };
        let Some(others) = others else { return take(self.elf, code, own) };
        for mapping in mappings.iter().filter(|mapping| mapping.executable) {
            let path = process.path(&mapping.path);
            let Some(id) = identity(&path) else { continue };
            let read = || {
                let elf = Elf::open(&path).ok()?;
                let slots = slots(&elf, Wanted::Symbol(self.name)).ok()?;
                Some((elf, slots))
            };
            if let Some((elf, slots)) = others.entry(id).or_insert_with(read) {
                take(elf, mapping, slots);
            }
        }
    }
}

/// An address in the memory of a process, as long as those of a file are.
fn word(elf: &Elf, memory: &Memory, at: u64) -> Option<u64> {
    let big = elf.endian == Endianness::Big;
    if elf.is_64 {
        let bytes = memory.read(at).ok()?;
        Some(if big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    } else {
        let bytes = memory.read(at).ok()?;
        Some(if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }.into())
    }
}

/// The expected contents of a slot.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'w> {
    /// The function chosen by the resolver at this address.
    Chosen(u64),
    /// The address of a symbol.
    Symbol(&'w str),
}

/// Returns the addresses, as the file has them, that processes have in the wanted slots.
pub(super) fn slots(elf: &Elf, wanted: Wanted<'_>) -> Result<Vec<u64>> {
    let Some(kinds) = RELOCATIONS.iter().find(|known| known.machine == elf.machine) else {
        return Ok(Vec::new());
    };
    let data = &Pieces::new(elf.file());
    let read = if elf.is_64 {
        slots_of::<FileHeader64<Endianness>>(data, elf, kinds, wanted)
    } else {
        slots_of::<FileHeader32<Endianness>>(data, elf, kinds, wanted)
    };
    read.map_err(|_| elf.damaged("its relocations are damaged"))
}

/// A relocation.
struct Entry {
    at: u64,
    kind: u32,
    symbol: u32,
    /// `None` if it is in the place itself.
    addend: Option<u64>,
}

fn slots_of<H: FileHeader<Endian = Endianness>>(
    data: Bytes<'_>,
    elf: &Elf,
    kinds: &Relocations,
    wanted: Wanted<'_>,
) -> Read<Vec<u64>> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let names = match wanted {
        Wanted::Symbol(name) => Some((Names::<H>::of(&sections, endian, data)?, name)),
        Wanted::Chosen(_) => None,
    };
    let mut slots = Vec::new();
    let mut read = 0u64;
    for section in sections.iter() {
        // Relocations that have been applied in processes, not those that a linker has yet to process.
        let dynamic = section.sh_addr(endian).into() != 0;
        if !dynamic || !matches!(section.sh_type(endian), elf::SHT_RELA | elf::SHT_REL) {
            continue;
        }
        // Sections that overlap, each as large as the file, would fill the memory.
        read = read.saturating_add(section.sh_size(endian).into());
        if read > elf.len() {
            break;
        }
        let mut entries = Vec::new();
        if let Some((relocations, _)) = section.rela(endian, data)? {
            entries.extend(relocations.iter().map(|one| Entry {
                at: one.r_offset(endian).into(),
                kind: one.r_type(endian, false).0,
                symbol: one.r_sym(endian, false),
                addend: Some(Into::<i64>::into(one.r_addend(endian)) as u64),
            }));
        }
        if let Some((relocations, _)) = section.rel(endian, data)? {
            entries.extend(relocations.iter().map(|one| Entry {
                at: one.r_offset(endian).into(),
                kind: one.r_type(endian).0,
                symbol: one.r_sym(endian),
                addend: None,
            }));
        }
        let fits = |entry: &Entry| match (wanted, &names) {
            (Wanted::Chosen(address), _) => {
                entry.kind == kinds.chosen && addend(elf, entry) == Some(address)
            }
            (_, Some((names, name))) => {
                kinds.symbols.contains(&entry.kind) && names.has(endian, entry.symbol, name)
            }
            _ => false,
        };
        slots.extend(entries.iter().filter(|entry| fits(entry)).map(|entry| entry.at));
    }
    Ok(slots)
}

fn addend(elf: &Elf, entry: &Entry) -> Option<u64> {
    use std::os::unix::fs::FileExt;
    if entry.addend.is_some() {
        return entry.addend;
    }
    let offset = elf.offset(entry.at, false)?;
    let mut bytes = [0; 8];
    let bytes = bytes.get_mut(..if elf.is_64 { 8 } else { 4 })?;
    elf.file().read_exact_at(bytes, offset).ok()?;
    if elf.endian == Endianness::Big {
        Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    } else {
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

/// The symbols that relocations speak of.
struct Names<'d, H: FileHeader> {
    symbols: &'d [H::Sym],
    strings: &'d [u8],
}

impl<'d, H: FileHeader<Endian = Endianness>> Names<'d, H> {
    fn of(
        sections: &object::read::elf::SectionTable<'d, H, Bytes<'d>>,
        endian: Endianness,
        data: Bytes<'d>,
    ) -> Read<Self> {
        // A static program has none.
        let dynamic = |section: &&H::SectionHeader| section.sh_type(endian) == elf::SHT_DYNSYM;
        let Some(table) = sections.iter().find(dynamic) else {
            return Ok(Names { symbols: &[], strings: &[] });
        };
        let symbols = table.data_as_array(endian, data)?;
        let strings = sections.section(table.link(endian))?.data(endian, data)?;
        Ok(Names { symbols, strings })
    }

    fn has(&self, endian: Endianness, index: u32, name: &str) -> bool {
        let symbol = self.symbols.get(index as usize);
        let start = symbol.map_or(0, |symbol| symbol.st_name(endian));
        let rest = self.strings.get(start as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(rest).is_ok_and(|found| found.to_bytes() == name.as_bytes())
    }
}
