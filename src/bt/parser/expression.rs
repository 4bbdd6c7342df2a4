//! Expressions.

use super::{Failed, Parsed, Parser, expr};
use crate::bt::ast::{
    BinaryOp, Block, Expr, ExprKind, MAX_DEPTH, Name, ScriptOption, Spanned, Statement,
    StatementKind, TypeName, TypeNameKind, UnaryOp,
};
use crate::bt::source::Span;
use crate::bt::token::Token;
use std::sync::Arc;

/// A binary operator as it is written: its precedence and the operator.
#[derive(Clone, Copy)]
enum Operator {
    Plain(u8, BinaryOp),
    Logical(u8, bool),
}

/// The operators with two operands, with C's precedence.
const OPERATORS: [(&str, Operator); 18] = [
    ("||", Operator::Logical(1, false)),
    ("&&", Operator::Logical(2, true)),
    ("|", Operator::Plain(3, BinaryOp::BitOr)),
    ("^", Operator::Plain(4, BinaryOp::BitXor)),
    ("&", Operator::Plain(5, BinaryOp::BitAnd)),
    ("==", Operator::Plain(6, BinaryOp::Eq)),
    ("!=", Operator::Plain(6, BinaryOp::Ne)),
    ("<", Operator::Plain(7, BinaryOp::Lt)),
    (">", Operator::Plain(7, BinaryOp::Gt)),
    ("<=", Operator::Plain(7, BinaryOp::Le)),
    (">=", Operator::Plain(7, BinaryOp::Ge)),
    ("<<", Operator::Plain(8, BinaryOp::Shl)),
    (">>", Operator::Plain(8, BinaryOp::Shr)),
    ("+", Operator::Plain(9, BinaryOp::Add)),
    ("-", Operator::Plain(9, BinaryOp::Sub)),
    ("*", Operator::Plain(10, BinaryOp::Mul)),
    ("/", Operator::Plain(10, BinaryOp::Div)),
    ("%", Operator::Plain(10, BinaryOp::Mod)),
];

const UNARY: [(&str, UnaryOp); 6] = [
    ("-", UnaryOp::Negate),
    ("!", UnaryOp::Not),
    ("~", UnaryOp::Invert),
    ("*", UnaryOp::Dereference),
    ("&", UnaryOp::AddressOf),
    ("+", UnaryOp::Plus),
];

