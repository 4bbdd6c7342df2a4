//! Filters of sockets.

use super::common::alone;
use super::common::requires::{Thing, needs};
use super::{COUNT, FRAME, PACKETS, UDP, Watch, counting, in_own_network, ping_on, raw, udp};
use rawbpf::attach::{self, socket};
use rawbpf::{Errno, Error, Loader, ProgramSpec, ProgramType, bpf};
use std::fs;
use std::net::UdpSocket;

/// On a packet socket, which gets nothing. The length is in `struct __sk_buff`.
pub(crate) static COUNT_FRAMES: ProgramSpec = counting! { "count_frames", SocketFilter, FRAME, 0,
    r6 = *(u32 *)(r1 + 0);
};

/// On a UDP socket, which gets all: what comes there begins with the header of UDP.
static COUNT_DATAGRAMS: ProgramSpec = counting! { "count_udp", SocketFilter, UDP, 65535,
    r6 = *(u32 *)(r1 + 0);
};

/// The packet sockets of this network.
fn packet_sockets() -> usize {
    fs::read_to_string("/proc/thread-self/net/packet").unwrap().lines().count() - 1
}

#[test]
fn a_program_sees_the_packets_of_a_device() {
    let _alone = alone();
    needs!(Bpf, Root);
    in_own_network(|| {
        let watch = Watch::new(&COUNT_FRAMES);
        for target in ["socket:lo", "socket:"] {
            assert_eq!((watch.counts(), packet_sockets()), (0, 0));
            let link = watch.attach(target);
            assert_eq!((link.target().to_string().as_str(), packet_sockets()), (target, 1));
            // The packets that go out, and the same as they come in.
            assert_eq!(watch.counts(), 2 * PACKETS, "{target}");
            drop(link);
            assert_eq!((watch.counts(), packet_sockets()), (0, 0), "{target}");
        }
    });
}

#[test]
fn a_program_is_the_filter_of_a_socket_while_its_link_is_there() {
    let _alone = alone();
    needs!(Bpf);
    let (socket, other) = (udp(), udp());
    let watch = Watch::new(&COUNT_DATAGRAMS);
    assert_eq!(watch.during(|| ping_on(&socket)), 0);
    let link = socket::attach(&watch.program, &socket).unwrap();
    assert_eq!(link.target().to_string(), "socket:");
    assert_eq!(watch.during(|| ping_on(&socket)), PACKETS);
    assert_eq!(watch.during(|| ping_on(&other)), 0);
    drop(link);
    assert_eq!(watch.during(|| ping_on(&socket)), 0);
}

/// A filter that lets nothing through, so that its absence is seen from outside, too.
#[test]
fn a_filter_decides_what_the_socket_gets() {
    let _alone = alone();
    needs!(Bpf);
    static NOTHING: ProgramSpec =
        ProgramSpec::new("nothing", ProgramType::SocketFilter, bpf! { r0 = 0; exit; });
    static TEN: ProgramSpec =
        ProgramSpec::new("ten", ProgramType::SocketFilter, bpf! { r0 = 18; exit; });
    let socket = udp();
    socket.set_nonblocking(true).unwrap();
    let send = || {
        let mut room = [0; 100];
        socket.send_to(&super::PAYLOAD, socket.local_addr().unwrap()).unwrap();
        socket.recv(&mut room).ok()
    };
    let mut loader = Loader::new();
    let (nothing, ten) = (loader.load(&NOTHING).unwrap(), loader.load(&TEN).unwrap());
    assert_eq!(send(), Some(super::PAYLOAD.len()));
    let link = socket::attach(&nothing, &socket).unwrap();
    assert_eq!(send(), None);
    // The second takes the place of the first, and goes with whichever link is dropped first.
    let second = socket::attach(&ten, &socket).unwrap();
    assert_eq!(send(), Some(10));
    drop(link);
    assert_eq!(send(), Some(super::PAYLOAD.len()));
    drop(second);
    assert_eq!(send(), Some(super::PAYLOAD.len()));
}

#[test]
fn a_link_holds_its_socket() {
    let _alone = alone();
    needs!(Bpf);
    let socket = udp();
    let address = socket.local_addr().unwrap();
    let link = socket::attach(&Watch::new(&COUNT_DATAGRAMS).program, &socket).unwrap();
    drop(socket);
    assert_eq!(UdpSocket::bind(address).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
    drop(link);
    UdpSocket::bind(address).unwrap();
}

#[test]
fn what_does_not_fit_is_refused() {
    let _alone = alone();
    needs!(Bpf, Root);
    static KPROBE: ProgramSpec =
        ProgramSpec::new("kprobe", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    let watch = Watch::new(&COUNT_DATAGRAMS);
    let refused = |result: rawbpf::Result<attach::Link>, wanted: i32, words: &str| {
        let error = result.unwrap_err();
        let Error::Attach { step, errno, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*step, *errno), ("SO_ATTACH_BPF", Errno(wanted)));
        assert!(error.to_string().contains(words), "{error}");
    };
    let kprobe = Loader::new().load(&KPROBE).unwrap();
    let error = socket::attach(&kprobe, udp()).unwrap_err();
    assert!(error.to_string().contains("type is kprobe, expected socket_filter"), "{error}");
    let file = fs::File::open("/dev/null").unwrap();
    refused(socket::attach(&watch.program, file), libc::ENOTSOCK, "that is no socket");
    let locked = udp();
    let link = socket::attach(&watch.program, &locked).unwrap();
    raw::lock_filter(&locked);
    refused(socket::attach(&watch.program, &locked), libc::EPERM, "SO_LOCK_FILTER");
    drop(link);
    // It was locked, and so it is there still.
    assert_eq!(watch.during(|| ping_on(&locked)), PACKETS);

    let error = attach::attach(&watch.program, &"socket:loo".parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::NotFound { what: "network device", .. }), "{error:?}");
}
