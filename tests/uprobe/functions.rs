//! Uprobes on functions, by name and by place, in every way there is.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{self, Folder};
use crate::watch::{
    COOKIE, Caller, ENTRY, METHODS, RETURN, SECOND, Watch, detached, probes_in_tracefs,
    rawbpf_test_add, rawbpf_test_double, this_file,
};
use rawbpf::attach::uprobe::{self, ProbeMethod};
use rawbpf::attach::{self, Options, Target};
use rawbpf::features::Features;
use rawbpf::{AttachType, Error, ErrorKind, user};
use std::fs;
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Three calls, the first arguments and the results of which make 6 and 36.
fn calls() {
    for a in 1..=3 {
        assert_eq!(black_box(rawbpf_test_add(black_box(a), 10)), a + 10);
    }
}

fn this(function: &str) -> Target {
    Target::uprobe(this_file(), function)
}

/// Why this kernel cannot put a program in many places of a file at once.
fn no_multi() -> Option<String> {
    Features::new().demand(AttachType::TraceUprobeMulti).err().map(|error| error.to_string())
}

fn no_cookies() -> Option<String> {
    Watch::loaded(&COOKIE).err().map(|error| error.to_string())
}

#[test]
fn a_function_is_seen_while_it_is_probed() {
    needs!(Uprobe, Tracefs);
    let watch = Watch::new(&ENTRY);
    for method in METHODS {
        let target = this("rawbpf_test_add");
        let real = watch.sees_while_attached(calls, (3, 6), |p| uprobe::attach(p, &target, method));
        assert_eq!(real, target.to_string(), "{method:?}");
    }
}

#[test]
fn its_return_has_the_result() {
    needs!(Uprobe, Tracefs);
    let watch = Watch::new(&RETURN);
    for method in METHODS {
        let target = Target::uretprobe(this_file(), "rawbpf_test_add");
        watch.sees_while_attached(calls, (3, 36), |p| uprobe::attach(p, &target, method));
    }
}

#[test]
fn arguments_have_names() {
    needs!(Uprobe);
    let target = format!("{}:rawbpf_test_add", this_file());
    let watch = Watch::loaded(&SECOND.with_target(target.leak())).unwrap();
    let place = this("rawbpf_test_add");
    watch.sees_while_attached(calls, (3, 30), |p| attach::attach(p, &place));
}

#[test]
fn a_place_is_known_by_its_offset_too() {
    needs!(Uprobe);
    let functions = user::functions(this_file()).unwrap();
    let function = functions.iter().find(|one| one.name == "rawbpf_test_add").unwrap();
    assert!(function.size > 4 && !function.indirect, "{function:?}");
    let watch = Watch::new(&ENTRY);
    let target: Target = format!("uprobe:{}:{:#x}", this_file(), function.offset).parse().unwrap();
    let real = watch.sees_while_attached(calls, (3, 6), |p| attach::attach(p, &target));
    assert_eq!(real, target.to_string());
}

/// Inside a function: where the second instruction begins. (Both begin with the one of indirect branches where the compiler
/// makes that, and else a first instruction of known length is not to be had: the test asks the kernel for none.)
#[test]
fn a_place_inside_a_function_has_to_be_inside() {
    needs!(Uprobe);
    let functions = user::functions(this_file()).unwrap();
    let function = functions.iter().find(|one| one.name == "rawbpf_test_add").unwrap();
    let watch = Watch::new(&ENTRY);
    let beyond = Target::Uprobe {
        file: this_file(),
        function: "rawbpf_test_add".into(),
        offset: function.size,
        returns: false,
    };
    let words = attach::attach(&watch.program, &beyond).unwrap_err().to_string();
    assert!(words.contains(&format!("has {} bytes", function.size)), "{words}");
    // Zero bytes into it is itself.
    let start: Target = format!("{}+0x0", this("rawbpf_test_add")).parse().unwrap();
    watch.sees_while_attached(calls, (3, 6), |p| attach::attach(p, &start));
}

#[test]
fn a_pattern_is_every_function_that_matches() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    let both = || {
        calls();
        assert_eq!(black_box(rawbpf_test_double(black_box(100))), 200);
    };
    let target = this("rawbpf_test_*");
    let real = watch.sees_while_attached(both, (4, 106), |program| {
        let link = attach::attach(program, &target)?;
        assert_eq!((link.places(), link.skipped()), (2, 0));
        Ok(link)
    });
    assert_eq!(real, target.to_string());
    let none = attach::attach(&watch.program, &this("rawbpf_test_*x")).unwrap_err();
    assert!(matches!(&none, Error::NotInFile { what: "function that matches", .. }), "{none:?}");
}

