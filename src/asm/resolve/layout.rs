//! The layout of code in which some jumps need more slots than others.
//!
//! A far jump takes more slots, or needs steps on its way; that moves the code behind it, so that other jumps may no
//! longer reach. The layout therefore starts with every jump short and goes over the code repeatedly. A jump that did
//! not reach once stays long, so the passes terminate; and they are limited, because code can be contrived in which
//! every pass makes one more jump too far for the next. After the last pass all jumps that could ever become too far
//! are made long at once: a few slots may be wasted, but none of these jumps can fail.

use super::chain::Chain;
use super::{Draft, Far, Limits, Place};
use crate::insn::{Condition, Op};

/// The most passes that keep jumps short where possible.
pub(super) const PASSES: usize = 16;

/// The encoded form of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The instruction itself.
    Short,
    /// `gotol`.
    Long,
    /// The opposite condition over a `gotol`.
    Inverted(Condition),
    /// The condition, which has no opposite, to a `gotol`, and a `goto` over that.
    Around,
    /// The instruction itself, to the first step of a chain.
    Chained,
}

/// The position of each unit. Indices are those of the units, or of the end of the code.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub draft: &'a Draft<'a>,
    pub limits: Limits,
    /// The first slot of each unit, and the slot after the last.
    pub starts: Vec<i64>,
    /// The first slot of each unit while every jump is short, and the slot after the last.
    origins: Vec<i64>,
    /// The unit before which each label is.
    targets: Vec<Option<usize>>,
    /// The jumps that did not reach.
    long: Vec<bool>,
    far: Far,
    pub chain: Chain,
}

