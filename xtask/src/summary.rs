//! The results of every test in every place, and the verdict on them.

use crate::libtest::{self, Results, Status};
use std::collections::BTreeMap;
use std::time::Duration;

/// One machine that tests ran on.
pub struct Place {
    pub name: String,
    /// By `binary::test`.
    pub tests: BTreeMap<String, Status>,
    /// Failures that are no test's result: a program that crashed, a machine that panicked.
    pub troubles: Vec<String>,
    pub took: Duration,
}

impl Place {
    pub fn new(name: impl Into<String>) -> Place {
        Place {
            name: name.into(),
            tests: BTreeMap::new(),
            troubles: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Adds the results of one test program, and shows them at once if something is wrong.
    pub fn add(
        &mut self,
        binary: &str,
        results: Results,
        took: Duration,
        good: bool,
        stdout: &str,
        stderr: &str,
    ) {
        let count = |wanted: fn(&Status) -> bool| {
            results.tests.values().filter(|status| wanted(status)).count()
        };
        let failed = count(|status| *status == Status::Failed);
        let passed = count(|status| *status == Status::Passed);
        let skipped = results.tests.len() - passed - failed;
        eprintln!(
            "xtask: {}: {binary}: {passed} passed, {failed} failed, {skipped} skipped in {:.1} s",
            self.name,
            took.as_secs_f64()
        );
        let mut complaint = results.complaint;
        if complaint.is_none() && !good && failed == 0 {
            complaint =
                Some("its exit status tells of a failure and none of its tests does".into());
        }
        if failed > 0 || complaint.is_some() {
            for (stream, text) in
                [("output", libtest::failures(stdout)), ("errors", stderr.trim_end())]
            {
                if !text.is_empty() {
                    eprintln!("---- {binary} on {}, {stream}:\n{text}", self.name);
                }
            }
        }
        if let Some(complaint) = complaint {
            eprintln!("xtask: {}: {binary}: {complaint}", self.name);
            self.troubles.push(format!("{binary}: {complaint}"));
        }
        self.tests.extend(
            results.tests.into_iter().map(|(name, status)| (format!("{binary}::{name}"), status)),
        );
        self.took += took;
    }
}

/// All places together.
pub struct Summary {
    pub places: Vec<Place>,
    /// Whether every place was visited, so that a test which ran nowhere is a failure.
    whole: bool,
}

/// One test, seen from all places.
#[derive(Default)]
struct Everywhere<'a> {
    passed: bool,
    failed: Vec<&'a str>,
    skipped: Vec<(&'a str, &'a str)>,
}

impl Summary {
    pub fn new(whole: bool) -> Summary {
        Summary { places: Vec::new(), whole }
    }

    fn tests(&self) -> BTreeMap<&str, Everywhere<'_>> {
        let mut tests: BTreeMap<&str, Everywhere> = BTreeMap::new();
        for place in &self.places {
            for (name, status) in &place.tests {
                let test = tests.entry(name).or_default();
                match status {
                    Status::Passed => test.passed = true,
                    Status::Failed => test.failed.push(&place.name),
                    Status::Skipped(why) => test.skipped.push((&place.name, why)),
                }
            }
        }
        tests
    }

    /// Distinct tests: passed (somewhere, and failed nowhere), failed (anywhere), skipped (everywhere).
    fn counts(&self) -> (usize, usize, usize) {
        let tests = self.tests();
        let failed = tests.values().filter(|test| !test.failed.is_empty()).count();
        let passed = tests.values().filter(|test| test.failed.is_empty() && test.passed).count();
        // A trouble that is no test's own counts as one failure, so that the last line never looks good when it is not.
        let troubles: usize = self.places.iter().map(|place| place.troubles.len()).sum();
        (passed, failed + troubles, tests.len() - passed - failed)
    }

    /// Nothing failed, something ran, and after a whole run every test ran somewhere.
    pub fn good(&self) -> bool {
        let (passed, failed, skipped) = self.counts();
        failed == 0 && passed > 0 && !(self.whole && skipped > 0)
    }

