//! Diagnosis of a rejection beside its cause: the instruction, the state of the registers, facts about the program, and
//! advice.

use super::advice::{self, Advice};
use super::context::{self, Access};
use super::log::{VerifierLog, number_after};
use super::loops;
use super::path::{self, Origin, Step};
use crate::asm::{Code, HELPERS, helper_prototype, helper_since};
use crate::error::Denied;
use crate::insn::{AluOp, Op, Pseudo, Reg, Source};
use crate::spec::{MapSpec, POISON, ProgramSpec, RelocTarget};
use crate::uapi::ProgramType;
use std::borrow::Cow;

/// The diagnosis of a rejection.
pub(super) struct Diagnosis {
    pub instruction: Option<usize>,
    pub cause: String,
    pub known: Vec<String>,
    pub notes: Vec<String>,
    pub advice: Option<Advice>,
}

/// A rejected program at the instruction that it was rejected for.
struct Refusal<'a> {
    code: &'a Code<'a>,
    kind: ProgramType,
    cause: &'a str,
    slot: Option<usize>,
    op: Option<Op>,
    /// The path to it, which ends with it; empty if the log does not hold it.
    path: &'a [Step<'a>],
    lockdown: &'a dyn Fn() -> Option<String>,
}

impl Diagnosis {
    /// Reads it out of a log; `lockdown` returns the mode if the kernel is locked down, and is called if it matters.
    pub(super) fn of(
        spec: &ProgramSpec<'_, '_>,
        log: &VerifierLog<'_>,
        lockdown: &dyn Fn() -> Option<String>,
    ) -> Diagnosis {
        let (said, cause) = log.verdict();
        // All of the rest would be a fifth of the smallest program that loads something.
        if !cfg!(feature = "advice") {
            let (known, notes) = (Vec::new(), Vec::new());
            return Diagnosis { instruction: said, known, notes, advice: None, cause };
        }
        let code = &spec.code;
        let whole = log.path();
        let (slot, steps) = place(code, log, &whole, said, &cause);
        let path = whole.get(..steps).unwrap_or_default();
        let path = if path.last().map(|last| last.index) == slot { path } else { &[] };
        let op =
            slot.and_then(|slot| code.slots.get(slot..)).and_then(|rest| Op::decode(rest).ok());
        let refusal = Refusal { code, kind: spec.kind, cause: &cause, slot, op, path, lockdown };
        let row = advice::row(&cause);
        let key = row.map_or("", |(key, _)| key);
        let known = refusal.known();
        let notes = refusal.notes(key);
        let advice = row.map(|(key, text)| refusal.advice(key, text));
        Diagnosis { instruction: slot, known, notes, advice, cause }
    }
}

