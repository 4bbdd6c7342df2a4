//! Conditions: as branches, and as values of 0 and 1.

use super::{Lower, Lowered};
use crate::bt::ast::BinaryOp;
use crate::bt::hir::{Expr, ExprKind, Unary};
use crate::bt::plan::Globals;
use crate::codegen::{Binary, Block, Operand};
use crate::insn::{Bits, Condition};

/// The condition of a comparison.
pub(super) fn condition(op: BinaryOp, signed: bool) -> Condition {
    match (op, signed) {
        (BinaryOp::Eq, _) => Condition::Eq,
        (BinaryOp::Lt, false) => Condition::Lt,
        (BinaryOp::Lt, true) => Condition::SignedLt,
        (BinaryOp::Le, false) => Condition::Le,
        (BinaryOp::Le, true) => Condition::SignedLe,
        (BinaryOp::Gt, false) => Condition::Gt,
        (BinaryOp::Gt, true) => Condition::SignedGt,
        (BinaryOp::Ge, false) => Condition::Ge,
        (BinaryOp::Ge, true) => Condition::SignedGe,
        _ => Condition::Ne,
    }
}

impl<'p> Lower<'_, 'p, '_> {
    /// Goes on with `then` if a condition holds, else with `other`.
    pub(super) fn branch(&mut self, of: &'p Expr, then: Block, other: Block) -> Lowered<()> {
        self.at(of.span);
        match &of.kind {
            ExprKind::Int(value) => self.f.jump(if *value != 0 { then } else { other }),
            ExprKind::Unary(Unary::Not, value) => self.branch(value, other, then)?,
            ExprKind::Logical { and, operands } => {
                let Some((last, first)) = operands.split_last() else { return Ok(()) };
                for operand in first {
                    let next = self.f.block();
                    match and {
                        true => self.branch(operand, next, other)?,
                        false => self.branch(operand, then, next)?,
                    }
                    self.f.switch_to(next);
                }
                self.branch(last, then, other)?;
            }
            ExprKind::Compare { op, signed, left, right } => {
                let left = self.number(left)?;
                let right = self.number(right)?;
                self.f.branch(condition(*op, *signed), left, right, then, other);
            }
            ExprKind::CompareObjects { equal, left, right } => {
                let (same, different) = if *equal { (then, other) } else { (other, then) };
                self.branch_objects(left, right, same, different)?;
            }
            ExprKind::Convert(value) if value.ty.is_scalar() => {
                let value = self.number(value)?;
                self.f.branch_if(value, then, other);
            }
            _ => {
                let value = self.scalar(of)?;
                self.f.branch_if(value, then, other);
            }
        }
        Ok(())
    }

    /// A condition as a value. Without branches where that is possible: the verifier follows each path with its constant
    /// to the end of the program.
    pub(super) fn boolean(&mut self, of: &'p Expr) -> Lowered<Operand> {
        match &of.kind {
            ExprKind::Compare { op, signed, left, right } => {
                let left = self.number(left)?;
                let right = self.number(right)?;
                Ok(self.f.compare(condition(*op, *signed), left, right).into())
            }
            ExprKind::Unary(Unary::Not, value) => {
                let value = self.scalar(value)?;
                Ok(self.f.xor(value, 1).into())
            }
            ExprKind::Logical { and, operands } if operands.iter().all(is_cheap) => {
                let op = if *and { Binary::And } else { Binary::Or };
                let mut all = None;
                for operand in operands {
                    let value = self.scalar(operand)?;
                    all = Some(match all {
                        None => value,
                        Some(before) => self.f.binary(op, before, value).into(),
                    });
                }
                Ok(all.unwrap_or(0.into()))
            }
            _ => {
                // The sum of 1 and a value that is unknown to the verifier is just as unknown: one state on both paths.
                let result = self.f.var();
                self.f.number(result);
                let (yes, after) = (self.f.block(), self.f.block());
                let zero = self.load_global(Globals::OPAQUE_ZERO);
                self.f.assign(result, zero);
                self.branch(of, yes, after)?;
                self.f.switch_to(yes);
                self.f.binary_to(result, Bits::B64, Binary::Add, zero, 1);
                self.f.switch_to(after);
                Ok(result.into())
            }
        }
    }
}

/// Whether an expression may be evaluated although its value is not needed: without effect, and in a few instructions.
fn is_cheap(of: &Expr) -> bool {
    match &of.kind {
        ExprKind::Int(_) | ExprKind::Variable(_) => true,
        ExprKind::Compare { left, right, .. } => is_cheap(left) && is_cheap(right),
        ExprKind::Binary { op, left, right, .. } => {
            !matches!(op, BinaryOp::Div | BinaryOp::Mod) && is_cheap(left) && is_cheap(right)
        }
        ExprKind::Unary(_, value) | ExprKind::Convert(value) => is_cheap(value),
        ExprKind::Logical { operands, .. } => operands.iter().all(is_cheap),
        _ => false,
    }
}
