//! Blobs put together word by word from `Documentation/bpf/btf.rst`, and what is read from them.

use super::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `info` of a type: kind, number of parts, flag.
const fn info(kind: u32, vlen: u32, flag: u32) -> u32 {
    flag << 31 | kind << 24 | vlen
}

/// A header, types, strings. `hdr_len` is 24, the types come first.
fn blob(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0xeb9f_u16.to_ne_bytes());
    bytes.extend([1, 0]);
    let length = types.len() as u32 * 4;
    for word in [24, 0, length, length, strings.len() as u32].iter().chain(types) {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(strings);
    bytes
}

/// Strings one after the other, and where each is.
struct Strings {
    bytes: Vec<u8>,
    at: BTreeMap<&'static str, u32>,
}

impl Strings {
    fn new(names: &[&'static str]) -> Strings {
        let mut strings = Strings { bytes: vec![0], at: BTreeMap::from([("", 0)]) };
        for name in names {
            strings.at.insert(name, strings.bytes.len() as u32);
            strings.bytes.extend(name.as_bytes());
            strings.bytes.push(0);
        }
        strings
    }

    fn of(&self, name: &str) -> u32 {
        self.at[name]
    }
}

/// One type of every kind.
fn every_kind() -> Vec<u8> {
    let strings = Strings::new(&[
        "int",
        "number",
        "node",
        "next",
        "low",
        "whole",
        "arr",
        "long unsigned int",
        "packet",
        "version",
        "length",
        "total",
        "color",
        "RED",
        "BLUE",
        "MINUS",
        "big",
        "HUGE",
        "LOWEST",
        "first",
        "second",
        "work",
        "btf_trace_work",
        "counter",
        ".data",
        "double",
        "remark",
        "user",
        "other",
        "old",
        "old_bits",
        "field",
        "open",
    ]);
    let s = |name| strings.of(name);
    #[rustfmt::skip]
    let types = [
        // 1: int
        s("int"), info(1, 0, 0), 4, 1 << 24 | 32,
        // 2: struct node *
        0, info(2, 0, 0), 5,
        // 3: int [4], indexed by int
        0, info(3, 0, 0), 0, 1, 1, 4,
        // 4: typedef int number
        s("number"), info(8, 0, 0), 1,
        // 5: struct node { next; union { low; whole; }; arr; open }, offsets in bits
        s("node"), info(4, 4, 0), 32,
            s("next"), 2, 0,
            0, 6, 64,
            s("arr"), 3, 128,
            s("open"), 29, 256,
        // 6: union { const number low; unsigned long whole; }
        0, info(5, 2, 0), 8,
            s("low"), 7, 0,
            s("whole"), 8, 0,
        // 7: const number
        0, info(10, 0, 0), 4,
        // 8: unsigned long
        s("long unsigned int"), info(1, 0, 0), 8, 64,
        // 9: struct packet { int version:4; int length:5; int total; }: size of the bit-field above 24 bits
        s("packet"), info(4, 3, 1), 8,
            s("version"), 1, 4 << 24,
            s("length"), 1, 5 << 24 | 4,
            s("total"), 1, 32,
        // 10: enum color { RED, BLUE = 7 }
        s("color"), info(6, 2, 0), 4,
            s("RED"), 0,
            s("BLUE"), 7,
        // 11: enum { MINUS = -1 }, signed
        0, info(6, 1, 1), 4,
            s("MINUS"), u32::MAX,
        // 12: enum big : u64 { HUGE = 0x8000000000000001 }, low word first
        s("big"), info(19, 1, 0), 8,
            s("HUGE"), 1, 0x8000_0000,
        // 13: enum : s64 { LOWEST = -2 }
        0, info(19, 1, 1), 8,
            s("LOWEST"), u32::MAX - 1, u32::MAX,
        // 14: struct node;
        s("node"), info(7, 0, 0), 0,
        // 15: int (int first, struct node *second)
        0, info(13, 2, 0), 1,
            s("first"), 1,
            s("second"), 2,
        // 16: work(), global
        s("work"), info(12, 1, 0), 15,
        // 17: typedef of a pointer to that, 18
        s("btf_trace_work"), info(8, 0, 0), 18,
        0, info(2, 0, 0), 15,
        // 19: int counter, global
        s("counter"), info(14, 0, 0), 1, 1,
        // 20: section .data with it
        s(".data"), info(15, 1, 0), 4,
            19, 0, 4,
        // 21: double
        s("double"), info(16, 0, 0), 8,
        // 22: a tag on the member 1 of node
        s("remark"), info(17, 0, 0), 5, 1,
        // 23: int with a tag, 24: volatile, 25: struct node *restrict
        s("user"), info(18, 0, 0), 1,
        0, info(9, 0, 0), 23,
        0, info(11, 0, 0), 2,
        // 26: another struct node { volatile int other; }
        s("node"), info(4, 1, 0), 4,
            s("other"), 24, 0,
        // 27: struct old { old_bits field; }, a bit-field of 5 bits from the third of its integer, 28, in byte 1
        s("old"), info(4, 1, 0), 4,
            s("field"), 28, 8,
        s("old_bits"), info(1, 0, 0), 4, 3 << 16 | 5,
        // 29: struct packet [] with an open end
        0, info(3, 0, 0), 0, 9, 1, 0,
    ];
    blob(&types, &strings.bytes)
}

fn field(offset: u32, size: u32, type_id: u32) -> (u32, u32, Option<(u32, u32)>, u32) {
    (offset, size, None, type_id)
}

fn found(field: Field) -> (u32, u32, Option<(u32, u32)>, u32) {
    let bits = field.bits.map(|bits| (bits.offset, bits.size));
    (field.offset, field.size, bits, field.type_id)
}

#[test]
fn fields_are_where_the_blob_says() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    for (path, expected) in [
        ("node.next", field(0, 8, 2)),
        ("node.low", field(8, 4, 7)),
        ("struct node.whole", field(8, 8, 8)),
        ("node.arr", field(16, 16, 3)),
        ("node.arr[3]", field(28, 4, 1)),
        ("node.open", field(32, 0, 29)),
        ("node.open[2]", field(48, 8, 9)),
        ("node.open[2].total", field(52, 4, 1)),
        ("node.other", field(0, 4, 24)),
        ("node___small.other", field(0, 4, 24)),
        ("packet.version", (0, 4, Some((0, 4)), 1)),
        ("packet.length", (0, 4, Some((4, 5)), 1)),
        ("packet.total", field(4, 4, 1)),
        ("node.open[1].length", (40, 4, Some((4, 5)), 1)),
        // From bit 8 + 3 on, in the integer at 0.
        ("old.field", (0, 4, Some((11, 5)), 28)),
    ] {
        assert_eq!(found(btf.field(path)?), expected, "{path}");
        assert!(btf.exists(path)?);
    }
    Ok(())
}

