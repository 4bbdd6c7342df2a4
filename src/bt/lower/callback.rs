//! Loop bodies that are functions of their own, called by a helper of the kernel.
//!
//! Such a function shares with the main function a frame on the main function's stack: the context, and the variables
//! that are used inside and outside of it. Up to Linux 6.6 the verifier simulates one iteration and takes the contents
//! of the frame after it for those after any number of iterations. It must therefore never track a constant in the
//! frame: a zero that is unknown to the verifier is added to everything that is stored there.

use super::control::{self, Loop};
use super::memory::{Place, Prepared};
use super::variable::Home;
use super::{Lower, Lowered, helper};
use crate::bt::hir::{Async, Expr, ExprKind, MapId, Probe, Statement, StatementKind, VarId};
use crate::bt::plan::{Feature, Globals, MOST_ROUNDS};
use crate::bt::types::{Type, tuple_layout};
use crate::bt::visit::{self, Node};
use crate::codegen::{Address, Function, FunctionId, Operand, Var};
use crate::insn::{Condition, Size};
use std::collections::HashMap;

/// The frame as the current function reaches it.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    base: Address,
    /// The offset of the first value of each range.
    starts: HashMap<*const Statement, u32>,
}

/// The offset of the context in the frame.
const CONTEXT: u32 = 0;
/// The offset of the address of the scratch memory.
const SCRATCH: u32 = 8;
/// The offset of the flag that the run has ended.
const ENDED: u32 = 16;
/// The offset of the first variable.
const VARIABLES: u32 = 24;

/// The contents of the frame.
struct Plan {
    starts: Vec<*const Statement>,
    captured: Vec<VarId>,
}

impl<'p> Lower<'_, 'p, '_> {
    /// Whether a loop's body becomes a function of its own.
    pub(super) fn is_callback(&self, one: &Statement) -> bool {
        let has_loop = self.shared.target.has(Feature::Loop);
        match &one.kind {
            StatementKind::ForMap { .. } => true,
            StatementKind::While { .. } => has_loop,
            StatementKind::ForRange { start, end, .. } => {
                has_loop
                    && control::rounds(start, end).is_none_or(|rounds| rounds > control::INLINE)
            }
            _ => false,
        }
    }

    /// Lays out the frame and stores its initial contents.
    pub(super) fn place_frame(&mut self) {
        let plan = self.plan_frame(self.probe);
        if plan.starts.is_empty() {
            return;
        }
        let slots = plan.starts.len() + plan.captured.len();
        let base = Address::from(self.f.object(VARIABLES + slots as u32 * 8, 8));
        let places = (0..slots as u32).map(|slot| VARIABLES + slot * 8);
        let starts = plan.starts.iter().copied().zip(places.clone()).collect();
        self.frame = Some(Frame { base, starts });
        let context = self.context;
        self.f.store(Size::Double, base.at(CONTEXT as i32), context);
        if let Some(owner) = self.scratch_owner() {
            self.f.store(Size::Double, base.at(SCRATCH as i32), owner);
        }
        self.store_slot(ENDED, 0.into());
        for (id, slot) in plan.captured.iter().zip(places.skip(plan.starts.len())) {
            let Some(variable) = self.probe.variables.get(id.0 as usize) else { continue };
            if variable.ty.is_scalar() {
                self.set_home(*id, Home::Slot(slot));
                self.store_slot(slot, 0.into());
            } else {
                let size = self.size(&variable.ty);
                let room = self.room(size);
                self.zero(room, size);
                let address = self.pointer(room);
                self.f.store(Size::Double, base.at(slot as i32), address);
                self.set_home(*id, Home::Far(slot));
            }
        }
    }

    fn plan_frame(&self, probe: &Probe) -> Plan {
        let mut users = Users {
            is_callback: &|one| self.is_callback(one),
            bodies: 0,
            current: 0,
            seen: vec![None; probe.variables.len()],
            plan: Plan { starts: Vec::new(), captured: Vec::new() },
        };
        if let Some(predicate) = &probe.predicate {
            users.expression(predicate);
        }
        users.list(&probe.body);
        users.plan
    }

    fn frame_place(&self, slot: u32) -> Address {
        let base = self.frame.as_ref().map_or(self.context.at(0), |frame| frame.base);
        base.at(slot as i32)
    }

