//! Checks functions on tasks, and on numbers that stand for errors.

use super::super::join::{constant, convert, integer, string};
use super::super::{Checked, Checker};
use super::call;
use crate::bt::ast::{self, BinaryOp};
use crate::bt::description;
use crate::bt::functions::{Id, Row};
use crate::bt::hir::{Call, Expr};
use crate::bt::source::Span;
use crate::bt::types::{Described, Int, Type};
use std::sync::Arc;

/// The greatest error number of the kernel's `IS_ERR()`.
const MAX_ERRNO: u64 = 4095;

impl<'a> Checker<'a> {
    /// `strerror(n)`, `signal_name(n)`
    pub(super) fn described(
        &mut self,
        what: Described,
        name: &str,
        number: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let number = self.integer(number, name)?;
        if let Some(known) = constant(&number) {
            let known = i64::try_from(known).unwrap_or(i64::MAX);
            return Ok(string(description::text(what, known).as_bytes(), span));
        }
        // A 32-bit result of a system call, kept in 64 bits without its sign, is not told from a number that is too large.
        let number = convert(number, &Type::I64);
        Ok(call(Call::Describe(number), Type::Described(what), span))
    }

    /// A property of the parent or the first thread of a task: `ppid(task)`, `pcomm(task)`, `leader_comm`, `leader_tid`.
    pub(super) fn relative(
        &mut self,
        row: &Row,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let (relation, field) = match row.id {
            Id::LeaderComm => ("group_leader", "comm"),
            Id::LeaderTid => ("group_leader", "pid"),
            Id::Pcomm => ("real_parent", "comm"),
            _ => ("real_parent", "tgid"),
        };
        let task = match arguments.first() {
            Some(task) => self.value(task)?,
            None => self.named(&Arc::from("curtask"), span)?,
        };
        if !matches!(&task.ty, Type::Pointer(to) if matches!(to.to, Type::Struct(_))) {
            let given = self.type_text(&task.ty);
            let message = format!("{}: expected a struct task_struct *, found {given}", row.name);
            return self.error(task.span, message);
        }
        let relative = self.field_of(task, relation, span, span)?;
        let value = self.field_of(relative, field, span, span)?;
        Ok(match row.id {
            Id::LeaderTid | Id::Ppid => convert(value, &Type::U32),
            _ => value,
        })
    }

    /// `is_err(pointer)`: whether it is an error number, as the kernel returns it in place of a pointer.
    pub(super) fn is_error(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        let value = self.value(of)?;
        let value = match &value.ty {
            Type::Int(_) | Type::Pointer(_) => convert(value, &Type::U64),
            other => {
                let given = self.type_text(other);
                return self.error(of.span, format!("is_err: expected a pointer, found {given}"));
            }
        };
        let first = integer((u64::MAX - MAX_ERRNO + 1).into(), Int::U64, span);
        self.binary(BinaryOp::Ge, value, first, span)
    }
}
