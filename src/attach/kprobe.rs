//! Functions of the kernel: kprobes and kretprobes.
//!
//! The kernel offers them as a PMU of their own (Linux 4.17): the perf event *is* the probe and ends
//! with its descriptor. Where that is missing, a probe is written into `kprobe_events` in tracefs, where
//! it would outlive the process; so its name holds the owner, and the next process that attaches that way
//! removes the probes of dead processes (`Documentation/trace/kprobetrace.rst`).

use super::cookie::Cookie;
use super::legacy::LegacyProbe;
use super::link::{Attachment, Link};
use super::{Options, Target, many, perf_event, pmu};
use crate::error::{Error, Result};
use crate::kernel::{extent, functions, symbols, tracefs};
use crate::permission;
use crate::program::Program;
use crate::syscall::PerfEvent;
use crate::uapi::Errno;
use crate::util::glob::is_pattern;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The interface by which a probe is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeMethod {
    /// The first of the others that this kernel has.
    Best,
    /// The kprobe PMU, by `perf_event_open(2)` alone (Linux 4.17).
    Pmu,
    /// `kprobe_events` in tracefs (Linux 2.6.33), then a perf event on the tracepoint that it makes.
    Tracefs,
}

/// Attaches a program to a [`Target::Kprobe`]; if it is a pattern, by a probe for each function, at most a thousand.
///
/// A function that is named `sys_NAME` means the system call `NAME`: its function has another name on
/// every architecture (`__x64_sys_clone`, `__arm64_sys_clone`). The usual one is tried first; the
/// kernel's table of symbols is read only if that is not there.
///
/// # Errors
/// [`Error::NotFound`] with the nearest names if there is no such function, [`Error::TooManyPlaces`] if a pattern matches
/// too many, [`Error::Unsupported`] if the kernel was built without kprobes, [`Error::Attach`] if it refuses.
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
    let Target::Kprobe { function, offset, returns } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a kernel function" });
    };
    target.check_arguments(program, None)?;
    let place = |function: String| Place { function, offset: *offset, returns: *returns };
    let maker = Maker::choose(method, *returns)?;
    let cookie = options.cookie;
    if is_pattern(function) {
        return attach_to_all(program, target, &maker, cookie, place);
    }

    let Some(call) = function.strip_prefix("sys_") else {
        let place = place(function.clone());
        let made = maker.make(program, target, &place);
        let Some(probe) = made.map_err(|error| ambiguous(target, function, error))? else {
            return Err(not_found(function)?);
        };
        return probe.tie(program, cookie);
    };
    let usual = symbols::syscall_symbols(call).next().unwrap_or_else(|| function.clone());
    if let Some(probe) = maker.make(program, target, &place(usual.clone()))? {
        return probe.tie(program, cookie);
    }
    let other = symbols::resolve_syscall(call)?.filter(|other| *other != usual);
    let probe = match other {
        Some(other) => maker.make(program, target, &place(other))?,
        None => None,
    };
    match probe {
        Some(probe) => probe.tie(program, cookie),
        None => Err(not_found(function)?),
    }
}

/// Returns the error for a function that does not exist, or the one of looking for similar names.
fn not_found(function: &str) -> Result<Error> {
    if let Some((module, name)) = function.split_once(':') {
        let (nearest, is_loaded) = symbols::nearest_in_module(module, name)?;
        let note = (!is_loaded).then_some("no module of that name is loaded that has functions");
        return Ok(Error::NotFound {
            what: "kernel function",
            name: function.into(),
            nearest,
            note,
        });
    }
    let nearest = symbols::nearest(function)?;
    let note = symbols::changed_by_compiler(function, &nearest);
    Ok(Error::NotFound { what: "kernel function", name: function.into(), nearest, note })
}

