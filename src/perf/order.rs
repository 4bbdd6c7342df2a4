//! The samples of all CPUs in the order of their times.
//!
//! The samples of one CPU lie in its ring in their order, nearly: an interrupt may send a sample after the code that it
//! interrupted has taken its time, and before that has its place in the ring. Between rings it is a merge: the ring whose
//! first sample is the earliest comes next. A sample is handed out only when nothing earlier can appear any more, which is
//! when it is as old as the window: between the time of a sample and its being visible lies what the kernel has to do for it,
//! and whatever keeps it from doing it (a hypervisor, for one).

use super::record::{self, Body};
use super::{CpuRing, PerfReader, Record};
use crate::error::{Error, Result};
use crate::wait::Pass;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

/// State of the merge.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The time of the first sample of each ring that has one, and the index of the ring.
    first: BinaryHeap<Reverse<(u64, usize)>>,
    /// The time of the last sample that was handed out.
    last: u64,
    late: u64,
}

impl Order {
    pub(super) fn late(&self) -> u64 {
        self.late
    }
}

/// Rings that are being read; hands back what was read when dropped, also when the consumer panics.
struct Reading<'r>(&'r mut [CpuRing]);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(CpuRing::release);
    }
}

impl PerfReader {
    /// Reads all rings, in the order of times, up to the samples of the time `until`; also gives the time of the first
    /// that is later.
    pub(super) fn pass_in_order<F>(
        &mut self,
        until: u64,
        consume: &mut F,
    ) -> Result<(Pass, Option<u64>)>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let mut merge = Merge {
            rings: Reading(&mut self.rings),
            order: &mut self.order,
            layout: self.options.layout,
            scratch: &mut self.scratch,
            pass: Pass::default(),
            error: None,
            consume,
        };
        merge.order.first.clear();
        for index in 0..merge.rings.0.len() {
            let seen = merge.rings.0.get_mut(index).map_or(Ok(()), CpuRing::look);
            if let Err(error) = seen {
                merge.error.get_or_insert(error);
            }
            merge.queue(index);
        }
        let mut later = None;
        while let Some(&Reverse((time, index))) = merge.order.first.peek() {
            if merge.pass.stopped || time > until {
                later = Some(time);
                break;
            }
            merge.order.first.pop();
            merge.hand_out(time, index);
            merge.queue(index);
        }
        match merge.error {
            Some(error) => Err(error),
            None => Ok((merge.pass, later)),
        }
    }
}

struct Merge<'m, 'c, F> {
    rings: Reading<'m>,
    order: &'m mut Order,
    layout: record::Layout,
    scratch: &'m mut Vec<u8>,
    pass: Pass,
    error: Option<Error>,
    consume: &'c mut F,
}

impl<F: FnMut(Record<'_>) -> ControlFlow<()>> Merge<'_, '_, F> {
    /// Goes on in a ring to its next sample, and notes its time. What is before that and has no time is handed out where
    /// it is.
    fn queue(&mut self, index: usize) {
        while !self.pass.stopped {
            let Some(ring) = self.rings.0.get_mut(index) else { return };
            let (length, lost) = match record::next(ring.pieces(), self.layout, self.scratch) {
                Ok(None) => return,
                Ok(Some((_, Body::Sample { time, .. }))) => {
                    self.order.first.push(Reverse((time.unwrap_or_default(), index)));
                    return;
                }
                Ok(Some((record, Body::Lost(count)))) => (record.len(), Some(count)),
                Ok(Some((record, Body::Other))) => (record.len(), None),
                Err(problem) => {
                    if let record::Problem::WrongSize { length, .. } = problem {
                        ring.read += length;
                    }
                    let error = ring.fail(problem, self.layout);
                    self.error.get_or_insert(error);
                    continue;
                }
            };
            ring.read += length;
            if let Some(count) = lost {
                ring.record_lost(count);
                self.pass.records += 1;
                let record = Record::Lost { cpu: ring.cpu, count };
                self.pass.stopped = (self.consume)(record).is_break();
            }
        }
    }

    /// Hands out the sample that is next in a ring.
    fn hand_out(&mut self, time: u64, index: usize) {
        let Some(ring) = self.rings.0.get_mut(index) else { return };
        if ring.read >= ring.enough() {
            ring.release();
        }
        // It has been read before, to see its time.
        let pieces = record::behind(ring.ring.filled(), ring.read);
        let found = record::next(pieces, self.layout, self.scratch);
        let Ok(Some((record, Body::Sample { bytes, .. }))) = found else { return };
        ring.read += record.len();
        if time < self.order.last {
            self.order.late += 1;
        }
        self.order.last = self.order.last.max(time);
        self.pass.records += 1;
        let record = Record::Sample { cpu: ring.cpu, time_ns: Some(time), bytes };
        self.pass.stopped = (self.consume)(record).is_break();
    }
}
