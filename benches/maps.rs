//! Looking up an element of a map: a bare `bpf(2)`, and this crate's ways, in turn.
//!
//! `cargo bench --bench maps`, as root. Batches of lookups in a hash table alternate between the ways, so that a noisy machine
//! is noisy to all; each has its median. Allocations of one lookup are counted: a typed
//! one has none, or this fails.
#![allow(unsafe_code, reason = "the bare system call, and an allocator that counts")]

use rawbpf::map::{Hash, Map, Update};
use rawbpf::{Plain, plain};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const ROUNDS: usize = 2001;
const BATCH: u32 = 500;
const ENTRIES: u32 = 1024;
const TYPED: &str = "`Hash::lookup`";

/// The budget: what a typed lookup may take beside the bare call.
const BUDGET: f64 = 1.05;

type Error = Box<dyn std::error::Error>;
type Result<T = ()> = std::result::Result<T, Error>;

/// Counts what is allocated.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller has promised what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` is from `alloc`, that is from the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

plain! {
    /// As large as a flow's addresses, ports and protocol.
    #[derive(Debug, Clone, Copy, PartialEq)]
    #[repr(C)]
    struct Flow {
        addresses: [u64; 4],
        ports: [u16; 2],
        protocol: u32,
    }
}

plain! {
    /// What is counted of a flow.
    #[derive(Debug, Clone, Copy, PartialEq, Default)]
    #[repr(C)]
    struct Counts {
        bytes: u64,
        packets: u64,
        first: u64,
        last: u64,
    }
}

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
    // SAFETY: the map was made for keys and values of these types, whose bytes are all their own, and both outlive the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, 1, std::ptr::from_mut(&mut attr), size_of::<Element>())
    };
    if answer == 0 { Ok(value) } else { Err(std::io::Error::last_os_error().into()) }
}

/// A loop over keys that returns the time of a lookup, in nanoseconds.
type Timed<'a, K> = Box<dyn Fn(&[K]) -> Result<f64> + 'a>;

/// A way to look up an element, timed and counted.
struct Way<'a, K> {
    name: &'static str,
    lookup: Box<dyn Fn(&K) -> Result + 'a>,
    run: Timed<'a, K>,
    times: Vec<f64>,
}

fn way<'a, K, V>(name: &'static str, lookup: impl Fn(&K) -> Result<V> + Copy + 'a) -> Way<'a, K> {
    Way {
        name,
        lookup: Box::new(move |key| lookup(key).map(|value| drop(black_box(value)))),
        // The lookup is compiled into its loop: no call by a pointer is among what is timed.
        run: Box::new(move |keys| {
            let start = Instant::now();
            for key in keys {
                black_box(lookup(black_box(key))?);
            }
            Ok(start.elapsed().as_nanos() as f64 / keys.len() as f64)
        }),
        times: Vec::new(),
    }
}

fn main() -> Result {
    println!(
        "One lookup in a hash table of {ENTRIES}, {ROUNDS} rounds of {BATCH} in turn, medians"
    );
    println!("(budget: {BUDGET} × the bare call)");
    println!();
    println!("| key | value | | ns | beside the bare call | allocations |");
    println!("|---|---|---|---|---|---|");
    measure::<u32, u64>(|i| i, |i| u64::from(i) * 3)?;
    let flow = |i| Flow { addresses: [u64::from(i); 4], ports: [80, 443], protocol: 6 };
    measure::<Flow, Counts>(flow, |i| Counts { bytes: u64::from(i), ..Counts::default() })
}

fn measure<K, V>(key: fn(u32) -> K, value: fn(u32) -> V) -> Result
where
    K: Plain,
    V: Plain + Default + PartialEq + std::fmt::Debug,
{
    let map = Map::create(&Hash::<K, V>::spec("lookups", ENTRIES))?;
    let hash = Hash::<K, V>::of(&map)?;
    for i in 0..ENTRIES {
        hash.update(&key(i), &value(i), Update::Any)?;
    }
    let keys: Vec<K> = (0..BATCH).map(|i| key(i * 7 % ENTRIES)).collect();
    for (i, key) in (0..BATCH).map(|i| i * 7 % ENTRIES).zip(&keys) {
        let found = (bare::<K, V>(map.as_fd(), key)?, hash.lookup(key)?);
        if found != (value(i), Some(value(i))) {
            return Err(format!("element {i} is {found:?}").into());
        }
    }
    let mut ways = [
        way("bare `bpf(2)`", |key: &K| bare::<K, V>(map.as_fd(), key)),
        way(TYPED, |key| Ok(hash.lookup(key)?)),
        way("`Map::lookup`, bytes in vectors", |key: &K| Ok(map.lookup(&key.to_bytes())?)),
    ];
    for _ in 0..ROUNDS {
        for way in &mut ways {
            let time = (way.run)(&keys)?;
            way.times.push(time);
        }
    }
    let mut base = None;
    for way in &mut ways {
        way.times.sort_by(f64::total_cmp);
        let median = way.times[ROUNDS / 2];
        let before = ALLOCATIONS.load(Relaxed);
        (way.lookup)(&keys[0])?;
        let allocations = ALLOCATIONS.load(Relaxed) - before;
        if allocations != 0 && way.name == TYPED {
            return Err(format!("{allocations} allocations in a typed lookup").into());
        }
        let base = *base.get_or_insert(median);
        println!(
            "| {} | {} | {} | {median:.0} | {:.3} | {allocations} |",
            K::SIZE,
            V::SIZE,
            way.name,
            median / base,
        );
    }
    Ok(())
}
