//! The definitions of maps, which libbpf reads from types: a variable in `.maps` whose type is a struct, and a pointer to an
//! array in it for each number, with as many elements as the number says.

use super::names::shown;
use super::raw::LONGEST;
use crate::btf::{Body, Btf, BtfError, Builder, Kind, Member};
use crate::insn::ByteOrder;
use crate::spec::{InnerMap, MapSpec, ObjectMap, ObjectTypes, implied_sizes};
use crate::uapi::{MapFlags, MapType};

/// The size of a member in bytes: a pointer.
const POINTER: u32 = 8;

/// Why a map cannot be defined in an object.
pub(super) fn refused(map: &MapSpec<'_>) -> Option<&'static str> {
    match map.kind {
        MapType::StructOps => Some(
            "libbpf makes maps of functions of variables in `.struct_ops`, which a text cannot describe",
        ),
        MapType::ArrayOfMaps | MapType::HashOfMaps => Some(
            "libbpf has to know what the maps in a map of maps are like, which a text cannot say",
        ),
        _ if u32::try_from(map.map_extra).is_err() => Some("in an object `extra` has 32 bits"),
        _ => None,
    }
}

/// Adds the struct of a map: its type, and how many bytes it has.
pub(super) fn define(builder: &mut Builder, map: &MapSpec<'_>) -> (u32, u32) {
    let int = builder.int("int", 4, true);
    let index = builder.int("unsigned int", 4, false);
    let numbers = [
        ("type", map.kind as u32),
        ("key_size", map.key_size),
        ("value_size", map.value_size),
        ("max_entries", map.max_entries),
        ("map_flags", map.flags.bits()),
        ("map_extra", map.map_extra as u32),
    ];
    let mut members = Vec::with_capacity(numbers.len());
    // What is not there is 0.
    for (name, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
        let array = builder.array(int, index, number);
        let of = builder.pointer(array);
        let bit_offset = members.len() as u32 * POINTER * 8;
        members.push(Member { name, of, bit_offset, bits: None });
    }
    let size = size(map);
    (builder.composite("", false, size, &members), size)
}

/// The size of the variable of a map in bytes.
pub(super) fn size(map: &MapSpec<'_>) -> u32 {
    let numbers =
        [map.key_size, map.value_size, map.max_entries, map.flags.bits(), map.map_extra as u32];
    let there = numbers.iter().filter(|number| **number != 0).count() as u32;
    (1 + there) * POINTER
}

/// The most members of a definition that are looked at: there are eleven that libbpf knows.
const MEMBERS: usize = 32;

/// `LIBBPF_PIN_BY_NAME` of `bpf_helpers.h`.
const PIN_BY_NAME: u64 = 1;

/// A map as an object defines it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Defined {
    /// The name of its symbol.
    pub symbol: String,
    pub kind: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub extra: u64,
    pub numa_node: Option<u32>,
    /// The BTF ids of keys and values; 0 if they are not known.
    pub key_type: u32,
    pub value_type: u32,
    /// Whether it is pinned by its name.
    pub pinned: bool,
    /// The definition of the maps in it.
    pub inner: Option<Box<Defined>>,
    /// The offset in the variable of its initial elements.
    pub values: Option<u32>,
    /// The properties that a text cannot say, and a collection can.
    pub besides: Vec<String>,
    /// The properties that neither can.
    pub problems: Vec<String>,
}

/// The most maps of an object: a crafted one can have the same definition, with all that it says, in every few bytes.
pub(super) const MOST_MAPS: usize = 1 << 14;

/// The maps of `.maps`, in the order of the types.
pub(super) fn read(btf: &Btf) -> Result<Vec<Defined>, BtfError> {
    let mut maps = Vec::new();
    for found in btf.types() {
        let found = found?;
        let Body::Section { variables, .. } = found.body else { continue };
        if found.name != ".maps" {
            continue;
        }
        for variable in variables {
            let variable = btf.get(variable.of)?;
            let Body::Variable { of, .. } = variable.body else { continue };
            if variable.name.len() > LONGEST {
                continue;
            }
            // Those beyond are not described, and refused if there are symbols for them.
            if maps.len() >= MOST_MAPS {
                return Ok(maps);
            }
            maps.push(defined(btf, variable.name, of, true)?);
        }
    }
    Ok(maps)
}

