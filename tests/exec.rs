//! The semantics of instructions in the running kernel: each is executed on edge values by `BPF_PROG_TEST_RUN`, and
//! its result is compared, all 64 bits of it, with the arithmetic of RFC 9669 done here in Rust.
//!
//! Operands and expected values come to the program in a packet, so that neither the verifier nor the
//! JIT knows them. A program makes many checks one after the other and returns the number of the first that fails.
//!
//! Everything is run twice: compiled by the kernel's JIT, and by its interpreter where the kernel has one.

mod common;

use common::requires::{Thing, needs, needs_tried};
use rawbpf::asm::Code;
use rawbpf::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, ByteOrder, Condition, Insn, Op, PacketSize, Reg, SignBits,
    SignExtend, SignedOp, Size, Source, Swap, SwapBits,
};
use rawbpf::{Errno, Loader, Program, ProgramSpec, ProgramType, Result};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, MutexGuard};

/// Operands: around zero, around the width of a shift, around the ends of 8, 16, 32 and 64 bits, and two without
/// symmetry.
const VALUES: &[u64] = &[
    0,
    1,
    2,
    7,
    31,
    32,
    33,
    63,
    64,
    65,
    0x80,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x0123_4567_89ab_cdef,
    0xdead_beef_cafe_babe,
    0x8000_0000_8000_0000,
    0xffff_ffff_8000_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    i64::MIN as u64 + 1,
    u64::MAX - 1,
    u64::MAX,
];

/// Immediates, likewise.
const IMMS: &[i32] = &[
    0,
    1,
    2,
    5,
    16,
    31,
    32,
    63,
    127,
    128,
    255,
    256,
    0x1234_5678,
    -0x1234_5678,
    -2,
    -1,
    i32::MIN,
    i32::MIN + 1,
    i32::MAX,
];

/// Something to compute: instructions that find `a` in `r1` and `b` in `r2`, leave a result in `r1`, and may use the
/// other registers but `r6`, `r10`, and the stack from -40 up; and what the result is to be.
struct Check {
    body: Vec<Op>,
    expected: Box<dyn Fn(u64, u64) -> u64>,
}

fn check(body: &[Op], expected: impl Fn(u64, u64) -> u64 + 'static) -> Check {
    Check { body: body.to_vec(), expected: Box::new(expected) }
}

const A: Reg = Reg::R1;
const B: Reg = Reg::R2;

/// The offset of a check's memory: eight bytes here, and eight below.
const SLOT: i16 = -8;

fn mov(dst: Reg, src: impl Into<Operand>) -> Op {
    Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst, src: src.into().0 }
}

/// For short: a register or a number.
struct Operand(Source);

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Operand {
        Operand(Source::Reg(reg))
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Operand {
        Operand(Source::Imm(imm))
    }
}

fn load(size: Size, dst: Reg, offset: i16) -> Op {
    Op::Load { size, dst, base: Reg::R10, offset }
}

fn store(size: Size, offset: i16, src: Reg) -> Op {
    Op::Store { size, base: Reg::R10, offset, src }
}

fn jump_unless_equal(offset: i16) -> Op {
    let (condition, src) = (Condition::Ne, Source::Reg(B));
    Op::JumpIf { bits: Bits::B64, condition, dst: A, src, offset }
}

/// The offset of the packet on the stack, and the number of checks that it has room for.
const PACKET: i16 = -512;
const CHECKS: usize = (512 - 40) / 8 - 2;

/// The return value of a program that could not read the packet.
const NO_PACKET: i32 = 10_000;

/// One program out of many checks. It returns 0, or the number of the first check that fails, from 1.
fn program(checks: &[Check]) -> Result<Program> {
    let mut ops = vec![
        mov(Reg::R6, Reg::R1),
        mov(Reg::R2, 0),
        mov(Reg::R3, Reg::R10),
        Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: Reg::R3, src: Source::Imm(PACKET.into()) },
        mov(Reg::R4, 8 * (checks.len() as i32 + 2)),
        Op::CallHelper { number: 26 }, // skb_load_bytes, Linux 4.5
        mov(A, Reg::R0),
        mov(B, 0),
        mov(Reg::R0, NO_PACKET),
        Op::JumpIf {
            bits: Bits::B64,
            condition: Condition::Eq,
            dst: A,
            src: Source::Imm(0),
            offset: 1,
        },
        Op::Exit,
    ];
    for (i, check) in checks.iter().enumerate() {
        ops.push(load(Size::Double, A, PACKET));
        ops.push(load(Size::Double, B, PACKET + 8));
        ops.extend(&check.body);
        ops.push(load(Size::Double, B, PACKET + 16 + 8 * i as i16));
        ops.push(mov(Reg::R0, i as i32 + 1));
        ops.push(jump_unless_equal(1));
        ops.push(Op::Jump { offset: 1 });
        ops.push(Op::Exit);
    }
    ops.extend([mov(Reg::R0, 0), Op::Exit]);
    load_ops(&ops)
}

