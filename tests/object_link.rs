//! Objects made by clang at test time, linked by this library and by libbpf (`bpftool gen object`): what is loaded is the same.

#![cfg(feature = "elf")]

mod common;
#[path = "common/objects.rs"]
#[allow(dead_code, reason = "the tests of collections need more of it")]
mod objects;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said};
use objects::{
    Described, Theirs, compiled, compilers, no_bpftool, no_compiler, own_instructions, run_bpftool,
    same_programs,
};
use rawbpf::asm::{Code, Collection, Section};
use rawbpf::attach::attach_collection;
use rawbpf::object::{LinkError, Object};
use rawbpf::{Loader, MapType, Program, TestRunOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Compiles sources to objects.
fn all_compiled(compiler: &str, names: &[&str], options: &[&str], folder: &Path) -> Vec<PathBuf> {
    names.iter().map(|name| compiled(compiler, name, options, folder)).collect()
}

/// Links objects by libbpf.
fn theirs_linked(objects: &[PathBuf], folder: &Path) -> PathBuf {
    let linked = folder.join("linked.o");
    let inputs = objects.iter().map(|path| path.to_str().unwrap());
    let args: Vec<_> =
        ["gen", "object", linked.to_str().unwrap()].into_iter().chain(inputs).collect();
    let done = run_bpftool(&args);
    assert!(done.status.success(), "{}", said(&done));
    linked
}

/// Links objects by this library.
fn ours_linked(objects: &[PathBuf]) -> Result<Object, LinkError> {
    let bytes: Vec<_> = objects.iter().map(|path| fs::read(path).unwrap()).collect();
    let names: Vec<_> =
        objects.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let all: Vec<_> =
        names.iter().zip(&bytes).map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    Object::link(&all)
}

/// What test runs of a program return, one after the other.
fn returned(program: &Program) -> Vec<u32> {
    (0..3).map(|_| program.test_run(&[0; 64], 1).unwrap().returned).collect()
}

/// Links sources both ways, loads both, and compares programs, maps, data and what programs return.
fn compare(compiler: &str, sources: &[&str], runs: bool) {
    let folder = Folder::new();
    let objects = all_compiled(compiler, sources, &[], folder.path());
    let theirs = Theirs::load(&theirs_linked(&objects, folder.path()));
    let object = ours_linked(&objects).unwrap_or_else(|error| panic!("{error}"));
    let collection = object.collection("linked.o").unwrap_or_else(|error| panic!("{error}"));
    let mut loader = Loader::new();
    let programs =
        loader.load_collection(&collection).unwrap_or_else(|error| panic!("{compiler} {error}"));
    same_programs(&theirs, &programs);

    same_data(&mut loader, &collection, &theirs);
    if !runs {
        return;
    }
    for program in &programs {
        let name = program.name();
        assert_eq!(returned(program), returned(&theirs.program(name)), "{compiler} {name}");
    }
    same_data(&mut loader, &collection, &theirs);
}

/// A map whose elements are bytes. For a weak definition that is replaced, libbpf 1.1 keeps its place in the BTF.
fn without_names(mut map: Described) -> Described {
    for element in map.contents.as_array_mut().unwrap() {
        element.as_object_mut().unwrap().remove("formatted");
    }
    map
}

/// Holds the maps and the data of a collection to be those of libbpf.
fn same_data<'c>(loader: &mut Loader<'c>, collection: &'c Collection<'c>, theirs: &Theirs) {
    let code = collection.programs()[0].code();
    let code = Code { data: collection.data(), ..code };
    for section in Section::ALL.into_iter().filter(|of| !code.data.section(*of).is_empty()) {
        let name = format!("linked_{}", section.name().trim_start_matches('.'));
        let ours = Described::of_ours(loader.section(&code, section).unwrap());
        assert_eq!(without_names(ours), without_names(theirs.map(&name)), "{name}");
    }
    for data in code.data.more.iter().filter(|data| data.arena.is_none()) {
        // libbpf 1.1 has all sections mapped (`BPF_F_MMAPABLE`), later versions those that somebody outside can name.
        let ours = Described::of_ours(loader.named_section(data).unwrap()).without_flag(1 << 10);
        let theirs = theirs.map(&data.name.replace('.', "_")).without_flag(1 << 10);
        assert_eq!(ours, theirs, "{}", data.name);
    }
    // Elements of a map of maps are numbers of maps.
    for map in collection.maps().iter().filter(|map| map.name != "nested") {
        let [mut ours, mut theirs] =
            [Described::of_ours(loader.map(map).unwrap()), theirs.map(map.name)];
        // A struct of functions is empty until it is registered.
        if map.kind == MapType::StructOps {
            (ours.contents, theirs.contents) = Default::default();
        }
        assert_eq!(ours, theirs, "{}", map.name);
    }
}

