//! Maps of objects: those that libbpf makes, and their contents.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{Folder, said};
use crate::objects::{
    Described, Pins, Theirs, compiled, compilers, elements, no_bpftool, no_compiler, object, read,
    run_bpftool, same_programs,
};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rawbpf::asm::{ParseOptions, parse};
use rawbpf::attach::attach_collection;
use rawbpf::{Collection, Loader, Map, MapFlags, MapSpec, TestRunOptions};
use std::fs;
use std::path::Path;

/// `BPF_F_MMAPABLE` of `include/uapi/linux/bpf.h`.
const MMAPABLE: u64 = 1 << 10;

/// Loads an object with libbpf and here, and compares programs and maps; for what is only here `then` is called.
fn compare(name: &str, options: &[&str], then: impl Fn(&Theirs, &Collection<'_>)) {
    for compiler in compilers() {
        let folder = Folder::new();
        let file = compiled(compiler, name, options, folder.path());
        let theirs = Theirs::load(&file);
        let object = read(&file);
        let collection = object.collection(name).unwrap();
        let mut loader = Loader::new();
        let programs = loader.load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
        same_programs(&theirs, &programs);
        for spec in collection.maps() {
            let ours = Described::of_ours(loader.map(spec).unwrap());
            let theirs = theirs.map(spec.name);
            if ours.fact("type").as_str().is_some_and(|kind| kind.contains("of_maps")) {
                assert_eq!(elements(&ours, "map"), elements(&theirs, "map"), "{}", spec.name);
            } else if ours.fact("type") == "prog_array" {
                assert_eq!(elements(&ours, "prog"), elements(&theirs, "prog"), "{}", spec.name);
            } else {
                assert_eq!(ours, theirs, "{compiler} {}", spec.name);
            }
        }
        for data in collection.data().more {
            let ours = Described::of_ours(loader.named_section(data).unwrap());
            let name = data.name.replace('.', "_");
            // libbpf 1.1 has all sections mapped, later versions those that somebody outside can name.
            let theirs = theirs.map(&name).without_flag(MMAPABLE);
            assert_eq!(ours.without_flag(MMAPABLE), theirs, "{compiler} {name}");
        }
        then(&theirs, &collection);
    }
}

#[test]
fn maps_have_the_sizes_flags_and_types_that_libbpf_gives_them() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    compare("maps.c", &[], |theirs, collection| {
        assert_eq!(collection.maps().len(), 16);
        // The least is a page.
        let entries = |name: &str| theirs.map(name).fact("max_entries").as_u64().unwrap();
        assert_eq!(entries("ring"), entries("least_ring").max(8192));
    });
}

#[test]
fn locks_timers_and_pointers_are_known_by_their_types() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    compare("locked.c", &[], |_, _| {});
}

#[test]
fn data_sections_are_maps_of_their_own() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    compare("data.c", &["-DALONE"], |theirs, collection| {
        let names: Vec<_> = collection.data().more.iter().map(|data| data.name.as_str()).collect();
        assert_eq!(names, [".data.own", ".data.hidden", ".data.visible", ".rodata.constant"]);
        assert_eq!(theirs.map("_data_visible").fact("flags").as_u64(), Some(MMAPABLE));
    });
    // And zeros, in which libbpf 1.1 has one section only.
    let object = object(compilers()[0], "data.c");
    let mut collection = object.collection("data.o").unwrap();
    collection.variable("zero").unwrap().set(&11).unwrap();
    let mut loader = Loader::new();
    loader.load_collection(&collection).unwrap();
    assert_eq!(loader.variable::<i32>(&collection, "zero").unwrap(), 11);
    assert_eq!(loader.variable::<i64>(&collection, "constant").unwrap(), -1);
    // What nobody outside of the object can see is not mapped into the memory of a process.
    for (section, mapped) in [
        (".data.own", 0),
        (".data.hidden", 0),
        (".data.visible", MMAPABLE),
        (".bss.zero", MMAPABLE),
    ] {
        let data = collection.data().more.iter().find(|data| data.name == section).unwrap();
        let flags = loader.named_section(data).unwrap().flags();
        assert_eq!(u64::from(flags.bits()), mapped, "{section}");
    }
}

