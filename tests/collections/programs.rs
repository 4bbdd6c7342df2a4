//! Programs of objects: sections, functions, and the programs that they are for.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{Folder, rawbpf, said};
use crate::objects::{
    Theirs, compiled, compilers, no_bpftool, no_compiler, object, own_instructions, read,
    same_programs,
};
use rawbpf::attach::attach_collection;
use rawbpf::object::Object;
use rawbpf::{ErrorKind, Loader};
use std::fs;
use std::process::Command;

/// The sections of libbpf 1.7 (`section_defs`), and what a program there returns.
#[rustfmt::skip]
const SECTIONS: &[(&str, i32)] = &[
    ("socket", 0), ("sk_reuseport/migrate", 0), ("sk_reuseport", 0), ("kprobe/do_exit", 0), ("kprobe", 0), ("uprobe", 0),
    ("uprobe.s", 0), ("kretprobe/do_exit", 0), ("uretprobe", 0), ("uretprobe.s", 0), ("kprobe.multi/do_exit", 0),
    ("kretprobe.multi/do_exit", 0), ("kprobe.session/do_exit", 0), ("uprobe.multi", 0), ("uretprobe.multi", 0),
    ("uprobe.session", 0), ("uprobe.multi.s", 0), ("uretprobe.multi.s", 0), ("uprobe.session.s", 0), ("ksyscall/getpid", 0),
    ("kretsyscall/getpid", 0), ("usdt", 0), ("usdt.s", 0), ("tc/ingress", 0), ("tc/egress", 0), ("tcx/ingress", 0), ("tcx/egress", 0),
    ("tc", 0), ("classifier", 0), ("action", 0), ("netkit/primary", 0), ("netkit/peer", 0), ("tracepoint/sched/sched_switch", 0),
    ("tp/sched/sched_switch", 0), ("raw_tracepoint/sched_switch", 0), ("raw_tp/sched_switch", 0), ("raw_tracepoint.w/sched_switch", 0),
    ("raw_tp.w/sched_switch", 0), ("tp_btf/sched_switch", 0), ("fentry/do_exit", 0), ("fmod_ret/security_file_open", 0),
    ("fexit/do_exit", 0), ("fentry.s/security_file_open", 0), ("fmod_ret.s/security_file_open", 0), ("fexit.s/security_file_open", 0),
    ("lsm/file_open", 0), ("lsm.s/file_open", 0), ("lsm_cgroup/socket_bind", 1), ("iter/task", 0), ("iter.s/task", 0), ("syscall", 0),
    ("xdp.frags/devmap", 2), ("xdp/devmap", 2), ("xdp.frags/cpumap", 2), ("xdp/cpumap", 2), ("xdp.frags", 2), ("xdp", 2),
    ("perf_event", 0), ("lwt_in", 0), ("lwt_out", 0), ("lwt_xmit", 0), ("lwt_seg6local", 0), ("sockops", 1),
    ("sk_skb/stream_parser", 0), ("sk_skb/stream_verdict", 1), ("sk_skb/verdict", 1), ("sk_skb", 1), ("sk_msg", 1), ("lirc_mode2", 0),
    ("flow_dissector", 0), ("cgroup_skb/ingress", 1), ("cgroup_skb/egress", 1), ("cgroup/skb", 1), ("cgroup/sock_create", 1),
    ("cgroup/sock_release", 1), ("cgroup/sock", 1), ("cgroup/post_bind4", 1), ("cgroup/post_bind6", 1), ("cgroup/bind4", 1),
    ("cgroup/bind6", 1), ("cgroup/connect4", 1), ("cgroup/connect6", 1), ("cgroup/connect_unix", 1), ("cgroup/sendmsg4", 1),
    ("cgroup/sendmsg6", 1), ("cgroup/sendmsg_unix", 1), ("cgroup/recvmsg4", 1), ("cgroup/recvmsg6", 1), ("cgroup/recvmsg_unix", 1),
    ("cgroup/getpeername4", 1), ("cgroup/getpeername6", 1), ("cgroup/getpeername_unix", 1), ("cgroup/getsockname4", 1),
    ("cgroup/getsockname6", 1), ("cgroup/getsockname_unix", 1), ("cgroup/sysctl", 1), ("cgroup/getsockopt", 1),
    ("cgroup/setsockopt", 1), ("cgroup/dev", 1), ("sk_lookup", 1), ("netfilter", 1),
];

