//! The lines of `vectors/isa.tsv` with the bytes that LLVM 23 makes of them, through every reader of the
//! language: `bpf!` and the parser of text. And `bpf!` with programs that are long.
//!
//! The bytes are LLVM's alone; nothing here was written down from this crate's own output.

use rawbpf::asm::{Code, ParseOptions, parse};
use rawbpf::bpf;
use rawbpf::insn::{ByteOrder, Insn, Op};

/// One line of the table.
struct Vector {
    text: &'static str,
    little: Vec<u8>,
    big: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let hex = |field: &str| -> Vec<u8> {
        field.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    };
    include_str!("vectors/isa.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&'static str> = line.split('\t').collect();
            Vector { text: fields[0], little: hex(fields[1]), big: hex(fields[4]) }
        })
        .collect()
}

/// LLVM drops the upper half of this immediate without a word. Here it is refused, unless that is asked for.
const CUT: &str = "ld_pseudo r1, 2, 0x700000042";

/// The directive that allows it.
const CUTTING: &str = ".option llvm_ld_pseudo";

fn bytes(slots: &[Insn], order: ByteOrder) -> Vec<u8> {
    slots.iter().flat_map(|slot| slot.to_bytes(order)).collect()
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Each line as the compiler's text of it and what `bpf!` made of it.
static LINES: &[(&str, Code<'static>)] = {
    macro_rules! lines {
        ($({ $($line:tt)* })*) => {
            &[$((stringify!($($line)*), bpf! { $($line)* })),*]
        };
    }
    include!("vectors/macro_lines.rs")
};

#[test]
fn the_macro_makes_the_bytes_that_llvm_makes() {
    let vectors = vectors();
    assert_eq!((LINES.len(), vectors.len()), (192, 192));
    for ((text, code), vector) in LINES.iter().zip(&vectors) {
        let option = if vector.text == CUT { CUTTING.to_owned() + ";" } else { String::new() };
        assert_eq!(without_spaces(text), without_spaces(&(option + vector.text)) + ";");
        let text = vector.text;
        assert_eq!(bytes(code.slots, ByteOrder::Little), vector.little, "{text}");
        assert_eq!(bytes(code.slots, ByteOrder::Big), vector.big, "{text}");
    }
}

/// The slots of a text that is one program, or all that is wrong with it.
fn assemble(text: &str) -> Result<Vec<Insn>, String> {
    let module = parse(text, "vectors", &ParseOptions::new()).map_err(|wrong| wrong.to_string())?;
    let [program] = module.programs() else { panic!("not one program: {text}") };
    Ok(program.slots().to_vec())
}

#[test]
fn the_parser_makes_the_bytes_that_llvm_makes() {
    for Vector { text, little, big } in &vectors() {
        let option = if *text == CUT { CUTTING } else { "" };
        let slots =
            assemble(&format!("{option}\n{text}")).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(&bytes(&slots, ByteOrder::Little), little, "{text}");
        assert_eq!(&bytes(&slots, ByteOrder::Big), big, "{text}");
    }
}

#[test]
fn the_line_that_llvm_cuts_is_refused_unless_that_is_asked_for() {
    let wrong = assemble(CUT).unwrap_err();
    assert!(wrong.contains("30064771138 does not fit"), "{wrong}"); // 0x700000042
    // The bytes that LLVM makes of it are those of the number without what it drops;
    let vectors = vectors();
    let cut = vectors.iter().find(|vector| vector.text == CUT).unwrap();
    let slots = assemble("ld_pseudo r1, 2, 0x42").unwrap();
    assert_eq!(bytes(&slots, ByteOrder::Little), cut.little);
    assert_eq!(bytes(&slots, ByteOrder::Big), cut.big);
    // and what is meant, an offset of 7 in the second slot, is a fourth operand.
    let slots = assemble("ld_pseudo r1, 2, 0x42, 7").unwrap();
    let [first, second] = slots[..] else { panic!("{slots:?}") };
    assert_eq!((first.imm(), second.imm()), (0x42, 7));
    // The option is about this one instruction, and what says both halves is not cut.
    for line in [
        "r1 = 0x700000042",
        "ld_pseudo r1, 2, 0x700000042, 7",
        "ld_pseudo r1, 2, 0x10000000000000000",
    ] {
        assert!(assemble(&format!("{CUTTING}; {line}")).is_err(), "{line}");
    }
    // It is about what follows.
    assert!(assemble(&format!("{CUT}\n{CUTTING}")).is_err());
    let wrong = assemble(".option llvm").unwrap_err();
    assert!(wrong.contains("`llvm` is not an option: llvm_ld_pseudo"), "{wrong}");
}

/// The decoder and the encoder, on bytes of either order.
#[test]
fn llvms_bytes_are_decoded_and_encoded_again() {
    for Vector { text, little, big } in vectors() {
        for (order, expected) in [(ByteOrder::Little, little), (ByteOrder::Big, big)] {
            let slots: Vec<Insn> = expected
                .chunks_exact(8)
                .map(|slot| Insn::from_bytes(slot.try_into().unwrap(), order))
                .collect();
            let op = Op::decode(&slots).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(bytes(op.encode().as_slice(), order), expected, "{text}");
        }
    }
}

/// Blocks of all lines, 9 and 27 times: 1,728 and 5,184 of them. The length of a block is not bounded by `recursion_limit`.
mod long {
    use super::*;

    macro_rules! nine_times {
        ($($t:tt)*) => {
            bpf! { $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* $($t)* }
        };
    }

    pub static NINE: Code<'static> = {
        macro_rules! lines {
            ($({ $($line:tt)* })*) => { nine_times! { $($($line)*)* } };
        }
        include!("vectors/macro_lines.rs")
    };

    pub static TWENTY_SEVEN: Code<'static> = {
        macro_rules! lines {
            ($({ $($line:tt)* })*) => { nine_times! { $($($line)*)* $($($line)*)* $($($line)*)* } };
        }
        include!("vectors/macro_lines.rs")
    };
}

#[test]
fn long_programs_are_the_bytes_of_their_lines() {
    let vectors = vectors();
    for (code, times) in [(&long::NINE, 9), (&long::TWENTY_SEVEN, 27)] {
        let lines = vectors.iter().cycle().take(times * vectors.len());
        let expected: Vec<u8> = lines.clone().flat_map(|vector| vector.little.clone()).collect();
        assert_eq!(code.lines.len(), times * 192);
        assert_eq!(bytes(code.slots, ByteOrder::Little), expected);

        let text: String = lines.flat_map(|vector| [vector.text, "\n"]).collect();
        let slots = assemble(&format!("{CUTTING}\n{text}")).unwrap();
        assert_eq!(bytes(&slots, ByteOrder::Little), expected);
    }
}
