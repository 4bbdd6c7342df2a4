//! Objects made by clang at test time, loaded by this library and by libbpf: the instructions are the same.

#![cfg(feature = "elf")]

mod common;
#[path = "common/objects.rs"]
#[allow(dead_code, reason = "the tests of collections need more of it")]
mod objects;
#[path = "object_load/table.rs"]
mod table;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, said};
use objects::{
    Pins, Theirs, bpftool, compiled, compilers, no_bpftool, no_compiler, own_instructions,
};
use rawbpf::btf::{KernelTypes, Kind};
use rawbpf::object::Object;
use rawbpf::{Loader, Program, TextSpec};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Loads an object both ways and compares every program; returns the names.
fn compare(compiler: &str, name: &str) -> Vec<String> {
    let folder = Folder::new();
    let object = compiled(compiler, name, &[], folder.path());
    compare_objects(compiler, name, &object, &object)
}

/// Loads an object, and one with libbpf that is to give the same, and compares every program; returns the names.
fn compare_objects(compiler: &str, name: &str, object: &Path, expected: &Path) -> Vec<String> {
    let theirs = Theirs::load(expected);
    let object = Object::read(&fs::read(object).unwrap()).unwrap();
    let collection = object.collection(name).unwrap();
    let mut loader = Loader::new();
    let programs = loader.load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
    let mut names = Vec::new();
    for program in &programs {
        let theirs = theirs.instructions(program.name());
        let ours = own_instructions(program);
        assert!(theirs.len() > 5, "{theirs:?}");
        assert_eq!(ours, theirs, "{compiler} {name} {}", program.name());
        names.push(program.name().to_owned());
    }
    names
}

#[test]
fn core_relocations_are_resolved_as_libbpf_resolves_them() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let names = compare(compiler, "core.c");
        assert_eq!(names, ["fields", "types", "enumerators", "guarded"]);
        let names = compare(compiler, "core_more.c");
        assert_eq!(names, ["arrays", "members", "names", "signs", "reads"]);
    }
}

/// What libbpf refuses as well, at the same instruction.
#[test]
fn an_instruction_that_is_reached_names_what_the_kernel_does_not_have() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        for (file, field) in [
            ("missing.c", "task_struct___gone.never_there"),
            ("resized.c", "task_struct___wide.tgid"),
        ] {
            let folder = Folder::new();
            let object = compiled(compiler, file, &[], folder.path());
            let object = Object::read(&fs::read(&object).unwrap()).unwrap();
            let collection = object.collection(file).unwrap();
            let error = Loader::new().load_collection(&collection).unwrap_err();
            let verdict = error.verifier().unwrap_or_else(|| panic!("{error}"));
            assert_eq!(verdict.instruction(), Some(1), "{error}");
            assert_eq!(verdict.advice().map(|advice| advice.key), Some("core"), "{error}");
            let note = format!("CO-RE: {field}: ");
            assert!(verdict.notes().iter().any(|line| line.starts_with(&note)), "{error}");
            assert!(error.to_string().contains("program `reached`"), "{error}");
        }
    }
}

#[test]
fn externs_of_the_kernel_are_filled_in_as_libbpf_fills_them_in() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        assert_eq!(compare(compiler, "ksyms.c"), ["ksyms"]);
    }
}

/// The assembly language has no word for these, and so the text says so.
#[test]
fn a_text_remarks_on_weak_externs_and_on_flavours() {
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let folder = Folder::new();
        let remarks = |file| {
            let object = compiled(compiler, file, &[], folder.path());
            Object::read(&fs::read(&object).unwrap()).unwrap().unsaid().join("\n")
        };
        let ksyms = remarks("ksyms.c");
        for expected in [
            "(ksyms.c:19): the address of something elsewhere, `no_such_symbol`, which can be missing (weak)",
            "(ksyms.c:18): the address of something elsewhere, `schedule`\n",
            "(ksyms.c:25): the address of something elsewhere, `no_such_kfunc`, which can be missing (weak)",
            "(ksyms.c:24): a call of `bpf_rcu_read_unlock`, which can be missing (weak)",
        ] {
            assert!(ksyms.contains(expected), "{ksyms}");
        }
        assert!(!ksyms.contains("a call of `bpf_rcu_read_lock`"), "{ksyms}");
        let expected =
            "a call of `bpf_rcu_read_lock___one`, which is `bpf_rcu_read_lock` in the kernel";
        let remarks = remarks("missing_ksyms.c");
        assert!(remarks.contains(expected), "{remarks}");
    }
}

/// To libbpf from 1.3 on. Older ones refuse the object, and take it with functions that there are not.
#[test]
fn a_weak_function_with_another_prototype_is_none() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let (folder, name) = (Folder::new(), "other_prototype.c");
        let object = compiled(compiler, name, &[], folder.path());
        let missing = compiled(compiler, name, &["-DMISSING"], folder.path());
        assert_eq!(compare_objects(compiler, name, &object, &missing), ["prototypes"]);
    }
}

