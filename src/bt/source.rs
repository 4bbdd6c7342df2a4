//! The text of a script and places in it.

use crate::util::lines::without_mark;
use std::sync::Arc;

/// A range of bytes of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// Returns a range.
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: clamp(start), end: clamp(end) }
    }

    /// Returns the range from the beginning of this one to the end of the other.
    pub(crate) fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end.max(self.start) }
    }
}

fn clamp(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The largest script, in bytes.
pub(crate) const MAX_SIZE: usize = 16 << 20;

/// A script: its name in messages, its text, and where its lines begin.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its name: `stdin` for `-e`, else the path.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    lines: Arc<[u32]>,
}

/// A place for error messages: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Source {
    /// Takes a script.
    pub(crate) fn new(name: &str, text: &str) -> Source {
        let text = without_mark(text);
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| clamp(at + 1))).collect();
        Source { name: name.into(), text: text.into(), lines }
    }

    /// Returns the line and column of a byte.
    pub(crate) fn position(&self, at: u32) -> Position {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.as_bytes().get(start as usize..at as usize).unwrap_or_default();
        Position { line, column: String::from_utf8_lossy(before).chars().count() + 1 }
    }

    /// Returns the text of a line without its end, counted from 1.
    pub(crate) fn line(&self, line: usize) -> &str {
        let start = self.lines.get(line.wrapping_sub(1)).map_or(self.text.len(), |at| *at as usize);
        let end = self.lines.get(line).map_or(self.text.len(), |at| *at as usize);
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// Returns the text of a range.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns() {
        let source = Source::new("stdin", "ab\né = 1\n\nx");
        let at = |at| {
            let Position { line, column } = source.position(at);
            (line, column)
        };
        assert_eq!(
            [at(0), at(2), at(3), at(5), at(10), at(11), at(99)],
            [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (4, 1), (4, 1)]
        );
        assert_eq!(source.line(2), "é = 1");
        // A byte order mark is no part of the script.
        let marked = Source::new("stdin", "\u{feff}ab");
        assert_eq!((&*marked.text, marked.position(1).column), ("ab", 2));
        assert_eq!(
            (source.line(0), source.line(3), source.line(4), source.line(5)),
            ("", "", "x", "")
        );
    }
}