fn load_ops(ops: &[Op]) -> Result<Program> {
    let slots: Vec<Insn> = ops.iter().flat_map(|op| op.encode().as_slice().to_vec()).collect();
    load_slots(&slots)
}

fn load_slots(slots: &[Insn]) -> Result<Program> {
    let code = Code::from_slots(slots, file!());
    Loader::new().load(&ProgramSpec::new("exec", ProgramType::SocketFilter, code))
}

/// An Ethernet frame of an unknown type, with the payload that programs are to see.
fn frame(words: &[u64]) -> Vec<u8> {
    let header = [[0; 12].as_slice(), &[0x88, 0xb5]].concat();
    header.into_iter().chain(words.iter().flat_map(|word| word.to_ne_bytes())).collect()
}

/// Makes all checks on all pairs of operands.
fn prove(mode: &Mode, checks: &[Check], left: &[u64], right: &[u64]) {
    for some in checks.chunks(CHECKS) {
        let program = program(some).unwrap();
        assert_eq!(mode.of(&program), mode.kind);
        for &a in left {
            for &b in right {
                let mut words = vec![a, b];
                words.extend(some.iter().map(|check| (check.expected)(a, b)));
                let returned = program.test_run(&frame(&words), 1).unwrap().returned;
                assert_ne!(returned, NO_PACKET as u32);
                if let Some(wrong) = (returned as usize).checked_sub(1) {
                    let (body, expected) = (&some[wrong].body, words[wrong + 2]);
                    panic!("not {expected:#x} with a = {a:#x}, b = {b:#x}: {body:?}");
                }
            }
        }
    }
}

/// Execution by the JIT compiler or by the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compiled,
    Interpreted,
}

/// The setting that decides it, as long as this lives.
struct Mode {
    kind: Kind,
    before: Option<String>,
    _alone: MutexGuard<'static, ()>,
}

const JIT: &str = "/proc/sys/net/core/bpf_jit_enable";

impl Mode {
    /// Sets the mode; the error says why it cannot be set.
    fn set(kind: Kind) -> std::result::Result<Mode, String> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = fs::read_to_string(JIT).ok().map(|value| value.trim().to_owned());
        let mut mode = Mode { kind, before: None, _alone: alone };
        match (kind, before) {
            (Kind::Compiled, None) => return Err(format!("there is no {JIT} (CONFIG_BPF_JIT)")),
            (Kind::Interpreted, None) => {}
            (Kind::Compiled, Some(value)) if value != "0" => {}
            (Kind::Interpreted, Some(value)) if value == "0" => {}
            (_, Some(value)) => {
                let wanted = if kind == Kind::Compiled { "1" } else { "0" };
                if let Err(error) = fs::write(JIT, wanted) {
                    return Err(format!("{JIT} stays {value} (CONFIG_BPF_JIT_ALWAYS_ON): {error}"));
                }
                mode.before = Some(value);
            }
        }
        Ok(mode)
    }

    /// The kind that the kernel reports for a program.
    fn of(&self, program: &Program) -> Kind {
        let info = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
        let info = fs::read_to_string(info).unwrap();
        let compiled = info.lines().any(|line| line == "prog_jited:\t1");
        if compiled { Kind::Compiled } else { Kind::Interpreted }
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs::write(JIT, before);
        }
    }
}

/// Whether the kernel has an instruction, by LLVM's bytes for it, in a program that could not be
/// simpler; if not, the words of its verifier.
fn lacks(instruction: [u8; 8]) -> Option<String> {
    let slots = [
        [0xb7, 0x00, 0, 0, 0, 0, 0, 0],       // r0 = 0
        [0x7b, 0x0a, 0xf8, 0xff, 0, 0, 0, 0], // *(u64 *)(r10 - 8) = r0
        instruction,
        [0xb7, 0x00, 0, 0, 0, 0, 0, 0],
        [0x95, 0x00, 0, 0, 0, 0, 0, 0], // exit
    ];
    match load_slots(&slots.map(|bytes| Insn::from_bytes(bytes, ByteOrder::Little))) {
        Ok(_) => None,
        Err(error) => match error.verifier() {
            Some(verdict) if verdict.errno() == Errno(libc::EINVAL) => {
                Some(verdict.cause().to_owned())
            }
            _ => panic!("{error}"),
        },
    }
}

