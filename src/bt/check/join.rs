//! Types that hold two types, and conversions between types.

use super::{Checked, Checker};
use crate::bt::hir::{Expr, ExprKind};
use crate::bt::source::Span;
use crate::bt::types::{Int, Pointer, Sign, Type};
use std::sync::Arc;

/// An expression.
pub(super) fn expr(kind: ExprKind, ty: Type, span: Span) -> Expr {
    Expr { kind, ty, span }
}

/// Returns the void expression: the value of statements.
pub(super) fn nothing(span: Span) -> Expr {
    expr(ExprKind::Tuple(Vec::new()), Type::Void, span)
}

/// An integer of a type.
pub(super) fn integer(value: i128, int: Int, span: Span) -> Expr {
    expr(ExprKind::Int(int.truncate(value as u64)), Type::Int(int), span)
}

/// A `bool`.
pub(super) fn boolean(value: bool, span: Span) -> Expr {
    expr(ExprKind::Int(value.into()), Type::Bool, span)
}

/// An integer of the smallest signed type that holds it; `uint64` above those.
pub(super) fn literal(value: i128, span: Span) -> Expr {
    let int = [1, 2, 4, 8]
        .map(|size| Int { size, signed: true })
        .into_iter()
        .find(|int| {
            let bits = u32::from(int.size) * 8 - 1;
            (-(1_i128 << bits)..1_i128 << bits).contains(&value)
        })
        .unwrap_or(Int::U64);
    integer(value, int, span)
}

/// A string with the zero at its end.
pub(super) fn string(text: &[u8], span: Span) -> Expr {
    let mut bytes = text.to_vec();
    bytes.push(0);
    let size = bytes.len() as u32;
    expr(ExprKind::Bytes(bytes.into()), Type::String(size), span)
}

/// The value of a constant of a scalar type.
pub(super) fn constant(of: &Expr) -> Option<i128> {
    match (&of.kind, &of.ty) {
        (ExprKind::Int(value), ty) if ty.is_signed() => Some(value.cast_signed().into()),
        (ExprKind::Int(value), _) => Some((*value).into()),
        _ => None,
    }
}

/// The text of a constant string, without the zero at its end.
pub(super) fn constant_text(of: &Expr) -> Option<&[u8]> {
    match (&of.kind, &of.ty) {
        (ExprKind::Bytes(bytes), Type::String(_)) => bytes.split(|byte| *byte == 0).next(),
        _ => None,
    }
}

/// A type that holds both; `None` if there is none. Of `uint64` and `int64`, neither of which holds the other, it is
/// `int64`, as in bpftrace.
pub(super) fn join(first: &Type, second: &Type) -> Option<Type> {
    if first == second {
        return Some(first.clone());
    }
    Some(match (first, second) {
        (Type::Int(one), Type::Int(two)) => Type::Int(one.join(*two)),
        (Type::Bool, Type::Int(int)) | (Type::Int(int), Type::Bool) => Type::Int(*int),
        (Type::Enum(_, int), other) | (other, Type::Enum(_, int)) if other.int().is_some() => {
            return join(&Type::Int(*int), &Type::Int(other.int().unwrap_or(*int)));
        }
        (pointer @ Type::Pointer(_), Type::Int(_)) | (Type::Int(_), pointer @ Type::Pointer(_)) => {
            pointer.clone()
        }
        (Type::Pointer(one), Type::Pointer(two)) => {
            let to = if one.to == Type::Void || one.to == two.to { &one.to } else { &Type::Void };
            let to = if two.to == Type::Void { &one.to } else { to };
            Type::Pointer(Arc::new(Pointer { to: to.clone(), space: one.space.max(two.space) }))
        }
        (Type::String(one), Type::String(two)) => Type::String(*one.max(two)),
        (Type::Buffer(one), Type::Buffer(two)) => Type::Buffer(*one.max(two)),
        (Type::Tuple(one), Type::Tuple(two)) if one.len() == two.len() => {
            let elements = one.iter().zip(&**two).map(|(one, two)| join(one, two));
            Type::Tuple(elements.collect::<Option<Vec<_>>>()?.into())
        }
        (Type::Sum(_), Type::Sum(_)) => Type::Sum(Sign::Signed),
        (Type::Avg(_), Type::Avg(_)) => Type::Avg(Sign::Signed),
        (Type::Min(_), Type::Min(_)) => Type::Min(Sign::Signed),
        (Type::Max(_), Type::Max(_)) => Type::Max(Sign::Signed),
        (Type::Stats(_), Type::Stats(_)) => Type::Stats(Sign::Signed),
        _ => return None,
    })
}

