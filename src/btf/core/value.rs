//! Properties of a field, type or enumerator, in the types of the object or of the kernel.

use super::{Access, Resize, Step, wrong};
use crate::btf::{Body, BtfError, Kind};
use crate::spec::CoreKind;

/// The most arrays that lie one within the other.
const DEPTH: usize = 32;

/// A property, as one BTF has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property {
    pub value: u64,
    /// Whether the instruction must hold the value that the object's own types give.
    pub checked: bool,
    /// Whether it is the value of an enumerator of 32 bits.
    pub narrow: bool,
    /// Of the offset of a field that a load can fetch: its size, and what the load may be changed to.
    load: Option<(u32, Scalar)>,
}

/// A type with respect to the size of loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Pointer,
    /// An integer whose upper bits are 0 in a larger one.
    Unsigned,
    Other,
}

/// A field, and the integer that a bit-field lies in.
struct Place {
    bit_offset: u64,
    bits: u32,
    byte_offset: u64,
    byte_size: u32,
    bit_field: bool,
    of: u32,
    signed: bool,
}

impl Property {
    pub fn plain(value: u64) -> Property {
        Property { value, checked: true, narrow: false, load: None }
    }

    /// Computes it; of no access, which the kernel does not have, `None` if only an existing one has it.
    pub fn of(kind: CoreKind, access: Option<&Access<'_>>) -> Result<Option<Property>, BtfError> {
        let Some(access) = access else {
            return Ok(match kind {
                CoreKind::FieldExists
                | CoreKind::EnumeratorExists
                | CoreKind::TargetTypeId
                | CoreKind::TypeExists
                | CoreKind::TypeSize
                | CoreKind::TypeMatches => Some(Property::plain(0)),
                _ => None,
            });
        };
        Ok(Some(match kind {
            CoreKind::FieldExists
            | CoreKind::EnumeratorExists
            | CoreKind::TypeExists
            | CoreKind::TypeMatches => Property::plain(1),
            // Linkers renumber types and leave instructions as they are.
            CoreKind::TargetTypeId | CoreKind::LocalTypeId => {
                Property { checked: false, ..Property::plain(access.root.into()) }
            }
            CoreKind::TypeSize => {
                Property::plain(access.btf.size(access.root, "a type of an object")?.into())
            }
            CoreKind::EnumeratorValue => enumerator(access)?,
            _ => field(kind, access)?,
        }))
    }

    /// The change of a load from this size to that in the kernel.
    pub fn resize(&self, after: &Property) -> Resize {
        let (Some((from, one)), Some((to, other))) = (self.load, after.load) else {
            return match (self.load, after.load) {
                (None, None) => Resize::Keep,
                // A bit-field became a field, or the other way round: a load of it reads something else.
                (from, to) => Resize::Wrong {
                    from: from.map_or(0, |(size, _)| size),
                    to: to.map_or(0, |(size, _)| size),
                },
            };
        };
        match (from == to, one == other && one != Scalar::Other) {
            (true, _) => Resize::Keep,
            (false, true) => Resize::Change { from, to },
            (false, false) => Resize::Wrong { from, to },
        }
    }
}

fn damaged() -> BtfError {
    wrong("its access leads to nothing")
}

fn enumerator(access: &Access<'_>) -> Result<Property, BtfError> {
    let Some(Step { of, index, .. }) = access.steps.first().copied() else { return Err(damaged()) };
    let found = access.btf.get(of)?;
    let Body::Enum { mut values, .. } = found.body else { return Err(damaged()) };
    let value = values.nth(index as usize).ok_or_else(damaged)??.value;
    Ok(of_enumerator(found.kind, value))
}

/// Returns the value of an enumerator of an enumeration of this kind.
pub(super) fn of_enumerator(kind: Kind, value: i128) -> Property {
    let narrow = kind == Kind::Enum;
    // 32 bits appear with a sign to all that do not say otherwise.
    let value = if narrow { i64::from(value as i32).cast_unsigned() } else { value as u64 };
    Property { narrow, ..Property::plain(value) }
}

