//! The contents of maps at the end of a trace: tables sorted by value, and histograms.

use super::map::per_cpu;
use super::output::readable;
use super::stacks::{Owners, is_stacks, stacks};
use super::typed::Types;
use super::{Failure, Format, exec::hex};
use crate::histogram::{Histogram, range};
use crate::map::Map;
use crate::uapi::MapType;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::fmt::Write as _;

/// The rules by which maps are printed, for `--help`.
pub(super) const RULES: &str = "An array of 8-byte values is printed as a histogram: of powers of two if its name \
    ends in hist or it has 64 or 65 elements, with a line for each index if its name ends in linear. Other arrays and \
    hash tables are tables, the largest value last; elements of an array that are 0 are left out, and what a map \
    has for each CPU is added up if they are numbers. Keys and values are numbers if they have 1, 2, 4 or 8 bytes, else \
    text if that is what they hold, else bytes; those of maps with types are shown by their types. The variables of \
    .data and .bss are tables too. Of stack traces \
    the functions are named, of the kernel and of processes: of PID, of COMMAND and what it starts, and of whoever lives when \
    the run ends; addresses without a name are shown as they are. If a hash table has the ids of the stacks as its keys, its \
    values are their counts, and the largest comes last.";

/// The lines that show what a map holds, one of all the maps there are; none for maps that hold nothing to look at, such as
/// rings.
pub(super) fn contents(
    map: &Map,
    maps: &[Map],
    owners: &Owners,
    format: Format,
) -> Result<String, Failure> {
    let array = match map.kind() {
        MapType::Array | MapType::PercpuArray => true,
        MapType::Hash
        | MapType::PercpuHash
        | MapType::LruHash
        | MapType::LruPercpuHash
        | MapType::LpmTrie => false,
        _ if is_stacks(map) => return stacks(map, maps, owners, format),
        _ => return Ok(String::new()),
    };
    if array && let Some(scale) = Scale::of(map) {
        return histogram(map, scale, format);
    }
    // `.data` and `.bss`: one value, with the variables of the text as its fields.
    let section = map.name().starts_with('.');
    let types = Types::of(&map.info()?);
    let mut rows = Vec::new();
    for entry in map {
        let (key, value) = entry?;
        // An array has all its elements from the start.
        if array && !section && value.iter().all(|byte| *byte == 0) {
            continue;
        }
        let show = |bytes: &[u8], of: fn(&Types, &[u8]) -> Value| match &types {
            Some(types) => Shown::Typed(of(types, bytes)),
            None => Shown::of(bytes),
        };
        let cpus = per_cpu(map, &value)?;
        let value = match cpus[..] {
            [] => show(&value, Types::value),
            _ => Shown::together(cpus.iter().map(|(cpu, value)| (*cpu, show(value, Types::value)))),
        };
        match value {
            Shown::Typed(Value::Object(fields)) if section => {
                let row = |(name, value)| (Shown::Plain(name), Shown::Typed(value));
                rows.extend(fields.into_iter().map(row));
            }
            value => rows.push((show(&key, Types::key), value)),
        }
    }
    rows.sort_by(|(key, value), (other_key, other)| value.cmp(other).then(key.cmp(other_key)));
    Ok(table(map, &rows, format))
}

fn table(map: &Map, rows: &[(Shown, Shown)], format: Format) -> String {
    let name = map.name();
    let mut out = String::new();
    if format == Format::Json {
        for (key, value) in rows {
            let row = json!({ "map": name, "key": key.json(), "value": value.json() });
            let _ = writeln!(out, "{row}");
        }
        return out;
    }
    if rows.is_empty() {
        return format!("\n{name}: empty\n");
    }
    let rows: Vec<_> = rows.iter().map(|(key, value)| (key.text(), value.text())).collect();
    // As bcc's tools have their counts. Values of many words stand in no column.
    let width = rows.iter().map(|(_, value)| value.chars().count()).filter(|width| *width <= 48);
    let width = width.max().unwrap_or(0).max(10);
    let _ = writeln!(out, "\n{name}:\n{:>width$} KEY", "VALUE");
    for (key, value) in rows {
        let _ = writeln!(out, "{value:>width$} {key}");
    }
    out
}

/// The values that the elements of an array count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Log2,
    Linear,
}

impl Scale {
    /// The scale of an array, if it is a histogram.
    fn of(map: &Map) -> Option<Scale> {
        let name = map.name();
        match (map.value_size(), map.max_entries()) {
            (8, _) if name.ends_with("linear") => Some(Scale::Linear),
            (8, _) if name.ends_with("hist") => Some(Scale::Log2),
            (8, 64 | 65) => Some(Scale::Log2),
            _ => None,
        }
    }
}