    /// Loads a number from the frame.
    pub(super) fn load_slot(&mut self, slot: u32) -> Var {
        let value = self.f.load(Size::Double, self.frame_place(slot));
        self.f.number(value);
        value
    }

    /// Stores a number in the frame.
    pub(super) fn store_slot(&mut self, slot: u32, value: Operand) {
        let zero = self.load_global(Globals::OPAQUE_ZERO);
        let value = self.f.add(value, zero);
        self.f.store(Size::Double, self.frame_place(slot), value);
    }

    /// The place of an object whose address is in the frame.
    pub(super) fn far_place(&mut self, slot: u32) -> Place {
        let pointer = self.f.load(Size::Double, self.frame_place(slot));
        Place::aligned(pointer)
    }

    /// Writes a function of so many parameters, the last of which is the frame.
    fn function(
        &mut self,
        parameters: usize,
        body: impl FnOnce(&mut Self, &[Var]) -> Lowered<()>,
    ) -> Lowered<FunctionId> {
        self.forget_maps();
        self.callbacks += 1;
        let name = format!("loop{}", self.callbacks);
        let mut outer = Function::new(name, parameters);
        std::mem::swap(&mut self.f, &mut outer);
        let span = self.span;
        self.at(span);
        let given: Vec<Var> = (0..parameters).filter_map(|index| self.f.parameter(index)).collect();
        let last = given.last().copied().unwrap_or(self.context);
        let exit = self.f.block();
        let (next, end) = (self.f.block(), self.f.block());
        let saved = (
            std::mem::replace(&mut self.exit, exit),
            self.context,
            self.scratch,
            self.frame.clone(),
            std::mem::replace(&mut self.loops, vec![Loop { next, end }]),
            std::mem::take(&mut self.cold),
            self.variables.homes.clone(),
            std::mem::take(&mut self.known),
        );
        if let Some(frame) = &mut self.frame {
            frame.base = last.at(0);
        }
        for home in &mut self.variables.homes {
            if !matches!(home, Some(Home::Slot(_) | Home::Far(_))) {
                *home = None;
            }
        }
        self.context = self.f.load(Size::Double, last.at(CONTEXT as i32));
        if let Some(scratch) = &mut self.scratch {
            scratch.owner = self.f.load(Size::Double, last.at(SCRATCH as i32));
        }
        if let Some(owner) = self.scratch_owner() {
            self.use_scratch(owner);
        }
        let done = body(self, &given);
        self.f.switch_to(next);
        self.f.ret(0);
        self.f.switch_to(self.exit);
        self.store_slot(ENDED, 1.into());
        self.f.switch_to(end);
        self.f.ret(1);
        self.emit_cold();
        (
            self.exit,
            self.context,
            self.scratch,
            self.frame,
            self.loops,
            self.cold,
            self.variables.homes,
            self.known,
        ) = saved;
        std::mem::swap(&mut self.f, &mut outer);
        done?;
        Ok(self.unit.add(outer))
    }

    /// Ends the run if the loop's body has ended it.
    fn go_on(&mut self, body: &[Statement]) {
        if may_end(body) {
            let ended = self.load_slot(ENDED);
            let after = self.f.block();
            self.f.branch(Condition::Ne, ended, 0, self.exit, after);
            self.f.switch_to(after);
        }
    }

    fn frame_address(&mut self) -> Var {
        let place = self.frame_place(0);
        self.f.address(place)
    }

