use crate::asm::{Code, RelocField, RelocKind, RelocTarget};
use crate::insn::ByteOrder;
use crate::spec::MapSpec;

mod maps {
    pub mod deep {
        use crate::spec::MapSpec;
        pub static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 1024);
    }
    pub use deep::COUNTS;
}
static EVENTS: MapSpec = MapSpec::perf_event_array("events");

fn named_maps(code: Code<'static>) -> Vec<(u32, &'static str)> {
    let maps = code.relocations.iter().filter_map(|reloc| match reloc.target {
        RelocTarget::Map(map) => Some((reloc.slot, map.name)),
        _ => None,
    });
    maps.collect()
}

fn is_same_map(one: RelocTarget<'_>, other: RelocTarget<'_>) -> bool {
    let (RelocTarget::Map(one), RelocTarget::Map(other)) = (one, other) else { return false };
    std::ptr::eq(one, other)
}

fn bytes(code: Code<'_>) -> Vec<[u8; 8]> {
    code.slots.iter().map(|slot| slot.to_bytes(ByteOrder::Little)).collect()
}

#[test]
fn maps_are_found_by_paths_of_any_depth() {
    use maps::COUNTS;
    static CODE: Code = bpf! {
        r1 = EVENTS ll;
        r2 = COUNTS ll;
        r3 = maps::COUNTS ll;
        r4 = self::maps::COUNTS ll;
        r5 = maps::deep::COUNTS ll;
        r6 = self::maps::deep::COUNTS ll;
        exit;
    };
    let named: Vec<_> = named_maps(CODE);
    let expected =
        [(0, "events"), (2, "counts"), (4, "counts"), (6, "counts"), (8, "counts"), (10, "counts")];
    assert_eq!(named, expected);
    // One static is one map, whichever path names it.
    let counts = RelocTarget::Map(&maps::COUNTS);
    assert!(CODE.relocations[1..].iter().all(|reloc| is_same_map(reloc.target, counts)));
}

#[test]
fn the_address_of_a_value_is_not_the_address_of_a_map() {
    use maps::deep;
    mod maps {
        pub mod deep {
            use crate::spec::MapSpec;
            pub static PAIR: MapSpec = MapSpec::bss("pair", 16);
        }
    }
    use deep::PAIR;
    const EIGHT: usize = 8;
    static CODE: Code = bpf! {
        r1 = PAIR[0] ll;
        r2 = deep::PAIR[0] + 8 ll;
        r3 = maps::deep::PAIR[{EIGHT - 8}] + {EIGHT} + 7 ll;
        r4 = PAIR ll;
        r5 = {EIGHT};
        // Brackets that do not index a map.
        r0 = *(u8 *)skb[{1 << 4}];
        r6 = task_struct.comm[3] ll;
        r7 = *(u8 *)(r1 + task_struct.comm[{EIGHT}]);
        r8 = PAIR[0] + 1 ll;
        exit;
    };
    let named: Vec<_> = named_maps(CODE);
    assert_eq!(named, [0, 2, 4, 6, 13].map(|slot| (slot, "pair")));
    let pair = RelocTarget::Map(&maps::deep::PAIR);
    let of_maps = CODE.relocations.iter().filter(|reloc| reloc.kind == RelocKind::Map);
    assert!({ of_maps }.all(|reloc| is_same_map(reloc.target, pair)));
    // BPF_PSEUDO_MAP_FD is 1, BPF_PSEUDO_MAP_VALUE 2.
    let parts = |slot: usize| (CODE.slots[slot].src(), CODE.slots[slot + 1].imm());
    assert_eq!([0, 2, 4, 6, 13].map(parts), [(2, 0), (2, 8), (2, 15), (1, 0), (2, 1)]);
    assert_eq!((CODE.slots[8].imm(), CODE.slots[9].imm()), (8, 16));
    let names = CODE.relocations.iter().filter(|reloc| reloc.kind == RelocKind::Value);
    let names: Vec<_> = names.map(|reloc| (reloc.slot, reloc.name())).collect();
    let expected = [(10, "task_struct.comm[3]"), (12, "task_struct.comm[{EIGHT}]")];
    assert_eq!(names, expected.map(|(slot, name)| (slot, name.to_owned())));
}

