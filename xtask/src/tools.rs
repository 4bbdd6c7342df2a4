//! Other people's programs: the machine's own where it has them, else Debian's, unpacked into the download folder.
//!
//! Nothing is installed, so this needs no root and takes nothing away: the packages that qemu conflicts with stay.

use crate::apt::{self, Archive};
use crate::paths;
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and how to run it.
#[derive(Clone, Debug)]
pub struct Tool {
    pub program: PathBuf,
    /// The folder that it was unpacked to, unless it is the machine's own.
    pub root: Option<PathBuf>,
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

    /// Makes a program at `path` that is this one, for callers that do not set the paths of its libraries.
    pub fn script(&self, path: &Path) -> Result<()> {
        let mut line = String::new();
        for (key, value) in self.command().get_envs() {
            if let (Some(key), Some(value)) = (key.to_str(), value) {
                line += &format!("{key}={} ", quoted(Path::new(value)));
            }
        }
        let words = format!("exec {} \"$@\"", quoted(&self.program));
        script(path, &if line.is_empty() { words } else { format!("export {line}\n{words}") })
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
    if debs.is_empty() {
        // For apt it is no failure that what is installed cannot be had anew.
        bail!("apt offers none of it: {}", archive.complaints());
    }
    let _ = fs::remove_dir_all(root);
    for deb in debs {
        apt::unpack(&deb, root)?;
        let _ = fs::remove_file(deb);
    }
    fs::write(stamp, "")?;
    Ok(())
}

/// The path of a program on this machine.
pub fn in_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(
        |path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0),
    )
}

/// Writes a script of the shell.
pub fn script(path: &Path, body: &str) -> Result<()> {
    let text = format!("#!/bin/sh\n{body}\n");
    // Unchanged, it stays: cargo builds anew what a changed compiler made.
    if fs::read_to_string(path).ok().as_deref() != Some(&text) {
        paths::write_whole(path, text.as_bytes())?;
    }
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// A path as one word of a shell.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn a_script_becomes_the_program() {
        let folder = std::env::temp_dir().join(format!("xtask's $folder {}", std::process::id()));
        let (program, path) = (folder.join("program"), folder.join("script"));
        fs::create_dir_all(&folder).unwrap();
        script(&program, "printf '%s|' \"$LD_LIBRARY_PATH\" \"$@\"; exit 3").unwrap();
        let tool = Tool { program, root: Some(folder.join("root")) };
        tool.script(&path).unwrap();
        let done = Command::new(&path).args(["two words", "$x", ""]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        let (libraries, arguments) = said.split_once('|').unwrap();
        assert!(libraries.starts_with(&format!("{}/root/usr/lib/", folder.display())), "{said}");
        assert_eq!((arguments, done.status.code()), ("two words|$x||", Some(3)));
        fs::remove_dir_all(&folder).unwrap();
    }
}