/// Version 4 of the ISA, Linux 6.6: `r0 = bswap16 r0`.
fn no_v4() -> Option<String> {
    lacks([0xd7, 0x00, 0, 0, 0x10, 0, 0, 0])
}

/// The atomic operations other than addition, Linux 5.12: `lock *(u64 *)(r10 - 8) |= r0`.
fn no_atomics() -> Option<String> {
    lacks([0xdb, 0x0a, 0xf8, 0xff, 0x40, 0, 0, 0])
}

/// Linux 6.15, and not for every machine: `r0 = load_acquire((u64 *)(r10 - 8))`.
fn no_acquire() -> Option<String> {
    lacks([0xdb, 0xa0, 0xf8, 0xff, 0x00, 0x01, 0, 0])
}

/// Every kernel that BPF programs can be loaded into.
fn always() -> Option<String> {
    None
}

/// Each test in both modes: the checks, the operands `a`, the operands `b`, and the condition on which the kernel
/// has the instructions.
macro_rules! proofs {
    ($($name:ident: $checks:ident($($argument:expr)?), $left:expr, $right:expr, if $thing:literal $lacking:expr;)*) => {
        mod compiled {
            use super::*;
            $(#[test] fn $name() {
                proofs!(@Compiled super::$checks($($argument)?), $left, $right, $thing, $lacking);
             })*
        }
        mod interpreted {
            use super::*;
            $(#[test] fn $name() {
                proofs!(@Interpreted super::$checks($($argument)?), $left, $right, $thing, $lacking);
             })*
        }
    };
    (@$kind:ident $checks:expr, $left:expr, $right:expr, $thing:literal, $lacking:expr) => {
        needs!(Bpf);
        let mode = Mode::set(Kind::$kind);
        needs_tried!("jit", mode.as_ref().err());
        needs_tried!($thing, $lacking());
        if let Ok(mode) = &mode {
            prove(mode, &$checks, $left, $right);
        }
    };
}

/// For checks that have no second operand.
const ONE: &[u64] = &[0x5555_5555_5555_5555];

proofs! {
    arithmetic_with_registers: arithmetic_with_registers(), VALUES, VALUES, if "v1" always;
    arithmetic_with_immediates: arithmetic_with_immediates(), VALUES, ONE, if "v1" always;
    byte_swaps: byte_swaps(&[Swap::Le, Swap::Be]), VALUES, ONE, if "v1" always;
    every_register: every_register(), VALUES, VALUES, if "v1" always;
    constants: constants(), ONE, ONE, if "v1" always;
    loads_and_stores: loads_and_stores(), VALUES, VALUES, if "v1" always;
    packet_loads: packet_loads(), VALUES, VALUES, if "v1" always;
    jumps_on_registers: jumps_on_registers(), VALUES, VALUES, if "v1" always;
    jumps_on_immediates: jumps_on_immediates(), VALUES, ONE, if "v1" always;
    jumps: jumps(|offset| Op::Jump { offset }), VALUES, VALUES, if "v1" always;
    atomic_addition: atomics(&[AtomicOp::Add]), VALUES, VALUES, if "v1" always;
    atomics: atomics(ATOMICS), VALUES, VALUES, if "atomics" no_atomics;
    compare_and_exchange: compare_and_exchange(), VALUES, VALUES, if "atomics" no_atomics;
    signed_division: signed_division(), VALUES, VALUES, if "v4" no_v4;
    signed_division_by_immediates: signed_division_by_immediates(), VALUES, ONE, if "v4" no_v4;
    sign_extending_moves: sign_extending_moves(), VALUES, VALUES, if "v4" no_v4;
    sign_extending_loads: sign_extending_loads(), VALUES, ONE, if "v4" no_v4;
    unconditional_swaps: byte_swaps(&[Swap::Always]), VALUES, ONE, if "v4" no_v4;
    long_jumps: jumps(|offset| Op::JumpLong { offset: offset.into() }), VALUES, VALUES, if "v4" no_v4;
    jumps_beyond_16_bits: jumps_beyond_16_bits(), VALUES, VALUES, if "v4" no_v4;
    acquire_and_release: acquire_and_release(), VALUES, VALUES, if "acquire" no_acquire;
}

const BOTH: [Bits; 2] = [Bits::B32, Bits::B64];

