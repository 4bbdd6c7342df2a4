//! Other people's programs: the machine's own where it has them, else Debian's, unpacked into the download folder.
//!
//! Nothing is installed, so this needs no root and takes nothing away: the packages that qemu conflicts with stay.

use crate::apt::{self, Archive};
use crate::paths;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and how to run it.
#[derive(Clone, Debug)]
pub struct Tool {
    pub program: PathBuf,
    /// Where it was unpacked, unless it is the machine's own.
    root: Option<PathBuf>,
}

impl Tool {
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
            let folders = [root.join("usr/lib").join(&triple), root.join("lib").join(&triple)];
            let folders: Vec<_> =
                folders.iter().map(|folder| folder.display().to_string()).collect();
            command.env("LD_LIBRARY_PATH", folders.join(":"));
            command.env("QEMU_MODULE_DIR", root.join("usr/lib").join(&triple).join("qemu"));
        }
        command
    }
}

/// Finds `program`, or fetches the first of `packages` that can be had.
pub fn find(program: &str, packages: &[&str]) -> Result<Tool> {
    let mut last = None;
    for package in packages {
        match find_with(program, package, &[package]) {
            Ok(tool) => return Ok(tool),
            Err(e) => last = last.or(Some(e)),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("{program} is missing")))
}

/// Finds `program`, or fetches all of `packages` into the folder `name`.
pub fn find_with(program: &str, name: &str, packages: &[&str]) -> Result<Tool> {
    if let Some(found) = in_path(program) {
        return Ok(Tool { program: found, root: None });
    }
    let root = paths::cache()?.join("tools").join(name);
    let hint =
        || format!("{program} is missing; to install it: apt-get install {}", packages.join(" "));
    unpacked(&root, packages).with_context(hint)?;
    let places = ["usr/bin", "bin", "usr/sbin"].map(|folder| root.join(folder).join(program));
    let found = places.into_iter().find(|path| path.exists());
    let found = found.with_context(|| format!("{program} is not in {}", packages.join(", ")))?;
    Ok(Tool { program: found, root: Some(root) })
}

/// Sees to it that the packages and what they need lie below `root`; asks the network only the first time.
fn unpacked(root: &Path, packages: &[&str]) -> Result<()> {
    let stamp = root.join(".whole");
    if stamp.exists() {
        return Ok(());
    }
    let _lock = paths::lock()?;
    if stamp.exists() {
        return Ok(());
    }
    eprintln!("xtask: fetching {}", packages.join(", "));
    let archive = Archive::of_machine(&apt::mirrors()?)?;
    let debs = archive.download_with_dependencies(packages)?;
    let _ = fs::remove_dir_all(root);
    for deb in debs {
        apt::unpack(&deb, root)?;
        let _ = fs::remove_file(deb);
    }
    fs::write(stamp, "")?;
    Ok(())
}

/// Where a program is on this machine.
pub fn in_path(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(
        |path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0),
    )
}
