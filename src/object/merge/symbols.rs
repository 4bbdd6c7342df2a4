//! Symbols of several objects: which definition each name stands for.

use super::agree::{Difference, Incomparable, MOST, difference};
use super::{Described, Input, Problems, is_agreed, is_of_kernel};
use crate::error::NearestNames;
use crate::object::names::shown;
use crate::object::raw::{Kind, RawSymbol, SymbolKind};
use crate::util::nearest::{Nearest, OFFERED};
use std::collections::HashMap;

/// The symbols of the linked object.
pub(super) struct Symbols<'i> {
    pub all: Vec<RawSymbol>,
    /// The symbols that other objects can see, by their names.
    pub globals: HashMap<String, Global>,
    described: &'i [HashMap<&'i str, Described<'i>>],
    /// The first object that has a map of that name, and whether the map is static there.
    maps: HashMap<String, (usize, bool)>,
    /// The number of types that may still be compared.
    pub left: u32,
    /// Whether it is reported that there are none left.
    limit_reported: bool,
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
        Symbols { all, globals, described, maps, left: MOST, limit_reported: false }
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
            // Of what all have to have the same, the first one is kept. Jump tables have the same names in all objects.
            let agreed = kind.is_some_and(is_agreed) || kind == Some(Kind::JumpTables);
            let local = !symbol.global || symbol.name.is_empty() || agreed;
            let is_map = kind == Some(Kind::Maps) && symbol.kind == SymbolKind::Object;
            if is_map {
                self.map_name(inputs, index, (&symbol.name, local), problems);
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

    /// Maps are found by their names, and so a static one has a name of its own. Two that are global are one.
    fn map_name(
        &mut self,
        inputs: &[Input<'_>],
        index: usize,
        (name, is_static): (&str, bool),
        problems: &mut Problems,
    ) {
        let (first, known) = *self.maps.entry(name.to_owned()).or_insert((index, is_static));
        if first == index || !(is_static || known) {
            return;
        }
        let (first, second) = (file(inputs, first), file(inputs, index));
        let (one, other) = match (known, is_static) {
            (true, true) => ("static", ""),
            (true, false) => ("static", "global "),
            (false, _) => ("global", "static "),
        };
        problems.push(format!(
            "map `{}`: {one} in {first} and {other}in {second}, expected different names",
            shown(name)
        ));
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
        let user = (!defined).then_some(index);
        let known = self.globals.get_mut(&symbol.name);
        let Some((known, there)) = known
            .and_then(|known| Some((self.all.get_mut(known.number)?, known)))
            .map(|(a, b)| (b, a))
        else {
            let users = Vec::from_iter(user);
            let global = Global { number: next, from: index, defined, users };
            self.globals.insert(symbol.name.clone(), global);
            self.all.push(symbol);
            return next;
        };
        let name = shown(&symbol.name);
        let of = |index: usize| self.described.get(index)?.get(symbol.name.as_str()).copied();
        let pair = (of(known.from), of(index));
        // One object says the same of it each time; after the last that may be compared, the others are as unknown.
        if let (Some(one), Some(other)) = pair
            && known.from != index
            && !self.limit_reported
            && let (Some(first), Some(second)) = (inputs.get(known.from), inputs.get(index))
            && let (Some(first), Some(second)) = (&first.btf, &second.btf)
        {
            let is_map = is_map || one.section == Some(".maps") || other.section == Some(".maps");
            let found = difference((first, one.id), (second, other.id), is_map, &mut self.left);
            let (from, to) = (file(inputs, known.from), file(inputs, index));
            let verb = |external| if external { "declares" } else { "defines" };
            match found {
                Ok(None) => {}
                Ok(Some(Difference { what, one: first, other: second })) => {
                    problems.push(format!(
                        "{what}`{name}`: {from} {} {first}, and {to} {} {second}",
                        verb(one.external),
                        verb(other.external)
                    ));
                }
                Err(why) => {
                    self.limit_reported = matches!(why, Incomparable::Limit);
                    problems.push(format!("`{name}`: its types in {from} and in {to}: {why}"));
                }
            }
        }
        // An object can name it many times.
        known.users.extend(user.filter(|user| known.users.last() != Some(user)));
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
