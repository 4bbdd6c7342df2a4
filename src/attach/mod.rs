//! Attaching: where a program can run, one file per kind of place.
//!
//! What attaching gives is a [`Link`]: the program runs for as long as it is kept, and dropping it
//! detaches. The kernel does the same for a process that is killed, because all that holds a
//! program in its place are file descriptors. (Where an old kernel can only do it in ways that outlive a process, the file
//! of that kind of place says so.)
//!
//! A program is loaded for one kind of place: [`Target::spec`] makes a spec fit for a target.

pub mod cgroup;
mod clsact;
mod device;
pub mod kprobe;
mod link;
mod perf_event;
pub mod socket;
mod target;
pub mod tc;
pub mod tracepoint;
pub mod xdp;

pub use link::Link;
pub use target::{Direction, PerfEventKind, Sampling, Target, TcMethod, TrampolineAt, XdpMode};

use crate::error::{Error, Result};
use crate::program::Program;

/// What is said of an attachment besides its place. Nothing of it need be said.
///
/// ```
/// use rawbpf::attach::Options;
///
/// let options = Options::new().cookie(7).pid(std::process::id());
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    cookie: Option<u64>,
    pid: Option<u32>,
}

impl Options {
    /// Nothing besides the place.
    pub const fn new() -> Options {
        Options { cookie: None, pid: None }
    }

    /// What `get_attach_cookie` gives to the program, so that one program in many places knows in which one it runs
    /// (kprobes, uprobes, tracepoints, perf events Linux 5.15; `fentry` and its kin 5.19; raw tracepoints 6.10).
    pub const fn cookie(mut self, cookie: u64) -> Options {
        self.cookie = Some(cookie);
        self
    }

    /// One process and not all: uprobes, USDT probes, perf events.
    pub const fn pid(mut self, pid: u32) -> Options {
        self.pid = Some(pid);
        self
    }
}

/// Attaches a program to what a target names.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) if there is no such place on this kernel,
/// [`Error::Unsupported`](crate::Error::Unsupported) if it has none of the kind,
/// [`Error::Attach`](crate::Error::Attach) if the kernel refuses.
pub fn attach(program: &Program, target: &Target) -> Result<Link> {
    attach_with(program, target, &Options::new())
}

/// Attaches a program to what a target names, with options.
///
/// # Errors
/// Those of [`attach`]; [`Error::Unsupported`](crate::Error::Unsupported) too if this kind of place does not have an
/// option.
pub fn attach_with(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    if *options != Options::new() {
        return Err(Error::Unsupported {
            what: "options of an attachment",
            needs: "not built yet",
        });
    }
    match target {
        Target::Kprobe { .. } => kprobe::attach(program, target, kprobe::Method::Best),
        Target::Tracepoint { .. } => tracepoint::attach(program, target),
        Target::Xdp { .. } => xdp::attach(program, target, xdp::Method::Best),
        Target::Tc { .. } => tc::attach(program, target, tc::Position::Last),
        Target::Cgroup { .. } => cgroup::attach(program, target, cgroup::Method::Best),
        Target::Socket { .. } => socket::attach_device(program, target),
        _ => Err(Error::Target {
            target: target.to_string(),
            problem: "this kind of place is not built yet",
        }),
    }
}
