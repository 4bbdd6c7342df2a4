//! Attaching to the network and to control groups, in every way there is: what fires, and that nothing is left when the link is
//! dropped.

#[path = "attach_net/cgroup.rs"]
mod cgroup;
mod common;
#[path = "attach_net/netns.rs"]
mod netns;
#[path = "attach_net/packets.rs"]
mod packets;
#[path = "attach_net/raw.rs"]
mod raw;
#[path = "attach_net/socket.rs"]
mod socket;
#[path = "attach_net/tc.rs"]
mod tc;
#[path = "attach_net/xdp.rs"]
mod xdp;

use common::bpf_ids;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rawbpf::attach::{self, Link, Target};
use rawbpf::map::Array;
use rawbpf::{Loader, MapSpec, Program, ProgramSpec};
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

static COUNT: MapSpec = Array::<u64>::spec("count", 1);

/// The payload of the packets that count: of a length that no other packet here has.
const PAYLOAD: [u8; 77] = {
    let mut bytes = [0; 77];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = at as u8 ^ 0x55;
        at += 1;
    }
    bytes
};
/// With the headers of UDP, of IPv4, and of Ethernet, which the loopback device has, too.
const UDP: usize = PAYLOAD.len() + 8;
const IP: usize = UDP + 20;
const FRAME: usize = IP + 14;

/// The number of packets sent each time.
const PACKETS: u64 = 7;

/// A program that counts the packets of a length, which statements put into r6, and returns something.
macro_rules! counting {
    ($name:literal, $kind:ident, $length:expr, $returns:literal, $($statements:tt)*) => {
        ::rawbpf::ProgramSpec::new($name, ::rawbpf::ProgramType::$kind, ::rawbpf::bpf! {
            $($statements)*
            if r6 != {$length} goto out;
            *(u32 *)(r10 - 4) = 0;
            r1 = COUNT ll;
            r2 = r10;
            r2 += -4;
            call map_lookup_elem;
            if r0 == 0 goto out;
            r1 = 1;
            lock *(u64 *)(r0 + 0) += r1;
        out:
            r0 = $returns;
            exit;
        })
    };
}
use counting;

/// A program that counts, and its count.
struct Watch {
    program: Program,
    count: Array<u64>,
}

impl Watch {
    fn new(spec: &ProgramSpec<'_, '_>) -> Watch {
        let mut loader = Loader::new();
        let program = loader.load(spec).unwrap_or_else(|error| panic!("{error}"));
        let count = Array::of(loader.map(&COUNT).unwrap()).unwrap();
        Watch { program, count }
    }

    fn id(&self) -> u32 {
        self.program.info().unwrap().id
    }

    /// The number of packets counted during something.
    fn during(&self, body: impl FnOnce()) -> u64 {
        let before = self.count.lookup(0).unwrap();
        body();
        self.count.lookup(0).unwrap() - before
    }

    /// The number of packets counted while some go over the loopback device.
    fn counts(&self) -> u64 {
        self.during(ping)
    }

    fn attach(&self, target: &str) -> Link {
        let target: Target = target.parse().unwrap();
        attach::attach(&self.program, &target).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The links that hold it.
    fn links(&self) -> usize {
        bpf_ids::links_of(self.id()).len()
    }
}

/// A socket that waits long, but not for ever.
fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

/// Sends packets to itself, and waits for each.
fn ping() {
    ping_on(&udp());
}

fn ping_on(socket: &UdpSocket) {
    for _ in 0..PACKETS {
        ping_once(socket);
    }
}

fn ping_once(socket: &UdpSocket) {
    let mut room = [0; 100];
    socket.send_to(&PAYLOAD, socket.local_addr().unwrap()).unwrap();
    assert_eq!(socket.recv_from(&mut room).unwrap().0, PAYLOAD.len());
}

/// Does something in a network namespace of its own, where the loopback device is all there is and there is no other
/// sender.
fn in_own_network<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let thread = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        raw::bring_up(raw::LOOPBACK);
        body()
    };
    let done = std::thread::scope(|scope| scope.spawn(thread).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Mounts a BPF file system that this thread alone sees.
fn mount_bpf(folder: &Path) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("bpf"), folder, Some("bpf"), MsFlags::empty(), none).unwrap();
}
