//! The meaning of an instruction, in words: the one line of its row in the instruction table with the operands put in, and
//! what depends on them.

use super::names::Names;
use crate::asm::{HELPERS, helper_prototype};
use crate::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, Insn, Op, Pseudo, Reg, SignedOp, Size, Source, SwapBits,
};

/// The explanation of one instruction.
pub(super) struct Meaning {
    /// Its effect, in one line.
    pub says: String,
    /// Notes on special cases.
    pub notes: Vec<String>,
}

/// Returns the effect of an instruction.
#[cfg(test)]
pub(super) fn meaning(op: Op) -> Meaning {
    meaning_of(op, &Names::default())
}

/// Returns the effect of an instruction that has names in the place of numbers.
pub(super) fn meaning_of(op: Op, names: &Names) -> Meaning {
    let row = op.row();
    let says = filled_in(row.meaning, op, names);
    let mut notes: Vec<String> = row.notes.iter().map(|note| filled_in(note, op, names)).collect();
    notes.extend(names.notes());
    notes_on_operands(op, &mut notes);
    Meaning { says, notes }
}

/// Puts the operands in the place of their names in braces.
fn filled_in(template: &str, op: Op, names: &Names) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, name, after)) = rest.split_once('{').and_then(|(before, rest)| {
        let (name, after) = rest.split_once('}')?;
        Some((before, name, after))
    }) {
        out += before;
        let named = names.operand(name, op.encode().first());
        out += &named.unwrap_or_else(|| operand(name, op));
        rest = after;
    }
    out + rest
}

/// The operand of that name. They are those of the fields of the slot, so that an instruction need not be known here.
fn operand(name: &str, op: Op) -> String {
    let encoded = op.encode();
    let slot = encoded.first();
    let next_imm = encoded.second().map_or(0, Insn::imm);
    match name {
        // The registers as the instruction writes them, or the immediate in the place of the second.
        "dst" => register(slot.bits(), slot.dst()),
        "src" if slot.has_source_register() => register(slot.bits(), slot.src()),
        "src" => slot.imm().to_string(),
        // The destination where it is written with all its bits, whatever the class.
        "dst64" => register(Bits::B64, slot.dst()),
        // The register of an atomic operation, as wide as the memory; and the one that is compared with.
        "word" => register(memory_bits(slot), slot.src()),
        "word0" => register(memory_bits(slot), 0),
        "low" if slot.is_64() => String::new(),
        "low" => "the low part of ".into(),
        "width" => match slot.bits() {
            Bits::B64 => " (64 bits)".into(),
            Bits::B32 => format!(" (32 bits; the upper half of r{} becomes zero)", slot.dst()),
        },
        "imm" => slot.imm().to_string(),
        "imm_bytes" => (slot.imm() / 8).to_string(),
        "high_half" => (slot.imm() as u32 >> 16).to_string(),
        "low_half" => (slot.imm() as u16).to_string(),
        "next_imm" => next_imm.to_string(),
        "imm64" => {
            let value = u64::from(next_imm as u32) << 32 | u64::from(slot.imm() as u32);
            format!("{value:#x}, {}", value as i64)
        }
        "offset" => slot.offset().to_string(),
        // Memory: how much of it, and the address, by the source register or by the destination.
        "bytes" => bytes(slot).into(),
        "from" => address(slot.src(), slot.offset()),
        "to" => address(slot.dst(), slot.offset()),
        // Places in the program, by the offset or by the immediate.
        "go" => go(slot.offset().into()),
        "go_imm" => go(slot.imm().into()),
        "away" => away(slot.imm().into()),
        "helper" => helper(slot.imm()),
        "variable" if next_imm == 0 => format!("kernel's variable with BTF id {}", slot.imm()),
        "variable" => {
            format!("variable with BTF id {} in the BTF of file descriptor {next_imm}", slot.imm())
        }
        // None is missing: a test goes through all rows.
        _ => format!("{{{name}}}"),
    }
}

