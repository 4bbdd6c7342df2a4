//! What an object puts into its maps: the elements of maps of maps and program arrays, and the structs of functions that are in
//! `.struct_ops`.

use super::declared::Declared;
use super::file::ObjectProgram;
use super::functions::Spot;
use super::maps::Defined;
use super::names::{Names, shown};
use super::raw::{Kind, Raw, RawRelocation, RawSection};
use crate::btf::{Body, Btf, essential_name};
use crate::spec::{ObjectMap, ObjectTypes, StructOpsTable};
use crate::uapi::{MapType, flags};
use std::collections::HashMap;
use std::ops::Range;

/// The size of a pointer.
const POINTER: u64 = 8;

/// The size of a slot of code.
const SLOT: u64 = 8;

/// A map of an object.
#[derive(Debug, Clone)]
pub(super) struct MapOf {
    pub name: String,
    pub defined: Defined,
    pub object: ObjectMap,
    /// The path of its pin.
    pub pin: Option<String>,
    /// Whether it is created with the collection.
    pub autocreate: bool,
}

/// The folder in which libbpf pins maps by their names.
const PINS: &str = "/sys/fs/bpf";

/// The maps of an object; what is wrong with their contents is added to the problems.
pub(super) fn maps(
    raw: &Raw<'_>,
    types: Option<&ObjectTypes>,
    declared: &[Declared],
    programs: &mut [ObjectProgram],
    names: &mut Names,
    problems: &mut Vec<String>,
) -> Vec<MapOf> {
    let mut maps: Vec<MapOf> = Vec::new();
    let places: Places = programs.iter().map(|program| program.at).zip(0..).collect();
    for map in declared {
        let (Some(name), Some(defined)) = (&map.name, &map.defined) else { continue };
        let mut object = defined.object(types);
        let section = raw.sections.get(map.section);
        let end = next(declared, map).unwrap_or(u64::MAX);
        let start = defined.values.map(|values| map.offset + u64::from(values));
        for relocation in section.map_or(&[][..], |section| within(section, map.offset..end)) {
            let index = start.and_then(|start| relocation.offset.checked_sub(start));
            let index = index.filter(|index| index.is_multiple_of(POINTER));
            let index = index.and_then(|index| u32::try_from(index / POINTER).ok());
            let element = element(raw, declared, (programs, &places), relocation);
            match (index, element) {
                (Some(index), Some(element)) => object.elements.push((index, element)),
                _ => problems.push(format!("of map {name}: {}", address(raw, relocation))),
            }
        }
        // libbpf makes one of the period, which the file system keeps for itself.
        let pin = defined.pinned.then(|| format!("{PINS}/{}", name.replace('.', "_")));
        maps.push(MapOf {
            name: name.clone(),
            defined: defined.clone(),
            object,
            pin,
            autocreate: true,
        });
    }
    maps.extend(tables(raw, types, programs, &places, names, problems));
    maps
}

/// The indices of programs by the places at which they begin.
type Places = HashMap<Spot, usize>;

/// The relocations in a range of a section, which are in the order of their offsets.
fn within<'r>(section: &'r RawSection<'_>, range: Range<u64>) -> &'r [RawRelocation] {
    let at = |offset: u64| section.relocations.partition_point(|one| one.offset < offset);
    section.relocations.get(at(range.start)..at(range.end)).unwrap_or_default()
}

/// The offset of the next map in the section.
fn next(declared: &[Declared], map: &Declared) -> Option<u64> {
    let place = |other: &Declared| (other.section, other.offset);
    let next = declared.partition_point(|other| place(other) <= place(map));
    declared.get(next).filter(|other| other.section == map.section).map(|other| other.offset)
}

fn address(raw: &Raw<'_>, relocation: &RawRelocation) -> String {
    let symbol = raw.symbols.get(relocation.symbol).map_or("", |symbol| &symbol.name);
    format!("the address of `{}` in it, at {} of the section", shown(symbol), relocation.offset)
}

/// The section and the offset whose address is there. Of what only the object itself can see, the symbol is the section, and the
/// addend is the offset.
fn target(raw: &Raw<'_>, relocation: &RawRelocation) -> Option<(usize, u64)> {
    let symbol = raw.symbols.get(relocation.symbol)?;
    let offset = symbol.value.checked_add_signed(relocation.addend.unwrap_or(0))?;
    Some((symbol.section?, offset))
}

/// The name of the map or program whose address is there.
fn element(
    raw: &Raw<'_>,
    declared: &[Declared],
    (programs, places): (&[ObjectProgram], &Places),
    relocation: &RawRelocation,
) -> Option<String> {
    let at = target(raw, relocation)?;
    let place = |map: &Declared| (map.section, map.offset);
    let first = declared.partition_point(|map| place(map) < at);
    match declared.get(first).filter(|map| place(map) == at) {
        Some(map) => map.name.clone(),
        None => {
            let index = program_index(raw, places, relocation)?;
            programs.get(index).map(|program| program.name.clone())
        }
    }
}

/// The index of the program whose address is there.
fn program_index(raw: &Raw<'_>, places: &Places, relocation: &RawRelocation) -> Option<usize> {
    let (section, offset) = target(raw, relocation)?;
    if raw.sections.get(section)?.kind != Kind::Code || !offset.is_multiple_of(SLOT) {
        return None;
    }
    let at = (section, usize::try_from(offset / SLOT).ok()?);
    places.get(&at).copied()
}

