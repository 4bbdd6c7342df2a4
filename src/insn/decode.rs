//! Decoding of slots to instructions, as strict as the kernel.

use super::op::{
    CALL, CALL_KFUNC, CALL_LOCAL, END, EXIT, JA, JCOND, LOAD_ACQUIRE, NEG, STORE_RELEASE,
};
use super::table::{ALU_BY_CODE, ATOMIC_BY_INDEX, CONDITION_BY_CODE, atomic_index};
use super::{
    AluOp, AtomicSize, Bits, Insn, Op, PacketSize, Pseudo, Reg, SOURCE_REG, SignBits, SignExtend,
    SignedOp, Size, Source, Swap, SwapBits, class, mode,
};
use std::fmt;

/// The error for a slot that is not an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// The slot.
    pub slot: Insn,
    /// The reason.
    pub reason: Reason,
}

/// The reason why a slot is not an instruction. Linux refuses each of these too (`kernel/bpf/verifier.c`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// No instruction has this opcode.
    Opcode,
    /// A field that this instruction does not use is not zero.
    Reserved(&'static str),
    /// A register above `r10`.
    Register(u8),
    /// The offset of an arithmetic instruction is not one of the valid values.
    AluOffset(i16),
    /// A byte swap of a number of bits other than 16, 32 and 64.
    SwapBits(i32),
    /// The immediate of an atomic instruction is not an operation of that size.
    Atomic(i32),
    /// The source field of `lddw` is above 6.
    Pseudo(u8),
    /// The source field of `call` is above 2.
    Call(u8),
    /// The second slot of `lddw` is missing.
    Half,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no instruction: {}", self.slot, self.reason)
    }
}

impl std::error::Error for DecodeError {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Opcode => f.write_str("there is no such opcode"),
            Reason::Reserved(field) => write!(f, "{field} has to be zero"),
            Reason::Register(11) => f.write_str(
                "r11, by which a sixth argument and those after it are passed on the stack (Linux 7.x, clang 23), is not supported",
            ),
            Reason::Register(number) => write!(f, "there is no register r{number}"),
            Reason::AluOffset(offset) => write!(f, "the offset {offset} means nothing here"),
            Reason::SwapBits(bits) => {
                write!(f, "bytes are swapped in 16, 32 or 64 bits, not {bits}")
            }
            Reason::Atomic(imm) => write!(f, "there is no atomic operation {imm:#x} of this size"),
            Reason::Pseudo(kind) => write!(f, "lddw has no source field {kind}"),
            Reason::Call(kind) => write!(f, "call has no source field {kind}"),
            Reason::Half => f.write_str("the second slot of lddw is missing"),
        }
    }
}

/// `?`, which `const fn` does not have.
macro_rules! ok {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reason) => return Err(reason),
        }
    };
}

impl Op {
    /// Decodes the instruction at the start of `slots`; [`Op::slots`] is the number of slots it takes.
    ///
    /// # Errors
    /// Everything that Linux refuses before it verifies a program's behaviour: unknown opcodes, unused fields
    /// that are not zero, registers that do not exist, half of a wide instruction.
    pub const fn decode(slots: &[Insn]) -> Result<Op, DecodeError> {
        let Some((slot, rest)) = slots.split_first() else {
            let slot = Insn::from_fields(0, 0, 0, 0, 0);
            return Err(DecodeError { slot, reason: Reason::Half });
        };
        match decode(Slot(*slot), rest) {
            Ok(op) => Ok(op),
            Err(reason) => Err(DecodeError { slot: *slot, reason }),
        }
    }

    /// Returns the number of slots that the instruction takes: 2 for `lddw`, else 1.
    pub const fn slots(self) -> usize {
        if matches!(self, Op::LoadImm64 { .. }) { 2 } else { 1 }
    }
}

