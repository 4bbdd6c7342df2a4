//! Waiting of readers: one `epoll(7)` set of all their event sources, and a [`Waker`] for other threads.

use crate::error::{Error, Result};
use crate::syscall;
use crate::uapi::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The waker's key in the epoll set; the others are the reader's.
const WAKER_KEY: u64 = u64::MAX;

/// The reason why the `poll` of a reader returned. Unless it is [`Polled::Stopped`], all records in the rings
/// have been read.
///
/// If there is more than one reason, it is the first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Polled {
    /// The consumer returned [`ControlFlow::Break`]. The next call goes on with the next record.
    Stopped,
    /// [`Waker::wake`] was called, now or since the last time that this was returned.
    Woken,
    /// A signal handler ran while it waited (`EINTR`), so that the caller can see what the handler
    /// left behind.
    ///
    /// A signal that comes just before the wait does not end it. To be sure, let the handler call
    /// [`Waker::wake`].
    Interrupted,
    /// The deadline has passed.
    Deadline,
    /// There were records.
    Records,
}

/// A value that a consumer of records returns: `()` to go on with the next record, or a [`ControlFlow`], which can also stop
/// the reader after this one.
///
/// ```no_run
/// # fn read(reader: &mut rawbpf::ringbuf::RingBufReader) -> rawbpf::Result<()> {
/// use std::ops::ControlFlow;
///
/// reader.poll(None, |record| println!("{:02x?}", record.bytes))?;
/// reader.poll(None, |record| match record.bytes.first() {
///     Some(0) | None => ControlFlow::Break(()),
///     Some(_) => ControlFlow::Continue(()),
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// An error of its own a consumer keeps in a variable; or the records are read in a loop, over
/// [`RingBufReader::records`](crate::ringbuf::RingBufReader::records) or
/// [`PerfReader::records`](crate::perf::PerfReader::records).
#[diagnostic::on_unimplemented(
    message = "a consumer of records returns `()` or a `ControlFlow`, not `{Self}`",
    note = "to end with an error keep it in a variable and return `ControlFlow::Break(())`, or read in a loop: `records()`"
)]
pub trait IntoFlow {
    /// Returns whether the reader goes on.
    fn into_flow(self) -> ControlFlow<()>;
}

impl IntoFlow for () {
    #[inline]
    fn into_flow(self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl IntoFlow for ControlFlow<()> {
    #[inline]
    fn into_flow(self) -> ControlFlow<()> {
        self
    }
}

/// The result of reading every ring once.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// The number of records that were passed to the consumer.
    pub records: usize,
    /// Whether the consumer stopped it.
    pub stopped: bool,
}

/// An `epoll(7)` set with a waker in it.
#[derive(Debug)]
pub(crate) struct WaitSet {
    epoll: OwnedFd,
    waker: Waker,
}

impl WaitSet {
    pub(crate) fn new() -> Result<WaitSet> {
        let failed = |action, errno| Error::Reader { action, cpu: None, errno, why: None };
        let epoll =
            syscall::epoll_create().map_err(|errno| failed("create an epoll set", errno))?;
        let bell = syscall::eventfd().map_err(|errno| failed("create an eventfd", errno))?;
        syscall::epoll_add(epoll.as_fd(), bell.as_fd(), WAKER_KEY)
            .map_err(|errno| failed("wait for an eventfd", errno))?;
        let bell = Bell { rung: AtomicBool::new(false), counter: File::from(bell) };
        Ok(WaitSet { epoll, waker: Waker(Arc::new(bell)) })
    }

    /// Adds `fd` to the set, with `key` as its key.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
        syscall::epoll_add(self.epoll.as_fd(), fd, key)
    }

    /// As [`WaitSet::add`], edge-triggered: it ends a wait once for each event, even if it stays readable.
    pub(crate) fn add_edge(&self, fd: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
        syscall::epoll_add_for(self.epoll.as_fd(), fd, key, libc::EPOLLIN | libc::EPOLLET)
    }

    /// Removes `fd` from the set.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        syscall::epoll_remove(self.epoll.as_fd(), fd)
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Why a reader that has just read its rings is to return, or `None` if it is to wait. `interrupted`: a signal
    /// ended the wait before; `left`: the time to the deadline.
    pub(crate) fn reason(
        &self,
        pass: &Pass,
        interrupted: bool,
        left: Option<Duration>,
    ) -> Option<Polled> {
        if pass.stopped {
            Some(Polled::Stopped)
        } else if self.waker.0.answered() {
            Some(Polled::Woken)
        } else if interrupted {
            Some(Polled::Interrupted)
        } else if left == Some(Duration::ZERO) {
            Some(Polled::Deadline)
        } else if pass.records > 0 {
            Some(Polled::Records)
        } else {
            None
        }
    }

    /// Waits for an event or a waker, or until the timeout, and passes the key and the `EPOLL*` bits of each ready
    /// descriptor to `ready`; `true` if a signal ended it.
    pub(crate) fn wait(
        &self,
        time: Option<Duration>,
        mut ready: impl FnMut(u64, u32),
    ) -> Result<bool> {
        let waited = syscall::epoll_wait(self.epoll.as_fd(), time, |key, bits| {
            if key == WAKER_KEY {
                // Its flag is the request; a counter that is left over from an earlier one
                // is not.
                self.waker.0.silence();
            } else {
                ready(key, bits);
            }
        });
        match waited {
            Ok(()) => Ok(false),
            Err(Errno(libc::EINTR)) => Ok(true),
            Err(errno) => {
                let action = "wait for samples";
                Err(Error::Reader { action, cpu: None, errno, why: None })
            }
        }
    }
}

impl AsFd for WaitSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Ends the wait of a reader from another thread. Clones wake the same reader; it may have been
/// dropped.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Bell>);

/// An `eventfd(2)` in the reader's epoll set, and whether it has been written.
#[derive(Debug)]
struct Bell {
    /// Saves a reader that is not waiting the system call that reads the counter.
    rung: AtomicBool,
    counter: File,
}

impl Waker {
    /// Makes the reader's `poll` return [`Polled::Woken`], at once or when it is called next.
    /// Several calls before that count as one.
    ///
    /// It stores one atomic and makes one `write(2)`, so a signal handler may call it, if it saves
    /// `errno`.
    pub fn wake(&self) {
        self.0.rung.store(true, Ordering::Release);
        self.0.count();
    }

    /// Leaves the counter readable without the flag, which two threads can bring about.
    #[cfg(test)]
    pub(crate) fn count_without_flag(&self) {
        self.0.count();
    }

    /// Whether the counter is readable.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> bool {
        (&self.0.counter).read(&mut [0; 8]).is_ok()
    }
}

impl Bell {
    /// Makes the counter readable.
    fn count(&self) {
        // It fails only when the counter is full, and then it is readable as it is.
        let _ = (&self.counter).write(&1u64.to_ne_bytes());
    }

    /// Whether it has been rung since the last time.
    fn answered(&self) -> bool {
        if !self.rung.load(Ordering::Acquire) {
            return false;
        }
        // First the counter, then the flag: a ring in between leaves the flag, for the next time.
        // (The other way round it would leave neither.) A counter without the flag ends a wait for
        // nothing, once: see `wait`.
        self.silence();
        self.rung.swap(false, Ordering::AcqRel)
    }

    /// Makes the counter unreadable.
    fn silence(&self) {
        // It fails only when the counter is 0.
        let _ = (&self.counter).read(&mut [0; 8]);
    }
}
