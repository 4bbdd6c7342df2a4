//! Reads the output of Rust's test programs, and the ledger in which tests record what they lacked.

use std::collections::BTreeMap;

/// The status of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Passed,
    Failed,
    /// It did not run, for this reason.
    Skipped(String),
}

/// The results of one test program.
#[derive(Debug, Default)]
pub struct Results {
    pub tests: BTreeMap<String, Status>,
    /// An inconsistency in the output.
    pub complaint: Option<String>,
}

/// Joins a test program's output with its ledger.
pub fn read(stdout: &str, ledger: &str) -> Results {
    let mut results = Results::default();
    let mut announced = None;
    let mut summary = None;
    // A test whose result is still to come: what the test itself printed may stand between.
    let mut open: Option<String> = None;
    let mut listing = true;
    for line in stdout.lines() {
        if let Some(counts) = line.strip_prefix("test result: ") {
            summary = Some(summary_counts(counts));
            break;
        }
        // From here on it is what the failed ones had printed.
        listing &= line != "failures:";
        if !listing {
            continue;
        }
        if let Some(count) =
            line.strip_prefix("running ").and_then(|rest| rest.split(' ').next()?.parse().ok())
        {
            announced = announced.or(Some(count));
        }
        if let Some((name, rest)) = begins(line) {
            match verdict(rest) {
                Some(status) => _ = results.tests.insert(name.into(), status),
                None => open = Some(name.into()),
            }
        } else if let Some(status) = verdict(line).filter(|_| open.is_some())
            && let Some(name) = open.take()
        {
            results.tests.insert(name, status);
        }
    }
    for line in ledger.lines() {
        let mut fields = line.splitn(3, '\t');
        if let (Some("skipped"), Some(name), Some(why)) =
            (fields.next(), fields.next(), fields.next())
        {
            match results.tests.get_mut(name) {
                // A test that found something missing and then failed has failed.
                Some(Status::Failed) => {}
                Some(status) => *status = Status::Skipped(why.into()),
                None => {
                    results.complaint =
                        Some(format!("the ledger names a test {name:?} that is not in the output"))
                }
            }
        }
    }
    if announced.is_none() || summary.is_none() {
        results.complaint = Some(match open {
            Some(test) => format!("it ended within the test {test}"),
            None => "it ended before its tests did".into(),
        });
    } else if announced != Some(results.tests.len()) || summary != Some(Some(results.tests.len())) {
        let (announced, summary) = (announced.unwrap_or(0), summary.flatten().unwrap_or(0));
        results.complaint = Some(format!(
            "{announced} tests were announced, {summary} are in the summary and {} have a result",
            results.tests.len()
        ));
    }
    results
}

/// `test NAME ... rest`, with whatever a test printed without ending its line before it.
fn begins(line: &str) -> Option<(&str, &str)> {
    let (head, rest) =
        line.split_once(" ... ").or_else(|| Some((line.strip_suffix(" ...")?, "")))?;
    let name = head.strip_prefix("test ").or_else(|| Some(head.rsplit_once("test ")?.1))?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    // Names of documentation tests hold spaces: `src/lib.rs - insn (line 3)`, and `- compile` after that.
    (!name.is_empty()).then_some((name, rest))
}

fn verdict(text: &str) -> Option<Status> {
    let text = text.trim_end();
    if text.ends_with("ok") {
        Some(Status::Passed)
    } else if text.ends_with("FAILED") {
        Some(Status::Failed)
    } else if text == "ignored" || text.starts_with("ignored,") {
        let why = text.strip_prefix("ignored,").map(str::trim);
        Some(Status::Skipped(format!("ignored: {}", why.unwrap_or("marked so"))))
    } else {
        None
    }
}

/// The sum of `ok. 2 passed; 1 failed; 1 ignored; …`.
fn summary_counts(text: &str) -> Option<usize> {
    let mut sum = 0;
    for part in text.split_once(". ")?.1.split("; ").take(3) {
        sum += part.split(' ').next()?.parse::<usize>().ok()?;
    }
    Some(sum)
}

/// The part of a test program's output about its failures: everything after its list of tests.
pub fn failures(stdout: &str) -> &str {
    match stdout.find("\nfailures:\n") {
        Some(at) => stdout[at + 1..].trim_end(),
        None => {
            let tail = stdout.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
            stdout[tail..].trim_end()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 5 tests
test tests::a ... noise
ok
test tests::b ... FAILED
test tests::c ... ignored, too slow
half a linetest tests::d - should panic ... ok
test tests::e ... more noiseok

failures:

---- tests::b stdout ----
test tests::x ... ok

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s
";

    #[test]
    fn results_are_found_among_noise() {
        let results = read(OUTPUT, "skipped\ttests::e\tFprobe: no such program type\n");
        let status: Vec<_> =
            results.tests.iter().map(|(name, status)| (name.as_str(), status.clone())).collect();
        let skipped = |why: &str| Status::Skipped(why.into());
        assert_eq!(
            status,
            [
                ("tests::a", Status::Passed),
                ("tests::b", Status::Failed),
                ("tests::c", skipped("ignored: too slow")),
                ("tests::d", Status::Passed),
                ("tests::e", skipped("Fprobe: no such program type")),
            ]
        );
        assert_eq!(results.complaint, None);
    }

    #[test]
    fn output_that_ends_early_is_noticed() {
        let cut = &OUTPUT[..OUTPUT.find("test tests::c").unwrap()];
        let results = read(cut, "");
        assert_eq!(results.tests.len(), 2);
        assert_eq!(results.complaint.as_deref(), Some("it ended before its tests did"));
        assert_eq!(read("", "").complaint.as_deref(), Some("it ended before its tests did"));
        let within = &OUTPUT[..OUTPUT.find("ok").unwrap()];
        assert_eq!(
            read(within, "").complaint.as_deref(),
            Some("it ended within the test tests::a")
        );
    }

    #[test]
    fn a_missing_result_is_noticed() {
        let text = "running 2 tests\ntest a ... ok\n\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        let expected = "2 tests were announced, 2 are in the summary and 1 have a result";
        assert_eq!(read(text, "").complaint.as_deref(), Some(expected));
    }

    #[test]
    fn a_failure_is_not_hidden_by_a_skip() {
        let text = "running 1 test\ntest a ... FAILED\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n";
        assert_eq!(read(text, "skipped\ta\tx: y\n").tests["a"], Status::Failed);
        assert!(read(text, "skipped\tmain\tx: y\n").complaint.unwrap().contains("\"main\""));
    }

    #[test]
    fn documentation_tests_have_names_with_spaces() {
        let text = "running 1 test\ntest src/lib.rs - insn::Insn (line 12) - compile ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(
            read(text, "").tests["src/lib.rs - insn::Insn (line 12) - compile"],
            Status::Passed
        );
    }
}
