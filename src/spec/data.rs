//! Data of programs: sections, and the variables in them.

use super::{DataSection, DataTypes};

/// A data section. It becomes a map of one element, whose bytes instructions address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// Constants: neither programs nor, once the map is created, system calls can write them.
    Rodata = 0,
    /// Variables with initial values.
    Data = 1,
    /// Variables that are initially 0.
    Bss = 2,
}

impl Section {
    /// All sections, in order.
    pub const ALL: [Section; 3] = [Section::Rodata, Section::Data, Section::Bss];

    /// Returns its name, which is that of its map: `.rodata`.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Rodata => ".rodata",
            Section::Data => ".data",
            Section::Bss => ".bss",
        }
    }
}

/// The initial bytes of all sections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Data<'a> {
    /// [`Section::Rodata`], with the strings whose addresses are loaded.
    pub rodata: &'a [u8],
    /// [`Section::Data`].
    pub data: &'a [u8],
    /// [`Section::Bss`].
    pub bss: &'a [u8],
    /// The variables in the sections. The loader does not need them: they are for tools that show the maps.
    pub variables: &'a [Variable<'a>],
    /// The types of the sections that an object file has, in the order of [`Section::ALL`].
    pub types: [Option<&'a DataTypes>; 3],
    /// The sections of an object file that have names of their own.
    pub more: &'a [DataSection],
}

impl<'a> Data<'a> {
    /// No data.
    pub const NONE: Data<'static> = Data::of_strings(&[]);

    /// Returns data that consists of strings only.
    pub(crate) const fn of_strings(rodata: &'a [u8]) -> Data<'a> {
        Data { rodata, data: &[], bss: &[], variables: &[], types: [None; 3], more: &[] }
    }

    /// Returns the bytes of one section.
    pub const fn section(&self, section: Section) -> &'a [u8] {
        match section {
            Section::Rodata => self.rodata,
            Section::Data => self.data,
            Section::Bss => self.bss,
        }
    }
}

/// A variable in a section: a label, and the bytes up to the next one or to the end of the section. Padding of
/// `.align` behind it is not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'t> {
    pub(crate) name: &'t str,
    pub(crate) section: Section,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    /// The size in bytes of the numbers that it was declared with; 0 for text.
    pub(crate) width: u32,
}

impl<'t> Variable<'t> {
    /// Returns its name.
    pub fn name(&self) -> &'t str {
        self.name
    }

    /// Returns its section.
    pub fn section(&self) -> Section {
        self.section
    }

    /// Returns its offset in the section, in bytes.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Returns the size in bytes of the numbers that it was declared with: 1, 2, 4 or 8; 0 if it was declared as
    /// text.
    pub fn width(&self) -> u32 {
        self.width
    }
}
