//! Every command with streams that take nothing and signals that come at the wrong time: a table of commands, one of conditions, and for
//! each pair the status that README promises. None may panic, hang, or leave anything attached.
//!
//! The duration is not measured: a command that hangs does not end within half a minute, also where two CPUs are
//! shared.

mod common;

use common::requires::{Thing, needs};
use common::{Folder, bpf_ids, commands, rawbpf, wait_until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use rawbpf::{Loader, Map, MapSpec, Program, ProgramSpec, ProgramType, bpf};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// There is one trace buffer.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Programs of these names are loaded by the commands below.
const PROGRAMS: [&str; 4] = ["streams_count", "streams_ring", "hello", "perf_output"];

/// Something that happens all the time.
const COUNT: &str = "\
.license \"GPL\"
.map streams, array, key=4, value=4, max=2
.program streams_count, tracepoint/sched/sched_switch
\t*(u32 *)(r10 - 4) = 0
\tr1 = streams ll
\tr2 = r10
\tr2 += -4
\tcall map_lookup_elem
\tif r0 == 0 goto out
\tr1 = 1
\tlock *(u32 *)(r0 + 0) += r1
out:
\tr0 = 0
\texit
";

const RING: &str = "\
.license \"GPL\"
.map streams, perf_event_array, key=4, value=4
.program streams_ring, tracepoint/syscalls/sys_enter_getsid
\tr0 = 0
\texit
";

/// A command that prints and ends.
struct Plain {
    words: &'static [&'static str],
    /// Its status if nothing is the matter.
    status: i32,
    /// Whether it prints to standard output.
    prints: bool,
    /// Whether it prints the same each time.
    same: bool,
}

const fn same(words: &'static [&'static str]) -> Plain {
    Plain { words, status: 0, prints: true, same: true }
}

const fn prints(words: &'static [&'static str]) -> Plain {
    Plain { words, status: 0, prints: true, same: false }
}

const fn silent(words: &'static [&'static str]) -> Plain {
    Plain { words, status: 0, prints: false, same: true }
}

const fn fails(words: &'static [&'static str], status: i32) -> Plain {
    Plain { words, status, prints: false, same: true }
}

/// `COUNT`, `RING`, `EXEC` and `OBJECT` stand for files, `PROGRAM` and `MAP` for what is kept meanwhile, `PIN` for a name of it.
const PLAIN: &[Plain] = &[
    same(&["--help"]),
    same(&["--version"]),
    same(&["trace", "--help"]),
    same(&["asm", "COUNT"]),
    same(&["asm", "--format", "raw", "COUNT"]),
    same(&["asm", "--format", "c", "COUNT"]),
    same(&["disasm", "OBJECT"]),
    same(&["disasm", "--format", "json", "OBJECT"]),
    same(&["explain", "r0 = 1"]),
    same(&["explain", "--format", "json", "r0 = 1"]),
    prints(&["check", "COUNT"]),
    prints(&["check", "--format", "json", "COUNT"]),
    prints(&["exec", "EXEC"]),
    prints(&["load", "COUNT"]),
    prints(&["load", "--trace", "COUNT"]),
    same(&["list", "software"]),
    same(&["list", "--format", "json", "software"]),
    prints(&["features", "ringbuf"]),
    same(&["help"]),
    same(&["help", "map", "dump"]),
    prints(&["prog", "list"]),
    prints(&["prog", "show", "PROGRAM"]),
    same(&["prog", "dump", "PROGRAM"]),
    silent(&["prog", "pin", "PROGRAM", "PIN"]),
    silent(&["prog", "unpin", "PIN"]),
    prints(&["map", "list"]),
    prints(&["map", "show", "MAP"]),
    same(&["map", "dump", "MAP"]),
    same(&["map", "lookup", "MAP", "0"]),
    silent(&["map", "update", "MAP", "0", "0"]),
    fails(&["map", "delete", "MAP", "0"], 1),
    same(&["run", "--list"]),
    same(&["bt", "--help"]),
    same(&["bt", "--version"]),
    prints(&["bt", "--info"]),
    same(&["bt", "-l", "software:*"]),
    prints(&["bt", "-d", "-e", "BEGIN { exit() }"]),
    same(&["bt", "-e", "BEGIN { printf(\"once\\n\"); exit() }"]),
    prints(&["bt", "-f", "json", "-q", "-e", "BEGIN { @ = 1; exit() }"]),
    fails(&["no-such-command"], 2),
    fails(&["asm", "/no/such/file"], 1),
    fails(&["explain", "r0 ="], 1),
    fails(&["list", "software:no-such-event"], 1),
    fails(&["map", "show", "name:no_such_map"], 1),
    fails(&["prog", "show", "name:no_such_prog"], 1),
    fails(&["trace", "no-such-target", "COUNT"], 2),
    fails(&["bt", "-e", "BEGIN { nothing }"], 1),
    fails(&["bt", "--no-such-option"], 1),
];

