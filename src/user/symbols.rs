//! Functions of programs and libraries, by name.

use super::demangle::{Readable, demangled, is_mangled};
use super::elf::{Elf, Kind, Symbol, Table, split_version};
use super::parts::{self, Parts};
use crate::error::{Error, Result};
use crate::util::nearest::{Nearest, OFFERED};
use std::borrow::Cow;
use std::path::Path;

/// A function of a program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Its symbol name: of C++ and Rust mangled. Behind an `@` the version, if it is one that only old programs ask
    /// for.
    pub name: String,
    /// Its file offset, in bytes.
    pub offset: u64,
    /// Its size, in bytes; 0 if it is unknown.
    pub size: u64,
    /// Whether it is an indirect function (`STT_GNU_IFUNC`): a resolver that returns the address of the best function
    /// for this machine, called once, when a process starts. `strlen` of glibc is one.
    pub indirect: bool,
    /// Whether the name alone means another function of the file, or one of several.
    pub ambiguous: bool,
}

impl Function {
    /// Returns the name for a probe target: with the place in the file where the name alone is ambiguous,
    /// `helper@0x1139`.
    pub fn target_name(&self) -> Cow<'_, str> {
        match self.ambiguous {
            true => format!("{}@{:#x}", self.name, self.offset).into(),
            false => self.name.as_str().into(),
        }
    }
}

/// Returns the functions in the symbol tables of a file, `.symtab` and `.dynsym`, sorted by name. Of a stripped file
/// these are the exported ones, and those of its separate debug file, if that is installed.
///
/// # Errors
/// [`Error::File`] if it cannot be read, [`Error::Format`] if it is not an ELF file or is damaged.
pub fn functions(path: impl AsRef<Path>) -> Result<Vec<Function>> {
    all(&Elf::open(path.as_ref())?)
}

/// The most bytes of names of one file.
pub(super) const MOST_TEXT: usize = 256 << 20;

/// Returns the functions of an open file.
pub(crate) fn all(elf: &Elf) -> Result<Vec<Function>> {
    let (mut functions, mut text) = (Vec::new(), 0_usize);
    let mut keep = |symbol: &Symbol<'_>| {
        // Names can overlap in the file, and so be longer than it together.
        text = text.saturating_add(symbol.name.len());
        if text > MOST_TEXT {
            return;
        }
        let offset = elf.offset(symbol.address, true);
        if let (Some(offset), true, Kind::Function | Kind::Indirect) =
            (offset, symbol.defined, symbol.kind)
        {
            let name = match symbol.version {
                Some(version) if symbol.hidden => format!("{}@{version}", symbol.name),
                _ => symbol.name.to_owned(),
            };
            let indirect = symbol.kind == Kind::Indirect;
            // Until it is known what else there is: whether it is only for its own source file.
            let ambiguous = !symbol.global;
            functions.push(Function { name, offset, size: symbol.size, indirect, ambiguous });
        }
    };
    for table in [Table::Whole, Table::Dynamic] {
        elf.symbols(table, &mut keep)?;
    }
    if text > MOST_TEXT {
        return Err(elf.damaged("the names of its symbols take more than 256 MiB"));
    }
    let order = |one: &Function| (one.offset, one.ambiguous);
    functions.sort_unstable_by(|a, b| (&a.name, order(a)).cmp(&(&b.name, order(b))));
    functions.dedup_by(|a, b| a.name == b.name && a.offset == b.offset);
    for same in functions.chunk_by_mut(|a, b| a.name == b.name) {
        // A global one is meant before local ones, as `find` has it.
        let local = same.iter().all(|one| one.ambiguous);
        let several = same.iter().filter(|one| one.ambiguous == local).count() > 1;
        same.iter_mut().for_each(|one| one.ambiguous = several || one.ambiguous != local);
    }
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

/// The rank of a symbol among those of one name, the least is best: whether its type is not that of a function, whether
/// it is local to its source file, whether its version is one that only old programs ask for.
type Rank = (bool, bool, bool);

/// Finds the function of a name, `strlen`, of a name and a version, `memcpy@GLIBC_2.2.5`, or of a name and a place,
/// `helper@0x1139`.
///
/// # Errors
/// [`Error::NotInFile`] with the nearest names if there is none, [`Error::Place`] if there are several or it is not
/// code.
pub(crate) fn find(elf: &Elf, wanted: &str) -> Result<Found> {
    match search(elf, wanted)? {
        Ok(found) => Ok(found),
        Err(none) => Err(none.error(elf, wanted, Parts::BUILT)?),
    }
}

