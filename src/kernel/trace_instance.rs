//! Trace instances: private trace buffers, `Documentation/trace/ftrace.rst`, "Instances".
//!
//! An instance is a folder in `instances` of tracefs, which would outlive the process. The owner holds a lock on the
//! folder (`flock(2)`), which is released when the process ends, however it ends; whoever creates the next instance removes
//! those without a lock. A lock, unlike a PID, means the same in every PID namespace.

use crate::syscall;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The prefix of the names of our instances.
const PREFIX: &str = "rawbpf-";

/// The number of attempts to create one, where other processes remove it as stale before it is locked.
const TRIES: u32 = 16;

/// A private trace buffer, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct TraceInstance {
    path: PathBuf,
    /// Holds the lock.
    _folder: File,
}

impl TraceInstance {
    /// Creates an instance in the tracefs at `root`, and removes those left behind by processes that have ended.
    pub(crate) fn create(root: &Path) -> io::Result<TraceInstance> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let instances = root.join("instances");
        remove_left_behind(&instances);
        for _ in 0..TRIES {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            // In another PID namespace a process can have the same number.
            let path = instances.join(format!("{PREFIX}{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                answer => answer?,
            }
            if let Some(folder) = locked(&path) {
                return Ok(TraceInstance { path, _folder: folder });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The folder, in which there is a `trace_pipe`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Enables the tracepoint `events/CATEGORY/NAME` in the buffer.
    pub(crate) fn enable(&self, category: &str, name: &str) -> io::Result<()> {
        fs::write(self.path.join("events").join(category).join(name).join("enable"), "1")
    }
}

impl Drop for TraceInstance {
    fn drop(&mut self) {
        // An error cannot be reported here; the next instance tries again.
        let _ = fs::remove_dir(&self.path);
    }
}

/// The folder, locked; `None` if another has the lock or the folder is gone.
fn locked(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    syscall::lock(folder.as_fd()).ok()?;
    // It may have been removed, and created anew, since it was opened.
    let (there, ours) = (fs::metadata(path).ok()?, folder.metadata().ok()?);
    ((there.dev(), there.ino()) == (ours.dev(), ours.ino())).then_some(folder)
}

/// Removes the instances without a lock. One whose pipe is being read cannot be removed: the kernel returns `EBUSY`.
fn remove_left_behind(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            let path = entry.path();
            let folder = locked(&path);
            if folder.is_some() {
                let _ = fs::remove_dir(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any folders will do: stale ones are removed, locked ones and those of others stay.
    #[test]
    fn only_what_nobody_has_is_taken_away() {
        let root = tempfile::tempdir().unwrap();
        let instances = root.path().join("instances");
        for name in ["rawbpf-1-0", "rawbpf-2-7", "other"] {
            fs::create_dir_all(instances.join(name)).unwrap();
        }
        let held = locked(&instances.join("rawbpf-2-7")).unwrap();
        let first = TraceInstance::create(root.path()).unwrap();
        let second = TraceInstance::create(root.path()).unwrap();
        assert_ne!(first.path(), second.path());
        let there = |name: &str| instances.join(name).exists();
        assert!(!there("rawbpf-1-0") && there("rawbpf-2-7") && there("other"));
        assert!(first.path().exists() && second.path().exists());
        drop(held);
        drop(TraceInstance::create(root.path()).unwrap());
        assert!(!there("rawbpf-2-7") && first.path().exists());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && second.path().exists());
    }

    #[test]
    fn no_folder_of_instances_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(TraceInstance::create(root.path()).is_err());
    }
}
