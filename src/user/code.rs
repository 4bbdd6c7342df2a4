//! The code that processes have mapped, and the ways to the files that it comes from.

use super::perf_map::by_descriptor;
use super::process::{Backing, Mapping, Process};
use crate::error::Result;
use crate::permission;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A part of the memory of a process that is code.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(super) process: Process,
    pub(super) start: u64,
    pub(super) end: u64,
    /// What it begins with, bytes from the beginning of the file.
    pub(super) offset: u64,
    /// The file, as the process sees it; empty if there is none.
    pub(super) path: PathBuf,
    pub(super) source: Source,
}

/// Where code comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A file, by a path that leads to it from here.
    Path(PathBuf),
    /// A file that is kept open, since no path may lead to it when it is read.
    Held(Arc<Held>),
    /// No file, or one that nothing leads to: the process made it.
    Unknown,
}

/// A file that is kept from going away, without any access to it.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
    /// Device and inode.
    pub(super) id: (u64, u64),
}

/// What tells one piece of code from another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'c> {
    Path(&'c Path, u64),
    File((u64, u64), u64),
    Memory(u32, u64),
}

impl Code {
    /// What a mapping shows.
    pub(super) fn new(process: Process, mapping: Mapping, keeper: &mut Keeper) -> Code {
        let source = keeper.source(process, &mapping);
        let Mapping { start, end, offset, path, executable: _, inode: _, backing: _ } = mapping;
        Code { process, start, end, offset, path, source }
    }

    #[cfg(test)]
    pub(crate) fn of(start: u64, end: u64, offset: u64, path: &Path) -> Code {
        let source = Source::Path(path.into());
        Code { process: Process(u32::MAX), start, end, offset, path: path.into(), source }
    }

    pub(crate) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Bytes from the beginning of the file.
    pub(super) fn offset_of(&self, address: u64) -> u64 {
        address.wrapping_sub(self.start).wrapping_add(self.offset)
    }

    /// The file and the place in it: two processes that agree in this have the same there.
    pub(crate) fn place(&self, address: u64) -> Place<'_> {
        let offset = self.offset_of(address);
        match &self.source {
            Source::Path(path) => Place::Path(path, offset),
            Source::Held(held) => Place::File(held.id, offset),
            Source::Unknown => Place::Memory(self.process.0, address),
        }
    }
}

/// The code that a process has mapped.
pub(crate) fn code_of(process: Process) -> Result<Vec<Code>> {
    let mappings = process.executable_mappings();
    let path = PathBuf::from(format!("/proc/{}/maps", process.0));
    let mappings = mappings.map_err(|source| permission::file("read", &path, source))?;
    let mut keeper = Keeper::default();
    Ok(mappings.into_iter().map(|mapping| Code::new(process, mapping, &mut keeper)).collect())
}

/// The most files that are kept open, for one process or those that are watched together. A process can have 1,024 files open.
const MOST_HELD: usize = 256;

/// The files that are kept open.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// Whether all are, since they may be deleted before they are read.
    all: bool,
    held: HashMap<(Backing, PathBuf), Arc<Held>>,
}

impl Keeper {
    /// Keeps all files, not just those that are deleted.
    pub(super) fn of_all() -> Keeper {
        Keeper { all: true, held: HashMap::new() }
    }

    /// The way to the file of a mapping.
    fn source(&mut self, process: Process, mapping: &Mapping) -> Source {
        let path = match mapping.backing {
            Backing::Anonymous => return Source::Unknown,
            Backing::File => Some(process.path_here(&mapping.path)),
            Backing::Deleted => None,
        };
        if let Some(path) = &path
            && !self.all
        {
            return Source::Path(path.clone());
        }
        let key = (mapping.backing, path.clone().unwrap_or_else(|| mapping.path.clone()));
        if let Some(held) = self.held.get(&key) {
            return Source::Held(Arc::clone(held));
        }
        let at_path = path.as_deref().and_then(Held::open);
        // What has the path now can be another file than what was mapped.
        let found = match at_path {
            Some(held) if held.id.1 == mapping.inode => Some(held),
            other => deleted(process, mapping).or(other),
        };
        match found.filter(|_| self.held.len() < MOST_HELD) {
            Some(held) => {
                let held = Arc::new(held);
                self.held.insert(key, Arc::clone(&held));
                Source::Held(held)
            }
            None => path.map_or(Source::Unknown, Source::Path),
        }
    }
}

impl Held {
    fn open(path: &Path) -> Option<Held> {
        let file = File::options().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
        let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Held { file, id: (about.dev(), about.ino()) })
    }

    /// A path that leads to it as long as this is kept.
    pub(super) fn path(&self) -> PathBuf {
        by_descriptor(&self.file)
    }
}

/// The file of a mapping that no path leads to: by the mapping itself, for which the kernel wants `CAP_SYS_ADMIN` or
/// `CAP_CHECKPOINT_RESTORE` (`proc_map_files_get_link`); or as the program that the process runs.
fn deleted(process: Process, mapping: &Mapping) -> Option<Held> {
    let own = Path::new("/proc").join(process.0.to_string());
    let name = format!("{:x}-{:x}", mapping.start, mapping.end);
    let program = || {
        let program = own.join("exe");
        let target = fs::read_link(&program).ok()?;
        let was = target.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
        (OsStr::from_bytes(was) == mapping.path).then_some(program)
    };
    Held::open(&own.join("map_files").join(name)).or_else(|| Held::open(&program()?))
}
