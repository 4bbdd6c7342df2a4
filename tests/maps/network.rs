//! Maps of sockets and of places for packets.

use super::{lacks, load, raw, run};
use crate::common::requires::{Thing, needs, needs_tried};
use rawbpf::map::{CpuMap, DevMap, Redirect, SockMap, Storage, Update, XskMap};
use rawbpf::{Errno, Error, MapFlags, MapSpec, MapType, ProgramSpec, ProgramType, bpf};
use std::net::UdpSocket;
use std::time::Duration;

const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

/// Sends every packet on to element 0, and lets it pass if there is none.
macro_rules! redirect {
    ($name:literal, $map:ident) => {
        ProgramSpec::new(
            $name,
            ProgramType::Xdp,
            bpf! {
                r1 = $map ll;
                r2 = 0;
                r3 = 2;
                call redirect_map;
                exit;
            },
        )
    };
}

static DEVICES: MapSpec = MapSpec::new("devices", MapType::DevMap, 4, 8, 4);
static TO_DEVICE: ProgramSpec = redirect!("to_device", DEVICES);
static DEVICE_HASH: MapSpec = MapSpec::new("device_hash", MapType::DevMapHash, 4, 4, 4);
static TO_HASH: ProgramSpec = redirect!("to_hash", DEVICE_HASH);

#[test]
fn network_devices() {
    needs!(Bpf);
    for (spec, program) in [(&DEVICES, &TO_DEVICE), (&DEVICE_HASH, &TO_HASH)] {
        let (program, map) = load(program, spec);
        let devices = DevMap::of(&map).unwrap();
        assert_eq!((run(&program), devices.lookup(0).unwrap()), (XDP_PASS, None));
        // The loopback interface is always the first.
        devices.update(0, 1, None).unwrap();
        assert_eq!(run(&program), XDP_REDIRECT);
        assert_eq!(devices.lookup(0).unwrap(), Some(Redirect { target: 1, program: 0 }));
        assert!(devices.delete(0).unwrap());
        assert_eq!(run(&program), XDP_PASS);
        let none = devices.update(0, 0x7fff_0000, None);
        assert!(matches!(none, Err(Error::Call { errno: Errno(libc::EINVAL), .. })), "{none:?}");
    }
}

static CPUS: MapSpec = MapSpec::new("cpus", MapType::CpuMap, 4, 8, 1);
static TO_CPU: ProgramSpec = redirect!("to_cpu", CPUS);

#[test]
fn cpus_for_packets() {
    needs!(Bpf);
    let (program, map) = load(&TO_CPU, &CPUS);
    let cpus = CpuMap::of(&map).unwrap();
    assert_eq!((run(&program), cpus.lookup(0).unwrap()), (XDP_PASS, None));
    cpus.update(0, 128, None).unwrap();
    assert_eq!(run(&program), XDP_REDIRECT);
    assert_eq!(cpus.lookup(0).unwrap(), Some(Redirect { target: 128, program: 0 }));
    cpus.delete(0).unwrap();
    assert_eq!(run(&program), XDP_PASS);
}

static XDP_SOCKETS: MapSpec = MapSpec::new("xdp_sockets", MapType::XskMap, 4, 4, 4);
static TO_SOCKET: ProgramSpec = redirect!("to_socket", XDP_SOCKETS);

#[test]
fn sockets_of_xdp() {
    needs!(Bpf);
    needs_tried!("xskmap", lacks(&XDP_SOCKETS));
    let (program, map) = load(&TO_SOCKET, &XDP_SOCKETS);
    let sockets = XskMap::of(&map).unwrap();
    assert_eq!(run(&program), XDP_PASS);
    let socket = raw::xdp_socket().unwrap();
    sockets.update(&0, &socket, Update::Any).unwrap();
    assert_eq!(run(&program), XDP_REDIRECT);
    let other = UdpSocket::bind("0.0.0.0:0").unwrap();
    assert!(sockets.update(&1, &other, Update::Any).is_err());
    // A socket that is closed is taken out.
    drop(socket);
    assert_eq!(run(&program), XDP_PASS);
}

static SOCKETS: MapSpec = MapSpec::new("sockets", MapType::SockMap, 4, 8, 4);
static SOCKET_HASH: MapSpec = MapSpec::new("socket_hash", MapType::SockHash, 4, 8, 4);

/// Whether there is a socket by key 1.
macro_rules! has_socket {
    ($name:literal, $map:ident) => {
        ProgramSpec::new(
            $name,
            ProgramType::SchedCls,
            bpf! {
                *(u32 *)(r10 - 4) = 1;
                r1 = $map ll;
                r2 = r10;
                r2 += -4;
                call map_lookup_elem;
                if r0 == 0 goto out;
                r1 = r0;
                call sk_release;
                r0 = 1;
            out:
                exit;
            },
        )
    };
}

