//! Arguments of the attach target: `args.NAME`.
//!
//! The place of an argument depends on the attach target. A program can have several, by a pattern or by being
//! attached to one after the other, if they all pass the arguments that it reads in the same way.

use super::kernel::{Context, Number};
use super::problem::{ArgumentAt, is_missing};
use super::{Answer, NameProblem};
use crate::btf::{Function, KernelTypes, Kind};
use crate::error::{Error, Result};
use crate::insn::Insn;
use crate::kernel::{format, functions, registers, symbols, tracefs};
use crate::program::btf_target::attach_point;
use crate::spec::{AttachTo, ProgramSpec, RETURN, Reloc, RelocKind};
use crate::uapi::{AttachType, ProgramType};
use crate::util::glob::{Glob, is_pattern};
use std::fmt;
use std::ops::ControlFlow;

/// Returns the target that would determine the arguments, for the error about a missing one.
const fn needs(kind: ProgramType) -> &'static str {
    match kind {
        ProgramType::Tracepoint => "`category/name` of a tracepoint",
        _ => "the name of a function, a tracepoint or a hook",
    }
}

/// The attach targets of a program, and the arguments that it reads.
pub(super) struct Places {
    /// The target in the spec.
    target: Option<String>,
    /// The targets that it matches, once an argument was looked up.
    each: Option<Vec<String>>,
    found: Vec<Found>,
}

/// An argument that was looked up, and its place, if it exists.
#[derive(Debug)]
struct Found {
    name: String,
    at: At,
}

#[derive(Debug)]
enum At {
    /// The place in the context.
    Context(Option<ArgumentAt>),
    /// The value that these instructions return.
    Value(Vec<Insn>),
}

impl Places {
    pub fn of(spec: &ProgramSpec<'_, '_>) -> Places {
        let attach_to = spec.attach_to.map(|place| place.to_string());
        let target = attach_to.or_else(|| spec.target.map(str::to_owned));
        Places { target, each: None, found: Vec::new() }
    }

    /// Returns the place of an argument, `args.NAME`, which is the same in all targets.
    pub fn argument(&mut self, context: &Context<'_>, name: &str) -> Answer<Number> {
        let needs = needs(context.kind);
        let Some(target) = &self.target else { return Err(NameProblem::NoTarget { needs }) };
        let each = match &self.each {
            Some(each) => each,
            None => self.each.insert(expand(context.kind, target)?),
        };
        let argument = name.split_once('.').map_or("", |(_, argument)| argument);
        let mut all = each.iter().map(|place| (place, located(context.argument(place, argument))));
        let Some((first, answer)) = all.next() else {
            return Err(NameProblem::NoTarget { needs });
        };
        let answer = answer?;
        let at = answer.as_ref().ok().map(Number::place);
        for (other, answer) in all {
            let there = answer?.ok().as_ref().map(Number::place);
            if there != at {
                let (first, other) = (first.clone(), other.clone());
                return Err(NameProblem::Layout { first, other, at: (at, there) });
            }
        }
        if !self.found.iter().any(|found| found.name == name && matches!(found.at, At::Context(_)))
        {
            self.found.push(Found { name: name.into(), at: At::Context(at) });
        }
        answer
    }

    /// Returns the instructions that return the value of an argument, `args.NAME`, of a USDT probe.
    pub fn value(&mut self, context: &Context<'_>, name: &str) -> Answer<Vec<Insn>> {
        let needs = "FILE:PROVIDER:NAME of a USDT probe";
        let target = self.target.as_deref().ok_or(NameProblem::NoTarget { needs })?;
        let argument = name.split_once('.').map_or("", |(_, argument)| argument);
        let mut parts = target.rsplitn(3, ':');
        let (ProgramType::Kprobe, Some(probe), Some(provider), Some(file)) =
            (context.kind, parts.next(), parts.next(), parts.next())
        else {
            return Err(NameProblem::NoValue {
                of: target.into(),
                argument: argument.into(),
                problem: format!(
                    "it is no USDT probe, FILE:PROVIDER:NAME, whose arguments alone are returned by a call: use the offset \
                     {name} in a load"
                ),
            });
        };
        let code = usdt_value(target, context.process, (file, provider, probe), argument)?;
        if !self.found.iter().any(|found| found.name == name && matches!(found.at, At::Value(_))) {
            self.found.push(Found { name: name.into(), at: At::Value(code.clone()) });
        }
        Ok(code)
    }

