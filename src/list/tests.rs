use super::*;
use crate::requires::{Thing, needs};
use proptest::prelude::*;

fn kinds(pattern: &str) -> (Vec<&'static str>, String) {
    let (found, name) = which(pattern).unwrap();
    (found.iter().map(|kind| kind.name).collect(), name)
}

#[test]
fn a_pattern_has_a_kind_and_a_name() {
    let main = kinds("").0;
    assert!(main.contains(&"kprobe") && !main.contains(&"kretprobe"));
    for (pattern, expected, name) in [
        ("kprobe:*clone*", &["kprobe"][..], "*clone*"),
        ("kprobe:", &["kprobe"], "*"),
        ("kretprobe", &["kretprobe"], "*"),
        ("tp:sched:*", &["tracepoint"], "sched:*"),
        ("raw_tp:x", &["raw_tracepoint"], "x"),
        ("f*:x", &["fentry"], "x"),
        ("*ware:cs", &["software", "hardware"], "cs"),
        ("", &main, "*"),
        ("clone", &main, "*clone*"),
        ("*_clone", &main, "*_clone"),
        ("*:x", &main, "x"),
    ] {
        assert_eq!(kinds(pattern), (expected.to_vec(), name.to_owned()), "{pattern}");
    }
}

#[test]
fn a_kind_that_is_not_there_gets_the_nearest() {
    let error = which("kprob:x").map(drop).unwrap_err().to_string();
    assert!(error.contains("`kprob`") && error.contains("nearest: kprobe"), "{error}");
    let error = which("nothing_like_it:x").map(drop).unwrap_err().to_string();
    assert!(error.contains("tracepoint"), "{error}");
}

#[test]
fn this_kernels_tracepoints_are_found() {
    needs!(Tracefs);
    let places = Places::new();
    let names = |pattern: &str| -> Vec<String> {
        let found = places.find(pattern).unwrap();
        // Kind by kind, in the order of the kinds.
        assert!(found.places.chunk_by(|a, b| a.kind == b.kind).all(|kind| kind.is_sorted()));
        found.places.iter().map(ToString::to_string).collect()
    };
    let forks = names("tracepoint:sched:sched_process_fo*");
    assert_eq!(forks, ["tracepoint:sched/sched_process_fork"]);
    assert_eq!(names("tracepoint:sched_process_fork"), forks);
    assert_eq!(names("tp:sched/sched_process_fork"), forks);
    assert!(names("tracepoint").contains(&forks[0]));
    assert!(names("sched_process_fork").contains(&forks[0]));
    assert_eq!(names("tracepoint:no_such_*"), [""; 0]);

    let place = &places.find(&forks[0]).unwrap().places[0];
    let arguments = places.arguments(place).unwrap().unwrap();
    let child = arguments.iter().find(|one| one.name == "child_pid").unwrap();
    assert_eq!((&*child.declaration, child.size), ("pid_t child_pid", Some(4)));
    assert!(arguments.iter().all(|one| !one.name.starts_with("common_")));
}

#[test]
fn what_has_types_is_found_by_them() {
    needs!(Btf, Lsm);
    let places = Places::new();
    for (pattern, argument) in [
        ("tp_btf:task_rename", "struct task_struct *task"),
        ("raw_tracepoint:task_rename", "const char *comm"),
        ("fentry:vfs_read", "struct file *file"),
        ("fexit:vfs_read", "ssize_t ret"),
        ("lsm:file_open", "struct file *file"),
        ("iter:task", "struct task_struct *task"),
    ] {
        let found = places.find(pattern).unwrap().places;
        let [place] = &found[..] else { panic!("{pattern}: {found:?}") };
        assert_eq!(place.to_string(), pattern);
        let arguments = places.arguments(place).unwrap().unwrap();
        assert!(arguments.iter().any(|one| one.declaration == argument), "{arguments:?}");
    }
    // Functions that only begin like a hook or an iterator.
    for pattern in ["lsm:verify_prog", "iter:num_new", "iter:run_prog"] {
        assert_eq!(places.find(pattern).unwrap().places, [], "{pattern}");
    }
}

#[test]
fn perf_events_are_found_by_name() {
    needs!(Bpf);
    let found = Places::new().find("software:c*-*").unwrap().places;
    let names: Vec<_> = found.iter().map(|place| place.name.as_str()).collect();
    for name in ["context-switches", "cpu-clock", "cpu-migrations"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

/// Of many kinds what one lacks does not matter.
#[test]
fn a_kind_that_cannot_be_looked_into_is_an_error_or_left_out() {
    needs!(NoKprobe);
    let places = Places::new();
    assert!(matches!(places.find("kprobe:*"), Err(Error::Unsupported { .. })));
    let found = places.find("sched_switch").unwrap();
    assert_eq!(found.left_out[0].0, "kprobe");
    assert!(!found.places.is_empty());
}

proptest! {
    #[test]
    fn any_text_is_a_pattern(pattern in "\\PC{0,12}(:\\PC{0,12})?") {
        let _ = which(&pattern);
    }
}
