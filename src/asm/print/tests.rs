//! The printer, compared with LLVM's spelling, the kernel's, and the parser.

use super::*;
use crate::asm::statement::{Cursor, Dialect, Statement};
use crate::asm::{PrintOptions, disassemble};
use crate::insn::{ByteOrder, Insn};
use proptest::prelude::*;

/// Instructions with the bytes that LLVM's assembler emits for them.
const ISA: &str = include_str!("../../../tests/vectors/isa.tsv");

fn slots(hex: &str, order: ByteOrder) -> Vec<Insn> {
    let bytes: Vec<u8> = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.chunks(8).map(|slot| Insn::from_bytes(slot.try_into().unwrap(), order)).collect()
}

/// Lines of LLVM's that have another spelling with the same bytes, which is the one that is printed.
const OTHER_SPELLINGS: [(&str, &str); 9] = [
    ("w1 = *(u8 *)(r2 + 8)", "r1 = *(u8 *)(r2 + 8)"),
    ("w1 = *(u16 *)(r2 + 8)", "r1 = *(u16 *)(r2 + 8)"),
    ("w1 = *(u32 *)(r2 + 8)", "r1 = *(u32 *)(r2 + 8)"),
    ("*(u8 *)(r1 + 8) = w2", "*(u8 *)(r1 + 8) = r2"),
    ("*(u16 *)(r1 + 8) = w2", "*(u16 *)(r1 + 8) = r2"),
    ("*(u32 *)(r1 + 8) = w2", "*(u32 *)(r1 + 8) = r2"),
    // The spelling from before ISA v3.
    ("lock *(u32 *)(r1 + 8) += r2", "lock *(u32 *)(r1 + 8) += w2"),
    // LLVM leaves out the upper half.
    ("ld_pseudo r1, 2, 0x700000042", "ld_pseudo r1, 2, 66"),
    ("call 5", "call ktime_get_ns"),
];

#[test]
fn every_instruction_is_spelled_as_llvm_does() {
    let mut lines = 0;
    for line in ISA.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (asm, little, big) = (columns[0], columns[1], columns[4]);
        let other = OTHER_SPELLINGS.iter().find(|(llvm, _)| *llvm == asm);
        let expected = other.map_or(asm, |(_, ours)| ours);
        for (hex, order) in [(little, ByteOrder::Little), (big, ByteOrder::Big)] {
            let op = Op::decode(&slots(hex, order)).unwrap();
            assert_eq!(op.to_string(), expected, "{order:?} {hex}");
        }
        lines += 1;
    }
    assert_eq!(lines, 192);
}

