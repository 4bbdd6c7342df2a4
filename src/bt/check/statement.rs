//! Checks statements, variables and assignments.

use super::join::{Given, constant, convert, join, nothing};
use super::{Checked, Checker, Stop, statement};
use crate::bt::ast::{self, Iterable, StatementKind as Written};
use crate::bt::hir::{self, Expr, Statement, StatementKind};
use crate::bt::source::Span;
use crate::bt::types::Type;

/// The maximum count of `unroll`.
const MAX_UNROLL: i128 = 1000;

impl<'a> Checker<'a> {
    /// Checks a block with a scope of its own. All statements are checked even if one fails.
    pub(super) fn block(&mut self, block: &'a ast::Block) -> Checked<Vec<Statement>> {
        self.nested(block.span, |checker| checker.statements(block))
    }

    fn statements(&mut self, block: &'a ast::Block) -> Checked<Vec<Statement>> {
        self.enter_scope();
        let (mut statements, mut failed) = (Vec::new(), false);
        for one in &block.statements {
            failed |= self.statement(one, &mut statements).is_err();
        }
        if let Some(value) = &block.value {
            failed |= self.expression_statement(value, &mut statements).is_err();
        }
        self.leave_scope();
        if failed { Err(Stop) } else { Ok(statements) }
    }

    /// Checks a statement and appends the result.
    pub(super) fn statement(
        &mut self,
        one: &'a ast::Statement,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let span = one.span;
        if self.last && self.diagnostics.are_enough() {
            return Err(Stop);
        }
        let kind = match &one.kind {
            Written::Expr(value) => return self.expression_statement(value, out),
            Written::Discard(value) => StatementKind::Expr(self.value_or_nothing(value)?),
            Written::Assign { target, op, value } => {
                return self.assign(target, *op, value, span, out);
            }
            Written::Let { name, ty, value } => self.declare(name, ty.as_ref(), value.as_ref())?,
            Written::If { arms, otherwise } => {
                return self.condition_statement(arms, otherwise.as_ref(), span, out);
            }
            Written::While { condition, body } => {
                let condition = self.condition(condition);
                let body = self.looped(body);
                let (condition, body) = (condition?, body?);
                if constant(&condition) == Some(0) {
                    return Ok(());
                }
                StatementKind::While { condition, body }
            }
            Written::For { variable, iterable, body } => self.for_loop(variable, iterable, body)?,
            Written::Unroll { count, body } => {
                let checked = self.value(count);
                let body = self.looped(body);
                let rounds = constant(&checked?);
                let Some(rounds) = rounds.filter(|rounds| (1..=MAX_UNROLL).contains(rounds)) else {
                    return self.error(
                        count.span,
                        format!("unroll: expected a constant from 1 to {MAX_UNROLL}"),
                    );
                };
                StatementKind::Unroll { count: rounds as u32, body: body? }
            }
            Written::Break | Written::Continue if self.loops == 0 => {
                let word = if matches!(one.kind, Written::Break) { "break" } else { "continue" };
                return self.error(span, format!("`{word}` outside of a loop"));
            }
            Written::Break => StatementKind::Break,
            Written::Continue => StatementKind::Continue,
            Written::Return(None) => StatementKind::Return(None),
            Written::Return(Some(value)) => {
                let checked = self.value(value)?;
                if checked.ty.int().is_none() && checked.ty != Type::Bool {
                    return self.error(value.span, "return: expected an integer");
                }
                StatementKind::Return(Some(convert(checked, &Type::I64)))
            }
            Written::Block(block) => StatementKind::Block(self.block(block)?),
        };
        out.push(statement(kind, span));
        Ok(())
    }

    fn looped(&mut self, body: &'a ast::Block) -> Checked<Vec<Statement>> {
        self.loops += 1;
        let body = self.block(body);
        self.loops -= 1;
        body
    }

    pub(super) fn expression_statement(
        &mut self,
        value: &'a ast::Expr,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let mut checked = self.expr(value)?;
        // What only acts has become statements.
        while checked.ty == Type::Void {
            match checked.kind {
                hir::ExprKind::Block(statements, last) => {
                    out.extend(statements);
                    checked = *last;
                }
                hir::ExprKind::Tuple(elements) if elements.is_empty() => return Ok(()),
                kind => {
                    checked.kind = kind;
                    break;
                }
            }
        }
        let span = checked.span;
        out.push(statement(StatementKind::Expr(checked), span));
        Ok(())
    }

