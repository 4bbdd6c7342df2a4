//! The instruction set: one 8-byte slot, its fields, and a constructor for every instruction there is.
//!
//! An instruction is one *slot* of eight bytes (RFC 9669 section 3): opcode, two 4-bit register numbers,
//! a 16-bit offset and a 32-bit immediate. The one wide instruction, `lddw`, takes two slots. The low
//! three bits of the opcode are the *class*.
//!
//! Everything here is `const`, touches no operating system, and cannot make an instruction of which
//! a field was cut: the parameters have the widths of the fields.
//!
//! ```
//! use rawbpf::insn::{Insn, Reg, Source, AluOp, Bits, ByteOrder};
//!
//! const ADD: Insn = Insn::alu(Bits::B64, AluOp::Add, Reg::R1, Source::Imm(5));
//! assert_eq!(ADD.to_bytes(ByteOrder::Little), [0x07, 0x01, 0, 0, 5, 0, 0, 0]);
//! assert_eq!(ADD.to_bytes(ByteOrder::Big), [0x07, 0x10, 0, 0, 0, 0, 0, 5]);
//! ```

use std::fmt;

/// One slot, laid out as the kernel of this machine reads it (`struct bpf_insn`), so that a slice of
/// them is a program.
#[repr(C, align(8))]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Insn {
    opcode: u8,
    registers: u8,
    offset: i16,
    imm: i32,
}

/// The byte order of the machine a program is for. It decides the order inside offset and immediate,
/// and which half of the register byte comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ByteOrder {
    /// x86-64, arm64, riscv64, …
    Little,
    /// s390x, …
    Big,
}

impl ByteOrder {
    /// The order of the machine this was compiled for.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
}

/// A register. `r10` is the frame pointer, read-only to programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
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

    /// The register of that number; `None` above 10.
    pub const fn new(number: u8) -> Option<Reg> {
        if number < 11 { Some(Reg::ALL[number as usize]) } else { None }
    }

    /// Its number, 0 to 10.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The low three bits of the opcode: the instruction class (RFC 9669 section 3.1).
pub mod class {
    /// Non-standard loads: `lddw` and the legacy packet loads.
    pub const LD: u8 = 0x00;
    /// Loads from memory.
    pub const LDX: u8 = 0x01;
    /// Stores of an immediate.
    pub const ST: u8 = 0x02;
    /// Stores of a register, and atomics.
    pub const STX: u8 = 0x03;
    /// 32-bit arithmetic.
    pub const ALU: u8 = 0x04;
    /// Jumps that compare 64 bits, calls, exit.
    pub const JMP: u8 = 0x05;
    /// Jumps that compare 32 bits.
    pub const JMP32: u8 = 0x06;
    /// 64-bit arithmetic.
    pub const ALU64: u8 = 0x07;
}

/// The mode bits of a load or store (RFC 9669 section 5).
pub mod mode {
    /// `lddw`.
    pub const IMM: u8 = 0x00;
    /// Packet bytes at a constant offset.
    pub const ABS: u8 = 0x20;
    /// Packet bytes at a register's offset.
    pub const IND: u8 = 0x40;
    /// Ordinary memory.
    pub const MEM: u8 = 0x60;
    /// Memory, sign-extended.
    pub const MEMSX: u8 = 0x80;
    /// Atomic operations.
    pub const ATOMIC: u8 = 0xc0;
}

/// The source bit: set where the second operand is a register.
pub const SOURCE_REG: u8 = 0x08;

/// What the source field of `lddw` says of its immediate (RFC 9669 section 5.4).
pub mod pseudo {
    /// The address of the map whose file descriptor is the immediate.
    pub const MAP_FD: u8 = 1;
    /// The address of a map's value: descriptor in the first half, offset in the second.
    pub const MAP_VALUE: u8 = 2;
    /// The address of a kernel variable, by BTF id.
    pub const BTF_ID: u8 = 3;
    /// The address of a function of this program, relative to the next instruction.
    pub const FUNC: u8 = 4;
    /// As `MAP_FD`, by index into the load's descriptor array.
    pub const MAP_IDX: u8 = 5;
    /// As `MAP_VALUE`, by index into the load's descriptor array.
    pub const MAP_IDX_VALUE: u8 = 6;
    /// In the source field of `call`: a function of this program.
    pub const CALL_LOCAL: u8 = 1;
    /// In the source field of `call`: a kernel function, by BTF id.
    pub const CALL_KFUNC: u8 = 2;
}

/// How wide an arithmetic or a comparison is: `w0` or `r0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Bits {
    /// The low half of the registers; the result's upper half is zero.
    B32,
    /// The whole registers.
    B64,
}

