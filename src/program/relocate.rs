//! Resolution of relocations: the only place that fills in the open fields of a program's instructions.
//!
//! Code with relocations carries its resolver as a hook, which is decided in `const`: so a program that names no map,
//! and nothing of the kernel, does not contain the code that creates maps and parses BTF.

mod arguments;
mod core;
mod externs;
mod jump_tables;
mod kernel;
mod problem;

pub(super) use arguments::Arguments;
#[cfg(feature = "cli")]
pub(crate) use kernel::kernel_number;
pub use problem::NameProblem;

use self::arguments::Places;
use self::core::LocalTypes;
use self::jump_tables::put_jump_tables;
use self::kernel::{Context, Number};
use self::problem::{is_missing, is_missing_function};
use super::Loader;
use super::btf_target::section;
use super::source::Added;
use crate::asm::{Assembly, CollectionProgram};
use crate::btf::{Btf, Kind, essential_name, module_btf};
use crate::codegen::Compiled;
use crate::error::{Error, Result};
use crate::insn::{Insn, Op, class, mode};
use crate::map::Map;
use crate::spec::{Code, Hook, POISON, ProgramSpec, Reloc, RelocField, RelocKind, RelocTarget};
use crate::uapi::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Kernel functions whose first argument is the id of a type in the program's own BTF (`__local_type_id__k`).
const TAKES_OWN_TYPE: [&str; 4] =
    ["bpf_obj_new_impl", "bpf_percpu_obj_new_impl", "bpf_obj_new", "bpf_percpu_obj_new"];

/// The results of relocation besides the instructions.
#[derive(Default)]
pub(super) struct Relocated {
    /// The array of descriptors that some instructions index.
    pub modules: Vec<OwnedFd>,
    /// The arguments that instructions read, with their places in the attach target.
    pub arguments: Option<Box<dyn Arguments>>,
    /// The functions that were added behind the code.
    pub added: Vec<Added>,
    /// Their instructions.
    pub behind: Vec<Insn>,
    /// Whether the program names types of its object to the kernel.
    pub own_types: bool,
    /// The maps of its jump tables, which the kernel keeps once the program is loaded.
    pub tables: Vec<Map>,
}

/// Resolves relocations. The types are those of the other program, if this one is for a function of one.
type Resolve = for<'a> fn(
    &mut Loader<'a>,
    &ProgramSpec<'a, '_>,
    Option<&Btf>,
    &mut [Insn],
) -> Result<Relocated>;

/// The resolver that code carries.
struct Resolver(Resolve);

/// Adds the resolver that the code needs, if it has relocations.
#[doc(hidden)]
pub const fn resolvable(mut code: Code<'_>) -> Code<'_> {
    let mut index = 0;
    while index < code.relocations.len() {
        // Maps and data do not need the kernel's types.
        if !matches!(code.relocations[index].kind, RelocKind::Map) {
            code.resolver = Some(Hook::new(&Resolver(resolve)));
            return code;
        }
        code.resolver = Some(Hook::new(&Resolver(resolve_maps)));
        index += 1;
    }
    code
}

impl Assembly<'_> {
    /// Returns the code, for a [`ProgramSpec`].
    pub fn code(&self) -> Code<'_> {
        resolvable(self.unresolved())
    }
}

impl Compiled<'_> {
    /// Returns the code, for a [`ProgramSpec`].
    pub fn code(&self) -> Code<'_> {
        resolvable(self.unresolved())
    }

    /// Returns code that refers to maps, data, and fields of the kernel's structs at most: it comes without what resolves other names.
    #[cfg(feature = "bt")]
    pub(crate) fn code_with_fields(&self) -> Code<'_> {
        let mut code = self.unresolved();
        if !code.relocations.is_empty() {
            code.resolver = Some(Hook::new(&Resolver(resolve_fields)));
        }
        code
    }
}

