//! Lexer: from text to tokens, with preprocessor directives and macro expansion.
//!
//! `#include` is accepted and has no effect: the kernel's types come from its BTF. Macros of `#define` are replaced as C
//! does, with and without parameters, `#if` and its kin choose lines. Attach points have words of their own and are
//! read by [`Lexer::attach_points`].

use super::ast::{AttachPoint, Component};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::literal;
use super::source::Span;
use super::token::{PUNCTUATION, Placed, SINGLE, Token};
use std::collections::HashMap;
use std::sync::Arc;

mod directive;

/// The maximum nesting depth of macro expansions.
const MAX_FRAMES: usize = 64;

/// The maximum number of macro expansions; more are reported as an error.
const MAX_EXPANSIONS: usize = 200_000;

/// Text to read words from.
#[derive(Debug, Clone)]
struct Frame {
    text: Arc<str>,
    at: usize,
    end: usize,
    /// The place of the macro's use, if it is the text of a macro.
    place: Option<Span>,
    /// The macros whose text this is in, which are not replaced again.
    active: Option<Arc<Active>>,
    /// The macro's arguments by its parameters.
    arguments: Arc<[(Arc<str>, Argument)]>,
}

/// A macro that is being replaced, and those around it.
#[derive(Debug)]
struct Active {
    name: Arc<str>,
    outer: Option<Arc<Active>>,
}

/// An argument of a macro: text, in which the parameters of the macro stand for something in which it is used.
#[derive(Debug, Clone)]
struct Argument {
    text: Arc<str>,
    start: usize,
    end: usize,
    active: Option<Arc<Active>>,
    arguments: Arc<[(Arc<str>, Argument)]>,
}

/// A macro of `#define`.
#[derive(Debug, Clone)]
struct Macro {
    text: Arc<str>,
    start: usize,
    end: usize,
    parameters: Option<Vec<Arc<str>>>,
}

/// Reads words from a script.
#[derive(Debug)]
pub(super) struct Lexer {
    /// The script at the bottom, macros that are being replaced above it; never empty.
    frames: Vec<Frame>,
    macros: HashMap<Arc<str>, Macro>,
    /// The `#if`s around.
    conditions: Vec<directive::Condition>,
    /// The positional parameters, for attach points.
    parameters: Arc<[String]>,
    expansions: usize,
    /// Whether it reads the expression of an `#if`.
    directive: bool,
    /// The errors and warnings so far.
    pub diagnostics: Diagnostics,
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

impl Lexer {
    /// Starts at the beginning of a script, with macros that are defined already.
    pub(super) fn new(
        text: &Arc<str>,
        parameters: &Arc<[String]>,
        defined: &[(&str, String)],
    ) -> Lexer {
        let frame = Frame {
            text: Arc::clone(text),
            at: if text.starts_with("#!") { text.find('\n').unwrap_or(text.len()) } else { 0 },
            end: text.len(),
            place: None,
            active: None,
            arguments: Arc::new([]),
        };
        let mut lexer = Lexer {
            frames: vec![frame],
            macros: HashMap::new(),
            conditions: Vec::new(),
            parameters: Arc::clone(parameters),
            expansions: 0,
            directive: false,
            diagnostics: Diagnostics::default(),
        };
        for (head, body) in defined {
            lexer.define(head, body);
        }
        lexer
    }

    /// Defines a macro from outside of the script: `NAME` or `NAME(a,b)`.
    fn define(&mut self, head: &str, body: &str) {
        let (name, parameters) = match head.split_once('(') {
            None => (head, None),
            Some((name, rest)) => {
                let names = rest.trim_end_matches(')').split(',');
                (name, Some(names.map(|name| name.trim().into()).collect()))
            }
        };
        let new = Macro { text: body.into(), start: 0, end: body.len(), parameters };
        self.macros.insert(name.into(), new);
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        let frame = self.frames.last()?;
        let at = frame.at.checked_add(ahead).filter(|at| *at < frame.end)?;
        frame.text.as_bytes().get(at).copied()
    }

    /// The text of the innermost frame that is still to be read.
    fn rest(&self) -> &str {
        self.frames.last().and_then(|frame| frame.text.get(frame.at..frame.end)).unwrap_or_default()
    }

    fn at(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.at)
    }

