//! Records one at a time, lent from the rings, and typed ones on top.

use super::record::{self, Body, Problem, SampleSize, Shape};
use super::{PerfReader, Record};
use crate::error::{Error, Result};
use crate::util::pod::Plain;
use std::marker::PhantomData;

/// Hands out what is in the rings, record after record, without copying. Made by [`PerfReader::records`].
///
/// It reads the same records as [`PerfReader::drain`], for a loop that needs its own `?` and `break`; ring after ring,
/// also in a reader with the option [`in_order`](super::PerfOptions::in_order):
///
/// ```no_run
/// # use rawbpf::perf::PerfReader;
/// # fn print(reader: &mut PerfReader) -> rawbpf::Result<()> {
/// let mut records = reader.records();
/// while let Some(record) = records.next()? {
///     println!("{record:02x?}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// A record is lent until the next one is asked for, so this cannot be an [`Iterator`]; [`Records::typed`] is. It is
/// handed back to the kernel with others, at the latest when this is dropped.
#[derive(Debug)]
pub struct Records<'r> {
    reader: &'r mut PerfReader,
    /// Rings still to be visited, that of this turn included.
    visits: usize,
    /// Whether the ring of this turn has been looked at.
    looked: bool,
}

impl<'r> Records<'r> {
    pub(super) fn new(reader: &'r mut PerfReader) -> Records<'r> {
        let looked = reader.is_unfinished();
        Records { visits: reader.rings.len() + usize::from(looked), looked, reader }
    }

    /// The next record, or `None` if all that was there has been read.
    ///
    /// # Errors
    /// As [`PerfReader::drain`]. The next call goes on behind what was wrong.
    #[allow(clippy::should_implement_trait)] // It lends what it gives.
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        // Mostly it is a sample like the one before. (It is looked at twice: a condition cannot lend what it sees.)
        if self.is_alike() { Ok(self.next_alike()) } else { self.next_of_any_kind() }
    }

    /// Whether the next one is a sample like the one before.
    #[inline]
    fn is_alike(&self) -> bool {
        let layout = self.reader.options.layout;
        self.looked
            && self.reader.rings.get(self.reader.turn).is_some_and(|ring| {
                ring.read < ring.enough() && ring.sample_at(ring.read, layout).is_some()
            })
    }

    /// The next one, if it is.
    #[inline]
    fn next_alike(&mut self) -> Option<Record<'_>> {
        let PerfReader { rings, turn, options, .. } = &mut *self.reader;
        let ring = rings.get_mut(*turn)?;
        let (cpu, at) = (ring.cpu, ring.read);
        ring.read += ring.shape?.length();
        let (time_ns, bytes) = ring.sample_at(at, options.layout)?;
        Some(Record::Sample { cpu, time_ns, bytes })
    }

    /// Returns the next record, of any form.
    fn next_of_any_kind(&mut self) -> Result<Option<Record<'_>>> {
        if !self.find()? {
            return Ok(None);
        }
        let PerfReader { rings, turn, options, scratch, .. } = &mut *self.reader;
        let Some(ring) = rings.get_mut(*turn) else { return Ok(None) };
        // The record is looked up a second time: the loop that found it cannot return what it borrows.
        let pieces = record::behind(ring.ring.filled(), ring.read);
        let Ok(Some((record, body))) = record::next(pieces, options.layout, scratch) else {
            return Ok(None);
        };
        ring.read += record.len();
        let cpu = ring.cpu;
        Ok(match body {
            Body::Sample { time, bytes } => {
                ring.shape = Shape::of(record, bytes, options.layout);
                Some(Record::Sample { cpu, time_ns: time, bytes })
            }
            Body::Lost(count) => Some(Record::Lost { cpu, count }),
            Body::Other => None,
        })
    }

    /// The rest as values of a type. Each sample has to be one, as [`Plain`] has it.
    pub fn typed<T: Plain>(self) -> Typed<'r, T> {
        Typed { records: self, value: PhantomData }
    }

    /// Goes on to the ring and the place where the next record is; `false` if there is none.
    fn find(&mut self) -> Result<bool> {
        while self.visits > 0 {
            let PerfReader { rings, turn, options, scratch, .. } = &mut *self.reader;
            let Some(ring) = rings.get_mut(*turn) else { break };
            if !self.looked {
                if let Err(error) = ring.look() {
                    self.leave();
                    return Err(error);
                }
                self.looked = true;
            }
            if ring.read >= ring.enough() {
                ring.release();
            }
            let (found, reported) = match record::next(ring.pieces(), options.layout, scratch) {
                Ok(None) => {
                    self.leave();
                    continue;
                }
                Ok(Some((_, Body::Sample { .. }))) => (None, 0),
                Ok(Some((_, Body::Lost(count)))) => (None, count),
                Ok(Some((record, Body::Other))) => (Some(record.len()), 0),
                Err(problem) => {
                    if let Problem::WrongSize { length, .. } = problem {
                        ring.read += length;
                    }
                    return Err(ring.fail(problem, options.layout));
                }
            };
            match found {
                None => {
                    ring.record_lost(reported);
                    return Ok(true);
                }
                Some(passed_over) => ring.read += passed_over,
            }
        }
        Ok(false)
    }

    /// Goes on to the next ring.
    fn leave(&mut self) {
        self.release();
        self.looked = false;
        self.visits -= 1;
        self.reader.next_turn();
    }

    /// Hands back what has been read.
    fn release(&mut self) {
        if let Some(ring) = self.reader.rings.get_mut(self.reader.turn) {
            ring.release();
        }
    }
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        self.release();
        // As after a `Break`: a ring that has been read to its end does not come first again.
        if self.looked && !self.reader.is_unfinished() {
            self.reader.next_turn();
        }
    }
}

