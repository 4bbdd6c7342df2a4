//! Perf events: a program that runs after a number of events, or at a frequency, as a profiler does.
//! `perf_event_open(2)`; Linux 4.9.

use super::link::{Attachment, Link};
use super::{Options, PerfEventKind, Sampling, Target, attach_error, perf_event};
use crate::error::{Error, Result};
use crate::kernel::{cpu, perf_names};
use crate::permission::{self, Need};
use crate::program::Program;
use crate::syscall::{self, PerfEvent};
use crate::uapi::Errno;
use crate::util::nearest::{Nearest, OFFERED};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// `PERF_TYPE_HARDWARE` and `PERF_TYPE_SOFTWARE`.
const HARDWARE: u32 = 0;
const SOFTWARE: u32 = 1;

/// Attaches a program to a [`Target::PerfEvent`]: to one event on each CPU that runs, or to one in each thread of a process
/// (and, from Linux 5.13 on, in each that it starts later).
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no event of that name, [`Error::Attach`] if the kernel refuses.
pub(super) fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    let Target::PerfEvent { event, sampling } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a perf event" });
    };
    let (kind, config) = number(event)?;
    let (sample_period, freq) = match sampling {
        Sampling::Period(period) => (*period, false),
        Sampling::Frequency(rate) => (*rate, true),
    };
    let event = PerfEvent { kind, config, sample_period, freq, ..PerfEvent::default() };
    let refused = |errno| refused(program, target, errno);
    let (events, skipped) = match options.pid {
        None => on_each_cpu(&event, options.one_cpu, refused)?,
        Some(pid) => (in_each_thread(&event, pid, refused)?, 0),
    };
    let places = events.len();
    let tied =
        events.into_iter().map(|event| perf_event::tie(program, target, event, options.cookie));
    let parts: Vec<Attachment> = tied.collect::<Result<_>>()?;
    Ok(Link::new(target.clone(), parts).of_many(places, skipped))
}

/// The type and the number of an event.
fn number(event: &PerfEventKind) -> Result<(u32, u64)> {
    let (kind, names, name, what) = match event {
        PerfEventKind::Software(name) => (SOFTWARE, perf_names::SOFTWARE, name, "software event"),
        PerfEventKind::Hardware(name) => (HARDWARE, perf_names::HARDWARE, name, "hardware event"),
    };
    if let Some((_, number)) = names.iter().find(|(known, _)| known == name) {
        return Ok((kind, *number));
    }
    let mut nearest = Nearest::new(name, OFFERED);
    names.iter().for_each(|(name, _)| nearest.offer(name));
    let nearest = nearest.into_names();
    let note = Some("rawbpf list 'software:*' and 'hardware:*' have all there are");
    Err(Error::NotFound { what, name: name.clone(), nearest, note })
}

fn on_each_cpu(
    event: &PerfEvent<'_>,
    one: bool,
    refused: impl Fn(Errno) -> Error,
) -> Result<(Vec<OwnedFd>, usize)> {
    let (mut events, mut skipped) = (Vec::new(), 0);
    for cpu in cpu::online()? {
        let cpu = i32::try_from(cpu).unwrap_or(i32::MAX);
        match syscall::perf_event_open(&PerfEvent { pid: -1, cpu, ..event.clone() }) {
            Ok(event) => {
                events.push(event);
                if one {
                    break;
                }
            }
            // The CPU has been taken offline since.
            Err(Errno(libc::ENODEV)) if !one => skipped += 1,
            Err(Errno(libc::ENODEV)) => {}
            Err(errno) => return Err(refused(errno)),
        }
    }
    if events.is_empty() { Err(refused(Errno(libc::ENODEV))) } else { Ok((events, skipped)) }
}

fn in_each_thread(
    event: &PerfEvent<'_>,
    pid: u32,
    refused: impl Fn(Errno) -> Error,
) -> Result<Vec<OwnedFd>> {
    let path = PathBuf::from(format!("/proc/{pid}/task"));
    let unread = |source| match Errno::of(&source) {
        Errno(libc::ENOENT | libc::ESRCH) => refused(Errno(libc::ESRCH)),
        _ => permission::file("read", &path, source),
    };
    let mut events = Vec::new();
    for entry in fs::read_dir(&path).map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match in_thread(event, thread) {
            Ok(event) => events.push(event),
            // The thread has ended since.
            Err(Errno(libc::ESRCH)) => {}
            Err(errno) => return Err(refused(errno)),
        }
    }
    if events.is_empty() { Err(refused(Errno(libc::ESRCH))) } else { Ok(events) }
}

/// An event of one thread, wherever it runs.
fn in_thread(event: &PerfEvent<'_>, thread: i32) -> Result<OwnedFd, Errno> {
    let alone = PerfEvent { pid: thread, cpu: -1, ..event.clone() };
    let with_others = PerfEvent { inherit: true, inherit_thread: true, ..alone.clone() };
    match syscall::perf_event_open(&with_others) {
        // A kernel before 5.13 does not know it, and would pass the event on to other processes as well.
        Err(Errno(libc::EINVAL)) => syscall::perf_event_open(&alone),
        answer => answer,
    }
}

fn refused(program: &Program, target: &Target, errno: Errno) -> Error {
    let hardware = matches!(target, Target::PerfEvent { event: PerfEventKind::Hardware(_), .. });
    let note = match errno.0 {
        libc::ENOENT if hardware => Some(
            "the CPU of this machine counts no such event, or does not let it be counted, as many virtual machines do",
        ),
        libc::ENOENT => Some("this kernel counts no such event"),
        libc::EOPNOTSUPP => Some("the CPU counts it, but cannot interrupt after so many"),
        libc::EINVAL => Some(
            "the frequency may be more than /proc/sys/kernel/perf_event_max_sample_rate, or the period too short",
        ),
        libc::ESRCH => Some("there is no such process"),
        libc::ENODEV => Some("no CPU is running"),
        libc::EMFILE => Some("each place takes a descriptor: raise ulimit -n"),
        _ => None,
    };
    attach_error(program, target, "perf_event_open", errno, Need::PerfEvent, note)
}
