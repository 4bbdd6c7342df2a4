//! The ring of one CPU.

use super::Record;
use super::record::{self, Layout, Problem, Progress, Shape};
use crate::error::{Error, Result};
use crate::ring::{AHEAD, Ring, prefetch};
use crate::syscall;
use std::ops::ControlFlow;

/// The ring of one CPU, and how much of it has been read.
#[derive(Debug)]
pub(super) struct CpuRing {
    pub cpu: u32,
    pub ring: Ring,
    /// Bytes that have been read and not yet handed back.
    pub read: usize,
    /// The form of the last sample.
    pub shape: Option<Shape>,
    /// Samples lost in rings of this CPU that are gone, and those reported by records of this one,
    reported_lost: u64,
    /// and as is known from them or from the event itself.
    pub lost: u64,
    /// Samples lost in rings of this CPU that are gone.
    before: u64,
    /// The time that the event had run when it was last read, in nanoseconds: it stands still when the CPU has been
    /// offline.
    enabled: u64,
}

impl CpuRing {
    /// The ring of a CPU that has lost `before` samples in other rings.
    pub(super) fn new(cpu: u32, ring: Ring, before: u64) -> CpuRing {
        CpuRing {
            cpu,
            ring,
            read: 0,
            shape: None,
            reported_lost: before,
            lost: before,
            before,
            enabled: 0,
        }
    }

    /// Reads from the event how long it has run and how many samples it lost; `None` if it cannot be read.
    pub(super) fn ask(&mut self, says_lost: bool) -> Option<u64> {
        let mut counts = [0; 3];
        let counts = if says_lost { &mut counts[..] } else { &mut counts[..2] };
        syscall::perf_event_read(self.ring.event(), counts).ok()?;
        if let [_, _, lost] = counts {
            self.lost = self.lost.max(self.before.saturating_add(*lost));
        }
        counts.get(1).copied()
    }

    /// Whether the event has not run since this was called last.
    pub(super) fn is_stopped(&mut self, says_lost: bool) -> bool {
        let enabled = self.ask(says_lost);
        enabled.is_some_and(|enabled| std::mem::replace(&mut self.enabled, enabled) == enabled)
    }

    /// Sees what has been written.
    pub(super) fn look(&mut self) -> Result<()> {
        let (cpu, position) = (self.cpu, self.ring.position());
        let problem = "the kernel's position is more than a ring away from the reader's";
        if self.ring.look() {
            Ok(())
        } else {
            self.read = 0;
            Err(Error::CorruptRing { cpu, position, problem })
        }
    }

    /// Whether everything that was seen has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.unread() == self.read
    }

    /// The bytes that have been seen and not read.
    pub(super) fn pieces(&self) -> (&[u8], &[u8]) {
        record::behind(self.ring.filled(), self.read)
    }

    /// The sample that lies `at` bytes behind the position that has been released, if it has the form of the last one.
    /// One that wraps around the end of the ring is not found.
    #[inline]
    pub(super) fn sample_at(&self, at: usize, layout: Layout) -> Option<(Option<u64>, &[u8])> {
        let shape = self.shape.as_ref()?;
        let record = self.ring.filled().0.get(at..)?.get(..shape.length())?;
        prefetch(record, AHEAD);
        shape.sample(record, layout.time)
    }

    /// The number of bytes that are released at once: releasing costs the kernel's CPU a cache line, not releasing
    /// costs a slow consumer room.
    pub(super) fn enough(&self) -> usize {
        self.ring.size() / 8
    }

    /// Hands back what has been read.
    pub(super) fn release(&mut self) {
        if self.read > 0 {
            self.ring.release(self.read);
            self.read = 0;
        }
    }

    /// Counts the lost samples that a record reported.
    pub(super) fn record_lost(&mut self, lost: u64) {
        self.reported_lost = self.reported_lost.saturating_add(lost);
        // Losses that records report late were counted already, if the count was read from the event.
        self.lost = self.lost.max(self.reported_lost);
    }

    /// The error for a record that could not be read. A sample of a wrong size has been passed over, all else that was
    /// seen is skipped.
    pub(super) fn fail(&mut self, problem: Problem, layout: Layout) -> Error {
        let cpu = self.cpu;
        match problem {
            Problem::WrongSize { recorded, .. } => {
                let submitted = layout.size.map_or(0, |size| size.submitted);
                Error::SampleSize { cpu, submitted, recorded }
            }
            Problem::Corrupt(problem) => {
                self.release();
                let position = self.ring.position();
                self.ring.skip();
                Error::CorruptRing { cpu, position, problem }
            }
        }
    }

    /// Reads what has been seen.
    pub(super) fn read<F>(
        &mut self,
        layout: Layout,
        scratch: &mut Vec<u8>,
        records: &mut usize,
        consume: &mut F,
    ) -> Result<ControlFlow<()>>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let (cpu, enough) = (self.cpu, self.enough());
        while !self.is_empty() {
            let mut shape = self.shape;
            let mut batch = Batch { from: self, progress: Progress::default() };
            let Batch { from, progress } = &mut batch;
            let pieces = from.pieces();
            let read =
                record::read(pieces, cpu, layout, &mut shape, enough, scratch, progress, consume);
            *records += batch.progress.records;
            drop(batch);
            self.shape = shape;
            match read {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(problem) => return Err(self.fail(problem, layout)),
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Some records that are being read; hands them back when dropped, also when the consumer panics.
struct Batch<'r> {
    from: &'r mut CpuRing,
    progress: Progress,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.from.read += self.progress.bytes;
        self.from.release();
        self.from.record_lost(self.progress.lost);
    }
}
