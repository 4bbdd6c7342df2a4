//! Maps of plain values.

use super::{lacks, load, run};
use crate::common::requires::{Thing, needs, needs_tried};
use proptest::prelude::*;
use rawbpf::kernel::cpu;
use rawbpf::map::{
    Array, BloomFilter, Hash, LpmTrie, Map, PercpuArray, PercpuHash, Prefix, Queue, Stack, Update,
};
use rawbpf::{
    Errno, Error, Loader, MapFlags, MapSpec, MapType, ProgramSpec, ProgramType, SpinLock, bpf,
    plain,
};
use std::collections::HashMap;

/// Adds one to the first 8 bytes of the value of key 1, and returns 1; 0 if there is none.
macro_rules! add_one {
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

/// The same for a hash table of any kind.
fn hash_is_shared<'a>(map: &'a MapSpec<'a>, program: &ProgramSpec<'a, 'a>) {
    let (program, map) = load(program, map);
    let hash = Hash::<u32, u64>::of(&map).unwrap();
    assert_eq!((run(&program), hash.lookup(&1).unwrap()), (0, None));
    hash.update(&1, &41, Update::NoExist).unwrap();
    hash.update(&2, &7, Update::Any).unwrap();
    assert_eq!((run(&program), hash.lookup(&1).unwrap()), (1, Some(42)));

    let exists = hash.update(&1, &0, Update::NoExist);
    assert!(matches!(exists, Err(Error::Call { errno: Errno(libc::EEXIST), .. })), "{exists:?}");
    let missing = hash.update(&9, &0, Update::Exist);
    assert!(matches!(missing, Err(Error::Call { errno: Errno(libc::ENOENT), .. })));

    let mut all: Vec<_> = hash.iter().collect::<Result<_, _>>().unwrap();
    all.sort_unstable();
    assert_eq!(all, [(1, 42), (2, 7)]);
    let mut batch = hash.lookup_batch().unwrap();
    batch.sort_unstable();
    assert_eq!(batch, all);
    let mut keys: Vec<_> = hash.keys().collect::<Result<_, _>>().unwrap();
    keys.sort_unstable();
    assert_eq!(keys, [1, 2]);
    assert!(hash.delete(&2).unwrap());
    assert!(!hash.delete(&2).unwrap());
    assert_eq!(hash.lookup(&2).unwrap(), None);
    hash.clear().unwrap();
    assert_eq!((run(&program), hash.iter().count()), (0, 0));
}

static HASH: MapSpec = Hash::<u32, u64>::spec("hash", 16);
static IN_HASH: ProgramSpec = add_one!("in_hash", HASH);

#[test]
fn a_hash_table() {
    needs!(Bpf);
    hash_is_shared(&HASH, &IN_HASH);
    let info = Map::create(&HASH).unwrap().info().unwrap();
    assert_eq!((info.kind, &*info.name, info.max_entries), (1, "hash", 16));
    assert!(info.btf_id != 0 && info.value_type != 0, "{info:?}");
}

static LRU: MapSpec = Hash::<u32, u64>::lru_spec("lru", 64);
static IN_LRU: ProgramSpec = add_one!("in_lru", LRU);

#[test]
fn an_lru_hash_table() {
    needs!(Bpf);
    hash_is_shared(&LRU, &IN_LRU);
}

static RHASH: MapSpec =
    MapSpec::new("rhash", MapType::Rhash, 4, 8, 16).with_flags(MapFlags::NO_PREALLOC);
static IN_RHASH: ProgramSpec = add_one!("in_rhash", RHASH);

#[test]
fn a_hash_table_that_grows() {
    needs!(Bpf);
    needs_tried!("rhash", lacks(&RHASH));
    hash_is_shared(&RHASH, &IN_RHASH);
}