    /// Returns the arguments that later attachments have to match.
    pub fn into_arguments(
        self,
        spec: &ProgramSpec<'_, '_>,
        process: Option<u32>,
    ) -> Option<Box<dyn Arguments>> {
        // For other program types the attach target is fixed at load.
        let free = matches!(
            spec.kind,
            ProgramType::Tracepoint
                | ProgramType::RawTracepoint
                | ProgramType::RawTracepointWritable
                | ProgramType::Kprobe
        );
        let target = self.target.filter(|_| free && !self.found.is_empty())?;
        let code = &spec.code;
        let places = self.found.into_iter().map(|found| {
            let reads = |reloc: &&Reloc<'_>| {
                let kind = match found.at {
                    At::Context(_) => {
                        matches!(reloc.kind, RelocKind::Argument | RelocKind::Exists)
                    }
                    At::Value(_) => reloc.kind == RelocKind::ArgumentValue,
                };
                kind && reloc.name() == found.name
            };
            let slot = code.relocations.iter().find(reads).map_or(0, |reloc| reloc.slot as usize);
            let place = format!("{}:{}", code.file, code.line_number(slot));
            Read { found, place, statement: code.statement(slot).unwrap_or_default() }
        });
        let reads = places.collect();
        let (program, kind, attach_type) = (spec.name.into(), spec.kind, spec.attach_type);
        Some(Box::new(ReadArguments { program, kind, attach_type, target, process, reads }))
    }
}

/// Turns a missing argument into a successful answer that contains the error.
fn located(answer: Answer<Number>) -> Answer<Answer<Number>> {
    match answer {
        Err(problem) if !is_missing(&problem) => Err(problem),
        answer => Ok(answer),
    }
}

impl Number {
    fn place(&self) -> ArgumentAt {
        ArgumentAt { offset: self.value as i64, size: self.width }
    }
}

/// A target in messages.
fn in_process(target: &str, process: Option<u32>) -> String {
    match process {
        Some(process) => format!("{target} in process {process}"),
        None => target.into(),
    }
}