/// The lines that the verifier of Linux 6.18 logged for programs with these bytes.
const LOGGED: [(&str, &str); 47] = [
    ("b7 00 00 00 00 00 00 00", "(b7) r0 = 0"),
    ("b7 01 00 00 f9 ff ff ff", "(b7) r1 = -7"),
    ("7b 1a f8 ff 00 00 00 00", "(7b) *(u64 *)(r10 -8) = r1"),
    ("7a 0a f8 ff fb ff ff ff", "(7a) *(u64 *)(r10 -8) = -5"),
    ("72 0a f8 ff e8 03 00 00", "(72) *(u8 *)(r10 -8) = 1000"),
    ("db 2a f8 ff 01 00 00 00", "(db) r2 = atomic64_fetch_add((u64 *)(r10 -8), r2)"),
    ("db 2a f8 ff 00 00 00 00", "(db) lock *(u64 *)(r10 -8) += r2"),
    ("c3 2a f8 ff 41 00 00 00", "(c3) r2 = atomic_fetch_or((u32 *)(r10 -8), r2)"),
    ("c3 2a f8 ff e1 00 00 00", "(c3) r2 = atomic_xchg((u32 *)(r10 -8), r2)"),
    ("c3 2a f8 ff f1 00 00 00", "(c3) r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r2)"),
    ("db 2a f8 ff f1 00 00 00", "(db) r0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r2)"),
    ("db 2a f8 ff e1 00 00 00", "(db) r2 = atomic64_xchg((u64 *)(r10 -8), r2)"),
    ("c3 2a f8 ff a0 00 00 00", "(c3) lock *(u32 *)(r10 -8) ^= r2"),
    ("db a2 f8 ff 00 01 00 00", "(db) r2 = load_acquire((u64 *)(r10 -8))"),
    ("db 2a f8 ff 10 01 00 00", "(db) store_release((u64 *)(r10 -8), r2)"),
    ("c3 a2 f8 ff 00 01 00 00", "(c3) r2 = load_acquire((u32 *)(r10 -8))"),
    ("15 02 01 00 ff ff ff ff", "(15) if r2 == 0xffffffff goto pc+1"),
    ("85 00 00 00 05 00 00 00", "(85) call bpf_ktime_get_ns#5"),
    ("85 00 00 00 5c 11 00 00", "(85) call unknown#4444"),
    ("95 00 00 00 00 00 00 00", "(95) exit"),
    ("b4 02 00 00 ff ff ff ff", "(b4) w2 = -1"),
    ("bf 23 08 00 00 00 00 00", "(bf) r3 = (s8)r2"),
    ("bc 23 08 00 00 00 00 00", "(bc) w3 = (s8)w2"),
    ("84 03 00 00 00 00 00 00", "(84) w3 = -w3"),
    ("87 03 00 00 00 00 00 00", "(87) r3 = -r3"),
    ("dc 03 00 00 10 00 00 00", "(dc) r3 = be16 r3"),
    ("d4 03 00 00 40 00 00 00", "(d4) r3 = le64 r3"),
    ("d7 03 00 00 20 00 00 00", "(d7) r3 = bswap32 r3"),
    ("37 03 01 00 03 00 00 00", "(37) r3 s/= 3"),
    ("3f 23 01 00 00 00 00 00", "(3f) r3 s/= r2"),
    ("cf 23 00 00 00 00 00 00", "(cf) r3 s>>= r2"),
    ("c4 03 00 00 03 00 00 00", "(c4) w3 s>>= 3"),
    ("18 04 00 00 05 00 00 00 00 00 00 00 01 00 00 00", "(18) r4 = 0x100000005"),
    ("18 04 00 00 ff ff ff ff 00 00 00 00 ff ff ff ff", "(18) r4 = 0xffffffffffffffff"),
    ("06 00 00 00 00 00 00 00", "(06) gotol pc+0"),
    ("05 00 00 00 00 00 00 00", "(05) goto pc+0"),
    ("05 00 fd ff 00 00 00 00", "(05) goto pc-3"),
    ("e5 00 00 00 00 00 00 00", "(e5) may_goto pc+0"),
    ("45 03 00 00 10 00 00 00", "(45) if r3 & 0x10 goto pc+0"),
    ("de 23 00 00 00 00 00 00", "(de) if w3 s<= w2 goto pc+0"),
    ("91 a3 f8 ff 00 00 00 00", "(91) r3 = *(s8 *)(r10 -8)"),
    ("85 10 00 00 02 00 00 00", "(85) call pc+2"),
    ("30 00 00 00 0c 00 00 00", "(30) r0 = *(u8 *)skb[12]"),
    ("48 60 00 00 f4 ff ff ff", "(48) r0 = *(u16 *)skb[r6 + -12]"),
    ("bf 61 00 00 00 00 00 00", "(bf) r1 = r6"),
    ("61 10 04 00 00 00 00 00", "(61) r0 = *(u32 *)(r1 +4)"),
    ("0f 21 00 00 00 00 00 00", "(0f) r1 += r2"),
];

#[test]
fn the_other_style_is_the_kernels() {
    for (hex, logged) in LOGGED {
        let op = Op::decode(&slots(hex, ByteOrder::Little)).unwrap();
        assert_eq!(format!("{op:#}"), logged, "{hex}");
    }
}

fn read(text: &str, dialect: Dialect) -> Result<Op, String> {
    let mut cursor = Cursor::at(text, 0, dialect, &[]);
    match cursor.statement() {
        Ok(Statement::Op { op, .. }) if cursor.at == text.len() => Ok(op),
        other => Err(format!("{other:?}")),
    }
}

/// The numbers that are most likely to be printed or read wrong.
const OFFSETS: [i16; 16] =
    [0, 1, -1, 3, 8, -8, 9, 10, 16, 32, 99, 100, 255, i16::MAX, -i16::MAX, i16::MIN];
