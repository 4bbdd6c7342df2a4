//! Lowering of branches: a branch on the result of a comparison becomes a branch on the comparison, and conditions that the
//! instruction set lacks are replaced by their opposites.

use super::super::constants::{self, mirrored};
use super::super::ir::{Operand, Src, Var};
use super::super::mir::MirEnd;
use super::super::unit::Isa;
use super::{Compared, Lower, Val};
use crate::insn::{Bits, Condition};

impl<'a> Lower<'a> {
    /// The comparison that the variable is the result of, if its operands are unchanged.
    fn fusible(&self, var: Var) -> Option<Compared> {
        let facts = self.fact(var);
        let compared = facts.compared?;
        let here = compared.block == self.block;
        let is_last = here && facts.assigned == (compared.block, compared.at);
        let unchanged = |operand: Operand| match operand {
            Operand::Imm(_) => true,
            Operand::Var(var) => {
                let facts = self.fact(var);
                let since = facts.assigned.0 == self.block && facts.assigned.1 >= compared.at;
                facts.single || here && !since
            }
        };
        let stands = (facts.single || is_last) && unchanged(compared.a) && unchanged(compared.b);
        stands.then_some(compared)
    }

    pub(super) fn branch(
        &mut self,
        mut bits: Bits,
        mut condition: Condition,
        mut a: Operand,
        mut b: Operand,
        mut then: u32,
        mut other: u32,
    ) -> MirEnd<'a> {
        // A branch on the result of a comparison is a branch on the comparison.
        while let (Condition::Eq | Condition::Ne, Val::Var(var), Val::Imm(0)) =
            (condition, self.value(a), self.value(b))
        {
            let Some(compared) = self.fusible(var) else { break };
            if condition == Condition::Eq {
                std::mem::swap(&mut then, &mut other);
            }
            (bits, condition, a, b) = (compared.bits, compared.condition, compared.a, compared.b);
        }
        if let (Val::Imm(a), Val::Imm(b)) = (self.value(a), self.value(b)) {
            let taken = constants::compare(bits, condition, a, b);
            return MirEnd::Jump(if taken { then } else { other });
        }
        if then == other {
            return MirEnd::Jump(then);
        }
        if let Val::Imm(_) = self.value(a) {
            std::mem::swap(&mut a, &mut b);
            condition = mirrored(condition);
        }
        let (mut a, mut b) = (self.operand_var(a), self.src(bits, b));
        if bits == Bits::B32 && self.isa < Isa::V3 {
            let signed = is_signed(condition);
            a = self.widened(signed, a);
            b = match b {
                Src::Var(b) => Src::Var(self.widened(signed, b)),
                Src::Imm(value) if signed => Src::Imm(value),
                Src::Imm(value) => self.imm_src(u64::from(value as u32)),
            };
            bits = Bits::B64;
        }
        if self.isa < Isa::V2 {
            use Condition::{Ge, Gt, Le, Lt, SignedGe, SignedGt, SignedLe, SignedLt};
            let opposite = match condition {
                Lt => Some(Ge),
                Le => Some(Gt),
                SignedLt => Some(SignedGe),
                SignedLe => Some(SignedGt),
                _ => None,
            };
            if let Some(opposite) = opposite {
                condition = opposite;
                std::mem::swap(&mut then, &mut other);
            }
        }
        MirEnd::Branch { bits, condition, a, b, then, other }
    }
}

pub(in crate::codegen) fn is_signed(condition: Condition) -> bool {
    matches!(
        condition,
        Condition::SignedGt | Condition::SignedGe | Condition::SignedLt | Condition::SignedLe
    )
}
