//! Pins in the BPF file system, all of them or none.

use super::Failure;
use crate::error::Error;
use crate::syscall::obj_pin;
use crate::util::{escape, file};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Pins of this command. Unless they are [kept](Pins::keep) they are removed when this is dropped.
pub(super) struct Pins {
    dir: PathBuf,
    /// Whether the folder is ours.
    made: bool,
    done: Vec<PathBuf>,
}

impl Pins {
    /// Pins in that folder of a BPF file system; it is made if only it is missing.
    pub(super) fn new(dir: &Path) -> Result<Pins, Failure> {
        let failed = |action, source| Error::File { action, path: dir.into(), source, why: None };
        let made = match fs::create_dir(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(failed("make", error).into()),
        };
        let pins = Pins { dir: dir.into(), made, done: Vec::new() };
        let whole = fs::canonicalize(dir).map_err(|error| failed("find", error))?;
        match file_system(&whole) {
            Some(kind) if kind != "bpf" => Err(Failure::Other(format!(
                "cannot pin in {}: it is in a file system of type {kind}, not in a BPF file system (bpf), which is \
                 usually /sys/fs/bpf: mount -t bpf bpf /sys/fs/bpf",
                escape::shown_path(dir)
            ))),
            _ => Ok(pins),
        }
    }

    /// The path of the pin of an object with that name.
    pub(super) fn path(dir: &Path, name: &str) -> PathBuf {
        // The file system keeps names with a period for itself.
        dir.join(name.replace(['.', '/'], "_"))
    }

    /// Pins one object.
    pub(super) fn pin(&mut self, name: &str, object: BorrowedFd<'_>) -> Result<(), Failure> {
        let path = Pins::path(&self.dir, name);
        let refused = |source| Error::File { action: "pin", path: path.clone(), source, why: None };
        let text = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| refused(io::ErrorKind::InvalidInput.into()))?;
        obj_pin(object, &text, None)
            .map_err(|errno| refused(io::Error::from_raw_os_error(errno.0)))?;
        self.done.push(path);
        Ok(())
    }

    /// Leaves everything where it is.
    pub(super) fn keep(mut self) {
        self.done.clear();
        self.made = false;
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for path in &self.done {
            let _ = fs::remove_file(path);
        }
        if self.made {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// The type of the file system that a folder is in (`proc_pid_mountinfo(5)`); `None` if it cannot be
/// determined.
fn file_system(dir: &Path) -> Option<String> {
    let mounts = file::read_to_string("/proc/self/mountinfo").ok()?;
    let mounted = mounts.lines().filter_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let place = head.split(' ').nth(4)?;
        Some((place, tail.split(' ').next()?))
    });
    // Of several at one place the last is the one to see.
    let (_, kind) = mounted
        .filter(|(place, _)| dir.starts_with(unescaped(place)))
        .max_by_key(|(place, _)| Path::new(place).components().count())?;
    Some(kind.to_owned())
}

/// White space and backslashes in the name of a place are written as three octal digits.
fn unescaped(place: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(place.to_owned(), |text, (from, to)| text.replace(from, to)).into()
}
