//! A script that runs.

use super::action::{self, Action, Record};
use super::data::Stored;
use super::event::Event;
use super::iterations::Iterations;
use super::layout::Reader;
use super::script::Result;
use super::sink::{Queue, Sink};
use super::special::Special;
use crate::attach::Link;
use crate::bt::hir::MapId;
use crate::bt::output::{self, Output, Problem};
use crate::bt::plan;
use crate::error::Error;
use crate::map::Map;
use crate::program::Program;
use crate::ringbuf::RingBufReader;
use crate::wait::Polled;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::time::{Duration, Instant};

/// A script that has been attached. Dropping it detaches.
///
/// As an iterator it waits for events without end, until the script calls `exit()`.
#[derive(Debug)]
pub struct Run {
    ring: Option<RingBufReader>,
    state: State,
    links: Vec<Link>,
    iterations: Iterations,
    /// Whether nothing can follow `BEGIN`: there are no other probes but `END`, and no process is waited for.
    begin_alone: bool,
    programs: Vec<(String, Program)>,
    /// The programs that are not attached to anything.
    special: Special,
    probes: usize,
    warnings: String,
    queue: Queue,
    finished: bool,
    /// The number of bytes of records that the last drain took from the ring.
    drained: usize,
}

/// The parts that a run is built from.
pub(super) struct Parts {
    pub reader: Reader,
    pub records: Vec<Record>,
    pub maps: Vec<Stored>,
    pub globals: Globals,
    pub ring: Option<RingBufReader>,
    pub shell: fn() -> Command,
    pub links: Vec<Link>,
    pub iterations: Iterations,
    pub begin_alone: bool,
    pub programs: Vec<(String, Program)>,
    pub special: Special,
    pub probes: usize,
    pub warnings: String,
}

/// The state needed to process records.
#[derive(Debug)]
struct State {
    reader: Reader,
    records: Vec<Record>,
    maps: Vec<Stored>,
    globals: Globals,
    shell: fn() -> Command,
    /// The status of `exit()`.
    exit: Option<u8>,
    /// Whether the record of that `exit()` found no room, so that what is in the ring came before it.
    exit_was_lost: bool,
    /// Whether the run ends because nothing is left that could happen: an `exit()` that comes to light later still counts.
    nothing_left: bool,
    /// An error that a map had.
    error: Option<Error>,
    /// The time of the last check for losses.
    looked: Instant,
    /// The deadline for running commands of `system()`, if the end was asked for.
    commands_until: Option<Instant>,
    /// The number of commands that were not run.
    not_run: u64,
    /// Whether the last record was a command.
    ran_command: bool,
}

/// The interval at which lost events are checked for, and mappings of processes are recorded, while a script runs.
const LOOK: Duration = Duration::from_millis(500);

/// The time for which the ring is not drained while records keep coming. A record that is committed when everything
/// before it has been read makes the kernel wake the reader, from an interrupt within the probe (`bpf_ringbuf_commit`):
/// on a virtual machine that costs the probed program more than the probe itself.
const PACE: Duration = Duration::from_millis(2);

/// The part of the ring that may fill within [`PACE`].
const PACED_PART: usize = 16;

/// The number of events that are taken from the ring at once to be iterated over.
const BATCH: usize = 64;

impl Run {
    pub(super) fn new(parts: Parts) -> Run {
        let Parts { reader, records, maps, globals, shell, .. } = parts;
        let looked = Instant::now();
        let state = State {
            reader,
            records,
            maps,
            globals,
            shell,
            exit: None,
            exit_was_lost: false,
            nothing_left: false,
            error: None,
            looked,
            commands_until: None,
            not_run: 0,
            ran_command: false,
        };
        Run {
            ring: parts.ring,
            state,
            iterations: parts.iterations,
            begin_alone: parts.begin_alone,
            links: parts.links,
            programs: parts.programs,
            special: parts.special,
            probes: parts.probes,
            warnings: parts.warnings,
            queue: Queue::new(),
            finished: false,
            drained: 0,
        }
    }

    /// Returns the number of probes that are attached, `BEGIN` and `END` among them.
    pub fn probes(&self) -> usize {
        self.probes
    }

    /// Returns warnings about probes that could not be attached, as bpftrace shows them; empty if there are none.
    pub fn warnings(&self) -> &str {
        &self.warnings
    }

