//! Reading full rings, beside libbpf and aya:
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --features rings --bin rings`, as root.
//!
//! A perf ring and a ring buffer of 8 MiB are filled by a program and drained, by each reader in turn. Each has maps of
//! its own, filled by the same code; each consumer adds up the first words of all records, so that it touches what it is
//! handed. One thread on one CPU does it all.
//!
//! Then a program sends as fast as it can to a perf ring of 256 KiB, which another thread reads with each reader's
//! defaults: the cost of a sample to the sender, and the number of samples lost.

use aya::maps::{Map as AyaMap, MapData, PerfEventArray, RingBuf, perf::PerfEvent};
use rawbpf::asm::{Collection, ParseOptions, parse};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, Map, Program, ProgramType, TextSpec};
use std::ffi::{c_int, c_void};
use std::ops::ControlFlow::Continue;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

const RING: usize = 8 << 20;
const ROUNDS: usize = 31;

type Error = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Error>;

/// The samples that a drain counted, and their sum.
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Sum {
    records: u64,
    words: u64,
}

impl Sum {
    #[inline]
    fn add(&mut self, bytes: &[u8]) {
        self.records += 1;
        if let Some(word) = bytes.first_chunk() {
            self.words += u64::from_ne_bytes(*word);
        }
    }
}

/// A reader with the program that fills its ring.
struct Peer {
    name: &'static str,
    program: Program,
    drain: Box<dyn FnMut(&mut Sum)>,
    times: Vec<f64>,
}

/// Sends records of `size` bytes, whose first word is 1.
fn text(size: usize, ring: &str) -> String {
    let mut text = match ring {
        "perf" => String::from(".map events, perf_event_array\n"),
        _ => format!(".map events, ringbuf, max={RING}\n"),
    };
    text += "r6 = r1\n";
    for at in (8..=size).step_by(8) {
        let word = u8::from(at == size);
        text += &format!("*(u64 *)(r10 - {at}) = {word}\n");
    }
    text += &match ring {
        "perf" => format!(
            "r1 = r6\nr2 = events ll\nr3 = 0xffffffff ll\nr4 = r10\nr4 += -{size}\nr5 = {size}\n\
             call perf_event_output\n"
        ),
        _ => format!(
            "r1 = events ll\nr2 = r10\nr2 += -{size}\nr3 = {size}\nr4 = 1\ncall ringbuf_output\n"
        ),
    };
    text + "exit\n"
}

/// A map of its own and the program that writes to it.
fn load(module: &Collection<'_>) -> Result<(Map, Program)> {
    let spec = TextSpec::new(module, &module.programs()[0], "rings.s")?;
    let mut loader = Loader::new();
    let program = loader.load(&spec.program(ProgramType::SocketFilter))?;
    Ok((loader.map(&module.maps()[0])?.clone(), program))
}

fn aya_map(map: &Map) -> Result<MapData> {
    Ok(MapData::from_fd(map.as_fd().try_clone_to_owned()?)?)
}

unsafe extern "C" fn perf_sample(sum: *mut c_void, _cpu: c_int, data: *mut c_void, size: u32) {
    // SAFETY: the context is the address of a `Sum` that lives as long as the call of `drain`, which nobody else uses
    // meanwhile; libbpf says where the sample lies and how long it is.
    unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), size as usize);
        (*sum.cast::<Sum>()).add(bytes);
    }
}

unsafe extern "C" fn ring_sample(sum: *mut c_void, data: *mut c_void, size: u64) -> c_int {
    // SAFETY: as above.
    unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), size as usize);
        (*sum.cast::<Sum>()).add(bytes);
    }
    0
}

fn perf_peers(module: &Collection<'_>, size: usize) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    let options = PerfOptions::new().ring_size(RING);

    let (map, program) = load(module)?;
    let mut reader = PerfReader::open(&map, &options.clone().sample_size(size))?;
    peers.push(Peer::new("rawbpf", program, move |sum| {
        let read = reader.drain(|record| {
            if let Record::Sample { bytes, .. } = record {
                sum.add(bytes);
            }
            Continue(())
        });
        read.unwrap_or_else(|error| panic!("{error}"));
    }));

    let (map, program) = load(module)?;
    let fd = map.as_fd().as_raw_fd();
    // libbpf keeps the address that it is given as the context: the sum stays where it is.
    let total = Box::into_raw(Box::<Sum>::default());
    // Without a wake-up for every sample, filling the ring is quicker.
    let options = libbpf_sys::perf_buffer_opts {
        sz: size_of::<libbpf_sys::perf_buffer_opts>() as u64,
        sample_period: 1 << 20,
        ..Default::default()
    };
    // SAFETY: the descriptor is that of a perf event array, open as long as `map`, which the closure keeps; the
    // context is never freed; the options are live and say how large they are.
    let buffer = unsafe {
        libbpf_sys::perf_buffer__new(
            fd,
            (RING / 4096) as u64,
            Some(perf_sample),
            None,
            total.cast(),
            &options,
        )
    };
    assert!(!buffer.is_null(), "perf_buffer__new");
    peers.push(Peer::new("libbpf", program, move |sum| {
        let _open = &map;
        // SAFETY: the buffer is live; its context is used by nobody else meanwhile.
        unsafe {
            total.write(Sum::default());
            assert!(libbpf_sys::perf_buffer__consume(buffer) >= 0);
            *sum = total.read();
        }
    }));

    let (map, program) = load(module)?;
    let mut array = PerfEventArray::try_from(AyaMap::PerfEventArray(aya_map(&map)?))?;
    let mut buffers = Vec::new();
    for cpu in aya::util::online_cpus().map_err(|(_, error)| error)? {
        buffers.push(array.open(cpu, Some(RING / 4096))?);
    }
    peers.push(Peer::new("aya", program, move |sum| {
        let _open = (&map, &array);
        for buffer in &mut buffers {
            buffer.for_each(|event| {
                if let PerfEvent::Sample { head, tail } = event {
                    // A sample that lies across the end of the ring comes in two pieces.
                    match head.len() >= 8 {
                        true => sum.add(head),
                        false => sum.add(&[head, tail].concat()),
                    }
                }
            });
        }
    }));
    Ok(peers)
}

fn ring_peers(module: &Collection<'_>) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();

    let (map, program) = load(module)?;
    let mut reader = RingBufReader::open(&map)?;
    peers.push(Peer::new("rawbpf", program, move |sum| {
        let read = reader.drain(|record| {
            sum.add(record.bytes);
            Continue(())
        });
        read.unwrap_or_else(|error| panic!("{error}"));
    }));

    let (map, program) = load(module)?;
    let total = Box::into_raw(Box::<Sum>::default());
    // SAFETY: as for the perf buffer.
    let buffer = unsafe {
        let fd = map.as_fd().as_raw_fd();
        libbpf_sys::ring_buffer__new(fd, Some(ring_sample), total.cast(), std::ptr::null())
    };
    assert!(!buffer.is_null(), "ring_buffer__new");
    peers.push(Peer::new("libbpf", program, move |sum| {
        let _open = &map;
        // SAFETY: as for the perf buffer.
        unsafe {
            total.write(Sum::default());
            assert!(libbpf_sys::ring_buffer__consume(buffer) >= 0);
            *sum = total.read();
        }
    }));

    let (map, program) = load(module)?;
    let mut ring = RingBuf::try_from(AyaMap::RingBuf(aya_map(&map)?))?;
    peers.push(Peer::new("aya", program, move |sum| {
        let _open = &map;
        while let Some(item) = ring.next() {
            sum.add(&item);
        }
    }));
    Ok(peers)
}

impl Peer {
    fn new(name: &'static str, program: Program, drain: impl FnMut(&mut Sum) + 'static) -> Peer {
        Peer { name, program, drain: Box::new(drain), times: Vec::new() }
    }

    /// Fills the ring and drains it; gives the nanoseconds of a record.
    fn round(&mut self, size: usize) -> Result<(Sum, f64)> {
        self.program.test_run(&[0; 64], (RING / (size + 8)) as u32)?;
        let mut sum = Sum::default();
        let start = Instant::now();
        (self.drain)(&mut sum);
        let time = start.elapsed();
        Ok((sum, time.as_secs_f64() * 1e9 / sum.records as f64))
    }
}

/// A reader that waits in a thread of its own until it is stopped; it returns the numbers of samples that it read and
/// lost.
struct Waiting {
    name: &'static str,
    program: Program,
    begin: fn(&Map, &AtomicBool, &Barrier) -> Result<(u64, u64)>,
    map: Map,
    times: Vec<f64>,
    read: u64,
    lost: u64,
}

const WAITING_RING: usize = 256 << 10;
const SENT: u32 = 500_000;
const WAITING_ROUNDS: usize = 7;

fn wait_with_rawbpf(map: &Map, end: &AtomicBool, ready: &Barrier) -> Result<(u64, u64)> {
    let mut reader = PerfReader::open(map, &PerfOptions::new().sample_size(32))?;
    let mut sum = Sum::default();
    let mut see = |record: Record<'_>| {
        if let Record::Sample { bytes, .. } = record {
            sum.add(bytes);
        }
        Continue(())
    };
    ready.wait();
    while !end.load(Relaxed) {
        reader.poll(Some(Instant::now() + WAIT), &mut see)?;
    }
    reader.drain(&mut see)?;
    Ok((sum.records, reader.count_lost()))
}

unsafe extern "C" fn perf_lost(_sum: *mut c_void, _cpu: c_int, count: u64) {
    LOST.fetch_add(count, Relaxed);
}

static LOST: AtomicU64 = AtomicU64::new(0);
const WAIT: Duration = Duration::from_millis(100);

fn wait_with_libbpf(map: &Map, end: &AtomicBool, ready: &Barrier) -> Result<(u64, u64)> {
    let mut sum = Sum::default();
    LOST.store(0, Relaxed);
    // SAFETY: the descriptor is that of a perf event array; the context lives until the buffer is freed, and is used by the
    // callback alone until then.
    unsafe {
        let buffer = libbpf_sys::perf_buffer__new(
            map.as_fd().as_raw_fd(),
            (WAITING_RING / 4096) as u64,
            Some(perf_sample),
            Some(perf_lost),
            (&raw mut sum).cast(),
            std::ptr::null(),
        );
        assert!(!buffer.is_null(), "perf_buffer__new");
        ready.wait();
        while !end.load(Relaxed) {
            libbpf_sys::perf_buffer__poll(buffer, WAIT.as_millis() as c_int);
        }
        libbpf_sys::perf_buffer__consume(buffer);
        libbpf_sys::perf_buffer__free(buffer);
    }
    Ok((sum.records, LOST.load(Relaxed)))
}

fn wait_with_aya(map: &Map, end: &AtomicBool, ready: &Barrier) -> Result<(u64, u64)> {
    let mut array = PerfEventArray::try_from(AyaMap::PerfEventArray(aya_map(map)?))?;
    let mut buffers = Vec::new();
    for cpu in aya::util::online_cpus().map_err(|(_, error)| error)? {
        buffers.push(array.open(cpu, Some(WAITING_RING / 4096))?);
    }
    let (mut sum, mut lost) = (Sum::default(), 0);
    ready.wait();
    loop {
        let last = end.load(Relaxed);
        for buffer in &mut buffers {
            buffer.for_each(|event| match event {
                PerfEvent::Sample { head, tail } if head.len() < 8 => {
                    sum.add(&[head, tail].concat());
                }
                PerfEvent::Sample { head, .. } => sum.add(head),
                PerfEvent::Lost { count } => lost += count,
            });
        }
        if last {
            return Ok((sum.records, lost));
        }
        let mut fds: Vec<libc::pollfd> = buffers
            .iter()
            .map(|buffer| libc::pollfd { fd: buffer.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        // SAFETY: `fds` is live and as long as is said.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as u64, WAIT.as_millis() as c_int) };
    }
}

impl Waiting {
    fn round(&mut self) -> Result<f64> {
        let (end, ready) = (AtomicBool::new(false), Barrier::new(2));
        let (map, begin) = (&self.map, self.begin);
        std::thread::scope(|scope| {
            let reader =
                scope.spawn(|| begin(map, &end, &ready).map_err(|error| error.to_string()));
            ready.wait();
            // Asleep, as a reader is that has nothing to do.
            std::thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            let sent = self.program.test_run(&[0; 64], SENT);
            let time = start.elapsed();
            end.store(true, Relaxed);
            let (read, lost) = reader.join().map_err(|_| "the reader panicked")??;
            sent?;
            (self.read, self.lost) = (self.read + read, self.lost + lost);
            Ok(time.as_secs_f64() * 1e9 / f64::from(SENT))
        })
    }
}

/// Measures the cost of a sample to the sender, with readers that wait.
fn waiting() -> Result<()> {
    let text = text(32, "perf");
    let module = parse(&text, "rings.s", &ParseOptions::new())?;
    let mut all = Vec::new();
    let ways: [(&'static str, fn(&Map, &AtomicBool, &Barrier) -> Result<(u64, u64)>); 3] =
        [("rawbpf", wait_with_rawbpf), ("libbpf", wait_with_libbpf), ("aya", wait_with_aya)];
    for (name, begin) in ways {
        let (map, program) = load(&module)?;
        all.push(Waiting { name, program, begin, map, times: Vec::new(), read: 0, lost: 0 });
    }
    for _ in 0..WAITING_ROUNDS {
        for waiting in &mut all {
            let time = waiting.round()?;
            waiting.times.push(time);
        }
    }
    println!();
    println!(
        "{SENT} samples of 32 bytes, {WAITING_ROUNDS} rounds in turn, as fast as they can be sent"
    );
    println!();
    println!("| reader | ns a sample for the sender, median | least | read | lost |");
    println!("|---|---|---|---|---|");
    for Waiting { name, times, read, lost, .. } in &all {
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        println!("| {name} | {:.0} | {least:.0} | {read} | {lost} |", median(times));
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// On one CPU, so that what is filled is what is drained.
fn stay_here() -> Result<()> {
    // SAFETY: a set of CPUs is plain bits, `cpu` is one that this thread runs on, and the size is the set's.
    let answer = unsafe {
        let cpu = libc::sched_getcpu();
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}

fn main() -> Result<()> {
    // `perf 32 rawbpf libbpf` measures only that.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |word: &str, of: &[&str]| {
        let named = |one: &str| words.iter().any(|word| word == one);
        named(word) || !of.iter().any(|one| named(one))
    };
    if words.iter().any(|word| word == "waiting") {
        return waiting();
    }
    let everything = words.is_empty();
    // In a thread, since the readers that wait are to be on any CPU.
    let full = std::thread::scope(|scope| {
        let thread = scope.spawn(|| full(wanted).map_err(|error| error.to_string()));
        thread.join().map_err(|_| "panicked".to_owned())?
    });
    full?;
    if everything { waiting() } else { Ok(()) }
}

/// Full rings, drained by who is wanted.
fn full(wanted: impl Fn(&str, &[&str]) -> bool) -> Result<()> {
    stay_here()?;
    println!("{} MiB, {ROUNDS} rounds in turn, ns a record, medians", RING >> 20);
    println!();
    println!("| ring | bytes | reader | median | least | beside libbpf |");
    println!("|---|---|---|---|---|---|");
    for ring in ["perf", "ringbuf"] {
        for size in [32, 64, 256] {
            if !wanted(ring, &["perf", "ringbuf"])
                || !wanted(&size.to_string(), &["32", "64", "256"])
            {
                continue;
            }
            let text = text(size, ring);
            let module = parse(&text, "rings.s", &ParseOptions::new())?;
            let mut peers = match ring {
                "perf" => perf_peers(&module, size)?,
                _ => ring_peers(&module)?,
            };
            peers.retain(|peer| wanted(peer.name, &["rawbpf", "libbpf", "aya"]));
            for round in 0..=ROUNDS {
                let mut first = None;
                for peer in &mut peers {
                    let (sum, time) = peer.round(size)?;
                    // It is worth nothing if it is wrong.
                    assert_eq!(sum.records, sum.words, "{}", peer.name);
                    let expected = *first.get_or_insert(sum);
                    assert!(sum.records.abs_diff(expected.records) < 9, "{} {sum:?}", peer.name);
                    if round > 0 {
                        peer.times.push(time);
                    }
                }
            }
            let libbpf = peers.iter().find(|peer| peer.name == "libbpf");
            let libbpf = libbpf.map_or(f64::NAN, |peer| median(&peer.times));
            for peer in &peers {
                let (name, median) = (peer.name, median(&peer.times));
                let least = peer.times.iter().copied().fold(f64::INFINITY, f64::min);
                let ratio = median / libbpf;
                println!("| {ring} | {size} | {name} | {median:.1} | {least:.1} | {ratio:.2} |");
            }
        }
    }
    Ok(())
}
