//! Statements, variables and assignments.

use super::join::{constant, convert, converts, join, nothing};
use super::{Checked, Checker, Stop, VariableState, statement};
use crate::bt::ast::{self, BinaryOp, ExprKind, Iterable, StatementKind as Written};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::hir::{self, Expr, MapId, Statement, StatementKind, VarId};
use crate::bt::source::Span;
use crate::bt::types::{Int, Space, Type};
use crate::util::nearest::{Nearest, OFFERED};
use std::collections::HashMap;
use std::sync::Arc;

/// How often `unroll` may repeat.
const MAX_UNROLL: i128 = 1000;

impl<'a> Checker<'a> {
    pub(super) fn enter_scope(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.scopes.push(HashMap::new());
        }
    }

    pub(super) fn leave_scope(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.ended.extend(frame.scopes.pop().unwrap_or_default());
        }
    }

    /// Goes through a block with a scope of its own. All statements are gone through even if one fails.
    pub(super) fn block(&mut self, block: &'a ast::Block) -> Checked<Vec<Statement>> {
        self.enter_scope();
        let (mut statements, mut failed) = (Vec::new(), false);
        for one in &block.statements {
            failed |= self.statement(one, &mut statements).is_err();
        }
        if let Some(value) = &block.value {
            failed |= self.expression_statement(value, &mut statements).is_err();
        }
        self.leave_scope();
        if failed { Err(Stop) } else { Ok(statements) }
    }

    /// Goes through a statement and adds what it becomes.
    pub(super) fn statement(
        &mut self,
        one: &'a ast::Statement,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let span = one.span;
        let kind = match &one.kind {
            Written::Expr(value) => return self.expression_statement(value, out),
            Written::Discard(value) => StatementKind::Expr(self.value_or_nothing(value)?),
            Written::Assign { target, op, value } => {
                return self.assign(target, *op, value, span, out);
            }
            Written::Let { name, ty, value } => self.declare(name, ty.as_ref(), value.as_ref())?,
            Written::If { arms, otherwise } => {
                return self.condition_statement(arms, otherwise.as_ref(), span, out);
            }
            Written::While { condition, body } => {
                let condition = self.condition(condition);
                let body = self.looped(body);
                let (condition, body) = (condition?, body?);
                if constant(&condition) == Some(0) {
                    return Ok(());
                }
                StatementKind::While { condition, body }
            }
            Written::For { variable, iterable, body } => self.for_loop(variable, iterable, body)?,
            Written::Unroll { count, body } => {
                let checked = self.value(count);
                let body = self.looped(body);
                let rounds = constant(&checked?);
                let Some(rounds) = rounds.filter(|rounds| (1..=MAX_UNROLL).contains(rounds)) else {
                    return self.error(
                        count.span,
                        format!("unroll: expected a constant from 1 to {MAX_UNROLL}"),
                    );
                };
                StatementKind::Unroll { count: rounds as u32, body: body? }
            }
            Written::Break | Written::Continue if self.loops == 0 => {
                let word = if matches!(one.kind, Written::Break) { "break" } else { "continue" };
                return self.error(span, format!("`{word}` outside of a loop"));
            }
            Written::Break => StatementKind::Break,
            Written::Continue => StatementKind::Continue,
            Written::Return(None) => StatementKind::Return(None),
            Written::Return(Some(value)) => {
                let checked = self.value(value)?;
                if checked.ty.int().is_none() && checked.ty != Type::Bool {
                    return self.error(value.span, "return: expected an integer");
                }
                StatementKind::Return(Some(convert(checked, &Type::I64)))
            }
            Written::Block(block) => StatementKind::Block(self.block(block)?),
        };
        out.push(statement(kind, span));
        Ok(())
    }

    fn looped(&mut self, body: &'a ast::Block) -> Checked<Vec<Statement>> {
        self.loops += 1;
        let body = self.block(body);
        self.loops -= 1;
        body
    }

    pub(super) fn expression_statement(
        &mut self,
        value: &'a ast::Expr,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let checked = self.expr(value)?;
        let span = checked.span;
        match checked.kind {
            // What only acts has become statements.
            hir::ExprKind::Block(statements, last) if last.ty == Type::Void => {
                out.extend(statements);
                if !matches!(last.kind, hir::ExprKind::Tuple(_)) {
                    out.push(statement(StatementKind::Expr(*last), span));
                }
            }
            hir::ExprKind::Tuple(elements) if elements.is_empty() && checked.ty == Type::Void => {}
            kind => {
                let checked = Expr { kind, ..checked };
                out.push(statement(StatementKind::Expr(checked), span));
            }
        }
        Ok(())
    }

    fn condition_statement(
        &mut self,
        arms: &'a [(ast::Expr, ast::Block)],
        otherwise: Option<&'a ast::Block>,
        span: Span,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let (mut checked, mut failed) = (Vec::new(), false);
        let mut rest = None;
        for (condition, body) in arms {
            let condition = self.condition(condition);
            let known = condition.as_ref().ok().and_then(constant);
            // A branch that is never taken need not make sense on this machine.
            if known == Some(0) {
                continue;
            }
            let body = self.block(body);
            let (Ok(condition), Ok(body)) = (condition, body) else {
                failed = true;
                continue;
            };
            if known.is_some() {
                rest = Some(body);
                break;
            }
            checked.push((condition, body));
        }
        if rest.is_none()
            && let Some(otherwise) = otherwise
        {
            match self.block(otherwise) {
                Ok(body) => rest = Some(body),
                Err(Stop) => failed = true,
            }
        }
        if failed {
            return Err(Stop);
        }
        let otherwise = rest.unwrap_or_default();
        let kind = if checked.is_empty() {
            StatementKind::Block(otherwise)
        } else {
            StatementKind::If { arms: checked, otherwise }
        };
        out.push(statement(kind, span));
        Ok(())
    }

    fn for_loop(
        &mut self,
        name: &'a ast::Name,
        iterable: &'a Iterable,
        body: &'a ast::Block,
    ) -> Checked<StatementKind> {
        match iterable {
            Iterable::Range(start, end) => {
                let (start, end) = (
                    self.integer(start, "start of the range"),
                    self.integer(end, "end of the range"),
                );
                self.enter_scope();
                let variable = self.new_variable(&name.node, name.span);
                if let (Ok(start), Ok(end)) = (&start, &end) {
                    let ty = join(&start.ty, &end.ty).unwrap_or(Type::I64);
                    self.widen_variable(variable, &ty);
                }
                let body = self.looped(body);
                self.leave_scope();
                let ty = self.variable_type(variable, name.span)?;
                let (start, end) = (convert(start?, &ty), convert(end?, &ty));
                Ok(StatementKind::ForRange { variable, start, end, body: body? })
            }
            Iterable::Map(map) => {
                let id = self.map_id(&map.node, map.span);
                self.enter_scope();
                let variable = self.new_variable(&name.node, name.span);
                let keyed = self.keyed(id, true, map.span);
                let state = self.map(id).clone();
                if let (Some(key), Some(value)) = (&state.key, &state.value) {
                    let value = self.element_type(value);
                    self.widen_variable(variable, &Type::Tuple([key.clone(), value].into()));
                } else if self.last {
                    let _: Checked<()> = self.unknown_map(id, map.span);
                }
                let body = self.looped(body);
                self.leave_scope();
                keyed?;
                if matches!(state.value, Some(Type::Hist(_) | Type::Lhist(_) | Type::Stats(_))) {
                    return self.unsupported(map.span, "for over a map of hist, lhist or stats");
                }
                Ok(StatementKind::ForMap { variable, map: id, body: body? })
            }
        }
    }

    /// What an element of a map is as a value.
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

    /// A variable that is declared here, in this use of the macro around.
    pub(super) fn new_variable(&mut self, name: &Arc<str>, span: Span) -> VarId {
        let context = self.frames.last().map_or(0, |frame| frame.context);
        let key = (context, span.start, Arc::clone(name));
        let instance = self.instance();
        let id = match instance.declared.get(&key) {
            Some(id) => *id,
            None => {
                let id = VarId(instance.variables.len() as u32);
                let name = Arc::clone(name);
                instance.variables.push(VariableState {
                    name,
                    ty: None,
                    fixed: false,
                    failed: false,
                    span,
                });
                instance.declared.insert(key, id);
                id
            }
        };
        let scope = self.frames.last_mut().and_then(|frame| frame.scopes.last_mut());
        if let Some(scope) = scope {
            scope.insert(Arc::clone(name), id);
        }
        id
    }

    fn in_scope(&self, name: &str) -> Option<VarId> {
        let frame = self.frames.last()?;
        frame.scopes.iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    /// The variable of a name that is read.
    pub(super) fn variable(&mut self, name: &Arc<str>, span: Span) -> Checked<VarId> {
        // Up to bpftrace 0.20 a variable lived as long as its probe.
        let ended = || self.frames.last().and_then(|frame| frame.ended.get(name)).copied();
        if let Some(id) = self.in_scope(name).or_else(ended) {
            return Ok(id);
        }
        let mut nearest = Nearest::new(name, OFFERED);
        if let Some(frame) = self.frames.last() {
            frame.scopes.iter().flat_map(HashMap::keys).for_each(|name| nearest.offer(name));
        }
        let nearest = nearest.into_names();
        let message = format!("undefined variable: {name}");
        self.tell(Diagnostic::error(span, message).nearest(&nearest))
    }

    fn state(&mut self, id: VarId) -> &mut VariableState {
        &mut self.instance().variables[id.0 as usize]
    }

    /// The type of a variable, if it is known.
    pub(super) fn variable_type(&mut self, id: VarId, span: Span) -> Checked<Type> {
        let state = self.state(id).clone();
        match state.ty {
            Some(ty) => Ok(ty),
            None if state.failed => Err(Stop),
            None => self.error(
                span,
                format!("{}: its type is not known: it is never assigned to", state.name),
            ),
        }
    }

    /// Widens the type of a variable; whether there is one that holds the value too.
    pub(super) fn widen_variable(&mut self, id: VarId, value: &Type) -> bool {
        let state = self.state(id).clone();
        if state.fixed {
            return true;
        }
        let mut ty = state.ty;
        let fits = self.widen(&mut ty, value);
        self.state(id).ty = ty;
        fits
    }

    /// The type of a value as a variable holds it.
    fn storable(&mut self, value: &Expr) -> Checked<Type> {
        match &value.ty {
            Type::Void => self.error(value.span, "it has no value that could be assigned"),
            Type::Struct(id) => {
                self.complete(*id, value.span)?;
                Ok(value.ty.clone())
            }
            other => Ok(other.clone()),
        }
    }

    fn store(&mut self, id: VarId, value: Checked<Expr>, span: Span) -> Checked<StatementKind> {
        let value = match value {
            Ok(value) => value,
            Err(Stop) => {
                self.state(id).failed = true;
                return Err(Stop);
            }
        };
        let ty = self.storable(&value)?;
        let fits = self.widen_variable(id, &ty);
        let place = self.variable_type(id, span)?;
        let name = self.state(id).name.to_string();
        if !fits || self.state(id).fixed && !converts(&value.ty, &place) {
            let (is, given) = (self.type_text(&place), self.type_text(&value.ty));
            return self
                .error(span, format!("type mismatch: {name} is {is}, the value is {given}"));
        }
        if self.state(id).fixed
            && let (Some(int), Some(constant)) = (place.int(), constant(&value))
        {
            let cut = int.truncate(constant as u64);
            let back = if int.signed { i128::from(cut.cast_signed()) } else { cut.into() };
            if back != constant {
                return self.error(
                    value.span,
                    format!("{name}: {constant} does not fit into {}", self.type_text(&place)),
                );
            }
        }
        Ok(StatementKind::SetVariable(id, self.fit(value, &place, &name)?))
    }

    fn declare(
        &mut self,
        name: &'a ast::Name,
        ty: Option<&'a ast::TypeName>,
        value: Option<&'a ast::Expr>,
    ) -> Checked<StatementKind> {
        let value = value.map(|value| self.value(value));
        let known = self
            .frames
            .last()
            .and_then(|frame| frame.scopes.last())
            .is_some_and(|scope| scope.contains_key(&name.node));
        let id = self.new_variable(&name.node, name.span);
        if known {
            return self
                .error(name.span, format!("{} is declared already in this block", name.node));
        }
        if let Some(ty) = ty {
            let declared = self.type_named(ty, Space::Kernel)?;
            let state = self.state(id);
            state.fixed = true;
            if state.ty.as_ref() != Some(&declared) {
                state.ty = Some(declared);
                self.changed = true;
            }
        }
        match value {
            None => Ok(StatementKind::Declare(id)),
            Some(value) => self.store(id, value, name.span),
        }
    }

    fn assign(
        &mut self,
        target: &'a ast::Expr,
        op: Option<BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        out: &mut Vec<Statement>,
    ) -> Checked<()> {
        let kind = match &target.kind {
            ExprKind::Variable(name) => {
                let value = match op {
                    None => self.value(value),
                    Some(op) => self.combined(name, target.span, op, value, span),
                };
                let id = match self.in_scope(name) {
                    Some(id) => id,
                    None if op.is_some() => self.variable(name, target.span)?,
                    None => self.first_assignment(name, target.span, &value),
                };
                self.store(id, value, target.span)?
            }
            ExprKind::Map { name, key } => {
                self.assign_map(name, key.as_deref(), op, value, span)?
            }
            _ => {
                return self.error(
                    target.span,
                    "expected a variable or a map on the left side of an assignment",
                );
            }
        };
        out.push(statement(kind, span));
        Ok(())
    }

    /// The variable that the first assignment in a scope makes. One of that name in a block that has ended is used on if the
    /// value fits: up to bpftrace 0.20 it would be the same, and later nobody could tell.
    fn first_assignment(&mut self, name: &Arc<str>, span: Span, value: &Checked<Expr>) -> VarId {
        let ended = self.frames.last().and_then(|frame| frame.ended.get(name)).copied();
        if let Some(id) = ended {
            let known = self.state(id).ty.clone();
            let fits = match (known, value) {
                (Some(known), Ok(value)) => join(&known, &value.ty).is_some(),
                _ => true,
            };
            if fits {
                if let Some(scope) =
                    self.frames.last_mut().and_then(|frame| frame.scopes.last_mut())
                {
                    scope.insert(Arc::clone(name), id);
                }
                return id;
            }
        }
        self.new_variable(name, span)
    }

    /// `$x op value`
    fn combined(
        &mut self,
        name: &Arc<str>,
        place: Span,
        op: BinaryOp,
        value: &'a ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let right = self.value(value);
        let id = self.variable(name, place)?;
        let ty = self.variable_type(id, place)?;
        let left = Expr { kind: hir::ExprKind::Variable(id), ty, span: place };
        self.binary(op, left, right?, span)
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

    /// Tells that nothing gives a map a type.
    pub(super) fn unknown_map<T>(&mut self, id: MapId, span: Span) -> Checked<T> {
        let state = self.map(id).clone();
        if state.failed {
            return Err(Stop);
        }
        let mut nearest = Nearest::new(&state.name, OFFERED);
        for map in self.maps.iter().filter(|map| map.value.is_some()) {
            nearest.offer(&map.name);
        }
        let nearest = nearest.into_names();
        let message = format!("undefined map: {}: nothing is ever assigned to it", state.name);
        self.tell(Diagnostic::error(span, message).nearest(&nearest))
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

    /// Widens the type of a map's keys for a key and makes it one of that type.
    pub(super) fn fit_key(&mut self, id: MapId, key: Expr) -> Checked<Expr> {
        let span = key.span;
        if key.ty == Type::Void {
            return self.error(span, "it has no value that could be a key");
        }
        let mut known = self.map(id).key.clone();
        let fits = self.widen(&mut known, &key.ty);
        self.map(id).key = known.clone();
        let name = self.map(id).name.clone();
        let Some(ty) = known.filter(|_| fits) else {
            let known = self.map(id).key.clone().unwrap_or(Type::Void);
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

    fn assign_map(
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
                let known = self.map(map).value.clone().unwrap_or(Type::I64);
                let signed = op == BinaryOp::Sub || known.is_signed() || value.ty.is_signed();
                match known {
                    Type::Int(int) if int.size == 8 => Type::Int(int),
                    _ => Type::Int(Int { size: 8, signed }),
                }
            }
        };
        let place = self.map_value(map, &ty, span)?;
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

    /// Widens the type of a map's values and returns it.
    pub(super) fn map_value(&mut self, map: MapId, ty: &Type, span: Span) -> Checked<Type> {
        let mut known = self.map(map).value.clone();
        let fits = self.widen(&mut known, ty);
        self.map(map).value = known.clone();
        match known {
            Some(known) if fits => Ok(known),
            known => {
                let name = self.map(map).name.clone();
                let is = self.type_text(&known.unwrap_or(Type::Void));
                let given = self.type_text(ty);
                self.error(span, format!("type mismatch: {name} is {is}, the value is {given}"))
            }
        }
    }

    /// The value of an expression that must be an integer.
    pub(super) fn integer(&mut self, of: &'a ast::Expr, what: &str) -> Checked<Expr> {
        let checked = self.value(of)?;
        match checked.ty {
            Type::Int(_) | Type::Enum(..) | Type::Bool => Ok(checked),
            ref other => {
                let given = self.type_text(other);
                self.error(of.span, format!("{what}: expected an integer, found {given}"))
            }
        }
    }

    /// What a call is that only acts.
    pub(super) fn acts(&mut self, kind: StatementKind, span: Span) -> Expr {
        let kind = hir::ExprKind::Block(vec![statement(kind, span)], Box::new(nothing(span)));
        Expr { kind, ty: Type::Void, span }
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
