//! The types of values, and how each lies in a map's key, a map's value, a tuple or a record.
//!
//! # Layout
//!
//! All is in the byte order of the machine. A value of a scalar type (`bool`, integers, enumerations, pointers) is held
//! in a 64-bit register, sign- or zero-extended from its type; in memory it has the size of its type, aligned to
//! that size. All other types are objects in memory:
//!
//! | type | size | contents |
//! |---|---|---|
//! | `String(n)` | n | the bytes, then zeros up to n; a string that was cut has no zero at its end and is exactly n long |
//! | `Buffer(n)` | 4 + n, rounded up to 4 | `u32` length, the bytes, zeros |
//! | `Tuple` | as a C struct | each element at its alignment, padding is zero |
//! | `Array` | element × len | the elements |
//! | `Struct` | its size | a copy of its bytes |
//! | `Stack`, kernel | 8 | `i64`: the id in the stack map of that depth, or a negative errno |
//! | `Stack`, user | 16 | the same, then `u32` process id, `u32` 0 |
//! | `KernelSymbol` | 8 | `u64` address |
//! | `UserSymbol` | 16 | `u64` address, `u32` process id, `u32` 0 |
//! | `Inet` | 20 | `u32` address family (2 or 10), 16 bytes of address as on the wire, those of IPv4 in the first 4 |
//! | `Mac` | 6 | the bytes |
//! | `Timestamp` | 16 | `u64` nanoseconds since boot (or of the clock), `u32` index in [`Program::strings`], `u32` clock ([`Clock`]) |
//! | `CgroupPath` | 16 | `u64` cgroup id, `u32` index in [`Program::strings`] of the pattern, `u32` 0 |
//! | `Described` | 8 | `i64` number, printed as its text |
//! | `User` | 4 | `u32` user id, printed as the user's name |
//! | `Probe`, `Function` | 8 | `u64` index in the run's table of names of probes or of functions |
//! | `Count`, `Sum` | 8 | `u64` or `i64` |
//! | `Min`, `Max` | 16 | the value, then `u64` 1 if there is one |
//! | `Avg`, `Stats` | 16 | `u64` count, then the total |
//! | `Hist(bits)` | 8 × [`hist::buckets`] | `u64` per bucket |
//! | `Lhist` | 8 × ([`Lhist::buckets`]) | `u64` per bucket, the first below `min`, the last above the whole steps |
//!
//! A missing value reads as zeros.
//!
//! [`Program::strings`]: super::hir::Program::strings

mod layout;

pub(crate) use layout::tuple_layout;

use std::fmt;
use std::sync::Arc;

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// No value: the result of a function that is only called for its effect.
    Void,
    /// `true` or `false`, one byte.
    Bool,
    /// An integer.
    Int(Int),
    /// An enumeration: an integer whose values have names.
    Enum(EnumId, Int),
    /// A pointer.
    Pointer(Arc<Pointer>),
    /// A string of at most that many bytes, the zero at its end among them.
    String(u32),
    /// Bytes with a length, at most that many.
    Buffer(u32),
    /// A tuple.
    Tuple(Arc<[Type]>),
    /// An array.
    Array(Arc<Type>, u32),
    /// A struct or union.
    Struct(StructId),
    /// A stack.
    Stack(Stack),
    /// An address in the kernel, printed as the symbol there.
    KernelSymbol,
    /// An address in a process, printed as the symbol there.
    UserSymbol,
    /// An IP address.
    Inet,
    /// A hardware address.
    Mac,
    /// A time and the format to print it in, of `strftime()`.
    Timestamp,
    /// A cgroup, printed as its path.
    CgroupPath,
    /// A number, printed as the text that describes it.
    Described(Described),
    /// A user id, printed as the user's name.
    User,
    /// The name of a probe.
    Probe,
    /// The name of a function that is probed.
    Function,
    /// The value of a map: how many.
    Count,
    /// The value of a map: a sum.
    Sum(Sign),
    /// The value of a map: an average.
    Avg(Sign),
    /// The value of a map: the smallest.
    Min(Sign),
    /// The value of a map: the largest.
    Max(Sign),
    /// The value of a map: count, average and total.
    Stats(Sign),
    /// The value of a map: a histogram with 2^n buckets per power of two.
    Hist(u32),
    /// The value of a map: a histogram with buckets of one width.
    Lhist(Lhist),
}

