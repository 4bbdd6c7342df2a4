//! Files that are in memory alone.

use crate::uapi::Errno;
use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd};

/// Makes an empty file that is gone with its last descriptor, `memfd_create(2)` (Linux 3.17).
pub(crate) fn memfd_create(name: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: `name` ends with a NUL and is there during the call, which only reads it.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the call made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
