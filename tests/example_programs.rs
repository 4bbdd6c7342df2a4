//! The examples for embedders, `examples/*.rs`: each runs in a process of its own while the test does what it is to see.

mod common;

#[path = "../examples/execsnoop_perf.rs"]
mod execsnoop_perf;
#[path = "../examples/execsnoop_ringbuf.rs"]
mod execsnoop_ringbuf;
#[path = "../examples/latency.rs"]
mod latency;
#[cfg(feature = "elf")]
#[path = "../examples/load_object.rs"]
mod load_object;
#[path = "../examples/malloc_sizes.rs"]
mod malloc_sizes;
#[path = "../examples/syscount.rs"]
mod syscount;
#[path = "../examples/xdp_count.rs"]
mod xdp_count;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, no_program, role, this_test_as, wait_until};
use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CloneFlags, unshare};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// An example that runs: this program with one test that plays its role.
struct Example {
    child: Child,
    lines: Receiver<String>,
    text: String,
}

impl Example {
    /// Starts the example, and waits for the line that it prints when it is attached.
    #[track_caller]
    fn start(test: &str, role: &str, heading: &str) -> Example {
        let mut child = this_test_as(test, role).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let mut example = Example { child, lines, text: String::new() };
        // Behind the name of the test, which libtest prints.
        example.read_until(heading, |text| text.lines().any(|line| line.ends_with(heading)));
        // The rest is what it reports.
        example.text.clear();
        example
    }

    /// Reads until what was printed is `so`, half a minute at most.
    #[track_caller]
    fn read_until(&mut self, what: &str, so: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !so(&self.text) {
            match self.lines.recv_timeout(Duration::from_secs(30).saturating_sub(start.elapsed())) {
                Ok(line) => self.text += &(line + "\n"),
                Err(error) => panic!("{error}, and no {what:?} in: {}", self.text),
            }
        }
    }

