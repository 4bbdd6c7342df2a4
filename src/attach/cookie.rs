//! The number that a program in many places knows them by.

use crate::error::Result;
use crate::features::{Feature, Features};

/// What `get_attach_cookie` gives to a program.
///
/// With it comes how the kernel is asked why it refused one: a program that attaches without cookies has nothing of all
/// those questions in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    pub number: u64,
    demand: fn(Feature) -> Result<()>,
}

impl Cookie {
    pub(super) const fn new(number: u64) -> Cookie {
        Cookie { number, demand: |feature| Features::new().demand(feature) }
    }

    /// Does nothing if the kernel has what a cookie of that kind takes.
    pub(super) fn demand(self, feature: Feature) -> Result<()> {
        (self.demand)(feature)
    }
}

/// There is one way of asking: cookies differ by their numbers.
impl PartialEq for Cookie {
    fn eq(&self, other: &Cookie) -> bool {
        self.number == other.number
    }
}

impl Eq for Cookie {}
