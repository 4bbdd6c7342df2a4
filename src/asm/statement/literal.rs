//! Strings, the escapes in them, and their bytes as stores.

use super::Span;
use crate::insn::{ByteOrder, Size};

pub(super) const ESCAPE: &str = "an escape: \\n \\r \\t \\0 \\\\ \\\" \\' \\x7f";

/// The byte that the escape at `at` (a backslash) stands for and how long the escape is.
pub(super) const fn unescape(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let kind = if at + 1 < text.len() { text[at + 1] } else { 0 };
    Some(match kind {
        b'n' => (b'\n', 2),
        b'r' => (b'\r', 2),
        b't' => (b'\t', 2),
        b'0' => (0, 2),
        b'\\' => (b'\\', 2),
        b'"' => (b'"', 2),
        b'\'' => (b'\'', 2),
        b'x' => {
            if at + 3 >= text.len() {
                return None;
            }
            match (hex(text[at + 2]), hex(text[at + 3])) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => return None,
            }
        }
        _ => return None,
    })
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The bytes of a string literal, one by one. `"text"` ends with a NUL, as in C; `b"text"` does not.
#[derive(Clone, Copy)]
pub(in crate::asm) struct Literal<'a> {
    text: &'a [u8],
    pub at: usize,
    nul: bool,
    closed: bool,
}

impl<'a> Literal<'a> {
    /// Starts at the literal that stands at `at`.
    pub(in crate::asm) const fn open(text: &'a [u8], at: usize) -> Option<Literal<'a>> {
        let bytes = at < text.len() && text[at] == b'b';
        let quote = if bytes { at + 1 } else { at };
        if quote >= text.len() || text[quote] != b'"' {
            return None;
        }
        Some(Literal { text, at: quote + 1, nul: !bytes, closed: false })
    }

    /// Returns the next byte; `None` past the last; an error with the position of an invalid escape
    /// or of a missing end.
    pub(in crate::asm) const fn next(&mut self) -> Result<Option<u8>, usize> {
        if self.closed {
            return Ok(None);
        }
        if self.at >= self.text.len() {
            return Err(self.text.len() - 1);
        }
        let byte = self.text[self.at];
        match byte {
            b'"' => {
                self.at += 1;
                self.closed = true;
                if self.nul { Ok(Some(0)) } else { Ok(None) }
            }
            b'\\' => match unescape(self.text, self.at) {
                Some((byte, used)) => {
                    self.at += used;
                    Ok(Some(byte))
                }
                None => Err(self.at),
            },
            _ => {
                self.at += 1;
                Ok(Some(byte))
            }
        }
    }
}

/// Splits a string into stores of constants, each as wide as its alignment and the rest allow: the
/// verifier refuses a misaligned store to the stack.
pub(in crate::asm) struct Chunks<'a> {
    bytes: Literal<'a>,
    left: usize,
    offset: i16,
    order: ByteOrder,
}

impl<'a> Chunks<'a> {
    /// `literal` has been parsed before, so it is complete.
    pub(in crate::asm) const fn new(
        text: &'a [u8],
        literal: Span,
        offset: i16,
        order: ByteOrder,
    ) -> Self {
        let bytes = match Literal::open(text, literal.start) {
            Some(bytes) => bytes,
            // It has been parsed before, so this cannot happen; an empty one stores nothing.
            None => Literal { text, at: text.len(), nul: false, closed: true },
        };
        let mut left = 0;
        let mut count = bytes;
        while let Ok(Some(_)) = count.next() {
            left += 1;
        }
        Chunks { bytes, left, offset, order }
    }

    pub(in crate::asm) const fn next(&mut self) -> Option<(Size, i16, i32)> {
        let (size, width) = match (self.left, self.offset & 3) {
            (0, _) => return None,
            (4.., 0) => (Size::Word, 4),
            (2.., 0 | 2) => (Size::Half, 2),
            _ => (Size::Byte, 1),
        };
        let mut value: u32 = 0;
        let mut i = 0;
        while i < width {
            let byte = match self.bytes.next() {
                Ok(Some(byte)) => byte as u32,
                _ => 0,
            };
            value = match self.order {
                ByteOrder::Little => value | byte << (8 * i),
                ByteOrder::Big => value << 8 | byte,
            };
            i += 1;
        }
        let offset = self.offset;
        self.left -= width;
        // Not past the end: the offset of the last byte was checked to fit.
        self.offset = self.offset.wrapping_add(width as i16);
        Some((size, offset, value as i32))
    }
}
