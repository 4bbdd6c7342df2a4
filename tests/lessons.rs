//! The lessons 1 to 10 of `lessons/`: each runs, sees what the test does, and prints it as it should.
#![allow(dead_code, clippy::duplicate_mod, reason = "each lesson has a `main` and its `lesson`")]

mod common;
#[path = "../lessons/examples/lesson_01_hello_world.rs"]
mod lesson_01_hello_world;
#[path = "../lessons/examples/lesson_02_sys_sync.rs"]
mod lesson_02_sys_sync;
#[path = "../lessons/examples/lesson_03_hello_fields.rs"]
mod lesson_03_hello_fields;
#[path = "../lessons/examples/lesson_04_sync_timing.rs"]
mod lesson_04_sync_timing;
#[path = "../lessons/examples/lesson_05_disksnoop.rs"]
mod lesson_05_disksnoop;
#[path = "../lessons/examples/lesson_06_hello_perf_output.rs"]
mod lesson_06_hello_perf_output;
#[path = "../lessons/examples/lesson_07_hello_ring_buffer.rs"]
mod lesson_07_hello_ring_buffer;
#[path = "../lessons/examples/lesson_08_bitehist.rs"]
mod lesson_08_bitehist;
#[path = "../lessons/examples/lesson_09_disklatency.rs"]
mod lesson_09_disklatency;
#[path = "../lessons/examples/lesson_10_vfsreadlat.rs"]
mod lesson_10_vfsreadlat;

use common::lessons::Lesson;
use common::requires::{Thing, needs, needs_tried};
use std::fs::File;
use std::io::Write;
use std::process::Command;

/// A shell that makes two processes: by `clone`, which is how C libraries do what `fork` asks for. (What comes last it does
/// itself.)
fn fork() {
    let status = Command::new("sh").args(["-c", "(:); (:); :"]).status().unwrap();
    assert!(status.success());
}

/// Whether a line of `trace_pipe` is of a shell, which by now may be gone and its name forgotten.
fn from_shell(line: &str) -> bool {
    line.trim_start().starts_with("sh-") || line.trim_start().starts_with("<...>-")
}

#[test]
fn lesson_01_hello_world() {
    needs!(Kprobe, Tracefs);
    let mut lesson = Lesson::start(lesson_01_hello_world::run, "Tracing sys_clone()...");
    let seen =
        |text: &str| text.lines().any(|line| from_shell(line) && line.ends_with(": Hello, World!"));
    lesson.wait_for("Hello, World!", seen, fork);
    lesson.stop();
}

#[test]
fn lesson_02_sys_sync() {
    needs!(Kprobe, Tracefs);
    let mut lesson = Lesson::start(lesson_02_sys_sync::run, "Tracing sys_sync()...");
    let seen = |text: &str| text.lines().any(|line| line.ends_with(": sys_sync() called"));
    lesson.wait_for("sys_sync() called", seen, nix::unistd::sync);
    lesson.stop();
}

/// The columns of a line of `TIME(s) COMM PID MESSAGE`, if it is one with that message: time, name, number.
fn hello_columns<'a>(line: &'a str, message: &str) -> Option<(f64, &'a str, u32)> {
    let rest = line.strip_suffix(message)?.strip_suffix(' ')?;
    let (time, rest) = rest.split_at_checked(18)?;
    let (comm, pid) = rest.strip_prefix(' ')?.split_at_checked(16)?;
    Some((time.trim_end().parse().ok()?, comm.trim_end(), pid.trim().parse().ok()?))
}

#[test]
fn lesson_03_hello_fields() {
    needs!(Kprobe, Tracefs);
    let heading = "TIME(s)            COMM             PID    MESSAGE\n";
    let mut lesson = Lesson::start(lesson_03_hello_fields::run, heading);
    let seen = |text: &str| {
        let mut rows = text.lines().filter_map(|line| hello_columns(line, "Hello, World!"));
        rows.any(|(time, comm, pid)| time > 0.0 && pid > 1 && matches!(comm, "sh" | "<...>"))
    };
    lesson.wait_for("Hello, World!", seen, fork);
    lesson.stop();
}

#[test]
fn lesson_04_sync_timing() {
    needs!(Kprobe, Tracefs);
    let mut lesson = Lesson::start(lesson_04_sync_timing::run, "Tracing for quick sync's...");
    let row = |line: &str| {
        let rest = line.strip_prefix("At time ")?;
        let (time, ago) = rest.split_once(" s: multiple syncs detected, last ")?;
        let ago: u64 = ago.strip_suffix(" ms ago")?.parse().ok()?;
        Some((time.parse::<f64>().ok()?, ago))
    };
    let text = lesson.wait_for(
        "two quick syncs",
        |text| text.lines().filter(|line| row(line).is_some()).count() >= 2,
        nix::unistd::sync,
    );
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    assert_eq!(rows[0].0, 0.0, "{text}");
    assert!(rows.iter().all(|(_, ago)| *ago < 1000), "{text}");
    lesson.stop();
}

