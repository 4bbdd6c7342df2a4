//! Exclusive claims of this process on the memory of ring buffer maps.
//!
//! A slice of a ring buffer's memory may be handed out because the kernel writes nothing there until the consumer's
//! position is moved, and only the reader moves it. A second reader of the same map would, from safe code, through
//! another descriptor if need be; so claims are kept for the whole process. (A perf ring has no such problem: it is
//! made for its reader, and there is no other descriptor of it.)
//!
//! Another process that has the map can still move the position. That is found out when the position is looked at
//! next, and is the one thing here that the kernel does not guarantee.

use crate::uapi::Errno;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ids of the maps whose memory is in use. An id is not used again while the map is open.
static CLAIMED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// The right to a map's memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim(u32);

/// The error of claiming and mapping a ring buffer's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// It is in use in this process.
    Already,
    /// `mmap(2)` failed.
    Memory(Errno),
    /// A position in it is invalid.
    Corrupt(&'static str),
}

impl Claim {
    /// Claims the map with this number.
    pub(crate) fn new(map: u32) -> Result<Claim, Claimed> {
        if claimed().insert(map) { Ok(Claim(map)) } else { Err(Claimed::Already) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        claimed().remove(&self.0);
    }
}

fn claimed() -> MutexGuard<'static, BTreeSet<u32>> {
    // Nothing that holds it can panic halfway.
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        // No map has that number: the kernel counts them from 1 in an `int`.
        let claim = Claim::new(u32::MAX).unwrap();
        assert_eq!(Claim::new(u32::MAX).unwrap_err(), Claimed::Already);
        let _other = Claim::new(u32::MAX - 1).unwrap();
        drop(claim);
        Claim::new(u32::MAX).unwrap();
    }
}
