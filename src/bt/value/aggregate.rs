//! Numbers of either sign, averages, and the merging of per-CPU values.

use std::cmp::Ordering;
use std::fmt;

/// A signed or unsigned 64-bit integer. It is compared by value: `Signed(1) == Unsigned(1)`.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer.
    Unsigned(u64),
}

impl Number {
    /// Returns the value in a type that holds both.
    pub const fn to_i128(self) -> i128 {
        match self {
            Number::Signed(value) => value as i128,
            Number::Unsigned(value) => value as i128,
        }
    }

    /// Returns the 64 bits in memory.
    pub const fn bits(self) -> u64 {
        match self {
            Number::Signed(value) => value as u64,
            Number::Unsigned(value) => value,
        }
    }

    /// Adds; wraps around at 64 bits.
    #[must_use]
    pub const fn wrapping_add(self, other: Number) -> Number {
        match self {
            Number::Signed(value) => Number::Signed(value.wrapping_add(other.bits() as i64)),
            Number::Unsigned(value) => Number::Unsigned(value.wrapping_add(other.bits())),
        }
    }

    /// Divides, rounding towards 0. Dividing by 0 changes nothing.
    #[must_use]
    pub const fn divided_by(self, divisor: u64) -> Number {
        match (self, divisor) {
            (_, 0) => self,
            // Neither quotient exceeds its dividend, so that both fit.
            (Number::Signed(value), _) => Number::Signed((value as i128 / divisor as i128) as i64),
            (Number::Unsigned(value), _) => Number::Unsigned(value / divisor),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.to_i128().cmp(&other.to_i128())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Signed(value) => value.fmt(f),
            Number::Unsigned(value) => value.fmt(f),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number::Signed(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number::Unsigned(value)
    }
}

/// The state of `avg()` and `stats()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Average {
    /// The number of values.
    pub count: u64,
    /// Their sum.
    pub total: Number,
}

impl Average {
    /// Returns the average, rounded towards 0; 0 without values.
    pub const fn average(&self) -> Number {
        match (self.count, self.total) {
            (0, Number::Signed(_)) => Number::Signed(0),
            (0, Number::Unsigned(_)) => Number::Unsigned(0),
            (count, total) => total.divided_by(count),
        }
    }

    /// Adds up the averages of several CPUs. `None` without any.
    pub fn merge(per_cpu: impl IntoIterator<Item = Average>) -> Option<Average> {
        per_cpu.into_iter().reduce(|left, right| Average {
            count: left.count.wrapping_add(right.count),
            total: left.total.wrapping_add(right.total),
        })
    }
}

/// Adds up the counts of several CPUs.
pub fn merge_count(per_cpu: impl IntoIterator<Item = u64>) -> u64 {
    per_cpu.into_iter().fold(0, u64::wrapping_add)
}

/// Adds up the sums of several CPUs; wraps around at 64 bits, as the sums themselves do. `None` without any.
pub fn merge_sum(per_cpu: impl IntoIterator<Item = Number>) -> Option<Number> {
    per_cpu.into_iter().reduce(Number::wrapping_add)
}

/// Returns the least of the values of several CPUs. `None` stands for a CPU that has seen no value.
pub fn merge_min(per_cpu: impl IntoIterator<Item = Option<Number>>) -> Option<Number> {
    per_cpu.into_iter().flatten().min()
}

/// Returns the greatest of the values of several CPUs. `None` stands for a CPU that has seen no value.
pub fn merge_max(per_cpu: impl IntoIterator<Item = Option<Number>>) -> Option<Number> {
    per_cpu.into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Number::{Signed, Unsigned};

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(Signed(-1) < Unsigned(0));
        assert!(Signed(i64::MAX) < Unsigned(u64::MAX));
        assert_eq!(Signed(5), Unsigned(5));
    }

    #[test]
    fn division_rounds_towards_zero() {
        assert_eq!(Signed(-5).divided_by(2), Signed(-2));
        assert_eq!(Signed(i64::MIN).divided_by(1), Signed(i64::MIN));
        assert_eq!(Signed(i64::MIN).divided_by(u64::MAX), Signed(0));
        assert_eq!(Unsigned(u64::MAX).divided_by(2), Unsigned(u64::MAX / 2));
        assert_eq!(Signed(7).divided_by(0), Signed(7));
    }

    #[test]
    fn values_of_cpus_are_merged() {
        assert_eq!(merge_count([1, 0, 5]), 6);
        assert_eq!(merge_sum([Signed(-3), Signed(1)]), Some(Signed(-2)));
        assert_eq!(merge_sum([]), None);
        assert_eq!(merge_min([None, Some(Signed(3)), Some(Signed(-4))]), Some(Signed(-4)));
        assert_eq!(merge_max([None, Some(Unsigned(3)), None]), Some(Unsigned(3)));
        assert_eq!(merge_max([None]), None);
        let average = |count, total| Average { count, total: Signed(total) };
        assert_eq!(Average::merge([average(2, -7), average(1, 1)]), Some(average(3, -6)));
        assert_eq!(average(3, -6).average(), Signed(-2));
        assert_eq!(average(0, 0).average(), Signed(0));
        // A sum wraps around as its addends on each CPU have.
        assert_eq!(merge_sum([Signed(i64::MAX), Signed(1)]), Some(Signed(i64::MIN)));
    }
}
