//! The configuration that the running kernel was built with.

use crate::error::{Error, Result};
use crate::permission;
use crate::syscall;
use crate::util::file;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The configuration in kernels that were built with `CONFIG_IKCONFIG_PROC`; one without settings in fuzzing.
const PROC: &str = if cfg!(fuzzing) { "/dev/null" } else { "/proc/config.gz" };

/// The first bytes of a file that is compressed by gzip, with the method deflate.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// The most bytes of a configuration: real ones have some hundred thousand.
const MOST: usize = 16 << 20;

/// A configuration.
#[derive(Debug)]
pub(crate) struct KernelConfig {
    /// The file that it was read from.
    pub path: PathBuf,
    text: String,
}

impl KernelConfig {
    /// Reads it: `/boot/config-RELEASE`, and where there is none `/proc/config.gz`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is neither, [`Error::File`] and [`Error::Format`] if one cannot be read.
    pub fn read() -> Result<KernelConfig> {
        let boot = format!("/boot/config-{}", syscall::release());
        KernelConfig::read_from([boot.into(), PROC.into()])
    }

    fn read_from(paths: [PathBuf; 2]) -> Result<KernelConfig> {
        for path in paths {
            match file::read(&path) {
                Ok(bytes) => return KernelConfig::of(path, bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(permission::file("read", &path, source)),
            }
        }
        Err(Error::Unsupported {
            what: "configuration to read",
            needs: "it is in /boot/config-RELEASE, or in /proc/config.gz with CONFIG_IKCONFIG_PROC (which `modprobe configs` can bring)",
        })
    }

    fn of(path: PathBuf, bytes: Vec<u8>) -> Result<KernelConfig> {
        let wrong = |path: &Path, problem| Error::Format { path: path.into(), problem };
        let bytes = match bytes.starts_with(&GZIP) {
            true => unpacked(&bytes).ok_or_else(|| wrong(&path, "its gzip data are damaged"))?,
            false => bytes,
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(KernelConfig { path, text }),
            Err(_) => Err(wrong(&path, "it is not text")),
        }
    }

    /// Returns the settings that are there, by their names: `CONFIG_BPF` is `y`. The first of a name counts.
    pub fn settings(&self) -> HashMap<&str, &str> {
        let lines = self.text.lines().filter(|line| line.starts_with("CONFIG_"));
        let mut settings = HashMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once('=')) {
            settings.entry(name).or_insert(value);
        }
        settings
    }
}

/// Decompresses a file of gzip (RFC 1952).
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    const HEADER_CHECKED: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let flags = *bytes.get(3)?;
    let mut rest = bytes.get(10..)?;
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for part in [NAME, COMMENT] {
        if flags & part != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HEADER_CHECKED != 0 {
        rest = rest.get(2..)?;
    }
    let (packed, length) = rest.split_last_chunk::<4>()?;
    let unpacked = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, MOST).ok()?;
    (unpacked.len() as u64 == u64::from(u32::from_le_bytes(*length))).then_some(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    const TEXT: &str = "# a comment\nCONFIG_BPF=y\n# CONFIG_X is not set\nCONFIG_BPF=m\nCONFIG_NAME=\"a=b\"\nOTHER=1\n";

    fn is_read(config: &KernelConfig) {
        let settings = config.settings();
        assert_eq!(settings.len(), 2, "{settings:?}");
        assert_eq!((settings["CONFIG_BPF"], settings["CONFIG_NAME"]), ("y", "\"a=b\""));
    }

    #[test]
    fn a_configuration_is_text_or_packed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let none = path("none");
        let error = KernelConfig::read_from([none.clone(), none.clone()]).unwrap_err();
        assert!(error.to_string().contains("/proc/config.gz"), "{error}");
        fs::write(path("config"), TEXT).unwrap();
        is_read(&KernelConfig::read_from([path("config"), none.clone()]).unwrap());
        is_read(&KernelConfig::read_from([none.clone(), path("config")]).unwrap());
        // As `gzip -c` of that text has it, with the name of a file and without.
        for (name, flags) in [(&b"config\0"[..], 8), (b"", 0), (b"\x03\0abc", 4), (b"ab", 2)] {
            let packed = miniz_oxide::deflate::compress_to_vec(TEXT.as_bytes(), 6);
            let mut bytes = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
            bytes.extend([name, &packed, &[0; 4], &(TEXT.len() as u32).to_le_bytes()].concat());
            is_read(&KernelConfig::of(none.clone(), bytes.clone()).unwrap());
            for length in 3..bytes.len() {
                assert!(KernelConfig::of(none.clone(), bytes[..length].to_vec()).is_err());
            }
        }
        assert!(KernelConfig::of(none, vec![0xff]).is_err());
    }

    /// As gzip itself writes and reads them.
    #[test]
    fn files_of_gzip_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, TEXT.repeat(100)).unwrap();
        let Ok(done) = Command::new("gzip").arg(&path).output() else { return };
        assert!(done.status.success());
        let path = path.with_extension("gz");
        is_read(&KernelConfig::of(path.clone(), fs::read(path).unwrap()).unwrap());
    }
}
