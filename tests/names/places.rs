//! `args.NAME` means the arguments of the target that a program is attached to, whatever target its spec has.

use super::common::requires::{Thing, needs};
use rawbpf::asm::{ParseOptions, parse};
use rawbpf::attach::{self, Link, Options, Target};
use rawbpf::{
    Error, Loader, MapSpec, NameProblem, Program, ProgramSpec, ProgramType, Result, TextSpec, bpf,
};
use std::process::Command;

/// The file names that are seen, by their first sixteen bytes. Their places: after the number of the call, which has 8
/// bytes, each argument has 8; `execve(2)` has the name first, `openat(2)` second (man 2).
static NAMES: MapSpec = MapSpec::hash("names", 16, 4, 1024);
static SEE: ProgramSpec = ProgramSpec::new(
    "see",
    ProgramType::Tracepoint,
    bpf! {
        r3 = *(u64 *)(r1 + args.filename);
        *(u64 *)(r10 - 16) = 0;
        *(u64 *)(r10 - 8) = 0;
        *(u32 *)(r10 - 24) = 1;
        r1 = r10;
        r1 += -16;
        r2 = 16;
        call probe_read_user_str;
        r1 = NAMES ll;
        r2 = r10;
        r2 += -16;
        r3 = r10;
        r3 += -24;
        r4 = 0;
        call map_update_elem;
        r0 = 0;
        exit;
    },
)
.with_target("syscalls/sys_enter_openat");

/// Reads only what all calls have.
static NUMBER: ProgramSpec = ProgramSpec::new(
    "number",
    ProgramType::Tracepoint,
    bpf! { r0 = *(u32 *)(r1 + args.__syscall_nr); r0 = 0; exit; },
)
.with_target("syscalls/sys_enter_openat");

fn call(name: &str) -> Target {
    Target::tracepoint("syscalls", format!("sys_enter_{name}"))
}

fn sees(loader: &mut Loader<'_>, name: &[u8]) -> bool {
    let mut key = [0; 16];
    key[..name.len()].copy_from_slice(name);
    loader.map(&NAMES).unwrap().lookup(&key).unwrap().is_some()
}

fn exec() {
    assert!(Command::new("/proc/self/exe").arg("--list").output().unwrap().status.success());
}

#[track_caller]
fn layout<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error.name_problem(), Some(NameProblem::Layout { .. })), "{error}");
    error.to_string()
}

#[test]
fn arguments_are_those_of_the_place_of_the_attachment() {
    needs!(Bpf, Btf, Tracepoint);
    let target = call("execve");
    let mut loader = Loader::new();
    let (_program, _link) = attach::load_and_attach(&mut loader, &SEE, &target).unwrap();
    exec();
    assert!(sees(&mut loader, b"/proc/self/exe"));
}

