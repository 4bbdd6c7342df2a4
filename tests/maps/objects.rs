//! Maps of programs, maps, perf events and stacks; rings; pins.

use super::{FRAME, lacks, load, raw, run};
use crate::common::Folder;
use crate::common::requires::{Thing, needs, needs_tried};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rawbpf::map::{Array, Hash, Map, MapOfMaps, ProgArray, StackTrace, Update};
use rawbpf::perf::{PerfOptions, PerfReader};
use rawbpf::{
    Errno, Error, Loader, MapFlags, MapSpec, MapType, ProgramSpec, ProgramType, TestRunOptions, bpf,
};
use std::path::Path;

static NEXT: MapSpec = MapSpec::prog_array("next", 4);
/// Goes on with the program at index 2.
static CALLER: ProgramSpec = ProgramSpec::new(
    "caller",
    ProgramType::SocketFilter,
    bpf! {
        r2 = NEXT ll;
        r3 = 2;
        call tail_call;
        r0 = 5;
        exit;
    },
);
static SEVEN: ProgramSpec =
    ProgramSpec::new("seven", ProgramType::SocketFilter, bpf! { r0 = 7; exit; });

#[test]
fn programs_to_go_on_with() {
    needs!(Bpf);
    let (program, map) = load(&CALLER, &NEXT);
    let next = ProgArray::of(&map).unwrap();
    assert_eq!((run(&program), next.id(&2).unwrap()), (5, None));
    let seven = Loader::new().load(&SEVEN).unwrap();
    next.update(&2, &seven, Update::Any).unwrap();
    assert_eq!(run(&program), 7);
    assert!(next.id(&2).unwrap().is_some_and(|id| id > 0));
    assert!(next.delete(&2).unwrap());
    assert_eq!(run(&program), 5);
}

static INNER: MapSpec = MapSpec::array("inner", 8, 2);
static OUTER_ARRAY: MapSpec = MapSpec::array_of_maps("outer_array", 4, &INNER);
static OUTER_HASH: MapSpec = MapSpec::hash_of_maps("outer_hash", 4, 4, &INNER);

/// Adds one to element 1 of the map by key 1.
macro_rules! add_one_inside {
    ($name:literal, $map:ident) => {
        ProgramSpec::new(
            $name,
            ProgramType::SocketFilter,
            bpf! {
                *(u32 *)(r10 - 4) = 1;
                r1 = $map ll;
                r2 = r10;
                r2 += -4;
                call map_lookup_elem;
                if r0 == 0 goto out;
                r1 = r0;
                r2 = r10;
                r2 += -4;
                call map_lookup_elem;
                if r0 == 0 goto out;
                r1 = *(u64 *)(r0 + 0);
                r1 += 1;
                *(u64 *)(r0 + 0) = r1;
                r0 = 1;
            out:
                exit;
            },
        )
    };
}

static IN_OUTER_ARRAY: ProgramSpec = add_one_inside!("in_outer_array", OUTER_ARRAY);
static IN_OUTER_HASH: ProgramSpec = add_one_inside!("in_outer_hash", OUTER_HASH);

#[test]
fn maps_in_maps() {
    needs!(Bpf);
    for (spec, program) in [(&OUTER_ARRAY, &IN_OUTER_ARRAY), (&OUTER_HASH, &IN_OUTER_HASH)] {
        let (program, map) = load(program, spec);
        let outer = MapOfMaps::<u32>::of(&map).unwrap();
        assert_eq!((run(&program), outer.id(&1).unwrap()), (0, None));
        let inner = Array::<u64>::of(&Map::create(&INNER).unwrap()).unwrap();
        outer.update(&1, &inner, Update::Any).unwrap();
        assert_eq!((run(&program), inner.lookup(1).unwrap()), (1, 1));
        // The same map, found by the number.
        let id = outer.id(&1).unwrap().unwrap();
        let found = Array::<u64>::of(&Map::open_id(id).unwrap()).unwrap();
        assert_eq!(found.lookup(1).unwrap(), 1);
        let other = Map::create(&MapSpec::array("other", 16, 2)).unwrap();
        assert!(outer.update(&1, &other, Update::Any).is_err());
        assert!(outer.delete(&1).unwrap());
        assert_eq!(run(&program), 0);
    }
}

