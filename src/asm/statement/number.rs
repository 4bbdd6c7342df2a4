//! Registers and numbers, the operands of all instructions.

use super::cursor::is_word;
use super::field::Field;
use super::literal::{ESCAPE, unescape};
use super::{Cursor, Parsed, Span, Value, What, ok, sub};
use crate::asm::helpers::compare;
use crate::insn::{Bits, Reg, Source};
use crate::spec::RelocField;

const REGISTERS: &str = "a register: r0 to r10 (64 bits), w0 to w10 (32 bits)";
/// A register as it is spelled: `r1` or `w1`.
#[derive(Clone, Copy)]
pub(super) struct Register {
    pub(super) reg: Reg,
    pub(super) bits: Bits,
    pub(super) span: Span,
}

/// An operand: a register or a number.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    Register(Register),
    Number(i128, Span),
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) const fn register(&mut self) -> Parsed<Register> {
        if let Some(register) = self.plain_register() {
            return Ok(register);
        }
        let word = ok!(self.word("a register"));
        self.register_of(word)
    }

    pub(super) const fn register64(&mut self) -> Parsed<Register> {
        let register = ok!(self.register());
        match register.bits {
            Bits::B64 => Ok(register),
            Bits::B32 => {
                self.problem(register.span, What::Not("a 64-bit register, which is needed here"))
            }
        }
    }

    /// Parses a register of exactly that width.
    pub(super) const fn register_as(&mut self, bits: Bits) -> Parsed<Register> {
        let register = ok!(self.register());
        match (bits, register.bits) {
            (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => Ok(register),
            (Bits::B32, Bits::B64) if self.is_listing() => Ok(register),
            (Bits::B32, _) => self.problem(
                register.span,
                What::Not("a 32-bit register (w0 to w10), which this 32-bit instruction needs"),
            ),
            (Bits::B64, _) => self.problem(
                register.span,
                What::Not("a 64-bit register (r0 to r10), which this 64-bit instruction needs"),
            ),
        }
    }

    /// Parses a register. Returns `None`, and consumes nothing, if there is none here: then
    /// [`register_of`](Self::register_of) gives the error.
    #[inline]
    pub(super) const fn plain_register(&mut self) -> Option<Register> {
        let bits = match self.peek() {
            b'r' => Bits::B64,
            b'w' => Bits::B32,
            _ => return None,
        };
        let (number, length) = match (self.byte(1), self.byte(2)) {
            (b'1', b'0') => (10, 3),
            (digit @ b'0'..=b'9', _) => (digit - b'0', 2),
            _ => return None,
        };
        // `r3s>5` is `r3 s> 5`.
        let signed =
            self.byte(length) == b's' && matches!(self.byte(length + 1), b'<' | b'>' | b'/' | b'%');
        if is_word(self.byte(length)) && !signed {
            return None;
        }
        let Some(reg) = Reg::new(number) else { return None };
        let span = Span { start: self.at, end: self.at + length };
        self.at += length;
        self.skip();
        Some(Register { reg, bits, span })
    }

    pub(super) const fn register_of(&mut self, span: Span) -> Parsed<Register> {
        let name = sub(self.text, span.start, span.end);
        let bits = match name {
            [b'r', ..] => Bits::B64,
            [b'w', ..] => Bits::B32,
            _ => return self.problem(span, What::NoRegister(REGISTERS)),
        };
        let number = match name {
            [_, digit @ b'0'..=b'9'] => *digit - b'0',
            [_, b'1', b'0'] => 10,
            _ => return self.problem(span, What::NoRegister(REGISTERS)),
        };
        match Reg::new(number) {
            Some(reg) => Ok(Register { reg, bits, span }),
            None => self.problem(span, What::NoRegister(REGISTERS)),
        }
    }

    /// Parses a number: decimal, `0x`, `0b`, a character, `{expression}`, a constant's name, or arithmetic on
    /// those.
    pub(in crate::asm) const fn number(&mut self, wanted: &'static str) -> Parsed<(i128, Span)> {
        let start = self.at;
        let value = match self.plain_number() {
            Some(value) => value as i128,
            None => ok!(self.arithmetic(0, wanted)),
        };
        // The white space that was skipped to find an operator is not part of it.
        let mut end = self.at;
        while end > start && self.text[end - 1].is_ascii_whitespace() {
            end -= 1;
        }
        Ok((value, Span { start, end }))
    }

    /// Parses a number that is decimal, short and alone, as nearly all are. Returns `None`, and consumes
    /// nothing, for anything else, and for errors: then [`arithmetic`](Self::arithmetic) parses it, in 128
    /// bits.
    #[inline]
    pub(super) const fn plain_number(&mut self) -> Option<i64> {
        let (text, start) = (self.text, self.at);
        let sign = self.peek();
        let mut at = start;
        if matches!(sign, b'-' | b'+') {
            at += 1;
            if at < text.len() && text[at] == b' ' {
                at += 1;
            }
        }
        let (first, mut value) = (at, 0);
        while at < text.len() && text[at].is_ascii_digit() {
            value = value * 10 + (text[at] - b'0') as i64;
            at += 1;
            if at - first > 17 {
                return None;
            }
        }
        // A number that begins with a zero has another value in other languages.
        if at == first
            || (at < text.len() && is_word(text[at]))
            || (text[first] == b'0' && at - first > 1)
        {
            return None;
        }
        self.at = at;
        self.skip();
        if matches!(
            self.peek(),
            b'|' | b'^' | b'&' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%'
        ) {
            self.at = start;
            return None;
        }
        Some(if sign == b'-' { -value } else { value })
    }

    /// Parses arithmetic of operators that bind at least as tightly as `least`, from left to right.
    const fn arithmetic(&mut self, least: u8, wanted: &'static str) -> Parsed<i128> {
        let start = self.at;
        let mut left = ok!(self.signed(wanted));
        loop {
            let (operator, binds) = match (self.peek(), self.byte(1)) {
                (b'|', _) => (b'|', 1),
                (b'^', _) => (b'^', 2),
                (b'&', _) => (b'&', 3),
                (b'<', b'<') => (b'<', 4),
                (b'>', b'>') => (b'>', 4),
                (b'+', _) => (b'+', 5),
                (b'-', _) => (b'-', 5),
                (b'*', _) => (b'*', 6),
                (b'/', _) => (b'/', 6),
                (b'%', _) => (b'%', 6),
                _ => return Ok(left),
            };
            if binds < least {
                return Ok(left);
            }
            self.at += if binds == 4 { 2 } else { 1 };
            self.skip();
            let right = ok!(self.arithmetic(binds + 1, "a number"));
            // The result is no longer the offset of a field.
            self.width = None;
            let shift = if right < 0 || right > 127 { 128 } else { right as u32 };
            let result = match operator {
                b'|' => Some(left | right),
                b'^' => Some(left ^ right),
                b'&' => Some(left & right),
                // A multiplication, so that lost bits are detected.
                b'<' if shift < 127 => left.checked_mul(1 << shift),
                b'<' => None,
                b'>' => left.checked_shr(shift),
                b'+' => left.checked_add(right),
                b'-' => left.checked_sub(right),
                b'*' => left.checked_mul(right),
                b'/' => left.checked_div(right),
                _ => left.checked_rem(right),
            };
            left = match result {
                Some(value) => value,
                None => return self.problem(Span { start, end: self.at }, What::Undefined),
            };
        }
    }

    /// Parses a number with any signs before it.
    const fn signed(&mut self, wanted: &'static str) -> Parsed<i128> {
        // Each level of signs and parentheses is a recursive call, and the call stack is limited.
        const DEEPEST: u8 = 100;
        if self.depth == DEEPEST {
            return self.expected("a number that is nested less deep");
        }
        self.depth += 1;
        let value = self.signed_number(wanted);
        self.depth -= 1;
        value
    }

    const fn signed_number(&mut self, wanted: &'static str) -> Parsed<i128> {
        let start = self.at;
        let sign = self.peek();
        if sign == b'-' || sign == b'+' || sign == b'~' {
            self.at += 1;
            self.skip();
            let value = ok!(self.signed("a number"));
            if sign != b'+' {
                self.width = None;
            }
            let value = match sign {
                b'-' => value.checked_neg(),
                b'~' => Some(!value),
                _ => Some(value),
            };
            return match value {
                Some(value) => Ok(value),
                None => self.problem(Span { start, end: self.at }, What::Undefined),
            };
        }
        let value = match sign {
            b'{' => ok!(self.expression()),
            b'0'..=b'9' => ok!(self.digits()),
            b'\'' => ok!(self.character()),
            b'(' => {
                self.at += 1;
                self.skip();
                let value = ok!(self.arithmetic(0, "a number"));
                ok!(self.need(")", "`)`"));
                value
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' if !self.constants.is_empty() => {
                let name = ok!(self.word_alone(wanted));
                match self.constant(name) {
                    Some(value) => value,
                    None => {
                        return self
                            .problem(name, What::Not("a number, nor the name of a constant"));
                    }
                }
            }
            _ => return self.expected(wanted),
        };
        self.skip();
        Ok(value)
    }

    /// Returns the value of a named constant.
    pub(super) const fn constant(&self, name: Span) -> Option<i128> {
        let name = sub(self.text, name.start, name.end);
        let (mut low, mut high) = (0, self.constants.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let (known, value) = self.constants[middle];
            match compare(name, known.as_bytes()) {
                0 => return Some(value),
                less if less < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        None
    }

    pub(super) const fn digits(&mut self) -> Parsed<i128> {
        let start = self.at;
        let radix: u64 = match (self.peek(), self.byte(1)) {
            (b'0', b'x' | b'X') => 16,
            (b'0', b'b' | b'B') => 2,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
        }
        let first = self.at;
        // Nearly every number fits 64 bits, whose arithmetic is much faster than that of 128.
        let (mut small, mut value): (u64, i128) = (0, 0);
        let mut long = false;
        let mut any = false;
        let octal = radix == 10 && self.peek() == b'0' && self.byte(1).is_ascii_digit();
        while self.at < self.text.len() && is_word(self.text[self.at]) {
            let byte = self.text[self.at];
            self.at += 1;
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                b'_' if self.at > first + 1 => continue,
                // `5ll` is `5 ll`.
                b'l' if any && self.peek() == b'l' && !is_word(self.byte(1)) => {
                    self.at -= 1;
                    break;
                }
                _ => 255,
            };
            if digit as u64 >= radix {
                return self.not_a_number(start);
            }
            any = true;
            if !long && small <= (u64::MAX >> 5) {
                small = small * radix + digit as u64;
                continue;
            }
            if !long {
                value = small as i128;
                long = true;
            }
            if value > i128::MAX >> 5 {
                return self.problem(Span { start, end: self.at }, What::Huge);
            }
            value = value * radix as i128 + digit as i128;
        }
        if !any {
            return self.not_a_number(start);
        }
        if octal {
            return self.problem(Span { start, end: self.at }, What::Octal);
        }
        Ok(if long { value } else { small as i128 })
    }

    pub(super) const fn not_a_number(&mut self, start: usize) -> Parsed<i128> {
        let mut end = self.at;
        while end < self.text.len() && is_word(self.text[end]) {
            end += 1;
        }
        self.problem(Span { start, end }, What::Not("a number"))
    }

    /// `'a'`, `'\n'`: one byte.
    pub(super) const fn character(&mut self) -> Parsed<i128> {
        let start = self.at;
        self.at += 1;
        let value = if self.peek() == b'\\' {
            match unescape(self.text, self.at) {
                Some((value, used)) => {
                    self.at += used;
                    value
                }
                None => return self.problem(Span { start, end: self.at + 1 }, What::Not(ESCAPE)),
            }
        } else if self.peek().is_ascii() && self.peek() >= b' ' && self.peek() != b'\'' {
            self.at += 1;
            self.text[self.at - 1]
        } else {
            return self
                .problem(Span { start, end: start + 1 }, What::Expected("one ASCII character"));
        };
        if self.peek() != b'\'' {
            return self.expected("`'`");
        }
        self.at += 1;
        Ok(value as i128)
    }

    /// Returns the value of `{expression}`, which the compiler has evaluated.
    pub(super) const fn expression(&mut self) -> Parsed<i128> {
        let start = self.at;
        self.at = match closing_brace(self.text, self.at) {
            Some(end) => end,
            None => return self.expected("a constant expression in braces"),
        };
        match self.next_value() {
            Value::Int(value) => match Field::from_value(value) {
                Some(Field { offset, width }) => {
                    self.width = Some(width);
                    Ok(offset as i128)
                }
                None => Ok(value),
            },
            _ => self.problem(
                Span { start, end: self.at },
                What::Not("allowed here: an expression in braces is for `bpf!`, as one operand"),
            ),
        }
    }

    pub(super) const fn operand(&mut self) -> Parsed<Operand> {
        let start = self.at;
        // A constant can have the name of a register.
        if self.constants.is_empty()
            && let Some(register) = self.plain_register()
        {
            return Ok(Operand::Register(register));
        }
        if let Some(span) = ok!(self.symbol(RelocField::Immediate)) {
            return Ok(Operand::Number(0, span));
        }
        if self.peek() == b'_' || self.peek().is_ascii_alphabetic() {
            let word = ok!(self.word("a register"));
            if self.constant(word).is_none() {
                return Ok(Operand::Register(ok!(self.register_of(word))));
            }
            self.at = start;
        }
        let (value, span) = ok!(self.number("a register or a number"));
        Ok(Operand::Number(value, span))
    }

    /// Parses the second operand of an instruction of that width. 64-bit instructions sign-extend their 32
    /// bits, so `0xffffffff` does not fit; in 32-bit ones the same bits have either meaning.
    pub(super) const fn source(&mut self, bits: Bits) -> Parsed<Source> {
        let start = self.at;
        if !(self.peek() == b'_' || self.peek().is_ascii_alphabetic()) {
            if let Some(value) = self.plain_number() {
                let (low, high) = self.immediates(bits);
                if low <= value && value <= high {
                    return Ok(Source::Imm(value as i32));
                }
                self.at = start;
            }
            let (value, span) = ok!(self.number("a register or a number"));
            return Ok(Source::Imm(ok!(self.immediate(bits, value, span))));
        }
        match ok!(self.operand()) {
            Operand::Register(register) => match (bits, register.bits) {
                (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => Ok(Source::Reg(register.reg)),
                (Bits::B64, _) => self
                    .problem(register.span, What::Not("a 64-bit register like the other operand")),
                (Bits::B32, _) => self
                    .problem(register.span, What::Not("a 32-bit register like the other operand")),
            },
            Operand::Number(value, span) => Ok(Source::Imm(ok!(self.immediate(bits, value, span)))),
        }
    }

    pub(super) const fn immediate(&mut self, bits: Bits, value: i128, span: Span) -> Parsed<i32> {
        let (low, high) = self.immediates(bits);
        if matches!(bits, Bits::B64) && is_wide(value, low, high) {
            return self.problem(span, What::Wide { value, moved: false });
        }
        Ok(ok!(self.fit("the immediate", value, span, low, high)) as i32)
    }

    /// Parses the immediate of a move; the error for one of 64 bits names the instruction that moves those.
    pub(super) const fn moved(&mut self, bits: Bits, value: i128, span: Span) -> Parsed<i32> {
        let (low, high) = self.immediates(bits);
        if matches!(bits, Bits::B64) && is_wide(value, low, high) {
            return self.problem(span, What::Wide { value, moved: true });
        }
        self.immediate(bits, value, span)
    }

    /// Returns the least and the greatest immediate of instructions of that width.
    const fn immediates(&self, bits: Bits) -> (i64, i64) {
        let high = match bits {
            Bits::B64 if !self.is_listing() => i32::MAX as i64,
            _ => u32::MAX as i64,
        };
        (i32::MIN as i64, high)
    }

    #[inline]
    pub(super) const fn fit(
        &mut self,
        field: &'static str,
        value: i128,
        span: Span,
        low: i64,
        high: i64,
    ) -> Parsed<i64> {
        if value < low as i128 || value > high as i128 {
            return self.problem(span, What::Range { field, value, low, high });
        }
        Ok(value as i64)
    }

    pub(super) const fn offset16(&mut self, value: i128, span: Span) -> Parsed<i16> {
        Ok(ok!(self.fit("the offset", value, span, i16::MIN as i64, i16::MAX as i64)) as i16)
    }
}

/// Returns whether a number of 64 bits is outside these bounds.
const fn is_wide(value: i128, low: i64, high: i64) -> bool {
    let fits = low as i128 <= value && value <= high as i128;
    !fits && i64::MIN as i128 <= value && value <= u64::MAX as i128
}

/// Returns the position after the brace that closes the one at `at`, or `None`. Braces inside strings and
/// characters of the Rust expression do not count.
const fn closing_brace(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0;
    while at < text.len() {
        match text[at] {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
            }
            // A character that is a brace or a quote; a lifetime has no closing quote there.
            b'\'' if at + 2 < text.len() && text[at + 1] != b'\\' && text[at + 2] == b'\'' => {
                at += 2
            }
            b'\'' if at + 3 < text.len() && text[at + 1] == b'\\' && text[at + 3] == b'\'' => {
                at += 3
            }
            _ => {}
        }
        at += 1;
    }
    None
}