fn percpu_hash_is_shared<'a>(map: &'a MapSpec<'a>, program: &ProgramSpec<'a, 'a>) {
    let (program, map) = load(program, map);
    let hash = PercpuHash::<u32, u64>::of(&map).unwrap();
    let cpus = cpu::possible().unwrap().len();
    assert_eq!((run(&program), hash.lookup(&1).unwrap()), (0, None));
    let before: Vec<u64> = (0..cpus as u64).map(|cpu| 100 * cpu).collect();
    hash.update(&1, &before, Update::Any).unwrap();
    for _ in 0..5 {
        assert_eq!(run(&program), 1);
    }
    let after = hash.lookup(&1).unwrap().unwrap();
    assert_eq!(after.len(), cpus);
    assert_eq!(after.iter().sum::<u64>(), before.iter().sum::<u64>() + 5);
    assert!(after.iter().zip(&before).all(|(after, before)| after - before <= 5));
    assert_eq!(hash.iter().collect::<Result<Vec<_>, _>>().unwrap(), [(1, after.clone())]);
    assert_eq!(hash.lookup_batch().unwrap(), [(1, after)]);
    let short = hash.update(&1, &before[1..], Update::Any);
    assert!(matches!(short, Err(Error::MapLength { .. })), "{short:?}");
    assert!(hash.delete(&1).unwrap());
    assert_eq!(run(&program), 0);
}

static PERCPU_HASH: MapSpec = PercpuHash::<u32, u64>::spec("percpu_hash", 16);
static IN_PERCPU_HASH: ProgramSpec = add_one!("in_percpu_hash", PERCPU_HASH);

#[test]
fn a_hash_table_for_each_cpu() {
    needs!(Bpf);
    percpu_hash_is_shared(&PERCPU_HASH, &IN_PERCPU_HASH);
}

static LRU_PERCPU: MapSpec = PercpuHash::<u32, u64>::lru_spec("lru_percpu", 64);
static IN_LRU_PERCPU: ProgramSpec = add_one!("in_lru_percpu", LRU_PERCPU);

#[test]
fn an_lru_hash_table_for_each_cpu() {
    needs!(Bpf);
    percpu_hash_is_shared(&LRU_PERCPU, &IN_LRU_PERCPU);
}

static ARRAY: MapSpec = Array::<u64>::spec("array", 3).with_flags(MapFlags::MMAPABLE);
static IN_ARRAY: ProgramSpec = add_one!("in_array", ARRAY);

#[test]
fn an_array() {
    needs!(Bpf);
    let (program, map) = load(&IN_ARRAY, &ARRAY);
    let array = Array::<u64>::of(&map).unwrap();
    array.update(1, &41).unwrap();
    assert_eq!((run(&program), array.lookup(1).unwrap()), (1, 42));
    assert_eq!(array.lookup_all().unwrap(), [0, 42, 0]);
    let beyond = array.lookup(3);
    assert!(matches!(beyond, Err(Error::Call { errno: Errno(libc::ENOENT), .. })), "{beyond:?}");
    let beyond = array.update(3, &1);
    assert!(matches!(beyond, Err(Error::Call { errno: Errno(libc::E2BIG), .. })), "{beyond:?}");
    assert!(array.clear().is_err());
}

#[test]
fn the_memory_of_an_array() {
    needs!(Bpf);
    let (program, map) = load(&IN_ARRAY, &ARRAY);
    let array = Array::<u64>::of(&map).unwrap();
    let memory = array.mmap().unwrap();
    assert!(memory.is_writable() && memory.len() == 3 && !memory.is_empty());
    assert!(memory.set(1, &7));
    assert_eq!((run(&program), memory.get(1), array.lookup(1).unwrap()), (1, Some(8), 8));
    assert_eq!((memory.get(3), memory.set(3, &0)), (None, false));
    // The kernel will not freeze what can be written behind its back.
    let busy = map.freeze();
    assert!(matches!(busy, Err(Error::Call { errno: Errno(libc::EBUSY), .. })), "{busy:?}");
    drop(memory);
    map.freeze().unwrap();
    let frozen = array.update(1, &1);
    assert!(matches!(frozen, Err(Error::Call { errno: Errno(libc::EPERM), .. })), "{frozen:?}");
    let memory = array.mmap().unwrap();
    assert!(!memory.is_writable() && !memory.set(1, &0));
    assert_eq!((run(&program), memory.get(1)), (1, Some(9)));
}

