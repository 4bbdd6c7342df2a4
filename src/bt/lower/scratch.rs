//! Scratch memory for what does not fit on the stack.
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
    owner: Var,
}

/// Bytes of the word that says whether it is free.
const OWNER: u32 = 8;

impl<'p> Lower<'_, 'p, '_> {
    /// Takes scratch memory of so many bytes, if any.
    pub(super) fn claim_scratch(&mut self, bytes: u32) -> Lowered<()> {
        if bytes == 0 {
            return Ok(());
        }
        let maps: &'p [MapSpec<'p>] = &self.shared.maps.scratch;
        let fits = |map: &&MapSpec<'_>| map.value_size >= bytes.saturating_add(OWNER);
        let Some(map) = maps.iter().find(fits) else {
            let most = maps.last().map_or(0, |map| map.value_size.saturating_sub(OWNER));
            let feature = format!("{bytes} bytes of strings, keys and variables in a probe");
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
        let base = self.f.add(owner, OWNER);
        self.f.scratch(base, map.value_size - OWNER);
        self.scratch = Some(Scratch { owner });
        Ok(())
    }

    /// Gives the scratch memory back.
    pub(super) fn release_scratch(&mut self) {
        if let Some(scratch) = self.scratch {
            self.f.store(Size::Double, scratch.owner, 0);
        }
    }
}
