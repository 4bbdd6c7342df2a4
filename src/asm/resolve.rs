//! Resolution of labels to distances.
//!
//! [`layout`] finds the position of every instruction; this module encodes the result and reports the errors.

mod chain;
mod layout;
#[cfg(test)]
mod tests;

use super::Line;
use crate::insn::{Insn, Op, Pseudo, Reg};
use layout::{Form, Layout};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The handling of a jump to a label that 16 bits cannot reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Far {
    /// It becomes `gotol`, and a conditional jump becomes one over a `gotol`. Linux 6.6. Only `may_goto` is refused.
    #[default]
    Long,
    /// It goes in steps of 16 bits: from one `goto` to the next, which stand in between and which other code jumps
    /// over. Any Linux. No more than some 4,000 labels can be reached over one position that way.
    Chain,
    /// It is an error.
    Refuse,
}

/// Options of [`Builder::finish`](super::Builder::finish).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BuildOptions {
    far: Far,
}

impl BuildOptions {
    /// The defaults: [`Far::Long`].
    pub const fn new() -> BuildOptions {
        BuildOptions { far: Far::Long }
    }

    /// Sets the handling of jumps that do not reach.
    pub const fn far(mut self, far: Far) -> BuildOptions {
        self.far = far;
        self
    }
}

/// An error that keeps code from being finished. Labels are shown by their names, in backquotes, or by their
/// numbers; `span` is the range that [`Builder::at`](super::Builder::at) set last before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// An instruction refers to a label that is not bound.
    #[error("label {label} is not defined")]
    Undefined {
        /// The label.
        label: String,
        /// The instruction that refers to it.
        span: Option<Range<u32>>,
    },
    /// A label is bound to two positions.
    #[error("label {label} is defined twice")]
    BoundTwice {
        /// The label.
        label: String,
        /// The second position.
        span: Option<Range<u32>>,
    },
    /// A label of another builder is used.
    #[error("the label at instruction {instruction} belongs to another builder")]
    Foreign {
        /// The number of instructions pushed before.
        instruction: usize,
        /// The place of its use.
        span: Option<Range<u32>>,
    },
    /// A jump does not reach its label.
    #[error("the {jump} to {label} spans {distance} slots, more than 16 bits can say")]
    TooFar {
        /// `goto`, `may_goto`.
        jump: &'static str,
        /// The label.
        label: String,
        /// Slots from the next instruction.
        distance: i64,
        /// The position of the jump.
        span: Option<Range<u32>>,
    },
    /// A jump by a number crosses a jump to a label that is too far and had to grow.
    #[error(
        "the jump by {offset} leads over a jump to a label that is made to reach: {distance} slots now"
    )]
    Shifted {
        /// The number.
        offset: i64,
        /// The number that it would need now.
        distance: i64,
        /// The position of the jump by a number.
        span: Option<Range<u32>>,
    },
    /// The code has more slots than a distance of 32 bits can express.
    #[error("the code has {slots} slots, more than 32 bits can say")]
    TooLarge {
        /// The number of slots.
        slots: i64,
    },
}

impl ResolveError {
    /// Returns the range in the text that it is about, if one was set.
    pub fn span(&self) -> Option<Range<u32>> {
        match self {
            ResolveError::Undefined { span, .. }
            | ResolveError::BoundTwice { span, .. }
            | ResolveError::Foreign { span, .. }
            | ResolveError::TooFar { span, .. }
            | ResolveError::Shifted { span, .. } => span.clone(),
            ResolveError::TooLarge { .. } => None,
        }
    }
}

/// All errors that keep code from being finished: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveErrors(Vec<ResolveError>);

impl ResolveErrors {
    pub(super) fn one(error: ResolveError) -> ResolveErrors {
        ResolveErrors(vec![error])
    }

    /// Iterates over the errors.
    pub fn iter(&self) -> std::slice::Iter<'_, ResolveError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ResolveErrors {
    type Item = &'a ResolveError;
    type IntoIter = std::slice::Iter<'a, ResolveError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ResolveErrors {
    /// Writes one error a line, and of many the first ten: code that is too large has thousands of jumps that do not
    /// reach.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        for (i, error) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for ResolveErrors {}

/// One instruction as it was pushed, and the index of the label it leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub op: Op,
    pub label: Option<u32>,
}

/// A label: its name, and the slot before which it is while all jumps are short.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub name: Option<Cow<'a, str>>,
    pub slot: Option<u32>,
}

impl Place<'_> {
    /// Returns its name as messages show it.
    pub(super) fn called(&self, index: u32) -> String {
        match &self.name {
            Some(name) => format!("`{name}`"),
            None => format!("number {index}"),
        }
    }
}

