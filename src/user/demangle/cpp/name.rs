//! Names: `<encoding>`, `<name>`, `<unqualified-name>`, `<substitution>`, `<template-args>` and `<special-name>` of the ABI.

use super::table::{self, Of};
use super::{Id, Node, Parser, Qualifiers};

/// A name, and what its function's type depends on.
pub(super) struct Named {
    pub id: Id,
    /// Whether the last component has template arguments.
    template: bool,
    /// Whether the function is a constructor, a destructor or a conversion.
    without_result: bool,
    qualifiers: Qualifiers,
}

impl<'s> Parser<'s> {
    pub(super) fn encoding(&mut self) -> Option<Id> {
        self.deeper(Parser::encoding_here)
    }

    fn encoding_here(&mut self) -> Option<Id> {
        if matches!(self.peek(), b'T' | b'G') {
            return self.special();
        }
        let named = self.name()?;
        if matches!(self.peek(), 0 | b'E' | b'.') {
            return Some(named.id);
        }
        let result = match named.template && !named.without_result {
            true => Some(self.ty()?),
            false => None,
        };
        let mut parameters = Vec::new();
        while !matches!(self.peek(), 0 | b'E' | b'.') {
            parameters.push(self.ty()?);
        }
        let parameters = self.without_void(parameters)?;
        self.add(Node::Function {
            name: named.id,
            result,
            parameters,
            qualifiers: named.qualifiers,
        })
    }

    /// A list of `void` alone is none.
    pub(super) fn without_void(&self, list: Vec<Id>) -> Option<Vec<Id>> {
        if let [one] = list.as_slice()
            && let Some(Node::Text("void")) = self.nodes.get(*one as usize)
        {
            return Some(Vec::new());
        }
        (!list.is_empty()).then_some(list)
    }

    fn special(&mut self) -> Option<Id> {
        for (code, text, of) in table::SPECIAL {
            if self.eat(code) {
                let of = match of {
                    Of::Type => self.ty()?,
                    Of::Name => self.name()?.id,
                    Of::Encoding => self.encoding()?,
                };
                return self.add(Node::Prefix(text, of));
            }
        }
        if self.eat("GR") {
            let name = self.name()?.id;
            let number = match self.peek() {
                0 | b'.' => 0,
                _ => self.sequence_36()?,
            };
            return self.add(Node::Numbered("reference temporary #", number, " for ", name));
        }
        if self.eat("TC") {
            let derived = self.ty()?;
            self.number()?;
            self.expect("_")?;
            let base = self.ty()?;
            let both = self.add(Node::Join(base, "-in-", derived))?;
            return self.add(Node::Prefix("construction vtable for ", both));
        }
        if self.eat("TA") {
            let argument = self.template_argument()?;
            return self.add(Node::Prefix("template parameter object for ", argument));
        }
        let text = if self.eat("Tc") {
            self.call_offset()?;
            self.call_offset()?;
            "covariant return thunk to "
        } else {
            self.expect("T")?;
            if self.call_offset()? { "virtual thunk to " } else { "non-virtual thunk to " }
        };
        let function = self.encoding()?;
        self.add(Node::Prefix(text, function))
    }

    /// Whether it is a virtual one.
    fn call_offset(&mut self) -> Option<bool> {
        let numbers = match self.next()? {
            b'h' => 1,
            b'v' => 2,
            _ => return None,
        };
        for _ in 0..numbers {
            self.eat("n");
            self.number()?;
            self.expect("_")?;
        }
        Some(numbers == 2)
    }

    /// A name.
    pub(super) fn name(&mut self) -> Option<Named> {
        self.deeper(|parser| match parser.peek() {
            b'N' => parser.nested(),
            b'Z' => parser.local(),
            b'S' if !parser.text.starts_with("St") => {
                let id = parser.substitution()?;
                match parser.peek() {
                    b'I' => parser.with_arguments(id),
                    _ => Some(Named::plain(id)),
                }
            }
            _ => {
                let std = parser.eat("St");
                let (id, without_result) = parser.unqualified(None)?;
                let id = match std {
                    true => {
                        let std = parser.text("std")?;
                        parser.add(Node::Join(std, "::", id))?
                    }
                    false => id,
                };
                let mut named = Named { without_result, ..Named::plain(id) };
                if parser.peek() == b'I' {
                    parser.remember(id);
                    named = Named { without_result, ..parser.with_arguments(id)? };
                }
                Some(named)
            }
        })
    }