/// A command that attaches something and goes on until a signal ends it.
struct Endless {
    words: &'static [&'static str],
    /// Whether it prints before a signal ends it.
    prints: bool,
}

const ENDLESS: &[Endless] = &[
    Endless { words: &["run", "hello"], prints: true },
    Endless { words: &["run", "perf-output"], prints: true },
    Endless { words: &["trace", "RING"], prints: true },
    Endless { words: &["trace", "COUNT"], prints: false },
    Endless { words: &["trace", "--format", "json", "COUNT"], prints: false },
    Endless { words: &["bt", "-e", LONG_OUTPUT], prints: true },
    Endless { words: &["bt", "-f", "json", "-e", LONG_OUTPUT], prints: true },
    Endless { words: &["bt", "-e", LATE_OUTPUT], prints: false },
];

const LONG_OUTPUT: &str =
    "BEGIN { printf(\"begin\\n\") } interval:ms:20 { printf(\"%d\\n\", nsecs) }";
const LATE_OUTPUT: &str = "interval:ms:20 { @[nsecs % 100] = count() } END { printf(\"end\\n\") }";

/// Commands that run one that exits with 7, which is then their status.
const WITH_COMMAND: &[&[&str]] = &[
    &["run", "perf-output", "--", "sh", "-c", "exit 7"],
    &["trace", "COUNT", "--", "sh", "-c", "exit 7"],
    &["bt", "-e", LATE_OUTPUT, "-c", "sh -c 'exit 7'"],
];

/// The files that commands are about.
struct Files {
    folder: Folder,
    /// So that there are some to be listed and shown.
    kept: (Program, Map),
    pins: BpfFs,
}