#[test]
fn maps_of_maps_and_programs_have_their_elements() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    compare("elements.c", &[], |theirs, _| {
        let of_maps = elements(&theirs.map("by_index"), "map");
        assert_eq!(of_maps, [(0, "second".into()), (2, "first".into())]);
        let of_programs = elements(&theirs.map("calls"), "prog");
        assert_eq!(of_programs, [(1, "called".into()), (2, "other".into())]);
    });
    let object = object(compilers()[0], "elements.c");
    let mut collection = object.collection("elements.o").unwrap();
    for (turned_off, expected) in [(false, 42), (true, 10)] {
        collection.program_mut("other").unwrap().set_autoload(!turned_off);
        let mut loader = Loader::new();
        let programs = loader.load_collection(&collection).unwrap();
        let enters = programs.iter().find(|program| program.name() == "enters").unwrap();
        let packet = [0; 64];
        let run = enters.test_run(&packet, 1).unwrap();
        assert_eq!(run.returned, expected);
        let first = loader.map(collection.map("first").unwrap()).unwrap();
        assert_eq!(first.lookup(&[0; 4]).unwrap(), Some(1_u64.to_ne_bytes().to_vec()));
    }
}

/// The pin of one loader is used by the other, and only if it is like what the object defines.
#[test]
fn a_map_is_shared_by_its_name() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    // With mounts of its own, which the processes that this thread starts have, too.
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), none).unwrap();
    let pin = Path::new("/sys/fs/bpf/rawbpf_pinned");
    for compiler in compilers() {
        let folder = Folder::new();
        let file = compiled(compiler, "pinned.c", &[], folder.path());
        let (object, programs) = (file.to_str().unwrap(), "/sys/fs/bpf/programs");
        let done = run_bpftool(&["prog", "loadall", object, programs]);
        assert!(done.status.success(), "{}", said(&done));
        let theirs = Map::open_pinned(pin).unwrap();
        let (key, value) = (1_u32.to_ne_bytes(), 77_u64.to_ne_bytes());
        theirs.update(&key, &value, rawbpf::map::Update::Any).unwrap();

        let object = read(&file);
        let collection = object.collection("pinned.o").unwrap();
        let mut loader = Loader::new();
        loader.load_collection(&collection).unwrap();
        let ours = loader.map(collection.map("rawbpf_pinned").unwrap()).unwrap();
        assert_eq!(ours.info().unwrap().id, theirs.info().unwrap().id);
        assert_eq!(ours.lookup(&key).unwrap(), Some(value.to_vec()));

        // Another size, and another path.
        let larger = read(&compiled(compiler, "pinned.c", &["-DENTRIES=6"], folder.path()));
        let mut collection = larger.collection("pinned.o").unwrap();
        let error = Loader::new().load_collection(&collection).unwrap_err().to_string();
        for part in ["rawbpf_pinned", "max_entries", "5", "6"] {
            assert!(error.contains(part), "{error}");
        }
        let other = "/sys/fs/bpf/other";
        collection.map_mut("rawbpf_pinned").unwrap().pin = Some(other);
        Loader::new().load_collection(&collection).unwrap();
        assert_eq!(Map::open_pinned(other).unwrap().max_entries(), 6);

        fs::remove_dir_all(programs).unwrap();
        fs::remove_file(pin).unwrap();
        fs::remove_file(other).unwrap();
        // And the other way round.
        let object = read(&file);
        let collection = object.collection("pinned.o").unwrap();
        let mut loader = Loader::new();
        loader.load_collection(&collection).unwrap();
        let ours = loader.map(collection.map("rawbpf_pinned").unwrap()).unwrap();
        let done = run_bpftool(&["prog", "loadall", file.to_str().unwrap(), programs]);
        assert!(done.status.success(), "{}", said(&done));
        let theirs = Map::open_pinned(pin).unwrap();
        assert_eq!(ours.info().unwrap().id, theirs.info().unwrap().id);
        fs::remove_dir_all(programs).unwrap();
        fs::remove_file(pin).unwrap();
    }
}

