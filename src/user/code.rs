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
    /// The file offset of the mapping, in bytes.
    pub(super) offset: u64,
    /// The file, as the process sees it; empty if there is none.
    pub(super) path: PathBuf,
    pub(super) source: Source,
}

/// The source of code.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A file, by a path that leads to it from here.
    Path(PathBuf),
    /// A file that is kept open, since no path may lead to it when it is read.
    Held(Arc<Held>),
    /// No file, or one without any path: code that the process generated.
    Unknown,
}

/// A file that is kept from going away, without any access to it.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
    /// Device and inode.
    pub(super) id: (u64, u64),
}

/// The identity of a piece of code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'c> {
    Path(&'c Path, u64),
    File((u64, u64), u64),
    Memory(u32, u64),
}

impl Code {
    /// Returns the code of a mapping.
    pub(super) fn new(process: Process, mapping: Mapping, keeper: &mut Keeper) -> Code {
        let source = keeper.source(process, &mapping);
        let Mapping { start, end, offset, path, .. } = mapping;
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
    code_kept(process, &mut Keeper::default())
}

/// The same, with files that are kept open together with those of other processes.
pub(super) fn code_kept(process: Process, keeper: &mut Keeper) -> Result<Vec<Code>> {
    let mappings = process.executable_mappings();
    let path = PathBuf::from(format!("/proc/{}/maps", process.0));
    let mappings = mappings.map_err(|source| permission::file("read", &path, source))?;
    Ok(mappings.into_iter().map(|mapping| Code::new(process, mapping, keeper)).collect())
}

/// The most files that are kept open by one keeper: there is one for the watched processes, one for those that were looked
/// up, and one for all that run. A process can have 1,024 files open.
pub(super) const MOST_HELD: usize = 192;

/// The files that are kept open.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// Whether all are, since they may be deleted before they are read.
    all: bool,
    /// Files by device and inode, and by path from here or, if they are deleted, from there.
    held: HashMap<((u32, u32), u64, PathBuf), Arc<Held>>,
}

impl Keeper {
    /// Keeps all files, not just those that are deleted.
    pub(super) fn of_all() -> Keeper {
        Keeper { all: true, held: HashMap::new() }
    }

    /// Whether no more files can be kept, once those of which no code is known any more have been closed.
    pub(super) fn is_full(&mut self) -> bool {
        if self.held.len() >= MOST_HELD {
            self.held.retain(|_, held| Arc::strong_count(held) > 1);
        }
        self.held.len() >= MOST_HELD
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
        let key =
            (mapping.device, mapping.inode, path.clone().unwrap_or_else(|| mapping.path.clone()));
        if let Some(held) = self.held.get(&key) {
            return Source::Held(Arc::clone(held));
        }
        let at_path = path.as_deref().and_then(Held::open);
        // The path can now lead to another file than the one that was mapped.
        let found = match at_path {
            Some(held) if held.id.1 == mapping.inode => Some(held),
            other => deleted(process, mapping).or(other),
        };
        match found.filter(|_| !self.is_full()) {
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
    pub(super) fn open(path: &Path) -> Option<Held> {
        let file = File::options().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
        let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Held { file, id: (about.dev(), about.ino()) })
    }

    /// A path that leads to it as long as this is kept.
    pub(super) fn path(&self) -> PathBuf {
        by_descriptor(&self.file)
    }
}

/// Opens the file of a mapping that no path leads to: by the mapping itself, for which the kernel requires
/// `CAP_SYS_ADMIN` or `CAP_CHECKPOINT_RESTORE` (`proc_map_files_get_link`); or as the program that the process runs.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::fake::Written;
    use std::io::Read;
    use std::process::{Command, Stdio};

    /// A process whose program has been deleted before it is looked up.
    #[test]
    fn the_file_of_a_deleted_program_is_found() {
        const ROLE: &str = "RAWBPF_TEST_WAITS";
        if std::env::var_os(ROLE).is_some() {
            let _ = std::io::stdin().read(&mut [0]);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("gone");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let id = fs::metadata(&program).unwrap();
        let id = (id.dev(), id.ino());
        let mut command = Command::new(&program);
        command.args(["--exact", "user::code::tests::the_file_of_a_deleted_program_is_found"]);
        // Its results would stand among those of this run.
        command.env(ROLE, "").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        fs::remove_file(&program).unwrap();

        let process = Process(child.id());
        // It has begun to be the program, and is being mapped.
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let mapping = loop {
            assert!(std::time::Instant::now() < limit, "the program is not mapped");
            let mappings = process.executable_mappings().unwrap();
            if let Some(mapping) = mappings.into_iter().find(|mapping| mapping.path == program) {
                break mapping;
            }
        };
        assert_eq!(mapping.backing, Backing::Deleted);
        let held = |mapping: &Mapping| deleted(process, mapping).map(|held| held.id);
        assert_eq!(held(&mapping), Some(id));
        // As the program, if it may not be found by the mapping; but only if it is the program.
        let no_mapping = Mapping { end: mapping.end + 1, ..mapping.clone() };
        assert_eq!(held(&no_mapping), Some(id));
        assert_eq!(held(&Mapping { path: "/another".into(), ..no_mapping }), None);

        // As long as it is kept, it is there.
        let code = code_of(process).unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        let code = code.iter().find(|code| code.path == program).unwrap();
        let Source::Held(held) = &code.source else { panic!("{code:?}") };
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(fs::read(held.path()).unwrap() == own);
    }

    #[test]
    fn files_are_kept_as_they_were_mapped() {
        let (first, second) = (Written::new(b"first"), Written::new(b"second"));
        let inode = |written: &Written| fs::metadata(written.path()).unwrap().ino();
        let mapping = |inode| Mapping {
            start: 0x1000,
            end: 0x2000,
            executable: true,
            offset: 0,
            path: first.path().into(),
            inode,
            device: (0, 0),
            backing: Backing::File,
        };
        let (first_inode, second_inode) = (inode(&first), inode(&second));
        let source = |keeper: &mut Keeper, inode| keeper.source(Process(u32::MAX), &mapping(inode));
        let mut all = Keeper::of_all();
        let Source::Held(held) = source(&mut all, first_inode) else { panic!() };
        fs::rename(second.path(), first.path()).unwrap();
        assert_eq!(fs::read(held.path()).unwrap(), b"first");
        let Source::Held(again) = source(&mut all, second_inode) else { panic!() };
        assert_eq!(fs::read(again.path()).unwrap(), b"second");
        // One that has its path is not kept, unless all are.
        assert!(matches!(source(&mut Keeper::default(), first_inode), Source::Path(_)));
        drop((held, again));
        // As many as may be are kept, and no more of those that are not needed any more.
        let files: Vec<_> = (0..=MOST_HELD).map(|_| Written::new(b"")).collect();
        let mut keep = |written: &Written| {
            let path = written.path().to_owned();
            all.source(Process(u32::MAX), &Mapping { path, ..mapping(inode(written)) })
        };
        for file in &files {
            assert!(matches!(keep(file), Source::Held(_)));
        }
        let mut kept: Vec<_> = files.iter().map(&mut keep).collect();
        let is_held = |source: &Source| matches!(source, Source::Held(_));
        assert_eq!(kept.iter().position(|source| !is_held(source)), Some(MOST_HELD));
        kept.remove(0);
        assert!(is_held(&keep(files.last().unwrap())));
        // Nor is a path that does not lead to a regular file.
        let folder = Mapping { path: "/".into(), ..mapping(1) };
        assert!(matches!(Keeper::of_all().source(Process(u32::MAX), &folder), Source::Path(_)));
    }
}
