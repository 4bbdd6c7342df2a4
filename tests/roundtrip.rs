//! Whole programs there and back: slots to text to slots, and what the kernel's spelling of them is read as.

use proptest::prelude::*;
use rawbpf::asm::{ParseOptions, PrintOptions, Style, disassemble, parse};
use rawbpf::insn::{ByteOrder, Insn, Op, Pseudo};

fn assemble(text: &str) -> Result<Vec<Insn>, String> {
    let module =
        parse(text, "roundtrip", &ParseOptions::new()).map_err(|wrong| wrong.to_string())?;
    match module.programs() {
        [program] => Ok(program.slots().to_vec()),
        programs => Err(format!("{} programs", programs.len())),
    }
}

fn print(slots: &[Insn], style: Style) -> String {
    disassemble(slots, &PrintOptions { style, ..PrintOptions::default() }).unwrap()
}

/// One instruction, or nothing if these bytes are none. Most opcodes are none, and most fields of most have to be
/// zero: fields are taken away until it is one.
fn instruction(bytes: [u8; 8], high: i32) -> Option<Op> {
    let slot = Insn::from_bytes(bytes, ByteOrder::Little);
    let (opcode, dst, src) = (slot.opcode(), slot.dst() % 11, slot.src() % 11);
    let (offset, imm) = (slot.offset(), slot.imm());
    let second = Insn::from_fields(0, 0, 0, 0, high);
    [
        Insn::from_fields(opcode, dst, src, offset, imm),
        Insn::from_fields(opcode, dst, src, offset, 0),
        Insn::from_fields(opcode, dst, 0, offset, imm),
        Insn::from_fields(opcode, dst, src % 7, 0, imm),
        Insn::from_fields(opcode, 0, src % 3, offset, imm),
        Insn::from_fields(opcode, dst, 0, 0, imm),
        Insn::from_fields(opcode, 0, src, 0, imm),
        Insn::from_fields(opcode, 0, 0, offset, 0),
        Insn::from_fields(opcode, 0, 0, 0, imm),
        Insn::from_fields(opcode, dst, 0, 0, 0),
        Insn::from_fields(opcode, dst, 0, 0, 16 << (imm & 3)),
        Insn::from_fields(opcode, dst, src, offset, [0x01, 0x41, 0xe1, 0xf1][imm as usize & 3]),
        Insn::from_fields(opcode, 0, 0, 0, 0),
    ]
    .into_iter()
    .find_map(|slot| Op::decode(&[slot, second]).ok())
}

/// Programs of all instructions. Every second offset is brought near, so that jumps land in the program:
/// on instructions, in the middle of `lddw`, just behind the end.
fn programs() -> impl Strategy<Value = Vec<Insn>> {
    prop::collection::vec((any::<[u8; 8]>(), any::<i32>(), any::<bool>()), 1..40)
        .prop_map(|parts| {
            parts
                .into_iter()
                .filter_map(|(mut bytes, high, near)| {
                    if near {
                        let offset = i16::from(bytes[2] as i8 / 8).to_le_bytes();
                        bytes[2..4].copy_from_slice(&offset);
                        let imm = i32::from(bytes[4] as i8 / 8).to_le_bytes();
                        bytes[4..8].copy_from_slice(&imm);
                    }
                    instruction(bytes, high)
                })
                .flat_map(|op| op.encode().as_slice().to_vec())
                .collect::<Vec<_>>()
        })
        .prop_filter("a text without instructions is no program", |slots| !slots.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_assembled_to_the_same_slots(slots in programs()) {
        let text = print(&slots, Style::Llvm);
        let again = assemble(&text);
        prop_assert_eq!(again.as_deref().map_err(|wrong| format!("{wrong}\n{text}")), Ok(&slots[..]));
    }

    /// The kernel's spelling leaves things out. What cannot be told from it is refused, never guessed.
    #[test]
    fn the_kernels_spelling_is_read_right_or_refused(bytes: [u8; 8], high: i32) {
        // The kernel takes no second number where one means nothing, and so never shows it.
        let op = match instruction(bytes, high) {
            None => return Ok(()),
            Some(Op::LoadImm64 { dst, kind, low, .. })
                if matches!(kind, Pseudo::MapFd | Pseudo::Function | Pseudo::MapIndex) =>
            {
                Op::LoadImm64 { dst, kind, low, high: 0 }
            }
            // Nor does it show whose BTF a function is in, and there is nothing to tell it by.
            Some(Op::CallKfunc { btf_id, .. }) => Op::CallKfunc { btf_id, fd_index: 0 },
            Some(op) => op,
        };
        let slots = op.encode().as_slice().to_vec();
        let text = print(&slots, Style::Kernel);
        if let Ok(again) = assemble(&text) {
            prop_assert_eq!(again, slots, "{}", text);
        }
    }

    #[test]
    fn any_text_is_assembled_or_refused(text: String) {
        let _ = assemble(&text);
    }

    /// Texts of words that mean something get further.
    #[test]
    fn any_words_are_assembled_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        let text = words.concat();
        if let Ok(slots) = assemble(&text) {
            // It may have directives or far jumps, so it is what is printed then that has to come back.
            prop_assume!(!slots.is_empty());
            let Ok(printed) = disassemble(&slots, &PrintOptions::default()) else { return Ok(()) };
            prop_assert_eq!(assemble(&printed), Ok(slots), "{}\n{}", text, printed);
        }
    }
}

const WORDS: &[&str] = &[
    "r0",
    "r1",
    "r10",
    "w0",
    "w1",
    "w10",
    " = ",
    " += ",
    " -= ",
    " s>>= ",
    " s/= ",
    "- ",
    "+ ",
    "(",
    ")",
    "*(",
    "*)(",
    "u8 ",
    "u16 ",
    "u32 ",
    "u64 ",
    "s8",
    "s16 ",
    "s32 ",
    "skb[",
    "]",
    "0",
    "1",
    "16",
    "-1",
    "0x7fffffff",
    "0xffffffffffffffff",
    "340282366920938463463374607431768211456",
    " ll",
    "if ",
    " goto ",
    "goto ",
    "gotol ",
    "may_goto ",
    "gotox ",
    "call ",
    "callx ",
    "exit",
    "lock ",
    "atomic_fetch_add(",
    "xchg_64(",
    "cmpxchg32_32(",
    "load_acquire(",
    "store_release(",
    "ld_pseudo ",
    "addr_space_cast(",
    "be16 ",
    "le64 ",
    "bswap32 ",
    ", ",
    ";",
    "\n",
    "\n",
    ":",
    "a",
    "b",
    "1f",
    "1b",
    "pc+1",
    " == ",
    " s> ",
    " & ",
    "trace_printk",
    "bpf_trace_printk#6",
    "0: (b7) ",
    "1: (95) ",
    ".option llvm_ld_pseudo",
    ".program ",
    ".map ",
    ".rodata",
    ".data",
    ".bss",
    ".zero 8",
    ".byte ",
    ".map a, array, value=16, max=1",
    "a[0]",
    "[",
    ".text",
    ".equ ",
    ".license ",
    "\"text\"",
    "b\"\\n\"",
    "'a'",
    "//",
    "/*",
    "*/",
    "#",
    "{",
    "}",
    "~",
    "<<",
    "\u{e9}",
];
