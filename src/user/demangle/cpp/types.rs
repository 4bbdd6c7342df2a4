//! Types: `<type>` of the ABI.

use super::{Id, Node, Parser, Qualifiers, table};

impl<'s> Parser<'s> {
    pub(super) fn qualifiers(&mut self) -> Qualifiers {
        let mut found = Qualifiers::default();
        for (letter, bit) in [("r", 4), ("V", 2), ("K", 1)] {
            if self.eat(letter) {
                found.0 |= bit;
            }
        }
        found
    }

    /// A type, which can be referred to again if it is more than a name of the language.
    pub(super) fn ty(&mut self) -> Option<Id> {
        self.deeper(Parser::ty_here)
    }

    fn ty_here(&mut self) -> Option<Id> {
        let text = self.text;
        if let Some((_, name)) = table::TYPES.iter().find(|(code, _)| *code == self.peek()) {
            self.next();
            return self.text(name);
        }
        let id = match self.peek() {
            b'r' | b'V' | b'K' => {
                let qualifiers = self.qualifiers();
                let inner = self.ty()?;
                // Functions and their qualifiers are one type.
                if let Some(Node::Signature { .. }) = self.nodes.get(inner as usize)
                    && self.known.last() == Some(&inner)
                {
                    self.known.pop();
                }
                self.add(Node::Qualified(inner, qualifiers))?
            }
            b'P' => self.pointer("*")?,
            b'R' => self.pointer("&")?,
            b'O' => self.pointer("&&")?,
            b'C' => self.pointer(" _Complex")?,
            b'G' => self.pointer(" _Imaginary")?,
            b'F' => self.signature(None)?,
            b'A' => {
                self.next();
                let length = match self.peek() {
                    b'_' => None,
                    b'0'..=b'9' => {
                        let digits = self.digits();
                        Some(self.text(digits)?)
                    }
                    _ => Some(self.expression()?),
                };
                self.expect("_")?;
                let element = self.ty()?;
                self.add(Node::Array(length, element))?
            }
            b'M' => {
                self.next();
                let class = self.ty()?;
                let ty = self.ty()?;
                self.add(Node::Member(class, ty))?
            }
            b'T' => match text.as_bytes().get(1) {
                Some(b's' | b'u' | b'e') => {
                    self.text = text.get(2..)?;
                    self.name()?.id
                }
                _ => {
                    let parameter = self.template_parameter()?;
                    match self.peek() {
                        // What follows a conversion's type are arguments of the operator.
                        b'I' if !self.conversion => {
                            self.remember(parameter);
                            self.with_arguments(parameter)?.id
                        }
                        _ => parameter,
                    }
                }
            },
            b'S' if !text.starts_with("St") => {
                let id = self.substitution()?;
                match self.peek() {
                    b'I' => self.with_arguments(id)?.id,
                    _ => return Some(id),
                }
            }
            b'u' => {
                self.next();
                let name = self.source_name()?;
                match self.peek() {
                    b'I' => self.with_arguments(name)?.id,
                    _ => name,
                }
            }
            b'U' if !matches!(text.get(..2), Some("Ut" | "Ul")) => {
                self.next();
                let name = self.source_name()?;
                let name = match self.peek() {
                    b'I' => self.with_arguments(name)?.id,
                    _ => name,
                };
                let inner = self.ty()?;
                self.add(Node::Vendor(inner, name))?
            }
            b'D' => match self.of_two_letters()? {
                (id, true) => id,
                (id, false) => return Some(id),
            },
            _ => self.name()?.id,
        };
        Some(self.remember(id))
    }

    fn pointer(&mut self, sign: &'static str) -> Option<Id> {
        self.next();
        let inner = self.ty()?;
        self.add(Node::Pointer(inner, sign))
    }

    fn signature(&mut self, noexcept: Option<Id>) -> Option<Id> {
        self.expect("F")?;
        self.eat("Y");
        let result = self.ty()?;
        let mut qualifiers = Qualifiers::default();
        let mut parameters = Vec::new();
        loop {
            if self.eat("E") {
                break;
            }
            if self.eat("RE") {
                qualifiers = Qualifiers(8);
                break;
            }
            if self.eat("OE") {
                qualifiers = Qualifiers(16);
                break;
            }
            parameters.push(self.ty()?);
        }
        let parameters = self.without_void(parameters)?;
        self.add(Node::Signature { result, parameters, qualifiers, noexcept })
    }

    /// A type that begins with `D`, and whether it can be referred to again.
    fn of_two_letters(&mut self) -> Option<(Id, bool)> {
        if let Some((code, name)) =
            table::MORE_TYPES.iter().find(|(code, _)| self.text.starts_with(code))
        {
            self.expect(code)?;
            return Some((self.text(name)?, false));
        }
        match self.text.as_bytes().get(1)? {
            b't' | b'T' => Some((self.decltype()?, true)),
            b'p' => {
                self.expect("Dp")?;
                let pattern = self.ty()?;
                Some((self.add(Node::Expansion(pattern))?, true))
            }
            b'v' => {
                self.expect("Dv")?;
                let length = match self.eat("_") {
                    true => self.expression()?,
                    false => {
                        let digits = self.digits();
                        self.text(digits)?
                    }
                };
                self.expect("_")?;
                let element = self.ty()?;
                Some((self.add(Node::Vector(length, element))?, true))
            }
            b'o' => {
                self.expect("Do")?;
                let yes = self.text("")?;
                Some((self.signature(Some(yes))?, true))
            }
            b'O' => {
                self.expect("DO")?;
                let condition = self.expression()?;
                self.expect("E")?;
                Some((self.signature(Some(condition))?, true))
            }
            b'F' => {
                self.expect("DF")?;
                let bits = self.digits();
                let name = if self.eat("b") { "std::bfloat16_t" } else { "" };
                if !name.is_empty() {
                    return Some((self.text(name)?, false));
                }
                let wide = self.eat("x");
                if !wide {
                    self.expect("_")?;
                }
                let bits = self.text(bits)?;
                let float = self.add(Node::Prefix("_Float", bits))?;
                let id = match wide {
                    true => self.add(Node::Postfix(float, "x"))?,
                    false => float,
                };
                Some((id, false))
            }
            b'B' | b'U' => {
                let signed = self.eat("DB");
                if !signed {
                    self.expect("DU")?;
                }
                let bits = match self.peek() {
                    b'0'..=b'9' => {
                        let digits = self.digits();
                        self.text(digits)?
                    }
                    _ => self.expression()?,
                };
                self.expect("_")?;
                let start = if signed { "_BitInt(" } else { "unsigned _BitInt(" };
                Some((self.add(Node::Around(start, bits, ")"))?, false))
            }
            _ => None,
        }
    }

    pub(super) fn decltype(&mut self) -> Option<Id> {
        self.expect("D")?;
        self.next();
        let value = self.expression()?;
        self.expect("E")?;
        self.add(Node::Around("decltype (", value, ")"))
    }
}