    fn advance(&mut self, by: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.at = (frame.at + by).min(frame.end);
        }
    }

    /// The place in the script of text in the innermost frame.
    fn place(&self, start: usize, end: usize) -> Span {
        let place = self.frames.last().and_then(|frame| frame.place);
        place.unwrap_or(Span::new(start, end))
    }

    fn error(&mut self, start: usize, end: usize, message: impl Into<String>) {
        let place = self.place(start, end);
        self.diagnostics.push(Diagnostic::error(place, message));
    }

    /// Skips spaces and comments, and in the script the preprocessor's lines.
    pub(super) fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.advance(blank);
                continue;
            }
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    let (at, left) = (self.at(), rest.len());
                    self.error(at, at + 2, "comment without end: expected `*/`");
                    self.advance(left);
                    return;
                };
                length + 2
            } else if rest.starts_with("\\\n") {
                2
            } else if rest.starts_with('#') && self.frames.len() == 1 && self.at_line_start() {
                self.directive();
                continue;
            } else {
                return;
            };
            self.advance(length);
        }
    }

    fn at_line_start(&self) -> bool {
        let Some(frame) = self.frames.last() else { return false };
        let before = frame.text.get(..frame.at).unwrap_or_default();
        let line = before.rfind('\n').map_or(before, |at| before.get(at..).unwrap_or_default());
        line.trim().is_empty()
    }

    /// Reads the next word.
    pub(super) fn next(&mut self) -> Placed {
        loop {
            self.skip_blank();
            if self.rest().is_empty() {
                if self.frames.len() > 1 {
                    self.frames.pop();
                    continue;
                }
                self.close_conditions();
                let at = self.at();
                return (Token::End, Span::new(at, at));
            }
            let start = self.at();
            let token = self.word();
            let place = self.place(start, self.at());
            if let Token::Ident(name) = &token
                && self.expand(name, place)
            {
                continue;
            }
            return (token, place);
        }
    }

    /// Reads a word from the innermost frame.
    fn word(&mut self) -> Token {
        let rest = self.rest();
        let first = rest.bytes().next().unwrap_or_default();
        let length = |from: usize| {
            let tail = rest.as_bytes().get(from..).unwrap_or_default();
            from + tail.iter().take_while(|byte| is_word(**byte)).count()
        };
        match first {
            b'0'..=b'9' => {
                let text = rest.get(..length(0)).unwrap_or_default().to_owned();
                self.number(&text)
            }
            b'"' | b'\'' => self.quoted(first),
            b'$' => match rest.as_bytes().get(1) {
                Some(b'#') => {
                    self.advance(2);
                    Token::PositionalCount
                }
                Some(b'0'..=b'9') => {
                    let text = rest.get(1..length(1)).unwrap_or_default().to_owned();
                    let start = self.at();
                    self.advance(1 + text.len());
                    match text.parse() {
                        Ok(number) if number > 0 => Token::Positional(number),
                        _ => {
                            let message = format!(
                                "positional parameter: ${text}, expected a number from 1 on"
                            );
                            self.error(start, self.at(), message);
                            Token::Invalid
                        }
                    }
                }
                _ => self.named(length(1), Token::Variable),
            },
            b'@' => self.named(length(1), Token::Map),
            _ if is_word(first) => self.named(length(0), Token::Ident),
            _ => self.punctuation(),
        }
    }

    fn named(&mut self, length: usize, token: fn(Arc<str>) -> Token) -> Token {
        let name: Arc<str> = self.rest().get(..length).unwrap_or_default().into();
        let start = self.at();
        self.advance(length);
        if &*name == "$" {
            self.error(start, self.at(), "expected the name of a variable after `$`");
            return Token::Invalid;
        }
        token(name)
    }

    fn number(&mut self, text: &str) -> Token {
        let start = self.at();
        self.advance(text.len());
        match literal::integer(text) {
            Ok(value) => Token::Int(value),
            Err(message) => {
                self.error(start, self.at(), message);
                Token::Invalid
            }
        }
    }

    fn punctuation(&mut self) -> Token {
        let rest = self.rest();
        let known = PUNCTUATION.iter().chain(&SINGLE).find(|text| rest.starts_with(**text));
        if let Some(text) = known {
            self.advance(text.len());
            return Token::Punct(text);
        }
        let char = rest.chars().next().unwrap_or_default();
        let start = self.at();
        self.advance(char.len_utf8());
        self.error(start, self.at(), format!("unexpected character: `{char}`"));
        Token::Invalid
    }

    /// Reads a string or a character.
    fn quoted(&mut self, quote: u8) -> Token {
        let start = self.at();
        let Some(text) = quoted(self.rest(), quote) else {
            let line = self.rest().find('\n').unwrap_or(self.rest().len());
            self.advance(line);
            let message = format!("string without end: expected `{}`", char::from(quote));
            self.error(start, start + line, message);
            return Token::Invalid;
        };
        let text = text.to_owned();
        self.advance(text.len() + 2);
        match literal::unescape(&text) {
            Err((at, length)) => {
                let at = start + 1 + at;
                let place = self.place(at, at + length);
                let message = "unknown escape: expected one of \\n \\t \\r \\\\ \\\" \\0nn \\xnn \\a \\b \\e \\f \\v";
                self.diagnostics.push(Diagnostic::error(place, message));
                Token::Invalid
            }
            Ok(bytes) if quote == b'"' => Token::Str(bytes.into()),
            Ok(bytes) => match bytes.as_slice() {
                [byte] => Token::Int((*byte).into()),
                _ => {
                    self.error(start, self.at(), "character: expected one byte between the quotes");
                    Token::Invalid
                }
            },
        }
    }

    /// Begins to read the text that a name stands for, if it is a macro or a parameter of one.
    fn expand(&mut self, name: &Arc<str>, place: Span) -> bool {
        let Some(top) = self.frames.last() else { return false };
        let around = top.active.clone();
        let argument = top.arguments.iter().find(|(parameter, _)| parameter == name);
        if let Some((_, argument)) = argument {
            let Argument { text, start, end, active, arguments } = argument.clone();
            return self.enter(Frame {
                text,
                at: start,
                end,
                place: Some(place),
                active,
                arguments,
            });
        }
        if &**name == "defined" && self.directive {
            return false;
        }
        let mut outer = around.as_deref();
        let active = std::iter::from_fn(|| {
            let here = outer?;
            outer = here.outer.as_deref();
            Some(here)
        });
        let active = active.into_iter().any(|active| active.name == *name);
        let Some(found) = self.macros.get(name).filter(|_| !active) else { return false };
        let Macro { text, start, end, parameters } = found.clone();
        let arguments = match parameters {
            None => Arc::new([]) as Arc<[(Arc<str>, Argument)]>,
            Some(names) => {
                let Some(values) = self.macro_arguments() else { return false };
                if values.len() != names.len() {
                    let message = format!(
                        "macro `{name}`: {} arguments, expected {}",
                        values.len(),
                        names.len()
                    );
                    self.diagnostics.push(Diagnostic::error(place, message));
                }
                names.into_iter().zip(values).collect()
            }
        };
        let active = Some(Arc::new(Active { name: Arc::clone(name), outer: around }));
        self.enter(Frame { text, at: start, end, place: Some(place), active, arguments })
    }

    fn enter(&mut self, frame: Frame) -> bool {
        self.expansions += 1;
        if self.frames.len() >= MAX_FRAMES || self.expansions > MAX_EXPANSIONS {
            let place = frame.place.unwrap_or_default();
            let message = "macros are nested too deeply or become too long";
            self.diagnostics.push(Diagnostic::error(place, message));
            // Nothing that follows would make sense.
            self.frames.truncate(1);
            self.advance(usize::MAX / 2);
            self.conditions.clear();
            return true;
        }
        self.frames.push(frame);
        true
    }

    /// Reads the arguments of a macro between parentheses, if there are any.
    fn macro_arguments(&mut self) -> Option<Vec<Argument>> {
        let rest = self.rest();
        let blank = rest.len() - rest.trim_start().len();
        let inner = rest.get(blank..)?.strip_prefix('(')?;
        let from = self.at() + blank + 1;
        let (mut depth, mut start, mut at, mut ranges) = (0_u32, 0, 0, Vec::new());
        let bytes = inner.as_bytes();
        loop {
            match bytes.get(at)? {
                b'"' => at += quoted(inner.get(at..)?, b'"')?.len() + 1,
                b'(' | b'[' | b'{' => depth += 1,
                b')' if depth == 0 => break,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    ranges.push((start, at));
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        if !(ranges.is_empty() && inner.get(start..at)?.trim().is_empty()) {
            ranges.push((start, at));
        }
        let frame = self.frames.last()?;
        let argument = |(start, end)| Argument {
            text: Arc::clone(&frame.text),
            start: from + start,
            end: from + end,
            active: frame.active.clone(),
            arguments: Arc::clone(&frame.arguments),
        };
        let arguments = ranges.into_iter().map(argument).collect();
        self.advance(blank + 1 + at + 1);
        Some(arguments)
    }

    /// Reads attach points from a place in the script on, up to the predicate or the block.
    pub(super) fn attach_points(&mut self, from: u32) -> Vec<AttachPoint> {
        self.frames.truncate(1);
        if let Some(frame) = self.frames.last_mut() {
            frame.at = (from as usize).min(frame.end);
        }
        let mut points = Vec::new();
        loop {
            self.skip_blank();
            let start = self.at();
            let point = self.attach_point();
            if point.parts.iter().all(|part| part.text.is_empty()) {
                self.error(start, self.at().max(start + 1), "expected an attach point");
                return points;
            }
            points.push(point);
            self.skip_blank();
            if self.byte(0) != Some(b',') {
                return points;
            }
            self.advance(1);
        }
    }

    fn attach_point(&mut self) -> AttachPoint {
        let (start, mut parts) = (self.at(), Vec::new());
        loop {
            let first: &str = parts.first().map_or("", |part: &Component| &part.text);
            let first = first.rsplit('=').next().unwrap_or_default();
            let path = parts.len() == 1
                && matches!(first, "uprobe" | "uretprobe" | "usdt" | "u" | "ur" | "U");
            let part = self.part(path, !parts.is_empty());
            parts.push(part);
            if self.byte(0) != Some(b':') {
                return AttachPoint { parts, span: Span::new(start, self.at()) };
            }
            self.advance(1);
        }
    }

    /// Reads a part of an attach point: in a path, `/` does not begin the predicate.
    fn part(&mut self, path: bool, may_be_path: bool) -> Component {
        let start = self.at();
        let path = path || may_be_path && matches!(self.byte(0), Some(b'/' | b'.'));
        let mut part = Component { text: String::new(), quoted: None, span: Span::default() };
        loop {
            let rest = self.rest();
            let Some(char) = rest.chars().next() else { break };
            match char {
                ':' | ',' | '{' | '}' | ';' => break,
                '/' if !path => break,
                char if char.is_whitespace() => break,
                '"' => {
                    let Some(text) = quoted(rest, b'"').map(str::to_owned) else {
                        self.quoted(b'"');
                        break;
                    };
                    self.advance(text.len() + 2);
                    part.text.push_str(&text.replace("\\\"", "\""));
                    part.quoted = Some(part.text.len());
                }
                '$' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => {
                    let digits: String =
                        rest.chars().skip(1).take_while(char::is_ascii_digit).collect();
                    let index =
                        digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                    let at = self.at();
                    self.advance(1 + digits.len());
                    match index.and_then(|index| self.parameters.get(index)) {
                        Some(text) => part.text.push_str(text),
                        None => {
                            let message = format!(
                                "positional parameter ${digits}: not given, needed in an attach point"
                            );
                            self.error(at, self.at(), message);
                        }
                    }
                }
                '[' => {
                    let length = rest.find([']', '\n']).map_or(1, |end| end + 1);
                    let class =
                        rest.get(..length).filter(|class| class.ends_with(']')).unwrap_or("[");
                    let class = class.to_owned();
                    part.text.push_str(&class);
                    self.advance(class.len());
                }
                char => {
                    part.text.push(char);
                    self.advance(char.len_utf8());
                }
            }
        }
        part.span = Span::new(start, self.at());
        part
    }
}

/// The text between quotes, if they are closed on the same line.
fn quoted(text: &str, quote: u8) -> Option<&str> {
    let (bytes, mut at) = (text.as_bytes(), 1);
    loop {
        match bytes.get(at)? {
            b'\n' => return None,
            b'\\' => at += 1,
            byte if *byte == quote => return text.get(1..at),
            _ => {}
        }
        at += 1;
    }
}
