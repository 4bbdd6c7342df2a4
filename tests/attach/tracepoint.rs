//! Tracepoints, by their files in tracefs.

use super::{CALLS, COUNT, Counter, STATE, State, Watch, ask_group};
use crate::common;
use crate::common::requires::{Thing, needs};
use nix::unistd::{getpgid, gettid};
use rawbpf::attach::{self, Options, Target};
use rawbpf::map::Array;
use rawbpf::progs::perf_output::PERF_OUTPUT;
use rawbpf::{Errno, Error, Loader, ProgramSpec, ProgramType};

#[test]
fn a_tracepoint_fires_while_it_is_attached() {
    needs!(Tracepoint);
    let mut watch = Watch::new(ProgramType::Tracepoint);
    for name in ["sys_enter_getpgid", "sys_exit_getpgid"] {
        let target = Target::tracepoint("syscalls", name);
        let real = watch.fires_while_attached(|program| attach::attach(program, &target));
        assert_eq!(real, target);
    }
}

#[test]
fn a_link_keeps_the_program() {
    needs!(Tracepoint);
    let mut watch = Watch::new(ProgramType::Tracepoint);
    let target = Target::tracepoint("syscalls", "sys_enter_getpgid");
    let program = Loader::new().load(&PERF_OUTPUT.with_kind(ProgramType::Tracepoint)).unwrap();
    let link = attach::attach(&watch.program, &target).unwrap();
    drop(std::mem::replace(&mut watch.program, program));
    assert_eq!(watch.runs(), CALLS);
    drop(link);
    assert_eq!(watch.runs(), 0);
}

/// A loader keeps what the code of a spec names, and nothing else of it: targets and names last for the load alone.
#[test]
fn the_loader_outlives_targets_and_names() {
    needs!(Tracepoint);
    let _alone = common::alone();
    let mut loader = Loader::new();
    let mut attached = Vec::new();
    for edge in ["enter", "exit"] {
        let target = Target::tracepoint("syscalls", format!("sys_{edge}_getpgid"));
        let name = format!("count_{edge}");
        let program = loader.load(&target.spec(&ProgramSpec { name: &name, ..COUNT })).unwrap();
        assert_eq!(program.name(), name);
        let link = attach::attach(&program, &target).unwrap();
        attached.push((program, link));
    }
    let state: Array<State> = loader.view(&STATE).unwrap();
    state.update(0, &[gettid().as_raw() as u64, 0, 0]).unwrap();
    for _ in 0..CALLS {
        getpgid(None).unwrap();
    }
    assert_eq!(state.lookup(0).unwrap()[1], 2 * CALLS as u64);
}

#[test]
fn what_does_not_fit_is_refused() {
    needs!(Tracepoint);
    let watch = Watch::new(ProgramType::Tracepoint);
    let target = Target::tracepoint("syscalls", "sys_enter_getpgid");
    let _first = attach::attach(&watch.program, &target).unwrap();
    let error = attach::attach(&watch.program, &target).unwrap_err();
    assert!(matches!(error, Error::Attach { errno: Errno(libc::EEXIST), .. }), "{error:?}");
    assert!(error.to_string().contains("attached there already"), "{error}");

    // A program of another type.
    let kprobe = Loader::new().load(&PERF_OUTPUT.with_kind(ProgramType::Kprobe)).unwrap();
    let error = attach::attach(&kprobe, &target).unwrap_err();
    assert!(matches!(error, Error::Place { .. }), "{error:?}");
    assert!(error.to_string().contains("type is kprobe, expected tracepoint"), "{error}");

    for (target, nearest) in [
        (Target::tracepoint("syscalls", "sys_enter_getpgi"), "syscalls/sys_enter_getpgid"),
        (Target::tracepoint("syscall", "sys_enter_getpgid"), "syscalls"),
    ] {
        match attach::attach(&watch.program, &target) {
            Err(Error::NotFound { nearest: names, .. }) => {
                assert!(names.iter().any(|name| name == nearest), "{names:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    // No way out of the folder of tracepoints.
    let outside = Target::tracepoint("syscalls/..", "syscalls/sys_enter_getpgid");
    assert!(matches!(attach::attach(&watch.program, &outside), Err(Error::NotFound { .. })));
}

#[test]
fn a_pattern_is_all_that_match() {
    needs!(Tracepoint);
    let target: Target = "tracepoint:syscalls/sys_*_getpgid".parse().unwrap();
    let counter = Counter::new(&super::COUNT, &target, &Options::new()).unwrap();
    assert_eq!(counter.link().places(), 2);
    counter.fires(2, ask_group);

    let none: Target = "tracepoint:sched/no_*_such".parse().unwrap();
    match Counter::new(&super::COUNT, &none, &Options::new()) {
        Err(Error::NotFound { name, .. }) => assert_eq!(name, "sched/no_*_such"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_program_has_the_cookie_of_its_tracepoint() {
    needs!(Tracepoint);
    super::has_cookie("tracepoint:syscalls/sys_enter_getpgid", (5, 15), ask_group);
}
