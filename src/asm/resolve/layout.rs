//! Where everything stands, when some jumps need more room than others.
//!
//! A jump that is made to reach takes more slots, or needs steps on its way; that moves what comes after, so that other
//! jumps may no longer reach. The layout therefore starts with every jump short and goes over the code again and
//! again. What did not reach once stays long, so that the passes come to an end; and they are counted, because code
//! can be contrived in which every pass makes one more jump too far for the next. After the last pass all jumps that could
//! ever become too far are made long at once: a few slots may be wasted, but none of these jumps can fail.

use super::chain::Chain;
use super::{Draft, Far, Limits, Place};
use crate::insn::{Condition, Op};

/// After how many passes no more is tried to keep jumps short.
pub(super) const PASSES: usize = 16;

/// What a unit becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What it is.
    Short,
    /// `gotol`.
    Long,
    /// The opposite condition over a `gotol`.
    Inverted(Condition),
    /// The condition, which has no opposite, to a `gotol`, and a `goto` over that.
    Around,
    /// What it is, to the first step of a chain.
    Chained,
}

/// Where each unit stands. Indices are those of the units, or of the place after the last.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub draft: &'a Draft<'a>,
    pub limits: Limits,
    /// The first slot of each unit, and the slot after the last.
    pub starts: Vec<i64>,
    /// The same while every jump is short.
    origins: Vec<i64>,
    /// The unit before which each label stands.
    targets: Vec<Option<usize>>,
    /// Which jumps did not reach.
    long: Vec<bool>,
    far: Far,
    pub chain: Chain,
}

impl<'a> Layout<'a> {
    /// Every jump short.
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

    /// Makes jumps long until all reach that can be made to. Gives the number of passes.
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
            // Nothing is ever farther away than where all jumps are long.
            Far::Long => {
                let settled = self.long.clone();
                self.lengthen(|_, _, _| true);
                self.place();
                let far = self.draft.units.iter().enumerate().map(|(index, unit)| {
                    let target = unit.label.and_then(|label| self.target(label));
                    target.is_some_and(|target| !self.is_near(index, target))
                });
                // A unit that cannot grow is not long, however far it leads.
                let long = self.long.iter().zip(settled).zip(far);
                self.long = long.map(|((long, settled), far)| *long && (settled || far)).collect();
            }
        }
        self.place();
        PASSES + 1
    }

    /// Makes long what is to be and can be. Whether there was any.
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

    /// Whether a short jump would reach.
    fn is_near(&self, index: usize, target: usize) -> bool {
        self.limits.reaches(self.start(target) - self.start(index) - 1)
    }

    /// Counts the slots anew.
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

    /// What a unit becomes.
    pub fn form(&self, index: usize) -> Form {
        form(self.draft, &self.long, self.far, index)
    }

    /// The unit before which a label stands.
    pub fn target(&self, label: u32) -> Option<usize> {
        *self.targets.get(label as usize)?
    }

    /// The first slot of a unit.
    pub fn start(&self, index: usize) -> i64 {
        self.starts.get(index).copied().unwrap_or_default()
    }

    /// What would be its first slot if every jump were short.
    pub fn origin(&self, index: usize) -> i64 {
        self.origins.get(index).copied().unwrap_or_default()
    }

    /// How many slots there are.
    pub fn slots(&self) -> i64 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Whether anything takes more room than it did when it was pushed.
    pub fn has_grown(&self) -> bool {
        self.starts.last() != self.origins.last()
    }

    /// Where the slot is now that was there when every jump was short; `None` outside the code.
    pub fn moved(&self, slot: i64) -> Option<i64> {
        let after = self.origins.partition_point(|origin| *origin <= slot);
        let unit = after.checked_sub(1)?;
        let inside = slot - self.origin(unit);
        let exists = inside == 0 || unit + 1 < self.origins.len();
        exists.then(|| self.start(unit) + inside)
    }
}

/// How many slots a unit has while it is short.
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

/// The condition that holds where this one does not.
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
        // No instruction jumps where no bit is set.
        Condition::Set => return None,
    })
}
