use super::*;
use crate::bt::config::Config;
use crate::bt::source::Source;
use crate::bt::types::{Definition, Enum, Enums, Field, Struct, Structs};

fn reader() -> Reader {
    let field = |name: &str, ty, offset, bits| Field { name: name.into(), ty, offset, bits };
    let fields = vec![
        field("a", Type::U32, 0, None),
        field("b", Type::U32, 4, Some(Bits { shift: 4, size: 3, bytes: 4 })),
        field("s", Type::String(4), 8, None),
    ];
    let mut structs = Structs::default();
    let (name, definition) = ("s".into(), Definition::Script);
    structs.add(Struct { name, union: false, size: 12, fields, complete: true, definition });
    let mut enums = Enums::default();
    enums.add(Enum { name: "e".into(), values: vec![("ONE".into(), 1), ("MINUS".into(), -1)] });
    let program = Program {
        source: Source::new("stdin", ""),
        config: Config::default(),
        structs,
        enums,
        maps: Vec::new(),
        formats: Vec::new(),
        strings: Vec::new(),
        probes: Vec::new(),
    };
    let points = vec![
        AttachPoint::Begin,
        AttachPoint::Fentry { exit: false, module: None, function: "vfs_read".into() },
    ];
    Reader { program: Arc::new(program), points, names: Names::default() }
}

