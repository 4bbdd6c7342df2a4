//! `rawbpf trace`: programs of a text that see what a command does, what they report of it, and what is in their maps
//! when the run has ended.
//!
//! The event is `getsid(2)`, which nobody calls by chance, and never with such numbers.
#![allow(unsafe_code, reason = "functions with frame pointers, in assembly language")]

mod common;
#[path = "common/frames.rs"]
mod frames;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, bpf_ids, rawbpf, role, said, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use rawbpf::map::{Map, Update};
use rawbpf::{MapSpec, MapType};
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// There is one trace buffer, and a program on `getsid` sees the calls of every test.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the arguments of `getsid` in a hash table.
const COUNT: &str = "\
.license \"GPL\"
.map counts, hash, key=8, value=8, max=1024
.program count_sid, tracepoint/syscalls/sys_enter_getsid
\tr1 = *(u64 *)(r1 + 16)
\t*(u64 *)(r10 - 8) = r1
\tr1 = counts ll
\tr2 = r10
\tr2 += -8
\tcall map_lookup_elem
\tif r0 == 0 goto first
\tr1 = 1
\tlock *(u64 *)(r0 + 0) += r1
\tr0 = 0
\texit
first:
\t*(u64 *)(r10 - 16) = 1
\tr1 = counts ll
\tr2 = r10
\tr2 += -8
\tr3 = r10
\tr3 += -16
\tr4 = 0
\tcall map_update_elem
\tr0 = 0
\texit
";

/// Counts the arguments of `getsid` in an array, from 7000 on.
fn array(map: &str, kind: &str, max: u32) -> String {
    format!(
        "\
.license \"GPL\"
.map {map}, {kind}, key=4, value=8, max={max}
.program bucket_sid
\tr1 = *(u64 *)(r1 + 16)
\tr1 -= 7000
\t*(u32 *)(r10 - 4) = w1
\tr1 = {map} ll
\tr2 = r10
\tr2 += -4
\tcall map_lookup_elem
\tif r0 == 0 goto out
\tr1 = 1
\tlock *(u64 *)(r0 + 0) += r1
out:
\tr0 = 0
\texit
"
    )
}

/// Sends the argument and a word.
fn send(map: &str, call: &str) -> String {
    format!(
        "\
.license \"GPL\"
.map {map}
.program send_sid, tracepoint/syscalls/sys_enter_getsid
\tr6 = r1
\tr7 = *(u64 *)(r6 + 16)
\tif r7 < 7000 goto out
\t*(u64 *)(r10 - 16) = r7
\t*(u8 *)(r10 - 8) = \"getsid!\"
{call}
out:
\tr0 = 0
\texit
"
    )
}

const PERF_OUTPUT: &str = "\
\tr1 = r6
\tr2 = events ll
\tr3 = 0xffffffff ll
\tr4 = r10
\tr4 += -16
\tr5 = 16
\tcall perf_event_output";

const RINGBUF_OUTPUT: &str = "\
\tr1 = ring ll
\tr2 = r10
\tr2 += -16
\tr3 = 16
\tr4 = 0
\tcall ringbuf_output";

const PRINT: &str = "\
.license \"GPL\"
.program print_sid, tracepoint/syscalls/sys_enter_getsid
\tr3 = *(u64 *)(r1 + 16)
\tif r3 < 7000 goto out
\t*(u8 *)(r10 - 8) = \"sid %d\\n\"
\tr1 = r10
\tr1 += -8
\tr2 = 8
\tcall trace_printk
out:
\tr0 = 0
\texit
";

const TARGET: &str = "tracepoint:syscalls/sys_enter_getsid";

/// The calls that the command makes: three, one and two of a number.
const CALLS: [i32; 6] = [7001, 7003, 7001, 7002, 7003, 7001];

/// The table of their counts, as it is printed.
const TABLE: &str =
    "\ncounts:\n     VALUE KEY\n         1 7002\n         2 7003\n         3 7001\n";

/// The command that makes them: this program with one test that plays a role.
const CALLER: &str = "what_is_traced_makes_its_calls";

fn call_all() {
    for number in CALLS {
        let _ = getsid(Some(Pid::from_raw(number)));
    }
}

