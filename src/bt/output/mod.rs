//! The output of scripts, as bpftrace prints it: text, or a line of JSON for each event.
//!
//! An [`Output`] turns events into bytes and does no I/O itself: what has been written is taken from it, for standard output
//! and for standard error.
//!
//! ```
//! use rawbpf::bt::output::{Map, Options, Output};
//! use rawbpf::bt::value::Value;
//!
//! let mut output = Output::new(Options::default());
//! let entries = [(Value::from("cat"), Value::Count(7)), (Value::from("sh"), Value::Count(2))];
//! output.map(&Map::keyed("@", entries));
//! assert_eq!(output.out(), b"@[sh]: 2\n@[cat]: 7\n");
//! ```
//!
//! # Differences from bpftrace 0.27.1
//!
//! - `printf` pads, cuts and signs as C does, where 0.27.1 ignores precisions and the space flag, pads `%05s` with zeros, and
//!   puts zeros before the prefix of `%#08x`.
//! - Numbers are in ascending order also where they are negative or above the greatest signed number.
//! - What a command run by `system()` writes is passed on as it is, without a line feed after it, as in 0.17.
//! - JSON is always valid: UTF-8 is kept, and bytes that are not UTF-8 become private code points, U+EF00 plus the byte.
//! - Control characters in strings from outside are escaped if the output is a terminal ([`ControlCharacters`]). Elsewhere the bytes of
//!   strings are those that bpftrace writes, since scripts and what reads them depend on them.
//! - Names of symbols and of their files are always escaped, `\\u001b`: scripts do not depend on their bytes, and the
//!   author of an executable chooses them.
//! - A warning of the same kind at the same place is written once, and counted at the end.

mod digits;
mod escape;
mod hist;
mod json;
mod map;
pub mod printf;
mod problem;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use escape::ControlCharacters;
pub use map::Map;
pub use problem::{Problem, Severity, SourceSpan};
pub use time::WallTime;

use crate::bt::value::Value;
use escape::{push_json, push_text};
use printf::{Arg, Format};
use problem::Problems;
use std::io::{self, Write};
use text::Style;

/// A format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OutputFormat {
    /// Text.
    #[default]
    Text,
    /// JSON objects, one on each line.
    Json,
}

/// Options of an [`Output`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Options {
    /// The format.
    pub format: OutputFormat,
    /// The treatment of control characters in text: [`ControlCharacters::Escape`] if standard output is a terminal.
    pub controls: ControlCharacters,
}

impl Options {
    /// Chooses the format.
    #[must_use]
    pub const fn format(mut self, format: OutputFormat) -> Options {
        self.format = format;
        self
    }

    /// Chooses the treatment of control characters in text.
    #[must_use]
    pub const fn controls(mut self, controls: ControlCharacters) -> Options {
        self.controls = controls;
        self
    }
}

/// The output of a script.
///
/// Text for standard output and for standard error gathers in it, in the order of the events, until it is taken. In JSON,
/// all events go to standard output.
#[derive(Debug, Default)]
pub struct Output {
    options: Options,
    out: Vec<u8>,
    messages: Vec<u8>,
    /// Text on its way into a JSON string.
    scratch: Vec<u8>,
    problems: Problems,
}

impl Output {
    /// Creates an output in which nothing has been written yet.
    pub fn new(options: Options) -> Output {
        Output { options, ..Output::default() }
    }

    /// Returns what has been written for standard output and not yet taken.
    pub fn out(&self) -> &[u8] {
        &self.out
    }

    /// Returns what has been written for standard error and not yet taken.
    pub fn messages(&self) -> &[u8] {
        &self.messages
    }

    /// Removes bytes from the beginning of [`out`](Output::out), which have been written.
    pub fn take_out(&mut self, bytes: usize) {
        self.out.drain(..bytes.min(self.out.len()));
    }

    /// Removes the [`messages`](Output::messages), which have been written.
    pub fn take_messages(&mut self) {
        self.messages.clear();
    }

