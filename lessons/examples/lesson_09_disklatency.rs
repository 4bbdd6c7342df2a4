//! Lesson 9, `disklatency`: how long requests to disks take, as a histogram of powers of two.
//!
//! The tenth lesson of BCC's tutorial for Python developers, `disklatency.py`, which it leaves to the reader to write: the
//! times of lesson 5 and the histogram of lesson 8.
//!
//! ```sh
//! cargo run --example lesson_09_disklatency
//! ```

use rawbpf::attach::{self, Options, Target};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// When each request began, nanoseconds, by the address of its `struct request`.
static START: MapSpec = MapSpec::hash("start", 8, 8, 10240);

/// The number of requests for each range of latencies.
static DIST: MapSpec = MapSpec::array("dist", 8, 65);

/// A request is handed to the disk's driver.
static ISSUE: ProgramSpec = ProgramSpec::new(
    "issue",
    ProgramType::Tracing,
    bpf! {
        r1 = *(u64 *)(r1 + args.rq);        // the request
        *(u64 *)(r10 - 8) = r1;             // is the key,
        call ktime_get_ns;
        *(u64 *)(r10 - 16) = r0;            // and the time the value
        r1 = START ll;
        r2 = r10;
        r2 += -8;
        r3 = r10;
        r3 += -16;
        r4 = 0;                             // BPF_ANY
        call map_update_elem;
        r0 = 0;
        exit;
    },
);

/// The disk is done with a request.
static COMPLETE: ProgramSpec = ProgramSpec::new(
    "complete",
    ProgramType::Tracing,
    bpf! {
        r1 = *(u64 *)(r1 + args.rq);
        *(u64 *)(r10 - 8) = r1;             // the key
        r1 = START ll;
        r2 = r10;
        r2 += -8;
        call map_lookup_elem;
        if r0 == 0 goto out;                // it began before we did

        r6 = *(u64 *)(r0 + 0);              // r6: when it began
        call ktime_get_ns;
        r0 -= r6;
        r6 = r0;                            // r6: how long it took, nanoseconds
        r1 = START ll;
        r2 = r10;
        r2 += -8;
        call map_delete_elem;

        r1 = r6;
        r1 /= 1000;                         // microseconds
        call log2;
        *(u32 *)(r10 - 12) = w0;            // the key: which bucket
        r1 = DIST ll;
        r2 = r10;
        r2 += -12;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r1 = 1;
        lock *(u64 *)(r0 + 0) += r1;        // one more, whatever other CPUs do
    out:
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let issued: Target = "tp_btf:block_rq_issue".parse()?;
    let completed: Target = "tp_btf:block_rq_complete".parse()?;
    let mut loader = Loader::new();
    let options = Options::new();
    let _issue = attach::load_and_attach_with(&mut loader, &ISSUE, &issued, &options)?;
    let _complete = attach::load_and_attach_with(&mut loader, &COMPLETE, &completed, &options)?;
    writeln!(out, "Tracing... Hit Ctrl-C to end.")?;
    while more() {
        lesson::wait();
    }
    writeln!(out)?;
    lesson::print_log2(out, loader.map(&DIST)?, "usecs")
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
