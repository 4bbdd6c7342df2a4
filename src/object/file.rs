//! Object files, read: what is in them, for a text or a collection to be made of it.

use super::ObjectError;
use super::arena::arena;
use super::declared::declared;
use super::ext::SourceLines;
use super::externs::externs;
use super::functions::{Code, Named};
use super::headers::is_whole_ext;
use super::kconfig::{indices, kconfig};
use super::lines::Infos;
use super::link::{Linker, callbacks, globals};
use super::listing::Listing;
use super::names::{Names, quoted, shown};
use super::program::ObjectProgram;
use super::raw::{Kind, Raw};
use super::relocated::{astray, relocations};
use super::sections::{Sections, types};
use super::tables::{MapOf, maps};
use super::variables::{NamedPlace, Variables};
use crate::btf::Btf;
use crate::insn::ByteOrder;
use crate::spec::{Kconfig, ObjectTypes};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// An object for BPF, read: what clang or [`write`](super::write()) made.
///
/// [`collection`](Object::collection) makes of it what a skeleton is in C: variables, programs and maps by their names, to be changed, loaded and
/// attached.
///
/// ```no_run
/// use rawbpf::object::Object;
/// use rawbpf::{Loader, attach};
///
/// let object = Object::read(&std::fs::read("opens.o")?)?;
/// let mut collection = object.collection("opens.o")?;
/// collection.variable("targ_pid")?.set(&std::process::id())?;
/// collection.program_mut("on_exit")?.set_autoload(false);
/// collection.map_mut("counts")?.max_entries = 4096;
///
/// let mut loader = Loader::new();
/// let programs = loader.load_collection(&collection)?;
/// let _attached = attach::attach_collection(&mut loader, &collection, &programs)?;
/// let dropped: u64 = loader.variable(&collection, "dropped")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its contents can be read without loading anything:
///
/// ```
/// use rawbpf::asm::{ParseOptions, parse};
/// use rawbpf::object::{self, Object};
/// use rawbpf::insn::ByteOrder;
///
/// let text = ".program one, kprobe/sys_clone\nr0 = 0\nexit\n";
/// let module = parse(text, "one.s", &ParseOptions::new())?;
/// let object = Object::read(&object::write(&module, "one.s", ByteOrder::NATIVE)?)?;
/// let [program] = object.programs() else { panic!() };
/// assert_eq!((program.name(), program.target()), ("one", Some("kprobe/sys_clone")));
/// assert_eq!(program.slots(), module.programs()[0].slots());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Object {
    pub(super) order: ByteOrder,
    pub(super) license: String,
    /// Their names, and what they are.
    pub(super) maps: Vec<MapOf>,
    pub(super) data: Sections,
    pub(super) variables: Vec<NamedPlace>,
    /// Its BTF, as kernels take it.
    pub(super) types: Option<ObjectTypes>,
    /// The part of a listing before the programs.
    pub(super) head: String,
    /// Of that, what neither it nor a collection can say.
    unsaid: Vec<String>,
    /// Remarks on what a collection can hold and the text of the object cannot.
    text_unsaid: Vec<String>,
    /// Addresses in data that are not filled in.
    ignored: Vec<String>,
    pub(super) programs: Vec<ObjectProgram>,
    /// The statements of a collection, once one was asked for.
    pub(super) listing: OnceLock<Listing>,
}

impl Object {
    /// Reads an object, of either byte order.
    ///
    /// # Errors
    /// [`ObjectError`], if it is no object for BPF or if it is damaged. What is in order but cannot be said in the assembly language is
    /// no error: [`text`](Object::text) has remarks on it.
    pub fn read(bytes: &[u8]) -> Result<Object, ObjectError> {
        let raw = Raw::new(bytes)?;
        let btf = raw.types()?;
        Object::of(&raw, btf)
    }