impl Parser {
    /// Parses an expression.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.nested(Parser::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let then = match self.is(":") {
            true => None,
            false => Some(Box::new(self.expression()?)),
        };
        self.expect(":")?;
        let otherwise = Box::new(self.expression()?);
        let span = condition.span.to(otherwise.span);
        Ok(expr(ExprKind::Ternary { condition: Box::new(condition), then, otherwise }, span))
    }

    fn operator(&mut self) -> Option<Operator> {
        let Token::Punct(text) = self.token else { return None };
        if text == "/" && self.predicate && self.peek_is(0, "{") {
            return None;
        }
        OPERATORS.iter().find(|(operator, _)| *operator == text).map(|(_, operator)| *operator)
    }

    /// Parses operators that bind tighter than `least`.
    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        let mut chain = 0;
        while let Some(operator) = self.operator() {
            let (Operator::Plain(precedence, _) | Operator::Logical(precedence, _)) = operator;
            if precedence <= least {
                break;
            }
            chain += 1;
            let place = self.span;
            self.advance();
            let right = self.nested(|parser| parser.binary(precedence))?;
            let span = left.span.to(right.span);
            left = match operator {
                Operator::Plain(_, op) => {
                    if self.depth + chain > MAX_DEPTH {
                        return self.too_deep();
                    }
                    let op = Spanned { node: op, span: place };
                    expr(
                        ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) },
                        span,
                    )
                }
                Operator::Logical(_, and) => logical(and, left, right, span),
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.span;
        if self.is("++") || self.is("--") {
            let increment = self.is("++");
            self.advance();
            let target = Box::new(self.nested(Parser::unary)?);
            let span = start.to(target.span);
            return Ok(expr(ExprKind::Step { target, increment, prefix: true }, span));
        }
        if let Token::Punct(text) = self.token
            && let Some((_, op)) = UNARY.iter().find(|(operator, _)| *operator == text)
        {
            self.advance();
            let operand = self.nested(Parser::unary)?;
            let span = start.to(operand.span);
            return Ok(expr(ExprKind::Unary(*op, Box::new(operand)), span));
        }
        if self.is("(") && self.is_cast() {
            self.advance();
            let ty = self.type_name()?;
            self.expect(")")?;
            let value = Box::new(self.nested(Parser::unary)?);
            let span = start.to(value.span);
            return Ok(expr(ExprKind::Cast { ty, value }, span));
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut base = self.primary()?;
        let start = base.span;
        let mut chain = 0;
        loop {
            let kind = if self.take(".") || self.take("->") {
                if let Token::Int(index) = self.token {
                    let index = u32::try_from(index).unwrap_or(u32::MAX);
                    let index = Spanned { node: index, span: self.span };
                    self.advance();
                    ExprKind::Element { base: Box::new(base), index }
                } else {
                    let name = self.name("the name of a field or the number of an element")?;
                    ExprKind::Field { base: Box::new(base), name }
                }
            } else if self.take("[") {
                let index = Box::new(self.expression()?);
                self.expect("]")?;
                ExprKind::Index { base: Box::new(base), index }
            } else if self.is("++") || self.is("--") {
                let increment = self.is("++");
                self.advance();
                ExprKind::Step { target: Box::new(base), increment, prefix: false }
            } else {
                return Ok(base);
            };
            chain += 1;
            if self.depth + chain > MAX_DEPTH {
                return self.too_deep();
            }
            base = expr(kind, start.to(self.last));
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.span;
        let kind = match &self.token {
            Token::Int(value) => ExprKind::Int(*value),
            Token::Str(text) => {
                let text = Arc::clone(text);
                return self.strings(text);
            }
            Token::Variable(name) => ExprKind::Variable(Arc::clone(name)),
            Token::Positional(number) => ExprKind::Positional(*number),
            Token::PositionalCount => ExprKind::PositionalCount,
            Token::Map(name) => {
                let name = Spanned { node: Arc::clone(name), span: start };
                return self.map(name);
            }
            Token::Ident(name) => {
                let name = Spanned { node: Arc::clone(name), span: start };
                return self.word(name);
            }
            Token::Punct("(") => return self.parentheses(),
            Token::Punct("{") => return self.value_block(),
            Token::Invalid => return Err(Failed),
            _ => return self.expected("an expression"),
        };
        self.advance();
        Ok(expr(kind, start))
    }

    /// Parses strings; those that follow each other are one.
    fn strings(&mut self, first: Arc<[u8]>) -> Parsed<Expr> {
        let start = self.span;
        self.advance();
        let mut text = first;
        while let Token::Str(more) = &self.token {
            text = [&text, &**more].concat().into();
            self.advance();
        }
        Ok(expr(ExprKind::Str(text), start.to(self.last)))
    }

    fn map(&mut self, name: Name) -> Parsed<Expr> {
        self.advance();
        let mut key = None;
        if self.take("[") {
            key = Some(self.list("]")?);
        }
        let span = name.span.to(self.last);
        if key.as_ref().is_some_and(Vec::is_empty) {
            return self
                .fail(span, format!("`{}`: expected a key between the brackets", name.node));
        }
        Ok(expr(ExprKind::Map { name, key }, span))
    }

    /// Parses expressions between commas, and the bracket at their end.
    fn list(&mut self, end: &'static str) -> Parsed<Vec<Expr>> {
        let outside = std::mem::take(&mut self.predicate);
        let mut list = Vec::new();
        while !self.is(end) {
            list.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.predicate = outside;
        if !self.is(end) {
            return self.expected(&format!("`,` or `{end}`"));
        }
        self.advance();
        Ok(list)
    }

    /// Parses an expression that begins with a name: a function, a builtin, `sizeof`.
    fn word(&mut self, name: Name) -> Parsed<Expr> {
        self.advance();
        let start = name.span;
        let call = self.is("(");
        let kind = match &*name.node {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "sizeof" if call => return self.sizeof(start),
            "offsetof" if call => return self.offsetof(start),
            "container_of" if call => return self.container_of(start),
            "if" => return self.choice(start),
            "else" | "while" | "for" | "let" | "unroll" | "break" | "continue" | "return" => {
                let message = format!(
                    "syntax error: expected an expression, found the keyword `{}`",
                    name.node
                );
                return self.fail(start, message);
            }
            "comptime" if !call => {
                let value = self.nested(Parser::unary)?;
                return Ok(value);
            }
            _ if call => {
                self.advance();
                let arguments = self.list(")")?;
                if &*name.node == "getopt" {
                    self.options
                        .extend(arguments.first().and_then(|name| option(name, &arguments)));
                }
                ExprKind::Call { name, arguments }
            }
            _ => ExprKind::Ident(name.node),
        };
        Ok(expr(kind, start.to(self.last)))
    }

    /// Parses what follows the word `if` of an `if` that is an expression: the blocks have the values.
    fn choice(&mut self, start: Span) -> Parsed<Expr> {
        let condition = Box::new(self.expression()?);
        let then = Box::new(self.value_block()?);
        if !self.take_word("else") {
            return self.expected("`else`: without it the expression may have no value");
        }
        let place = self.span;
        let otherwise = Box::new(match self.take_word("if") {
            true => self.nested(|parser| parser.choice(place))?,
            false => self.value_block()?,
        });
        let kind = ExprKind::Ternary { condition, then: Some(then), otherwise };
        Ok(expr(kind, start.to(self.last)))
    }

    /// Parses a block that is an expression.
    fn value_block(&mut self) -> Parsed<Expr> {
        let mut block = self.block()?;
        give_value(&mut block);
        let span = block.span;
        Ok(expr(ExprKind::Block(Box::new(block)), span))
    }

    fn sizeof(&mut self, start: Span) -> Parsed<Expr> {
        let kind = if self.is_type_in_parentheses() {
            self.advance();
            ExprKind::SizeofType(self.type_name()?)
        } else {
            self.advance();
            ExprKind::SizeofExpr(Box::new(self.expression()?))
        };
        self.expect(")")?;
        Ok(expr(kind, start.to(self.last)))
    }

    fn offsetof(&mut self, start: Span) -> Parsed<Expr> {
        let ty = self.is_type_in_parentheses();
        self.advance();
        let (ty, base) = match ty || matches!(self.token, Token::Ident(_)) && self.peek_is(0, ",") {
            true => (Some(self.type_name()?), None),
            false => (None, Some(self.expression()?)),
        };
        self.expect(",")?;
        let mut path = vec![self.name("the name of a field")?];
        while self.take(".") {
            path.push(self.name("the name of a field")?);
        }
        self.expect(")")?;
        let kind = match (ty, base) {
            (Some(ty), _) => ExprKind::OffsetofType(ty, path),
            (None, Some(base)) => ExprKind::OffsetofExpr(Box::new(base), path),
            (None, None) => return Err(Failed),
        };
        Ok(expr(kind, start.to(self.last)))
    }

    /// Parses `(a = 1, b = "x")`, which is rejected later.
    fn record(&mut self, start: Span, outside: bool) -> Parsed<Expr> {
        while !self.is(")") {
            self.name("the name of a field")?;
            self.expect("=")?;
            self.expression()?;
            if !self.take(",") {
                break;
            }
        }
        self.predicate = outside;
        self.expect(")")?;
        Ok(expr(ExprKind::Unsupported("records"), start.to(self.last)))
    }

    /// Parses `container_of(pointer, type, field)`: the pointer less the offset of the field, as one to the type.
    fn container_of(&mut self, start: Span) -> Parsed<Expr> {
        self.advance();
        let pointer = self.expression()?;
        self.expect(",")?;
        let ty = self.type_name()?;
        self.expect(",")?;
        let mut path = vec![self.name("the name of a field")?];
        while self.take(".") {
            path.push(self.name("the name of a field")?);
        }
        self.expect(")")?;
        let span = start.to(self.last);
        let cast = |kind: TypeNameKind, span: Span, value: Expr| {
            let ty = TypeName { kind, span };
            expr(ExprKind::Cast { ty, value: Box::new(value) }, span)
        };
        let bytes = TypeNameKind::Pointer(Box::new(TypeName {
            kind: TypeNameKind::Named(Arc::from("uint8")),
            span: pointer.span,
        }));
        let place = pointer.span;
        let left = Box::new(cast(bytes, place, pointer));
        let right = Box::new(expr(ExprKind::OffsetofType(ty.clone(), path), ty.span));
        let op = Spanned { node: BinaryOp::Sub, span: start };
        let address = expr(ExprKind::Binary { op, left, right }, span);
        Ok(cast(TypeNameKind::Pointer(Box::new(ty)), span, address))
    }

    /// Parses `(x)`, and tuples: `()`, `(x,)`, `(x, y)`.
    fn parentheses(&mut self) -> Parsed<Expr> {
        let start = self.span;
        self.advance();
        let outside = std::mem::take(&mut self.predicate);
        if self.take(")") {
            self.predicate = outside;
            return Ok(expr(ExprKind::Tuple(Vec::new()), start.to(self.last)));
        }
        if matches!(self.token, Token::Ident(_)) && self.peek_is(0, "=") {
            return self.record(start, outside);
        }
        let first = self.expression()?;
        if self.is(")") {
            self.advance();
            self.predicate = outside;
            // The place is with the parentheses, the value is not.
            return Ok(expr(first.kind, start.to(self.last)));
        }
        if !self.take(",") {
            return self.expected("`)`");
        }
        let mut elements = vec![first];
        elements.extend(self.list(")")?);
        self.predicate = outside;
        Ok(expr(ExprKind::Tuple(elements), start.to(self.last)))
    }
}

/// Makes the last statement of a block its value, if it is an `if` with a value in each branch.
pub(super) fn give_value(block: &mut Block) {
    if block.value.is_some() {
        return;
    }
    let Some(Statement { kind: StatementKind::If { arms, otherwise: Some(_) }, .. }) =
        block.statements.last_mut()
    else {
        return;
    };
    arms.iter_mut().for_each(|(_, branch)| give_value(branch));
    let has_value = arms.iter().all(|(_, branch)| branch.value.is_some());
    let Some(Statement { kind: StatementKind::If { arms, otherwise: Some(last) }, span }) =
        block.statements.pop()
    else {
        return;
    };
    let mut last = last;
    give_value(&mut last);
    if !has_value || last.value.is_none() {
        let kind = StatementKind::If { arms, otherwise: Some(last) };
        return block.statements.push(Statement { kind, span });
    }
    let branch = |block: Block| {
        let span = block.span;
        expr(ExprKind::Block(Box::new(block)), span)
    };
    let choice = arms.into_iter().rev().fold(branch(last), |otherwise, (condition, then)| {
        let kind = ExprKind::Ternary {
            condition: Box::new(condition),
            then: Some(Box::new(branch(then))),
            otherwise: Box::new(otherwise),
        };
        expr(kind, span)
    });
    block.value = Some(Box::new(choice));
}

/// The option of the command line that a call of `getopt()` reads.
fn option(name: &Expr, arguments: &[Expr]) -> Option<ScriptOption> {
    let text = |of: &Expr| match &of.kind {
        ExprKind::Str(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    let help = arguments.get(2).and_then(text).unwrap_or_default();
    Some(ScriptOption { name: text(name)?, help })
}

/// `a && b && c` as one with three operands.
fn logical(and: bool, left: Expr, right: Expr, span: Span) -> Expr {
    let mut operands = match left.kind {
        // Parentheses make no difference: the left operand is evaluated first in any case.
        ExprKind::Logical { and: same, operands } if same == and => operands,
        kind => vec![Expr { kind, span: left.span }],
    };
    operands.push(right);
    expr(ExprKind::Logical { and, operands }, span)
}
