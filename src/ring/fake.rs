//! The kernel's side of a ring, for tests: it writes into the same memory from another mapping of it.
//!
//! The memory is a file in memory, which is mapped just as a perf event's is, so the ring under
//! test is the real one to the last line. What is written may be what a kernel writes
//! ([`Kernel::send`], after `__perf_output_begin`) or anything at all ([`Kernel::put`],
//! [`Kernel::set_head`]).

use super::{Backward, DATA_HEAD, DATA_TAIL, Mapping, Ring, page_size};
use crate::syscall;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;

pub(crate) const LOST: u32 = 2;
pub(crate) const SAMPLE: u32 = 9;

/// The writer of a ring.
pub(crate) struct Kernel {
    memory: Mapping,
    /// Stands for the perf event: readable when the reader is to be woken.
    event: File,
    size: usize,
    head: u64,
    /// The time of the next sample, if samples have times.
    pub time: Option<u64>,
    /// Samples that found no room, and that no record has reported yet.
    lost: u64,
    /// Samples that were written.
    pub sent: u64,
    /// Samples that found no room.
    pub all_lost: u64,
}

/// A ring of at least `size` bytes, whose first record will be at `position`, and its kernel.
pub(crate) fn ring(size: usize, position: u64) -> (Ring, Kernel) {
    let size = size.next_power_of_two().max(page_size());
    let len = size + page_size();
    // SAFETY: the name is a string with its NUL; a descriptor comes back, new and nobody else's.
    let file = unsafe {
        let fd = libc::memfd_create(c"ring".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create");
        File::from(OwnedFd::from_raw_fd(fd))
    };
    file.set_len(len as u64).unwrap();
    let memory = Mapping::new(file.as_fd(), 0, len, true).unwrap();
    memory.position(DATA_HEAD).store(position, Ordering::Relaxed);
    memory.position(DATA_TAIL).store(position, Ordering::Relaxed);
    let event = syscall::eventfd().unwrap();
    let kernel = Kernel {
        memory,
        event: File::from(event.try_clone().unwrap()),
        size,
        head: position,
        time: None,
        lost: 0,
        sent: 0,
        all_lost: 0,
    };
    (Ring::over(Ring::map(file.as_fd(), size, true).unwrap(), event, size), kernel)
}

/// A ring of at least `size` bytes that overwrites its oldest records, and its kernel.
pub(crate) fn backward(size: usize) -> (Backward, BackwardKernel) {
    let size = size.next_power_of_two().max(page_size());
    let len = size + page_size();
    // SAFETY: as above.
    let file = unsafe {
        let fd = libc::memfd_create(c"ring".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create");
        File::from(OwnedFd::from_raw_fd(fd))
    };
    file.set_len(len as u64).unwrap();
    let memory = Mapping::new(file.as_fd(), 0, len, true).unwrap();
    let event = syscall::eventfd().unwrap();
    let ring = Backward::over(Ring::map(file.as_fd(), size, false).unwrap(), event, size);
    (ring, BackwardKernel { memory, size, head: 0 })
}

/// The writer of a ring that is filled from its end to its beginning.
pub(crate) struct BackwardKernel {
    memory: Mapping,
    size: usize,
    head: u64,
}

impl BackwardKernel {
    /// Writes bytes before those that were written before, over whatever is there.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.head = self.head.wrapping_sub(bytes.len() as u64);
        for (n, byte) in bytes.iter().enumerate() {
            let offset =
                page_size() + (self.head.wrapping_add(n as u64) as usize & (self.size - 1));
            // SAFETY: within this mapping, which is nobody else's.
            unsafe { self.memory.base.as_ptr().add(offset).write(*byte) };
        }
        self.memory.position(DATA_HEAD).store(self.head, Ordering::Release);
    }
}

/// A record: a header, and behind it `body`, filled up to a multiple of 8 with bytes that are not to
/// be read.
pub(crate) fn record(kind: u32, body: &[u8]) -> Vec<u8> {
    let size = (8 + body.len()).next_multiple_of(8);
    let mut bytes = header(kind, size as u16).to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(size, 0xee);
    bytes
}

pub(crate) fn header(kind: u32, size: u16) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..].copy_from_slice(&size.to_ne_bytes());
    bytes
}

/// The record of a sample, as `perf_sample_save_raw_data` makes it.
pub(crate) fn sample(bytes: &[u8]) -> Vec<u8> {
    sample_at(None, bytes)
}

/// The same with a time, if there is one.
pub(crate) fn sample_at(time: Option<u64>, bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() + 4).next_multiple_of(8) - 4;
    let mut body = time.map_or_else(Vec::new, |time| time.to_ne_bytes().to_vec());
    body.extend_from_slice(&(size as u32).to_ne_bytes());
    body.extend_from_slice(bytes);
    record(SAMPLE, &body)
}

pub(crate) fn lost(count: u64) -> Vec<u8> {
    let mut body = 77u64.to_ne_bytes().to_vec();
    body.extend_from_slice(&count.to_ne_bytes());
    record(LOST, &body)
}

impl Kernel {
    /// The position up to which the reader has released.
    pub(crate) fn tail(&self) -> u64 {
        self.memory.position(DATA_TAIL).load(Ordering::Acquire)
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Writes bytes at the head, round the end of the memory, without making them visible.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let offset = page_size() + (self.head as usize & (self.size - 1));
            // SAFETY: within this mapping, which is nobody else's.
            unsafe { self.memory.base.as_ptr().add(offset).write(*byte) };
            self.head = self.head.wrapping_add(1);
        }
    }

    /// Makes what has been put visible.
    pub(crate) fn publish(&mut self) {
        self.set_head(self.head);
    }

    pub(crate) fn set_head(&mut self, head: u64) {
        self.head = head;
        self.memory.position(DATA_HEAD).store(head, Ordering::Release);
    }

    /// Writes a sample if there is room, and before it how many found none since the last one that
    /// did.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        let mut record = sample_at(self.time, bytes);
        if self.lost > 0 {
            record.splice(0..0, lost(self.lost));
        }
        // `CIRC_SPACE`: one byte always stays free.
        let used = self.head.wrapping_sub(self.tail()) as usize;
        if record.len() > self.size - 1 - used {
            self.lost += 1;
            self.all_lost += 1;
            return false;
        }
        self.lost = 0;
        self.sent += 1;
        self.put(&record);
        self.publish();
        true
    }

    /// Makes the event readable.
    pub(crate) fn wake(&self) {
        (&self.event).write_all(&1u64.to_ne_bytes()).unwrap();
    }

    /// Makes it unreadable, as a perf event is once it has been reported.
    pub(crate) fn reported(&self) {
        (&self.event).read_exact(&mut [0; 8]).unwrap();
    }
}