    /// Makes an object of the contents of a file, and of its types.
    pub(super) fn of(raw: &Raw<'_>, btf: Option<Btf>) -> Result<Object, ObjectError> {
        let code = Code::new(raw)?;
        let mut names = Names::default();
        let declared = declared(raw, btf.as_ref(), &mut names)?;
        let mut of_settings = Vec::new();
        let kconfig = btf.as_ref().and_then(|btf| kconfig(raw, btf, &mut of_settings));
        let types = types(raw, btf.as_ref(), kconfig.as_ref());
        let mut sections = Sections::new(raw, types.as_ref());
        let places: BTreeSet<_> = code
            .named
            .values()
            .filter_map(|named| match named {
                Named::Data(section, place) => Some((*section, *place)),
                _ => None,
            })
            .collect();
        let variables = Variables::new(raw, btf.as_ref(), &places, &mut names);
        let relocations = match (raw.bytes(Kind::BtfExt), &btf) {
            (Some(ext), Some(btf)) => relocations(ext, btf, raw.order),
            (Some(_), None) => None,
            (None, _) => Some(HashMap::new()),
        };

        let infos = match (raw.bytes(Kind::BtfExt), &btf) {
            (Some(ext), Some(btf)) if types.is_some() => Infos::read(ext, btf),
            _ => Some(Infos::default()),
        };
        let infos_damaged = infos.is_none();
        let infos = infos.unwrap_or_default();

        let (mut head, mut unsaid, mut text_unsaid) = (String::new(), Vec::new(), Vec::new());
        if raw.order != ByteOrder::NATIVE {
            let order = if raw.order == ByteOrder::Big { "big" } else { "little" };
            let _ = writeln!(head, "# for machines of the other byte order: --endian {order}");
        }
        let relocations = relocations.unwrap_or_else(|| {
            let remark =
                "left out: what is adjusted to the kernel (CO-RE) in section .BTF.ext, which is damaged";
            unsaid.push(remark.into());
            HashMap::new()
        });
        if raw.bytes(Kind::BtfExt).is_some_and(|ext| !is_whole_ext(ext, raw.order)) || infos_damaged
        {
            unsaid.push(
                "left out: functions and source lines in section .BTF.ext, which is damaged".into(),
            );
        }
        // Of a weak function that was replaced when objects were linked, they are left without its instructions.
        astray(&relocations, &code.lengths(raw))
            .iter()
            .for_each(|remark| remarked(&mut head, remark));
        let license = license(raw, &mut unsaid);
        unsaid.iter().for_each(|remark| remarked(&mut head, remark));
        let _ = writeln!(head, ".license {}", quoted(&license));
        for map in &declared {
            let remarks = map.text_remarks.iter().chain(&map.remarks);
            remarks.for_each(|remark| remarked(&mut head, remark));
            unsaid.extend_from_slice(&map.remarks);
            text_unsaid.extend_from_slice(&map.text_remarks);
            if let Some(directive) = &map.directive {
                let _ = writeln!(head, "{directive}");
            }
        }
        let (text, places) = variables.text(&mut names);
        head.push_str(&text);
        sections.name(&places);
        if let Some((number, arena)) = arena(raw, &declared, &mut names, &mut unsaid) {
            let remark = format!(
                "left out: variables of arena `{}` in section {}, {} bytes",
                arena.arena.as_deref().unwrap_or_default(),
                arena.name,
                arena.bytes.len()
            );
            remarked(&mut head, &remark);
            text_unsaid.push(remark);
            sections.add(number, arena);
        }
        let ignored = strays(&mut head, raw, &mut unsaid, &mut text_unsaid);

        unsaid.append(&mut of_settings);
        let types_of_settings = sections.kconfig.take();
        let kconfig =
            kconfig.map(|kconfig| Arc::new(Kconfig { types: types_of_settings, ..kconfig }));
        let linker = Linker {
            raw,
            code: &code,
            maps: &declared,
            variables: &variables,
            sections: &sections,
            infos,
            relocations,
            settings: kconfig.as_deref().map_or_else(HashMap::new, indices),
            kconfig: kconfig.clone(),
            externs: btf.as_ref().map_or_else(HashMap::new, externs),
            types: btf.as_ref().map_or_else(Default::default, |btf| btf.as_bytes().into()),
            text: Cell::new(0),
            elements: Cell::new(0),
            btf: btf.as_ref(),
            callbacks: btf.as_ref().map_or_else(HashMap::new, callbacks),
            globals: globals(raw, &code),
            source_lines: match (raw.bytes(Kind::BtfExt), &btf) {
                (Some(ext), Some(btf)) => SourceLines::read(ext, btf, raw.order),
                _ => SourceLines::default(),
            },
        };
        let mut programs = linker.programs(&mut names)?;
        let (all, own) = (&mut programs, &mut names);
        let maps = maps(raw, types.as_ref(), &declared, all, own, &mut unsaid);
        Ok(Object {
            order: raw.order,
            license,
            maps,
            data: sections,
            variables: places,
            types,
            head,
            unsaid,
            text_unsaid,
            ignored,
            programs,
            listing: OnceLock::new(),
        })
    }

