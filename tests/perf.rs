//! The perf reader, programs that really run, and what the process around them goes through.

mod common;

use common::requires::{Thing, needs, needs_tried};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rawbpf::kernel::cpu;
use rawbpf::perf::{FlightRecorder, PerfOptions, PerfReader, Polled, Record, Value, Wakeup};
use rawbpf::{Loader, Map, MapSpec, Program, ProgramSpec, ProgramType, bpf, plain};
use std::ops::ControlFlow::{self, Break, Continue};
use std::process::Command;
use std::time::{Duration, Instant};

static EVENTS: MapSpec = MapSpec::perf_event_array("events");
static COUNT: MapSpec = MapSpec::bss("count", 8);

plain! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(C)]
    struct Event {
        number: u64,
        time: u64,
    }
}

/// Sends an event, numbered through, and returns what that returned.
static SEND: ProgramSpec = ProgramSpec::new(
    "send",
    ProgramType::SocketFilter,
    bpf! {
        r6 = r1;
        r1 = COUNT[0] ll;
        r0 = *(u64 *)(r1 + 0);
        r2 = r0;
        r2 += 1;
        *(u64 *)(r1 + 0) = r2;
        *(u64 *)(r10 - 16) = r0;
        call ktime_get_ns;
        *(u64 *)(r10 - 8) = r0;
        r1 = r6;
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;
        r4 = r10;
        r4 += -16;
        r5 = 16;
        call perf_event_output;
        exit;
    },
);

fn run(program: &Program, times: u32) -> i32 {
    program.test_run(&[0; 64], times).unwrap().returned.cast_signed()
}

/// Has this thread run on one CPU.
fn on_cpu(cpu: u32) {
    let mut set = CpuSet::new();
    set.set(cpu as usize).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

fn after(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

/// Polls until something other than a signal ends it.
fn poll(
    reader: &mut PerfReader,
    deadline: Option<Instant>,
    mut consume: impl FnMut(Record<'_>) -> ControlFlow<()>,
) -> Polled {
    loop {
        match reader.poll(deadline, &mut consume).unwrap() {
            Polled::Interrupted => {}
            polled => return polled,
        }
    }
}

/// The numbers of the events that are there.
fn numbers(reader: &mut PerfReader) -> Vec<u64> {
    let mut numbers = Vec::new();
    reader
        .drain(|record| {
            numbers.extend(record.value::<Event>().map(|event| event.number));
            Continue(())
        })
        .unwrap();
    numbers
}

/// A process that is stopped and continued gets `EINTR` from `epoll_wait(2)`, handler or not
/// (`signal(7)`). That is a signal without `unsafe`; it goes to the whole process, so the other tests in this file
/// that wait go on waiting after one.
#[test]
fn a_signal_ends_the_wait() {
    needs!(Bpf);
    let map = Map::create(&EVENTS).unwrap();
    let mut reader = PerfReader::open(&map, &PerfOptions::new()).unwrap();
    let itself = std::process::id().to_string();
    let stop_and_continue = "sleep 0.2; kill -STOP $0; sleep 0.05; kill -CONT $0";
    // On a busy machine it may be over before the wait has begun.
    for _ in 0..5 {
        let mut shell =
            Command::new("sh").args(["-c", stop_and_continue, &itself]).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(2);
        let polled = reader.poll(Some(deadline), |_| ControlFlow::Continue(())).unwrap();
        assert!(shell.wait().unwrap().success());
        match polled {
            Polled::Interrupted => {
                assert!(Instant::now() < deadline);
                return;
            }
            polled => assert_eq!(polled, Polled::Deadline),
        }
    }
    panic!("never interrupted");
}

/// There is no wake-up for a few samples, and yet they come without a deadline.
#[test]
fn what_wakes_nobody_comes_all_the_same() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    let map = loader.map(&EVENTS).unwrap();
    let delay = Duration::from_millis(20);
    let options = PerfOptions::new().max_delay(delay);
    for options in [PerfOptions::new(), options] {
        let mut reader = PerfReader::open(map, &options).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                run(&program, 1);
            });
            let mut seen = 0;
            let polled = poll(&mut reader, None, |_| {
                seen += 1;
                Continue(())
            });
            assert_eq!((polled, seen), (Polled::Records, 1));
        });
    }
    // Without that look it lies there until the deadline.
    let options = PerfOptions::new().max_delay(Duration::MAX).wakeup(Wakeup::Watermark(4096));
    let mut reader = PerfReader::open(map, &options).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            run(&program, 1);
        });
        assert_eq!(poll(&mut reader, after(300), |_| Continue(())), Polled::Deadline);
    });
}

