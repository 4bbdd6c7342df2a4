//! System calls that the tests of maps need and the library does not make: sockets, processes and mappings
//! by descriptor.
#![allow(unsafe_code, reason = "system calls without a safe wrapper here")]

use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

fn owned(fd: i64) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// An `AF_XDP` socket that is not bound, with a ring for what it receives: maps of Linux 7.3 take no other.
pub(crate) fn xdp_socket() -> Result<OwnedFd> {
    // SAFETY: takes three integers.
    let socket = owned(
        unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) }.into(),
    )?;
    set(&socket, libc::SOL_XDP, libc::XDP_RX_RING, 64)?;
    Ok(socket)
}

/// `pidfd_open(2)` of this process.
pub(crate) fn this_process() -> Result<OwnedFd> {
    // SAFETY: takes two integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) })
}

/// Sets an integer option of a socket.
pub(crate) fn set_option(socket: impl AsFd, option: i32, value: i32) -> Result<()> {
    set(socket, libc::SOL_SOCKET, option, value)
}

/// Has a TCP socket use the congestion control of that name.
pub(crate) fn congestion_control(socket: impl AsFd, name: &str) -> Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_CONGESTION);
    // SAFETY: the pointer is to as many bytes as are passed.
    let answer = unsafe {
        libc::setsockopt(fd, level, option, name.as_ptr().cast(), name.len() as libc::socklen_t)
    };
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn set(socket: impl AsFd, level: i32, option: i32, value: i32) -> Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let pointer = std::ptr::from_ref(&value).cast();
    // SAFETY: the pointer is to a live integer of the length that is passed.
    let answer = unsafe { libc::setsockopt(fd, level, option, pointer, 4) };
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// A UDP socket that others may share the port of.
pub(crate) fn shared_udp(port: u16) -> Result<std::net::UdpSocket> {
    // SAFETY: takes three integers.
    let socket = owned(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) }.into())?;
    set_option(&socket, libc::SO_REUSEPORT, 1)?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let pointer = std::ptr::from_ref(&address).cast();
    // SAFETY: the pointer is to a live address of the length that is passed.
    let answer = unsafe { libc::bind(socket.as_raw_fd(), pointer, size_of_val(&address) as u32) };
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(socket.into()) }
}

/// Some shared memory of a map.
pub(crate) struct Mapping {
    base: *mut u8,
    len: usize,
    writable: bool,
}

impl Mapping {
    pub(crate) fn new(map: impl AsFd, offset: usize, len: usize, write: bool) -> Result<Mapping> {
        let protection = libc::PROT_READ | if write { libc::PROT_WRITE } else { 0 };
        let (fd, offset) = (map.as_fd().as_raw_fd(), offset as i64);
        // SAFETY: a new mapping where the kernel likes.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, offset)
        };
        if base == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        Ok(Mapping { base: base.cast(), len, writable: write })
    }

    fn at(&self, offset: usize) -> *mut u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len);
        self.base.wrapping_add(offset).cast()
    }

    pub(crate) fn get(&self, offset: usize) -> u64 {
        // SAFETY: within the mapping and aligned.
        unsafe { self.at(offset).read_volatile() }
    }

    /// Only if it was made to be written.
    pub(crate) fn set(&self, offset: usize, value: u64) {
        assert!(self.writable);
        // SAFETY: within the mapping, which is writable, and aligned.
        unsafe { self.at(offset).write_volatile(value) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: just what `new` mapped.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// The page size, in bytes.
pub(crate) fn page() -> usize {
    // SAFETY: takes an integer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap()
}

/// A program's attachment, which lasts until it is dropped.
pub(crate) enum Attached {
    Group([u32; 4]),
    Link(#[allow(dead_code, reason = "it is held")] OwnedFd),
}

/// Attaches a program to a control group. `bpf(2)`, `BPF_PROG_ATTACH`; Linux 4.10.
pub(crate) fn attach_cgroup(group: impl AsFd, program: impl AsFd, kind: u32) -> Result<Attached> {
    let [group, program] = [group.as_fd(), program.as_fd()].map(|fd| fd.as_raw_fd() as u32);
    // BPF_F_ALLOW_MULTI: beside others that may be there.
    bpf(8, &mut [group, program, kind, 2])?;
    Ok(Attached::Group([group, program, kind, 0]))
}

/// Attaches a program to the hook that it was loaded for. `bpf(2)`, `BPF_RAW_TRACEPOINT_OPEN`; Linux 5.5.
pub(crate) fn attach_hook(program: impl AsFd) -> Result<Attached> {
    let program = program.as_fd().as_raw_fd() as u32;
    Ok(Attached::Link(owned(bpf(17, &mut [0, 0, program, 0])?)?))
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Attached::Group(attr) = self {
            let _ = bpf(9, attr);
        }
    }
}

/// The commands whose attribute begins with four `u32`, none of them part of a pointer that is not null.
fn bpf(command: i64, attr: &mut [u32; 4]) -> Result<i64> {
    // SAFETY: the kernel reads as many bytes as there are.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), 16) };
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(answer) }
}
