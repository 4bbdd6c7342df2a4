//! ELF files for tests: small ones, of both sizes and byte orders, with just the tables that are read here.

#[cfg(feature = "bt")]
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file to be: code at 0x1000 bytes that is mapped to 0x401000, data at 0x2000 bytes that is mapped to 0x603000.
#[derive(Debug, Clone, Default)]
pub(super) struct Fake {
    pub is_64: bool,
    pub big: bool,
    /// x86-64 if it is 0.
    pub machine: u16,
    pub dynamic: Vec<FakeSymbol>,
    pub whole: Vec<FakeSymbol>,
    /// Provider, name, arguments, location, semaphore.
    pub probes: Vec<(&'static str, &'static str, &'static str, u64, u64)>,
    /// The address of the section `.stapsdt.base` that the notes record; it is at 0x402000.
    pub base: u64,
    /// Whether there is a section `.gnu_debugdata`. What is in it is damaged.
    pub packed: bool,
    /// Relocations: place, type, symbol, number.
    pub relocations: Vec<(u64, u32, u32, u64)>,
}

pub(super) const CODE: u64 = 0x40_1000;
pub(super) const CODE_OFFSET: u64 = 0x1000;
pub(super) const DATA: u64 = 0x60_3000;
pub(super) const DATA_OFFSET: u64 = 0x2000;
pub(super) const BASE: u64 = 0x40_2000;
const SIZE: u64 = 0x400;

#[derive(Debug, Clone, Copy)]
pub(super) struct FakeSymbol {
    pub name: &'static str,
    pub address: u64,
    pub size: u64,
    /// Type and binding: `STT_FUNC` is 2, `STB_GLOBAL` 1 << 4.
    pub info: u8,
    pub defined: bool,
    /// The index into the table of versions: 1 none, 2 `V1`, 3 `V2`; with 0x8000 it is hidden.
    pub version: u16,
}

pub(super) const GLOBAL: u8 = 1 << 4;
pub(super) const WEAK: u8 = 2 << 4;
pub(super) const FUNCTION: u8 = 2;
pub(super) const OBJECT: u8 = 1;
pub(super) const IFUNC: u8 = 10;

/// A global function.
pub(super) fn function(name: &'static str, address: u64) -> FakeSymbol {
    FakeSymbol { name, address, size: 16, info: GLOBAL | FUNCTION, defined: true, version: 1 }
}

/// The output buffer, in one of the byte orders.
struct Out {
    bytes: Vec<u8>,
    is_64: bool,
    big: bool,
}

impl Out {
    fn number(&mut self, value: u64, size: usize) {
        let bytes = value.to_le_bytes();
        match self.big {
            false => self.bytes.extend(&bytes[..size]),
            true => self.bytes.extend(bytes[..size].iter().rev()),
        }
    }

    fn word(&mut self, value: u64) {
        self.number(value, if self.is_64 { 8 } else { 4 });
    }
}

/// Names one after the other, and where each begins.
#[derive(Default)]
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u64 {
        if self.0.is_empty() {
            self.0.push(0);
        }
        let at = self.0.len() as u64;
        self.0.extend(&*crate::util::escape::bytes(text));
        self.0.push(0);
        at
    }
}

struct Section {
    name: u64,
    kind: u32,
    address: u64,
    bytes: Vec<u8>,
    link: u32,
    info: u32,
    entry: u64,
}

