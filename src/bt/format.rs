//! Format strings of `printf()` and the like, taken apart once.

/// A format string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Format {
    /// Text and conversions in order.
    pub pieces: Vec<Piece>,
    /// The specifications that are none of C and are text: their places, and their lengths up to the letter.
    pub stray: Vec<(usize, usize)>,
}

/// A piece of a format string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text, with `%%` as `%`.
    Text(Vec<u8>),
    /// A conversion. The n-th one is for the n-th argument.
    Conversion(Conversion),
}

/// A conversion, `%-8.3lx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversion {
    /// `-`
    pub left: bool,
    /// `0`
    pub zero: bool,
    /// `#`
    pub alternate: bool,
    /// `+`
    pub plus: bool,
    /// ` `
    pub space: bool,
    /// The least width.
    pub width: Width,
    /// The precision.
    pub precision: Option<Width>,
    /// The length.
    pub length: Length,
    /// The letter.
    pub kind: ConversionKind,
}

/// A width or a precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Width {
    /// None.
    #[default]
    None,
    /// A number.
    Fixed(u32),
    /// `*`: the integer argument before the one that is printed.
    Argument,
}

/// The length of an integer in a conversion, to which it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Length {
    /// None: the size of the argument.
    #[default]
    Default,
    /// `hh`
    Char,
    /// `h`
    Short,
    /// `l`, `z`, `j`, `t`
    Long,
    /// `ll`
    LongLong,
}

/// The letter of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ConversionKind {
    /// `d`, `i`
    Signed,
    /// `u`
    Unsigned,
    /// `x`
    Hex,
    /// `X`
    UpperHex,
    /// `o`
    Octal,
    /// `c`
    Char,
    /// `p`
    Pointer,
    /// `s`
    Str,
    /// `r`
    Buffer,
    /// `rx`
    BufferHex,
    /// `rh`
    BufferSpaced,
}

impl Format {
    /// Takes a format string apart. An error is its place in the string, its length, and the problem.
    pub(crate) fn parse(text: &[u8]) -> Result<Format, (usize, usize, String)> {
        let (mut pieces, mut plain, mut at) = (Vec::new(), Vec::new(), 0);
        let mut stray = Vec::new();
        while let Some(byte) = text.get(at) {
            if *byte != b'%' {
                plain.push(*byte);
                at += 1;
                continue;
            }
            if text.get(at + 1) == Some(&b'%') {
                plain.push(b'%');
                at += 2;
                continue;
            }
            let (conversion, length) = match conversion(text.get(at..).unwrap_or_default()) {
                Ok(read) => read,
                // As in bpftrace, the percent sign is printed, and what follows is read as text.
                Err(Problem::Stray(length)) => {
                    stray.push((at, length));
                    plain.push(b'%');
                    at += 1;
                    continue;
                }
                Err(Problem::Wrong(length, problem)) => return Err((at, length, problem)),
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Conversion(conversion));
            at += length;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Format { pieces, stray })
    }

    /// Returns the conversions in order.
    pub(crate) fn conversions(&self) -> impl Iterator<Item = &Conversion> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Conversion(conversion) => Some(conversion),
            Piece::Text(_) => None,
        })
    }
}

/// The largest width and precision.
const MAX_WIDTH: u32 = 4096;

/// The conversions of C that are rejected.
const REJECTED: &[u8] = b"aAeEfFgGnmCS$";

/// The reason why there is no conversion behind a percent sign.
enum Problem {
    /// It is one that is not supported: its length, and what is wrong.
    Wrong(usize, String),
    /// It is none; the length with its letter, if there is one.
    Stray(usize),
}

