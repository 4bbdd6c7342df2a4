//! Operations that expand to several instructions: comparisons that give 0 or 1, and signed division where the
//! instruction set has none.

use super::constants::{self, mirrored};
use super::ir::{Inst, Src, Var};
use super::lower::{Lower, Val, is_signed};
use crate::insn::{AluOp, Bits, Condition};

const B64: Bits = Bits::B64;

/// The order of two numbers, as a question whether one is less.
enum Less<'a> {
    /// The result is known.
    Always(bool),
    /// `a < b`, or its opposite.
    Than { a: Val<'a>, b: Val<'a>, opposite: bool },
}

impl<'a> Lower<'a> {
    /// `dst = a condition b`, 0 or 1, without branches.
    pub(super) fn compare(
        &mut self,
        bits: Bits,
        condition: Condition,
        dst: Var,
        a: Val<'a>,
        b: Val<'a>,
    ) {
        let (a, b, condition) = match (a, b) {
            (Val::Imm(a), Val::Imm(b)) => {
                let value = constants::compare(bits, condition, a, b).into();
                return self.push(Inst::Imm { dst, value });
            }
            (Val::Imm(_), _) => (b, a, mirrored(condition)),
            _ => (a, b, condition),
        };
        // Halves become numbers of 64 bits whose difference does not overflow.
        let signed = is_signed(condition);
        let (a, b, narrow) = match bits {
            Bits::B64 => (a, b, !signed && self.is_small(a) && self.is_small(b)),
            Bits::B32 => (self.widened_value(signed, a), self.widened_value(signed, b), true),
        };
        match condition {
            Condition::Eq | Condition::Ne => {
                let left = self.in_var(a);
                let difference = match b {
                    Val::Imm(0) => left,
                    b => {
                        let b = self.src_of(b);
                        self.alu(B64, AluOp::Xor, left, b)
                    }
                };
                self.is_zero(dst, difference, condition == Condition::Eq, narrow);
            }
            Condition::Set => {
                let left = self.in_var(a);
                if let Val::Imm(mask) = b
                    && mask.is_power_of_two()
                {
                    let by = mask.trailing_zeros() as i32;
                    let low = self.alu(B64, AluOp::Rsh, left, Src::Imm(by));
                    return self.alu_to(dst, B64, AluOp::And, low, Src::Imm(1));
                }
                let b = self.src_of(b);
                let both = self.alu(B64, AluOp::And, left, b);
                self.is_zero(dst, both, false, narrow);
            }
            _ => match less(condition, a, b) {
                Less::Always(holds) => self.push(Inst::Imm { dst, value: holds.into() }),
                Less::Than { a, b, opposite } => self.less(dst, signed, narrow, a, b, opposite),
            },
        }
    }

