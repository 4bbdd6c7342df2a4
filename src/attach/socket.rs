//! Packets as they come to a socket (`socket(7)`, `SO_ATTACH_BPF`, Linux 3.19).
//!
//! The program returns the number of bytes of the packet that the socket gets, 0 for none of it. The program sees the packet from
//! the layer that the socket is of: a packet socket all of it, a UDP socket from the UDP header on.

use super::Target;
use super::device::{Device, refused};
use super::link::{Attachment, Link};
use crate::error::{Error, Result};
use crate::permission::Need;
use crate::program::Program;
use crate::syscall;
use crate::syscall::netlink::Refusal;
use crate::uapi::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const NOTES: [(i32, &str); 5] = [
    (libc::EPERM, "the filter of the socket is locked (SO_LOCK_FILTER)"),
    (libc::EAFNOSUPPORT, "the kernel was built without CONFIG_PACKET"),
    (libc::ENOTSOCK, "that is no socket"),
    (libc::ENODEV, "the device is gone"),
    (libc::ENETDOWN, "the device is down: ip link set dev DEVICE up"),
];

/// Attaches a program to a socket as its filter, replacing the filter that it has.
///
/// Dropping the link removes the filter of the socket, whichever it is by then: the kernel has room for one, and does not report
/// which it is. The link holds the socket open, as a duplicate of its descriptor; so a connection does not end before the link is
/// dropped, too. Its [`Link::target`] is `socket:`.
///
/// # Errors
/// [`Error::Place`] if the program is of another type, [`Error::Attach`] if the kernel refuses: `EPERM` if the filter is locked.
pub fn attach(program: &Program, socket: impl AsFd) -> Result<Link> {
    let target = Target::Socket { device: String::new() };
    target.check(program)?;
    let refused =
        |step, errno| refused(program, &target, Refusal::new(step, errno), Need::Packets, &NOTES);
    let socket = socket.as_fd().try_clone_to_owned();
    let socket = socket.map_err(|error| refused("fcntl(F_DUPFD_CLOEXEC)", Errno::of(&error)))?;
    set_filter(socket.as_fd(), program).map_err(|errno| refused("SO_ATTACH_BPF", errno))?;
    Ok(Link::new(target, vec![Attachment::kept(Attached(socket))]))
}

/// Attaches a program to a [`Target::Socket`]: creates a packet socket for the device (`packet(7)`), whose filter it is. The
/// socket is not read. Packets that the machine sends pass it, too; on the loopback device each does so twice.
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no such device, [`Error::Attach`] if the kernel refuses.
pub fn attach_device(program: &Program, target: &Target) -> Result<Link> {
    let target = target.plain();
    let Target::Socket { device } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a socket" });
    };
    target.check(program)?;
    let index = match device.as_str() {
        "" => 0,
        name => Device::find(program, target, name)?.index,
    };
    let refused = |step| {
        move |errno| refused(program, target, Refusal::new(step, errno), Need::Packets, &NOTES)
    };
    // Without a protocol, so that no packet arrives before the program is attached.
    let socket = syscall::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(refused("socket"))?;
    // Packets that the program passes are not read: the least memory.
    let least = 1i32.to_ne_bytes();
    syscall::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &least)
        .map_err(refused("SO_RCVBUF"))?;
    set_filter(socket.as_fd(), program).map_err(refused("SO_ATTACH_BPF"))?;
    syscall::bind(socket.as_fd(), &address(index)).map_err(refused("bind"))?;
    Ok(Link::new(target.clone(), vec![Attachment::Held(socket)]))
}

/// `struct sockaddr_ll` of all protocols of a device.
fn address(index: u32) -> [u8; 20] {
    let mut address = [0; 20];
    let [family, protocol] = [libc::AF_PACKET as u16, (libc::ETH_P_ALL as u16).to_be()];
    let head = family.to_ne_bytes().into_iter().chain(protocol.to_ne_bytes());
    for (to, from) in address.iter_mut().zip(head.chain(index.to_ne_bytes())) {
        *to = from;
    }
    address
}

fn set_filter(socket: BorrowedFd<'_>, program: &Program) -> Result<(), Errno> {
    let program = program.as_fd().as_raw_fd().to_ne_bytes();
    syscall::set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_BPF, &program)
}

/// A socket whose filter is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Attached(OwnedFd);

impl Drop for Attached {
    fn drop(&mut self) {
        // The value is ignored.
        let nothing = 0i32.to_ne_bytes();
        let _ =
            syscall::set_option(self.0.as_fd(), libc::SOL_SOCKET, libc::SO_DETACH_BPF, &nothing);
    }
}