#[test]
fn a_function_is_found_by_its_name_without_the_flavour() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    for compiler in compilers() {
        let (folder, name) = (Folder::new(), "flavours.c");
        let object = compiled(compiler, name, &[], folder.path());
        let plain = compiled(compiler, name, &["-DPLAIN"], folder.path());
        assert_eq!(compare_objects(compiler, name, &object, &plain), ["flavours"]);
    }
}

/// The verifier finds a variable by its BTF id, and says its name where it has no address for it (without `CONFIG_KALLSYMS_ALL`).
#[test]
fn a_variable_of_the_kernel_is_found_by_its_type() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    for compiler in compilers() {
        if symbols.lines().any(|line| line.ends_with(" runqueues")) {
            assert_eq!(compare(compiler, "variable.c"), ["variable"]);
            continue;
        }
        let folder = Folder::new();
        let object = compiled(compiler, "variable.c", &[], folder.path());
        let object = Object::read(&fs::read(&object).unwrap()).unwrap();
        let collection = object.collection("variable.c").unwrap();
        let error = Loader::new().load_collection(&collection).unwrap_err();
        let expected = "ldimm64 failed to find the address for kernel symbol 'runqueues'";
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_extern_that_the_kernel_does_not_have_is_named() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    for compiler in compilers() {
        let folder = Folder::new();
        let object = compiled(compiler, "missing_ksyms.c", &[], folder.path());
        let object = Object::read(&fs::read(&object).unwrap()).unwrap();
        let collection = object.collection("missing_ksyms.c").unwrap();
        let mut refused = Vec::new();
        for program in collection.programs() {
            let spec = TextSpec::new(&collection, program, "missing_ksyms.c").unwrap();
            let kind = spec.kind().unwrap();
            let error = Loader::new().load(&spec.program(kind)).unwrap_err().to_string();
            let (name, problem) = match program.name() {
                "variable" => ("no_such_variable", "there is no var `no_such_variable`"),
                "symbol" => ("no_such_symbol", "the kernel has no symbol of this name"),
                "kfunc" => ("no_such_kfunc", "there is no func `no_such_kfunc`"),
                "mistyped" => ("runqueues", "`const int runqueues`"),
                "prototype" => ("bpf_rcu_read_lock___one", "bpf_rcu_read_lock___one(int)`"),
                other => panic!("{other}"),
            };
            assert!(error.contains(name) && error.contains(problem), "{error}");
            assert!(error.contains(&format!("`{}`", program.name())), "{error}");
            refused.push(program.name());
        }
        assert_eq!(refused.len(), 5, "{refused:?}");
    }
}

/// Why the kernel has no such function for programs.
fn no_function(name: &str) -> Option<String> {
    let types = KernelTypes::new();
    let found = types.type_id(name, Kind::Function);
    found.err().map(|error| error.to_string())
}

#[test]
fn types_of_the_object_are_allocated() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    needs_tried!("bpf_obj_new", no_function("bpf_obj_new_impl"));
    for compiler in compilers() {
        assert_eq!(compare(compiler, "allocated.c"), ["allocates"]);
        let object = objects::object(compiler, "allocated.c");
        let collection = object.collection("allocated.c").unwrap();
        let programs = Loader::new().load_collection(&collection).unwrap();
        // 40 + 2.
        assert_eq!(programs[0].test_run(&[0; 64], 1).unwrap().returned, 42, "{compiler}");
    }
}

/// libbpf puts the function that a program's tag names behind the program from 1.3 on.
#[test]
fn exceptions_are_handled_by_the_function_that_a_tag_names() {
    needs!(Bpf, Root, Btf, Jit);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpf_throw", no_function("bpf_throw"));
    for compiler in compilers() {
        let folder = Folder::new();
        let object = |callback: &str| {
            let define = format!("-DCALLBACK=\"{callback}\"");
            objects::read(&compiled(compiler, "exceptions.c", &[&define], folder.path()))
        };
        let found = object("handles");
        let collection = found.collection("exceptions.c").unwrap();
        let programs = Loader::new().load_collection(&collection).unwrap();
        let returned = |program: &Program| {
            let run = program.test_run(&[0; 64], 1).unwrap();
            (program.name().to_owned(), run.returned)
        };
        let returned: Vec<_> = programs.iter().map(returned).collect();
        // Twice the cookie, and the cookie itself.
        assert_eq!(returned, [("handled".into(), 42), ("unhandled".into(), 21)], "{compiler}");
        let listed = found.unsaid().join("\n");
        assert!(listed.contains("program handled, slot 0 (exceptions.c:"), "{listed}");
        assert!(listed.contains("its exceptions are handled by `handles`"), "{listed}");

        for name in ["nobody", "throws"] {
            let error = object(name).collection("exceptions.c").unwrap_err().to_string();
            let expected = format!(
                "its exceptions are handled by `{name}`, which is no global function of the object"
            );
            assert!(error.contains(&expected), "{error}");
            assert!(error.contains("program handled, slot 0 (exceptions.c:"), "{error}");
        }
    }
}

