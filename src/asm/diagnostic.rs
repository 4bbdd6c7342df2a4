//! What is wrong in a text, shown where it is.

use super::message::Message;
use super::statement::Problem;
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
    /// A mistake in `text` at the bytes from `start` to `end`.
    pub(super) fn new(
        message: String,
        file: &str,
        text: &str,
        start: usize,
        end: usize,
    ) -> Diagnostic {
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let place = text.get(line_start..start).unwrap_or_default();
        let marked = text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
        Diagnostic {
            message,
            file: file.into(),
            line: before.matches('\n').count() + 1,
            column: place.chars().count() + 1,
            width: marked.chars().count().max(1),
            text: line.into(),
        }
    }

    /// The same of a problem that the reader of statements found.
    pub(super) fn of(problem: &Problem, file: &str, text: &str) -> Diagnostic {
        let mut message = Message::new();
        problem.write(text.as_bytes(), &mut message);
        let span = problem.span;
        Diagnostic::new(message.as_str().into(), file, text, span.start, span.end)
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

/// All mistakes of a text, in its order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub(super) Vec<Diagnostic>);

impl Diagnostics {
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

    #[test]
    fn a_mistake_is_shown_as_compilers_show_it() {
        let text = "r0 = 1\n\tr12 = 3\nexit\n";
        let shown = Diagnostic::new("no".into(), "x.s", text, 8, 11).to_string();
        assert_eq!(shown, "error: no\n --> x.s:2:2\n  |\n2 |  r12 = 3\n  |  ^^^");
    }

    #[test]
    fn any_place_can_be_shown() {
        for text in ["", "\n", "é = 1", "a\r\nb", "a"] {
            for start in 0..=text.len() + 2 {
                for end in start..=text.len() + 2 {
                    let _ = Diagnostic::new("no".into(), "x.s", text, start, end).to_string();
                }
            }
        }
    }
}
