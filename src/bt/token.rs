//! The words of the language.

use super::source::Span;
use std::fmt;
use std::sync::Arc;

/// A word of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// The end of the script.
    End,
    /// A name or a keyword.
    Ident(Arc<str>),
    /// A number.
    Int(u64),
    /// A string with its escapes replaced.
    Str(Arc<[u8]>),
    /// `$x`, with the `$`.
    Variable(Arc<str>),
    /// `@x`, with the `@`.
    Map(Arc<str>),
    /// `$1`
    Positional(u32),
    /// `$#`
    PositionalCount,
    /// An operator or a bracket.
    Punct(&'static str),
    /// An invalid token, for which an error has been reported.
    Invalid,
}

/// A word and its place. Of what comes from a macro, the place is that of the macro's use.
pub(crate) type Placed = (Token, Span);

/// Operators and brackets, the longer ones first.
pub(crate) const PUNCTUATION: [&str; 43] = [
    "<<=", ">>=", "...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "+=", "-=",
    "*=", "/=", "%=", "&=", "|=", "^=", "->", "..", "{", "}", "(", ")", "[", "]", ";", ",", ":",
    "?", "=", "+", "-", "*", "/", "%", "&", "|", "^", "<",
];

/// Operators of one character that are matched after [`PUNCTUATION`].
pub(crate) const SINGLE: [&str; 4] = [">", "!", "~", "."];

/// Writes the token as error messages show it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::End => f.write_str("the end of the script"),
            Token::Ident(name) | Token::Variable(name) | Token::Map(name) => write!(f, "`{name}`"),
            Token::Int(value) => write!(f, "`{value}`"),
            Token::Str(_) => f.write_str("a string"),
            Token::Positional(number) => write!(f, "`${number}`"),
            Token::PositionalCount => f.write_str("`$#`"),
            Token::Punct(text) => write!(f, "`{text}`"),
            Token::Invalid => f.write_str("something that is no word of the language"),
        }
    }
}
