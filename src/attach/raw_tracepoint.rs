//! Tracepoints with their arguments as they are (`raw_tracepoint`, Linux 4.17) or with types (`tp_btf`, 5.5).
//!
//! Both by `bpf(BPF_RAW_TRACEPOINT_OPEN)`, which creates a link. On kernels from 5.19 to 6.9 `BPF_LINK_CREATE` can create
//! the second kind too, but silently ignores a cookie there; this command refuses arguments that it does not
//! know.

use super::link::Attachment;
use super::{Link, Options, Target, trampoline};
use crate::error::{Error, Result};
use crate::list::raw_tracepoints;
use crate::program::Program;
use crate::syscall::{self, RawTracepoint};
use crate::uapi::Errno;
use crate::util::nearest::{Nearest, OFFERED};
use std::ffi::CString;
use std::os::fd::AsFd;

/// Attaches a program to a [`Target::RawTracepoint`] or [`Target::BtfTracepoint`]. (The second names it at load.)
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no such tracepoint, [`Error::Unsupported`] if a cookie is asked
/// for and the kernel has none (before Linux 6.10), [`Error::Attach`] if it refuses.
pub(super) fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    let name = match target {
        Target::RawTracepoint { name } | Target::RawTracepointWritable { name } => {
            let c_name = CString::new(name.as_str()).map_err(|_| Error::Target {
                target: target.to_string(),
                problem: "no tracepoint's name holds a NUL",
            })?;
            Some((name, c_name))
        }
        _ => None,
    };
    target.check_arguments(program, None)?;
    let open = |cookie| {
        syscall::raw_tracepoint_open(&RawTracepoint {
            program: program.as_fd(),
            name: name.as_ref().map(|(_, name)| name.as_c_str()),
            cookie,
        })
    };
    match (open(options.number().unwrap_or(0)), &name) {
        (Ok(link), _) => Ok(Link::new(target.clone(), vec![Attachment::Link(link)])),
        (Err(Errno(libc::ENOENT)), Some((name, _))) => Err(not_found(name)),
        // Checks whether the cookie was the reason.
        (Err(Errno(libc::EINVAL)), _) if options.cookie.is_some() && open(0).is_ok() => {
            Err(Error::Unsupported { what: "cookies of raw tracepoints", needs: "Linux 6.10" })
        }
        (Err(errno), _) => {
            Err(trampoline::refused(program, target, "BPF_RAW_TRACEPOINT_OPEN", errno))
        }
    }
}

fn not_found(name: &str) -> Error {
    let mut nearest = Nearest::new(name, OFFERED);
    // The nearest names are optional.
    let _ = raw_tracepoints::each(|name| nearest.offer(name));
    Error::NotFound {
        what: "raw tracepoint",
        name: name.into(),
        nearest: nearest.into_names(),
        note: None,
    }
}
