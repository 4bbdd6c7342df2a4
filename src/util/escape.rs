//! Text from outside (names of files, symbols and processes, source text, contents of maps) made fit to be shown, and bytes
//! that are not UTF-8 carried in strings without loss.
//!
//! Everything that prints such text uses these functions, so that there is one answer to what can reach a terminal: no
//! control character, none of the marks that turn the direction of text, and none that is not seen.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The first of the 256 private code points that stand for bytes which are not UTF-8. Only those from 128 on are used.
pub(crate) const PRIVATE: u32 = 0xef00;

/// Returns whether a character stands for a byte that is not UTF-8.
pub(crate) fn is_private(c: char) -> bool {
    ('\u{ef80}'..='\u{efff}').contains(&c)
}

/// Returns bytes as a string from which [`bytes`] recovers them.
///
/// UTF-8 stays as it is. A byte that is not part of UTF-8 becomes the private code point U+EF00 plus the byte (U+EF80 to
/// U+EFFF); such code points in the input are treated as three bytes that are not UTF-8. Thus different bytes never become
/// the same string.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains(is_private)
    {
        return text.into();
    }
    let private = |byte: &u8| char::from_u32(PRIVATE + u32::from(*byte));
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match is_private(c) {
                true => {
                    out.extend(c.encode_utf8(&mut [0; 4]).as_bytes().iter().filter_map(private))
                }
                false => out.push(c),
            }
        }
        out.extend(chunk.invalid().iter().filter_map(private));
    }
    out.into()
}

/// Returns the bytes of a string that [`text`] has made.
pub(crate) fn bytes(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(is_private) {
        return text.as_bytes().into();
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match is_private(c) {
            // In this range the low byte is the byte.
            true => out.push(u32::from(c) as u8),
            false => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.into()
}

/// Returns a path as a string from which [`path`] recovers it.
pub(crate) fn path_text(path: &Path) -> Cow<'_, str> {
    text(path.as_os_str().as_bytes())
}

/// Returns the path of a string that [`path_text`] has made.
pub(crate) fn path(text: &str) -> PathBuf {
    OsStr::from_bytes(&bytes(text)).into()
}

/// Returns whether a character could change what a terminal does, or show text other than it is.
pub(crate) fn is_unsafe(c: char) -> bool {
    // The marks and overrides of the direction of text: Unicode Standard Annex 9, chapter 2.
    let directs = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Ends of lines of other kinds, and what has no width and joins nothing: byte order marks, soft hyphens. A name that has one
    // looks like another name.
    let hidden = matches!(
        c,
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    );
    c.is_control() || directs || hidden
}

/// Writes a character as it is shown within a line: one that is unsafe as `\u001b`, as JSON has it, one that stands for a byte
/// as `\xff`.
pub(crate) fn write_char(c: char, out: &mut impl fmt::Write) -> fmt::Result {
    match c {
        c if is_private(c) => write!(out, "\\x{:02x}", u32::from(c) & 0xff),
        // Of those that are unsafe none has more than 16 bits.
        c if is_unsafe(c) => write!(out, "\\u{:04x}", u32::from(c)),
        c => out.write_char(c),
    }
}

/// A name or another piece of a line, shown so that it can neither drive a terminal nor end the line.
pub(crate) struct Shown<'a>(Cow<'a, str>);

/// Shows a name.
pub(crate) fn shown(name: &str) -> Shown<'_> {
    Shown(name.into())
}

/// Shows a path.
pub(crate) fn shown_path(path: &Path) -> Shown<'_> {
    Shown(path_text(path))
}

/// Shows bytes that are a name.
pub(crate) fn shown_bytes(bytes: &[u8]) -> Shown<'_> {
    Shown(text(bytes))
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !is_unsafe(c) && !is_private(c);
        if self.0.chars().all(plain) {
            return f.pad(&self.0);
        }
        let mut out = String::new();
        self.0.chars().try_for_each(|c| write_char(c, &mut out))?;
        f.pad(&out)
    }
}

