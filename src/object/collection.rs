//! An object as a collection, ready to be loaded.

use super::file::Object;
use super::listing::Listing;
use super::program::ObjectProgram;
use super::sections::declaration;
use super::tables::MapOf;
use super::variables::NamedPlace;
use super::{ObjectError, target};
use crate::insn::{ByteOrder, Insn, Pseudo};
use crate::spec::{
    Assembly, Collection, CollectionData, CollectionProgram, Line, NamedLabels, Reloc, RelocField,
    RelocKind, RelocTarget, Section, Variable,
};
use crate::spec::{CoreReloc, Declarations, Extern, JumpTable, Kconfig, MapSpec, ObjectCode};
use crate::util::lines::line_breaks;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A number of an instruction that is filled in at load.
#[derive(Debug, Clone)]
pub(super) struct LinkReloc {
    slot: usize,
    field: RelocField,
    kind: RelocKind,
    target: LinkTarget,
}

/// The target of a relocation.
#[derive(Debug, Clone)]
pub(super) enum LinkTarget {
    /// The name of a map.
    Map(String),
    /// A byte in a section of data.
    Data(Section, i32),
    /// The same, in one of those that have names of their own.
    DataSection(u32, i32),
    /// Something of the kernel's.
    Name(String),
    /// A type of the object.
    Core(CoreReloc),
    /// A variable or function of the kernel that the object declares.
    Extern(Extern),
    /// A setting of the kernel, by its index, and how far behind its beginning.
    Kconfig(Arc<Kconfig>, u32, i32),
    /// A jump table of the program.
    JumpTable(Arc<JumpTable>),
}

impl Object {
    /// Returns the maps, data and programs of the object, ready to be loaded on this machine. `file` is what messages call it; the statements that they
    /// show are those of its [`text`](Object::text).
    ///
    /// A program is loaded as the object means it, or not at all: whatever of it cannot be done here is an error. An object
    /// that declares no license is under none.
    ///
    /// # Errors
    /// [`ObjectError::Order`] if it is for other machines, [`ObjectError::Unsaid`] with all that cannot be done.
    pub fn collection<'o>(&'o self, file: &'o str) -> Result<Collection<'o>, ObjectError> {
        if self.order != ByteOrder::NATIVE {
            return Err(ObjectError::Order);
        }
        let unsaid = self.unloadable();
        if !unsaid.is_empty() {
            return Err(ObjectError::Unsaid { what: unsaid });
        }
        let Listing { text, lines } = self.listing.get_or_init(|| self.listed(false));
        let spec = |map: &'o MapOf| {
            let spec = map.defined.spec(&map.name, &map.object)?;
            Some(MapSpec { pin: map.pin.as_deref(), autocreate: map.autocreate, ..spec })
        };
        let maps = self.maps.iter().filter_map(spec).collect();
        let variables = self.variables.iter().filter_map(|place| {
            let NamedPlace { raw, offset, size, width, .. } = *place;
            let of = self.data.standard.iter().position(|standard| *standard == Some(raw))?;
            let section = *Section::ALL.get(of)?;
            Some(Variable { name: &place.name, section, offset, size, width })
        });
        let [rodata, data, bss] = &self.data.types;
        let data = CollectionData {
            sections: self.data.bytes.clone(),
            variables: variables.collect(),
            types: [rodata.as_ref(), data.as_ref(), bss.as_ref()],
            more: self.data.more.clone(),
            declarations: self
                .types
                .as_ref()
                .map(|types| Declarations { types, find: declaration }),
        };
        // Functions that are not called belong to no program, if there is one.
        let only_uncalled = self.programs.iter().all(|program| program.uncalled);
        let (mut line, mut counted) = (1_u32, 0);
        let mut programs = Vec::with_capacity(self.programs.len());
        for (program, lines) in self.programs.iter().zip(lines) {
            let first = lines.first().map_or(0, |line| line.start as usize);
            line += line_breaks(text.as_bytes().get(counted..first).unwrap_or_default());
            counted = counted.max(first);
            if program.uncalled && !only_uncalled {
                continue;
            }
            let loaded = program.loaded.as_deref().unwrap_or(program);
            let lines = program.loaded_lines(lines);
            let assembly = loaded.assembly(lines).with_source_at(text, file, line);
            let target = program.target().filter(|target| target::can_be_said(target));
            let object = ObjectCode {
                types: self.types.as_ref(),
                section: &program.section,
                functions: &loaded.function_info,
                lines: &loaded.line_info,
            };
            programs.push(CollectionProgram {
                object: Some(object),
                autoload: program.autoload,
                ..CollectionProgram::new(&program.name, target, assembly)
            });
        }
        let externs: BTreeSet<&str> = self
            .programs
            .iter()
            .flat_map(|program| &program.relocations)
            .filter_map(|reloc| match (reloc.kind, &reloc.target) {
                (RelocKind::Kfunc, LinkTarget::Name(name)) => Some(name.as_str()),
                (_, LinkTarget::Extern(wanted)) => Some(&*wanted.name),
                (_, LinkTarget::Kconfig(config, index, _)) => {
                    config.settings.get(*index as usize).map(|setting| &*setting.name)
                }
                _ => None,
            })
            .collect();
        Ok(Collection {
            file: file.into(),
            license: Some(self.license.as_str().into()),
            maps,
            data,
            programs,
            externs: externs.into_iter().map(Into::into).collect(),
        })
    }
}

