//! The texts `examples/*.s`: each is accepted by the verifier, and `rawbpf trace` shows with it what a command did.

mod common;

use common::requires::{Thing, needs};
use common::{Folder, rawbpf, role, said, this_test_as};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

const TEXTS: [&str; 5] = ["hello", "openat", "counts", "histogram", "events"];

/// The trace buffer and the probed calls are the whole machine's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.s"))
}

fn run(args: &[&OsStr]) -> Output {
    Command::new(rawbpf()).args(args).env_remove("RAWBPF_LOG").output().unwrap()
}

/// Returns the JSON objects that `trace` prints with a text while a command runs.
#[track_caller]
fn trace(name: &str, command: &Command) -> Vec<Value> {
    let mut tracer = Command::new(rawbpf());
    tracer.args(["trace", "--format", "json"]).arg(path(name)).arg("--");
    tracer.arg(command.get_program()).args(command.get_args());
    tracer.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let done = tracer.env_remove("RAWBPF_LOG").output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let out = String::from_utf8(done.stdout).unwrap();
    // The command may be a test, which prints a report of its own.
    out.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn shell(script: &str, argument: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(argument);
    shell
}

#[test]
fn every_text_is_accepted_by_the_verifier() {
    needs!(Tracepoint);
    let listed = fs::read_dir(path("").parent().unwrap()).unwrap();
    let mut listed: Vec<_> = listed
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "s"))
        .collect();
    let mut texts = TEXTS.map(path);
    listed.sort();
    texts.sort();
    assert_eq!(listed, texts, "each has its test");
    for text in &texts {
        let done = run(&["check".as_ref(), text.as_os_str()]);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        assert!(String::from_utf8_lossy(&done.stdout).contains(": accepted ("), "{}", said(&done));
    }
}

#[test]
fn hello_prints_a_line_for_an_execve() {
    needs!(Tracepoint);
    let _alone = alone();
    let folder = Folder::new();
    let file = folder.path().join("pid");
    // One call of a process whose number nobody else has.
    let rows = trace("hello", &shell("echo $$ > \"$0\"; exec /bin/sh -c :", &file));
    let pid: u64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let ours: Vec<_> = rows.iter().filter(|row| row["pid"] == pid).collect();
    assert_eq!(ours.len(), 1, "{rows:?}");
    assert_eq!(ours[0]["message"], "Hello, World!", "{rows:?}");
}

/// The file that the traced part of the next test opens.
const FILE: &str = "RAWBPF_TEST_FILE";

#[test]
fn openat_prints_the_name_of_a_file() {
    needs!(Tracepoint);
    if role().is_some() {
        let file = std::env::var_os(FILE).unwrap();
        openat(AT_FDCWD, file.as_os_str(), OFlag::O_RDONLY, Mode::empty()).unwrap();
        return;
    }
    let _alone = alone();
    let folder = Folder::new();
    let file = folder.path().join("opened");
    File::create(&file).unwrap();
    let mut opens = this_test_as("openat_prints_the_name_of_a_file", "opens");
    let rows = trace("openat", opens.env(FILE, &file));
    let message = format!("open {}", file.display());
    let ours = rows.iter().filter(|row| row["message"] == message.as_str()).count();
    assert_eq!(ours, 1, "{message}: {rows:?}");
}

#[test]
fn counts_has_the_system_calls_of_a_name() {
    needs!(Tracepoint);
    if role().is_some() {
        nix::sys::prctl::set_name(c"rawbpf-counted").unwrap();
        for _ in 0..500 {
            nix::unistd::getsid(None).unwrap();
        }
        return nix::sys::prctl::set_name(c"done").unwrap();
    }
    let _alone = alone();
    let rows = trace("counts", &this_test_as("counts_has_the_system_calls_of_a_name", "calls"));
    let ours: Vec<_> = rows.iter().filter(|row| row["key"] == "rawbpf-counted").collect();
    // And the call that takes the name away.
    let expected = serde_json::json!({ "map": "counts", "key": "rawbpf-counted", "value": 501 });
    assert_eq!(ours, [&expected], "{rows:?}");
}