/// The pushed instructions and labels, before any layout.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub units: Vec<Unit>,
    /// The first slot of each unit while all jumps are short, and the slot after the last.
    pub origins: Vec<u32>,
    pub labels: &'a [Place<'a>],
    pub lines: &'a [Line],
}

/// The limits of the layout. Tests use smaller ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The greatest forward distance of a jump of 16 bits; backward it reaches one slot farther.
    pub reach: i64,
    /// The most slots.
    pub slots: i64,
}

impl Limits {
    pub(super) const REAL: Limits = Limits { reach: i16::MAX as i64, slots: i32::MAX as i64 };

    fn reaches(self, distance: i64) -> bool {
        -self.reach - 1 <= distance && distance <= self.reach
    }
}

/// Slots, and the slot at which each unit begins.
#[derive(Debug)]
pub(super) struct Resolved {
    pub slots: Vec<Insn>,
    pub starts: Vec<u32>,
}

/// Resolves every jump to its label. `mistakes` are errors found earlier.
pub(super) fn resolve(
    draft: &Draft<'_>,
    options: &BuildOptions,
    limits: Limits,
    mistakes: &[ResolveError],
) -> Result<Resolved, ResolveErrors> {
    let mut layout = Layout::new(draft, options.far, limits);
    layout.settle();
    let slots = layout.slots();
    if slots > limits.slots {
        return Err(ResolveErrors::one(ResolveError::TooLarge { slots }));
    }
    let mut writer = Writer { layout: &layout, slots: Vec::new(), errors: mistakes.to_vec() };
    for unit in 0..draft.units.len() {
        writer.island_before(unit);
        writer.unit(unit);
    }
    let Writer { slots, errors, .. } = writer;
    if !errors.is_empty() {
        return Err(ResolveErrors(errors));
    }
    // No start is beyond the last slot, and that has 31 bits.
    Ok(Resolved { slots, starts: layout.starts.iter().map(|start| *start as u32).collect() })
}

/// Encodes a settled layout.
struct Writer<'a> {
    layout: &'a Layout<'a>,
    slots: Vec<Insn>,
    errors: Vec<ResolveError>,
}

impl Writer<'_> {
    /// Writes a unit in the form that the layout gave it.
    fn unit(&mut self, index: usize) {
        let draft = self.layout.draft;
        let Some(unit) = draft.units.get(index) else { return };
        let Some(label) = unit.label else {
            self.check_number(index, unit.op);
            return self.op(unit.op);
        };
        let Some(target) = self.layout.target(label) else {
            self.errors.push(ResolveError::Undefined {
                label: draft.called(label),
                span: draft.span(index),
            });
            return;
        };
        let start = self.layout.start(index);
        match (self.layout.form(index), unit.op) {
            (Form::Short, op) => self.point(op, start, self.layout.start(target), label, index),
            (Form::Chained, op) => {
                let first = self.layout.chain.first(index, target);
                let step = first.and_then(|island| self.layout.chain.step(island, label));
                // If the island is full, the jump stays long.
                let to = step.unwrap_or_else(|| self.layout.start(target));
                self.point(op, start, to, label, index);
            }
            (Form::Inverted(condition), Op::JumpIf { bits, dst, src, .. }) => {
                self.op(Op::JumpIf { bits, condition, dst, src, offset: 1 });
                self.long(start + 1, target, label, index);
            }
            (Form::Around, Op::JumpIf { bits, condition, dst, src, .. }) => {
                self.op(Op::JumpIf { bits, condition, dst, src, offset: 1 });
                self.op(Op::Jump { offset: 1 });
                self.long(start + 2, target, label, index);
            }
            (Form::Long | Form::Inverted(_) | Form::Around, _) => {
                self.long(start, target, label, index);
            }
        }
    }

    fn op(&mut self, op: Op) {
        self.slots.extend_from_slice(op.encode().as_slice());
    }

    fn long(&mut self, from: i64, target: usize, label: u32, unit: usize) {
        self.point(Op::JumpLong { offset: 0 }, from, self.layout.start(target), label, unit);
    }

    /// Writes an instruction in slot `from` that refers to slot `to`, as the next step to `label`.
    fn point(&mut self, op: Op, from: i64, to: i64, label: u32, unit: usize) {
        match pointed(op, to - from - 1, self.layout.limits) {
            Some(op) => self.op(op),
            None => self.too_far(op, from, label, unit),
        }
    }

    fn too_far(&mut self, op: Op, from: i64, label: u32, unit: usize) {
        let target = self.layout.target(label).map_or(0, |target| self.layout.start(target));
        let draft = self.layout.draft;
        self.errors.push(ResolveError::TooFar {
            jump: if matches!(op, Op::MayJump { .. }) { "may_goto" } else { "goto" },
            label: draft.called(label),
            distance: target - from - 1,
            span: draft.span(unit),
        });
    }

    /// Writes the chain steps that are placed before a unit.
    fn island_before(&mut self, unit: usize) {
        let Some((number, island)) = self.layout.chain.before(unit) else { return };
        let mut from = island.start;
        if island.is_jumped_over() {
            // An island is an eighth of the reach, so this is always `Some`.
            let over = Op::Jump { offset: 0 };
            let past = pointed(over, island.labels.len() as i64, self.layout.limits);
            self.op(past.unwrap_or(over));
            from += 1;
        }
        for label in &island.labels {
            let Some(target) = self.layout.target(*label) else { continue };
            let next = self.layout.chain.onward(number, target);
            let step = next.and_then(|next| self.layout.chain.step(next, *label));
            let to = step.unwrap_or_else(|| self.layout.start(target));
            self.point(Op::Jump { offset: 0 }, from, to, *label, unit);
            from += 1;
        }
    }

    /// Checks a jump by a number, which counts slots as they were pushed: it must still lead to the same
    /// instruction.
    fn check_number(&mut self, unit: usize, op: Op) {
        let layout = self.layout;
        let Some(offset) = number(op).filter(|_| layout.has_grown()) else { return };
        let Some(to) = layout.moved(layout.origin(unit) + 1 + offset) else { return };
        let distance = to - layout.start(unit) - 1;
        if distance != offset {
            let span = layout.draft.span(unit);
            self.errors.push(ResolveError::Shifted { offset, distance, span });
        }
    }
}

