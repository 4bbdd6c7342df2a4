//! Errors and warnings about a script, shown at their place.

use super::source::{Source, Span};
use crate::util::{escape, excerpt};
use std::fmt::{self, Write};

/// The severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Severity {
    /// The script is not run.
    Error,
    /// The script is run.
    Warning,
}

/// An error or a warning at a place in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The place.
    pub span: Span,
    /// The problem, one line.
    pub message: String,
    /// Suggested fixes, one line each.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// An error.
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic { severity: Severity::Error, span, message, hints: Vec::new() }
    }

    /// A warning.
    pub(crate) fn warning(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(span, message) }
    }

    /// Returns the error for a feature of the language that this compiler does not support.
    pub(crate) fn unsupported(span: Span, feature: impl fmt::Display) -> Diagnostic {
        Diagnostic::error(span, format!("not supported: {feature}"))
    }

    /// Adds a hint line.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hints.push(hint.into());
        self
    }

    /// Adds the nearest names to a name that is not known, if there are any.
    pub(crate) fn nearest(self, names: &[String]) -> Diagnostic {
        match names {
            [] => self,
            [name] => self.hint(format!("did you mean `{name}`?")),
            names => {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                self.hint(format!("did you mean one of {}?", names.join(", ")))
            }
        }
    }

    /// Returns it as bpftrace shows it, with the line and the place in it; each line ends with a newline.
    ///
    /// ```text
    /// stdin:1:9-13: ERROR: unknown identifier: `pidd`
    /// BEGIN { pidd }
    ///         ~~~~
    /// HINT: did you mean `pid`?
    /// ```
    pub(crate) fn render(&self, source: &Source) -> String {
        let (start, end) = (source.position(self.span.start), source.position(self.span.end));
        let word = match self.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        };
        let mut out = String::new();
        let _ = write!(out, "{}", escape::shown(&source.name));
        let place = match end.line == start.line {
            true => format!(":{}:{}-{}", start.line, start.column, end.column),
            false => format!(":{}-{}", start.line, end.line),
        };
        let _ = writeln!(out, "{place}: {word}: {}", excerpt::message(&self.message));
        let line = source.line(start.line);
        let length = line.chars().count();
        let last = if end.line == start.line { end.column - 1 } else { length };
        let (shown, marks) = excerpt::excerpt(line, start.column - 1..last, '~', TAB);
        let _ = writeln!(out, "{shown}\n{marks}");
        for hint in &self.hints {
            let _ = writeln!(out, "HINT: {}", excerpt::message(hint));
        }
        out
    }
}

/// All diagnostics of a script, in the order of its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one, unless there is one of that severity at that very place: the first one is the cause. Of each severity so
    /// many are kept: an error that gave way to warnings would let a script run without what is wrong in it.
    pub(crate) fn push(&mut self, new: Diagnostic) {
        let same = self.0.iter().filter(|old| old.severity == new.severity);
        if same.clone().count() < MAX && !same.clone().any(|old| old.span == new.span) {
            self.0.push(new);
        }
    }

    /// Whether further errors are dropped: then it is no use to look for them.
    pub(crate) fn are_enough(&self) -> bool {
        self.0.iter().filter(|one| one.severity == Severity::Error).count() >= MAX
    }

    /// Whether there is an error among them.
    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|one| one.severity == Severity::Error)
    }

    /// Returns all of them as text.
    pub(crate) fn render(&self, source: &Source) -> String {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by_key(|one| one.span.start);
        sorted.iter().map(|one| one.render(source)).collect()
    }
}

/// The width of a tab, as bpftrace has it.
const TAB: usize = 4;

/// The most that is said about one script.
const MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, start: usize, end: usize) -> String {
        let source = Source::new("stdin", text);
        Diagnostic::error(Span::new(start, end), "no").render(&source)
    }

    #[test]
    fn places_are_shown_as_bpftrace_shows_them() {
        // As bpftrace 0.17 has them for `BEGIN { $x }`, and with a tab in front.
        assert_eq!(
            show("BEGIN { $x }", 8, 10),
            "stdin:1:9-11: ERROR: no\nBEGIN { $x }\n        ~~\n"
        );
        let tab = "stdin:1:10-12: ERROR: no\nBEGIN {     $x }\n            ~~\n";
        assert_eq!(show("BEGIN { \t$x }", 9, 11), tab);
    }

    #[test]
    fn several_lines_are_marked_to_the_end_of_the_first() {
        let shown = show("ab { x(\n1); }", 5, 10);
        assert_eq!(shown, "stdin:1-2: ERROR: no\nab { x(\n     ~~\n");
    }

    #[test]
    fn the_end_of_the_script_is_marked() {
        assert_eq!(show("ab {", 4, 4), "stdin:1:5-5: ERROR: no\nab {\n    ~\n");
        assert_eq!(show("", 0, 0), "stdin:1:1-1: ERROR: no\n\n~\n");
    }

    #[test]
    fn of_a_long_line_the_neighbourhood_is_shown() {
        let text = format!("{}$x{}", "a".repeat(500), "b".repeat(500));
        let shown = show(&text, 500, 502);
        let lines: Vec<_> = shown.lines().collect();
        let dots = format!("...{}$x{}...", "a".repeat(60), "b".repeat(98));
        assert_eq!(lines[1..], [dots.as_str(), &format!("{}~~", " ".repeat(63))]);
    }

    #[test]
    fn nothing_of_the_script_drives_the_terminal() {
        let shown = show("a \x1b[31m \u{202e}x", 2, 3);
        assert!(shown.contains("a \\u001b[31m \\u202ex\n  ~~~~~~\n"), "{shown}");
    }

    #[test]
    fn any_place_can_be_shown() {
        for text in ["", "\n", "é = 1", "a\r\nb", "a"] {
            for start in 0..=text.len() + 2 {
                for end in 0..=text.len() + 2 {
                    show(text, start, end);
                }
            }
        }
    }
}
