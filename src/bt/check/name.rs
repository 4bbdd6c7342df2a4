//! Names: builtins, constants, enumerators, macros; and positional parameters.

use super::context::RETVAL;
use super::join::{boolean, integer, literal, string};
use super::{Checked, Checker};
use crate::bt::builtins::{self, Id, Row};
use crate::bt::constants;
use crate::bt::diagnostic::Diagnostic;
use crate::bt::functions;
use crate::bt::hir::{Builtin, Expr, ExprKind};
use crate::bt::literal as number;
use crate::bt::probe::{AttachPoint, Kind};
use crate::bt::source::Span;
use crate::bt::types::{Int, Space, Stack, Type};
use crate::btf::Kind as BtfKind;
use crate::util::escape;
use crate::util::nearest::{Nearest, OFFERED};
use std::sync::Arc;

/// The default number of stack frames; the most that the kernel takes by default.
pub(super) const STACK_DEPTH: u32 = 127;

impl<'a> Checker<'a> {
    /// Resolves a name to the expression it stands for.
    pub(super) fn named(&mut self, name: &Arc<str>, span: Span) -> Checked<Expr> {
        if let Some(value) = self.parameter(name) {
            return value;
        }
        if let Some(used) = self.macro_named(name) {
            return self.use_macro(used, &[], span);
        }
        if let Some((row, number)) = builtins::find(name) {
            return self.builtin(row, number, span);
        }
        // The script's own names come before those of C's headers.
        let own = self.types.enumerators.get(name).copied().flatten();
        if own.is_none()
            && let Some(value) = constants::value(name)
        {
            return Ok(literal(value, span));
        }
        if let Some((value, ty)) = self.enumerator(name) {
            let int = ty.int().unwrap_or(Int::I32);
            return Ok(Expr { kind: ExprKind::Int(int.truncate(value as u64)), ty, span });
        }
        if functions::find(name).is_some() {
            return self.call(name, span, &[], span);
        }
        self.unknown_name(name, span)
    }

    fn unknown_name<T>(&mut self, name: &str, span: Span) -> Checked<T> {
        let mut nearest = Nearest::new(name, OFFERED);
        builtins::BUILTINS.iter().for_each(|row| nearest.offer(row.name));
        functions::FUNCTIONS.iter().for_each(|row| nearest.offer(row.name));
        constants::names().for_each(|name| nearest.offer(name));
        self.script.macros.iter().for_each(|one| nearest.offer(&one.name.node));
        for (name, _) in self.types.enumerators.iter().filter(|(_, found)| found.is_some()) {
            nearest.offer(name);
        }
        let nearest = nearest.into_names();
        self.report(
            Diagnostic::error(span, format!("unknown identifier: `{name}`")).nearest(&nearest),
        )
    }

    /// Checks that probes of this kind have a builtin; otherwise the error lists those that have it, and the builtins
    /// of this one.
    pub(super) fn offers(&mut self, row: &Row, name: &str, span: Span) -> Checked<()> {
        let kind = self.kind();
        let Some(kinds) = row.kinds.filter(|kinds| !kinds.contains(&kind)) else { return Ok(()) };
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
        let word = match self.instance().attach_points.first() {
            Some(point) if kind == Kind::Special => point.to_string(),
            _ => kind.word().to_owned(),
        };
        let message = format!("`{name}` is not available in {word} probes");
        let mut diagnostic =
            Diagnostic::error(span, message).hint(format!("{name}: {}", kinds.join(", ")));
        let offered: Vec<_> = builtins::offered(kind).collect();
        if !offered.is_empty() {
            diagnostic = diagnostic.hint(format!("{word} probes have {}", offered.join(", ")));
        }
        self.report(diagnostic)
    }

