//! Static probes in programs and libraries (USDT), as described by the section `.note.stapsdt`.
//!
//! The authors of a program place them (`sys/sdt.h` of SystemTap): a `nop` instruction, and a note with a name, the
//! place of the instruction and the locations of the arguments. The compiler may make several copies of the code around
//! it, and then the probe has several places, each with its own note. A probe can have a semaphore, a counter in the
//! program's memory: only while that is not zero does the program compute the arguments. The kernel increments it while
//! a program is attached.

mod argument;
mod load;
mod registers;

pub use argument::{Argument, Operand};
pub use load::ArgumentRegisters;
#[cfg(feature = "bt")]
pub(crate) use load::{From, Location};
pub use registers::Register;

use super::bytes::{Bytes, Pieces};
use super::elf::{Elf, Read};
use crate::error::{Error, Result};
use crate::util::escape;
use crate::util::glob::{Glob, is_pattern};
use crate::util::nearest::{Nearest, OFFERED};
use argument::Machine;
use object::elf::{self, FileHeader32, FileHeader64, SHT_NOTE};
use object::endian::{Endian, Endianness};
use object::read::elf::{FileHeader, NoteIterator, SectionHeader};
use std::path::Path;

/// A USDT probe of a program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsdtProbe {
    /// The provider: usually the name of the program or library.
    pub provider: String,
    /// Its name.
    pub name: String,
    /// Its places, in the order of the file. An attached program finds out at which of them it runs:
    /// `get_attach_cookie` gives the index (Linux 5.15).
    pub places: Vec<UsdtPlace>,
    native: bool,
}

/// One of the places of a USDT probe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsdtPlace {
    /// Its file offset, in bytes.
    pub offset: u64,
    /// The file offset of its semaphore, in bytes, if it has one.
    pub semaphore: Option<u64>,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Its address in the file, to which the addresses of variables are relative.
    address: u64,
    /// Addresses of variables that arguments are in.
    variables: Vec<(String, u64)>,
    /// Whether its semaphore is not in the file, so that the kernel cannot increment it.
    pub(crate) unreachable: bool,
}

impl UsdtProbe {
    /// The argument of this number, from 1 on, if it is the same in all places; `None` too if there is none.
    pub fn argument(&self, number: usize) -> Option<&Argument> {
        let mut all = self.places.iter().map(|place| place.arguments.get(number.checked_sub(1)?));
        let first = all.next()??;
        all.all(|other| other == Some(first)).then_some(first)
    }

    /// The lowest twelve bits of the address of each place, which are the same wherever the file is mapped.
    #[cfg(feature = "bt")]
    pub(crate) fn page_offsets(&self) -> impl Iterator<Item = u16> {
        self.places.iter().map(|place| (place.address & 0xfff) as u16)
    }

    /// Whether its program runs on this machine, so that the registers of its arguments can be read here.
    pub(crate) fn is_native(&self) -> bool {
        self.native
    }
}

/// The USDT probes that a file holds, sorted by provider and name. None if it holds none.
///
/// ```no_run
/// for probe in rawbpf::user::usdt_probes("/usr/bin/python3")? {
///     let first = &probe.places[0];
///     println!("{}:{} at {:#x} {:?}", probe.provider, probe.name, first.offset, first.arguments);
/// }
/// # Ok::<(), rawbpf::Error>(())
/// ```
///
/// # Errors
/// [`Error::File`] if it cannot be read, [`Error::Format`] if it is not an ELF file or its notes are damaged.
pub fn usdt_probes(path: impl AsRef<Path>) -> Result<Vec<UsdtProbe>> {
    probes(&Elf::open(path.as_ref())?)
}

