//! `rawbpf run`: a program that ships, attached, its reports printed until something ends it.

use super::losses::{
    self, SilentCpus, report_lost_lines, report_lost_samples, report_switched_off,
};
use super::output::Row;
use super::session::{Attached, ROWS, Reading, Session, Stage};
use super::stdio::{print, warn};
use super::{Failure, Format, RunArgs, loader};
use crate::attach;
use crate::perf::{PerfOptions, PerfReader, Record, Wakeup};
use crate::program::Loader;
use crate::progs::perf_output::Event;
use crate::progs::{forks, hello, perf_output};
use crate::spec::ProgramSpec;
use crate::trace_pipe::{TraceFields, TracePipe};
use crate::util::escape;
use std::borrow::Cow;
use std::ops::ControlFlow;

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
                "no program `{}` ships with rawbpf; there are: {names}",
                escape::shown(name)
            )))
        }
    }
}

fn list() -> Result<u8, Failure> {
    let line = |Shipped { name, about, .. }| format!("{name:<16} {about}\n");
    print(&SHIPPED.map(line).concat())?;
    Ok(0)
}

fn run_hello(args: &RunArgs) -> Result<u8, Failure> {
    let session = Session::new(&args.limits, None)?;
    // Opened before anything is attached, and emptied: if it is the buffer of the whole system, it holds what others left
    // there.
    let mut pipe = TracePipe::open()?;
    pipe.drain_stale()?;
    let attached = attach_as_told(&mut loader(), &hello::HELLO, args)?;
    let mut pipe = Reading {
        reader: pipe,
        read: |pipe: &mut TracePipe, stage: &mut Stage| {
            pipe.read_available(|line| match TraceFields::parse(line) {
                // Programs of others print too.
                Some(fields) if fields.message == hello::MESSAGE.as_bytes() => {
                    stage.show(&row_of(&fields))
                }
                _ => ControlFlow::Continue(()),
            })
        },
        every: None,
    };
    let off = report_switched_off(&pipe.reader);
    let status = session.play(attached, &[ROWS], &mut [&mut pipe])?;
    report_lost_lines(&pipe.reader, off);
    Ok(status)
}

/// A line of the trace as an event.
pub(super) fn row_of<'a>(fields: &TraceFields<'a>) -> Row<'a> {
    Row { time: fields.time_ns, comm: name_of(fields), pid: fields.pid, message: fields.message }
}

/// The name of the task that printed. The tracer has only the names of tasks that it has seen being scheduled, and
/// prints the others as `<...>`; while a task lives, `/proc` has it.
fn name_of<'a>(fields: &TraceFields<'a>) -> Cow<'a, [u8]> {
    if fields.task != b"<...>" {
        return fields.task.into();
    }
    match crate::util::file::read(format!("/proc/{}/comm", fields.pid)) {
        Ok(mut name) => {
            name.pop_if(|byte| *byte == b'\n');
            name.into()
        }
        Err(_) => fields.task.into(),
    }
}

fn run_perf_output(args: &RunArgs) -> Result<u8, Failure> {
    const MESSAGE: &[u8] = b"Hello, perf_output!";
    let session = Session::new(&args.limits, None)?;
    let mut loader = loader();
    // Before the program runs: what it sends to a CPU without a reader is gone.
    let events = loader.map(&perf_output::EVENTS)?;
    // The loop waits for the descriptor alone, and each event is to be shown at once.
    let options = PerfOptions::new().sample_size(Event::SIZE).wakeup(Wakeup::Events(1));
    let reader = PerfReader::open(events, &options)?;
    let attached = attach_as_told(&mut loader, &perf_output::PERF_OUTPUT, args)?;
    let (mut first, mut silent) = (None, SilentCpus::default());
    let mut reading = Reading {
        reader,
        read: |reader: &mut PerfReader, stage: &mut Stage| {
            silent.read(reader, "samples", |record| match record {
                Record::Sample { bytes, .. } => match Event::from_bytes(bytes) {
                    Some(event) => {
                        // As the tutorial has it, people read times since the first event.
                        let since = match args.limits.format {
                            Format::Text => *first.get_or_insert(event.ts),
                            Format::Json => 0,
                        };
                        stage.show(&Row {
                            time: event.ts.saturating_sub(since),
                            comm: event.comm().into(),
                            pid: event.pid,
                            message: MESSAGE,
                        })
                    }
                    None => ControlFlow::Continue(()),
                },
                Record::Lost { cpu, count, .. } => stage.lost(count, cpu),
            })
        },
        every: Some(losses::CPUS),
    };
    let status = session.play(attached, &[ROWS], &mut [&mut reading])?;
    report_lost_samples(&mut reading.reader, "samples");
    Ok(status)
}

/// Attaches to the targets of the arguments, or else to all calls that fork.
fn attach_as_told<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    args: &'a RunArgs,
) -> Result<Attached, Failure> {
    if args.attach.is_empty() {
        let attached = forks::attach(loader, spec)?;
        if let Some(why) = attached.instead_of_kprobes {
            warn(format_args!("{why}; using the tracepoints of the system calls"));
        }
        return Ok(Attached { programs: vec![attached.program], links: attached.links });
    }
    let mut attached = Attached::default();
    for target in &args.attach {
        let (program, link) = attach::load_and_attach(loader, spec, target)?;
        attached.programs.push(program);
        attached.links.push(link);
    }
    Ok(attached)
}
