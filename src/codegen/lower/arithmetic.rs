//! Lowering of operations of two operands: constants are folded, and powers of two become shifts and masks.

use super::super::constants;
use super::super::ir::{Binary, Inst, Operand, Src, Var};
use super::super::unit::Isa;
use super::{Lower, Val};
use crate::insn::{AluOp, Bits};

impl Lower<'_> {
    pub(super) fn binary(&mut self, bits: Bits, op: Binary, dst: Var, a: Operand, b: Operand) {
        match (self.value(a), self.value(b)) {
            (Val::Imm(a), Val::Imm(b)) => self.constant(dst, constants::binary(bits, op, a, b)),
            (Val::Object(object, offset), Val::Imm(by))
                if bits == Bits::B64 && op == Binary::Add && i32::try_from(by as i64).is_ok() =>
            {
                let value = Val::Object(object, offset.saturating_add(by as i32));
                self.put(dst, value);
                self.learn_value(dst, value);
            }
            (_, Val::Imm(value)) => self.binary_imm(bits, op, dst, a, b, value),
            (Val::Imm(_), _)
                if matches!(
                    op,
                    Binary::Add | Binary::Mul | Binary::And | Binary::Or | Binary::Xor
                ) =>
            {
                self.binary(bits, op, dst, b, a);
            }
            (Val::Imm(0), _) if op == Binary::Sub => {
                let src = self.operand_var(b);
                self.push(Inst::Neg { bits, dst, src });
            }
            _ => {
                let (a, b) = (self.operand_var(a), self.operand_var(b));
                self.binary_src(bits, op, dst, a, Src::Var(b));
            }
        }
    }

    /// An operation with a constant as the second operand.
    fn binary_imm(&mut self, bits: Bits, op: Binary, dst: Var, a: Operand, b: Operand, value: u64) {
        let (value, width) = match bits {
            Bits::B64 => (value, 63),
            Bits::B32 => (u64::from(value as u32), 31),
        };
        let all = if bits == Bits::B64 { u64::MAX } else { u32::MAX.into() };
        let power = value.is_power_of_two().then(|| value.trailing_zeros() as i32);
        let first = self.operand_var(a);
        let imm = |op, imm| Some((op, Src::Imm(imm)));
        let done = match (op, power) {
            (Binary::Lsh | Binary::Rsh | Binary::Arsh, _) => {
                let by = (value & width) as i32;
                let op = alu_op(op);
                if by == 0 { imm(AluOp::Mov, 0) } else { imm(op, by) }
            }
            (Binary::Add | Binary::Sub | Binary::Or | Binary::Xor, _) if value == 0 => {
                imm(AluOp::Mov, 0)
            }
            (Binary::And, _) if value == all => imm(AluOp::Mov, 0),
            (Binary::Mul | Binary::Div | Binary::SignedDiv, Some(0)) => imm(AluOp::Mov, 0),
            (Binary::Mul | Binary::And, _) if value == 0 => return self.constant(dst, 0),
            (Binary::Div | Binary::SignedDiv, _) if value == 0 => return self.constant(dst, 0),
            (Binary::Mod | Binary::SignedMod, _) if value == 0 => imm(AluOp::Mov, 0),
            (Binary::Mul, Some(power)) => imm(AluOp::Lsh, power),
            (Binary::Div, Some(power)) => imm(AluOp::Rsh, power),
            (Binary::Mod, Some(_)) => {
                let mask = value - 1;
                let mask =
                    if bits == Bits::B32 { Src::Imm(mask as i32) } else { self.imm_src(mask) };
                Some((AluOp::And, mask))
            }
            _ => None,
        };
        match done {
            Some((AluOp::Mov, _)) if bits == Bits::B64 => {
                self.put(dst, Val::Var(first));
                self.learn_value(dst, Val::Var(first));
            }
            Some((AluOp::Mov, _)) => self.push(Inst::Mov { bits, dst, src: first }),
            Some((op, src)) => self.alu_to(dst, bits, op, first, src),
            None if matches!(op, Binary::SignedDiv | Binary::SignedMod) => {
                if self.isa >= Isa::V4 {
                    let src = self.src(bits, b);
                    self.binary_src(bits, op, dst, first, src);
                } else {
                    self.divide_by(bits, op == Binary::SignedMod, dst, first, value);
                }
            }
            None => {
                let src = self.src(bits, b);
                self.binary_src(bits, op, dst, first, src);
            }
        }
        let small = match op {
            Binary::And => value >> 63 == 0,
            Binary::Rsh => bits == Bits::B32 || value & width != 0,
            _ => bits == Bits::B32,
        };
        if small {
            self.learn(dst, |facts| facts.small = true);
        }
        let left = match (op, value, done) {
            (_, _, Some((AluOp::Mov, _))) if bits == Bits::B32 => 4,
            (Binary::And, 0xffff_ffff, _) => 4,
            (Binary::And, 0xffff, _) => 2,
            (Binary::And, 0xff, _) => 1,
            _ => return,
        };
        self.learn_cut(dst, Val::Var(first), left);
    }

    pub(super) fn binary_src(&mut self, bits: Bits, op: Binary, dst: Var, a: Var, b: Src) {
        match (op, b) {
            (Binary::SignedDiv | Binary::SignedMod, Src::Var(b)) if self.isa < Isa::V4 => {
                self.divide(bits, op == Binary::SignedMod, dst, a, b);
            }
            _ => {
                let signed = matches!(op, Binary::SignedDiv | Binary::SignedMod);
                self.alu_signed(dst, bits, alu_op(op), signed, a, b);
            }
        }
        if bits == Bits::B32 {
            self.learn(dst, |facts| facts.small = true);
        }
    }
}

/// The operation of an instruction.
fn alu_op(op: Binary) -> AluOp {
    match op {
        Binary::Add => AluOp::Add,
        Binary::Sub => AluOp::Sub,
        Binary::Mul => AluOp::Mul,
        Binary::Div | Binary::SignedDiv => AluOp::Div,
        Binary::Mod | Binary::SignedMod => AluOp::Mod,
        Binary::And => AluOp::And,
        Binary::Or => AluOp::Or,
        Binary::Xor => AluOp::Xor,
        Binary::Lsh => AluOp::Lsh,
        Binary::Rsh => AluOp::Rsh,
        Binary::Arsh => AluOp::Arsh,
    }
}
