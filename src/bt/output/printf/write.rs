//! Writing arguments by a format.

use super::super::digits::{Digits, push_signed, push_unsigned};
use super::super::escape::{ControlCharacters, push_escaped, push_text};
use super::super::text::{Style, push_buffer, push_value};
use super::{Conversion, ConversionKind, Flags, Format, Length, Segment};
use crate::bt::value::{Number, Value};
use std::borrow::Cow;

/// An argument of `printf`. What a record holds is borrowed, so that printing it allocates nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Arg<'a> {
    /// A signed integer, extended to 64 bits.
    Int(i64),
    /// An unsigned integer, extended to 64 bits.
    Uint(u64),
    /// A boolean.
    Bool(bool),
    /// A string, without the zero byte at its end.
    Str(&'a [u8]),
    /// A buffer.
    Buf(&'a [u8]),
    /// Any value.
    Value(Cow<'a, Value>),
}

impl<'a> From<&'a Value> for Arg<'a> {
    fn from(value: &'a Value) -> Arg<'a> {
        Arg::Value(Cow::Borrowed(value))
    }
}

impl From<Value> for Arg<'_> {
    fn from(value: Value) -> Self {
        Arg::Value(Cow::Owned(value))
    }
}

impl Format {
    /// Appends the text with its arguments to `out`.
    ///
    /// `controls` applies to the arguments, not to the format itself, which is the script's. An argument of a kind that
    /// its conversion does not [accept](Conversion::accepts) is written as by `%s`; a conversion without an argument is left
    /// out.
    pub fn write<'a>(
        &self,
        out: &mut Vec<u8>,
        controls: ControlCharacters,
        args: impl IntoIterator<Item = Arg<'a>>,
    ) {
        let mut args = args.into_iter();
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => out.extend_from_slice(literal),
                Segment::Conversion(conversion) => {
                    if let Some(arg) = args.next() {
                        conversion.write(out, controls, &arg);
                    }
                }
            }
        }
    }
}

