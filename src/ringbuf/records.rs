//! Records one at a time, lent from the ring, and typed ones on top.

use super::{Record, RingBufReader};
use crate::error::{Error, Result};
use crate::ring::{Found, Like};
use crate::util::pod::Plain;
use std::marker::PhantomData;

/// Hands out what is in the ring buffers, record after record, without copying. Made by [`RingBufReader::records`].
///
/// It reads the same records as [`RingBufReader::drain`], for a loop that needs its own `?` and `break`:
///
/// ```no_run
/// # use rawbpf::ringbuf::RingBufReader;
/// # fn print(reader: &mut RingBufReader) -> rawbpf::Result<()> {
/// let mut records = reader.records();
/// while let Some(record) = records.next()? {
///     println!("{:02x?}", record.bytes);
/// }
/// # Ok(())
/// # }
/// ```
///
/// Another process that consumes from the ring can change what is lent ([`Record::bytes`]); then use
/// [`RingBufReader::drain_copied`].
///
/// A record is lent until the next one is asked for, so this cannot be an [`Iterator`]; [`Records::typed`] is. It is
/// handed back to the kernel with others, at the latest when this is dropped; a leaked one hands nothing
/// back, and the records come again.
#[derive(Debug)]
pub struct Records<'r> {
    reader: &'r mut RingBufReader,
    /// Rings still to be visited, that of this turn included.
    visits: usize,
    /// The position up to which the ring of this turn has been read; `None` if it has not been looked at.
    at: Option<usize>,
    like: Like,
}

impl<'r> Records<'r> {
    pub(super) fn new(reader: &'r mut RingBufReader) -> Records<'r> {
        let unfinished = reader.is_unfinished();
        let at = unfinished.then(|| reader.rings.get(reader.turn)).flatten();
        let at = at.map(|ring| ring.ring.position());
        let visits = reader.rings.len() + usize::from(unfinished);
        Records { visits, at, like: Like::default(), reader }
    }

    /// The next record, or `None` if all that was there has been read.
    ///
    /// # Errors
    /// [`Error::CorruptRingBuffer`]. The next call goes on with the next ring.
    #[allow(clippy::should_implement_trait)] // It lends what it gives.
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        // Mostly it is a record like the one before. (It is looked at twice: a condition cannot lend what it sees.)
        if self.is_alike() { Ok(self.next_alike()) } else { self.next_of_any_kind() }
    }

    /// Whether the next one is like the one before, and nothing is to be done first.
    #[inline]
    fn is_alike(&self) -> bool {
        let ring = self.reader.rings.get(self.reader.turn);
        ring.zip(self.at).is_some_and(|(ring, at)| {
            let read = at.wrapping_sub(ring.ring.position());
            read < ring.enough() && ring.ring.unread_like(at, self.like).is_alike()
        })
    }

    /// The next one, if it is like the one before.
    #[inline]
    fn next_alike(&mut self) -> Option<Record<'_>> {
        let index = self.reader.turn;
        let mut unread = self.reader.rings.get(index)?.ring.unread_like(self.at?, self.like);
        let found = unread.next();
        self.at = Some(unread.position());
        match found {
            Found::Record(bytes) => Some(Record { ring: index, bytes }),
            _ => None,
        }
    }

    /// Returns the next record, of any form.
    fn next_of_any_kind(&mut self) -> Result<Option<Record<'_>>> {
        let Some(found) = self.find()? else { return Ok(None) };
        let index = self.reader.turn;
        // The record is looked up a second time: the loop that found it cannot return what it borrows.
        let ring = self.reader.rings.get(index);
        Ok(ring.and_then(|ring| match ring.ring.unread(found).next() {
            Found::Record(bytes) => Some(Record { ring: index, bytes }),
            _ => None,
        }))
    }

    /// The rest as values of a type. Each record has to be one, as [`Plain`] has it.
    pub fn typed<T: Plain>(self) -> Typed<'r, T> {
        Typed { records: self, value: PhantomData }
    }

    /// Finds the next record in the ring of this turn; `at` is then behind it.
    fn find(&mut self) -> Result<Option<usize>> {
        while self.visits > 0 {
            let Some(ring) = self.reader.rings.get_mut(self.reader.turn) else { break };
            let mut at = match self.at {
                Some(at) => at,
                None => match ring.look() {
                    Ok(()) => ring.ring.position(),
                    Err(error) => {
                        self.leave();
                        return Err(error);
                    }
                },
            };
            if at.wrapping_sub(ring.ring.position()) >= ring.enough() {
                ring.ring.release(at);
            }
            let before = at;
            let mut unread = ring.ring.unread(at);
            let found = unread.next();
            at = unread.position();
            self.like = unread.like();
            let (record, problem) = match found {
                Found::Record(_) => (true, None),
                Found::Discarded => (false, None),
                Found::Nothing => (false, Some(None)),
                Found::Corrupt(problem) => (false, Some(Some(problem))),
            };
            self.at = Some(at);
            match problem {
                None if record => return Ok(Some(before)),
                None => {}
                Some(None) => self.leave(),
                Some(Some(problem)) => {
                    ring.ring.release(at);
                    let error = ring.corrupt(problem);
                    self.leave();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Goes on to the next ring.
    fn leave(&mut self) {
        self.release();
        self.visits -= 1;
        self.reader.next_turn();
    }

    /// Hands back what has been read.
    fn release(&mut self) {
        let at = self.at.take();
        if let (Some(at), Some(ring)) = (at, self.reader.rings.get_mut(self.reader.turn)) {
            ring.ring.release(at);
        }
    }
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        let looked = self.at.is_some();
        self.release();
        // As after a `Break`: a ring that has been read to its end does not come first again.
        if looked && !self.reader.is_unfinished() {
            self.reader.next_turn();
        }
    }
}

/// The records of ring buffers as values of a type. Made by [`Records::typed`].
///
/// ```no_run
/// # use rawbpf::ringbuf::RingBufReader;
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
/// # fn print(reader: &mut RingBufReader) -> rawbpf::Result<()> {
/// for event in reader.records().typed::<Event>() {
///     println!("{:?}", event?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A record of another size is an [`Error::RecordSize`]; the next call goes on behind it. Damage is an
/// [`Error::CorruptRingBuffer`], after which the other rings follow.
#[derive(Debug)]
pub struct Typed<'r, T> {
    records: Records<'r>,
    value: PhantomData<T>,
}

impl<T: Plain> Iterator for Typed<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let (ring, has) = match self.records.next() {
            Ok(None) => return None,
            Err(error) => return Some(Err(error)),
            Ok(Some(record)) => match T::from_bytes(record.bytes) {
                Some(value) => return Some(Ok(value)),
                None => (record.ring, record.bytes.len()),
            },
        };
        let map = self.records.reader.rings.get(ring).map(|ring| ring.name.clone());
        Some(Err(Error::RecordSize { map: map.unwrap_or_default(), has, needs: T::SIZE }))
    }
}
