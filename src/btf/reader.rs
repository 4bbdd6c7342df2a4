//! A blob of BTF: its header, its records one after the other, a type by its number and types by their names.

use super::types::{KINDS, words};
use super::{Body, BtfError, Kind, Type, core, search};
use crate::syscall::Contents;
use std::ffi::CStr;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// `BTF_MAGIC`, as it reads in the order of bytes in which the blob was written.
const MAGIC: u16 = 0xeb9f;

/// The header of before Linux 7.1, which brought two more words for the layout section.
const SHORT_HEADER: usize = 24;

/// The offset of every 64th record is kept.
const STRIDE: usize = 64;

/// The number of records that are read when a blob is opened. The most used types come first, for instance those that
/// `task_struct` is made of.
const HEAD: u32 = 4096;

/// The longest name of a type or of a part of one, in bytes. The kernel allows 512 (`KSYM_NAME_LEN`). Many records can have one string.
const LONGEST_NAME: usize = 4096;

/// The most aliases (typedefs, `const`, …) before a type. The kernel allows 32 (`MAX_RESOLVE_DEPTH`).
const DEPTH: usize = 64;

/// The types of a kernel, of one of its modules, or of an object file.
///
/// It owns the bytes, or maps those of the kernel, and adds little to them: four bytes for every 64 types. Reading
/// malformed bytes ends with an error.
#[derive(Debug, Clone)]
pub struct Btf {
    bytes: Bytes,
    types: Range<usize>,
    strings: Range<usize>,
    layout: Range<usize>,
    base: Option<Arc<Btf>>,
    /// The number of the first type.
    first: u32,
    /// The index of the first records.
    head: Index,
    /// The index of all records, built when a type is looked up that is not among the first.
    whole: OnceLock<Index>,
    /// The types that can have flavours, by the hashes of their names without them and then by their numbers, once somebody asked for one.
    flavours: OnceLock<Vec<(u32, u32)>>,
}

/// An index of the records that have been read.
#[derive(Debug, Clone)]
struct Index {
    /// The offset in `types` of every 64th record.
    starts: Vec<u32>,
    /// The number of records read.
    count: u32,
    /// Whether the record after them is malformed.
    wrong: bool,
}

/// The bytes of a blob.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
    Mapped(Arc<Contents>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
            Bytes::Mapped(bytes) => bytes,
        }
    }
}

/// A type as it is encoded in the blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) id: u32,
    pub(super) name: u32,
    info: u32,
    pub(super) size_or_type: u32,
    /// The bytes after the twelve that every type has.
    pub(super) tail: &'a [u8],
}

impl Record<'_> {
    pub(super) fn kind(self) -> Kind {
        Kind::of(kind_number(self.info))
    }

    /// The number of its members, parameters or values. 16 bits, and 24 since Linux 7.2; the bits between were 0.
    pub(super) fn vlen(self) -> u32 {
        self.info & 0xff_ffff
    }

    pub(super) fn flag(self) -> bool {
        self.info >> 31 != 0
    }

    /// The word with kind, flag and number of parts.
    #[cfg(feature = "elf")]
    pub(super) fn info(self) -> u32 {
        self.info
    }

    #[cfg(feature = "elf")]
    pub(super) fn kind_number(self) -> u32 {
        kind_number(self.info)
    }
}

fn kind_number(info: u32) -> u32 {
    info >> 24 & 0x7f
}

/// Records one after the other.
#[derive(Debug, Clone)]
struct Records<'a> {
    rest: &'a [u8],
    id: u32,
    layout: &'a [u8],
}

impl<'a> Records<'a> {
    /// Reads the next record. The error is the kind of a record of unknown length, or none if the record is cut off.
    #[inline]
    fn step(&mut self) -> Result<Option<Record<'a>>, Option<u32>> {
        let Some((head, rest)) = self.rest.split_at_checked(12) else {
            return if self.rest.is_empty() { Ok(None) } else { Err(None) };
        };
        let [name, info, size_or_type] = words(head);
        let vlen = info as usize & 0xff_ffff;
        let kind = kind_number(info);
        let (fixed, each) = match KINDS.get(kind as usize) {
            Some((_, _, fixed, each)) => (*fixed, *each),
            None => self.layout_of(kind).ok_or(Some(kind))?,
        };
        // At most 2^24 times 255.
        let (tail, rest) = rest.split_at_checked(fixed + vlen * each).ok_or(None)?;
        self.rest = rest;
        let record = Record { id: self.id, name, info, size_or_type, tail };
        self.id = self.id.wrapping_add(1);
        Ok(Some(record))
    }

    /// Returns the error for the next record, which `step` found to be malformed.
    #[cold]
    fn wrong(&self, kind: Option<u32>) -> BtfError {
        let id = self.id;
        let cut_off = "it is cut off at the end of the types";
        kind.map_or(BtfError::Damaged { id, problem: cut_off }, |kind| BtfError::UnknownKind {
            id,
            kind,
        })
    }

    /// Returns the sizes that the blob gives for a kind (`struct btf_layout`, Linux 7.1).
    #[cold]
    fn layout_of(&self, kind: u32) -> Option<(usize, usize)> {
        let [fixed, each, ..] = *self.layout.as_chunks::<4>().0.get(kind as usize)?;
        Some((fixed.into(), each.into()))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BtfError>;

    /// The iteration ends after an error.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(record) => record.map(Ok),
            Err(kind) => {
                self.rest = &[];
                Some(Err(self.wrong(kind)))
            }
        }
    }
}

