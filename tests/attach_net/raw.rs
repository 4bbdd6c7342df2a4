//! Sets up and reads state of the kernel without the code under test: devices, queueing disciplines, filters and the
//! programs of control groups.
#![allow(unsafe_code, reason = "these calls have no safe wrapper but the one that is tested")]

use super::common::wait_until;
use std::io::{self, Error, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The number of the loopback device: in every network namespace it is the first.
pub(crate) const LOOPBACK: u32 = 1;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;

const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// `NLM_F_CREATE | NLM_F_EXCL`
const CREATE: u16 = 0x600;

const IFF_UP: u32 = 1;
const IFLA_QDISC: u16 = 6;
const IFLA_XDP: u16 = 43;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;

/// The place of `clsact` and `ingress`, and of their filters.
const CLSACT: u32 = 0xffff_fff1;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: takes integers, returns a descriptor.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn receive(socket: &OwnedFd, room: &mut [u8]) -> Result<usize> {
    // SAFETY: the room is live and as long as is said.
    let got = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), 0) };
    usize::try_from(got).map_err(|_| Error::last_os_error())
}

fn set_option<T>(socket: &OwnedFd, option: i32, value: &T) -> Result<()> {
    // SAFETY: the value is live and of the size that is said; callers give integers and structures of integers.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    };
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let short = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let length = usize::from(short(0));
        found.push((short(2) & 0x3fff, &bytes[4..length]));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn find(wanted: u16, bytes: &[u8]) -> Option<&[u8]> {
    attributes(bytes).into_iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.strip_suffix(b"\0").unwrap_or(bytes).to_vec()).unwrap()
}