#[test]
fn types_are_declared_as_in_c() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    for (id, name, declared) in [
        (0, "", "void"),
        (1, "x", "int x"),
        (2, "x", "struct node *x"),
        (2, "", "struct node *"),
        (3, "x", "int x[4]"),
        (7, "x", "const number x"),
        (10, "x", "enum color x"),
        (14, "x", "struct node x"),
        (15, "x", "int x(int first, struct node *second)"),
        (16, "", "int work(int first, struct node *second)"),
        (17, "x", "btf_trace_work x"),
        (18, "x", "int (*x)(int first, struct node *second)"),
        (21, "x", "double x"),
        (24, "x", "volatile int x"),
        (25, "x", "struct node *restrict x"),
        (29, "x", "struct packet x[]"),
    ] {
        assert_eq!(btf.declaration(id, name)?, declared);
    }
    assert!(btf.declaration(4096, "x").is_err());
    Ok(())
}

#[test]
fn a_bit_field_is_shifted_down() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    let shift = if cfg!(target_endian = "little") { 4 } else { 32 - 4 - 5 };
    assert_eq!(btf.field("packet.length")?.shift(), shift);
    assert_eq!(btf.field("packet.total")?.shift(), 0);
    Ok(())
}

#[test]
fn what_is_not_there_is_said() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    for (path, message) in [
        ("node.nextt", "`node` has no field `nextt`; the nearest: next"),
        ("node.lowl", "`node` has no field `lowl`; the nearest: low"),
        ("nodee.x", "there is no struct, union or typedef `nodee` in BTF; the nearest: node"),
        ("union node.low", "there is no union `node` in BTF"),
        (
            "node.next.arr[1]",
            "`node.next` is a pointer, which one instruction cannot follow: load it first, then `node.arr[1]`",
        ),
        ("node.arr.x", "`node.arr` is of kind array and has no fields"),
        ("node.low[1]", "`node.low` is of kind int and has no elements"),
        ("node.low.x", "`node.low` is of kind int and has no fields"),
        ("node.arr[4]", "`node.arr` is an array of 4: it has no element 4"),
        ("node", "`node` is not the path of a field: it names a type and no field of it"),
    ] {
        assert_eq!(btf.field(path).unwrap_err().to_string(), message, "{path}");
    }
    assert!(!btf.exists("node.nextt")?);
    assert!(!btf.exists("nodee")?);
    assert!(btf.exists("struct node")?);
    assert!(btf.exists("node.next.arr").is_err(), "wrong on every kernel");
    Ok(())
}

