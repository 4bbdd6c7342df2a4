//! The instruction set: one 8-byte slot and its fields, and the instructions that slots encode.
//!
//! An instruction is one *slot* of eight bytes (RFC 9669 section 3): opcode, two 4-bit register numbers,
//! a 16-bit offset and a 32-bit immediate. The one wide instruction, `lddw`, takes two slots. The low
//! three bits of the opcode are the *class*.
//!
//! [`Insn`] is the slot. [`Op`] is the decoded instruction: an enum that can be matched on, whose fields have
//! the widths of the slot's, so that every value has an encoding and nothing is ever truncated.
//!
//! Everything here is `const` and makes no system calls.
//!
//! ```
//! use rawbpf::insn::{AluOp, Bits, ByteOrder, Op, Reg, Source};
//!
//! const ADD: Op = Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: Reg::R1, src: Source::Imm(5) };
//! let slot = ADD.encode().first();
//! assert_eq!(slot.to_bytes(ByteOrder::Little), [0x07, 0x01, 0, 0, 5, 0, 0, 0]);
//! assert_eq!(slot.to_bytes(ByteOrder::Big), [0x07, 0x10, 0, 0, 0, 0, 0, 5]);
//! assert_eq!(Op::decode(&[slot]), Ok(ADD));
//! ```

mod decode;
mod op;
pub(crate) mod table;

pub use decode::{DecodeError, Reason};
pub use op::{Encoded, Op};

use std::fmt;

/// One slot, in the layout of `struct bpf_insn` on this machine, so that a slice of them is a program.
#[repr(C, align(8))]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "bpf_insn")]
pub struct Insn {
    opcode: u8,
    registers: u8,
    offset: i16,
    imm: i32,
}

/// The byte order of the machine that a program is for. It decides the order of the bytes of offset and
/// immediate, and which half of the register byte comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ByteOrder {
    /// x86-64, arm64, riscv64, …
    Little,
    /// s390x, …
    Big,
}

impl ByteOrder {
    /// The byte order of the machine this was compiled for.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
}

/// A register. `r10` is the frame pointer, read-only to programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Reg {
    #[doc(alias = "BPF_REG_0")]
    R0,
    #[doc(alias = "BPF_REG_1")]
    R1,
    #[doc(alias = "BPF_REG_2")]
    R2,
    #[doc(alias = "BPF_REG_3")]
    R3,
    #[doc(alias = "BPF_REG_4")]
    R4,
    #[doc(alias = "BPF_REG_5")]
    R5,
    #[doc(alias = "BPF_REG_6")]
    R6,
    #[doc(alias = "BPF_REG_7")]
    R7,
    #[doc(alias = "BPF_REG_8")]
    R8,
    #[doc(alias = "BPF_REG_9")]
    R9,
    #[doc(alias("BPF_REG_10", "BPF_REG_FP"))]
    R10,
}

impl Reg {
    /// All registers in order.
    pub const ALL: [Reg; 11] = [
        Reg::R0,
        Reg::R1,
        Reg::R2,
        Reg::R3,
        Reg::R4,
        Reg::R5,
        Reg::R6,
        Reg::R7,
        Reg::R8,
        Reg::R9,
        Reg::R10,
    ];

    /// Returns the register of that number; `None` above 10.
    pub const fn new(number: u8) -> Option<Reg> {
        if number < 11 { Some(Reg::ALL[number as usize]) } else { None }
    }