#[test]
fn too_many_functions_are_not_taken_one_by_one() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    let error = attach::attach(&watch.program, &this("*")).unwrap_err();
    let Error::TooManyPlaces { places, .. } = error else { panic!("{error:?}") };
    // Another name for a function is not another place.
    let functions = user::functions(this_file()).unwrap();
    let mut offsets: Vec<_> =
        functions.iter().filter(|one| !one.indirect).map(|one| one.offset).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert!(places >= offsets.len() && places < offsets.len() + 200, "{places} {}", offsets.len());
    watch.assert_nothing_is_left();
}

#[test]
fn one_link_can_hold_many_places() {
    needs!(Uprobe);
    needs_tried!("uprobe_multi", no_multi());
    for (watch, target, expected) in [
        (Watch::multi as fn(_) -> _, this("rawbpf_test_add"), (3, 6)),
        (Watch::multi, this("rawbpf_test_*"), (4, 106)),
    ] {
        let watch: Watch = watch(&ENTRY);
        let calls = || {
            calls();
            if expected.0 == 4 {
                rawbpf_test_double(black_box(100));
            }
        };
        watch.sees_while_attached(calls, expected, |program| {
            let link = attach::attach(program, &target)?;
            assert!(link.as_bpf_link().is_some());
            Ok(link)
        });
    }
    let watch = Watch::multi(&RETURN);
    let target = Target::uretprobe(this_file(), "rawbpf_test_add");
    watch.sees_while_attached(calls, (3, 36), |p| attach::attach(p, &target));
}

/// The reason why not every function of this program is probed on this machine: uprobes step over the instruction that they
/// replace, on s390x by program-event recording (`arch/s390/kernel/uprobes.c`). QEMU 7.2, without which it was not tried, gives the
/// kernel the address and the condition code from before the step: a program in C with 50 functions and probes of tracefs, no BPF
/// program, went on behind each branch that it should have taken (`j`, `jg`, `bras`, `brasl`, `brctg`, `cgije`, `br`), and took the
/// wrong way after each comparison in memory or with a constant (`clc`, `clgfi`, `cghsi`), while loads, stores, arithmetic, `stmg`,
/// and the relative ones that the kernel emulates (`larl`, `lgrl`, `cgrl` …) were right. (The kernel leaves the condition code
/// alone, so it is QEMU that loses it.) A `drop_in_place` that is one jump ran into the next function. Functions by name, above,
/// begin with `stmg` or the like, and are probed there as well.
fn no_stepping() -> Option<String> {
    cfg!(target_arch = "s390x")
        .then(|| "on s390x, QEMU loses branches and condition codes that are stepped over".into())
}

#[test]
fn one_link_can_hold_more_places_than_there_can_be_links() {
    needs!(Uprobe);
    needs_tried!("uprobe_multi", no_multi());
    needs_tried!("single_step", no_stepping());
    // Some functions begin with an instruction that cannot be probed.
    let watch = Watch::multi(&ENTRY);
    let link = attach::attach(&watch.program, &this("*")).unwrap();
    assert!(link.places() > 1000 && link.as_bpf_link().is_some(), "{}", link.places());
    assert!(watch.during(calls).0 >= 3);
    drop(link);
    watch.assert_nothing_is_left();
}

#[test]
fn a_kernel_without_such_links_says_so() {
    needs!(Uprobe);
    needs_tried!("no_uprobe_multi", no_multi().is_none().then(|| "this kernel has it".to_owned()));
    // Such a kernel does not know the attach type, and takes it at load all the same.
    let watch = Watch::multi(&ENTRY);
    let error = attach::attach(&watch.program, &this("rawbpf_test_add")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("6.6"), "{error}");
}

/// Many places at once where the kernel can, and one by one where not: the program is loaded for what it can.
#[test]
fn loading_for_a_pattern_takes_the_best_way() {
    needs!(Uprobe);
    let target = this("rawbpf_test_*");
    let mut loader = rawbpf::Loader::new();
    let loaded = attach::load_and_attach(&mut loader, &ENTRY, &target);
    let (program, link) = loaded.unwrap();
    assert_eq!(link.places(), 2);
    let multi = program.attach_type() == Some(AttachType::TraceUprobeMulti);
    assert_eq!(multi, no_multi().is_none());
    assert_eq!(link.as_bpf_link().is_some(), multi);
}

