//! Scripts after bpftrace's manual. Expected texts are what bpftrace 0.27.1 printed for them.

use crate::common::requires::{Thing, needs};
use crate::common::{Folder, said};
use crate::{Running, bt, out, text};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

/// The standard output of `-l` with these words.
fn listed(words: &[&str]) -> String {
    let output = bt(words);
    assert!(output.status.success(), "{words:?}\n{}", said(&output));
    text(&output.stdout).to_owned()
}

#[test]
fn a_script_without_other_probes_ends_after_begin() {
    needs!(Bpf);
    assert_eq!(
        out("BEGIN { print(\"x\"); @x = 5; } END { print(\"end\"); }"),
        "x\nend\n\n\n@x: 5\n"
    );
    let status = |script| bt(&["-q", "-e", script]).status.code();
    assert_eq!(status("BEGIN { }"), Some(0));
    assert_eq!(status("BEGIN { exit(3); }"), Some(3));
    // A command is waited for, so that what it prints is not cut off.
    let output = bt(&["-q", "-e", "BEGIN { print(1); }", "-c", "sh -c 'sleep 0.2; echo end'"]);
    assert!(text(&output.stdout).contains("end\n"), "{}", said(&output));
}

#[test]
fn numbers_are_described() {
    needs!(Bpf);
    let script = "BEGIN { $x = (int64)13; print(strerror($x)); printf(\"%20s|\\n\", strerror(-$x)); $s = 9; print(signal_name($s)); @e[strerror($x)] = 1; }";
    let expected =
        "Permission denied\n   Permission denied|\nKilled\n\n\n@e[Permission denied]: 1\n";
    assert_eq!(out(script), expected);
}

#[test]
fn choices_are_expressions() {
    needs!(Bpf);
    let script = "BEGIN { $x = 5; print($x ?: 3); $x = 0; print($x ?: 3); print(($x ?: 0) ?: 7); \
                  $b = if ($x > 5) { $d = 3; $d + 1 } else if ($x == 0) { 2 } else { 1 }; print($b); }";
    assert_eq!(out(script), "5\n3\n7\n2\n\n\n");
}

#[test]
fn tasks_have_relatives() {
    needs!(Bpf, Btf);
    let script = "BEGIN { print(leader_comm == comm); print(leader_tid == pid); print(ppid(curtask) == ppid); \
                  print(ppid() == ppid); print(pcomm(curtask) == pcomm); print(is_err(curtask)); \
                  print(container_of(&curtask->pid, struct task_struct, pid) == curtask); }";
    assert_eq!(out(script), "true\ntrue\ntrue\ntrue\ntrue\nfalse\ntrue\n\n\n");
}

#[test]
fn percent_signs_without_a_conversion_are_printed() {
    needs!(Bpf);
    assert_eq!(out("BEGIN { printf(\"100%\\n\"); printf(\"%d%|\\n\", 5); }"), "100%\n5%|\n\n\n");
}

#[test]
fn raw_tracepoints_have_their_arguments_by_name() {
    needs!(Bpf, Btf);
    let script = "rawtracepoint:sched_switch { print(arg1 == (uint64)args.prev); print(args.next->pid >= 0); exit(); }";
    assert!(out(script).starts_with("true\ntrue\n"), "{script}");
}

#[test]
fn the_environment_goes_before_the_script() {
    needs!(Bpf);
    let script = "config = { max_map_keys = 5 } BEGIN { @[1] = 1; @[2] = 2; @[3] = 3; print(@[1] + @[2] + @[3]); clear(@); }";
    let mut command = Command::new(crate::rawbpf());
    let output = command
        .args(["bt", "-q", "-e", script])
        .env("BPFTRACE_MAX_MAP_KEYS", "2")
        .output()
        .unwrap();
    assert!(text(&output.stdout).starts_with("3\n"), "{}", said(&output));
}

#[test]
fn settings_of_the_environment_are_not_passed_over() {
    for (name, value, problem) in [
        ("BPFTRACE_STACK_MODE", "r\u{e9}w", "`réw`, expected bpftrace, perf or raw"),
        ("BPFTRACE_MAX_MAP_KEYS", "many", "`many`, expected a number"),
    ] {
        let run = |value: &OsStr| {
            let mut command = Command::new(crate::rawbpf());
            command.args(["bt", "-e", "BEGIN { exit(); }"]).env(name, value).output().unwrap()
        };
        let output = run(OsStr::new(value));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(text(&output.stderr), format!("ERROR: {name}: {problem}\n"));
        let output = run(OsStr::from_bytes(b"1\xff"));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let expected = format!("ERROR: {name}: `1\\xff`, expected ");
        assert!(text(&output.stderr).starts_with(&expected), "{}", said(&output));
    }
}

