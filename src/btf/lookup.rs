//! Lookups by name: fields, sizes, enumerators, functions.

use super::path::{Head, Path, Step, To};
use super::{Body, Btf, BtfError, Kind, Parameter, Type};
use crate::util::nearest::{Nearest, OFFERED};

/// The greatest nesting depth of anonymous structs and unions, and of arrays.
const DEPTH: usize = 32;

/// The most members that are examined for one field. The largest structs of a kernel have some hundred; only a damaged
/// blob, with a struct that contains itself, reaches this.
const MEMBERS: usize = 1 << 14;

/// The position and type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its offset in bytes from the beginning of the outermost struct. Of a bit-field: the offset of the
    /// integer in which it lies.
    pub offset: u32,
    /// Its size in bytes; 0 of an array with an open end. Of a bit-field: the size of that integer.
    pub size: u32,
    /// The bits of the integer that it occupies, if it is a bit-field.
    pub bits: Option<Bits>,
    /// Its type, by the number in the blob that it was found in.
    pub type_id: u32,
    /// Its kind, behind typedefs and `const`.
    pub kind: Kind,
}

/// The bits of an integer that a bit-field occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// The number of bits of the integer that come before it, in memory order: from the lowest on little-endian
    /// machines, from the highest on big-endian ones.
    pub offset: u32,
    /// Its size in bits.
    pub size: u32,
}

impl Field {
    /// Whether one load can fetch it: an integer, an enumeration or a pointer, of 1, 2, 4 or 8 bytes.
    pub fn is_scalar(&self) -> bool {
        let kind = matches!(self.kind, Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Pointer);
        kind && matches!(self.size, 1 | 2 | 4 | 8)
    }

    /// Returns the number of bits by which the integer, once loaded, is to be shifted right so that the bit-field is
    /// lowest; 0 if it is not a bit-field. Higher bits of the integer remain set.
    pub fn shift(&self) -> u32 {
        match self.bits {
            None => 0,
            Some(bits) if cfg!(target_endian = "little") => bits.offset,
            Some(bits) => (self.size * 8).saturating_sub(bits.offset + bits.size),
        }
    }
}

/// The prototype of a function: its parameters and return type.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Function<'a> {
    /// The number of the type that was asked about.
    pub id: u32,
    /// The type of its result; 0 is `void`.
    pub returns: u32,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter<'a>>,
}

impl Function<'_> {
    /// Returns the index of the parameter with this name, from 0.
    pub fn parameter(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|parameter| parameter.name == name)
    }
}

/// The kinds of type that a lookup accepts, and a word for them in messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    what: &'static str,
    kinds: &'a [Kind],
}

const STRUCT: &[Kind] = &[Kind::Struct];
const UNION: &[Kind] = &[Kind::Union];
const ENUM: &[Kind] = &[Kind::Enum, Kind::Enum64];

impl Wanted<'static> {
    pub(super) const PARTS: Wanted<'static> = Wanted {
        what: "struct, union or typedef",
        kinds: &[Kind::Struct, Kind::Union, Kind::Typedef],
    };
    pub(super) const SIZE: Wanted<'static> = Wanted {
        what: "type",
        kinds: &[
            Kind::Int,
            Kind::Struct,
            Kind::Union,
            Kind::Enum,
            Kind::Enum64,
            Kind::Typedef,
            Kind::Float,
        ],
    };
    pub(super) const ENUM: Wanted<'static> =
        Wanted { what: "enum", kinds: &[Kind::Enum, Kind::Enum64, Kind::Typedef] };
    const ENUMERATOR: Wanted<'static> = Wanted { what: "enumerator", kinds: ENUM };

    /// Returns the kinds that are meant, by the keyword in front if there is one.
    fn narrowed(self, head: Head<'_>) -> Wanted<'static> {
        match head.keyword {
            Some(Kind::Struct) => Wanted { what: "struct", kinds: STRUCT },
            Some(Kind::Union) => Wanted { what: "union", kinds: UNION },
            Some(_) => Wanted { what: "enum", kinds: ENUM },
            None => self,
        }
    }
}

/// A member that was found, in an anonymous one perhaps.
struct Found {
    bit_offset: u64,
    bits: Option<u32>,
    of: u32,
}

