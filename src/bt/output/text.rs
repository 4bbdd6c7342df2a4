//! Values and maps as text, as bpftrace prints them.

use super::digits::{Digits, push_address, push_signed, push_unsigned};
use super::escape::{ControlCharacters, push_escaped, push_text};
use super::hist::{push_hist, push_lhist};
use super::map::Map;
use crate::bt::value::{Average, Frame, Number, Stack, StackMode, Symbol, Value};
use crate::util::escape::{self, shown};
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    controls: ControlCharacters,
    /// Whether names of symbols and files are made safe whatever the output is: who writes an executable or the name of a file is not the one
    /// who traces, and no script needs the bytes.
    safe_names: bool,
    /// Without spaces after commas and before frames, as in the keys of JSON objects.
    compact: bool,
}

impl Style {
    pub(super) const fn text(controls: ControlCharacters) -> Style {
        Style { controls, safe_names: true, compact: false }
    }

    /// The form of the strings of JSON, which are escaped as JSON, not as text.
    pub(super) const fn json() -> Style {
        Style { controls: ControlCharacters::Keep, safe_names: false, compact: false }
    }

    /// The form of the keys of JSON objects.
    pub(super) const fn json_key() -> Style {
        Style { compact: true, ..Style::json() }
    }

    fn comma(self) -> &'static [u8] {
        if self.compact { b"," } else { b", " }
    }

    fn push_string(self, out: &mut Vec<u8>, bytes: &[u8]) {
        push_text(out, bytes, self.controls);
    }

    fn push_name(self, out: &mut Vec<u8>, name: &str) {
        match self.safe_names {
            // Writing to a Vec does not fail.
            true => _ = write!(out, "{}", shown(name)),
            false => out.extend_from_slice(&escape::bytes(name)),
        }
    }
}

impl fmt::Display for Value {
    /// Writes the value as bpftrace prints it. What is not UTF-8 is replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        push_value(&mut text, self, Style::text(ControlCharacters::Keep));
        f.pad(&String::from_utf8_lossy(&text))
    }
}

/// Appends a value as `print()` writes it, without the line feed.
pub(super) fn push_value(out: &mut Vec<u8>, value: &Value, style: Style) {
    match value {
        Value::Int(value) => push_signed(out, *value),
        Value::Uint(value) | Value::Count(value) => push_unsigned(out, *value),
        Value::Sum(number) | Value::Min(number) | Value::Max(number) => push_number(out, *number),
        Value::Avg(average) => push_number(out, average.average()),
        Value::Stats(stats) => push_stats(out, stats, stats.average()),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Enum(enumerator) => match &enumerator.name {
            Some(name) => style.push_string(out, name.as_bytes()),
            None => push_number(out, enumerator.number),
        },
        Value::Pointer(address) => {
            out.extend_from_slice(b"0x");
            out.extend_from_slice(Digits::hex(*address, false).as_bytes());
        }
        Value::String(bytes) | Value::Timestamp(bytes) => style.push_string(out, bytes),
        Value::Buffer(bytes) => push_buffer(out, bytes),
        Value::Tuple(values) => push_list(out, b"(", values, style.comma(), b")", style),
        Value::Array(values) => push_list(out, b"[", values, b",", b"]", style),
        Value::Record(fields) => {
            for (place, (name, value)) in fields.iter().enumerate() {
                out.extend_from_slice(if place == 0 { b"{ ." } else { b", ." });
                style.push_string(out, name.as_bytes());
                out.extend_from_slice(b" = ");
                push_value(out, value, style);
            }
            out.extend_from_slice(if fields.is_empty() { b"{}" } else { b" }" });
        }
        Value::Stack(stack) => push_stack(out, stack, style),
        Value::Symbol(Symbol { name: Some(name), .. }) => style.push_name(out, name),
        Value::Symbol(Symbol { address, .. }) => push_address(out, *address),
        // Writing to a Vec does not fail.
        Value::Ip(IpAddr::V6(address)) => push_ipv6(out, *address),
        Value::Ip(IpAddr::V4(address)) => _ = write!(out, "{address}"),
        Value::Mac([a, b, c, d, e, f]) => {
            _ = write!(out, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}");
        }
        Value::Hist(hist) => push_hist(out, hist, 1),
        Value::Lhist(lhist) => push_lhist(out, lhist),
    }
}