/// The slot that is to be pointed at, and how many steps of the path lead to it.
fn place(
    code: &Code<'_>,
    log: &VerifierLog<'_>,
    path: &[Step<'_>],
    said: Option<usize>,
    cause: &str,
) -> (Option<usize>, usize) {
    if let Some(again) = number_after(cause, "infinite loop detected at insn") {
        // The last instruction that was traced is only the one before that which was met again.
        return match loops::closing_jump(path, code.slots, again, log.last_state()) {
            Some(step) => (path.get(step).map(|step| step.index), step + 1),
            None => (Some(again), 0),
        };
    }
    if let Some(unreachable) = number_after(cause, "unreachable insn")
        && let Some(jump) = loops::endless_jump_before(code.slots, unreachable)
    {
        return (Some(jump), 0);
    }
    (said, path.len())
}

/// The largest number of registers that a message describes.
const KNOWN: usize = 3;

/// The largest number of times that a register's value is followed to another register.
const MOVES: usize = 32;

impl<'a> Refusal<'a> {
    /// Describes the registers that a rejection is about, a line each: those that the cause names, then those that the
    /// instruction reads.
    fn known(&self) -> Vec<String> {
        if self.path.is_empty() {
            return Vec::new();
        }
        let mut registers = named(self.cause);
        registers.extend(self.op.map(path::read_by).unwrap_or_default());
        let mut described: Vec<Reg> = Vec::new();
        let mut lines = Vec::new();
        for register in registers {
            // The frame pointer is what it is.
            if register == Reg::R10 || described.contains(&register) {
                continue;
            }
            described.push(register);
            lines.extend(self.describe(register));
        }
        lines.truncate(KNOWN);
        lines
    }

    /// Describes a register at the end of the path, if anything is known of it.
    fn describe(&self, register: Reg) -> Option<String> {
        let found = path::provenance(self.path, self.code.slots, register);
        let name = format!("r{}", register.number());
        let value = found.value.map(|value| format!(" {value},")).unwrap_or_default();
        match found.origin {
            Origin::Written(index) => Some(format!("{name}:{value} from {}", self.at(index))),
            Origin::Lost(index) => Some(format!("{name}: lost at {}", self.at(index))),
            Origin::Never => Some(format!("{name}: never given a value on this path")),
            Origin::Start => Some(format!("{name}:{value} as at the start")),
            Origin::Unknown => found.value.map(|value| format!("{name}: {value}")),
        }
    }

    /// An instruction as messages show it: by its index and its statement.
    fn at(&self, index: usize) -> String {
        match self.code.statement(index) {
            Some(statement) => format!("instruction {index}: {statement}"),
            None => format!("instruction {index}"),
        }
    }

    /// The verifier's state of the register that the cause names first.
    fn value(&self) -> Option<&'a str> {
        let register = *named(self.cause).first()?;
        path::provenance(self.path, self.code.slots, register).value
    }

    /// The helper that the instruction calls.
    fn helper(&self) -> Option<u32> {
        match self.op {
            Some(Op::CallHelper { number }) => u32::try_from(number).ok(),
            _ => None,
        }
    }

    // ---- facts --------------------------------------------------------------------------------------------

    /// Facts about the program that the cause does not hold, a line each.
    fn notes(&self, key: &str) -> Vec<String> {
        let mut notes = Vec::new();
        // The remark on the reference that leaks is one of several, where there are several references.
        let acquired = number_after(self.cause, "alloc_insn=");
        notes.extend(acquired.map(|index| format!("acquired at {}", self.at(index))));
        if let (Some(jump), Some(unreachable)) =
            (self.slot, number_after(self.cause, "unreachable insn"))
            && jump < unreachable
            && key == "unreachable"
        {
            notes.push(format!("{}: never gets to {}", self.at(jump), self.at(unreachable)));
        }
        notes.extend(self.missing().map(|name| format!("{name}: missing in the kernel's types, or of a size that this instruction cannot read")));
        notes.extend(self.element().map(|element| element.describe()));
        if ABOUT_ARGUMENTS.contains(&key)
            && let Some(prototype) = self.helper().and_then(helper_prototype)
        {
            notes.push(format!("{}({})", prototype.name(), prototype.in_registers()));
        }
        notes
    }

    /// Returns the name in the instruction that a call of no helper was put in place of, because the kernel does not have it.
    fn missing(&self) -> Option<String> {
        let slot =
            self.slot.filter(|_| number_after(self.cause, "unknown#") == Some(POISON as usize))?;
        let mut relocations = self.code.relocations.iter();
        let reloc = relocations.find(|reloc| reloc.slot as usize == slot)?;
        Some(match reloc.target {
            RelocTarget::Core(core) if core.name.starts_with("CO-RE") => core.name.to_string(),
            RelocTarget::Core(core) => format!("CO-RE: {}", core.name),
            _ => reloc.name(),
        })
    }

    /// The map whose element a helper is called for, if that is what the rejection is about.
    fn element(&self) -> Option<Element<'a>> {
        let number = self.helper()?;
        let prototype = helper_prototype(number)?;
        let argument = |name: &str| {
            let is_it = |argument: &str| {
                argument.rsplit(['*', ' ']).next() == Some(name) && argument.contains('*')
            };
            Some(prototype.arguments().position(is_it)? as u8 + 1)
        };
        let (key, value) = (argument("key"), argument("value"));
        if key.or(value).is_none() || argument("map") != Some(1) {
            return None;
        }
        let map = self.map_in(Reg::R1)?;
        let named = named(self.cause).first().map(|register| register.number());
        // Of kernels that do not name the register, a size in the message identifies it.
        let sizes = [" size=", " access_size=", " size "];
        let size = sizes.iter().find_map(|word| number_after(self.cause, word));
        let is = |argument: Option<u8>, bytes: u32| {
            argument.filter(|argument| match named {
                Some(named) => named == *argument,
                None => size == Some(bytes as usize),
            })
        };
        let about = is(key, map.key_size).map(|argument| (argument, "key", map.key_size)).or(is(
            value,
            map.value_size,
        )
        .map(|argument| (argument, "value", map.value_size)));
        let about = about.filter(|_| self.cause.contains("size") || self.cause.contains("stack"));
        Some(Element { map, about: about? })
    }

    /// The map whose address a register holds, by the instruction that loaded it.
    fn map_in(&self, register: Reg) -> Option<&'a MapSpec<'a>> {
        let (mut path, mut register) = (self.path, register);
        for _ in 0..MOVES {
            let Origin::Written(index) = path::provenance(path, self.code.slots, register).origin
            else {
                return None;
            };
            match Op::decode(self.code.slots.get(index..)?).ok()? {
                Op::LoadImm64 { kind: Pseudo::MapFd, .. } => return self.map_at(index),
                Op::Alu { op: AluOp::Mov, src: Source::Reg(src), .. } => register = src,
                _ => return None,
            }
            let step = path.iter().rposition(|step| step.index == index)?;
            path = path.get(..=step)?;
        }
        None
    }

    /// The map whose address this instruction loads.
    fn map_at(&self, index: usize) -> Option<&'a MapSpec<'a>> {
        let Code { relocations, maps, .. } = self.code;
        let reloc = relocations.iter().find(|reloc| reloc.slot as usize == index)?;
        match reloc.target {
            RelocTarget::Map(map) => Some(map),
            RelocTarget::Name(name) => maps.iter().find(|map| map.name == name),
            RelocTarget::Section(_)
            | RelocTarget::DataSection(_)
            | RelocTarget::Core(_)
            | RelocTarget::Extern(_)
            | RelocTarget::Kconfig(..)
            | RelocTarget::JumpTable(_) => None,
        }
    }

    // ---- what to do ---------------------------------------------------------------------------------------

    /// The advice: the table's text, unless there is more specific advice for this program.
    fn advice(&self, key: &'static str, text: &'static str) -> Advice {
        let special = match key {
            "context" => self.context_access(),
            "socket-field" => self.socket_access(),
            "helper-type" => self.locked_down(text),
            "helper-unknown" => self.missing().map(|_| {
                let text = "The statement is reached on a kernel without that type, field or enumerator: guard it by a test of its \
                            existence (`exists`, `bpf_core_field_exists`).";
                ("core", text.to_owned())
            }).or_else(|| Some((key, self.younger_helper()?))),
            "packet" => self.packet().map(|text| (key, text)),
            "unreachable" if self.slot != number_after(self.cause, "unreachable insn") => {
                let text = "The loop has no way out, so nothing behind it is ever reached: leave it by a condition.";
                Some(("loop", text.to_owned()))
            }
            _ => None,
        };
        let stack = matches!(key, "stack-bounds" | "stack-uninitialised" | "bounds");
        let special = special.or_else(|| {
            let element = self.element().filter(|_| stack)?;
            Some((key, element.advise()))
        });
        if let Some((key, text)) = special {
            return Advice { key, text: text.into() };
        }
        let text = match text.split_once("{register}") {
            Some((before, after)) => {
                let register = self.nullable().map_or(0, Reg::number);
                Cow::Owned(format!("{before}r{register}{after}"))
            }
            None => text.into(),
        };
        Advice { key, text }
    }

    /// The helper that this kernel does not have, and the version that brought it.
    fn younger_helper(&self) -> Option<String> {
        let number = number_after(self.cause, "#")?;
        let (name, since) = (HELPERS.get(number)?, helper_since(u32::try_from(number).ok()?)?);
        Some(format!(
            "Helper {number} is `{name}`, which came with Linux {since}: this kernel is older, or was built without it."
        ))
    }

    /// The register that may be null: the one that the cause names, `R6` or the argument of `helper arg2`.
    fn nullable(&self) -> Option<Reg> {
        let argument = || {
            let number = number_after(self.cause, "arg").or(number_after(self.cause, "arg#"))?;
            Reg::new(u8::try_from(number).ok()?)
        };
        named(self.cause).first().copied().or_else(argument)
    }

    fn access(&self) -> Option<Access> {
        let (offset, size) = context::refused(self.cause)?;
        let writes = matches!(
            self.op,
            Some(
                Op::Store { .. }
                    | Op::StoreImm { .. }
                    | Op::StoreRelease { .. }
                    | Op::Atomic { .. }
            )
        );
        let signed = matches!(self.op, Some(Op::LoadSigned { .. }));
        Some(Access { offset, size, writes, signed })
    }

    fn context_access(&self) -> Option<(&'static str, String)> {
        context::explain(self.kind, self.access()?)
    }

    fn socket_access(&self) -> Option<(&'static str, String)> {
        let (_, kind) = self.cause.split_once("invalid ")?;
        context::explain_socket(kind.split(' ').next()?, self.access()?)
    }

    /// Packets have three pointers: what lies before the packet is compared with its beginning.
    fn packet(&self) -> Option<String> {
        let meta = match self.value() {
            Some(value) => value.starts_with("pkt_meta"),
            // Kernels before 5.17 do not print the type of the register; the load from the context shows it.
            None => self.loads_meta_data(),
        };
        let text = "Compare a pointer behind what is to be accessed with `data` first, where the metadata ends and the packet \
                    begins, and access only where it is not above.";
        meta.then(|| text.to_owned())
    }

    /// Whether the register that the cause names came from the field `data_meta` of the context.
    fn loads_meta_data(&self) -> bool {
        let offset = match self.kind {
            ProgramType::Xdp => 8,
            _ => 140,
        };
        let Some(mut register) = named(self.cause).first().copied() else { return false };
        let mut path = self.path;
        for _ in 0..MOVES {
            let Origin::Written(index) = path::provenance(path, self.code.slots, register).origin
            else {
                return false;
            };
            let rest = self.code.slots.get(index..).unwrap_or_default();
            match Op::decode(rest) {
                Ok(Op::Load { offset: at, .. }) => return at == offset,
                Ok(Op::Alu { op: AluOp::Mov, src: Source::Reg(src), .. }) => register = src,
                Ok(Op::Alu { op: AluOp::Add | AluOp::Sub, .. }) => {}
                _ => return false,
            }
            let Some(step) = path.iter().rposition(|step| step.index == index) else {
                return false;
            };
            path = path.get(..=step).unwrap_or_default();
        }
        false
    }

    /// A kernel that is locked down hides the helpers that read its memory, or write that of processes.
    fn locked_down(&self, otherwise: &str) -> Option<(&'static str, String)> {
        let name = *HELPERS.get(self.helper()? as usize)?;
        let (modes, forbids): (&[&str], _) = match name {
            "probe_read" | "probe_read_str" | "probe_read_kernel" | "probe_read_kernel_str" => {
                (&["confidentiality"], "to read the kernel's memory")
            }
            "probe_write_user" => {
                (&["integrity", "confidentiality"], "to write the memory of processes")
            }
            _ => return None,
        };
        let Some(mode) = (self.lockdown)().filter(|mode| modes.contains(&mode.as_str())) else {
            // The file with the mode may not be there, as in a container.
            let text = format!("{otherwise} A kernel that is locked down does not have it either.");
            return Some(("helper-type", text));
        };
        let denied = Denied::Lockdown { mode };
        let text = format!(
            "bpf_{name}: {denied}. It forbids programs {forbids}; other helpers and arguments still work."
        );
        Some(("lockdown", text))
    }
}