/// The probes of a provider, or of any, and a name, both of which may be patterns.
///
/// # Errors
/// [`Error::NotInFile`] with the nearest names if there is none.
pub(crate) fn find_usdt(path: &Path, provider: &str, name: &str) -> Result<Vec<UsdtProbe>> {
    let all = usdt_probes(path)?;
    let fits = |pattern: &str, text: &str| match is_pattern(pattern) {
        true => Glob::new(pattern).matches(text),
        false => pattern == text,
    };
    let of = |probe: &UsdtProbe| provider.is_empty() || fits(provider, &probe.provider);
    let none = all.is_empty();
    let mut nearest = Nearest::new(name, OFFERED);
    all.iter().for_each(|probe| nearest.offer(&probe.name));
    let names: Vec<_> = nearest
        .into_names()
        .iter()
        .flat_map(|name| all.iter().filter(move |probe| probe.name == *name))
        .map(|probe| format!("{}:{}", probe.provider, probe.name))
        .collect();
    let found: Vec<_> =
        all.into_iter().filter(|probe| of(probe) && fits(name, &probe.name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Error::NotInFile {
        what: "USDT probe",
        name: format!("{provider}:{name}"),
        path: path.into(),
        nearest: names,
        note: none.then_some("it has none: was it built with them?"),
    })
}

/// The probes of an open file.
fn probes(elf: &Elf) -> Result<Vec<UsdtProbe>> {
    let data = &Pieces::new(elf.file());
    let read = if elf.is_64 {
        notes::<FileHeader64<Endianness>>(data, elf)
    } else {
        notes::<FileHeader32<Endianness>>(data, elf)
    };
    let notes = read.map_err(|_| elf.damaged("its notes of USDT probes are damaged"))?;
    let machine = machine(elf);
    let mut probes: Vec<UsdtProbe> = Vec::new();
    // Few have many places, and their notes are often side by side.
    let mut order = std::collections::BTreeMap::new();
    for note in notes {
        // Linkers keep the notes of code that they discard.
        let Some(offset) = elf.offset(note.location, true) else { continue };
        let semaphore = match note.semaphore {
            0 => None,
            address => elf.offset(address, false),
        };
        let unreachable = note.semaphore != 0 && semaphore.is_none();
        let arguments = argument::parse(&note.arguments, machine);
        let variables = variables(elf, &arguments)?;
        let place = UsdtPlace {
            offset,
            semaphore,
            arguments,
            address: note.location,
            variables,
            unreachable,
        };
        let index = *order.entry((note.provider.clone(), note.name.clone())).or_insert_with(|| {
            let (provider, name) = (note.provider, note.name);
            let native = is_native(elf);
            probes.push(UsdtProbe { provider, name, places: Vec::new(), native });
            probes.len() - 1
        });
        if let Some(probe) = probes.get_mut(index)
            && !probe.places.iter().any(|other| other.offset == offset)
        {
            probe.places.push(place);
        }
    }
    probes.sort_by(|a, b| (&a.provider, &a.name).cmp(&(&b.provider, &b.name)));
    Ok(probes)
}

fn machine(elf: &Elf) -> Machine {
    match elf::Machine(elf.machine) {
        elf::EM_X86_64 | elf::EM_386 => Machine::X86,
        elf::EM_AARCH64 => Machine::Aarch64 { big_endian: elf.endian == Endianness::Big },
        elf::EM_S390 if elf.is_64 => Machine::S390x,
        elf::EM_RISCV if elf.is_64 => Machine::Riscv64,
        _ => Machine::Other,
    }
}

/// Whether the registers of a program are where this machine's kernel keeps them.
fn is_native(elf: &Elf) -> bool {
    let order = if cfg!(target_endian = "big") { Endianness::Big } else { Endianness::Little };
    let machine = match elf::Machine(elf.machine) {
        elf::EM_X86_64 | elf::EM_386 => cfg!(target_arch = "x86_64"),
        elf::EM_AARCH64 => cfg!(target_arch = "aarch64"),
        elf::EM_S390 => cfg!(target_arch = "s390x"),
        elf::EM_RISCV => cfg!(target_arch = "riscv64"),
        _ => false,
    };
    machine && elf.endian == order
}

/// Returns the addresses of the variables that arguments are in, as far as the file has their symbols.
fn variables(elf: &Elf, arguments: &[Argument]) -> Result<Vec<(String, u64)>> {
    let names: Vec<&str> = arguments
        .iter()
        .filter_map(|argument| match &argument.operand {
            Operand::Variable { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    elf.variables(&names)
}

/// A note, with addresses as the rest of the file has them.
struct Note {
    location: u64,
    semaphore: u64,
    provider: String,
    name: String,
    arguments: String,
}

/// `NT_STAPSDT`.
const STAPSDT: u32 = 3;

fn notes<H: FileHeader<Endian = Endianness>>(data: Bytes<'_>, elf: &Elf) -> Read<Vec<Note>> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut found = Vec::new();
    let mut read = 0u64;
    for section in sections.iter().filter(|section| section.sh_type(endian) == SHT_NOTE) {
        // Sections that overlap, each as large as the file, would fill the memory.
        read = read.saturating_add(section.sh_size(endian).into());
        if read > elf.len() {
            break;
        }
        let bytes = section.data(endian, data)?;
        // The format of other notes does not matter.
        let Ok(mut notes) = NoteIterator::<H>::new(endian, section.sh_addralign(endian), bytes)
        else {
            continue;
        };
        let mut any = false;
        loop {
            match notes.next() {
                Ok(None) => break,
                Err(_) if !any => break,
                Err(error) => return Err(error),
                Ok(Some(note)) => {
                    if note.name() != b"stapsdt" || note.n_type(endian).0 != STAPSDT {
                        continue;
                    }
                    any = true;
                    found.extend(note_of(note.desc(), elf));
                }
            }
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    // A tool that moved the code after the compiler had written the notes (prelink) has moved this section, too, and
    // the notes record its original address.
    let base = sections.section_by_name(endian, b".stapsdt.base");
    let base = base.map(|(_, section)| section.sh_addr(endian).into());
    let moved = |address: u64, noted: u64| match base {
        Some(base) if noted != 0 => address.wrapping_add(base).wrapping_sub(noted),
        _ => address,
    };
    let placed = found.into_iter().map(|(mut note, noted)| {
        note.location = moved(note.location, noted);
        if note.semaphore != 0 {
            note.semaphore = moved(note.semaphore, noted);
        }
        note
    });
    Ok(placed.collect())
}

/// Parses the description of a note, three addresses and three strings; returns it with the recorded base address.
fn note_of(mut bytes: &[u8], elf: &Elf) -> Option<(Note, u64)> {
    let mut address = || {
        if elf.is_64 {
            let (first, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(elf.endian.read_u64(*first))
        } else {
            let (first, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(u64::from(elf.endian.read_u32(*first)))
        }
    };
    let (location, base, semaphore) = (address()?, address()?, address()?);
    let mut texts = bytes.split(|byte| *byte == 0);
    let mut text = || Some(escape::text(texts.next()?).into_owned());
    let (provider, name, arguments) = (text()?, text()?, text()?);
    if name.is_empty() {
        return None;
    }
    Some((Note { location, semaphore, provider, name, arguments }, base))
}
