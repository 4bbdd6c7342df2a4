//! A process that reads and is stopped for a while (`SIGSTOP`): records that come meanwhile are there afterwards, or
//! reported as lost.

mod common;

use common::requires::{Thing, needs};
use common::{role, this_test_as};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rawbpf::perf::{PerfOptions, PerfReader, Polled, Record};
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, Map, MapSpec, Plain, Program, ProgramSpec, ProgramType, bpf};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::ControlFlow::Continue;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

static PERF: MapSpec = MapSpec::perf_event_array("events");
static RING: MapSpec = MapSpec::ring_buffer("events", 64 << 10);
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
        *(u64 *)(r10 - 8) = r0;
        r1 = r6;
        r2 = PERF ll;
        r3 = 0xffffffff ll;
        r4 = r10;
        r4 += -8;
        r5 = 8;
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
        r0 = *(u64 *)(r7 + 0);
        r2 = r0;
        r2 += 1;
        *(u64 *)(r7 + 0) = r2;
        *(u64 *)(r10 - 8) = r0;
        r1 = RING ll;
        r2 = r10;
        r2 += -8;
        r3 = 8;
        r4 = 0;
        call ringbuf_output;
        if r0 == 0 goto out;
        r1 = 1;
        lock *(u64 *)(r7 + 8) += r1;
    out:
        r0 = 0;
        exit;
    },
);

/// The reading process: prints `ready`, reads until its standard input ends, and prints how many samples it read and
/// how many were reported as lost. For each byte of its input it prints, once it has read the samples that were there,
/// their number.
fn read_until_the_end(mut poll: impl FnMut(bool) -> [u64; 2]) -> u64 {
    println!("ready");
    let asked = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for byte in std::io::stdin().lock().bytes() {
            if byte.is_err() || asked.0.send(()).is_err() {
                return;
            }
        }
    });
    loop {
        poll(false);
        match asked.1.try_recv() {
            Ok(()) => println!("read {}", poll(true)[0]),
            Err(std::sync::mpsc::TryRecvError::Empty) => {}
            Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
        }
    }
    let [read, lost] = poll(true);
    println!("read {read}");
    println!("lost {lost}");
    lost
}

/// The child that reads, and its output.
struct Reading {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Reading {
    fn start(test: &str, map: &Map) -> Reading {
        let id = map.info().unwrap().id.to_string();
        let mut command = this_test_as(test, &id);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut reading = Reading { child, says };
        reading.number("ready");
        reading
    }

    /// The number after a word of its output, among the lines of the test harness.
    fn number(&mut self, word: &str) -> u64 {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.split_once(word).map(|(_, rest)| rest.trim()) {
                return rest.parse().unwrap_or(0);
            }
            line.clear();
        }
        panic!("it did not say `{word}`");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Has it read what there is.
    fn catch_up(&mut self) -> u64 {
        self.child.stdin.as_mut().unwrap().write_all(b".").unwrap();
        self.number("read ")
    }
}

/// Sends while the reader runs, while it is stopped and while it runs again; gives how many were read and lost.
fn stop_the_reader(test: &str, map: &Map, program: &Program) -> (u64, u64) {
    let mut set = CpuSet::new();
    set.set(rawbpf::kernel::cpu::online().unwrap()[0] as usize).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
    let send = |times| assert_eq!(program.test_run(&[0; 64], times).unwrap().returned, 0);

    let mut reading = Reading::start(test, map);
    send(1000);
    assert!(reading.catch_up() >= 1000, "it reads");
    reading.signal(Signal::SIGSTOP);
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        send(1000);
        std::thread::sleep(Duration::from_millis(1));
    }
    reading.signal(Signal::SIGCONT);
    reading.catch_up();
    // One that has room: with it comes how many had none.
    send(1);
    drop(reading.child.stdin.take());
    let answer = (reading.number("read "), reading.number("lost "));
    assert!(reading.child.wait().unwrap().success());
    answer
}

fn counts(loader: &mut Loader<'_>) -> [u64; 2] {
    let value = loader.map(&COUNTS).unwrap().lookup(&0u32.to_ne_bytes()).unwrap().unwrap();
    Plain::from_bytes(&value).unwrap()
}

#[test]
fn a_perf_ring_is_read_by_a_process_that_is_stopped() {
    if let Some(id) = role() {
        let map = Map::open_id(id.parse().unwrap()).unwrap();
        let mut reader = PerfReader::open(&map, &PerfOptions::new().sample_size(8)).unwrap();
        let [mut read, mut told] = [0; 2];
        let lost = read_until_the_end(|all| {
            let consume = |record: Record<'_>| {
                match record {
                    Record::Lost { count, .. } => told += count,
                    _ => read += 1,
                }
                Continue(())
            };
            if all {
                reader.drain(consume).unwrap();
            } else {
                reader.poll(Some(Instant::now() + Duration::from_millis(5)), consume).unwrap();
            }
            [read, told]
        });
        assert_eq!(reader.count_lost(), lost);
        return;
    }
    needs!(Bpf, Root);
    let mut loader = Loader::new();
    let program = loader.load(&SEND_PERF).unwrap();
    let map = loader.map(&PERF).unwrap().clone();
    let test = "a_perf_ring_is_read_by_a_process_that_is_stopped";
    let (read, lost) = stop_the_reader(test, &map, &program);
    let [sent, refused] = counts(&mut loader);
    assert_eq!((read + lost, lost), (sent, refused));
    assert!(lost > 0, "the ring holds less than what was sent");
}

#[test]
fn a_ring_buffer_is_read_by_a_process_that_is_stopped() {
    if let Some(id) = role() {
        let map = Map::open_id(id.parse().unwrap()).unwrap();
        let mut reader = RingBufReader::open(&map).unwrap();
        let mut read = 0;
        read_until_the_end(|all| {
            let mut consume = |_: rawbpf::ringbuf::Record<'_>| {
                read += 1;
                Continue(())
            };
            if all {
                reader.drain(&mut consume).unwrap();
            } else {
                let deadline = Some(Instant::now() + Duration::from_millis(5));
                let polled = reader.poll(deadline, &mut consume).unwrap();
                assert_ne!(polled, Polled::Stopped);
            }
            [read, 0]
        });
        return;
    }
    needs!(Bpf, Root);
    let mut loader = Loader::new();
    let program = loader.load(&SEND_RING).unwrap();
    let map = loader.map(&RING).unwrap().clone();
    let test = "a_ring_buffer_is_read_by_a_process_that_is_stopped";
    let (read, _) = stop_the_reader(test, &map, &program);
    let [sent, refused] = counts(&mut loader);
    assert_eq!(read + refused, sent);
    assert!(refused > 0, "the ring holds less than what was sent");
}
