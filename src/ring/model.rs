//! The orderings, checked in every interleaving and with every value that the memory model allows
//! (`loom`).
//!
//! The reader's side is the two functions that [`Ring`](super::Ring) uses, on loom's atomics. The
//! kernel's side is `kernel/events/ring_buffer.c`: it reads the tail, and a control dependency
//! keeps its writes behind that (an `Acquire` load is the nearest there is); it writes the record,
//! `smp_wmb()`, and the head (a `Release` store).
//!
//! That the model detects a missing ordering is itself tested: with `Relaxed` at either place it
//! fails. (So it does with `Relaxed` written into either of the two functions, one at a time; that
//! was tried too.)

use super::{Position, give_back, written_up_to};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// A position whose orderings are those that are asked for, or none.
struct Shared {
    position: AtomicU64,
    relaxed: bool,
}

impl Shared {
    fn new(relaxed: bool) -> Shared {
        Shared { position: AtomicU64::new(0), relaxed }
    }

    fn ordering(&self, asked: Ordering) -> Ordering {
        if self.relaxed { Ordering::Relaxed } else { asked }
    }
}

impl Position for Shared {
    fn load(&self, ordering: Ordering) -> u64 {
        self.position.load(self.ordering(ordering))
    }

    fn store(&self, position: u64, ordering: Ordering) {
        self.position.store(position, self.ordering(ordering));
    }
}

/// The contents of the memory; a record is one cell.
struct Memory {
    head: Shared,
    tail: Shared,
    /// Loom fails the model if a cell is read and written at once, or in an order that nothing
    /// establishes.
    records: [UnsafeCell<u64>; SIZE],
}

const SIZE: usize = 2;
/// One more than there is room for, so that the last can only overwrite a record that was handed
/// back.
const SENT: u64 = 3;

/// Runs the model. The kernel's own accesses keep their orderings: only the reader's are ours to
/// get wrong.
fn check(relaxed_head: bool, relaxed_tail: bool) {
    loom::model(move || {
        let memory = Arc::new(Memory {
            head: Shared::new(relaxed_head),
            tail: Shared::new(relaxed_tail),
            records: [UnsafeCell::new(0), UnsafeCell::new(0)],
        });
        let kernel = {
            let memory = memory.clone();
            loom::thread::spawn(move || kernel(&memory))
        };
        let mut tail = 0;
        for _ in 0..2 {
            tail = read(&memory, tail);
        }
        let sent = kernel.join().unwrap();
        // Nothing is left behind: what was sent before the last look has been read.
        assert_eq!(read(&memory, tail), sent);
    });
}

/// Sends what there is room for; returns how many that was. Record `n` holds `n`.
fn kernel(memory: &Memory) -> u64 {
    let mut head = 0;
    for _ in 0..SENT {
        let tail = memory.tail.position.load(Ordering::Acquire);
        if head - tail == SIZE as u64 {
            continue;
        }
        // SAFETY: loom sees to it that nobody else has the cell, or fails.
        memory.records[head as usize % SIZE].with_mut(|record| unsafe { *record = head });
        head += 1;
        memory.head.position.store(head, Ordering::Release);
    }
    head
}

/// Reads from `tail` on what there is, hands it back and returns where it ended.
fn read(memory: &Memory, mut tail: u64) -> u64 {
    let head = written_up_to(&memory.head);
    while tail < head {
        // SAFETY: loom sees to it that nobody writes to the cell, or fails.
        let record = memory.records[tail as usize % SIZE].with(|record| unsafe { *record });
        assert_eq!(record, tail);
        tail += 1;
    }
    give_back(&memory.tail, tail);
    tail
}

#[test]
fn nothing_is_read_before_it_is_written_or_after_it_is_handed_back() {
    check(false, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_acquire_a_record_is_read_before_it_is_written() {
    check(true, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_release_a_record_is_overwritten_while_it_is_read() {
    check(false, true);
}
