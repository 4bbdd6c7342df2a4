//! Looking up an element of a map, beside aya:
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --features maps --bin maps`, as root.
//!
//! Batches of lookups in one hash table, by a bare `bpf(2)`, by rawbpf and by aya in turn, so that a noisy machine is noisy to
//! all.

use aya::Pod;
use aya::maps::{HashMap, Map as AyaMap, MapData};
use rawbpf::map::{Hash, Update};
use rawbpf::{Map, Plain};
use std::hint::black_box;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

const ROUNDS: usize = 2001;
const BATCH: u64 = 500;
const ENTRIES: u32 = 1024;
const WAYS: [&str; 3] = ["bare `bpf(2)`", "rawbpf", "aya"];

type Error = Box<dyn std::error::Error>;
type Result<T = ()> = std::result::Result<T, Error>;

/// `union bpf_attr` for one element.
#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `BPF_MAP_LOOKUP_ELEM` and nothing else.
fn bare<K, V: Default>(map: BorrowedFd<'_>, key: &K) -> Result<V> {
    let mut value = V::default();
    let mut attr = Element {
        map_fd: map.as_raw_fd() as u32,
        pad: 0,
        key: std::ptr::from_ref(key) as u64,
        value: std::ptr::from_mut(&mut value) as u64,
        flags: 0,
    };
    // SAFETY: the map was made for keys and values of these types, integers and arrays of them, and both outlive the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, 1, std::ptr::from_mut(&mut attr), size_of::<Element>())
    };
    if answer == 0 { Ok(value) } else { Err(std::io::Error::last_os_error().into()) }
}

/// The time of one lookup, in nanoseconds. It is compiled into the loop.
#[inline(never)]
fn time<K, V>(keys: &[K], lookup: impl Fn(&K) -> Result<V>) -> Result<f64> {
    let start = Instant::now();
    for key in keys {
        black_box(lookup(black_box(key))?);
    }
    Ok(start.elapsed().as_nanos() as f64 / keys.len() as f64)
}

fn measure<K, V>(key: fn(u64) -> K, value: fn(u64) -> V) -> Result
where
    K: Plain + Pod,
    V: Plain + Pod + Default + PartialEq,
{
    let map = Map::create(&Hash::<K, V>::spec("lookups", ENTRIES))?;
    let ours = Hash::<K, V>::of(&map)?;
    for i in 0..u64::from(ENTRIES) {
        ours.update(&key(i), &value(i), Update::Any)?;
    }
    let theirs = AyaMap::HashMap(MapData::from_fd(map.as_fd().try_clone_to_owned()?)?);
    let theirs = HashMap::<_, K, V>::try_from(theirs)?;
    let keys: Vec<K> = (0..BATCH).map(|i| key(i * 7 % u64::from(ENTRIES))).collect();
    for (i, key) in (0..BATCH).map(|i| i * 7 % u64::from(ENTRIES)).zip(&keys) {
        let all = [Some(bare(map.as_fd(), key)?), ours.lookup(key)?, Some(theirs.get(key, 0)?)];
        if all != [Some(value(i)); 3] {
            return Err(format!("element {i} is not the same to all").into());
        }
    }
    let mut times = WAYS.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        times[0].push(time(&keys, |key| bare::<K, V>(map.as_fd(), key))?);
        times[1].push(time(&keys, |key| Ok(ours.lookup(key)?))?);
        times[2].push(time(&keys, |key| Ok(theirs.get(key, 0)?))?);
    }
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    for (name, median) in WAYS.iter().zip(medians) {
        let (key, value, beside) = (K::SIZE, V::SIZE, median / medians[0]);
        println!("| {key} | {value} | {name} | {median:.0} | {beside:.3} |");
    }
    Ok(())
}

fn main() -> Result {
    println!(
        "One lookup in a hash table of {ENTRIES}, {ROUNDS} rounds of {BATCH} in turn, medians"
    );
    println!();
    println!("| key | value | | ns | beside the bare call |");
    println!("|---|---|---|---|---|");
    measure::<u32, u64>(|i| i as u32, |i| i * 3)?;
    measure::<[u64; 5], [u64; 4]>(|i| [i; 5], |i| [i, i * 3, 0, 1])
}
