//! A builder for code made at run time: instructions as values, labels as values.

use super::resolve::{
    BuildOptions, Draft, Limits, Place, ResolveError, ResolveErrors, Unit, resolve,
};
use super::{Code, Line, MapReference};
use crate::insn::{Bits, Condition, Insn, Op, Pseudo, Reg, Source};
use crate::spec::MapSpec;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Puts a program together at run time.
///
/// Instructions are values of [`Op`], every one of which has an encoding; what jumps, calls and maps refer to are
/// [`Label`]s and [`MapSpec`]s. So there is no way to write an instruction that is none. What can still be wrong, a
/// label that stands nowhere, say, is told by [`finish`](Builder::finish), all of it at once.
///
/// ```
/// use rawbpf::asm::{BuildOptions, Builder};
/// use rawbpf::insn::{AluOp, Bits, Condition, Op, Reg, Source};
/// use rawbpf::{ProgramSpec, ProgramType};
///
/// /// r0 = 1 + 2 + … + last, in a loop.
/// fn sum(last: i32) -> Builder<'static> {
///     let bits = Bits::B64;
///     let set = |dst, value| Op::Alu { bits, op: AluOp::Mov, dst, src: Source::Imm(value) };
///     let add = |dst, src| Op::Alu { bits, op: AluOp::Add, dst, src };
///
///     let mut builder = Builder::new();
///     let (again, out) = (builder.label(), builder.label());
///     builder
///         .push(set(Reg::R0, 0))
///         .push(set(Reg::R1, 0))
///         .bind(again)
///         .jump_if(bits, Condition::SignedGe, Reg::R1, Source::Imm(last), out)
///         .push(add(Reg::R1, Source::Imm(1)))
///         .push(add(Reg::R0, Source::Reg(Reg::R1)))
///         .jump(again)
///         .bind(out)
///         .push(Op::Exit);
///     builder
/// }
///
/// let assembly = sum(10).finish(&BuildOptions::new())?;
/// let spec = ProgramSpec::new("sum", ProgramType::SocketFilter, assembly.code());
/// assert_eq!(spec.code.slots.len(), 7);
/// assert_eq!(spec.code.slots[2].offset(), 3);
/// assert_eq!(spec.code.slots[5].offset(), -4);
/// # Ok::<(), rawbpf::asm::ResolveErrors>(())
/// ```
///
/// A jump to a label that is too far for the 16 bits of its offset becomes several instructions that reach, or is
/// refused: see [`Far`](super::Far).
#[derive(Debug)]
pub struct Builder<'a> {
    /// What tells its labels from those of others.
    id: u32,
    units: Vec<Unit>,
    labels: Vec<Place>,
    /// The maps that `lddw`s refer to, by the index of the unit.
    maps: Vec<(usize, &'a MapSpec<'a>)>,
    /// Where in the source units begin to come from, by the index of the first.
    lines: Vec<(usize, Range<u32>)>,
    span: Option<Range<u32>>,
    mistakes: Vec<ResolveError>,
}

/// A place in the code of one [`Builder`], which instructions can refer to before it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    builder: u32,
    index: u32,
}

impl Default for Builder<'_> {
    fn default() -> Self {
        Builder::new()
    }
}

