//! Functions of the kernel: kprobes and kretprobes.
//!
//! The kernel offers them as a PMU of their own (Linux 4.17): the perf event *is* the probe and goes
//! with its descriptor. Where that is missing, a probe is written into `kprobe_events` in tracefs, where
//! it would outlive the process; so it gets a name that says whose it is, and whoever attaches that way
//! next takes away what dead processes left (`Documentation/trace/kprobetrace.rst`).

use super::link::{Link, Part};
use super::{Options, Target, many, perf_event};
use crate::error::{Error, Result};
use crate::kernel::glob::is_pattern;
use crate::kernel::{denied, functions, symbols, tracefs};
use crate::program::Program;
use crate::syscall::{Errno, PerfEvent};
use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// How a probe is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
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
pub fn attach(program: &Program, target: &Target, method: Method) -> Result<Link> {
    attach_with(program, target, method, &Options::new())
}

/// The same with options.
pub(super) fn attach_with(
    program: &Program,
    target: &Target,
    method: Method,
    options: &Options,
) -> Result<Link> {
    let Target::Kprobe { function, offset, returns } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a kernel function" });
    };
    let place = |function: String| Place { function, offset: *offset, returns: *returns };
    let maker = Maker::choose(method, *returns)?;
    let cookie = options.cookie;
    if is_pattern(function) {
        return attach_to_all(program, target, &maker, cookie, place);
    }

    let Some(call) = function.strip_prefix("sys_") else {
        let Some(probe) = maker.make(program, target, &place(function.clone()))? else {
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

/// The error for a function that is not there, or the one that came up in looking for its neighbours.
fn not_found(function: &str) -> Result<Error> {
    Ok(Error::NotFound {
        what: "kernel function",
        name: function.into(),
        nearest: symbols::nearest(function)?,
        note: None,
    })
}

/// Where exactly a probe goes.
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
    fn tie(self, program: &Program, cookie: Option<u64>) -> Result<Link> {
        let target = self.target.clone();
        let mut parts = Vec::new();
        self.tie_as(program, cookie, &mut parts)?;
        Ok(Link::new(target, parts))
    }

    fn tie_as(self, program: &Program, cookie: Option<u64>, parts: &mut Vec<Part>) -> Result<()> {
        let Probe { target, event, legacy } = self;
        parts.push(perf_event::tie(program, &target, event, cookie)?);
        // Last the probe that the event came from, which the kernel keeps (EBUSY) while an event is open on it.
        parts.extend(legacy.map(Part::Probe));
        Ok(())
    }
}

/// Puts a program on each function that matches a pattern and will have it.
fn attach_to_all(
    program: &Program,
    target: &Target,
    maker: &Maker,
    cookie: Option<u64>,
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
            // It was in a module that has gone.
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

/// What makes probes on this kernel.
enum Maker {
    /// The PMU's number as an event type, and the bit of `config` that asks for the return.
    Pmu { kind: u32, config: u64 },
    /// The folder of tracefs.
    Tracefs(PathBuf),
}

impl Maker {
    fn choose(method: Method, returns: bool) -> Result<Maker> {
        let pmu = || -> Result<Option<Maker>> {
            let Some(kind) = read_number("type", "")? else { return Ok(None) };
            let bit = if returns { read_number("format/retprobe", "config:")? } else { None };
            let config = bit.map_or(0, |bit| 1u64.checked_shl(bit).unwrap_or(0));
            Ok(Some(Maker::Pmu { kind, config }))
        };
        let in_tracefs = |root: PathBuf| {
            // What cannot be looked at will be said when it is to be written.
            let missing = matches!(root.join("kprobe_events").try_exists(), Ok(false));
            (!missing).then_some(Maker::Tracefs(root))
        };
        let maker = match method {
            Method::Pmu => pmu()?,
            Method::Tracefs => in_tracefs(tracefs::root("Method::Tracefs")?),
            Method::Best => pmu()?.or_else(|| {
                tracefs::root("a kprobe without the kprobe PMU").ok().and_then(in_tracefs)
            }),
        };
        maker.ok_or_else(functions::no_kprobes)
    }

    /// Makes a probe; `None` if the kernel has no such function.
    fn make(&self, program: &Program, target: &Target, place: &Place) -> Result<Option<Probe>> {
        let real = Target::Kprobe {
            function: place.function.clone(),
            offset: place.offset,
            returns: place.returns,
        };
        let (event, legacy) = match self {
            Maker::Pmu { kind, config } => {
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
                let Some((probe, id)) = LegacyProbe::write(root, place, refused)? else {
                    return Ok(None);
                };
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
            Err(Errno(libc::ENOENT)) => Ok(None),
            Err(errno) => Err(perf_event::refused(program, target, "perf_event_open", errno)),
        }
    }
}

/// A number in a file of the PMU, behind a prefix; `None` if the file is not there.
fn read_number(file: &str, prefix: &str) -> Result<Option<u32>> {
    let path = Path::new(functions::KPROBE_PMU).join(file);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(denied::file("read", &path, source)),
    };
    let number = text.trim().strip_prefix(prefix).and_then(|text| text.parse().ok());
    number.map(Some).ok_or(Error::Format { path, problem: "it holds no number" })
}

/// The group of our probes in tracefs.
const GROUP: &str = "rawbpf";

/// A probe in `kprobe_events`, which is taken out again when this is dropped.
#[derive(Debug)]
pub(super) struct LegacyProbe {
    events: PathBuf,
    name: String,
}

impl LegacyProbe {
    /// Writes a probe and gives the number of the tracepoint that it makes; `None` if the kernel has no
    /// such function. `refused` makes the error if it will not have a probe there.
    fn write(
        root: &Path,
        place: &Place,
        refused: impl Fn(Errno) -> Error,
    ) -> Result<Option<(LegacyProbe, u64)>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let events = root.join("kprobe_events");
        remove_left_behind(&events)?;

        let owner = Owner::current()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("p{}_{}_{count}", owner.pid, owner.started);
        let Place { function, offset, returns } = place;
        let kind = if *returns { 'r' } else { 'p' };
        match append(&events, &format!("{kind}:{GROUP}/{name} {function}+{offset}\n")) {
            Ok(()) => {}
            Err(source) => match Errno::of(&source) {
                Errno(libc::ENOENT) => return Ok(None),
                // Newer kernels (6.12 does, 6.1 does not) say this of a name that they do not know, too.
                Errno(libc::EINVAL) if !symbols::function_exists(function)? => return Ok(None),
                errno @ Errno(libc::EINVAL | libc::EILSEQ | libc::EADDRNOTAVAIL) => {
                    return Err(refused(errno));
                }
                _ => return Err(denied::file("write", &events, source)),
            },
        }
        // From here on dropping it removes it again.
        let probe = LegacyProbe { events, name };
        let id = tracefs::tracepoint_id(GROUP, &probe.name)?;
        Ok(Some((probe, id)))
    }
}

impl Drop for LegacyProbe {
    fn drop(&mut self) {
        // Nobody is there to be told; the next start tries again.
        let _ = append(&self.events, &format!("-:{GROUP}/{}\n", self.name));
    }
}

/// One command to `kprobe_events`, which takes a whole one a write.
fn append(events: &Path, command: &str) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(events)?.write_all(command.as_bytes())
}