impl CollectionProgram<'_> {
    /// Returns its code, with zeros in place of addresses and numbers of the kernel's that are to be filled in, without
    /// the maps and the data: [`TextSpec`](super::TextSpec) has them.
    pub fn code(&self) -> Code<'_> {
        resolvable(self.unresolved())
    }
}

/// Resolves the relocations of a program's instructions.
pub(super) fn relocate<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    theirs: Option<&Btf>,
    insns: &mut [Insn],
) -> Result<Relocated> {
    match spec.code.resolver.and_then(Hook::get) {
        Some(Resolver(resolve)) => resolve(loader, spec, theirs, insns),
        None if spec.code.relocations.is_empty() => Ok(Relocated::default()),
        None => Err(by_hand(spec)),
    }
}

fn by_hand(spec: &ProgramSpec<'_, '_>) -> Error {
    let problem = "its code was given relocations by hand: make it anew";
    Error::Spec { what: "program", name: spec.name.into(), problem }
}

/// Writes the descriptor of a map into its instruction.
fn put_map<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    reloc: &Reloc<'a>,
    insns: &mut [Insn],
) -> Result<()> {
    #[cfg(feature = "elf")]
    if let RelocTarget::DataSection(index) = reloc.target
        && let Some(data) = spec.code.data.more.get(index as usize)
        && data.arena.is_some()
    {
        return loader.put_arena(spec, data, insns, reloc.slot as usize);
    }
    let map = match reloc.target {
        RelocTarget::Map(map) => loader.map(map)?,
        RelocTarget::Section(section) => loader.section(&spec.code, section)?,
        RelocTarget::DataSection(index) => loader.data_section(spec, index)?,
        RelocTarget::Kconfig(config, _) if reloc.kind == RelocKind::Kconfig => {
            loader.kconfig(config)?
        }
        RelocTarget::Core(_)
        | RelocTarget::Extern(_)
        | RelocTarget::Kconfig(..)
        | RelocTarget::JumpTable(_) => return Err(by_hand(spec)),
        RelocTarget::Name(name) => match spec.code.maps.iter().find(|map| map.name == name) {
            Some(map) => loader.filled(map, spec.code.maps)?,
            None => {
                let problem =
                    "it names a map that is not with its code: make the spec with TextSpec";
                return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
            }
        },
    };
    let fd = map.as_fd().as_raw_fd();
    if let Some(insn) = insns.get_mut(reloc.slot as usize) {
        *insn = insn.with_imm(fd);
    }
    Ok(())
}

/// The resolver for code that refers only to maps and data.
fn resolve_maps<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    _: Option<&Btf>,
    insns: &mut [Insn],
) -> Result<Relocated> {
    for reloc in spec.code.relocations {
        if reloc.kind != RelocKind::Map {
            return Err(by_hand(spec));
        }
        put_map(loader, spec, reloc, insns)?;
    }
    Ok(Relocated::default())
}

/// The resolver for code that refers only to maps, data, and fields.
#[cfg(feature = "bt")]
fn resolve_fields<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    _: Option<&Btf>,
    insns: &mut [Insn],
) -> Result<Relocated> {
    for reloc in spec.code.relocations {
        match reloc.kind {
            RelocKind::Map => put_map(loader, spec, reloc, insns)?,
            RelocKind::Value => {
                let slot = reloc.slot as usize;
                let access = insns.get(slot).and_then(|insn| access(*insn));
                let field = loader.types().field(&reloc.name());
                field
                    .map_err(Into::into)
                    .and_then(|field| Number::of_field(&field).checked(reloc.field, access))
                    .and_then(|value| put(insns, slot, reloc.field, value))
                    .map_err(|problem| refused(spec, reloc, problem))?;
            }
            _ => return Err(by_hand(spec)),
        }
    }
    Ok(Relocated::default())
}

