//! Prints the typed program, for `-d ast`, with the type of every expression.

use super::hir::{
    Access, Aggregation, Async, Builtin, Call, Expr, ExprKind, MapId, Probe, Program, Statement,
    StatementKind, Unary, VarId,
};
use super::types::Type;
use std::fmt::Write;

/// Returns a program as text.
pub(crate) fn dump(program: &Program) -> String {
    let mut dump = Dump { program, probe: None, out: String::new() };
    for map in &program.maps {
        let (value, entries) = (dump.ty(&map.value), map.max_entries);
        let key = map.key.as_ref().map(|key| format!("[{}]", dump.ty(key))).unwrap_or_default();
        let _ = writeln!(dump.out, "map {}{key}: {value}, {entries} elements", map.name);
    }
    for probe in &program.probes {
        dump.probe(probe);
    }
    dump.out
}

struct Dump<'a> {
    program: &'a Program,
    probe: Option<&'a Probe>,
    out: String,
}

impl<'a> Dump<'a> {
    fn ty(&self, ty: &Type) -> String {
        ty.name(&self.program.structs, &self.program.enums)
    }

    fn map(&self, id: MapId) -> &'a str {
        self.program.maps.get(id.0 as usize).map_or("@?", |map| &map.name)
    }

    fn variable(&self, id: VarId) -> String {
        let variables = self.probe.map_or(&[][..], |probe| &probe.variables);
        let name = variables.get(id.0 as usize).map_or("$?", |variable| &variable.name);
        // Those of the same name are distinguished by their numbers.
        let several = variables.iter().filter(|other| &*other.name == name).count() > 1;
        if several { format!("{name}#{}", id.0) } else { name.to_owned() }
    }

    fn probe(&mut self, probe: &'a Probe) {
        self.probe = Some(probe);
        let names: Vec<_> = probe.attach_points.iter().map(ToString::to_string).collect();
        let _ = writeln!(self.out, "{}", names.join(", "));
        for (variable, id) in probe.variables.iter().zip(0..) {
            let (name, ty) = (self.variable(VarId(id)), self.ty(&variable.ty));
            self.line(1, &format!("{name}: {ty}"));
        }
        if let Some(predicate) = &probe.predicate {
            let text = self.expr(predicate);
            self.line(1, &format!("if not {text}: return"));
        }
        self.statements(&probe.body, 1);
    }

    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{:width$}{text}", "", width = depth * 2);
    }

    fn statements(&mut self, statements: &[Statement], depth: usize) {
        for statement in statements {
            self.statement(statement, depth);
        }
    }

    fn place(&self, map: MapId, key: Option<&Expr>) -> String {
        let key = key.map(|key| format!("[{}]", self.expr(key))).unwrap_or_default();
        format!("{}{key}", self.map(map))
    }

    fn statement(&mut self, statement: &Statement, depth: usize) {
        let text = match &statement.kind {
            StatementKind::Expr(value) => self.expr(value),
            StatementKind::Declare(id) => format!("{} = 0", self.variable(*id)),
            StatementKind::SetVariable(id, value) => {
                format!("{} = {}", self.variable(*id), self.expr(value))
            }
            StatementKind::SetMap { map, key, value } => {
                format!("{} = {}", self.place(*map, key.as_ref()), self.expr(value))
            }
            StatementKind::UpdateMap { map, key, op, signed, value } => {
                let sign = if *signed { "s" } else { "" };
                format!(
                    "{} {sign}{}= {}",
                    self.place(*map, key.as_ref()),
                    op.text(),
                    self.expr(value)
                )
            }
            StatementKind::Aggregate { map, key, function } => {
                format!("{} = {}", self.place(*map, key.as_ref()), self.aggregation(function))
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    let condition = self.expr(condition);
                    self.line(depth, &format!("if {condition}"));
                    self.statements(body, depth + 1);
                }
                if !otherwise.is_empty() {
                    self.line(depth, "else");
                    self.statements(otherwise, depth + 1);
                }
                return;
            }
            StatementKind::While { condition, body } => {
                let condition = self.expr(condition);
                self.line(depth, &format!("while {condition}"));
                return self.statements(body, depth + 1);
            }
            StatementKind::ForRange { variable, start, end, body } => {
                let head = format!(
                    "for {} from {} to {}",
                    self.variable(*variable),
                    self.expr(start),
                    self.expr(end)
                );
                self.line(depth, &head);
                return self.statements(body, depth + 1);
            }
            StatementKind::ForMap { variable, map, body } => {
                let head = format!("for {} in {}", self.variable(*variable), self.map(*map));
                self.line(depth, &head);
                return self.statements(body, depth + 1);
            }
            StatementKind::Unroll { count, body } => {
                self.line(depth, &format!("{count} times"));
                return self.statements(body, depth + 1);
            }
            StatementKind::Block(body) => {
                self.line(depth, "block");
                return self.statements(body, depth + 1);
            }
            StatementKind::Break => "break".into(),
            StatementKind::Continue => "continue".into(),
            StatementKind::Return(None) => "return".into(),
            StatementKind::Return(Some(value)) => format!("return {}", self.expr(value)),
            StatementKind::Async(action) => self.action(action),
        };
        self.line(depth, &text);
    }

    fn list(&self, values: &[Expr]) -> String {
        values.iter().map(|value| format!(", {}", self.expr(value))).collect()
    }

    fn aggregation(&self, function: &Aggregation) -> String {
        match function {
            Aggregation::Count => "count()".into(),
            Aggregation::Sum(value) => format!("sum({})", self.expr(value)),
            Aggregation::Avg(value) => format!("avg({})", self.expr(value)),
            Aggregation::Min(value) => format!("min({})", self.expr(value)),
            Aggregation::Max(value) => format!("max({})", self.expr(value)),
            Aggregation::Stats(value) => format!("stats({})", self.expr(value)),
            Aggregation::Hist(value, bits) => format!("hist({}, {bits})", self.expr(value)),
            Aggregation::Lhist(value, lhist) => {
                format!("lhist({}, {}, {}, {})", self.expr(value), lhist.min, lhist.max, lhist.step)
            }
        }
    }

    fn action(&self, action: &Async) -> String {
        match action {
            Async::Printf(format, values) => format!("printf(#{}{})", format.0, self.list(values)),
            Async::Message { warning: true, format, arguments } => {
                format!("warnf(#{}{})", format.0, self.list(arguments))
            }
            Async::Message { format, arguments, .. } => {
                format!("errorf(#{}{})", format.0, self.list(arguments))
            }
            Async::System(format, values) => format!("system(#{}{})", format.0, self.list(values)),
            Async::Cat(format, values) => format!("cat(#{}{})", format.0, self.list(values)),
            Async::PrintValue(value) => format!("print({})", self.expr(value)),
            Async::PrintMap { map, top, div } => format!("print({}, {top}, {div})", self.map(*map)),
            Async::PrintElement { map, key } => format!("print({})", self.place(*map, Some(key))),
            Async::Clear(map) => format!("clear({})", self.map(*map)),
            Async::Zero(map) => format!("zero({})", self.map(*map)),
            Async::Exit(status) => format!("exit({})", self.expr(status)),
            Async::Time(format) => format!("time({:?})", String::from_utf8_lossy(format)),
            Async::Join { array, separator } => {
                format!("join({}, {:?})", self.expr(array), String::from_utf8_lossy(separator))
            }
        }
    }

    /// An expression and its type.
    fn expr(&self, of: &Expr) -> String {
        format!("{}: {}", self.bare(of), self.ty(&of.ty))
    }

    fn bare(&self, of: &Expr) -> String {
        match &of.kind {
            ExprKind::Int(value) if of.ty == Type::Bool => (*value != 0).to_string(),
            ExprKind::Int(value) if of.ty.is_signed() => value.cast_signed().to_string(),
            ExprKind::Int(value) => value.to_string(),
            ExprKind::Bytes(bytes) => {
                format!("{:?}", String::from_utf8_lossy(bytes).trim_end_matches('\0'))
            }
            ExprKind::Variable(id) => self.variable(*id),
            ExprKind::Map { map, key } => self.place(*map, key.as_deref()),
            ExprKind::Aggregated(map) => format!("number({})", self.expr(map)),
            ExprKind::Builtin(builtin) => self::builtin(*builtin),
            ExprKind::Context => "ctx".into(),
            ExprKind::Load { address, offset, access, bits } => {
                let from = match access {
                    Access::Context => "context",
                    Access::Btf => "btf",
                    Access::Kernel => "kernel",
                    Access::User => "user",
                };
                let bits = bits
                    .map(|bits| format!(" bits {}+{}", bits.shift, bits.size))
                    .unwrap_or_default();
                format!("{from}[({}) + {offset}]{bits}", self.expr(address))
            }
            ExprKind::Address { address, offset } => {
                format!("address(({}) + {offset})", self.expr(address))
            }
            ExprKind::DataLocation { offset, relative } => {
                format!("{}({offset})", if *relative { "rel_loc" } else { "data_loc" })
            }
            ExprKind::Extract { value, offset, index, bits } => {
                let index = index
                    .as_ref()
                    .map(|(index, size)| format!(" + ({}) * {size}", self.expr(index)));
                let bits = bits
                    .map(|bits| format!(" bits {}+{}", bits.shift, bits.size))
                    .unwrap_or_default();
                format!("part({}, {offset}{}){bits}", self.expr(value), index.unwrap_or_default())
            }
            ExprKind::Tuple(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| self.expr(element)).collect();
                format!("({})", elements.join(", "))
            }
            ExprKind::Unary(op, value) => {
                let op = match op {
                    Unary::Not => "!",
                    Unary::Negate => "-",
                    Unary::Invert => "~",
                };
                format!("{op}({})", self.expr(value))
            }
            ExprKind::Binary { op, signed, left, right }
            | ExprKind::Compare { op, signed, left, right } => {
                let sign = if *signed { "s" } else { "u" };
                format!("({}) {sign}{} ({})", self.expr(left), op.text(), self.expr(right))
            }
            ExprKind::CompareObjects { equal, left, right } => {
                let op = if *equal { "==" } else { "!=" };
                format!("({}) {op} ({})", self.expr(left), self.expr(right))
            }
            ExprKind::Logical { and, operands } => {
                let operands: Vec<_> =
                    operands.iter().map(|operand| format!("({})", self.expr(operand))).collect();
                operands.join(if *and { " && " } else { " || " })
            }
            ExprKind::Ternary { condition, then, otherwise } => {
                format!(
                    "({}) ? ({}) : ({})",
                    self.expr(condition),
                    self.expr(then),
                    self.expr(otherwise)
                )
            }
            ExprKind::Convert(value) => format!("convert({})", self.expr(value)),
            ExprKind::StepVariable { variable, by, prefix } => {
                step(&self.variable(*variable), *by, *prefix)
            }
            ExprKind::StepMap { map, key, by, prefix } => {
                step(&self.place(*map, key.as_deref()), *by, *prefix)
            }
            ExprKind::Block(statements, value) => {
                let mut inner =
                    Dump { program: self.program, probe: self.probe, out: String::new() };
                inner.statements(statements, 0);
                let lines: Vec<_> = inner.out.lines().map(str::trim_start).collect();
                format!("{{ {}; {} }}", lines.join("; "), self.expr(value))
            }
            ExprKind::Call(call) => self.call(call),
        }
    }

    fn call(&self, call: &Call) -> String {
        let some = |value: &Option<Expr>| {
            value.as_ref().map(|value| format!(", {}", self.expr(value))).unwrap_or_default()
        };
        match call {
            Call::Str { address, space, length } => {
                format!("str({}, {space:?}{})", self.expr(address), some(length))
            }
            Call::Buf { address, space, length } => {
                format!("buf({}, {space:?}, {})", self.expr(address), self.expr(length))
            }
            Call::Debugf { format, arguments } => {
                let format = String::from_utf8_lossy(format);
                format!("debugf({:?}{})", format.trim_end_matches('\0'), self.list(arguments))
            }
            Call::KernelSymbol(address) => format!("ksym({})", self.expr(address)),
            Call::UserSymbol(address) => format!("usym({})", self.expr(address)),
            Call::Ntop { family, address } => {
                format!("ntop({}{})", self.expr(address), some(family))
            }
            Call::Mac(address) => format!("macaddr({})", self.expr(address)),
            Call::Bswap(value) => format!("bswap({})", self.expr(value)),
            Call::Strftime { format, clock, nanoseconds } => {
                format!("strftime(#{format}, {clock:?}, {})", self.expr(nanoseconds))
            }
            Call::Describe(number) => format!("text({})", self.expr(number)),
            Call::CgroupPath { id, pattern } => {
                format!("cgroup_path({}, #{pattern})", self.expr(id))
            }
            Call::Strncmp { left, right, length } => {
                format!("strncmp({}, {}, {length})", self.expr(left), self.expr(right))
            }
            Call::Strcontains { text, part } => {
                format!("strcontains({}, {})", self.expr(text), self.expr(part))
            }
            Call::Strlen(text) => format!("strlen({})", self.expr(text)),
            Call::HasKey { map, key } => format!("has_key({})", self.place(*map, Some(key))),
            Call::Delete { map, key } => format!("delete({})", self.place(*map, key.as_ref())),
            Call::MapLen(map) => format!("len({})", self.map(*map)),
            Call::StackLen(stack) => format!("len({})", self.expr(stack)),
            Call::Signal { number, thread } => {
                format!(
                    "{}({})",
                    if *thread { "signal_thread" } else { "signal" },
                    self.expr(number)
                )
            }
            Call::Override(value) => format!("override({})", self.expr(value)),
            Call::Path(path) => format!("path({})", self.expr(path)),
            Call::PerCpuAddress { symbol, cpu } => format!("percpu_kaddr({symbol:?}{})", some(cpu)),
            Call::SocketCookie(sock) => format!("socket_cookie({})", self.expr(sock)),
        }
    }
}

fn step(place: &str, by: i64, prefix: bool) -> String {
    if prefix { format!("({place} += {by})") } else { format!("({place} += {by}, before)") }
}

/// A value of the kernel's, with what it is asked for.
fn builtin(builtin: Builtin) -> String {
    // A binary for size has the names of variants alone in their Debug form.
    match builtin {
        Builtin::Pid { init } => format!("Pid {{ init: {init} }}"),
        Builtin::Tid { init } => format!("Tid {{ init: {init} }}"),
        Builtin::Nsecs(clock) => format!("Nsecs({clock:?})"),
        Builtin::Arg(number) => format!("Arg({number})"),
        Builtin::StackArg(number) => format!("StackArg({number})"),
        Builtin::Register { offset } => format!("Register {{ offset: {offset} }}"),
        other => format!("{other:?}"),
    }
}
