//! Memory of a map, shared with the kernel and its programs.

use super::Errno;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering, fence};

const WORD: usize = size_of::<usize>();

/// The memory of a map. Programs write it at any time, so there is never a reference to it except to atomic words;
/// reads and writes are copies, word by word.
pub(crate) struct SharedWords {
    base: NonNull<AtomicUsize>,
    words: usize,
    writable: bool,
}

// SAFETY: a mapping is the process's, not a thread's, and this is its only owner.
unsafe impl Send for SharedWords {}
// SAFETY: through `&SharedWords` there are only atomic accesses.
unsafe impl Sync for SharedWords {}

impl fmt::Debug for SharedWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWords")
            .field("bytes", &(self.words * WORD))
            .field("writable", &self.writable)
            .finish()
    }
}

impl SharedWords {
    /// The first `len` bytes of a map, a multiple of 8. `mmap(2)`; Linux 5.5.
    ///
    /// The kernel refuses to map more than the map has (`array_map_mmap`), rounded up to pages, so all of it is there.
    pub(crate) fn map(map: BorrowedFd<'_>, len: usize, writable: bool) -> Result<Self, Errno> {
        SharedWords::map_at(map, 0, len, writable)
    }

    /// The same at an address, if it is not 0 and the range is free: else the kernel chooses or refuses. In an arena
    /// (Linux 6.9) every page that is accessed exists (`arena_vm_fault`), unless it has `BPF_F_SEGV_ON_FAULT`: the
    /// caller has checked that.
    pub(crate) fn map_at(
        map: BorrowedFd<'_>,
        address: usize,
        len: usize,
        writable: bool,
    ) -> Result<Self, Errno> {
        if len == 0 || !len.is_multiple_of(8) || isize::try_from(len).is_err() {
            return Err(Errno(libc::EINVAL));
        }
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        let hint = ptr::without_provenance_mut(address);
        // SAFETY: a new mapping where the kernel likes: without MAP_FIXED nothing that exists is replaced.
        let base =
            unsafe { libc::mmap(hint, len, protection, libc::MAP_SHARED, map.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::of(&io::Error::last_os_error()));
        }
        let base = NonNull::new(base.cast()).ok_or(Errno(libc::EFAULT))?;
        Ok(SharedWords { base, words: len / WORD, writable })
    }

    /// Returns the address of its first byte.
    pub(crate) fn address(&self) -> usize {
        self.base.as_ptr().addr()
    }

    /// Returns its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.words * WORD
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Copies whole words from byte `from` on, a multiple of a word. `false` if that is not within it.
    pub(crate) fn read(&self, from: usize, to: &mut [u8]) -> bool {
        let Some(words) = self.some(from, to.len()) else { return false };
        for (word, bytes) in words.iter().zip(to.chunks_exact_mut(WORD)) {
            // Relaxed: the one order that may be asked of memory that cannot be written.
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        // What a program wrote before it wrote these words is seen after them.
        fence(Ordering::Acquire);
        true
    }

    /// Sets whole words from byte `to` on, a multiple of a word. `false` if that is not within it, or if it cannot be
    /// written.
    pub(crate) fn write(&self, to: usize, from: &[u8]) -> bool {
        let Some(words) = self.some(to, from.len()).filter(|_| self.writable) else { return false };
        for (word, bytes) in words.iter().zip(from.chunks_exact(WORD)) {
            let mut value = [0; WORD];
            value.copy_from_slice(bytes);
            word.store(usize::from_ne_bytes(value), Ordering::Release);
        }
        true
    }

    fn some(&self, from: usize, len: usize) -> Option<&[AtomicUsize]> {
        if !from.is_multiple_of(WORD) || !len.is_multiple_of(WORD) {
            return None;
        }
        // SAFETY: `map` has had so many words mapped, from the start of a page on, initialised by the kernel, and they
        // stay until `self` is dropped. This process accesses them as atomic words alone, through references like
        // this; nobody has another kind of reference to them. Words are only stored to if they can be.
        let all = unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) };
        all.get(from / WORD..)?.get(..len / WORD)
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `map` made; references into it borrow from `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.words * WORD) };
    }
}