    fn widened_value(&mut self, signed: bool, value: Val<'a>) -> Val<'a> {
        match value {
            Val::Imm(value) if signed => Val::Imm(value as i32 as u64),
            Val::Imm(value) => Val::Imm(value as u32 as u64),
            value => {
                let src = self.in_var(value);
                Val::Var(self.widened(signed, src))
            }
        }
    }

    fn src_of(&mut self, value: Val<'a>) -> Src {
        match value {
            Val::Imm(value) => self.imm_src(value),
            value => Src::Var(self.in_var(value)),
        }
    }

    /// `dst` = whether the value is 0, or whether it is not; `small` if its sign bit is 0.
    fn is_zero(&mut self, dst: Var, value: Var, zero: bool, small: bool) {
        let (one, sign) = (Src::Imm(1), Src::Imm(63));
        match (small, zero) {
            (true, true) => {
                let below = self.alu(B64, AluOp::Sub, value, one);
                self.alu_to(dst, B64, AluOp::Rsh, below, sign);
            }
            (true, false) => {
                let below = self.mir.new_var();
                self.push(Inst::Neg { bits: B64, dst: below, src: value });
                self.alu_to(dst, B64, AluOp::Rsh, below, sign);
            }
            (false, _) => {
                let negative = self.mir.new_var();
                self.push(Inst::Neg { bits: B64, dst: negative, src: value });
                let either = self.alu(B64, AluOp::Or, negative, Src::Var(value));
                if zero {
                    let some = self.alu(B64, AluOp::Rsh, either, sign);
                    self.alu_to(dst, B64, AluOp::Xor, some, one);
                } else {
                    self.alu_to(dst, B64, AluOp::Rsh, either, sign);
                }
            }
        }
    }

    /// `dst = a < b`, or its opposite: the sign of a difference, corrected where that overflows.
    fn less(
        &mut self,
        dst: Var,
        signed: bool,
        narrow: bool,
        a: Val<'a>,
        b: Val<'a>,
        opposite: bool,
    ) {
        let constant = match b {
            Val::Imm(value) => Some(value),
            _ => None,
        };
        let left = self.in_var(a);
        let sign = match constant {
            Some(0) if signed => left,
            _ if narrow => {
                let b = self.src_of(b);
                self.alu(B64, AluOp::Sub, left, b)
            }
            // Halves cannot overflow, and with an even number nothing is lost.
            Some(value) if value % 2 == 0 => {
                let (shift, half) = if signed {
                    (AluOp::Arsh, ((value as i64) >> 1) as u64)
                } else {
                    (AluOp::Rsh, value >> 1)
                };
                let halved = self.alu(B64, shift, left, Src::Imm(1));
                let half = self.imm_src(half);
                self.alu(B64, AluOp::Sub, halved, half)
            }
            _ if signed => {
                // ((a ^ b) & ((a - b) ^ a)) ^ (a - b)
                let b = self.src_of(b);
                let difference = self.alu(B64, AluOp::Sub, left, b);
                let signs = self.alu(B64, AluOp::Xor, left, b);
                let flipped = self.alu(B64, AluOp::Xor, difference, Src::Var(left));
                let overflow = self.alu(B64, AluOp::And, flipped, Src::Var(signs));
                self.alu(B64, AluOp::Xor, overflow, Src::Var(difference))
            }
            _ => {
                // (~a & b) | ((~a | b) & (a - b))
                let b = self.src_of(b);
                let difference = self.alu(B64, AluOp::Sub, left, b);
                let not = self.alu(B64, AluOp::Xor, left, Src::Imm(-1));
                let either = self.alu(B64, AluOp::Or, not, b);
                let both = self.alu(B64, AluOp::And, not, b);
                let borrow = self.alu(B64, AluOp::And, either, Src::Var(difference));
                self.alu(B64, AluOp::Or, borrow, Src::Var(both))
            }
        };
        if opposite {
            let is_less = self.alu(B64, AluOp::Rsh, sign, Src::Imm(63));
            self.alu_to(dst, B64, AluOp::Xor, is_less, Src::Imm(1));
        } else {
            self.alu_to(dst, B64, AluOp::Rsh, sign, Src::Imm(63));
        }
    }

    /// Emits signed `a / b` or `a % b` as an unsigned operation on the absolute values, with the sign corrected. The
    /// sign is 0 or -1, so that `(x ^ sign) - sign` is `x` or `-x`.
    pub(super) fn divide(&mut self, bits: Bits, modulo: bool, dst: Var, a: Var, b: Var) {
        let (sign_a, absolute_a) = self.absolute(bits, a);
        let (sign_b, absolute_b) = self.absolute(bits, b);
        if modulo {
            let rest = self.alu(bits, AluOp::Mod, absolute_a, Src::Var(absolute_b));
            self.signed(bits, dst, rest, sign_a);
        } else {
            let ratio = self.alu(bits, AluOp::Div, absolute_a, Src::Var(absolute_b));
            let sign = self.alu(bits, AluOp::Xor, sign_a, Src::Var(sign_b));
            self.signed(bits, dst, ratio, sign);
        }
    }

    /// Emits the same by a constant other than 0.
    pub(super) fn divide_by(&mut self, bits: Bits, modulo: bool, dst: Var, a: Var, b: u64) {
        let (negative, absolute) = match bits {
            Bits::B64 => ((b as i64) < 0, (b as i64).unsigned_abs()),
            Bits::B32 => ((b as i32) < 0, (b as i32).unsigned_abs().into()),
        };
        let by = match bits {
            Bits::B64 => self.imm_src(absolute),
            Bits::B32 => Src::Imm(absolute as u32 as i32),
        };
        let (sign, absolute) = self.absolute(bits, a);
        if modulo {
            let rest = self.alu(bits, AluOp::Mod, absolute, by);
            return self.signed(bits, dst, rest, sign);
        }
        let ratio = self.alu(bits, AluOp::Div, absolute, by);
        let sign = if negative { self.alu(bits, AluOp::Xor, sign, Src::Imm(-1)) } else { sign };
        self.signed(bits, dst, ratio, sign);
    }

    /// The sign of a value, 0 or -1, and the value without it.
    fn absolute(&mut self, bits: Bits, value: Var) -> (Var, Var) {
        let by = Src::Imm(if bits == Bits::B64 { 63 } else { 31 });
        let sign = self.alu(bits, AluOp::Arsh, value, by);
        let absolute = self.mir.new_var();
        self.signed(bits, absolute, value, sign);
        (sign, absolute)
    }

    /// `dst = (value ^ sign) - sign`
    fn signed(&mut self, bits: Bits, dst: Var, value: Var, sign: Var) {
        let flipped = self.alu(bits, AluOp::Xor, value, Src::Var(sign));
        self.alu_to(dst, bits, AluOp::Sub, flipped, Src::Var(sign));
    }
}

/// The order of `a` and `b`, as a less-than comparison.
fn less<'a>(condition: Condition, a: Val<'a>, b: Val<'a>) -> Less<'a> {
    let signed = is_signed(condition);
    let (or_equal, greater) = match condition {
        Condition::Lt | Condition::SignedLt => (false, false),
        Condition::Le | Condition::SignedLe => (true, false),
        Condition::Ge | Condition::SignedGe => (true, true),
        _ => (false, true),
    };
    match b {
        // a <= b is a < b + 1, and a > b its opposite: so the constant stays on the right.
        Val::Imm(value) if or_equal != greater => {
            let most = if signed { i64::MAX as u64 } else { u64::MAX };
            if value == most {
                return Less::Always(!greater);
            }
            Less::Than { a, b: Val::Imm(value.wrapping_add(1)), opposite: greater }
        }
        Val::Imm(0) if !signed => Less::Always(greater),
        Val::Imm(_) => Less::Than { a, b, opposite: greater },
        // a > b is b < a, a <= b its opposite.
        _ if or_equal != greater => Less::Than { a: b, b: a, opposite: or_equal },
        _ => Less::Than { a, b, opposite: greater },
    }
}
