//! Debian's `bpftrace`, with a script, beside a lesson.

use crate::common::Folder;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One at a time, and each test alone with its lesson: what one does another would see.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that runs, until it is stopped or dropped.
pub(crate) struct Bpftrace {
    process: Child,
    /// For what it prints.
    folder: Folder,
}

/// So long may it take to compile and attach a script, or to end.
const LIMIT: Duration = Duration::from_secs(120);

impl Bpftrace {
    /// Starts it, and does `cause` again and again until the script has printed all of these `words`. (It says that it
    /// begins to attach, and does not say when it is done: that shows when it sees something.)
    #[track_caller]
    pub(crate) fn start(script: &str, words: &[&str], mut cause: impl FnMut()) -> Bpftrace {
        let folder = Folder::new();
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let mut command = Command::new("bpftrace");
        // It asks for --unsafe where it cannot see that an address is where an instruction begins: it sees it only in
        // files that have all their symbols.
        command.args(["--unsafe", "-B", "none", "-f", "json", "-e", script]);
        // What ends it in order must reach it, whatever started this: what is blocked here, is blocked there.
        SigSet::from(Signal::SIGTERM).thread_unblock().unwrap();
        let command = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let mut peer = Bpftrace { process: command.spawn().unwrap(), folder };
        let start = Instant::now();
        loop {
            let printed: Vec<String> = peer.of_type("printf").filter_map(text).collect();
            if words.iter().all(|word| printed.iter().any(|line| line.trim() == *word)) {
                return peer;
            }
            let ended = peer.process.try_wait().unwrap();
            assert!(ended.is_none(), "bpftrace ended: {}\n{script}", peer.said());
            assert!(start.elapsed() < LIMIT, "no {words:?} of bpftrace: {}\n{script}", peer.said());
            cause();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it, and gives its maps by their names.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Maps {
        let missed = missed(&self.process.id().to_string());
        let status = self.end();
        assert!(status.success(), "{status}: {}", self.said());
        let maps = self.of_type("map").filter_map(|map| match map {
            Value::Object(map) => Some(map),
            _ => None,
        });
        Maps { maps: maps.flatten().collect(), missed }
    }

    /// A signal makes it end in order only if it comes while it waits for something to print: else it notes it, and waits
    /// on. So there is more than one; SIGTERM, as a second SIGINT would end it before it has printed its maps.
    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM).unwrap();
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_millis(300) {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(start.elapsed() < LIMIT, "bpftrace does not end: {}", self.said());
        }
    }

    /// The output so far: the data of the lines of one type.
    fn of_type(&self, wanted: &str) -> impl Iterator<Item = Value> {
        let out = fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
        let lines: Vec<_> =
            out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let wanted = lines.into_iter().filter(move |line: &Value| line["type"] == wanted);
        wanted.map(|mut line| line["data"].take()).collect::<Vec<_>>().into_iter()
    }

    /// Both outputs, for the message of an assertion.
    fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("err") + &read("out")
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        // It has ended if all went well. What it attached the kernel takes away when it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The number of events that the programs of a process have missed: on a CPU on which the program of a tracepoint runs
/// the kernel starts no other one, whatever an interrupt brings. (It counts them since Linux 6.7.)
pub(crate) fn missed(process: &str) -> u64 {
    let files = fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap().flatten();
    let count = |text: String| {
        let count = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
        count.trim().parse::<u64>().ok()
    };
    files.filter_map(|file| count(fs::read_to_string(file.path()).ok()?)).sum()
}

fn text(value: Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The counts of a script.
#[derive(Debug)]
pub(crate) struct Maps {
    maps: Map<String, Value>,
    /// The number of events that it missed.
    pub(crate) missed: u64,
}

impl Maps {
    /// A map without keys. One in which nothing was counted is not printed.
    pub(crate) fn count(&self, map: &str) -> u64 {
        self.maps.get(map).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A map with keys.
    pub(crate) fn counts(&self, map: &str) -> Vec<(&str, u64)> {
        let counts = self.maps.get(map).and_then(Value::as_object).into_iter().flatten();
        counts.filter_map(|(key, count)| Some((key.as_str(), count.as_u64()?))).collect()
    }
}
