//! One statement of the assembly language: its grammar, as `const` functions over bytes.
//!
//! [`bpf!`](crate::bpf) runs this in the compiler. It is the only reader of the syntax, so whatever is to
//! read the language at run time uses it too, and the two cannot differ.

use super::helpers::helper_number;
use super::message::Message;
use crate::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, Condition, Op, PacketSize, Pseudo, Reg, SignBits,
    SignExtend, SignedOp, Size, Source, Swap, SwapBits,
};
use crate::spec::MapSpec;

/// What stands in the source as Rust: the value of `{expression}`, or the map that a path names.
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub enum Value<'a> {
    /// A token of the assembly language, read from the text.
    Text,
    /// `{expression}`.
    Int(i128),
    /// `path ll`.
    Map(&'a MapSpec<'a>),
    /// What stands inside a pair of parentheses or brackets.
    Group(&'a [Value<'a>]),
}

/// What a statement means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Statement<'a> {
    /// `name:`
    Label(Span),
    /// One instruction.
    Op { op: Op, target: Target<'a> },
    /// `*(u8 *)(r10 - 16) = "text"`: as many stores of constants as the bytes need.
    Bytes { base: Reg, offset: i16, literal: Span },
}

/// What an instruction refers to that only its surroundings can tell.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    None,
    /// The place a jump goes to, or the function a call calls.
    Label(Span),
    /// The map whose address is loaded.
    Map(&'a MapSpec<'a>),
}

/// A piece of the source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// What is wrong, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem {
    pub span: Span,
    pub what: What,
}

/// What is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// Something else should stand here.
    Expected(&'static str),
    /// The name here is not one of these.
    Not(&'static str),
    /// The number here does not fit its field.
    Range { field: &'static str, value: i128, low: i64, high: i64 },
    /// The number here is beyond 128 bits.
    Huge,
    /// A name that is neither a helper nor a label.
    NoHelper,
    /// No such label.
    NoLabel,
    /// The label stands twice.
    SecondLabel,
    /// A jump that 16 bits cannot express.
    Far { distance: i64 },
}

type Parsed<T> = Result<T, Problem>;

/// `?`, which `const fn` does not have.
macro_rules! ok {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(problem) => return Err(problem),
        }
    };
}

impl Problem {
    /// Says it in one sentence, with the culprit by name.
    pub(super) const fn write(&self, text: &[u8], message: &mut Message) {
        let found = sub(text, self.span.start, self.span.end);
        match self.what {
            What::Expected(wanted) => {
                message.text("expected ");
                message.text(wanted);
                if found.is_empty() {
                    message.text(", and the text ends");
                } else {
                    message.text(", found `");
                    message.source(found);
                    message.text("`");
                }
            }
            What::Not(what) => {
                message.text("`");
                message.source(found);
                message.text("` is not ");
                message.text(what);
            }
            What::Range { field, value, low, high } => {
                message.text(field);
                message.text(" ");
                message.int(value);
                message.text(" does not fit: ");
                message.int(low as i128);
                message.text(" to ");
                message.int(high as i128);
            }
            What::Huge => {
                message.text("`");
                message.source(found);
                message.text("` is far beyond 64 bits");
            }
            What::NoHelper => {
                message.text("`");
                message.source(found);
                message
                    .text("` is not a helper function of the kernel, nor a label of this program");
            }
            What::NoLabel => {
                message.text("label `");
                message.source(found);
                message.text("` is not defined");
            }
            What::SecondLabel => {
                message.text("label `");
                message.source(found);
                message.text("` is defined twice");
            }
            What::Far { distance } => {
                message.text("the jump to `");
                message.source(found);
                message.text("` spans ");
                message.int(distance as i128);
                message.text(" slots, more than 16 bits can say: use gotol");
            }
        }
    }
}

/// A piece of a slice; `&text[start..end]`, which `const fn` does not have.
pub(super) const fn sub(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.split_at(end).0.split_at(start).1
}

/// Whether a name is this one.
pub(super) const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// A register as it is written: `r1` or `w1`.
#[derive(Clone, Copy)]
struct Register {
    reg: Reg,
    bits: Bits,
    span: Span,
}

/// An operand: a register or a number.
#[derive(Clone, Copy)]
enum Operand {
    Register(Register),
    Number(i128, Span),
}

/// `(r1 + 8)`.
#[derive(Clone, Copy)]
struct Address {
    base: Reg,
    offset: i16,
}

/// The type of a memory access: `u8` … `u64`, `s8` … `s32`.
#[derive(Clone, Copy)]
struct Access {
    size: Size,
    signed: bool,
    span: Span,
}

