//! Jump tables: each becomes a frozen map of the places that its program jumps to.

use super::by_hand;
use crate::error::Result;
use crate::insn::Insn;
use crate::map::{Map, Update};
use crate::spec::{JumpTable, MapSpec, ProgramSpec, RelocKind, RelocTarget};
use crate::token::Token;
use crate::uapi::MapType;
use std::os::fd::{AsFd, AsRawFd};

/// The name of the maps, that of libbpf.
const NAME: &str = ".jumptables";

/// The size of `struct bpf_insn_array_value`, which begins with the slot.
const VALUE: usize = 16;

/// Creates the maps of a program's jump tables and writes their descriptors into the instructions. The kernel takes such a map for one program
/// only: each load has maps of its own.
pub(super) fn put_jump_tables<'a>(
    spec: &ProgramSpec<'a, '_>,
    token: Option<&Token>,
    insns: &mut [Insn],
) -> Result<Vec<Map>> {
    let mut made: Vec<(&'a JumpTable, Map)> = Vec::new();
    let relocations = spec.code.relocations.iter();
    for reloc in relocations.filter(|reloc| reloc.kind == RelocKind::JumpTable) {
        // Only objects have them.
        let RelocTarget::JumpTable(table) = reloc.target else { return Err(by_hand(spec)) };
        if !cfg!(feature = "elf") {
            return Err(by_hand(spec));
        }
        let known = made.iter().find(|(known, _)| std::ptr::eq(*known, table));
        let fd = match known {
            Some((_, map)) => map.as_fd().as_raw_fd(),
            None => {
                let map = create(table, token)?;
                let fd = map.as_fd().as_raw_fd();
                made.push((table, map));
                fd
            }
        };
        if let Some(insn) = insns.get_mut(reloc.slot as usize) {
            *insn = insn.with_imm(fd);
        }
    }
    Ok(made.into_iter().map(|(_, map)| map).collect())
}

fn create(table: &JumpTable, token: Option<&Token>) -> Result<Map> {
    // Programs have fewer slots than 2^22, and tables not many more elements.
    let elements = u32::try_from(table.slots.len()).unwrap_or(u32::MAX);
    let spec = MapSpec::new(NAME, MapType::InsnArray, 4, VALUE as u32, elements);
    let map = Map::create_by(&spec, token)?;
    for (index, slot) in (0_u32..).zip(&table.slots) {
        let mut value = [0; VALUE];
        if let Some(place) = value.first_chunk_mut() {
            *place = slot.to_ne_bytes();
        }
        map.update(&index.to_ne_bytes(), &value, Update::Any)?;
    }
    map.freeze()?;
    Ok(map)
}
