//! A fast path for the most common statements, in the spelling of printers and most people.
//!
//! The full parser beside it defines the language: anything in a different form, such as a second space, a number in
//! hexadecimal, a comment or an error, is left to it, and tests check that the two agree. This exists because the full
//! parser, which also runs in the compiler, where only `const` code does, takes four times as long.

use super::Span;
use super::cursor::is_word;
use crate::insn::{AluOp, Bits, Condition, Insn, Op, Reg, Size, Source, Swap, SwapBits};

/// A statement, and the label it refers to.
#[derive(Debug, Clone, Copy)]
pub(in crate::asm) enum Plain {
    /// `name:`
    Label(Span),
    /// An instruction.
    Slot(Insn),
    /// An instruction that refers to a label.
    To(Insn, Span),
}

/// The number of bytes examined: more than any of these statements has before the name of its label, so that the end of
/// the text is checked once and not at every byte.
const WINDOW: usize = 64;

/// Parses the statement that begins at `start`, and returns its end: at the `;` or the line break, or behind the colon
/// of a label. `None` only means that it is left to the full parser; so are the last statements of a text.
#[inline]
pub(in crate::asm) fn plain(text: &[u8], start: usize) -> Option<(Plain, usize)> {
    let window = text.get(start..)?.first_chunk::<WINDOW>()?;
    let mut scan = Scan { window, at: 0 };
    let read = match window[0] {
        b'r' | b'w' => scan.assignment().map(Plain::Slot),
        b'*' => scan.store().map(Plain::Slot),
        b'i' => return jump_if(scan, text, start).or_else(|| label(text, start)),
        b'g' => return goto(scan, text, start).or_else(|| label(text, start)),
        b'e' => scan.exit().map(Plain::Slot),
        _ => return label(text, start),
    };
    match read {
        Some(plain) if scan.ends() => Some((plain, start + scan.at)),
        _ => label(text, start),
    }
}

/// Skips the ends of statements and the indentation of lines, which is all that there is between most of them.
#[inline]
pub(in crate::asm) fn indentation(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += match rest.first() {
            Some(b'\n' | b';') => 1,
            Some(b' ') if rest.starts_with(b"    ") => 4,
            Some(b' ') => 1,
            _ => return at,
        };
    }
}

/// Returns whether a constant of this name cannot be taken for a register.
pub(in crate::asm) fn unmistakable(constant: &str) -> bool {
    !constant.starts_with(['r', 'w'])
}

/// `name:`
#[inline]
fn label(text: &[u8], start: usize) -> Option<(Plain, usize)> {
    let end = name(text, start)?;
    let colon = text.get(end) == Some(&b':') && text.get(end + 1) != Some(&b':');
    colon.then_some((Plain::Label(Span { start, end }), end + 1))
}

/// `if r1 > 5 goto name`
#[inline]
fn jump_if(mut scan: Scan<'_>, text: &[u8], start: usize) -> Option<(Plain, usize)> {
    scan.literal(b"if ")?;
    let (bits, dst) = scan.register()?;
    scan.literal(b" ")?;
    let condition = scan.condition()?;
    scan.literal(b" ")?;
    let src = scan.source(bits)?;
    scan.literal(b" ")?;
    scan.literal(b"goto ")?;
    let op = Op::JumpIf { bits, condition, dst, src, offset: 0 };
    to(slot(op), text, start + scan.at)
}

/// `goto name`
#[inline]
fn goto(mut scan: Scan<'_>, text: &[u8], start: usize) -> Option<(Plain, usize)> {
    scan.literal(b"goto ")?;
    to(slot(Op::Jump { offset: 0 }), text, start + scan.at)
}

#[inline]
fn to(slot: Insn, text: &[u8], start: usize) -> Option<(Plain, usize)> {
    let end = name(text, start)?;
    let ends = matches!(text.get(end), Some(b'\n' | b';'));
    ends.then_some((Plain::To(slot, Span { start, end }), end))
}

/// Returns the end of the name that begins here; `None` if there is none.
#[inline]
fn name(text: &[u8], start: usize) -> Option<usize> {
    let name = text.get(start..)?;
    if name.first()?.is_ascii_digit() {
        return None;
    }
    let length = name.iter().position(|byte| !is_word(*byte))?;
    (length > 0).then_some(start + length)
}

