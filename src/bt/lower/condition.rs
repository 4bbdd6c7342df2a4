//! Conditions: as branches, and as values of 0 and 1.

use super::known::Mark;
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
        self.branch_to(of, false, then, other)
    }

    /// Goes on with `then`, to which nothing else leads, if a condition holds, else with `other`. What becomes known on the way
    /// holds in `then`; returns the mark of what holds in `other` as well.
    pub(super) fn guard(&mut self, of: &'p Expr, then: Block, other: Block) -> Lowered<Mark> {
        let outer = self.begin_guard();
        self.branch_to(of, true, then, other)?;
        Ok(self.end_guard(outer))
    }

    fn branch_to(&mut self, of: &'p Expr, guards: bool, then: Block, other: Block) -> Lowered<()> {
        self.at(of.span);
        match &of.kind {
            ExprKind::Int(value) => self.f.jump(if *value != 0 { then } else { other }),
            ExprKind::Unary(Unary::Not, value) => self.branch_to(value, false, other, then)?,
            ExprKind::Logical { and, operands } => {
                let Some((last, first)) = operands.split_last() else { return Ok(()) };
                let guards = guards && *and;
                for operand in first {
                    let (next, began) = (self.f.block(), self.on_line());
                    match and {
                        true => self.branch_to(operand, guards, next, other)?,
                        false => self.branch_to(operand, false, then, next)?,
                    }
                    self.f.switch_to(next);
                    if guards {
                        self.rejoin(began);
                    }
                }
                self.branch_to(last, guards, then, other)?;
            }
            ExprKind::Compare { op: BinaryOp::Ne, left, right, .. }
                if matches!(right.kind, ExprKind::Int(0))
                    && self.branch_map(left, guards, then, other)? => {}
            ExprKind::Compare { op, signed, left, right } => {
                let left = self.number(left)?;
                let right = self.number(right)?;
                self.fork();
                self.f.branch(condition(*op, *signed), left, right, then, other);
            }
            ExprKind::CompareObjects { equal, left, right } => {
                let (same, different) = if *equal { (then, other) } else { (other, then) };
                self.fork();
                self.branch_objects(left, right, same, different)?;
            }
            ExprKind::Convert(value) if value.ty.is_scalar() => {
                if !self.branch_map(value, guards, then, other)? {
                    let value = self.number(value)?;
                    self.fork();
                    self.f.branch_if(value, then, other);
                }
            }
            _ => {
                if !self.branch_map(of, guards, then, other)? {
                    let value = self.scalar(of)?;
                    self.fork();
                    self.f.branch_if(value, then, other);
                }
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
