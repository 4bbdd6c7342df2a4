//! Judges what became of a test: wrong is all that is neither right, nor refused or different as docs/bt.md says.
//!
//! That document is read, not repeated: under the heading `Not supported`, each item of the list begins with the name of a
//! feature in backticks, as `rawbpf` names it when it refuses; under a heading that begins with `Differences`, each row of
//! the table has the name of a test (`call.print`), what 0.17 prints, what `rawbpf` prints, and the reason. What
//! `rawbpf` prints is a part of its output, word for word, with `\n` for a new line: a test that prints neither is wrong.

use super::outcome::{End, Outcome};
use super::stage::{Need, Uses};
use std::collections::BTreeSet;

/// Precedes the name of a feature that `rawbpf` refuses.
const REFUSAL: &str = "not supported: ";

/// The judgement on a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Passed,
    /// It reported that it does not support this.
    Refused(String),
    /// The table of differences has it.
    Different,
    /// The machine lacks this.
    Skipped(String),
    Wrong(String),
}

/// The exceptions that docs/bt.md lists.
#[derive(Debug, Default, PartialEq)]
pub struct Rules {
    unsupported: Vec<String>,
    /// Test, and what is printed in it.
    differences: Vec<(String, String)>,
}

/// Tests that ask for something without saying so, and what a shell has to find for them to run.
const UNSAID: [(&str, &str); 3] = [
    ("call.strftime_microsecond_extension", "command -v python"),
    ("call.strftime_microsecond_extension_rollover", "command -v python"),
    ("signals.system call interrupted", "command -v strace"),
];

/// The condition under which the test of this name can run, where the suite does not state it.
pub fn unsaid(id: &str) -> Option<&'static str> {
    UNSAID.iter().find(|(name, _)| *name == id).map(|(_, condition)| *condition)
}

impl Rules {
    /// Reads them from the document.
    pub fn read(document: &str) -> Rules {
        let mut rules = Rules::default();
        let mut heading = "";
        for line in document.lines() {
            if let Some(text) = line.strip_prefix('#') {
                heading = text.trim_start_matches('#').trim();
            } else if heading == "Not supported" {
                let item = line.strip_prefix("- `").and_then(|rest| rest.split('`').next());
                rules.unsupported.extend(item.map(String::from));
            } else if heading.starts_with("Differences") {
                rules.differences.extend(difference(line));
            }
        }
        rules
    }

    /// Judges `rawbpf` by the outcome of a test.
    pub fn judge(
        &self,
        id: &str,
        uses: &Uses,
        outcome: &Outcome,
        missing: &BTreeSet<Need>,
    ) -> Verdict {
        match &outcome.end {
            End::Passed => return Verdict::Passed,
            End::Skipped(why) => return Verdict::Skipped(why.clone()),
            End::Failed | End::TimedOut => {}
        }
        let listed = self.differences.iter().find(|(test, _)| test == id);
        if listed.is_some_and(|(_, printed)| outcome.output.contains(printed)) {
            return Verdict::Different;
        }
        if outcome.status.is_some_and(|status| status != 0)
            && let Some((_, feature)) = outcome.output.split_once(REFUSAL)
        {
            let known = self.unsupported.iter().find(|known| begins_with_word(feature, known));
            return match known {
                Some(known) => Verdict::Refused(known.clone()),
                None => {
                    let feature = feature.lines().next().unwrap_or_default();
                    Verdict::Wrong(format!("refuses what docs/bt.md does not list: {feature}"))
                }
            };
        }
        if let Some(need) = uses.needs.intersection(missing).next() {
            return Verdict::Skipped(need.name().into());
        }
        Verdict::Wrong(match (&outcome.end, outcome.status) {
            (End::TimedOut, _) => "does not end".into(),
            (_, Some(0)) => "prints something else".into(),
            (_, Some(status)) => format!("exit status {status}"),
            (_, None) => "ended by a signal".into(),
        })
    }
}