impl Files {
    fn new() -> Files {
        let map = MapSpec::array("streams_kept", 4, 4);
        let code = bpf! { r0 = 0; exit; };
        let program = ProgramSpec::new("streams_kept", ProgramType::SocketFilter, code);
        let kept = (Loader::new().load(&program).unwrap(), Map::create(&map).unwrap());
        let files = Files { folder: Folder::new(), kept, pins: BpfFs::new() };
        fs::write(files.path("COUNT"), COUNT).unwrap();
        fs::write(files.path("RING"), RING).unwrap();
        fs::write(files.path("EXEC"), "r0 = 7\nexit\n").unwrap();
        let object = files.path("OBJECT").with_extension("o");
        let done = Command::new(rawbpf())
            .arg("asm")
            .arg(files.path("COUNT"))
            .arg("-o")
            .arg(&object)
            .status();
        assert!(done.unwrap().success());
        fs::rename(object, files.path("OBJECT")).unwrap();
        files
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The command of these words, which has nothing to read, with its output in files.
    fn command(&self, words: &[&str]) -> Command {
        let id = |id: u32| OsString::from(id.to_string());
        let pin = self.pins.path().join("pin");
        match words {
            ["prog", "pin", ..] => drop(fs::remove_file(&pin)),
            ["prog", "unpin", ..] if !pin.exists() => self.kept.0.pin(&pin).unwrap(),
            _ => {}
        }
        let word = |word: &&str| match *word {
            "PROGRAM" => id(self.kept.0.info().unwrap().id),
            "MAP" => id(self.kept.1.info().unwrap().id),
            "PIN" => pin.clone().into_os_string(),
            file @ ("COUNT" | "RING" | "EXEC" | "OBJECT") => self.path(file).into_os_string(),
            word => OsString::from(word),
        };
        let mut command = Command::new(rawbpf());
        command.args(words.iter().map(word)).stdin(Stdio::null());
        command.stdout(self.create("out")).stderr(self.create("err"));
        command
    }

    fn create(&self, name: &str) -> File {
        File::create(self.path(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into_owned()
    }
}

/// A BPF file system of its own for a test.
struct BpfFs(Folder);

impl BpfFs {
    fn new() -> BpfFs {
        let folder = Folder::new();
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        BpfFs(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

/// A run of one command, ended when dropped.
struct Run<'f> {
    child: Child,
    files: &'f Files,
    what: String,
}

impl<'f> Run<'f> {
    fn start(files: &'f Files, what: &str, command: &mut Command) -> Run<'f> {
        let child = command.spawn().unwrap();
        Run { child, files, what: format!("{what}: {command:?}") }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until it blocks a signal.
    fn blocks(&mut self, signal: Signal) {
        let path = format!("/proc/{}/status", self.pid());
        let bit = 1_u64 << (signal as u32 - 1);
        wait_until(&format!("{}: it blocks {signal}", self.what), || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}: {ended:?}\n{}", self.what, self.files.text("err"));
            let text = fs::read_to_string(&path).unwrap_or_default();
            let mask = text.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & bit != 0)
        });
    }

    /// Waits until it sleeps and goes on sleeping: it waits for something.
    fn waits(&mut self) {
        let start = Instant::now();
        let mut asleep = 0;
        while asleep < 6 {
            assert!(start.elapsed() < Duration::from_secs(30), "{}: it is always busy", self.what);
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}: {ended:?}\n{}", self.what, self.files.text("err"));
            asleep = if sleeps(self.pid()) { asleep + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end, looks that it has not panicked and leaves nothing; its status.
    fn ends(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{}: it hangs", self.what);
            std::thread::sleep(Duration::from_millis(2));
        };
        let said = self.files.text("err");
        assert!(!said.contains("panicked"), "{}: {said}", self.what);
        assert_ne!(status.code(), Some(101), "{}", self.what);
        assert!(!status.core_dumped(), "{}: {status}", self.what);
        wait_until(&format!("{}: nothing is left", self.what), || leftovers().is_empty());
        (status, said)
    }

    #[track_caller]
    fn ends_with(self, expected: i32) -> String {
        let what = self.what.clone();
        let (status, said) = self.ends();
        assert_eq!(status.code(), Some(expected), "{what}\n{status}\n{said}");
        said
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sleeps(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// The command, with SIGINT as a terminal's: it is ignored by what scripts start in the background, as are tests then.
#[allow(unsafe_code, reason = "setting how a signal is handled")]
fn with_default_signals(command: &mut Command) -> &mut Command {
    // SAFETY: installs no handler.
    unsafe { command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?)) }
}

/// The programs of the commands that are in the kernel though no process has them.
fn leftovers() -> Vec<bpf_ids::Info> {
    let mut found = bpf_ids::programs();
    found.retain(|program| PROGRAMS.contains(&program.name.as_str()));
    if found.is_empty() {
        return found;
    }
    let held = held_programs();
    found.retain(|program| !held.contains(&program.id));
    found
}

/// The programs that some process has a descriptor of.
fn held_programs() -> Vec<u32> {
    let mut held = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let infos = fs::read_dir(process.path().join("fdinfo")).into_iter().flatten().flatten();
        for text in infos.filter_map(|info| fs::read_to_string(info.path()).ok()) {
            let ids = text.lines().filter_map(|line| line.strip_prefix("prog_id:"));
            held.extend(ids.filter_map(|id| id.trim().parse::<u32>().ok()));
        }
    }
    held
}

/// A pipe that takes nothing more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    set_nonblocking(&writer, true);
    for size in [65536, 1] {
        while writer.write(&vec![b'x'; size]).is_ok() {}
    }
    set_nonblocking(&writer, false);
    (reader, writer)
}

fn set_nonblocking(fd: impl AsFd, yes: bool) {
    let flags = if yes { OFlag::O_NONBLOCK } else { OFlag::empty() };
    fcntl(fd, FcntlArg::F_SETFL(flags)).unwrap();
}

fn full_device() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// Tries each row, several at a time, since they wait most of their time.
fn each<R: Sync>(rows: &[R], tries: impl Fn(&Files, &R) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let files = Files::new();
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    tries(&files, row);
                }
            });
        }
    });
}

/// The error when standard output accepts no further byte.
const FULL: &str = "cannot write to standard output: No space left on device";

