//! Targets that stand for many places, by a pattern.

use super::Target;
use crate::error::{Error, Result};
use crate::kernel::functions::{self, Source};
use crate::kernel::symbols;
use crate::uapi::Errno;
use crate::util::glob::{Glob, is_pattern};
use std::ops::ControlFlow;

/// The most probes that are made one by one. Each takes a descriptor, of which a process has 1,024 by default, and some
/// ten milliseconds when it is removed.
pub(super) const MOST: usize = 1000;

/// Returns the kernel functions whose names match, each name once, sorted. `sys_NAME` means the system calls.
///
/// # Errors
/// [`Error::NotFound`] if there is none; else as [`symbols::each`].
pub(super) fn functions(pattern: &str) -> Result<(Vec<String>, Source)> {
    let calls = pattern.strip_prefix("sys_").into_iter();
    let patterns: Vec<_> = calls.flat_map(symbols::syscall_symbols).collect();
    for pattern in patterns.iter().map(String::as_str).chain([pattern]) {
        let (names, source) = matching(pattern)?;
        if !names.is_empty() {
            return Ok((names, source));
        }
    }
    if is_pattern(pattern) {
        return Err(none("kernel function that matches", pattern));
    }
    let nearest = symbols::nearest(pattern)?;
    let note = symbols::changed_by_compiler(pattern, &nearest);
    Err(Error::NotFound { what: "kernel function", name: pattern.into(), nearest, note })
}

fn matching(pattern: &str) -> Result<(Vec<String>, Source)> {
    let glob = Glob::new(pattern);
    let mut names = Vec::new();
    let source = functions::each(|name, _| {
        if glob.matches(name) {
            names.push(name.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    names.sort_unstable();
    names.dedup();
    Ok((names, source))
}

fn none(what: &'static str, pattern: &str) -> Error {
    Error::NotFound { what, name: pattern.into(), nearest: Vec::new(), note: None }
}

/// Refuses to make more than [`MOST`] probes one by one.
pub(super) fn check_count(target: &Target, places: usize, instead: &'static str) -> Result<()> {
    if places <= MOST {
        return Ok(());
    }
    Err(Error::TooManyPlaces { target: target.to_string(), places, most: MOST, instead })
}

/// Whether an error means that just this place cannot be probed: the kernel excludes it from probes, or has several
/// functions of that name (Linux 6.7), or no longer has it.
pub(super) fn is_passed_over(error: &Error) -> bool {
    match error {
        Error::Attach { step, errno, .. } => {
            matches!(*step, "perf_event_open" | "kprobe_events")
                && matches!(errno, Errno(libc::EINVAL | libc::EADDRNOTAVAIL | libc::EOPNOTSUPP))
        }
        Error::NotFound { .. } => true,
        _ => false,
    }
}
