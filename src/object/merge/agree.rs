//! Comparison of what two objects say of one function or variable.

use crate::btf::{Body, Btf, BtfError, Kind, Member, Type};
use crate::object::names::shown;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display, Formatter};

/// The most types that are compared for all names together.
pub(super) const MOST: u32 = 1 << 24;

/// The most types that lie one within the other.
const DEPTH: u32 = 256;

/// A difference, as declarations in C.
#[derive(Debug)]
pub(super) struct Difference {
    /// The kind of thing that is declared, with a space behind it, if the name does not say.
    pub what: String,
    pub one: String,
    pub other: String,
}

/// The reasons why it is not known whether types are the same.
#[derive(Debug)]
pub(super) enum Incomparable {
    /// No more types may be compared.
    Limit,
    /// Too many lie one within the other.
    Depth,
    Damaged(BtfError),
}

impl From<BtfError> for Incomparable {
    fn from(error: BtfError) -> Incomparable {
        Incomparable::Damaged(error)
    }
}

impl Display for Incomparable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Incomparable::Limit => f.write_str("it takes too long to compare"),
            Incomparable::Depth => write!(f, "more than {DEPTH} lie one within the other"),
            Incomparable::Damaged(error) => write!(f, "{error}"),
        }
    }
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

/// Returns the difference between two declarations; none if one can stand for the other. `left` is the number of types that may still be compared.
pub(super) fn difference(
    one: Of<'_>,
    other: Of<'_>,
    is_map: bool,
    left: &mut u32,
) -> Result<Option<Difference>, Incomparable> {
    let text = |(btf, id): Of<'_>, name: &str| {
        let declaration = btf.declaration(id, name).unwrap_or_else(|_| format!("type {id}"));
        format!("`{}`", shown(&declaration))
    };
    let declared = |what: &str, one_text: String, other_text: String| {
        Ok(Some(Difference { what: what.into(), one: one_text, other: other_text }))
    };
    let mut comparison =
        Comparison { one: one.0, other: other.0, seen: HashSet::new(), left, depth: DEPTH };
    let variables = (variable(one), variable(other));
    if let (true, (Some(first), Some(second))) = (is_map, variables)
        && let (Some(members), Some(others)) = (members((one.0, first)), members((other.0, second)))
    {
        comparison.spend(members.len() + others.len())?;
        // What a map is like is what the members point to, in any order.
        let (by_name, own) = (by_name(&others), by_name(&members));
        for member in &members {
            let Some(found) = by_name.get(member.name) else {
                let second = format!("no `{}`", shown(member.name));
                return declared("map ", text((one.0, member.of), member.name), second);
            };
            if !comparison.same(member.of, found.of, Some(1))? {
                let second = text((other.0, found.of), found.name);
                return declared("map ", text((one.0, member.of), member.name), second);
            }
        }
        let Some(more) = others.iter().find(|other| !own.contains_key(other.name)) else {
            return Ok(None);
        };
        return declared(
            "map ",
            format!("no `{}`", shown(more.name)),
            text((other.0, more.of), more.name),
        );
    }
    let same = comparison.same(one.1, other.1, Some(0))?;
    let whole = |of: Of<'_>| match of.0.get(of.1) {
        Ok(Type { name, body: Body::Variable { of: id, .. }, .. }) => text((of.0, id), name),
        Ok(Type { name, body: Body::Function { prototype, .. }, .. }) => {
            text((of.0, prototype), name)
        }
        _ => text(of, ""),
    };
    if same {
        return Ok(None);
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

/// The members by their names: the first of each.
fn by_name<'m, 'b>(members: &'m [Member<'b>]) -> HashMap<&'b str, &'m Member<'b>> {
    let mut found = HashMap::with_capacity(members.len());
    for member in members {
        found.entry(member.name).or_insert(member);
    }
    found
}

impl Comparison<'_, '_> {
    /// Counts types that are compared.
    fn spend(&mut self, count: usize) -> Result<(), Incomparable> {
        let left = u32::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        // Smaller ones are not tried when there are no more.
        *self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Incomparable::Limit)
    }

    /// Whether types are the same to a program. A struct behind so many pointers has to have the same members; behind more of them
    /// (`None`) only the same name, because one object may know less of it.
    fn same(
        &mut self,
        one_id: u32,
        other_id: u32,
        pointers: Option<u32>,
    ) -> Result<bool, Incomparable> {
        self.spend(1)?;
        self.depth = self.depth.checked_sub(1).ok_or(Incomparable::Depth)?;
        let same = self.same_one(one_id, other_id, pointers);
        self.depth += 1;
        same
    }

    fn same_one(
        &mut self,
        one_id: u32,
        other_id: u32,
        pointers: Option<u32>,
    ) -> Result<bool, Incomparable> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Builder;

    /// A map with so many members that point to integers, in this order; and the number of its variable.
    fn map(count: u32, reversed: bool) -> (Btf, u32) {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let of = builder.pointer(int);
        let mut names: Vec<_> = (0..count).map(|index| format!("member{index}")).collect();
        if reversed {
            names.reverse();
        }
        let members: Vec<_> = names
            .iter()
            .zip(0..)
            .map(|(name, at): (_, u32)| Member { name, of, bit_offset: 64 * at, bits: None })
            .collect();
        let map = builder.composite("", false, 8 * count, &members);
        let id = builder.variable("m", map);
        (Btf::new(builder.finish().unwrap()).unwrap(), id)
    }

    /// The first name of one is the last of the other: there are 2^25 pairs of names to look at one by one.
    #[test]
    fn members_of_maps_are_found_by_their_names() {
        let count = 0x2000;
        let ((one, first), (other, second)) = (map(count, false), map(count, true));
        // All members of both, and what they point to.
        let mut left = 2 * count + 2 * count;
        let found = difference((&one, first), (&other, second), true, &mut left).unwrap();
        assert!(found.is_none(), "{found:?}");
        let (fewer, third) = map(count - 1, true);
        let find = |one, other| difference(one, other, true, &mut MOST.clone()).unwrap().unwrap();
        let found = find((&one, first), (&fewer, third));
        assert_eq!((&*found.one, &*found.other), ("`int *member8191`", "no `member8191`"));
        let found = find((&fewer, third), (&one, first));
        assert_eq!((&*found.one, &*found.other), ("no `member8191`", "`int *member8191`"));
    }

    #[test]
    fn what_is_not_compared_is_no_difference() {
        let ((one, first), (other, second)) = (map(9, false), map(9, true));
        for is_map in [false, true] {
            let mut left = 2;
            let found = difference((&one, first), (&other, second), is_map, &mut left);
            // Without names of members in any order, the second ones differ.
            match found {
                Err(Incomparable::Limit) => assert_eq!(left, 0),
                other => assert!(!is_map && matches!(other, Ok(Some(_))), "{other:?}"),
            }
        }
        let nested = || {
            let mut builder = Builder::new();
            let mut of = builder.int("int", 4, true);
            for _ in 0..DEPTH {
                of = builder.pointer(of);
            }
            let id = builder.variable("deep", of);
            (Btf::new(builder.finish().unwrap()).unwrap(), id)
        };
        let ((one, first), (other, second)) = (nested(), nested());
        let found = difference((&one, first), (&other, second), false, &mut MOST.clone());
        assert!(matches!(found, Err(Incomparable::Depth)), "{found:?}");
    }
}
