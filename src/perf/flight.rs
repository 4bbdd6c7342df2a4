//! The last samples that were sent, read when something has happened.

use super::options::Checked;
use super::record::{self, Body, Layout, Problem};
use super::{IntoFlow, PerfOptions, Record, elements, failed};
use crate::error::{Error, Result};
use crate::kernel::cpu;
use crate::map::Map;
use crate::ring::{self, Backward};
use crate::syscall;
use crate::uapi::Errno;
use elements::Elements;
use std::time::Duration;

/// Time to wait for the kernel to finish an operation on a ring where it does not report the end: such operations take
/// microseconds.
const GRACE: Duration = Duration::from_millis(20);

/// Keeps the last samples that programs sent through a perf event array, as a flight recorder does: the rings are not read
/// until something has happened, and the oldest samples are overwritten.
///
/// ```no_run
/// use rawbpf::perf::{FlightRecorder, PerfOptions, Record};
/// use rawbpf::{Map, MapSpec};
///
/// # fn main() -> rawbpf::Result<()> {
/// static EVENTS: MapSpec = MapSpec::perf_event_array("events");
///
/// let events = Map::create(&EVENTS)?;
/// let mut recorder = FlightRecorder::open(&events, &PerfOptions::new().sample_size(16).time())?;
/// // … until something has happened:
/// recorder.read(|record| {
///     if let Record::Sample { cpu, time_ns, bytes, .. } = record {
///         println!("{time_ns:?} CPU {cpu}: {bytes:02x?}");
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// It records on the CPUs that run when it is opened. Dropping it takes its events out of the map, as dropping a
/// [`PerfReader`](super::PerfReader) does.
#[derive(Debug)]
pub struct FlightRecorder {
    rings: Vec<Recording>,
    options: Checked,
    paused: bool,
    /// The map elements that hold the events. `None` only in tests.
    elements: Option<Elements>,
}

/// The ring of one CPU, and what was in it when it was read last.
#[derive(Debug)]
pub(super) struct Recording {
    pub cpu: u32,
    pub ring: Backward,
    copy: Vec<u8>,
}

/// The place of a record in the copies, and its sort key.
struct Place {
    time: u64,
    ring: usize,
    at: usize,
}

impl FlightRecorder {
    /// Opens a perf event on every CPU that runs, and puts them into `map`. `write_backward` of [perf_event_open(2)], Linux
    /// 4.7.
    ///
    /// Of the options, those about the ring, the samples and their times count: there are no wake-ups. With
    /// [`PerfOptions::time`] the samples of all CPUs are handed out in their order, else CPU by CPU.
    ///
    /// # Errors
    /// As [`PerfReader::open`](super::PerfReader::open).
    ///
    /// [perf_event_open(2)]: https://man7.org/linux/man-pages/man2/perf_event_open.2.html
    pub fn open(map: &Map, options: &PerfOptions) -> Result<FlightRecorder> {
        let mut elements = Elements::of(map)?;
        let options = options.check(ring::page_size()).map_err(|problem| Error::Spec {
            what: "flight recorder of map",
            name: map.name().to_owned(),
            problem,
        })?;
        let mut rings = Vec::new();
        let mut says_lost = true;
        for cpu in cpu::online()? {
            elements.has(cpu)?;
            let opened = elements::open(cpu, &mut says_lost, |says_lost| {
                let mut event = elements::event(&options, cpu, says_lost);
                (event.backward, event.watermark, event.wakeup) = (true, false, i32::MAX as u32);
                Backward::open(&event, options.ring_size)
            })?;
            if let Some(ring) = opened {
                elements.put(cpu, ring.event())?;
                rings.push(Recording { cpu, ring, copy: Vec::new() });
            }
        }
        if rings.is_empty() {
            return Err(failed("find a CPU that runs", None, Errno(libc::ENODEV), None));
        }
        Ok(FlightRecorder { rings, options, paused: false, elements: Some(elements) })
    }

    #[cfg(test)]
    pub(super) fn over(rings: Vec<(u32, Backward)>, options: Checked) -> FlightRecorder {
        let rings = rings.into_iter().map(|(cpu, ring)| Recording { cpu, ring, copy: Vec::new() });
        FlightRecorder { rings: rings.collect(), options, paused: true, elements: None }
    }

