//! Lesson 10, `vfsreadlat`: how long reading takes. One program runs when a function is entered, another when it returns.
//!
//! After `examples/tracing/vfsreadlat.py` of BCC. Needs kprobes. Prints every five seconds, and at the end.
//!
//! ```sh
//! cargo run --example lesson_10_vfsreadlat
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Write;
use std::time::{Duration, Instant};

#[path = "lesson/mod.rs"]
mod lesson;

/// When each thread began to read: its number is the key, nanoseconds the value.
static START: MapSpec = MapSpec::hash("start", 4, 8, 10240);

/// The number of reads for each range of latencies.
static DIST: MapSpec = MapSpec::array("dist", 8, 65);

/// `vfs_read` is entered.
static ENTRY: ProgramSpec = ProgramSpec::new(
    "entry",
    ProgramType::Kprobe,
    bpf! {
        // A thread is in one vfs_read at a time, so its number identifies which return belongs to which entry.
        call get_current_pid_tgid;
        *(u32 *)(r10 - 4) = w0;             // the key: the lower half, the thread
        call ktime_get_ns;
        *(u64 *)(r10 - 16) = r0;            // the value
        r1 = START ll;
        r2 = r10;
        r2 += -4;
        r3 = r10;
        r3 += -16;
        r4 = 0;                             // BPF_ANY
        call map_update_elem;
        r0 = 0;
        exit;
    },
);

/// `vfs_read` returns.
static RETURN: ProgramSpec = ProgramSpec::new(
    "return",
    ProgramType::Kprobe,
    bpf! {
        call get_current_pid_tgid;
        *(u32 *)(r10 - 4) = w0;             // the key
        r1 = START ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;                // it was entered before we were attached

        r6 = *(u64 *)(r0 + 0);              // r6: when it was entered
        call ktime_get_ns;
        r0 -= r6;
        r6 = r0;                            // r6: how long it took, nanoseconds
        r1 = START ll;
        r2 = r10;
        r2 += -4;
        call map_delete_elem;

        r1 = r6;
        r1 /= 1000;                         // microseconds
        call log2;
        *(u32 *)(r10 - 4) = w0;             // the key: which bucket
        r1 = DIST ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r1 = 1;
        lock *(u64 *)(r0 + 0) += r1;        // one more, whatever other CPUs do
    out:
        r0 = 0;
        exit;
    },
);

const INTERVAL: Duration = Duration::from_secs(5);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    let (entry, on_return) = (loader.load(&ENTRY)?, loader.load(&RETURN)?);
    let _entry = attach::attach(&entry, &Target::kprobe("vfs_read"))?;
    let _return = attach::attach(&on_return, &Target::kretprobe("vfs_read"))?;
    let dist = loader.map(&DIST)?;
    writeln!(out, "Tracing... Hit Ctrl-C to end.")?;
    let mut begun = Instant::now();
    loop {
        let go_on = more();
        if !go_on || begun.elapsed() >= INTERVAL {
            writeln!(out)?;
            lesson::print_log2(out, dist, "usecs")?;
            lesson::zero(dist)?;
            begun = Instant::now();
        }
        if !go_on {
            return Ok(());
        }
        lesson::wait();
    }
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