#[test]
fn cookies_tell_places_apart() {
    needs!(Uprobe);
    needs_tried!("attach_cookie", no_cookies());
    let watch = Watch::new(&COOKIE);
    let target = this("rawbpf_test_add");
    let with = |cookie| {
        attach::attach_with(&watch.program, &target, &Options::new().cookie(cookie)).unwrap()
    };
    let _first = with(7);
    let _second = with(1000);
    assert_eq!(watch.during(calls), (6, 3 * 1007));
    drop(watch);
    if no_multi().is_none() {
        let watch = Watch::multi(&COOKIE);
        let options = Options::new().cookie(5);
        let target = this("rawbpf_test_*");
        watch.sees_while_attached(calls, (3, 15), |p| attach::attach_with(p, &target, &options));
    }
}

#[test]
fn an_older_kernel_has_no_cookies_and_says_so() {
    needs!(Uprobe);
    needs_tried!(
        "no_attach_cookie",
        no_cookies().is_none().then(|| "this kernel has them".to_owned())
    );
    let watch = Watch::new(&ENTRY);
    let options = Options::new().cookie(7);
    let error =
        attach::attach_with(&watch.program, &this("rawbpf_test_add"), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    watch.assert_nothing_is_left();
}

#[test]
fn one_process_or_all() {
    needs!(Uprobe, Tracefs);
    if common::role().is_some() {
        return Caller::serve(calls);
    }
    let test = "functions::one_process_or_all";
    let (mut one, mut other) = (Caller::start(test), Caller::start(test));
    let mut check = |watch: &Watch, options: &Options, method, expected: [u64; 3]| {
        let target = this("rawbpf_test_add");
        let link = match method {
            None => attach::attach_with(&watch.program, &target, options).unwrap(),
            Some(method) => uprobe::attach(&watch.program, &target, method).unwrap(),
        };
        for process in [one.id(), other.id()] {
            watch.take(process);
        }
        let us = watch.during(calls).0;
        one.call();
        other.call();
        assert_eq!([us, watch.take(one.id()).0, watch.take(other.id()).0], expected, "{method:?}");
        detached(link, || {
            one.call();
            watch.take(one.id()) == (0, 0)
        });
        [one.id(), other.id()]
    };
    let watch = Watch::new(&ENTRY);
    let [first, second] = check(&watch, &Options::new(), None, [3, 3, 3]);
    for method in METHODS {
        check(&watch, &Options::new(), Some(method), [3, 3, 3]);
    }
    check(&watch, &Options::new().pid(first), None, [0, 3, 0]);
    check(&watch, &Options::new().pid(second), None, [0, 0, 3]);
    check(&watch, &Options::new().pid(std::process::id()), None, [3, 0, 0]);
    watch.assert_nothing_is_left();
    drop(watch);

    if no_multi().is_none() {
        let watch = Watch::multi(&ENTRY);
        check(&watch, &Options::new(), None, [3, 3, 3]);
        // Kernels before 6.10 take the number for that of a thread, and it is refused.
        let options = Options::new().pid(first);
        let attached = attach::attach_with(&watch.program, &this("rawbpf_test_add"), &options);
        match attached.map(drop) {
            Ok(()) => {
                check(&watch, &options, None, [0, 3, 0]);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
        }
    }
}

/// A process in a folder that it takes for the root, as one in a container is: its files are found there. (A program that
/// needs libraries would not run in there.)
#[test]
fn files_are_those_that_the_process_sees() {
    // In there is no /proc to ask what there is.
    if common::role().is_some() {
        return Caller::serve(calls);
    }
    needs!(Uprobe, Root);
    needs_tried!(
        "static_program",
        has_libc().then(|| "this program was built with shared libraries".to_owned())
    );
    let folder = Folder::new();
    let root = folder.path().to_owned();
    fs::copy(this_file(), root.join("program")).unwrap();
    let mut command = Command::new("/program");
    command.args(["--exact", "functions::files_are_those_that_the_process_sees", "--nocapture"]);
    command.arg("--test-threads=1").env(common::ROLE, "caller");
    let enter = move || {
        nix::unistd::chroot(&root)?;
        Ok(nix::unistd::chdir("/")?)
    };
    // SAFETY: two system calls, and nothing that another thread could hold.
    unsafe { command.pre_exec(enter) };
    let mut caller = Caller::of(command);
    let watch = Watch::new(&ENTRY);
    let options = Options::new().pid(caller.id());
    for name in ["/program", "program"] {
        let target = Target::uprobe(name, "rawbpf_test_add");
        if name == "program" {
            // Its PATH is ours, and names no folder in there.
            let error = attach::attach_with(&watch.program, &target, &options).unwrap_err();
            assert!(matches!(error, Error::NoFile { .. }), "{error:?}");
            continue;
        }
        let link = attach::attach_with(&watch.program, &target, &options).unwrap();
        let inside = format!("uprobe:/proc/{}/root/program:rawbpf_test_add", caller.id());
        assert_eq!(link.target().to_string(), inside);
        watch.take(caller.id());
        caller.call();
        assert_eq!(watch.take(caller.id()), (3, 6));
        detached(link, || {
            caller.call();
            watch.take(caller.id()) == (0, 0)
        });
    }
    watch.assert_nothing_is_left();
}

/// A thread that is not the first of its process counts as the process.
#[test]
fn one_process_is_all_of_its_threads() {
    needs!(Uprobe);
    for watch in
        [Some(Watch::new as fn(_) -> Watch), no_multi().is_none().then_some(Watch::multi as _)]
    {
        let Some(watch) = watch else { continue };
        let watch = watch(&ENTRY);
        let options = Options::new().pid(std::process::id());
        let attached = attach::attach_with(&watch.program, &this("rawbpf_test_add"), &options);
        let Ok(_link) = attached else { continue };
        let in_a_thread = || std::thread::spawn(calls).join().unwrap();
        assert_eq!(watch.during(in_a_thread), (3, 6));
    }
}

#[test]
fn a_process_that_is_not_there_is_said_so() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    // No process has so high a number (PID_MAX_LIMIT).
    let options = Options::new().pid(5_000_000);
    let error =
        attach::attach_with(&watch.program, &this("rawbpf_test_add"), &options).unwrap_err();
    let words = error.to_string();
    assert!(words.contains("5000000") || words.contains("no such process"), "{words}");
}

/// Whether this program is tied to its libraries when it starts, as those on the host are and those in the VM are not.
fn has_libc() -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains("/libc.so")
}

