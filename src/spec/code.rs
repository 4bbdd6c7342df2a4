//! Assembled code, with its relocations.

use super::{Data, Hook, MapSpec, ObjectCode, Reloc};
use crate::insn::Insn;
use crate::util::lines::line_breaks;

/// Assembled code: slots, the relocations that are resolved at load, and the source they come from.
///
/// [`bpf!`](crate::bpf) makes it at compile time, so that all of it is read-only data of the program.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// The slots as the kernel takes them, except for the relocations.
    pub slots: &'a [Insn],
    /// The relocations, in the order of the slots.
    pub relocations: &'a [Reloc<'a>],
    /// The labels.
    pub labels: CodeLabels<'a>,
    /// The maps that relocations name.
    pub maps: &'a [MapSpec<'a>],
    /// The data whose addresses are loaded: strings, and the variables of a text.
    pub data: Data<'a>,
    /// The position of each statement in the slots and in the source, in order.
    pub lines: &'a [Line],
    /// The text that `lines` points into.
    pub text: &'a str,
    /// The file that contains the text.
    pub file: &'a str,
    /// The line of the file in which the first statement begins; for `bpf!`, that of the whole block.
    pub line: u32,
    /// Whether the text has the line breaks of the file. That of `bpf!` does not.
    pub breaks: bool,
    /// The functions and source lines that an object file has for it.
    pub object: Option<ObjectCode<'a>>,
    /// The loader's resolver of the relocations; `None` if there are none.
    #[doc(hidden)]
    pub resolver: Option<Hook>,
}

/// The labels of code that have names.
#[derive(Debug, Clone, Copy)]
pub struct CodeLabels<'a> {
    /// The text that contains the names.
    pub text: &'a str,
    /// The labels, in the order of their slots.
    pub places: &'a [LabelPlace],
}

/// A label of code: its slot, and the position of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelPlace {
    /// The index of the slot after the label.
    pub slot: u32,
    /// The start of the name in the text of the [`CodeLabels`], in bytes.
    pub start: u32,
    /// The end of the name, in bytes.
    pub end: u32,
}

impl<'a> CodeLabels<'a> {
    /// No labels.
    pub const NONE: CodeLabels<'static> = CodeLabels { text: "", places: &[] };

    /// Iterates over the slot and the name of each label.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &'a str)> + use<'a> {
        let CodeLabels { text, places } = *self;
        places.iter().filter_map(move |place| {
            Some((place.slot, text.get(place.start as usize..place.end as usize)?))
        })
    }
}

/// The piece of the source that a run of slots comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The index of the statement's first slot.
    pub slot: u32,
    /// The start of the statement in the text, in bytes.
    pub start: u32,
    /// The end of the statement, in bytes.
    pub end: u32,
}

impl<'a> Code<'a> {
    /// Wraps slots without relocations and without source. `file` is their name in messages.
    pub const fn from_slots(slots: &'a [Insn], file: &'a str) -> Code<'a> {
        Code {
            slots,
            relocations: &[],
            labels: CodeLabels::NONE,
            maps: &[],
            data: Data::NONE,
            lines: &[],
            text: "",
            file,
            line: 1,
            breaks: false,
            object: None,
            resolver: None,
        }
    }

    /// Returns the functions and source lines that an object file has for it. A program that reads no objects does not contain what is
    /// made of them.
    pub(crate) const fn of_object(&self) -> Option<ObjectCode<'a>> {
        if cfg!(feature = "elf") { self.object } else { None }
    }

    /// Returns the statement that the slot comes from, on one line; `None` past the end.
    pub fn statement(&self, slot: usize) -> Option<String> {
        let line = self.line_of(slot)?;
        let text = self.text.get(line.start as usize..line.end as usize)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Returns the piece of the source that the slot comes from; `None` past the end.
    pub fn line_of(&self, slot: usize) -> Option<&'a Line> {
        if slot >= self.slots.len() {
            return None;
        }
        let after = self.lines.partition_point(|line| line.slot as usize <= slot);
        self.lines.get(after.checked_sub(1)?)
    }

    /// Returns the line of the file in which the slot's statement begins: for `bpf!`, that of the whole block.
    pub fn line_number(&self, slot: usize) -> u32 {
        let (true, Some(first), Some(line)) = (self.breaks, self.lines.first(), self.line_of(slot))
        else {
            return self.line;
        };
        // Statements of a builder can be in any order in the text.
        let (low, high) = (first.start.min(line.start), first.start.max(line.start));
        let between = self.text.as_bytes().get(low as usize..high as usize).unwrap_or_default();
        let breaks = line_breaks(between);
        if low == first.start {
            self.line.saturating_add(breaks)
        } else {
            self.line.saturating_sub(breaks)
        }
    }

    /// Returns the label directly before the slot: the name of a function that begins there.
    pub fn label(&self, slot: usize) -> Option<&'a str> {
        let places = self.labels.places;
        let after = places.partition_point(|label| label.slot as usize <= slot);
        let label = places.get(after.checked_sub(1)?).filter(|at| at.slot as usize == slot)?;
        self.labels.text.get(label.start as usize..label.end as usize)
    }
}