impl Btf {
    /// Finds a field by its path, `task_struct.se.vruntime`; see the [module](super). Of several structs of that
    /// name the first that has the field is taken. The base is not looked into.
    ///
    /// # Errors
    /// [`BtfError::NoType`] and [`BtfError::NoField`] with the nearest names, [`BtfError::Pointer`] if the path leads
    /// through one, [`BtfError::Path`], [`BtfError::NoParts`], [`BtfError::Index`] if it cannot be followed for
    /// another reason.
    pub fn field(&self, path: &str) -> Result<Field, BtfError> {
        self.look_up_field(path).map_err(|error| with_nearest(error, &[self]))
    }

    /// The size in bytes of a struct, union, typedef, enumeration or integer: `task_struct`, `unsigned int`; or of
    /// a field, by its path.
    ///
    /// # Errors
    /// As [`Btf::field`]; [`BtfError::NoSize`] of what has none.
    pub fn size_of(&self, path: &str) -> Result<u32, BtfError> {
        self.look_up_size(path).map_err(|error| with_nearest(error, &[self]))
    }

    /// The value of an enumerator of an enumeration: `pid_type`, `PIDTYPE_TGID`.
    ///
    /// # Errors
    /// [`BtfError::NoType`] and [`BtfError::NoEnumerator`], with the nearest names.
    pub fn enumerator(&self, of: &str, name: &str) -> Result<i128, BtfError> {
        self.look_up_enumerator(of, name).map_err(|error| with_nearest(error, &[self]))
    }

    /// The value of the first enumerator of that name in any enumeration, be it anonymous.
    ///
    /// # Errors
    /// [`BtfError::NoType`] with the nearest names.
    pub fn any_enumerator(&self, name: &str) -> Result<i128, BtfError> {
        self.look_up_any_enumerator(name).map_err(|error| with_nearest(error, &[self]))
    }

    /// The number of the first type of that name and kind: a function to attach to, `btf_trace_NAME`, a kfunc.
    ///
    /// # Errors
    /// [`BtfError::NoType`] with the nearest names of that kind.
    pub fn type_id(&self, name: &str, kind: Kind) -> Result<u32, BtfError> {
        self.look_up_type(name, kind).map_err(|error| with_nearest(error, &[self]))
    }

