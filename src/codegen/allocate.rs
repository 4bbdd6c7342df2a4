//! Register allocation: a linear scan over live ranges with gaps.

use super::ir::{Arg, Inst, Src, Var};
use super::liveness::{
    Access, Flow, Mention, OVER, READ, Ranges, STEP, Segment, WRITE, live_ranges,
};
use super::mir::{Mir, MirEnd};
use crate::insn::{Bits, Reg};
use std::collections::BTreeMap;

/// The degree to which a variable's live range has been split because there was no register for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// The whole variable.
    Whole,
    /// A piece of one, between two calls of a block.
    Piece,
    /// The operand or result of one instruction: it has to get a register.
    Moment,
}

/// The register of each variable, or the variables that have to be spilled.
pub(super) enum Outcome {
    Registers(Vec<Option<Reg>>),
    Spill { vars: Vec<bool>, ranges: Ranges, flow: Flow },
}

const CALLER_SAVED: [Reg; 6] = [Reg::R0, Reg::R5, Reg::R4, Reg::R3, Reg::R2, Reg::R1];
const CALLEE_SAVED: [Reg; 4] = [Reg::R6, Reg::R7, Reg::R8, Reg::R9];
const REGISTERS: usize = 10;

/// No variable.
const NONE: u32 = u32::MAX;

pub(super) fn flow(mir: &Mir<'_>) -> Flow {
    Flow::new(mir.blocks.iter().map(|block| block.insts.len() + 1), mir.predecessors())
}

/// The ranges of the variables.
pub(super) fn ranges(mir: &Mir<'_>, flow: &Flow) -> Ranges {
    let mut mentions = Vec::new();
    let mut at = 0;
    for block in &mir.blocks {
        for (inst, _) in &block.insts {
            let def = inst.def();
            inst.for_uses(|var, late| {
                // A range that is read and written is not a gap, but for the registers that a call clobbers.
                let late = late || def == Some(var) && !loses_registers(inst);
                let access = if late { Access::ReadLate } else { Access::Read };
                mentions.push(Mention { item: var.0, at, access });
            });
            if let Some(var) = def {
                mentions.push(Mention { item: var.0, at, access: Access::Write });
            }
            at += 1;
        }
        block.end.0.for_uses(|var| {
            mentions.push(Mention { item: var.0, at, access: Access::Read });
        });
        at += 1;
    }
    live_ranges(flow, mir.vars, &mentions)
}

fn loses_registers(inst: &Inst<'_>) -> bool {
    matches!(inst, Inst::Call { .. } | Inst::CompareExchange { .. })
}

/// The register constraints of instructions.
#[derive(Default)]
struct Fixed {
    /// Positions at which r0 to r5 are clobbered.
    calls: Vec<u32>,
    /// Positions at which r0 is clobbered.
    exchanges: Vec<u32>,
    /// The end of the parameters' time in their registers, by register.
    parameters: [u32; REGISTERS],
}

impl Fixed {
    fn of(mir: &Mir<'_>) -> Fixed {
        let mut fixed = Fixed::default();
        let mut at = 0;
        for block in &mir.blocks {
            for (inst, _) in &block.insts {
                match inst {
                    Inst::Call { .. } => fixed.calls.push(at + READ),
                    Inst::CompareExchange { .. } => fixed.exchanges.push(at + READ),
                    Inst::Parameter { index, .. } => {
                        if let Some(end) = fixed.parameters.get_mut(usize::from(*index) + 1) {
                            *end = at + READ;
                        }
                    }
                    _ => {}
                }
                at += STEP;
            }
            at += STEP;
        }
        fixed
    }

    fn crosses(positions: &[u32], segments: &[Segment]) -> bool {
        segments.iter().any(|(start, end)| {
            let next = positions.partition_point(|position| position < start);
            positions.get(next).is_some_and(|position| position < end)
        })
    }

    /// Whether the register is wanted otherwise, calls aside.
    fn is_taken(&self, reg: Reg, segments: &[Segment]) -> bool {
        let parameter = self.parameters.get(reg as usize).copied().unwrap_or(0);
        segments.first().is_some_and(|(start, _)| *start < parameter)
            || reg == Reg::R0 && Fixed::crosses(&self.exchanges, segments)
    }
}

/// Register hints: preferred registers of variables, and variables that prefer to share one.
struct Hints {
    registers: Vec<Option<Reg>>,
    friends: Vec<[u32; 2]>,
}

impl Hints {
    fn of(mir: &Mir<'_>) -> Hints {
        let count = mir.vars as usize;
        let mut hints = Hints { registers: vec![None; count], friends: vec![[NONE; 2]; count] };
        // Backwards, so that an argument computed in several steps is computed in its register from the first.
        for block in mir.blocks.iter().rev() {
            match block.end.0 {
                MirEnd::Return(Arg::Var(var)) => hints.want(var, Some(Reg::R0), true),
                MirEnd::Return(_) | MirEnd::Jump(_) | MirEnd::Branch { .. } => {}
            }
            for (inst, _) in block.insts.iter().rev() {
                hints.inst(inst);
            }
        }
        hints
    }

