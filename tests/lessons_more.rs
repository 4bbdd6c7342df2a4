//! The lessons from 11 on of `lessons/`: each runs, sees what the test does, and prints it as it should.
#![allow(dead_code, clippy::duplicate_mod, reason = "each lesson has a `main` and its `lesson`")]

mod common;
#[path = "../lessons/examples/lesson_11_urandomread.rs"]
mod lesson_11_urandomread;
#[path = "../lessons/examples/lesson_12_disksnoop.rs"]
mod lesson_12_disksnoop;
#[path = "../lessons/examples/lesson_13_strlen_count.rs"]
mod lesson_13_strlen_count;
#[path = "../lessons/examples/lesson_14_http_requests.rs"]
mod lesson_14_http_requests;
#[path = "../lessons/examples/lesson_15_task_switch.rs"]
mod lesson_15_task_switch;
#[path = "../lessons/examples/lesson_16_icmp_rcv.rs"]
mod lesson_16_icmp_rcv;
#[path = "../lessons/examples/lesson_17_socket_filter.rs"]
mod lesson_17_socket_filter;
#[path = "../lessons/examples/lesson_18_xdp.rs"]
mod lesson_18_xdp;
#[path = "../lessons/examples/lesson_19_setuid_monitor.rs"]
mod lesson_19_setuid_monitor;

use common::lessons::{Lesson, Run};
use common::requires::{Thing, needs, needs_tried};
use common::{Folder, no_program};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::{Pid, gettid};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write, pipe};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The words of a line, without the spaces between columns.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A thread asks for 16 bytes.
#[test]
fn lesson_11_urandomread() {
    needs!(Tracepoint);
    let heading = "TIME(s)            COMM             PID    GOTBITS";
    let mut lesson = Lesson::start(lesson_11_urandomread::run, heading);
    let threads = Mutex::new(HashSet::new());
    let seen = |text: &str| {
        text.lines().any(|line| {
            let words = words(line);
            let thread = words.iter().rev().nth(1).and_then(|pid| pid.parse::<i32>().ok());
            let ours = thread.is_some_and(|tid| threads.lock().unwrap().contains(&tid));
            ours && words.last() == Some(&"128")
        })
    };
    lesson.wait_for("128 bits of a thread of ours", seen, || {
        let thread = std::thread::spawn(|| {
            common::random::getrandom(16);
            gettid().as_raw()
        });
        threads.lock().unwrap().insert(thread.join().unwrap());
    });
    lesson.stop();
}

/// Of no other's requests, and little enough to lie in one piece in every file system.
const SIZE: usize = 11 * 4096;

/// Writes to a disk, past the page cache: one request of [`SIZE`] bytes.
fn write_to_disk(file: &File) {
    // Such a write has to come from memory that is aligned as the disk's blocks are.
    let memory = vec![b'x'; SIZE + 4096];
    let start = memory.as_ptr().align_offset(4096);
    file.write_all_at(&memory[start..][..SIZE], 0).unwrap();
}