impl<'a> Builder<'a> {
    /// A builder with no instructions.
    pub fn new() -> Builder<'a> {
        // Only so that a label knows where it belongs. Nothing depends on the order, and it takes four
        // thousand million builders until two have the same number.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Builder {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            units: Vec::new(),
            labels: Vec::new(),
            maps: Vec::new(),
            lines: Vec::new(),
            span: None,
            mistakes: Vec::new(),
        }
    }

    /// How many instructions were pushed.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// A new label, which is to be bound to a place with [`bind`](Builder::bind). Messages call it by its number.
    pub fn label(&mut self) -> Label {
        self.new_label(None)
    }

    /// A new label with a name for messages. Two labels of one name are still two.
    pub fn label_named(&mut self, name: impl Into<String>) -> Label {
        self.new_label(Some(name.into()))
    }

    fn new_label(&mut self, name: Option<String>) -> Label {
        // Memory ends before the numbers do. If not, the last number belongs to no label.
        let index = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        self.labels.push(Place { name, unit: None });
        Label { builder: self.id, index }
    }

    /// Puts the label here, before the next instruction.
    pub fn bind(&mut self, label: Label) -> &mut Self {
        let (here, span) = (self.units.len(), self.span.clone());
        let mistake = match self.place(label) {
            None => ResolveError::Foreign { instruction: here, span },
            Some(place) if place.unit.is_some() => {
                ResolveError::BoundTwice { label: place.called(label.index), span }
            }
            Some(place) => {
                place.unit = Some(here);
                return self;
            }
        };
        self.mistakes.push(mistake);
        self
    }

    fn place(&mut self, label: Label) -> Option<&mut Place> {
        if label.builder != self.id {
            return None;
        }
        self.labels.get_mut(label.index as usize)
    }

    /// Where in the text ([`Assembly::with_source`]) the next instructions come from, bytes; until this is called
    /// again.
    pub fn at(&mut self, span: Range<u32>) -> &mut Self {
        let next = self.units.len();
        // The last word before an instruction is what counts.
        if self.lines.last().is_some_and(|(unit, _)| *unit == next) {
            self.lines.pop();
        }
        self.lines.push((next, span.clone()));
        self.span = Some(span);
        self
    }

    /// An instruction as it is. The offset of a jump is what it says, in slots of the finished code; if a jump to a
    /// label grows in between, so that the number would lead elsewhere than it did here, that is an error.
    pub fn push(&mut self, op: Op) -> &mut Self {
        self.units.push(Unit { op, label: None });
        self
    }

    /// An instruction whose offset is to lead to a label. One that is not a jump or a call stays as it is.
    pub(super) fn push_to(&mut self, op: Op, label: Label) -> &mut Self {
        if self.place(label).is_some() {
            self.units.push(Unit { op, label: Some(label.index) });
        } else {
            let (instruction, span) = (self.units.len(), self.span.clone());
            self.mistakes.push(ResolveError::Foreign { instruction, span });
            self.units.push(Unit { op, label: None });
        }
        self
    }

    /// `goto label`.
    pub fn jump(&mut self, label: Label) -> &mut Self {
        self.push_to(Op::Jump { offset: 0 }, label)
    }

    /// `gotol label`, however near it is. Linux 6.6
    pub fn jump_long(&mut self, label: Label) -> &mut Self {
        self.push_to(Op::JumpLong { offset: 0 }, label)
    }

    /// `may_goto label`. Linux 6.9
    pub fn may_jump(&mut self, label: Label) -> &mut Self {
        self.push_to(Op::MayJump { offset: 0 }, label)
    }

    /// `if dst condition src goto label`.
    pub fn jump_if(
        &mut self,
        bits: Bits,
        condition: Condition,
        dst: Reg,
        src: Source,
        label: Label,
    ) -> &mut Self {
        self.push_to(Op::JumpIf { bits, condition, dst, src, offset: 0 }, label)
    }

    /// `call label`: a function of this program. Linux 4.16
    pub fn call(&mut self, label: Label) -> &mut Self {
        self.push_to(Op::CallLocal { offset: 0 }, label)
    }

    /// The address of a function of this program, for a helper to call. Two slots. Linux 5.13
    pub fn load_function(&mut self, dst: Reg, label: Label) -> &mut Self {
        self.push_to(Op::LoadImm64 { dst, kind: Pseudo::Function, low: 0, high: 0 }, label)
    }

    /// The address of a map, which is created when the program is loaded. Two slots.
    pub fn load_map(&mut self, dst: Reg, map: &'a MapSpec<'a>) -> &mut Self {
        self.maps.push((self.units.len(), map));
        self.push(Op::LoadImm64 { dst, kind: Pseudo::MapFd, low: 0, high: 0 })
    }

    /// The address of the byte at `offset` in the value of an array of one element. Two slots. Linux 5.2
    pub fn load_map_value(&mut self, dst: Reg, map: &'a MapSpec<'a>, offset: u32) -> &mut Self {
        self.maps.push((self.units.len(), map));
        self.push(Op::LoadImm64 { dst, kind: Pseudo::MapValue, low: 0, high: offset as i32 })
    }

    /// Points every jump at its label, and encodes.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn finish(&self, options: &BuildOptions) -> Result<Assembly<'a>, ResolveErrors> {
        self.finish_within(options, Limits::REAL)
    }

    /// [`finish`](Builder::finish) with other limits, so that little code can be too far from itself.
    pub(super) fn finish_within(
        &self,
        options: &BuildOptions,
        limits: Limits,
    ) -> Result<Assembly<'a>, ResolveErrors> {
        let resolved = resolve(&self.draft(), options, limits, &self.mistakes)?;
        // Slots are fewer than 2^31, and each unit has its start: neither loses anything here.
        let slot = |unit: usize| resolved.starts.get(unit).copied().unwrap_or_default();
        let maps =
            self.maps.iter().map(|(unit, map)| MapReference { slot: slot(*unit), map }).collect();
        let lines = self
            .lines
            .iter()
            .filter(|(unit, _)| *unit < self.units.len())
            .map(|(unit, span)| Line { slot: slot(*unit), start: span.start, end: span.end })
            .collect();
        Ok(Assembly { slots: resolved.slots, maps, lines, text: "", file: "", line: 0 })
    }

    pub(super) fn draft(&self) -> Draft<'_> {
        Draft { units: &self.units, labels: &self.labels, lines: &self.lines }
    }
}

/// Finished code, which lends itself as [`Code`].
#[derive(Debug, Clone)]
pub struct Assembly<'a> {
    slots: Vec<Insn>,
    maps: Vec<MapReference<'a>>,
    lines: Vec<Line>,
    text: &'a str,
    file: &'a str,
    line: u32,
}

impl<'a> Assembly<'a> {
    /// The same with the text that [`Builder::at`] spoke of, the file in which it stands, and the line of the file at
    /// which it begins.
    pub fn with_source(mut self, text: &'a str, file: &'a str, line: u32) -> Assembly<'a> {
        (self.text, self.file, self.line) = (text, file, line);
        self
    }

    /// The code, for a [`ProgramSpec`](crate::ProgramSpec).
    pub fn code(&self) -> Code<'_> {
        Code {
            slots: &self.slots,
            maps: &self.maps,
            lines: &self.lines,
            text: self.text,
            file: self.file,
            line: self.line,
        }
    }
}
