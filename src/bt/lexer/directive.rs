//! The preprocessor's lines.

use super::{Lexer, Macro, is_word};
use crate::bt::source::Span;
use crate::bt::token::Token;
use std::sync::Arc;

/// An `#if` without its `#endif` so far.
#[derive(Debug)]
pub(super) struct Condition {
    /// Whether one of its branches has been taken.
    taken: bool,
    /// Whether its `#else` has come.
    last: bool,
    place: Span,
}

impl Lexer {
    /// Reads a line that begins with `#`, and the lines that it leaves out.
    pub(super) fn directive(&mut self) {
        let start = self.at();
        let (line, length) = logical_line(self.rest());
        let line = line.to_owned();
        self.advance(length);
        let end = start + line.trim_end().len();
        let (word, rest) = head(&line);
        let rest_at = start + line.len() - rest.len();
        match word {
            "include" | "pragma" | "line" | "ident" | "" | "warning" => {}
            "error" => self.error(start, end, format!("#error {}", rest.trim())),
            "define" => self.define_line(rest, rest_at),
            "undef" => drop(self.macros.remove(rest.trim())),
            "if" | "ifdef" | "ifndef" => {
                let place = Span::new(start, end);
                let taken = self.holds(word, rest, rest_at);
                self.conditions.push(Condition { taken, last: false, place });
                if !taken {
                    self.skip_branch();
                }
            }
            "elif" | "else" => {
                // It comes here from a branch that was taken.
                if self.conditions.is_empty() {
                    return self.error(start, end, format!("#{word} without #if"));
                }
                self.skip_branch();
            }
            "endif" => {
                if self.conditions.pop().is_none() {
                    self.error(start, end, "#endif without #if");
                }
            }
            word => {
                let message = format!("unknown preprocessor line: #{word}");
                self.error(start, end, message);
            }
        }
    }