    /// Returns the status of `exit()`, if the script has called it. It is 0 if nothing is left that could happen: after
    /// `BEGIN` and iterators without other probes, unless there is a process that the run waits for.
    pub fn exit_status(&self) -> Option<u8> {
        self.state.exit
    }

    /// Waits for the next event, until the deadline at most. `None` if there is none until then, or if the script has
    /// called `exit()`.
    ///
    /// # Errors
    /// [`Error::System`](super::Error::System) if the ring buffer or a map cannot be read.
    pub fn poll(&mut self, deadline: Option<Instant>) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.queue.events.pop_front() {
                return Ok(Some(event));
            }
            if self.state.exit.is_some() || self.finished {
                return Ok(None);
            }
            let ended = self.wait(deadline)?;
            if ended && self.queue.events.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Waits for records and puts their events into the queue. Returns whether the deadline has passed.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let iterates = self.iterations.are_left();
        self.iterate()?;
        let Run { ring, state, queue, .. } = self;
        let Some(ring) = ring else {
            if iterates {
                return Ok(state.exit.is_some());
            }
            // Nothing ever comes; there is no one to wait for but the caller's own deadline.
            match deadline {
                Some(end) => std::thread::sleep(end.saturating_duration_since(Instant::now())),
                None => std::thread::park(),
            }
            return Ok(deadline.is_some());
        };
        let look = Instant::now() + LOOK;
        let until = deadline.map_or(look, |deadline| deadline.min(look));
        let until = if iterates { Instant::now() } else { until };
        let mut left = BATCH;
        let polled = ring.poll(Some(until), |record| {
            left -= 1;
            match state.record(record.bytes, queue) {
                ControlFlow::Continue(()) if left > 0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })?;
        state.settle()?;
        state.look(queue)?;
        let ended = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        Ok(ended && !matches!(polled, Polled::Records))
    }

    /// Takes the events that are there now, without waiting.
    ///
    /// # Errors
    /// As [`Run::poll`].
    pub fn drain(&mut self) -> Result<Vec<Event>> {
        let mut queue = std::mem::replace(&mut self.queue, Queue::new());
        let done = self.drain_into(&mut queue, None);
        let events = std::mem::take(&mut queue.events).into();
        self.queue = queue;
        done.map(|()| events)
    }

    /// Writes the events that are there now, as bpftrace prints them. If handling them takes long, some may be left: a script
    /// can send events faster than its commands run.
    ///
    /// # Errors
    /// As [`Run::poll`].
    pub fn print(&mut self, output: &mut Output) -> Result<()> {
        self.drain_into(output, Some(Instant::now() + LOOK))
    }

    /// Prepares for the end of the run: records that were sent before are still handled, commands of `system()` only until
    /// a deadline.
    #[cfg_attr(not(feature = "bt-cli"), allow(dead_code))]
    pub(crate) fn end_is_near(&mut self) {
        self.state.commands_until.get_or_insert_with(|| Instant::now() + LOOK);
    }

    /// Goes on with the `iter` probes. When they have ended, and there are no others, the run has.
    fn iterate(&mut self) -> Result<()> {
        if self.state.exit.is_some() || !self.iterations.are_left() && !self.begin_alone {
            return Ok(());
        }
        self.iterations.go_on()?;
        if !self.iterations.are_left() && (self.iterations.alone || self.begin_alone) {
            // As after an exit() that is not in the ring: what is there came before.
            (self.state.exit, self.state.exit_was_lost) = (Some(0), true);
            self.state.nothing_left = true;
        }
        Ok(())
    }

    fn drain_into(&mut self, sink: &mut dyn Sink, until: Option<Instant>) -> Result<()> {
        self.iterate()?;
        let Run { ring, state, drained, .. } = self;
        *drained = 0;
        if let Some(ring) = ring
            && state.exit.is_none()
        {
            let mut left = BATCH;
            ring.drain(|record| {
                *drained += record.bytes.len();
                let flow = state.record(record.bytes, sink);
                // The clock is not read for each record, but a command takes long.
                left = if state.ran_command { 0 } else { left.checked_sub(1).unwrap_or(BATCH) };
                state.ran_command = false;
                if left == 0 && until.is_some_and(|until| Instant::now() >= until) {
                    return ControlFlow::Break(());
                }
                flow
            })?;
        }
        state.settle()?;
        state.look(sink)
    }