    /// Returns its number, 0 to 10.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The low three bits of the opcode: the instruction class (RFC 9669 section 3.3).
pub mod class {
    /// Non-standard loads: `lddw` and the legacy packet loads.
    #[doc(alias = "BPF_LD")]
    pub const LD: u8 = 0x00;
    /// Loads from memory.
    #[doc(alias = "BPF_LDX")]
    pub const LDX: u8 = 0x01;
    /// Stores of an immediate.
    #[doc(alias = "BPF_ST")]
    pub const ST: u8 = 0x02;
    /// Stores of a register, and atomics.
    #[doc(alias = "BPF_STX")]
    pub const STX: u8 = 0x03;
    /// 32-bit arithmetic.
    #[doc(alias = "BPF_ALU")]
    pub const ALU: u8 = 0x04;
    /// Jumps that compare 64 bits, calls, exit.
    #[doc(alias = "BPF_JMP")]
    pub const JMP: u8 = 0x05;
    /// Jumps that compare 32 bits.
    #[doc(alias = "BPF_JMP32")]
    pub const JMP32: u8 = 0x06;
    /// 64-bit arithmetic.
    #[doc(alias = "BPF_ALU64")]
    pub const ALU64: u8 = 0x07;
}

/// The mode bits of a load or store (RFC 9669 section 5).
pub mod mode {
    /// `lddw`.
    #[doc(alias = "BPF_IMM")]
    pub const IMM: u8 = 0x00;
    /// Packet bytes at a constant offset.
    #[doc(alias = "BPF_ABS")]
    pub const ABS: u8 = 0x20;
    /// Packet bytes at a register's offset.
    #[doc(alias = "BPF_IND")]
    pub const IND: u8 = 0x40;
    /// Ordinary memory.
    #[doc(alias = "BPF_MEM")]
    pub const MEM: u8 = 0x60;
    /// Memory, sign-extended.
    #[doc(alias = "BPF_MEMSX")]
    pub const MEMSX: u8 = 0x80;
    /// Atomic operations.
    #[doc(alias = "BPF_ATOMIC")]
    pub const ATOMIC: u8 = 0xc0;
}

/// The source bit: set where the second operand is a register.
#[doc(alias = "BPF_X")]
pub const SOURCE_REG: u8 = 0x08;

/// The kind of 64-bit immediate of `lddw`: its source field (RFC 9669 section 5.4). All but the first are
/// filled in by the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Pseudo {
    /// The two immediates themselves.
    Imm64 = 0,
    /// The address of the map whose file descriptor is the first immediate.
    #[doc(alias = "BPF_PSEUDO_MAP_FD")]
    MapFd = 1,
    /// The address in a map's value: descriptor in the first immediate, offset in the second.
    #[doc(alias = "BPF_PSEUDO_MAP_VALUE")]
    MapValue = 2,
    /// The address of a kernel variable: its BTF id in the first immediate, the descriptor of its BTF in the
    /// second.
    #[doc(alias = "BPF_PSEUDO_BTF_ID")]
    BtfId = 3,
    /// The address of a function of this program, slots from the next instruction.
    #[doc(alias = "BPF_PSEUDO_FUNC")]
    Function = 4,
    /// As `MapFd`, by index into the load's array of descriptors.
    #[doc(alias = "BPF_PSEUDO_MAP_IDX")]
    MapIndex = 5,
    /// As `MapValue`, by index into the load's array of descriptors.
    #[doc(alias = "BPF_PSEUDO_MAP_IDX_VALUE")]
    MapIndexValue = 6,
}

/// The width of arithmetic or of a comparison: `w0` or `r0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Bits {
    /// The low half of the registers; the result's upper half is zero.
    B32,
    /// The whole registers.
    B64,
}

/// The size of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Size {
    /// Four bytes, `u32`.
    #[doc(alias = "BPF_W")]
    Word = 0x00,
    /// Two bytes, `u16`.
    #[doc(alias = "BPF_H")]
    Half = 0x08,
    /// One byte, `u8`.
    #[doc(alias = "BPF_B")]
    Byte = 0x10,
    /// Eight bytes, `u64`.
    #[doc(alias = "BPF_DW")]
    Double = 0x18,
}

impl Size {
    /// Returns the size in bytes: 1, 2, 4 or 8.
    pub const fn bytes(self) -> u8 {
        match self {
            Size::Byte => 1,
            Size::Half => 2,
            Size::Word => 4,
            Size::Double => 8,
        }
    }
}

/// The second operand of arithmetic and comparisons. An immediate is sign-extended to 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Source {
    /// A register.
    #[doc(alias = "BPF_X")]
    Reg(Reg),
    /// A constant.
    #[doc(alias = "BPF_K")]
    Imm(i32),
}

/// Arithmetic with two operands (RFC 9669 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum AluOp {
    #[doc(alias = "BPF_ADD")]
    Add = 0x00,
    #[doc(alias = "BPF_SUB")]
    Sub = 0x10,
    #[doc(alias = "BPF_MUL")]
    Mul = 0x20,
    #[doc(alias = "BPF_DIV")]
    Div = 0x30,
    #[doc(alias = "BPF_OR")]
    Or = 0x40,
    #[doc(alias = "BPF_AND")]
    And = 0x50,
    #[doc(alias = "BPF_LSH")]
    Lsh = 0x60,
    #[doc(alias = "BPF_RSH")]
    Rsh = 0x70,
    #[doc(alias = "BPF_MOD")]
    Mod = 0x90,
    #[doc(alias = "BPF_XOR")]
    Xor = 0xa0,
    #[doc(alias = "BPF_MOV")]
    Mov = 0xb0,
    /// Shift right, keeping the sign.
    #[doc(alias = "BPF_ARSH")]
    Arsh = 0xc0,
}

/// The two divisions that also come signed (ISA v4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SignedOp {
    #[doc(alias = "BPF_SDIV")]
    Div = 0x30,
    #[doc(alias = "BPF_SMOD")]
    Mod = 0x90,
}

/// The kind of byte swap (RFC 9669 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Swap {
    /// To or from little-endian.
    #[doc(alias = "BPF_TO_LE")]
    Le,
    /// To or from big-endian.
    #[doc(alias = "BPF_TO_BE")]
    Be,
    /// Always reversed (ISA v4).
    #[doc(alias = "bswap")]
    Always,
}

/// The number of low bits that a byte swap affects; the rest become zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SwapBits {
    B16 = 16,
    B32 = 32,
    B64 = 64,
}

/// The widths of the source and the result of a sign-extending move (ISA v4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs)]
pub enum SignExtend {
    B8To32,
    B16To32,
    B8To64,
    B16To64,
    B32To64,
}

/// The size of a legacy packet load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum PacketSize {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
}

/// The size of a sign-extending load (ISA v4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SignBits {
    B8 = 8,
    B16 = 16,
    B32 = 32,
}