    /// Does `cause` again and again until the example has ended by itself; returns what it printed.
    #[track_caller]
    fn read_to_the_end(mut self, mut cause: impl FnMut()) -> String {
        let start = Instant::now();
        loop {
            match self.lines.recv_timeout(Duration::from_millis(1)) {
                Ok(line) => self.text += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => cause(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            assert!(start.elapsed() < Duration::from_secs(30), "it does not end: {}", self.text);
        }
        assert!(self.child.wait().unwrap().success(), "{}", self.text);
        std::mem::take(&mut self.text)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of each line, without the spaces between columns.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect())
}

/// So many events of all processes end a run of `execsnoop`.
const EVENTS: usize = 40;

/// A file of a name that nobody else executes is among the events; and the run ends after as many as were asked for.
fn executes(test: &str) {
    let folder = Folder::new();
    let file = folder.path().join("executed");
    symlink("/bin/sh", &file).unwrap();
    let heading = format!("{:<8} {:<8} {:<16} FILE", "PID", "UID", "COMM");
    let example = Example::start(test, &EVENTS.to_string(), &heading);
    let mut pids = Vec::new();
    let text = example.read_to_the_end(|| {
        let mut shell =
            Command::new(&file).args(["-c", ":"]).stderr(Stdio::null()).spawn().unwrap();
        pids.push(shell.id().to_string());
        shell.wait().unwrap();
    });
    let uid = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    let file = file.to_str().unwrap();
    let events: Vec<_> = rows(&text).filter(|row| row.len() == 4).collect();
    let ours = |row: &&Vec<&str>| {
        pids.contains(&row[0].to_owned()) && row[1..] == [uid.as_str(), "executed", file]
    };
    assert!(events.iter().any(|row| ours(&row)), "{pids:?} {file}: {text}");
    let of_file = events.iter().filter(|row| row[3] == file).count();
    assert_eq!(events.iter().filter(ours).count(), of_file, "{pids:?}: {text}");
    // Names of other programs may have spaces.
    let printed =
        text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
    assert_eq!(printed, EVENTS, "{text}");
}

#[test]
fn execsnoop_by_perf_ring() {
    needs!(Tracepoint);
    match role() {
        Some(events) => execsnoop_perf::run(events.parse().unwrap()).unwrap(),
        None => executes("execsnoop_by_perf_ring"),
    }
}

#[test]
fn execsnoop_by_ring_buffer() {
    needs!(Tracepoint);
    match role() {
        Some(events) => execsnoop_ringbuf::run(events.parse().unwrap()).unwrap(),
        None => executes("execsnoop_by_ring_buffer"),
    }
}

#[test]
fn syscount_counts_the_calls_of_a_name() {
    needs!(Tracepoint);
    if let Some(tables) = role() {
        return syscount::run(tables.parse().unwrap()).unwrap();
    }
    let test = "syscount_counts_the_calls_of_a_name";
    let mut example = Example::start(test, &u64::MAX.to_string(), "Counting system calls...");
    let calls = std::thread::spawn(|| {
        nix::sys::prctl::set_name(c"rawbpf-counted").unwrap();
        for _ in 0..500 {
            nix::unistd::getsid(None).unwrap();
        }
        nix::sys::prctl::set_name(c"done").unwrap();
    });
    calls.join().unwrap();
    // They may be in two tables. Together they are the calls, and the one that takes the name away.
    let counted = |text: &str| -> u64 {
        let ours = rows(text).filter(|row| row.first() == Some(&"rawbpf-counted"));
        ours.map(|row| row[1].parse::<u64>().unwrap()).sum()
    };
    example.read_until("501 calls", |text| counted(text) >= 501);
    assert_eq!(counted(&example.text), 501, "{}", example.text);
    example.read_until("another table", |text| text.ends_with("COMM             COUNT\n"));
    for table in example.text.split("COMM             COUNT\n") {
        let counts = rows(table).filter_map(|row| row.last()?.parse::<u64>().ok());
        assert!(counts.is_sorted_by(|one, next| one >= next), "{table}");
    }
}

/// Returns the count of the values from `min` on in the histogram that was printed last, whole.
fn counted_from(text: &str, min: u64) -> u64 {
    let last = text.rsplit("count     distribution\n").next().unwrap_or_default();
    let count = |row: Vec<&str>| match row[..] {
        [low, "->", _, ":", count, ..] if low.parse::<u64>().ok()? >= min => {
            count.parse::<u64>().ok()
        }
        _ => None,
    };
    rows(last).filter_map(count).sum()
}

#[test]
fn latency_has_the_time_of_a_system_call() {
    needs!(Tracepoint);
    if let Some(syscall) = role() {
        return latency::run(&syscall, u64::MAX).unwrap();
    }
    let test = "latency_has_the_time_of_a_system_call";
    let mut example = Example::start(test, "flock", "Measuring flock...");
    // A lock that another thread holds until this one has waited for it for at least 140 ms.
    let folder = Folder::new();
    let path = folder.path().join("locked");
    let lock = |file| Flock::lock(file, FlockArg::LockExclusive).unwrap();
    let held = lock(File::create(&path).unwrap());
    let waits = std::thread::spawn(move || drop(lock(File::open(path).unwrap())));
    let waiting = format!("FLOCK  ADVISORY  WRITE {} ", std::process::id());
    wait_until("a thread that waits for the lock", || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("-> ") && line.contains(&waiting))
    });
    std::thread::sleep(Duration::from_millis(140));
    drop(held);
    waits.join().unwrap();
    // The bucket from 2^17 µs on, or one of those above it.
    example.read_until("a call that waited", |text| counted_from(text, 1 << 17) >= 1);
    assert!(example.text.contains("     usecs               : count"), "{}", example.text);
}

