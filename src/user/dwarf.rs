//! DWARF debug information of programs and libraries: the parameters of functions, and types.
//!
//! Versions 2 to 5 are read, of 64-bit files. Sections are read whole, by `pread`; entries are looked at when they are asked for. Functions are
//! found by their address, because only the symbol table knows which of several functions of one name is meant, and which names a function
//! has. Files are treated as untrusted input: offsets may lead anywhere, and references in circles.

use super::elf::Elf;
use crate::error::Error;
use gimli::{
    Abbreviations, AttributeValue, DebugInfoOffset, DebuggingInformationEntry, DwAt, DwTag, Dwarf,
    DwarfFileType, DwarfSections, EndianSlice, EntriesRaw, Reader as _, RunTimeEndian,
    Section as _, UnitOffset, UnitType, constants as dw,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

mod abi;
mod function;
mod name;
mod same;
mod scope;
mod section;
#[cfg(test)]
pub(crate) mod tests;
mod types;

pub(crate) use abi::Place;
pub(crate) use function::Parameter;
pub(crate) use scope::Scope;
pub(crate) use types::Type;

/// The maximum number of references followed from one entry: typedefs of typedefs, a function to its declaration.
const DEPTH: usize = 64;

/// The debug information of a file.
pub(crate) struct DebugInfo {
    path: PathBuf,
    elf: Elf,
    sections: DwarfSections<Vec<u8>>,
    endian: RunTimeEndian,
    /// The units of `.debug_info` in order, then those of `.debug_types`.
    units: Vec<UnitPlace>,
    /// Types by the signatures that other units know them by.
    signatures: HashMap<u64, TypeId>,
    abbreviations: RefCell<HashMap<usize, Arc<Abbreviations>>>,
    functions: RefCell<function::Index>,
    /// The scopes of types by the places of their units.
    scopes: RefCell<HashMap<u64, scope::Scopes>>,
    compared: RefCell<same::Compared>,
}

/// Files whose debug information is read when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct DebugFiles(RefCell<HashMap<PathBuf, Opened>>);

/// The debug information of a file, if it has any and it can be read.
pub(crate) type Opened = Rc<Result<Option<DebugInfo>>>;

impl DebugFiles {
    /// The debug information of a file.
    pub(crate) fn open(&self, path: &Path) -> Opened {
        let mut files = self.0.borrow_mut();
        let found = files.entry(path.into()).or_insert_with(|| Rc::new(DebugInfo::open(path)));
        Rc::clone(found)
    }
}

/// A place in the debug information: an offset in `.debug_info`, or, if the highest bit is set, in `.debug_types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TypeId(u64);

/// The bit of a [`TypeId`] that means `.debug_types`.
const IN_TYPES: u64 = 1 << 63;

/// Why debug information cannot be read.
#[derive(Debug)]
pub(crate) enum DwarfError {
    /// The file cannot be opened, or is no ELF file.
    File(Error),
    /// It is damaged.
    Damaged,
    /// It is of a kind that is not read here.
    Unsupported(&'static str),
}

impl fmt::Display for DwarfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DwarfError::File(error) => error.fmt(f),
            DwarfError::Damaged => f.write_str("its debug information is damaged"),
            DwarfError::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

impl From<gimli::Error> for DwarfError {
    fn from(_: gimli::Error) -> DwarfError {
        DwarfError::Damaged
    }
}

impl fmt::Debug for DebugInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugInfo").field("path", &self.path).finish_non_exhaustive()
    }
}

type Result<T> = std::result::Result<T, DwarfError>;
type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;
type Die<'a> = DebuggingInformationEntry<Bytes<'a>>;
type Value<'a> = AttributeValue<Bytes<'a>>;

/// The range of a unit in its section.
#[derive(Debug, Clone, Copy)]
struct UnitPlace {
    /// With [`IN_TYPES`], as in a [`TypeId`].
    start: u64,
    end: u64,
}

/// A unit that is being read.
struct Unit<'a> {
    start: u64,
    unit: gimli::Unit<Bytes<'a>>,
}

/// An entry and the unit that it is in.
struct Entry<'a> {
    unit: Rc<Unit<'a>>,
    die: Die<'a>,
}