fn defined(btf: &Btf, symbol: &str, of: u32, outer: bool) -> Result<Defined, BtfError> {
    let mut map = Defined { symbol: symbol.into(), ..Defined::default() };
    let Body::Composite { members, .. } = btf.resolve(of)?.body else {
        map.problems.push("its definition is no struct".into());
        return Ok(map);
    };
    for member in members.take(MEMBERS) {
        let member = member?;
        let number = number(btf, member.of)?;
        let short = number.and_then(|number| u32::try_from(number).ok());
        match (member.name, short) {
            ("type", Some(number)) => map.kind = number,
            ("key_size", Some(number)) => sized(&mut map, true, number),
            ("value_size", Some(number)) => sized(&mut map, false, number),
            ("max_entries", Some(number)) => map.max_entries = number,
            ("map_flags", Some(number)) => map.flags = number,
            ("numa_node", Some(number)) => {
                map.numa_node = Some(number);
                map.besides.push(format!("numa_node is {number}"));
            }
            ("map_extra", _) => map.extra = number.unwrap_or_default(),
            // The types themselves: the sizes are theirs.
            ("key" | "value", _) => {
                let Body::Pointer(to) = btf.resolve(member.of)?.body else { continue };
                let key = member.name == "key";
                let size = btf.size(to, member.name)?;
                *if key { &mut map.key_type } else { &mut map.value_type } = to;
                sized(&mut map, key, size);
            }
            ("values", _) => {
                map.besides.push("it has values".into());
                // Maps or programs, by their descriptors.
                sized(&mut map, false, 4);
                map.values = Some(member.bit_offset / 8);
                if outer {
                    inner(btf, &mut map, member.of)?;
                } else {
                    map.problems.push("a map in a map has no values".into());
                }
            }
            ("pinning", Some(number)) => {
                map.pinned = u64::from(number) == PIN_BY_NAME;
                map.besides.push(format!("pinning is {number}"));
                if number > 1 {
                    map.problems.push("pinning is known as 0 and 1, LIBBPF_PIN_BY_NAME".into());
                }
            }
            (name, _) => {
                let shown = shown(name);
                map.problems.push(match number {
                    Some(number) => format!("{shown} is {number}"),
                    None => format!("it has {shown}"),
                });
            }
        }
    }
    map.fill_in();
    Ok(map)
}

/// Sets the size of keys or values, which can be said twice.
fn sized(map: &mut Defined, key: bool, size: u32) {
    let (place, what) =
        if key { (&mut map.key_size, "key") } else { (&mut map.value_size, "value") };
    if *place != 0 && *place != size {
        map.problems.push(format!("{what}s have {place} and {size} bytes"));
    }
    *place = size;
}

/// The definition of inner maps: `values` is an array of pointers to them, or to functions.
fn inner(btf: &Btf, map: &mut Defined, of: u32) -> Result<(), BtfError> {
    let Body::Array { element, .. } = btf.resolve(of)?.body else { return Ok(()) };
    let Body::Pointer(to) = btf.resolve(element)?.body else { return Ok(()) };
    if btf.resolve(to)?.kind == Kind::Struct {
        let inner = defined(btf, &format!("{}.inner", map.symbol), to, false)?;
        let of = inner.problems.iter().map(|problem| format!("of the maps in it: {problem}"));
        map.problems.extend(of);
        map.inner = Some(Box::new(inner));
    }
    Ok(())
}

/// The number that a member is: a pointer to so many elements, or an enumeration with one value.
fn number(btf: &Btf, of: u32) -> Result<Option<u64>, BtfError> {
    Ok(match btf.resolve(of)?.body {
        Body::Pointer(to) => match btf.resolve(to)?.body {
            Body::Array { len, .. } => Some(len.into()),
            _ => None,
        },
        Body::Enum { mut values, .. } => {
            values.next().transpose()?.and_then(|one| u64::try_from(one.value).ok())
        }
        _ => None,
    })
}

