//! Words of the command line, whatever their bytes: names of files need not be UTF-8.

use crate::util::escape;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsString;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

/// Takes any word as text; [`escape::bytes`] and [`escape::path`] make what it was of it.
pub(super) fn any() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|word: OsString| text(&word))
}

/// Takes any word that can be read as a value of this type.
pub(super) fn parsed<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    by(|word| word.parse::<T>().map_err(|error| error.to_string()))
}

/// Takes any word that a function can read.
pub(super) fn by<T: Clone + Send + Sync + 'static>(
    read: fn(&str) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    // Clap takes escape sequences out of what it prints, and whatever is between them.
    let read =
        move |word: OsString| read(&text(&word)).map_err(|why| escape::lines(&why).into_owned());
    OsStringValueParser::new().try_map(read)
}

/// Returns a word as text from which its bytes can be recovered.
pub(super) fn text(word: &OsString) -> String {
    escape::text(word.as_bytes()).into_owned()
}
