//! A text to an object.

use super::data::Places;
use super::format::{File, Relocation, Section as ElfSection, Symbol};
use super::maps;
use super::plan::{Plan, To};
use super::types::{Collected, Types};
use crate::asm::{Code, Collection, Diagnostics, Section};
use crate::btf::{About, BtfError, Entry, KernelTypes};
use crate::insn::ByteOrder;
use crate::program::{TextSpec, context, describe_in};
use object::elf::{self, SectionFlags};
use std::collections::HashMap;

/// Bytes of a slot.
const SLOT: u64 = 8;

/// Makes an object of a text, for machines of a byte order: a relocatable ELF file (`EM_BPF`) with the programs, their maps and their data,
/// that libbpf and `bpftool prog load` take, and with BTF that tells of functions and lines. `file` is what messages and the lines call
/// the text. The text has to be assembled for the same order ([`ParseOptions::order`](crate::asm::ParseOptions::order)).
///
/// ```
/// use rawbpf::asm::{ParseOptions, parse};
/// use rawbpf::insn::ByteOrder;
///
/// let text = ".program one, kprobe/sys_clone\nr0 = 0\nexit\n";
/// let module = parse(text, "one.s", &ParseOptions::new().order(ByteOrder::Little))?;
/// let object = rawbpf::object::write(&module, "one.s", ByteOrder::Little)?;
/// assert!(object.starts_with(b"\x7fELF"));
/// # Ok::<(), rawbpf::asm::Diagnostics>(())
/// ```
///
/// Names of the kernel (`task_struct.tgid`, `sizeof(…)`, `exists(…)`, `pid_type.PIDTYPE_TGID`, `enum.…`) become CO-RE relocations, with as much
/// of the types of the running kernel as they name: the object is for other kernels, too.
///
/// # Errors
/// All that an object cannot hold, at its place in the text: numbers that only the kernel knows which loads a program
/// (`args.filename`, kernel functions by name), names that the running kernel does not have, jumps from one function into another,
/// addresses in the value of a map that is no section of data, maps of maps, names that stand for several things.
pub fn write(
    module: &Collection<'_>,
    file: &str,
    order: ByteOrder,
) -> Result<Vec<u8>, Diagnostics> {
    write_with(module, file, order, &KernelTypes::new())
}

/// Makes an object as [`write()`], with the types of another kernel.
///
/// # Errors
/// As [`write()`].
pub fn write_with(
    module: &Collection<'_>,
    file: &str,
    order: ByteOrder,
    kernel: &KernelTypes,
) -> Result<Vec<u8>, Diagnostics> {
    let programs = module.programs().iter();
    // None of them belongs to another text.
    let specs: Vec<_> =
        programs.filter_map(|program| TextSpec::new(module, program, file).ok()).collect();
    let codes: Vec<_> = specs.iter().map(TextSpec::code).collect();
    let mut plan = Plan::new(module, &codes, kernel);
    if plan.mistakes.is_empty() {
        let types = types(module, &plan, &specs, &codes, order);
        let types = types.map_err(|error| format!("its types cannot be in an object: {error}"));
        match types.and_then(|types| object(module, &plan, types, order)) {
            Ok(bytes) => return Ok(bytes),
            Err(message) => plan.mistake(message, 0..0),
        }
    }
    let text = plan.text();
    Err(Diagnostics::new(plan.mistakes, file, text))
}

