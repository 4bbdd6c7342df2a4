//! The functions of an object, and the targets of their instructions.

use super::ObjectError;
use super::names::shown;
use super::raw::{Kind, Raw, RawRelocation, RawSymbol, SymbolKind};
use crate::asm::{Instructions, Place, place};
use crate::insn::{Insn, Op, Pseudo};
use std::collections::{BTreeMap, HashMap};

/// Bytes of a slot.
const SLOT: u64 = 8;

/// A place in code: the number of the section, and the slot in it.
pub(super) type Spot = (usize, usize);

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    pub at: Spot,
    pub end: usize,
    /// The number of its symbol, if it has one.
    pub symbol: Option<usize>,
}

/// The target of a relocated instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Function(Spot),
    /// The number of the section of maps, and the offset there.
    Map(usize, u64),
    /// The number of the section of data, and the offset there.
    Data(usize, u64),
    /// The number of a section of variables of an arena, and the offset there. It can lie outside of the section: arenas go on.
    Arena(usize, i32),
    /// A jump table, by the number of its symbol.
    JumpTable(usize),
    /// A function that is not in the object, by the number of its symbol.
    Elsewhere(usize),
    /// The address of what is not in the object, by the number of its symbol.
    Outside(usize),
    /// Something that the language has no word for.
    Unsaid(String),
}

/// The code of an object.
pub(super) struct Code {
    /// The slots of each section that has code.
    pub slots: BTreeMap<usize, Vec<Insn>>,
    /// By their places.
    pub functions: Vec<Function>,
    pub named: HashMap<Spot, Named>,
}

impl Code {
    pub fn new(raw: &Raw<'_>) -> Result<Code, ObjectError> {
        let mut code =
            Code { slots: BTreeMap::new(), functions: Vec::new(), named: HashMap::new() };
        let mut boundaries: HashMap<Spot, ()> = HashMap::new();
        for (section, found) in raw.sections.iter().enumerate() {
            if found.kind != Kind::Code {
                continue;
            }
            let wrong = |problem| ObjectError::Section { section: found.name.clone(), problem };
            let (chunks, rest) = found.bytes.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(wrong("it has code that does not end with a slot of 8 bytes"));
            }
            let slots: Vec<Insn> =
                chunks.iter().map(|bytes| Insn::from_bytes(*bytes, raw.order)).collect();
            let mut relocations = found.relocations.iter().peekable();
            for instruction in Instructions::from(&slots, 0) {
                let (slot, op) = match instruction {
                    Ok((slot, op)) => (slot, Some(op)),
                    // What its relocation is for is not known either.
                    Err(unknown) => (unknown.slot, None),
                };
                boundaries.insert((section, slot), ());
                let at = slot as u64 * SLOT;
                let mut relocation = None;
                while let Some(next) = relocations.next_if(|next| next.offset <= at) {
                    if next.offset != at {
                        return Err(wrong("a relocation is for no instruction of it"));
                    }
                    relocation = Some(next);
                }
                let named = op.and_then(|op| named(raw, section, slot, op, relocation));
                if let Some(named) = named {
                    code.named.insert((section, slot), named);
                }
            }
            if relocations.next().is_some() {
                return Err(wrong("a relocation is for no instruction of it"));
            }
            code.slots.insert(section, slots);
        }
        code.functions = functions(raw, &code);
        let within = code.functions.iter().find(|function| !boundaries.contains_key(&function.at));
        if let Some(section) = within.and_then(|function| raw.sections.get(function.at.0)) {
            let problem = "a function of it begins in the middle of an instruction";
            return Err(ObjectError::Section { section: section.name.clone(), problem });
        }
        Ok(code)
    }

    /// The index of the function that begins there.
    pub fn function(&self, at: Spot) -> Option<usize> {
        self.functions.binary_search_by_key(&at, |function| function.at).ok()
    }

    /// The number of slots of each section, by its name; of several with one name the greatest.
    pub fn lengths<'r>(&self, raw: &'r Raw<'_>) -> HashMap<&'r str, usize> {
        let mut lengths = HashMap::new();
        for (section, slots) in &self.slots {
            let Some(section) = raw.sections.get(*section) else { continue };
            let length = lengths.entry(section.name.as_str()).or_insert(0);
            *length = slots.len().max(*length);
        }
        lengths
    }

    /// The slots of a function.
    pub fn of(&self, function: &Function) -> &[Insn] {
        let slots = self.slots.get(&function.at.0).map(Vec::as_slice).unwrap_or_default();
        slots.get(function.at.1..function.end).unwrap_or_default()
    }
}