/// Refuses an offset beyond the end of a function. The kernel would take it for one in the next function.
fn check_inside(target: &Target, place: &Place) -> Result<()> {
    if place.offset == 0 || extent::ANCHORS.contains(&place.function.as_str()) {
        return Ok(());
    }
    match extent::size(&place.function) {
        Ok(Some(size)) if place.offset >= size => Err(Error::Place {
            target: target.to_string(),
            problem: format!("it is outside the function, which has {size} bytes"),
        }),
        // Without the table of symbols the kernel decides alone.
        _ => Ok(()),
    }
}

/// Returns the error for a name of several functions, with targets that mean one each; any other error as it is.
fn ambiguous(target: &Target, function: &str, error: Error) -> Error {
    match &error {
        Error::Attach { errno: Errno(libc::EADDRNOTAVAIL), .. } => {}
        _ => return error,
    }
    let word = target.word();
    let each = extent::namesakes(function).unwrap_or_default();
    let each: Vec<_> = each.iter().map(|one| format!("{word}:{one}")).collect();
    match each.as_slice() {
        [] => error,
        each => Error::Place {
            target: target.to_string(),
            problem: format!("several functions have this name: choose one, {}", each.join(" or ")),
        },
    }
}

/// The position of a probe.
struct Place {
    function: String,
    offset: u64,
    returns: bool,
}

/// A probe that is open but runs nothing yet.
struct Probe {
    target: Target,
    event: OwnedFd,
    legacy: Option<LegacyProbe>,
}

impl Probe {
    fn tie(self, program: &Program, cookie: Option<Cookie>) -> Result<Link> {
        let target = self.target.clone();
        let mut parts = Vec::new();
        self.tie_as(program, cookie, &mut parts)?;
        Ok(Link::new(target, parts))
    }

    fn tie_as(
        self,
        program: &Program,
        cookie: Option<Cookie>,
        parts: &mut Vec<Attachment>,
    ) -> Result<()> {
        let Probe { target, event, legacy } = self;
        parts.push(perf_event::tie(program, &target, event, cookie)?);
        // Last the probe of the event, which the kernel keeps (EBUSY) while an event is open on it.
        parts.extend(legacy.map(Attachment::kept));
        Ok(())
    }
}