#[test]
fn what_is_traced_makes_its_calls() {
    needs!(Tracepoint, Bpf);
    match role() {
        Some(role) if role == "framed" => (0..3).for_each(|_| frames::getsid(7002)),
        Some(role) if role == "parent" => {
            let status = common::this_test_as(CALLER, "framed").status().unwrap();
            assert!(status.success());
        }
        Some(role) if role == "devices" => fill_map_of_devices(),
        Some(_) => call_all(),
        // It is a command that does as it is told.
        None => {
            let _alone = alone();
            assert!(trace(&[], COUNT).status.success());
        }
    }
}

/// The command with a text, while the caller runs.
fn trace(args: &[&str], text: &str) -> Output {
    trace_as("caller", args, text)
}

/// The same with a caller that plays another part.
fn trace_as(role: &str, args: &[&str], text: &str) -> Output {
    let caller = std::env::current_exe().unwrap();
    let mut command = Command::new(rawbpf());
    // What the caller says of itself would be among what is printed of it.
    let quiet = ["sh", "-c", "exec \"$0\" \"$@\" > /dev/null"];
    command.arg("trace").args(args).args(["-", "--"]).args(quiet).arg(caller);
    command.args(["--exact", CALLER, "--nocapture", "--test-threads=1"]);
    start(command.env(common::ROLE, role), text).wait_with_output().unwrap()
}

fn start(command: &mut Command, text: &str) -> Child {
    let mut child = command
        .env_remove("RAWBPF_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have gone before it reads: the command line was wrong.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn objects(output: &Output) -> Vec<Value> {
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_prints(output: &Output, expected: &str) {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    assert_eq!(out(output), expected, "{}", said(output));
}

#[test]
fn a_hash_table_is_sorted_by_value() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    // Where the text says, and where the command line says.
    assert_prints(&trace(&[], COUNT), TABLE);
    assert_prints(&trace(&[TARGET], COUNT), TABLE);

    let done = trace(&["--format", "json"], COUNT);
    let expected = [(7002, 1), (7003, 2), (7001, 3)]
        .map(|(key, value)| serde_json::json!({ "map": "counts", "key": key, "value": value }));
    assert_eq!(objects(&done), expected, "{}", said(&done));
}

/// `perf_event_open(2)` has `pid` as its second argument, `getsid(2)` as the first.
#[test]
fn arguments_are_those_of_the_target_of_the_command_line() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let text = COUNT.replace("(r1 + 16)", "(r1 + args.pid)");
    assert_prints(&trace(&[], &text), TABLE);
    let elsewhere = text.replace("sys_enter_getsid", "sys_enter_perf_event_open");
    assert_prints(&trace(&[TARGET], &elsewhere), TABLE);
    let nowhere = text.replace(", tracepoint/syscalls/sys_enter_getsid", "");
    assert_prints(&trace(&[TARGET], &nowhere), TABLE);
}

#[test]
fn values_of_each_cpu_are_added_up() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let text = array("seen", "percpu_array", 8);
    let table = "\nseen:\n     VALUE KEY\n         1 2\n         2 3\n         3 1\n";
    assert_prints(&trace(&[TARGET], &text), table);
}

