//! Reading full rings, a record: `cargo bench --bench perf_ring`, as root. A program fills a perf ring and a ring buffer of
//! 8 MiB, and the reader drains them; only that is measured. Beside peers: `benches/peers`, `--bin rings`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rawbpf::asm::{ParseOptions, parse};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, Map, Program, ProgramType, TextSpec};
use std::hint::black_box;
use std::ops::ControlFlow::Continue;
use std::time::{Duration, Instant};

const RING: usize = 8 << 20;
const SIZES: [usize; 3] = [32, 64, 256];

/// Sends records of `size` bytes, the first word of which is 1.
fn program(size: usize, map: &str, send: &str) -> (Map, Program) {
    let mut text = format!(".map events, {map}\nr6 = r1\n");
    for at in (8..=size).step_by(8) {
        text += &format!("*(u64 *)(r10 - {at}) = {}\n", u8::from(at == size));
    }
    text += &format!("r7 = r10\nr7 += -{size}\n{send}\nexit\n");
    let module = parse(&text, "perf_ring.s", &ParseOptions::new()).unwrap_or_else(|error| {
        panic!("{error}");
    });
    let loaded = TextSpec::new(&module, &module.programs()[0], "perf_ring.s").and_then(|spec| {
        let mut loader = Loader::new();
        let program = loader.load(&spec.program(ProgramType::SocketFilter))?;
        Ok((loader.map(&module.maps()[0])?.clone(), program))
    });
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

/// Adds up the first words, so that what is handed out is touched.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word))
}

/// Measures how long `drain` takes for the ring that the program has filled; it gives the number of records and the sum of
/// their words.
fn measure(
    criterion: &mut Criterion,
    what: &str,
    size: usize,
    program: &Program,
    mut drain: impl FnMut() -> (u64, u64),
) {
    let mut full = || {
        let runs = (RING / (size + 8)) as u32;
        program.test_run(&[0; 64], runs).unwrap_or_else(|error| panic!("{error}"));
        let start = Instant::now();
        let (records, sum) = black_box(drain());
        let time = start.elapsed();
        // It is worth nothing if it is wrong.
        assert_eq!(records, sum);
        (records, time)
    };
    let (records, _) = full();
    let mut group = criterion.benchmark_group(what);
    group.throughput(Throughput::Elements(records));
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1));
    group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| full().1).sum());
    });
    group.finish();
}

fn perf(criterion: &mut Criterion) {
    for size in SIZES {
        let (map, program) = program(
            size,
            "perf_event_array",
            &format!(
                "r1 = r6\nr2 = events ll\nr3 = 0xffffffff ll\nr4 = r7\nr5 = {size}\ncall perf_event_output"
            ),
        );
        let options = PerfOptions::new().ring_size(RING).sample_size(size);
        let mut reader = PerfReader::open(&map, &options).unwrap_or_else(|error| panic!("{error}"));
        let mut drain = |one_by_one: bool| {
            let (mut records, mut sum) = (0, 0);
            let mut see = |record: Record<'_>| {
                if let Record::Sample { bytes, .. } = record {
                    records += 1;
                    sum += word(bytes);
                }
            };
            if one_by_one {
                let mut all = reader.records();
                while let Ok(Some(record)) = all.next() {
                    see(record);
                }
            } else {
                let read = reader.drain(|record| {
                    see(record);
                    Continue(())
                });
                read.unwrap_or_else(|error| panic!("{error}"));
            }
            (records, sum)
        };
        measure(criterion, "perf ring, drain", size, &program, || drain(false));
        measure(criterion, "perf ring, records", size, &program, || drain(true));
    }
}

fn in_order(criterion: &mut Criterion) {
    let size = 32;
    let (map, program) = program(
        size,
        "perf_event_array",
        "r1 = r6\nr2 = events ll\nr3 = 0xffffffff ll\nr4 = r7\nr5 = 32\ncall perf_event_output",
    );
    let options = PerfOptions::new().ring_size(RING).sample_size(32).in_order(Duration::ZERO);
    let mut reader = PerfReader::open(&map, &options).unwrap_or_else(|error| panic!("{error}"));
    measure(criterion, "perf ring, in order", size, &program, || {
        let (mut records, mut sum) = (0, 0);
        let read = reader.drain(|record| {
            if let Record::Sample { bytes, .. } = record {
                records += 1;
                sum += word(bytes);
            }
            Continue(())
        });
        read.unwrap_or_else(|error| panic!("{error}"));
        (records, sum)
    });
}

fn ringbuf(criterion: &mut Criterion) {
    for size in SIZES {
        let (map, program) = program(
            size,
            &format!("ringbuf, max={RING}"),
            &format!("r1 = events ll\nr2 = r7\nr3 = {size}\nr4 = 1\ncall ringbuf_output"),
        );
        let mut reader = RingBufReader::open(&map).unwrap_or_else(|error| panic!("{error}"));
        let mut drain = |one_by_one: bool| {
            let (mut records, mut sum) = (0, 0);
            if one_by_one {
                let mut all = reader.records();
                while let Ok(Some(record)) = all.next() {
                    records += 1;
                    sum += word(record.bytes);
                }
            } else {
                let read = reader.drain(|record| {
                    records += 1;
                    sum += word(record.bytes);
                    Continue(())
                });
                read.unwrap_or_else(|error| panic!("{error}"));
            }
            (records, sum)
        };
        measure(criterion, "ring buffer, drain", size, &program, || drain(false));
        measure(criterion, "ring buffer, records", size, &program, || drain(true));
    }
}

criterion_group!(rings, perf, in_order, ringbuf);
criterion_main!(rings);
