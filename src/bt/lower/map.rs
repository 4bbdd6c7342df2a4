//! Maps of the script: reading, storing, deleting.

use super::memory::{Place, Prepared, int_size};
use super::{Lower, Lowered, helper};
use crate::bt::ast::BinaryOp;
use crate::bt::hir::{Expr, ExprKind, MapId};
use crate::bt::plan::{Feature, Globals, Storage, UserMap};
use crate::bt::types::Type;
use crate::codegen::{AtomicBinary, Binary, Block, Operand, Var};
use crate::insn::{AtomicSize, Condition, Size};

/// In place of the low bits of an update's result: there was no update.
const NOT_TRIED: u32 = Globals::RESULTS;

/// An element of a map as a statement finds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    /// The address of its value.
    pub place: Place,
    /// The offset of the word that says that there is a value.
    pub present: Option<u32>,
    /// Whether nothing else changes it while the program runs: it is this CPU's, and no program interrupts another.
    pub own: bool,
}

impl<'p> Lower<'_, 'p, '_> {
    pub(super) fn user_map(&self, map: MapId) -> Lowered<&'p UserMap<'p>> {
        let maps = self.shared.maps;
        match maps.user(map) {
            Some(map) => Ok(map),
            None => self.never(),
        }
    }

    /// A pointer to a key in memory; of a single value, that of its one element.
    pub(super) fn key(&mut self, map: &UserMap<'p>, key: Option<&'p Expr>) -> Lowered<Operand> {
        let place = self.key_place(map, key)?;
        Ok(self.pointer(place))
    }

    /// The place of a key in memory, which nothing changes from here on unless it is a variable.
    fn key_place(&mut self, map: &UserMap<'p>, key: Option<&'p Expr>) -> Lowered<Place> {
        let Some(key) = key else {
            let (bytes, size) = match map.storage {
                Storage::Single { .. } => (4, Size::Word),
                Storage::SingleHash | Storage::Hash => (8, Size::Double),
            };
            if let Some(place) = self.known_zeros(bytes) {
                return Ok(place);
            }
            let place = Place::aligned(self.f.object(bytes, bytes));
            self.f.store(size, place.address, 0);
            self.note_zeros(bytes, place);
            return Ok(place);
        };
        if let Some(place) = self.known_key(key) {
            return Ok(place);
        }
        let place = self.object_of(key)?;
        self.note_key(key, place);
        Ok(place)
    }

    /// A value in memory, also of a scalar.
    fn object_of(&mut self, value: &'p Expr) -> Lowered<Place> {
        let value = self.prepare(value)?;
        Ok(self.in_memory(&value))
    }

    /// Looks an element up: a pointer to its value, or 0.
    pub(super) fn lookup(&mut self, map: &'p UserMap<'p>, key: Operand) -> Var {
        let spec = self.f.map(&map.spec);
        self.call(helper::MAP_LOOKUP, &[spec.into(), key])
    }

    /// The address of a single value that all CPUs share, which needs no lookup.
    fn shared_single(&mut self, map: &'p UserMap<'p>) -> Option<(Var, u32)> {
        match map.storage {
            Storage::Single { present } if !map.per_cpu => {
                Some((self.f.map_value(&map.spec, 0), present))
            }
            _ => None,
        }
    }

    /// Emits code for an element if there is one.
    pub(super) fn if_element(
        &mut self,
        map: MapId,
        key: Option<&'p Expr>,
        then: impl FnOnce(&mut Self, Place) -> Lowered<()>,
    ) -> Lowered<()> {
        let map = self.user_map(map)?;
        if let Some((address, _)) = self.shared_single(map) {
            return then(self, Place::aligned(address));
        }
        let key = self.key(map, key)?;
        self.if_found(map, key, then)
    }

