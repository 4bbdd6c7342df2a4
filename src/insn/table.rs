//! The instruction table: one row for each operation, with everything that does not depend on its operands.
//!
//! The decoder, the printer, the parser of the assembly language, `rawbpf explain`, the feature probes and the table in
//! `docs/assembly.md` are generated from it. It is a constant: a binary contains only the parts that its program uses.

// Without the command, only versions and spellings are read.
#![cfg_attr(not(feature = "cli"), allow(dead_code))]

mod rows;
#[cfg(test)]
mod tests;

pub(crate) use super::op::Operation;
pub(crate) use rows::TABLE;

use super::{AluOp, AtomicOp, Bits, Condition, Insn, Op, Size, class, mode};
use crate::util::Version;

/// A row of the table: the properties of an operation.
#[derive(Debug)]
pub(crate) struct Row {
    /// The operation.
    pub operation: Operation,
    /// The name of the operation code: RFC 9669's, or where that has none, the kernel's.
    pub name: &'static str,
    /// The spelling, by an example whose operands are `r1`, `r2`, 5, 8 and so on. Operators and mnemonics are extracted
    /// from it.
    pub spelling: &'static str,
    /// The form that works on 64 bits, or the only one.
    pub wide: Form,
    /// The form that works on fewer.
    pub narrow: Form,
    /// The section of RFC 9669.
    pub rfc: Option<&'static str>,
    /// The meanings of the fields.
    pub fields: Fields,
    /// The meaning, in one line. Names in braces stand for operands: `cli/explain/meaning.rs` has the list.
    pub meaning: &'static str,
    /// Further remarks that hold for all operands.
    pub notes: &'static [&'static str],
    /// The syntax, for printer and parser.
    pub syntax: Syntax,
}

/// The syntax of an operation, with an instruction to which only the operands are added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Syntax {
    /// Printer and parser have code for it.
    Own,
    /// `name r1`
    Register(Op),
    /// `r1 = name((u64 *)(r2 + 8))`, for all sizes
    Load(Op),
    /// `name((u64 *)(r1 + 8), r2)`, for all sizes
    Store(Op),
}

/// The properties of one width of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form {
    /// The version of the ISA, as compilers count (`-mcpu=v3`); `None` if it is part of no version.
    pub isa: Option<u8>,
    /// The first Linux that accepts it; `None` if none does.
    pub linux: Option<Version>,
    /// The conformance group of RFC 9669 section 2.4; `None` if the RFC does not have the instruction.
    pub group: Option<Group>,
}

/// The meanings of the fields beside the opcode; [`UNUSED`] if they have to be 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fields {
    /// The destination register.
    pub dst: &'static str,
    /// The source register. If `imm` says the same, the source bit decides which of the two is used.
    pub src: &'static str,
    /// The offset.
    pub offset: &'static str,
    /// The immediate.
    pub imm: &'static str,
    /// The immediate of the second slot.
    pub next_imm: &'static str,
}

/// The text for a field that has to be 0.
pub(crate) const UNUSED: &str = "not used";

/// A conformance group: instructions that an implementation supports together (RFC 9669 section 2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    Base32,
    Base64,
    Atomic32,
    Atomic64,
    Divmul32,
    Divmul64,
    Packet,
}

impl Group {
    /// The RFC's label.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Group::Base32 => "base32",
            Group::Base64 => "base64",
            Group::Atomic32 => "atomic32",
            Group::Atomic64 => "atomic64",
            Group::Divmul32 => "divmul32",
            Group::Divmul64 => "divmul64",
            Group::Packet => "packet",
        }
    }
}

impl Op {
    /// Returns the row of the table that this instruction belongs to.
    pub(crate) fn row(self) -> &'static Row {
        let operation = self.operation();
        // Every operation has a row: a test checks all of them.
        TABLE.iter().find(|row| row.operation == operation).unwrap_or(&TABLE[0])
    }

    /// Returns the versions and the conformance group of this instruction.
    pub(crate) fn form(self) -> Form {
        let row = self.row();
        if self.encode().first().is_64() { row.wide } else { row.narrow }
    }
}

impl Insn {
    /// Returns whether the instruction works on 64 bits: by its class, its size, or for a byte swap the immediate.
    pub(crate) const fn is_64(self) -> bool {
        match self.opcode() & 7 {
            class::ALU | class::ALU64 if self.opcode() & 0xf0 == super::op::END => self.imm() == 64,
            class::ALU | class::JMP32 => false,
            class::ALU64 | class::JMP => true,
            _ => self.opcode() & 0x18 == Size::Double as u8,
        }
    }

    /// Returns whether its source bit or its mode says that the second operand is a register.
    pub(crate) const fn has_source_register(self) -> bool {
        match self.opcode() & 7 {
            class::LD => self.opcode() & 0xe0 == mode::IND,
            class::LDX | class::STX => true,
            class::ST => false,
            _ => self.opcode() & super::SOURCE_REG != 0,
        }
    }