/// Numbers that have texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Described {
    /// An error number, of `strerror()`.
    Error,
    /// The number of a signal, of `signal_name()`.
    Signal,
}

/// Whether the numbers of an aggregation are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sign {
    /// `int64`.
    Signed,
    /// `uint64`.
    Unsigned,
}

/// An integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Int {
    /// Its size in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether it is signed.
    pub signed: bool,
}

/// A pointer type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pointer {
    /// The type of the pointee; `Void` if it is not known.
    pub to: Type,
    /// The address space.
    pub space: Space,
}

/// An address space, which decides the helper by which memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Space {
    /// The kernel's (`bpf_probe_read_kernel`).
    Kernel,
    /// That of the current process (`bpf_probe_read_user`).
    User,
}

/// A stack type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stack {
    /// The address space: kernel or user.
    pub space: Space,
    /// The format in which it is printed.
    pub mode: StackMode,
    /// The most frames that are taken.
    pub depth: u32,
}

/// The format in which a stack is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StackMode {
    /// `symbol+offset`.
    Bpftrace,
    /// `address symbol+offset (module)`, as `perf script` does.
    Perf,
    /// The address alone.
    Raw,
}

/// The clock of `nsecs()` and `strftime()`, by its number in a [`Type::Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub(crate) enum Clock {
    /// `CLOCK_BOOTTIME`: nanoseconds since boot with the time that the system slept.
    Boot = 0,
    /// `CLOCK_MONOTONIC`.
    Monotonic = 1,
    /// `CLOCK_TAI`, from Linux 6.1 on.
    Tai = 2,
    /// `CLOCK_TAI` computed from the boot clock and an offset that is known at start.
    SoftwareTai = 3,
}

/// The buckets of `lhist()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lhist {
    /// The start of the first bucket.
    pub min: i64,
    /// The end of the last bucket.
    pub max: i64,
    /// The width of each; more than 0.
    pub step: i64,
}

impl Lhist {
    /// Returns the number of buckets, with the one below and the one above, in which is also what lies above the whole
    /// steps that fit below `max`.
    pub(crate) fn buckets(self) -> u32 {
        let width = i128::from(self.max) - i128::from(self.min);
        let inner = width / i128::from(self.step.max(1));
        u32::try_from(inner.max(0) + 2).unwrap_or(u32::MAX)
    }
}

/// The buckets of `hist()`.
pub(crate) mod hist {
    /// The maximum number of bits that a script can request.
    pub(crate) const MAX_BITS: u32 = 5;

    /// Returns the number of buckets for 2^`bits` buckets per power of two: one for negative values, one for each
    /// value below 2^`bits`, and 2^`bits` for each power from there to 2^62.
    pub(crate) fn buckets(bits: u32) -> u32 {
        1 + (1 << bits) + ((63 - bits) << bits)
    }

    /// Returns the bucket of a value.
    pub(crate) fn bucket(bits: u32, value: i64) -> u32 {
        let Ok(value) = u64::try_from(value) else { return 0 };
        if value < 1 << bits {
            return 1 + value as u32;
        }
        let power = 63 - value.leading_zeros();
        let part = (value >> (power - bits)) as u32 & ((1 << bits) - 1);
        1 + (1 << bits) + ((power - bits) << bits) + part
    }

    /// Returns the first value of a bucket and the first one above it; `None` for the bucket of negative values.
    pub(crate) fn range(bits: u32, bucket: u32) -> Option<(u64, u64)> {
        let index = bucket.checked_sub(1)?;
        let small = 1 << bits;
        if index < small {
            return Some((index.into(), u64::from(index) + 1));
        }
        let (power, part) = ((index - small) >> bits, (index - small) & (small - 1));
        let width = 1_u64.checked_shl(power)?;
        let low = u64::from(small | part).checked_mul(width)?;
        Some((low, low.checked_add(width)?))
    }
}

/// The number of a struct or union in [`Structs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StructId(pub u32);

/// The number of an enumeration in [`Enums`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EnumId(pub u32);