impl ObjectProgram {
    /// Has a number of an instruction filled in at load.
    pub(super) fn relocate(
        &mut self,
        slot: usize,
        field: RelocField,
        kind: RelocKind,
        target: LinkTarget,
    ) {
        self.relocations.push(LinkReloc { slot, field, kind, target });
    }

    /// The same for the address of a map or of data.
    pub(super) fn relocate_address(&mut self, slot: usize, target: LinkTarget) {
        self.relocate(slot, RelocField::Immediate, RelocKind::Map, target);
    }

    /// Its code, with the statements of a text that it comes from.
    fn assembly(&self, lines: Vec<Line>) -> Assembly<'_> {
        /// `BPF_PSEUDO_KFUNC_CALL`.
        const KFUNC: u8 = 2;
        let mut slots = self.slots.clone();
        let mut relocations = Vec::with_capacity(self.relocations.len());
        for reloc in &self.relocations {
            let (source, second, target) = match &reloc.target {
                LinkTarget::Map(name) => (Some(Pseudo::MapFd as u8), 0, RelocTarget::Name(name)),
                LinkTarget::Data(section, offset) => {
                    (Some(Pseudo::MapValue as u8), *offset, RelocTarget::Section(*section))
                }
                LinkTarget::DataSection(index, offset) => {
                    (Some(Pseudo::MapValue as u8), *offset, RelocTarget::DataSection(*index))
                }
                LinkTarget::Kconfig(config, index, behind) => {
                    let setting = config.settings.get(*index as usize);
                    // A map of settings has less than 2 MiB.
                    let offset = setting.map_or(0, |setting| setting.offset as i32);
                    let source = Some(Pseudo::MapValue as u8);
                    let target = RelocTarget::Kconfig(config, *index);
                    (source, offset.wrapping_add(*behind), target)
                }
                LinkTarget::JumpTable(table) => {
                    (Some(Pseudo::MapValue as u8), 0, RelocTarget::JumpTable(table))
                }
                LinkTarget::Core(core) => (None, 0, RelocTarget::Core(core)),
                LinkTarget::Extern(wanted) => {
                    let kfunc = (reloc.kind == RelocKind::Kfunc).then_some(KFUNC);
                    (kfunc, 0, RelocTarget::Extern(wanted))
                }
                LinkTarget::Name(name) => {
                    let kfunc = (reloc.kind == RelocKind::Kfunc).then_some(KFUNC);
                    (kfunc, 0, RelocTarget::Name(name))
                }
            };
            if let (Some(source), Some(insn)) = (source, slots.get_mut(reloc.slot)) {
                *insn = Insn::from_fields(insn.opcode(), insn.dst(), source, 0, 0);
                let wide = insn.is_wide();
                if let Some(insn) = slots.get_mut(reloc.slot + 1).filter(|_| wide) {
                    *insn = insn.with_imm(second);
                }
            }
            // Programs have fewer slots than 2^22.
            let (slot, field, kind) = (reloc.slot as u32, reloc.field, reloc.kind);
            relocations.push(Reloc { slot, field, kind, target });
        }
        let mut labels = NamedLabels::default();
        for (slot, name) in &self.functions {
            labels.push(name, *slot as u32);
        }
        Assembly::new(slots, relocations, labels, lines)
    }
}
