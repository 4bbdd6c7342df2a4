//! Programs of an object, each with the functions that it calls behind it.

use super::collection::LinkTarget;
use super::declared::Declared;
use super::ext::SourceLines;
use super::externs::Declaration;
use super::functions::{Code, Function, Named, led};
use super::jump_tables::{MOST_ELEMENTS, elements, jump_table};
use super::lines::{Infos, Piece};
use super::names::{Names, shown};
use super::program::{Adjusted, ObjectProgram};
use super::raw::{Raw, RawSymbol};
use super::relocated::{Relocated, Relocations};
use super::sections::Sections;
use super::variables::Variables;
use super::{ObjectError, target};
use crate::asm::{Instructions, Place, place};
use crate::btf::{Body, Btf, essential_name};
use crate::spec::attach_point::Named as AttachName;
use crate::spec::{CoreReloc, Extern, JumpTable, Kconfig, RelocField, RelocKind};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The most slots of all programs of an object together, each with the functions that it calls.
const MOST_SLOTS: usize = 1 << 22;

/// The most bytes of the names and remarks of all programs together: many instructions can have one long name.
const MOST_TEXT: usize = 1 << 26;

/// The beginning of the tag on a program that names the function for its exceptions (`__exception_cb`).
const CALLBACK: &str = "exception_callback:";

/// Adds to what is reached all that these functions call, and they themselves.
fn reach(calls: &[Vec<usize>], mut todo: Vec<usize>, reached: &mut HashSet<usize>) {
    while let Some(index) = todo.pop() {
        if reached.insert(index) {
            todo.extend(calls.get(index).into_iter().flatten());
        }
    }
}

/// Returns what only the declaration of an extern says: that a program can do without it, and that its name has a flavour.
fn manner(name: &str, weak: bool, kind: RelocKind) -> String {
    let mut manner = String::new();
    let essential = essential_name(name);
    if essential != name && matches!(kind, RelocKind::Kfunc | RelocKind::FunctionAddress) {
        manner = format!(", which is `{}` in the kernel", shown(essential));
    }
    if weak {
        manner.push_str(", which can be missing (weak)");
    }
    manner
}

/// Returns the functions that handle the exceptions of programs (`exception_callback:NAME`), by the BTF ids of these.
pub(super) fn callbacks(btf: &Btf) -> HashMap<u32, &str> {
    let tags = btf.types().flatten().filter_map(|tag| match tag.body {
        Body::DeclTag { of, part: None } => Some((of, tag.name.strip_prefix(CALLBACK)?)),
        _ => None,
    });
    tags.collect()
}

/// Returns the indices of the global functions, by their names: the first of each.
pub(super) fn globals<'r>(raw: &'r Raw<'_>, code: &Code) -> HashMap<&'r str, usize> {
    let mut globals = HashMap::new();
    for (index, function) in code.functions.iter().enumerate() {
        let symbol = function.symbol.and_then(|symbol| raw.symbols.get(symbol));
        if let Some(symbol) = symbol.filter(|symbol| symbol.global) {
            globals.entry(symbol.name.as_str()).or_insert(index);
        }
    }
    globals
}

/// Puts programs together.
pub(super) struct Linker<'r> {
    pub raw: &'r Raw<'r>,
    pub code: &'r Code,
    pub maps: &'r [Declared],
    pub variables: &'r Variables<'r>,
    pub sections: &'r Sections,
    pub infos: Infos,
    pub relocations: Relocations,
    /// The BTF that they are about.
    pub types: Arc<[u8]>,
    /// The settings of the kernel that it declares.
    pub kconfig: Option<Arc<Kconfig>>,
    /// Their indices, by their names.
    pub settings: HashMap<&'r str, u32>,
    /// The declarations of what is not in the object, by their names.
    pub externs: HashMap<&'r str, Declaration>,
    pub btf: Option<&'r Btf>,
    /// The functions that handle the exceptions of programs, by the BTF ids of these.
    pub callbacks: HashMap<u32, &'r str>,
    /// The indices of the global functions, by their names.
    pub globals: HashMap<&'r str, usize>,
    pub source_lines: SourceLines,
    /// The number of bytes of names and remarks so far.
    pub text: Cell<usize>,
    /// The number of elements of jump tables so far.
    pub elements: Cell<usize>,
}

