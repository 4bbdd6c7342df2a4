//! Functions of programs and libraries: uprobes and uretprobes.
//!
//! The kernel puts a breakpoint at an offset of a file, in every process that has the file mapped, or in one. As with
//! kprobes there is a PMU for it (Linux 4.17), `uprobe_events` in tracefs where that is missing, and one link for many
//! places, `uprobe.multi` (Linux 6.6), for programs that were loaded for it ([`AttachType::TraceUprobeMulti`]).
//!
//! The kernel does not check the instruction at the offset: a breakpoint in the middle of an instruction corrupts it, and
//! crashes the process sooner or later. So an offset has to be in code, and inside the function if there is one; that it is
//! the start of an instruction is up to the caller.
//!
//! [`AttachType::TraceUprobeMulti`]: crate::AttachType::TraceUprobeMulti

use super::cookie::Cookie;
use super::legacy::LegacyProbe;
use super::link::{Attachment, Link};
use super::{Options, Target, attach_error, perf_event, pmu, uprobe_multi};
use crate::error::{Error, Result};
use crate::kernel::tracefs;
use crate::permission::{self, Need};
use crate::program::Program;
use crate::syscall::{self, PerfEvent};
use crate::uapi::{ENOTSUPP, Errno};
use crate::user;
use crate::util::escape::path_text;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use super::kprobe::ProbeMethod;

/// Attaches a program to a [`Target::Uprobe`], a [`Target::UprobeMulti`] or a [`Target::UprobeSession`]. With a pattern for a name that is every function that matches, by a probe for
/// each, at most a thousand.
///
/// The file is found as [`find_file`](user::find_file) does. Of a function that is chosen when a process starts (IFUNC:
/// `strlen` of glibc is one), the implementation used by the running processes is taken, or that of the given process.
/// Looking functions up by name needs the feature `elf`.
///
/// # Errors
/// [`Error::NoFile`] or [`Error::File`] if there is no such file, [`Error::NotInFile`] with the nearest names if the
/// function is not in it, [`Error::Place`] if no probe can be there, [`Error::TooManyPlaces`] if a pattern matches too many,
/// [`Error::Unsupported`] if the kernel was built without uprobes, [`Error::Attach`] if it refuses.
pub fn attach(program: &Program, target: &Target, method: ProbeMethod) -> Result<Link> {
    let target = target.plain();
    target.check(program)?;
    attach_with(program, target, method, &Options::new())
}

/// The same with options.
pub(super) fn attach_with(
    program: &Program,
    target: &Target,
    method: ProbeMethod,
    options: &Options,
) -> Result<Link> {
    let (file, place, returns) = match target {
        Target::Uprobe { file, function, offset, returns } => {
            (file, Place::Text(function, *offset), *returns)
        }
        Target::UprobeSymbol { file, symbol, offset, returns } => {
            (file, Place::Symbol(symbol, *offset), *returns)
        }
        Target::UprobeMulti { file, pattern, returns } => (file, Place::Text(pattern, 0), *returns),
        Target::UprobeSession { file, pattern } => (file, Place::Text(pattern, 0), false),
        _ => {
            let problem = "not a function of a program or library";
            return Err(Error::Target { target: target.to_string(), problem });
        }
    };
    target.check_arguments(program, options.pid)?;
    let path = user::find_file(file, options.pid)?;
    let found = places(&path, place, options.pid).map_err(|error| match (error, place) {
        (Error::NotInFile { .. }, Place::Text(name, 0)) if returns && has_offset(name) => {
            Error::Target { target: target.to_string(), problem: super::target::NO_OFFSET }
        }
        (error, _) => error,
    })?;
    let spots: Vec<_> =
        found.offsets.iter().map(|offset| Spot::at(*offset, options.cookie)).collect();
    let mut real = target.clone();
    if let Target::Uprobe { file, .. }
    | Target::UprobeSymbol { file, .. }
    | Target::UprobeMulti { file, .. }
    | Target::UprobeSession { file, .. } = &mut real
    {
        *file = path_text(&path).into_owned();
    }
    let probes = Probes { program, target: real, path: &path, returns, pid: options.pid };
    let link = probes.attach(spots, method, found.by_pattern)?;
    let (places, skipped) = (link.places(), link.skipped() + found.skipped);
    Ok(link.of_many(places, skipped))
}

