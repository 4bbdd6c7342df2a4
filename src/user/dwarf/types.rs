//! Types: what they are, their members, and those of a name.

use super::abi::{self, Class};
use super::{Bytes, DEPTH, DebugInfo, Die, DwarfError, Entry, Result, TypeId, flag, number, skip};
use gimli::{AttributeValue, DwTag, Dwarf, constants as dw};

/// A type, without its typedefs and qualifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// `void`, and what is not known.
    Void,
    /// A truth value.
    Bool {
        /// Its size in bytes.
        size: u64,
    },
    /// An integer.
    Int {
        /// Its size in bytes.
        size: u64,
        /// Whether it is signed.
        signed: bool,
        /// Whether it is a character: an array of them is text.
        character: bool,
    },
    /// A floating-point number.
    Float {
        /// Its size in bytes.
        size: u64,
        /// The number of elements: two for a complex number.
        parts: u64,
    },
    /// A pointer or a reference.
    Pointer(Option<TypeId>),
    /// An array.
    Array {
        /// Its elements.
        of: Option<TypeId>,
        /// The length of each dimension, 0 if it has none.
        lengths: Vec<u64>,
        /// Whether it is a vector (`__attribute__((vector_size))`), which is a value of its own.
        vector: bool,
    },
    /// A struct, class or union.
    Composite {
        /// Its place.
        id: TypeId,
        /// Its name; empty if it has none.
        name: String,
        /// Whether it is a union.
        union: bool,
        /// Its size in bytes.
        size: u64,
        /// Whether it is only declared here.
        declared: bool,
    },
    /// An enumeration.
    Enum {
        /// Its place.
        id: TypeId,
        /// Its name; empty if it has none.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// Whether it is signed.
        signed: bool,
    },
    /// A function.
    Function,
    /// Something else.
    Other {
        /// Its size in bytes.
        size: u64,
    },
}

/// A member of a struct or union, or a class that it inherits from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name; empty if it has none: its members are those of the outer type.
    pub name: String,
    /// Its type.
    pub of: Option<TypeId>,
    /// Its offset, in bits.
    pub bit_offset: u64,
    /// Its width in bits, if it is a bit-field.
    pub bits: Option<u32>,
}

/// The tags of types with a name that scripts can use, and their words in C.
pub(super) const STRUCTS: [DwTag; 2] = [dw::DW_TAG_structure_type, dw::DW_TAG_class_type];

/// The maximum number of parts that a struct is split into to find how it is passed. One of 64 bytes has that many only if it contains itself,
/// in a damaged file.
const MOST_PARTS: usize = 1000;

/// The maximum number of dimensions of an array. Languages have limits near it (Fortran 15); a damaged file has none.
const MOST_DIMENSIONS: usize = 24;

