//! Reads rings that a program fills as fast as it can, by fits and starts, and counts:
//!
//! `cargo run --release --example soak -- 600`, as root; the seconds are for each ring.
//!
//! One thread has the kernel run a program again and again on one CPU, which sends numbered samples and counts those
//! sent and those refused. The reader sleeps, dawdles and stops at random. In the end every sample has been read or
//! reported as lost, and the process has not grown.

use rawbpf::perf::{PerfOptions, PerfReader, Polled, Record};
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, Map, MapSpec, Plain, Program, ProgramSpec, ProgramType, bpf};
use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

static PERF: MapSpec = MapSpec::perf_event_array("events");
static RING: MapSpec = MapSpec::ring_buffer("events", 256 << 10);
/// The numbers of samples sent, and of those refused.
static COUNTS: MapSpec = MapSpec::bss("counts", 16);

static SEND_PERF: ProgramSpec = ProgramSpec::new(
    "send_perf",
    ProgramType::SocketFilter,
    bpf! {
        r6 = r1;
        r7 = COUNTS[0] ll;
        r0 = *(u64 *)(r7 + 0);
        r2 = r0;
        r2 += 1;
        *(u64 *)(r7 + 0) = r2;
        *(u64 *)(r10 - 8) = r0;                 // its number, three times
        *(u64 *)(r10 - 16) = r0;
        *(u64 *)(r10 - 24) = r0;
        r1 = r6;
        r2 = PERF ll;
        r3 = 0xffffffff ll;                     // BPF_F_CURRENT_CPU
        r4 = r10;
        r4 += -24;
        r5 = 24;
        call perf_event_output;
        if r0 == 0 goto out;
        r1 = 1;
        lock *(u64 *)(r7 + 8) += r1;
    out:
        r0 = 0;
        exit;
    },
);

static SEND_RING: ProgramSpec = ProgramSpec::new(
    "send_ring",
    ProgramType::SocketFilter,
    bpf! {
        r7 = COUNTS[0] ll;
        r8 = *(u64 *)(r7 + 0);
        r2 = r8;
        r2 += 1;
        *(u64 *)(r7 + 0) = r2;
        r1 = RING ll;
        r2 = 24;
        r3 = 0;
        call ringbuf_reserve;
        if r0 == 0 goto full;
        *(u64 *)(r0 + 0) = r8;
        *(u64 *)(r0 + 8) = r8;
        *(u64 *)(r0 + 16) = r8;
        r1 = r0;
        r2 = 0;
        call ringbuf_submit;
        r0 = 0;
        exit;
    full:
        r1 = 1;
        lock *(u64 *)(r7 + 8) += r1;
        r0 = 0;
        exit;
    },
);

/// The number of samples that one system call sends.
const BURST: u32 = 10_000;

/// The result.
#[derive(Debug)]
pub(crate) struct Report {
    ring: &'static str,
    seconds: f64,
    produced: u64,
    read: u64,
    /// The number reported to the reader: by the kernel for a perf ring, by the program for a ring buffer.
    lost: u64,
    refused: u64,
    /// Memory of the process after the first second, and in the end, KiB.
    memory: [u64; 2],
}

impl Report {
    /// Whether every sample is accounted for and the process has not grown.
    pub(crate) fn check(&self) -> Result<()> {
        if self.produced != self.read + self.lost || self.lost != self.refused {
            return Err(format!("samples are missing: {self}").into());
        }
        if self.read == 0 {
            return Err("nothing was read".into());
        }
        // An allowance for the allocator's memory of each thread.
        if self.memory[1] > self.memory[0] + 1024 {
            return Err(format!("it has grown: {self}").into());
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { ring, seconds, produced, read, lost, refused, memory } = self;
        write!(
            f,
            "{ring}: {seconds:.1} s, produced {produced} = read {read} + lost {lost} ({}), refused {refused}, \
             VmRSS {} KiB and then {}",
            if *produced == read + lost { "exactly" } else { "NOT SO" },
            memory[0],
            memory[1],
        )
    }
}

/// Numbers at random, the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Does nothing for a while, now and then.
    fn dawdle(&mut self) {
        match self.below(16) {
            0..5 => std::thread::sleep(Duration::from_micros(self.below(20_000))),
            5..8 => {
                let end = Instant::now() + Duration::from_micros(self.below(5_000));
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            }
            _ => {}
        }
    }
}

/// `VmRSS` of `/proc/self/status`, KiB.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// Sees that samples come whole and in their order.
#[derive(Default)]
struct Seen {
    read: u64,
    next: u64,
    problem: Option<String>,
}

impl Seen {
    fn sample(&mut self, numbers: Option<[u64; 3]>) -> ControlFlow<()> {
        self.read += 1;
        match numbers {
            Some([a, b, c]) if a == b && b == c && a >= self.next => {
                self.next = a + 1;
                Continue(())
            }
            numbers => {
                self.problem = Some(format!("after {}: {numbers:?}", self.next));
                Break(())
            }
        }
    }