/// Attaches a program to functions of one file, each with an offset and its cookie.
#[cfg(feature = "bt")]
pub(super) fn attach_to(
    program: &Program,
    file: &str,
    functions: &[(&str, u64, u64)],
    returns: bool,
    options: &Options,
) -> Result<Link> {
    let path = user::find_file(file, options.pid)?;
    let elf = user::Elf::open(&path)?;
    let known: std::collections::HashMap<_, _> = user::functions(&path)?
        .into_iter()
        .filter(|function| !function.indirect)
        .map(|function| (function.name, function.offset))
        .collect();
    let mut spots = Vec::new();
    for (function, offset, cookie) in functions {
        let cookie = Some(Cookie::new(*cookie));
        match known.get(*function) {
            Some(place) if *offset == 0 => spots.push(Spot::at(*place, cookie)),
            _ => {
                let places = elf.places(function, *offset, options.pid)?;
                spots.extend(places.into_iter().map(|place| Spot::at(place, cookie)));
            }
        }
    }
    let target = Target::Uprobe {
        file: path_text(&path).into_owned(),
        function: functions.first().map_or("", |first| first.0).to_owned(),
        offset: 0,
        returns,
    };
    let probes = Probes { program, target, path: &path, returns, pid: options.pid };
    probes.attach(spots, ProbeMethod::Best, true)
}

/// A position in a file at which to probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub offset: u64,
    /// The offset of the semaphore, the counter that the kernel keeps above zero while the probe exists.
    pub semaphore: Option<u64>,
    pub cookie: Option<Cookie>,
}

impl Spot {
    fn at(offset: u64, cookie: Option<Cookie>) -> Spot {
        Spot { offset, semaphore: None, cookie }
    }
}

/// The settings that probes at all positions of one file share.
pub(super) struct Probes<'p> {
    pub program: &'p Program,
    pub target: Target,
    pub path: &'p Path,
    pub returns: bool,
    pub pid: Option<u32>,
}

impl Probes<'_> {
    /// Attaches at all positions or at none; or, with `skip`, at all that can be probed, if there is one.
    pub(super) fn attach(
        self,
        mut spots: Vec<Spot>,
        method: ProbeMethod,
        skip: bool,
    ) -> Result<Link> {
        let path = CString::new(self.path.as_os_str().as_bytes()).map_err(|_| Error::Target {
            target: self.target.to_string(),
            problem: "no path holds a NUL",
        })?;
        let matched = spots.len();
        if uprobe_multi::is_for(self.program, &self.target) {
            let link = uprobe_multi::link(&self, &path, &mut spots, skip)?;
            let link = Link::new(self.target, vec![Attachment::Link(link)]);
            return Ok(link.of_many(spots.len(), matched - spots.len()));
        }
        let instead = "a program for uprobe.multi (Linux 6.6) has room for all";
        super::many::check_count(&self.target, matched, instead)?;
        let maker = Maker::choose(method, self.returns)?;
        let (mut parts, mut skipped) = (Vec::new(), 0);
        for spot in &spots {
            let (event, legacy) = match maker.make(&self, &path, spot) {
                Err(error) if skip && skipped + 1 < matched && is_no_place(&error) => {
                    skipped += 1;
                    continue;
                }
                made => made?,
            };
            let tied = perf_event::tie(self.program, &self.target, event, spot.cookie)?;
            // Last the probe of the event, which the kernel keeps while an event is open on it.
            parts.extend([Some(tied), legacy.map(Attachment::kept)].into_iter().flatten());
        }
        Ok(Link::new(self.target, parts).of_many(matched - skipped, skipped))
    }

    fn refused(&self, step: &'static str, errno: Errno) -> Error {
        const NOTES: [(i32, &str); 7] = [
            (libc::EACCES, "uprobe.multi, Linux 6.6, does without CAP_SYS_ADMIN"),
            (ENOTSUPP, "the instruction there is one that cannot be probed"),
            (libc::EINVAL, "the file is not a regular one, or the offset is beyond its end"),
            (libc::EIO, "the kernel cannot read the file page by page"),
            (libc::ESRCH, "there is no such process"),
            (libc::EMFILE, "each place takes a descriptor: raise ulimit -n"),
            (libc::ENOENT, "there is no such file"),
        ];
        let note = NOTES.iter().find(|(number, _)| *number == errno.0).map(|(_, note)| *note);
        attach_error(self.program, &self.target, step, errno, Need::Uprobe, note)
    }
}

