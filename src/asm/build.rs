//! A builder for code made at run time: instructions as values, labels as values.

use super::resolve::{
    BuildOptions, Draft, Limits, Place, ResolveError, ResolveErrors, Resolved, Unit, pointed_slot,
    resolve,
};
use super::{LibraryFunction, Line, Reloc, RelocField, RelocKind, RelocTarget};
use crate::insn::{Bits, Condition, Insn, Op, Pseudo, Reg, Source};
use crate::spec::{Assembly, MapSpec, NamedLabels};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Puts a program together at run time.
///
/// Instructions are values of [`Op`], every one of which has an encoding; jumps, calls and map references name
/// [`Label`]s and [`MapSpec`]s. So an instruction without an encoding cannot be written. All remaining errors, such as
/// a label that is not bound, are reported together by [`finish`](Builder::finish).
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
    /// An id that distinguishes its labels from those of other builders.
    id: u32,
    /// The slots pushed, encoded as if every jump reached: nearly always that is the final code. (Code beyond 32-bit
    /// slot indices is refused, so truncated indices do not matter.)
    slots: Vec<Insn>,
    /// The number of instructions in `slots`.
    instructions: usize,
    labels: Vec<Place<'a>>,
    /// The instructions that lead to labels, in order.
    uses: Vec<Use>,
    relocations: Vec<Reloc<'a>>,
    /// The labels that have names, in the order in which they were bound.
    bound: Vec<u32>,
    lines: Vec<Line>,
    span: Option<Range<u32>>,
    mistakes: Vec<ResolveError>,
}

/// An instruction that leads to a label: its slot, and the label.
#[derive(Debug, Clone, Copy)]
struct Use {
    slot: u32,
    label: u32,
}

