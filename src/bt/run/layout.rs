//! Decodes values from bytes, by the layouts of `bt::types`.

use super::resolve::Names;
use crate::bt::description;
use crate::bt::hir::Program;
use crate::bt::output::printf::Arg;
use crate::bt::probe::AttachPoint;
use crate::bt::types::{
    self, Bits, Clock, Int, Sign, Space, Stack as StackType, StackMode as Mode, StructId, Type,
};
use crate::bt::value::{
    Average, Enumerator, Hist, Lhist, Number, StackMode, Value, merge_count, merge_max, merge_min,
    merge_sum,
};
use crate::util::escape;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The context needed to decode values, besides their types.
#[derive(Debug)]
pub(super) struct Reader {
    /// The program, with its structs, enumerations and strings.
    pub program: Arc<Program>,
    /// The attach points, which names of probes are numbers of.
    pub points: Vec<AttachPoint>,
    /// The names of numbers.
    pub names: Names,
}

/// `AF_INET6`.
const INET6: u32 = 10;

impl Reader {
    /// Reads a value. Bytes that are missing count as zeros.
    pub(super) fn value(&mut self, ty: &Type, bytes: &[u8]) -> Value {
        match ty {
            Type::Void => Value::Uint(0),
            Type::Bool => Value::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
            Type::Int(int) => number(*int, bytes).into(),
            Type::Enum(id, int) => {
                let number = number(*int, bytes);
                let values = self.program.enums.get(*id).map(|found| found.values.as_slice());
                let known = values.unwrap_or_default().iter();
                let name = known.filter(|(_, value)| *value == number.to_i128());
                Value::Enum(Enumerator { number, name: name.map(|(name, _)| name.clone()).next() })
            }
            Type::Pointer(_) => Value::Pointer(word(bytes, 0)),
            Type::String(size) => match string(*size, bytes, self.program.config.max_strlen) {
                (text, false) => Value::String(text.to_vec()),
                (text, true) => Value::String(self.cut(text)),
            },
            Type::Buffer(_) => Value::Buffer(buffer(bytes).to_vec()),
            Type::Tuple(elements) => {
                let layout = types::tuple_layout(elements, &self.program.structs);
                let elements = elements.iter().zip(&layout.offsets);
                Value::Tuple(
                    elements.map(|(of, offset)| self.value(of, from(bytes, *offset))).collect(),
                )
            }
            Type::Array(of, len) => {
                let size = of.size(&self.program.structs);
                let element = |index: u32| from(bytes, index.saturating_mul(size));
                Value::Array((0..*len).map(|index| self.value(of, element(index))).collect())
            }
            Type::Struct(id) => self.record(*id, bytes),
            Type::Stack(stack) => self.stack(stack, bytes),
            Type::KernelSymbol => Value::Symbol(self.names.kernel_symbol(word(bytes, 0))),
            Type::UserSymbol => {
                Value::Symbol(self.names.user_symbol(word(bytes, 0), half(bytes, 8)))
            }
            Type::Inet => match half(bytes, 0) {
                INET6 => Value::from(Ipv6Addr::from(array::<16>(from(bytes, 4)))),
                _ => Value::from(Ipv4Addr::from(array::<4>(from(bytes, 4)))),
            },
            Type::Mac => Value::Mac(array(bytes)),
            Type::Timestamp => {
                const CLOCKS: [Clock; 4] =
                    [Clock::Boot, Clock::Monotonic, Clock::Tai, Clock::SoftwareTai];
                let clock = CLOCKS.into_iter().find(|clock| *clock as u32 == half(bytes, 12));
                let format = self.text(half(bytes, 8));
                Value::Timestamp(self.names.time(word(bytes, 0), clock, &format))
            }
            Type::CgroupPath => {
                let pattern = self.text(half(bytes, 8));
                Value::from(
                    escape::bytes(&self.names.cgroup(word(bytes, 0), &pattern)).into_owned(),
                )
            }
            Type::Described(what) => description::text(*what, word(bytes, 0).cast_signed()).into(),
            Type::User => {
                let id = half(bytes, 0);
                match self.names.user(id) {
                    Some(name) => Value::from(escape::bytes(&name).into_owned()),
                    None => id.to_string().into(),
                }
            }
            Type::Probe => {
                let name = self.point(bytes).map_or_else(String::new, ToString::to_string);
                Value::from(escape::bytes(&name).into_owned())
            }
            Type::Function => {
                let name = self.point(bytes).and_then(AttachPoint::function).unwrap_or("");
                Value::from(escape::bytes(name).into_owned())
            }
            _ => aggregate(ty, &mut std::iter::once(bytes)),
        }
    }

