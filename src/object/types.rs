//! `.BTF` and `.BTF.ext` of an object: what its maps, its data and its functions are, and which line of the text each instruction
//! comes from.

use super::maps;
use crate::asm::{Data, Section};
use crate::btf::{About, BtfError, Builder, Variable, swapped};
use crate::insn::ByteOrder;
use crate::program::describe_data;
use crate::spec::MapSpec;

/// The contents of both sections.
pub(super) struct Types {
    pub btf: Vec<u8>,
    pub ext: Vec<u8>,
}

/// Types as they are collected.
pub(super) struct Collected {
    builder: Builder,
    functions: Vec<Infos<2>>,
    lines: Vec<Infos<4>>,
}

/// The part of `.BTF.ext` about one section: its name, and records that begin with the offset of an instruction.
struct Infos<const N: usize> {
    name: u32,
    records: Vec<[u32; N]>,
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
        Collected { builder, functions: Vec::new(), lines: Vec::new() }
    }

    /// Adds types of another kind.
    pub fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }

    /// Functions and lines of the instructions in a section, by the offsets of these in bytes.
    pub fn section(&mut self, name: &str, about: About) {
        let name = self.builder.string(name);
        let About { functions, lines } = about;
        if !functions.is_empty() {
            self.functions.push(Infos { name, records: sorted(functions) });
        }
        if !lines.is_empty() {
            self.lines.push(Infos { name, records: sorted(lines) });
        }
    }

    /// The contents of the sections.
    pub fn finish(self, order: ByteOrder) -> Result<Types, BtfError> {
        let btf = self.builder.finish()?;
        let word = |word: u32| match order {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        };
        let functions = words(&self.functions);
        let lines = words(&self.lines);
        let (first, second) = (4 * functions.len() as u32, 4 * lines.len() as u32);
        let mut ext = match order {
            ByteOrder::Little => 0xeb9f_u16.to_le_bytes(),
            ByteOrder::Big => 0xeb9f_u16.to_be_bytes(),
        }
        .to_vec();
        // Version and flags; how long the header is; where each part begins behind it, and how long it is.
        ext.extend([1, 0]);
        let header = [24, 0, first, first, second];
        ext.extend(header.into_iter().chain(functions).chain(lines).flat_map(word));
        let btf = if order == ByteOrder::NATIVE { btf } else { swapped(btf).unwrap_or_default() };
        Ok(Types { btf, ext })
    }
}

fn sorted<const N: usize>(mut records: Vec<[u32; N]>) -> Vec<[u32; N]> {
    records.sort_by_key(|record| record[0]);
    records
}

/// A part: how long its records are, then section after section. Nothing, if there are none.
fn words<const N: usize>(infos: &[Infos<N>]) -> Vec<u32> {
    if infos.is_empty() {
        return Vec::new();
    }
    let mut words = vec![4 * N as u32];
    for Infos { name, records } in infos {
        words.extend([*name, records.len() as u32]);
        words.extend(records.iter().flatten());
    }
    words
}
