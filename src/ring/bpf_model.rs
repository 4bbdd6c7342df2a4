//! The orderings of a ring buffer, checked in every interleaving that the memory model allows (`loom`).
//!
//! The reader's side is the functions that [`BpfRing`](super::BpfRing) uses, on loom's atomics, and its one store. The
//! kernel's side is `kernel/bpf/ringbuf.c`: `__bpf_ringbuf_reserve` loads the consumer's position with `Acquire`, writes
//! the header and stores the producer's position with `Release`; `bpf_ringbuf_commit` writes the header with `xchg`,
//! which is a full barrier, and then compares the consumer's position with the record's.
//!
//! That the model detects a missing ordering is itself tested: with one left out it fails.

use super::bpf::{BUSY, Word, finished, seen};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicUsize, fence};
use std::sync::atomic::Ordering;

impl Word for AtomicUsize {
    type Value = usize;

    fn load(&self) -> usize {
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

/// The same words with nothing ordered.
struct Unordered<'w, W>(&'w W);

impl<W: Word> Word for Unordered<'_, W> {
    type Value = W::Value;

    fn load(&self) -> W::Value {
        self.0.load()
    }

    fn fence(_: Ordering) {}
}

const SIZE: usize = 2;
/// One more than there is room for.
const SENT: usize = 3;

/// Each record is a header and a cell; positions count records.
struct Memory {
    producer: AtomicUsize,
    consumer: AtomicUsize,
    headers: [AtomicU32; SIZE],
    records: [UnsafeCell<usize>; SIZE],
}

impl Memory {
    fn new() -> Memory {
        Memory {
            producer: AtomicUsize::new(0),
            consumer: AtomicUsize::new(0),
            headers: [AtomicU32::new(0), AtomicU32::new(0)],
            records: [UnsafeCell::new(0), UnsafeCell::new(0)],
        }
    }

    /// A program sends what there is room for; returns how many that was. Record `n` holds `n`.
    fn send(&self) -> usize {
        let mut head = 0;
        for _ in 0..SENT {
            let tail = self.consumer.load(Ordering::Acquire);
            if head - tail == SIZE {
                continue;
            }
            let at = head % SIZE;
            self.headers[at].store(BUSY, Ordering::Relaxed);
            self.producer.store(head + 1, Ordering::Release);
            // SAFETY: loom sees to it that nobody else has the cell, or fails.
            self.records[at].with_mut(|record| unsafe { *record = head });
            self.headers[at].swap(0, Ordering::AcqRel);
            head += 1;
        }
        head
    }
}

/// The memory ordering that the reader leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Without {
    Nothing,
    Header,
    Release,
}

/// Reads from `tail` on what is finished, hands it back and returns where it ended.
fn read(memory: &Memory, mut tail: usize, without: Without) -> usize {
    let head = seen(&memory.producer);
    while tail < head {
        let header = &memory.headers[tail % SIZE];
        let header =
            if without == Without::Header { seen(&Unordered(header)) } else { seen(header) };
        if header & BUSY != 0 {
            break;
        }
        // SAFETY: loom sees to it that nobody writes to the cell, or fails.
        let record = memory.records[tail % SIZE].with(|record| unsafe { *record });
        assert_eq!(record, tail);
        tail += 1;
    }
    let ordering = if without == Without::Release { Ordering::Relaxed } else { Ordering::Release };
    memory.consumer.store(tail, ordering);
    tail
}

fn check(without: Without) {
    loom::model(move || {
        let memory = Arc::new(Memory::new());
        let kernel = {
            let memory = memory.clone();
            loom::thread::spawn(move || memory.send())
        };
        let mut tail = 0;
        for _ in 0..2 {
            tail = read(&memory, tail, without);
        }
        let sent = kernel.join().unwrap();
        assert_eq!(read(&memory, tail, without), sent);
    });
}

#[test]
fn nothing_is_read_before_it_is_finished_or_after_it_is_handed_back() {
    check(Without::Nothing);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_acquire_a_record_is_read_before_it_is_finished() {
    check(Without::Header);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_release_a_record_is_overwritten_while_it_is_read() {
    check(Without::Release);
}

/// The reader hands back the first record and is about to sleep; a program finishes the second, which has been
/// reserved. Returns whether the reader saw it, and whether the kernel woke.
fn about_to_sleep(fenced: bool) {
    loom::model(move || {
        let memory = Arc::new(Memory::new());
        memory.headers[1].store(BUSY, Ordering::Relaxed);
        memory.producer.store(2, Ordering::Relaxed);
        let kernel = {
            let memory = memory.clone();
            loom::thread::spawn(move || {
                memory.headers[1].swap(0, Ordering::AcqRel);
                // `xchg` is a full barrier in the kernel's model.
                fence(Ordering::SeqCst);
                memory.consumer.load(Ordering::Acquire) == 1
            })
        };
        memory.consumer.store(1, Ordering::Release);
        let header = &memory.headers[1];
        let seen = if fenced { finished(header) } else { finished(&Unordered(header)) };
        let woken = kernel.join().unwrap();
        assert!(seen || woken, "nobody wakes the reader");
    });
}

#[test]
fn what_is_not_seen_wakes() {
    about_to_sleep(true);
}

#[test]
#[should_panic(expected = "nobody wakes the reader")]
fn without_the_fence_a_wake_up_is_lost() {
    about_to_sleep(false);
}
