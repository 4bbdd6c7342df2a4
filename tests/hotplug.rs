//! Perf rings of a CPU that goes and comes back. In a file of its own: what happens to a CPU happens to everybody.

mod common;

use common::requires::{Thing, needs};
use common::wait_until;
use nix::libc::EOPNOTSUPP;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Program, ProgramSpec, ProgramType, bpf};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow::Continue;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// Sends 8 bytes, and returns what that returned.
static SEND: ProgramSpec = ProgramSpec::new(
    "send",
    ProgramType::SocketFilter,
    bpf! {
        *(u64 *)(r10 - 8) = 7;
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;
        r4 = r10;
        r4 += -8;
        r5 = 8;
        call perf_event_output;
        exit;
    },
);

/// There is one CPU 1.
static HOTPLUG: Mutex<()> = Mutex::new(());

/// CPU 1, taken offline and brought back.
struct Cpu1;

impl Cpu1 {
    fn set(online: bool) {
        let value = if online { "1" } else { "0" };
        std::fs::write("/sys/devices/system/cpu/cpu1/online", value).unwrap();
    }
}

impl Drop for Cpu1 {
    fn drop(&mut self) {
        // It may be on already.
        let _ = std::fs::write("/sys/devices/system/cpu/cpu1/online", "1");
    }
}

/// Runs the program on a CPU, in a thread that is gone then: one that is bound to a CPU that goes offline is moved. Gives
/// how often it returned what.
fn run_on(cpu: usize, program: &Program, times: usize) -> BTreeMap<i32, usize> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut set = CpuSet::new();
            set.set(cpu).unwrap();
            sched_setaffinity(Pid::from_raw(0), &set).unwrap();
            let mut answers = BTreeMap::new();
            for _ in 0..times {
                let answer = program.test_run(&[0; 64], 1).unwrap().returned.cast_signed();
                *answers.entry(answer).or_default() += 1;
            }
            answers
        });
        thread.join().unwrap()
    })
}

/// The number of samples of each CPU.
fn drain(reader: &mut PerfReader) -> BTreeMap<u32, usize> {
    let mut seen = BTreeMap::new();
    reader
        .drain(|record| {
            let Record::Sample { cpu, .. } = record else { panic!("{record:?}") };
            *seen.entry(cpu).or_default() += 1;
            Continue(())
        })
        .unwrap();
    seen
}

#[test]
fn a_cpu_may_go_and_come_back_while_it_is_read() {
    needs!(Bpf, OfflineCpu);
    let _held = HOTPLUG.lock().unwrap_or_else(PoisonError::into_inner);
    let _back = Cpu1;
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    let map = loader.map(&EVENTS).unwrap();
    let mut reader = PerfReader::open(map, &PerfOptions::new().sample_size(8)).unwrap();
    let all = |times| BTreeMap::from([(0, times)]);
    assert_eq!(run_on(1, &program, 50), all(50));

    // The contents of its ring are not lost.
    Cpu1::set(false);
    assert_eq!(run_on(0, &program, 5), all(5));
    assert_eq!(drain(&mut reader), BTreeMap::from([(0, 5), (1, 50)]));
    assert_eq!(reader.refresh().unwrap(), 0);

    // When it is back, its event is dead, and programs get an error.
    Cpu1::set(true);
    assert_eq!(run_on(1, &program, 3), BTreeMap::from([(-EOPNOTSUPP, 3)]));
    assert_eq!(reader.refresh().unwrap(), 1);
    assert_eq!(run_on(1, &program, 4), all(4));
    assert_eq!(run_on(0, &program, 6), all(6));
    assert_eq!(drain(&mut reader), BTreeMap::from([(0, 6), (1, 4)]));
    assert_eq!(reader.refresh().unwrap(), 0);

    // A ring with unread records is kept.
    assert_eq!(run_on(1, &program, 2), all(2));
    Cpu1::set(false);
    Cpu1::set(true);
    assert_eq!(reader.refresh().unwrap(), 0);
    assert_eq!(drain(&mut reader), BTreeMap::from([(1, 2)]));
    assert_eq!(reader.refresh().unwrap(), 1);

    // A reader that polls does all of that itself.
    Cpu1::set(false);
    Cpu1::set(true);
    let mut seen = 0;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            wait_until("the reader finds the CPU", || run_on(1, &program, 1).contains_key(&0));
            run_on(1, &program, 9)
        });
        while !sender.is_finished() {
            let deadline = Instant::now() + Duration::from_millis(2500);
            reader
                .poll(Some(deadline), |_| {
                    seen += 1;
                    Continue(())
                })
                .unwrap();
        }
        assert_eq!(sender.join().unwrap(), all(9));
    });
    seen += drain(&mut reader).values().sum::<usize>();
    assert_eq!((seen, reader.count_lost()), (10, 0));
    drop(reader);

    // One that was not there when the reader was opened.
    Cpu1::set(false);
    let mut reader = PerfReader::open(map, &PerfOptions::new().sample_size(8)).unwrap();
    assert_eq!(reader.lost_per_cpu().count(), 1);
    Cpu1::set(true);
    assert_eq!(reader.refresh().unwrap(), 1);
    assert_eq!(run_on(1, &program, 4), all(4));
    assert_eq!(drain(&mut reader), BTreeMap::from([(1, 4)]));
}

/// The command line warns of samples that it cannot have seen.
#[test]
fn run_tells_of_a_cpu_that_comes() {
    needs!(Tracepoint, OfflineCpu);
    let _held = HOTPLUG.lock().unwrap_or_else(PoisonError::into_inner);
    let _back = Cpu1;
    Cpu1::set(false);
    let mut command = Command::new(common::rawbpf());
    let command = command.args(["run", "perf-output", "--", "sh", "-c", "echo begun; read line"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(run.stdout.take().unwrap());
    while line != "begun\n" {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it does not begin");
    }
    Cpu1::set(true);
    let mut errors = BufReader::new(run.stderr.take().unwrap());
    while !line.contains("CPU 1 came online: samples sent there before") {
        line.clear();
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it does not tell");
    }
    // The command reads the end of its input, and fails.
    drop(run.stdin.take());
    assert_eq!(run.wait().unwrap().code(), Some(1));
}
