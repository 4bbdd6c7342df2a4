//! Perf events of kprobes and tracepoints, and attaching programs to them.

use super::cookie::Cookie;
use super::link::Attachment;
use super::{Target, attach_error};
use crate::error::{Error, Result};
use crate::features::Feature;
use crate::kernel::cpu;
use crate::permission::Need;
use crate::program::Program;
use crate::syscall::{self, LinkCreate, LinkExtra, PerfEvent};
use crate::uapi::{AttachType, Errno};
use std::os::fd::{AsFd, OwnedFd};

/// `PERF_TYPE_TRACEPOINT`.
pub(super) const TYPE_TRACEPOINT: u32 = 2;

/// Opens an event of the whole system. The kernel runs a program on such an event wherever it fires,
/// whichever CPU it was opened on, so one that is running is enough.
pub(super) fn open(event: &PerfEvent<'_>) -> Result<OwnedFd, Errno> {
    let on = |cpu: i32| syscall::perf_event_open(&PerfEvent { pid: -1, cpu, ..event.clone() });
    match on(0) {
        // CPU 0 is offline.
        Err(Errno(libc::ENODEV)) => {
            let first = cpu::online().ok().and_then(|cpus| cpus.first().copied());
            first.and_then(|cpu| i32::try_from(cpu).ok()).map_or(Err(Errno(libc::ENODEV)), on)
        }
        answer => answer,
    }
}

/// Attaches a program to an event: by a link (Linux 5.15), or the older way by ioctl. Returns the part to keep: a
/// link holds the event itself.
pub(super) fn tie(
    program: &Program,
    target: &Target,
    event: OwnedFd,
    cookie: Option<Cookie>,
) -> Result<Attachment> {
    let refused = |step, errno| refused(program, target, step, errno);
    let link = LinkCreate {
        program: program.as_fd(),
        target: syscall::Target::Fd(event.as_fd()),
        attach_type: AttachType::PerfEvent as u32,
        flags: 0,
        extra: cookie
            .map_or(LinkExtra::None, |cookie| LinkExtra::PerfEvent { cookie: cookie.number }),
    };
    match syscall::link_create(&link) {
        Ok(link) => Ok(Attachment::Link(link)),
        Err(errno @ Errno(libc::EINVAL)) => {
            // Only a link can have a cookie.
            if let Some(cookie) = cookie {
                cookie.demand(Feature::PerfEventLink)?;
                return Err(refused("BPF_LINK_CREATE", errno));
            }
            // Kernels without such links reject the attach type or, long ago, the command. A newer
            // one that refuses for another reason does so again for the ioctl.
            syscall::perf_event_set_bpf(event.as_fd(), program.as_fd())
                .map_err(|errno| refused("PERF_EVENT_IOC_SET_BPF", errno))?;
            // It runs already: it was not opened as `disabled`.
            Ok(Attachment::Held(event))
        }
        Err(errno) => Err(refused("BPF_LINK_CREATE", errno)),
    }
}

/// The error of an attachment that the kernel refused.
pub(super) fn refused(
    program: &Program,
    target: &Target,
    step: &'static str,
    errno: Errno,
) -> Error {
    const NOTES: [(i32, &str); 6] = [
        (
            libc::EINVAL,
            "the function may not be probed (see /sys/kernel/debug/kprobes/blacklist), or the program's type does not fit",
        ),
        (libc::EILSEQ, "the offset is not where an instruction begins"),
        (
            libc::EADDRNOTAVAIL,
            "several functions have this name, and the kernel cannot know which is meant",
        ),
        (
            libc::EEXIST,
            "this program is attached there already, or the event allows only one and has another",
        ),
        (libc::E2BIG, "too many programs are attached there already"),
        (libc::EMFILE, "each place takes a descriptor: raise ulimit -n"),
    ];
    let note = NOTES.iter().find(|(number, _)| *number == errno.0).map(|(_, note)| *note);
    attach_error(program, target, step, errno, Need::PerfEvent, note)
}
