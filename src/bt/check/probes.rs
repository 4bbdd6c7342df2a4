//! Groups the attach points of a block into programs.

use super::context::{Arguments, RETVAL};
use super::type_name::integer;
use super::{Checked, Checker, Instance};
use crate::bt::ast::{
    self, Block, Expr, ExprKind, Iterable, Statement, StatementKind, TypeName, TypeNameKind,
};
use crate::bt::config::MissingProbes;
use crate::bt::diagnostic::Diagnostic;
use crate::bt::environment::Missing;
use crate::bt::probe::{self, AttachPoint, Kind};
use crate::bt::source::Span;
use std::collections::{HashMap, HashSet};

/// Functions whose return must not be probed: they take the locks that the probe itself needs.
const BANNED: [&str; 4] = [
    "_raw_spin_lock",
    "_raw_spin_lock_irqsave",
    "_raw_spin_unlock_irqrestore",
    "queued_spin_lock_slowpath",
];

/// The properties of its probes that a block uses.
#[derive(Debug, Default)]
struct Uses<'a> {
    /// Fields of `args`.
    fields: HashSet<&'a str>,
    /// `args` as a whole.
    all: bool,
    /// `retval`.
    result: bool,
    /// `uaddr()`, which depends on the program.
    program: bool,
    /// Types that the script does not define, which depend on the program, too.
    types: bool,
    /// `probe` or `func` where their text must be known.
    names: bool,
    /// Macros that were visited.
    macros: HashSet<&'a str>,
}

impl<'a> Checker<'a> {
    /// Expands the attach points of all blocks.
    pub(super) fn expand(&mut self) {
        self.last = true;
        let (mut count, mut requested) = (0_usize, Vec::new());
        for (block, written) in self.script.probes.iter().enumerate() {
            let uses = self.uses(written);
            let mut groups: HashMap<Group, usize> = HashMap::new();
            let mut reported = false;
            for point in &written.attach_points {
                let alone = written.attach_points.len() == 1;
                let Ok(points) = self.expand_one(point, alone) else { continue };
                if let [AttachPoint::OnRequest { test, .. }] = points.as_slice() {
                    requested.push(if *test { "test" } else { "bench" });
                    continue;
                }
                count += points.len();
                if count > self.config.max_probes as usize && !reported {
                    reported = true;
                    let message = format!(
                        "more than {} probes (max_probes): {count} or more",
                        self.config.max_probes
                    );
                    let hint = "a narrower pattern costs less; BPFTRACE_MAX_PROBES or `config = { max_probes = N }` raises it";
                    self.diagnostics.push(Diagnostic::error(point.span, message).hint(hint));
                    continue;
                }
                for found in points {
                    let _ = self.add(block, found, point.span, &uses, &mut groups);
                }
            }
        }
        if self.instances.is_empty() && !self.diagnostics.has_errors() {
            let span = self.script.probes.first().map_or(Span::default(), |probe| probe.span);
            if let [what, ..] = requested.as_slice() {
                self.diagnostics.push(Diagnostic::unsupported(span, format!("{what} probes")));
            } else {
                self.diagnostics.push(Diagnostic::error(span, "no probes to attach"));
            }
        }
        self.last = false;
    }

    /// The attach points that one as written stands for. A pattern among several that matches nothing is a warning: nothing
    /// that was named is missing.
    fn expand_one(&mut self, point: &ast::AttachPoint, alone: bool) -> Checked<Vec<AttachPoint>> {
        let spec = match probe::parse(point) {
            Ok(spec) => spec,
            Err(diagnostic) => return self.report(diagnostic),
        };
        match &spec {
            AttachPoint::Watchpoint { .. } => {
                return self.unsupported(point.span, "watchpoint probes");
            }
            AttachPoint::Iter { pin: Some(_), .. } => {
                return self.unsupported(point.span, "iterators that are pinned");
            }
            _ => {}
        }
        if let AttachPoint::Kprobe { ret: true, function, .. } = &spec
            && BANNED.contains(&function.as_str())
        {
            let message = format!("{spec} can't be used as it might lock up your system.");
            return self.error(point.span, message);
        }
        let missing = match self.environment.expand(&spec) {
            Ok(points) if !points.is_empty() => return Ok(points),
            Ok(_) => None,
            Err(missing) => Some(missing),
        };
        let message = match (&missing, &spec) {
            (Some(Missing { problem, .. }), _) if !problem.is_empty() => {
                format!("{spec}: {problem}")
            }
            (Some(_), AttachPoint::Tracepoint { category, name }) => {
                format!("tracepoint not found: {category}:{name}")
            }
            (Some(_), _) => format!("{spec}: not found"),
            (None, _) => format!("{spec}: nothing matches"),
        };
        let diagnostic = match self.config.missing_probes {
            MissingProbes::Error if missing.is_none() && !alone => {
                Diagnostic::warning(point.span, message)
            }
            MissingProbes::Error => Diagnostic::error(point.span, message),
            MissingProbes::Warn => Diagnostic::warning(point.span, message),
            MissingProbes::Ignore => return Ok(Vec::new()),
        };
        self.report(diagnostic.nearest(&missing.unwrap_or_default().nearest))
    }

