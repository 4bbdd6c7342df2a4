//! Destinations for the events of a run: an [`Output`], or an embedder that takes them as values.

use super::event::Event;
use crate::bt::output::printf::{Arg, Format};
use crate::bt::output::{ControlCharacters, Map, Options, Output, Problem, Severity, SourceSpan};
use crate::bt::value::Value;
use std::collections::VecDeque;

/// Takes events.
pub(super) trait Sink {
    fn printf(&mut self, format: &Format, arguments: &mut dyn Iterator<Item = Arg<'_>>);
    fn message(
        &mut self,
        place: &SourceSpan<'_>,
        severity: Severity,
        format: &Format,
        arguments: &mut dyn Iterator<Item = Arg<'_>>,
    );
    fn value(&mut self, value: Value);
    fn map(&mut self, map: Map);
    fn time(&mut self, text: Vec<u8>);
    fn join(&mut self, strings: &mut dyn Iterator<Item = &[u8]>, separator: &[u8]);
    fn cat(&mut self, contents: Vec<u8>);
    fn system(&mut self, output: Vec<u8>);
    fn problem(&mut self, place: &SourceSpan<'_>, problem: &Problem<'_>, times: u64);
    fn failure(&mut self, text: &str);
    fn warning(&mut self, text: &str);
    fn lost(&mut self, by_cpu: Vec<(u32, u64)>);
}

impl Sink for Output {
    fn printf(&mut self, format: &Format, arguments: &mut dyn Iterator<Item = Arg<'_>>) {
        Output::printf(self, format, arguments);
    }

    fn message(
        &mut self,
        place: &SourceSpan<'_>,
        severity: Severity,
        format: &Format,
        arguments: &mut dyn Iterator<Item = Arg<'_>>,
    ) {
        Output::message(self, place, severity, format, arguments);
    }

    fn value(&mut self, value: Value) {
        Output::value(self, &value);
    }

    fn map(&mut self, map: Map) {
        Output::map(self, &map);
    }

    fn time(&mut self, text: Vec<u8>) {
        Output::time(self, &text);
    }

    fn join(&mut self, strings: &mut dyn Iterator<Item = &[u8]>, separator: &[u8]) {
        Output::join(self, strings, separator);
    }

    fn cat(&mut self, contents: Vec<u8>) {
        Output::cat(self, &contents);
    }

    fn system(&mut self, output: Vec<u8>) {
        Output::system(self, &output);
    }

    fn problem(&mut self, place: &SourceSpan<'_>, problem: &Problem<'_>, times: u64) {
        self.problem_times(place, problem, times);
    }

    fn failure(&mut self, text: &str) {
        Output::failure(self, text);
    }

    fn warning(&mut self, text: &str) {
        Output::warning(self, text);
    }

    fn lost(&mut self, by_cpu: Vec<(u32, u64)>) {
        Output::lost_events(self, &by_cpu);
    }
}

/// Events that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub events: VecDeque<Event>,
    /// Writes messages, and records which ones it has written.
    messages: Output,
}

impl Queue {
    fn push_message(&mut self) {
        let text = String::from_utf8_lossy(self.messages.messages()).into_owned();
        // What is written to a Vec is taken whole.
        let _ = self.messages.drain(std::io::sink(), std::io::sink());
        if !text.is_empty() {
            self.events.push_back(Event::Message(text));
        }
    }
}

impl Sink for Queue {
    fn printf(&mut self, format: &Format, arguments: &mut dyn Iterator<Item = Arg<'_>>) {
        let arguments: Vec<_> = arguments.collect();
        let mut text = Vec::new();
        format.write(&mut text, ControlCharacters::Keep, arguments.iter().cloned());
        let arguments = arguments.into_iter().map(Value::from).collect();
        self.events.push_back(Event::Printf { text, arguments });
    }

    fn message(
        &mut self,
        place: &SourceSpan<'_>,
        severity: Severity,
        format: &Format,
        arguments: &mut dyn Iterator<Item = Arg<'_>>,
    ) {
        self.messages.message(place, severity, format, arguments);
        self.push_message();
    }

    fn value(&mut self, value: Value) {
        self.events.push_back(Event::Value(value));
    }

    fn map(&mut self, map: Map) {
        self.events.push_back(Event::Map(map));
    }

    fn time(&mut self, text: Vec<u8>) {
        self.events.push_back(Event::Time(text));
    }

    fn join(&mut self, strings: &mut dyn Iterator<Item = &[u8]>, separator: &[u8]) {
        let strings: Vec<_> = strings.collect();
        self.events.push_back(Event::Join(strings.join(separator)));
    }

    fn cat(&mut self, contents: Vec<u8>) {
        self.events.push_back(Event::Cat(contents));
    }

    fn system(&mut self, output: Vec<u8>) {
        self.events.push_back(Event::System(output));
    }

    fn problem(&mut self, place: &SourceSpan<'_>, problem: &Problem<'_>, times: u64) {
        self.messages.problem_times(place, problem, times);
        self.push_message();
    }

    fn failure(&mut self, text: &str) {
        self.messages.failure(text);
        self.push_message();
    }

    fn warning(&mut self, text: &str) {
        self.messages.warning(text);
        self.push_message();
    }

    fn lost(&mut self, by_cpu: Vec<(u32, u64)>) {
        let records = by_cpu.iter().map(|(_, records)| records).sum();
        if records > 0 {
            self.events.push_back(Event::Lost { records, by_cpu });
        }
    }
}

impl Queue {
    /// Returns a queue with nothing in it.
    pub(super) fn new() -> Queue {
        Queue { events: VecDeque::new(), messages: Output::new(Options::default()) }
    }
}

impl From<Arg<'_>> for Value {
    fn from(argument: Arg<'_>) -> Value {
        match argument {
            Arg::Int(value) => Value::Int(value),
            Arg::Uint(value) => Value::Uint(value),
            Arg::Bool(value) => Value::Bool(value),
            Arg::Str(text) => Value::String(text.to_vec()),
            Arg::Buf(bytes) => Value::Buffer(bytes.to_vec()),
            Arg::Value(value) => value.into_owned(),
        }
    }
}
