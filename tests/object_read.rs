//! Objects that are read: ours come back as they were, LLVM's with their contents, and damaged ones do no harm.

#![cfg(feature = "elf")]

mod common;
#[path = "common/object_bytes.rs"]
mod object_bytes;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said};
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection, ObjectSymbol, RelocationTarget};
use proptest::prelude::*;
use rawbpf::asm::{CoreKind, ParseOptions, RelocTarget, parse};
use rawbpf::insn::ByteOrder;
use rawbpf::object::{Object, ObjectError};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Programs that share sections, functions of one name, loops, data of all kinds.
const TEXT: &str = r#"
.license "Dual MIT/GPL"
.map counts, lru_hash, key=4, value=8, max=16, flags=2
.map events, perf_event_array
.map ring, ringbuf, max=4096
.map bloom, bloom_filter, value=4, max=8, extra=3
.rodata
limit:  .word 10, 0xffffffff
name:   .asciz "a \"name\"\n"
        .align 8
big:    .quad 0x1122334455667788
.data
        .half 7
one:    .quad 1
same: again:
        .byte 1, 2, 3
        .align 64
last:   .half 0x1234
.bss
runs:   .zero 8
        .align 32
buffer: .zero 100
.text
.program first, xdp
        r6 = r1
again:  r1 = "text" ll
        r2 = *(u8 *)(r1 + 3)
        if r2 == 0 goto again
        r1 = limit + 4 ll
        r2 = same + 1 ll
        r3 = last ll
        r4 = buffer + 99 ll
        call sub
        if w0 s> 5 goto out
        may_goto again
        gotol out
out:    r0 = 0x1122334455667788 ll
        exit
sub:    r1 = counts ll
        r2 = callback ll
        call sub2
        exit
sub2:   r0 = 1
        exit
callback:
        r0 = 0
        exit
.program second, kprobe/sys_clone
        r1 = events ll
        r1 = "more" ll
        r1 = "text" ll
        call sub
        exit
sub:    r0 = 7
        exit
.program third, xdp
        r0 = atomic_fetch_add((u64 *)(r10 - 8), r0)
        r1 = be16 r1
        r1 = ring ll
        r1 = bloom ll
        call sub
        r0 = 2
        exit
sub:    *(u16 *)(r10 - 2) = 0xffff
        r0 = *(s8 *)(r10 - 2)
        exit
.program fourth
        r0 = 1
        exit
"#;