/// Why the configuration of this kernel is not known, to libbpf neither.
fn no_configuration() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let boot = format!("/boot/config-{}", release.trim());
    let missing = ["/proc/config.gz", &boot].iter().all(|path| !Path::new(path).exists());
    missing.then(|| "there is neither /proc/config.gz nor a file in /boot".into())
}

/// The lines that bpftool prints of the contents of a program's map of settings, and its flags.
fn settings(program: &[&str]) -> (String, String) {
    let show = |args: &[&str]| {
        let done = Command::new(bpftool().unwrap()).args(args).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let program: serde_json::Value =
        serde_json::from_str(&show(&[&["-j", "prog", "show"], program].concat())).unwrap();
    let maps = program["map_ids"].as_array().unwrap().iter();
    let maps = maps.map(|id| {
        let id = id.to_string();
        let map: serde_json::Value =
            serde_json::from_str(&show(&["-j", "map", "show", "id", &id])).unwrap();
        (id, map)
    });
    let is_kconfig = |(_, map): &(String, serde_json::Value)| {
        map["name"].as_str().unwrap().ends_with(".kconfig")
    };
    let found: Vec<_> = maps.filter(is_kconfig).collect();
    let [(id, map)] = &found[..] else { panic!("{found:?}") };
    let about = format!("{} {} {}", map["type"], map["bytes_value"], map["frozen"]);
    let dump: serde_json::Value =
        serde_json::from_str(&show(&["-j", "map", "dump", "id", id])).unwrap();
    (dump[0]["value"].to_string(), about)
}

#[test]
fn settings_of_the_kernel_are_those_of_libbpf() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    needs_tried!("kernel_configuration", no_configuration());
    for compiler in compilers() {
        let folder = Folder::new();
        let object = compiled(compiler, "kconfig.c", &[], folder.path());
        let names = compare_objects(compiler, "kconfig.c", &object, &object);
        assert_eq!(names, ["first", "second"]);

        let pins = Pins::new();
        let theirs = pins.path("programs");
        let done = Command::new(bpftool().unwrap())
            .args(["prog", "loadall"])
            .args([&object, &theirs])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", said(&done));
        let object = Object::read(&fs::read(&object).unwrap()).unwrap();
        let collection = object.collection("kconfig.c").unwrap();
        assert!(collection.externs().any(|name| name == "CONFIG_HZ"));
        let programs = Loader::new().load_collection(&collection).unwrap();
        let mut maps = Vec::new();
        for program in &programs {
            let theirs = theirs.join(program.name());
            let theirs = settings(&["pinned", theirs.to_str().unwrap()]);
            let id = program.info().unwrap().id.to_string();
            let ours = settings(&["id", &id]);
            assert_eq!(ours, theirs, "{}", program.name());
            assert!(ours.0.len() > 500 && ours.1.starts_with("\"array\""), "{ours:?}");
            maps.push(program.info().unwrap().map_ids);
        }
        let common = maps[0].iter().filter(|id| maps[1].contains(id)).count();
        assert_eq!(common, 2, "`out` and the settings");
    }
}

#[test]
fn a_setting_that_cannot_be_had_is_named() {
    needs!(Bpf, Root, Btf);
    needs_tried!("clang", no_compiler());
    needs_tried!("bpftool", no_bpftool());
    needs_tried!("kernel_configuration", no_configuration());
    let expected = [
        ("CONFIG_NO_SUCH_THING", "does not have it"),
        ("LINUX_NO_SUCH_THING", "unknown name"),
        ("CONFIG_BPF", "it is `y`, expected a declaration as bool"),
        ("CONFIG_NR_CPUS", "which does not fit 8 bits, signed"),
        ("CONFIG_DEFAULT_HOSTNAME", "expected a declaration as an array of char"),
        ("CONFIG_HZ", "expected a declaration as an integer"),
        ("LINUX_KERNEL_VERSION", "expected a declaration as an integer"),
        ("CONFIG_HZ", "unsupported type"),
    ];
    for compiler in compilers() {
        for (kind, (name, problem)) in expected.iter().enumerate() {
            let folder = Folder::new();
            let define = format!("-DKIND={kind}");
            let object = compiled(compiler, "kconfig_missing.c", &[&define], folder.path());
            let pins = Pins::new();
            let done = Command::new(bpftool().unwrap())
                .args(["prog", "loadall"])
                .args([&object, &pins.path("programs")])
                .output()
                .unwrap();
            assert!(!done.status.success(), "libbpf takes {name}");
            let object = Object::read(&fs::read(&object).unwrap()).unwrap();
            let error = match object.collection("kconfig_missing.c") {
                Ok(collection) => {
                    Loader::new().load_collection(&collection).unwrap_err().to_string()
                }
                Err(error) => error.to_string(),
            };
            let whole = format!("setting `{name}` (__kconfig): ");
            assert!(error.contains(&whole) && error.contains(problem), "{error}");
        }
    }
}
