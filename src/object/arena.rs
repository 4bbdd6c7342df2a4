//! The variables of an arena, which clang puts into the section `.addr_space.1`.

use super::declared::Declared;
use super::names::{Names, shown};
use super::raw::{Kind, Raw, RawSection, SymbolKind};
use crate::spec::{DataSection, Section};
use crate::uapi::MapType;

/// Returns the variables of the arena of an object, with the number of their section. They are in the one map of that type, as
/// libbpf has it; problems with that are added to the others.
pub(super) fn arena(
    raw: &Raw<'_>,
    declared: &[Declared],
    names: &mut Names,
    problems: &mut Vec<String>,
) -> Option<(usize, DataSection)> {
    let mut sections = raw.sections.iter().enumerate().filter(|(_, one)| one.kind == Kind::Arena);
    let (number, section) = sections.next()?;
    let name = shown(&section.name);
    let is_arena = |map: &&Declared| {
        map.defined.as_ref().is_some_and(|defined| defined.kind == MapType::Arena as u32)
    };
    let mut arenas = declared.iter().filter(is_arena);
    let problem = match (arenas.next(), arenas.next(), sections.next()) {
        (Some(map), None, None) => {
            let variables = variables(raw, number, section, names);
            let (bytes, arena) = (section.bytes.to_vec(), map.name.clone());
            let section = Section::Data;
            let data = DataSection { name, section, bytes, variables, types: None, arena };
            return Some((number, data));
        }
        (None, ..) => "no map is an arena",
        (Some(_), Some(_), _) => "more than one map is an arena",
        (Some(_), None, Some(_)) => "there are two sections of that name",
    };
    problems.push(format!("variables of an arena in section {name}: {problem}"));
    None
}

/// The variables of a section by their offsets: name, offset and size.
fn variables(
    raw: &Raw<'_>,
    number: usize,
    section: &RawSection<'_>,
    names: &mut Names,
) -> Vec<(String, u32, u32)> {
    let mut variables = Vec::new();
    for symbol in raw.symbols.iter().filter(|symbol| symbol.section == Some(number)) {
        let named = matches!(symbol.kind, SymbolKind::Object | SymbolKind::Untyped);
        let rest = section.size.saturating_sub(symbol.value);
        let size = symbol.size.min(rest);
        if named && size > 0 && !symbol.name.is_empty() {
            // Sections have less than 512 MiB.
            variables.push((names.give(&symbol.name), symbol.value as u32, size as u32));
        }
    }
    variables.sort_by_key(|(_, offset, _)| *offset);
    variables
}
