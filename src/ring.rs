//! Memory shared with the kernel: the ring of one perf event, `perf_event_open(2)`, "MMAP layout". The ring buffers of BPF
//! are in `bpf.rs` and `user.rs`.
//!
//! The kernel writes records at the *head*, this side reads them at the *tail*. Both are byte
//! positions that only grow; a position's place in the memory is its remainder by the ring's size,
//! a power of two, so it is a mask. What lies from tail to head is this side's, the rest is the
//! kernel's, and a position is stored to hand bytes over:
//!
//! * The kernel writes a record, then the head. [`written_up_to`] loads the head with `Acquire`, so
//!   that the record's bytes, read after it, are those that were written before it.
//! * This side reads a record, then writes the tail. [`give_back`] stores the tail with `Release`,
//!   so that no read of the record's bytes is left for after it, when the kernel may be overwriting
//!   them.
//!
//! The kernel's side is `perf_output_put_handle` and `__perf_output_begin` in
//! `kernel/events/ring_buffer.c`, whose comment pairs the same four accesses. The two functions are
//! the only places that touch a position.
//!
//! One fault of the kernel breaks this: a sample that is larger than a record can be (65516 bytes) is written over
//! whatever is there. A reader at that moment reads memory that is being written. See `crate::perf`.
//!
//! The module owns the memory and gives out nothing but slices of what lies from tail to head,
//! which it keeps at most as long as the ring whatever the head claims. What the bytes mean, and
//! whether they make sense, is for [`crate::perf`], in safe code.
#![allow(unsafe_code)]

mod backward;
mod bpf;
#[cfg(test)]
mod bpf_model;
mod claim;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod fake_bpf;
#[cfg(test)]
mod model;
mod user;

pub(crate) use backward::Backward;
pub(crate) use bpf::{BpfRing, Copied, Found, Like};
pub(crate) use claim::{Claim, Claimed};
pub(crate) use user::UserRing;

use crate::syscall::{self, PerfEvent, memlock};
use crate::uapi::Errno;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

/// `offsetof(struct perf_event_mmap_page, data_head)`, on every architecture.
const DATA_HEAD: usize = 1024;
/// `offsetof(struct perf_event_mmap_page, data_tail)`.
const DATA_TAIL: usize = 1032;

/// A position that both sides see. A trait, so that the loom model below runs the functions that
/// the ring runs.
trait Position {
    fn load(&self, ordering: Ordering) -> u64;
    fn store(&self, position: u64, ordering: Ordering);
}

impl Position for AtomicU64 {
    fn load(&self, ordering: Ordering) -> u64 {
        AtomicU64::load(self, ordering)
    }

    fn store(&self, position: u64, ordering: Ordering) {
        AtomicU64::store(self, position, ordering);
    }
}

/// The position up to which the kernel has written. Everything before it can be read after this.
#[inline]
fn written_up_to(head: &impl Position) -> u64 {
    head.load(Ordering::Acquire)
}

/// The same for a head in memory that is mapped read-only, which permits `Relaxed` loads only.
fn seen_head(head: &AtomicU64) -> u64 {
    let head = head.load(Ordering::Relaxed);
    std::sync::atomic::fence(Ordering::Acquire);
    head
}

/// Hands everything before `position` back to the kernel. Nothing of it may be read after this.
#[inline]
fn give_back(tail: &impl Position, position: u64) {
    tail.store(position, Ordering::Release);
}

/// Prefetch distance ahead of the record that is read, in bytes: the hardware prefetcher stops at the end of the page
/// (tried from 256 to 8192; a page and more is best).
pub(crate) const AHEAD: usize = 4096;

/// Has the CPU fetch what lies `ahead` bytes behind the beginning of `bytes`. A hint: nothing is read, so there need not
/// be anything.
#[inline(always)]
pub(crate) fn prefetch(bytes: &[u8], ahead: usize) {
    let address = bytes.as_ptr().wrapping_add(ahead);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is in every x86-64 and takes any address, mapped or not.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; it changes neither memory nor flags.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// The bytes of a page of this machine: 4096, 16384 or 65536. `sysconf(3)`.
pub(crate) fn page_size() -> usize {
    // SAFETY: takes an integer and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // Linux always answers; the smallest page there is would only make a mapping that is refused.
    usize::try_from(size).unwrap_or(4096)
}

/// A shared mapping of a ring or a part of it. Unmapped when dropped.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is the process's, not a thread's, and this is its only owner.
unsafe impl Send for Mapping {}
// SAFETY: through `&Mapping` there is nothing but references to atomics. The slices that a `Ring`
// gives out of it are shared too, and what could end them takes `&mut Ring`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `mmap(2)` of `len` bytes of `fd` from `offset` on, a multiple of the page size.
    fn new(
        fd: BorrowedFd<'_>,
        offset: usize,
        len: usize,
        writable: bool,
    ) -> Result<Mapping, Errno> {
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno(libc::EOVERFLOW))?;
        // SAFETY: a new mapping where the kernel likes, so nothing that exists is replaced.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset)
        };
        if base == libc::MAP_FAILED {
            return Err(Errno::of(&io::Error::last_os_error()));
        }
        match NonNull::new(base.cast()) {
            Some(base) => Ok(Mapping { base, len }),
            None => Err(Errno(libc::EFAULT)),
        }
    }

    /// One of the two positions in the first page.
    fn position(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset == DATA_HEAD || offset == DATA_TAIL);
        // SAFETY: the offset is a multiple of 8 within the first page, which is mapped, aligned,
        // readable and writable for as long as `self`; the kernel accesses it as one word too, and
        // this side never in another way than through this reference.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made; every reference into it borrowed from `self`.
        // It cannot fail for such a mapping, and nothing could be done if it did.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The error of opening a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// `perf_event_open(2)` failed; `ENODEV` if the CPU is offline.
    Event(Errno),
    /// `mmap(2)` failed; `EPERM` if there is no more memory that may be locked.
    Memory(Errno),
}