/// `strlen` of glibc is chosen for the machine when the process starts; it is found out which one it is.
#[test]
fn a_function_that_is_chosen_is_the_one_that_runs() {
    needs!(Uprobe);
    needs_tried!(
        "glibc",
        (!cfg!(target_env = "gnu")).then(|| "this is another C library".to_owned())
    );
    let file = if has_libc() { "c".to_owned() } else { this_file() };
    let path = user::find_file(&file, None).unwrap().canonicalize().unwrap();
    let functions = user::functions(&path).unwrap();
    let symbol = functions.iter().find(|one| one.name == "strlen");
    needs_tried!("strlen", symbol.is_none().then(|| format!("{} has no strlen", path.display())));
    let symbol = symbol.unwrap();
    let watch = Watch::of_this_thread();
    let text = black_box(c"four");
    let calls = || {
        for _ in 0..5 {
            // SAFETY: it is a string of C.
            assert_eq!(black_box(unsafe { libc::strlen(black_box(text.as_ptr())) }), 4);
        }
    };
    let sum = 5 * text.as_ptr() as u64;
    let target = Target::uprobe(&file, "strlen");
    for options in [Options::new(), Options::new().pid(std::process::id())] {
        let real = watch.sees_while_attached(calls, (5, sum), |program| {
            attach::attach_with(program, &target, &options)
        });
        let found = real.strip_prefix("uprobe:").and_then(|rest| rest.strip_suffix(":strlen"));
        assert_eq!(Path::new(found.unwrap()).canonicalize().unwrap(), path);
    }
    if symbol.indirect {
        let inside = Target::Uprobe { file, function: "strlen".into(), offset: 4, returns: false };
        let words = attach::attach(&watch.program, &inside).unwrap_err().to_string();
        assert!(words.contains("IFUNC"), "{words}");
    }
}

/// Libraries are found by name.
#[test]
fn a_library_is_found_by_its_name() {
    needs!(Uprobe);
    needs_tried!(
        "libc_so",
        (!has_libc()).then(|| "this program was built without shared libraries".to_owned())
    );
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.lines().find(|line| line.contains("/libc.so")).unwrap();
    let path = Path::new(path.split_whitespace().last().unwrap()).canonicalize().unwrap();
    for name in ["c", "libc", "libc.so.6"] {
        for pid in [None, Some(std::process::id())] {
            let found = user::find_file(name, pid).unwrap();
            assert_eq!(found.canonicalize().unwrap(), path, "{name} {pid:?}");
        }
    }
    let watch = Watch::new(&RETURN);
    let group = nix::unistd::getpgid(None).unwrap().as_raw() as u64;
    let calls = || {
        // SAFETY: it takes a number.
        assert_eq!(unsafe { libc::getpgid(0) } as u64, group);
    };
    let target: Target = "uretprobe:c:getpgid".parse().unwrap();
    watch.sees_while_attached(calls, (1, group), |p| attach::attach(p, &target));
}