/// A struct or union.
#[derive(Debug, Clone)]
pub(crate) struct Struct {
    /// Its name, without `struct`; empty if it has none.
    pub name: Arc<str>,
    /// Whether it is a union.
    pub union: bool,
    /// Its size in bytes.
    pub size: u32,
    /// Its fields in order, those of anonymous structs among them; empty until they are first requested
    /// ([`Struct::complete`]).
    pub fields: Vec<Field>,
    /// Whether `fields` has been filled in.
    pub complete: bool,
    /// The origin of its definition.
    pub definition: Definition,
}

/// The origin of a struct's or union's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Definition {
    /// In the script.
    Script,
    /// In the kernel's BTF.
    Btf(BtfId),
    /// In the debug information of a program or library.
    Debug(DebugId),
}

/// A type in the debug information of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DebugId {
    /// The number of the file, in the order in which the script needed them.
    pub file: u32,
    /// The type's place.
    pub id: crate::user::dwarf::TypeId,
}

/// A type in the kernel's BTF.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BtfId {
    /// The module; none if it is vmlinux.
    pub module: Option<Arc<str>>,
    /// The type's number.
    pub id: u32,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Its offset, in bytes; for a bit-field, the offset of the integer that contains it.
    pub offset: u32,
    /// The bits of that integer, if it is a bit-field.
    pub bits: Option<Bits>,
}

/// The place of a bit-field in the integer that it is read from: its storage unit, or, in packed structs, the bytes that
/// it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bits {
    /// The number of bits by which the integer is to be shifted right.
    pub shift: u32,
    /// The number of bits.
    pub size: u32,
    /// The size of the integer in bytes, 1 to 9.
    pub bytes: u32,
}

impl Bits {
    /// Returns the offset of the integer and the place in it of a field of so many bits at `place`, an offset in bits, in
    /// a struct that ends at the byte `end`. The field's type has `unit` bytes.
    pub(crate) fn new(place: u64, size: u32, unit: u8, end: u64) -> (u32, Bits) {
        let (unit, size) = (u64::from(unit.max(1)), size.clamp(1, 64));
        let unit_bits = unit * 8;
        let aligned = place / unit_bits * unit;
        let fits = place.saturating_add(size.into()) <= (aligned + unit).saturating_mul(8)
            && aligned + unit <= end;
        let (start, bytes) = match fits {
            true => (aligned, unit),
            // One of a packed struct, that crosses its unit or lies behind the last whole one.
            false => (place / 8, (place % 8 + u64::from(size)).div_ceil(8)),
        };
        let before = (place - start * 8) as u32;
        let bytes = bytes as u32;
        let shift = match cfg!(target_endian = "little") {
            true => before,
            false => (bytes * 8).saturating_sub(before + size),
        };
        (u32::try_from(start).unwrap_or(u32::MAX), Bits { shift, size, bytes })
    }

    /// Returns the number of bits by which a byte of the integer is to be shifted left in the value, or right if it is
    /// negative.
    pub(crate) fn place_of_byte(self, byte: u32) -> i32 {
        let from_lowest = match cfg!(target_endian = "little") {
            true => byte,
            false => self.bytes.saturating_sub(byte + 1),
        };
        (from_lowest * 8) as i32 - self.shift as i32
    }
}

/// An enumeration.
#[derive(Debug, Clone)]
pub(crate) struct Enum {
    /// Its name; empty if it has none.
    pub name: Arc<str>,
    /// Its values in order.
    pub values: Vec<(Arc<str>, i128)>,
}

/// The structs of a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Structs(pub Vec<Struct>);

/// The enumerations of a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enums(pub Vec<Enum>);

impl Structs {
    /// Returns a struct by its number.
    pub(crate) fn get(&self, id: StructId) -> Option<&Struct> {
        self.0.get(id.0 as usize)
    }

    /// Adds a struct.
    pub(crate) fn add(&mut self, new: Struct) -> StructId {
        self.0.push(new);
        StructId((self.0.len() - 1) as u32)
    }
}

impl Enums {
    /// Returns an enumeration by its number.
    pub(crate) fn get(&self, id: EnumId) -> Option<&Enum> {
        self.0.get(id.0 as usize)
    }

    /// Adds an enumeration.
    pub(crate) fn add(&mut self, new: Enum) -> EnumId {
        self.0.push(new);
        EnumId((self.0.len() - 1) as u32)
    }
}

