//! `iter` probes: programs that run for each object of a kind, while the file of the iteration is read.

use crate::attach::Link;
use crate::attach::iter::{self, Iter};
use crate::error::{Error, Result};
use crate::uapi::Errno;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};

/// The most objects between two looks at the ring.
const MOST_AT_ONCE: u32 = 4096;

/// The iterations that are to come, one after the other.
#[derive(Debug, Default)]
pub(super) struct Iterations {
    left: VecDeque<Link>,
    /// The one that is being read, and its target.
    current: Option<(Iter, String)>,
    /// Whether there are no other probes, so that the run ends with them.
    pub alone: bool,
    /// The number of bytes that are read at once. A program writes one for each object, so that records of so many are in the
    /// ring before it is read.
    at_once: usize,
}

impl Iterations {
    /// Makes the iterations of some links, which are run in order. `record` is the size of the largest record that their programs send,
    /// and `ring` that of the ring, in bytes.
    pub(super) fn new(left: VecDeque<Link>, alone: bool, record: u32, ring: u32) -> Iterations {
        // A program can send several for an object.
        let at_once = (ring / 4 / record.saturating_add(8)).clamp(1, MOST_AT_ONCE);
        Iterations { left, current: None, alone, at_once: at_once as usize }
    }

    /// Whether some have not ended.
    pub(super) fn are_left(&self) -> bool {
        self.current.is_some() || !self.left.is_empty()
    }

    /// Goes on with the current one, or begins the next.
    ///
    /// # Errors
    /// The kernel cannot iterate.
    pub(super) fn go_on(&mut self) -> Result<()> {
        let (current, target) = match &mut self.current {
            Some(current) => current,
            None => {
                let Some(link) = self.left.pop_front() else { return Ok(()) };
                self.current.insert((iter::read(&link)?, link.target().to_string()))
            }
        };
        let mut bytes = [0; MOST_AT_ONCE as usize];
        match current.read(bytes.get_mut(..self.at_once).unwrap_or_default()) {
            Ok(0) => self.current = None,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::Call {
                    action: "read",
                    object: std::mem::take(target),
                    errno: Errno::of(&error),
                    why: None,
                    note: None,
                });
            }
        }
        Ok(())
    }

    /// Ends them.
    pub(super) fn stop(&mut self) {
        self.left.clear();
        self.current = None;
    }
}
