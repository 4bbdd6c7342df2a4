//! The memory of a BPF ring buffer, `kernel/bpf/ringbuf.c`: a page with the consumer's position, a page with the
//! producer's, and the data, mapped twice in a row, so that a record is one piece wherever it lies.
//!
//! Positions count bytes and only grow; their type is the kernel's `unsigned long`. A record is a header of 8 bytes and
//! what the program sent, filled up to a multiple of 8. The first word of a header is the length and two bits:
//!
//! * *busy*: the program has the record and is still writing it. The producer's position is already behind it; nothing
//!   from here on can be read yet.
//! * *discard*: the program discarded the record.
//!
//! The orderings, each written once below:
//!
//! * The kernel writes a header with the busy bit, then the position ([`seen`] loads it), then the record, then the
//!   header without the bit ([`seen`] again). So a header is read only behind the position, a record only behind its
//!   header.
//! * This side reads a record, then stores its position with `Release`: no read of it is left for when the kernel
//!   may be writing there.
//! * The kernel wakes a reader when a record is finished that stands just where the consumer's position is: it writes
//!   the header (`xchg`, a full barrier), then reads the position. This side writes the position, then reads the header
//!   once more before it sleeps, with a full fence in between ([`BpfRing::is_ready`]): so at least one of the two sees
//!   the other.

use super::{AHEAD, Claim, Claimed, Mapping, page_size, prefetch};
use crate::uapi::Errno;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// `BPF_RINGBUF_BUSY_BIT`.
pub(super) const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`.
pub(super) const DISCARD: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`.
pub(super) const HEADER: usize = 8;

/// A word that the kernel writes. A trait, so that the loom model runs the functions that the ring runs.
pub(super) trait Word {
    type Value;

    fn load(&self) -> Self::Value;
    fn fence(ordering: Ordering);
}

impl Word for AtomicUsize {
    type Value = usize;

    fn load(&self) -> usize {
        // Relaxed, with a fence after it: the one order that may be asked of memory that cannot be written.
        AtomicUsize::load(self, Ordering::Relaxed)
    }

    fn fence(ordering: Ordering) {
        fence(ordering);
    }
}

impl Word for AtomicU32 {
    type Value = u32;

    fn load(&self) -> u32 {
        AtomicU32::load(self, Ordering::Relaxed)
    }

    fn fence(ordering: Ordering) {
        fence(ordering);
    }
}

/// Loads a word that the kernel writes, with acquire ordering: everything that it wrote before can be read after this.
#[inline]
pub(super) fn seen<W: Word>(word: &W) -> W::Value {
    let value = word.load();
    W::fence(Ordering::Acquire);
    value
}

/// Whether a record is finished, of which this is the header: looked at again when everything before it has been
/// handed back, so that either this sees it finished or the kernel sees that it has to wake.
#[inline]
pub(super) fn finished<W: Word<Value = u32>>(header: &W) -> bool {
    W::fence(Ordering::SeqCst);
    seen(header) & BUSY == 0
}

/// The next item of a ring.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'r> {
    /// Nothing that can be read yet.
    Nothing,
    /// A record that a program sent.
    Record(&'r [u8]),
    /// Something that a program began and threw away.
    Discarded,
    /// An invalid header.
    Corrupt(&'static str),
}

/// The next item of a ring, by its place.
enum Step {
    Nothing,
    /// Offset of its header, and the number of bytes that follow.
    Record {
        start: usize,
        length: usize,
    },
    Discarded,
    Corrupt(&'static str),
}

/// The result of [`BpfRing::copy_next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    Nothing,
    Record,
    Discarded,
}

/// A ring buffer's memory, and where this side is in it.
///
/// `head - tail` is at most `size`, and `tail` a multiple of 8, always; it is what makes [`Unread`] sound.
pub(crate) struct BpfRing {
    /// The first page, writable.
    consumer: Mapping,
    /// The rest: the producer's page, and twice the data.
    producer: Mapping,
    _claim: Claim,
    /// Bytes of data, a power of two.
    size: usize,
    /// The bytes of a page, behind which the data begins.
    page: usize,
    tail: usize,
    head: usize,
}

impl fmt::Debug for BpfRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BpfRing")
            .field("size", &self.size)
            .field("tail", &self.tail)
            .field("head", &self.head)
            .finish()
    }
}

impl BpfRing {
    /// Maps a ring buffer of `size` bytes, a power of two and whole pages, which is what the kernel makes them of.
    pub(crate) fn open(map: BorrowedFd<'_>, size: usize, claim: Claim) -> Result<BpfRing, Claimed> {
        let page = page_size();
        let len = lengths(size, page)?;
        let consumer = Mapping::new(map, 0, page, true).map_err(Claimed::Memory)?;
        let producer = Mapping::new(map, page, len, false).map_err(Claimed::Memory)?;
        BpfRing::over(consumer, producer, size, claim)
    }

