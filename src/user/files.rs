//! Symbol tables of files, by file offset.
//!
//! Symbols are read with [`Elf`], which reads pieces into memory, and not by a crate that maps files: the owner of a
//! file may truncate it, and an access beyond the new end of a mapping raises SIGBUS. So the tracer cannot be killed by
//! truncating the traced program, and no signal handler is needed, which a library must not install.

use super::code::{Code, Held, Source};
use super::demangle::readable;
use super::elf::{Elf, Kind, Symbol, Table};
use super::perf_map::PerfMap;
use super::ranges::{Named, Names, Span, append};
use super::stack::UserLocation;
use super::symbols::MOST_TEXT;
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// The maximum memory for the names of all files, in bytes, and for those of all processes. Beyond it, all are dropped,
/// and read again when they are needed.
const MOST: usize = 512 << 20;

/// The most processes whose perf maps are kept.
const MOST_MADE: usize = 128;

/// The symbol tables that were read, and the perf maps of processes for code that is in no file.
#[derive(Debug, Default)]
pub(crate) struct Files {
    known: RefCell<HashMap<Key, Known>>,
    made: RefCell<HashMap<u32, PerfMap>>,
    /// Whether names of C++ and Rust stay as the tables have them.
    mangled: bool,
}

/// A file that was read.
#[derive(Debug)]
struct Known {
    /// `None` if it is not an ELF file, or cannot be read.
    names: Option<Arc<Names>>,
    /// The file, if it is known by its number: when it is gone, another one can get that.
    held: Option<Weak<Held>>,
}

/// The identity of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Path(PathBuf),
    Id((u64, u64)),
}

impl Files {
    /// From now on names of C++ and Rust are those of the symbol tables.
    #[cfg(feature = "bt")]
    pub(crate) fn keep_mangled(&mut self) {
        self.mangled = true;
    }

    /// Resolves an address in a piece of code. `None` if it is in no file, and the process has not given it a name.
    pub(crate) fn locate(&self, code: &Code, address: u64) -> Option<UserLocation> {
        let offset = code.offset_of(address);
        let names = match &code.source {
            Source::Path(path) => self.names(Key::Path(path.clone()), path, None),
            Source::Held(held) => self.names(Key::Id(held.id), &held.path(), Some(held)),
            Source::Unknown => None,
        };
        let path = code.path.clone();
        let Some(names) = names else {
            let made = self.made(code, address);
            let in_file = !path.as_os_str().is_empty();
            let nameless = UserLocation { name: None, offset, path };
            return made.or_else(|| in_file.then_some(nameless));
        };
        Some(match names.at(offset) {
            Some((name, offset)) => {
                let read = if self.mangled { None } else { readable(name) };
                UserLocation { name: Some(read.unwrap_or_else(|| name.into())), offset, path }
            }
            None => UserLocation { name: None, offset, path },
        })
    }

    /// Records the location of a process's perf map, to be read when it has ended; `parent` is the process that started
    /// it, if known.
    pub(crate) fn hold(&self, pid: u32, parent: Option<u32>) {
        let place = |map: &mut PerfMap| {
            map.place().or_else(|| {
                map.hold(None);
                map.place()
            })
        };
        let parent = parent.and_then(|parent| self.with_made(parent, place));
        self.with_made(pid, |map| map.hold(parent));
    }

    /// Drops what is known of a process: another one has its PID, or it runs another program.
    pub(crate) fn forget(&self, pid: u32) {
        self.made.borrow_mut().remove(&pid);
    }

    fn made(&self, code: &Code, address: u64) -> Option<UserLocation> {
        self.with_made(code.process.0, |map| {
            let (name, offset, path) = map.at(address)?;
            Some(UserLocation { name: Some(name.into()), offset, path })
        })
    }

    fn with_made<T>(&self, pid: u32, f: impl FnOnce(&mut PerfMap) -> T) -> T {
        let mut made = self.made.borrow_mut();
        // Each keeps a folder and a file open. Only those of processes that have ended cannot be found again.
        if made.len() >= MOST_MADE && !made.contains_key(&pid) {
            let runs = |pid: u32| Path::new("/proc").join(pid.to_string()).exists();
            made.retain(|pid, map| map.is_held() && !runs(*pid));
            if made.len() >= MOST_MADE
                && let Some(any) = made.keys().next().copied()
            {
                made.remove(&any);
            }
        }
        let total: usize = made.values().map(PerfMap::size).sum();
        if total > MOST {
            made.values_mut().for_each(PerfMap::forget);
        }
        f(made.entry(pid).or_insert_with(|| PerfMap::new(super::process::Process(pid))))
    }

    fn names(&self, key: Key, path: &Path, held: Option<&Arc<Held>>) -> Option<Arc<Names>> {
        let mut known = self.known.borrow_mut();
        let gone = |held: &Weak<Held>| held.strong_count() == 0;
        if let Some(found) = known.get(&key)
            && !found.held.as_ref().is_some_and(gone)
        {
            return found.names.clone();
        }
        let names = match Elf::open(path) {
            Ok(elf) => Some(Arc::new(functions_by_place(&elf))),
            Err(Error::Format { .. }) => None,
            // It may be readable the next time: a limit on open files, say.
            Err(_) => return None,
        };
        let size = |names: &Option<Arc<Names>>| names.as_ref().map_or(0, |names| names.size());
        known.retain(|_, one| !one.held.as_ref().is_some_and(gone));
        if known.values().map(|one| size(&one.names)).sum::<usize>() + size(&names) > MOST {
            known.clear();
        }
        known.insert(key, Known { names: names.clone(), held: held.map(Arc::downgrade) });
        names
    }
}