fn shown(ty: &Type, bytes: &[u8]) -> String {
    reader().value(ty, bytes).to_string()
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn integers_have_their_size_and_sign() {
    let bytes = (-2_i64).to_ne_bytes();
    let int = |size, signed| Type::Int(Int { size, signed });
    assert_eq!(shown(&int(8, true), &bytes), "-2");
    assert_eq!(shown(&int(8, false), &bytes), (u64::MAX - 1).to_string());
    assert_eq!(shown(&int(4, true), &(-2_i32).to_ne_bytes()), "-2");
    assert_eq!(shown(&int(2, false), &(65534_u16).to_ne_bytes()), "65534");
    assert_eq!(shown(&int(1, true), &[0xfe]), "-2");
    assert_eq!(shown(&Type::Bool, &[1]), "true");
    // Whatever is missing is zero.
    assert_eq!(shown(&int(8, true), &[]), "0");
}

#[test]
fn bit_fields_are_without_a_sign_unless_they_are_a_whole_integer() {
    let read = |signed, shift, size, byte: u8| {
        let value =
            bit_field(&Type::Int(Int { size: 1, signed }), Bits { shift, size, bytes: 1 }, &[byte]);
        value.to_string()
    };
    assert_eq!(read(true, 0, 4, 0x78), "8");
    assert_eq!(read(true, 4, 3, 0x78), "7");
    assert_eq!(read(false, 4, 3, 0x78), "7");
    assert_eq!((read(true, 0, 8, 0xfe), read(false, 0, 8, 0xfe)), ("-2".into(), "254".into()));
}

/// The bits at a place, counted in memory order from the lowest bit of a byte on little-endian machines, and from the highest on
/// others.
fn bits_at(bytes: &[u8; 16], place: u32, size: u32) -> u64 {
    let bits = match cfg!(target_endian = "little") {
        true => u128::from_le_bytes(*bytes) >> place,
        false => u128::from_be_bytes(*bytes) >> (128 - place - size),
    };
    (bits & (u128::MAX >> (128 - size))) as u64
}

#[test]
fn bit_fields_are_read_wherever_they_lie() {
    let bytes: [u8; 16] = std::array::from_fn(|index| (index * 151 + 77) as u8);
    for unit in [1_u8, 2, 4, 8] {
        let ty = Type::Int(Int { size: unit, signed: false });
        for (place, end) in (0..60).flat_map(|place| [(place, 16), (place, 0)]) {
            for size in 1..=u32::from(unit) * 8 {
                let (offset, bits) = Bits::new(place.into(), size, unit, end);
                assert!(
                    u64::from(offset + bits.bytes) <= end.max(u64::from(place + size).div_ceil(8))
                );
                let read = bit_field(&ty, bits, from(&bytes, offset));
                let expected = bits_at(&bytes, place, size);
                assert_eq!(read.as_u64(), Some(expected), "{unit} {place} {size} {end}");
            }
        }
    }
}

#[test]
fn strings_end_at_their_zero_and_say_when_they_were_cut() {
    assert_eq!(shown(&Type::String(8), b"abc\0zzz\0"), "abc");
    assert_eq!(shown(&Type::String(3), b"abc\0"), "abc");
    assert_eq!(shown(&Type::String(1024), &[b'a'; 1024]), format!("{}..", "a".repeat(1024)));
    assert_eq!(shown(&Type::String(8), b""), "");
    let mut reader = reader();
    let argument = reader.argument(&Type::String(8), b"abc\0zzz\0");
    assert!(matches!(argument, Arg::Str(b"abc")));
    assert!(matches!(reader.argument(&Type::String(3), b"abcd"), Arg::Str(b"abc")));
    let buffer = cat(&[&3_u32.to_ne_bytes(), b"a\0bxxxx\0"]);
    assert!(matches!(reader.argument(&Type::Buffer(8), &buffer), Arg::Buf(b"a\0b")));
    // A length that cannot be.
    let wrong = cat(&[&99_u32.to_ne_bytes(), b"ab"]);
    assert!(matches!(reader.argument(&Type::Buffer(8), &wrong), Arg::Buf(b"ab")));
}

#[test]
fn tuples_arrays_and_structs_have_their_parts() {
    let tuple = Type::Tuple(Arc::new([Type::Int(Int::U8), Type::String(4), Type::U64]));
    let bytes = cat(&[&[7], b"ab\0\0", &[0; 3], &9_u64.to_ne_bytes()]);
    assert_eq!(shown(&tuple, &bytes), "(7, ab, 9)");
    let array = Type::Array(Arc::new(Type::Int(Int::U16)), 2);
    let bytes = cat(&[&1_u16.to_ne_bytes(), &2_u16.to_ne_bytes()]);
    assert_eq!(shown(&array, &bytes), "[1,2]");
    let bytes = cat(&[&5_u32.to_ne_bytes(), &0x5f_u32.to_ne_bytes(), b"hi\0\0"]);
    let value = reader().value(&Type::Struct(StructId(0)), &bytes);
    assert_eq!(value.field("a").and_then(Value::as_u64), Some(5));
    assert_eq!(value.field("b").and_then(Value::as_u64), Some(5));
    assert_eq!(value.field("s").and_then(Value::as_str), Some("hi"));
}

#[test]
fn names_stand_for_numbers() {
    let id = types::EnumId(0);
    let of = |number: i32| shown(&Type::Enum(id, Int::I32), &number.to_ne_bytes());
    assert_eq!((of(1), of(-1), of(5)), ("ONE".into(), "MINUS".into(), "5".into()));
    assert_eq!(shown(&Type::Probe, &0_u64.to_ne_bytes()), "BEGIN");
    assert_eq!(shown(&Type::Probe, &1_u64.to_ne_bytes()), "fentry:vfs_read");
    assert_eq!(shown(&Type::Function, &1_u64.to_ne_bytes()), "vfs_read");
    assert_eq!(shown(&Type::Probe, &99_u64.to_ne_bytes()), "");
    // A user id without a user.
    assert_eq!(shown(&Type::User, &0xffff_fff0_u32.to_ne_bytes()), "4294967280");
}

#[test]
fn addresses_are_in_network_order() {
    let inet = |family: u32, bytes: &[u8]| cat(&[&family.to_ne_bytes(), bytes]);
    assert_eq!(shown(&Type::Inet, &inet(2, &[127, 0, 0, 1])), "127.0.0.1");
    let mut six = [0; 16];
    six[15] = 1;
    assert_eq!(shown(&Type::Inet, &inet(10, &six)), "::1");
    assert_eq!(shown(&Type::Mac, &[0, 0x1b, 2, 3, 4, 0xff]), "00:1b:02:03:04:ff".to_uppercase());
}

#[test]
fn values_of_cpus_are_merged() {
    let two = |one: [u64; 2], other: [u64; 2]| -> [Vec<u8>; 2] {
        [one, other].map(|words| words.iter().flat_map(|word| word.to_ne_bytes()).collect())
    };
    let merged = |ty: &Type, cpus: &[Vec<u8>]| {
        reader().merged(ty, cpus.iter().map(Vec::as_slice)).to_string()
    };
    let signed = Sign::Signed;
    assert_eq!(merged(&Type::Count, &two([3, 0], [4, 0])), "7");
    assert_eq!(merged(&Type::Sum(signed), &two([3, 0], [(-5_i64) as u64, 0])), "-2");
    // A CPU without a value does not count.
    assert_eq!(merged(&Type::Min(signed), &two([9, 1], [0, 0])), "9");
    assert_eq!(merged(&Type::Max(signed), &two([(-9_i64) as u64, 1], [0, 0])), "-9");
    assert_eq!(merged(&Type::Min(signed), &two([0, 0], [0, 0])), "0");
    assert_eq!(merged(&Type::Avg(signed), &two([1, 4], [1, 8])), "6");
    // The value is on one CPU alone.
    assert_eq!(merged(&Type::U64, &two([0, 0], [6, 0])), "6");
}

#[test]
fn programs_and_printing_count_the_same_buckets() {
    for (min, max, step) in [(0, 100, 10), (0, 95, 10), (-5, 5, 3), (0, 1, 7), (-100, -10, 45)] {
        let lhist = types::Lhist { min, max, step };
        assert_eq!(Some(lhist.buckets().into()), Lhist::len(min, max, step), "{min} {max} {step}");
    }
    for bits in 0..=Hist::MAX_BITS {
        assert_eq!(types::hist::buckets(bits) as usize, Hist::len(bits), "{bits}");
        for value in [i64::MIN, -1, 0, 1, 2, 3, 1000, 1 << 40, i64::MAX] {
            let (one, other) = (types::hist::bucket(bits, value), Hist::bucket(value, bits));
            assert_eq!(one as usize, other, "{bits} {value}");
        }
    }
}
