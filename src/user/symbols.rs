//! Functions of programs and libraries, by their names.

use super::elf::{Elf, Kind, Symbol, Table, split_version};
use crate::error::{Error, Result};
use crate::util::nearest::{Nearest, OFFERED};
use std::path::Path;

/// A function of a program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Its name, as the linker knows it: of C++ and Rust mangled. Behind an `@` the version, if it is one that only old
    /// programs ask for.
    pub name: String,
    /// Where it begins, bytes from the beginning of the file.
    pub offset: u64,
    /// How long it is, bytes; 0 if nothing is known.
    pub size: u64,
    /// It is no function itself: it gives the address of the one that is best for this machine (`STT_GNU_IFUNC`), and is
    /// called once, when a process starts. `strlen` of glibc is one.
    pub indirect: bool,
}

/// The functions that the symbol tables of a file name, those of `.symtab` and of `.dynsym`, sorted by name. Of a file that
/// was stripped there are those that it lends to others, and those of its separate debug file, if that is installed.
///
/// # Errors
/// [`Error::File`] if it cannot be read, [`Error::Format`] if it is no ELF file or is damaged.
pub fn functions(path: impl AsRef<Path>) -> Result<Vec<Function>> {
    all(&Elf::open(path.as_ref())?)
}

/// The same of an open file.
pub(crate) fn all(elf: &Elf) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    let mut keep = |symbol: &Symbol<'_>| {
        let offset = elf.offset(symbol.address, true);
        if let (Some(offset), true, Kind::Function | Kind::Indirect) =
            (offset, symbol.defined, symbol.kind)
        {
            let name = match symbol.version {
                Some(version) if symbol.hidden => format!("{}@{version}", symbol.name),
                _ => symbol.name.to_owned(),
            };
            let indirect = symbol.kind == Kind::Indirect;
            functions.push(Function { name, offset, size: symbol.size, indirect });
        }
    };
    for table in [Table::Whole, Table::Dynamic] {
        elf.symbols(table, &mut keep)?;
    }
    functions.sort_unstable_by(|a, b| (&a.name, a.offset).cmp(&(&b.name, b.offset)));
    functions.dedup_by(|a, b| a.name == b.name && a.offset == b.offset);
    Ok(functions)
}

/// A function that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub address: u64,
    pub offset: u64,
    pub size: u64,
    pub indirect: bool,
}

/// How badly a symbol that has the name fits: whether it does not even say that it is a function, is only for its own
/// source file, is a version that only old programs ask for.
type Rank = (bool, bool, bool);

/// The function of a name, `strlen`, or of a name and a version, `memcpy@GLIBC_2.2.5`.
///
/// # Errors
/// [`Error::NotInFile`] with the nearest names if there is none, [`Error::Place`] if there are several or it is no code.
pub(crate) fn find(elf: &Elf, wanted: &str) -> Result<Found> {
    let mut search = Search { wanted, best: None, places: Vec::new(), only_used: false };
    let dynamic = elf.symbols(Table::Dynamic, &mut |symbol| search.look_at(symbol))?;
    // Whatever else has this name, it is not what callers get.
    let settled = search.best == Some((false, false, false));
    let whole = settled || elf.symbols(Table::Whole, &mut |symbol| search.look_at(symbol))?;
    let problem = |problem: String| Error::Place {
        target: format!("{}:{wanted}", elf.path().display()),
        problem,
    };
    match search.places.as_slice() {
        [] => not_found(elf, wanted, search.only_used, dynamic, whole),
        [Place { address, size, indirect }] => match elf.offset(*address, true) {
            Some(offset) => {
                Ok(Found { address: *address, offset, size: *size, indirect: *indirect })
            }
            None => Err(problem("it is in no part of the file that is code".into())),
        },
        several => {
            let offsets = several.iter().filter_map(|place| elf.offset(place.address, true));
            let offsets: Vec<_> = offsets.map(|offset| format!("{offset:#x}")).collect();
            Err(problem(format!(
                "several functions have this name: choose one by its place in the file, {}",
                offsets.join(" or ")
            )))
        }
    }
}

/// The address, as the file has it, and the size of a function or a variable; `None` if there is none of that name.
///
/// # Errors
/// [`Error::File`] and the like if the file cannot be read.
#[cfg(feature = "bt")]
pub(crate) fn symbol(path: &Path, name: &str) -> Result<Option<(u64, u64)>> {
    let elf = Elf::open(path)?;
    let mut found = None;
    for table in [Table::Dynamic, Table::Whole] {
        // Debug files are not looked for if they are not needed.
        if found.is_some() {
            break;
        }
        elf.symbols(table, &mut |symbol| {
            if found.is_none() && symbol.defined && symbol.name == name {
                found = Some((symbol.address, symbol.size));
            }
        })?;
    }
    Ok(found)
}

struct Search<'w> {
    wanted: &'w str,
    best: Option<Rank>,
    /// The best there are.
    places: Vec<Place>,
    /// The file has the name, but for something that it expects from another one.
    only_used: bool,
}

struct Place {
    address: u64,
    size: u64,
    indirect: bool,
}

impl Search<'_> {
    fn look_at(&mut self, symbol: &Symbol<'_>) {
        let (name, version, _) = match self.wanted == symbol.name {
            true => (self.wanted, None, false),
            false => split_version(self.wanted),
        };
        if symbol.kind == Kind::Variable
            || name != symbol.name
            || version.is_some() && version != symbol.version
        {
            return;
        }
        if !symbol.defined {
            self.only_used = true;
            return;
        }
        let unknown = symbol.kind == Kind::Unknown;
        let rank = (unknown, !symbol.global, symbol.hidden && version.is_none());
        match self.best {
            Some(best) if best < rank => return,
            Some(best) if best == rank => {}
            _ => self.places.clear(),
        }
        self.best = Some(rank);
        if !self.places.iter().any(|place| place.address == symbol.address) {
            let &Symbol { address, size, kind, .. } = symbol;
            self.places.push(Place { address, size, indirect: kind == Kind::Indirect });
        }
    }
}

fn not_found(
    elf: &Elf,
    wanted: &str,
    only_used: bool,
    dynamic: bool,
    whole: bool,
) -> Result<Found> {
    let mut nearest = Nearest::new(wanted, OFFERED);
    for function in all(elf)? {
        nearest.offer(&function.name);
    }
    let note = match (only_used, dynamic, whole) {
        (true, ..) => Some("it calls one of this name, which is in a library"),
        (_, false, false) => Some(
            "it was stripped of all its symbols: install its debug symbols, or name a place by its offset in the file, 0x1234",
        ),
        (_, true, false) => Some(
            "it was stripped of all symbols but those that others need: install its debug symbols for local functions",
        ),
        _ => None,
    };
    Err(Error::NotInFile {
        what: "function",
        name: wanted.into(),
        path: elf.path().into(),
        nearest: nearest.into_names(),
        note,
    })
}