impl Arg<'_> {
    fn number(&self) -> Option<Number> {
        Some(match self {
            Arg::Int(value) => Number::Signed(*value),
            Arg::Uint(value) => Number::Unsigned(*value),
            Arg::Bool(value) => Number::Unsigned(u64::from(*value)),
            Arg::Str(_) | Arg::Buf(_) => return None,
            Arg::Value(value) => return value.as_number(),
        })
    }

    fn buffer(&self) -> Option<&[u8]> {
        match self {
            Arg::Buf(bytes) => Some(bytes),
            Arg::Value(value) => match &**value {
                Value::Buffer(bytes) => Some(bytes),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Conversion {
    fn write(&self, out: &mut Vec<u8>, controls: ControlCharacters, arg: &Arg<'_>) {
        use ConversionKind::*;
        let written = match self.kind {
            Signed | Unsigned | Octal | Hex | UpperHex => {
                arg.number().map(|number| self.integer(out, number.bits()))
            }
            Pointer => arg.number().map(|number| {
                let digits = Digits::hex(number.bits(), false);
                let prefix: &[u8] = if number.bits() == 0 { b"" } else { b"0x" };
                self.number(out, prefix, false, &digits);
            }),
            // The low byte, whatever it is.
            Char => arg.number().map(|number| {
                let character = [number.bits() as u8];
                self.padded(out, |out| push_text(out, &character, controls));
            }),
            Buffer => arg.buffer().map(|bytes| self.text(out, |out| push_buffer(out, bytes))),
            EscapedBuffer => arg.buffer().map(|bytes| {
                self.text(out, |out| bytes.iter().for_each(|byte| push_escaped(out, *byte)));
            }),
            HexBuffer => arg.buffer().map(|bytes| self.text(out, |out| push_hex(out, bytes))),
            Text => None,
        };
        if written.is_none() {
            self.any(out, controls, arg);
        }
    }

    /// Writes an integer by one of the conversions of C.
    fn integer(&self, out: &mut Vec<u8>, bits: u64) {
        use ConversionKind::*;
        let flags = self.flags;
        if self.kind == Signed {
            let value = match self.length {
                Length::Bits8 => i64::from(bits as i8),
                Length::Bits16 => i64::from(bits as i16),
                Length::Bits32 => i64::from(bits as i32),
                Length::Bits64 => bits as i64,
            };
            let sign: &[u8] = match flags {
                _ if value < 0 => b"-",
                Flags { plus: true, .. } => b"+",
                Flags { space: true, .. } => b" ",
                _ => b"",
            };
            return self.number(out, sign, value == 0, &Digits::decimal(value.unsigned_abs()));
        }
        let value = match self.length {
            Length::Bits8 => u64::from(bits as u8),
            Length::Bits16 => u64::from(bits as u16),
            Length::Bits32 => u64::from(bits as u32),
            Length::Bits64 => bits,
        };
        let (prefix, digits): (&[u8], _) = match self.kind {
            Hex if flags.alternate && value != 0 => (b"0x", Digits::hex(value, false)),
            UpperHex if flags.alternate && value != 0 => (b"0X", Digits::hex(value, true)),
            Hex => (b"", Digits::hex(value, false)),
            UpperHex => (b"", Digits::hex(value, true)),
            Octal => (b"", Digits::octal(value)),
            _ => (b"", Digits::decimal(value)),
        };
        self.number(out, prefix, value == 0, &digits);
    }

    /// Writes the digits of an integer, at least as many as the precision.
    fn number(&self, out: &mut Vec<u8>, prefix: &[u8], is_zero: bool, digits: &Digits) {
        let mut digits = digits.as_bytes();
        // Of 0 with precision 0, nothing is written.
        if is_zero && self.precision == Some(0) {
            digits = b"";
        }
        let mut least = self.precision.unwrap_or(1);
        if self.kind == ConversionKind::Octal && self.flags.alternate && digits != b"0" {
            least = least.max(digits.len() + 1);
        }
        let zero = self.flags.zero && !self.flags.left && self.precision.is_none();
        self.padded_number(out, prefix, digits, least, zero);
    }

    fn padded_number(
        &self,
        out: &mut Vec<u8>,
        prefix: &[u8],
        digits: &[u8],
        least: usize,
        zero: bool,
    ) {
        let zeros = least.saturating_sub(digits.len());
        let padding = self.width.saturating_sub(prefix.len() + zeros + digits.len());
        let (before, zeros, after) = match self.flags.left {
            true => (0, zeros, padding),
            false if zero => (0, zeros + padding, 0),
            false => (padding, zeros, 0),
        };
        push_repeated(out, b' ', before);
        out.extend_from_slice(prefix);
        push_repeated(out, b'0', zeros);
        out.extend_from_slice(digits);
        push_repeated(out, b' ', after);
    }

    /// Writes any value as text.
    fn any(&self, out: &mut Vec<u8>, controls: ControlCharacters, arg: &Arg<'_>) {
        match arg {
            Arg::Str(bytes) => self.string(out, bytes, controls),
            Arg::Value(value) => match &**value {
                Value::String(bytes) => self.string(out, bytes, controls),
                value => self.text(out, |out| push_value(out, value, Style::text(controls))),
            },
            Arg::Int(value) => self.text(out, |out| push_signed(out, *value)),
            Arg::Uint(value) => self.text(out, |out| push_unsigned(out, *value)),
            Arg::Bool(value) => {
                let text: &[u8] = if *value { b"true" } else { b"false" };
                self.text(out, |out| out.extend_from_slice(text));
            }
            Arg::Buf(bytes) => self.text(out, |out| push_buffer(out, bytes)),
        }
    }

    /// Writes a string: it is cut before it is escaped, and escaped before it is padded, so that columns are kept.
    fn string(&self, out: &mut Vec<u8>, bytes: &[u8], controls: ControlCharacters) {
        let length = self.precision.unwrap_or(bytes.len()).min(bytes.len());
        let bytes = bytes.get(..length).unwrap_or(bytes);
        self.padded(out, |out| push_text(out, bytes, controls));
    }

    /// Writes text that is cut to the precision.
    fn text(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.padded(out, |out| {
            let start = out.len();
            write(out);
            if let Some(precision) = self.precision {
                out.truncate(start.saturating_add(precision));
            }
        });
    }

    /// Writes text that is padded to the width.
    fn padded(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        let length = out.len() - start;
        if length < self.width {
            push_repeated(out, b' ', self.width - length);
            if !self.flags.left
                && let Some(field) = out.get_mut(start..)
            {
                field.rotate_right(self.width - length);
            }
        }
    }
}

fn push_repeated(out: &mut Vec<u8>, byte: u8, times: usize) {
    out.resize(out.len() + times, byte);
}

/// Appends bytes in hexadecimal, with a space in between.
fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        super::super::digits::push_hex_byte(out, *byte);
    }
}