/// Reads statements one after the other.
pub(super) struct Cursor<'a> {
    pub text: &'a [u8],
    pub at: usize,
    /// The values of the expressions and paths in the text, in its order.
    values: &'a [Value<'a>],
    value: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str, values: &'a [Value<'a>]) -> Self {
        Cursor { text: text.as_bytes(), at: 0, values, value: 0 }
    }

    /// Passes the white space and the `;` between statements; whether another statement follows.
    pub(super) const fn more(&mut self) -> bool {
        self.skip();
        while self.peek() == b';' {
            self.at += 1;
            self.skip();
        }
        self.at < self.text.len()
    }

    /// Reads one statement and the `;` that ends it (a label has none).
    pub(super) const fn statement(&mut self) -> Parsed<Statement<'a>> {
        let start = self.at;
        let statement = if self.peek() == b'*' {
            ok!(self.store())
        } else {
            let word = ok!(self.word("an instruction"));
            let name = sub(self.text, word.start, word.end);
            if self.peek() == b':' && self.byte(1) != b':' {
                self.at += 1;
                return Ok(Statement::Label(word));
            }
            if same(name, b"exit") {
                one(Op::Exit)
            } else if same(name, b"call") {
                ok!(self.call())
            } else if same(name, b"callx") {
                one(Op::CallRegister { dst: ok!(self.register64()).reg })
            } else if same(name, b"goto") {
                ok!(self.jump(Op::Jump { offset: 0 }))
            } else if same(name, b"gotol") {
                ok!(self.jump_long())
            } else if same(name, b"may_goto") {
                ok!(self.jump(Op::MayJump { offset: 0 }))
            } else if same(name, b"gotox") {
                one(Op::JumpRegister { dst: ok!(self.register64()).reg })
            } else if same(name, b"if") {
                ok!(self.jump_if())
            } else if same(name, b"lock") {
                ok!(self.locked())
            } else if same(name, b"store_release") {
                ok!(self.store_release())
            } else if same(name, b"ld_pseudo") {
                ok!(self.load_pseudo())
            } else if is_operator(self.peek()) || self.peek() == b's' {
                ok!(self.assign(ok!(self.register_of(word))))
            } else {
                return self.problem(Span { start, end: word.end }, What::Not("an instruction"));
            }
        };
        self.skip();
        if self.at < self.text.len() && self.peek() != b';' {
            return self.expected("`;`");
        }
        Ok(statement)
    }

    // ---- tokens -----------------------------------------------------------------------------------

    const fn byte(&self, ahead: usize) -> u8 {
        if self.at + ahead < self.text.len() { self.text[self.at + ahead] } else { 0 }
    }

    const fn peek(&self) -> u8 {
        self.byte(0)
    }

    const fn skip(&mut self) {
        while self.at < self.text.len() && self.text[self.at].is_ascii_whitespace() {
            self.at += 1;
        }
    }

    const fn problem<T>(&self, span: Span, what: What) -> Parsed<T> {
        Err(Problem { span, what })
    }

    /// What stands here is not what should; the token it shows is a word or one character.
    const fn expected<T>(&self, wanted: &'static str) -> Parsed<T> {
        let start = self.at;
        let mut end = start;
        while end < self.text.len() && is_word(self.text[end]) {
            end += 1;
        }
        if end == start && start < self.text.len() {
            end += 1;
            // Never half a character: the text is UTF-8.
            while end < self.text.len() && self.text[end] & 0xc0 == 0x80 {
                end += 1;
            }
        }
        self.problem(Span { start, end }, What::Expected(wanted))
    }

    /// Passes this punctuation if it stands here.
    const fn take(&mut self, token: &'static str) -> bool {
        let token = token.as_bytes();
        let mut i = 0;
        while i < token.len() {
            if self.byte(i) != token[i] {
                return false;
            }
            i += 1;
        }
        self.at += token.len();
        self.skip();
        true
    }

    const fn need(&mut self, token: &'static str, wanted: &'static str) -> Parsed<()> {
        if self.take(token) { Ok(()) } else { self.expected(wanted) }
    }

    /// Passes this word if it stands here.
    const fn take_word(&mut self, word: &'static str) -> bool {
        let bytes = word.as_bytes();
        let mut end = self.at;
        while end < self.text.len() && is_word(self.text[end]) {
            end += 1;
        }
        if !same(sub(self.text, self.at, end), bytes) {
            return false;
        }
        self.at = end;
        self.skip();
        true
    }

    const fn word(&mut self, wanted: &'static str) -> Parsed<Span> {
        let start = self.at;
        if !(self.peek() == b'_' || self.peek().is_ascii_alphabetic()) {
            return self.expected(wanted);
        }
        while self.at < self.text.len() && is_word(self.text[self.at]) {
            self.at += 1;
        }
        let end = self.at;
        self.skip();
        Ok(Span { start, end })
    }

    // ---- registers and numbers --------------------------------------------------------------------

    const fn register(&mut self) -> Parsed<Register> {
        let word = ok!(self.word("a register"));
        self.register_of(word)
    }

    const fn register64(&mut self) -> Parsed<Register> {
        let register = ok!(self.register());
        match register.bits {
            Bits::B64 => Ok(register),
            Bits::B32 => {
                self.problem(register.span, What::Not("a 64-bit register, which is needed here"))
            }
        }
    }

    /// A register of just that width.
    const fn register_as(&mut self, bits: Bits) -> Parsed<Register> {
        let register = ok!(self.register());
        match (bits, register.bits) {
            (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => Ok(register),
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

    const fn register_of(&self, span: Span) -> Parsed<Register> {
        let name = sub(self.text, span.start, span.end);
        let bits = match name {
            [b'r', ..] => Bits::B64,
            [b'w', ..] => Bits::B32,
            _ => return self.problem(span, What::Not(REGISTERS)),
        };
        let number = match name {
            [_, digit @ b'0'..=b'9'] => *digit - b'0',
            [_, b'1', b'0'] => 10,
            _ => return self.problem(span, What::Not(REGISTERS)),
        };
        match Reg::new(number) {
            Some(reg) => Ok(Register { reg, bits, span }),
            None => self.problem(span, What::Not(REGISTERS)),
        }
    }

    /// A number: decimal, `0x`, `0b`, a character or `{expression}`, with a sign before it.
    const fn number(&mut self, wanted: &'static str) -> Parsed<(i128, Span)> {
        let start = self.at;
        let negative = self.peek() == b'-';
        if negative || self.peek() == b'+' {
            self.at += 1;
            self.skip();
        }
        let magnitude = match self.peek() {
            b'{' => ok!(self.expression()),
            b'0'..=b'9' => ok!(self.digits()),
            b'\'' => ok!(self.character()),
            _ => {
                self.at = start;
                return self.expected(wanted);
            }
        };
        let span = Span { start, end: self.at };
        self.skip();
        let value = if negative { magnitude.checked_neg() } else { Some(magnitude) };
        match value {
            Some(value) => Ok((value, span)),
            None => self.problem(span, What::Huge),
        }
    }

    const fn digits(&mut self) -> Parsed<i128> {
        let start = self.at;
        let radix = match (self.peek(), self.byte(1)) {
            (b'0', b'x' | b'X') => 16,
            (b'0', b'b' | b'B') => 2,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
        }
        let first = self.at;
        let mut value: i128 = 0;
        let mut any = false;
        let mut huge = false;
        while self.at < self.text.len() && is_word(self.text[self.at]) {
            let byte = self.text[self.at];
            self.at += 1;
            if byte == b'_' && self.at > first + 1 {
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => 255,
            };
            if digit as i128 >= radix {
                return self.not_a_number(start);
            }
            any = true;
            match value.checked_mul(radix) {
                Some(shifted) if shifted <= i128::MAX - 16 => value = shifted + digit as i128,
                _ => huge = true,
            }
        }
        if !any {
            return self.not_a_number(start);
        }
        if huge {
            return self.problem(Span { start, end: self.at }, What::Huge);
        }
        Ok(value)
    }

    const fn not_a_number(&self, start: usize) -> Parsed<i128> {
        let mut end = self.at;
        while end < self.text.len() && is_word(self.text[end]) {
            end += 1;
        }
        self.problem(Span { start, end }, What::Not("a number"))
    }

    /// `'a'`, `'\n'`: one byte.
    const fn character(&mut self) -> Parsed<i128> {
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

    /// `{expression}`: the compiler has already worked it out.
    const fn expression(&mut self) -> Parsed<i128> {
        let start = self.at;
        self.at = match closing_brace(self.text, self.at) {
            Some(end) => end,
            None => return self.expected("a constant expression in braces"),
        };
        match self.next_value() {
            Value::Int(value) => Ok(value),
            _ => self.problem(
                Span { start, end: self.at },
                What::Not("allowed here: an expression in braces is for `bpf!`, as one operand"),
            ),
        }
    }

    const fn next_value(&mut self) -> Value<'a> {
        if self.value == self.values.len() {
            return Value::Text;
        }
        self.value += 1;
        self.values[self.value - 1]
    }

    const fn operand(&mut self) -> Parsed<Operand> {
        if self.peek() == b'_' || self.peek().is_ascii_alphabetic() {
            Ok(Operand::Register(ok!(self.register())))
        } else {
            let (value, span) = ok!(self.number("a register or a number"));
            Ok(Operand::Number(value, span))
        }
    }

    /// The second operand of an instruction of that width. 64-bit instructions extend the sign of their
    /// 32 bits, so `0xffffffff` is not one of theirs; 32-bit ones read the same bits either way.
    const fn source(&mut self, bits: Bits) -> Parsed<Source> {
        match ok!(self.operand()) {
            Operand::Register(register) => match (bits, register.bits) {
                (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => Ok(Source::Reg(register.reg)),
                (Bits::B64, _) => self
                    .problem(register.span, What::Not("a 64-bit register like the other operand")),
                (Bits::B32, _) => self
                    .problem(register.span, What::Not("a 32-bit register like the other operand")),
            },
            Operand::Number(value, span) => {
                let high = match bits {
                    Bits::B32 => u32::MAX as i64,
                    Bits::B64 => i32::MAX as i64,
                };
                let value = ok!(self.fit("the immediate", value, span, i32::MIN as i64, high));
                Ok(Source::Imm(value as i32))
            }
        }
    }

    const fn fit(
        &self,
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

    const fn offset16(&self, value: i128, span: Span) -> Parsed<i16> {
        Ok(ok!(self.fit("the offset", value, span, i16::MIN as i64, i16::MAX as i64)) as i16)
    }

    // ---- memory -----------------------------------------------------------------------------------

    /// `u32 *)`, after its opening parenthesis.
    const fn access(&mut self) -> Parsed<Access> {
        let span = ok!(self.word("a type, u8 to u64 or s8 to s32"));
        let name = sub(self.text, span.start, span.end);
        let (size, signed) = match name {
            b"u8" => (Size::Byte, false),
            b"u16" => (Size::Half, false),
            b"u32" => (Size::Word, false),
            b"u64" => (Size::Double, false),
            b"s8" => (Size::Byte, true),
            b"s16" => (Size::Half, true),
            b"s32" => (Size::Word, true),
            _ => return self.problem(span, What::Not("a type: u8, u16, u32, u64, s8, s16, s32")),
        };
        ok!(self.need("*", "`*`"));
        ok!(self.need(")", "`)`"));
        Ok(Access { size, signed, span })
    }

    const fn unsigned_access(&mut self) -> Parsed<Access> {
        let access = ok!(self.access());
        if access.signed {
            return self
                .problem(access.span, What::Not("a type that is stored: u8, u16, u32, u64"));
        }
        Ok(access)
    }

    /// The size of an atomic operation with a result, and how wide its registers are.
    const fn atomic_access(&mut self) -> Parsed<(AtomicSize, Bits)> {
        let access = ok!(self.access());
        match (access.size, access.signed) {
            (Size::Word, false) => Ok((AtomicSize::Word, Bits::B32)),
            (Size::Double, false) => Ok((AtomicSize::Double, Bits::B64)),
            _ => self.problem(access.span, What::Not("a type of atomic arithmetic: u32, u64")),
        }
    }

    /// `r1 + 8`, with or without the offset.
    const fn address(&mut self) -> Parsed<Address> {
        let base = ok!(self.register64()).reg;
        let start = self.at;
        let negative = match self.peek() {
            b'+' => false,
            b'-' => true,
            _ => return Ok(Address { base, offset: 0 }),
        };
        self.at += 1;
        self.skip();
        let (value, span) = ok!(self.number("an offset"));
        let value = if negative { value.checked_neg() } else { Some(value) };
        let Some(value) = value else {
            return self.problem(span, What::Huge);
        };
        Ok(Address { base, offset: ok!(self.offset16(value, Span { start, end: span.end })) })
    }

    /// `(r1 + 8)`.
    const fn parenthesized_address(&mut self) -> Parsed<Address> {
        ok!(self.need("(", "`(`"));
        let address = ok!(self.address());
        ok!(self.need(")", "`)`"));
        Ok(address)
    }

    /// `*(u32 *)(r1 + 8) = r2`, `= 5`, `= "text"`.
    const fn store(&mut self) -> Parsed<Statement<'a>> {
        ok!(self.need("*", "`*`"));
        ok!(self.need("(", "`(`"));
        let Access { size, span, .. } = ok!(self.unsigned_access());
        let Address { base, offset } = ok!(self.parenthesized_address());
        ok!(self.need("=", "`=`"));
        if self.peek() == b'"' || (self.peek() == b'b' && self.byte(1) == b'"') {
            if !matches!(size, Size::Byte) {
                return self.problem(span, What::Not("the type of a string, which is u8"));
            }
            return self.store_text(base, offset);
        }
        match ok!(self.operand()) {
            Operand::Register(register) => {
                if matches!((size, register.bits), (Size::Double, Bits::B32)) {
                    return self
                        .problem(register.span, What::Not("a 64-bit register, as u64 needs"));
                }
                Ok(one(Op::Store { size, base, offset, src: register.reg }))
            }
            Operand::Number(value, span) => {
                let (low, high) = match size {
                    Size::Byte => (i8::MIN as i64, u8::MAX as i64),
                    Size::Half => (i16::MIN as i64, u16::MAX as i64),
                    Size::Word => (i32::MIN as i64, u32::MAX as i64),
                    // The kernel extends the sign of the 32 bits that a slot has.
                    Size::Double => (i32::MIN as i64, i32::MAX as i64),
                };
                let value = ok!(self.fit("the value to store", value, span, low, high));
                Ok(one(Op::StoreImm { size, base, offset, imm: value as i32 }))
            }
        }
    }

    /// The string of a store, checked whole, so that laying it out later cannot fail.
    const fn store_text(&mut self, base: Reg, offset: i16) -> Parsed<Statement<'a>> {
        let start = self.at;
        let mut bytes = match Literal::open(self.text, start) {
            Some(bytes) => bytes,
            None => return self.expected("a string"),
        };
        let mut length: i64 = 0;
        loop {
            match bytes.next() {
                Ok(Some(_)) => length += 1,
                Ok(None) => break,
                Err(at) => {
                    let end = if at + 2 <= self.text.len() { at + 2 } else { self.text.len() };
                    return self.problem(Span { start: at, end }, What::Not(ESCAPE));
                }
            }
        }
        self.at = bytes.at;
        self.skip();
        let literal = Span { start, end: bytes.at };
        // The last byte's offset has to fit too.
        let last = offset as i128 + length as i128 - 1;
        ok!(self.offset16(last, literal));
        Ok(Statement::Bytes { base, offset, literal })
    }

    /// `lock *(u64 *)(r1 + 8) += r2`.
    const fn locked(&mut self) -> Parsed<Statement<'a>> {
        ok!(self.need("*", "`*`"));
        ok!(self.need("(", "`(`"));
        let (size, bits) = ok!(self.atomic_access());
        let Address { base, offset } = ok!(self.parenthesized_address());
        let op = if self.take("+=") {
            AtomicOp::Add
        } else if self.take("&=") {
            AtomicOp::And
        } else if self.take("|=") {
            AtomicOp::Or
        } else if self.take("^=") {
            AtomicOp::Xor
        } else {
            return self.expected("`+=`, `&=`, `|=` or `^=`");
        };
        // LLVM writes the 32-bit form with w registers and, for `+=`, older tools with r registers.
        let src = match (bits, op) {
            (Bits::B32, AtomicOp::Add) => ok!(self.register()),
            _ => ok!(self.register_as(bits)),
        };
        Ok(one(Op::Atomic { size, op, base, offset, src: src.reg }))
    }

    /// `store_release((u32 *)(r1 + 8), w2)`.
    const fn store_release(&mut self) -> Parsed<Statement<'a>> {
        ok!(self.need("(", "`(`"));
        ok!(self.need("(", "`(`"));
        let size = ok!(self.unsigned_access()).size;
        let Address { base, offset } = ok!(self.parenthesized_address());
        ok!(self.need(",", "`,`"));
        let src = ok!(self.register_as(size_bits(size)));
        ok!(self.need(")", "`)`"));
        Ok(one(Op::StoreRelease { size, base, offset, src: src.reg }))
    }

    /// `ld_pseudo r1, 1, 42`: `lddw` with the source field said outright; a fourth operand is the second slot's
    /// immediate, 0 if it is left out. (LLVM drops the upper half of a number that is too long for the first.)
    const fn load_pseudo(&mut self) -> Parsed<Statement<'a>> {
        let dst = ok!(self.register64()).reg;
        ok!(self.need(",", "`,`"));
        let (kind, span) = ok!(self.number("a source field, 0 to 6"));
        let kind = match ok!(self.fit("the source field", kind, span, 0, 6)) {
            0 => Pseudo::Imm64,
            1 => Pseudo::MapFd,
            2 => Pseudo::MapValue,
            3 => Pseudo::BtfId,
            4 => Pseudo::Function,
            5 => Pseudo::MapIndex,
            _ => Pseudo::MapIndexValue,
        };
        ok!(self.need(",", "`,`"));
        let low = ok!(self.imm32());
        let high = if self.take(",") { ok!(self.imm32()) } else { 0 };
        Ok(one(Op::LoadImm64 { dst, kind, low, high }))
    }

    /// A number as 32 bits, signed or not.
    const fn imm32(&mut self) -> Parsed<i32> {
        let (value, span) = ok!(self.number("a number"));
        Ok(ok!(self.fit("the immediate", value, span, i32::MIN as i64, u32::MAX as i64)) as i32)
    }

    const fn imm64(&self, value: i128, span: Span) -> Parsed<u64> {
        if value < i64::MIN as i128 || value > u64::MAX as i128 {
            return self.problem(span, What::Not("a number of 64 bits"));
        }
        Ok(value as u64)
    }

    // ---- assignments ------------------------------------------------------------------------------

    const fn assign(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        if self.take_word("s") {
            if self.take(">>=") {
                let src = ok!(self.source(bits));
                return Ok(one(Op::Alu { bits, op: AluOp::Arsh, dst: reg, src }));
            }
            let op = if self.take("/=") {
                SignedOp::Div
            } else if self.take("%=") {
                SignedOp::Mod
            } else {
                return self.expected("`s>>=`, `s/=` or `s%=`");
            };
            return Ok(one(Op::AluSigned { bits, op, dst: reg, src: ok!(self.source(bits)) }));
        }
        if self.peek() == b'=' && self.byte(1) != b'=' {
            self.at += 1;
            self.skip();
            return self.value_for(dst);
        }
        const OPERATORS: [(&str, AluOp); 10] = [
            ("+=", AluOp::Add),
            ("-=", AluOp::Sub),
            ("*=", AluOp::Mul),
            ("/=", AluOp::Div),
            ("|=", AluOp::Or),
            ("&=", AluOp::And),
            ("<<=", AluOp::Lsh),
            (">>=", AluOp::Rsh),
            ("%=", AluOp::Mod),
            ("^=", AluOp::Xor),
        ];
        let mut i = 0;
        while i < OPERATORS.len() {
            let (token, op) = OPERATORS[i];
            if self.take(token) {
                return Ok(one(Op::Alu { bits, op, dst: reg, src: ok!(self.source(bits)) }));
            }
            i += 1;
        }
        self.expected("`=`, `+=` or another assignment")
    }

    /// The right side of `r1 = …`.
    const fn value_for(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        match self.peek() {
            b'*' => self.load(dst),
            b'(' => self.move_signed(dst),
            b'-' if self.negates_a_register() => {
                self.at += 1;
                self.skip();
                let src = ok!(self.register_as(bits));
                ok!(self.must_be(src, dst));
                Ok(one(Op::Neg { bits, dst: reg }))
            }
            b'-' | b'+' | b'{' | b'\'' | b'0'..=b'9' => {
                let (value, span) = ok!(self.number("a number"));
                if self.take_word("ll") {
                    ok!(self.needs_64(dst));
                    return Ok(one(Op::load_imm64(reg, ok!(self.imm64(value, span)))));
                }
                let high = match bits {
                    Bits::B32 => u32::MAX as i64,
                    Bits::B64 => i32::MAX as i64,
                };
                let value = ok!(self.fit("the immediate", value, span, i32::MIN as i64, high));
                let src = Source::Imm(value as i32);
                Ok(one(Op::Alu { bits, op: AluOp::Mov, dst: reg, src }))
            }
            _ => self.named_value(dst),
        }
    }

    const fn negates_a_register(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        self.skip();
        let register = matches!(self.peek(), b'r' | b'w');
        self.at = start;
        register
    }

    const fn needs_64(&self, dst: Register) -> Parsed<()> {
        match dst.bits {
            Bits::B64 => Ok(()),
            Bits::B32 => self.problem(dst.span, What::Not("a 64-bit register, which `ll` fills")),
        }
    }

    /// Instructions that work on one register in place say it twice.
    const fn must_be(&self, src: Register, dst: Register) -> Parsed<()> {
        if src.reg as u8 == dst.reg as u8 {
            Ok(())
        } else {
            self.problem(src.span, What::Not("the register on the left, which it has to be here"))
        }
    }

    /// `r1 = *(u32 *)(r2 + 8)`, `r0 = *(u16 *)skb[12]`.
    const fn load(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        ok!(self.need("*", "`*`"));
        ok!(self.need("(", "`(`"));
        let access = ok!(self.access());
        if self.take_word("skb") {
            return self.packet(dst, access);
        }
        let Address { base, offset } = ok!(self.parenthesized_address());
        let signed = match (access.signed, access.size) {
            (false, size) => {
                if matches!((size, dst.bits), (Size::Double, Bits::B32)) {
                    return self.problem(dst.span, What::Not("a 64-bit register, as u64 needs"));
                }
                return Ok(one(Op::Load { size, dst: dst.reg, base, offset }));
            }
            (true, Size::Byte) => SignBits::B8,
            (true, Size::Half) => SignBits::B16,
            (true, _) => SignBits::B32,
        };
        match dst.bits {
            Bits::B64 => Ok(one(Op::LoadSigned { size: signed, dst: dst.reg, base, offset })),
            Bits::B32 => self.problem(
                dst.span,
                What::Not("a 64-bit register; a load that extends the sign fills all 64 bits"),
            ),
        }
    }

    const fn packet(&mut self, dst: Register, access: Access) -> Parsed<Statement<'a>> {
        if !matches!(dst, Register { reg: Reg::R0, bits: Bits::B64, .. }) {
            return self.problem(dst.span, What::Not("r0, where packet loads put their result"));
        }
        let size = match (access.size, access.signed) {
            (Size::Byte, false) => PacketSize::Byte,
            (Size::Half, false) => PacketSize::Half,
            (Size::Word, false) => PacketSize::Word,
            _ => {
                return self
                    .problem(access.span, What::Not("a type of packet loads: u8, u16, u32"));
            }
        };
        ok!(self.need("[", "`[`"));
        let index = match self.peek() {
            b'r' | b'w' => Some(ok!(self.register64()).reg),
            _ => None,
        };
        let imm = if index.is_some() && self.peek() == b']' {
            0
        } else {
            let (value, span) = ok!(self.number("an offset or a register"));
            ok!(self.fit("the offset", value, span, i32::MIN as i64, i32::MAX as i64)) as i32
        };
        ok!(self.need("]", "`]`"));
        Ok(one(Op::LoadPacket { size, index, imm }))
    }

    /// `r1 = (s8)r2`.
    const fn move_signed(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        ok!(self.need("(", "`(`"));
        let span = ok!(self.word("s8, s16 or s32"));
        let extend = match (sub(self.text, span.start, span.end), dst.bits) {
            (b"s8", Bits::B32) => SignExtend::B8To32,
            (b"s16", Bits::B32) => SignExtend::B16To32,
            (b"s8", Bits::B64) => SignExtend::B8To64,
            (b"s16", Bits::B64) => SignExtend::B16To64,
            (b"s32", Bits::B64) => SignExtend::B32To64,
            (_, Bits::B32) => {
                return self
                    .problem(span, What::Not("a type that a 32-bit register extends: s8, s16"));
            }
            (_, Bits::B64) => {
                return self
                    .problem(span, What::Not("a type whose sign is extended: s8, s16, s32"));
            }
        };
        ok!(self.need(")", "`)`"));
        let src = ok!(self.register_as(dst.bits)).reg;
        Ok(one(Op::MoveSigned { extend, dst: dst.reg, src }))
    }

    /// `r1 = r2`, `r1 = be16 r1`, `r1 = atomic_fetch_add(…)`, `r1 = map ll`.
    const fn named_value(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        let span =
            ok!(self.word("a register, a number, `*(type *)` or a function of the language"));
        let name = sub(self.text, span.start, span.end);

        if self.take_word("ll") {
            return self.map(dst, span);
        }
        if self.peek() == b':' && self.byte(1) == b':' {
            let mut end = span.end;
            while self.take("::") {
                end = ok!(self.word("a name")).end;
            }
            if !self.take_word("ll") {
                return self.expected("`ll`, which ends the name of a map");
            }
            return self.map(dst, Span { start: span.start, end });
        }

        if let Some((swap, width)) = swap_named(name) {
            ok!(self.needs_swap_register(dst));
            let src = ok!(self.register64());
            ok!(self.must_be(src, dst));
            return Ok(one(Op::Swap { swap, bits: width, dst: reg }));
        }
        if self.peek() == b'(' {
            return self.function(dst, span);
        }
        let src = match self.register_of(span) {
            Ok(src) => src,
            Err(Problem { span, .. }) => {
                return self.problem(
                    span,
                    What::Not(
                        "a register (r0 to r10, w0 to w10), nor a map: `name ll` names a map",
                    ),
                );
            }
        };
        match (bits, src.bits) {
            (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => {
                let src = Source::Reg(src.reg);
                Ok(one(Op::Alu { bits, op: AluOp::Mov, dst: reg, src }))
            }
            _ => self.problem(src.span, What::Not("a register as wide as the one on the left")),
        }
    }

    const fn needs_swap_register(&self, dst: Register) -> Parsed<()> {
        match dst.bits {
            Bits::B64 => Ok(()),
            Bits::B32 => {
                self.problem(dst.span, What::Not("a 64-bit register, as a byte swap needs"))
            }
        }
    }

    const fn map(&mut self, dst: Register, name: Span) -> Parsed<Statement<'a>> {
        ok!(self.needs_64(dst));
        match self.next_value() {
            Value::Map(map) => {
                let op = Op::LoadImm64 { dst: dst.reg, kind: Pseudo::MapFd, low: 0, high: 0 };
                Ok(Statement::Op { op, target: Target::Map(map) })
            }
            _ => self.problem(
                name,
                What::Not("a map: a path of at most four names to a `static` MapSpec"),
            ),
        }
    }

    /// The values that are written like calls: atomics and address space casts.
    const fn function(&mut self, dst: Register, span: Span) -> Parsed<Statement<'a>> {
        let name = sub(self.text, span.start, span.end);
        ok!(self.need("(", "`(`"));
        let fetch = match name {
            b"atomic_fetch_add" => Some(AtomicOp::FetchAdd),
            b"atomic_fetch_or" => Some(AtomicOp::FetchOr),
            b"atomic_fetch_and" => Some(AtomicOp::FetchAnd),
            b"atomic_fetch_xor" => Some(AtomicOp::FetchXor),
            _ => None,
        };
        let statement = if let Some(op) = fetch {
            ok!(self.need("(", "`(`"));
            let (size, bits) = ok!(self.atomic_access());
            let Address { base, offset } = ok!(self.parenthesized_address());
            ok!(self.need(",", "`,`"));
            ok!(self.exchange(dst, size, bits, op, base, offset))
        } else if same(name, b"xchg_64") || same(name, b"xchg32_32") {
            let (size, bits) = word_or_double(same(name, b"xchg32_32"));
            let Address { base, offset } = ok!(self.address());
            ok!(self.need(",", "`,`"));
            ok!(self.exchange(dst, size, bits, AtomicOp::Exchange, base, offset))
        } else if same(name, b"cmpxchg_64") || same(name, b"cmpxchg32_32") {
            let (size, bits) = word_or_double(same(name, b"cmpxchg32_32"));
            let Address { base, offset } = ok!(self.address());
            ok!(self.need(",", "`,`"));
            let old = ok!(self.register_as(bits));
            if !matches!(old.reg, Reg::R0) {
                return self
                    .problem(old.span, What::Not("r0, which holds the value to compare with"));
            }
            ok!(self.must_be(dst, old));
            ok!(self.width_of(dst, bits));
            ok!(self.need(",", "`,`"));
            let src = ok!(self.register_as(bits));
            one(Op::Atomic { size, op: AtomicOp::CompareExchange, base, offset, src: src.reg })
        } else if same(name, b"load_acquire") {
            ok!(self.need("(", "`(`"));
            let size = ok!(self.unsigned_access()).size;
            let Address { base, offset } = ok!(self.parenthesized_address());
            ok!(self.width_of(dst, size_bits(size)));
            one(Op::LoadAcquire { size, dst: dst.reg, base, offset })
        } else if same(name, b"addr_space_cast") {
            ok!(self.width_of(dst, Bits::B64));
            let src = ok!(self.register64());
            ok!(self.need(",", "`,`"));
            let to = ok!(self.address_space());
            ok!(self.need(",", "`,`"));
            let from = ok!(self.address_space());
            one(Op::AddrSpaceCast { dst: dst.reg, src: src.reg, to, from })
        } else {
            return self.problem(
                span,
                What::Not(
                    "a value: atomic_fetch_add, _or, _and, _xor, xchg_64, xchg32_32, cmpxchg_64, \
                     cmpxchg32_32, load_acquire, addr_space_cast",
                ),
            );
        };
        ok!(self.need(")", "`)`"));
        Ok(statement)
    }

    /// The last operand of an atomic operation with a result, which is the register that gets it.
    const fn exchange(
        &mut self,
        dst: Register,
        size: AtomicSize,
        bits: Bits,
        op: AtomicOp,
        base: Reg,
        offset: i16,
    ) -> Parsed<Statement<'a>> {
        let src = ok!(self.register_as(bits));
        ok!(self.must_be(src, dst));
        ok!(self.width_of(dst, bits));
        Ok(one(Op::Atomic { size, op, base, offset, src: src.reg }))
    }

    const fn width_of(&self, register: Register, bits: Bits) -> Parsed<()> {
        match (bits, register.bits) {
            (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => Ok(()),
            (Bits::B32, _) => self.problem(
                register.span,
                What::Not("a 32-bit register (w0 to w10), as the type asks"),
            ),
            (Bits::B64, _) => self.problem(
                register.span,
                What::Not("a 64-bit register (r0 to r10), as the type asks"),
            ),
        }
    }

    const fn address_space(&mut self) -> Parsed<u16> {
        let (value, span) = ok!(self.number("an address space"));
        Ok(ok!(self.fit("the address space", value, span, 0, u16::MAX as i64)) as u16)
    }

    // ---- jumps and calls --------------------------------------------------------------------------

    /// `+3`, `-3` or a label. A bare number is neither: LLVM reads it as an absolute address.
    const fn jump_target(&mut self) -> Parsed<Destination> {
        if matches!(self.peek(), b'+' | b'-') {
            let (value, span) = ok!(self.number("a distance"));
            return Ok(Destination::Distance(value, span));
        }
        Ok(Destination::Label(ok!(self.word("a label, or a distance such as +3"))))
    }

    /// The target of a jump whose offset has 16 bits.
    const fn jump(&mut self, op: Op) -> Parsed<Statement<'a>> {
        match ok!(self.jump_target()) {
            Destination::Label(label) => Ok(to(op, label)),
            Destination::Distance(value, span) => {
                let offset = ok!(self.offset16(value, span));
                Ok(one(match op {
                    Op::MayJump { .. } => Op::MayJump { offset },
                    Op::JumpIf { bits, condition, dst, src, .. } => {
                        Op::JumpIf { bits, condition, dst, src, offset }
                    }
                    _ => Op::Jump { offset },
                }))
            }
        }
    }

    const fn jump_long(&mut self) -> Parsed<Statement<'a>> {
        match ok!(self.jump_target()) {
            Destination::Label(label) => Ok(to(Op::JumpLong { offset: 0 }, label)),
            Destination::Distance(value, span) => {
                let value =
                    ok!(self.fit("the distance", value, span, i32::MIN as i64, i32::MAX as i64));
                Ok(one(Op::JumpLong { offset: value as i32 }))
            }
        }
    }

    /// `if r1 s> 5 goto out`.
    const fn jump_if(&mut self) -> Parsed<Statement<'a>> {
        let dst = ok!(self.register());
        let condition = ok!(self.condition());
        let src = ok!(self.source(dst.bits));
        if !self.take_word("goto") {
            return self.expected("`goto`");
        }
        self.jump(Op::JumpIf { bits: dst.bits, condition, dst: dst.reg, src, offset: 0 })
    }

    const fn condition(&mut self) -> Parsed<Condition> {
        const UNSIGNED: [(&str, Condition); 7] = [
            ("==", Condition::Eq),
            ("!=", Condition::Ne),
            (">=", Condition::Ge),
            ("<=", Condition::Le),
            (">", Condition::Gt),
            ("<", Condition::Lt),
            ("&", Condition::Set),
        ];
        const SIGNED: [(&str, Condition); 4] = [
            (">=", Condition::SignedGe),
            ("<=", Condition::SignedLe),
            (">", Condition::SignedGt),
            ("<", Condition::SignedLt),
        ];
        let signed = self.take_word("s");
        let conditions: &[(&str, Condition)] = if signed { &SIGNED } else { &UNSIGNED };
        let mut i = 0;
        while i < conditions.len() {
            let (token, condition) = conditions[i];
            if self.take(token) {
                return Ok(condition);
            }
            i += 1;
        }
        self.expected(if signed {
            "s>, s>=, s< or s<="
        } else {
            "a comparison: ==, !=, >, >=, <, <=, &, s>, s>=, s<, s<="
        })
    }

    /// `call trace_printk`, `call 6`, `call function`.
    const fn call(&mut self) -> Parsed<Statement<'a>> {
        if self.peek() == b'_' || self.peek().is_ascii_alphabetic() {
            let name = ok!(self.word("a helper"));
            return Ok(match helper_number(sub(self.text, name.start, name.end)) {
                Some(number) => one(Op::CallHelper { number }),
                None => to(Op::CallLocal { offset: 0 }, name),
            });
        }
        let (value, span) = ok!(self.number("the name or the number of a helper"));
        let number = ok!(self.fit("the helper's number", value, span, 0, i32::MAX as i64));
        Ok(one(Op::CallHelper { number: number as i32 }))
    }
}

