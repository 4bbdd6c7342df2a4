//! The command as its user sees it: what it prints and where, how it ends, what it leaves behind.

mod common;

use common::requires::{Thing, needs};
use common::{Folder, bpf_ids, rawbpf, wait_until};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rawbpf::trace_pipe::TracePipe;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Every reader gets all lines that programs print with `trace_printk`, so that two runs of hello at once show each
/// other's lines too.
static TRACE_PIPE: Mutex<()> = Mutex::new(());

fn trace_pipe() -> MutexGuard<'static, ()> {
    TRACE_PIPE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tests that look for programs left in the kernel exclude those that load some meanwhile.
static PROGRAMS: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROGRAMS.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    PROGRAMS.write().unwrap_or_else(PoisonError::into_inner)
}

/// The time limit of a run. Emulated machines are slow.
const LIMIT: Duration = Duration::from_secs(240);

/// A run of the command with its outputs in files, so that a process that outlives it delays no test. Ended when
/// dropped.
struct Run {
    child: Child,
    folder: Folder,
}

/// The end of a run: its status and output.
struct Done {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Run {
    fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(Command::new(rawbpf()).args(arguments).stdin(Stdio::null()))
    }

    fn of(command: &mut Command) -> Run {
        let folder = Folder::new();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Run { child, folder }
    }

    fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The output so far, up to the last complete line.
    fn lines(&self) -> String {
        let text = self.text("out");
        text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn done(mut self) -> Done {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > LIMIT {
                panic!("it does not end\n{}{}", self.text("out"), self.text("err"));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Done { status, stdout: self.text("out"), stderr: self.text("err") }
    }

    /// Makes processes until it has shown one: from then on it is known to be attached.
    fn attached(&mut self) {
        let start = Instant::now();
        while rows(&self.lines()).is_empty() {
            fork_some(1);
            let ended = self.child.try_wait().unwrap();
            let said = || self.text("err");
            assert!(ended.is_none(), "{ended:?} {}", said());
            assert!(start.elapsed() < LIMIT, "it shows nothing\n{}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    #[track_caller]
    fn expect(&self, status: i32) -> &Done {
        assert_eq!(self.status.code(), Some(status), "{self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    /// Its standard error has all of these words.
    #[track_caller]
    fn explains(&self, words: &[&str]) -> &Done {
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in: {self}");
        }
        self
    }

    /// The number that the command printed on its standard error.
    #[track_caller]
    fn told_pid(&self) -> u64 {
        let found = self.stderr.lines().find_map(|line| line.parse().ok());
        found.unwrap_or_else(|| panic!("no process number: {self}"))
    }

    fn rows_of(&self, pid: u64) -> Vec<Value> {
        let rows = rows(&self.stdout).into_iter();
        rows.filter(|row| row["pid"].as_u64() == Some(pid)).collect()
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |text: &str| {
            let from = text.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
            text[from..].to_owned()
        };
        write!(f, "{}\n{}--\n{}", self.status, end(&self.stdout), end(&self.stderr))
    }
}

/// The events of `--format json`: every line an object.
#[track_caller]
fn rows(stdout: &str) -> Vec<Value> {
    let objects = stdout.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    });
    objects.filter(|object| object.get("pid").is_some()).collect()
}

fn lost(stdout: &str) -> u64 {
    let lines = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["lost"].as_u64()).sum()
}

/// A shell that prints its process id, and forks this number of times: each time by one system call.
fn forks(count: u32) -> String {
    format!("echo $$ >&2; i=0; while [ $i -lt {count} ]; do (:); i=$((i+1)); done")
}

/// The same as a process of this one's; its number.
fn fork_some(count: u32) -> u64 {
    let mut shell = Command::new("sh")
        .args(["-c", &forks(count)])
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    assert!(shell.wait().unwrap().success());
    shell.id().into()
}

/// Runs a program that ships with a command, events as JSON.
fn run_with(name: &str, options: &[&str], command: &[&str]) -> Done {
    let arguments = ["run", name, "--format", "json"];
    Run::start(arguments.iter().chain(options).chain(&["--"]).chain(command)).done()
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

/// Takes tracefs, and debugfs which would bring it back, out of this thread's mount namespace.
fn unmount_tracefs() {
    loop {
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
        let place = mounts.lines().rev().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind) = (fields.next()?, fields.next()?);
            ["tracefs", "debugfs"].contains(&kind).then(|| place.to_owned())
        });
        match place {
            Some(place) => umount2(place.as_str(), MntFlags::MNT_DETACH).unwrap(),
            None => return,
        }
    }
}

fn has_kprobes() -> bool {
    Thing::Kprobe.missing().is_none()
}

/// Expects the note about tracepoints once on a kernel without kprobes, and never on another.
#[track_caller]
fn expect_told_of_tracepoints(done: &Done) {
    let told = done.stderr.lines().filter(|line| line.contains("tracepoint")).count();
    assert_eq!(told, usize::from(!has_kprobes()), "{done}");
}

#[test]
fn hello_prints_a_line_for_each_fork() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    let done = run_with("hello", &[], &["sh", "-c", &forks(3)]);
    done.expect(0);
    let rows = done.rows_of(done.told_pid());
    assert_eq!(rows.len(), 3, "{done}");
    for row in rows {
        // The tracer has names only for what it saw being scheduled, and the shell may be gone when we ask it.
        assert!(row["comm"] == "sh" || row["comm"] == "<...>", "{row}");
        assert_eq!(row["message"], "Hello, World!");
        assert!(row["time_ns"].as_u64().is_some_and(|time| time > 0), "{row}");
    }
    expect_told_of_tracepoints(&done);
}

