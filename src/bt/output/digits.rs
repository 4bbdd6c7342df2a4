//! Integers as digits, without the machinery of `std::fmt`: `printf` is on the reader's hot path.

/// Digits of a 64-bit number in any base from 8 on; the longest is octal.
pub(super) struct Digits {
    bytes: [u8; 22],
    start: usize,
}

impl Digits {
    fn new(mut value: u64, mut digit: impl FnMut(&mut u64) -> u8) -> Digits {
        let mut digits = Digits { bytes: [b'0'; 22], start: 22 };
        for (place, byte) in digits.bytes.iter_mut().enumerate().rev() {
            *byte = digit(&mut value);
            digits.start = place;
            if value == 0 {
                break;
            }
        }
        digits
    }

    pub(super) fn decimal(value: u64) -> Digits {
        Digits::new(value, |value| {
            let digit = b'0' + (*value % 10) as u8;
            *value /= 10;
            digit
        })
    }

    pub(super) fn octal(value: u64) -> Digits {
        Digits::new(value, |value| {
            let digit = b'0' + (*value & 7) as u8;
            *value >>= 3;
            digit
        })
    }

    pub(super) fn hex(value: u64, upper: bool) -> Digits {
        Digits::new(value, |value| {
            let digit = hex_digit(*value as u8, upper);
            *value >>= 4;
            digit
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The hexadecimal digit of the low four bits.
pub(super) const fn hex_digit(bits: u8, upper: bool) -> u8 {
    match bits & 15 {
        bits @ 0..=9 => b'0' + bits,
        bits if upper => b'A' + bits - 10,
        bits => b'a' + bits - 10,
    }
}

/// Appends the two hexadecimal digits of a byte.
pub(super) fn push_hex_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend([hex_digit(byte >> 4, false), hex_digit(byte, false)]);
}

pub(super) fn push_unsigned(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(Digits::decimal(value).as_bytes());
}

pub(super) fn push_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_unsigned(out, value.unsigned_abs());
}

/// Appends a number as C's `%#x` does: 0 has no prefix.
pub(super) fn push_address(out: &mut Vec<u8>, value: u64) {
    if value != 0 {
        out.extend_from_slice(b"0x");
    }
    out.extend_from_slice(Digits::hex(value, false).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_those_of_std(value: u64, shift in 0..64u32) {
            let value = value >> shift;
            let text = |digits: Digits| String::from_utf8(digits.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(text(Digits::decimal(value)), value.to_string());
            prop_assert_eq!(text(Digits::octal(value)), format!("{value:o}"));
            prop_assert_eq!(text(Digits::hex(value, false)), format!("{value:x}"));
            prop_assert_eq!(text(Digits::hex(value, true)), format!("{value:X}"));
            let signed = value.cast_signed();
            let mut out = vec![];
            push_signed(&mut out, signed);
            prop_assert_eq!(out, signed.to_string().into_bytes());
        }
    }

    #[test]
    fn the_longest_numbers_fit() {
        assert_eq!(Digits::octal(u64::MAX).as_bytes(), b"1777777777777777777777");
        let mut out = vec![];
        push_signed(&mut out, i64::MIN);
        assert_eq!(out, b"-9223372036854775808");
    }
}