#[test]
fn functions_are_those_of_the_object_that_libbpf_takes_them_from() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let sources = ["link_calls.c", "link_calls_other.c", "link_calls_third.c"];
        compare(compiler, &sources, true);
        let [first, second, third] = sources;
        compare(compiler, &[third, second, first], true);
    }
}

#[test]
fn variables_are_those_of_the_object_that_libbpf_takes_them_from() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        compare(compiler, &["link_data.c", "link_data_other.c"], true);
        compare(compiler, &["link_data_other.c", "link_data.c"], true);
    }
}

/// libbpf 1.1 has to see the definition of a map before its declaration: else its BTF has the map in another place than its symbol.
#[test]
fn maps_are_those_that_another_object_defines() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        compare(compiler, &["link_maps_other.c", "link_maps.c"], true);

        let folder = Folder::new();
        let sources = ["link_maps.c", "link_maps_other.c"];
        let objects = all_compiled(compiler, &sources, &[], folder.path());
        let reversed: Vec<_> = objects.iter().rev().cloned().collect();
        let theirs = Theirs::load(&theirs_linked(&reversed, folder.path()));
        let object = ours_linked(&objects).unwrap();
        let collection = object.collection("linked.o").unwrap();
        let mut loader = Loader::new();
        let programs = loader.load_collection(&collection).unwrap();
        assert_eq!(programs.len(), 2);
        for program in &programs {
            let name = program.name();
            assert_eq!(own_instructions(program), theirs.instructions(name), "{compiler} {name}");
            assert_eq!(returned(program), returned(&theirs.program(name)), "{compiler} {name}");
        }
        for name in ["shared", "own", "replaced", "inner"] {
            let map = loader.map(collection.map(name).unwrap()).unwrap();
            assert_eq!(Described::of_ours(map), theirs.map(name), "{compiler} {name}");
        }
    }
}

#[test]
fn relocations_to_the_kernel_are_those_of_each_object() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        compare(compiler, &["link_core.c", "link_core_other.c"], false);
        compare(compiler, &["link_core_other.c", "link_core.c"], false);
    }
}

/// libbpf 1.1 refuses functions of the kernel that two objects declare; each object by itself is what both together have to be.
#[test]
fn functions_of_the_kernel_can_be_declared_by_several_objects() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let folder = Folder::new();
        let sources = ["link_core.c", "link_core_other.c"];
        let objects = all_compiled(compiler, &sources, &["-DBOTH"], folder.path());
        let object = ours_linked(&objects).unwrap();
        let collection = object.collection("linked.o").unwrap();
        let programs = Loader::new().load_collection(&collection).unwrap();
        for (program, object) in programs.iter().zip(&objects) {
            let theirs = Theirs::load(object);
            let ours = own_instructions(program);
            // The variables of the second lie behind those of the first.
            let without_offsets = |lines: &[String]| -> Vec<String> {
                lines.iter().map(|line| line.split("[0]+").next().unwrap().to_owned()).collect()
            };
            let theirs = theirs.instructions(program.name());
            assert_eq!(without_offsets(&ours), without_offsets(&theirs), "{compiler}");
        }
        assert_eq!(programs.len(), 2);
    }
}

#[test]
fn structs_of_functions_hold_programs_of_all_objects() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    needs_tried!("congestion control", no_congestion_control());
    let sources = ["link_tables.c", "link_tables_other.c"];
    for compiler in compilers() {
        let [first, second] = sources;
        compare(compiler, &sources, false);
        compare(compiler, &[second, first], false);

        let folder = Folder::new();
        let objects = all_compiled(compiler, &sources, &["-DLINKS"], folder.path());
        let object = ours_linked(&objects).unwrap();
        let collection = object.collection("linked.o").unwrap();
        let created: Vec<_> =
            collection.maps().iter().map(|map| (map.name, map.autocreate)).collect();
        let expected = [("rawbpf_first", true), ("rawbpf_second", true), ("rawbpf_third", false)];
        assert_eq!(created, expected);
        if has_links() {
            let mut loader = Loader::new();
            let programs = loader.load_collection(&collection).unwrap();
            let attached = attach_collection(&mut loader, &collection, &programs).unwrap();
            for (name, there) in expected {
                assert_eq!(is_available(name), there, "{name}");
            }
            drop(attached);
        }
    }
}

