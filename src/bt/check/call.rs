//! Checks function calls.

mod machine;
mod map;
mod task;
mod text;

use super::join::{boolean, constant, constant_text, convert, expr, integer, literal};
use super::{Checked, Checker, Stop, statement};
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::functions::{self, Id, Row, Usage};
use crate::bt::hir::{Async, Builtin, Call, Expr, ExprKind, StatementKind};
use crate::bt::probe::Kind;
use crate::bt::source::Span;
use crate::bt::types::{Clock, Described, Int, Pointer, Space, Type};
use crate::util::escape;
use crate::util::nearest::{Nearest, OFFERED};
use std::sync::Arc;

/// The default format of `time()`.
const TIME: &[u8] = b"%H:%M:%S\n";

impl<'a> Checker<'a> {
    /// Checks the number of arguments of a function.
    pub(super) fn count_arguments(
        &mut self,
        row: &Row,
        arguments: &[ast::Expr],
        span: Span,
    ) -> Checked<()> {
        let (least, most) = row.arguments;
        if (least..=most).contains(&arguments.len()) {
            return Ok(());
        }
        let expected = match (least, most) {
            (least, most) if least == most => least.to_string(),
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        let message = format!("{}: {} arguments, expected {expected}", row.name, arguments.len());
        self.report(
            Diagnostic::error(span, message).hint(format!("it is called as {}", row.signature)),
        )
    }

    /// `name(…)`
    pub(super) fn call(
        &mut self,
        name: &str,
        place: Span,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let Some(row) = functions::find(name) else {
            if arguments.is_empty() && crate::bt::builtins::find(name).is_some() {
                // `pid()` is `pid`.
                return self.named(&name.into(), span);
            }
            return self.unknown_function(name, place);
        };
        if row.id == Id::Unsupported {
            return self.unsupported(span, format!("{name}()"));
        }
        self.count_arguments(row, arguments, span)?;
        if row.unsafe_mode && !self.environment.allows_unsafe() {
            let message = format!("{name}() can harm: it needs --unsafe");
            return self.error(span, message);
        }
        match row.usage {
            Usage::MapValue => {
                let hint = format!("assign it to a map: @ = {name}(…)");
                self.report(
                    Diagnostic::error(span, format!("{name}() can only be assigned to a map"))
                        .hint(hint),
                )
            }
            Usage::Statement => self.acting(row, arguments, span),
            Usage::Value => self.function(row, arguments, span),
        }
    }

    fn unknown_function<T>(&mut self, name: &str, place: Span) -> Checked<T> {
        let mut nearest = Nearest::new(name, OFFERED);
        functions::FUNCTIONS.iter().for_each(|row| nearest.offer(row.name));
        self.script.macros.iter().for_each(|one| nearest.offer(&one.name.node));
        let nearest = nearest.into_names();
        self.report(
            Diagnostic::error(place, format!("unknown function: `{name}`")).nearest(&nearest),
        )
    }

    /// Checks a call of a function without a result.
    fn acting(
        &mut self,
        row: &'static Row,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let kind = match row.id {
            Id::Printf | Id::System | Id::Cat => {
                let (format, values) = self.formatted(row.name, arguments, span)?;
                StatementKind::Async(match row.id {
                    Id::Printf => Async::Printf(format, values),
                    Id::System => Async::System(format, values),
                    _ => Async::Cat(format, values),
                })
            }
            Id::Errorf | Id::Warnf => {
                let (format, arguments) = self.formatted(row.name, arguments, span)?;
                StatementKind::Async(Async::Message {
                    warning: row.id == Id::Warnf,
                    format,
                    arguments,
                })
            }
            Id::Debugf => self.debugf(arguments, span)?,
            Id::Print => self.print(arguments, span)?,
            Id::Exit => self.exit(arguments, span)?,
            Id::Clear | Id::Zero => {
                let map = self.whole_map(row.name, arguments)?;
                self.map(map).asynchronous = true;
                StatementKind::Async(if row.id == Id::Clear {
                    Async::Clear(map)
                } else {
                    Async::Zero(map)
                })
            }
            Id::Time => {
                let format = match arguments.first() {
                    None => Arc::from(TIME),
                    Some(format) => self.text(format, "time: format")?,
                };
                StatementKind::Async(Async::Time(format))
            }
            Id::Join => {
                let array = arguments.first().map_or(Err(Stop), |array| self.value(array))?;
                let array = match &array.ty {
                    Type::Pointer(_) => array,
                    Type::Int(_) => {
                        let space = self.default_space(&array);
                        convert(
                            array,
                            &Type::pointer(Type::pointer(Type::Int(Int::I8), space), space),
                        )
                    }
                    Type::Array(..) => match self.address_of(&array) {
                        Some(address) => address,
                        None => {
                            return self.unsupported(
                                span,
                                "join() of an array that does not lie in memory",
                            );
                        }
                    },
                    other => {
                        let given = self.type_text(other);
                        return self.error(
                            array.span,
                            format!("join: expected an array of strings, found {given}"),
                        );
                    }
                };
                let separator = match arguments.get(1) {
                    None => Arc::from(&b" "[..]),
                    Some(separator) => self.text(separator, "join: separator")?,
                };
                StatementKind::Async(Async::Join { array, separator })
            }
            Id::Override => {
                if self.kind() != Kind::Kprobe {
                    return self.error(span, "override() is not available here: kprobe");
                }
                let value =
                    arguments.first().map_or(Err(Stop), |value| self.integer(value, "override"))?;
                StatementKind::Expr(call(
                    Call::Override(convert(value, &Type::U64)),
                    Type::Void,
                    span,
                ))
            }
            Id::Signal | Id::SignalThread => {
                let number = arguments.first().map_or(Err(Stop), |signal| self.signal(signal))?;
                let thread = row.id == Id::SignalThread;
                StatementKind::Expr(call(Call::Signal { number, thread }, Type::Void, span))
            }
            Id::Assert => return self.assert(arguments, span),
            Id::StaticAssert => {
                let [condition, message] = arguments else { return Err(Stop) };
                let checked = self.condition(condition)?;
                let text = self.text(message, "static_assert: message")?;
                match constant(&checked) {
                    Some(0) => return self.error(span, String::from_utf8_lossy(&text)),
                    Some(_) => return Ok(super::join::nothing(span)),
                    None => {
                        return self.error(condition.span, "static_assert: expected a constant");
                    }
                }
            }
            Id::Fail => return self.fail_call(arguments, span),
            _ => return self.unsupported(span, format!("{}()", row.name)),
        };
        Ok(self.acts(kind, span))
    }