fn object_of(text: &str, order: ByteOrder) -> Vec<u8> {
    let module = parse(text, "x.s", &ParseOptions::new().order(order))
        .unwrap_or_else(|e| panic!("{e}\n{text}"));
    rawbpf::object::write(&module, "x.s", order).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// A section: its name, its size, its bytes, and its relocations by offset, type and name.
type Section = (String, u64, Vec<u8>, Vec<(u64, String, String)>);

/// The relevant contents of an object, as `object` reads it.
fn contents(bytes: &[u8]) -> Vec<Section> {
    let file = ElfFile64::<Endianness>::parse(bytes).unwrap();
    let sections = file.sections().filter(|section| {
        let name = section.name().unwrap();
        !name.starts_with(".rel")
            && !name.starts_with(".BTF")
            && !name.ends_with("tab")
            && !name.is_empty()
    });
    let relocations = |section: &object::read::elf::ElfSection64<'_, '_, Endianness>| {
        let of = |(offset, relocation): (u64, object::Relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else { panic!("no symbol") };
            let symbol = file.symbol_by_index(index).unwrap();
            let name = match symbol.name().unwrap() {
                "" => {
                    file.section_by_index(symbol.section_index().unwrap()).unwrap().name().unwrap()
                }
                name => name,
            };
            (offset, format!("{:?}", relocation.flags()), name.to_owned())
        };
        section.relocations().map(of).collect()
    };
    sections
        .map(|section| {
            let name = section.name().unwrap().to_owned();
            (name, section.size(), section.data().unwrap().to_vec(), relocations(&section))
        })
        .collect()
}

#[test]
fn a_text_that_was_read_gives_the_same_object() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let first = object_of(TEXT, order);
        let text = Object::read(&first).unwrap().text(false);
        let second = object_of(&text, order);
        let (ours, theirs) = (contents(&first), contents(&second));
        assert_eq!(ours.iter().map(|section| section.3.len()).sum::<usize>(), 16, "{text}");
        assert_eq!(ours, theirs, "{text}");
        // Maps and the kinds of variables are in the types, which the text is made of.
        assert_eq!(Object::read(&second).unwrap().text(false), text);
        let strip = |text: &str| {
            text.lines()
                .filter(|line| line.starts_with(".map"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            strip(&text),
            [
                ".map counts, lru_hash, key=4, value=8, max=16, flags=2",
                ".map events, perf_event_array, key=4, value=4",
                ".map ring, ringbuf, max=4096",
                ".map bloom, bloom_filter, value=4, max=8, extra=3",
            ]
        );
        object_bytes::read_all(&first);
    }
}

/// Statements of which programs are made at random.
const STATEMENTS: [&str; 18] = [
    "r0 = 1",
    "r1 = counts ll",
    "r2 = limit + 4 ll",
    "r3 = \"one\" ll",
    "r3 = \"two\\n\" ll",
    "r3 = b\"\\x00\\xff\" ll",
    "r4 = one ll",
    "r5 = buffer + 3 ll",
    "call ktime_get_ns",
    "if r0 > 3 goto out",
    "call sub",
    "call other",
    "r2 = sub ll",
    "r2 = 5 ll",
    "*(u32 *)(r10 - 8) = 5",
    "w0 *= w1",
    "goto out",
    "call loop",
];

const TARGETS: [&str; 8] = [
    "",
    ", xdp",
    ", socket",
    ", xdp.frags",
    ", kprobe/x",
    ", cgroup_sock_addr/cgroup_inet4_bind",
    ", tracepoint:syscalls/sys_enter_openat",
    ", uprobe.s//bin/bash:readline",
];

/// Directives that a section of data is made of at random, each behind a label.
const DATA: [&str; 8] = [
    ".word 1, 2",
    ".asciz \"some text\"",
    ".quad 0x1122334455667788",
    ".half 3",
    ".byte 1, 2, 3",
    ".zero 24",
    ".byte 7\n.align 16",
    ".ascii \"x\", \"y\"\n.align 4",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_that_was_read_gives_the_same_object(
        programs in prop::collection::vec(
            (prop::sample::select(&TARGETS[..]), prop::collection::vec(prop::sample::select(&STATEMENTS[..]), 0..12)),
            1..6,
        ),
        data in prop::collection::vec(prop::sample::select(&DATA[..]), 0..6),
        big: bool,
    ) {
        let mut text = ".map counts, hash, key=4, value=8, max=2\n.bss\nbuffer: .zero 9\n.rodata\nlimit: .word 5, 6\n".to_owned();
        for (section, name) in [(".rodata", "r"), (".data", "d")] {
            text.push_str(&format!("{section}\n"));
            for (index, directive) in data.iter().enumerate() {
                text.push_str(&format!("{name}_{index}: {directive}\n"));
            }
        }
        text.push_str("one: .quad 1\n.text\n");
        for (index, (target, body)) in programs.iter().enumerate() {
            text.push_str(&format!(".program p{index}{target}\ncall other\n{}\n", body.join("\n")));
            text.push_str("out: exit\nsub: r0 = 1\nexit\nother: call sub\nr1 = limit ll\nexit\n");
        }
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let first = object_of(&text, order);
        let read = Object::read(&first).unwrap().text(false);
        let second = object_of(&read, order);
        prop_assert_eq!(contents(&first), contents(&second), "{}", read);
        prop_assert_eq!(Object::read(&second).unwrap().text(false), read);
    }
}

#[test]
fn programs_are_those_of_the_text() {
    let module = parse(TEXT, "x.s", &ParseOptions::new()).unwrap();
    let object =
        Object::read(&rawbpf::object::write(&module, "x.s", ByteOrder::NATIVE).unwrap()).unwrap();
    assert_eq!(object.order(), ByteOrder::NATIVE);
    let names: Vec<_> = object.programs().iter().map(|one| (one.name(), one.target())).collect();
    let expected = [
        ("first", Some("xdp")),
        ("second", Some("kprobe/sys_clone")),
        ("third", Some("xdp")),
        ("fourth", None),
    ];
    assert_eq!(names, expected);
    for (ours, theirs) in module.programs().iter().zip(object.programs()) {
        let addresses: Vec<_> = ours.relocations().iter().map(|one| one.slot as usize).collect();
        for (slot, (one, other)) in ours.slots().iter().zip(theirs.slots()).enumerate() {
            let address = addresses.contains(&slot) || slot > 0 && addresses.contains(&(slot - 1));
            assert!(address || one == other, "{slot} of {}: {one:?} {other:?}", ours.name());
        }
    }
}

/// A tool of LLVM's that makes an object of a file of these tests.
fn made(tool: &str, arguments: &[&str], source: &str, folder: &Folder) -> Result<Vec<u8>, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_file").join(source);
    if !source.exists() {
        return Err("the sources of this test are not here".into());
    }
    let path = folder.path().join("made.o");
    let output = Command::new(tool).args(arguments).arg(&source).arg("-o").arg(&path).output();
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    assert!(output.status.success(), "{}", said(&output));
    Ok(fs::read(path).unwrap())
}

