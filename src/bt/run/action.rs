//! The actions that records ask for.

use super::layout::Reader;
use super::sink::Sink;
use crate::bt::format;
use crate::bt::hir::{Async, MapId, Program};
use crate::bt::output::printf::{Arg, Format};
use crate::bt::output::{ControlCharacters, Problem, Severity, SourceSpan, WallTime};
use crate::bt::plan::{self, RecordField, RecordKind};
use crate::bt::source::{Source, Span};
use crate::bt::value::Value;
use crate::util::escape::shown_bytes;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

/// A kind of record: its action, and the values of it.
#[derive(Debug)]
pub(super) struct Record {
    pub action: Action,
    pub fields: Vec<RecordField>,
    pub span: Span,
}

/// The action that a record asks for.
#[derive(Debug)]
pub(super) enum Action {
    Printf(Text),
    Message(Severity, Text),
    System(Text),
    Cat(Text),
    PrintValue,
    PrintMap { map: MapId, top: u32, div: u32 },
    PrintElement(MapId),
    Clear(MapId),
    Zero(MapId),
    Exit,
    Time(Arc<[u8]>),
    Join(Arc<[u8]>),
    DivisionByZero,
    Helper(&'static str),
}

/// A format.
#[derive(Debug)]
pub(super) enum Text {
    /// A fixed format.
    Fixed(Format),
    /// A format with widths that are arguments.
    Starred(format::Format),
}

impl Record {
    /// Returns the record without what only the compiler needs.
    pub(super) fn new(record: &plan::Record<'_>, program: &Program) -> Record {
        let text = |id: crate::bt::hir::FormatId| {
            let format = program.formats.get(id.0 as usize).cloned().unwrap_or_default();
            Text::new(format)
        };
        let action = match record.kind {
            RecordKind::DivisionByZero => Action::DivisionByZero,
            RecordKind::Helper(name) => Action::Helper(name),
            RecordKind::Async(action) => match action {
                Async::Printf(format, _) => Action::Printf(text(*format)),
                Async::Message { warning, format, .. } => {
                    let severity = if *warning { Severity::Warning } else { Severity::Error };
                    Action::Message(severity, text(*format))
                }
                Async::System(format, _) => Action::System(text(*format)),
                Async::Cat(format, _) => Action::Cat(text(*format)),
                Async::PrintValue(_) => Action::PrintValue,
                Async::PrintMap { map, top, div } => {
                    Action::PrintMap { map: *map, top: *top, div: *div }
                }
                Async::PrintElement { map, .. } => Action::PrintElement(*map),
                Async::Clear(map) => Action::Clear(*map),
                Async::Zero(map) => Action::Zero(*map),
                Async::Exit(_) => Action::Exit,
                Async::Time(format) => Action::Time(Arc::clone(format)),
                Async::Join { separator, .. } => Action::Join(Arc::clone(separator)),
            },
        };
        Record { action, fields: record.fields.clone(), span: record.span }
    }

