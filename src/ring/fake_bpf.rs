//! The kernel's side of ring buffers, for tests: `kernel/bpf/ringbuf.c` over a file in memory, whose data is mapped twice in
//! a row as the kernel does it, so that the ring under test is the real one to the last line.

use super::bpf::{BUSY, DISCARD, HEADER};
use super::{BpfRing, Claim, Claimed, Mapping, UserRing, page_size};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// The writer that shares the memory with a ring.
pub(crate) struct Kernel {
    /// Consumer's page, producer's page, the data twice; all of it writable.
    memory: Mapping,
    size: usize,
    /// The producer's position of a ring buffer, the consumer's of a user ring buffer.
    position: usize,
}

/// The file of a ring of one page or more, both of whose positions are `position`, and a kernel for it.
fn memory(size: usize, position: usize) -> (File, Kernel) {
    let (page, size) = (page_size(), size.next_power_of_two().max(page_size()));
    // SAFETY: the name is a string with its NUL; a descriptor comes back, new and nobody else's.
    let file = unsafe {
        let fd = libc::memfd_create(c"ringbuf".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create");
        File::from(OwnedFd::from_raw_fd(fd))
    };
    file.set_len((2 * page + size) as u64).unwrap();
    let kernel = Kernel { memory: doubled(&file, 0, 2 * page, size), size, position };
    kernel.memory.word(0).store(position, Ordering::Relaxed);
    kernel.producer().store(position, Ordering::Relaxed);
    (file, kernel)
}

/// Maps `pages` bytes of the file from `offset` on, and behind them twice the data, which ends the file.
fn doubled(file: &File, offset: usize, pages: usize, size: usize) -> Mapping {
    let data = offset + pages;
    let len = pages + 2 * size;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: first a place of its own for all of it, where the kernel likes; then the parts in that place, which
    // replace nothing but it.
    let base = unsafe {
        let place = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let base = libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, place, -1, 0);
        assert_ne!(base, libc::MAP_FAILED);
        for (at, from, bytes) in [(0, offset, pages + size), (pages + size, data, size)] {
            let fixed = libc::MAP_SHARED | libc::MAP_FIXED;
            let (to, fd) = (base.byte_add(at), file.as_raw_fd());
            let part = libc::mmap(to, bytes, protection, fixed, fd, from as libc::off_t);
            assert_eq!(part, to);
        }
        base
    };
    Mapping { base: NonNull::new(base.cast()).unwrap(), len }
}

fn claim(file: &File) -> Claim {
    // Numbers that no map has; several tests run at once.
    let mut number = u32::MAX - 100 - file.as_raw_fd() as u32;
    loop {
        match Claim::new(number) {
            Ok(claim) => return claim,
            Err(_) => number -= 1000,
        }
    }
}

/// A ring buffer of at least `size` bytes, whose first record will be at `position`, and its kernel.
pub(crate) fn ring(size: usize, position: usize) -> (BpfRing, Kernel) {
    let (ring, kernel) = try_ring(size, position);
    (ring.unwrap(), kernel)
}

/// The same, with the error if it fails.
pub(crate) fn try_ring(size: usize, position: usize) -> (Result<BpfRing, Claimed>, Kernel) {
    let (file, kernel) = memory(size, position);
    let page = page_size();
    let consumer = Mapping::new(file.as_fd(), 0, page, true).unwrap();
    let producer = doubled(&file, page, page, kernel.size);
    (BpfRing::over(consumer, producer, kernel.size, claim(&file)), kernel)
}

/// A user ring buffer, in the same way.
pub(crate) fn user_ring(size: usize, position: usize) -> (UserRing, Kernel) {
    let (file, kernel) = memory(size, position);
    let page = page_size();
    let consumer = Mapping::new(file.as_fd(), 0, page, false).unwrap();
    let producer = doubled(&file, page, page, kernel.size);
    (UserRing::over(consumer, producer, kernel.size, claim(&file)).unwrap(), kernel)
}