    fn if_found(
        &mut self,
        map: &'p UserMap<'p>,
        key: Operand,
        then: impl FnOnce(&mut Self, Place) -> Lowered<()>,
    ) -> Lowered<()> {
        let found = self.lookup(map, key);
        let (some, after) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Ne, found, 0, some, after);
        self.f.switch_to(some);
        then(self, Place::aligned(found))?;
        self.f.switch_to(after);
        Ok(())
    }

    /// `@m[key]` of a scalar type.
    pub(super) fn read_map(
        &mut self,
        id: MapId,
        key: Option<&'p Expr>,
        ty: &Type,
    ) -> Lowered<Operand> {
        let map = self.user_map(id)?;
        let size = int_size(self.size(ty));
        if let Some((address, _)) = self.shared_single(map) {
            let value = self.load_sized(Place::aligned(address), size, ty);
            self.f.number(value);
            return Ok(value.into());
        }
        let key = self.key_place(map, key)?;
        if let Some(value) = self.known_element(id, key) {
            return Ok(value);
        }
        let began = self.on_line();
        let value = self.f.var();
        self.f.number(value);
        self.f.assign(value, 0);
        let pointer = self.pointer(key);
        self.if_found(map, pointer, |lower, place| {
            let loaded = lower.load_sized(place, size, ty);
            lower.f.number(loaded);
            lower.f.assign(value, loaded);
            Ok(())
        })?;
        self.rejoin(began);
        self.note_element(id, key, value.into());
        Ok(value.into())
    }

    /// Goes on with `then` if `@m[key]`, of a scalar type, is not 0, else with `other`. If `guards`, nothing else leads to `then`.
    pub(super) fn branch_map(
        &mut self,
        of: &'p Expr,
        guards: bool,
        then: Block,
        other: Block,
    ) -> Lowered<bool> {
        let ExprKind::Map { map: id, key } = &of.kind else { return Ok(false) };
        let map = self.user_map(*id)?;
        if self.shared_single(map).is_some() {
            return Ok(false);
        }
        let place = self.key_place(map, key.as_deref())?;
        self.fork();
        if let Some(value) = self.known_element(*id, place) {
            self.f.branch_if(value, then, other);
            return Ok(true);
        }
        let (began, pointer) = (self.on_line(), self.pointer(place));
        let found = self.lookup(map, pointer);
        let some = self.f.block();
        self.f.branch(Condition::Ne, found, 0, some, other);
        self.f.switch_to(some);
        let size = int_size(self.size(&of.ty));
        let value = self.load_sized(Place::aligned(found), size, &of.ty);
        self.f.number(value);
        if guards {
            self.rejoin(began);
            self.note_element(*id, place, value.into());
        }
        self.f.branch_if(value, then, other);
        Ok(true)
    }

    /// `@m[key]` of another type: where it lies, or zeros.
    pub(super) fn map_object(&mut self, map: MapId, key: Option<&'p Expr>) -> Lowered<Place> {
        let map = self.user_map(map)?;
        if let Some((address, _)) = self.shared_single(map) {
            return Ok(Place::aligned(address));
        }
        let key = self.key(map, key)?;
        let found = self.lookup(map, key);
        let pointer = self.f.var();
        self.f.assign(pointer, found);
        let (none, after) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Ne, pointer, 0, after, none);
        self.f.switch_to(none);
        let (zeros, _) = self.zeros();
        self.f.assign(pointer, zeros);
        self.f.switch_to(after);
        Ok(Place::aligned(pointer))
    }

    /// `@m[key] = value`
    pub(super) fn set_map(
        &mut self,
        id: MapId,
        key: Option<&'p Expr>,
        value: &'p Expr,
    ) -> Lowered<()> {
        let map = self.user_map(id)?;
        // The value may read it before.
        let done = self.store_map(id, map, key, value);
        self.forget_map(id);
        done
    }

    fn store_map(
        &mut self,
        id: MapId,
        map: &'p UserMap<'p>,
        key: Option<&'p Expr>,
        value: &'p Expr,
    ) -> Lowered<()> {
        if let Storage::Single { present } = map.storage {
            let prepared = self.prepare(value)?;
            let place = match self.shared_single(map) {
                Some((address, _)) => {
                    let place = Place::aligned(address);
                    self.store_single(&prepared, place, present, reads(value, id));
                    return Ok(());
                }
                None => self.key(map, None)?,
            };
            let found = self.lookup(map, place);
            let (some, after) = (self.f.block(), self.f.block());
            self.f.branch(Condition::Ne, found, 0, some, after);
            self.f.switch_to(some);
            self.store_single(&prepared, Place::aligned(found), present, reads(value, id));
            self.f.switch_to(after);
            return Ok(());
        }
        let key = self.key(map, key)?;
        let value = self.object_of(value)?;
        let value = self.pointer(value);
        self.update(id, map, key, value);
        Ok(())
    }

    fn store_single(&mut self, value: &Prepared, to: Place, present: u32, reads: bool) {
        // A value that is made of the old one is made elsewhere first.
        match reads && !matches!(value, Prepared::Scalar(..)) {
            true => {
                let room = self.room(value.size());
                self.put(value, room, true);
                self.copy(room, to, value.size());
            }
            false => self.put(value, to, true),
        }
        self.f.store(Size::Double, to.at(present).address, 1);
    }

    /// Stores an element by the helper and counts a failure.
    pub(super) fn update(&mut self, id: MapId, map: &'p UserMap<'p>, key: Operand, value: Operand) {
        let spec = self.f.map(&map.spec);
        let result = self.call_number(helper::MAP_UPDATE, &[spec.into(), key, value, 0.into()]);
        let after = self.f.block();
        let lost = self.cold(move |lower| {
            lower.count_failure(id, result);
            lower.f.jump(after);
        });
        self.f.branch32(Condition::Eq, result, 0, after, lost);
        self.f.switch_to(after);
    }

    /// Counts an update of a map by its result, a negative error number. A result of 0 or `EEXIST` is counted too, and not reported:
    /// the element was there, and another CPU has deleted it since, or a map that drops its oldest elements has.
    fn count_failure(&mut self, id: MapId, result: Var) {
        let index = self.update_result(result);
        self.count_result(id, index);
    }

    /// The low bits of the result of an update.
    fn update_result(&mut self, result: Var) -> Var {
        // The verifier replaces the call by one of the map's own function, whose result is an `int` before Linux 6.4: only
        // the low half is set.
        self.f.binary32(Binary::And, result, Globals::RESULTS - 1)
    }

    fn count_result(&mut self, id: MapId, index: Var) {
        let distance = self.f.binary(Binary::Lsh, index, 3);
        let counters = self.global(self.shared.maps.layout.results(id));
        let address = self.f.add(counters, distance);
        self.f.atomic(AtomicSize::Double, AtomicBinary::Add, address, 1);
    }

    /// Runs something with an element, which begins as zeros if there is none. Without room for it, it is counted.
    pub(super) fn with_element(
        &mut self,
        id: MapId,
        key: Option<&'p Expr>,
        then: impl FnOnce(&mut Self, Element) -> Lowered<()>,
    ) -> Lowered<()> {
        let map = self.user_map(id)?;
        let own = map.per_cpu && !map.nested;
        let present = match map.storage {
            Storage::Single { present } => Some(present),
            Storage::SingleHash | Storage::Hash => None,
        };
        if let Some((address, present)) = self.shared_single(map) {
            self.forget_map(id);
            let place = Place::aligned(address);
            return then(self, Element { place, present: Some(present), own });
        }
        let key = self.key(map, key)?;
        // The key may have read it.
        self.forget_map(id);
        let (again, some, after) = (self.f.block(), self.f.block(), self.f.block());
        // The result of the update, once there was one: the verifier sees that there is no other.
        let result = self.f.var();
        self.f.number(result);
        if present.is_none() {
            self.f.assign(result, NOT_TRIED);
            self.f.switch_to(again);
        }
        let pointer = self.lookup(map, key);
        let missing = match present {
            // There always is one.
            Some(_) => after,
            None => self.cold(move |lower| {
                let (update, absent) = (lower.f.block(), lower.f.block());
                lower.f.branch(Condition::Lt, result, NOT_TRIED, absent, update);
                lower.f.switch_to(update);
                let (zeros, _) = lower.zeros();
                let spec = lower.f.map(&map.spec);
                let args = [spec.into(), key, zeros.into(), helper::NO_EXIST.into()];
                let number = lower.call_number(helper::MAP_UPDATE, &args);
                let number = lower.update_result(number);
                lower.f.assign(result, number);
                // Now it is there, of whomever.
                lower.f.jump(again);
                lower.f.switch_to(absent);
                lower.count_result(id, result);
                lower.f.jump(after);
            }),
        };
        self.f.branch(Condition::Ne, pointer, 0, some, missing);
        self.f.switch_to(some);
        then(self, Element { place: Place::aligned(pointer), present, own })?;
        self.f.switch_to(after);
        Ok(())
    }

    /// Takes note that a single value is there.
    pub(super) fn set_present(&mut self, element: Element) {
        if let Some(present) = element.present {
            self.f.store(Size::Double, element.place.at(present).address, 1);
        }
    }

    /// Adds to a number of an element.
    pub(super) fn add_to(&mut self, element: Element, offset: u32, value: Operand) {
        let place = element.place.at(offset).address;
        if element.own {
            let old = self.f.load(Size::Double, place);
            self.f.number(old);
            let new = self.f.add(old, value);
            self.f.store(Size::Double, place, new);
        } else {
            self.f.atomic(AtomicSize::Double, AtomicBinary::Add, place, value);
        }
    }

    /// `@m[key] += value`, `@m[key]++` without use of its value.
    pub(super) fn add_to_map(
        &mut self,
        map: MapId,
        key: Option<&'p Expr>,
        value: Operand,
    ) -> Lowered<()> {
        self.with_element(map, key, |lower, element| {
            lower.add_to(element, 0, value);
            lower.set_present(element);
            Ok(())
        })
    }

    /// `@m[key] op= value`
    pub(super) fn update_map(
        &mut self,
        map: MapId,
        key: Option<&'p Expr>,
        op: BinaryOp,
        signed: bool,
        value: &'p Expr,
    ) -> Lowered<()> {
        let value = self.number(value)?;
        match op {
            BinaryOp::Add => return self.add_to_map(map, key, value),
            BinaryOp::Sub => {
                let negative = self.f.neg(value);
                return self.add_to_map(map, key, negative.into());
            }
            _ => {}
        }
        self.with_element(map, key, |lower, element| {
            let place = element.place.address;
            let old = lower.f.load(Size::Double, place);
            lower.f.number(old);
            let new = lower.arithmetic(op, signed, old.into(), value);
            lower.f.store(Size::Double, place, new);
            lower.set_present(element);
            Ok(())
        })
    }

    /// `@m[key]++` as a value.
    pub(super) fn step_map(
        &mut self,
        map: MapId,
        key: Option<&'p Expr>,
        by: i64,
        prefix: bool,
    ) -> Lowered<Operand> {
        let value = self.f.var();
        self.f.number(value);
        self.f.assign(value, 0);
        let atomics = self.shared.target.has(Feature::Atomics);
        self.with_element(map, key, |lower, element| {
            let place = element.place.address;
            let old = match atomics && !element.own {
                true => lower.f.atomic_fetch(AtomicSize::Double, AtomicBinary::Add, place, by),
                false => {
                    let old = lower.f.load(Size::Double, place);
                    lower.add_to(element, 0, by.into());
                    old
                }
            };
            lower.f.number(old);
            match prefix {
                true => {
                    let new = lower.f.add(old, by);
                    lower.f.assign(value, new);
                }
                false => lower.f.assign(value, old),
            }
            lower.set_present(element);
            Ok(())
        })?;
        Ok(value.into())
    }

    /// `has_key(@m, key)`
    pub(super) fn has_key(&mut self, map: MapId, key: &'p Expr) -> Lowered<Operand> {
        let map = self.user_map(map)?;
        let key = self.key(map, Some(key))?;
        let found = self.lookup(map, key);
        Ok(self.whether(Condition::Ne, found))
    }

    /// Returns 1 if a pointer or a result compares to 0 like that, else 0, by a branch: the verifier compares pointers
    /// only so.
    fn whether(&mut self, condition: Condition, value: Var) -> Operand {
        let zero = self.load_global(Globals::OPAQUE_ZERO);
        let result = self.f.var();
        self.f.number(result);
        self.f.assign(result, zero);
        let (yes, after) = (self.f.block(), self.f.block());
        self.f.branch(condition, value, 0, yes, after);
        self.f.switch_to(yes);
        let one = self.f.add(zero, 1);
        self.f.assign(result, one);
        self.f.switch_to(after);
        result.into()
    }

    /// `delete(@m, key)`: 1 if there was such an element.
    pub(super) fn delete(&mut self, id: MapId, key: Option<&'p Expr>) -> Lowered<Operand> {
        let map = self.user_map(id)?;
        let Storage::Single { present } = map.storage else {
            let key = self.key(map, key)?;
            self.forget_map(id);
            let spec = self.f.map(&map.spec);
            let result = self.call_number(helper::MAP_DELETE, &[spec.into(), key]);
            return Ok(self.f.compare32(Condition::Eq, result, 0).into());
        };
        self.forget_map(id);
        let size = self.size(&map.map.value);
        let was = self.f.var();
        self.f.number(was);
        self.f.assign(was, 0);
        let place = match self.shared_single(map) {
            Some((address, _)) => Place::aligned(address),
            None => {
                // Only what probes declare as one value per CPU is here: it is this CPU's that goes.
                let key = self.key(map, None)?;
                let found = self.lookup(map, key);
                let (some, after) = (self.f.block(), self.f.block());
                self.f.branch(Condition::Ne, found, 0, some, after);
                self.f.switch_to(some);
                let place = Place::aligned(found);
                self.forget(place, present, size, was);
                self.f.switch_to(after);
                return Ok(was.into());
            }
        };
        self.forget(place, present, size, was);
        Ok(was.into())
    }

    fn forget(&mut self, place: Place, present: u32, size: u32, was: Var) {
        let old = self.f.load(Size::Double, place.at(present).address);
        self.f.number(old);
        self.f.assign(was, old);
        self.zero(place, size);
        self.f.store(Size::Double, place.at(present).address, 0);
    }
}

/// Whether an expression reads a map.
fn reads(of: &Expr, map: MapId) -> bool {
    let mut found = false;
    crate::bt::visit::expression(of, &mut |node| {
        if let crate::bt::visit::Node::Expr(expr) = node {
            found |= matches!(expr.kind, ExprKind::Map { map: read, .. } if read == map);
        }
    });
    found
}
