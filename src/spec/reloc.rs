//! Relocations: what is filled into code when it is loaded, because only then it is known.

use super::{MapSpec, Section};

/// A number of an instruction that is filled in at load.
///
/// Whoever makes code makes these: [`bpf!`](crate::bpf), texts, the [`Builder`](crate::asm::Builder) and objects; the
/// [`Loader`](crate::Loader) resolves them, all in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloc<'a> {
    /// The index of the instruction's first slot.
    pub slot: u32,
    /// The number of the instruction that is filled in.
    pub field: RelocField,
    /// What is filled in.
    pub kind: RelocKind,
    /// What it is filled in of.
    pub target: RelocTarget<'a>,
}

/// A number of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelocField {
    /// The 16-bit offset of a load or store.
    Offset = 0,
    /// The immediate: 32 bits, in `lddw` 64.
    Immediate = 1,
}

/// What is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelocKind {
    /// The descriptor of a map, in the first slot of `lddw`; if the instruction is for the address of a value, the second
    /// has the offset already.
    Map,
    /// The BTF id of a kernel function that is called, and the place of its module's BTF: `call kfunc bpf_task_acquire`.
    Kfunc,
    /// The offset of a field in bytes, or else the value of an enumerator: `task_struct.tgid`, `pid_type.PIDTYPE_TGID`.
    Value,
    /// The value of an enumerator of any enumeration: `enum.BPF_F_CURRENT_CPU`.
    Enumerator,
    /// The offset of an argument in the context, which depends on what the program is attached to: `args.filename`.
    Argument,
    /// The function that returns the value of an argument of a USDT probe, wherever that is: `call args.arg3`. It is made at load,
    /// and the whole instruction becomes the call of it.
    ArgumentValue,
    /// The offset of a register in the context of a kprobe, by its role: `pt_regs.parm1`.
    Register,
    /// The size of a type or field in bytes: `sizeof(task_struct)`.
    Size,
    /// 1 if the kernel has a type, field or enumerator, else 0: `exists(task_struct.cpu)`.
    Exists,
}

/// What a relocation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelocTarget<'a> {
    /// A map.
    Map(&'a MapSpec<'a>),
    /// A section of the code's [data](super::Code::data), which becomes a map of one element.
    Section(Section),
    /// A name as the source writes it: of a map, or of something of the kernel's.
    Name(&'a str),
}

impl RelocKind {
    /// What a name with a period stands for: its first word says it.
    pub(crate) const fn of_path(path: &[u8]) -> RelocKind {
        match path {
            [b'a', b'r', b'g', b's', rest @ ..] if ends_word(rest) => RelocKind::Argument,
            [b'e', b'n', b'u', b'm', rest @ ..] if ends_word(rest) => RelocKind::Enumerator,
            [b'p', b't', b'_', b'r', b'e', b'g', b's', rest @ ..] if ends_word(rest) => {
                RelocKind::Register
            }
            _ => RelocKind::Value,
        }
    }
}

const fn ends_word(rest: &[u8]) -> bool {
    match rest {
        [byte, ..] => !(byte.is_ascii_alphanumeric() || *byte == b'_'),
        [] => true,
    }
}

impl Reloc<'_> {
    /// The name of what it refers to, without white space between the parts of a path.
    pub fn name(&self) -> String {
        match self.target {
            RelocTarget::Map(map) => map.name.into(),
            RelocTarget::Section(section) => section.name().into(),
            RelocTarget::Name(name) => compact(name),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_path_says_what_it_is() {
        for (path, kind) in [
            ("args.filename", RelocKind::Argument),
            ("args . filename", RelocKind::Argument),
            ("args", RelocKind::Argument),
            ("argsize.x", RelocKind::Value),
            ("enum.NO", RelocKind::Enumerator),
            ("enum_x.NO", RelocKind::Value),
            ("pt_regs.ret", RelocKind::Register),
            ("pt_regs2.ret", RelocKind::Value),
            ("task_struct.tgid", RelocKind::Value),
        ] {
            assert_eq!(RelocKind::of_path(path.as_bytes()), kind, "{path}");
        }
    }

    #[test]
    fn names_have_no_white_space_around_punctuation() {
        assert_eq!(compact("task_struct . comm[ 3 ]"), "task_struct.comm[3]");
        assert_eq!(compact(" unsigned   int "), "unsigned int");
    }
}
