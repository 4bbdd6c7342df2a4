//! Collections in a program that embeds this library, as skeletons are with libbpf.

use crate::common::Folder;
use crate::common::requires::{Thing, needs, needs_tried};
use crate::objects::{
    Described, Theirs, compiled, compilers, no_bpftool, no_compiler, object, own_instructions,
    own_source_lines,
};
use rawbpf::asm::Section;
use rawbpf::attach::attach_collection;
use rawbpf::map::Hash;
use rawbpf::object::Object;
use rawbpf::{Loader, Map, MapSpec, plain};

plain! {
    /// `struct config` of the source.
    #[derive(Debug, Clone, Copy, PartialEq)]
    #[repr(C)]
    struct Config {
        limit: u64,
        ports: [u16; 4],
    }
}

/// What is set is the same as what was compiled in: the verifier takes the same instructions out.
#[test]
fn values_that_are_set_are_those_that_were_compiled() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let folder = Folder::new();
        let options = ["-DTARG_PID=7", "-DLIMIT=200", "-DSTEP=5", "-DALONE"];
        let theirs = Theirs::load(&compiled(compiler, "skeleton.c", &options, folder.path()));

        let object = object(compiler, "skeleton.c");
        let mut collection = object.collection("skeleton.o").unwrap();
        collection.variable("targ_pid").unwrap().set(&7).unwrap();
        let mut config = collection.variable("config").unwrap();
        let before: Config = config.get().unwrap();
        assert_eq!(before, Config { limit: 10, ports: [1, 2, 3, 4] });
        config.set(&Config { limit: 200, ..before }).unwrap();
        collection.variable("step").unwrap().set(&[1_i64, 5]).unwrap();

        let mut loader = Loader::new();
        let programs = loader.load_collection(&collection).unwrap();
        let [program] = &programs[..] else { panic!("{programs:?}") };
        assert_eq!(theirs.programs(), [program.name()]);
        assert_eq!(own_instructions(program), theirs.instructions("count"), "{compiler}");
        assert_eq!(own_source_lines(program), theirs.source_lines("count"), "{compiler}");

        let code = collection.program("count").unwrap().code();
        let code = rawbpf::asm::Code { data: collection.data(), ..code };
        for (section, theirs_is) in [
            (Section::Rodata, "skeleton_rodata"),
            (Section::Data, "skeleton_data"),
            (Section::Bss, "skeleton_bss"),
        ] {
            let ours = Described::of_ours(loader.section(&code, section).unwrap());
            assert_eq!(ours, theirs.map(theirs_is), "{compiler} {theirs_is}");
            // BPF_F_MMAPABLE, and BPF_F_RDONLY_PROG of constants.
            let flags = if section == Section::Rodata { 0x480 } else { 0x400 };
            assert_eq!(ours.fact("flags"), flags);
        }
        for data in collection.data().more {
            let name = data.name.replace('.', "_");
            let ours = Described::of_ours(loader.named_section(data).unwrap());
            assert_eq!(ours, theirs.map(&name), "{compiler} {name}");
        }
        assert_eq!(collection.data().more.len(), 2);
    }
}

#[test]
fn a_value_of_another_size_is_refused_with_the_declaration() {
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let object = object(compiler, "skeleton.c");
        let mut collection = object.collection("skeleton.o").unwrap();
        let error = collection.variable("targ_pid").unwrap().set(&7_u64).unwrap_err().to_string();
        let expected = "variable `targ_pid` (`const volatile int targ_pid`) has 4 bytes, and the value given to it 8";
        assert_eq!(error, expected);
        let error = collection.variable("targ_pit").unwrap_err().to_string();
        assert!(error.contains("`targ_pit`") && error.contains("targ_pid"), "{error}");
        let error = collection.program_mut("cont").unwrap_err().to_string();
        assert!(error.starts_with("program `cont` is not in skeleton.o"), "{error}");
        assert!(error.contains("count"), "{error}");
        let error = collection.map("count").unwrap_err().to_string();
        assert!(error.contains("counts"), "{error}");
    }
}

