//! Error numbers of the kernel.

use std::fmt;
use std::io;

/// An error number of the kernel, as in `errno`.
///
/// Displays as the C library's text and the symbol, `Operation not permitted (EPERM)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// The symbols of the numbers that the commands here can return.
const ERRNO_NAMES: &[(i32, &str)] = &[
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::ESRCH, "ESRCH"),
    (libc::EINTR, "EINTR"),
    (libc::EIO, "EIO"),
    (libc::ENXIO, "ENXIO"),
    (libc::E2BIG, "E2BIG"),
    (libc::EBADF, "EBADF"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EFAULT, "EFAULT"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EINVAL, "EINVAL"),
    (libc::ENFILE, "ENFILE"),
    (libc::EMFILE, "EMFILE"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EROFS, "EROFS"),
    (libc::ERANGE, "ERANGE"),
    (libc::EILSEQ, "EILSEQ"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::ENOTSOCK, "ENOTSOCK"),
    (libc::EMSGSIZE, "EMSGSIZE"),
    (libc::EOPNOTSUPP, "EOPNOTSUPP"),
    (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
    (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (libc::ENETDOWN, "ENETDOWN"),
    (libc::ENOBUFS, "ENOBUFS"),
    (ENOTSUPP, "ENOTSUPP"),
];

/// An errno internal to the kernel, which `bpf(2)` nevertheless returns to user space.
pub(crate) const ENOTSUPP: i32 = 524;

impl Errno {
    /// Returns the symbol, such as `EPERM`, if it is one that these calls are known to return.
    pub fn name(self) -> Option<&'static str> {
        ERRNO_NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }

    /// Returns the errno in an [`io::Error`]; `EIO` for one that did not come from the operating
    /// system.
    pub fn of(error: &io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }

    /// Returns the errno of the last system call of this thread that failed.
    pub(crate) fn last() -> Errno {
        Errno::of(&io::Error::last_os_error())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = self.name() else {
            return write!(f, "{}", io::Error::from_raw_os_error(self.0));
        };
        let words = io::Error::from_raw_os_error(self.0).to_string();
        // std appends " (os error 1)"; the symbol replaces it.
        let words = words.split(" (os error").next().unwrap_or(&words);
        let words = if self.0 == ENOTSUPP { "Operation is not supported" } else { words };
        write!(f, "{words} ({name})")
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_says_its_symbol() {
        assert_eq!(Errno(libc::EPERM).to_string(), "Operation not permitted (EPERM)");
        assert_eq!(Errno(524).to_string(), "Operation is not supported (ENOTSUPP)");
        assert_eq!(format!("{:?}", Errno(libc::ENOENT)), "ENOENT");
    }
}
