//! Data of programs: sections, and the variables in them.

/// A piece of data that becomes one map of one element, whose bytes instructions address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// Constants: programs cannot write them, and system calls no more once the map is there.
    Rodata = 0,
    /// Variables with values from the start.
    Data = 1,
    /// Variables that are 0 from the start.
    Bss = 2,
}

impl Section {
    /// All of them, in order.
    pub const ALL: [Section; 3] = [Section::Rodata, Section::Data, Section::Bss];

    /// Its name, which is that of its map: `.rodata`.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Rodata => ".rodata",
            Section::Data => ".data",
            Section::Bss => ".bss",
        }
    }
}

/// The bytes of all sections, as programs have them when they are loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Data<'a> {
    /// [`Section::Rodata`], with the strings whose addresses are loaded.
    pub rodata: &'a [u8],
    /// [`Section::Data`].
    pub data: &'a [u8],
    /// [`Section::Bss`].
    pub bss: &'a [u8],
    /// What has a name in them. The loader needs none of it: it is for tools that show the maps.
    pub variables: &'a [Variable<'a>],
}

impl<'a> Data<'a> {
    /// None.
    pub const NONE: Data<'static> = Data::of_strings(&[]);

    /// Strings alone.
    pub(crate) const fn of_strings(rodata: &'a [u8]) -> Data<'a> {
        Data { rodata, data: &[], bss: &[], variables: &[] }
    }

    /// The bytes of one section.
    pub const fn section(&self, section: Section) -> &'a [u8] {
        match section {
            Section::Rodata => self.rodata,
            Section::Data => self.data,
            Section::Bss => self.bss,
        }
    }
}

/// What has a name in a section: a label, and the bytes up to the next one or to the end of the section. Bytes that
/// `.align` fills up behind it do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'t> {
    pub(crate) name: &'t str,
    pub(crate) section: Section,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    /// Of how many bytes the numbers are that it was declared with; 0 of text.
    pub(crate) width: u32,
}

impl<'t> Variable<'t> {
    /// Its name.
    pub fn name(&self) -> &'t str {
        self.name
    }

    /// Where it is.
    pub fn section(&self) -> Section {
        self.section
    }

    /// Where in the section it begins, bytes.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// How many bytes it has.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Of how many bytes the numbers are that it was declared with: 1, 2, 4 or 8; 0 if it was declared as text.
    pub fn width(&self) -> u32 {
        self.width
    }
}
