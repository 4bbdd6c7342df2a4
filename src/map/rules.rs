//! The kernel's requirements on a map of each type, checked before it is asked: its own answer is `EINVAL` and no more.
//!
//! The rules are those of the `map_alloc_check` functions in `kernel/bpf/` and `net/`, as of Linux 7.3, as far as all
//! kernels that have the type agree on them; what depends on the kernel is left to it.

use crate::error::{Error, Result};
use crate::ring::page_size;
use crate::spec::MapSpec;
use crate::uapi::MapType;
use crate::uapi::flags::{
    BPF_F_CLONE, BPF_F_INNER_MAP, BPF_F_LINK, BPF_F_MMAPABLE, BPF_F_NO_COMMON_LRU,
    BPF_F_NO_PREALLOC, BPF_F_NO_USER_CONV, BPF_F_NUMA_NODE, BPF_F_PRESERVE_ELEMS,
    BPF_F_RB_OVERWRITE, BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_SEGV_ON_FAULT, BPF_F_STACK_BUILD_ID,
    BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED,
};

/// The constraint on a size.
#[derive(Debug, Clone, Copy)]
enum Size {
    /// Not 0.
    Some,
    /// 0: there is none.
    None,
    /// One of these.
    Of(&'static [u32]),
    /// From the first to the second.
    Within(u32, u32),
    /// A multiple, not 0.
    Times(u32),
}

/// The constraint on the number of entries.
#[derive(Debug, Clone, Copy)]
enum Entries {
    /// Not 0.
    Some,
    /// 0: there is no limit.
    None,
    /// 0 means one for each CPU.
    Cpus,
    /// Just one.
    One,
    /// Bytes of a ring.
    Ring,
}

struct Rule {
    kind: MapType,
    key: Size,
    value: Size,
    entries: Entries,
    /// The flags that Linux 7.3 takes. A newer one may take others.
    allowed: u32,
    /// The flags it must have.
    demanded: u32,
}

const fn rule(kind: MapType, key: Size, value: Size, entries: Entries, allowed: u32) -> Rule {
    Rule { kind, key, value, entries, allowed, demanded: 0 }
}

impl Rule {
    const fn demands(mut self, flags: u32) -> Rule {
        self.demanded = flags;
        self.allowed |= flags;
        self
    }
}

const INDEX: Size = Size::Of(&[4]);
const DESCRIPTOR: Size = Size::Of(&[4]);
const SOCKET: Size = Size::Of(&[4, 8]);
/// Rights of system calls.
const CALLS: u32 = BPF_F_RDONLY | BPF_F_WRONLY;
/// Rights of system calls and programs.
const ACCESS: u32 = CALLS | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
const NUMA: u32 = BPF_F_NUMA_NODE;
const HASH: u32 = BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED | NUMA | ACCESS;

#[rustfmt::skip]
const RULES: &[Rule] = &[
    rule(MapType::Hash, Size::Some, Size::Some, Entries::Some, HASH),
    rule(MapType::Array, INDEX, Size::Some, Entries::Some, NUMA | ACCESS | BPF_F_MMAPABLE | BPF_F_INNER_MAP),
    rule(MapType::ProgArray, INDEX, DESCRIPTOR, Entries::Some, NUMA | CALLS),
    rule(MapType::PerfEventArray, INDEX, DESCRIPTOR, Entries::Cpus, NUMA | CALLS | BPF_F_PRESERVE_ELEMS),
    rule(MapType::PercpuHash, Size::Some, Size::Some, Entries::Some, HASH & !NUMA),
    rule(MapType::PercpuArray, INDEX, Size::Some, Entries::Some, ACCESS),
    rule(MapType::StackTrace, INDEX, Size::Times(8), Entries::Some, NUMA | CALLS | BPF_F_STACK_BUILD_ID),
    rule(MapType::CgroupArray, INDEX, DESCRIPTOR, Entries::Some, NUMA | CALLS),
    rule(MapType::LruHash, Size::Some, Size::Some, Entries::Some, HASH & !BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU),
    rule(MapType::LruPercpuHash, Size::Some, Size::Some, Entries::Some,
        HASH & !BPF_F_NO_PREALLOC & !NUMA | BPF_F_NO_COMMON_LRU),
    rule(MapType::LpmTrie, Size::Within(5, 260), Size::Some, Entries::Some, NUMA | ACCESS).demands(BPF_F_NO_PREALLOC),
    rule(MapType::ArrayOfMaps, INDEX, DESCRIPTOR, Entries::Some, NUMA | CALLS),
    rule(MapType::HashOfMaps, Size::Some, DESCRIPTOR, Entries::Some, HASH),
    rule(MapType::DevMap, INDEX, SOCKET, Entries::Some, NUMA | CALLS),
    rule(MapType::SockMap, INDEX, SOCKET, Entries::Some, NUMA | CALLS),
    rule(MapType::CpuMap, INDEX, SOCKET, Entries::Some, NUMA),
    rule(MapType::XskMap, INDEX, DESCRIPTOR, Entries::Some, NUMA | CALLS),
    rule(MapType::SockHash, Size::Within(1, 512), SOCKET, Entries::Some, NUMA | CALLS),
    rule(MapType::CgroupStorage, Size::Of(&[8, 16]), Size::Some, Entries::None, NUMA | ACCESS),
    rule(MapType::ReuseportSockArray, INDEX, SOCKET, Entries::Some, NUMA | ACCESS),
    rule(MapType::PercpuCgroupStorage, Size::Of(&[8, 16]), Size::Some, Entries::None, NUMA | ACCESS),
    rule(MapType::Queue, Size::None, Size::Some, Entries::Some, NUMA | ACCESS),
    rule(MapType::Stack, Size::None, Size::Some, Entries::Some, NUMA | ACCESS),
    rule(MapType::SkStorage, INDEX, Size::Some, Entries::None, BPF_F_CLONE).demands(BPF_F_NO_PREALLOC),
    rule(MapType::DevMapHash, INDEX, SOCKET, Entries::Some, NUMA | CALLS),
    rule(MapType::StructOps, INDEX, Size::None, Entries::One, BPF_F_LINK),
    rule(MapType::RingBuf, Size::None, Size::None, Entries::Ring, NUMA | BPF_F_RB_OVERWRITE),
    rule(MapType::InodeStorage, INDEX, Size::Some, Entries::None, BPF_F_CLONE).demands(BPF_F_NO_PREALLOC),
    rule(MapType::TaskStorage, INDEX, Size::Some, Entries::None, BPF_F_CLONE).demands(BPF_F_NO_PREALLOC),
    rule(MapType::BloomFilter, Size::None, Size::Some, Entries::Some, NUMA | BPF_F_ZERO_SEED | ACCESS),
    rule(MapType::UserRingBuf, Size::None, Size::None, Entries::Ring, NUMA),
    rule(MapType::CgrpStorage, INDEX, Size::Some, Entries::None, BPF_F_CLONE).demands(BPF_F_NO_PREALLOC),
    rule(MapType::Arena, Size::None, Size::None, Entries::Some, BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV)
        .demands(BPF_F_MMAPABLE),
    rule(MapType::InsnArray, INDEX, Size::Of(&[16]), Entries::Some, 0),
    rule(MapType::Rhash, Size::Some, Size::Some, Entries::Some, HASH).demands(BPF_F_NO_PREALLOC),
];

/// Whether it has one value for each CPU.
pub(super) const fn is_percpu(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::PercpuHash
            | MapType::PercpuArray
            | MapType::LruPercpuHash
            | MapType::PercpuCgroupStorage
    )
}

