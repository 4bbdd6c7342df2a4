//! Functions by their addresses, and their parameters.

use super::types::Type;
use super::{
    Bytes, DEPTH, DebugInfo, Die, DwarfError, Entry, Place, Result, TypeId, Unit, abi, flag,
    number, skip,
};
use gimli::{AttributeValue, Dwarf, UnitOffset, constants as dw};
use std::collections::HashMap;
use std::rc::Rc;

/// The functions that have been looked for.
#[derive(Default)]
pub(super) struct Index {
    /// The addresses that each unit has code at, in the order of the units; none if it does not say.
    ranges: Option<Vec<Option<Ranges>>>,
    /// Functions by their entries, of the units that have been looked through.
    units: HashMap<usize, Rc<Functions>>,
}

/// The first address of each piece of code, and the one behind it.
type Ranges = Vec<(u64, u64)>;

/// The functions of a unit by the addresses of their entries. Several can be at one, if the linker folds those whose code is the same.
type Functions = HashMap<u64, Vec<UnitOffset>>;

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its type.
    pub of: Option<TypeId>,
    /// Its location when the function begins, or the reason why that is not known.
    pub place: std::result::Result<Place, &'static str>,
}

/// The languages whose functions are called as those of C are.
const LIKE_C: [gimli::DwLang; 16] = [
    dw::DW_LANG_C89,
    dw::DW_LANG_C,
    dw::DW_LANG_C99,
    dw::DW_LANG_C11,
    dw::DW_LANG_C17,
    dw::DW_LANG_C_plus_plus,
    dw::DW_LANG_C_plus_plus_03,
    dw::DW_LANG_C_plus_plus_11,
    dw::DW_LANG_C_plus_plus_14,
    dw::DW_LANG_C_plus_plus_17,
    dw::DW_LANG_C_plus_plus_20,
    dw::DW_LANG_ObjC,
    dw::DW_LANG_ObjC_plus_plus,
    dw::DW_LANG_D,
    dw::DW_LANG_Zig,
    dw::DW_LANG_Mips_Assembler,
];

