//! Loops.

use super::{Lower, Lowered};
use crate::bt::hir::{Statement, StatementKind};
use crate::codegen::Block;

/// A loop that is being lowered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loop {
    /// Where `continue` goes.
    next: Block,
    /// Where `break` goes.
    end: Block,
}

/// A loop body that is a function of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Callback;

impl<'p> Lower<'_, 'p, '_> {
    pub(super) fn control(&mut self, one: &'p Statement) -> Lowered<()> {
        match &one.kind {
            StatementKind::Unroll { count, body } => {
                let end = self.f.block();
                for _ in 0..*count {
                    let next = self.f.block();
                    self.loops.push(Loop { next, end });
                    let done = self.statements(body);
                    self.loops.pop();
                    done?;
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
            StatementKind::While { .. } => self.unsupported(one.span, "while"),
            StatementKind::ForRange { .. } => self.unsupported(one.span, "for over a range"),
            StatementKind::ForMap { .. } => self.unsupported(one.span, "for over a map"),
            _ => self.never(),
        }
    }
}
