//! Sockets: those that configure the network and see packets, and options of any.

use super::{Answer, Call, Errno, call, owned};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Makes a socket, closed on `execve(2)`. `socket(2)`.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    owned(call(Call::Socket { family, kind, protocol }))
}

/// Gives a socket its address, a `struct sockaddr` of some family as bytes. `bind(2)`.
pub(crate) fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    call(Call::Bind { socket, address }).map(drop)
}

/// Sets an option of a socket. `setsockopt(2)`.
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: i32,
    option: i32,
    value: &[u8],
) -> Result<(), Errno> {
    call(Call::SetOption { socket, level, option, value }).map(drop)
}

/// Sends one message. `send(2)`.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    call(Call::Send { socket, bytes }).map(drop)
}

/// Receives one message, waiting for it, and gives its true length, which may be more than there was room for. `recv(2)`,
/// `MSG_TRUNC`.
pub(crate) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    let length = call(Call::Receive { socket, bytes })?;
    usize::try_from(length).map_err(|_| Errno(libc::EIO))
}

pub(super) fn make(family: i32, kind: i32, protocol: i32) -> Answer {
    // SAFETY: takes integers, returns a descriptor.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 { Err(Errno::last()) } else { Ok(fd.into()) }
}

pub(super) fn bind_to(socket: BorrowedFd<'_>, address: &[u8]) -> Answer {
    let length = length(address)?;
    // SAFETY: the address is live, and the kernel copies no more of it than is said, into memory of its own.
    let answer = unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    if answer < 0 { Err(Errno::last()) } else { Ok(answer.into()) }
}

pub(super) fn set(socket: BorrowedFd<'_>, level: i32, option: i32, value: &[u8]) -> Answer {
    let length = length(value)?;
    // SAFETY: the value is live and as long as is said. It holds no pointers: the options that take some (classic filters)
    // are not set here.
    let answer = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length)
    };
    if answer < 0 { Err(Errno::last()) } else { Ok(answer.into()) }
}

pub(super) fn send_to(socket: BorrowedFd<'_>, bytes: &[u8]) -> Answer {
    // SAFETY: the bytes are live and as many as is said.
    let sent = unsafe {
        libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(Errno::last()) } else { Ok(sent as i64) }
}

pub(super) fn receive_from(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Answer {
    // SAFETY: the bytes are live, exclusively borrowed and as many as is said.
    let length = unsafe {
        libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_TRUNC)
    };
    if length < 0 { Err(Errno::last()) } else { Ok(length as i64) }
}

fn length(bytes: &[u8]) -> Result<libc::socklen_t, Errno> {
    bytes.len().try_into().map_err(|_| Errno(libc::EINVAL))
}
