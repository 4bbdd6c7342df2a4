//! Names of the running kernel, in place of an offset or an immediate: `task_struct.tgid`, `sizeof(task_struct)`,
//! `exists(task_struct.cpu)`, `args.filename`. Their values are filled in when the program is loaded.

use super::{Cursor, Parsed, Span, What, ok, same, sub};
use crate::spec::{RelocField, RelocKind};

/// A name in place of a number.
#[derive(Debug, Clone, Copy)]
pub(in crate::asm) struct Symbol {
    pub kind: RelocKind,
    /// The name itself: of `sizeof(name)` the part in parentheses.
    pub span: Span,
}

impl<'a> Cursor<'a> {
    /// Parses a name, if there is one here, and keeps it for that number of the instruction. Anything else is left
    /// unread: one word by itself is not such a name.
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

    /// Parses the name of an argument whose value is called for, `args.arg3`, if there is one here.
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

    /// Parses the name of a kernel function that is called, if there is one here.
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

    /// Returns the end of the last token, without the white space behind it.
    const fn trimmed(&self) -> usize {
        let mut end = self.at;
        while end > 0 && self.text[end - 1].is_ascii_whitespace() {
            end -= 1;
        }
        end
    }

    /// Takes the names in the last statement: for its offset, and for its immediate.
    pub(in crate::asm) const fn take_symbols(&mut self) -> [Option<Symbol>; 2] {
        let symbols = self.symbols;
        self.symbols = [None; 2];
        symbols
    }

    /// Returns whether a word is `sizeof` or `exists`, followed by a parenthesis.
    pub(super) const fn asks(&self, word: Span) -> bool {
        let word = sub(self.text, word.start, word.end);
        self.peek() == b'(' && (same(word, b"sizeof") || same(word, b"exists"))
    }
}