impl<'a> Layout<'a> {
    /// Creates a layout in which every jump is short.
    pub fn new(draft: &'a Draft<'a>, far: Far, limits: Limits) -> Layout<'a> {
        let origins: Vec<i64> = draft.origins.iter().map(|origin| i64::from(*origin)).collect();
        let slot = |place: &Place<'_>| place.slot.map(|slot| draft.unit(slot));
        let targets = draft.labels.iter().map(slot).collect();
        let chain = match far {
            Far::Chain => Chain::new(draft, &origins, limits),
            Far::Long | Far::Refuse => Chain::default(),
        };
        let long = vec![false; draft.units.len()];
        Layout { draft, limits, starts: origins.clone(), origins, targets, long, far, chain }
    }

    /// Lengthens jumps until all reach that can. Returns the number of passes.
    pub fn settle(&mut self) -> usize {
        for pass in 1..=PASSES {
            if !self.lengthen(|layout, index, target| !layout.is_near(index, target)) {
                return pass;
            }
            self.place();
        }
        match self.far {
            Far::Refuse => {}
            // Within this distance the islands in between do not matter.
            Far::Chain => {
                self.lengthen(|layout, index, target| {
                    let distance = layout.origin(target) - layout.origin(index);
                    distance.abs() > layout.chain.stride()
                });
            }
            // No distance is ever greater than with all jumps long.
            Far::Long => {
                let settled = self.long.clone();
                self.lengthen(|_, _, _| true);
                self.place();
                let far = self.draft.units.iter().enumerate().map(|(index, unit)| {
                    let target = unit.label.and_then(|label| self.target(label));
                    target.is_some_and(|target| !self.is_near(index, target))
                });
                // A unit that cannot grow does not become long, however far its target is.
                let long = self.long.iter().zip(settled).zip(far);
                self.long = long.map(|((long, settled), far)| *long && (settled || far)).collect();
            }
        }
        self.place();
        PASSES + 1
    }

    /// Makes the jumps long that are too far and can grow. Returns whether there were any.
    fn lengthen(&mut self, is_far: impl Fn(&Self, usize, usize) -> bool) -> bool {
        let mut any = false;
        for (index, unit) in self.draft.units.iter().enumerate() {
            let can_grow = self.far != Far::Refuse
                && matches!(unit.op, Op::Jump { .. } | Op::JumpIf { .. })
                && self.long.get(index) == Some(&false);
            let Some(label) = unit.label.filter(|_| can_grow) else { continue };
            let Some(target) = self.target(label) else { continue };
            if !is_far(self, index, target) {
                continue;
            }
            if let Some(long) = self.long.get_mut(index) {
                *long = true;
            }
            if self.far == Far::Chain {
                self.chain.route(index, label, target);
            }
            any = true;
        }
        any
    }

    /// Returns whether a short jump would reach.
    fn is_near(&self, index: usize, target: usize) -> bool {
        self.limits.reaches(self.start(target) - self.start(index) - 1)
    }

    /// Computes the first slot of every unit again.
    fn place(&mut self) {
        let mut next = 0;
        let mut starts = std::mem::take(&mut self.starts);
        let mut islands = self.chain.islands_mut().peekable();
        for (index, start) in starts.iter_mut().enumerate() {
            if let Some(island) = islands.next_if(|island| island.unit == index) {
                island.start = next;
                next += island.slots();
            }
            *start = next;
            next += match form(self.draft, &self.long, self.far, index) {
                Form::Inverted(_) => 2,
                Form::Around => 3,
                Form::Short | Form::Long | Form::Chained => width(&self.origins, index),
            };
        }
        drop(islands);
        self.starts = starts;
    }

    /// Returns the encoded form of a unit.
    pub fn form(&self, index: usize) -> Form {
        form(self.draft, &self.long, self.far, index)
    }

    /// Returns the unit before which a label is.
    pub fn target(&self, label: u32) -> Option<usize> {
        *self.targets.get(label as usize)?
    }

    /// Returns the first slot of a unit.
    pub fn start(&self, index: usize) -> i64 {
        self.starts.get(index).copied().unwrap_or_default()
    }

    /// Returns the first slot that a unit has while every jump is short.
    pub fn origin(&self, index: usize) -> i64 {
        self.origins.get(index).copied().unwrap_or_default()
    }

    /// Returns the number of slots.
    pub fn slots(&self) -> i64 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Returns whether anything takes more slots than when it was pushed.
    pub fn has_grown(&self) -> bool {
        self.starts.last() != self.origins.last()
    }

    /// Returns the current position of a slot of the code with every jump short; `None` outside the code.
    pub fn moved(&self, slot: i64) -> Option<i64> {
        let after = self.origins.partition_point(|origin| *origin <= slot);
        let unit = after.checked_sub(1)?;
        let inside = slot - self.origin(unit);
        let exists = inside == 0 || unit + 1 < self.origins.len();
        exists.then(|| self.start(unit) + inside)
    }
}

/// Returns the number of slots of a unit while it is short.
fn width(origins: &[i64], index: usize) -> i64 {
    match (origins.get(index), origins.get(index + 1)) {
        (Some(start), Some(end)) => end - start,
        _ => 0,
    }
}

fn form(draft: &Draft<'_>, long: &[bool], far: Far, index: usize) -> Form {
    if long.get(index) != Some(&true) {
        return Form::Short;
    }
    match (far, draft.units.get(index).map(|unit| unit.op)) {
        (Far::Chain, _) => Form::Chained,
        (_, Some(Op::JumpIf { condition, .. })) => match opposite(condition) {
            Some(condition) => Form::Inverted(condition),
            None => Form::Around,
        },
        _ => Form::Long,
    }
}

/// Returns the condition that holds exactly where this one does not.
fn opposite(condition: Condition) -> Option<Condition> {
    Some(match condition {
        Condition::Eq => Condition::Ne,
        Condition::Ne => Condition::Eq,
        Condition::Gt => Condition::Le,
        Condition::Le => Condition::Gt,
        Condition::Ge => Condition::Lt,
        Condition::Lt => Condition::Ge,
        Condition::SignedGt => Condition::SignedLe,
        Condition::SignedLe => Condition::SignedGt,
        Condition::SignedGe => Condition::SignedLt,
        Condition::SignedLt => Condition::SignedGe,
        // There is no condition for "no common bit is set".
        Condition::Set => return None,
    })
}