static IN_SOCKETS: ProgramSpec = has_socket!("in_sockets", SOCKETS);
static IN_SOCKET_HASH: ProgramSpec = has_socket!("in_socket_hash", SOCKET_HASH);

#[test]
fn sockets_to_send_to() {
    needs!(Bpf);
    needs_tried!("sockmap", lacks(&SOCKETS));
    for (spec, program) in [(&SOCKETS, &IN_SOCKETS), (&SOCKET_HASH, &IN_SOCKET_HASH)] {
        let (program, map) = load(program, spec);
        let sockets = SockMap::<u32>::of(&map).unwrap();
        assert_eq!((run(&program), sockets.cookie(&1).unwrap()), (0, None));
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        sockets.update(&1, &socket, Update::Any).unwrap();
        assert_eq!(run(&program), 1);
        assert!(sockets.cookie(&1).unwrap().is_some_and(|cookie| cookie != 0));
        assert!(sockets.delete(&1).unwrap());
        assert_eq!(run(&program), 0);
    }
}

static CHOICE: MapSpec = MapSpec::new("choice", MapType::ReuseportSockArray, 4, 8, 4);
/// Takes the socket at index 2, or drops the packet.
static CHOOSE: ProgramSpec = ProgramSpec::new(
    "choose",
    ProgramType::SkReuseport,
    bpf! {
        *(u32 *)(r10 - 4) = 2;
        r2 = CHOICE ll;
        r3 = r10;
        r3 += -4;
        r4 = 0;
        call sk_select_reuseport;
        if r0 != 0 goto none;
        r0 = 1;
        exit;
    none:
        r0 = 0;
        exit;
    },
);

#[test]
fn sockets_that_share_a_port() {
    needs!(Bpf);
    let (program, map) = load(&CHOOSE, &CHOICE);
    let choice = SockMap::<u32>::of(&map).unwrap();
    let first = raw::shared_udp(0).unwrap();
    let port = first.local_addr().unwrap().port();
    let second = raw::shared_udp(port).unwrap();
    for socket in [&first, &second] {
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    }
    // SO_ATTACH_REUSEPORT_EBPF
    use std::os::fd::{AsFd, AsRawFd};
    raw::set_option(&first, 52, program.as_fd().as_raw_fd()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let arrives = |socket: &UdpSocket| {
        // It may be refused for what was dropped before.
        for _ in 0..2 {
            if sender.send_to(b"x", ("127.0.0.1", port)).is_ok() {
                break;
            }
        }
        socket.recv(&mut [0; 8]).is_ok()
    };
    assert!(!arrives(&first) && !arrives(&second));
    for socket in [&second, &first] {
        choice.update(&2, socket, Update::Any).unwrap();
        assert!(choice.cookie(&2).unwrap().is_some());
        assert!(arrives(socket));
    }
}

static OF_SOCKET: MapSpec = Storage::<u64>::spec("of_socket", MapType::SkStorage);
/// Adds one to what the socket by key 1 has.
static IN_SOCKET: ProgramSpec = ProgramSpec::new(
    "in_socket",
    ProgramType::SchedCls,
    bpf! {
        *(u32 *)(r10 - 4) = 1;
        r1 = SOCKETS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r6 = r0;
        r1 = OF_SOCKET ll;
        r2 = r0;
        r3 = 0;
        r4 = 1;                         // BPF_SK_STORAGE_GET_F_CREATE
        call sk_storage_get;
        r7 = 0;
        if r0 == 0 goto release;
        r1 = *(u64 *)(r0 + 0);
        r1 += 1;
        *(u64 *)(r0 + 0) = r1;
        r7 = 1;
    release:
        r1 = r6;
        call sk_release;
        r0 = r7;
    out:
        exit;
    },
);

#[test]
fn storage_of_a_socket() {
    needs!(Bpf);
    needs_tried!("sockmap", lacks(&SOCKETS));
    assert_eq!(OF_SOCKET.flags, MapFlags::NO_PREALLOC);
    let mut loader = rawbpf::Loader::new();
    let program = loader.load(&IN_SOCKET).unwrap_or_else(|error| panic!("{error}"));
    let sockets = SockMap::<u32>::of(loader.map(&SOCKETS).unwrap()).unwrap();
    let storage = Storage::<u64>::of(loader.map(&OF_SOCKET).unwrap()).unwrap();
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    sockets.update(&1, &socket, Update::Any).unwrap();
    assert_eq!(storage.lookup(&socket).unwrap(), None);
    assert_eq!((run(&program), storage.lookup(&socket).unwrap()), (1, Some(1)));
    storage.update(&socket, &41, Update::Exist).unwrap();
    assert_eq!((run(&program), storage.lookup(&socket).unwrap()), (1, Some(42)));
    assert!(storage.delete(&socket).unwrap());
    assert!(!storage.delete(&socket).unwrap());
    let other = UdpSocket::bind("0.0.0.0:0").unwrap();
    assert_eq!(storage.lookup(&other).unwrap(), None);
}