    /// `fail(format, …)`: the message, for what can be said of constants.
    fn fail_call(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let (_, values) = self.formatted("fail", arguments, span)?;
        let Some(Written::Str(text)) = arguments.first().map(|first| &first.kind) else {
            return Err(Stop);
        };
        let mut message = String::from_utf8_lossy(text).into_owned();
        for value in &values {
            let shown = match (constant(value), constant_text(value)) {
                (Some(number), _) => number.to_string(),
                (_, Some(text)) => String::from_utf8_lossy(text).into_owned(),
                _ => return self.error(value.span, "fail: expected a constant"),
            };
            let at = message.find('%').unwrap_or(message.len());
            let end = message
                .get(at..)
                .and_then(|rest| rest.find(char::is_alphabetic))
                .map_or(message.len(), |end| at + end + 1);
            message.replace_range(at..end, &shown);
        }
        self.error(span, message)
    }

    fn assert(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let [condition, message] = arguments else { return Err(Stop) };
        let condition = self.condition(condition)?;
        let text = self.text(message, "assert: message")?;
        let pieces = vec![crate::bt::format::Piece::Text(text.to_vec())];
        let format = self.add_format(crate::bt::format::Format { pieces, stray: Vec::new() });
        let message = Async::Message { warning: false, format, arguments: Vec::new() };
        let one = integer(1, Int::I32, span);
        let body = vec![
            statement(StatementKind::Async(message), span),
            statement(StatementKind::Async(Async::Exit(one)), span),
        ];
        let not = expr(
            ExprKind::Unary(crate::bt::hir::Unary::Not, Box::new(condition)),
            Type::Bool,
            span,
        );
        let kind = StatementKind::If { arms: vec![(not, body)], otherwise: Vec::new() };
        Ok(self.acts(kind, span))
    }