    /// Returns the bytes of a field.
    fn bytes<'b>(&self, index: usize, bytes: &'b [u8]) -> &'b [u8] {
        let offset = self.fields.get(index).map(|field| field.offset as usize);
        offset.and_then(|offset| bytes.get(offset..)).unwrap_or_default()
    }

    /// Returns an integer field, extended to 64 bits.
    pub(super) fn number(&self, index: usize, reader: &mut Reader, bytes: &[u8]) -> i64 {
        let Some(field) = self.fields.get(index) else { return 0 };
        match reader.value(&field.ty, self.bytes(index, bytes)) {
            Value::Uint(value) => value.cast_signed(),
            value => value.as_i64().unwrap_or_default(),
        }
    }

    /// Returns the value of a field.
    pub(super) fn value(&self, index: usize, reader: &mut Reader, bytes: &[u8]) -> Value {
        match self.fields.get(index) {
            Some(field) => reader.value(&field.ty, self.bytes(index, bytes)),
            None => Value::Uint(0),
        }
    }

    /// Returns the bytes of the first field, as long as a key is.
    pub(super) fn key<'b>(&self, size: usize, bytes: &'b [u8]) -> &'b [u8] {
        let bytes = self.bytes(0, bytes);
        bytes.get(..size).unwrap_or(bytes)
    }

    /// Passes the format and the arguments to `write`.
    pub(super) fn format(
        &self,
        text: &Text,
        reader: &mut Reader,
        bytes: &[u8],
        write: &mut dyn FnMut(&Format, &mut dyn Iterator<Item = Arg<'_>>),
    ) {
        let mut arguments = self
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| reader.argument(&field.ty, self.bytes(index, bytes)));
        match text {
            Text::Fixed(format) => write(format, &mut arguments),
            Text::Starred(format) => {
                let all: Vec<_> = arguments.collect();
                let (format, rest) = filled(format, all);
                write(&format, &mut rest.into_iter());
            }
        }
    }

    /// Returns the text of a format with its arguments.
    pub(super) fn text(&self, text: &Text, reader: &mut Reader, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.format(text, reader, bytes, &mut |format, arguments| {
            format.write(&mut out, ControlCharacters::Keep, arguments);
        });
        out
    }

    /// Passes the strings of `join()`.
    pub(super) fn join(
        &self,
        separator: &[u8],
        reader: &mut Reader,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let count = usize::try_from(self.number(0, reader, bytes)).unwrap_or_default();
        let count = count.min(plan::JOINED as usize);
        let values = (1..=count).map(|index| self.value(index, reader, bytes)).collect::<Vec<_>>();
        let mut strings = values.iter().filter_map(Value::as_bytes);
        sink.join(&mut strings, separator);
    }

    /// Reports a problem of the script at the place of the record.
    pub(super) fn problem(&self, source: &Source, problem: &Problem<'_>, sink: &mut dyn Sink) {
        at(source, self.span, |place| sink.problem(place, problem, 1));
    }
}

/// Calls `f` with a place in the script.
pub(super) fn at(source: &Source, span: Span, f: impl FnOnce(&SourceSpan<'_>)) {
    let (start, end) = (source.position(span.start), source.position(span.end));
    let text = source.line(start.line);
    let last = if end.line == start.line { end.column } else { text.chars().count() + 1 };
    f(&SourceSpan {
        file: &source.name,
        line: start.line,
        column: start.column,
        end: last,
        source: text,
    });
}

/// Returns the text of `time()` for this moment.
pub(super) fn time(format: &[u8]) -> Vec<u8> {
    WallTime::from(SystemTime::now()).time(format)
}

/// Reads the file that `cat()` prints.
pub(super) fn cat(path: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| {
        let error = error.to_string();
        let reason = error.split(" (os error").next().unwrap_or_default().to_owned();
        format!("failed to open file '{}' ({reason})", shown_bytes(path))
    };
    // A FIFO without a writer, or a terminal, would be waited for, while the run goes on and cannot be ended.
    let mut options = File::options();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = file.open(OsStr::from_bytes(path)).map_err(failed)?;
    let mut contents = Vec::new();
    file.take(most).read_to_end(&mut contents).map_err(failed)?;
    Ok(contents)
}

/// Runs a shell command and returns its standard output.
pub(super) fn system(shell: fn() -> Command, command: &[u8]) -> Result<Vec<u8>, String> {
    let output =
        shell().arg(OsStr::from_bytes(command)).stderr(std::process::Stdio::inherit()).output();
    output
        .map(|output| output.stdout)
        .map_err(|error| format!("system: cannot run `{}`: {error}", shown_bytes(command)))
}

impl Text {
    /// Reads a format for printing.
    pub(super) fn new(format: format::Format) -> Text {
        let starred = format.pieces.iter().any(|piece| match piece {
            format::Piece::Conversion(of) => {
                of.width == format::Width::Argument || of.precision == Some(format::Width::Argument)
            }
            format::Piece::Text(_) => false,
        });
        match starred {
            true => Text::Starred(format),
            false => Text::Fixed(printed(&format)),
        }
    }
}

/// Puts the arguments for widths into a format, and returns the others.
fn filled<'a>(format: &format::Format, arguments: Vec<Arg<'a>>) -> (Format, Vec<Arg<'a>>) {
    let (mut format, mut rest) = (format.clone(), Vec::new());
    let mut arguments = arguments.into_iter();
    for piece in &mut format.pieces {
        let format::Piece::Conversion(conversion) = piece else { continue };
        if conversion.width == format::Width::Argument {
            let width = arguments.next().map_or(0, |argument| integer(&argument));
            // A negative width is one to the left, as in C.
            conversion.left |= width < 0;
            conversion.width = fixed(width.saturating_abs());
        }
        if conversion.precision == Some(format::Width::Argument) {
            let precision = arguments.next().map_or(0, |argument| integer(&argument));
            conversion.precision = (precision >= 0).then(|| fixed(precision));
        }
        rest.extend(arguments.next());
    }
    (printed(&format), rest)
}