fn push_number(out: &mut Vec<u8>, number: Number) {
    match number {
        Number::Signed(value) => push_signed(out, value),
        Number::Unsigned(value) => push_unsigned(out, value),
    }
}

fn push_stats(out: &mut Vec<u8>, stats: &Average, average: Number) {
    out.extend_from_slice(b"{ .count = ");
    push_unsigned(out, stats.count);
    out.extend_from_slice(b", .average = ");
    push_number(out, average);
    out.extend_from_slice(b", .total = ");
    push_number(out, stats.total);
    out.extend_from_slice(b" }");
}

/// Appends an address as `inet_ntop(3)` does: unlike std, it writes `::1.2.3.4`.
fn push_ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = address.octets();
            _ = write!(out, "::{a}.{b}.{c}.{d}");
        }
        _ => _ = write!(out, "{address}"),
    }
}

/// Appends a buffer: printable ASCII as it is, every other byte as `\x00`.
pub(super) fn push_buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b' '..=b'~' => out.push(*byte),
            _ => push_escaped(out, *byte),
        }
    }
}

fn push_list(
    out: &mut Vec<u8>,
    open: &[u8],
    values: &[Value],
    comma: &[u8],
    close: &[u8],
    style: Style,
) {
    out.extend_from_slice(open);
    push_separated(out, values, comma, style);
    out.extend_from_slice(close);
}

fn push_separated(out: &mut Vec<u8>, values: &[Value], comma: &[u8], style: Style) {
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(comma);
        }
        push_value(out, value, style);
    }
}

/// Appends a line feed, and a line for each frame.
fn push_stack(out: &mut Vec<u8>, stack: &Stack, style: Style) {
    out.push(b'\n');
    for frame in &stack.frames {
        match stack.mode {
            StackMode::Bpftrace => {
                if !style.compact {
                    out.extend_from_slice(b"        ");
                }
                push_place(out, frame, style);
            }
            StackMode::Perf => {
                out.push(b'\t');
                out.extend_from_slice(Digits::hex(frame.address, false).as_bytes());
                out.push(b' ');
                push_place(out, frame, style);
                match &frame.module {
                    Some(module) => {
                        out.extend_from_slice(b" (");
                        style.push_name(out, module);
                        out.push(b')');
                    }
                    None if stack.user => out.extend_from_slice(b" ([unknown])"),
                    None => {}
                }
            }
            StackMode::Raw => {
                out.extend_from_slice(Digits::hex(frame.address, false).as_bytes());
            }
        }
        out.push(b'\n');
    }
}

/// Appends `function+offset`, or the address of a frame without function.
fn push_place(out: &mut Vec<u8>, frame: &Frame, style: Style) {
    match &frame.symbol {
        Some(symbol) => {
            style.push_name(out, symbol);
            out.push(b'+');
            push_unsigned(out, frame.offset);
        }
        None => push_address(out, frame.address),
    }
}

/// Appends the key of a map, without brackets: several keys are a tuple.
pub(super) fn push_key(out: &mut Vec<u8>, key: &Value, style: Style) {
    match key {
        Value::Tuple(keys) => push_separated(out, keys, style.comma(), style),
        key => push_value(out, key, style),
    }
}

/// Appends a map: a line for each entry, or a histogram and an empty line.
pub(super) fn push_map(out: &mut Vec<u8>, map: &Map, controls: ControlCharacters) {
    let style = Style::text(controls);
    for (key, value) in &map.entries {
        out.extend_from_slice(map.name.as_bytes());
        if let Some(key) = key {
            out.push(b'[');
            push_key(out, key, style);
            out.push(b']');
        }
        match value {
            Value::Hist(hist) => {
                out.extend_from_slice(b":\n");
                push_hist(out, hist, map.divisor);
            }
            Value::Lhist(lhist) => {
                out.extend_from_slice(b":\n");
                push_lhist(out, lhist);
            }
            Value::Stats(stats) => {
                out.extend_from_slice(b": ");
                push_stats(out, stats, map.average(stats));
            }
            value => {
                out.extend_from_slice(b": ");
                push_value(out, &map.divided(value), style);
            }
        }
        out.push(b'\n');
    }
}