const ALU: [AluOp; 12] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];

/// RFC 9669 section 4.1: division by zero gives zero, its remainder the dividend; shifts are masked; results of 32
/// bits are zero-extended.
fn alu(bits: Bits, op: AluOp, a: u64, b: u64) -> u64 {
    match bits {
        Bits::B64 => match op {
            AluOp::Add => a.wrapping_add(b),
            AluOp::Sub => a.wrapping_sub(b),
            AluOp::Mul => a.wrapping_mul(b),
            AluOp::Div => a.checked_div(b).unwrap_or(0),
            AluOp::Or => a | b,
            AluOp::And => a & b,
            AluOp::Lsh => a << (b & 63),
            AluOp::Rsh => a >> (b & 63),
            AluOp::Mod => a.checked_rem(b).unwrap_or(a),
            AluOp::Xor => a ^ b,
            AluOp::Mov => b,
            AluOp::Arsh => (a as i64 >> (b & 63)) as u64,
        },
        Bits::B32 => {
            let (a, b) = (a as u32, b as u32);
            u64::from(match op {
                AluOp::Add => a.wrapping_add(b),
                AluOp::Sub => a.wrapping_sub(b),
                AluOp::Mul => a.wrapping_mul(b),
                AluOp::Div => a.checked_div(b).unwrap_or(0),
                AluOp::Or => a | b,
                AluOp::And => a & b,
                AluOp::Lsh => a << (b & 31),
                AluOp::Rsh => a >> (b & 31),
                AluOp::Mod => a.checked_rem(b).unwrap_or(a),
                AluOp::Xor => a ^ b,
                AluOp::Mov => b,
                AluOp::Arsh => (a as i32 >> (b & 31)) as u32,
            })
        }
    }
}

/// An immediate as the operand that it stands for: its sign is extended.
fn extended(imm: i32) -> u64 {
    i64::from(imm) as u64
}

fn arithmetic_with_registers() -> Vec<Check> {
    let mut checks = Vec::new();
    for bits in BOTH {
        for op in ALU {
            let instruction = Op::Alu { bits, op, dst: A, src: Source::Reg(B) };
            checks.push(check(&[instruction], move |a, b| alu(bits, op, a, b)));
        }
        checks.push(check(&[Op::Neg { bits, dst: A }], move |a, _| alu(bits, AluOp::Sub, 0, a)));
    }
    checks
}

/// Whether the verifier rejects the operation: a division by the constant zero, a shift by as many bits as there
/// are.
fn refused(bits: Bits, op: AluOp, imm: i32) -> bool {
    let width = if matches!(bits, Bits::B32) { 32 } else { 64 };
    match op {
        AluOp::Div | AluOp::Mod => imm == 0,
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => !(0..width).contains(&imm),
        _ => false,
    }
}

fn arithmetic_with_immediates() -> Vec<Check> {
    let mut checks = Vec::new();
    for bits in BOTH {
        for op in ALU {
            for &imm in IMMS.iter().filter(|&&imm| !refused(bits, op, imm)) {
                let instruction = Op::Alu { bits, op, dst: A, src: Source::Imm(imm) };
                checks.push(check(&[instruction], move |a, _| alu(bits, op, a, extended(imm))));
            }
        }
    }
    checks
}

#[test]
fn the_kernel_refuses_what_has_no_meaning_as_a_constant() {
    needs!(Bpf);
    for bits in BOTH {
        for op in ALU {
            for &imm in IMMS.iter().filter(|&&imm| refused(bits, op, imm)) {
                let instruction = Op::Alu { bits, op, dst: A, src: Source::Imm(imm) };
                let answer = program(&[check(&[instruction], |_, _| 0)]);
                let error = answer.unwrap_err().into_verifier().unwrap();
                assert_eq!(error.errno(), Errno(libc::EINVAL), "{instruction:?}: {error}");
            }
        }
    }
}

/// RFC 9669 section 4.1: the quotient is cut towards zero, the remainder has the sign of the dividend. The least
/// number divided by -1 overflows, to itself and no remainder.
fn signed(bits: Bits, op: SignedOp, a: u64, b: u64) -> u64 {
    match bits {
        Bits::B64 => {
            let (a, b) = (a as i64, b as i64);
            (match (op, b) {
                (SignedOp::Div, 0) => 0,
                (SignedOp::Mod, 0) => a,
                (SignedOp::Div, _) => a.wrapping_div(b),
                (SignedOp::Mod, _) => a.wrapping_rem(b),
            }) as u64
        }
        Bits::B32 => {
            let (a, b) = (a as i32, b as i32);
            u64::from(match (op, b) {
                (SignedOp::Div, 0) => 0,
                (SignedOp::Mod, 0) => a,
                (SignedOp::Div, _) => a.wrapping_div(b),
                (SignedOp::Mod, _) => a.wrapping_rem(b),
            } as u32)
        }
    }
}

