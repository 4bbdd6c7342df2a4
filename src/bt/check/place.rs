//! Checks accesses to parts of values: fields, elements, dereferences.

use super::context::Place;
use super::join::{constant, expr};
use super::{Checked, Checker};
use crate::bt::ast::{self, BinaryOp};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{Access, Builtin, Expr, ExprKind};
use crate::bt::probe::Kind;
use crate::bt::source::Span;
use crate::bt::types::{Bits, Int, Pointer, Space, Type, tuple_layout};
use crate::util::nearest::{Nearest, OFFERED};
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// `x.name`
    pub(super) fn field_access(
        &mut self,
        base: &'a ast::Expr,
        name: &'a ast::Name,
        span: Span,
    ) -> Checked<Expr> {
        if let ast::ExprKind::Ident(args) = &base.kind
            && &**args == "args"
            && self.parameter(args).is_none()
        {
            return self.argument(name, base.span, span);
        }
        let base = self.expr(base)?;
        self.field_of(base, &name.node, name.span, span)
    }

    pub(super) fn field_of(
        &mut self,
        base: Expr,
        name: &str,
        place: Span,
        span: Span,
    ) -> Checked<Expr> {
        let base = match &base.ty {
            Type::Pointer(pointer) if matches!(pointer.to, Type::Struct(_)) => {
                let base_span = base.span;
                self.dereference(base, base_span)?
            }
            _ => base,
        };
        let Type::Struct(id) = base.ty else {
            let given = self.type_text(&base.ty);
            let mut diagnostic = Diagnostic::error(span, format!("{given} has no field `{name}`"));
            if base.ty.int().is_some() {
                diagnostic = diagnostic
                    .hint("cast it to a pointer to a struct first: ((struct NAME *)x).FIELD");
            }
            return self.report(diagnostic);
        };
        let field = self.field(id, name, place)?;
        Ok(self.part(base, field.offset, field.ty, field.bits, span))
    }

    /// `args.name`
    fn argument(&mut self, name: &'a ast::Name, args: Span, span: Span) -> Checked<Expr> {
        let kinds =
            [Kind::Tracepoint, Kind::RawTracepoint, Kind::Fentry, Kind::Fexit, Kind::Uprobe];
        if self.kind() == Kind::Uretprobe {
            let message = "`args` is not available in uretprobe probes: when a function returns, the registers that held its arguments hold something else";
            let hint = "keep what is needed in a map by a uprobe: @x[tid] = args.NAME";
            return self.report(Diagnostic::error(args, message).hint(hint));
        }
        if !kinds.contains(&self.kind())
            && let Some((row, _)) = crate::bt::builtins::find("args")
        {
            self.offers(row, "args", args)?;
        }
        let found = self.instance().arguments.iter().find(|one| *one.name == *name.node).cloned();
        if let Some(argument) = found {
            if let Place::Unsupported(what) = argument.place {
                return self.unsupported(name.span, what);
            }
            let ty = argument.ty.clone();
            if let Type::Struct(id) = ty {
                self.complete(id, span)?;
            }
            return Ok(self.read_argument(&argument, span));
        }
        let Some(point) = self.instance().attach_points.first().cloned() else {
            return self.error(span, "args: no probe");
        };
        let all = self.arguments_of(&point, args)?;
        let mut nearest = Nearest::new(&name.node, OFFERED);
        let names: Vec<_> = all
            .iter()
            .map(|one| one.name.to_string())
            .filter(|name| !name.starts_with('$'))
            .collect();
        names.iter().for_each(|name| nearest.offer(name));
        let nearest = nearest.into_names();
        let mut diagnostic =
            Diagnostic::error(name.span, format!("{point} has no argument `{}`", name.node));
        if nearest.is_empty() && !names.is_empty() {
            diagnostic = diagnostic.hint(format!("it has {}", names.join(", ")));
        }
        self.report(diagnostic.nearest(&nearest))
    }

    /// A part of a struct, tuple or array at an offset.
    fn part(&self, base: Expr, offset: u32, ty: Type, bits: Option<Bits>, span: Span) -> Expr {
        match base.kind {
            ExprKind::Load { address, offset: start, access, bits: None } => {
                // What a struct of user space points to is in user space.
                let ty = match (&ty, access) {
                    (Type::Pointer(pointer), Access::User) => Type::Pointer(Arc::new(Pointer {
                        to: pointer.to.clone(),
                        space: Space::User,
                    })),
                    (Type::Pointer(pointer), Access::Kernel | Access::Btf) => {
                        Type::Pointer(Arc::new(Pointer {
                            to: pointer.to.clone(),
                            space: Space::Kernel,
                        }))
                    }
                    _ => ty,
                };
                expr(
                    ExprKind::Load {
                        address,
                        offset: start.wrapping_add(i64::from(offset)),
                        access,
                        bits,
                    },
                    ty,
                    span,
                )
            }
            ExprKind::Extract { value, offset: start, index: None, bits: None } => {
                let offset = start.saturating_add(offset);
                expr(ExprKind::Extract { value, offset, index: None, bits }, ty, span)
            }
            kind => {
                let value = Box::new(Expr { kind, ty: base.ty, span: base.span });
                expr(ExprKind::Extract { value, offset, index: None, bits }, ty, span)
            }
        }
    }

    /// Whether the verifier tracks the type that a pointer points to.
    fn trusted(&self, pointer: &Expr) -> bool {
        let typed = matches!(self.kind(), Kind::RawTracepoint | Kind::Fentry | Kind::Fexit);
        match &pointer.kind {
            ExprKind::Builtin(Builtin::Curtask) => true,
            ExprKind::Load { access: Access::Context, bits: None, .. } => typed,
            ExprKind::Load { access: Access::Btf, bits: None, .. } => true,
            _ => false,
        }
    }

    /// `*x`
    pub(super) fn dereference(&mut self, pointer: Expr, span: Span) -> Checked<Expr> {
        let (to, space) = match &pointer.ty {
            Type::Pointer(found) => (found.to.clone(), found.space),
            Type::Int(_) => (Type::U64, self.default_space(&pointer)),
            // An array is the address of its first element.
            Type::Array(..) | Type::String(_) if matches!(pointer.kind, ExprKind::Load { .. }) => {
                return self.element_at(pointer, 0, None, span);
            }
            other => {
                let given = self.type_text(other);
                return self.error(span, format!("`*`: expected a pointer, found {given}"));
            }
        };
        if to == Type::Void {
            let hint = "cast it first: *(uint64 *)x";
            return self.report(
                Diagnostic::error(span, "`*`: the type that the pointer points to is not known")
                    .hint(hint),
            );
        }
        if let Type::Struct(id) = to {
            self.complete(id, span)?;
        }
        let context = matches!(pointer.kind, ExprKind::Context);
        let access = match space {
            // What an iterator is at may not be there, and the verifier allows no arithmetic on such pointers.
            _ if context && self.kind() == Kind::Iter => Access::Kernel,
            _ if context => Access::Context,
            Space::User => Access::User,
            Space::Kernel if matches!(to, Type::Struct(_)) && self.trusted(&pointer) => Access::Btf,
            Space::Kernel => Access::Kernel,
        };
        Ok(load(pointer, 0, access, to, span))
    }

    /// The address space of a number that is used as a pointer.
    pub(super) fn default_space(&mut self, of: &Expr) -> Space {
        if let Type::Pointer(pointer) = &of.ty {
            return pointer.space;
        }
        let syscall = self.instance().attach_points.iter().any(|point| {
            matches!(point, crate::bt::probe::AttachPoint::Tracepoint { category, .. } if category == "syscalls")
        });
        if self.kind().is_user() || syscall { Space::User } else { Space::Kernel }
    }

    /// `x[i]`
    pub(super) fn index(
        &mut self,
        base: &'a ast::Expr,
        index: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let base = self.expr(base)?;
        if let Type::Tuple(_) = base.ty {
            let at = self.value(index)?;
            return match constant(&at).and_then(|at| u32::try_from(at).ok()) {
                Some(at) => self.element(base, at, index.span, span),
                None => self.error(index.span, "index of a tuple: expected a constant from 0 on"),
            };
        }
        let at = self.integer(index, "index")?;
        match constant(&at) {
            Some(known) => match i64::try_from(known) {
                Ok(known) => self.element_at(base, known, None, span),
                Err(_) => self.error(index.span, "index: too large"),
            },
            None => self.element_at(base, 0, Some(at), span),
        }
    }

    /// An element of an array, or of what a pointer points to, at a constant index or at one of run time.
    fn element_at(
        &mut self,
        base: Expr,
        known: i64,
        index: Option<Expr>,
        span: Span,
    ) -> Checked<Expr> {
        let (of, length) = match &base.ty {
            Type::Pointer(pointer) if pointer.to != Type::Void => (pointer.to.clone(), None),
            Type::Array(of, length) => ((**of).clone(), Some(*length).filter(|length| *length > 0)),
            Type::String(size) => (Type::Int(Int::I8), Some(*size)),
            other => {
                let given = self.type_text(other);
                return self
                    .error(span, format!("`[]`: expected an array or a pointer, found {given}"));
            }
        };
        if let Some(length) = length.filter(|length| known < 0 || known >= i64::from(*length)) {
            return self.error(
                span,
                format!("the index {known} is out of bounds for array of size {length}"),
            );
        }
        if let Type::Struct(id) = of {
            self.complete(id, span)?;
        }
        let size = i64::from(of.size(&self.types.structs));
        let offset = known.saturating_mul(size);
        let scaled = |index: Expr| scale(index, size);
        if matches!(base.ty, Type::Pointer(_)) {
            let base_span = base.span;
            let mut loaded = self.dereference(base, base_span)?;
            if let ExprKind::Load { address, offset: start, access, .. } = &mut loaded.kind {
                *start = start.wrapping_add(offset);
                if let Some(index) = index {
                    advance(address, scaled(index));
                    *access = untyped(*access);
                }
                // An element is read by itself even where the verifier tracks the type of the first one.
                if known != 0 {
                    *access = untyped(*access);
                }
            }
            loaded.span = span;
            return Ok(loaded);
        }
        match base.kind {
            ExprKind::Load { mut address, offset: start, access, bits: None } => {
                let mut access = access;
                if let Some(index) = index {
                    if access == Access::Context {
                        return self.dynamic_context(address, start, scaled(index), of, span);
                    }
                    advance(&mut address, scaled(index));
                    access = untyped(access);
                }
                let kind = ExprKind::Load {
                    address,
                    offset: start.wrapping_add(offset),
                    access,
                    bits: None,
                };
                Ok(expr(kind, of, span))
            }
            kind => {
                let offset = u32::try_from(offset).unwrap_or(u32::MAX);
                let value = Expr { kind, ty: base.ty, span: base.span };
                match index {
                    None => Ok(self.part(value, offset, of, None, span)),
                    Some(index) => {
                        let index = Some((Box::new(index), size as u32));
                        let kind =
                            ExprKind::Extract { value: Box::new(value), offset, index, bits: None };
                        Ok(expr(kind, of, span))
                    }
                }
            }
        }
    }

    /// An element of an array in the context at an index of run time, which the verifier does not allow to load directly.
    fn dynamic_context(
        &mut self,
        mut address: Box<Expr>,
        offset: i64,
        index: Expr,
        of: Type,
        span: Span,
    ) -> Checked<Expr> {
        advance(&mut address, index);
        Ok(expr(ExprKind::Load { address, offset, access: Access::Kernel, bits: None }, of, span))
    }

    /// An element of a tuple.
    pub(super) fn element(
        &mut self,
        base: Expr,
        index: u32,
        place: Span,
        span: Span,
    ) -> Checked<Expr> {
        let Type::Tuple(elements) = base.ty.clone() else {
            let given = self.type_text(&base.ty);
            return self.error(span, format!("`.{index}`: expected a tuple, found {given}"));
        };
        let Some(ty) = elements.get(index as usize) else {
            return self.error(
                place,
                format!("index {index} is out of range: the tuple has {} elements", elements.len()),
            );
        };
        if let ExprKind::Tuple(values) = &base.kind
            && let Some(value) = values.get(index as usize)
            && values
                .iter()
                .all(|value| matches!(value.kind, ExprKind::Int(_) | ExprKind::Bytes(_)))
        {
            return Ok(value.clone());
        }
        let offset = tuple_layout(&elements, &self.types.structs)
            .offsets
            .get(index as usize)
            .copied()
            .unwrap_or(0);
        Ok(self.part(base, offset, ty.clone(), None, span))
    }

    /// The address of an object in memory, if it lies there.
    pub(super) fn address_of(&self, object: &Expr) -> Option<Expr> {
        let ExprKind::Load { address, offset, access, bits: None } = &object.kind else {
            return None;
        };
        let space = if *access == Access::User { Space::User } else { Space::Kernel };
        let to = match &object.ty {
            Type::Array(of, _) => (**of).clone(),
            Type::String(_) => Type::Int(Int::I8),
            other => other.clone(),
        };
        let kind = ExprKind::Address { address: address.clone(), offset: *offset };
        Some(expr(kind, Type::pointer(to, space), object.span))
    }
}