/// How many bytes a load or store moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Size {
    /// Four bytes, `u32`.
    Word = 0x00,
    /// Two bytes, `u16`.
    Half = 0x08,
    /// One byte, `u8`.
    Byte = 0x10,
    /// Eight bytes, `u64`.
    Double = 0x18,
}

impl Size {
    /// The count of bytes: 1, 2, 4 or 8.
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
    Reg(Reg),
    /// A constant.
    Imm(i32),
}

/// Arithmetic with two operands (RFC 9669 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum AluOp {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    Div = 0x30,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    Mod = 0x90,
    Xor = 0xa0,
    Mov = 0xb0,
    /// Shift right, keeping the sign.
    Arsh = 0xc0,
}

/// The two divisions that also come signed (ISA v4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SignedOp {
    Div = 0x30,
    Mod = 0x90,
}

/// How bytes are reordered (RFC 9669 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Swap {
    /// To or from little-endian.
    Le,
    /// To or from big-endian.
    Be,
    /// Always reversed (ISA v4).
    Always,
}

/// How many low bits a byte swap concerns; the rest become zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SwapBits {
    B16 = 16,
    B32 = 32,
    B64 = 64,
}

/// How many low bits a sign-extending move takes (ISA v4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SignBits {
    B8 = 8,
    B16 = 16,
    B32 = 32,
}

/// When a conditional jump is taken (RFC 9669 section 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Condition {
    Eq = 0x10,
    Gt = 0x20,
    Ge = 0x30,
    /// Some bit is set in both.
    Set = 0x40,
    Ne = 0x50,
    SignedGt = 0x60,
    SignedGe = 0x70,
    Lt = 0xa0,
    Le = 0xb0,
    SignedLt = 0xc0,
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

/// What an atomic instruction does to memory (RFC 9669 section 5.3), as its immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum AtomicOp {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    Xor = 0xa0,
    FetchAdd = 0x01,
    FetchOr = 0x41,
    FetchAnd = 0x51,
    FetchXor = 0xa1,
    /// Stores the source register, which gets the old value.
    Exchange = 0xe1,
    /// Stores the source register where memory equals `r0`, which gets the old value.
    CompareExchange = 0xf1,
}

const JA: u8 = 0x00;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
const JCOND: u8 = 0xe0;
const NEG: u8 = 0x80;
const END: u8 = 0xd0;
const LOAD_ACQUIRE: i32 = 0x100;
const STORE_RELEASE: i32 = 0x110;

