//! Lesson 16, pings: a kprobe on `icmp_rcv`, from pointer to pointer into the packet.
//!
//! BCC has no example for this function; `examples/tracing/tcpv4connect.py`, which reads addresses from a `struct sock`, does the
//! same in its way. Needs kprobes. In another window type `ping -c 1 127.0.0.1`: it is two messages, a request and a reply.
//!
//! ```sh
//! cargo run --example lesson_16_icmp_rcv
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, plain, stack};
use std::io::Write;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;

#[path = "lesson/mod.rs"]
mod lesson;

plain! {
    /// A message that has come.
    #[repr(C)]
    struct Event {
        pid: u32,
        saddr: [u8; 4],
        daddr: [u8; 4],
        kind: u8,
        code: u8,
        // All bytes that are sent must have been written, so the padding has a name, too.
        zero: u16,
        comm: [u8; 16],
    }
}

/// The way to user space.
static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// The offset on the stack at which the program keeps a number that it has read, below the event.
const SCRATCH: i64 = stack!(Event) - 8;

/// `icmp_rcv(struct sk_buff *skb)`. A `sk_buff` has a pointer to a piece of memory, `head`, and the offset from it at
/// which the header of each layer begins.
static ICMP_RCV: ProgramSpec = ProgramSpec::new(
    "icmp_rcv",
    ProgramType::Kprobe,
    bpf! {
        r6 = r1;                                // the context, for the end
        r7 = *(u64 *)(r1 + pt_regs.parm1);      // the sk_buff

        // probe_read_kernel(to, size, from): r8 = skb->head
        r1 = r10;
        r1 += {SCRATCH};
        r2 = 8;
        r3 = r7;
        r3 += sk_buff.head;
        call probe_read_kernel;
        r8 = *(u64 *)(r10 + {SCRATCH});

        // r9 = skb->head + skb->network_header: the header of IP
        r1 = r10;
        r1 += {SCRATCH};
        r2 = 2;
        r3 = r7;
        r3 += sk_buff.network_header;
        call probe_read_kernel;
        r9 = *(u16 *)(r10 + {SCRATCH});
        r9 += r8;

        r1 = r10;
        r1 += {stack!(Event, saddr)};
        r2 = 4;
        r3 = r9;
        r3 += iphdr.saddr;
        call probe_read_kernel;
        r1 = r10;
        r1 += {stack!(Event, daddr)};
        r2 = 4;
        r3 = r9;
        r3 += iphdr.daddr;
        call probe_read_kernel;

        // r9 = skb->head + skb->transport_header: the header of ICMP, which begins with type and code
        r1 = r10;
        r1 += {SCRATCH};
        r2 = 2;
        r3 = r7;
        r3 += sk_buff.transport_header;
        call probe_read_kernel;
        r9 = *(u16 *)(r10 + {SCRATCH});
        r9 += r8;
        r1 = r10;
        r1 += {stack!(Event, kind)};
        r2 = 2;
        r3 = r9;
        r3 += icmphdr.type;
        call probe_read_kernel;
        *(u16 *)(r10 + {stack!(Event, zero)}) = 0;

        // The thread that was running when it came. Over loopback that is the sender; else the one that the network
        // card has interrupted.
        call get_current_pid_tgid;
        r0 >>= 32;
        *(u32 *)(r10 + {stack!(Event, pid)}) = r0;
        r1 = r10;
        r1 += {stack!(Event, comm)};
        r2 = 16;
        call get_current_comm;

        r1 = r6;
        r2 = EVENTS ll;
        r3 = enum.BPF_F_CURRENT_CPU ll;
        r4 = r10;
        r4 += {stack!(Event)};
        r5 = {Event::SIZE};
        call perf_event_output;

        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    let options = PerfOptions::new().sample_size(Event::SIZE);
    let mut reader = PerfReader::open(loader.map(&EVENTS)?, &options)?;
    let program = loader.load(&ICMP_RCV)?;
    let _link = attach::attach(&program, &Target::kprobe("icmp_rcv"))?;
    writeln!(
        out,
        "{:<6} {:<12} {:<16} {:<16} {:<4} CODE",
        "PID", "COMM", "SADDR", "DADDR", "TYPE"
    )?;
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
                "{:<6} {:<12} {:<16} {:<16} {:<4} {}",
                event.pid,
                lesson::text(&event.comm),
                Ipv4Addr::from(event.saddr).to_string(),
                Ipv4Addr::from(event.daddr).to_string(),
                event.kind,
                event.code,
            )?;
        }
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
