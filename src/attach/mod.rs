//! Attaching: where a program can run, one file per kind of place.
//!
//! What attaching gives is a [`Link`]: the program runs for as long as it is kept, and dropping it
//! detaches. The kernel does the same for a process that is killed, because all that holds a
//! program in its place are file descriptors.

pub mod kprobe;
mod perf_event;
mod target;
pub mod tracepoint;

pub use target::Target;

use crate::error::Result;
use crate::program::Program;
use kprobe::LegacyProbe;
use std::os::fd::OwnedFd;

/// A program in its place. Dropping it detaches.
#[derive(Debug)]
#[must_use = "dropping a link detaches the program"]
pub struct Link {
    target: Target,
    // Dropped in this order: the tie, the event, and last the probe that the event came from, which the
    // kernel keeps (EBUSY) while an event is open on it.
    _link: Option<OwnedFd>,
    _event: OwnedFd,
    _legacy: Option<LegacyProbe>,
}

impl Link {
    /// What the program is attached to, by the kernel's own name: `kprobe:__x64_sys_clone`.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

/// Attaches a program to what a target names.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) if there is no such place on this kernel,
/// [`Error::Unsupported`](crate::Error::Unsupported) if it has none of the kind,
/// [`Error::Attach`](crate::Error::Attach) if the kernel refuses.
pub fn attach(program: &Program, target: &Target) -> Result<Link> {
    match target {
        Target::Kprobe { .. } => kprobe::attach(program, target, kprobe::Method::Best),
        Target::Tracepoint { .. } => tracepoint::attach(program, target),
    }
}