/// All types of a blob in their order, those of the base not among them.
#[derive(Debug, Clone)]
pub struct Types<'a> {
    btf: &'a Btf,
    records: Records<'a>,
}

impl<'a> Iterator for Types<'a> {
    type Item = Result<Type<'a>, BtfError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(record.and_then(|record| Type::decode(self.btf, record)))
    }
}

impl Btf {
    /// Takes the bytes of a blob that stands by itself, as `/sys/kernel/btf/vmlinux`. Each record is looked at
    /// once, to know how long it is.
    ///
    /// # Errors
    /// [`BtfError::Header`] if this is not BTF or that of a machine with the other byte order,
    /// [`BtfError::Damaged`] or [`BtfError::UnknownKind`] if a record does not end within the types.
    pub fn new(bytes: Vec<u8>) -> Result<Btf, BtfError> {
        Btf::open(Bytes::Owned(bytes), None)?.checked()
    }

    /// As [`Btf::new`], without a copy of the bytes.
    pub(crate) fn shared(bytes: Arc<[u8]>) -> Result<Btf, BtfError> {
        Btf::open(Bytes::Shared(bytes), None)?.checked()
    }

    /// Reads the bytes of a blob whose types and strings continue those of `base`: that of a module,
    /// over that of vmlinux.
    ///
    /// # Errors
    /// As [`Btf::new`].
    pub fn split(bytes: Vec<u8>, base: Arc<Btf>) -> Result<Btf, BtfError> {
        Btf::open(Bytes::Owned(bytes), Some(base))?.checked()
    }

    /// As [`Btf::new`] and [`Btf::split`], but only the first records are checked. Faults in others are reported
    /// when they are read.
    pub(super) fn open(bytes: Bytes, base: Option<Arc<Btf>>) -> Result<Btf, BtfError> {
        let header = |problem| BtfError::Header { problem };
        let Some((head, _)) = bytes.split_at_checked(SHORT_HEADER) else {
            return Err(header("it is shorter than a header"));
        };
        let [first, length, type_off, type_len, str_off, str_len] = words(head);
        let [magic_0, magic_1, version, _flags] = first.to_ne_bytes();
        let magic = u16::from_ne_bytes([magic_0, magic_1]);
        if magic == MAGIC.swap_bytes() {
            return Err(header("it was written by a machine of the other byte order"));
        }
        if magic != MAGIC {
            return Err(header("it does not begin with the magic number 0xeb9f"));
        }
        if version != 1 {
            return Err(header("its version is not 1"));
        }
        let length = length as usize;
        if length < SHORT_HEADER || length > bytes.len() {
            return Err(header("the length of its header cannot be"));
        }
        let section = |offset: u32, size: u32| {
            let start = length.checked_add(offset as usize)?;
            let end = start.checked_add(size as usize)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let types = section(type_off, type_len).ok_or(header("its types lie beyond its end"))?;
        let strings = section(str_off, str_len).ok_or(header("its strings lie beyond its end"))?;
        let layout = match bytes.get(SHORT_HEADER..length) {
            Some(more) if more.len() >= 8 => {
                let [offset, size] = words(more);
                section(offset, size).ok_or(header("its layout lies beyond its end"))?
            }
            _ => 0..0,
        };
        if base.as_ref().is_some_and(|base| base.whole().wrong) {
            return Err(header("the types that it goes on from are damaged"));
        }
        let first = base.as_ref().map_or(1, |base| base.end());
        let head = Index { starts: Vec::new(), count: 0, wrong: false };
        let (whole, flavours) = (OnceLock::new(), OnceLock::new());
        let mut btf = Btf { bytes, types, strings, layout, base, first, head, whole, flavours };
        let own = btf.own_strings();
        if own.last().is_some_and(|last| *last != 0)
            || btf.base.is_none() && own.first() != Some(&0)
        {
            return Err(header("its strings do not begin and end with a zero"));
        }
        let (head, wrong) = btf.walk(HEAD);
        btf.head = head;
        wrong.map_or(Ok(btf), Err)
    }

    /// Reads each record, to check that they end where they should.
    pub(super) fn checked(self) -> Result<Btf, BtfError> {
        let (whole, wrong) = self.walk(u32::MAX);
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(Btf { whole: whole.into(), ..self }),
        }
    }