    /// Returns the width with which the registers of the instruction are printed.
    pub(crate) const fn bits(self) -> Bits {
        if matches!(self.opcode() & 7, class::ALU | class::JMP32) { Bits::B32 } else { Bits::B64 }
    }
}

/// An operation whose syntax is one that several share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shaped {
    /// Its name.
    pub name: &'static str,
    /// The syntax.
    pub shape: Shape,
    opcode: u8,
    /// The bits of the opcode that are an operand: the size.
    size: u8,
    imm: i32,
}

/// A syntax that several operations have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// `name r1`
    Register,
    /// `r1 = name((u64 *)(r2 + 8))`
    Load,
    /// `name((u64 *)(r1 + 8), r2)`
    Store,
}

impl Shaped {
    /// Returns whether a slot is this operation with any operands.
    #[inline]
    pub(crate) const fn is(&self, slot: Insn) -> bool {
        slot.opcode() | self.size == self.opcode && slot.imm() == self.imm
    }

    /// Returns the instruction with these operands; `None` if there is none of that size.
    pub(crate) const fn with(&self, size: Size, dst: u8, src: u8, offset: i16) -> Option<Op> {
        let opcode = self.opcode & !self.size | size as u8 & self.size;
        match Op::decode(&[Insn::from_fields(opcode, dst, src, offset, self.imm)]) {
            Ok(op) => Some(op),
            Err(_) => None,
        }
    }
}

const SHAPED_COUNT: usize = {
    let (mut count, mut at) = (0, 0);
    while at < TABLE.len() {
        count += !matches!(TABLE[at].syntax, Syntax::Own) as usize;
        at += 1;
    }
    count
};

/// The operations whose syntax is one that several share.
pub(crate) const SHAPED: &[Shaped; SHAPED_COUNT] = &{
    let none = Shaped { name: "", shape: Shape::Register, opcode: 0, size: 0, imm: 0 };
    let mut all = [none; SHAPED_COUNT];
    let (mut count, mut at) = (0, 0);
    while at < TABLE.len() {
        let Row { spelling, syntax, .. } = &TABLE[at];
        let (name, shape, size, op) = match *syntax {
            Syntax::Own => ("", Shape::Register, 0, Op::Exit),
            Syntax::Register(op) => (between(spelling, "", " r1"), Shape::Register, 0, op),
            Syntax::Load(op) => {
                let name = between(spelling, "r1 = ", "((u64 *)(r2 + 8))");
                (name, Shape::Load, Size::Double as u8, op)
            }
            Syntax::Store(op) => {
                let name = between(spelling, "", "((u64 *)(r1 + 8), r2)");
                (name, Shape::Store, Size::Double as u8, op)
            }
        };
        if !name.is_empty() {
            let slot = op.encode().first();
            let (opcode, imm) = (slot.opcode() | size, slot.imm());
            all[count] = Shaped { name, shape, opcode, size, imm };
            count += 1;
        }
        at += 1;
    }
    all
};

/// Returns the operation of that name among those whose syntax several share.
pub(crate) const fn shaped(name: &[u8]) -> Option<&'static Shaped> {
    let mut at = 0;
    while at < SHAPED.len() {
        let bytes = SHAPED[at].name.as_bytes();
        if bytes.len() == name.len() && starts_with(bytes, name) {
            return Some(&SHAPED[at]);
        }
        at += 1;
    }
    None
}

/// Returns the row of that spelling, which must exist.
pub(crate) const fn row(spelling: &str) -> &'static Row {
    let mut at = 0;
    while at < TABLE.len() {
        let other = TABLE[at].spelling.as_bytes();
        if other.len() == spelling.len() && starts_with(other, spelling.as_bytes()) {
            return &TABLE[at];
        }
        at += 1;
    }
    panic!("no row of the instruction table has this spelling")
}

// ---- tables by number or by spelling, computed at compile time -------------------------------------------------

/// The arithmetic operations by the high half of the opcode.
pub(super) const ALU_BY_CODE: [Option<AluOp>; 16] = {
    let mut by_code = [None; 16];
    let mut at = 0;
    while at < TABLE.len() {
        if let Operation::Alu(op) = TABLE[at].operation {
            by_code[op as usize >> 4] = Some(op);
        }
        at += 1;
    }
    by_code
};

/// The conditions by the high half of the opcode.
pub(super) const CONDITION_BY_CODE: [Option<Condition>; 16] = {
    let mut by_code = [None; 16];
    let mut at = 0;
    while at < TABLE.len() {
        if let Operation::JumpIf(condition) = TABLE[at].operation {
            by_code[condition as usize >> 4] = Some(condition);
        }
        at += 1;
    }
    by_code
};

