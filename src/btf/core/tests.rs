use super::*;
use crate::btf::{Builder, Enumerator, Member};
use std::fs;
use std::sync::Arc;

fn member(name: &'static str, of: u32, bit_offset: u32) -> Member<'static> {
    Member { name, of, bit_offset, bits: None }
}

fn bits(name: &'static str, of: u32, bit_offset: u32, bits: u32) -> Member<'static> {
    Member { name, of, bit_offset, bits: Some(bits) }
}

/// The types of a kernel: two structs `twin` that do not agree on `b` and agree on `a`, fields in anonymous members.
fn vmlinux() -> Vec<u8> {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let short = types.int("unsigned short", 2, false);
    let long = types.int("unsigned long", 8, false);
    let inner = types.composite("", true, 8, &[member("deep", long, 0), member("flat", int, 0)]);
    let pointer = types.pointer(0);
    let longs = types.array(long, int, 4);
    types.composite(
        "whole",
        false,
        64,
        &[
            member("", inner, 64),
            member("small", short, 128),
            bits("flag", int, 160, 3),
            member("next", pointer, 192),
            member("all", longs, 256),
        ],
    );
    let row = types.array(long, int, 3);
    let rows = types.array(row, int, 4);
    types.composite("grid", false, 104, &[member("rows", rows, 64)]);
    types.composite("twin", false, 16, &[member("a", int, 32), member("b", int, 64)]);
    types.composite("twin___kernel", false, 16, &[member("a", int, 32), member("b", int, 96)]);
    types.enumeration(
        "answer",
        &[Enumerator { name: "NO", value: -1 }, Enumerator { name: "YES", value: 9 }],
    );
    types.typedef("number_t", int);
    types.finish().unwrap()
}

/// A module with `struct only { int a; int b; }`, whose types and strings go on where those of vmlinux end.
fn module(below: u32, first: u32) -> Vec<u8> {
    let strings = b"only\0a\0b\0";
    let mut words = vec![below, 4 << 24 | 2, 8];
    words.extend([below + 5, 1, 0, below + 7, 1, 32]);
    let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let (length, strings_length) = (types.len() as u32, strings.len() as u32);
    let header = [0x0001_eb9f_u32, 24, 0, length, length, strings_length];
    let header = if cfg!(target_endian = "little") {
        header
    } else {
        [0xeb9f_0100, 24, 0, length, length, strings_length]
    };
    assert!(first > 1);
    [header.iter().flat_map(|word| word.to_ne_bytes()).collect(), types, strings.to_vec()].concat()
}

struct Machine {
    _folder: tempfile::TempDir,
    kernel: KernelTypes,
}

fn machine() -> Machine {
    let folder = tempfile::tempdir().unwrap();
    let base = Btf::new(vmlinux()).unwrap();
    let below = u32::from_ne_bytes(vmlinux()[20..24].try_into().unwrap());
    fs::write(folder.path().join("vmlinux"), vmlinux()).unwrap();
    fs::write(folder.path().join("extra"), module(below, base.end())).unwrap();
    let kernel = KernelTypes::in_folder(folder.path());
    Machine { _folder: folder, kernel }
}

/// An object's types.
struct Local {
    types: Builder,
    int: u32,
    long: u32,
}

fn local() -> Local {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let long = types.int("unsigned long", 8, false);
    Local { types, int, long }
}

impl Local {
    /// Resolves one relocation of these types.
    fn resolve(
        self,
        kind: CoreKind,
        type_id: u32,
        access: &str,
        original: u64,
    ) -> Result<CoreValue> {
        let types: Arc<[u8]> = self.types.finish().unwrap().into();
        let btf = Btf::new(types.to_vec()).unwrap();
        let (access, name) = (access.into(), "the name".into());
        let reloc = CoreReloc { kind, types, type_id, access, name, original };
        super::resolve(&btf, &machine().kernel, &reloc, &Budget::default())
    }
}

fn number(value: u64) -> CoreValue {
    CoreValue::Number { value, resize: Resize::Keep }
}

/// A struct of the object with these members; its number.
fn with(name: &str, members: impl FnOnce(&mut Local) -> Vec<Member<'static>>) -> (Local, u32) {
    let mut local = local();
    let members = members(&mut local);
    let id = local.types.composite(name, false, 64, &members);
    (local, id)
}

#[test]
fn fields_are_found_by_name_at_any_depth_of_anonymous_members() {
    let (local, id) = with("whole___mine", |local| vec![member("deep", local.long, 0)]);
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), number(8));
    // In an anonymous member here, and in another one there.
    let (local, id) = with("whole", |local| {
        let long = local.long;
        let inner = local.types.composite("", false, 16, &[member("deep", long, 64)]);
        vec![member("x", long, 0), member("", inner, 64)]
    });
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:1:0", 16).unwrap(), number(8));
    let (local, id) = with("whole", |local| vec![member("none", local.long, 0)]);
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), CoreValue::Missing);
    let (local, id) = with("whole", |local| vec![member("none", local.long, 0)]);
    assert_eq!(local.resolve(CoreKind::FieldExists, id, "0:0", 1).unwrap(), number(0));
    // A pointer is no integer.
    let (local, id) = with("whole", |local| vec![member("next", local.long, 0)]);
    assert_eq!(local.resolve(CoreKind::FieldExists, id, "0:0", 1).unwrap(), number(0));
}

