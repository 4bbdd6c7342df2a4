//! Parser of the top level of a script: the preamble and probes.

use super::expression::give_value;
use super::{Failed, Parsed, Parser, Probe, Script};
use crate::bt::ast::{Macro, MapDeclaration, Setting, SettingValue, Spanned, TypeDefinition};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::source::Span;
use crate::bt::token::Token;
use std::sync::Arc;

impl Parser {
    /// Parses a whole script.
    pub(super) fn script(&mut self) -> Script {
        let mut script = Script::default();
        loop {
            while self.take(";") {}
            if self.token == Token::End {
                break;
            }
            self.braces = 0;
            let types = script.types.len();
            let failed = self.item(&mut script).is_err();
            // Those that are defined within a type come before it.
            let inner = std::mem::take(&mut self.inner_enums).into_iter().map(TypeDefinition::Enum);
            script.types.splice(types..types, inner);
            if failed {
                self.predicate = false;
                self.depth = 0;
                self.skip_item();
            }
        }
        script.options = std::mem::take(&mut self.options);
        let reported = self.diagnostics.has_errors() || self.lexer.diagnostics.has_errors();
        if script.probes.is_empty() && !reported {
            let message = "no probes to attach: expected a probe, as `BEGIN { … }`";
            self.diagnostics.push(Diagnostic::error(self.span, message));
        }
        script
    }

    /// Skips behind the block that it is in, or else the next one.
    fn skip_item(&mut self) {
        loop {
            match self.advance() {
                Token::End => return,
                Token::Punct("}" | ";") if self.braces == 0 => return,
                _ => {}
            }
        }
    }

    fn item(&mut self, script: &mut Script) -> Parsed<()> {
        let start = self.span;
        let word = match &self.token {
            Token::Ident(word) => Arc::clone(word),
            // Attach points may begin with a pattern.
            Token::Punct("*") => "*".into(),
            Token::Str(_) => "".into(),
            Token::Invalid => return Err(Failed),
            _ => return self.expected("a probe"),
        };
        match &*word {
            "config" => {
                self.advance();
                self.config(script)?;
            }
            "struct" | "union" => {
                self.advance();
                let packed = self.attributes();
                let name = self.name("the name of the type")?;
                if self.take(";") {
                    return Ok(());
                }
                let mut definition = self.fields(Some(name), &*word == "union", start)?;
                definition.packed |= packed;
                script.types.push(TypeDefinition::Struct(definition));
            }
            "enum" => {
                let definition = self.enumeration()?;
                script.types.push(TypeDefinition::Enum(definition));
            }
            "typedef" => {
                let (name, ty) = self.typedef()?;
                self.typedefs.insert(Arc::clone(&name.node));
                script.types.push(TypeDefinition::Typedef(name, ty));
            }
            "let" => {
                self.advance();
                let map = self.map_declaration(start)?;
                script.maps.push(map);
            }
            "macro" => {
                self.advance();
                let definition = self.definition(start)?;
                script.macros.push(definition);
            }
            "import" => {
                self.advance();
                if !matches!(self.token, Token::Str(_)) {
                    return self.expected("a string");
                }
                self.advance();
                self.take(";");
                script.unsupported.push(Spanned { node: "import", span: start.to(self.last) });
            }
            "fn" => {
                while !matches!(self.token, Token::End | Token::Punct("{")) {
                    self.advance();
                }
                let span = start.to(self.last);
                self.block()?;
                script.unsupported.push(Spanned { node: "fn", span });
            }
            _ => {
                let probe = self.probe(start)?;
                script.probes.push(probe);
            }
        }
        Ok(())
    }

    fn probe(&mut self, start: Span) -> Parsed<Probe> {
        let attach_points = self.lexer.attach_points(start.start);
        self.ahead.clear();
        self.advance();
        if let Some(last) = attach_points.last() {
            self.last = last.span;
        } else {
            return Err(Failed);
        }
        let mut predicate = None;
        if self.take("/") {
            self.predicate = true;
            let condition = self.expression();
            self.predicate = false;
            predicate = Some(condition?);
            if !self.take("/") {
                return self.expected("`/` at the end of the predicate");
            }
        }
        if !self.is("{") {
            let what =
                if predicate.is_some() { "`{`" } else { "`{`, `,` or a predicate between `/`" };
            return self.expected(what);
        }
        let body = self.block()?;
        let span = start.to(self.last);
        Ok(Probe { attach_points, predicate, body, span })
    }

    fn config(&mut self, script: &mut Script) -> Parsed<()> {
        self.expect("=")?;
        self.expect("{")?;
        loop {
            while self.take(";") {}
            if self.take("}") {
                return Ok(());
            }
            let name = self.name("the name of a setting")?;
            self.expect("=")?;
            let span = self.span;
            let value = match self.advance() {
                Token::Int(value) => SettingValue::Int(value),
                Token::Ident(word) => SettingValue::Text(word),
                Token::Str(text) => SettingValue::Text(String::from_utf8_lossy(&text).into()),
                _ => return self.fail(span, "syntax error: expected the value of a setting"),
            };
            script.config.push(Setting { name, value: Spanned { node: value, span } });
            if !self.is(";") && !self.is("}") {
                return self.expected("`;` or `}`");
            }
        }
    }

    fn map_declaration(&mut self, start: Span) -> Parsed<MapDeclaration> {
        let Token::Map(name) = &self.token else { return self.expected("a map, `@name`") };
        let name = Spanned { node: Arc::clone(name), span: self.span };
        self.advance();
        self.expect("=")?;
        let kind = self.name("the kind of a map: hash, lruhash, percpuhash or percpulruhash")?;
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.is(")") {
            arguments.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        let span = start.to(self.last);
        if !self.take(";") {
            return self.expected("`;`");
        }
        Ok(MapDeclaration { name, kind, arguments, span })
    }

    fn definition(&mut self, start: Span) -> Parsed<Macro> {
        let name = self.name("the name of the macro")?;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.is(")") {
            let (Token::Ident(parameter) | Token::Variable(parameter) | Token::Map(parameter)) =
                &self.token
            else {
                return self.expected("a parameter: `name`, `$name` or `@name`");
            };
            parameters.push(Spanned { node: Arc::clone(parameter), span: self.span });
            self.advance();
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        let mut body = self.block()?;
        give_value(&mut body);
        Ok(Macro { name, parameters, body, span: start.to(self.last) })
    }
}