/// Reads a conversion from its `%` on.
fn conversion(text: &[u8]) -> Result<(Conversion, usize), Problem> {
    let mut at = 1;
    let byte = |at: usize| text.get(at).copied().unwrap_or_default();
    let (mut left, mut zero, mut alternate, mut plus, mut space) =
        (false, false, false, false, false);
    loop {
        match byte(at) {
            b'-' => left = true,
            b'0' => zero = true,
            b'#' => alternate = true,
            b'+' => plus = true,
            b' ' => space = true,
            b'\'' => {}
            _ => break,
        }
        at += 1;
    }
    let number = |at: &mut usize| -> Result<Width, Problem> {
        if byte(*at) == b'*' {
            *at += 1;
            return Ok(Width::Argument);
        }
        let mut value = 0_u32;
        let start = *at;
        while byte(*at).is_ascii_digit() {
            value = value.saturating_mul(10).saturating_add(u32::from(byte(*at) - b'0'));
            *at += 1;
        }
        if value > MAX_WIDTH {
            let problem = format!("width {value}, expected at most {MAX_WIDTH}");
            return Err(Problem::Wrong(*at, problem));
        }
        Ok(if *at == start { Width::None } else { Width::Fixed(value) })
    };
    let width = number(&mut at)?;
    let mut precision = None;
    if byte(at) == b'.' {
        at += 1;
        precision = Some(match number(&mut at)? {
            Width::None => Width::Fixed(0),
            width => width,
        });
    }
    let mut length = Length::Default;
    loop {
        length = match (byte(at), length) {
            (b'h', Length::Short) => Length::Char,
            (b'h', _) => Length::Short,
            (b'l', Length::Long) => Length::LongLong,
            (b'l' | b'z' | b'j' | b't', _) => Length::Long,
            _ => break,
        };
        at += 1;
    }
    let kind = match byte(at) {
        b'd' | b'i' => ConversionKind::Signed,
        b'u' => ConversionKind::Unsigned,
        b'x' => ConversionKind::Hex,
        b'X' => ConversionKind::UpperHex,
        b'o' => ConversionKind::Octal,
        b'c' => ConversionKind::Char,
        b'p' => ConversionKind::Pointer,
        b's' => ConversionKind::Str,
        b'r' if byte(at + 1) == b'x' => {
            at += 1;
            ConversionKind::BufferHex
        }
        b'r' if byte(at + 1) == b'h' => {
            at += 1;
            ConversionKind::BufferSpaced
        }
        b'r' => ConversionKind::Buffer,
        b'g' if byte(at + 1) == b'r' => {
            return Err(Problem::Wrong(at + 2, "not supported: %gr".into()));
        }
        other if REJECTED.contains(&other) => {
            let problem = format!(
                "unknown conversion `{}`, expected one of d i u x X o c s p r rx rh",
                char::from(other)
            );
            return Err(Problem::Wrong(at + 1, problem));
        }
        _ => return Err(Problem::Stray((at + 1).min(text.len()))),
    };
    let conversion =
        Conversion { left, zero, alternate, plus, space, width, precision, length, kind };
    Ok((conversion, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn only(text: &str) -> Conversion {
        let format = Format::parse(text.as_bytes()).unwrap();
        let mut conversions = format.conversions();
        let first = conversions.next().unwrap().clone();
        assert_eq!(conversions.next(), None, "{text}");
        first
    }

    #[test]
    fn conversions_are_taken_apart() {
        let plain = only("%d");
        assert_eq!(
            (plain.kind, plain.width, plain.precision),
            (ConversionKind::Signed, Width::None, None)
        );
        let full = only("%-08.3llx");
        assert!(full.left && full.zero && !full.alternate);
        assert_eq!((full.width, full.precision), (Width::Fixed(8), Some(Width::Fixed(3))));
        assert_eq!((full.length, full.kind), (Length::LongLong, ConversionKind::Hex));
        assert_eq!(only("%hhu").length, Length::Char);
        assert_eq!(only("%*.*s").precision, Some(Width::Argument));
        assert_eq!(only("%rh").kind, ConversionKind::BufferSpaced);
        assert_eq!(only("%rx").kind, ConversionKind::BufferHex);
        assert_eq!(only("%r\n").kind, ConversionKind::Buffer);
        assert!(only("%#x").alternate);
    }

    #[test]
    fn text_is_between() {
        let format = Format::parse(b"a%%b%sc").unwrap();
        let [Piece::Text(before), Piece::Conversion(_), Piece::Text(after)] =
            format.pieces.as_slice()
        else {
            panic!("{format:?}")
        };
        assert_eq!((before.as_slice(), after.as_slice()), (&b"a%b"[..], &b"c"[..]));
    }

    #[test]
    fn conversions_that_are_not_supported_are_errors() {
        for (text, place) in [
            ("x%f", (1, 2)),
            ("%n", (0, 2)),
            ("%1$d", (0, 3)),
            ("%99999d", (0, 6)),
            ("%gr", (0, 3)),
        ] {
            let (at, length, _) = Format::parse(text.as_bytes()).unwrap_err();
            assert_eq!((at, length), place, "{text}");
        }
    }

    #[test]
    fn a_percent_sign_without_a_conversion_is_text() {
        // What bpftrace 0.17 and 0.27 print.
        for (text, stray) in [
            ("100%", &[(3, 1)][..]),
            ("100%\n", &[(3, 2)]),
            ("%y", &[(0, 2)]),
            ("ab%5.2", &[(2, 4)]),
            ("%|%-5|", &[(0, 2), (2, 4)]),
        ] {
            let format = Format::parse(text.as_bytes()).unwrap();
            assert_eq!(format.stray, stray, "{text}");
            assert_eq!(format.pieces, [Piece::Text(text.as_bytes().to_vec())], "{text}");
        }
        let format = Format::parse(b"%d%\n").unwrap();
        assert_eq!((format.conversions().count(), format.stray), (1, vec![(2, 2)]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_format_or_not(text in "[%a-z0-9*.# -]{0,30}") {
            let _ = Format::parse(text.as_bytes());
        }
    }
}