/// A position in the code of one [`Builder`], which instructions can refer to before it is known.
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
        // Only to check that a label belongs to this builder. Nothing depends on the order, and two builders have the
        // same number only after 2^32 of them.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Builder {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            slots: Vec::new(),
            instructions: 0,
            labels: Vec::new(),
            uses: Vec::new(),
            relocations: Vec::new(),
            bound: Vec::new(),
            lines: Vec::new(),
            span: None,
            mistakes: Vec::new(),
        }
    }

    /// Returns the number of instructions pushed.
    pub fn len(&self) -> usize {
        self.instructions
    }

    /// Returns whether no instruction was pushed.
    pub fn is_empty(&self) -> bool {
        self.instructions == 0
    }

    /// Reserves capacity for that many more slots and labels, if memory allows.
    pub(super) fn reserve(&mut self, slots: usize, labels: usize) {
        // Failing to reserve only costs time.
        let _ = self.slots.try_reserve(slots);
        let _ = self.lines.try_reserve(slots);
        let _ = self.labels.try_reserve(labels);
        let _ = self.uses.try_reserve(labels);
    }

    /// Creates a label, to be bound to a position with [`bind`](Builder::bind). Messages refer to it by its number.
    pub fn label(&mut self) -> Label {
        self.new_label(None)
    }

    /// Creates a label with a name for messages. Two labels of the same name are distinct.
    pub fn label_named(&mut self, name: impl Into<String>) -> Label {
        self.new_label(Some(Cow::Owned(name.into())))
    }

    /// The same with a name that lives as long as the code.
    pub(super) fn label_lent(&mut self, name: &'a str) -> Label {
        self.new_label(Some(Cow::Borrowed(name)))
    }

    fn new_label(&mut self, name: Option<Cow<'a, str>>) -> Label {
        // Memory runs out before the numbers do. If not, the last number belongs to no label.
        let index = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        self.labels.push(Place { name, slot: None });
        Label { builder: self.id, index }
    }

    /// Binds the label to this position, before the next instruction.
    pub fn bind(&mut self, label: Label) -> &mut Self {
        let (here, instruction, span) = (self.slots.len(), self.instructions, self.span.clone());
        let mistake = match self.place(label) {
            None => ResolveError::Foreign { instruction, span },
            Some(place) if place.slot.is_some() => {
                ResolveError::BoundTwice { label: place.called(label.index), span }
            }
            Some(place) => {
                place.slot = Some(here as u32);
                if place.name.is_some() {
                    self.bound.push(label.index);
                }
                return self;
            }
        };
        self.mistakes.push(mistake);
        self
    }

    fn place(&mut self, label: Label) -> Option<&mut Place<'a>> {
        if label.builder != self.id {
            return None;
        }
        self.labels.get_mut(label.index as usize)
    }

    /// Sets the range in the text ([`Assembly::with_source`]), in bytes, that the following instructions come from,
    /// until the next call.
    pub fn at(&mut self, span: Range<u32>) -> &mut Self {
        let slot = self.slots.len() as u32;
        let line = Line { slot, start: span.start, end: span.end };
        // The last call before an instruction is the one that counts.
        match self.lines.last_mut() {
            Some(last) if last.slot == slot => *last = line,
            _ => self.lines.push(line),
        }
        self.span = Some(span);
        self
    }

    /// Pushes an instruction unchanged. The offset of a jump is kept as it is, in slots of the finished code; if a jump
    /// to a label in between grows, so that the offset would lead to another instruction, that is an error.
    pub fn push(&mut self, op: Op) -> &mut Self {
        let encoded = op.encode();
        self.slots.push(encoded.first());
        self.slots.extend(encoded.second());
        self.instructions += 1;
        self
    }

    /// Pushes an encoded instruction of one slot.
    #[inline]
    pub(super) fn push_slot(&mut self, slot: Insn) {
        self.slots.push(slot);
        self.instructions += 1;
    }

    /// Pushes an encoded instruction of one slot that refers to a label of this builder.
    #[inline]
    pub(super) fn push_slot_to(&mut self, slot: Insn, label: Label) {
        self.uses.push(Use { slot: self.slots.len() as u32, label: label.index });
        self.push_slot(slot);
    }

    /// Pushes an instruction whose offset is to lead to a label. An instruction other than a jump or call is kept as it
    /// is.
    pub(super) fn push_to(&mut self, op: Op, label: Label) -> &mut Self {
        if self.place(label).is_some() {
            self.uses.push(Use { slot: self.slots.len() as u32, label: label.index });
        } else {
            let (instruction, span) = (self.instructions, self.span.clone());
            self.mistakes.push(ResolveError::Foreign { instruction, span });
        }
        self.push(op)
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

    /// Binds the label to this position and pushes a function that comes with the assembler, for [`call`](Builder::call). It belongs
    /// behind an instruction that does not go on to the next: an `exit`, or another function.
    ///
    /// ```
    /// use rawbpf::asm::{BuildOptions, Builder, LibraryFunction};
    /// use rawbpf::insn::{AluOp, Bits, Op, Reg, Source};
    ///
    /// let mut builder = Builder::new();
    /// let log2 = builder.label_named("log2");
    /// builder
    ///     .push(Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst: Reg::R1, src: Source::Imm(1000) })
    ///     .call(log2)
    ///     .push(Op::Exit)
    ///     .bind_function(log2, LibraryFunction::Log2);
    /// let assembly = builder.finish(&BuildOptions::new())?;
    /// # Ok::<(), rawbpf::asm::ResolveErrors>(())
    /// ```
    pub fn bind_function(&mut self, label: Label, function: LibraryFunction) -> &mut Self {
        self.bind(label);
        // They have no instruction of two slots.
        function.slots().iter().for_each(|slot| self.push_slot(*slot));
        self
    }

    /// The address of a function of this program, for a helper to call. Two slots. Linux 5.13
    pub fn load_function(&mut self, dst: Reg, label: Label) -> &mut Self {
        self.push_to(Op::LoadImm64 { dst, kind: Pseudo::Function, low: 0, high: 0 }, label)
    }

    /// The address of a map, which is created when the program is loaded. Two slots.
    pub fn load_map(&mut self, dst: Reg, map: &'a MapSpec<'a>) -> &mut Self {
        self.relocate(RelocField::Immediate, RelocKind::Map, RelocTarget::Map(map));
        self.push(Op::LoadImm64 { dst, kind: Pseudo::MapFd, low: 0, high: 0 })
    }

    /// The address of the byte at `offset` in the value of an array of one element. Two slots. Linux 5.2
    pub fn load_map_value(&mut self, dst: Reg, map: &'a MapSpec<'a>, offset: u32) -> &mut Self {
        self.relocate(RelocField::Immediate, RelocKind::Map, RelocTarget::Map(map));
        self.push(Op::LoadImm64 { dst, kind: Pseudo::MapValue, low: 0, high: offset as i32 })
    }

    /// Has a field of the next instruction filled in when the code is loaded.
    ///
    /// ```
    /// use rawbpf::asm::{BuildOptions, Builder, RelocField, RelocKind, RelocTarget};
    /// use rawbpf::insn::{Op, Reg, Size};
    ///
    /// let mut builder = Builder::new();
    /// builder
    ///     .relocate(RelocField::Offset, RelocKind::Value, RelocTarget::Name("task_struct.tgid"))
    ///     .push(Op::Load { size: Size::Word, dst: Reg::R1, base: Reg::R1, offset: 0 })
    ///     .push(Op::Exit);
    /// let assembly = builder.finish(&BuildOptions::new())?;
    /// assert_eq!(assembly.code().relocations[0].name(), "task_struct.tgid");
    /// # Ok::<(), rawbpf::asm::ResolveErrors>(())
    /// ```
    pub fn relocate(
        &mut self,
        field: RelocField,
        kind: RelocKind,
        target: RelocTarget<'a>,
    ) -> &mut Self {
        let slot = self.slots.len() as u32;
        self.relocations.push(Reloc { slot, field, kind, target });
        self
    }

    /// Points every jump at its label, and encodes.
    ///
    /// # Errors
    /// All errors that were found.
    pub fn finish(&self, options: &BuildOptions) -> Result<Assembly<'a>, ResolveErrors> {
        self.finish_within(options, Limits::REAL)
    }

    /// [`finish`](Builder::finish) with other limits, so that tests reach them with little code.
    pub(super) fn finish_within(
        &self,
        options: &BuildOptions,
        limits: Limits,
    ) -> Result<Assembly<'a>, ResolveErrors> {
        let mut slots = self.slots.clone();
        if self.point(&mut slots, limits) {
            let (relocations, lines) = (self.relocations.clone(), self.lines.clone());
            let labels = self.named_labels(slots.len());
            return Ok(Assembly::new(slots, relocations, labels, lines));
        }
        self.grow(options, limits)
    }

    /// [`finish`](Builder::finish) of a builder that is not needed any more: nothing is copied.
    pub(super) fn into_assembly(
        mut self,
        options: &BuildOptions,
    ) -> Result<Assembly<'a>, ResolveErrors> {
        let mut slots = std::mem::take(&mut self.slots);
        if self.point(&mut slots, Limits::REAL) {
            let labels = self.named_labels(slots.len());
            return Ok(Assembly::new(slots, self.relocations, labels, self.lines));
        }
        // Slots that were resolved already are in `uses`, and are resolved again.
        self.slots = slots;
        self.grow(options, Limits::REAL)
    }

    /// Resolves every jump to its label if all of them reach, as they nearly always do: then no slot moves. Returns
    /// `false` otherwise, or on any error.
    fn point(&self, slots: &mut [Insn], limits: Limits) -> bool {
        self.mistakes.is_empty()
            && slots.len() as i64 <= limits.slots
            && self.uses.iter().all(|&Use { slot, label }| {
                let place = self.labels.get(label as usize).and_then(|place| place.slot);
                let (Some(to), Some(insn)) = (place, slots.get_mut(slot as usize)) else {
                    return false;
                };
                let distance = i64::from(to) - i64::from(slot) - 1;
                let pointed = pointed_slot(*insn, distance, limits);
                *insn = pointed.unwrap_or(*insn);
                pointed.is_some()
            })
    }

    /// Resolves every jump to its label where jumps have to grow, or reports the errors.
    #[cold]
    fn grow(&self, options: &BuildOptions, limits: Limits) -> Result<Assembly<'a>, ResolveErrors> {
        if u32::try_from(self.slots.len()).is_err() {
            let slots = self.slots.len() as i64;
            return Err(ResolveErrors::one(ResolveError::TooLarge { slots }));
        }
        let draft = self.draft();
        let Resolved { slots, starts } = resolve(&draft, options, limits, &self.mistakes)?;
        // Slots are fewer than 2^31, and each unit has its start: neither loses anything here.
        let moved = |slot| starts.get(draft.unit(slot)).copied().unwrap_or_default();
        let mut relocations = self.relocations.clone();
        relocations.iter_mut().for_each(|reloc| reloc.slot = moved(reloc.slot));
        let mut labels = self.named_labels(self.slots.len());
        labels.places.iter_mut().for_each(|label| label.slot = moved(label.slot));
        let mut lines = self.lines.clone();
        lines.iter_mut().for_each(|line| line.slot = moved(line.slot));
        Ok(Assembly::new(slots, relocations, labels, lines))
    }

    /// The labels that have names and are not bound behind the last slot. A numeric label, as texts have, is not a name
    /// of a position: several can have the same number.
    fn named_labels(&self, slots: usize) -> NamedLabels {
        let mut named = NamedLabels::default();
        for index in &self.bound {
            let Some(Place { name: Some(name), slot: Some(slot) }) =
                self.labels.get(*index as usize)
            else {
                continue;
            };
            let number = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
            if !number && (*slot as usize) < slots {
                named.push(name, *slot);
            }
        }
        named
    }

    /// The pushed slots, decoded to instructions again.
    pub(super) fn draft(&self) -> Draft<'_> {
        let mut units = Vec::with_capacity(self.instructions);
        let mut origins = Vec::with_capacity(self.instructions + 1);
        let mut uses = self.uses.iter().peekable();
        let mut slot = 0;
        while let Some(rest) = self.slots.get(slot..).filter(|rest| !rest.is_empty()) {
            let label = uses.next_if(|used| used.slot as usize == slot).map(|used| used.label);
            // Every encoded instruction can be decoded.
            let unit = Unit { op: Op::decode(rest).unwrap_or(Op::Exit), label };
            origins.push(slot as u32);
            units.push(unit);
            slot += unit.op.slots();
        }
        origins.push(slot as u32);
        Draft { units, origins, labels: &self.labels, lines: &self.lines }
    }
}