/// Adds notes that depend on the operands and so cannot stand in the table.
fn notes_on_operands(op: Op, notes: &mut Vec<String>) {
    let slot = op.encode().first();
    let mut note = |text: String| notes.push(text);
    match op {
        Op::Alu { op: AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, bits, src, .. } => {
            note(shift_count(bits, src));
        }
        Op::Alu { bits, op: kind, dst, src } => {
            match kind {
                AluOp::Div => note_divisor(bits, src, false, dst, &mut note),
                AluOp::Mod => note_divisor(bits, src, true, dst, &mut note),
                _ => {}
            }
            note_extension(bits, src, &mut note);
        }
        Op::AluSigned { bits, op: kind, dst, src } => {
            note_divisor(bits, src, matches!(kind, SignedOp::Mod), dst, &mut note);
            note_extension(bits, src, &mut note);
        }
        Op::JumpIf { bits, src, .. } => note_extension(bits, src, &mut note),
        Op::Swap { bits: SwapBits::B64, .. } => {}
        Op::Swap { bits, .. } => {
            note(format!("The bits above the low {} become zero.", bits as u8));
        }
        Op::Load { .. } | Op::LoadAcquire { .. } if !slot.is_64() => {
            note(format!("The other bits of r{} become zero.", slot.dst()));
        }
        Op::CallHelper { number } => {
            if let Some(prototype) = u32::try_from(number).ok().and_then(helper_prototype) {
                note(format!("{prototype}"));
                let arguments = prototype.in_registers();
                let result = match prototype.returns() {
                    "void" => "nothing is returned".to_owned(),
                    returns => format!("r0: {returns}"),
                };
                note(match arguments.is_empty() {
                    true => format!("It takes no arguments; {result}."),
                    false => format!("It takes {arguments}; {result}."),
                });
            }
        }
        Op::StoreImm { size, .. } => match size {
            Size::Double => note(EXTENDED.into()),
            Size::Word => {}
            Size::Half => note("Only the low 16 bits of the immediate are stored.".into()),
            Size::Byte => note("Only the low 8 bits of the immediate are stored.".into()),
        },
        Op::Atomic { size: AtomicSize::Word, op: kind, src, .. } if kind as i32 & 1 == 1 => {
            let result = if kind == AtomicOp::CompareExchange { Reg::R0 } else { src };
            note(format!("The upper half of r{} becomes zero.", result.number()));
        }
        Op::LoadImm64 {
            kind: Pseudo::MapFd | Pseudo::MapIndex | Pseudo::Function,
            high: 1..,
            ..
        }
        | Op::LoadImm64 {
            kind: Pseudo::MapFd | Pseudo::MapIndex | Pseudo::Function,
            high: ..=-1,
            ..
        } => note("Linux refuses a second immediate other than 0 here.".into()),
        _ => {}
    }
}

const EXTENDED: &str = "The immediate has 32 bits; its sign fills the upper 32.";

fn note_extension(bits: Bits, src: Source, note: &mut impl FnMut(String)) {
    if bits == Bits::B64 && matches!(src, Source::Imm(_)) {
        note(EXTENDED.into());
    }
}

/// Adds a note on division by zero.
fn note_divisor(bits: Bits, src: Source, modulo: bool, dst: Reg, note: &mut impl FnMut(String)) {
    if let Source::Imm(imm) = src {
        if imm == 0 {
            note("Linux refuses the constant 0 as a divisor.".into());
        }
        return;
    }
    note(match (modulo, bits) {
        (false, _) => "A division by zero gives 0.".into(),
        (true, Bits::B64) => format!("Modulo zero leaves r{} as it is.", dst.number()),
        (true, Bits::B32) => {
            format!(
                "Modulo zero leaves w{0} as it is; the upper half of r{0} becomes zero.",
                dst.number()
            )
        }
    });
}

fn shift_count(bits: Bits, src: Source) -> String {
    let (low, all) = if bits == Bits::B64 { (6, 64) } else { (5, 32) };
    match src {
        Source::Reg(_) => {
            format!("Of the count only the low {low} bits matter: 0 to {}.", all - 1)
        }
        Source::Imm(_) => format!("Linux refuses a constant count below 0 or above {}.", all - 1),
    }
}

fn register(bits: Bits, number: u8) -> String {
    let letter = if bits == Bits::B64 { 'r' } else { 'w' };
    format!("{letter}{number}")
}

/// The width of an atomic operation's registers.
fn memory_bits(slot: Insn) -> Bits {
    if slot.is_64() { Bits::B64 } else { Bits::B32 }
}

fn bytes(slot: Insn) -> &'static str {
    match slot.opcode() & 0x18 {
        0x00 => "the 4 bytes",
        0x08 => "the 2 bytes",
        0x10 => "the byte",
        _ => "the 8 bytes",
    }
}

fn address(base: u8, offset: i16) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let stack = if base == Reg::R10.number() { ", on the stack" } else { "" };
    format!("address r{base} {sign} {}{stack}", offset.unsigned_abs())
}

fn helper(number: i32) -> String {
    let name = usize::try_from(number).ok().filter(|index| *index > 0);
    match name.and_then(|index| HELPERS.get(index)) {
        Some(name) => format!("bpf_{name}(…), helper {number} of the kernel: see bpf-helpers(7)"),
        None => format!("helper {number} of the kernel, of which nothing is known here"),
    }
}

/// Describes the target of a distance, which is counted from the next slot.
fn away(distance: i64) -> String {
    match distance {
        0 => "at the next slot".into(),
        1 | -1 => format!("1 slot {} the next one", if distance < 0 { "before" } else { "after" }),
        _ => format!(
            "{} slots {} the next one",
            distance.unsigned_abs(),
            if distance < 0 { "before" } else { "after" }
        ),
    }
}

fn go(distance: i64) -> String {
    match distance {
        0 => "go on at the next slot".into(),
        -1 => "go to this instruction again".into(),
        _ => format!("go on {}", away(distance)),
    }
}
