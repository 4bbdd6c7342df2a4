//! `.BTF` and `.BTF.ext` of an object: what its maps, its data and its functions are, and which line of the text each instruction
//! comes from.

use super::cores::Core;
use super::ext::{Records, written};
use super::maps;
use crate::asm::{Data, Section};
use crate::btf::{About, BtfError, Builder, Variable, swapped};
use crate::insn::ByteOrder;
use crate::program::describe_data;
use crate::spec::MapSpec;

/// Bytes of a slot.
const SLOT: u32 = 8;

/// The contents of both sections.
pub(super) struct Types {
    pub btf: Vec<u8>,
    pub ext: Vec<u8>,
}

/// Types as they are collected.
pub(super) struct Collected {
    builder: Builder,
    functions: Vec<Records<2>>,
    lines: Vec<Records<4>>,
    cores: Vec<Records<4>>,
}

impl Collected {
    /// The types of the maps and of the data.
    pub fn new(map_specs: &[MapSpec<'_>], data: &Data<'_>) -> Collected {
        let mut builder = Builder::new();
        let mut variables = Vec::with_capacity(map_specs.len());
        let mut offset = 0;
        for map in map_specs {
            let (of, size) = maps::define(&mut builder, map);
            let of = builder.variable(map.name, of);
            variables.push(Variable { of, offset, size });
            offset += size;
        }
        if !variables.is_empty() {
            builder.section(".maps", offset, &variables);
        }
        for section in Section::ALL {
            let mut variables = Vec::new();
            for described in describe_data(data, section) {
                let field = described.field();
                let of = builder.describe(&field.desc);
                let of = builder.variable(field.name, of);
                variables.push(Variable { of, offset: field.offset, size: field.desc.size() });
            }
            if !variables.is_empty() {
                // A section of a text has less than 4 GiB.
                let size = data.section(section).len() as u32;
                builder.section(section.name(), size, &variables);
            }
        }
        Collected { builder, functions: Vec::new(), lines: Vec::new(), cores: Vec::new() }
    }

    /// Adds types of another kind.
    pub fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }

    /// Functions and lines of the instructions in a section, by the offsets of these in bytes.
    pub fn section(&mut self, name: &str, about: About) {
        let section = self.builder.string(name);
        let About { functions, lines } = about;
        if !functions.is_empty() {
            self.functions.push(Records { section, records: sorted(functions) });
        }
        if !lines.is_empty() {
            self.lines.push(Records { section, records: sorted(lines) });
        }
    }

    /// CO-RE relocations of the instructions in a section, with their types.
    pub fn cores(&mut self, name: &str, cores: &[(u32, Core)]) {
        if cores.is_empty() {
            return;
        }
        let section = self.builder.string(name);
        let mut records = Vec::with_capacity(cores.len());
        for (slot, core) in cores {
            let of = core.types.write(&mut self.builder);
            let access = self.builder.string(&core.types.access);
            records.push([slot * SLOT, of, access, core.kind as u32]);
        }
        self.cores.push(Records { section, records: sorted(records) });
    }

    /// The contents of the sections.
    pub fn finish(self, order: ByteOrder) -> Result<Types, BtfError> {
        let btf = self.builder.finish()?;
        let ext = written(&self.functions, &self.lines, &self.cores, order);
        let btf = if order == ByteOrder::NATIVE { btf } else { swapped(btf).unwrap_or_default() };
        Ok(Types { btf, ext })
    }
}

fn sorted<const N: usize>(mut records: Vec<[u32; N]>) -> Vec<[u32; N]> {
    records.sort_by_key(|record| record[0]);
    records
}
