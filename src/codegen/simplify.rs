//! Simplification: removes unreachable blocks, jumps to jumps, copies, and unused results.

use super::ir::{Inst, Src, Var};
use super::mir::{Mir, MirEnd, is_commutative};
use crate::insn::Bits;

/// `kept` counts as used, even if it is not read yet.
pub(super) fn simplify(mir: &mut Mir<'_>, kept: Option<Var>) {
    skip_empty(mir);
    prune(mir);
    merge(mir);
    prune(mir);
    forward_copies(mir);
    drop_unused(mir, kept);
}

/// Jumps to a block that only jumps on lead to where that leads.
fn skip_empty(mir: &mut Mir<'_>) {
    let mut leads: Vec<u32> = (0..).take(mir.blocks.len()).collect();
    for (block, index) in mir.blocks.iter().zip(0u32..) {
        if let MirEnd::Jump(to) = block.end.0
            && block.insts.is_empty()
            && to != index
        {
            leads[index as usize] = to;
        }
    }
    let find = |leads: &mut Vec<u32>, from: u32| {
        let at = |leads: &Vec<u32>, block: u32| leads.get(block as usize).copied().unwrap_or(block);
        // Empty blocks in a cycle lead to no other block: any of them will do.
        let (mut to, mut steps) = (from, 0);
        while at(leads, to) != to && steps <= leads.len() {
            to = at(leads, to);
            steps += 1;
        }
        if steps > leads.len() {
            to = from;
        }
        // Those on the way need not be followed again.
        let mut block = from;
        while block != to && at(leads, block) != to {
            let next = at(leads, block);
            if let Some(lead) = leads.get_mut(block as usize) {
                *lead = to;
            }
            block = next;
        }
        to
    };
    for index in 0..mir.blocks.len() {
        let mut end = mir.blocks[index].end.0;
        let targets: Vec<_> = end.targets().map(|to| (to, find(&mut leads, to))).collect();
        end.map_targets(|to| {
            targets.iter().find(|(from, _)| *from == to).map_or(to, |(_, lead)| *lead)
        });
        if let MirEnd::Branch { then, other, .. } = end
            && then == other
        {
            end = MirEnd::Jump(then);
        }
        mir.blocks[index].end.0 = end;
    }
}

/// Takes out blocks that cannot be reached.
fn prune(mir: &mut Mir<'_>) {
    let mut reached = vec![false; mir.blocks.len()];
    let mut work = vec![0u32];
    while let Some(block) = work.pop() {
        let Some(entry) = reached.get_mut(block as usize) else { continue };
        if !std::mem::replace(entry, true)
            && let Some(data) = mir.blocks.get(block as usize)
        {
            work.extend(data.end.0.targets());
        }
    }
    let mut next = 0;
    let numbers: Vec<u32> = reached
        .iter()
        .map(|reached| {
            let number = next;
            next += u32::from(*reached);
            number
        })
        .collect();
    let mut index = 0;
    mir.blocks.retain(|_| {
        index += 1;
        reached.get(index - 1) == Some(&true)
    });
    for block in &mut mir.blocks {
        block.end.0.map_targets(|to| numbers.get(to as usize).copied().unwrap_or(to));
    }
}

/// Appends blocks to those that alone lead to them. What is left over is not reached.
fn merge(mir: &mut Mir<'_>) {
    let mut into: Vec<u32> = vec![0; mir.blocks.len()];
    for block in &mir.blocks {
        for to in block.end.0.targets() {
            if let Some(count) = into.get_mut(to as usize) {
                *count += 1;
            }
        }
    }
    for index in 0..mir.blocks.len() {
        while let Some(block) = mir.blocks.get(index) {
            let MirEnd::Jump(to) = block.end.0 else { break };
            if to == 0 || to as usize == index || into.get(to as usize) != Some(&1) {
                break;
            }
            let Some(next) = mir.blocks.get_mut(to as usize) else { break };
            let insts = std::mem::take(&mut next.insts);
            let end = std::mem::replace(&mut next.end, (MirEnd::Jump(to), None));
            if let Some(block) = mir.blocks.get_mut(index) {
                block.insts.extend(insts);
                block.end = end;
            }
        }
    }
}

/// `t = …; x = t` becomes `x = …` where `t` has no other use.
fn forward_copies(mir: &mut Mir<'_>) {
    let uses = uses(mir);
    let mut defs = vec![0u32; mir.vars as usize];
    for (inst, _) in mir.blocks.iter().flat_map(|block| &block.insts) {
        if let Some(count) = inst.def().and_then(|var| defs.get_mut(var.0 as usize)) {
            *count += 1;
        }
    }
    let once = |counts: &[u32], var: Var| counts.get(var.0 as usize) == Some(&1);
    for block in &mut mir.blocks {
        let mut kept: Vec<(Inst<'_>, _)> = Vec::with_capacity(block.insts.len());
        for (inst, span) in block.insts.drain(..) {
            if let Inst::Mov { bits: Bits::B64, dst, src } = inst
                && once(&uses, src)
                && once(&defs, src)
                && let Some((before, _)) = kept.last_mut()
                && before.def() == Some(src)
                && may_write(before, dst)
            {
                if let Some(to) = before.def_mut() {
                    *to = dst;
                }
                continue;
            }
            kept.push((inst, span));
        }
        block.insts = kept;
    }
}

/// Whether the variable can be the result: it is not read while the result is written.
fn may_write(inst: &Inst<'_>, dst: Var) -> bool {
    let mut may = true;
    inst.for_uses(|var, late| may &= !(late && var == dst));
    match inst {
        Inst::Alu { op, signed, a, b, .. } => {
            may && (*a == dst || *b != Src::Var(dst) || is_commutative(*op) && !signed)
        }
        // They are read one after the other.
        Inst::Parameter { .. } => false,
        _ => may,
    }
}

/// Returns the number of reads of each variable.
fn uses(mir: &Mir<'_>) -> Vec<u32> {
    let mut uses = vec![0u32; mir.vars as usize];
    let mut count = |var: Var| {
        if let Some(count) = uses.get_mut(var.0 as usize) {
            *count += 1;
        }
    };
    for block in &mir.blocks {
        for (inst, _) in &block.insts {
            inst.for_uses(|var, _| count(var));
        }
        block.end.0.for_uses(&mut count);
    }
    uses
}

/// Removes instructions whose only effect is an unused result.
pub(super) fn drop_unused(mir: &mut Mir<'_>, kept: Option<Var>) {
    let mut uses = uses(mir);
    if let Some(count) = kept.and_then(|var| uses.get_mut(var.0 as usize)) {
        *count += 1;
    }
    // Within a block uses come behind definitions; other cases take another round.
    loop {
        let mut dropped = false;
        for block in mir.blocks.iter_mut().rev() {
            for (inst, _) in block.insts.iter_mut().rev() {
                let unused = inst.def().is_some_and(|var| uses.get(var.0 as usize) == Some(&0));
                if let Inst::Call { dst, .. } = inst
                    && unused
                {
                    *dst = None;
                } else if unused && inst.is_pure() {
                    inst.for_uses(|var, _| {
                        if let Some(count) = uses.get_mut(var.0 as usize) {
                            *count = count.saturating_sub(1);
                            dropped |= *count == 0;
                        }
                    });
                    *inst = Inst::NOTHING;
                }
            }
            block.insts.retain(|(inst, _)| *inst != Inst::NOTHING);
        }
        if !dropped {
            return;
        }
    }
}
