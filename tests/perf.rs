//! The perf reader and what the process around it goes through.

mod common;

use common::needs::{Thing, needs};
use rawbpf::perf::{PerfOptions, PerfReader, Polled};
use rawbpf::{Map, MapSpec};
use std::ops::ControlFlow;
use std::process::Command;
use std::time::{Duration, Instant};

static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// A process that is stopped and continued gets `EINTR` from `epoll_wait(2)`, handler or not
/// (`signal(7)`). That is a signal without `unsafe`; it goes to the whole process, so this test is
/// the only one in this file that waits.
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
