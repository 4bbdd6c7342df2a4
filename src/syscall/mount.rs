//! File systems without a place: `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`; and locks on open files, `flock(2)`.

use super::{Errno, owned};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

// `include/uapi/linux/mount.h`.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;

/// Mounts a file system of a type with its defaults, at no place: it is reached through the descriptor alone, which is that
/// of its root, and is gone with it. Takes `CAP_SYS_ADMIN`. Linux 5.2.
pub(crate) fn mount_detached(kind: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: the string is live and ends with a NUL; the kernel makes a descriptor.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    let context = owned(answer(context))?;
    let none = std::ptr::null::<u8>();
    // SAFETY: the descriptor is open; this command takes no key and no value.
    let created = unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0)
    };
    answer(created)?;
    // SAFETY: takes a descriptor that is open and two numbers, and makes a descriptor.
    let mount =
        unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0) };
    owned(answer(mount))
}

fn answer(returned: impl Into<i64>) -> Result<i64, Errno> {
    let returned = returned.into();
    if returned < 0 { Err(Errno::last()) } else { Ok(returned) }
}

/// Locks an open file or folder for this descriptor alone, without waiting: `EWOULDBLOCK` if another has the lock. It goes with
/// the last copy of the descriptor.
pub(crate) fn lock(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes a descriptor that is open and a number.
    let returned = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    answer(returned).map(drop)
}
