//! Values of the bpftrace language: arguments of `printf` and `print`, keys and values of maps.

mod aggregate;
mod hist;
mod stack;

pub use aggregate::{Average, Number, merge_count, merge_max, merge_min, merge_sum};
pub use hist::{Hist, Lhist};
pub use stack::{Frame, Stack, StackMode, Symbol};

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A value of a bpftrace script.
///
/// It is shown as bpftrace prints it:
///
/// ```
/// use rawbpf::bt::value::Value;
///
/// let value = Value::Tuple(vec![Value::from(1), Value::from("two"), Value::from(true)]);
/// assert_eq!(value.to_string(), "(1, two, true)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width.
    Uint(u64),
    /// A boolean.
    Bool(bool),
    /// A value of an enumeration.
    Enum(Enumerator),
    /// A pointer.
    Pointer(u64),
    /// A string, without the zero byte at its end. It need not be UTF-8.
    String(Vec<u8>),
    /// The result of `buf()`.
    Buffer(Vec<u8>),
    /// A tuple. As the key of a map, several keys.
    Tuple(Vec<Value>),
    /// An array.
    Array(Vec<Value>),
    /// A struct or union: its fields in their order.
    Record(Vec<(Arc<str>, Value)>),
    /// A kernel or user stack.
    Stack(Stack),
    /// The result of `ksym()` or `usym()`.
    Symbol(Symbol),
    /// The result of `ntop()`.
    Ip(IpAddr),
    /// The result of `macaddr()`.
    Mac([u8; 6]),
    /// The result of `strftime()`: the text.
    Timestamp(Vec<u8>),
    /// The value of `count()`.
    Count(u64),
    /// The value of `sum()`.
    Sum(Number),
    /// The value of `min()`.
    Min(Number),
    /// The value of `max()`.
    Max(Number),
    /// The value of `avg()`.
    Avg(Average),
    /// The value of `stats()`.
    Stats(Average),
    /// The value of `hist()`.
    Hist(Hist),
    /// The value of `lhist()`.
    Lhist(Lhist),
}

/// A value of an enumeration, with the name of its enumerator if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumerator {
    /// The number.
    pub number: Number,
    /// The name.
    pub name: Option<Arc<str>>,
}

