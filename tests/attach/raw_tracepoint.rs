//! Tracepoints with their arguments as they are, and with types.

use super::{COUNT, Counter, counting, has_cookie, rename};
use crate::STATE;
use crate::common::requires::{Thing, needs};
use rawbpf::attach::{Options, Target};
use rawbpf::{Error, ProgramSpec};

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

#[test]
fn a_raw_tracepoint_fires_while_it_is_attached() {
    needs!(Bpf);
    for name in ["raw_tracepoint:task_rename", "raw_tp:task_rename"] {
        let target = target(name);
        Counter::new(&COUNT, &target, &Options::new()).unwrap().fires(1, rename);
    }
}

#[test]
fn a_typed_tracepoint_fires_while_it_is_attached() {
    needs!(Bpf, Btf);
    let target = target("tp_btf:task_rename");
    Counter::new(&COUNT, &target, &Options::new()).unwrap().fires(1, rename);
}

/// Its argument is a pointer that can be followed: the task that is renamed.
static TASK: ProgramSpec = counting!(
    "task",
    r1 = *(u64 *)(r1 + 0);
    r0 = *(u32 *)(r1 + task_struct.tgid);
);

#[test]
fn arguments_have_types() {
    needs!(Bpf, Btf);
    let target = target("tp_btf:task_rename");
    let counter = Counter::new(&TASK, &target, &Options::new()).unwrap();
    rename();
    assert_eq!(counter.kept(), u64::from(std::process::id()));
}

#[test]
fn a_program_has_the_cookie_of_its_raw_tracepoint() {
    needs!(Bpf, Btf);
    has_cookie("raw_tracepoint:task_rename", (6, 10), rename);
    has_cookie("tp_btf:task_rename", (6, 10), rename);
}

#[test]
fn a_misspelled_tracepoint_gets_the_nearest() {
    needs!(Bpf, Btf);
    for name in ["raw_tracepoint:task_renam", "tp_btf:task_renam"] {
        let target = target(name);
        let error = Counter::new(&COUNT, &target, &Options::new()).err().unwrap();
        let words = error.to_string();
        assert!(words.contains("nearest: ") && words.contains("task_rename"), "{words}");
    }
}

#[test]
fn a_raw_tracepoint_is_said_not_to_be_there() {
    needs!(Bpf);
    let target = target("raw_tracepoint:nothing_of_that_kind");
    match Counter::new(&COUNT, &target, &Options::new()) {
        Err(Error::NotFound { what: "raw tracepoint", nearest, .. }) => {
            assert_eq!(nearest, [""; 0]);
        }
        other => panic!("{:?}", other.err()),
    }
}
