//! The maps of an object as the language declares them.

use super::ObjectError;
use super::maps::{self, Defined};
use super::names::Names;
use super::raw::{Kind, Raw, SymbolKind};
use crate::btf::Btf;
use std::collections::HashMap;

/// A map, as it is declared.
pub(super) struct Declared {
    /// The number of its section, and its offset there.
    pub section: usize,
    pub offset: u64,
    /// `None`, if it cannot be declared.
    pub name: Option<String>,
    pub symbol: String,
    /// The directive, if there is one.
    pub directive: Option<String>,
    /// Its definition, if it can be declared.
    pub defined: Option<Defined>,
    /// Remarks on what it does not say, and a collection does.
    pub text_remarks: Vec<String>,
    /// Remarks on what neither says.
    pub remarks: Vec<String>,
}

/// The maps, by their places.
pub(super) fn declared(
    raw: &Raw<'_>,
    btf: Option<&Btf>,
    names: &mut Names,
) -> Result<Vec<Declared>, ObjectError> {
    let mut maps = Vec::new();
    let is_map = |kind: &Kind| matches!(kind, Kind::Maps | Kind::OldMaps);
    let defined = match btf {
        Some(btf) => maps::read(btf).map_err(ObjectError::Types)?,
        None => Vec::new(),
    };
    let defined: HashMap<_, _> = defined.into_iter().map(|map| (map.symbol.clone(), map)).collect();
    for symbol in &raw.symbols {
        let Some(section) = symbol.section else { continue };
        let Some(found) = raw.sections.get(section).filter(|found| is_map(&found.kind)) else {
            continue;
        };
        if symbol.kind == SymbolKind::Section
            || symbol.name.is_empty()
            || symbol.value >= found.size
        {
            continue;
        }
        if maps.len() >= maps::MOST_MAPS {
            return Err(ObjectError::File { problem: "it has more than 16,384 maps" });
        }
        let old;
        let map: Option<&Defined> = if found.kind == Kind::Maps {
            defined.get(&symbol.name)
        } else {
            let bytes = found.bytes.get(symbol.value as usize..).unwrap_or_default();
            old = maps::read_old(&symbol.name, bytes, raw.order);
            old.as_ref()
        };
        let name = names.give(&symbol.name);
        let directive = map.and_then(|map| map.directive(&name));
        let of_map = |what: &String| format!("of map {name}: {what}");
        let text_remarks = map.iter().flat_map(|map| &map.besides).map(of_map).collect();
        let mut remarks: Vec<_> = map.iter().flat_map(|map| &map.problems).map(of_map).collect();
        if directive.is_none() {
            remarks.push(match map {
                Some(map) => format!("map {name}: its type is {}", map.kind),
                None => format!("map {name}: it is not described"),
            });
        }
        let (symbol, offset) = (symbol.name.clone(), symbol.value);
        let name = directive.is_some().then_some(name);
        let defined = map.filter(|_| directive.is_some()).cloned();
        maps.push(Declared {
            section,
            offset,
            name,
            symbol,
            directive,
            defined,
            text_remarks,
            remarks,
        });
    }
    maps.sort_by_key(|map| (map.section, map.offset));
    Ok(maps)
}