/// Returns the index of an atomic operation with this immediate in tables by operation; `None` if none can have it.
pub(super) const fn atomic_index(imm: i32) -> Option<usize> {
    if imm & !0xf1 == 0 { Some((imm >> 3 | imm & 1) as usize) } else { None }
}

/// The atomic operations by [`atomic_index`].
pub(super) const ATOMIC_BY_INDEX: [Option<AtomicOp>; 32] = {
    let mut by_index = [None; 32];
    let mut at = 0;
    while at < TABLE.len() {
        if let Operation::Atomic(op) = TABLE[at].operation
            && let Some(index) = atomic_index(op as i32)
        {
            by_index[index] = Some(op);
        }
        at += 1;
    }
    by_index
};

/// The operators of arithmetic by the high half of the opcode, with a space on both sides: ` += `.
pub(crate) const ASSIGNMENTS: [&str; 16] = {
    let mut by_code = [""; 16];
    let mut at = 0;
    while at < TABLE.len() {
        if let Operation::Alu(op) = TABLE[at].operation {
            by_code[op as usize >> 4] = between(TABLE[at].spelling, "r1", "r2");
        }
        at += 1;
    }
    by_code
};

/// The operators of signed arithmetic by the high half of the opcode, with a space on both sides.
pub(crate) const SIGNED_ASSIGNMENTS: [&str; 16] = {
    let mut by_code = [""; 16];
    let mut at = 0;
    while at < TABLE.len() {
        if let Operation::AluSigned(op) = TABLE[at].operation {
            by_code[op as usize >> 4] = between(TABLE[at].spelling, "r1", "r2");
        }
        at += 1;
    }
    by_code
};

/// The comparisons by the high half of the opcode, with a space on both sides: ` s> `.
pub(crate) const COMPARISONS: [&str; 16] = {
    let mut by_code = [""; 16];
    let mut at = 0;
    while at < TABLE.len() {
        if let Operation::JumpIf(condition) = TABLE[at].operation {
            by_code[condition as usize >> 4] = between(TABLE[at].spelling, "if r1", "r2 goto +3");
        }
        at += 1;
    }
    by_code
};

/// The operators of atomic operations without a result by the high half of the immediate, with a space on both sides.
pub(crate) const LOCKED: [&str; 16] = {
    let mut by_code = [""; 16];
    let mut at = 0;
    while at < TABLE.len() {
        let Row { operation, spelling, .. } = &TABLE[at];
        if let Operation::Atomic(op) = *operation
            && op as i32 & 1 == 0
        {
            by_code[op as usize >> 4 & 15] = between(spelling, "lock *(u64 *)(r1 + 8)", "r2");
        }
        at += 1;
    }
    by_code
};

/// The rest of the name after `atomic_` of operations with a result, by the high half of the immediate: `fetch_add`.
/// Exchanges have other names.
pub(crate) const FETCHING: [&str; 16] = {
    let mut by_code = [""; 16];
    let mut at = 0;
    while at < TABLE.len() {
        let Row { operation, spelling, .. } = &TABLE[at];
        if let Operation::Atomic(op) = *operation
            && op as i32 & 1 == 1
            && !matches!(op, AtomicOp::Exchange | AtomicOp::CompareExchange)
        {
            by_code[op as usize >> 4 & 15] =
                between(spelling, "r2 = atomic_", "((u64 *)(r1 + 8), r2)");
        }
        at += 1;
    }
    by_code
};

/// The operators of the assembly language that are allowed in one place, for searching in a text.
pub(crate) struct Operators<const N: usize> {
    /// The index of the first operator that begins with this byte; N if none does.
    first: [u8; 128],
    /// The operators, those with the same first byte together, the longest first.
    all: [Operator; N],
}

/// An operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator {
    /// The operation it stands for.
    pub operation: Operation,
    /// Whether it has an `s` prefix.
    signed: bool,
    /// Its bytes behind that, at most four, as a little-endian number; and a mask of that many bytes.
    word: u32,
    mask: u32,
    /// The number of those bytes.
    pub length: usize,
}

impl<const N: usize> Operators<N> {
    /// Returns the operator that a text has at these four bytes, which follow an `s` or not.
    #[inline(always)]
    pub(crate) const fn find(&self, four: [u8; 4], signed: bool) -> Option<&Operator> {
        let mut at = self.first[(four[0] & 127) as usize] as usize;
        let word = u32::from_le_bytes(four);
        while at < N && self.all[at].word as u8 == four[0] {
            let operator = &self.all[at];
            if word & operator.mask == operator.word && operator.signed == signed {
                return Some(operator);
            }
            at += 1;
        }
        None
    }
}

