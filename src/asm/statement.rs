//! The grammar of one statement of the assembly language, as `const` functions over bytes.
//!
//! [`bpf!`](crate::bpf) runs this in the compiler. It is the only parser of the syntax, so code that parses the
//! language at run time uses it too, and the two cannot differ.

use self::memory::size_bits;
use super::message::Message;
use crate::insn::table::{Shape, Shaped, shaped};
use crate::insn::{Op, Reg, Size};
use crate::spec::MapSpec;

mod cursor;
mod fast_path;
mod field;
mod jump;
mod literal;
mod memory;
mod number;
#[cfg(test)]
mod spellings;
mod symbol;
mod value;

pub use field::{field, stack};

pub(super) use cursor::{Cursor, Dialect};
pub(super) use fast_path::{Plain, indentation, plain, unmistakable};
pub(super) use literal::{Chunks, Literal};
pub(super) use symbol::Symbol;
pub(super) use value::addressable;

/// The value of a Rust part of the source: of `{expression}`, or the map that a path names.
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub enum Value<'a> {
    /// A token of the assembly language, parsed from the text.
    Text,
    /// `{expression}`.
    Int(i128),
    /// `path ll`.
    Map(&'a MapSpec<'a>),
    /// The values inside a pair of parentheses or brackets.
    Group(&'a [Value<'a>]),
}

/// A parsed statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Statement<'a> {
    /// `name:`
    Label(Span),
    /// One instruction.
    Op { op: Op, target: Target<'a> },
    /// `.option llvm_ld_pseudo`, which applies to the statements that follow.
    Option,
    /// `*(u8 *)(r10 - 16) = "text"`: as many stores of constants as the bytes need.
    Bytes { base: Reg, offset: i16, literal: Span },
}

/// An operand of an instruction that is resolved from its context.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    None,
    /// The target of a jump or call.
    Label(Span),
    /// The map whose address is loaded.
    Map(&'a MapSpec<'a>),
    /// The map, the data or the function whose address is loaded, by name, and bytes to add to it. For a map's
    /// value the instruction already has both.
    Name(Span, i32),
    /// The string whose address is loaded.
    Text(Span),
}

/// A piece of the source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// An error, and its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem {
    pub span: Span,
    pub what: What,
}