#[test]
fn arrays_that_count_are_histograms() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    // The lines as bcc prints them: three, one and two of a number, which here is the number of a bucket.
    let stars = |count| "*".repeat(count);
    let log2 = format!(
        "     value               : count     distribution
         0 -> 1          : 3        |{}|
         2 -> 3          : 1        |{:40}|
         4 -> 7          : 2        |{:40}|\n",
        stars(40),
        stars(13),
        stars(26)
    );
    for (name, kind, max) in
        [("dist", "array", 64), ("size_hist", "array", 20), ("dist", "percpu_array", 64)]
    {
        let text = array(name, kind, max);
        assert_prints(&trace(&[TARGET], &text), &format!("\n{name}:\n{log2}"));
    }
    let linear = format!(
        "     value         : count     distribution
        0          : 0        |{:40}|
        1          : 3        |{}|
        2          : 1        |{:40}|
        3          : 2        |{:40}|\n",
        "",
        stars(40),
        stars(13),
        stars(26)
    );
    let text = array("dist_linear", "array", 64);
    assert_prints(&trace(&[TARGET], &text), &format!("\ndist_linear:\n{linear}"));

    let done = trace(&[TARGET, "--format", "json"], &array("dist", "array", 64));
    let expected = serde_json::json!({
        "map": "dist", "histogram": "log2", "buckets": [
            { "min": 0, "max": 1, "count": 3 },
            { "min": 2, "max": 3, "count": 1 },
            { "min": 4, "max": 7, "count": 2 },
        ],
    });
    assert_eq!(objects(&done), [expected], "{}", said(&done));

    let done = trace(&[TARGET, "--format", "json"], &array("dist_linear", "array", 64));
    let expected = serde_json::json!({
        "map": "dist_linear", "histogram": "linear", "buckets": [
            { "min": 1, "max": 1, "count": 3 },
            { "min": 2, "max": 2, "count": 1 },
            { "min": 3, "max": 3, "count": 2 },
        ],
    });
    assert_eq!(objects(&done), [expected], "{}", said(&done));
}

#[test]
fn lines_of_trace_printk_are_shown() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let done = trace(&["--format", "json"], PRINT);
    let number = |row: &Value| row["message"].as_str()?.strip_prefix("sid ")?.parse::<i32>().ok();
    let rows = objects(&done);
    let (messages, times): (Vec<_>, Vec<_>) =
        rows.iter().filter_map(|row| Some((number(row)?, row["time_ns"].as_u64()?))).unzip();
    assert_eq!(messages, CALLS, "{}", said(&done));
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");

    let done = trace(&["--count", "2"], PRINT);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = out(&done);
    assert!(text.contains("TIME(s)            COMM             PID    MESSAGE\n"), "{text}");
    let rows: Vec<_> = text.lines().filter(|line| line.contains(" sid 70")).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert!(rows[0].ends_with(" sid 7001") && rows[1].ends_with(" sid 7003"), "{text}");
}

/// The kernel runs no program of a tracepoint while a call of `bpf(2)` changes a map, and a map of devices allocates an element for each
/// update.
#[test]
fn runs_that_the_kernel_leaves_out_are_reported() {
    needs!(Tracepoint, Bpf);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let counts = numbers.next().zip(numbers.next()) >= Some((6, 7));
    needs_tried!(
        "missed_runs",
        (!counts).then(|| format!("Linux {}: it does not count them", release.trim()))
    );
    let _alone = alone();
    let watcher = ".program watcher, tracepoint/kmem/kmalloc\n\tr0 = 0\n\texit\n";
    let done = trace_as("devices", &["--format", "json"], watcher);
    let warning = said(&done);
    let missed = warning.lines().find_map(|line| line.split_once(" runs of watcher were missed"));
    let missed = missed.and_then(|(before, _)| before.rsplit(' ').next()?.parse::<u32>().ok());
    // Others on the machine may change such a map, too.
    assert!(missed.is_some_and(|missed| missed >= DEVICES), "{warning}");
}

/// The elements of the map of devices, all of which are the loopback device.
const DEVICES: u32 = 20;

fn fill_map_of_devices() {
    let map = Map::create(&MapSpec::new("devices", MapType::DevMapHash, 4, 4, DEVICES)).unwrap();
    for key in 0..DEVICES {
        map.update(&key.to_ne_bytes(), &1_u32.to_ne_bytes(), Update::Any).unwrap();
    }
}

/// The records that are sent for each call: the number in the byte order of the machine, and the word.
fn sent() -> Vec<String> {
    let one = |number: i32| {
        let bytes = u64::try_from(number).unwrap().to_ne_bytes();
        bytes.iter().chain(b"getsid!\0").map(|byte| format!("{byte:02x}")).collect()
    };
    CALLS.map(one).into()
}

