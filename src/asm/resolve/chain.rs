//! Far jumps as chains of 16-bit jumps, for kernels without `gotol`.
//!
//! About every half reach of a jump there is a place for an *island*: a row of `goto`s, one for each label reached
//! through it, and before them a `goto` past them all, unless the code before does not fall through. A far jump goes
//! to an island, from there to the next, and at last to its label.
//!
//! The places of islands, and the islands that a jump uses, are decided by the positions before there were any. So a
//! jump keeps its way while islands grow, every step that was once made stays in use (the verifier refuses unreachable
//! code), and all jumps to one label share their steps. Bounds ensure that islands do not grow beyond the reach of
//! their own steps: with a reach of 8, islands are 3 to 5 apart, a step is 5 at most, passes over one whole island at
//! most and starts and ends within two others, and an island is at most 1.
//! and starts and ends within two others, and an island is at most 1.
//!
//! A jump must not leave its function (the verifier refuses that too). The code between a jump and its label is in the
//! same function if they are; and an island before the first instruction of a function belongs to the one before.

use super::{Draft, Limits, number};
use crate::insn::Op;
use std::collections::HashMap;

/// A row of `goto`s.
#[derive(Debug)]
pub(super) struct Island {
    /// The unit before which it is.
    pub unit: usize,
    /// The slot of that unit before any islands were added.
    origin: i64,
    /// Whether the instruction before it falls through to the next one.
    falls_in: bool,
    /// The label that each step leads to in the end.
    pub labels: Vec<u32>,
    /// Its first slot.
    pub start: i64,
}

impl Island {
    /// Returns whether it begins with a `goto` past it.
    pub fn is_jumped_over(&self) -> bool {
        self.falls_in && !self.labels.is_empty()
    }

    /// Returns the number of slots.
    pub fn slots(&self) -> i64 {
        self.labels.len() as i64 + i64::from(self.is_jumped_over())
    }
}

/// All islands, most of them empty, in order.
#[derive(Debug, Default)]
pub(super) struct Chain {
    islands: Vec<Island>,
    /// The step for a label in an island, by the island's number and the label.
    steps: HashMap<(usize, u32), usize>,
    origins: Vec<i64>,
    /// The greatest distance of one step.
    stride: i64,
    /// The most labels that an island can serve.
    most: usize,
}

impl Chain {
    /// Places for islands, all empty.
    pub fn new(draft: &Draft<'_>, origins: &[i64], limits: Limits) -> Chain {
        let window = (limits.reach / 8).max(1);
        let spacing = 4 * window;
        let crossed = Crossed::new(draft, origins);
        let mut islands: Vec<Island> = Vec::new();
        let mut nominal = spacing;
        while let Some(island) = best(draft, origins, &crossed, nominal, window) {
            islands.push(island);
            nominal += spacing;
        }
        let most = usize::try_from(window).unwrap_or_default();
        Chain {
            islands,
            steps: HashMap::new(),
            origins: origins.to_vec(),
            stride: spacing + window,
            most,
        }
    }

    /// Returns the greatest distance of one step, islands not counted.
    pub fn stride(&self) -> i64 {
        self.stride
    }

