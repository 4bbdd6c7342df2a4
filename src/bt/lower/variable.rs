//! Scratch variables: scalars in variables of the code generator, objects in memory.

use super::memory::{Place, Prepared};
use super::{Lower, Lowered};
use crate::bt::hir::{Expr, ExprKind, Probe, Statement, StatementKind, VarId};
use crate::bt::types::Type;
use crate::bt::visit::{self, Node};
use crate::codegen::{Operand, Var};
use std::collections::HashSet;

/// The storage of a variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Home {
    Scalar(Var),
    Object(Place),
    /// In the frame that loop bodies share, at this offset: a scalar.
    Slot(u32),
    /// In memory whose address is in the frame at this offset: an object.
    Far(u32),
}

/// The variables of a probe.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    pub(super) homes: Vec<Option<Home>>,
    /// Variables that change within expressions: values read earlier have to be preserved.
    unstable: HashSet<VarId>,
}

impl<'p> Lower<'_, 'p, '_> {
    /// Decides how the variables are held.
    pub(super) fn place_variables(&mut self) {
        let probe = self.probe;
        let homes = vec![None; probe.variables.len()];
        self.variables = Variables { homes, unstable: unstable(probe) };
        self.place_frame();
        // Objects begin where they are declared, unless they are used outside of that block.
        for id in far_used(probe) {
            if let Some(variable) = probe.variables.get(id.0 as usize)
                && !variable.ty.is_scalar()
                && self.variables.homes.get(id.0 as usize) == Some(&None)
            {
                let size = self.size(&variable.ty);
                let room = self.room(size);
                self.zero(room, size);
                self.set_home(id, Home::Object(room));
            }
        }
    }

    pub(super) fn set_home(&mut self, id: VarId, home: Home) {
        if let Some(slot) = self.variables.homes.get_mut(id.0 as usize) {
            *slot = Some(home);
        }
    }

    /// Returns the storage of a variable. A scalar that has none yet becomes one of the current function.
    fn home(&mut self, id: VarId) -> Option<Home> {
        let known = self.variables.homes.get(id.0 as usize).copied()?;
        let scalar = self.probe.variables.get(id.0 as usize)?.ty.is_scalar();
        if known.is_none() && scalar {
            let home = Home::Scalar(self.f.var());
            self.set_home(id, home);
            return Some(home);
        }
        known
    }

    /// The value of a scalar.
    pub(super) fn read_variable(&mut self, id: VarId, _ty: &Type) -> Lowered<Operand> {
        match self.home(id) {
            Some(Home::Scalar(var)) if self.variables.unstable.contains(&id) => {
                let copy = self.f.var();
                self.f.assign(copy, var);
                Ok(copy.into())
            }
            Some(Home::Scalar(var)) => Ok(var.into()),
            Some(Home::Slot(slot)) => Ok(self.load_slot(slot).into()),
            Some(Home::Object(_) | Home::Far(_)) | None => self.never(),
        }
    }

    /// Stores a scalar.
    pub(super) fn write_variable(&mut self, id: VarId, value: Operand) -> Lowered<()> {
        match self.home(id) {
            Some(Home::Scalar(var)) => self.f.assign(var, value),
            Some(Home::Slot(slot)) => self.store_slot(slot, value),
            Some(Home::Object(_) | Home::Far(_)) | None => return self.never(),
        }
        Ok(())
    }

    /// The place of an object.
    pub(super) fn variable_place(&mut self, id: VarId) -> Lowered<Place> {
        match self.home(id) {
            Some(Home::Object(place)) => Ok(place),
            Some(Home::Far(slot)) => Ok(self.far_place(slot)),
            Some(Home::Scalar(_) | Home::Slot(_)) | None => self.never(),
        }
    }

    /// The place of an object that begins here unless it is there already.
    fn begun(&mut self, id: VarId) -> Lowered<Place> {
        match self.home(id) {
            Some(Home::Object(place)) => return Ok(place),
            Some(Home::Far(slot)) => return Ok(self.far_place(slot)),
            _ => {}
        }
        let Some(variable) = self.probe.variables.get(id.0 as usize) else { return self.never() };
        let size = self.size(&variable.ty);
        let room = self.room(size);
        self.set_home(id, Home::Object(room));
        Ok(room)
    }

    fn is_scalar(&self, id: VarId) -> bool {
        self.probe.variables.get(id.0 as usize).is_some_and(|variable| variable.ty.is_scalar())
    }

    /// `let $x;`
    pub(super) fn declare(&mut self, id: VarId) -> Lowered<()> {
        if self.is_scalar(id) {
            return self.write_variable(id, 0.into());
        }
        let place = self.begun(id)?;
        let size = self.probe.variables.get(id.0 as usize).map_or(0, |found| self.size(&found.ty));
        self.zero(place, size);
        Ok(())
    }

    /// `$x = value`
    pub(super) fn set_variable(&mut self, id: VarId, value: &'p Expr) -> Lowered<()> {
        if self.is_scalar(id) {
            let number = self.number(value)?;
            return self.write_variable(id, number);
        }
        let prepared = self.prepare(value)?;
        self.set_object(id, &prepared, mentions(value, id))
    }