impl DebugInfo {
    /// The struct or class of a name.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn struct_named(&self, name: &str) -> Result<Option<TypeId>> {
        self.type_named(name, &STRUCTS)
    }

    /// The union of a name.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn union_named(&self, name: &str) -> Result<Option<TypeId>> {
        self.type_named(name, &[dw::DW_TAG_union_type])
    }

    /// The enumeration of a name.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn enum_named(&self, name: &str) -> Result<Option<TypeId>> {
        self.type_named(name, &[dw::DW_TAG_enumeration_type])
    }

    /// The type of a name that stands alone: a typedef, or what C++ calls so.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn typedef_named(&self, name: &str) -> Result<Option<TypeId>> {
        self.type_named(
            name,
            &[
                dw::DW_TAG_typedef,
                dw::DW_TAG_structure_type,
                dw::DW_TAG_class_type,
                dw::DW_TAG_union_type,
                dw::DW_TAG_enumeration_type,
                dw::DW_TAG_base_type,
            ],
        )
    }

    /// Passes the names of all structs and unions to `f`.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn struct_names(&self, mut f: impl FnMut(&str)) -> Result<()> {
        let tags = [dw::DW_TAG_structure_type, dw::DW_TAG_class_type, dw::DW_TAG_union_type];
        self.each_type(&tags, |name, _, _| {
            f(&String::from_utf8_lossy(name));
            false
        })
    }

    /// The first type with one of these tags and a name.
    fn type_named(&self, name: &str, tags: &[DwTag]) -> Result<Option<TypeId>> {
        let mut found = None;
        self.each_type(tags, |one, die, id| {
            if one == name.as_bytes()
                && (die.tag() != dw::DW_TAG_base_type || die.has_attr(dw::DW_AT_byte_size))
            {
                found = Some(id);
            }
            found.is_some()
        })?;
        Ok(found)
    }

    /// Passes each type with one of these tags and a name to `f`, which is defined outside of functions, until it returns `true`.
    pub(super) fn each_type(
        &self,
        tags: &[DwTag],
        mut f: impl FnMut(&[u8], &Die<'_>, TypeId) -> bool,
    ) -> Result<()> {
        let dwarf = self.dwarf();
        for place in &self.units {
            let unit = self.unit(&dwarf, *place)?;
            let mut entries = unit.unit.entries_raw(None)?;
            let mut die = Die::null();
            // How deep the function is that the entries are in.
            let mut function = isize::MAX;
            while !entries.is_empty() {
                let depth = entries.next_depth();
                let mut ahead = entries.clone();
                let tag = skip(&mut ahead)?;
                if depth <= function {
                    function = isize::MAX;
                }
                let wanted = tag.is_some_and(|tag| depth < function && tags.contains(&tag));
                if !wanted {
                    if tag == Some(dw::DW_TAG_subprogram) {
                        function = function.min(depth);
                    }
                    entries = ahead;
                    continue;
                }
                entries.read_entry(&mut die)?;
                let name = match self.reference_of(&unit, &die, dw::DW_AT_specification)? {
                    Some(declared) => {
                        let Entry { unit, die } = self.entry(&dwarf, declared)?;
                        DebugInfo::text(&dwarf, &unit, &die, dw::DW_AT_name)
                    }
                    None => DebugInfo::text(&dwarf, &unit, &die, dw::DW_AT_name),
                };
                let id = TypeId(place.start + die.offset().0 as u64);
                if let Some(name) = name
                    && !flag(&die, dw::DW_AT_declaration)
                    && f(name, &die, id)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A type.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn resolve(&self, id: Option<TypeId>) -> Result<Type> {
        self.resolve_with(&self.dwarf(), id)
    }

    pub(super) fn resolve_with(
        &self,
        dwarf: &Dwarf<Bytes<'_>>,
        id: Option<TypeId>,
    ) -> Result<Type> {
        let mut next = id;
        for _ in 0..DEPTH {
            let Some(id) = next else { return Ok(Type::Void) };
            let entry = self.entry(dwarf, id)?;
            if let Some(found) = self.type_of(dwarf, id, &entry)? {
                return Ok(found);
            }
            // A typedef, a qualifier, or what stands in a unit of its own.
            next = match self.reference(&entry, dw::DW_AT_signature)? {
                Some(elsewhere) => Some(elsewhere),
                None => self.reference(&entry, dw::DW_AT_type)?,
            };
        }
        Err(DwarfError::Damaged)
    }

    /// The type that an entry is; `None` if it leads to another one.
    fn type_of<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        id: TypeId,
        entry: &Entry<'a>,
    ) -> Result<Option<Type>> {
        let die = &entry.die;
        let size = number(die, dw::DW_AT_byte_size).unwrap_or(0);
        Ok(Some(match die.tag() {
            dw::DW_TAG_typedef
            | dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type
            | dw::DW_TAG_immutable_type
            | dw::DW_TAG_subrange_type => return Ok(None),
            _ if die.has_attr(dw::DW_AT_signature) => return Ok(None),
            dw::DW_TAG_base_type => match base(die, size) {
                // Bytes are no text: `unsigned char` and `signed char` are encoded as characters are.
                Type::Int { size, signed, character: true } => {
                    let name = DebugInfo::text(dwarf, &entry.unit, die, dw::DW_AT_name);
                    let character = matches!(name, Some(b"char" | b"char8_t"));
                    Type::Int { size, signed, character }
                }
                other => other,
            },
            dw::DW_TAG_pointer_type
            | dw::DW_TAG_reference_type
            | dw::DW_TAG_rvalue_reference_type => {
                Type::Pointer(self.reference(entry, dw::DW_AT_type)?)
            }
            // `nullptr_t`
            dw::DW_TAG_unspecified_type if DebugInfo::name(dwarf, entry).contains("nullptr") => {
                Type::Pointer(None)
            }
            dw::DW_TAG_unspecified_type => Type::Void,
            dw::DW_TAG_ptr_to_member_type => {
                let to = self.reference(entry, dw::DW_AT_type)?;
                let function = match to {
                    Some(to) => self.entry(dwarf, to)?.die.tag() == dw::DW_TAG_subroutine_type,
                    None => false,
                };
                Type::Other { size: if function { 16 } else { 8 } }
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_interface_type => {
                Type::Composite {
                    id,
                    name: self.type_name(dwarf, entry)?,
                    union: false,
                    size,
                    declared: flag(die, dw::DW_AT_declaration),
                }
            }
            dw::DW_TAG_union_type => Type::Composite {
                id,
                name: self.type_name(dwarf, entry)?,
                union: true,
                size,
                declared: flag(die, dw::DW_AT_declaration),
            },
            dw::DW_TAG_enumeration_type => {
                let signed = match self.reference(entry, dw::DW_AT_type)? {
                    // Not resolved further than one step: what is enumerated are plain integers.
                    Some(of) => match base(&self.plain(dwarf, of)?.die, 0) {
                        Type::Int { signed, .. } => signed,
                        _ => false,
                    },
                    None => self.enumerators_of(dwarf, entry)?.iter().any(|(_, value)| *value < 0),
                };
                Type::Enum { id, name: self.type_name(dwarf, entry)?, size, signed }
            }
            dw::DW_TAG_array_type => {
                let mut lengths = Vec::new();
                DebugInfo::children(entry, |die| {
                    if die.tag() == dw::DW_TAG_subrange_type {
                        if lengths.len() == MOST_DIMENSIONS {
                            return Err(DwarfError::Damaged);
                        }
                        lengths.push(length(die));
                    }
                    Ok(true)
                })?;
                Type::Array {
                    of: self.reference(entry, dw::DW_AT_type)?,
                    lengths,
                    vector: flag(die, dw::DW_AT_GNU_vector),
                }
            }
            dw::DW_TAG_subroutine_type => Type::Function,
            _ => Type::Other { size },
        }))
    }

    /// The name of a struct, union or enumeration.
    fn type_name<'a>(&self, dwarf: &Dwarf<Bytes<'a>>, entry: &Entry<'a>) -> Result<String> {
        Ok(match self.reference(entry, dw::DW_AT_specification)? {
            Some(declared) => DebugInfo::name(dwarf, &self.entry(dwarf, declared)?),
            None => DebugInfo::name(dwarf, entry),
        })
    }

    /// The entry of a type behind its typedefs and qualifiers.
    fn plain<'a>(&self, dwarf: &Dwarf<Bytes<'a>>, id: TypeId) -> Result<Entry<'a>> {
        let mut entry = self.entry(dwarf, id)?;
        for _ in 0..DEPTH {
            match self.reference(&entry, dw::DW_AT_type)? {
                Some(next) => entry = self.entry(dwarf, next)?,
                None => return Ok(entry),
            }
        }
        Err(DwarfError::Damaged)
    }

    /// The members of a struct or union, in order.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn members(&self, id: TypeId) -> Result<Vec<Member>> {
        self.members_with(&self.dwarf(), id)
    }

    pub(super) fn members_with(&self, dwarf: &Dwarf<Bytes<'_>>, id: TypeId) -> Result<Vec<Member>> {
        let entry = self.entry(dwarf, id)?;
        let mut members = Vec::new();
        DebugInfo::children(&entry, |die| {
            let base = die.tag() == dw::DW_TAG_inheritance;
            // A static member has no place in the struct.
            let fixed = flag(die, dw::DW_AT_external) || flag(die, dw::DW_AT_declaration);
            if !(base || die.tag() == dw::DW_TAG_member) || fixed {
                return Ok(true);
            }
            let of = match die.attr_value(dw::DW_AT_type) {
                Some(value) => self.target(&entry.unit, value)?,
                None => None,
            };
            let name = DebugInfo::text(dwarf, &entry.unit, die, dw::DW_AT_name).unwrap_or_default();
            // The place of a virtual base class is only known at run time.
            let Some(byte) = location(die) else { return Ok(true) };
            let bits = number(die, dw::DW_AT_bit_size).and_then(|bits| u32::try_from(bits).ok());
            let mut bit_offset = byte.saturating_mul(8);
            if let Some(bits) = bits {
                let storage = match number(die, dw::DW_AT_byte_size) {
                    Some(size) => size,
                    None => self.size_with(dwarf, of, 0)?,
                };
                bit_offset = bit_place(die, bit_offset, bits, storage);
            }
            let name = String::from_utf8_lossy(name).into_owned();
            let name = if base { String::new() } else { name };
            members.push(Member { name, of, bit_offset, bits });
            Ok(true)
        })?;
        Ok(members)
    }

    /// The values of an enumeration, in order.
    ///
    /// # Errors
    /// [`DwarfError`]
    pub(crate) fn enumerators(&self, id: TypeId) -> Result<Vec<(String, i128)>> {
        let dwarf = self.dwarf();
        let entry = self.entry(&dwarf, id)?;
        self.enumerators_of(&dwarf, &entry)
    }

    fn enumerators_of<'a>(
        &self,
        dwarf: &Dwarf<Bytes<'a>>,
        entry: &Entry<'a>,
    ) -> Result<Vec<(String, i128)>> {
        let mut values = Vec::new();
        DebugInfo::children(entry, |die| {
            if die.tag() == dw::DW_TAG_enumerator {
                let name = DebugInfo::text(dwarf, &entry.unit, die, dw::DW_AT_name);
                let value = match die.attr_value(dw::DW_AT_const_value) {
                    // Compilers write those below 0 so, and all others as they are.
                    Some(AttributeValue::Sdata(value)) => value.into(),
                    Some(value) => value.udata_value().unwrap_or(0).into(),
                    None => 0,
                };
                let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
                values.push((name, value));
            }
            Ok(true)
        })?;
        Ok(values)
    }

    /// The size of a type in bytes, 0 if it has none.
    fn size_with(&self, dwarf: &Dwarf<Bytes<'_>>, id: Option<TypeId>, depth: usize) -> Result<u64> {
        Ok(match self.resolve_with(dwarf, id)? {
            Type::Void | Type::Function => 0,
            Type::Pointer(_) => 8,
            Type::Array { of, lengths, .. } if depth < DEPTH => {
                let of = self.size_with(dwarf, of, depth + 1)?;
                lengths.iter().fold(of, |size, length| size.saturating_mul(*length))
            }
            Type::Array { .. } => 0,
            Type::Bool { size }
            | Type::Int { size, .. }
            | Type::Float { size, .. }
            | Type::Composite { size, .. }
            | Type::Enum { size, .. }
            | Type::Other { size } => size,
        })
    }

    /// Returns how a value of a type is passed.
    pub(super) fn class(&self, dwarf: &Dwarf<Bytes<'_>>, id: Option<TypeId>) -> Result<Class> {
        let found = self.resolve_with(dwarf, id)?;
        let size = self.size_with(dwarf, id, 0)?;
        Ok(match found {
            Type::Void | Type::Function => Class::Unknown,
            Type::Bool { .. } | Type::Int { .. } | Type::Pointer(_) | Type::Enum { .. } => {
                Class::Integer { size }
            }
            Type::Float { parts: 1, .. } => Class::Float { size },
            Type::Array { vector: true, .. } => Class::Vector { size },
            Type::Composite { declared: true, .. } | Type::Array { .. } => Class::Unknown,
            Type::Float { .. } | Type::Composite { .. } | Type::Other { .. } => {
                let by_reference = match &found {
                    Type::Composite { id, .. } => {
                        let entry = self.entry(dwarf, *id)?;
                        number(&entry.die, dw::DW_AT_calling_convention)
                            == Some(dw::DW_CC_pass_by_reference.0.into())
                    }
                    _ => false,
                };
                let (mut leaves, mut left) = (Vec::new(), MOST_PARTS);
                // What is larger is passed as such, whatever is in it.
                if size <= abi::LARGEST_LOOKED_INTO {
                    self.leaves(dwarf, id, 0, &mut left, &mut leaves)?;
                }
                Class::Composite { size, leaves, by_reference }
            }
        })
    }

    /// The scalars that a value consists of.
    fn leaves(
        &self,
        dwarf: &Dwarf<Bytes<'_>>,
        id: Option<TypeId>,
        start: u64,
        left: &mut usize,
        leaves: &mut Vec<abi::Leaf>,
    ) -> Result<()> {
        *left = left.checked_sub(1).ok_or(DwarfError::Damaged)?;
        match self.resolve_with(dwarf, id)? {
            Type::Composite { id, .. } => {
                for member in self.members_with(dwarf, id)? {
                    let at = start.saturating_add(member.bit_offset / 8);
                    if let Some(bits) = member.bits {
                        *left = left.checked_sub(1).ok_or(DwarfError::Damaged)?;
                        // The bytes that it touches.
                        let end = (member.bit_offset % 8).saturating_add(bits.into()).div_ceil(8);
                        leaves.push(abi::Leaf { offset: at, size: end, align: 1, float: false });
                    } else {
                        self.leaves(dwarf, member.of, at, left, leaves)?;
                    }
                }
            }
            Type::Array { of, lengths, vector: false } => {
                let size = self.size_with(dwarf, of, 0)?;
                let count = lengths.iter().fold(1_u64, |all, one| all.saturating_mul(*one));
                for index in 0..count.min(abi::LARGEST_LOOKED_INTO) {
                    let at = start.saturating_add(size.saturating_mul(index));
                    self.leaves(dwarf, of, at, left, leaves)?;
                }
            }
            Type::Float { size, parts } => {
                let size = size / parts.max(1);
                for part in 0..parts {
                    let offset = start.saturating_add(size.saturating_mul(part));
                    leaves.push(abi::Leaf { offset, size, align: size, float: true });
                }
            }
            other => {
                let vector = matches!(other, Type::Array { .. });
                let size = self.size_with(dwarf, id, 0)?;
                let align = size.min(16);
                leaves.push(abi::Leaf { offset: start, size, align, float: vector });
            }
        }
        Ok(())
    }
}

