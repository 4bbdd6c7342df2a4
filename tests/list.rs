//! `rawbpf list`: what it finds, against the kernel's own lists, and how it ends.

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

fn list(args: &[&str]) -> Output {
    Command::new(rawbpf()).arg("list").args(args).output().unwrap()
}

#[track_caller]
fn lines(args: &[&str]) -> Vec<String> {
    let output = list(args);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn tracepoints_are_those_of_tracefs() {
    needs!(Tracefs);
    let text = fs::read_to_string("/sys/kernel/tracing/available_events").unwrap();
    let of_sched = text.lines().filter_map(|line| line.strip_prefix("sched:"));
    let expected: BTreeSet<_> = of_sched.map(|name| format!("tracepoint:sched/{name}")).collect();
    assert!(expected.len() > 10);
    for pattern in ["tracepoint:sched:*", "tracepoint:sched/*", "tp:sched:*"] {
        assert_eq!(lines(&[pattern]), expected.iter().cloned().collect::<Vec<_>>(), "{pattern}");
    }
    assert_eq!(lines(&["tracepoint"]).len(), text.lines().collect::<BTreeSet<_>>().len());
}

#[test]
fn a_tracepoints_fields_are_those_of_its_format() {
    needs!(Tracefs);
    let shown = lines(&["-v", "tracepoint:sched:sched_process_fork"]);
    assert_eq!(shown[0], "tracepoint:sched/sched_process_fork");
    let format = "/sys/kernel/tracing/events/sched/sched_process_fork/format";
    let text = fs::read_to_string(format).unwrap();
    let fields: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("field:"))
        .filter(|line| !line.contains(" common_"))
        .collect();
    assert_eq!(shown.len(), 1 + fields.len());
    for (field, shown) in fields.iter().zip(&shown[1..]) {
        let part = |name: &str| {
            let part = field.split(';').find_map(|part| part.trim().strip_prefix(name));
            part.unwrap().to_owned()
        };
        let declared = field.split(';').next().unwrap();
        assert_eq!(shown.split("  ").find(|text| !text.is_empty()), Some(declared));
        let place = format!("offset {}, size {}", part("offset:"), part("size:"));
        assert!(shown.ends_with(&place), "{shown}");
    }
}

#[test]
fn arguments_are_those_of_the_kernels_types() {
    needs!(Btf, Lsm);
    for (target, argument) in [
        ("tp_btf:sched_process_fork", "    struct task_struct *parent"),
        ("raw_tracepoint:task_rename", "    const char *comm"),
        ("fentry:vfs_read", "    struct file *file"),
        ("lsm:file_open", "    struct file *file"),
        ("iter:task", "    struct task_struct *task"),
    ] {
        let shown = lines(&["--verbose", target]);
        assert_eq!(shown[0], target);
        assert!(shown.iter().any(|line| line == argument), "{shown:?}");
    }
}

#[test]
fn json_is_one_object_a_line() {
    needs!(Tracefs);
    let shown = lines(&["--format", "json", "-v", "tracepoint:sched:sched_process_fork"]);
    let [line] = &shown[..] else { panic!("{shown:?}") };
    let object: Value = serde_json::from_str(line).unwrap();
    assert_eq!(object["target"], "tracepoint:sched/sched_process_fork");
    assert_eq!((&object["kind"], &object["module"]), (&"tracepoint".into(), &Value::Null));
    let arguments = object["arguments"].as_array().unwrap();
    let child = arguments.iter().find(|one| one["name"] == "child_pid").unwrap();
    assert_eq!((&child["declaration"], &child["size"]), (&"pid_t child_pid".into(), &4.into()));

    let shown = lines(&["--format", "json", "tracepoint:sched:sched_process_fork"]);
    let object: Value = serde_json::from_str(&shown[0]).unwrap();
    assert_eq!(object.get("arguments"), None);
}

#[test]
fn kernel_functions_are_those_that_can_be_traced() {
    needs!(Kprobe, Tracefs);
    let text = fs::read_to_string("/sys/kernel/tracing/available_filter_functions").unwrap();
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    for kind in ["kprobe", "kretprobe", "ksession"] {
        let expected: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with("vfs_"))
            .map(|name| format!("{kind}:{name}"))
            .collect();
        assert!(expected.len() > 10);
        assert_eq!(lines(&[&format!("{kind}:vfs_*")]), expected);
    }
    // A return has no arguments, but a result.
    needs!(Btf);
    let shown = lines(&["-v", "kretprobe:vfs_read"]);
    assert_eq!(shown, ["kretprobe:vfs_read", "    ssize_t ret"]);
}

#[test]
fn functions_whose_result_can_be_decided() {
    needs!(Btf);
    let shown = lines(&["fmod_ret:security_file_*"]);
    assert!(shown.contains(&"fmod_ret:security_file_open".to_owned()), "{shown:?}");
}

#[test]
fn everything_is_listed_without_a_pattern() {
    needs!(Bpf, Tracefs, Btf);
    let shown = lines(&[]);
    for line in ["tracepoint:sched/sched_switch", "tp_btf:sched_switch", "software:cpu-clock"] {
        assert!(shown.iter().any(|one| one == line), "{line}");
    }
    // And a word is looked for in all names.
    let shown = lines(&["sched_switch"]);
    for line in ["tracepoint:sched/sched_switch", "raw_tracepoint:sched_switch"] {
        assert!(shown.iter().any(|one| one == line), "{line}: {shown:?}");
    }
}

#[test]
fn nothing_that_matches_is_a_failure() {
    needs!(Tracefs);
    let output = list(&["tracepoint:no:such*"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(said(&output).contains("nothing here matches `tracepoint:no:such*`"));
}

#[test]
fn a_kind_that_is_not_there_is_a_wrong_command_line() {
    let output = list(&["kprob:x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("nearest: kprobe"), "{}", said(&output));
}

#[test]
fn a_kernel_without_kprobes_says_so() {
    needs!(NoKprobe);
    let output = list(&["kprobe:vfs_*"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("CONFIG_KPROBE"));
}

/// Tracefs is root's, and the message says what to do.
#[test]
fn who_may_not_look_is_told() {
    needs!(Root, Tracefs);
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata("/sys/kernel/tracing/").unwrap().permissions().mode();
    let open = (mode & 0o007 != 0).then(|| format!("tracefs is open to all: {mode:o}"));
    needs_tried!("closed_tracefs", open);
    let folder = Folder::new();
    let copy = folder.path().join("rawbpf");
    fs::copy(rawbpf(), &copy).unwrap();
    let mut command = Command::new(copy);
    let output = command.args(["list", "tracepoint:sched:*"]).uid(65534).gid(65534).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("root"), "{}", said(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    needs!(Tracefs);
    let mut command = Command::new(rawbpf());
    command.args(["list", "tracepoint"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
}
