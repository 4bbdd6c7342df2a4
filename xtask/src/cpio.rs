//! Writes the archive that the kernel unpacks as its first file system: cpio in the "new ASCII" format,
//! see the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;

/// An archive that grows.
#[derive(Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
    folders: BTreeSet<String>,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

impl Cpio {
    /// A folder and those above it.
    pub fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|&end| end > 0) {
            let folder = &path[..end];
            if self.folders.insert(folder.into()) {
                self.entry(folder, FOLDER, (0, 0), &[]);
            }
        }
    }

    /// A file with the permissions of `mode`, and the folders above it.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.parents(path);
        self.entry(path, FILE | (mode & 0o7777), (0, 0), content);
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entry(path, LINK, (0, 0), target.as_bytes());
    }

    /// A character device.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.parents(path);
        self.entry(path, CHARACTER_DEVICE, (major, minor), &[]);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.inode = u32::MAX;
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((folder, _)) = path.trim_matches('/').rsplit_once('/') {
            self.folder(folder);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        let path = path.trim_matches('/');
        self.inode = self.inode.wrapping_add(1);
        let fields = [
            self.inode,
            mode,
            0,                    // user
            0,                    // group
            1,                    // links
            0,                    // time
            content.len() as u32, // no file here is near 4 GiB
            0,                    // device of the file system
            0,
            device.0,
            device.1,
            path.len() as u32 + 1,
            0, // checksum, unused in this format
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn sample() -> Vec<u8> {
        let mut cpio = Cpio::default();
        cpio.file("/bin/a", 0o755, b"hello");
        cpio.link("bin/b", "a");
        cpio.folder("x/y");
        cpio.device("dev/console", 5, 1);
        cpio.finish()
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut cpio = Cpio::default();
        cpio.file("a", 0o644, b"hello");
        let header = |fields: &str| format!("070701{}", fields.replace(' ', ""));
        let mut expected = header(
            "00000001 000081A4 00000000 00000000 00000001 00000000 00000005 00000000 00000000 00000000 00000000 00000002 00000000",
        );
        expected += "a\0hello\0\0\0";
        expected += &header(
            "00000000 00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 0000000B 00000000",
        );
        expected += "TRAILER!!!\0\0\0\0";
        assert_eq!(String::from_utf8(cpio.finish()).unwrap(), expected);
    }

    /// GNU cpio (or busybox's), if it is installed, reads the archive; elsewhere the comparison of
    /// bytes above has to do.
    #[test]
    fn cpio_reads_it() {
        let program = ["cpio", "busybox"]
            .into_iter()
            .find(|program| crate::tools::in_path(program).is_some());
        let Some(program) = program else {
            eprintln!("no cpio here to compare with");
            return;
        };
        let mut command = Command::new(program);
        if program == "busybox" {
            command.arg("cpio");
        }
        let mut child = command
            .args(["-t"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let listing = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(
            listing.lines().collect::<Vec<_>>(),
            ["bin", "bin/a", "bin/b", "x", "x/y", "dev", "dev/console"]
        );
    }
}
