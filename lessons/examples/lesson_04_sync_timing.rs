//! Lesson 4, `sync_timing`: a map keeps the time of the last `sync`; one that comes within a second is reported.
//!
//! After `examples/tracing/sync_timing.py` of BCC. Needs kprobes. In another window type `sync; sync; sync`.
//!
//! ```sh
//! cargo run --example lesson_04_sync_timing
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::trace_pipe::{TraceFields, TracePipe};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;

/// A hash table: keys of 8 bytes, values of 8 bytes, room for one. Its only key is 0.
static LAST: MapSpec = MapSpec::hash("last", 8, 8, 1);

static SYNC_TIMING: ProgramSpec = ProgramSpec::new(
    "sync_timing",
    ProgramType::Kprobe,
    bpf! {
        // The time, in nanoseconds. A call leaves its result in r0 and spoils r1 to r5; r6 to r9 it leaves alone, so
        // what is needed later goes there.
        call ktime_get_ns;
        r6 = r0;                            // r6: now

        // Keys and values are given to the map's helpers by address: they lie on the stack.
        *(u64 *)(r10 - 8) = 0;              // the key
        *(u64 *)(r10 - 16) = r6;            // the new value

        // map_lookup_elem(map, address of the key): r0 is the address of the value, or 0 if there is none. The verifier
        // tracks that, and rejects a load through r0 without a check.
        r1 = LAST ll;
        r2 = r10;
        r2 += -8;
        call map_lookup_elem;
        if r0 == 0 goto store;              // the first sync of all

        // How long ago was it?
        r7 = r6;
        r1 = *(u64 *)(r0 + 0);
        r7 -= r1;                           // r7: the difference, in nanoseconds
        if r7 > 999_999_999 goto store;     // a second and more
        r7 /= 1_000_000;                    // now in milliseconds

        // trace_printk(format, size, one number): the third argument is what %d stands for.
        *(u8 *)(r10 - 24) = "%d";
        r1 = r10;
        r1 += -24;
        r2 = 3;
        r3 = r7;
        call trace_printk;

    store:
        // map_update_elem(map, address of the key, address of the value, flags): 0 is BPF_ANY, make it or replace it.
        r1 = LAST ll;
        r2 = r10;
        r2 += -8;
        r3 = r10;
        r3 += -16;
        r4 = 0;
        call map_update_elem;
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    // That the program names LAST is all it takes to have the map made.
    let program = Loader::new().load(&SYNC_TIMING)?;
    let _link = attach::attach(&program, &Target::kprobe("sys_sync"))?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "Tracing for quick sync's... Ctrl-C to end")?;
    let mut start = None;
    while more() {
        let Some(line) = pipe.next_line(lesson::soon())? else { continue };
        let Some(fields) = TraceFields::parse(line) else { continue };
        let since = fields.time_ns - *start.get_or_insert(fields.time_ns);
        writeln!(
            out,
            "At time {:.2} s: multiple syncs detected, last {} ms ago",
            since as f64 / 1e9,
            String::from_utf8_lossy(fields.message),
        )?;
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