#[test]
fn text_has_the_columns_of_bcc() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for (name, message) in [("hello", "Hello, World!"), ("perf-output", "Hello, perf_output!")] {
        let done = Run::start(["run", name, "--", "sh", "-c", &forks(3)]).done();
        done.expect(0);
        let mut lines = done.stdout.lines();
        let heading: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(heading, ["TIME(s)", "COMM", "PID", "MESSAGE"], "{done}");
        let pid = done.told_pid().to_string();
        let mut rows = 0;
        for line in lines {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[2] != pid {
                continue;
            }
            rows += 1;
            assert!(fields[0].contains('.') && fields[0].parse::<f64>().is_ok(), "{line}");
            // The tracer has names only for what it saw being scheduled, and the shell may be gone when we ask it.
            assert!(fields[1] == "sh" || (name == "hello" && fields[1] == "<...>"), "{line}");
            assert_eq!(fields[3..].join(" "), message, "{line}");
        }
        assert_eq!(rows, 3, "{done}");
    }
}

#[test]
fn perf_output_reports_every_fork_or_how_many_are_lost() {
    needs!(Tracepoint);
    const FORKS: u32 = 10_000;
    let _held = beside_others();
    let done = run_with("perf-output", &[], &["sh", "-c", &forks(FORKS)]);
    done.expect(0);
    let rows = done.rows_of(done.told_pid());
    let (shown, lost) = (rows.len() as u64, lost(&done.stdout));
    assert!(shown <= u64::from(FORKS), "{shown} shown");
    // Lost events can be of other processes too.
    assert!(shown + lost >= u64::from(FORKS), "{shown} shown, {lost} lost");
    assert!(lost == 0 || done.stderr.contains(&format!("{lost} samples were lost")), "{done}");
    for row in rows {
        assert_eq!((&row["comm"], &row["message"]), (&"sh".into(), &"Hello, perf_output!".into()));
    }
    expect_told_of_tracepoints(&done);
}

