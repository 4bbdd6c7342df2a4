//! The programs that tests of this machine run by name. A machine that has only Rust and a linker lacks them: then they
//! are Debian's, unpacked into the download folder, each behind a script that knows where its libraries are.

use crate::{paths, tools};
use anyhow::Result;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// Each program, and Debian's package of it.
const PROGRAMS: [(&str, &str); 9] = [
    ("bpftool", "bpftool"),
    ("bpftrace", "bpftrace"),
    ("ip", "iproute2"),
    ("llc-14", "llvm-14"),
    ("llvm-mc-14", "llvm-14"),
    ("llvm-objdump-14", "llvm-14"),
    ("llvm-readelf-14", "llvm-14"),
    ("opt-14", "llvm-14"),
    ("ping", "iputils-ping"),
];

/// The `PATH` for the tests; `None` if it can stay as it is. Programs that cannot be had are reported: the tests that
/// need them skip themselves.
pub fn path() -> Option<OsString> {
    let (mut folders, mut missing, mut reason) = (Vec::new(), Vec::new(), None);
    for (program, package) in PROGRAMS {
        match folder_of(program, package) {
            Ok(folder) => folders.extend(folder),
            Err(error) => {
                missing.push(program);
                reason.get_or_insert(error);
            }
        }
    }
    if let Some(reason) = reason {
        // apt's message has several lines.
        let reason = format!("{reason:#}").replace('\n', "; ");
        eprintln!("xtask: tests go without {}: {reason}", missing.join(", "));
    }
    if folders.is_empty() {
        return None;
    }
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    std::env::join_paths(folders).ok()
}

/// The folder to look for a program in; `None` if the machine has it itself.
fn folder_of(program: &str, package: &str) -> Result<Option<PathBuf>> {
    let tool = tools::find(program, &[package])?;
    let Some(root) = &tool.root else { return Ok(None) };
    // One for each: of what the machine has itself none may come before it.
    let folder = root.join("script");
    // Another run may be doing the same.
    let _lock = paths::lock()?;
    fs::create_dir_all(&folder)?;
    tool.script(&folder.join(program))?;
    Ok(Some(folder))
}
