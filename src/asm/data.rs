//! The data sections of a text, while it is being parsed.

use crate::spec::{CollectionData, Section, Variable};

/// The most bytes of a section: the verifier takes no higher offset into a value (`BPF_MAX_VAR_OFF`).
pub(super) const MOST: usize = 1 << 29;

/// One section while it is being written.
#[derive(Debug, Clone, Default)]
struct Bytes {
    bytes: Vec<u8>,
    /// Trailing zeros, which take no memory until something follows them or the bytes are needed.
    zeros: usize,
    /// The end of the last byte that is not alignment padding.
    filled: usize,
    /// The variables whose end is not known yet: all of them begin at the same byte.
    open: Vec<usize>,
}

impl Bytes {
    fn len(&self) -> usize {
        self.bytes.len() + self.zeros
    }

    /// Writes out the zeros. For an empty section the allocator has zeroed memory ready.
    fn settle(&mut self) {
        let length = self.len();
        if self.bytes.is_empty() {
            self.bytes = vec![0; length];
        } else {
            self.bytes.resize(length, 0);
        }
        self.zeros = 0;
    }
}

/// The sections of a text, and the variables in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sections<'t> {
    sections: [Bytes; 3],
    variables: Vec<Variable<'t>>,
}

impl<'t> Sections<'t> {
    /// The current size of a section in bytes.
    pub(super) fn len(&self, section: Section) -> usize {
        self.sections[section as usize].len()
    }

    /// Adds a label; returns its offset.
    pub(super) fn label(&mut self, section: Section, name: &'t str) -> u32 {
        let offset = self.len(section) as u32;
        let open = self.sections[section as usize].open.first();
        let here = open.and_then(|first| self.variables.get(*first)).map(|first| first.offset);
        // Two labels before the same byte are two names of one variable.
        if here != Some(offset) {
            self.end(section);
        }
        self.sections[section as usize].open.push(self.variables.len());
        self.variables.push(Variable { name, section, offset, size: 0, width: 0 });
        offset
    }

    /// Appends declared bytes, as numbers of `width` bytes or text (0).
    pub(super) fn push(
        &mut self,
        section: Section,
        bytes: impl IntoIterator<Item = u8>,
        width: u32,
    ) {
        self.declared(section, width);
        let here = &mut self.sections[section as usize];
        if here.len() > MOST {
            return;
        }
        here.settle();
        here.bytes.extend(bytes);
        here.filled = here.bytes.len();
    }

    /// Appends `count` zeros.
    pub(super) fn zeros(&mut self, section: Section, count: usize) {
        let width = if matches!(count, 1 | 2 | 4 | 8) { count as u32 } else { 0 };
        self.declared(section, width);
        let here = &mut self.sections[section as usize];
        // Beyond the limit the exact count does not matter.
        if here.len() <= MOST {
            here.zeros += count;
        }
        here.filled = here.len();
    }

    /// Appends zeros up to a multiple of `to`.
    pub(super) fn align(&mut self, section: Section, to: usize) {
        let here = &mut self.sections[section as usize];
        here.zeros += here.len().next_multiple_of(to) - here.len();
    }

    /// Adds a string without a name; returns its offset.
    pub(super) fn text(&mut self, bytes: impl Iterator<Item = u8>) -> u32 {
        self.end(Section::Rodata);
        let place = self.len(Section::Rodata) as u32;
        self.push(Section::Rodata, bytes, 0);
        place
    }

    /// Records the width of the variables that begin here, if it is not set yet.
    fn declared(&mut self, section: Section, width: u32) {
        let here = &self.sections[section as usize];
        let length = here.len() as u32;
        for index in &here.open {
            if let Some(variable) = self.variables.get_mut(*index)
                && variable.offset == length
            {
                variable.width = width;
            }
        }
    }

    /// Ends the open variables of a section here.
    fn end(&mut self, section: Section) {
        let here = &mut self.sections[section as usize];
        for index in here.open.drain(..) {
            if let Some(variable) = self.variables.get_mut(index) {
                variable.size = (here.filled as u32).saturating_sub(variable.offset);
            }
        }
    }

    /// Ends all sections, at the end of the text.
    pub(super) fn finish(mut self) -> CollectionData<'t> {
        for section in Section::ALL {
            self.end(section);
            self.sections[section as usize].settle();
        }
        let Sections { sections, variables } = self;
        let sections = sections.map(|section| section.bytes);
        CollectionData { sections, variables, ..CollectionData::default() }
    }
}
