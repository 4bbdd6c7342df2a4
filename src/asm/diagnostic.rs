//! Diagnostics of a text, with the source line they are about.

use super::message::Message;
use super::statement::{Problem, Span};
use crate::util::{escape, excerpt};
use std::fmt;

/// One error in a text.
///
/// Displays as a compiler would. A long line is cut to the part around the error, and nothing is printed that
/// could control a terminal:
///
/// ```text
/// error: `r12` is not a register: r0 to r10 (64 bits), w0 to w10 (32 bits)
///  --> probe.s:3:1
///   |
/// 3 | r12 = 3
///   | ^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    file: String,
    line: usize,
    column: usize,
    /// The part of the line that is shown, and the marks below it.
    excerpt: (String, String),
}

impl Diagnostic {
    /// The diagnostic of a mistake whose line and that line's start are known.
    fn new(mistake: Mistake, file: &str, text: &str, line: usize, line_start: usize) -> Diagnostic {
        let Mistake { message, start, end } = mistake;
        let shown = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let before = text.get(line_start..start).unwrap_or_default().chars().count();
        let marked = text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
        // A tab has the width that the terminal gives it: as one space each, the marks are in the right columns.
        let place = before..before + marked.chars().count();
        let excerpt = excerpt::excerpt(shown, place, '^', 1);
        Diagnostic { message, file: file.into(), line, column: before + 1, excerpt }
    }

    /// The message, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { message, file, line, column, excerpt: (text, marks) } = self;
        let margin = line.to_string().len();
        writeln!(f, "error: {}", excerpt::message(message))?;
        writeln!(f, "{:margin$}--> {}:{line}:{column}", "", escape::shown(file))?;
        writeln!(f, "{:margin$} |", "")?;
        writeln!(f, "{line} | {text}")?;
        write!(f, "{:margin$} | {marks}", "")
    }
}

/// A message, and the range of bytes of the text that it is about.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub message: String,
    pub start: usize,
    pub end: usize,
}

impl Mistake {
    /// The mistake for a problem that the statement parser found.
    pub(super) fn of(problem: &Problem, text: &str) -> Mistake {
        let mut message = Message::new();
        problem.write(text.as_bytes(), &mut message);
        let Span { start, end } = problem.span;
        Mistake { message: message.as_str().into(), start, end }
    }
}

/// All errors of a text, in its order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorts mistakes by their position in the text, and finds the line of each in one pass over it.
    pub(crate) fn new(mut mistakes: Vec<Mistake>, file: &str, text: &str) -> Diagnostics {
        mistakes.sort_by_key(|mistake| mistake.start);
        let (mut line, mut line_start, mut at) = (1, 0, 0);
        let place = |mistake: Mistake| {
            let passed = text.as_bytes().get(at..mistake.start).unwrap_or_default();
            for (index, byte) in passed.iter().enumerate() {
                if *byte == b'\n' {
                    line += 1;
                    line_start = at + index + 1;
                }
            }
            at += passed.len();
            Diagnostic::new(mistake, file, text, line, line_start)
        };
        Diagnostics(mistakes.into_iter().map(place).collect())
    }

    /// Iterates over the diagnostics.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            write!(f, "{}{diagnostic}", if index == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, start: usize, end: usize) -> String {
        let mistake = Mistake { message: "no".into(), start, end };
        Diagnostics::new(vec![mistake], "x.s", text).to_string()
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_text() {
        let text = "a\nbb\n\nc d\n";
        let places = [7, 2, 0, 5, 9, 3, 10, 11];
        let at = |start: usize| Mistake { message: start.to_string(), start, end: start + 1 };
        let shown = Diagnostics::new(places.map(at).into(), "x.s", text);
        let found: Vec<_> =
            shown.iter().map(|d| (d.message().to_owned(), d.line(), d.column())).collect();
        let expected = [
            ("0", 1, 1),
            ("2", 2, 1),
            ("3", 2, 2),
            ("5", 3, 1),
            ("7", 4, 2),
            ("9", 4, 4),
            ("10", 5, 1),
            ("11", 5, 1),
        ];
        assert_eq!(found.len(), expected.len());
        for ((message, line, column), (said, at_line, at_column)) in found.iter().zip(expected) {
            assert_eq!((message.as_str(), *line), (said, at_line));
            assert_eq!(*column, at_column, "{said}");
        }
    }

    #[test]
    fn a_mistake_is_shown_as_compilers_show_it() {
        let text = "r0 = 1\n\tr12 = 3\nexit\n";
        let shown = show(text, 8, 11);
        assert_eq!(shown, "error: no\n --> x.s:2:2\n  |\n2 |  r12 = 3\n  |  ^^^");
    }

    #[test]
    fn of_a_long_line_the_neighbourhood_is_shown() {
        // A width of formatting has 16 bits.
        let text = format!("{}r12 = 3; {}", "r0 = 1; ".repeat(10_000), "r0 = 1; ".repeat(10_000));
        let shown = show(&text, 80_000, 80_003);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[1], " --> x.s:1:80001");
        assert!(lines[3].len() < 200 && lines[3].contains("r12 = 3; "), "{}", lines[3]);
        assert_eq!(lines[3].find("r12"), lines[4].find("^^^"), "{shown}");
        let token = show(&"x".repeat(200_000), 0, 200_000);
        assert!(token.len() < 1000, "{token}");
    }

    #[test]
    fn nothing_of_the_text_drives_the_terminal() {
        let text = "r0 = 1 \x1b[31m\u{202e}; r12 = 3\n";
        let mistake = Mistake { message: "`\x1b[2J`".into(), start: 17, end: 20 };
        let shown = Diagnostics::new(vec![mistake], "x\x1b\n.s", text).to_string();
        assert!(
            !shown.contains(|c: char| c != '\n' && crate::util::escape::is_unsafe(c)),
            "{shown}"
        );
        assert!(shown.contains("x\\u001b\\u000a.s:1:"), "{shown}");
    }

    #[test]
    fn any_place_can_be_shown() {
        for text in ["", "\n", "é = 1", "a\r\nb", "a"] {
            for start in 0..=text.len() + 2 {
                for end in start..=text.len() + 2 {
                    show(text, start, end);
                }
            }
        }
    }
}