#[test]
fn lesson_12_disksnoop() {
    needs!(Tracepoint, Btf);
    let folder = Folder::on_disk();
    needs_tried!("disk", folder.as_ref().err().cloned());
    let folder = folder.unwrap_or_else(|why| panic!("{why}"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).custom_flags(libc::O_DIRECT);
    let file = options.open(folder.path().join("file")).unwrap();

    let heading = "TIME(s)            T  BYTES    LAT(ms)";
    let mut lesson = Lesson::start(lesson_12_disksnoop::run, heading);
    let seen = |text: &str| {
        text.lines().any(|line| match words(line)[..] {
            [time, "W", bytes, latency] => {
                let time = time.parse::<f64>().is_ok_and(|time| time > 0.0);
                time && bytes == SIZE.to_string() && latency.parse::<f64>().is_ok()
            }
            _ => false,
        })
    };
    lesson.wait_for("a write of that size", seen, || write_to_disk(&file));
    lesson.stop();
}

/// `printf` of bash's measures what it prints as a string; what is printed here nobody else prints.
#[test]
fn lesson_13_strlen_count() {
    needs!(Uprobe);
    needs_tried!(
        "bash",
        (!Path::new("/bin/bash").exists()).then(|| "there is no /bin/bash".to_owned())
    );
    let lesson = Lesson::start(lesson_13_strlen_count::run, "Tracing strlen()...");
    let string = format!("rawbpf lesson 13 {}", std::process::id());
    const TIMES: usize = 25;
    let script = format!("for i in {{1..{TIMES}}}; do printf %s \"$0\" >/dev/null; done");
    let status = Command::new("/bin/bash").args(["-c", &script, &string]).status().unwrap();
    assert!(status.success());
    let text = lesson.stop();
    let counts = text.split_once("     COUNT STRING\n").map_or("", |(_, counts)| counts);
    let count = counts.lines().find_map(|line| {
        let (count, found) = line.trim_start().split_once(' ')?;
        (found == format!("{string:?}")).then(|| count.parse::<usize>().ok()).flatten()
    });
    assert!(count.is_some_and(|count| count >= TIMES), "{string:?} {count:?} in: {text}");
    // What was seen most often comes last.
    let counts: Vec<usize> =
        counts.lines().filter_map(|line| words(line).first()?.parse().ok()).collect();
    assert!(counts.is_sorted() && !counts.is_empty(), "{text}");
}

/// The lesson prints the requests that a client makes of its server, and none from before it was attached.
#[test]
fn lesson_14_http_requests() {
    needs!(Uprobe, Tracefs);
    let heading = "TIME(s)            COMM             PID    ARGS";
    let mut lesson = Lesson::start(lesson_14_http_requests::run, heading);
    let text = lesson.text();
    let (_, rest) = text.split_once("http://").unwrap();
    let address = rest.split_once('/').unwrap().0.to_owned();
    let path = format!("/lesson?{}", std::process::id());
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nHello, World!\n"), "{answer}");
    };
    let wanted = format!("path:{path}");
    let seen = |text: &str| {
        text.lines().any(|line| {
            let words = words(line);
            words.get(1) == Some(&"http") && words.last() == Some(&wanted.as_str())
        })
    };
    lesson.wait_for("the path", seen, || ask(&path));
    // More of a path than the program reads is cut, and ends with a NUL all the same.
    let long = format!("/{}", "x".repeat(300));
    // (Before Linux 5.13 `trace_printk` prints 63 characters of a string.)
    let cuts = [126, 62].map(|most| format!("path:/{}\n", "x".repeat(most)));
    let cut = |text: &str| cuts.iter().any(|cut| text.contains(cut));
    lesson.wait_for("the long path", cut, || ask(&long));
    lesson.stop();
}

/// Two threads on one CPU that wait for each other, many times: the CPU goes from the one to the other and back.
#[test]
fn lesson_15_task_switch() {
    needs!(Kprobe, Btf);
    const ROUNDS: u64 = 200;
    let lesson = Lesson::start(lesson_15_task_switch::run, "Tracing task switches...");
    let (mut from_one, mut to_two) = pipe().unwrap();
    let (mut from_two, mut to_one) = pipe().unwrap();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(move || {
            on_one_cpu();
            for _ in 0..ROUNDS {
                to_two.write_all(b"x").unwrap();
                from_two.read_exact(&mut [0]).unwrap();
            }
            gettid().as_raw()
        });
        let two = scope.spawn(move || {
            on_one_cpu();
            for _ in 0..ROUNDS {
                from_one.read_exact(&mut [0]).unwrap();
                to_one.write_all(b"x").unwrap();
            }
            gettid().as_raw()
        });
        (one.join().unwrap(), two.join().unwrap())
    });
    let text = lesson.stop();
    for (from, to) in [(one, two), (two, one)] {
        let line = format!("task_switch[{from:>5}->{to:>5}]=");
        let count = text.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok());
        // Somebody else may come between, now and then.
        assert!(count.is_some_and(|count| count > ROUNDS / 2), "{line}{count:?} in: {text}");
    }
}

/// The same CPU for every thread that asks.
fn on_one_cpu() {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(this, &one).unwrap();
}

/// A ping over loopback is a request and a reply. What comes for a port that nobody listens to is answered, too.
/// Why `ping` cannot be answered, whatever a lesson sees: an emulated s390x adds up checksums wrong, and the kernel drops what it has
/// just sent to itself. `None` if it is answered, or lost for another reason.
fn wrong_checksums() -> Option<String> {
    let errors = || {
        let text = std::fs::read_to_string("/proc/net/snmp").unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
        let (names, numbers) = (lines.next()?.split(' '), lines.next()?.split(' '));
        let (_, number) = names.zip(numbers).find(|(name, _)| *name == "InCsumErrors")?;
        number.parse::<u64>().ok()
    };
    let before = errors()?;
    let mut ping = Command::new("ping");
    let ping = ping.args(["-c", "1", "-W", "2", "127.0.0.1"]).stdout(Stdio::null());
    let answered = ping.status().is_ok_and(|status| status.success());
    let wrong = errors()?.saturating_sub(before);
    (!answered && wrong > 0).then(|| {
        format!("a ping of this machine to itself is not answered: {wrong} checksum errors")
    })
}