#[test]
fn every_command_is_in_the_tables() {
    let rows = PLAIN.iter().map(|row| row.words).chain(ENDLESS.iter().map(|row| row.words));
    let rows: Vec<_> = rows.collect();
    let mut expected = commands();
    let list = Command::new(rawbpf()).args(["run", "--list"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    expected.extend(names.map(|name| vec!["run".to_owned(), name.to_owned()]));
    for command in expected {
        let is_there = rows.iter().any(|words| {
            words.len() >= command.len() && words.iter().zip(&command).all(|(one, two)| one == two)
        });
        assert!(is_there, "no row of the tables calls {command:?}");
    }
}

#[test]
fn output_that_is_full_is_a_failure() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    let files = Files::new();
    for row in PLAIN {
        let run = Run::start(&files, "full", files.command(row.words).stdout(full_device()));
        let said = run.ends_with(if row.prints { 1 } else { row.status });
        assert_eq!(said.contains(FULL), row.prints, "{:?}: {said}", row.words);
    }
    for row in ENDLESS {
        let mut run = Run::start(&files, "full", files.command(row.words).stdout(full_device()));
        if !row.prints {
            run.waits();
            run.signal(Signal::SIGINT);
        }
        let said = run.ends_with(1);
        assert!(said.contains(FULL), "{:?}: {said}", row.words);
    }
}

#[test]
fn output_that_nobody_reads_is_dropped_when_the_end_is_asked_for() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    each(ENDLESS, |files, row| {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let (_reader, writer) = full_pipe();
            let mut run = Run::start(files, "blocked", files.command(row.words).stdout(writer));
            run.waits();
            run.signal(signal);
            let said = run.ends_with(1);
            assert!(
                said.contains("rawbpf: standard output is blocked: "),
                "{:?}: {said}",
                row.words
            );
        }
        if row.words[0] != "bt" {
            let (_reader, writer) = full_pipe();
            let mut command = files.command(&[row.words[0], "--duration", "0.5"]);
            command.args(files.command(&row.words[1..]).get_args());
            let run = Run::start(files, "blocked", command.stdout(writer));
            let said = run.ends_with(1);
            assert!(
                said.contains("rawbpf: standard output is blocked: "),
                "{:?}: {said}",
                row.words
            );
        }
        // Nobody is told then.
        let (_reader, writer) = full_pipe();
        let both = writer.try_clone().unwrap();
        let mut command = files.command(row.words);
        let mut run = Run::start(files, "both blocked", command.stdout(writer).stderr(both));
        run.waits();
        run.signal(Signal::SIGTERM);
        // Before it has come to the signals it may be stuck with what it says first.
        let (status, _) = run.ends();
        let killed = status.signal() == Some(Signal::SIGTERM as i32);
        assert!(killed || status.code() == Some(1), "{:?}: {status}", row.words);
    });
    // What attaches nothing ends by the signal itself, as other programs.
    each(PLAIN, |files, row| {
        if !row.prints {
            return;
        }
        let (_reader, writer) = full_pipe();
        let mut run = Run::start(files, "blocked", files.command(row.words).stdout(writer));
        run.waits();
        run.signal(Signal::SIGTERM);
        let (status, said) = run.ends();
        let by_itself = status.signal() == Some(Signal::SIGTERM as i32);
        let script = row.words[0] == "bt" && status.code() == Some(1);
        assert!(by_itself || script, "{:?}: {status} {said}", row.words);
    });
}

#[test]
fn output_that_does_not_block_is_waited_for() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    let files = Files::new();
    for row in PLAIN.iter().filter(|row| row.prints) {
        let run = Run::start(&files, "to a file", &mut files.command(row.words));
        run.ends_with(row.status);
        let expected = fs::read(files.path("out")).unwrap();
        assert!(!expected.is_empty(), "{:?}", row.words);

        let (mut reader, writer) = full_pipe();
        set_nonblocking(&writer, true);
        let mut run = Run::start(&files, "not blocking", files.command(row.words).stdout(writer));
        run.waits();
        let reads = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        run.ends_with(row.status);
        let all = reads.join().unwrap().unwrap();
        let start = all.iter().position(|byte| *byte != b'x').unwrap_or(all.len());
        let got = &all[start..];
        assert!(!got.is_empty(), "{:?}", row.words);
        if row.same {
            assert_eq!(String::from_utf8_lossy(got), String::from_utf8_lossy(&expected));
        }
    }
    for row in ENDLESS {
        let (mut reader, writer) = full_pipe();
        set_nonblocking(&writer, true);
        let mut run = Run::start(&files, "not blocking", files.command(row.words).stdout(writer));
        run.waits();
        let reads = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        run.waits();
        run.signal(Signal::SIGINT);
        run.ends_with(0);
        let all = reads.join().unwrap().unwrap();
        assert!(all.iter().any(|byte| *byte != b'x'), "{:?}", row.words);
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    let files = Files::new();
    let gone = || std::io::pipe().unwrap().1;
    for row in PLAIN {
        let run = Run::start(&files, "closed", files.command(row.words).stdout(gone()));
        run.ends_with(row.status);
        // Without any standard output, as `>&-` has it.
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(rawbpf());
        shell.args(files.command(row.words).get_args()).stdin(Stdio::null());
        let run = Run::start(&files, "none", shell.stderr(files.create("err")));
        run.ends_with(row.status);
    }
    for row in ENDLESS {
        let mut run = Run::start(&files, "closed", files.command(row.words).stdout(gone()));
        if !row.prints {
            run.waits();
            run.signal(Signal::SIGINT);
        }
        run.ends_with(0);
    }
}

