//! `rawbpf exec`: runs a program once in the kernel, without attaching it.

use super::asm::MOST_INPUT;
use super::disasm::{is_hex, parse_hex, slots};
use super::stdio::{print, read_within};
use super::text::{ELF, TextArgs};
use super::{Failure, Format, loader, words};
use crate::asm::Code;
use crate::insn::ByteOrder;
use crate::program::{Loader, TestRunOptions, TestRunOutput, takes_packet};
use crate::spec::ProgramSpec;
use crate::uapi::ProgramType;
use crate::util::escape;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;

#[derive(Debug, Args)]
#[command(
    after_help = "FILE is assembly text, an object, or bytes of instructions, raw or in hexadecimal as asm writes them. A \
    program whose type nobody says is a socket_filter."
)]
pub(super) struct ExecArgs {
    #[command(flatten)]
    text: TextArgs,

    /// The program to run, if the text has several
    #[arg(long, value_name = "NAME", value_parser = words::any())]
    program: Option<String>,

    /// The packet, in hexadecimal or from a file; 14 bytes of Ethernet header come first [default: 64 zeros]
    #[arg(long, value_name = "HEX|@FILE", value_parser = words::by(bytes))]
    data: Option<Bytes>,

    /// The context, in hexadecimal or from a file: the struct that the type of program has
    #[arg(long, value_name = "HEX|@FILE", value_parser = words::by(bytes))]
    ctx: Option<Bytes>,

    /// Run it N times, and print the mean time; the last run is the one whose results are printed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,

    /// Run it on this CPU (raw_tracepoint alone)
    #[arg(long, value_name = "N")]
    cpu: Option<u32>,

    /// Format of the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Bytes of the command line.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

/// `HEX` or `@FILE`.
fn bytes(text: &str) -> Result<Bytes, String> {
    match text.strip_prefix('@') {
        Some(path) => {
            let failed = |error| format!("cannot read {}: {error}", escape::shown(path));
            let file = fs::File::open(escape::path(path));
            file.and_then(|file| read_within(file, MOST_INPUT)).map(Bytes).map_err(failed)
        }
        None => parse_hex(text).map(Bytes).map_err(|(_, what)| what),
    }
}

/// Runs what the arguments name.
pub(super) fn exec(args: &ExecArgs) -> Result<u8, Failure> {
    let (file, bytes) = args.text.input.read()?;
    // A program ends with 0x95, which is no UTF-8 where it stands.
    let (hex, raw) = (is_hex(&bytes), std::str::from_utf8(&bytes).is_err());
    if hex || raw && !bytes.starts_with(ELF) {
        let slots = slots(&file, &bytes, hex, ByteOrder::NATIVE)?;
        let kind = args.text.kind.unwrap_or(ProgramType::SocketFilter);
        let mut spec = ProgramSpec::new("main", kind, Code::from_slots(&slots, &file));
        spec.attach_type = args.text.attach_type;
        return run(args, &mut loader(), &spec);
    }
    let text = args.text.text(file, bytes)?;
    let module = text.parse()?;
    let specs = text.specs(&module)?;
    let names = || specs.iter().map(|spec| spec.name()).collect::<Vec<_>>().join(", ");
    let spec = match (&args.program, &specs[..]) {
        (None, [only]) => only,
        (None, _) => {
            let what = format!(
                "{} holds several programs: say --program, one of {}",
                escape::shown(module.file()),
                names()
            );
            return Err(Failure::Usage(what));
        }
        (Some(name), specs) => specs.iter().find(|spec| spec.name() == name).ok_or_else(|| {
            Failure::Usage(format!(
                "{} holds no program `{}`, but {}",
                escape::shown(module.file()),
                escape::shown(name),
                names()
            ))
        })?,
    };
    let kind = args.text.kind.or_else(|| spec.kind()).unwrap_or(ProgramType::SocketFilter);
    let mut program = spec.program(kind);
    program.attach_type = args.text.attach_type.or(program.attach_type);
    run(args, &mut loader(), &program)
}

fn run<'a>(
    args: &ExecArgs,
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
) -> Result<u8, Failure> {
    let program = loader.load(spec)?;
    let frame = if takes_packet(spec.kind) { &[0; 64][..] } else { &[] };
    let data = args.data.as_ref().map_or(frame, |data| &data.0);
    let context = args.ctx.as_ref().map_or(&[][..], |context| &context.0);
    let mut options =
        TestRunOptions::new().data(data).context(context).repeat(args.repeat.unwrap_or(0));
    if let Some(cpu) = args.cpu {
        options = options.cpu(cpu);
    }
    let done = program.test_run_with(&options)?;
    let report = match args.format {
        Format::Text => in_words(args, &done, data, context),
        Format::Json => in_json(args, &done, spec) + "\n",
    };
    print(&report)?;
    Ok(0)
}

fn in_words(args: &ExecArgs, done: &TestRunOutput, data: &[u8], context: &[u8]) -> String {
    let returned = done.returned;
    let mut text = format!("r0 = {returned} ({returned:#x}");
    if returned.cast_signed() < 0 {
        let _ = write!(text, ", {}", returned.cast_signed());
    }
    text.push_str(")\n");
    if let Some(time) = measured(done) {
        let _ = match args.repeat {
            None | Some(1) => writeln!(text, "{time} ns"),
            Some(times) => writeln!(text, "{time} ns a run, the mean of {times}"),
        };
    }
    if !done.data.is_empty() && done.data != data {
        dump(&mut text, "data", &done.data, done.data_len);
    }
    // The kernel gives back more than it was given, with what it has put there itself.
    if !context.is_empty() && done.context.get(..context.len()) != Some(context) {
        dump(&mut text, "context", &done.context, done.context_len);
    }
    text
}

/// The time of a run, where it was measured.
fn measured(done: &TestRunOutput) -> Option<u128> {
    Some(done.time.as_nanos()).filter(|time| *time > 0)
}

/// Sixteen bytes a line, after their offset.
fn dump(out: &mut String, what: &str, bytes: &[u8], len: usize) {
    let _ = writeln!(out, "{what}, {len} bytes:");
    for (index, line) in bytes.chunks(16).enumerate() {
        let _ = writeln!(out, "  {:04x}  {}", index * 16, hex(line, " "));
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

fn in_json(args: &ExecArgs, done: &TestRunOutput, spec: &ProgramSpec<'_, '_>) -> String {
    let back = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex(bytes, ""));
    json!({
        "program": spec.name,
        "type": spec.kind.name(),
        "r0": done.returned,
        "time_ns": measured(done).and_then(|time| u64::try_from(time).ok()),
        "repeat": args.repeat.unwrap_or(1),
        "data": back(&done.data),
        "context": back(&done.context),
    })
    .to_string()
}