/// The time of `bpf_ktime_get_ns`.
fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[test]
fn samples_of_a_perf_event_array_are_shown() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let text = send("events, perf_event_array", PERF_OUTPUT);
    let before = monotonic_ns();
    let done = trace(&["--format", "json"], &text);
    let after = monotonic_ns();
    let objects = objects(&done);
    let mut data: Vec<_> = objects
        .iter()
        .map(|sample| {
            let time = sample["time_ns"].as_u64().unwrap();
            assert!((before..after).contains(&time), "{before} {time} {after}");
            assert_eq!(sample["map"], "events");
            assert!(sample["cpu"].is_u64());
            // The kernel fills 16 bytes up to 20.
            assert_eq!(sample["size"], 20, "{}", said(&done));
            sample["data"].as_str().unwrap()[..32].to_owned()
        })
        .collect();
    // The caller may have changed its CPU.
    let mut expected = sent();
    data.sort();
    expected.sort();
    assert_eq!(data, expected, "{}", said(&done));

    let before = monotonic_ns() / 1000;
    let text = out(&trace(&[], &text));
    let after = monotonic_ns() / 1000;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("TIME(s)        MAP              CPU  SIZE   DATA"));
    // The kernel's filling has a line of its own.
    let rows: Vec<_> = lines.filter(|line| line.contains("getsid!")).collect();
    assert_eq!(rows.len(), CALLS.len(), "{text}");
    for row in rows {
        let mut words = row.split_whitespace();
        let (seconds, rest) = words.next().unwrap().split_once('.').unwrap();
        assert_eq!((rest.len(), words.next()), (6, Some("events")), "{row}");
        let time = format!("{seconds}{rest}").parse::<u64>().unwrap();
        assert!((before..=after).contains(&time), "{before} {row} {after}");
    }
}

#[test]
fn records_of_a_ring_buffer_are_shown() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let text = send("ring, ringbuf, max=65536", RINGBUF_OUTPUT);
    let done = trace(&["--format", "json"], &text);
    let data: Vec<_> =
        objects(&done).iter().map(|row| row["data"].as_str().unwrap().to_owned()).collect();
    assert_eq!(data, sent(), "{}", said(&done));

    let done = trace(&[], &text);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = out(&done);
    let hex = "67 65 74 73 69 64 21 00  |";
    let rows: Vec<_> = text.lines().filter(|line| line.contains(hex)).collect();
    assert_eq!(rows.len(), CALLS.len(), "{text}");
    assert!(
        rows.iter().all(|row| row.starts_with("-              ring             -    16     ")),
        "{text}"
    );
    assert!(rows.iter().all(|row| row.ends_with("getsid!.|")), "{text}");
}

/// Counts in variables.
const VARIABLES: &str = "\
.license \"GPL\"
.data
calls: .quad 100
.bss
twos: .zero 8
none: .zero 8
.text
.program variables, tracepoint/syscalls/sys_enter_getsid
\tr3 = *(u64 *)(r1 + 16)
\tr1 = calls ll
\tr2 = 1
\tlock *(u64 *)(r1 + 0) += r2
\tif r3 != 7003 goto out
\tr1 = twos ll
\tlock *(u64 *)(r1 + 0) += r2
out:
\tr0 = 0
\texit
";

#[test]
fn variables_are_printed_by_their_names() {
    needs!(Tracepoint, Bpf, Btf);
    let _alone = alone();
    let tables = "\n.data:\n     VALUE KEY\n       106 calls\n\n.bss:\n     VALUE KEY\n         0 none\n         2 twos\n";
    assert_prints(&trace(&[], VARIABLES), tables);
}

/// Keeps the stack of the kernel at the call. At the tracepoint of all calls: that of one call has none of the kernel before
/// Linux 6.12 (see `tests/stacks.rs`).
fn stack() -> String {
    format!(
        "\
.license \"GPL\"
.map stacks, stack_trace, key=4, value=1016, max=64
.program where_sid, tracepoint/raw_syscalls/sys_enter
\tr2 = *(u64 *)(r1 + 8)
\tif r2 != {} goto out
\tr2 = *(u64 *)(r1 + 16)
\tif r2 != 7002 goto out
\tr2 = stacks ll
\tr3 = 0
\tcall get_stackid
out:
\tr0 = 0
\texit
",
        libc::SYS_getsid
    )
}

