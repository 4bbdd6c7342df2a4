//! Reads what programs send with `perf_event_output`: samples, through one ring for each CPU.
//!
//! A program writes bytes to the element of a [perf event array](crate::MapSpec::perf_event_array)
//! that belongs to the CPU it runs on (Linux 4.4; [bpf-helpers(7)], `bpf_perf_event_output`). In
//! that element sits a perf event of this process, opened by [`PerfReader::open`], and in its ring
//! lie the bytes until they are read.
//!
//! ```no_run
//! use rawbpf::perf::{PerfOptions, PerfReader, Record};
//! use rawbpf::{Map, MapSpec};
//! use std::ops::ControlFlow;
//!
//! # fn main() -> rawbpf::Result<()> {
//! static EVENTS: MapSpec = MapSpec::perf_event_array("events");
//!
//! let events = Map::create(&EVENTS)?;
//! let mut reader = PerfReader::open(&events, &PerfOptions::new().sample_size(16))?;
//! loop {
//!     reader.poll(None, |record| {
//!         match record {
//!             Record::Sample { cpu, bytes, .. } => println!("CPU {cpu}: {bytes:02x?}"),
//!             Record::Lost { cpu, count, .. } => eprintln!("CPU {cpu}: {count} lost"),
//!             _ => {}
//!         }
//!         ControlFlow::Continue(())
//!     })?;
//! }
//! # }
//! ```
//!
//! # When the reader is woken, and what that costs
//! A wake-up costs microseconds, reading a sample nanoseconds. [`Wakeup::Events`]`(1)`, the
//! default, wakes for every sample: nothing waits, and a busy program spends its time on wake-ups.
//! [`Wakeup::Watermark`] wakes once for so many bytes. Up to that many may then lie in a ring
//! without waking anybody, so give [`PerfReader::poll`] a deadline, as far away as a sample may
//! wait: at its deadline it reads what there is.
//!
//! # Order
//! The samples of one CPU come in the order in which they were sent. Between CPUs there is no
//! order; a program that needs one puts `ktime_get_ns` into its samples.
//!
//! [bpf-helpers(7)]: https://man7.org/linux/man-pages/man7/bpf-helpers.7.html

#[cfg(test)]
mod kernel_tests;
mod record;
#[cfg(test)]
mod tests;

pub use crate::wait::{Polled, Waker};

use crate::error::{Error, Result};
use crate::kernel::denied::Need;
use crate::kernel::{cpu, denied};
use crate::map::Map;
use crate::ring::{self, OpenError, Ring};
use crate::spec::MapType;
use crate::syscall::{self, Errno, PerfEvent};
use crate::wait::{Pass, WaitSet};
use record::{Problem, Progress, SampleSize};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// `PERF_TYPE_SOFTWARE`.
const TYPE_SOFTWARE: u32 = 1;
/// `PERF_COUNT_SW_BPF_OUTPUT` (Linux 4.4).
const COUNT_BPF_OUTPUT: u64 = 10;
/// `PERF_SAMPLE_RAW`.
const SAMPLE_RAW: u64 = 1 << 10;
/// `PERF_FORMAT_LOST` (Linux 6.0): reading the event tells how many samples it lost.
const FORMAT_LOST: u64 = 1 << 4;
/// `pid` of an event of every process.
const EVERY_PROCESS: i32 = -1;

/// When the kernel wakes a reader that waits. See [the
/// module](self#when-the-reader-is-woken-and-what-that-costs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wakeup {
    /// When this many samples have been written to a ring since it last woke the reader, and at the
    /// latest when half of the ring has. At least 1.
    Events(u32),
    /// When more than this many bytes have been written to a ring since it last woke the reader. At
    /// least 1, at most half of the ring, so that there is room while the reader is on its way.
    Watermark(u32),
}

/// How a [`PerfReader`] reads. The defaults are for a program that sends little and wants it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerfOptions {
    ring_size: usize,
    wakeup: Wakeup,
    sample_size: Option<u32>,
}

impl Default for PerfOptions {
    fn default() -> Self {
        PerfOptions::new()
    }
}

impl PerfOptions {
    /// 64 KiB a CPU, woken for every sample, samples of any size.
    pub const fn new() -> PerfOptions {
        PerfOptions { ring_size: 64 << 10, wakeup: Wakeup::Events(1), sample_size: None }
    }

