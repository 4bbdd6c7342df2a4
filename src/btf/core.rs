//! CO-RE relocations, resolved: a type of an object is found in the kernel, and its property there is computed.
//!
//! The rules are those of libbpf: types match by name without a flavour (`NAME___FLAVOUR`) and by kind, fields by name and
//! a compatible type, at any depth of anonymous members. If several types of the kernel match, all must agree.

mod compat;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use self::compat::Budget;
pub(crate) use self::compat::essential_name;
pub(super) use self::compat::kinds_are_compatible;
use self::value::Property;
use super::{Body, Btf, BtfError, KernelTypes, Kind, Type};
use crate::error::Result;
use crate::spec::{CoreKind, CoreReloc};

/// The most steps of an access, as in libbpf (`BPF_CORE_SPEC_MAX_LEN`).
const STEPS: usize = 64;

/// The result of a CO-RE relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CoreValue {
    /// The number that belongs into the instruction.
    Number {
        /// The number.
        value: u64,
        /// Whether a load or store of the field has another size in the kernel.
        resize: Resize,
    },
    /// The kernel does not have it: the instruction must not be reached.
    Missing,
}

/// The change of the size of a load or store of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// None.
    Keep,
    /// From one number of bytes to another.
    Change { from: u32, to: u32 },
    /// The sizes differ, and the value would be another if the instruction was changed.
    Wrong { from: u32, to: u32 },
}

/// A step of an access: a named member, an enumerator, or an element of an array.
#[derive(Debug, Clone, Copy)]
struct Step<'b> {
    /// The type that has the member or element.
    of: u32,
    index: u32,
    /// `None` of an element.
    name: Option<&'b str>,
}

/// An access, in the types of the object or of the kernel.
#[derive(Debug, Clone)]
struct Access<'b> {
    btf: &'b Btf,
    root: u32,
    steps: Vec<Step<'b>>,
    bit_offset: u64,
}

/// Resolves a relocation of an object with these types.
///
/// # Errors
/// [`Error::Btf`](crate::Error::Btf) if the record is damaged, the instruction is not the one that it describes, or types of
/// the kernel match that do not agree; else as [`KernelTypes::vmlinux`].
pub(crate) fn resolve(
    local: &Btf,
    kernel: &KernelTypes,
    reloc: &CoreReloc,
    budget: &Budget,
) -> Result<CoreValue> {
    let kind = reloc.kind;
    let access = Access::parse(local, reloc)?;
    if kind == CoreKind::LocalTypeId {
        return Ok(CoreValue::Number { value: access.root.into(), resize: Resize::Keep });
    }
    let before = Property::of(kind, Some(&access))?;
    let named = local.get(access.root)?;
    let mut found: Option<(u64, Option<Property>)> = None;
    if named.name.is_empty() {
        return anonymous(kernel, reloc, &access, before);
    }
    for (btf, id) in kernel.candidates(essential_name(named.name), named.kind)? {
        let Some(target) = access.find_in(btf, id, kind, budget)? else { continue };
        let property = Property::of(kind, Some(&target))?;
        match &found {
            None => found = Some((target.bit_offset, property)),
            Some((bit_offset, first)) => {
                let value = |property: &Option<Property>| property.map(|property| property.value);
                if *bit_offset != target.bit_offset || value(first) != value(&property) {
                    return Err(BtfError::Ambiguous { name: reloc.name.to_string() }.into());
                }
            }
        }
    }
    let after = match found {
        Some((_, property)) => property,
        None => Property::of(kind, None)?,
    };
    finish(reloc, before, after)
}

/// Returns whether a type of an object is one of the kernel's, by kinds and what they point to and take.
pub(crate) fn types_are_compatible(
    local: &Btf,
    local_id: u32,
    kernel: &Btf,
    id: u32,
    budget: &Budget,
) -> Result<bool, BtfError> {
    budget.types_are_compatible(local, local_id, kernel, id)
}

