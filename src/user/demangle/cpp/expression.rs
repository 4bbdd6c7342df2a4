//! Expressions: `<expression>` of the ABI.

use super::table::{self, Kind};
use super::{Id, Node, Parser};

/// Casts.
const CASTS: [(&str, &str); 4] = [
    ("dc", "dynamic_cast"),
    ("sc", "static_cast"),
    ("cc", "const_cast"),
    ("rc", "reinterpret_cast"),
];

/// Keywords with a type or an expression in parentheses, and whether it is a type.
const KEYWORDS: [(&str, &str, bool); 7] = [
    ("ti", "typeid (", true),
    ("te", "typeid (", false),
    ("st", "sizeof (", true),
    ("sz", "sizeof (", false),
    ("at", "alignof (", true),
    ("az", "alignof (", false),
    ("nx", "noexcept (", false),
];

impl<'s> Parser<'s> {
    pub(super) fn expression(&mut self) -> Option<Id> {
        self.deeper(Parser::expression_here)
    }

    fn expressions(&mut self) -> Option<Vec<Id>> {
        self.list(Parser::expression)
    }

    fn expression_here(&mut self) -> Option<Id> {
        match self.peek() {
            b'L' => return self.literal(),
            b'T' => return self.template_parameter(),
            b'0'..=b'9' => return self.unresolved(),
            _ => {}
        }
        let code = self.text.get(..2)?;
        if code == "fp" || code == "fL" {
            return self.function_parameter();
        }
        if let Some((_, name)) = CASTS.iter().find(|(one, _)| *one == code) {
            self.text = self.text.get(2..)?;
            let (ty, value) = (self.ty()?, self.expression()?);
            return self.add(Node::Cast(name, ty, value));
        }
        if let Some((_, name, of_type)) = KEYWORDS.iter().find(|(one, ..)| *one == code) {
            self.text = self.text.get(2..)?;
            let operand = if *of_type { self.ty()? } else { self.expression()? };
            return self.add(Node::Around(name, operand, ")"));
        }
        match code {
            "sr" | "on" | "dn" => return self.unresolved(),
            "cl" => {
                self.expect("cl")?;
                let function = self.expression()?;
                let arguments = self.expressions()?;
                return self.add(Node::Call(function, arguments));
            }
            "cv" => {
                self.expect("cv")?;
                let ty = self.ty()?;
                if self.eat("_") {
                    let values = self.expressions()?;
                    return self.add(Node::Call(ty, values));
                }
                let value = self.expression()?;
                return self.add(Node::Cast("", ty, value));
            }
            "tl" | "il" => {
                self.next();
                self.next();
                let ty = if code == "tl" { Some(self.ty()?) } else { None };
                let values = self.list(Parser::initializer)?;
                return self.add(Node::Braces(ty, values));
            }
            "gs" => {
                self.expect("gs")?;
                let value = self.expression()?;
                return self.add(Node::Prefix("::", value));
            }
            "nw" | "na" => {
                self.next();
                let keyword = if self.next()? == b'w' { "new" } else { "new[]" };
                let mut placement = Vec::new();
                while !self.eat("_") {
                    placement.push(self.expression()?);
                }
                let ty = self.ty()?;
                let values = match self.eat("pi") {
                    true => Some(self.expressions()?),
                    false => {
                        self.expect("E")?;
                        None
                    }
                };
                return self.add(Node::New(keyword, placement, ty, values));
            }
            "sZ" => {
                self.expect("sZ")?;
                let pack = match self.peek() {
                    b'T' => self.template_parameter()?,
                    _ => self.function_parameter()?,
                };
                return self.add(Node::Count(pack));
            }
            "sP" => {
                self.expect("sP")?;
                let all = self.list(Parser::template_argument)?;
                let pack = self.add(Node::Pack(all))?;
                return self.add(Node::Count(pack));
            }
            "sp" => {
                self.expect("sp")?;
                let pattern = self.expression()?;
                return self.add(Node::Expansion(pattern));
            }
            "tw" => {
                self.expect("tw")?;
                let value = self.expression()?;
                return self.add(Node::Unary("throw ", value));
            }
            "tr" => {
                self.expect("tr")?;
                return self.text("throw");
            }
            "ix" => {
                self.expect("ix")?;
                let (array, index) = (self.expression()?, self.expression()?);
                let index = self.add(Node::Around("[", index, "]"))?;
                return self.add(Node::Join(array, "", index));
            }
            "qu" => {
                self.expect("qu")?;
                let (condition, yes) = (self.expression()?, self.expression()?);
                let no = self.expression()?;
                return self.add(Node::Conditional(condition, yes, no));
            }
            "fl" | "fr" => {
                self.next();
                let left = self.next()? == b'l';
                let (sign, _) = table::operator(self.text)?;
                self.text = self.text.get(2..)?;
                let pack = Some(self.expression()?);
                let (a, b) = if left { (None, pack) } else { (pack, None) };
                return self.add(Node::Fold(a, sign, b));
            }
            "fR" => {
                self.expect("fR")?;
                let (sign, _) = table::operator(self.text)?;
                self.text = self.text.get(2..)?;
                let (a, b) = (self.expression()?, self.expression()?);
                return self.add(Node::Fold(Some(a), sign, Some(b)));
            }
            _ => {}
        }
        let (sign, kind) = table::operator(self.text)?;
        self.text = self.text.get(2..)?;
        match kind {
            Kind::Unary => {
                let value = self.expression()?;
                self.add(Node::Unary(sign, value))
            }
            Kind::Step if self.eat("_") => {
                let value = self.expression()?;
                self.add(Node::Unary(sign, value))
            }
            Kind::Step => {
                let value = self.expression()?;
                self.add(Node::Postfix(value, sign))
            }
            Kind::Binary => {
                let a = self.expression()?;
                let b = self.expression()?;
                self.add(Node::Binary(a, sign, b))
            }
            Kind::Name => None,
        }
    }