/// Returns whole lines of output, made safe for a terminal: escapes what is left in them after names were [`shown`].
/// Line feeds and tabs stay. Applied to JSON it yields JSON: what it writes is an escape in the strings that it can be in.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unsafe(c) && !matches!(c, '\n' | '\t'))
}

/// Returns lines as [`lines`] does, with bytes that are not UTF-8 shown as such: for text, which is not JSON.
pub(crate) fn messages(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unsafe(c) && !matches!(c, '\n' | '\t') || is_private(c))
}

fn escaped(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&bad) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            // Writing to a string does not fail.
            let _ = write_char(c, &mut out);
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// Returns bytes as a string of JSON, with its quotes.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for c in text(bytes).chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_private(c) => out.push(c),
            // Writing to a string does not fail.
            c => drop(write_char(c, &mut out)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_that_are_not_utf8_are_private_code_points() {
        assert_eq!(text(b"a\xffb"), "a\u{efff}b");
        assert_eq!(text("é\u{ef80}".as_bytes()), "é\u{efee}\u{efbe}\u{ef80}");
        assert!(matches!(text("é\x1b".as_bytes()), Cow::Borrowed("é\x1b")));
    }

    #[test]
    fn a_name_is_one_line_and_drives_nothing() {
        let name = text(b"m\x1b[31mX\n\t\xc2\x9b\xff\\ \xe2\x80\xae\xc3\xa9").into_owned();
        assert_eq!(shown(&name).to_string(), "m\\u001b[31mX\\u000a\\u0009\\u009b\\xff\\ \\u202eé");
        assert_eq!(format!("[{:>3}]", shown("a")), "[  a]");
        let hidden = "a\u{feff}\u{200b}\u{ad}\u{2028}\u{2060}b";
        assert_eq!(shown(hidden).to_string(), "a\\ufeff\\u200b\\u00ad\\u2028\\u2060b");
        // What joins letters is seen.
        assert_eq!(shown("न\u{200d}").to_string(), "न\u{200d}");
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(lines("a\tb\n\x1b]0;x\x07\r\n"), "a\tb\n\\u001b]0;x\\u0007\\u000d\n");
        assert!(matches!(lines("plain é\n"), Cow::Borrowed(_)));
        assert_eq!((&*lines("\u{efff}\n"), &*messages("\u{efff}\n")), ("\u{efff}\n", "\\xff\n"));
    }

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        let private = proptest::collection::vec(0xef70..0xf010u32, 0..8).prop_map(|units| {
            units.into_iter().filter_map(char::from_u32).collect::<String>().into_bytes()
        });
        (any::<String>(), private, proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(a, b, c)| [a.into_bytes(), b, c].concat())
    }

    proptest! {
        #[test]
        fn bytes_come_back(given in any_bytes()) {
            let text = text(&given);
            prop_assert_eq!(&*bytes(&text), &given[..]);
        }

        #[test]
        fn json_stays_json_and_says_the_same(given in any_bytes()) {
            let text = text(&given);
            let object = serde_json::json!({ "key": text, "other": [&*text, 1] });
            let line = format!("{object}\n");
            let escaped = lines(&line);
            prop_assert!(!escaped.chars().any(|c| is_unsafe(c) && c != '\n'));
            let back: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            prop_assert_eq!(back, object);
        }

        #[test]
        fn what_is_quoted_is_json(given in any_bytes()) {
            let quoted = quoted(&given);
            prop_assert!(!quoted.contains(is_unsafe));
            let back: String = serde_json::from_str(&quoted).unwrap();
            prop_assert_eq!(&*bytes(&back), &given[..]);
        }

        #[test]
        fn what_is_shown_is_safe(given in any_bytes()) {
            let shown = shown_bytes(&given).to_string();
            prop_assert!(!shown.chars().any(|c| is_unsafe(c) || is_private(c)));
        }
    }
}
