//! Lesson 8, `bitehist`: how large requests to disks are, as a histogram of powers of two.
//!
//! After `examples/tracing/bitehist.py` of BCC. That one has a kprobe on a function of the block layer that has since been
//! renamed and inlined; this one the tracepoint beside it, which hands over the same `struct request` (Linux 5.5).
//!
//! ```sh
//! cargo run --example lesson_08_bitehist
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// An array of 65 counters of 8 bytes, all 0 at first: a bucket for each power of two that 64 bits can hold.
static DIST: MapSpec = MapSpec::array("dist", 8, 65);

static COUNT: ProgramSpec = ProgramSpec::new(
    "count",
    ProgramType::Tracing,
    bpf! {
        r1 = *(u64 *)(r1 + args.rq);                    // the request
        r1 = *(u32 *)(r1 + request.__data_len);         // its size in bytes
        r1 /= 1024;                                     // KiB
        call log2;                                      // r0 is the bucket: 1 for 0 and 1, 2 for 2 and 3, 3 for 4 to 7, …
        *(u32 *)(r10 - 4) = w0;

        // The key of an array is the number of the element, 4 bytes. It is always there; the verifier requires the
        // check all the same, for a number of 65 and more would give 0.
        r1 = DIST ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;

        // One more. Requests may end on several CPUs at the same time: `lock` makes reading, adding and writing one step.
        r1 = 1;
        lock *(u64 *)(r0 + 0) += r1;
    out:
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let target: Target = "tp_btf:block_rq_complete".parse()?;
    let mut loader = Loader::new();
    let _attached = attach::load_and_attach(&mut loader, &COUNT, &target)?;
    writeln!(out, "Tracing... Hit Ctrl-C to end.")?;
    while more() {
        lesson::wait();
    }
    writeln!(out)?;
    lesson::print_log2(out, loader.map(&DIST)?, "kbytes")
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
