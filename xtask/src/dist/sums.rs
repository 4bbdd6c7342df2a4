//! `SHA256SUMS`, in the format that `sha256sum --check` reads.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The file's name.
const NAME: &str = "SHA256SUMS";

/// Removes the sums of an earlier build, which are those of other files.
pub fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_file(folder.join(NAME)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes the sums of files in a folder beside them.
pub fn write(folder: &Path, names: &[String]) -> Result<()> {
    let mut names = names.to_vec();
    names.sort();
    let done = Command::new("sha256sum").arg("--").args(&names).current_dir(folder).output();
    let done = done.context("cannot run sha256sum")?;
    if !done.status.success() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    crate::paths::write_whole(&folder.join(NAME), &done.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums are those of FIPS 180-2's first example, and of the empty message.
    #[test]
    fn sums_stand_beside_the_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b"), "abc").unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        write(folder.path(), &["b".into(), "a".into()]).unwrap();
        let text = std::fs::read_to_string(folder.path().join(NAME)).unwrap();
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n\
            ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n";
        assert_eq!(text, expected);
        assert!(write(folder.path(), &["c".into()]).is_err());
        remove(folder.path()).unwrap();
        remove(folder.path()).unwrap();
        assert!(!folder.path().join(NAME).exists());
    }
}
