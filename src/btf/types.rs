//! One type as it lies in the blob: decoded when asked for, borrowed.

use super::BtfError;
use super::reader::{Btf, Record};
use std::fmt;

/// The kinds of types, by their numbers (`BTF_KIND_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Type 0: no type at all.
    Void,
    /// An integer, a character or a truth value.
    Int,
    /// A pointer.
    Pointer,
    /// An array.
    Array,
    /// A struct.
    Struct,
    /// A union.
    Union,
    /// An enumeration of at most 32 bits.
    Enum,
    /// A struct or union that is only declared.
    Forward,
    /// Another name for a type.
    Typedef,
    /// `volatile`.
    Volatile,
    /// `const`.
    Const,
    /// `restrict`.
    Restrict,
    /// A function.
    Function,
    /// A function prototype: parameters and return type.
    Prototype,
    /// A variable. Linux 5.2.
    Variable,
    /// A section of variables. Linux 5.2.
    Section,
    /// A floating-point number. Linux 5.13.
    Float,
    /// A tag on a declaration. Linux 5.16.
    DeclTag,
    /// A tag on a type. Linux 5.17.
    TypeTag,
    /// An enumeration of 64 bits. Linux 6.0.
    Enum64,
    /// A kind that is newer than this reader.
    Unknown,
}

/// Each kind, its name in the kernel's documentation, the number of bytes after the twelve that every type has, and
/// the number of bytes for each of its `vlen` members, parameters or values.
pub(super) const KINDS: [(Kind, &str, usize, usize); 20] = [
    (Kind::Void, "void", 0, 0),
    (Kind::Int, "int", 4, 0),
    (Kind::Pointer, "ptr", 0, 0),
    (Kind::Array, "array", 12, 0),
    (Kind::Struct, "struct", 0, 12),
    (Kind::Union, "union", 0, 12),
    (Kind::Enum, "enum", 0, 8),
    (Kind::Forward, "fwd", 0, 0),
    (Kind::Typedef, "typedef", 0, 0),
    (Kind::Volatile, "volatile", 0, 0),
    (Kind::Const, "const", 0, 0),
    (Kind::Restrict, "restrict", 0, 0),
    (Kind::Function, "func", 0, 0),
    (Kind::Prototype, "func_proto", 0, 8),
    (Kind::Variable, "var", 4, 0),
    (Kind::Section, "datasec", 0, 12),
    (Kind::Float, "float", 0, 0),
    (Kind::DeclTag, "decl_tag", 4, 0),
    (Kind::TypeTag, "type_tag", 0, 0),
    (Kind::Enum64, "enum64", 0, 12),
];

impl Kind {
    pub(super) fn of(number: u32) -> Kind {
        KINDS.get(number as usize).map_or(Kind::Unknown, |(kind, ..)| *kind)
    }

    /// Returns the kernel's name for it: `int`, `ptr`, `func_proto`.
    pub fn word(self) -> &'static str {
        KINDS.get(self as usize).map_or("unknown", |(_, word, ..)| word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A type: its number, its name and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Type<'a> {
    /// Its number. Those of a module go on where those of vmlinux end.
    pub id: u32,
    /// Its name; empty if it has none.
    pub name: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// The rest of its description, by kind.
    pub body: Body<'a>,
}

/// The description of a type. The numbers are those of other types, 0 being `void`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Nothing.
    Void,
    /// An integer.
    Int {
        /// Its size in bytes.
        size: u32,
        /// Whether it is signed.
        signed: bool,
        /// Whether it holds a truth value.
        boolean: bool,
        /// The offset of its bits, 0 except for bit-fields in the encoding of before 2018.
        offset: u32,
        /// The number of its bits: those of its size, except for such bit-fields.
        bits: u32,
    },
    /// A pointer to a type.
    Pointer(u32),
    /// An array.
    Array {
        /// The type of its elements.
        element: u32,
        /// The type of an index.
        index: u32,
        /// The number of its elements; 0 for a flexible array.
        len: u32,
    },
    /// A struct or a union; the kind says which.
    Composite {
        /// Its size in bytes.
        size: u32,
        /// Its members, in order.
        members: Members<'a>,
    },
    /// An enumeration, of 32 or 64 bits.
    Enum {
        /// Its size in bytes.
        size: u32,
        /// Whether its values are signed. BTF of kernels before 6.0 does not record that: there it is `false`, and a
        /// negative value appears as its lower 32 bits.
        signed: bool,
        /// Its values, in order.
        values: Enumerators<'a>,
    },
    /// A struct or union that is only declared.
    Forward {
        /// Whether it is a union.
        union: bool,
    },
    /// Another type under a name or with `const`, `volatile`, `restrict` or a tag on it; the kind says which.
    Alias(u32),
    /// A function, by its prototype.
    Function {
        /// The type of its prototype.
        prototype: u32,
        /// Its linkage.
        linkage: Linkage,
    },
    /// A function prototype: parameters and return type.
    Prototype {
        /// The type of its result.
        returns: u32,
        /// Its parameters, in order.
        parameters: Parameters<'a>,
    },
    /// A variable.
    Variable {
        /// Its type.
        of: u32,
        /// Its linkage.
        linkage: Linkage,
    },
    /// A section of variables.
    Section {
        /// Its size in bytes.
        size: u32,
        /// Its variables, in order.
        variables: Variables<'a>,
    },
    /// A floating-point number.
    Float {
        /// Its size in bytes.
        size: u32,
    },
    /// A tag on a declaration.
    DeclTag {
        /// The type that it is about.
        of: u32,
        /// The member or parameter that it is about; `None` for the type itself.
        part: Option<u32>,
    },
    /// A kind newer than this reader.
    Unknown,
}

