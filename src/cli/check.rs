//! `rawbpf check`: asks the kernel's verifier about the programs of a text.

use super::stdio::{self, print};
use super::text::TextArgs;
use super::{Failure, Format, log_level};
use crate::error::{Error, ErrorKind};
use crate::program::{Loader, TextSpec};
use crate::spec::Collection;
use crate::uapi::ProgramType;
use crate::uapi::flags::{Known, OF_MAPS, OF_PROGRAMS, strange};
use crate::util::{escape, excerpt};
use crate::verifier::{Statistics, VerifierError, VerifierLog};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    text: TextArgs,

    /// Show the verifier's log: 1 the way to a rejection, 2 every way and all states [default: RAWBPF_LOG's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    log: Option<u32>,

    /// Format of the verdicts
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The result for one program.
enum Verdict {
    Accepted {
        slots: usize,
        log: String,
    },
    Rejected(Box<VerifierError>),
    /// It did not come to the verifier.
    Refused(Error),
}

/// Asks about every program in what the arguments name.
pub(super) fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let text = args.text.read()?;
    let module = text.parse()?;
    let specs = text.specs(&module)?;
    warn_of_flags(&module, &specs);
    let level = args.log.or_else(log_level);
    let mut loader = Loader::new().log_level(level.unwrap_or(0));
    let show_log = level.is_some();
    let mut status = 0;
    for spec in &specs {
        let verdict = ask(&mut loader, spec, args)?;
        let line = match args.format {
            Format::Text => in_words(spec, &verdict, show_log),
            Format::Json => in_json(spec, &verdict, show_log).to_string() + "\n",
        };
        print(&line)?;
        // The first failure determines the exit status.
        let one = match &verdict {
            Verdict::Accepted { .. } => 0,
            Verdict::Rejected(_) => 1,
            Verdict::Refused(error) => match error.kind() {
                ErrorKind::Failed => 1,
                ErrorKind::Unsupported => 3,
                ErrorKind::NotPermitted => 4,
            },
        };
        status = if status == 0 { one } else { status };
    }
    Ok(status)
}

/// Warns of flags that no kernel has which is known here: the kernel decides, but they may be mistakes.
fn warn_of_flags(module: &Collection<'_>, specs: &[TextSpec<'_>]) {
    let warn = |subject: String, flags, known: &[Known]| {
        if let Some(strange) = strange(flags, known) {
            stdio::warn(format_args!("{subject}: flags {strange}: no kernel known here has them"));
        }
    };
    for map in module.maps() {
        warn(
            format!("map `{}` ({})", escape::shown(map.name), map.kind),
            map.flags.bits(),
            &OF_MAPS,
        );
    }
    for spec in specs {
        // The type has no part in it, and its own flags are known.
        let flags = spec.program(spec.kind().unwrap_or(ProgramType::SocketFilter)).flags;
        warn(format!("program `{}`", escape::shown(spec.name())), flags.bits(), &OF_PROGRAMS);
    }
}

fn ask<'a>(
    loader: &mut Loader<'a>,
    spec: &'a TextSpec<'a>,
    args: &CheckArgs,
) -> Result<Verdict, Failure> {
    let program = args.text.program(spec)?;
    Ok(match loader.load_with_log(&program) {
        Ok((_, log)) => Verdict::Accepted { slots: spec.code().slots.len(), log },
        Err(error) => match error.into_verifier() {
            Ok(verdict) => Verdict::Rejected(verdict),
            Err(error) => Verdict::Refused(error),
        },
    })
}

fn in_words(spec: &TextSpec<'_>, verdict: &Verdict, show_log: bool) -> String {
    let name = spec.name();
    let (mut text, log) = match verdict {
        Verdict::Accepted { slots, log } => {
            let figures = figures(&VerifierLog::new(log).statistics());
            (format!("{name}: accepted ({slots} slots{figures})\n"), log.as_str())
        }
        Verdict::Rejected(error) => (diagnosis(spec, error), error.log()),
        Verdict::Refused(error) => (format!("{name}: {error}\n"), ""),
    };
    if show_log && !log.is_empty() {
        let _ = writeln!(text, "{}", log.trim_end());
    }
    text
}