#[test]
fn sizes() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    for (name, size) in [
        ("int", 4),
        ("number", 4),
        ("long unsigned int", 8),
        ("struct packet", 8),
        ("enum color", 4),
        ("big", 8),
        ("double", 8),
        ("node.arr", 16),
        ("btf_trace_work", 8),
    ] {
        assert_eq!(btf.size_of(name)?, size, "{name}");
    }
    let error = btf.size_of("work").unwrap_err();
    assert_eq!(error.to_string(), "there is no type `work` in BTF");
    Ok(())
}

#[test]
fn enumerators_have_their_sign_and_their_64_bits() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    assert_eq!(btf.enumerator("color", "BLUE")?, 7);
    assert_eq!(btf.enumerator("enum big", "HUGE")?, 0x8000_0000_0000_0001);
    assert_eq!(btf.any_enumerator("RED")?, 0);
    assert_eq!(btf.any_enumerator("MINUS")?, -1);
    assert_eq!(btf.any_enumerator("LOWEST")?, -2);
    assert_eq!(
        btf.enumerator("color", "BLU").unwrap_err().to_string(),
        "`color` has no enumerator `BLU`; the nearest: BLUE"
    );
    assert_eq!(
        btf.any_enumerator("LOWST").unwrap_err().to_string(),
        "there is no enumerator `LOWST` in BTF; the nearest: LOWEST"
    );
    assert_eq!(
        btf.enumerator("number", "RED").unwrap_err().to_string(),
        "`number` is of kind int and has no enumerators"
    );
    Ok(())
}

#[test]
fn functions_have_parameters() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    let work = btf.type_id("work", Kind::Function)?;
    let trace = btf.type_id("btf_trace_work", Kind::Typedef)?;
    assert_eq!((work, trace), (16, 17));
    for id in [work, trace] {
        let function = btf.function(id)?;
        assert_eq!((function.id, function.returns), (id, 1));
        let parameters: Vec<_> = function.parameters.iter().map(|p| (p.name, p.of)).collect();
        assert_eq!(parameters, [("first", 1), ("second", 2)]);
        assert_eq!((function.parameter("second"), function.parameter("third")), (Some(1), None));
    }
    assert!(btf.function(5).is_err());
    assert_eq!(
        btf.type_id("wrk", Kind::Function).unwrap_err().to_string(),
        "there is no func `wrk` in BTF; the nearest: work"
    );
    Ok(())
}

#[test]
fn every_kind_is_decoded() -> Result<(), BtfError> {
    let btf = Btf::new(every_kind())?;
    let types = btf.types().collect::<Result<Vec<_>, _>>()?;
    assert_eq!((types.len(), btf.end()), (29, 30));
    let body = |id: usize| format!("{} {:?}", types[id - 1].kind, types[id - 1].body);
    assert_eq!(body(1), "int Int { size: 4, signed: true, boolean: false, offset: 0, bits: 32 }");
    assert_eq!(body(2), "ptr Pointer(5)");
    assert_eq!(body(3), "array Array { element: 1, index: 1, len: 4 }");
    assert_eq!(body(14), "fwd Forward { union: false }");
    assert_eq!(body(16), "func Function { prototype: 15, linkage: Global }");
    assert_eq!(body(19), "var Variable { of: 1, linkage: Global }");
    assert_eq!(body(21), "float Float { size: 8 }");
    assert_eq!(body(22), "decl_tag DeclTag { of: 5, part: Some(1) }");
    for (id, expected) in
        [(7, "const"), (9, "struct"), (23, "type_tag"), (24, "volatile"), (25, "restrict")]
    {
        assert_eq!(types[id - 1].kind.word(), expected);
    }
    let Body::Section { size: 4, variables } = types[19].body else { panic!("{}", body(20)) };
    let variables: Vec<_> = variables.map(|v| (v.of, v.offset, v.size)).collect();
    assert_eq!(variables, [(19, 0, 4)]);
    for (id, found) in (1..).zip(&types) {
        assert_eq!((found.id, btf.get(id)?.name), (id, found.name));
    }
    assert_eq!(btf.get(0)?.kind, Kind::Void);
    assert!(btf.get(30).is_err());
    Ok(())
}

