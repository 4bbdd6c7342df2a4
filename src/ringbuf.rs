//! Reads what programs send through BPF ring buffers, and sends to programs through user ring buffers.
//!
//! A [ring buffer](crate::MapSpec::ring_buffer) (Linux 5.8) is one ring for all CPUs. A program copies a record into it
//! (`ringbuf_output`), or has space reserved, writes there and submits or discards it (`ringbuf_reserve`,
//! `ringbuf_submit`, `ringbuf_discard`; [bpf-helpers(7)], [the kernel's document][ringbuf]). [`RingBufReader`] reads it,
//! in the way [`PerfReader`](crate::perf::PerfReader) reads a perf event array.
//!
//! ```no_run
//! use rawbpf::ringbuf::RingBufReader;
//! use rawbpf::{Map, MapSpec};
//!
//! # fn main() -> rawbpf::Result<()> {
//! static EVENTS: MapSpec = MapSpec::ring_buffer("events", 256 << 10);
//!
//! let events = Map::create(&EVENTS)?;
//! let mut reader = RingBufReader::open(&events)?;
//! loop {
//!     reader.poll(None, |record| {
//!         println!("{:02x?}", record.bytes);
//!     })?;
//! }
//! # }
//! ```
//!
//! # Beside a perf event array
//! Records of all CPUs come in the order in which they were reserved. A record has exactly the bytes that were sent.
//! Records that found the ring full are not counted by the kernel: the program sees it (`ringbuf_output` returns
//! `-EAGAIN`, `ringbuf_reserve` 0), and has to count them if they are to be known.
//!
//! # When the reader is woken
//! It is woken when a record is finished and all before it have been read. A reader that is kept busy is therefore
//! hardly ever woken, and one that waits is woken at once. Programs can force a wake-up (`BPF_RB_FORCE_WAKEUP`) or
//! suppress it (`BPF_RB_NO_WAKEUP`); if they suppress it, give [`RingBufReader::poll`] a deadline, as far away as a
//! record may wait.
//!
//! [bpf-helpers(7)]: https://man7.org/linux/man-pages/man7/bpf-helpers.7.html
//! [ringbuf]: https://docs.kernel.org/bpf/ringbuf.html

mod copied;
mod records;
#[cfg(test)]
mod tests;
mod user;

pub use crate::wait::{IntoFlow, Polled, Waker};
pub use records::{Records, Typed};
pub use user::{Sample, UserRingBuf};

use crate::error::{Error, Result};
use crate::map::Map;
use crate::permission::{self, Need};
use crate::ring::{BpfRing, Claim, Claimed, Found};
use crate::uapi::{MapFlags, MapType};
use crate::util::pod::Plain;
use crate::wait::{Pass, WaitSet};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

/// A record of a ring buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// The index of the ring buffer in the reader, in the order in which they were added, from 0 on.
    pub ring: usize,
    /// The bytes that the program sent, as they lie in the ring, unless they were
    /// [copied](RingBufReader::drain_copied).
    ///
    /// The kernel leaves it alone until it is handed back, and so does this process. Another process that has the map (it is
    /// pinned, or it was opened by its number) and consumes from it gives the memory back to programs, and then the
    /// bytes change while they are lent. If that can happen, read copies.
    pub bytes: &'a [u8],
}

impl Record<'_> {
    /// The record as a value of a type; `None` if it has another size.
    pub fn value<T: Plain>(&self) -> Option<T> {
        T::from_bytes(self.bytes)
    }
}

/// Reads the records that programs send through ring buffers.
///
/// A ring buffer has one reader. A second one in this process is refused ([`Error::Spec`]), since the memory that the
/// first has lent out would be overwritten; records that another process reads are missed here, which is an
/// [`Error::CorruptRingBuffer`]. While it reads, bytes that are lent here can be overwritten ([`Record::bytes`]);
/// [`RingBufReader::drain_copied`] is for rings that others may read.
///
/// # Damaged rings
/// The contents of a ring are treated as untrusted. An invalid header is an [`Error::CorruptRingBuffer`]. The start of
/// the next record is then unknown, so the ring stays where it is and every further call returns the same error. The
/// other rings are read.
#[derive(Debug)]
#[doc(alias = "BPF_MAP_TYPE_RINGBUF")]
pub struct RingBufReader {
    rings: Vec<Ring>,
    /// The ring to read next.
    turn: usize,
    waits: WaitSet,
}

/// One of the ring buffers of a reader.
#[derive(Debug)]
struct Ring {
    ring: BpfRing,
    /// The map's name, for messages.
    name: String,
    /// The map, which has to stay open for wake-ups. `None` only in tests.
    #[cfg_attr(not(feature = "bt"), allow(dead_code, reason = "it only has to stay open"))]
    map: Option<Map>,
}

