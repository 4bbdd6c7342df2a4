//! ELF files: their segments, the symbols of their functions, sections.
//!
//! Only the tables that are needed are read, so that it does not matter how much debug information a file has. Files
//! are treated as untrusted: everything is checked before use, as a file may be damaged or malicious.

use super::bytes::{Bytes, Pieces};
use super::debug_file;
use crate::error::{Error, Result};
use crate::util::escape;
use object::elf::SectionType;
use object::elf::{ELF_NOTE_GNU, NT_GNU_BUILD_ID, SHT_NOTE, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE};
use object::elf::{FileHeader32, FileHeader64, PF_X, PT_LOAD, SHT_DYNSYM, SHT_SYMTAB, STT_OBJECT};
use object::endian::Endianness;
use object::read::SymbolIndex;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader, Sym};
use std::cell::OnceCell;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The result of reading with the crate `object`, whose errors describe malformed files.
pub(super) type Read<T> = object::read::Result<T>;

/// An open file that begins as ELF files do.
#[derive(Debug)]
pub(crate) struct Elf {
    path: PathBuf,
    file: File,
    length: u64,
    /// Device and inode: the identity of the file, independent of its path.
    id: (u64, u64),
    pub(super) is_64: bool,
    pub(super) endian: Endianness,
    pub(super) machine: u16,
    segments: Vec<Segment>,
    /// Its separate debug file, once it was looked up.
    debug: OnceCell<Option<Box<Elf>>>,
}

/// The maximum length of a symbol name, with the terminating zero; longer ones are ignored. The end of a name is
/// searched once for each symbol.
const LONGEST_NAME: usize = 32 << 10;

/// A part of the file that is mapped into memory (`PT_LOAD`).
#[derive(Debug, Clone, Copy)]
struct Segment {
    address: u64,
    offset: u64,
    size: u64,
    executable: bool,
}

/// The symbol tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// The symbols for dynamic linking: `.dynsym`.
    Dynamic,
    /// All symbols, also the local ones: `.symtab`. If it was stripped off, that of the separate debug file.
    Whole,
}

/// A symbol that is or may be a function or a variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol<'a> {
    pub name: &'a str,
    pub version: Option<&'a str>,
    /// Whether it is a non-default version: references without a version bind to another symbol of this name.
    pub hidden: bool,
    pub address: u64,
    pub size: u64,
    pub kind: Kind,
    /// Whether it is visible outside its source file.
    pub global: bool,
    /// Whether it is defined in this file, and not only referenced.
    pub defined: bool,
}

/// The kind of a symbol, from its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A function.
    Function,
    /// An indirect function, which returns the function to use on this machine (`STT_GNU_IFUNC`).
    Indirect,
    /// No type: functions that were written in assembly language.
    Unknown,
    /// A variable.
    Variable,
}

impl Elf {
    /// Opens a file and reads its headers.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be opened, [`Error::Format`] if it is not an ELF file.
    pub(crate) fn open(path: &Path) -> Result<Elf> {
        let failed =
            |action| move |source| Error::File { action, path: path.into(), source, why: None };
        let wrong = |problem| Error::Format { path: path.into(), problem };
        // A pipe would be waited for.
        let about = std::fs::metadata(path).map_err(failed("open"))?;
        if !about.is_file() {
            return Err(wrong("it is not a regular file"));
        }
        // It can have become one since.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        Elf::of(path, file.map_err(failed("open"))?)
    }

