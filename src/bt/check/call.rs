//! Functions.

use super::join::{boolean, constant, constant_text, convert, expr, integer, literal, string};
use super::{Checked, Checker, Stop, statement};
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::config::stack_mode;
use crate::bt::constants;
use crate::bt::diagnostic::Diagnostic;
use crate::bt::functions::{self, Id, Row, Usage};
use crate::bt::hir::{Async, Builtin, Call, Expr, ExprKind, MapId, StatementKind};
use crate::bt::probe::{AttachPoint, Kind};
use crate::bt::source::Span;
use crate::bt::types::{Clock, Int, Pointer, Space, Type};
use crate::util::nearest::{Nearest, OFFERED};
use std::net::IpAddr;
use std::sync::Arc;

/// How `time()` prints if it is not told.
const TIME: &[u8] = b"%H:%M:%S\n";

impl<'a> Checker<'a> {
    /// That a function has as many arguments as it takes.
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
        self.tell(
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
                self.tell(
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
        self.tell(Diagnostic::error(place, format!("unknown function: `{name}`")).nearest(&nearest))
    }

    /// Functions that only act.
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
        let format = self.add_format(crate::bt::format::Format { pieces });
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

    /// Functions that are values.
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
            Id::CgroupId => {
                let path = self.literal(first()?, "cgroupid")?;
                match self.environment.cgroup_id(&String::from_utf8_lossy(&path)) {
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
            Id::Strerror => {
                let number = self.constant(first()?, "strerror", 0, 4095)?;
                let text = std::io::Error::from_raw_os_error(number as i32).to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                Ok(string(text.as_bytes(), span))
            }
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

    /// A string literal, or a positional parameter as text.
    fn literal(&mut self, of: &'a ast::Expr, what: &str) -> Checked<Arc<[u8]>> {
        match &of.kind {
            Written::Str(text) => Ok(Arc::clone(text)),
            Written::Positional(index) => Ok(self.positional_text(*index).as_bytes().into()),
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

    fn text(&mut self, of: &'a ast::Expr, what: &str) -> Checked<Arc<[u8]>> {
        self.literal(of, what)
    }

    /// A map that is named without a key.
    fn whole_map(&mut self, function: &str, arguments: &'a [ast::Expr]) -> Checked<MapId> {
        match arguments.first() {
            Some(ast::Expr { kind: Written::Map { name, key: None }, .. }) => {
                let map = self.map_id(&name.node, name.span);
                if self.map(map).value.is_none() {
                    return self.unknown_map(map, name.span);
                }
                Ok(map)
            }
            Some(other) => {
                self.error(other.span, format!("{function}: expected a map without key"))
            }
            None => Err(Stop),
        }
    }

    /// The map and the key of `has_key(@m, key)`.
    fn map_and_key(
        &mut self,
        map: &'a ast::Expr,
        key: &'a ast::Expr,
        function: &str,
    ) -> Checked<(MapId, Expr)> {
        let Written::Map { name, key: None } = &map.kind else {
            return self.error(map.span, format!("{function}: expected a map without key"));
        };
        let id = self.map_id(&name.node, name.span);
        self.keyed(id, true, name.span)?;
        let key = self.value(key)?;
        let key = self.fit_key(id, key)?;
        if self.map(id).value.is_none() {
            return self.unknown_map(id, name.span);
        }
        Ok((id, key))
    }

    fn delete(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let (map, key) = match arguments {
            [map, key] => {
                let (map, key) = self.map_and_key(map, key, "delete")?;
                (map, Some(key))
            }
            [ast::Expr { kind: Written::Map { name, key }, .. }] => {
                let map = self.map_id(&name.node, name.span);
                let key = self.access(map, key.as_deref(), name.span)?;
                if self.map(map).value.is_none() {
                    return self.unknown_map(map, name.span);
                }
                (map, key)
            }
            _ => return self.error(span, "delete: expected a map"),
        };
        Ok(call(Call::Delete { map, key }, Type::Bool, span))
    }

    /// `find(@m, key, $v)`
    fn find_call(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let [map, key, target] = arguments else { return Err(Stop) };
        let (id, key) = self.map_and_key(map, key, "find")?;
        let Written::Variable(name) = &target.kind else {
            return self.error(target.span, "find: expected a variable");
        };
        let variable = self.variable(name, target.span)?;
        let Some(value) = self.map(id).value.clone() else { return self.unknown_map(id, map.span) };
        let element = self.element_type(&value);
        self.widen_variable(variable, &element);
        let place = self.variable_type(variable, target.span)?;
        // The key is evaluated once, into a variable that no script can name.
        let hidden = self.new_variable(&Arc::from("$find"), span);
        self.widen_variable(hidden, &key.ty);
        let key_read = expr(ExprKind::Variable(hidden), key.ty.clone(), span);
        let read =
            expr(ExprKind::Map { map: id, key: Some(Box::new(key_read.clone())) }, value, span);
        let read = self.rvalue(read)?;
        let read = self.fit(read, &place, name)?;
        let found = vec![statement(StatementKind::SetVariable(variable, read), span)];
        let yes = expr(ExprKind::Block(found, Box::new(boolean(true, span))), Type::Bool, span);
        let has = call(Call::HasKey { map: id, key: key_read }, Type::Bool, span);
        let kind = ExprKind::Ternary {
            condition: Box::new(has),
            then: Box::new(yes),
            otherwise: Box::new(boolean(false, span)),
        };
        let result = expr(kind, Type::Bool, span);
        let first = vec![statement(StatementKind::SetVariable(hidden, key), span)];
        Ok(expr(ExprKind::Block(first, Box::new(result)), Type::Bool, span))
    }

    fn len(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        if let Written::Map { name, key: None } = &of.kind {
            let map = self.map_id(&name.node, name.span);
            let stack = matches!(self.map(map).value, Some(Type::Stack(_)));
            if !stack {
                if self.map(map).value.is_none() {
                    return self.unknown_map(map, name.span);
                }
                return Ok(call(Call::MapLen(map), Type::U64, span));
            }
        }
        let value = self.value(of)?;
        match &value.ty {
            Type::Stack(_) => Ok(call(Call::StackLen(value), Type::U64, span)),
            Type::Array(_, length) => Ok(integer((*length).into(), Int::U64, span)),
            other => {
                let given = self.type_text(other);
                self.error(of.span, format!("len: expected a map or a stack, found {given}"))
            }
        }
    }

    /// An address: a pointer or an integer.
    fn address(&mut self, of: &'a ast::Expr, function: &str) -> Checked<Expr> {
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

    /// A string; text in memory is read.
    fn string_value(&mut self, of: &'a ast::Expr, function: &str) -> Checked<Expr> {
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

    fn read_string(
        &mut self,
        address: Expr,
        space: Space,
        length: Option<Expr>,
        span: Span,
    ) -> Expr {
        let most = self.config.max_strlen;
        let known = length.as_ref().and_then(constant);
        let (size, length) = match known {
            // One byte more than bpftrace had before 0.22 never hurts: the zero at the end.
            Some(known) => (u32::try_from(known).unwrap_or(most).clamp(1, most), None),
            None => (most, length),
        };
        call(Call::Str { address, space, length }, Type::String(size), span)
    }

    /// `str(…)`
    fn str(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
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
            let most =
                length.as_ref().and_then(constant).and_then(|length| usize::try_from(length).ok());
            let text = text.as_bytes();
            return Ok(string(text.get(..most.unwrap_or(text.len())).unwrap_or(text), span));
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

    /// The text of `$1`, or of `$1 + n`: from its n-th byte on.
    fn parameter_text(&mut self, of: &'a ast::Expr) -> Checked<Option<&'a str>> {
        match &of.kind {
            Written::Positional(index) => Ok(Some(self.positional_text(*index))),
            Written::Binary { op, left, right } if op.node == ast::BinaryOp::Add => {
                let Written::Positional(index) = &left.kind else { return Ok(None) };
                let text = self.positional_text(*index);
                let skip = self.constant(right, "str: offset", 0, text.len() as i128)? as usize;
                match text.get(skip..) {
                    Some(rest) => Ok(Some(rest)),
                    None => self.error(right.span, "str: offset within a character"),
                }
            }
            _ => Ok(None),
        }
    }

    /// `buf(…)`
    fn buf(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
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

    fn stack_call(
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
                    let most = super::name::STACK_DEPTH.into();
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

    fn nsecs(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
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

    /// Bytes in memory or an array, of one of these sizes.
    fn bytes(&mut self, of: &'a ast::Expr, function: &str, sizes: &[u32]) -> Checked<Expr> {
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

    fn ntop(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
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

    fn pton(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
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

    fn register(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
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
            return self
                .tell(Diagnostic::error(span, message).hint(format!("reg: {}", words.join(", "))));
        }
        match self.environment.register(&name) {
            Some(offset) => {
                Ok(expr(ExprKind::Builtin(Builtin::Register { offset }), Type::U64, span))
            }
            None => {
                let names = self.environment.registers().join(", ");
                let message = format!("reg: this machine has no register `{name}`");
                self.tell(Diagnostic::error(of.span, message).hint(format!("it has {names}")))
            }
        }
    }

    fn user_address(&mut self, of: &'a ast::Expr, span: Span) -> Checked<Expr> {
        let name = self.literal(of, "uaddr")?;
        let name = String::from_utf8_lossy(&name).into_owned();
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

    fn signal(&mut self, of: &'a ast::Expr) -> Checked<Expr> {
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

    fn path(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
        let Some(first) = arguments.first() else { return Err(Stop) };
        if !matches!(self.kind(), Kind::Fentry | Kind::Fexit | Kind::Iter) {
            return self.error(span, "path() is not available here: fentry, fexit, iter");
        }
        let address = self.address(first, "path")?;
        let most = self.config.max_strlen;
        let size = match arguments.get(1) {
            None => most,
            Some(size) => self.constant(size, "path: size", 1, most.into())? as u32,
        };
        Ok(call(Call::Path(address), Type::String(size), span))
    }

    /// `getopt(name, default, help)`
    fn option(&mut self, arguments: &'a [ast::Expr], span: Span) -> Checked<Expr> {
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
            (Type::String(_), Some(text)) => Ok(string(text.as_bytes(), span)),
            _ => self.error(span, "getopt: the default must be a number, a string, true or false"),
        }
    }
}

/// A call of a function.
fn call(function: Call, ty: Type, span: Span) -> Expr {
    expr(ExprKind::Call(Box::new(function)), ty, span)
}