static PERCPU_ARRAY: MapSpec = PercpuArray::<[u32; 3]>::spec("percpu_array", 2);
static IN_PERCPU_ARRAY: ProgramSpec = add_one!("in_percpu_array", PERCPU_ARRAY);

/// Its values are no multiple of 8 bytes: the kernel rounds up.
#[test]
fn an_array_for_each_cpu() {
    needs!(Bpf);
    let (program, map) = load(&IN_PERCPU_ARRAY, &PERCPU_ARRAY);
    let array = PercpuArray::<[u32; 3]>::of(&map).unwrap();
    let cpus = cpu::possible().unwrap().len();
    let before: Vec<_> = (0..cpus as u32).map(|cpu| [10 * cpu, 0, !cpu]).collect();
    array.update(1, &before).unwrap();
    assert_eq!(array.lookup(1).unwrap(), before);
    assert_eq!(run(&program), 1);
    let after = array.lookup(1).unwrap();
    let all = [vec![[0; 3]; cpus], after.clone()];
    let changed: Vec<_> =
        after.iter().zip(&before).filter(|(after, before)| after != before).collect();
    let [(after, before)] = changed[..] else { panic!("{changed:?}") };
    let low = |value: &[u32; 3]| {
        u64::from_ne_bytes(
            [value[0].to_ne_bytes(), value[1].to_ne_bytes()].concat().try_into().unwrap(),
        )
    };
    assert_eq!((low(after), after[2]), (low(before) + 1, before[2]));
    assert_eq!(array.lookup(0).unwrap(), vec![[0; 3]; cpus]);
    assert_eq!(array.lookup_all().unwrap(), all);
    let each: Vec<_> = array.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(each, [(0, all[0].clone()), (1, all[1].clone())]);
}

/// The same map as by `map`, and a view of another shape is refused with what differs.
#[test]
fn a_view_by_its_spec() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let hash: Hash<u32, u64> = loader.view(&HASH).unwrap();
    hash.update(&1, &2, Update::Any).unwrap();
    let value = loader.map(&HASH).unwrap().lookup(&1u32.to_ne_bytes()).unwrap();
    assert_eq!(value, Some(2u64.to_ne_bytes().to_vec()));
    let error = loader.view::<Hash<u64, u64>>(&HASH).unwrap_err();
    assert!(matches!(error, Error::MapView { view: "Hash", field: "key_size", .. }), "{error}");
    let error = loader.view::<Array<u64>>(&HASH).unwrap_err();
    assert!(matches!(error, Error::MapView { view: "Array", field: "kind", .. }), "{error}");
}

/// Sizes on both sides of each boundary between the buffers that keys and values are passed in.
#[test]
fn keys_and_values_of_many_sizes() {
    fn holds<const K: usize, const V: usize>() {
        let map = Map::create(&Hash::<[u8; K], [u8; V]>::spec("sized", 4)).unwrap();
        let hash = Hash::<[u8; K], [u8; V]>::of(&map).unwrap();
        let key = |seed: u8| -> [u8; K] { std::array::from_fn(|i| seed.wrapping_add(i as u8)) };
        let value: [u8; V] = std::array::from_fn(|i| (i * 7) as u8);
        hash.update(&key(1), &value, Update::Any).unwrap();
        hash.update(&key(2), &[9; V], Update::Any).unwrap();
        assert_eq!(map.lookup(&key(1)).unwrap().as_deref(), Some(&value[..]), "{K}, {V}");
        assert_eq!(hash.lookup(&key(1)).unwrap(), Some(value), "{K}, {V}");
        assert_eq!(hash.lookup(&key(3)).unwrap(), None, "{K}, {V}");
        let mut all: Vec<_> = hash.iter().collect::<Result<_, _>>().unwrap();
        all.sort_unstable();
        assert_eq!(all, [(key(1), value), (key(2), [9; V])], "{K}, {V}");
        assert!(hash.delete(&key(2)).unwrap());
        assert_eq!(hash.keys().collect::<Result<Vec<_>, _>>().unwrap(), [key(1)]);
    }
    needs!(Bpf);
    holds::<1, 1>();
    holds::<16, 16>();
    holds::<17, 15>();
    holds::<64, 65>();
    holds::<65, 64>();
    holds::<256, 257>();
    holds::<257, 256>();
    holds::<300, 1024>();
    holds::<300, 1025>();
    holds::<4, 5000>();
}

