//! A whole program as text, with names for the places that it jumps to and the functions that it calls.

use super::Code;
use super::print::{Style, Target, decimal, print};
use crate::insn::{ByteOrder, DecodeError, Insn, Op, Pseudo};
use std::fmt::{self, Write};

/// How a program is printed.
#[derive(Debug, Clone, Copy, Default)]
pub struct PrintOptions<'a> {
    /// How instructions are spelled. In the kernel's style each stands after its slot's number, and jumps are
    /// distances, as in its logs.
    pub style: Style,
    /// Whether each instruction is followed by a comment with its slot and its bytes in this order.
    pub bytes: Option<ByteOrder>,
    /// What the slots were assembled from, for the names of maps and, before the instructions that each became, the
    /// lines of the source as comments.
    pub code: Option<&'a Code<'a>>,
}

/// A slot of a program that is no instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot}: {error}")]
pub struct Undecodable {
    /// The index of the slot.
    pub slot: usize,
    /// What is wrong with it.
    pub error: DecodeError,
}

/// Prints a program, one statement a line, so that it can be assembled again to the same bytes.
///
/// What is jumped to gets a label, `L1` and so on, and functions that are called are `func_1` and so on. A jump
/// that goes nowhere keeps its distance.
///
/// ```
/// use rawbpf::asm::{Code, PrintOptions, disassemble};
/// use rawbpf::bpf;
///
/// const CODE: Code = bpf! { r0 = 10; again: r0 += -1; if r0 != 0 goto again; exit; };
/// assert_eq!(
///     disassemble(CODE.slots, &PrintOptions::default())?,
///     "    r0 = 10\nL1:\n    r0 += -1\n    if r0 != 0 goto L1\n    exit\n",
/// );
/// # Ok::<(), rawbpf::asm::Undecodable>(())
/// ```
///
/// # Errors
/// A slot that is no instruction, told by its index.
pub fn disassemble(slots: &[Insn], options: &PrintOptions<'_>) -> Result<String, Undecodable> {
    let labels = match options.style {
        Style::Llvm => Labels::new(slots)?,
        Style::Kernel => Labels::none(),
    };
    let mut out = String::with_capacity(slots.len() * 32);
    let mut notes = Notes { options, line: 0, map: 0 };
    for instruction in Instructions::new(slots) {
        let (slot, op) = instruction?;
        // A `String` takes all that is written.
        let _ = statement(&mut out, slot, op, &labels, &mut notes);
    }
    Ok(out)
}

impl Code<'_> {
    /// Prints the code, with the names of its maps and its source as comments; as [`disassemble`] does.
    ///
    /// # Errors
    /// A slot that is no instruction, told by its index.
    pub fn disassemble(&self, options: &PrintOptions<'_>) -> Result<String, Undecodable> {
        disassemble(self.slots, &PrintOptions { code: Some(self), ..*options })
    }
}

/// The lines of one instruction.
fn statement(
    out: &mut String,
    slot: usize,
    op: Op,
    labels: &Labels,
    notes: &mut Notes<'_>,
) -> fmt::Result {
    let options = notes.options;
    notes.source_line(out, slot)?;
    if let Some((prefix, number)) = labels.at(slot) {
        if prefix == FUNCTION && slot > 0 {
            out.write_char('\n')?;
        }
        out.write_str(prefix)?;
        decimal(out, number.into())?;
        out.write_str(":\n")?;
    }
    match options.style {
        Style::Llvm => out.write_str("    ")?,
        Style::Kernel => {
            let width = slot.checked_ilog10().unwrap_or(0) as usize;
            out.write_str("   ".get(width..).unwrap_or_default())?;
            decimal(out, slot as u64)?;
            out.write_str(": ")?;
        }
    }
    let start = out.len();
    let target = match place(op, slot) {
        Some(place) => labels.of(place.slot()),
        None => notes.map(op, slot),
    };
    print(out, op, options.style, target)?;
    if let Some(order) = options.bytes {
        for _ in out.len() - start..40 {
            out.write_char(' ')?;
        }
        let mark = if options.style == Style::Llvm { " // " } else { " ; " };
        out.write_str(mark)?;
        decimal(out, slot as u64)?;
        out.write_str(":")?;
        for slot in op.encode().as_slice() {
            for byte in slot.to_bytes(order) {
                write!(out, " {byte:02x}")?;
            }
        }
    }
    out.write_char('\n')
}

/// What is known about the slots from elsewhere; both lists are in the order of the slots, as the listing is.
struct Notes<'a> {
    options: &'a PrintOptions<'a>,
    line: usize,
    map: usize,
}

