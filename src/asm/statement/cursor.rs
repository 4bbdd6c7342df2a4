//! The reading position: white space, punctuation and words.

use super::{Failed, Parsed, Problem, Span, Symbol, Value, What, is_operator};
use crate::insn::table::{Operation, Operators};

/// The bytes that names and numbers consist of. A table, because every byte of a text is looked up.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte == b'_' as usize || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

#[inline]
pub(super) const fn is_word(byte: u8) -> bool {
    WORD[byte as usize]
}

/// The bytes after which there can be something to skip: white space, and the first characters of comments.
const GAP: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b" \t\n\r\x0c#/";
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] = true;
        i += 1;
    }
    table
};

/// The kind of source text, which decides the ends of lines and the interpretation of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::asm) enum Dialect {
    /// The tokens of `bpf!`: the compiler has removed the comments, and lines mean nothing.
    Macro,
    /// A text file: a line break ends a statement, and there are comments.
    Text,
    /// One instruction of a listing that the kernel made, with this opcode. The kernel writes immediates of
    /// comparisons as 32 bits in hexadecimal, 32-bit atomics with `r` registers, and `lddw` without `ll`.
    Listing(u8),
}

/// Parses statements one after the other.
pub(in crate::asm) struct Cursor<'a> {
    pub(in crate::asm) text: &'a [u8],
    pub(in crate::asm) at: usize,
    pub(super) dialect: Dialect,
    /// The values of the expressions and paths in the text, in its order.
    values: &'a [Value<'a>],
    value: usize,
    /// The width of the field whose offset the last number was, if it was one.
    pub(super) width: Option<u32>,
    /// The range of the white space and comments that were skipped last.
    gap: Span,
    /// The current nesting of signs and parentheses in a number.
    pub(super) depth: u8,
    /// The names that stand in place of numbers, of the offset and of the immediate.
    pub(super) symbols: [Option<Symbol>; 2],
    /// Whether `.option llvm_ld_pseudo` was seen.
    pub(in crate::asm) llvm_ld_pseudo: bool,
    failure: Problem,
    /// The values of named constants, in the order of the names.
    pub(super) constants: &'a [(&'a str, i128)],
}

/// The initial value of the failure.
const NONE: Problem = Problem { span: Span { start: 0, end: 0 }, what: What::Expected("") };