    /// Bytes of the ring of each CPU, rounded up to the next power-of-two number of pages; 65536 at
    /// first.
    ///
    /// A sample takes its own size and 12 bytes, rounded up to a multiple of 8. The kernel drops
    /// and counts samples that find the ring full. The memory is locked; a process without
    /// `CAP_IPC_LOCK` may have `kernel.perf_event_mlock_kb` (516 as a rule) for every CPU and then
    /// what `RLIMIT_MEMLOCK` allows.
    pub const fn ring_size(mut self, bytes: usize) -> PerfOptions {
        self.ring_size = bytes;
        self
    }

    /// When to wake; [`Wakeup::Events`]`(1)` at first.
    pub const fn wakeup(mut self, wakeup: Wakeup) -> PerfOptions {
        self.wakeup = wakeup;
        self
    }

    /// The number of bytes that the program submits each time, which is then exactly what is handed
    /// out.
    ///
    /// Without it, up to 7 bytes follow on a sample: the kernel fills every record up to a multiple
    /// of 8 and does not say by how much. 16 bytes arrive as 20, 32 as 36; what is in the filling
    /// is left over from earlier records. With it, a sample that can not have been of this size is
    /// an [`Error::SampleSize`].
    pub const fn sample_size(mut self, bytes: u32) -> PerfOptions {
        self.sample_size = Some(bytes);
        self
    }

    /// What they come to on a machine with such pages, or what is wrong with them.
    fn check(&self, page: usize) -> Result<Checked, &'static str> {
        if self.ring_size == 0 {
            return Err("the ring size is 0");
        }
        let ring_size = self
            .ring_size
            .div_ceil(page)
            .checked_next_power_of_two()
            .and_then(|pages| pages.checked_mul(page))
            .filter(|size| size.checked_add(page).is_some_and(|all| isize::try_from(all).is_ok()))
            .ok_or("the ring size is more than there can be memory")?;
        let (wakeup, watermark) = match self.wakeup {
            Wakeup::Events(0) => return Err("a wake-up after 0 samples"),
            Wakeup::Watermark(0) => return Err("a wake-up after 0 bytes"),
            Wakeup::Watermark(bytes) if bytes as usize > ring_size / 2 => {
                return Err("a wake-up after more bytes than half of the ring holds");
            }
            Wakeup::Events(samples) => (samples, false),
            Wakeup::Watermark(bytes) => (bytes, true),
        };
        let sample_size = match self.sample_size {
            None => None,
            Some(bytes) => {
                let size = SampleSize::new(bytes).ok_or(
                    "the sample size is more than 65516, the largest that a record can hold",
                )?;
                // The kernel never fills a ring to the last byte: head and tail would be in the
                // same place.
                if size.record() >= ring_size {
                    return Err("a sample of that size does not fit into the ring");
                }
                Some(size)
            }
        };
        Ok(Checked { ring_size, wakeup, watermark, sample_size })
    }
}

/// [`PerfOptions`] that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checked {
    ring_size: usize,
    wakeup: u32,
    watermark: bool,
    sample_size: Option<SampleSize>,
}

/// What a ring held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// What a program sent.
    #[non_exhaustive]
    Sample {
        /// The CPU that it ran on.
        cpu: u32,
        /// The bytes, where they lie in the ring. See [`PerfOptions::sample_size`] about their
        /// number.
        bytes: &'a [u8],
    },
    /// Samples that found the ring full. They were sent after the record before this one and before
    /// the one after it.
    #[non_exhaustive]
    Lost {
        /// The CPU whose ring was full.
        cpu: u32,
        /// How many were lost.
        count: u64,
    },
}

/// Reads the samples that programs send through a perf event array.
///
/// It opens an event with a ring on every CPU that runs at that moment and puts them into the map.
/// A CPU that comes later, or goes and comes back, has none: what programs send there is refused,
/// which they see in what `perf_event_output` returns.
///
/// Dropping it takes the events out of the map again (the kernel would keep them there as long as
/// the map is open anywhere) and frees the rings. A map can have one reader at a time: a second one
/// takes the first one's place, and the first, when dropped, empties the map.
///
/// # Damaged rings
/// Nothing in a ring is believed before it is checked, though only a kernel with a fault would
/// write such. A record that cannot be is an [`Error::CorruptRing`]; where the next one begins is
/// then not known, so what had been seen in that ring is skipped, and the next call goes on behind
/// it. The other rings are read first, and of several errors in one call the first is returned.
#[derive(Debug)]
pub struct PerfReader {
    rings: Vec<CpuRing>,
    /// The ring to read next.
    turn: usize,
    sample_size: Option<SampleSize>,
    /// Where a record is put together that lies across the end of its ring.
    scratch: Vec<u8>,
    /// Whether the events can be asked how many samples they lost.
    says_lost: bool,
    waits: WaitSet,
    /// The map that the events are in. `None` only in tests.
    map: Option<OwnedFd>,
}