    /// Adds an attach point to the program that it can share, or makes one for it.
    fn add(
        &mut self,
        block: usize,
        point: AttachPoint,
        span: Span,
        uses: &Uses<'_>,
        groups: &mut HashMap<Group, usize>,
    ) -> Checked<()> {
        let mut arguments = Arguments::new();
        let typed = matches!(
            point.kind(),
            Kind::Tracepoint | Kind::RawTracepoint | Kind::Fentry | Kind::Fexit | Kind::Uprobe
        );
        let result = uses.result && point.kind() == Kind::Fexit;
        if typed && (uses.all || !uses.fields.is_empty()) || result {
            arguments = self.arguments_of(&point, span)?;
            arguments.retain(|argument| {
                uses.all
                    || uses.fields.contains(&*argument.name)
                    || result && &*argument.name == RETVAL
            });
        }
        let alone = match &point {
            AttachPoint::Begin
            | AttachPoint::End
            | AttachPoint::Usdt { .. }
            | AttachPoint::Iter { .. } => Some(point.to_string()),
            AttachPoint::Uprobe { path, .. } if uses.program || uses.types => Some(path.clone()),
            _ if uses.names => Some(point.to_string()),
            _ => None,
        };
        let group = Group { kind: point.kind(), alone, arguments: arguments.clone() };
        if let Some(instance) = groups.get(&group).and_then(|index| self.instances.get_mut(*index))
        {
            if !instance.attach_points.contains(&point) || matches!(point.kind(), Kind::Special) {
                instance.attach_points.push(point);
                instance.point_spans.push(span);
            }
            return Ok(());
        }
        let usdt = match &point {
            AttachPoint::Usdt { path, provider, name } => {
                match self.environment.usdt(path, provider.as_deref().unwrap_or_default(), name) {
                    Ok(probe) => Some(probe),
                    Err(problem) => return self.error(span, format!("{point}: {problem}")),
                }
            }
            _ => None,
        };
        groups.insert(group, self.instances.len());
        self.instances.push(Instance {
            block,
            kind: point.kind(),
            attach_points: vec![point],
            point_spans: vec![span],
            usdt,
            arguments,
            variables: Vec::new(),
            declared: HashMap::new(),
        });
        Ok(())
    }

    fn uses(&self, probe: &'a ast::Probe) -> Uses<'a> {
        let mut uses = Uses::default();
        if let Some(predicate) = &probe.predicate {
            self.uses_of(predicate, &mut uses);
        }
        self.uses_of_block(&probe.body, &mut uses);
        uses
    }

    fn uses_of_block(&self, block: &'a Block, uses: &mut Uses<'a>) {
        block.statements.iter().for_each(|statement| self.uses_of_statement(statement, uses));
        if let Some(value) = &block.value {
            self.uses_of(value, uses);
        }
    }

    fn uses_of_statement(&self, statement: &'a Statement, uses: &mut Uses<'a>) {
        match &statement.kind {
            StatementKind::Expr(value) | StatementKind::Discard(value) => self.uses_of(value, uses),
            StatementKind::Assign { target, value, .. } => {
                self.uses_of(target, uses);
                self.uses_of(value, uses);
            }
            StatementKind::Let { ty, value, .. } => {
                uses.types |= ty.as_ref().is_some_and(|ty| self.is_of_a_program(ty));
                value.iter().for_each(|value| self.uses_of(value, uses));
            }
            StatementKind::Return(value) => {
                value.iter().for_each(|value| self.uses_of(value, uses));
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.uses_of(condition, uses);
                    self.uses_of_block(body, uses);
                }
                otherwise.iter().for_each(|body| self.uses_of_block(body, uses));
            }
            StatementKind::While { condition: value, body }
            | StatementKind::Unroll { count: value, body } => {
                self.uses_of(value, uses);
                self.uses_of_block(body, uses);
            }
            StatementKind::For { iterable, body, .. } => {
                if let Iterable::Range(start, end) = iterable {
                    self.uses_of(start, uses);
                    self.uses_of(end, uses);
                }
                self.uses_of_block(body, uses);
            }
            StatementKind::Block(body) => self.uses_of_block(body, uses),
            StatementKind::Break | StatementKind::Continue => {}
        }
    }

