//! What is wrong in a text, shown where it is.

use super::message::Message;
use super::statement::{Problem, Span};
use std::fmt;

/// One mistake in a text.
///
/// Displays as a compiler would:
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
    width: usize,
    text: String,
}

impl Diagnostic {
    /// The mistake at a place of a text, when it is known which line the place is in and where that begins.
    fn new(mistake: Mistake, file: &str, text: &str, line: usize, line_start: usize) -> Diagnostic {
        let Mistake { message, start, end } = mistake;
        let shown = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let place = text.get(line_start..start).unwrap_or_default();
        let marked = text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
        Diagnostic {
            message,
            file: file.into(),
            line,
            column: place.chars().count() + 1,
            width: marked.chars().count().max(1),
            text: shown.into(),
        }
    }

    /// What is wrong, one line.
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
        let Diagnostic { message, file, line, column, width, text } = self;
        let margin = line.to_string().len();
        writeln!(f, "error: {message}")?;
        writeln!(f, "{:margin$}--> {file}:{line}:{column}", "")?;
        writeln!(f, "{:margin$} |", "")?;
        // A tab is as wide as the terminal likes: as one space each, the caret stands right.
        writeln!(f, "{line} | {}", text.replace('\t', " "))?;
        write!(f, "{:margin$} | {:indent$}{:^<width$}", "", "", "^", indent = column - 1)
    }
}

/// What is wrong, and at which bytes of the text.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub message: String,
    pub start: usize,
    pub end: usize,
}

impl Mistake {
    /// A problem that the reader of statements found.
    pub(super) fn of(problem: &Problem, text: &str) -> Mistake {
        let mut message = Message::new();
        problem.write(text.as_bytes(), &mut message);
        let Span { start, end } = problem.span;
        Mistake { message: message.as_str().into(), start, end }
    }
}

/// All mistakes of a text, in its order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Brings mistakes into the order of the text, and finds the line of each on one way through it.
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

    /// The mistakes one by one.
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
