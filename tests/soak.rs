//! The example `soak`, for two seconds.

mod common;

#[path = "../examples/soak.rs"]
mod soak;

use common::requires::{Thing, needs};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(2);

#[test]
fn a_perf_ring_accounts_for_every_sample() {
    needs!(Bpf);
    let report = soak::perf(TIME).unwrap();
    println!("{report}");
    report.check().unwrap();
}

#[test]
fn a_ring_buffer_accounts_for_every_record() {
    needs!(Bpf);
    let report = soak::ringbuf(TIME).unwrap();
    println!("{report}");
    report.check().unwrap();
}
