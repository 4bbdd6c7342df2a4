//! `rawbpf run`: a program that ships, attached, its reports printed until something ends it.

use super::child::{Running, Waiting};
use super::output::{self, Output, Row};
use super::signals::{Event as SignalEvent, Signals};
use super::{Failure, Format, RunArgs, loader};
use crate::attach::{self, Link};
use crate::error::Error;
use crate::perf::{PerfOptions, PerfReader, Record, Wakeup};
use crate::program::{Loader, Program};
use crate::progs::perf_output::Event;
use crate::progs::{forks, hello, perf_output};
use crate::spec::ProgramSpec;
use crate::trace_pipe::{TraceFields, TracePipe};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::borrow::Cow;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A program that can be run by name.
struct Shipped {
    name: &'static str,
    about: &'static str,
    run: fn(&RunArgs) -> Result<u8, Failure>,
}

const SHIPPED: [Shipped; 2] = [
    Shipped {
        name: "hello",
        about: "Prints \"Hello, World!\" for each new process or thread, by trace_printk",
        run: run_hello,
    },
    Shipped {
        name: "perf-output",
        about: "Sends a record for each new process or thread through the perf ring",
        run: run_perf_output,
    },
];

/// Runs what the arguments name; the exit status.
pub(super) fn run(args: &RunArgs) -> Result<u8, Failure> {
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        return list();
    };
    match SHIPPED
        .iter()
        .find(|shipped| shipped.name == name || shipped.name.replace('-', "_") == name)
    {
        Some(shipped) => (shipped.run)(args),
        None => {
            let names: Vec<_> = SHIPPED.iter().map(|shipped| shipped.name).collect();
            let names = names.join(", ");
            Err(Failure::Usage(format!(
                "no program `{name}` ships with rawbpf; there are: {names}"
            )))
        }
    }
}

fn list() -> Result<u8, Failure> {
    let mut out = std::io::stdout().lock();
    for Shipped { name, about, .. } in SHIPPED {
        writeln!(out, "{name:<16} {about}").map_err(output::failed)?;
    }
    Ok(0)
}

fn run_hello(args: &RunArgs) -> Result<u8, Failure> {
    let scene = Scene::new(args)?;
    // Opened and emptied before anything is attached: the buffer is the whole system's, and holds what
    // others left there.
    let mut pipe = TracePipe::open()?;
    pipe.drain_stale()?;
    let links = attach_as_told(&mut loader(), &hello::HELLO, args)?;
    let status = scene.play(links, &mut pipe, |pipe, stage| {
        pipe.read_available(|line| match TraceFields::parse(line) {
            // Others write to the same buffer.
            Some(fields) if fields.message == hello::MESSAGE.as_bytes() => stage.show(&Row {
                time: fields.time_ns,
                comm: &name_of(&fields),
                pid: fields.pid,
                message: fields.message,
            }),
            _ => ControlFlow::Continue(()),
        })
    })?;
    report_lost(pipe.lost(), "lines of the trace buffer");
    Ok(status)
}

/// The name of the task that printed. The tracer knows only those it has seen being scheduled, and calls the
/// others `<...>`; while a task lives, it can be asked.
fn name_of<'a>(fields: &TraceFields<'a>) -> Cow<'a, [u8]> {
    if fields.task != b"<...>" {
        return fields.task.into();
    }
    match std::fs::read(format!("/proc/{}/comm", fields.pid)) {
        Ok(mut name) => {
            name.pop_if(|byte| *byte == b'\n');
            name.into()
        }
        Err(_) => fields.task.into(),
    }
}

fn run_perf_output(args: &RunArgs) -> Result<u8, Failure> {
    const MESSAGE: &[u8] = b"Hello, perf_output!";
    let scene = Scene::new(args)?;
    let mut loader = loader();
    // Before the program runs: what it sends to a CPU without a reader is gone.
    let events = loader.map(&perf_output::EVENTS)?;
    // The loop waits for the descriptor alone, and people want to see each event at once.
    let options = PerfOptions::new().sample_size(Event::SIZE as u32).wakeup(Wakeup::Events(1));
    let mut reader = PerfReader::open(events, &options)?;
    let links = attach_as_told(&mut loader, &perf_output::PERF_OUTPUT, args)?;
    let mut first = None;
    let status = scene.play(links, &mut reader, |reader, stage| {
        reader.drain(|record| match record {
            Record::Sample { bytes, .. } => match Event::from_bytes(bytes) {
                Some(event) => {
                    // As the tutorial has it, people read times since the first event.
                    let since = match args.format {
                        Format::Text => *first.get_or_insert(event.ts),
                        Format::Json => 0,
                    };
                    stage.show(&Row {
                        time: event.ts.saturating_sub(since),
                        comm: event.comm(),
                        pid: event.pid,
                        message: MESSAGE,
                    })
                }
                None => ControlFlow::Continue(()),
            },
            Record::Lost { cpu, count, .. } => stage.lost(count, cpu),
        })
    })?;
    report_lost(reader.count_lost(), "samples");
    Ok(status)
}