#[test]
fn the_status_is_that_of_the_command() {
    needs!(Tracepoint);
    let _held = beside_others();
    for (script, status) in [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), (":", 0)] {
        run_with("perf-output", &[], &["sh", "-c", script]).expect(status);
    }
    let done = run_with("perf-output", &[], &["/no/such/command"]);
    done.expect(127).explains(&["/no/such/command"]);
    // A file that is no program.
    run_with("perf-output", &[], &["/proc/version"]).expect(126).explains(&["/proc/version"]);
}

/// Which signals are blocked and which ignored a process passes on to what it starts.
#[test]
fn the_command_starts_with_the_signals_as_they_were() {
    needs!(Tracepoint);
    let _held = beside_others();
    let script = "grep -E '^Sig(Blk|Ign):' /proc/self/status";
    let plain = Command::new("sh").args(["-c", script]).output().unwrap();
    let plain = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert_eq!(plain.lines().count(), 2, "{plain}");
    let done = Run::start(["run", "perf-output", "--", "sh", "-c", script]).done();
    done.expect(0);
    let found: Vec<_> = done.stdout.lines().filter(|line| line.starts_with("Sig")).collect();
    assert_eq!(found, plain.lines().collect::<Vec<_>>(), "{done}");
}

#[test]
fn what_the_command_reads_and_writes_is_its_own() {
    needs!(Tracepoint);
    let _held = beside_others();
    let mut command = Command::new(rawbpf());
    command.args(["run", "perf-output", "--format", "json", "--", "sh", "-c"]);
    command.args(["read typed; echo \"read $typed\"; echo complains >&2; exit 3"]);
    let mut run = Run::of(command.stdin(Stdio::piped()));
    run.child.stdin.take().unwrap().write_all(b"this line\n").unwrap();
    let done = run.done();
    done.expect(3);
    assert!(done.stdout.lines().any(|line| line == "read this line"), "{done}");
    assert!(done.stderr.lines().any(|line| line == "complains"), "{done}");
}

fn is_there(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

const FORKS_FOR_EVER: &str = "echo $$ >&2; while :; do (:); done";

#[test]
fn count_ends_a_run_after_so_many_rows() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for name in ["hello", "perf-output"] {
        for count in [1, 5, 300] {
            let options = ["--count", &count.to_string()];
            let done = run_with(name, &options, &["sh", "-c", FORKS_FOR_EVER]);
            done.expect(0);
            assert_eq!(rows(&done.stdout).len(), count, "{name}");
            // Other processes may have filled the count before the shell came to say who it is.
            let shell = done.stderr.lines().find_map(|line| line.parse().ok());
            assert!(!shell.is_some_and(is_there), "the command goes on: {done}");
        }
    }
}

#[test]
fn duration_ends_a_run_in_time() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for name in ["hello", "perf-output"] {
        let done = run_with(name, &["--duration", "0.5"], &["sh", "-c", FORKS_FOR_EVER]);
        done.expect(0);
        assert!(!rows(&done.stdout).is_empty(), "{name}: {done}");
        assert!(!is_there(done.told_pid()), "the command goes on: {done}");
        // Where nothing happens that would wake it.
        run_with(name, &["--duration", "0.5"], &["sleep", "1000"]).expect(0);
    }
}

#[test]
fn a_signal_ends_a_run_in_order() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for (name, signal) in [
        ("perf-output", Signal::SIGINT),
        ("perf-output", Signal::SIGTERM),
        ("hello", Signal::SIGINT),
        ("hello", Signal::SIGTERM),
    ] {
        let mut run = Run::start(["run", name, "--format", "json"]);
        run.attached();
        // It finds the signal together with what was reported before, and has to read that first.
        run.signal(Signal::SIGSTOP);
        let pid = fork_some(20);
        run.signal(signal);
        run.signal(Signal::SIGCONT);
        let done = run.done();
        done.expect(0);
        // While it stood still others may have filled the ring.
        let (shown, lost) = (done.rows_of(pid).len() as u64, lost(&done.stdout));
        assert!(shown == 20 || shown < 20 && shown + lost >= 20, "{name} {signal}: {done}");
    }
}