impl Draft<'_> {
    /// Returns the range in the source that a unit comes from.
    fn span(&self, unit: usize) -> Option<Range<u32>> {
        let slot = *self.origins.get(unit)?;
        let after = self.lines.partition_point(|line| line.slot <= slot);
        self.lines.get(after.checked_sub(1)?).map(|line| line.start..line.end)
    }

    /// The unit that begins at a slot.
    pub(super) fn unit(&self, slot: u32) -> usize {
        self.origins.partition_point(|origin| *origin < slot)
    }

    fn called(&self, label: u32) -> String {
        match self.labels.get(label as usize) {
            Some(place) => place.called(label),
            None => format!("number {label}"),
        }
    }
}

/// The offset of an instruction that refers to another slot, counted from the next slot.
fn number(op: Op) -> Option<i64> {
    match op {
        Op::Jump { offset } | Op::MayJump { offset } | Op::JumpIf { offset, .. } => {
            Some(i64::from(offset))
        }
        Op::JumpLong { offset } | Op::CallLocal { offset } => Some(i64::from(offset)),
        Op::LoadImm64 { kind: Pseudo::Function, low, .. } => Some(i64::from(low)),
        _ => None,
    }
}

/// Returns the instruction with that distance; `None` if its field does not hold it.
pub(super) fn pointed(op: Op, distance: i64, limits: Limits) -> Option<Op> {
    let short = i16::try_from(distance).ok().filter(|_| limits.reaches(distance));
    let long = i32::try_from(distance).ok();
    Some(match op {
        Op::Jump { .. } => Op::Jump { offset: short? },
        Op::MayJump { .. } => Op::MayJump { offset: short? },
        Op::JumpIf { bits, condition, dst, src, .. } => {
            Op::JumpIf { bits, condition, dst, src, offset: short? }
        }
        Op::JumpLong { .. } => Op::JumpLong { offset: long? },
        Op::CallLocal { .. } => Op::CallLocal { offset: long? },
        Op::LoadImm64 { dst, kind: Pseudo::Function, high, .. } => {
            Op::LoadImm64 { dst, kind: Pseudo::Function, low: long?, high }
        }
        other => other,
    })
}

/// Sets the distance in an encoded slot, without decoding it: for jumps of 16 bits it is the offset, for calls,
/// `gotol` and addresses of functions the immediate.
pub(super) fn pointed_slot(slot: Insn, distance: i64, limits: Limits) -> Option<Insn> {
    const LONG: u8 = Op::JumpLong { offset: 0 }.encode().first().opcode();
    const CALL: u8 = Op::CallLocal { offset: 0 }.encode().first().opcode();
    const LDDW: u8 = Op::load_imm64(Reg::R0, 0).encode().first().opcode();
    if matches!(slot.opcode(), LONG | CALL | LDDW) {
        return i32::try_from(distance).ok().map(|distance| slot.with_imm(distance));
    }
    let short = i16::try_from(distance).ok().filter(|_| limits.reaches(distance));
    short.map(|distance| slot.with_offset(distance))
}