const NO_OPERATOR: Operator =
    Operator { operation: Operation::Exit, signed: false, word: 0, mask: 0, length: 0 };

/// The places in which operators can stand.
#[derive(Clone, Copy)]
enum Place {
    Assignment,
    Comparison,
    Locked,
    Fetching,
}

const ASSIGNMENT_COUNT: usize = count(Place::Assignment);
const COMPARISON_COUNT: usize = count(Place::Comparison);
const LOCKED_COUNT: usize = count(Place::Locked);
const FETCHING_COUNT: usize = count(Place::Fetching);

/// The operators of assignments but `=` itself.
pub(crate) const ASSIGNMENT_OPERATORS: Operators<ASSIGNMENT_COUNT> = operators(Place::Assignment);

/// The operators of comparisons.
pub(crate) const COMPARISON_OPERATORS: Operators<COMPARISON_COUNT> = operators(Place::Comparison);

/// The operators of atomic operations without a result.
pub(crate) const LOCKED_OPERATORS: Operators<LOCKED_COUNT> = operators(Place::Locked);

/// The ends of the names of atomic operations with a result: `add` of `atomic_fetch_add`.
pub(crate) const FETCHING_NAMES: Operators<FETCHING_COUNT> = operators(Place::Fetching);

/// Returns the operator in a row, if it has one that is allowed there.
const fn operator(row: &Row, place: Place) -> Option<&'static str> {
    match (row.operation, place) {
        (Operation::Alu(AluOp::Mov), _) => None,
        (Operation::Alu(_) | Operation::AluSigned(_), Place::Assignment) => {
            Some(between(row.spelling, "r1", "r2"))
        }
        (Operation::JumpIf(_), Place::Comparison) => {
            Some(between(row.spelling, "if r1", "r2 goto +3"))
        }
        (Operation::Atomic(op), Place::Locked) if op as i32 & 1 == 0 => {
            Some(LOCKED[op as usize >> 4 & 15])
        }
        (Operation::Atomic(op), Place::Fetching) if op as i32 & 1 == 1 => {
            let name = FETCHING[op as usize >> 4 & 15];
            if name.is_empty() { None } else { Some(between(name, "fetch_", "")) }
        }
        _ => None,
    }
}

const fn count(place: Place) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < TABLE.len() {
        count += operator(&TABLE[at], place).is_some() as usize;
        at += 1;
    }
    count
}

/// Sorts the operators of a place, by their first byte and then by their length, the longest first. Every crate that uses `bpf!`
/// computes this while it is compiled: one pass over the table.
const fn operators<const N: usize>(place: Place) -> Operators<N> {
    let (mut first, mut all) = ([N as u8; 128], [NO_OPERATOR; N]);
    let (mut count, mut at) = (0, 0);
    while at < TABLE.len() {
        if let Some(spelling) = operator(&TABLE[at], place) {
            let new = parsed(TABLE[at].operation, spelling);
            assert!(new.length <= 4, "an operator has at most four bytes behind its `s`");
            let mut place = count;
            while place > 0 && stands_before(&new, &all[place - 1]) {
                all[place] = all[place - 1];
                place -= 1;
            }
            all[place] = new;
            count += 1;
        }
        at += 1;
    }
    while count > 0 {
        count -= 1;
        first[all[count].word as u8 as usize] = count as u8;
    }
    Operators { first, all }
}

const fn stands_before(one: &Operator, other: &Operator) -> bool {
    let (byte, of_other) = (one.word as u8, other.word as u8);
    byte < of_other || byte == of_other && one.length > other.length
}

const fn parsed(operation: Operation, spelling: &str) -> Operator {
    let bytes = spelling.trim_ascii().as_bytes();
    let signed = bytes[0] == b's';
    let (mut word, mut mask, mut at) = (0, 0, signed as usize);
    while at < bytes.len() {
        let shift = 8 * (at - signed as usize) as u32;
        word |= (bytes[at] as u32) << shift;
        mask |= 0xff << shift;
        at += 1;
    }
    Operator { operation, signed, word, mask, length: bytes.len() - signed as usize }
}

/// Returns the text between a prefix and a suffix, both of which must be there.
const fn between(text: &'static str, before: &str, after: &str) -> &'static str {
    assert!(
        starts_with(text.as_bytes(), before.as_bytes()),
        "a spelling does not begin as it has to"
    );
    let (_, rest) = text.split_at(before.len());
    let (middle, end) = rest.split_at(rest.len() - after.len());
    assert!(starts_with(end.as_bytes(), after.as_bytes()), "a spelling does not end as it has to");
    middle
}

const fn starts_with(text: &[u8], start: &[u8]) -> bool {
    let mut at = 0;
    while at < start.len() {
        if at == text.len() || text[at] != start[at] {
            return false;
        }
        at += 1;
    }
    true
}