static EVENTS: MapSpec = MapSpec::perf_event_array("events");
static SEND: ProgramSpec = ProgramSpec::new(
    "send",
    ProgramType::SocketFilter,
    bpf! {
        *(u64 *)(r10 - 8) = 42;
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;             // BPF_F_CURRENT_CPU
        r4 = r10;
        r4 += -8;
        r5 = 8;
        call perf_event_output;
        exit;
    },
);

#[test]
fn perf_events() {
    needs!(Bpf);
    let (program, map) = load(&SEND, &EVENTS);
    let mut reader = PerfReader::open(&map, &PerfOptions::new().sample_size(8)).unwrap();
    assert_eq!(run(&program), 0);
    let mut seen = Vec::new();
    reader
        .drain(|record| {
            seen.push(format!("{record:?}"));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].contains("42"), "{seen:?}");
}

static STACKS: MapSpec = MapSpec::stack_trace("stacks", 32, 16);
/// The number of the stack it runs on, in the kernel.
static STACK_OF: ProgramSpec = ProgramSpec::new(
    "stack_of",
    ProgramType::RawTracepoint,
    bpf! {
        r2 = STACKS ll;
        r3 = 0;
        call get_stackid;
        exit;
    },
);

#[test]
fn stacks() {
    needs!(Bpf);
    let (program, map) = load(&STACK_OF, &STACKS);
    let stacks = StackTrace::of(&map).unwrap();
    let id = program.test_run_with(&TestRunOptions::new().repeat(0)).unwrap().returned;
    assert!(id < 16, "{}", id.cast_signed());
    let addresses = stacks.lookup(id).unwrap().unwrap();
    assert!(!addresses.is_empty() && addresses.len() <= 32);
    // The kernel has the upper half of the addresses, but on s390x, where it has all.
    let kernels = |address: &u64| *address > u64::MAX / 2 || cfg!(target_arch = "s390x");
    assert!(addresses.iter().all(kernels), "{addresses:x?}");
    assert!(stacks.delete(id).unwrap());
    assert_eq!(stacks.lookup(id).unwrap(), None);
}

static RING: MapSpec = MapSpec::ring_buffer("ring", 1 << 16);
static INTO_RING: ProgramSpec = ProgramSpec::new(
    "into_ring",
    ProgramType::SocketFilter,
    bpf! {
        *(u64 *)(r10 - 8) = 42;
        r1 = RING ll;
        r2 = r10;
        r2 += -8;
        r3 = 8;
        r4 = 0;
        call ringbuf_output;
        exit;
    },
);

/// Its pages: the reader's position, the kernel's position, the records.
#[test]
fn a_ring_buffer() {
    needs!(Bpf);
    let (program, map) = load(&INTO_RING, &RING);
    let ring = raw::Mapping::new(&map, raw::page(), 2 * raw::page(), false).unwrap();
    assert_eq!((ring.get(0), run(&program)), (0, 0));
    // A header of 8 bytes, which begins with the length, and the value.
    let header = ring.get(raw::page()).to_ne_bytes();
    assert_eq!(header[..4], 8u32.to_ne_bytes());
    assert_eq!((ring.get(0), ring.get(raw::page() + 8)), (16, 42));
}

