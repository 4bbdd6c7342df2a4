//! Writes a blob: types one after the other, strings once each.

use super::types::KINDS;
use super::{BtfError, Enumerator, Kind, Member, Parameter, TypeDesc, Variable};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The longest name that every kernel takes (`KSYM_NAME_LEN` was 128 before Linux 6.1, its final zero included).
const LONGEST: usize = 127;

/// The greatest total length of the strings (`BTF_MAX_NAME_OFFSET`) and of the blob (`BTF_MAX_SIZE`), in bytes.
const MOST_BYTES: usize = 0xff_ffff;

/// The length of the header, in bytes.
const HEADER: u32 = 24;

/// The greatest number of types (`BTF_MAX_TYPE`).
const MOST_TYPES: u32 = 0xf_ffff;

/// The greatest number of members, parameters or values of a type before Linux 7.2.
const MOST_PARTS: usize = 0xffff;

/// Makes a blob of BTF in this machine's byte order, of the kinds that Linux 5.2 knows. Types are known by the
/// numbers that are given out; the same type written twice has one number, and 0 is `void`.
///
/// Names go in as they are: the kernel wants identifiers of C everywhere but in integers.
///
/// ```
/// use rawbpf::btf::{Btf, Builder, Member};
///
/// let mut builder = Builder::new();
/// let word = builder.int("unsigned int", 4, false);
/// builder.composite("pair", false, 8, &[
///     Member { name: "first", of: word, bit_offset: 0, bits: None },
///     Member { name: "second", of: word, bit_offset: 32, bits: None },
/// ]);
/// let types = Btf::new(builder.finish()?)?;
/// assert_eq!(types.field("pair.second")?.offset, 4);
/// # Ok::<(), rawbpf::btf::BtfError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// The offset of each string.
    offsets: BTreeMap<Box<[u8]>, u32>,
    /// The number of each type.
    ids: BTreeMap<Box<[u8]>, u32>,
    /// The number of types.
    count: u32,
    trouble: Option<&'static str>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// Creates a builder without types.
    pub fn new() -> Builder {
        Builder {
            types: Vec::new(),
            strings: vec![0],
            offsets: BTreeMap::new(),
            ids: BTreeMap::new(),
            count: 0,
            trouble: None,
        }
    }

    /// The offset of a string, which is added if it is not there. A zero within it would end it.
    pub fn string(&mut self, text: &str) -> u32 {
        let text = text.split('\0').next().unwrap_or_default();
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.offsets.get(text.as_bytes()) {
            return *offset;
        }
        // What is made of a crafted file can have any number of parts of one long string.
        if self.strings.len() + text.len() > MOST_BYTES {
            self.trouble = Some("it is larger than 16 MiB");
            return 0;
        }
        let offset = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.as_bytes().into(), offset);
        offset
    }

    /// Adds many strings at once, as they are, with room for a zero after the last. Returns the offset of the first, and
    /// the strings to put the other zeros in.
    pub(super) fn strings(&mut self, strings: &[u8]) -> (u32, &mut [u8]) {
        let start = self.strings.len();
        // With room for what goes before the strings in the end, so that they are not copied once more.
        self.strings.reserve(strings.len() + 1 + self.types.len() + HEADER as usize);
        self.strings.extend(strings);
        self.strings.push(0);
        let offset = u32::try_from(start).unwrap_or(u32::MAX);
        (offset, self.strings.get_mut(start..start + strings.len()).unwrap_or_default())
    }

    /// An integer of 1, 2, 4, 8 or 16 bytes.
    pub fn int(&mut self, name: &str, size: u32, signed: bool) -> u32 {
        let word = u32::from(signed) << 24 | size.saturating_mul(8).min(128);
        self.add(Kind::Int, name, 0, size, &[word])
    }

    /// A pointer.
    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add(Kind::Pointer, "", 0, to, &[])
    }

    /// An array, with the integer that an index is.
    pub fn array(&mut self, element: u32, index: u32, len: u32) -> u32 {
        self.add(Kind::Array, "", 0, 0, &[element, index, len])
    }

    /// A struct or a union of `size` bytes.
    pub fn composite(&mut self, name: &str, union: bool, size: u32, members: &[Member<'_>]) -> u32 {
        let bit_fields = members.iter().any(|member| member.bits.is_some());
        let mut words = Vec::with_capacity(members.len() * 3);
        for member in members {
            let bits = member.bits.unwrap_or(0);
            if bit_fields && (bits > 0xff || member.bit_offset > 0xff_ffff) {
                self.trouble = Some("a struct with bit-fields is too large");
            }
            words.extend([self.string(member.name), member.of, bits << 24 | member.bit_offset]);
        }
        let kind = if union { Kind::Union } else { Kind::Struct };
        self.add_parts(kind, name, bit_fields, members.len(), size, &words)
    }

    /// Another name for a type.
    pub fn typedef(&mut self, name: &str, of: u32) -> u32 {
        self.add(Kind::Typedef, name, 0, of, &[])
    }

    /// An enumeration of 4 bytes. Whether it is signed is not written: kernels before 6.0 refuse it.
    pub fn enumeration(&mut self, name: &str, values: &[Enumerator<'_>]) -> u32 {
        let mut words = Vec::with_capacity(values.len() * 2);
        for value in values {
            let word = u32::try_from(value.value)
                .or_else(|_| i32::try_from(value.value).map(i32::cast_unsigned));
            if word.is_err() {
                self.trouble = Some("the value of an enumerator does not fit 32 bits");
            }
            words.extend([self.string(value.name), word.unwrap_or_default()]);
        }
        self.add_parts(Kind::Enum, name, false, values.len(), 4, &words)
    }

    /// Adds a function prototype. The kernel requires all parameters to be named if a function is to have it.
    pub fn prototype(&mut self, returns: u32, parameters: &[Parameter<'_>]) -> u32 {
        let mut words = Vec::with_capacity(parameters.len() * 2);
        for parameter in parameters {
            words.extend([self.string(parameter.name), parameter.of]);
        }
        self.add_parts(Kind::Prototype, "", false, parameters.len(), returns, &words)
    }

    /// A function that is visible only in its program (`BTF_FUNC_STATIC`): the verifier checks it again at every call.
    /// (A global one is verified by itself, by its prototype.)
    pub fn function(&mut self, name: &str, prototype: u32) -> u32 {
        self.add(Kind::Function, name, 0, prototype, &[])
    }

    /// A function that is visible everywhere (`BTF_FUNC_GLOBAL`).
    pub(super) fn global_function(&mut self, name: &str, prototype: u32) -> u32 {
        self.add(Kind::Function, name, 1, prototype, &[])
    }

    /// A variable that is visible everywhere.
    pub fn variable(&mut self, name: &str, of: u32) -> u32 {
        self.add(Kind::Variable, name, 0, of, &[1])
    }

    /// A section of variables. The kernel wants them in the order of their offsets, and apart.
    pub fn section(&mut self, name: &str, size: u32, variables: &[Variable]) -> u32 {
        let words: Vec<u32> = variables
            .iter()
            .flat_map(|variable| [variable.of, variable.offset, variable.size])
            .collect();
        self.add_parts(Kind::Section, name, false, variables.len(), size, &words)
    }

    /// A type as it is described, with all that belongs to it. Names are made such as the kernel takes.
    pub fn describe(&mut self, desc: &TypeDesc<'_>) -> u32 {
        match desc {
            TypeDesc::Int { name, size, signed } => self.int(name, *size, *signed),
            TypeDesc::Array { element, len } => {
                let element = self.describe(element);
                let index = self.index();
                self.array(element, index, *len)
            }
            TypeDesc::Struct { name, size, fields } => {
                let names: Vec<_> = fields.iter().map(|field| identifier(field.name)).collect();
                let members: Vec<Member<'_>> = fields
                    .iter()
                    .zip(&names)
                    .map(|(field, name)| Member {
                        name,
                        of: self.describe(&field.desc),
                        bit_offset: self.bits(field.offset),
                        bits: None,
                    })
                    .collect();
                self.composite(&identifier(name), false, *size, &members)
            }
        }
    }

    /// The integer that indexes arrays, and the key of those that are maps.
    pub(super) fn index(&mut self) -> u32 {
        self.int("unsigned int", 4, false)
    }

    pub(super) fn bits(&mut self, bytes: u32) -> u32 {
        bytes.checked_mul(8).unwrap_or_else(|| {
            self.trouble = Some("a struct is larger than 512 MiB");
            0
        })
    }

    fn add_parts(
        &mut self,
        kind: Kind,
        name: &str,
        flag: bool,
        parts: usize,
        size_or_type: u32,
        words: &[u32],
    ) -> u32 {
        if parts > MOST_PARTS {
            self.trouble = Some("a type has more than 65,535 parts");
        }
        let vlen = (parts & MOST_PARTS) as u32;
        self.add(kind, name, u32::from(flag) << 31 | vlen, size_or_type, words)
    }

    /// Adds a type as it is, by the words behind its name, even one that is there already.
    #[cfg(feature = "elf")]
    pub(super) fn append(&mut self, name: &str, info: u32, words: &[u32]) {
        let head = [self.string(name), info];
        self.types.extend(head.iter().chain(words).flat_map(|word| word.to_ne_bytes()));
        self.count = self.count.saturating_add(1);
    }

    pub(crate) fn add(
        &mut self,
        kind: Kind,
        name: &str,
        info: u32,
        size_or_type: u32,
        words: &[u32],
    ) -> u32 {
        let number = KINDS.iter().zip(0..).find(|((known, ..), _)| *known == kind);
        let number = number.map_or(0, |(_, number)| number);
        let mut record = Vec::with_capacity(12 + words.len() * 4);
        for word in [self.string(name), number << 24 | info, size_or_type].iter().chain(words) {
            record.extend(word.to_ne_bytes());
        }
        if let Some(id) = self.ids.get(record.as_slice()) {
            return *id;
        }
        self.count = self.count.saturating_add(1);
        self.types.extend(&record);
        self.ids.insert(record.into(), self.count);
        self.count
    }

    /// The blob.
    ///
    /// # Errors
    /// [`BtfError::TooLarge`] if it is larger, or something in it, than any kernel takes.
    pub fn finish(self) -> Result<Vec<u8>, BtfError> {
        let large = |what| BtfError::TooLarge { what };
        if let Some(what) = self.trouble {
            return Err(large(what));
        }
        if self.count > MOST_TYPES {
            return Err(large("there are more than 1,048,575 types"));
        }
        if self.types.len() + self.strings.len() > MOST_BYTES - HEADER as usize {
            return Err(large("it is larger than 16 MiB"));
        }
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut before = Vec::with_capacity((HEADER + types) as usize);
        before.extend(0xeb9f_u16.to_ne_bytes());
        before.extend([1, 0]);
        for word in [HEADER, 0, types, types, strings] {
            before.extend(word.to_ne_bytes());
        }
        before.extend(self.types);
        let mut blob = self.strings;
        blob.splice(0..0, before);
        Ok(blob)
    }
}

/// The name as an identifier of C: all else becomes `_`.
pub(super) fn identifier(name: &str) -> Cow<'_, str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let digit = name.starts_with(|first: char| first.is_ascii_digit());
    if !digit && name.len() <= LONGEST && name.chars().all(fits) {
        return name.into();
    }
    let first = if digit { "_" } else { "" };
    let rest = name.chars().map(|letter| if fits(letter) { letter } else { '_' });
    first.chars().chain(rest).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_such_as_the_kernel_takes() {
        assert_eq!(identifier("Key<u32>"), "Key_u32_");
        assert_eq!(identifier("0"), "_0");
        assert_eq!(identifier("näh"), "n_h");
        assert_eq!(identifier(""), "");
        assert_eq!(identifier(&"x".repeat(200)).len(), 127);
    }

    #[test]
    fn what_no_kernel_takes_is_refused() {
        let mut builder = Builder::new();
        builder.enumeration("e", &[Enumerator { name: "BIG", value: 1 << 32 }]);
        assert!(builder.finish().is_err());
        let mut builder = Builder::new();
        let members = vec![Member { name: "m", of: 1, bit_offset: 0, bits: None }; 65_536];
        builder.composite("s", false, 1, &members);
        assert!(builder.finish().is_err());
        let mut builder = Builder::new();
        builder.string(&"x".repeat(1 << 24));
        assert!(builder.finish().is_err());
    }
}