#[test]
fn values_of_a_type_come_as_they_were_sent() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    on_cpu(cpu::online().unwrap()[0]);
    let mut reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &PerfOptions::new()).unwrap();
    let mut next = 0;
    for _ in 0..20 {
        assert_eq!(run(&program, 1000), 0);
        for value in reader.records().typed::<Event>() {
            let Value::Sample { value, time_ns: None, .. } = value.unwrap() else { panic!() };
            assert_eq!(value.number, next);
            next += 1;
        }
    }
    assert_eq!((next, reader.lost()), (20_000, 0));
}

#[test]
fn the_kernels_time_is_that_of_programs() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    let options = PerfOptions::new().sample_size(16).time();
    let mut reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
    run(&program, 100);
    let mut count = 0;
    reader
        .drain(|record| {
            let Record::Sample { time_ns: Some(time), bytes, .. } = record else { panic!() };
            assert_eq!(bytes.len(), 16);
            let event = record.value::<Event>().unwrap();
            // The program asked before it sent. Within a second, they are of the same clock.
            assert!(event.time <= time && time - event.time < 1_000_000_000, "{event:?} {time}");
            count += 1;
            Continue(())
        })
        .unwrap();
    assert_eq!(count, 100);
}

#[test]
fn samples_of_all_cpus_come_in_order() {
    needs!(Bpf, TwoCpus);
    const EACH: u32 = 3000;
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    // A virtual machine may keep a CPU from what it is doing for long.
    let window = Duration::from_millis(200);
    let options = PerfOptions::new().ring_size(1 << 20).in_order(window);
    let mut reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
    let cpus = &cpu::online().unwrap()[..2];
    let (mut last, mut seen, mut changes, mut before) = (0, 0, 0, None);
    std::thread::scope(|scope| {
        for &cpu in cpus {
            let program = &program;
            scope.spawn(move || {
                on_cpu(cpu);
                for _ in 0..EACH {
                    assert_eq!(run(program, 1), 0);
                }
            });
        }
        // How many come at a time is not said: a slow machine gives few.
        let end = after(30_000);
        while seen < 2 * EACH && Some(Instant::now()) < end {
            poll(&mut reader, after(2_000), |record| {
                let Record::Sample { time_ns: Some(time), cpu, .. } = record else { panic!() };
                assert!(time >= last, "{time} after {last}");
                last = time;
                seen += 1;
                changes += u32::from(before.replace(cpu) != Some(cpu));
                Continue(())
            });
        }
    });
    assert_eq!(seen, 2 * EACH);
    assert!(changes > 1, "both CPUs have sent");
    assert_eq!((reader.late(), reader.lost()), (0, 0));
}

#[test]
fn what_is_sent_to_a_paused_ring_counts_as_lost() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    on_cpu(cpu::online().unwrap()[0]);
    let options = PerfOptions::new().sample_size(16);
    let mut reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
    run(&program, 5);
    reader.pause().unwrap();
    // `perf_output_begin` answers as if the ring were full.
    assert_eq!(run(&program, 7), -nix::libc::ENOSPC);
    reader.resume().unwrap();
    run(&program, 3);
    let mut seen = Vec::new();
    reader
        .drain(|record| {
            seen.push(match record {
                Record::Lost { count, .. } => 1000 + count,
                _ => record.value::<Event>().unwrap().number,
            });
            Continue(())
        })
        .unwrap();
    assert_eq!(seen, [0, 1, 2, 3, 4, 1007, 12, 13, 14]);
    assert_eq!(reader.lost(), 7);
}

#[test]
fn a_flight_recorder_has_the_last_samples() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    on_cpu(cpu::online().unwrap()[0]);
    let options = PerfOptions::new().ring_size(64 << 10).sample_size(16).time();
    let mut recorder = FlightRecorder::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
    let read = |recorder: &mut FlightRecorder| {
        let (mut numbers, mut lost) = (Vec::new(), 0);
        recorder
            .read(|record| {
                match record {
                    Record::Lost { count, .. } => lost += count,
                    _ => numbers.push(record.value::<Event>().unwrap().number),
                }
                Continue(())
            })
            .unwrap();
        (numbers, lost)
    };
    assert!(read(&mut recorder).0.is_empty());
    run(&program, 10);
    assert_eq!(read(&mut recorder).0, (0..10).collect::<Vec<_>>());
    assert_eq!(run(&program, 10_000), 0);
    let (numbers, _) = read(&mut recorder);
    let first = numbers[0];
    assert_eq!(numbers, (first..10_010).collect::<Vec<_>>());
    // 40 bytes a record, and the oldest is gone.
    let fit = (64 << 10) / 40;
    assert!((fit - 1..=fit).contains(&(numbers.len() as u64)), "{} of {fit}", numbers.len());
    // It goes on, and stands still when it is paused.
    run(&program, 5);
    recorder.pause().unwrap();
    run(&program, 4);
    let (numbers, _) = read(&mut recorder);
    assert_eq!(numbers.last(), Some(&10_014));
    recorder.resume().unwrap();
    run(&program, 1);
    let (numbers, lost) = read(&mut recorder);
    assert_eq!((numbers.last(), lost), (Some(&10_019), 4));
}