/// Resolves an enumerator of an enumeration without a name, which stands for that of any enumeration.
fn anonymous(
    kernel: &KernelTypes,
    reloc: &CoreReloc,
    access: &Access<'_>,
    before: Option<Property>,
) -> Result<CoreValue> {
    let name = access.steps.first().and_then(|step| step.name);
    let (true, Some(name)) = (reloc.kind.is_enumerator(), name) else {
        return Err(wrong("its type has no name to look it up by").into());
    };
    let wanted = essential_name(name);
    let found = match kernel.find(|btf| btf.look_up_enumerator_and_type(wanted)) {
        Ok(((id, value), place)) => Some(value::of_enumerator(place.btf.get(id)?.kind, value)),
        Err(error) if error.btf().is_some_and(BtfError::is_not_found) => None,
        Err(error) => return Err(error),
    };
    let after = match (reloc.kind, found) {
        (CoreKind::EnumeratorExists, found) => Some(Property::plain(found.is_some().into())),
        (_, found) => found,
    };
    finish(reloc, before, after)
}

/// Compares the number in the instruction with that of the object's types, and returns the new one.
fn finish(
    reloc: &CoreReloc,
    before: Option<Property>,
    after: Option<Property>,
) -> Result<CoreValue> {
    let Some(before) = before else { return Err(wrong("its kind has no value").into()) };
    let Some(after) = after else { return Ok(CoreValue::Missing) };
    // A 64-bit load holds an unsigned enumerator of 32 bits without a sign.
    let low = |value: u64| u64::from(value as u32);
    let negative = before.value != low(before.value);
    let unsigned = before.narrow && negative && reloc.original == low(before.value);
    if before.checked && !unsigned && reloc.original != before.value {
        let problem = "the instruction does not hold the number of the object's own types";
        return Err(wrong(problem).into());
    }
    let value = if unsigned && after.narrow { low(after.value) } else { after.value };
    Ok(CoreValue::Number { value, resize: before.resize(&after) })
}

fn wrong(problem: &'static str) -> BtfError {
    BtfError::Core { problem }
}

