//! Checks functions on the machine: stacks, clocks, registers, symbols; and on the command line.

use super::super::join::{
    boolean, constant, constant_text, convert, expr, integer, literal, string,
};
use super::super::{Checked, Checker, Stop};
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::config::stack_mode;
use crate::bt::constants;
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{Builtin, Expr, ExprKind};
use crate::bt::probe::{AttachPoint, Kind};
use crate::bt::source::Span;
use crate::bt::types::{Clock, Int, Space, Type};
use crate::util::escape;

impl<'a> Checker<'a> {
    /// An address: a pointer or an integer.
    pub(super) fn address(&mut self, of: &'a ast::Expr, function: &str) -> Checked<Expr> {
        let value = self.value(of)?;
        match &value.ty {
            Type::Int(_) | Type::Pointer(_) => Ok(value),
            Type::Array(..) | Type::String(_) | Type::Struct(_) => match self.address_of(&value) {
                Some(address) => Ok(address),
                None => self.error(of.span, format!("{function}: expected an address")),
            },
            other => {
                let given = self.type_text(other);
                self.error(of.span, format!("{function}: expected an address, found {given}"))
            }
        }
    }

    pub(super) fn stack_call(
        &mut self,
        space: Space,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let name = if space == Space::Kernel { "kstack" } else { "ustack" };
        let (mut mode, mut depth) = (None, None);
        for (index, argument) in arguments.iter().enumerate() {
            match &argument.kind {
                Written::Ident(word) if index == 0 && stack_mode(word).is_some() => {
                    mode = stack_mode(word)
                }
                Written::Ident(word) if index == 0 && constants::value(word).is_none() => {
                    let message =
                        format!("{name}: unknown mode `{word}`, expected bpftrace, perf or raw");
                    return self.error(argument.span, message);
                }
                _ if depth.is_none() => {
                    let most = crate::bt::check::name::STACK_DEPTH.into();
                    depth =
                        Some(self.constant(argument, &format!("{name}: depth"), 1, most)? as u32);
                }
                _ => {
                    return self
                        .error(argument.span, format!("{name}: expected a mode and a depth"));
                }
            }
        }
        self.stack(space, mode, depth, span)
    }

    pub(super) fn nsecs(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let clock = match arguments.first().map(|argument| &argument.kind) {
            None => Clock::Boot,
            Some(Written::Ident(word)) => match &**word {
                "boot" => Clock::Boot,
                "monotonic" => Clock::Monotonic,
                "tai" => Clock::Tai,
                "sw_tai" => Clock::SoftwareTai,
                word => {
                    let message = format!(
                        "nsecs: unknown clock `{word}`, expected boot, monotonic, tai or sw_tai"
                    );
                    return self.error(span, message);
                }
            },
            Some(_) => return self.error(span, "nsecs: expected boot, monotonic, tai or sw_tai"),
        };
        Ok(expr(ExprKind::Builtin(Builtin::Nsecs(clock)), Type::U64, span))
    }

    pub(super) fn register(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        let name = self.literal(of, "reg")?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let kinds = [
            Kind::Kprobe,
            Kind::Kretprobe,
            Kind::Uprobe,
            Kind::Uretprobe,
            Kind::Usdt,
            Kind::Profile,
            Kind::Software,
            Kind::Hardware,
            Kind::Interval,
        ];
        if !kinds.contains(&self.kind()) {
            let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
            let message = format!("reg() is not available in {} probes", self.kind().word());
            return self.report(
                Diagnostic::error(span, message).hint(format!("reg: {}", words.join(", "))),
            );
        }
        match self.environment.register(&name) {
            Some(offset) => {
                Ok(expr(ExprKind::Builtin(Builtin::Register { offset }), Type::U64, span))
            }
            None => {
                let names = self.environment.registers().join(", ");
                let message = format!("reg: this machine has no register `{name}`");
                self.report(Diagnostic::error(of.span, message).hint(format!("it has {names}")))
            }
        }
    }

    pub(super) fn user_address(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        let name = self.literal(of, "uaddr")?;
        let name = escape::text(&name).into_owned();
        let path = match self.instance().attach_points.first() {
            Some(AttachPoint::Uprobe { path, .. } | AttachPoint::Usdt { path, .. }) => path.clone(),
            _ => return self.error(span, "uaddr() is not available here: uprobe, uretprobe, usdt"),
        };
        let Some((address, size)) = self.environment.user_symbol(&path, &name) else {
            return self.error(of.span, format!("uaddr: {path} has no symbol `{name}`"));
        };
        let size = if matches!(size, 1 | 2 | 4 | 8) { size as u8 } else { 8 };
        let ty = Type::pointer(Type::Int(Int { size, signed: false }), Space::User);
        Ok(expr(ExprKind::Int(address), ty, span))
    }

    pub(super) fn signal(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
        let value = self.value(of)?;
        if let Some(name) = constant_text(&value) {
            let name = String::from_utf8_lossy(name).into_owned();
            return match constants::signal(&name) {
                Some(number) => Ok(integer(number.into(), Int::U32, of.span)),
                None => self.error(of.span, format!("signal: unknown signal `{name}`")),
            };
        }
        match (value.ty.int(), constant(&value)) {
            (Some(_), Some(known)) if !(1..=64).contains(&known) => {
                self.error(of.span, format!("signal: {known}, expected 1 to 64"))
            }
            (Some(_), _) => Ok(convert(value, &Type::U32)),
            (None, _) => self.error(of.span, "signal: expected the name or the number of a signal"),
        }
    }

    /// `getopt(name, default, help)`
    pub(super) fn option(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let Some(first) = arguments.first() else { return Err(Stop) };
        let Written::Str(name) = &first.kind else {
            return self.error(first.span, "getopt: the name must be a string literal");
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let default = match arguments.get(1) {
            None => boolean(false, span),
            Some(default) => self.value(default)?,
        };
        let given = match self.environment.option(&name) {
            None => return Ok(Expr { span, ..default }),
            Some(given) => given.map(str::to_owned),
        };
        let wrong = |what: &str, text: &str| format!("--{name}: `{text}`, expected {what}");
        match (&default.ty, given) {
            (Type::Bool, None) => Ok(boolean(true, span)),
            (Type::Bool, Some(text)) => match text.as_str() {
                "true" | "1" => Ok(boolean(true, span)),
                "false" | "0" => Ok(boolean(false, span)),
                text => self.error(span, wrong("true or false", text)),
            },
            (_, None) => self.error(span, format!("--{name}: expected a value, --{name}=VALUE")),
            (Type::Int(_), Some(text)) => {
                let (digits, sign) =
                    text.strip_prefix('-').map_or((text.as_str(), 1), |digits| (digits, -1));
                match crate::bt::literal::integer(digits) {
                    Ok(value) => Ok(literal(i128::from(value) * sign, span)),
                    Err(_) => self.error(span, wrong("a number", &text)),
                }
            }
            (Type::String(_), Some(text)) => Ok(string(&crate::util::escape::bytes(&text), span)),
            _ => self.error(span, "getopt: the default must be a number, a string, true or false"),
        }
    }
}
