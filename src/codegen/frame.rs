//! The stack frame: where objects and spilled variables lie in it, those that are not alive at the same time in one place.

use super::ir::{Arg, Base, Inst, Object, ObjectData, Src, Target, Var};
use super::liveness::{Access, Flow, Mention, Ranges, Segment, live_ranges};
use super::mir::{Mir, MirEnd};
use std::collections::BTreeMap;

/// The unit of memory allocation, in bytes.
pub(super) const GRANULE: u32 = 8;

/// Memory and its users over time: for each granule, the start of a segment and its end.
#[derive(Debug, Default)]
pub(super) struct Memory {
    granules: Vec<BTreeMap<u32, u32>>,
}

impl Memory {
    /// Bytes that are given out.
    pub(super) fn size(&self) -> u32 {
        self.granules.len() as u32 * GRANULE
    }

    fn is_free(&self, granule: usize, segments: &[Segment]) -> bool {
        let Some(held) = self.granules.get(granule) else { return true };
        segments
            .iter()
            .all(|(start, end)| held.range(..*end).next_back().is_none_or(|(_, to)| to <= start))
    }

    /// Allocates that many bytes for these segments, if there is room below the limit. Returns the first byte.
    pub(super) fn place(&mut self, bytes: u32, segments: &[Segment], limit: u32) -> Option<u32> {
        let count = bytes.div_ceil(GRANULE) as usize;
        let most = (limit / GRANULE) as usize;
        let mut first = 0;
        while first + count <= most {
            // The last one that is taken, since everything up to it is then of no use.
            match (first..first + count).rev().find(|granule| !self.is_free(*granule, segments)) {
                Some(taken) => first = taken + 1,
                None => break,
            }
        }
        if first + count > most {
            return None;
        }
        if self.granules.len() < first + count {
            self.granules.resize_with(first + count, BTreeMap::new);
        }
        for held in self.granules.iter_mut().skip(first).take(count) {
            held.extend(segments.iter().copied());
        }
        Some(first as u32 * GRANULE)
    }
}

/// Marks a variable or slot that points into no object; `SEVERAL`, into more than one.
const NO_OBJECT: u32 = u32::MAX;
const SEVERAL: u32 = u32::MAX - 1;

/// The pointers into objects.
struct Pointers {
    /// The object that each variable, then each slot, points into.
    holds: Vec<u32>,
    vars: u32,
    /// Objects whose address escaped.
    pinned: Vec<bool>,
    changed: bool,
}

impl Pointers {
    fn of(mir: &Mir<'_>, slots: u32) -> Pointers {
        let mut pointers = Pointers {
            holds: vec![NO_OBJECT; (mir.vars + slots) as usize],
            vars: mir.vars,
            pinned: vec![false; mir.objects.len()],
            changed: true,
        };
        while std::mem::take(&mut pointers.changed) {
            for (inst, _) in mir.blocks.iter().flat_map(|block| &block.insts) {
                pointers.inst(inst);
            }
        }
        pointers
    }

    fn held(&self, var: Var) -> u32 {
        self.holds.get(var.0 as usize).copied().unwrap_or(NO_OBJECT)
    }

    fn held_slot(&self, slot: u32) -> u32 {
        self.held(Var(self.vars + slot))
    }

    fn pin(&mut self, object: u32) {
        if let Some(pinned) = self.pinned.get_mut(object as usize) {
            *pinned = true;
        }
    }

    /// The object flows into the variable.
    fn flow(&mut self, to: Var, object: u32) {
        let held = self.held(to);
        if object == NO_OBJECT || object == held {
            return;
        }
        if held == SEVERAL {
            return self.pin(object);
        }
        if held != NO_OBJECT {
            self.pin(held);
            self.pin(object);
        }
        if let Some(entry) = self.holds.get_mut(to.0 as usize) {
            *entry = if held == NO_OBJECT { object } else { SEVERAL };
            self.changed = true;
        }
    }

