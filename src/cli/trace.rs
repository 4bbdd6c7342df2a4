//! `rawbpf trace`: the programs of a text, attached; what they report, and what is in their maps at the end.

use super::asm::{on_the_command_line, read_bytes};
use super::contents::{RULES, contents};
use super::losses::{SilentCpus, report_lost_lines, report_lost_samples, report_switched_off};
use super::output::Sample;
use super::run::row_of;
use super::session::{Attached, Limits, ROWS, Reading, SAMPLES, Session, Source, Stage};
use super::stacks::{Owners, is_stacks};
use super::stdio::{print, warn};
use super::text::Text;
use super::{Failure, loader, uprobes, words};
use crate::asm::{Collection, CollectionProgram, Section, helper_number};
use crate::attach::{self, Options, Target};
use crate::error::Error;
use crate::insn::Insn;
use crate::map::Map;
use crate::perf::{PerfOptions, PerfReader, Record, Wakeup};
use crate::program::{Loader, TextSpec};
use crate::ringbuf::RingBufReader;
use crate::spec::ProgramSpec;
use crate::trace_pipe::{TraceFields, TracePipe};
use crate::uapi::MapType;
use crate::util::escape;
use clap::Args;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    override_usage = "rawbpf trace [OPTIONS] [[PROGRAM=]TARGET]... FILE [-- <COMMAND>...]
       rawbpf trace [OPTIONS] [[PROGRAM=]TARGET]... -e TEXT [-- <COMMAND>...]",
    after_help = AFTER_HELP.as_str(),
)]
pub(super) struct TraceArgs {
    /// Targets to attach to, and the text or object last, - for standard input; several objects (FILE.o) are linked, as
    /// `bpftool gen object` links them. Programs that no TARGET is for go where
    /// the text says, as in `.program look, kprobe/sys_clone`. In a text of several programs write PROGRAM=TARGET
    #[arg(required_unless_present = "expression", value_name = "TARGET|FILE", value_parser = words::any())]
    words: Vec<String>,

    /// Read TEXT instead of a file; statements end with a line break or ;
    #[arg(short = 'e', value_name = "TEXT", value_parser = words::any())]
    expression: Option<String>,

    /// Only in this process: uprobes, USDT probes, perf events
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// Value that get_attach_cookie returns to the programs
    #[arg(long, value_name = "N")]
    cookie: Option<u64>,

    /// Probe all functions of a program or library in every process, if a TARGET says so
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    limits: Limits,
}

static AFTER_HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "Printed are the lines of trace_printk, if a program calls it (the trace buffer is the whole system's: those of \
         other programs are among them), and what arrives in perf event arrays and ring buffers. The kernel fills samples \
         of perf event arrays up to a multiple of 8 bytes less 4, and notes their times by CLOCK_MONOTONIC, which bpf_ktime_get_ns \
         gives, too; those of ring buffers have none. When the run ends, the maps follow.\n\n{RULES}"
    )
});