impl<'a> Notes<'a> {
    /// The source's statement that begins at this slot, as a comment.
    fn source_line(&mut self, out: &mut String, slot: usize) -> fmt::Result {
        let Some(code) = self.options.code else { return Ok(()) };
        while let Some(line) = code.lines.get(self.line).filter(|line| line.slot as usize <= slot) {
            self.line += 1;
            let text = code.text.get(line.start as usize..line.end as usize).unwrap_or_default();
            out.write_str(if self.options.style == Style::Llvm { "    //" } else { ";" })?;
            for word in text.split_whitespace() {
                out.write_char(' ')?;
                out.write_str(word)?;
            }
            out.write_char('\n')?;
        }
        Ok(())
    }

    /// The map whose address this instruction loads, if that has a name that can be written.
    fn map(&mut self, op: Op, slot: usize) -> Target<'a> {
        let (Some(code), Op::LoadImm64 { kind: Pseudo::MapFd, low: 0, high: 0, .. }) =
            (self.options.code, op)
        else {
            return Target::None;
        };
        while let Some(reference) = code.maps.get(self.map) {
            if reference.slot as usize > slot {
                break;
            }
            self.map += 1;
            let name = reference.map.name;
            if reference.slot as usize == slot && is_name(name) {
                return Target::Map(name);
            }
        }
        Target::None
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// The instructions of a program one by one, each with the index of its first slot.
pub(super) struct Instructions<'a> {
    slots: &'a [Insn],
    at: usize,
}

impl<'a> Instructions<'a> {
    pub(super) fn new(slots: &'a [Insn]) -> Self {
        Instructions { slots, at: 0 }
    }
}

impl Iterator for Instructions<'_> {
    type Item = Result<(usize, Op), Undecodable>;

    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.at;
        let rest = self.slots.get(slot..).filter(|rest| !rest.is_empty())?;
        match Op::decode(rest) {
            Ok(op) => {
                self.at += op.slots();
                Some(Ok((slot, op)))
            }
            Err(error) => {
                self.at = self.slots.len();
                Some(Err(Undecodable { slot, error }))
            }
        }
    }
}

/// A slot that an instruction refers to. It need not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Execution can go on there.
    Jump(i64),
    /// A function that is called, or whose address is taken, begins there.
    Function(i64),
}

impl Place {
    pub(super) fn slot(self) -> usize {
        let (Place::Jump(slot) | Place::Function(slot)) = self;
        usize::try_from(slot).unwrap_or(usize::MAX)
    }
}

/// The slot that the instruction in this slot refers to.
pub(super) fn place(op: Op, slot: usize) -> Option<Place> {
    let next = slot as i64 + 1;
    match op {
        Op::Jump { offset } | Op::MayJump { offset } | Op::JumpIf { offset, .. } => {
            Some(Place::Jump(next + i64::from(offset)))
        }
        Op::JumpLong { offset } => Some(Place::Jump(next + i64::from(offset))),
        Op::CallLocal { offset } => Some(Place::Function(next + i64::from(offset))),
        // Also from the slot after the first one (check_ld_imm in the kernel's verifier).
        Op::LoadImm64 { kind: Pseudo::Function, low, .. } => {
            Some(Place::Function(next + i64::from(low)))
        }
        _ => None,
    }
}

const LABEL: &str = "L";
const FUNCTION: &str = "func_";

/// The names of places, by slot.
pub(super) struct Labels {
    /// 0 where there is none; else the number and, as the lowest bit, whether it is a function's.
    names: Vec<u32>,
}

impl Labels {
    fn none() -> Labels {
        Labels { names: Vec::new() }
    }

    pub(super) fn new(slots: &[Insn]) -> Result<Labels, Undecodable> {
        const INSTRUCTION: u32 = 1;
        const JUMP: u32 = 2;
        const CALL: u32 = 4;
        let mut names = vec![0_u32; slots.len()];
        for instruction in Instructions::new(slots) {
            let (slot, op) = instruction?;
            if let Some(mark) = names.get_mut(slot) {
                *mark |= INSTRUCTION;
            }
            let Some(place) = place(op, slot) else { continue };
            if let Some(mark) = names.get_mut(place.slot()) {
                *mark |= if matches!(place, Place::Jump(_)) { JUMP } else { CALL };
            }
        }
        let (mut labels, mut functions) = (0, 0);
        for name in &mut names {
            // Nothing can be said of a jump into the second half of `lddw`.
            let instruction = *name & INSTRUCTION != 0;
            *name = if instruction && *name & CALL != 0 {
                functions += 1;
                functions << 1 | 1
            } else if instruction && *name & JUMP != 0 {
                labels += 1;
                labels << 1
            } else {
                0
            };
        }
        Ok(Labels { names })
    }

    /// The name of a slot, its letters and its number.
    pub(super) fn at(&self, slot: usize) -> Option<(&'static str, u32)> {
        match self.names.get(slot) {
            None | Some(0) => None,
            Some(name) => Some((if name & 1 == 0 { LABEL } else { FUNCTION }, name >> 1)),
        }
    }

    fn of(&self, slot: usize) -> Target<'static> {
        match self.at(slot) {
            Some((prefix, number)) => Target::Label(prefix, number),
            None => Target::None,
        }
    }
}