    /// Writes to standard output and standard error what gathered for them. What could not be written is kept.
    ///
    /// # Errors
    /// The errors of the writers.
    pub fn drain(&mut self, mut out: impl Write, mut messages: impl Write) -> io::Result<()> {
        drain(&mut self.out, &mut out)?;
        drain(&mut self.messages, &mut messages)
    }

    /// Writes the result of `printf()`.
    pub fn printf<'a>(&mut self, format: &Format, args: impl IntoIterator<Item = Arg<'a>>) {
        match self.options.format {
            OutputFormat::Text => format.write(&mut self.out, self.options.controls, args),
            OutputFormat::Json => {
                self.scratch.clear();
                format.write(&mut self.scratch, ControlCharacters::Keep, args);
                push_event(&mut self.out, "printf", |out| push_json(out, &self.scratch));
            }
        }
    }

    /// Writes the result of `print()` of a value that is no map.
    pub fn value(&mut self, value: &Value) {
        match self.options.format {
            OutputFormat::Text => {
                text::push_value(&mut self.out, value, Style::text(self.options.controls));
                self.out.push(b'\n');
            }
            OutputFormat::Json => {
                push_event(&mut self.out, "value", |out| json::push_value(out, value));
            }
        }
    }

    /// Writes the result of `print()` of a map. Nothing if it is empty.
    pub fn map(&mut self, map: &Map) {
        match self.options.format {
            _ if map.is_empty() => {}
            OutputFormat::Text => text::push_map(&mut self.out, map, self.options.controls),
            OutputFormat::Json => {
                push_event(&mut self.out, json::map_type(map), |out| json::push_map(out, map));
            }
        }
    }

    /// Writes what comes between the last event and the maps that are printed at the end.
    pub fn end_of_events(&mut self) {
        if self.options.format == OutputFormat::Text {
            self.out.extend_from_slice(b"\n\n");
        }
    }

    /// Writes the result of `time()`.
    pub fn time(&mut self, text: &[u8]) {
        self.string("time", text);
    }

    /// Writes the result of `join()`: strings with a delimiter in between.
    pub fn join<'a>(&mut self, strings: impl IntoIterator<Item = &'a [u8]>, delimiter: &[u8]) {
        self.scratch.clear();
        for (place, string) in strings.into_iter().enumerate() {
            if place > 0 {
                self.scratch.extend_from_slice(delimiter);
            }
            self.scratch.extend_from_slice(string);
        }
        let text = std::mem::take(&mut self.scratch);
        self.string("join", &text);
        if self.options.format == OutputFormat::Text {
            self.out.push(b'\n');
        }
        self.scratch = text;
    }

    /// Writes the data that `cat()` has read.
    pub fn cat(&mut self, contents: &[u8]) {
        self.string("cat", contents);
    }

    /// Writes the output of a command run by `system()`.
    pub fn system(&mut self, output: &[u8]) {
        self.string("syscall", output);
    }

    /// Writes how many probes have been attached.
    pub fn attached_probes(&mut self, probes: u64) {
        let plural = if probes == 1 { "" } else { "s" };
        // Writing to a Vec does not fail.
        _ = match self.options.format {
            OutputFormat::Text => writeln!(self.messages, "Attached {probes} probe{plural}"),
            OutputFormat::Json => writeln!(
                self.out,
                r#"{{"type": "attached_probes", "count": {probes}, "data": {{"probes": {probes}}}}}"#
            ),
        };
    }

    /// Writes the number of events lost since the last report, and by CPU how many; nothing if none were.
    pub fn lost_events(&mut self, by_cpu: &[(u32, u64)]) {
        let events: u64 = by_cpu.iter().map(|(_, events)| events).sum();
        let plural = if events == 1 { "" } else { "s" };
        // Writing to a Vec does not fail.
        match self.options.format {
            _ if events == 0 => {}
            OutputFormat::Text => {
                _ = write!(self.messages, "Lost {events} event{plural}");
                if by_cpu.len() > 1 {
                    let out = &mut self.messages;
                    json::push_list(out, b" (", by_cpu, b", ", b")", |out, (cpu, events)| {
                        _ = write!(out, "CPU {cpu}: {events}");
                    });
                }
                self.messages.push(b'\n');
            }
            OutputFormat::Json => push_event(&mut self.out, "lost_events", |out| {
                _ = write!(out, r#"{{"events": {events}, "cpus": "#);
                json::push_list(out, b"{", by_cpu, b", ", b"}}", |out, (cpu, events)| {
                    _ = write!(out, r#""{cpu}": {events}"#);
                });
            }),
        }
    }

    /// Writes a problem that a script had while it ran. If it is one that was already written for the same place, it
    /// is only counted; a map that is full is written once, whatever the place.
    pub fn problem(&mut self, place: &SourceSpan<'_>, problem: &Problem<'_>) {
        self.problem_times(place, problem, 1);
    }

    /// The same of a problem that occurred some times.
    pub fn problem_times(&mut self, place: &SourceSpan<'_>, problem: &Problem<'_>, times: u64) {
        if self.problems.is_new(place, problem, times) {
            match self.options.format {
                OutputFormat::Text => problem::push_text(&mut self.messages, place, problem),
                OutputFormat::Json => problem::push_json(&mut self.out, place, problem),
            }
        }
    }

    /// Writes a failure: `ERROR: failed to open file '/x' (…)`.
    pub fn failure(&mut self, text: &str) {
        self.notice("ERROR", "error", text);
    }

    /// Writes a warning that has no place in the script.
    pub fn warning(&mut self, text: &str) {
        self.notice("WARNING", "warning", text);
    }

    fn notice(&mut self, label: &str, kind: &str, text: &str) {
        match self.options.format {
            OutputFormat::Text => {
                self.messages.extend_from_slice(label.as_bytes());
                self.messages.extend_from_slice(b": ");
                push_text(&mut self.messages, text.as_bytes(), ControlCharacters::Escape);
                self.messages.push(b'\n');
            }
            OutputFormat::Json => {
                push_event(&mut self.out, kind, |out| push_json(out, text.as_bytes()));
            }
        }
    }

    /// Writes how often problems occurred that were written once only.
    pub fn repeated_problems(&mut self) {
        for (name, repeated) in self.problems.take_repeated() {
            match self.options.format {
                OutputFormat::Text => {
                    // Writing to a Vec does not fail.
                    _ = writeln!(self.messages, "WARNING: {name}: {repeated} more of these");
                }
                OutputFormat::Json => push_event(&mut self.out, "repeated_errors", |out| {
                    out.extend_from_slice(b"{\"msg\": ");
                    push_json(out, name.as_bytes());
                    _ = write!(out, ", \"count\": {repeated}}}");
                }),
            }
        }
    }

    /// Writes the result of `errorf()` or `warnf()`.
    pub fn message<'a>(
        &mut self,
        place: &SourceSpan<'_>,
        severity: Severity,
        format: &Format,
        args: impl IntoIterator<Item = Arg<'a>>,
    ) {
        let text = self.options.format == OutputFormat::Text;
        // Standard error can be a terminal when standard output is none.
        let controls = if text { ControlCharacters::Escape } else { ControlCharacters::Keep };
        self.scratch.clear();
        format.write(&mut self.scratch, controls, args);
        if text {
            problem::push_message(&mut self.messages, place, severity, &self.scratch);
        } else {
            problem::push_json_message(&mut self.out, place, severity, &self.scratch);
        }
    }

    /// Writes text that came from outside.
    fn string(&mut self, kind: &str, bytes: &[u8]) {
        match self.options.format {
            OutputFormat::Text => push_text(&mut self.out, bytes, self.options.controls),
            OutputFormat::Json => push_event(&mut self.out, kind, |out| push_json(out, bytes)),
        }
    }
}

/// Appends a line of JSON.
fn push_event(out: &mut Vec<u8>, kind: &str, push_data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"type\": \"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\", \"data\": ");
    push_data(out);
    out.extend_from_slice(b"}\n");
}

/// Writes bytes and removes those that were written.
fn drain(bytes: &mut Vec<u8>, to: &mut impl Write) -> io::Result<()> {
    let mut done = 0;
    let result = loop {
        match bytes.get(done..) {
            None | Some([]) => break to.flush(),
            Some(rest) => match to.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            },
        }
    };
    bytes.drain(..done.min(bytes.len()));
    result
}