    fn inst(&mut self, inst: &Inst<'_>) {
        match inst {
            Inst::Call { args, dst, .. } => {
                if let Some(dst) = dst {
                    self.want(*dst, Some(Reg::R0), false);
                }
                for (arg, number) in args.as_slice().iter().zip(1..) {
                    if let Arg::Var(var) = arg {
                        self.want(*var, Reg::new(number), true);
                    }
                }
            }
            Inst::CompareExchange { expected, dst, .. } => {
                self.want(*dst, Some(Reg::R0), false);
                self.want(*expected, Some(Reg::R0), true);
            }
            Inst::Parameter { dst, index } => self.want(*dst, Reg::new(index + 1), false),
            Inst::Mov { dst, src, .. }
            | Inst::Neg { dst, src, .. }
            | Inst::Swap { dst, src, .. }
            | Inst::Fetch { dst, src, .. } => self.befriend(*dst, *src),
            Inst::Alu { dst, a, b, op, signed, .. } => {
                if let Src::Var(b) = b
                    && super::mir::is_commutative(*op)
                    && !signed
                {
                    self.befriend(*dst, *b);
                }
                self.befriend(*dst, *a);
            }
            _ => {}
        }
    }

    fn want(&mut self, var: Var, reg: Option<Reg>, anew: bool) {
        if let Some(hint) = self.registers.get_mut(var.0 as usize)
            && (anew || hint.is_none())
        {
            *hint = reg;
        }
    }

    fn befriend(&mut self, a: Var, b: Var) {
        let reg = self.registers.get(a.0 as usize).copied().flatten();
        self.want(b, reg, false);
        for (of, friend) in [(a, b), (b, a)] {
            if let Some([first, second]) = self.friends.get_mut(of.0 as usize) {
                (*first, *second) = (friend.0, *first);
            }
        }
    }
}

/// Returns the cost of spilling each variable: its uses, those in loops counting more.
fn costs(mir: &Mir<'_>) -> Vec<u64> {
    let depths = loop_depths(mir);
    let mut costs = vec![0u64; mir.vars as usize];
    for (block, depth) in mir.blocks.iter().zip(depths) {
        let once = 1u64 << (3 * depth.min(6));
        let mut count = |var: Var| {
            if let Some(cost) = costs.get_mut(var.0 as usize) {
                *cost = cost.saturating_add(once);
            }
        };
        for (inst, _) in &block.insts {
            inst.for_uses(|var, _| count(var));
            inst.def().into_iter().for_each(&mut count);
        }
        block.end.0.for_uses(&mut count);
    }
    costs
}

/// Returns the loop depth of each block, as far as the layout shows it: a jump back is a loop over the blocks in
/// between.
fn loop_depths(mir: &Mir<'_>) -> Vec<u32> {
    let mut changes = vec![0i64; mir.blocks.len() + 1];
    for (block, from) in mir.blocks.iter().zip(0u32..) {
        for to in block.end.0.targets().filter(|to| *to <= from) {
            if let Some(change) = changes.get_mut(to as usize) {
                *change += 1;
            }
            if let Some(change) = changes.get_mut(from as usize + 1) {
                *change -= 1;
            }
        }
    }
    let mut depth = 0;
    let depths = changes.iter().take(mir.blocks.len());
    depths
        .map(|change| {
            depth += change;
            depth as u32
        })
        .collect()
}

/// Variables that are one: copies of each other that are not alive at the same time.
struct Groups {
    leader: Vec<u32>,
    /// The segments of leaders of more than one.
    segments: BTreeMap<u32, Vec<Segment>>,
}

/// The maximum number of segments of variables to coalesce: more take long, for little gain.
const MOST_SEGMENTS: usize = 64;

impl Groups {
    fn of(mir: &Mir<'_>, ranges: &Ranges, classes: &[Class]) -> Groups {
        let mut groups = Groups { leader: (0..mir.vars).collect(), segments: BTreeMap::new() };
        for (inst, _) in mir.blocks.iter().flat_map(|block| &block.insts) {
            if let Inst::Mov { bits: Bits::B64, dst, src } = *inst {
                let class = |var: Var| classes.get(var.0 as usize).copied();
                if class(dst) == class(src) && class(dst) != Some(Class::Moment) {
                    groups.join(dst.0, src.0, ranges);
                }
            }
        }
        groups
    }

    fn find(&self, var: u32) -> u32 {
        let mut var = var;
        while let Some(leader) = self.leader.get(var as usize).filter(|leader| **leader != var) {
            var = *leader;
        }
        var
    }