impl DebugInfo {
    /// The parameters of a function by its name in the symbol table; `None` if nothing is known of it.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn parameters(&self, function: &str) -> Result<Option<Vec<Parameter>>> {
        // Optimised copies have the parameters of the original, and take others.
        if [".isra.", ".constprop.", ".part."].iter().any(|mark| function.contains(mark)) {
            return Err(DwarfError::Unsupported(
                "args of functions whose parameters were optimized away",
            ));
        }
        if function.contains(".cold") {
            return Err(DwarfError::Unsupported("args of a part of a function"));
        }
        // Of a function that processes choose (IFUNC), those that they choose from have the same parameters.
        for offset in self.elf.places(function, 0, None).unwrap_or_default() {
            let Some(address) = self.elf.address(offset, true) else { continue };
            let dwarf = self.dwarf();
            if let Some(found) = self.function_at(&dwarf, address, function)? {
                return self.parameters_of(&dwarf, found).map(Some);
            }
        }
        Ok(None)
    }

    /// The function at an address, by preference one of that name.
    fn function_at<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        address: u64,
        name: &str,
    ) -> Result<Option<Entry<'a>>> {
        self.read_ranges(dwarf)?;
        let (mut found, mut index) = (None, 0);
        while let Some(unit_index) = self.next_unit_with(address, &mut index) {
            let Some(place) = self.units.get(unit_index) else { break };
            let unit = Rc::new(self.unit(dwarf, *place)?);
            let functions = self.functions_of(dwarf, unit_index, &unit)?;
            for offset in functions.get(&address).into_iter().flatten() {
                let entry = Entry { unit: Rc::clone(&unit), die: unit.unit.entry(*offset)? };
                let named = self.has_name(dwarf, &entry, name)?;
                if named || found.is_none() {
                    found = Some(entry);
                }
                if named {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn next_unit_with(&self, address: u64, index: &mut usize) -> Option<usize> {
        let functions = self.functions.borrow();
        let ranges = functions.ranges.as_ref()?;
        let has = |ranges: &Option<Ranges>| {
            ranges.as_ref().is_none_or(|ranges| {
                ranges.iter().any(|(start, end)| (*start..*end).contains(&address))
            })
        };
        let found = *index + ranges.get(*index..)?.iter().position(has)?;
        *index = found + 1;
        Some(found)
    }

    /// Reads which addresses each unit has code at.
    fn read_ranges(&self, dwarf: &Dwarf<Bytes<'_>>) -> Result<()> {
        if self.functions.borrow().ranges.is_some() {
            return Ok(());
        }
        let mut all = Vec::new();
        for place in &self.units {
            let unit = self.unit(dwarf, *place)?;
            let root = unit.unit.entry(unit.unit.root_offset())?;
            let ranges = match root.tag() {
                // These have no code.
                dw::DW_TAG_type_unit | dw::DW_TAG_partial_unit => Some(Vec::new()),
                _ => ranges(dwarf, &unit, &root)?,
            };
            all.push(ranges);
        }
        self.functions.borrow_mut().ranges = Some(all);
        Ok(())
    }

    /// The functions of a unit.
    fn functions_of<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        index: usize,
        unit: &Unit<'a>,
    ) -> Result<Rc<Functions>> {
        if let Some(found) = self.functions.borrow().units.get(&index) {
            return Ok(Rc::clone(found));
        }
        let mut functions = Functions::new();
        let mut entries = unit.unit.entries_raw(None)?;
        let mut die = Die::null();
        while !entries.is_empty() {
            let mut ahead = entries.clone();
            if skip(&mut ahead)? != Some(dw::DW_TAG_subprogram) {
                entries = ahead;
                continue;
            }
            entries.read_entry(&mut die)?;
            // Without an address it is a declaration, or is inlined wherever it is called. Of one in several pieces, only the first
            // is called.
            if let Some((start, _)) = ranges(dwarf, unit, &die)?.unwrap_or_default().first() {
                functions.entry(*start).or_default().push(die.offset());
            }
        }
        let functions = Rc::new(functions);
        self.functions.borrow_mut().units.insert(index, Rc::clone(&functions));
        Ok(functions)
    }

    /// Whether a function is called so, in the source or in the symbol table.
    fn has_name<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        entry: &Entry<'a>,
        name: &str,
    ) -> Result<bool> {
        let names = [dw::DW_AT_name, dw::DW_AT_linkage_name, dw::DW_AT_MIPS_linkage_name];
        let is = |entry: &Entry<'a>| {
            names.iter().any(|attribute| {
                DebugInfo::text(dwarf, &entry.unit, &entry.die, *attribute) == Some(name.as_bytes())
            })
        };
        if is(entry) {
            return Ok(true);
        }
        let mut origin = self.origin(dwarf, entry)?;
        for _ in 0..DEPTH {
            let Some(entry) = origin else { break };
            if is(&entry) {
                return Ok(true);
            }
            origin = self.origin(dwarf, &entry)?;
        }
        Ok(false)
    }

    /// The entry that the rest of what is said of one stands at: that of the function of which this is the code, or its
    /// declaration in a class.
    fn origin<'a>(&self, dwarf: &Dwarf<Bytes<'a>>, entry: &Entry<'a>) -> Result<Option<Entry<'a>>> {
        for attribute in [dw::DW_AT_abstract_origin, dw::DW_AT_specification] {
            if let Some(id) = self.reference(entry, attribute)? {
                return self.entry(dwarf, id).map(Some);
            }
        }
        Ok(None)
    }

    /// The name and the type of an entry, or those of what it stands for.
    fn name_and_type<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        entry: Entry<'a>,
    ) -> Result<(String, Option<TypeId>)> {
        let (mut name, mut of, mut next) = (String::new(), None, Some(entry));
        for _ in 0..DEPTH {
            let Some(entry) = next else { break };
            if name.is_empty() {
                name = DebugInfo::name(dwarf, &entry);
            }
            if of.is_none() {
                of = self.reference(&entry, dw::DW_AT_type)?;
            }
            next = self.origin(dwarf, &entry)?;
        }
        Ok((name, of))
    }

    fn parameters_of<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        function: Entry<'a>,
    ) -> Result<Vec<Parameter>> {
        // LLVM says so of functions whose parameters it has changed.
        if number(&function.die, dw::DW_AT_calling_convention)
            .is_some_and(|convention| convention == u64::from(dw::DW_CC_nocall.0))
        {
            return Err(DwarfError::Unsupported(
                "args of functions whose parameters were optimized away",
            ));
        }
        let unit = Rc::clone(&function.unit);
        let language = unit.unit.entry(unit.unit.root_offset())?.attr_value(dw::DW_AT_language);
        let language = match language {
            Some(AttributeValue::Language(language)) => language,
            _ => dw::DW_LANG_C,
        };
        let rust = language == dw::DW_LANG_Rust;
        if !rust && !LIKE_C.contains(&language) {
            return Err(DwarfError::Unsupported("args of functions in this language"));
        }
        let mut dies = Vec::new();
        let mut take = |die: &Die<'_>| {
            if die.tag() == dw::DW_TAG_formal_parameter {
                dies.push(die.offset());
            }
            Ok(true)
        };
        DebugInfo::children(&function, &mut take)?;
        let mut named = Vec::new();
        for offset in dies {
            let entry = Entry { unit: Rc::clone(&unit), die: unit.unit.entry(offset)? };
            named.push(self.name_and_type(dwarf, entry)?);
        }
        let (_, returns) = self.name_and_type(dwarf, function)?;
        let mut classes = Vec::new();
        for (_, of) in &named {
            classes.push(self.class(dwarf, *of)?);
        }
        let result = match self.resolve_with(dwarf, returns)? {
            Type::Void => None,
            _ => Some(self.class(dwarf, returns)?),
        };
        let places = match abi::Machine::of(self.elf.machine) {
            Some(machine) => machine.places(&classes, result.as_ref(), rust),
            None => vec![Err("args of uprobes on this machine"); named.len()],
        };
        let all = named.into_iter().zip(places);
        Ok(all.map(|((name, of), place)| Parameter { name, of, place }).collect())
    }
}

/// The addresses at which an entry has code; `None` if it does not say.
fn ranges<'a>(dwarf: &Dwarf<Bytes<'a>>, unit: &Unit<'a>, die: &Die<'a>) -> Result<Option<Ranges>> {
    if let Some(value) = die.attr_value(dw::DW_AT_ranges) {
        let Some(mut list) = dwarf.attr_ranges(&unit.unit, value)? else { return Ok(None) };
        let mut ranges = Vec::new();
        while let Some(range) = list.next()? {
            ranges.push((range.begin, range.end));
        }
        return Ok(Some(ranges));
    }
    if flag(die, dw::DW_AT_declaration) {
        return Ok(None);
    }
    let address = |attribute| match die.attr_value(attribute) {
        Some(value) => dwarf.attr_address(&unit.unit, value),
        None => Ok(None),
    };
    let Some(start) = address(dw::DW_AT_low_pc)? else { return Ok(None) };
    let end = match number(die, dw::DW_AT_high_pc) {
        Some(size) => Some(start.saturating_add(size)),
        None => address(dw::DW_AT_high_pc)?,
    };
    // A unit can have an address from which others count, and no code that lies in one piece.
    Ok(end.map(|end| vec![(start, end)]))
}