/// More types than have their place kept.
#[test]
fn any_of_many_types_is_found_by_its_number() -> Result<(), BtfError> {
    let mut types = Vec::new();
    for size in 1..=200 {
        types.extend([0, info(5, 0, 0), size]);
        if size % 3 == 0 {
            types.extend([0, info(6, 1, 0), 4, 0, size]);
        }
    }
    let btf = Btf::new(blob(&types, b"\0"))?;
    let all = btf.types().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(all.len(), 266);
    for found in all {
        assert_eq!(format!("{:?}", btf.get(found.id)?.body), format!("{:?}", found.body));
    }
    Ok(())
}

#[test]
fn what_is_wrong_far_down_is_said_by_who_comes_there() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let mut types = Vec::new();
    for id in 1..=9000 {
        let name =
            [(1, 1), (9000, 7)].iter().find(|(at, _)| *at == id).map_or(0, |(_, name)| *name);
        types.extend([name, info(16, 0, 0), id]);
    }
    types.extend([0, info(77, 0, 0), 0]);
    let strings = b"\0first\0last\0never\0";
    std::fs::write(folder.join("vmlinux"), blob(&types, strings))?;
    let below = strings.len() as u32;
    std::fs::write(folder.join("module"), blob(&[below, info(16, 0, 0), 4], b"mine\0"))?;
    let unknown = BtfError::UnknownKind { id: 9001, kind: 77 }.to_string();
    assert_eq!(Btf::new(blob(&types, strings)).unwrap_err().to_string(), unknown);

    let kernel = KernelTypes::in_folder(folder);
    assert_eq!(kernel.size_of("first")?, 1);
    assert_eq!(kernel.size_of("last")?, 9000);
    assert_eq!(kernel.size_of("never").unwrap_err().to_string(), unknown);
    let vmlinux = kernel.vmlinux()?;
    assert_eq!((vmlinux.end(), vmlinux.get(8999)?.id), (9001, 8999));
    assert!(vmlinux.get(9001).is_err());
    let mut all = vmlinux.types();
    assert_eq!(all.by_ref().take_while(Result::is_ok).count(), 9000);
    assert!(all.next().is_none(), "it is said once");
    let why = kernel.module("module").unwrap_err().to_string();
    assert!(why.contains("module") && why.contains("goes on from"), "{why}");

    types.truncate(9000 * 3);
    std::fs::write(folder.join("vmlinux"), blob(&types, strings))?;
    let kernel = KernelTypes::in_folder(folder);
    assert_eq!(kernel.size_of("mine")?, 4);
    assert_eq!(kernel.type_id("mine", Kind::Float)?.0, 9001);
    Ok(())
}

#[test]
fn a_module_goes_on_where_vmlinux_ends() -> Result<(), BtfError> {
    let base = Arc::new(Btf::new(every_kind())?);
    let below = base.as_bytes().len() as u32 - 24;
    let [types_len] = [u32::from_ne_bytes(base.as_bytes()[12..16].try_into().unwrap_or_default())];
    let strings_below = below - types_len;
    // Its strings begin without a zero: those of the base go before.
    let strings = b"priv\0node_ptr\0";
    let name_of_node = Strings::new(&["int", "number", "node"]).of("node");
    #[rustfmt::skip]
    let types = [
        // 30: struct priv { struct node node_ptr[2]; }, 31; and a struct node of its own, 32, named in the base
        strings_below, info(4, 1, 0), 64, strings_below + 5, 31, 0,
        0, info(3, 0, 0), 0, 5, 1, 2,
        name_of_node, info(4, 0, 0), 1,
    ];
    let module = Btf::split(blob(&types, strings), Arc::clone(&base))?;
    assert_eq!(module.end(), 33);
    assert_eq!(found(module.field("priv.node_ptr[1].low")?), field(40, 4, 7));
    assert_eq!(module.get(5)?.name, "node");
    assert_eq!(module.type_id("node", Kind::Struct)?, 32);
    assert_eq!(module.named("priv")?.len(), 1);
    assert!(base.get(30).is_err());
    Ok(())
}