/// The ring of one CPU.
#[derive(Debug)]
struct CpuRing {
    cpu: u32,
    ring: Ring,
    /// Samples lost so far, as records have told,
    told: u64,
    /// and as is known from them or from the event itself.
    lost: u64,
}

impl PerfReader {
    /// Opens a perf event on every CPU that runs, and puts them into `map`. [perf_event_open(2)],
    /// Linux 4.4.
    ///
    /// Needs `CAP_PERFMON` (Linux 5.8; `CAP_SYS_ADMIN` before) or `kernel.perf_event_paranoid` of 0
    /// or less.
    ///
    /// # Errors
    /// [`Error::Spec`] if the map is not a perf event array with an element for each CPU, or an
    /// option cannot be; [`Error::Reader`] if an event or a ring could not be had;
    /// [`Error::UpdateMap`] if the map refused it.
    ///
    /// [perf_event_open(2)]: https://man7.org/linux/man-pages/man2/perf_event_open.2.html
    pub fn open(map: &Map, options: &PerfOptions) -> Result<PerfReader> {
        let refuse =
            |what, problem| Err(Error::Spec { what, name: map.name().to_owned(), problem });
        if map.kind() != MapType::PerfEventArray {
            return refuse("map", "a perf reader needs a perf_event_array");
        }
        let options = match options.check(ring::page_size()) {
            Ok(options) => options,
            Err(problem) => return refuse("perf reader of map", problem),
        };
        let failed = |action, cpu, errno, why| Error::Reader { action, cpu, errno, why };

        let mut reader = PerfReader::empty(options.sample_size)?;
        let map_fd = map.as_fd().try_clone_to_owned().map_err(|error| {
            failed("duplicate the map's descriptor", None, Errno::of(&error), None)
        })?;
        reader.map = Some(map_fd);
        for cpu in cpu::online()? {
            if cpu >= map.max_entries() {
                return refuse("map", "it has no element for some CPU; max_entries 0 makes enough");
            }
            let mut event = PerfEvent {
                kind: TYPE_SOFTWARE,
                config: COUNT_BPF_OUTPUT,
                sample_period: 1,
                sample_type: SAMPLE_RAW,
                read_format: if reader.says_lost { FORMAT_LOST } else { 0 },
                wakeup: options.wakeup,
                watermark: options.watermark,
                pid: EVERY_PROCESS,
                cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
                ..PerfEvent::default()
            };
            let mut opened = Ring::open(&event, options.ring_size);
            if reader.says_lost && matches!(opened, Err(OpenError::Event(Errno(libc::EINVAL)))) {
                // Before Linux 6.0 events cannot be asked what they lost.
                reader.says_lost = false;
                event.read_format = 0;
                opened = Ring::open(&event, options.ring_size);
            }
            let ring = match opened {
                Ok(ring) => ring,
                // It went offline since it was listed.
                Err(OpenError::Event(Errno(libc::ENODEV))) => continue,
                Err(OpenError::Event(errno)) => {
                    let why = denied::explain(errno, Need::PerfEvent);
                    return Err(failed("open a perf event", Some(cpu), errno, why));
                }
                Err(OpenError::Memory(errno)) => {
                    let why = denied::explain(errno, Need::Ring);
                    return Err(failed("map a perf ring", Some(cpu), errno, why));
                }
            };
            // The event runs from the start: it was not opened disabled. It goes into the map only
            // now, with its ring, so that no sample is lost for want of one.
            reader.add(cpu, ring)?;
            if let Some(CpuRing { ring, .. }) = reader.rings.last() {
                map.set_fd(cpu, ring.event())?;
            }
        }
        if reader.rings.is_empty() {
            return Err(failed("find a CPU that runs", None, Errno(libc::ENODEV), None));
        }
        Ok(reader)
    }

