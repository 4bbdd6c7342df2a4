//! `rawbpf features`: what this kernel can do, each row found by asking it.

use super::stdio::print;
use super::{Failure, Format, words};
use crate::error::Error;
use crate::features::{Features, Finding, Group, Probe};
use crate::uapi::ProgramType;
use crate::util::escape;
use crate::util::nearest::{Nearest, OFFERED};
use clap::Args;
use serde_json::json;
use std::fmt::Write;

#[derive(Debug, Args)]
#[command(
    after_help = "PATTERN is a piece of a name or of a group (`ringbuf`, `map_types`); `helpers` or \
                        `helpers:TYPE` lists the helpers one by one. Without it they are counted."
)]
pub(super) struct FeaturesArgs {
    /// Only what has this in its name or group
    #[arg(value_parser = words::any())]
    pattern: Option<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Prints the features that match the arguments. It fails if no probe at all could be made, and reports
/// why.
pub(super) fn features(args: &FeaturesArgs) -> Result<u8, Failure> {
    let features = Features::new();
    let pattern = args.pattern.as_deref().unwrap_or_default();
    let mut out = String::new();
    let mut tally = Tally::default();
    if let Some(of) = pattern.strip_prefix("helpers") {
        for kind in types(of.strip_prefix(':').unwrap_or(of)) {
            for (probe, trace) in Probe::all_helpers(kind) {
                row(&mut out, args.format, probe, tally.find(&features, probe, trace));
            }
        }
    } else {
        let mut group = None;
        let shown = |probe: &Probe| {
            probe.name().contains(pattern) || probe.group().name().contains(pattern)
        };
        for probe in Probe::all().filter(shown) {
            if args.format == Format::Text && group.replace(probe.group()) != Some(probe.group()) {
                heading(&mut out, probe.group());
            }
            row(&mut out, args.format, probe, tally.find(&features, probe, None));
        }
        if pattern.is_empty() {
            counts(&mut out, args.format, &features);
        } else {
            named(&mut out, args.format, pattern, &mut |probe, trace| {
                tally.find(&features, probe, trace)
            });
        }
    }
    if out.is_empty() {
        let mut nearest = Nearest::new(pattern, OFFERED);
        let helpers = Probe::all_helpers(ProgramType::Kprobe).map(|(probe, _)| probe);
        Probe::all().chain(helpers).for_each(|probe| nearest.offer(probe.name()));
        let nearest = match nearest.into_names().as_slice() {
            [] => String::new(),
            names => format!("; the nearest: {}", names.join(", ")),
        };
        return Err(Failure::Usage(format!(
            "nothing that is known here has `{}` in its name{nearest}",
            escape::shown(pattern)
        )));
    }
    print(&out)?;
    match tally.refused {
        Some(error) if !tally.reported => Err(error.into()),
        _ => Ok(0),
    }
}

/// The types of programs of a name, or else those with this in their name.
fn types(name: &str) -> Vec<ProgramType> {
    let all = ProgramType::ALL.iter().copied();
    match all.clone().find(|kind| kind.name() == name) {
        Some(kind) => vec![kind],
        None => all.filter(|kind| kind.name().contains(name)).collect(),
    }
}

/// The result of a probe: whether the feature is there, if that can be determined, and the evidence.
type Found = (Option<bool>, String);

/// The helpers that have this in their name: a row for each, as text, or one for each type of program.
fn named(
    out: &mut String,
    format: Format,
    pattern: &str,
    find: &mut dyn FnMut(Probe, Option<&'static str>) -> Found,
) {
    let matching =
        |kind| Probe::all_helpers(kind).filter(|(probe, _)| probe.name().contains(pattern));
    if format == Format::Json {
        for (probe, trace) in ProgramType::ALL.iter().flat_map(|kind| matching(*kind)) {
            row(out, format, probe, find(probe, trace));
        }
        return;
    }
    let mut begun = false;
    for (first, _) in matching(ProgramType::Kprobe) {
        if !std::mem::replace(&mut begun, true) {
            heading(out, Group::Helpers);
        }
        let mut found: Vec<(ProgramType, Found)> = Vec::new();
        for kind in ProgramType::ALL {
            let probe = matching(*kind).find(|(probe, _)| probe.name() == first.name());
            found.extend(probe.map(|(probe, trace)| (*kind, find(probe, trace))));
        }
        let having = |answer| {
            let has = found.iter().filter(move |(_, (here, _))| *here == answer);
            has.map(|(kind, _)| kind.name()).collect::<Vec<_>>()
        };
        let (yes, unknown) = (having(Some(true)), having(None));
        let here = if yes.is_empty() && !unknown.is_empty() {
            "?"
        } else if yes.is_empty() {
            "no"
        } else {
            "yes"
        };
        let refused = found.iter().find(|(_, (here, _))| here.is_none());
        let how = match (here, refused) {
            ("?", Some((_, (_, how)))) => how.clone(),
            ("yes", _) if yes.len() <= MOST => yes.join(", "),
            _ => format!("{} of {} types of programs", yes.len(), found.len()),
        };
        let _ = writeln!(out, "{:<28} {here:<4} {:<6} {how}", first.name(), first.since());
    }
}

/// The largest number of program types that are listed behind a helper.
const MOST: usize = 6;

fn heading(out: &mut String, group: Group) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ =
        writeln!(out, "{:<28} {:<4} {:<6} FOUND BY", group.name().to_uppercase(), "HERE", "SINCE");
}

/// Whether anything could be found out, and the first error.
#[derive(Default)]
struct Tally {
    reported: bool,
    refused: Option<Error>,
}

impl Tally {
    /// Asks, unless that leaves a trace, notes whether it was found out, and gives what is to be printed.
    fn find(&mut self, features: &Features, probe: Probe, trace: Option<&str>) -> Found {
        if let Some(trace) = trace {
            return (None, format!("not asked: {trace}"));
        }
        let Finding { has, found, .. } = features.find(probe);
        match has {
            Ok(here) => {
                self.reported = true;
                (Some(here), found)
            }
            Err(error) => {
                self.refused.get_or_insert(error);
                (None, found)
            }
        }
    }
}

fn row(out: &mut String, format: Format, probe: Probe, (here, found): Found) {
    let kind = match probe {
        Probe::Helper(kind, _) => Some(kind.name()),
        _ => None,
    };
    if format == Format::Json {
        let row = json!({
            "group": probe.group().name(),
            "name": probe.name(),
            "program_type": kind,
            "here": here,
            "since": probe.since().to_string(),
            "found": found,
            "needs": probe.needs(),
        });
        let _ = writeln!(out, "{row}");
        return;
    }
    let name =
        kind.map_or_else(|| probe.name().to_owned(), |kind| format!("{kind}:{}", probe.name()));
    let here = here.map_or("?", |here| if here { "yes" } else { "no" });
    let _ = write!(out, "{name:<28} {here:<4} {:<6} {}", probe.since(), found);
    if here != "yes" && !probe.needs().is_empty() {
        let _ = write!(out, " (takes {})", probe.needs().join(", "));
    }
    out.push('\n');
}

/// Prints the number of helpers that the programs of each type may call.
fn counts(out: &mut String, format: Format, features: &Features) {
    if format == Format::Text {
        heading(out, Group::Helpers);
    }
    for kind in ProgramType::ALL {
        let answers: Vec<_> = Probe::helpers(*kind).map(|probe| features.has(probe)).collect();
        if answers.is_empty() {
            continue;
        }
        let all = answers.len();
        let has = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
        // Probes without a result are not counted; if there are no others there is no number.
        let here = answers.iter().any(Result::is_ok).then_some(has);
        let _ = match format {
            Format::Text => {
                let here = here.map_or("?".into(), |here| here.to_string());
                writeln!(out, "{:<28} {here} of {all}", kind.name())
            }
            Format::Json => writeln!(
                out,
                "{}",
                json!({ "group": "helpers", "program_type": kind.name(), "here": here, "of": all })
            ),
        };
    }
}