#[test]
fn errors_that_cannot_be_told_change_nothing() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    let files = Files::new();
    let gone = || Stdio::from(std::io::pipe().unwrap().1);
    for stderr in [|| Stdio::from(full_device()), gone] {
        for row in PLAIN {
            let run = Run::start(&files, "untold", files.command(row.words).stderr(stderr()));
            run.ends_with(row.status);
        }
        for row in ENDLESS {
            let mut run = Run::start(&files, "untold", files.command(row.words).stderr(stderr()));
            run.waits();
            run.signal(Signal::SIGINT);
            run.ends_with(0);
        }
    }
}

#[test]
fn children_that_leave_no_status_are_waited_for() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    let files = Files::new();
    // As what Python and Perl may start: SIGCHLD is ignored, and children leave nothing when they end.
    let ignoring = |words: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' CHLD; exec \"$0\" \"$@\""]).arg(rawbpf());
        shell.args(files.command(words).get_args()).stdin(Stdio::null());
        shell.stdout(files.create("out")).stderr(files.create("err"));
        shell
    };
    for row in PLAIN {
        Run::start(&files, "SIGCHLD ignored", &mut ignoring(row.words)).ends_with(row.status);
    }
    for row in ENDLESS {
        let mut run = Run::start(&files, "SIGCHLD ignored", &mut ignoring(row.words));
        run.waits();
        run.signal(Signal::SIGTERM);
        run.ends_with(0);
    }
    for words in WITH_COMMAND {
        Run::start(&files, "SIGCHLD ignored", &mut ignoring(words)).ends_with(7);
    }
}

#[test]
#[allow(unsafe_code, reason = "setting how a signal is handled")]
fn signals_are_heeded_at_any_moment() {
    needs!(Root, Bpf, Tracepoint);
    let _alone = alone();
    // Scripts start commands in the background with SIGINT ignored, as are tests then: one that comes before it is blocked is
    // gone.
    // SAFETY: no handler is installed.
    unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }.unwrap();
    let files = Files::new();
    let endless = ENDLESS.iter().map(|row| (row.words, 0));
    let all = PLAIN.iter().map(|row| (row.words, row.status)).chain(endless);
    for (words, expected) in all {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            for delay in [0, 1, 4, 16, 64] {
                let run = Run::start(&files, "a signal at once", &mut files.command(words));
                std::thread::sleep(Duration::from_millis(delay));
                run.signal(signal);
                let what = run.what.clone();
                let (status, said) = run.ends();
                // Before it has begun to wait for signals it ends by them.
                let killed = status.signal() == Some(signal as i32);
                assert!(killed || status.code() == Some(expected), "{what} {status}\n{said}");
            }
        }
    }
}

#[test]
fn a_script_that_takes_long_to_compile_can_be_ended() {
    needs!(Root, Bpf);
    let files = Files::new();
    let script = files.path("script");
    fs::write(&script, format!("BEGIN {{ {} exit() }}", "@a = 1;\n".repeat(2_000_000))).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = files.command(&["bt"]);
        let mut run = Run::start(&files, "compiles", with_default_signals(command.arg(&script)));
        // It blocks this one just before it compiles.
        run.blocks(Signal::SIGUSR1);
        run.signal(signal);
        let (status, said) = run.ends();
        assert_eq!(status.signal(), Some(signal as i32), "{signal} {status}\n{said}");
    }
}
