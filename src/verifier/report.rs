//! The report of Linux 7.3.

use super::log::opcode;

/// The beginning of a report.
const REPORT: &str = "Verification failed: ";

/// The trace and the report of a log; the second is empty where there is none.
pub(super) fn split(log: &str) -> (&str, &str) {
    // It begins a line: a comment of the program could hold those words.
    let begins = |at: &usize| *at == 0 || log.as_bytes().get(at - 1) == Some(&b'\n');
    let start = log.match_indices(REPORT).map(|(at, _)| at).find(begins);
    start.and_then(|at| log.split_at_checked(at)).unwrap_or((log, ""))
}

/// The report of Linux 7.3 and later on why a program is rejected: a headline, then sections of indented lines.
///
/// ```text
/// Verification failed: Register Type Safety: Unreadable register
///
/// Reason:
///   R3 has never been initialized on this path, so the verifier cannot use it as an input.
///
/// At:
///   insn 1
///        | ^-- error: R3 is not readable
///   Instruction context:
///       0 | (b7) r0 = 0
///   >>> 1 | (0f) r0 += r3
///       2 | (95) exit
///
/// Causal path:
///   no retained diagnostic events on this path
///
/// Suggestion:
///   Initialize R3 on every path before this instruction.
/// ```
///
/// Of a program with debug information, `At` names a line of its source instead of the instruction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// The category of the error, and the error: `Register Type Safety: Unreadable register`.
    pub headline: String,
    /// The explanation, in whole sentences.
    pub reason: Option<String>,
    /// The slot at which the verifier gave up.
    pub instruction: Option<usize>,
    /// The error at that instruction: `R3 is not readable`.
    pub error: Option<String>,
    /// The line of the source there, `look @ look.rs:31:9`, if the program has BTF.
    pub place: Option<String>,
    /// The events on the path that led to it, in order.
    pub causes: Vec<Event>,
    /// The suggestion.
    pub suggestion: Option<String>,
}

/// An event on the path to a rejection that the kernel reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Event {
    /// The slot, if the report names it.
    pub instruction: Option<usize>,
    /// The event's text: `branch: took the true branch of this conditional, goto followed`.
    pub what: String,
}

impl Report {
    /// Reads the last report in a text; `None` if there is none.
    pub(super) fn read(text: &str) -> Option<Report> {
        let mut report = None;
        let mut section = "";
        for line in text.lines() {
            let Some(inside) = line.strip_prefix("  ") else {
                // An empty line ends no section: there are some inside the causal path.
                if let Some(headline) = line.strip_prefix(REPORT) {
                    let headline = headline.trim().to_owned();
                    report = Some(Report { headline, ..Report::default() });
                    section = "";
                } else if !line.is_empty() {
                    section = line.trim_end();
                }
                continue;
            };
            let Some(report) = &mut report else { continue };
            match section {
                "Reason:" => add_line(&mut report.reason, inside),
                "Suggestion:" => add_line(&mut report.suggestion, inside),
                "At:" => report.at(inside),
                "Causal path:" => report.cause(inside),
                _ => {}
            }
        }
        report
    }

    fn at(&mut self, line: &str) {
        if self.instruction.is_none() {
            self.instruction = marked(line);
        }
        if self.error.is_none() {
            self.error = remark(line).map(|text| text.trim_start_matches("error: ").to_owned());
        }
        if self.place.is_none() && line.contains(" @ ") && !line.starts_with([' ', '>']) {
            self.place = Some(line.trim_end().to_owned());
        }
    }

    /// Each event is a place, then a remark on it, then instructions around it.
    fn cause(&mut self, line: &str) {
        if let Some(what) = remark(line) {
            match self.causes.last_mut() {
                Some(event) if event.what.is_empty() => event.what = what.to_owned(),
                _ => self.causes.push(Event { instruction: None, what: what.to_owned() }),
            }
        } else if line.starts_with("insn ") {
            self.causes.push(Event { instruction: marked(line), what: String::new() });
        } else if let (Some(index), Some(event)) = (marked(line), self.causes.last_mut()) {
            event.instruction.get_or_insert(index);
        }
    }
}

/// Parses a remark on an instruction or a line of the source: `   | ^-- error: R3 is not readable`.
fn remark(line: &str) -> Option<&str> {
    let (before, what) = line.split_once("^-- ")?;
    let blank = before.chars().all(|c| matches!(c, ' ' | '|' | '\t'));
    blank.then(|| what.trim_end())
}

/// Joins the lines of a paragraph again.
fn add_line(paragraph: &mut Option<String>, line: &str) {
    match paragraph {
        Some(text) => {
            text.push(' ');
            text.push_str(line.trim());
        }
        None => *paragraph = Some(line.trim().to_owned()),
    }
}

/// The index in `insn 7` or in the marked one of a list of instructions, `>>> 7 | (79) r0 = …`. A list of
/// source lines has marks too, but nothing that looks like an instruction.
fn marked(line: &str) -> Option<usize> {
    if let Some(number) = line.strip_prefix("insn ") {
        return number.trim_end().parse().ok();
    }
    let (index, rest) = line.strip_prefix(">>>")?.split_once(" | (")?;
    opcode(rest)?;
    index.trim().parse().ok()
}