const REGISTERS: &str = "a register: r0 to r10 (64 bits), w0 to w10 (32 bits)";
const ESCAPE: &str = "an escape: \\n \\r \\t \\0 \\\\ \\\" \\' \\x7f";

/// Where a jump goes.
#[derive(Clone, Copy)]
enum Destination {
    Distance(i128, Span),
    Label(Span),
}

const fn one<'a>(op: Op) -> Statement<'a> {
    Statement::Op { op, target: Target::None }
}

const fn to<'a>(op: Op, label: Span) -> Statement<'a> {
    Statement::Op { op, target: Target::Label(label) }
}

const fn is_operator(byte: u8) -> bool {
    matches!(byte, b'=' | b'+' | b'-' | b'*' | b'/' | b'|' | b'&' | b'<' | b'>' | b'%' | b'^')
}

const fn size_bits(size: Size) -> Bits {
    if matches!(size, Size::Double) { Bits::B64 } else { Bits::B32 }
}

const fn word_or_double(word: bool) -> (AtomicSize, Bits) {
    if word { (AtomicSize::Word, Bits::B32) } else { (AtomicSize::Double, Bits::B64) }
}

const fn swap_named(name: &[u8]) -> Option<(Swap, SwapBits)> {
    Some(match name {
        b"le16" => (Swap::Le, SwapBits::B16),
        b"le32" => (Swap::Le, SwapBits::B32),
        b"le64" => (Swap::Le, SwapBits::B64),
        b"be16" => (Swap::Be, SwapBits::B16),
        b"be32" => (Swap::Be, SwapBits::B32),
        b"be64" => (Swap::Be, SwapBits::B64),
        b"bswap16" => (Swap::Always, SwapBits::B16),
        b"bswap32" => (Swap::Always, SwapBits::B32),
        b"bswap64" => (Swap::Always, SwapBits::B64),
        _ => return None,
    })
}

