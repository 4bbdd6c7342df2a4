//! The sources of `table.tsv`, loaded by libbpf and here: instructions, functions, source lines, maps with their contents, and what the
//! programs return.
//!
//! Where there is no compiler, in a virtual machine, `RAWBPF_TEST_OBJECTS` names a folder with one folder of objects for each compiler:
//! `cargo xtask test` and `cargo xtask objects` make it.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{Folder, said};
use crate::objects::{
    Theirs, compiled_as, compilers, name_of, no_bpftool, prebuilt, read, run_bpftool,
};
use rawbpf::asm::{CollectionProgram, Section};
use rawbpf::insn::Insn;
use rawbpf::object::Object;
use rawbpf::{Collection, Loader, Map, MapFlags, MapType, Program, ProgramType, TestRunOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Source, least Linux, least libbpf, options of the compiler, what else the kernel must have; and what the row is about.
const TABLE: &str = include_str!("table.tsv");

/// Sources that other tests load, by themselves: what is in them is refused, pinned, registered, or only half of something.
const BY_THEMSELVES: [&str; 47] = [
    "allocated.c",
    "arena.c",
    "congestion.c",
    "congestion_link.c",
    "core.c",
    "core_more.c",
    "data.c",
    "elements.c",
    "exceptions.c",
    "flavours.c",
    "functions.c",
    "kconfig.c",
    "kconfig_missing.c",
    "ksyms.c",
    "link_arena.c",
    "link_calls.c",
    "link_calls_other.c",
    "link_calls_third.c",
    "link_conflict.c",
    "link_conflict_other.c",
    "link_core.c",
    "link_core_other.c",
    "link_data.c",
    "link_data_other.c",
    "link_maps.c",
    "link_maps_other.c",
    "link_more.c",
    "link_more_other.c",
    "link_tables.c",
    "link_tables_other.c",
    "locked.c",
    "loose.c",
    "maps.c",
    "missing.c",
    "missing_ksyms.c",
    "other_prototype.c",
    "pinned.c",
    "replaced.c",
    "replacing.c",
    "resized.c",
    "section.c",
    "skeleton.c",
    "unchecked.c",
    "unknown_field.c",
    "unsupported.c",
    "untyped.c",
    "variable.c",
];

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    source: &'static str,
    linux: (u32, u32),
    libbpf: (u32, u32),
    /// The version of the oldest compiler, or 0.
    clang: u32,
    options: &'static str,
    needs: &'static str,
}

fn rows() -> Vec<Row> {
    let version = |text: &str| {
        let (major, minor) = text.split_once('.').unwrap();
        (major.parse().unwrap(), minor.parse().unwrap())
    };
    let row = |line: &'static str| {
        let fields: Vec<_> = line.split('\t').collect();
        let [source, linux, libbpf, options, needs] = fields[..] else { panic!("{line}") };
        let empty = |field: &'static str| if field == "-" { "" } else { field };
        let (clang, options) = match options.split_once(' ') {
            Some((oldest, options)) if oldest.starts_with("clang-") => (clang(oldest), options),
            _ => (0, options),
        };
        Row {
            source,
            linux: version(linux),
            libbpf: version(libbpf),
            clang,
            options: empty(options),
            needs: empty(needs),
        }
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// The version of a compiler, by its name; 0 of the one that has none.
fn clang(compiler: &str) -> u32 {
    compiler.strip_prefix("clang-").map_or(0, |version| version.parse().unwrap())
}

#[test]
fn every_source_is_in_the_table_or_in_another_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_load");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let sources: BTreeSet<_> =
        names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".c")).collect();
    let known: Vec<_> = rows().iter().map(|row| row.source).chain(BY_THEMSELVES).collect();
    assert_eq!(known.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>(), sources);
    assert_eq!(known.len(), sources.len(), "one is named twice");
    assert!(rows().len() >= 60);
}

/// The version of the kernel, or of anything that says it in its words after `before`.
fn version_in(text: &str, before: &str) -> (u32, u32) {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{text}"));
    let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().unwrap().parse::<u32>().unwrap();
    (number(), number())
}