#[test]
fn a_signal_ends_the_command_too() {
    needs!(Tracepoint);
    let _held = beside_others();
    let arguments = ["run", "perf-output", "--format", "json", "--", "sh", "-c", FORKS_FOR_EVER];
    let mut run = Run::start(arguments);
    run.attached();
    wait_until("the shell has said who it is", || run.text("err").contains('\n'));
    run.signal(Signal::SIGTERM);
    let done = run.done();
    done.expect(0);
    assert!(!is_there(done.told_pid()), "{done}");
}

#[test]
fn without_privileges_a_run_names_the_capability() {
    needs!(Bpf, Root);
    let folder = Folder::new();
    let binary = folder.path().join("rawbpf");
    // The original may be in a folder that other users cannot read. Copying keeps its mode.
    fs::copy(rawbpf(), &binary).unwrap();
    for name in ["hello", "perf-output"] {
        let mut command = Command::new(&binary);
        command.args(["run", name, "--count", "1"]).uid(65534).gid(65534).current_dir("/");
        let done = Run::of(&mut command).done();
        done.expect(4).explains(&["CAP_"]);
        assert!(rows(&done.stdout.replace("TIME", "")).is_empty());
    }
}

#[test]
fn a_wrong_function_gets_the_nearest_names() {
    needs!(Kprobe);
    let _held = beside_others();
    let attach =
        |target: &str| run_with("perf-output", &["--attach", target], &["sh", "-c", "echo ran"]);
    let done = attach("kprobe:sys_clon");
    done.expect(1).explains(&["sys_clon`", "nearest", "sys_clone"]);
    // Nothing was done by halves.
    assert!(!done.stdout.contains("ran"), "{done}");
    let done = attach("kprobe:icmp_rcvv");
    done.expect(1).explains(&["icmp_rcvv", "nearest", "icmp_rcv"]);
    let nearest = done.stderr.split("nearest").nth(1).unwrap();
    assert!(nearest.split([' ', ',', ':', '\n']).any(|name| name == "icmp_rcv"), "{done}");
    attach("kretprobe:icmp_rcvv").expect(1).explains(&["icmp_rcvv", "nearest"]);
}

#[test]
fn a_wrong_tracepoint_gets_the_nearest_names() {
    needs!(Tracepoint);
    let _held = beside_others();
    let mark = format!("never-starts-{}", std::process::id());
    let attach = |target: &str| {
        run_with("perf-output", &["--attach", target], &["sh", "-c", "echo ran", mark.as_str()])
    };
    let done = attach("tracepoint:syscalls/sys_enter_clon");
    assert!(!done.stdout.contains("ran"), "{done}");
    // The process that was to become the command has gone too.
    wait_until("no process waits to start", || processes_with(&[&mark]).is_empty());
    done.expect(1).explains(&["syscalls/sys_enter_clon`", "nearest", "syscalls/sys_enter_clone"]);
    let done = attach("tracepoint:shed/sched_switch");
    done.expect(1).explains(&["shed`", "nearest", "sched"]);
}