fn report_lost(count: u64, what: &str) {
    if count > 0 {
        eprintln!("rawbpf: {count} {what} were lost: the kernel had no room for them");
    }
}

/// Attaches to the targets of the arguments, or else to all calls that fork.
fn attach_as_told<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a>,
    args: &RunArgs,
) -> Result<Vec<Link>, Failure> {
    if args.attach.is_empty() {
        let attached = forks::attach(loader, spec)?;
        if let Some(why) = attached.instead_of_kprobes {
            eprintln!("rawbpf: {why}; using the tracepoints of the system calls");
        }
        return Ok(attached.links);
    }
    let mut programs: Vec<Program> = Vec::new();
    let mut links = Vec::new();
    for target in &args.attach {
        let kind = target.program_type();
        let program = match programs.iter().find(|program| program.kind() == kind) {
            Some(program) => program,
            None => {
                programs.push(loader.load(&spec.with_kind(kind))?);
                &programs[programs.len() - 1]
            }
        };
        links.push(attach::attach(program, target)?);
    }
    Ok(links)
}

/// What surrounds a run: signals, the command, and when it is to end.
struct Scene<'a> {
    args: &'a RunArgs,
    signals: Signals,
    waiting: Option<Waiting>,
}

impl<'a> Scene<'a> {
    fn new(args: &'a RunArgs) -> Result<Self, Failure> {
        let signals = Signals::block()?;
        let waiting = match args.command.as_slice() {
            [] => None,
            command => Some(Waiting::new(command)?),
        };
        Ok(Scene { args, signals, waiting })
    }

    /// Lets the command begin and prints what `read` finds in `source`, until the command has ended, enough
    /// was shown, the time is over or somebody asks for the end. The exit status.
    fn play<S: AsFd>(
        self,
        links: Vec<Link>,
        source: &mut S,
        read: impl FnMut(&mut S, &mut Stage) -> Result<usize, Error>,
    ) -> Result<u8, Failure> {
        let Scene { args, signals, waiting } = self;
        let mut stage = Stage::new(args)?;
        let mut running = waiting.map(Waiting::release).transpose()?;
        let ended =
            show_until_the_end(args, &signals, &mut running, &mut stage, links, source, read);
        match ended {
            Ok(Some(status)) => Ok(status),
            ended => {
                if let Some(running) = running {
                    running.stop();
                }
                ended.map(|_| 0)
            }
        }
    }
}

/// The loop of a run. The exit status of the command, if that is what ended it.
fn show_until_the_end<S: AsFd>(
    args: &RunArgs,
    signals: &Signals,
    running: &mut Option<Running>,
    stage: &mut Stage,
    links: Vec<Link>,
    source: &mut S,
    mut read: impl FnMut(&mut S, &mut Stage) -> Result<usize, Error>,
) -> Result<Option<u8>, Failure> {
    let deadline = args.duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut links = Some(links);
    let mut status = None;
    loop {
        wait(source.as_fd(), signals.as_fd(), deadline)?;
        let mut last = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        while let Some(event) = signals.next() {
            match event {
                SignalEvent::Stop => last = true,
                SignalEvent::Child => {
                    status = running.as_mut().and_then(Running::ended);
                    last |= status.is_some();
                }
            }
        }
        if last {
            // Nothing comes after this, so that what is there can be read to its end.
            links = None;
        }
        read(source, stage)?;
        stage.settle()?;
        if last || stage.is_full() {
            drop(links);
            return Ok(status);
        }
    }
}

/// Waits until there is something to read, or a signal, or the deadline has come.
fn wait(
    source: BorrowedFd<'_>,
    signals: BorrowedFd<'_>,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let timeout = match deadline {
        None => PollTimeout::NONE,
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            // Up to the next whole millisecond, and a long time in several parts.
            let left = Duration::from_millis(left.as_nanos().div_ceil(1_000_000) as u64);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        }
    };
    let mut fds = [source, signals].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(errno) => Err(Failure::Other(format!("cannot wait for events: {errno}"))),
    }
}

/// Where events are shown, as many as were asked for.
struct Stage {
    output: Output,
    left: Option<u64>,
    problem: Option<Failure>,
}

impl Stage {
    fn new(args: &RunArgs) -> Result<Stage, Failure> {
        Ok(Stage { output: Output::new(args.format)?, left: args.count, problem: None })
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Shows an event; breaks off when it was the last one, or could not be shown.
    fn show(&mut self, row: &Row<'_>) -> ControlFlow<()> {
        if self.is_full() {
            return ControlFlow::Break(());
        }
        if let Err(problem) = self.output.row(row) {
            self.problem = Some(problem);
            return ControlFlow::Break(());
        }
        self.left = self.left.map(|left| left - 1);
        if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn lost(&mut self, count: u64, cpu: u32) -> ControlFlow<()> {
        match self.output.lost(count, cpu) {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => {
                self.problem = Some(problem);
                ControlFlow::Break(())
            }
        }
    }

    /// Makes a batch visible, or tells what went wrong in it.
    fn settle(&mut self) -> Result<(), Failure> {
        match self.problem.take() {
            Some(problem) => Err(problem),
            None => self.output.flush(),
        }
    }
}