/// The objects of all rows by one compiler after the other.
struct Made {
    folder: Option<Folder>,
    objects: Vec<(&'static str, Row, PathBuf)>,
}

fn no_objects() -> Option<String> {
    let none = prebuilt().is_none() && compilers().is_empty();
    none.then(|| "there is no clang, and RAWBPF_TEST_OBJECTS is not set".into())
}

/// Does this for all of them, on as many threads as there are processors.
fn each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(one);
                }
            });
        }
    });
}

fn made() -> Made {
    let rows = rows();
    let all = ["clang", "clang-14", "clang-19", "clang-22"];
    let (folder, within, compilers) = match prebuilt() {
        Some(folder) => {
            let is_there = |name: &&str| folder.join(name).is_dir();
            let there: Vec<_> = all.into_iter().filter(is_there).collect();
            assert!(!there.is_empty(), "{}", folder.display());
            (None, folder, there)
        }
        None => {
            let folder = Folder::new();
            let within = folder.path().to_owned();
            (Some(folder), within, compilers())
        }
    };
    let mut objects = Vec::new();
    for compiler in compilers {
        for row in rows.iter().filter(|row| row.clang <= clang(compiler)) {
            let name = Path::new(row.source).with_extension("o");
            objects.push((compiler, *row, within.join(compiler).join(name)));
        }
    }
    if folder.is_some() {
        each(&objects, |(compiler, row, object)| {
            let options: Vec<_> = row.options.split_whitespace().collect();
            compiled_as(compiler, row.source, &options, object);
        });
    }
    Made { folder, objects }
}

/// What of the two differs, or `None` if one could not be compared as it should be.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Both have loaded it, to the same.
    Same,
    /// Both refuse it.
    Refused,
    /// Only libbpf refuses it.
    OnlyHere,
}

#[test]
fn every_source_is_loaded_as_libbpf_loads_it() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("objects", no_objects());
    needs_tried!("bpftool", no_bpftool());
    let linux = version_in(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap(), "");
    let libbpf = version_in(&said(&run_bpftool(&["version"])), "libbpf v");
    let made = made();
    let (problems, outcomes) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let no_kprobes = Thing::Kprobe.missing().is_some();
    each(&made.objects, |(compiler, row, object)| {
        // What libbpf finds out with one is not known then.
        if row.needs == "kprobes" && no_kprobes {
            return;
        }
        let done = std::panic::catch_unwind(|| compare(object, libbpf));
        let done = done.unwrap_or_else(|_| Err("panicked: see above".into()));
        let known = libbpf >= row.libbpf;
        let expected = match &done {
            Ok(Outcome::Same) => true,
            Ok(Outcome::Refused) => linux < row.linux || !known || !row.needs.is_empty(),
            Ok(Outcome::OnlyHere) => !known,
            Err(_) => false,
        };
        if !expected {
            problems.lock().unwrap().push(format!("{compiler} {}: {done:?}", row.source));
        }
        outcomes.lock().unwrap().push((row.source, done.ok()));
    });
    drop(made.folder);
    let outcomes = outcomes.into_inner().unwrap();
    let compared = outcomes.iter().filter(|(_, done)| *done == Some(Outcome::Same)).count();
    let others = outcomes.iter().filter(|(_, done)| *done != Some(Outcome::Same));
    let others: BTreeSet<_> = others.map(|(source, _)| *source).collect();
    // Read by whoever wants to know how much was compared on a kernel: libtest shows it with `--nocapture`.
    eprintln!("{compared} of {} objects are the same; not compared: {others:?}", outcomes.len());
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
    assert!(compared * 2 > outcomes.len(), "{compared}");
}