/// The resolver for all relocations.
fn resolve<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    theirs: Option<&Btf>,
    insns: &mut [Insn],
) -> Result<Relocated> {
    let is_map = |reloc: &&Reloc<'_>| matches!(reloc.kind, RelocKind::Map | RelocKind::Kconfig);
    for reloc in spec.code.relocations.iter().filter(is_map) {
        put_map(loader, spec, reloc, insns)?;
    }
    let tables = put_jump_tables(spec, loader.token, insns)?;
    let (types, process) = (loader.types(), loader.process);
    let (kind, attach_type) = (spec.kind, spec.attach_type);
    let context = Context { kind, attach_type, types, theirs, process };
    let mut resolution = Resolution {
        spec,
        context,
        places: Places::of(spec),
        insns,
        added: Vec::new(),
        behind: Vec::new(),
        modules: Vec::new(),
        own_types: false,
        local: LocalTypes::default(),
    };
    for reloc in spec.code.relocations {
        resolution.fill(reloc)?;
    }
    let modules = resolution.modules()?;
    let Resolution { added, behind, places, own_types, .. } = resolution;
    let arguments = places.into_arguments(spec, process);
    Ok(Relocated { modules, added, behind, arguments, own_types, tables })
}

/// The relocations of one program, during their resolution.
struct Resolution<'l, 'a> {
    spec: &'l ProgramSpec<'a, 'l>,
    context: Context<'l>,
    places: Places,
    insns: &'l mut [Insn],
    added: Vec<Added>,
    behind: Vec<Insn>,
    /// Modules whose BTF descriptors the kernel needs.
    modules: Vec<(&'l str, OwnedFd)>,
    /// Whether the program names types of its object to the kernel.
    own_types: bool,
    /// The types of the object, if the program is from one.
    local: LocalTypes,
}

impl<'l> Resolution<'l, '_> {
    fn fill(&mut self, reloc: &Reloc<'_>) -> Result<()> {
        let slot = reloc.slot as usize;
        let Some(insn) = self.insns.get(slot).copied() else { return Ok(()) };
        let name = reloc.name();
        let found = match reloc.kind {
            RelocKind::Map | RelocKind::Kconfig | RelocKind::JumpTable => return Ok(()),
            RelocKind::Kfunc => return self.put_kfunc(reloc, &name),
            RelocKind::Variable | RelocKind::FunctionAddress | RelocKind::Symbol => {
                let RelocTarget::Extern(wanted) = reloc.target else {
                    return Err(by_hand(self.spec));
                };
                let done = self.put_extern(reloc, wanted);
                return done.map_err(|problem| refused(self.spec, reloc, problem));
            }
            RelocKind::ArgumentValue => {
                return match self.put_value(slot, &name) {
                    Ok(()) => Ok(()),
                    Err(problem) if is_missing(&problem) && self.is_asked_for(&name) => {
                        poison(self.insns, slot);
                        Ok(())
                    }
                    Err(problem) => Err(refused(self.spec, reloc, problem)),
                };
            }
            RelocKind::Argument => self.places.argument(&self.context, &name),
            RelocKind::Value | RelocKind::Enumerator | RelocKind::Register => {
                self.context.value(&name)
            }
            RelocKind::Size => {
                self.context.types.size_of(&name).map(Number::of).map_err(Into::into)
            }
            RelocKind::Exists => self.exists(&name),
            RelocKind::Core => {
                let RelocTarget::Core(core) = reloc.target else { return Err(by_hand(self.spec)) };
                let done = self.put_core(reloc, core);
                return done.map_err(|problem| refused(self.spec, reloc, problem));
            }
        };
        let done = found
            .and_then(|found| found.checked(reloc.field, access(insn)))
            .and_then(|value| put(self.insns, slot, reloc.field, value));
        match done {
            Ok(()) => Ok(()),
            Err(problem) if is_missing(&problem) && self.is_asked_for(&name) => {
                poison(self.insns, slot);
                Ok(())
            }
            Err(problem) => Err(refused(self.spec, reloc, problem)),
        }
    }

