//! Collections: programs with the maps and the data that they share, as a text or an object holds them.

use super::{Code, CodeLabels, Data, LabelPlace, Line, MapSpec, Reloc, Section, Variable};
use crate::error::{Error, Result};
use crate::insn::Insn;
use crate::util::lines::line_breaks;
use crate::util::nearest::{Nearest, OFFERED};
use std::borrow::Cow;

/// Programs, and the maps and the data that they share: what [`parse`](crate::asm::parse()) makes of a text and
/// [`Object::collection`](crate::object::Object::collection) of an object. A [`Loader`](crate::Loader) loads it.
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
}

/// The bytes of the sections of data, and what has a name in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct CollectionData<'a> {
    /// In the order of [`Section::ALL`].
    pub sections: [Vec<u8>; 3],
    /// In the order of the labels.
    pub variables: Vec<Variable<'a>>,
}

impl<'a> Collection<'a> {
    /// The file that it comes from, as messages call it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The license that it declares: in a text by `.license`, in an object in the section `license`. A text that declares
    /// none is under the GPL, as [`ProgramSpec::new`](super::ProgramSpec::new) has it; an object is under none.
    pub fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    /// The maps that it declares.
    pub fn maps(&self) -> &[MapSpec<'a>] {
        &self.maps
    }

    /// The bytes of `.rodata`, `.data` and `.bss`, and the variables in them.
    pub fn data(&self) -> Data<'_> {
        let [rodata, data, bss] = &self.data.sections;
        Data { rodata, data, bss, variables: self.variables() }
    }

    /// What has a name in the data, in the order of the labels.
    pub fn variables(&self) -> &[Variable<'a>] {
        &self.data.variables
    }

    /// What its programs name that is in no other place than the kernel: functions that they call.
    pub fn externs(&self) -> impl Iterator<Item = &str> {
        self.externs.iter().map(|name| &**name)
    }

    /// Gives a variable a value, in place of the one that is declared: before anything of this collection is loaded.
    /// The verifier knows what is in `.rodata`, so that code which a constant there rules out costs nothing.
    ///
    /// ```
    /// use rawbpf::asm::{ParseOptions, parse};
    ///
    /// let text = ".rodata\nlimit: .word 10\n.text\nr1 = limit ll\nr0 = *(u32 *)(r1 + 0)\nexit\n";
    /// let mut collection = parse(text, "limit.s", &ParseOptions::new())?;
    /// collection.set("limit", &20u32.to_ne_bytes())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoVariable`] if there is none of that name, and [`Error::ValueSize`] if it has another size.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.data.set(name, value)
    }

    /// The programs. Code of a text before the first `.program` is one of its own, `main`.
    pub fn programs(&self) -> &[CollectionProgram<'a>] {
        &self.programs
    }
}

impl CollectionData<'_> {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let Some(variable) = self.variables.iter().find(|variable| variable.name == name) else {
            let mut nearest = Nearest::new(name, OFFERED);
            self.variables.iter().for_each(|variable| nearest.offer(variable.name));
            return Err(Error::NoVariable { name: name.into(), nearest: nearest.into_names() });
        };
        let Variable { section, offset, size, .. } = *variable;
        let bytes = match (section, &mut self.sections) {
            (Section::Rodata, [bytes, ..]) => bytes,
            (Section::Data, [_, bytes, _]) => bytes,
            (Section::Bss, [.., bytes]) => bytes,
        };
        let place = bytes.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..size as usize));
        match place {
            Some(place) if place.len() == value.len() => {
                place.copy_from_slice(value);
                Ok(())
            }
            _ => {
                let (name, given) = (name.into(), value.len());
                Err(Error::ValueSize { what: "variable", name, size, given })
            }
        }
    }
}

impl<'a> CollectionProgram<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Where it is to be attached, as `.program` says: `kprobe/sys_clone`.
    pub fn target(&self) -> Option<&'a str> {
        self.target
    }

    /// Its code without the maps, the data and the loader's resolver.
    pub(crate) fn unresolved(&self) -> Code<'_> {
        self.assembly.unresolved()
    }

    /// Its slots, with zeros where addresses are to be filled in.
    pub fn slots(&self) -> &[Insn] {
        self.assembly.unresolved().slots
    }

    /// What is filled in at load. Maps of the collection stand there by their names.
    pub fn relocations(&self) -> &[Reloc<'a>] {
        &self.assembly.relocations
    }

    /// The statement that a slot comes from; `None` past the end.
    pub fn statement(&self, slot: usize) -> Option<String> {
        self.assembly.unresolved().statement(slot)
    }
}

/// Labels with names, as [`CodeLabels`] has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamedLabels {
    pub text: String,
    pub places: Vec<LabelPlace>,
}

impl NamedLabels {
    /// Adds a label behind those that are there.
    pub fn push(&mut self, name: &str, slot: u32) {
        // Code has fewer labels than memory holds, and 4 GiB of names are beyond that.
        let start = self.text.len() as u32;
        self.text.push_str(name);
        let end = self.text.len() as u32;
        self.places.push(LabelPlace { slot, start, end });
    }
}

/// Finished code, which lends itself as [`Code`].
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
        // The last word on where things come from may have been followed by nothing.
        if lines.last().is_some_and(|line| line.slot as usize >= slots.len()) {
            lines.pop();
        }
        // Room that was made for more is given back if it is much.
        if slots.capacity() / 2 > slots.len() {
            slots.shrink_to_fit();
        }
        if lines.capacity() / 2 > lines.len() {
            lines.shrink_to_fit();
        }
        Assembly { slots, relocations, labels, lines, text: "", file: "", line: 0 }
    }

    /// The same with the text that [`Builder::at`](crate::asm::Builder::at) spoke of, the file in which it stands, and the line of the file at
    /// which it begins.
    pub fn with_source(self, text: &'a str, file: &'a str, line: u32) -> Assembly<'a> {
        let before = self.lines.first().and_then(|first| text.get(..first.start as usize));
        let line = line.saturating_add(line_breaks(before.unwrap_or_default().as_bytes()));
        self.with_source_at(text, file, line)
    }

    /// The same with the line of the file in which the first statement begins, where that is known: to count up to each
    /// program of a long text takes long.
    pub(crate) fn with_source_at(
        mut self,
        text: &'a str,
        file: &'a str,
        line: u32,
    ) -> Assembly<'a> {
        (self.text, self.file, self.line) = (text, file, line);
        self
    }

    /// Where in the text the first statement begins, bytes.
    pub(crate) fn first_statement(&self) -> Option<u32> {
        self.lines.first().map(|line| line.start)
    }

    /// The code without the loader's resolver.
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
            resolver: None,
        }
    }
}