/// A map as it was defined before there was BTF: `struct bpf_map_def`, five words.
pub(super) fn read_old(symbol: &str, bytes: &[u8], order: ByteOrder) -> Option<Defined> {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |index: usize| {
        let bytes = *words.get(index)?;
        Some(match order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    };
    Some(Defined {
        symbol: symbol.into(),
        kind: word(0)?,
        key_size: word(1)?,
        value_size: word(2)?,
        max_entries: word(3)?,
        flags: word(4).unwrap_or_default(),
        ..Defined::default()
    })
}

impl Defined {
    /// Its type; `None` if that is not known here.
    fn map_type(&self) -> Option<MapType> {
        MapType::ALL.iter().copied().find(|kind| *kind as u32 == self.kind)
    }

    /// Sets sizes of which only one is possible: an object may leave them out, or say what is in a ring buffer.
    fn fill_in(&mut self) {
        let (key, value) = self.map_type().map_or((None, None), implied_sizes);
        for (size, implied) in [(&mut self.key_size, key), (&mut self.value_size, value)] {
            match implied {
                Some(implied) if *size == 0 || implied == 0 => *size = implied,
                _ => {}
            }
        }
    }

    /// The map under a name; `None` if it is of a type that is not known here.
    pub fn spec<'a>(&self, name: &'a str, object: &'a ObjectMap) -> Option<MapSpec<'a>> {
        if let Some(table) = &object.table {
            let spec = MapSpec::struct_ops(name, &table.name)
                .with_flags(MapFlags::from_bits_retain(self.flags));
            return Some(MapSpec { object: Some(object), ..spec });
        }
        let Defined { key_size, value_size, max_entries, flags, extra, numa_node, .. } = *self;
        let spec = MapSpec::new(name, self.map_type()?, key_size, value_size, max_entries);
        let flags = MapFlags::from_bits_retain(flags);
        Some(MapSpec { flags, map_extra: extra, numa_node, object: Some(object), ..spec })
    }

    /// The rest of it, which its spec refers to, but for the initial elements.
    pub fn object(&self, types: Option<&ObjectTypes>) -> ObjectMap {
        let inner = self.inner.as_ref().and_then(|inner| {
            Some(Box::new(InnerMap {
                name: inner.symbol.clone(),
                kind: inner.map_type()?,
                key_size: inner.key_size,
                value_size: inner.value_size,
                max_entries: inner.max_entries,
                flags: inner.flags,
                extra: inner.extra,
                numa_node: inner.numa_node,
                object: inner.object(types),
            }))
        });
        ObjectMap {
            types: types.cloned(),
            key_type: self.key_type,
            value_type: self.value_type,
            inner,
            elements: Vec::new(),
            table: None,
        }
    }

    /// The directive that declares it under a name; `None` if it is of a type that is not known here.
    pub fn directive(&self, name: &str) -> Option<String> {
        let kind = self.map_type()?;
        i64::try_from(self.extra).ok()?;
        let mut out = format!(".map {name}, {}", kind.name());
        let (key, value) = match kind {
            MapType::PerfEventArray => (4, 4),
            MapType::Array => (4, 0),
            _ => (0, 0),
        };
        let numbers = [
            ("key", u64::from(self.key_size), key),
            ("value", self.value_size.into(), value),
            ("max", self.max_entries.into(), 0),
            ("flags", self.flags.into(), 0),
            ("extra", self.extra, 0),
        ];
        // What is not said is 0, but for those types that have sizes of their own.
        for (word, number, unsaid) in numbers {
            if number != 0 || unsaid != 0 {
                out.push_str(&format!(", {word}={number}"));
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Enumerator, Variable};

    fn maps_of(define: impl FnOnce(&mut Builder) -> Vec<(&'static str, u32)>) -> Vec<Defined> {
        let mut builder = Builder::new();
        let mut variables = Vec::new();
        for ((name, of), number) in define(&mut builder).into_iter().zip(0..) {
            let of = builder.variable(name, of);
            variables.push(Variable { of, offset: number * 64, size: 64 });
        }
        builder.section(".maps", 1 << 20, &variables);
        read(&Btf::new(builder.finish().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_definition_is_read_as_it_was_written() {
        let specs = [
            MapSpec::hash("counts", 4, 8, 16).with_flags(MapFlags::NO_PREALLOC),
            MapSpec::perf_event_array("events"),
            MapSpec::array("values", 16, 2),
            MapSpec::bloom_filter("bloom", 4, 8).with_map_extra(3),
            MapSpec::ring_buffer("ring", 4096),
        ];
        let read = maps_of(|builder| {
            specs.iter().map(|spec| (spec.name, define(builder, spec).0)).collect()
        });
        let directives: Vec<_> =
            read.iter().map(|map| map.directive(&map.symbol).unwrap()).collect();
        assert_eq!(
            directives,
            [
                ".map counts, hash, key=4, value=8, max=16, flags=1",
                ".map events, perf_event_array, key=4, value=4",
                ".map values, array, key=4, value=16, max=2",
                ".map bloom, bloom_filter, value=4, max=8, extra=3",
                ".map ring, ringbuf, max=4096",
            ]
        );
        for (spec, map) in specs.iter().zip(&read) {
            assert!(map.besides.is_empty(), "{map:?}");
            assert_eq!(refused(spec), None);
        }
    }

    /// As `__type`, `__ulong` and `__array` of libbpf's `bpf_helpers.h` have them.
    #[test]
    fn sizes_come_from_types_and_numbers_from_enumerations() {
        let read = maps_of(|builder| {
            let int = builder.int("int", 4, true);
            let pair = builder.composite("pair", false, 16, &[]);
            let pair = builder.typedef("pair_t", pair);
            let (key, value) = (builder.pointer(int), builder.pointer(pair));
            let extra = builder.enumeration("", &[Enumerator { name: "unique", value: 7 }]);
            let number = |builder: &mut Builder, number| {
                let array = builder.array(int, int, number);
                builder.pointer(array)
            };
            let (one, twelve) = (number(builder, 1), number(builder, 12));
            let member = |name, of| Member { name, of, bit_offset: 0, bits: None };
            let members = [
                member("type", one),
                member("key", key),
                member("value", value),
                member("max_entries", twelve),
                member("map_extra", extra),
                member("pinning", one),
            ];
            let usual = builder.composite("", false, 48, &members);
            let inner = builder.pointer(usual);
            let inner = builder.array(inner, int, 0);
            let members =
                [member("type", twelve), member("key_size", one), member("values", inner)];
            vec![
                ("usual", usual),
                ("outer", builder.composite("", false, 24, &members)),
                ("odd", int),
            ]
        });
        let [usual, outer, odd] = &read[..] else { panic!("{read:?}") };
        let directive = usual.directive("usual").unwrap();
        assert_eq!(directive, ".map usual, hash, key=4, value=16, max=12, extra=7");
        assert_eq!(usual.besides, ["pinning is 1"]);
        assert_eq!(outer.directive("o").unwrap(), ".map o, array_of_maps, key=1, value=4");
        assert_eq!(outer.besides, ["it has values"]);
        assert_eq!((odd.directive("odd"), odd.problems.len()), (None, 1));
    }

    #[test]
    fn definitions_of_before_there_was_btf_are_five_words() {
        let words = [1_u32, 4, 8, 16, 1];
        let little: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let big: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        for (bytes, order) in [(little, ByteOrder::Little), (big, ByteOrder::Big)] {
            let map = read_old("m", &bytes, order).unwrap();
            let directive = ".map m, hash, key=4, value=8, max=16, flags=1";
            assert_eq!(map.directive("m").as_deref(), Some(directive));
            assert_eq!(read_old("m", &bytes[..12], order), None);
        }
    }
}
