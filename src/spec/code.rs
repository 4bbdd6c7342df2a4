//! Assembled code, and what is filled into it when it is loaded.

use super::{Data, Hook, MapSpec, Section};
use crate::insn::Insn;
use crate::util::lines::line_breaks;

/// Assembled code: slots, the maps they name, and the source they come from.
///
/// [`bpf!`](crate::bpf) makes it at compile time, so that all of it is read-only data of the program.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// The program as the kernel takes it, but for the maps.
    pub slots: &'a [Insn],
    /// The `lddw` instructions that are to hold the address of a map.
    pub maps: &'a [MapReference<'a>],
    /// The numbers that are to come from the kernel that loads the program.
    pub names: &'a [Name],
    /// The data whose addresses are loaded: strings, and the variables of a text.
    pub data: Data<'a>,
    /// Where each statement's slots begin, in order.
    pub lines: &'a [Line],
    /// The text that `lines` points into.
    pub text: &'a str,
    /// The file in which the text stands.
    pub file: &'a str,
    /// The line of the file in which the first statement begins; of `bpf!`, that of the whole block.
    pub line: u32,
    /// Whether the text has the line breaks of the file. That of `bpf!` has not.
    pub breaks: bool,
    /// The loader's resolver of the maps and names; `None` if there are none.
    #[doc(hidden)]
    pub resolver: Option<Hook>,
}

/// The first slot of an `lddw` that is to hold a map's address.
#[derive(Debug, Clone, Copy)]
pub struct MapReference<'a> {
    /// The index of the slot.
    pub slot: u32,
    /// The map.
    pub map: &'a MapSpec<'a>,
}

/// A number in an instruction that is filled in when the program is loaded, because only then it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The index of the instruction's first slot.
    pub slot: u32,
    /// Which number of the instruction.
    pub part: Part,
    /// What the number says.
    pub ask: Ask,
    /// Where the name starts in the text of the [`Code`], bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

/// A number in an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The 16-bit offset of a load or store.
    Offset = 0,
    /// The immediate: 32 bits, in `lddw` 64.
    Immediate = 1,
}

/// What a number is to say about something that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    /// The offset of a field, bytes, or the value of an enumerator: `task_struct.tgid`, `pid_type.PIDTYPE_TGID`.
    Value,
    /// The size, bytes, of a type or a field: `sizeof(task_struct)`.
    Size,
    /// 1 if there is such a type or field in this kernel, else 0: `exists(task_struct.cpu)`.
    Exists,
    /// The BTF id of a kernel function that is called: `call kfunc bpf_task_acquire`.
    Function,
    /// Nothing of the kernel: the address of a byte in that section of the code's [data](Code::data), at the offset that
    /// the instruction holds.
    Data(Section),
}

/// Which piece of the source a slot comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The index of the statement's first slot.
    pub slot: u32,
    /// Where the statement starts in the text, bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

impl<'a> Code<'a> {
    /// Slots that are complete as they are, and of whose source nothing is known. `file` is what messages call them.
    pub const fn from_slots(slots: &'a [Insn], file: &'a str) -> Code<'a> {
        Code {
            slots,
            maps: &[],
            names: &[],
            data: Data::NONE,
            lines: &[],
            text: "",
            file,
            line: 1,
            breaks: false,
            resolver: None,
        }
    }

    /// The name of something whose number is filled in at load, without white space between its parts.
    pub fn name(&self, name: &Name) -> String {
        let text = self.text.get(name.start as usize..name.end as usize).unwrap_or_default();
        compact(text)
    }

    /// The statement that the slot comes from, on one line; `None` past the end.
    pub fn statement(&self, slot: usize) -> Option<String> {
        let line = self.line_of(slot)?;
        let text = self.text.get(line.start as usize..line.end as usize)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The piece of the source that the slot comes from; `None` past the end.
    pub fn line_of(&self, slot: usize) -> Option<&'a Line> {
        if slot >= self.slots.len() {
            return None;
        }
        let after = self.lines.partition_point(|line| line.slot as usize <= slot);
        self.lines.get(after.checked_sub(1)?)
    }

    /// The line of the file in which the slot's statement begins: of `bpf!`, that of the whole block.
    pub fn line_number(&self, slot: usize) -> u32 {
        let (true, Some(first), Some(line)) = (self.breaks, self.lines.first(), self.line_of(slot))
        else {
            return self.line;
        };
        // Statements of a builder can stand in any order in the text.
        let (low, high) = (first.start.min(line.start), first.start.max(line.start));
        let between = self.text.as_bytes().get(low as usize..high as usize).unwrap_or_default();
        let breaks = line_breaks(between);
        if low == first.start {
            self.line.saturating_add(breaks)
        } else {
            self.line.saturating_sub(breaks)
        }
    }

    /// The label that stands right before the slot's statement: the name of a function that begins there.
    pub fn label(&self, slot: usize) -> Option<&'a str> {
        let line = self.line_of(slot).filter(|line| line.slot as usize == slot)?;
        let before = self.text.get(..line.start as usize)?.trim_end().strip_suffix(':')?.trim_end();
        let start = before.rfind(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
        let name = before.get(start.map_or(0, |start| start + 1)..)?;
        (!name.is_empty()).then_some(name)
    }
}

/// A path without the white space that may stand around its punctuation; between two words one space stays.
fn compact(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let joins = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        if joins(path.as_bytes().last()) && joins(word.as_bytes().first()) {
            path.push(' ');
        }
        path.push_str(word);
    }
    path
}
