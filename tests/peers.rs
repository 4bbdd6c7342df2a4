//! Lessons beside a peer: Debian's `bpftrace` watches the same events, by a script that shares nothing with the lesson,
//! and both count as many as were made. Either may lack as many as it reports to have missed.
#![allow(dead_code, clippy::duplicate_mod, reason = "each lesson has a `main` and its `lesson`")]

#[path = "peers/bpftrace.rs"]
mod bpftrace;
mod common;
#[path = "peers/events.rs"]
mod events;
#[path = "../lessons/examples/lesson_05_disksnoop.rs"]
mod lesson_05_disksnoop;
#[path = "../lessons/examples/lesson_11_urandomread.rs"]
mod lesson_11_urandomread;
#[path = "../lessons/examples/lesson_12_disksnoop.rs"]
mod lesson_12_disksnoop;
#[path = "../lessons/examples/lesson_13_strlen_count.rs"]
mod lesson_13_strlen_count;
#[path = "../lessons/examples/lesson_14_http_requests.rs"]
mod lesson_14_http_requests;
#[path = "../lessons/examples/lesson_17_socket_filter.rs"]
mod lesson_17_socket_filter;
#[path = "../lessons/examples/lesson_18_xdp.rs"]
mod lesson_18_xdp;
#[path = "../lessons/examples/lesson_19_setuid_monitor.rs"]
mod lesson_19_setuid_monitor;
#[path = "peers/trace.rs"]
mod trace;

use bpftrace::{Bpftrace, Maps, alone};
use common::lessons::{Lesson, Run};
use common::requires::{Thing, needs, needs_tried};
use common::{Folder, no_program};
use events::{OnDisk, SECTOR};
use nix::sched::{CloneFlags, unshare};
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use trace::KernelTrace;

/// The number of events that both are to count.
const TIMES: usize = 200;

/// The number of lines of a text that end with these words.
fn lines(text: &str, end: &[&str]) -> usize {
    let ends = |line: &&str| line.split_whitespace().collect::<Vec<_>>().ends_with(end);
    text.lines().filter(ends).count()
}

/// A number that no other process uses at this time: derived from this process's.
fn own(most: u32) -> u32 {
    std::process::id() % most
}

/// Ends a lesson; gives what it has printed and how many events it has missed.
fn stop(lesson: Lesson) -> (String, u64) {
    let missed = bpftrace::missed("self");
    (lesson.stop(), missed)
}

/// Both have counted this many, less the number that each is known to have missed.
#[track_caller]
fn agree(ours: (usize, u64), theirs: u64, times: usize, words: (&str, &Maps)) {
    let (ours, missed) = (ours.0 as u64, ours.1);
    let fit = |count, missed| (count..=count + missed).contains(&(times as u64));
    let fits = fit(ours, missed) && fit(theirs, words.1.missed);
    assert!(fits, "{ours} (missed: {missed}), {theirs} of {times}: {words:?}");
}

/// The number of lines of a lesson about disks, `TIME T BYTES LAT`, that are about reads of this size.
fn reads(text: &str, bytes: usize) -> usize {
    let row = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.len() == 4 && words[1] == "R" && words[2] == bytes.to_string()
    };
    text.lines().filter(row).count()
}

/// Sizes of requests that no other process makes: one that shows that all readers listen, one that is counted, one that
/// shows that all has come.
fn sizes() -> [usize; 3] {
    [1, 3, 5].map(|sectors| own(8) as usize * 4096 + sectors * SECTOR)
}

const DISK: &str = "TIME(s)            T  BYTES    LAT(ms)";

