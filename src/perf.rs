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
//!     })?;
//! }
//! # }
//! ```
//!
//! # When the reader is woken, and what that costs
//! A wake-up costs microseconds, reading a sample nanoseconds, and both are paid by whatever the program was attached
//! to. So at first the kernel wakes the reader when a quarter of a ring has been written, and [`PerfReader::poll`] looks at
//! the rings ten times a second besides: a busy program is not slowed down, and nothing waits for longer than 100 ms
//! ([`PerfOptions::max_delay`]). Where each sample is wanted at once, [`Wakeup::Events`]`(1)` wakes for every one.
//!
//! # Order
//! The samples of one CPU come in the order in which they were sent. Between CPUs there is no
//! order, unless [`PerfOptions::in_order`] asks for one.
//!
//! # Lost samples
//! Samples that find the ring of their CPU full, or paused, are lost: [`Record::Lost`], [`PerfReader::count_lost`].
//! Samples of a CPU that has no event (it came online a moment ago, see [`PerfReader::refresh`]) are refused; only the
//! programs see that and other refusals, in the return value of `perf_event_output`.
//!
//! A sample of more than 65516 bytes is a fault of the program that the kernel does not detect (tried from Linux 5.10
//! to 7): it returns success to the program and writes the whole sample under a size cut to 16 bits, over other
//! contents of the ring. The result is an [`Error::CorruptRing`]; a sample of 65517 to 65524 bytes, whose record has
//! size 0, leaves no trace at all.
//!
//! [bpf-helpers(7)]: https://man7.org/linux/man-pages/man7/bpf-helpers.7.html

mod cpu_ring;
mod cpus;
mod elements;
mod flight;
#[cfg(test)]
mod kernel_tests;
mod options;
mod order;
mod record;
mod records;
#[cfg(test)]
mod tests;

pub use crate::wait::{IntoFlow, Polled, Waker};
pub use flight::FlightRecorder;
pub use options::{PerfOptions, Wakeup};
pub use records::{Records, Typed, Value};

use crate::error::{Error, Result};
use crate::map::Map;
use crate::permission::Denied;
use crate::ring;
use crate::syscall;
use crate::uapi::Errno;
use crate::util::pod::Plain;
use crate::wait::{Pass, WaitSet};
use cpu_ring::CpuRing;
use cpus::Cpus;
use elements::Elements;
use options::Checked;
use order::Order;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// A record of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A sample that a program sent.
    #[non_exhaustive]
    Sample {
        /// The CPU that it ran on.
        cpu: u32,
        /// The time at which it was sent, by `CLOCK_MONOTONIC`, if samples have [times](PerfOptions::time).
        time_ns: Option<u64>,
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
        /// The number of lost samples.
        count: u64,
    },
}

impl Record<'_> {
    /// The sample as a value of a type; `None` if it is none, or cannot have been sent with that many bytes.
    pub fn value<T: Plain>(&self) -> Option<T> {
        match self {
            Record::Sample { bytes, .. } => records::value(bytes),
            Record::Lost { .. } => None,
        }
    }
}

/// Reads the samples that programs send through a perf event array.
///
/// It opens an event with a ring on every CPU that is online at that moment and puts them into the map. For CPUs that
/// come later, or go and come back, see [`PerfReader::refresh`].
///
/// Dropping it takes its events out of the map again (the kernel would keep them there as long as
/// the map is open anywhere) and frees the rings. A map can have one reader at a time: a second one
/// takes the first one's place. The first can still read what it has.
///
/// # Damaged rings
/// The contents of a ring are treated as untrusted, though only a kernel with a fault would write invalid ones. An
/// invalid record is an [`Error::CorruptRing`]; the start of the next one is then unknown, so the bytes that had been
/// seen in that ring are skipped, and the next call goes on behind them. The other rings are read first, and of several
/// errors in one call the first is returned.
#[derive(Debug)]
#[doc(alias = "BPF_MAP_TYPE_PERF_EVENT_ARRAY")]
pub struct PerfReader {
    rings: Vec<CpuRing>,
    /// The ring to read next.
    turn: usize,
    options: Checked,
    /// Buffer in which a record that wraps around the end of its ring is assembled.
    scratch: Vec<u8>,
    order: Order,
    waits: WaitSet,
    /// The map elements that hold the events. `None` only in tests.
    elements: Option<Elements>,
    cpus: Cpus,
}

