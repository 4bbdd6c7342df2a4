//! `rawbpf bt`, end to end. Expected texts are what bpftrace 0.27.1 printed for the same scripts; differences are
//! noted. Some scripts run beside the bpftrace that is installed.

mod common;
#[path = "bt/debug_info.rs"]
mod debug_info;
#[path = "bt/manual.rs"]
mod manual;
#[path = "bt/one_liners.rs"]
mod one_liners;
#[path = "bt/usdt.rs"]
mod usdt;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, no_program, rawbpf, said, wait_until};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getppid};
use rawbpf::bt::value::Value;
use rawbpf::bt::{Event, Options, Script};
use rawbpf::kernel::cpu;
use rawbpf::trace_pipe::TracePipe;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn bt(words: &[&str]) -> Output {
    // Where the test program finds its libraries, the command that a script traces would look, too.
    let mut command = Command::new(rawbpf());
    command.arg("bt").args(words).env_remove("LD_LIBRARY_PATH").output().unwrap()
}

/// The standard output of a script.
#[track_caller]
fn out(script: &str) -> String {
    let output = bt(&["-q", "-e", script]);
    assert!(output.status.success(), "{script}\n{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// One that runs until it is stopped.
struct Running(Child);

impl Running {
    fn start(words: &[&str]) -> Running {
        let mut command = Command::new(rawbpf());
        let command = command.arg("bt").args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Waits for a line on standard output that holds some text.
    #[track_caller]
    fn wait_for(&mut self, part: &str) -> BufReader<std::process::ChildStdout> {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no line with {part}");
        }
        lines
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended if all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn begin_runs_and_exit_ends() {
    needs!(Bpf);
    let output = bt(&["-e", r#"BEGIN { printf("hello %d\n", 42); exit(); }"#]);
    assert_eq!(text(&output.stdout), "hello 42\n\n\n", "{}", said(&output));
    assert_eq!(text(&output.stderr), "Attached 1 probe\n");
    assert_eq!(output.status.code(), Some(0));
}

/// 30 probes, 64 live variables in one block, keys of more than 1,000 bytes.
#[test]
fn a_long_script_runs() {
    needs!(Bpf, Jit);
    let large = rawbpf::MapSpec::hash("large", 1008, 8, 1);
    let refused = rawbpf::Map::create(&large).err().map(|error| error.to_string());
    needs_tried!("large keys", refused);
    let long = "k".repeat(1000);
    let mut script = String::from("BEGIN {\n");
    for number in 0..64 {
        script += &format!("  $v{number} = (int64)(nsecs & 0) + {};\n", number * number);
    }
    let sum: Vec<_> = (0..64).map(|number| format!("$v{number}")).collect();
    script += &format!("  @sum = {};\n", sum.join(" + "));
    script += &format!("  @key[\"{long}\", (uint64)7] = 1;\n}}\n");
    for number in 0..28 {
        let body = ["@n[NUMBER] = 1;", "if (@n[NUMBER] == 0) {", "  @n[NUMBER] = 2;", "}"];
        let body = body.join("\n  ").replace("NUMBER", &number.to_string());
        script += &format!("interval:ms:{} {{\n  {body}\n}}\n", 1 + number % 3);
    }
    script += "interval:ms:2 {\n  if (len(@n) == 28) {\n    exit();\n  }\n}\n";
    assert!(script.lines().count() > 200 && script.matches("\ninterval").count() == 29, "{script}");
    let printed = out(&script);
    let sum: u64 = (0..64).map(|number| number * number).sum();
    assert!(printed.contains(&format!("@sum: {sum}\n")), "{printed}");
    assert!(printed.contains(&format!("@key[{long}, 7]: 1\n")), "{printed}");
    for number in 0..28 {
        assert!(printed.contains(&format!("@n[{number}]: 1\n")), "{number}\n{printed}");
    }
}

#[test]
fn the_status_of_exit_is_ours_and_end_runs_after() {
    needs!(Bpf);
    let script = r#"BEGIN { @a = count(); @b = 5; @c[1] = hist(3); clear(@a); print(@a); clear(@b); print(@b);
        clear(@c); print(@c); exit(3); printf("never\n"); } END { printf("end\n"); }"#;
    let output = bt(&["-e", script]);
    assert_eq!(text(&output.stdout), "@a: 0\n@b: 0\nend\n\n\n", "{}", said(&output));
    assert_eq!(text(&output.stderr), "Attached 2 probes\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn what_was_cleared_prints_as_zero_and_is_not_printed_at_the_end() {
    needs!(Bpf);
    let cleared =
        out(r#"BEGIN { @y = "abc"; clear(@y); print(@y); @t = (1, 2); clear(@t); print(@t);
        @a = avg(5); clear(@a); print(@a); @m = min(5); clear(@m); print(@m);
        @h = hist(3); clear(@h); print(@h); @s = stats(4); clear(@s); print(@s);
        @z[1] = count(); zero(@z); print(@z); exit(); }"#);
    let expected = "@y: \n@t: (0, 0)\n@a: 0\n@m: 0\n@s: { .count = 0, .average = 0, .total = 0 }\n@z[1]: 0\n\n\n@z[1]: 0\n";
    assert_eq!(cleared, expected);
}

#[test]
fn elements_are_printed_as_values() {
    needs!(Bpf);
    let printed = out(
        "BEGIN { @a[1] = count(); @a[1] = count(); @b[1] = 5; print(@a[1]); print(@b[1]); print((1, 2)); \
                       @s = stats(3); print(@s); exit(); }",
    );
    let stats = "@s: { .count = 1, .average = 3, .total = 3 }\n";
    assert_eq!(printed, format!("2\n5\n(1, 2)\n{stats}\n\n@a[1]: 2\n@b[1]: 5\n{stats}"));
}

#[test]
fn histograms_are_those_of_bpftrace() {
    needs!(Bpf);
    let bars = |count: usize| format!("|{:<52}|", "@".repeat(count));
    let printed = out(
        "BEGIN { @l = lhist(5, 0, 10, 2); @l = lhist(50, 0, 10, 2); @l = lhist(50, 0, 10, 2); exit(); }",
    );
    let expected = [
        "@l:".to_owned(),
        format!("[4, 6)                 1 {}", bars(26)),
        format!("[6, 8)                 0 {}", bars(0)),
        format!("[8, 10)                0 {}", bars(0)),
        format!("[10, ...)              2 {}", bars(52)),
    ];
    assert_eq!(printed, format!("\n\n{}\n\n", expected.join("\n")));
}

#[test]
fn events_keep_their_order() {
    needs!(Bpf);
    // Each thing that is done in user space shows what was there at its turn.
    let printed = out(
        r#"BEGIN { @x[1] = 1; print(@x); printf("a\n"); clear(@x); print(@x); printf("b\n"); exit(); }"#,
    );
    assert_eq!(printed, "@x[1]: 1\na\nb\n\n\n");
}

#[test]
fn json_has_an_object_a_line() {
    needs!(Bpf);
    let script = r#"BEGIN { @a[1] = count(); @h = hist(3); printf("x"); time("t"); exit(); }"#;
    let output = bt(&["-f", "json", "-e", script]);
    let expected = "{\"type\": \"attached_probes\", \"count\": 1, \"data\": {\"probes\": 1}}\n\
                    {\"type\": \"printf\", \"data\": \"x\"}\n{\"type\": \"time\", \"data\": \"t\"}\n\
                    {\"type\": \"map\", \"data\": {\"@a\": {\"1\": 1}}}\n\
                    {\"type\": \"hist\", \"data\": {\"@h\": [{\"min\": 2, \"max\": 3, \"count\": 1}]}}\n";
    assert_eq!(text(&output.stdout), expected, "{}", said(&output));
}

#[test]
fn timers_tick() {
    needs!(Bpf);
    // Timers go on until the script has ended, which takes a moment.
    let script =
        r#"interval:ms:20 /@n < 3/ { printf("tick %d\n", @n); @n++; if (@n == 3) { exit(); } }"#;
    let printed = out(script);
    assert_eq!(printed, "tick 0\ntick 1\ntick 2\n\n\n@n: 3\n");
    // On each CPU.
    let printed = out("profile:hz:200 { @[cpu] = count(); } interval:ms:300 { exit(); }");
    let cpus = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let last: usize = cpus.trim().rsplit(['-', ',']).next().unwrap().parse().unwrap();
    assert!(printed.contains(&format!("@[{last}]: ")), "{printed}");
}

#[test]
fn a_command_is_traced_from_its_first_instruction() {
    needs!(Bpf, Tracepoint);
    let script = r#"BEGIN { printf("begin\n"); }
        tracepoint:syscalls:sys_enter_openat /pid == cpid/ { printf("%s %s\n", comm, str(args.filename)); }
        END { printf("end\n"); }"#;
    let output = bt(&["-q", "-e", script, "-c", "/bin/cat /dev/null"]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = text(&output.stdout);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.first(), Some(&"begin"), "{printed}");
    // A program that was linked dynamically begins with its libraries, a static one with its work.
    let of_cat = &lines[1..lines.len() - 3];
    assert!(of_cat == ["cat /dev/null"] || of_cat[0] == "cat /etc/ld.so.cache", "{printed}");
    assert_eq!(lines[lines.len() - 4..], ["cat /dev/null", "end", "", ""], "{printed}");
}

#[test]
fn the_status_of_the_command_is_ours() {
    needs!(Bpf);
    for (command, status) in [("/bin/true", 0), ("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137)]
    {
        let output = bt(&["-q", "-e", r#"END { printf("e\n"); }"#, "-c", command]);
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert_eq!(text(&output.stdout), "e\n\n\n");
    }
    let output = bt(&["-q", "-e", "BEGIN { exit(5); }", "-c", "sleep 100"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
}

#[test]
fn who_asks_is_told_that_all_is_attached() {
    needs!(Bpf);
    let word = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";
    let folder = Folder::new();
    let file = folder.path().join("out");
    let script = r#"BEGIN { printf("begin\n"); }"#;
    for asks in [true, false] {
        let mut command = Command::new(rawbpf());
        command.args(["bt", "-q", "-e", script, "-c", "/bin/echo command", "-o"]).arg(&file);
        if asks {
            command.env(word, "1");
        }
        let output = command.output().unwrap();
        assert_eq!(text(&output.stdout), "command\n", "{}", said(&output));
        let told = if asks { format!("{word}\n") } else { String::new() };
        assert_eq!(text(&output.stderr), told);
        assert_eq!(fs::read_to_string(&file).unwrap(), "begin\n\n\n");
    }
}

#[test]
fn structs_of_the_script_are_read_from_a_process() {
    needs!(Bpf, Uprobe);
    needs_tried!("bash", no_program("bash"));
    let folder = Folder::new();
    let script = folder.path().join("echo.sh");
    fs::write(&script, "echo x\n").unwrap();
    let program = "struct Bits { int a:4; int b:3; int c:25; int whole:32; }
        struct Word { struct Bits *word; int flags; }
        struct List { struct List *next; struct Word *word; }
        uprobe:/bin/bash:echo_builtin /pid == cpid/ {
            $bits = ((struct List *)arg0)->word->word;
            print(($bits->a, $bits->b, $bits->a < 0)); print(sizeof(*$bits)); $all = *$bits; print($all.a); @[$all.b] = 1;
        }";
    let command = format!("/bin/bash {}", script.display());
    let output = bt(&["-q", "-e", program, "-c", &command]);
    // The letter x is 0x78.
    let printed = text(&output.stdout).replace("x\n", "");
    assert_eq!(printed, "(8, 7, false)\n8\n8\n\n\n@[7]: 1\n", "{}", said(&output));
}

#[test]
fn probes_at_one_place_run_in_the_order_of_the_script() {
    needs!(Bpf, Tracepoint, Uprobe);
    needs_tried!("bash", no_program("bash"));
    let folder = Folder::new();
    let script = folder.path().join("echo.sh");
    fs::write(&script, "echo x\n").unwrap();
    let program = r#"uprobe:/bin/bash:echo_builtin /pid == cpid/ { printf("u1 "); }
        uretprobe:/bin/bash:echo_builtin /pid == cpid/ { printf("r1 "); }
        tracepoint:syscalls:sys_enter_exit_group /pid == cpid/ { printf("t1 "); }
        software:faults:1 /pid == cpid && !@s1/ { @s1 = 1; @order = 1; }
        uprobe:/bin/bash:echo_builtin /pid == cpid/ { printf("u2 "); }
        uprobe:/bin/bash:echo_builti* /pid == cpid/ { printf("u3 "); }
        uretprobe:/bin/bash:echo_builtin /pid == cpid/ { printf("r2 "); }
        uretprobe:/bin/bash:echo_builti* /pid == cpid/ { printf("r3 "); }
        software:faults:1 /pid == cpid && !@s2/ { @s2 = 1; @order = @order * 10 + 2; }
        tracepoint:syscalls:sys_enter_exit_group /pid == cpid/ { printf("t2 "); }
        END { printf("faults %d", @order); clear(@order); clear(@s1); clear(@s2); }"#;
    let command = format!("/bin/bash {}", script.display());
    let output = bt(&["-q", "-e", program, "-c", &command]);
    let printed = text(&output.stdout).replace("x\n", "");
    assert_eq!(printed, "u1 u2 u3 r1 r2 r3 t1 t2 faults 12\n\n", "{}", said(&output));
}

/// Linux 6.1 leaves what lay behind the zero of `comm` as it was (`strscpy`, where others pad): the same name was several keys.
#[test]
fn a_name_is_one_key() {
    needs!(Tracepoint);
    let script = "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); @name[comm, pid] = 1; }";
    let shell = "sh -c 'for i in 1 2 3 4 5 6 7 8; do (:); done; ls / >/dev/null; cat /proc/self/maps >/dev/null'";
    let output = bt(&["-q", "-e", script, "-c", shell]);
    assert!(output.status.success(), "{}", said(&output));
    let mut keys: Vec<_> = text(&output.stdout)
        .lines()
        .filter_map(|line| line.rsplit_once("]: ").map(|(key, _)| key))
        .collect();
    assert!(keys.len() > 2, "{}", said(&output));
    keys.sort_unstable();
    let repeated: Vec<_> = keys.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert_eq!(repeated, Vec::<&[&str]>::new());
}

#[test]
fn counts_of_a_command_are_exact() {
    needs!(Bpf, Tracepoint);
    let script = "tracepoint:syscalls:sys_enter_getsid /pid == cpid/ { @[comm] = count(); } \
                  tracepoint:syscalls:sys_enter_write /pid == cpid/ { @w = sum(args.count); }";
    let output = bt(&["-q", "-e", script, "-c", "sh -c 'echo abcd; echo efg'"]);
    assert_eq!(text(&output.stdout), "abcd\nefg\n\n\n@w: 9\n", "{}", said(&output));
}

#[test]
fn ctrl_c_ends_a_script_that_sends_more_commands_than_can_be_run() {
    needs!(Bpf);
    let script = r#"BEGIN { printf("ready\n"); }
        interval:ms:5 { system("sleep 0.1"); }
        END { system("echo last"); printf("end\n"); }"#;
    let mut running = Running::start(&["-q", "--unsafe", "-e", script]);
    let mut rest = running.wait_for("ready");
    // So that commands have piled up.
    std::thread::sleep(Duration::from_secs(1));
    running.signal(Signal::SIGINT);
    let mut printed = String::new();
    rest.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "last\nend\n\n\n");
    let mut errors = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    // The end is not that of all that were sent: others were left, and `last` was run in their place.
    assert!(errors.contains("commands were not run, because the end was asked for"), "{errors}");
}

#[test]
fn ctrl_c_is_exit() {
    needs!(Bpf);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let script = r#"BEGIN { printf("ready\n"); @a = 1; } END { printf("end\n"); }"#;
        let mut running = Running::start(&["-q", "-e", script]);
        let mut rest = running.wait_for("ready");
        running.signal(signal);
        let mut printed = String::new();
        rest.read_to_string(&mut printed).unwrap();
        assert_eq!(printed, "end\n\n\n@a: 1\n");
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn an_attach_point_that_fails_is_underlined_alone() {
    needs!(Bpf, Tracepoint);
    let script = "tracepoint:sched:sched_switch,\nrawtracepoint:sched_swich { @ = 1; }";
    let output = bt(&["-e", script]);
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert!(lines[0].starts_with("stdin:2:1-26: ERROR: rawtracepoint:sched_swich: "), "{lines:?}");
    assert_eq!(lines[1..3], ["rawtracepoint:sched_swich { @ = 1; }", "~~~~~~~~~~~~~~~~~~~~~~~~~"]);
    let output = bt(&["-e", "tracepoint:sched:sched_swich { @ = 1; }"]);
    let error = text(&output.stderr);
    assert!(
        error.contains("HINT: did you mean") && error.contains("`sched:sched_switch`"),
        "{error}"
    );
}

#[test]
fn iterators_are_run_once_and_end_the_run() {
    needs!(Bpf, Btf);
    let us = std::process::id();
    let script = r#"BEGIN { printf("begin\n"); } END { printf("end\n"); }
        iter:task /ctx->task->tgid == $1/ { printf("%d %d\n", ctx->task->tgid, ctx->task->pid); }
        iter:task { @[ctx->task->pid] = count(); }"#;
    let output = bt(&["-q", "-e", script, &us.to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = text(&output.stdout);
    let lines: Vec<_> = printed.split("end\n").next().unwrap().lines().collect();
    assert_eq!(lines[0], "begin", "{printed}");
    assert!(lines.contains(&format!("{us} {us}").as_str()), "{printed}");
    // Each is seen once, and none after the last.
    assert!(lines[1..].iter().all(|line| line.starts_with(&format!("{us} "))), "{printed}");
    assert!(printed.contains(&format!("\n@[{us}]: 1\n")) && !printed.contains("]: 2"), "{printed}");
}

/// More is printed than the ring has room for, which is read meanwhile.
#[test]
fn iterators_lose_nothing() {
    needs!(Bpf, Btf);
    let script = "config = { perf_rb_pages = 4; max_strlen = 900 } iter:task_file { printf(\"%d %s\\n\", ctx->fd, str((uint64)0)); @ = count(); }";
    let output = bt(&["-q", "-e", script]);
    assert_eq!(text(&output.stderr), "", "{}", said(&output));
    let (lines, count) = text(&output.stdout).trim_end().split_once("\n\n\n@: ").unwrap();
    assert_eq!(lines.lines().count().to_string(), count);
    assert!(lines.lines().count() > 20, "{lines}");
}

#[test]
fn debugf_writes_to_the_trace_buffer() {
    needs!(Bpf, Tracefs);
    let name = format!("rawbpf-{}", std::process::id());
    let script = format!(
        r#"BEGIN {{ debugf("{name} %s %d %x|\n", "text", -5, (uint64)255); debugf("{name} plain|\n"); exit(); }}"#
    );
    // A buffer of its own: whoever reads the global one would take the lines.
    let mut pipe = TracePipe::open().unwrap();
    let output = bt(&["-q", "-e", &script]);
    assert!(output.status.success(), "{}", said(&output));
    let deadline = Instant::now() + Duration::from_secs(30);
    for expected in ["text -5 ff|", "plain|"] {
        let expected = format!("bpf_trace_printk: {name} {expected}");
        loop {
            let line = pipe.next_line(Some(deadline)).unwrap().expect("the line does not come");
            if text(line).contains(&name) {
                assert!(text(line).contains(&expected), "{}", text(line));
                break;
            }
        }
    }
}

#[test]
fn reads_that_fail_are_reported_if_that_is_asked_for() {
    needs!(Bpf);
    let script =
        "BEGIN {\n  print(*uptr((uint32 *)8));\n  print(str(uptr((uint8 *)8)));\n  exit();\n}";
    let output = bt(&["-q", "-e", script]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("0\n\n\n\n", ""));
    let output = bt(&["-q", "-k", "-e", script]);
    assert_eq!(text(&output.stdout), "0\n\n\n\n");
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    let bad = |at: &str, helper: &str| {
        format!("stdin:{at}: WARNING: Bad address (helper {helper}, result -14)")
    };
    assert_eq!(lines[0], bad("2:9-27", "probe_read_user"));
    assert_eq!(lines[3], bad("3:3-31", "probe_read_user_str"));
}

/// The kernel changes the return address on the stack, which Go reads when it moves the stack.
#[test]
fn the_return_of_a_function_of_go_is_warned_of() {
    needs!(Bpf, Uprobe);
    needs_tried!("gcc", no_program("gcc"));
    needs_tried!("objcopy", no_program("objcopy"));
    let folder = Folder::new();
    let source = r#"int f(int a) __asm__("main.f"); int f(int a) { return a + 1; } int main() { return f(-1); }"#;
    fs::write(folder.path().join("go.c"), source).unwrap();
    fs::write(folder.path().join("info"), "go1.19").unwrap();
    let run = |command: &str| {
        let done =
            Command::new("sh").arg("-c").arg(command).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    };
    run("gcc -o c go.c && objcopy --add-section .go.buildinfo=info c go");
    for (program, word, function, warned) in [
        ("c", "uretprobe", "\"main.f\"", false),
        ("go", "uretprobe", "\"main.f\"", true),
        ("go", "uprobe", "\"main.f\"", false),
        ("go", "uretprobe", "main", false),
    ] {
        let path = folder.path().join(program);
        let script =
            format!("{word}:{}:{function} {{ @ = 1; }} BEGIN {{ exit(); }}", path.display());
        let output = bt(&["-q", "-e", &script]);
        assert!(output.status.success(), "{}", said(&output));
        let errors = text(&output.stderr);
        assert_eq!(errors.contains("can crash a program of Go"), warned, "{script}\n{errors}");
    }
}

/// Why there are no loops without a known end: they need Linux 5.17 and a JIT.
fn no_loops() -> Option<String> {
    let output = bt(&["-d", "-e", "BEGIN { $i = 0; while ($i < 5000) { $i++; } }"]);
    (!output.status.success()).then(|| text(&output.stderr).to_owned())
}

/// The kernel gives a probe little memory at once; a histogram for each key is much.
#[test]
fn a_probe_can_add_thousands_of_keys() {
    needs!(Bpf);
    needs_tried!("loops", no_loops());
    for value in
        ["hist($i)", "lhist($i, 0, 4000, 100)", "stats($i)", "count()", "$i", "(\"a\", $i)"]
    {
        let script =
            format!("BEGIN {{ $i = 0; while ($i < 4000) {{ @[$i] = {value}; $i++; }} exit(); }}");
        let output = bt(&["-q", "-f", "json", "-e", &script]);
        assert_eq!(text(&output.stderr), "", "{value}");
        let printed = text(&output.stdout);
        let line = printed.lines().find(|line| line.starts_with("{\"type\""));
        let json: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
        assert_eq!(json["data"]["@"].as_object().unwrap().len(), 4000, "{value}");
    }
}

/// Why elements are not allocated when they come: in a program that traces, they are since Linux 6.1. Before, a map of a million
/// histograms is more memory than there is.
fn no_allocation() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    (version < (6, 1))
        .then(|| format!("Linux {} allocates all elements in advance", release.trim()))
}

/// What is too much to be allocated in advance may find no memory; it is no full map.
#[test]
fn updates_that_fail_are_counted_and_say_why() {
    // Without a JIT it is the verifier that goes through the loop, which is too long for it.
    needs!(Bpf, Jit);
    needs_tried!("loops", no_loops());
    needs_tried!("allocation", no_allocation());
    let script = "config = { max_map_keys = 1000000 } BEGIN { $i = 0; while ($i < 20000) { @[$i] = hist($i); $i++; } @n = 1; exit(); }";
    let output = bt(&["-q", "-f", "json", "-e", script]);
    let (mut stored, mut lost) = (0, 0);
    for line in text(&output.stdout).lines().filter(|line| !line.is_empty()) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        match json["type"].as_str().unwrap() {
            "hist" => stored = json["data"]["@"].as_object().unwrap().len() as u64,
            "helper_error" => {
                assert_eq!(json["retcode"], -12, "{line}");
                lost += 1;
            }
            "repeated_errors" => lost += json["data"]["count"].as_u64().unwrap(),
            "map" => {}
            other => panic!("{other}: {line}"),
        }
    }
    assert_eq!(stored + lost, 20_000);
}

/// A terminal sends Ctrl-C to the command, too, whose end by it must not be taken for the end of the run.
#[test]
fn ctrl_c_is_no_failure_of_the_command() {
    needs!(Bpf);
    let script = r#"BEGIN { printf("ready\n"); } END { printf("end\n"); }"#;
    // A shell that is about to start its `sleep` ends by a later SIGTERM, and leaves that behind: without this pipe.
    for words in
        [&["-c", "sleep 100"][..], &["-c", "sh -c 'trap \"exit 7\" INT; sleep 10 >/dev/null'"]]
    {
        for _ in 0..10 {
            let mut command = Command::new(rawbpf());
            command.args(["bt", "-q", "-e", script]).args(words).process_group(0);
            let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
            let mut rest = running.wait_for("ready");
            killpg(Pid::from_raw(running.0.id() as i32), Signal::SIGINT).unwrap();
            let mut printed = String::new();
            rest.read_to_string(&mut printed).unwrap();
            assert_eq!(printed, "end\n\n\n");
            assert_eq!(running.0.wait().unwrap().code(), Some(0), "{words:?}");
        }
    }
}

#[test]
fn exit_comes_before_the_status_of_the_command() {
    needs!(Bpf, Tracepoint);
    let ends = "tracepoint:sched:sched_process_exit /pid == cpid/";
    for (body, status) in [("{ exit(); }", 0), ("{ exit(3); }", 3), ("{ @ = 1; }", 5)] {
        for _ in 0..10 {
            let output = bt(&["-q", "-e", &format!("{ends} {body}"), "-c", "sh -c 'exit 5'"]);
            assert_eq!(output.status.code(), Some(status), "{body}\n{}", said(&output));
        }
    }
}

#[test]
fn a_command_that_goes_on_is_reported() {
    needs!(Bpf);
    let script = r#"BEGIN { printf("ready\n"); }"#;
    // It is heard from when it no longer heeds the signal.
    let command = "sh -c 'trap \"\" TERM; echo deaf; exec sleep 4'";
    let mut running = Running::start(&["-q", "-e", script, "-c", command]);
    drop(running.wait_for("deaf"));
    running.signal(Signal::SIGINT);
    let mut errors = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(errors.contains("WARNING: the command (process "), "{errors}");
    assert!(errors.contains("does not end at SIGTERM; it goes on"), "{errors}");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn sigusr1_shows_the_maps_and_the_run_goes_on() {
    needs!(Bpf);
    let script = r#"BEGIN { printf("ready\n"); @a = 1; } interval:s:100 { }"#;
    let mut running = Running::start(&["-q", "-e", script]);
    let mut rest = running.wait_for("ready");
    running.signal(Signal::SIGUSR1);
    let mut line = String::new();
    rest.read_line(&mut line).unwrap();
    assert_eq!(line, "@a: 1\n");
    running.signal(Signal::SIGINT);
    let mut printed = String::new();
    rest.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "\n\n@a: 1\n");
}

#[test]
fn a_run_ends_also_when_nobody_reads() {
    needs!(Bpf);
    // More than a pipe holds, and there is no reader.
    let script = r#"interval:us:100 { printf("%1000d\n", 1); } BEGIN { printf("ready\n"); }"#;
    let mut running = Running::start(&["-q", "-e", script]);
    let held = running.wait_for("ready");
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::SIGINT);
    wait_until("the run has ended", || running.0.try_wait().unwrap().is_some());
    drop(held);

    // The reader has gone.
    let mut running = Running::start(&["-q", "-e", script]);
    drop(running.wait_for("ready"));
    wait_until("the run has ended", || running.0.try_wait().unwrap().is_some());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_process_of_p_ends_the_run() {
    needs!(Bpf);
    let mut sleeping = Command::new("sleep").arg("100").spawn().unwrap();
    let pid = sleeping.id().to_string();
    let mut running = Running::start(&["-q", "-p", &pid, "-e", r#"BEGIN { printf("ready\n"); }"#]);
    drop(running.wait_for("ready"));
    assert_eq!(running.0.try_wait().unwrap(), None);
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();
    wait_until("the run has ended", || running.0.try_wait().unwrap().is_some());
}

#[test]
fn parameters_reach_the_script() {
    needs!(Bpf);
    let script =
        r#"BEGIN { printf("%d %s %d %s\n", $1, str($2), $#, getopt("name", "none")); exit(); }"#;
    let output = bt(&["-q", "-e", script, "5", "abc", "--", "--name=x"]);
    assert_eq!(text(&output.stdout), "5 abc 2 x\n\n\n", "{}", said(&output));
}

#[test]
fn scripts_are_files_and_programs() {
    needs!(Bpf);
    let folder = Folder::new();
    let script = folder.path().join("hello.bt");
    let text_of =
        |first: &str| format!("{first}\nBEGIN {{ printf(\"hi %s\\n\", str($1)); exit(); }}\n");
    // The program is found by its path, whatever PATH is.
    fs::write(&script, text_of(&format!("#!{} bt", rawbpf().display()))).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&script).arg("you").output().unwrap();
    assert_eq!(text(&output.stdout), "hi you\n\n\n", "{}", said(&output));

    let name = folder.path().join("bpftrace");
    symlink(rawbpf(), &name).unwrap();
    let output =
        Command::new(&name).args(["-q", script.to_str().unwrap(), "all"]).output().unwrap();
    assert_eq!(text(&output.stdout), "hi all\n\n\n", "{}", said(&output));
}

#[test]
fn output_goes_to_a_file() {
    needs!(Bpf);
    let folder = Folder::new();
    let file = folder.path().join("out");
    let path = file.to_str().unwrap();
    let output = bt(&["-o", path, "-e", r#"BEGIN { printf("x\n"); exit(); }"#]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output));
    assert_eq!(fs::read_to_string(&file).unwrap(), "x\n\n\n");
}

#[test]
fn mistakes_are_shown_at_their_place() {
    let output = bt(&["-e", "BEGIN { pidd }"]);
    let expected = "stdin:1:9-13: ERROR: unknown identifier: `pidd`\nBEGIN { pidd }\n        ~~~~\n\
                    HINT: did you mean one of `pid`, `gid`, `tid`?\n";
    assert_eq!((text(&output.stderr), output.status.code()), (expected, Some(1)));
    for words in [&["-x"][..], &[], &["-e"], &["/nonexistent.bt"]] {
        let output = bt(words);
        assert_eq!(output.status.code(), Some(1), "{words:?} {}", said(&output));
        assert!(text(&output.stderr).starts_with("ERROR: "), "{}", said(&output));
    }
    let output = bt(&["-e", r#"BEGIN { system("id"); }"#]);
    assert!(text(&output.stderr).contains("needs --unsafe"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_there_is_not_is_told_with_the_nearest_names() {
    needs!(Bpf, Tracepoint);
    let output = bt(&["-e", "tracepoint:syscalls:sys_enter_openatt { }"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("tracepoint not found: syscalls:sys_enter_openatt"), "{said}");
    assert!(said.contains("sys_enter_openat`"), "{said}");
}

#[test]
fn commands_and_files_are_printed_in_order() {
    needs!(Bpf);
    let script = r#"BEGIN { printf("a\n"); system("echo hi %d", 5); cat("/proc/sys/kernel/ostype"); cat("/nonexistent");
        errorf("bad %d", 3); warnf("w"); exit(); }"#;
    let output = bt(&["-q", "--unsafe", "-e", script]);
    assert_eq!(text(&output.stdout), "a\nhi 5\nLinux\n\n\n", "{}", said(&output));
    let messages = text(&output.stderr);
    assert!(
        messages
            .contains("ERROR: failed to open file '/nonexistent' (No such file or directory)\n")
    );
    assert!(messages.contains("ERROR: bad 3\n") && messages.contains("WARNING: w\n"), "{messages}");
}

#[test]
fn problems_are_told_at_their_line() {
    needs!(Bpf);
    let script = "BEGIN { $x = 0; printf(\"%d\\n\", 5 / $x); @[1] = 1; @[2] = 2; @[3] = 3; @[4] = 4; exit(); }";
    let mut command = Command::new(rawbpf());
    let output = command
        .args(["bt", "-q", "-e", script])
        .env("BPFTRACE_MAX_MAP_KEYS", "2")
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "1\n\n\n@[1]: 1\n@[2]: 2\n", "{}", said(&output));
    let messages = text(&output.stderr);
    assert!(
        messages.contains("stdin:1:32-38: WARNING: Divide or modulo by 0 detected"),
        "{messages}"
    );
    assert_eq!(
        messages.matches("Map full; can't update element: @ has room for 2 keys").count(),
        1
    );
}

#[test]
fn lost_events_are_counted() {
    needs!(Bpf);
    // The ring holds a page, and BEGIN sends much more before anybody reads.
    let script = "BEGIN { $i = 0; while ($i < 1000) { printf(\"%60d\\n\", $i); $i++; } } interval:ms:200 { exit(); }";
    let mut command = Command::new(rawbpf());
    let command = command.args(["bt", "-q", "-e", script]).env("BPFTRACE_PERF_RB_PAGES", "1");
    let output = command.output().unwrap();
    let printed = text(&output.stdout).lines().filter(|line| !line.is_empty()).count() as u64;
    let messages = text(&output.stderr);
    let lost = messages.lines().filter_map(|line| line.strip_prefix("Lost ")?.split(' ').next());
    let lost: u64 = lost.map(|count| count.parse::<u64>().unwrap()).sum();
    assert!(printed > 0 && lost > 0, "{}", said(&output));
    assert_eq!(printed + lost, 1000, "{messages}");
}

#[test]
fn probes_are_listed_as_bpftrace_lists_them() {
    needs!(Tracepoint);
    let output = bt(&["-lv", "tracepoint:syscalls:sys_enter_openat"]);
    let expected = "tracepoint:syscalls:sys_enter_openat\n    int __syscall_nr\n    int dfd\n    \
                    const char * filename\n    int flags\n    umode_t mode\n";
    // Linux 7.3 has another one behind them, with the text of the name.
    assert!(text(&output.stdout).starts_with(expected), "{}", said(&output));
    let output = bt(&["-l", "t:sched:sched_switch"]);
    assert_eq!(text(&output.stdout), "tracepoint:sched:sched_switch\n", "{}", said(&output));
}

/// The functions of a letter are thousands: with a search for each, this did not end within ten minutes.
#[test]
fn many_functions_are_listed_with_their_arguments() {
    needs!(Btf);
    let plain = bt(&["-l", "fentry:s*"]);
    let output = bt(&["-lv", "fentry:s*"]);
    let (arguments, probes): (Vec<_>, Vec<_>) =
        text(&output.stdout).lines().partition(|line| line.starts_with("    "));
    assert!(probes.len() > 1000 && arguments.len() > probes.len(), "{}", said(&output));
    assert!(probes.iter().copied().eq(text(&plain.stdout).lines()));
}

#[test]
fn stages_are_shown() {
    needs!(Bpf);
    let show = |stage| {
        let output = bt(&["-d", stage, "-e", "BEGIN { @a = count(); printf(\"%d\", pid); }"]);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let typed = show("ast");
    assert!(typed.contains("map @a: count") && typed.contains("BEGIN\n"), "{typed}");
    assert!(show("codegen").contains("get_current_pid_tgid"));
    let instructions = show("dis");
    assert!(
        instructions.contains("// @a = count()") && instructions.contains("call ringbuf_reserve")
    );
}

#[test]
fn nothing_stays_when_it_is_killed() {
    needs!(Bpf, Tracepoint);
    // No other test has a program of that name.
    let there = || common::bpf_ids::programs().iter().any(|one| one.name == "sys_enter_getsi");
    let script =
        r#"BEGIN { printf("ready\n"); } tracepoint:syscalls:sys_enter_getsid { @ = count(); }"#;
    let mut running = Running::start(&["-q", "-e", script]);
    drop(running.wait_for("ready"));
    assert!(there());
    running.signal(Signal::SIGKILL);
    running.0.wait().unwrap();
    wait_until("its program is gone", || !there());
}

#[test]
fn user_functions_are_probed() {
    needs!(Bpf, Uprobe);
    needs_tried!("bash", no_program("bash"));
    let script = "uprobe:/bin/bash:main { @[probe] = count(); @s[ustack(1)] = count(); } uretprobe:/bin/bash:main { @r = count(); }";
    let output = bt(&["-q", "-e", script, "-c", "/bin/bash -c true"]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = text(&output.stdout);
    assert!(printed.contains("@[uprobe:/bin/bash:main]: 1\n"), "{}", said(&output));
    assert!(printed.contains("@s[\n        main+0\n]: 1\n"), "{}", said(&output));
}

#[test]
fn patterns_stand_for_many_probes() {
    needs!(Bpf, Tracepoint, Uprobe);
    needs_tried!("bash", no_program("bash"));
    let script = "tracepoint:syscalls:sys_enter_open* /pid == cpid/ { @[probe] = count(); }
        rawtracepoint:sys_enter /pid == cpid/ { @raw = count(); }
        uprobe:/bin/bash:read_b* { @f[func] = count(); }";
    let output = bt(&["-q", "-e", script, "-c", "/bin/bash -c 'read x < /dev/null'"]);
    let printed = text(&output.stdout);
    // The calls that bash makes for its builtin: itself, and once.
    assert!(printed.contains("@f[read_builtin]: 1\n"), "{}", said(&output));
    assert!(printed.contains("@[tracepoint:syscalls:sys_enter_openat]: "), "{printed}");
    assert!(!printed.contains("@[tracepoint:syscalls:sys_enter_open]: "), "{printed}");
    let raw = printed.lines().find_map(|line| line.strip_prefix("@raw: ")).unwrap();
    assert!(raw.parse::<u64>().unwrap() > 10, "{printed}");
}

#[test]
fn kernel_functions_are_probed() {
    needs!(Bpf, Kprobe);
    let script = "kprobe:vfs_read /pid == cpid/ { @[func, probe] = count(); @s[kstack(1)] = count(); @n = max(arg2); }
        kretprobe:vfs_read /pid == cpid/ { @r = sum(retval); }
        kprobe:vfs_rea* /pid == cpid/ { @w[func] = count(); }";
    let folder = Folder::new();
    let file = folder.path().join("file");
    // A shell reads the file that it is given as a script: the words are no commands.
    fs::write(&file, format!("# {}\n", "x".repeat(97))).unwrap();
    let command = format!("/bin/sh {}", file.display());
    let output = bt(&["-q", "-e", script, "-c", &command]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = text(&output.stdout);
    assert!(printed.contains("@[vfs_read, kprobe:vfs_read]: "), "{}", said(&output));
    assert!(printed.contains("@w[vfs_read]: "), "{printed}");
    assert!(printed.contains("@s[\n        vfs_read+"), "{printed}");
    let read = printed.lines().find_map(|line| line.strip_prefix("@r: ")).unwrap();
    assert!(read.parse::<u64>().unwrap() >= 100, "{printed}");
}

#[test]
fn embedders_get_values() {
    needs!(Bpf);
    let script = Script::compile_with(
        r#"BEGIN { printf("%d %s\n", 5, "five"); print((1, "x")); @["k"] = sum(7); print(@); exit(2); }
           END { printf("end\n"); }"#,
        &Options::new(),
    )
    .unwrap();
    let mut run = script.attach().unwrap();
    let mut other = Script::compile("BEGIN { @x = 1; }").unwrap().attach().unwrap();
    assert_eq!((run.probes(), other.probes()), (2, 1));
    assert!(run.as_pollable().is_some_and(|fd| fd.as_fd().try_clone_to_owned().is_ok()));
    let events: Vec<_> = (&mut run).map(|event| event.unwrap()).collect();
    let [printf, value, map] = events.as_slice() else { panic!("{events:?}") };
    let arguments = vec![Value::from(5), Value::from("five")];
    assert_eq!(*printf, Event::Printf { text: b"5 five\n".to_vec(), arguments });
    assert_eq!(*value, Event::Value(Value::Tuple(vec![Value::from(1), Value::from("x")])));
    let Event::Map(map) = map else { panic!("{map:?}") };
    assert_eq!((map.name(), map.entries().count()), ("@", 1));
    assert_eq!(run.exit_status(), Some(2));
    let last = run.finish().unwrap();
    assert!(
        matches!(last.as_slice(), [Event::Printf { text, .. }] if text == b"end\n"),
        "{last:?}"
    );
    let map = run.read_map("@").unwrap();
    let entries: Vec<_> =
        map.entries().map(|(key, value)| (key.cloned(), value.as_i64())).collect();
    assert_eq!(entries, [(Some(Value::from("k")), Some(7))]);
    assert!(run.read_map("@nope").is_err());
    assert_eq!(other.read_map("@x").unwrap().entries().next().unwrap().1.as_i64(), Some(1));
    assert!(other.poll(Some(Instant::now())).unwrap().is_none());
}

/// Each CPU sends more than the ring holds, and nobody reads.
#[test]
fn embedders_are_told_which_cpus_lost_records() {
    needs!(Tracepoint);
    let script = "config = { perf_rb_pages = 1 } tracepoint:syscalls:sys_enter_getppid /pid == $1/ { printf(\"%d\", cpu) }";
    let own = std::process::id().to_string();
    let script = Script::compile_with(script, &Options::new().parameters([own])).unwrap();
    let mut run = script.attach().unwrap();
    let cpus = cpu::online().unwrap();
    let calls = 1_000;
    for &cpu in &cpus {
        let send = move || {
            let mut set = CpuSet::new();
            set.set(cpu as usize).unwrap();
            sched_setaffinity(Pid::from_raw(0), &set).unwrap();
            (0..calls).for_each(|_| _ = getppid());
        };
        std::thread::spawn(send).join().unwrap();
    }
    let mut left: HashMap<u32, u64> = cpus.iter().map(|cpu| (*cpu, calls)).collect();
    let mut told = Vec::new();
    for event in run.finish().unwrap() {
        match event {
            Event::Printf { text, .. } => {
                *left.get_mut(&String::from_utf8(text).unwrap().parse().unwrap()).unwrap() -= 1;
            }
            Event::Lost { records, by_cpu } => {
                assert_eq!(records, by_cpu.iter().map(|(_, records)| records).sum::<u64>());
                told.extend(by_cpu);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut left: Vec<_> = left.into_iter().collect();
    left.sort();
    assert_eq!(told, left);
}

#[test]
fn mistakes_are_errors_for_embedders() {
    let error = Script::compile("BEGIN { pidd }").unwrap_err();
    assert!(
        error.to_string().starts_with("stdin:1:9-13: ERROR: unknown identifier: `pidd`\n"),
        "{error}"
    );
}

/// Scripts that print the same by every version, but for spaces at the end of lines and empty lines.
const SAME: &[&str] = &[
    r#"BEGIN { printf("%d %u %x %o %c %s|%5d|%-5d|%05d\n", -1, 3000000000, 255, 8, 65, "abc", 42, 42, 42); exit(); }"#,
    r#"BEGIN { @ = 5; @a[1] = 2; @a[2] = 1; @b["x", 3] = 7; exit(); }"#,
    r#"BEGIN { @s = "hello"; @t["k"] = "v"; print(@s); print(@t); exit(); }"#,
    "BEGIN { @c = count(); @c = count(); @s = sum(5); @s = sum(6); @n = min(3); @n = min(2); @x = max(3); @x = max(9); exit(); }",
    "BEGIN { @h = hist(1); @h = hist(5); @h = hist(100); @h = hist(1000000); @h = hist(0); @h = hist(-3); exit(); }",
    "BEGIN { @l = lhist(5, 0, 100, 10); @l = lhist(55, 0, 100, 10); @l = lhist(500, 0, 100, 10); @l = lhist(-5, 0, 100, 10); exit(); }",
    r#"BEGIN { $i = 0; while ($i < 5) { printf("%d ", $i); $i++; } printf("\n"); exit(); }"#,
    r#"BEGIN { $x = 3; if ($x > 2) { printf("big\n"); } else { printf("small\n"); } exit(); }"#,
    r#"BEGIN { print((1, "two", (3, 4))); exit(); }"#,
    "BEGIN { @x[1] = count(); @x[2] = count(); @x[2] = count(); print(@x, 1); clear(@x); exit(); }",
    "BEGIN { @x[1] = sum(10); @x[2] = sum(20); print(@x, 0, 5); delete(@x[2]); zero(@x); exit(); }",
    r#"BEGIN { unroll(3) { printf("r\n"); } exit(); }"#,
    r#"BEGIN { $a = (uint8)300; $b = (int8)200; printf("%d %d\n", $a, $b); exit(); }"#,
    "BEGIN { @k[1, 2, 3] = 4; delete(@k[1, 2, 3]); @k[4, 5, 6] = 7; exit(); }",
    r#"BEGIN { printf("%s\n", "a" == "a" ? "same" : "other"); printf("%d\n", 1 << 4 | 3); exit(); }"#,
    "BEGIN { @a = avg(4); @a = avg(8); print(@a); exit(); }",
    r#"BEGIN { printf("%-10s|%10s|%.2s\n", "ab", "cd", "efg"); exit(); }"#,
    r#"BEGIN { $x = 7; $x += 3; $x *= 2; $x -= 1; $x /= 2; $x %= 5; $x <<= 3; $x |= 1; $x ^= 2; $x &= 15; printf("%d\n", $x); exit(); }"#,
    r#"BEGIN { @["a"] = 1; @["b"] = 2; @["c"] = 3; printf("%d\n", @["b"]); exit(); }"#,
    r#"BEGIN { printf("%r\n", buf("abc", 3)); exit(); }"#,
    r#"BEGIN { printf("%s %s\n", ntop(0x0100007f), ntop(2, 0x0100007f)); exit(); }"#,
    "BEGIN { @m[1] = hist(3); @m[2] = hist(300); exit(); }",
    r#"BEGIN { $s = str($1); printf("%s %d %d\n", $s, $2, $#); exit(); } END { printf("the end\n"); }"#,
    r#"BEGIN { @a = 1; @b = 2; @a++; ++@b; --@a; printf("%d %d\n", @a++, ++@b); exit(); }"#,
    r#"BEGIN { printf("%d %d\n", strncmp("abc", "abd", 2), strncmp("abc", "abd", 3) == 0); exit(); }"#,
    r#"BEGIN { time("x\n"); print("text"); print(5); print(-5); exit(); }"#,
];

#[test]
fn the_installed_bpftrace_prints_the_same() {
    needs!(Bpf);
    needs_tried!("bpftrace", no_program("bpftrace"));
    let lines = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let lines = text.lines().map(str::trim_end);
        // Older versions print on standard output that they begin to attach.
        lines
            .filter(|line| !line.is_empty() && !line.starts_with("Attaching "))
            .map(str::to_owned)
            .collect()
    };
    for script in SAME {
        let theirs = Command::new("bpftrace").args(["-e", script, "abc", "7"]).output().unwrap();
        assert!(theirs.status.success(), "{script}\n{}", said(&theirs));
        let ours = bt(&["-q", "-e", script, "abc", "7"]);
        assert!(ours.status.success(), "{script}\n{}", said(&ours));
        assert!(!lines(&theirs.stdout).is_empty(), "{script}");
        assert_eq!(lines(&ours.stdout), lines(&theirs.stdout), "{script}");
    }
}

/// Why functions of the kernel cannot be probed by fentry; `None` if they can.
fn no_fentry() -> Option<String> {
    let output = bt(&["-q", "-e", "fentry:security_file_open { exit(); }", "-c", "/bin/true"]);
    let error = text(&output.stderr);
    error.contains("EPERM").then(|| error.to_owned())
}

/// The path of a file that is opened and closed, as a value and as a key.
#[test]
fn paths_of_the_kernel_are_printed() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("fentry", no_fentry());
    let folder = Folder::new();
    let path = folder.path().join("file");
    // A shell reads the file that it is given as a script.
    fs::write(&path, "#\n").unwrap();
    let (path, command) = (path.display().to_string(), format!("/bin/sh {}", path.display()));
    let script = "fentry:security_file_open /pid == cpid/ { \
            printf(\"<%s>\\n\", path(args.file->f_path)); \
            @[path(args.file->f_path, 64)] = count(); \
            if (path(args.file->f_path) == str($1)) { @same = 1; } \
            @cut[path(args.file->f_path, 3)] = 1; } \
        fexit:filp_close /pid == cpid/ { @closed[path(&args.filp->f_path, 128)] = count(); }";
    let output = bt(&["-q", "-e", script, "-c", &command, &path]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = text(&output.stdout);
    assert!(printed.contains(&format!("<{path}>\n")), "{}", said(&output));
    for line in [format!("@[{path}]: 1\n"), "@same: 1\n".into(), format!("@closed[{path}]: ")] {
        assert!(printed.contains(&line), "{line}{printed}");
    }
    // A path that does not fit is empty.
    assert!(printed.contains("@cut[]: 1\n"), "{printed}");

    let output = bt(&["-q", "-e", "fentry:vfs_read { @[path(args.file->f_path, 64)] = 1; }"]);
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(
        error.contains("path() is for fentry and fexit of security_file_permission"),
        "{error}"
    );
}

/// The files of a process, of which some kernels give the path to no iterator.
#[test]
fn paths_of_iterators_are_printed() {
    needs!(Bpf, Btf);
    let folder = Folder::new();
    let path = folder.path().join("file");
    let file = fs::File::create(&path).unwrap();
    let script = "iter:task_file /ctx->task->tgid == $1/ { \
        printf(\"%d <%s>\\n\", ctx->fd, path(ctx->file->f_path)); }";
    let output = bt(&["-q", "-e", script, &std::process::id().to_string()]);
    let refused = text(&output.stderr).contains("iter from Linux 5.12 on");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) < (Some(5), Some(12)) {
        true => assert!(refused, "{}", said(&output)),
        false => {
            let line = format!("{} <{}>\n", file.as_raw_fd(), path.display());
            assert!(text(&output.stdout).contains(&line), "{}", said(&output));
        }
    }
}

#[test]
fn a_loop_that_the_kernel_ends_is_reported() {
    needs!(Bpf, Root);
    let runs = |body: &str| bt(&["-q", "-e", &format!("BEGIN {{ {body} exit() }}")]);
    let needed = said(&runs("$n = 2000; @m = $n; for ($i : 0..@m) { @c++ }"));
    needs_tried!("bpf_loop", needed.contains("needs Linux 5.17").then_some(needed.as_str()));
    // BPF_MAX_LOOPS of the kernel; rounds that cost little, since machines are emulated.
    const MOST: u64 = 1 << 23;
    for (body, last, cut) in [
        ("$n = 0; for ($i : 0..100000) { $n = $i } @n = $n;".to_owned(), 99_999, false),
        (format!("$n = 0; for ($i : 0..{}) {{ $n = $i }} @n = $n;", MOST + 1), MOST - 1, true),
        ("$n = 0; while ($n < 100000) { $n++ } @n = $n;".into(), 100_000, false),
        ("$n = 0; while ($n < 99999999) { $n++ } @n = $n;".into(), MOST, true),
    ] {
        let output = runs(&body);
        assert!(output.status.success(), "{body} {}", said(&output));
        let map = format!("@n: {last}\n");
        assert!(text(&output.stdout).contains(&map), "{body} {}", said(&output));
        let warning = "WARNING: 1 loops ended too early, after 8388608 rounds";
        assert_eq!(text(&output.stderr).contains(warning), cut, "{body} {}", said(&output));
    }
}

#[test]
fn a_fifo_does_not_keep_cat_waiting() {
    needs!(Bpf, Root);
    let folder = Folder::new();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let script = format!("BEGIN {{ cat(\"{}\"); printf(\"after\\n\"); exit() }}", fifo.display());
    assert_eq!(out(&script).trim_ascii(), "after");
}
