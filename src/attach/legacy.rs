//! Probes that are written into files of tracefs, `kprobe_events` and `uprobe_events`, and would outlive the process.
//!
//! The name of each holds its owner, and the next process that adds one removes those of dead processes
//! (`Documentation/trace/kprobetrace.rst`, `uprobetracer.rst`).

use crate::error::{Error, Result};
use crate::kernel::tracefs;
use crate::permission;
use crate::uapi::Errno;
use crate::user::started;
use crate::util::file;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The group of our probes in tracefs.
const GROUP: &str = "rawbpf";

/// A probe in such a file, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct LegacyProbe {
    events: PathBuf,
    name: String,
}

impl LegacyProbe {
    /// Writes a probe, of a return or not, and returns the number of its tracepoint. The kernel's answer
    /// to the probe itself is returned as it is.
    pub(super) fn write(
        events: &Path,
        returns: bool,
        place: &[u8],
    ) -> Result<Result<(LegacyProbe, u64), Errno>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_left_behind(events)?;

        let owner = Owner::current()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("p{}_{}_{count}", owner.pid, owner.started);
        let kind = if returns { 'r' } else { 'p' };
        if let Err(source) =
            append(events, &[format!("{kind}:{GROUP}/{name} ").as_bytes(), place, b"\n"].concat())
        {
            return Ok(Err(Errno::of(&source)));
        }
        // From here on dropping it removes it again.
        let probe = LegacyProbe { events: events.into(), name };
        let id = tracefs::tracepoint_id(GROUP, &probe.name)?;
        Ok(Ok((probe, id)))
    }
}

impl Drop for LegacyProbe {
    fn drop(&mut self) {
        // An error cannot be reported here; the next attachment tries again.
        let _ = append(&self.events, format!("-:{GROUP}/{}\n", self.name).as_bytes());
    }
}

/// Writes one command to such a file, which takes a whole one per write.
fn append(events: &Path, command: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(events)?.write_all(command)
}

/// Removes the probes whose process is gone. The kernel keeps any that is in use after all (EBUSY), for
/// instance by a process that another PID namespace hides from us.
fn remove_left_behind(events: &Path) -> Result<()> {
    let text = file::read(events).map_err(|source| permission::file("read", events, source))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let Some(name) = our_probe(line) else { continue };
        if Owner::of(name).is_some_and(|owner| !owner.is_alive()) {
            let _ = append(events, format!("-:{GROUP}/{name}\n").as_bytes());
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

/// The process that a probe belongs to. PIDs are reused; its start time distinguishes it from its
/// successor.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    started: u64,
}

impl Owner {
    fn current() -> Result<Owner> {
        let pid = std::process::id();
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let text = file::read(&path).map_err(|source| permission::file("read", &path, source))?;
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
        let stat = file::read(format!("/proc/{}/stat", self.pid));
        stat.ok().and_then(|text| started(&text)) == Some(self.started)
    }
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
}
