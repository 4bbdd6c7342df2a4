//! Attaches to many kernel functions by one link: `kprobe.multi` (Linux 5.18) and `kprobe.session` (6.10), both with
//! `CONFIG_FPROBE`.
//!
//! The program has to be loaded for it ([`AttachType::TraceKprobeMulti`], [`AttachType::TraceKprobeSession`]):
//! helpers such as `get_func_ip` have another implementation. A kernel without either loads it all the same and refuses only
//! to attach it.

use super::link::Attachment;
use super::{Link, Options, Target, attach_error, many};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::kernel::functions::Source;
use crate::permission::Need;
use crate::program::Program;
use crate::syscall::{self, LinkCreate, LinkExtra};
use crate::uapi::{AttachType, Errno};
use crate::util::glob::is_pattern;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

/// `BPF_F_KPROBE_MULTI_RETURN`.
const RETURNS: u32 = 1;

/// Whether a program was loaded for `kprobe.multi`.
pub(super) fn is_for(program: &Program) -> bool {
    program.attach_type() == Some(AttachType::TraceKprobeMulti)
}

/// Whether a target is better attached in this way than by separate probes.
pub(super) fn is_better(target: &Target) -> bool {
    matches!(target, Target::Kprobe { function, offset: 0, .. } if is_pattern(function))
}

/// Attaches a program to all functions that a [`Target::Kprobe`], [`Target::KprobeMulti`] or [`Target::KprobeSession`] names.
///
/// # Errors
/// [`Error::NotFound`] if there is none, [`Error::NoFeature`] if the kernel cannot do this, [`Error::Attach`] if it refuses.
pub(super) fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    let (pattern, flags, attach_type) = match target {
        Target::Kprobe { function, offset: 0, returns } => {
            let flags = if *returns { RETURNS } else { 0 };
            (function, flags, AttachType::TraceKprobeMulti)
        }
        Target::KprobeMulti { pattern, returns } => {
            let flags = if *returns { RETURNS } else { 0 };
            (pattern, flags, AttachType::TraceKprobeMulti)
        }
        Target::KprobeSession { pattern } => (pattern, 0, AttachType::TraceKprobeSession),
        _ => {
            let problem = "kprobe.multi has programs at the entry or the return of functions alone";
            return Err(Error::Target { target: target.to_string(), problem });
        }
    };
    target.check_arguments(program, None)?;
    let (names, source) = many::functions(pattern)?;
    let cookies = options.number().map(|cookie| vec![cookie; names.len()]).unwrap_or_default();
    link(program, target, (&names, source), &cookies, (attach_type, flags))
}

/// Attaches a program to the entry or the return of functions, each with its cookie.
///
/// # Errors
/// [`Error::NoFeature`] if the kernel cannot do this, [`Error::Attach`] if it refuses.
#[cfg(feature = "bt")]
pub(super) fn attach_to(
    program: &Program,
    functions: &[(&str, u64)],
    returns: bool,
) -> Result<Link> {
    let names: Vec<_> = functions.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cookies: Vec<_> = functions.iter().map(|(_, cookie)| *cookie).collect();
    let function = names.first().cloned().unwrap_or_default();
    let target = Target::Kprobe { function, offset: 0, returns };
    let how = (AttachType::TraceKprobeMulti, if returns { RETURNS } else { 0 });
    link(program, &target, (&names, Source::Traceable), &cookies, how)
}

fn link(
    program: &Program,
    target: &Target,
    (names, source): (&[String], Source),
    cookies: &[u64],
    (attach_type, flags): (AttachType, u32),
) -> Result<Link> {
    // No name that was read holds a NUL.
    let names: Vec<_> = names.iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
    let pointers: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    let link = syscall::link_create(&LinkCreate {
        program: program.as_fd(),
        target: syscall::Target::None,
        attach_type: attach_type as u32,
        flags: 0,
        extra: LinkExtra::KprobeMulti { flags, functions: &pointers, cookies },
    });
    match link {
        Ok(link) => {
            let link = Link::new(target.clone(), vec![Attachment::Link(link)]);
            Ok(link.of_many(names.len(), 0))
        }
        Err(errno) => {
            if matches!(errno, Errno(libc::EINVAL | libc::EOPNOTSUPP)) {
                Features::new().demand(attach_type)?;
            }
            Err(refused(program, target, errno, source))
        }
    }
}

fn refused(program: &Program, target: &Target, errno: Errno, source: Source) -> Error {
    let note = match (errno, source) {
        // The kernel looks each name up among those that ftrace can trace (ftrace_lookup_symbols()).
        (Errno(libc::ESRCH), Source::Symbols) => Some(
            "not all of these functions can be traced; those that can are in available_filter_functions, which this \
             process cannot read: is tracefs mounted?",
        ),
        (Errno(libc::ESRCH), Source::Traceable) => {
            Some("one of the functions has gone in the meantime: is a module being unloaded?")
        }
        (Errno(libc::EINVAL), _) => Some("the program was not loaded for this way of attaching it"),
        _ => None,
    };
    attach_error(program, target, "BPF_LINK_CREATE", errno, Need::Tracing, note)
}
