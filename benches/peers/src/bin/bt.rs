//! The language beside bpftrace:
//!
//! `cargo build --release` and then, as root,
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --bin bt -- target/release/rawbpf bpftrace`.
//!
//! * What an event costs: the run time that the kernel counts for each program (`run_time_ns / run_cnt`), and the size of
//!   the program after the verifier (`xlated`), for the same script on the same system calls, in turn.
//! * What a printed line costs the reader: its processor time for a million events less that for none, and how many lines
//!   came out.
//! * What a start costs: processor time and peak memory of a run around `/bin/true`.
//!
//! The first argument is rawbpf, those after it the command of the peer. `BT_EVENTS` and `BT_ROUNDS` set the numbers.

use rawbpf::{ProgramInfo, RunStatistics, programs};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A script, and the system call whose events it counts.
struct Script {
    text: &'static str,
    call: fn(),
    /// The number of its programs.
    programs: usize,
}

const fn one(text: &'static str, call: fn()) -> Script {
    Script { text, call, programs: 1 }
}

fn getppid() {
    // SAFETY: it takes no arguments and cannot fail.
    unsafe { libc::getppid() };
}

fn umask() {
    // SAFETY: any mask is a valid argument.
    unsafe { libc::umask(0o22) };
}

fn access() {
    // SAFETY: the path ends with a zero.
    unsafe { libc::access(c"/no/such/file".as_ptr(), libc::R_OK) };
}

/// A line an event, whose reader is timed as well.
const PRINTS: Script = one(
    "tracepoint:syscalls:sys_enter_umask { printf(\"%d %d %d\\n\", pid, tid, args->mask); }",
    umask,
);

const SCRIPTS: &[Script] = &[
    one("tracepoint:syscalls:sys_enter_getppid { }", getppid),
    one("tracepoint:syscalls:sys_enter_getppid { @ = count(); }", getppid),
    one("tracepoint:syscalls:sys_enter_getppid { @[comm] = count(); }", getppid),
    one("tracepoint:syscalls:sys_enter_getppid { @[pid, comm] = count(); }", getppid),
    one("tracepoint:syscalls:sys_enter_umask { @ = hist(args->mask); }", umask),
    Script {
        text: "tracepoint:syscalls:sys_enter_getppid { @s[tid] = nsecs; } \
               tracepoint:syscalls:sys_exit_getppid /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s[tid]); }",
        call: getppid,
        programs: 2,
    },
    PRINTS,
    one(
        "tracepoint:syscalls:sys_enter_access { printf(\"%s %s\\n\", comm, str(args->filename)); }",
        access,
    ),
    one("tracepoint:syscalls:sys_enter_getppid { @[kstack(5)] = count(); }", getppid),
    one("tracepoint:syscalls:sys_enter_umask /pid == $1/ { @ = sum(args->mask); }", umask),
];

/// A tool that runs.
struct Run {
    child: Child,
    /// Its programs, once they have run.
    ids: Vec<u32>,
}

/// The programs that a process holds, by itself or by links: others may trace on the same machine.
fn programs_of(process: u32) -> BTreeSet<u32> {
    let files = std::fs::read_dir(format!("/proc/{process}/fdinfo"));
    let texts = files.into_iter().flatten().flatten();
    let texts = texts.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let id = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("prog_id:"))?;
        line.trim().parse().ok()
    };
    texts.filter_map(id).collect()
}

impl Run {
    /// Starts a tool and waits until all programs of the script have run once.
    fn start(tool: &[OsString], script: &Script, out: Stdio) -> Result<Run> {
        let child = Command::new(&tool[0])
            .args(&tool[1..])
            .args(["-e", script.text, &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()?;
        let mut run = Run { child, ids: Vec::new() };
        let started = Instant::now();
        while run.ids.len() < script.programs {
            if let Some(status) = run.child.try_wait()? {
                return Err(format!("{:?} ended with {status}: {}", tool[0], script.text).into());
            }
            if started.elapsed() > Duration::from_secs(20) {
                run.child.kill()?;
                return Err(format!("{:?} did not attach {}", tool[0], script.text).into());
            }
            std::thread::sleep(Duration::from_millis(5));
            (script.call)();
            let held = programs_of(run.child.id());
            run.ids = programs()
                .filter_map(|info| info.ok())
                .filter(|info| held.contains(&info.id) && info.run_count > 0)
                .map(|info| info.id)
                .collect();
        }
        Ok(run)
    }

    fn infos(&self) -> Result<Vec<ProgramInfo>> {
        let all: Vec<_> = programs().filter_map(|info| info.ok()).collect();
        Ok(all.into_iter().filter(|info| self.ids.contains(&info.id)).collect())
    }

    /// Ends it as Ctrl-C does; returns the processor time that it took and its peak memory in KiB.
    fn end(mut self) -> Result<(Duration, i64)> {
        // SAFETY: the child has not been waited for, so the number is its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        usage(&mut self.child)
    }
}

/// Waits for a process; returns the processor time that it took and its peak memory in KiB.
fn usage(child: &mut Child) -> Result<(Duration, i64)> {
    // SAFETY: a rusage is numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are to live variables of the types that the call fills.
    let pid = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    if pid < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok((time(usage.ru_utime) + time(usage.ru_stime), usage.ru_maxrss))
}

fn median<T: Copy + PartialOrd>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("times are numbers"));
    values[values.len() / 2]
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The cost of a script's programs in one run: for each its ns an event and its bytes.
fn cost(tool: &[OsString], script: &Script, events: usize) -> Result<Vec<(f64, u32)>> {
    let run = Run::start(tool, script, Stdio::null())?;
    let before = run.infos()?;
    for _ in 0..events {
        (script.call)();
    }
    let costs = run
        .infos()?
        .iter()
        .zip(&before)
        .map(|(after, before)| {
            let time = (after.run_time - before.run_time).as_nanos() as f64;
            (time / (after.run_count - before.run_count) as f64, after.xlated_len)
        })
        .collect();
    run.end()?;
    Ok(costs)
}

/// Lines that came out and processor time of a reader of `events` events, sent as fast as the script's program can.
fn lines(tool: &[OsString], script: &Script, events: usize) -> Result<(usize, Duration)> {
    let path = std::env::temp_dir().join(format!("rawbpf-bench-bt.{}", std::process::id()));
    let run = Run::start(tool, script, File::create(&path)?.into())?;
    for _ in 0..events {
        (script.call)();
    }
    let (time, _) = run.end()?;
    let me = std::process::id().to_string();
    let lines = BufReader::new(File::open(&path)?)
        .lines()
        .map_while(|line| line.ok())
        .filter(|line| line.split(' ').next() == Some(&me))
        .count();
    std::fs::remove_file(&path)?;
    Ok((lines, time))
}

/// Processor time and peak memory of a run around `/bin/true`. It is started by a process that has next to no memory
/// itself, since `ru_maxrss` begins with that of the parent.
fn start(tool: &[OsString]) -> Result<(Duration, i64)> {
    let mut command = Command::new(&tool[0]);
    command
        .args(&tool[1..])
        .args([
            "-e",
            "tracepoint:syscalls:sys_enter_openat { @[comm] = count(); }",
            "-c",
            "/bin/true",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A closure before the exec makes std fork, not vfork: the peak is then counted from the copy, which is small.
    // SAFETY: it does nothing.
    unsafe { command.pre_exec(|| Ok(())) };
    usage(&mut command.spawn()?)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let ours =
        arguments.next().ok_or("expected the path of rawbpf, then the command of bpftrace")?;
    let peer: Vec<OsString> = arguments.collect();
    let tools =
        [vec![ours, "bt".into()], if peer.is_empty() { vec!["bpftrace".into()] } else { peer }];
    let (events, rounds) = (number("BT_EVENTS", 300_000), number("BT_ROUNDS", 7));
    let _statistics = RunStatistics::enable()?;

    println!("{events} events, medians of {rounds} rounds in turn\n");
    println!("| script | ns, rawbpf | bpftrace | ratio | bytes, rawbpf | bpftrace | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let (mut product, mut rows) = (1.0, 0);
    for script in SCRIPTS {
        let mut costs = [const { Vec::new() }; 2];
        for _ in 0..rounds {
            for (tool, costs) in tools.iter().zip(&mut costs) {
                costs.push(cost(tool, script, events)?);
            }
        }
        let mut both = [(0.0, 0); 2];
        for (costs, both) in costs.iter().zip(&mut both) {
            for program in 0..script.programs {
                both.0 +=
                    median(&mut costs.iter().map(|round| round[program].0).collect::<Vec<_>>());
                both.1 += costs[0][program].1;
            }
        }
        let [(ns, bytes), (their_ns, their_bytes)] = both;
        println!(
            "| `{}` | {ns:.0} | {their_ns:.0} | {:.2} | {bytes} | {their_bytes} | {:.2} |",
            script.text.replace('|', "\\|"),
            ns / their_ns,
            f64::from(bytes) / f64::from(their_bytes),
        );
        product *= ns / their_ns;
        rows += 1;
    }
    println!("\nratio of ns, geometric mean: {:.2}", f64::powf(product, 1.0 / f64::from(rows)));

    let million = number("BT_LINES", 1_000_000);
    println!(
        "\n| reader of {million} events | lines printed | processor time, ms | less the run without events |"
    );
    println!("|---|---|---|---|");
    for (tool, name) in tools.iter().zip(["rawbpf", "bpftrace"]) {
        let (_, idle) = lines(tool, &PRINTS, 1)?;
        let (lines, time) = lines(tool, &PRINTS, million)?;
        let (all, less) =
            (time.as_secs_f64() * 1e3, (time.saturating_sub(idle)).as_secs_f64() * 1e3);
        println!("| {name} | {lines} | {all:.0} | {less:.0} |");
    }

    println!("\n| `-c /bin/true` | processor time, ms | peak memory, KiB |\n|---|---|---|");
    for (tool, name) in tools.iter().zip(["rawbpf", "bpftrace"]) {
        let runs = (0..5 * rounds).map(|_| start(tool)).collect::<Result<Vec<_>>>()?;
        let time =
            median(&mut runs.iter().map(|run| run.0.as_secs_f64() * 1e3).collect::<Vec<_>>());
        let memory = median(&mut runs.iter().map(|run| run.1).collect::<Vec<_>>());
        println!("| {name} | {time:.1} | {memory} |");
    }
    Ok(())
}