#[test]
fn a_program_that_was_loaded_for_one_place_is_refused_where_arguments_are_elsewhere() {
    needs!(Bpf, Btf, Tracepoint);
    let program = Loader::new().load(&SEE).unwrap();
    let _same = attach::attach(&program, &call("openat")).unwrap();
    let message = layout(attach::attach(&program, &call("execve")));
    for word in [
        "names/places.rs",
        "args.filename",
        "syscalls/sys_enter_openat has 8 bytes at offset 24",
        "syscalls/sys_enter_execve has 8 bytes at offset 16",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
    // `getsid(2)` has no file.
    let message = layout(attach::attach(&program, &call("getsid")));
    assert!(message.contains("syscalls/sys_enter_getsid has no such argument"), "{message}");
    let direct = attach::tracepoint::attach(&program, &call("execve"), &Options::new());
    assert!(matches!(direct, Err(Error::Name { .. })));
}

#[test]
fn one_program_is_for_several_places_if_they_agree() {
    needs!(Bpf, Btf, Tracepoint);
    let program: Program = Loader::new().load(&NUMBER).unwrap();
    let several = ["openat", "getsid", "exec*"];
    let links: [Link; 3] = several.map(|name| attach::attach(&program, &call(name)).unwrap());
    assert_eq!(links.map(|link| link.places()), [1, 1, 2]);

    // `execveat(2)` has a descriptor before the name.
    let many = call("exec*");
    let mut loader = Loader::new();
    let message = layout(attach::load_and_attach(&mut loader, &SEE, &many));
    assert!(message.contains("sys_enter_execve ") && message.contains("sys_enter_execveat "));
    let (_, link) = attach::load_and_attach(&mut loader, &NUMBER, &many).unwrap();
    assert_eq!(link.places(), 2);
}

/// Loads a text that says of what type it is at most, for a target.
fn load_for(text: &str, target: &str) -> Result<Program> {
    let module = parse(text, "t.s", &ParseOptions::new()).unwrap();
    let spec = TextSpec::new(&module, &module.programs()[0], "t.s")?;
    let target: Target = target.parse()?;
    Loader::new().load(&target.spec(&spec.program(target.program_type())))
}

#[test]
fn a_target_is_enough_to_know_the_arguments() {
    needs!(Bpf, Btf, Tracefs);
    let reads = |name: &str| format!("r0 = *(u64 *)(r1 + args.{name})\nr0 = 0\nexit\n");
    for (target, argument) in [
        ("tracepoint:syscalls/sys_enter_execve", "filename"),
        ("raw_tracepoint:sched_process_exit", "p"),
        ("kprobe:do_exit", "code"),
        ("kprobe:sys_getsid", "arg1"),
        ("kretprobe:do_exit", "ret"),
        ("uprobe:c:getsid", "arg1"),
        ("uretprobe:c:getsid", "ret"),
    ] {
        load_for(&reads(argument), target).unwrap_or_else(|error| panic!("{target}: {error}"));
    }
    // When a function returns, other values are in the registers of its arguments.
    for (target, argument) in [
        ("kretprobe:do_exit", "code"),
        ("uretprobe:c:getsid", "arg1"),
        ("raw_tracepoint:sched_process_exit", "filename"),
    ] {
        let error = load_for(&reads(argument), target).unwrap_err();
        let none = matches!(error.name_problem(), Some(NameProblem::NoArgument { .. }));
        assert!(none, "{target}: {error}");
    }
    // What the text says is for when nothing else is said.
    let text = format!(".program p, kprobe/do_exit\n{}", reads("code"));
    let error = load_for(&text, "kprobe:vfs_read").unwrap_err();
    assert!(error.to_string().contains("`vfs_read` has no argument `code`"), "{error}");
}

/// The second argument of system calls that have a strange first one.
static SECOND: MapSpec = MapSpec::hash("second", 8, 4, 64);
static ARRAY: ProgramSpec = ProgramSpec::new(
    "array",
    ProgramType::Tracepoint,
    bpf! {
        r2 = *(u64 *)(r1 + args.args[0]);
        if r2 != 0x5eed123 goto out;
        r2 = *(u64 *)(r1 + args.args[1]);
        *(u64 *)(r10 - 8) = r2;
        *(u32 *)(r10 - 16) = 1;
        r1 = SECOND ll;
        r2 = r10;
        r2 += -8;
        r3 = r10;
        r3 += -16;
        r4 = 0;
        call map_update_elem;
    out:
        r0 = 0;
        exit;
    },
);

#[test]
fn elements_of_arrays_have_names() {
    needs!(Bpf, Tracefs);
    let target = Target::tracepoint("raw_syscalls", "sys_enter");
    let mut loader = Loader::new();
    let loaded = attach::load_and_attach(&mut loader, &ARRAY, &target);
    let (_program, link) = loaded.unwrap_or_else(|error| panic!("{error}"));
    // No process has so high a number (PID_MAX_LIMIT).
    let none = nix::unistd::Pid::from_raw(0x5eed123);
    let answer = nix::sys::signal::kill(none, nix::sys::signal::Signal::SIGURG);
    assert_eq!(answer, Err(nix::errno::Errno::ESRCH));
    drop(link);
    let seen = loader.map(&SECOND).unwrap();
    let signal = nix::sys::signal::Signal::SIGURG as u64;
    assert!(seen.lookup(&signal.to_ne_bytes()).unwrap().is_some());
    assert_eq!(seen.keys().count(), 1);
    // A text has them, too, and there are six.
    let read = |name: &str| format!("r2 = *(u64 *)(r1 + args.{name})\nr0 = 0\nexit\n");
    let place = "tracepoint:raw_syscalls/sys_enter";
    load_for(&read("args[5]"), place).unwrap_or_else(|error| panic!("{error}"));
    for none in ["args[6]", "args[4294967295]", "id[0]", "arg[0]"] {
        let error = load_for(&read(none), place).unwrap_err();
        assert!(error.to_string().contains("has no argument"), "{none}: {error}");
    }
    let error = load_for(&read("args[6]"), place).unwrap_err().to_string();
    assert!(error.contains("args[0]") && error.contains("args[5]"), "{error}");
}
