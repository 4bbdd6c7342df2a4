//! Checks operators, literals and casts.

use super::join::{Given, boolean, constant, convert, expr, integer, join, literal, string};
use super::{Checked, Checker, statement};
use crate::bt::ast::{self, BinaryOp, ExprKind as Written};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{Expr, ExprKind};
use crate::bt::source::Span;
use crate::bt::types::{Int, Space, Type};
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// Goes through an expression. An aggregation in a map is itself, not yet a number.
    pub(super) fn expr(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
        self.nested(of.span, |checker| checker.any(of))
    }

    fn any(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
        let span = of.span;
        match &of.kind {
            Written::Int(value) => Ok(literal((*value).into(), span)),
            Written::Str(text) => Ok(string(text, span)),
            Written::Bool(value) => Ok(boolean(*value, span)),
            Written::Ident(name) => self.named(name, span),
            Written::Positional(index) => Ok(self.positional(*index, span)),
            Written::PositionalCount => Ok(self.positional_count(span)),
            Written::Variable(name) => {
                let id = self.variable(name, span)?;
                let ty = self.variable_type(id, span)?;
                Ok(expr(ExprKind::Variable(id), ty, span))
            }
            Written::Map { name, key } => self.map_read(name, key.as_deref(), span),
            Written::Call { name, arguments } => match self.macro_named(&name.node) {
                Some(used) => self.use_macro(used, arguments, span),
                None => self.call(&name.node, name.span, arguments, span),
            },
            Written::Unary(op, operand) => self.unary(*op, operand, span),
            Written::Binary { op, left, right } => self.binary_written(*op, left, right, span),
            Written::Logical { and, operands } => self.logical(*and, operands, span),
            Written::Ternary { condition, then, otherwise } => {
                self.ternary(condition, then.as_deref(), otherwise, span)
            }
            Written::Step { target, increment, prefix } => {
                self.step(target, *increment, *prefix, span)
            }
            Written::Field { base, name } => self.field_access(base, name, span),
            Written::Element { base, index } => {
                let base = self.expr(base)?;
                self.element(base, index.node, index.span, span)
            }
            Written::Index { base, index } => self.index(base, index, span),
            Written::Cast { ty, value } => self.cast(ty, value, span),
            Written::SizeofType(ty) => {
                let ty = self.type_named(ty, Space::Kernel)?;
                self.size_of(&ty, span)
            }
            Written::SizeofExpr(of) => {
                let of = self.value(of)?;
                match (&of.ty, &of.kind) {
                    // An enumerator by itself is a number of 64 bits, whatever its type has.
                    (Type::Enum(..), ExprKind::Int(_)) => self.size_of(&Type::I64, span),
                    (ty, _) => self.size_of(ty, span),
                }
            }
            Written::OffsetofType(ty, path) => {
                let ty = self.type_named(ty, Space::Kernel)?;
                self.offset_of(ty, path, span)
            }
            Written::OffsetofExpr(of, path) => {
                let of = self.expr(of)?;
                self.offset_of(of.ty, path, span)
            }
            Written::Tuple(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| self.value(element)).collect();
                let elements = elements.into_iter().collect::<Checked<Vec<_>>>()?;
                let types: Vec<_> = elements.iter().map(|element| element.ty.clone()).collect();
                let ty = self.bounded(Type::Tuple(types.into()), span)?;
                Ok(expr(ExprKind::Tuple(elements), ty, span))
            }
            Written::Block(block) => self.block_value(block, span),
            Written::Unsupported(what) => self.unsupported(span, what),
        }
    }

    /// Goes through an expression that is a value.
    pub(super) fn value(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
        let checked = self.expr(of)?;
        self.rvalue(checked)
    }

    /// Makes an aggregation a number.
    pub(super) fn rvalue(&mut self, of: Expr) -> Checked<Expr> {
        let span = of.span;
        match of.ty {
            Type::Hist(_) | Type::Lhist(_) | Type::Stats(_) => {
                let given = self.type_text(&of.ty);
                let hint = "print() shows it";
                self.report(
                    Diagnostic::error(span, format!("{given} cannot be used as a value"))
                        .hint(hint),
                )
            }
            Type::Void => self.error(span, "it has no value"),
            ref ty if ty.is_aggregate() => {
                let number = self.element_type(ty);
                Ok(expr(ExprKind::Aggregated(Box::new(of)), number, span))
            }
            _ => Ok(of),
        }
    }

    fn map_read(
        &mut self,
        name: &'a ast::Name,
        key: Option<&'a [ast::Expr]>,
        span: Span,
    ) -> Checked<Expr> {
        let map = self.map_id(&name.node, name.span);
        let key = self.access(map, key, span)?;
        let Some(ty) = self.map(map).value.ty.clone() else {
            return self.unknown_map(map, name.span);
        };
        Ok(expr(ExprKind::Map { map, key: key.map(Box::new) }, ty, span))
    }

    fn size_of(&mut self, ty: &Type, span: Span) -> Checked<Expr> {
        if let Type::Struct(id) = ty {
            self.complete(*id, span)?;
        }
        Ok(integer(ty.size(&self.types.structs).into(), Int::U64, span))
    }

    fn offset_of(&mut self, of: Type, path: &'a [ast::Name], span: Span) -> Checked<Expr> {
        let (mut ty, mut offset) = (of, 0_u32);
        for name in path {
            if let Type::Pointer(pointer) = &ty
                && offset == 0
            {
                ty = pointer.to.clone();
            }
            let Type::Struct(id) = ty else {
                let given = self.type_text(&ty);
                return self
                    .error(name.span, format!("offsetof: {given} has no field `{}`", name.node));
            };
            let field = self.field(id, &name.node, name.span)?;
            offset = offset.saturating_add(field.offset);
            ty = field.ty;
        }
        Ok(integer(offset.into(), Int::U64, span))
    }

    /// Goes through a condition: the result is `bool`.
    pub(super) fn condition(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
        let checked = self.value(of)?;
        self.truth(checked)
    }

    pub(super) fn truth(&mut self, of: Expr) -> Checked<Expr> {
        let span = of.span;
        if of.ty == Type::Bool {
            return Ok(of);
        }
        if let Some(value) = constant(&of) {
            return Ok(boolean(value != 0, span));
        }
        match of.ty {
            Type::Int(_) | Type::Enum(..) | Type::Pointer(_) => {
                let zero = expr(ExprKind::Int(0), of.ty.clone(), span);
                let kind = ExprKind::Compare {
                    op: BinaryOp::Ne,
                    signed: false,
                    left: Box::new(of),
                    right: Box::new(zero),
                };
                Ok(expr(kind, Type::Bool, span))
            }
            ref other => {
                let given = self.type_text(other);
                self.error(
                    span,
                    format!("condition: expected an integer, a pointer or bool, found {given}"),
                )
            }
        }
    }

    fn ternary(
        &mut self,
        condition: &'a ast::Expr,
        then: Option<&'a ast::Expr>,
        otherwise: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let Some(then) = then else { return self.condition_or(condition, otherwise, span) };
        let condition = self.condition(condition);
        let known = condition.as_ref().ok().and_then(constant);
        if let Some(known) = known {
            return self.value_or_nothing(if known != 0 { then } else { otherwise });
        }
        let (then, otherwise) = (self.value_or_nothing(then), self.value_or_nothing(otherwise));
        self.choice(condition?, then?, otherwise?, span)
    }

    /// `value ?: otherwise`: the value itself if it is not 0. It is evaluated once, into a variable that has no name in
    /// the script.
    fn condition_or(
        &mut self,
        value: &'a ast::Expr,
        otherwise: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let checked = self.value(value);
        let known = checked.as_ref().ok().and_then(constant);
        if let Some(known) = known {
            return if known != 0 { checked } else { self.value_or_nothing(otherwise) };
        }
        self.enter_scope();
        // No two expressions end at one place, but for parentheses.
        let place = Span { start: value.span.end, end: value.span.end };
        let variable = self.new_variable(&Arc::from("?:"), place);
        let stored = self.store(variable, checked, value.span);
        let read = self
            .variable_type(variable, value.span)
            .map(|ty| expr(ExprKind::Variable(variable), ty, value.span));
        let otherwise = self.value_or_nothing(otherwise);
        self.leave_scope();
        let (stored, read) = (stored?, read?);
        let condition = self.truth(read.clone())?;
        let choice = self.choice(condition, read, otherwise?, span)?;
        let ty = choice.ty.clone();
        let statements = vec![statement(stored, value.span)];
        Ok(expr(ExprKind::Block(statements, Box::new(choice)), ty, span))
    }

    /// Joins the two sides of a choice.
    fn choice(
        &mut self,
        condition: Expr,
        then: Expr,
        otherwise: Expr,
        span: Span,
    ) -> Checked<Expr> {
        let (one, two) = (&then.ty, &otherwise.ty);
        let ty = match (one, two) {
            (Type::Void, _) | (_, Type::Void) => Some(Type::Void),
            (Type::Int(_), Type::Pointer(_)) if constant(&then) != Some(0) => None,
            (Type::Pointer(_), Type::Int(_)) if constant(&otherwise) != Some(0) => None,
            (one, two) => join(one, two),
        };
        let Some(ty) = ty else {
            let (one, two) = (self.type_text(one), self.type_text(two));
            return self
                .error(span, format!("type mismatch: {one} if the condition holds, {two} if not"));
        };
        let (then, otherwise) = match ty {
            Type::Void => (then, otherwise),
            _ => (convert(then, &ty), convert(otherwise, &ty)),
        };
        let kind = ExprKind::Ternary {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        Ok(expr(kind, ty, span))
    }

    fn step(
        &mut self,
        target: &'a ast::Expr,
        increment: bool,
        prefix: bool,
        span: Span,
    ) -> Checked<Expr> {
        let by = if increment { 1 } else { -1 };
        match &target.kind {
            Written::Variable(name) => {
                let id = self.variable(name, target.span)?;
                let ty = self.variable_type(id, target.span)?;
                let by = self.step_size(&ty, by, target.span)?;
                if let Type::Int(int) = ty {
                    // The sum may be wider than what was stored so far.
                    let widened = int.join(Int::I64);
                    let widened = if int == Int::U64 { int } else { widened };
                    self.widen_variable(id, Given::new(&Type::Int(widened)));
                }
                let ty = self.variable_type(id, target.span)?;
                Ok(expr(ExprKind::StepVariable { variable: id, by, prefix }, ty, span))
            }
            Written::Map { name, key } => {
                let map = self.map_id(&name.node, name.span);
                let key = self.access(map, key.as_deref(), target.span)?;
                if self.map(map).value.ty.is_none() {
                    self.map_value(map, Given::new(&Type::I64), target.span)?;
                }
                let ty = self.map(map).value.ty.clone().unwrap_or(Type::I64);
                let by = self.step_size(&ty, by, target.span)?;
                Ok(expr(ExprKind::StepMap { map, key: key.map(Box::new), by, prefix }, ty, span))
            }
            _ => self.error(target.span, "`++` and `--`: expected a variable or a map"),
        }
    }

    pub(super) fn step_size(&mut self, ty: &Type, by: i64, span: Span) -> Checked<i64> {
        match ty {
            Type::Int(_) => Ok(by),
            Type::Pointer(pointer) => Ok(by * i64::from(self.pointee_size(&pointer.to, span)?)),
            other => {
                let given = self.type_text(other);
                self.error(
                    span,
                    format!("`++` and `--`: expected an integer or a pointer, found {given}"),
                )
            }
        }
    }

    pub(super) fn pointee_size(&mut self, to: &Type, span: Span) -> Checked<u32> {
        if let Type::Struct(id) = to {
            self.complete(*id, span)?;
        }
        Ok(to.size(&self.types.structs).max(1))
    }

    fn cast(&mut self, ty: &'a ast::TypeName, value: &'a ast::Expr, span: Span) -> Checked<Expr> {
        let value = self.value(value)?;
        let space = self.default_space(&value);
        let ty = self.type_named(ty, space)?;
        self.cast_to(value, ty, span)
    }

    /// `(type)value`
    pub(super) fn cast_to(&mut self, value: Expr, ty: Type, span: Span) -> Checked<Expr> {
        let mut value = value;
        // `char[n]` is text that can be taken as bytes.
        if let (Type::String(size), Type::Int(_) | Type::Array(..)) = (&value.ty, &ty)
            && matches!(value.kind, ExprKind::Load { .. })
        {
            value.ty = Type::Array(Arc::new(Type::Int(Int::I8)), *size);
        }
        let size = value.ty.size(&self.types.structs);
        let possible = match (&value.ty, &ty) {
            (
                Type::Int(_) | Type::Bool | Type::Enum(..) | Type::Pointer(_),
                Type::Int(_) | Type::Enum(..) | Type::Bool,
            ) => true,
            (Type::Int(_) | Type::Pointer(_) | Type::Enum(..), Type::Pointer(_)) => true,
            (Type::Array(..) | Type::String(_) | Type::Struct(_), Type::Pointer(_)) => {
                let Some(address) = self.address_of(&value) else {
                    return self
                        .error(span, "cast: a value that does not lie in memory has no address");
                };
                return Ok(Expr { ty, span, ..address });
            }
            (Type::Array(of, _), Type::Int(int)) if of.int().is_some() => {
                // bpftrace requires equal sizes; the first bytes are accepted here, too.
                if u32::from(int.size) > size {
                    let (from, to) = (self.type_text(&value.ty), self.type_text(&ty));
                    return self.error(
                        span,
                        format!("cast: {from} has {size} bytes, {to} needs {}", int.size),
                    );
                }
                true
            }
            (Type::Int(int), Type::Array(of, length)) if of.int().is_some() => {
                return self.cast_to_array(value.clone(), u32::from(int.size), of, *length, span);
            }
            (Type::Array(one, _), Type::Array(of, length))
                if one.int().is_some() && of.int().is_some() =>
            {
                return self.cast_to_array(value.clone(), size, of, *length, span);
            }
            (Type::String(_), Type::String(_)) => {
                return match join(&value.ty, &ty).as_ref() == Some(&ty) {
                    true => Ok(convert(value, &ty)),
                    false => self.unsupported(span, "casts that cut a string"),
                };
            }
            (one, two) => one == two,
        };
        if !possible {
            let (from, to) = (self.type_text(&value.ty), self.type_text(&ty));
            return self.error(span, format!("cast: not possible from {from} to {to}"));
        }
        let cast = convert(value, &ty);
        Ok(Expr { span, ..cast })
    }

    fn cast_to_array(
        &mut self,
        value: Expr,
        size: u32,
        of: &Arc<Type>,
        length: u32,
        span: Span,
    ) -> Checked<Expr> {
        let element = of.size(&self.types.structs).max(1);
        let length = if length == 0 { size / element } else { length };
        // A literal takes the size that is asked for.
        let literal = constant(&value).is_some();
        let wanted = length.saturating_mul(element);
        if wanted != size && !(literal && matches!(wanted, 1 | 2 | 4 | 8) && wanted >= size) {
            return self
                .error(span, format!("cast: the value has {size} bytes, the array {wanted}"));
        }
        let value = if literal {
            convert(value, &Type::Int(Int { size: wanted as u8, signed: true }))
        } else {
            value
        };
        let ty = Type::Array(Arc::clone(of), length);
        Ok(expr(ExprKind::Convert(Box::new(value)), ty, span))
    }
}