#[test]
fn what_is_no_target_is_a_wrong_command_line() {
    for (target, problem) in [
        ("nonsense", "unknown attach point"),
        ("kprobe:", "is not a target"),
        ("tracepoint:sched", "is not a target"),
        ("kretprobe:f+4", "is not a target"),
        ("kprobe:a b", "is not a target"),
    ] {
        let done = Run::start(["run", "perf-output", "--attach", target]).done();
        done.expect(2).explains(&[target, problem]);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn an_explicit_kprobe_is_never_replaced() {
    needs!(NoKprobe);
    let _held = beside_others();
    for target in ["kprobe:sys_clone", "kretprobe:sys_clone", "kprobe:no_such_function"] {
        let done = run_with("perf-output", &["--attach", target], &["sh", "-c", &forks(3)]);
        done.expect(3).explains(&["kprobes", "CONFIG_KPROBE"]);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("tracepoint"), "{done}");
    }
}

/// Of the shell's five forks, a run that is attached to just these targets sees so many events, but for those that it reports as
/// missed: the kernel runs no program of a tracepoint on a CPU on which another process was interrupted while it changed a map.
#[track_caller]
fn five_forks_are_seen(name: &str, targets: &[&str], expected: usize) {
    let options: Vec<_> = targets.iter().flat_map(|target| ["--attach", target]).collect();
    let done = run_with(name, &options, &["sh", "-c", &forks(5)]);
    done.expect(0);
    let missed = done.stderr.lines().filter(|line| line.contains(" were missed: "));
    let missed: usize = missed
        .map(|line| line.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap())
        .sum();
    let seen = done.rows_of(done.told_pid()).len();
    assert!(seen <= expected && seen + missed >= expected, "{name} {targets:?}: {seen}, {done}");
}

const ENTER_CLONE: &str = "tracepoint:syscalls/sys_enter_clone";

#[test]
fn attach_takes_tracepoints() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for name in ["hello", "perf-output"] {
        five_forks_are_seen(name, &[ENTER_CLONE], 5);
        five_forks_are_seen(name, &["tracepoint:syscalls:sys_enter_clone"], 5);
        let exit = "tracepoint:syscalls/sys_exit_clone";
        // The child returns from it too, with its own number.
        five_forks_are_seen(name, &[ENTER_CLONE, exit], 10);
        // And of nothing else.
        five_forks_are_seen(name, &["tracepoint:syscalls/sys_enter_setns"], 0);
    }
}

#[test]
fn attach_takes_tracepoints_without_their_files() {
    needs!(Bpf, Btf);
    let _held = beside_others();
    for target in ["raw_tracepoint:sched_process_fork", "tp_btf:sched_process_fork"] {
        five_forks_are_seen("perf-output", &[target], 5);
    }
}

#[test]
fn attach_takes_functions_their_returns_and_offsets() {
    needs!(Kprobe, Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for name in ["hello", "perf-output"] {
        for (targets, seen) in [
            (&["kprobe:sys_clone"][..], 5),
            (&["kprobe:sys_clone+0"], 5),
            // The child does not return from it.
            (&["kretprobe:sys_clone"], 5),
            (&["kprobe:sys_clone", ENTER_CLONE], 10),
            (&["kprobe:sys_clone", "kretprobe:sys_clone", ENTER_CLONE], 15),
            (&["kprobe:sys_setns"], 0),
        ] {
            five_forks_are_seen(name, targets, seen);
        }
    }
}

#[test]
fn no_run_needs_a_mounted_tracefs() {
    needs!(Bpf, Root, Tracepoint);
    let _held = (beside_others(), trace_pipe());
    in_mount_namespace(|| {
        unmount_tracefs();
        let mounts = || fs::read_to_string("/proc/thread-self/mounts").unwrap();
        let before = mounts();
        for name in ["hello", "perf-output"] {
            let done = run_with(name, &[], &["sh", "-c", &forks(5)]);
            done.expect(0);
            assert_eq!(done.rows_of(done.told_pid()).len(), 5, "{done}");
        }
        assert_eq!(mounts(), before);
    });
}

/// The instances of the tracer that are ours.
fn instances() -> Vec<String> {
    let root = rawbpf::kernel::tracefs::root("this test").unwrap();
    let names = fs::read_dir(root.join("instances")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("rawbpf-")).collect()
}

/// Also while another process reads the trace buffer of the whole system.
#[test]
fn runs_at_once_print_all_of_their_lines() {
    needs!(Tracepoint, Root);
    let _held = (alone(), trace_pipe());
    let global = TracePipe::open_global();
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let arguments = ["run", "hello", "--format", "json", "--", "sh", "-c"];
            Run::start(arguments.iter().map(|word| (*word).to_owned()).chain([forks(50)]))
        })
        .collect();
    for run in runs {
        let done = run.done();
        done.expect(0);
        assert!(!done.stderr.contains("lost"), "{done}");
        // Lines of the other runs' programs too, while they ran.
        assert!(done.rows_of(done.told_pid()).len() >= 50, "{done}");
    }
    drop(global);
    assert_eq!(instances(), [""; 0]);
}

