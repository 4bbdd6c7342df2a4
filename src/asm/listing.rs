//! Disassembly of a whole program, with labels for jump targets and functions.

use super::print::{Style, Target, decimal, hex_byte, print};
use super::{Code, RelocKind, RelocTarget};
use crate::insn::{ByteOrder, DecodeError, Insn, Op, Pseudo};
use std::fmt::{self, Write};

/// Options of [`disassemble`].
#[derive(Debug, Clone, Copy, Default)]
pub struct PrintOptions<'a> {
    /// The syntax of instructions. In the kernel's style each instruction follows the number of its slot, and jumps
    /// are distances, as in its logs.
    pub style: Style,
    /// Whether each instruction is followed by a comment with its slot and its bytes in this order.
    pub bytes: Option<ByteOrder>,
    /// The code that the slots were assembled from, for the names of maps and, as comments before the instructions
    /// of each statement, the lines of the source.
    pub code: Option<&'a Code<'a>>,
}

/// The error for a slot of a program that is not an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot}: {error}")]
pub struct Undecodable {
    /// The index of the slot.
    pub slot: usize,
    /// The reason.
    pub error: DecodeError,
}

/// Prints a program, one statement a line, so that it can be assembled again to the same bytes.
///
/// Jump targets get labels, `L1` and so on, and called functions `func_1` and so on. A jump to a place outside the
/// program keeps its distance.
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
/// [`Undecodable`] names the slot that is not an instruction.
pub fn disassemble(slots: &[Insn], options: &PrintOptions<'_>) -> Result<String, Undecodable> {
    list(slots, options, |_, error| Err(error))
}

/// Prints a program as [`disassemble`] does; a slot that is not an instruction is shown by its bytes and the
/// reason, and the listing continues. Such a line cannot be assembled.
///
/// ```
/// use rawbpf::asm::{PrintOptions, disassemble_lossy};
/// use rawbpf::insn::{ByteOrder, Insn};
///
/// let slots = [[0xff, 0, 0, 0, 1, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
/// let slots = slots.map(|bytes| Insn::from_bytes(bytes, ByteOrder::Little));
/// let text = disassemble_lossy(&slots, &PrintOptions::default());
/// assert!(text.starts_with("    unknown ff") && text.ends_with("\n    exit\n"));
/// ```
pub fn disassemble_lossy(slots: &[Insn], options: &PrintOptions<'_>) -> String {
    let shown = list(slots, options, |out, undecodable| {
        let Undecodable { slot, error } = undecodable;
        // Writing to a `String` cannot fail.
        let _ = match options.style {
            Style::Llvm => out.write_str("    "),
            Style::Kernel => write!(out, "{slot:>4}: ({:02x}) ", error.slot.opcode()),
        };
        unknown(out, error.slot);
        let mark = if options.style == Style::Llvm { "//" } else { ";" };
        let _ = writeln!(out, " {mark} slot {slot}: {}", error.reason);
        Ok(())
    });
    shown.unwrap_or_default()
}

/// Prints a slot that is not an instruction.
pub(crate) fn unknown(out: &mut String, slot: Insn) {
    out.push_str("unknown");
    for byte in slot.to_bytes(ByteOrder::NATIVE) {
        // Writing to a `String` cannot fail.
        let _ = out.write_char(' ').and_then(|()| hex_byte(out, byte));
    }
}

fn list(
    slots: &[Insn],
    options: &PrintOptions<'_>,
    mut otherwise: impl FnMut(&mut String, Undecodable) -> Result<(), Undecodable>,
) -> Result<String, Undecodable> {
    let labels = match options.style {
        Style::Llvm => Labels::new(slots),
        Style::Kernel => Labels::none(),
    };
    let mut out = String::with_capacity(slots.len() * 32);
    let mut notes = Notes { options, line: 0, reloc: 0 };
    for instruction in Instructions::from(slots, 0) {
        match instruction {
            // Writing to a `String` cannot fail.
            Ok((slot, op)) => {
                let _ = statement(&mut out, slot, op, &labels, &mut notes);
            }
            Err(error) => otherwise(&mut out, error)?,
        }
    }
    Ok(out)
}

impl Code<'_> {
    /// Prints the code, with the names of its maps and its source as comments, as [`disassemble`] does.
    ///
    /// # Errors
    /// [`Undecodable`] names the slot that is not an instruction.
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
    let (target, unwritable) = match place(op, slot) {
        Some(place) => (labels.of(place.slot()), None),
        None => notes.map(op, slot).map_or_else(
            || (Target::None, None),
            |name| match is_name(name) {
                true => (Target::Map(name), None),
                false => (Target::None, Some(name)),
            },
        ),
    };
    print(out, op, options.style, target)?;
    if let Some(name) = unwritable {
        let mark = if options.style == Style::Llvm { "//" } else { ";" };
        write!(out, " {mark} {}", name.escape_debug())?;
    }
    if let Some(order) = options.bytes {
        let blanks = "                                        ";
        out.write_str(blanks.get(out.len() - start..).unwrap_or_default())?;
        let mark = if options.style == Style::Llvm { " // " } else { " ; " };
        out.write_str(mark)?;
        decimal(out, slot as u64)?;
        out.write_str(":")?;
        for slot in op.encode().as_slice() {
            for byte in slot.to_bytes(order) {
                out.write_char(' ')?;
                hex_byte(out, byte)?;
            }
        }
    }
    out.write_char('\n')
}