/// The rank of symbols that contain an address: best is one whose size is known, the innermost, one with the type of a
/// function, one that is not local to its source file, and one with the plainest name (`read`, and not `__GI___read`).
type Rank = (bool, u64, Reverse<u64>, bool, bool, Reverse<usize>, Reverse<u32>);

/// Returns the functions of a file by file offset. Damaged symbols have no names.
fn functions_by_place(elf: &Elf) -> Names {
    let mut kept = Kept { elf, text: String::new(), ranges: Vec::new() };
    // The second has only what the first has, if there is a first.
    let read =
        |table, kept: &mut Kept<'_>| elf.symbols(table, &mut |symbol| kept.look_at(table, symbol));
    let _: [Result<bool>; 2] = [Table::Whole, Table::Dynamic].map(|table| read(table, &mut kept));
    let Kept { text, mut ranges, .. } = kept;
    ranges.sort_unstable_by_key(|range| range.start);
    // Without a size it extends to the next symbol.
    let mut next = u64::MAX;
    let mut begins = next;
    for range in ranges.iter_mut().rev() {
        if range.start != begins {
            (next, begins) = (begins, range.start);
        }
        if range.end == range.start {
            range.end = next;
        }
    }
    Names::new(text, ranges)
}

struct Kept<'e> {
    elf: &'e Elf,
    text: String,
    ranges: Vec<Named<Rank>>,
}

impl Kept<'_> {
    fn look_at(&mut self, table: Table, symbol: &Symbol<'_>) {
        if !symbol.defined || symbol.kind == Kind::Variable {
            return;
        }
        let Some(start) = self.elf.offset(symbol.address, true) else { return };
        // Of those that are for others there are few: what follows one without a size is another function.
        let size = match (symbol.size, table) {
            (0, Table::Dynamic) => 1,
            (size, _) => size,
        };
        let Some(name) = self.append(symbol.name) else { return };
        let function = symbol.kind != Kind::Unknown;
        let underscores = symbol.name.bytes().take_while(|byte| *byte == b'_').count();
        let rank = (
            symbol.size > 0,
            start,
            Reverse(size),
            function,
            symbol.global,
            Reverse(underscores),
            Reverse(name.len),
        );
        self.ranges.push(Named { start, end: start.saturating_add(size), rank, name });
    }

    fn append(&mut self, name: &str) -> Option<Span> {
        append(&mut self.text, name, MOST_TEXT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::fake::{CODE, CODE_OFFSET, Fake, Written, function};
    use crate::user::process::Process;

    fn code(process: u32, source: Source) -> Code {
        let (start, end, offset) = (CODE, CODE + 0x100, CODE_OFFSET);
        Code { process: Process(process), start, end, offset, path: PathBuf::new(), source }
    }

    fn name(files: &Files, code: &Code) -> Option<String> {
        files.locate(code, CODE + 4)?.name
    }

    /// A perf map, and the process that it is of, whose number no process has.
    struct Map(u32);

    impl Map {
        fn new(number: u32) -> Map {
            let map = Map(number);
            std::fs::write(map.path(), format!("{CODE:x} 10 made{number}\n")).unwrap();
            map
        }

        fn path(&self) -> String {
            format!("/tmp/perf-{}.map", self.0)
        }

        /// The name of its code.
        fn name(&self, files: &Files) -> Option<String> {
            name(files, &code(self.0, Source::Unknown))
        }
    }

    impl Drop for Map {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(self.path());
        }
    }

    /// Those of running processes can be read again.
    #[test]
    fn perf_maps_of_processes_that_have_ended_are_kept_longest() {
        let us = std::process::id();
        // Above the largest PID, 1 << 22, and of this run.
        let first = (us << 10) | 1 << 31;
        let files = Files::default();
        files.hold(us, None);
        let map = Map::new(first);
        files.hold(first, Some(us));
        std::fs::remove_file(map.path()).unwrap();
        let expected = Some(format!("made{first}"));
        assert_eq!(map.name(&files), expected);
        // Some without a file.
        for number in 1..=MOST_MADE as u32 {
            files.hold(first + number, None);
        }
        assert_eq!(map.name(&files), expected);
        assert!(!files.made.borrow().contains_key(&us));
    }

    #[test]
    fn no_more_perf_maps_are_dropped_than_there_are_too_many() {
        let us = std::process::id();
        let first = (us << 10) | 1 << 31 | 1 << 9;
        let files = Files::default();
        let maps: Vec<_> =
            (0..MOST_MADE as u32 + 2).map(|number| Map::new(first + number)).collect();
        for map in &maps {
            files.hold(map.0, Some(us));
        }
        let held = |files: &Files| maps.iter().filter(|map| map.name(files).is_some()).count();
        maps.iter().for_each(|map| std::fs::remove_file(map.path()).unwrap());
        let known: Vec<_> = files.made.borrow().keys().copied().collect();
        assert!(known.len() == MOST_MADE, "{}", known.len());
        assert!(held(&files) >= MOST_MADE - 4);
    }

    /// The number of a file that is gone can be another one's.
    #[test]
    fn a_file_that_is_closed_is_not_known_by_its_number() {
        let files = Files::default();
        let held = |name: &'static str, id: Option<(u64, u64)>| {
            let fake = Fake { is_64: true, whole: vec![function(name, CODE)], ..Fake::default() };
            let written = Written::new(&fake.bytes());
            let mut held = Held::open(written.path()).unwrap();
            held.id = id.unwrap_or(held.id);
            (held.id, code(1, Source::Held(Arc::new(held))))
        };
        let (id, first) = held("first", None);
        assert_eq!(name(&files, &first).as_deref(), Some("first"));
        drop(first);
        let (_, second) = held("second", Some(id));
        assert_eq!(name(&files, &second).as_deref(), Some("second"));
    }
}