/// The linkage of a function or a variable (`BTF_FUNC_*`, `BTF_VAR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Linkage {
    /// Visible in its own file.
    Static,
    /// Visible everywhere.
    Global,
    /// Defined elsewhere.
    Extern,
    /// Another number.
    Unknown(u32),
}

impl Linkage {
    fn of(number: u32) -> Linkage {
        match number {
            0 => Linkage::Static,
            1 => Linkage::Global,
            2 => Linkage::Extern,
            other => Linkage::Unknown(other),
        }
    }
}

/// A member of a struct or union.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its name; empty if it has none, as an anonymous union.
    pub name: &'a str,
    /// Its type.
    pub of: u32,
    /// Its offset in bits from the beginning of the struct.
    pub bit_offset: u32,
    /// Its size in bits, if the struct declares it as a bit-field.
    pub bits: Option<u32>,
}

/// A value of an enumeration.
#[derive(Debug, Clone, Copy)]
pub struct Enumerator<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: i128,
}

/// A parameter of a function.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// Its name; empty if it is not known.
    pub name: &'a str,
    /// Its type; 0 for the `...` at the end.
    pub of: u32,
}

/// A variable in a section.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The variable, a type of the kind [`Kind::Variable`].
    pub of: u32,
    /// Its offset, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

/// The parts of a type, as they lie in the blob.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    btf: &'a Btf,
    record: Record<'a>,
}

impl<'a> Parts<'a> {
    /// The first `N` words of the next part, of `size` bytes; its name if it begins with one.
    fn next<const N: usize>(&mut self, size: usize) -> Option<[u32; N]> {
        let (part, rest) = self.record.tail.split_at_checked(size)?;
        if rest.len() == self.record.tail.len() {
            return None;
        }
        self.record.tail = rest;
        Some(words(part))
    }

    /// The number of bytes of each part.
    fn size(&self) -> usize {
        KINDS.get(self.record.kind() as usize).map_or(0, |(.., each)| *each)
    }

    /// Leaves out some parts, whose names are not read.
    fn skip(&mut self, count: usize) {
        let bytes = count.saturating_mul(self.size());
        self.record.tail = self.record.tail.get(bytes..).unwrap_or_default();
    }

    /// The number of parts that are left.
    fn count(&self) -> usize {
        self.record.tail.len().checked_div(self.size()).unwrap_or(0)
    }

    fn name(&self, offset: u32) -> Result<&'a str, BtfError> {
        self.btf.name(offset, self.record.id)
    }
}