const IMMEDIATES: [i32; 40] = [
    0,
    1,
    -1,
    3,
    5,
    6,
    9,
    10,
    16,
    32,
    64,
    99,
    100,
    127,
    128,
    -128,
    -129,
    211,
    212,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    -32768,
    -32769,
    0x40,
    0x50,
    0xa0,
    0x41,
    0x51,
    0xa1,
    0xe1,
    0xf1,
    0x100,
    0x110,
    99999,
    i32::MAX,
    i32::MIN,
];

/// Every opcode with every pair of registers, and special numbers.
fn for_every_slot(mut check: impl FnMut(Insn)) {
    for opcode in 0..=u8::MAX {
        for registers in 0..=u8::MAX {
            for offset in OFFSETS {
                for imm in IMMEDIATES {
                    check(Insn::from_fields(opcode, registers >> 4, registers, offset, imm));
                }
            }
        }
    }
}

fn check_round_trip(slots: &[Insn], text: &mut String) -> Result<bool, String> {
    let Ok(op) = Op::decode(slots) else { return Ok(false) };
    let encoded = op.encode();
    if Some(encoded.as_slice()) != slots.get(..op.slots()) {
        return Err(format!("{op:?} is not encoded as it was decoded"));
    }
    text.clear();
    let _ = print(text, op, Style::Llvm, Target::None);
    match read(text, Dialect::Text) {
        Ok(again) if again == op => Ok(true),
        other => Err(format!("{op:?} is printed as `{text}`, which is read as {other:?}")),
    }
}

#[test]
fn whatever_can_be_decoded_is_encoded_and_read_back_the_same() {
    let mut text = String::new();
    let mut instructions = 0_u32;
    for_every_slot(|slot| {
        // The second slot only counts for `lddw`.
        let second = Insn::from_fields(0, 0, 0, 0, slot.imm() ^ i32::from(slot.offset()));
        match check_round_trip(&[slot, second], &mut text) {
            Ok(decoded) => instructions += u32::from(decoded),
            Err(problem) => panic!("{problem}"),
        }
    });
    assert!(instructions > 300_000, "{instructions}");
}

proptest! {
    #[test]
    fn any_slots_that_decode_come_back(bytes: [u8; 16], opcode: prop::sample::Index) {
        // Most opcodes are not valid, and most fields have to be zero: those are tried too.
        let opcodes: Vec<u8> = (0..=u8::MAX).collect();
        let [first, second] = [0, 8].map(|at| {
            Insn::from_bytes(bytes[at..at + 8].try_into().unwrap(), ByteOrder::Little)
        });
        let opcode = *opcode.get(&opcodes);
        let (dst, src) = (first.dst(), first.src());
        let mut text = String::new();
        for first in [
            first,
            Insn::from_fields(opcode, dst, src, first.offset(), first.imm()),
            Insn::from_fields(opcode, dst, src, first.offset(), 0),
            Insn::from_fields(opcode, dst, 0, first.offset(), first.imm()),
            Insn::from_fields(opcode, dst, src, 0, first.imm()),
            Insn::from_fields(opcode, dst, 0, 0, first.imm()),
            Insn::from_fields(opcode, 0, src, 0, first.imm()),
        ] {
            for second in [second, Insn::from_fields(0, 0, 0, 0, second.imm())] {
                if let Err(problem) = check_round_trip(&[first, second], &mut text) {
                    prop_assert!(false, "{}", problem);
                }
            }
        }
    }

    #[test]
    fn numbers(value: u64, shift in 0..64_u32) {
        for value in [value >> shift, u64::from(shift)] {
            let (mut ten, mut sixteen) = (String::new(), String::new());
            decimal(&mut ten, value).unwrap();
            hexadecimal(&mut sixteen, value).unwrap();
            prop_assert_eq!((ten, sixteen), (value.to_string(), format!("{value:#x}")));
        }
    }

    #[test]
    fn any_slots_are_listed_or_refused(bytes: Vec<u8>) {
        let slots: Vec<Insn> = bytes
            .chunks_exact(8)
            .map(|slot| Insn::from_bytes(slot.try_into().unwrap(), ByteOrder::Little))
            .collect();
        for style in [Style::Llvm, Style::Kernel] {
            let options = PrintOptions { style, bytes: Some(ByteOrder::Big), code: None };
            if let Err(error) = disassemble(&slots, &options) {
                prop_assert!(error.slot < slots.len());
            }
        }
    }
}