    fn done(&self) -> Result<()> {
        self.problem.clone().map_or(Ok(()), |problem| Err(problem.into()))
    }
}

/// Has the program send until the time is over, while `read` reads; then reads the rest. The argument of `read` is true
/// for the last time.
fn soak(
    time: Duration,
    program: &Program,
    mut read: impl FnMut(&mut Random) -> Result<()>,
) -> Result<[u64; 2]> {
    let over = AtomicBool::new(false);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (start, mut first) = (Instant::now(), None);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| -> Result<()> {
            pin(*rawbpf::kernel::cpu::online()?.last().ok_or("no CPU")?)?;
            while !over.load(Ordering::Relaxed) {
                program.test_run(&[0; 64], BURST)?;
            }
            Ok(())
        });
        let mut result = Ok(());
        while result.is_ok() && start.elapsed() < time && !sender.is_finished() {
            random.dawdle();
            result = read(&mut random);
            if first.is_none() && start.elapsed() > time.min(Duration::from_secs(1)) / 2 {
                first = memory().ok();
            }
        }
        over.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| "the sender panicked")??;
        result
    })?;
    Ok([first.unwrap_or_default(), memory()?])
}

fn counts(map: &Map) -> Result<[u64; 2]> {
    let bytes = map.lookup(&0u32.to_ne_bytes())?.ok_or("no counts")?;
    <[u64; 2]>::from_bytes(&bytes).ok_or("the counts are of another size".into())
}

/// A perf ring for so long.
pub(crate) fn perf(time: Duration) -> Result<Report> {
    let start = Instant::now();
    let mut loader = Loader::new();
    let program = loader.load(&SEND_PERF)?;
    let options = PerfOptions::new().sample_size(24);
    let mut reader = PerfReader::open(loader.map(&PERF)?, &options)?;
    let mut seen = Seen::default();
    let mut see = |record: Record<'_>| match record {
        Record::Sample { .. } => seen.sample(record.value()),
        _ => Continue(()),
    };
    let memory = soak(time, &program, |random| {
        let mut stop = random.below(4) * random.below(2000);
        let deadline = Instant::now() + Duration::from_millis(random.below(50));
        let polled = reader.poll(Some(deadline), |record| {
            see(record)?;
            stop = stop.wrapping_sub(1);
            if stop == 0 { Break(()) } else { Continue(()) }
        })?;
        if polled == Polled::Stopped && random.below(10) == 0 {
            reader.drain(&mut see)?;
        }
        Ok(())
    })?;
    reader.drain(&mut see)?;
    // The last losses are reported with the next sample on that CPU.
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| -> Result<()> {
            pin(*rawbpf::kernel::cpu::online()?.last().ok_or("no CPU")?)?;
            program.test_run(&[0; 64], 1)?;
            Ok(())
        });
        sender.join().map_err(|_| "the sender panicked")?
    })?;
    reader.drain(&mut see)?;
    let told = reader.lost();
    // The kernel can be asked, too (Linux 6.0).
    if reader.count_lost() != told {
        return Err(format!("told {told}, and the kernel says {}", reader.lost()).into());
    }
    seen.done()?;
    let read = seen.read;
    let [produced, refused] = counts(loader.map(&COUNTS)?)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Report { ring: "perf ring", seconds, produced, read, lost: told, refused, memory })
}

/// Has this thread run on one CPU.
fn pin(cpu: u32) -> Result<()> {
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu as usize)?;
    Ok(nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?)
}

/// A ring buffer for so long.
pub(crate) fn ringbuf(time: Duration) -> Result<Report> {
    let start = Instant::now();
    let mut loader = Loader::new();
    let program = loader.load(&SEND_RING)?;
    let mut reader = RingBufReader::open(loader.map(&RING)?)?;
    let mut seen = Seen::default();
    let memory = soak(time, &program, |random| {
        let mut stop = random.below(4) * random.below(2000);
        let deadline = Instant::now() + Duration::from_millis(random.below(50));
        let polled = reader.poll(Some(deadline), |record| {
            seen.sample(Plain::from_bytes(record.bytes))?;
            stop = stop.wrapping_sub(1);
            if stop == 0 { Break(()) } else { Continue(()) }
        })?;
        if polled == Polled::Stopped && random.below(10) == 0 {
            let mut records = reader.records();
            while let Some(record) = records.next()? {
                if seen.sample(Plain::from_bytes(record.bytes)).is_break() {
                    break;
                }
            }
        }
        Ok(())
    })?;
    reader.drain(|record| seen.sample(Plain::from_bytes(record.bytes)))?;
    seen.done()?;
    let [produced, refused] = counts(loader.map(&COUNTS)?)?;
    let seconds = start.elapsed().as_secs_f64();
    let ring = "ring buffer";
    Ok(Report { ring, seconds, produced, read: seen.read, lost: refused, refused, memory })
}

#[allow(dead_code, reason = "it is also part of a test")]
fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |seconds| seconds.parse())?;
    for ring in [perf, ringbuf] {
        let report = ring(Duration::from_secs(seconds))?;
        println!("{report}");
        report.check()?;
    }
    Ok(())
}