/// The figures of a log, each with a comma before it.
fn figures(statistics: &Statistics) -> String {
    let Statistics { processed, total_states, peak_states, verification_time, .. } = statistics;
    let mut text = String::new();
    for (number, what) in [
        (processed, "instructions verified"),
        (total_states, "states"),
        (peak_states, "peak states"),
        (verification_time, "µs"),
    ] {
        if let Some(number) = number {
            let _ = write!(text, ", {number} {what}");
        }
    }
    if !statistics.stack_depth.is_empty() {
        let depths: Vec<_> = statistics.stack_depth.iter().map(u32::to_string).collect();
        let _ = write!(text, ", {} bytes of stack", depths.join("+"));
    }
    text
}

/// A rejection as the assembler shows a mistake: the line, with a mark under the statement.
fn diagnosis(spec: &TextSpec<'_>, error: &VerifierError) -> String {
    let code = spec.code();
    let mut text = format!("{}: rejected: {}\n", spec.name(), error.cause());
    let margin = match error.instruction().and_then(|slot| code.line_of(slot)) {
        Some(piece) => {
            let (start, end) = (piece.start as usize, piece.end as usize);
            let before = code.text.get(..start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let rest = code.text.get(line_start..).unwrap_or_default();
            let column = before.get(line_start..).unwrap_or_default().chars().count();
            let marked = code.text.get(start..end).unwrap_or_default();
            let width = marked.lines().next().unwrap_or_default().chars().count();
            let line = rest.lines().next().unwrap_or_default();
            let (shown, marks) = excerpt::excerpt(line, column..column + width, '^', 1);
            let line = error.line();
            let margin = line.to_string().len();
            let place = format!("{}:{line}:{}", escape::shown(error.file()), column + 1);
            let instruction = error.instruction().unwrap_or_default();
            let _ = writeln!(text, "{:margin$}--> {place} (instruction {instruction})", "");
            let _ = writeln!(text, "{:margin$} |", "");
            let _ = writeln!(text, "{line} | {shown}");
            let _ = writeln!(text, "{:margin$} | {marks}", "");
            margin
        }
        None => {
            let _ = writeln!(text, " --> {}", escape::shown(error.file()));
            1
        }
    };
    // The cause stands at the top.
    for line in error.details().skip(1) {
        let _ = writeln!(text, "{:margin$} = {line}", "");
    }
    text
}

fn in_json(spec: &TextSpec<'_>, verdict: &Verdict, show_log: bool) -> Value {
    let (mut object, log) = match verdict {
        Verdict::Accepted { slots, log } => {
            let statistics = VerifierLog::new(log).statistics();
            let object = json!({
                "program": spec.name(), "verdict": "accepted", "slots": slots,
                "instructions_verified": statistics.processed, "limit": statistics.limit,
                "max_states_per_insn": statistics.max_states_per_insn,
                "total_states": statistics.total_states, "peak_states": statistics.peak_states,
                "mark_read": statistics.mark_read,
                "verification_time_us": statistics.verification_time,
                "stack_depth": statistics.stack_depth,
            });
            (object, log.as_str())
        }
        Verdict::Rejected(error) => {
            let object = json!({
                "program": spec.name(), "verdict": "rejected", "cause": error.cause(),
                "file": error.file(), "line": error.instruction().map(|_| error.line()),
                "instruction": error.instruction(), "statement": error.statement(),
                "known": error.known(), "notes": error.notes(), "reason": error.reason(),
                "suggestion": error.suggestion(),
                "advice": error.advice().map(|advice| advice.text.as_ref()),
                "advice_key": error.advice().map(|advice| advice.key),
                "errno": error.errno().name(),
            });
            (object, error.log())
        }
        Verdict::Refused(error) => {
            let object = json!({
                "program": spec.name(), "verdict": "refused", "error": error.to_string(),
            });
            (object, "")
        }
    };
    if let (true, Some(fields)) = (show_log, object.as_object_mut()) {
        fields.insert("log".into(), log.into());
    }
    object
}