static TRIE: MapSpec = LpmTrie::<[u8; 4], u64>::spec("trie", 8);
/// Adds one to the value of 10.1.2.3.
static IN_TRIE: ProgramSpec = ProgramSpec::new(
    "in_trie",
    ProgramType::SocketFilter,
    bpf! {
        *(u32 *)(r10 - 8) = 32;
        *(u8 *)(r10 - 4) = 10;
        *(u8 *)(r10 - 3) = 1;
        *(u8 *)(r10 - 2) = 2;
        *(u8 *)(r10 - 1) = 3;
        r1 = TRIE ll;
        r2 = r10;
        r2 += -8;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r1 = *(u64 *)(r0 + 0);
        r1 += 1;
        *(u64 *)(r0 + 0) = r1;
        r0 = 1;
    out:
        exit;
    },
);

#[test]
fn a_trie_of_prefixes() {
    needs!(Bpf);
    let (program, map) = load(&IN_TRIE, &TRIE);
    let trie = LpmTrie::<[u8; 4], u64>::of(&map).unwrap();
    let eight = Prefix { bits: 8, address: [10, 0, 0, 0] };
    let sixteen = Prefix { bits: 16, address: [10, 1, 0, 0] };
    let other = Prefix { bits: 16, address: [10, 2, 0, 0] };
    assert_eq!(run(&program), 0);
    for (prefix, value) in [(&eight, 100), (&sixteen, 200), (&other, 300)] {
        trie.update(prefix, &value, Update::Any).unwrap();
    }
    assert_eq!(run(&program), 1);
    let address = Prefix { bits: 32, address: [10, 1, 9, 9] };
    assert_eq!(trie.lookup(&address).unwrap(), Some(201));
    assert!(trie.delete(&sixteen).unwrap());
    assert_eq!(trie.lookup(&address).unwrap(), Some(100));
    let mut all: Vec<_> = trie.iter().collect::<Result<_, _>>().unwrap();
    all.sort_unstable_by_key(|(_, value)| *value);
    assert_eq!(all, [(eight, 100), (other, 300)]);
    assert_eq!(trie.keys().count(), 2);
}

static QUEUE: MapSpec = Queue::<u64>::spec("queue", 4);
static STACK: MapSpec = Stack::<u64>::spec("stack", 4);

/// Takes one out, and puts it in again, and one more that is larger by one.
macro_rules! pop_and_push {
    ($name:literal, $map:ident) => {
        ProgramSpec::new(
            $name,
            ProgramType::SocketFilter,
            bpf! {
                r1 = $map ll;
                r2 = r10;
                r2 += -8;
                call map_pop_elem;
                if r0 != 0 goto none;
                r1 = $map ll;
                r2 = r10;
                r2 += -8;
                r3 = 0;
                call map_push_elem;
                r1 = *(u64 *)(r10 - 8);
                r1 += 1;
                *(u64 *)(r10 - 8) = r1;
                r1 = $map ll;
                r2 = r10;
                r2 += -8;
                r3 = 0;
                call map_push_elem;
                r0 = 1;
                exit;
            none:
                r0 = 0;
                exit;
            },
        )
    };
}

