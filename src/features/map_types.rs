//! Types of maps: the smallest map of each.

use super::row::Yes::{Answers, Done};
use super::row::{Extra, Row, Shape, Test};
use crate::spec::first_map_version as first_version;
use crate::uapi::ENOTSUPP;
use crate::uapi::MapType::{self, *};
use crate::uapi::flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};

pub(super) const fn shape(kind: MapType, key: u32, value: u32, entries: u32) -> Shape {
    Shape { kind: kind as u32, key, value, entries, flags: 0, extra: Extra::None }
}

const fn row(
    config: &'static [&'static str],
    of: MapType,
    (key, value, entries): (u32, u32, u32),
) -> Row<MapType> {
    let test = Test::Map(shape(of, key, value, entries));
    Row { of, since: first_version(of), config, test, yes: Done }
}

const fn with(
    config: &'static [&'static str],
    of: MapType,
    (key, value, entries): (u32, u32, u32),
    flags: u32,
    extra: Extra,
) -> Row<MapType> {
    let mut shape = shape(of, key, value, entries);
    (shape.flags, shape.extra) = (flags, extra);
    Row { of, since: first_version(of), config, test: Test::Map(shape), yes: Done }
}

/// Memory that belongs to something: its value has a type, and it grows.
const fn storage(config: &'static [&'static str], of: MapType) -> Row<MapType> {
    with(config, of, (4, 4, 0), BPF_F_NO_PREALLOC, Extra::Types)
}

/// The size of a ring: a page of any machine.
const RING: u32 = 64 << 10;

const NET: &[&str] = &["CONFIG_NET"];
const SOCKETS: &[&str] = &["CONFIG_NET_SOCK_MSG"];
const CGROUP: &[&str] = &["CONFIG_CGROUP_BPF"];

pub(super) static ROWS: &[Row<MapType>] = &[
    row(&[], Hash, (4, 4, 1)),
    row(&[], Array, (4, 4, 1)),
    row(&[], ProgArray, (4, 4, 1)),
    row(&["CONFIG_PERF_EVENTS"], PerfEventArray, (4, 4, 1)),
    row(&[], PercpuHash, (4, 4, 1)),
    row(&[], PercpuArray, (4, 4, 1)),
    row(&["CONFIG_PERF_EVENTS"], StackTrace, (4, 8, 1)),
    row(&["CONFIG_CGROUPS"], CgroupArray, (4, 4, 1)),
    row(&[], LruHash, (4, 4, 1)),
    row(&[], LruPercpuHash, (4, 4, 1)),
    with(&[], LpmTrie, (8, 4, 1), BPF_F_NO_PREALLOC, Extra::None),
    with(&[], ArrayOfMaps, (4, 4, 1), 0, Extra::Inner),
    with(&[], HashOfMaps, (4, 4, 1), 0, Extra::Inner),
    row(NET, DevMap, (4, 4, 1)),
    row(SOCKETS, SockMap, (4, 4, 1)),
    row(NET, CpuMap, (4, 4, 1)),
    row(&["CONFIG_XDP_SOCKETS"], XskMap, (4, 4, 1)),
    row(SOCKETS, SockHash, (4, 4, 1)),
    row(CGROUP, CgroupStorage, (16, 4, 0)),
    row(&["CONFIG_INET"], ReuseportSockArray, (4, 4, 1)),
    row(CGROUP, PercpuCgroupStorage, (16, 4, 0)),
    row(&[], Queue, (0, 4, 1)),
    row(&[], Stack, (0, 4, 1)),
    storage(NET, SkStorage),
    row(NET, DevMapHash, (4, 4, 1)),
    // Type 1 of the kernel is an integer and no table of functions. A kernel with the type returns an error about that.
    Row {
        yes: Answers(&[ENOTSUPP]),
        ..with(
            &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"],
            StructOps,
            (4, 4, 1),
            0,
            Extra::ValueType(1),
        )
    },
    row(&[], RingBuf, (0, 0, RING)),
    storage(&["CONFIG_BPF_LSM"], InodeStorage),
    storage(&[], TaskStorage),
    row(&[], BloomFilter, (0, 4, 1)),
    row(&[], UserRingBuf, (0, 0, RING)),
    storage(&["CONFIG_CGROUPS"], CgrpStorage),
    with(&["CONFIG_BPF_JIT", "a JIT with arenas"], Arena, (0, 0, 1), BPF_F_MMAPABLE, Extra::None),
    row(&[], InsnArray, (4, 16, 1)),
    with(&[], Rhash, (4, 4, 1), BPF_F_NO_PREALLOC, Extra::None),
];
