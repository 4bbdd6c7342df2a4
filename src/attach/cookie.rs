//! Cookies: the number by which a program at many places knows at which one it runs.

use crate::error::Result;
use crate::features::{Feature, Features};

/// The cookie that `get_attach_cookie` returns to a program.
///
/// The function that asks why the kernel refused a cookie comes with it: a program that attaches without cookies
/// links none of the feature probes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    pub number: u64,
    demand: fn(Feature) -> Result<()>,
}

impl Cookie {
    pub(super) const fn new(number: u64) -> Cookie {
        Cookie { number, demand: |feature| Features::new().demand(feature) }
    }

    /// Returns an error if the kernel lacks the feature that a cookie of that kind needs.
    pub(super) fn demand(self, feature: Feature) -> Result<()> {
        (self.demand)(feature)
    }
}

/// Cookies compare by their numbers: the function is always the same.
impl PartialEq for Cookie {
    fn eq(&self, other: &Cookie) -> bool {
        self.number == other.number
    }
}

impl Eq for Cookie {}
