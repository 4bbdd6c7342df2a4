//! CO-RE relocations and externs of object files, as their compiler recorded them.

use std::sync::Arc;

/// The number of a helper that there never was, in the calls that replace instructions with a name that the kernel does not have;
/// it is libbpf's. The verifier takes out what a test of existence has made unreachable, and refuses the rest.
pub(crate) const POISON: i32 = 0x0bad_2310;

/// A property of a type that an instruction depends on (`enum bpf_core_relo_kind` of `include/uapi/linux/bpf.h`).
#[doc(alias = "bpf_core_relo_kind")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoreKind {
    /// The offset of a field in bytes; of a bit-field, that of the integer to load.
    FieldOffset,
    /// The size of a field in bytes; of a bit-field, that of the integer to load.
    FieldSize,
    /// 1 if the kernel has the field, else 0.
    FieldExists,
    /// 1 if the field is signed, else 0.
    FieldSigned,
    /// The left shift that drops the bits above a bit-field in a 64-bit register.
    LeftShift,
    /// The right shift, after the left one, that leaves the value of a bit-field.
    RightShift,
    /// The BTF id of a type in the object.
    LocalTypeId,
    /// The BTF id of a type in the kernel, 0 if there is none.
    TargetTypeId,
    /// 1 if the kernel has the type, else 0.
    TypeExists,
    /// The size of a type in bytes, 0 if the kernel has none.
    TypeSize,
    /// 1 if the kernel has the enumerator, else 0.
    EnumeratorExists,
    /// The value of an enumerator.
    EnumeratorValue,
    /// 1 if the kernel has a type with all that the object's type is made of, else 0.
    TypeMatches,
}

impl CoreKind {
    /// Every kind, by its number in the kernel's header.
    pub const ALL: [CoreKind; 13] = [
        CoreKind::FieldOffset,
        CoreKind::FieldSize,
        CoreKind::FieldExists,
        CoreKind::FieldSigned,
        CoreKind::LeftShift,
        CoreKind::RightShift,
        CoreKind::LocalTypeId,
        CoreKind::TargetTypeId,
        CoreKind::TypeExists,
        CoreKind::TypeSize,
        CoreKind::EnumeratorExists,
        CoreKind::EnumeratorValue,
        CoreKind::TypeMatches,
    ];

    /// Returns whether it is a property of a field.
    pub fn is_field(self) -> bool {
        (self as u8) < CoreKind::LocalTypeId as u8
    }

    /// Returns whether it is a property of an enumerator.
    pub fn is_enumerator(self) -> bool {
        matches!(self, CoreKind::EnumeratorExists | CoreKind::EnumeratorValue)
    }
}

/// A CO-RE relocation: a property of a type of the object, to be looked up in the kernel that loads it.
#[doc(alias = "bpf_core_relo")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreReloc {
    /// The property.
    pub kind: CoreKind,
    /// The BTF of the object.
    pub types: Arc<[u8]>,
    /// The BTF id of the type in the object.
    pub type_id: u32,
    /// The indices that lead from the type to the field or enumerator: `0:1:2`.
    pub access: Arc<str>,
    /// A name for messages: `struct task_struct.tgid`.
    pub name: Arc<str>,
    /// The number that the compiler put into the instruction.
    pub original: u64,
}

/// A variable or function of the kernel that an object declares (`__ksym`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extern {
    /// The name.
    pub name: Arc<str>,
    /// Whether the program can do without it: its address is 0 then, and a call of it must not be reached.
    pub weak: bool,
    /// The BTF of the object.
    pub types: Arc<[u8]>,
    /// The BTF id that the object has for the type of the variable, or for the prototype of the function; 0 if it has none.
    pub type_id: u32,
}