impl Linker<'_> {
    fn section_name(&self, section: usize) -> &str {
        self.raw.sections.get(section).map_or("", |section| &section.name)
    }

    /// The programs, with names that have not been given.
    pub fn programs(&self, names: &mut Names) -> Result<Vec<ObjectProgram>, ObjectError> {
        let functions = &self.code.functions;
        let mut calls: Vec<Vec<usize>> =
            functions.iter().map(|function| self.calls(function)).collect();
        // A program that throws has no call of its callback: the kernel calls the function that a tag names.
        for (function, calls) in functions.iter().zip(&mut calls) {
            calls.extend(self.callback(function).and_then(|name| self.globals.get(name)));
        }
        let each = calls.iter().enumerate();
        let called: HashSet<usize> =
            each.flat_map(|(from, to)| to.iter().copied().filter(move |to| *to != from)).collect();
        let mut entries: Vec<usize> = Vec::new();
        for (index, function) in functions.iter().enumerate() {
            if self.is_program(function, called.contains(&index)) {
                entries.push(index);
            }
        }
        entries.sort_by_key(|index| functions.get(*index).and_then(|function| function.symbol));
        let designated = entries.len();
        let mut reached = HashSet::new();
        reach(&calls, entries.clone(), &mut reached);
        // Functions that no program calls become programs, and so do those that are left, which call one another.
        for only_roots in [true, false] {
            for index in 0..functions.len() {
                if !(reached.contains(&index) || only_roots && called.contains(&index)) {
                    entries.push(index);
                    reach(&calls, vec![index], &mut reached);
                }
            }
        }

        let mut total = 0;
        let mut programs = Vec::with_capacity(entries.len());
        for entry in entries {
            let uncalled = programs.len() >= designated;
            let program = self.both(entry, &calls, &mut total)?;
            programs.push(ObjectProgram { uncalled, ..program });
        }
        for program in &mut programs {
            program.name = names.give(&program.name);
        }
        // Functions have names that only their program knows.
        for program in &mut programs {
            for name in program.functions.values_mut() {
                *name = names.give_function(name);
            }
            program.functions.values().for_each(|name| names.take_back(name));
            program.name_loaded();
        }
        Ok(programs)
    }

    /// Whether a function is a program: one that a section names what for. Others are called, wherever they are.
    fn is_program(&self, function: &Function, called: bool) -> bool {
        let symbol = function.symbol.and_then(|symbol| self.raw.symbols.get(symbol));
        let Some(symbol) = symbol else { return false };
        let section = self.section_name(function.at.0);
        if section == ".text" {
            return false;
        }
        let known = || target::target(section).is_some_and(|to| AttachName::read(&to).is_ok());
        !called || symbol.global && known()
    }

    /// The functions that a function names.
    fn calls(&self, function: &Function) -> Vec<usize> {
        let (section, start) = function.at;
        (start..function.end)
            .filter_map(|slot| match self.code.named.get(&(section, slot)) {
                Some(Named::Function(at)) => self.code.function(*at),
                _ => None,
            })
            .collect()
    }

    /// Returns the name of the function that handles the exceptions of a program.
    fn callback(&self, function: &Function) -> Option<&str> {
        let section = self.section_name(function.at.0);
        if section == ".text" || self.callbacks.is_empty() {
            return None;
        }
        self.callbacks.get(&self.infos.function(section, function.at.1)?).copied()
    }

    fn name(&self, function: &Function) -> String {
        let symbol = function.symbol.and_then(|symbol| self.raw.symbols.get(symbol));
        match symbol.map(|symbol| &symbol.name).filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => format!(
                "{}_{}",
                self.section_name(function.at.0).trim_start_matches('.'),
                function.at.1
            ),
        }
    }

    /// The functions of a program, in the order of libbpf: each behind the first one that calls it, before the others that this one
    /// calls.
    fn members(&self, entry: usize, calls: &[Vec<usize>]) -> Vec<usize> {
        let (mut members, mut seen) = (vec![entry], HashSet::from([entry]));
        let mut open = vec![(entry, 0)];
        while let Some((index, next)) = open.last_mut() {
            let called = calls.get(*index).and_then(|called| called.get(*next)).copied();
            *next += 1;
            match called {
                None => {
                    open.pop();
                }
                Some(called) if seen.insert(called) => {
                    members.push(called);
                    open.push((called, 0));
                }
                Some(_) => {}
            }
        }
        members
    }

    /// A program as it is listed, with its functions in the order of the file; and as it is loaded, if that is not the same.
    fn both(
        &self,
        entry: usize,
        calls: &[Vec<usize>],
        total: &mut usize,
    ) -> Result<ObjectProgram, ObjectError> {
        let members = self.members(entry, calls);
        let functions = members.iter().filter_map(|index| self.code.functions.get(*index));
        *total += functions.map(|function| function.end - function.at.1).sum::<usize>();
        if *total > MOST_SLOTS {
            return Err(ObjectError::File {
                problem: "its programs, with the functions that they call, have more than 4,194,304 slots",
            });
        }
        let mut listed = members.clone();
        listed.get_mut(1..).unwrap_or_default().sort_unstable();
        let loaded = match listed == members {
            true => None,
            false => Some(Box::new(self.program(entry, &members)?)),
        };
        Ok(ObjectProgram { loaded, ..self.program(entry, &listed)? })
    }

    fn program(&self, entry: usize, members: &[usize]) -> Result<ObjectProgram, ObjectError> {
        let functions = &self.code.functions;
        let of = |index: &usize| Some((*index, functions.get(*index)?));
        let members: Vec<_> = members.iter().filter_map(of).collect();
        let mut starts = HashMap::new();
        let mut slots = Vec::new();
        let mut pieces = Vec::with_capacity(members.len());
        for (index, function) in &members {
            let (section, first) = function.at;
            let (section, end, start) = (self.section_name(section), function.end, slots.len());
            pieces.push(Piece { section, first, end, start });
            starts.insert(*index, start);
            slots.extend(self.code.of(function));
        }
        let (function_info, line_info) = self.infos.of(&pieces);
        let first = functions.get(entry);
        let section = first.map_or("", |first| self.section_name(first.at.0));
        let mut program = ObjectProgram {
            name: first.map(|first| self.name(first)).unwrap_or_default(),
            at: first.map_or((0, 0), |first| first.at),
            section: shown(section),
            in_table: false,
            autoload: !section.starts_with('?'),
            uncalled: false,
            function_info,
            line_info,
            pieces: starts,
            loaded: None,
            // A function that no program calls is in .text only because it is nowhere else.
            target: if section == ".text" { None } else { target::target(section) },
            slots,
            functions: BTreeMap::new(),
            operands: HashMap::new(),
            adjusted: HashMap::new(),
            relocations: Vec::new(),
            remarks: HashMap::new(),
            text_remarks: HashMap::new(),
            source_lines: HashMap::new(),
            astray: HashSet::new(),
        };
        for (index, function) in &members {
            let Some(start) = program.pieces.get(index).copied() else { continue };
            if *index != entry {
                let name = self.name(function);
                self.spend(name.len())?;
                program.functions.insert(start, name);
            }
            self.link(&mut program, function, start)?;
        }
        if let Some(name) = first.and_then(|first| self.callback(first)) {
            let handled = format!("its exceptions are handled by `{}`", shown(name));
            self.spend(handled.len())?;
            match self.globals.contains_key(name) {
                true => drop(program.text_remarks.entry(0).or_insert(handled)),
                false => {
                    let remark = format!("{handled}, which is no global function of the object");
                    self.remark(&mut program, 0, remark)?;
                }
            }
        }
        let mut begin: Vec<_> = members
            .iter()
            .filter_map(|(index, function)| Some((*program.pieces.get(index)?, function.at)))
            .collect();
        begin.sort_unstable();
        for slot in program.remarks.keys().chain(program.text_remarks.keys()) {
            let before = begin.partition_point(|(start, _)| start <= slot);
            let function = before.checked_sub(1).and_then(|index| begin.get(index));
            let Some((start, (section, first))) = function.copied() else { continue };
            let (section, own) = (self.section_name(section), slot - start + first);
            let line = self.btf.and_then(|btf| self.source_lines.of(btf, section, own));
            if let Some(line) = line {
                self.spend(line.len())?;
                program.source_lines.insert(*slot, line);
            }
        }
        Ok(program)
    }

    /// Counts the bytes of a name or a remark.
    fn spend(&self, length: usize) -> Result<(), ObjectError> {
        self.text.set(self.text.get().saturating_add(length));
        if self.text.get() <= MOST_TEXT {
            return Ok(());
        }
        Err(ObjectError::File {
            problem: "the names in its programs, with the functions that they call, have more than 64 MiB",
        })
    }

    /// Describes the target of an instruction in a remark.
    fn described(&self, named: &Named) -> String {
        let name = match named {
            Named::Function(at) => {
                let function = self.code.function(*at);
                let function = function.and_then(|index| self.code.functions.get(index));
                function.map(|function| self.name(function))
            }
            Named::Map(section, offset) => {
                self.map_at(*section, *offset).map(|map| map.symbol.clone())
            }
            Named::Data(section, offset) => self.variables.address(*section, *offset),
            Named::Arena(section, offset) => {
                self.sections.arena_target(*section, *offset).map(|(_, name)| name)
            }
            Named::JumpTable(symbol) | Named::Elsewhere(symbol) | Named::Outside(symbol) => {
                self.raw.symbols.get(*symbol).map(|symbol| symbol.name.clone())
            }
            Named::Unsaid(what) => return what.clone(),
        };
        format!("the address of `{}`", shown(&name.unwrap_or_default()))
    }

    /// Returns the map that is declared there.
    fn map_at(&self, section: usize, offset: u64) -> Option<&Declared> {
        let place = |map: &Declared| (map.section, map.offset);
        let before = self.maps.partition_point(|map| place(map) < (section, offset));
        self.maps.get(before).filter(|map| place(map) == (section, offset))
    }

    /// Adds a remark on an instruction.
    fn remark(
        &self,
        program: &mut ObjectProgram,
        slot: usize,
        remark: String,
    ) -> Result<(), ObjectError> {
        self.spend(remark.len())?;
        program.remarks.entry(slot).or_default().push(remark);
        Ok(())
    }

    /// Leads the calls of a function that begins there in its program, and notes what else it names.
    fn link(
        &self,
        program: &mut ObjectProgram,
        function: &Function,
        start: usize,
    ) -> Result<(), ObjectError> {
        let (section, first) = function.at;
        let relocations = self.relocations.get(self.section_name(section));
        let length = function.end - first;
        let mut instructions = Vec::new();
        for instruction in Instructions::from(self.code.of(function), 0) {
            match instruction {
                Ok(instruction) => instructions.push(instruction),
                Err(unknown) => {
                    let remark = format!("this is no instruction: {}", unknown.error.reason);
                    self.remark(program, start + unknown.slot, remark)?;
                }
            }
        }
        // Of what is no instruction, nothing can be adjusted.
        let starts_here: HashSet<usize> =
            instructions.iter().map(|(slot, _)| first + slot).collect();
        let all = relocations.into_iter().flat_map(|all| all.range(first..function.end));
        for (slot, between) in all.filter(|(slot, _)| !starts_here.contains(slot)) {
            for one in between {
                self.remark(program, slot - first + start, one.remark().to_owned())?;
            }
        }
        let mut tables = HashMap::new();
        for (slot, op) in instructions {
            let named = self.code.named.get(&(section, first + slot));
            let all = relocations.and_then(|all| all.get(&(first + slot)));
            let all = all.map(Vec::as_slice).unwrap_or_default();
            let core = match (all, named) {
                ([one], None) => {
                    self.core(program, start + slot, one).map(|(field, core)| (one, field, core))
                }
                _ => None,
            };
            match (core, named) {
                // Each would overwrite the number of the other.
                (_, Some(named)) if !all.is_empty() => {
                    let other = self.described(named);
                    for one in all {
                        let remark = format!("{}, and at the same time {other}", one.remark());
                        self.remark(program, start + slot, remark)?;
                    }
                }
                (Some((one, field, core)), _) => {
                    program.relocate(start + slot, field, RelocKind::Core, LinkTarget::Core(core));
                    match one.statement(op) {
                        Some(statement) => {
                            let name = one.name().unwrap_or_default().to_owned();
                            self.spend(name.len() + statement.len())?;
                            program.adjusted.insert(start + slot, Adjusted { name, statement });
                            // What stands there is of the compiler's kernel.
                            if let Some(insn) = program.slots.get_mut(start + slot) {
                                *insn = Relocated::without_number(*insn, op);
                            }
                            self.clear_second(program, start + slot);
                        }
                        None => {
                            self.spend(one.remark().len())?;
                            program.text_remarks.insert(start + slot, one.remark().to_owned());
                        }
                    }
                }
                (None, _) => {
                    for one in all {
                        self.remark(program, start + slot, one.remark().to_owned())?;
                    }
                }
            }
            if let Some(Place::Jump(to)) = place(op, slot)
                && !(0..length as i64).contains(&to)
            {
                program.astray.insert(start + slot);
                self.remark(program, start + slot, "this leads out of the function".to_owned())?;
            }
            let at = start + slot;
            let Some(named) = named else { continue };
            if matches!(named, Named::Elsewhere(..) | Named::Unsaid(_)) {
                program.astray.insert(at);
            }
            let operand = match named {
                Named::Function(to) => {
                    let to = self.code.function(*to);
                    if let Some(to) = to.and_then(|index| program.pieces.get(&index).copied())
                        && let Some(insn) = program.slots.get_mut(at)
                    {
                        *insn = led(*insn, at, to);
                        if to == 0 {
                            program.functions.insert(0, program.name.clone());
                        }
                    }
                    self.clear_second(program, at);
                    continue;
                }
                Named::Map(section, offset) => match self.map_at(*section, *offset) {
                    Some(Declared { name: Some(name), .. }) => {
                        program.relocate_address(at, LinkTarget::Map(name.clone()));
                        Ok(name.clone())
                    }
                    Some(map) => Err(format!("the address of map `{}`", map.symbol)),
                    None => Err("the address of a map without a name".into()),
                },
                Named::Data(section, place) => {
                    let name = self.variables.address(*section, *place);
                    match (name, self.sections.target(*section, *place)) {
                        (Some(name), Some(target)) => {
                            program.relocate_address(at, target);
                            Ok(name)
                        }
                        _ => Err("the address of data without a name".into()),
                    }
                }
                Named::Arena(section, offset) => {
                    match self.sections.arena_target(*section, *offset) {
                        Some((target, name)) => {
                            program.relocate_address(at, target);
                            let remark = format!("the address of `{}` in the arena", shown(&name));
                            self.spend(remark.len())?;
                            program.text_remarks.insert(at, remark);
                            continue;
                        }
                        None => Err("the address of a variable of an arena".into()),
                    }
                }
                Named::JumpTable(symbol) => {
                    let known = tables.get(symbol).cloned();
                    let table = match known {
                        Some(table) => table,
                        None => {
                            let is_start = |slot: usize| starts_here.contains(&slot);
                            let table = self.jump_table(*symbol, function, start, is_start)?;
                            tables.entry(*symbol).or_insert(table).clone()
                        }
                    };
                    match table {
                        Ok(table) => {
                            let remark = format!("the address of jump table `{}`", table.name);
                            self.spend(remark.len())?;
                            program.text_remarks.insert(at, remark);
                            let (field, kind) = (RelocField::Immediate, RelocKind::JumpTable);
                            program.relocate(at, field, kind, LinkTarget::JumpTable(table));
                            continue;
                        }
                        Err(problem) => Err(problem),
                    }
                }
                Named::Outside(symbol) => {
                    let Some(RawSymbol { name, weak, .. }) = self.raw.symbols.get(*symbol) else {
                        continue;
                    };
                    let remark = format!("the address of something elsewhere, `{name}`");
                    if let Some((config, index)) = self.setting(name) {
                        let behind = program.slots.get(at).map_or(0, |insn| insn.imm());
                        let target = LinkTarget::Kconfig(config, index, behind);
                        program.relocate(at, RelocField::Immediate, RelocKind::Kconfig, target);
                        let remark = format!("the address of a setting of the kernel, `{name}`");
                        self.spend(remark.len())?;
                        program.text_remarks.insert(at, shown(&remark));
                        continue;
                    }
                    let found = self.externs.get(name.as_str());
                    let Some((kind, type_id)) = found.map(|found| found.address()) else {
                        self.remark(program, at, shown(&remark))?;
                        continue;
                    };
                    let target = LinkTarget::Extern(self.wanted(name, *weak, type_id));
                    program.relocate(at, RelocField::Immediate, kind, target);
                    let remark = format!("{}{}", shown(&remark), manner(name, *weak, kind));
                    self.spend(name.len() + remark.len())?;
                    program.text_remarks.insert(at, remark);
                    continue;
                }
                Named::Elsewhere(symbol) => {
                    let Some(RawSymbol { name, weak, .. }) = self.raw.symbols.get(*symbol) else {
                        continue;
                    };
                    let word = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
                    let digit = name.starts_with(|first: char| first.is_ascii_digit());
                    if name.is_empty() || digit || !name.chars().all(word) {
                        Err(format!("a call of `{name}`"))
                    } else {
                        let target = match self.externs.get(name.as_str()) {
                            Some(Declaration::Function(type_id)) => {
                                LinkTarget::Extern(self.wanted(name, *weak, *type_id))
                            }
                            _ => LinkTarget::Name(name.clone()),
                        };
                        let (field, kind) = (RelocField::Immediate, RelocKind::Kfunc);
                        let manner = manner(name, *weak, kind);
                        if let (LinkTarget::Extern(_), false) = (&target, manner.is_empty()) {
                            let remark = format!("a call of `{}`{manner}", shown(name));
                            self.spend(remark.len())?;
                            program.text_remarks.insert(at, remark);
                        }
                        program.relocate(at, field, kind, target);
                        Ok(name.clone())
                    }
                }
                Named::Unsaid(what) => Err(what.clone()),
            };
            match operand {
                Ok(operand) => {
                    self.clear_second(program, at);
                    // The relocation has the name, too.
                    self.spend(2 * operand.len())?;
                    program.operands.insert(at, operand);
                }
                Err(remark) => self.remark(program, at, shown(&remark))?,
            }
        }
        Ok(())
    }

    /// Returns a jump table for a function that begins at the slot `start` of its program; the inner error is a remark.
    fn jump_table(
        &self,
        symbol: usize,
        function: &Function,
        start: usize,
        is_start: impl Fn(usize) -> bool,
    ) -> Result<Result<Arc<JumpTable>, String>, ObjectError> {
        let Some(symbol) = self.raw.symbols.get(symbol) else {
            return Ok(Err("a jump table that there is not".into()));
        };
        let name = shown(&symbol.name);
        let table = match elements(self.raw, symbol) {
            Ok(elements) => {
                self.elements.set(self.elements.get().saturating_add(elements.len()));
                if self.elements.get() > MOST_ELEMENTS {
                    let problem =
                        "the jump tables of its programs have more than 4,194,304 elements";
                    return Err(ObjectError::File { problem });
                }
                jump_table(&name, elements, function, start, is_start)
            }
            Err(problem) => Err(problem.into()),
        };
        let named = |problem| format!("jump table `{name}`: {problem}");
        Ok(table.map(Arc::new).map_err(named))
    }

    /// Returns the settings, and the index of the one of this name.
    fn setting(&self, name: &str) -> Option<(Arc<Kconfig>, u32)> {
        let config = self.kconfig.as_ref()?;
        let index = *self.settings.get(name)?;
        Some((Arc::clone(config), index))
    }

    fn wanted(&self, name: &str, weak: bool, type_id: u32) -> Extern {
        Extern { name: name.into(), weak, types: Arc::clone(&self.types), type_id }
    }

    /// Returns the CO-RE relocation of an instruction.
    fn core(
        &self,
        program: &ObjectProgram,
        at: usize,
        relocated: &Relocated,
    ) -> Option<(RelocField, CoreReloc)> {
        let insn = program.slots.get(at).copied()?;
        relocated.core(insn, program.slots.get(at + 1).copied(), &self.types)
    }

    /// The second half of an address: whoever fills it in asks only for the first.
    fn clear_second(&self, program: &mut ObjectProgram, at: usize) {
        if program.slots.get(at).is_some_and(|insn| insn.is_wide())
            && let Some(second) = program.slots.get_mut(at + 1)
        {
            *second = second.with_imm(0);
        }
    }
}