    /// Reads the headers of a file that is open.
    ///
    /// # Errors
    /// As [`Elf::open`].
    pub(super) fn of(path: &Path, file: File) -> Result<Elf> {
        let failed =
            |action| move |source| Error::File { action, path: path.into(), source, why: None };
        let wrong = |problem| Error::Format { path: path.into(), problem };
        let about = file.metadata().map_err(failed("open"))?;
        if !about.is_file() {
            return Err(wrong("it is not a regular file"));
        }
        let mut start = [0; 5];
        match file.read_exact_at(&mut start, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            answer => answer.map_err(failed("read"))?,
        }
        let headers = |data| match start {
            [0x7f, b'E', b'L', b'F', 2] => Some(headers::<FileHeader64<Endianness>>(data)),
            [0x7f, b'E', b'L', b'F', 1] => Some(headers::<FileHeader32<Endianness>>(data)),
            _ => None,
        };
        let read = headers(&Pieces::new(&file));
        let (endian, machine, segments) = read
            .ok_or_else(|| wrong("it is no ELF file"))?
            .map_err(|_| wrong("its ELF header or the table of its segments is damaged"))?;
        Ok(Elf {
            path: path.into(),
            length: about.len(),
            id: (about.dev(), about.ino()),
            is_64: start[4] == 2,
            file,
            endian,
            machine,
            segments,
            debug: OnceCell::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Device and inode.
    pub(super) fn id(&self) -> (u64, u64) {
        self.id
    }

    pub(super) fn damaged(&self, problem: &'static str) -> Error {
        Error::Format { path: self.path.clone(), problem }
    }

    /// Returns the file offset that is mapped to an address. `executable`: only if it is code there.
    pub(super) fn offset(&self, address: u64, executable: bool) -> Option<u64> {
        self.segments.iter().filter(|segment| segment.executable || !executable).find_map(|s| {
            let within = address.checked_sub(s.address).filter(|within| *within < s.size)?;
            s.offset.checked_add(within)
        })
    }

    /// Returns the address to which that file offset is mapped. `executable` as above.
    pub(super) fn address(&self, offset: u64, executable: bool) -> Option<u64> {
        self.segments.iter().filter(|segment| segment.executable || !executable).find_map(|s| {
            let within = offset.checked_sub(s.offset).filter(|within| *within < s.size)?;
            s.address.checked_add(within)
        })
    }

    /// Returns the load bias, the distance of addresses in memory from those in the file, if the mapping at `start`
    /// shows the file from `offset` on. Mappings begin with a page, and segments anywhere within it.
    pub(super) fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        const LARGEST_PAGE: u64 = 1 << 16;
        let of = |s: &&Segment| {
            let end = s.offset.saturating_add(s.size);
            offset < end && s.offset.saturating_sub(offset) < LARGEST_PAGE
        };
        // The one that comes nearest: several can be in one page.
        let segment = self.segments.iter().filter(of).min_by_key(|s| s.offset.abs_diff(offset))?;
        let address = segment.address.wrapping_add(offset.wrapping_sub(segment.offset));
        Some(start.wrapping_sub(address))
    }

    /// The separate debug file of this one, if there is one. It is looked for once.
    pub(super) fn debug_file(&self) -> Option<&Elf> {
        self.debug.get_or_init(|| debug_file::find(self).map(Box::new)).as_deref()
    }

    /// Whether the file was made by the compiler of Go.
    #[cfg(any(feature = "cli", feature = "bt"))]
    pub(super) fn is_of_go(&self) -> bool {
        // `.gopclntab` has another name in position-independent programs, the others are of newer versions.
        [".go.buildinfo", ".gopclntab", ".note.go.buildid"]
            .iter()
            .any(|name| self.has_section(name))
    }

    /// Whether the file has a section of this name; `false` if it is damaged.
    pub(super) fn has_section(&self, name: &str) -> bool {
        let data = &Pieces::new(&self.file);
        let read = if self.is_64 {
            has_section::<FileHeader64<Endianness>>(data, name.as_bytes())
        } else {
            has_section::<FileHeader32<Endianness>>(data, name.as_bytes())
        };
        read.unwrap_or_default()
    }

    /// The bytes of a section, by its name, if the file has it and it is not larger than `most`.
    pub(super) fn section(&self, name: &str, most: u64) -> Option<Vec<u8>> {
        let data = &Pieces::new(&self.file);
        let read = if self.is_64 {
            section::<FileHeader64<Endianness>>(data, name.as_bytes(), most)
        } else {
            section::<FileHeader32<Endianness>>(data, name.as_bytes(), most)
        };
        read.ok().flatten().map(<[u8]>::to_vec)
    }

    /// The build ID that the linker gave the file, if it did.
    pub(super) fn build_id(&self) -> Option<Vec<u8>> {
        let data = &Pieces::new(&self.file);
        let read = if self.is_64 {
            build_id::<FileHeader64<Endianness>>(data)
        } else {
            build_id::<FileHeader32<Endianness>>(data)
        };
        read.ok().flatten().map(<[u8]>::to_vec)
    }

    /// Passes each symbol of a table that is or may be a function or a variable to `f`. `false` if the file has no such
    /// table, and no debug file that has it.
    ///
    /// # Errors
    /// [`Error::Format`] if the table is damaged.
    pub(super) fn symbols(&self, table: Table, f: &mut dyn FnMut(&Symbol<'_>)) -> Result<bool> {
        if self.own_symbols(table, f)? {
            return Ok(true);
        }
        let debug = self.debug_file().filter(|_| table == Table::Whole);
        // A damaged one is treated as missing.
        Ok(debug.is_some_and(|debug| debug.own_symbols(table, f).unwrap_or_default()))
    }

    /// Passes the symbols in the file itself, as [`Elf::symbols`].
    fn own_symbols(&self, table: Table, f: &mut dyn FnMut(&Symbol<'_>)) -> Result<bool> {
        let (data, kind) = (&Pieces::new(&self.file), table.section());
        let done = if self.is_64 {
            symbols::<FileHeader64<Endianness>>(data, kind, f)
        } else {
            symbols::<FileHeader32<Endianness>>(data, kind, f)
        };
        done.map_err(|_| self.damaged("its table of symbols is damaged"))
    }

    /// The addresses of those of some variables that have symbols, and by which only one can be meant.
    ///
    /// # Errors
    /// As [`Elf::symbols`].
    pub(super) fn variables(&self, names: &[&str]) -> Result<Vec<(String, u64)>> {
        let mut found: Vec<(String, Option<u64>)> = Vec::new();
        let mut keep = |symbol: &Symbol<'_>| {
            let fits = matches!(symbol.kind, Kind::Variable | Kind::Unknown) && symbol.defined;
            if !fits || !names.contains(&symbol.name) {
                return;
            }
            match found.iter_mut().find(|(name, _)| name == symbol.name) {
                Some((_, address)) if *address != Some(symbol.address) => *address = None,
                Some(_) => {}
                None => found.push((symbol.name.into(), Some(symbol.address))),
            }
        };
        if !names.is_empty() {
            for table in [Table::Whole, Table::Dynamic] {
                self.symbols(table, &mut keep)?;
            }
        }
        Ok(found.into_iter().filter_map(|(name, address)| Some((name, address?))).collect())
    }
}

impl Table {
    fn section(self) -> SectionType {
        match self {
            Table::Dynamic => SHT_DYNSYM,
            Table::Whole => SHT_SYMTAB,
        }
    }
}

/// Byte order, machine and segments.
fn headers<H: FileHeader<Endian = Endianness>>(
    data: Bytes<'_>,
) -> Read<(Endianness, u16, Vec<Segment>)> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let loaded = header.program_headers(endian, data)?.iter();
    let loaded = loaded.filter(|segment| segment.p_type(endian) == PT_LOAD);
    let segments = loaded.map(|segment| Segment {
        address: segment.p_vaddr(endian).into(),
        offset: segment.p_offset(endian).into(),
        size: segment.p_filesz(endian).into(),
        executable: segment.p_flags(endian).contains(PF_X),
    });
    Ok((endian, header.e_machine(endian).0, segments.collect()))
}

fn has_section<H: FileHeader<Endian = Endianness>>(data: Bytes<'_>, name: &[u8]) -> Read<bool> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    Ok(header.sections(endian, data)?.section_by_name(endian, name).is_some())
}

fn section<'d, H: FileHeader<Endian = Endianness>>(
    data: Bytes<'d>,
    name: &[u8],
    most: u64,
) -> Read<Option<&'d [u8]>> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    match header.sections(endian, data)?.section_by_name(endian, name) {
        Some((_, section)) if section.sh_size(endian).into() <= most => {
            section.data(endian, data).map(Some)
        }
        _ => Ok(None),
    }
}