const fn decode(slot: Slot, rest: &[Insn]) -> Result<Op, Reason> {
    match slot.0.opcode() & 7 {
        class::ALU => arithmetic(slot, Bits::B32),
        class::ALU64 => arithmetic(slot, Bits::B64),
        class::JMP => jump(slot, Bits::B64),
        class::JMP32 => jump(slot, Bits::B32),
        class::LD => load_special(slot, rest),
        class::LDX => load(slot),
        class::ST => {
            if slot.0.opcode() & 0xe0 != mode::MEM {
                return Err(Reason::Opcode);
            }
            ok!(slot.no_src());
            let (base, size) = (ok!(slot.dst()), slot.size());
            Ok(Op::StoreImm { size, base, offset: slot.0.offset(), imm: slot.0.imm() })
        }
        _ => store(slot),
    }
}

/// A slot whose fields are read and checked one by one.
#[derive(Clone, Copy)]
struct Slot(Insn);

impl Slot {
    const fn register(number: u8) -> Result<Reg, Reason> {
        match Reg::new(number) {
            Some(reg) => Ok(reg),
            None => Err(Reason::Register(number)),
        }
    }

    const fn dst(self) -> Result<Reg, Reason> {
        Slot::register(self.0.dst())
    }

    const fn src(self) -> Result<Reg, Reason> {
        Slot::register(self.0.src())
    }

    const fn no_dst(self) -> Result<(), Reason> {
        if self.0.dst() == 0 { Ok(()) } else { Err(Reason::Reserved("the destination register")) }
    }

    const fn no_src(self) -> Result<(), Reason> {
        if self.0.src() == 0 { Ok(()) } else { Err(Reason::Reserved("the source register")) }
    }

    const fn no_offset(self) -> Result<(), Reason> {
        if self.0.offset() == 0 { Ok(()) } else { Err(Reason::Reserved("the offset")) }
    }

    const fn no_imm(self) -> Result<(), Reason> {
        if self.0.imm() == 0 { Ok(()) } else { Err(Reason::Reserved("the immediate")) }
    }

    const fn size(self) -> Size {
        match self.0.opcode() & 0x18 {
            0x00 => Size::Word,
            0x08 => Size::Half,
            0x10 => Size::Byte,
            _ => Size::Double,
        }
    }

    /// Returns the second operand: a register or the immediate, depending on the source bit; the other field is
    /// unused.
    const fn source(self) -> Result<Source, Reason> {
        if self.0.opcode() & SOURCE_REG == 0 {
            ok!(self.no_src());
            Ok(Source::Imm(self.0.imm()))
        } else {
            ok!(self.no_imm());
            Ok(Source::Reg(ok!(self.src())))
        }
    }
}

const fn arithmetic(slot: Slot, bits: Bits) -> Result<Op, Reason> {
    let opcode = slot.0.opcode();
    let dst = ok!(slot.dst());
    let Some(op) = ALU_BY_CODE[opcode as usize >> 4] else {
        return match opcode & 0xf0 {
            NEG if opcode & SOURCE_REG == 0 => {
                ok!(slot.no_src());
                ok!(slot.no_offset());
                ok!(slot.no_imm());
                Ok(Op::Neg { bits, dst })
            }
            END => swap(slot, bits, dst),
            _ => Err(Reason::Opcode),
        };
    };
    let offset = slot.0.offset();
    if offset == 0 {
        return Ok(Op::Alu { bits, op, dst, src: ok!(slot.source()) });
    }
    match op {
        AluOp::Div if offset == 1 => {
            Ok(Op::AluSigned { bits, op: SignedOp::Div, dst, src: ok!(slot.source()) })
        }
        AluOp::Mod if offset == 1 => {
            Ok(Op::AluSigned { bits, op: SignedOp::Mod, dst, src: ok!(slot.source()) })
        }
        AluOp::Mov if opcode & SOURCE_REG != 0 => {
            let src = ok!(slot.src());
            if matches!(bits, Bits::B64) && offset == 1 {
                let spaces = slot.0.imm() as u32;
                let (to, from) = ((spaces >> 16) as u16, spaces as u16);
                return Ok(Op::AddrSpaceCast { dst, src, to, from });
            }
            let extend = match (bits, offset) {
                (Bits::B32, 8) => SignExtend::B8To32,
                (Bits::B32, 16) => SignExtend::B16To32,
                (Bits::B64, 8) => SignExtend::B8To64,
                (Bits::B64, 16) => SignExtend::B16To64,
                (Bits::B64, 32) => SignExtend::B32To64,
                _ => return Err(Reason::AluOffset(offset)),
            };
            ok!(slot.no_imm());
            Ok(Op::MoveSigned { extend, dst, src })
        }
        _ => Err(Reason::AluOffset(offset)),
    }
}