/// A base type by its encoding.
fn base(die: &Die<'_>, size: u64) -> Type {
    let encoding = match die.attr_value(dw::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => encoding,
        _ => return Type::Other { size },
    };
    let int = |signed, character| Type::Int { size, signed, character };
    match encoding {
        dw::DW_ATE_boolean => Type::Bool { size },
        dw::DW_ATE_signed => int(true, false),
        dw::DW_ATE_signed_char => int(true, true),
        dw::DW_ATE_unsigned | dw::DW_ATE_address | dw::DW_ATE_UCS => int(false, false),
        dw::DW_ATE_UTF => int(false, size == 1),
        dw::DW_ATE_unsigned_char => int(false, true),
        dw::DW_ATE_float | dw::DW_ATE_decimal_float | dw::DW_ATE_imaginary_float => {
            Type::Float { size, parts: 1 }
        }
        dw::DW_ATE_complex_float => Type::Float { size, parts: 2 },
        _ => Type::Other { size },
    }
}

/// The length of a dimension of an array, 0 if it has none.
fn length(die: &Die<'_>) -> u64 {
    let bound = |attribute| die.attr_value(attribute).and_then(|value| value.sdata_value());
    match number(die, dw::DW_AT_count) {
        Some(count) => count,
        // An upper bound of -1 is that of no elements.
        None => {
            let lower = bound(dw::DW_AT_lower_bound).unwrap_or(0);
            let upper = number(die, dw::DW_AT_upper_bound)
                .and_then(|bound| i64::try_from(bound).ok())
                .filter(|bound| *bound != i64::from(u32::MAX));
            let length = upper.and_then(|upper| upper.checked_sub(lower)?.checked_add(1));
            length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
        }
    }
}

