//! Functions of the kernel that programs are entered from directly: `fentry`, `fexit`, `fmod_ret` (Linux 5.5) and the hooks
//! of security modules (5.7). What exactly is named at load, by BTF.

use super::link::Attachment;
use super::{Link, Options, Target, attach_error};
use crate::error::{Error, Result};
use crate::permission::Need;
use crate::program::Program;
use crate::syscall::{self, LinkCreate, LinkExtra, RawTracepoint};
use crate::uapi::{AttachType, ENOTSUPP, Errno};
use crate::util::file;
use std::os::fd::{AsFd, OwnedFd};

/// The security modules that are active.
const LSM: &str = "/sys/kernel/security/lsm";

/// Attaches a program to a [`Target::Trampoline`] or [`Target::Lsm`].
///
/// # Errors
/// [`Error::Unsupported`] if the kernel or this machine cannot do it, or has no cookies there (before Linux 5.19);
/// [`Error::Attach`] if the kernel refuses.
pub(super) fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    if matches!(target, Target::Lsm { .. }) {
        // The program would be attached, to a hook that nothing calls.
        lsm_is_active()?;
    }
    let link = match options.number() {
        None => open(program).map_err(|errno| ("BPF_RAW_TRACEPOINT_OPEN", errno)),
        Some(cookie) => match create(program, target, cookie) {
            // Was it the cookie?
            Err(Errno(libc::EINVAL)) if open(program).is_ok() => {
                let what = "cookies of programs at functions";
                return Err(Error::Unsupported { what, needs: "Linux 5.19" });
            }
            answer => answer.map_err(|errno| ("BPF_LINK_CREATE", errno)),
        },
    };
    match link {
        Ok(link) => Ok(Link::new(target.clone(), vec![Attachment::Link(link)])),
        Err((step, errno)) => Err(refused(program, target, step, errno)),
    }
}

/// The command that all kernels have for it. It makes a link, too.
fn open(program: &Program) -> Result<OwnedFd, Errno> {
    syscall::raw_tracepoint_open(&RawTracepoint { program: program.as_fd(), name: None, cookie: 0 })
}

fn create(program: &Program, target: &Target, cookie: u64) -> Result<OwnedFd, Errno> {
    let expected = match target {
        Target::Lsm { .. } => AttachType::LsmMac,
        // The type it was loaded for, perhaps by another process; if that is wrong, the kernel refuses it.
        _ => program.attach_type().unwrap_or(AttachType::TraceFentry),
    };
    syscall::link_create(&LinkCreate {
        program: program.as_fd(),
        target: syscall::Target::None,
        attach_type: expected as u32,
        flags: 0,
        extra: LinkExtra::Tracing { target_btf_id: 0, cookie },
    })
}

/// Whether LSM hooks call programs. If the list of security modules cannot be read that is not known, and it is `Ok`.
fn lsm_is_active() -> Result<()> {
    match file::read_to_string(LSM) {
        Ok(list) if !list.split(',').any(|one| one.trim() == "bpf") => Err(Error::Unsupported {
            what: "active security module `bpf`, and would not call the program",
            needs: "it is built with CONFIG_BPF_LSM and starts with `bpf` in CONFIG_LSM or in lsm=…,bpf on its command line",
        }),
        _ => Ok(()),
    }
}

/// The error of an attachment to what was named at load.
pub(super) fn refused(
    program: &Program,
    target: &Target,
    step: &'static str,
    errno: Errno,
) -> Error {
    const NOTES: [(i32, &str); 5] = [
        // It is taken for a raw tracepoint's, and has no name.
        (libc::EFAULT, "the program was loaded for something else"),
        (libc::EINVAL, "the program was loaded for something else"),
        (
            libc::EBUSY,
            "something else has its hand on that function: another program, live patching",
        ),
        (libc::E2BIG, "as many programs are attached there as can be"),
        (libc::EEXIST, "this program is attached there already"),
    ];
    if errno == Errno(ENOTSUPP) {
        return Error::Unsupported {
            what: "trampolines at functions",
            needs: "it takes CONFIG_BPF_JIT, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, and a JIT for this architecture that \
                    can do it (arm64 since Linux 6.0)",
        };
    }
    let note = NOTES.iter().find(|(number, _)| *number == errno.0).map(|(_, note)| *note);
    attach_error(program, target, step, errno, Need::Tracing, note)
}

/// The same with a note on the meaning of the errno in this case.
pub(super) fn noted(program: &Program, target: &Target, errno: Errno, note: &'static str) -> Error {
    attach_error(program, target, "BPF_LINK_CREATE", errno, Need::Tracing, Some(note))
}