/// An object of `core.ll` for this machine, whose accesses the compiler has left to be adjusted; `sign` says whether one of them has no
/// name in the language.
fn adjustable(folder: &Folder, sign: bool) -> Result<Vec<u8>, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_file/core.ll");
    let text = fs::read_to_string(source).map_err(|_| "the sources of this test are not here")?;
    // The sign of the field, or its size.
    let (before, after) = ("(i32* %field, i64 3)", "(i32* %field, i64 1)");
    assert_eq!(text.matches(before).count(), 1);
    let text = if sign { text } else { text.replace(before, after) };
    let triple = if cfg!(target_endian = "big") { "bpfeb" } else { "bpfel" };
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("core.ll"), text.replace("\"bpfel\"", &format!("\"{triple}\""))).unwrap();
    let steps = [
        ("opt-14", vec!["-O2".into(), "-S".into(), at("core.ll"), "-o".into(), at("better.ll")]),
        ("llc-14", vec!["-filetype=obj".into(), at("better.ll"), "-o".into(), at("core.o")]),
    ];
    for (tool, arguments) in steps {
        let output = Command::new(tool).args(&arguments).output();
        let output = output.map_err(|error| format!("{tool}: {error}"))?;
        assert!(output.status.success(), "{tool}: {}", said(&output));
    }
    Ok(fs::read(at("core.o")).unwrap())
}

