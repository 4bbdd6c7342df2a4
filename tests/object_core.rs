//! Names of the kernel in texts of which objects are made: libbpf and this library load the same as of the text.

#![cfg(feature = "elf")]

mod common;
#[path = "common/objects.rs"]
#[allow(dead_code, reason = "the tests of collections need more of it")]
mod objects;

use common::Folder;
use common::requires::{Thing, needs, needs_tried};
use objects::{Theirs, no_bpftool, own_instructions};
use rawbpf::Loader;
use rawbpf::asm::{ParseOptions, parse};
use rawbpf::btf::{Builder, Enumerator, KernelTypes, Member};
use rawbpf::insn::ByteOrder;
use rawbpf::object::{Object, write, write_with};
use std::fs;

/// Every kind of name, in every kind of instruction that CO-RE adjusts.
const NAMES: &str = "\
.license \"GPL\"
.bss
out: .zero 128
.text
.program names, raw_tracepoint/sched_switch
    r6 = out ll
    r1 = task_struct.tgid
    *(u64 *)(r6 + 0) = r1
    r1 = sizeof(task_struct)
    *(u64 *)(r6 + 8) = r1
    r1 = exists(task_struct.comm[3])
    *(u64 *)(r6 + 16) = r1
    r1 = pid_type.PIDTYPE_TGID
    *(u64 *)(r6 + 24) = r1
    r1 = exists(pid_type.PIDTYPE_TGID)
    *(u64 *)(r6 + 32) = r1
    r1 = sizeof(task_struct.comm)
    *(u64 *)(r6 + 40) = r1
    r1 = atomic_t.counter
    *(u64 *)(r6 + 48) = r1
    r1 = sizeof(atomic_t)
    *(u64 *)(r6 + 56) = r1
    r1 = exists(struct task_struct___flavour)
    *(u64 *)(r6 + 64) = r1
    r1 = task_struct___flavour.comm[3]
    *(u64 *)(r6 + 72) = r1
    r1 = enum.PIDTYPE_TGID ll
    *(u64 *)(r6 + 80) = r1
    w1 = sizeof(unsigned int)
    *(u64 *)(r6 + 88) = r1
    r1 = r6
    r1 += sk_buff.len
    call below
    r0 = 0
    exit
below:
    r1 = task_struct.se.vruntime
    r2 = out ll
    *(u64 *)(r2 + 104) = r1
    r0 = 0
    exit
.program access, tp_btf/sched_switch
    r1 = *(u64 *)(r1 + 8)
    r2 = *(u32 *)(r1 + task_struct.pid)
    r3 = *(u64 *)(r1 + task_struct.mm)
    r4 = *(u8 *)(r1 + task_struct.comm[1])
    r6 = out ll
    *(u64 *)(r6 + 0) = r2
    r0 = 0
    exit
";

/// Names that [`foreign_types`] have.
const FOREIGN: &str = "\
.license \"GPL\"
.program foreign, tp_btf/sched_switch
    r1 = *(u64 *)(r1 + 8)
    r2 = *(u32 *)(r1 + task_struct.pid)
    r3 = *(u64 *)(r1 + task_struct.mm)
    r4 = *(u8 *)(r1 + task_struct.comm[1])
    r5 = sizeof(task_struct)
    r5 += task_struct.se.vruntime
    r5 += pid_type.PIDTYPE_TGID
    r5 += exists(task_struct.comm)
    r0 = 0
    exit
";

/// The types of another kernel, which has all in other places.
fn foreign_types(folder: &Folder) -> KernelTypes {
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    let long = builder.int("unsigned long", 8, false);
    let char = builder.int("char", 1, true);
    let comm = builder.array(char, int, 16);
    let member = |name, of, byte: u32| Member { name, of, bit_offset: 8 * byte, bits: None };
    let entity = builder.composite("sched_entity", false, 16, &[member("vruntime", long, 8)]);
    let mm = builder.composite("mm_struct", false, 8, &[]);
    let mm = builder.pointer(mm);
    let bits = Member { name: "flag", of: int, bit_offset: 512, bits: Some(1) };
    let members = [
        member("se", entity, 0),
        member("comm", comm, 16),
        member("mm", mm, 32),
        member("pid", int, 40),
        bits,
    ];
    builder.composite("task_struct", false, 72, &members);
    let values = [("PIDTYPE_PID", 4), ("PIDTYPE_TGID", 5)];
    let values = values.map(|(name, value)| Enumerator { name, value });
    builder.enumeration("pid_type", &values);
    builder.enumeration("", &[Enumerator { name: "OF_NO_NAME", value: 1 }]);
    fs::write(folder.path().join("vmlinux"), builder.finish().unwrap()).unwrap();
    KernelTypes::in_folder(folder.path())
}

