//! Comparison of a type of an object with one of the kernel, as libbpf compares them.

use super::wrong;
use crate::btf::{Body, Btf, BtfError, Kind, Type};
use std::cell::Cell;

/// The most types that lie one within the other.
const DEPTH: u32 = 32;

/// The most members and types that are compared for all relocations of a program together: no real one comes near.
const MOST: u32 = 1 << 26;

/// Returns the name without its flavour: `task_struct` of `task_struct___v2`.
pub(crate) fn essential_name(name: &str) -> &str {
    let bytes = name.as_bytes();
    let last = bytes.windows(5).rposition(|five| {
        matches!(five, [before, b'_', b'_', b'_', after] if *before != b'_' && *after != b'_')
    });
    // Between two ASCII bytes is a boundary; other bytes before the separator end a letter.
    last.and_then(|at| name.get(..=at)).unwrap_or(name)
}

/// Returns whether types of these kinds can stand for each other.
pub(in crate::btf) fn kinds_are_compatible(one: Kind, other: Kind) -> bool {
    let any_enum = |kind| matches!(kind, Kind::Enum | Kind::Enum64);
    one == other || any_enum(one) && any_enum(other)
}

fn names_match(local: &str, target: &str) -> bool {
    essential_name(local) == essential_name(target)
}

fn is_composite(kind: Kind) -> bool {
    matches!(kind, Kind::Struct | Kind::Union)
}

/// The size of an integer, and whether it is signed.
fn int(found: &Type<'_>) -> Option<(u32, bool, u32)> {
    match found.body {
        Body::Int { size, signed, offset, .. } => Some((size, signed, offset)),
        _ => None,
    }
}

/// A limit to the work of comparisons.
pub(crate) struct Budget(Cell<u32>);

impl Default for Budget {
    fn default() -> Budget {
        Budget(Cell::new(MOST))
    }
}

impl Budget {
    /// A smaller one.
    #[cfg(test)]
    pub(super) fn of(steps: u32) -> Budget {
        Budget(Cell::new(steps))
    }

