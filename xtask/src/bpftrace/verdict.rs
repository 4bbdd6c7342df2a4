//! Judges what became of a test: wrong is all that is neither right, nor refused or different as docs/bt.md says.
//!
//! That document is read, not repeated: under the heading `Not supported`, each item of the list begins with the name of a
//! feature in backticks, as `rawbpf` names it when it refuses; under a heading that begins with `Differences`, each row of
//! the table has the name of a test (`call.print`), what 0.17 prints, what `rawbpf` prints, and the reason. What
//! `rawbpf` prints is a part of its output, word for word, with `\n` for a new line: a test that prints neither is wrong.
//! If it begins with `Attached`, it is the whole output: that all went well is seen by nothing else. The test must have
//! ended with status 0, or with another one if what is printed is an error; only where `(may go on)` stands behind the text
//! may its time have run out, because the script has no end or waits for an event that may not come.

use super::outcome::{End, Outcome};
use super::runner::ATTACHED;
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
    differences: Vec<Difference>,
}

/// A test that prints something else by intent.
#[derive(Debug, Clone, PartialEq)]
struct Difference {
    test: String,
    printed: String,
    /// Whether its time may run out.
    may_go_on: bool,
}

impl Difference {
    /// Whether an outcome is the one that the table describes.
    fn fits(&self, outcome: &Outcome) -> bool {
        let status = match outcome.end {
            End::TimedOut => self.may_go_on,
            _ => outcome.status.is_some_and(|status| (status != 0) == self.is_error()),
        };
        let printed = match self.printed.starts_with("Attached ") {
            true => {
                let lines = outcome.output.lines().filter(|line| *line != ATTACHED);
                lines.collect::<Vec<_>>().join("\n").trim_end() == self.printed
            }
            false => outcome.output.contains(&self.printed),
        };
        status && printed
    }

    fn is_error(&self) -> bool {
        // Of the shell in which a test runs, the last command can be the one that fails.
        ["ERROR: ", "No such process"].iter().any(|error| self.printed.contains(error))
    }
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
        let listed = self.differences.iter().find(|listed| listed.test == id);
        if listed.is_some_and(|listed| listed.fits(outcome)) {
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
fn difference(line: &str) -> Option<Difference> {
    const MAY_GO_ON: &str = " (may go on)";
    let line = line.trim().strip_prefix('|')?.replace(r"\|", "\0");
    let may_go_on = line.split('|').nth(2)?.trim().ends_with(MAY_GO_ON);
    let mut cells = line.split('|').map(|cell| {
        let cell = cell.trim();
        let cell = cell.strip_suffix(MAY_GO_ON).unwrap_or(cell);
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
    let good = reason.is_some() && !printed.is_empty();
    good.then_some(Difference { test, printed, may_go_on })
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
| `call.whole` | `x` | `Attached 1 probe` | newer |
| `call.endless` | `x` | `Attached 2 probes` (may go on) | newer |
| `call.error` | `x` | `ERROR: no` | newer |
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
        let read = |test: &str, printed: &str, may_go_on| Difference {
            test: test.into(),
            printed: printed.into(),
            may_go_on,
        };
        assert_eq!(
            rules.differences,
            [
                read("call.stats", "{ .count = 2", false),
                read("call.or", "a | b\nc", false),
                read("call.tick", "a `b`", false),
                read("call.whole", "Attached 1 probe", false),
                read("call.endless", "Attached 2 probes", true),
                read("call.error", "ERROR: no", false),
            ]
        );
    }

    #[test]
    fn all_of_the_document_of_the_project_is_read() {
        let path = crate::paths::workspace().join("docs/bt.md");
        let document = std::fs::read_to_string(path).unwrap();
        let rules = Rules::read(&document);
        for feature in [
            "watchpoint probes",
            "args of functions whose parameters were optimized away",
            "strstr()",
        ] {
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
        // What ends in another way, or prints more than there should be, is not what is listed.
        assert!(wrong("call.stats", &outcome(End::Failed, "@: { .count = 2, .average = 3 }", 1)));
        assert!(wrong("call.stats", &outcome(End::TimedOut, "@: { .count = 2, .average = 3 }", 0)));
        let attached = format!("Attached 1 probe\n{ATTACHED}\n");
        let whole = |more: &str, status| outcome(End::Failed, &format!("{attached}{more}"), status);
        assert_eq!(judge("call.whole", &whole("\n\n", 0)), Verdict::Different);
        assert!(wrong("call.whole", &whole("\n\n", 1)));
        assert!(wrong("call.whole", &whole("\n\n@: 0\n", 0)));
        assert!(wrong("call.whole", &outcome(End::TimedOut, &attached, 0)));
        let endless = attached.replace("1 probe", "2 probes");
        assert_eq!(judge("call.endless", &outcome(End::TimedOut, &endless, 0)), Verdict::Different);
        assert!(wrong("call.endless", &outcome(End::TimedOut, "", 0)));
        assert_eq!(judge("call.error", &refused("ERROR: no\n", 1)), Verdict::Different);
        assert!(wrong("call.error", &refused("ERROR: no\n", 0)));
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