const fn swap(slot: Slot, bits: Bits, dst: Reg) -> Result<Op, Reason> {
    let swap = match (bits, slot.0.opcode() & SOURCE_REG) {
        (Bits::B32, 0) => Swap::Le,
        (Bits::B32, _) => Swap::Be,
        (Bits::B64, 0) => Swap::Always,
        (Bits::B64, _) => return Err(Reason::Opcode),
    };
    ok!(slot.no_src());
    ok!(slot.no_offset());
    let bits = match slot.0.imm() {
        16 => SwapBits::B16,
        32 => SwapBits::B32,
        64 => SwapBits::B64,
        other => return Err(Reason::SwapBits(other)),
    };
    Ok(Op::Swap { swap, bits, dst })
}

const fn jump(slot: Slot, bits: Bits) -> Result<Op, Reason> {
    let opcode = slot.0.opcode();
    if let Some(condition) = CONDITION_BY_CODE[opcode as usize >> 4] {
        let (dst, src) = (ok!(slot.dst()), ok!(slot.source()));
        return Ok(Op::JumpIf { bits, condition, dst, src, offset: slot.0.offset() });
    }
    match (opcode & 0xf0, bits) {
        (JA, _) => jump_always(slot, bits),
        (CALL, Bits::B64) => call(slot),
        (EXIT, Bits::B64) if opcode & SOURCE_REG == 0 => {
            ok!(slot.no_dst());
            ok!(slot.no_src());
            ok!(slot.no_offset());
            ok!(slot.no_imm());
            Ok(Op::Exit)
        }
        (JCOND, Bits::B64) if opcode & SOURCE_REG == 0 => {
            ok!(slot.no_dst());
            ok!(slot.no_src());
            ok!(slot.no_imm());
            Ok(Op::MayJump { offset: slot.0.offset() })
        }
        _ => Err(Reason::Opcode),
    }
}

const fn jump_always(slot: Slot, bits: Bits) -> Result<Op, Reason> {
    match (bits, slot.0.opcode() & SOURCE_REG) {
        (Bits::B64, 0) => {
            ok!(slot.no_dst());
            ok!(slot.no_src());
            ok!(slot.no_imm());
            Ok(Op::Jump { offset: slot.0.offset() })
        }
        (Bits::B64, _) => {
            ok!(slot.no_src());
            ok!(slot.no_offset());
            ok!(slot.no_imm());
            Ok(Op::JumpRegister { dst: ok!(slot.dst()) })
        }
        (Bits::B32, 0) => {
            ok!(slot.no_dst());
            ok!(slot.no_src());
            ok!(slot.no_offset());
            Ok(Op::JumpLong { offset: slot.0.imm() })
        }
        (Bits::B32, _) => Err(Reason::Opcode),
    }
}

const fn call(slot: Slot) -> Result<Op, Reason> {
    if slot.0.opcode() & SOURCE_REG != 0 {
        ok!(slot.no_src());
        ok!(slot.no_offset());
        ok!(slot.no_imm());
        return Ok(Op::CallRegister { dst: ok!(slot.dst()) });
    }
    ok!(slot.no_dst());
    let imm = slot.0.imm();
    match slot.0.src() {
        0 => {
            ok!(slot.no_offset());
            Ok(Op::CallHelper { number: imm })
        }
        CALL_LOCAL => {
            ok!(slot.no_offset());
            Ok(Op::CallLocal { offset: imm })
        }
        CALL_KFUNC => Ok(Op::CallKfunc { btf_id: imm, fd_index: slot.0.offset() }),
        other => Err(Reason::Call(other)),
    }
}

