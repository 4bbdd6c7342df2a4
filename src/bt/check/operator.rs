//! Checks operators.

use super::join::{
    boolean, constant, constant_text, convert, expr, integer, join, literal, string,
};
use super::place::scale;
use super::{Checked, Checker};
use crate::bt::ast::{self, BinaryOp, UnaryOp};
use crate::bt::hir::{Expr, ExprKind, Unary};
use crate::bt::source::Span;
use crate::bt::types::{Int, Type};

impl<'a> Checker<'a> {
    pub(super) fn unary(
        &mut self,
        op: UnaryOp,
        operand: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
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

    pub(super) fn logical(
        &mut self,
        and: bool,
        operands: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let (mut kept, mut failed) = (Vec::new(), false);
        for operand in operands {
            match self.condition(operand) {
                Err(_) => failed = true,
                Ok(operand) => match constant(&operand) {
                    // This operand decides the result, and later ones are never evaluated.
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

    pub(super) fn binary_written(
        &mut self,
        op: ast::Spanned<BinaryOp>,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let (left, right) = (self.value(left), self.value(right));
        match (left, right) {
            (Ok(left), Ok(right)) => self.binary(op.node, left, right, span),
            // Sums of unknown types are numbers.
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
        if let (BinaryOp::Add, Some(one), Some(two)) =
            (op, constant_text(&left), constant_text(&right))
        {
            return Ok(string(&[one, two].concat(), span));
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
        // The left operand decides whether a division or a right shift is signed; a difference of unsigned numbers is a
        // number as any.
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

    /// Checks that a constant divisor is not 0, and a constant shift not too wide.
    pub(super) fn check_divisor(&mut self, op: BinaryOp, right: &Expr) -> Checked<()> {
        match (op, constant(right)) {
            (BinaryOp::Div | BinaryOp::Mod, Some(0)) => self.error(right.span, "division by 0"),
            (BinaryOp::Shl | BinaryOp::Shr, Some(by)) if !(0..64).contains(&by) => {
                self.error(right.span, format!("shift by {by}, expected 0 to 63"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fold(
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
            BinaryOp::Mul => one.saturating_mul(two),
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
            return self.error(span, "the result does not fit into 64 bits");
        }
        // Of numbers with a type of their own the result has the sign that it would have at run time.
        let unsigned = types.iter().any(|ty| !ty.is_signed()) && op != BinaryOp::Sub && value >= 0;
        if unsigned && value > i64::MAX.into() {
            return Ok(integer(value, Int::U64, span));
        }
        Ok(literal(value, span))
    }

    pub(super) fn pointer_arithmetic(
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

    pub(super) fn compare(
        &mut self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Checked<Expr> {
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
}

/// Whether a value can be negative.
fn is_signed(of: &Expr) -> bool {
    of.ty.is_signed() && constant(of).is_none_or(|value| value < 0)
}

/// Whether both are of signed types; one of them is a constant then, or [`is_signed`] would have returned true.
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