/// A record that a program has reserved.
#[must_use]
pub(crate) struct Reserved {
    start: usize,
    len: u32,
}

impl Kernel {
    fn producer(&self) -> &std::sync::atomic::AtomicUsize {
        // SAFETY: the first word of the second page, mapped and aligned, and accessed like this alone.
        unsafe {
            let page = self.memory.base.as_ptr().add(page_size());
            std::sync::atomic::AtomicUsize::from_ptr(page.cast())
        }
    }

    fn data(&self, at: usize) -> *mut u8 {
        let start = at & (self.size - 1);
        // SAFETY: within the mapping: `start < size`.
        unsafe { self.memory.base.as_ptr().add(2 * page_size() + start) }
    }

    fn header(&self, at: usize) -> &AtomicU32 {
        // SAFETY: mapped and aligned (records are), and accessed like this alone.
        unsafe { AtomicU32::from_ptr(self.data(at).cast()) }
    }

    /// The consumer's position.
    pub(crate) fn consumer(&self) -> usize {
        self.memory.word(0).load(Ordering::Acquire)
    }

    /// Moves it, as another reader would.
    pub(crate) fn set_consumer(&self, position: usize) {
        self.memory.word(0).store(position, Ordering::Release);
    }

    /// The position of the next record.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Sets the producer's position.
    pub(crate) fn set_producer(&mut self, position: usize) {
        self.position = position;
        self.producer().store(position, Ordering::Release);
    }

    /// `bpf_ringbuf_reserve`, with what the program writes.
    pub(crate) fn reserve(&mut self, bytes: &[u8]) -> Option<Reserved> {
        let whole = (HEADER + bytes.len()).next_multiple_of(8);
        let end = self.position.wrapping_add(whole);
        // One byte less than the ring may be in use.
        if end.wrapping_sub(self.consumer()) > self.size - 1 {
            return None;
        }
        let reserved = Reserved { start: self.position, len: bytes.len() as u32 };
        self.header(reserved.start).store(reserved.len | BUSY, Ordering::Relaxed);
        self.set_producer(end);
        // SAFETY: the record is within the data, which is there twice, and the kernel's until it is finished.
        unsafe {
            let to = self.data(reserved.start).add(HEADER);
            ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        Some(reserved)
    }

    pub(crate) fn submit(&self, reserved: Reserved) {
        self.header(reserved.start).swap(reserved.len, Ordering::AcqRel);
    }

    pub(crate) fn discard(&self, reserved: Reserved) {
        self.header(reserved.start).swap(reserved.len | DISCARD, Ordering::AcqRel);
    }

    /// `bpf_ringbuf_output`.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        let Some(reserved) = self.reserve(bytes) else { return false };
        self.submit(reserved);
        true
    }

    /// Writes words at the producer's position, whatever they are, and moves it behind them.
    pub(crate) fn put(&mut self, words: &[u64]) {
        for (n, word) in words.iter().enumerate() {
            // SAFETY: within the data, and aligned.
            unsafe { self.data(self.position.wrapping_add(n * 8)).cast::<u64>().write(*word) };
        }
        self.set_producer(self.position.wrapping_add(words.len() * 8));
    }

    /// The next sample of a user ring buffer, as `__bpf_user_ringbuf_peek` takes it.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        let left = self.producer().load(Ordering::Acquire).wrapping_sub(self.position);
        assert!(left <= self.size && left.is_multiple_of(8), "{left}");
        if left == 0 {
            return None;
        }
        let header = self.header(self.position).load(Ordering::Acquire);
        assert_eq!(header & (BUSY | DISCARD), 0);
        let whole = (HEADER + header as usize).next_multiple_of(8);
        assert!(whole <= left, "{whole} of {left}");
        let mut bytes = vec![0; header as usize];
        // SAFETY: the sample is within the data, which is there twice, and the kernel's until it moves its position.
        unsafe {
            let from = self.data(self.position).add(HEADER);
            ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len());
        }
        self.position = self.position.wrapping_add(whole);
        self.set_consumer(self.position);
        Some(bytes)
    }
}
