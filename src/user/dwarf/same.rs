//! Whether types of several units are the same: each unit that includes a header has a copy of its types.

use super::types::{Member, Type};
use super::{Bytes, DebugInfo, Result, TypeId};
use gimli::Dwarf;
use std::collections::HashSet;

/// The most pairs of types, and of their members, that are compared for one file. Programs whose types all hang together have tens of thousands; a
/// damaged file could have any number.
const MOST_PAIRS: usize = 1 << 17;

/// Results of comparisons so far.
#[derive(Debug)]
pub(super) struct Compared {
    /// Pairs that are the same.
    same: HashSet<Pair>,
    /// The number of pairs that may still be compared.
    pub(super) left: usize,
}

type Pair = (TypeId, TypeId);

impl Default for Compared {
    fn default() -> Compared {
        Compared { same: HashSet::new(), left: MOST_PAIRS }
    }
}

impl Compared {
    /// Takes note that so many are being compared; whether they may be.
    fn spend(&mut self, pairs: usize) -> bool {
        let left = self.left.checked_sub(pairs);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

impl DebugInfo {
    /// Whether two types are the same: of the same names and kinds, with the same members, whose types are the same, too.
    /// Types that cannot be compared differ.
    ///
    /// One that is only declared is taken for another one of its name and scope, as compilers and linkers do.
    pub(crate) fn same(&self, one: TypeId, other: TypeId) -> bool {
        let dwarf = self.dwarf();
        let mut compared = self.compared.borrow_mut();
        // Those that were met are the same if all else is: types refer to themselves.
        let mut open = Open { met: HashSet::new(), pairs: vec![(Some(one), Some(other))] };
        while let Some(pair) = open.pairs.pop() {
            let (one, other) = pair;
            if !compared.spend(1) {
                return false;
            }
            if one == other {
                continue;
            }
            if let (Some(one), Some(other)) = (one, other)
                && !open.meets((one, other), &compared)
            {
                continue;
            }
            // Also not if something is damaged.
            if !self.alike(&dwarf, pair, &mut open, &mut compared).unwrap_or(false) {
                return false;
            }
        }
        compared.same.extend(open.met);
        true
    }

    /// Compares two types without those that they refer to, which are to be compared then.
    fn alike(
        &self,
        dwarf: &Dwarf<Bytes<'_>>,
        pair: (Option<TypeId>, Option<TypeId>),
        open: &mut Open,
        compared: &mut Compared,
    ) -> Result<bool> {
        Ok(match (self.resolve_with(dwarf, pair.0)?, self.resolve_with(dwarf, pair.1)?) {
            (Type::Pointer(one), Type::Pointer(other)) => {
                open.pairs.push((one, other));
                true
            }
            (
                Type::Array { of: one, lengths: ones, vector: first },
                Type::Array { of: other, lengths: others, vector: second },
            ) => {
                open.pairs.push((one, other));
                (ones, first) == (others, second)
            }
            (Type::Composite { id: one, .. }, Type::Composite { id: other, .. })
            | (Type::Enum { id: one, .. }, Type::Enum { id: other, .. })
                if one == other =>
            {
                true
            }
            (
                Type::Composite { id: one, name: ours, union, size, declared },
                Type::Composite { id: other, name, union: is_union, size: bytes, declared: only },
            ) => {
                if ours != name
                    || union != is_union
                    || self.scope_with(dwarf, one)? != self.scope_with(dwarf, other)?
                {
                    return Ok(false);
                }
                if declared || only {
                    return Ok(!name.is_empty());
                }
                if size != bytes {
                    return Ok(false);
                }
                // Behind typedefs.
                if pair != (Some(one), Some(other)) && !open.meets((one, other), compared) {
                    return Ok(true);
                }
                let (ones, others) =
                    (self.members_with(dwarf, one)?, self.members_with(dwarf, other)?);
                let place = |member: &Member| (member.name.clone(), member.bit_offset, member.bits);
                if !ones.iter().map(place).eq(others.iter().map(place)) {
                    return Ok(false);
                }
                if !compared.spend(ones.len()) {
                    return Ok(false);
                }
                // The first is compared first: it is on top.
                let pairs = ones.iter().zip(&others).rev().map(|(one, other)| (one.of, other.of));
                open.pairs.extend(pairs);
                true
            }
            (
                Type::Enum { id: one, name: ours, size, signed },
                Type::Enum { id: other, name, size: bytes, signed: is_signed },
            ) => {
                if (ours, size, signed) != (name, bytes, is_signed)
                    || self.scope_with(dwarf, one)? != self.scope_with(dwarf, other)?
                {
                    return Ok(false);
                }
                let (ones, others) = (self.enumerators(one)?, self.enumerators(other)?);
                compared.spend(ones.len()) && ones == others
            }
            (one, other) => one == other,
        })
    }
}

/// A comparison that is going on.
struct Open {
    /// The pairs that were met.
    met: HashSet<Pair>,
    /// The pairs that are still to be compared.
    pairs: Vec<(Option<TypeId>, Option<TypeId>)>,
}

impl Open {
    /// Takes note of a pair; whether it is still to be compared.
    fn meets(&mut self, pair: Pair, compared: &Compared) -> bool {
        !compared.same.contains(&pair) && self.met.insert(pair)
    }
}
