//! Lesson 17, packets by a socket filter: data of one's own and the packet behind it, in one sample.
//!
//! After `examples/networking/tc_perf_event.py` of BCC, which does it by `perf_submit_skb` in a classifier; here it is a socket
//! filter, the first kind of BPF program that there was. Needs no kprobes. It looks at the loopback device, where
//! each packet passes twice, on its way out and on its way in. In another window type `ping -c 1 127.0.0.1`.
//!
//! ```sh
//! cargo run --example lesson_17_socket_filter
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, plain, stack};
use std::io::Write;
use std::ops::ControlFlow;

#[path = "lesson/mod.rs"]
mod lesson;
#[path = "lesson/packet.rs"]
mod packet;

plain! {
    /// The header that is sent before the bytes of a packet.
    #[repr(C)]
    struct Event {
        /// The length of the packet.
        len: u32,
        /// The number of its bytes that follow.
        captured: u32,
    }
}

/// The largest number of bytes of a packet that are sent: enough for its headers.
const CAPTURE: u32 = 128;

/// The way to user space.
static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// The context is a `struct __sk_buff`: not the kernel's own `sk_buff`, but an image of it that stays the same, whose fields
/// the verifier turns into loads from where the kernel has them.
static FILTER: ProgramSpec = ProgramSpec::new(
    "filter",
    ProgramType::SocketFilter,
    bpf! {
        r6 = r1;                                // the context, kept over the call

        r1 = *(u32 *)(r6 + __sk_buff.len);
        *(u32 *)(r10 + {stack!(Event, len)}) = r1;

        // At most CAPTURE bytes, and no more than there are: asking for more is an error, and nothing is sent.
        if r1 <= {CAPTURE} goto all;
        r1 = {CAPTURE};
        all:
        *(u32 *)(r10 + {stack!(Event, captured)}) = r1;

        // perf_event_output(context, map, flags, data, size). The low half of the flags selects the CPU's ring; the
        // number of bytes of the packet to append to the data is in the high half.
        r3 = r1;
        r3 <<= 32;
        r1 = enum.BPF_F_CURRENT_CPU ll;
        r3 |= r1;
        r1 = r6;
        r2 = EVENTS ll;
        r4 = r10;
        r4 += {stack!(Event)};
        r5 = {Event::SIZE};
        call perf_event_output;

        // The number of bytes of the packet that the socket gets: none, since it is not read.
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    let mut reader = PerfReader::open(loader.map(&EVENTS)?, &PerfOptions::new())?;
    let program = loader.load(&FILTER)?;
    let _link = attach::attach(&program, &Target::Socket { device: "lo".into() })?;
    writeln!(out, "{:<3} {:<32} {:<32} {:<5} LEN", "CPU", "SRC IP", "DST IP", "PROTO")?;
    while more() {
        let mut events = Vec::new();
        reader.poll(lesson::soon(), |record| {
            if let Record::Sample { cpu, bytes, .. } = record {
                // The samples have no fixed size, and the kernel fills them up to a multiple of 8: the event holds the
                // length.
                if let Some((head, rest)) = bytes.split_first_chunk::<{ Event::SIZE }>()
                    && let Some(event) = Event::from_bytes(head)
                    && let Some(frame) = rest.get(..event.captured as usize)
                {
                    events.extend(packet::Packet::read(frame).map(|packet| (cpu, event, packet)));
                }
            }
            ControlFlow::Continue(())
        })?;
        for (cpu, event, packet) in events {
            writeln!(
                out,
                "{cpu:<3} {:<32} {:<32} {:<5} {}",
                packet.source.to_string(),
                packet.destination.to_string(),
                packet.protocol(),
                event.len,
            )?;
        }
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
