//! Reading format strings.

use super::{Conversion, ConversionKind, Flags, Format, Length, Segment};
use std::ops::Range;

/// The greatest width and precision.
const MAX_WIDTH: usize = 65_535;

/// A format string that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{specification}`: {problem}")]
#[non_exhaustive]
pub struct FormatError {
    /// The place of the specification in the format string.
    pub span: Range<usize>,
    /// The specification, from its percent sign on.
    pub specification: String,
    /// The reason.
    pub problem: FormatProblem,
}

/// A reason why a conversion specification is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatProblem {
    /// A conversion of C that is not supported.
    #[error(
        "conversion `{0}` is not supported, expected one of d, i, u, o, x, X, c, s, p, r, rx, rh"
    )]
    Unsupported(char),
    /// `*`: a width or precision from an argument.
    #[error("`*` is not supported, expected a number")]
    Star,
    /// A length that C does not have.
    #[error("unknown length, expected one of hh, h, l, ll, j, z, t")]
    Length,
    /// A width or precision above the limit.
    #[error("width or precision is too large, expected at most {MAX_WIDTH}")]
    TooWide,
}

/// The conversions of C that are rejected.
const UNSUPPORTED: &[u8] = b"aAeEfFgGnmCS";

impl Format {
    /// Reads a format string, after its backslash escapes have been replaced.
    ///
    /// # Errors
    /// A conversion of C that is not supported, such as `%f`, `%n` or `%*d`; a length that C does not have; a width above
    /// 65,535.
    pub fn parse(text: &[u8]) -> Result<Format, FormatError> {
        let mut segments = Vec::new();
        let mut stray = Vec::new();
        let mut literal = Vec::new();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if byte != b'%' {
                literal.push(byte);
                at += 1;
                continue;
            }
            let mut reader = Reader { text, at: at + 1 };
            let read = reader.specification();
            let span = at..reader.at.min(text.len());
            match read {
                Ok(Specification::Percent) => literal.push(b'%'),
                // The percent sign is printed, and what follows is read again.
                Ok(Specification::Stray) => {
                    stray.push(at);
                    literal.push(b'%');
                    at += 1;
                    continue;
                }
                Ok(Specification::Conversion(conversion)) => {
                    if !literal.is_empty() {
                        segments.push(Segment::Literal(std::mem::take(&mut literal).into()));
                    }
                    segments.push(Segment::Conversion(Conversion { span, ..conversion }));
                }
                Err(problem) => {
                    let specification = text.get(span.clone()).unwrap_or_default();
                    let specification = String::from_utf8_lossy(specification).into_owned();
                    return Err(FormatError { span, specification, problem });
                }
            }
            at = reader.at;
        }
        if !literal.is_empty() {
            segments.push(Segment::Literal(literal.into()));
        }
        Ok(Format { segments: segments.into(), stray: stray.into() })
    }
}

/// A specification: the part of a format that a percent sign begins.
enum Specification {
    Percent,
    Conversion(Conversion),
    Stray,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn specification(&mut self) -> Result<Specification, FormatProblem> {
        if self.take(b"%").is_some() {
            return Ok(Specification::Percent);
        }
        let mut flags = Flags::default();
        while let Some(flag) = self.take(b"-0+ #") {
            match flag {
                b'-' => flags.left = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b' ' => flags.space = true,
                _ => flags.alternate = true,
            }
        }
        let width = self.number()?;
        let precision = self.take(b".").map(|_| self.number()).transpose()?;
        let start = self.at;
        while self.take(b"hljztqL").is_some() {}
        let length = self.text.get(start..self.at).unwrap_or_default();
        let Some(letter) = self.take(b"diuoxXcspraAeEfFgGnmCS*") else {
            return Ok(Specification::Stray);
        };
        let kind = match letter {
            b'*' => return Err(FormatProblem::Star),
            _ if UNSUPPORTED.contains(&letter) => {
                return Err(FormatProblem::Unsupported(letter.into()));
            }
            b'd' | b'i' => ConversionKind::Signed,
            b'u' => ConversionKind::Unsigned,
            b'o' => ConversionKind::Octal,
            b'x' => ConversionKind::Hex,
            b'X' => ConversionKind::UpperHex,
            b'c' => ConversionKind::Char,
            b's' => ConversionKind::Text,
            b'p' => ConversionKind::Pointer,
            _ => match self.take(b"xh") {
                Some(b'x') => ConversionKind::EscapedBuffer,
                Some(_) => ConversionKind::HexBuffer,
                None => ConversionKind::Buffer,
            },
        };
        let length = match length {
            b"" => Length::Bits32,
            b"hh" => Length::Bits8,
            b"h" => Length::Bits16,
            b"l" | b"ll" | b"j" | b"z" | b"t" | b"q" | b"L" => Length::Bits64,
            _ => return Err(FormatProblem::Length),
        };
        let span = 0..0;
        Ok(Specification::Conversion(Conversion { span, kind, length, flags, width, precision }))
    }

    /// Takes the next byte if it is one of these.
    fn take(&mut self, of: &[u8]) -> Option<u8> {
        let byte = self.text.get(self.at).copied().filter(|byte| of.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// Takes digits; none stand for 0, as in C.
    fn number(&mut self) -> Result<usize, FormatProblem> {
        let mut number = 0;
        while let Some(digit) = self.take(b"0123456789") {
            number = 10 * number + usize::from(digit - b'0');
            if number > MAX_WIDTH {
                return Err(FormatProblem::TooWide);
            }
        }
        Ok(number)
    }
}
