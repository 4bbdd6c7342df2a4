//! Descriptions of types, which can stand in a `const`.

/// The type of a key or a value of a map, so that `bpftool map dump` shows its fields.
///
/// ```
/// use rawbpf::btf::{FieldDesc, TypeDesc};
///
/// const PAIR: TypeDesc = TypeDesc::Struct {
///     name: "pair",
///     size: 8,
///     fields: &[
///         FieldDesc { name: "first", offset: 0, desc: TypeDesc::U32 },
///         FieldDesc { name: "second", offset: 4, desc: TypeDesc::U32 },
///     ],
/// };
/// assert_eq!(PAIR.size(), 8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeDesc<'a> {
    /// An integer. An array of those that are named `char` is shown as text.
    Int {
        /// Its name.
        name: &'a str,
        /// Its size in bytes: 1, 2, 4, 8 or 16.
        size: u32,
        /// Whether it is signed.
        signed: bool,
    },
    /// An array.
    Array {
        /// The type of its elements.
        element: &'a TypeDesc<'a>,
        /// The number of its elements.
        len: u32,
    },
    /// A struct.
    Struct {
        /// Its name.
        name: &'a str,
        /// Its size in bytes.
        size: u32,
        /// Its fields, in order.
        fields: &'a [FieldDesc<'a>],
    },
}

/// A field of a described struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDesc<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its offset, in bytes.
    pub offset: u32,
    /// Its type.
    pub desc: TypeDesc<'a>,
}

const fn int(name: &'static str, size: u32, signed: bool) -> TypeDesc<'static> {
    TypeDesc::Int { name, size, signed }
}

impl TypeDesc<'_> {
    /// `u8`, by the name it has in the kernel.
    pub const U8: TypeDesc<'static> = int("unsigned char", 1, false);
    /// `u16`.
    pub const U16: TypeDesc<'static> = int("unsigned short", 2, false);
    /// `u32`.
    pub const U32: TypeDesc<'static> = int("unsigned int", 4, false);
    /// `u64`.
    pub const U64: TypeDesc<'static> = int("unsigned long long", 8, false);
    /// `u128`.
    pub const U128: TypeDesc<'static> = int("unsigned __int128", 16, false);
    /// `i8`.
    pub const I8: TypeDesc<'static> = int("signed char", 1, true);
    /// `i16`.
    pub const I16: TypeDesc<'static> = int("short", 2, true);
    /// `i32`.
    pub const I32: TypeDesc<'static> = int("int", 4, true);
    /// `i64`.
    pub const I64: TypeDesc<'static> = int("long long", 8, true);
    /// `i128`.
    pub const I128: TypeDesc<'static> = int("__int128", 16, true);
    /// A letter: an array of these is shown as text.
    pub const CHAR: TypeDesc<'static> = int("char", 1, true);

    /// Its size in bytes; the largest `u32` if it is larger than that.
    pub const fn size(&self) -> u32 {
        match self {
            TypeDesc::Int { size, .. } | TypeDesc::Struct { size, .. } => *size,
            TypeDesc::Array { element, len } => element.size().saturating_mul(*len),
        }
    }
}