impl DebugInfo {
    /// Reads the debug information of a file; `None` if it has none.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn open(path: &Path) -> Result<Option<DebugInfo>> {
        let elf = Elf::open(path).map_err(DwarfError::File)?;
        // What was stripped off may be in a file of its own, with the same addresses.
        let sections = match section::read(&elf)? {
            None => elf.debug_file().map(section::read).transpose()?.flatten(),
            found => found,
        };
        let Some(sections) = sections else { return Ok(None) };
        let endian = match elf.endian {
            object::Endianness::Little => RunTimeEndian::Little,
            object::Endianness::Big => RunTimeEndian::Big,
        };
        let mut info = DebugInfo {
            path: path.into(),
            elf,
            sections,
            endian,
            units: Vec::new(),
            signatures: HashMap::new(),
            abbreviations: RefCell::default(),
            functions: RefCell::default(),
            scopes: RefCell::default(),
            compared: RefCell::default(),
        };
        info.read_headers()?;
        Ok(Some(info))
    }

    fn read_headers(&mut self) -> Result<()> {
        let (mut units, mut signatures) = (Vec::new(), HashMap::new());
        {
            let dwarf = self.dwarf();
            let mut keep = |header: gimli::UnitHeader<Bytes<'_>>, start: usize, mark: u64| {
                let start = mark | start as u64;
                units.push(UnitPlace { start, end: start + header.length_including_self() as u64 });
                match header.type_() {
                    UnitType::Type { type_signature, type_offset } => {
                        signatures.insert(type_signature.0, TypeId(start + type_offset.0 as u64));
                        Ok(())
                    }
                    UnitType::Skeleton(_) => {
                        Err(DwarfError::Unsupported("split debug information (.dwo)"))
                    }
                    _ => Ok(()),
                }
            };
            let mut headers = dwarf.units();
            while let Some(header) = headers.next()? {
                let DebugInfoOffset(start) =
                    header.debug_info_offset().ok_or(DwarfError::Damaged)?;
                keep(header, start, 0)?;
            }
            let mut headers = dwarf.type_units();
            while let Some(header) = headers.next()? {
                let start = header.debug_types_offset().ok_or(DwarfError::Damaged)?;
                keep(header, start.0, IN_TYPES)?;
            }
        }
        (self.units, self.signatures) = (units, signatures);
        Ok(())
    }

    fn dwarf(&self) -> Dwarf<Bytes<'_>> {
        self.sections.borrow(|section| EndianSlice::new(section, self.endian))
    }

    /// The unit of that number, with what its first entry says of how the others are read.
    fn unit<'a>(&self, dwarf: &Dwarf<Bytes<'a>>, place: UnitPlace) -> Result<Unit<'a>> {
        let start = (place.start & !IN_TYPES) as usize;
        // The header is read as if the section began with it, so that it does not matter which one it is.
        let from = |section: Bytes<'a>| {
            let mut rest = section;
            rest.skip(start).map(|()| rest)
        };
        let header = match place.start & IN_TYPES {
            0 => {
                let section = from(*dwarf.debug_info.reader())?;
                gimli::DebugInfo::from(section).units().next()?
            }
            _ => {
                let section = from(*dwarf.debug_types.reader())?;
                gimli::DebugTypes::from(section).units().next()?
            }
        };
        let header = header.ok_or(DwarfError::Damaged)?;
        let abbreviations = self.abbreviations_of(dwarf, &header)?;
        // gimli's own constructor wants the section of line numbers, which nobody here needs.
        let (encoding, kind) = (header.encoding(), DwarfFileType::Main);
        let mut unit = gimli::Unit {
            abbreviations,
            name: None,
            comp_dir: None,
            low_pc: 0,
            str_offsets_base: gimli::DebugStrOffsetsBase::default_for_encoding_and_file(
                encoding, kind,
            ),
            addr_base: gimli::DebugAddrBase(0),
            loclists_base: gimli::DebugLocListsBase::default_for_encoding_and_file(encoding, kind),
            rnglists_base: gimli::DebugRngListsBase::default_for_encoding_and_file(encoding, kind),
            line_program: None,
            dwo_id: None,
            header,
        };
        let root = unit.entry(unit.root_offset())?;
        if root.has_attr(dw::DW_AT_GNU_dwo_name) || root.has_attr(dw::DW_AT_dwo_name) {
            return Err(DwarfError::Unsupported("split debug information (.dwo)"));
        }
        for attr in root.attrs() {
            match attr.value() {
                AttributeValue::DebugStrOffsetsBase(base) => unit.str_offsets_base = base,
                AttributeValue::DebugAddrBase(base) => unit.addr_base = base,
                AttributeValue::DebugRngListsBase(base) => unit.rnglists_base = base,
                _ => {}
            }
        }
        if let Some(low_pc) = root.attr_value(dw::DW_AT_low_pc) {
            unit.low_pc = dwarf.attr_address(&unit, low_pc)?.unwrap_or(0);
        }
        Ok(Unit { start: place.start, unit })
    }

    fn abbreviations_of<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        header: &gimli::UnitHeader<Bytes<'a>>,
    ) -> Result<Arc<Abbreviations>> {
        let at = header.debug_abbrev_offset();
        if let Some(found) = self.abbreviations.borrow().get(&at.0) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(dwarf.debug_abbrev.abbreviations(at)?);
        self.abbreviations.borrow_mut().insert(at.0, Arc::clone(&found));
        Ok(found)
    }

    /// The unit that a place is in.
    fn unit_of(&self, id: TypeId) -> Result<UnitPlace> {
        let behind = self.units.partition_point(|unit| unit.start <= id.0);
        let place = behind.checked_sub(1).and_then(|index| self.units.get(index)).copied();
        place.filter(|unit| id.0 < unit.end).ok_or(DwarfError::Damaged)
    }

    /// The entry at a place.
    fn entry<'a>(&self, dwarf: &Dwarf<Bytes<'a>>, id: TypeId) -> Result<Entry<'a>> {
        let place = self.unit_of(id)?;
        let unit = self.unit(dwarf, place)?;
        let die = unit.unit.entry(UnitOffset((id.0 - place.start) as usize))?;
        Ok(Entry { unit: Rc::new(unit), die })
    }

    /// The place that a reference leads to; `None` if the value is no reference.
    fn target(&self, unit: &Unit<'_>, value: Value<'_>) -> Result<Option<TypeId>> {
        Ok(match value {
            AttributeValue::UnitRef(offset) => {
                Some(TypeId(unit.start.checked_add(offset.0 as u64).ok_or(DwarfError::Damaged)?))
            }
            AttributeValue::DebugInfoRef(offset) => Some(TypeId(offset.0 as u64)),
            AttributeValue::DebugTypesRef(signature) => {
                Some(*self.signatures.get(&signature.0).ok_or(DwarfError::Damaged)?)
            }
            AttributeValue::DebugInfoRefSup(_) => {
                return Err(DwarfError::Unsupported(
                    "debug information that is shared between files (dwz -m)",
                ));
            }
            _ => None,
        })
    }

    /// The place that an attribute of an entry leads to.
    fn reference(&self, entry: &Entry<'_>, attribute: DwAt) -> Result<Option<TypeId>> {
        self.reference_of(&entry.unit, &entry.die, attribute)
    }

    /// The same for an entry and its unit.
    fn reference_of(
        &self,
        unit: &Unit<'_>,
        die: &Die<'_>,
        attribute: DwAt,
    ) -> Result<Option<TypeId>> {
        match die.attr_value(attribute) {
            Some(value) => self.target(unit, value),
            None => Ok(None),
        }
    }

    /// The text of an attribute.
    fn text<'a>(
        dwarf: &Dwarf<Bytes<'a>>,
        unit: &Unit<'a>,
        die: &Die<'a>,
        attribute: DwAt,
    ) -> Option<&'a [u8]> {
        let value = die.attr_value(attribute)?;
        dwarf.attr_string(&unit.unit, value).ok().map(|text| text.slice())
    }

    /// The name of an entry, empty if it has none.
    fn name<'a>(dwarf: &Dwarf<Bytes<'a>>, entry: &Entry<'a>) -> String {
        let name = DebugInfo::text(dwarf, &entry.unit, &entry.die, dw::DW_AT_name);
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    }

    /// Passes the children of an entry to `f`, until it returns `false`.
    fn children<'a>(entry: &Entry<'a>, mut f: impl FnMut(&Die<'a>) -> Result<bool>) -> Result<()> {
        if !entry.die.has_children() {
            return Ok(());
        }
        let mut entries = entry.unit.unit.entries_raw(Some(entry.die.offset()))?;
        let mut die = Die::null();
        entries.read_entry(&mut die)?;
        while !entries.is_empty() {
            let depth = entries.next_depth();
            if depth < 1 {
                break;
            }
            if depth > 1 {
                skip(&mut entries)?;
                continue;
            }
            if entries.read_entry(&mut die)? && !f(&die)? {
                break;
            }
        }
        Ok(())
    }
}

/// Passes over an entry.
fn skip(entries: &mut EntriesRaw<'_, Bytes<'_>>) -> Result<Option<DwTag>> {
    let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(None) };
    entries.skip_attributes(abbreviation.attributes())?;
    Ok(Some(abbreviation.tag()))
}

/// Whether an attribute is there and is not 0.
fn flag(die: &Die<'_>, attribute: DwAt) -> bool {
    match die.attr_value(attribute) {
        Some(AttributeValue::Flag(set)) => set,
        Some(_) => true,
        None => false,
    }
}

/// The number that an attribute is.
fn number(die: &Die<'_>, attribute: DwAt) -> Option<u64> {
    die.attr_value(attribute)?.udata_value()
}
