//! Comparison of what two objects say of one function or variable.

use crate::btf::{Body, Btf, BtfError, Kind, Member, Type};
use crate::object::names::shown;
use std::collections::HashSet;

/// The most types that are compared for all names together.
pub(super) const MOST: u32 = 1 << 24;

/// The most types that lie one within the other.
const DEPTH: u32 = 256;

/// A difference, as declarations in C.
#[derive(Debug)]
pub(super) struct Difference {
    /// What is declared, with a space behind it, if the name does not say.
    pub what: String,
    pub one: String,
    pub other: String,
}

/// A type of an object.
type Of<'b> = (&'b Btf, u32);

struct Comparison<'b, 'l> {
    one: &'b Btf,
    other: &'b Btf,
    /// The pairs that are being compared, or have been.
    seen: HashSet<(u32, u32, Option<u32>)>,
    left: &'l mut u32,
    depth: u32,
}

/// Returns the difference between two declarations; none if one can stand for the other. What cannot be compared is different.
/// `left` is the number of types that may still be compared.
pub(super) fn difference(
    one: Of<'_>,
    other: Of<'_>,
    is_map: bool,
    left: &mut u32,
) -> Option<Difference> {
    let text = |(btf, id): Of<'_>, name: &str| {
        let declaration = btf.declaration(id, name).unwrap_or_else(|_| format!("type {id}"));
        format!("`{}`", shown(&declaration))
    };
    let declared = |what: &str, one_text: String, other_text: String| {
        Some(Difference { what: what.into(), one: one_text, other: other_text })
    };
    let mut comparison =
        Comparison { one: one.0, other: other.0, seen: HashSet::new(), left, depth: DEPTH };
    let variables = (variable(one), variable(other));
    if let (true, (Some(first), Some(second))) = (is_map, variables)
        && let (Some(members), Some(others)) = (members((one.0, first)), members((other.0, second)))
    {
        // What a map is like is what the members point to, in any order.
        for member in &members {
            let found = others.iter().find(|other| other.name == member.name);
            let same = found.is_some_and(|found| {
                comparison.same(member.of, found.of, Some(1)).unwrap_or(false)
            });
            if !same {
                let second = found.map_or_else(
                    || format!("no `{}`", shown(member.name)),
                    |found| text((other.0, found.of), found.name),
                );
                return declared("map ", text((one.0, member.of), member.name), second);
            }
        }
        let more = others.iter().find(|other| members.iter().all(|own| own.name != other.name))?;
        return declared(
            "map ",
            format!("no `{}`", shown(more.name)),
            text((other.0, more.of), more.name),
        );
    }
    let same = comparison.same(one.1, other.1, Some(0)).unwrap_or(false);
    let whole = |of: Of<'_>| match of.0.get(of.1) {
        Ok(Type { name, body: Body::Variable { of: id, .. }, .. }) => text((of.0, id), name),
        Ok(Type { name, body: Body::Function { prototype, .. }, .. }) => {
            text((of.0, prototype), name)
        }
        _ => text(of, ""),
    };
    if same {
        return None;
    }
    let (mut first, mut second) = (whole(one), whole(other));
    // One name for two structs.
    if first == second {
        let size = |(btf, id): Of<'_>| variable((btf, id)).and_then(|of| btf.size(of, "").ok());
        match (size(one), size(other)) {
            (Some(own), Some(others)) if own != others => {
                first.push_str(&format!(", of {own} bytes"));
                second.push_str(&format!(", of {others} bytes"));
            }
            _ => second.push_str(", with other members"),
        }
    }
    declared("", first, second)
}

fn variable((btf, id): Of<'_>) -> Option<u32> {
    match btf.get(id).ok()?.body {
        Body::Variable { of, .. } => Some(of),
        _ => None,
    }
}

fn members<'b>((btf, id): Of<'b>) -> Option<Vec<Member<'b>>> {
    match btf.resolve(id).ok()?.body {
        Body::Composite { members, .. } => members.collect::<Result<_, _>>().ok(),
        _ => None,
    }
}

impl Comparison<'_, '_> {
    /// Whether types are the same to a program. A struct behind so many pointers has to have the same members; behind more of them
    /// (`None`) only the same name, because one object may know less of it.
    fn same(
        &mut self,
        one_id: u32,
        other_id: u32,
        pointers: Option<u32>,
    ) -> Result<bool, BtfError> {
        let endless = BtfError::Damaged { id: one_id, problem: "it takes too long to compare" };
        *self.left = self.left.checked_sub(1).ok_or(endless.clone())?;
        self.depth = self.depth.checked_sub(1).ok_or(endless)?;
        let same = self.same_one(one_id, other_id, pointers);
        self.depth += 1;
        same
    }

    fn same_one(
        &mut self,
        one_id: u32,
        other_id: u32,
        pointers: Option<u32>,
    ) -> Result<bool, BtfError> {
        let (one, other) = (self.one.resolve(one_id)?, self.other.resolve(other_id)?);
        if !self.seen.insert((one.id, other.id, pointers)) {
            return Ok(true);
        }
        Ok(match (one.body, other.body) {
            (Body::Void, Body::Void) => true,
            (
                Body::Int { size: one_size, signed: one_signed, .. },
                Body::Int { size, signed, .. },
            ) => one_size == size && one_signed == signed,
            (Body::Float { size: one_size }, Body::Float { size }) => one_size == size,
            (Body::Enum { size: one_size, .. }, Body::Enum { size, .. }) => {
                one_size == size && one.name == other.name
            }
            (Body::Forward { .. }, Body::Forward { .. } | Body::Composite { .. })
            | (Body::Composite { .. }, Body::Forward { .. }) => {
                one.name == other.name && is_union(&one) == is_union(&other)
            }
            (
                Body::Composite { size: one_size, members },
                Body::Composite { size, members: others },
            ) => {
                if one.name != other.name || one.kind != other.kind {
                    return Ok(false);
                }
                if pointers.is_none() {
                    return Ok(true);
                }
                if one_size != size || members.count() != others.count() {
                    return Ok(false);
                }
                for (member, other) in members.zip(others) {
                    let (member, other) = (member?, other?);
                    let place = |one: &Member<'_>| (one.bit_offset, one.bits);
                    if member.name != other.name
                        || place(&member) != place(&other)
                        || !self.same(member.of, other.of, pointers)?
                    {
                        return Ok(false);
                    }
                }
                true
            }
            (Body::Pointer(one), Body::Pointer(other)) => {
                self.same(one, other, pointers.and_then(|left| left.checked_sub(1)))?
            }
            (
                Body::Array { element, len: one_len, .. },
                Body::Array { element: other, len, .. },
            ) => {
                // `extern int numbers[];` does not say how many there are.
                (one_len == len || one_len == 0 || len == 0)
                    && self.same(element, other, pointers)?
            }
            (
                Body::Prototype { returns: one, parameters },
                Body::Prototype { returns: other, parameters: others },
            ) => {
                if parameters.count() != others.count() {
                    return Ok(false);
                }
                for (parameter, other) in parameters.zip(others) {
                    if !self.same(parameter?.of, other?.of, pointers)? {
                        return Ok(false);
                    }
                }
                self.same(one, other, pointers)?
            }
            (Body::Function { prototype: one, .. }, Body::Function { prototype: other, .. })
            | (Body::Variable { of: one, .. }, Body::Variable { of: other, .. }) => {
                self.same(one, other, pointers)?
            }
            _ => false,
        })
    }
}

fn is_union(of: &Type<'_>) -> bool {
    of.kind == Kind::Union || matches!(of.body, Body::Forward { union: true })
}
