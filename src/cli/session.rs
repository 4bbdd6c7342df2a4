//! The session of a run of programs that are attached: signals, a command to trace, the end of the run, and the
//! output of events.

use super::child::{self, Child};
use super::losses::report_missed_runs;
use super::output::{self, Output, Row, Sample};
use super::signals::{Event as SignalEvent, Signals};
use super::stdio::warn;
use super::{Failure, Format};
use crate::attach::Link;
use crate::error::Error;
use crate::program::Program;
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Limits of a run, and its output format.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Stop after N events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// Stop after SECS seconds, 0.5 for half a second
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub(super) duration: Option<Duration>,

    /// Format of events
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Run COMMAND, trace while it runs, and end with its exit status
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<std::ffi::OsString>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a time that can be waited".to_string())
}

/// A source of events.
pub(super) trait Source {
    /// Readable when there are some, if there is something to wait for.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Shows those that are there.
    fn read(&mut self, stage: &mut Stage) -> Result<(), Error>;

    /// The interval at which to read even without a wake-up, because programs may send without one.
    fn interval(&self) -> Option<Duration> {
        None
    }
}

/// A reader, and how to read it.
pub(super) struct Reading<R, F> {
    pub(super) reader: R,
    pub(super) read: F,
    /// The interval at which to read even without a wake-up.
    pub(super) every: Option<Duration>,
}

impl<R: AsFd, F: FnMut(&mut R, &mut Stage) -> Result<usize, Error>> Source for Reading<R, F> {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.reader.as_fd())
    }

    fn read(&mut self, stage: &mut Stage) -> Result<(), Error> {
        (self.read)(&mut self.reader, stage).map(|_| ())
    }

    fn interval(&self) -> Option<Duration> {
        self.every
    }
}

/// Programs and links of a run.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) programs: Vec<Program>,
    pub(super) links: Vec<Link>,
}

/// The session of a run: signals, the command, and the end.
pub(super) struct Session<'a> {
    limits: &'a Limits,
    signals: &'static Signals,
    /// The process that is traced, if it is one alone.
    process: Option<OwnedFd>,
    command: Option<Child>,
}

impl<'a> Session<'a> {
    /// Begins a run. With a process it ends when that has ended.
    pub(super) fn new(limits: &'a Limits, pid: Option<u32>) -> Result<Self, Failure> {
        let process = pid.map(|pid| child::process("--pid", pid)).transpose()?;
        let signals = Signals::block()?;
        let command = match limits.command.as_slice() {
            [] => None,
            words => Some(Child::new(words)?),
        };
        if let Some(note) = command.as_ref().and_then(Child::note) {
            warn(note);
        }
        Ok(Session { limits, signals, process, command })
    }

    /// The process of the command, which has yet to begin.
    pub(super) fn pid(&self) -> Option<u32> {
        self.command.as_ref().map(Child::pid)
    }

    /// Lets the command begin and prints what there is in the sources, under these headings, until the command has
    /// ended, enough was shown, the time is over or a signal ends the run. Returns the exit status.
    pub(super) fn play(
        self,
        attached: Attached,
        headings: &[&str],
        sources: &mut [&mut dyn Source],
    ) -> Result<u8, Failure> {
        let Session { limits, signals, process, mut command } = self;
        // From here on, since standard output may have no reader already when the headings are written.
        let deadline = limits.duration.and_then(|duration| Instant::now().checked_add(duration));
        deadline.into_iter().for_each(|deadline| signals.end_at(deadline));
        let mut stage = Stage::new(limits, headings)?;
        command.as_mut().map_or(Ok(()), Child::release)?;
        let ends = Ends { signals, process: process.as_ref() };
        let Attached { programs, links } = attached;
        let ended = show_until_the_end(&ends, &mut command, &mut stage, links, sources);
        report_missed_runs(&programs);
        match ended {
            Ok(Some(status)) => Ok(status),
            ended => {
                if let Some(goes_on) = command.as_mut().and_then(Child::stop) {
                    warn(format_args!("{goes_on}"));
                }
                ended.map(|_| 0)
            }
        }
    }
}

/// The events that end a run besides its command and the time.
struct Ends<'e> {
    signals: &'e Signals,
    process: Option<&'e OwnedFd>,
}

