//! Maps: keys, values, and assignments.

use super::join::{Given, constant, convert};
use super::place::scale;
use super::{Checked, Checker, Stop};
use crate::bt::ast::{self, BinaryOp};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{self, Expr, MapId, StatementKind};
use crate::bt::source::Span;
use crate::bt::types::{Int, Type};
use crate::util::nearest::{Nearest, OFFERED};

impl<'a> Checker<'a> {
    /// Returns the type of a map element when it is read as a value.
    pub(super) fn element_type(&self, value: &Type) -> Type {
        match value {
            Type::Count => Type::U64,
            Type::Sum(_) | Type::Avg(_) | Type::Min(_) | Type::Max(_) => {
                if value.is_signed() {
                    Type::I64
                } else {
                    Type::U64
                }
            }
            other => other.clone(),
        }
    }

    /// Takes note that a map is used with a key or without; an error if it is used in both ways.
    pub(super) fn keyed(&mut self, id: MapId, keyed: bool, span: Span) -> Checked<()> {
        let state = self.map(id);
        let Some((known, _)) = state.keyed else {
            state.keyed = Some((keyed, span));
            self.changed = true;
            return Ok(());
        };
        if known == keyed {
            return Ok(());
        }
        let name = state.name.clone();
        let first = state.keyed.map_or(span, |(_, first)| first);
        let line = self.source.position(first.start).line;
        let (is, here) =
            if known { ("with a key", "without") } else { ("without a key", "with one") };
        self.error(span, format!("{name} is used {is} in line {line}, and {here} here"))
    }

    /// Reports a map whose type cannot be inferred.
    pub(super) fn unknown_map<T>(&mut self, id: MapId, span: Span) -> Checked<T> {
        let state = self.map(id).clone();
        if state.failed || self.incomplete {
            return Err(Stop);
        }
        let mut nearest = Nearest::new(&state.name, OFFERED);
        for map in self.maps.iter().filter(|map| map.value.ty.is_some()) {
            nearest.offer(&map.name);
        }
        let nearest = nearest.into_names();
        if self.last {
            // Reported at the first use only.
            self.map(id).failed = true;
        }
        let message = format!("undefined map: {}: nothing is ever assigned to it", state.name);
        self.report(Diagnostic::error(span, message).nearest(&nearest))
    }

    /// The key of an access, and the type of the map's keys widened for it.
    pub(super) fn key(&mut self, id: MapId, key: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let checked = match key {
            [one] => self.value(one)?,
            several => {
                let elements: Vec<_> = several.iter().map(|one| self.value(one)).collect();
                let elements = elements.into_iter().collect::<Checked<Vec<_>>>()?;
                let types: Vec<_> = elements.iter().map(|one| one.ty.clone()).collect();
                let first = elements.first().map_or(span, |one| one.span);
                let all = elements.last().map_or(span, |one| first.to(one.span));
                Expr {
                    kind: hir::ExprKind::Tuple(elements),
                    ty: Type::Tuple(types.into()),
                    span: all,
                }
            }
        };
        self.fit_key(id, checked)
    }

    /// Widens the type of a map's keys for a key and converts the key to it.
    pub(super) fn fit_key(&mut self, id: MapId, key: Expr) -> Checked<Expr> {
        let span = key.span;
        if key.ty == Type::Void {
            return self.error(span, "it has no value that could be a key");
        }
        let mut known = self.map(id).key.clone();
        let fits = self.widen(&mut known, Given::value(&key.ty, &key));
        self.map(id).key = known.clone();
        let name = self.map(id).name.clone();
        let Some(ty) = known.ty.filter(|_| fits) else {
            let known = self.map(id).key.ty.clone().unwrap_or(Type::Void);
            let (is, given) = (self.type_text(&known), self.type_text(&key.ty));
            return self
                .error(span, format!("key of {name}: type mismatch: it is {is}, here {given}"));
        };
        self.fit(key, &ty, &format!("the key of {name}"))
    }

