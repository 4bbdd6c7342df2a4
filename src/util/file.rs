//! Files that must be regular, such as those of `/proc`, `/sys` and tracefs.
//!
//! A FIFO that is mounted in the place of such a file would block its reader for ever.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a regular file for reading, without ever waiting.
pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// Returns the contents of a regular file.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    open(path)?.read_to_end(&mut contents)?;
    Ok(contents)
}

/// Returns the contents of a regular file as text.
pub(crate) fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test would not end if it were waited for a writer.
    #[test]
    fn a_fifo_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        for error in [open(&path).unwrap_err(), read(&path).unwrap_err()] {
            assert_eq!(error.to_string(), "not a regular file");
        }
        assert!(open(folder.path()).is_err() && open("/dev/null").is_err());
        let text = folder.path().join("text");
        std::fs::write(&text, "0-3\n").unwrap();
        assert_eq!(read_to_string(&text).unwrap(), "0-3\n");
        assert_eq!(read(&text).unwrap(), b"0-3\n");
        assert!(!read("/proc/self/maps").unwrap().is_empty());
    }
}