/// Whether its values are maps.
pub(super) const fn is_of_maps(kind: MapType) -> bool {
    matches!(kind, MapType::ArrayOfMaps | MapType::HashOfMaps)
}

/// Whether it belongs to objects of the kernel and has to have types.
pub(super) const fn is_storage(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage
    )
}

/// Whether the kernel takes types for keys and values of it: of others libbpf sends none.
pub(super) const fn takes_types(kind: MapType) -> bool {
    !matches!(
        kind,
        MapType::PerfEventArray
            | MapType::CgroupArray
            | MapType::StackTrace
            | MapType::ArrayOfMaps
            | MapType::HashOfMaps
            | MapType::DevMap
            | MapType::DevMapHash
            | MapType::CpuMap
            | MapType::XskMap
            | MapType::SockMap
            | MapType::SockHash
            | MapType::Queue
            | MapType::Stack
            | MapType::Arena
            | MapType::RingBuf
            | MapType::UserRingBuf
    )
}

/// Returns the flags that a type of map can have as far as is known here: whether the kernel supports others shows when
/// the map is created.
pub(super) fn usual_flags(kind: MapType) -> u32 {
    RULES.iter().find(|rule| rule.kind == kind).map_or(0, |rule| rule.allowed)
}

/// Refuses what every kernel would, those to come included: flags that are not known here are theirs to judge.
pub(super) fn check(spec: &MapSpec<'_>) -> Result<()> {
    let wrong = |field, value: String, rule: String| Error::MapField {
        map: spec.name.into(),
        kind: spec.kind,
        field,
        value,
        rule,
    };
    for (field, text) in [("name", Some(spec.name)), ("pin", spec.pin)] {
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(wrong(
                field,
                format!("{text:?}", text = text.unwrap_or_default()),
                "it cannot hold a NUL byte".into(),
            ));
        }
    }
    // The table has them all, as a test checks.
    let Some(rule) = RULES.iter().find(|rule| rule.kind == spec.kind) else { return Ok(()) };
    for (field, size, value) in
        [("key_size", rule.key, spec.key_size), ("value_size", rule.value, spec.value_size)]
    {
        if let Some(rule) = broken_size(size, value) {
            return Err(wrong(field, value.to_string(), rule));
        }
    }
    if let Some(rule) = broken_entries(rule.entries, spec.max_entries) {
        return Err(wrong("max_entries", spec.max_entries.to_string(), rule));
    }
    check_flags(spec, rule).map_err(|rule| wrong("flags", format!("{:#x}", spec.flags), rule))?;
    if let Some(rule) = broken_extra(spec) {
        return Err(wrong("map_extra", format!("{:#x}", spec.map_extra), rule.into()));
    }
    if let Some((value, rule)) = broken_inner(spec) {
        return Err(wrong("inner", value, rule.into()));
    }
    if let Some(contents) = spec.contents {
        let one = spec.kind == MapType::Array && spec.max_entries == 1;
        if !one || contents.len() != spec.value_size as usize {
            let value = format!("{} bytes", contents.len());
            return Err(wrong(
                "contents",
                value,
                "they are the one value of an array, and as long".into(),
            ));
        }
    }
    check_types(spec).map_err(|(value, rule)| wrong("types", value, rule))?;
    match (spec.kind == MapType::StructOps, spec.table) {
        (true, None) => {
            Err(wrong("table", "none".into(), "it is the struct whose functions it holds".into()))
        }
        (false, Some(table)) => {
            Err(wrong("table", format!("`{table}`"), "only a struct_ops map has one".into()))
        }
        (true, Some(table)) if spec.find_table.is_none() => Err(wrong(
            "kind",
            format!("struct_ops of `{table}`"),
            "make the spec with MapSpec::struct_ops".into(),
        )),
        _ => Ok(()),
    }
}

