//! Statements.

use super::{Lower, Lowered};
use crate::bt::hir::{Statement, StatementKind};

/// The number of deferred pieces of cold code at which they are emitted in between.
const COLD: usize = 200;

impl<'p> Lower<'_, 'p, '_> {
    pub(super) fn statements(&mut self, all: &'p [Statement]) -> Lowered<()> {
        let mark = self.enter_line();
        let done = all.iter().try_for_each(|one| {
            self.stay_on_line();
            self.statement(one)?;
            if self.cold.len() >= COLD {
                // A jump of 16 bits must reach it, and chains of jumps reach some thousand places.
                let next = self.f.block();
                self.f.jump(next);
                self.emit_cold();
                self.f.switch_to(next);
            }
            Ok(())
        });
        self.leave_line(mark);
        done
    }

    fn statement(&mut self, one: &'p Statement) -> Lowered<()> {
        self.at(one.span);
        match &one.kind {
            StatementKind::Expr(value) => self.effect(value),
            StatementKind::Declare(variable) => self.declare(*variable),
            StatementKind::SetVariable(variable, value) => self.set_variable(*variable, value),
            StatementKind::SetMap { map, key, value } => self.set_map(*map, key.as_ref(), value),
            StatementKind::UpdateMap { map, key, op, signed, value } => {
                self.update_map(*map, key.as_ref(), *op, *signed, value)
            }
            StatementKind::Aggregate { map, key, function } => {
                self.aggregate(*map, key.as_ref(), function)
            }
            StatementKind::If { arms, otherwise } => {
                let after = self.f.block();
                for (condition, body) in arms {
                    let (then, next) = (self.f.block(), self.f.block());
                    let mark = self.guard(condition, then, next)?;
                    self.f.switch_to(then);
                    self.statements(body)?;
                    self.f.jump(after);
                    self.leave_line(mark);
                    self.f.switch_to(next);
                }
                self.statements(otherwise)?;
                self.f.switch_to(after);
                Ok(())
            }
            StatementKind::Block(body) => self.statements(body),
            StatementKind::Async(action) => self.act(action),
            StatementKind::Return(value) => {
                if let Some(value) = value {
                    self.effect(value)?;
                }
                self.f.jump(self.exit);
                Ok(())
            }
            _ => self.control(one),
        }
    }
}
