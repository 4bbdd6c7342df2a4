//! Format strings of `printf()` and the like, taken apart once.

/// A format string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Format {
    /// Text and conversions in order.
    pub pieces: Vec<Piece>,
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
