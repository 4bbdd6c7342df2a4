//! What an instruction does, in words, and since when there is such a one.

use crate::asm::HELPERS;
use crate::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, Condition, Op, PacketSize, Pseudo, Reg, SignBits,
    SignExtend, SignedOp, Size, Source, Swap, SwapBits,
};

/// What is to be known of one instruction.
pub(super) struct Meaning {
    /// What it does, in one line.
    pub says: String,
    /// What is special about it.
    pub notes: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Since when an instruction exists, and where it is specified.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// The version of the ISA, as compilers count (`-mcpu=v3`).
    pub isa: Option<&'static str>,
    /// The first Linux that takes it; none does if there is none.
    pub linux: Option<&'static str>,
    /// The section of RFC 9669.
    pub rfc: Option<&'static str>,
}

const fn origin(isa: &'static str, linux: &'static str, rfc: &'static str) -> Origin {
    Origin { isa: Some(isa), linux: Some(linux), rfc: Some(rfc) }
}

/// Where an instruction comes from.
///
/// The classes of 32-bit arithmetic are as old as Linux's BPF; that compilers use them only for v3 is because
/// earlier verifiers lost sight of what the registers held.
pub(super) const fn origin_of(op: Op) -> Origin {
    match op {
        Op::Alu { bits: Bits::B64, .. } | Op::Neg { bits: Bits::B64, .. } => {
            origin("v1", "3.18", "4.1")
        }
        Op::Alu { bits: Bits::B32, .. } | Op::Neg { bits: Bits::B32, .. } => {
            origin("v3", "3.18", "4.1")
        }
        Op::AluSigned { .. } | Op::MoveSigned { .. } => origin("v4", "6.6", "4.1"),
        Op::Swap { swap: Swap::Always, .. } => origin("v4", "6.6", "4.2"),
        Op::Swap { .. } => origin("v1", "3.18", "4.2"),
        Op::Load { .. } | Op::Store { .. } | Op::StoreImm { .. } => origin("v1", "3.18", "5.1"),
        Op::LoadSigned { .. } => origin("v4", "6.6", "5.2"),
        Op::Atomic { op: AtomicOp::Add, .. } => origin("v1", "3.18", "5.3"),
        Op::Atomic { .. } => origin("v3", "5.12", "5.3"),
        Op::LoadPacket { .. } => origin("v1", "3.19", "5.5"),
        Op::LoadImm64 { kind, .. } => match kind {
            Pseudo::Imm64 => origin("v1", "3.18", "5.4"),
            Pseudo::MapFd => origin("v1", "3.18", "5.4.1"),
            Pseudo::MapValue => origin("v1", "5.2", "5.4.1"),
            Pseudo::BtfId => origin("v1", "5.10", "5.4.2"),
            Pseudo::Function => origin("v1", "5.13", "5.4"),
            Pseudo::MapIndex | Pseudo::MapIndexValue => origin("v1", "5.14", "5.4.1"),
        },
        Op::Jump { .. } | Op::Exit => origin("v1", "3.18", "4.3"),
        Op::JumpLong { .. } => origin("v4", "6.6", "4.3"),
        Op::JumpIf { bits: Bits::B32, .. } => origin("v3", "5.1", "4.3"),
        Op::JumpIf { condition, .. } => match condition {
            Condition::Lt | Condition::Le | Condition::SignedLt | Condition::SignedLe => {
                origin("v2", "4.14", "4.3")
            }
            _ => origin("v1", "3.18", "4.3"),
        },
        Op::CallHelper { .. } => origin("v1", "3.18", "4.3.1"),
        Op::CallLocal { .. } => origin("v1", "4.16", "4.3.2"),
        Op::CallKfunc { .. } => origin("v1", "5.13", "4.3.1"),
        Op::LoadAcquire { .. } | Op::StoreRelease { .. } => {
            Origin { isa: Some("v4"), linux: Some("6.15"), rfc: None }
        }
        Op::AddrSpaceCast { .. } | Op::MayJump { .. } => {
            Origin { isa: None, linux: Some("6.9"), rfc: None }
        }
        Op::JumpRegister { .. } => Origin { isa: Some("v4"), linux: Some("6.19"), rfc: None },
        Op::CallRegister { .. } => Origin { isa: None, linux: None, rfc: None },
    }
}