/// Values that are relocated to the kernel are printed by name: LLVM's own record of each access is in the object.
#[test]
fn what_a_compiler_left_to_be_adjusted_has_names() {
    let folder = Folder::new();
    let bytes = adjustable(&folder, true);
    needs_tried!("opt-14", bytes.clone().err());
    let bytes = bytes.unwrap();
    object_bytes::read_all(&bytes);
    let object = Object::read(&bytes).unwrap();
    let text = object.text(false);
    for line in [
        "    r1 = task_struct.tgid\n",
        " = *(u64 *)(r0 + task_struct.start_time)\n",
        " = exists(task_struct.pid_links[1].pprev)\n",
        " = sizeof(task_struct.tgid)\n",
        " = exists(task_struct)\n",
        " = sizeof(hlist_node)\n",
        "    r1 = pid_type.PIDTYPE_TGID ll\n",
        "    r1 = exists(pid_type.PIDTYPE_TGID) ll\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    // One has none, and is not passed over.
    let remark = "CO-RE: signedness of field, struct task_struct.tgid 0:3";
    assert_eq!(text.matches("CO-RE").count(), 1);
    assert!(text.contains(&format!("    # {remark}\n")), "{text}");
    let [unsaid] = &object.unsaid()[..] else { panic!("{:?}", object.unsaid()) };
    assert!(unsaid.starts_with("program others, slot ") && unsaid.ends_with(remark), "{unsaid}");
    // Where the part that says it is damaged, that is told: nothing is taken for what needs no adjusting.
    let mut damaged = bytes.clone();
    let header: Vec<u8> =
        [0x0001_eb9f_u32, 32].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ext = damaged.windows(8).position(|window| window == header).unwrap();
    damaged[ext + 28..ext + 32].copy_from_slice(&0xffff_u32.to_ne_bytes());
    let unsaid = Object::read(&damaged).unwrap().unsaid();
    assert!(unsaid.iter().any(|unsaid| unsaid.contains("which is damaged")), "{unsaid:?}");
    let tgid = object.programs().iter().find(|program| program.name() == "tgid").unwrap();
    assert_eq!((0..9).find_map(|slot| tgid.named(slot)), Some("task_struct.tgid"));
    // What is loaded needs no words.
    let collection = object.collection("core.o").unwrap();
    let mut all = collection.programs().iter().flat_map(|program| program.relocations());
    let sign = all.find(|one| one.name() == remark).unwrap();
    assert!(matches!(sign.target, RelocTarget::Core(core) if core.kind == CoreKind::FieldSigned));
}

#[test]
fn an_object_for_other_machines_is_not_loaded() {
    let folder = Folder::new();
    let other = match ByteOrder::NATIVE {
        ByteOrder::Little => ByteOrder::Big,
        ByteOrder::Big => ByteOrder::Little,
    };
    let path = folder.path().join("other.o");
    fs::write(&path, object_of("r0 = 0\nexit\n", other)).unwrap();
    for command in ["check", "load", "exec"] {
        let done = Command::new(rawbpf()).arg(command).arg(&path).output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        assert!(said(&done).contains("for machines of the other byte order"), "{}", said(&done));
    }
}

/// Nobody has put it under a license, and the loader does not either.
#[test]
fn an_object_without_a_license_has_none() {
    needs!(Bpf);
    let folder = Folder::new();
    let path = folder.path().join("free.o");
    let bytes = object_of("call jiffies64\nr1 = r0\nr0 = 0\nexit\n", ByteOrder::NATIVE);
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let words = ["check", "--type", "kprobe"];
        Command::new(rawbpf()).args(words).arg(&path).output().unwrap()
    };
    // jiffies64 is for everybody, and trace_printk for programs under the GPL.
    assert!(check(&bytes).status.success());
    let text = "call trace_printk\nexit\n";
    let print = "r1 = r10\nr1 += -8\n*(u64 *)(r10 - 8) = 0\nr2 = 8\n";
    let bytes = object_of(&format!("{print}{text}"), ByteOrder::NATIVE);
    assert!(check(&bytes).status.success());
    // The name of the section is changed: then it is data that nobody refers to.
    let mut without = bytes.clone();
    let name = without.windows(9).position(|name| name == b"\0license\0").unwrap();
    without[name + 1] = b'L';
    let done = check(&without);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("GPL"), "{}", said(&done));
    // A listing says so, and an object of that has none again.
    let listing = Object::read(&without).unwrap().text(false);
    assert!(listing.starts_with(".license \"\"\n"), "{listing}");
    let again = Object::read(&object_of(&listing, ByteOrder::NATIVE)).unwrap();
    assert_eq!(again.text(false), listing.replace("# left out: section License, 4 bytes\n", ""));
}

/// The struct of the object is laid out otherwise than the kernel's, and the number of the process comes all the same.
#[test]
fn an_object_is_checked_and_run_as_it_is() {
    needs!(Bpf, Btf);
    let folder = Folder::new();
    needs_tried!("opt-14", adjustable(&folder, false).err());
    let object = folder.path().join("core.o");
    let done = Command::new(rawbpf()).arg("check").arg(&object).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let words = ["exec", "--program", "tgid", "--format", "json"];
    let mut command = Command::new(rawbpf());
    let child = command.args(words).arg(&object).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let done = child.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["r0"].as_u64(), Some(pid.into()), "{}", said(&done));
}