/// Loads an object twice, and compares all that the kernel tells of the two.
fn compare(file: &Path, libbpf: (u32, u32)) -> Result<Outcome, String> {
    let (theirs, output) = Theirs::try_load(file);
    let object = read(file);
    let name = file.file_name().unwrap().to_str().unwrap();
    let collection = object.collection(name).map_err(|error| error.to_string());
    let mut loader = Loader::new();
    let programs = match &collection {
        Ok(collection) => loader.load_collection(collection).map_err(|error| error.to_string()),
        Err(error) => Err(error.clone()),
    };
    let (theirs, programs) = match (theirs, programs) {
        (Some(theirs), Ok(programs)) => (theirs, programs),
        (None, Err(_)) => return Ok(Outcome::Refused),
        (None, Ok(_)) => {
            let output = said(&output);
            let last: Vec<_> = output.lines().rev().take(8).collect();
            eprintln!("{name}: libbpf refuses it: {last:#?}");
            return Ok(Outcome::OnlyHere);
        }
        (Some(_), Err(error)) => return Err(format!("libbpf loads it: {error}")),
    };
    let collection = collection.as_ref().unwrap();
    let mut names: Vec<_> = programs.iter().map(|program| program.name().to_owned()).collect();
    names.sort();
    same("programs", &names, &theirs.programs())?;
    let maps = pairs(&theirs, collection, &programs, &mut loader)?;
    // libbpf 1.1 has all sections mapped, later versions those that somebody outside can name.
    let ignored = if libbpf < (1, 2) { MapFlags::MMAPABLE } else { MapFlags::empty() };
    for [ours, theirs] in &maps {
        same_map(ours, theirs, ignored)?;
        same_elements(ours, theirs)?;
    }
    let mut loaded = Vec::new();
    for ours in &programs {
        let theirs = Program::open_pinned(theirs.program_file(ours.name())).unwrap();
        same_program(ours, &theirs)?;
        loaded.push((ours, theirs));
    }
    for (ours, theirs) in &loaded {
        same(&format!("the run of {}", ours.name()), &run(ours), &run(theirs))?;
    }
    // The programs have run on one processor or the other.
    for [ours, theirs] in maps.iter().filter(|[map, _]| !map.kind().name().contains("percpu")) {
        same_elements(ours, theirs)?;
    }
    Ok(Outcome::Same)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Result<(), String> {
    match ours == theirs {
        true => Ok(()),
        false => Err(format!("{what}: {ours:?}, with libbpf {theirs:?}")),
    }
}

/// The maps that both have, by their names: `.rodata` is that of an object to libbpf, `core.rodata`.
fn pairs<'a>(
    theirs: &Theirs,
    collection: &'a Collection<'a>,
    programs: &[Program],
    loader: &mut Loader<'a>,
) -> Result<Vec<[Map; 2]>, String> {
    let mut all = Vec::new();
    for spec in collection.maps().iter().filter(|spec| spec.autocreate) {
        all.push(loader.map(spec).unwrap().clone());
    }
    for data in collection.data().more {
        // The variables of an arena are in a map that is in the list already.
        if data.arena.is_none() {
            all.push(loader.named_section(data).unwrap().clone());
        }
    }
    if let Some(program) = collection.programs().first() {
        let code = CollectionProgram::code(program);
        let code = rawbpf::asm::Code { data: collection.data(), ..code };
        for section in Section::ALL {
            // Whether a program uses it or not.
            if !collection.data().section(section).is_empty() {
                all.push(loader.section(&code, section).unwrap().clone());
            }
        }
    }
    // The settings of the kernel, which only programs have.
    for program in programs {
        for id in program.info().unwrap().map_ids {
            let map = Map::open_id(id).unwrap();
            // Jump tables are not pinned: they are compared with their programs.
            if map.kind() != MapType::InsnArray {
                all.push(map);
            }
        }
    }
    let mut ours = BTreeMap::new();
    for map in all {
        ours.insert(map.info().unwrap().name, map);
    }
    let mut pairs = Vec::new();
    for path in theirs.maps() {
        let map = Map::open_pinned(&path).unwrap();
        let name = map.info().unwrap().name;
        let own = ours
            .iter()
            .find(|(own, _)| name == **own || own.starts_with('.') && name.ends_with(*own));
        let Some(own) = own.map(|(own, _)| own.clone()) else {
            return Err(format!("there is no map {name}: {:?}", ours.keys()));
        };
        pairs.push([ours.remove(&own).unwrap(), map]);
    }
    match ours.is_empty() {
        true => Ok(pairs),
        false => Err(format!("maps that libbpf does not have: {:?}", ours.keys())),
    }
}

/// Whether a map is frozen, as the kernel says of its descriptor.
fn is_frozen(map: &Map) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd()));
    info.unwrap().lines().any(|line| line.starts_with("frozen:") && line.ends_with('1'))
}

