//! Code shared by the tests against the kernel.
#![allow(dead_code, unused_imports, reason = "each test binary uses some of it")]

pub(crate) mod bpf_ids;
pub(crate) mod lessons;
pub(crate) mod random;
#[path = "../../src/requires.rs"]
pub(crate) mod requires;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The command: `RAWBPF_BIN`, or the one that cargo built for these tests.
pub(crate) fn rawbpf() -> PathBuf {
    match std::env::var_os("RAWBPF_BIN") {
        Some(path) => path.into(),
        None => env!("CARGO_BIN_EXE_rawbpf").into(),
    }
}

/// Lets one test of this program run at a time that counts, or looks at what all of them leave in the kernel.
///
/// A process that lists links holds each of them for a moment: one that another test releases meanwhile would stay as
/// long.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of its own for a test, open to every user, gone when dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder::within(&std::env::temp_dir())
    }

    /// One whose files are on a disk: below `RAWBPF_TEST_DISK` if there is such a folder, else where temporary files are; or
    /// why there is none.
    pub(crate) fn on_disk() -> Result<Folder, String> {
        use std::os::unix::fs::MetadataExt;
        let disk = std::env::var_os("RAWBPF_TEST_DISK").map(PathBuf::from);
        let within = disk.filter(|disk| disk.is_dir()).unwrap_or_else(std::env::temp_dir);
        // File systems that are on no block device have a number with 0 for the major one.
        let major = within.metadata().unwrap().dev() >> 8 & 0xfff;
        match major {
            0 => Err(format!("{} is on no disk", within.display())),
            _ => Ok(Folder::within(&within)),
        }
    }

    fn within(place: &Path) -> Folder {
        use std::os::unix::fs::PermissionsExt;
        let permissions = PermissionsExt::from_mode(0o755);
        let mut folder = tempfile::Builder::new();
        folder.prefix("rawbpf-test-").permissions(permissions);
        Folder(folder.tempdir_in(place).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Waits until it is so; a test fails that waits longer than half a minute.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(30), "not within half a minute: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Says to a test that it has been started by itself, and as what.
pub(crate) const ROLE: &str = "RAWBPF_TEST_ROLE";

/// The part that this process plays for the test that started it; `None` in the test itself.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This test program with one test to run, in a role: what is left is to start it.
pub(crate) fn this_test_as(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Why a program cannot be run; `None` if it can.
pub(crate) fn no_program(name: &str) -> Option<String> {
    // Whatever it makes of that.
    let answer = Command::new(name).arg("--version").output();
    answer.err().map(|error| format!("{name}: {error}"))
}

/// Both outputs, for the message of an assertion.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Every command that `--help` shows, with the words that it is called by: those that have no commands of their own, and of `help` the
/// outermost one. A table of commands that lacks one is found by it.
pub(crate) fn commands() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut next = vec![Vec::<String>::new()];
    while let Some(words) = next.pop() {
        let help = Command::new(rawbpf()).args(&words).arg("--help").output().unwrap();
        assert!(help.status.success(), "{words:?} {}", said(&help));
        let help = String::from_utf8(help.stdout).unwrap();
        let rows = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let rows: Vec<_> = rows.take_while(|line| !line.is_empty()).collect();
        for row in &rows {
            let name = row.split_whitespace().next().unwrap();
            let one: Vec<_> = words.iter().cloned().chain([name.to_owned()]).collect();
            match name {
                "help" if words.is_empty() => found.push(one),
                "help" => {}
                _ => next.push(one),
            }
        }
        if rows.is_empty() {
            found.push(words);
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}
