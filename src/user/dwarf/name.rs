//! Types and parameters as C declares them.

use super::{Bytes, DebugInfo, Parameter, Result, TypeId};
use gimli::{Dwarf, constants as dw};

/// The maximum number of parts of a type that are written.
const DEPTH: usize = 24;

/// The parts of a type that are not known, or of which there are too many.
const UNKNOWN: &str = "<unknown type>";

impl DebugInfo {
    /// The declaration of a parameter as bpftrace lists it: `struct Foo* foo`.
    ///
    /// # Errors
    /// [`DwarfError`](super::DwarfError)
    pub(crate) fn declaration(&self, parameter: &Parameter) -> Result<String> {
        let text = self.type_text(&self.dwarf(), parameter.of, 0)?;
        Ok(match parameter.name.as_str() {
            "" => text,
            name => format!("{text} {name}"),
        })
    }

    fn type_text(
        &self,
        dwarf: &Dwarf<Bytes<'_>>,
        id: Option<TypeId>,
        depth: usize,
    ) -> Result<String> {
        let Some(id) = id else { return Ok("void".into()) };
        if depth > DEPTH {
            return Ok(UNKNOWN.into());
        }
        let entry = self.entry(dwarf, id)?;
        if let Some(elsewhere) = self.reference(&entry, dw::DW_AT_signature)? {
            return self.type_text(dwarf, Some(elsewhere), depth + 1);
        }
        let inner = |word: &str| {
            let of = self.reference(&entry, dw::DW_AT_type)?;
            let behind = match of {
                Some(of) => is_pointer(self.entry(dwarf, of)?.die.tag()),
                None => false,
            };
            let text = self.type_text(dwarf, of, depth + 1)?;
            Ok(match behind {
                true => format!("{text} {word}"),
                false => format!("{word} {text}"),
            })
        };
        let pointer = |sign: &str| {
            let of = self.reference(&entry, dw::DW_AT_type)?;
            if let Some(of) = of
                && self.entry(dwarf, of)?.die.tag() == dw::DW_TAG_subroutine_type
            {
                return self.function_text(dwarf, of, sign, depth + 1);
            }
            self.type_text(dwarf, of, depth + 1).map(|text| format!("{text}{sign}"))
        };
        let named = |word: &str| {
            let name = DebugInfo::name(dwarf, &entry);
            let name = if name.is_empty() { "<anonymous>".into() } else { name };
            Ok(format!("{word}{name}"))
        };
        match entry.die.tag() {
            dw::DW_TAG_base_type | dw::DW_TAG_typedef | dw::DW_TAG_unspecified_type => named(""),
            dw::DW_TAG_structure_type => named("struct "),
            dw::DW_TAG_class_type => named("class "),
            dw::DW_TAG_union_type => named("union "),
            dw::DW_TAG_enumeration_type => named("enum "),
            dw::DW_TAG_pointer_type => pointer("*"),
            dw::DW_TAG_reference_type => pointer("&"),
            dw::DW_TAG_rvalue_reference_type => pointer("&&"),
            dw::DW_TAG_const_type => inner("const"),
            dw::DW_TAG_volatile_type => inner("volatile"),
            dw::DW_TAG_restrict_type => inner("restrict"),
            dw::DW_TAG_atomic_type => inner("_Atomic"),
            dw::DW_TAG_array_type => {
                let of = self.reference(&entry, dw::DW_AT_type)?;
                self.type_text(dwarf, of, depth + 1).map(|text| format!("{text}[]"))
            }
            dw::DW_TAG_subroutine_type => self.function_text(dwarf, id, "", depth + 1),
            _ => Ok(UNKNOWN.into()),
        }
    }

    /// `int (*)(char, void*)`
    fn function_text(
        &self,
        dwarf: &Dwarf<Bytes<'_>>,
        id: TypeId,
        sign: &str,
        depth: usize,
    ) -> Result<String> {
        let entry = self.entry(dwarf, id)?;
        let result = self.reference(&entry, dw::DW_AT_type)?;
        let result = self.type_text(dwarf, result, depth)?;
        let (mut of, mut more) = (Vec::new(), false);
        DebugInfo::children(&entry, |die| {
            if die.tag() == dw::DW_TAG_formal_parameter
                && let Some(value) = die.attr_value(dw::DW_AT_type)
            {
                of.push(self.target(&entry.unit, value)?);
            }
            more |= die.tag() == dw::DW_TAG_unspecified_parameters;
            Ok(true)
        })?;
        let mut parameters = Vec::new();
        // The deeper, the fewer: each of them can have as many again.
        for of in of.into_iter().take(DEPTH.saturating_sub(depth)) {
            parameters.push(self.type_text(dwarf, of, depth + 8)?);
        }
        if more {
            parameters.push("...".into());
        }
        let sign = if sign.is_empty() { String::new() } else { format!("({sign})") };
        Ok(format!("{result} {sign}({})", parameters.join(", ")))
    }
}

/// Whether qualifiers stand behind it: `char* const`.
fn is_pointer(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type
    )
}
