//! The ring of a perf event that overwrites its oldest records.
//!
//! The kernel fills it from its end to its beginning (`write_backward`): each record is put before the one before, and the
//! head, which counts down from 0, is where the newest begins. From there on the records follow each other, the newest
//! first, up to the one that has been overwritten in part. The ring is mapped so that it cannot be written: then the
//! kernel does not ask for a tail and overwrites what it likes (`rb->overwrite`).
//!
//! So this memory is never exclusive to the reader, and there is never a reference to it but to atomic words: readers
//! get a copy. The caller has to pause the event first, so that the copy is consistent.

use super::{DATA_HEAD, Mapping, OpenError, Ring, page_size, seen_head};
use crate::syscall::{self, PerfEvent, memlock};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

const WORD: usize = size_of::<usize>();

/// A perf event and its ring.
pub(crate) struct Backward {
    memory: Mapping,
    event: OwnedFd,
    /// Bytes of data, a power of two.
    size: usize,
    /// Offset of the data.
    data: usize,
}

impl fmt::Debug for Backward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backward").field("event", &self.event).field("size", &self.size).finish()
    }
}

impl Backward {
    /// Opens a perf event and maps a ring of `size` bytes, a power-of-two number of pages, for it.
    pub(crate) fn open(event: &PerfEvent<'_>, size: usize) -> Result<Backward, OpenError> {
        let event = syscall::perf_event_open(event).map_err(OpenError::Event)?;
        memlock::with_memlock(|| Ring::map(event.as_fd(), size, false))
            .map(|memory| Backward::over(memory, event, size))
            .map_err(OpenError::Memory)
    }

    pub(super) fn over(memory: Mapping, event: OwnedFd, size: usize) -> Backward {
        Backward { memory, event, size, data: page_size() }
    }

    /// The perf event.
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// The capacity for records, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Copies what has been written to `to`, the newest record first; up to a whole ring, whose end may be in the middle
    /// of a record.
    pub(crate) fn copy(&self, to: &mut Vec<u8>) {
        to.clear();
        let head = seen_head(self.memory.position(DATA_HEAD));
        // It has come down from 0 to there.
        let written = usize::try_from(head.wrapping_neg()).unwrap_or(usize::MAX).min(self.size);
        // Records are of 8 bytes each; half a word more is never asked for.
        for word in 0..written / WORD {
            let at = (head as usize).wrapping_add(word * WORD) & (self.size - 1) & !(WORD - 1);
            to.extend_from_slice(&self.word(at).load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    /// A word of the data.
    fn word(&self, at: usize) -> &AtomicUsize {
        debug_assert!(at < self.size && at.is_multiple_of(WORD));
        // SAFETY: the data is `size` bytes from `data` on, mapped for as long as `self` and initialised (the kernel hands
        // out zeroed pages); the word is within it and aligned. This side accesses it in no other way. It is only
        // loaded, `Relaxed`, which may be done to memory that cannot be written.
        unsafe { AtomicUsize::from_ptr(self.memory.base.as_ptr().add(self.data + at).cast()) }
    }
}