/// Attaches what the arguments name, and prints; the exit status.
pub(super) fn trace(args: &TraceArgs) -> Result<u8, Failure> {
    let (files, words) = match (&args.expression, args.words.split_last()) {
        (Some(text), _) => (vec![on_the_command_line(text)], args.words.as_slice()),
        (None, Some((last, before))) => {
            // `uprobe:./plugin.o` and `PROGRAM=…` are targets.
            let is_object = |word: &&String| {
                word.ends_with(".o") && !word.contains('=') && word.parse::<Target>().is_err()
            };
            let objects = before.iter().rev().take_while(is_object).count();
            let objects = if last.ends_with(".o") { objects } else { 0 };
            let (words, files) = args.words.split_at(before.len() - objects);
            let read = files.iter().map(|file| read_bytes(&escape::path(file)));
            (read.collect::<Result<_, _>>()?, words)
        }
        (None, None) => return Err(Failure::Usage("the text is missing".into())),
    };
    let text = Text::of(files)?;
    let module = text.parse()?;
    let specs = text.specs(&module)?;
    let places = places(&module, words)?;
    places.iter().try_for_each(|(_, target)| uprobes::check(target, args.pid, args.yes))?;

    let session = Session::new(&args.limits, args.pid)?;
    let mut pipe = if module.programs().iter().any(|program| prints(program.slots())) {
        Some(lines()?)
    } else {
        None
    };
    // Before the programs run: records that they send before there is a reader are lost.
    let mut loader = loader();
    let mut maps = Vec::new();
    for spec in module.maps().iter().filter(|spec| spec.autocreate) {
        maps.push(loader.map(spec)?.clone());
    }
    let (mut perf, mut rings) = readers(&maps)?;
    // The data of the text are the same for all of its programs.
    if let Some(spec) = specs.first() {
        let code = spec.code();
        for section in [Section::Data, Section::Bss] {
            if !code.data.section(section).is_empty() {
                maps.push(loader.section(&code, section)?.clone());
            }
        }
    }

    let mut owners = Owners::default();
    if maps.iter().any(is_stacks) {
        session.pid().into_iter().chain(args.pid).for_each(|pid| owners.watch(pid));
    }
    let attached = attach_all(&mut loader, &specs, &places, args)?;
    if let Some(pid) = args.pid {
        warn_of_unmapped(places.iter().map(|(_, target)| target), pid);
    }
    let off = pipe.as_ref().is_some_and(|pipe| report_switched_off(&pipe.reader));
    let mut headings = Vec::new();
    let mut sources: Vec<&mut dyn Source> = Vec::new();
    if let Some(pipe) = &mut pipe {
        headings.push(ROWS);
        sources.push(pipe);
    }
    if !perf.is_empty() || !rings.is_empty() {
        headings.push(SAMPLES);
    }
    sources.extend(perf.iter_mut().map(|reader| reader as &mut dyn Source));
    sources.extend(rings.iter_mut().map(|reader| reader as &mut dyn Source));
    sources.push(&mut owners);
    let status = session.play(attached, &headings, &mut sources)?;

    if let Some(pipe) = &pipe {
        report_lost_lines(&pipe.reader, off);
    }
    for perf in &mut perf {
        report_lost_samples(&mut perf.reader, &format!("samples of {}", perf.name));
    }
    let mut out = String::new();
    for map in &maps {
        out += &contents(map, &maps, &owners, args.limits.format)?;
    }
    print(&out)?;
    if maps.iter().any(|map| is_stacks(map) && map.keys().next().is_none()) {
        let of_one_call = |(_, target): &Placed| matches!(target, Target::Tracepoint { category, .. } if category == "syscalls");
        if places.iter().any(of_one_call) {
            warn(NO_STACK);
        }
    }
    Ok(status)
}

/// A possible cause if there are no stacks at the tracepoint of a system call.
const NO_STACK: &str = "before Linux 6.12 get_stackid has no stack of the kernel at the tracepoints of single system \
    calls and answers -EFAULT; at tracepoint:raw_syscalls/sys_enter, for all calls, it has one";

/// A program of the text, by its place there, and what it is attached to.
type Placed = (usize, Target);

/// The target of each program: the one that the arguments name, or else the one in the text.
fn places(module: &Collection<'_>, words: &[String]) -> Result<Vec<Placed>, Failure> {
    let programs = module.programs();
    let mut places = Vec::new();
    for word in words {
        let named = word.split_once('=').and_then(|(name, target)| {
            let index = programs.iter().position(|program| program.name() == name)?;
            Some((index, target))
        });
        let shown = escape::shown(word);
        let (index, target) = match (named, programs) {
            (Some(named), _) => named,
            (None, [_]) => (0, word.as_str()),
            (None, _) => {
                let names: Vec<_> = programs.iter().map(CollectionProgram::name).collect();
                return Err(Failure::Usage(format!(
                    "which program is for `{shown}`? Write PROGRAM={shown}; the programs are {}",
                    names.join(", ")
                )));
            }
        };
        places.push((index, target_of(target)?));
    }
    for (index, program) in programs.iter().enumerate() {
        if places.iter().all(|(placed, _)| *placed != index) {
            places.push((index, own_target(program)?));
        }
    }
    Ok(places)
}

fn target_of(text: &str) -> Result<Target, Failure> {
    let target: Target = text.parse().map_err(|error: Error| Failure::Usage(error.to_string()))?;
    // It runs when its file is read, and not when something happens.
    if matches!(target.plain(), Target::Iter { .. }) {
        return Err(Failure::Usage(format!(
            "`{}` is an iterator: nothing happens there that could be traced",
            escape::shown(text)
        )));
    }
    Ok(target)
}

/// The target that the text gives a program: `kprobe/sys_clone` in `.program look, kprobe/sys_clone`.
fn own_target(program: &CollectionProgram<'_>) -> Result<Target, Failure> {
    let name = program.name();
    let Some(target) = program.target() else {
        return Err(Failure::Usage(format!(
            "the text does not say what program `{name}` is attached to: say TARGET, or `.program {name}, kprobe/…`"
        )));
    };
    target_of(target)
}