static IN_QUEUE: ProgramSpec = pop_and_push!("in_queue", QUEUE);
static IN_STACK: ProgramSpec = pop_and_push!("in_stack", STACK);

#[test]
fn a_queue() {
    needs!(Bpf);
    let (program, map) = load(&IN_QUEUE, &QUEUE);
    let queue = Queue::<u64>::of(&map).unwrap();
    assert_eq!((run(&program), queue.peek().unwrap(), queue.pop().unwrap()), (0, None, None));
    queue.push(&10, Update::Any).unwrap();
    queue.push(&20, Update::Any).unwrap();
    assert_eq!((run(&program), queue.peek().unwrap()), (1, Some(20)));
    assert_eq!([(); 4].map(|()| queue.pop().unwrap()), [Some(20), Some(10), Some(11), None]);
    for value in 0..4 {
        queue.push(&value, Update::Any).unwrap();
    }
    let full = queue.push(&4, Update::Any);
    assert!(matches!(full, Err(Error::Call { errno: Errno(libc::E2BIG), .. })), "{full:?}");
    queue.push(&4, Update::Exist).unwrap();
    assert_eq!(queue.pop().unwrap(), Some(1));
    queue.clear().unwrap();
    assert_eq!(queue.pop().unwrap(), None);
}

#[test]
fn a_stack() {
    needs!(Bpf);
    let (program, map) = load(&IN_STACK, &STACK);
    let stack = Stack::<u64>::of(&map).unwrap();
    assert_eq!(run(&program), 0);
    stack.push(&10, Update::Any).unwrap();
    stack.push(&20, Update::Any).unwrap();
    assert_eq!((run(&program), stack.peek().unwrap()), (1, Some(21)));
    assert_eq!([(); 4].map(|()| stack.pop().unwrap()), [Some(21), Some(20), Some(10), None]);
}

static BLOOM: MapSpec = BloomFilter::<u32>::spec("bloom", 100).with_map_extra(3);
/// Puts 9 in, and returns whether 7 may be in.
static IN_BLOOM: ProgramSpec = ProgramSpec::new(
    "in_bloom",
    ProgramType::SocketFilter,
    bpf! {
        *(u32 *)(r10 - 4) = 9;
        r1 = BLOOM ll;
        r2 = r10;
        r2 += -4;
        r3 = 0;
        call map_push_elem;
        *(u32 *)(r10 - 4) = 7;
        r1 = BLOOM ll;
        r2 = r10;
        r2 += -4;
        call map_peek_elem;
        if r0 == 0 goto there;
        r0 = 0;
        exit;
    there:
        r0 = 1;
        exit;
    },
);

#[test]
fn a_bloom_filter() {
    needs!(Bpf);
    needs_tried!("bloom_filter", lacks(&BLOOM));
    let (program, map) = load(&IN_BLOOM, &BLOOM);
    let bloom = BloomFilter::<u32>::of(&map).unwrap();
    assert!(!bloom.may_contain(&9).unwrap());
    assert_eq!(run(&program), 0);
    assert!(bloom.may_contain(&9).unwrap());
    bloom.insert(&7).unwrap();
    assert_eq!((run(&program), map.info().unwrap().map_extra), (1, 3));
}

plain! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(C)]
    struct Locked {
        left: u64,
        right: u64,
        lock: SpinLock,
        rest: u32,
    }
}

static LOCKED: MapSpec = Array::<Locked>::spec("locked", 2);
/// Adds one on the left and takes one away on the right, under the lock.
static IN_LOCKED: ProgramSpec = ProgramSpec::new(
    "in_locked",
    ProgramType::SchedCls,
    bpf! {
        *(u32 *)(r10 - 4) = 1;
        r1 = LOCKED ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r6 = r0;
        r1 = r0;
        r1 += 16;
        call spin_lock;
        r1 = *(u64 *)(r6 + 0);
        r1 += 1;
        *(u64 *)(r6 + 0) = r1;
        r1 = *(u64 *)(r6 + 8);
        r1 += -1;
        *(u64 *)(r6 + 8) = r1;
        r1 = r6;
        r1 += 16;
        call spin_unlock;
        r0 = 1;
    out:
        exit;
    },
);

