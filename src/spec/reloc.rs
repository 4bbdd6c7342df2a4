//! Relocations: values that are only known at load, and are filled into the code then.

use super::{CoreReloc, Extern, JumpTable, Kconfig, MapSpec, Section};

/// A field of an instruction that is filled in at load.
///
/// Relocations are made by [`bpf!`](crate::bpf), texts, the [`Builder`](crate::asm::Builder) and objects; the
/// [`Loader`](crate::Loader) resolves all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloc<'a> {
    /// The index of the instruction's first slot.
    pub slot: u32,
    /// The field that is filled in.
    pub field: RelocField,
    /// The kind of value that is filled in.
    pub kind: RelocKind,
    /// The object or name that the value is derived from.
    pub target: RelocTarget<'a>,
}

/// A field of an instruction that a relocation fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelocField {
    /// The 16-bit offset of a load or store.
    Offset = 0,
    /// The immediate: 32 bits, or 64 in `lddw`.
    Immediate = 1,
}

/// The kind of value that a relocation fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelocKind {
    /// The descriptor of a map, in the first slot of `lddw`; if the instruction loads the address of a value, the
    /// second has the offset already.
    Map,
    /// The BTF id of a kernel function that is called, and the index of its module's BTF: `call kfunc
    /// bpf_task_acquire`.
    Kfunc,
    /// The offset of a field in bytes, or else the value of an enumerator: `task_struct.tgid`, `pid_type.PIDTYPE_TGID`.
    Value,
    /// The value of an enumerator of any enumeration: `enum.BPF_F_CURRENT_CPU`.
    Enumerator,
    /// The offset of an argument in the context, which depends on the attach target: `args.filename`.
    Argument,
    /// The function that returns the value of an argument of a USDT probe, wherever the argument is stored: `call
    /// args.arg3`. The function is generated at load, and the whole instruction becomes a call to it.
    ArgumentValue,
    /// The offset of a register in the context of a kprobe, by its role: `pt_regs.parm1`.
    Register,
    /// The size of a type or field in bytes: `sizeof(task_struct)`.
    Size,
    /// 1 if the kernel has a type, field or enumerator, else 0: `exists(task_struct.cpu)`.
    Exists,
    /// A property of a type of an object, in the kernel's types (CO-RE). An instruction with one that the kernel does not have is
    /// replaced by an invalid call, which the verifier refuses if it can be reached.
    Core,
    /// The address of a kernel variable by its BTF id, which lets the verifier know its type (`__ksym` with a type).
    Variable,
    /// The address of a kernel function by its BTF id: what tells whether the kernel has it (`bpf_ksym_exists`).
    FunctionAddress,
    /// The address of a kernel symbol, a number to the verifier (`__ksym` without a type).
    Symbol,
    /// The descriptor of the map with the settings of the kernel that an object declares (`__kconfig`), in the first slot of `lddw`;
    /// the second has the offset already.
    Kconfig,
    /// The descriptor of the map that holds a jump table, in the first slot of `lddw` (Linux 6.19).
    JumpTable,
}

/// The target of a relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelocTarget<'a> {
    /// A map.
    Map(&'a MapSpec<'a>),
    /// A section of the code's [data](super::Code::data), which becomes a map of one element.
    Section(Section),
    /// One of the code's [data sections](super::Data::more) with a name of its own.
    DataSection(u32),
    /// A name as the source spells it: of a map, or of something in the kernel.
    Name(&'a str),
    /// A type of an object.
    Core(&'a CoreReloc),
    /// A variable or function of the kernel that an object declares.
    Extern(&'a Extern),
    /// A setting of the kernel that an object declares, by its index.
    Kconfig(&'a Kconfig, u32),
    /// A jump table of the program.
    JumpTable(&'a JumpTable),
}

impl RelocKind {
    /// Returns the kind of a name with a period, which its first word decides.
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
    /// Returns the name of its target, without white space between the parts of a path.
    pub fn name(&self) -> String {
        match self.target {
            RelocTarget::Map(map) => map.name.into(),
            RelocTarget::Section(section) => section.name().into(),
            RelocTarget::DataSection(index) => format!("data section {index}"),
            RelocTarget::Name(name) => compact(name),
            RelocTarget::Core(core) => core.name.to_string(),
            RelocTarget::Extern(found) => found.name.to_string(),
            RelocTarget::Kconfig(config, index) => {
                let setting = config.settings.get(index as usize);
                setting.map_or_else(String::new, |setting| setting.name.to_string())
            }
            RelocTarget::JumpTable(table) => table.name.to_string(),
        }
    }
}

/// Returns a path without the white space around its punctuation; between two words one space is kept.
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