fn field(kind: CoreKind, access: &Access<'_>) -> Result<Property, BtfError> {
    let Some(step) = access.steps.last() else { return Err(damaged()) };
    if step.name.is_none() {
        let size = access.btf.size(step.of, "an element of an array")?;
        return match kind {
            CoreKind::FieldOffset => Ok(Property {
                load: Some(load(access, step.of)?),
                ..Property::plain(access.bit_offset / 8)
            }),
            CoreKind::FieldSize => Ok(Property::plain(size.into())),
            _ => Err(wrong("elements of arrays have neither sign nor shifts")),
        };
    }
    let place = place(access, step)?;
    let checked = !place.bit_field;
    Ok(match kind {
        CoreKind::FieldOffset => {
            let load = match place.bit_field {
                true => None,
                false => Some(load(access, place.of)?),
            };
            Property { checked, load, ..Property::plain(place.byte_offset) }
        }
        CoreKind::FieldSize => Property { checked, ..Property::plain(place.byte_size.into()) },
        CoreKind::FieldSigned => Property::plain(place.signed.into()),
        CoreKind::LeftShift => {
            let before = place.bit_offset - place.byte_offset * 8;
            let used = before + u64::from(place.bits);
            let shift = if cfg!(target_endian = "little") {
                64_u64.checked_sub(used)
            } else {
                (8_u64.checked_sub(place.byte_size.into())).map(|bytes| bytes * 8 + before)
            };
            let shift = shift.ok_or_else(|| wrong("a field is larger than 64 bits"))?;
            Property { checked, ..Property::plain(shift) }
        }
        _ => {
            let shift = 64_u32.checked_sub(place.bits);
            let shift = shift.ok_or_else(|| wrong("a field is larger than 64 bits"))?;
            Property::plain(shift.into())
        }
    })
}

fn place(access: &Access<'_>, step: &Step<'_>) -> Result<Place, BtfError> {
    let btf = access.btf;
    let Body::Composite { mut members, .. } = btf.get(step.of)?.body else {
        return Err(damaged());
    };
    let member = members.nth(step.index as usize).ok_or_else(damaged)??;
    let of = btf.resolve(member.of)?;
    let signed = match of.body {
        Body::Int { signed, .. } | Body::Enum { signed, .. } => signed,
        _ => false,
    };
    let size = btf.size(of.id, "a field")?;
    let bit_offset = access.bit_offset;
    let Some(bits) = member.bits else {
        // Sizes are compared with 64 before a shift is taken.
        let bits = size.saturating_mul(8);
        let byte_offset = bit_offset / 8;
        let (byte_size, bit_field, of) = (size, false, of.id);
        return Ok(Place { bit_offset, bits, byte_offset, byte_size, bit_field, of, signed });
    };
    let mut byte_size = size.max(1);
    loop {
        let byte_offset = bit_offset / 8 / u64::from(byte_size) * u64::from(byte_size);
        if bit_offset + u64::from(bits) <= (byte_offset + u64::from(byte_size)) * 8 {
            let (bit_field, of) = (true, of.id);
            return Ok(Place { bit_offset, bits, byte_offset, byte_size, bit_field, of, signed });
        }
        if byte_size >= 8 {
            return Err(wrong("a bit-field of it lies across more than 64 bits"));
        }
        byte_size *= 2;
    }
}

/// Returns the size of a load from a field of this type, and what the load may be changed to. Of an array, it is an element that is loaded.
fn load(access: &Access<'_>, of: u32) -> Result<(u32, Scalar), BtfError> {
    let mut within = access.btf.resolve(of)?;
    let scalar = match within.body {
        Body::Pointer(_) => Scalar::Pointer,
        Body::Int { signed: false, .. } => Scalar::Unsigned,
        _ => Scalar::Other,
    };
    for _ in 0..DEPTH {
        let Body::Array { element, .. } = within.body else {
            return Ok((access.btf.size(within.id, "a field")?, scalar));
        };
        within = access.btf.resolve(element)?;
    }
    Err(wrong("its arrays lie too deep within others"))
}
