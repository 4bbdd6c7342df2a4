//! Other people's programs: the machine's own where it has them, else Debian's, unpacked into the download folder.
//!
//! Nothing is installed, so this needs no root and takes nothing away: the packages that qemu conflicts with stay.

use crate::apt::{self, Archive};
use crate::paths;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and how to run it.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
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
    if let Some(found) = in_path(program) {
        return Ok(Tool { program: found, root: None });
    }
    let mut last = None;
    for package in packages {
        let root = paths::cache()?.join("tools").join(package);
        match unpacked(&root, package) {
            Ok(()) => {
                if let Some(found) = ["usr/bin", "bin", "usr/sbin"]
                    .map(|d| root.join(d).join(program))
                    .into_iter()
                    .find(|p| p.exists())
                {
                    return Ok(Tool { program: found, root: Some(root) });
                }
            }
            Err(e) => last = Some(e),
        }
    }
    let hint = format!(
        "{program} is missing; to install it: apt-get install {}",
        packages.first().unwrap_or(&program)
    );
    Err(last.unwrap_or_else(|| {
        anyhow::anyhow!("it is in none of the packages {}", packages.join(", "))
    }))
    .context(hint)
}

/// Sees to it that the package and what it needs lie below `root`; asks the network only the first time.
pub fn unpacked(root: &Path, package: &str) -> Result<()> {
    let stamp = root.join(".whole");
    if stamp.exists() {
        return Ok(());
    }
    let _lock = paths::lock()?;
    if stamp.exists() {
        return Ok(());
    }
    eprintln!("xtask: fetching {package}");
    let archive = Archive::of_machine(&apt::mirrors()?)?;
    let debs = archive.download_with_dependencies(&[package])?;
    let _ = fs::remove_dir_all(root);
    for deb in debs {
        apt::unpack(&deb, root)?;
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