/// `lddw` and the packet loads.
const fn load_special(slot: Slot, rest: &[Insn]) -> Result<Op, Reason> {
    let index = match (slot.0.opcode() & 0xe0, slot.size()) {
        (mode::IMM, Size::Double) => return load_imm64(slot, rest),
        (mode::ABS, _) => {
            ok!(slot.no_src());
            None
        }
        (mode::IND, _) => Some(ok!(slot.src())),
        _ => return Err(Reason::Opcode),
    };
    let size = match slot.size() {
        Size::Byte => PacketSize::Byte,
        Size::Half => PacketSize::Half,
        Size::Word => PacketSize::Word,
        Size::Double => return Err(Reason::Opcode),
    };
    ok!(slot.no_dst());
    ok!(slot.no_offset());
    Ok(Op::LoadPacket { size, index, imm: slot.0.imm() })
}

const fn load_imm64(slot: Slot, rest: &[Insn]) -> Result<Op, Reason> {
    let Some((second, _)) = rest.split_first() else {
        return Err(Reason::Half);
    };
    if second.opcode() != 0 || second.dst() != 0 || second.src() != 0 || second.offset() != 0 {
        return Err(Reason::Half);
    }
    ok!(slot.no_offset());
    let kind = match slot.0.src() {
        0 => Pseudo::Imm64,
        1 => Pseudo::MapFd,
        2 => Pseudo::MapValue,
        3 => Pseudo::BtfId,
        4 => Pseudo::Function,
        5 => Pseudo::MapIndex,
        6 => Pseudo::MapIndexValue,
        other => return Err(Reason::Pseudo(other)),
    };
    Ok(Op::LoadImm64 { dst: ok!(slot.dst()), kind, low: slot.0.imm(), high: second.imm() })
}

const fn load(slot: Slot) -> Result<Op, Reason> {
    let (dst, base, offset) = (ok!(slot.dst()), ok!(slot.src()), slot.0.offset());
    ok!(slot.no_imm());
    match (slot.0.opcode() & 0xe0, slot.size()) {
        (mode::MEM, size) => Ok(Op::Load { size, dst, base, offset }),
        (mode::MEMSX, Size::Byte) => Ok(Op::LoadSigned { size: SignBits::B8, dst, base, offset }),
        (mode::MEMSX, Size::Half) => Ok(Op::LoadSigned { size: SignBits::B16, dst, base, offset }),
        (mode::MEMSX, Size::Word) => Ok(Op::LoadSigned { size: SignBits::B32, dst, base, offset }),
        _ => Err(Reason::Opcode),
    }
}

/// Stores of registers, and atomics.
const fn store(slot: Slot) -> Result<Op, Reason> {
    let (dst, src, offset) = (ok!(slot.dst()), ok!(slot.src()), slot.0.offset());
    let (size, imm) = (slot.size(), slot.0.imm());
    match slot.0.opcode() & 0xe0 {
        mode::MEM => {
            ok!(slot.no_imm());
            return Ok(Op::Store { size, base: dst, offset, src });
        }
        mode::ATOMIC => {}
        _ => return Err(Reason::Opcode),
    }
    match imm {
        LOAD_ACQUIRE => return Ok(Op::LoadAcquire { size, dst, base: src, offset }),
        STORE_RELEASE => return Ok(Op::StoreRelease { size, base: dst, offset, src }),
        _ => {}
    }
    let size = match size {
        Size::Word => AtomicSize::Word,
        Size::Double => AtomicSize::Double,
        _ => return Err(Reason::Atomic(imm)),
    };
    if let Some(index) = atomic_index(imm)
        && let Some(op) = ATOMIC_BY_INDEX[index]
    {
        return Ok(Op::Atomic { size, op, base: dst, offset, src });
    }
    Err(Reason::Atomic(imm))
}
