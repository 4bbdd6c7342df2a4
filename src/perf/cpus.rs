//! CPUs that come and go.
//!
//! When a CPU goes offline the kernel removes its events for good (`perf_event_exit_cpu`) without notice: the
//! descriptor does not hang up, and when the CPU is back the event does not count again, and nothing sent to it
//! arrives. (Tried on Linux 5.10, 6.1 and 7.) The visible sign is that the time for which the event has run
//! (`PERF_FORMAT_TOTAL_TIME_ENABLED`) stands still. Suspend and resume do the same to all CPUs but the first.

use super::cpu_ring::CpuRing;
use super::{PerfReader, elements};
use crate::error::Result;
use crate::kernel::cpu;
use crate::ring::Ring;
use std::time::{Duration, Instant};

/// The interval at which a reader that waits looks for CPUs.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// The least time in which an event has to have run on: more than any clock's tick.
const LEAST: Duration = Duration::from_millis(20);

/// State of the CPUs as a whole.
#[derive(Debug)]
pub(super) struct Cpus {
    /// Whether the events can be asked how many samples they lost.
    pub says_lost: bool,
    /// Whether the rings are paused, and new ones are to be.
    pub paused: bool,
    /// The time of the last look for CPUs.
    looked: Instant,
    /// CPUs on which events were opened after the others.
    late: Vec<u32>,
    /// CPUs that are online and have no event.
    missing: Vec<u32>,
}

impl Cpus {
    pub(super) fn new() -> Cpus {
        let (late, missing) = (Vec::new(), Vec::new());
        Cpus { says_lost: true, paused: false, looked: Instant::now(), late, missing }
    }
}

impl PerfReader {
    /// Sees which CPUs have come, or gone and come back, and opens events on them. Returns on how many.
    ///
    /// A CPU that goes offline takes its event with it; the contents of its ring are still read. When it is back, and
    /// on a CPU that is new, there is no event until one is opened, and samples that programs send there are refused,
    /// which shows only in the return value of `perf_event_output`. [`PerfReader::poll`] opens one within two seconds,
    /// as far as it can; this does it now, and returns an error if it cannot. It takes 20 ms: whether an event runs
    /// shows over time.
    ///
    /// A CPU whose old ring holds samples that have not been read is left for the next time: [drain](PerfReader::drain)
    /// before.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) if the CPUs cannot be listed, and as [`PerfReader::open`].
    pub fn refresh(&mut self) -> Result<usize> {
        for ring in &mut self.rings {
            ring.is_stopped(self.cpus.says_lost);
        }
        std::thread::sleep(LEAST);
        self.open_missing()
    }

    /// Takes the numbers of the CPUs on which events were opened later than on the others, since the last call: those
    /// that came, or went and came back. Samples that programs sent there before were refused, and are counted nowhere.
    pub fn late_cpus(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.cpus.late)
    }

    /// Returns the numbers of the CPUs that were listed as online, and on which the kernel opened no event (`ENODEV`),
    /// at the last look. Samples that programs send there are refused, and are counted nowhere.
    pub fn missing_cpus(&self) -> &[u32] {
        &self.cpus.missing
    }

    /// Does the same as [`PerfReader::refresh`], at most once a second.
    pub(crate) fn look_for_cpus(&mut self) {
        if self.cpus.looked.elapsed() >= EVERY {
            // Reading goes on without what could not be had.
            let _ = self.open_missing();
        }
    }

    /// Opens events on all CPUs that have none that runs.
    pub(super) fn open_missing(&mut self) -> Result<usize> {
        if self.elements.is_none() {
            return Ok(0);
        }
        self.cpus.looked = Instant::now();
        self.cpus.missing.clear();
        let mut opened = 0;
        for cpu in cpu::online()? {
            let index = self.rings.iter().position(|ring| ring.cpu == cpu);
            if let Some(ring) = index.and_then(|index| self.rings.get_mut(index)) {
                let dead = ring.is_stopped(self.cpus.says_lost);
                if !dead || ring.look().is_err() || !ring.is_empty() {
                    continue;
                }
            }
            if self.open_on(cpu, index)? {
                self.cpus.late.push(cpu);
                opened += 1;
            } else {
                self.cpus.missing.push(cpu);
            }
        }
        Ok(opened)
    }

    /// Opens an event on a CPU, in place of the one at `index`; `false` if the CPU has gone since it was listed.
    fn open_on(&mut self, cpu: u32, index: Option<usize>) -> Result<bool> {
        let options = self.options;
        if let Some(elements) = &self.elements {
            elements.has(cpu)?;
        }
        let opened = elements::open(cpu, &mut self.cpus.says_lost, |says_lost| {
            Ring::open(&elements::event(&options, cpu, says_lost), options.ring_size)
        });
        let Some(ring) = opened? else { return Ok(false) };
        if self.cpus.paused {
            elements::pause(cpu, ring.event(), true)?;
        }
        // The event runs from the start: it was not opened disabled. It goes into the map only
        // now, with its ring, so that no sample is lost for want of one.
        let index = self.add(cpu, ring, index)?;
        if let (Some(elements), Some(ring)) = (&mut self.elements, self.rings.get(index)) {
            elements.put(cpu, ring.ring.event())?;
        }
        Ok(true)
    }

    /// Waits for a ring too, and reads it: in place of that at `place`, else as one more. Returns where it is.
    pub(super) fn add(&mut self, cpu: u32, ring: Ring, place: Option<usize>) -> Result<usize> {
        self.waits
            .add(ring.event(), u64::from(cpu))
            .map_err(|errno| super::failed("wait for a perf event", Some(cpu), errno, None))?;
        match place.and_then(|place| Some((place, self.rings.get_mut(place)?))) {
            Some((place, old)) => {
                // Its event leaves the epoll set when it is closed.
                *old = CpuRing::new(cpu, ring, old.lost);
                Ok(place)
            }
            None => {
                self.rings.push(CpuRing::new(cpu, ring, 0));
                Ok(self.rings.len() - 1)
            }
        }
    }
}