impl PerfReader {
    /// Opens a perf event on every CPU that runs, and puts them into `map`. [perf_event_open(2)],
    /// Linux 4.4.
    ///
    /// Needs `CAP_PERFMON` (Linux 5.8; `CAP_SYS_ADMIN` before) or `kernel.perf_event_paranoid` of 0
    /// or less.
    ///
    /// # Errors
    /// [`Error::Spec`] if the map is not a perf event array with an element for each CPU, or an option is invalid;
    /// [`Error::Reader`] if an event or a ring could not be opened; [`Error::Call`] if the map refused it.
    ///
    /// [perf_event_open(2)]: https://man7.org/linux/man-pages/man2/perf_event_open.2.html
    pub fn open(map: &Map, options: &PerfOptions) -> Result<PerfReader> {
        let elements = Elements::of(map)?;
        let options = options.check(ring::page_size()).map_err(|problem| Error::Spec {
            what: "perf reader of map",
            name: map.name().to_owned(),
            problem,
        })?;
        let mut reader = PerfReader::empty(options)?;
        reader.elements = Some(elements);
        reader.open_missing()?;
        reader.late_cpus();
        if reader.rings.is_empty() {
            return Err(failed("find a CPU that runs", None, Errno(libc::ENODEV), None));
        }
        Ok(reader)
    }