    /// An element of a list in braces, which may say what it is for.
    fn initializer(&mut self) -> Option<Id> {
        if self.eat("di") {
            let (name, value) = (self.source_name()?, self.initializer_value()?);
            let name = self.add(Node::Prefix(".", name))?;
            return self.add(Node::Join(name, "=", value));
        }
        if self.eat("dx") {
            let (index, value) = (self.expression()?, self.initializer_value()?);
            let index = self.add(Node::Around("[", index, "]"))?;
            return self.add(Node::Join(index, "=", value));
        }
        self.expression()
    }

    fn initializer_value(&mut self) -> Option<Id> {
        self.deeper(Parser::initializer)
    }

    /// A parameter of the function, or `this`.
    fn function_parameter(&mut self) -> Option<Id> {
        self.expect("f")?;
        if self.eat("L") {
            self.number()?;
        }
        self.expect("p")?;
        if self.eat("T") {
            return self.add(Node::Variable(None));
        }
        self.qualifiers();
        let number = self.sequence()? + 1;
        self.add(Node::Variable(Some(number)))
    }

    /// The name of something that is not known before the template has its arguments.
    fn unresolved(&mut self) -> Option<Id> {
        if !self.eat("sr") {
            return self.base_name();
        }
        // Names of levels, `E`, a name; or a type and a name; or `N`, a type, names of levels, `E`, a name.
        let of_levels = |parser: &mut Self| {
            let scope = parser.simple_name()?;
            parser.unresolved_in(scope)
        };
        let of_type = |parser: &mut Self| {
            let (scope, name) = (parser.ty()?, parser.base_name()?);
            parser.add(Node::Join(scope, "::", name))
        };
        if let Some(found) = self.attempt(of_levels).or_else(|| self.attempt(of_type)) {
            return Some(found);
        }
        self.expect("N")?;
        let scope = self.ty()?;
        self.unresolved_in(scope)
    }

    /// Reads something, or nothing.
    fn attempt(&mut self, read: impl FnOnce(&mut Self) -> Option<Id>) -> Option<Id> {
        let (text, known, depth) = (self.text, self.known.len(), self.depth);
        let found = read(self);
        if found.is_none() {
            (self.text, self.depth) = (text, depth);
            self.known.truncate(known);
        }
        found
    }

    /// Further levels up to `E`, and the name.
    fn unresolved_in(&mut self, mut scope: Id) -> Option<Id> {
        while !self.eat("E") {
            let level = self.simple_name()?;
            scope = self.add(Node::Join(scope, "::", level))?;
        }
        let name = self.base_name()?;
        self.add(Node::Join(scope, "::", name))
    }

    fn simple_name(&mut self) -> Option<Id> {
        let name = self.source_name()?;
        self.maybe_arguments(name)
    }

    fn maybe_arguments(&mut self, name: Id) -> Option<Id> {
        match self.peek() {
            b'I' => {
                let arguments = self.template_arguments()?;
                self.add(Node::Template(name, arguments))
            }
            _ => Some(name),
        }
    }

    fn base_name(&mut self) -> Option<Id> {
        if self.eat("dn") {
            let name = match self.peek() {
                b'0'..=b'9' => self.simple_name()?,
                _ => self.ty()?,
            };
            return self.add(Node::Prefix("~", name));
        }
        if self.peek().is_ascii_digit() {
            return self.simple_name();
        }
        self.eat("on");
        let (name, _) = self.operator_name()?;
        self.maybe_arguments(name)
    }

    /// A value: of a type, or of something that has a symbol.
    pub(super) fn literal(&mut self) -> Option<Id> {
        self.expect("L")?;
        if self.eat("_Z") {
            let id = self.encoding()?;
            self.expect("E")?;
            return Some(id);
        }
        let ty = self.ty()?;
        let end = self.text.find('E')?;
        let (digits, rest) = (self.text.get(..end)?, self.text.get(end + 1..)?);
        self.text = rest;
        self.add(Node::Literal(ty, digits))
    }
}
