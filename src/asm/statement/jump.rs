//! Jumps and calls.

use super::cursor::is_word;
use super::{Cursor, Dialect, Parsed, Span, Statement, What, ok, one, same, sub, to};
use crate::asm::helpers::{HELPERS, helper_number};
use crate::insn::table::{COMPARISON_OPERATORS, Operation};
use crate::insn::{Condition, Op};

/// The target of a jump.
#[derive(Clone, Copy)]
pub(super) enum Destination {
    Distance(i128, Span),
    Label(Span),
}

const DISTANCE: &str =
    "a label, nor a distance from the next instruction, which has a sign: `+3` or `-3`";

impl<'a> Cursor<'a> {
    /// Parses `+3`, `-3`, `pc+3`, a label, or in a text `1f` and `1b`. A bare number is none of these: LLVM reads
    /// it as an absolute address.
    pub(super) const fn jump_target(&mut self) -> Parsed<Destination> {
        if self.peek() == b'p' && self.byte(1) == b'c' && matches!(self.byte(2), b'+' | b'-') {
            self.at += 2;
        }
        if matches!(self.peek(), b'+' | b'-') {
            let (value, span) = ok!(self.number("a distance"));
            return Ok(Destination::Distance(value, span));
        }
        if self.peek().is_ascii_digit() && !matches!(self.dialect, Dialect::Macro) {
            let start = self.at;
            while self.peek().is_ascii_digit() {
                self.at += 1;
            }
            if matches!(self.peek(), b'f' | b'b') && !is_word(self.byte(1)) {
                self.at += 1;
                let label = Span { start, end: self.at };
                self.skip();
                return Ok(Destination::Label(label));
            }
            self.at = start;
        }
        if self.peek().is_ascii_digit() {
            let (_, span) = ok!(self.number("a distance"));
            return self.problem(span, What::Not(DISTANCE));
        }
        Ok(Destination::Label(ok!(self.word("a label, or a distance such as +3"))))
    }

    /// Parses the target of a jump whose offset has 16 bits.
    pub(super) const fn jump(&mut self, op: Op) -> Parsed<Statement<'a>> {
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

    pub(super) const fn jump_long(&mut self) -> Parsed<Statement<'a>> {
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
    pub(super) const fn jump_if(&mut self) -> Parsed<Statement<'a>> {
        let dst = ok!(self.register());
        let condition = ok!(self.condition());
        let src = ok!(self.source(dst.bits));
        if !self.take_word("goto") {
            return self.expected("`goto`");
        }
        self.jump(Op::JumpIf { bits: dst.bits, condition, dst: dst.reg, src, offset: 0 })
    }

    pub(super) const fn condition(&mut self) -> Parsed<Condition> {
        let signed = self.take_word("s");
        match self.operator(&COMPARISON_OPERATORS, signed) {
            Some(Operation::JumpIf(condition)) => Ok(condition),
            _ if signed => self.expected("s>, s>=, s< or s<="),
            _ => self.expected("a comparison: ==, !=, >, >=, <, <=, &, s>, s>=, s<, s<="),
        }
    }

    /// Parses `call trace_printk`, `call 6`, `call function`, `call pc+3`, `call kfunc 123`, `call args.arg3`; in
    /// the kernel's style `call bpf_trace_printk#6`, `call pc+3#bpf_prog_5e59ebbeafcc272a_F`.
    pub(super) const fn call(&mut self) -> Parsed<Statement<'a>> {
        if self.peek() == b'p' && self.byte(1) == b'c' && matches!(self.byte(2), b'+' | b'-') {
            self.at += 2;
            let offset = ok!(self.distance32());
            if self.is_listing() && self.peek() == b'#' {
                // A dump also names the function: `pc+3#bpf_prog_5e59ebbeafcc272a_F`.
                self.at += 1;
                ok!(self.word("the name of a function"));
            }
            return Ok(one(Op::CallLocal { offset }));
        }
        if !(self.peek() == b'_' || self.peek().is_ascii_alphabetic()) {
            let (value, span) = ok!(self.number("the name or the number of a helper"));
            let number =
                ok!(self.fit("the helper's number", value, span, i32::MIN as i64, i32::MAX as i64));
            return Ok(one(Op::CallHelper { number: number as i32 }));
        }
        if ok!(self.names_an_argument()) {
            // Not a helper: the call is filled in when the program is loaded.
            return Ok(one(Op::CallHelper { number: 0 }));
        }
        let name = ok!(self.word_alone("a helper"));
        if self.peek() == b'#' && matches!(self.byte(1), b'-' | b'0'..=b'9') {
            return self.numbered_call(name);
        }
        self.skip();
        let word = sub(self.text, name.start, name.end);
        if same(word, b"kfunc") && !self.at_end() {
            return self.call_kfunc();
        }
        Ok(match helper_named(word) {
            Some(number) => one(Op::CallHelper { number }),
            None => to(Op::CallLocal { offset: 0 }, name),
        })
    }

    /// `call kfunc bpf_task_acquire`; `call kfunc 123`, `call kfunc 123, 4`: a kernel function by BTF id and the index of
    /// its BTF.
    const fn call_kfunc(&mut self) -> Parsed<Statement<'a>> {
        if self.names_a_function() {
            return Ok(one(Op::CallKfunc { btf_id: 0, fd_index: 0 }));
        }
        let (value, span) = ok!(self.number("the BTF id of a kernel function"));
        let id = ok!(self.fit("the BTF id", value, span, i32::MIN as i64, i32::MAX as i64));
        let fd_index = if self.take(",") {
            let (value, span) = ok!(self.number("an index of descriptors"));
            ok!(self.fit("the index", value, span, i16::MIN as i64, i16::MAX as i64)) as i16
        } else {
            0
        };
        Ok(one(Op::CallKfunc { btf_id: id as i32, fd_index }))
    }

    /// The kernel's style, a name and a number: of a helper its own; of a kernel function its BTF id. In a dump of
    /// translated code the number is an address, which is ignored, and the name alone counts.
    const fn numbered_call(&mut self, name: Span) -> Parsed<Statement<'a>> {
        self.at += 1;
        let (value, span) = ok!(self.number("a number"));
        let number =
            ok!(self.fit("the number", value, span, i32::MIN as i64, i32::MAX as i64)) as i32;
        let word = sub(self.text, name.start, name.end);
        match helper_named(word) {
            Some(known) if known == number || number < 0 || number as usize >= HELPERS.len() => {
                Ok(one(Op::CallHelper { number: known }))
            }
            Some(_) => self.problem(span, What::Not("the number of the helper of that name")),
            None if same(word, b"unknown") => Ok(one(Op::CallHelper { number })),
            None if number > 0 => Ok(one(Op::CallKfunc { btf_id: number, fd_index: 0 })),
            None => self.problem(
                name,
                What::Foreign("is not a helper that is known here, and its number is an address"),
            ),
        }
    }

    const fn distance32(&mut self) -> Parsed<i32> {
        let (value, span) = ok!(self.number("a distance"));
        Ok(ok!(self.fit("the distance", value, span, i32::MIN as i64, i32::MAX as i64)) as i32)
    }
}

/// The number of a helper by its name, which in C begins with `bpf_`.
const fn helper_named(name: &[u8]) -> Option<i32> {
    match name {
        [b'b', b'p', b'f', b'_', rest @ ..] => helper_number(rest),
        _ => helper_number(name),
    }
}