/// Whether `text` begins with `word` and not with a longer one.
fn begins_with_word(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// `` | `call.print` | `a` | `b` | since 0.20 | ``
fn difference(line: &str) -> Option<(String, String)> {
    let line = line.trim().strip_prefix('|')?.replace(r"\|", "\0");
    let mut cells = line.split('|').map(|cell| {
        let cell = cell.trim();
        // Two on each side, if there is one inside.
        let code = match cell.strip_prefix("`` ") {
            Some(rest) => rest.strip_suffix(" ``")?,
            None => cell.strip_prefix('`')?.strip_suffix('`')?,
        };
        Some(code.replace('\0', "|").replace(r"\n", "\n"))
    });
    let test = cells.next()??;
    let _peer = cells.next()?;
    let printed = cells.next()??;
    // The reason stands in words.
    let reason = cells.next();
    (reason.is_some() && !printed.is_empty()).then_some((test, printed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpftrace::stage::Stage;

    const DOCUMENT: &str = "\
# rawbpf bt
- `not this`
## Not supported
Each with its name.
- `usdt` probes
- `-f json`

## Differences from bpftrace 0.17

| test | 0.17 | here | reason |
|---|---|---|---|
| `call.stats` | `count 2, average` | `{ .count = 2` | newer |
| `call.or` | `x` | `a \\| b\\nc` | newer |
| `call.tick` | `x` | `` a `b` `` | newer |
| `call.empty` | `x` | `` | newer |
| `call.short` | `x` | `y`

## Other
- `nor this`
| `call.other` | `x` | `y` | z |
";

    fn outcome(end: End, output: &str, status: i32) -> Outcome {
        Outcome { end, output: output.into(), status: Some(status), millis: 1 }
    }

    #[test]
    fn the_document_is_read() {
        let rules = Rules::read(DOCUMENT);
        assert_eq!(rules.unsupported, ["usdt", "-f json"]);
        let pair = |test: &str, printed: &str| (test.to_string(), printed.to_string());
        assert_eq!(
            rules.differences,
            [
                pair("call.stats", "{ .count = 2"),
                pair("call.or", "a | b\nc"),
                pair("call.tick", "a `b`")
            ]
        );
    }

    #[test]
    fn all_of_the_document_of_the_project_is_read() {
        let path = crate::paths::workspace().join("docs/bt.md");
        let document = std::fs::read_to_string(path).unwrap();
        let rules = Rules::read(&document);
        for feature in
            ["usdt probes", "args of functions whose parameters were optimized away", "debugf()"]
        {
            assert!(rules.unsupported.iter().any(|known| known == feature), "{feature}");
        }
        // A row that cannot be parsed would excuse nothing without notice.
        let (_, table) = document.split_once("\n## Differences from bpftrace\n").unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rules.differences.len(), rows);
    }

    #[test]
    fn only_what_is_listed_is_no_fault() {
        let rules = Rules::read(DOCUMENT);
        let uses = Uses { stage: Stage::S1, needs: BTreeSet::new() };
        let judge = |id: &str, outcome: &Outcome| rules.judge(id, &uses, outcome, &BTreeSet::new());
        let wrong = |id: &str, outcome: &Outcome| matches!(judge(id, outcome), Verdict::Wrong(_));
        assert_eq!(judge("a.b", &outcome(End::Passed, "not supported: x", 1)), Verdict::Passed);
        let refused = |text: &str, status| outcome(End::Failed, text, status);
        let usdt = refused("stdin:1:1: ERROR: not supported: usdt probes\n", 1);
        assert_eq!(judge("a.b", &usdt), Verdict::Refused("usdt".into()));
        assert!(wrong("a.b", &refused("not supported: usdtx", 1)));
        assert!(wrong("a.b", &refused("not supported: kprobe", 1)));
        assert!(wrong("a.b", &refused("not supported: usdt", 0)));
        let newer = outcome(End::Failed, "@: { .count = 2, .average = 3 }", 0);
        assert_eq!(judge("call.stats", &newer), Verdict::Different);
        assert!(wrong("call.other", &newer));
        assert!(wrong("call.stats", &outcome(End::Failed, "@: { .count = 3 }", 0)));
        assert!(wrong("a.b", &outcome(End::TimedOut, "", 0)));
        let skipped = outcome(End::Skipped("nft".into()), "", 0);
        assert_eq!(judge("a.b", &skipped), Verdict::Skipped("nft".into()));
    }

    #[test]
    fn what_the_kernel_lacks_is_no_fault() {
        let uses = Uses { stage: Stage::S2, needs: [Need::Kprobes].into() };
        let failed = outcome(End::Failed, "no kprobes", 1);
        let judge = |missing: &[Need]| {
            Rules::default().judge("a.b", &uses, &failed, &missing.iter().copied().collect())
        };
        assert_eq!(judge(&[Need::Kprobes]), Verdict::Skipped("kprobes".into()));
        assert_eq!(judge(&[Need::Fentry]), Verdict::Wrong("exit status 1".into()));
    }
}
