//! Escaping of untrusted bytes: control characters for terminals, and bytes that are not UTF-8 in JSON.

use super::digits::push_hex_byte;
use crate::util::escape::{PRIVATE, is_private, is_unsafe};

/// Treatment of control characters in strings that do not come from the script.
///
/// A process can give itself, its files and its arguments any name, and so write escape sequences to the terminal on
/// which it is traced. Scripts that read the output expect the very bytes, however, as bpftrace writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ControlCharacters {
    /// Writes all bytes as they are. For files and pipes.
    #[default]
    Keep,
    /// Writes control characters other than the line feed and the tab, marks of the direction of text, and bytes that are not UTF-8,
    /// as `\x1b`. For terminals.
    Escape,
}

/// Appends bytes that came from outside to text.
pub(super) fn push_text(out: &mut Vec<u8>, bytes: &[u8], controls: ControlCharacters) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if controls == ControlCharacters::Keep || bytes.iter().all(plain) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let encoded = c.encode_utf8(&mut buffer).as_bytes();
            if is_unsafe(c) && !matches!(c, '\n' | '\t') {
                encoded.iter().for_each(|byte| push_escaped(out, *byte));
            } else {
                out.extend_from_slice(encoded);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_escaped(out, *byte));
    }
}

/// Appends a byte as `\x1b`.
pub(super) fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(b"\\x");
    push_hex_byte(out, byte);
}

/// Appends bytes as a string of JSON, with its quotes.
///
/// UTF-8 stays as it is. A byte that is not part of UTF-8 becomes the private code point U+EF00 plus the byte (U+EF80 to
/// U+EFFF); such code points in the input are treated as three bytes that are not UTF-8. Thus different bytes never become
/// the same string, and the bytes can be recovered by turning the string into UTF-8, then these code points into bytes.
pub(super) fn push_json(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        push_json_text(out, chunk.valid());
        chunk.invalid().iter().for_each(|byte| push_code_unit(out, PRIVATE + u32::from(*byte)));
    }
    out.push(b'"');
}

fn push_json_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (place, c) in text.char_indices() {
        if matches!(c, ' ' | '!' | '#'..='[' | ']'..='~' | '\u{a0}'..='\u{5ff}' | '\u{2070}'..='\u{d7ff}' | '\u{f000}'..)
        {
            continue;
        }
        let private = is_private(c);
        if !(private || matches!(c, '"' | '\\') || is_unsafe(c)) {
            continue;
        }
        out.extend_from_slice(bytes.get(done..place).unwrap_or_default());
        done = place + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            _ if private => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    push_code_unit(out, PRIVATE + u32::from(byte));
                }
            }
            _ => push_code_unit(out, u32::from(c)),
        }
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
}

/// Appends a code point of at most 16 bits as `\u001b`.
fn push_code_unit(out: &mut Vec<u8>, unit: u32) {
    let [.., high, low] = unit.to_be_bytes();
    out.extend_from_slice(b"\\u");
    push_hex_byte(out, high);
    push_hex_byte(out, low);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8], controls: ControlCharacters) -> Vec<u8> {
        let mut out = vec![];
        push_text(&mut out, bytes, controls);
        out
    }

    fn json(bytes: &[u8]) -> String {
        let mut out = vec![];
        push_json(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    /// Undoes what `push_json` has done, by its documentation.
    fn recovered(json: &str) -> Vec<u8> {
        let text: String = serde_json::from_str(json).unwrap();
        let mut bytes = vec![];
        for c in text.chars() {
            match u32::from(c) {
                unit @ 0xef80..=0xefff => bytes.push((unit - 0xef00) as u8),
                _ => bytes.extend(c.to_string().bytes()),
            }
        }
        bytes
    }

    #[test]
    fn terminals_get_no_control_characters() {
        use ControlCharacters::{Escape, Keep};
        let title = b"\x1b]0;owned\x07 \xc2\x9b2J \x9b2J \x7f\r\xc3\xa9\n\t";
        assert_eq!(text(title, Keep), title);
        let escaped = "\\x1b]0;owned\\x07 \\xc2\\x9b2J \\x9b2J \\x7f\\x0dé\n\t";
        assert_eq!(text(title, Escape), escaped.as_bytes());
    }

    #[test]
    fn json_strings_keep_utf8_and_escape_the_rest() {
        assert_eq!(json(b"a\"\\/\n\r\t\x08\x0c"), r#""a\"\\/\n\r\t\b\f""#);
        assert_eq!(json("é€😀".as_bytes()), "\"é€😀\"");
        assert_eq!(json(b"\x1b[0m\x7f\xc2\x85\0"), r#""\u001b[0m\u007f\u0085\u0000""#);
        assert_eq!(json(b"\xff\xe2\x82"), r#""\uefff\uefe2\uef82""#);
        assert_eq!(json("\u{ef80}".as_bytes()), r#""\uefee\uefbe\uef80""#);
    }

    fn strings() -> impl Strategy<Value = Vec<u8>> {
        let chars = proptest::collection::vec(any::<char>(), 0..20)
            .prop_map(|chars| chars.into_iter().collect::<String>().into_bytes());
        let private = proptest::collection::vec(0xef70..0xf010u32, 0..8).prop_map(|units| {
            units.into_iter().filter_map(char::from_u32).collect::<String>().into_bytes()
        });
        let bytes = proptest::collection::vec(any::<u8>(), 0..40);
        (chars, private, bytes).prop_map(|(a, b, c)| [a, b, c].concat())
    }

    proptest! {
        #[test]
        fn json_strings_read_back(bytes in strings()) {
            prop_assert_eq!(recovered(&json(&bytes)), bytes);
        }

        #[test]
        fn what_goes_to_terminals_is_utf8_without_control_characters(bytes in strings()) {
            let text = String::from_utf8(text(&bytes, ControlCharacters::Escape)).unwrap();
            prop_assert!(!text.chars().any(|c| is_unsafe(c) && c != '\n' && c != '\t'));
        }
    }
}