#[test]
fn elements_end_with_the_array_of_the_kernel() {
    for (index, expected) in [(3, number(32 + 24)), (4, CoreValue::Missing)] {
        let (local, id) = with("whole", |local| {
            let (int, long) = (local.int, local.long);
            vec![member("all", local.types.array(long, int, 9), 0)]
        });
        let access = format!("0:0:{index}");
        let found = local.resolve(CoreKind::FieldOffset, id, &access, index * 8);
        assert_eq!(found.unwrap(), expected, "{index}");
    }
}

#[test]
fn a_load_of_an_unsigned_field_gets_the_size_of_the_kernel() {
    let (local, id) = with("whole", |local| vec![member("small", local.long, 0)]);
    let expected = CoreValue::Number { value: 16, resize: Resize::Change { from: 8, to: 2 } };
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), expected);
    // The upper bits of a signed one would be wrong.
    let (local, id) = with("whole", |local| vec![member("small", local.int, 0)]);
    let expected = CoreValue::Number { value: 16, resize: Resize::Wrong { from: 4, to: 2 } };
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), expected);
}

/// A load from an array is one of its innermost elements, however many the kernel has.
#[test]
fn a_load_from_an_array_has_the_size_of_an_element() {
    let nine = |local: &mut Local, of| {
        let int = local.int;
        local.types.array(of, int, 9)
    };
    let (local, id) = with("whole", |local| {
        let long = local.long;
        vec![member("all", nine(local, long), 0)]
    });
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), number(32));
    let (local, id) = with("whole", |local| {
        let int = local.int;
        vec![member("all", nine(local, int), 0)]
    });
    let expected = CoreValue::Number { value: 32, resize: Resize::Wrong { from: 4, to: 8 } };
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), expected);
    // The size of the field is that of all of it.
    let (local, id) = with("whole", |local| {
        let long = local.long;
        vec![member("all", nine(local, long), 0)]
    });
    assert_eq!(local.resolve(CoreKind::FieldSize, id, "0:0", 72).unwrap(), number(32));
    // An element that is an array itself.
    let (local, id) = with("grid", |local| {
        let (int, long) = (local.int, local.long);
        let row = local.types.array(long, int, 5);
        vec![member("rows", nine(local, row), 0)]
    });
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0:1", 40).unwrap(), number(8 + 24));
}

#[test]
fn comparisons_of_a_program_end() {
    let mut types = local().types;
    let int = types.int("int", 4, true);
    let id = types.composite("twin", false, 16, &[member("a", int, 0)]);
    let types: Arc<[u8]> = types.finish().unwrap().into();
    let btf = Btf::new(types.to_vec()).unwrap();
    let (access, name) = ("0:0".into(), "the name".into());
    let kind = CoreKind::FieldOffset;
    let reloc = CoreReloc { kind, types, type_id: id, access, name, original: 0 };
    let machine = machine();
    // Two candidates, of which the first member and its type fit.
    let budget = Budget::of(9);
    for expected in [true, true, false] {
        let found = super::resolve(&btf, &machine.kernel, &reloc, &budget);
        assert_eq!(found.is_ok(), expected);
    }
}

#[test]
fn bit_fields_have_shifts_of_the_kernel() {
    // Bits 160 to 162: the integer at 20, whose bits 0 to 2 they are.
    let left = if cfg!(target_endian = "little") { 61 } else { 32 };
    for (kind, expected) in [
        (CoreKind::FieldOffset, 20),
        (CoreKind::FieldSize, 4),
        (CoreKind::FieldSigned, 1),
        (CoreKind::LeftShift, left),
        (CoreKind::RightShift, 61),
    ] {
        let (local, id) = with("whole", |local| vec![bits("flag", local.int, 3, 3)]);
        // What the compiler put there is only compared where all compilers agree.
        let original = match kind {
            CoreKind::FieldSigned => 1,
            CoreKind::RightShift => 61,
            _ => 1234,
        };
        assert_eq!(local.resolve(kind, id, "0:0", original).unwrap(), number(expected), "{kind:?}");
    }
}

#[test]
fn types_of_the_kernel_must_agree() {
    let (local, id) = with("twin", |local| vec![member("a", local.int, 0)]);
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), number(4));
    let (local, id) = with("twin", |local| vec![member("b", local.int, 0)]);
    let error = local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap_err();
    assert!(matches!(error.btf(), Some(BtfError::Ambiguous { name }) if name == "the name"));
}