    /// Returns the requests of the object that the assembly language cannot express; the [`text`](Object::text) has them as comments only.
    /// If there are any, a program that is made of the text is not the one that is meant.
    pub fn unsaid(&self) -> Vec<String> {
        self.remarked(true)
    }

    /// Returns what the object asks for and no loader does, libbpf neither: addresses in data (`int *p = &x;`). In their places are the
    /// bytes of the file, zero or an offset. Nothing is wrong with the object otherwise, and it is loaded.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Returns what of it a collection cannot have.
    pub(super) fn unloadable(&self) -> Vec<String> {
        self.remarked(false)
    }

    fn remarked(&self, of_text: bool) -> Vec<String> {
        let mut all = self.unsaid.clone();
        if of_text {
            all.extend_from_slice(&self.text_unsaid);
        }
        // A function that no program calls is not loaded with them.
        let only_uncalled = self.programs.iter().all(|program| program.uncalled);
        let there = |program: &&ObjectProgram| of_text || only_uncalled || !program.uncalled;
        for program in self.programs.iter().filter(there) {
            let mut remarks: Vec<(usize, &str)> = Vec::new();
            for (slot, own) in &program.remarks {
                remarks.extend(own.iter().map(|remark| (*slot, remark.as_str())));
            }
            if of_text {
                let own = program.text_remarks.iter();
                remarks.extend(own.map(|(slot, remark)| (*slot, remark.as_str())));
            }
            remarks.sort_by_key(|(slot, _)| *slot);
            let of = |(slot, remark)| {
                let line = program.source_lines.get(&slot);
                let line = line.map_or_else(String::new, |line| format!(" ({line})"));
                format!("program {}, slot {slot}{line}: {remark}", program.name)
            };
            all.extend(remarks.into_iter().map(of));
        }
        all
    }

    /// The byte order of the machines that it is for.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// Its programs, in the order of their symbols: functions in sections of their own, and those in `.text` that no other calls.
    pub fn programs(&self) -> &[ObjectProgram] {
        &self.programs
    }
}

fn remarked(out: &mut String, remark: &str) {
    let _ = writeln!(out, "# {remark}");
}

/// The license; none where the object declares none.
fn license(raw: &Raw<'_>, unsaid: &mut Vec<String>) -> String {
    let bytes = raw.bytes(Kind::License).unwrap_or_default();
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(license) => license.into(),
        Err(_) => {
            unsaid.push(format!("license: {}", shown(&String::from_utf8_lossy(bytes))));
            String::new()
        }
    }
}

