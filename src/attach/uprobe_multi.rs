//! Attaches to many places of one file by one link: `uprobe.multi` (Linux 6.6) and `uprobe.session` (6.13).
//!
//! The program has to be loaded for it ([`AttachType::TraceUprobeMulti`],
//! [`AttachType::TraceUprobeSession`]). A kernel without it loads it
//! all the same.

use super::uprobe::{Probes, Spot};
use super::{Target, attach_error};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::permission::Need;
use crate::program::Program;
use crate::syscall::{self, LinkCreate, LinkExtra};
use crate::uapi::{AttachType, ENOTSUPP, Errno};
use crate::util::glob::is_pattern;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// `BPF_F_UPROBE_MULTI_RETURN`.
const RETURNS: u32 = 1;

/// Whether a program was loaded for it, or is to be attached so.
pub(super) fn is_for(program: &Program, target: &Target) -> bool {
    matches!(target, Target::UprobeMulti { .. } | Target::UprobeSession { .. })
        || program.attach_type() == Some(AttachType::TraceUprobeMulti)
}

/// The attach type of the link: that of the place.
fn attach_type(target: &Target) -> AttachType {
    match target {
        Target::UprobeSession { .. } => AttachType::TraceUprobeSession,
        _ => AttachType::TraceUprobeMulti,
    }
}

/// Whether a target is better attached in this way than by separate probes.
pub(super) fn is_better(target: &Target) -> bool {
    match target {
        Target::Uprobe { function, .. } => is_pattern(function),
        Target::Usdt { .. } => true,
        _ => false,
    }
}

const ONE_PROCESS: &str = "uprobe.multi in one process";

/// Whether an error means that the kernel has such links only for all processes.
pub(super) fn is_for_all_alone(error: &Error) -> bool {
    matches!(error, Error::Unsupported { what, .. } if *what == ONE_PROCESS)
}

/// Creates one link to all spots. If some cannot be probed, and they may be skipped, they are removed.
pub(super) fn link(
    probes: &Probes<'_>,
    path: &CStr,
    spots: &mut Vec<Spot>,
    skip: bool,
) -> Result<OwnedFd> {
    if probes.pid.is_some() && !knows_processes(probes) {
        return Err(Error::Unsupported {
            what: ONE_PROCESS,
            needs: "Linux 6.10 brought it (before, it would see only the first thread)",
        });
    }
    match link_to(probes, path, spots) {
        Err(Errno(ENOTSUPP)) if skip => {
            let mut good = Vec::new();
            let whole = sift(probes, path, spots, &mut good);
            *spots = good;
            // A link to those that can be probed, or ENOTSUPP if there are none.
            whole.and_then(|()| match spots.is_empty() {
                true => Err(Errno(ENOTSUPP)),
                false => link_to(probes, path, spots),
            })
        }
        answer => answer,
    }
    .or_else(|errno| {
        if matches!(errno, Errno(libc::EINVAL | libc::EOPNOTSUPP)) {
            Features::new().demand(attach_type(&probes.target))?;
        }
        let note = match errno {
            Errno(libc::ESRCH) => Some("there is no such process"),
            Errno(libc::EBADF) => Some("it is not a regular file"),
            Errno(libc::EINVAL) => Some("the program was not loaded for this way of attaching it"),
            Errno(ENOTSUPP) => {
                Some("the instruction in one of the places is one that cannot be probed")
            }
            _ => None,
        };
        Err(attach_error(
            probes.program,
            &probes.target,
            "BPF_LINK_CREATE",
            errno,
            Need::Tracing,
            note,
        ))
    })
}

/// Finds the spots that can be probed. The kernel does not report the one at which it failed: bisection takes few
/// tries, because there are few such.
fn sift(
    probes: &Probes<'_>,
    path: &CStr,
    spots: &[Spot],
    good: &mut Vec<Spot>,
) -> Result<(), Errno> {
    match link_to(probes, path, spots).map(drop) {
        Ok(()) => {
            good.extend_from_slice(spots);
            Ok(())
        }
        Err(Errno(ENOTSUPP)) if spots.len() > 1 => {
            let (first, second) = spots.split_at(spots.len() / 2);
            sift(probes, path, first, good)?;
            sift(probes, path, second, good)
        }
        Err(Errno(ENOTSUPP)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn link_to(probes: &Probes<'_>, path: &CStr, spots: &[Spot]) -> Result<OwnedFd, Errno> {
    let offsets: Vec<_> = spots.iter().map(|spot| spot.offset).collect();
    let cookies: Vec<_> =
        spots.iter().filter_map(|spot| spot.cookie.map(|cookie| cookie.number)).collect();
    let semaphores: Vec<_> = match spots.iter().any(|spot| spot.semaphore.is_some()) {
        // None is zero.
        true => spots.iter().map(|spot| spot.semaphore.unwrap_or_default()).collect(),
        false => Vec::new(),
    };
    let extra = LinkExtra::UprobeMulti {
        path,
        offsets: &offsets,
        ref_ctr_offsets: &semaphores,
        cookies: &cookies,
        flags: if probes.returns { RETURNS } else { 0 },
        pid: probes.pid.unwrap_or_default(),
    };
    create(probes, extra)
}

fn create(probes: &Probes<'_>, extra: LinkExtra<'_>) -> Result<OwnedFd, Errno> {
    syscall::link_create(&LinkCreate {
        program: probes.program.as_fd(),
        target: syscall::Target::None,
        attach_type: attach_type(&probes.target) as u32,
        flags: 0,
        extra,
    })
}

/// Whether the kernel takes the `pid` of such a link for a process, and not for a thread (Linux 6.10, and updates of 6.6
/// and later). The same change made it check the number first, so that a folder and an invalid number distinguish them:
/// libbpf probes in the same way.
fn knows_processes(probes: &Probes<'_>) -> bool {
    let extra = LinkExtra::UprobeMulti {
        path: c"/",
        offsets: &[1],
        ref_ctr_offsets: &[],
        cookies: &[],
        flags: 0,
        pid: u32::MAX,
    };
    create(probes, extra).err() == Some(Errno(libc::EINVAL))
}
