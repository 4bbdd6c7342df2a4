//! Tests of the table against the language, RFC 9669 and itself.

use super::*;
use crate::asm::{ParseOptions, parse};
use crate::insn::ByteOrder;

fn assembled(text: &str) -> Op {
    let module = parse(text, "row", &ParseOptions::new()).unwrap_or_else(|error| {
        panic!("{text}: {error}");
    });
    Op::decode(module.programs()[0].slots()).unwrap()
}

#[test]
fn the_spelling_of_a_row_is_read_and_printed_as_that_operation() {
    for row in TABLE {
        let op = assembled(row.spelling);
        assert_eq!(op.operation(), row.operation, "{}", row.spelling);
        let printed = op.to_string();
        // A helper is printed by its name.
        assert_eq!(if row.spelling == "call 6" { "call 6" } else { &printed }, row.spelling);
        let rows = TABLE.iter().filter(|other| other.operation == row.operation);
        assert_eq!(rows.count(), 1, "{}", row.spelling);
    }
}

/// The instructions that LLVM can encode.
fn vectors() -> impl Iterator<Item = (&'static str, Op)> {
    include_str!("../../../tests/vectors/isa.tsv").lines().skip(1).map(|line| {
        let (text, rest) = line.split_once('\t').unwrap();
        let hex = rest.split('\t').next().unwrap();
        let bytes: Vec<u8> =
            hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let (chunks, _) = bytes.as_chunks::<8>();
        let slots: Vec<Insn> =
            chunks.iter().map(|bytes| Insn::from_bytes(*bytes, ByteOrder::Little)).collect();
        (text, Op::decode(&slots).unwrap())
    })
}

#[test]
fn every_operation_of_llvms_has_its_row() {
    for (text, op) in vectors() {
        assert_eq!(op.row().operation, op.operation(), "{text}");
    }
}

/// The opcodes and conformance groups of the registry that RFC 9669 founded. It has no sign-extending loads: they
/// belong to base32, as all instructions for which the RFC gives no other group.
#[test]
fn groups_are_those_of_the_registry() {
    let registry: Vec<[&str; 5]> = include_str!("../../../tests/vectors/rfc9669_groups.tsv")
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
        .collect();
    let is = |field: &str, value: i32| match field {
        "any" => true,
        _ => field.strip_prefix("0x").map_or_else(
            || field.parse() == Ok(value),
            |digits| i32::from_str_radix(digits, 16) == Ok(value),
        ),
    };
    let mut seen = vec![false; registry.len()];
    let examples = TABLE.iter().map(|row| (row.spelling, assembled(row.spelling)));
    for (text, op) in vectors().chain(examples) {
        let slot = op.encode().first();
        let entry = registry.iter().position(|[opcode, src, offset, imm, _]| {
            is(opcode, slot.opcode().into())
                && is(src, slot.src().into())
                && is(offset, slot.offset().into())
                && is(imm, slot.imm())
        });
        let group = op.form().group.map(Group::name);
        match entry {
            Some(entry) => {
                seen[entry] = true;
                assert_eq!(group, Some(registry[entry][4]), "{text}");
            }
            None if matches!(op, Op::LoadSigned { .. }) => assert_eq!(group, Some("base32")),
            None => assert_eq!((group, op.row().rfc), (None, None), "{text}"),
        }
    }
    let unseen: Vec<_> =
        registry.iter().zip(&seen).filter(|(_, seen)| !**seen).map(|(row, _)| row).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn no_operator_hides_another() {
    fn check<const N: usize>(operators: &Operators<N>) {
        for operator in &operators.all {
            let found = operators.find(operator.word.to_le_bytes(), operator.signed).unwrap();
            assert_eq!(found.operation, operator.operation);
        }
    }
    check(&ASSIGNMENT_OPERATORS);
    check(&COMPARISON_OPERATORS);
    check(&LOCKED_OPERATORS);
    check(&FETCHING_NAMES);
    assert_eq!((ASSIGNMENT_COUNT, COMPARISON_COUNT), (13, 11));
    assert_eq!((LOCKED_COUNT, FETCHING_COUNT), (4, 4));
    assert!(ASSIGNMENT_OPERATORS.find(*b"= 5 ", false).is_none());
    assert!(COMPARISON_OPERATORS.find("ä 5".as_bytes().try_into().unwrap(), false).is_none());
    let found = COMPARISON_OPERATORS.find(*b">= 5", true).unwrap();
    assert_eq!(found.operation, Operation::JumpIf(Condition::SignedGe));
}