    pub(super) fn over(
        consumer: Mapping,
        producer: Mapping,
        size: usize,
        claim: Claim,
    ) -> Result<BpfRing, Claimed> {
        let tail = consumer.word(0).load(Ordering::Relaxed);
        if !tail.is_multiple_of(8) {
            return Err(Claimed::Corrupt("the consumer's position is not a multiple of 8"));
        }
        Ok(BpfRing { consumer, producer, _claim: claim, size, page: page_size(), tail, head: tail })
    }

    /// The capacity for records, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The position that is read next.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.tail
    }

    /// Whether everything that [`BpfRing::look`] saw has been released.
    pub(crate) fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    /// Sees how far programs have written.
    ///
    /// Returns an error if the position is invalid. If another process has moved the consumer's, reading goes on from
    /// where it is now.
    pub(crate) fn look(&mut self) -> Result<(), &'static str> {
        let now = self.consumer.word(0).load(Ordering::Relaxed);
        if now != self.tail {
            if !now.is_multiple_of(8) {
                return Err("the consumer's position is not a multiple of 8");
            }
            self.tail = now;
            self.head = now;
            return Err("somebody else moved the consumer's position: the ring has another reader");
        }
        let head = seen(self.producer.word(0));
        if head.wrapping_sub(self.tail) > self.size {
            self.head = self.tail;
            return Err("the producer's position is more than a ring away from the consumer's");
        }
        self.head = head;
        Ok(())
    }

    /// The bytes that have been seen and not released, from `at` on: a position that [`Unread`] came to; at any other
    /// there are none.
    #[inline]
    pub(crate) fn unread(&self, at: usize) -> Unread<'_> {
        self.unread_like(at, Like::default())
    }

    /// The same with a prediction of the next record's form.
    #[inline]
    pub(crate) fn unread_like(&self, at: usize, like: Like) -> Unread<'_> {
        let left = self.head.wrapping_sub(at);
        // Behind the head it would be a huge number; before the tail more than there was.
        let is_there = left <= self.head.wrapping_sub(self.tail) && at.is_multiple_of(8);
        Unread {
            // SAFETY: the producer's page, which comes first, is mapped with the data behind it.
            data: unsafe { self.producer.base.add(self.page) },
            mask: self.size - 1,
            at: if is_there { at } else { self.head },
            head: self.head,
            like,
            ring: PhantomData,
        }
    }

    /// Hands everything before `at` back to the kernel, a position that [`Unread`] came to.
    #[inline]
    pub(crate) fn release(&mut self, at: usize) {
        let read = at.wrapping_sub(self.tail);
        if read != 0 && read <= self.head.wrapping_sub(self.tail) && at.is_multiple_of(8) {
            self.tail = at;
            self.consumer.word(0).store(at, Ordering::Release);
        }
    }

    /// Copies the next record and releases it. Returns an error if the record is invalid, or if it may have been
    /// overwritten, since another process has moved the consumer's position.
    pub(crate) fn copy_next(&mut self, copy: &mut Vec<u8>) -> Result<Copied, &'static str> {
        let mut unread = self.unread(self.tail);
        let copied = match unread.step() {
            Step::Nothing => return Ok(Copied::Nothing),
            Step::Corrupt(problem) => return Err(problem),
            Step::Discarded => Copied::Discarded,
            Step::Record { start, length } => {
                copy.clear();
                copy.extend(unread.words(start, length).flat_map(u64::to_ne_bytes));
                copy.truncate(length);
                Copied::Record
            }
        };
        let at = unread.position();
        // No word is read after this.
        fence(Ordering::Acquire);
        if self.consumer.word(0).load(Ordering::Relaxed) != self.tail {
            return self.look().map(|()| Copied::Nothing);
        }
        self.release(at);
        Ok(copied)
    }

    /// Whether there is a record now that can be read. If not, the kernel wakes when there is.
    ///
    /// To be called after everything that could be read has been released.
    pub(crate) fn is_ready(&self) -> bool {
        fence(Ordering::SeqCst);
        let unread = BpfRing::unread(self, self.tail);
        let head = seen(self.producer.word(0));
        head != self.tail && finished(unread.header(self.tail & unread.mask))
    }
}

/// The bytes that have been seen and not released. The kernel does not write to this memory for as long as the ring is
/// borrowed.
///
/// `head - at` is at most the size of the ring, and `at` a multiple of 8, always.
pub(crate) struct Unread<'r> {
    /// Start of the data.
    data: NonNull<u8>,
    /// The size of the ring, less 1.
    mask: usize,
    at: usize,
    head: usize,
    like: Like,
    ring: PhantomData<&'r BpfRing>,
}

/// A finished record: its header, and its bytes with the header and the filling. At first there is none like it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Like {
    header: u32,
    whole: usize,
}

impl Default for Like {
    fn default() -> Like {
        Like { header: BUSY, whole: usize::MAX }
    }
}

