//! Packets in and out of a network device, at the place of traffic control (`tc(8)`).
//!
//! The program is attached to the device by a link (tcx, Linux 6.6), which is detached when its descriptor is closed. Kernels
//! without tcx take it as a filter of the queueing discipline `clsact` (Linux 4.5), see [`TcMethod`]; that outlives the process if
//! it is killed, until `tc filter del dev DEVICE ingress` (or `egress`).
//!
//! The program's return value decides: `-1` (`TCX_NEXT`, `TC_ACT_UNSPEC`) passes the packet to the next program, `0` (`TC_ACT_OK`)
//! lets the packet pass, `2` (`TC_ACT_SHOT`) drops it (`include/uapi/linux/pkt_cls.h`).

use super::clsact::{self, End};
use super::device::{Device, refused};
use super::link::{Attachment, Link};
use super::{Direction, Target, TcMethod};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::permission::Need;
use crate::program::Program;
use crate::syscall::netlink::Refusal;
use crate::syscall::{self, LinkCreate, LinkExtra, Relative};
use crate::uapi::{AttachType, Errno};
use std::os::fd::{AsFd, BorrowedFd};

/// The position of a program among those already attached.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Position<'a> {
    /// After all of them.
    Last,
    /// Before all of them.
    First,
    /// Right before one. Only among links.
    Before(&'a Link),
    /// Right after one. Only among links.
    After(&'a Link),
}

const BPF_F_BEFORE: u32 = 1 << 3;
const BPF_F_AFTER: u32 = 1 << 4;
const BPF_F_LINK: u32 = 1 << 13;

/// The requirements of a filter.
const MODULES: &str = "the kernel was built without CONFIG_NET_SCH_INGRESS or CONFIG_NET_CLS_BPF, or those modules are not \
    installed";

/// The errors of adding a filter.
const NOTES: [(i32, &str); 4] = [
    (libc::ENOENT, MODULES),
    (libc::EOPNOTSUPP, MODULES),
    (
        libc::EEXIST,
        "the queueing discipline `ingress` is in the place of `clsact`, which has room for both directions: tc qdisc del \
         dev DEVICE ingress",
    ),
    (libc::ENODEV, "the device is gone"),
];

/// The answers to a link.
const LINK_NOTES: [(i32, &str); 4] = [
    (libc::ENOENT, "the other link is not of this device and direction"),
    (libc::EEXIST, "this program is there already"),
    (libc::ERANGE, "as many programs as can be are there already"),
    (libc::ENODEV, "the device is gone"),
];

/// Attaches a program to a [`Target::Tc`], among those that are there.
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no such device; [`Error::Attach`] or [`Error::Attach`] if
/// the kernel refuses; [`Error::NoFeature`] if it has no such links (Linux 6.6) and was to use them, for the target or
/// for the position.
pub fn attach(program: &Program, target: &Target, position: Position<'_>) -> Result<Link> {
    let target = target.plain();
    let Target::Tc { device, direction, method } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not traffic control" });
    };
    target.check(program)?;
    let attach_type = match direction {
        Direction::Ingress => AttachType::TcxIngress,
        Direction::Egress => AttachType::TcxEgress,
    };
    let end = match position {
        Position::Last => Some(End::Last),
        Position::First => Some(End::First),
        Position::Before(_) | Position::After(_) => None,
    };
    if *method == TcMethod::Clsact && end.is_none() {
        return Err(Error::Unsupported {
            what: "place before or after a link among filters",
            needs: "only links (tcx) know such places",
        });
    }
    let device = Device::find(program, target, device)?;
    if *method != TcMethod::Clsact {
        let (flags, relative) = match position {
            Position::Last => (BPF_F_AFTER, None),
            Position::First => (BPF_F_BEFORE, None),
            Position::Before(link) => (BPF_F_BEFORE | BPF_F_LINK, Some(tcx_link(target, link)?)),
            Position::After(link) => (BPF_F_AFTER | BPF_F_LINK, Some(tcx_link(target, link)?)),
        };
        let link = LinkCreate {
            program: program.as_fd(),
            target: syscall::Target::Interface(device.index),
            attach_type: attach_type as u32,
            flags,
            extra: LinkExtra::Relative {
                relative: relative.map_or(Relative::None, Relative::Fd),
                expected_revision: 0,
            },
        };
        match (syscall::link_create(&link), end) {
            (Ok(link), _) => return Ok(Link::new(target.clone(), vec![Attachment::Link(link)])),
            // A kernel without such links rejects the attach type. A newer one that refuses for another reason does so again for
            // the filter, with a text.
            (Err(Errno(libc::EINVAL)), Some(_)) if *method == TcMethod::Best => {}
            (Err(errno), _) => {
                if errno == Errno(libc::EINVAL) {
                    Features::new().demand(attach_type)?;
                }
                let refusal = Refusal::new("BPF_LINK_CREATE", errno);
                return Err(refused(program, target, refusal, Need::Network, &LINK_NOTES));
            }
        }
    }
    let filter = clsact::Filter::new(device, *direction, end.unwrap_or(End::Last), program);
    let filter =
        filter.map_err(|refusal| refused(program, target, refusal, Need::Network, &NOTES))?;
    Ok(Link::new(target.clone(), vec![Attachment::kept(filter)]))
}

/// The descriptor of a link that another one is to be beside.
fn tcx_link<'a>(target: &Target, link: &'a Link) -> Result<BorrowedFd<'a>> {
    link.as_bpf_link().ok_or_else(|| Error::Target {
        target: target.to_string(),
        problem: "what it is to be beside is no link but a filter",
    })
}