/// Returns the access for memory whose pointer the verifier does not track.
fn untyped(access: Access) -> Access {
    match access {
        Access::Btf => Access::Kernel,
        other => other,
    }
}

fn load(address: Expr, offset: i64, access: Access, ty: Type, span: Span) -> Expr {
    match address.kind {
        // The address of an object and an offset are one.
        ExprKind::Address { address, offset: start } => {
            let kind =
                ExprKind::Load { address, offset: start.wrapping_add(offset), access, bits: None };
            expr(kind, ty, span)
        }
        kind => {
            let address = Box::new(Expr { kind, ty: address.ty, span: address.span });
            expr(ExprKind::Load { address, offset, access, bits: None }, ty, span)
        }
    }
}

/// An index times the size of an element.
pub(super) fn scale(index: Expr, size: i64) -> Expr {
    let span = index.span;
    if let Some(known) = constant(&index) {
        return expr(
            ExprKind::Int((known as u64).wrapping_mul(size.cast_unsigned())),
            Type::I64,
            span,
        );
    }
    if size == 1 {
        return index;
    }
    let size = Box::new(expr(ExprKind::Int(size.cast_unsigned()), Type::I64, span));
    let kind =
        ExprKind::Binary { op: BinaryOp::Mul, signed: true, left: Box::new(index), right: size };
    expr(kind, Type::I64, span)
}

/// Adds bytes to an address.
fn advance(address: &mut Box<Expr>, bytes: Expr) {
    let span = address.span;
    let ty = address.ty.clone();
    let placeholder = expr(ExprKind::Int(0), Type::U64, span);
    let left = std::mem::replace(&mut **address, placeholder);
    let kind = ExprKind::Binary {
        op: BinaryOp::Add,
        signed: false,
        left: Box::new(left),
        right: Box::new(bytes),
    };
    **address = expr(kind, ty, span);
}