/// The same types as with libbpf, and refused where libbpf is refused.
#[test]
fn every_section_of_libbpf_is_a_type_of_programs() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    let folders: Vec<_> = SECTIONS.iter().map(|_| Folder::new()).collect();
    let compile = |((section, returns), folder): (&(&str, i32), &Folder)| {
        let options = [format!("-DSECTION=\"{section}\""), format!("-DRETURNS={returns}")];
        let options = options.each_ref().map(String::as_str);
        compiled(compilers()[0], "section.c", &options, folder.path())
    };
    let files: Vec<_> = SECTIONS.iter().zip(&folders).map(compile).collect();
    let objects: Vec<_> = files.iter().map(|file| read(file)).collect();
    let collections: Vec<_> =
        objects.iter().map(|object| object.collection("section.o").unwrap()).collect();
    // One loader, which reads the types of the kernel once.
    let (mut loader, mut compared) = (Loader::new(), 0);
    for (((section, _), file), collection) in SECTIONS.iter().zip(&files).zip(&collections) {
        let ours = loader.load_collection(collection);
        // The type is known in any case, whether this kernel has it or not.
        if let Err(error) = &ours {
            let text = error.to_string();
            assert!(!text.contains("does not say of which type"), "{section}: {text}");
        }
        let (theirs, output) = Theirs::try_load(file);
        let output = said(&output);
        let unknown = ["missing BPF prog type", "failed to guess program type"];
        match (theirs, ours) {
            (Some(theirs), Ok(programs)) => {
                assert_eq!(theirs.kind("program"), programs[0].kind().name(), "{section}");
                compared += 1;
            }
            (None, Err(error)) => {
                assert!(output.contains("failed to"), "{section}: {output} {error}")
            }
            // libbpf 1.1 is older than the section.
            (None, Ok(_)) => {
                let known = unknown.iter().any(|words| output.contains(words));
                assert!(known, "{section}: {output}");
            }
            (Some(_), Err(error)) => panic!("{section}: libbpf loads it: {error}"),
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn functions_are_put_behind_programs_as_libbpf_puts_them() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let folder = Folder::new();
        let file = compiled(compiler, "functions.c", &["-DALONE"], folder.path());
        let theirs = Theirs::load(&file);
        let object = read(&file);
        let collection = object.collection("functions.o").unwrap();
        let programs = Loader::new().load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
        same_programs(&theirs, &programs);

        let object = crate::objects::object(compiler, "functions.c");
        let collection = object.collection("functions.o").unwrap();
        let programs = Loader::new().load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
        let names: Vec<_> = programs.iter().map(|program| program.name()).collect();
        assert_eq!(names, ["sums", "sums_elsewhere", "first_alone"]);
        let instructions = own_instructions(&programs[1]);
        assert!(instructions[1].contains("call pc+"), "{instructions:?}");
    }
}

/// Objects of these sources, made by clang 14: for kernels that let a program be for another one, on machines without a compiler.
const REPLACED: &[u8] = include_bytes!("../object_load/prebuilt/replaced.o");
const REPLACING: &[u8] = include_bytes!("../object_load/prebuilt/replacing.o");

#[test]
fn objects_that_are_kept_are_those_of_their_sources() {
    needs_tried!("clang", no_compiler());
    needs_tried!("little-endian objects", big_endian());
    for (source, kept) in [("replaced.c", REPLACED), ("replacing.c", REPLACING)] {
        let kept = Object::read(kept).unwrap().text(false);
        assert_eq!(object(compilers()[0], source).text(false), kept, "{source}");
    }
}

/// Runs a program of `replaced.c` while one of `replacing.c` is attached to a function of it; what it returns, and what the other saw.
fn beside(name: &str) -> Result<(u32, i64), rawbpf::Error> {
    let object = Object::read(REPLACED).unwrap();
    let collection = object.collection("replaced.o").unwrap();
    let replaced = Loader::new().load_collection(&collection).unwrap();
    let asks = || replaced[0].test_run(&[0; 64], 1).unwrap().returned;
    assert_eq!(asks(), 42);

    let object = Object::read(REPLACING).unwrap();
    let mut collection = object.collection("replacing.o").unwrap();
    for program in ["other", "sees"] {
        collection.program_mut(program).unwrap().set_autoload(program == name);
    }
    collection.program_mut(name).unwrap().set_target_program(&replaced[0]);
    let mut loader = Loader::new();
    let programs = loader.load_collection(&collection)?;
    let attached = attach_collection(&mut loader, &collection, &programs)?;
    let returned = asks();
    drop(attached);
    assert_eq!(asks(), 42);
    Ok((returned, loader.variable(&collection, "seen").unwrap()))
}

/// Why no program can be for a function of another here.
fn not_permitted(name: &str) -> Option<String> {
    let error = beside(name).err()?;
    (error.kind() == ErrorKind::NotPermitted).then(|| error.to_string())
}

#[test]
fn a_function_of_another_program_is_replaced() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("little-endian objects", big_endian());
    needs_tried!("freplace", not_permitted("other"));
    assert_eq!(beside("other").unwrap(), (7, 0));
}

#[test]
fn a_program_runs_when_another_has() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("little-endian objects", big_endian());
    needs_tried!("fexit of a program", not_permitted("sees"));
    assert_eq!(beside("sees").unwrap(), (42, 42));
}

/// Nobody says which program it is for.
#[test]
fn a_program_for_another_has_to_be_told_which() {
    needs!(Bpf, Btf);
    needs_tried!("little-endian objects", big_endian());
    let object = Object::read(REPLACING).unwrap();
    let mut collection = object.collection("replacing.o").unwrap();
    collection.program_mut("other").unwrap().set_autoload(false);
    let error = Loader::new().load_collection(&collection).unwrap_err().to_string();
    assert!(error.contains("`sees`") && error.contains("section `fexit/asks`"), "{error}");
}