    /// Skips lines up to the branch that is taken, or the end.
    fn skip_branch(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest().is_empty() {
                return;
            }
            let start = self.at();
            let (line, length) = logical_line(self.rest());
            let line =
                if line.trim_start().starts_with('#') { line.to_owned() } else { String::new() };
            self.advance(length);
            let (word, rest) = head(&line);
            let rest_at = start + line.len() - rest.len();
            match word {
                "if" | "ifdef" | "ifndef" => depth += 1,
                "endif" if depth > 0 => depth -= 1,
                "endif" => {
                    self.conditions.pop();
                    return;
                }
                "elif" | "else" if depth == 0 => {
                    let Some(condition) = self.conditions.last() else { return };
                    if condition.last {
                        return self.error(
                            start,
                            start + line.len(),
                            format!("#{word} after #else"),
                        );
                    }
                    let taken = condition.taken;
                    let holds = !taken && (word == "else" || self.holds("if", rest, rest_at));
                    if let Some(condition) = self.conditions.last_mut() {
                        condition.last = word == "else";
                        condition.taken |= holds;
                    }
                    if holds {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// Reports the `#if`s without `#endif`.
    pub(super) fn close_conditions(&mut self) {
        for condition in std::mem::take(&mut self.conditions) {
            let (start, end) = (condition.place.start as usize, condition.place.end as usize);
            self.error(start, end, "#if without #endif");
        }
    }

    fn define_line(&mut self, rest: &str, at: usize) {
        let trimmed = rest.trim_start();
        let at = at + rest.len() - trimmed.len();
        let length = trimmed.bytes().take_while(|byte| is_word(*byte)).count();
        let Some((name, tail)) =
            trimmed.split_at_checked(length).filter(|(name, _)| !name.is_empty())
        else {
            return self.error(at, at + 1, "#define: expected a name");
        };
        let (parameters, skipped) = match tail.strip_prefix('(') {
            None => (None, 0),
            Some(inner) => {
                let Some(end) = inner.find(')') else {
                    return self.error(
                        at,
                        at + length,
                        "#define: expected `)` after the parameters",
                    );
                };
                let names = inner.get(..end).unwrap_or_default().split(',').map(str::trim);
                let names: Vec<Arc<str>> =
                    names.filter(|name| !name.is_empty()).map(Into::into).collect();
                (Some(names), end + 2)
            }
        };
        let Some(text) = self.frames.first().map(|frame| Arc::clone(&frame.text)) else { return };
        let start = at + length + skipped;
        let end = at + trimmed.trim_end().len();
        let new = Macro { text, start: start.min(end), end, parameters };
        self.macros.insert(name.into(), new);
    }

    /// Whether the branch of an `#if` is to be taken.
    fn holds(&mut self, word: &str, rest: &str, at: usize) -> bool {
        if word != "if" {
            let length = rest.trim().bytes().take_while(|byte| is_word(*byte)).count();
            let name = rest.trim().get(..length).unwrap_or_default();
            return self.macros.contains_key(name) == (word == "ifdef");
        }
        let text: Arc<str> = rest.into();
        let mut inner = Lexer::new(&text, &self.parameters, &[]);
        inner.macros = std::mem::take(&mut self.macros);
        inner.directive = true;
        let mut condition = Expression { token: Token::End, lexer: inner, depth: 0, problem: None };
        condition.next();
        let value = condition.binary(0);
        if condition.token != Token::End && condition.problem.is_none() {
            condition.problem = Some(format!("unexpected {}", condition.token));
        }
        self.macros = std::mem::take(&mut condition.lexer.macros);
        let lexed = condition.lexer.diagnostics.0.pop().map(|found| found.message);
        if let Some(problem) = lexed.or(condition.problem) {
            let start = at + rest.len() - rest.trim_start().len();
            self.error(start, at + rest.trim_end().len(), format!("#if: {problem}"));
        }
        value != 0
    }
}

/// Splits a preprocessor directive into its first word and the rest.
fn head(line: &str) -> (&str, &str) {
    let text = line.trim_start().strip_prefix('#').unwrap_or_default().trim_start();
    let length = text.bytes().take_while(|byte| is_word(*byte)).count();
    text.split_at_checked(length).unwrap_or((text, ""))
}

/// A line with those that it goes on in after a backslash, without comments behind it; and its length with its end.
fn logical_line(text: &str) -> (&str, usize) {
    let (bytes, mut at) = (text.as_bytes(), 0);
    let mut end = None;
    let mut string = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => break,
            b'"' => string = !string,
            b'/' if !string && end.is_none() && bytes.get(at + 1) == Some(&b'/') => end = Some(at),
            b'/' if !string && end.is_none() && bytes.get(at + 1) == Some(&b'*') => {
                // A comment may go on over several lines.
                let length = text.get(at..).and_then(|rest| rest.find("*/")).unwrap_or(0);
                let comment = text.get(at..at + length).unwrap_or_default();
                if comment.contains('\n') {
                    let line = text.get(..at).unwrap_or_default();
                    return (line, at);
                }
                at += length;
            }
            _ => {}
        }
        at += 1;
    }
    let at = at.min(text.len());
    (text.get(..end.unwrap_or(at)).unwrap_or_default(), (at + 1).min(text.len()))
}

/// The expression of an `#if`.
struct Expression {
    token: Token,
    lexer: Lexer,
    depth: usize,
    problem: Option<String>,
}

impl Expression {
    fn next(&mut self) -> Token {
        let next = self.lexer.next().0;
        std::mem::replace(&mut self.token, next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = matches!(self.token, Token::Punct(punct) if punct == text);
        if found {
            self.next();
        }
        found
    }

    fn fail(&mut self, problem: impl Into<String>) -> i64 {
        self.problem.get_or_insert(problem.into());
        0
    }

    fn binary(&mut self, least: u8) -> i64 {
        let mut left = self.unary();
        while let Token::Punct(op) = self.token {
            let precedence = match op {
                "||" => 1,
                "&&" => 2,
                "|" => 3,
                "^" => 4,
                "&" => 5,
                "==" | "!=" => 6,
                "<" | ">" | "<=" | ">=" => 7,
                "<<" | ">>" => 8,
                "+" | "-" => 9,
                "*" | "/" | "%" => 10,
                _ => break,
            };
            if precedence <= least {
                break;
            }
            self.next();
            let right = self.binary(precedence);
            left = match op {
                "||" => (left != 0 || right != 0).into(),
                "&&" => (left != 0 && right != 0).into(),
                "|" => left | right,
                "^" => left ^ right,
                "&" => left & right,
                "==" => (left == right).into(),
                "!=" => (left != right).into(),
                "<" => (left < right).into(),
                ">" => (left > right).into(),
                "<=" => (left <= right).into(),
                ">=" => (left >= right).into(),
                "<<" => left.wrapping_shl(right as u32),
                ">>" => left.wrapping_shr(right as u32),
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                "/" => left.checked_div(right).unwrap_or_else(|| self.fail("division by 0")),
                _ => left.checked_rem(right).unwrap_or_else(|| self.fail("division by 0")),
            };
        }
        left
    }

    fn unary(&mut self) -> i64 {
        self.depth += 1;
        if self.depth > 64 {
            self.lexer.frames.truncate(1);
            self.lexer.advance(usize::MAX / 2);
            self.token = Token::End;
            return self.fail("nested too deeply");
        }
        let value = self.operand();
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> i64 {
        match self.token.clone() {
            Token::Int(value) => {
                self.next();
                value.cast_signed()
            }
            Token::Ident(name) if &*name == "defined" => {
                // The name must not be expanded as a macro.
                let macros = std::mem::take(&mut self.lexer.macros);
                self.next();
                let bracket = self.take("(");
                let name = match &self.token {
                    Token::Ident(name) => Arc::clone(name),
                    _ => "".into(),
                };
                let closed =
                    !bracket || matches!(self.lexer.rest().trim_start().as_bytes(), [b')', ..]);
                if bracket && closed {
                    self.next();
                }
                let found = macros.contains_key(&name);
                self.lexer.macros = macros;
                self.next();
                if name.is_empty() || !closed {
                    return self.fail("expected a name after `defined`");
                }
                found.into()
            }
            // A name that is no macro is 0, as in C.
            Token::Ident(_) => {
                self.next();
                0
            }
            Token::Punct("(") => {
                self.next();
                let value = self.binary(0);
                if !self.take(")") {
                    return self.fail("expected `)`");
                }
                value
            }
            Token::Punct(op @ ("!" | "-" | "~" | "+")) => {
                self.next();
                let value = self.unary();
                match op {
                    "!" => (value == 0).into(),
                    "-" => value.wrapping_neg(),
                    "~" => !value,
                    _ => value,
                }
            }
            token => self.fail(format!("expected a number, found {token}")),
        }
    }
}
