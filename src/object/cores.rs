//! Names of the kernel in a text as CO-RE relocations of an object.

use super::relocated::number;
use crate::btf::{BtfError, KernelTypes, TypeCopy};
use crate::error::Result;
use crate::insn::Insn;
use crate::program::put_number;
use crate::spec::{CoreKind, Reloc, RelocKind};

/// A relocation, and the number that the kernel here has for it.
#[derive(Debug)]
pub(super) struct Core {
    pub kind: CoreKind,
    pub types: TypeCopy,
    value: i128,
    /// The size of the field, if a load can fetch it.
    width: Option<u32>,
}

/// Whether an object has relocations for a kind of name.
pub(super) fn has(kind: RelocKind) -> bool {
    use RelocKind::{Enumerator, Exists, Size, Value};
    matches!(kind, Value | Enumerator | Size | Exists)
}

/// Returns the relocation for a name, with types of the kernel here; the error is the problem.
pub(super) fn core(reloc: &Reloc<'_>, types: &KernelTypes) -> std::result::Result<Core, String> {
    let name = reloc.name();
    let kind = match (reloc.kind, RelocKind::of_path(name.as_bytes())) {
        // `exists(args.filename)`
        (RelocKind::Exists | RelocKind::Size, RelocKind::Argument | RelocKind::Register) => {
            return Err("it is no type of the kernel's".into());
        }
        (RelocKind::Exists, RelocKind::Enumerator) => RelocKind::Enumerator,
        (kind, _) => kind,
    };
    let exists = reloc.kind == RelocKind::Exists;
    let found = match kind {
        RelocKind::Enumerator => enumerator(types, None, name.trim_start_matches("enum."), exists),
        RelocKind::Size | RelocKind::Exists if !name.contains(['.', '[']) => {
            types.copy_type(&name).map(|(size, types)| {
                let (kind, value) = match exists {
                    true => (CoreKind::TypeExists, 1),
                    false => (CoreKind::TypeSize, size.into()),
                };
                Core { kind, types, value, width: None }
            })
        }
        _ => field(types, &name, reloc.kind),
    };
    found.map_err(|error| match error.btf() {
        Some(missing) if missing.is_not_found() => {
            format!("{missing}; an object has its type, which is that of the kernel here")
        }
        _ => error.to_string(),
    })
}

/// The offset, size or existence of a field, or the enumerator of an enumeration: `pid_type.PIDTYPE_TGID`.
fn field(types: &KernelTypes, name: &str, kind: RelocKind) -> Result<Core> {
    let missing = match types.copy_field(name) {
        Ok((field, types)) => {
            if let Some(bits) = field.bits {
                let problem = if bits.size == 1 { "it is a bit" } else { "it is a bit-field" };
                return Err(BtfError::Path { path: name.into(), problem }.into());
            }
            let width = field.is_scalar().then_some(field.size);
            let (kind, value) = match kind {
                RelocKind::Size => (CoreKind::FieldSize, field.size.into()),
                RelocKind::Exists => (CoreKind::FieldExists, 1),
                _ => (CoreKind::FieldOffset, field.offset.into()),
            };
            return Ok(Core { kind, types, value, width });
        }
        Err(error) => error,
    };
    let no_struct =
        matches!(missing.btf(), Some(BtfError::NoType { .. } | BtfError::NoParts { .. }));
    match name.split_once('.').filter(|_| no_struct && kind != RelocKind::Size) {
        Some((of, value)) => match enumerator(types, Some(of), value, kind == RelocKind::Exists) {
            Err(error) if matches!(error.btf(), Some(BtfError::NoEnumerator { .. })) => Err(error),
            Err(_) => Err(missing),
            found => found,
        },
        None => Err(missing),
    }
}

fn enumerator(types: &KernelTypes, of: Option<&str>, name: &str, exists: bool) -> Result<Core> {
    let (value, types) = types.copy_enumerator(of, name)?;
    let (kind, value) = match exists {
        true => (CoreKind::EnumeratorExists, 1),
        false => (CoreKind::EnumeratorValue, value),
    };
    Ok(Core { kind, types, value, width: None })
}

impl Core {
    /// Puts the number of the kernel here into an instruction, as loaders of objects want it; the error is the problem.
    pub fn put(
        &self,
        reloc: &Reloc<'_>,
        slots: &mut [Insn],
        slot: usize,
    ) -> std::result::Result<(), String> {
        let insn = slots.get(slot).copied();
        let field = insn.and_then(|insn| number(insn, slots.get(slot + 1).copied()));
        if field.is_none_or(|(field, _)| field != reloc.field) {
            return Err(
                "CO-RE adjusts the offsets of loads and stores and the numbers of arithmetic"
                    .into(),
            );
        }
        put_number(slots, slot, reloc.field, self.value, self.width)
    }
}
