//! Loops that do not end: which jump closes them.

use super::path::Step;
use super::state::State;
use crate::insn::{Insn, Op, Pseudo};
use std::collections::BTreeMap;

/// Returns the step of the path, by its index there, whose jump closes the infinite loop that the verifier found when
/// it came to `slot` again, in this state (printed since Linux 6.3).
pub(super) fn closing_jump(
    path: &[Step<'_>],
    slots: &[Insn],
    slot: usize,
    state: Option<State<'_>>,
) -> Option<usize> {
    let cycle = cycle(path, slot, state)?;
    let steps = path.get(cycle..)?;
    let targets = steps.iter().skip(1).map(|step| step.index).chain([slot]);
    let back = steps
        .iter()
        .zip(targets)
        .enumerate()
        .filter(|(_, (step, target))| *target <= step.index && jumps(slots, step.index));
    // Loops within it ended: the one that goes back farthest did not.
    let (at, _) =
        back.min_by_key(|(_, (step, target))| (*target, std::cmp::Reverse(step.index)))?;
    Some(cycle + at)
}

fn jumps(slots: &[Insn], slot: usize) -> bool {
    let op = slots.get(slot..).and_then(|rest| Op::decode(rest).ok());
    op.is_some_and(|op| matches!(op, Op::Jump { .. } | Op::JumpLong { .. } | Op::JumpIf { .. }))
}

/// Returns the index in the path of the last visit to the slot in this state. If the state is not in the log, it is the
/// first visit: then loops within loops are taken to end.
fn cycle(path: &[Step<'_>], slot: usize, state: Option<State<'_>>) -> Option<usize> {
    let Some(state) = state else {
        return path.iter().position(|step| step.index == slot);
    };
    // The states in which the slot was reached each time.
    let mut known: Known = BTreeMap::new();
    let mut visits = Vec::new();
    let mut left = path.iter().filter(|step| step.index == slot).count();
    for (at, step) in path.iter().enumerate() {
        learn(&mut known, step.before);
        if step.index == slot {
            // Of a loop that takes long only the last rounds matter.
            if left <= VISITS {
                visits.push((at, known.clone()));
            }
            left -= 1;
        }
        learn(&mut known, step.after);
    }
    let same = |before: &Known| {
        state.values().all(|(name, value)| {
            let known = before.get(&(state.frame(), name.to_owned()));
            known.is_none_or(|known| *known == without_numbers(value))
        })
    };
    visits.into_iter().rev().find(|(_, before)| same(before)).map(|(at, _)| at)
}

/// Values by frame and name.
type Known = BTreeMap<(u32, String), String>;

/// The largest number of visits to a slot that are compared.
const VISITS: usize = 64;

fn learn(known: &mut Known, state: Option<State<'_>>) {
    let Some(state) = state else { return };
    for (name, value) in state.values() {
        known.insert((state.frame(), name.to_owned()), without_numbers(value));
    }
}

/// A value without what differs from round to round: `P` for what was compared, and the numbers of identities.
fn without_numbers(value: &str) -> String {
    let value = value.strip_prefix('P').unwrap_or(value);
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("id=") {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

/// Returns the jump that keeps the program from ever getting to the slot right behind it: from there no `exit` is reached.
pub(super) fn endless_jump_before(slots: &[Insn], slot: usize) -> Option<usize> {
    let reached = reachable(&successors(slots, true), 0);
    let before = (0..slot).rev().find(|at| reached.get(*at) == Some(&true))?;
    let from = reachable(&successors(slots, false), before);
    let exits = from.iter().enumerate().any(|(at, reached)| {
        *reached && slots.get(at..).and_then(|rest| Op::decode(rest).ok()) == Some(Op::Exit)
    });
    (!exits && jumps(slots, before)).then_some(before)
}

/// The successors of each slot; also into functions, or over calls as if each returned.
fn successors(slots: &[Insn], calls: bool) -> Vec<[Option<usize>; 2]> {
    let mut next = vec![[None, None]; slots.len()];
    let mut at = 0;
    while let Some(op) = slots.get(at..).and_then(|rest| Op::decode(rest).ok()) {
        let after = at + op.slots();
        let go = |distance: i64| usize::try_from(at as i64 + 1 + distance).ok();
        let places = match op {
            Op::Exit | Op::JumpRegister { .. } => [None, None],
            Op::Jump { offset } => [go(offset.into()), None],
            Op::JumpLong { offset } => [go(offset.into()), None],
            Op::JumpIf { offset, .. } | Op::MayJump { offset } => [Some(after), go(offset.into())],
            Op::CallLocal { offset } if calls => [Some(after), go(offset.into())],
            Op::LoadImm64 { kind: Pseudo::Function, low, .. } if calls => {
                [Some(after), go(low.into())]
            }
            _ => [Some(after), None],
        };
        if let Some(entry) = next.get_mut(at) {
            *entry = places;
        }
        at = after;
    }
    next
}

fn reachable(next: &[[Option<usize>; 2]], from: usize) -> Vec<bool> {
    let mut reached = vec![false; next.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        match reached.get_mut(at) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        open.extend(next.get(at).into_iter().flatten().flatten());
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::verifier::VerifierLog;

    #[test]
    fn the_jump_of_the_loop_that_does_not_end() {
        // The inner loop ends each time; the outer one does not.
        let code = bpf! {
            r6 = 0;
            r7 = 0;
        outer:
            r7 = 0;
        inner:
            r7 += 1;
            if r7 < 3 goto inner;
            if r6 == 0 goto outer;
            exit;
        };
        let log = "0: (b7) r6 = 0 ; R6=0\n1: (b7) r7 = 0 ; R7=0\n2: (b7) r7 = 0 ; R7=0\n\
            3: (07) r7 += 1 ; R7=1\n4: (a5) if r7 < 0x3 goto pc-2 ; R7=1\n\
            3: (07) r7 += 1 ; R7=2\n4: (a5) if r7 < 0x3 goto pc-2 ; R7=2\n\
            3: (07) r7 += 1 ; R7=3\n4: (a5) if r7 < 0x3 goto pc-2 ; R7=3\n\
            5: (15) if r6 == 0x0 goto pc-4 ; R6=0\n2: (b7) r7 = 0 ; R7=0\n\
            3: (07) r7 += 1 ; R7=1\n4: (a5) if r7 < 0x3 goto pc-2 ; R7=1\n\
            3: (07) r7 += 1 ; R7=2\n4: (a5) if r7 < 0x3 goto pc-2 ; R7=2\n\
            infinite loop detected at insn 3\n";
        let path = VerifierLog::new(log).path();
        let jump = |slot, state: Option<&'static str>| {
            let state = state.and_then(State::read);
            closing_jump(&path, code.slots, slot, state).map(|step| path[step].index)
        };
        assert_eq!(jump(3, Some("R6=0 R7=2 R10=fp0")), Some(5));
        // The same, had the verifier come there from the inner loop in the same state.
        assert_eq!(jump(3, Some("R6=0 R7=1 R10=fp0")), Some(4));
        assert_eq!(jump(3, None), Some(5));
        assert_eq!((jump(6, None), jump(6, Some("R6=0"))), (None, None));
        assert_eq!(closing_jump(&[], code.slots, 0, None), None);
    }

    #[test]
    fn identities_and_marks_do_not_matter() {
        assert_eq!(without_numbers("P0"), "0");
        assert_eq!(without_numbers("scalar(id=12,umax=7)"), "scalar(,umax=7)");
    }

    #[test]
    fn what_keeps_a_slot_from_being_reached() {
        let endless = bpf! { r0 = 0; l: goto l; exit; };
        assert_eq!(endless_jump_before(endless.slots, 2), Some(1));
        let branched =
            bpf! { r0 = 0; if r1 == 0 goto x; a: r2 = 1; goto a; x: exit; r3 = 4; exit; };
        assert_eq!(endless_jump_before(branched.slots, 5), None);
        let called = bpf! { call f; exit; f: r0 = 0; l: goto l; r0 = 1; exit; };
        assert_eq!(endless_jump_before(called.slots, 4), Some(3));
        let skipped = bpf! { r0 = 0; goto x; r0 = 1; x: exit; };
        assert_eq!(endless_jump_before(skipped.slots, 2), None);
    }
}