/// A disk's requests, when it is done with them, as programs see them: the lesson and the peer count as many. Where a kernel leaves
/// programs out (see [`trace::no_guest`]), it leaves out both. The requests themselves, which come from this process, are all seen.
#[track_caller]
fn agree_on_disk(run: Run, disk: &OnDisk) {
    let [before, counted, after] = sizes();
    let script = format!(
        "tracepoint:block:block_rq_issue {{
            if (args->bytes == {counted}) {{ @issued[args->dev] = count(); }}
        }}
        tracepoint:block:block_rq_complete {{
            if (args->nr_sector * 512 == {before}) {{ printf(\"seen\\n\"); }}
            if (args->nr_sector * 512 == {counted}) {{ @done[args->dev] = count(); }}
        }}"
    );
    let mut lesson = Lesson::start(run, DISK);
    let peer = Bpftrace::start(&script, &["seen"], || disk.read(before));
    for _ in 0..TIMES {
        disk.read(counted);
    }
    let maps = peer.stop();
    lesson.wait_for("the last", |text| reads(text, after) > 0, || disk.read(after));
    let (text, missed) = stop(lesson);
    // A disk may be made of others, and each has its request then.
    let total = |map: &str| maps.counts(map).iter().map(|(_, count)| count).sum::<u64>();
    let times = (TIMES * maps.counts("@issued").len().max(1)) as u64;
    let (issued, theirs, ours) = (total("@issued"), total("@done"), reads(&text, counted) as u64);
    let words = format!("{ours} (missed: {missed}), {theirs}, issued {issued}: {text}, {maps:?}");
    assert!((issued..=issued + maps.missed).contains(&times), "{words}");
    // What each is known to have missed, the other may have.
    assert!(ours <= theirs + maps.missed && theirs <= ours + missed, "{words}");
    assert!(ours <= times && theirs <= times, "{words}");
}

/// A disk's requests, all of them, beside the kernel's own trace.
#[track_caller]
fn all_of_disk(run: Run, disk: &OnDisk) {
    let [before, counted, after] = sizes();
    let filter = format!("nr_sector == {}", counted / SECTOR);
    let kernel = KernelTrace::start("block/block_rq_complete", &filter);
    let mut lesson = Lesson::start(run, DISK);
    lesson.wait_for("the first", |text| reads(text, before) > 0, || disk.read(before));
    for _ in 0..TIMES {
        disk.read(counted);
    }
    lesson.wait_for("the last", |text| reads(text, after) > 0, || disk.read(after));
    let (text, missed) = stop(lesson);
    let (ours, all) = (reads(&text, counted), kernel.count());
    assert!(all >= TIMES && all.is_multiple_of(TIMES), "{all} in the kernel's own trace");
    assert_eq!((ours, missed), (all, 0), "{text}");
}

#[test]
fn lesson_05_has_all_requests_of_a_disk() {
    needs!(Root, Tracepoint, Btf);
    needs_tried!("guest", trace::no_guest());
    let _alone = alone();
    let on_disk = OnDisk::new();
    needs_tried!("disk", on_disk.as_ref().err());
    all_of_disk(lesson_05_disksnoop::run, &on_disk.unwrap());
}

#[test]
fn lesson_12_has_all_requests_of_a_disk() {
    needs!(Root, Tracepoint, Btf);
    needs_tried!("guest", trace::no_guest());
    let _alone = alone();
    let on_disk = OnDisk::new();
    needs_tried!("disk", on_disk.as_ref().err());
    all_of_disk(lesson_12_disksnoop::run, &on_disk.unwrap());
}

#[test]
fn lesson_05_disksnoop() {
    needs!(Tracepoint, Btf);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    let on_disk = OnDisk::new();
    needs_tried!("disk", on_disk.as_ref().err());
    agree_on_disk(lesson_05_disksnoop::run, &on_disk.unwrap());
}

#[test]
fn lesson_11_urandomread() {
    needs!(Tracepoint);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    // Nobody else asks for so many bytes.
    let [before, counted, after] = [2000, 4000, 6000].map(|size| size + own(1000) as usize);
    let script = format!(
        "tracepoint:syscalls:sys_enter_getrandom {{
            if (args->len == {before}) {{ printf(\"seen\\n\"); }}
            if (args->len == {counted}) {{ @ = count(); }}
        }}"
    );
    let heading = "TIME(s)            COMM             PID    GOTBITS";
    let mut lesson = Lesson::start(lesson_11_urandomread::run, heading);
    let peer = Bpftrace::start(&script, &["seen"], || common::random::getrandom(before));
    for _ in 0..TIMES {
        common::random::getrandom(counted);
    }
    let maps = peer.stop();
    let seen = |text: &str, bytes: usize| lines(text, &[&(8 * bytes).to_string()]);
    lesson.wait_for("the last", |text| seen(text, after) > 0, || common::random::getrandom(after));
    let (text, missed) = stop(lesson);
    // The trace is everybody's: when others print too much, lines are lost, which may have been of ours.
    let lost = text.lines().find_map(|line| line.strip_suffix(" lines were lost"));
    let lost: u64 = lost.map_or(0, |lost| lost.parse().unwrap());
    let ours = seen(&text, counted);
    agree((ours, missed + lost), maps.count("@"), TIMES, (&text, &maps));
}

#[test]
fn lesson_12_disksnoop() {
    needs!(Tracepoint, Btf);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    let on_disk = OnDisk::new();
    needs_tried!("disk", on_disk.as_ref().err());
    agree_on_disk(lesson_12_disksnoop::run, &on_disk.unwrap());
}

#[test]
fn lesson_13_strlen_count() {
    needs!(Uprobe);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    let place = events::place_of_strlen();
    needs_tried!(
        "libc_so",
        place.is_none().then(|| "this program was built without shared libraries".to_owned())
    );
    let (file, address) = place.unwrap();
    let string = |what| format!("rawbpf's peers {what} {}", std::process::id());
    let [before, counted] = ["before", "counted"].map(string);
    // `strlen` is but what chooses one of several functions, when a process starts.
    let script = format!(
        "uprobe:{file}:{address:#x} {{
            if (str(arg0) == \"{before}\") {{ printf(\"seen\\n\"); }}
            if (str(arg0) == \"{counted}\") {{ @ = count(); }}
        }}"
    );
    let [before, of_c] = [&before, &counted].map(|text| CString::new(text.as_str()).unwrap());
    let peer = Bpftrace::start(&script, &["seen"], || events::strlen(&before));
    // Now, and not before: it has room for so many strings, and every process of the machine brings some.
    let lesson = Lesson::start(lesson_13_strlen_count::run, "Tracing strlen()...");
    for _ in 0..TIMES {
        events::strlen(&of_c);
    }
    let maps = peer.stop();
    let (text, missed) = stop(lesson);
    let ours = text.lines().find_map(|line| {
        let (count, found) = line.trim_start().split_once(' ')?;
        (found == format!("{counted:?}")).then(|| count.parse().ok())?
    });
    agree((ours.unwrap_or(0), missed), maps.count("@"), TIMES, (&text, &maps));
}

#[test]
fn lesson_14_http_requests() {
    needs!(Uprobe, Tracefs);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    let heading = "TIME(s)            COMM             PID    ARGS";
    let mut lesson = Lesson::start(lesson_14_http_requests::run, heading);
    let text = lesson.text();
    let address = text.split_once("http://").unwrap().1.split_once('/').unwrap().0;
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
    };
    let path = |what| format!("/{what}?{}", std::process::id());
    let [before, counted, after] = ["before", "counted", "after"].map(path);
    // A path that a script can name.
    let folder = Folder::new();
    let program = folder.path().join("program");
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let script = format!(
        "usdt:{}:rawbpf_lesson:http__server__request {{
            if (str(arg5) == \"{before}\") {{ printf(\"seen\\n\"); }}
            if (str(arg5) == \"{counted}\") {{ @ = count(); }}
        }}",
        program.display()
    );
    let peer = Bpftrace::start(&script, &["seen"], || ask(&before));
    for _ in 0..TIMES {
        ask(&counted);
    }
    let maps = peer.stop();
    let seen = |text: &str, path: &str| lines(text, &[&format!("path:{path}")]);
    lesson.wait_for("the last", |text| seen(text, &after) > 0, || ask(&after));
    let (text, missed) = stop(lesson);
    agree((seen(&text, &counted), missed), maps.count("@"), TIMES, (&text, &maps));
}

/// Packets over loopback, in a network of their own, of which the lesson sees each so many `times`, the peer once on its
/// way out and once on its way in.
fn packets(run: Run, times: usize) {
    let test = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        // net:[4026532177]
        let network = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let network = network.to_str().unwrap().strip_prefix("net:[").unwrap();
        let network = network.strip_suffix(']').unwrap();

        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        let send = |size: usize| {
            socket.send(&vec![b'x'; size]).unwrap();
            assert_eq!(socket.recv(&mut vec![0; size]).unwrap(), size);
        };
        // Headers: of Ethernet 14, which is off when a packet comes in, of IP 20, of UDP 8.
        let [before, counted] = [100, 500];
        let probe = |name: &str, map: &str, header: usize| {
            format!(
                "tracepoint:net:{name} {{
                    $packet = (struct sk_buff *)args->skbaddr;
                    if ($packet->dev->nd_net.net->ns.inum == {network}) {{
                        if (args->len == {}) {{ printf(\"{map}\\n\"); }}
                        if (args->len == {}) {{ @{map} = count(); }}
                    }}
                }}\n",
                before + header + 28,
                counted + header + 28,
            )
        };
        let script = probe("net_dev_start_xmit", "out", 14) + &probe("netif_receive_skb", "in", 0);

        let heading = format!("CPU {:<32} {:<32} PROTO LEN", "SRC IP", "DST IP");
        let mut lesson = Lesson::start(run, &heading);
        let peer = Bpftrace::start(&script, &["out", "in"], || send(before));
        for _ in 0..TIMES {
            send(counted);
        }
        let maps = peer.stop();
        let length = (counted + 42).to_string();
        let line = ["127.0.0.1", "127.0.0.1", "UDP", length.as_str()];
        let all = |text: &str| lines(text, &line) >= times * TIMES;
        lesson.wait_for("all packets", all, || {});
        let (text, missed) = stop(lesson);
        let ours = lines(&text, &line);
        assert_eq!(ours % times, 0, "{text}");
        for map in ["@out", "@in"] {
            agree((ours / times, missed), maps.count(map), TIMES, (&text, &maps));
        }
    };
    // A thread has a network of its own when it asks for one, and so have those that it starts.
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn lesson_17_socket_filter() {
    needs!(Root, Tracepoint, Btf);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    needs_tried!("ip", no_program("ip"));
    packets(lesson_17_socket_filter::run, 2);
}

#[test]
fn lesson_18_xdp() {
    needs!(Root, Tracepoint, Btf);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    needs_tried!("ip", no_program("ip"));
    packets(lesson_18_xdp::run, 1);
}

#[test]
fn lesson_19_setuid_monitor() {
    needs!(Root, Tracepoint);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let _alone = alone();
    // Users that nobody is.
    let [before, counted] = [1_000_000_000, 1_200_000_000].map(|uid| uid + own(1 << 22));
    let script = format!(
        "tracepoint:syscalls:sys_enter_setuid {{
            if (args->uid == {before}) {{ printf(\"seen\\n\"); }}
            if (args->uid == {counted}) {{ @ = count(); }}
        }}"
    );
    let heading = "TIME(s)        COMMAND      PID    UID";
    let mut lesson = Lesson::start(lesson_19_setuid_monitor::run, heading);
    let peer = Bpftrace::start(&script, &["seen"], || events::setuid(before));
    for _ in 0..TIMES {
        events::setuid(counted);
    }
    let maps = peer.stop();
    let seen = |text: &str| lines(text, &[&counted.to_string()]);
    lesson.wait_for("all of them", |text| seen(text) >= TIMES, || {});
    let (text, missed) = stop(lesson);
    agree((seen(&text), missed), maps.count("@"), TIMES, (&text, &maps));
}