fn signed_division() -> Vec<Check> {
    let mut checks = Vec::new();
    for bits in BOTH {
        for op in [SignedOp::Div, SignedOp::Mod] {
            let instruction = Op::AluSigned { bits, op, dst: A, src: Source::Reg(B) };
            checks.push(check(&[instruction], move |a, b| signed(bits, op, a, b)));
        }
    }
    checks
}

fn signed_division_by_immediates() -> Vec<Check> {
    let mut checks = Vec::new();
    for bits in BOTH {
        for op in [SignedOp::Div, SignedOp::Mod] {
            for &imm in IMMS.iter().filter(|&&imm| imm != 0) {
                let instruction = Op::AluSigned { bits, op, dst: A, src: Source::Imm(imm) };
                checks.push(check(&[instruction], move |a, _| signed(bits, op, a, extended(imm))));
            }
        }
    }
    checks
}

fn sign_extending_moves() -> Vec<Check> {
    [
        SignExtend::B8To32,
        SignExtend::B16To32,
        SignExtend::B8To64,
        SignExtend::B16To64,
        SignExtend::B32To64,
    ]
    .map(|extend| {
        check(&[Op::MoveSigned { extend, dst: A, src: B }], move |_, b| match extend {
            SignExtend::B8To32 => u64::from(i32::from(b as i8) as u32),
            SignExtend::B16To32 => u64::from(i32::from(b as i16) as u32),
            SignExtend::B8To64 => i64::from(b as i8) as u64,
            SignExtend::B16To64 => i64::from(b as i16) as u64,
            SignExtend::B32To64 => i64::from(b as i32) as u64,
        })
    })
    .into()
}

fn byte_swaps(kinds: &[Swap]) -> Vec<Check> {
    let mut checks = Vec::new();
    for &swap in kinds {
        for bits in [SwapBits::B16, SwapBits::B32, SwapBits::B64] {
            checks.push(check(&[Op::Swap { swap, bits, dst: A }], move |a, _| {
                match (swap, bits) {
                    (Swap::Le, SwapBits::B16) => (a as u16).to_le().into(),
                    (Swap::Le, SwapBits::B32) => (a as u32).to_le().into(),
                    (Swap::Le, SwapBits::B64) => a.to_le(),
                    (Swap::Be, SwapBits::B16) => (a as u16).to_be().into(),
                    (Swap::Be, SwapBits::B32) => (a as u32).to_be().into(),
                    (Swap::Be, SwapBits::B64) => a.to_be(),
                    (Swap::Always, SwapBits::B16) => (a as u16).swap_bytes().into(),
                    (Swap::Always, SwapBits::B32) => (a as u32).swap_bytes().into(),
                    (Swap::Always, SwapBits::B64) => a.swap_bytes(),
                }
            }));
        }
    }
    checks
}

/// That the numbers of registers are where they belong, in both operands and for every register.
fn every_register() -> Vec<Check> {
    let mut checks = Vec::new();
    // r6 holds the packet, r10 cannot be written.
    let registers = || Reg::ALL.into_iter().filter(|reg| !matches!(reg, Reg::R6 | Reg::R10));
    for dst in registers() {
        for src in registers() {
            let body = [
                store(Size::Double, SLOT, A),
                store(Size::Double, SLOT - 8, B),
                load(Size::Double, dst, SLOT),
                load(Size::Double, src, SLOT - 8),
                Op::Alu { bits: Bits::B64, op: AluOp::Sub, dst, src: Source::Reg(src) },
                mov(A, dst),
            ];
            checks.push(check(&body, move |a, b| if dst == src { 0 } else { a.wrapping_sub(b) }));
        }
    }
    checks
}

fn constants() -> Vec<Check> {
    VALUES.iter().map(|&value| check(&[Op::load_imm64(A, value)], move |_, _| value)).collect()
}

const SIZES: [Size; 4] = [Size::Byte, Size::Half, Size::Word, Size::Double];