#[test]
fn expressions_are_rust() {
    const OFF: i16 = 8;
    struct Event {
        #[allow(dead_code)]
        pid: u32,
    }
    static CODE: Code = bpf! {
        r1 = {size_of::<Event>() * 2};
        r2 += {-OFF};
        *(u32 *)(r10 - {OFF}) = {OFF + 1};
        r3 = {u64::MAX} ll;
        r4 = {if "}".len() == 1 { '}' } else { '\'' }};
        r0 = *(u8 *)skb[{1 << 4}];
        exit;
    };
    // Encodings by hand from RFC 9669.
    assert_eq!(
        bytes(CODE),
        [
            [0xb7, 1, 0, 0, 8, 0, 0, 0],
            [0x07, 2, 0, 0, 0xf8, 0xff, 0xff, 0xff],
            [0x62, 10, 0xf8, 0xff, 9, 0, 0, 0],
            [0x18, 3, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0xb7, 4, 0, 0, b'}', 0, 0, 0],
            [0x30, 0, 0, 0, 16, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ]
    );
}

#[test]
fn labels_forward_backward_and_calls() {
    static CODE: Code = bpf! {
        again:
        r1 += 1;
        if r1 s> 5 goto out;
        r2 = 1 ll;
        goto again;
        out: call double;
        exit;
        double:
        r0 = r1;
        r0 += r1;
        exit;
    };
    assert_eq!(CODE.slots[1].offset(), 3); // over the two slots of lddw and the goto
    assert_eq!(CODE.slots[4].offset(), -5);
    assert_eq!((CODE.slots[5].src(), CODE.slots[5].imm()), (1, 1));
}

#[test]
fn a_string_is_stored_without_a_misaligned_access() {
    static CODE: Code = bpf! {
        *(u8 *)(r10 - 16) = "Hello, World!";
        *(u8 *)(r10 - 19) = b"a\n\x7f";
        exit;
    };
    let stores: Vec<_> = CODE.slots.iter().map(|s| (s.opcode(), s.offset(), s.imm())).collect();
    let le = |text: &[u8; 4]| i32::from_ne_bytes(*text);
    assert_eq!(
        stores[..6],
        [
            (0x62, -16, le(b"Hell")),
            (0x62, -12, le(b"o, W")),
            (0x62, -8, le(b"orld")),
            (0x6a, -4, i32::from(i16::from_ne_bytes(*b"!\0"))),
            (0x72, -19, i32::from(b'a')),
            (0x6a, -18, i32::from(i16::from_ne_bytes(*b"\n\x7f"))),
        ]
    );
    assert_eq!(CODE.lines.len(), 3);
    assert_eq!(CODE.statement(2).as_deref(), Some("*(u8 *)(r10 - 16) = \"Hello, World!\""));
}

#[test]
fn names_of_the_kernel_and_strings_are_kept_for_the_load() {
    static CODE: Code = bpf! {
        r1 = *(u32 *)(r1 + task_struct.tgid);
        if r1 == exists(task_struct.se.vruntime) goto out;
        r2 = "hi" ll;
        r3 = b"x\n" ll;
        *(u64 *)(r10 + task_struct.comm[3]) = sizeof(task_struct);
        r4 = enum.BPF_F_CURRENT_CPU ll;
        out: exit;
    };
    let relocations = CODE.relocations.iter();
    let names: Vec<_> =
        relocations.map(|reloc| (reloc.slot, reloc.field, reloc.kind, reloc.name())).collect();
    let name = |slot, field, kind, name: &str| (slot, field, kind, name.to_owned());
    assert_eq!(
        names,
        [
            name(0, RelocField::Offset, RelocKind::Value, "task_struct.tgid"),
            name(1, RelocField::Immediate, RelocKind::Exists, "task_struct.se.vruntime"),
            name(2, RelocField::Immediate, RelocKind::Map, ".rodata"),
            name(4, RelocField::Immediate, RelocKind::Map, ".rodata"),
            name(6, RelocField::Offset, RelocKind::Value, "task_struct.comm[3]"),
            name(6, RelocField::Immediate, RelocKind::Size, "task_struct"),
            name(7, RelocField::Immediate, RelocKind::Enumerator, "enum.BPF_F_CURRENT_CPU"),
        ]
    );
    assert_eq!(CODE.data.rodata, b"hi\0x\n");
    // BPF_PSEUDO_MAP_VALUE, and the offset of each string.
    let second = |slot: usize| (CODE.slots[slot].src(), CODE.slots[slot + 1].imm());
    assert_eq!((second(2), second(4)), ((2, 0), (2, 3)));
}

#[test]
fn a_statement_is_known_by_each_of_its_slots() {
    static CODE: Code = bpf! {
        r1 = EVENTS ll;
        l: r0 = {1 + 1};
        exit;
    };
    assert_eq!(CODE.statement(0).as_deref(), Some("r1 = EVENTS ll"));
    assert_eq!(CODE.statement(1).as_deref(), Some("r1 = EVENTS ll"));
    assert_eq!(CODE.statement(3).as_deref(), Some("exit"));
    assert_eq!(CODE.statement(4), None);
    assert!(CODE.file.ends_with("dsl/tests.rs"));
}

#[test]
fn fields_are_computed_with_outside_of_their_braces() {
    use crate::field;
    #[repr(C)]
    struct Event {
        _pid: u32,
        _comm: [u8; 16],
    }
    static CODE: Code = bpf! {
        r2 = {field!(Event, _comm)} - {field!(Event, _pid)} + 4;
    };
    assert_eq!(CODE.slots[0].imm(), 8);
}