/// The file.
fn object(
    module: &Collection<'_>,
    plan: &Plan<'_>,
    types: Types,
    order: ByteOrder,
) -> Result<Vec<u8>, String> {
    let mut file = File::default();
    let executable = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
    let writable = elf::SHF_ALLOC | elf::SHF_WRITE;
    let mut sections = Vec::with_capacity(plan.codes.len());
    for code in &plan.codes {
        sections.push(file.sections.len());
        if !code.slots.is_empty() {
            file.sections.push(ElfSection::new(&code.name, executable, Vec::new()));
        }
    }
    for function in &plan.functions {
        file.symbols.push(Symbol {
            name: function.name.as_str().into(),
            kind: elf::STT_FUNC,
            // Those in .text are for their programs alone, so that two can have one name.
            global: function.section != 0,
            section: sections.get(function.section).copied().unwrap_or_default(),
            value: u64::from(function.offset) * SLOT,
            size: function.slots.len() as u64 * SLOT,
        });
    }

    // Without a license the loader takes GPL, as it does for the text.
    let license = module.license().unwrap_or("GPL");
    file.sections.push(ElfSection::new("license", writable, [license.as_bytes(), &[0]].concat()));

    let first_map = file.symbols.len();
    let (section, mut offset) = (file.sections.len(), 0);
    for map in module.maps() {
        let (name, kind) = (map.name.into(), elf::STT_OBJECT);
        let (value, size) = (offset, maps::size(map).into());
        file.symbols.push(Symbol { name, kind, global: true, section, value, size });
        offset += size;
    }
    if offset > 0 {
        file.sections.push(ElfSection::new(".maps", writable, vec![0; offset as usize]));
    }

    let data = module.data();
    let mut places = Places::new(module, plan);
    for section in Section::ALL {
        let bytes = data.section(section);
        if bytes.is_empty() {
            continue;
        }
        places.add_symbols(&mut file, section);
        file.sections.push(match section {
            Section::Rodata => ElfSection::new(".rodata", elf::SHF_ALLOC, bytes.to_vec()),
            Section::Data => ElfSection::new(".data", writable, bytes.to_vec()),
            Section::Bss => ElfSection::zeros(".bss", writable, bytes.len() as u64),
        });
    }
    if data.bss.iter().any(|byte| *byte != 0) {
        return Err("a variable in .bss was given a value, and in an object all of it is 0".into());
    }

    let mut wholes = HashMap::new();
    let mut whole = |file: &mut File<'_>, section: usize| {
        *wholes.entry(section).or_insert_with(|| {
            let (name, kind) = ("".into(), elf::STT_SECTION);
            file.symbols.push(Symbol { name, kind, global: false, section, value: 0, size: 0 });
            file.symbols.len() - 1
        })
    };
    for (code, section) in plan.codes.iter().zip(&sections) {
        if code.slots.is_empty() {
            continue;
        }
        let mut slots = code.slots.clone();
        let mut relocations = Vec::with_capacity(code.relocations.len());
        for (slot, kind, to) in &code.relocations {
            let (symbol, imm) = match to {
                // As LLVM has functions that nobody else sees: not all loaders take their own symbols.
                To::Function(index) => {
                    let function = plan.functions.get(*index).map_or(0, |function| function.offset);
                    let imm = match *kind {
                        elf::R_BPF_64_32 => i64::from(function) - 1,
                        _ => i64::from(function) * SLOT as i64,
                    };
                    (whole(&mut file, 0), imm)
                }
                To::Map(index) => (first_map + index, 0),
                To::Data(section, offset) => match places.symbol(*section, *offset) {
                    Some(symbol) => (symbol, 0),
                    // Some loaders add to the address of a section alone.
                    None => (whole(&mut file, places.section(*section)), i64::from(*offset)),
                },
            };
            if let Some(insn) = slots.get_mut(*slot as usize) {
                // Sections have fewer slots than 2^31, and of data fewer bytes than 2^29.
                *insn = insn.with_imm(imm as i32);
            }
            let offset = u64::from(*slot) * SLOT;
            relocations.push(Relocation { offset, symbol, kind: *kind });
        }
        relocations.sort_by_key(|relocation| relocation.offset);
        if let Some(section) = file.sections.get_mut(*section) {
            section.contents = slots.iter().flat_map(|slot| slot.to_bytes(order)).collect();
            section.size = section.contents.len() as u64;
            section.relocations = relocations;
        }
    }
    file.sections.push(ElfSection::new(".BTF", SectionFlags(0), types.btf));
    if !types.ext.is_empty() {
        file.sections.push(ElfSection::new(".BTF.ext", SectionFlags(0), types.ext));
    }
    file.to_bytes(order).map_err(str::to_owned)
}

/// Describes maps, data, functions and lines in BTF.
fn types(
    module: &Collection<'_>,
    plan: &Plan<'_>,
    specs: &[TextSpec<'_>],
    codes: &[Code<'_>],
    order: ByteOrder,
) -> Result<Types, BtfError> {
    let data = module.data();
    let mut types = Collected::new(module.maps(), &data);
    let mut sections: Vec<About> = Vec::new();
    sections.resize_with(plan.codes.len(), || About { functions: Vec::new(), lines: Vec::new() });
    let mut functions = plan.functions.as_slice();
    for (spec, code) in specs.iter().zip(codes) {
        let next = functions.iter().skip(1).position(|function| function.slots.start == 0);
        let (own, others) = functions.split_at(next.map_or(functions.len(), |next| next + 1));
        functions = others;
        let entry = match spec.kind().map(context) {
            None | Some(Entry::Unsaid) => Entry::Global,
            Some(said) => said,
        };
        let about = describe_in(types.builder(), spec.name(), entry, code)?;
        let moved = |slot: u32| {
            let before = own.partition_point(|function| function.slots.start <= slot);
            let function = own.get(before.checked_sub(1)?)?;
            Some((function.section, function.moved(slot) * SLOT as u32))
        };
        for [slot, id] in about.functions {
            if let Some((section, offset)) = moved(slot)
                && let Some(about) = sections.get_mut(section)
            {
                about.functions.push([offset, id]);
            }
        }
        for [slot, file, text, position] in about.lines {
            if let Some((section, offset)) = moved(slot)
                && let Some(about) = sections.get_mut(section)
            {
                about.lines.push([offset, file, text, position]);
            }
        }
    }
    for (code, about) in plan.codes.iter().zip(sections) {
        types.section(&code.name, about);
    }
    // Functions and lines are for people who look at the program: where they are too much, it does without.
    let with_all = with_cores(types, plan).finish(order);
    with_all.or_else(|_| with_cores(Collected::new(module.maps(), &data), plan).finish(order))
}

/// Adds the names of the kernel.
fn with_cores(mut types: Collected, plan: &Plan<'_>) -> Collected {
    for code in &plan.codes {
        types.cores(&code.name, &code.cores);
    }
    types
}
