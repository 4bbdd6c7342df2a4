//! Decoded instructions, and their encoding.

use super::{
    AluOp, AtomicOp, AtomicSize, Bits, Condition, Insn, PacketSize, Pseudo, Reg, SOURCE_REG,
    SignBits, SignExtend, SignedOp, Size, Source, Swap, SwapBits, class, mode,
};

pub(super) const JA: u8 = 0x00;
pub(super) const CALL: u8 = 0x80;
pub(super) const EXIT: u8 = 0x90;
pub(super) const JCOND: u8 = 0xe0;
pub(super) const NEG: u8 = 0x80;
pub(super) const END: u8 = 0xd0;
pub(super) const LOAD_ACQUIRE: i32 = 0x100;
pub(super) const STORE_RELEASE: i32 = 0x110;
/// The values of the source field of `call`: 0 for a helper, 1 for a function of this program, 2 for a kernel
/// function.
pub(super) const CALL_LOCAL: u8 = 1;
pub(super) const CALL_KFUNC: u8 = 2;

/// One instruction. Every value of this type has an encoding, and every encoding that the kernel accepts is a value.
///
/// Offsets of jumps and calls count slots from the next instruction, those of memory bytes. Versions are those of
/// the ISA (RFC 9669 section 2.4 and LLVM's `-mcpu`) and of Linux.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Op {
    /// `r1 += r2`, `w1 = 5`. v1; LLVM uses 32 bits from v3 on
    #[doc(alias("BPF_ALU", "BPF_ALU64"))]
    Alu {
        /// The width, 32 or 64 bits.
        bits: Bits,
        /// The operation.
        op: AluOp,
        /// The first operand, which gets the result.
        dst: Reg,
        /// The second operand.
        src: Source,
    },
    /// `r1 s/= r2`, `w1 s%= 5`: signed division. v4 (Linux 6.6)
    #[doc(alias("BPF_SDIV", "BPF_SMOD"))]
    AluSigned {
        /// The width, 32 or 64 bits.
        bits: Bits,
        /// Division or remainder.
        op: SignedOp,
        /// The first operand, which gets the result.
        dst: Reg,
        /// The second operand.
        src: Source,
    },
    /// `r1 = -r1`. v1
    #[doc(alias = "BPF_NEG")]
    Neg {
        /// The width, 32 or 64 bits.
        bits: Bits,
        /// The register.
        dst: Reg,
    },
    /// `r1 = (s8)r2`: a move that extends the sign. v4 (Linux 6.6)
    #[doc(alias = "BPF_MOVSX")]
    MoveSigned {
        /// The widths of source and result.
        extend: SignExtend,
        /// The destination register.
        dst: Reg,
        /// The source register.
        src: Reg,
    },
    /// `r1 = addr_space_cast(r2, 0, 1)`: between arena and kernel addresses. Linux 6.9
    #[doc(alias = "BPF_ADDR_SPACE_CAST")]
    AddrSpaceCast {
        /// The destination register.
        dst: Reg,
        /// The source register.
        src: Reg,
        /// The address space of the result.
        to: u16,
        /// The address space of the source.
        from: u16,
    },
    /// `r1 = be16 r1`. v1; `bswap16` v4 (Linux 6.6)
    #[doc(alias = "BPF_END")]
    Swap {
        /// The kind of byte swap.
        swap: Swap,
        /// The number of low bits that are swapped; the others become zero.
        bits: SwapBits,
        /// The register.
        dst: Reg,
    },
    /// `r1 = *(u32 *)(r2 + 8)`: the upper bits become zero. v1
    #[doc(alias = "BPF_LDX")]
    Load {
        /// The size of the access.
        size: Size,
        /// The destination register.
        dst: Reg,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
    },
    /// `r1 = *(s32 *)(r2 + 8)`: the sign is extended to 64 bits. v4 (Linux 6.6)
    #[doc(alias = "BPF_MEMSX")]
    LoadSigned {
        /// The size of the access.
        size: SignBits,
        /// The destination register.
        dst: Reg,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
    },
    /// `*(u32 *)(r1 + 8) = r2`. v1
    #[doc(alias = "BPF_STX")]
    Store {
        /// The size of the access.
        size: Size,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
        /// The register to store.
        src: Reg,
    },
    /// `*(u32 *)(r1 + 8) = 5`: for eight bytes the sign is extended. v1
    #[doc(alias = "BPF_ST")]
    StoreImm {
        /// The size of the access.
        size: Size,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
        /// The value to store.
        imm: i32,
    },
    /// `lock *(u64 *)(r1 + 8) += r2`, `r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)`, `r2 = xchg_64(r1 + 8, r2)`.
    /// Addition without result v1; the others v3 (Linux 5.12)
    #[doc(alias("BPF_ATOMIC", "BPF_XADD"))]
    Atomic {
        /// The size of the access.
        size: AtomicSize,
        /// The operation.
        op: AtomicOp,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
        /// The operand, which receives the old value if there is a result (for `cmpxchg`, `r0` does).
        src: Reg,
    },
    /// `r1 = load_acquire((u64 *)(r2 + 8))`. v4 (Linux 6.15)
    #[doc(alias = "BPF_LOAD_ACQ")]
    LoadAcquire {
        /// The size of the access.
        size: Size,
        /// The destination register.
        dst: Reg,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
    },
    /// `store_release((u64 *)(r1 + 8), r2)`. v4 (Linux 6.15)
    #[doc(alias = "BPF_STORE_REL")]
    StoreRelease {
        /// The size of the access.
        size: Size,
        /// The register with the base address.
        base: Reg,
        /// The offset from it, in bytes.
        offset: i16,
        /// The register to store.
        src: Reg,
    },
    /// `r0 = *(u16 *)skb[12]`, `r0 = *(u16 *)skb[r2 + 12]`: legacy packet access, into `r0`. v1
    #[doc(alias("BPF_LD_ABS", "BPF_LD_IND", "BPF_ABS", "BPF_IND"))]
    LoadPacket {
        /// The size of the access.
        size: PacketSize,
        /// A register with an offset to add.
        index: Option<Reg>,
        /// The offset.
        imm: i32,
    },
    /// `r1 = 0x1122334455667788 ll`, and the addresses that the kernel fills in. Two slots. v1
    #[doc(alias("BPF_LD_IMM64", "lddw"))]
    LoadImm64 {
        /// The destination register.
        dst: Reg,
        /// The kind of immediate.
        kind: Pseudo,
        /// The first slot's immediate: the low half of a number.
        low: i32,
        /// The second slot's immediate: the high half of a number. Zero for `MapFd`, `Function` and
        /// `MapIndex`, or the kernel refuses it.
        high: i32,
    },
    /// `goto +3`. v1
    #[doc(alias = "BPF_JA")]
    Jump {
        /// The distance in slots, counted from the next instruction.
        offset: i16,
    },
    /// `gotol +3`. v4 (Linux 6.6)
    #[doc(alias("BPF_JA", "gotol"))]
    JumpLong {
        /// The distance in slots, counted from the next instruction.
        offset: i32,
    },
    /// `may_goto +3`: taken once the kernel's limit for loops is reached. Linux 6.9
    #[doc(alias("BPF_JCOND", "BPF_MAY_GOTO", "may_goto"))]
    MayJump {
        /// The distance in slots, counted from the next instruction.
        offset: i16,
    },
    /// `gotox r1`: to an address from a jump table. Linux 6.19
    #[doc(alias("BPF_JA", "gotox"))]
    JumpRegister {
        /// The register with the address.
        dst: Reg,
    },
    /// `if r1 s> 5 goto +3`. v1; `<`, `<=`, `s<`, `s<=` v2 (Linux 4.14); 32 bits v3 (Linux 5.1)
    #[doc(alias("BPF_JMP", "BPF_JMP32"))]
    JumpIf {
        /// The width, 32 or 64 bits.
        bits: Bits,
        /// The condition under which it is taken.
        condition: Condition,
        /// The first operand.
        dst: Reg,
        /// The second operand.
        src: Source,
        /// The distance in slots, counted from the next instruction.
        offset: i16,
    },
    /// `call 6`, `call trace_printk`: a helper of the kernel. v1
    #[doc(alias = "BPF_CALL")]
    CallHelper {
        /// The helper's number.
        number: i32,
    },
    /// `call function`: a function of this program. Linux 4.16
    #[doc(alias = "BPF_PSEUDO_CALL")]
    CallLocal {
        /// The distance in slots, counted from the next instruction.
        offset: i32,
    },
    /// A call of a kernel function. Linux 5.13
    #[doc(alias = "BPF_PSEUDO_KFUNC_CALL")]
    CallKfunc {
        /// The function's BTF id.
        btf_id: i32,
        /// The BTF of the function: 0 for the kernel's own, else an index into the load's array of descriptors.
        fd_index: i16,
    },
    /// `callx r1`: LLVM emits it, Linux refuses it.
    #[doc(alias = "callx")]
    CallRegister {
        /// The register with the address.
        dst: Reg,
    },
    /// `exit`: returns to the caller with `r0`. v1
    #[doc(alias = "BPF_EXIT")]
    Exit,
}