    pub fn islands_mut(&mut self) -> std::slice::IterMut<'_, Island> {
        self.islands.iter_mut()
    }

    /// The island right before a unit, and its number, if it is not empty.
    pub fn before(&self, unit: usize) -> Option<(usize, &Island)> {
        let number = self.islands.binary_search_by_key(&unit, |island| island.unit).ok()?;
        let island = self.islands.get(number).filter(|island| !island.labels.is_empty())?;
        Some((number, island))
    }

    /// Returns the slot of an island's step to a label.
    pub fn step(&self, island: usize, label: u32) -> Option<i64> {
        let position = *self.steps.get(&(island, label))?;
        let island = self.islands.get(island)?;
        Some(island.start + i64::from(island.is_jumped_over()) + position as i64)
    }

    /// Adds all missing steps from a jump to its label.
    pub fn route(&mut self, jump: usize, label: u32, target: usize) {
        let mut next = self.first(jump, target);
        while let Some(number) = next {
            let Some(island) = self.islands.get_mut(number) else { return };
            // From an island on, the way to a label is always the same.
            if self.steps.contains_key(&(number, label)) || island.labels.len() >= self.most {
                return;
            }
            self.steps.insert((number, label), island.labels.len());
            island.labels.push(label);
            next = self.onward(number, target);
        }
    }

    /// Returns the island to which a far jump goes; `None` if there is none in between.
    pub fn first(&self, jump: usize, target: usize) -> Option<usize> {
        let from = *self.origins.get(jump)?;
        let after = self.islands.partition_point(|island| island.unit <= jump);
        if target > jump {
            self.last_within(from, after, target)
        } else {
            self.first_within(from, target, after)
        }
    }

    /// Returns the island to which a step goes; `None` if it goes to its label.
    pub fn onward(&self, number: usize, target: usize) -> Option<usize> {
        let island = self.islands.get(number)?;
        let distance = self.origins.get(target)? - island.origin;
        if distance.abs() <= self.stride {
            None
        } else if distance > 0 {
            self.last_within(island.origin, number + 1, target)
        } else {
            self.first_within(island.origin, target, number)
        }
    }

    /// Returns the last island within a step forward, of those from `begin` on that are before the target.
    fn last_within(&self, from: i64, begin: usize, target: usize) -> Option<usize> {
        let end = self.islands.partition_point(|island| island.unit <= target);
        let within = self.islands.partition_point(|island| island.origin <= from + self.stride);
        // If one step does not reach that far, the writer reports it.
        (begin < end).then(|| (end.min(within)).max(begin + 1) - 1)
    }

    /// Returns the first island within a step backward, of those before `end` that are behind the target.
    fn first_within(&self, from: i64, target: usize, end: usize) -> Option<usize> {
        let begin = self.islands.partition_point(|island| island.unit <= target);
        let within = self.islands.partition_point(|island| island.origin < from - self.stride);
        (begin < end).then(|| begin.max(within).min(end - 1))
    }
}

/// Finds the best place for an island from `nominal` on: preferably where the code before does not fall through, and
/// in any case where no jump by a number crosses.
fn best(
    draft: &Draft<'_>,
    origins: &[i64],
    crossed: &Crossed,
    nominal: i64,
    window: i64,
) -> Option<Island> {
    let begin = origins.partition_point(|origin| *origin < nominal).max(1);
    let mut found: Option<((bool, bool), Island)> = None;
    for unit in begin..draft.units.len() {
        let origin = *origins.get(unit)?;
        if found.is_some() && origin > nominal + window {
            break;
        }
        let before = unit.checked_sub(1).and_then(|before| draft.units.get(before))?;
        let falls_in = !matches!(
            before.op,
            Op::Jump { .. } | Op::JumpLong { .. } | Op::JumpRegister { .. } | Op::Exit
        );
        let badness = (crossed.at(origin), falls_in);
        if found.as_ref().is_none_or(|(least, _)| badness < *least) {
            let island = Island { unit, origin, falls_in, labels: Vec::new(), start: 0 };
            found = Some((badness, island));
        }
        if badness == (false, false) {
            break;
        }
    }
    found.map(|(_, island)| island)
}

/// The slots that jumps by numbers cross: nothing can be inserted before those.
#[derive(Debug)]
struct Crossed(Vec<bool>);

impl Crossed {
    fn new(draft: &Draft<'_>, origins: &[i64]) -> Crossed {
        let last = origins.last().copied().unwrap_or_default();
        // The number of jumps that cross a slot, less that of the slot before.
        let mut change = vec![0i32; usize::try_from(last).unwrap_or_default() + 2];
        let mut add = |slot: i64, by: i32| {
            let change = usize::try_from(slot).ok().and_then(|slot| change.get_mut(slot));
            if let Some(change) = change {
                *change = change.saturating_add(by);
            }
        };
        for (unit, origin) in draft.units.iter().zip(origins) {
            let Some(offset) = number(unit.op).filter(|_| unit.label.is_none()) else { continue };
            let target = origin + 1 + offset;
            if target < 0 || target > last {
                continue;
            }
            let (low, high) =
                if offset >= 0 { (origin + 1, target) } else { (target + 1, *origin) };
            add(low, 1);
            add(high + 1, -1);
        }
        let mut over = 0i32;
        let crossed = change.iter().map(|change| {
            over = over.saturating_add(*change);
            over > 0
        });
        Crossed(crossed.collect())
    }

    fn at(&self, slot: i64) -> bool {
        usize::try_from(slot).ok().and_then(|slot| self.0.get(slot)).copied().unwrap_or_default()
    }
}
