//! Whole maps: their order, and the output of `print(@map, top, div)`.

use crate::bt::value::{Average, Number, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// The entries of a map in the order in which they are printed.
///
/// Integers, and the values of `count()`, `sum()`, `min()`, `max()`, `avg()` and `stats()` are in ascending order, `stats()`
/// by their averages; histograms ascend by the number of values that they count. Entries with equal values, and those of
/// other values, ascend by their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    pub(super) name: String,
    /// A map without keys has one entry at most.
    pub(super) entries: Vec<(Option<Value>, Value)>,
    pub(super) divisor: u64,
}

impl Map {
    /// Creates a map without keys. `name` begins with its `@`.
    pub fn scalar(name: impl Into<String>, value: Value) -> Map {
        Map { name: name.into(), entries: vec![(None, value)], divisor: 1 }
    }

    /// Creates a map of keys and values, in any order. Several keys are a [`Value::Tuple`].
    pub fn keyed(
        name: impl Into<String>,
        entries: impl IntoIterator<Item = (Value, Value)>,
    ) -> Map {
        let mut entries: Vec<_> =
            entries.into_iter().map(|(key, value)| (Some(key), value)).collect();
        entries.sort_by(|(left_key, left), (right_key, right)| {
            let keys = || match (left_key, right_key) {
                (Some(left), Some(right)) => left.key_cmp(right),
                _ => Ordering::Equal,
            };
            rank(left).cmp(&rank(right)).then_with(keys)
        });
        Map { name: name.into(), entries, divisor: 1 }
    }

    /// Keeps the last entries of the order, as `print(@map, top)` does. 0 keeps all.
    #[must_use]
    pub fn top(mut self, top: usize) -> Map {
        if top > 0 {
            self.entries.drain(..self.entries.len().saturating_sub(top));
        }
        self
    }

    /// Divides what is printed, as `print(@map, top, div)` does: integers, averages, and the counts of `hist()`, but not
    /// those of `lhist()`. The order, and the buckets that are shown, remain those of the undivided values. Dividing by 0
    /// changes nothing.
    #[must_use]
    pub fn divided_by(mut self, divisor: u64) -> Map {
        self.divisor = divisor;
        self
    }

    /// Returns the name, with its `@`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the keys and undivided values.
    pub fn entries(&self) -> impl Iterator<Item = (Option<&Value>, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Returns whether nothing is printed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A value as it is printed. Histograms are divided where they are printed.
    pub(super) fn divided<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        let divisor = self.divisor;
        let divided = |number: Number| number.divided_by(divisor);
        Cow::Owned(match value {
            _ if divisor <= 1 => return Cow::Borrowed(value),
            Value::Int(number) => divided(Number::Signed(*number)).into(),
            Value::Uint(number) => divided(Number::Unsigned(*number)).into(),
            Value::Count(number) => Value::Count(number / divisor),
            Value::Sum(number) => Value::Sum(divided(*number)),
            Value::Min(number) => Value::Min(divided(*number)),
            Value::Max(number) => Value::Max(divided(*number)),
            Value::Avg(average) => divided(average.average()).into(),
            value => return Cow::Borrowed(value),
        })
    }

    /// The average of `stats()` as it is printed.
    pub(super) fn average(&self, stats: &Average) -> Number {
        stats.average().divided_by(self.divisor)
    }
}

/// The number by which a value is ordered; 0 for those that are ordered by their keys.
fn rank(value: &Value) -> i128 {
    match value {
        Value::Int(_)
        | Value::Uint(_)
        | Value::Enum(_)
        | Value::Count(_)
        | Value::Sum(_)
        | Value::Min(_)
        | Value::Max(_)
        | Value::Avg(_) => value.as_number().map_or(0, Number::to_i128),
        Value::Stats(stats) => stats.average().to_i128(),
        Value::Hist(hist) => total(hist.total()),
        Value::Lhist(lhist) => total(lhist.total()),
        _ => 0,
    }
}

fn total(total: u128) -> i128 {
    i128::try_from(total).unwrap_or(i128::MAX)
}