/// Takes out the probes whose process is gone. The kernel keeps any that is in use after all (EBUSY), for
/// instance by a process that another PID namespace hides from us.
fn remove_left_behind(events: &Path) -> Result<()> {
    let text = fs::read(events).map_err(|source| denied::file("read", events, source))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let Some(name) = our_probe(line) else { continue };
        if Owner::of(name).is_some_and(|owner| !owner.is_alive()) {
            let _ = append(events, &format!("-:{GROUP}/{name}\n"));
        }
    }
    Ok(())
}

/// The name of a probe of our group in a line such as `p:rawbpf/p12_345_0 __x64_sys_clone`.
/// The kernel numbers returns that it counts itself: `r16:rawbpf/…`.
fn our_probe(line: &str) -> Option<&str> {
    let (kind, rest) = line.split_once(':')?;
    if !kind.starts_with(['p', 'r']) {
        return None;
    }
    let (group, rest) = rest.split_whitespace().next()?.split_once('/')?;
    (group == GROUP).then_some(rest)
}

/// The process that a probe belongs to. Numbers of processes are used again; with the time of its start,
/// one is told from its successor.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    started: u64,
}

impl Owner {
    fn current() -> Result<Owner> {
        let pid = std::process::id();
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let text = fs::read(&path).map_err(|source| denied::file("read", &path, source))?;
        let problem = "it has no start time";
        let started = started(&text).ok_or(Error::Format { path, problem })?;
        Ok(Owner { pid, started })
    }

    /// From a probe's name, `p12_345_0`.
    fn of(name: &str) -> Option<Owner> {
        let mut numbers = name.strip_prefix('p')?.splitn(3, '_');
        let pid = numbers.next()?.parse().ok()?;
        let started = numbers.next()?.parse().ok()?;
        Some(Owner { pid, started })
    }

    fn is_alive(&self) -> bool {
        let stat = fs::read(format!("/proc/{}/stat", self.pid));
        stat.ok().and_then(|text| started(&text)) == Some(self.started)
    }
}

/// The start time in `/proc/PID/stat`, field 22, in clock ticks since boot (proc_pid_stat(5)). The second
/// field is a name in parentheses that can hold anything, parentheses too.
fn started(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    rest.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_probes_are_told_from_others() {
        assert_eq!(our_probe("p:rawbpf/p12_345_0 __x64_sys_clone"), Some("p12_345_0"));
        assert_eq!(our_probe("r16:rawbpf/p12_345_1 vfs_read"), Some("p12_345_1"));
        assert_eq!(our_probe("p:kprobes/p_vfs_read_0 vfs_read"), None);
        assert_eq!(our_probe("p:rawbpf2/p12_345_0 vfs_read"), None);
        assert_eq!(our_probe(""), None);
        assert_eq!(Owner::of("p12_345_0"), Some(Owner { pid: 12, started: 345 }));
        for other in ["", "p", "p12", "p12_", "p_1_2", "q12_345_0", "p12_345x_0"] {
            assert_eq!(Owner::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_is_known_by_its_start() {
        let us = Owner::current().unwrap();
        assert!(us.is_alive());
        assert!(!Owner { started: us.started + 1, ..us }.is_alive());
        // No process has the number 0.
        assert!(!Owner { pid: 0, started: 1 }.is_alive());
    }

    #[test]
    fn the_name_in_stat_can_hold_anything() {
        let fields: String = (4..=52).map(|n| format!(" {n}")).collect();
        for name in ["sh", "a b", ") R 1 2", "((", "1 (x) 2"] {
            assert_eq!(started(format!("77 ({name}) S{fields}\n").as_bytes()), Some(22), "{name}");
        }
        assert_eq!(started(b"77 (sh S 1 2"), None);
        assert_eq!(started(b"77 (sh) S 1 2"), None);
    }
}
