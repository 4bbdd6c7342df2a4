//! Static tracepoints of the kernel (Linux 4.7).

use super::link::{Link, Part};
use super::{Target, perf_event};
use crate::error::{Error, Result};
use crate::kernel::tracefs;
use crate::program::Program;
use crate::syscall::PerfEvent;

/// Attaches a program to a [`Target::Tracepoint`].
///
/// # Errors
/// [`Error::NoTracefs`] if the numbers of tracepoints cannot be read,
/// [`Error::NotFound`] if there is no such tracepoint, [`Error::Attach`] if the kernel refuses.
pub fn attach(program: &Program, target: &Target) -> Result<Link> {
    let Target::Tracepoint { category, name } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a tracepoint" });
    };
    let event = PerfEvent {
        kind: perf_event::TYPE_TRACEPOINT,
        config: tracefs::tracepoint_id(category, name)?,
        ..PerfEvent::default()
    };
    let event = perf_event::open(&event)
        .map_err(|errno| perf_event::refused(program, target, "perf_event_open", errno))?;
    let link = perf_event::tie(program, target, &event)?;
    let parts = [link.map(Part::Link), Some(Part::Held(event))];
    Ok(Link::new(target.clone(), parts.into_iter().flatten().collect()))
}