/// Whether structs of functions can be registered by a link: Linux 6.4.
fn has_links() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().unwrap().parse::<u32>().unwrap();
    (number(), number()) >= (6, 4)
}

fn is_available(name: &str) -> bool {
    let all = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
    all.split_whitespace().any(|one| one == name)
}

fn no_congestion_control() -> Option<String> {
    let types = rawbpf::btf::KernelTypes::new();
    let there = types.exists("struct bpf_struct_ops_tcp_congestion_ops").unwrap_or(false);
    (!there).then(|| "the kernel has no congestion control by programs".into())
}

#[test]
fn strings_settings_and_programs_that_are_turned_off_are_those_of_all_objects() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        compare(compiler, &["link_more.c", "link_more_other.c"], true);
        compare(compiler, &["link_more_other.c", "link_more.c"], true);

        let folder = Folder::new();
        let sources = ["link_more.c", "link_more_other.c"];
        let objects = all_compiled(compiler, &sources, &["-DLEFT_OUT"], folder.path());
        let object = ours_linked(&objects).unwrap();
        let mut collection = object.collection("linked.o").unwrap();
        let loaded = |collection: &Collection<'_>| {
            let programs = Loader::new().load_collection(collection).unwrap();
            programs.iter().map(|program| program.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(loaded(&collection), ["first", "second"]);
        collection.program_mut("also_left_out").unwrap().set_autoload(true);
        assert_eq!(loaded(&collection), ["first", "second", "also_left_out"]);
    }
}

/// The one that handles exceptions is only named by a tag, and can be of another object.
#[test]
fn exceptions_are_handled_by_a_function_of_another_object() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpf_throw", no_function("bpf_throw"));
    let sources = ["exceptions.c", "link_more_other.c"];
    for compiler in compilers() {
        let folder = Folder::new();
        let objects = all_compiled(compiler, &sources, &["-DCALLBACK=\"bounded\""], folder.path());
        let object = ours_linked(&objects).unwrap();
        let collection = object.collection("linked.o").unwrap();
        let programs = Loader::new().load_collection(&collection).unwrap();
        let handled = programs.iter().find(|program| program.name() == "handled").unwrap();
        // 21 & 15
        assert_eq!(returned(handled), [5; 3], "{compiler}");
    }
}

fn no_function(name: &str) -> Option<String> {
    let types = rawbpf::btf::KernelTypes::new();
    let found = types.type_id(name, rawbpf::btf::Kind::Function);
    found.is_err().then(|| format!("the kernel has no {name}"))
}

/// One arena, whose variables several objects have. libbpf has them since 1.5.
#[test]
fn variables_of_an_arena_are_those_of_all_objects() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpf_arena_alloc_pages", no_function("bpf_arena_alloc_pages"));
    for compiler in compilers() {
        for sources in [["arena_data.c", "link_arena.c"], ["link_arena.c", "arena_data.c"]] {
            let folder = Folder::new();
            let objects = all_compiled(compiler, &sources, &[], folder.path());
            let object = ours_linked(&objects).unwrap();
            let collection = object.collection("linked.o").unwrap();
            let mut loader = Loader::new();
            let programs = loader.load_collection(&collection).unwrap();
            let run = |name: &str| {
                let program = programs.iter().find(|program| program.name() == name).unwrap();
                program.test_run_with(&TestRunOptions::new()).unwrap().returned
            };
            assert_eq!(run("adds"), 5 + 10 + 1000 + 30, "{compiler}");
            assert_eq!(run("counts"), 17 + 100 * (7 + 3) + 10_000, "{compiler}");
            assert_eq!(loader.variable::<u32>(&collection, "counter").unwrap(), 17);
            assert_eq!(loader.variable::<u32>(&collection, "behind").unwrap(), 30);
        }
    }
}

