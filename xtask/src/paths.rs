//! Paths of files that are kept: downloads outlive the clone, the files of a run do not outlive the run.

use anyhow::{Context, Result};
use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's root.
pub fn workspace() -> &'static Path {
    // xtask/ is a direct child of it.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's target directory, wherever the user's settings put it.
pub fn target() -> Result<PathBuf> {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    if let Some(known) = TARGET.get() {
        return Ok(known.clone());
    }
    let out = Command::new(crate::build::cargo())
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .context("cargo metadata")?;
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).context("cargo metadata")?;
    let dir =
        json["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(TARGET.get_or_init(|| dir.into()).clone())
}

/// Downloads: the user's cache, so that the next clone need not ask again, or the target directory.
pub fn cache() -> Result<PathBuf> {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    if let Some(known) = CACHE.get() {
        return Ok(known.clone());
    }
    let user = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let dir = match user.map(|dir| dir.join("rawbpf-vm")) {
        Some(dir) if writable(&dir) => dir,
        _ => target()?.join("vm"),
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(CACHE.get_or_init(|| dir).clone())
}

fn writable(dir: &Path) -> bool {
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    let good = fs::create_dir_all(dir).is_ok() && fs::write(&probe, "").is_ok();
    let _ = fs::remove_file(probe);
    good
}

/// Held while the cache is changed, so that two runs (or threads) do not download the same things into each other.
pub struct Lock(());

thread_local! {
    /// The number of times that this thread holds it, and the locked file: to fetch one thing another may have to be
    /// fetched first.
    static LOCK: RefCell<(u32, Option<File>)> = const { RefCell::new((0, None)) };
}

pub fn lock() -> Result<Lock> {
    LOCK.with_borrow_mut(|(held, file)| {
        if *held == 0 {
            let path = cache()?.join("lock");
            let locked =
                File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
            locked.lock().context("cannot lock the download folder")?;
            *file = Some(locked);
        }
        *held += 1;
        Ok(Lock(()))
    })
}

impl Drop for Lock {
    fn drop(&mut self) {
        LOCK.with_borrow_mut(|(held, file)| {
            *held -= 1;
            if *held == 0 {
                *file = None;
            }
        });
    }
}

/// A folder for this run's own files, removed when it is dropped (and by `interrupt` when we are ended early).
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Result<Scratch> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let all = target()?.join("vm").join("run");
        sweep(&all);
        let dir = all.join(format!("{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        crate::interrupt::remove_at_end(&dir);
        Ok(Scratch(dir))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what runs that were killed left behind: folders named after a process that is no more.
fn sweep(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_added_extension("part");
    fs::write(&part, bytes).with_context(|| format!("cannot write {}", part.display()))?;
    fs::rename(&part, path).with_context(|| format!("cannot write {}", path.display()))
}