#[test]
fn scripts_know_whether_the_kernel_has_types() {
    needs!(Bpf, Btf);
    let script = "#ifndef BPFTRACE_HAVE_BTF\n#error none\n#endif\nBEGIN { print(1); }";
    assert_eq!(out(script), "1\n\n\n");
}

#[test]
fn options_that_a_script_does_not_have_are_refused() {
    let script = "BEGIN { print(getopt(\"top\", 1, \"how many\")); }";
    for option in ["--tpo=5", "--help"] {
        let output = bt(&["-e", script, "--", option]);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!(
            "ERROR: unknown option of the script: {}\nHINT: it has\n    --top: how many\n",
            option.trim_end_matches("=5")
        );
        assert_eq!(text(&output.stderr), expected);
    }
}

#[test]
fn a_process_and_a_command_are_too_much() {
    let output = bt(&["-p", "1", "-c", "true", "-e", "BEGIN { }"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("-p and -c"), "{}", said(&output));
}

#[test]
fn the_probes_of_a_script_are_listed() {
    needs!(Bpf, Tracepoint);
    let script = "tracepoint:syscalls:sys_enter_openat* { } BEGIN { } END { }";
    let expected = "tracepoint:syscalls:sys_enter_openat\ntracepoint:syscalls:sys_enter_openat2\n";
    assert_eq!(listed(&["-l", "-e", script]), expected);
    let folder = Folder::new();
    let file = folder.path().join("opens.bt");
    fs::write(&file, script).unwrap();
    assert_eq!(listed(&["-l", file.to_str().unwrap()]), expected);
    let with_arguments = listed(&["-lv", "-e", "t:syscalls:sys_exit_openat { }"]);
    assert!(with_arguments.contains("\n    long ret\n"), "{with_arguments}");
    let several = "tracepoint:syscalls:sys_enter_openat,tracepoint:syscalls:sys_enter_openat2";
    assert_eq!(listed(&["-l", several]), expected);
}

#[test]
fn types_of_the_kernel_are_listed() {
    needs!(Bpf, Btf);
    let expected =
        "vmlinux: struct list_head {\n\tstruct list_head *next;\n\tstruct list_head *prev;\n};\n\n";
    assert_eq!(listed(&["-lv", "struct list_head"]), expected);
    assert_eq!(listed(&["-l", "struct list_hea?"]), "struct list_head\n");
    let pids = listed(&["-lv", "enum pid_type"]);
    assert!(pids.starts_with("vmlinux: enum pid_type {\n\tPIDTYPE_PID = 0,\n"), "{pids}");
    // As the kernel declares them in kernel/bpf/task_iter.c.
    let task = listed(&["-lv", "iter:task"]);
    let fields = "iter:task\n    struct bpf_iter_meta *meta\n    struct task_struct *task\n";
    assert_eq!(task, fields);
}

/// Only the events of the process count, but timers of the script go on.
#[test]
fn the_process_of_p_limits_the_events() {
    needs!(Bpf, Tracepoint);
    let mut child = Command::new("sh")
        .args(["-c", "while :; do sleep 0.05; done"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let script = "tracepoint:raw_syscalls:sys_enter { @calls[pid] = count(); } \
                  software:context-switches:1 { @switches[pid] = count(); } \
                  interval:ms:500 { @ticks = count(); } interval:s:1 { exit(); }";
    let output = bt(&["-q", "-p", &pid, "-e", script]);
    child.kill().unwrap();
    child.wait().unwrap();
    let printed = text(&output.stdout);
    let of = |map: &str| printed.lines().filter(|line| line.starts_with(map)).count();
    assert_eq!((of("@calls["), of("@switches["), of("@ticks:")), (1, 1, 1), "{}", said(&output));
    assert!(printed.contains(&format!("@calls[{pid}]: ")), "{}", said(&output));
}

/// Up to 0.21 the signal had the maps printed, which it still does in scripts without such a probe.
#[test]
fn a_signal_runs_its_probe() {
    needs!(Bpf);
    let script = r#"self:signal:SIGUSR1 { @n++; printf("got %d\n", @n); if (@n == 2) { exit(5); } }
                    BEGIN { printf("begin\n"); } END { printf("end %d\n", @n); clear(@n); }"#;
    let mut run = Running::start(&["-q", "-e", script]);
    let mut lines = run.wait_for("begin");
    let mut line = String::new();
    run.signal(Signal::SIGUSR1);
    lines.read_line(&mut line).unwrap();
    run.signal(Signal::SIGUSR1);
    lines.read_to_string(&mut line).unwrap();
    assert_eq!(line, "got 1\ngot 2\nend 2\n\n\n");
    assert_eq!(run.0.wait().unwrap().code(), Some(5));
    let wrong = bt(&["-e", "self:signal:SIGHUP { }"]);
    assert!(text(&wrong.stderr).contains("expected SIGUSR1"), "{}", said(&wrong));
}
