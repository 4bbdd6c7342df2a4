//! Symbols of several objects: which definition each name stands for.

use super::agree::{Difference, MOST, difference};
use super::{Described, Input, Problems, is_agreed, is_of_kernel};
use crate::error::NearestNames;
use crate::object::names::shown;
use crate::object::raw::{Kind, RawSymbol, SymbolKind};
use crate::util::nearest::{Nearest, OFFERED};
use std::collections::HashMap;

/// The symbols of the linked object.
pub(super) struct Symbols<'i> {
    pub all: Vec<RawSymbol>,
    /// What others can see, by its name.
    pub globals: HashMap<String, Global>,
    described: &'i [HashMap<&'i str, Described<'i>>],
    /// The objects that static maps are in, by their names.
    maps: HashMap<String, usize>,
    /// The number of types that may still be compared.
    left: u32,
}

/// A name that all objects know.
#[derive(Debug, Clone)]
pub(super) struct Global {
    /// The number of the symbol.
    number: usize,
    /// The object that defines it; the first that declares it if none does.
    pub from: usize,
    pub defined: bool,
    /// The objects that name it and do not define it.
    users: Vec<usize>,
}

impl<'i> Symbols<'i> {
    /// None yet.
    pub fn new(described: &'i [HashMap<&'i str, Described<'i>>]) -> Symbols<'i> {
        let (all, globals, maps) = (Vec::new(), HashMap::new(), HashMap::new());
        Symbols { all, globals, described, maps, left: MOST }
    }

    /// Adds the symbols of an object; returns the number of each in the linked one.
    pub fn add(
        &mut self,
        inputs: &[Input<'_>],
        index: usize,
        problems: &mut Problems,
    ) -> Vec<usize> {
        let Some(input) = inputs.get(index) else { return Vec::new() };
        let mut numbers = Vec::with_capacity(input.raw.symbols.len());
        for symbol in &input.raw.symbols {
            let own = symbol.section.and_then(|section| input.raw.sections.get(section));
            let place = symbol.section.and_then(|section| input.places.get(section)).copied();
            let moved = RawSymbol {
                name: symbol.name.clone(),
                section: place.map(|(section, _)| section),
                value: symbol.value.saturating_add(place.map_or(0, |(_, base)| base)),
                ..*symbol
            };
            let kind = own.map(|section| section.kind);
            // It would name a place in what another object has behind it.
            if let Some(own) = own
                && symbol.value > own.size
            {
                problems.push(format!(
                    "`{}`: it lies beyond its section `{}` in {}",
                    shown(&symbol.name),
                    shown(&own.name),
                    shown(input.file)
                ));
            }
            // Of what all have to have the same, the first one is kept.
            let agreed = kind.is_some_and(is_agreed);
            let local = !symbol.global || symbol.name.is_empty() || agreed;
            let is_map = kind == Some(Kind::Maps) && symbol.kind == SymbolKind::Object;
            if local && is_map {
                self.static_map(inputs, index, &symbol.name, problems);
            }
            numbers.push(match local {
                true => {
                    self.all.push(RawSymbol { global: symbol.global && !agreed, ..moved });
                    self.all.len() - 1
                }
                false => self.global(inputs, index, moved, is_map, problems),
            });
        }
        numbers
    }

    /// Maps are found by their names, and so each has one of its own.
    fn static_map(
        &mut self,
        inputs: &[Input<'_>],
        index: usize,
        name: &str,
        problems: &mut Problems,
    ) {
        let first = *self.maps.entry(name.to_owned()).or_insert(index);
        if first != index {
            problems.push(format!(
                "map `{}`: static in {} and in {}, expected different names",
                shown(name),
                file(inputs, first),
                file(inputs, index)
            ));
        }
    }

    /// Finds the symbol of that name, and has the better definition of the two stand there.
    fn global(
        &mut self,
        inputs: &[Input<'_>],
        index: usize,
        symbol: RawSymbol,
        is_map: bool,
        problems: &mut Problems,
    ) -> usize {
        let defined = symbol.section.is_some();
        let next = self.all.len();
        let users = if defined { Vec::new() } else { vec![index] };
        let known = self.globals.get_mut(&symbol.name);
        let Some((known, there)) = known
            .and_then(|known| Some((self.all.get_mut(known.number)?, known)))
            .map(|(a, b)| (b, a))
        else {
            let global = Global { number: next, from: index, defined, users };
            self.globals.insert(symbol.name.clone(), global);
            self.all.push(symbol);
            return next;
        };
        let name = shown(&symbol.name);
        let of = |index: usize| self.described.get(index)?.get(symbol.name.as_str()).copied();
        let pair = (of(known.from), of(index));
        if let (Some(one), Some(other)) = pair
            && let (Some(first), Some(second)) = (inputs.get(known.from), inputs.get(index))
            && let (Some(first), Some(second)) = (&first.btf, &second.btf)
        {
            let is_map = is_map || one.section == Some(".maps") || other.section == Some(".maps");
            let found = difference((first, one.id), (second, other.id), is_map, &mut self.left);
            if let Some(Difference { what, one: first, other: second }) = found {
                let verb = |external| if external { "declares" } else { "defines" };
                problems.push(format!(
                    "{what}`{name}`: {} {} {}, and {} {} {}",
                    file(inputs, known.from),
                    verb(one.external),
                    first,
                    file(inputs, index),
                    verb(other.external),
                    second
                ));
            }
        }
        known.users.extend(users);
        let hidden = there.hidden || symbol.hidden;
        match (known.defined, defined) {
            (true, true) if !there.weak && !symbol.weak => problems.push(format!(
                "`{name}`: defined in {} and in {}, expected one definition, or all but one weak or static",
                file(inputs, known.from),
                file(inputs, index)
            )),
            (false, true) => {
                (known.from, known.defined) = (index, true);
                *there = symbol;
            }
            (true, true) if there.weak && !symbol.weak => {
                known.from = index;
                *there = symbol;
            }
            // It may be missing only if all can do without it.
            (false, false) => there.weak &= symbol.weak,
            _ => {}
        }
        there.hidden = hidden;
        known.number
    }

    /// Looks whether all is defined, by an object or by the kernel.
    pub fn undefined(&self, inputs: &[Input<'_>], problems: &mut Problems) {
        let missing = |(name, global): &(&String, &Global)| {
            let weak = self.all.get(global.number).is_none_or(|symbol| symbol.weak);
            let of_kernel = global.users.iter().any(|user| {
                let known = self.described.get(*user).and_then(|known| known.get(name.as_str()));
                is_of_kernel(known.and_then(|known| known.section))
            });
            !(global.defined || weak || of_kernel)
        };
        let mut missing: Vec<_> = self.globals.iter().filter(missing).collect();
        missing.sort_unstable_by_key(|(_, global)| global.number);
        for (name, global) in missing {
            let mut nearest = Nearest::new(name, OFFERED);
            // Each takes a look at all names.
            if problems.has_room() {
                let defined = self.globals.iter().filter(|(_, global)| global.defined);
                defined.for_each(|(other, _)| nearest.offer(other));
            }
            let users: Vec<_> = global.users.iter().map(|user| file(inputs, *user)).collect();
            let nearest: Vec<_> = nearest.into_names().iter().map(|name| shown(name)).collect();
            problems.push(format!(
                "`{}`: used by {}, and none of the objects defines it{}",
                shown(name),
                users.join(" and "),
                NearestNames(&nearest)
            ));
        }
    }
}

fn file(inputs: &[Input<'_>], index: usize) -> String {
    shown(inputs.get(index).map_or("", |input| input.file))
}