impl Value {
    /// Returns the value as a signed integer, if it is a number that fits: integers, booleans, enumerators, pointers,
    /// counts, sums, minima, maxima, and the average of `avg()`.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(|number| i64::try_from(number.to_i128()).ok())
    }

    /// Returns the value as an unsigned integer, if it is a number that fits, as [`as_i64`](Value::as_i64).
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number().and_then(|number| u64::try_from(number.to_i128()).ok())
    }

    /// Returns the boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns a string, a timestamp, or the name of an enumerator or symbol, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes().and_then(|bytes| str::from_utf8(bytes).ok())
    }

    /// Returns the bytes of a string or buffer, or of what [`as_str`](Value::as_str) returns.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::String(bytes) | Value::Buffer(bytes) | Value::Timestamp(bytes) => Some(bytes),
            Value::Enum(enumerator) => enumerator.name.as_deref().map(str::as_bytes),
            Value::Symbol(symbol) => symbol.name.as_deref().map(str::as_bytes),
            _ => None,
        }
    }

    /// Returns the elements of a tuple or array.
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Value::Tuple(values) | Value::Array(values) => Some(values),
            _ => None,
        }
    }

    /// Returns a field of a record.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(fields) => {
                fields.iter().find(|(field, _)| **field == *name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Returns the number that arithmetic and integer conversions use, for values that are numbers.
    pub fn as_number(&self) -> Option<Number> {
        Some(match self {
            Value::Int(value) => Number::Signed(*value),
            Value::Uint(value) | Value::Count(value) | Value::Pointer(value) => {
                Number::Unsigned(*value)
            }
            Value::Bool(value) => Number::Unsigned(u64::from(*value)),
            Value::Enum(enumerator) => enumerator.number,
            Value::Sum(number) | Value::Min(number) | Value::Max(number) => *number,
            Value::Avg(average) => average.average(),
            _ => return None,
        })
    }

    /// Compares keys of a map for printing: numbers by value, strings and buffers by their bytes, tuples by their elements
    /// from the left. Values of different kinds, which one map does not have, are in the order of the variants.
    pub fn key_cmp(&self, other: &Value) -> Ordering {
        use Value::*;
        if let (Some(left), Some(right)) = (self.as_number(), other.as_number()) {
            return left.cmp(&right);
        }
        match (self, other) {
            (String(left) | Buffer(left), String(right) | Buffer(right)) => left.cmp(right),
            (Tuple(left) | Array(left), Tuple(right) | Array(right)) => {
                compare_all(left.iter(), right.iter())
            }
            (Record(left), Record(right)) => {
                compare_all(left.iter().map(|field| &field.1), right.iter().map(|field| &field.1))
            }
            (Stack(left), Stack(right)) => left.addresses().cmp(right.addresses()),
            (Symbol(left), Symbol(right)) => left.address.cmp(&right.address),
            (Ip(left), Ip(right)) => left.cmp(right),
            (Mac(left), Mac(right)) => left.cmp(right),
            (Timestamp(left), Timestamp(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// The place of the variant among those that `key_cmp` compares only with their own kind.
    fn rank(&self) -> u8 {
        match self {
            Value::String(_) | Value::Buffer(_) => 1,
            Value::Tuple(_) | Value::Array(_) => 2,
            Value::Record(_) => 3,
            Value::Stack(_) => 4,
            Value::Symbol(_) => 5,
            Value::Ip(_) => 6,
            Value::Mac(_) => 7,
            Value::Timestamp(_) => 8,
            Value::Stats(_) => 9,
            Value::Hist(_) => 10,
            Value::Lhist(_) => 11,
            _ => 0,
        }
    }
}

/// Compares two lists by their elements from the left; a list that is the beginning of the other comes first.
fn compare_all<'a>(
    left: impl Iterator<Item = &'a Value>,
    mut right: impl Iterator<Item = &'a Value>,
) -> Ordering {
    for left in left {
        let Some(right) = right.next() else { return Ordering::Greater };
        let order = left.key_cmp(right);
        if order.is_ne() {
            return order;
        }
    }
    if right.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

macro_rules! from_integers {
    ($($variant:ident($wide:ty): $($narrow:ty),+;)+) => {$($(
        impl From<$narrow> for Value {
            fn from(value: $narrow) -> Value {
                Value::$variant(<$wide>::from(value))
            }
        }
    )+)+};
}

from_integers! {
    Int(i64): i8, i16, i32, i64;
    Uint(u64): u8, u16, u32, u64;
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::String(value.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::String(value.into_bytes())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Value {
        Value::String(value)
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Value {
        match value {
            Number::Signed(value) => Value::Int(value),
            Number::Unsigned(value) => Value::Uint(value),
        }
    }
}

impl From<IpAddr> for Value {
    fn from(value: IpAddr) -> Value {
        Value::Ip(value)
    }
}

impl From<Ipv4Addr> for Value {
    fn from(value: Ipv4Addr) -> Value {
        Value::Ip(value.into())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(value: Ipv6Addr) -> Value {
        Value::Ip(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_convert_only_if_they_fit() {
        assert_eq!(Value::from(-1).as_i64(), Some(-1));
        assert_eq!(Value::from(-1).as_u64(), None);
        assert_eq!(Value::from(u64::MAX).as_i64(), None);
        assert_eq!(Value::from(u64::MAX).as_u64(), Some(u64::MAX));
        assert_eq!(Value::from(true).as_u64(), Some(1));
        assert_eq!(Value::from("5").as_u64(), None);
        let average = Average { count: 2, total: Number::Signed(-7) };
        assert_eq!(Value::Avg(average).as_i64(), Some(-3));
        assert_eq!(Value::Stats(average).as_i64(), None);
    }

    #[test]
    fn strings_convert_if_they_are_utf8() {
        assert_eq!(Value::from("é").as_str(), Some("é"));
        assert_eq!(Value::String(vec![0xff]).as_str(), None);
        assert_eq!(Value::String(vec![0xff]).as_bytes(), Some(&[0xff][..]));
        let number = Number::Signed(1);
        let named = Enumerator { number, name: Some("TCP_ESTABLISHED".into()) };
        assert_eq!(Value::Enum(named.clone()).as_str(), Some("TCP_ESTABLISHED"));
        assert_eq!(Value::Enum(named).as_u64(), Some(1));
        assert_eq!(Value::Enum(Enumerator { number, name: None }).as_str(), None);
    }

    #[test]
    fn keys_are_ordered_by_value() {
        let ordered = [
            Value::Tuple(vec![(-1).into(), "z".into()]),
            Value::Tuple(vec![5.into(), "x".into()]),
            Value::Tuple(vec![5.into(), "y".into()]),
            Value::Tuple(vec![300.into()]),
            Value::Tuple(vec![300.into(), "a".into()]),
        ];
        for pair in ordered.windows(2) {
            assert_eq!(pair[0].key_cmp(&pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(pair[1].key_cmp(&pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(Value::from(3).key_cmp(&Value::from(u64::MAX)), Ordering::Less);
        assert_eq!(Value::from("a").key_cmp(&Value::from("aa")), Ordering::Less);
        assert_eq!(Value::from("a").key_cmp(&Value::from("a")), Ordering::Equal);
    }
}