/// Either everything is loaded, or nothing stays.
#[test]
fn a_load_that_fails_leaves_no_pin() {
    needs!(Bpf, Root);
    let pins = Pins::new();
    let path = pins.path("counts");
    let maps = ".map first, array, value=8, max=1\n.map counts, array, value=8, max=3\n";
    // The second program reads a register that has no value.
    let text = format!("{maps}.program one, xdp\nr0 = 1\nexit\n.program two, xdp\nr0 = r5\nexit\n");
    let mut collection = parse(&text, "pins.s", &ParseOptions::new()).unwrap();
    collection.map_mut("counts").unwrap().pin = path.to_str();
    let mut loader = Loader::new();
    for _ in 0..2 {
        let error = loader.load_collection(&collection).unwrap_err().to_string();
        assert!(error.contains("two"), "{error}");
        assert!(!path.exists());
    }
    // One that was there before is not taken away, and neither are the maps that the loader had.
    let own = Map::create(collection.map("counts").unwrap()).unwrap();
    let first = loader.map(collection.map("first").unwrap()).unwrap().info().unwrap().id;
    loader.load_collection(&collection).unwrap_err();
    assert_eq!(Map::open_pinned(&path).unwrap().info().unwrap().id, own.info().unwrap().id);
    assert_eq!(loader.map(collection.map("first").unwrap()).unwrap().info().unwrap().id, first);
}

/// Whether TCP can be told to use this congestion control.
fn is_available(name: &str) -> bool {
    let all = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
    all.split_whitespace().any(|one| one == name)
}

fn no_congestion_control() -> Option<String> {
    let types = rawbpf::btf::KernelTypes::new();
    let name = "struct bpf_struct_ops_tcp_congestion_ops";
    let there = types.exists(name).unwrap_or(false);
    (!there).then(|| "the kernel has no congestion control by programs".into())
}

/// A struct of functions that bpftool has registered, by the number of its map; taken back when dropped.
struct Registered(String);

impl Drop for Registered {
    fn drop(&mut self) {
        let _ = run_bpftool(&["struct_ops", "unregister", "id", &self.0]);
    }
}

#[test]
fn a_struct_of_functions_has_the_members_of_the_object() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    needs_tried!("congestion control", no_congestion_control());
    for compiler in compilers() {
        let folder = Folder::new();
        let file = compiled(compiler, "congestion.c", &[], folder.path());
        let theirs = Theirs::load(&file);
        let object = read(&file);
        let collection = object.collection("congestion.o").unwrap();
        let mut loader = Loader::new();
        let programs = loader.load_collection(&collection).unwrap();
        same_programs(&theirs, &programs);
        assert!(!is_available("rawbpf_cc"));
        let attached = attach_collection(&mut loader, &collection, &programs).unwrap();
        assert_eq!(attached.tables().collect::<Vec<_>>(), ["rawbpf_cc"]);
        assert!(is_available("rawbpf_cc"));
        let ours = Described::of_ours(loader.map(collection.map("rawbpf_cc").unwrap()).unwrap());
        drop(attached);
        assert!(!is_available("rawbpf_cc"));
        drop((theirs, programs, loader));

        // bpftool leaves it registered until the map is asked for by its number.
        let done = run_bpftool(&["struct_ops", "register", file.to_str().unwrap()]);
        assert!(done.status.success(), "{}", said(&done));
        assert!(is_available("rawbpf_cc"));
        // By its number, since a test that was killed can have left one of this name: `… rawbpf_cc id 12`.
        let registered = String::from_utf8_lossy(&done.stderr).into_owned();
        let registered = Registered(registered.split_whitespace().last().unwrap().into());
        let done = run_bpftool(&["-j", "struct_ops", "dump", "id", &registered.0]);
        drop(registered);
        assert!(!is_available("rawbpf_cc"));
        // Of one map bpftool prints two objects with a comma between them, and no array.
        let dumped = format!("[{}]", String::from_utf8_lossy(&done.stdout));
        let dumped: serde_json::Value = serde_json::from_str(&dumped).unwrap();
        let theirs = dumped
            .as_array()
            .unwrap()
            .iter()
            .find_map(|map| map.pointer("/bpf_struct_ops_tcp_congestion_ops/data"))
            .unwrap_or_else(|| panic!("{dumped}"));
        let data = ours.contents.pointer("/0/formatted/value/data");
        let ours = data.or(ours.contents.pointer("/0/value/data"));
        let ours = ours.unwrap_or_else(|| panic!("{dumped}"));
        for (member, value) in theirs.as_object().unwrap() {
            // Functions are shown with their prototypes there, and by the numbers of programs here.
            match value.as_str().filter(|value| value.contains('(')) {
                Some(function) => {
                    assert_eq!(ours[member] == 0, function.ends_with(" 0"), "{member}: {function}");
                }
                None => assert_eq!(ours[member], *value, "{member}"),
            }
        }
        let is_there = |member: &str| ours[member] != 0;
        assert!(is_there("ssthresh") && is_there("flags") && !is_there("cong_control"), "{ours}");
    }
}

