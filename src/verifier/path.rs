//! The way that led to a rejection, and where on it a register got its value.

use super::log::{Entry, first_number};
use super::state::State;
use crate::insn::{AtomicOp, Insn, Op, Reg};

/// One instruction of the path, with the states before and after it where the log holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The index of its slot.
    pub index: usize,
    /// The kernel's text of it.
    pub text: &'a str,
    /// The state before it. On log level 1 the kernel prints it after some jumps only.
    pub before: Option<State<'a>>,
    /// The state that it changed, on the path that was verified first. Linux 5.17.
    pub after: Option<State<'a>>,
    /// Whether the other way of this branch was gone already.
    returned_to: bool,
}

/// Assembles the path. The verifier follows one path to its end, then goes back to the last branch whose other side
/// it has not followed; so entries before that and behind the branch belong to other paths.
pub(super) fn path<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<Step<'a>> {
    let mut path: Vec<Step<'a>> = Vec::new();
    let mut before = None;
    // After an `exit` or what is known to be safe the verifier goes somewhere else.
    let mut ended = false;
    for entry in entries {
        match entry {
            Entry::Instruction(traced) => {
                // Kernels before 5.17 do not print on level 2 from where they go on.
                if ended && !follows(&path, traced.index) {
                    cut(&mut path, |step| jump_target(step) == Some(traced.index));
                }
                ended = traced.text == "exit";
                path.push(Step {
                    index: traced.index,
                    text: traced.text,
                    before: before.take(),
                    after: (!traced.after.text().is_empty()).then_some(traced.after),
                    returned_to: false,
                });
            }
            Entry::Branch { from, state, .. } => {
                cut(&mut path, |step| step.index == from);
                before = Some(state);
                ended = false;
            }
            Entry::State { state, index } => {
                let last = path.last_mut();
                match (index, last) {
                    // Behind the instruction that it is about.
                    (None, Some(last)) if last.after.is_none() => last.after = Some(state),
                    _ => before = Some(state),
                }
            }
            Entry::Safe => ended = true,
            _ => {}
        }
    }
    path
}

/// Whether an instruction can be the one to be gone through after the last of the path: the caller's after `exit`
/// in a function that was called.
fn follows(path: &[Step<'_>], index: usize) -> bool {
    let mut open = 1;
    for step in path.iter().rev().skip(1) {
        if step.text == "exit" {
            open += 1;
        } else if is_local_call(step.text) {
            open -= 1;
            if open == 0 {
                return step.index + 1 == index;
            }
        }
    }
    false
}

fn is_local_call(text: &str) -> bool {
    text.starts_with("call pc")
}

/// Ends the path at the last step that it is about and whose other way was not gone yet; where there is none, a new
/// path begins.
fn cut(path: &mut Vec<Step<'_>>, mut is_it: impl FnMut(&Step<'_>) -> bool) {
    match path.iter().rposition(|step| !step.returned_to && is_it(step)) {
        Some(place) => {
            path.truncate(place + 1);
            if let Some(branch) = path.last_mut() {
                branch.returned_to = true;
                // That was about its other side.
                branch.after = None;
            }
        }
        None => path.clear(),
    }
}

/// The target of a conditional jump, `if r0 > 0x7 goto pc+2`.
fn jump_target(step: &Step<'_>) -> Option<usize> {
    let (_, distance) = step.text.split_once("goto pc")?;
    let magnitude: usize = first_number(distance.get(1..)?)?;
    let next = step.index + 1;
    if distance.starts_with('-') {
        next.checked_sub(magnitude)
    } else {
        next.checked_add(magnitude)
    }
}

/// The origin of a register's value at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It holds its value from the beginning of the program or function.
    Start,
    /// This instruction wrote it.
    Written(usize),
    /// This call left nothing in it.
    Lost(usize),
    /// Nothing wrote it.
    Never,
    /// The log does not hold it.
    Unknown,
}

/// A register's value and its origin at the last instruction of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Provenance<'a> {
    pub origin: Origin,
    /// The kernel's word for what it holds.
    pub value: Option<&'a str>,
}