impl Fake {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut names = Strings::default();
        let mut sections = vec![];
        let mut section = |name: &str, kind, address, bytes, link, info, entry| {
            sections.push(Section {
                name: names.add(name),
                kind,
                address,
                bytes,
                link,
                info,
                entry,
            });
        };
        let symbol_size = if self.is_64 { 24 } else { 16 };
        // Number 1 and 2, 3 and 4.
        for (table, strings, kind, symbols) in
            [(".dynsym", ".dynstr", 11, &self.dynamic), (".symtab", ".strtab", 2, &self.whole)]
        {
            let link = if kind == 11 { 2 } else { 4 };
            let (symbols, text) = self.symbols(symbols);
            let kind = if symbols.len() > symbol_size { kind } else { 1 };
            section(table, kind, 0, symbols, link, 0, symbol_size as u64);
            section(strings, 3, 0, text, 0, 0, 0);
        }
        let mut versions = self.out();
        versions.number(0, 2);
        self.dynamic.iter().for_each(|symbol| versions.number(symbol.version.into(), 2));
        section(".gnu.version", 0x6fff_ffff, 0, versions.bytes, 1, 0, 2);
        let mut definitions = self.out();
        let mut version_names = Strings::default();
        let (first, second) = (version_names.add("V1"), version_names.add("V2"));
        for (index, name, next) in [(2, first, 28), (3, second, 0)] {
            // vd_version, vd_flags, vd_ndx, vd_cnt, vd_hash, vd_aux, vd_next; vda_name, vda_next.
            for (value, size) in
                [(1, 2), (0, 2), (index, 2), (1, 2), (0, 4), (20, 4), (next, 4), (name, 4), (0, 4)]
            {
                definitions.number(value, size);
            }
        }
        // object takes the names from the table of strings that the symbols have.
        section(".gnu.version_d", 0x6fff_fffd, 0, definitions.bytes, 2, 2, 0);
        section(".note.stapsdt", 7, 0, self.notes(), 0, 0, 0);
        section(".stapsdt.base", 1, BASE, vec![0], 0, 0, 0);
        let mut relocations = self.out();
        for (place, kind, symbol, number) in &self.relocations {
            relocations.word(*place);
            let (symbol, kind) = (u64::from(*symbol), u64::from(*kind));
            relocations.word(if self.is_64 { symbol << 32 | kind } else { symbol << 8 | kind });
            relocations.word(*number);
        }
        let entry = if self.is_64 { 24 } else { 12 };
        section(".rela.dyn", 4, 0x40_0800, relocations.bytes, 1, 0, entry);
        if self.packed {
            section(".gnu_debugdata", 1, 0, vec![0xff; 8], 0, 0, 0);
        }
        let shstrtab = names.add(".shstrtab");
        let text = names.0;
        sections.push(Section {
            name: shstrtab,
            kind: 3,
            address: 0,
            bytes: text,
            link: 0,
            info: 0,
            entry: 0,
        });
        self.file(&sections)
    }

    fn out(&self) -> Out {
        Out { bytes: Vec::new(), is_64: self.is_64, big: self.big }
    }

    /// A table of symbols and its strings, which begin with the names of the versions.
    fn symbols(&self, symbols: &[FakeSymbol]) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut strings) = (self.out(), Strings::default());
        strings.add("V1");
        strings.add("V2");
        let none =
            FakeSymbol { name: "", address: 0, size: 0, info: 0, defined: false, version: 0 };
        for symbol in [none].iter().chain(symbols) {
            let name = strings.add(symbol.name);
            let section = if symbol.defined { 1 } else { 0 };
            out.number(name, 4);
            if self.is_64 {
                out.number(symbol.info.into(), 2 - 1);
                out.number(0, 1);
                out.number(section, 2);
                out.word(symbol.address);
                out.word(symbol.size);
            } else {
                out.word(symbol.address);
                out.word(symbol.size);
                out.number(symbol.info.into(), 1);
                out.number(0, 1);
                out.number(section, 2);
            }
        }
        (out.bytes, strings.0)
    }

    fn notes(&self) -> Vec<u8> {
        let mut out = self.out();
        for (provider, name, arguments, location, semaphore) in &self.probes {
            let mut note = self.out();
            note.word(*location);
            note.word(self.base);
            note.word(*semaphore);
            for text in [provider, name, arguments] {
                note.bytes.extend(&*crate::util::escape::bytes(text));
                note.bytes.push(0);
            }
            out.number(8, 4);
            out.number(note.bytes.len() as u64, 4);
            out.number(3, 4);
            out.bytes.extend(b"stapsdt\0");
            out.bytes.extend(note.bytes);
            out.bytes.resize(out.bytes.len().next_multiple_of(4), 0);
        }
        out.bytes
    }

    fn file(&self, sections: &[Section]) -> Vec<u8> {
        let (head, segment, section) = if self.is_64 { (64, 56, 64) } else { (52, 32, 40) };
        let mut out = self.out();
        out.bytes.extend(b"\x7fELF");
        out.bytes.push(if self.is_64 { 2 } else { 1 });
        out.bytes.push(if self.big { 2 } else { 1 });
        out.bytes.push(1);
        out.bytes.resize(16, 0);
        out.number(3, 2);
        out.number(if self.machine == 0 { 62 } else { self.machine.into() }, 2);
        out.number(1, 4);
        out.word(0);
        out.word(head);
        let sections_at = 0x3000;
        out.word(sections_at);
        out.number(0, 4);
        let count = sections.len() as u64 + 1;
        for value in [head, segment, 2, section, count, count - 1] {
            out.number(value, 2);
        }
        for (flags, offset, address) in [(5, CODE_OFFSET, CODE), (6, DATA_OFFSET, DATA)] {
            out.number(1, 4);
            if self.is_64 {
                out.number(flags, 4);
            }
            for value in [offset, address, address, SIZE, SIZE] {
                out.word(value);
            }
            if !self.is_64 {
                out.number(flags, 4);
            }
            out.word(0x1000);
        }
        let mut at = sections_at + section * count;
        let mut contents = Vec::new();
        out.bytes.resize(sections_at as usize + section as usize, 0);
        for one in sections {
            out.number(one.name, 4);
            out.number(one.kind.into(), 4);
            out.word(0);
            out.word(one.address);
            out.word(at);
            out.word(one.bytes.len() as u64);
            out.number(one.link.into(), 4);
            out.number(one.info.into(), 4);
            out.word(4);
            out.word(one.entry);
            contents.extend(&one.bytes);
            let padded = contents.len().next_multiple_of(8);
            at += (padded - contents.len() + one.bytes.len()) as u64;
            contents.resize(padded, 0);
        }
        out.bytes.extend(contents);
        out.bytes
    }
}

/// Makes a program with the function `work` at [`CODE`] and the static probe `app:start` in it, in a folder whose name is not UTF-8.
/// Returns the folder above, which is gone when dropped, and the program's path as the text of a script has it.
#[cfg(feature = "bt")]
pub(crate) fn program_in_odd_folder() -> (tempfile::TempDir, String) {
    let program = Fake {
        is_64: true,
        whole: vec![function("work", CODE)],
        probes: vec![("app", "start", "", CODE, 0)],
        base: BASE,
        ..Fake::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"o\xffdd"));
    std::fs::create_dir(&odd).unwrap();
    let path = odd.join("program");
    std::fs::write(&path, program.bytes()).unwrap();
    let text = crate::util::escape::path_text(&path).into_owned();
    (folder, text)
}

/// A file with some bytes, gone when dropped.
pub(super) struct Written(PathBuf);

impl Written {
    pub(super) fn new(bytes: &[u8]) -> Written {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rawbpf-elf-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Written(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