    fn builtin(&mut self, row: &'static Row, number: u32, span: Span) -> Checked<Expr> {
        let name = match row.id {
            Id::Arg => format!("arg{number}"),
            Id::StackArg => format!("sarg{number}"),
            _ => row.name.to_owned(),
        };
        self.offers(row, &name, span)?;
        let built = |builtin, ty| Ok(Expr { kind: ExprKind::Builtin(builtin), ty, span });
        match row.id {
            Id::Plain(builtin) => {
                let ty = match builtin {
                    Builtin::Comm => Type::String(16),
                    Builtin::Username => Type::User,
                    Builtin::Nsecs(_) | Builtin::Elapsed | Builtin::Cgroup | Builtin::Jiffies => {
                        Type::U64
                    }
                    Builtin::Usermode => Type::Int(Int::U8),
                    _ => Type::U32,
                };
                built(builtin, ty)
            }
            Id::Curtask => {
                let task = self.named_kernel_type("task_struct", &[BtfKind::Struct]);
                let task =
                    self.types.script.get("task_struct").map(|id| Type::Struct(*id)).or(task);
                match task {
                    Some(task) => built(Builtin::Curtask, Type::pointer(task, Space::Kernel)),
                    // Without the kernel's types it is a number.
                    None => built(Builtin::Curtask, Type::U64),
                }
            }
            Id::HasCpid => Ok(boolean(self.environment.has_command(), span)),
            Id::Kstack => self.stack(Space::Kernel, None, None, span),
            Id::Ustack => self.stack(Space::User, None, None, span),
            Id::Probe => built(Builtin::Name, Type::Probe),
            Id::Func => built(Builtin::Name, Type::Function),
            Id::ProbeType => Ok(string(self.kind().word().as_bytes(), span)),
            Id::Arg => self.numbered(number, span),
            Id::StackArg => built(Builtin::StackArg(number), Type::U64),
            Id::Retval => self.result_value(span),
            Id::Args => self.unsupported(span, "args without a field"),
            Id::Ctx => {
                let target = match self.instance().attach_points.first() {
                    Some(AttachPoint::Iter { target, .. }) => target.clone(),
                    _ => {
                        let ty = Type::pointer(Type::Void, Space::Kernel);
                        return Ok(Expr { kind: ExprKind::Context, ty, span });
                    }
                };
                let name = format!("bpf_iter__{target}");
                match self.named_kernel_type(&name, &[BtfKind::Struct]) {
                    Some(ty) => Ok(Expr {
                        kind: ExprKind::Context,
                        ty: Type::pointer(ty, Space::Kernel),
                        span,
                    }),
                    None => self.error(span, format!("ctx: the kernel has no `struct {name}`")),
                }
            }
            Id::Unsupported => self.unsupported(span, &name),
        }
    }

    /// `argN`
    fn numbered(&mut self, number: u32, span: Span) -> Checked<Expr> {
        if let Some(usdt) = self.instance().usdt.clone() {
            return match usdt.locations(number as usize + 1) {
                Ok(_) => {
                    Ok(Expr { kind: ExprKind::Builtin(Builtin::Arg(number)), ty: Type::U64, span })
                }
                // Authors count from 1.
                Err(error) => self.error(span, format!("arg{number}: {error}")),
            };
        }
        // The registers that arguments come in, by the calling convention.
        let registers = if cfg!(target_arch = "x86_64") {
            6
        } else if cfg!(target_arch = "s390x") {
            5
        } else {
            8
        };
        let most = match self.kind() {
            Kind::RawTracepoint | Kind::Fentry | Kind::Fexit => 12,
            _ => registers,
        };
        if number >= most {
            let message = format!(
                "arg{number}: this machine passes {most} arguments in registers, arg0 to arg{}",
                most - 1
            );
            return self.report(
                Diagnostic::error(span, message).hint("those on the stack are sarg0, sarg1 …"),
            );
        }
        Ok(Expr { kind: ExprKind::Builtin(Builtin::Arg(number)), ty: Type::U64, span })
    }

    /// `retval`
    fn result_value(&mut self, span: Span) -> Checked<Expr> {
        if self.kind() != Kind::Fexit {
            return Ok(Expr { kind: ExprKind::Builtin(Builtin::Retval), ty: Type::U64, span });
        }
        let result = self.instance().arguments.iter().find(|one| &*one.name == RETVAL).cloned();
        match result {
            Some(result) if result.ty != Type::Void => Ok(self.read_argument(&result, span)),
            _ => self.error(span, "retval: the function returns nothing"),
        }
    }

    /// A stack of a mode and depth.
    pub(super) fn stack(
        &mut self,
        space: Space,
        mode: Option<crate::bt::types::StackMode>,
        depth: Option<u32>,
        span: Span,
    ) -> Checked<Expr> {
        let mode = mode.unwrap_or(self.config.stack_mode);
        let depth = depth.unwrap_or(STACK_DEPTH);
        let ty = Type::Stack(Stack { space, mode, depth });
        Ok(Expr { kind: ExprKind::Builtin(Builtin::Stack), ty, span })
    }

    /// `$1`: a number if it is written as one, else a string; 0 if it is not given.
    pub(super) fn positional(&mut self, index: u32, span: Span) -> Expr {
        let text = usize::try_from(index)
            .ok()
            .and_then(|index| self.environment.parameters().get(index.checked_sub(1)?));
        let Some(text) = text else { return literal(0, span) };
        let (digits, negative) =
            text.strip_prefix('-').map_or((text.as_str(), false), |digits| (digits, true));
        match number::integer(digits) {
            Ok(value) => {
                let value = i128::from(value);
                literal(if negative { -value } else { value }, span)
            }
            Err(_) => string(&escape::bytes(text), span),
        }
    }

    /// The text of `$1`; empty if it is not given.
    pub(super) fn positional_text(&self, index: u32) -> &'a str {
        let at = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
        at.and_then(|at| self.environment.parameters().get(at)).map_or("", String::as_str)
    }

    /// `$#`
    pub(super) fn positional_count(&self, span: Span) -> Expr {
        integer(self.environment.parameters().len() as i128, Int::U64, span)
    }
}