    /// Hands out the contents of the rings, the oldest first: a copy, made while they are
    /// [paused](FlightRecorder::pause), which takes some milliseconds. Samples that programs send meanwhile are lost,
    /// and reported with the next ones ([`Record::Lost`]). Returns the number of records handed out.
    ///
    /// The rings keep what they hold: it comes again the next time, if it has not been overwritten.
    ///
    /// # Errors
    /// [`Error::Reader`] if a ring could not be paused; [`Error::CorruptRing`] and [`Error::SampleSize`] if it held what
    /// cannot be: the rest is handed out before.
    pub fn read<F, R>(&mut self, mut consume: F) -> Result<usize>
    where
        F: FnMut(Record<'_>) -> R,
        R: IntoFlow,
    {
        self.copy()?;
        let layout = self.options.layout;
        let (mut places, mut first_error) = (Vec::new(), None);
        for (index, ring) in self.rings.iter().enumerate() {
            let error = ring.list(index, layout, &mut places);
            first_error = first_error.or(error);
        }
        if layout.time {
            places.sort_by_key(|place| place.time);
        }
        let (mut handed_out, mut scratch) = (0, Vec::new());
        for Place { ring, at, .. } in places {
            let Some(ring) = self.rings.get(ring) else { continue };
            let bytes = ring.copy.get(at..).unwrap_or_default();
            let cpu = ring.cpu;
            let record = match record::next((bytes, &[]), layout, &mut scratch) {
                Ok(Some((_, Body::Sample { time, bytes }))) => {
                    Record::Sample { cpu, time_ns: time, bytes }
                }
                Ok(Some((_, Body::Lost(count)))) => Record::Lost { cpu, count },
                _ => continue,
            };
            handed_out += 1;
            if consume(record).into_flow().is_break() {
                break;
            }
        }
        first_error.map_or(Ok(handed_out), Err)
    }

    /// Has the kernel write nothing more into the rings, so that what they hold stays there.
    /// `PERF_EVENT_IOC_PAUSE_OUTPUT`, Linux 4.7.
    ///
    /// # Errors
    /// [`Error::Reader`].
    pub fn pause(&mut self) -> Result<()> {
        for ring in &self.rings {
            elements::pause(ring.cpu, ring.ring.event(), true)?;
        }
        self.paused = true;
        Ok(())
    }

    /// Has the kernel write into the rings again.
    ///
    /// # Errors
    /// [`Error::Reader`].
    pub fn resume(&mut self) -> Result<()> {
        for ring in &self.rings {
            elements::pause(ring.cpu, ring.ring.event(), false)?;
        }
        self.paused = false;
        Ok(())
    }

    /// Copies the rings, all of one time.
    fn copy(&mut self) -> Result<()> {
        let was_paused = self.paused;
        let paused = if was_paused { Ok(()) } else { self.pause() };
        if paused.is_ok() {
            // A CPU that was writing when its ring was paused goes on to the end of its record.
            if self.elements.is_some() && syscall::grace_period().is_err() {
                std::thread::sleep(GRACE);
            }
            for ring in &mut self.rings {
                ring.ring.copy(&mut ring.copy);
            }
        }
        if !was_paused {
            // Also those that were paused before one could not be.
            paused.and(self.resume())
        } else {
            Ok(())
        }
    }
}

impl Recording {
    /// Lists the records of the copy, the oldest first. Gives the first thing that was wrong.
    fn list(&self, ring: usize, layout: Layout, places: &mut Vec<Place>) -> Option<Error> {
        let (cpu, first) = (self.cpu, places.len());
        let (mut at, mut time, mut error) = (0, u64::MAX, None);
        let mut scratch = Vec::new();
        loop {
            let rest = self.copy.get(at..).unwrap_or_default();
            // The oldest has been overwritten in part, unless nothing has been overwritten yet.
            let header: Option<&[u8; 8]> = rest.first_chunk();
            let length = header.map_or(0, |header| u16::from_ne_bytes([header[6], header[7]]));
            if usize::from(length) > rest.len() && self.copy.len() == self.ring.size() {
                break;
            }
            match record::next((rest, &[]), layout, &mut scratch) {
                Ok(None) => break,
                Ok(Some((record, body))) => {
                    // A record without a time belongs before the sample that was written behind it.
                    if let Body::Sample { time: Some(sent), .. } = body {
                        time = sent;
                    }
                    if body != Body::Other {
                        places.push(Place { time, ring, at });
                    }
                    at += record.len();
                }
                Err(Problem::WrongSize { recorded, length }) => {
                    at += length;
                    let submitted = layout.size.map_or(0, |size| size.submitted);
                    error.get_or_insert(Error::SampleSize { cpu, submitted, recorded });
                }
                Err(Problem::Corrupt(problem)) => {
                    let position = at as u64;
                    error.get_or_insert(Error::CorruptRing { cpu, position, problem });
                    break;
                }
            }
        }
        places.get_mut(first..).unwrap_or_default().reverse();
        error
    }
}