#[test]
fn the_next_run_takes_away_what_killed_ones_left_in_tracefs() {
    needs!(Tracepoint, Root);
    let _held = (alone(), trace_pipe());
    let mut runs: Vec<_> =
        (0..4).map(|_| Run::start(["run", "hello", "--format", "json"])).collect();
    runs.iter_mut().for_each(Run::attached);
    assert_eq!(instances().len(), 4);
    // One that is still there keeps its own.
    let mut alive = runs.pop().unwrap();
    for run in &mut runs {
        run.child.kill().unwrap();
        run.child.wait().unwrap();
    }
    assert_eq!(instances().len(), 4);
    run_with("hello", &[], &["true"]).expect(0);
    assert_eq!(instances().len(), 1);
    let before = rows(&alive.lines()).len();
    wait_until("the run that is alive shows more", || {
        fork_some(1);
        rows(&alive.lines()).len() > before
    });
    alive.signal(Signal::SIGINT);
    assert!(alive.child.wait().unwrap().success());
    assert_eq!(instances(), [""; 0]);
}

#[test]
fn a_kernel_without_btf_will_do() {
    needs!(Tracepoint, Root, Btf);
    let _held = (beside_others(), trace_pipe());
    in_mount_namespace(|| {
        let place = "/sys/kernel/btf";
        mount(Some("nothing"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        assert!(!Path::new(place).join("vmlinux").exists());
        for name in ["hello", "perf-output"] {
            let done = run_with(name, &[], &["sh", "-c", &forks(5)]);
            done.expect(0);
            assert_eq!(done.rows_of(done.told_pid()).len(), 5, "{name}: {done}");
        }
    });
}

#[test]
fn a_reader_that_goes_away_ends_a_run() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    for name in ["hello", "perf-output"] {
        let folder = Folder::new();
        let errors = folder.path().join("err");
        let mut child = Command::new(rawbpf())
            .args(["run", name, "--", "sh", "-c", FORKS_FOR_EVER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let mut first = String::new();
        // As `head -1` does it.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with("TIME(s)"), "{first}");
        let status = child.wait().unwrap();
        let said = fs::read_to_string(&errors).unwrap();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("panicked") && !said.contains("standard output"), "{said}");
        let shell = said.lines().find_map(|line| line.parse().ok());
        assert!(!shell.is_some_and(is_there), "the command goes on: {said}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    needs!(Tracepoint);
    let _held = (beside_others(), trace_pipe());
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let with_full = |arguments: &[&str]| {
        let folder = Folder::new();
        let errors = folder.path().join("err");
        let status = Command::new(rawbpf())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(full())
            .stderr(File::create(&errors).unwrap())
            .status()
            .unwrap();
        Done { status, stdout: String::new(), stderr: fs::read_to_string(&errors).unwrap() }
    };
    for name in ["hello", "perf-output"] {
        for format in ["text", "json"] {
            let command = ["run", name, "--format", format, "--", "sh", "-c", FORKS_FOR_EVER];
            with_full(&command).expect(1).explains(&["standard output", "No space left"]);
        }
    }
    with_full(&["run", "--list"]).expect(1).explains(&["standard output", "No space left"]);
}

/// Processes with all of these in their command line.
fn processes_with(words: &[&str]) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let runs_it = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        words.iter().all(|word| line.contains(word))
    };
    pids.filter(runs_it).collect()
}

/// At any moment of its life: while it loads, attaches, reads, starts its command.
#[test]
fn kill_leaves_nothing_behind() {
    needs!(Tracepoint, Root);
    let _held = (alone(), trace_pipe());
    // Programs are numbered in their order.
    let last = || bpf_ids::programs().iter().map(|program| program.id).max().unwrap_or(0);
    let before = last();
    let mark = format!("mark-{}", std::process::id());
    let mut reached = 0;
    for turn in 0u64..24 {
        let name = ["hello", "perf-output"][(turn / 2 % 2) as usize];
        let mut arguments = vec!["run", name, "--format", "json"];
        if turn % 2 == 0 {
            // It ends by itself soon: a run that was killed cannot end it.
            arguments.extend(["--", "sh", "-c", "(:); sleep 1", mark.as_str()]);
        }
        let mut run = Run::start(&arguments);
        // Some of them with a probe that has fired.
        if turn == 22 || turn == 23 {
            run.attached();
        }
        // Up to 40 ms, most of them early, where the most happens.
        std::thread::sleep(Duration::from_micros(turn * turn * 40_000 / (23 * 23)));
        reached += usize::from(bpf_ids::programs().iter().any(|program| program.id > before));
        run.signal(Signal::SIGKILL);
        let done = run.done();
        assert_eq!(done.status.signal(), Some(9), "{done}");
    }
    assert!(reached > 0, "none was killed with a program in the kernel");
    let after = last().max(before + 1);
    wait_until("the programs are gone", || {
        let ours = |program: &bpf_ids::Info| {
            (before + 1..=after).contains(&program.id)
                && ["hello", "perf_output"].contains(&program.name.as_str())
        };
        !bpf_ids::programs().iter().any(ours)
    });
    wait_until("the commands have ended", || processes_with(&[&mark]).is_empty());
    for place in ["/sys/kernel/tracing/kprobe_events", "/sys/kernel/debug/tracing/kprobe_events"] {
        let probes = fs::read_to_string(place).unwrap_or_default();
        assert!(!probes.contains("rawbpf"), "{place}: {probes}");
    }
}

#[test]
fn the_command_line_explains_itself() {
    let run = |arguments: &[&str]| Run::start(arguments).done();
    let list = run(&["run", "--list"]);
    list.expect(0);
    let names: Vec<_> =
        list.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.starts_with(&["hello", "perf-output"]), "{list}");

    let help = run(&["--help"]);
    help.expect(0);
    assert!(help.stdout.contains("Usage: rawbpf") && help.stdout.contains("  run "), "{help}");
    let help = run(&["run", "--help"]);
    help.expect(0);
    for option in ["--attach <TARGET>", "--count <N>", "--duration <SECS>", "--format", "--list"] {
        assert!(help.stdout.contains(option), "{help}");
    }
    // How a person gets from there to the names.
    assert!(help.stdout.contains("see --list"), "{help}");
    let version = run(&["--version"]);
    version.expect(0);
    assert_eq!(version.stdout, concat!("rawbpf ", env!("CARGO_PKG_VERSION"), "\n"));

    run(&[]).expect(2).explains(&["Usage: rawbpf"]);
    run(&["run"]).expect(2).explains(&["Usage: rawbpf run"]);
    run(&["walk"]).expect(2).explains(&["walk"]);
    run(&["run", "helo"]).expect(2).explains(&["`helo`", "hello, perf-output"]);
    for wrong in [["--count", "0"], ["--duration", "soon"], ["--format", "xml"]] {
        run(&["run", "hello", wrong[0], wrong[1]]).expect(2).explains(&[wrong[0]]);
    }
    for wrong in ["--count=-1", "--duration=-1"] {
        run(&["run", "hello", wrong]).expect(2).explains(&[&wrong[..7]]);
    }
    run(&["run", "--list", "--count", "1"]).expect(2).explains(&["--list", "--count"]);
}