#[test]
fn a_collection_is_attached_by_its_sections() {
    needs!(Tracepoint, Root, Btf);
    needs_tried!("clang", no_compiler());
    let object = object(compilers()[0], "skeleton.c");
    let mut collection = object.collection("skeleton.o").unwrap();
    let pid = std::process::id();
    collection.variable("targ_pid").unwrap().set(&pid).unwrap();
    collection
        .variable("config")
        .unwrap()
        .set(&Config { limit: 101, ports: [0, 0, 33, 0] })
        .unwrap();
    collection.map_mut("counts").unwrap().max_entries = 1;
    // One that both programs write to would not be what the test is for.
    assert!(!collection.program("left_out").unwrap().autoload());

    let shared = Map::create(&MapSpec::hash("shared", 4, 8, 9)).unwrap();
    let mut loader = Loader::new();
    let mismatched = Map::create(&MapSpec::hash("shared", 8, 8, 9)).unwrap();
    let error = loader.reuse(collection.map("counts").unwrap(), &mismatched).unwrap_err();
    assert!(error.to_string().contains("key_size"), "{error}");
    loader.reuse(collection.map("counts").unwrap(), &shared).unwrap();
    let programs = loader.load_collection(&collection).unwrap();
    let attached = attach_collection(&mut loader, &collection, &programs).unwrap();
    let (names, left_out): (Vec<_>, _) =
        (attached.links().map(|(name, _)| name).collect(), attached.left_out());
    assert_eq!((&names[..], left_out), (&["count"][..], &[] as &[String]));
    nix::unistd::getsid(None).unwrap();
    drop(attached);

    // Each call adds 2 to one and 1 to the other.
    let hits: i64 = loader.variable(&collection, "hits").unwrap();
    let counted: i64 = loader.variable(&collection, "counted").unwrap();
    assert!(hits >= 2, "{hits}");
    assert_eq!(2 * (counted - 100), hits);
    let step: [i64; 2] = loader.variable(&collection, "step").unwrap();
    assert_eq!(step, [1, 2]);
    let counts = Hash::<u32, u64>::of(&shared).unwrap();
    assert_eq!(counts.lookup(&pid).unwrap(), Some(33));
    assert_eq!(loader.map(collection.map("counts").unwrap()).unwrap().max_entries(), 9);
}

/// What is turned on and off, and where it is attached, is up to who loads it.
#[test]
fn programs_are_turned_on_and_off() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    let object = object(compilers()[0], "skeleton.c");
    let mut collection = object.collection("skeleton.o").unwrap();
    collection.program_mut("left_out").unwrap().set_autoload(true);
    collection.program_mut("count").unwrap().set_autoload(false);
    collection.program_mut("left_out").unwrap().set_target("xdp");
    let mut loader = Loader::new();
    let programs = loader.load_collection(&collection).unwrap();
    let all: Vec<_> = programs.iter().map(|one| (one.name(), one.kind().name())).collect();
    assert_eq!(all, [("left_out", "xdp")]);
    let attached = attach_collection(&mut loader, &collection, &programs).unwrap();
    assert_eq!(attached.left_out(), ["left_out"]);
    assert_eq!(attached.links().count(), 0);
}

/// An error says which program of which section it is, and the line of the source.
#[test]
fn an_error_names_program_section_and_line() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let object: Object = object(compiler, "unchecked.c");
        let collection = object.collection("unchecked.o").unwrap();
        let error = Loader::new().load_collection(&collection).unwrap_err();
        let verdict = error.verifier().unwrap();
        assert_eq!(verdict.section(), Some("raw_tp/sched_switch"));
        let line = verdict.source_line().unwrap();
        assert!(line.ends_with("unchecked.c:21: return *value;"), "{line}");
        let text = error.to_string();
        let first = "cannot load program `reads` (raw_tracepoint, section `raw_tp/sched_switch`): the verifier rejected it";
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.contains(line), "{text}");
    }
}