/// Additional information about the slots; both lists are in the order of the slots, as the listing is.
struct Notes<'a> {
    options: &'a PrintOptions<'a>,
    line: usize,
    reloc: usize,
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

    /// Returns the name of the map whose address, or whose value's address, this instruction loads.
    fn map(&mut self, op: Op, slot: usize) -> Option<&'a str> {
        let (Some(code), Op::LoadImm64 { kind, low: 0, high, .. }) = (self.options.code, op) else {
            return None;
        };
        // An offset beyond every value cannot be written.
        if !matches!((kind, high), (Pseudo::MapFd, 0) | (Pseudo::MapValue, 0..)) {
            return None;
        }
        while let Some(reloc) = code.relocations.get(self.reloc) {
            if reloc.slot as usize > slot {
                break;
            }
            self.reloc += 1;
            let name = match (reloc.kind, reloc.target) {
                (RelocKind::Map, RelocTarget::Map(map)) => map.name,
                (RelocKind::Map, RelocTarget::Name(name)) => name,
                _ => continue,
            };
            if reloc.slot as usize == slot {
                return Some(name);
            }
        }
        None
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// An iterator over the instructions of a program, each with the index of its first slot.
pub(crate) struct Instructions<'a> {
    slots: &'a [Insn],
    at: usize,
}

impl<'a> Instructions<'a> {
    /// The instructions from this slot on.
    pub(crate) fn from(slots: &'a [Insn], slot: usize) -> Self {
        Instructions { slots, at: slot }
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
                // The slots that follow may be valid.
                self.at += 1;
                Some(Err(Undecodable { slot, error }))
            }
        }
    }
}

/// A slot that an instruction refers to. It need not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Execution can go on there.
    Jump(i64),
    /// A function that is called, or whose address is taken, begins there.
    Function(i64),
}

impl Place {
    pub(crate) fn slot(self) -> usize {
        let (Place::Jump(slot) | Place::Function(slot)) = self;
        usize::try_from(slot).unwrap_or(usize::MAX)
    }
}

/// The slot that the instruction in this slot refers to.
pub(crate) fn place(op: Op, slot: usize) -> Option<Place> {
    let next = slot as i64 + 1;
    match op {
        Op::Jump { offset } | Op::MayJump { offset } | Op::JumpIf { offset, .. } => {
            Some(Place::Jump(next + i64::from(offset)))
        }
        Op::JumpLong { offset } => Some(Place::Jump(next + i64::from(offset))),
        Op::CallLocal { offset } => Some(Place::Function(next + i64::from(offset))),
        // Also to the slot after the first one (check_ld_imm in the kernel's verifier).
        Op::LoadImm64 { kind: Pseudo::Function, low, .. } => {
            Some(Place::Function(next + i64::from(low)))
        }
        _ => None,
    }
}

const LABEL: &str = "L";
const FUNCTION: &str = "func_";

/// The names of places, by slot.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    /// 0 for slots without a name; else the number and, as the lowest bit, whether it is a function's.
    names: Vec<u32>,
}

impl Labels {
    /// No names.
    fn none() -> Labels {
        Labels { names: Vec::new() }
    }

