//! Values and maps as JSON.

use super::digits::{push_signed, push_unsigned};
use super::escape::push_json;
use super::hist::shown;
use super::map::Map;
use super::text::{Style, push_key, push_value as push_text_value};
use crate::bt::value::{Average, Hist, Lhist, Number, Value};
use std::io::Write;

/// Appends a number. One that a double does not hold exactly is a string, as readers of JSON would round it.
pub(super) fn push_number(out: &mut Vec<u8>, number: Number) {
    let exact = (number.to_i128() as f64) as i128 == number.to_i128();
    if !exact {
        out.push(b'"');
    }
    match number {
        Number::Signed(value) => push_signed(out, value),
        Number::Unsigned(value) => push_unsigned(out, value),
    }
    if !exact {
        out.push(b'"');
    }
}

/// Appends a value.
///
/// Enumerators and pointers are numbers, tuples and arrays are arrays, records objects, and buffers arrays of signed
/// bytes, as in bpftrace. Stacks, addresses and times are strings.
pub(super) fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::String(bytes) | Value::Timestamp(bytes) => push_json(out, bytes),
        Value::Buffer(bytes) => push_list(out, b"[", bytes, b",", b"]", |out, byte| {
            push_signed(out, i64::from(byte.cast_signed()));
        }),
        Value::Tuple(values) | Value::Array(values) => {
            push_list(out, b"[", values, b",", b"]", push_value);
        }
        Value::Record(fields) => {
            push_list(out, b"{", fields, b", ", b"}", |out, (name, value)| {
                push_json(out, name.as_bytes());
                out.extend_from_slice(b": ");
                push_value(out, value);
            });
        }
        Value::Stats(stats) => push_stats(out, stats, stats.average()),
        Value::Hist(hist) => push_hist(out, hist, 1),
        Value::Lhist(lhist) => push_lhist(out, lhist),
        value => match value.as_number() {
            Some(number) => push_number(out, number),
            None => {
                let mut text = Vec::new();
                push_text_value(&mut text, value, Style::json());
                push_json(out, &text);
            }
        },
    }
}

/// Appends items between an opening and a closing text.
pub(super) fn push_list<T>(
    out: &mut Vec<u8>,
    open: &[u8],
    items: &[T],
    comma: &[u8],
    close: &[u8],
    push: impl Fn(&mut Vec<u8>, &T),
) {
    out.extend_from_slice(open);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(comma);
        }
        push(out, item);
    }
    out.extend_from_slice(close);
}

fn push_stats(out: &mut Vec<u8>, stats: &Average, average: Number) {
    out.extend_from_slice(b"{\"count\": ");
    push_number(out, stats.count.into());
    out.extend_from_slice(b", \"average\": ");
    push_number(out, average);
    out.extend_from_slice(b", \"total\": ");
    push_number(out, stats.total);
    out.push(b'}');
}

fn push_hist(out: &mut Vec<u8>, hist: &Hist, divisor: u64) {
    push_buckets(out, hist.buckets(), divisor, |bucket| {
        let start = |bucket| hist.start(bucket).map(|(low, _)| i128::from(low));
        (start(bucket), start(bucket + 1))
    });
}

fn push_lhist(out: &mut Vec<u8>, lhist: &Lhist) {
    push_buckets(out, lhist.buckets(), 1, |bucket| lhist.range(bucket));
}

/// Appends the buckets that are shown. The range of a bucket is from its first value, without the second of the pair.
fn push_buckets(
    out: &mut Vec<u8>,
    buckets: &[u64],
    divisor: u64,
    range: impl Fn(usize) -> (Option<i128>, Option<i128>),
) {
    let buckets: Vec<_> = shown(buckets, divisor).collect();
    push_list(out, b"[", &buckets, b",", b"]", |out, (bucket, count)| {
        let (low, high) = range(*bucket);
        out.push(b'{');
        for (name, bound) in [("min", low), ("max", high.map(|high| high - 1))] {
            if let Some(bound) = bound {
                // Writing to a Vec does not fail.
                _ = write!(out, "\"{name}\": ");
                push_number(out, number(bound));
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(b"\"count\": ");
        push_number(out, (*count).into());
        out.push(b'}');
    });
}

/// A bound of a bucket; the last of `lhist()` can lie above all 64-bit numbers.
fn number(value: i128) -> Number {
    match u64::try_from(value) {
        Ok(value) => Number::Unsigned(value),
        Err(_) if value > 0 => Number::Unsigned(u64::MAX),
        Err(_) => Number::Signed(i64::try_from(value).unwrap_or(i64::MIN)),
    }
}

/// Appends the object of a map: its name, and its value or an object of its keys.
pub(super) fn push_map(out: &mut Vec<u8>, map: &Map) {
    out.push(b'{');
    push_json(out, map.name.as_bytes());
    out.extend_from_slice(b": ");
    match map.entries.as_slice() {
        [(None, value)] => push_map_value(out, map, value),
        entries => push_list(out, b"{", entries, b", ", b"}", |out, (key, value)| {
            let mut text = Vec::new();
            if let Some(key) = key {
                push_key(&mut text, key, Style::json_key());
            }
            push_json(out, &text);
            out.extend_from_slice(b": ");
            push_map_value(out, map, value);
        }),
    }
    out.push(b'}');
}

fn push_map_value(out: &mut Vec<u8>, map: &Map, value: &Value) {
    match value {
        Value::Stats(stats) => push_stats(out, stats, map.average(stats)),
        Value::Hist(hist) => push_hist(out, hist, map.divisor),
        Value::Lhist(lhist) => push_lhist(out, lhist),
        value => push_value(out, &map.divided(value)),
    }
}

/// The type of the line of a map.
pub(super) fn map_type(map: &Map) -> &'static str {
    match map.entries.first() {
        Some((_, Value::Avg(_) | Value::Stats(_))) => "stats",
        Some((_, Value::Hist(_) | Value::Lhist(_))) => "hist",
        _ => "map",
    }
}
