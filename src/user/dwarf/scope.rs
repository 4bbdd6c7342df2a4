//! Scopes: the namespaces, types and functions that types are defined in.

use super::types::{STRUCTS, Type};
use super::{Bytes, DebugInfo, Die, Entry, Result, TypeId, UnitPlace, skip};
use gimli::{AttributeValue, DwTag, Dwarf, constants as dw};
use std::hash::BuildHasher;
use std::rc::Rc;

/// A scope, by a hash of its names and of those around it. Which files collide cannot be known beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scope(u64);

/// The types of a unit that are not outside of everything, and their scopes, in order of their places.
pub(super) type Scopes = Rc<[(TypeId, Scope)]>;

/// Scopes of types.
const SCOPES: [DwTag; 7] = [
    dw::DW_TAG_namespace,
    dw::DW_TAG_structure_type,
    dw::DW_TAG_class_type,
    dw::DW_TAG_interface_type,
    dw::DW_TAG_union_type,
    dw::DW_TAG_enumeration_type,
    dw::DW_TAG_subprogram,
];

/// Languages in which types have no scopes, except for those in functions, which are not looked for.
const FLAT: [gimli::DwLang; 5] =
    [dw::DW_LANG_C89, dw::DW_LANG_C, dw::DW_LANG_C99, dw::DW_LANG_C11, dw::DW_LANG_C17];

/// The longest name that is compared as such. A damaged file can have one that is as long as it is everywhere.
const LONGEST_NAME: usize = 1 << 12;

impl DebugInfo {
    /// Returns the scope that a type is defined in.
    ///
    /// # Errors
    /// [`DwarfError`](super::DwarfError)
    pub(crate) fn scope(&self, id: TypeId) -> Result<Scope> {
        self.scope_with(&self.dwarf(), id)
    }

    pub(super) fn scope_with(&self, dwarf: &Dwarf<Bytes<'_>>, id: TypeId) -> Result<Scope> {
        let declared = self.declaration_of(dwarf, self.entry(dwarf, id)?)?;
        let id = TypeId(declared.unit.start + declared.die.offset().0 as u64);
        let place = self.unit_of(id)?;
        Ok(scope_in(&self.scopes_of(dwarf, place), id))
    }

    /// Returns the entry that has the name of another one, and is in its scope: a nested class that is defined outside of the
    /// class around it is declared there.
    pub(super) fn declaration_of<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        entry: Entry<'a>,
    ) -> Result<Entry<'a>> {
        match self.reference(&entry, dw::DW_AT_specification)? {
            Some(declared) => self.entry(dwarf, declared),
            None => Ok(entry),
        }
    }

    /// Returns the definition of a struct or union that is only declared at a place.
    ///
    /// # Errors
    /// [`DwarfError`](super::DwarfError)
    pub(crate) fn definition(&self, declared: TypeId) -> Result<Option<TypeId>> {
        let Type::Composite { name, union, .. } = self.resolve(Some(declared))? else {
            return Ok(None);
        };
        if name.is_empty() {
            return Ok(None);
        }
        let dwarf = self.dwarf();
        let scope = self.scope_with(&dwarf, declared)?;
        let mut found = None;
        let tags = if union { &[dw::DW_TAG_union_type][..] } else { &STRUCTS };
        self.each_type(tags, |one, _, id| {
            if one == name.as_bytes() && self.scope_with(&dwarf, id).is_ok_and(|of| of == scope) {
                found = Some(id);
            }
            found.is_some()
        })?;
        Ok(found)
    }

    fn scopes_of(&self, dwarf: &Dwarf<Bytes<'_>>, place: UnitPlace) -> Scopes {
        if let Some(scopes) = self.scopes.borrow().get(&place.start) {
            return Rc::clone(scopes);
        }
        let mut scopes = Vec::new();
        // Behind something damaged no type has a scope.
        let _ = self.read_scopes(dwarf, place, &mut scopes);
        let scopes: Scopes = scopes.into();
        self.scopes.borrow_mut().insert(place.start, Rc::clone(&scopes));
        scopes
    }

    fn read_scopes(
        &self,
        dwarf: &Dwarf<Bytes<'_>>,
        place: UnitPlace,
        scopes: &mut Vec<(TypeId, Scope)>,
    ) -> Result<()> {
        let unit = self.unit(dwarf, place)?;
        let root = unit.unit.entry(unit.unit.root_offset())?;
        if let Some(AttributeValue::Language(language)) = root.attr_value(dw::DW_AT_language)
            && FLAT.contains(&language)
        {
            return Ok(());
        }
        let hash = |value: (Scope, DwTag, &[u8], TypeId)| {
            // 0 is no scope.
            Scope(self.scopes.borrow().hasher().hash_one(value).max(1))
        };
        let mut entries = unit.unit.entries_raw(None)?;
        let mut die = Die::null();
        // The scopes around an entry, and how deep they are.
        let mut around: Vec<(isize, Scope)> = Vec::new();
        while !entries.is_empty() {
            let depth = entries.next_depth();
            let mut ahead = entries.clone();
            let tag = skip(&mut ahead)?;
            while around.last().is_some_and(|(outer, _)| *outer >= depth) {
                around.pop();
            }
            let Some(tag) = tag.filter(|tag| SCOPES.contains(tag)) else {
                entries = ahead;
                continue;
            };
            entries.read_entry(&mut die)?;
            let id = TypeId(place.start + die.offset().0 as u64);
            let outer = around.last().map_or(Scope::default(), |(_, scope)| *scope);
            let is_type = !matches!(tag, dw::DW_TAG_namespace | dw::DW_TAG_subprogram);
            if is_type && outer != Scope::default() {
                scopes.push((id, outer));
            }
            if !die.has_children() {
                continue;
            }
            let mut name = DebugInfo::text(dwarf, &unit, &die, dw::DW_AT_name).unwrap_or_default();
            let mut outer = outer;
            if let Some(declared) = self.reference_of(&unit, &die, dw::DW_AT_specification)? {
                // What is declared stands before.
                outer = scope_in(scopes, declared);
                let declared = self.entry(dwarf, declared)?;
                let text = DebugInfo::text(dwarf, &declared.unit, &declared.die, dw::DW_AT_name);
                name = text.unwrap_or_default();
            }
            // `class` or `struct` makes no difference.
            let kind = if is_type { dw::DW_TAG_structure_type } else { tag };
            let scope = match name {
                // Each unit has its own one.
                b"" if tag == dw::DW_TAG_namespace => hash((outer, kind, &[], TypeId(place.start))),
                name if name.len() > LONGEST_NAME => hash((outer, kind, &[], id)),
                name => hash((outer, kind, name, TypeId(0))),
            };
            around.push((depth, scope));
        }
        Ok(())
    }
}

/// Returns the scope of a type among those of its unit.
fn scope_in(scopes: &[(TypeId, Scope)], id: TypeId) -> Scope {
    let found = scopes.binary_search_by_key(&id, |(id, _)| *id).ok();
    found.and_then(|index| scopes.get(index)).map_or(Scope::default(), |(_, scope)| *scope)
}
