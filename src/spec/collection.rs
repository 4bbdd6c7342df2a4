//! Collections: programs with the maps and the data that they share, from a text or an object.

use super::{
    Code, CodeLabels, Data, DataSection, DataTypes, LabelPlace, Line, MapSpec, ObjectCode,
    ObjectTypes, Reloc, Variable,
};
use crate::insn::Insn;
use crate::util::lines::line_breaks;
use std::borrow::Cow;
use std::fmt;
use std::os::fd::BorrowedFd;

/// Programs, and the maps and the data that they share: the result of [`parse`](crate::asm::parse()) for a text and of
/// [`Object::collection`](crate::object::Object::collection) for an object. A [`Loader`](crate::Loader) loads it.
///
/// Before that, its variables, programs and maps are changed by their names:
///
/// ```no_run
/// use rawbpf::Loader;
/// use rawbpf::asm::{ParseOptions, parse};
///
/// let text = ".map counts, hash, key=4, value=8, max=16\n.rodata\nlimit: .quad 10\n.text\n\
///     .program first, kprobe/do_exit\nr1 = counts ll\nr1 = limit ll\nr0 = 0\nexit\n\
///     .program second, kprobe/do_exit\nr0 = 0\nexit\n";
/// let mut collection = parse(text, "two.s", &ParseOptions::new())?;
/// collection.variable("limit")?.set(&1000_u64)?;
/// collection.program_mut("second")?.set_autoload(false);
/// collection.map_mut("counts")?.max_entries = 4096;
///
/// let mut loader = Loader::new();
/// let programs = loader.load_collection(&collection)?;
/// let attached = rawbpf::attach::attach_collection(&mut loader, &collection, &programs)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Collection<'a> {
    pub(crate) file: Cow<'a, str>,
    pub(crate) license: Option<Cow<'a, str>>,
    pub(crate) maps: Vec<MapSpec<'a>>,
    pub(crate) data: CollectionData<'a>,
    pub(crate) programs: Vec<CollectionProgram<'a>>,
    pub(crate) externs: Vec<Cow<'a, str>>,
}

/// One program of a [`Collection`].
#[derive(Debug, Clone)]
pub struct CollectionProgram<'a> {
    pub(crate) name: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) assembly: Assembly<'a>,
    /// Its section, functions and source lines, if it is from an object file.
    pub(crate) object: Option<ObjectCode<'a>>,
    pub(crate) autoload: bool,
    /// Whether the user has said so.
    pub(crate) autoload_set: bool,
    /// The program whose function it is for.
    pub(crate) target_program: Option<BorrowedFd<'a>>,
}

/// The bytes of the data sections, and the variables in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct CollectionData<'a> {
    /// The sections, in the order of [`Section::ALL`](super::Section::ALL).
    pub sections: [Vec<u8>; 3],
    /// The variables, in the order of the labels.
    pub variables: Vec<Variable<'a>>,
    /// The types of the sections of an object file.
    pub types: [Option<&'a DataTypes>; 3],
    /// The sections of an object file that have names of their own.
    pub more: Vec<DataSection>,
    /// The declarations of variables in C.
    pub declarations: Option<Declarations<'a>>,
}

/// The declarations of the variables of an object file. They are made when they are asked for: many variables can have one long type.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "elf"), allow(dead_code, reason = "what reads objects makes it"))]
pub(crate) struct Declarations<'a> {
    /// The BTF that has them.
    pub types: &'a ObjectTypes,
    /// Finds the declaration of a variable in a blob by its name: a function of the module that reads objects.
    pub find: fn(&[u8], &str) -> Option<String>,
}

impl fmt::Debug for Declarations<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Declarations")
    }
}

impl<'a> Collection<'a> {
    /// Returns the name of its file in messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the license that it declares: in a text by `.license`, in an object in the section `license`. A text
    /// that declares none has the GPL, as in [`ProgramSpec::new`](super::ProgramSpec::new); an object has none.
    pub fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    /// Returns the maps that it declares.
    pub fn maps(&self) -> &[MapSpec<'a>] {
        &self.maps
    }

    /// Returns the bytes of `.rodata`, `.data` and `.bss`, and the variables in them.
    pub fn data(&self) -> Data<'_> {
        let [rodata, data, bss] = &self.data.sections;
        let (types, more) = (self.data.types, &self.data.more);
        Data { rodata, data, bss, variables: self.variables(), types, more }
    }

    /// Returns the variables, in the order of the labels.
    pub fn variables(&self) -> &[Variable<'a>] {
        &self.data.variables
    }

    /// Returns the external names that only the kernel can define: functions that its programs call.
    pub fn externs(&self) -> impl Iterator<Item = &str> {
        self.externs.iter().map(|name| &**name)
    }

    /// Returns the programs. Code of a text before the first `.program` is a program of its own, `main`.
    pub fn programs(&self) -> &[CollectionProgram<'a>] {
        &self.programs
    }
}