/// An operation: a variant of [`Op`], and for variants that several operations share, the operation. Operands and
/// widths are not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub(crate) enum Operation {
    Alu(AluOp),
    AluSigned(SignedOp),
    Neg,
    MoveSigned,
    AddrSpaceCast,
    Swap(Swap),
    Load,
    LoadSigned,
    Store,
    StoreImm,
    Atomic(AtomicOp),
    LoadAcquire,
    StoreRelease,
    /// At a constant offset, or at that of a register.
    LoadPacket {
        indexed: bool,
    },
    LoadImm64(Pseudo),
    Jump,
    JumpLong,
    MayJump,
    JumpRegister,
    JumpIf(Condition),
    CallHelper,
    CallLocal,
    /// In the kernel itself or in a module.
    CallKfunc {
        module: bool,
    },
    CallRegister,
    Exit,
}

/// The slots of one instruction: one, or two for `lddw`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Encoded {
    slots: [Insn; 2],
    wide: bool,
}

impl Encoded {
    /// Returns the first slot, for most instructions the only one.
    pub const fn first(self) -> Insn {
        self.slots[0]
    }

    /// Returns the second slot of a wide instruction.
    pub const fn second(self) -> Option<Insn> {
        if self.wide { Some(self.slots[1]) } else { None }
    }