fn broken_size(size: Size, value: u32) -> Option<String> {
    let (fits, rule) = match size {
        Size::Some => (value > 0, "it cannot be 0".into()),
        Size::None => (value == 0, "it has to be 0".into()),
        Size::Of([one]) => (value == *one, format!("it has to be {one}")),
        Size::Of(some) => {
            let words: Vec<_> = some.iter().map(u32::to_string).collect();
            (some.contains(&value), format!("it has to be {}", words.join(" or ")))
        }
        Size::Within(least, most) => {
            ((least..=most).contains(&value), format!("it has to be from {least} to {most}"))
        }
        Size::Times(unit) => {
            (value > 0 && value.is_multiple_of(unit), format!("it has to be a multiple of {unit}"))
        }
    };
    (!fits).then_some(rule)
}

fn broken_entries(entries: Entries, value: u32) -> Option<String> {
    let page = page_size();
    let (fits, rule) = match entries {
        Entries::Some => (value > 0, "it cannot be 0".into()),
        Entries::None => (value == 0, "it has to be 0: there is no limit".into()),
        Entries::Cpus => (true, String::new()),
        Entries::One => (value == 1, "it has to be 1".into()),
        Entries::Ring => (
            value.is_power_of_two() && value as usize >= page,
            format!("it has to be a power of two and whole pages of {page} bytes"),
        ),
    };
    (!fits).then_some(rule)
}

