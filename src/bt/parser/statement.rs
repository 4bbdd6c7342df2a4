//! Statements.

use super::{Failed, Parsed, Parser};
use crate::bt::ast::{
    BinaryOp, Block, Expr, ExprKind, Iterable, Name, Spanned, Statement, StatementKind,
};
use crate::bt::source::Span;
use crate::bt::token::Token;
use std::sync::Arc;

/// The operators of assignments.
const ASSIGNMENTS: [(&str, Option<BinaryOp>); 11] = [
    ("=", None),
    ("+=", Some(BinaryOp::Add)),
    ("-=", Some(BinaryOp::Sub)),
    ("*=", Some(BinaryOp::Mul)),
    ("/=", Some(BinaryOp::Div)),
    ("%=", Some(BinaryOp::Mod)),
    ("&=", Some(BinaryOp::BitAnd)),
    ("|=", Some(BinaryOp::BitOr)),
    ("^=", Some(BinaryOp::BitXor)),
    ("<<=", Some(BinaryOp::Shl)),
    (">>=", Some(BinaryOp::Shr)),
];

/// The result of parsing a statement that may lack its `;`.
enum Parse {
    Done(Statement),
    /// An expression without semicolon at the end of a block.
    Value(Expr),
}

impl Parser {
    /// Parses statements between braces.
    pub(super) fn block(&mut self) -> Parsed<Block> {
        let start = self.span;
        self.expect("{")?;
        let outside = std::mem::take(&mut self.predicate);
        let block = self.nested(|parser| parser.statements(start));
        self.predicate = outside;
        block
    }

    fn statements(&mut self, start: Span) -> Parsed<Block> {
        let mut block = Block::default();
        loop {
            while self.take(";") {}
            if self.take("}") {
                block.span = start.to(self.last);
                return Ok(block);
            }
            if self.token == Token::End {
                if self.lexer.diagnostics.has_errors() || self.diagnostics.has_errors() {
                    // Most likely the error before has swallowed it.
                    return Err(Failed);
                }
                let message = "syntax error: block without end, expected `}`";
                return self.fail(start, message);
            }
            match self.statement() {
                Ok(Parse::Done(statement)) => block.statements.push(statement),
                Ok(Parse::Value(value)) => block.value = Some(Box::new(value)),
                Err(Failed) => self.recover(),
            }
        }
    }

    fn statement(&mut self) -> Parsed<Parse> {
        let start = self.span;
        let (kind, ends) = match self.token.clone() {
            Token::Punct("{") => {
                let block = self.block()?;
                // The last one of a block is its value, if it has one itself.
                if block.value.is_some() && self.is("}") {
                    let span = block.span;
                    return Ok(Parse::Value(Expr { kind: ExprKind::Block(Box::new(block)), span }));
                }
                (StatementKind::Block(block), true)
            }
            Token::Ident(word) => match &*word {
                "if" => (self.condition()?, true),
                "while" => (self.loop_while()?, true),
                "for" => (self.loop_for()?, true),
                "unroll" => (self.unroll()?, true),
                "let" => (self.declaration()?, false),
                "break" => {
                    self.advance();
                    (StatementKind::Break, false)
                }
                "continue" => {
                    self.advance();
                    (StatementKind::Continue, false)
                }
                "return" => {
                    self.advance();
                    let ends = self.is(";") || self.is("}");
                    (
                        StatementKind::Return(if ends { None } else { Some(self.expression()?) }),
                        false,
                    )
                }
                "_" if self.peek_is(0, "=") => {
                    self.advance();
                    self.advance();
                    (StatementKind::Discard(self.expression()?), false)
                }
                _ => return self.simple(start),
            },
            _ => return self.simple(start),
        };
        let span = start.to(self.last);
        if !ends && !self.take(";") && !self.is("}") {
            return self.expected("`;` or `}`");
        }
        Ok(Parse::Done(Statement { kind, span }))
    }

    /// Parses an expression or an assignment.
    fn simple(&mut self, start: Span) -> Parsed<Parse> {
        let target = self.expression()?;
        let operator = match self.token {
            Token::Punct(text) => ASSIGNMENTS.iter().find(|(operator, _)| *operator == text),
            _ => None,
        };
        let Some((_, op)) = operator else {
            if self.is("}") {
                return Ok(Parse::Value(target));
            }
            let span = target.span;
            if !self.take(";") {
                return self.expected("an operator, `;` or `}`");
            }
            return Ok(Parse::Done(Statement { kind: StatementKind::Expr(target), span }));
        };
        self.advance();
        let value = self.expression()?;
        let span = start.to(value.span);
        if !self.take(";") && !self.is("}") {
            return self.expected("an operator, `;` or `}`");
        }
        Ok(Parse::Done(Statement { kind: StatementKind::Assign { target, op: *op, value }, span }))
    }

    fn condition(&mut self) -> Parsed<StatementKind> {
        let mut arms = Vec::new();
        loop {
            self.advance();
            let condition = self.expression()?;
            arms.push((condition, self.block()?));
            if !self.take_word("else") {
                return Ok(StatementKind::If { arms, otherwise: None });
            }
            if !self.is_word("if") {
                let otherwise = Some(self.block()?);
                return Ok(StatementKind::If { arms, otherwise });
            }
        }
    }

    fn loop_while(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let condition = self.expression()?;
        Ok(StatementKind::While { condition, body: self.block()? })
    }

    fn unroll(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let count = self.expression()?;
        Ok(StatementKind::Unroll { count, body: self.block()? })
    }

    fn loop_for(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let bracket = self.take("(");
        let variable = self.variable()?;
        self.expect(":")?;
        let map = match &self.token {
            Token::Map(name) => Some(Spanned { node: Arc::clone(name), span: self.span }),
            _ => None,
        };
        let is_map = map.is_some() && (self.peek_is(0, ")") || self.peek_is(0, "{"));
        let iterable = if let Some(map) = map.filter(|_| is_map) {
            self.advance();
            Iterable::Map(map)
        } else {
            let start = Box::new(self.expression()?);
            if !self.take("..") {
                return self.expected("`..` and the end of the range");
            }
            Iterable::Range(start, Box::new(self.expression()?))
        };
        if bracket {
            self.expect(")")?;
        }
        Ok(StatementKind::For { variable, iterable, body: self.block()? })
    }

    fn variable(&mut self) -> Parsed<Name> {
        let Token::Variable(name) = &self.token else {
            return self.expected("a variable, `$name`");
        };
        let name = Spanned { node: Arc::clone(name), span: self.span };
        self.advance();
        Ok(name)
    }

    fn declaration(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let name = self.variable()?;
        let ty = if self.take(":") { Some(self.type_name()?) } else { None };
        let value = if self.take("=") { Some(self.expression()?) } else { None };
        Ok(StatementKind::Let { name, ty, value })
    }
}