/// Encodes an instruction; all of these have one slot.
#[inline(always)]
fn slot(op: Op) -> Insn {
    op.encode_here().first()
}

/// A place in the window.
struct Scan<'w> {
    window: &'w [u8; WINDOW],
    at: usize,
}

impl Scan<'_> {
    /// Returns the byte that far ahead. No statement comes to the end of the window: names and numbers, whose length is
    /// not bounded by the syntax, are bounded below or searched in the text itself.
    #[inline(always)]
    fn byte(&self, ahead: usize) -> u8 {
        self.window[(self.at + ahead) % WINDOW]
    }

    #[inline(always)]
    fn literal<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        let here = self.window.get(self.at..self.at + N)?;
        if here != bytes {
            return None;
        }
        self.at += N;
        Some(())
    }

    #[inline(always)]
    fn ends(&self) -> bool {
        matches!(self.byte(0), b'\n' | b';')
    }

    #[inline(always)]
    fn register(&mut self) -> Option<(Bits, Reg)> {
        let bits = match self.byte(0) {
            b'r' => Bits::B64,
            b'w' => Bits::B32,
            _ => return None,
        };
        let digit = self.byte(1).wrapping_sub(b'0');
        let ten = digit == 1 && self.byte(2) == b'0';
        self.at += if ten { 3 } else { 2 };
        // A longer word is not a register, and fails later: no byte that may follow a register continues a word.
        Some((bits, if ten { Reg::R10 } else { Reg::new(digit).filter(|_| digit < 10)? }))
    }

    /// A decimal number of at most nine digits, which fits 32 bits.
    #[inline(always)]
    fn number(&mut self) -> Option<i32> {
        let negative = self.byte(0) == b'-';
        self.at += usize::from(negative);
        let first = self.at;
        let mut value = 0;
        loop {
            let digit = self.byte(0).wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            if self.at - first == 9 {
                return None;
            }
            value = value * 10 + i32::from(digit);
            self.at += 1;
        }
        // A number that begins with a zero is refused.
        let octal = self.window.get(first) == Some(&b'0') && self.at - first > 1;
        (self.at > first && !octal).then_some(if negative { -value } else { value })
    }

    /// A register of that width, or a number.
    #[inline(always)]
    fn source(&mut self, bits: Bits) -> Option<Source> {
        match self.byte(0) {
            b'-' | b'0'..=b'9' => self.number().map(Source::Imm),
            _ => {
                let (width, reg) = self.register()?;
                (width == bits).then_some(Source::Reg(reg))
            }
        }
    }

    /// `u32 *)(`, with the first parenthesis read.
    #[inline(always)]
    fn size(&mut self) -> Option<Size> {
        let (size, length) = match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'u', b'8', _) => (Size::Byte, 2),
            (b'u', b'1', b'6') => (Size::Half, 3),
            (b'u', b'3', b'2') => (Size::Word, 3),
            (b'u', b'6', b'4') => (Size::Double, 3),
            _ => return None,
        };
        self.at += length;
        self.literal(b" *)(")?;
        Some(size)
    }

    /// `r1 + 8)`
    #[inline(always)]
    fn address(&mut self) -> Option<(Reg, i16)> {
        let (bits, base) = self.register()?;
        if bits != Bits::B64 {
            return None;
        }
        let sign = match (self.byte(0), self.byte(1), self.byte(2)) {
            (b' ', b'+', b' ') => 1,
            (b' ', b'-', b' ') => -1,
            _ => return None,
        };
        self.at += 3;
        if !self.byte(0).is_ascii_digit() {
            return None;
        }
        let offset = i16::try_from(sign * self.number()?).ok()?;
        self.literal(b")")?;
        Some((base, offset))
    }

    #[inline(always)]
    fn condition(&mut self) -> Option<Condition> {
        let (condition, length) = match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'=', b'=', _) => (Condition::Eq, 2),
            (b'!', b'=', _) => (Condition::Ne, 2),
            (b'>', b'=', _) => (Condition::Ge, 2),
            (b'<', b'=', _) => (Condition::Le, 2),
            (b'>', b' ', _) => (Condition::Gt, 1),
            (b'<', b' ', _) => (Condition::Lt, 1),
            (b'&', b' ', _) => (Condition::Set, 1),
            (b's', b'>', b'=') => (Condition::SignedGe, 3),
            (b's', b'<', b'=') => (Condition::SignedLe, 3),
            (b's', b'>', b' ') => (Condition::SignedGt, 2),
            (b's', b'<', b' ') => (Condition::SignedLt, 2),
            _ => return None,
        };
        self.at += length;
        Some(condition)
    }

    /// `r1 += 5`, `r1 = *(u32 *)(r2 + 8)`
    #[inline(always)]
    fn assignment(&mut self) -> Option<Insn> {
        let (bits, dst) = self.register()?;
        let (op, length) = match (self.byte(0), self.byte(1), self.byte(2), self.byte(3)) {
            (b' ', b'=', b' ', _) => (AluOp::Mov, 3),
            (b' ', b'+', b'=', b' ') => (AluOp::Add, 4),
            (b' ', b'-', b'=', b' ') => (AluOp::Sub, 4),
            (b' ', b'*', b'=', b' ') => (AluOp::Mul, 4),
            (b' ', b'/', b'=', b' ') => (AluOp::Div, 4),
            (b' ', b'%', b'=', b' ') => (AluOp::Mod, 4),
            (b' ', b'|', b'=', b' ') => (AluOp::Or, 4),
            (b' ', b'&', b'=', b' ') => (AluOp::And, 4),
            (b' ', b'^', b'=', b' ') => (AluOp::Xor, 4),
            (b' ', b'<', b'<', b'=') if self.byte(4) == b' ' => (AluOp::Lsh, 5),
            (b' ', b'>', b'>', b'=') if self.byte(4) == b' ' => (AluOp::Rsh, 5),
            (b' ', b's', b'>', b'>') if (self.byte(4), self.byte(5)) == (b'=', b' ') => {
                (AluOp::Arsh, 6)
            }
            _ => return None,
        };
        self.at += length;
        if op == AluOp::Mov {
            match (self.byte(0), self.byte(1)) {
                (b'*', b'(') => {
                    self.at += 2;
                    let size = self.size()?;
                    let (base, offset) = self.address()?;
                    let fits = bits == Bits::B64 || size != Size::Double;
                    return fits.then_some(slot(Op::Load { size, dst, base, offset }));
                }
                (b'-', b'r' | b'w') => {
                    self.at += 1;
                    let same = self.register()? == (bits, dst);
                    return same.then_some(slot(Op::Neg { bits, dst }));
                }
                (b'b' | b'l', b'e') => return self.swap(bits, dst),
                _ => {}
            }
        }
        Some(slot(Op::Alu { bits, op, dst, src: self.source(bits)? }))
    }

    /// `be16 r1`
    fn swap(&mut self, bits: Bits, dst: Reg) -> Option<Insn> {
        let swap = if self.byte(0) == b'b' { Swap::Be } else { Swap::Le };
        let width = match (self.byte(2), self.byte(3), self.byte(4)) {
            (b'1', b'6', b' ') => SwapBits::B16,
            (b'3', b'2', b' ') => SwapBits::B32,
            (b'6', b'4', b' ') => SwapBits::B64,
            _ => return None,
        };
        self.at += 5;
        let same = bits == Bits::B64 && self.register()? == (bits, dst);
        same.then_some(slot(Op::Swap { swap, bits: width, dst }))
    }

    /// `*(u32 *)(r1 + 8) = r2`
    #[inline(always)]
    fn store(&mut self) -> Option<Insn> {
        self.literal(b"*(")?;
        let size = self.size()?;
        let (base, offset) = self.address()?;
        self.literal(b" = ")?;
        if matches!(self.byte(0), b'r' | b'w') {
            let (bits, src) = self.register()?;
            let fits = bits == Bits::B64 || size != Size::Double;
            return fits.then_some(slot(Op::Store { size, base, offset, src }));
        }
        let imm = self.number()?;
        let fits = match size {
            Size::Byte => i8::MIN as i32..=u8::MAX as i32,
            Size::Half => i16::MIN as i32..=u16::MAX as i32,
            Size::Word | Size::Double => i32::MIN..=i32::MAX,
        };
        fits.contains(&imm).then_some(slot(Op::StoreImm { size, base, offset, imm }))
    }

    #[inline(always)]
    fn exit(&mut self) -> Option<Insn> {
        self.literal(b"exit").map(|()| slot(Op::Exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::statement::{Cursor, Dialect, Statement, Target};
    use proptest::prelude::*;

    const VECTORS: &str = include_str!("../../../tests/vectors/isa.tsv");

    fn lines() -> impl Iterator<Item = &'static str> {
        let more = ["L1:", "goto L1", "if r1 s>= -5 goto out", "rest:", "goto r1", "exit", "ex:"];
        VECTORS.lines().skip(1).filter_map(|line| line.split('\t').next()).chain(more)
    }

    /// Parses a line, followed by enough text, on the fast path: `None` if it is left to the full parser. Checks that
    /// the full parser gives the same result.
    fn read(line: &str) -> Option<Plain> {
        let text = format!("{line}\n{:WINDOW$}", "");
        let (plain, end) = plain(text.as_bytes(), 0)?;
        let mut cursor = Cursor::at(&text, 0, Dialect::Text, &[]);
        let statement = match cursor.statement() {
            Ok(statement) => statement,
            Err(_) => panic!("`{line}` is wrong, and was read as {plain:?}"),
        };
        // Behind a label the full parser has skipped the white space already.
        let at = if matches!(plain, Plain::Label(_)) { end } else { cursor.at };
        assert_eq!(end, at, "{line}");
        match (plain, statement) {
            (Plain::Label(a), Statement::Label(b)) => assert_eq!(a, b, "{line}"),
            (Plain::Slot(slot), Statement::Op { op, target: Target::None }) => {
                assert_eq!(op.encode().as_slice(), [slot], "{line}");
            }
            (Plain::To(slot, a), Statement::Op { op, target: Target::Label(b) }) => {
                assert_eq!((op.encode().as_slice(), a), (&[slot][..], b), "{line}");
            }
            (_, statement) => panic!("`{line}` is {statement:?}, and was read as {plain:?}"),
        }
        Some(plain)
    }

    #[test]
    fn both_readers_agree() {
        let read: Vec<&str> = lines().filter(|line| read(line).is_some()).collect();
        // Arithmetic, loads, stores, byte swaps and labels; the jumps of the table go to numbers.
        assert!(read.len() >= 80, "{}: {read:?}", read.len());
        for line in ["r1 s>>= 5", "w1 = -w1", "r1 = be16 r1", "goto r1", "ex:", "exit"] {
            assert!(read.contains(&line), "{line}");
        }
    }

    #[test]
    fn the_end_of_a_text_is_for_the_other_reader() {
        assert!(plain(b"r1 = 5", 0).is_none());
        assert!(plain(b"", 0).is_none());
        assert!(plain(&[b'r'; WINDOW], 1).is_none());
        assert!(plain(&[b'L'; 2 * WINDOW], 1).is_none());
    }

    proptest! {
        #[test]
        fn both_readers_agree_on_what_is_nearly_right(
            (line, at, with) in (0..lines().count(), any::<prop::sample::Index>(), "[ -~\n]{0,3}")
        ) {
            let mut line = lines().nth(line).unwrap_or_default().to_owned();
            let at = at.index(line.len());
            line.replace_range(at..at + 1, &with);
            read(&line);
        }

        #[test]
        fn both_readers_agree_on_numbers(
            register in "[rw]1?[0-9]", sign in "[+*/%^|&-]?|<<|>>|s>>", number in "-?[0-9]{1,12}",
            size in "u(8|16|32|64)", offset in "[+-] [0-9]{1,6}",
        ) {
            read(&format!("{register} {sign}= {number}"));
            read(&format!("if {register} s< {number} goto L"));
            read(&format!("*({size} *)({register} {offset}) = {number}"));
            read(&format!("{register} = *({size} *)(r1 {offset})"));
        }
    }
}