/// The kernel finds the lock by the types that were sent with the map.
#[test]
fn values_with_a_lock() {
    needs!(Bpf);
    let (program, map) = load(&IN_LOCKED, &LOCKED);
    let value = Locked { left: 1, right: 9, lock: SpinLock::default(), rest: 3 };
    let key = 1u32.to_ne_bytes();
    use rawbpf::Plain;
    map.update_locked(&key, &value.to_bytes(), Update::Any).unwrap();
    assert_eq!(run(&program), 1);
    let read = map.lookup_locked(&key).unwrap().unwrap();
    assert_eq!(Locked::from_bytes(&read), Some(Locked { left: 2, right: 8, ..value }));
}

/// A key or value of another size does not reach the kernel, which would read beyond it.
#[test]
fn lengths_are_checked() {
    needs!(Bpf);
    let map = Map::create(&HASH).unwrap();
    for (key, value) in [(3, 8), (5, 8), (4, 7), (4, 9), (4, 0)] {
        let answer = map.update(&vec![0; key], &vec![0; value], Update::Any);
        assert!(matches!(answer, Err(Error::MapLength { .. })), "{answer:?}");
    }
    assert!(matches!(map.lookup(&[]), Err(Error::MapLength { .. })));
    assert!(matches!(map.delete(&[0; 8]), Err(Error::MapLength { .. })));
    assert!(matches!(map.next_key(Some(&[0; 2])), Err(Error::MapLength { .. })));
    assert!(matches!(map.delete_batch(&[[0u8; 2]]), Err(Error::MapLength { .. })));
    let batch = map.update_batch(&[([0u8; 4], [0u8; 4])]);
    assert!(matches!(batch, Err(Error::MapLength { .. })));
    let view = Hash::<u32, u32>::of(&map).unwrap_err();
    assert_eq!(view.to_string(), "map `hash`: value_size is 8, expected 4 for Hash");
    let view = Array::<u64>::of(&map).unwrap_err();
    assert_eq!(view.to_string(), "map `hash`: kind is hash, expected array for Array");
}

/// Deleting what was just read, or what comes next, does not make the walk endless, and misses nothing that stays.
#[test]
fn a_walk_survives_deletions() {
    needs!(Bpf);
    let hash =
        Hash::<u32, u64>::of(&Map::create(&Hash::<u32, u64>::spec("walk", 1000)).unwrap()).unwrap();
    let all: Vec<_> = (0..1000u32).map(|key| (key, u64::from(key))).collect();
    hash.update_batch(&all).unwrap();
    // Each key that is read is deleted.
    let mut seen = Vec::new();
    for key in hash.keys() {
        let key = key.unwrap();
        assert!(hash.delete(&key).unwrap());
        seen.push(key);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    // Odd ones vanish under the walk.
    hash.update_batch(&all).unwrap();
    let mut odd = (1..1000).step_by(2);
    let mut seen = std::collections::HashSet::new();
    let (mut steps, mut ended) = (0, true);
    for key in hash.keys() {
        steps += 1;
        match key {
            Ok(key) => seen.insert(key),
            Err(Error::MapChanged { .. }) => {
                ended = false;
                break;
            }
            Err(error) => panic!("{error}"),
        };
        if let Some(odd) = odd.next() {
            hash.delete(&odd).unwrap();
        }
    }
    assert!(steps <= 2001);
    assert!(!ended || (0..1000).step_by(2).all(|even| seen.contains(&even)));
    let mut rest = hash.lookup_batch().unwrap();
    rest.sort_unstable();
    assert!(rest.iter().all(|(key, value)| u64::from(*key) == *value));
    assert!(rest.iter().filter(|(key, _)| key % 2 == 0).count() == 500);
}

#[derive(Debug, Clone)]
enum Act {
    Set(u8, u64, u8),
    Get(u8),
    Delete(u8),
    Take(u8),
    SetMany(Vec<(u8, u64)>),
    DeleteMany(Vec<u8>),
    TakeAll,
    Clear,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (any::<u8>(), any::<u64>(), 0..3u8).prop_map(|(k, v, u)| Act::Set(k % 32, v, u)),
        3 => any::<u8>().prop_map(|k| Act::Get(k % 32)),
        3 => any::<u8>().prop_map(|k| Act::Delete(k % 32)),
        2 => any::<u8>().prop_map(|k| Act::Take(k % 32)),
        2 => proptest::collection::vec((0..32u8, any::<u64>()), 0..12).prop_map(Act::SetMany),
        2 => proptest::collection::vec(0..32u8, 0..12).prop_map(Act::DeleteMany),
        1 => Just(Act::TakeAll),
        1 => Just(Act::Clear),
    ]
}