impl Int {
    /// `int8`.
    pub(crate) const I8: Int = Int { size: 1, signed: true };
    /// `int32`.
    pub(crate) const I32: Int = Int { size: 4, signed: true };
    /// `int64`.
    pub(crate) const I64: Int = Int { size: 8, signed: true };
    /// `uint8`.
    pub(crate) const U8: Int = Int { size: 1, signed: false };
    /// `uint16`.
    pub(crate) const U16: Int = Int { size: 2, signed: false };
    /// `uint32`.
    pub(crate) const U32: Int = Int { size: 4, signed: false };
    /// `uint64`.
    pub(crate) const U64: Int = Int { size: 8, signed: false };

    /// Returns the value cut to this type, sign- or zero-extended to 64 bits.
    pub(crate) fn truncate(self, value: u64) -> u64 {
        let unused = 64 - u32::from(self.size) * 8;
        match self.signed {
            true => ((value << unused).cast_signed() >> unused).cast_unsigned(),
            false => value << unused >> unused,
        }
    }

    /// Returns the smallest type that holds both; `int64` for `uint64` and a signed type, which can hold neither
    /// fully.
    pub(crate) fn join(self, other: Int) -> Int {
        if self.signed == other.signed {
            return Int { size: self.size.max(other.size), signed: self.signed };
        }
        let (signed, unsigned) = if self.signed { (self, other) } else { (other, self) };
        Int { size: signed.size.max(unsigned.size.saturating_mul(2)).min(8), signed: true }
    }
}

impl Type {
    /// `int64`.
    pub(crate) const I64: Type = Type::Int(Int::I64);
    /// `uint64`.
    pub(crate) const U64: Type = Type::Int(Int::U64);
    /// `uint32`.
    pub(crate) const U32: Type = Type::Int(Int::U32);

    /// A pointer to a type.
    pub(crate) fn pointer(to: Type, space: Space) -> Type {
        Type::Pointer(Arc::new(Pointer { to, space }))
    }

    /// Whether it has no more than so many levels of pointers, arrays and tuples, and of `parts`, from which its own are
    /// subtracted.
    ///
    /// A type is made of others, which it shares: a script of a few lines could make one of 2^40 parts, or one so deep that
    /// whatever walks over it overflows the stack.
    pub(crate) fn is_within(&self, levels: usize, parts: &mut usize) -> bool {
        let (Some(levels), Some(left)) = (levels.checked_sub(1), parts.checked_sub(1)) else {
            return false;
        };
        *parts = left;
        match self {
            Type::Pointer(pointer) => pointer.to.is_within(levels, parts),
            Type::Array(of, _) => of.is_within(levels, parts),
            Type::Tuple(elements) => elements.iter().all(|one| one.is_within(levels, parts)),
            _ => true,
        }
    }

    /// Whether it is held in a register: `bool`, integers, enumerations and pointers.
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self, Type::Bool | Type::Int(_) | Type::Enum(..) | Type::Pointer(_))
    }

    /// Returns the integer type of integers and enumerations.
    pub(crate) fn int(&self) -> Option<Int> {
        match self {
            Type::Int(int) | Type::Enum(_, int) => Some(*int),
            _ => None,
        }
    }

    /// The size of the storage unit of a bit-field of the type, in bytes.
    pub(crate) fn bit_unit(&self) -> Option<u8> {
        match self {
            Type::Bool => Some(1),
            other => other.int().map(|int| int.size),
        }
    }

    /// Whether it is the value of a map that is only changed by an aggregating function.
    pub(crate) fn is_aggregate(&self) -> bool {
        matches!(
            self,
            Type::Count
                | Type::Sum(_)
                | Type::Avg(_)
                | Type::Min(_)
                | Type::Max(_)
                | Type::Stats(_)
                | Type::Hist(_)
                | Type::Lhist(_)
        )
    }

    /// Whether a value of this type is signed when it is compared, divided or shifted.
    pub(crate) fn is_signed(&self) -> bool {
        match self {
            Type::Int(int) | Type::Enum(_, int) => int.signed,
            Type::Sum(sign) | Type::Avg(sign) | Type::Min(sign) | Type::Max(sign) => {
                *sign == Sign::Signed
            }
            _ => false,
        }
    }

    /// Returns the name of the type for messages and `-d ast`.
    pub(crate) fn name(&self, structs: &Structs, enums: &Enums) -> String {
        match self {
            Type::Enum(id, _) => match enums.get(*id) {
                Some(found) if !found.name.is_empty() => format!("enum {}", found.name),
                _ => "enum".into(),
            },
            Type::Struct(id) => {
                let found = structs.get(*id);
                let word = if found.is_some_and(|found| found.union) { "union" } else { "struct" };
                format!("{word} {}", found.map_or("", |found| &found.name))
            }
            Type::Pointer(pointer) => format!("{} *", pointer.to.name(structs, enums)),
            Type::Array(of, len) => format!("{}[{len}]", of.name(structs, enums)),
            Type::Tuple(elements) => {
                let names: Vec<_> = elements.iter().map(|one| one.name(structs, enums)).collect();
                format!("({})", names.join(", "))
            }
            other => other.to_string(),
        }
    }
}