    /// Checks a call of a function with a result.
    fn function(
        &mut self,
        row: &'static Row,
        arguments: &'a [ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let first = || arguments.first().ok_or(Stop);
        match row.id {
            Id::Str => self.str(arguments, span),
            Id::Buf => self.buf(arguments, span),
            Id::Kstack => self.stack_call(Space::Kernel, arguments, span),
            Id::Ustack => self.stack_call(Space::User, arguments, span),
            Id::Ksym | Id::Usym => {
                let address = self.address(first()?, row.name)?;
                Ok(match row.id {
                    Id::Ksym => call(Call::KernelSymbol(address), Type::KernelSymbol, span),
                    _ => call(Call::UserSymbol(address), Type::UserSymbol, span),
                })
            }
            Id::Ntop => self.ntop(arguments, span),
            Id::Pton => self.pton(first()?, span),
            Id::MacAddr => {
                let address = self.bytes(first()?, "macaddr", &[6])?;
                Ok(call(Call::Mac(address), Type::Mac, span))
            }
            Id::Bswap => {
                let value = self.integer(first()?, "bswap")?;
                let size = value.ty.int().map_or(1, |int| int.size);
                let int = Int { size, signed: false };
                if let Some(known) = constant(&value) {
                    let swapped = (known as u64).swap_bytes() >> (64 - u32::from(size) * 8);
                    return Ok(integer(swapped.into(), int, span));
                }
                if size == 1 {
                    return Ok(convert(value, &Type::Int(int)));
                }
                let value = convert(value, &Type::Int(int));
                Ok(call(Call::Bswap(value), Type::Int(int), span))
            }
            Id::Reg => self.register(first()?, span),
            Id::Kaddr => {
                let name = self.literal(first()?, "kaddr")?;
                let name = String::from_utf8_lossy(&name).into_owned();
                match self.environment.kernel_address(&name) {
                    Some(address) => Ok(integer(address.into(), Int::U64, span)),
                    None => self.error(span, format!("kaddr: the kernel has no symbol `{name}`")),
                }
            }
            Id::Uaddr => self.user_address(first()?, span),
            Id::PercpuKaddr => {
                let symbol = self.literal(first()?, "percpu_kaddr")?;
                let symbol = String::from_utf8_lossy(&symbol).into();
                let cpu = arguments
                    .get(1)
                    .map(|cpu| self.integer(cpu, "percpu_kaddr: cpu"))
                    .transpose()?;
                let cpu = cpu.map(|cpu| convert(cpu, &Type::U64));
                let ty = Type::pointer(Type::U64, Space::Kernel);
                Ok(call(Call::PerCpuAddress { symbol, cpu }, ty, span))
            }
            Id::Kptr | Id::Uptr => {
                let space = if row.id == Id::Kptr { Space::Kernel } else { Space::User };
                let value = self.value(first()?)?;
                let to = match &value.ty {
                    Type::Pointer(pointer) => pointer.to.clone(),
                    Type::Int(_) => Type::Void,
                    other => {
                        let given = self.type_text(other);
                        return self.error(
                            value.span,
                            format!("{}: expected a pointer, found {given}", row.name),
                        );
                    }
                };
                let ty = Type::Pointer(Arc::new(Pointer { to, space }));
                Ok(Expr { ty, span, ..value })
            }
            Id::Nsecs => self.nsecs(arguments, span),
            Id::Pid | Id::Tid => {
                let init = match arguments.first().map(|argument| &argument.kind) {
                    None => false,
                    Some(Written::Ident(word)) if &**word == "init" => true,
                    Some(Written::Ident(word)) if &**word == "curr_ns" => false,
                    Some(_) => {
                        return self.error(span, format!("{}: expected curr_ns or init", row.name));
                    }
                };
                let builtin =
                    if row.id == Id::Pid { Builtin::Pid { init } } else { Builtin::Tid { init } };
                Ok(expr(ExprKind::Builtin(builtin), Type::U32, span))
            }
            Id::Strftime => {
                let [format, time] = arguments else { return Err(Stop) };
                let text = self.text(format, "strftime: format")?;
                let time = self.integer(time, "strftime: time")?;
                let clock = match &time.kind {
                    ExprKind::Builtin(Builtin::Nsecs(clock)) => *clock,
                    _ => Clock::Boot,
                };
                let format = self.add_string(&text);
                let nanoseconds = convert(time, &Type::U64);
                Ok(call(Call::Strftime { format, clock, nanoseconds }, Type::Timestamp, span))
            }
            Id::CgroupPath => {
                let id = convert(self.integer(first()?, "cgroup_path")?, &Type::U64);
                let pattern = match arguments.get(1) {
                    None => Arc::from(&b"*"[..]),
                    Some(pattern) => self.literal(pattern, "cgroup_path: pattern")?,
                };
                let pattern = self.add_string(&pattern);
                Ok(call(Call::CgroupPath { id, pattern }, Type::CgroupPath, span))
            }
            Id::Cgroup => {
                let path = self.literal(first()?, "cgroupid")?;
                match self.environment.cgroup_id(&escape::text(&path)) {
                    Ok(id) => Ok(integer(id.into(), Int::U64, span)),
                    Err(problem) => self.error(span, format!("cgroupid: {problem}")),
                }
            }
            Id::Strncmp => {
                let [left, right, length] = arguments else { return Err(Stop) };
                let (left, right) =
                    (self.string_value(left, "strncmp")?, self.string_value(right, "strncmp")?);
                let length = self.constant(length, "strncmp: length", 0, 1 << 20)? as u32;
                if let (Some(one), Some(two)) = (constant_text(&left), constant_text(&right)) {
                    let cut = |text: &[u8]| text.get(..length as usize).unwrap_or(text).to_vec();
                    return Ok(literal((cut(one) != cut(two)).into(), span));
                }
                Ok(call(Call::Strncmp { left, right, length }, Type::I64, span))
            }
            Id::Strcontains => {
                let [text, part] = arguments else { return Err(Stop) };
                let (text, part) = (
                    self.string_value(text, "strcontains")?,
                    self.string_value(part, "strcontains")?,
                );
                if let (Some(text), Some(part)) = (constant_text(&text), constant_text(&part)) {
                    let found =
                        part.is_empty() || text.windows(part.len()).any(|window| window == part);
                    return Ok(boolean(found, span));
                }
                Ok(call(Call::Strcontains { text, part }, Type::Bool, span))
            }
            Id::Strlen => {
                let text = self.string_value(first()?, "strlen")?;
                match constant_text(&text) {
                    Some(text) => Ok(integer(text.len() as i128, Int::U64, span)),
                    None => Ok(call(Call::Strlen(text), Type::U64, span)),
                }
            }
            Id::Strerror => self.described(Described::Error, "strerror", first()?, span),
            Id::SignalName => self.described(Described::Signal, "signal_name", first()?, span),
            Id::LeaderComm | Id::LeaderTid | Id::Pcomm | Id::Ppid => {
                self.relative(row, arguments, span)
            }
            Id::IsErr => self.is_error(first()?, span),
            Id::HasKey => {
                let [map, key] = arguments else { return Err(Stop) };
                let (map, key) = self.map_and_key(map, key, "has_key")?;
                Ok(call(Call::HasKey { map, key }, Type::Bool, span))
            }
            Id::Delete => self.delete(arguments, span),
            Id::Find => self.find_call(arguments, span),
            Id::Len => self.len(first()?, span),
            Id::Path => self.path(arguments, span),
            Id::SocketCookie => {
                let sock = self.address(first()?, "socket_cookie")?;
                Ok(call(Call::SocketCookie(sock), Type::U64, span))
            }
            Id::GetOpt => self.option(arguments, span),
            Id::IsArray
            | Id::IsInteger
            | Id::IsLiteral
            | Id::IsPtr
            | Id::IsStr
            | Id::IsUnsigned => {
                let value = self.value(first()?)?;
                Ok(boolean(
                    match row.id {
                        Id::IsArray => matches!(value.ty, Type::Array(..)),
                        Id::IsInteger => value.ty.int().is_some(),
                        Id::IsLiteral => matches!(
                            first()?.kind,
                            Written::Int(_) | Written::Str(_) | Written::Bool(_)
                        ),
                        Id::IsPtr => matches!(value.ty, Type::Pointer(_)),
                        Id::IsStr => matches!(value.ty, Type::String(_)),
                        _ => value.ty.int().is_some_and(|int| !int.signed),
                    },
                    span,
                ))
            }
            _ => self.unsupported(span, format!("{}()", row.name)),
        }
    }
}

/// A call of a function.
fn call(function: Call, ty: Type, span: Span) -> Expr {
    expr(ExprKind::Call(Box::new(function)), ty, span)
}