/// Loads a text and the object that was made of it, this also with libbpf; the names of the programs.
fn compare(text: &str, object: &[u8]) -> Vec<String> {
    let folder = Folder::new();
    let path = folder.path().join("names.o");
    fs::write(&path, object).unwrap();
    let theirs = Theirs::load(&path);
    let module = parse(text, "names.s", &ParseOptions::new()).unwrap();
    let direct = Loader::new().load_collection(&module).unwrap_or_else(|error| panic!("{error}"));
    let object = Object::read(object).unwrap();
    let collection = object.collection("names.o").unwrap();
    let ours = Loader::new().load_collection(&collection).unwrap();
    assert_eq!(ours.len(), direct.len());
    for (ours, direct) in ours.iter().zip(&direct) {
        let expected = own_instructions(direct);
        assert_eq!(own_instructions(ours), expected, "{}", ours.name());
        assert_eq!(theirs.instructions(ours.name()), expected, "{}", ours.name());
    }
    ours.iter().map(|program| program.name().to_owned()).collect()
}

#[test]
fn an_object_with_names_of_the_kernel_is_loaded_as_its_text() {
    needs!(Bpf, Root, Btf);
    needs_tried!("bpftool", no_bpftool());
    let module = parse(NAMES, "names.s", &ParseOptions::new()).unwrap();
    let object = write(&module, "names.s", ByteOrder::NATIVE).unwrap();
    assert_eq!(compare(NAMES, &object), ["names", "access"]);
}

#[test]
fn an_object_that_was_made_for_another_kernel_is_adjusted_to_this_one() {
    needs!(Bpf, Root, Btf);
    needs_tried!("bpftool", no_bpftool());
    let folder = Folder::new();
    let module = parse(FOREIGN, "names.s", &ParseOptions::new()).unwrap();
    let types = foreign_types(&folder);
    let object = write_with(&module, "names.s", ByteOrder::NATIVE, &types).unwrap();
    assert_eq!(compare(FOREIGN, &object), ["foreign"]);
}

/// In the object stand the numbers of the kernel whose types it has, which loaders compare with these types.
#[test]
fn an_object_has_the_numbers_and_the_names_of_its_text() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let folder = Folder::new();
        let module = parse(FOREIGN, "names.s", &ParseOptions::new().order(order)).unwrap();
        let object = write_with(&module, "names.s", order, &foreign_types(&folder)).unwrap();
        let object = Object::read(&object).unwrap();
        let [program] = object.programs() else { panic!() };
        let text = object.text(false);
        for name in [
            "*(u32 *)(r1 + task_struct.pid)",
            "*(u64 *)(r1 + task_struct.mm)",
            "*(u8 *)(r1 + task_struct.comm[1])",
            "r5 = sizeof(task_struct)",
            "r5 += task_struct.se.vruntime",
            "r5 += pid_type.PIDTYPE_TGID",
            "r5 += exists(task_struct.comm)",
        ] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert_eq!(program.slots().len(), module.programs()[0].slots().len());
        assert_eq!(object.unsaid(), [""; 0]);
    }
}

#[test]
fn names_that_no_object_can_have_are_refused_at_their_lines() {
    let folder = Folder::new();
    let types = foreign_types(&folder);
    let empty = Folder::new();
    let none = KernelTypes::in_folder(empty.path());
    let rows: [(&str, &KernelTypes, &str); 9] = [
        ("r1 = task_struct.pit", &types, "has no field `pit`; the nearest: pid; an object has"),
        ("r1 = exists(task_struct.gone)", &types, "has no field `gone`"),
        ("r1 = sizeof(task_strukt)", &types, "there is no type `task_strukt`"),
        ("r1 = task_struct.flag", &types, "it is a bit"),
        ("r1 = enum.OF_NO_NAME", &types, "its enumeration has no name"),
        ("r1 = *(u64 *)(r1 + task_struct.pid)", &types, "access size is 8 bytes, expected 4"),
        ("if r1 == sizeof(task_struct) goto +0", &types, "CO-RE adjusts the offsets of loads"),
        ("*(u32 *)(r10 - 8) = sizeof(task_struct)", &types, "CO-RE adjusts the offsets of loads"),
        ("r1 = task_struct.pid", &none, "this kernel has no BTF"),
    ];
    for (statement, types, expected) in rows {
        let text = format!("r0 = 0\n{statement}\nexit\n");
        let module = parse(&text, "names.s", &ParseOptions::new()).unwrap();
        let error = write_with(&module, "names.s", ByteOrder::NATIVE, types).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(expected), "{statement}: {shown}");
        assert!(shown.contains("names.s:2:"), "{statement}: {shown}");
    }
}
