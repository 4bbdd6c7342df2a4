//! Recursive-descent parser: from tokens to the syntax tree.
//!
//! It accepts the language of bpftrace 0.17 to 0.27, in both dialects; later stages reject what they do not support, by
//! name. After an error, parsing resumes behind the statement, so that each error is reported once.

use super::ast::{
    EnumDefinition, Expr, ExprKind, MAX_DEPTH, Name, Probe, Script, ScriptOption, Spanned,
};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::lexer::Lexer;
use super::source::{MAX_SIZE, Source, Span};
use super::token::{Placed, Token};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

mod expression;
mod statement;
mod top;
mod types;

#[cfg(test)]
mod tests;

/// The error of a failed parse; it has been reported as a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failed;

type Parsed<T> = Result<T, Failed>;

/// Values given on the command line, which the parser substitutes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// The positional parameters.
    pub parameters: Arc<[String]>,
    /// Macros that are defined already: `NAME` or `NAME(a, b)`, and the text.
    pub macros: Vec<(&'static str, String)>,
}

/// Parses a script. Parts that cannot be parsed are left out of the result and reported in the diagnostics.
pub(crate) fn parse(source: &Source, given: &Given) -> (Script, Diagnostics) {
    if source.text.len() > MAX_SIZE {
        let mut diagnostics = Diagnostics::default();
        let message = format!("script: {} bytes, expected at most {MAX_SIZE}", source.text.len());
        diagnostics.push(Diagnostic::error(Span::default(), message));
        return (Script::default(), diagnostics);
    }
    let lexer = Lexer::new(&source.text, &given.parameters, &given.macros);
    let mut parser = Parser::new(lexer);
    let script = parser.script();
    let mut diagnostics = std::mem::take(&mut parser.lexer.diagnostics);
    let lexical: Vec<_> = diagnostics.0.iter().map(|one| one.span).collect();
    for diagnostic in parser.diagnostics.0 {
        // The lexer has already reported an invalid word.
        if !lexical
            .iter()
            .any(|span| span.start <= diagnostic.span.start && diagnostic.span.start <= span.end)
        {
            diagnostics.push(diagnostic);
        }
    }
    (script, diagnostics)
}

struct Parser {
    lexer: Lexer,
    token: Token,
    span: Span,
    /// Words that have been looked at in advance.
    ahead: VecDeque<Placed>,
    /// The place of the word before.
    last: Span,
    depth: usize,
    /// The number of open braces.
    braces: usize,
    /// Whether a `/` before `{` ends the expression.
    predicate: bool,
    /// Enumerations that were defined within other types.
    inner_enums: Vec<EnumDefinition>,
    /// The typedefs of the script, whose names begin casts.
    typedefs: HashSet<Arc<str>>,
    /// The options that the script reads.
    options: Vec<ScriptOption>,
    diagnostics: Diagnostics,
}

impl Parser {
    fn new(lexer: Lexer) -> Parser {
        let mut parser = Parser {
            lexer,
            token: Token::End,
            span: Span::default(),
            ahead: VecDeque::new(),
            last: Span::default(),
            depth: 0,
            braces: 0,
            predicate: false,
            inner_enums: Vec::new(),
            typedefs: HashSet::new(),
            options: Vec::new(),
            diagnostics: Diagnostics::default(),
        };
        parser.advance();
        parser
    }

    /// Goes on to the next word and returns the one before.
    fn advance(&mut self) -> Token {
        let (token, span) = self.ahead.pop_front().unwrap_or_else(|| self.lexer.next());
        self.last = std::mem::replace(&mut self.span, span);
        let token = std::mem::replace(&mut self.token, token);
        match token {
            Token::Punct("{") => self.braces += 1,
            Token::Punct("}") => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        token
    }

    /// The n-th word after this one.
    fn peek(&mut self, n: usize) -> &Token {
        while self.ahead.len() <= n {
            let next = self.lexer.next();
            self.ahead.push_back(next);
        }
        self.ahead.get(n).map_or(&Token::End, |(token, _)| token)
    }

    fn is(&self, text: &str) -> bool {
        matches!(&self.token, Token::Punct(punct) if *punct == text)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Ident(name) if &**name == word)
    }

    fn peek_is(&mut self, n: usize, text: &str) -> bool {
        matches!(self.peek(n), Token::Punct(punct) if *punct == text)
    }

    /// Takes an operator or bracket if it is there.
    fn take(&mut self, text: &str) -> bool {
        let found = self.is(text);
        if found {
            self.advance();
        }
        found
    }

    /// Takes a keyword if it is there.
    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, text: &'static str) -> Parsed<()> {
        match self.take(text) {
            true => Ok(()),
            false => self.expected(&format!("`{text}`")),
        }
    }

    /// Reports a syntax error: another token was expected here.
    fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let message = format!("syntax error: expected {what}, found {}", self.token);
        self.fail(self.span, message)
    }

    fn fail<T>(&mut self, span: Span, message: impl Into<String>) -> Parsed<T> {
        self.diagnostics.push(Diagnostic::error(span, message));
        Err(Failed)
    }

    /// Takes a name, be it a keyword.
    fn name(&mut self, what: &str) -> Parsed<Name> {
        match &self.token {
            Token::Ident(name) => {
                let name = Spanned { node: Arc::clone(name), span: self.span };
                self.advance();
                Ok(name)
            }
            _ => self.expected(what),
        }
    }

    /// Goes one level deeper for the time of `f`.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn too_deep<T>(&mut self) -> Parsed<T> {
        let message = format!("nested too deeply: more than {MAX_DEPTH} levels");
        self.diagnostics.push(Diagnostic::error(self.span, message));
        // The rest of the script would only repeat the same error at each bracket.
        while self.token != Token::End {
            self.advance();
        }
        Err(Failed)
    }

    /// Skips to the end of a statement: behind a `;`, or before the `}` of the block.
    fn recover(&mut self) {
        let mut depth = 0_usize;
        loop {
            match &self.token {
                Token::End => return,
                Token::Punct("{") => depth += 1,
                Token::Punct("}") if depth == 0 => return,
                Token::Punct("}") => {
                    depth -= 1;
                    if depth == 0 {
                        self.advance();
                        return;
                    }
                }
                Token::Punct(";") if depth == 0 => {
                    self.advance();
                    return;
                }
                _ => {}
            }
            self.advance();
        }
    }
}

/// An expression with its place.
fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, span }
}