    /// Returns the index of all records, or of those before the first malformed one.
    fn whole(&self) -> &Index {
        self.whole.get_or_init(|| self.walk(u32::MAX).0)
    }

    /// Reads `most` records, or all; returns the error of the next one too, if that is why it ended.
    fn walk(&self, most: u32) -> (Index, Option<BtfError>) {
        let mut records = self.records();
        let len = records.rest.len();
        // Twenty bytes are usual for a type, all in all.
        let about = (len / 16).min(most as usize) / STRIDE + 1;
        let mut index = Index { starts: Vec::with_capacity(about), count: 0, wrong: false };
        while index.count < most {
            let at = len - records.rest.len();
            match records.step() {
                Ok(None) => break,
                Ok(Some(_)) => {}
                Err(kind) => {
                    index.wrong = true;
                    return (index, Some(records.wrong(kind)));
                }
            }
            if (index.count as usize).is_multiple_of(STRIDE) {
                // Sections are counted in `u32` by the header.
                index.starts.extend(u32::try_from(at));
            }
            index.count += 1;
        }
        (index, None)
    }

    fn own_strings(&self) -> &[u8] {
        self.bytes.get(self.strings.clone()).unwrap_or_default()
    }

    fn records(&self) -> Records<'_> {
        Records {
            rest: self.bytes.get(self.types.clone()).unwrap_or_default(),
            id: self.first,
            layout: self.bytes.get(self.layout.clone()).unwrap_or_default(),
        }
    }

    /// The records of its types in their order.
    #[cfg(feature = "elf")]
    pub(super) fn each_record(&self) -> impl Iterator<Item = Result<Record<'_>, BtfError>> {
        self.records()
    }

    /// The bytes of the blob, as it was given.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The blob below this one.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// One more than the largest number of a type, those of the base counted.
    pub fn end(&self) -> u32 {
        self.first + self.whole().count
    }

    /// All types in their order; those of the base are not among them.
    pub fn types(&self) -> Types<'_> {
        Types { btf: self, records: self.records() }
    }

    /// A type by its number; 0 is `void`.
    ///
    /// # Errors
    /// [`BtfError::Damaged`] if there is none of this number, or if its name is not text.
    pub fn get(&self, id: u32) -> Result<Type<'_>, BtfError> {
        if id == 0 {
            return Ok(Type::VOID);
        }
        let Some(number) = id.checked_sub(self.first) else {
            // Without a base the first is 1.
            return self.base.as_ref().map_or(Ok(Type::VOID), |base| base.get(id));
        };
        let missing = BtfError::Damaged { id, problem: "there is no type of this number" };
        let index = if number < self.head.count { &self.head } else { self.whole() };
        if number >= index.count {
            return Err(missing);
        }
        let number = number as usize;
        let Some(at) = index.starts.get(number / STRIDE) else { return Err(missing) };
        let mut records = self.records();
        records.rest = records.rest.get(*at as usize..).unwrap_or_default();
        records.id = id - (number % STRIDE) as u32;
        for _ in 0..number % STRIDE {
            let _ = records.step();
        }
        match records.step() {
            Ok(Some(record)) => Type::decode(self, record),
            _ => Err(missing),
        }
    }

    /// The type behind typedefs, `const`, `volatile`, `restrict` and tags.
    ///
    /// # Errors
    /// As [`Btf::get`]; also if they form a cycle.
    pub fn resolve(&self, id: u32) -> Result<Type<'_>, BtfError> {
        let mut next = id;
        for _ in 0..DEPTH {
            let found = self.get(next)?;
            let Body::Alias(of) = found.body else { return Ok(found) };
            next = of;
        }
        Err(BtfError::Damaged { id, problem: "its typedefs do not end" })
    }

    /// The string at an offset, of which type `id` speaks.
    pub(crate) fn string(&self, offset: u32, id: u32) -> Result<&str, BtfError> {
        self.string_within(offset, id, usize::MAX)
    }

    /// The name at an offset, of type `id` or of a part of it.
    pub(crate) fn name(&self, offset: u32, id: u32) -> Result<&str, BtfError> {
        self.string_within(offset, id, LONGEST_NAME)
    }

    /// The string at an offset if it has at most so many bytes; no more than these are read.
    pub(crate) fn string_within(
        &self,
        offset: u32,
        id: u32,
        most: usize,
    ) -> Result<&str, BtfError> {
        let below = self.strings_below();
        let (strings, offset) = match (&self.base, offset.checked_sub(below)) {
            (_, Some(offset)) => (self.own_strings(), offset),
            (Some(base), None) => return base.string_within(offset, id, most),
            (None, None) => return Ok(""),
        };
        let rest = strings.get(offset as usize..).unwrap_or_default();
        let bytes = rest.get(..most.saturating_add(1)).unwrap_or(rest);
        match CStr::from_bytes_until_nul(bytes).map(CStr::to_str) {
            Ok(Ok(string)) => Ok(string),
            Err(_) if bytes.len() < rest.len() => {
                Err(BtfError::Damaged { id, problem: "a name of it is too long" })
            }
            _ => Err(BtfError::Damaged { id, problem: "a name of it is not among the strings" }),
        }
    }

    /// Returns the offset at which the strings of this blob begin, those of the base being counted first.
    fn strings_below(&self) -> u32 {
        self.base.as_ref().map_or(0, |base| {
            // The header has it in a `u32`.
            let own = u32::try_from(base.strings.len()).unwrap_or(u32::MAX);
            base.strings_below().saturating_add(own)
        })
    }

    /// Returns the offsets of a name among the strings, those of the base included: a module may use them.
    pub(super) fn name_offsets(&self, name: &str) -> Vec<u32> {
        let mut found = self.base.as_ref().map_or_else(Vec::new, |base| base.name_offsets(name));
        let below = self.strings_below();
        let own = search::find(self.own_strings(), name);
        found.extend(own.into_iter().filter_map(|offset| offset.checked_add(below)));
        found
    }

    /// Returns the numbers of the types of that name, with any flavour, and of a kind that can stand for that one. Functions, variables and
    /// sections have no flavours, and are not found.
    pub(super) fn flavours_of(&self, name: &str, kind: Kind) -> Result<Vec<u32>, BtfError> {
        let all = self.flavours()?;
        let wanted = hash(name);
        let from = all.partition_point(|(hash, _)| *hash < wanted);
        let mut found = Vec::new();
        for (_, id) in all.iter().skip(from).take_while(|(hash, _)| *hash == wanted) {
            let one = self.get(*id)?;
            if core::kinds_are_compatible(kind, one.kind) && core::essential_name(one.name) == name
            {
                found.push(*id);
            }
        }
        Ok(found)
    }

    /// Returns the types that can have flavours. One walk over all types, of which most have no names, is less than looking for a few
    /// names among all strings.
    fn flavours(&self) -> Result<&[(u32, u32)], BtfError> {
        if let Some(known) = self.flavours.get() {
            return Ok(known);
        }
        let mut all = Vec::new();
        for record in self.records() {
            let record = record?;
            let has_flavours = matches!(
                record.kind(),
                Kind::Int
                    | Kind::Struct
                    | Kind::Union
                    | Kind::Enum
                    | Kind::Enum64
                    | Kind::Forward
                    | Kind::Typedef
                    | Kind::Float
            );
            if !has_flavours || record.name == 0 {
                continue;
            }
            if let Ok(name) = self.name(record.name, record.id) {
                all.push((hash(core::essential_name(name)), record.id));
            }
        }
        all.sort_unstable();
        Ok(self.flavours.get_or_init(|| all))
    }

    /// The types that have this name, in their order, those of the base not among them. Several can: `struct
    /// NAME` beside `typedef NAME`, and two structs in different files of the kernel.
    ///
    /// # Errors
    /// As [`Btf::get`].
    pub fn named(&self, name: &str) -> Result<Vec<Type<'_>>, BtfError> {
        self.each_named(name).collect()
    }

    /// As [`Btf::named`], one after the other, and no further than is asked for.
    pub(super) fn each_named(
        &self,
        name: &str,
    ) -> impl Iterator<Item = Result<Type<'_>, BtfError>> {
        let names = self.name_offsets(name);
        let mut records = self.records();
        // Where there is no such name there is no such type.
        let only = names.first().copied();
        std::iter::from_fn(move || {
            let only = only?;
            for record in records.by_ref() {
                let record = match record {
                    Ok(record) => record,
                    Err(wrong) => return Some(Err(wrong)),
                };
                if record.name == only || names.len() > 1 && names.contains(&record.name) {
                    return Some(Type::decode(self, record));
                }
            }
            None
        })
    }
}

/// FNV-1a, of 32 bits.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
