//! Types, and definitions of types.

use super::{Parsed, Parser};
use crate::bt::ast::{
    EnumDefinition, Expr, FieldDefinition, Name, Spanned, StructDefinition, TypeName, TypeNameKind,
};
use crate::bt::source::Span;
use crate::bt::token::Token;
use std::sync::Arc;

/// The words that C's integers are made of.
const C_WORDS: [&str; 7] = ["unsigned", "signed", "char", "short", "int", "long", "_Bool"];

/// Names that are types and nothing else.
const TYPES: [&str; 14] = [
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool", "void",
    "string", "float", "double", "inet",
];

const QUALIFIERS: [&str; 6] = ["const", "volatile", "restrict", "__restrict", "register", "static"];

fn is_type_word(word: &str) -> bool {
    TYPES.contains(&word)
        || C_WORDS.contains(&word)
        || QUALIFIERS.contains(&word)
        || matches!(word, "struct" | "union" | "enum" | "typeof")
}

impl Parser {
    /// Whether the `(` here begins a cast.
    pub(super) fn is_cast(&mut self) -> bool {
        let Token::Ident(word) = self.peek(0) else { return false };
        let word = Arc::clone(word);
        if is_type_word(&word) {
            return true;
        }
        let is_typedef = word.ends_with("_t") || self.typedefs.contains(&word);
        match self.peek(1) {
            // `(name *)x`, `(name **)x`
            Token::Punct("*") => {
                let mut at = 1;
                while self.peek_is(at, "*") {
                    at += 1;
                }
                self.peek_is(at, ")")
            }
            // `(name[4])x` of a type, `(name[4])` of a value
            Token::Punct("[") => is_typedef || self.peek_is(2, "]"),
            // `(name)x`
            Token::Punct(")") => match self.peek(2) {
                Token::Ident(next) => !matches!(&**next, "else"),
                Token::Int(_)
                | Token::Str(_)
                | Token::Variable(_)
                | Token::Map(_)
                | Token::Positional(_)
                | Token::PositionalCount
                | Token::Punct("(" | "~") => true,
                Token::Punct("!" | "-" | "*" | "&") => is_typedef,
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether there is a type behind the `(` here, and no expression.
    pub(super) fn is_type_in_parentheses(&mut self) -> bool {
        let Token::Ident(word) = self.peek(0) else { return false };
        let word = Arc::clone(word);
        if is_type_word(&word) {
            return true;
        }
        let mut at = 1;
        while self.peek_is(at, "*") {
            at += 1;
        }
        let ends = self.peek_is(at, ")");
        ends && (at > 1 || word.ends_with("_t") || self.typedefs.contains(&word))
    }

    /// Parses a type as in a cast: `struct x *`, `uint8[4]`.
    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        self.nested(|parser| {
            let start = parser.span;
            if parser.take("(") {
                let mut elements = Vec::new();
                while !parser.is(")") {
                    elements.push(parser.type_name()?);
                    if !parser.take(",") {
                        break;
                    }
                }
                parser.expect(")")?;
                return Ok(TypeName {
                    kind: TypeNameKind::Tuple(elements),
                    span: start.to(parser.last),
                });
            }
            let base = parser.base_type()?;
            let base = parser.pointers(base)?;
            parser.dimensions(base)
        })
    }

    fn qualifiers(&mut self) {
        while matches!(&self.token, Token::Ident(word) if QUALIFIERS.contains(&&**word)) {
            self.advance();
        }
    }

    /// Parses a type without `*` and `[…]`.
    fn base_type(&mut self) -> Parsed<TypeName> {
        self.qualifiers();
        let start = self.span;
        let Token::Ident(word) = &self.token else { return self.expected("a type") };
        let word = Arc::clone(word);
        let kind = match &*word {
            "struct" | "union" => {
                self.advance();
                let packed = self.attributes();
                let name = match &self.token {
                    Token::Ident(_) => Some(self.name("a name")?),
                    _ => None,
                };
                if self.is("{") {
                    let mut inner = self.fields(name, &*word == "union", start)?;
                    inner.packed |= packed;
                    TypeNameKind::Inline(Arc::new(inner))
                } else {
                    let Some(name) = name else {
                        return self.expected("the name of a type or `{`");
                    };
                    match &*word {
                        "struct" => TypeNameKind::Struct(name.node),
                        _ => TypeNameKind::Union(name.node),
                    }
                }
            }
            "enum" => {
                let named = !self.peek_is(0, "{");
                if named && !self.peek_is(1, "{") {
                    self.advance();
                    TypeNameKind::Enum(self.name("the name of an enum")?.node)
                } else {
                    // Its values are the script's, wherever they are defined.
                    let definition = self.enumeration()?;
                    let kind = match &definition.name {
                        Some(name) => TypeNameKind::Enum(Arc::clone(&name.node)),
                        None => TypeNameKind::Named("unsigned int".into()),
                    };
                    self.inner_enums.push(definition);
                    kind
                }
            }
            "typeof" if self.peek_is(0, "(") => {
                self.advance();
                return self.type_of(start);
            }
            word if C_WORDS.contains(&word) => TypeNameKind::Named(self.c_integer().into()),
            _ => {
                self.advance();
                TypeNameKind::Named(word)
            }
        };
        self.qualifiers();
        Ok(TypeName { kind, span: start.to(self.last) })
    }

    /// Parses what is between the parentheses of `typeof(…)`: a type or an expression.
    fn type_of(&mut self, start: Span) -> Parsed<TypeName> {
        let is_type = self.is_type_in_parentheses();
        self.expect("(")?;
        let kind = match is_type {
            true => self.type_name()?.kind,
            false => TypeNameKind::Typeof(Arc::new(self.expression()?)),
        };
        self.expect(")")?;
        Ok(TypeName { kind, span: start.to(self.last) })
    }

    /// Takes `unsigned long int` and the like, and returns its usual name.
    fn c_integer(&mut self) -> &'static str {
        let (mut unsigned, mut signed, mut longs, mut word) = (false, false, 0, "int");
        while let Token::Ident(next) = &self.token {
            match &**next {
                "unsigned" => unsigned = true,
                "signed" => signed = true,
                "long" => longs += 1,
                "short" => word = "short",
                "char" => word = "char",
                "_Bool" => word = "bool",
                "int" => {}
                next if QUALIFIERS.contains(&next) => {}
                _ => break,
            }
            self.advance();
        }
        match (unsigned, longs, word) {
            (_, _, "bool") => "bool",
            (true, _, "char") => "unsigned char",
            (false, _, "char") if signed => "signed char",
            (false, _, "char") => "char",
            (true, _, "short") => "unsigned short",
            (false, _, "short") => "short",
            (true, 0, _) => "unsigned int",
            (false, 0, _) => "int",
            (true, 1, _) => "unsigned long",
            (false, 1, _) => "long",
            (true, ..) => "unsigned long long",
            (false, ..) => "long long",
        }
    }

    fn pointers(&mut self, mut base: TypeName) -> Parsed<TypeName> {
        let mut count = 0;
        while self.take("*") {
            count += 1;
            if count > 16 {
                return self.too_deep();
            }
            self.qualifiers();
            let span = base.span.to(self.last);
            base = TypeName { kind: TypeNameKind::Pointer(Box::new(base)), span };
        }
        Ok(base)
    }

    /// Parses `[4][2]` behind a type; the first is the outermost.
    fn dimensions(&mut self, base: TypeName) -> Parsed<TypeName> {
        let start = base.span;
        let mut dimensions: Vec<Option<Arc<Expr>>> = Vec::new();
        while self.take("[") {
            let length = if self.is("]") { None } else { Some(Arc::new(self.expression()?)) };
            self.expect("]")?;
            dimensions.push(length);
            if dimensions.len() > 16 {
                return self.too_deep();
            }
        }
        let span = start.to(self.last);
        let wrap = |of, length| TypeName { kind: TypeNameKind::Array(Box::new(of), length), span };
        Ok(dimensions.into_iter().rev().fold(base, wrap))
    }

    /// Parses the fields of a struct or union between braces.
    pub(super) fn fields(
        &mut self,
        name: Option<Name>,
        union: bool,
        start: Span,
    ) -> Parsed<StructDefinition> {
        self.nested(|parser| {
            parser.expect("{")?;
            let mut fields = Vec::new();
            while !parser.take("}") {
                if parser.token == Token::End {
                    return parser
                        .fail(start, "syntax error: definition without end, expected `}`");
                }
                parser.field(&mut fields)?;
            }
            let packed = parser.attributes();
            Ok(StructDefinition { name, union, packed, fields, span: start.to(parser.last) })
        })
    }

    /// Parses a declaration of one or more fields.
    fn field(&mut self, fields: &mut Vec<FieldDefinition>) -> Parsed<()> {
        let base = self.base_type()?;
        if self.take(";") || self.is("}") {
            fields.push(FieldDefinition { name: None, ty: base, bits: None });
            return Ok(());
        }
        loop {
            let ty = self.pointers(base.clone())?;
            let mut field = FieldDefinition { name: None, ty, bits: None };
            if self.is("(") {
                field = self.function_pointer()?;
            } else {
                if !self.is(":") {
                    field.name = Some(self.name("the name of a field")?);
                }
                if self.take(":") {
                    let Token::Int(bits) = self.token else {
                        return self.expected("a number of bits");
                    };
                    field.bits = Some(Spanned { node: bits, span: self.span });
                    self.advance();
                }
                field.ty = self.dimensions(field.ty)?;
            }
            self.attributes();
            fields.push(field);
            if !self.take(",") {
                // bpftrace does without the last one.
                return if self.is("}") { Ok(()) } else { self.expect(";") };
            }
        }
    }

    /// Parses `(*name)(…)`, a pointer to a function of unspecified type.
    fn function_pointer(&mut self) -> Parsed<FieldDefinition> {
        let start = self.span;
        self.expect("(")?;
        self.expect("*")?;
        let name = Some(self.name("the name of a field")?);
        self.expect(")")?;
        self.expect("(")?;
        let mut depth = 1;
        while depth > 0 {
            match self.advance() {
                Token::Punct("(") => depth += 1,
                Token::Punct(")") => depth -= 1,
                Token::End => return self.expected("`)`"),
                _ => {}
            }
        }
        let span = start.to(self.last);
        let void = TypeName { kind: TypeNameKind::Named("void".into()), span };
        let ty = TypeName { kind: TypeNameKind::Pointer(Box::new(void)), span };
        Ok(FieldDefinition { name, ty, bits: None })
    }

    /// Skips `__attribute__((…))`; returns whether it was `packed`.
    pub(super) fn attributes(&mut self) -> bool {
        let mut packed = false;
        while self.is_word("__attribute__") {
            self.advance();
            let mut depth = 0;
            loop {
                match self.advance() {
                    Token::Punct("(") => depth += 1,
                    Token::Punct(")") => depth -= 1,
                    Token::Ident(word) => packed |= word.contains("packed"),
                    Token::End => return packed,
                    _ => {}
                }
                if depth <= 0 {
                    break;
                }
            }
        }
        packed
    }

    /// Parses `enum name { A, B = 2 }`, from the word on.
    pub(super) fn enumeration(&mut self) -> Parsed<EnumDefinition> {
        let start = self.span;
        self.advance();
        let name = if self.is("{") { None } else { Some(self.name("the name of the enum")?) };
        if self.take(":") {
            self.type_name()?;
        }
        self.expect("{")?;
        let mut values = Vec::new();
        while !self.is("}") {
            let name = self.name("the name of a value")?;
            let value = if self.take("=") { Some(self.expression()?) } else { None };
            values.push((name, value));
            if !self.take(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(EnumDefinition { name, values, span: start.to(self.last) })
    }

    /// Parses `TYPE NAME;` of a typedef.
    pub(super) fn typedef(&mut self) -> Parsed<(Name, TypeName)> {
        self.advance();
        let mut fields = Vec::new();
        let start = self.span;
        self.field(&mut fields)?;
        match fields.pop() {
            Some(FieldDefinition { name: Some(name), ty, .. }) => Ok((name, ty)),
            _ => self.fail(start.to(self.last), "syntax error: expected the name that is defined"),
        }
    }
}
