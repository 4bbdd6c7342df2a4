//! Search for programs and libraries by a pattern.

use super::find_file;
use super::process::Process;
use crate::error::{Error, Result};
use crate::util::escape;
use crate::util::glob::{Glob, is_pattern};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Finds the files that a pattern matches, sorted, or the one that [`find_file`] finds.
///
/// A pattern with a slash matches files; one without, the files that the process has mapped as code, by path or by
/// name.
///
/// # Errors
/// The errors of [`find_file`]; [`Error::Target`] for a pattern that needs a process.
pub(crate) fn find_files(name: &str, pid: Option<u32>) -> Result<Vec<PathBuf>> {
    if !is_pattern(name) || name.contains('/') && escape::path(name).is_file() {
        return find_file(name, pid).map(|found| vec![found]);
    }
    if name.contains('/') {
        return Ok(in_folders(name));
    }
    match pid {
        Some(pid) => mapped(&Glob::new(name), Process(pid)),
        None => Err(Error::Target {
            target: name.into(),
            problem: "not supported: a pattern for the program without a folder, unless a process is given (-p)",
        }),
    }
}

/// A part that is not a pattern is taken as it is.
fn in_folders(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "." })];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let glob = Glob::new(part);
        let step = |folder: PathBuf| match is_pattern(part) {
            false => vec![folder.join(escape::path(part))],
            true => {
                let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
                let names = entries.map(|entry| entry.file_name());
                names.filter(|name| fits(&glob, name)).map(|name| folder.join(name)).collect()
            }
        };
        found = found.into_iter().flat_map(step).collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

/// A name that is not UTF-8 matches as the string that stands for it.
fn fits(glob: &Glob, name: &OsStr) -> bool {
    glob.matches(&escape::text(name.as_bytes()))
}

fn mapped(glob: &Glob, process: Process) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::File {
        action: "read",
        path: format!("/proc/{}/maps", process.0).into(),
        source,
        why: None,
    };
    let matches = |path: &Path| {
        fits(glob, path.as_os_str()) || path.file_name().is_some_and(|name| fits(glob, name))
    };
    let mappings = process.mappings().map_err(failed)?.into_iter();
    let code = mappings.filter(|mapping| mapping.executable && matches(&mapping.path));
    let mut found: Vec<_> = code.map(|mapping| process.short_path(&mapping.path)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_files_of_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a1", "a2", "b"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = find_files(&format!("{}/a?", folder.path().display()), None).unwrap();
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["a1", "a2"]);
    }

    #[test]
    fn names_that_are_not_utf8_match() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(OsStr::from_bytes(b"o\xffdd"));
        fs::create_dir(&odd).unwrap();
        let file = odd.join(OsStr::from_bytes(b"a\xfe"));
        fs::write(&file, "").unwrap();
        for pattern in ["*/a*", "o?dd/*", "o\u{efff}dd/a?", "[o]\u{efff}dd/a\u{effe}"] {
            let pattern = format!("{}/{pattern}", folder.path().display());
            assert_eq!(find_files(&pattern, None).unwrap(), [&*file], "{pattern}");
        }
        let other = format!("{}/o\u{effe}dd/*", folder.path().display());
        assert!(find_files(&other, None).unwrap().is_empty());
    }

    #[test]
    fn patterns_without_a_folder_match_what_a_process_has_mapped() {
        let us = std::env::current_exe().unwrap();
        let all = find_files("*", Some(std::process::id())).unwrap();
        assert!(all.contains(&us), "{all:?}");
        let name = us.file_name().and_then(|name| name.to_str()).unwrap();
        let (first, rest) = name.split_at(1);
        let pattern = format!("[{first}]{rest}");
        assert_eq!(find_files(&pattern, Some(std::process::id())).unwrap(), [us]);
        assert!(find_files("*", None).is_err());
    }
}
