//! Printing of events: columns as bcc's tools have them, or a JSON object a line.

use super::{Failure, Format};
use serde_json::json;
use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};

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
    /// When it sent them, nanoseconds of `CLOCK_MONOTONIC`, where the kernel notes it.
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

/// Where the bytes of a sample stand.
const DATA: usize = 44;

/// Standard output, in one of the formats.
pub(super) struct Output {
    format: Format,
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// Starts the output, with headings if people are to read it.
    pub(super) fn new(format: Format, headings: &[&str]) -> Result<Output, Failure> {
        let mut output = Output { format, out: BufWriter::new(io::stdout().lock()) };
        if format == Format::Text {
            for headings in headings {
                output.done(|out| writeln!(out, "{headings}"))?;
            }
            output.flush()?;
        }
        Ok(output)
    }

    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let Row { time, pid, .. } = *row;
        let (comm, message) = (readable(&row.comm), readable(row.message));
        match self.format {
            Format::Text => {
                let time = format!("{}.{:09}", time / 1_000_000_000, time % 1_000_000_000);
                self.done(|out| writeln!(out, "{time:<18} {comm:<16} {pid:<6} {message}"))
            }
            Format::Json => {
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
        let line = readable(line);
        match self.format {
            Format::Text => self.done(|out| writeln!(out, "{:42} {line}", "")),
            Format::Json => {
                let more = json!({ "more": line });
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
        self.done(Write::flush)
    }

    fn done(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        write(&mut self.out).map_err(failed)
    }
}

/// Why standard output took no more.
pub(super) fn failed(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Other(format!("cannot write to standard output: {error}")),
    }
}

/// Text that came from the kernel, fit for a terminal: what is not UTF-8 is marked, and control characters
/// (a process can call itself anything) are shown escaped.
pub(super) fn readable(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if text.chars().any(char::is_control) {
        text.chars()
            .flat_map(|c| {
                let escaped = c.is_control().then(|| c.escape_default());
                let plain = (!c.is_control()).then_some(c);
                escaped.into_iter().flatten().chain(plain)
            })
            .collect::<String>()
            .into()
    } else {
        text
    }
}

/// A byte as people write it down who look for text: a dot for what is none.
fn character(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { byte.into() } else { '.' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        assert_eq!(readable(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(readable(b"tmux: server"), "tmux: server");
        assert_eq!(readable(b"\xff!"), "\u{fffd}!");
    }
}