    /// `while`, by the helper `loop`.
    pub(super) fn while_callback(
        &mut self,
        condition: &'p Expr,
        body: &'p [Statement],
    ) -> Lowered<()> {
        let function = self.function(2, |lower, _| {
            let Some(around) = lower.loops.last().copied() else { return lower.never() };
            let round = lower.f.block();
            lower.branch(condition, round, around.end)?;
            lower.f.switch_to(round);
            lower.statements(body)
        })?;
        let rounds = self.call_loop(MOST_ROUNDS.into(), function);
        // The last round of one that ends by itself is the one in which the condition does not hold.
        let (cut, after) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Eq, rounds, MOST_ROUNDS, cut, after);
        self.f.switch_to(cut);
        self.count_loss(Globals::CUT_LOOPS);
        self.f.switch_to(after);
        self.go_on(body);
        Ok(())
    }

    /// Calls the helper `loop`; returns the number of rounds that it ran.
    fn call_loop(&mut self, rounds: Operand, function: FunctionId) -> Var {
        let (function, frame) = (self.f.function_address(function), self.frame_address());
        self.call_number(helper::LOOP, &[rounds, function.into(), frame.into(), 0.into()])
    }

    /// `for ($i : start..end)`, by the helper `loop`.
    pub(super) fn range_callback(
        &mut self,
        one: &'p Statement,
        variable: VarId,
        (start, end): (&'p Expr, &'p Expr),
        body: &'p [Statement],
    ) -> Lowered<()> {
        let signed = start.ty.is_signed();
        let ty = &start.ty;
        let slot = self.frame.as_ref().and_then(|frame| frame.starts.get(&std::ptr::from_ref(one)));
        let Some(slot) = slot.copied() else { return self.never() };
        let first = self.number(start)?;
        self.store_slot(slot, first);
        let last = self.number(end)?;
        let function = self.function(2, |lower, given| {
            let index = given.first().copied().unwrap_or(lower.context);
            let index = lower.f.zero_extend(index, Size::Word);
            let start = lower.load_slot(slot);
            let sum = lower.f.add(start, index);
            let value = lower.extend(sum.into(), ty);
            lower.write_variable(variable, value)?;
            lower.statements(body)
        })?;
        let rounds = self.f.sub(last, first);
        let (some, after) = (self.f.block(), self.f.block());
        let condition = if signed { Condition::SignedLt } else { Condition::Lt };
        self.f.branch(condition, first, last, some, after);
        self.f.switch_to(some);
        let (cut, whole) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Gt, rounds, MOST_ROUNDS, cut, whole);
        self.f.switch_to(cut);
        self.count_loss(Globals::CUT_LOOPS);
        self.f.switch_to(whole);
        let rounds = self.clamped(rounds.into(), MOST_ROUNDS);
        self.call_loop(rounds.into(), function);
        self.go_on(body);
        self.f.switch_to(after);
        Ok(())
    }

    /// `for ($kv : @map)`
    pub(super) fn map_callback(
        &mut self,
        variable: VarId,
        map: MapId,
        body: &'p [Statement],
    ) -> Lowered<()> {
        if !self.shared.target.has(Feature::ForEachMapElem) {
            return self.missing("for over a map", "Linux 5.13 and a JIT");
        }
        let map = self.user_map(map)?;
        let probe = self.probe;
        let function = self.function(4, |lower, given| {
            let (Some(key), Some(value)) = (given.get(1), given.get(2)) else {
                return lower.never();
            };
            let (key, value) = (Place::aligned(*key), Place::aligned(*value));
            let Some(variable_of) = probe.variables.get(variable.0 as usize) else {
                return lower.never();
            };
            let (Type::Tuple(types), Some(key_type)) = (&variable_of.ty, &map.map.key) else {
                return lower.never();
            };
            let layout = tuple_layout(types, lower.structs());
            let [at_key, at_value] = layout.offsets[..] else { return lower.never() };
            let key = Prepared::Copy(key, lower.size(key_type));
            let value = lower.element_value(value, &map.map.value);
            let parts = vec![(at_key, key), (at_value, value)];
            let pair = Prepared::Parts { parts, size: layout.size };
            lower.set_object(variable, &pair, false)?;
            lower.statements(body)
        })?;
        let (spec, function) = (self.f.map(&map.spec), self.f.function_address(function));
        let frame = self.frame_address();
        let args = [spec.into(), function.into(), frame.into(), 0.into()];
        self.call_number(helper::FOR_EACH_MAP_ELEM, &args);
        self.go_on(body);
        Ok(())
    }

    /// The value of an element as a loop has it: of an aggregation the number that it stands for.
    fn element_value(&mut self, place: Place, ty: &Type) -> Prepared {
        match ty {
            Type::Count | Type::Sum(_) | Type::Min(_) | Type::Max(_) => Prepared::Copy(place, 8),
            Type::Avg(_) => {
                let average = self.average(place, ty.is_signed());
                Prepared::Scalar(average, Size::Double)
            }
            other => Prepared::Copy(place, self.size(other)),
        }
    }

    /// `len(@map)`: all elements are counted.
    pub(super) fn map_length(&mut self, map: MapId) -> Lowered<Operand> {
        let map = self.user_map(map)?;
        if map.map.key.is_none() {
            return self.unsupported(self.span, "len of a map without keys");
        }
        if !self.shared.target.has(Feature::ForEachMapElem) {
            return self.missing("len of a map", "Linux 5.13 and a JIT");
        }
        self.callbacks += 1;
        let mut counter = Function::new(format!("loop{}", self.callbacks), 4);
        if let Some(count) = counter.parameter(3) {
            let old = counter.load(Size::Double, count.at(0));
            let new = counter.add(old, 1);
            counter.store(Size::Double, count.at(0), new);
        }
        counter.ret(0);
        let counter = self.unit.add(counter);
        let count = self.room(8);
        let zero = self.load_global(Globals::OPAQUE_ZERO);
        self.f.store(Size::Double, count.address, zero);
        let (spec, function) = (self.f.map(&map.spec), self.f.function_address(counter));
        let frame = self.pointer(count);
        let args = [spec.into(), function.into(), frame, 0.into()];
        self.call_number(helper::FOR_EACH_MAP_ELEM, &args);
        let length = self.f.load(Size::Double, count.address);
        self.f.number(length);
        Ok(length.into())
    }
}