/// The condition of a conditional jump (RFC 9669 section 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Condition {
    #[doc(alias = "BPF_JEQ")]
    Eq = 0x10,
    #[doc(alias = "BPF_JGT")]
    Gt = 0x20,
    #[doc(alias = "BPF_JGE")]
    Ge = 0x30,
    /// Some bit is set in both.
    #[doc(alias = "BPF_JSET")]
    Set = 0x40,
    #[doc(alias = "BPF_JNE")]
    Ne = 0x50,
    #[doc(alias = "BPF_JSGT")]
    SignedGt = 0x60,
    #[doc(alias = "BPF_JSGE")]
    SignedGe = 0x70,
    #[doc(alias = "BPF_JLT")]
    Lt = 0xa0,
    #[doc(alias = "BPF_JLE")]
    Le = 0xb0,
    #[doc(alias = "BPF_JSLT")]
    SignedLt = 0xc0,
    #[doc(alias = "BPF_JSLE")]
    SignedLe = 0xd0,
}

/// The two sizes of atomic arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum AtomicSize {
    Word = 0x00,
    Double = 0x18,
}

/// The operation of an atomic instruction (RFC 9669 section 5.3), as its immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum AtomicOp {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    Xor = 0xa0,
    #[doc(alias = "BPF_FETCH")]
    FetchAdd = 0x01,
    FetchOr = 0x41,
    FetchAnd = 0x51,
    FetchXor = 0xa1,
    /// Stores the source register, which gets the old value.
    #[doc(alias = "BPF_XCHG")]
    Exchange = 0xe1,
    /// Stores the source register if memory equals `r0`, which gets the old value.
    #[doc(alias = "BPF_CMPXCHG")]
    CompareExchange = 0xf1,
}

impl Insn {
    /// Creates a slot from its fields, without validation. Only the low four bits of `dst` and `src` exist in
    /// a slot.
    pub const fn from_fields(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Insn {
        let (dst, src) = (dst & 15, src & 15);
        let registers = if cfg!(target_endian = "big") { dst << 4 | src } else { src << 4 | dst };
        Insn { opcode, registers, offset, imm }
    }

    /// Returns the opcode: class in the low three bits.
    pub const fn opcode(self) -> u8 {
        self.opcode
    }

    /// Returns the destination register's number, 0 to 15 (a valid program has at most 10).
    pub const fn dst(self) -> u8 {
        if cfg!(target_endian = "big") { self.registers >> 4 } else { self.registers & 15 }
    }

    /// Returns the source register's number, or the kind of immediate or call; 0 to 15.
    pub const fn src(self) -> u8 {
        if cfg!(target_endian = "big") { self.registers & 15 } else { self.registers >> 4 }
    }

    /// Returns the offset: bytes for memory, slots for jumps.
    pub const fn offset(self) -> i16 {
        self.offset
    }

    /// Returns the immediate.
    pub const fn imm(self) -> i32 {
        self.imm
    }

    /// Returns whether this is the first of the two slots of `lddw`.
    pub const fn is_wide(self) -> bool {
        self.opcode == class::LD | mode::IMM | Size::Double as u8
    }

    /// Returns the same slot with another offset, such as the distance of a jump.
    pub const fn with_offset(mut self, offset: i16) -> Insn {
        self.offset = offset;
        self
    }

    /// Returns the same slot with another immediate, such as that of a map, a call or a long jump.
    pub const fn with_imm(mut self, imm: i32) -> Insn {
        self.imm = imm;
        self
    }

    /// Returns the eight bytes as a machine of that byte order reads them.
    pub const fn to_bytes(self, order: ByteOrder) -> [u8; 8] {
        let (dst, src) = (self.dst(), self.src());
        let (registers, off, imm) = match order {
            ByteOrder::Little => {
                (src << 4 | dst, self.offset.to_le_bytes(), self.imm.to_le_bytes())
            }
            ByteOrder::Big => (dst << 4 | src, self.offset.to_be_bytes(), self.imm.to_be_bytes()),
        };
        [self.opcode, registers, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }

    /// Decodes eight bytes as a slot of a machine of that byte order. Never fails: the slot need not be a
    /// valid instruction.
    pub const fn from_bytes(bytes: [u8; 8], order: ByteOrder) -> Insn {
        let [opcode, registers, o0, o1, i0, i1, i2, i3] = bytes;
        let (high, low) = (registers >> 4, registers & 15);
        match order {
            ByteOrder::Little => Insn::from_fields(
                opcode,
                low,
                high,
                i16::from_le_bytes([o0, o1]),
                i32::from_le_bytes([i0, i1, i2, i3]),
            ),
            ByteOrder::Big => Insn::from_fields(
                opcode,
                high,
                low,
                i16::from_be_bytes([o0, o1]),
                i32::from_be_bytes([i0, i1, i2, i3]),
            ),
        }
    }
}

impl fmt::Debug for Insn {
    /// Prints the eight bytes in memory order on this machine, `b7 00 00 00 05 00 00 00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.to_bytes(ByteOrder::NATIVE).iter().enumerate() {
            write!(f, "{}{byte:02x}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
