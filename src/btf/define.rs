//! Definitions of types as C writes them.

use super::{Body, Btf, BtfError, Kind, Member, Type};
use std::fmt::Write;

/// A struct nests no deeper than this: in damaged BTF one can contain itself.
const DEPTH: usize = 16;

impl Btf {
    /// The definition of a struct, union or enumeration, on several lines, without the semicolon at its end. Of others
    /// it is their declaration.
    ///
    /// # Errors
    /// [`BtfError::Damaged`] if there is no such type, or if it contains ever more of others.
    pub(crate) fn definition(&self, id: u32) -> Result<String, BtfError> {
        let mut out = String::new();
        self.define(&mut out, self.get(id)?, 0)?;
        Ok(out)
    }

    fn define(&self, out: &mut String, of: Type<'_>, depth: usize) -> Result<(), BtfError> {
        if depth > DEPTH {
            return Err(BtfError::Damaged { id: of.id, problem: "it contains too many others" });
        }
        let space = if of.name.is_empty() { "" } else { " " };
        match of.body {
            Body::Composite { members, .. } => {
                let _ = writeln!(out, "{}{space}{} {{", of.kind.word(), of.name);
                for member in members {
                    self.define_member(out, &member?, depth + 1)?;
                }
            }
            Body::Enum { values, .. } => {
                let _ = writeln!(out, "enum{space}{} {{", of.name);
                for value in values {
                    let value = value?;
                    indent(out, depth + 1);
                    let _ = writeln!(out, "{} = {},", value.name, value.value);
                }
            }
            _ => {
                out.push_str(&self.declaration(of.id, "")?);
                return Ok(());
            }
        }
        indent(out, depth);
        out.push('}');
        Ok(())
    }

    fn define_member(
        &self,
        out: &mut String,
        member: &Member<'_>,
        depth: usize,
    ) -> Result<(), BtfError> {
        indent(out, depth);
        match self.without_name(member.of)? {
            Some((inner, lengths)) => {
                self.define(out, inner, depth)?;
                if !member.name.is_empty() {
                    let _ = write!(out, " {}{lengths}", member.name);
                }
            }
            None => out.push_str(&self.declaration(member.of, member.name)?),
        }
        if let Some(bits) = member.bits {
            let _ = write!(out, ": {bits}");
        }
        out.push_str(";\n");
        Ok(())
    }

    /// The type without a name that a member is of, or an array of it, with the lengths in brackets.
    fn without_name(&self, id: u32) -> Result<Option<(Type<'_>, String)>, BtfError> {
        let (mut next, mut lengths) = (id, String::new());
        for _ in 0..DEPTH {
            let found = self.get(next)?;
            match (found.kind, found.body) {
                (_, Body::Array { element, len, .. }) => {
                    let _ = match len {
                        0 => write!(lengths, "[]"),
                        len => write!(lengths, "[{len}]"),
                    };
                    next = element;
                }
                (Kind::Const | Kind::Volatile, Body::Alias(of)) => next = of,
                (_, Body::Composite { .. } | Body::Enum { .. }) if found.name.is_empty() => {
                    return Ok(Some((found, lengths)));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n('\t', depth));
}

#[cfg(test)]
mod tests {
    use crate::btf::{Btf, Builder, Enumerator, Kind, Member};

    /// The text is that which a C programmer would write for the types.
    #[test]
    fn types_are_defined_as_in_c() {
        let mut types = Builder::new();
        let int = types.int("int", 4, true);
        let long = types.int("long unsigned int", 8, false);
        let character = types.int("char", 1, true);
        let name = types.array(character, int, 16);
        let plain = |name, of, byte: u32| Member { name, of, bit_offset: byte * 8, bits: None };
        let value = |name, value| Enumerator { name, value };
        let color = types.enumeration("color", &[value("RED", 0), value("GREEN", 5)]);
        let either = types.composite("", true, 8, &[plain("a", long, 0), plain("b", int, 0)]);
        let part = types.composite("", false, 4, &[plain("x", int, 0)]);
        let parts = types.array(part, int, 2);
        let pointer = types.pointer(either);
        let bits = |name, bit_offset, bits| Member { name, of: int, bit_offset, bits: Some(bits) };
        let all = types.composite(
            "all",
            false,
            64,
            &[
                plain("name", name, 0),
                plain("", either, 16),
                plain("parts", parts, 24),
                plain("color", color, 32),
                bits("f", 288, 3),
                bits("g", 291, 5),
                plain("p", pointer, 40),
            ],
        );
        let btf = Btf::new(types.finish().unwrap()).unwrap();
        let expected = "\
struct all {
\tchar name[16];
\tunion {
\t\tlong unsigned int a;
\t\tint b;
\t};
\tstruct {
\t\tint x;
\t} parts[2];
\tenum color color;
\tint f: 3;
\tint g: 5;
\tunion (anonymous) *p;
}";
        assert_eq!(btf.definition(all).unwrap(), expected);
        let color = btf.type_id("color", Kind::Enum).unwrap();
        assert_eq!(btf.definition(color).unwrap(), "enum color {\n\tRED = 0,\n\tGREEN = 5,\n}");
        assert_eq!(btf.definition(int).unwrap(), "int");
        assert!(btf.definition(1000).is_err());
    }
}
