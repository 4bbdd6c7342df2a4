//! Events for the lessons and their peers: each of these functions makes one.
#![allow(unsafe_code, reason = "a system call and a function of C")]

use crate::common::Folder;
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Measures a string, as the C library does it.
pub(crate) fn strlen(string: &CStr) {
    // SAFETY: it is a string of C.
    let length = unsafe { libc::strlen(black_box(string.as_ptr())) };
    assert_eq!(black_box(length), string.count_bytes());
}

/// The function that this calls: its file, and where in it the function is, as the file's own addresses go. `None` if it is
/// not in a library.
pub(crate) fn place_of_strlen() -> Option<(String, usize)> {
    // Of the C library's several functions the dynamic linker has chosen one.
    let address = libc::strlen as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?, rest.find('/').map(|at| rest[at..].to_owned())))
    };
    let mapped: Vec<_> = maps.lines().filter_map(mapped).collect();
    let (.., file) = mapped.iter().find(|(start, end, _)| (*start..*end).contains(&address))?;
    let file = file.as_ref().filter(|file| file.contains("/libc.so") || file.contains("/libc-"))?;
    // A library's addresses begin with 0, where the first piece of it lies.
    let (start, ..) = mapped.iter().find(|(.., other)| other.as_ref() == Some(file))?;
    Some((file.clone(), address - start))
}

/// A process that becomes a user, and nothing else.
pub(crate) fn setuid(uid: u32) {
    assert!(Command::new("true").uid(uid).status().unwrap().success());
}

/// A file to read from, past the page cache.
pub(crate) struct OnDisk {
    file: File,
    _folder: Folder,
}

/// The unit of disks, in bytes. Files are cached in pages of 4096 bytes or more, so that no other's requests end within
/// one.
pub(crate) const SECTOR: usize = 512;

impl OnDisk {
    /// Why there is no disk of such sectors to read from, if there is none.
    pub(crate) fn new() -> Result<OnDisk, String> {
        let folder = Folder::on_disk()?;
        let path = folder.path().join("file");
        std::fs::write(&path, [b'x'; 16 * 4096]).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_DIRECT).open(path);
        let file = file.map_err(|error| format!("the file system only reads pages: {error}"))?;
        let file = OnDisk { file, _folder: folder };
        let tried = file.try_read(SECTOR);
        tried.map_err(|error| format!("the disk's blocks are larger than {SECTOR}: {error}"))?;
        Ok(file)
    }

    /// One request.
    pub(crate) fn read(&self, bytes: usize) {
        self.try_read(bytes).unwrap();
    }

    fn try_read(&self, bytes: usize) -> std::io::Result<()> {
        // It has to be aligned as the disk's blocks are.
        let mut memory = vec![0; bytes + 4096];
        let start = memory.as_ptr().align_offset(4096);
        self.file.read_exact_at(&mut memory[start..][..bytes], 0)
    }
}