#[test]
fn stacks_have_the_names_of_functions() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let done = trace(&[], &stack());
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = out(&done);
    let frames: Vec<_> = text.lines().filter(|line| line.starts_with("        ")).collect();
    assert!(text.starts_with("\nstacks:\n"), "{text}");
    assert!(!frames.is_empty(), "{text}");
    // Each is an address, and a name that the kernel has with a distance from it; the way into the kernel is among them.
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let symbols: Vec<(u64, &str)> = kallsyms
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((address, words.nth(1)?))
        })
        .collect();
    for frame in &frames {
        let (address, named) = frame.trim().split_once(' ').unwrap();
        let address = u64::from_str_radix(address, 16).unwrap();
        let (name, distance) = named.split_once("+0x").unwrap();
        let distance = u64::from_str_radix(distance, 16).unwrap();
        assert!(symbols.contains(&(address - distance, name)), "{frame}");
        let between = |other: &&(u64, &str)| other.0 > address - distance && other.0 <= address;
        assert_eq!(symbols.iter().find(between), None, "{frame}");
    }
    // x86-64, arm64, and s390x since Linux 5.12 and before.
    let entries = ["do_syscall_64", "el0_svc", "__do_syscall", "system_call"];
    let enters = |name: &str| entries.contains(&name);
    let named = |frame: &&str| frame.trim().split([' ', '+']).nth(1).is_some_and(enters);
    assert!(frames.iter().any(named), "{text}");

    let done = trace(&["--format", "json"], &stack());
    let [stack] = &objects(&done)[..] else { panic!("{}", said(&done)) };
    assert_eq!(stack["map"], "stacks");
    assert_eq!(stack["frames"].as_array().unwrap().len(), frames.len());
    let mut names = stack["frames"].as_array().unwrap().iter().map(|frame| &frame["name"]);
    assert!(names.any(|name| name.as_str().is_some_and(enters)), "{stack}");
}

/// Counts by their stacks the calls of a process, or those of the kernel, that have an argument, and keeps only as much of
/// each as has names.
fn counted_stacks(flags: u32) -> String {
    format!(
        "\
.license \"GPL\"
.map stacks, stack_trace, key=4, value={}, max=64
.map counts, hash, key=4, value=8, max=64
.program whose_sid, tracepoint/syscalls/sys_enter_getsid
\tr2 = *(u64 *)(r1 + 16)
\tif r2 != 7002 goto out
\tr2 = stacks ll
\tr3 = {flags}
\tcall get_stackid
\t*(u32 *)(r10 - 4) = w0
\tr1 = counts ll
\tr2 = r10
\tr2 += -4
\tcall map_lookup_elem
\tif r0 == 0 goto first
\tr1 = 1
\tlock *(u64 *)(r0 + 0) += r1
\tgoto out
first:
\t*(u64 *)(r10 - 16) = 1
\tr1 = counts ll
\tr2 = r10
\tr2 += -4
\tr3 = r10
\tr3 += -16
\tr4 = 0
\tcall map_update_elem
out:
\tr0 = 0
\texit
",
        8 * frames::FRAMES.len()
    )
}

#[track_caller]
fn assert_has_named_stack(printed: &str) {
    let file = std::env::current_exe().unwrap();
    let file = file.file_name().unwrap().to_str().unwrap();
    let mut lines = printed.lines();
    assert_eq!((lines.next(), lines.next()), (Some(""), Some("stacks:")), "{printed}");
    let title = lines.next().unwrap();
    assert!(title.starts_with("    stack ") && title.ends_with(" (count 3)"), "{printed}");
    for (name, offset) in frames::FRAMES {
        let line = lines.next().unwrap();
        match offset {
            Some(offset) => {
                let place = format!(" {name}+{offset:#x} ({file})");
                assert!(line.starts_with("        0000") && line.ends_with(&place), "{printed}");
            }
            None => assert!(line.contains(&format!("{name}+0x")), "{printed}"),
        }
    }
    assert_eq!((lines.next(), lines.next()), (Some(""), Some("counts:")), "{printed}");
}