    /// Counts one more type or member.
    pub fn spend(&self) -> Result<(), BtfError> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| wrong("its types take too long to compare"))?);
        Ok(())
    }

    /// Returns whether a field of one type can be read as one of the other.
    pub fn fields_are_compatible(
        &self,
        local: &Btf,
        local_id: u32,
        target: &Btf,
        target_id: u32,
    ) -> Result<bool, BtfError> {
        let (mut local_id, mut target_id) = (local_id, target_id);
        for _ in 0..DEPTH {
            self.spend()?;
            let (one, other) = (local.resolve(local_id)?, target.resolve(target_id)?);
            if is_composite(one.kind) && is_composite(other.kind) {
                return Ok(true);
            }
            if !kinds_are_compatible(one.kind, other.kind) {
                return Ok(false);
            }
            match (one.kind, one.body, other.body) {
                (Kind::Pointer | Kind::Float, ..) => return Ok(true),
                (Kind::Forward | Kind::Enum | Kind::Enum64, ..) => {
                    let unnamed = one.name.is_empty() || other.name.is_empty();
                    return Ok(unnamed || names_match(one.name, other.name));
                }
                (_, Body::Int { offset: one, .. }, Body::Int { offset: other, .. }) => {
                    return Ok(one == 0 && other == 0);
                }
                (_, Body::Array { element: one, .. }, Body::Array { element: other, .. }) => {
                    (local_id, target_id) = (one, other);
                }
                _ => return Ok(false),
            }
        }
        Err(wrong("its types lie too deep within others"))
    }

    /// Returns whether types are of the same kinds, with what they point to and take.
    pub fn types_are_compatible(
        &self,
        local: &Btf,
        local_id: u32,
        target: &Btf,
        target_id: u32,
    ) -> Result<bool, BtfError> {
        // Names and kinds of the declarations, which may be typedefs, have been compared.
        self.compatible((local, local_id), (target, target_id), DEPTH)
    }

    fn compatible(
        &self,
        (local, mut local_id): (&Btf, u32),
        (target, mut target_id): (&Btf, u32),
        depth: u32,
    ) -> Result<bool, BtfError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(wrong("its types lie too deep within others"));
        };
        for _ in 0..DEPTH {
            self.spend()?;
            let (one, other) = (local.resolve(local_id)?, target.resolve(target_id)?);
            if !kinds_are_compatible(one.kind, other.kind) {
                return Ok(false);
            }
            match (one.body, other.body) {
                (Body::Int { offset: one, .. }, Body::Int { offset: other, .. }) => {
                    return Ok(one == 0 && other == 0);
                }
                (Body::Pointer(one), Body::Pointer(other)) => (local_id, target_id) = (one, other),
                (Body::Array { element: one, .. }, Body::Array { element: other, .. }) => {
                    (local_id, target_id) = (one, other);
                }
                (
                    Body::Prototype { returns: one, parameters: ones },
                    Body::Prototype { returns: other, parameters: others },
                ) => {
                    if ones.count() != others.count() {
                        return Ok(false);
                    }
                    for (one, other) in ones.zip(others) {
                        let (one, other) = ((local, one?.of), (target, other?.of));
                        if !self.compatible(one, other, depth)? {
                            return Ok(false);
                        }
                    }
                    (local_id, target_id) = (one, other);
                }
                (
                    Body::Void | Body::Composite { .. } | Body::Enum { .. } | Body::Forward { .. },
                    _,
                ) => return Ok(true),
                _ => return Ok(false),
            }
        }
        Err(wrong("its types lie too deep within others"))
    }

    /// Returns whether the kernel's type has all that the object's type is made of, by name, kind and size.
    pub fn types_match(
        &self,
        local: &Btf,
        local_id: u32,
        target: &Btf,
        target_id: u32,
    ) -> Result<bool, BtfError> {
        self.matches((local, local_id), (target, target_id), false, DEPTH)
    }

    fn matches(
        &self,
        (local, mut local_id): (&Btf, u32),
        (target, mut target_id): (&Btf, u32),
        mut behind_pointer: bool,
        depth: u32,
    ) -> Result<bool, BtfError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(wrong("its types lie too deep within others"));
        };
        for _ in 0..DEPTH {
            self.spend()?;
            let (one, other) = (local.resolve(local_id)?, target.resolve(target_id)?);
            if !names_match(one.name, other.name) {
                return Ok(false);
            }
            match (one.body, other.body) {
                (Body::Void, Body::Void) => return Ok(true),
                (Body::Forward { union: one }, Body::Forward { union: other }) => {
                    return Ok(one == other);
                }
                // Behind a pointer a declaration stands for the struct or union.
                (Body::Forward { union }, Body::Composite { .. }) => {
                    return Ok(behind_pointer && union == (other.kind == Kind::Union));
                }
                (Body::Composite { .. }, Body::Forward { union }) => {
                    return Ok(behind_pointer && union == (one.kind == Kind::Union));
                }
                (
                    Body::Enum { size: local_size, values, .. },
                    Body::Enum { size, values: others, .. },
                ) => {
                    if local_size != size || values.count() > others.count() {
                        return Ok(false);
                    }
                    for value in values {
                        let name = value?.name;
                        let mut found = false;
                        for other in others {
                            self.spend()?;
                            found = names_match(name, other?.name);
                            if found {
                                break;
                            }
                        }
                        if !found {
                            return Ok(false);
                        }
                    }
                    return Ok(true);
                }
                (Body::Composite { members, .. }, Body::Composite { members: others, .. }) => {
                    if one.kind != other.kind {
                        return Ok(false);
                    }
                    if behind_pointer {
                        return Ok(true);
                    }
                    if members.count() > others.count() {
                        return Ok(false);
                    }
                    for member in members {
                        let member = member?;
                        let mut found = false;
                        for other in others {
                            self.spend()?;
                            let other = other?;
                            let (one, of) = ((local, member.of), (target, other.of));
                            found = names_match(member.name, other.name)
                                && self.matches(one, of, behind_pointer, depth)?;
                            if found {
                                break;
                            }
                        }
                        if !found {
                            return Ok(false);
                        }
                    }
                    return Ok(true);
                }
                (Body::Int { .. }, Body::Int { .. }) => {
                    let known = |found| int(found).map(|(size, signed, _)| (size, signed));
                    return Ok(known(&one) == known(&other));
                }
                (Body::Pointer(one), Body::Pointer(other)) => {
                    behind_pointer = true;
                    (local_id, target_id) = (one, other);
                }
                (
                    Body::Array { element: one, len: local_len, .. },
                    Body::Array { element: other, len, .. },
                ) => {
                    if local_len != len {
                        return Ok(false);
                    }
                    (local_id, target_id) = (one, other);
                }
                (
                    Body::Prototype { returns: one, parameters: ones },
                    Body::Prototype { returns: other, parameters: others },
                ) => {
                    if ones.count() != others.count() {
                        return Ok(false);
                    }
                    for (one, other) in ones.zip(others) {
                        let (one, other) = ((local, one?.of), (target, other?.of));
                        if !self.matches(one, other, behind_pointer, depth)? {
                            return Ok(false);
                        }
                    }
                    (local_id, target_id) = (one, other);
                }
                _ => return Ok(false),
            }
        }
        Err(wrong("its types lie too deep within others"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flavour_is_what_follows_the_last_three_underscores() {
        for (name, essential) in [
            ("task_struct", "task_struct"),
            ("task_struct___v2", "task_struct"),
            ("a___b___c", "a___b"),
            ("a____b", "a____b"),
            ("___a", "___a"),
            ("a___", "a___"),
            ("a___b", "a"),
            ("", ""),
        ] {
            assert_eq!(essential_name(name), essential, "{name}");
        }
    }
}