/// Linux 7.1 writes how long each kind is, so that readers can pass over those they do not know.
#[test]
fn unknown_kinds_are_passed_over_if_their_length_is_known() -> Result<(), BtfError> {
    // Kind 20: 4 bytes and 8 for each of two parts; then an int.
    let types = [0, info(20, 2, 0), 0, 1, 2, 3, 4, 5, 1, info(1, 0, 0), 4, 32];
    let strings = b"\0int\0";
    let plain = blob(&types, strings);
    assert_eq!(Btf::new(plain).map(drop), Err(BtfError::UnknownKind { id: 1, kind: 20 }),);
    let mut bytes = Vec::new();
    bytes.extend(0xeb9f_u16.to_ne_bytes());
    bytes.extend([1, 0]);
    let length = types.len() as u32 * 4;
    let layout = 21 * 4;
    for word in [32, 0, length, length + layout, 5, length, layout].iter().chain(&types) {
        bytes.extend(u32::to_ne_bytes(*word));
    }
    bytes.extend([[0; 4]; 20].as_flattened());
    bytes.extend([4, 8, 0, 0]);
    bytes.extend(strings);
    let btf = Btf::new(bytes)?;
    assert_eq!((btf.end(), btf.get(1)?.kind, btf.size_of("int")?), (3, Kind::Unknown, 4));
    Ok(())
}

#[test]
fn what_is_no_btf_is_refused() {
    let change = |place: usize, bytes: &[u8]| {
        let mut blob = every_kind();
        blob[place..place + bytes.len()].copy_from_slice(bytes);
        Btf::new(blob).map(drop).unwrap_err().to_string()
    };
    assert!(change(0, &0x9feb_u16.to_ne_bytes()).contains("the other byte order"));
    assert!(change(0, b"\x7fE").contains("magic number"));
    assert!(change(2, &[2]).contains("version"));
    assert!(change(4, &23u32.to_ne_bytes()).contains("length of its header"));
    assert!(change(4, &u32::MAX.to_ne_bytes()).contains("length of its header"));
    assert!(change(8, &u32::MAX.to_ne_bytes()).contains("types lie beyond"));
    assert!(change(16, &u32::MAX.to_ne_bytes()).contains("strings lie beyond"));
    assert!(change(20, &1_000_000u32.to_ne_bytes()).contains("strings lie beyond"));
    let length = every_kind().len();
    assert!(change(length - 1, b"x").contains("zero"));
    // The first type, an int, becomes a struct with more members than there are bytes.
    assert!(change(28, &info(4, 0xffff, 0).to_ne_bytes()).contains("type 1: it is cut off"));
}

/// Following types that form a cycle ends.
#[test]
fn circles_end() -> Result<(), BtfError> {
    let strings = Strings::new(&["round", "inside", "x", "array", "kilo"]);
    let s = |name| strings.of(name);
    #[rustfmt::skip]
    let types = [
        // 1: typedef of 2, const of 1
        s("round"), info(8, 0, 0), 2,
        0, info(10, 0, 0), 1,
        // 3: a struct with two anonymous members, itself both
        s("inside"), info(4, 2, 0), 4, 0, 3, 0, 0, 3, 0,
        // 4: an array of itself; 5: a typedef of it
        0, info(3, 0, 0), 0, 4, 4, 1,
        s("array"), info(8, 0, 0), 4,
        // 6: an array of 2^31 of an array, 7, of 4 of a struct of 1 KiB, 8; 9: a typedef of it
        0, info(3, 0, 0), 0, 7, 7, 1 << 31,
        0, info(3, 0, 0), 0, 8, 8, 4,
        0, info(4, 0, 0), 1024,
        s("kilo"), info(8, 0, 0), 6,
        // 10: a pointer to itself
        0, info(2, 0, 0), 10,
    ];
    let btf = Btf::new(blob(&types, &strings.bytes))?;
    let said = |error: Result<u32, BtfError>| error.unwrap_err().to_string();
    assert!(said(btf.size_of("round")).contains("its typedefs do not end"));
    assert!(said(btf.size_of("round.x")).contains("its typedefs do not end"));
    assert!(said(btf.size_of("inside.x")).contains("lies within itself"));
    assert!(said(btf.size_of("array")).contains("its arrays do not end"));
    assert!(said(btf.size_of("kilo")).contains("beyond 4 GiB"));
    assert!(btf.function(10).is_err());
    Ok(())
}