/// Returns the targets that a target stands for: those that match, if it is a pattern.
fn expand(kind: ProgramType, target: &str) -> Answer<Vec<String>> {
    let tracepoint = kind == ProgramType::Tracepoint;
    let function = kind == ProgramType::Kprobe && !target.contains(':');
    if !is_pattern(target) || !(tracepoint || function) {
        return Ok(vec![target.into()]);
    }
    if let (true, Some((category, name))) = (tracepoint, target.split_once(['/', ':'])) {
        let found = tracefs::matching(category, name)?.into_iter();
        return Ok(found.map(|(category, name)| format!("{category}/{name}")).collect());
    }
    let (glob, mut names) = (Glob::new(target), Vec::new());
    functions::each(|name, _| {
        if glob.matches(name) {
            names.push(name.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The arguments that a program reads, with their places in the target it was loaded for. Behind a trait, so that
/// a binary without such programs does not contain the comparison.
pub(in crate::program) trait Arguments: fmt::Debug + Send + Sync {
    /// Refuses a target that passes these arguments in another way; the files are those that a process sees.
    fn check(&self, place: &AttachTo<'_>, process: Option<u32>) -> Result<()>;
}

#[derive(Debug)]
struct ReadArguments {
    program: String,
    kind: ProgramType,
    attach_type: Option<AttachType>,
    target: String,
    process: Option<u32>,
    reads: Vec<Read>,
}

/// The first statement of a program that reads an argument.
#[derive(Debug)]
struct Read {
    found: Found,
    /// The file and line.
    place: String,
    statement: String,
}

impl Arguments for ReadArguments {
    fn check(&self, place: &AttachTo<'_>, process: Option<u32>) -> Result<()> {
        let target = place.to_string();
        // In another process it can be another file.
        if target == self.target && process == self.process {
            return Ok(());
        }
        let (kind, attach_type, types) = (self.kind, self.attach_type, KernelTypes::new());
        let context = Context { kind, attach_type, types: &types, theirs: None, process };
        let mut places = Places { target: Some(target.clone()), each: None, found: Vec::new() };
        for Read { found, place, statement } in &self.reads {
            let first = in_process(&self.target, self.process);
            let other = in_process(&target, process);
            let problem = match &found.at {
                At::Context(at) => {
                    let there = located(places.argument(&context, &found.name));
                    match there.map(|there| there.ok().as_ref().map(Number::place)) {
                        Ok(there) if there == *at => continue,
                        Ok(there) => NameProblem::Layout { first, other, at: (*at, there) },
                        Err(problem) => problem,
                    }
                }
                At::Value(code) => match places.value(&context, &found.name) {
                    Ok(there) if there == *code => continue,
                    Ok(_) => NameProblem::OtherValue { first, other },
                    Err(problem) => problem,
                },
            };
            return Err(Error::Name {
                program: self.program.clone(),
                kind,
                place: place.clone(),
                statement: statement.clone(),
                name: found.name.clone(),
                problem: Box::new(problem),
            });
        }
        Ok(())
    }
}

impl Context<'_> {
    /// Returns the place of an argument of a target in the context of the program.
    fn argument(&self, target: &str, argument: &str) -> Answer<Number> {
        let tracepoint = self.kind == ProgramType::Tracepoint;
        let needs = needs(self.kind);
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
                if let Some((name, index)) = argument.split_once('[')
                    && let Some(field) = fields.iter().find(|field| field.name == name)
                    && let Some((count, size)) = field.elements()
                {
                    let index = index.strip_suffix(']').and_then(|index| index.parse::<u32>().ok());
                    let Some(index) = index.filter(|index| *index < count) else {
                        return Err(none((0..count).map(|i| format!("{name}[{i}]")).collect()));
                    };
                    let width = matches!(size, 1 | 2 | 4 | 8).then_some(size);
                    return Ok(Number { width, ..Number::of(field.offset + index * size) });
                }
                // The first fields are common to all tracepoints and not for programs.
                let own = fields.into_iter().filter(|field| !field.name.starts_with("common_"));
                return Err(none(own.map(|field| field.name).collect()));
            };
            let width = field.is_scalar().then_some(field.size);
            return Ok(Number { width, ..Number::of(field.offset) });
        }
        if self.kind == ProgramType::Kprobe && target.ends_with(RETURN) {
            // At the return the argument registers hold other values.
            return match registers::offset(argument).filter(|_| argument == "ret") {
                Some(offset) => Ok(Number { width: Some(8), ..Number::of(offset) }),
                None => Err(none(vec!["ret".into()])),
            };
        }
        if self.kind == ProgramType::Kprobe && target.contains(':') {
            return user_argument(target, self.process, argument);
        }
        let Some(names) = self.parameters(target)? else {
            return Err(NameProblem::NoTarget { needs });
        };
        let number = argument.strip_prefix("arg").and_then(|number| number.parse::<usize>().ok());
        let numbered = number.and_then(|number| number.checked_sub(1));
        let index = match names.iter().position(|name| name == argument) {
            Some(index) => index,
            // The result comes after the arguments.
            None if argument == "ret" && self.kind == ProgramType::Tracing => names.len(),
            None => match numbered.filter(|index| *index < names.len()) {
                Some(index) => index,
                None => return Err(none(names)),
            },
        };
        let offset = if self.kind == ProgramType::Kprobe {
            let register = registers::offset(&format!("parm{}", index + 1));
            u64::from(register.ok_or(NameProblem::NoRegister)?)
        } else {
            8 * index as u64
        };
        // Each has eight bytes, whatever its type.
        Ok(Number { width: Some(8), ..Number::of(offset) })
    }

    /// Returns the names of the parameters that are passed to the program; `None` for program types that get
    /// none.
    fn parameters(&self, target: &str) -> Answer<Option<Vec<String>>> {
        if let (ProgramType::Tracing, Some(btf)) = (self.kind, self.theirs) {
            let id = btf.type_id(target, Kind::Function).map_err(Error::from)?;
            return Ok(Some(named(&btf.function(id).map_err(Error::from)?, 0)));
        }
        if self.kind == ProgramType::StructOps {
            let (member, place) = self.types.find(|btf| btf.look_up_field(target))?;
            let function = place.btf.function(member.type_id).map_err(Error::from)?;
            return Ok(Some(named(&function, 0)));
        }
        let tracepoint = matches!(
            (self.kind, self.attach_type),
            (ProgramType::RawTracepoint | ProgramType::RawTracepointWritable, _)
                | (ProgramType::Tracing, Some(AttachType::TraceRawTp))
        );
        let (name, skipped) = if tracepoint {
            // The first parameter is private data of the registered probe, then come those of the tracepoint.
            // (The typedef `btf_trace_NAME` has the types as well, but the compiler leaves out the names there.)
            (format!("__traceiter_{target}"), 1)
        } else if self.kind == ProgramType::Kprobe {
            (target.into(), 0)
        } else {
            match attach_point(self.kind, self.attach_type) {
                Some((prefix, Kind::Function)) => (format!("{prefix}{target}"), 0),
                _ => return Ok(None),
            }
        };
        let found = match self.types.type_id(&name, Kind::Function) {
            // The name of a system call stands for its function, whatever its name in the kernel.
            Err(error) if self.kind == ProgramType::Kprobe && name.starts_with("sys_") => {
                match symbols::resolve_syscall(&name)? {
                    Some(function) => self.types.type_id(&function, Kind::Function),
                    None => Err(error),
                }
            }
            found => found,
        };
        let (id, place) = found?;
        let function = place.btf.function(id).map_err(Error::from)?;
        Ok(Some(named(&function, skipped)))
    }
}

/// Returns the place of an argument of a function in a program or library, `FILE:FUNCTION`, or of a USDT probe,
/// `FILE:PROVIDER:NAME`.
fn user_argument(target: &str, process: Option<u32>, argument: &str) -> Answer<Number> {
    let mut parts = target.rsplitn(3, ':');
    // A function with colons in its name is quoted, or the file is followed by two colons.
    let function = |file: &str, provider: &str| {
        target.contains(":\"") || provider.is_empty() && file.contains(':')
    };
    if let (Some(name), Some(provider), Some(file)) = (parts.next(), parts.next(), parts.next())
        && !function(file, provider)
    {
        return usdt_argument(target, process, (file, provider, name), argument);
    }
    // The number of arguments of a C function is not recorded: every argument register is allowed.
    let register = match argument.strip_prefix("arg") {
        Some(number) => registers::offset(&format!("parm{number}")),
        None if argument == "ret" => registers::offset(argument),
        None => None,
    };
    match register {
        Some(offset) => Ok(Number { width: Some(8), ..Number::of(offset) }),
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
    process: Option<u32>,
    (file, provider, name): (&str, &str, &str),
    argument: &str,
) -> Answer<Number> {
    use crate::user::{self, Operand};
    let path = user::find_file(file, process)?;
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
                Ok(Number { width: Some(register.size.into()), ..Number::of(register.offset) })
            }
            _ => Err(not_in_register(target, argument, &all)),
        },
        _ => Err(not_in_register(target, argument, &all)),
    }
}

/// Returns the instructions that return an argument of a USDT probe, from the notes of the file.
#[cfg(feature = "elf")]
fn usdt_value(
    target: &str,
    process: Option<u32>,
    (file, provider, name): (&str, &str, &str),
    argument: &str,
) -> Answer<Vec<Insn>> {
    use crate::asm::{BuildOptions, Builder};
    use crate::insn::{AluOp, Bits, Op, Reg, Source};
    use crate::user::{self, ArgumentRegisters};
    let path = user::find_file(file, process)?;
    let number = argument.strip_prefix("arg").and_then(|number| number.parse::<usize>().ok());
    let probes = user::find_usdt(&path, provider, name)?;
    let places = probes.iter().flat_map(|probe| &probe.places);
    let fewest = places.map(|place| place.arguments.len()).min().unwrap_or_default();
    let Some(number) = number.filter(|number| (1..=fewest).contains(number)) else {
        return Err(NameProblem::NoArgument {
            of: target.into(),
            argument: argument.into(),
            known: (1..=fewest).map(|number| format!("arg{number}")).collect(),
        });
    };
    let mut found: Option<Vec<Insn>> = None;
    // There are several if the provider or the name is a pattern.
    for probe in &probes {
        let mut builder = Builder::new();
        let (bits, op) = (Bits::B64, AluOp::Mov);
        builder.push(Op::Alu { bits, op, dst: Reg::R6, src: Source::Reg(Reg::R1) });
        let registers = ArgumentRegisters { context: Reg::R6, to: Reg::R0, stack: -8 };
        probe.load_argument(&mut builder, number, registers)?;
        builder.push(Op::Exit);
        let built = builder.finish(&BuildOptions::new());
        let built = built.map_err(|error| NameProblem::NoValue {
            of: target.into(),
            argument: argument.into(),
            problem: error.to_string(),
        })?;
        let code = built.code().slots.to_vec();
        match &found {
            Some(first) if *first != code => {
                let other = format!("{}:{}", probe.provider, probe.name);
                return Err(NameProblem::OtherValue { first: target.into(), other });
            }
            _ => found = Some(code),
        }
    }
    found.ok_or_else(|| NameProblem::NoValue {
        of: target.into(),
        argument: argument.into(),
        problem: "there is no such probe".into(),
    })
}

#[cfg(not(feature = "elf"))]
fn usdt_value(
    target: &str,
    _: Option<u32>,
    _: (&str, &str, &str),
    argument: &str,
) -> Answer<Vec<Insn>> {
    Err(NameProblem::NoValue {
        of: target.into(),
        argument: argument.into(),
        problem: "the notes of the file are read with the feature `elf`".into(),
    })
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
fn usdt_argument(
    target: &str,
    _: Option<u32>,
    _: (&str, &str, &str),
    argument: &str,
) -> Answer<Number> {
    Err(NameProblem::NotInRegister {
        of: target.into(),
        argument: argument.into(),
        place: "the notes of the file, which are read with the feature `elf`".into(),
    })
}

/// Returns the names of a function's parameters; empty for a function without parameters.
fn named(function: &Function<'_>, skipped: usize) -> Vec<String> {
    let names = function.parameters.iter().skip(skipped);
    names.map(|parameter| parameter.name.to_owned()).collect()
}
