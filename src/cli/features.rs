//! `rawbpf features`: what this kernel can do, each row found by asking it.

use super::stdio::print;
use super::{Failure, Format, words};
use crate::error::Error;
use crate::features::{Features, Finding, Group, Probe};
use crate::uapi::ProgramType;
use crate::util::escape;
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

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Prints what the arguments ask for. If nothing at all can be told that is why it fails.
pub(super) fn features(args: &FeaturesArgs) -> Result<u8, Failure> {
    let features = Features::new();
    let pattern = args.pattern.as_deref().unwrap_or_default();
    let mut out = String::new();
    let mut tally = Tally::default();
    let helpers = pattern.strip_prefix("helpers");
    if let Some(of) = helpers {
        let of = of.strip_prefix(':').unwrap_or(of);
        let types = ProgramType::ALL.iter().filter(|kind| kind.name().contains(of));
        for probe in types.flat_map(|kind| Probe::helpers(*kind)) {
            row(&mut out, args.format, probe, tally.count(features.find(probe)));
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
            row(&mut out, args.format, probe, tally.count(features.find(probe)));
        }
        if pattern.is_empty() {
            counts(&mut out, args.format, &features);
        }
    }
    if out.is_empty() {
        return Err(Failure::Usage(format!(
            "nothing that is known here has `{}` in its name",
            escape::shown(pattern)
        )));
    }
    print(&out)?;
    match tally.refused {
        Some(error) if !tally.told => Err(error.into()),
        _ => Ok(0),
    }
}

fn heading(out: &mut String, group: Group) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ =
        writeln!(out, "{:<28} {:<4} {:<6} FOUND BY", group.name().to_uppercase(), "HERE", "SINCE");
}

/// Whether anything could be told, and why something could not.
#[derive(Default)]
struct Tally {
    told: bool,
    refused: Option<Error>,
}

impl Tally {
    /// Notes whether it was found out, and gives back what is to be printed.
    fn count(&mut self, finding: Finding) -> (Option<bool>, String) {
        let Finding { has, found, .. } = finding;
        match has {
            Ok(here) => {
                self.told = true;
                (Some(here), found)
            }
            Err(error) => {
                self.refused.get_or_insert(error);
                (None, found)
            }
        }
    }
}

fn row(out: &mut String, format: Format, probe: Probe, (here, found): (Option<bool>, String)) {
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

/// How many helpers the programs of each type may call.
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
        // Those that cannot be told are not counted; without any other there is nothing to say.
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