#[test]
fn a_struct_of_functions_is_registered_by_a_link() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("congestion control", no_congestion_control());
    needs_tried!("struct_ops links (Linux 6.4)", older_than(6, 4));
    for compiler in compilers() {
        let object = object(compiler, "congestion_link.c");
        let collection = object.collection("congestion_link.o").unwrap();
        // BPF_F_LINK of include/uapi/linux/bpf.h.
        assert_eq!(collection.map("rawbpf_linked").unwrap().flags.bits(), 1 << 13);
        let mut first = Loader::new();
        let made = first.map(collection.map("rawbpf_linked").unwrap()).unwrap();
        let mut loader = Loader::new();
        loader.reuse(collection.map("rawbpf_linked").unwrap(), made).unwrap();
        let other = MapSpec::struct_ops("other", "bpf_dummy_ops");
        let error = Loader::new().reuse(&other, made).unwrap_err().to_string();
        assert!(error.contains("bpf_dummy_ops") && error.contains("tcp_congestion_ops"), "{error}");
        let programs = loader.load_collection(&collection).unwrap();
        assert!(!is_available("rawbpf_linked"));
        let attached = attach_collection(&mut loader, &collection, &programs).unwrap();
        assert!(is_available("rawbpf_linked"));
        drop(attached);
        assert!(!is_available("rawbpf_linked"));
    }
}

/// Why a feature is missing that a version of Linux brought; `None` if it is there.
fn older_than(major: u32, minor: u32) -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().unwrap().parse::<u32>().unwrap();
    let here = (number(), number());
    (here < (major, minor)).then(|| format!("this is Linux {}.{}", here.0, here.1))
}

#[test]
fn an_arena_has_pages() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("arenas (Linux 6.9)", older_than(6, 9));
    for compiler in compilers() {
        let object = object(compiler, "arena.c");
        for place in [0, 1 << 44] {
            let mut collection = object.collection("arena.o").unwrap();
            collection.map_mut("arena").unwrap().map_extra = place;
            let programs = Loader::new().load_collection(&collection).unwrap();
            let run = programs[0].test_run_with(&TestRunOptions::new()).unwrap();
            assert_eq!(run.returned, 1);
        }
    }
}