#[test]
fn what_is_cut_off_is_refused() {
    let whole = every_kind();
    for length in 0..whole.len() {
        assert!(Btf::new(whole[..length].to_vec()).is_err(), "{length}");
    }
}

#[test]
fn a_kernel_without_btf_says_what_is_missing() {
    let folder = std::env::temp_dir().join(format!("rawbpf-no-btf-{}", std::process::id()));
    let error = KernelTypes::in_folder(folder).field("a.b").unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
    assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
}

#[test]
fn modules_are_asked_when_vmlinux_does_not_know() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("vmlinux"), every_kind())?;
    let below = u32::from_ne_bytes(every_kind()[20..24].try_into()?);
    // A func of its own, with the prototype of vmlinux.
    std::fs::write(folder.join("mod_b"), blob(&[below, info(12, 1, 0), 15], b"kfunc_b\0"))?;
    std::fs::write(folder.join("mod_a"), b"not BTF at all, but long enough")?;
    let types = KernelTypes::in_folder(folder);
    let (id, place) = types.type_id("kfunc_b", Kind::Function)?;
    assert_eq!((id, place.module), (30, Some("mod_b")));
    assert_eq!(place.btf.function(id)?.parameter("second"), Some(1));
    let (id, place) = types.type_id("work", Kind::Function)?;
    assert_eq!((id, place.module), (16, None));
    // What could not be read may have had it.
    let error = types.type_id("kfunc_c", Kind::Function).map(|(id, _)| id).unwrap_err().to_string();
    assert!(error.contains("mod_a"), "{error}");
    std::fs::remove_file(folder.join("mod_a"))?;
    let types = KernelTypes::in_folder(folder);
    let error = types.type_id("kfunc_c", Kind::Function).map(|(id, _)| id).unwrap_err().to_string();
    assert_eq!(error, "there is no func `kfunc_c` in BTF; the nearest: kfunc_b");
    assert_eq!((types.exists("node.low")?, types.exists("node.lowest")?), (true, false));
    Ok(())
}

/// A part by its index is the one that all before it lead to.
#[test]
fn parts_are_found_by_their_index() {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let names: Vec<String> = (0..9).map(|number| format!("n{number}")).collect();
    let members: Vec<_> =
        names.iter().map(|name| Member { name, of: int, bit_offset: 0, bits: None }).collect();
    let of = types.composite("of", false, 4, &members);
    let values: Vec<_> =
        names.iter().zip(0..).map(|(name, value)| Enumerator { name, value }).collect();
    let narrow = types.enumeration("narrow", &values);
    let btf = Btf::new(types.finish().unwrap()).unwrap();
    let Body::Composite { members, .. } = btf.get(of).unwrap().body else { panic!() };
    assert_eq!(members.count(), 9);
    for (index, name) in names.iter().enumerate() {
        let mut rest = members;
        assert_eq!(rest.nth(index).unwrap().unwrap().name, name);
        assert_eq!((rest.size_hint().0, rest.next().is_some()), (8 - index, index < 8));
        let Body::Enum { mut values, .. } = btf.get(narrow).unwrap().body else { panic!() };
        assert_eq!(values.count(), 9);
        assert_eq!(values.nth(index).unwrap().unwrap().name, name);
    }
    for index in [9, 1 << 40, usize::MAX] {
        let mut rest = members;
        assert!(rest.nth(index).is_none() && rest.next().is_none());
    }
}

/// Names are read no further than a kernel would: many records can have one long one.
#[test]
fn long_names_are_refused() {
    let mut types = Builder::new();
    let longest = types.int(&"n".repeat(4096), 4, true);
    let longer = types.int(&"n".repeat(4097), 4, true);
    let btf = Btf::new(types.finish().unwrap()).unwrap();
    assert_eq!(btf.get(longest).unwrap().name.len(), 4096);
    let error = btf.get(longer).unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
}