    /// Reads an argument of `printf`, without a copy where its text is in the bytes.
    pub(super) fn argument<'b>(&mut self, ty: &Type, bytes: &'b [u8]) -> Arg<'b> {
        match ty {
            Type::Int(int) => match number(*int, bytes) {
                Number::Signed(value) => Arg::Int(value),
                Number::Unsigned(value) => Arg::Uint(value),
            },
            Type::Bool => Arg::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
            Type::String(size) => match string(*size, bytes, self.program.config.max_strlen) {
                (text, false) => Arg::Str(text),
                (text, true) => Value::String(self.cut(text)).into(),
            },
            Type::Buffer(_) => Arg::Buf(buffer(bytes)),
            _ => self.value(ty, bytes).into(),
        }
    }

    /// Reads a value of a map that has one for each CPU.
    pub(super) fn merged<'b>(
        &mut self,
        ty: &Type,
        mut cpus: impl Iterator<Item = &'b [u8]>,
    ) -> Value {
        if ty.is_aggregate() {
            return aggregate(ty, &mut cpus);
        }
        // Nothing but an aggregation has a value on several CPUs.
        let set = cpus.find(|bytes| bytes.iter().any(|byte| *byte != 0));
        self.value(ty, set.unwrap_or_default())
    }

    fn point(&self, bytes: &[u8]) -> Option<&AttachPoint> {
        self.points.get(usize::try_from(word(bytes, 0)).ok()?)
    }

    fn text(&self, number: u32) -> Arc<[u8]> {
        self.program.strings.get(number as usize).cloned().unwrap_or_default()
    }

    /// Returns a truncated string with the trailer that marks it.
    fn cut(&self, text: &[u8]) -> Vec<u8> {
        [text, self.program.config.str_trunc_trailer.as_bytes()].concat()
    }

    fn record(&mut self, id: StructId, bytes: &[u8]) -> Value {
        let program = Arc::clone(&self.program);
        let fields = program.structs.get(id).map(|found| found.fields.as_slice());
        let fields = fields.unwrap_or_default().iter().map(|field| {
            let bytes = from(bytes, field.offset);
            let value = match field.bits {
                Some(bits) => bit_field(&field.ty, bits, bytes),
                None => self.value(&field.ty, bytes),
            };
            (Arc::clone(&field.name), value)
        });
        Value::Record(fields.collect())
    }

    fn stack(&mut self, stack: &StackType, bytes: &[u8]) -> Value {
        let mode = match stack.mode {
            Mode::Bpftrace => StackMode::Bpftrace,
            Mode::Perf => StackMode::Perf,
            Mode::Raw => StackMode::Raw,
        };
        let pid = if stack.space == Space::User { half(bytes, 8) } else { 0 };
        let id = word(bytes, 0).cast_signed();
        Value::Stack(self.names.stack(stack.space, stack.depth, mode, id, pid))
    }
}