    /// Returns the number of slots: 1 or 2.
    pub const fn count(self) -> usize {
        1 + self.wide as usize
    }

    /// Returns the slots in order.
    pub fn as_slice(&self) -> &[Insn] {
        if self.wide { &self.slots } else { std::slice::from_ref(&self.slots[0]) }
    }
}

impl Op {
    /// Encodes the instruction. Never fails.
    pub const fn encode(self) -> Encoded {
        self.encode_here()
    }

    /// Encodes the instruction, inlined: for callers with a known variant, so that the compiler leaves only the code
    /// for that one.
    #[inline(always)]
    pub(crate) const fn encode_here(self) -> Encoded {
        let slot = match self {
            Op::Alu { bits, op, dst, src } => sourced(alu_class(bits) | op as u8, dst, src, 0),
            Op::AluSigned { bits, op, dst, src } => {
                sourced(alu_class(bits) | op as u8, dst, src, 1)
            }
            Op::Neg { bits, dst } => Insn::from_fields(alu_class(bits) | NEG, dst as u8, 0, 0, 0),
            Op::MoveSigned { extend, dst, src } => {
                let (bits, from) = match extend {
                    SignExtend::B8To32 => (Bits::B32, 8),
                    SignExtend::B16To32 => (Bits::B32, 16),
                    SignExtend::B8To64 => (Bits::B64, 8),
                    SignExtend::B16To64 => (Bits::B64, 16),
                    SignExtend::B32To64 => (Bits::B64, 32),
                };
                let opcode = alu_class(bits) | AluOp::Mov as u8 | SOURCE_REG;
                Insn::from_fields(opcode, dst as u8, src as u8, from, 0)
            }
            Op::AddrSpaceCast { dst, src, to, from } => {
                let opcode = class::ALU64 | AluOp::Mov as u8 | SOURCE_REG;
                let spaces = (to as u32) << 16 | from as u32;
                Insn::from_fields(opcode, dst as u8, src as u8, 1, spaces as i32)
            }
            Op::Swap { swap, bits, dst } => {
                let opcode = match swap {
                    Swap::Le => class::ALU | END,
                    Swap::Be => class::ALU | END | SOURCE_REG,
                    Swap::Always => class::ALU64 | END,
                };
                Insn::from_fields(opcode, dst as u8, 0, 0, bits as i32)
            }
            Op::Load { size, dst, base, offset } => {
                memory(class::LDX | mode::MEM, size, dst, base, offset, 0)
            }
            Op::LoadSigned { size, dst, base, offset } => {
                let size = match size {
                    SignBits::B8 => Size::Byte,
                    SignBits::B16 => Size::Half,
                    SignBits::B32 => Size::Word,
                };
                memory(class::LDX | mode::MEMSX, size, dst, base, offset, 0)
            }
            Op::Store { size, base, offset, src } => {
                memory(class::STX | mode::MEM, size, base, src, offset, 0)
            }
            Op::StoreImm { size, base, offset, imm } => {
                Insn::from_fields(class::ST | mode::MEM | size as u8, base as u8, 0, offset, imm)
            }
            Op::Atomic { size, op, base, offset, src } => {
                let opcode = class::STX | mode::ATOMIC | size as u8;
                Insn::from_fields(opcode, base as u8, src as u8, offset, op as i32)
            }
            Op::LoadAcquire { size, dst, base, offset } => {
                memory(class::STX | mode::ATOMIC, size, dst, base, offset, LOAD_ACQUIRE)
            }
            Op::StoreRelease { size, base, offset, src } => {
                memory(class::STX | mode::ATOMIC, size, base, src, offset, STORE_RELEASE)
            }
            Op::LoadPacket { size, index, imm } => {
                let (mode, src) = match index {
                    None => (mode::ABS, 0),
                    Some(index) => (mode::IND, index as u8),
                };
                Insn::from_fields(class::LD | mode | size as u8, 0, src, 0, imm)
            }
            Op::LoadImm64 { dst, kind, low, high } => {
                let opcode = class::LD | mode::IMM | Size::Double as u8;
                return Encoded {
                    slots: [
                        Insn::from_fields(opcode, dst as u8, kind as u8, 0, low),
                        Insn::from_fields(0, 0, 0, 0, high),
                    ],
                    wide: true,
                };
            }
            Op::Jump { offset } => Insn::from_fields(class::JMP | JA, 0, 0, offset, 0),
            Op::JumpLong { offset } => Insn::from_fields(class::JMP32 | JA, 0, 0, 0, offset),
            Op::MayJump { offset } => Insn::from_fields(class::JMP | JCOND, 0, 0, offset, 0),
            Op::JumpRegister { dst } => {
                Insn::from_fields(class::JMP | JA | SOURCE_REG, dst as u8, 0, 0, 0)
            }
            Op::JumpIf { bits, condition, dst, src, offset } => {
                let class = match bits {
                    Bits::B32 => class::JMP32,
                    Bits::B64 => class::JMP,
                };
                sourced(class | condition as u8, dst, src, offset)
            }
            Op::CallHelper { number } => Insn::from_fields(class::JMP | CALL, 0, 0, 0, number),
            Op::CallLocal { offset } => {
                Insn::from_fields(class::JMP | CALL, 0, CALL_LOCAL, 0, offset)
            }
            Op::CallKfunc { btf_id, fd_index } => {
                Insn::from_fields(class::JMP | CALL, 0, CALL_KFUNC, fd_index, btf_id)
            }
            Op::CallRegister { dst } => {
                Insn::from_fields(class::JMP | CALL | SOURCE_REG, dst as u8, 0, 0, 0)
            }
            Op::Exit => Insn::from_fields(class::JMP | EXIT, 0, 0, 0, 0),
        };
        Encoded { slots: [slot, slot], wide: false }
    }