/// Finds the origin of a register's value before the last instruction of the path.
pub(super) fn provenance<'a>(path: &[Step<'a>], slots: &[Insn], register: Reg) -> Provenance<'a> {
    let known =
        |state: Option<State<'a>>| state.and_then(|state| state.register(register.number()));
    let Some((failing, before)) = path.split_last() else {
        return Provenance { origin: Origin::Unknown, value: None };
    };
    let mut value = known(failing.before);
    let mut next = failing;
    // Functions that had been called and had returned, on the way back through them.
    let mut inside = 0;
    for step in before.iter().rev() {
        let Some(op) = slots.get(step.index..).and_then(|rest| Op::decode(rest).ok()) else {
            return Provenance { origin: Origin::Unknown, value };
        };
        let called = matches!(op, Op::CallLocal { .. });
        if inside > 0 {
            match op {
                Op::Exit => inside += 1,
                Op::CallLocal { .. } => inside -= 1,
                _ => {}
            }
            if inside > 0 {
                next = step;
                continue;
            }
        } else if op == Op::Exit {
            inside = 1;
            next = step;
            continue;
        } else if called && next.index != step.index + 1 {
            // This is the beginning of a function: its arguments came from further back.
            match register.number() {
                1..=5 => {}
                10 => return Provenance { origin: Origin::Start, value },
                _ => return Provenance { origin: Origin::Never, value },
            }
            value = value.or_else(|| known(step.before));
            next = step;
            continue;
        } else if matches!(op, Op::CallHelper { .. } | Op::CallKfunc { .. })
            && next.index != step.index + 1
        {
            // A function that a helper calls: its arguments are the helper's affair.
            return Provenance { origin: Origin::Unknown, value };
        }
        let origin = effect(op, register, step.index);
        value = value.or_else(|| known(step.after));
        if let Some(origin) = origin {
            let value = value.filter(|_| origin != Origin::Lost(step.index));
            return Provenance { origin, value };
        }
        value = value.or_else(|| known(step.before));
        next = step;
    }
    let whole = path.first().is_some_and(|first| first.index == 0);
    let origin = match (whole, register) {
        (false, _) => Origin::Unknown,
        (true, Reg::R1 | Reg::R10) => Origin::Start,
        (true, _) => Origin::Never,
    };
    Provenance { origin, value }
}

/// The effect of an instruction on a register, if any.
fn effect(op: Op, register: Reg, index: usize) -> Option<Origin> {
    match op {
        Op::CallHelper { .. }
        | Op::CallLocal { .. }
        | Op::CallKfunc { .. }
        | Op::CallRegister { .. }
        | Op::LoadPacket { .. } => match register.number() {
            0 => Some(Origin::Written(index)),
            1..=5 => Some(Origin::Lost(index)),
            _ => None,
        },
        _ => (written(op) == Some(register)).then_some(Origin::Written(index)),
    }
}

/// The register that an instruction other than a call writes.
fn written(op: Op) -> Option<Reg> {
    match op {
        Op::Alu { dst, .. }
        | Op::AluSigned { dst, .. }
        | Op::Neg { dst, .. }
        | Op::MoveSigned { dst, .. }
        | Op::AddrSpaceCast { dst, .. }
        | Op::Swap { dst, .. }
        | Op::Load { dst, .. }
        | Op::LoadSigned { dst, .. }
        | Op::LoadAcquire { dst, .. }
        | Op::LoadImm64 { dst, .. } => Some(dst),
        Op::Atomic { op: AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor, .. } => None,
        Op::Atomic { op: AtomicOp::CompareExchange, .. } => Some(Reg::R0),
        Op::Atomic { src, .. } => Some(src),
        _ => None,
    }
}

/// The registers that an instruction reads, those of its operands.
pub(super) fn read_by(op: Op) -> Vec<Reg> {
    use crate::insn::{AluOp, Source};
    let source = |src| match src {
        Source::Reg(reg) => vec![reg],
        Source::Imm(_) => Vec::new(),
    };
    match op {
        Op::Alu { op: AluOp::Mov, src, .. } => source(src),
        Op::Alu { dst, src, .. } | Op::AluSigned { dst, src, .. } | Op::JumpIf { dst, src, .. } => {
            let mut all = vec![dst];
            all.extend(source(src));
            all
        }
        Op::Neg { dst, .. } | Op::Swap { dst, .. } => vec![dst],
        Op::JumpRegister { dst } | Op::CallRegister { dst } => vec![dst],
        Op::MoveSigned { src, .. } | Op::AddrSpaceCast { src, .. } => vec![src],
        Op::Load { base, .. }
        | Op::LoadSigned { base, .. }
        | Op::LoadAcquire { base, .. }
        | Op::StoreImm { base, .. } => vec![base],
        Op::Store { base, src, .. }
        | Op::StoreRelease { base, src, .. }
        | Op::Atomic { base, src, .. } => vec![base, src],
        Op::LoadPacket { index, .. } => index.into_iter().collect(),
        Op::Exit => vec![Reg::R0],
        _ => Vec::new(),
    }
}