/// The kernel's hash table through this library against the standard library's.
#[test]
fn a_hash_table_is_like_the_standard_one() {
    needs!(Bpf);
    let spec = Hash::<[u8; 3], u64>::spec("model", 64);
    let key = |k: u8| [k, 0, k];
    let probe = Hash::<[u8; 3], u64>::of(&Map::create(&spec).unwrap()).unwrap();
    let takes = !matches!(probe.lookup_and_delete(&key(0)), Err(Error::Unsupported { .. }));
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() };
    proptest!(config, |(acts in proptest::collection::vec(act(), 0..40))| {
        let map = Hash::<[u8; 3], u64>::of(&Map::create(&spec).unwrap()).unwrap();
        let mut model = HashMap::new();
        for act in acts {
            match act {
                Act::Set(k, v, how) => {
                    let there = model.contains_key(&k);
                    let (update, sets) = match how {
                        0 => (Update::Any, true),
                        1 => (Update::NoExist, !there),
                        _ => (Update::Exist, there),
                    };
                    prop_assert_eq!(map.update(&key(k), &v, update).is_ok(), sets);
                    if sets { model.insert(k, v); }
                }
                Act::Get(k) => prop_assert_eq!(map.lookup(&key(k)).unwrap(), model.get(&k).copied()),
                Act::Delete(k) => prop_assert_eq!(map.delete(&key(k)).unwrap(), model.remove(&k).is_some()),
                Act::Take(k) if takes => {
                    prop_assert_eq!(map.lookup_and_delete(&key(k)).unwrap(), model.remove(&k));
                }
                Act::SetMany(some) => {
                    let keyed: Vec<_> = some.iter().map(|(k, v)| (key(*k), *v)).collect();
                    map.update_batch(&keyed).unwrap();
                    model.extend(some);
                }
                Act::DeleteMany(some) => {
                    let keys: Vec<_> = some.iter().map(|k| key(*k)).collect();
                    let count = some.iter().filter(|k| model.remove(k).is_some()).count();
                    prop_assert_eq!(map.delete_batch(&keys).unwrap(), count);
                }
                Act::TakeAll => {
                    let mut taken = map.lookup_and_delete_batch().unwrap();
                    taken.sort_unstable();
                    let mut expected: Vec<_> = model.drain().map(|(k, v)| (key(k), v)).collect();
                    expected.sort_unstable();
                    prop_assert_eq!(taken, expected);
                }
                Act::Clear => { map.clear().unwrap(); model.clear(); }
                Act::Take(_) => {}
            }
        }
        let mut left: Vec<_> = map.iter().collect::<Result<_, _>>().unwrap();
        left.sort_unstable();
        let mut expected: Vec<_> = model.into_iter().map(|(k, v)| (key(k), v)).collect();
        expected.sort_unstable();
        prop_assert_eq!(left, expected);
    });
}