/// The eight bytes of a number in memory, some of them replaced.
fn replaced(memory: u64, offset: usize, bytes: &[u8]) -> u64 {
    let mut all = memory.to_ne_bytes();
    all[offset..offset + bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(all)
}

/// The low bytes of a number, in the order of memory.
fn low_bytes(value: u64, size: usize) -> Vec<u8> {
    match size {
        1 => (value as u8).to_ne_bytes().to_vec(),
        2 => (value as u16).to_ne_bytes().to_vec(),
        4 => (value as u32).to_ne_bytes().to_vec(),
        _ => value.to_ne_bytes().to_vec(),
    }
}

/// A number that has these bytes in memory; the others are zero.
fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => u64::from_ne_bytes(bytes.try_into().unwrap()),
    }
}

/// Every size at every offset in a slot of the stack that is aligned.
fn places() -> impl Iterator<Item = (Size, usize, usize)> {
    SIZES.into_iter().flat_map(|size| {
        let bytes = usize::from(size.bytes());
        (0..8).step_by(bytes).map(move |offset| (size, bytes, offset))
    })
}

fn loads_and_stores() -> Vec<Check> {
    let mut checks = Vec::new();
    for (size, bytes, offset) in places() {
        let place = SLOT + offset as i16;
        let body = [store(Size::Double, SLOT, A), load(size, A, place)];
        checks.push(check(&body, move |a, _| number(&a.to_ne_bytes()[offset..offset + bytes])));

        let body =
            [store(Size::Double, SLOT, A), store(size, place, B), load(Size::Double, A, SLOT)];
        checks.push(check(&body, move |a, b| replaced(a, offset, &low_bytes(b, bytes))));

        for imm in [0, -2, 0x1234_5678, i32::MIN] {
            let body = [
                store(Size::Double, SLOT, A),
                Op::StoreImm { size, base: Reg::R10, offset: place, imm },
                load(Size::Double, A, SLOT),
            ];
            let expected = move |a, _| replaced(a, offset, &low_bytes(extended(imm), bytes));
            checks.push(check(&body, expected));
        }
    }
    checks
}

fn sign_extending_loads() -> Vec<Check> {
    let mut checks = Vec::new();
    for (size, bytes) in [(SignBits::B8, 1), (SignBits::B16, 2), (SignBits::B32, 4)] {
        for offset in (0..8).step_by(bytes) {
            let place = SLOT + offset as i16;
            let body = [
                store(Size::Double, SLOT, A),
                Op::LoadSigned { size, dst: A, base: Reg::R10, offset: place },
            ];
            checks.push(check(&body, move |a, _| {
                let value = number(&a.to_ne_bytes()[offset..offset + bytes]);
                (match size {
                    SignBits::B8 => i64::from(value as i8),
                    SignBits::B16 => i64::from(value as i16),
                    SignBits::B32 => i64::from(value as i32),
                }) as u64
            }));
        }
    }
    checks
}

/// The packet begins with `a` and `b`; what is loaded from it is taken as big-endian.
fn packet_loads() -> Vec<Check> {
    let mut checks = Vec::new();
    for (size, bytes) in [(PacketSize::Byte, 1), (PacketSize::Half, 2), (PacketSize::Word, 4)] {
        for offset in 0..8 {
            let expected = move |a: u64, b: u64| {
                let packet = [a.to_ne_bytes(), b.to_ne_bytes()].concat();
                let taken = packet[offset..offset + bytes].iter();
                taken.fold(0, |value, &byte| value << 8 | u64::from(byte))
            };
            let imm = offset as i32;
            let body = [Op::LoadPacket { size, index: None, imm }, mov(A, Reg::R0)];
            checks.push(check(&body, expected));
            let body = [
                mov(Reg::R7, 11),
                Op::LoadPacket { size, index: Some(Reg::R7), imm: imm - 11 },
                mov(A, Reg::R0),
            ];
            checks.push(check(&body, expected));
        }
    }
    checks
}

const CONDITIONS: [Condition; 11] = [
    Condition::Eq,
    Condition::Gt,
    Condition::Ge,
    Condition::Set,
    Condition::Ne,
    Condition::SignedGt,
    Condition::SignedGe,
    Condition::Lt,
    Condition::Le,
    Condition::SignedLt,
    Condition::SignedLe,
];