/// The type without the names of structs and enumerations, which are not in it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Type::Void => "void",
            Type::Bool => "bool",
            Type::Int(int) => {
                return write!(f, "{}int{}", if int.signed { "" } else { "u" }, int.size * 8);
            }
            Type::Enum(..) => "enum",
            Type::Pointer(pointer) => return write!(f, "{} *", pointer.to),
            Type::String(size) => return write!(f, "string[{size}]"),
            Type::Buffer(size) => return write!(f, "buffer[{size}]"),
            Type::Tuple(elements) => {
                f.write_str("(")?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { ", " })?;
                }
                return f.write_str(")");
            }
            Type::Array(of, len) => return write!(f, "{of}[{len}]"),
            Type::Struct(_) => "struct",
            Type::Stack(Stack { space: Space::Kernel, .. }) => "kstack",
            Type::Stack(_) => "ustack",
            Type::KernelSymbol => "ksym",
            Type::UserSymbol => "usym",
            Type::Inet => "inet",
            Type::Mac => "mac address",
            Type::Timestamp => "timestamp",
            Type::CgroupPath => "cgroup path",
            Type::Described(Described::Error) => "error text",
            Type::Described(Described::Signal) => "signal name",
            Type::User => "username",
            Type::Probe => "probe name",
            Type::Function => "function name",
            Type::Count => "count",
            Type::Sum(_) => "sum",
            Type::Avg(_) => "avg",
            Type::Min(_) => "min",
            Type::Max(_) => "max",
            Type::Stats(_) => "stats",
            Type::Hist(_) => "hist",
            Type::Lhist(_) => "lhist",
        };
        f.write_str(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_its_bucket() {
        for bits in 0..=hist::MAX_BITS {
            let mut values: Vec<i64> = (0..63)
                .flat_map(|power| {
                    let one = 1_i64 << power;
                    [one - 1, one, one.saturating_add(one / 2), one.saturating_add(one - 1)]
                })
                .collect();
            values.push(i64::MAX);
            for value in values {
                let bucket = hist::bucket(bits, value);
                assert!(bucket < hist::buckets(bits), "{value}");
                let (low, high) = hist::range(bits, bucket).unwrap();
                assert!(
                    low <= value as u64 && (value as u64) < high,
                    "{bits} {value}: {low} {high}"
                );
            }
            assert_eq!(hist::bucket(bits, -1), 0);
        }
        // bpftrace's buckets: negative, 0, 1, [2, 4), [4, 8) …
        let first: Vec<_> = (1..5).filter_map(|bucket| hist::range(0, bucket)).collect();
        assert_eq!(first, [(0, 1), (1, 2), (2, 4), (4, 8)]);
        assert_eq!(hist::bucket(0, i64::MAX) + 1, hist::buckets(0));
    }

    #[test]
    fn integers_are_joined_to_what_holds_both() {
        let int = |size, signed| Int { size, signed };
        assert_eq!(int(1, true).join(int(2, true)), int(2, true));
        assert_eq!(int(4, false).join(int(1, true)), int(8, true));
        assert_eq!(int(1, false).join(int(4, true)), int(4, true));
        assert_eq!(int(8, false).join(int(8, true)), int(8, true));
        assert_eq!(Int::U8.truncate(300), 44);
        assert_eq!(Int::I8.truncate(200).cast_signed(), -56);
    }

    #[test]
    fn lhist_has_a_bucket_below_and_one_above() {
        assert_eq!(Lhist { min: 0, max: 100, step: 10 }.buckets(), 12);
        assert_eq!(Lhist { min: 0, max: 95, step: 10 }.buckets(), 11);
    }
}
