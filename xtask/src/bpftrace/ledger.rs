//! The ledger: how many tests of each stage and file came to what, with the peer's figures beside.

use super::stage::{STAGES, Stage};
use super::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One test.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    pub file: String,
    pub stage: Stage,
    pub verdict: Verdict,
    /// The peer's verdict, if it was run on this kernel.
    pub peer: Option<Verdict>,
}

/// The number of tests by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    passed: usize,
    refused: usize,
    different: usize,
    skipped: usize,
    wrong: usize,
}

impl Counts {
    fn of<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Counts {
        let mut counts = Counts::default();
        for verdict in verdicts {
            *match verdict {
                Verdict::Passed => &mut counts.passed,
                Verdict::Refused(_) => &mut counts.refused,
                Verdict::Different => &mut counts.different,
                Verdict::Skipped(_) => &mut counts.skipped,
                Verdict::Wrong(_) => &mut counts.wrong,
            } += 1;
        }
        counts
    }
}

/// Returns the number of tests that are wrong.
pub fn wrong(entries: &[Entry]) -> usize {
    Counts::of(entries.iter().map(|entry| &entry.verdict)).wrong
}

/// Joins the ledgers of several places: a test counts once, wrong if it is wrong anywhere, else by the best it came to.
pub fn together(places: Vec<Vec<Entry>>) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for entry in places.into_iter().flatten() {
        match all.iter_mut().find(|known| known.id == entry.id) {
            Some(known) => {
                known.verdict = better(known.verdict.clone(), entry.verdict);
                known.peer = match (known.peer.take(), entry.peer) {
                    (Some(a), Some(b)) => Some(better(a, b)),
                    (a, b) => a.or(b),
                };
            }
            None => all.push(entry),
        }
    }
    all
}

fn better(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (wrong @ Verdict::Wrong(_), _) | (_, wrong @ Verdict::Wrong(_)) => wrong,
        (a, b) => a.min(b),
    }
}

/// The tables by stage and by file, then each test that is wrong and why.
pub fn show(entries: &[Entry]) -> String {
    let mut text =
        table("stage", entries, |entry| entry.stage.to_string(), &STAGES.map(|s| s.to_string()));
    let files: Vec<String> = entries.iter().map(|entry| entry.file.clone()).collect();
    text += "\n";
    text += &table("file", entries, |entry| entry.file.clone(), &files);
    for (word, reasons) in
        [("refused", reasons(entries, refused)), ("skipped", reasons(entries, skipped))]
    {
        for (reason, count) in reasons {
            let _ = writeln!(text, "{count} {word}: {reason}");
        }
    }
    for entry in entries {
        if let Verdict::Wrong(why) = &entry.verdict {
            let peer = match &entry.peer {
                Some(Verdict::Passed) => " (bpftrace passes)",
                Some(Verdict::Wrong(_)) => " (so does bpftrace 0.17)",
                _ => "",
            };
            let _ = writeln!(text, "WRONG {} {}: {why}{peer}", entry.stage, entry.id);
        }
    }
    text
}

fn refused(verdict: &Verdict) -> Option<&str> {
    if let Verdict::Refused(what) = verdict { Some(what) } else { None }
}

fn skipped(verdict: &Verdict) -> Option<&str> {
    if let Verdict::Skipped(what) = verdict { Some(what) } else { None }
}

