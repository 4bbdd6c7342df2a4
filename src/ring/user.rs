//! The memory of a user ring buffer, `kernel/bpf/ringbuf.c`: the ring buffer the other way round. This side writes samples
//! and the producer's position, a program reads them (`bpf_user_ringbuf_drain`) and the kernel moves the consumer's.
//!
//! The layout is that of `bpf.rs`, the busy bit included. It is not used here: one sample is written at a time, and
//! the producer's position moves behind it only when it is finished, so the kernel never sees one that is not. What
//! was begun and not finished has then never been there.
//!
//! The orderings: the consumer's position is loaded with `Acquire`, so that nothing is written over a sample that a
//! program may still be reading; the producer's is stored with `Release`, so that the sample is there when the kernel
//! (`smp_load_acquire` in `__bpf_user_ringbuf_peek`) sees it.

use super::bpf::{HEADER, lengths, seen};
use super::{Claim, Claimed, Mapping, page_size};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// `DYNPTR_MAX_SIZE`: programs get samples as dynptrs, which can be that long.
pub(crate) const LARGEST: usize = (1 << 24) - 1;

/// A user ring buffer's memory, and where this side is in it.
pub(crate) struct UserRing {
    /// The first page, which cannot be written.
    consumer: Mapping,
    /// The rest: the producer's page, and twice the data.
    producer: Mapping,
    _claim: Claim,
    /// Bytes of data, a power of two.
    size: usize,
    page: usize,
    /// The producer's position, a multiple of 8.
    head: usize,
}

impl fmt::Debug for UserRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRing").field("size", &self.size).field("head", &self.head).finish()
    }
}

impl UserRing {
    /// Maps a user ring buffer of `size` bytes, a power of two and whole pages.
    pub(crate) fn open(
        map: BorrowedFd<'_>,
        size: usize,
        claim: Claim,
    ) -> Result<UserRing, Claimed> {
        let page = page_size();
        let len = lengths(size, page)?;
        let consumer = Mapping::new(map, 0, page, false).map_err(Claimed::Memory)?;
        let producer = Mapping::new(map, page, len, true).map_err(Claimed::Memory)?;
        UserRing::over(consumer, producer, size, claim)
    }

    pub(super) fn over(
        consumer: Mapping,
        producer: Mapping,
        size: usize,
        claim: Claim,
    ) -> Result<UserRing, Claimed> {
        // Another producer may have been there before.
        let head = producer.word(0).load(Ordering::Relaxed);
        if !head.is_multiple_of(8) {
            return Err(Claimed::Corrupt("the producer's position is not a multiple of 8"));
        }
        Ok(UserRing { consumer, producer, _claim: claim, size, page: page_size(), head })
    }

    /// The largest sample that it can hold.
    pub(crate) fn largest(&self) -> usize {
        (self.size - HEADER).min(LARGEST)
    }

    /// The position of the next sample.
    pub(crate) fn position(&self) -> usize {
        self.head
    }

    /// The number of free bytes, headers included; `None` if the consumer's position is invalid.
    pub(crate) fn room(&self) -> Option<usize> {
        let used = self.head.wrapping_sub(seen(self.consumer.word(0)));
        self.size.checked_sub(used)
    }

    /// Whether a sample of `len` bytes has room.
    pub(crate) fn has_room(&self, len: usize) -> Option<bool> {
        let room = self.room()?;
        Some(len <= self.largest() && (HEADER + len).next_multiple_of(8) <= room)
    }

    /// The memory of the next sample; `None` if it has no room. It holds what was there before.
    pub(crate) fn space(&mut self, len: usize) -> Option<&mut [u8]> {
        if !self.has_room(len)? {
            return None;
        }
        let start = self.head & (self.size - 1);
        // SAFETY: the data is mapped twice in a row, `2 * size` bytes from `page` on, writable and initialised (the
        // kernel hands out zeroed pages). `start < size` and `HEADER + len <= size`, so the slice ends within it. Its
        // bytes are free: from `head` on there is room for them, as the consumer's position said, which the kernel
        // never takes back. It reads them only when the producer's position is moved, for which `commit` needs the
        // `&mut self` that this borrow excludes. Nobody else in this process has it mapped: there is a claim.
        Some(unsafe {
            let data = self.producer.base.as_ptr().add(self.page);
            slice::from_raw_parts_mut(data.add(start + HEADER), len)
        })
    }

    /// Hands the sample of `len` bytes, which was written to [`UserRing::space`], to programs; `false` if there is none.
    pub(crate) fn commit(&mut self, len: usize) -> bool {
        let (Ok(word), Some(true)) = (u32::try_from(len), self.has_room(len)) else {
            return false;
        };
        let start = self.head & (self.size - 1);
        // SAFETY: `start` is a multiple of 8 below `size`, so the two words of the header are within the data, aligned,
        // and as free as the bytes behind them; slices do not reach into headers.
        let header = unsafe {
            let header = self.producer.base.as_ptr().add(self.page + start);
            [AtomicU32::from_ptr(header.cast()), AtomicU32::from_ptr(header.add(4).cast())]
        };
        header[0].store(word, Ordering::Relaxed);
        header[1].store(0, Ordering::Relaxed);
        self.head = self.head.wrapping_add((HEADER + len).next_multiple_of(8));
        self.producer.word(0).store(self.head, Ordering::Release);
        true
    }
}
