//! Names in instructions, and the numbers that the running kernel has for them.

use crate::asm::{Ask, Code, Name, Part};
use crate::btf::{Btf, BtfError, Function, KernelTypes, Kind};
use crate::error::{Error, Result};
use crate::insn::{Insn, class, mode};
use crate::kernel::{format, registers};
use crate::spec::ProgramSpec;
use crate::uapi::{AttachType, ProgramType};

use super::prepare::attach_point;

/// Why a name in an instruction has no number here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// The kernel does not know it, or shows nothing to look it up in.
    #[error(transparent)]
    Kernel(#[from] Error),
    /// The access has not the size of the field.
    #[error("the field has {size} bytes, and the access {access}")]
    Width {
        /// Of the field.
        size: u32,
        /// Of the access.
        access: u32,
    },
    /// The field is some bits of an integer.
    #[error(
        "it is a bit-field: load the {size} bytes at {offset}, shift them right by {shift} and mask {bits} bits"
    )]
    BitField {
        /// Bytes of the integer.
        size: u32,
        /// Where that begins.
        offset: u32,
        /// How many bits come before it.
        shift: u32,
        /// How many it has.
        bits: u32,
    },
    /// The number does not fit the instruction.
    #[error("it is {value} here, and the instruction holds {low} to {high}")]
    Range {
        /// The number.
        value: i128,
        /// The least that fits.
        low: i64,
        /// The greatest that fits.
        high: i64,
    },
    /// The arguments are those of what the program is attached to, and the spec does not say what that is.
    #[error("the program does not say what it is for: {needs}")]
    NoTarget {
        /// What would say it.
        needs: &'static str,
    },
    /// What the program is for passes no such argument.
    #[error("`{of}` passes no `{argument}`, but {}", .known.join(", "))]
    NoArgument {
        /// The tracepoint or function.
        of: String,
        /// The name that was asked for.
        argument: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The argument of a USDT probe is not in one register.
    #[error(
        "`{argument}` of `{of}` is in {place}: only what is in one register has a name (see UsdtProbe::load_argument)"
    )]
    NotInRegister {
        /// The probe.
        of: String,
        /// The name that was asked for.
        argument: String,
        /// Where it is, as the notes of the file say it: `8@-16(%rbp)`.
        place: String,
    },
    /// On this architecture that argument is not in a register, or the architecture is not known here.
    #[error("this architecture keeps it in no register that is known here")]
    NoRegister,
}

/// What a name stands for.
struct Found {
    value: i128,
    /// How wide it is, where it is the offset of a number.
    width: Option<u32>,
    /// How it can be had if no access fetches it.
    bits: Option<NameProblem>,
}

impl Found {
    fn number(value: impl Into<i128>) -> Found {
        Found { value: value.into(), width: None, bits: None }
    }
}

impl Error {
    /// Returns why a name in an instruction could not be resolved, if this is [`Error::Name`].
    pub fn name_problem(&self) -> Option<&NameProblem> {
        match self {
            Error::Name { problem, .. } => problem.downcast_ref(),
            _ => None,
        }
    }
}

type Answer<T> = std::result::Result<T, NameProblem>;

/// Looks names up for one program.
pub(super) struct Names<'l, 'a> {
    pub spec: &'l ProgramSpec<'a>,
    pub types: &'l KernelTypes,
    /// The types of another program, if the program is for a function of that.
    pub theirs: Option<&'l Btf>,
}

/// How a missing name in a statement that cannot be reached goes into the instruction: as a call of a helper that there
/// never was. The verifier takes out what `exists` has made unreachable, and refuses the rest.
const POISON: i32 = 0x0bad_1dea;

impl Names<'_, '_> {
    /// Puts the number of one name into its slot.
    pub(super) fn fill(&self, name: &Name, insns: &mut [Insn]) -> Result<()> {
        if matches!(name.ask, Ask::Function | Ask::Data(_)) {
            // These take descriptors besides: whoever has them fills them in.
            return Ok(());
        }
        let code = &self.spec.code;
        let path = code.name(name);
        let slot = name.slot as usize;
        let Some(insn) = insns.get(slot).copied() else { return Ok(()) };
        let done =
            self.number(name, &path, insn).and_then(|found| put(insns, slot, name.part, found));
        match done {
            Ok(()) => Ok(()),
            Err(problem) if is_missing(&problem) && self.is_asked_for(code, &path) => {
                poison(insns, slot);
                Ok(())
            }
            Err(problem) => Err(self.refused(name, problem)),
        }
    }