/// Whether the kernel refuses just this place: it has to execute the instruction out of line, and
/// some instructions do not allow that.
fn is_no_place(error: &Error) -> bool {
    matches!(error, Error::Attach { step: "perf_event_open", errno: Errno(ENOTSUPP), .. })
}

/// The interface that makes probes on this kernel.
enum Maker {
    /// The PMU's number as an event type, and the bit of `config` that selects the return.
    Pmu { kind: u32, config: u64 },
    /// The file in tracefs.
    Tracefs(PathBuf),
}

impl Maker {
    fn choose(method: ProbeMethod, returns: bool) -> Result<Maker> {
        let pmu = || -> Result<Option<Maker>> {
            let found = pmu::find("uprobe", returns)?;
            Ok(found.map(|(kind, config)| Maker::Pmu { kind, config }))
        };
        let in_tracefs = |root: PathBuf| {
            let events = root.join("uprobe_events");
            // A file that cannot be examined here gives its error when it is written.
            let missing = matches!(events.try_exists(), Ok(false));
            (!missing).then_some(Maker::Tracefs(events))
        };
        let maker = match method {
            ProbeMethod::Pmu => pmu::demand(pmu()?)?,
            ProbeMethod::Tracefs => in_tracefs(tracefs::root("ProbeMethod::Tracefs")?),
            ProbeMethod::Best => match pmu()? {
                None => match tracefs::root("a uprobe without the uprobe PMU") {
                    Ok(root) => in_tracefs(root),
                    Err(error) if !pmu::is_visible() => return Err(error),
                    Err(_) => None,
                },
                maker => maker,
            },
        };
        maker.ok_or(Error::Unsupported {
            what: "uprobes",
            needs: "it was built without CONFIG_UPROBE_EVENTS",
        })
    }

    fn make(
        &self,
        probes: &Probes<'_>,
        path: &CString,
        spot: &Spot,
    ) -> Result<(OwnedFd, Option<LegacyProbe>)> {
        let opened = |event: &PerfEvent<'_>| {
            let event = match probes.pid {
                Some(pid) => {
                    let pid = i32::try_from(pid).map_err(|_| Errno(libc::ESRCH));
                    pid.and_then(|pid| {
                        syscall::perf_event_open(&PerfEvent { pid, cpu: -1, ..event.clone() })
                    })
                }
                None => perf_event::open(event),
            };
            event.map_err(|errno| probes.refused("perf_event_open", errno))
        };
        match self {
            Maker::Pmu { kind, config } => {
                let event = opened(&PerfEvent {
                    kind: *kind,
                    config: *config | semaphore(spot)?,
                    name: Some(path),
                    offset: spot.offset,
                    ..PerfEvent::default()
                })?;
                Ok((event, None))
            }
            Maker::Tracefs(events) => {
                let (probe, id) = write(probes, events, spot)?;
                let kind = perf_event::TYPE_TRACEPOINT;
                let event = opened(&PerfEvent { kind, config: id, ..PerfEvent::default() })?;
                Ok((event, Some(probe)))
            }
        }
    }
}

