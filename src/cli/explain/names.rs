//! Names in an instruction, which become numbers when it is loaded.

use crate::asm::{CollectionProgram, RelocField, RelocKind, RelocTarget};
use crate::insn::{Insn, Op, Reg};
use crate::program::kernel_number;
use serde_json::{Value, json};

/// A name that an instruction has in the place of a number.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub field: RelocField,
    kind: RelocKind,
    /// The name as the statement has it: `sizeof(task_struct)`.
    text: String,
    /// The value that is put in its place.
    what: String,
    /// The number that it is in the running kernel, if that has one.
    here: Option<i128>,
}

/// The names of one instruction, and its statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub statement: String,
    names: Vec<Name>,
}

impl Names {
    /// The names of the instruction in a slot of a program.
    pub(super) fn of(program: &CollectionProgram<'_>, slot: usize) -> Names {
        let relocations = program.relocations().iter();
        let names: Vec<_> = relocations
            .filter(|reloc| reloc.slot as usize == slot)
            .map(|reloc| {
                let name = reloc.name();
                let what = what(reloc.kind, &reloc.target, &name);
                let text = match reloc.kind {
                    RelocKind::Size => format!("sizeof({name})"),
                    RelocKind::Exists => format!("exists({name})"),
                    _ => name.clone(),
                };
                let here = kernel_number(reloc.kind, &name);
                Name { field: reloc.field, kind: reloc.kind, text, what, here }
            })
            .collect();
        let statement = match names.is_empty() {
            true => String::new(),
            false => program.statement(slot).unwrap_or_default(),
        };
        Names { statement, names }
    }

    /// The instruction that the slot holds once the name is resolved, if it is another one.
    pub(super) fn becomes(&self) -> Option<Insn> {
        let call = self.names.iter().any(|name| name.kind == RelocKind::ArgumentValue);
        call.then(|| Op::CallLocal { offset: 0 }.encode().first())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name in the place of a number of the instruction.
    fn at(&self, field: RelocField) -> Option<&Name> {
        self.names.iter().find(|name| name.field == field)
    }

    /// The operand of a meaning that has a name in it, if it has one.
    pub(super) fn operand(&self, operand: &str, slot: Insn) -> Option<String> {
        let by_offset = |base: u8| {
            let stack = if base == Reg::R10.number() { ", on the stack" } else { "" };
            let name = self.at(RelocField::Offset)?;
            Some(format!("address r{base} + {}{stack}", name.text))
        };
        let by_imm = || self.at(RelocField::Immediate).map(|name| name.text.clone());
        match operand {
            "src" if slot.has_source_register() => None,
            "src" | "imm" | "imm64" => by_imm(),
            "away" => {
                by_imm().map(|name| format!("behind its code and returns the value of {name}"))
            }
            "from" => by_offset(slot.src()),
            "to" => by_offset(slot.dst()),
            _ => None,
        }
    }

    /// A line about each.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.names.iter().map(|Name { text, what, here, kind, .. }| {
            let here = match (here, kind) {
                (Some(here), _) => format!("; in the running kernel {here}"),
                (
                    None,
                    RelocKind::Argument
                    | RelocKind::ArgumentValue
                    | RelocKind::Map
                    | RelocKind::Core
                    | RelocKind::Symbol,
                ) => String::new(),
                (None, _) => "; the running kernel has none".into(),
            };
            format!("`{text}` is filled in when the program is loaded: {what}{here}.")
        })
    }

    pub(super) fn json(&self) -> Value {
        let one = |name: &Name| {
            let field = match name.field {
                RelocField::Offset => "offset",
                RelocField::Immediate => "imm",
            };
            let here = name.here.and_then(|here| i64::try_from(here).ok());
            json!({ "field": field, "name": name.text, "is": name.what, "here": here })
        };
        self.names.iter().map(one).collect()
    }
}

/// Describes the value that takes the place of a name once the program is loaded.
fn what(kind: RelocKind, target: &RelocTarget<'_>, name: &str) -> String {
    match (kind, target) {
        (RelocKind::Map, RelocTarget::Section(section)) => {
            format!("the descriptor of the map with the data of {}", section.name())
        }
        (RelocKind::Map, _) => "the descriptor of the map".into(),
        (RelocKind::Kfunc, _) => "the BTF id of that kernel function".into(),
        (RelocKind::Value, _) => {
            let (of, field) = name.split_once('.').unwrap_or((name, ""));
            format!("the offset of `{field}` in `{of}` in bytes, or the value of that enumerator")
        }
        (RelocKind::Enumerator, _) => "the value of that enumerator".into(),
        (RelocKind::Argument, _) => {
            "the offset of the argument in the context, which depends on what the program is attached to".into()
        }
        (RelocKind::ArgumentValue, _) => {
            "the call of a function, made for the USDT probe that the program is attached to, that takes the context in r1 and \
             returns the argument in r0"
                .into()
        }
        (RelocKind::Register, _) => {
            "the offset in the context of the register that has that role on this machine".into()
        }
        (RelocKind::Size, _) => "the size of that type or field in bytes".into(),
        (RelocKind::Variable, _) => "the BTF id of that kernel variable".into(),
        (RelocKind::FunctionAddress, _) => "the BTF id of that kernel function".into(),
        (RelocKind::Kconfig, _) => {
            "the descriptor of the map with the settings of the kernel".into()
        }
        (RelocKind::JumpTable, _) => "the descriptor of the map with that jump table".into(),
        (RelocKind::Symbol, _) => "the address of that kernel symbol".into(),
        (RelocKind::Core, _) => "a property of a type of the object, in the kernel's types".into(),
        (RelocKind::Exists, _) => "1 if the kernel has that type, field or enumerator, else 0".into(),
    }
}