fn histogram(map: &Map, scale: Scale, format: Format) -> Result<String, Failure> {
    let mut buckets = vec![0u64; map.max_entries() as usize];
    for entry in map {
        let (key, value) = entry?;
        let index = number(&key).and_then(|index| usize::try_from(index).ok());
        // One for each CPU, or one.
        let counts = value.chunks_exact(8).filter_map(number);
        if let Some(bucket) = index.and_then(|index| buckets.get_mut(index)) {
            *bucket = counts.fold(0, u64::saturating_add);
        }
    }
    let name = map.name();
    let (histogram, kind) = match scale {
        Scale::Log2 => (Histogram::log2(&buckets), "log2"),
        Scale::Linear => (Histogram::linear(&buckets), "linear"),
    };
    let empty = buckets.iter().all(|count| *count == 0);
    Ok(match format {
        Format::Text if empty => format!("\n{name}: empty\n"),
        Format::Text => format!("\n{name}:\n{histogram}\n"),
        Format::Json => {
            let buckets = buckets.iter().enumerate().filter(|(_, count)| **count > 0);
            let buckets = buckets.map(|(bucket, count)| {
                let (min, max) = match scale {
                    Scale::Log2 => range(bucket),
                    Scale::Linear => (bucket as u128, bucket as u128),
                };
                // Beyond the largest number there is nothing to count.
                let [min, max] = [min, max].map(|end| u64::try_from(end).unwrap_or(u64::MAX));
                json!({ "min": min, "max": max, "count": count })
            });
            let buckets: Value = buckets.collect();
            format!("{}\n", json!({ "map": name, "histogram": kind, "buckets": buckets }))
        }
    })
}

/// A number of the machine, of 1, 2, 4 or 8 bytes.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    Some(match bytes.len() {
        1 => bytes.first().copied()?.into(),
        2 => u16::from_ne_bytes(bytes.try_into().ok()?).into(),
        4 => u32::from_ne_bytes(bytes.try_into().ok()?).into(),
        8 => u64::from_ne_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

/// A key or a value, in the form in which it is printed.
#[derive(Debug, Clone, PartialEq)]
enum Shown {
    Number(u64),
    Text(String),
    /// Bytes in hexadecimal, or the name of a variable.
    Plain(String),
    /// A value decoded by its type.
    Typed(Value),
}

impl Shown {
    fn of(bytes: &[u8]) -> Shown {
        if let Some(number) = number(bytes) {
            return Shown::Number(number);
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at(end);
        match str::from_utf8(text) {
            Ok(text) if !text.is_empty() && rest.iter().all(|byte| *byte == 0) => {
                Shown::Text(text.into())
            }
            _ => Shown::Plain(hex(bytes, " ")),
        }
    }

    /// Combines the values of the CPUs: the sum of numbers, or else those that are not 0.
    fn together(cpus: impl Iterator<Item = (u32, Shown)>) -> Shown {
        let all: Vec<_> = cpus.collect();
        let numbers: Option<Vec<_>> = all.iter().map(|(_, shown)| shown.number()).collect();
        if let Some(numbers) = numbers {
            let sum = numbers.into_iter().fold(0, i128::saturating_add);
            return match u64::try_from(sum) {
                Ok(sum) => Shown::Number(sum),
                Err(_) => {
                    Shown::Typed(i64::try_from(sum).map_or(sum.to_string().into(), Value::from))
                }
            };
        }
        let one = |(cpu, shown): (u32, Shown)| json!({ "cpu": cpu, "value": shown.json() });
        Shown::Typed(all.into_iter().map(one).collect())
    }

    fn number(&self) -> Option<i128> {
        match self {
            Shown::Number(number) => Some((*number).into()),
            Shown::Typed(Value::Number(number)) => {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
            }
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Shown::Number(number) => number.to_string(),
            Shown::Text(text) => format!("\"{}\"", readable(text.as_bytes())),
            Shown::Plain(bytes) => bytes.clone(),
            Shown::Typed(value) => value.to_string(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Shown::Number(number) => (*number).into(),
            Shown::Text(text) | Shown::Plain(text) => text.as_str().into(),
            Shown::Typed(value) => value.clone(),
        }
    }

    /// Numbers by what they are, and before all else.
    fn cmp(&self, other: &Shown) -> Ordering {
        match (self.number(), other.number()) {
            (Some(number), Some(other)) => number.cmp(&other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text().cmp(&other.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_seem_to_be() {
        for (bytes, text) in [
            (&7u32.to_ne_bytes()[..], "7"),
            (&u64::MAX.to_ne_bytes(), "18446744073709551615"),
            (&[9], "9"),
            (b"bash\0\0\0\0\0\0\0\0\0\0\0\0", "\"bash\""),
            (b"a\x1bb", "\"a\\u001bb\""),
            (b"a\0b", "61 00 62"),
            (&[0; 3], "00 00 00"),
            (&[0xff, 1, 2], "ff 01 02"),
        ] {
            assert_eq!(Shown::of(bytes).text(), text);
        }
    }

    #[test]
    fn what_each_cpu_has_is_added_up_if_it_can_be() {
        let numbers = [(0, Shown::Number(3)), (1, Shown::Number(4))];
        assert_eq!(Shown::together(numbers.into_iter()), Shown::Number(7));
        let signed = [(0, Shown::Typed((-3).into())), (1, Shown::Typed(1.into()))];
        assert_eq!(Shown::together(signed.into_iter()).text(), "-2");
        let texts = [(0, Shown::Text("a".into())), (2, Shown::Text("b".into()))];
        let expected = r#"[{"cpu":0,"value":"a"},{"cpu":2,"value":"b"}]"#;
        assert_eq!(Shown::together(texts.into_iter()).text(), expected);
    }

    #[test]
    fn numbers_are_in_order_and_before_all_else() {
        let mut all = [
            Shown::Text("10".into()),
            Shown::Number(10),
            Shown::Typed((-1).into()),
            Shown::Number(9),
        ];
        all.sort_by(Shown::cmp);
        let texts: Vec<_> = all.iter().map(Shown::text).collect();
        assert_eq!(texts, ["-1", "9", "10", "\"10\""]);
    }
}
