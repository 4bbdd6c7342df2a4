//! Bytes of a map by the names that its BTF has for them.

use super::exec::hex;
use crate::btf::{Body, Btf, Kind};
use crate::map::MapInfo;
use crate::program::read_btf;
use crate::syscall::{Numbered, fd_by_id};
use serde_json::{Map as Object, Value};
use std::os::fd::AsFd;

/// The types of a map.
pub(super) struct Types {
    btf: Btf,
    key: u32,
    value: u32,
}

impl Types {
    /// The types that the map was created with; `None` if there are none that can be read.
    pub(super) fn of(info: &MapInfo) -> Option<Types> {
        if info.btf_id == 0 {
            return None;
        }
        let fd = fd_by_id(Numbered::Btf, info.btf_id, 0).ok()?;
        let btf = Btf::new(read_btf(fd.as_fd()).ok()??).ok()?;
        Some(Types { btf, key: info.key_type, value: info.value_type })
    }

    pub(super) fn key(&self, bytes: &[u8]) -> Value {
        value(&self.btf, self.key, bytes, 0)
    }

    pub(super) fn value(&self, bytes: &[u8]) -> Value {
        value(&self.btf, self.value, bytes, 0)
    }
}

/// No type of a program is nested deeper.
const DEPTH: u32 = 32;

/// The bytes of a type: numbers, arrays and objects; in hexadecimal what is none of these.
fn value(btf: &Btf, id: u32, bytes: &[u8], depth: u32) -> Value {
    let plain = || hex(bytes, " ").into();
    let Some(found) = btf.resolve(id).ok().filter(|_| depth < DEPTH) else { return plain() };
    match found.body {
        Body::Int { size, signed, boolean, offset: 0, bits } if bits == size * 8 => {
            match bits_of(bytes, 0, bits) {
                Some(number) if boolean && number < 2 => (number == 1).into(),
                Some(number) => integer(number, bits, signed),
                None => plain(),
            }
        }
        Body::Enum { size, values, .. } => match bits_of(bytes, 0, size * 8) {
            Some(number) => {
                // Negative values can be written in both ways.
                let same = |value: i128| {
                    value == i128::from(number) || value == i128::from(extended(number, size * 8))
                };
                let mut values = values.filter_map(|one| one.ok());
                match values.find(|one| same(one.value)) {
                    Some(named) => named.name.into(),
                    None => number.into(),
                }
            }
            None => plain(),
        },
        Body::Array { element, .. } if letters(btf, element, bytes).is_some() => {
            letters(btf, element, bytes).into()
        }
        Body::Array { element, len, .. } => {
            // An element is as long as its part of what there is.
            let Some(size) = bytes.len().checked_div(len as usize).filter(|size| *size > 0) else {
                return plain();
            };
            let elements = bytes.chunks_exact(size).take(len as usize);
            elements.map(|bytes| value(btf, element, bytes, depth + 1)).collect()
        }
        Body::Composite { members, .. } => {
            let mut object = Object::new();
            for member in members.filter_map(|member| member.ok()) {
                let shown = match member.bits {
                    Some(bits) => bits_of(bytes, member.bit_offset, bits).map(Value::from),
                    None => bytes.get(member.bit_offset as usize / 8..).and_then(|rest| {
                        let size = btf.size(member.of, member.name).ok()? as usize;
                        Some(value(btf, member.of, rest.get(..size)?, depth + 1))
                    }),
                };
                let shown = shown.unwrap_or(Value::Null);
                match (member.name, shown) {
                    // The members of an anonymous struct or union belong to the one that it is in.
                    ("", Value::Object(inner)) => object.extend(inner),
                    (name, shown) => {
                        object.insert(name.into(), shown);
                    }
                }
            }
            object.into()
        }
        Body::Section { variables, .. } => {
            let mut object = Object::new();
            for variable in variables {
                let start = variable.offset as usize;
                let part = bytes.get(start..start.saturating_add(variable.size as usize));
                let (Some(part), Ok(named)) = (part, btf.get(variable.of)) else { continue };
                if let Body::Variable { of, .. } = named.body {
                    object.insert(named.name.into(), value(btf, of, part, depth + 1));
                }
            }
            object.into()
        }
        Body::Pointer(_) => match bits_of(bytes, 0, 64) {
            Some(address) => format!("{address:#x}").into(),
            None => plain(),
        },
        _ if found.kind == Kind::Void => Value::Null,
        _ => plain(),
    }
}

/// Letters up to a NUL, and nothing but zeros from there on; `None` if they are something else.
fn letters<'b>(btf: &Btf, element: u32, bytes: &'b [u8]) -> Option<&'b str> {
    btf.resolve(element).ok().filter(|of| of.kind == Kind::Int && of.name == "char")?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    let text = std::str::from_utf8(text).ok()?;
    (rest.iter().all(|byte| *byte == 0) && !text.contains(|c: char| c.is_control())).then_some(text)
}

/// Some bits as a number, counted from the low end of the first byte, or on big machines from its high end.
fn bits_of(bytes: &[u8], offset: u32, bits: u32) -> Option<u64> {
    let (start, shift) = (offset as usize / 8, offset % 8);
    let end = start + (shift + bits).div_ceil(8) as usize;
    let part = bytes.get(start..end).filter(|part| bits > 0 && bits <= 64 && part.len() <= 16)?;
    let byte = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    let number = if cfg!(target_endian = "little") {
        part.iter().rev().fold(0, byte) >> shift
    } else {
        part.iter().fold(0, byte) >> (part.len() as u32 * 8 - shift - bits)
    };
    u64::try_from(number & ((1 << bits) - 1)).ok()
}

fn extended(number: u64, bits: u32) -> i64 {
    let unused = 64u32.saturating_sub(bits).min(63);
    (number << unused).cast_signed() >> unused
}

fn integer(number: u64, bits: u32, signed: bool) -> Value {
    if signed { extended(number, bits).into() } else { number.into() }
}