    /// Names all slots that an instruction refers to.
    pub(crate) fn new(slots: &[Insn]) -> Labels {
        const INSTRUCTION: u32 = 1;
        const JUMP: u32 = 2;
        const CALL: u32 = 4;
        let mut names = vec![0_u32; slots.len()];
        for instruction in Instructions::from(slots, 0) {
            let Ok((slot, op)) = instruction else { continue };
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
            // A jump into the second half of `lddw` gets no label.
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
        Labels { names }
    }

    /// The name of a slot, its letters and its number.
    pub(crate) fn at(&self, slot: usize) -> Option<(&'static str, u32)> {
        match self.names.get(slot) {
            None | Some(0) => None,
            Some(name) => Some((if name & 1 == 0 { LABEL } else { FUNCTION }, name >> 1)),
        }
    }

    pub(super) fn is_function(&self, slot: usize) -> bool {
        self.names.get(slot).is_some_and(|name| name & 1 != 0)
    }

    /// The name of a slot as the target of an instruction.
    pub(crate) fn of(&self, slot: usize) -> Target<'static> {
        match self.at(slot) {
            Some((prefix, number)) => Target::Label(prefix, number),
            None => Target::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::spec::MapSpec;

    static EVENTS: MapSpec = MapSpec::perf_event_array("events");

    const CODE: Code = bpf! {
        r1 = EVENTS ll;
        if r1 == 0 goto out;
    again:
        call twice;
        r0 += -1;
        if r0 s> 5 goto again;
        goto +100;
    out:
        exit;
    twice:
        r0 = 2;
        exit;
    };

    #[test]
    fn a_program_with_names() {
        let plain = "    ld_pseudo r1, 1, 0\n    if r1 == 0 goto L2\nL1:\n    call func_1\n    r0 += -1\n    \
                     if r0 s> 5 goto L1\n    goto +100\nL2:\n    exit\n\nfunc_1:\n    r0 = 2\n    exit\n";
        assert_eq!(disassemble(CODE.slots, &PrintOptions::default()).unwrap(), plain);
        let named = CODE.disassemble(&PrintOptions::default()).unwrap();
        assert!(
            named.starts_with(
                "    // r1 = EVENTS ll\n    r1 = events ll\n    // if r1 == 0 goto out\n    if"
            ),
            "{named}"
        );
    }

    #[test]
    fn the_address_of_a_value_is_assembled_from_what_is_printed() {
        static PAIR: MapSpec = MapSpec::bss("pair", 16);
        let code = bpf! { r1 = PAIR[0] ll; r2 = PAIR[0] + 8 ll; r3 = PAIR ll; exit; };
        let options = PrintOptions { style: Style::Llvm, ..Default::default() };
        let plain = disassemble(code.slots, &options).unwrap();
        assert!(
            plain.starts_with("    ld_pseudo r1, 2, 0\n    ld_pseudo r2, 2, 0, 8\n"),
            "{plain}"
        );
        let named = code.disassemble(&options).unwrap();
        let statements: Vec<_> = named.lines().filter(|line| !line.contains("//")).collect();
        let expected = ["r1 = pair[0] ll", "r2 = pair[0] + 8 ll", "r3 = pair ll", "exit"];
        assert_eq!(statements.iter().map(|line| line.trim()).collect::<Vec<_>>(), expected);
        let text = format!(".map pair, array, value=16, max=1\n{named}");
        let module = crate::asm::parse(&text, "again.s", &Default::default()).unwrap();
        assert_eq!(module.programs()[0].slots(), code.slots);
    }

    #[test]
    fn a_map_whose_name_cannot_be_written() {
        static COUNTS: MapSpec = MapSpec::hash("@counts", 8, 8, 1);
        let code = bpf! { r1 = COUNTS ll; exit; };
        let shown = code.disassemble(&PrintOptions::default()).unwrap();
        assert!(shown.contains("    ld_pseudo r1, 1, 0 // @counts\n"), "{shown}");
    }

    #[test]
    fn as_the_kernel_lists_it() {
        let options = PrintOptions { style: Style::Kernel, ..Default::default() };
        assert_eq!(
            disassemble(CODE.slots, &options).unwrap(),
            "   0: (18) r1 = map[fd:0]\n   2: (15) if r1 == 0x0 goto pc+4\n   3: (85) call pc+4\n   4: (07) r0 += -1\n   \
             5: (65) if r0 s> 0x5 goto pc-3\n   6: (05) goto pc+100\n   7: (95) exit\n   8: (b7) r0 = 2\n   \
             9: (95) exit\n",
        );
    }

    #[test]
    fn the_bytes_beside_it() {
        let options = PrintOptions { bytes: Some(ByteOrder::Big), ..Default::default() };
        let code = bpf! { r1 = -2 ll; };
        assert_eq!(
            disassemble(code.slots, &options).unwrap(),
            format!(
                "    {:40} // 0: 18 10 00 00 ff ff ff fe 00 00 00 00 ff ff ff ff\n",
                "r1 = -2 ll"
            ),
        );
    }

    #[test]
    fn a_function_whose_address_is_taken() {
        let code = bpf! { ld_pseudo r1, 4, 2; exit; r0 = 1; exit; };
        assert_eq!(
            disassemble(code.slots, &PrintOptions::default()).unwrap(),
            "    r1 = func_1 ll\n    exit\n\nfunc_1:\n    r0 = 1\n    exit\n",
        );
    }

    #[test]
    fn a_jump_into_lddw_has_no_label() {
        let code = bpf! { goto +1; r1 = 1 ll; exit; };
        assert_eq!(
            disassemble(code.slots, &PrintOptions::default()).unwrap(),
            "    goto +1\n    r1 = 1 ll\n    exit\n",
        );
    }

    #[test]
    fn what_is_no_instruction_is_told_by_its_index() {
        let slots = [Op::Exit.encode().first(), Insn::from_fields(0xff, 0, 0, 0, 0)];
        let error = disassemble(&slots, &PrintOptions::default()).unwrap_err();
        assert_eq!(error.slot, 1);
        assert_eq!(
            error.to_string(),
            format!("slot 1: {:?} is no instruction: there is no such opcode", slots[1])
        );
    }
}
