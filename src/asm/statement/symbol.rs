//! Names of the running kernel, where an offset or an immediate may stand: `task_struct.tgid`,
//! `sizeof(task_struct)`, `exists(task_struct.cpu)`, `args.filename`. Their values come when the program is loaded.

use super::{Cursor, Parsed, Span, What, ok, same, sub};
use crate::spec::{RelocField, RelocKind};

/// A name that stands in place of a number.
#[derive(Debug, Clone, Copy)]
pub(in crate::asm) struct Symbol {
    pub kind: RelocKind,
    /// The name itself: of `sizeof(name)` what is in parentheses.
    pub span: Span,
}

impl<'a> Cursor<'a> {
    /// Reads the name that stands here, if one does, and keeps it for that number of the instruction. Whatever else
    /// stands here is left alone: one word by itself is no such name.
    pub(super) const fn symbol(&mut self, field: RelocField) -> Parsed<Option<Span>> {
        let start = self.at;
        if self.is_listing() || !(self.peek() == b'_' || self.peek().is_ascii_alphabetic()) {
            return Ok(None);
        }
        let word = ok!(self.word("a name"));
        let symbol = match (self.peek(), sub(self.text, word.start, word.end)) {
            (b'(', b"sizeof") => ok!(self.enclosed(RelocKind::Size)),
            (b'(', b"exists") => ok!(self.enclosed(RelocKind::Exists)),
            (b'.', _) => {
                self.at = start;
                let span = ok!(self.path(false));
                let kind = RelocKind::of_path(sub(self.text, span.start, span.end));
                Symbol { kind, span }
            }
            _ => {
                self.at = start;
                return Ok(None);
            }
        };
        let end = self.trimmed();
        self.symbols[field as usize] = Some(symbol);
        Ok(Some(Span { start, end }))
    }

    /// `(task_struct.tgid)`, after `sizeof` or `exists`.
    const fn enclosed(&mut self, kind: RelocKind) -> Parsed<Symbol> {
        ok!(self.need("(", "`(`"));
        let span = ok!(self.path(true));
        ok!(self.need(")", "`)`"));
        Ok(Symbol { kind, span })
    }

    /// `task_struct.se.vruntime`, `task_struct.comm[3]`; in parentheses also `unsigned int`.
    const fn path(&mut self, enclosed: bool) -> Parsed<Span> {
        let Span { start, mut end } = ok!(self.word("the name of a type of the kernel"));
        loop {
            if self.take(".") {
                end = ok!(self.word("the name of a field")).end;
            } else if self.take("[") {
                let (value, span) = ok!(self.number("an index"));
                if value < 0 || value > u32::MAX as i128 {
                    return self.problem(span, What::Not("an index of an array"));
                }
                // A comment may follow, which is no part of the name.
                end = self.at + 1;
                ok!(self.need("]", "`]`"));
            } else if enclosed && (self.peek() == b'_' || self.peek().is_ascii_alphabetic()) {
                end = ok!(self.word("a name")).end;
            } else {
                return Ok(Span { start, end });
            }
        }
    }

    /// Reads the name of an argument whose value is called for, `args.arg3`, if one stands here.
    pub(super) const fn names_an_argument(&mut self) -> Parsed<bool> {
        let start = self.at;
        if self.is_listing() || !self.take_word("args") {
            return Ok(false);
        }
        let path = self.peek() == b'.';
        self.at = start;
        if path {
            let span = ok!(self.path(false));
            let symbol = Symbol { kind: RelocKind::ArgumentValue, span };
            self.symbols[RelocField::Immediate as usize] = Some(symbol);
        }
        Ok(path)
    }

    /// Reads the name of a kernel function that is called, if one stands here.
    pub(super) const fn names_a_function(&mut self) -> bool {
        if !(self.peek() == b'_' || self.peek().is_ascii_alphabetic()) {
            return false;
        }
        let constant = match self.word_alone("a name") {
            Ok(span) if self.constant(span).is_none() => {
                self.symbols[RelocField::Immediate as usize] =
                    Some(Symbol { kind: RelocKind::Kfunc, span });
                self.skip();
                return true;
            }
            Ok(span) => span,
            Err(_) => return false,
        };
        self.at = constant.start;
        false
    }

    /// Where what was read ends, without the white space behind it.
    const fn trimmed(&self) -> usize {
        let mut end = self.at;
        while end > 0 && self.text[end - 1].is_ascii_whitespace() {
            end -= 1;
        }
        end
    }

    /// The names in the statement that was read last: for its offset, and for its immediate.
    pub(in crate::asm) const fn take_symbols(&mut self) -> [Option<Symbol>; 2] {
        let symbols = self.symbols;
        self.symbols = [None; 2];
        symbols
    }

    /// Whether a word is what asks for the size of a type or whether there is one.
    pub(super) const fn asks(&self, word: Span) -> bool {
        let word = sub(self.text, word.start, word.end);
        self.peek() == b'(' && (same(word, b"sizeof") || same(word, b"exists"))
    }
}