    /// A reader without rings.
    fn empty(sample_size: Option<SampleSize>) -> Result<PerfReader> {
        Ok(PerfReader {
            rings: Vec::new(),
            turn: 0,
            sample_size,
            scratch: Vec::new(),
            says_lost: true,
            waits: WaitSet::new()?,
            map: None,
        })
    }

    fn add(&mut self, cpu: u32, ring: Ring) -> Result<()> {
        let key = self.rings.len() as u64;
        self.waits.add(ring.event(), key).map_err(|errno| Error::Reader {
            action: "wait for a perf event",
            cpu: Some(cpu),
            errno,
            why: None,
        })?;
        self.rings.push(CpuRing { cpu, ring, told: 0, lost: 0 });
        Ok(())
    }

    /// Reads everything that was in the rings when it was called, without waiting. Returns how many
    /// records that was.
    ///
    /// To end a run with nothing left behind: detach the programs, then drain.
    ///
    /// A ring is read up to what it held when its turn came, so a CPU that sends faster than
    /// `consume` takes neither keeps this from returning nor the other CPUs from being read. What
    /// has been read is handed back to the kernel in batches of an eighth of the ring. If `consume`
    /// panics, the record it had counts as read.
    ///
    /// # Errors
    /// [`Error::CorruptRing`], [`Error::SampleSize`]: what the kernel wrote is not what was to be
    /// expected. The other rings have been read; calling again goes on behind what was wrong.
    pub fn drain<F>(&mut self, mut consume: F) -> Result<usize>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        self.pass(&mut consume).map(|pass| pass.records)
    }

    /// Waits until there are records, and reads them as [`PerfReader::drain`] does; until the
    /// deadline at most, or without end if there is none.
    ///
    /// Records that are there already are not waited for. At the deadline all rings are read, also
    /// those that have not reached their [watermark](Wakeup::Watermark), so nothing is left lying
    /// for longer than that. A deadline that has passed makes this a look without waiting. The wait
    /// is counted in whole milliseconds, rounded up.
    ///
    /// # Errors
    /// As [`PerfReader::drain`], and [`Error::Reader`] if waiting failed.
    pub fn poll<F>(&mut self, deadline: Option<Instant>, mut consume: F) -> Result<Polled>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let mut interrupted = false;
        loop {
            let pass = self.pass(&mut consume)?;
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if let Some(reason) = self.waits.reason(&pass, interrupted, left) {
                return Ok(reason);
            }
            interrupted = self.wait(left)?;
        }
    }

    /// Waits until the kernel or a waker wakes, or the time is over; `true` if a signal ended it.
    fn wait(&self, time: Option<Duration>) -> Result<bool> {
        self.waits.wait(time, |key, bits| {
            let gone = bits & (libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0;
            let ring = usize::try_from(key).ok().and_then(|index| self.rings.get(index));
            if let (true, Some(CpuRing { ring, .. })) = (gone, ring) {
                // The CPU went offline, and its event with it for good: it would be ready for ever.
                // Its ring is still read. Should this fail, waiting costs more than it must and
                // does the same.
                let _ = self.waits.remove(ring.event());
            }
        })
    }

    /// What ends a wait from elsewhere: another thread, a signal handler.
    pub fn waker(&self) -> Waker {
        self.waits.waker()
    }

    /// Asks the kernel how many samples it lost until now, on all CPUs (Linux 6.0), and counts those too that no
    /// [`Record::Lost`] has told of yet. Where the kernel cannot be asked this is [`PerfReader::lost`].
    ///
    /// It costs a system call for each CPU: something for the end of a run, after the last samples are read.
    pub fn count_lost(&mut self) -> u64 {
        if self.says_lost {
            for ring in &mut self.rings {
                if let Ok((_, lost)) = syscall::perf_event_read(ring.ring.event()) {
                    ring.lost = ring.lost.max(lost);
                }
            }
        }
        self.lost()
    }

    /// How many samples the kernel has said it lost, on all CPUs: the sum of all [`Record::Lost`], and what
    /// [`PerfReader::count_lost`] found.
    ///
    /// The kernel says it when there is room again, right before the next sample of that CPU: what was
    /// lost at the very end, with no sample after it, only shows when it is asked.
    pub fn lost(&self) -> u64 {
        self.rings.iter().map(|ring| ring.lost).fold(0, u64::saturating_add)
    }

    /// As [`PerfReader::lost`], for each CPU that is read: its number and how many samples it lost.
    pub fn lost_per_cpu(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.rings.iter().map(|ring| (ring.cpu, ring.lost))
    }

    /// Reads each ring once, as far as it was written when its turn came.
    fn pass<F>(&mut self, consume: &mut F) -> Result<Pass>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let mut pass = Pass::default();
        let mut first_error = None;
        // The consumer stopped in the middle of a ring: that one is finished first, and its turn
        // comes again after the others, so neither it nor they are kept waiting.
        let unfinished = self.rings.get(self.turn).is_some_and(|ring| !ring.ring.is_empty());
        for visit in 0..self.rings.len() + usize::from(unfinished) {
            let Some(ring) = self.rings.get_mut(self.turn) else { break };
            let seen = if unfinished && visit == 0 { Ok(()) } else { ring.look() };
            let (size, scratch) = (self.sample_size, &mut self.scratch);
            match seen.and_then(|()| ring.read(size, scratch, &mut pass.records, consume)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => pass.stopped = true,
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
            if !pass.stopped || ring.ring.is_empty() {
                self.turn = if self.turn + 1 < self.rings.len() { self.turn + 1 } else { 0 };
            }
            if pass.stopped {
                break;
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(pass),
        }
    }
}

impl CpuRing {
    /// Sees what has been written.
    fn look(&mut self) -> Result<()> {
        let (cpu, position) = (self.cpu, self.ring.position());
        let problem = "the kernel's position is more than a ring away from the reader's";
        if self.ring.look() { Ok(()) } else { Err(Error::CorruptRing { cpu, position, problem }) }
    }

    /// Reads what has been seen.
    fn read<F>(
        &mut self,
        size: Option<SampleSize>,
        scratch: &mut Vec<u8>,
        records: &mut usize,
        consume: &mut F,
    ) -> Result<ControlFlow<()>>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let cpu = self.cpu;
        // Handing back costs the kernel's CPU a cache line, not handing back costs a slow consumer
        // room.
        let enough = self.ring.size() / 8;
        while !self.ring.is_empty() {
            let mut batch = Batch { from: self, progress: Progress::default() };
            let Batch { from, progress } = &mut batch;
            let pieces = from.ring.filled();
            let read = record::read(pieces, cpu, size, enough, scratch, progress, consume);
            *records += batch.progress.records;
            drop(batch);
            match read {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(Problem::WrongSize(recorded)) => {
                    let submitted = size.map_or(0, |size| size.submitted);
                    return Err(Error::SampleSize { cpu, submitted, recorded });
                }
                Err(Problem::Corrupt(problem)) => {
                    let position = self.ring.position();
                    self.ring.skip();
                    return Err(Error::CorruptRing { cpu, position, problem });
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Some records that are being read; hands them back when dropped, also when the consumer panics.
struct Batch<'r> {
    from: &'r mut CpuRing,
    progress: Progress,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.from.ring.release(self.progress.bytes);
        self.from.told = self.from.told.saturating_add(self.progress.lost);
        // What is told of late was counted already, if the kernel was asked.
        self.from.lost = self.from.lost.max(self.from.told);
    }
}

/// A descriptor for a `poll(2)` or `epoll(7)` of one's own: readable when the kernel or a [`Waker`]
/// wakes the reader.
///
/// Call [`PerfReader::poll`] with a deadline that has passed, once after adding the descriptor and
/// then each time that it is readable. ([`PerfReader::drain`] reads the records too, but takes no
/// notice of a [`Waker`] nor of CPUs that have gone.) The kernel reports a wake-up once, to whoever
/// asks first: even level-triggered, the descriptor is not readable again for what was left unread.
/// So after [`Polled::Stopped`], go on without asking it.
impl AsFd for PerfReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waits.as_fd()
    }
}

impl Drop for PerfReader {
    fn drop(&mut self) {
        let Some(map) = &self.map else { return };
        for CpuRing { cpu, .. } in &self.rings {
            // The key is as long as the map's: `Map::set_fd` took the same one. If there is nothing
            // to delete, so much the better.
            let _ = syscall::map_delete(map.as_fd(), &cpu.to_ne_bytes());
        }
    }
}
