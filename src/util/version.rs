//! Versions of Linux.

use std::fmt;

/// A version of Linux as far as features are counted by it: those of stable releases do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 6 of 6.12.
    pub major: u16,
    /// 12 of 6.12.
    pub minor: u16,
}

impl Version {
    /// A version of these numbers.
    pub const fn new(major: u16, minor: u16) -> Version {
        Version { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Columns are padded.
        f.pad(&format!("{}.{}", self.major, self.minor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(Version::new(5, 9) < Version::new(5, 10));
        assert!(Version::new(5, 19) < Version::new(6, 0));
        assert_eq!(format!("{:<6}|", Version::new(5, 10)), "5.10  |");
    }
}