    fn of_leader<'r>(&'r self, leader: u32, ranges: &'r Ranges) -> &'r [Segment] {
        self.segments.get(&leader).map_or(ranges.of(leader), Vec::as_slice)
    }

    fn join(&mut self, a: u32, b: u32, ranges: &Ranges) {
        let (a, b) = (self.find(a), self.find(b));
        let (left, right) = (self.of_leader(a, ranges), self.of_leader(b, ranges));
        if a == b || left.len() + right.len() > MOST_SEGMENTS || overlap(left, right) {
            return;
        }
        let mut both = [left, right].concat();
        both.sort_unstable();
        self.segments.remove(&b);
        self.segments.insert(a, both);
        if let Some(leader) = self.leader.get_mut(b as usize) {
            *leader = a;
        }
    }
}

fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        if left.0 < right.1 && right.0 < left.1 {
            return true;
        }
        if left.1 <= right.1 {
            a.next()
        } else {
            b.next()
        };
    }
    false
}

struct Scan<'m> {
    fixed: Fixed,
    hints: Hints,
    groups: Groups,
    ranges: &'m Ranges,
    /// Spill weights, by leader.
    weights: Vec<u64>,
    registers: Vec<Option<Reg>>,
    /// The segments that each register holds: by the start of a segment, its end and the leader.
    held: [BTreeMap<u32, (u32, u32)>; REGISTERS],
}

/// Gives each variable a register, if there are enough.
pub(super) fn allocate(mir: &Mir<'_>, classes: &[Class], cheap: impl Fn(u32) -> bool) -> Outcome {
    let flow = flow(mir);
    let ranges = ranges(mir, &flow);
    let groups = Groups::of(mir, &ranges, classes);
    let mut weights = vec![0u64; mir.vars as usize];
    for (cost, var) in costs(mir).into_iter().zip(0..) {
        if let Some(weight) = weights.get_mut(groups.find(var) as usize) {
            *weight = weight.saturating_add(cost);
        }
    }
    for (weight, var) in weights.iter_mut().zip(0u32..) {
        let segments = groups.of_leader(var, &ranges);
        let length: u64 = segments.iter().map(|(start, end)| u64::from(end - start)).sum();
        *weight = weight.saturating_mul(1 << 16) / (length + 16);
        match classes.get(var as usize) {
            Some(Class::Moment) => *weight = u64::MAX,
            Some(Class::Piece) => *weight = weight.saturating_mul(16).min(u64::MAX - 1),
            _ if cheap(var) => *weight /= 2,
            _ => {}
        }
    }
    let mut order: Vec<(u32, u32)> = (0..mir.vars)
        .filter(|var| groups.find(*var) == *var)
        .filter_map(|var| Some((groups.of_leader(var, &ranges).first()?.0, var)))
        .collect();
    order.sort_unstable();

    let mut hints = Hints::of(mir);
    for var in 0..mir.vars {
        let leader = groups.find(var);
        let hint = hints.registers.get(var as usize).copied().flatten();
        if leader != var {
            hints.want(Var(leader), hint, false);
        }
    }
    let mut scan = Scan {
        fixed: Fixed::of(mir),
        hints,
        groups,
        ranges: &ranges,
        weights,
        registers: vec![None; mir.vars as usize],
        held: Default::default(),
    };
    let mut spilled = Vec::new();
    for (_, var) in order {
        scan.place(var, &mut spilled);
    }
    // A variable that gave way may have a register of its own after all.
    spilled.retain(|var| !scan.place_free(*var));

    let Scan { groups, mut registers, .. } = scan;
    if spilled.is_empty() {
        for var in 0..mir.vars {
            let leader = groups.find(var) as usize;
            if let Some(reg) = registers.get(leader).copied()
                && let Some(to) = registers.get_mut(var as usize)
            {
                *to = reg;
            }
        }
        return Outcome::Registers(registers);
    }
    let mut flags = vec![false; mir.vars as usize];
    spilled.iter().for_each(|var| set(&mut flags, *var));
    for var in 0..mir.vars {
        if flags.get(groups.find(var) as usize) == Some(&true) && !ranges.of(var).is_empty() {
            set(&mut flags, var);
        }
    }
    Outcome::Spill { vars: flags, ranges, flow }
}

fn set(flags: &mut [bool], index: u32) {
    if let Some(flag) = flags.get_mut(index as usize) {
        *flag = true;
    }
}