fn same_map(ours: &Map, theirs: &Map, ignored: MapFlags) -> Result<(), String> {
    let name = ours.info().unwrap().name;
    let is_data = name.starts_with('.');
    // Data has types of this library's where the object has none.
    let untyped = is_data && theirs.info().unwrap().btf_id == 0;
    let facts = |map: &Map| {
        let info = map.info().unwrap();
        let types = (info.btf_id != 0, info.key_type, info.value_type, info.vmlinux_value_type);
        let types = (!untyped).then_some(types);
        let sizes = (info.key_size, info.value_size, info.max_entries, info.map_extra);
        let flags = if is_data { info.flags - ignored } else { info.flags };
        (info.kind, sizes, flags, types, is_frozen(map))
    };
    same(&format!("map {name}"), &facts(ours), &facts(theirs))
}

fn same_elements(ours: &Map, theirs: &Map) -> Result<(), String> {
    let name = ours.info().unwrap().name;
    let named = match ours.kind() {
        MapType::ArrayOfMaps | MapType::HashOfMaps => Some("map"),
        MapType::ProgArray => Some("prog"),
        _ => None,
    };
    let contents = |map: &Map| -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
        let mut all = BTreeMap::new();
        for element in map.iter() {
            let (key, mut value) = element.map_err(|error| error.to_string())?;
            if let Some(what) = named {
                let id = u32::from_ne_bytes(value[..4].try_into().unwrap());
                value = name_of(what, id.into()).into_bytes();
            }
            all.insert(key, value);
        }
        Ok(all)
    };
    match (contents(ours), contents(theirs)) {
        (Ok(ours), Ok(theirs)) => same(&format!("elements of {name}"), &ours, &theirs),
        // Rings, storages and the like cannot be read.
        (Err(_), Err(_)) => Ok(()),
        (ours, theirs) => same(&format!("elements of {name}"), &ours, &theirs),
    }
}

fn same_program(ours: &Program, theirs: &Program) -> Result<(), String> {
    let name = ours.name();
    let maps = |program: &Program| -> Vec<String> {
        let ids = program.info().unwrap().map_ids;
        let mut names: Vec<_> = ids.iter().map(|id| name_without_object(*id)).collect();
        names.sort();
        names
    };
    let facts = |program: &Program| {
        let info = program.info().unwrap();
        let about = (info.type_number, info.name, info.gpl_compatible);
        (about, info.attach_btf_object_id, info.attach_btf_id)
    };
    same(name, &facts(ours), &facts(theirs))?;
    same(&format!("maps of {name}"), &maps(ours), &maps(theirs))?;
    same(&format!("jump tables of {name}"), &jump_tables(ours)?, &jump_tables(theirs)?)?;
    let [ours_is, theirs_is] = [ours, theirs].map(|program| program.dump().unwrap());
    // An object without types has lines of its listing here.
    if theirs.info().unwrap().btf_id != 0 {
        same(&format!("functions of {name}"), &ours_is.functions, &theirs_is.functions)?;
        same(&format!("lines of {name}"), &ours_is.lines, &theirs_is.lines)?;
    }
    let [own, other] = [&ours_is, &theirs_is].map(|dump| independent(&dump.slots, has_arena(ours)));
    assert!(own.len() > 1, "{name}: {own:?}");
    match own == other {
        true => Ok(()),
        false => Err(format!("{name}:\n{}\n{}", own.join("\n"), other.join("\n"))),
    }
}

/// A jump table: whether it is frozen, and for each element the slot, before and after the verifier has rewritten the program.
type JumpTable = (bool, Vec<[u8; 8]>);

/// The jump tables of a program.
fn jump_tables(program: &Program) -> Result<Vec<JumpTable>, String> {
    let maps = program.info().unwrap().map_ids.into_iter().map(|id| Map::open_id(id).unwrap());
    let table = |map: Map| {
        let elements = (0..map.max_entries()).map(|index| {
            let value = map.lookup(&index.to_ne_bytes()).map_err(|error| error.to_string())?;
            // Where the compiled instruction is depends on the addresses of maps.
            Ok(*value.as_deref().and_then(|value| value.first_chunk()).ok_or("no element")?)
        });
        Ok((is_frozen(&map), elements.collect::<Result<_, String>>()?))
    };
    maps.filter(|map| map.kind() == MapType::InsnArray).map(table).collect()
}

