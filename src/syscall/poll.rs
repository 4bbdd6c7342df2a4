//! Waiting: `epoll(7)`, `poll(2)`, `eventfd(2)`.

use super::{Errno, owned};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Makes an empty `epoll(7)` set.
pub(crate) fn epoll_create() -> Result<OwnedFd, Errno> {
    // SAFETY: takes an integer, returns a descriptor.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    owned(if fd < 0 { Err(Errno::last()) } else { Ok(i64::from(fd)) })
}

/// Adds a descriptor to an `epoll(7)` set, for `EPOLLIN`; `key` is returned with its events.
pub(crate) fn epoll_add(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
    epoll_add_for(epoll, fd, key, libc::EPOLLIN)
}

/// As [`epoll_add`], for these `EPOLL*` bits.
pub(crate) fn epoll_add_for(
    epoll: BorrowedFd<'_>,
    fd: BorrowedFd<'_>,
    key: u64,
    bits: i32,
) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events: bits as u32, u64: key };
    // SAFETY: `event` is live; both descriptors are open for as long as they are borrowed.
    let answer = unsafe {
        libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event)
    };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// Takes a descriptor out of an `epoll(7)` set.
pub(crate) fn epoll_remove(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let none = std::ptr::null_mut();
    // SAFETY: the event pointer is not read for EPOLL_CTL_DEL (Linux 2.6.9).
    let answer =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), none) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// The most ready descriptors that one [`epoll_wait`] reports.
const EPOLL_BATCH: usize = 64;

/// Waits until a descriptor of the set is ready or the time is over (`None`: without end), and passes
/// the key and the `EPOLL*` bits of each to `ready`. Rounds up to whole milliseconds, so that it never returns early. A signal ends
/// it with `EINTR`.
pub(crate) fn epoll_wait(
    epoll: BorrowedFd<'_>,
    timeout: Option<Duration>,
    mut ready: impl FnMut(u64, u32),
) -> Result<(), Errno> {
    let timeout = match timeout {
        None => -1,
        Some(time) => i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    };
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EPOLL_BATCH];
    // SAFETY: `events` is live and as long as is said.
    let count = unsafe {
        libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), EPOLL_BATCH as i32, timeout)
    };
    let count = usize::try_from(count).map_err(|_| Errno::last())?;
    for event in events.iter().take(count) {
        ready(event.u64, event.events);
    }
    Ok(())
}

/// Waits until a descriptor is readable or has come to its end, or the time is over (`None`: without end);
/// whether it is. Rounds up to whole milliseconds. A signal that has a handler ends it with `EINTR`.
/// `poll(2)`.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, time: Option<Duration>) -> Result<bool, Errno> {
    let timeout = match time {
        None => -1,
        Some(time) => i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one live pollfd, as is said, whose descriptor is borrowed and so open.
    let ready = unsafe { libc::poll(&mut poll, 1, timeout) };
    if ready < 0 { Err(Errno::last()) } else { Ok(ready > 0) }
}

/// Makes an `eventfd(2)`: a counter that one thread adds to and another one waits for. Never blocks.
pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: takes integers, returns a descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    owned(if fd < 0 { Err(Errno::last()) } else { Ok(i64::from(fd)) })
}