/// What an instruction does.
pub(super) fn meaning(op: Op) -> Meaning {
    let mut notes = Vec::new();
    let says = match op {
        Op::Alu { bits, op, dst, src } => arithmetic(bits, op, dst, src, &mut notes),
        Op::AluSigned { bits, op, dst, src } => {
            let (sign, least) = match op {
                SignedOp::Div => ("/", "gives itself again"),
                SignedOp::Mod => ("%", "leaves 0"),
            };
            divisor(bits, src, matches!(op, SignedOp::Mod), dst, &mut notes);
            note(
                &mut notes,
                "The result is rounded towards zero, as in C: -13 / 3 is -4, and -13 % 3 is -1.",
            );
            notes.push(format!("The least number there is, divided by -1, {least}."));
            extended(bits, src, &mut notes);
            let (d, s) = (register(bits, dst), operand(bits, src));
            format!("{d} = {d} {sign} {s}, both signed{}", width(bits, dst))
        }
        Op::Neg { bits, dst } => {
            let d = register(bits, dst);
            format!("{d} = 0 - {d}{}", width(bits, dst))
        }
        Op::MoveSigned { extend, dst, src } => {
            let (from, bits) = match extend {
                SignExtend::B8To32 => (8, Bits::B32),
                SignExtend::B16To32 => (16, Bits::B32),
                SignExtend::B8To64 => (8, Bits::B64),
                SignExtend::B16To64 => (16, Bits::B64),
                SignExtend::B32To64 => (32, Bits::B64),
            };
            let (d, s) = (register(bits, dst), register(bits, src));
            format!("{d} = the low {from} bits of {s} as a signed number{}", width(bits, dst))
        }
        Op::AddrSpaceCast { dst, src, to, from } => {
            note(
                &mut notes,
                "For arenas: address space 1 is the arena's, 0 the kernel's. Linux takes no others.",
            );
            format!(
                "r{} = the address r{} of address space {from}, as one of address space {to}",
                dst.number(),
                src.number()
            )
        }
        Op::Swap { swap, bits, dst } => swapped(swap, bits, dst, &mut notes),
        Op::Load { size, dst, base, offset } => {
            if size != Size::Double {
                notes.push(format!("The other bits of r{} become zero.", dst.number()));
            }
            format!("r{} = {} at {}", dst.number(), bytes(size), address(base, offset))
        }
        Op::LoadSigned { size, dst, base, offset } => {
            let size = match size {
                SignBits::B8 => Size::Byte,
                SignBits::B16 => Size::Half,
                SignBits::B32 => Size::Word,
            };
            notes.push(format!("Its sign fills the other bits of r{}.", dst.number()));
            format!(
                "r{} = {} at {}, as a signed number",
                dst.number(),
                bytes(size),
                address(base, offset)
            )
        }
        Op::Store { size, base, offset, src } => {
            let low = if size == Size::Double { "" } else { "the low part of " };
            format!("{} at {} = {low}r{}", bytes(size), address(base, offset), src.number())
        }
        Op::StoreImm { size, base, offset, imm } => {
            match size {
                Size::Double => note(&mut notes, EXTENDED),
                Size::Word => {}
                Size::Half => note(&mut notes, "Only the low 16 bits of the immediate are stored."),
                Size::Byte => note(&mut notes, "Only the low 8 bits of the immediate are stored."),
            }
            format!("{} at {} = {imm}", bytes(size), address(base, offset))
        }
        Op::Atomic { size, op, base, offset, src } => {
            atomic(size, op, base, offset, src, &mut notes)
        }
        Op::LoadAcquire { size, dst, base, offset } => {
            note(&mut notes, "No later access to memory happens before it.");
            if size != Size::Double {
                notes.push(format!("The other bits of r{} become zero.", dst.number()));
            }
            format!(
                "r{} = {} at {}, with acquire order",
                dst.number(),
                bytes(size),
                address(base, offset)
            )
        }
        Op::StoreRelease { size, base, offset, src } => {
            note(&mut notes, "No earlier access to memory happens after it.");
            format!(
                "{} at {} = r{}, with release order",
                bytes(size),
                address(base, offset),
                src.number()
            )
        }
        Op::LoadPacket { size, index, imm } => {
            let size = match size {
                PacketSize::Byte => Size::Byte,
                PacketSize::Half => Size::Half,
                PacketSize::Word => Size::Word,
            };
            note(
                &mut notes,
                "In the packet's byte order, turned into the machine's. r6 has to hold the context, and r1 to r5 are lost.",
            );
            note(&mut notes, "Beyond the packet's end the program ends and returns 0. Deprecated.");
            let index = index.map_or(String::new(), |index| format!("r{} + ", index.number()));
            format!("r0 = {} of the packet at {index}{imm}", bytes(size))
        }
        Op::LoadImm64 { dst, kind, low, high } => load(dst, kind, low, high, &mut notes),
        Op::Jump { offset } => go(offset.into()),
        Op::JumpLong { offset } => go(offset.into()),
        Op::MayJump { offset } => {
            note(&mut notes, "It makes a loop that the verifier need not see the end of.");
            format!(
                "{} once the loop has run as often or as long as the kernel lets it",
                go(offset.into())
            )
        }
        Op::JumpRegister { dst } => {
            note(&mut notes, "The address comes out of a jump table, a map of instructions.");
            format!("go to the address in r{}", dst.number())
        }
        Op::JumpIf { bits, condition, dst, src, offset } => {
            extended(bits, src, &mut notes);
            let (d, s) = (register(bits, dst), operand(bits, src));
            format!("if {}, {}", compared(condition, &d, &s), go(offset.into()))
        }
        Op::CallHelper { number } => {
            note(&mut notes, ARGUMENTS);
            let name = usize::try_from(number).ok().filter(|index| *index > 0);
            match name.and_then(|index| HELPERS.get(index)) {
                Some(name) => {
                    format!("r0 = bpf_{name}(…), helper {number} of the kernel: see bpf-helpers(7)")
                }
                None => {
                    format!("r0 = helper {number} of the kernel, of which nothing is known here")
                }
            }
        }
        Op::CallLocal { offset } => {
            note(&mut notes, ARGUMENTS);
            note(
                &mut notes,
                "The function has its own stack, its own r10, and gives r6 to r9 back as they were.",
            );
            format!("r0 = the function of this program that begins {} (…)", away(offset.into()))
        }
        Op::CallKfunc { btf_id, fd_index } => {
            note(&mut notes, ARGUMENTS);
            let whose = if fd_index == 0 {
                "of the kernel itself".to_string()
            } else {
                format!(
                    "of the module whose BTF has index {fd_index} in the load's array of descriptors"
                )
            };
            format!("r0 = the function with BTF id {btf_id} {whose} (…)")
        }
        Op::CallRegister { dst } => {
            note(&mut notes, "LLVM emits it. Linux refuses it.");
            format!("call the function at the address in r{}", dst.number())
        }
        Op::Exit => "return r0 to the caller: the function that called, or the kernel".into(),
    };
    Meaning { says, notes, origin: origin_of(op) }
}