#[test]
fn what_a_compiler_made_is_read() {
    let folder = Folder::new();
    let bytes = made("llc-14", &["-march=bpf", "-mcpu=v3", "-filetype=obj"], "llvm.ll", &folder);
    needs_tried!("llc-14", bytes.clone().err());
    let bytes = bytes.unwrap();
    object_bytes::read_all(&bytes);
    let text = Object::read(&bytes).unwrap().text(false);
    assert_eq!(
        text,
        r#".license "GPL"
.map oldmap, hash, key=4, value=8, max=16
.rodata
rodata_0:
    .asciz "hello"
    .align 4
table:
    .byte 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0
.data
limit:
    .word 7
.bss
count:
    .zero 8
.text

.program look, tracepoint/syscalls/sys_enter_openat
    r7 = r1
    r1 = limit ll
    r1 = *(u32 *)(r1 + 0)
    call helper
    r6 = r0
    r1 = r6
    r1 &= 3
    r1 <<= 2
    r2 = table ll
    r2 += r1
    r1 = *(u32 *)(r2 + 0)
    r2 = count ll
    *(u64 *)(r2 + 0) = r1
    r1 = rodata_0 ll
    w2 = 6
    call trace_printk
    r1 = oldmap ll
    r2 = r7
    call map_lookup_elem
    if r0 != 0 goto L1
    r0 = r6
    exit
L1:
    r1 = 1
    call kfunc elsewhere
    exit

helper:
    r1 *= 3
    call global
    exit

global:
    r0 = r1
    r0 += 3
    exit
"#
    );
}

#[test]
fn maps_that_a_compiler_defined_by_their_types_are_declared() {
    let folder = Folder::new();
    for (march, order) in [("-march=bpfel", ByteOrder::Little), ("-march=bpfeb", ByteOrder::Big)] {
        let arguments = [march, "-mcpu=v3", "-filetype=obj", "-mtriple", &march[7..]];
        let bytes = made("llc-14", &arguments, "types.ll", &folder);
        needs_tried!("llc-14", bytes.clone().err());
        let bytes = bytes.unwrap();
        object_bytes::read_all(&bytes);
        let object = Object::read(&bytes).unwrap();
        assert_eq!(object.order(), order);
        let text = object.text(false);
        let expected = r#".license "GPL"
.map counts, hash, key=4, value=8, max=16
.data
limit:
    .word 7
.text

.program look, kprobe/do_exit
    r2 = r1
    r1 = counts ll
    call map_lookup_elem
    r1 = limit ll
    r0 = *(u32 *)(r1 + 0)
    exit
"#;
        // Before it there can be a word on the byte order.
        assert!(text.ends_with(expected), "{text}");
        // What was read can be written, and reads the same.
        assert_eq!(Object::read(&object_of(&text, order)).unwrap().text(false), text);
    }
}

#[test]
fn what_an_assembler_made_without_types_is_read() {
    let folder = Folder::new();
    let little = made("llvm-mc-14", &["-triple", "bpfel", "-filetype=obj"], "untyped.s", &folder);
    needs_tried!("llvm-mc-14", little.clone().err());
    let big = made("llvm-mc-14", &["-triple", "bpfeb", "-filetype=obj"], "untyped.s", &folder);
    let code = "\
.program pass, xdp
    r1 = count ll
    r0 = *(u32 *)(r1 + 0)
    r1 = data_8 ll
    call two
    if r0 > 5 goto L1
    r0 = 1
L1:
    exit

two:
    r0 = 2
    exit
";
    for bytes in [little.unwrap(), big.unwrap()] {
        object_bytes::read_all(&bytes);
        let object = Object::read(&bytes).unwrap();
        let [program] = object.programs() else { panic!("{object:?}") };
        assert_eq!(program.text(None), code);
        assert!(object.text(false).contains("count:\n    .word 5\n"), "{}", object.text(false));
    }
}