    fn inst(&mut self, inst: &Inst<'_>) {
        match inst {
            Inst::Address { dst, object, .. } => self.flow(*dst, object.0),
            Inst::Mov { dst, src, .. } => self.flow(*dst, self.held(*src)),
            Inst::Alu { dst, a, b, .. } => {
                self.flow(*dst, self.held(*a));
                if let Src::Var(b) = b {
                    self.flow(*dst, self.held(*b));
                }
            }
            Inst::Fill { dst, slot } => self.flow(*dst, self.held_slot(*slot)),
            Inst::Spill { slot, src } => self.flow(Var(self.vars + slot), self.held(*src)),
            Inst::Store { src: Src::Var(src), .. }
            | Inst::SpillFar { src, .. }
            | Inst::Atomic { src, .. }
            | Inst::Fetch { src, .. }
            | Inst::CompareExchange { new: src, .. } => self.pin(self.held(*src)),
            Inst::Call { target, args, dst } if !matches!(target, Target::Helper(_)) => {
                // A called function may return one pointer, or store it behind another.
                let mut objects: Vec<u32> = args
                    .as_slice()
                    .iter()
                    .map(|arg| match arg {
                        Arg::Var(var) => self.held(*var),
                        Arg::Slot(slot) => self.held_slot(*slot),
                        Arg::Address(object, _) => object.0,
                        Arg::Imm(_) | Arg::Symbol(_) => NO_OBJECT,
                    })
                    .filter(|object| *object != NO_OBJECT)
                    .collect();
                objects.dedup();
                match (objects.as_slice(), dst) {
                    ([object], Some(dst)) => self.flow(*dst, *object),
                    ([] | [_], _) => {}
                    (several, _) => several.iter().for_each(|object| self.pin(*object)),
                }
            }
            _ => {}
        }
    }
}

/// The ranges in which objects are alive, and behind them those of spill slots.
pub(super) fn memory_ranges(mir: &Mir<'_>, flow: &Flow, slots: u32) -> (Ranges, Vec<bool>) {
    let pointers = Pointers::of(mir, slots);
    let objects = mir.objects.len() as u32;
    let mut mentions: Vec<Mention> = Vec::new();
    let mut at = 0;
    for block in &mir.blocks {
        for (inst, _) in &block.insts {
            let mut read = |item: u32| {
                if item < objects + slots {
                    mentions.push(Mention { item, at, access: Access::ReadLate });
                }
            };
            inst.for_objects(|object| read(object.0));
            inst.for_uses(|var, _| read(pointers.held(var)));
            match inst {
                Inst::Fill { slot, .. } => read(objects + slot),
                Inst::Call { args, .. } => {
                    for arg in args.as_slice() {
                        if let Arg::Slot(slot) = arg {
                            read(pointers.held_slot(*slot));
                            read(objects + slot);
                        }
                    }
                }
                _ => {}
            }
            let written = match inst {
                Inst::Spill { slot, .. } => Some(objects + slot),
                Inst::Start(Object(object)) => Some(*object),
                _ => None,
            };
            if let Some(item) = written {
                mentions.push(Mention { item, at, access: Access::Write });
            }
            at += 1;
        }
        block.end.0.for_uses(|var| {
            let item = pointers.held(var);
            if item < objects {
                mentions.push(Mention { item, at, access: Access::ReadLate });
            }
        });
        if let MirEnd::Return(Arg::Slot(slot)) = block.end.0 {
            let item = objects + slot;
            mentions.push(Mention { item, at, access: Access::ReadLate });
        }
        at += 1;
    }
    (live_ranges(flow, objects + slots, &mentions), pointers.pinned)
}

/// The live range of an object whose address escaped.
const ALWAYS: [Segment; 1] = [(0, u32::MAX)];

/// A frame: where everything is, as bytes below the frame pointer.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub objects: Vec<Option<u32>>,
    pub slots: Vec<u32>,
    pub size: u32,
}

/// Lays the frame out. Objects that may be moved elsewhere and do not fit below the limit get no place.
pub(super) fn layout(
    mir: &Mir<'_>,
    flow: &Flow,
    slots: u32,
    limit: u32,
    movable: impl Fn(Object) -> bool,
) -> Frame {
    let (ranges, pinned) = memory_ranges(mir, flow, slots);
    let count = mir.objects.len() as u32;
    let segments = |object: u32| -> &[Segment] {
        let own = ranges.of(object);
        if pinned.get(object as usize) == Some(&true) && !own.is_empty() { &ALWAYS } else { own }
    };
    let sizes =
        |object: u32| mir.objects.get(object as usize).map_or(0, |data: &ObjectData| data.size);
    let mut order: Vec<u32> = (0..count).filter(|object| !segments(*object).is_empty()).collect();

    // The large ones first: that takes least room, if there is enough.
    order.sort_by_key(|object| std::cmp::Reverse(sizes(*object)));
    let first = fill(&order, &segments, &sizes, &ranges, slots, count, |_| u32::MAX);
    if first.size <= limit {
        return first;
    }
    // There is not: then the large ones are those that are moved.
    order.sort_by_key(|object| (movable(Object(*object)), sizes(*object)));
    let limits = |object: u32| if movable(Object(object)) { limit } else { u32::MAX };
    fill(&order, &segments, &sizes, &ranges, slots, count, limits)
}