/// An object with `SHT_RELA` in place of `SHT_REL`: what is added to symbols stands in the relocations, and not in the instructions.
fn with_addends(mut file: Vec<u8>) -> Vec<u8> {
    let (half, word, long) = (2, 4, 8);
    let read = |file: &[u8], at: usize, size: usize| -> usize {
        file[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let write = |file: &mut [u8], at: usize, size: usize, value: u64| {
        file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    };
    // `e_shoff` and `e_shnum` of `Elf64_Ehdr`; `Elf64_Shdr` has 64 bytes.
    let (table, count) = (read(&file, 40, long), read(&file, 60, half));
    for section in 0..count {
        let header = table + section * 64;
        let (kind, of) = (read(&file, header + 4, word), read(&file, header + 44, word));
        // SHT_REL, for a section with SHF_EXECINSTR.
        let target = table + of * 64;
        if kind != 9 || read(&file, target + 8, long) & 4 == 0 {
            continue;
        }
        let (code, start) = (read(&file, target + 24, long), read(&file, header + 24, long));
        let entries = read(&file, header + 32, long) / 16;
        let moved = file.len();
        for entry in 0..entries {
            let entry = start + entry * 16;
            let (place, info) = (read(&file, entry, long), read(&file, entry + 8, long));
            let immediate = code + place + 4;
            let added = i64::from(read(&file, immediate, word) as u32 as i32);
            // R_BPF_64_32 is in slots, and one slot less.
            let added = if info & 0xffff_ffff == 10 { (added + 1) * 8 } else { added };
            write(&mut file, immediate, word, 0);
            file.extend((place as u64).to_le_bytes());
            file.extend((info as u64).to_le_bytes());
            file.extend(added.to_le_bytes());
        }
        for (at, size, value) in [
            (4, word, 4),
            (24, long, moved as u64),
            (32, long, entries as u64 * 24),
            (56, long, 24),
        ] {
            write(&mut file, header + at, size, value);
        }
    }
    file
}

#[test]
fn relocations_with_addends_are_those_without() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    needs_tried!("a machine whose objects are little-endian", big_endian());
    for compiler in compilers() {
        for (name, options) in
            [("functions.c", "-DALONE"), ("data.c", "-DALONE"), ("maps.c", "-DA")]
        {
            let folder = Folder::new();
            let file = compiled(compiler, name, &[options], folder.path());
            let theirs = Theirs::load(&file);
            let before = fs::read(&file).unwrap();
            let with_addends = with_addends(before.clone());
            assert!(with_addends.len() > before.len());
            let object = Object::read(&with_addends).unwrap();
            let collection = object.collection(name).unwrap();
            let programs = Loader::new().load_collection(&collection).unwrap();
            same_programs(&theirs, &programs);
            assert_eq!(object.text(false), Object::read(&before).unwrap().text(false));
        }
    }
}

pub(crate) fn big_endian() -> Option<String> {
    cfg!(target_endian = "big").then(|| "this one is big-endian".into())
}

#[test]
fn a_section_without_a_type_is_named_with_the_others() {
    needs!(Bpf, Root);
    needs_tried!("clang", no_compiler());
    let folder = Folder::new();
    let file = compiled(compilers()[0], "untyped.c", &[], folder.path());
    let object = read(&file);
    let mut collection = object.collection("untyped.o").unwrap();
    let error = Loader::new().load_collection(&collection).unwrap_err().to_string();
    let expected = "program `unknown`: its section `mystery/box` does not say of which type it is; sections of the object: \
                    mystery/box, tc; give a target, as `kprobe/FUNCTION` or `xdp`, or a type";
    assert_eq!(error, expected);
    collection.program_mut("unknown").unwrap().set_target("xdp");
    let programs = Loader::new().load_collection(&collection).unwrap();
    let kinds: Vec<_> = programs.iter().map(|program| program.kind().name()).collect();
    assert_eq!(kinds, ["xdp", "sched_cls"]);

    let done = Command::new(rawbpf()).arg("load").arg(&file).output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    let text = said(&done);
    assert!(text.contains(expected) && text.contains("--type"), "{text}");
}

/// `rawbpf load` says what cannot be done, in which program, and at which line.
#[test]
fn load_names_program_section_and_line_of_what_cannot_be_done() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let folder = Folder::new();
        for (file, parts) in [
            (
                "unsupported.c",
                &["`calls`", "section `tc`", "unsupported.c:15", "no_such_kfunc"][..],
            ),
            (
                "unchecked.c",
                &["`reads`", "section `raw_tp/sched_switch`", "unchecked.c:21: return *value;"],
            ),
            (
                "missing.c",
                &["`reached`", "missing.c:11: out[0] = task->never_there;", "task_struct___gone"],
            ),
        ] {
            let object = compiled(compiler, file, &[], folder.path());
            let done = Command::new(rawbpf()).arg("load").arg(&object).output().unwrap();
            assert_eq!(done.status.code(), Some(1), "{}", said(&done));
            let text = said(&done);
            for part in parts {
                assert!(text.contains(part), "{file}: {part}: {text}");
            }
        }
    }
}