impl<'a> Cursor<'a> {
    pub(in crate::asm) const fn new(text: &'a str, values: &'a [Value<'a>]) -> Self {
        let text = text.as_bytes();
        let dialect = Dialect::Macro;
        Cursor {
            text,
            at: 0,
            dialect,
            values,
            value: 0,
            width: None,
            gap: NONE.span,
            depth: 0,
            symbols: [None; 2],
            llvm_ld_pseudo: false,
            failure: NONE,
            constants: &[],
        }
    }

    /// A cursor at a place in a text that was made at run time.
    pub(in crate::asm) const fn at(
        text: &'a str,
        at: usize,
        dialect: Dialect,
        constants: &'a [(&'a str, i128)],
    ) -> Self {
        let text = text.as_bytes();
        Cursor {
            text,
            at,
            dialect,
            values: &[],
            value: 0,
            width: None,
            gap: NONE.span,
            depth: 0,
            symbols: [None; 2],
            llvm_ld_pseudo: false,
            failure: NONE,
            constants,
        }
    }

    pub(super) const fn is_listing(&self) -> bool {
        matches!(self.dialect, Dialect::Listing(_))
    }

    /// Returns the next of the values that Rust evaluated.
    pub(super) const fn next_value(&mut self) -> Value<'a> {
        if self.value == self.values.len() {
            return Value::Text;
        }
        self.value += 1;
        self.values[self.value - 1]
    }

    #[inline]
    pub(in crate::asm) const fn byte(&self, ahead: usize) -> u8 {
        if self.at + ahead < self.text.len() { self.text[self.at + ahead] } else { 0 }
    }

    #[inline]
    pub(in crate::asm) const fn peek(&self) -> u8 {
        self.byte(0)
    }

    /// Skips white space; in a text also comments, but no line break.
    #[inline]
    pub(in crate::asm) const fn skip(&mut self) {
        // Most of the time there is one space or none.
        let start = self.at;
        let mut byte = self.peek();
        if byte == b' ' {
            self.at += 1;
            byte = self.peek();
        }
        if GAP[byte as usize] && !(byte == b'\n' && matches!(self.dialect, Dialect::Text)) {
            self.skip_more();
        }
        if self.at > start {
            self.gap = Span { start, end: self.at };
        }
    }

    /// Returns the end of the last token: before the white space and the comment that were skipped behind
    /// it.
    pub(in crate::asm) const fn behind(&self) -> usize {
        if self.gap.end == self.at { self.gap.start } else { self.at }
    }

    const fn skip_more(&mut self) {
        let text = matches!(self.dialect, Dialect::Text);
        // Indentation.
        while self.at < self.text.len() && self.text[self.at] == b' ' {
            self.at += 1;
        }
        while self.at < self.text.len() {
            match self.text[self.at] {
                b'\n' if text => return,
                b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => self.at += 1,
                b'#' if text => self.skip_line(),
                b'/' if text && self.byte(1) == b'/' => self.skip_line(),
                b'/' if text && self.byte(1) == b'*' => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// Skips the rest of the line, but not the break at its end.
    pub(in crate::asm) const fn skip_line(&mut self) {
        while self.at < self.text.len() && self.text[self.at] != b'\n' {
            self.at += 1;
        }
    }

    /// Skips a comment in `/*` and `*/`; one that is not closed reaches to the end of the text.
    const fn skip_comment(&mut self) {
        self.at += 2;
        while self.at < self.text.len() {
            if self.text[self.at] == b'*' && self.byte(1) == b'/' {
                self.at += 2;
                return;
            }
            self.at += 1;
        }
    }

    /// Returns whether the statement ends here.
    #[inline]
    pub(in crate::asm) const fn at_end(&self) -> bool {
        self.at >= self.text.len()
            || self.peek() == b';'
            || (matches!(self.dialect, Dialect::Text) && self.peek() == b'\n')
    }

    /// Records the error, and fails.
    #[cold]
    pub(in crate::asm) const fn problem<T>(&mut self, span: Span, what: What) -> Parsed<T> {
        self.failure = Problem { span, what };
        Err(Failed)
    }

    /// Returns the error after parsing failed.
    pub(in crate::asm) const fn failure(&self) -> Problem {
        self.failure
    }

    /// Fails because something else is expected here; the token that is shown is a word or one character.
    pub(in crate::asm) const fn expected<T>(&mut self, wanted: &'static str) -> Parsed<T> {
        let start = self.at;
        let mut end = start;
        while end < self.text.len() && is_word(self.text[end]) {
            end += 1;
        }
        // An operator is shown whole.
        while end == start || (end < self.text.len() && is_operator(self.text[end - 1])) {
            if end >= self.text.len() || !is_operator(self.text[end]) {
                break;
            }
            end += 1;
        }
        if end == start && start < self.text.len() {
            end += 1;
            // The text is UTF-8: characters are not split.
            while end < self.text.len() && self.text[end] & 0xc0 == 0x80 {
                end += 1;
            }
        }
        self.problem(Span { start, end }, What::Expected(wanted))
    }

    /// Skips this punctuation if it is next. Always inlined: then the loop is a comparison or two.
    #[inline(always)]
    pub(in crate::asm) const fn take(&mut self, token: &'static str) -> bool {
        let token = token.as_bytes();
        let mut i = 0;
        while i < token.len() {
            if self.byte(i) != token[i] {
                return false;
            }
            i += 1;
        }
        self.at += token.len();
        self.skip();
        true
    }

    #[inline(always)]
    pub(in crate::asm) const fn need(
        &mut self,
        token: &'static str,
        wanted: &'static str,
    ) -> Parsed<()> {
        if self.take(token) { Ok(()) } else { self.expected(wanted) }
    }

    /// Skips the next operator, if it is one of these.
    #[inline]
    pub(super) const fn operator<const N: usize>(
        &mut self,
        operators: &Operators<N>,
        signed: bool,
    ) -> Option<Operation> {
        let four = match self.text.split_at_checked(self.at) {
            Some((_, [a, b, c, d, ..])) => [*a, *b, *c, *d],
            _ => [self.peek(), self.byte(1), self.byte(2), self.byte(3)],
        };
        let Some(operator) = operators.find(four, signed) else { return None };
        self.at += operator.length;
        self.skip();
        Some(operator.operation)
    }

    /// Skips this word if it is next.
    #[inline(always)]
    pub(in crate::asm) const fn take_word(&mut self, word: &'static str) -> bool {
        let word = word.as_bytes();
        let mut i = 0;
        while i < word.len() {
            if self.byte(i) != word[i] {
                return false;
            }
            i += 1;
        }
        if is_word(self.byte(i)) {
            return false;
        }
        self.at += i;
        self.skip();
        true
    }

    pub(in crate::asm) const fn word(&mut self, wanted: &'static str) -> Parsed<Span> {
        let word = self.word_alone(wanted);
        self.skip();
        word
    }

    /// Reads a word, without skipping anything behind it.
    #[inline]
    pub(super) const fn word_alone(&mut self, wanted: &'static str) -> Parsed<Span> {
        let (text, start) = (self.text, self.at);
        let mut end = start;
        while end < text.len() && is_word(text[end]) {
            end += 1;
        }
        // Numbers consist of the same bytes, except for the first.
        if end == start || text[start].is_ascii_digit() {
            return self.expected(wanted);
        }
        self.at = end;
        Ok(Span { start, end })
    }
}
