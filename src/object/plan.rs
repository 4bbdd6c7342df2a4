//! The layout of an object: its functions, their sections, and the targets of their instructions.

use super::cores::{self, Core};
use super::{maps, target};
use crate::asm::{
    Code, Collection, CollectionProgram, Instructions, Mistake, Place, Reloc, RelocKind,
    RelocTarget, Section, place,
};
use crate::btf::KernelTypes;
use crate::insn::{Insn, Op, Pseudo};
use crate::program::functions;
use object::elf::{self, RelocationType};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The section of functions that programs call: libbpf looks for them nowhere else.
const TEXT: &str = ".text";

/// The functions of all programs, sorted into sections, and what is wrong with them.
pub(super) struct Plan<'m> {
    module: &'m Collection<'m>,
    text: &'m str,
    pub mistakes: Vec<Mistake>,
    /// The sections with instructions, [`TEXT`] first.
    pub codes: Vec<CodeSection>,
    /// The indices of those with programs, by their names.
    sections: HashMap<String, usize>,
    /// In the order of the programs, and of their slots.
    pub functions: Vec<Function>,
    /// The indices of the maps by their names.
    maps: HashMap<&'m str, usize>,
}

/// A section with instructions.
pub(super) struct CodeSection {
    pub name: String,
    pub slots: Vec<Insn>,
    /// The slots that are to hold addresses, how, and of what.
    pub relocations: Vec<(u32, RelocationType, To)>,
    /// The slots with names of the kernel.
    pub cores: Vec<(u32, Core)>,
}

impl CodeSection {
    fn new(name: String) -> CodeSection {
        let (slots, relocations, cores) = (Vec::new(), Vec::new(), Vec::new());
        CodeSection { name, slots, relocations, cores }
    }
}

/// The target of a relocated instruction.
#[derive(Clone, Copy)]
pub(super) enum To {
    /// By its index in [`Plan::functions`].
    Function(usize),
    Map(usize),
    /// A place in a section, bytes.
    Data(Section, u32),
}

/// A function, as it is in its program and in the object.
pub(super) struct Function {
    pub name: String,
    pub slots: Range<u32>,
    /// The index of its section, and its first slot there.
    pub section: usize,
    pub offset: u32,
}

impl Function {
    /// Returns the slot in its section of the slot with this number in the program.
    pub fn moved(&self, slot: u32) -> u32 {
        slot - self.slots.start + self.offset
    }
}