/// The kinds of error in a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// Something else is expected here.
    Expected(&'static str),
    /// The name here is not one of these.
    Not(&'static str),
    /// The name here is neither a register nor one of the alternatives in this text.
    NoRegister(&'static str),
    /// The number here does not fit its field.
    Range { field: &'static str, value: i128, low: i64, high: i64 },
    /// The number here needs 64 bits, and an immediate has 32, of a move or of another instruction.
    Wide { value: i128, moved: bool },
    /// The number here begins with a zero.
    Octal,
    /// The number here is beyond 128 bits.
    Huge,
    /// Arithmetic without a result: a division by zero, or one beyond 128 bits.
    Undefined,
    /// A number that is only valid on the machine that printed it, with the reason why it cannot be used here.
    Foreign(&'static str),
    /// An access of part of a field, or beyond it.
    Width { width: u32, bytes: u32 },
    /// A name that is neither a helper nor a label.
    NoHelper,
    /// A label that is not defined.
    NoLabel,
    /// A name that is neither a map nor data, nor a label.
    NoAddress,
    /// The label is defined twice.
    SecondLabel,
    /// The constant or the map is declared twice.
    SecondName,
    /// A listing that does not continue where the instruction before it ends.
    Gap { before: usize },
    /// A jump too far for 16 bits.
    Far { distance: i64 },
}

/// The result of parsing. The error is kept in the [`Cursor`]: carried along in every result it would make all of
/// them large, and parsing several times slower.
pub(super) type Parsed<T> = Result<T, Failed>;

/// Parsing failed; [`Cursor::failure`] has the error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed;

/// `?`, which `const fn` does not have.
macro_rules! ok {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(failed) => return Err(failed),
        }
    };
}

use ok;

/// Adds the syntax of the kernel's constants to a message, if a name looks like one of them.
const fn enumerator(name: &[u8], message: &mut Message) {
    let mut i = 0;
    while i < name.len() {
        if !(name[i].is_ascii_uppercase() || name[i].is_ascii_digit() || name[i] == b'_') {
            return;
        }
        i += 1;
    }
    if name.len() > 1 && name[0].is_ascii_uppercase() {
        message.text("; a constant of the kernel's is written `enum.");
        message.source(name);
        message.text("`");
    }
}

/// Adds the reason to a message about a number beyond 64 bits, if it comes of arithmetic with what `field!` marks.
const fn field_alone(found: &[u8], value: i128, message: &mut Message) {
    let beyond = value > u64::MAX as i128 || value < i64::MIN as i128;
    if beyond && (contains(found, b"field!") || contains(found, b"stack!")) {
        message.text(
            "; a `field!` or a `stack!` stands alone in its braces, and arithmetic outside: `{field!(T, a)} + 4`",
        );
    }
}

const fn contains(text: &[u8], word: &[u8]) -> bool {
    let mut start = 0;
    while start + word.len() <= text.len() {
        if same(sub(text, start, start + word.len()), word) {
            return true;
        }
        start += 1;
    }
    false
}

impl Problem {
    /// Writes it as one sentence, with the offending text.
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
            What::NoRegister(_) if same(found, b"r11") => {
                message.text("`");
                message.source(found);
                message.text(
                    "` is not supported: by r11 a sixth argument and those after it are passed on the stack (Linux 7.x, clang 23); \
                     pass at most five, or a pointer to what does not fit",
                );
            }
            What::NoRegister(what) => {
                message.text("`");
                message.source(found);
                message.text("` is not ");
                message.text(what);
                enumerator(found, message);
            }
            What::Range { field, value, low, high } => {
                message.text(field);
                message.text(" ");
                message.int(value);
                message.text(" does not fit: ");
                message.int(low as i128);
                message.text(" to ");
                message.int(high as i128);
                field_alone(found, value, message);
            }
            What::Wide { value, moved } => {
                message.text("the immediate ");
                message.int(value);
                message.text(" does not fit: -2147483648 to 2147483647; ");
                message.text(if moved {
                    "write `ll` behind it, which moves 64 bits: `"
                } else {
                    "move it to a register first: `rN = "
                });
                if moved {
                    message.source(found);
                } else {
                    message.int(value);
                }
                message.text(" ll`");
                field_alone(found, value, message);
            }
            What::Octal => {
                message.text("`");
                message.source(found);
                message.text("` begins with a zero, which makes it ");
                match octal(found) {
                    Some(value) => {
                        message.text("octal (");
                        message.int(value);
                        message.text(") in LLVM and C");
                    }
                    None => message.text("a wrong octal number in LLVM and C"),
                }
                message.text(": leave out the zero, or write the number in hexadecimal");
            }
            What::Huge => {
                message.text("`");
                message.source(found);
                message.text("` is far beyond 64 bits");
            }
            What::Undefined => {
                message.text("`");
                message.source(found);
                message.text("` has no value");
            }
            What::Foreign(why) => {
                message.text("`");
                message.source(found);
                message.text("` ");
                message.text(why);
            }
            What::Width { width, bytes } => {
                message.text("`");
                message.source(found);
                message.text("` is a field of ");
                message.int(width as i128);
                message.text(" bytes, and the access is one of ");
                message.int(bytes as i128);
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
            What::NoAddress => {
                message.text("`");
                message.source(found);
                message.text("` is neither a map nor data that is declared above, nor a label of this program");
                enumerator(found, message);
            }
            What::SecondName => {
                message.text("`");
                message.source(found);
                message.text("` is declared twice");
            }
            What::Gap { before } => {
                message.text("instruction ");
                message.int(before as i128);
                message.text(
                    " is missing before this one: the listing does not show the whole program",
                );
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

const INSTRUCTION: &str = "an instruction, which begins with a register, `*(type *)`, `if`, `goto`, `gotol`, `may_goto`, `call`, \
                           `exit`, `lock`, `store_release` or `callx`";

const ONE_OPERATION: &str =
    "the end of the statement, which has one operation (`r1 = r2`, then `r1 += 4`)";

/// The value of a number's digits as octal; `None` if it has others, or is beyond 126 bits.
const fn octal(digits: &[u8]) -> Option<i128> {
    let (mut i, mut value) = (0, 0);
    while i < digits.len() {
        match digits[i] {
            digit @ b'0'..=b'7' if value <= i128::MAX >> 4 => {
                value = value * 8 + (digit - b'0') as i128;
            }
            b'_' => {}
            _ => return None,
        }
        i += 1;
    }
    Some(value)
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

impl<'a> Cursor<'a> {
    /// Passes the white space and the `;` between statements; returns whether another statement follows.
    #[inline]
    pub(super) const fn more(&mut self) -> bool {
        self.skip();
        while self.peek() == b';' || self.peek() == b'\n' {
            self.at += 1;
            self.skip();
        }
        self.at < self.text.len()
    }

    /// Parses one statement and the `;` that ends it (a label has none).
    pub(super) const fn statement(&mut self) -> Parsed<Statement<'a>> {
        let start = self.at;
        if self.peek().is_ascii_digit() && !matches!(self.dialect, Dialect::Macro) {
            return self.numbered_label();
        }
        let statement = if self.peek() == b'*' {
            ok!(self.store())
        } else if let Some(dst) = self.plain_register()
            && self.peek() != b':'
        {
            // Most statements begin with a register.
            ok!(self.assign(dst))
        } else if self.peek() == b'.' && matches!(self.dialect, Dialect::Macro) {
            // A text has more directives than this one, and parses them all itself.
            self.at += 1;
            let word = ok!(self.word("the name of a directive"));
            if !same(sub(self.text, word.start, word.end), b"option") {
                let what = What::Not("an instruction, nor the directive `.option`");
                return self.problem(Span { start, end: word.end }, what);
            }
            ok!(self.option());
            Statement::Option
        } else {
            self.at = start;
            let word = ok!(self.word("an instruction"));
            let name = sub(self.text, word.start, word.end);
            if self.peek() == b':' && self.byte(1) != b':' {
                self.at += 1;
                return Ok(Statement::Label(word));
            }
            if let [b'r' | b'w', b'0'..=b'9', ..] = name {
                let dst = ok!(self.register_of(word));
                ok!(self.assign(dst))
            } else if same(name, b"exit") {
                one(Op::Exit)
            } else if same(name, b"call") {
                ok!(self.call())
            } else if same(name, b"goto") {
                ok!(self.jump(Op::Jump { offset: 0 }))
            } else if same(name, b"gotol") {
                ok!(self.jump_long())
            } else if same(name, b"may_goto") {
                ok!(self.jump(Op::MayJump { offset: 0 }))
            } else if same(name, b"if") {
                ok!(self.jump_if())
            } else if same(name, b"lock") {
                ok!(self.locked())
            } else if same(name, b"ld_pseudo") {
                ok!(self.load_pseudo())
            } else if let Some(shaped) = shaped(name)
                && matches!(shaped.shape, Shape::Register | Shape::Store)
            {
                ok!(self.shaped(shaped, word))
            } else if is_operator(self.peek()) || self.peek() == b's' {
                let dst = ok!(self.register_of(word));
                ok!(self.assign(dst))
            } else {
                return self.problem(Span { start, end: word.end }, What::Not(INSTRUCTION));
            }
        };
        self.skip();
        if !self.at_end() {
            let computes = matches!(statement, Statement::Op { op: Op::Alu { .. }, .. });
            return self.expected(match self.dialect {
                _ if computes && is_operator(self.peek()) => ONE_OPERATION,
                Dialect::Macro => "`;`",
                _ => "the end of the statement",
            });
        }
        Ok(statement)
    }

    /// Parses the operands of an operation whose syntax several share, except of those with a result.
    const fn shaped(&mut self, shaped: &Shaped, name: Span) -> Parsed<Statement<'a>> {
        let op = if matches!(shaped.shape, Shape::Register) {
            let dst = ok!(self.register64()).reg;
            shaped.with(Size::Double, dst.number(), 0, 0)
        } else {
            ok!(self.need("(", "`(`"));
            ok!(self.need("(", "`(`"));
            let size = ok!(self.unsigned_access()).size;
            let address = ok!(self.parenthesized_address());
            ok!(self.whole_field(address, size.bytes()));
            ok!(self.need(",", "`,`"));
            let src = ok!(self.register_as(size_bits(size))).reg;
            ok!(self.need(")", "`)`"));
            shaped.with(size, address.base.number(), src.number(), address.offset)
        };
        match op {
            Some(op) => Ok(one(op)),
            None => self.problem(name, What::Not("an operation of that size")),
        }
    }

    /// Parses the operand of `.option`.
    pub(in crate::asm) const fn option(&mut self) -> Parsed<()> {
        let name = ok!(self.word("the name of an option"));
        if !same(sub(self.text, name.start, name.end), b"llvm_ld_pseudo") {
            return self.problem(name, What::Not("an option: llvm_ld_pseudo"));
        }
        self.llvm_ld_pseudo = true;
        Ok(())
    }

    /// Parses `1:`, a label that can be reused; `1f` and `1b` refer to the next and the last one.
    const fn numbered_label(&mut self) -> Parsed<Statement<'a>> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        let label = Span { start, end: self.at };
        ok!(self.need(":", "an instruction, or `:` after the number of a label"));
        Ok(Statement::Label(label))
    }
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
