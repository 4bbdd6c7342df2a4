//! `.BTF` and `.BTF.ext` of several objects in one.

use super::sections::Sections;
use super::symbols::Symbols;
use super::{Described, Input, is_of_kernel};
use crate::btf::{Body, Btf, BtfError, Linkage, Merge, Merged, MergedSection, Origin, swapped};
use crate::insn::ByteOrder;
use crate::object::ext::{self, CORE, FUNCTIONS, LINES, Records, written};
use crate::object::names::shown;
use crate::object::raw::Kind;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The contents of both sections; nothing if there are none.
#[derive(Debug, Default)]
pub(super) struct Types {
    pub btf: Vec<u8>,
    pub ext: Vec<u8>,
}

/// Bytes of a slot.
const SLOT: u32 = 8;

/// Merges the types, and the records about instructions; the error is the problem.
pub(super) fn merged(
    inputs: &[Input<'_>],
    described: &[HashMap<&str, Described<'_>>],
    symbols: &Symbols<'_>,
    sections: &Sections,
    order: ByteOrder,
) -> Result<Types, String> {
    let wrong = |error: BtfError| format!("the types (.BTF) cannot be merged: {error}");
    // Only those that have types are counted.
    let with: Vec<(usize, &Btf)> = inputs
        .iter()
        .enumerate()
        .filter_map(|(index, input)| Some((index, input.btf.as_ref()?)))
        .collect();
    if with.is_empty() {
        return Ok(Types::default());
    }
    let blobs: Vec<&Btf> = with.iter().map(|(_, btf)| *btf).collect();
    let mut merge = Merge::new(&blobs).map_err(wrong)?;
    let mut chosen = Chosen { by_input: HashMap::new(), by_name: HashMap::new() };
    for (blob, (index, _)) in with.iter().enumerate() {
        chosen.by_input.insert(*index, blob);
    }
    for (index, _) in &with {
        for (name, found) in described.get(*index).into_iter().flatten() {
            chosen.choose(*index, name, found, symbols, described);
        }
    }
    for (index, _) in &with {
        for (name, found) in described.get(*index).into_iter().flatten() {
            let of = chosen.by_input.get(index).map(|blob| (*blob, found.id));
            let instead = chosen.by_name.get(*name).copied();
            if let (Some(of), Some(instead)) = (of, instead)
                && found.external
                && of != instead
            {
                merge.replace(of, instead);
            }
        }
    }
    let variables = variables(inputs, &with, &chosen, sections);
    let Merged { ids, mut builder } = merge.finish(&variables);

    let mut part =
        Parts { functions: BTreeMap::new(), lines: BTreeMap::new(), core: BTreeMap::new() };
    for ((index, btf), ids) in with.iter().zip(&ids) {
        let Some(input) = inputs.get(*index) else { continue };
        let Some(bytes) = input.raw.bytes(Kind::BtfExt) else { continue };
        // Many records name one string, which can be long.
        let mut known = HashMap::new();
        let read = part.read(input, bytes, btf, ids, &mut |offset| {
            if let Some(known) = known.get(&offset) {
                return Ok(*known);
            }
            let new = builder.string(btf.string(offset, 0)?);
            known.insert(offset, new);
            Ok(new)
        });
        read.map_err(|problem| format!("{}: section `.BTF.ext`: {problem}", shown(input.file)))?;
    }
    let mut name = |number: &usize| {
        builder.string(sections.all.get(*number).map_or("", |section| &section.name))
    };
    let functions = in_sections(part.functions, &mut name);
    let lines = in_sections(part.lines, &mut name);
    let core = in_sections(part.core, &mut name);
    let ext = match functions.is_empty() && lines.is_empty() && core.is_empty() {
        true => Vec::new(),
        false => written(&functions, &lines, &core, order),
    };
    let btf = builder.finish().map_err(wrong)?;
    let btf = if order == ByteOrder::NATIVE { btf } else { swapped(btf).unwrap_or_default() };
    Ok(Types { btf, ext })
}

/// The type that each name that all objects know stands for.
struct Chosen<'n> {
    /// The numbers of the blobs, by those of the objects.
    by_input: HashMap<usize, usize>,
    by_name: HashMap<&'n str, Origin>,
}

impl<'n> Chosen<'n> {
    /// Takes what describes the definition that has a name, or the first declaration of what has none.
    fn choose(
        &mut self,
        index: usize,
        name: &'n str,
        found: &Described<'_>,
        symbols: &Symbols<'_>,
        described: &[HashMap<&str, Described<'_>>],
    ) {
        if self.by_name.contains_key(name) {
            return;
        }
        let definition = symbols.globals.get(name).filter(|global| global.defined);
        let definition = definition
            .and_then(|global| Some((global.from, described.get(global.from)?.get(name)?.id)));
        let (index, id) = definition.unwrap_or((index, found.id));
        if let Some(blob) = self.by_input.get(&index) {
            self.by_name.insert(name, (*blob, id));
        }
    }
}

/// The sections of variables: of each name that is seen everywhere the one that was chosen, with its place in the linked file.
fn variables<'b>(
    inputs: &'b [Input<'_>],
    with: &[(usize, &'b Btf)],
    chosen: &Chosen<'_>,
    sections: &Sections,
) -> Vec<MergedSection<'b>> {
    let mut all: Vec<MergedSection<'b>> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut agreed: HashSet<&str> = HashSet::new();
    for (blob, (index, btf)) in with.iter().enumerate() {
        let Some(input) = inputs.get(*index) else { continue };
        let values: HashMap<&str, u64> = input
            .raw
            .symbols
            .iter()
            .filter(|symbol| symbol.global && symbol.section.is_some())
            .map(|symbol| (symbol.name.as_str(), symbol.value))
            .collect();
        let mut places: HashMap<&str, (usize, u64)> = HashMap::new();
        for (section, place) in input.raw.sections.iter().zip(&input.places) {
            places.entry(&section.name).or_insert(*place);
        }
        for section in btf.types().flatten() {
            let Body::Section { size, variables } = section.body else { continue };
            let name = section.name;
            let place = places.get(name).copied();
            let kernel = is_of_kernel(Some(name));
            // All have the same, and so the first one's is that of all.
            if matches!(name, "license" | "version") && !agreed.insert(name) {
                continue;
            }
            let next = all.len();
            let number = *numbers.entry(name).or_insert(next);
            if number == next {
                let whole = place.and_then(|(number, _)| sections.all.get(number));
                // Sections have less than 512 MiB.
                let size = whole.filter(|_| !kernel).map_or(0, |whole| whole.size as u32);
                all.push(MergedSection { name, size, variables: Vec::new() });
            }
            let Some(whole) = all.get_mut(number) else { continue };
            for variable in variables {
                let Ok(of) = btf.get(variable.of) else { continue };
                let linkage = match of.body {
                    Body::Variable { linkage, .. } | Body::Function { linkage, .. } => linkage,
                    _ => continue,
                };
                let origin = (blob, variable.of);
                let is_chosen = chosen.by_name.get(of.name).is_none_or(|it| *it == origin);
                if linkage != Linkage::Static && !is_chosen || linkage == Linkage::Extern && !kernel
                {
                    continue;
                }
                // As the kernel is given it: compilers leave out the places of what others see.
                let own = match values.get(of.name) {
                    Some(value) if size == 0 && linkage != Linkage::Static => {
                        u32::try_from(*value).unwrap_or(u32::MAX)
                    }
                    _ => variable.offset,
                };
                let base = place.map_or(0, |(_, base)| base as u32);
                whole.variables.push((origin, own.saturating_add(base), variable.size));
            }
        }
    }
    for section in &mut all {
        section.variables.sort_by_key(|(_, offset, _)| *offset);
    }
    all.retain(|section| !section.variables.is_empty());
    all
}

/// The records about instructions, by the number of their section in the linked file.
struct Parts {
    functions: BTreeMap<usize, Vec<[u32; 2]>>,
    lines: BTreeMap<usize, Vec<[u32; 4]>>,
    core: BTreeMap<usize, Vec<[u32; 4]>>,
}

impl Parts {
    /// Reads those of an object, with the numbers of types and strings that they have in the linked one. The error is the problem.
    fn read(
        &mut self,
        input: &Input<'_>,
        bytes: &[u8],
        btf: &Btf,
        ids: &[u32],
        string: &mut dyn FnMut(u32) -> Result<u32, BtfError>,
    ) -> Result<(), String> {
        let mut places: HashMap<&str, (usize, u64)> = HashMap::new();
        for (section, place) in input.raw.sections.iter().zip(&input.places) {
            if section.kind == Kind::Code {
                places.entry(&section.name).or_insert(*place);
            }
        }
        let moved = |section: &str, slot: usize| {
            let (number, base) = *places.get(section)?;
            Some((
                number,
                u32::try_from(base)
                    .ok()?
                    .checked_add(u32::try_from(slot).ok()?.checked_mul(SLOT)?)?,
            ))
        };
        let order = input.raw.order;
        let id = |id: u32| ids.get(id as usize).copied();
        let mut problem = None;
        let damaged = "it is damaged".to_owned();
        let functions = &mut self.functions;
        ext::records(bytes, FUNCTIONS, btf, order, &mut |section, slot, [of]: [u32; 1]| match (
            moved(section, slot),
            id(of),
        ) {
            (Some((number, offset)), Some(of)) => {
                functions.entry(number).or_default().push([offset, of]);
            }
            (None, _) => {
                problem = problem.take().or_else(|| Some(outside("a function", section)));
            }
            (_, None) => problem = Some("a function has a type that there is not".into()),
        })
        .ok_or_else(|| damaged.clone())?;
        let lines = &mut self.lines;
        ext::records(bytes, LINES, btf, order, &mut |section, slot, words: [u32; 3]| {
            let [file, text, position] = words;
            match (moved(section, slot), string(file), string(text)) {
                (Some((number, offset)), Ok(file), Ok(text)) => {
                    lines.entry(number).or_default().push([offset, file, text, position]);
                }
                (None, ..) => {
                    problem = problem.take().or_else(|| Some(outside("a source line", section)));
                }
                (_, Err(error), _) | (_, _, Err(error)) => {
                    problem = problem.take().or(Some(error.to_string()))
                }
            }
        })
        .ok_or_else(|| damaged.clone())?;
        let core = &mut self.core;
        ext::records(bytes, CORE, btf, order, &mut |section, slot, [of, access, kind]| match (
            moved(section, slot),
            id(of),
            string(access),
        ) {
            (Some((number, offset)), Some(of), Ok(access)) => {
                core.entry(number).or_default().push([offset, of, access, kind]);
            }
            (None, ..) => {
                problem = problem.take().or_else(|| Some(outside("a CO-RE relocation", section)));
            }
            (_, None, _) => {
                problem = Some("a CO-RE relocation has a type that there is not".into());
            }
            (_, _, Err(error)) => problem = problem.take().or(Some(error.to_string())),
        })
        .ok_or(damaged)?;
        problem.map_or(Ok(()), Err)
    }
}

fn outside(what: &str, section: &str) -> String {
    format!("{what} is of section `{}`, which has no code", shown(section))
}

/// Gives the records of each section the name of that.
fn in_sections<const N: usize>(
    found: BTreeMap<usize, Vec<[u32; N]>>,
    name: &mut dyn FnMut(&usize) -> u32,
) -> Vec<Records<N>> {
    let named = found.into_iter().map(|(number, mut records)| {
        records.sort_by_key(|record| record[0]);
        Records { section: name(&number), records }
    });
    named.collect()
}