/// The bits of `config` that hold the offset of the semaphore.
fn semaphore(spot: &Spot) -> Result<u64> {
    let Some(offset) = spot.semaphore else { return Ok(0) };
    if !pmu::has_format("uprobe", "ref_ctr_offset") {
        return Err(Error::Unsupported {
            what: "semaphores of USDT probes",
            needs: "Linux 4.20 brought them",
        });
    }
    match u32::try_from(offset) {
        Ok(offset) => Ok(u64::from(offset) << 32),
        Err(_) => Err(Error::Unsupported {
            what: "semaphores so far back in a file",
            needs: "the uprobe PMU has 32 bits for the offset, and uprobe.multi (Linux 6.6) has 64",
        }),
    }
}

/// Writes a probe into tracefs and returns the number of its tracepoint.
fn write(probes: &Probes<'_>, events: &Path, spot: &Spot) -> Result<(LegacyProbe, u64)> {
    let path = probes.path.as_os_str().as_bytes();
    // The kernel splits the line at what its isspace() has.
    if path.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0xb | 0xa0)) {
        return Err(Error::Place {
            target: probes.target.to_string(),
            problem: "uprobe_events takes no path with a space in it".into(),
        });
    }
    let mut place = [path, format!(":{:#x}", spot.offset).as_bytes()].concat();
    if let Some(semaphore) = spot.semaphore {
        place.extend_from_slice(format!("({semaphore:#x})").as_bytes());
    }
    match LegacyProbe::write(events, probes.returns, &place)? {
        Ok(made) => Ok(made),
        Err(errno @ Errno(libc::EINVAL | libc::ENOENT)) => {
            Err(probes.refused("uprobe_events", errno))
        }
        Err(Errno(errno)) => {
            Err(permission::file("write", events, io::Error::from_raw_os_error(errno)))
        }
    }
}

/// A position in a file, as a target gives it.
#[derive(Debug, Clone, Copy)]
enum Place<'t> {
    /// A text, and the number behind it: to be resolved with the symbols of the file.
    Text(&'t str, u64),
    /// A symbol as it is, and bytes behind it.
    Symbol(&'t str, u64),
}

/// Whether a text ends like one with an offset.
fn has_offset(name: &str) -> bool {
    name.rsplit_once('+').is_some_and(|(_, offset)| super::target::number(offset).is_some())
}

/// The places in a file that a target names.
#[cfg(feature = "elf")]
fn places(path: &Path, place: Place<'_>, pid: Option<u32>) -> Result<user::Places> {
    let elf = match (user::Elf::open(path), place) {
        // A file that is not ELF may be mapped as code, too.
        (Err(Error::Format { .. }), Place::Text("", offset)) => {
            return Ok(user::Places::at(offset));
        }
        (elf, _) => elf?,
    };
    match place {
        Place::Text(text, offset) => elf.resolve(text, offset, pid),
        Place::Symbol(symbol, offset) => Ok(user::Places {
            offsets: elf.places(symbol, offset, pid)?,
            skipped: 0,
            by_pattern: false,
        }),
    }
}

/// The same without symbols.
#[cfg(not(feature = "elf"))]
fn places(path: &Path, place: Place<'_>, _: Option<u32>) -> Result<user::Places> {
    match place {
        Place::Text("", offset) => {
            check_offset(path, offset)?;
            Ok(user::Places::at(offset))
        }
        Place::Text(function, offset) | Place::Symbol(function, offset) => Err(Error::Place {
            target: format!("{}:{function}+{offset:#x}", path.display()),
            problem: "this was built without the feature `elf`: name it by its offset in the file"
                .into(),
        }),
    }
}

/// Refuses an offset beyond the end of the file.
#[cfg(not(feature = "elf"))]
fn check_offset(path: &Path, offset: u64) -> Result<()> {
    let about = std::fs::metadata(path);
    let failed = |source| Error::File { action: "open", path: path.into(), source, why: None };
    if about.map_err(failed)?.len() <= offset {
        return Err(Error::Place {
            target: format!("{}:{offset:#x}", path.display()),
            problem: "the file ends before it".into(),
        });
    }
    Ok(())
}