impl<'a> CollectionProgram<'a> {
    /// A program of a text.
    pub(crate) fn new(
        name: &'a str,
        target: Option<&'a str>,
        assembly: Assembly<'a>,
    ) -> CollectionProgram<'a> {
        CollectionProgram {
            name,
            target,
            assembly,
            object: None,
            autoload: true,
            autoload_set: false,
            target_program: None,
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns its attach target, as in `.program`: `kprobe/sys_clone`.
    pub fn target(&self) -> Option<&'a str> {
        self.target
    }

    /// Returns its code without the maps, the data and the loader's resolver.
    pub(crate) fn unresolved(&self) -> Code<'_> {
        Code { object: self.object, ..self.assembly.unresolved() }
    }

    /// Returns its slots, with zeros in place of addresses that are filled in at load.
    pub fn slots(&self) -> &[Insn] {
        self.assembly.unresolved().slots
    }

    /// Returns the relocations. They refer to maps of the collection by name.
    pub fn relocations(&self) -> &[Reloc<'a>] {
        &self.assembly.relocations
    }

    /// Returns the statement that a slot comes from; `None` past the end.
    pub fn statement(&self, slot: usize) -> Option<String> {
        self.assembly.unresolved().statement(slot)
    }
}

/// Labels with names, in the form of [`CodeLabels`].
#[derive(Debug, Clone, Default)]
pub(crate) struct NamedLabels {
    pub text: String,
    pub places: Vec<LabelPlace>,
}

impl NamedLabels {
    /// Adds a label after the existing ones.
    pub fn push(&mut self, name: &str, slot: u32) {
        // Code has fewer labels than memory holds, and 4 GiB of names are beyond that.
        let start = self.text.len() as u32;
        self.text.push_str(name);
        let end = self.text.len() as u32;
        self.places.push(LabelPlace { slot, start, end });
    }
}

/// Finished code, which can be borrowed as [`Code`].
#[derive(Debug, Clone)]
pub struct Assembly<'a> {
    slots: Vec<Insn>,
    relocations: Vec<Reloc<'a>>,
    labels: NamedLabels,
    lines: Vec<Line>,
    text: &'a str,
    file: &'a str,
    line: u32,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(
        mut slots: Vec<Insn>,
        relocations: Vec<Reloc<'a>>,
        labels: NamedLabels,
        mut lines: Vec<Line>,
    ) -> Assembly<'a> {
        // The last source position may not have been followed by an instruction.
        if lines.last().is_some_and(|line| line.slot as usize >= slots.len()) {
            lines.pop();
        }
        // Excess capacity is released if it is much.
        if slots.capacity() / 2 > slots.len() {
            slots.shrink_to_fit();
        }
        if lines.capacity() / 2 > lines.len() {
            lines.shrink_to_fit();
        }
        Assembly { slots, relocations, labels, lines, text: "", file: "", line: 0 }
    }

    /// Sets the text that [`Builder::at`](crate::asm::Builder::at) refers to, the file that contains it, and the line
    /// of the file at which it begins.
    pub fn with_source(self, text: &'a str, file: &'a str, line: u32) -> Assembly<'a> {
        let before = self.lines.first().and_then(|first| text.get(..first.start as usize));
        let line = line.saturating_add(line_breaks(before.unwrap_or_default().as_bytes()));
        self.with_source_at(text, file, line)
    }

    /// Sets the source and the line of the file in which the first statement begins, where that is known: counting
    /// lines up to each program of a long text would take long.
    pub(crate) fn with_source_at(
        mut self,
        text: &'a str,
        file: &'a str,
        line: u32,
    ) -> Assembly<'a> {
        (self.text, self.file, self.line) = (text, file, line);
        self
    }

    /// Returns the start of the first statement in the text, in bytes.
    pub(crate) fn first_statement(&self) -> Option<u32> {
        self.lines.first().map(|line| line.start)
    }

    /// Returns the code without the loader's resolver.
    pub(crate) fn unresolved(&self) -> Code<'_> {
        Code {
            slots: &self.slots,
            relocations: &self.relocations,
            labels: CodeLabels { text: &self.labels.text, places: &self.labels.places },
            maps: &[],
            data: Data::NONE,
            lines: &self.lines,
            text: self.text,
            file: self.file,
            line: self.line,
            breaks: true,
            object: None,
            resolver: None,
        }
    }
}
