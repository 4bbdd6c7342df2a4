//! XDP: packets as a network device receives them, before the kernel makes a `struct sk_buff` of them (Linux 4.8), or in
//! generic mode right after (4.12).
//!
//! The program is attached to the device by a link (Linux 5.9), which is detached when its descriptor is closed. Kernels
//! without links take it by netlink; that outlives the process if it is killed, until `ip link set dev DEVICE xdp off`.

use super::device::{Device, duplicate, link_structure, refused};
use super::link::{Attachment, Link};
use super::{Target, XdpMode};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::permission::Need;
use crate::program::Program;
use crate::syscall::netlink::{Message, Netlink, RTM_SETLINK, Refusal};
use crate::syscall::{self, LinkCreate, LinkExtra};
use crate::uapi::{AttachType, Errno};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The interface by which a program is attached to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum XdpMethod {
    /// The first of the others that this kernel has.
    Best,
    /// By a `bpf_link` (Linux 5.9).
    Link,
    /// By netlink (Linux 4.8).
    Netlink,
}

const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_EXPECTED_FD: u16 = 8;

/// `XDP_FLAGS_*` of `include/uapi/linux/if_link.h`.
const UPDATE_IF_NOEXIST: u32 = 1;
const SKB_MODE: u32 = 1 << 1;
const DRV_MODE: u32 = 1 << 2;
const REPLACE: u32 = 1 << 4;

const NOTES: [(i32, &str); 6] = [
    (libc::EBUSY, "another program is there already: `ip link` shows it"),
    (
        libc::EEXIST,
        "a program is there already in the other mode, and native and generic do not go together: `ip link` shows it",
    ),
    (libc::EOPNOTSUPP, "its driver cannot run XDP: take xdpgeneric:DEVICE"),
    (
        libc::EINVAL,
        "the device as it is set up cannot have it: its MTU may be too large for XDP, or large receive offload is on",
    ),
    (libc::ERANGE, "the MTU of the device, or of its peer, is too large for XDP"),
    (libc::ENOMEM, "the device may have too few queues: XDP often takes one for each CPU"),
];

/// Attaches a program to a [`Target::Xdp`].
///
/// A device has room for one program, and one mode at a time.
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no such device; [`Error::Attach`] or [`Error::Attach`] if
/// the kernel refuses: `EBUSY` if a program is there, `EOPNOTSUPP` if the driver has no native XDP;
/// [`Error::NoFeature`] if the kernel has no such links and was to use them.
pub fn attach(program: &Program, target: &Target, method: XdpMethod) -> Result<Link> {
    let target = target.plain();
    let Target::Xdp { device, mode } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not XDP" });
    };
    target.check(program)?;
    let Device { netlink, index } = Device::find(program, target, device)?;
    let mode = match mode {
        XdpMode::Any => 0,
        XdpMode::Native => DRV_MODE,
        XdpMode::Generic => SKB_MODE,
    };
    let refused = |refusal| refused(program, target, refusal, Need::Network, &NOTES);
    if method != XdpMethod::Netlink {
        let link = LinkCreate {
            program: program.as_fd(),
            target: syscall::Target::Interface(index),
            attach_type: AttachType::Xdp as u32,
            flags: mode,
            extra: LinkExtra::None,
        };
        match syscall::link_create(&link) {
            Ok(link) => return Ok(Link::new(target.clone(), vec![Attachment::Link(link)])),
            // A kernel without such links rejects the attach type. A newer one that refuses for another reason does so again
            // by netlink, with a text.
            Err(Errno(libc::EINVAL)) if method == XdpMethod::Best => {}
            Err(errno) => {
                if errno == Errno(libc::EINVAL) {
                    Features::new().demand(AttachType::Xdp)?;
                }
                return Err(refused(Refusal::new("BPF_LINK_CREATE", errno)));
            }
        }
    }
    let attached = Attached::new(netlink, index, mode, program).map_err(refused)?;
    Ok(Link::new(target.clone(), vec![Attachment::kept(attached)]))
}

/// A program attached by netlink, which is detached when this is dropped.
#[derive(Debug)]
pub(super) struct Attached {
    netlink: Netlink,
    index: u32,
    mode: u32,
    program: OwnedFd,
}

impl Attached {
    fn new(
        mut netlink: Netlink,
        index: u32,
        mode: u32,
        program: &Program,
    ) -> Result<Attached, Refusal> {
        // First, so that nothing can fail once it is attached.
        let program = duplicate(program)?;
        let fd = program.as_raw_fd().to_ne_bytes();
        let flags = (mode | UPDATE_IF_NOEXIST).to_ne_bytes();
        let message = set(index, &[(IFLA_XDP_FD, &fd), (IFLA_XDP_FLAGS, &flags)]);
        if let Err(refusal) = netlink.ask(message, |_| {}) {
            if refusal.lost {
                let _ = take_off(&mut netlink, index, mode, &program);
            }
            return Err(refusal);
        }
        Ok(Attached { netlink, index, mode, program })
    }
}

/// Detaches a program, only if it is still the attached one. Linux 5.7.
fn take_off(
    netlink: &mut Netlink,
    index: u32,
    mode: u32,
    program: &OwnedFd,
) -> Result<(), Refusal> {
    let none = (-1i32).to_ne_bytes();
    let flags = (mode | REPLACE).to_ne_bytes();
    let expected = program.as_raw_fd().to_ne_bytes();
    let attributes =
        [(IFLA_XDP_FD, &none[..]), (IFLA_XDP_FLAGS, &flags), (IFLA_XDP_EXPECTED_FD, &expected)];
    netlink.ask(set(index, &attributes), |_| {})
}

fn set(index: u32, attributes: &[(u16, &[u8])]) -> Message {
    Message::new(RTM_SETLINK, 0, &link_structure(index)).with_nested(IFLA_XDP, attributes)
}

impl Drop for Attached {
    fn drop(&mut self) {
        let Attached { netlink, index, mode, program } = self;
        let taken_off = take_off(netlink, *index, *mode, program);
        // Before Linux 5.7 there is no such check, and any program is detached.
        if matches!(taken_off, Err(Refusal { errno: Errno(libc::EINVAL), .. })) {
            let (none, flags) = ((-1i32).to_ne_bytes(), mode.to_ne_bytes());
            let attributes = [(IFLA_XDP_FD, &none[..]), (IFLA_XDP_FLAGS, &flags)];
            let _ = netlink.ask(set(*index, &attributes), |_| {});
        }
    }
}
