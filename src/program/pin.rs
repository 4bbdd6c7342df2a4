//! Pins: names in a BPF file system, which keep a program after its descriptors are closed.

use super::info::{OPEN, opened};
use super::{Program, info};
use crate::error::Result;
use crate::permission;
use crate::syscall;
use crate::uapi::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Program {
    /// Opens the program that is pinned at a path. `bpf(2)`, `BPF_OBJ_GET` (Linux 4.4) and `BPF_OBJ_GET_INFO_BY_FD`
    /// (4.13). Its name is the one in the kernel, 15 bytes.
    ///
    /// # Errors
    /// [`Error::Call`](crate::Error::Call); `EINVAL` if a map or a link is pinned there, `EACCES` if the
    /// path is not in a BPF file system.
    #[doc(alias = "BPF_OBJ_GET")]
    pub fn open_pinned(path: impl AsRef<Path>) -> Result<Program> {
        let path = path.as_ref();
        let which = format!("pinned at {}", crate::util::escape::shown_path(path));
        let fd =
            c_path(path).and_then(|path| syscall::obj_get(&path, 0, None)).map_err(|errno| {
                match errno {
                    Errno(libc::EACCES) => {
                        let note = "it is no BPF file system, or its mode forbids it";
                        info::refused(OPEN, &which, errno, Some(note))
                    }
                    _ => info::refused(OPEN, &which, errno, None),
                }
            })?;
        opened(which, fd)
    }

    /// Pins the program at a path in a BPF file system: it stays there until [`unpin`](Program::unpin), even after
    /// this is dropped. `bpf(2)`, `BPF_OBJ_PIN`; Linux 4.4.
    ///
    /// # Errors
    /// [`Error::Call`](crate::Error::Call); `EEXIST` if the path exists, `EPERM` if it is not in a BPF
    /// file system.
    #[doc(alias = "BPF_OBJ_PIN")]
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<()> {
        pin_object(self.as_fd(), path.as_ref())
            .map_err(|(errno, note)| self.refused("pin", errno, note))
    }

    /// Removes its pin at a path, if this program is the one pinned there. `unlink(2)`, after the commands of
    /// [`open_pinned`](Program::open_pinned).
    ///
    /// # Errors
    /// [`Error::Call`](crate::Error::Call) if no program or another one is pinned there,
    /// [`Error::File`](crate::Error::File) if it cannot be removed.
    pub fn unpin(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if Program::open_pinned(path)?.info()?.id != self.info()?.id {
            let note = Some("another program is pinned there");
            return Err(self.refused("unpin", Errno(libc::EINVAL), note));
        }
        std::fs::remove_file(path).map_err(|source| permission::file("remove", path, source))
    }
}

/// Pins an object; if the kernel refuses, returns the errno and its meaning.
pub(crate) fn pin_object(
    object: BorrowedFd<'_>,
    path: &Path,
) -> Result<(), (Errno, Option<&'static str>)> {
    let pinned = c_path(path).and_then(|path| syscall::obj_pin(object, &path, None));
    pinned.map_err(|errno| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let note = match errno {
            // The kernel reserves such names (bpf_lookup()).
            Errno(libc::EPERM) if name.contains(&b'.') => Some("its name must not hold a dot"),
            Errno(libc::EPERM) => {
                Some("pins are only in a BPF file system: mount -t bpf bpf /sys/fs/bpf")
            }
            Errno(libc::ENOENT) => Some("there is no such folder"),
            Errno(libc::EEXIST) => Some("there is something already"),
            _ => None,
        };
        (errno, note)
    })
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))
}
