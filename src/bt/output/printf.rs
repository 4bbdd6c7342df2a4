//! `printf`: format strings, read once, and their arguments.

mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use parse::{FormatError, FormatProblem};
pub use write::Arg;

use std::ops::Range;

/// A format string of `printf`, read into its parts.
///
/// The conversions are those of C for integers, characters and strings, with their flags, width, precision and length, plus
/// `%r`, `%rx` and `%rh` for buffers. As in C, an integer without a length is cut to 32 bits; `%s` takes any value.
///
/// ```
/// use rawbpf::bt::output::ControlCharacters;
/// use rawbpf::bt::output::printf::{Arg, Format};
///
/// let format = Format::parse(b"%-6s %5lu\n")?;
/// let mut line = Vec::new();
/// format.write(&mut line, ControlCharacters::Keep, [Arg::Str(b"cat"), Arg::Uint(42)]);
/// assert_eq!(line, b"cat       42\n");
/// # Ok::<(), rawbpf::bt::output::printf::FormatError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    segments: Box<[Segment]>,
    stray: Box<[usize]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<[u8]>),
    Conversion(Conversion),
}

/// A conversion specification, such as `%-16s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    span: Range<usize>,
    kind: ConversionKind,
    length: Length,
    flags: Flags,
    width: usize,
    precision: Option<usize>,
}

/// The letter of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConversionKind {
    /// `%d`, `%i`: a signed integer.
    Signed,
    /// `%u`: an unsigned integer.
    Unsigned,
    /// `%o`: an unsigned integer in octal.
    Octal,
    /// `%x`: an unsigned integer in hexadecimal.
    Hex,
    /// `%X`: an unsigned integer in hexadecimal, with capital letters.
    UpperHex,
    /// `%c`: a character.
    Char,
    /// `%s`: any value as text.
    Text,
    /// `%p`: an address.
    Pointer,
    /// `%r`: a buffer as text; bytes that are not printable as `\x00`.
    Buffer,
    /// `%rx`: a buffer, every byte as `\x00`.
    EscapedBuffer,
    /// `%rh`: a buffer in hexadecimal, `00 01`.
    HexBuffer,
}

/// The number of bits of an integer that a conversion prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Bits8,
    Bits16,
    Bits32,
    Bits64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Flags {
    /// `-`
    left: bool,
    /// `0`
    zero: bool,
    /// `+`
    plus: bool,
    /// A space.
    space: bool,
    /// `#`
    alternate: bool,
}

/// The kinds of arguments that conversions distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgKind {
    /// Integers, booleans, enumerators, pointers, and the map values that are integers.
    Integer,
    /// Buffers.
    Buffer,
    /// Strings, tuples, stacks, and everything else that has text.
    Other,
}

impl Format {
    /// Returns the conversions, one for each argument, in their order. `%%` is none.
    pub fn conversions(&self) -> impl Iterator<Item = &Conversion> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Conversion(conversion) => Some(conversion),
            Segment::Literal(_) => None,
        })
    }

    /// Returns the offsets of the percent signs that begin no conversion. They are printed as they stand, as in
    /// bpftrace: `100% `.
    pub fn stray_percents(&self) -> &[usize] {
        &self.stray
    }
}

impl Conversion {
    /// Returns the place in the format string, from the percent sign on.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns the letter.
    pub fn kind(&self) -> ConversionKind {
        self.kind
    }

    /// Returns the number of bits of an integer that are printed. Without a length it is 32, as in C: `%d`; `%ld` prints
    /// 64.
    pub fn bits(&self) -> u32 {
        match self.length {
            Length::Bits8 => 8,
            Length::Bits16 => 16,
            Length::Bits32 => 32,
            Length::Bits64 => 64,
        }
    }

    /// Returns whether an argument of this kind can be printed.
    pub fn accepts(&self, arg: ArgKind) -> bool {
        use ConversionKind::*;
        match self.kind {
            Signed | Unsigned | Octal | Hex | UpperHex | Char | Pointer => arg == ArgKind::Integer,
            Buffer | EscapedBuffer | HexBuffer => arg == ArgKind::Buffer,
            Text => true,
        }
    }
}