/// Returns the target of an instruction, by its relocation or by a distance.
fn named(
    raw: &Raw<'_>,
    section: usize,
    slot: usize,
    op: Op,
    relocation: Option<&RawRelocation>,
) -> Option<Named> {
    let Some(relocation) = relocation else {
        let Some(Place::Function(to)) = place(op, slot) else { return None };
        return Some(function_at(raw, section, to));
    };
    let Some(symbol) = raw.symbols.get(relocation.symbol) else {
        return Some(Named::Unsaid("a relocation against a symbol that there is not".into()));
    };
    let unsaid = |what: &str| Some(Named::Unsaid(format!("{what} `{}`", shown(&symbol.name))));
    let in_section = symbol.section.and_then(|index| Some((index, raw.sections.get(index)?)));
    let (value, kind) = (i64::try_from(symbol.value).ok(), in_section.map(|(_, found)| found.kind));
    match (op, in_section, kind, value) {
        (Op::CallLocal { .. }, None, ..) => Some(Named::Elsewhere(relocation.symbol)),
        (Op::CallLocal { offset }, Some((index, _)), Some(Kind::Code), Some(value)) => {
            let to = match relocation.addend {
                None => (value / SLOT as i64).saturating_add(i64::from(offset) + 1),
                Some(addend) => value.saturating_add(addend) / SLOT as i64,
            };
            Some(function_at(raw, index, to))
        }
        (Op::LoadImm64 { .. }, None, ..) => Some(Named::Outside(relocation.symbol)),
        (Op::LoadImm64 { low, .. }, Some((index, found)), Some(kind), Some(value)) => {
            let to = value.saturating_add(relocation.addend.unwrap_or(low.into()));
            if let (Kind::Arena, Ok(to)) = (kind, i32::try_from(to)) {
                return Some(Named::Arena(index, to));
            }
            // As libbpf: a table is the whole of its symbol.
            if kind == Kind::JumpTables && symbol.kind == SymbolKind::Object && to == value {
                return Some(Named::JumpTable(relocation.symbol));
            }
            let inside = u64::try_from(to).ok().filter(|to| *to < found.size);
            match (kind, inside) {
                (Kind::Code, Some(to)) if to.is_multiple_of(SLOT) => {
                    Some(function_at(raw, index, (to / SLOT) as i64))
                }
                (Kind::Maps | Kind::OldMaps, Some(to)) => Some(Named::Map(index, to)),
                (Kind::Data(_), Some(to)) => Some(Named::Data(index, to)),
                _ => unsaid("an address beyond or beside"),
            }
        }
        _ => unsaid(&format!("a relocation of type {} against", relocation.kind)),
    }
}

fn function_at(raw: &Raw<'_>, section: usize, to: i64) -> Named {
    let length = raw.sections.get(section).map_or(0, |section| section.bytes.len() / SLOT as usize);
    match usize::try_from(to) {
        Ok(to) if to < length => Named::Function((section, to)),
        _ => Named::Unsaid("a function where there is no code".into()),
    }
}

/// The functions: where symbols say that they begin and end, and where one is called. What is between two of them is one, too.
fn functions(raw: &Raw<'_>, code: &Code) -> Vec<Function> {
    let mut starts: BTreeMap<Spot, Option<usize>> = BTreeMap::new();
    let mut symbols: HashMap<usize, Vec<(usize, &RawSymbol)>> = HashMap::new();
    for (index, symbol) in raw.symbols.iter().enumerate() {
        if let Some(section) = symbol.section {
            symbols.entry(section).or_default().push((index, symbol));
        }
    }
    for (section, slots) in &code.slots {
        let own = |symbol: &&(usize, &RawSymbol)| {
            symbol.1.value.is_multiple_of(SLOT) && symbol.1.value / SLOT < slots.len() as u64
        };
        let symbols = symbols.get(section).map(Vec::as_slice).unwrap_or_default();
        let typed = symbols.iter().filter(own).filter(|(_, s)| s.kind == SymbolKind::Function);
        // Who writes in assembly language may leave out the type.
        let untyped = symbols.iter().filter(own).filter(|(_, symbol)| {
            symbol.kind == SymbolKind::Untyped && symbol.global && !symbol.name.is_empty()
        });
        let found: Vec<_> = match typed.clone().next() {
            Some(_) => typed.collect(),
            None => untyped.collect(),
        };
        starts.insert((*section, 0), None);
        for (_, symbol) in &found {
            let end = (symbol.value / SLOT).saturating_add(symbol.size / SLOT);
            if symbol.size > 0 && end < slots.len() as u64 {
                starts.insert((*section, end as usize), None);
            }
        }
        for (index, symbol) in found.iter().rev() {
            starts.insert((*section, (symbol.value / SLOT) as usize), Some(*index));
        }
    }
    for named in code.named.values() {
        if let Named::Function(at) = named {
            starts.entry(*at).or_insert(None);
        }
    }
    let mut functions: Vec<Function> = Vec::with_capacity(starts.len());
    for (at, symbol) in starts {
        let length = code.slots.get(&at.0).map_or(0, Vec::len);
        if let Some(last) = functions.last_mut().filter(|last| last.at.0 == at.0) {
            last.end = at.1;
        }
        functions.push(Function { at, end: length, symbol });
    }
    functions
}

/// A slot that is to lead to another one of the same program.
pub(super) fn led(insn: Insn, from: usize, to: usize) -> Insn {
    // Programs have fewer slots than 2^31.
    let distance = (to as i64 - from as i64 - 1) as i32;
    let source = if insn.is_wide() { Pseudo::Function as u8 } else { insn.src() };
    Insn::from_fields(insn.opcode(), insn.dst(), source, 0, distance)
}