    pub(super) fn with_arguments(&mut self, name: Id) -> Option<Named> {
        let arguments = self.template_arguments()?;
        let id = self.add(Node::Template(name, arguments))?;
        Some(Named { template: true, ..Named::plain(id) })
    }

    pub(super) fn template_arguments(&mut self) -> Option<Vec<Id>> {
        self.expect("I")?;
        let mut all = Vec::new();
        while !self.eat("E") {
            // A constraint is not part of the name.
            if self.eat("Q") {
                self.expression()?;
                continue;
            }
            all.push(self.template_argument()?);
        }
        Some(all)
    }

    pub(super) fn template_argument(&mut self) -> Option<Id> {
        self.deeper(|parser| match parser.peek() {
            b'L' => parser.literal(),
            b'X' => {
                parser.expect("X")?;
                let value = parser.expression()?;
                parser.expect("E")?;
                Some(value)
            }
            b'J' => {
                parser.expect("J")?;
                let all = parser.list(Parser::template_argument)?;
                parser.add(Node::Pack(all))
            }
            _ => parser.ty(),
        })
    }

    fn local(&mut self) -> Option<Named> {
        self.expect("Z")?;
        let function = self.encoding()?;
        self.expect("E")?;
        // The result of an enclosing function is not shown.
        if let Some(Node::Function { result, .. }) = self.nodes.get_mut(function as usize) {
            *result = None;
        }
        if self.eat("s") {
            self.discriminator();
            let literal = self.text("string literal")?;
            return Some(Named::plain(self.add(Node::Join(function, "::", literal))?));
        }
        let mut named = if self.eat("d") {
            let number = self.sequence()? + 1;
            let named = self.name()?;
            let id = self.add(Node::Numbered("{default arg#", number, "}::", named.id))?;
            Named { id, ..named }
        } else {
            let named = self.name()?;
            self.discriminator();
            named
        };
        named.id = self.add(Node::Join(function, "::", named.id))?;
        Some(named)
    }

    /// The number that tells equal local names apart, which is not shown.
    fn discriminator(&mut self) {
        let before = self.text;
        if self.eat("__") {
            if self.number().is_some() && self.eat("_") {
                return;
            }
        } else if self.eat("_") && self.next().is_some_and(|byte| byte.is_ascii_digit()) {
            return;
        }
        self.text = before;
    }

    fn nested(&mut self) -> Option<Named> {
        self.expect("N")?;
        let mut qualifiers = self.qualifiers();
        if self.eat("R") {
            qualifiers.0 |= 8;
        } else if self.eat("O") {
            qualifiers.0 |= 16;
        }
        let mut prefix: Option<Id> = None;
        let (mut template, mut without_result) = (false, false);
        while !self.eat("E") {
            if self.peek() == b'I' {
                let name = prefix?;
                let arguments = self.template_arguments()?;
                prefix = Some(self.add(Node::Template(name, arguments))?);
                template = true;
            } else {
                template = false;
                let (id, known) = match self.peek() {
                    b'S' if prefix.is_none() && self.eat("St") => (self.text("std")?, true),
                    b'S' if prefix.is_none() => (self.substitution()?, true),
                    b'T' if prefix.is_none() => (self.template_parameter()?, false),
                    b'D' if prefix.is_none() && matches!(self.text.get(..2), Some("Dt" | "DT")) => {
                        (self.decltype()?, false)
                    }
                    _ => {
                        let (id, without) = self.unqualified(prefix)?;
                        without_result = without;
                        (id, false)
                    }
                };
                prefix = Some(match prefix {
                    Some(prefix) => {
                        let prefix = self.whole(prefix, id)?;
                        self.add(Node::Join(prefix, "::", id))?
                    }
                    None => id,
                });
                if known {
                    continue;
                }
                // The initializer of a member.
                self.eat("M");
            }
            // The whole name is remembered by whom it is a type of.
            if self.peek() != b'E' {
                self.remember(prefix?);
            }
        }
        Some(Named { id: prefix?, template, without_result, qualifiers })
    }

    /// The name in front of another: abbreviations are written in full in front of constructors and destructors.
    fn whole(&mut self, prefix: Id, id: Id) -> Option<Id> {
        match (self.nodes.get(prefix as usize)?, self.nodes.get(id as usize)?) {
            (Node::Std(_, whole, _), Node::Structor(..)) => self.text(whole),
            _ => Some(prefix),
        }
    }

