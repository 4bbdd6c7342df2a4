//! Types of maps: which version brought each, and the smallest map of it.

use super::row::Yes::{Answers, Done};
use super::row::{Extra, Row, Shape, Test};
use crate::uapi::ENOTSUPP;
use crate::uapi::MapType::{self, *};
use crate::uapi::flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use crate::util::Version;

pub(super) const fn shape(kind: MapType, key: u32, value: u32, entries: u32) -> Shape {
    Shape { kind: kind as u32, key, value, entries, flags: 0, extra: Extra::None }
}

const fn row(
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    of: MapType,
    (key, value, entries): (u32, u32, u32),
) -> Row<MapType> {
    let test = Test::Map(shape(of, key, value, entries));
    Row { of, since: Version::new(major, minor), config, test, yes: Done }
}

const fn with(
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    of: MapType,
    (key, value, entries): (u32, u32, u32),
    flags: u32,
    extra: Extra,
) -> Row<MapType> {
    let mut shape = shape(of, key, value, entries);
    (shape.flags, shape.extra) = (flags, extra);
    Row { of, since: Version::new(major, minor), config, test: Test::Map(shape), yes: Done }
}

/// Memory that belongs to something: its value has a type, and it grows.
const fn storage(since: (u16, u16), config: &'static [&'static str], of: MapType) -> Row<MapType> {
    with(since, config, of, (4, 4, 0), BPF_F_NO_PREALLOC, Extra::Types)
}

/// The size of a ring: a page of any machine.
const RING: u32 = 64 << 10;

const NET: &[&str] = &["CONFIG_NET"];
const SOCKETS: &[&str] = &["CONFIG_NET_SOCK_MSG"];
const CGROUP: &[&str] = &["CONFIG_CGROUP_BPF"];

pub(super) static ROWS: &[Row<MapType>] = &[
    row((3, 19), &[], Hash, (4, 4, 1)),
    row((3, 19), &[], Array, (4, 4, 1)),
    row((4, 2), &[], ProgArray, (4, 4, 1)),
    row((4, 3), &["CONFIG_PERF_EVENTS"], PerfEventArray, (4, 4, 1)),
    row((4, 6), &[], PercpuHash, (4, 4, 1)),
    row((4, 6), &[], PercpuArray, (4, 4, 1)),
    row((4, 6), &["CONFIG_PERF_EVENTS"], StackTrace, (4, 8, 1)),
    row((4, 8), &["CONFIG_CGROUPS"], CgroupArray, (4, 4, 1)),
    row((4, 10), &[], LruHash, (4, 4, 1)),
    row((4, 10), &[], LruPercpuHash, (4, 4, 1)),
    with((4, 11), &[], LpmTrie, (8, 4, 1), BPF_F_NO_PREALLOC, Extra::None),
    with((4, 12), &[], ArrayOfMaps, (4, 4, 1), 0, Extra::Inner),
    with((4, 12), &[], HashOfMaps, (4, 4, 1), 0, Extra::Inner),
    row((4, 14), NET, DevMap, (4, 4, 1)),
    row((4, 14), SOCKETS, SockMap, (4, 4, 1)),
    row((4, 15), NET, CpuMap, (4, 4, 1)),
    row((4, 18), &["CONFIG_XDP_SOCKETS"], XskMap, (4, 4, 1)),
    row((4, 18), SOCKETS, SockHash, (4, 4, 1)),
    row((4, 19), CGROUP, CgroupStorage, (16, 4, 0)),
    row((4, 19), &["CONFIG_INET"], ReuseportSockArray, (4, 4, 1)),
    row((4, 20), CGROUP, PercpuCgroupStorage, (16, 4, 0)),
    row((4, 20), &[], Queue, (0, 4, 1)),
    row((4, 20), &[], Stack, (0, 4, 1)),
    storage((5, 2), NET, SkStorage),
    row((5, 4), NET, DevMapHash, (4, 4, 1)),
    // Type 1 of the kernel's is an integer and no table of functions. The kernel says so if it knows any.
    Row {
        yes: Answers(&[ENOTSUPP]),
        ..with(
            (5, 6),
            &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"],
            StructOps,
            (4, 4, 1),
            0,
            Extra::ValueType(1),
        )
    },
    row((5, 8), &[], RingBuf, (0, 0, RING)),
    storage((5, 10), &["CONFIG_BPF_LSM"], InodeStorage),
    storage((5, 11), &[], TaskStorage),
    row((5, 16), &[], BloomFilter, (0, 4, 1)),
    row((6, 1), &[], UserRingBuf, (0, 0, RING)),
    storage((6, 2), &["CONFIG_CGROUPS"], CgrpStorage),
    with(
        (6, 9),
        &["CONFIG_BPF_JIT", "a JIT with arenas"],
        Arena,
        (0, 0, 1),
        BPF_F_MMAPABLE,
        Extra::None,
    ),
    row((6, 19), &[], InsnArray, (4, 16, 1)),
    with((7, 2), &[], Rhash, (4, 4, 1), BPF_F_NO_PREALLOC, Extra::None),
];