/// Writes an iterator over the parts of a type.
macro_rules! parts {
    ($(#[$doc:meta])* $iterator:ident, $item:ty, $parts:ident => $next:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $iterator<'a>(Parts<'a>);

        impl<'a> Iterator for $iterator<'a> {
            type Item = $item;

            fn next(&mut self) -> Option<$item> {
                let $parts = &mut self.0;
                $next
            }

            /// A part by its index takes as long as the first.
            fn nth(&mut self, index: usize) -> Option<$item> {
                self.0.skip(index);
                self.next()
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let left = self.0.count();
                (left, Some(left))
            }

            fn count(self) -> usize {
                self.0.count()
            }
        }
    };
}

parts! {
    /// The members of a struct or union. A name that cannot be is an error.
    Members, Result<Member<'a>, BtfError>, parts => {
        let [name, of, offset] = parts.next(12)?;
        // With the flag, the upper eight bits are the size of a bit-field, or 0.
        let (bit_offset, bits) = match parts.record.flag() {
            true => (offset & 0xff_ffff, Some(offset >> 24).filter(|bits| *bits != 0)),
            false => (offset, None),
        };
        Some(parts.name(name).map(|name| Member { name, of, bit_offset, bits }))
    }
}

parts! {
    /// The values of an enumeration. A name that cannot be is an error.
    Enumerators, Result<Enumerator<'a>, BtfError>, parts => {
        let signed = parts.record.flag();
        let (name, value) = if parts.record.kind() == Kind::Enum64 {
            let [name, low, high] = parts.next(12)?;
            let value = u64::from(high) << 32 | u64::from(low);
            (name, if signed { value.cast_signed().into() } else { value.into() })
        } else {
            let [name, value] = parts.next(8)?;
            (name, if signed { value.cast_signed().into() } else { value.into() })
        };
        Some(parts.name(name).map(|name| Enumerator { name, value }))
    }
}

parts! {
    /// The parameters of a function. A name that cannot be is an error.
    Parameters, Result<Parameter<'a>, BtfError>, parts => {
        let [name, of] = parts.next(8)?;
        Some(parts.name(name).map(|name| Parameter { name, of }))
    }
}

parts! {
    /// The variables of a section.
    Variables, Variable, parts => {
        let [of, offset, size] = parts.next(12)?;
        Some(Variable { of, offset, size })
    }
}

impl Enumerators<'_> {
    /// Whether one of them has one of these names, by their offsets in the strings.
    pub(super) fn named(self, names: &[u32]) -> bool {
        let size = if self.0.record.kind() == Kind::Enum64 { 12 } else { 8 };
        let mut parts = self.0;
        std::iter::from_fn(|| parts.next::<1>(size)).any(|[name]| names.contains(&name))
    }
}

/// The first words of some bytes; 0 where there are none.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    words
}

impl<'a> Type<'a> {
    /// Type 0.
    pub(super) const VOID: Type<'static> =
        Type { id: 0, name: "", kind: Kind::Void, body: Body::Void };

    pub(super) fn decode(btf: &'a Btf, record: Record<'a>) -> Result<Type<'a>, BtfError> {
        let kind = record.kind();
        let parts = Parts { btf, record };
        let size = record.size_or_type;
        let body = match kind {
            Kind::Void => {
                return Err(BtfError::Damaged { id: record.id, problem: "its kind is 0" });
            }
            Kind::Int => {
                let [word] = words(record.tail);
                let (encoding, offset, bits) = (word >> 24 & 0xf, word >> 16 & 0xff, word & 0xff);
                Body::Int {
                    size,
                    signed: encoding & 1 != 0,
                    boolean: encoding & 4 != 0,
                    offset,
                    bits,
                }
            }
            Kind::Pointer => Body::Pointer(size),
            Kind::Array => {
                let [element, index, len] = words(record.tail);
                Body::Array { element, index, len }
            }
            Kind::Struct | Kind::Union => Body::Composite { size, members: Members(parts) },
            Kind::Enum | Kind::Enum64 => {
                Body::Enum { size, signed: record.flag(), values: Enumerators(parts) }
            }
            Kind::Forward => Body::Forward { union: record.flag() },
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                Body::Alias(size)
            }
            Kind::Function => {
                Body::Function { prototype: size, linkage: Linkage::of(record.vlen()) }
            }
            Kind::Prototype => Body::Prototype { returns: size, parameters: Parameters(parts) },
            Kind::Variable => {
                let [linkage] = words(record.tail);
                Body::Variable { of: size, linkage: Linkage::of(linkage) }
            }
            Kind::Section => Body::Section { size, variables: Variables(parts) },
            Kind::Float => Body::Float { size },
            Kind::DeclTag => {
                let [part] = words(record.tail);
                Body::DeclTag { of: size, part: (part != u32::MAX).then_some(part) }
            }
            Kind::Unknown => Body::Unknown,
        };
        Ok(Type { id: record.id, name: btf.name(record.name, record.id)?, kind, body })
    }
}