#[test]
fn lesson_16_icmp_rcv() {
    needs!(Kprobe, Btf);
    needs_tried!("ping", no_program("ping"));
    needs_tried!("checksums", wrong_checksums());
    let heading = "PID    COMM         SADDR            DADDR            TYPE CODE";
    let mut lesson = Lesson::start(lesson_16_icmp_rcv::run, heading);
    let pings = Mutex::new(HashSet::new());
    let local = "127.0.0.1";
    let from_ping = |text: &str, kind: &str| {
        text.lines().any(|line| match words(line)[..] {
            [pid, "ping", from, to, found, "0"] if from == local && to == local => {
                found == kind && pings.lock().unwrap().contains(pid)
            }
            _ => false,
        })
    };
    // Echo request and echo reply.
    let both = |text: &str| from_ping(text, "8") && from_ping(text, "0");
    lesson.wait_for("a ping and its answer", both, || {
        let mut ping = Command::new("ping");
        ping.args(["-c", "1", local]).stdout(Stdio::null());
        let mut ping = ping.spawn().unwrap();
        pings.lock().unwrap().insert(ping.id().to_string());
        assert!(ping.wait().unwrap().success());
    });
    // Destination unreachable, and that for want of a port.
    let own = std::process::id().to_string();
    let refused = |text: &str| {
        text.lines().any(|line| match words(line)[..] {
            [pid, .., from, to, "3", "3"] => pid == own && from == local && to == local,
            _ => false,
        })
    };
    lesson.wait_for("an unreachable port", refused, || {
        let gone = UdpSocket::bind((local, 0)).unwrap().local_addr().unwrap();
        UdpSocket::bind((local, 0)).unwrap().send_to(b"x", gone).unwrap();
    });
    lesson.stop();
}

/// Sends packets over loopback, and waits for the lines about them. In a network of its own, so that there are no others.
fn sees_packets(run: Run, times: usize) {
    let test = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        let heading = format!("CPU {:<32} {:<32} PROTO LEN", "SRC IP", "DST IP");
        let mut lesson = Lesson::start(run, &heading);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        // Headers: of Ethernet 14, of IP 20, of UDP 8. The second is longer than what is sent of it.
        let sizes = [7usize, 500];
        for size in sizes {
            socket.send(&vec![b'x'; size]).unwrap();
        }
        let line =
            |size: usize| ["127.0.0.1", "127.0.0.1", "UDP", &(size + 42).to_string()].join(" ");
        let count = |text: &str, size| {
            text.lines().filter(|found| words(found)[1..].join(" ") == line(size)).count()
        };
        let all = |text: &str| sizes.iter().all(|size| count(text, *size) >= times);
        lesson.wait_for("both packets", all, || {});
        let text = lesson.stop();
        // Each as often as it passed, and nothing else besides the heading.
        assert_eq!(sizes.map(|size| count(&text, size)), [times; 2], "{text}");
        assert_eq!(text.lines().count(), 1 + 2 * times, "{text}");
    };
    // A thread has a network of its own when it asks for one, and so have those that it starts.
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn lesson_17_socket_filter() {
    needs!(Root, Bpf, Btf);
    needs_tried!("ip", no_program("ip"));
    sees_packets(lesson_17_socket_filter::run, 2);
}

#[test]
fn lesson_18_xdp() {
    needs!(Root, Bpf, Btf);
    needs_tried!("ip", no_program("ip"));
    sees_packets(lesson_18_xdp::run, 1);
}

#[test]
fn lesson_19_setuid_monitor() {
    needs!(Root, Tracepoint, Btf);
    let heading = "TIME(s)        COMMAND      PID    UID";
    let mut lesson = Lesson::start(lesson_19_setuid_monitor::run, heading);
    // A user that nobody is.
    let uid = 271_828;
    let children = Mutex::new(HashSet::new());
    let seen = |text: &str| {
        text.lines().any(|line| match words(line)[..] {
            [time, .., pid, user] => {
                let ours = children.lock().unwrap().contains(pid);
                ours && user == uid.to_string() && time.parse::<f64>().is_ok()
            }
            _ => false,
        })
    };
    lesson.wait_for("that user", seen, || {
        let mut child = Command::new("true").uid(uid).spawn().unwrap();
        children.lock().unwrap().insert(child.id().to_string());
        child.wait().unwrap();
    });
    lesson.stop();
}