#[test]
fn a_misspelled_function_gets_the_nearest() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    let error = attach::attach(&watch.program, &this("rawbpf_test_ad")).unwrap_err();
    let Error::NotInFile { what: "function", nearest, path, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(nearest[0], "rawbpf_test_add");
    assert_eq!(path, Path::new(&this_file()));
}

#[test]
fn what_is_no_place_for_a_probe_says_why() {
    needs!(Uprobe);
    let watch = Watch::new(&ENTRY);
    let folder = Folder::new();
    let words = |target: &str| {
        attach::attach(&watch.program, &target.parse().unwrap()).unwrap_err().to_string()
    };
    let text = folder.path().join("text");
    fs::write(&text, "no ELF").unwrap();
    for (target, expected) in [
        ("uprobe:rawbpf_no_such_lib:main".to_owned(), "looked for librawbpf_no_such_lib.so"),
        ("uprobe:/no/such/file:main".into(), "cannot open /no/such/file: No such file"),
        ("uprobe:/no/such/file:0x10".into(), "ENOENT"),
        (format!("uprobe:{}:main", text.display()), "no ELF file"),
        (format!("uprobe:{}:main", folder.path().display()), "not a regular file"),
        // Nothing is behind its end.
        (format!("uprobe:{}:0x7fffffffffff", this_file()), "no part of the file that is code"),
    ] {
        let words = words(&target);
        assert!(words.contains(expected), "{target}: {words}");
    }
    // The header of an ELF file is no code; for other machines it is put into the same part of the file.
    if cfg!(target_arch = "x86_64") {
        let header = words(&format!("uprobe:{}:0x10", this_file()));
        assert!(header.contains("no part of the file that is code"), "{header}");
    }
    // An offset beyond the file is refused by the kernel.
    let beyond = words(&format!("uprobe:{}:0x100000", text.display()));
    assert!(beyond.contains("EINVAL"), "{beyond}");
    watch.assert_nothing_is_left();
}

#[test]
fn a_probe_in_tracefs_goes_with_its_link() {
    needs!(Uprobe, Tracefs);
    let watch = Watch::new(&ENTRY);
    assert_eq!(probes_in_tracefs(), [""; 0]);
    let attach = |target| uprobe::attach(&watch.program, &target, ProbeMethod::Tracefs).unwrap();
    let entry = attach(this("rawbpf_test_add"));
    let back = attach(Target::uretprobe(this_file(), "rawbpf_test_add"));
    let probes = probes_in_tracefs();
    assert_eq!(probes.len(), 2, "{probes:?}");
    let owner = format!(":rawbpf/p{}_", std::process::id());
    assert!(probes.iter().all(|probe| probe.contains(&owner)), "{probes:?}");
    drop(entry);
    assert_eq!(probes_in_tracefs(), probes[1..]);
    drop(back);
    watch.assert_nothing_is_left();
    // The PMU makes none.
    let target = this("rawbpf_test_add");
    let link = uprobe::attach(&watch.program, &target, ProbeMethod::Pmu).unwrap();
    assert_eq!(probes_in_tracefs(), [""; 0]);
    drop(link);
}

#[test]
fn a_path_with_a_space_goes_one_way() {
    needs!(Uprobe, Tracefs);
    let folder = Folder::new();
    let copy = folder.path().join("a copy");
    fs::copy(this_file(), &copy).unwrap();
    let watch = Watch::new(&ENTRY);
    let target = Target::uprobe(copy.to_str().unwrap(), "rawbpf_test_add");
    drop(uprobe::attach(&watch.program, &target, ProbeMethod::Pmu).unwrap());
    let words =
        uprobe::attach(&watch.program, &target, ProbeMethod::Tracefs).unwrap_err().to_string();
    assert!(words.contains("no path with a space"), "{words}");
}

#[test]
fn a_program_of_another_type_is_refused() {
    needs!(Uprobe);
    let spec = rawbpf::ProgramSpec::new(
        "filter",
        rawbpf::ProgramType::SocketFilter,
        rawbpf::bpf! { r0 = 0; exit; },
    );
    let program = rawbpf::Loader::new().load(&spec).unwrap();
    let error = attach::attach(&program, &this("rawbpf_test_add")).unwrap_err();
    let words = error.to_string();
    assert!(words.contains("type is socket_filter, expected kprobe"), "{words}");
}