/// The inferred type of a place (a variable, the keys or the values of a map), so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The type so far.
    pub ty: Option<Type>,
    /// Whether all values so far are integer literals that are not negative.
    pub literal: bool,
}

/// The type of a value that a place is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// The type.
    pub ty: &'a Type,
    literal: bool,
}

impl<'a> Given<'a> {
    /// A value of a type.
    pub(super) fn new(ty: &'a Type) -> Given<'a> {
        Given { ty, literal: false }
    }

    /// A value, which a place holds as being of this type.
    pub(super) fn value(ty: &'a Type, value: &Expr) -> Given<'a> {
        Given {
            ty,
            literal: value.ty.is_signed() && constant(value).is_some_and(|value| value >= 0),
        }
    }
}

/// Whether [`convert`] can make a value of the one type one of the other, without a cast in the script.
pub(super) fn converts(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.len() == to.len() && from.iter().zip(&**to).all(|(from, to)| converts(from, to))
        }
        (Type::Int(_) | Type::Bool | Type::Enum(..), Type::Int(_)) => true,
        (Type::Int(_) | Type::Pointer(_), Type::Pointer(_)) => true,
        (Type::String(from), Type::String(to)) => from <= to,
        (Type::Buffer(from), Type::Buffer(to)) => from <= to,
        (from, to) => from == to,
    }
}

/// Makes an expression one of another type that can hold it.
pub(super) fn convert(from: Expr, to: &Type) -> Expr {
    if from.ty == *to {
        return from;
    }
    let span = from.span;
    match (from.kind, to) {
        (ExprKind::Int(value), Type::Int(int) | Type::Enum(_, int)) => {
            expr(ExprKind::Int(int.truncate(value)), to.clone(), span)
        }
        (ExprKind::Int(value), Type::Pointer(_)) => expr(ExprKind::Int(value), to.clone(), span),
        (ExprKind::Int(value), Type::Bool) => {
            expr(ExprKind::Int((value != 0).into()), to.clone(), span)
        }
        (ExprKind::Bytes(bytes), Type::String(size)) => {
            let mut bytes = bytes.to_vec();
            bytes.resize(*size as usize, 0);
            expr(ExprKind::Bytes(bytes.into()), to.clone(), span)
        }
        (ExprKind::Tuple(elements), Type::Tuple(types)) => {
            let elements = elements.into_iter().zip(&**types).map(|(one, ty)| convert(one, ty));
            expr(ExprKind::Tuple(elements.collect()), to.clone(), span)
        }
        (kind, to) => {
            let from = expr(kind, from.ty, span);
            expr(ExprKind::Convert(Box::new(from)), to.clone(), span)
        }
    }
}

impl Checker<'_> {
    /// Widens the type of a place for a value; returns whether there is one that holds both.
    pub(super) fn widen(&mut self, place: &mut Known, value: Given<'_>) -> bool {
        let Some(known) = &place.ty else {
            *place = Known { ty: Some(value.ty.clone()), literal: value.literal };
            self.changed = true;
            return true;
        };
        let joined = match (known, value.ty) {
            // A literal that is not negative has no sign of its own.
            (Type::Int(one), Type::Int(two))
                if place.literal && !two.signed || value.literal && !one.signed =>
            {
                Some(Type::Int(Int { size: one.size.max(two.size), signed: false }))
            }
            (known, value) => join(known, value),
        };
        let Some(joined) = joined else { return false };
        place.literal &= value.literal;
        if joined != *known {
            place.ty = Some(joined);
            self.changed = true;
        }
        true
    }

    /// Converts a value to the type of its place, or reports the reason why it cannot.
    pub(super) fn fit(&mut self, value: Expr, to: &Type, what: &str) -> Checked<Expr> {
        if converts(&value.ty, to) {
            return Ok(convert(value, to));
        }
        let (is, given) = (self.type_text(to), self.type_text(&value.ty));
        self.error(value.span, format!("type mismatch: {what} is {is}, the value is {given}"))
    }
}