#[test]
fn histogram_has_the_sizes_of_reads() {
    const READS: u64 = 5;
    needs!(Tracepoint);
    if role().is_some() {
        let mut zeros = File::open("/dev/zero").unwrap();
        let mut bytes = vec![0; 20 << 20];
        for _ in 0..READS {
            assert_eq!(zeros.read(&mut bytes).unwrap(), bytes.len());
        }
        return;
    }
    let _alone = alone();
    let rows = trace("histogram", &this_test_as("histogram_has_the_sizes_of_reads", "reads"));
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&row["map"], &row["histogram"]), (&"bytes_hist".into(), &"log2".into()), "{row}");
    let buckets = row["buckets"].as_array().unwrap();
    // 20 MiB; others may read, too, but hardly so much at once.
    let ours = buckets.iter().find(|bucket| bucket["min"] == 16 << 20).unwrap();
    assert_eq!(ours["max"], (32 << 20) - 1, "{row}");
    assert!(ours["count"].as_u64().unwrap() >= READS, "{row}");
}

#[test]
fn events_has_a_record_for_a_process_that_exits() {
    needs!(Tracepoint);
    let _alone = alone();
    let folder = Folder::new();
    let file = folder.path().join("pid");
    let rows = trace("events", &shell("sh -c : & echo $! > \"$0\"; wait", &file));
    let pid: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let mut record = [pid.to_ne_bytes(), pid.to_ne_bytes()].concat();
    record.extend(b"sh");
    record.resize(24, 0);
    let record: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
    let ours: Vec<_> = rows.iter().filter(|row| row["data"] == record.as_str()).collect();
    assert_eq!(ours.len(), 1, "{record}: {rows:?}");
    assert_eq!((&ours[0]["map"], &ours[0]["size"]), (&"events".into(), &24.into()), "{rows:?}");
    let lost = serde_json::json!({ "map": ".bss", "key": "lost", "value": 0 });
    assert!(rows.contains(&lost), "{rows:?}");
}

/// `-e TEXT` stands for a file with that text.
#[test]
fn commands_take_a_text_on_the_command_line() {
    let text = "r0 = 42; exit";
    let out = |args: &[&str], status: i32| {
        let args: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        let done = run(&args);
        assert_eq!(done.status.code(), Some(status), "{}", said(&done));
        format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        )
    };
    // RFC 9669, 4.1 and 4.3.
    let bytes = match cfg!(target_endian = "little") {
        true => "b7 00 00 00 2a 00 00 00\n95 00 00 00 00 00 00 00\n",
        false => "b7 00 00 00 00 00 00 2a\n95 00 00 00 00 00 00 00\n",
    };
    assert_eq!(out(&["asm", "-e", text], 0), bytes);
    assert_eq!(out(&["asm", "-e", "r0 = 42\nexit\n"], 0), bytes);
    let mistake = out(&["asm", "-e", "r0 = 42; exut"], 1);
    assert!(mistake.contains(" --> <command line>:1:10\n"), "{mistake}");
    // One of both, and not both.
    for command in ["asm", "check", "exec", "load", "trace"] {
        out(&[command], 2);
    }
    for command in ["asm", "check", "exec", "load"] {
        out(&[command, "file", "-e", text], 2);
    }
    needs!(Bpf);
    assert!(out(&["exec", "-e", text], 0).starts_with("r0 = 42 (0x2a)\n"));
    let check = out(&["check", "--type", "socket_filter", "-e", text], 0);
    assert!(check.starts_with("main: accepted ("), "{check}");
    needs!(Tracepoint);
    let _alone = alone();
    let text = ".license \"GPL\"; .map seen, array, key=4, value=8, max=1
        r1 = seen ll; *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; call map_lookup_elem
        if r0 == 0 goto out; r1 = 1; lock *(u64 *)(r0 + 0) += r1; out: r0 = 0; exit";
    let target = "tracepoint:syscalls/sys_enter_execve";
    let seen = out(&["trace", target, "-e", text, "--", "sh", "-c", "exec sh -c :"], 0);
    let row = seen.lines().find_map(|line| line.trim().strip_suffix(" 0")).expect(&seen);
    assert!(row.parse::<u64>().unwrap() >= 1, "{seen}");
}

#[test]
fn documents_show_the_texts_as_they_are() {
    needs!(Cargo);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (document, name) in [("README.md", "hello"), ("docs/assembly.md", "openat")] {
        let text = fs::read_to_string(path(name)).unwrap();
        let document = fs::read_to_string(root.join(document)).unwrap();
        assert!(document.contains(&format!("```text\n{text}```\n")), "{name}");
    }
}