impl Scan<'_> {
    /// The registers that a variable can be in, the best first.
    fn candidates(&self, var: u32, segments: &[Segment]) -> Vec<Reg> {
        let over_calls = Fixed::crosses(&self.fixed.calls, segments);
        let friends = self.hints.friends.get(var as usize).copied().unwrap_or([NONE; 2]);
        let register = |var: u32| self.registers.get(var as usize).copied().flatten();
        let hint = |var: u32| self.hints.registers.get(var as usize).copied().flatten();
        let shared = friends.map(|friend| register(self.groups.find(friend)));
        let wished = friends.map(hint);
        let hints = [hint(var), shared[0], shared[1], wished[0], wished[1]];
        let others: &[Reg] = if over_calls { &[] } else { &CALLER_SAVED };
        let fits = |reg: &Reg| {
            (!over_calls || *reg as u8 >= Reg::R6 as u8) && !self.fixed.is_taken(*reg, segments)
        };
        let mut candidates = Vec::with_capacity(REGISTERS);
        for reg in hints.into_iter().flatten().chain(others.iter().copied()).chain(CALLEE_SAVED) {
            if !candidates.contains(&reg) && fits(&reg) {
                candidates.push(reg);
            }
        }
        candidates
    }

    fn place(&mut self, var: u32, spilled: &mut Vec<u32>) {
        if self.place_free(var) {
            return;
        }
        let (groups, ranges) = (&self.groups, self.ranges);
        let segments = groups.of_leader(var, ranges).to_vec();
        let weight = |var: u32| self.weights.get(var as usize).copied().unwrap_or(0);
        // The cheapest is evicted: seldom used, or alive for long.
        let least = self
            .candidates(var, &segments)
            .into_iter()
            .map(|reg| {
                let others = self.conflicts(reg, &segments);
                let cost = others.iter().fold(0u64, |sum, var| sum.saturating_add(weight(*var)));
                (cost, reg, others)
            })
            .min_by_key(|(cost, ..)| *cost);
        match least {
            Some((cost, reg, others)) if cost < weight(var) => {
                for other in others {
                    self.take_back(other, reg);
                    spilled.push(other);
                }
                self.give(var, reg);
            }
            _ => spilled.push(var),
        }
    }

    /// Gives the variable a register that is free all along, if there is one.
    fn place_free(&mut self, var: u32) -> bool {
        let segments = self.groups.of_leader(var, self.ranges);
        let free = self.candidates(var, segments).into_iter().find(|reg| {
            segments.iter().all(|segment| self.first_conflict(*reg, *segment).is_none())
        });
        let Some(reg) = free else { return false };
        self.give(var, reg);
        true
    }

    /// The last that the register holds before the end of the segment, if that is still there at its start.
    fn first_conflict(&self, reg: Reg, (start, end): Segment) -> Option<(u32, u32)> {
        let held = self.held.get(reg as usize)?;
        let (from, (to, var)) = held.range(..end).next_back()?;
        (*to > start).then_some((*from, *var))
    }

    fn conflicts(&self, reg: Reg, segments: &[Segment]) -> Vec<u32> {
        let mut found = Vec::new();
        for (start, end) in segments {
            let mut end = *end;
            while let Some((from, var)) = self.first_conflict(reg, (*start, end)) {
                if !found.contains(&var) {
                    found.push(var);
                }
                end = from;
                if end <= *start {
                    break;
                }
            }
        }
        found
    }

    fn give(&mut self, var: u32, reg: Reg) {
        if let Some(held) = self.held.get_mut(reg as usize) {
            for (start, end) in self.groups.of_leader(var, self.ranges) {
                held.insert(*start, (*end, var));
            }
        }
        if let Some(register) = self.registers.get_mut(var as usize) {
            *register = Some(reg);
        }
    }

    fn take_back(&mut self, var: u32, reg: Reg) {
        if let Some(held) = self.held.get_mut(reg as usize) {
            for (start, _) in self.groups.of_leader(var, self.ranges) {
                held.remove(start);
            }
        }
        if let Some(register) = self.registers.get_mut(var as usize) {
            *register = None;
        }
    }
}

/// Removes instructions whose only effect is a result that is overwritten before it is read. Returns whether there were
/// any.
pub(super) fn drop_replaced(mir: &mut Mir<'_>, kept: Option<Var>) -> bool {
    let flow = flow(mir);
    let ranges = ranges(mir, &flow);
    let is_replaced = |var: Var, at: u32| {
        let segments = ranges.of(var.0);
        let next = segments.partition_point(|(_, end)| *end <= at * STEP + WRITE);
        segments.get(next).is_some_and(|(_, end)| *end == at * STEP + OVER)
    };
    let (mut at, mut any) = (0, false);
    for block in &mut mir.blocks {
        block.insts.retain(|(inst, _)| {
            at += 1;
            let replaced = inst.def().is_some_and(|var| is_replaced(var, at - 1));
            let drop = replaced && inst.is_pure() && inst.def() != kept;
            any |= drop;
            !drop
        });
        at += 1;
    }
    any
}