    fn exists(&mut self, name: &str) -> Answer<Number> {
        if !name.contains('.') {
            return Ok(Number::of(u8::from(self.context.types.exists(name)?)));
        }
        let found = match RelocKind::of_path(name.as_bytes()) {
            RelocKind::Argument => self.places.argument(&self.context, name),
            _ => self.context.value(name),
        };
        match found {
            Ok(_) | Err(NameProblem::NotInRegister { .. }) => Ok(Number::of(1)),
            Err(problem) if is_missing(&problem) => Ok(Number::of(0)),
            Err(problem) => Err(problem),
        }
    }

    /// Returns whether the program checks with `exists` for this name, or for one that it is a part of: then it may be
    /// missing.
    fn is_asked_for(&self, name: &str) -> bool {
        let relocations = self.spec.code.relocations.iter();
        relocations.filter(|reloc| reloc.kind == RelocKind::Exists).any(|reloc| {
            let asked = reloc.name();
            name.strip_prefix(asked.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Writes the call of the function that returns an argument; the first call for an argument adds the function.
    fn put_value(&mut self, slot: usize, name: &str) -> Answer<()> {
        let start = match self.added.iter().find(|one| one.name == symbol(name)) {
            Some(one) => one.slot,
            None => {
                let code = self.places.value(&self.context, name)?;
                let start = (self.insns.len() + self.behind.len()) as u32;
                self.behind.extend(code);
                self.added.push(Added { slot: start, name: symbol(name), caller: slot as u32 });
                start
            }
        };
        // A program has fewer than 2^31 slots.
        let offset = start as i32 - slot as i32 - 1;
        if let Some(insn) = self.insns.get_mut(slot) {
            *insn = Op::CallLocal { offset }.encode().first();
        }
        Ok(())
    }

    /// Writes the BTF id of a kernel function into the call of it. For a function in a module the kernel needs the
    /// module's BTF as well: its index in the array of descriptors, where the first is not used.
    fn put_kfunc(&mut self, reloc: &Reloc<'_>, name: &str) -> Result<()> {
        let refused = |error: NameProblem| refused(self.spec, reloc, error);
        let types = self.context.types;
        // Functions of objects can have flavours, for several prototypes of one.
        let name = match reloc.target {
            RelocTarget::Extern(_) => essential_name(name),
            _ => name,
        };
        if matches!(reloc.target, RelocTarget::Extern(_)) && TAKES_OWN_TYPE.contains(&name) {
            let object = self.spec.code.of_object();
            if object.is_none_or(|object| object.types.is_none() || object.functions.is_empty()) {
                let problem = "it takes the id of a type of the object, which does not describe all functions of the program";
                return Err(refused(NameProblem::Instruction { problem }));
            }
            self.own_types = true;
        }
        let wanted = match reloc.target {
            RelocTarget::Extern(wanted) => Some(wanted),
            _ => None,
        };
        let found = types.type_id(name, Kind::Function).map_err(NameProblem::from);
        let found = found.and_then(|(id, place)| match wanted {
            Some(wanted) => self.local.check(wanted, place.btf, id).map(|()| (id, place)),
            None => Ok((id, place)),
        });
        let (id, place) = match found {
            Ok(found) => found,
            Err(problem) => {
                let weak = wanted.is_some_and(|wanted| wanted.weak);
                if weak && is_missing_function(&problem) {
                    poison(self.insns, reloc.slot as usize);
                    return Ok(());
                }
                return Err(refused(problem));
            }
        };
        let index = match place.module {
            None => 0,
            Some(module) => self.module(module).map_err(|error| refused(error.into()))? + 1,
        };
        if let Some(insn) = self.insns.get_mut(reloc.slot as usize) {
            *insn = insn.with_imm(id as i32).with_offset(index as i16);
        }
        Ok(())
    }

    /// Returns the index of a module among those whose BTF descriptors the kernel needs.
    fn module(&mut self, module: &'l str) -> Result<usize> {
        if let Some(index) = self.modules.iter().position(|(known, _)| *known == module) {
            return Ok(index);
        }
        self.modules.push((module, module_btf(module)?));
        Ok(self.modules.len() - 1)
    }

    /// Returns the array of descriptors.
    fn modules(&mut self) -> Result<Vec<OwnedFd>> {
        let Some((_, first)) = self.modules.first() else { return Ok(Vec::new()) };
        // The descriptor at index 0 is not used.
        let first = first.try_clone().map_err(|source| Error::LoadProgram {
            program: self.spec.name.into(),
            kind: self.spec.kind,
            section: section(self.spec),
            errno: Errno::of(&source),
            why: None,
            lacks: None,
        })?;
        let modules = std::mem::take(&mut self.modules);
        Ok(std::iter::once(first).chain(modules.into_iter().map(|(_, btf)| btf)).collect())
    }
}

/// Returns the name of the function that returns an argument: `args_arg3` for `args.arg3`.
fn symbol(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
}

type Answer<T> = std::result::Result<T, NameProblem>;

/// Returns the error of a relocation that cannot be resolved.
fn refused(
    spec: &ProgramSpec<'_, '_>,
    reloc: &Reloc<'_>,
    problem: impl Into<NameProblem>,
) -> Error {
    let (code, slot) = (&spec.code, reloc.slot as usize);
    let instruction = code.statement(slot).unwrap_or_default();
    let (place, statement) = match code.of_object().and_then(|object| object.line(slot)) {
        Some(line) => (
            format!("{}:{}", line.file, line.line),
            format!("{} (instruction {slot}: {instruction})", line.text),
        ),
        None => (format!("{}:{}", code.file, code.line_number(slot)), instruction),
    };
    Error::Name {
        program: spec.name.into(),
        kind: spec.kind,
        place: match code.of_object() {
            Some(object) => format!("section `{}`, {place}", object.section),
            None => place,
        },
        statement,
        name: reloc.name(),
        problem: Box::<NameProblem>::new(problem.into()),
    }
}

/// Returns the size of a memory access in bytes.
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

/// Writes a number into an instruction.
fn put(insns: &mut [Insn], slot: usize, field: RelocField, value: i128) -> Answer<()> {
    let wide = insns.get(slot).is_some_and(|insn| insn.opcode() == 0x18);
    let Some(insn) = insns.get(slot).copied() else { return Ok(()) };
    // In 32-bit arithmetic and stores of up to 32 bits the same bits have either meaning.
    let narrow = match insn.opcode() & 7 {
        class::ALU | class::JMP32 => true,
        class::ST => access(insn) != Some(8),
        _ => false,
    };
    let (low, high) = match field {
        RelocField::Offset => (i16::MIN.into(), i16::MAX.into()),
        RelocField::Immediate if wide => (i64::MIN, i64::MAX),
        RelocField::Immediate if narrow => (i32::MIN.into(), u32::MAX.into()),
        RelocField::Immediate => (i32::MIN.into(), i32::MAX.into()),
    };
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
    let filled = match field {
        RelocField::Offset => insn.with_offset(value as i16),
        RelocField::Immediate => insn.with_imm(value as i32),
    };
    if let Some(to) = insns.get_mut(slot) {
        *to = filled;
    }
    Ok(())
}

/// Writes the number of a name into an instruction, if an access of it covers the whole field, which has that width; the error is the
/// problem.
#[cfg(feature = "elf")]
pub(crate) fn put_number(
    insns: &mut [Insn],
    slot: usize,
    field: RelocField,
    value: i128,
    width: Option<u32>,
) -> std::result::Result<(), String> {
    let number = Number { width, ..Number::of(value) };
    let access = insns.get(slot).copied().and_then(access);
    let value = number.checked(field, access);
    let done = value.and_then(|value| put(insns, slot, field, value));
    done.map_err(|problem| problem.to_string())
}

/// Replaces an instruction by one that the verifier refuses if it is reachable.
fn poison(insns: &mut [Insn], slot: usize) {
    let wide = insns.get(slot).is_some_and(|insn| insn.opcode() == 0x18);
    // The second slot of a wide instruction is none by itself.
    let slots = if wide { slot..slot + 2 } else { slot..slot + 1 };
    for insn in insns.get_mut(slots).into_iter().flatten() {
        *insn = Op::CallHelper { number: POISON }.encode().first();
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::spec::{MapSpec, ProgramSpec};
    use crate::syscall::{Call, fake};
    use crate::uapi::{Errno, MapType, ProgramType};
    use crate::{Loader, Map, bpf};

    static COUNTS: MapSpec = MapSpec::array("counts", 8, 1);
    const PLAIN: ProgramSpec<'_, '_> =
        ProgramSpec::new("plain", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    const USING: ProgramSpec<'_, '_> =
        ProgramSpec::new("using", ProgramType::Kprobe, bpf! { r1 = COUNTS ll; r0 = 0; exit; });
    const NAMING: ProgramSpec<'_, '_> =
        ProgramSpec::new("naming", ProgramType::Kprobe, bpf! { r0 = sizeof(task_struct); exit; });

    #[test]
    fn a_spec_holds_only_what_it_needs() {
        assert!(PLAIN.code.resolver.is_none() && PLAIN.find_target.is_none());
        assert!(USING.code.resolver.is_some() && NAMING.code.resolver.is_some());
        assert!(PLAIN.with_kind(ProgramType::Tracing).find_target.is_some());
        assert!(
            PLAIN.with_kind(ProgramType::Lsm).with_kind(ProgramType::Xdp).find_target.is_none()
        );
        assert!(COUNTS.find_table.is_none());
        assert!(MapSpec::struct_ops("ops", "tcp_congestion_ops").find_table.is_some());
    }

    /// Relocations that are set in a spec directly, without its functions, are not silently ignored.
    #[test]
    fn what_was_set_by_hand_is_refused() {
        let none = |_: &mut Call<'_, '_>| -> Option<Result<i64, Errno>> { panic!("asked") };
        let mut code = PLAIN.code;
        (code.slots, code.relocations) = (NAMING.code.slots, NAMING.code.relocations);
        let named = ProgramSpec { code, ..PLAIN };
        let mut used = PLAIN;
        used.code.relocations = USING.code.relocations;
        let mut mixed = USING;
        mixed.code.relocations = NAMING.code.relocations;
        let aimed = ProgramSpec { kind: ProgramType::Lsm, target: Some("file_open"), ..PLAIN };
        fake::with(none, || {
            for (spec, word) in [
                (named, "relocations"),
                (used, "relocations"),
                (mixed, "relocations"),
                (aimed, "with_kind"),
            ] {
                let Err(Error::Spec { problem, .. }) = Loader::new().load(&spec) else {
                    panic!("{word}");
                };
                assert!(problem.contains(word), "{problem}");
            }
            let table = MapSpec {
                kind: MapType::StructOps,
                table: Some("tcp_congestion_ops"),
                value_size: 0,
                ..MapSpec::array("ops", 4, 1)
            };
            let error = Map::create(&table).unwrap_err();
            assert!(matches!(error, Error::MapField { field: "kind", .. }), "{error}");
        });
        // Replacing the whole code of a spec is supported.
        let ok = |call: &mut Call<'_, '_>| match call {
            Call::MapCreate(_) | Call::ProgLoad(_) | Call::BtfLoad(_) => Some(fake::descriptor()),
            _ => None,
        };
        fake::with(ok, || Loader::new().load(&ProgramSpec { code: USING.code, ..PLAIN })).unwrap();
    }
}