fn reasons(entries: &[Entry], reason: fn(&Verdict) -> Option<&str>) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for reason in entries.iter().filter_map(|entry| reason(&entry.verdict)) {
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

/// One line a group, in the order of `groups`, and one of all.
fn table(
    title: &str,
    entries: &[Entry],
    group: impl Fn(&Entry) -> String,
    groups: &[String],
) -> String {
    let has_peer = entries.iter().any(|entry| entry.peer.is_some());
    let mut text = format!(
        "{title:<14} {:>5} {:>6} {:>7} {:>9} {:>7} {:>5}",
        "tests", "passed", "refused", "different", "skipped", "wrong"
    );
    if has_peer {
        let _ = write!(text, "   0.17: {:>6} {:>6} {:>7}", "passed", "failed", "skipped");
    }
    text += "\n";
    let mut line = |name: &str, entries: &[&Entry]| {
        let ours = Counts::of(entries.iter().map(|entry| &entry.verdict));
        let _ = write!(
            text,
            "{name:<14} {:>5} {:>6} {:>7} {:>9} {:>7} {:>5}",
            entries.len(),
            ours.passed,
            ours.refused,
            ours.different,
            ours.skipped,
            ours.wrong
        );
        if has_peer {
            let peer = Counts::of(entries.iter().filter_map(|entry| entry.peer.as_ref()));
            let _ =
                write!(text, "         {:>6} {:>6} {:>7}", peer.passed, peer.wrong, peer.skipped);
        }
        text += "\n";
    };
    let mut shown: Vec<&String> = Vec::new();
    for name in groups {
        let of_group: Vec<&Entry> = entries.iter().filter(|entry| group(entry) == *name).collect();
        if !of_group.is_empty() && !shown.contains(&name) {
            line(name, &of_group);
            shown.push(name);
        }
    }
    line("all", &entries.iter().collect::<Vec<_>>());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, stage: Stage, verdict: Verdict, peer: Option<Verdict>) -> Entry {
        Entry { id: format!("call.{name}"), file: "call".into(), stage, verdict, peer }
    }

    #[test]
    fn the_ledger_counts() {
        let wrong_one = Verdict::Wrong("exit status 1".into());
        let entries = [
            entry("a", Stage::S1, Verdict::Passed, Some(Verdict::Passed)),
            entry("b", Stage::S1, wrong_one.clone(), Some(Verdict::Passed)),
            entry("c", Stage::S7, Verdict::Refused("usdt".into()), Some(wrong_one)),
            entry(
                "d",
                Stage::S2,
                Verdict::Skipped("kprobes".into()),
                Some(Verdict::Skipped("kprobes".into())),
            ),
            entry("e", Stage::S1, Verdict::Different, None),
        ];
        assert_eq!(wrong(&entries), 1);
        let expected = "\
stage          tests passed refused different skipped wrong   0.17: passed failed skipped
S1                 3      1       0         1       0     1              2      0       0
S2                 1      0       0         0       1     0              0      0       1
S7                 1      0       1         0       0     0              0      1       0
all                5      1       1         1       1     1              2      1       1

file           tests passed refused different skipped wrong   0.17: passed failed skipped
call               5      1       1         1       1     1              2      1       1
all                5      1       1         1       1     1              2      1       1
1 refused: usdt
1 skipped: kprobes
WRONG S1 call.b: exit status 1 (bpftrace passes)
";
        assert_eq!(show(&entries), expected);
    }

    #[test]
    fn places_are_joined() {
        let skipped = || Verdict::Skipped("kprobes".into());
        let wrong_one = || Verdict::Wrong("does not end".into());
        let here = vec![
            entry("a", Stage::S1, skipped(), Some(skipped())),
            entry("b", Stage::S1, wrong_one(), Some(Verdict::Passed)),
            entry("c", Stage::S1, Verdict::Passed, None),
        ];
        let guest = vec![
            entry("a", Stage::S1, Verdict::Passed, Some(wrong_one())),
            entry("b", Stage::S1, Verdict::Passed, None),
            entry("d", Stage::S1, skipped(), None),
        ];
        let all: Vec<_> = together(vec![here, guest])
            .into_iter()
            .map(|entry| (entry.id, entry.verdict, entry.peer))
            .collect();
        let expected = [
            ("call.a".to_string(), Verdict::Passed, Some(wrong_one())),
            ("call.b".to_string(), wrong_one(), Some(Verdict::Passed)),
            ("call.c".to_string(), Verdict::Passed, None),
            ("call.d".to_string(), skipped(), None),
        ];
        assert_eq!(all, expected);
    }
}