    fn uses_of(&self, of: &'a Expr, uses: &mut Uses<'a>) {
        match &of.kind {
            ExprKind::Field { base, name } if matches!(&base.kind, ExprKind::Ident(args) if &**args == "args") =>
            {
                uses.fields.insert(&name.node);
            }
            ExprKind::Ident(name) => match &**name {
                "args" => uses.all = true,
                "retval" => uses.result = true,
                name => self.uses_of_macro(name, uses),
            },
            ExprKind::Call { name, arguments } => {
                uses.program |= &*name.node == "uaddr";
                uses.result |= &*name.node == "retval";
                // Where a name is needed as text it must be one that is known here.
                let text = matches!(&*name.node, "strncmp" | "strcontains" | "strlen");
                uses.names |= text && arguments.iter().any(is_name);
                self.uses_of_macro(&name.node, uses);
                arguments.iter().for_each(|argument| self.uses_of(argument, uses));
            }
            ExprKind::Map { key, .. } => {
                key.iter().flatten().for_each(|key| self.uses_of(key, uses));
            }
            ExprKind::Unary(_, value)
            | ExprKind::SizeofExpr(value)
            | ExprKind::OffsetofExpr(value, _) => self.uses_of(value, uses),
            ExprKind::Cast { ty, value } => {
                uses.types |= self.is_of_a_program(ty);
                self.uses_of(value, uses);
            }
            ExprKind::SizeofType(ty) | ExprKind::OffsetofType(ty, _) => {
                uses.types |= self.is_of_a_program(ty);
            }
            ExprKind::Step { target: base, .. }
            | ExprKind::Field { base, .. }
            | ExprKind::Element { base, .. } => self.uses_of(base, uses),
            ExprKind::Binary { left, right, op } => {
                uses.names |= op.node.is_comparison() && (is_name(left) || is_name(right));
                self.uses_of(left, uses);
                self.uses_of(right, uses);
            }
            ExprKind::Index { base: left, index: right } => {
                self.uses_of(left, uses);
                self.uses_of(right, uses);
            }
            ExprKind::Logical { operands, .. } | ExprKind::Tuple(operands) => {
                operands.iter().for_each(|operand| self.uses_of(operand, uses));
            }
            ExprKind::Ternary { condition, then, otherwise } => {
                self.uses_of(condition, uses);
                then.iter().for_each(|then| self.uses_of(then, uses));
                self.uses_of(otherwise, uses);
            }
            ExprKind::Block(block) => self.uses_of_block(block, uses),
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::Positional(_)
            | ExprKind::PositionalCount
            | ExprKind::Variable(_)
            | ExprKind::Unsupported(_) => {}
        }
    }

    /// Whether a type can be one of the program that is probed.
    fn is_of_a_program(&self, name: &TypeName) -> bool {
        match &name.kind {
            TypeNameKind::Named(word) => {
                integer(word).is_none()
                    && !self.types.script.contains_key(word)
                    && !self.types.typedefs.contains_key(word)
            }
            TypeNameKind::Struct(word) | TypeNameKind::Union(word) => {
                !self.types.script.contains_key(word)
            }
            TypeNameKind::Enum(word) => !self.types.script_enums.contains_key(word),
            TypeNameKind::Inline(_) => true,
            TypeNameKind::Pointer(of) | TypeNameKind::Array(of, _) => self.is_of_a_program(of),
            TypeNameKind::Tuple(elements) => elements.iter().any(|of| self.is_of_a_program(of)),
            TypeNameKind::Typeof(_) => true,
        }
    }

    fn uses_of_macro(&self, name: &'a str, uses: &mut Uses<'a>) {
        let found = self.script.macros.iter().find(|one| &*one.name.node == name);
        if let Some(found) = found
            && uses.macros.insert(name)
        {
            self.uses_of_block(&found.body, uses);
        }
    }
}

/// Whether it is the name of the probe or of the function.
fn is_name(of: &Expr) -> bool {
    matches!(&of.kind, ExprKind::Ident(name) if matches!(&**name, "probe" | "func"))
}

/// The properties that attach points sharing a program have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Group {
    kind: Kind,
    alone: Option<String>,
    arguments: Arguments,
}