/// Just past the brace that closes the one at `at`, or `None`. Braces inside strings and characters of
/// the Rust expression do not count.
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

/// The byte that the escape at `at` (a backslash) stands for and how long the escape is.
const fn unescape(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let kind = if at + 1 < text.len() { text[at + 1] } else { 0 };
    Some(match kind {
        b'n' => (b'\n', 2),
        b'r' => (b'\r', 2),
        b't' => (b'\t', 2),
        b'0' => (0, 2),
        b'\\' => (b'\\', 2),
        b'"' => (b'"', 2),
        b'\'' => (b'\'', 2),
        b'x' => {
            if at + 3 >= text.len() {
                return None;
            }
            match (hex(text[at + 2]), hex(text[at + 3])) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => return None,
            }
        }
        _ => return None,
    })
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The bytes of a string literal, one by one. `"text"` ends with a NUL, as in C; `b"text"` does not.
#[derive(Clone, Copy)]
pub(super) struct Literal<'a> {
    text: &'a [u8],
    pub at: usize,
    nul: bool,
    closed: bool,
}

impl<'a> Literal<'a> {
    /// Starts at the literal that stands at `at`.
    pub(super) const fn open(text: &'a [u8], at: usize) -> Option<Literal<'a>> {
        let bytes = at < text.len() && text[at] == b'b';
        let quote = if bytes { at + 1 } else { at };
        if quote >= text.len() || text[quote] != b'"' {
            return None;
        }
        Some(Literal { text, at: quote + 1, nul: !bytes, closed: false })
    }

    /// The next byte; `None` past the last; where the trouble is if an escape is wrong or the end is
    /// missing.
    pub(super) const fn next(&mut self) -> Result<Option<u8>, usize> {
        if self.closed {
            return Ok(None);
        }
        if self.at >= self.text.len() {
            return Err(self.text.len() - 1);
        }
        let byte = self.text[self.at];
        match byte {
            b'"' => {
                self.at += 1;
                self.closed = true;
                if self.nul { Ok(Some(0)) } else { Ok(None) }
            }
            b'\\' => match unescape(self.text, self.at) {
                Some((byte, used)) => {
                    self.at += used;
                    Ok(Some(byte))
                }
                None => Err(self.at),
            },
            _ => {
                self.at += 1;
                Ok(Some(byte))
            }
        }
    }
}
