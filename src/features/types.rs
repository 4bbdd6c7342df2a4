//! Kinds of types in BTF: the smallest blob that has one.

use super::list::Feature::{self, *};
use super::row::Yes::Done;
use super::row::{Blob, Row, Test};
use crate::util::Version;

const fn row(of: Feature, (major, minor): (u16, u16), types: &'static [u32]) -> Row<Feature> {
    let test = Test::Btf(Blob { types, strings: STRINGS });
    Row { of, since: Version::new(major, minor), config: &[], test, yes: Done }
}

/// Names, at 1, 5 and 7.
const STRINGS: &[u8] = b"\0int\0x\0.data\0";
const INT_NAME: u32 = 1;
const X: u32 = 5;
const DATA: u32 = 7;

/// The second word of a type: its kind, and how many parts it has.
const fn info(kind: u32, parts: u32) -> u32 {
    kind << 24 | parts
}

/// The bit whose meaning depends on the kind (`kind_flag`).
const FLAG: u32 = 1 << 31;

/// An integer of 32 bits with a sign, always type 1.
macro_rules! with_int {
    ($($word:expr),* $(,)?) => {
        &[INT_NAME, info(1, 0), 4, 1 << 24 | 32, $($word),*]
    };
}

/// An integer, and nothing else.
pub(super) const INT: Blob = Blob { types: with_int![], strings: STRINGS };

pub(super) static ROWS: &[Row<Feature>] = &[
    row(BtfTypes, (4, 18), with_int![]),
    // 2: int (*)(void) without the star; 3: the function.
    row(BtfFunctions, (5, 0), with_int![0, info(13, 0), 1, X, info(12, 0), 2]),
    // 2: struct x { int x : 3; }
    row(BtfBitFields, (5, 0), with_int![X, info(4, 1) | FLAG, 4, X, 1, 3 << 24]),
    // 2: static int x
    row(BtfVariables, (5, 2), with_int![X, info(14, 0), 1, 0]),
    // 3: a section of 4 bytes with it
    row(BtfSections, (5, 2), with_int![X, info(14, 0), 1, 0, DATA, info(15, 1), 4, 2, 0, 4]),
    row(BtfLinkage, (5, 6), with_int![0, info(13, 0), 1, X, info(12, 1), 2]),
    row(BtfFloat, (5, 13), with_int![X, info(16, 0), 4]),
    // 2: a variable; 3: a remark on all of it
    row(BtfDeclTags, (5, 16), with_int![X, info(14, 0), 1, 0, X, info(17, 0), 2, u32::MAX]),
    row(BtfTypeTags, (5, 17), with_int![X, info(18, 0), 1, 0, info(2, 0), 2]),
    // 2: enum x { x = 1 << 32 }
    row(BtfEnum64, (6, 0), with_int![X, info(19, 1), 8, X, 0, 1]),
    row(BtfAttributes, (6, 15), with_int![X, info(18, 0) | FLAG, 1, 0, info(2, 0), 2]),
];