/// A record of a ring, with the sample as a value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<T> {
    /// A sample that a program sent.
    #[non_exhaustive]
    Sample {
        /// The CPU that it ran on.
        cpu: u32,
        /// The time at which it was sent, if samples have [times](super::PerfOptions::time).
        time_ns: Option<u64>,
        /// The sample.
        value: T,
    },
    /// Samples that found the ring full. See [`Record::Lost`].
    #[non_exhaustive]
    Lost {
        /// The CPU whose ring was full.
        cpu: u32,
        /// The number of lost samples.
        count: u64,
    },
}

/// The records of perf rings with their samples as values of a type. Made by [`Records::typed`].
///
/// ```no_run
/// # use rawbpf::perf::{PerfReader, Value};
/// rawbpf::plain! {
///     #[derive(Debug)]
///     #[repr(C)]
///     struct Event {
///         time: u64,
///         pid: u32,
///         size: u32,
///     }
/// }
///
/// # fn print(reader: &mut PerfReader) -> rawbpf::Result<()> {
/// for record in reader.records().typed::<Event>() {
///     match record? {
///         Value::Sample { cpu, value, .. } => println!("CPU {cpu}: {value:?}"),
///         Value::Lost { cpu, count, .. } => println!("CPU {cpu}: {count} lost"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A sample that cannot have been of the type's size is an [`Error::SampleSize`]; the next call goes on behind it.
#[derive(Debug)]
pub struct Typed<'r, T> {
    records: Records<'r>,
    value: PhantomData<T>,
}

impl<T: Plain> Iterator for Typed<'_, T> {
    type Item = Result<Value<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.records.next() {
            Ok(None) => None,
            Err(error) => Some(Err(error)),
            Ok(Some(Record::Lost { cpu, count })) => Some(Ok(Value::Lost { cpu, count })),
            Ok(Some(Record::Sample { cpu, time_ns, bytes })) => Some(match value(bytes) {
                Some(value) => Ok(Value::Sample { cpu, time_ns, value }),
                None => {
                    let submitted = u32::try_from(T::SIZE).unwrap_or(u32::MAX);
                    let recorded = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    Err(Error::SampleSize { cpu, submitted, recorded })
                }
            }),
        }
    }
}

/// The value that was sent, with or without the filling behind it.
pub(super) fn value<T: Plain>(bytes: &[u8]) -> Option<T> {
    let size = SampleSize::new(u32::try_from(T::SIZE).ok()?)?;
    if bytes.len() != T::SIZE && !size.is_recorded_as(bytes.len()) {
        return None;
    }
    T::from_bytes(bytes.get(..T::SIZE)?)
}