/// Whether statements may end the run.
fn may_end(body: &[Statement]) -> bool {
    let mut found = false;
    visit::statements(body, &mut |node| {
        if let Node::Statement(one) = node {
            found |=
                matches!(one.kind, StatementKind::Return(_) | StatementKind::Async(Async::Exit(_)));
        }
    });
    found
}

/// Finds the variables that are used in more than one function.
struct Users<'f> {
    is_callback: &'f dyn Fn(&Statement) -> bool,
    bodies: u32,
    current: u32,
    /// The function in which each variable was seen first.
    seen: Vec<Option<u32>>,
    plan: Plan,
}

impl Users<'_> {
    fn used(&mut self, id: VarId) {
        match self.seen.get_mut(id.0 as usize) {
            Some(seen @ None) => *seen = Some(self.current),
            Some(Some(seen)) if *seen != self.current && !self.plan.captured.contains(&id) => {
                self.plan.captured.push(id);
            }
            _ => {}
        }
    }

    fn expression(&mut self, of: &Expr) {
        // Blocks in expressions are visited as all statements are.
        match &of.kind {
            ExprKind::Block(statements, value) => {
                self.list(statements);
                self.expression(value);
            }
            ExprKind::Variable(id) => self.used(*id),
            ExprKind::StepVariable { variable, .. } => self.used(*variable),
            _ => visit::children(of).into_iter().for_each(|child| self.expression(child)),
        }
    }

    fn list(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|one| self.statement(one));
    }

    fn body(&mut self, one: &Statement, variable: Option<VarId>, body: &[Statement]) {
        let outer = self.current;
        if (self.is_callback)(one) {
            self.plan.starts.push(std::ptr::from_ref(one));
            self.bodies += 1;
            self.current = self.bodies;
        }
        if let StatementKind::While { condition, .. } = &one.kind {
            self.expression(condition);
        }
        variable.into_iter().for_each(|id| self.used(id));
        self.list(body);
        self.current = outer;
    }

    fn statement(&mut self, one: &Statement) {
        match &one.kind {
            StatementKind::Declare(id) => self.used(*id),
            StatementKind::SetVariable(id, value) => {
                self.expression(value);
                self.used(*id);
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.expression(condition);
                    self.list(body);
                }
                self.list(otherwise);
            }
            StatementKind::While { body, .. } => self.body(one, None, body),
            StatementKind::ForRange { variable, start, end, body } => {
                self.expression(start);
                self.expression(end);
                self.body(one, Some(*variable), body);
            }
            StatementKind::ForMap { variable, body, .. } => self.body(one, Some(*variable), body),
            StatementKind::Unroll { body, .. } | StatementKind::Block(body) => self.list(body),
            _ => visit::values(one).into_iter().for_each(|value| self.expression(value)),
        }
    }
}