    pub fn print(&self) {
        println!("\n{}", self.table());
        for place in &self.places {
            for (why, count) in reasons(place) {
                println!("{}: {count} skipped: {why}", place.name);
            }
        }
        for place in &self.places {
            for trouble in &place.troubles {
                println!("{}: TROUBLE: {trouble}", place.name);
            }
        }
        for (name, test) in self.tests() {
            if !test.failed.is_empty() {
                println!("FAILED {name}: {}", test.failed.join(", "));
            } else if !test.passed && self.whole {
                let reasons: Vec<_> =
                    test.skipped.iter().map(|(place, why)| format!("{place}: {why}")).collect();
                println!("RAN NOWHERE {name}: {}", reasons.join("; "));
            }
        }
        let (passed, failed, skipped) = self.counts();
        if !self.whole && skipped > 0 {
            println!("only a part was run: that {skipped} tests ran nowhere in it says nothing");
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
    }

    fn table(&self) -> String {
        let width = self.places.iter().map(|place| place.name.len()).max().unwrap_or(0).max(5);
        let mut table = format!(
            "{:width$}  {:>6}  {:>6}  {:>7}  {:>8}",
            "place", "passed", "failed", "skipped", "time"
        );
        for place in &self.places {
            let count = |wanted: fn(&Status) -> bool| {
                place.tests.values().filter(|status| wanted(status)).count()
            };
            table += &format!(
                "\n{:width$}  {:>6}  {:>6}  {:>7}  {:>6.1} s",
                place.name,
                count(|status| *status == Status::Passed),
                count(|status| *status == Status::Failed) + place.troubles.len(),
                count(|status| matches!(status, Status::Skipped(_))),
                place.took.as_secs_f64(),
            );
        }
        table
    }
}

/// Why tests were skipped there, the most frequent reason first.
fn reasons(place: &Place) -> Vec<(&str, usize)> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for status in place.tests.values() {
        if let Status::Skipped(why) = status {
            *reasons.entry(why).or_default() += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, tests: &[(&str, Status)]) -> Place {
        let mut place = Place::new(name);
        place.tests =
            tests.iter().map(|(name, status)| (name.to_string(), status.clone())).collect();
        place
    }

    fn skipped() -> Status {
        Status::Skipped("kprobe: none".into())
    }

    #[test]
    fn a_test_counts_once() {
        let mut summary = Summary::new(true);
        summary
            .places
            .push(place("host", &[("a", Status::Passed), ("b", skipped()), ("c", Status::Failed)]));
        summary.places.push(place(
            "5.10",
            &[("a", Status::Passed), ("b", Status::Passed), ("c", Status::Passed)],
        ));
        assert_eq!(summary.counts(), (2, 1, 0));
        assert!(!summary.good());
    }

    #[test]
    fn a_test_that_ran_nowhere_fails_a_whole_run_only() {
        let places = || {
            let tests = [("a", Status::Passed), ("b", skipped())];
            vec![place("host", &tests), place("5.10", &tests)]
        };
        for whole in [true, false] {
            let summary = Summary { places: places(), whole };
            assert_eq!(summary.counts(), (1, 0, 1));
            assert_eq!(summary.good(), !whole);
        }
    }

    #[test]
    fn a_run_without_tests_is_not_good() {
        assert!(!Summary::new(true).good());
    }

    #[test]
    fn troubles_count_as_failures() {
        let mut summary = Summary::new(true);
        summary.places.push(place("host", &[("a", Status::Passed)]));
        assert!(summary.good());
        summary.places[0].troubles.push("the guest panicked".into());
        assert_eq!(summary.counts(), (1, 1, 0));
        assert!(!summary.good());
    }

    #[test]
    fn reasons_are_counted() {
        let other = Status::Skipped("bpf: no".into());
        let place = place("host", &[("a", other), ("b", skipped()), ("c", skipped())]);
        assert_eq!(reasons(&place), [("kprobe: none", 2), ("bpf: no", 1)]);
        let summary = Summary { places: vec![place], whole: false };
        assert_eq!(
            summary.table(),
            "place  passed  failed  skipped      time\nhost        0       0        3     0.0 s"
        );
    }
}
