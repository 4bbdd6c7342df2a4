//! The process of `-p`.

use super::Checker;
use super::join::expr;
use crate::bt::ast::BinaryOp;
use crate::bt::hir::{Builtin, Expr, ExprKind};
use crate::bt::probe::Kind;
use crate::bt::source::Span;
use crate::bt::types::Type;

impl Checker<'_> {
    /// The predicate of the current instance, and with `-p` that the process is the one: for probes that the kernel cannot
    /// attach to a process alone.
    pub(super) fn of_process(&self, predicate: Option<Expr>, span: Span) -> Option<Expr> {
        let limited = matches!(
            self.kind(),
            Kind::Kprobe
                | Kind::Kretprobe
                | Kind::Fentry
                | Kind::Fexit
                | Kind::Tracepoint
                | Kind::RawTracepoint
        );
        let Some(process) = self.environment.process().filter(|_| limited) else {
            return predicate;
        };
        let builtin = ExprKind::Builtin(Builtin::Pid { init: false });
        let kind = ExprKind::Compare {
            op: BinaryOp::Eq,
            signed: false,
            left: Box::new(expr(builtin, Type::U32, span)),
            right: Box::new(expr(ExprKind::Int(process.into()), Type::U32, span)),
        };
        let is_it = expr(kind, Type::Bool, span);
        Some(match predicate {
            None => is_it,
            Some(predicate) => {
                let operands = vec![is_it, predicate];
                expr(ExprKind::Logical { and: true, operands }, Type::Bool, span)
            }
        })
    }
}