/// Returns the offset of a member in bytes; `None` if that is only known at run time.
fn location(die: &Die<'_>) -> Option<u64> {
    /// `DW_OP_plus_uconst`, by which old compilers say it.
    const PLUS: u8 = 0x23;
    let Some(value) = die.attr_value(dw::DW_AT_data_member_location) else { return Some(0) };
    let expression = match value.exprloc_value() {
        Some(expression) => expression.0,
        None => return value.udata_value(),
    };
    let mut rest = match expression.slice().split_first() {
        Some((&PLUS, rest)) => gimli::EndianSlice::new(rest, gimli::LittleEndian),
        _ => return None,
    };
    let offset = gimli::Reader::read_uleb128(&mut rest).ok()?;
    rest.is_empty().then_some(offset)
}

/// Returns the offset of a bit-field in bits, in memory order. `start` is where its storage unit begins, if there is one.
fn bit_place(die: &Die<'_>, start: u64, bits: u32, storage: u64) -> u64 {
    if let Some(offset) = number(die, dw::DW_AT_data_bit_offset) {
        return offset;
    }
    // DWARF 2 and 3 count from the most significant bit of the storage unit.
    let Some(from_top) = number(die, dw::DW_AT_bit_offset) else { return start };
    match cfg!(target_endian = "little") {
        true => {
            let unit = storage.saturating_mul(8);
            start.saturating_add(unit.saturating_sub(from_top.saturating_add(bits.into())))
        }
        false => start.saturating_add(from_top),
    }
}