/// A map is only what it was pinned as.
#[test]
fn pins() {
    needs!(Root, Bpf);
    std::thread::spawn(|| {
        let folder = bpf_file_system();
        let path = folder.path().join("counts");
        let name = path.to_str().unwrap();
        let spec = Hash::<u32, u64>::spec("counts", 16).with_pin(name);
        let first = Hash::<u32, u64>::of(&Map::create(&spec).unwrap()).unwrap();
        first.update(&1, &7, Update::Any).unwrap();
        let again = Hash::<u32, u64>::of(&Map::create(&spec).unwrap()).unwrap();
        assert_eq!(again.lookup(&1).unwrap(), Some(7));
        assert_eq!(again.info().unwrap().id, first.info().unwrap().id);

        for (wrong, blamed) in [
            (MapSpec::array("counts", 8, 16), "kind"),
            (MapSpec::hash("counts", 8, 8, 16), "key_size"),
            (MapSpec::hash("counts", 4, 4, 16), "value_size"),
            (MapSpec::hash("counts", 4, 8, 17), "max_entries"),
            (spec.with_flags(MapFlags::NO_PREALLOC), "flags"),
        ] {
            let error = Map::create(&wrong.with_pin(name)).unwrap_err();
            assert!(
                matches!(&error, Error::PinnedMap { field, .. } if *field == blamed),
                "{error}"
            );
        }

        let opened = Map::open_pinned(&path).unwrap();
        assert_eq!((opened.kind(), opened.name(), opened.key_size()), (MapType::Hash, "counts", 4));
        let other = Map::create(&Hash::<u32, u64>::spec("other", 1)).unwrap();
        assert!(matches!(other.unpin(&path), Err(Error::PinnedMap { field: "number", .. })));
        let taken = other.pin(&path);
        assert!(matches!(taken, Err(Error::Call { errno: Errno(libc::EEXIST), .. })));
        opened.unpin(&path).unwrap();
        assert!(!path.exists());
        let gone = Map::open_pinned(&path);
        assert!(matches!(gone, Err(Error::Call { errno: Errno(libc::ENOENT), .. })));
        let nowhere = other.pin(std::env::temp_dir().join("rawbpf-no-bpf-file-system"));
        assert!(
            matches!(nowhere, Err(Error::Call { errno: Errno(libc::EPERM), .. })),
            "{nowhere:?}"
        );

        // The kernel changes what it says of some maps; they are the same all the same.
        for (name, spec) in [
            ("lists", MapSpec::lru_hash("lists", 4, 8, 101).with_flags(MapFlags::NO_COMMON_LRU)),
            ("devices", MapSpec::new("devices", MapType::DevMap, 4, 4, 4)),
            ("numa", MapSpec::hash("numa", 4, 8, 8).with_numa_node(0)),
            ("read", MapSpec::array("read", 8, 1).with_flags(MapFlags::RDONLY)),
        ] {
            let path = folder.path().join(name);
            let spec = spec.with_pin(path.to_str().unwrap());
            let first = Map::create(&spec).unwrap();
            let again = Map::create(&spec).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.info().unwrap().id, first.info().unwrap().id);
        }
    })
    .join()
    .unwrap();
}

/// A BPF file system that only this thread sees, gone with it.
fn bpf_file_system() -> Folder {
    let folder = Folder::new();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .unwrap();
    mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
    folder
}

/// An object that is not a map is not taken for one.
#[test]
fn other_objects_are_no_maps() {
    needs!(Bpf);
    use std::os::fd::AsFd;
    let program = Loader::new().load(&SEVEN).unwrap();
    for fd in [
        program.as_fd().try_clone_to_owned().unwrap(),
        std::fs::File::open(Path::new("/dev/null")).unwrap().into(),
    ] {
        assert!(matches!(Map::from_fd(fd), Err(Error::Call { .. })));
    }
    assert!(matches!(Map::open_id(u32::MAX), Err(Error::Call { errno: Errno(libc::ENOENT), .. })));
}

static TEXT: MapSpec = MapSpec::array("text", 3, 1)
    .with_contents(b"abc")
    .with_flags(MapFlags::RDONLY_PROG)
    .with_frozen(true);
static IN_TEXT: ProgramSpec = ProgramSpec::new(
    "in_text",
    ProgramType::SocketFilter,
    bpf! {
        *(u32 *)(r10 - 4) = 0;
        r1 = TEXT ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r0 = *(u8 *)(r0 + 2);
    out:
        exit;
    },
);

#[test]
fn contents_that_nobody_changes() {
    needs!(Bpf);
    let (program, map) = load(&IN_TEXT, &TEXT);
    assert_eq!(run(&program), u32::from(b'c'));
    let array = Array::<[u8; 3]>::of(&map).unwrap();
    let frozen = array.update(0, b"xyz");
    assert!(matches!(frozen, Err(Error::Call { errno: Errno(libc::EPERM), .. })), "{frozen:?}");
    assert_eq!(array.lookup(0).unwrap(), *b"abc");
}

static PLACES: MapSpec = MapSpec::new("places", MapType::InsnArray, 4, 16, 2);

/// The map's values are for the program that is loaded with it: the index of an instruction, before and after. Here
/// they are set and read; jumps through it are not tested.
#[test]
fn places_in_a_program() {
    needs!(Bpf);
    needs_tried!("insn_array", lacks(&PLACES));
    let map = Map::create(&PLACES).unwrap();
    let mut place = [0; 16];
    place[..4].copy_from_slice(&1u32.to_ne_bytes());
    map.update(&1u32.to_ne_bytes(), &place, Update::Any).unwrap();
    assert_eq!(map.lookup(&1u32.to_ne_bytes()).unwrap().unwrap()[..4], place[..4]);
    assert_eq!(FRAME.len(), 64);
}
