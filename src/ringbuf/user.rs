//! Sends to programs.

use super::{refused, unmapped};
use crate::error::{Error, Result};
use crate::map::Map;
use crate::ring::{Claim, UserRing};
use crate::syscall;
use crate::uapi::{Errno, MapType};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

/// Sends samples to programs through a [user ring buffer](crate::MapSpec::user_ring_buffer) (Linux 6.1; a program reads
/// them with `user_ringbuf_drain`, [bpf-helpers(7)]).
///
/// ```no_run
/// use rawbpf::ringbuf::UserRingBuf;
/// use rawbpf::{Map, MapSpec};
///
/// # fn main() -> rawbpf::Result<()> {
/// static ORDERS: MapSpec = MapSpec::user_ring_buffer("orders", 64 << 10);
///
/// let orders = Map::create(&ORDERS)?;
/// let mut ring = UserRingBuf::open(&orders)?;
/// // Copied into the ring,
/// while !ring.send(b"begin")? {
///     ring.wait(None)?;
/// }
/// // or written in place.
/// if let Some(mut sample) = ring.reserve(16)? {
///     sample.bytes().copy_from_slice(&[7; 16]);
///     sample.commit();
/// }
/// # Ok(())
/// # }
/// ```
///
/// Samples are sent one after the other; threads share one by a `Mutex`. A user ring buffer has one producer: a second one in
/// this process is refused.
///
/// A program takes 128 Ki samples in one call at most, and each with a dynptr, which can have 16 MiB - 1 bytes.
///
/// [bpf-helpers(7)]: https://man7.org/linux/man-pages/man7/bpf-helpers.7.html
#[derive(Debug)]
#[doc(alias = "BPF_MAP_TYPE_USER_RINGBUF")]
pub struct UserRingBuf {
    ring: UserRing,
    /// Ready each time that a program has taken samples.
    epoll: OwnedFd,
    name: String,
    /// The map, which has to stay open for wake-ups. `None` only in tests.
    _map: Option<Map>,
}

impl UserRingBuf {
    /// Begins to send where the last producer ended. `mmap(2)`, Linux 6.1.
    ///
    /// # Errors
    /// [`Error::Spec`] if the map is not a user ring buffer or has a producer in this process already; [`Error::Reader`] if
    /// its memory could not be had.
    pub fn open(map: &Map) -> Result<UserRingBuf> {
        if map.kind() != MapType::UserRingBuf {
            return Err(refused(map, "a producer needs a user_ringbuf"));
        }
        let ring = Claim::new(map.info()?.id)
            .and_then(|claim| UserRing::open(map.as_fd(), map.max_entries() as usize, claim))
            .map_err(|claimed| unmapped(map, claimed))?;
        UserRingBuf::over(ring, map.name(), Some(map))
    }

    pub(super) fn over(ring: UserRing, name: &str, map: Option<&Map>) -> Result<UserRingBuf> {
        let failed = |action, errno| Error::Reader { action, cpu: None, errno, why: None };
        let epoll =
            syscall::epoll_create().map_err(|errno| failed("create an epoll set", errno))?;
        if let Some(map) = map {
            // The map is writable as long as there is any room at all: edge-triggered, only wake-ups are reported.
            let bits = libc::EPOLLOUT | libc::EPOLLET;
            syscall::epoll_add_for(epoll.as_fd(), map.as_fd(), 0, bits)
                .map_err(|errno| failed("wait for a user ring buffer", errno))?;
        }
        Ok(UserRingBuf { ring, epoll, name: name.to_owned(), _map: map.cloned() })
    }

    /// Space for a sample of `len` bytes, to be written in place; `None` if there is none now.
    ///
    /// # Errors
    /// [`Error::RecordSize`] if the ring can never hold that much; [`Error::CorruptRingBuffer`] if the kernel's
    /// position is invalid.
    pub fn reserve(&mut self, len: usize) -> Result<Option<Sample<'_>>> {
        let largest = self.ring.largest();
        if len > largest {
            return Err(Error::RecordSize { map: self.name.clone(), has: len, needs: largest });
        }
        match self.ring.has_room(len) {
            Some(true) => Ok(Some(Sample { ring: &mut self.ring, len })),
            Some(false) => Ok(None),
            None => Err(Error::CorruptRingBuffer {
                map: self.name.clone(),
                position: self.ring.position() as u64,
                problem: "the consumer's position is more than a ring away from the producer's",
            }),
        }
    }

    /// Sends a sample; `false` if there is no room for it now.
    ///
    /// # Errors
    /// As [`UserRingBuf::reserve`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<bool> {
        let Some(mut sample) = self.reserve(bytes.len())? else { return Ok(false) };
        sample.bytes().copy_from_slice(bytes);
        sample.commit();
        Ok(true)
    }

    /// Waits until a program has taken samples, if none has since the last call; `false` if the deadline has passed or
    /// a signal handler ran. The first call returns as soon as the ring is not full.
    ///
    /// Programs that drain with `BPF_RB_NO_WAKEUP` do not end the wait. Whether there is room enough then, only
    /// [`UserRingBuf::reserve`] shows.
    ///
    /// # Errors
    /// [`Error::Reader`] if waiting failed.
    pub fn wait(&self, deadline: Option<Instant>) -> Result<bool> {
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let mut ready = false;
        match syscall::epoll_wait(self.epoll.as_fd(), left, |_, _| ready = true) {
            Ok(()) => Ok(ready),
            Err(Errno(libc::EINTR)) => Ok(false),
            Err(errno) => {
                let action = "wait for a user ring buffer";
                Err(Error::Reader { action, cpu: None, errno, why: None })
            }
        }
    }
}

/// A descriptor for a `poll(2)` or `epoll(7)` of one's own: readable when a program has taken samples since
/// [`UserRingBuf::wait`] was called last. Call it with a deadline that has passed, then try to send.
impl AsFd for UserRingBuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The descriptor of [`AsFd`].
impl AsRawFd for UserRingBuf {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Space for one sample. Programs see it when it is [committed](Sample::commit); dropped before, it has never been there.
#[derive(Debug)]
pub struct Sample<'r> {
    ring: &'r mut UserRing,
    len: usize,
}

impl Sample<'_> {
    /// The bytes to write. They hold the ring's earlier contents.
    pub fn bytes(&mut self) -> &mut [u8] {
        // It has been checked that there is room, and the kernel does not take room back.
        self.ring.space(self.len).unwrap_or_default()
    }

    /// Hands it to programs.
    pub fn commit(self) {
        // It has room, as above.
        self.ring.commit(self.len);
    }
}