/// The kinds of rejections of a call that are about what is passed.
const ABOUT_ARGUMENTS: &[&str] = &[
    "argument",
    "null-check",
    "uninitialised",
    "map-use",
    "release",
    "dynptr",
    "zero-size",
    "bounds",
    "stack-bounds",
    "stack-uninitialised",
    "constant-text",
    "not-a-pointer",
    "packet-helper",
    "read-only-map",
    "special-field",
    "modified-pointer",
    "callback",
];

/// An element of a map that a helper is called for: the register, what it is to point to, and how many bytes that has.
struct Element<'a> {
    map: &'a MapSpec<'a>,
    about: (u8, &'static str, u32),
}

impl Element<'_> {
    fn describe(&self) -> String {
        let MapSpec { name, key_size, value_size, .. } = self.map;
        format!("map `{name}`: key {key_size} bytes, value {value_size} bytes")
    }

    fn advise(&self) -> String {
        let (register, what, bytes) = self.about;
        let name = self.map.name;
        format!(
            "A {what} of map `{name}` has {bytes} bytes: r{register} points to as many, all of them written and within what it \
             points into."
        )
    }
}

/// The registers that a text names, as `R3`.
fn named(cause: &str) -> Vec<Reg> {
    let words = cause.split(|c: char| !c.is_ascii_alphanumeric());
    let number = |word: &str| word.strip_prefix('R').and_then(|number| number.parse().ok());
    words.filter_map(number).filter_map(Reg::new).collect()
}