const EXTENDED: &str = "The immediate has 32 bits; its sign fills the upper 32.";
const ARGUMENTS: &str =
    "Arguments are in r1 to r5, the result in r0. Afterwards r1 to r5 cannot be read.";

fn note(notes: &mut Vec<String>, text: &str) {
    notes.push(text.into());
}

fn register(bits: Bits, reg: Reg) -> String {
    let letter = if bits == Bits::B64 { 'r' } else { 'w' };
    format!("{letter}{}", reg.number())
}

fn operand(bits: Bits, source: Source) -> String {
    match source {
        Source::Reg(reg) => register(bits, reg),
        Source::Imm(imm) => imm.to_string(),
    }
}

fn extended(bits: Bits, src: Source, notes: &mut Vec<String>) {
    if bits == Bits::B64 && matches!(src, Source::Imm(_)) {
        note(notes, EXTENDED);
    }
}

/// What is said of the width of a result.
fn width(bits: Bits, dst: Reg) -> String {
    match bits {
        Bits::B64 => " (64 bits)".into(),
        Bits::B32 => format!(" (32 bits; the upper half of r{} becomes zero)", dst.number()),
    }
}

fn arithmetic(bits: Bits, op: AluOp, dst: Reg, src: Source, notes: &mut Vec<String>) -> String {
    let (d, s) = (register(bits, dst), operand(bits, src));
    let sign = match op {
        AluOp::Add => "+",
        AluOp::Sub => "-",
        AluOp::Mul => "*",
        AluOp::Div => "/",
        AluOp::Or => "|",
        AluOp::And => "&",
        AluOp::Lsh => "<<",
        AluOp::Rsh | AluOp::Arsh => ">>",
        AluOp::Mod => "%",
        AluOp::Xor => "^",
        AluOp::Mov => {
            extended(bits, src, notes);
            return format!("{d} = {s}{}", width(bits, dst));
        }
    };
    let mut how = "";
    match op {
        AluOp::Div | AluOp::Mod => {
            how = ", both unsigned";
            divisor(bits, src, op == AluOp::Mod, dst, notes);
        }
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => {
            if op == AluOp::Arsh {
                how = ", filled with the sign";
            } else if op == AluOp::Rsh {
                how = ", filled with zeros";
            }
            let (low, all) = if bits == Bits::B64 { (6, 64) } else { (5, 32) };
            match src {
                Source::Reg(_) => {
                    notes.push(format!(
                        "Of the count only the low {low} bits matter: 0 to {}.",
                        all - 1
                    ));
                }
                Source::Imm(_) => {
                    notes.push(format!(
                        "Linux refuses a constant count below 0 or above {}.",
                        all - 1
                    ));
                }
            }
            return format!("{d} = {d} {sign} {s}{how}{}", width(bits, dst));
        }
        AluOp::Add | AluOp::Sub | AluOp::Mul => {
            note(notes, "What does not fit is cut off: the result wraps around.");
        }
        _ => {}
    }
    extended(bits, src, notes);
    format!("{d} = {d} {sign} {s}{how}{}", width(bits, dst))
}