/// As in an arena of libbpf's: `first` has 40 + 2, and 5 was put into `counter`.
#[test]
fn variables_of_an_arena_are_set_and_read() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("arenas (Linux 6.9)", older_than(6, 9));
    for compiler in compilers() {
        let object = object(compiler, "arena_data.c");
        for place in [0, 1 << 44] {
            let mut collection = object.collection("arena_data.o").unwrap();
            collection.map_mut("arena").unwrap().map_extra = place;
            let value = collection.variable("table").unwrap().get::<[u64; 1000]>().unwrap();
            assert_eq!((value[..4].to_vec(), value[999]), (vec![1, 2, 3, 0], 0));
            assert_eq!(collection.variable("counter").unwrap().get::<u32>().unwrap(), 5);
            let error = collection.variable("counter").unwrap().set(&1_u64).unwrap_err();
            assert!(error.to_string().contains("int counter"), "{error}");
            collection.variable("counter").unwrap().set(&50_u32).unwrap();
            let mut loader = Loader::new();
            let programs = loader.load_collection(&collection).unwrap();
            assert_eq!(loader.variable::<u32>(&collection, "counter").unwrap(), 50);
            assert_eq!(loader.variable::<u32>(&collection, "zero").unwrap(), 0);
            let run = |name: &str| {
                let program = programs.iter().find(|program| program.name() == name).unwrap();
                program.test_run_with(&TestRunOptions::new()).unwrap().returned
            };
            assert_eq!(run("counts"), 52 + 100 * 10 + 10_000);
            assert_eq!(run("follows"), 42 + 52);
            assert_eq!(loader.variable::<u32>(&collection, "counter").unwrap(), 52);
            assert_eq!(loader.variable::<u32>(&collection, "hidden").unwrap(), 10);
            assert_eq!(loader.variable::<u32>(&collection, "zero").unwrap(), 1);
            let table: [u64; 1000] = loader.variable(&collection, "table").unwrap();
            assert_eq!((table[1], table[999]), (2, 10));
            let memory = loader.arena(collection.map("arena").unwrap()).unwrap();
            assert_eq!(memory.len(), 8 * 4096);
            assert!(place == 0 || memory.address() == place);
            // Kernels before 7.0 take them only near the beginning.
            let words: Vec<u64> =
                (0..memory.len() / 8).map(|word| memory.get(8 * word).unwrap()).collect();
            let found = words.windows(3).position(|words| words == [1, 2, 3]).unwrap();
            let at_end = older_than(7, 0).is_none();
            assert_eq!(found * 8 / 4096 >= 6, at_end, "{found}");
            // A map that a loader has not mapped.
            assert!(Loader::new().arena(&MapSpec::arena("other", 1)).is_err());
        }
        let mut collection = object.collection("arena_data.o").unwrap();
        collection.map_mut("arena").unwrap().max_entries = 1;
        let error = Loader::new().load_collection(&collection).unwrap_err().to_string();
        assert!(error.contains("max_entries is 1: its variables need 2 pages"), "{error}");
        collection.map_mut("arena").unwrap().max_entries = 2;
        assert_eq!(Loader::new().load_collection(&collection).unwrap().len(), 2);
        collection.map_mut("arena").unwrap().flags |= MapFlags::SEGV_ON_FAULT;
        let error = Loader::new().load_collection(&collection).unwrap_err().to_string();
        assert!(error.contains("without BPF_F_SEGV_ON_FAULT"), "{error}");
    }
}

/// What libbpf refuses, and only one thing can be meant.
#[test]
fn what_is_left_out_of_a_definition_is_filled_in() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let object = object(compiler, "loose.c");
        let mut collection = object.collection("loose.o").unwrap();
        collection.map_mut("ring").unwrap().max_entries = 4097;
        let mut loader = Loader::new();
        loader.load_collection(&collection).unwrap();
        let mut shown = |name: &str| {
            let map = loader.map(collection.map(name).unwrap()).unwrap();
            (map.kind().name(), map.key_size(), map.value_size(), map.flags().bits())
        };
        assert_eq!(shown("ring"), ("ringbuf", 0, 0, 0));
        assert_eq!(shown("events"), ("perf_event_array", 4, 4, 0));
        assert_eq!(shown("numbers"), ("array", 4, 8, 0));
        assert_eq!(shown("old"), ("hash", 4, 8, 1));
        let ring = loader.map(collection.map("ring").unwrap()).unwrap();
        assert!(ring.info().unwrap().max_entries >= 8192);
    }
}

#[test]
fn what_a_definition_cannot_say_is_named() {
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let error = object(compiler, "unknown_field.c").collection("odd.o").unwrap_err();
        let error = error.to_string();
        assert!(error.contains("of map odd: color is 3"), "{error}");
        assert!(error.contains("of map odd: keys have 4 and 8 bytes"), "{error}");
    }
}