/// The second takes the first one's place; the first keeps what it has, and leaves the second alone when it goes.
#[test]
fn two_readers_on_one_map_lose_nothing() {
    needs!(Bpf, Root);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    let map = loader.map(&EVENTS).unwrap();
    let options = PerfOptions::new().sample_size(16);
    let mut first = PerfReader::open(map, &options).unwrap();
    run(&program, 10);
    let mut second = PerfReader::open(map, &options).unwrap();
    run(&program, 10);
    assert_eq!(numbers(&mut first), (0..10).collect::<Vec<_>>());
    assert_eq!(numbers(&mut second), (10..20).collect::<Vec<_>>());
    drop(first);
    assert_eq!(run(&program, 10), 0);
    assert_eq!(numbers(&mut second), (20..30).collect::<Vec<_>>());
    assert_eq!((second.count_lost(), second.lost()), (0, 0));
    drop(second);
    assert_eq!(run(&program, 1), -nix::libc::ENOENT);
}

#[test]
fn a_reader_that_is_dropped_in_the_middle_leaves_programs_in_peace() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    let map = loader.map(&EVENTS).unwrap();
    let options = PerfOptions::new().sample_size(16);
    let mut reader = PerfReader::open(map, &options).unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut answers = Vec::new();
            while answers.last() != Some(&-nix::libc::ENOENT) {
                answers.push(run(&program, 100));
            }
            answers
        });
        while reader.poll(None, |_| Break(())).unwrap() != Polled::Stopped {}
        let mut records = reader.records();
        while records.next().unwrap().is_none() {
            drop(records);
            std::thread::yield_now();
            records = reader.records();
        }
        drop(records);
        drop(reader);
        let answers = sender.join().unwrap();
        let expected = [0, -nix::libc::ENOSPC, -nix::libc::ENOENT];
        assert!(answers.iter().all(|answer| expected.contains(answer)), "{answers:?}");
    });
    // The next one begins with an empty ring.
    let mut reader = PerfReader::open(map, &options).unwrap();
    assert!(numbers(&mut reader).is_empty());
    assert_eq!(run(&program, 3), 0);
    assert_eq!(numbers(&mut reader).len(), 3);
}

/// Sends 64 KiB and more, which no record can hold.
static HUGE: ProgramSpec = ProgramSpec::new(
    "huge",
    ProgramType::Xdp,
    bpf! {
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;
        r4 = BIG[0] ll;
        r5 = 70000;
        call perf_event_output;
        exit;
    },
);
/// The same, as large as a record can be.
static LARGE: ProgramSpec = ProgramSpec::new(
    "large",
    ProgramType::Xdp,
    bpf! {
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;
        r4 = BIG[0] ll;
        r5 = 65516;
        call perf_event_output;
        exit;
    },
);
static BIG: MapSpec = MapSpec::array("big", 70_000, 1);

#[test]
fn samples_that_are_too_large_are_told() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let (huge, large) = (loader.load(&HUGE).unwrap(), loader.load(&LARGE).unwrap());
    on_cpu(cpu::online().unwrap()[0]);
    let map = loader.map(&EVENTS).unwrap();
    let mut reader = PerfReader::open(map, &PerfOptions::new().ring_size(1 << 20)).unwrap();
    assert_eq!(run(&large, 1), 0);
    let mut lengths = Vec::new();
    reader
        .drain(|record| {
            let Record::Sample { bytes, .. } = record else { panic!("{record:?}") };
            lengths.push(bytes.len());
            Continue(())
        })
        .unwrap();
    assert_eq!(lengths, [65_516]);
    // The kernel returns success.
    assert_eq!(run(&huge, 1), 0);
    let error = reader.drain(|_| Continue(())).unwrap_err().to_string();
    assert!(error.contains("a sample of more than a record can hold"), "{error}");
    // And the ring goes on.
    assert_eq!(run(&large, 1), 0);
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 1);
    drop(reader);

    // One that is larger than the ring, and could be in another, is lost and counted.
    let mut reader = PerfReader::open(map, &PerfOptions::new().ring_size(1)).unwrap();
    // (In a page of 64 KiB it has room.)
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    if smaps.contains("KernelPageSize:        4 kB") {
        assert_eq!(run(&large, 2), -nix::libc::ENOSPC);
        assert_eq!(reader.drain(|_| Continue(())).unwrap(), 0);
        let lost = reader.count_lost();
        needs_tried!("events that say what they lost", (lost == 0).then(|| "Linux 6.0".to_owned()));
        assert_eq!(lost, 2);
    }
}
