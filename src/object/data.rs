//! Symbols for the data of an object.

use super::format::{File, Symbol};
use super::plan::{Plan, To};
use crate::asm::{Collection, Section};
use object::elf;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

/// The places in the data that have symbols.
pub(super) struct Places<'m> {
    /// By section and offset.
    places: Vec<Place<'m>>,
    /// The indices of the sections in the file.
    sections: [usize; 3],
}

struct Place<'m> {
    section: Section,
    offset: u32,
    size: u32,
    name: Cow<'m, str>,
    /// Whether it is a variable. What else instructions name are strings, which the object alone has names for.
    variable: bool,
    /// The index of its symbol.
    symbol: usize,
}

impl<'m> Places<'m> {
    /// Variables, and what instructions name besides.
    pub fn new(module: &'m Collection<'_>, plan: &Plan<'_>) -> Places<'m> {
        let variables = module.variables().iter().map(|variable| Place {
            section: variable.section(),
            offset: variable.offset(),
            size: variable.size(),
            name: variable.name().into(),
            variable: true,
            symbol: 0,
        });
        let mut places = Places { places: variables.collect(), sections: [0; 3] };
        places.sort();

        let relocations = plan.codes.iter().flat_map(|code| &code.relocations);
        let named: BTreeSet<_> = relocations
            .filter_map(|(_, _, to)| match to {
                To::Data(section, offset) => Some((*section as usize, *offset)),
                _ => None,
            })
            .collect();
        let maps = module.maps().iter().map(|map| map.name);
        let programs = module.programs().iter().map(|program| program.name());
        let variables = module.variables().iter().map(|variable| variable.name());
        let taken: HashSet<&str> = maps.chain(programs).chain(variables).collect();
        let mut strings = Vec::new();
        for section in Section::ALL {
            let own = named.iter().filter(|(of, _)| *of == section as usize).map(|(_, at)| *at);
            let own: Vec<u32> = own.filter(|at| places.at(section, *at).is_none()).collect();
            let next = own.iter().skip(1).copied().map(Some).chain([None]);
            for (offset, next) in own.iter().copied().zip(next) {
                let mut name = format!("{}_{offset}", section.name().trim_start_matches('.'));
                while taken.contains(name.as_str()) {
                    name.push('_');
                }
                let after = places.after(section, offset);
                let variable = places.places.get(after).filter(|place| place.section == section);
                let variable = variable.map(|place| place.offset);
                let end = module.data().section(section).len() as u32;
                let end = end.min(next.unwrap_or(end)).min(variable.unwrap_or(end));
                let (size, name) = (end.saturating_sub(offset), name.into());
                strings.push(Place { section, offset, size, name, variable: false, symbol: 0 });
            }
        }
        places.places.extend(strings);
        places.sort();
        places
    }

    fn sort(&mut self) {
        self.places.sort_by_key(|place| (place.section as usize, place.offset));
    }

    /// The index of the first place that begins behind this byte.
    fn after(&self, section: Section, offset: u32) -> usize {
        self.places.partition_point(|place| {
            (place.section as usize, place.offset) <= (section as usize, offset)
        })
    }

    /// The first place that has this byte in it.
    fn at(&self, section: Section, offset: u32) -> Option<&Place<'m>> {
        let before = self.places.get(..self.after(section, offset)).unwrap_or_default();
        // Several can begin at one byte: two names, or one that nothing stands behind.
        let last = before.last().filter(|last| last.section == section)?;
        let first = before.partition_point(|place| {
            (place.section as usize, place.offset) < (section as usize, last.offset)
        });
        before.iter().skip(first).find(|place| offset - place.offset < place.size)
    }

    /// Adds the symbols of a section, which is to be the next one of the file.
    pub fn add_symbols(&mut self, file: &mut File<'m>, of: Section) {
        let section = file.sections.len();
        if let Some(index) = self.sections.get_mut(of as usize) {
            *index = section;
        }
        for place in self.places.iter_mut().filter(|place| place.section == of) {
            place.symbol = file.symbols.len();
            file.symbols.push(Symbol {
                name: place.name.clone(),
                kind: elf::STT_OBJECT,
                global: place.variable,
                section,
                value: place.offset.into(),
                size: place.size.into(),
            });
        }
    }

    /// The symbol for a byte that instructions name; `None` if that lies behind the beginning of a variable.
    pub fn symbol(&self, section: Section, offset: u32) -> Option<usize> {
        self.at(section, offset).filter(|place| place.offset == offset).map(|place| place.symbol)
    }

    /// The index of a section in the file.
    pub fn section(&self, section: Section) -> usize {
        self.sections.get(section as usize).copied().unwrap_or_default()
    }
}
