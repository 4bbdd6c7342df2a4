//! Jump tables of several objects: their elements are offsets in a section of code, which move with the code.

use super::sections::Sections;
use super::{Input, Problems};
use crate::insn::ByteOrder;
use crate::object::jump_tables::{ELEMENT, elements};
use crate::object::names::shown;
use crate::object::raw::Kind;
use std::collections::BTreeMap;

/// Adds to the elements of an object's jump tables where the code of that object begins in the linked sections.
pub(super) fn moved(input: &Input<'_>, sections: &mut Sections, problems: &mut Problems) {
    let raw = &input.raw;
    let kind = |section: usize| raw.sections.get(section).map(|section| section.kind);
    // The symbol of each table, and the section of the code that jumps by it.
    let mut tables: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, code) in raw.sections.iter().enumerate() {
        for relocation in code.relocations.iter().filter(|_| code.kind == Kind::Code) {
            let symbol = raw.symbols.get(relocation.symbol);
            let of = symbol.and_then(|symbol| kind(symbol.section?));
            if of != Some(Kind::JumpTables) {
                continue;
            }
            let known = *tables.entry(relocation.symbol).or_insert(number);
            if known != number {
                problems.push(format!(
                    "jump table `{}`: functions in two sections have it in {}, expected one",
                    shown(symbol.map_or("", |symbol| &symbol.name)),
                    shown(input.file)
                ));
            }
        }
    }
    let mut placed: Vec<_> = tables
        .iter()
        .filter_map(|(symbol, code)| Some((raw.symbols.get(*symbol)?, *code)))
        .collect();
    placed.sort_by_key(|(symbol, _)| (symbol.section, symbol.value));
    let mut end = (None, 0);
    for (symbol, code) in placed {
        if end.0 == symbol.section && symbol.value < end.1 {
            let (name, file) = (shown(&symbol.name), shown(input.file));
            problems.push(format!("jump table `{name}`: it lies over another one in {file}"));
            continue;
        }
        end = (symbol.section, symbol.value.saturating_add(symbol.size));
        let place = symbol.section.and_then(|section| input.places.get(section));
        let (Some((number, base)), Some((_, by))) = (place, input.places.get(code)) else {
            continue;
        };
        // One that is damaged is refused when the linked object is read.
        let Ok(elements) = elements(raw, symbol) else { continue };
        let Some(whole) = sections.all.get_mut(*number).filter(|_| *by > 0) else { continue };
        let bytes = whole.bytes.to_mut();
        for (index, element) in (0..).zip(elements) {
            // Sections have less than 512 MiB.
            let at = (base + symbol.value + index * ELEMENT) as usize;
            let place = bytes.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut::<8>());
            let Some(place) = place else { continue };
            let to = element.saturating_add(*by);
            *place = match raw.order {
                ByteOrder::Little => to.to_le_bytes(),
                ByteOrder::Big => to.to_be_bytes(),
            };
        }
    }
}