fn check_flags(spec: &MapSpec<'_>, rule: &Rule) -> Result<(), String> {
    let flags = spec.flags.bits();
    let missing = rule.demanded & !flags;
    if missing != 0 {
        return Err(format!("this type has to have {missing:#x}"));
    }
    for both in [BPF_F_RDONLY | BPF_F_WRONLY, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG] {
        if flags & both == both {
            return Err(format!("read-only and write-only ({both:#x}) exclude each other"));
        }
    }
    if spec.kind == MapType::LruHash && flags & BPF_F_NO_COMMON_LRU != 0 {
        let numa = flags & NUMA != 0 || spec.numa_node.is_some();
        if numa {
            return Err("a list for each CPU and a NUMA node exclude each other".into());
        }
    }
    let build_ids = spec.kind == MapType::StackTrace && flags & BPF_F_STACK_BUILD_ID != 0;
    if build_ids && !spec.value_size.is_multiple_of(32) {
        return Err(
            "value_size has to be a multiple of 32, the size of a build id and its offset".into()
        );
    }
    Ok(())
}

fn broken_extra(spec: &MapSpec<'_>) -> Option<&'static str> {
    match spec.kind {
        // `rhashtable`'s hint of its size has the upper half; what else there may come is the kernel's.
        MapType::Rhash => None,
        MapType::BloomFilter => {
            (spec.map_extra > 15).then_some("it is the number of hash functions, 15 at most")
        }
        MapType::Arena => (!spec.map_extra.is_multiple_of(page_size() as u64))
            .then_some("it is the address of the arena, the start of a page"),
        // A newer kernel may know what it is of other types.
        _ => None,
    }
}

fn broken_inner(spec: &MapSpec<'_>) -> Option<(String, &'static str)> {
    match (is_of_maps(spec.kind), spec.inner) {
        (true, None) => {
            Some(("none".into(), "a map of maps needs one that says what they are like"))
        }
        (false, Some(inner)) => Some((format!("`{}`", inner.name), "only a map of maps has one")),
        // bpf_map_meta_alloc(): they hold what is checked when a program is loaded, before it knows the map.
        (true, Some(inner)) => matches!(
            inner.kind,
            MapType::ArrayOfMaps
                | MapType::HashOfMaps
                | MapType::ProgArray
                | MapType::CgroupStorage
                | MapType::PercpuCgroupStorage
                | MapType::StructOps
        )
        .then(|| (inner.kind.to_string(), "maps of this type cannot be in a map")),
        (false, None) => None,
    }
}

fn check_types(spec: &MapSpec<'_>) -> Result<(), (String, String)> {
    let of_object = spec.object.is_some_and(|object| object.value_type != 0);
    let Some((key, value)) = &spec.types else {
        return if is_storage(spec.kind) && !of_object {
            Err((
                "none".into(),
                "storage needs those of its key and value: MapSpec::with_types".into(),
            ))
        } else {
            Ok(())
        };
    };
    for (what, desc, size) in [("key", key, spec.key_size), ("value", value, spec.value_size)] {
        if desc.size() != size {
            return Err((
                format!("a {what} of {} bytes", desc.size()),
                format!("the map's {what} has {size}"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{implied_flags, implied_sizes};
    use crate::uapi::MapFlags;

    #[test]
    fn every_type_has_one_rule() {
        let ruled: Vec<_> = RULES.iter().map(|rule| rule.kind).collect();
        assert_eq!(ruled, MapType::ALL);
    }

    const INNER: MapSpec<'static> = MapSpec::array("inner", 8, 1);
    const NESTED: MapSpec<'static> = MapSpec::array_of_maps("nested", 1, &INNER);

    /// The invalid field, and the message about it. The rules are the kernel's own checks.
    #[rustfmt::skip]
    const WRONG: &[(MapSpec<'static>, &str, &str, &str)] = &[
        (MapSpec::hash("m", 0, 8, 1), "key_size", "0", "cannot be 0"),
        (MapSpec::hash("m", 4, 0, 1), "value_size", "0", "cannot be 0"),
        (MapSpec::hash("m", 4, 8, 0), "max_entries", "0", "cannot be 0"),
        (MapSpec::new("m", MapType::Array, 8, 8, 1), "key_size", "8", "has to be 4"),
        (MapSpec::new("m", MapType::PercpuArray, 2, 8, 1), "key_size", "2", "has to be 4"),
        (MapSpec::new("m", MapType::ProgArray, 4, 8, 1), "value_size", "8", "has to be 4"),
        (MapSpec::new("m", MapType::StackTrace, 4, 12, 1), "value_size", "12", "multiple of 8"),
        (MapSpec::stack_trace("m", 127, 1).with_flags(MapFlags::from_bits_retain(1 << 5)), "flags", "0x20", "multiple of 32"),
        (MapSpec::lpm_trie("m", 4, 8, 1), "key_size", "4", "from 5 to 260"),
        (MapSpec::lpm_trie("m", 261, 8, 1), "key_size", "261", "from 5 to 260"),
        (MapSpec::lpm_trie("m", 8, 8, 1).with_flags(MapFlags::from_bits_retain(0)), "flags", "0x0", "has to have 0x1"),
        (MapSpec::new("m", MapType::Queue, 4, 8, 1), "key_size", "4", "has to be 0"),
        (MapSpec::new("m", MapType::BloomFilter, 4, 8, 1), "key_size", "4", "has to be 0"),
        (MapSpec::bloom_filter("m", 4, 8).with_map_extra(16), "map_extra", "0x10", "15 at most"),
        (MapSpec::ring_buffer("m", 5000), "max_entries", "5000", "power of two"),
        (MapSpec::ring_buffer("m", 2048), "max_entries", "2048", "whole pages"),
        (MapSpec::user_ring_buffer("m", 0), "max_entries", "0", "whole pages"),
        (MapSpec::new("m", MapType::RingBuf, 0, 4, 4096), "value_size", "4", "has to be 0"),
        (MapSpec::new("m", MapType::DevMap, 4, 6, 4), "value_size", "6", "4 or 8"),
        (MapSpec::new("m", MapType::XskMap, 4, 8, 4), "value_size", "8", "has to be 4"),
        (MapSpec::new("m", MapType::SockHash, 513, 4, 4), "key_size", "513", "from 1 to 512"),
        (MapSpec::new("m", MapType::CgroupStorage, 16, 8, 1), "max_entries", "1", "has to be 0"),
        (MapSpec::storage::<u64>("m", MapType::TaskStorage).with_flags(MapFlags::from_bits_retain(0)), "flags", "0x0", "has to have 0x1"),
        (MapSpec::new("m", MapType::SkStorage, 4, 8, 0).with_flags(MapFlags::from_bits_retain(1)), "types", "none", "with_types"),
        (MapSpec::new("m", MapType::SkStorage, 4, 8, 9).with_flags(MapFlags::from_bits_retain(1)), "max_entries", "9", "has to be 0"),
        (MapSpec::new("m", MapType::InsnArray, 4, 8, 9), "value_size", "8", "has to be 16"),
        (MapSpec::arena("m", 1).with_flags(MapFlags::from_bits_retain(0)), "flags", "0x0", "has to have 0x400"),
        (MapSpec::arena("m", 1).with_map_extra(1), "map_extra", "0x1", "start of a page"),
        (MapSpec::array("m", 4, 1).with_flags(MapFlags::from_bits_retain(0x180)), "flags", "0x180", "exclude each other"),
        (MapSpec::lru_hash("m", 4, 4, 1).with_flags(MapFlags::from_bits_retain(2)).with_numa_node(0), "flags", "0x2", "exclude"),
        (MapSpec::new("m", MapType::HashOfMaps, 4, 4, 1), "inner", "none", "needs one"),
        (MapSpec::hash("m", 4, 4, 1).with_inner(&INNER), "inner", "`inner`", "only a map of maps"),
        (MapSpec::array_of_maps("m", 1, &NESTED), "inner", "array_of_maps", "cannot be in a map"),
        (MapSpec::array("m", 4, 2).with_contents(b"abcd"), "contents", "4 bytes", "one value of an array"),
        (MapSpec::array("m", 4, 1).with_contents(b"abc"), "contents", "3 bytes", "as long"),
        (MapSpec::hash("m", 4, 4, 1).with_types::<u32, u64>(), "types", "a value of 8 bytes", "value has 4"),
        (MapSpec::new("m", MapType::StructOps, 4, 0, 1), "table", "none", "the struct whose functions"),
        (MapSpec { table: Some("t"), ..MapSpec::hash("m", 4, 4, 1) }, "table", "`t`", "only a struct_ops map"),
        (MapSpec { value_size: 8, ..MapSpec::struct_ops("m", "t") }, "value_size", "8", "has to be 0"),
        (MapSpec::hash("a\0b", 4, 4, 1), "name", "\"a\\0b\"", "NUL byte"),
        (MapSpec::hash("m", 4, 4, 1).with_pin("/a\0"), "pin", "\"/a\\0\"", "NUL byte"),
    ];

    #[test]
    fn what_no_kernel_takes_is_refused_by_field_and_rule() {
        for (spec, blamed, said, words) in WRONG {
            let Err(Error::MapField { field, value, rule, .. }) = check(spec) else {
                panic!("{spec:?} is thought to be right")
            };
            assert_eq!((field, &*value), (*blamed, *said), "{spec:?}");
            assert!(rule.contains(words), "{spec:?}: {rule}");
        }
        let error = check(&MapSpec::ring_buffer("events", 5000)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(
                "map `events` (ringbuf): max_entries is 5000: it has to be a power of two"
            ),
            "{text}"
        );
    }

    /// A text may leave out exactly the attributes for which every kernel takes one value only: the table of rules,
    /// read the other way.
    #[test]
    fn what_a_type_implies_is_its_rule() {
        let only = |size| match size {
            Size::None => Some(0),
            Size::Of(sizes) => sizes.first().copied(),
            Size::Some | Size::Within(..) | Size::Times(_) => None,
        };
        for rule in RULES {
            let storage = matches!(rule.key, Size::Of(&[8, 16]));
            let expected = (only(rule.key).filter(|_| !storage), only(rule.value));
            assert_eq!(implied_sizes(rule.kind), expected, "{}", rule.kind);
            assert_eq!(implied_flags(rule.kind).bits(), rule.demanded, "{}", rule.kind);
        }
    }

    /// Flags of the next kernel, and those of today's for other types, are the kernel's to judge.
    #[test]
    fn flags_that_are_not_known_are_for_the_kernel() {
        for rule in RULES {
            for flag in (20..32).map(|bit| 1 << bit) {
                let spec = MapSpec {
                    flags: MapFlags::from_bits_retain(rule.demanded | flag),
                    ..MapSpec::hash("m", 4, 4, 1)
                };
                assert_eq!(check_flags(&spec, rule), Ok(()), "{}: {flag:#x}", rule.kind);
            }
        }
        for spec in [
            MapSpec::hash("m", 4, 4, 1).with_flags(MapFlags::from_bits_retain(BPF_F_MMAPABLE)),
            MapSpec::hash("m", 4, 4, 1).with_map_extra(1),
            MapSpec::percpu_hash("m", 4, 4, 1).with_numa_node(0),
        ] {
            check(&spec).unwrap();
        }
    }

    #[test]
    fn what_the_constructors_make_is_right() {
        let specs = [
            MapSpec::hash("m", 4, 8, 1),
            MapSpec::array("m", 3, 1)
                .with_contents(b"abc")
                .with_flags(MapFlags::from_bits_retain(BPF_F_RDONLY_PROG)),
            MapSpec::prog_array("m", 1),
            MapSpec::perf_event_array("m"),
            MapSpec::percpu_hash("m", 4, 3, 1),
            MapSpec::percpu_array("m", 3, 1),
            MapSpec::stack_trace("m", 127, 1),
            MapSpec::lru_hash("m", 4, 8, 1).with_numa_node(0),
            MapSpec::lru_percpu_hash("m", 4, 8, 1),
            MapSpec::lpm_trie("m", 8, 8, 1),
            MapSpec::array_of_maps("m", 1, &INNER),
            MapSpec::hash_of_maps("m", 4, 1, &INNER),
            MapSpec::queue("m", 8, 1),
            MapSpec::stack("m", 8, 1),
            MapSpec::ring_buffer("m", 1 << 16),
            MapSpec::user_ring_buffer("m", 1 << 16),
            MapSpec::bloom_filter("m", 8, 1).with_map_extra(15),
            MapSpec::arena("m", 1).with_map_extra(1 << 32),
            MapSpec::storage::<u64>("m", MapType::InodeStorage),
            MapSpec::struct_ops("m", "tcp_congestion_ops")
                .with_flags(MapFlags::from_bits_retain(BPF_F_LINK)),
        ];
        for spec in &specs {
            check(spec).unwrap();
        }
    }
}