/// Sends a request of `rtnetlink(7)`, and gives the bodies of what comes back.
fn ask(kind: u16, flags: u16, body: &[&[u8]]) -> Result<Vec<Vec<u8>>> {
    let body = body.concat();
    let mut message = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((flags | 1).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    // SAFETY: the message is live and as long as is said.
    let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
    assert_eq!(sent, message.len() as isize);
    let (mut room, mut found) = (vec![0; 64 << 10], Vec::new());
    loop {
        let length = receive(&socket, &mut room)?;
        let mut bytes = &room[..length];
        while bytes.len() >= 16 {
            let length = word(bytes, 0) as usize;
            let body = &bytes[16..length];
            match u16::from_ne_bytes([bytes[4], bytes[5]]) {
                2 => match word(body, 0) as i32 {
                    0 => return Ok(found),
                    negative => return Err(Error::from_raw_os_error(-negative)),
                },
                3 => return Ok(found),
                _ => found.push(body.to_vec()),
            }
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// `struct ifinfomsg`
fn link(index: u32, flags: u32) -> Vec<u8> {
    [0, index, flags, flags].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct tcmsg`
fn tc(device: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, device, handle, parent, info].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Switches a device on.
pub(crate) fn bring_up(device: u32) {
    ask(RTM_NEWLINK, ACK, &[&link(device, IFF_UP)]).unwrap();
}

/// The XDP state that the kernel reports for a device: the mode (0 not attached, 1 native, 2 generic), and the
/// program's number.
pub(crate) fn xdp(device: u32) -> (u8, u32) {
    let found = ask(RTM_GETLINK, ACK, &[&link(device, 0)]).unwrap();
    let xdp = find(IFLA_XDP, &found[0][16..]).unwrap();
    (find(2, xdp).unwrap()[0], find(4, xdp).map_or(0, |id| word(id, 0)))
}

/// Puts a program on a device in generic mode, in the place of another one, as another process would.
pub(crate) fn set_xdp(device: u32, program: Option<&dyn AsRawFd>) {
    let fd = program.map_or(-1, AsRawFd::as_raw_fd).to_ne_bytes();
    let xdp = [attribute(1, &fd), attribute(3, &2u32.to_ne_bytes())].concat();
    ask(RTM_SETLINK, ACK, &[&link(device, 0), &attribute(IFLA_XDP, &xdp)]).unwrap();
}

/// Makes a pair of devices, whose packets come out at the other one, and switches them on; their numbers.
///
/// The one that was on first hears of its carrier only when the kernel's worker gets to it (`net/core/link_watch.c`).
/// Until then its packets go to the queueing discipline that drops everything, and `send(2)` returns success.
pub(crate) fn make_veth() -> Result<[u32; 2]> {
    let peer = [link(0, 0), attribute(3, b"right\0")].concat();
    let data = attribute(1, &peer);
    let info = [attribute(1, b"veth\0"), attribute(2, &data)].concat();
    let left = attribute(3, b"left\0");
    ask(RTM_NEWLINK, CREATE | ACK, &[&link(0, 0), &left, &attribute(18, &info)])?;
    let numbers = [b"left\0".as_slice(), b"right\0"].map(|name| {
        let found = ask(RTM_GETLINK, ACK, &[&link(0, 0), &attribute(3, name)]).unwrap();
        word(&found[0], 4)
    });
    numbers.iter().copied().for_each(bring_up);
    for device in numbers {
        wait_until("the device sends", || {
            let found = ask(RTM_GETLINK, ACK, &[&link(device, 0)]).unwrap();
            text(find(IFLA_QDISC, &found[0][16..]).unwrap()) != "noop"
        });
    }
    Ok(numbers)
}

/// The queueing disciplines of a device in the place of `clsact`.
pub(crate) fn qdiscs(device: u32) -> Vec<String> {
    let found = ask(RTM_GETQDISC, DUMP, &[&tc(device, 0, 0, 0)]).unwrap();
    let found = found.iter().filter(|body| word(body, 4) == device && word(body, 12) == CLSACT);
    found.map(|body| text(find(TCA_KIND, &body[20..]).unwrap())).collect()
}

/// Makes one there, as another process would.
pub(crate) fn make_qdisc(device: u32, kind: &str) -> Result<()> {
    let kind = attribute(TCA_KIND, format!("{kind}\0").as_bytes());
    ask(RTM_NEWQDISC, CREATE | ACK, &[&tc(device, 0xffff_0000, CLSACT, 0), &kind]).map(drop)
}

/// Removes the one that is there, with its filters, as another process would.
pub(crate) fn remove_qdisc(device: u32) {
    ask(RTM_DELQDISC, ACK, &[&tc(device, 0xffff_0000, CLSACT, 0)]).unwrap();
}

/// The filters of a device, of both directions: their names and the numbers of their programs.
pub(crate) fn filters(device: u32) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    for parent in [INGRESS, EGRESS] {
        for body in ask(RTM_GETTFILTER, DUMP, &[&tc(device, 0, parent, 0)]).unwrap() {
            let options = find(TCA_OPTIONS, &body[20..]).unwrap_or_default();
            // The head of a list of them has none.
            if let (Some(name), Some(id)) = (find(7, options), find(11, options)) {
                all.push((text(name), word(id, 0)));
            }
        }
    }
    all
}

/// Adds a filter for incoming packets, as another process would.
pub(crate) fn add_filter(device: u32, program: impl AsFd) {
    let all_protocols = u32::from(3u16.to_be());
    let fd = program.as_fd().as_raw_fd().to_ne_bytes();
    let direct = 1u32.to_ne_bytes();
    let options = [attribute(6, &fd), attribute(7, b"another\0"), attribute(8, &direct)].concat();
    let about = tc(device, 0, INGRESS, 7 << 16 | all_protocols);
    let (kind, options) = (attribute(TCA_KIND, b"bpf\0"), attribute(TCA_OPTIONS, &options));
    ask(RTM_NEWTFILTER, CREATE | ACK, &[&about, &kind, &options]).unwrap();
}

/// A packet socket (`packet(7)`), which gets and sends whole frames of a device.
pub(crate) struct Packets(OwnedFd);

impl Packets {
    pub(crate) fn of(device: u32) -> Packets {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(all)).unwrap();
        let limit = libc::timeval { tv_sec: 30, tv_usec: 0 };
        set_option(&socket, libc::SO_RCVTIMEO, &limit).unwrap();
        let mut address = [0u8; 20];
        address[..2].copy_from_slice(&(libc::AF_PACKET as u16).to_ne_bytes());
        address[2..4].copy_from_slice(&all.to_ne_bytes());
        address[4..8].copy_from_slice(&device.to_ne_bytes());
        // SAFETY: the address is live and as long as is said.
        let answer = unsafe {
            libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), address.len() as u32)
        };
        assert_eq!(answer, 0, "{}", Error::last_os_error());
        Packets(socket)
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: the frame is live and as long as is said.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", Error::last_os_error());
    }

    /// The next frame that comes.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut room = vec![0; 2048];
        let length = receive(&self.0, &mut room).unwrap();
        room.truncate(length);
        room
    }
}

/// Locks the filter of a socket against changes.
pub(crate) fn lock_filter(socket: impl AsFd) {
    let socket = socket.as_fd().try_clone_to_owned().unwrap();
    set_option(&socket, libc::SO_LOCK_FILTER, &1i32).unwrap();
}

fn bpf(command: i64, attr: &mut [u32]) -> Result<i64> {
    let size = size_of_val(attr);
    // SAFETY: the kernel reads and writes `size` bytes at `attr`, which are ours, any bits being integers; the one pointer in it
    // is of an array that lives, with its true size.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size) };
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(answer) }
}

/// The numbers of the programs of a control group.
pub(crate) fn programs_of(group: impl AsFd, attach_type: u32) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; 64];
    let pointer = (ids.as_mut_ptr() as u64).to_ne_bytes();
    let (low, high) = (word(&pointer, 0), word(&pointer, 4));
    let fd = group.as_fd().as_raw_fd().cast_unsigned();
    // target_fd, attach_type, query_flags, attach_flags, prog_ids, prog_cnt
    let mut attr = [fd, attach_type, 0, 0, low, high, ids.len() as u32, 0];
    bpf(16, &mut attr)?;
    Ok(ids[..attr[6] as usize].to_vec())
}

/// Attaches a program to a control group so that no other may be there or below, as another process would.
pub(crate) fn attach_alone(group: impl AsFd, program: impl AsFd, attach_type: u32) {
    let [group, program] =
        [group.as_fd(), program.as_fd()].map(|fd| fd.as_raw_fd().cast_unsigned());
    bpf(8, &mut [group, program, attach_type, 0]).unwrap();
}