#[test]
fn modules_are_asked_for_what_vmlinux_has_not() {
    let (local, id) = with("only", |local| vec![member("b", local.int, 0)]);
    assert_eq!(local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap(), number(4));
    let (local, id) = with("only___v2", |_| Vec::new());
    let found = local.resolve(CoreKind::TargetTypeId, id, "0", 77).unwrap();
    let first = Btf::new(vmlinux()).unwrap().end();
    assert_eq!(found, number(first.into()));
    let (local, id) = with("neither", |_| Vec::new());
    assert_eq!(local.resolve(CoreKind::TargetTypeId, id, "0", 77).unwrap(), number(0));
    let (local, id) = with("neither", |_| Vec::new());
    assert_eq!(local.resolve(CoreKind::LocalTypeId, id, "0", 0).unwrap(), number(id.into()));
}

#[test]
fn enumerators_are_found_by_name() {
    let rows = [
        (CoreKind::EnumeratorValue, "YES", Some(9)),
        (CoreKind::EnumeratorValue, "YES___mine", Some(9)),
        (CoreKind::EnumeratorValue, "MAYBE", None),
        (CoreKind::EnumeratorExists, "NO", Some(1)),
        (CoreKind::EnumeratorExists, "MAYBE", Some(0)),
    ];
    for (kind, name, expected) in rows {
        for of in ["answer", "answer___v2", ""] {
            let mut local = local();
            let id = local.types.enumeration(of, &[Enumerator { name, value: 5 }]);
            let original = if kind == CoreKind::EnumeratorValue { 5 } else { 1 };
            let found = local.resolve(kind, id, "0", original).unwrap();
            let expected = expected.map_or(CoreValue::Missing, number);
            assert_eq!(found, expected, "{kind:?} {of}.{name}");
        }
    }
    // A negative one has its sign in all 64 bits.
    let mut local = local();
    let id = local.types.enumeration("answer", &[Enumerator { name: "NO", value: -5 }]);
    let original = (-5_i64).cast_unsigned();
    let found = local.resolve(CoreKind::EnumeratorValue, id, "0", original).unwrap();
    assert_eq!(found, number(u64::MAX));
    // The object's own, of 32 bits without a sign, tells that there it is none.
    let large = |value| {
        let mut local = self::local();
        let id = local.types.enumeration("answer", &[Enumerator { name: "NO", value }]);
        local.resolve(CoreKind::EnumeratorValue, id, "0", value as u64).unwrap()
    };
    assert_eq!(large(0xffff_fffb), number(0xffff_ffff));
    // One that is not negative in the object and is in the kernel.
    assert_eq!(large(5), number(u64::MAX));
    let mut local = self::local();
    let id = local.types.enumeration("", &[Enumerator { name: "NO", value: 5 }]);
    let found = local.resolve(CoreKind::EnumeratorValue, id, "0", 5).unwrap();
    assert_eq!(found, number(u64::MAX));
}

#[test]
fn types_match_if_the_kernel_has_all_of_them() {
    let rows = [
        ("twin", "a", "int", 1),
        // Of another size, and of a name that no twin has.
        ("twin", "a", "long", 0),
        ("twin", "c", "int", 0),
        ("neither", "a", "int", 0),
    ];
    for (of, name, kind, expected) in rows {
        let (local, id) = with(of, |local| {
            vec![member(name, if kind == "int" { local.int } else { local.long }, 0)]
        });
        let found = local.resolve(CoreKind::TypeMatches, id, "0", 1).unwrap();
        assert_eq!(found, number(expected), "{of} {name} {kind}");
    }
    for (name, expected) in [("number_t", 1), ("other_t", 0)] {
        let mut local = local();
        let id = local.types.typedef(name, local.int);
        assert_eq!(local.resolve(CoreKind::TypeExists, id, "0", 1).unwrap(), number(expected));
    }
}

#[test]
fn damaged_relocations_are_refused() {
    for (kind, access, original) in [
        (CoreKind::FieldOffset, "0:1", 0),
        (CoreKind::FieldOffset, "0:0:0", 0),
        (CoreKind::FieldOffset, "", 0),
        (CoreKind::FieldOffset, "0:-1", 0),
        (CoreKind::TypeExists, "1", 1),
        (CoreKind::EnumeratorValue, "0", 0),
        // The instruction has another number than the object's types.
        (CoreKind::FieldOffset, "0:0", 8),
        (CoreKind::FieldSigned, "0", 0),
    ] {
        let (local, id) = with("twin", |local| vec![member("a", local.int, 0)]);
        let error = local.resolve(kind, id, access, original).unwrap_err();
        assert!(matches!(error.btf(), Some(BtfError::Core { .. })), "{access}: {error}");
    }
    // A flavour and anonymous types lead nowhere.
    let (local, id) = with("", |local| vec![member("a", local.int, 0)]);
    let error = local.resolve(CoreKind::FieldOffset, id, "0:0", 0).unwrap_err();
    assert!(error.to_string().contains("no name"), "{error}");
}