impl RingBufReader {
    /// Begins to read a ring buffer where its last reader ended. `mmap(2)`, Linux 5.8.
    ///
    /// # Errors
    /// [`Error::Spec`] if the map is not a ring buffer, drops its oldest records
    /// ([`MapFlags::RB_OVERWRITE`]) or is read in this process already;
    /// [`Error::Reader`] if its memory could not be had.
    pub fn open(map: &Map) -> Result<RingBufReader> {
        let mut reader = RingBufReader::empty()?;
        reader.add(map)?;
        Ok(reader)
    }

    fn empty() -> Result<RingBufReader> {
        Ok(RingBufReader { rings: Vec::new(), turn: 0, waits: WaitSet::new()? })
    }

    /// Reads one more ring buffer; gives the number that its [`Record::ring`] has.
    ///
    /// # Errors
    /// As [`RingBufReader::open`].
    pub fn add(&mut self, map: &Map) -> Result<usize> {
        if map.kind() != MapType::RingBuf {
            return Err(refused(map, "a ring buffer reader needs a ringbuf"));
        }
        if map.flags().contains(MapFlags::RB_OVERWRITE) {
            return Err(refused(map, "programs overwrite what is being read (BPF_F_RB_OVERWRITE)"));
        }
        let ring = Claim::new(map.info()?.id)
            .and_then(|claim| BpfRing::open(map.as_fd(), map.max_entries() as usize, claim))
            .map_err(|claimed| unmapped(map, claimed))?;
        self.insert(ring, map.name(), Some(map))
    }

    fn insert(&mut self, ring: BpfRing, name: &str, map: Option<&Map>) -> Result<usize> {
        let index = self.rings.len();
        if let Some(map) = map {
            // A record that is begun and not finished makes the map readable, but cannot be read: so only what wakes
            // ends a wait.
            self.waits.add_edge(map.as_fd(), index as u64).map_err(|errno| Error::Reader {
                action: "wait for a ring buffer",
                cpu: None,
                errno,
                why: None,
            })?;
        }
        self.rings.push(Ring { ring, name: name.to_owned(), map: map.cloned() });
        Ok(index)
    }

