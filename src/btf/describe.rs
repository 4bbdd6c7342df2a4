//! Plain descriptions of types, which can stand in a `const`, and the types of a map made from them.

use super::builder::{identifier, section_name};
use super::{BtfError, Builder, Member, Variable};

/// What a key or a value of a map is made of, so that `bpftool map dump` shows it by its fields.
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
        /// What it is an array of.
        element: &'a TypeDesc<'a>,
        /// How many elements it has.
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
    /// Where it begins, in bytes.
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

/// The types of a map's keys and values: what `BPF_MAP_CREATE` wants, once the blob is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MapTypes {
    /// The BTF to load.
    pub(crate) blob: Vec<u8>,
    /// `btf_key_type_id`. 0 for a map that is a section: it has a type for its value alone.
    pub(crate) key: u32,
    /// `btf_value_type_id`.
    pub(crate) value: u32,
}

/// The types of a map. The kernel wants them as large as the map's keys and values, and an `int` of 32 bits as the key
/// of an array.
pub(crate) fn map_types(key: &TypeDesc<'_>, value: &TypeDesc<'_>) -> Result<MapTypes, BtfError> {
    let mut builder = Builder::new();
    let (key, value) = (builder.describe(key), builder.describe(value));
    Ok(MapTypes { blob: builder.finish()?, key, value })
}

/// How the variables of a section are described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "for whoever creates maps")]
pub(crate) enum SectionForm {
    /// As `DATASEC`: only for an array of one element, Linux 5.2.
    Section,
    /// As a struct with a field for each: for maps and kernels that refuse the other.
    Struct,
}

/// The types of the map that holds a section: `.rodata`, `.data`, `.bss`. Each variable is a field with its name and
/// offset. Those without a size or a name are left out, and those that lie over others or beyond the end: the
/// kernel would refuse all of them. A section without variables becomes a struct without fields.
#[allow(dead_code, reason = "for whoever creates maps")]
pub(crate) fn section_types(
    name: &str,
    size: u32,
    variables: &[FieldDesc<'_>],
    form: SectionForm,
) -> Result<MapTypes, BtfError> {
    let mut builder = Builder::new();
    let mut sorted: Vec<&FieldDesc<'_>> = variables.iter().collect();
    sorted.sort_by_key(|variable| variable.offset);
    let mut end = 0;
    sorted.retain(|variable| {
        let its_end = variable.offset.checked_add(variable.desc.size());
        let fits = variable.offset >= end && its_end.is_some_and(|its_end| its_end <= size);
        let shown = fits && variable.desc.size() != 0 && !variable.name.is_empty();
        if let (true, Some(its_end)) = (shown, its_end) {
            end = its_end;
        }
        shown
    });
    // A section of nothing is refused by old kernels, 5.10 among them.
    let form = if sorted.is_empty() { SectionForm::Struct } else { form };
    let (key, value) = match form {
        SectionForm::Section => {
            let mut written = Vec::with_capacity(sorted.len());
            for variable in sorted {
                let of = builder.describe(&variable.desc);
                let of = builder.variable(&identifier(variable.name), of);
                let (offset, size) = (variable.offset, variable.desc.size());
                written.push(Variable { of, offset, size });
            }
            (0, builder.section(&section_name(name), size, &written))
        }
        SectionForm::Struct => {
            let names: Vec<_> = sorted.iter().map(|variable| identifier(variable.name)).collect();
            let mut members = Vec::with_capacity(sorted.len());
            for (variable, name) in sorted.iter().zip(&names) {
                let of = builder.describe(&variable.desc);
                let bit_offset = builder.bits(variable.offset);
                members.push(Member { name, of, bit_offset, bits: None });
            }
            let name = identifier(name);
            (builder.index(), builder.composite(&name, false, size, &members))
        }
    };
    Ok(MapTypes { blob: builder.finish()?, key, value })
}