/// What happens to a division by zero.
fn divisor(bits: Bits, src: Source, modulo: bool, dst: Reg, notes: &mut Vec<String>) {
    if let Source::Imm(imm) = src {
        if imm == 0 {
            note(notes, "Linux refuses the constant 0 as a divisor.");
        }
        return;
    }
    notes.push(match (modulo, bits) {
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

fn swapped(swap: Swap, bits: SwapBits, dst: Reg, notes: &mut Vec<String>) -> String {
    let (bits, number) = (bits as u8, dst.number());
    if bits < 64 {
        notes.push(format!("The bits above the low {bits} become zero."));
    }
    let (order, other) = match swap {
        Swap::Always => {
            return format!("r{number} = the low {} bytes of r{number} in reverse order", bits / 8);
        }
        Swap::Le => ("little", "big"),
        Swap::Be => ("big", "little"),
    };
    notes.push(format!(
        "The bytes are reversed on a {other}-endian machine; on a {order}-endian one they stay."
    ));
    format!(
        "r{number} = the low {bits} bits of r{number}, between the machine's byte order and {order}-endian"
    )
}

fn bytes(size: Size) -> &'static str {
    match size {
        Size::Byte => "the byte",
        Size::Half => "the 2 bytes",
        Size::Word => "the 4 bytes",
        Size::Double => "the 8 bytes",
    }
}

fn address(base: Reg, offset: i16) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let stack = if base == Reg::R10 { ", on the stack" } else { "" };
    format!("address r{} {sign} {}{stack}", base.number(), offset.unsigned_abs())
}

fn atomic(
    size: AtomicSize,
    op: AtomicOp,
    base: Reg,
    offset: i16,
    src: Reg,
    notes: &mut Vec<String>,
) -> String {
    let (bits, size) = match size {
        AtomicSize::Word => (Bits::B32, Size::Word),
        AtomicSize::Double => (Bits::B64, Size::Double),
    };
    let (place, s) = (format!("{} at {}", bytes(size), address(base, offset)), register(bits, src));
    let (sign, fetches) = match op {
        AtomicOp::Add => ("+", false),
        AtomicOp::Or => ("|", false),
        AtomicOp::And => ("&", false),
        AtomicOp::Xor => ("^", false),
        AtomicOp::FetchAdd => ("+", true),
        AtomicOp::FetchOr => ("|", true),
        AtomicOp::FetchAnd => ("&", true),
        AtomicOp::FetchXor => ("^", true),
        AtomicOp::Exchange => {
            upper(bits, src, notes);
            return format!("at once: {place} = {s}, and {s} = what was there before");
        }
        AtomicOp::CompareExchange => {
            upper(bits, Reg::R0, notes);
            let old = register(bits, Reg::R0);
            return format!(
                "at once: if {place} equal {old}, they become {s}; in any case {old} = what was there before"
            );
        }
    };
    if fetches {
        upper(bits, src, notes);
        return format!(
            "at once: {place} = themselves {sign} {s}, and {s} = what was there before"
        );
    }
    format!("at once: {place} = themselves {sign} {s}")
}

fn upper(bits: Bits, reg: Reg, notes: &mut Vec<String>) {
    if bits == Bits::B32 {
        notes.push(format!("The upper half of r{} becomes zero.", reg.number()));
    }
}

fn load(dst: Reg, kind: Pseudo, low: i32, high: i32, notes: &mut Vec<String>) -> String {
    let number = dst.number();
    if kind != Pseudo::Imm64 {
        note(notes, "The kernel puts the address in when the program is loaded.");
    }
    if high != 0 && matches!(kind, Pseudo::MapFd | Pseudo::MapIndex | Pseudo::Function) {
        note(notes, "Linux refuses a second immediate other than 0 here.");
    }
    match kind {
        Pseudo::Imm64 => {
            let value = (high as u32 as u64) << 32 | low as u32 as u64;
            note(
                notes,
                "Two slots: the low half is the first immediate, the high half the second.",
            );
            format!("r{number} = {value:#x}, {} (64 bits)", value as i64)
        }
        Pseudo::MapFd => format!("r{number} = the map of file descriptor {low}"),
        Pseudo::MapIndex => {
            format!("r{number} = the map of index {low} in the load's array of descriptors")
        }
        Pseudo::MapValue => format!(
            "r{number} = the address of byte {high} in the first value of the map of file descriptor {low}"
        ),
        Pseudo::MapIndexValue => {
            format!(
                "r{number} = the address of byte {high} in the first value of the map of index {low} in the load's array of descriptors"
            )
        }
        Pseudo::BtfId if high == 0 => {
            format!("r{number} = the address of the kernel's variable with BTF id {low}")
        }
        Pseudo::BtfId => format!(
            "r{number} = the address of the variable with BTF id {low} in the BTF of file descriptor {high}"
        ),
        Pseudo::Function => format!(
            "r{number} = the address of the function of this program that begins {}",
            away(low.into())
        ),
    }
}

/// Where a distance leads, which is counted from the next slot.
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

fn compared(condition: Condition, d: &str, s: &str) -> String {
    let (sign, how) = match condition {
        Condition::Eq => ("==", ""),
        Condition::Ne => ("!=", ""),
        Condition::Set => return format!("{d} & {s} is not 0"),
        Condition::Gt => (">", ", unsigned"),
        Condition::Ge => (">=", ", unsigned"),
        Condition::Lt => ("<", ", unsigned"),
        Condition::Le => ("<=", ", unsigned"),
        Condition::SignedGt => (">", ", signed"),
        Condition::SignedGe => (">=", ", signed"),
        Condition::SignedLt => ("<", ", signed"),
        Condition::SignedLe => ("<=", ", signed"),
    };
    format!("{d} {sign} {s}{how}")
}