    /// Reads everything that was in the ring buffers when it was called, without waiting. Returns how many records that
    /// was.
    ///
    /// To end a run with nothing left behind: detach the programs, then drain.
    ///
    /// A ring is read up to what it held when its turn came, or to a record that a program has not finished. What
    /// has been read is handed back to the kernel in batches of an eighth of the ring. If `consume` panics, the record
    /// it had counts as read.
    ///
    /// # Errors
    /// [`Error::CorruptRingBuffer`]. The other rings have been read.
    pub fn drain<F, R>(&mut self, mut consume: F) -> Result<usize>
    where
        F: FnMut(Record<'_>) -> R,
        R: IntoFlow,
    {
        let mut consume = |record: Record<'_>| consume(record).into_flow();
        self.pass(&mut consume).map(|pass| pass.records)
    }

    /// Waits until there are records, and reads them as [`RingBufReader::drain`] does; until the deadline at most,
    /// `Some(Instant::now() + Duration::from_secs(1))`, or without end if there is none.
    ///
    /// Records that are there already are not waited for. At the deadline all rings are read, also those without a
    /// wake-up. A deadline that has passed makes this a look without waiting. The wait is counted in whole
    /// milliseconds, rounded up.
    ///
    /// # Errors
    /// As [`RingBufReader::drain`], and [`Error::Reader`] if waiting failed.
    pub fn poll<F, R>(&mut self, deadline: Option<Instant>, mut consume: F) -> Result<Polled>
    where
        F: FnMut(Record<'_>) -> R,
        R: IntoFlow,
    {
        let mut consume = |record: Record<'_>| consume(record).into_flow();
        let mut interrupted = false;
        loop {
            let pass = self.pass(&mut consume)?;
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if let Some(reason) = self.waits.reason(&pass, interrupted, left) {
                return Ok(reason);
            }
            if !self.rings.iter().any(|ring| ring.ring.is_ready()) {
                interrupted = self.waits.wait(left, |_, _| {})?;
            }
        }
    }

    /// Returns how many bytes the ring buffers hold together.
    #[cfg(feature = "bt")]
    pub(crate) fn size(&self) -> usize {
        self.rings.iter().flat_map(|ring| &ring.map).map(|map| map.max_entries() as usize).sum()
    }

    /// Hands out record after record of what is there now, for a loop of one's own. See [`Records`].
    pub fn records(&mut self) -> Records<'_> {
        Records::new(self)
    }

    /// Returns a handle that ends a wait from elsewhere: another thread, a signal handler.
    pub fn waker(&self) -> Waker {
        self.waits.waker()
    }

    /// Whether the consumer stopped in the middle of a ring. That one is finished first, and its turn comes again
    /// after the others, so neither it nor they are kept waiting.
    fn is_unfinished(&self) -> bool {
        self.rings.get(self.turn).is_some_and(|ring| !ring.ring.is_empty())
    }

    fn next_turn(&mut self) {
        self.turn = if self.turn + 1 < self.rings.len() { self.turn + 1 } else { 0 };
    }

    /// Reads each ring once, as far as it was written when its turn came.
    fn pass<F>(&mut self, consume: &mut F) -> Result<Pass>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let mut pass = Pass::default();
        let mut first_error = None;
        let unfinished = self.is_unfinished();
        for visit in 0..self.rings.len() + usize::from(unfinished) {
            let turn = self.turn;
            let Some(ring) = self.rings.get_mut(turn) else { break };
            let seen = if unfinished && visit == 0 { Ok(()) } else { ring.look() };
            match seen.and_then(|()| ring.read(turn, &mut pass.records, consume)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => pass.stopped = true,
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
            if !pass.stopped || ring.ring.is_empty() {
                self.next_turn();
            }
            if pass.stopped {
                break;
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(pass),
        }
    }
}

impl Ring {
    fn corrupt(&self, problem: &'static str) -> Error {
        Error::CorruptRingBuffer {
            map: self.name.clone(),
            position: self.ring.position() as u64,
            problem,
        }
    }

    /// Sees what has been written.
    fn look(&mut self) -> Result<()> {
        self.ring.look().map_err(|problem| self.corrupt(problem))
    }

    /// The number of bytes that are released at once: releasing costs programs' CPUs a cache line, not releasing costs
    /// a slow consumer room.
    fn enough(&self) -> usize {
        self.ring.size() / 8
    }

    /// Reads what has been seen.
    fn read<F>(
        &mut self,
        index: usize,
        records: &mut usize,
        consume: &mut F,
    ) -> Result<ControlFlow<()>>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let enough = self.enough();
        loop {
            let start = self.ring.position();
            let mut batch = Batch { at: start, ring: &mut self.ring };
            let Batch { at, ring } = &mut batch;
            let mut unread = ring.unread(start);
            let end = loop {
                let found = unread.next();
                *at = unread.position();
                match found {
                    Found::Record(bytes) => {
                        *records += 1;
                        if consume(Record { ring: index, bytes }).is_break() {
                            break Some(Ok(ControlFlow::Break(())));
                        }
                    }
                    Found::Discarded => {}
                    Found::Nothing => break Some(Ok(ControlFlow::Continue(()))),
                    Found::Corrupt(problem) => break Some(Err(problem)),
                }
                if at.wrapping_sub(start) >= enough {
                    break None;
                }
            };
            drop(batch);
            if let Some(end) = end {
                return end.map_err(|problem| self.corrupt(problem));
            }
        }
    }
}

/// Some records that are being read; hands them back when dropped, also when the consumer panics.
struct Batch<'r> {
    ring: &'r mut BpfRing,
    at: usize,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.ring.release(self.at);
    }
}

/// A descriptor for a `poll(2)` or `epoll(7)` of one's own, or of an asynchronous runtime: readable when there is
/// something in a ring buffer or a [`Waker`] wakes the reader.
///
/// Call [`RingBufReader::poll`] with a deadline that has passed, once after adding the descriptor and then each time
/// that it is readable. ([`RingBufReader::drain`] reads the records too, but takes no notice of a [`Waker`].) After
/// [`Polled::Stopped`] go on without asking it: it need not be readable for what was left.
///
/// With edge-triggered waiting (`EPOLLET`, tokio's `AsyncFd`) read until [`RingBufReader::drain`] returns 0 before
/// waiting again: the kernel wakes nobody for a record that comes while the ring is not empty.
impl AsFd for RingBufReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waits.as_fd()
    }
}

/// The descriptor of [`AsFd`].
impl AsRawFd for RingBufReader {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn refused(map: &Map, problem: &'static str) -> Error {
    Error::Spec { what: "reader of map", name: map.name().to_owned(), problem }
}

/// The error for a ring buffer whose memory could not be had.
fn unmapped(map: &Map, claimed: Claimed) -> Error {
    match claimed {
        Claimed::Already => refused(map, "it has one in this process already"),
        Claimed::Memory(errno) => Error::Reader {
            action: "map a ring buffer",
            cpu: None,
            errno,
            why: permission::explain(errno, Need::Bpf),
        },
        Claimed::Corrupt(problem) => {
            Error::CorruptRingBuffer { map: map.name().to_owned(), position: 0, problem }
        }
    }
}