/// The largest width that an argument can ask for.
const WIDEST: i64 = 4096;

fn fixed(width: i64) -> format::Width {
    format::Width::Fixed(width.clamp(0, WIDEST) as u32)
}

fn integer(argument: &Arg<'_>) -> i64 {
    match argument {
        Arg::Int(value) => *value,
        Arg::Uint(value) => i64::try_from(*value).unwrap_or(i64::MAX),
        Arg::Bool(value) => i64::from(*value),
        Arg::Value(value) => value.as_i64().unwrap_or_default(),
        _ => 0,
    }
}

/// The format for printing, which is read from text.
fn printed(format: &format::Format) -> Format {
    use format::{ConversionKind as Kind, Length, Piece, Width};
    let mut text = Vec::new();
    for piece in &format.pieces {
        let conversion = match piece {
            Piece::Text(plain) => {
                for byte in plain {
                    text.push(*byte);
                    if *byte == b'%' {
                        text.push(b'%');
                    }
                }
                continue;
            }
            Piece::Conversion(conversion) => conversion,
        };
        text.push(b'%');
        let flags = [
            (conversion.left, b'-'),
            (conversion.zero, b'0'),
            (conversion.alternate, b'#'),
            (conversion.plus, b'+'),
            (conversion.space, b' '),
        ];
        text.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag));
        if let Width::Fixed(width) = conversion.width {
            text.extend(width.to_string().bytes());
        }
        match conversion.precision {
            Some(Width::Fixed(precision)) => text.extend(format!(".{precision}").bytes()),
            Some(Width::None) => text.push(b'.'),
            Some(Width::Argument) | None => {}
        }
        let length: &[u8] = match conversion.length {
            Length::Default => b"",
            Length::Char => b"hh",
            Length::Short => b"h",
            Length::Long => b"l",
            Length::LongLong => b"ll",
        };
        text.extend_from_slice(length);
        let letter: &[u8] = match conversion.kind {
            Kind::Signed => b"d",
            Kind::Unsigned => b"u",
            Kind::Hex => b"x",
            Kind::UpperHex => b"X",
            Kind::Octal => b"o",
            Kind::Char => b"c",
            Kind::Pointer => b"p",
            Kind::Str => b"s",
            Kind::Buffer => b"r",
            Kind::BufferHex => b"rx",
            Kind::BufferSpaced => b"rh",
        };
        text.extend_from_slice(letter);
    }
    // The checker lets nothing through that cannot be printed.
    Format::parse(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_name_is_not_utf8_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OsStr::from_bytes(b"a\xff"));
        std::fs::write(&path, "text").unwrap();
        let path = path.as_os_str().as_bytes();
        assert_eq!(cat(path, 3).unwrap(), b"tex");
        let refused = cat(&[path, b"\x1b"].concat(), 3).unwrap_err();
        assert!(refused.contains("/a\\xff\\u001b' (No such file"), "{refused}");
    }
}
