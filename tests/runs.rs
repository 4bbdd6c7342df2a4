//! Runs with a command or of one process, in unusual situations: how they start, end, and what they report.
#![allow(unsafe_code, reason = "what a process inherits is set between fork and exec")]

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said, wait_until};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The time limit of a run that has nothing to wait for. Emulated machines are slow.
const LIMIT: Duration = Duration::from_secs(240);

/// The command line, to be run. Where the test program finds its libraries, a traced command would look, too.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(rawbpf());
    command.args(words).env_remove("LD_LIBRARY_PATH").stdin(Stdio::null());
    command
}

/// Runs it; a run that does not end is killed, and fails the test.
#[track_caller]
fn ended(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("it does not end: {}", said(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn run(words: &[&str]) -> Output {
    ended(&mut command(words))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Has a process begin with `SIGCHLD` ignored, as those of some daemons and languages do.
fn ignoring_children(command: &mut Command) -> &mut Command {
    ignoring(command, libc::SIGCHLD)
}

/// Has a process begin with a signal ignored.
fn ignoring(command: &mut Command, signal: i32) -> &mut Command {
    let ignore = move || {
        // SAFETY: sets no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: a system call alone.
    unsafe { command.pre_exec(ignore) }
}

/// Has a process begin without `CAP_SYS_PTRACE`.
fn without_ptrace(command: &mut Command) -> &mut Command {
    const CAP_SYS_PTRACE: libc::c_ulong = 19;
    let drop = || {
        // SAFETY: takes integers.
        match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: a system call alone.
    unsafe { command.pre_exec(drop) }
}

/// A file that can be executed.
fn executable(folder: &Folder, name: &str, contents: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// All system calls of the command of `-c`, and the return from them, with the name of the process.
const CALLS: &str = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @enter[comm] = count(); }
    tracepoint:raw_syscalls:sys_exit /pid == cpid/ { @exit[comm] = count(); }";

/// The names in what [`CALLS`] prints.
fn names(output: &Output) -> Vec<String> {
    let text = text(&output.stdout);
    let names = text.lines().filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_hang_up_that_is_ignored_ends_nothing() {
    needs!(Bpf, Tracepoint);
    let text = "BEGIN { printf(\"on\\n\"); } interval:ms:400 { printf(\"still\\n\"); exit(); }";
    // As `nohup` does it, which busybox may not have.
    let mut command = Command::new("sh");
    let command = command.args(["-c", "trap '' HUP; exec \"$0\" bt -q -B line -e \"$1\""]);
    let command = command.arg(rawbpf()).arg(text);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "on\n");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    assert_eq!((&*line, child.wait().unwrap().code()), ("still\n", Some(0)));
}

#[test]
fn a_command_is_traced_from_its_first_instruction_on() {
    needs!(Bpf, Tracepoint);
    let calls = r#"tracepoint:raw_syscalls:sys_enter /pid == cpid && @n < 1/ { @n++; printf("%s\n", comm); }
        tracepoint:raw_syscalls:sys_exit /pid == cpid && @n < 1/ { @n++; printf("exit %s\n", comm); }"#;
    // The race was lost in one of five.
    for _ in 0..20 {
        let output = run(&["bt", "-q", "-e", calls, "-c", "true"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        // Neither the end of an execve nor anything of this program's child comes before.
        assert!(text(&output.stdout).starts_with("true\n"), "{}", said(&output));
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn trace_shows_nothing_of_its_own_child() {
    needs!(Bpf, Tracepoint);
    let folder = Folder::new();
    let program = folder.path().join("calls.s");
    // What is counted by the name of the process: in a hash table, which is shown at the end.
    fs::write(
        &program,
        ".map names, hash, key=16, value=8, max=4096\n\
         .program calls, tracepoint/raw_syscalls/sys_enter\n\
         *(u64 *)(r10 - 24) = 0\n*(u64 *)(r10 - 16) = 0\n\
         r1 = r10\nr1 += -24\nr2 = 16\ncall get_current_comm\n\
         call get_current_pid_tgid\nr0 >>= 32\n*(u64 *)(r10 - 8) = r0\n\
         r1 = names ll\nr2 = r10\nr2 += -24\nr3 = r10\nr3 += -8\nr4 = 0\ncall map_update_elem\n\
         r0 = 0\nexit\n",
    )
    .unwrap();
    let output = run(&["trace", program.to_str().unwrap(), "--", "sh", "-c", "echo pid $$"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = text(&output.stdout);
    let pid = text.lines().find_map(|line| line.strip_prefix("pid ")).unwrap();
    // The map, `PID "NAME"`: under each name the last process that had it.
    let names = text.lines().filter_map(|line| line.trim().split_once(' '));
    let names: Vec<_> = names.filter(|(value, _)| *value == pid).map(|(_, name)| name).collect();
    assert_eq!(names, ["\"sh\""], "{text}");
}

#[test]
fn a_run_ends_and_has_the_status_of_its_command_where_children_are_ignored() {
    needs!(Bpf, Tracepoint);
    // The command inherits what this program did.
    let ways: [(i32, &[&str]); 4] = [
        (5, &["run", "hello", "--", "sh", "-c", "exit 5"]),
        (6, &["bt", "-q", "-e", "BEGIN { }", "-c", "sh -c 'exit 6'"]),
        (0, &["run", "hello", "--", "grep", "SigIgn", "/proc/self/status"]),
        (0, &["bt", "-q", "-e", "BEGIN { }", "-c", "grep SigIgn /proc/self/status"]),
    ];
    for (status, words) in ways {
        let output = ended(ignoring_children(&mut command(words)));
        assert_eq!(output.status.code(), Some(status), "{words:?} {}", said(&output));
        if status != 0 {
            continue;
        }
        let out = text(&output.stdout);
        let ignored = out.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_ne!(ignored & 1 << (libc::SIGCHLD - 1), 0, "{}", said(&output));
        assert_eq!(ignored & 1 << (libc::SIGPIPE - 1), 0, "{}", said(&output));
        // As for `trap '' PIPE` in a shell; this program's own output is as before.
        let output = ended(ignoring(&mut command(words), libc::SIGPIPE));
        let out = text(&output.stdout);
        let ignored = out.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_ne!(ignored & 1 << (libc::SIGPIPE - 1), 0, "{}", said(&output));
    }
    let system = r#"BEGIN { system("exit 3"); system("echo done"); exit(); }"#;
    let output = ended(ignoring_children(&mut command(&["bt", "-q", "--unsafe", "-e", system])));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("done\n\n\n".into(), "".into()));
}

#[test]
fn a_command_that_cannot_be_run_is_told_before_anything_is_attached() {
    needs!(Bpf, Tracepoint);
    let folder = Folder::new();
    let plain = folder.path().join("plain");
    fs::write(&plain, "echo never\n").unwrap();
    let script = executable(&folder, "script", "echo script $1; exit 3\n");
    let broken = executable(&folder, "broken", "#!/nosuch/interpreter\n");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let cases = [
        (vec!["rawbpf-nosuch".to_owned()], 127, "No such file or directory (ENOENT)"),
        (vec!["/nosuch/program".to_owned()], 127, "No such file or directory (ENOENT)"),
        (vec![path(&broken)], 127, "No such file or directory (ENOENT)"),
        (vec![path(&plain)], 126, "Permission denied (EACCES)"),
        (vec![path(folder.path())], 126, "Permission denied (EACCES)"),
        // As execvp(3) has it: the shell runs it.
        (vec![path(&script), "one".to_owned()], 3, ""),
    ];
    for (words, status, problem) in cases {
        let mut hello = vec!["run", "hello", "--"];
        hello.extend(words.iter().map(String::as_str));
        let line = words.join(" ");
        for (words, prefix) in [
            (hello, "rawbpf: "),
            (vec!["bt", "-q", "-e", r#"BEGIN { printf("began\n"); }"#, "-c", &line], "ERROR: "),
        ] {
            let output = run(&words);
            assert_eq!(output.status.code(), Some(status), "{words:?} {}", said(&output));
            let (out, errors) = (text(&output.stdout), text(&output.stderr));
            if problem.is_empty() {
                assert!(out.contains("script one\n"), "{}", said(&output));
            } else {
                assert!(!out.contains("began"), "{}", said(&output));
                let name = line.as_str();
                let told = format!("{prefix}cannot run `{name}`: {problem}\n");
                assert!(errors.ends_with(&told), "{errors}");
            }
        }
    }
}

/// Without `CAP_SYS_PTRACE`, tracing a process takes from it the privileges that its file would give it.
#[test]
fn a_command_keeps_the_rights_of_its_file() {
    needs!(Bpf, Tracepoint, Root);
    const NOBODY: u32 = 65534;
    let folder = Folder::new();
    let program = folder.path().join("id");
    let id = ["/usr/bin/id", "/bin/id"].into_iter().find(|path| Path::new(path).exists());
    needs_tried!("id", id.is_none().then(|| "id(1)".to_owned()));
    fs::copy(id.unwrap(), &program).unwrap();
    chown(&program, Some(NOBODY), None).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let line = format!("{} -u", program.display());
    let alone = Command::new(&program).arg("-u").output().unwrap();
    let ineffective = text(&alone.stdout) != format!("{NOBODY}\n");
    needs_tried!("set-user-id", ineffective.then(|| "file systems without nosuid".to_owned()));
    let words = ["bt", "-q", "-e", "BEGIN { }", "-c", &line];
    let output = run(&words);
    assert_eq!(text(&output.stdout), format!("{NOBODY}\n\n\n"), "{}", said(&output));
    assert_eq!(text(&output.stderr), "");
    let output = ended(without_ptrace(&mut command(&words)));
    assert_eq!(text(&output.stdout), format!("{NOBODY}\n\n\n"), "{}", said(&output));
    assert!(text(&output.stderr).contains("its execve is among the events"), "{}", said(&output));
}

#[test]
fn without_a_trace_a_command_waits_at_a_pipe() {
    needs!(Bpf, Tracepoint, Root);
    let folder = Folder::new();
    let script = executable(&folder, "script", "#!/bin/sh\nexit 4\n");
    let script = script.to_str().unwrap();
    let words = ["bt", "-q", "-e", CALLS, "-c", script];
    let output = ended(without_ptrace(&mut command(&words)));
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    // One call of this program's: the execve. (It has another name afterwards.)
    let out = text(&output.stdout);
    assert!(out.contains("@enter[rawbpf]: 1\n"), "{}", said(&output));
    assert!(out.contains("@exit[rawbpf]: 1\n"), "{}", said(&output));
    // A program can be traced without the capability.
    let words = ["bt", "-q", "-e", CALLS, "-c", "sh -c 'exit 4'"];
    let output = ended(without_ptrace(&mut command(&words)));
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert_eq!(names(&output), ["sh"], "{}", said(&output));
    // What cannot be run is told all the same.
    let broken = executable(&folder, "broken", "#!/nosuch/interpreter\n");
    let words = ["run", "hello", "--", broken.to_str().unwrap()];
    let output = ended(without_ptrace(&mut command(&words)));
    assert_eq!(output.status.code(), Some(127), "{}", said(&output));
    assert!(
        text(&output.stderr).contains("No such file or directory (ENOENT)"),
        "{}",
        said(&output)
    );
}

/// Does it in a thread of its own, in a mount namespace of its own, which the processes it starts share.
fn in_mount_namespace(body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        body();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_command_can_be_run_where_there_is_no_proc() {
    needs!(Bpf, Tracepoint, Root);
    let output = |words: &'static [&'static str]| {
        let (send, receive) = std::sync::mpsc::channel();
        in_mount_namespace(move || {
            umount2("/proc", MntFlags::MNT_DETACH).unwrap();
            send.send(run(words)).unwrap();
        });
        receive.recv().unwrap()
    };
    let done = output(&[
        "run",
        "hello",
        "--attach",
        "tracepoint:syscalls/sys_enter_getppid",
        "--",
        "sh",
        "-c",
        "exit 6",
    ]);
    assert_eq!(done.status.code(), Some(6), "{}", said(&done));
    let words = &[
        "bt",
        "--unsafe",
        "-q",
        "-e",
        r#"BEGIN { system("echo shell"); }"#,
        "-c",
        "sh -c 'exit 7'",
    ];
    let done = output(words);
    assert_eq!(done.status.code(), Some(7), "{}", said(&done));
    assert!(text(&done.stdout).contains("shell\n"), "{}", said(&done));
}

/// A list of CPUs that is not the kernel's is refused: the number of bytes that the kernel writes into a buffer follows
/// from the number of CPUs.
#[test]
fn what_is_mounted_over_the_list_of_cpus_is_refused_at_once() {
    needs!(Bpf, Root);
    const POSSIBLE: &str = "/sys/devices/system/cpu/possible";
    let folder = Folder::new();
    let (list, fifo) = (folder.path().join("list"), folder.path().join("fifo"));
    fs::write(&list, "0\n").unwrap();
    mkfifo(&fifo, Mode::S_IRUSR).unwrap();
    for (path, problem) in [(list, "not sysfs"), (fifo, "not a regular file")] {
        in_mount_namespace(move || {
            mount(Some(&path), POSSIBLE, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            let output = run(&["bt", "-e", "BEGIN { @ = count(); exit(); }"]);
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            let errors = text(&output.stderr);
            assert!(errors.contains(POSSIBLE) && errors.contains(problem), "{errors}");
        });
    }
}

#[test]
fn a_run_of_one_process_ends_with_it() {
    needs!(Bpf, Uprobe);
    let folder = Folder::new();
    let program = folder.path().join("nothing.s");
    fs::write(&program, ".program nothing, kprobe\nr0 = 0\nexit\n").unwrap();
    let program = program.to_str().unwrap();
    let probe = format!("uprobe:{}:main", rawbpf().display());
    // It ends when it is told, and so after both are attached.
    let mut process =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pid = process.id().to_string();
    // The process maps no such file, of which both warn when they are attached.
    let unmapped = format!("process {pid} does not map {}", rawbpf().display());
    let script = format!("{probe} {{ @ = count(); }}");
    let ways: [&[&str]; 2] =
        [&["bt", "-p", &pid, "-e", &script], &["trace", "--pid", &pid, &probe, program]];
    let mut runs = ways.map(|words| {
        let mut command = command(words);
        let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(run.stderr.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        while !line.contains(&unmapped) {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "{words:?}: {said}");
            said += &line;
        }
        (run, errors)
    });
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    for (run, errors) in &mut runs {
        let mut rest = String::new();
        errors.read_to_string(&mut rest).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(0), "{rest}");
    }
    // One that maps it gets no warning.
    let own = std::process::id().to_string();
    let this = std::env::current_exe().unwrap();
    let probe = format!("uprobe:{}:main", this.display());
    let output = run(&["trace", "--pid", &own, "--duration", "0.1", &probe, program]);
    assert!(!text(&output.stderr).contains("does not map"), "{}", said(&output));
    // No process has such a number.
    for number in ["99999999", "4294967295", "0"] {
        let output = run(&["trace", "--pid", number, &probe, program]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(text(&output.stderr), format!("rawbpf: --pid {number}: no such process\n"));
    }
}

#[test]
fn a_trace_buffer_that_is_switched_off_is_told() {
    needs!(Tracepoint);
    let words = ["run", "hello", "--attach", "tracepoint:syscalls/sys_enter_getppid"];
    let mut run = command(&words);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its own: nobody else is disturbed.
    let instances = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    let switches = instances
        .map(|place| PathBuf::from(format!("{place}/instances/rawbpf-{}-0/tracing_on", run.id())));
    wait_until("it has a trace buffer", || switches.iter().any(|switch| switch.exists()));
    for switch in switches.iter().filter(|switch| switch.exists()) {
        fs::write(switch, "0").unwrap();
    }
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(text(&output.stderr).contains("tracing_on is 0"), "{}", said(&output));
}

#[test]
fn exit_ends_a_run_though_its_record_finds_no_room() {
    needs!(Bpf);
    // A ring of one page, which is full when exit() comes, and nobody reads before BEGIN has ended.
    let script = r#"config = { perf_rb_pages = 1 }
        BEGIN { unroll (100) { printf("%s\n", "0123456789012345678901234567890123456789012345678901234567890123456789"); }
            unroll (20) { printf("\n"); } exit(7); }"#;
    let output = run(&["bt", "-q", "-e", script]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let printed = text(&output.stdout).lines().filter(|line| line.starts_with("0123")).count();
    assert!(printed > 0 && printed < 100, "{}", said(&output));
    assert!(text(&output.stderr).contains("Lost "), "{}", said(&output));
}