#[test]
fn stacks_of_a_process_that_has_ended_have_names_and_counts() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let text = counted_stacks(256);
    // That of the command, and one that it starts.
    for role in ["framed", "parent"] {
        let done = trace_as(role, &[], &text);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        // A static program there is where many are: its addresses do not tell whose they are.
        let none = cfg!(not(target_arch = "x86_64"));
        needs_tried!(
            "userframes",
            none.then(|| "static programs are not placed at random here".to_owned())
        );
        assert_has_named_stack(&out(&done));
    }

    let done = trace_as("framed", &["--format", "json"], &text);
    let file = std::env::current_exe().unwrap();
    let file = file.to_str().unwrap();
    let [stack, count] = &objects(&done)[..] else { panic!("{}", said(&done)) };
    assert_eq!((&stack["map"], &stack["count"]), (&"stacks".into(), &3.into()));
    assert_eq!((&count["key"], &count["value"]), (&stack["stack"], &3.into()));
    let shown = stack["frames"].as_array().unwrap();
    assert_eq!(shown.len(), frames::FRAMES.len(), "{stack}");
    for (frame, (name, offset)) in shown.iter().zip(frames::FRAMES) {
        assert!(frame["name"].as_str().unwrap().ends_with(name), "{stack}");
        if let Some(offset) = offset {
            assert_eq!(frame["offset"], *offset, "{stack}");
            assert!(frame["file"].as_str().unwrap().ends_with(file), "{stack}");
        }
    }
}

#[test]
fn what_kept_no_stack_is_told() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    // Nothing of so many frames is left: the helper answers -EFAULT.
    let text = counted_stacks(255);
    let printed = out(&trace_as("framed", &[], &text));
    let expected = "\nstacks:\n    no stack: Bad address (EFAULT) (count 3)\n\ncounts:\n";
    assert!(printed.starts_with(expected), "{printed}");
    let done = trace_as("framed", &["--format", "json"], &text);
    let expected =
        serde_json::json!({ "map": "stacks", "error": "Bad address (EFAULT)", "count": 3 });
    assert_eq!(objects(&done)[0], expected, "{}", said(&done));
}

#[test]
fn a_wrong_target_says_why() {
    needs!(Tracepoint, Bpf);
    let done = trace(&["tracepoint:syscalls/sys_enter_getsidd"], COUNT);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(String::from_utf8_lossy(&done.stderr).contains("sys_enter_getsid"), "{}", said(&done));
    assert!(!out(&done).contains(CALLER), "the command does not run: {}", said(&done));
}

/// A command line that is wrong, for any user on any kernel: what it says.
#[track_caller]
fn assert_wrong(args: &[&str], text: &str, words: &[&str]) {
    let mut command = Command::new(rawbpf());
    let done = start(command.arg("trace").args(args).arg("-"), text).wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    for word in words {
        assert!(String::from_utf8_lossy(&done.stderr).contains(word), "{word}: {}", said(&done));
    }
}

#[test]
fn a_wrong_command_line_is_told() {
    assert_wrong(&["nowhere"], COUNT, &["nowhere", "unknown attach point"]);
    assert_wrong(
        &["nowhere:x"],
        COUNT,
        &["nowhere:x", "unknown attach point", "tracepoint, raw_tracepoint"],
    );
    assert_wrong(&["iter:task"], COUNT, &["iter:task", "iterator"]);
    let two = format!("{COUNT}.program other\n\tr0 = 0\n\texit\n");
    assert_wrong(&[TARGET], &two, &["count_sid, other", &format!("PROGRAM={TARGET}")]);
    assert_wrong(&[], &two, &["`other`", "TARGET"]);
}

#[test]
fn each_of_several_programs_has_its_target() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let two = format!("{COUNT}.program other\n\tr0 = 0\n\texit\n");
    let done = trace(&[&format!("other={TARGET}")], &two);
    assert_prints(&done, TABLE);
}

#[test]
fn a_wrong_text_is_shown_with_its_mistakes() {
    let mut command = Command::new(rawbpf());
    let done = start(command.args(["trace", TARGET, "-"]), ".program a\n\tr0 = r11\n\texit\n");
    let done = done.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(text.contains("r11") && text.contains("1 mistake in"), "{text}");
    assert_eq!(out(&done), "");
}

/// Whether a program of that name is in the kernel.
fn is_loaded(name: &str) -> bool {
    bpf_ids::programs().iter().any(|program| program.name == name)
}