/// RFC 9669 section 4.3.
fn taken(bits: Bits, condition: Condition, a: u64, b: u64) -> bool {
    let ((a, b), (signed_a, signed_b)) = match bits {
        Bits::B64 => ((a, b), (a as i64, b as i64)),
        Bits::B32 => {
            ((u64::from(a as u32), u64::from(b as u32)), (i64::from(a as i32), i64::from(b as i32)))
        }
    };
    match condition {
        Condition::Eq => a == b,
        Condition::Gt => a > b,
        Condition::Ge => a >= b,
        Condition::Set => a & b != 0,
        Condition::Ne => a != b,
        Condition::SignedGt => signed_a > signed_b,
        Condition::SignedGe => signed_a >= signed_b,
        Condition::Lt => a < b,
        Condition::Le => a <= b,
        Condition::SignedLt => signed_a < signed_b,
        Condition::SignedLe => signed_a <= signed_b,
    }
}

/// Leaves 1 if the jump is taken, else 0.
fn jump(bits: Bits, condition: Condition, src: Source) -> [Op; 4] {
    [
        mov(Reg::R3, 1),
        Op::JumpIf { bits, condition, dst: A, src, offset: 1 },
        mov(Reg::R3, 0),
        mov(A, Reg::R3),
    ]
}

fn jumps_on_registers() -> Vec<Check> {
    let mut checks = Vec::new();
    for bits in BOTH {
        for condition in CONDITIONS {
            let body = jump(bits, condition, Source::Reg(B));
            checks.push(check(&body, move |a, b| taken(bits, condition, a, b).into()));
        }
    }
    checks
}

fn jumps_on_immediates() -> Vec<Check> {
    let mut checks = Vec::new();
    for bits in BOTH {
        for condition in CONDITIONS {
            for &imm in IMMS {
                let body = jump(bits, condition, Source::Imm(imm));
                let expected = move |a, _| taken(bits, condition, a, extended(imm)).into();
                checks.push(check(&body, expected));
            }
        }
    }
    checks
}

/// Forward, over something that must not be done, and back again.
fn jumps(goto: impl Fn(i16) -> Op) -> Vec<Check> {
    let add = Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: A, src: Source::Reg(B) };
    vec![check(&[goto(2), add, goto(1), goto(-3)], |a, b| a.wrapping_add(b))]
}

fn jumps_beyond_16_bits() -> Vec<Check> {
    const FAR: i32 = 40_000;
    let add = Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: A, src: Source::Imm(1) };
    let mut body = vec![
        Op::JumpIf {
            bits: Bits::B64,
            condition: Condition::Eq,
            dst: B,
            src: Source::Imm(0),
            offset: 1,
        },
        Op::JumpLong { offset: FAR },
    ];
    body.extend([add].repeat(FAR as usize));
    vec![check(&body, |a, b| if b == 0 { a.wrapping_add(FAR as u64) } else { a })]
}

const ATOMICS: &[AtomicOp] = &[
    AtomicOp::Or,
    AtomicOp::And,
    AtomicOp::Xor,
    AtomicOp::FetchAdd,
    AtomicOp::FetchOr,
    AtomicOp::FetchAnd,
    AtomicOp::FetchXor,
    AtomicOp::Exchange,
];

/// RFC 9669 section 5.3: what memory holds afterwards, and the operand's register.
fn atomic(op: AtomicOp, memory: u64, operand: u64) -> (u64, Option<u64>) {
    let after = match op {
        AtomicOp::Add | AtomicOp::FetchAdd => memory.wrapping_add(operand),
        AtomicOp::Or | AtomicOp::FetchOr => memory | operand,
        AtomicOp::And | AtomicOp::FetchAnd => memory & operand,
        AtomicOp::Xor | AtomicOp::FetchXor => memory ^ operand,
        AtomicOp::Exchange | AtomicOp::CompareExchange => operand,
    };
    let fetches = !matches!(op, AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor);
    (after, fetches.then_some(memory))
}

/// The atomic operands at offset 0 of a slot: four or eight of its bytes.
const ATOMIC_SIZES: [(AtomicSize, usize); 2] = [(AtomicSize::Word, 4), (AtomicSize::Double, 8)];

/// `a` is in memory, `b` in the register.
fn atomics(ops: &[AtomicOp]) -> Vec<Check> {
    let mut checks = Vec::new();
    for &op in ops {
        for (size, bytes) in ATOMIC_SIZES {
            let instruction = Op::Atomic { size, op, base: Reg::R10, offset: SLOT, src: B };
            let before = [store(Size::Double, SLOT, A), instruction];
            let memory = [&before[..], &[load(Size::Double, A, SLOT)]].concat();
            checks.push(check(&memory, move |a, b| {
                let (after, _) = atomic(op, number(&a.to_ne_bytes()[..bytes]), b);
                replaced(a, 0, &low_bytes(after, bytes))
            }));
            let register = [&before[..], &[mov(A, B)]].concat();
            checks.push(check(&register, move |a, b| {
                atomic(op, number(&a.to_ne_bytes()[..bytes]), b).1.unwrap_or(b)
            }));
        }
    }
    checks
}

