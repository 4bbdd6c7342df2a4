//! Checks functions on strings, buffers and network addresses.

use super::super::join::{constant, constant_text, convert, expr, integer, string};
use super::super::{Checked, Checker, Stop};
use super::call;
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::functions;
use crate::bt::hir::{Call, Expr, ExprKind};
use crate::bt::probe::Kind;
use crate::bt::source::Span;
use crate::bt::types::{Int, Space, Type};
use crate::util::escape;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// A string literal, or a positional parameter as text.
    pub(super) fn literal(&mut self, of: &'a ast::Expr, what: &str) -> Checked<Arc<[u8]>> {
        match &of.kind {
            Written::Str(text) => Ok(Arc::clone(text)),
            Written::Positional(index) => Ok(escape::bytes(self.positional_text(*index)).into()),
            Written::Call { name, arguments } if &*name.node == "str" => match arguments.as_slice()
            {
                [only] => self.literal(only, what),
                _ => self.error(of.span, format!("{what}: expected a string literal")),
            },
            _ => {
                let value = self.value(of)?;
                match constant_text(&value) {
                    Some(text) => Ok(text.into()),
                    None => self.error(of.span, format!("{what}: expected a string literal")),
                }
            }
        }
    }

    pub(super) fn text(&mut self, of: &'a ast::Expr, what: &str) -> Checked<Arc<[u8]>> {
        self.literal(of, what)
    }

    /// A string; text in memory is read.
    pub(super) fn string_value(&mut self, of: &'a ast::Expr, function: &str) -> Checked<Expr> {
        let value = self.value(of)?;
        let value = self.named_text(value, &Type::String(0))?;
        match &value.ty {
            Type::String(_) => Ok(value),
            Type::Pointer(pointer) if pointer.to.int().is_some_and(|int| int.size == 1) => {
                let (space, span) = (pointer.space, value.span);
                Ok(self.read_string(value, space, None, span))
            }
            other => {
                let given = self.type_text(other);
                self.error(of.span, format!("{function}: expected a string, found {given}"))
            }
        }
    }

    pub(super) fn read_string(
        &mut self,
        address: Expr,
        space: Space,
        length: Option<Expr>,
        span: Span,
    ) -> Expr {
        let most = self.config.max_strlen;
        let known = length.as_ref().and_then(constant);
        let (size, length) = match known {
            // No string has the size 0.
            Some(0) => (1, length),
            Some(known) => (u32::try_from(known).unwrap_or(most).clamp(1, most), None),
            None => (most, length),
        };
        call(Call::Str { address, space, length }, Type::String(size), span)
    }

    /// `str(…)`
    pub(super) fn str(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let Some(first) = arguments.first() else { return Err(Stop) };
        let length = match arguments.get(1) {
            None => None,
            Some(length) => {
                let checked = self.integer(length, "str: length")?;
                if constant(&checked).is_some_and(|value| value < 0) {
                    return self.error(length.span, "str: negative length");
                }
                Some(convert(checked, &Type::U64))
            }
        };
        if let Some(text) = self.parameter_text(first)? {
            let most = match length.as_ref().map(constant) {
                None => text.len(),
                Some(Some(length)) => usize::try_from(length).unwrap_or(usize::MAX),
                Some(None) => {
                    return self.unsupported(span, "str() of a string with a smaller length");
                }
            };
            return Ok(string(text.get(..most).unwrap_or(&text), span));
        }
        let value = self.value(first)?;
        let space = self.default_space(&value);
        match &value.ty {
            Type::Pointer(_) | Type::Int(_) => Ok(self.read_string(value, space, length, span)),
            Type::String(size) => match self.address_of(&value) {
                // Text in memory, an array of characters.
                Some(address) if length.is_some() => {
                    let space = self.default_space(&address);
                    Ok(self.read_string(address, space, length, span))
                }
                _ => match length.as_ref().map(constant) {
                    None => Ok(value),
                    Some(Some(length)) if length >= i128::from(*size) => Ok(value),
                    Some(_) => match (constant_text(&value), length.as_ref().and_then(constant)) {
                        (Some(text), Some(length)) => {
                            let length = usize::try_from(length).unwrap_or(usize::MAX);
                            Ok(string(text.get(..length).unwrap_or(text), span))
                        }
                        _ => self.unsupported(span, "str() of a string with a smaller length"),
                    },
                },
            },
            Type::Array(of, count) if of.int().is_some_and(|int| int.size == 1) => {
                match self.address_of(&value) {
                    Some(address) => {
                        let space = self.default_space(&address);
                        let most = integer(i128::from(*count) + 1, Int::U64, span);
                        Ok(self.read_string(address, space, length.or(Some(most)), span))
                    }
                    None => self.unsupported(span, "str() of an array that does not lie in memory"),
                }
            }
            other => {
                let given = self.type_text(other);
                self.error(
                    first.span,
                    format!("str: expected a pointer or an integer, found {given}"),
                )
            }
        }
    }

    /// The bytes of `$1`, or of `$1 + n`: from its n-th byte on.
    pub(super) fn parameter_text(&mut self, of: &'a ast::Expr) -> Checked<Option<Cow<'a, [u8]>>> {
        match &of.kind {
            Written::Positional(index) => Ok(Some(escape::bytes(self.positional_text(*index)))),
            Written::Binary { op, left, right } if op.node == ast::BinaryOp::Add => {
                let Written::Positional(index) = &left.kind else { return Ok(None) };
                let text = escape::bytes(self.positional_text(*index));
                let skip = self.constant(right, "str: offset", 0, text.len() as i128)? as usize;
                Ok(Some(text.get(skip..).unwrap_or_default().to_vec().into()))
            }
            _ => Ok(None),
        }
    }

    /// `buf(…)`
    pub(super) fn buf(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let Some(first) = arguments.first() else { return Err(Stop) };
        let value = self.value(first)?;
        let object = match &value.ty {
            Type::String(size) => Some(*size),
            Type::Array(..) | Type::Struct(_) => Some(value.ty.size(&self.types.structs)),
            Type::Pointer(_) | Type::Int(_) => None,
            other => {
                let given = self.type_text(other);
                return self.error(
                    first.span,
                    format!("buf: expected an address or an array, found {given}"),
                );
            }
        };
        let most = self.config.max_strlen;
        let length = match (arguments.get(1), object) {
            (Some(length), _) => {
                let checked = self.integer(length, "buf: length")?;
                match constant(&checked) {
                    Some(known) if known < 0 => {
                        return self.error(length.span, "buf: negative length");
                    }
                    Some(known) if known > most.into() => {
                        self.warn(
                            length.span,
                            format!("buf: {known} bytes, at most {most} are read (max_strlen)"),
                        );
                        integer(most.into(), Int::U64, length.span)
                    }
                    _ => convert(checked, &Type::U64),
                }
            }
            (None, Some(size)) => integer(size.min(most).into(), Int::U64, span),
            (None, None) => {
                return self.error(span, "buf: expected a length: only that of an array is known");
            }
        };
        let size = constant(&length).and_then(|known| u32::try_from(known).ok()).unwrap_or(most);
        let space = self.default_space(&value);
        let (address, space) = match (object, self.address_of(&value)) {
            (Some(_), Some(address)) => {
                let space = self.default_space(&address);
                (address, space)
            }
            // The object itself: there is no memory to read it from.
            _ => (value, space),
        };
        Ok(call(Call::Buf { address, space, length }, Type::Buffer(size), span))
    }

    /// Bytes in memory or an array, of one of these sizes.
    pub(super) fn bytes(
        &mut self,
        of: &'a ast::Expr,
        function: &str,
        sizes: &[u32],
    ) -> Checked<Expr> {
        let mut value = self.value(of)?;
        let size = value.ty.size(&self.types.structs);
        let known = sizes.contains(&size);
        match &value.ty {
            Type::Array(..) | Type::String(_) if known => {
                value.ty = Type::Array(Arc::new(Type::Int(Int::U8)), size);
                Ok(value)
            }
            Type::Pointer(pointer) if sizes.len() == 1 && pointer.to != Type::Void => {
                let (size, space) = (sizes.first().copied().unwrap_or(0), pointer.space);
                let access = if space == Space::User {
                    crate::bt::hir::Access::User
                } else {
                    crate::bt::hir::Access::Kernel
                };
                let ty = Type::Array(Arc::new(Type::Int(Int::U8)), size);
                let span = value.span;
                let kind =
                    ExprKind::Load { address: Box::new(value), offset: 0, access, bits: None };
                Ok(expr(kind, ty, span))
            }
            other => {
                let given = self.type_text(other);
                let sizes: Vec<_> = sizes.iter().map(u32::to_string).collect();
                self.error(
                    of.span,
                    format!(
                        "{function}: expected an array of {} bytes, found {given}",
                        sizes.join(" or ")
                    ),
                )
            }
        }
    }

    pub(super) fn ntop(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let (family, written) = match arguments {
            [address] => (None, address),
            [family, address] => {
                (Some(convert(self.integer(family, "ntop: family")?, &Type::U32)), address)
            }
            _ => return Err(Stop),
        };
        let value = self.value(written)?;
        let address = match &value.ty {
            Type::Int(_) | Type::Enum(..) => convert(value, &Type::U32),
            // A script may have made a pointer of it.
            _ => self.bytes(written, "ntop", &[4, 16])?,
        };
        Ok(call(Call::Ntop { family, address }, Type::Inet, span))
    }

    pub(super) fn pton(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        let text = self.literal(of, "pton")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let bytes: Vec<u8> = match text.parse() {
            Ok(IpAddr::V4(address)) => address.octets().into(),
            Ok(IpAddr::V6(address)) => address.octets().into(),
            Err(_) => return self.error(of.span, format!("pton: not an IP address: `{text}`")),
        };
        let ty = Type::Array(Arc::new(Type::Int(Int::U8)), bytes.len() as u32);
        Ok(expr(ExprKind::Bytes(bytes.into()), ty, span))
    }

    pub(super) fn path(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let Some(first) = arguments.first() else { return Err(Stop) };
        if !matches!(self.kind(), Kind::Fentry | Kind::Fexit | Kind::Iter) {
            return self.error(span, format!("path() is not available here: {}", functions::PATH));
        }
        let address = self.address(first, "path")?;
        if let Type::Pointer(pointer) = &address.ty
            && let Type::Struct(id) = pointer.to
            && self.types.structs.get(id).is_some_and(|found| &*found.name != "path")
        {
            let given = self.type_text(&address.ty);
            return self.error(first.span, format!("path: expected struct path *, found {given}"));
        }
        let most = self.config.max_strlen;
        let size = match arguments.get(1) {
            None => most,
            Some(size) => self.constant(size, "path: size", 1, most.into())? as u32,
        };
        Ok(call(Call::Path(address), Type::String(size), span))
    }
}
