//! Lookup of names in the running kernel.

use super::{Answer, NameProblem};
#[cfg(feature = "cli")]
use crate::btf::Kind;
use crate::btf::{Btf, BtfError, Field, KernelTypes};
use crate::kernel::registers;
use crate::spec::RelocField;
#[cfg(feature = "cli")]
use crate::spec::RelocKind;
use crate::uapi::{AttachType, ProgramType};
use crate::util::nearest::{Nearest, OFFERED};

/// The context of a lookup: the program's type and the types to search.
pub(super) struct Context<'l> {
    pub kind: ProgramType,
    pub attach_type: Option<AttachType>,
    pub types: &'l KernelTypes,
    /// The types of another program, if this one is for a function of that.
    pub theirs: Option<&'l Btf>,
    /// The process whose files probes in user space are in.
    pub process: Option<u32>,
}

/// The number that a name stands for.
pub(super) struct Number {
    pub value: i128,
    /// The size in bytes of the number in memory, if this is its offset.
    pub width: Option<u32>,
    /// The error for an access of a bit-field, which no load can read alone.
    pub bits: Option<NameProblem>,
}

impl Number {
    pub fn of(value: impl Into<i128>) -> Number {
        Number { value: value.into(), width: None, bits: None }
    }

    /// Returns the offset of a field.
    pub fn of_field(field: &Field) -> Number {
        let bits = field.bits.map(|bits| NameProblem::BitField {
            size: field.size,
            offset: field.offset,
            shift: field.shift(),
            bits: bits.size,
        });
        let width = field.is_scalar().then_some(field.size);
        Number { value: field.offset.into(), width, bits }
    }

    /// Returns the number, if an access of that size covers the whole field.
    pub fn checked(self, field: RelocField, access: Option<u32>) -> Answer<i128> {
        if field == RelocField::Offset {
            if let Some(problem) = self.bits {
                return Err(problem);
            }
            if let (Some(size), Some(access)) = (self.width, access)
                && size != access
            {
                return Err(NameProblem::Width { size, access });
            }
        }
        Ok(self.value)
    }
}

/// Returns the number of a name in the running kernel, if it exists there and depends on nothing else.
#[cfg(feature = "cli")]
pub(crate) fn kernel_number(kind: RelocKind, name: &str) -> Option<i128> {
    let types = KernelTypes::new();
    let context = Context {
        kind: ProgramType::Kprobe,
        attach_type: None,
        types: &types,
        theirs: None,
        process: None,
    };
    match kind {
        RelocKind::Value | RelocKind::Enumerator | RelocKind::Register => {
            context.value(name).ok().map(|number| number.value)
        }
        RelocKind::Size => types.size_of(name).ok().map(i128::from),
        RelocKind::Exists if name.contains('.') => Some(context.value(name).is_ok().into()),
        RelocKind::Exists => types.exists(name).ok().map(i128::from),
        RelocKind::Kfunc => types.type_id(name, Kind::Function).ok().map(|(id, _)| id.into()),
        RelocKind::Variable => types.type_id(name, Kind::Variable).ok().map(|(id, _)| id.into()),
        RelocKind::FunctionAddress => {
            types.type_id(name, Kind::Function).ok().map(|(id, _)| id.into())
        }
        RelocKind::Map
        | RelocKind::Kconfig
        | RelocKind::JumpTable
        | RelocKind::Argument
        | RelocKind::ArgumentValue
        | RelocKind::Core
        | RelocKind::Symbol => None,
    }
}

/// The error for a name that is neither the role of a register nor a field of `pt_regs`.
fn no_register(name: &str) -> NameProblem {
    let mut nearest = Nearest::new(name, OFFERED);
    registers::ROLES.iter().for_each(|role| nearest.offer(role));
    NameProblem::UnknownRegister { name: name.into(), nearest: nearest.into_names() }
}

impl Context<'_> {
    /// Returns the offset of a field, or the value of an enumerator.
    pub fn value(&self, path: &str) -> Answer<Number> {
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        match head {
            "enum" => return Ok(Number::of(self.types.any_enumerator(rest)?)),
            "pt_regs" => {
                if let Some(offset) = registers::offset(rest) {
                    return Ok(Number { width: Some(8), ..Number::of(offset) });
                }
                if rest.starts_with("parm") || rest.starts_with("syscall") {
                    return Err(NameProblem::NoRegister);
                }
            }
            _ => {}
        }
        let missing = match self.types.field(path) {
            Ok(field) => return Ok(Number::of_field(&field)),
            Err(error) => error,
        };
        if head == "pt_regs" && matches!(missing.btf(), Some(BtfError::NoField { .. })) {
            return Err(no_register(rest));
        }
        let no_struct =
            matches!(missing.btf(), Some(BtfError::NoType { .. } | BtfError::NoParts { .. }));
        if !no_struct {
            return Err(missing.into());
        }
        match self.types.enumerator(head, rest) {
            Ok(value) => Ok(Number::of(value)),
            Err(error) if matches!(error.btf(), Some(BtfError::NoEnumerator { .. })) => {
                Err(error.into())
            }
            Err(_) => Err(missing.into()),
        }
    }
}
