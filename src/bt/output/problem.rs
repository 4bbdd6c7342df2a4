//! Problems that scripts have while they run, with the place in the script.

use super::escape::{ControlCharacters, push_json as push_json_string, push_text as push_outside};
use std::io::{self, Write};

/// A place in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceSpan<'a> {
    /// The name of the script, or `stdin`.
    pub file: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The first column, from 1.
    pub column: usize,
    /// The column after the last.
    pub end: usize,
    /// The text of the line.
    pub source: &'a str,
}

/// A problem that a script had while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem<'a> {
    /// A division or remainder by 0.
    DivisionByZero,
    /// A map has no room for another key.
    MapFull {
        /// The name of the map, with its `@`.
        map: &'a str,
        /// The number of keys that it has room for.
        max_entries: u32,
    },
    /// An element of a map could not be stored, for another reason than that the map is full.
    NotStored {
        /// The name of the map, with its `@`.
        map: &'a str,
        /// The result of the kernel's function, a negative error number.
        result: i64,
    },
    /// A helper function of the kernel failed.
    Helper {
        /// The name of the helper, such as `probe_read_user`.
        name: &'a str,
        /// Its result, a negative error number.
        result: i64,
    },
}

/// A severity of the messages that a script writes by `errorf()` and `warnf()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// `errorf()`.
    Error,
    /// `warnf()`.
    Warning,
}

impl Severity {
    const fn label(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        }
    }
}

impl Problem<'_> {
    fn message(&self) -> String {
        match self {
            Problem::DivisionByZero => {
                "Divide or modulo by 0 detected: the result of a division by 0 is 1".into()
            }
            Problem::MapFull { map, max_entries } => format!(
                "Map full; can't update element: {map} has room for {max_entries} keys, and further ones are not \
                 stored. Raise max_map_keys (config = {{ max_map_keys = … }}, BPFTRACE_MAX_MAP_KEYS), or declare the map \
                 with its size (let {map} = hash(…);)"
            ),
            Problem::NotStored { map, result } => format!(
                "Can't update element of {map}: {} (helper map_update_elem, result {result})",
                error_text(*result)
            ),
            Problem::Helper { name, result } => {
                format!("{} (helper {name}, result {result})", error_text(*result))
            }
        }
    }
}

/// The text of a negative error number.
fn error_text(result: i64) -> String {
    let number = result.checked_neg().and_then(|number| i32::try_from(number).ok());
    number.map_or_else(
        || "unknown error".into(),
        |number| {
            let text = io::Error::from_raw_os_error(number).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        },
    )
}

/// A problem by which later ones are recognized.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Division { file: String, line: usize, column: usize },
    Map(String),
    NotStored { map: String, result: i64 },
    Helper { file: String, line: usize, column: usize, name: String, result: i64 },
}

impl Known {
    fn new(place: &SourceSpan<'_>, problem: &Problem<'_>) -> Known {
        let (file, line, column) = (place.file.to_owned(), place.line, place.column);
        match *problem {
            Problem::DivisionByZero => Known::Division { file, line, column },
            Problem::MapFull { map, .. } => Known::Map(map.to_owned()),
            Problem::NotStored { map, result } => Known::NotStored { map: map.to_owned(), result },
            Problem::Helper { name, result } => {
                Known::Helper { file, line, column, name: name.to_owned(), result }
            }
        }
    }

    fn is(&self, place: &SourceSpan<'_>, problem: &Problem<'_>) -> bool {
        let at = |file: &str, line, column| {
            (file, line, column) == (place.file, place.line, place.column)
        };
        match (self, *problem) {
            (Known::Division { file, line, column }, Problem::DivisionByZero) => {
                at(file, *line, *column)
            }
            (Known::Map(known), Problem::MapFull { map, .. }) => known == map,
            (Known::NotStored { map: known, result: of }, Problem::NotStored { map, result }) => {
                known == map && *of == result
            }
            (
                Known::Helper { file, line, column, name: known, result: known_result },
                Problem::Helper { name, result },
            ) => at(file, *line, *column) && known == name && *known_result == result,
            _ => false,
        }
    }
}

/// The problems that were written, and how often each occurred again.
#[derive(Debug, Default)]
pub(super) struct Problems {
    known: Vec<(Known, u64)>,
}

impl Problems {
    /// Counts a problem that occurred some times; returns whether it is the first of its kind.
    pub(super) fn is_new(
        &mut self,
        place: &SourceSpan<'_>,
        problem: &Problem<'_>,
        times: u64,
    ) -> bool {
        match self.known.iter_mut().find(|(known, _)| known.is(place, problem)) {
            Some((_, repeated)) => {
                *repeated = repeated.saturating_add(times);
                false
            }
            None => {
                self.known.push((Known::new(place, problem), times.saturating_sub(1)));
                true
            }
        }
    }