/// The maximum size of the note of a build ID.
const LARGEST_NOTE: u64 = 64 << 10;

fn build_id<'d, H: FileHeader<Endian = Endianness>>(data: Bytes<'d>) -> Read<Option<&'d [u8]>> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let small = sections.iter().filter(|section| {
        section.sh_type(endian) == SHT_NOTE && section.sh_size(endian).into() <= LARGEST_NOTE
    });
    for section in small {
        let (align, bytes) = (section.sh_addralign(endian), section.data(endian, data)?);
        let Ok(mut notes) = NoteIterator::<H>::new(endian, align, bytes) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Ok(Some(note.desc()));
            }
        }
    }
    Ok(None)
}

fn symbols<H: FileHeader<Endian = Endianness>>(
    data: Bytes<'_>,
    kind: SectionType,
    f: &mut dyn FnMut(&Symbol<'_>),
) -> Read<bool> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let Some(table) = sections.iter().find(|section| section.sh_type(endian) == kind) else {
        return Ok(false);
    };
    let symbols: &[H::Sym] = table.data_as_array(endian, data)?;
    // In one piece: object's own table of strings would read each name by itself.
    let strings = sections.section(table.link(endian))?.data(endian, data)?;
    let versions = match kind {
        // Without them a function can still be found.
        SHT_DYNSYM => sections.versions(endian, data).ok().flatten(),
        _ => None,
    };
    for (index, symbol) in symbols.iter().enumerate() {
        let kind = match symbol.st_type() {
            STT_FUNC => Kind::Function,
            STT_GNU_IFUNC => Kind::Indirect,
            STT_NOTYPE => Kind::Unknown,
            STT_OBJECT => Kind::Variable,
            _ => continue,
        };
        let name = strings.get(symbol.st_name(endian) as usize..).unwrap_or_default();
        let name = name.get(..LONGEST_NAME).unwrap_or(name);
        let name = escape::text(CStr::from_bytes_until_nul(name).unwrap_or_default().to_bytes());
        // Linkers write versions behind the names of the whole table.
        let (name, mut version, mut hidden) = split_version(&name);
        // Names with a dollar sign on ARM and RISC-V say where data begins, and code.
        if name.is_empty() || kind == Kind::Unknown && name.starts_with('$') {
            continue;
        }
        if let Some(versions) = &versions {
            let of = versions.version_index(endian, SymbolIndex(index));
            hidden = of.is_hidden();
            let known = versions.version(of.index()).ok().flatten();
            version = known.and_then(|known| std::str::from_utf8(known.name()).ok());
        }
        f(&Symbol {
            name,
            version,
            hidden,
            address: symbol.st_value(endian).into(),
            size: symbol.st_size(endian).into(),
            kind,
            global: !symbol.is_local(),
            defined: !symbol.is_undefined(endian),
        });
    }
    Ok(true)
}

/// `NAME@@VERSION`, the version that callers get; `NAME@VERSION`, one that old programs still ask for.
pub(super) fn split_version(name: &str) -> (&str, Option<&str>, bool) {
    match name.split_once('@') {
        Some((name, version)) => match version.strip_prefix('@') {
            Some(version) => (name, Some(version), false),
            None => (name, Some(version), true),
        },
        None => (name, None, false),
    }
}