/// Why there is no disk; `None` if there is one.
fn no_disk() -> Option<String> {
    common::Folder::on_disk().err()
}

/// Writes so many bytes to a disk, and waits until they are there.
fn write_to_disk(bytes: usize) {
    let folder = common::Folder::on_disk().unwrap();
    let mut file = File::create(folder.path().join("written")).unwrap();
    file.write_all(&vec![7; bytes]).unwrap();
    file.sync_all().unwrap();
}

const MIB: usize = 1 << 20;

#[test]
fn lesson_05_disksnoop() {
    needs!(Bpf, Btf, Tracefs);
    needs_tried!("disk", no_disk());
    let heading = "TIME(s)            T  BYTES    LAT(ms)\n";
    let mut lesson = Lesson::start(lesson_05_disksnoop::run, heading);
    let written = |text: &str| -> usize {
        let rows = text.lines().filter_map(|line| {
            let [time, kind, bytes, millis] =
                line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
            let (_, millis): (f64, f64) = (time.parse().ok()?, millis.parse().ok()?);
            (kind == "W" && millis >= 0.0).then(|| bytes.parse::<usize>().ok())?
        });
        rows.sum()
    };
    lesson.wait_for("a MiB written", |text| written(text) >= MIB, || write_to_disk(MIB));
    lesson.stop();
}

/// Checks the output of a lesson with records while a shell makes processes.
fn hello_events(run: common::lessons::Run, message: &str) {
    let heading = "TIME(s)            COMM             PID    MESSAGE\n";
    let mut lesson = Lesson::start(run, heading);
    let seen = |text: &str| {
        let rows = text.lines().filter_map(|line| hello_columns(line, message));
        let mut pids: Vec<_> =
            rows.filter(|(_, comm, _)| *comm == "sh").map(|(_, _, pid)| pid).collect();
        // A shell makes two.
        pids.sort_unstable();
        pids.windows(2).any(|pair| pair[0] == pair[1])
    };
    let text = lesson.wait_for(message, seen, fork);
    let first = text.lines().find_map(|line| hello_columns(line, message));
    assert_eq!(first.map(|(time, ..)| time), Some(0.0), "{text}");
    lesson.stop();
}

#[test]
fn lesson_06_hello_perf_output() {
    needs!(Kprobe);
    hello_events(lesson_06_hello_perf_output::run, "Hello, perf_output!");
}

#[test]
fn lesson_07_hello_ring_buffer() {
    needs!(Kprobe);
    hello_events(lesson_07_hello_ring_buffer::run, "Hello, ring buffer!");
}

/// The counts of all histograms with this label in a text, by the ends of their ranges.
fn histogram(text: &str, label: &str) -> Vec<(u64, u64)> {
    let heading = format!("     {label:<19} : count     distribution");
    assert!(text.lines().any(|line| line == heading), "{text}");
    let row = |line: &str| {
        let (range, rest) = line.split_once(" : ")?;
        let (_, high) = range.split_once(" -> ")?;
        let (count, bar) = rest.split_once('|')?;
        assert!(bar.len() == 41 && bar.ends_with('|'), "{line}");
        Some((high.trim().parse().ok()?, count.trim().parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn lesson_08_bitehist() {
    needs!(Bpf, Btf);
    needs_tried!("disk", no_disk());
    let lesson = Lesson::start(lesson_08_bitehist::run, "Tracing... Hit Ctrl-C to end.");
    write_to_disk(4 * MIB);
    let text = lesson.stop();
    // At most so large was what was written, in KiB, and there were four MiB of it.
    let most: u64 = histogram(&text, "kbytes").iter().map(|(high, count)| high * count).sum();
    assert!(most >= 4 << 10, "{text}");
}

#[test]
fn lesson_09_disklatency() {
    needs!(Bpf, Btf);
    needs_tried!("disk", no_disk());
    let lesson = Lesson::start(lesson_09_disklatency::run, "Tracing... Hit Ctrl-C to end.");
    for _ in 0..5 {
        write_to_disk(MIB);
    }
    let text = lesson.stop();
    // Each was on the disk before the next one was written.
    let requests: u64 = histogram(&text, "usecs").iter().map(|(_, count)| count).sum();
    assert!(requests >= 5, "{text}");
}

#[test]
fn lesson_10_vfsreadlat() {
    needs!(Kprobe);
    let lesson = Lesson::start(lesson_10_vfsreadlat::run, "Tracing... Hit Ctrl-C to end.");
    for _ in 0..200 {
        assert!(!std::fs::read("/proc/self/comm").unwrap().is_empty());
    }
    let text = lesson.stop();
    let reads: u64 = histogram(&text, "usecs").iter().map(|(_, count)| count).sum();
    // One that gives the name, one that gives the end of the file, for each.
    assert!(reads >= 400, "{text}");
}
