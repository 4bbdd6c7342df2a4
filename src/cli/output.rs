//! Printing of events: columns as bcc's tools have them, or a JSON object a line.

use super::{Failure, Format, stdio};
use crate::util::escape;
use serde_json::json;
use std::borrow::Cow;
use std::fmt::Write as _;

/// One event, as the tutorial's programs report it.
pub(super) struct Row<'a> {
    /// Nanoseconds; since when is the program's affair.
    pub time: u64,
    pub comm: Cow<'a, [u8]>,
    pub pid: u32,
    pub message: &'a [u8],
}

/// Bytes that a program has sent, and whose form only it knows.
pub(super) struct Sample<'a> {
    /// The time at which it sent them, nanoseconds of `CLOCK_MONOTONIC`, where the kernel notes it.
    pub time: Option<u64>,
    /// The map that it sent them through.
    pub map: &'a str,
    /// The CPU that it ran on, where that is known.
    pub cpu: Option<u32>,
    pub bytes: &'a [u8],
}

/// The headings of rows.
pub(super) const ROWS: &str = "TIME(s)            COMM             PID    MESSAGE";

/// The headings of samples.
pub(super) const SAMPLES: &str = "TIME(s)        MAP              CPU  SIZE   DATA";

/// The column at which the bytes of a sample begin.
const DATA: usize = 44;

/// Standard output, in one of the formats.
pub(super) struct Output {
    format: Format,
    out: String,
}

/// The length from which on output is written without a flush.
const LONG: usize = 8 << 10;

impl Output {
    /// Starts the output, with headings if people are to read it.
    pub(super) fn new(format: Format, headings: &[&str]) -> Result<Output, Failure> {
        let mut output = Output { format, out: String::new() };
        if format == Format::Text {
            headings.iter().for_each(|headings| output.out += &format!("{headings}\n"));
            output.flush()?;
        }
        Ok(output)
    }

    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let Row { time, pid, .. } = *row;
        match self.format {
            Format::Text => {
                let (comm, message) = (readable(&row.comm), readable(row.message));
                let time = format!("{}.{:09}", time / 1_000_000_000, time % 1_000_000_000);
                self.done(|out| writeln!(out, "{time:<18} {comm:<16} {pid:<6} {message}"))
            }
            Format::Json => {
                let (comm, message) = (escape::text(&row.comm), escape::text(row.message));
                let event =
                    json!({ "time_ns": time, "comm": comm, "pid": pid, "message": message });
                self.done(|out| writeln!(out, "{event}"))
            }
        }
    }

    /// Bytes, in hexadecimal and as text, sixteen a line as `hexdump -C` has them.
    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Failure> {
        let Sample { time, map, cpu, bytes } = *sample;
        let size = bytes.len();
        match self.format {
            Format::Text => {
                let cpu = cpu.map_or("-".into(), |cpu| cpu.to_string());
                let time = time
                    .map(|time| format!("{}.{:06}", time / 1_000_000_000, time / 1000 % 1_000_000));
                let time = time.unwrap_or("-".into());
                let mut start = format!("{time:<14} {map:<16} {cpu:<4} {size:<6} ");
                self.done(|out| {
                    for line in bytes.chunks(16) {
                        let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                        let text: String = line.iter().copied().map(character).collect();
                        writeln!(out, "{start}{:<47}  |{text}|", hex.join(" "))?;
                        start = " ".repeat(DATA);
                    }
                    if bytes.is_empty() { writeln!(out, "{start}") } else { Ok(()) }
                })
            }
            Format::Json => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let text: String = bytes.iter().copied().map(character).collect();
                let sample = json!({
                    "time_ns": time, "map": map, "cpu": cpu, "size": size, "data": hex, "text": text
                });
                self.done(|out| writeln!(out, "{sample}"))
            }
        }
    }

    /// A line that goes on with the message of the row before it.
    pub(super) fn more(&mut self, line: &[u8]) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.done(|out| writeln!(out, "{:42} {}", "", readable(line))),
            Format::Json => {
                let more = json!({ "more": escape::text(line) });
                self.done(|out| writeln!(out, "{more}"))
            }
        }
    }

    /// Reports events that the kernel had no room for. In text that is left to the summary at the end.
    pub(super) fn lost(&mut self, count: u64, cpu: u32) -> Result<(), Failure> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => {
                let event = json!({ "lost": count, "cpu": cpu });
                self.done(|out| writeln!(out, "{event}"))
            }
        }
    }

    /// Makes what was printed visible.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let done = stdio::print(&self.out);
        self.out.clear();
        done
    }

    fn done(&mut self, write: impl FnOnce(&mut String) -> std::fmt::Result) -> Result<(), Failure> {
        // Writing to a string does not fail.
        let _ = write(&mut self.out);
        if self.out.len() < LONG { Ok(()) } else { self.flush() }
    }
}

/// Text that came from the kernel, fit for a line: a process can call itself anything.
pub(super) fn readable(bytes: &[u8]) -> String {
    escape::shown_bytes(bytes).to_string()
}

/// A byte as in the text column of a hex dump: a dot if it is not printable.
fn character(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { byte.into() } else { '.' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        assert_eq!(readable(b"a\x1b[2Jb\n"), "a\\u001b[2Jb\\u000a");
        assert_eq!(readable(b"tmux: server"), "tmux: server");
        assert_eq!(readable(b"\xff!"), "\\xff!");
    }
}