    /// Whether there is that type or field, or field of a field.
    ///
    /// # Errors
    /// As [`Btf::field`], except those that mean that it does not exist: a path through a pointer is a mistake on
    /// every kernel.
    pub fn exists(&self, path: &str) -> Result<bool, BtfError> {
        match self.look_up_existence(path) {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the prototype of a function: `id` is that of a function, a prototype, a pointer to one or a typedef of
    /// that, as `btf_trace_NAME` is (whose first parameter is not one of the tracepoint's).
    ///
    /// # Errors
    /// [`BtfError::NoParts`] if it is something else.
    pub fn function(&self, id: u32) -> Result<Function<'_>, BtfError> {
        let mut next = id;
        for _ in 0..DEPTH {
            let found = self.resolve(next)?;
            next = match found.body {
                Body::Function { prototype, .. } => prototype,
                Body::Pointer(to) => to,
                Body::Prototype { returns, parameters } => {
                    let parameters = parameters.collect::<Result<_, _>>()?;
                    return Ok(Function { id, returns, parameters });
                }
                _ => {
                    let path = self.get(id)?.name.into();
                    return Err(BtfError::NoParts { path, kind: found.kind, part: "parameters" });
                }
            };
        }
        Err(BtfError::Damaged { id, problem: "its pointers do not end" })
    }

    pub(crate) fn look_up_type(&self, name: &str, kind: Kind) -> Result<u32, BtfError> {
        let wanted = Wanted { what: kind.word(), kinds: &[kind] };
        for found in self.each_named(name) {
            let found = found?;
            if found.kind == kind {
                return Ok(found.id);
            }
        }
        Err(no_type(name, wanted))
    }

    /// The number of a struct, and which of its members has that name, from 0.
    pub(crate) fn look_up_member(&self, of: &str, name: &str) -> Result<(u32, u32), BtfError> {
        let id = self.look_up_type(of, Kind::Struct)?;
        let mut nearest = Nearest::new(name, OFFERED);
        if let Body::Composite { members, .. } = self.get(id)?.body {
            for (member, index) in members.zip(0..) {
                let member = member?;
                if member.name == name {
                    return Ok((id, index));
                }
                nearest.offer(member.name);
            }
        }
        let (owner, field) = (of.into(), name.into());
        Err(BtfError::NoField { owner, field, nearest: nearest.into_names() })
    }

    pub(super) fn look_up_existence(&self, path: &str) -> Result<(), BtfError> {
        let path = Path::parse(path)?;
        if path.steps.is_empty() {
            self.first_of(path.head, Wanted::SIZE, |_| Ok(()))
        } else {
            self.look_up_path(&path).map(drop)
        }
    }

    pub(super) fn look_up_size(&self, path: &str) -> Result<u32, BtfError> {
        let path = Path::parse(path)?;
        if !path.steps.is_empty() {
            return self.look_up_path(&path).map(|field| field.size);
        }
        self.first_of(path.head, Wanted::SIZE, |found| self.size(found.id, path.text()))
    }

    pub(crate) fn look_up_field(&self, path: &str) -> Result<Field, BtfError> {
        let path = Path::parse(path)?;
        if path.steps.is_empty() {
            let problem = "it names a type and no field of it";
            return Err(BtfError::Path { path: path.text().into(), problem });
        }
        self.look_up_path(&path)
    }

    fn look_up_path(&self, path: &Path<'_>) -> Result<Field, BtfError> {
        self.first_of(path.head, Wanted::PARTS, |found| self.follow(found, path))
    }

    pub(super) fn look_up_enumerator(&self, of: &str, name: &str) -> Result<i128, BtfError> {
        self.first_of(Head::parse(of), Wanted::ENUM, |found| {
            let found = self.resolve(found.id)?;
            let Body::Enum { values, .. } = found.body else {
                let (path, kind) = (of.into(), found.kind);
                return Err(BtfError::NoParts { path, kind, part: "enumerators" });
            };
            let mut nearest = Nearest::new(name, OFFERED);
            for value in values {
                let value = value?;
                if value.name == name {
                    return Ok(value.value);
                }
                nearest.offer(value.name);
            }
            let (owner, nearest) = (of.into(), nearest.into_names());
            Err(BtfError::NoEnumerator { owner, name: name.into(), nearest })
        })
    }

    pub(super) fn look_up_any_enumerator(&self, name: &str) -> Result<i128, BtfError> {
        self.look_up_enumerator_and_type(name).map(|(_, value)| value)
    }

    /// The number of the first enumeration that has an enumerator of that name, and its value.
    pub(crate) fn look_up_enumerator_and_type(&self, name: &str) -> Result<(u32, i128), BtfError> {
        let names = self.name_offsets(name);
        if !names.is_empty() {
            for found in self.types() {
                let found = found?;
                let Body::Enum { values, .. } = found.body else { continue };
                if !values.named(&names) {
                    continue;
                }
                for value in values {
                    let value = value?;
                    if value.name == name {
                        return Ok((found.id, value.value));
                    }
                }
            }
        }
        Err(no_type(name, Wanted::ENUMERATOR))
    }

    /// Returns the result of `f` for the first type with the name of `head` for which it succeeds, or the first error if
    /// it succeeds for none. Later types are not examined.
    pub(super) fn first_of<T>(
        &self,
        head: Head<'_>,
        wanted: Wanted<'static>,
        mut f: impl FnMut(&Type<'_>) -> Result<T, BtfError>,
    ) -> Result<T, BtfError> {
        let wanted = wanted.narrowed(head);
        for name in [Some(head.name), head.without_flavour()].into_iter().flatten() {
            let mut why = None;
            for found in self.each_named(name) {
                let found = found?;
                if !wanted.kinds.contains(&found.kind) {
                    continue;
                }
                match f(&found) {
                    Ok(found) => return Ok(found),
                    Err(error) => why = why.or(Some(error)),
                }
            }
            if let Some(why) = why {
                return Err(why);
            }
        }
        Err(no_type(head.name, wanted))
    }

    pub(super) fn follow(&self, from: &Type<'_>, path: &Path<'_>) -> Result<Field, BtfError> {
        let too_far = BtfError::Damaged { id: from.id, problem: "a part of it lies beyond 4 GiB" };
        let mut place = Found { bit_offset: 0, bits: None, of: from.id };
        for step in &path.steps {
            let within = self.resolve(place.of)?;
            let next = match (step.to, within.body) {
                (_, Body::Pointer(to)) => return Err(self.through_pointer(to, path, step)),
                (To::Field(name), Body::Composite { .. }) => {
                    self.member_of(&within, name, path.before(step))?
                }
                (To::Element(index), Body::Array { element, len, .. }) => {
                    if len != 0 && index >= len {
                        let path = path.before(step).into();
                        return Err(BtfError::Index { path, len, index });
                    }
                    let size = self.size(element, path.before(step))?;
                    let bit_offset = u64::from(size) * u64::from(index) * 8;
                    Found { bit_offset, bits: None, of: element }
                }
                (to, _) => {
                    let part = if matches!(to, To::Field(_)) { "fields" } else { "elements" };
                    let (path, kind) = (path.before(step).into(), within.kind);
                    return Err(BtfError::NoParts { path, kind, part });
                }
            };
            let Some(bit_offset) = place.bit_offset.checked_add(next.bit_offset) else {
                return Err(too_far);
            };
            place = Found { bit_offset, ..next };
        }
        let size = self.size(place.of, path.text())?;
        let kind = self.resolve(place.of)?.kind;
        if let Some((start, bits)) = self.bit_field(&place, size)? {
            let Some((offset, size)) = storage(start, bits, size) else {
                let problem = "it is a bit-field that no load of 8 bytes can cover";
                return Err(BtfError::Path { path: path.text().into(), problem });
            };
            let within = u32::try_from(start - offset * 8).unwrap_or_default();
            let offset = u32::try_from(offset).map_err(|_| too_far)?;
            let bits = Some(Bits { offset: within, size: bits });
            return Ok(Field { offset, size, bits, type_id: place.of, kind });
        }
        if !place.bit_offset.is_multiple_of(8) {
            let problem = "a member of it begins within a byte";
            return Err(BtfError::Damaged { id: from.id, problem });
        }
        let offset = u32::try_from(place.bit_offset / 8).map_err(|_| too_far)?;
        Ok(Field { offset, size, bits: None, type_id: place.of, kind })
    }

    /// Returns the offset and size of a bit-field, in bits: from its struct, or from its integer in the encoding of
    /// before 2018. `None` if it is not a bit-field.
    fn bit_field(&self, place: &Found, size: u32) -> Result<Option<(u64, u32)>, BtfError> {
        if let Some(bits) = place.bits {
            return Ok(Some((place.bit_offset, bits)));
        }
        match self.resolve(place.of)?.body {
            Body::Int { offset, bits, .. }
                if offset != 0 || u64::from(bits) != u64::from(size) * 8 =>
            {
                Ok(Some((place.bit_offset.saturating_add(offset.into()), bits)))
            }
            _ => Ok(None),
        }
    }

    fn through_pointer(&self, to: u32, path: &Path<'_>, step: &Step<'_>) -> BtfError {
        let named = self.resolve(to).map(|to| to.name).unwrap_or_default();
        let to = if named.is_empty() { "what it points to" } else { named };
        BtfError::Pointer {
            pointer: path.before(step).into(),
            then: format!("{to}{}", path.from(step)),
        }
    }

    fn member_of(&self, owner: &Type<'_>, name: &str, path: &str) -> Result<Found, BtfError> {
        let mut nearest = Nearest::new(name, OFFERED);
        let mut left = MEMBERS;
        let found = self.member(owner, DEPTH, &mut left, &mut |member| {
            let found = member == name;
            if !found {
                nearest.offer(member);
            }
            found
        })?;
        found.ok_or_else(|| BtfError::NoField {
            owner: path.into(),
            field: name.into(),
            nearest: nearest.into_names(),
        })
    }

    /// The offset in bits of a member, also of one in anonymous structs and unions, and its type.
    #[cfg(feature = "elf")]
    pub(super) fn member_place(
        &self,
        owner: &Type<'_>,
        name: &str,
        path: &str,
    ) -> Result<(u64, u32), BtfError> {
        self.member_of(owner, name, path).map(|found| (found.bit_offset, found.of))
    }

    /// The first member that `is` the one, also within anonymous structs and unions.
    fn member(
        &self,
        owner: &Type<'_>,
        depth: usize,
        left: &mut usize,
        is: &mut impl FnMut(&str) -> bool,
    ) -> Result<Option<Found>, BtfError> {
        let endless = BtfError::Damaged { id: owner.id, problem: "it lies within itself" };
        let Body::Composite { members, .. } = owner.body else { return Ok(None) };
        for member in members {
            let member = member?;
            let Some(fewer) = left.checked_sub(1) else { return Err(endless) };
            *left = fewer;
            let bit_offset = u64::from(member.bit_offset);
            if member.name.is_empty() {
                let Some(depth) = depth.checked_sub(1) else { return Err(endless) };
                let within = self.resolve(member.of)?;
                if let Some(found) = self.member(&within, depth, left, is)? {
                    let bit_offset = bit_offset.saturating_add(found.bit_offset);
                    return Ok(Some(Found { bit_offset, ..found }));
                }
            } else if is(member.name) {
                return Ok(Some(Found { bit_offset, bits: member.bits, of: member.of }));
            }
        }
        Ok(None)
    }

    /// The size of a type, for which `name` stands in messages.
    pub(crate) fn size(&self, id: u32, name: &str) -> Result<u32, BtfError> {
        let mut count = 1u32;
        let mut next = id;
        for _ in 0..DEPTH {
            let found = self.resolve(next)?;
            let one = match found.body {
                Body::Int { size, .. }
                | Body::Composite { size, .. }
                | Body::Enum { size, .. }
                | Body::Section { size, .. }
                | Body::Float { size } => size,
                Body::Pointer(_) => self.pointer_size(),
                Body::Array { element, len, .. } => {
                    next = element;
                    count = count
                        .checked_mul(len)
                        .ok_or(BtfError::Damaged { id, problem: "its size is beyond 4 GiB" })?;
                    continue;
                }
                _ => return Err(BtfError::NoSize { name: name.into(), kind: found.kind }),
            };
            return count
                .checked_mul(one)
                .ok_or(BtfError::Damaged { id, problem: "its size is beyond 4 GiB" });
        }
        Err(BtfError::Damaged { id, problem: "its arrays do not end" })
    }

    /// The size of a pointer, which BTF does not give: that of `long`, which is among the first types there are; 8 if
    /// there is none.
    fn pointer_size(&self) -> u32 {
        const LONG: [&str; 4] = ["long unsigned int", "unsigned long", "long int", "long"];
        if let Some(base) = self.base() {
            return base.pointer_size();
        }
        let long = self.types().take(1024).find_map(|found| match found {
            Ok(Type { body: Body::Int { size, .. }, name, .. }) if LONG.contains(&name) => {
                Some(size)
            }
            _ => None,
        });
        long.unwrap_or(8)
    }

    /// Offers the names of everything that could have been wanted.
    fn offer(&self, wanted: &[Kind], enumerators: bool, nearest: &mut Nearest<'_>) {
        for found in self.types().flatten().filter(|found| wanted.contains(&found.kind)) {
            match found.body {
                Body::Enum { values, .. } if enumerators => {
                    values.flatten().for_each(|value| nearest.offer(value.name));
                }
                _ => nearest.offer(found.name),
            }
        }
    }
}

/// The integer in which a bit-field lies, as its offset and size in bytes: of the declared size if that will do, at a
/// multiple of its size; larger ones for packed structs.
fn storage(start: u64, bits: u32, size: u32) -> Option<(u64, u32)> {
    let end = start.checked_add(bits.into())?;
    let mut size = size.clamp(1, 8).next_power_of_two();
    loop {
        let offset = start / 8 / u64::from(size) * u64::from(size);
        if end <= (offset + u64::from(size)) * 8 {
            return Some((offset, size));
        }
        size = Some(size * 2).filter(|size| *size <= 8)?;
    }
}

fn no_type(name: &str, wanted: Wanted<'_>) -> BtfError {
    BtfError::NoType { what: wanted.what, name: name.into(), nearest: Vec::new() }
}

/// Fills in the nearest names, which takes a pass over all types.
pub(super) fn with_nearest(error: BtfError, among: &[&Btf]) -> BtfError {
    let BtfError::NoType { what, name, .. } = error else { return error };
    let all = [Wanted::PARTS, Wanted::SIZE, Wanted::ENUM, Wanted::ENUMERATOR];
    let single = [
        Wanted { what: "struct", kinds: STRUCT },
        Wanted { what: "union", kinds: UNION },
        Wanted { what: "enum", kinds: ENUM },
    ];
    let kind =
        super::types::KINDS.iter().find(|(_, word, ..)| *word == what).map(|(kind, ..)| *kind);
    let kinds = all.iter().chain(&single).find(|wanted| wanted.what == what);
    let kinds = kinds.map_or(kind.as_slice(), |wanted| wanted.kinds);
    let mut nearest = Nearest::new(&name, OFFERED);
    for btf in among {
        btf.offer(kinds, what == Wanted::ENUMERATOR.what, &mut nearest);
    }
    let nearest = nearest.into_names();
    BtfError::NoType { what, name, nearest }
}