#[test]
fn xdp_count_counts_packets_and_bytes() {
    needs!(Root, Bpf, Btf);
    needs_tried!("ip", no_program("ip"));
    if let Some(device) = role() {
        return xdp_count::run(&device, u64::MAX).unwrap();
    }
    // In a network of its own, which the processes that this thread starts have, too.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
    assert!(up.success());
    let test = "xdp_count_counts_packets_and_bytes";
    let mut example = Example::start(test, "lo", "     PACKETS        BYTES");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    for size in [7, 500, 1200] {
        socket.send(&vec![b'x'; size]).unwrap();
    }
    // Headers: of Ethernet 14, of IP 20, of UDP 8.
    let row = format!("{:>12} {:>12}", 3, 7 + 500 + 1200 + 3 * 42);
    example.read_until(&row, |text| text.lines().any(|line| line == row));
}

/// Why a test cannot see its own calls of `malloc`; `None` if it can.
fn no_libc() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let dynamic = maps.lines().any(|line| line.ends_with("/libc.so.6"));
    (!dynamic).then(|| "this test has no /libc.so.6".to_owned())
}

#[test]
fn malloc_sizes_has_the_sizes_of_a_process() {
    needs!(Uprobe);
    if let Some(pid) = role() {
        return malloc_sizes::run(pid.parse().unwrap(), u64::MAX).unwrap();
    }
    needs_tried!("libc", no_libc());
    let test = "malloc_sizes_has_the_sizes_of_a_process";
    let pid = std::process::id().to_string();
    let heading = format!("Counting the sizes of process {pid}...");
    let mut example = Example::start(test, &pid, &heading);
    for _ in 0..100 {
        black_box(Vec::<u8>::with_capacity(black_box(5 << 20)));
    }
    example.read_until("100 sizes", |text| counted_from(text, 4 << 20) >= 100);
    // Nobody else allocates so much here.
    assert_eq!(counted_from(&example.text, 4 << 20), 100, "{}", example.text);
    assert_eq!(counted_from(&example.text, 8 << 20), 0, "{}", example.text);
}

#[cfg(feature = "elf")]
#[test]
fn load_object_counts_the_calls_of_a_process() {
    needs!(Tracepoint);
    needs_tried!("clang", no_program("clang"));
    if let Some(arguments) = role() {
        let (pid, file) = arguments.split_once(' ').unwrap();
        return load_object::run(file, pid.parse().unwrap(), u64::MAX).unwrap();
    }
    let folder = Folder::new();
    let object = folder.path().join("load_object.o");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/load_object.c");
    let options = ["-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c"];
    let made = Command::new("clang").args(options).arg(source).arg("-o").arg(&object).status();
    assert!(made.unwrap().success());
    let test = "load_object_counts_the_calls_of_a_process";
    // A process that does nothing but sleep until it is told to make its calls.
    let mut calls = Command::new("sh");
    calls.args([
        "-c",
        "read line; i=0; while [ $i -lt 1000 ]; do kill -0 $$; i=$((i+1)); done; read line",
    ]);
    let mut calls = calls.stdin(Stdio::piped()).spawn().unwrap();
    let pid = calls.id();
    let heading = format!("Counting the system calls of process {pid}...");
    let mut example =
        Example::start(test, &format!("{pid} {}", object.to_str().unwrap()), &heading);
    let mut input = calls.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"go\n").unwrap();
    // Besides these it reads both lines, a byte at a time.
    let counted =
        |text: &str| text.lines().filter_map(|line| line.parse::<u64>().ok()).sum::<u64>();
    example.read_until("1000 calls", |text| counted(text) >= 1000);
    assert!(counted(&example.text) < 1020, "{}", example.text);
    drop(input);
    calls.wait().unwrap();
}

/// What a reader is promised of them.
#[test]
fn examples_are_short() {
    needs!(Cargo);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in [
        "execsnoop_perf",
        "execsnoop_ringbuf",
        "latency",
        "load_object",
        "malloc_sizes",
        "syscount",
        "xdp_count",
    ] {
        let lines = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
        assert!(lines.lines().count() < 60, "{name}");
    }
}