    /// A reader without rings.
    fn empty(options: Checked) -> Result<PerfReader> {
        Ok(PerfReader {
            rings: Vec::new(),
            turn: 0,
            options,
            scratch: Vec::new(),
            order: Order::default(),
            waits: WaitSet::new()?,
            elements: None,
            cpus: Cpus::new(),
        })
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
    pub fn drain<F, R>(&mut self, mut consume: F) -> Result<usize>
    where
        F: FnMut(Record<'_>) -> R,
        R: IntoFlow,
    {
        let mut consume = |record: Record<'_>| consume(record).into_flow();
        match self.options.window {
            None => self.pass(&mut consume).map(|pass| pass.records),
            Some(_) => self.pass_in_order(u64::MAX, &mut consume).map(|(pass, _)| pass.records),
        }
    }

    /// Waits until there are records, and reads them as [`PerfReader::drain`] does; until the deadline at most,
    /// `Some(Instant::now() + Duration::from_secs(1))`, or without end if there is none.
    ///
    /// Records that are there already are not waited for. While it waits it looks at the rings periodically
    /// ([`PerfOptions::max_delay`]), so that a record without a wake-up does not lie there for longer than that; and
    /// once a second for CPUs that have come or gone and come back, as [`PerfReader::refresh`] does. At the deadline
    /// all rings are read. A deadline that has passed makes this a look without waiting. The wait is counted in whole
    /// milliseconds, rounded up.
    ///
    /// # Errors
    /// As [`PerfReader::drain`], and [`Error::Reader`] if waiting failed.
    pub fn poll<F, R>(&mut self, deadline: Option<Instant>, mut consume: F) -> Result<Polled>
    where
        F: FnMut(Record<'_>) -> R,
        R: IntoFlow,
    {
        let mut consume = |record: Record<'_>| consume(record).into_flow();
        let mut interrupted = false;
        loop {
            let (pass, due) = match self.options.window {
                None => (self.pass(&mut consume)?, None),
                Some(window) => {
                    let now = syscall::monotonic_ns();
                    let until = now.saturating_sub(window);
                    let (pass, oldest) = self.pass_in_order(until, &mut consume)?;
                    (pass, oldest.map(|oldest| Duration::from_nanos(oldest.saturating_sub(until))))
                }
            };
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if let Some(reason) = self.waits.reason(&pass, interrupted, left) {
                return Ok(reason);
            }
            self.look_for_cpus();
            let times = [left, due, self.options.max_delay, Some(cpus::EVERY)];
            interrupted = self.wait(times.into_iter().flatten().min())?;
        }
    }

    /// Hands out record after record of what is there now, for a loop of one's own. See [`Records`].
    pub fn records(&mut self) -> Records<'_> {
        Records::new(self)
    }

    /// Waits until the kernel or a waker wakes, or the time is over; `true` if a signal ended it.
    fn wait(&mut self, time: Option<Duration>) -> Result<bool> {
        let (waits, rings) = (&self.waits, &self.rings);
        waits.wait(time, |key, bits| {
            let gone = bits & (libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0;
            let ring = rings.iter().find(|ring| u64::from(ring.cpu) == key);
            if let (true, Some(ring)) = (gone, ring) {
                // The descriptor would be ready for ever. Its ring is still read. Should this fail, waiting costs more
                // than it must and does the same.
                let _ = waits.remove(ring.ring.event());
            }
        })
    }

    /// Returns a handle that ends a wait from elsewhere: another thread, a signal handler.
    pub fn waker(&self) -> Waker {
        self.waits.waker()
    }

    /// Has the kernel write nothing more into the rings. `PERF_EVENT_IOC_PAUSE_OUTPUT`, Linux 4.7.
    ///
    /// Samples that programs send until [`PerfReader::resume`] are lost, and counted as such. A sample that is being
    /// written when this is called may still come.
    ///
    /// # Errors
    /// [`Error::Reader`].
    pub fn pause(&mut self) -> Result<()> {
        self.set_paused(true)
    }

    /// Has the kernel write into the rings again.
    ///
    /// # Errors
    /// [`Error::Reader`].
    pub fn resume(&mut self) -> Result<()> {
        self.set_paused(false)
    }

    fn set_paused(&mut self, pause: bool) -> Result<()> {
        self.cpus.paused = pause;
        for ring in &self.rings {
            elements::pause(ring.cpu, ring.ring.event(), pause)?;
        }
        Ok(())
    }

    /// Asks the kernel for the number of samples lost until now, on all CPUs (Linux 6.0), including those that no
    /// [`Record::Lost`] has reported yet. On older kernels this is [`PerfReader::lost`].
    ///
    /// It costs a system call for each CPU: something for the end of a run, after the last samples are read.
    pub fn count_lost(&mut self) -> u64 {
        for ring in &mut self.rings {
            ring.ask(self.cpus.says_lost);
        }
        self.lost()
    }

    /// Returns the number of samples that the kernel reported as lost, on all CPUs: the sum of all [`Record::Lost`],
    /// and those that [`PerfReader::count_lost`] found.
    ///
    /// The kernel reports it when there is room again, right before the next sample of that CPU: losses at the very
    /// end, with no sample after them, only show in [`PerfReader::count_lost`].
    pub fn lost(&self) -> u64 {
        self.rings.iter().map(|ring| ring.lost).fold(0, u64::saturating_add)
    }

    /// Returns the same as [`PerfReader::lost`] for each CPU that is read: its number and the number of samples that it
    /// lost.
    pub fn lost_per_cpu(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.rings.iter().map(|ring| (ring.cpu, ring.lost))
    }

    /// Returns the number of samples that were handed out after one with a later time, although they were to come [in
    /// order](PerfOptions::in_order): the window was too short for them.
    pub fn late(&self) -> u64 {
        self.order.late()
    }

    /// Whether the consumer stopped in the middle of a ring. That one is finished first, and its turn comes again after
    /// the others, so neither it nor they are kept waiting.
    fn is_unfinished(&self) -> bool {
        self.rings.get(self.turn).is_some_and(|ring| !ring.is_empty())
    }

    fn next_turn(&mut self) {
        self.turn = if self.turn + 1 < self.rings.len() { self.turn + 1 } else { 0 };
    }

    /// Reads each ring once, as far as it was written when its turn came.
    fn pass<F>(&mut self, consume: &mut F) -> Result<Pass>
    where
        F: FnMut(Record<'_>) -> ControlFlow<()>,
    {
        let mut pass = Pass::default();
        let mut first_error = None;
        let unfinished = self.is_unfinished();
        for visit in 0..self.rings.len() + usize::from(unfinished) {
            let Some(ring) = self.rings.get_mut(self.turn) else { break };
            let seen = if unfinished && visit == 0 { Ok(()) } else { ring.look() };
            let (layout, scratch) = (self.options.layout, &mut self.scratch);
            match seen.and_then(|()| ring.read(layout, scratch, &mut pass.records, consume)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => pass.stopped = true,
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
            if !pass.stopped || ring.is_empty() {
                self.next_turn();
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

/// A descriptor for a `poll(2)` or `epoll(7)` of one's own, or of an asynchronous runtime: readable when the kernel or a
/// [`Waker`] wakes the reader.
///
/// Call [`PerfReader::poll`] with a deadline that has passed, once after adding the descriptor and then each time that
/// it is readable, and besides periodically, if samples may lie in the rings without a wake-up: with any [`Wakeup`] but
/// [`Wakeup::Events`]`(1)`. ([`PerfReader::drain`] reads the records too, but ignores a [`Waker`].) The kernel reports
/// a wake-up once, to the first caller that polls: even level-triggered, the descriptor is not readable again for
/// records that were left unread. So after [`Polled::Stopped`], go on without polling it.
impl AsFd for PerfReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waits.as_fd()
    }
}

/// The descriptor of [`AsFd`].
impl AsRawFd for PerfReader {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn failed(action: &'static str, cpu: Option<u32>, errno: Errno, why: Option<Denied>) -> Error {
    Error::Reader { action, cpu, errno, why }
}
