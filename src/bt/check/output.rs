//! Checks output functions: format strings and their arguments, `print()`.

use super::join::{constant, constant_text, convert, expr, literal};
use super::{Checked, Checker};
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::format::{Conversion, ConversionKind, Format, Piece, Width};
use crate::bt::hir::{Async, Call, Expr, ExprKind, FormatId, StatementKind};
use crate::bt::source::Span;
use crate::bt::types::{Int, Type};
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// The format and the arguments of `printf()` and the like.
    pub(super) fn formatted(
        &mut self,
        name: &str,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<(FormatId, Vec<Expr>)> {
        let (format, values) = self.format(name, arguments, span)?;
        Ok((self.add_format(format), values))
    }

    fn format(
        &mut self,
        name: &str,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<(Format, Vec<Expr>)> {
        let Some((first, rest)) = arguments.split_first() else { return Err(super::Stop) };
        let text = match &first.kind {
            Written::Str(text) => Arc::clone(text),
            // What is known when the script is compiled will do, such as a parameter of a macro.
            Written::Ident(_) | Written::Binary { .. } => {
                let checked = self.value(first)?;
                match constant_text(&checked) {
                    Some(text) => text.into(),
                    None => {
                        return self.error(
                            first.span,
                            format!("{name}: the format must be a string literal"),
                        );
                    }
                }
            }
            _ => {
                return self
                    .error(first.span, format!("{name}: the format must be a string literal"));
            }
        };
        let text = &text;
        let rest: Vec<_> = rest.iter().map(|argument| self.value(argument)).collect();
        let format = match Format::parse(text) {
            Ok(format) => format,
            Err((at, length, problem)) => {
                let span = self.within(first.span, text, at, length);
                return self.error(span, format!("{name}: {problem}"));
            }
        };
        let values = rest.into_iter().collect::<Checked<Vec<_>>>()?;
        let widths = |conversion: &Conversion| {
            usize::from(conversion.width == Width::Argument)
                + usize::from(conversion.precision == Some(Width::Argument))
        };
        let expected: usize = format.conversions().map(|conversion| 1 + widths(conversion)).sum();
        if let Some((at, length)) = format.stray.first()
            && expected < values.len()
        {
            // An argument is meant for it.
            let span = self.within(first.span, text, *at, *length);
            let specification = text.get(*at..*at + length).unwrap_or_default();
            let message = format!(
                "{name}: unknown conversion `{}`, expected one of d i u x X o c s p r rx rh",
                specification.escape_ascii()
            );
            return self.error(span, message);
        }
        for (at, _) in &format.stray {
            let span = self.within(first.span, text, *at, 1);
            let message = format!("{name}: a percent sign without a conversion, write `%%`");
            self.warn(span, message);
        }
        if expected != values.len() {
            let problem = if expected > values.len() { "not enough" } else { "too many" };
            let message = format!(
                "{name}: {problem} arguments for the format: {}, expected {expected}",
                values.len()
            );
            return self.error(span, message);
        }
        let mut checked = Vec::with_capacity(values.len());
        let mut values = values.into_iter();
        for conversion in format.conversions() {
            for value in values.by_ref().take(widths(conversion)) {
                if value.ty.int().is_none() {
                    return self.error(value.span, format!("{name}: `*` expects an integer"));
                }
                checked.push(convert(value, &Type::Int(Int::I32)));
            }
            if let Some(value) = values.next() {
                checked.push(self.conversion(name, conversion, value)?);
            }
        }
        Ok((format, checked))
    }

    /// `debugf()`: the kernel's `trace_printk` reads the format itself, and knows less than `printf()` does.
    pub(super) fn debugf(
        &mut self,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<StatementKind> {
        let (format, values) = self.format("debugf", arguments, span)?;
        let mut text = Vec::new();
        for piece in &format.pieces {
            match piece {
                Piece::Text(plain) if !plain.contains(&b'%') => text.extend_from_slice(plain),
                Piece::Conversion(conversion) if simple(conversion).is_some() => {
                    text.extend_from_slice(simple(conversion).unwrap_or_default());
                }
                _ => {
                    let what = "conversions of debugf other than %d, %u, %x, %p and %s";
                    return self.unsupported(span, what);
                }
            }
        }
        text.push(0);
        let values =
            values.into_iter().zip(format.conversions()).map(|(value, conversion)| {
                match (conversion.kind, &value.ty) {
                    (ConversionKind::Str, Type::String(_)) => Ok(value),
                    (ConversionKind::Str, other) => {
                        let given = self.type_text(other);
                        self.error(
                            value.span,
                            format!("debugf: %s expects a string, found {given}"),
                        )
                    }
                    (_, Type::Int(Int { signed: true, .. })) => Ok(convert(value, &Type::I64)),
                    _ => Ok(convert(value, &Type::U64)),
                }
            });
        let arguments = values.collect::<Checked<Vec<_>>>()?;
        let call = Call::Debugf { format: text.into(), arguments };
        Ok(StatementKind::Expr(expr(ExprKind::Call(Box::new(call)), Type::Void, span)))
    }

    /// The place of some bytes of a string literal, if there are no escapes before it.
    fn within(&self, literal: Span, text: &[u8], at: usize, length: usize) -> Span {
        let written = self.source.slice(literal);
        let plain = written.get(1..written.len().saturating_sub(1)).map(str::as_bytes);
        let same = plain
            .and_then(|plain| plain.get(..at))
            .is_some_and(|before| text.get(..at) == Some(before));
        match same {
            true => {
                let start = literal.start as usize + 1 + at;
                Span::new(start, start + length)
            }
            false => literal,
        }
    }

    /// Checks an argument against its conversion.
    fn conversion(&mut self, name: &str, conversion: &Conversion, value: Expr) -> Checked<Expr> {
        use ConversionKind as Kind;
        let (letter, expected) = match conversion.kind {
            Kind::Signed => ("%d", "an integer"),
            Kind::Unsigned => ("%u", "an integer"),
            Kind::Hex => ("%x", "an integer"),
            Kind::UpperHex => ("%X", "an integer"),
            Kind::Octal => ("%o", "an integer"),
            Kind::Char => ("%c", "an integer"),
            Kind::Pointer => ("%p", "a pointer or an integer"),
            Kind::Str => ("%s", "a value that can be printed"),
            Kind::Buffer => ("%r", "buf()"),
            Kind::BufferHex => ("%rx", "buf()"),
            Kind::BufferSpaced => ("%rh", "buf()"),
        };
        let ty = &value.ty;
        let fits = match conversion.kind {
            Kind::Str => *ty != Type::Void,
            Kind::Buffer | Kind::BufferHex | Kind::BufferSpaced => {
                matches!(ty, Type::Buffer(_) | Type::String(_) | Type::Array(..))
            }
            _ => ty.is_scalar(),
        };
        if !fits {
            let given = self.type_text(ty);
            return self
                .error(value.span, format!("{name}: {letter} expects {expected}, found {given}"));
        }
        let (ty, span) = (ty.clone(), value.span);
        self.complete_all(&ty, span)?;
        Ok(value)
    }

    /// `print(…)`
    pub(super) fn print(
        &mut self,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<StatementKind> {
        let Some((first, rest)) = arguments.split_first() else { return Err(super::Stop) };
        if let Written::Map { name, key } = &first.kind {
            let map = self.map_id(&name.node, name.span);
            self.map(map).asynchronous = true;
            if key.is_none() {
                let top = rest
                    .first()
                    .map_or(Ok(0), |top| self.constant(top, "print: top", 0, u32::MAX.into()));
                let div = rest
                    .get(1)
                    .map_or(Ok(0), |div| self.constant(div, "print: divisor", 1, u32::MAX.into()));
                let (top, div) = (top?, div?);
                if self.map(map).value.ty.is_none() {
                    return self.unknown_map(map, name.span);
                }
                self.complete_map(map, span)?;
                return Ok(StatementKind::Async(Async::PrintMap {
                    map,
                    top: top as u32,
                    div: div as u32,
                }));
            }
            let read = self.expr(first)?;
            if read.ty.is_aggregate() {
                self.no_more(rest)?;
                let ExprKind::Map { map, key: Some(key) } = read.kind else {
                    return Err(super::Stop);
                };
                return Ok(StatementKind::Async(Async::PrintElement { map, key: *key }));
            }
        }
        self.no_more(rest)?;
        let value = self.value(first)?;
        let ty = value.ty.clone();
        self.complete_all(&ty, span)?;
        Ok(StatementKind::Async(Async::PrintValue(value)))
    }

    fn no_more(&mut self, rest: &'a [ast::Expr]) -> Checked<()> {
        match rest.first() {
            None => Ok(()),
            Some(extra) => self.error(
                extra.span,
                "print: only a whole map has a number of elements and a divisor",
            ),
        }
    }

    /// Reads the structs in a map's keys and values, so that it can be printed.
    pub(super) fn complete_map(&mut self, map: crate::bt::hir::MapId, span: Span) -> Checked<()> {
        let state = self.map(map).clone();
        for ty in [state.key.ty, state.value.ty].into_iter().flatten() {
            self.complete_all(&ty, span)?;
        }
        Ok(())
    }

    /// `exit(status)`
    pub(super) fn exit(
        &mut self,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<StatementKind> {
        let status = match arguments.first() {
            None => literal(0, span),
            Some(status) => self.integer(status, "exit")?,
        };
        if let Some(value) = constant(&status).filter(|value| !(0..=255).contains(value)) {
            let diagnostic = Diagnostic::warning(
                status.span,
                format!("exit: {value}: the system keeps the lower 8 bits"),
            );
            if self.last {
                self.diagnostics.push(diagnostic);
            }
        }
        Ok(StatementKind::Async(Async::Exit(convert(status, &Type::Int(Int::I32)))))
    }
}

/// A conversion as the kernel has it, of integers of 64 bits and strings.
fn simple(conversion: &Conversion) -> Option<&'static [u8]> {
    let plain = Conversion {
        left: false,
        zero: false,
        alternate: false,
        plus: false,
        space: false,
        width: Width::None,
        precision: None,
        ..*conversion
    };
    if plain != *conversion {
        return None;
    }
    match conversion.kind {
        ConversionKind::Signed => Some(b"%lld"),
        ConversionKind::Unsigned => Some(b"%llu"),
        ConversionKind::Hex => Some(b"%llx"),
        ConversionKind::Pointer => Some(b"0x%llx"),
        ConversionKind::Str => Some(b"%s"),
        _ => None,
    }
}