/// A run without a command.
fn running(args: &[&str], text: &str) -> (Child, Folder) {
    let folder = Folder::new();
    let file = folder.path().join("text.s");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(rawbpf());
    command.arg("trace").args(args).arg(&file);
    (start(&mut command, ""), folder)
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// The first line that it prints comes after it is attached.
fn wait_for_line(child: &mut Child) -> std::io::BufReader<std::process::ChildStdout> {
    use std::io::BufRead;
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it ended");
    lines
}

#[test]
fn ctrl_c_prints_the_maps_and_leaves_nothing() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let text = COUNT.replace("count_sid", "until_ctrl_c");
    let (mut child, _folder) = running(&["--format", "json"], &text);
    wait_until("it is attached", || sleeps(&child));
    assert!(child.try_wait().unwrap().is_none());
    assert!(is_loaded("until_ctrl_c"));
    call_all();
    signal(&child, Signal::SIGINT);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let rows = objects(&done);
    assert_eq!(rows.len(), 3, "{}", said(&done));
    assert_eq!((&rows[2]["key"], &rows[2]["value"]), (&7001.into(), &3.into()));
    assert!(!is_loaded("until_ctrl_c"));
}

/// The system calls that poll(3) of the C library makes: newer architectures have only the second.
#[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
const POLLS: [i64; 2] = [libc::SYS_poll, libc::SYS_ppoll];
#[cfg(not(any(target_arch = "x86_64", target_arch = "s390x")))]
const POLLS: [i64; 1] = [libc::SYS_ppoll];

/// Whether a process waits in poll(2) for what may come: all is attached by then.
fn sleeps(child: &Child) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{}/syscall", child.id())).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    POLLS.contains(&number.unwrap_or(-1i64))
}

#[test]
fn the_end_comes_with_the_duration_too() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let (child, _folder) = running(
        &["--duration", "0.05"],
        &array("dist", "array", 64).replace(
            ".program bucket_sid",
            ".program bucket_sid, tracepoint/syscalls/sys_enter_getsid",
        ),
    );
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert_eq!(out(&done), "\ndist: empty\n");
}

#[test]
fn nothing_is_lost_untold() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    const SENT: u64 = 20_000;
    let folder = Folder::new();
    let source = folder.path().join("text.s");
    std::fs::write(&source, send("events, perf_event_array", PERF_OUTPUT)).unwrap();
    // Nobody has to empty a file.
    let file = folder.path().join("out");
    let mut command = Command::new(rawbpf());
    command.args(["trace", "--format", "json"]).arg(&source);
    let child = command
        .stdout(std::fs::File::create(&file).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("it is attached", || sleeps(&child));
    signal(&child, Signal::SIGSTOP);
    // 48 bytes each, into 64 KiB for each CPU.
    for _ in 0..SENT {
        let _ = getsid(Some(Pid::from_raw(7004)));
    }
    signal(&child, Signal::SIGCONT);
    signal(&child, Signal::SIGINT);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = std::fs::read_to_string(&file).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut shown, mut told) = (0, 0);
    for row in rows {
        match row["lost"].as_u64() {
            Some(lost) => told += lost,
            None => shown += 1,
        }
    }
    let remark = String::from_utf8_lossy(&done.stderr).into_owned();
    let summary = remark.split(' ').nth(1).and_then(|number| number.parse::<u64>().ok());
    assert!(remark.contains("samples of events were lost"), "{remark}");
    assert!(shown > 0 && told <= summary.unwrap(), "{shown} {told} {remark}");
    assert_eq!(shown + summary.unwrap(), SENT, "{remark}");
}

#[test]
fn it_ends_when_nobody_reads_it() {
    needs!(Tracepoint, Bpf);
    let _alone = alone();
    let (mut child, _folder) = running(&[], PRINT);
    let lines = wait_for_line(&mut child);
    wait_until("it is attached", || sleeps(&child));
    drop(lines);
    let mut ended = None;
    wait_until("it ends", || {
        call_all();
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    let done = child.wait_with_output().unwrap();
    assert_eq!(ended.unwrap().code(), Some(0), "{}", said(&done));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}