fn fill<'r>(
    order: &[u32],
    segments: &impl Fn(u32) -> &'r [Segment],
    sizes: &impl Fn(u32) -> u32,
    ranges: &Ranges,
    slots: u32,
    objects: u32,
    limit: impl Fn(u32) -> u32,
) -> Frame {
    let mut memory = Memory::default();
    let mut frame = Frame { objects: vec![None; objects as usize], ..Frame::default() };
    for slot in 0..slots {
        let place = memory.place(GRANULE, ranges.of(objects + slot), u32::MAX);
        frame.slots.push(place.unwrap_or_default());
    }
    for object in order {
        let place = memory.place(sizes(*object), segments(*object), limit(*object));
        if let Some(to) = frame.objects.get_mut(*object as usize) {
            *to = place;
        }
    }
    frame.size = memory.size();
    frame
}

/// Moves objects to scratch memory: accesses to them become accesses by the variable that points there.
pub(super) fn move_objects(mir: &mut Mir<'_>, scratch: Var, places: &[Option<u32>]) {
    use crate::insn::{AluOp, Bits};
    let place = |object: Object| {
        places.get(object.0 as usize).copied().flatten().and_then(|place| i32::try_from(place).ok())
    };
    let mut vars = mir.vars;
    for block in &mut mir.blocks {
        let mut out = Vec::with_capacity(block.insts.len());
        for (mut inst, span) in block.insts.drain(..) {
            let mut add = |dst: Option<Var>, offset: i32, out: &mut Vec<_>| {
                let dst = dst.unwrap_or_else(|| {
                    vars += 1;
                    Var(vars - 1)
                });
                let (bits, op, signed) = (Bits::B64, AluOp::Add, false);
                let b = Src::Imm(offset);
                out.push((Inst::Alu { bits, op, signed, dst, a: scratch, b }, span));
                dst
            };
            match &mut inst {
                Inst::Address { dst, object, offset } => {
                    if let Some(place) = place(*object) {
                        add(Some(*dst), place.saturating_add(*offset), &mut out);
                        continue;
                    }
                }
                Inst::Start(object) | Inst::Keep(object) if place(*object).is_some() => continue,
                Inst::Load { base, offset, .. }
                | Inst::Store { base, offset, .. }
                | Inst::Atomic { base, offset, .. }
                | Inst::Fetch { base, offset, .. }
                | Inst::CompareExchange { base, offset, .. } => {
                    if let Base::Object(object) = *base
                        && let Some(place) = place(object)
                    {
                        let at = place.saturating_add(*offset);
                        (*base, *offset) = match i16::try_from(at) {
                            Ok(_) => (Base::Var(scratch), at),
                            Err(_) => (Base::Var(add(None, at, &mut out)), 0),
                        };
                    }
                }
                Inst::Call { args, .. } => {
                    for arg in args.as_mut_slice() {
                        if let Arg::Address(object, offset) = *arg
                            && let Some(place) = place(object)
                        {
                            *arg = Arg::Var(add(None, place.saturating_add(offset), &mut out));
                        }
                    }
                }
                _ => {}
            }
            out.push((inst, span));
        }
        if let MirEnd::Return(Arg::Address(object, offset)) = block.end.0
            && let Some(place) = place(object)
        {
            let (dst, bits, op) = (Var(vars), Bits::B64, AluOp::Add);
            vars += 1;
            let b = Src::Imm(place.saturating_add(offset));
            out.push((Inst::Alu { bits, op, signed: false, dst, a: scratch, b }, block.end.1));
            block.end.0 = MirEnd::Return(Arg::Var(dst));
        }
        block.insts = out;
    }
    mir.vars = vars;
}