/// A perf event and its ring.
///
/// `tail` and `head` are this side's own: where it reads next, and how far it has seen that the
/// kernel had written. `head - tail` is at most `size`, always; it is what makes [`Ring::filled`]
/// sound.
pub(crate) struct Ring {
    memory: Mapping,
    event: OwnedFd,
    /// Bytes of data, a power of two.
    size: usize,
    /// Offset of the data.
    data: usize,
    tail: u64,
    head: u64,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("event", &self.event)
            .field("size", &self.size)
            .field("tail", &self.tail)
            .field("head", &self.head)
            .finish()
    }
}

impl Ring {
    /// Opens a perf event and maps a ring of `size` bytes, a power-of-two number of pages, for it.
    ///
    /// It opens the event itself so that there is no other descriptor by which the memory could be mapped too.
    pub(crate) fn open(event: &PerfEvent<'_>, size: usize) -> Result<Ring, OpenError> {
        let event = syscall::perf_event_open(event).map_err(OpenError::Event)?;
        memlock::with_memlock(|| Ring::map(event.as_fd(), size, true))
            .map(|memory| Ring::over(memory, event, size))
            .map_err(OpenError::Memory)
    }

    /// Writable, only then does the kernel heed the tail and overwrite nothing unread.
    fn map(event: BorrowedFd<'_>, size: usize, writable: bool) -> Result<Mapping, Errno> {
        let page = page_size();
        if !size.is_power_of_two() || size < page {
            return Err(Errno(libc::EINVAL));
        }
        let len = size.checked_add(page).ok_or(Errno(libc::EINVAL))?;
        // No slice may be longer.
        isize::try_from(len).map_err(|_| Errno(libc::EINVAL))?;
        Mapping::new(event, 0, len, writable)
    }

    fn over(memory: Mapping, event: OwnedFd, size: usize) -> Ring {
        // Ours alone, so no ordering is needed; 0 in a new ring.
        let tail = memory.position(DATA_TAIL).load(Ordering::Relaxed);
        Ring { memory, event, size, data: page_size(), tail, head: tail }
    }

    /// The perf event. Readable when the kernel woke it, once for each time.
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// The capacity for records, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The position that is read next: the number of bytes read since the ring was made.
    pub(crate) fn position(&self) -> u64 {
        self.tail
    }

    /// The number of bytes that [`Ring::look`] saw and that have not been released.
    pub(crate) fn unread(&self) -> usize {
        self.head.wrapping_sub(self.tail) as usize
    }

    /// Sees how far the kernel has written: [`Ring::filled`] reaches to there afterwards.
    ///
    /// Returns `false` if the position is invalid, because it is more than a ring away or behind the tail. The contents
    /// of the ring are then unknown, so they are given up: the ring is empty, and reading goes on from there.
    pub(crate) fn look(&mut self) -> bool {
        self.head = written_up_to(self.memory.position(DATA_HEAD));
        let believable = self.head.wrapping_sub(self.tail) <= self.size as u64;
        if !believable {
            self.skip();
        }
        believable
    }

    /// The bytes that have been seen and not released, in two pieces: up to the end of the memory, and from its start.
    #[inline]
    pub(crate) fn filled(&self) -> (&[u8], &[u8]) {
        let start = self.tail as usize & (self.size - 1);
        let filled = self.head.wrapping_sub(self.tail) as usize;
        let first = filled.min(self.size - start);
        // SAFETY: the memory from `data` on is `size` bytes, mapped and initialised (the kernel
        // hands out zeroed pages), at most `isize::MAX`. `start < size` and `first <= size -
        // start`, so the first piece ends within it; `filled <= size` (the struct's invariant), so
        // the second ends before the first begins. The kernel does not write there until the tail
        // is moved, for which `release` and `skip` need the `&mut self` that these borrows exclude;
        // nobody else has it mapped, as nobody else has the descriptor.
        unsafe {
            let data = self.memory.base.as_ptr().add(self.data);
            (
                slice::from_raw_parts(data.add(start), first),
                slice::from_raw_parts(data, filled - first),
            )
        }
    }

    /// Hands the first `bytes` of [`Ring::filled`] back to the kernel.
    #[inline]
    pub(crate) fn release(&mut self, bytes: usize) {
        let filled = self.head.wrapping_sub(self.tail);
        self.tail = self.tail.wrapping_add(filled.min(bytes as u64));
        give_back(self.memory.position(DATA_TAIL), self.tail);
    }

    /// Hands everything back that has been seen, unread.
    pub(crate) fn skip(&mut self) {
        self.tail = self.head;
        give_back(self.memory.position(DATA_TAIL), self.tail);
    }
}
