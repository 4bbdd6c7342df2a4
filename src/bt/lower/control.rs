//! Loops.

use super::{Lower, Lowered};
use crate::bt::hir::{Expr, ExprKind, Statement, StatementKind, VarId};
use crate::bt::plan::Feature;
use crate::codegen::{Binary, Block, Operand};
use crate::insn::{Bits, Condition};

/// A loop that is being lowered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loop {
    /// The target of `continue`.
    pub next: Block,
    /// The target of `break`.
    pub end: Block,
}

/// The most rounds of a loop that the verifier follows one by one although there is another way.
pub(super) const INLINE: u64 = 16;

/// The most rounds where there is none.
const MOST_INLINE: u64 = 1000;

/// Returns the number of iterations of a range, if it is known.
pub(super) fn rounds(start: &Expr, end: &Expr) -> Option<u64> {
    let (ExprKind::Int(first), ExprKind::Int(last)) = (&start.kind, &end.kind) else { return None };
    Some(match start.ty.is_signed() {
        true if last.cast_signed() <= first.cast_signed() => 0,
        false if last <= first => 0,
        _ => last.wrapping_sub(*first),
    })
}

/// The most statements that a function gets by unrolling: the verifier processes a million instructions at most.
const MOST_UNROLLED: usize = 1_000_000;

impl<'p> Lower<'_, 'p, '_> {
    pub(super) fn control(&mut self, one: &'p Statement) -> Lowered<()> {
        self.forget_maps();
        match &one.kind {
            StatementKind::Unroll { count, body } => {
                let end = self.f.block();
                for _ in 0..*count {
                    self.unrolled += 1 + body.len();
                    if self.unrolled > MOST_UNROLLED {
                        let what = format!("unroll of more than {MOST_UNROLLED} statements");
                        return self.unsupported(one.span, what);
                    }
                    let next = self.f.block();
                    self.looped(Loop { next, end }, body)?;
                    self.f.switch_to(next);
                }
                self.f.switch_to(end);
                Ok(())
            }
            StatementKind::Break | StatementKind::Continue => {
                let Some(around) = self.loops.last().copied() else { return self.never() };
                let to = match one.kind {
                    StatementKind::Break => around.end,
                    _ => around.next,
                };
                self.f.jump(to);
                Ok(())
            }
            StatementKind::While { condition, body } if self.is_callback(one) => {
                self.while_callback(condition, body)
            }
            StatementKind::While { condition, body } => {
                let (head, round, end) = (self.f.block(), self.f.block(), self.f.block());
                self.f.switch_to(head);
                self.branch(condition, round, end)?;
                self.f.switch_to(round);
                self.looped(Loop { next: head, end }, body)?;
                self.f.jump(head);
                self.f.switch_to(end);
                Ok(())
            }
            StatementKind::ForRange { variable, start, end, body } if self.is_callback(one) => {
                self.range_callback(one, *variable, (start, end), body)
            }
            StatementKind::ForRange { variable, start, end, body } => {
                self.range_inline(*variable, start, end, body)
            }
            StatementKind::ForMap { variable, map, body } => {
                self.map_callback(*variable, *map, body)
            }
            _ => self.never(),
        }
    }

    fn looped(&mut self, around: Loop, body: &'p [Statement]) -> Lowered<()> {
        self.loops.push(around);
        let done = self.statements(body);
        self.loops.pop();
        done
    }

    /// Lowers `for ($i : start..end)` with few iterations: the verifier simulates each.
    fn range_inline(
        &mut self,
        variable: VarId,
        start: &'p Expr,
        end: &'p Expr,
        body: &'p [Statement],
    ) -> Lowered<()> {
        if rounds(start, end).is_none_or(|rounds| rounds > MOST_INLINE) {
            debug_assert!(!self.shared.target.has(Feature::Loop));
            let what =
                format!("for over a range that is not known to have at most {MOST_INLINE} rounds");
            return self.missing(&what, "Linux 5.17 and a JIT");
        }
        let first = self.number(start)?;
        let last = self.number(end)?;
        let index = self.f.var();
        self.f.assign(index, first);
        let (head, round) = (self.f.block(), self.f.block());
        let (next, after) = (self.f.block(), self.f.block());
        self.f.switch_to(head);
        let condition = if start.ty.is_signed() { Condition::SignedLt } else { Condition::Lt };
        self.f.branch(condition, index, last, round, after);
        self.f.switch_to(round);
        let value: Operand = index.into();
        let copy = self.f.var();
        self.f.assign(copy, value);
        self.write_variable(variable, copy.into())?;
        self.looped(Loop { next, end: after }, body)?;
        self.f.switch_to(next);
        self.f.binary_to(index, Bits::B64, Binary::Add, index, 1);
        self.f.jump(head);
        self.f.switch_to(after);
        Ok(())
    }
}
