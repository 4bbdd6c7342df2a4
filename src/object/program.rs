//! A program of an object file: its code as the text has it, and what a collection needs beside that.

use super::collection::LinkReloc;
use super::functions::Spot;
use crate::insn::Insn;
use crate::spec::Line;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A program of an [`Object`](super::Object), with the functions that it calls behind it.
#[derive(Debug, Clone)]
pub struct ObjectProgram {
    pub(super) name: String,
    /// The place of its first instruction.
    pub(super) at: Spot,
    /// The name of its section.
    pub(super) section: String,
    pub(super) target: Option<String>,
    /// Whether a struct of functions has it.
    pub(super) in_table: bool,
    /// Whether its section says that it is loaded with the others.
    pub(super) autoload: bool,
    /// Whether it is a function that no program calls.
    pub(super) uncalled: bool,
    /// The records of the kernel about its functions and its source lines.
    pub(super) function_info: Vec<[u32; 2]>,
    pub(super) line_info: Vec<[u32; 4]>,
    /// The slot at which each of its functions begins, by the number of the function.
    pub(super) pieces: HashMap<usize, usize>,
    /// The same program with its functions in the order in which they are loaded, if that is another.
    pub(super) loaded: Option<Box<ObjectProgram>>,
    pub(super) slots: Vec<Insn>,
    /// The names of functions, where they begin.
    pub(super) functions: BTreeMap<usize, String>,
    /// The targets of addresses and of calls of functions elsewhere, by slot.
    pub(super) operands: HashMap<usize, String>,
    /// Instructions with a name of the kernel's in place of a number.
    pub(super) adjusted: HashMap<usize, Adjusted>,
    /// The relocations, in the order of the slots.
    pub(super) relocations: Vec<LinkReloc>,
    /// Remarks on what neither the language nor a collection has.
    pub(super) remarks: HashMap<usize, Vec<String>>,
    /// Remarks on what a collection has and the language does not.
    pub(super) text_remarks: HashMap<usize, String>,
    /// The source lines of instructions with such remarks.
    pub(super) source_lines: HashMap<usize, String>,
    /// Jumps out of a function, and calls of what is not here.
    pub(super) astray: HashSet<usize>,
}

/// An instruction with a name of the kernel's in it.
#[derive(Debug, Clone)]
pub(super) struct Adjusted {
    pub name: String,
    /// All of it.
    pub statement: String,
}

impl ObjectProgram {
    /// The name of its function, made such as the language has names.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its attach point, as `.program` says it; `None` if the name of its section does not say.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Its slots and those of the functions that it calls, with calls led there. Addresses, and numbers that the text has names of the kernel's
    /// for, are not filled in.
    pub fn slots(&self) -> &[Insn] {
        &self.slots
    }

    /// Returns the name in the instruction in a slot: a map, a variable, a function that is elsewhere, or the field of the kernel's whose
    /// offset it takes.
    pub fn named(&self, slot: usize) -> Option<&str> {
        let adjusted = || Some(self.adjusted.get(&slot)?.name.as_str());
        self.operands.get(&slot).map(String::as_str).or_else(adjusted)
    }

    /// Gives the functions of the program as it is loaded the names that they have in its listing.
    pub(super) fn name_loaded(&mut self) {
        let Some(loaded) = &mut self.loaded else { return };
        loaded.name.clone_from(&self.name);
        for (number, start) in &loaded.pieces {
            let listed = self.pieces.get(number).and_then(|start| self.functions.get(start));
            if let (Some(listed), Some(name)) = (listed, loaded.functions.get_mut(start)) {
                name.clone_from(listed);
            }
        }
    }

    /// Returns the lines of the listing in the order in which the program is loaded.
    pub(super) fn loaded_lines(&self, lines: &[Line]) -> Vec<Line> {
        let Some(loaded) = &self.loaded else { return lines.to_vec() };
        let mut starts: Vec<_> = self.pieces.values().copied().collect();
        starts.sort_unstable();
        let mut order: Vec<_> = loaded
            .pieces
            .iter()
            .filter_map(|(number, to)| Some((*to, *self.pieces.get(number)?)))
            .collect();
        order.sort_unstable();
        let mut moved = Vec::with_capacity(lines.len());
        for (to, from) in order {
            let next = starts.iter().copied().find(|start| *start > from).unwrap_or(usize::MAX);
            let at = |slot: usize| lines.partition_point(|line| (line.slot as usize) < slot);
            let own = lines.get(at(from)..at(next)).unwrap_or_default();
            // Programs have fewer slots than 2^22.
            moved.extend(
                own.iter().map(|line| Line { slot: line.slot - from as u32 + to as u32, ..*line }),
            );
        }
        moved
    }
}