/// The name of a map by its id, without that of the object.
fn name_without_object(id: u32) -> String {
    let name = Map::open_id(id).unwrap().info().unwrap().name;
    match name.rfind('.') {
        Some(_) => {
            let at = name.find('.').unwrap();
            name[at..].to_owned()
        }
        None => name,
    }
}

/// Whether a program uses an arena.
fn has_arena(program: &Program) -> bool {
    let ids = program.info().unwrap().map_ids;
    ids.into_iter().any(|id| Map::open_id(id).unwrap().kind() == MapType::Arena)
}

/// The least address that is loaded of those that can be one in an arena: kernels show these as they are. Where the variables begin
/// depends on the version of libbpf, and where the arena is on the process.
fn arena_base(slots: &[Insn]) -> u64 {
    let pairs = slots.windows(2).filter(|pair| pair[0].is_wide() && pair[0].src() == 0);
    let values =
        pairs.map(|pair| u64::from(pair[1].imm() as u32) << 32 | u64::from(pair[0].imm() as u32));
    values.filter(|value| USER.contains(value)).min().unwrap_or(0)
}

/// Addresses of processes beyond the first 4 GiB.
const USER: std::ops::Range<u64> = 1 << 32..1 << 47;

/// Instructions without what differs from load to load: ids of maps, and addresses of what was allocated.
fn independent(slots: &[Insn], arena: bool) -> Vec<String> {
    /// The addresses of x86-64's kernel below those of its text and its data.
    const ALLOCATED: std::ops::Range<u64> = 0xffff_8000_0000_0000..0xffff_ffff_8000_0000;
    let base = arena_base(slots);
    let mut shown = Vec::new();
    let mut at = 0;
    while let Some(insn) = slots.get(at) {
        let (fields, imm) = ((insn.opcode(), insn.dst(), insn.src(), insn.offset()), insn.imm());
        match slots.get(at + 1).filter(|_| insn.is_wide()) {
            Some(second) => {
                let value = u64::from(second.imm() as u32) << 32 | u64::from(imm as u32);
                let text = match insn.src() {
                    // BPF_PSEUDO_MAP_FD and BPF_PSEUDO_MAP_VALUE, which has an offset besides.
                    1 | 2 => format!("map {} {}", name_without_object(imm as u32), second.imm()),
                    0 if arena && USER.contains(&value) => format!("arena + {:#x}", value - base),
                    0 if ALLOCATED.contains(&value) => "allocated".into(),
                    _ => format!("{value:#x}"),
                };
                shown.push(format!("{at}: {fields:x?} {text}"));
                at += 2;
            }
            None => {
                shown.push(format!("{at}: {fields:x?} {imm:#x}"));
                at += 1;
            }
        }
    }
    shown
}

/// What a program returns, with what it leaves of a packet; or why it does not run.
fn run(program: &Program) -> Result<(u32, Vec<u8>), String> {
    let mut packet = [0; 64];
    for (number, byte) in packet.iter_mut().enumerate() {
        *byte = number as u8;
    }
    // An Ethernet frame with an IP packet.
    packet[12..15].copy_from_slice(&[8, 0, 0x45]);
    let context = [0; 64];
    let options = TestRunOptions::new();
    let options = match program.kind() {
        ProgramType::RawTracepoint | ProgramType::Syscall | ProgramType::StructOps => {
            options.context(&context)
        }
        ProgramType::SkLookup => options.context(&context),
        ProgramType::Tracing => options,
        _ => options.data(&packet),
    };
    match program.test_run_with(&options) {
        Ok(done) => Ok((done.returned, done.data)),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads the objects that were compiled, here or for a guest, so that a folder that has nothing for the table is no success.
#[test]
fn objects_of_the_table_have_programs() {
    needs_tried!("objects", no_objects());
    let made = made();
    for (_, row, object) in &made.objects {
        let read = Object::read(&fs::read(object).unwrap());
        assert!(!read.unwrap().programs().is_empty(), "{}", row.source);
    }
}