    /// Takes the problems that occurred more than once: what to call each, and how often it was not written.
    pub(super) fn take_repeated(&mut self) -> Vec<(String, u64)> {
        let repeated = self.known.drain(..).filter(|(_, repeated)| *repeated > 0);
        let named = repeated.map(|(known, repeated)| {
            let name = match known {
                Known::Division { file, line, column } => {
                    format!("{file}:{line}:{column}: division by 0")
                }
                Known::Map(map) => format!("map {map} full"),
                Known::NotStored { map, result } => {
                    format!("map {map} not updated: {}", error_text(result))
                }
                Known::Helper { file, line, column, name, .. } => {
                    format!("{file}:{line}:{column}: failure of {name}")
                }
            };
            (name, repeated)
        });
        named.collect()
    }
}

/// Appends a problem as bpftrace writes warnings: place and message, the line, and an underline.
pub(super) fn push_text(out: &mut Vec<u8>, place: &SourceSpan<'_>, problem: &Problem<'_>) {
    push_message(out, place, Severity::Warning, problem.message().as_bytes());
    let controls = ControlCharacters::Escape;
    push_outside(out, place.source.as_bytes(), controls);
    out.push(b'\n');
    // Tabs are kept, so that the underline is aligned with the text.
    let before = place.source.chars().chain(std::iter::repeat(' '));
    for c in before.take(place.column.saturating_sub(1)) {
        out.push(if c == '\t' { b'\t' } else { b' ' });
    }
    let length = place.end.saturating_sub(place.column).max(1);
    out.resize(out.len() + length, b'~');
    out.push(b'\n');
}

/// Appends a line of place and message.
pub(super) fn push_message(
    out: &mut Vec<u8>,
    place: &SourceSpan<'_>,
    severity: Severity,
    message: &[u8],
) {
    let SourceSpan { file, line, column, end, .. } = *place;
    // Writing to a Vec does not fail.
    _ = write!(out, "{file}:{line}:{column}-{end}: {}: ", severity.label());
    out.extend_from_slice(message);
    if !message.ends_with(b"\n") {
        out.push(b'\n');
    }
}

/// Appends a problem as a line of JSON.
pub(super) fn push_json(out: &mut Vec<u8>, place: &SourceSpan<'_>, problem: &Problem<'_>) {
    let kind = match problem {
        Problem::DivisionByZero => "runtime_error",
        Problem::MapFull { .. } | Problem::NotStored { .. } | Problem::Helper { .. } => {
            "helper_error"
        }
    };
    let message = match problem {
        Problem::Helper { result, .. } => error_text(*result),
        problem => problem.message(),
    };
    push_json_start(out, kind, message.as_bytes());
    match problem {
        Problem::DivisionByZero => {}
        Problem::MapFull { map, .. } => push_json_update(out, map, i64::from(-libc::E2BIG)),
        Problem::NotStored { map, result } => push_json_update(out, map, *result),
        Problem::Helper { name, result } => {
            out.extend_from_slice(b", \"helper\": ");
            push_json_string(out, name.as_bytes());
            _ = write!(out, ", \"retcode\": {result}");
        }
    }
    push_json_end(out, place);
}

fn push_json_update(out: &mut Vec<u8>, map: &str, result: i64) {
    _ = write!(out, ", \"helper\": \"map_update_elem\", \"retcode\": {result}, \"map\": ");
    push_json_string(out, map.as_bytes());
}

/// Appends a message of `errorf()` or `warnf()` as a line of JSON.
pub(super) fn push_json_message(
    out: &mut Vec<u8>,
    place: &SourceSpan<'_>,
    severity: Severity,
    message: &[u8],
) {
    let kind = match severity {
        Severity::Error => "errorf",
        Severity::Warning => "warnf",
    };
    push_json_start(out, kind, message);
    push_json_end(out, place);
}

fn push_json_start(out: &mut Vec<u8>, kind: &str, message: &[u8]) {
    _ = write!(out, "{{\"type\": \"{kind}\", \"msg\": ");
    push_json_string(out, message);
}

fn push_json_end(out: &mut Vec<u8>, place: &SourceSpan<'_>) {
    out.extend_from_slice(b", \"filename\": ");
    push_json_string(out, place.file.as_bytes());
    _ = writeln!(out, ", \"line\": {}, \"col\": {}}}", place.line, place.column);
}
