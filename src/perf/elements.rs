//! The elements of a perf event array, and the events in them.

use super::failed;
use super::options::Checked;
use crate::error::{Error, Result};
use crate::map::Map;
use crate::permission::{self, Need};
use crate::ring::OpenError;
use crate::syscall::{self, Numbered, PerfEvent};
use crate::uapi::{Errno, MapFlags, MapType};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `PERF_TYPE_SOFTWARE`.
const TYPE_SOFTWARE: u32 = 1;
/// `PERF_COUNT_SW_BPF_OUTPUT` (Linux 4.4).
const COUNT_BPF_OUTPUT: u64 = 10;
/// `PERF_SAMPLE_TIME`.
const SAMPLE_TIME: u64 = 1 << 2;
/// `PERF_SAMPLE_RAW`.
const SAMPLE_RAW: u64 = 1 << 10;
/// `PERF_FORMAT_TOTAL_TIME_ENABLED`: reading the event returns the time that it has run.
const FORMAT_ENABLED: u64 = 1;
/// `PERF_FORMAT_LOST` (Linux 6.0): reading the event returns the number of samples that it lost.
const FORMAT_LOST: u64 = 1 << 4;
/// `pid` of an event of every process.
const EVERY_PROCESS: i32 = -1;

/// A perf event array with events of this reader in it. Takes them out when dropped.
#[derive(Debug)]
pub(super) struct Elements {
    map: OwnedFd,
    name: String,
    count: u32,
    /// The elements that were set, if the kernel does not take them out by itself.
    set: Option<Vec<u32>>,
}

impl Elements {
    pub(super) fn of(map: &Map) -> Result<Elements> {
        let refuse =
            |problem| Err(Error::Spec { what: "map", name: map.name().to_owned(), problem });
        if map.kind() != MapType::PerfEventArray {
            return refuse("a perf reader needs a perf_event_array");
        }
        // The kernel reads as many bytes as the map was made with, whatever it is handed.
        if (map.key_size(), map.value_size()) != (4, 4) {
            return refuse("a perf_event_array has keys and values of 4 bytes");
        }
        let (name, count) = (map.name().to_owned(), map.max_entries());
        // When a file of the map is closed, the kernel removes the events that were put in through it
        // (`perf_event_fd_array_release`), and no others: those of a reader that came later stay. So this needs a file
        // of its own, which is opened by the map's id and takes `CAP_SYS_ADMIN`.
        if !map.flags().contains(MapFlags::PRESERVE_ELEMS)
            && let Ok(info) = map.info()
            && let Ok(map) = syscall::fd_by_id(Numbered::Map, info.id, 0)
        {
            return Ok(Elements { map, name, count, set: None });
        }
        let map = map.as_fd().try_clone_to_owned().map_err(|error| {
            failed("duplicate the map's descriptor", None, Errno::of(&error), None)
        })?;
        Ok(Elements { map, name, count, set: Some(Vec::new()) })
    }

    /// Puts the event of a CPU in.
    pub(super) fn put(&mut self, cpu: u32, event: BorrowedFd<'_>) -> Result<()> {
        let value = event.as_raw_fd().to_ne_bytes();
        syscall::map_update(self.map.as_fd(), &cpu.to_ne_bytes(), &value, 0).map_err(|errno| {
            let object = format!("element {cpu} of map `{}`", self.name);
            Error::Call { action: "set", object, errno, why: None, note: None }
        })?;
        if let Some(set) = &mut self.set {
            set.push(cpu);
        }
        Ok(())
    }

    /// An error if it has no element for a CPU.
    pub(super) fn has(&self, cpu: u32) -> Result<()> {
        if cpu < self.count {
            return Ok(());
        }
        let problem = "it has no element for some CPU; max_entries 0 makes enough";
        Err(Error::Spec { what: "map", name: self.name.clone(), problem })
    }
}

impl Drop for Elements {
    fn drop(&mut self) {
        for cpu in self.set.iter().flatten() {
            // It does not matter if there is nothing to delete.
            let _ = syscall::map_delete(self.map.as_fd(), &cpu.to_ne_bytes());
        }
    }
}

/// The event of one CPU, as the options have it.
pub(super) fn event(options: &Checked, cpu: u32, says_lost: bool) -> PerfEvent<'static> {
    let time = options.layout.time;
    PerfEvent {
        kind: TYPE_SOFTWARE,
        config: COUNT_BPF_OUTPUT,
        sample_period: 1,
        sample_type: SAMPLE_RAW | if time { SAMPLE_TIME } else { 0 },
        read_format: FORMAT_ENABLED | if says_lost { FORMAT_LOST } else { 0 },
        wakeup: options.wakeup,
        watermark: options.watermark,
        clock: time.then_some(libc::CLOCK_MONOTONIC),
        pid: EVERY_PROCESS,
        cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
        ..PerfEvent::default()
    }
}

/// Calls `open` for a CPU; `None` if the CPU is offline. Finds out whether events report the samples that they lost.
pub(super) fn open<R>(
    cpu: u32,
    says_lost: &mut bool,
    mut open: impl FnMut(bool) -> Result<R, OpenError>,
) -> Result<Option<R>> {
    let mut opened = open(*says_lost);
    if *says_lost && matches!(opened, Err(OpenError::Event(Errno(libc::EINVAL)))) {
        // Before Linux 6.0 events do not report the samples that they lost.
        *says_lost = false;
        opened = open(false);
    }
    match opened {
        Ok(ring) => Ok(Some(ring)),
        Err(OpenError::Event(Errno(libc::ENODEV))) => Ok(None),
        Err(OpenError::Event(errno)) => {
            let why = permission::explain(errno, Need::PerfEvent);
            Err(failed("open a perf event", Some(cpu), errno, why))
        }
        Err(OpenError::Memory(errno)) => {
            let why = permission::explain(errno, Need::Ring);
            Err(failed("map a perf ring", Some(cpu), errno, why))
        }
    }
}

/// Stops the event of a CPU from being written, or lets it go on.
pub(super) fn pause(cpu: u32, event: BorrowedFd<'_>, pause: bool) -> Result<()> {
    let action = if pause { "pause a perf ring" } else { "resume a perf ring" };
    syscall::perf_event_pause(event, pause).map_err(|errno| failed(action, Some(cpu), errno, None))
}
