//! From labels to distances.
//!
//! The offset of a jump has 16 bits. A jump to a label that is farther away is made of more than one instruction, which
//! moves what comes after it, so that other jumps may no longer reach. The layout therefore starts with every
//! jump short and goes over the code again and again; what did not reach once stays long. That ends, because
//! jumps only ever grow.

use crate::insn::{Insn, Op, Pseudo};
use std::fmt;
use std::ops::Range;

/// What is done about a jump to a label that 16 bits cannot reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Far {
    /// It becomes `gotol`, and a conditional jump becomes one over a `gotol`. Linux 6.6
    #[default]
    Long,
    /// It is an error.
    Refuse,
}

/// How [`Builder::finish`](super::Builder::finish) does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BuildOptions {
    far: Far,
}

impl BuildOptions {
    /// The defaults: [`Far::Long`].
    pub const fn new() -> BuildOptions {
        BuildOptions { far: Far::Long }
    }

    /// What is done about jumps that do not reach.
    pub const fn far(mut self, far: Far) -> BuildOptions {
        self.far = far;
        self
    }
}

/// Something that keeps code from being finished. Labels are called by their names, in backquotes, or by their
/// numbers; `span` is what [`Builder::at`](super::Builder::at) said last before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Something leads to a label that stands nowhere.
    #[error("label {label} is not defined")]
    Undefined {
        /// The label.
        label: String,
        /// What leads there.
        span: Option<Range<u32>>,
    },
    /// A label stands at two places.
    #[error("label {label} is defined twice")]
    BoundTwice {
        /// The label.
        label: String,
        /// The second place.
        span: Option<Range<u32>>,
    },
    /// A label that another builder made.
    #[error("the label at instruction {instruction} belongs to another builder")]
    Foreign {
        /// How many instructions were pushed before.
        instruction: usize,
        /// Where.
        span: Option<Range<u32>>,
    },
    /// A jump that does not reach.
    #[error("the {jump} to {label} spans {distance} slots, more than 16 bits can say")]
    TooFar {
        /// `goto`, `may_goto`.
        jump: &'static str,
        /// The label.
        label: String,
        /// Slots from the next instruction.
        distance: i64,
        /// The jump.
        span: Option<Range<u32>>,
    },
    /// A jump by a number leads over a jump to a label that is too far and had to grow.
    #[error(
        "the jump by {offset} leads over code that grows by {by} slots for a jump that is too far: use a label"
    )]
    Shifted {
        /// The number.
        offset: i64,
        /// How much farther it is now.
        by: i64,
        /// The jump by a number.
        span: Option<Range<u32>>,
    },
    /// More slots than a distance of 32 bits can express.
    #[error("the code has {slots} slots, more than 32 bits can say")]
    TooLarge {
        /// How many.
        slots: usize,
    },
}

impl ResolveError {
    /// Where in the text it is, if that was told.
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

/// Everything that keeps code from being finished: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveErrors(Vec<ResolveError>);

impl ResolveErrors {
    /// Each.
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
    /// One a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ResolveErrors {}

/// One instruction as it was pushed, and the index of the label it leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub op: Op,
    pub label: Option<u32>,
}

/// A label: its name, and the unit before which it stands.
#[derive(Debug)]
pub(super) struct Place {
    pub name: Option<String>,
    pub unit: Option<usize>,
}

impl Place {
    /// How messages call it.
    pub(super) fn called(&self, index: u32) -> String {
        match &self.name {
            Some(name) => format!("`{name}`"),
            None => format!("number {index}"),
        }
    }
}

/// What was built, before anything is known of distances.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub units: &'a [Unit],
    pub labels: &'a [Place],
    pub lines: &'a [(usize, Range<u32>)],
}

/// Slots, and the slot at which each unit begins.
#[derive(Debug)]
pub(super) struct Resolved {
    pub slots: Vec<Insn>,
    pub starts: Vec<u32>,
}

/// Points every jump at its label.
pub(super) fn resolve(
    draft: &Draft<'_>,
    _options: &BuildOptions,
    mistakes: &[ResolveError],
) -> Result<Resolved, ResolveErrors> {
    let mut errors = mistakes.to_vec();
    let mut starts = Vec::with_capacity(draft.units.len() + 1);
    let mut next = 0u32;
    starts.push(0);
    for unit in draft.units {
        next = next.saturating_add(unit.op.encode().count() as u32);
        starts.push(next);
    }
    let mut slots = Vec::new();
    for (i, unit) in draft.units.iter().enumerate() {
        let Some(label) = unit.label else {
            slots.extend_from_slice(unit.op.encode().as_slice());
            continue;
        };
        let place = draft.labels.get(label as usize);
        let target = place.and_then(|p| p.unit).and_then(|u| starts.get(u));
        let (Some(place), Some(target)) = (place, target) else {
            let label =
                place.map_or_else(|| format!("number {label}"), |place| place.called(label));
            errors.push(ResolveError::Undefined { label, span: draft.span(i) });
            continue;
        };
        let from = starts.get(i).copied().unwrap_or_default();
        let distance = i64::from(*target) - i64::from(from) - 1;
        match pointed(unit.op, distance) {
            Some(op) => slots.extend_from_slice(op.encode().as_slice()),
            None => errors.push(ResolveError::TooFar {
                jump: word(unit.op),
                label: place.called(label),
                distance,
                span: draft.span(i),
            }),
        }
    }
    if errors.is_empty() { Ok(Resolved { slots, starts }) } else { Err(ResolveErrors(errors)) }
}

impl Draft<'_> {
    /// Where in the source a unit comes from.
    fn span(&self, unit: usize) -> Option<Range<u32>> {
        let after = self.lines.partition_point(|(first, _)| *first <= unit);
        self.lines.get(after.checked_sub(1)?).map(|(_, span)| span.clone())
    }
}

/// The instruction over that distance; `None` if its field does not hold it.
fn pointed(op: Op, distance: i64) -> Option<Op> {
    Some(match op {
        Op::Jump { .. } => Op::Jump { offset: i16::try_from(distance).ok()? },
        Op::MayJump { .. } => Op::MayJump { offset: i16::try_from(distance).ok()? },
        Op::JumpIf { bits, condition, dst, src, .. } => {
            Op::JumpIf { bits, condition, dst, src, offset: i16::try_from(distance).ok()? }
        }
        Op::JumpLong { .. } => Op::JumpLong { offset: i32::try_from(distance).ok()? },
        Op::CallLocal { .. } => Op::CallLocal { offset: i32::try_from(distance).ok()? },
        Op::LoadImm64 { dst, kind: Pseudo::Function, high, .. } => {
            let low = i32::try_from(distance).ok()?;
            Op::LoadImm64 { dst, kind: Pseudo::Function, low, high }
        }
        other => other,
    })
}

/// What messages call a jump.
fn word(op: Op) -> &'static str {
    match op {
        Op::MayJump { .. } => "may_goto",
        Op::JumpLong { .. } => "gotol",
        Op::CallLocal { .. } => "call",
        Op::JumpIf { .. } => "conditional goto",
        _ => "goto",
    }
}