/// Merges the per-CPU values of an aggregation.
fn aggregate<'b>(ty: &Type, cpus: &mut dyn Iterator<Item = &'b [u8]>) -> Value {
    let signed = |sign: Sign, bits: u64| match sign {
        Sign::Signed => Number::Signed(bits.cast_signed()),
        Sign::Unsigned => Number::Unsigned(bits),
    };
    let zero = |sign| signed(sign, 0);
    let noted = |sign, bytes: &[u8]| (word(bytes, 8) != 0).then(|| signed(sign, word(bytes, 0)));
    let average = |sign: Sign, cpus: &mut dyn Iterator<Item = &'b [u8]>| {
        let of =
            |bytes: &[u8]| Average { count: word(bytes, 0), total: signed(sign, word(bytes, 8)) };
        let none = Average { count: 0, total: zero(sign) };
        Average::merge(cpus.map(of)).unwrap_or(none)
    };
    match ty {
        Type::Count => Value::Count(merge_count(cpus.map(|bytes| word(bytes, 0)))),
        Type::Sum(sign) => {
            let sum = merge_sum(cpus.map(|bytes| signed(*sign, word(bytes, 0))));
            Value::Sum(sum.unwrap_or(zero(*sign)))
        }
        Type::Min(sign) => {
            let least = merge_min(cpus.map(|bytes| noted(*sign, bytes)));
            Value::Min(least.unwrap_or(zero(*sign)))
        }
        Type::Max(sign) => {
            let greatest = merge_max(cpus.map(|bytes| noted(*sign, bytes)));
            Value::Max(greatest.unwrap_or(zero(*sign)))
        }
        Type::Avg(sign) => Value::Avg(average(*sign, cpus)),
        Type::Stats(sign) => Value::Stats(average(*sign, cpus)),
        Type::Hist(bits) => {
            let merged = Hist::merge(cpus.filter_map(|bytes| Hist::new(*bits, words(bytes))));
            merged.or_else(|| Hist::new(*bits, Vec::new())).map_or(Value::Uint(0), Value::Hist)
        }
        Type::Lhist(of) => {
            let new = |buckets| Lhist::new(of.min, of.max, of.step, buckets);
            let merged = Lhist::merge(cpus.filter_map(|bytes| new(words(bytes))));
            merged.or_else(|| new(Vec::new())).map_or(Value::Uint(0), Value::Lhist)
        }
        _ => Value::Uint(0),
    }
}

fn from(bytes: &[u8], offset: u32) -> &[u8] {
    bytes.get(offset as usize..).unwrap_or_default()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}

fn word(bytes: &[u8], offset: u32) -> u64 {
    u64::from_ne_bytes(array(from(bytes, offset)))
}

fn half(bytes: &[u8], offset: u32) -> u32 {
    u32::from_ne_bytes(array(from(bytes, offset)))
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|bytes| word(bytes, 0)).collect()
}

/// An integer as it lies in memory.
fn number(int: Int, bytes: &[u8]) -> Number {
    let value = match int.size {
        1 => u64::from(bytes.first().copied().unwrap_or_default()),
        2 => u64::from(u16::from_ne_bytes(array(bytes))),
        4 => u64::from(half(bytes, 0)),
        _ => word(bytes, 0),
    };
    let value = int.truncate(value);
    match int.signed {
        true => Number::Signed(value.cast_signed()),
        false => Number::Unsigned(value),
    }
}

/// Returns the bits as a script has them, without a sign unless they are the whole unit.
fn bit_field(ty: &Type, bits: Bits, bytes: &[u8]) -> Value {
    let int = ty.int().unwrap_or(Int::U8);
    let value = bytes.iter().zip(0..bits.bytes).fold(0, |value, (byte, at)| {
        let (byte, place) = (u64::from(*byte), bits.place_of_byte(at));
        let distance = place.unsigned_abs();
        let moved = if place < 0 { byte.checked_shr(distance) } else { byte.checked_shl(distance) };
        value | moved.unwrap_or(0)
    });
    let unused = 64 - bits.size.clamp(1, 64);
    let field = value << unused;
    match int.signed {
        true if bits.size == u32::from(int.size) * 8 => Value::Int(field.cast_signed() >> unused),
        true => Value::Int((field >> unused).cast_signed()),
        false if matches!(ty, Type::Bool) => Value::Bool(field != 0),
        false => Value::Uint(field >> unused),
    }
}

/// The text of a string, and whether it was cut. One without an end is whole if it is shorter than strings can be: a full
/// `char s[5]`, or as much as `str(p, 5)` asks for.
fn string(size: u32, bytes: &[u8], longest: u32) -> (&[u8], bool) {
    let bytes = bytes.get(..size as usize).unwrap_or(bytes);
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (bytes.get(..end).unwrap_or_default(), false),
        None => (bytes, !bytes.is_empty() && size >= longest),
    }
}

fn buffer(bytes: &[u8]) -> &[u8] {
    let rest = from(bytes, 4);
    rest.get(..half(bytes, 0) as usize).unwrap_or(rest)
}

#[cfg(test)]
mod tests;
