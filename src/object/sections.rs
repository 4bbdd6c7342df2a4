//! The data sections of an object, each of which becomes a map of its own.

use super::collection::LinkTarget;
use super::kconfig::SECTION as KCONFIG;
use super::names::shown;
use super::raw::{Kind, Raw};
use super::variables::NamedPlace;
use crate::btf::{Body, Btf, Layout, Linkage, for_kernels};
use crate::insn::ByteOrder;
use crate::spec::{DataSection, DataTypes, Kconfig, ObjectTypes, Section, Setting};
use std::collections::HashMap;
use std::sync::Arc;

/// The data of an object, section by section.
#[derive(Debug, Clone, Default)]
pub(super) struct Sections {
    /// The numbers in the file of the first sections of the names `.rodata`, `.data` and `.bss`.
    pub standard: [Option<usize>; 3],
    /// Their bytes.
    pub bytes: [Vec<u8>; 3],
    /// The types of their variables.
    pub types: [Option<DataTypes>; 3],
    /// The others, and their numbers in the file.
    pub more: Vec<DataSection>,
    pub numbers: Vec<usize>,
    /// The types of the settings of the kernel, which are in no section of the file.
    pub kconfig: Option<DataTypes>,
}

/// Returns the BTF of an object as kernels take it; `None` if it has none for this machine. What cannot be changed into that is left
/// to the kernel to refuse.
pub(super) fn types(
    raw: &Raw<'_>,
    btf: Option<&Btf>,
    kconfig: Option<&Kconfig>,
) -> Option<ObjectTypes> {
    let btf = btf.filter(|_| raw.order == ByteOrder::NATIVE)?;
    let there = raw.sections.iter().filter(|section| section.kind != Kind::Nothing);
    let sections = there.map(|section| (section.name.as_str(), section.size)).collect();
    let global = raw.symbols.iter().filter(|symbol| symbol.global && symbol.section.is_some());
    let symbols =
        global.map(|symbol| (symbol.name.as_str(), (symbol.value, symbol.hidden))).collect();
    let place = |setting: &'_ Setting| (setting.name.to_string(), (setting.offset, setting.size));
    let settings =
        kconfig.map(|kconfig| (kconfig.size, kconfig.settings.iter().map(place).collect()));
    Some(match for_kernels(btf.as_bytes(), &Layout { sections, symbols, settings }) {
        Some((blob, plain)) => ObjectTypes { blob: blob.into(), plain: plain.into() },
        None => {
            let blob: Arc<[u8]> = btf.as_bytes().into();
            ObjectTypes { plain: Arc::clone(&blob), blob }
        }
    })
}

impl Sections {
    /// The data of a file.
    pub fn new(raw: &Raw<'_>, types: Option<&ObjectTypes>) -> Sections {
        let mut sections = Sections::default();
        let btf = types.and_then(|types| Btf::new(types.blob.to_vec()).ok());
        let mut described = btf.as_ref().map_or_else(HashMap::new, datasecs);
        let typed = |(id, mmapable)| Some(DataTypes { types: types?.clone(), id, mmapable });
        sections.kconfig = described.remove(KCONFIG).and_then(typed);
        for (number, found) in raw.sections.iter().enumerate() {
            let Kind::Data(section) = found.kind else { continue };
            // Sections have less than 512 MiB.
            let mut bytes = found.bytes.to_vec();
            bytes.resize(found.size as usize, 0);
            let types = described.remove(found.name.as_str()).and_then(typed);
            let of = section as usize;
            let standard = sections.standard.get_mut(of).filter(|place| place.is_none());
            if let Some(place) = standard.filter(|_| found.name == section.name()) {
                *place = Some(number);
                if let (Some(to), Some(to_types)) =
                    (sections.bytes.get_mut(of), sections.types.get_mut(of))
                {
                    (*to, *to_types) = (bytes, types);
                }
                continue;
            }
            let (name, variables) = (shown(&found.name), Vec::new());
            let arena = None;
            sections.more.push(DataSection { name, section, bytes, variables, types, arena });
            sections.numbers.push(number);
        }
        sections
    }

    /// Returns the target of a relocation of the address of a byte.
    pub fn target(&self, number: usize, offset: u64) -> Option<LinkTarget> {
        // Sections have less than 512 MiB.
        let offset = offset as i32;
        if let Some(of) = self.standard.iter().position(|standard| *standard == Some(number)) {
            return Some(LinkTarget::Data(*Section::ALL.get(of)?, offset));
        }
        let index = self.numbers.iter().position(|other| *other == number)?;
        Some(LinkTarget::DataSection(index as u32, offset))
    }

    /// Adds the variables of an arena, whose section in the file has this number.
    pub fn add(&mut self, number: usize, arena: DataSection) {
        self.more.push(arena);
        self.numbers.push(number);
    }

    /// Returns the target of a relocation of an address in an arena, with a name for it in messages.
    pub fn arena_target(&self, number: usize, offset: i32) -> Option<(LinkTarget, String)> {
        let index = self.numbers.iter().position(|other| *other == number)?;
        let section = self.more.get(index).filter(|section| section.arena.is_some())?;
        let place = u32::try_from(offset).unwrap_or(u32::MAX);
        let before = section.variables.partition_point(|(_, start, _)| *start <= place);
        let variable = before.checked_sub(1).and_then(|index| section.variables.get(index));
        let name = match variable {
            Some((name, start, _)) if *start == place => name.clone(),
            Some((name, start, size)) if place - start < *size => {
                format!("{name} + {}", place - start)
            }
            _ => format!("{} + {offset}", section.name),
        };
        Some((LinkTarget::DataSection(index as u32, offset), name))
    }

    /// Puts names into the sections that have names of their own.
    pub fn name(&mut self, places: &[NamedPlace]) {
        for place in places {
            let index = self.numbers.iter().position(|number| *number == place.raw);
            if let Some(section) = index.and_then(|index| self.more.get_mut(index)) {
                section.variables.push((place.name.clone(), place.offset, place.size));
            }
        }
    }
}

/// The BTF ids of sections of variables, by their names, and whether one of the variables is global.
fn datasecs(btf: &Btf) -> HashMap<&str, (u32, bool)> {
    let mut found = HashMap::new();
    for section in btf.types().flatten() {
        let Body::Section { mut variables, .. } = section.body else { continue };
        let global = variables.any(|variable| {
            let of = btf.get(variable.of).map(|of| of.body);
            matches!(of, Ok(Body::Variable { linkage: Linkage::Global, .. }))
        });
        found.insert(section.name, (section.id, global));
    }
    found
}

/// Returns the declaration in C of a variable, by the name that it has in a blob of BTF.
pub(super) fn declaration(blob: &[u8], name: &str) -> Option<String> {
    let btf = Btf::new(blob.to_vec()).ok()?;
    let of = btf.types().flatten().find_map(|variable| match variable.body {
        Body::Variable { of, .. } if variable.name == name => Some(of),
        _ => None,
    })?;
    btf.declaration(of, name).ok()
}
