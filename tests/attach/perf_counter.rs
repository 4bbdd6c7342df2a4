//! Events of the perf subsystem.

use super::{COUNT, Counter, has_cookie};
use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::wait_until;
use rawbpf::attach::{Options, Target};
use rawbpf::{Errno, Error};
use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn counter(target: &Target, options: Options) -> Counter {
    Counter::new(&COUNT, target, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Something to do for a moment.
fn work() {
    black_box((0..100_000u64).fold(0, |sum, number| black_box(sum ^ number)));
}

/// The thread gives its CPU away, whatever the scheduler thinks: for longer than a slow machine takes to get that far.
fn sleep() {
    std::thread::sleep(Duration::from_millis(2));
}

#[test]
fn an_event_runs_the_program_each_time() {
    needs!(Bpf);
    let target: Target = "software:context-switches:1".parse().unwrap();
    let mut counter = counter(&target, Options::new());
    let online = rawbpf::kernel::cpu::online().unwrap().len();
    assert_eq!(counter.link().places(), online);
    let runs = counter.runs(sleep);
    assert!(runs >= super::CALLS as u64, "{runs}");
    counter.is_gone_when_dropped(sleep);
}

#[test]
fn a_period_is_how_many_there_are_between_two_runs() {
    needs!(Bpf);
    let target: Target = "software:context-switches:4".parse().unwrap();
    let counter = counter(&target, Options::new().pid(std::process::id()));
    let before = counter.count();
    for _ in 0..40 {
        sleep();
    }
    let runs = counter.count() - before;
    // There can be more switches than those that were asked for, not fewer.
    assert!(runs >= 9, "{runs}");
}

#[test]
fn a_profiler_ticks() {
    needs!(Bpf);
    let target: Target = "profile:hz:999".parse().unwrap();
    let mut counter = counter(&target, Options::new());
    wait_until("a tick", || {
        work();
        counter.count() > 0
    });
    counter.is_gone_when_dropped(work);
}

/// A process that works, until it is killed.
struct Worker(Child);

impl Worker {
    fn start() -> Worker {
        let mut command = Command::new("sh");
        Worker(command.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_process_alone_can_be_meant() {
    needs!(Bpf);
    let worker = Worker::start();
    let target: Target = "profile:hz:999".parse().unwrap();
    let counter = counter(&target, Options::new().pid(worker.0.id()));
    // This thread is none of it.
    for _ in 0..100 {
        work();
    }
    assert_eq!(counter.count(), 0);
    counter.watch(worker.0.id() as i32);
    wait_until("a tick in the other process", || counter.count() > 0);

    let nobody = Options::new().pid(i32::MAX as u32);
    drop(counter);
    match Counter::new(&COUNT, &target, &nobody) {
        Err(error @ Error::Attach { errno: Errno(libc::ESRCH), .. }) => {
            assert!(error.to_string().contains("no such process"), "{error}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn threads_that_a_process_starts_later_belong_to_it() {
    needs!(Bpf);
    needs_tried!("inherit_thread", (super::running() < (5, 13)).then(|| "Linux 5.13".to_string()));
    let target: Target = "profile:hz:999".parse().unwrap();
    let counter = counter(&target, Options::new().pid(std::process::id()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            counter.watch(nix::unistd::gettid().as_raw());
            wait_until("a tick in the new thread", || {
                work();
                counter.count() > 0
            });
        });
    });
}

#[test]
fn a_program_has_the_cookie_of_its_event() {
    needs!(Bpf);
    // As many switches as sleeps, if nothing else takes the CPU away in between: tried until it is so.
    if super::running() < (5, 15) {
        has_cookie("software:context-switches:1", (5, 15), sleep);
        return;
    }
    let target: Target = "software:context-switches:1".parse().unwrap();
    let options = Options::new().cookie(super::A_COOKIE);
    let counter = Counter::new(&super::COOKIE, &target, &options).unwrap();
    // The first sleep need not be a switch that the event has seen.
    wait_until("a switch with the cookie", || {
        sleep();
        counter.kept() != 0
    });
    assert_eq!(counter.kept(), super::A_COOKIE);
}

#[test]
fn an_event_that_is_not_there_says_so() {
    needs!(Bpf);
    for (target, nearest) in
        [("software:cpu-clok:1", "cpu-clock"), ("hardware:instruction:1", "instructions")]
    {
        let target: Target = target.parse().unwrap();
        match Counter::new(&COUNT, &target, &Options::new()) {
            Err(Error::NotFound { nearest: names, .. }) => assert_eq!(names[0], nearest),
            other => panic!("{:?}", other.err()),
        }
    }
    // More often than the kernel allows.
    let most = std::fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate").unwrap();
    let rate = most.trim().parse::<u64>().unwrap() + 1;
    let target: Target = format!("profile:hz:{rate}").parse().unwrap();
    let error = Counter::new(&COUNT, &target, &Options::new()).err().unwrap();
    assert!(error.to_string().contains("perf_event_max_sample_rate"), "{error}");
}

/// Machines like this one, whose CPUs let nothing be counted.
#[test]
fn a_machine_that_counts_nothing_is_said_to() {
    needs!(Bpf);
    // That of AArch64 is called armv8_pmuv3_0, armv8_cortex_a72, …
    let devices = std::fs::read_dir("/sys/bus/event_source/devices").unwrap().flatten();
    let has = devices.map(|device| device.file_name()).any(|name| {
        let name = name.to_string_lossy();
        name == "cpu" || name.starts_with("armv8")
    });
    needs_tried!("no_pmu", has.then(|| "this CPU counts events".to_string()));
    let target: Target = "hardware:cycles:1000000".parse().unwrap();
    let error = Counter::new(&COUNT, &target, &Options::new()).err().unwrap();
    assert!(error.to_string().contains("the CPU of this machine counts no such event"), "{error}");
}