/// libbpf refuses all but the fourth, which it leaves to whoever loads the object; that one is refused, too.
#[test]
fn objects_that_do_not_fit_together_are_refused_with_both_names() {
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    let expected = [
        "`counter`: defined in FIRST and in SECOND, expected one definition, or all but one weak or static",
        "`sum`: FIRST declares `int sum(int, int)`, and SECOND defines `int sum(int a)`",
        "map `counts`: FIRST declares `int (*max_entries)[8]`, and SECOND defines `int (*max_entries)[16]`",
        "`counter_of_calls`: used by FIRST, and none of the objects defines it; the nearest: counter_of_call",
        "`counter`: FIRST declares `long counter`, and SECOND defines `int counter`",
        "`state`: FIRST declares `struct state state`, of 4 bytes, and SECOND defines `struct state state`, of 8 bytes",
    ];
    for compiler in compilers() {
        for (expected, kind) in expected.iter().zip(1..) {
            let folder = Folder::new();
            let define = format!("-DKIND={kind}");
            let sources = ["link_conflict.c", "link_conflict_other.c"];
            let objects = all_compiled(compiler, &sources, &[&define], folder.path());
            let name = |index: usize| objects[index].file_name().unwrap().to_str().unwrap();
            let expected = expected.replace("FIRST", name(0)).replace("SECOND", name(1));
            let error = ours_linked(&objects).unwrap_err();
            let LinkError::Conflicts { problems } = &error else { panic!("{error}") };
            assert_eq!(problems, &[expected], "{compiler}");
            let linked = folder.path().join("linked.o");
            let paths = [&linked, &objects[0], &objects[1]].map(|path| path.to_str().unwrap());
            let done = run_bpftool(&["gen", "object", paths[0], paths[1], paths[2]]);
            let taken = done.status.success() && Theirs::try_load(&linked).0.is_some();
            assert!(!taken, "libbpf takes {kind}");
        }
    }
}

#[test]
fn objects_of_different_licenses_are_refused() {
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let folder = Folder::new();
        let sources = ["link_data.c", "link_data_other.c"];
        let objects = all_compiled(compiler, &sources, &[], folder.path());
        let mut bytes = fs::read(&objects[1]).unwrap();
        let places = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"GPL\0"));
        let places: Vec<_> = places.collect();
        let [place] = places[..] else { panic!("{places:?}") };
        bytes[place..place + 3].copy_from_slice(b"MIT");
        fs::write(&objects[1], bytes).unwrap();
        let error = ours_linked(&objects).unwrap_err().to_string();
        let expected = "license: link_data.c.o has `GPL`, and link_data_other.c.o has `MIT`";
        assert!(error.contains(expected), "{error}");
        let linked = folder.path().join("linked.o");
        let paths = [&linked, &objects[0], &objects[1]].map(|path| path.to_str().unwrap());
        assert!(!run_bpftool(&["gen", "object", paths[0], paths[1], paths[2]]).status.success());
    }
}

/// The command in a folder.
#[cfg(feature = "cli")]
fn command(folder: &Path, args: &[&str]) -> Output {
    Command::new(rawbpf()).args(args).current_dir(folder).output().unwrap()
}

#[cfg(feature = "cli")]
#[test]
fn the_command_line_takes_several_objects() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    let folder = Folder::new();
    let sources = ["link_calls.c", "link_calls_other.c", "link_calls_third.c"];
    let objects = all_compiled(compilers()[0], &sources, &[], folder.path());
    let names: Vec<_> =
        objects.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    // 2 * 1 is 2, and there 4 * 2 + 1 + 3 is 12; 4 + 10, 5 + 20 and 6 + 300.
    let done = command(folder.path(), &[&["exec", "--program", "first"], &names[..]].concat());
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(printed.starts_with("r0 = 357 "), "{}", said(&done));
    for subcommand in ["check", "load"] {
        let done = command(folder.path(), &[&[subcommand], &names[..]].concat());
        let printed = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        for program in ["first", "replaced", "alone", "second"] {
            let line = printed.lines().find(|line| line.starts_with(&format!("{program}: ")));
            assert!(line.is_some(), "{program}: {printed}");
        }
    }
    // Messages name all files: the program can be of any.
    let done = command(folder.path(), &[&["exec"], &names[..]].concat());
    let expected = format!("{} holds several programs", names.join(" + "));
    assert!(said(&done).contains(&expected), "{}", said(&done));
    // Without the others it calls what nobody defines.
    let done = command(folder.path(), &["check", names[0], names[1]]);
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{error}");
    let expected = "`hidden_there`: used by link_calls_other.c.o, and none of the objects defines";
    assert!(error.contains(expected), "{error}");
    std::fs::write(folder.path().join("text.s"), "r0 = 0\nexit\n").unwrap();
    let done = command(folder.path(), &["check", "text.s", names[0]]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("text.s is no ELF object"), "{}", said(&done));
}