    /// Ends the run: detaches all probes, takes what they have sent, runs `END`, and returns the last events. Maps can be
    /// read after it. Further calls do nothing.
    ///
    /// # Errors
    /// As [`Run::poll`].
    pub fn finish(&mut self) -> Result<Vec<Event>> {
        let mut queue = std::mem::replace(&mut self.queue, Queue::new());
        let done = self.finish_into(&mut queue);
        let events = std::mem::take(&mut queue.events).into();
        self.queue = queue;
        done.map(|()| events)
    }

    /// Ends the run as [`Run::finish`] does, and writes the last events and, if the script's settings do not say otherwise,
    /// the maps that are not empty, as bpftrace prints them.
    ///
    /// # Errors
    /// As [`Run::poll`].
    pub fn finish_and_print(&mut self, output: &mut Output) -> Result<()> {
        self.finish_into(output)?;
        output.end_of_events();
        if self.state.reader.program.config.print_maps_on_exit {
            self.print_maps(output)?;
        }
        output.repeated_problems();
        Ok(())
    }

    /// Runs the `self:signal:SIGUSR1` probes, as the command line does when it gets that signal. Returns whether there are any.
    ///
    /// # Errors
    /// [`Error::System`](super::Error::System) if the kernel does not run a program.
    pub fn signal(&mut self) -> Result<bool> {
        self.special.signal().map_err(Into::into)
    }

    /// Writes the maps that are not empty, in the order of their names.
    ///
    /// # Errors
    /// [`Error::System`](super::Error::System) if a map cannot be read.
    pub fn print_maps(&mut self, output: &mut Output) -> Result<()> {
        self.read_maps()?.iter().for_each(|map| output.map(map));
        Ok(())
    }

    fn finish_into(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        self.links.clear();
        self.iterations.stop();
        let Run { ring, state, special, .. } = self;
        state.reader.names.look();
        if let Some(ring) = ring {
            match state.exit {
                // What came after exit() has not happened.
                Some(_) if !state.exit_was_lost => ring.drain(|_| ControlFlow::Continue(()))?,
                _ => ring.drain(|record| state.record(record.bytes, sink))?,
            };
            if state.exit.is_some() {
                ring.drain(|_| ControlFlow::Continue(()))?;
            }
        }
        let not_run = std::mem::take(&mut state.not_run);
        if not_run > 0 {
            sink.warning(&format!(
                "system: {not_run} commands were not run, because the end was asked for"
            ));
        }
        state.commands_until = None;
        special.end()?;
        if let Some(ring) = ring {
            // An exit() in END ends that run of it alone.
            ring.drain(|record| {
                let _ = state.record(record.bytes, sink);
                ControlFlow::Continue(())
            })?;
        }
        state.settle()?;
        state.losses(sink)?;
        for (name, program) in &self.programs {
            let missed = program.info().map_or(0, |info| info.recursion_misses);
            if missed > 0 {
                sink.warning(&format!(
                    "{name}: {missed} events were missed, because a program was running already"
                ));
            }
        }
        Ok(())
    }

    /// Returns a map of the script by its name, `@` or `@name`, with its current contents.
    ///
    /// # Errors
    /// [`Error::System`](super::Error::System) if there is no such map, or if it cannot be read.
    pub fn read_map(&mut self, name: &str) -> Result<output::Map> {
        let State { maps, reader, .. } = &mut self.state;
        match maps.iter().find(|map| *map.name == *name) {
            Some(map) => Ok(map.read(reader, false)?),
            None => Err(Error::NotFound {
                what: "map of the script",
                name: name.into(),
                nearest: maps.iter().map(|map| (*map.name).to_owned()).collect(),
                note: None,
            }
            .into()),
        }
    }

    /// Returns the maps of the script in the order of their names, with their current contents.
    ///
    /// # Errors
    /// As [`Run::read_map`].
    pub fn read_maps(&mut self) -> Result<Vec<output::Map>> {
        let State { maps, reader, .. } = &mut self.state;
        let mut order: Vec<&Stored> = maps.iter().collect();
        order.sort_by(|one, other| one.name.cmp(&other.name));
        let mut all = Vec::new();
        for map in order {
            all.push(map.read(reader, false)?);
        }
        Ok(all)
    }

