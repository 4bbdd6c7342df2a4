//! Reading by copies, for rings that may have other readers.

use super::{IntoFlow, Record, RingBufReader};
use crate::error::Result;
use crate::ring::Copied;

impl RingBufReader {
    /// Reads as [`RingBufReader::drain`] does, and passes copies of the records to `consume`: they stay as they are, whatever
    /// another process does with the ring.
    ///
    /// A copy is passed on only if the consumer's position had not been moved by another reader when it was made, so it
    /// is what the program sent. If it has, that is an [`Error::CorruptRingBuffer`](crate::Error::CorruptRingBuffer),
    /// and the next call goes on from where the position is then.
    ///
    /// # Errors
    /// As [`RingBufReader::drain`].
    pub fn drain_copied<F, R>(&mut self, mut consume: F) -> Result<usize>
    where
        F: FnMut(Record<'_>) -> R,
        R: IntoFlow,
    {
        let mut consume = |record: Record<'_>| consume(record).into_flow();
        let (mut records, mut first_error) = (0, None);
        let mut copy = Vec::new();
        'rings: for visit in 0..self.rings.len() {
            let index = (self.turn + visit) % self.rings.len();
            let Some(ring) = self.rings.get_mut(index) else { break };
            let mut seen = ring.look();
            while seen.is_ok() {
                match ring.ring.copy_next(&mut copy) {
                    Ok(Copied::Record) => {
                        records += 1;
                        if consume(Record { ring: index, bytes: &copy }).is_break() {
                            self.turn = index;
                            break 'rings;
                        }
                    }
                    Ok(Copied::Discarded) => {}
                    Ok(Copied::Nothing) => break,
                    Err(problem) => seen = Err(ring.corrupt(problem)),
                }
            }
            if let Err(error) = seen {
                first_error.get_or_insert(error);
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(records),
        }
    }
}
