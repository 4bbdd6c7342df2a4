//! The kernel's answers to invalid changes: the same number means another thing for another type of map.

use crate::common::requires::{Thing, needs};
use crate::lacks;
use rawbpf::map::{Map, Update};
use rawbpf::{Error, ErrorKind, MapFlags, MapSpec, MapType};

const INNER: MapSpec<'static> = MapSpec::array("inner", 4, 1);

const fn of(kind: MapType) -> MapSpec<'static> {
    MapSpec::new("m", kind, 4, 4, 3)
}

/// A key, a value, when it is set, and what the message says.
type Change = (u32, u32, Update, &'static str);

const BEYOND: &str = "the index is beyond the end";

/// Maps of three elements, but for what cannot be.
#[rustfmt::skip]
const CHANGES: &[(MapSpec<'static>, &[Change])] = &[
    (of(MapType::Array), &[
        (3, 1, Update::Any, BEYOND),
        (u32::MAX, 1, Update::Any, BEYOND),
        (0, 1, Update::NoExist, "all elements of an array exist from the start"),
    ]),
    (of(MapType::PercpuArray), &[(3, 1, Update::Any, BEYOND)]),
    (of(MapType::Hash), &[
        (1, 1, Update::Exist, "there is none"),
        (1, 1, Update::Any, ""),
        (1, 1, Update::NoExist, "there is one"),
        (2, 1, Update::Any, ""),
        (3, 1, Update::Any, ""),
        (4, 1, Update::Any, "it is full"),
    ]),
    (of(MapType::PercpuHash), &[(1, 1, Update::Exist, "there is none")]),
    (MapSpec::lru_hash("m", 4, 4, 3), &[(1, 1, Update::Exist, "there is none")]),
    (of(MapType::ProgArray), &[
        (3, 0, Update::Any, BEYOND),
        (0, u32::MAX, Update::Any, "the value is no descriptor of a program"),
    ]),
    (of(MapType::PerfEventArray), &[
        (3, 0, Update::Any, BEYOND),
        (0, u32::MAX, Update::Any, "the value is no descriptor of a perf event"),
    ]),
    (of(MapType::CgroupArray), &[
        (3, 0, Update::Any, BEYOND),
        (0, u32::MAX, Update::Any, "the value is no descriptor of a control group"),
    ]),
    (MapSpec::array_of_maps("m", 3, &INNER), &[
        (3, 0, Update::Any, BEYOND),
        (0, u32::MAX, Update::Any, "the value is no descriptor of a map"),
    ]),
    (MapSpec::hash_of_maps("m", 4, 3, &INNER), &[
        (0, u32::MAX, Update::Any, "the value is no descriptor of a map"),
    ]),
    (of(MapType::DevMap), &[
        (3, 1, Update::Any, BEYOND),
        (0, i32::MAX as u32, Update::Any, "no network device here has that number"),
    ]),
    (of(MapType::DevMapHash), &[
        (7, i32::MAX as u32, Update::Any, "no network device here has that number"),
    ]),
    (of(MapType::CpuMap), &[(3, 8, Update::Any, BEYOND)]),
    (of(MapType::XskMap), &[
        (3, 0, Update::Any, BEYOND),
        (0, u32::MAX, Update::Any, "the value is no descriptor of a socket"),
    ]),
    (of(MapType::SockMap), &[(0, i32::MAX as u32, Update::Any, "the value is no descriptor of a socket")]),
    (of(MapType::SockHash), &[(0, i32::MAX as u32, Update::Any, "the value is no descriptor of a socket")]),
    (of(MapType::ReuseportSockArray), &[(3, 0, Update::Any, BEYOND)]),
    (of(MapType::StackTrace), &[]),
    (MapSpec::storage::<u32>("m", MapType::TaskStorage), &[
        (u32::MAX, 1, Update::Any, "the key is no descriptor of what the memory belongs to"),
    ]),
    (MapSpec::storage::<u32>("m", MapType::SkStorage), &[
        (u32::MAX, 1, Update::Any, "the key is no descriptor of what the memory belongs to"),
    ]),
];

#[test]
fn a_change_that_cannot_be_says_why() {
    needs!(Root, Bpf);
    let mut tried = 0;
    for (spec, changes) in CHANGES {
        if changes.is_empty() || lacks(spec).is_some() {
            continue;
        }
        let map = Map::create(spec).unwrap();
        for (key, value, update, words) in *changes {
            let value = value.to_ne_bytes();
            let mut bytes = value.to_vec();
            // One for each CPU, in words of eight bytes.
            bytes.resize(map.value_len().unwrap(), 0);
            let done = map.update(&key.to_ne_bytes(), &bytes, *update);
            match words.is_empty() {
                true => done.unwrap(),
                false => {
                    let error = done.unwrap_err();
                    let fits = matches!(&error, Error::Call { note: Some(note), .. } if note.contains(words));
                    assert!(fits, "{}, key {key}: {error}", spec.kind);
                }
            }
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}

#[test]
fn what_cannot_be_deleted_says_why() {
    needs!(Root, Bpf);
    let map = Map::create(&MapSpec::array("m", 4, 3)).unwrap();
    let error = map.delete(&0u32.to_ne_bytes()).unwrap_err().to_string();
    assert!(error.contains("elements of an array cannot be deleted"), "{error}");
    let map = Map::create(&of(MapType::ProgArray)).unwrap();
    let error = map.delete(&3u32.to_ne_bytes()).unwrap_err().to_string();
    assert!(error.contains(BEYOND), "{error}");
}

/// A tree that is full has a number of its own.
#[test]
fn a_full_tree_and_a_full_queue_say_so() {
    needs!(Root, Bpf);
    let tree = Map::create(&MapSpec::lpm_trie("m", 8, 4, 1)).unwrap();
    let key = |bits: u32, address: u32| [bits.to_ne_bytes(), address.to_ne_bytes()].concat();
    let value = 1u32.to_ne_bytes();
    tree.update(&key(32, 1), &value, Update::Any).unwrap();
    let full = tree.update(&key(32, 2), &value, Update::Any).unwrap_err().to_string();
    assert!(full.contains("it is full"), "{full}");
    let long = tree.update(&key(33, 2), &value, Update::Any).unwrap_err().to_string();
    assert!(long.contains("longer than the key"), "{long}");
    for spec in [MapSpec::queue("m", 4, 1), MapSpec::stack("m", 4, 1)] {
        let map = Map::create(&spec).unwrap();
        map.update(&[], &value, Update::Any).unwrap();
        let full = map.update(&[], &value, Update::Any).unwrap_err().to_string();
        assert!(full.contains("it is full"), "{full}");
    }
}

/// Flags that are not known here are the kernel's to judge; what it does not take is named.
#[test]
fn flags_are_judged_by_the_kernel() {
    needs!(Root, Bpf);
    for (spec, words) in [
        (
            MapSpec::hash("m", 4, 4, 3).with_flags(MapFlags::from_bits_retain(1 << 25)),
            "unsupported flags 0x2000000",
        ),
        (
            MapSpec::hash("m", 4, 4, 3).with_flags(MapFlags::from_bits_retain(1 << 31 | 1)),
            "unsupported flags 0x80000000",
        ),
        (
            MapSpec::hash("m", 4, 4, 3).with_flags(MapFlags::STACK_BUILD_ID),
            "unsupported flags 0x20",
        ),
        (MapSpec::percpu_hash("m", 4, 4, 3).with_numa_node(0), "unsupported flags 0x4"),
    ] {
        let error = Map::create(&spec).unwrap_err();
        assert!(matches!(error, Error::CreateMap { lacks: Some(_), .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