impl<'r> Unread<'r> {
    /// Behind what [`Unread::next`] gave.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The form of the record that [`Unread::next`] returned last.
    pub(crate) fn like(&self) -> Like {
        self.like
    }

    /// Whether what comes next is a record like that.
    #[inline]
    pub(crate) fn is_alike(&self) -> bool {
        // In this order: where nothing is left there is no header.
        self.like.whole <= self.head.wrapping_sub(self.at)
            && seen(self.header(self.at & self.mask)) == self.like.header
    }

    /// Returns the next item.
    #[inline]
    pub(crate) fn next(&mut self) -> Found<'r> {
        let (start, length) = match self.step() {
            Step::Record { start, length } => (start, length),
            Step::Nothing => return Found::Nothing,
            Step::Discarded => return Found::Discarded,
            Step::Corrupt(problem) => return Found::Corrupt(problem),
        };
        // SAFETY: the data is mapped twice in a row, twice the ring's size from `data` on, initialised (the kernel hands
        // out zeroed pages), for as long as the ring is borrowed. `start` is less than the size and
        // `HEADER + length <= whole <= left <= size`, so the slice ends within it. The record is finished (its header
        // has neither bit, and was read before this), so the program that made it can no longer write it; the kernel gives
        // the space to another one only when the consumer's position is moved, for which `release` and `look` need the
        // `&mut BpfRing` that the borrow excludes. Nobody else in this process has it mapped: there is a claim. Another
        // process that moves the position breaks this, which documents say where records are lent.
        let bytes =
            unsafe { slice::from_raw_parts(self.data.as_ptr().add(start + HEADER), length) };
        prefetch(bytes, AHEAD);
        Found::Record(bytes)
    }

    /// Goes on behind what comes next.
    #[inline]
    fn step(&mut self) -> Step {
        let left = self.head.wrapping_sub(self.at);
        if left < HEADER {
            return match left {
                0 => Step::Nothing,
                _ => Step::Corrupt("less than a header is left"),
            };
        }
        let start = self.at & self.mask;
        let header = seen(self.header(start));
        // Most programs send records of one size. Then finding the next record need not wait for this header, but only
        // for the check that it is as predicted.
        if header != self.like.header || self.like.whole > left {
            if header & BUSY != 0 {
                return Step::Nothing;
            }
            // At most 2^30 + 16: no overflow.
            let whole = (HEADER + (header & !DISCARD) as usize).next_multiple_of(8);
            if whole > left {
                return Step::Corrupt("a record reaches beyond what was written");
            }
            if header & DISCARD != 0 {
                self.at = self.at.wrapping_add(whole);
                return Step::Discarded;
            }
            self.like = Like { header, whole };
        }
        self.at = self.at.wrapping_add(self.like.whole);
        Step::Record { start, length: header as usize }
    }

    /// The words of a record of `length` bytes behind the header at `start`, as [`Step::Record`] has it: filled up to 8.
    fn words(&self, start: usize, length: usize) -> impl Iterator<Item = u64> + '_ {
        (0..length.div_ceil(8)).map(move |word| {
            // SAFETY: within the record, as in `next`, and aligned: records begin at multiples of 8. The word is read as one,
            // whoever writes it meanwhile.
            unsafe {
                let word = self.data.as_ptr().add(start + HEADER + word * 8);
                AtomicU64::from_ptr(word.cast()).load(Ordering::Relaxed)
            }
        })
    }

    /// The first word of the header at `start`, a multiple of 8 below the ring's size.
    #[inline]
    fn header(&self, start: usize) -> &AtomicU32 {
        debug_assert!(start <= self.mask && start.is_multiple_of(8));
        // SAFETY: within the data, which is mapped for as long as the ring is borrowed, and aligned; the kernel accesses it
        // as one word too, and this side in no other way than through this reference: slices begin behind headers.
        unsafe { AtomicU32::from_ptr(self.data.as_ptr().add(start).cast()) }
    }
}

/// The bytes of the producer's page and twice the data, if there can be such a ring.
pub(super) fn lengths(size: usize, page: usize) -> Result<usize, Claimed> {
    let len = size.checked_mul(2).and_then(|data| data.checked_add(page));
    len.filter(|len| isize::try_from(*len).is_ok() && size.is_power_of_two() && size >= page)
        .ok_or(Claimed::Memory(Errno(libc::EINVAL)))
}

impl Mapping {
    /// The word at a multiple of its size within the first page: a position.
    pub(super) fn word(&self, offset: usize) -> &AtomicUsize {
        debug_assert!(offset.is_multiple_of(size_of::<usize>()) && offset < page_size());
        // SAFETY: it is within the first page, which is mapped for as long as `self`, and aligned; the kernel accesses
        // it as one word too, and this side in no other way than through such a reference. Where the page cannot be
        // written nothing is stored: of a `BpfRing` it is the producer's, of a `UserRing` the consumer's.
        unsafe { AtomicUsize::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}