    /// An unqualified name, and whether it is that of a function without a result.
    fn unqualified(&mut self, prefix: Option<Id>) -> Option<(Id, bool)> {
        // Internal linkage, and friends.
        while matches!(self.peek(), b'L' | b'F') {
            self.next();
        }
        let mut without_result = false;
        let mut id = match self.peek() {
            b'0'..=b'9' => self.source_name()?,
            b'C' | b'D' if self.eat("DC") => {
                let names = self.list(Parser::source_name)?;
                self.add(Node::Binding(names))?
            }
            b'C' | b'D' => {
                without_result = true;
                let sign = if self.next()? == b'D' { "~" } else { "" };
                let inherits = sign.is_empty() && self.eat("I");
                self.next().filter(u8::is_ascii_digit)?;
                if inherits {
                    self.ty()?;
                }
                self.add(Node::Structor(sign, prefix?))?
            }
            b'U' => self.unnamed()?,
            _ => {
                let (id, conversion) = self.operator_name()?;
                without_result = conversion;
                id
            }
        };
        while self.eat("B") {
            let tag = self.identifier()?;
            id = self.add(Node::Abi(id, tag))?;
        }
        Some((id, without_result))
    }

    fn unnamed(&mut self) -> Option<Id> {
        if self.eat("Ut") {
            let number = self.sequence()? + 1;
            return self.add(Node::Unnamed(number));
        }
        self.expect("Ul")?;
        let parameters = self.list(Parser::ty)?;
        let parameters = self.without_void(parameters)?;
        let number = self.sequence()? + 1;
        self.add(Node::Lambda(number, parameters))
    }

    pub(super) fn identifier(&mut self) -> Option<&'s str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (name, rest) = (self.text.get(..length)?, self.text.get(length..)?);
        self.text = rest;
        (!name.is_empty()).then_some(name)
    }

    pub(super) fn source_name(&mut self) -> Option<Id> {
        let name = self.identifier()?;
        let anonymous = name.strip_prefix("_GLOBAL_").is_some_and(|rest| {
            rest.starts_with(['.', '_', '$'])
                && rest.get(1..).is_some_and(|rest| rest.starts_with('N'))
        });
        self.text(if anonymous { "(anonymous namespace)" } else { name })
    }

    /// The name of an operator function, and whether it is a conversion.
    pub(super) fn operator_name(&mut self) -> Option<(Id, bool)> {
        if self.eat("cv") {
            let before = std::mem::replace(&mut self.conversion, true);
            let ty = self.ty();
            self.conversion = before;
            return Some((self.add(Node::Conversion(ty?))?, true));
        }
        if self.eat("li") {
            let name = self.source_name()?;
            return Some((self.add(Node::Prefix("operator\"\" ", name))?, false));
        }
        let (sign, _) = table::operator(self.text)?;
        self.text = self.text.get(2..)?;
        let sign = self.text(sign.trim_end())?;
        let space = matches!(self.nodes.get(sign as usize), Some(Node::Text(text)) if text.starts_with(|c: char| c.is_ascii_lowercase()));
        let prefix = if space { "operator " } else { "operator" };
        Some((self.add(Node::Prefix(prefix, sign))?, false))
    }

    fn sequence_36(&mut self) -> Option<u64> {
        let digits = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
        let end = self.text.find(|c| !digits(c)).unwrap_or(self.text.len());
        let (number, rest) = self.text.split_at(end);
        self.text = rest.strip_prefix('_')?;
        match number {
            "" => Some(0),
            number => u64::from_str_radix(number, 36).ok()?.checked_add(1),
        }
    }

    pub(super) fn substitution(&mut self) -> Option<Id> {
        self.expect("S")?;
        let code = self.peek();
        if let Some((_, short, whole, last)) = table::STD.iter().find(|(one, ..)| *one == code) {
            self.next();
            let id = self.add(Node::Std(short, whole, last))?;
            return self.tagged(id);
        }
        let index = usize::try_from(self.sequence_36()?).ok()?;
        self.known.get(index).copied()
    }

    fn tagged(&mut self, mut id: Id) -> Option<Id> {
        while self.peek() == b'B' {
            self.next();
            let tag = self.identifier()?;
            id = self.add(Node::Abi(id, tag))?;
            self.remember(id);
        }
        Some(id)
    }

    pub(super) fn template_parameter(&mut self) -> Option<Id> {
        self.expect("T")?;
        let number = usize::try_from(self.sequence()?).ok()?;
        self.add(Node::Parameter(number))
    }
}

impl Named {
    fn plain(id: Id) -> Named {
        Named { id, template: false, without_result: false, qualifiers: Qualifiers::default() }
    }
}