impl<'m> Plan<'m> {
    /// Plans the object of a text, with the types of a kernel for the names that it has.
    pub fn new(module: &'m Collection<'m>, codes: &[Code<'_>], types: &KernelTypes) -> Plan<'m> {
        let text = module.programs().first().map_or("", |program| program.code().text);
        let text_section = CodeSection::new(TEXT.into());
        let (mistakes, functions, sections) = (Vec::new(), Vec::new(), HashMap::new());
        let maps = module.maps().iter().enumerate().map(|(index, map)| (map.name, index)).collect();
        let mut plan =
            Plan { module, text, mistakes, codes: vec![text_section], sections, functions, maps };
        if module.programs().is_empty() {
            plan.mistake("the text holds no program".into(), 0..0);
        }
        plan.names();
        for map in module.maps() {
            if let Some(why) = maps::refused(map) {
                let message = format!("map `{}` cannot be in an object: {why}", map.name);
                plan.mistake(message, plan.span(map.name));
            }
        }
        for (program, code) in module.programs().iter().zip(codes) {
            plan.program(program, code, types);
        }
        plan
    }

    /// The text, of which the mistakes speak.
    pub fn text(&self) -> &'m str {
        self.text
    }

    pub fn mistake(&mut self, message: String, span: Range<usize>) {
        self.mistakes.push(Mistake { message, start: span.start, end: span.end });
    }

    /// A mistake in the statement of a slot.
    fn wrong(&mut self, code: &Code<'_>, slot: u32, message: String) {
        let line = code.line_of(slot as usize);
        let span = line.map_or(0..0, |line| line.start as usize..line.end as usize);
        self.mistake(message, span);
    }

    /// Returns the place of a piece of the text.
    fn span(&self, piece: &str) -> Range<usize> {
        let start = piece.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let span = start..start.saturating_add(piece.len());
        if self.text.get(span.clone()) == Some(piece) { span } else { 0..0 }
    }

    /// Looks whether every name that others see stands for one thing.
    fn names(&mut self) {
        let programs = self.module.programs().iter().map(|program| program.name());
        let maps = self.module.maps().iter().map(|map| map.name);
        let variables = self.module.variables().iter().map(|variable| variable.name());
        let mut known = HashSet::new();
        let twice: Vec<_> =
            maps.chain(variables).chain(programs).filter(|name| !known.insert(*name)).collect();
        for name in twice {
            let message =
                format!("`{name}` stands for two things, and an object has one of each name");
            self.mistake(message, self.span(name));
        }
    }

    /// Puts the functions of a program into their sections.
    fn program(&mut self, program: &CollectionProgram<'_>, code: &Code<'_>, types: &KernelTypes) {
        let first = self.functions.len();
        for reloc in code.relocations {
            if reloc.kind != RelocKind::Map && !cores::has(reloc.kind) {
                let name = match reloc.target {
                    RelocTarget::Name(name) => name,
                    _ => "",
                };
                let message = format!(
                    "what `{}` is, only the kernel knows that loads the program: an object cannot hold it",
                    reloc.name()
                );
                self.mistake(message, self.span(name));
            }
        }
        let section = match target::section(program.target()) {
            Ok(section) => section,
            Err(why) => {
                let name = program.name();
                let message = format!("program `{name}` cannot be in an object: {why}");
                self.mistake(message, self.span(name));
                target::UNTYPED.into()
            }
        };
        let next = self.codes.len();
        let section = *self.sections.entry(section).or_insert_with_key(|name| {
            self.codes.push(CodeSection::new(name.clone()));
            next
        });

        let starts = functions(program.name(), code);
        let ends = starts.iter().skip(1).map(|(slot, _)| *slot).chain([code.slots.len() as u32]);
        for ((start, name), end) in starts.iter().zip(ends) {
            let section = if *start == 0 { section } else { 0 };
            let Some(place) = self.codes.get_mut(section) else { return };
            let offset = place.slots.len() as u32;
            let slots = code.slots.get(*start as usize..end as usize);
            place.slots.extend(slots.unwrap_or_default());
            let name = name.clone().into_owned();
            self.functions.push(Function { name, slots: *start..end, section, offset });
        }
        self.instructions(program, code, first);
        for reloc in code.relocations.iter().filter(|reloc| cores::has(reloc.kind)) {
            if let Err(problem) = self.core(reloc, first, types) {
                let message = format!("`{}` cannot be in an object: {problem}", reloc.name());
                match reloc.target {
                    RelocTarget::Name(name) => self.mistake(message, self.span(name)),
                    _ => self.wrong(code, reloc.slot, message),
                }
            }
        }
    }

    /// Makes a relocation of a name of the kernel in a program whose functions begin with this one; the error is the problem.
    fn core(&mut self, reloc: &Reloc<'_>, first: usize, types: &KernelTypes) -> Result<(), String> {
        let own = self.functions.get(first..).unwrap_or_default();
        let before = own.partition_point(|function| function.slots.start <= reloc.slot);
        let Some(function) = before.checked_sub(1).and_then(|index| own.get(index)) else {
            return Ok(());
        };
        let (section, moved) = (function.section, function.moved(reloc.slot));
        let core = cores::core(reloc, types)?;
        let Some(place) = self.codes.get_mut(section) else { return Ok(()) };
        core.put(reloc, &mut place.slots, moved as usize)?;
        place.cores.push((moved, core));
        Ok(())
    }

    /// Looks at the instructions of a program, whose functions begin with this one: what they name becomes a relocation.
    fn instructions(&mut self, program: &CollectionProgram<'_>, code: &Code<'_>, first: usize) {
        let references = references(&self.maps, program, code);
        let mut inside = first;
        let mut boundaries = HashSet::new();
        let mut found = Vec::new();
        for instruction in Instructions::from(code.slots, 0) {
            // A text has nothing else.
            let Ok((slot, op)) = instruction else { continue };
            let slot = slot as u32;
            boundaries.insert(slot);
            while self.functions.get(inside).is_some_and(|function| function.slots.end <= slot) {
                inside += 1;
            }
            let Some(function) = self.functions.get(inside) else { continue };
            let (range, name) = (function.slots.clone(), function.name.clone());
            match place(op, slot as usize) {
                Some(Place::Jump(to)) if !(range.start.into()..range.end.into()).contains(&to) => {
                    let message = format!(
                        "this leaves function `{name}`, which has a place of its own in an object"
                    );
                    self.wrong(code, slot, message);
                }
                Some(Place::Function(to)) => {
                    // The first is the program itself.
                    let own = self.functions.get(first + 1..).unwrap_or_default();
                    let called = own
                        .binary_search_by_key(&to, |function| function.slots.start.into())
                        .map(|index| first + 1 + index);
                    match called {
                        Ok(index) => found.push((inside, slot, to as u32, To::Function(index))),
                        Err(_) => {
                            let message = "in an object only functions are called that a program has behind its own instructions".into();
                            self.wrong(code, slot, message);
                        }
                    }
                }
                _ => {}
            }
            if let Some(to) = references.get(&slot) {
                match (op, *to) {
                    (Op::LoadImm64 { kind: Pseudo::MapValue, .. }, To::Map(index)) => {
                        let map = self.module.maps().get(index).map_or("", |map| map.name);
                        let message = format!(
                            "libbpf knows no address in the value of map `{map}`: a variable in .data or .bss has one"
                        );
                        self.wrong(code, slot, message);
                    }
                    _ => found.push((inside, slot, slot, *to)),
                }
            }
            let goes_on = !matches!(
                op,
                Op::Exit | Op::Jump { .. } | Op::JumpLong { .. } | Op::JumpRegister { .. }
            );
            let next = slot + op.slots() as u32;
            if goes_on && next == range.end && (next as usize) < code.slots.len() {
                let message = format!(
                    "function `{name}` goes on into the next one, which has a place of its own in an object"
                );
                self.wrong(code, slot, message);
            }
        }
        for (inside, slot, to, what) in found {
            if matches!(what, To::Function(_)) && !boundaries.contains(&to) {
                self.wrong(code, slot, "this leads into the middle of an instruction".into());
            }
            let Some(function) = self.functions.get(inside) else { continue };
            let (section, moved) = (function.section, function.moved(slot));
            let Some(place) = self.codes.get_mut(section) else { continue };
            let Some(insn) = place.slots.get_mut(moved as usize) else { continue };
            let kind = if insn.is_wide() { elf::R_BPF_64_64 } else { elf::R_BPF_64_32 };
            // As LLVM has them: the offset from the symbol stands in the first slot, and it is the loader that says what kind
            // of address this is; a call is relative to the next instruction.
            let plain = Insn::from_fields(insn.opcode(), insn.dst(), 0, 0, 0);
            *insn = if insn.is_wide() { plain } else { insn.with_imm(-1) };
            if let (true, Some(second)) = (plain.is_wide(), place.slots.get_mut(moved as usize + 1))
            {
                *second = second.with_imm(0);
            }
            place.relocations.push((moved, kind, what));
        }
    }
}

/// The maps and the data that instructions name, by their slots.
fn references(
    maps: &HashMap<&str, usize>,
    program: &CollectionProgram<'_>,
    code: &Code<'_>,
) -> HashMap<u32, To> {
    let relocations = program.relocations().iter().filter(|reloc| reloc.kind == RelocKind::Map);
    let referred = relocations.filter_map(|reloc| {
        let to = match reloc.target {
            RelocTarget::Name(name) => To::Map(*maps.get(name)?),
            RelocTarget::Section(section) => {
                let second = code.slots.get(reloc.slot as usize + 1);
                To::Data(section, second.map_or(0, |second| second.imm() as u32))
            }
            RelocTarget::Map(_)
            | RelocTarget::DataSection(_)
            | RelocTarget::Core(_)
            | RelocTarget::Extern(_)
            | RelocTarget::Kconfig(..)
            | RelocTarget::JumpTable(_) => return None,
        };
        Some((reloc.slot, to))
    });
    referred.collect()
}
