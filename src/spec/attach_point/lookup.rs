//! Lookups in the table that the compiler can evaluate, so that a program which parses no names does not contain the
//! table; and lookups by types.

use super::table::ROWS;
use super::{ATTACH_POINTS, AttachPoint};
use crate::uapi::{AttachType, ProgramType};
use crate::util::Version;

/// The kernel's treatment of a program that is loaded without an attach type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    /// The attach type that the kernel assumes, which libbpf therefore sends; `None` is 0.
    Is(Option<AttachType>),
    /// The kernel refuses the program: one of several has to be chosen.
    Choose,
}

/// Returns the default attach type of programs of a type.
pub(crate) const fn default_attach_type(of: ProgramType) -> Option<AttachType> {
    match DEFAULTS[of as usize] {
        Default::Is(attach_type) => attach_type,
        Default::Choose => None,
    }
}

/// Returns whether the kernel refuses programs of a type that are loaded without an attach type.
pub(crate) const fn needs_attach_type(of: ProgramType) -> bool {
    matches!(DEFAULTS[of as usize], Default::Choose)
}

/// One past the highest number of a program type.
const TYPES: usize = ProgramType::Netfilter as usize + 1;

/// The default attach types, computed at compile time from the table: a program that loads one program does not contain
/// the table.
static DEFAULTS: [Default; TYPES] = defaults();

const fn defaults() -> [Default; TYPES] {
    let mut all = [Default::Is(None); TYPES];
    let mut kind = 0;
    while kind < TYPES {
        all[kind] = default_of(kind);
        kind += 1;
    }
    all
}

/// Returns the default of a program type: that of its first row without an attach type or with the one that the kernel
/// assumes, else its only attach type; else one has to be chosen.
const fn default_of(kind: usize) -> Default {
    let mut found = None;
    let mut several = false;
    let mut index = 0;
    while index < ROWS.len() {
        let row = &ROWS[index];
        index += 1;
        if row.program_type as usize != kind {
            continue;
        }
        match row.attach_type {
            None => return Default::Is(None),
            Some(one) if is_default(row) => return Default::Is(Some(one)),
            Some(one) => match found {
                Some(other) if other as u32 != one as u32 => several = true,
                _ => found = Some(one),
            },
        }
    }
    if several { Default::Choose } else { Default::Is(found) }
}

/// Returns whether the kernel takes a program of the type without attach type for this one. It does where the type is
/// older than its attach types (bpf_prog_load_fixup_attach_type(), and XDP, where 0 is as good as `BPF_XDP`).
const fn is_default(row: &AttachPoint) -> bool {
    use AttachType as A;
    matches!(row.attach_type, Some(A::CgroupInetSockCreate | A::SkReuseportSelect | A::Xdp))
}

/// The properties of a row that attaching needs, for lookup at compile time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// The first word of the name.
    pub word: &'static str,
    pub program_type: ProgramType,
    pub attach_type: Option<AttachType>,
}

impl Facts {
    const fn of(row: &AttachPoint) -> Facts {
        let word = match row.among {
            Some(word) => word,
            None => row.name,
        };
        Facts { word, program_type: row.program_type, attach_type: row.attach_type }
    }
}

/// Returns the properties in the row of that name. For constants: fails if there is none.
pub(crate) const fn facts(name: &str) -> Facts {
    let mut index = 0;
    while index < ROWS.len() {
        if same(ROWS[index].name, name) {
            return Facts::of(&ROWS[index]);
        }
        index += 1;
    }
    panic!("the attach-point table has no row of this name")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut index = 0;
    while index < a.len() && index < b.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    a.len() == b.len()
}

/// Returns the properties in the row of an attach type; `other` for one that has no row with the same first word.
pub(crate) fn attach_type_facts(of: AttachType, other: Facts) -> Facts {
    let facts = BY_ATTACH_TYPE.get(of as usize).copied().flatten();
    facts.filter(|facts| facts.word == other.word).unwrap_or(other)
}

/// One past the highest number of an attach type.
const ATTACH_TYPES: usize = AttachType::ALL.len();

static BY_ATTACH_TYPE: [Option<Facts>; ATTACH_TYPES] = {
    let mut all = [None; ATTACH_TYPES];
    let mut index = ROWS.len();
    // In reverse, so that the first row of a type wins.
    while index > 0 {
        index -= 1;
        let row = &ROWS[index];
        if let Some(one) = row.attach_type {
            all[one as usize] = Some(Facts::of(row));
        }
    }
    all
};

/// Returns the first row whose programs are loaded with an attach type. For constants: fails if there is none.
pub(crate) const fn of_attach_type(wanted: AttachType) -> &'static AttachPoint {
    let mut index = 0;
    while index < ROWS.len() {
        if let Some(one) = ROWS[index].attach_type
            && one as u32 == wanted as u32
        {
            return &ROWS[index];
        }
        index += 1;
    }
    panic!("no row of the attach-point table has this attach type")
}

/// Returns the version of Linux that added a program type: that of its oldest row.
pub(crate) const fn first_version(of: ProgramType) -> Version {
    let mut first = Version::new(u16::MAX, 0);
    let mut index = 0;
    while index < ROWS.len() {
        let row = &ROWS[index];
        index += 1;
        let older = row.since.major < first.major
            || row.since.major == first.major && row.since.minor < first.minor;
        if row.program_type as u32 == of as u32 && older {
            first = row.since;
        }
    }
    first
}

/// Returns the attach types that programs of a type can have, in the order of the table, each once.
pub fn attach_types(of: ProgramType) -> Vec<AttachType> {
    let mut all = Vec::new();
    for row in ATTACH_POINTS.iter().filter(|row| row.program_type == of) {
        all.extend(row.attach_type.filter(|one| !all.contains(one)));
    }
    all
}

/// Returns the row of a type and an attach type.
pub fn find(
    program_type: ProgramType,
    attach_type: Option<AttachType>,
) -> Option<&'static AttachPoint> {
    ATTACH_POINTS
        .iter()
        .find(|row| (row.program_type, row.attach_type) == (program_type, attach_type))
}