/// The maps of the structs in `.struct_ops`; the programs in them get their targets.
fn tables(
    raw: &Raw<'_>,
    types: Option<&ObjectTypes>,
    programs: &mut [ObjectProgram],
    places: &Places,
    names: &mut Names,
    problems: &mut Vec<String>,
) -> Vec<MapOf> {
    let mut maps = Vec::new();
    let is_table = |kind: Kind| matches!(kind, Kind::StructOps { .. });
    if !raw.sections.iter().any(|section| is_table(section.kind)) {
        return maps;
    }
    let Some(btf) = types.and_then(|types| Btf::new(types.blob.to_vec()).ok()) else {
        problems.push("its .struct_ops is not described: it has no types".into());
        return maps;
    };
    for section in &raw.sections {
        let Kind::StructOps { link, autocreate } = section.kind else { continue };
        let described = btf.types().flatten().find_map(|found| match found.body {
            Body::Section { variables, .. } if found.name == section.name => Some(variables),
            _ => None,
        });
        let Some(variables) = described else {
            problems.push(format!("section {} is not described", shown(&section.name)));
            continue;
        };
        let mut left = section.bytes.len();
        for variable in variables {
            let Ok(found) = btf.get(variable.of) else { continue };
            let Body::Variable { of, .. } = found.body else { continue };
            let size = btf.size(of, found.name).unwrap_or(1).max(1) as usize;
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => {
                    let section = shown(&section.name);
                    problems.push(format!("the structs in section {section} are larger than it"));
                    break;
                }
            }
            let place = Place { bytes: section.bytes, start: variable.offset.into() };
            let name = names.give(found.name);
            match table(raw, section, &btf, of, place, (programs, places)) {
                Ok(table) => maps.push(MapOf {
                    name,
                    defined: Defined {
                        symbol: found.name.into(),
                        kind: MapType::StructOps as u32,
                        key_size: 4,
                        max_entries: 1,
                        flags: if link { flags::BPF_F_LINK } else { 0 },
                        ..Defined::default()
                    },
                    object: ObjectMap {
                        types: None,
                        key_type: 0,
                        value_type: 0,
                        inner: None,
                        elements: Vec::new(),
                        table: Some(table),
                    },
                    pin: None,
                    autocreate,
                }),
                Err(problem) => problems.push(format!("of map {name}: {problem}")),
            }
        }
    }
    maps
}

/// The bytes of a variable.
#[derive(Clone, Copy)]
struct Place<'b> {
    bytes: &'b [u8],
    start: u64,
}

fn table(
    raw: &Raw<'_>,
    section: &RawSection<'_>,
    btf: &Btf,
    of: u32,
    place: Place<'_>,
    (programs, places): (&mut [ObjectProgram], &Places),
) -> Result<StructOpsTable, String> {
    let wrong = |error: crate::btf::BtfError| error.to_string();
    let found = btf.resolve(of).map_err(wrong)?;
    let Body::Composite { members, .. } = found.body else {
        return Err("its type is no struct".into());
    };
    let name = essential_name(found.name).to_owned();
    let mut table = StructOpsTable { name, members: Vec::new(), programs: Vec::new() };
    for member in members {
        let member = member.map_err(wrong)?;
        let name = essential_name(member.name);
        let offset = place.start + u64::from(member.bit_offset / 8);
        if let Some(relocation) = within(section, offset..offset.saturating_add(1)).first() {
            let index = program_index(raw, places, relocation);
            let Some(program) = index.and_then(|index| programs.get_mut(index)) else {
                return Err(format!("{name}: {}", address(raw, relocation)));
            };
            program.take_place(&table.name, name)?;
            table.programs.push((name.into(), program.name.clone()));
            continue;
        }
        let size = btf.size(member.of, name).map_err(wrong)? as usize;
        let bytes = place.bytes.get(offset as usize..).and_then(|rest| rest.get(..size));
        let bytes = bytes.ok_or_else(|| format!("{name} lies beyond the end of the section"))?;
        if bytes.iter().all(|byte| *byte == 0) {
            continue;
        }
        if member.bits.is_some() {
            return Err(format!("{name}: it is a bit-field"));
        }
        if name.is_empty() {
            return Err("a member without a name is not 0".into());
        }
        table.members.push((name.into(), bytes.to_vec()));
    }
    Ok(table)
}

impl ObjectProgram {
    /// Makes it a program for a function of a struct.
    fn take_place(&mut self, of: &str, member: &str) -> Result<(), String> {
        let word = match self.section.split(['/', '?']).find(|word| !word.is_empty()) {
            Some(word @ ("struct_ops" | "struct_ops.s")) => word,
            _ => return Err(format!("{member}: program `{}` is no struct_ops", self.name)),
        };
        let target = format!("{word}/{of}.{member}");
        if self.in_table && self.target.as_ref() != Some(&target) {
            return Err(format!(
                "{member}: program `{}` is {} already",
                self.name,
                self.target.as_deref().unwrap_or_default()
            ));
        }
        (self.target, self.in_table) = (Some(target), true);
        Ok(())
    }
}
