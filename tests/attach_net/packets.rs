//! Programs that send the packets they see to user space: `perf_event_output` with the packet as its context.

use super::common::alone;
use super::common::requires::{Thing, needs};
use super::{FRAME, PACKETS, PAYLOAD, in_own_network, ping};
use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::ops::ControlFlow;

static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// The number of bytes that the program sends before those of the packet: its length.
const OWN: usize = 8;

/// Sends the length of a frame, and the frame, which statements have put r7 bytes of; returns something.
///
/// The upper half of the flags of `perf_event_output` is the number of bytes of the packet to send, the lower half
/// selects the CPU's ring: this one's.
macro_rules! sending {
    ($name:literal, $kind:ident, $returns:literal, $($statements:tt)*) => {
        ProgramSpec::new($name, ProgramType::$kind, bpf! {
            r6 = r1;
            $($statements)*
            if r7 != {FRAME} goto out;
            *(u64 *)(r10 - 8) = r7;
            r1 = r6;
            r2 = EVENTS ll;
            r3 = r7;
            r3 <<= 32;
            r0 = 0xffffffff ll;         // BPF_F_CURRENT_CPU
            r3 |= r0;
            r4 = r10;
            r4 += -8;
            r5 = {OWN};
            call perf_event_output;
        out:
            r0 = $returns;
            exit;
        })
    };
}

/// `__sk_buff.len`; 0 so that the socket keeps nothing.
static SEND_SKB: ProgramSpec = sending! { "send_skb", SocketFilter, 0,
    r7 = *(u32 *)(r1 + 0);
};

/// `xdp_md.data_end` less `data`; `XDP_PASS`.
static SEND_XDP: ProgramSpec = sending! { "send_xdp", Xdp, 2,
    r2 = *(u32 *)(r1 + 0);
    r7 = *(u32 *)(r1 + 4);
    r7 -= r2;
};

fn packets(spec: &ProgramSpec<'_, '_>, target: &str) -> u64 {
    let mut loader = Loader::new();
    let options = PerfOptions::new().sample_size(OWN + FRAME);
    let mut reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
    let program = loader.load(spec).unwrap_or_else(|error| panic!("{error}"));
    let target: Target = target.parse().unwrap();
    let link = attach::attach(&program, &target).unwrap_or_else(|error| panic!("{error}"));
    ping();
    drop(link);
    ping();
    let mut count = 0;
    let look = |record: Record<'_>| {
        let Record::Sample { bytes, .. } = record else { panic!("{record:?}") };
        let (length, frame) = bytes.split_at(OWN);
        assert_eq!(length, (FRAME as u64).to_ne_bytes());
        // Ethernet: no addresses, IPv4. IPv4: version 4 and 20 bytes of header, its length, UDP, from and to this machine.
        let (ethernet, packet) = frame.split_at(14);
        assert_eq!(ethernet, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]);
        assert_eq!((packet[0], packet[9]), (0x45, 17));
        assert_eq!(packet[2..4], (packet.len() as u16).to_be_bytes());
        assert_eq!(packet[12..20], [127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(packet[28..], PAYLOAD);
        count += 1;
        ControlFlow::Continue(())
    };
    reader.drain(look).unwrap();
    assert_eq!(reader.lost(), 0);
    count
}

#[test]
fn a_socket_filter_sends_whole_packets() {
    let _alone = alone();
    needs!(Bpf, Root);
    // Each passes twice, on its way out and on its way in.
    assert_eq!(in_own_network(|| packets(&SEND_SKB, "socket:lo")), 2 * PACKETS);
}

#[test]
fn xdp_sends_whole_packets() {
    let _alone = alone();
    needs!(Bpf, Root);
    assert_eq!(in_own_network(|| packets(&SEND_XDP, "xdpgeneric:lo")), PACKETS);
}