/// `a` is in memory, `b` is what it is compared with, and `b + 1` what takes its place. The values are such
/// that memory is equal in all its bits, in the low half only, and not.
fn compare_and_exchange() -> Vec<Check> {
    let mut checks = Vec::new();
    for (size, bytes) in ATOMIC_SIZES {
        let op = AtomicOp::CompareExchange;
        let before = [
            store(Size::Double, SLOT, A),
            mov(Reg::R0, B),
            mov(Reg::R3, B),
            Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: Reg::R3, src: Source::Imm(1) },
            Op::Atomic { size, op, base: Reg::R10, offset: SLOT, src: Reg::R3 },
        ];
        let low = move |value: u64| if bytes == 4 { u64::from(value as u32) } else { value };
        let memory = [&before[..], &[load(Size::Double, A, SLOT)]].concat();
        checks.push(check(&memory, move |a, b| {
            let equal = number(&a.to_ne_bytes()[..bytes]) == low(b);
            if equal { replaced(a, 0, &low_bytes(b.wrapping_add(1), bytes)) } else { a }
        }));
        let old = [&before[..], &[mov(A, Reg::R0)]].concat();
        checks.push(check(&old, move |a, _| number(&a.to_ne_bytes()[..bytes])));
        let operand = [&before[..], &[mov(A, Reg::R3)]].concat();
        checks.push(check(&operand, |_, b| b.wrapping_add(1)));
    }
    checks
}

fn acquire_and_release() -> Vec<Check> {
    let mut checks = Vec::new();
    for (size, bytes, offset) in places() {
        let (base, place) = (Reg::R10, SLOT + offset as i16);
        let body =
            [store(Size::Double, SLOT, A), Op::LoadAcquire { size, dst: A, base, offset: place }];
        checks.push(check(&body, move |a, _| number(&a.to_ne_bytes()[offset..offset + bytes])));
        let body = [
            store(Size::Double, SLOT, A),
            Op::StoreRelease { size, base, offset: place, src: B },
            load(Size::Double, A, SLOT),
        ];
        checks.push(check(&body, move |a, b| replaced(a, offset, &low_bytes(b, bytes))));
    }
    checks
}

/// The harness itself: a wrong expectation is found, and by its number.
#[test]
fn a_check_that_fails_is_seen() {
    needs!(Bpf);
    let checks = [check(&[], |a, _| a), check(&[mov(A, B)], |_, b| b), check(&[], |a, _| a)];
    let program = program(&checks).unwrap();
    let run = |words: [u64; 5]| program.test_run(&frame(&words), 1).unwrap().returned;
    assert_eq!(run([5, 6, 5, 6, 5]), 0);
    assert_eq!(run([5, 6, 5, 5, 5]), 2);
    assert_eq!(run([5, 6, 5, 6, 5 | 1 << 63]), 3); // the upper half counts
    assert_eq!(program.test_run(&[0; 14], 1).unwrap().returned, NO_PACKET as u32);
}

#[test]
fn functions_are_called() {
    needs!(Bpf);
    let double = Op::Alu { bits: Bits::B64, op: AluOp::Add, dst: Reg::R0, src: Source::Reg(A) };
    let program = load_ops(&[
        mov(A, 21),
        Op::CallLocal { offset: 1 },
        Op::Exit,
        mov(Reg::R0, A),
        double,
        Op::Exit,
    ]);
    assert_eq!(program.unwrap().test_run(&frame(&[0]), 3).unwrap().returned, 42);
}

/// The kernel's error for a test run with invalid arguments.
#[test]
fn runs_that_the_kernel_refuses() {
    needs!(Bpf);
    let ops = [mov(Reg::R0, 1), Op::Exit];
    let error = load_ops(&ops).unwrap().test_run(&[0; 13], 1).unwrap_err();
    assert!(error.to_string().contains("Ethernet frame"), "{error}");

    let slots = ops.map(|op| op.encode().first());
    let code = Code::from_slots(&slots, "");
    let program = Loader::new().load(&ProgramSpec::new("exec", ProgramType::Kprobe, code)).unwrap();
    let error = program.test_run(&frame(&[0]), 1).unwrap_err();
    assert_eq!(error.kind(), rawbpf::ErrorKind::Unsupported);
    assert!(error.to_string().contains("ENOTSUPP"), "{error}");
}