#[test]
fn what_is_no_object_is_said() {
    let whole = object_of("r0 = 0\nexit\n", ByteOrder::Little);
    let changed = |at: usize, bytes: &[u8]| {
        let mut other = whole.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        Object::read(&other).unwrap_err().to_string()
    };
    let unknown = |at: usize, bytes: &[u8]| {
        let mut other = whole.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        Object::read(&other).unwrap()
    };
    // The ELF header: the class, the type, the machine, where sections are, how many.
    assert!(changed(4, &[1]).contains("64 bits"));
    assert!(changed(16, &[2]).contains("no relocatable object"));
    assert!(changed(18, &[62]).contains("another machine"));
    assert!(changed(40, &[0xff; 8]).contains("table of sections"));
    let empty = Object::read(b"").unwrap_err();
    assert!(matches!(empty, ObjectError::File { .. }), "{empty}");
    // The first opcode of the one program.
    let code = whole.windows(8).position(|slot| slot == [0xb7, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    // It is shown, and not loaded.
    let object = unknown(code, &[0xff]);
    let text = object.text(false);
    assert!(text.contains("    unknown ff 00") && text.ends_with("\n    exit\n"), "{text}");
    let remark = "program main, slot 0 (x.s:1): this is no instruction: there is no such opcode";
    assert_eq!(object.unsaid(), [remark]);
    let refused = object.collection("x.o").unwrap_err();
    let native = ByteOrder::NATIVE == ByteOrder::Little;
    assert!(!native || refused == ObjectError::Unsaid { what: vec![remark.into()] }, "{refused}");
}

fn seeds() -> Result<Vec<Vec<u8>>, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/object");
    let read = |name| fs::read(folder.join(name)).map_err(|_| "the seeds are not here".to_owned());
    ["little", "big", "llvm", "llvm-types", "core", "arena", "tables", "jump-tables"]
        .into_iter()
        .map(read)
        .collect()
}

#[test]
fn damaged_objects_do_no_harm() {
    needs_tried!("seeds", seeds().err());
    let seeds = seeds().unwrap();
    for seed in &seeds {
        // They are what fuzzing can begin with.
        assert!(!Object::read(seed).unwrap().programs().is_empty());
        for length in 0..seed.len() {
            object_bytes::read_all(&seed[..length]);
        }
    }
    let places = any::<prop::sample::Index>();
    let values = prop_oneof![any::<u8>(), 0..4_u8, Just(0xff)];
    let changes = prop::collection::vec((places, values), 1..8);
    let config =
        ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() };
    let mut runner = prop::test_runner::TestRunner::new(config);
    let done = runner.run(&(0..seeds.len(), changes), |(seed, changes)| {
        let mut bytes = seeds[seed].clone();
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        object_bytes::read_all(&bytes);
        Ok(())
    });
    done.unwrap();
}

#[cfg(feature = "cli")]
mod command {
    use super::*;

    fn disasm(folder: &Folder, args: &[&str]) -> Output {
        Command::new(rawbpf()).arg("disasm").args(args).current_dir(folder.path()).output().unwrap()
    }

    fn printed(output: &Output) -> String {
        assert!(output.status.success(), "{}", said(output));
        String::from_utf8(output.stdout.clone()).unwrap()
    }

    #[test]
    fn an_object_is_printed_whole_or_by_program() {
        let folder = Folder::new();
        let bytes = object_of(TEXT, ByteOrder::Big);
        fs::write(folder.path().join("x.o"), &bytes).unwrap();
        let object = Object::read(&bytes).unwrap();
        assert_eq!(printed(&disasm(&folder, &["x.o"])), object.text(false));
        assert_eq!(
            printed(&disasm(&folder, &["x.o", "--endian", "big", "--bytes"])),
            object.text(true)
        );
        let third = printed(&disasm(&folder, &["x.o", "--program", "third"]));
        assert_eq!(third, object.programs()[2].text(None));
        let kernel = printed(&disasm(&folder, &["x.o", "--style", "kernel"]));
        assert!(kernel.starts_with("; first\n   0: (bf) r6 = r1\n"), "{kernel}");
        assert!(kernel.contains("; fourth\n   0: (b7) r0 = 1\n"), "{kernel}");

        let json = printed(&disasm(&folder, &["x.o", "--format", "json"]));
        let programs: Vec<_> = json
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["program"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(programs.iter().filter(|name| *name == "fourth").count(), 2);
        assert_eq!(programs.iter().filter(|name| *name == "second").count(), 7);
        let dot = printed(&disasm(&folder, &["x.o", "--format", "dot", "--program", "fourth"]));
        assert!(dot.starts_with("digraph"), "{dot}");

        for (args, status, message) in [
            (&["x.o", "--format", "dot"][..], 2, "first, second, third, fourth"),
            (&["x.o", "--program", "fifth"], 1, "no program `fifth`: those in it are first"),
            (&["x.o", "--endian", "little"], 2, "the other byte order"),
        ] {
            let output = disasm(&folder, args);
            assert_eq!(output.status.code(), Some(status), "{}", said(&output));
            assert!(String::from_utf8_lossy(&output.stderr).contains(message), "{}", said(&output));
            assert!(output.stdout.is_empty());
        }
    }
}
