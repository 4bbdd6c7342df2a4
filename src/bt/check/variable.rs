//! Checks variables: scopes, and assignments.

use super::join::{Given, Known, constant, converts, join};
use super::{Checked, Checker, Stop, VariableState, statement};
use crate::bt::ast::{self, BinaryOp, ExprKind};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{self, Expr, Statement, StatementKind, VarId};
use crate::bt::source::Span;
use crate::bt::types::{Space, Type};
use crate::util::nearest::{Nearest, OFFERED};
use std::collections::HashMap;
use std::sync::Arc;

impl<'a> Checker<'a> {
    pub(super) fn enter_scope(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.scopes.push(HashMap::new());
        }
    }

    pub(super) fn leave_scope(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.ended.extend(frame.scopes.pop().unwrap_or_default());
        }
    }

    /// A variable that is declared here, in this use of the macro around.
    pub(super) fn new_variable(&mut self, name: &Arc<str>, span: Span) -> VarId {
        let context = self.frames.last().map_or(0, |frame| frame.context);
        let key = (context, span.start, Arc::clone(name));
        let instance = self.instance();
        let id = match instance.declared.get(&key) {
            Some(id) => *id,
            None => {
                let id = VarId(instance.variables.len() as u32);
                let name = Arc::clone(name);
                instance.variables.push(VariableState {
                    name,
                    known: Known::default(),
                    fixed: false,
                    failed: false,
                    span,
                });
                instance.declared.insert(key, id);
                id
            }
        };
        let scope = self.frames.last_mut().and_then(|frame| frame.scopes.last_mut());
        if let Some(scope) = scope {
            scope.insert(Arc::clone(name), id);
        }
        id
    }

    pub(super) fn in_scope(&self, name: &str) -> Option<VarId> {
        let frame = self.frames.last()?;
        frame.scopes.iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    /// The variable of a name that is read.
    pub(super) fn variable(&mut self, name: &Arc<str>, span: Span) -> Checked<VarId> {
        // Up to bpftrace 0.20 a variable lived as long as its probe.
        let ended = || self.frames.last().and_then(|frame| frame.ended.get(name)).copied();
        if let Some(id) = self.in_scope(name).or_else(ended) {
            return Ok(id);
        }
        let mut nearest = Nearest::new(name, OFFERED);
        if let Some(frame) = self.frames.last() {
            frame.scopes.iter().flat_map(HashMap::keys).for_each(|name| nearest.offer(name));
        }
        let nearest = nearest.into_names();
        // Reported at the first use only.
        let block = self.instance().block;
        if self.last && !self.undefined.insert((block, Arc::clone(name))) {
            return Err(Stop);
        }
        let message = format!("undefined variable: {name}");
        self.report(Diagnostic::error(span, message).nearest(&nearest))
    }

    pub(super) fn state(&mut self, id: VarId) -> &mut VariableState {
        &mut self.instance().variables[id.0 as usize]
    }

    /// The type of a variable, if it is known.
    pub(super) fn variable_type(&mut self, id: VarId, span: Span) -> Checked<Type> {
        let state = self.state(id).clone();
        match state.known.ty {
            Some(ty) => Ok(ty),
            None if state.failed => Err(Stop),
            None => self.error(
                span,
                format!("{}: its type is not known: it is never assigned to", state.name),
            ),
        }
    }

    /// Widens the type of a variable; returns whether there is one that holds the value too.
    pub(super) fn widen_variable(&mut self, id: VarId, value: Given<'_>) -> bool {
        let state = self.state(id).clone();
        if state.fixed {
            return true;
        }
        let mut known = state.known;
        let fits = self.widen(&mut known, value);
        self.state(id).known = known;
        fits
    }

    /// The type of a value as a variable holds it.
    pub(super) fn storable(&mut self, value: &Expr) -> Checked<Type> {
        match &value.ty {
            Type::Void => self.error(value.span, "it has no value that could be assigned"),
            Type::Struct(id) => {
                self.complete(*id, value.span)?;
                Ok(value.ty.clone())
            }
            other => Ok(other.clone()),
        }
    }

    pub(super) fn store(
        &mut self,
        id: VarId,
        value: Checked<Expr>,
        span: Span,
    ) -> Checked<StatementKind> {
        let value = match value {
            Ok(value) => value,
            Err(Stop) => {
                self.state(id).failed = true;
                return Err(Stop);
            }
        };
        let ty = self.storable(&value)?;
        let fits = self.widen_variable(id, Given::value(&ty, &value));
        let place = self.variable_type(id, span)?;
        let name = self.state(id).name.to_string();
        if !fits || self.state(id).fixed && !converts(&value.ty, &place) {
            let (is, given) = (self.type_text(&place), self.type_text(&value.ty));
            return self
                .error(span, format!("type mismatch: {name} is {is}, the value is {given}"));
        }
        if self.state(id).fixed
            && let (Some(int), Some(constant)) = (place.int(), constant(&value))
        {
            let cut = int.truncate(constant as u64);
            let back = if int.signed { i128::from(cut.cast_signed()) } else { cut.into() };
            if back != constant {
                return self.error(
                    value.span,
                    format!("{name}: {constant} does not fit into {}", self.type_text(&place)),
                );
            }
        }
        Ok(StatementKind::SetVariable(id, self.fit(value, &place, &name)?))
    }

    pub(super) fn declare(
        &mut self,
        name: &'a ast::Name,
        ty: Option<&'a ast::TypeName>,
        value: Option<&'a ast::Expr>,
    ) -> Checked<StatementKind> {
        let value = value.map(|value| self.value(value));
        let known = self
            .frames
            .last()
            .and_then(|frame| frame.scopes.last())
            .is_some_and(|scope| scope.contains_key(&name.node));
        let id = self.new_variable(&name.node, name.span);
        if known {
            return self
                .error(name.span, format!("{} is declared already in this block", name.node));
        }
        if let Some(ty) = ty {
            let declared = self.type_named(ty, Space::Kernel)?;
            let state = self.state(id);
            state.fixed = true;
            if state.known.ty.as_ref() != Some(&declared) {
                state.known.ty = Some(declared);
                self.changed = true;
            }
        }
        match value {
            None => Ok(StatementKind::Declare(id)),
            Some(value) => self.store(id, value, name.span),
        }
    }

    pub(super) fn assign(
        &mut self,
        target: &'a ast::Expr,
        op: Option<BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let kind = match &target.kind {
            ExprKind::Variable(name) => {
                let value = match op {
                    None => self.value(value),
                    Some(op) => self.combined(name, target.span, op, value, span),
                };
                let id = match self.in_scope(name) {
                    Some(id) => id,
                    None if op.is_some() => self.variable(name, target.span)?,
                    None => self.first_assignment(name, target.span, &value),
                };
                self.store(id, value, target.span)?
            }
            ExprKind::Map { name, key } => {
                self.assign_map(name, key.as_deref(), op, value, span)?
            }
            _ => {
                return self.error(
                    target.span,
                    "expected a variable or a map on the left side of an assignment",
                );
            }
        };
        out.push(statement(kind, span));
        Ok(())
    }

    /// Returns the variable that the first assignment in a scope declares. A variable of that name from a block that
    /// has ended is reused if the value fits: up to bpftrace 0.20 it would be the same one, and in later versions reuse
    /// cannot be observed.
    pub(super) fn first_assignment(
        &mut self,
        name: &Arc<str>,
        span: Span,
        value: &Checked<Expr>,
    ) -> VarId {
        let ended = self.frames.last().and_then(|frame| frame.ended.get(name)).copied();
        if let Some(id) = ended {
            let known = self.state(id).known.ty.clone();
            let fits = match (known, value) {
                (Some(known), Ok(value)) => join(&known, &value.ty).is_some(),
                _ => true,
            };
            if fits {
                if let Some(scope) =
                    self.frames.last_mut().and_then(|frame| frame.scopes.last_mut())
                {
                    scope.insert(Arc::clone(name), id);
                }
                return id;
            }
        }
        self.new_variable(name, span)
    }

    /// `$x op value`
    pub(super) fn combined(
        &mut self,
        name: &Arc<str>,
        place: Span,
        op: BinaryOp,
        value: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let right = self.value(value);
        let id = self.variable(name, place)?;
        let ty = self.variable_type(id, place)?;
        let left = Expr { kind: hir::ExprKind::Variable(id), ty, span: place };
        self.binary(op, left, right?, span)
    }
}