    /// Stores an object in a variable.
    pub(super) fn set_object(
        &mut self,
        id: VarId,
        value: &Prepared,
        mentioned: bool,
    ) -> Lowered<()> {
        let place = self.begun(id)?;
        if let Some(Home::Far(_)) = self.home(id) {
            // The verifier must not track constants in it: loop bodies change it.
            let from = self.in_memory(value);
            let (dst, src) = (self.pointer(place), self.pointer(from));
            let args = [dst, value.size().into(), src];
            self.call_number(super::helper::PROBE_READ_KERNEL, &args);
        } else if mentioned {
            // A value that is made of the variable itself is made elsewhere first.
            let room = self.room(value.size());
            self.put(value, room, true);
            self.copy(room, place, value.size());
        } else {
            self.put(value, place, true);
        }
        Ok(())
    }

    /// `$x++`
    pub(super) fn step_variable(
        &mut self,
        id: VarId,
        by: i64,
        prefix: bool,
        ty: &Type,
    ) -> Lowered<Operand> {
        let now = self.read_variable(id, ty)?;
        let old = self.f.var();
        self.f.assign(old, now);
        let mut new: Operand = self.f.add(old, by).into();
        if let Type::Int(int) | Type::Enum(_, int) = ty {
            new = self.truncate(new, *int);
        }
        self.write_variable(id, new)?;
        Ok(if prefix { new } else { old.into() })
    }
}

/// Whether an expression reads a variable.
fn mentions(of: &Expr, id: VarId) -> bool {
    let mut found = false;
    visit::expression(of, &mut |node| {
        if let Node::Expr(expr) = node {
            found |= matches!(expr.kind, ExprKind::Variable(read) if read == id);
        }
    });
    found
}

/// The variables that change within expressions.
fn unstable(probe: &Probe) -> HashSet<VarId> {
    let mut unstable = HashSet::new();
    let mut look = |node: Node<'_>| {
        let Node::Expr(expr) = node else { return };
        match &expr.kind {
            ExprKind::StepVariable { variable, .. } => {
                unstable.insert(*variable);
            }
            ExprKind::Block(statements, _) => visit::statements(statements, &mut |node| {
                if let Node::Statement(Statement {
                    kind: StatementKind::SetVariable(id, _), ..
                }) = node
                {
                    unstable.insert(*id);
                }
            }),
            _ => {}
        }
    };
    probe.predicate.iter().for_each(|predicate| visit::expression(predicate, &mut look));
    visit::statements(&probe.body, &mut look);
    unstable
}

/// The variables that are used outside of the block in which they are set first.
fn far_used(probe: &Probe) -> Vec<VarId> {
    let mut scopes = Scopes { open: Vec::new(), next: 0, begun: Vec::new(), far: Vec::new() };
    scopes.begun.resize(probe.variables.len(), None);
    if let Some(predicate) = &probe.predicate {
        scopes.expression(predicate);
    }
    scopes.list(&probe.body);
    scopes.far
}

struct Scopes {
    /// The blocks around.
    open: Vec<u32>,
    next: u32,
    /// The block in which each variable is set first.
    begun: Vec<Option<u32>>,
    far: Vec<VarId>,
}

impl Scopes {
    fn list(&mut self, statements: &[Statement]) {
        self.open.push(self.next);
        self.next += 1;
        statements.iter().for_each(|one| self.statement(one));
        self.open.pop();
    }

    fn set(&mut self, id: VarId) {
        let here = self.open.last().copied();
        match self.begun.get_mut(id.0 as usize) {
            Some(begun @ None) => *begun = here,
            _ => self.used(id),
        }
    }

    fn used(&mut self, id: VarId) {
        let begun = self.begun.get(id.0 as usize).copied().flatten();
        let near = begun.is_some_and(|begun| self.open.contains(&begun));
        if !near && !self.far.contains(&id) {
            self.far.push(id);
        }
    }

    fn expression(&mut self, of: &Expr) {
        let mut nodes = Vec::new();
        visit::expression(of, &mut |node| nodes.push(node));
        for node in nodes {
            match node {
                Node::Expr(Expr { kind: ExprKind::Variable(id), .. }) => self.used(*id),
                // What a block in an expression sets may be used behind it.
                Node::Statement(Statement { kind: StatementKind::SetVariable(id, _), .. }) => {
                    self.set(*id);
                }
                Node::Statement(Statement { kind: StatementKind::Declare(id), .. }) => {
                    self.set(*id);
                }
                _ => {}
            }
        }
    }

    fn statement(&mut self, one: &Statement) {
        match &one.kind {
            StatementKind::SetVariable(id, value) => {
                self.expression(value);
                self.set(*id);
            }
            StatementKind::Declare(id) => self.set(*id),
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.expression(condition);
                    self.list(body);
                }
                self.list(otherwise);
            }
            StatementKind::While { condition, body } => {
                self.expression(condition);
                self.list(body);
            }
            StatementKind::ForRange { start, end, body, .. } => {
                self.expression(start);
                self.expression(end);
                self.list(body);
            }
            StatementKind::ForMap { variable, body, .. } => {
                self.open.push(self.next);
                self.next += 1;
                self.set(*variable);
                self.list(body);
                self.open.pop();
            }
            StatementKind::Unroll { body, .. } | StatementKind::Block(body) => self.list(body),
            _ => visit::statement(one, &mut |node| match node {
                Node::Expr(Expr { kind: ExprKind::Variable(id), .. }) => self.used(*id),
                Node::Statement(Statement { kind: StatementKind::SetVariable(id, _), .. }) => {
                    self.set(*id);
                }
                _ => {}
            }),
        }
    }
}
