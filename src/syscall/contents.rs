//! The contents of a file as memory: mapped where the kernel allows that, else a copy.

use crate::util::file;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::{self, NonNull};

/// The folder with the kernel's BTF (Linux 5.4) and that of its modules (Linux 5.11), if it was built with
/// `CONFIG_DEBUG_INFO_BTF`.
pub(crate) const BTF_FOLDER: &str = "/sys/kernel/btf";

/// `SYSFS_MAGIC`.
const SYSFS: u64 = 0x6265_6572;
const PROCFS: u64 = libc::PROC_SUPER_MAGIC as u64;

/// `MADV_POPULATE_WRITE` (Linux 5.14): brings all pages in at once.
const POPULATE_WRITE: i32 = 23;

/// Bytes that do not change as long as this lives.
///
/// The BTF of the kernel is 5 MB that it has in memory anyway. Since Linux 6.16 it can be mapped (`mmap(2)`, private
/// and read-only): no copy, no page fault, no memory of the process. Before that, and for modules, `sysfs`
/// returns 4 KiB for each `read(2)`, and the page faults of a new buffer take more time than that: so it is
/// populated at once, in huge pages where there are some.
#[derive(Debug)]
pub(crate) struct Contents {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns its memory, which nobody writes to.
unsafe impl Send for Contents {}
// SAFETY: the same.
unsafe impl Sync for Contents {}

impl Contents {
    /// Reads the contents of a file. Only one in [`BTF_FOLDER`] is mapped; other processes could change or truncate
    /// others. A file that is longer than its reported size is cut off there.
    pub(crate) fn of(path: &Path) -> io::Result<Contents> {
        let file = file::open(path)?;
        // The greatest length of a slice is `isize::MAX`.
        let too_long = |_| io::ErrorKind::FileTooLarge;
        let len = isize::try_from(file.metadata()?.len()).map_err(too_long)?.unsigned_abs();
        if path.parent() == Some(Path::new(BTF_FOLDER))
            && is_in_sysfs(&file)
            // The kernel refuses it with one error or another, depending on its version.
            && let Ok(contents) = Contents::lent(&file, len)
        {
            return Ok(contents);
        }
        Contents::copy(&file, len)
    }

    /// Maps a file whose contents never change: one of the kernel's in [`BTF_FOLDER`].
    fn lent(file: &File, len: usize) -> io::Result<Contents> {
        Contents::new(len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    fn copy(mut file: &File, len: usize) -> io::Result<Contents> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let contents = Contents::new(len, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        for advice in [libc::MADV_HUGEPAGE, POPULATE_WRITE] {
            // SAFETY: these are the pages of the mapping, and neither changes what is in them. A kernel that does not
            // know one refuses it; it would only have been faster.
            unsafe { libc::madvise(contents.base.as_ptr().cast(), len, advice) };
        }
        // SAFETY: so many bytes are mapped (or none is, and the pointer dangles), writable and zero; they are ours
        // alone until we give the mapping away.
        let bytes = unsafe { std::slice::from_raw_parts_mut(contents.base.as_ptr(), len) };
        file.read_exact(bytes)?;
        Ok(contents)
    }

    fn new(len: usize, protection: i32, flags: i32, fd: i32) -> io::Result<Contents> {
        if len == 0 {
            // The kernel maps no nothing.
            return Ok(Contents { base: NonNull::dangling(), len });
        }
        // SAFETY: maps new pages and touches none that there are.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Contents { base, len })
    }
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped, readable, until `self` is dropped, or none is and the pointer dangles.
        // Nobody writes to them: a copy is ours, and what the kernel lends in `BTF_FOLDER` are its own constant
        // types, which never become shorter either.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: this was mapped, so long, by `new`; whoever borrowed from it is gone.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        }
    }
}

/// Whether it is a file of the kernel's in sysfs, whatever was mounted where it ought to be.
pub(crate) fn is_in_sysfs(file: &File) -> bool {
    is_in(file, SYSFS)
}

/// The same in procfs.
pub(crate) fn is_in_procfs(file: &File) -> bool {
    is_in(file, PROCFS)
}

fn is_in(file: &File, magic: u64) -> bool {
    // SAFETY: plain integers, for which zero is a value.
    let mut system: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `system` is live, and the descriptor open as long as `file`.
    let answer = unsafe { libc::fstatfs(file.as_raw_fd(), &mut system) };
    answer == 0 && system.f_type as u64 == magic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};
    use std::fs;
    use std::path::PathBuf;

    /// The file that the address of a mapping belongs to, as the kernel has it; empty if it is none.
    fn file_behind(contents: &Contents) -> String {
        let address = contents.base.as_ptr() as u64;
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let range = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            (number(range.0)..number(range.1)).contains(&address)
        });
        line.unwrap().split_whitespace().nth(5).unwrap_or_default().to_owned()
    }

    fn file(name: &str, contents: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rawbpf-{name}-{}", std::process::id()));
        fs::write(&path, contents).unwrap();
        path
    }

    #[test]
    fn a_file_of_somebody_is_copied() {
        let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_ne_bytes).collect();
        let path = file("copied", &bytes);
        let contents = Contents::of(&path).unwrap();
        assert!(!file_behind(&contents).starts_with('/'), "{}", file_behind(&contents));
        // Who cuts it off does us no harm.
        fs::write(&path, b"").unwrap();
        assert!(*contents == *bytes);
        assert!(Contents::of(&path).unwrap().is_empty());
        fs::remove_file(&path).unwrap();
        assert_eq!(Contents::of(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_lent_is_the_file() {
        let path = file("lent", &[7; 5000]);
        let contents = Contents::lent(&File::open(&path).unwrap(), 5000).unwrap();
        assert_eq!(file_behind(&contents), path.to_str().unwrap());
        assert_eq!(*contents, [7; 5000]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_kernel_lends_its_types() {
        needs!(Btf);
        let path = Path::new(BTF_FOLDER).join("vmlinux");
        let contents = Contents::of(&path).unwrap();
        assert!(*contents == *fs::read(&path).unwrap());
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap());
        let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
        let lent = file_behind(&contents).starts_with(BTF_FOLDER);
        assert_eq!(lent, version >= (6, 16), "{release}: {}", file_behind(&contents));
    }
}