/// Attaches a program to each function that matches a pattern and can be probed.
fn attach_to_all(
    program: &Program,
    target: &Target,
    maker: &Maker,
    cookie: Option<Cookie>,
    place: impl Fn(String) -> Place,
) -> Result<Link> {
    let Target::Kprobe { function: pattern, .. } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a kernel function" });
    };
    let (names, _) = many::functions(pattern)?;
    let instead = "a program for kprobe.multi (Linux 5.18, CONFIG_FPROBE) has room for all";
    many::check_count(target, names.len(), instead)?;
    let matched = names.len();
    let (mut parts, mut skipped, mut why) = (Vec::new(), 0, None);
    for name in names {
        match maker.make(program, target, &place(name)) {
            Ok(Some(probe)) => probe.tie_as(program, cookie, &mut parts)?,
            // Its module has been unloaded.
            Ok(None) => skipped += 1,
            Err(error) if many::is_passed_over(&error) => {
                skipped += 1;
                why = why.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    match why {
        Some(why) if skipped == matched => Err(why),
        _ => Ok(Link::new(target.clone(), parts).of_many(matched - skipped, skipped)),
    }
}

/// The interface that makes probes on this kernel.
enum Maker {
    /// The PMU's number as an event type, the bit of `config` that selects the return, and whether tracefs may stand in for it.
    Pmu { kind: u32, config: u64, alone: bool },
    /// The folder of tracefs.
    Tracefs(PathBuf),
}

impl Maker {
    fn choose(method: ProbeMethod, returns: bool) -> Result<Maker> {
        let pmu = || -> Result<Option<Maker>> {
            let found = pmu::find("kprobe", returns)?;
            let alone = method == ProbeMethod::Pmu;
            Ok(found.map(|(kind, config)| Maker::Pmu { kind, config, alone }))
        };
        let maker = match method {
            ProbeMethod::Pmu => pmu::demand(pmu()?)?,
            ProbeMethod::Tracefs => Maker::in_tracefs(tracefs::root("ProbeMethod::Tracefs")?),
            ProbeMethod::Best => match pmu()? {
                None => match tracefs::root("a kprobe without the kprobe PMU") {
                    Ok(root) => Maker::in_tracefs(root),
                    Err(error) if !pmu::is_visible() => return Err(error),
                    Err(_) => None,
                },
                maker => maker,
            },
        };
        maker.ok_or_else(functions::no_kprobes)
    }

    fn in_tracefs(root: PathBuf) -> Option<Maker> {
        // A file that cannot be examined here gives its error when it is written.
        let missing = matches!(root.join("kprobe_events").try_exists(), Ok(false));
        (!missing).then_some(Maker::Tracefs(root))
    }

    /// Makes a probe; `None` if the kernel has no such function.
    fn make(&self, program: &Program, target: &Target, place: &Place) -> Result<Option<Probe>> {
        check_inside(target, place)?;
        let real = Target::Kprobe {
            function: place.function.clone(),
            offset: place.offset,
            returns: place.returns,
        };
        let (event, legacy) = match self {
            Maker::Pmu { kind, config, .. } => {
                let name = CString::new(place.function.as_str()).map_err(|_| Error::Target {
                    target: target.to_string(),
                    problem: "no function's name holds a NUL",
                })?;
                let event = perf_event::open(&PerfEvent {
                    kind: *kind,
                    config: *config,
                    name: Some(&name),
                    offset: place.offset,
                    ..PerfEvent::default()
                });
                (event, None)
            }
            Maker::Tracefs(root) => {
                let refused = |errno| perf_event::refused(program, target, "kprobe_events", errno);
                let Some((probe, id)) = write(root, place, refused)? else { return Ok(None) };
                let event = perf_event::open(&PerfEvent {
                    kind: perf_event::TYPE_TRACEPOINT,
                    config: id,
                    ..PerfEvent::default()
                });
                (event, Some(probe))
            }
        };
        match event {
            Ok(event) => Ok(Some(Probe { target: real, event, legacy })),
            // Updates of Linux 6.1 and others look for the whole of MODULE:NAME among the names of functions there.
            Err(Errno(libc::ENOENT))
                if matches!(self, Maker::Pmu { alone: false, .. })
                    && place.function.contains(':') =>
            {
                let root = tracefs::root("a kprobe in a module").ok();
                match root.and_then(Maker::in_tracefs) {
                    Some(maker) => maker.make(program, target, place),
                    None => Ok(None),
                }
            }
            Err(Errno(libc::ENOENT)) => Ok(None),
            Err(errno) => Err(perf_event::refused(program, target, "perf_event_open", errno)),
        }
    }
}

/// Writes a probe into tracefs and returns the number of its tracepoint; `None` if the kernel has no such
/// function. `refused` makes the error if the kernel refuses a probe there.
fn write(
    root: &Path,
    place: &Place,
    refused: impl Fn(Errno) -> Error,
) -> Result<Option<(LegacyProbe, u64)>> {
    let Place { function, offset, returns } = place;
    // A probe of a module that is not loaded is taken, and waits for it. Without the table of symbols the kernel decides alone.
    if function.contains(':') && matches!(extent::exists(function), Ok(false)) {
        return Ok(None);
    }
    let events = root.join("kprobe_events");
    match LegacyProbe::write(&events, *returns, format!("{function}+{offset}").as_bytes())? {
        Ok(made) => Ok(Some(made)),
        Err(Errno(libc::ENOENT)) => Ok(None),
        // Newer kernels (6.12 does, 6.1 does not) return this for a function that does not exist, too.
        Err(Errno(libc::EINVAL)) if !extent::exists(function)? => Ok(None),
        Err(errno @ Errno(libc::EINVAL | libc::EILSEQ | libc::EADDRNOTAVAIL)) => {
            Err(refused(errno))
        }
        Err(Errno(errno)) => {
            Err(permission::file("write", &events, io::Error::from_raw_os_error(errno)))
        }
    }
}