    /// The error that a name has no number.
    pub(super) fn refused(&self, name: &Name, problem: impl Into<NameProblem>) -> Error {
        let (code, slot) = (&self.spec.code, name.slot as usize);
        Error::Name {
            program: self.spec.name.into(),
            kind: self.spec.kind,
            place: format!("{}:{}", code.file, code.line_number(slot)),
            statement: code.statement(slot).unwrap_or_default(),
            name: code.name(name),
            problem: Box::<NameProblem>::new(problem.into()),
        }
    }

    /// Whether the program asks if there is this, or what it is a part of: then it can do without.
    fn is_asked_for(&self, code: &Code<'_>, path: &str) -> bool {
        code.names.iter().filter(|name| name.ask == Ask::Exists).any(|name| {
            let asked = code.name(name);
            path.strip_prefix(asked.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn number(&self, name: &Name, path: &str, insn: Insn) -> Answer<Found> {
        match name.ask {
            Ask::Value => {
                let found = self.value(path)?;
                match (found.bits, found.width, access(insn)) {
                    (Some(problem), ..) if name.part == Part::Offset => Err(problem),
                    (_, Some(size), Some(access))
                        if name.part == Part::Offset && size != access =>
                    {
                        Err(NameProblem::Width { size, access })
                    }
                    _ => Ok(Found::number(found.value)),
                }
            }
            Ask::Size => Ok(Found::number(self.types.size_of(path)?)),
            Ask::Exists if !path.contains('.') => {
                Ok(Found::number(u8::from(self.types.exists(path)?)))
            }
            Ask::Exists => match self.value(path) {
                Ok(_) => Ok(Found::number(1)),
                Err(problem) if is_missing(&problem) => Ok(Found::number(0)),
                Err(problem) => Err(problem),
            },
            Ask::Function | Ask::Data(_) => Ok(Found::number(0)),
        }
    }

    /// The offset of a field, or the value of an enumerator.
    fn value(&self, path: &str) -> Answer<Found> {
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        match head {
            "args" => return self.argument(rest),
            "enum" => return Ok(Found::number(self.types.any_enumerator(rest)?)),
            "pt_regs" => {
                if let Some(offset) = registers::offset(rest) {
                    return Ok(Found { width: Some(8), ..Found::number(offset) });
                }
                if rest.starts_with("parm") || rest.starts_with("syscall") {
                    return Err(NameProblem::NoRegister);
                }
            }
            _ => {}
        }
        let missing = match self.types.field(path) {
            Ok(field) => {
                let bits = field.bits.map(|bits| NameProblem::BitField {
                    size: field.size,
                    offset: field.offset,
                    shift: field.shift(),
                    bits: bits.size,
                });
                let width = field.is_scalar().then_some(field.size);
                return Ok(Found { value: field.offset.into(), width, bits });
            }
            Err(error) => error,
        };
        let no_struct =
            matches!(missing.btf(), Some(BtfError::NoType { .. } | BtfError::NoParts { .. }));
        if !no_struct {
            return Err(missing.into());
        }
        match self.types.enumerator(head, rest) {
            Ok(value) => Ok(Found::number(value)),
            Err(error) if matches!(error.btf(), Some(BtfError::NoEnumerator { .. })) => {
                Err(error.into())
            }
            Err(_) => Err(missing.into()),
        }
    }

    /// Where an argument of what the program is attached to is in its context.
    fn argument(&self, argument: &str) -> Answer<Found> {
        let (needs, tracepoint) = match self.spec.kind {
            ProgramType::Tracepoint => ("`category/name` of a tracepoint", true),
            _ => ("the name of a function, a tracepoint or a hook", false),
        };
        let Some(target) = self.spec.target else { return Err(NameProblem::NoTarget { needs }) };
        let none = |known: Vec<String>| NameProblem::NoArgument {
            of: target.into(),
            argument: argument.into(),
            known,
        };
        if tracepoint {
            let Some((category, name)) = target.split_once(['/', ':']) else {
                return Err(NameProblem::NoTarget { needs });
            };
            let fields = format::fields(category, name)?;
            let Some(field) = fields.iter().find(|field| field.name == argument) else {
                // The first ones are not for programs.
                let own = fields.into_iter().filter(|field| !field.name.starts_with("common_"));
                return Err(none(own.map(|field| field.name).collect()));
            };
            let width = field.is_scalar().then_some(field.size);
            return Ok(Found { width, ..Found::number(field.offset) });
        }
        if self.spec.kind == ProgramType::Kprobe && target.contains(':') {
            return user_argument(target, argument);
        }
        let Some(names) = self.parameters(target)? else {
            return Err(NameProblem::NoTarget { needs });
        };
        let number = argument.strip_prefix("arg").and_then(|number| number.parse::<usize>().ok());
        let numbered = number.and_then(|number| number.checked_sub(1));
        let index = match names.iter().position(|name| name == argument) {
            Some(index) => index,
            // The result comes after the arguments.
            None if argument == "ret" && self.spec.kind == ProgramType::Tracing => names.len(),
            None => match numbered.filter(|index| *index < names.len()) {
                Some(index) => index,
                None => return Err(none(names)),
            },
        };
        let offset = if self.spec.kind == ProgramType::Kprobe {
            let register = registers::offset(&format!("parm{}", index + 1));
            u64::from(register.ok_or(NameProblem::NoRegister)?)
        } else {
            8 * index as u64
        };
        // Each has eight bytes, however small it is.
        Ok(Found { width: Some(8), ..Found::number(offset) })
    }

    /// The names of the parameters that are passed to the program; `None` if it is of a type that is passed none.
    fn parameters(&self, target: &str) -> Answer<Option<Vec<String>>> {
        if let (ProgramType::Tracing, Some(btf)) = (self.spec.kind, self.theirs) {
            let id = btf.type_id(target, Kind::Function).map_err(Error::from)?;
            return Ok(Some(named(&btf.function(id).map_err(Error::from)?, 0)));
        }
        if self.spec.kind == ProgramType::StructOps {
            let (member, place) = self.types.find(|btf| btf.look_up_field(target))?;
            let function = place.btf.function(member.type_id).map_err(Error::from)?;
            return Ok(Some(named(&function, 0)));
        }
        let tracepoint = matches!(
            (self.spec.kind, self.spec.attach_type),
            (ProgramType::RawTracepoint | ProgramType::RawTracepointWritable, _)
                | (ProgramType::Tracing, Some(AttachType::TraceRawTp))
        );
        let (name, skipped) = if tracepoint {
            // It is called with the data of whoever listens, and then what the tracepoint passes. (The typedef
            // `btf_trace_NAME` has the types as well, but the compiler leaves out the names there.)
            (format!("__traceiter_{target}"), 1)
        } else if self.spec.kind == ProgramType::Kprobe {
            (target.into(), 0)
        } else {
            match attach_point(self.spec) {
                Some((prefix, name, Kind::Function)) => (format!("{prefix}{name}"), 0),
                _ => return Ok(None),
            }
        };
        let (id, place) = self.types.type_id(&name, Kind::Function)?;
        let function = place.btf.function(id).map_err(Error::from)?;
        Ok(Some(named(&function, skipped)))
    }
}

/// Where an argument is of a function in a program or library, `FILE:FUNCTION`, or of a USDT probe, `FILE:PROVIDER:NAME`.
fn user_argument(target: &str, argument: &str) -> Answer<Found> {
    let mut parts = target.rsplitn(3, ':');
    if let (Some(name), Some(provider), Some(file)) = (parts.next(), parts.next(), parts.next()) {
        return usdt_argument(target, file, provider, name, argument);
    }
    // Nothing says how many a function of C has: as many as there are registers for them.
    let register = match argument.strip_prefix("arg") {
        Some(number) => registers::offset(&format!("parm{number}")),
        None if argument == "ret" => registers::offset(argument),
        None => None,
    };
    match register {
        Some(offset) => Ok(Found { width: Some(8), ..Found::number(offset) }),
        None => Err(NameProblem::NoArgument {
            of: target.into(),
            argument: argument.into(),
            known: vec!["arg1".into(), "arg2".into(), "… in registers".into(), "ret".into()],
        }),
    }
}

#[cfg(feature = "elf")]
fn usdt_argument(
    target: &str,
    file: &str,
    provider: &str,
    name: &str,
    argument: &str,
) -> Answer<Found> {
    use crate::user::{self, Operand};
    let path = user::find_file(file, None)?;
    let probes = user::find_usdt(&path, provider, name)?;
    let places = || probes.iter().flat_map(|probe| &probe.places);
    let fewest = places().map(|place| place.arguments.len()).min().unwrap_or_default();
    let number = argument.strip_prefix("arg").and_then(|number| number.parse::<usize>().ok());
    let index = number.and_then(|number| number.checked_sub(1)).filter(|index| *index < fewest);
    let Some(index) = index else {
        return Err(NameProblem::NoArgument {
            of: target.into(),
            argument: argument.into(),
            known: (1..=fewest).map(|number| format!("arg{number}")).collect(),
        });
    };
    let mut all: Vec<&user::Argument> = Vec::new();
    for one in places().filter_map(|place| place.arguments.get(index)) {
        if !all.iter().any(|other| other.operand == one.operand) {
            all.push(one);
        }
    }
    match all.as_slice() {
        [one] if probes.iter().all(|probe| probe.is_native()) => match &one.operand {
            Operand::Register(register) => {
                Ok(Found { width: Some(register.size.into()), ..Found::number(register.offset) })
            }
            _ => Err(not_in_register(target, argument, &all)),
        },
        _ => Err(not_in_register(target, argument, &all)),
    }
}

#[cfg(feature = "elf")]
fn not_in_register(target: &str, argument: &str, all: &[&crate::user::Argument]) -> NameProblem {
    let texts: Vec<_> = all.iter().map(|argument| format!("`{argument}`")).collect();
    NameProblem::NotInRegister {
        of: target.into(),
        argument: argument.into(),
        place: texts.join(" and "),
    }
}

#[cfg(not(feature = "elf"))]
fn usdt_argument(target: &str, _: &str, _: &str, _: &str, argument: &str) -> Answer<Found> {
    Err(NameProblem::NotInRegister {
        of: target.into(),
        argument: argument.into(),
        place: "the notes of the file, which are read with the feature `elf`".into(),
    })
}

/// The names of a function's parameters; of one that has none, none can be asked for by name.
fn named(function: &Function<'_>, skipped: usize) -> Vec<String> {
    let names = function.parameters.iter().skip(skipped);
    names.map(|parameter| parameter.name.to_owned()).collect()
}

/// How many bytes an access of memory moves.
fn access(insn: Insn) -> Option<u32> {
    let memory = matches!(insn.opcode() & 7, class::LDX | class::ST | class::STX);
    let plain = matches!(insn.opcode() & 0xe0, mode::MEM | mode::MEMSX | mode::ATOMIC);
    let bytes = match insn.opcode() & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    };
    (memory && plain).then_some(bytes)
}

/// Puts a number into an instruction.
fn put(insns: &mut [Insn], slot: usize, part: Part, found: Found) -> Answer<()> {
    let wide = insns.get(slot).is_some_and(|insn| insn.opcode() == 0x18);
    let Some(insn) = insns.get(slot).copied() else { return Ok(()) };
    // 32-bit arithmetic and stores of up to 32 bits read the same bits either way.
    let narrow = match insn.opcode() & 7 {
        class::ALU | class::JMP32 => true,
        class::ST => access(insn) != Some(8),
        _ => false,
    };
    let (low, high) = match part {
        Part::Offset => (i16::MIN.into(), i16::MAX.into()),
        Part::Immediate if wide => (i64::MIN, i64::MAX),
        Part::Immediate if narrow => (i32::MIN.into(), u32::MAX.into()),
        Part::Immediate => (i32::MIN.into(), i32::MAX.into()),
    };
    let value = found.value;
    let fits = i128::from(low) <= value && value <= i128::from(high);
    if !(fits || wide && u64::try_from(value).is_ok()) {
        return Err(NameProblem::Range { value, low, high });
    }
    if wide {
        let second = insns.get(slot + 1).map(|insn| insn.with_imm((value >> 32) as i32));
        if let (Some(to), Some(second)) = (insns.get_mut(slot + 1), second) {
            *to = second;
        }
    }
    let filled = match part {
        Part::Offset => insn.with_offset(value as i16),
        Part::Immediate => insn.with_imm(value as i32),
    };
    if let Some(to) = insns.get_mut(slot) {
        *to = filled;
    }
    Ok(())
}

/// Whether the kernel simply has no such thing.
fn is_missing(problem: &NameProblem) -> bool {
    match problem {
        NameProblem::Kernel(Error::NotFound { .. }) | NameProblem::NoArgument { .. } => true,
        NameProblem::Kernel(error) => error.btf().is_some_and(BtfError::is_not_found),
        _ => false,
    }
}

/// Makes an instruction one that the verifier refuses if it gets there.
fn poison(insns: &mut [Insn], slot: usize) {
    use crate::insn::Op;
    let wide = insns.get(slot).is_some_and(|insn| insn.opcode() == 0x18);
    if let Some(insn) = insns.get_mut(slot) {
        *insn = Op::CallHelper { number: POISON }.encode().first();
    }
    if let Some(insn) = insns.get_mut(slot + 1).filter(|_| wide) {
        *insn = Op::Jump { offset: 0 }.encode().first();
    }
}
