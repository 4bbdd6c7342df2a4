//! Numbers and strings as they are written.

use crate::util::escape;

/// Reads a number: decimal, octal with a leading 0, hexadecimal, `2e3`; with `_` between digits, and with a suffix: of C
/// (`UL`), without meaning, or of a duration, which makes it nanoseconds.
pub(crate) fn integer(text: &str) -> Result<u64, String> {
    let wrong = || format!("not a number: `{text}`");
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (lower.as_str(), 10),
    };
    let end =
        digits.find(|char: char| !(char.is_digit(radix) || char == '_')).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    let digits = digits.replace('_', "");
    let octal = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    let radix = if octal { 8 } else { radix };
    if digits.is_empty() || !digits.chars().all(|char| char.is_digit(radix)) {
        return Err(wrong());
    }
    let too_large = || format!("number too large: {text}, expected at most {}", u64::MAX);
    let value = u64::from_str_radix(&digits, radix).map_err(|_| too_large())?;
    let (suffix, power) = match suffix.strip_prefix('e') {
        Some(rest) if radix == 10 => {
            let end = rest.find(|char: char| !(char.is_ascii_digit() || char == '_'));
            let (power, suffix) = rest.split_at(end.unwrap_or(rest.len()));
            let power = power.replace('_', "").parse::<u32>().map_err(|_| wrong())?;
            (suffix, 10_u64.checked_pow(power).ok_or_else(too_large)?)
        }
        _ => (suffix, 1),
    };
    let factor = match suffix {
        "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu" => 1,
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(wrong()),
    };
    value.checked_mul(power).and_then(|value| value.checked_mul(factor)).ok_or_else(too_large)
}

/// Replaces the escapes in the text between the quotes of a string or character, and the code points that stand for bytes which are
/// not UTF-8. The error is the place in the text and the length of an escape that is not known.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, (usize, usize)> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        if *byte != b'\\' {
            // A code point that stands for a byte which is not UTF-8 begins with this one.
            let private = (*byte == 0xee).then(|| text.get(at..)?.chars().next()).flatten();
            match private.filter(|c| escape::is_private(*c)) {
                Some(c) => {
                    out.extend_from_slice(&escape::bytes(c.encode_utf8(&mut [0; 4])));
                    at += c.len_utf8();
                }
                None => {
                    out.push(*byte);
                    at += 1;
                }
            }
            continue;
        }
        let code = bytes.get(at + 1).copied().unwrap_or_default();
        let known = match code {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'e' => 27,
            b'\\' | b'"' | b'\'' | b'?' => code,
            b'0'..=b'7' => {
                let digits = digits(bytes, at + 1, 3, 8);
                let value = u32::from_str_radix(digits, 8).map_err(|_| (at, 2))?;
                out.push(u8::try_from(value).map_err(|_| (at, 1 + digits.len()))?);
                at += 1 + digits.len();
                continue;
            }
            b'x' => {
                let digits = digits(bytes, at + 2, 2, 16);
                out.push(u8::from_str_radix(digits, 16).map_err(|_| (at, 2))?);
                at += 2 + digits.len();
                continue;
            }
            _ => {
                return Err((
                    at,
                    1 + text
                        .get(at + 1..)
                        .and_then(|rest| rest.chars().next())
                        .map_or(0, char::len_utf8),
                ));
            }
        };
        out.push(known);
        at += 2;
    }
    Ok(out)
}

/// Returns at most `most` digits from `at` on.
fn digits(bytes: &[u8], at: usize, most: usize, radix: u32) -> &str {
    let rest = bytes.get(at..).unwrap_or_default();
    let count =
        rest.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    rest.get(..count).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        for (text, value) in [
            ("0", 0),
            ("0123", 0o123),
            ("0x1F", 31),
            ("0X1f", 31),
            ("1e6", 1_000_000),
            ("2e3", 2000),
            ("1_000_123_000", 1_000_123_000),
            ("0x1_000", 0x1000),
            ("123UL", 123),
            ("123ull", 123),
            ("10m", 600_000_000_000),
            ("1m", 60_000_000_000),
            ("5ns", 5),
            // As bpftrace 0.27.
            ("2e3ms", 2_000_000_000),
            ("5us", 5_000),
            ("2d", 172_800_000_000_000),
            ("18446744073709551615", u64::MAX),
            ("0x1d", 29),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        for text in [
            "08",
            "0x",
            "1e",
            "1e-3",
            "1x",
            "12abc",
            "18446744073709551616",
            "1e20",
            "300000d",
            "0xg",
        ] {
            assert!(integer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes_are_replaced() {
        assert_eq!(unescape(r#"a\n\t\\\"\x41\101\0z"#), Ok(b"a\n\t\\\"AA\0z".to_vec()));
        assert_eq!(unescape(r"\033[31m"), Ok(b"\x1b[31m".to_vec()));
        assert_eq!(unescape(r"ab\q"), Err((2, 2)));
        assert_eq!(unescape(r"\é"), Err((0, 3)));
        assert_eq!(unescape(r"\x"), Err((0, 2)));
        assert_eq!(unescape(r"\777"), Err((0, 4)));
        assert_eq!(unescape("\\"), Err((0, 1)));
    }
}
