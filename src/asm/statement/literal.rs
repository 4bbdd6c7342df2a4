//! Strings and the escapes in them.

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

    /// The next byte; `None` past the last; where the trouble is if an escape is wrong or the end is
    /// missing.
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