    /// Returns the operation without widths and operands: the row of the instruction table that it belongs to.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(super) const fn operation(self) -> Operation {
        match self {
            Op::Alu { op, .. } => Operation::Alu(op),
            Op::AluSigned { op, .. } => Operation::AluSigned(op),
            Op::Neg { .. } => Operation::Neg,
            Op::MoveSigned { .. } => Operation::MoveSigned,
            Op::AddrSpaceCast { .. } => Operation::AddrSpaceCast,
            Op::Swap { swap, .. } => Operation::Swap(swap),
            Op::Load { .. } => Operation::Load,
            Op::LoadSigned { .. } => Operation::LoadSigned,
            Op::Store { .. } => Operation::Store,
            Op::StoreImm { .. } => Operation::StoreImm,
            Op::Atomic { op, .. } => Operation::Atomic(op),
            Op::LoadAcquire { .. } => Operation::LoadAcquire,
            Op::StoreRelease { .. } => Operation::StoreRelease,
            Op::LoadPacket { index, .. } => Operation::LoadPacket { indexed: index.is_some() },
            Op::LoadImm64 { kind, .. } => Operation::LoadImm64(kind),
            Op::Jump { .. } => Operation::Jump,
            Op::JumpLong { .. } => Operation::JumpLong,
            Op::MayJump { .. } => Operation::MayJump,
            Op::JumpRegister { .. } => Operation::JumpRegister,
            Op::JumpIf { condition, .. } => Operation::JumpIf(condition),
            Op::CallHelper { .. } => Operation::CallHelper,
            Op::CallLocal { .. } => Operation::CallLocal,
            Op::CallKfunc { fd_index, .. } => Operation::CallKfunc { module: fd_index != 0 },
            Op::CallRegister { .. } => Operation::CallRegister,
            Op::Exit => Operation::Exit,
        }
    }

    /// Returns `lddw` of a number.
    pub const fn load_imm64(dst: Reg, imm: u64) -> Op {
        let (low, high) = (imm as u32 as i32, (imm >> 32) as u32 as i32);
        Op::LoadImm64 { dst, kind: Pseudo::Imm64, low, high }
    }
}

const fn memory(opcode: u8, size: Size, dst: Reg, src: Reg, offset: i16, imm: i32) -> Insn {
    Insn::from_fields(opcode | size as u8, dst as u8, src as u8, offset, imm)
}

const fn sourced(opcode: u8, dst: Reg, src: Source, offset: i16) -> Insn {
    match src {
        Source::Imm(imm) => Insn::from_fields(opcode, dst as u8, 0, offset, imm),
        Source::Reg(src) => Insn::from_fields(opcode | SOURCE_REG, dst as u8, src as u8, offset, 0),
    }
}

const fn alu_class(bits: Bits) -> u8 {
    match bits {
        Bits::B32 => class::ALU,
        Bits::B64 => class::ALU64,
    }
}
