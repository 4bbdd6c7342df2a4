//! Macros of the language: their bodies are checked anew at each use, with variables of their own.

use super::join::nothing;
use super::{Checked, Checker, Frame};
use crate::bt::ast::{self, ExprKind};
use crate::bt::hir::{self, Expr};
use crate::bt::source::Span;
use crate::bt::types::Type;
use std::collections::HashSet;

/// The maximum nesting depth of macro uses.
const DEPTH: usize = 16;

impl<'a> Checker<'a> {
    /// Checks the definitions of macros, as far as possible before they are used.
    pub(super) fn check_macros(&mut self) {
        let mut names = HashSet::new();
        for one in &self.script.macros {
            if !names.insert(&one.name.node) {
                let _: Checked<()> = self
                    .error(one.name.span, format!("macro `{}` is defined already", one.name.node));
            }
        }
    }

    /// The macro of a name.
    pub(super) fn macro_named(&self, name: &str) -> Option<&'a ast::Macro> {
        self.script.macros.iter().find(|one| &*one.name.node == name)
    }

    /// Expands a use of a macro.
    pub(super) fn use_macro(
        &mut self,
        used: &'a ast::Macro,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let name = &*used.name.node;
        if self.frames.iter().any(|frame| frame.name == Some(name)) {
            return self.error(span, format!("macro `{name}` uses itself"));
        }
        if self.frames.len() > DEPTH {
            return self.error(span, format!("macros are nested more than {DEPTH} deep"));
        }
        if arguments.len() != used.parameters.len() {
            let message = format!(
                "macro `{name}`: {} arguments, expected {}",
                arguments.len(),
                used.parameters.len()
            );
            return self.error(span, message);
        }
        let outer = self.frames.last().map_or(0, |frame| frame.context);
        let context =
            outer.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(span.start) + 1);
        let mut frame = Frame {
            name: Some(name),
            context,
            scopes: vec![Default::default()],
            ..Frame::default()
        };
        for (parameter, argument) in used.parameters.iter().zip(arguments) {
            let text = &*parameter.node;
            match (text.as_bytes().first(), &argument.kind) {
                (Some(b'$'), ExprKind::Variable(variable)) => {
                    let id = self.variable(variable, argument.span)?;
                    if let Some(scope) = frame.scopes.first_mut() {
                        scope.insert(parameter.node.clone(), id);
                    }
                }
                (Some(b'$'), _) => {
                    return self.error(
                        argument.span,
                        format!("macro `{name}`: expected a variable for `{text}`"),
                    );
                }
                (Some(b'@'), ExprKind::Map { name: map, key: None }) => {
                    let id = self.map_id(&map.node, map.span);
                    let map = self.map(id).name.clone();
                    frame.maps.insert(text, map);
                }
                (Some(b'@'), _) => {
                    return self.error(
                        argument.span,
                        format!("macro `{name}`: expected a map for `{text}`"),
                    );
                }
                _ => drop(frame.expressions.insert(text, argument)),
            }
        }
        self.frames.push(frame);
        let loops = std::mem::take(&mut self.loops);
        let result = self.block_value(&used.body, span);
        self.loops = loops;
        self.frames.pop();
        result
    }

    /// Checks the argument bound to the macro parameter `name`, in the scope in which the macro is used.
    pub(super) fn parameter(&mut self, name: &str) -> Option<Checked<Expr>> {
        let argument = *self.frames.last()?.expressions.get(name)?;
        let frame = self.frames.pop()?;
        let result = self.expr(argument);
        self.frames.push(frame);
        Some(result)
    }

    /// Goes through a block that is an expression.
    pub(super) fn block_value(&mut self, block: &'a ast::Block, span: Span) -> Checked<Expr> {
        self.enter_scope();
        let mut statements = Vec::new();
        let mut failed = false;
        for one in &block.statements {
            failed |= self.statement(one, &mut statements).is_err();
        }
        let value = match &block.value {
            None => Ok(nothing(span)),
            Some(value) => self.value_or_nothing(value),
        };
        self.leave_scope();
        let value = value?;
        if failed {
            return Err(super::Stop);
        }
        if statements.is_empty() {
            return Ok(value);
        }
        let ty = value.ty.clone();
        Ok(Expr { kind: hir::ExprKind::Block(statements, Box::new(value)), ty, span })
    }

    /// Returns a value, or the void expression for a function without a result.
    pub(super) fn value_or_nothing(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
        let checked = self.expr(of)?;
        if checked.ty == Type::Void {
            return Ok(checked);
        }
        self.rvalue(checked)
    }
}
