//! Checks functions on maps.

use super::super::join::{Given, boolean, expr, integer};
use super::super::{Checked, Checker, Stop, statement};
use super::call;
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::hir::{Call, Expr, ExprKind, MapId, StatementKind};
use crate::bt::source::Span;
use crate::bt::types::{Int, Type};
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// A map that is named without a key.
    pub(super) fn whole_map(
        &mut self,
        function: &str,
        arguments: &'a [ast::Expr],
    ) -> Checked<MapId> {
        match arguments.first() {
            Some(ast::Expr { kind: Written::Map { name, key: None }, .. }) => {
                let map = self.map_id(&name.node, name.span);
                if self.map(map).value.ty.is_none() {
                    return self.unknown_map(map, name.span);
                }
                Ok(map)
            }
            Some(other) => {
                self.error(other.span, format!("{function}: expected a map without key"))
            }
            None => Err(Stop),
        }
    }

    /// The map and the key of `has_key(@m, key)`.
    pub(super) fn map_and_key(
        &mut self,
        map: &'a ast::Expr,
        key: &'a ast::Expr,
        function: &str,
    ) -> Checked<(MapId, Expr)> {
        let Written::Map { name, key: None } = &map.kind else {
            return self.error(map.span, format!("{function}: expected a map without key"));
        };
        let id = self.map_id(&name.node, name.span);
        self.keyed(id, true, name.span)?;
        let key = self.value(key)?;
        let key = self.fit_key(id, key)?;
        if self.map(id).value.ty.is_none() {
            return self.unknown_map(id, name.span);
        }
        Ok((id, key))
    }

    pub(super) fn delete(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let (map, key) = match arguments {
            [map, key] => {
                let (map, key) = self.map_and_key(map, key, "delete")?;
                (map, Some(key))
            }
            [ast::Expr { kind: Written::Map { name, key }, .. }] => {
                let map = self.map_id(&name.node, name.span);
                let key = self.access(map, key.as_deref(), name.span)?;
                if self.map(map).value.ty.is_none() {
                    return self.unknown_map(map, name.span);
                }
                (map, key)
            }
            _ => return self.error(span, "delete: expected a map"),
        };
        Ok(call(Call::Delete { map, key }, Type::Bool, span))
    }

    /// `find(@m, key, $v)`
    pub(super) fn find_call(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let [map, key, target] = arguments else { return Err(Stop) };
        let (id, key) = self.map_and_key(map, key, "find")?;
        let Written::Variable(name) = &target.kind else {
            return self.error(target.span, "find: expected a variable");
        };
        let variable = self.variable(name, target.span)?;
        let Some(value) = self.map(id).value.ty.clone() else {
            return self.unknown_map(id, map.span);
        };
        let element = self.element_type(&value);
        self.widen_variable(variable, Given::new(&element));
        let place = self.variable_type(variable, target.span)?;
        // The key is evaluated once, into a variable that no script can name.
        let hidden = self.new_variable(&Arc::from("$find"), span);
        self.widen_variable(hidden, Given::new(&key.ty));
        let key_read = expr(ExprKind::Variable(hidden), key.ty.clone(), span);
        let read =
            expr(ExprKind::Map { map: id, key: Some(Box::new(key_read.clone())) }, value, span);
        let read = self.rvalue(read)?;
        let read = self.fit(read, &place, name)?;
        let found = vec![statement(StatementKind::SetVariable(variable, read), span)];
        let yes = expr(ExprKind::Block(found, Box::new(boolean(true, span))), Type::Bool, span);
        let has = call(Call::HasKey { map: id, key: key_read }, Type::Bool, span);
        let kind = ExprKind::Ternary {
            condition: Box::new(has),
            then: Box::new(yes),
            otherwise: Box::new(boolean(false, span)),
        };
        let result = expr(kind, Type::Bool, span);
        let first = vec![statement(StatementKind::SetVariable(hidden, key), span)];
        Ok(expr(ExprKind::Block(first, Box::new(result)), Type::Bool, span))
    }

    pub(super) fn len(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        if let Written::Map { name, key: None } = &of.kind {
            let map = self.map_id(&name.node, name.span);
            let stack = matches!(self.map(map).value.ty, Some(Type::Stack(_)));
            if !stack {
                if self.map(map).value.ty.is_none() {
                    return self.unknown_map(map, name.span);
                }
                return Ok(call(Call::MapLen(map), Type::U64, span));
            }
        }
        let value = self.value(of)?;
        match &value.ty {
            Type::Stack(_) => Ok(call(Call::StackLen(value), Type::U64, span)),
            Type::Array(_, length) => Ok(integer((*length).into(), Int::U64, span)),
            other => {
                let given = self.type_text(other);
                self.error(of.span, format!("len: expected a map or a stack, found {given}"))
            }
        }
    }
}
