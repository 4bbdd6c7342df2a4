//! Operators, literals and casts.

use super::join::{
    boolean, constant, constant_text, convert, expr, integer, join, literal, string,
};
use super::place::scale;
use super::{Checked, Checker};
use crate::bt::ast::{self, BinaryOp, ExprKind as Written, UnaryOp};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{Expr, ExprKind, Unary};
use crate::bt::source::Span;
use crate::bt::types::{Int, Space, Type};
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// Goes through an expression. An aggregation in a map is itself, not yet a number.
    pub(super) fn expr(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
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
                self.size_of(&of.ty, span)
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
                Ok(expr(ExprKind::Tuple(elements), Type::Tuple(types.into()), span))
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
                self.tell(
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
        let Some(ty) = self.map(map).value.clone() else { return self.unknown_map(map, name.span) };
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

    fn truth(&mut self, of: Expr) -> Checked<Expr> {
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

    fn unary(&mut self, op: UnaryOp, operand: &'a ast::Expr, span: Span) -> Checked<Expr> {
        if op == UnaryOp::AddressOf {
            let object = self.expr(operand)?;
            return match self.address_of(&object) {
                Some(address) => Ok(address),
                None => self.unsupported(
                    span,
                    "the address of what does not lie in memory of the kernel or a process",
                ),
            };
        }
        if op == UnaryOp::Not {
            let operand = self.condition(operand)?;
            return Ok(match constant(&operand) {
                Some(value) => boolean(value == 0, span),
                None => expr(ExprKind::Unary(Unary::Not, Box::new(operand)), Type::Bool, span),
            });
        }
        let operand = self.value(operand)?;
        if op == UnaryOp::Dereference {
            return self.dereference(operand, span);
        }
        let signed = match &operand.ty {
            Type::Int(int) | Type::Enum(_, int) => int.signed,
            Type::Bool => false,
            other => {
                let given = self.type_text(other);
                return self.error(span, format!("expected an integer, found {given}"));
            }
        };
        if let Some(value) = constant(&operand) {
            return match op {
                UnaryOp::Negate if -value < i64::MIN.into() => self.error(span, "number too small"),
                UnaryOp::Negate => Ok(literal(-value, span)),
                UnaryOp::Invert if signed => Ok(integer(!value, Int::I64, span)),
                UnaryOp::Invert => Ok(integer(!value, Int::U64, span)),
                _ => Ok(operand),
            };
        }
        let (unary, ty) = match op {
            UnaryOp::Negate => (Unary::Negate, Type::I64),
            UnaryOp::Invert => (Unary::Invert, Type::Int(Int { size: 8, signed })),
            _ => return Ok(operand),
        };
        let operand = convert(operand, &ty);
        Ok(expr(ExprKind::Unary(unary, Box::new(operand)), ty, span))
    }

    fn logical(&mut self, and: bool, operands: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let (mut kept, mut failed) = (Vec::new(), false);
        for operand in operands {
            match self.condition(operand) {
                Err(_) => failed = true,
                Ok(operand) => match constant(&operand) {
                    // It decides, and what comes after it is never evaluated.
                    Some(value) if (value != 0) != and => {
                        if kept.is_empty() {
                            return Ok(boolean(!and, span));
                        }
                        kept.push(operand);
                        break;
                    }
                    Some(_) => {}
                    None => kept.push(operand),
                },
            }
        }
        if failed {
            return Err(super::Stop);
        }
        Ok(match kept.len() {
            0 => boolean(and, span),
            1 => kept.swap_remove(0),
            _ => expr(ExprKind::Logical { and, operands: kept }, Type::Bool, span),
        })
    }

    fn ternary(
        &mut self,
        condition: &'a ast::Expr,
        then: Option<&'a ast::Expr>,
        otherwise: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let Some(then) = then else {
            return self.unsupported(span, "?: without a middle");
        };
        let condition = self.condition(condition);
        let known = condition.as_ref().ok().and_then(constant);
        if let Some(known) = known {
            return self.value_or_nothing(if known != 0 { then } else { otherwise });
        }
        let (then, otherwise) = (self.value_or_nothing(then), self.value_or_nothing(otherwise));
        let (condition, then, otherwise) = (condition?, then?, otherwise?);
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
                    self.widen_variable(id, &Type::Int(widened));
                }
                let ty = self.variable_type(id, target.span)?;
                Ok(expr(ExprKind::StepVariable { variable: id, by, prefix }, ty, span))
            }
            Written::Map { name, key } => {
                let map = self.map_id(&name.node, name.span);
                let key = self.access(map, key.as_deref(), target.span)?;
                if self.map(map).value.is_none() {
                    self.map_value(map, &Type::I64, target.span)?;
                }
                let ty = self.map(map).value.clone().unwrap_or(Type::I64);
                let by = self.step_size(&ty, by, target.span)?;
                Ok(expr(ExprKind::StepMap { map, key: key.map(Box::new), by, prefix }, ty, span))
            }
            _ => self.error(target.span, "`++` and `--`: expected a variable or a map"),
        }
    }

    fn step_size(&mut self, ty: &Type, by: i64, span: Span) -> Checked<i64> {
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

    fn pointee_size(&mut self, to: &Type, span: Span) -> Checked<u32> {
        if let Type::Struct(id) = to {
            self.complete(*id, span)?;
        }
        Ok(to.size(&self.types.structs).max(1))
    }

    fn binary_written(
        &mut self,
        op: ast::Spanned<BinaryOp>,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let (left, right) = (self.value(left), self.value(right));
        match (left, right) {
            (Ok(left), Ok(right)) => self.binary(op.node, left, right, span),
            // Sums of what is not known yet are numbers.
            _ if !self.last && !op.node.is_comparison() => {
                Ok(expr(ExprKind::Int(1), Type::I64, span))
            }
            _ if !self.last => Ok(expr(ExprKind::Context, Type::Bool, span)),
            _ => Err(super::Stop),
        }
    }

    /// Joins two values by an operator.
    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Checked<Expr> {
        if op.is_comparison() {
            return self.compare(op, left, right, span);
        }
        if matches!(left.ty, Type::Pointer(_)) || matches!(right.ty, Type::Pointer(_)) {
            return self.pointer_arithmetic(op, left, right, span);
        }
        for operand in [&left, &right] {
            if operand.ty.int().is_none() && operand.ty != Type::Bool {
                let given = self.type_text(&operand.ty);
                return self.error(
                    operand.span,
                    format!("`{}`: expected an integer, found {given}", op.text()),
                );
            }
        }
        self.check_divisor(op, &right)?;
        if let (Some(one), Some(two)) = (constant(&left), constant(&right)) {
            let wide = [&left, &right].map(|operand| operand.ty.clone());
            return self.fold(op, one, two, &wide, span);
        }
        let signed = match op {
            BinaryOp::Sub => true,
            BinaryOp::Shl | BinaryOp::Shr => left.ty.is_signed(),
            _ => is_signed(&left) || is_signed(&right) || both_signed(&left, &right),
        };
        // What is divided, or shifted right, tells whether that is signed; a difference of unsigned ones is a number as any.
        let operation = match op {
            BinaryOp::Sub => is_signed(&left) || is_signed(&right),
            _ => signed,
        };
        let ty = Type::Int(Int { size: 8, signed });
        let (left, right) = (convert(left, &ty), convert(right, &ty));
        let kind = ExprKind::Binary {
            op,
            signed: operation,
            left: Box::new(left),
            right: Box::new(right),
        };
        Ok(expr(kind, ty, span))
    }

    /// That a constant divisor is not 0, and a constant shift not too wide.
    pub(super) fn check_divisor(&mut self, op: BinaryOp, right: &Expr) -> Checked<()> {
        match (op, constant(right)) {
            (BinaryOp::Div | BinaryOp::Mod, Some(0)) => self.error(right.span, "division by 0"),
            (BinaryOp::Shl | BinaryOp::Shr, Some(by)) if !(0..64).contains(&by) => {
                self.error(right.span, format!("shift by {by}, expected 0 to 63"))
            }
            _ => Ok(()),
        }
    }

    fn fold(
        &mut self,
        op: BinaryOp,
        one: i128,
        two: i128,
        types: &[Type; 2],
        span: Span,
    ) -> Checked<Expr> {
        let value = match op {
            BinaryOp::Add => one + two,
            BinaryOp::Sub => one - two,
            BinaryOp::Mul => one * two,
            BinaryOp::Div => one / two,
            BinaryOp::Mod => one % two,
            BinaryOp::BitAnd => one & two,
            BinaryOp::BitOr => one | two,
            BinaryOp::BitXor => one ^ two,
            // A shift is one of 64 bits.
            BinaryOp::Shl => {
                let int = Int { size: 8, signed: types[0].is_signed() };
                let shifted = int.truncate((one as u64) << (two as u32));
                if int.signed { shifted.cast_signed().into() } else { shifted.into() }
            }
            _ => one >> two,
        };
        if !(i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value) {
            return self.error(span, format!("{value} does not fit into 64 bits"));
        }
        // Of numbers with a type of their own the result has the sign that it would have at run time.
        let unsigned = types.iter().any(|ty| !ty.is_signed()) && op != BinaryOp::Sub && value >= 0;
        if unsigned && value > i64::MAX.into() {
            return Ok(integer(value, Int::U64, span));
        }
        Ok(literal(value, span))
    }

    fn pointer_arithmetic(
        &mut self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Checked<Expr> {
        let (pointer, other) = match (&left.ty, &right.ty) {
            (Type::Pointer(_), Type::Int(_) | Type::Bool | Type::Enum(..)) => (left, right),
            (_, Type::Pointer(_)) if op == BinaryOp::Add && left.ty.int().is_some() => {
                (right, left)
            }
            (Type::Pointer(one), Type::Pointer(_)) if op == BinaryOp::Sub => {
                let size = self.pointee_size(&one.to.clone(), span)?;
                let (left, right) = (convert(left, &Type::U64), convert(right, &Type::U64));
                let kind = ExprKind::Binary {
                    op,
                    signed: true,
                    left: Box::new(left),
                    right: Box::new(right),
                };
                let bytes = expr(kind, Type::I64, span);
                let size = integer(size.into(), Int::I64, span);
                return self.binary(BinaryOp::Div, bytes, size, span);
            }
            _ => {
                let (one, two) = (self.type_text(&left.ty), self.type_text(&right.ty));
                return self
                    .error(span, format!("`{}`: not possible for {one} and {two}", op.text()));
            }
        };
        let Type::Pointer(target) = pointer.ty.clone() else { return Err(super::Stop) };
        if !matches!(op, BinaryOp::Add | BinaryOp::Sub) {
            // On other operators a pointer is a number.
            let number = convert(pointer, &Type::U64);
            return self.binary(op, number, other, span);
        }
        let size = i64::from(self.pointee_size(&target.to, span)?);
        let ty = pointer.ty.clone();
        if let ExprKind::Address { address, offset } = &pointer.kind
            && let Some(known) = constant(&other)
        {
            let by = (known as i64).wrapping_mul(size);
            let by = if op == BinaryOp::Sub { by.wrapping_neg() } else { by };
            let kind =
                ExprKind::Address { address: address.clone(), offset: offset.wrapping_add(by) };
            return Ok(expr(kind, ty, span));
        }
        if let (ExprKind::Int(value), Some(known)) = (&pointer.kind, constant(&other)) {
            let by = (known as u64).wrapping_mul(size.cast_unsigned());
            let sum =
                if op == BinaryOp::Sub { value.wrapping_sub(by) } else { value.wrapping_add(by) };
            return Ok(expr(ExprKind::Int(sum), ty, span));
        }
        let bytes = scale(other, size);
        let kind =
            ExprKind::Binary { op, signed: false, left: Box::new(pointer), right: Box::new(bytes) };
        Ok(expr(kind, ty, span))
    }

    fn compare(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Checked<Expr> {
        let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
        let scalar = |ty: &Type| ty.is_scalar();
        if scalar(&left.ty) && scalar(&right.ty) {
            if let (Some(one), Some(two)) = (constant(&left), constant(&right)) {
                return Ok(boolean(compare(op, one, two), span));
            }
            let pointers =
                matches!(left.ty, Type::Pointer(_)) || matches!(right.ty, Type::Pointer(_));
            // Of a `uint64` and what can be negative, the comparison is signed: it is right for all but values from 2^63 on.
            let signed =
                !pointers && (is_signed(&left) || is_signed(&right) || both_signed(&left, &right));
            let kind =
                ExprKind::Compare { op, signed, left: Box::new(left), right: Box::new(right) };
            return Ok(expr(kind, Type::Bool, span));
        }
        let (left, right) = (self.named_text(left, &right.ty)?, right);
        let right = self.named_text(right, &left.ty)?;
        let fits = match (&left.ty, &right.ty) {
            (Type::String(_), Type::String(_)) | (Type::Buffer(_), Type::Buffer(_)) => true,
            (one, two) => join(one, two).is_some() && !one.is_scalar() && !two.is_scalar(),
        };
        if !equality || !fits {
            let (one, two) = (self.type_text(&left.ty), self.type_text(&right.ty));
            return self.error(span, format!("`{}`: not possible for {one} and {two}", op.text()));
        }
        let equal = op == BinaryOp::Eq;
        if let (Some(one), Some(two)) = (constant_text(&left), constant_text(&right)) {
            return Ok(boolean((one == two) == equal, span));
        }
        let (left, right) = match (&left.ty, &right.ty) {
            // Strings and buffers end where they end, whatever their size.
            (Type::String(_), _) | (Type::Buffer(_), _) => (left, right),
            (one, two) => {
                let ty = join(one, two).unwrap_or(Type::Void);
                (convert(left, &ty), convert(right, &ty))
            }
        };
        let kind = ExprKind::CompareObjects { equal, left: Box::new(left), right: Box::new(right) };
        Ok(expr(kind, Type::Bool, span))
    }

    /// The name of the probe or the function as text, where it meets a string.
    pub(super) fn named_text(&mut self, of: Expr, other: &Type) -> Checked<Expr> {
        let known = match (&of.ty, other) {
            (Type::Probe | Type::Function, Type::String(_)) => of.ty.clone(),
            _ => return Ok(of),
        };
        let points = &self.instance().attach_points;
        let [point] = points.as_slice() else {
            return self
                .unsupported(of.span, "comparing the name of a probe that stands for several");
        };
        let text = match known {
            Type::Probe => point.to_string(),
            _ => point.function().unwrap_or_default().to_owned(),
        };
        Ok(string(text.as_bytes(), of.span))
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
                // bpftrace wants them to be equal; the first bytes can be had too.
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

/// Whether a value can be negative.
fn is_signed(of: &Expr) -> bool {
    of.ty.is_signed() && constant(of).is_none_or(|value| value < 0)
}

/// Whether both are of signed types; one of them is a constant then, or [`is_signed`] would have told.
fn both_signed(left: &Expr, right: &Expr) -> bool {
    left.ty.is_signed() && right.ty.is_signed()
}

fn compare(op: BinaryOp, one: i128, two: i128) -> bool {
    match op {
        BinaryOp::Eq => one == two,
        BinaryOp::Ne => one != two,
        BinaryOp::Lt => one < two,
        BinaryOp::Le => one <= two,
        BinaryOp::Gt => one > two,
        _ => one >= two,
    }
}
