//! Scratch memory for variables and objects that do not fit on the stack.
//!
//! Programs interrupt each other on a CPU, and uprobes are preempted, so that memory per CPU alone is not a program's own.
//! There are several pieces for each CPU; a program takes the first that is free, by an atomic exchange, and gives it back at its
//! end. Kernels without atomic operations that have results do not preempt programs: there a test and a store will do,
//! because what comes in between ends before the program goes on.

use super::{Lower, Lowered, helper};
use crate::bt::plan::{Feature, Globals};
use crate::codegen::Var;
use crate::insn::{AtomicSize, Condition, Size};
use crate::spec::MapSpec;

/// The scratch memory of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scratch {
    /// The address of its owner's word; the memory lies behind.
    pub owner: Var,
}

/// Bytes of the word that says whether it is free.
const OWNER: u32 = 8;

impl<'p> Lower<'_, 'p, '_> {
    /// Takes scratch memory, if functions of the program need any.
    pub(super) fn claim_scratch(&mut self) -> Lowered<()> {
        let bytes = self.sizes.total();
        if bytes == 0 {
            return Ok(());
        }
        let maps: &'p [MapSpec<'p>] = &self.shared.maps.scratch;
        let fits = |map: &&MapSpec<'_>| map.value_size >= bytes.saturating_add(OWNER);
        let Some(map) = maps.iter().find(fits) else {
            let most = maps.last().map_or(0, |map| map.value_size.saturating_sub(OWNER));
            let feature =
                format!("so much memory in a probe: {bytes} bytes of strings, keys and variables");
            return self.unsupported(self.span, feature).map_err(
                |error: crate::bt::diagnostic::Diagnostic| {
                    error.hint(format!("at most {most} are possible; a smaller max_strlen helps"))
                },
            );
        };
        let key = self.f.object(4, 4);
        let (index, owner) = (self.f.var(), self.f.var());
        self.f.assign(index, 0);
        let (next, test, taken, claimed) =
            (self.f.block(), self.f.block(), self.f.block(), self.f.block());
        let exit = self.f.block();
        let lost = self.cold(move |lower| {
            lower.count_loss(Globals::LOST_RUNS);
            lower.f.jump(exit);
        });
        self.cold.push((exit, self.span, Box::new(|lower| lower.f.ret(0))));
        self.f.switch_to(next);
        self.f.store(Size::Word, key, index);
        let (spec, address) = (self.f.map(map), self.f.address(key));
        let found = self.call(helper::MAP_LOOKUP, &[spec.into(), address.into()]);
        self.f.assign(owner, found);
        self.f.branch(Condition::Ne, owner, 0, test, lost);
        self.f.switch_to(test);
        if self.shared.target.has(Feature::Atomics) {
            let old = self.f.compare_exchange(AtomicSize::Double, owner, 0, 1);
            self.f.branch(Condition::Eq, old, 0, claimed, taken);
        } else {
            let free = self.f.block();
            let old = self.f.load(Size::Double, owner);
            self.f.branch(Condition::Eq, old, 0, free, taken);
            self.f.switch_to(free);
            self.f.store(Size::Double, owner, 1);
            self.f.jump(claimed);
        }
        self.f.switch_to(taken);
        self.f.binary_to(index, crate::insn::Bits::B64, crate::codegen::Binary::Add, index, 1);
        self.f.branch(Condition::Lt, index, map.max_entries, next, lost);
        self.f.switch_to(claimed);
        self.use_scratch(owner);
        self.scratch = Some(Scratch { owner });
        Ok(())
    }

    /// Gives the function that is being written its part of the scratch memory.
    pub(super) fn use_scratch(&mut self, owner: Var) {
        let (start, size) = self.sizes.part(self.f.name());
        if size > 0 {
            let base = self.f.add(owner, OWNER + start);
            self.f.scratch(base, size);
        }
    }

    /// The address of the owner's word.
    pub(super) fn scratch_owner(&self) -> Option<Var> {
        self.scratch.map(|scratch| scratch.owner)
    }

    /// Gives the scratch memory back.
    pub(super) fn release_scratch(&mut self) {
        if let Some(scratch) = self.scratch {
            self.f.store(Size::Double, scratch.owner, 0);
        }
    }
}

/// The amount of scratch memory that each function of a program needs, by its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes(Vec<(String, u32)>);

impl Sizes {
    /// Records the scratch memory that a function needs; returns whether it is more than before.
    pub(super) fn raise(&mut self, function: &str, bytes: u32) -> bool {
        let bytes = bytes.next_multiple_of(8);
        match self.0.iter_mut().find(|(name, _)| name == function) {
            Some((_, known)) if *known >= bytes => false,
            Some((_, known)) => {
                *known = bytes;
                true
            }
            None => {
                self.0.push((function.to_owned(), bytes));
                true
            }
        }
    }

    fn total(&self) -> u32 {
        self.0.iter().fold(0, |all, (_, bytes)| all.saturating_add(*bytes))
    }

    /// Returns the offset and the size of the part of a function.
    fn part(&self, function: &str) -> (u32, u32) {
        let mut start = 0_u32;
        for (name, bytes) in &self.0 {
            if name == function {
                return (start, *bytes);
            }
            start = start.saturating_add(*bytes);
        }
        (0, 0)
    }
}