impl<'b> Access<'b> {
    /// Reads the access of a relocation in the object's own types.
    fn parse(btf: &'b Btf, reloc: &CoreReloc) -> Result<Access<'b>, BtfError> {
        let damaged = || wrong("its access leads to nothing in the object's types");
        let indices = reloc.access.split(':').take(STEPS + 1).map(|index| index.parse().ok());
        let indices: Vec<u32> = indices.collect::<Option<_>>().ok_or_else(damaged)?;
        let Some((first, rest)) = indices.split_first().filter(|_| indices.len() <= STEPS) else {
            return Err(damaged());
        };
        let mut access = Access { btf, root: reloc.type_id, steps: Vec::new(), bit_offset: 0 };
        if btf.get(reloc.type_id)?.kind == Kind::Void {
            return Err(damaged());
        }
        let mut within = btf.resolve(reloc.type_id)?;
        if reloc.kind.is_enumerator() {
            let Body::Enum { mut values, .. } = within.body else { return Err(damaged()) };
            let value = values.nth(*first as usize).filter(|_| rest.is_empty());
            let name = value.ok_or_else(damaged)??.name;
            access.steps.push(Step { of: within.id, index: *first, name: Some(name) });
            return Ok(access);
        }
        if !reloc.kind.is_field() {
            return if indices == [0] { Ok(access) } else { Err(damaged()) };
        }
        access.element(within.id, *first, within.id)?;
        for index in rest {
            within = match within.body {
                Body::Composite { mut members, .. } => {
                    let member = members.nth(*index as usize).ok_or_else(damaged)??;
                    access.add_bits(member.bit_offset.into())?;
                    if !member.name.is_empty() {
                        let (of, name) = (within.id, Some(member.name));
                        access.steps.push(Step { of, index: *index, name });
                    }
                    btf.resolve(member.of)?
                }
                Body::Array { element, len, .. } => {
                    if *index >= len && !access.ends_open(len)? {
                        return Err(damaged());
                    }
                    let element = btf.resolve(element)?;
                    access.element(element.id, *index, element.id)?;
                    element
                }
                _ => return Err(damaged()),
            };
        }
        Ok(access)
    }

    /// Adds a step to an element of an array of this type.
    fn element(&mut self, of: u32, index: u32, element: u32) -> Result<(), BtfError> {
        self.steps.push(Step { of, index, name: None });
        if index == 0 {
            return Ok(());
        }
        let size = self.btf.size(element, "an element of an array")?;
        self.add_bits(u64::from(size) * u64::from(index) * 8)
    }

    fn add_bits(&mut self, bits: u64) -> Result<(), BtfError> {
        let sum = self.bit_offset.checked_add(bits).filter(|sum| *sum <= u32::MAX.into());
        self.bit_offset = sum.ok_or_else(|| wrong("a field lies beyond 512 MiB"))?;
        Ok(())
    }

    /// Whether an array of this length that the last step leads to is the open end of its struct.
    fn ends_open(&self, len: u32) -> Result<bool, BtfError> {
        let Some(Step { of, index, name: Some(_) }) = self.steps.last().copied() else {
            return Ok(false);
        };
        let Body::Composite { members, .. } = self.btf.get(of)?.body else { return Ok(false) };
        Ok(len == 0 && members.count() == index as usize + 1)
    }

    /// Finds the same in a type of the kernel; `None` if that does not have it.
    fn find_in<'k>(
        &self,
        btf: &'k Btf,
        id: u32,
        kind: CoreKind,
        budget: &Budget,
    ) -> Result<Option<Access<'k>>, BtfError> {
        let mut target = Access { btf, root: id, steps: Vec::new(), bit_offset: 0 };
        if kind.is_enumerator() {
            let found = btf.resolve(id)?;
            let wanted = self.steps.first().and_then(|step| step.name).unwrap_or_default();
            let Body::Enum { values, .. } = found.body else { return Ok(None) };
            for (index, value) in (0..).zip(values) {
                budget.spend()?;
                let name = value?.name;
                if essential_name(name) == essential_name(wanted) {
                    target.steps.push(Step { of: found.id, index, name: Some(name) });
                    return Ok(Some(target));
                }
            }
            return Ok(None);
        }
        if !kind.is_field() {
            let fits = match kind {
                CoreKind::TypeMatches => budget.types_match(self.btf, self.root, btf, id)?,
                _ => budget.types_are_compatible(self.btf, self.root, btf, id)?,
            };
            return Ok(fits.then_some(target));
        }
        let mut within = btf.resolve(id)?;
        for (number, step) in self.steps.iter().enumerate() {
            match step.name {
                Some(name) => {
                    let member = self.btf.get(step.of)?.body;
                    let Body::Composite { mut members, .. } = member else { return Ok(None) };
                    let Some(member) = members.nth(step.index as usize) else { return Ok(None) };
                    let like = (self.btf, member?.of);
                    let next = target.member(&within, name, like, budget, STEPS)?;
                    let Some(next) = next else { return Ok(None) };
                    within = btf.resolve(next)?;
                }
                None => {
                    if number > 0 {
                        let Body::Array { element, len, .. } = within.body else {
                            return Ok(None);
                        };
                        if step.index >= len && !target.ends_open(len)? {
                            return Ok(None);
                        }
                        within = btf.resolve(element)?;
                    }
                    target.element(within.id, step.index, within.id)?;
                }
            }
        }
        Ok(Some(target))
    }

    /// Adds the step to a member of that name, also in anonymous members, if its type is compatible; returns its type.
    fn member(
        &mut self,
        owner: &Type<'b>,
        name: &str,
        like: (&Btf, u32),
        budget: &Budget,
        depth: usize,
    ) -> Result<Option<u32>, BtfError> {
        let Body::Composite { members, .. } = owner.body else { return Ok(None) };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(wrong("structs of the kernel lie too deep within others"));
        };
        for (index, member) in (0..).zip(members) {
            budget.spend()?;
            let member = member?;
            let start = self.bit_offset;
            self.add_bits(member.bit_offset.into())?;
            if member.name.is_empty() {
                let within = self.btf.resolve(member.of)?;
                if let Some(found) = self.member(&within, name, like, budget, depth)? {
                    return Ok(Some(found));
                }
            } else if member.name == name {
                let (local, of) = like;
                if !budget.fields_are_compatible(local, of, self.btf, member.of)? {
                    self.bit_offset = start;
                    return Ok(None);
                }
                self.steps.push(Step { of: owner.id, index, name: Some(member.name) });
                return Ok(Some(member.of));
            }
            self.bit_offset = start;
        }
        Ok(None)
    }
}