fn attach_all<'a>(
    loader: &mut Loader<'a>,
    specs: &'a [TextSpec<'_>],
    places: &'a [Placed],
    args: &TraceArgs,
) -> Result<Attached, Failure> {
    let mut options = Options::new();
    if let Some(pid) = args.pid {
        options = options.pid(pid);
    }
    if let Some(cookie) = args.cookie {
        options = options.cookie(cookie);
    }
    let mut attached = Attached::default();
    for (index, target) in places {
        let Some(spec) = specs.get(*index) else { continue };
        let expected = target.program_type();
        if let Some(kind) = spec.kind().filter(|kind| *kind != expected) {
            return Err(Failure::Usage(format!(
                "cannot attach program `{}` to {target}: the text says that its type is {kind}, expected {expected}",
                spec.name()
            )));
        }
        let spec: ProgramSpec<'a, 'a> = spec.program(expected);
        let (program, link) = attach::load_and_attach_with(loader, &spec, target, &options)?;
        if matches!(target.plain(), Target::PerfEvent { .. }) && link.skipped() > 0 {
            let cpus = link.skipped();
            warn(format_args!(
                "{}: {cpus} CPUs have no such event (ENODEV): what happens there is not seen",
                escape::shown(&target.to_string())
            ));
        }
        attached.programs.push(program);
        attached.links.push(link);
    }
    Ok(attached)
}

/// Warns of files that are probed in a process which does not map them.
fn warn_of_unmapped<'t>(targets: impl Iterator<Item = &'t Target>, pid: u32) {
    let mut warned = Vec::new();
    for target in targets {
        let Some(file) = target.unmapped_file(pid) else { continue };
        if !warned.contains(&file) {
            warn(format_args!(
                "process {pid} does not map {}: no event of {} comes until it does",
                escape::shown_path(&file),
                escape::shown(&target.to_string())
            ));
            warned.push(file);
        }
    }
}

/// Whether one of the instructions calls a helper that prints to the trace buffer.
fn prints(slots: &[Insn]) -> bool {
    /// `BPF_JMP | BPF_CALL`, with 0 for the source register: a helper by its number (RFC 9669, 4.3).
    const CALL: u8 = 0x85;
    let helpers: [&[u8]; 2] = [b"trace_printk", b"trace_vprintk"];
    let numbers = helpers.map(helper_number);
    slots
        .iter()
        .any(|slot| slot.opcode() == CALL && slot.src() == 0 && numbers.contains(&Some(slot.imm())))
}

type ReadLines = fn(&mut TracePipe, &mut Stage) -> Result<usize, Error>;

/// The reader of the trace buffer, emptied of what others have left there.
fn lines() -> Result<Reading<TracePipe, ReadLines>, Failure> {
    let mut pipe = TracePipe::open()?;
    pipe.drain_stale()?;
    let read: ReadLines = |pipe, stage| {
        pipe.read_available(|line| match TraceFields::parse(line) {
            Some(fields) if fields.function == Some("bpf_trace_printk") => {
                stage.show(&row_of(&fields))
            }
            // Of another tracer.
            Some(_) => ControlFlow::Continue(()),
            // After a line break in a message.
            None => stage.more(line),
        })
    };
    Ok(Reading { reader: pipe, read, every: None })
}

/// The longest time that a sample may wait for which there was no wake-up.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// The samples that programs send through a perf event array.
struct Perf {
    name: String,
    reader: PerfReader,
    silent: SilentCpus,
}

impl Source for Perf {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.reader.as_fd())
    }

    fn read(&mut self, stage: &mut Stage) -> Result<(), Error> {
        let map = &self.name;
        let what = format!("samples of {map}");
        let read = self.silent.read(&mut self.reader, &what, |record| match record {
            Record::Sample { cpu, time_ns: time, bytes } => {
                stage.sample(&Sample { time, map, cpu: Some(cpu), bytes })
            }
            Record::Lost { cpu, count, .. } => stage.lost(count, cpu),
        });
        read.map(|_| ())
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }
}

/// The samples that programs send through a ring buffer.
struct Ring {
    name: String,
    reader: RingBufReader,
}

impl Source for Ring {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.reader.as_fd())
    }

    fn read(&mut self, stage: &mut Stage) -> Result<(), Error> {
        let map = &self.name;
        let read = self.reader.drain(|record| {
            stage.sample(&Sample { time: None, map, cpu: None, bytes: record.bytes })
        });
        read.map(|_| ())
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }
}

fn readers(maps: &[Map]) -> Result<(Vec<Perf>, Vec<Ring>), Failure> {
    let (mut perf, mut rings) = (Vec::new(), Vec::new());
    for map in maps {
        let name = map.name().to_owned();
        match map.kind() {
            MapType::PerfEventArray => {
                // The loop waits for the descriptor alone, and each sample is to be shown at once.
                let options = PerfOptions::new().wakeup(Wakeup::Events(1)).time();
                let reader = PerfReader::open(map, &options)?;
                perf.push(Perf { name, reader, silent: SilentCpus::default() });
            }
            MapType::RingBuf => rings.push(Ring { name, reader: RingBufReader::open(map)? }),
            _ => {}
        }
    }
    Ok((perf, rings))
}