    fn condition_statement(
        &mut self,
        arms: &'a [(ast::Expr, ast::Block)],
        otherwise: Option<&'a ast::Block>,
        span: Span,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let (mut checked, mut failed) = (Vec::new(), false);
        let mut rest = None;
        for (condition, body) in arms {
            let condition = self.condition(condition);
            let known = condition.as_ref().ok().and_then(constant);
            // A branch that is never taken need not make sense on this machine.
            if known == Some(0) {
                continue;
            }
            let body = self.block(body);
            let (Ok(condition), Ok(body)) = (condition, body) else {
                failed = true;
                continue;
            };
            if known.is_some() {
                rest = Some(body);
                break;
            }
            checked.push((condition, body));
        }
        if rest.is_none()
            && let Some(otherwise) = otherwise
        {
            match self.block(otherwise) {
                Ok(body) => rest = Some(body),
                Err(Stop) => failed = true,
            }
        }
        if failed {
            return Err(Stop);
        }
        let otherwise = rest.unwrap_or_default();
        let kind = if checked.is_empty() {
            StatementKind::Block(otherwise)
        } else {
            StatementKind::If { arms: checked, otherwise }
        };
        out.push(statement(kind, span));
        Ok(())
    }

    fn for_loop(
        &mut self,
        name: &'a ast::Name,
        iterable: &'a Iterable,
        body: &'a ast::Block,
    ) -> Checked<StatementKind> {
        match iterable {
            Iterable::Range(start, end) => {
                let (start, end) = (
                    self.integer(start, "start of the range"),
                    self.integer(end, "end of the range"),
                );
                self.enter_scope();
                let variable = self.new_variable(&name.node, name.span);
                if let (Ok(start), Ok(end)) = (&start, &end) {
                    let ty = join(&start.ty, &end.ty).unwrap_or(Type::I64);
                    self.widen_variable(variable, Given::new(&ty));
                }
                let body = self.looped(body);
                self.leave_scope();
                let ty = self.variable_type(variable, name.span)?;
                let (start, end) = (convert(start?, &ty), convert(end?, &ty));
                Ok(StatementKind::ForRange { variable, start, end, body: body? })
            }
            Iterable::Map(map) => {
                let id = self.map_id(&map.node, map.span);
                self.enter_scope();
                let variable = self.new_variable(&name.node, name.span);
                let keyed = self.keyed(id, true, map.span);
                let state = self.map(id).clone();
                if let (Some(key), Some(value)) = (&state.key.ty, &state.value.ty) {
                    let value = self.element_type(value);
                    let pair = Type::Tuple([key.clone(), value].into());
                    let pair = self.bounded(pair, map.span)?;
                    self.widen_variable(variable, Given::new(&pair));
                } else if self.last {
                    let _: Checked<()> = self.unknown_map(id, map.span);
                }
                let body = self.looped(body);
                self.leave_scope();
                keyed?;
                if matches!(state.value.ty, Some(Type::Hist(_) | Type::Lhist(_) | Type::Stats(_))) {
                    return self.unsupported(map.span, "for over a map of hist, lhist or stats");
                }
                Ok(StatementKind::ForMap { variable, map: id, body: body? })
            }
        }
    }

    /// The value of an expression that must be an integer.
    pub(super) fn integer(&mut self, of: &'a ast::Expr, what: &str) -> Checked<Expr> {
        let checked = self.value(of)?;
        match checked.ty {
            Type::Int(_) | Type::Enum(..) | Type::Bool => Ok(checked),
            ref other => {
                let given = self.type_text(other);
                self.error(of.span, format!("{what}: expected an integer, found {given}"))
            }
        }
    }

    /// Returns a void expression for a call that is a statement.
    pub(super) fn acts(&mut self, kind: StatementKind, span: Span) -> Expr {
        let kind = hir::ExprKind::Block(vec![statement(kind, span)], Box::new(nothing(span)));
        Expr { kind, ty: Type::Void, span }
    }
}