impl Insn {
    /// A slot from its fields as they are, checked by nobody. Only the low four bits of `dst` and `src`
    /// exist in a slot.
    pub const fn from_fields(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Insn {
        let (dst, src) = (dst & 15, src & 15);
        let registers = if cfg!(target_endian = "big") { dst << 4 | src } else { src << 4 | dst };
        Insn { opcode, registers, offset, imm }
    }

    /// The opcode: class in the low three bits.
    pub const fn opcode(self) -> u8 {
        self.opcode
    }

    /// The destination register's number, 0 to 15 (a valid program has at most 10).
    pub const fn dst(self) -> u8 {
        if cfg!(target_endian = "big") { self.registers >> 4 } else { self.registers & 15 }
    }

    /// The source register's number, or what kind of immediate or call this is; 0 to 15.
    pub const fn src(self) -> u8 {
        if cfg!(target_endian = "big") { self.registers & 15 } else { self.registers >> 4 }
    }

    /// The offset: bytes for memory, slots for jumps.
    pub const fn offset(self) -> i16 {
        self.offset
    }

    /// The immediate.
    pub const fn imm(self) -> i32 {
        self.imm
    }

    /// Whether this is the first of the two slots of `lddw`.
    pub const fn is_wide(self) -> bool {
        self.opcode == class::LD | mode::IMM | Size::Double as u8
    }

    /// The same slot with another offset: how a jump is pointed.
    pub const fn with_offset(mut self, offset: i16) -> Insn {
        self.offset = offset;
        self
    }

    /// The same slot with another immediate: how a map, a call or a long jump is filled in.
    pub const fn with_imm(mut self, imm: i32) -> Insn {
        self.imm = imm;
        self
    }

    /// The eight bytes as a machine of that byte order reads them.
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

    /// The slot that these eight bytes are on a machine of that byte order. Never fails: whether it is an
    /// instruction is another question.
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

    /// Arithmetic: `r1 += r2`, `w1 = 5`.
    pub const fn alu(bits: Bits, op: AluOp, dst: Reg, src: Source) -> Insn {
        Insn::sourced(alu_class(bits) | op as u8, dst, src, 0)
    }

    /// Signed division and remainder: `r1 s/= r2` (ISA v4, Linux 6.6).
    pub const fn alu_signed(bits: Bits, op: SignedOp, dst: Reg, src: Source) -> Insn {
        Insn::sourced(alu_class(bits) | op as u8, dst, src, 1)
    }

    /// `r1 = -r1`.
    pub const fn neg(bits: Bits, dst: Reg) -> Insn {
        Insn::from_fields(alu_class(bits) | NEG, dst as u8, 0, 0, 0)
    }

    /// A sign-extending move: `r1 = (s8)r2` (ISA v4, Linux 6.6). 32 to 32 bits does not exist: `None`.
    pub const fn move_signed(bits: Bits, from: SignBits, dst: Reg, src: Reg) -> Option<Insn> {
        if matches!((bits, from), (Bits::B32, SignBits::B32)) {
            return None;
        }
        let opcode = alu_class(bits) | AluOp::Mov as u8 | SOURCE_REG;
        Some(Insn::from_fields(opcode, dst as u8, src as u8, from as i16, 0))
    }

    /// `r1 = addr_space_cast(r2, to, from)` (Linux 6.9, for arenas).
    pub const fn addr_space_cast(dst: Reg, src: Reg, to: u16, from: u16) -> Insn {
        let opcode = class::ALU64 | AluOp::Mov as u8 | SOURCE_REG;
        let spaces = (to as u32) << 16 | from as u32;
        Insn::from_fields(opcode, dst as u8, src as u8, 1, spaces as i32)
    }

    /// A byte swap: `r1 = be16 r1`.
    pub const fn swap(swap: Swap, bits: SwapBits, dst: Reg) -> Insn {
        let opcode = match swap {
            Swap::Le => class::ALU | END,
            Swap::Be => class::ALU | END | SOURCE_REG,
            Swap::Always => class::ALU64 | END,
        };
        Insn::from_fields(opcode, dst as u8, 0, 0, bits as i32)
    }

    /// A load: `r1 = *(u32 *)(r2 + 8)`. The upper bits become zero.
    pub const fn load(size: Size, dst: Reg, base: Reg, offset: i16) -> Insn {
        Insn::from_fields(class::LDX | mode::MEM | size as u8, dst as u8, base as u8, offset, 0)
    }

    /// A load that extends the sign: `r1 = *(s32 *)(r2 + 8)` (ISA v4, Linux 6.6).
    pub const fn load_signed(from: SignBits, dst: Reg, base: Reg, offset: i16) -> Insn {
        let size = match from {
            SignBits::B8 => Size::Byte,
            SignBits::B16 => Size::Half,
            SignBits::B32 => Size::Word,
        };
        let opcode = class::LDX | mode::MEMSX | size as u8;
        Insn::from_fields(opcode, dst as u8, base as u8, offset, 0)
    }

    /// A store: `*(u32 *)(r1 + 8) = r2`.
    pub const fn store(size: Size, base: Reg, offset: i16, src: Reg) -> Insn {
        Insn::from_fields(class::STX | mode::MEM | size as u8, base as u8, src as u8, offset, 0)
    }

    /// A store of a constant: `*(u32 *)(r1 + 8) = 5`. For eight bytes it is sign-extended.
    pub const fn store_imm(size: Size, base: Reg, offset: i16, imm: i32) -> Insn {
        Insn::from_fields(class::ST | mode::MEM | size as u8, base as u8, 0, offset, imm)
    }

    /// An atomic operation on memory with the register `src` (ISA v3, Linux 5.12; plain addition v1).
    pub const fn atomic(size: AtomicSize, op: AtomicOp, base: Reg, offset: i16, src: Reg) -> Insn {
        let opcode = class::STX | mode::ATOMIC | size as u8;
        Insn::from_fields(opcode, base as u8, src as u8, offset, op as i32)
    }

    /// `r1 = load_acquire((u32 *)(r2 + 8))` (ISA v4, Linux 6.15).
    pub const fn load_acquire(size: Size, dst: Reg, base: Reg, offset: i16) -> Insn {
        let opcode = class::STX | mode::ATOMIC | size as u8;
        Insn::from_fields(opcode, dst as u8, base as u8, offset, LOAD_ACQUIRE)
    }

    /// `store_release((u32 *)(r1 + 8), r2)` (ISA v4, Linux 6.15).
    pub const fn store_release(size: Size, base: Reg, offset: i16, src: Reg) -> Insn {
        let opcode = class::STX | mode::ATOMIC | size as u8;
        Insn::from_fields(opcode, base as u8, src as u8, offset, STORE_RELEASE)
    }

    /// A legacy packet load at a constant: `r0 = *(u16 *)skb[12]`. Eight bytes do not exist: `None`.
    pub const fn load_packet_abs(size: Size, imm: i32) -> Option<Insn> {
        match size {
            Size::Double => None,
            _ => Some(Insn::from_fields(class::LD | mode::ABS | size as u8, 0, 0, 0, imm)),
        }
    }

    /// A legacy packet load at a register plus a constant: `r0 = *(u16 *)skb[r2]`. Eight bytes do not
    /// exist: `None`.
    pub const fn load_packet_ind(size: Size, src: Reg, imm: i32) -> Option<Insn> {
        match size {
            Size::Double => None,
            _ => Some(Insn::from_fields(class::LD | mode::IND | size as u8, 0, src as u8, 0, imm)),
        }
    }

    /// `lddw`, two slots: `r1 = 0x1122334455667788 ll`.
    pub const fn load_imm64(dst: Reg, imm: u64) -> [Insn; 2] {
        Insn::load_pseudo(dst, 0, imm as u32 as i32, (imm >> 32) as u32 as i32)
    }

    /// `lddw` of something the loader or the kernel knows (see [`pseudo`]), with the two halves of its
    /// immediate.
    pub const fn load_pseudo(dst: Reg, kind: u8, low: i32, high: i32) -> [Insn; 2] {
        let opcode = class::LD | mode::IMM | Size::Double as u8;
        [Insn::from_fields(opcode, dst as u8, kind, 0, low), Insn::from_fields(0, 0, 0, 0, high)]
    }

    /// `goto`, counted in slots from the next one.
    pub const fn jump(offset: i16) -> Insn {
        Insn::from_fields(class::JMP | JA, 0, 0, offset, 0)
    }

    /// `gotol`: as [`Insn::jump`] with 32 bits (ISA v4, Linux 6.6).
    pub const fn jump_long(offset: i32) -> Insn {
        Insn::from_fields(class::JMP32 | JA, 0, 0, 0, offset)
    }

    /// `may_goto`: jumps once the kernel has had enough of a loop (Linux 6.9).
    pub const fn may_jump(offset: i16) -> Insn {
        Insn::from_fields(class::JMP | JCOND, 0, 0, offset, 0)
    }

    /// `gotox`: to the address in a register, taken from a jump table (Linux 6.19).
    pub const fn jump_register(dst: Reg) -> Insn {
        Insn::from_fields(class::JMP | JA | SOURCE_REG, dst as u8, 0, 0, 0)
    }

    /// `if r1 == r2 goto`, counted in slots from the next one.
    pub const fn jump_if(
        bits: Bits,
        condition: Condition,
        dst: Reg,
        src: Source,
        offset: i16,
    ) -> Insn {
        let class = match bits {
            Bits::B32 => class::JMP32,
            Bits::B64 => class::JMP,
        };
        Insn::sourced(class | condition as u8, dst, src, offset)
    }

    /// A call of a helper function of the kernel by its number.
    pub const fn call_helper(number: i32) -> Insn {
        Insn::from_fields(class::JMP | CALL, 0, 0, 0, number)
    }

    /// A call of a function of this program, counted in slots from the next one (Linux 4.16).
    pub const fn call_local(offset: i32) -> Insn {
        Insn::from_fields(class::JMP | CALL, 0, pseudo::CALL_LOCAL, 0, offset)
    }

    /// A call of a kernel function by its BTF id; `fd_index` says whose BTF, 0 for the kernel's own (Linux 5.13).
    pub const fn call_kfunc(btf_id: i32, fd_index: i16) -> Insn {
        Insn::from_fields(class::JMP | CALL, 0, pseudo::CALL_KFUNC, fd_index, btf_id)
    }

    /// `callx`: a call of the address in a register. LLVM emits it, Linux refuses it.
    pub const fn call_register(dst: Reg) -> Insn {
        Insn::from_fields(class::JMP | CALL | SOURCE_REG, dst as u8, 0, 0, 0)
    }

    /// `exit`: back to the caller with `r0`.
    pub const fn exit() -> Insn {
        Insn::from_fields(class::JMP | EXIT, 0, 0, 0, 0)
    }

    const fn sourced(opcode: u8, dst: Reg, src: Source, offset: i16) -> Insn {
        match src {
            Source::Imm(imm) => Insn::from_fields(opcode, dst as u8, 0, offset, imm),
            Source::Reg(src) => {
                Insn::from_fields(opcode | SOURCE_REG, dst as u8, src as u8, offset, 0)
            }
        }
    }
}

const fn alu_class(bits: Bits) -> u8 {
    match bits {
        Bits::B32 => class::ALU,
        Bits::B64 => class::ALU64,
    }
}

impl fmt::Debug for Insn {
    /// The eight bytes as they lie in memory here, `b7 00 00 00 05 00 00 00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.to_bytes(ByteOrder::NATIVE).iter().enumerate() {
            write!(f, "{}{byte:02x}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