/// The loop of a run. The exit status of the command, if that is what ended it.
fn show_until_the_end(
    ends: &Ends<'_>,
    command: &mut Option<Child>,
    stage: &mut Stage,
    links: Vec<Link>,
    sources: &mut [&mut dyn Source],
) -> Result<Option<u8>, Failure> {
    let deadline = ends.signals.deadline();
    let mut links = Some(links);
    loop {
        wait(sources, command.iter().map(AsFd::as_fd), ends, deadline)?;
        // Before the signals: Ctrl-C goes to the command too, and when that has ended by it, the signal is here already. So it is
        // always Ctrl-C that ends the run, and the status is 0.
        let mut status = command.as_mut().and_then(Child::ended);
        let mut last = status.is_some();
        while let Some(event) = ends.signals.next() {
            match event {
                SignalEvent::Stop => (last, status) = (true, None),
                SignalEvent::Show => {}
            }
        }
        last |= deadline.is_some_and(|deadline| Instant::now() >= deadline);
        last |= ends.process.is_some_and(|process| child::has_ended(process.as_fd()));
        if last {
            // Nothing comes after this, so that what is there can be read to its end.
            links = None;
        }
        for source in sources.iter_mut() {
            source.read(stage)?;
            stage.settle()?;
        }
        if last || stage.is_full() {
            drop(links);
            return Ok(status);
        }
    }
}

/// Waits until there is something to read, or a signal, or the deadline has come.
fn wait<'f>(
    sources: &'f [&mut dyn Source],
    command: impl Iterator<Item = BorrowedFd<'f>>,
    ends: &'f Ends<'_>,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let interval = sources.iter().filter_map(|source| source.interval()).min();
    let timeout = match left.into_iter().chain(interval).min() {
        _ if ends.signals.has_next() => PollTimeout::ZERO,
        None => PollTimeout::NONE,
        Some(left) => {
            // Up to the next whole millisecond, and a long time in several parts.
            let left = Duration::from_millis(left.as_nanos().div_ceil(1_000_000) as u64);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        }
    };
    let ends = ends.process.iter().map(AsFd::as_fd).chain([ends.signals.as_fd()]);
    let fds = sources.iter().filter_map(|source| source.fd()).chain(command).chain(ends);
    let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(errno) => Err(Failure::Other(format!("cannot wait for events: {errno}"))),
    }
}

/// The output of events, as many as were asked for.
pub(super) struct Stage {
    output: Output,
    left: Option<u64>,
    problem: Option<Failure>,
}

impl Stage {
    fn new(limits: &Limits, headings: &[&str]) -> Result<Stage, Failure> {
        let output = Output::new(limits.format, headings)?;
        Ok(Stage { output, left: limits.count, problem: None })
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Shows an event; breaks off when it was the last one, or could not be shown.
    pub(super) fn show(&mut self, row: &Row<'_>) -> ControlFlow<()> {
        self.one(|output| output.row(row))
    }

    /// Shows bytes that a program has sent, as [`Stage::show`] does.
    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> ControlFlow<()> {
        self.one(|output| output.sample(sample))
    }

    fn one(&mut self, show: impl FnOnce(&mut Output) -> Result<(), Failure>) -> ControlFlow<()> {
        if self.is_full() {
            return ControlFlow::Break(());
        }
        if let Err(problem) = show(&mut self.output) {
            self.problem = Some(problem);
            return ControlFlow::Break(());
        }
        self.left = self.left.map(|left| left - 1);
        if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Shows a line that belongs to the event before it.
    pub(super) fn more(&mut self, line: &[u8]) -> ControlFlow<()> {
        let done = self.output.more(line);
        self.unless(done)
    }

    /// Reports events that the kernel had no room for.
    pub(super) fn lost(&mut self, count: u64, cpu: u32) -> ControlFlow<()> {
        let done = self.output.lost(count, cpu);
        self.unless(done)
    }

    fn unless(&mut self, done: Result<(), Failure>) -> ControlFlow<()> {
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => {
                self.problem = Some(problem);
                ControlFlow::Break(())
            }
        }
    }

    /// Makes a batch visible, or reports its error.
    fn settle(&mut self) -> Result<(), Failure> {
        match self.problem.take() {
            Some(problem) => Err(problem),
            None => self.output.flush(),
        }
    }
}

/// Headings of rows.
pub(super) use output::{ROWS, SAMPLES};
