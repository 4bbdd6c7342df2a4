//! Lesson 12, disksnoop once more: on tracepoints, and by samples instead of lines of text.
//!
//! After lesson 13 of BCC's tutorial, "disksnoop.py fixed", which asks for `examples/tracing/disksnoop.py` on
//! `block:block_rq_issue` and `block:block_rq_complete`. The functions that the older one listens to have been renamed
//! several times; the tracepoints have not. Needs no kprobes, but a disk. In another window type `sync`.
//!
//! ```sh
//! cargo run --example lesson_12_disksnoop
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, plain, stack};
use std::io::Write;
use std::ops::ControlFlow;

#[path = "lesson/mod.rs"]
mod lesson;

plain! {
    /// A request when it is issued to the disk. Its first 16 bytes, which identify it, are the key of the map, the
    /// others the value.
    #[repr(C)]
    struct Issued {
        sector: u64,
        dev: u32,
        zero: u32,
        ts: u64,
        bytes: u64,
    }

    /// The record that is sent when the request is done. It begins with the same key.
    #[repr(C)]
    struct Event {
        sector: u64,
        dev: u32,
        zero: u32,
        ts: u64,
        delta: u64,
        bytes: u64,
        rwbs: [u8; 8],
    }
}

/// The bytes of a request's name.
const KEY: usize = 16;

/// Requests that the disk has at the moment: 16 bytes of key, 16 of value.
static START: MapSpec = MapSpec::hash("start", KEY as u32, 16, 10240);
/// The way to user space.
static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// Keeps when a request went to the disk, and its size.
static ISSUE: ProgramSpec = ProgramSpec::new(
    "issue",
    ProgramType::Tracepoint,
    bpf! {
        // r6 to r9 survive calls, r1 to r5 do not: the context, the fields of the tracepoint, moves to r6.
        r6 = r1;

        // The key. The hash table compares bytes, so padding is set to 0 as well.
        r1 = *(u64 *)(r6 + args.sector);
        *(u64 *)(r10 + {stack!(Issued, sector)}) = r1;
        r1 = *(u32 *)(r6 + args.dev);
        *(u32 *)(r10 + {stack!(Issued, dev)}) = r1;
        *(u32 *)(r10 + {stack!(Issued, zero)}) = 0;

        // The value. A load of 32 bits clears the other half of the register, so that all of it can be stored.
        call ktime_get_ns;
        *(u64 *)(r10 + {stack!(Issued, ts)}) = r0;
        r1 = *(u32 *)(r6 + args.bytes);
        *(u64 *)(r10 + {stack!(Issued, bytes)}) = r1;

        r1 = START ll;
        r2 = r10;
        r2 += {stack!(Issued)};                 // where the key is
        r3 = r10;
        r3 += {stack!(Issued, ts)};             // and the value
        r4 = 0;                                 // BPF_ANY: put it there, whatever was
        call map_update_elem;

        r0 = 0;
        exit;
    },
)
.with_target("block/block_rq_issue");

/// Looks up when it went there, and sends how long it took.
static COMPLETE: ProgramSpec = ProgramSpec::new(
    "complete",
    ProgramType::Tracepoint,
    bpf! {
        r6 = r1;

        r1 = *(u64 *)(r6 + args.sector);
        *(u64 *)(r10 + {stack!(Event, sector)}) = r1;
        r1 = *(u32 *)(r6 + args.dev);
        *(u32 *)(r10 + {stack!(Event, dev)}) = r1;
        *(u32 *)(r10 + {stack!(Event, zero)}) = 0;

        r1 = START ll;
        r2 = r10;
        r2 += {stack!(Event)};
        call map_lookup_elem;
        // r0 points to the value in the map, or is 0: then the request is older than this program. Without the question the
        // verifier lets no one read there.
        if r0 == 0 goto out;

        r7 = *(u64 *)(r0 + 0);                  // when it went there
        r8 = *(u64 *)(r0 + 8);                  // its size: the request's own is 0 by now
        *(u64 *)(r10 + {stack!(Event, bytes)}) = r8;

        call ktime_get_ns;
        *(u64 *)(r10 + {stack!(Event, ts)}) = r0;
        r0 -= r7;
        *(u64 *)(r10 + {stack!(Event, delta)}) = r0;

        // The kind of request, in letters: W, R, WS, FF ... They are not aligned to 8 bytes, so no single load gets
        // them.
        r1 = r10;
        r1 += {stack!(Event, rwbs)};            // to
        r2 = 8;                                 // so many bytes
        r3 = r6;
        r3 += args.rwbs;                        // from
        call probe_read_kernel;

        // It is done, so it is forgotten. (Its key still lies where the event begins.)
        r1 = START ll;
        r2 = r10;
        r2 += {stack!(Event)};
        call map_delete_elem;

        // perf_event_output(context, map, which CPU's ring, data, size).
        r1 = r6;
        r2 = EVENTS ll;
        r3 = enum.BPF_F_CURRENT_CPU ll;
        r4 = r10;
        r4 += {stack!(Event)};
        r5 = {Event::SIZE};
        call perf_event_output;

        out:
        r0 = 0;
        exit;
    },
)
.with_target("block/block_rq_complete");

impl Event {
    /// Read, write, or something about the disk itself.
    fn kind(&self) -> char {
        match lesson::text(&self.rwbs) {
            // Writes, and discards, which the kernel counts among them.
            rwbs if rwbs.contains(['W', 'D']) => 'W',
            _ if self.bytes == 0 => 'M',
            _ => 'R',
        }
    }
}

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    // Both programs come from one loader, so `START` is one map.
    let mut loader = Loader::new();
    let options = PerfOptions::new().sample_size(Event::SIZE);
    let mut reader = PerfReader::open(loader.map(&EVENTS)?, &options)?;
    let issue = loader.load(&ISSUE)?;
    let complete = loader.load(&COMPLETE)?;
    let _complete = attach::attach(&complete, &Target::tracepoint("block", "block_rq_complete"))?;
    let _issue = attach::attach(&issue, &Target::tracepoint("block", "block_rq_issue"))?;
    writeln!(out, "{:<18} {:<2} {:<7} {:>8}", "TIME(s)", "T", "BYTES", "LAT(ms)")?;
    while more() {
        let mut events = Vec::new();
        reader.poll(lesson::soon(), |record| {
            if let Record::Sample { bytes, .. } = record {
                events.extend(Event::from_bytes(bytes));
            }
            ControlFlow::Continue(())
        })?;
        for event in events {
            writeln!(
                out,
                "{:<18.9} {:<2} {:<7} {:>8.2}",
                event.ts as f64 / 1e9,
                event.kind(),
                event.bytes,
                event.delta as f64 / 1e6,
            )?;
        }
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