    /// The key of an access that may have one.
    pub(super) fn access(
        &mut self,
        id: MapId,
        key: Option<&'a [ast::Expr]>,
        span: Span,
    ) -> Checked<Option<Expr>> {
        let known = self.keyed(id, key.is_some(), span);
        let key = key.map(|key| self.key(id, key, span)).transpose();
        known?;
        key
    }

    pub(super) fn assign_map(
        &mut self,
        name: &'a ast::Name,
        key: Option<&'a [ast::Expr]>,
        op: Option<BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
    ) -> Checked<StatementKind> {
        let map = self.map_id(&name.node, name.span);
        let key = self.access(map, key, name.span);
        if op.is_none()
            && let Some(result) = self.aggregation(map, &key, value, span)
        {
            return result;
        }
        let value = match self.value(value) {
            Ok(value) => value,
            Err(Stop) => {
                self.map(map).failed = true;
                return Err(Stop);
            }
        };
        let ty = match op {
            None => stored(self.storable(&value)?),
            Some(op) => {
                if value.ty.int().is_none() && value.ty != Type::Bool {
                    let given = self.type_text(&value.ty);
                    return self.error(
                        value.span,
                        format!("`{}=`: expected an integer, found {given}", op.text()),
                    );
                }
                let known = self.map(map).value.ty.clone().unwrap_or(Type::I64);
                if let Type::Pointer(_) = known {
                    return self.move_pointer(map, key?, op, value, &known, span);
                }
                let signed = op == BinaryOp::Sub || known.is_signed() || value.ty.is_signed();
                match known {
                    Type::Int(int) if int.size == 8 => Type::Int(int),
                    _ => Type::Int(Int { size: 8, signed }),
                }
            }
        };
        let given = match op {
            None => Given::value(&ty, &value),
            Some(_) => Given::new(&ty),
        };
        let place = self.map_value(map, given, span)?;
        let key = key?;
        let what = name.node.to_string();
        match op {
            None => Ok(StatementKind::SetMap { map, key, value: self.fit(value, &place, &what)? }),
            Some(op) => {
                if place.int().is_none() {
                    let is = self.type_text(&place);
                    return self
                        .error(span, format!("{what} is {is}: `{}=` needs an integer", op.text()));
                }
                self.check_divisor(op, &value)?;
                let signed = place.is_signed()
                    && (value.ty.is_signed() || constant(&value).is_some() || op == BinaryOp::Shr)
                    || value.ty.is_signed() && constant(&value).is_none_or(|value| value < 0);
                let value = convert(value, &Type::Int(Int { size: 8, signed }));
                Ok(StatementKind::UpdateMap { map, key, op, signed, value })
            }
        }
    }

    /// `@m += n` of a pointer, by the size of its pointee.
    pub(super) fn move_pointer(
        &mut self,
        map: MapId,
        key: Option<Expr>,
        op: BinaryOp,
        value: Expr,
        ty: &Type,
        span: Span,
    ) -> Checked<StatementKind> {
        if !matches!(op, BinaryOp::Add | BinaryOp::Sub) {
            let is = self.type_text(ty);
            return self.error(span, format!("`{}=`: not possible for {is}", op.text()));
        }
        let size = self.step_size(ty, 1, span)?;
        let value = scale(convert(value, &Type::I64), size);
        Ok(StatementKind::UpdateMap { map, key, op, signed: false, value })
    }

    /// Widens the type of a map's values and returns it.
    pub(super) fn map_value(&mut self, map: MapId, given: Given<'_>, span: Span) -> Checked<Type> {
        let mut known = self.map(map).value.clone();
        let fits = self.widen(&mut known, given);
        self.map(map).value = known.clone();
        match known.ty {
            Some(known) if fits => Ok(known),
            known => {
                let name = self.map(map).name.clone();
                let is = self.type_text(&known.unwrap_or(Type::Void));
                let given = self.type_text(given.ty);
                self.error(span, format!("type mismatch: {name} is {is}, the value is {given}"))
            }
        }
    }
}

/// The type in which a map holds values: integers are 64 bits wide.
pub(super) fn stored(ty: Type) -> Type {
    match ty {
        Type::Int(int) => Type::Int(Int { size: 8, ..int }),
        Type::Bool => Type::Bool,
        other => other,
    }
}