/// Remarks on what of the data is left out. A section of which nothing is known is only missed if an instruction refers to it. Returns
/// the addresses in data, which libbpf does not fill in.
fn strays(
    out: &mut String,
    raw: &Raw<'_>,
    unsaid: &mut Vec<String>,
    text_unsaid: &mut Vec<String>,
) -> Vec<String> {
    let mut ignored = Vec::new();
    for section in &raw.sections {
        let name = shown(&section.name);
        if section.kind == Kind::Unknown {
            remarked(out, &format!("left out: section {name}, {} bytes", section.size));
        }
        let (link, table) = match section.kind {
            Kind::Code => continue,
            Kind::StructOps { link, .. } => (link, true),
            _ => (false, false),
        };
        if table {
            let by = if link { ", registered by a link" } else { "" };
            let remark = format!("left out: structs of functions in section {name}{by}");
            remarked(out, &remark);
            text_unsaid.push(remark);
        }
        for relocation in &section.relocations {
            let symbol = raw.symbols.get(relocation.symbol);
            let of = symbol.and_then(|symbol| raw.sections.get(symbol.section?));
            // That of a section has no name of its own.
            let own = symbol.map(|symbol| &symbol.name).filter(|name| !name.is_empty());
            let symbol = own.or(of.map(|section| &section.name)).map_or("", String::as_str);
            let (symbol, offset) = (shown(symbol), relocation.offset);
            let remark =
                format!("left out: the address of `{symbol}` at {offset} of section {name}");
            remarked(out, &remark);
            match section.kind {
                // As they were before there was BTF: none had addresses in it.
                Kind::OldMaps => unsaid.push(remark),
                // Offsets are in the section of the function that jumps: where clang would put others is not known.
                Kind::JumpTables => unsaid.push(remark),
                Kind::Data(_) | Kind::Arena => {
                    ignored.push(format!(
                        "the address of `{symbol}` at {offset} of section {name} is not filled in"
                    ));
                    text_unsaid.push(remark);
                }
                // Contents of maps and structs are read with these. Of others, nothing is used.
                _ => text_unsaid.push(remark),
            }
        }
    }
    ignored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Kind as TypeKind, Member};
    use crate::object::ext::{Records, written};
    use crate::object::format::{File, Relocation, Section, Symbol};
    use object::elf::{self, SectionFlags, SymbolType};

    const MOVE: [u8; 8] = [0xb7, 0, 0, 0, 0, 0, 0, 0];
    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
    const ADDRESS: [u8; 8] = [0x18, 1, 0, 0, 0, 0, 0, 0];
    const REST: [u8; 8] = [0; 8];
    const CALL: [u8; 8] = [0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff];

    fn code(name: &'static str, slots: &[[u8; 8]]) -> Section<'static> {
        Section::new(name, elf::SHF_ALLOC | elf::SHF_EXECINSTR, slots.concat())
    }

    fn symbol(
        name: &'static str,
        kind: SymbolType,
        section: usize,
        at: u64,
        size: u64,
    ) -> Symbol<'static> {
        let global = kind != elf::STT_SECTION;
        Symbol { name: name.into(), kind, global, section, value: at, size }
    }

    fn text(sections: Vec<Section<'_>>, symbols: Vec<Symbol<'_>>) -> String {
        let file = File { sections, symbols };
        let bytes = file.to_bytes(ByteOrder::Little).unwrap();
        let text = Object::read(&bytes).unwrap().text(false);
        // On machines of the other byte order it begins with a word on that.
        let other = "# for machines of the other byte order: --endian little\n";
        let text = text.strip_prefix(other).unwrap_or(&text);
        // None of these objects has a license, and so none is listed.
        let rest = text.strip_prefix(".license \"\"\n").unwrap();
        rest.trim_start_matches('\n').to_owned()
    }

    #[test]
    fn code_without_symbols_is_one_program_a_section() {
        let shown = text(vec![code("xdp", &[MOVE, EXIT]), code("a b", &[EXIT])], Vec::new());
        let expected =
            ".program xdp_0, xdp\n    r0 = 0\n    exit\n\n.program a_b_0 # a b\n    exit\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn jumps_out_of_a_function_keep_their_distance() {
        let jump = [0x05, 0, 2, 0, 0, 0, 0, 0];
        let inside = [0x05, 0, 0, 0, 0, 0, 0, 0];
        let sections = vec![code("xdp", &[jump, inside, EXIT, MOVE, EXIT])];
        let symbols =
            vec![symbol("one", elf::STT_FUNC, 0, 0, 24), symbol("two", elf::STT_FUNC, 0, 24, 16)];
        let expected = "\
.program one, xdp
    # this leads out of the function
    goto +2
    goto L1
L1:
    exit

.program two, xdp
    r0 = 0
    exit
";
        assert_eq!(text(sections, symbols), expected);
    }

    #[test]
    fn functions_are_found_behind_sections_and_without_callers() {
        let mut first = code("xdp", &[ADDRESS, REST, CALL, EXIT]);
        let relocation = |offset, symbol, kind| Relocation { offset, symbol, kind };
        // The function at 16 of .text by its address, and that at 0 by the distance of -1 slots from one behind it.
        first.contents[4] = 16;
        first.relocations =
            vec![relocation(0, 0, elf::R_BPF_64_64), relocation(16, 0, elf::R_BPF_64_32)];
        let sections = vec![first, code(".text", &[MOVE, EXIT, EXIT, MOVE, MOVE, EXIT])];
        let symbols = vec![
            symbol("", elf::STT_SECTION, 1, 0, 0),
            symbol("main", elf::STT_FUNC, 0, 0, 32),
            symbol("trace_printk", elf::STT_FUNC, 1, 0, 16),
            symbol("L7", elf::STT_FUNC, 1, 16, 8),
            symbol("alone", elf::STT_FUNC, 1, 24, 24),
        ];
        let expected = "\
.program main, xdp
    r1 = L7_ ll
    call trace_printk_
    exit

trace_printk_:
    r0 = 0
    exit

L7_:
    exit

.program alone
    r0 = 0
    r0 = 0
    exit
";
        assert_eq!(text(sections, symbols), expected);
    }

    /// Each of 6,000 programs has one of its own among as many functions, but for the last one, whose callback is static.
    #[test]
    fn exception_callbacks_are_global_functions_found_by_name() {
        const COUNT: u32 = 6000;
        let mut builder = Builder::new();
        let prototype = builder.prototype(0, &[]);
        let (mut functions, mut symbols) = (Vec::new(), Vec::new());
        for index in 0..COUNT {
            let (main, handler) = (format!("main{index}"), format!("handler{index}"));
            let id = builder.function(&main, prototype);
            let tag = format!("exception_callback:{handler}");
            builder.add(TypeKind::DeclTag, &tag, 0, id, &[u32::MAX]);
            functions.push([8 * index, id]);
            for (section, name) in [(0, main), (1, handler)] {
                let global = section == 0 || index + 1 < COUNT;
                let (kind, value) = (elf::STT_FUNC, 8 * u64::from(index));
                symbols.push(Symbol { name: name.into(), kind, global, section, value, size: 8 });
            }
        }
        let section = builder.string("xdp");
        let order = ByteOrder::NATIVE;
        let ext = written(&[Records { section, records: functions }], &[], &[], order);
        let exits = vec![EXIT; COUNT as usize];
        let sections = vec![
            code("xdp", &exits),
            code(".text", &exits),
            Section::new(".BTF", SectionFlags(0), builder.finish().unwrap()),
            Section::new(".BTF.ext", SectionFlags(0), ext),
        ];
        let bytes = File { sections, symbols }.to_bytes(order).unwrap();
        let object = Object::read(&bytes).unwrap();
        let (last, others) = object.programs[..COUNT as usize].split_last().unwrap();
        for (program, index) in others.iter().zip(0..) {
            let expected = format!("its exceptions are handled by `handler{index}`");
            assert_eq!(program.text_remarks.values().collect::<Vec<_>>(), [&expected]);
            assert!(program.remarks.is_empty(), "{:?}", program.remarks);
        }
        let remarks: Vec<_> = last.remarks.values().flatten().collect();
        let expected = format!(
            "its exceptions are handled by `handler{}`, which is no global function of the object",
            COUNT - 1
        );
        assert_eq!(remarks, [&expected]);
        // Nothing else reaches the static one.
        assert_eq!(object.programs.iter().filter(|program| program.uncalled).count(), 1);
    }

    #[test]
    fn what_cannot_be_said_is_remarked_upon() {
        let mut first = code("kprobe/x", &[ADDRESS, REST, ADDRESS, REST, EXIT]);
        let relocation = |offset, symbol| Relocation { offset, symbol, kind: elf::R_BPF_64_64 };
        first.relocations = vec![relocation(0, 0), relocation(16, 1)];
        let mut data = Section::new(".data", elf::SHF_ALLOC, vec![0; 8]);
        data.relocations = vec![relocation(0, 1)];
        let other = Section::new("odd\nname", SectionFlags(0), vec![1]);
        let sections =
            vec![first, data, other, Section::new("maps", elf::SHF_ALLOC, vec![0xff; 20])];
        let symbols = vec![
            symbol("table", elf::STT_OBJECT, 3, 0, 20),
            symbol("strange\nname", elf::STT_OBJECT, 2, 0, 1),
        ];
        let expected = "\
# map table: its type is 4294967295
.data
    .quad 0
.text
# left out: the address of `strange?name` at 0 of section .data
# left out: section odd?name, 1 bytes

.program kprobe_x_0, kprobe/x
    # the address of map `table`
    r1 = 0 ll
    # an address beyond or beside `strange?name`
    r1 = 0 ll
    exit
";
        assert_eq!(text(sections, symbols), expected);
    }

    #[test]
    fn an_instruction_with_two_relocations_is_refused_with_its_source_line() {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let member = Member { name: "b", of: int, bit_offset: 32, bits: None };
        let pair = builder.composite("pair", false, 8, &[member]);
        let strings = ["xdp", "0:0", "/src/two.c"].map(|string| builder.string(string));
        let btf = builder.finish().unwrap();
        let [section, access, source] = strings;
        // No functions, one line and one relocation, both for the first instruction.
        let lines = [16, section, 1, 0, source, 0, 7 << 10];
        let relocations = [16, section, 1, 0, pair, access, 0];
        let header = [0x0001_eb9f, 32, 0, 0, 0, 28, 28, 28];
        let words = header.into_iter().chain(lines).chain(relocations);
        let ext: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
        let read = |relocated: bool| {
            let mut first = code("xdp", &[ADDRESS, REST, EXIT]);
            first.contents[4] = 4;
            if relocated {
                first.contents[4] = 0;
                let kind = elf::R_BPF_64_64;
                first.relocations = vec![Relocation { offset: 0, symbol: 0, kind }];
            }
            let sections = vec![
                first,
                Section::new(".data", elf::SHF_ALLOC, vec![0; 8]),
                Section::new(".BTF", SectionFlags(0), btf.clone()),
                Section::new(".BTF.ext", SectionFlags(0), ext.clone()),
            ];
            let symbols = vec![symbol("number", elf::STT_OBJECT, 1, 0, 8)];
            let file = File { sections, symbols };
            Object::read(&file.to_bytes(ByteOrder::NATIVE).unwrap()).unwrap()
        };
        assert_eq!(read(false).unloadable(), [""; 0]);
        let expected = "program xdp_0, slot 0 (two.c:7): CO-RE: offset of field, struct pair.b 0:0, and at the same time the address of \
                        `number`";
        assert_eq!(read(true).unloadable(), [expected]);
        assert!(read(true).collection("two.o").is_err());
    }

    /// However few bytes say so, what is made of an object stays small.
    #[test]
    fn a_long_name_in_many_instructions_is_refused() {
        let name: &'static str = "n".repeat(1000).leak();
        let slots = 2 * 34_000;
        let read = |relocations: usize| {
            let mut first = code("xdp", &[ADDRESS, REST].repeat(slots / 2));
            let relocation = |slot: usize| Relocation {
                offset: 8 * slot as u64,
                symbol: 0,
                kind: elf::R_BPF_64_64,
            };
            first.relocations = (0..slots).step_by(2).map(relocation).take(relocations).collect();
            let sections = vec![first, Section::new(".data", elf::SHF_ALLOC, vec![0; 8])];
            let file = File { sections, symbols: vec![symbol(name, elf::STT_OBJECT, 1, 0, 8)] };
            Object::read(&file.to_bytes(ByteOrder::Little).unwrap())
        };
        let error = read(34_000).unwrap_err();
        assert!(error.to_string().contains("64 MiB"), "{error}");
        assert_eq!(read(30_000).unwrap().programs()[0].slots().len(), slots);
    }

    #[test]
    fn too_many_maps_are_refused() {
        let read = |count: usize| {
            let definition = [1_u32, 4, 8, 16, 0].iter().flat_map(|word| word.to_ne_bytes());
            let sections = vec![Section::new("maps", elf::SHF_ALLOC, definition.collect())];
            let symbols = (0..count).map(|_| symbol("m", elf::STT_OBJECT, 0, 0, 20)).collect();
            let file = File { sections, symbols };
            Object::read(&file.to_bytes(ByteOrder::NATIVE).unwrap())
        };
        assert_eq!(read(1 << 14).unwrap().maps.len(), 1 << 14);
        let error = read((1 << 14) + 1).unwrap_err();
        assert!(error.to_string().contains("16,384 maps"), "{error}");
    }

    #[test]
    fn sections_that_lie_one_over_the_other_are_refused() {
        let sections = vec![code("xdp", &[[0; 8]; 4096].map(|_| EXIT)), code("tc", &[EXIT])];
        let file = File { sections, symbols: Vec::new() };
        let mut bytes = file.to_bytes(ByteOrder::Little).unwrap();
        // The headers of the sections: offset and size of the second are those of the first.
        let headers = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
        bytes.copy_within(headers + 64 + 24..headers + 64 + 40, headers + 128 + 24);
        let error = Object::read(&bytes).unwrap_err();
        assert!(error.to_string().contains("one over the other"), "{error}");
    }
}
