//! The lessons of bpftrace's one-liner tutorial, word for word, but that lesson 5 is about the command's process instead of number
//! 18644. What they have to print follows from what the command does that runs meanwhile.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{Folder, no_program, said};
use crate::{bt, out, text};
use nix::libc::major;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The standard output of a script with so many probes that runs while a command does. Nothing is wrong with it, and all that its
/// programs count is in its maps. (They do not run for an event within one of them: kernel functions that they call wake threads.)
#[track_caller]
fn during(script: &str, probes: usize, command: &str) -> String {
    let output = bt(&["-e", script, "-c", command]);
    let attached = format!("Attached {probes} probe{}\n", if probes == 1 { "" } else { "s" });
    let errors = text(&output.stderr);
    assert!(errors.starts_with(&attached), "{script}\n{}", said(&output));
    let wrong = ["ERROR", "Can't update", "Lost"].iter().any(|word| errors.contains(word));
    assert!(!wrong, "{script}\n{}", said(&output));
    text(&output.stdout).to_owned()
}

/// The number behind the beginning of a line.
#[track_caller]
fn number(printed: &str, beginning: &str) -> u64 {
    let rest = printed.lines().find_map(|line| line.strip_prefix(beginning));
    let rest = rest.unwrap_or_else(|| panic!("no line `{beginning}…`\n{printed}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// Names of events of a group, in tracefs.
fn events(group: &str) -> BTreeSet<String> {
    let folder = format!("/sys/kernel/tracing/events/{group}");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let names = names.filter(|entry| entry.file_type().unwrap().is_dir());
    names.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn lesson_1_lists_probes() {
    needs!(Tracefs);
    let output = bt(&["-l", "tracepoint:syscalls:sys_enter_*"]);
    assert!(output.status.success(), "{}", said(&output));
    let listed: BTreeSet<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    let names = events("syscalls").into_iter().filter(|name| name.starts_with("sys_enter_"));
    let expected: BTreeSet<_> = names.map(|name| format!("tracepoint:syscalls:{name}")).collect();
    assert!(listed.contains("tracepoint:syscalls:sys_enter_openat"), "{listed:?}");
    assert_eq!(listed, expected);
}

#[test]
fn lesson_2_says_hello() {
    needs!(Bpf);
    assert_eq!(out(r#"BEGIN { printf("hello world\n"); }"#), "hello world\n\n\n");
}

#[test]
fn lesson_3_prints_the_files_that_are_opened() {
    needs!(Bpf, Tracepoint);
    let script =
        r#"tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args.filename)); }"#;
    let printed = during(script, 1, "/bin/cat /dev/null");
    assert!(printed.lines().any(|line| line == "cat /dev/null"), "{printed}");
}

#[test]
fn lesson_4_counts_system_calls_by_process() {
    needs!(Bpf, Tracepoint);
    let script = "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }";
    let printed = during(script, 1, "/bin/cat /dev/null");
    // It opens, reads and closes the file, and exits.
    assert!(number(&printed, "@[cat]: ") >= 4, "{printed}");
    let counts = printed.lines().filter_map(|line| line.rsplit_once("]: "));
    let counts: Vec<u64> = counts.map(|(_, count)| count.parse().unwrap()).collect();
    assert!(counts.is_sorted(), "{printed}");
}

#[test]
fn lesson_5_has_a_histogram_of_the_bytes_that_are_read() {
    needs!(Bpf, Tracepoint);
    let script = "tracepoint:syscalls:sys_exit_read /pid == cpid/ { @bytes = hist(args.ret); }";
    let printed = during(script, 1, "dd if=/dev/zero of=/dev/null bs=20000 count=50");
    assert!(printed.contains("\n@bytes:\n"), "{printed}");
    // What starts a program reads less at a time.
    let bar = "@".repeat(52);
    let line = format!("{:<16}{:>8} |{bar}|\n", "[16K, 32K)", 50);
    assert!(printed.contains(&line), "{printed}\n{line}");
}

#[test]
fn lesson_6_has_a_linear_histogram() {
    needs!(Bpf, Kprobe);
    let script = "kretprobe:vfs_read { @bytes = lhist(retval, 0, 2000, 200); }";
    let printed = during(script, 1, "dd if=/dev/zero of=/dev/null bs=1100 count=50");
    assert!(printed.contains("\n@bytes:\n"), "{printed}");
    assert!(number(&printed, "[1000, 1200) ") >= 50, "{printed}");
}

#[test]
fn lesson_7_measures_time_by_process() {
    needs!(Bpf, Kprobe);
    let script = "kprobe:vfs_read { @start[tid] = nsecs; } kretprobe:vfs_read /@start[tid]/ { @ns[comm] = hist(nsecs - @start[tid]); delete(@start, tid); }";
    let printed = during(script, 2, "dd if=/dev/zero of=/dev/null bs=1000 count=50");
    let of_dd = printed.lines().skip_while(|line| *line != "@ns[dd]:").skip(1);
    let counts = of_dd.take_while(|line| line.starts_with('[')).map(|line| {
        let (_, rest) = line.split_once([')', ']']).unwrap();
        rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    assert!(counts.sum::<u64>() >= 50, "{printed}");
}

#[test]
fn lesson_8_counts_events_of_the_scheduler() {
    needs!(Bpf, Tracefs, Tracepoint);
    let script = "tracepoint:sched:sched* { @[probe] = count(); } interval:s:5 { exit(); }";
    let probes = events("sched").iter().filter(|name| name.starts_with("sched")).count() + 1;
    let printed = during(script, probes, "sh -c '/bin/cat /dev/null; /bin/cat /dev/null; :'");
    // The shell has begun when probes are attached.
    for name in ["process_fork", "process_exec", "process_exit"] {
        let beginning = format!("@[tracepoint:sched:sched_{name}]: ");
        assert!(number(&printed, &beginning) >= 2, "{printed}");
    }
}

#[test]
fn lesson_9_samples_stacks_of_the_kernel() {
    needs!(Bpf);
    needs_tried!("timeout", no_program("timeout"));
    let script = "profile:hz:99 { @[kstack] = count(); }";
    let printed = during(script, 1, "timeout 1 dd if=/dev/zero of=/dev/null bs=64k");
    assert!(printed.contains("\n@[\n        "), "{printed}");
    assert!(printed.contains("\n        vfs_read+"), "{printed}");
}

#[test]
fn lesson_10_counts_stacks_that_give_up_the_cpu() {
    needs!(Bpf, Tracepoint);
    let script = "tracepoint:sched:sched_switch { @[kstack] = count(); }";
    let printed = during(script, 1, "sleep 0.3");
    assert!(printed.contains("\n@[\n        "), "{printed}");
    assert!(printed.contains("\n        do_nanosleep+"), "{printed}");
}

/// Whether files of a folder are on a block device; the reason why not.
fn no_device(folder: &Folder) -> Option<String> {
    let device = fs::metadata(folder.path()).unwrap().dev();
    (major(device) == 0).then(|| "temporary files are on no block device".into())
}

#[test]
fn lesson_11_has_a_histogram_of_requests_to_disks() {
    needs!(Bpf, Tracepoint);
    let folder = Folder::new();
    needs_tried!("a disk", no_device(&folder));
    let file = folder.path().join("file");
    let command = format!("dd if=/dev/zero of={} bs=64k count=8 oflag=direct", file.display());
    let printed = during("tracepoint:block:block_rq_issue { @ = hist(args.bytes); }", 1, &command);
    assert!(printed.contains("\n@:\n["), "{printed}");
}

#[test]
fn lesson_12_follows_structs_of_the_kernel() {
    needs!(Bpf, Btf, Kprobe);
    let script = r#"
#include <linux/path.h>
#include <linux/dcache.h>

kprobe:vfs_open
{
	printf("open path: %s\n", str(((struct path *)arg0)->dentry->d_name.name));
}
"#;
    let folder = Folder::new();
    let file = folder.path().join("a-file-to-read");
    fs::write(&file, "").unwrap();
    let printed = during(script, 1, &format!("/bin/cat {}", file.display()));
    assert!(printed.lines().any(|line| line == "open path: a-file-to-read"), "{printed}");
}
