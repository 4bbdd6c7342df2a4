//! Static tracepoints of the kernel (Linux 4.7).

use super::link::{Attachment, Link};
use super::{Options, Target, many, perf_event};
use crate::error::{Error, Result};
use crate::kernel::tracefs;
use crate::program::Program;
use crate::spec::AttachTo;
use crate::spec::attach_point::facts;
use crate::syscall::PerfEvent;
use crate::util::glob::is_pattern;

/// Attaches a program to a [`Target::Tracepoint`], or to all that match if it is a pattern.
///
/// # Errors
/// [`Error::NoTracefs`] if the numbers of tracepoints cannot be read,
/// [`Error::NotFound`] if there is no such tracepoint, [`Error::Attach`] if the kernel refuses.
pub fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    let target = target.plain();
    let Target::Tracepoint { category, name } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a tracepoint" });
    };
    target.check_type(program, const { facts("tracepoint").program_type })?;
    program.check_arguments(&AttachTo::Tracepoint { category, name }, None)?;
    // Not a clone of the target, which brings the code for those of all other kinds along.
    let whole = Target::tracepoint(category.as_str(), name.as_str());
    if !is_pattern(category) && !is_pattern(name) {
        let part = one(program, target, category, name, options)?;
        return Ok(Link::new(whole, vec![part]));
    }
    let found = tracefs::matching(category, name)?;
    let places = found.len();
    many::check_count(target, places, "take fewer")?;
    let mut parts = Vec::with_capacity(places);
    for (category, name) in &found {
        let real = Target::tracepoint(category.as_str(), name.as_str());
        parts.push(one(program, &real, category, name, options)?);
    }
    Ok(Link::new(whole, parts).of_many(places, 0))
}

fn one(
    program: &Program,
    target: &Target,
    category: &str,
    name: &str,
    options: &Options,
) -> Result<Attachment> {
    let event = PerfEvent {
        kind: perf_event::TYPE_TRACEPOINT,
        config: tracefs::tracepoint_id(category, name)?,
        ..PerfEvent::default()
    };
    let event = perf_event::open(&event)
        .map_err(|errno| perf_event::refused(program, target, "perf_event_open", errno))?;
    perf_event::tie(program, target, event, options.cookie)
}
