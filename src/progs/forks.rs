//! The system calls that the tutorial's programs trace: all that make a process or a thread.
//!
//! The tutorial attaches to `sys_clone` alone, which was all there was to listen to. Since then C libraries
//! start threads and processes with `clone3`, and shells with `vfork`; a program on `sys_clone` sees few of
//! them.

use crate::attach::{self, Link, Target};
use crate::error::{Error, Result};
use crate::program::{Loader, Program};
use crate::spec::ProgramSpec;
use crate::uapi::ProgramType;

/// The calls. Not every architecture has each of them.
pub const CALLS: [&str; 4] = ["clone", "clone3", "fork", "vfork"];

/// The attachments of a program.
#[derive(Debug)]
pub struct Attached {
    /// The program that is attached to all of them.
    pub program: Program,
    /// One link for each of the calls that this kernel has.
    pub links: Vec<Link>,
    /// The error of the kprobes, if the tracepoints of the calls are used instead.
    pub instead_of_kprobes: Option<Error>,
}

/// Loads a program and attaches it to each of [`CALLS`] that this kernel has: by kprobe, or by the
/// tracepoints `syscalls/sys_enter_…` if it has no kprobes.
///
/// # Errors
/// Errors of loading and attaching; [`Error::NotFound`] if the kernel has none of the calls.
pub fn attach<'a>(loader: &mut Loader<'a>, spec: &ProgramSpec<'a, '_>) -> Result<Attached> {
    let kprobe = |call: &str| Target::kprobe(format!("sys_{call}"));
    match attach_all(loader, &spec.with_kind(ProgramType::Kprobe), kprobe) {
        Ok((program, links)) => Ok(Attached { program, links, instead_of_kprobes: None }),
        Err(none @ Error::Unsupported { .. }) => {
            let tracepoint =
                |call: &str| Target::tracepoint("syscalls", format!("sys_enter_{call}"));
            let spec = spec.with_kind(ProgramType::Tracepoint);
            let (program, links) = attach_all(loader, &spec, tracepoint)?;
            Ok(Attached { program, links, instead_of_kprobes: Some(none) })
        }
        Err(error) => Err(error),
    }
}

fn attach_all<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    target: impl Fn(&str) -> Target,
) -> Result<(Program, Vec<Link>)> {
    let program = loader.load(spec)?;
    let mut links = Vec::new();
    let mut missing = None;
    for call in CALLS {
        match attach::attach(&program, &target(call)) {
            Ok(link) => links.push(link),
            Err(error @ Error::NotFound { .. }) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if links.is_empty() => Err(error),
        _ => Ok((program, links)),
    }
}