    /// Returns the interval at which to poll for events without a wakeup, if that is needed.
    #[cfg_attr(not(feature = "bt-cli"), allow(dead_code))]
    pub(crate) fn interval(&self) -> Option<Duration> {
        (self.ring.is_some() || self.state.reader.names.watches()).then_some(LOOK)
    }

    /// Returns the time to wait before draining the ring again, after records were taken from it, so that the records
    /// that follow need no wakeup each.
    #[cfg_attr(not(feature = "bt-cli"), allow(dead_code))]
    pub(crate) fn pace(&self) -> Option<Duration> {
        if self.iterations.are_left() {
            return Some(Duration::ZERO);
        }
        let size = self.ring.as_ref().map_or(0, RingBufReader::size);
        (self.drained > 0 && self.drained < size / PACED_PART).then_some(PACE)
    }

    /// Returns the descriptor that is readable when there are events; none if the script sends none. Scripts with `iter` probes
    /// go on by calls of [`Run::drain`] or [`Run::poll`], until [`Run::exit_status`] says that they have ended.
    pub fn as_pollable(&self) -> Option<BorrowedFd<'_>> {
        self.ring.as_ref().map(AsFd::as_fd)
    }
}

impl Iterator for Run {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.poll(None).transpose()
    }
}

impl State {
    /// Carries out the action that a record asks for. Stops after `exit()`.
    fn record(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> ControlFlow<()> {
        let State { reader, records, maps, shell, .. } = self;
        let index = bytes.get(..8).and_then(|index| index.try_into().ok()).map(u64::from_ne_bytes);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some(record) = index.and_then(|index| records.get(index)) else {
            return ControlFlow::Continue(());
        };
        let mut on_map = |id: MapId, f: &mut dyn FnMut(&Stored) -> crate::error::Result<()>| {
            let map = maps.get(id.0 as usize);
            if let Some(Err(error)) = map.map(f) {
                self.error.get_or_insert(error);
            }
        };
        match &record.action {
            Action::Printf(text) => record.format(text, reader, bytes, &mut |format, arguments| {
                sink.printf(format, arguments);
            }),
            Action::Message(severity, text) => {
                let program = std::sync::Arc::clone(&reader.program);
                record.format(text, reader, bytes, &mut |format, arguments| {
                    action::at(&program.source, record.span, |place| {
                        sink.message(place, *severity, format, arguments);
                    });
                });
            }
            Action::System(_) if self.commands_until.is_some_and(|end| Instant::now() >= end) => {
                self.not_run += 1;
            }
            Action::System(text) => {
                self.ran_command = true;
                let command = record.text(text, reader, bytes);
                match action::system(*shell, &command) {
                    Ok(output) => sink.system(output),
                    Err(problem) => sink.failure(&problem),
                }
            }
            Action::Cat(text) => {
                let path = record.text(text, reader, bytes);
                match action::cat(&path, reader.program.config.max_cat_bytes) {
                    Ok(contents) => sink.cat(contents),
                    Err(problem) => sink.failure(&problem),
                }
            }
            Action::PrintValue => sink.value(record.value(0, reader, bytes)),
            Action::PrintMap { map, top, div } => on_map(*map, &mut |map| {
                let contents = map.read(reader, true)?;
                sink.map(contents.top(*top as usize).divided_by((*div).into()));
                Ok(())
            }),
            Action::PrintElement(map) => on_map(*map, &mut |map| {
                let key = record.key(map.map.key_size() as usize, bytes);
                sink.value(map.element(reader, key)?);
                Ok(())
            }),
            Action::Clear(map) => on_map(*map, &mut Stored::clear),
            Action::Zero(map) => on_map(*map, &mut Stored::zero),
            Action::Exit => {
                // As processes do: eight bits of it.
                self.exit = Some(record.number(0, reader, bytes) as u8);
                return ControlFlow::Break(());
            }
            Action::Time(format) => sink.time(action::time(format)),
            Action::Join(separator) => record.join(separator, reader, bytes, sink),
            Action::DivisionByZero => {
                record.problem(&reader.program.source, &Problem::DivisionByZero, sink);
            }
            Action::Helper(name) => {
                let result = record.number(0, reader, bytes);
                let problem = Problem::Helper { name, result };
                record.problem(&reader.program.source, &problem, sink);
            }
        }
        ControlFlow::Continue(())
    }

    /// Returns an error that came up in a record.
    fn settle(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Records, at intervals, mappings of processes and lost events.
    fn look(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        self.reader.names.look();
        self.losses(sink)
    }

    /// Reports new losses.
    fn losses(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let losses = self.globals.losses(self.maps.len())?;
        let by_cpu = (0..).zip(losses.records).filter(|(_, records)| *records > 0);
        sink.lost(by_cpu.collect());
        if (self.exit.is_none() || self.nothing_left) && losses.exit.is_some() {
            (self.exit, self.exit_was_lost) = (losses.exit, true);
        }
        if losses.runs > 0 {
            sink.warning(&format!(
                "{} runs of probes were lost: too many of them interrupted each other",
                losses.runs
            ));
        }
        if losses.loops > 0 {
            let most = plan::MOST_ROUNDS;
            sink.warning(&format!(
                "{} loops ended too early, after {most} rounds: the kernel runs no more",
                losses.loops
            ));
        }
        let source = &self.reader.program.source;
        for (map, results) in self.maps.iter().zip(losses.results) {
            for (index, times) in (0..).zip(results).filter(|(_, times)| *times > 0) {
                let problem = match plan::Globals::error_of(index) {
                    Some(libc::E2BIG) => {
                        Problem::MapFull { map: &map.name, max_entries: map.max_entries }
                    }
                    Some(error) => Problem::NotStored { map: &map.name, result: -i64::from(error) },
                    None => continue,
                };
                action::at(source, map.span, |place| sink.problem(place, &problem, times));
            }
        }
        Ok(())
    }
}

/// The loss counters that programs keep.
#[derive(Debug)]
pub(super) struct Globals {
    map: Map,
    layout: plan::Globals,
    known: Losses,
}

#[derive(Debug, Default)]
struct Losses {
    /// Records, by CPU.
    records: Vec<u64>,
    runs: u64,
    loops: u64,
    /// Updates of each map that failed, by their result.
    results: Vec<[u64; plan::Globals::RESULTS as usize]>,
    /// The status of an `exit()` that was lost.
    exit: Option<u8>,
}

impl Globals {
    pub(super) fn new(map: Map, layout: plan::Globals) -> Globals {
        Globals { map, layout, known: Losses::default() }
    }

    /// Returns the losses since the last call.
    fn losses(&mut self, maps: usize) -> crate::error::Result<Losses> {
        let bytes = self.map.lookup(&0_u32.to_ne_bytes())?.unwrap_or_default();
        let number = |offset: u32| {
            let bytes = bytes.get(offset as usize..).and_then(|rest| rest.get(..8));
            bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
        };
        let of_map = |map: usize| {
            let first = self.layout.results(MapId(map as u32));
            std::array::from_fn(|index| number(first + index as u32 * 8))
        };
        let (records, cpus) = self.layout.lost_records();
        let of_cpu = |cpu: u32| number(records + (cpu << plan::Globals::LOST_RECORDS_SHIFT));
        let results = (0..maps).map(of_map).collect();
        let exit = number(plan::Globals::LOST_EXIT).to_ne_bytes();
        let [status, there] = [0, 4].map(|at| {
            let word = exit.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map_or(0, u32::from_ne_bytes)
        });
        let now = Losses {
            exit: (there != 0).then_some(status as u8),
            records: (0..cpus).map(of_cpu).collect(),
            runs: number(plan::Globals::LOST_RUNS),
            loops: number(plan::Globals::CUT_LOOPS),
            results,
        };
        let since = Losses {
            exit: now.exit,
            records: (now.records.iter().enumerate())
                .map(|(cpu, now)| {
                    now.wrapping_sub(self.known.records.get(cpu).copied().unwrap_or(0))
                })
                .collect(),
            runs: now.runs.wrapping_sub(self.known.runs),
            loops: now.loops.wrapping_sub(self.known.loops),
            results: (now.results.iter().enumerate())
                .map(|(map, now)| {
                    let before = self.known.results.get(map);
                    let known = |index: usize| before.map_or(0, |before| before[index]);
                    std::array::from_fn(|index| now[index].wrapping_sub(known(index)))
                })
                .collect(),
        };
        self.known = now;
        Ok(since)
    }
}