/// Finds a function as [`find`], or returns the reasons why there is none of that name.
///
/// # Errors
/// The errors of [`find`], but for that one.
pub(super) fn search(elf: &Elf, wanted: &str) -> Result<Result<Found, NotFound>> {
    let mut search = Search::new(elf, wanted, None);
    let dynamic = elf.symbols(Table::Dynamic, &mut |symbol| search.look_at(symbol))?;
    // Other symbols of this name are not what callers bind to.
    let settled = search.best == Some((false, false, false));
    let whole = settled || elf.symbols(Table::Whole, &mut |symbol| search.look_at(symbol))?;
    let only_used = search.only_used;
    if search.places.is_empty()
        && let Some((name, place)) = wanted.rsplit_once("@0x")
        && let Ok(place) = u64::from_str_radix(place, 16)
    {
        search = Search::new(elf, name, Some(place));
        for table in [Table::Dynamic, Table::Whole] {
            elf.symbols(table, &mut |symbol| search.look_at(symbol))?;
        }
    }
    let problem = |problem: String| Error::Place {
        target: format!("{}:{wanted}", elf.path().display()),
        problem,
    };
    match search.places.as_slice() {
        [] => Ok(Err(NotFound { only_used, dynamic, whole })),
        [Place { address, size, indirect }] => match elf.offset(*address, true) {
            Some(offset) => {
                Ok(Ok(Found { address: *address, offset, size: *size, indirect: *indirect }))
            }
            None => Err(problem("it is in no part of the file that is code".into())),
        },
        several => {
            let offsets = several.iter().filter_map(|place| elf.offset(place.address, true));
            let names: Vec<_> = offsets.map(|offset| format!("{wanted}@{offset:#x}")).collect();
            Err(problem(format!(
                "several functions have this name: choose one, {}",
                names.join(" or ")
            )))
        }
    }
}

/// The function that has a name in C++ or Rust, `ns::Type::function`; `None` if there is none.
///
/// # Errors
/// [`Error::Place`] with the functions there are, if there are several.
pub(super) fn find_readable(elf: &Elf, name: &str) -> Result<Option<Found>> {
    let readable = Readable::new(name);
    let mut found: Vec<Function> = Vec::new();
    for one in all(elf)?.into_iter().filter(|one| readable.is(&one.name)) {
        if !found.iter().any(|other| other.offset == one.offset) {
            found.push(one);
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [Function { offset, size, indirect, .. }] => {
            let (offset, size, indirect) = (*offset, *size, *indirect);
            let address = elf.address(offset, true).unwrap_or_default();
            Ok(Some(Found { address, offset, size, indirect }))
        }
        several => {
            let shown = several.iter().take(MOST_SHOWN).map(|one| {
                let name = demangled(&one.name).unwrap_or_default();
                format!("{} ({name})", one.target_name())
            });
            let mut shown = shown.collect::<Vec<_>>().join(" or ");
            if let Some(more) = several.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
                shown += &format!(" or one of {more} more");
            }
            Err(Error::Place {
                target: format!("{}:{name}", elf.path().display()),
                problem: format!(
                    "several functions have this name: choose one by its symbol, {shown}"
                ),
            })
        }
    }
}

/// The maximum number of functions that a message lists.
const MOST_SHOWN: usize = 8;

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
    elf: &'w Elf,
    wanted: &'w str,
    /// Only the function at this offset in the file.
    at: Option<u64>,
    best: Option<Rank>,
    /// The best there are.
    places: Vec<Place>,
    /// Whether the file has the name, but only as an undefined symbol.
    only_used: bool,
}

struct Place {
    address: u64,
    size: u64,
    indirect: bool,
}

impl<'w> Search<'w> {
    fn new(elf: &'w Elf, wanted: &'w str, at: Option<u64>) -> Search<'w> {
        Search { elf, wanted, at, best: None, places: Vec::new(), only_used: false }
    }

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
        if self.at.is_some() && self.at != self.elf.offset(symbol.address, true) {
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

/// The reasons why no function of a name was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotFound {
    only_used: bool,
    /// The tables that the file has.
    dynamic: bool,
    whole: bool,
}

impl NotFound {
    /// The error, with the nearest names.
    ///
    /// # Errors
    /// As [`all`].
    pub(super) fn error(self, elf: &Elf, wanted: &str, parts: Parts) -> Result<Error> {
        let mut nearest = Nearest::new(wanted, OFFERED);
        let mut mangled = false;
        for function in all(elf)? {
            nearest.offer(&function.name);
            mangled |= is_mangled(&function.name) && function.name.contains(wanted);
        }
        let unread = match mangled && !parts.demangle {
            true => Some(parts::NO_DEMANGLE),
            false => parts.unread(elf, wanted),
        };
        let note = match (self.only_used, self.dynamic, self.whole) {
            (true, ..) => Some("it calls one of this name, which is in a library"),
            _ if unread.is_some() => unread,
            (_, false, false) => Some(
                "it was stripped of all its symbols: install its debug symbols, or name a place by its offset in the file, 0x1234",
            ),
            (_, true, false) => Some(
                "it was stripped of all symbols but those that others need: install its debug symbols for local functions",
            ),
            _ => None,
        };
        Ok(Error::NotInFile {
            what: "function",
            name: wanted.into(),
            path: elf.path().into(),
            nearest: nearest.into_names(),
            note,
        })
    }
}
