//! The cost of starting rawbpf: the time from the start of a process to hello world attached, its peak
//! memory and its size, beside a bare C program that makes the same system calls; and the crates that an
//! embedder gets.
//!
//! `cargo bench --bench start`, as root, with tracefs mounted and a C compiler as `cc`. The two programs
//! run in turn, so that a noisy machine is noisy to both.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 200;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("start");
    std::fs::create_dir_all(&target)?;
    let ours = build(&target, OURS, STATIC, MINIMAL)?;
    let bare = build_bare(&target)?;
    let command = build(&target, &["--bin", "rawbpf"], STATIC, "rawbpf")?;

    let (mut our_runs, mut bare_runs) = (Vec::new(), Vec::new());
    // The first round warms the page cache.
    for round in 0..=RUNS {
        let (a, b) = (attach(&ours)?, attach(&bare)?);
        if round > 0 {
            our_runs.push(a);
            bare_runs.push(b);
        }
    }
    let ratios =
        our_runs.iter().zip(&bare_runs).map(|(a, b)| a.time.as_secs_f64() / b.time.as_secs_f64());
    let ratio = median(ratios.collect());
    let time = |runs: &[Run]| median(runs.iter().map(|run| run.time.as_secs_f64() * 1e6).collect());
    let memory = |runs: &[Run]| median(runs.iter().map(|run| run.peak_kib as f64).collect());

    println!("hello world on four tracepoints, {RUNS} runs in turn, medians; profile `size`");
    println!();
    println!("| | rawbpf | bare C | ratio |");
    println!("|---|---|---|---|");
    let (a, b) = (time(&our_runs), time(&bare_runs));
    println!("| start to attached, µs | {a:.0} | {b:.0} | {ratio:.2} |");
    let (a, b) = (memory(&our_runs), memory(&bare_runs));
    println!("| peak memory, KiB | {a:.0} | {b:.0} | {:.2} |", a / b);
    let (a, b) = (size(&ours)?, size(&bare)?);
    println!("| size, static, KiB | {a} | {b} | {:.2} |", a as f64 / b as f64);
    println!("| size, dynamic, KiB | {} | | |", size(&build(&target, OURS, "", MINIMAL)?)?);
    println!("| size of the whole command `rawbpf`, static, KiB | {} | | |", size(&command)?);
    println!("| crates in the tree without `cli`, rawbpf included | {} | | |", crates()?);
    Ok(())
}

struct Run {
    time: Duration,
    peak_kib: u64,
}

/// Starts a program and waits until it prints that it is attached.
fn attach(program: &Path) -> Result<Run> {
    let start = Instant::now();
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    let time = start.elapsed();
    if line != "attached\n" {
        return Err(format!("{} did not attach", program.display()).into());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let peak_kib = peak.trim().trim_end_matches(" kB").parse()?;
    drop(child.stdin.take());
    child.wait()?;
    Ok(Run { time, peak_kib })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn size(program: &Path) -> Result<u64> {
    Ok(std::fs::metadata(program)?.len() / 1024)
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("{command:?} failed").into())
    }
}

fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}

const OURS: &[&str] = &["--no-default-features", "--example", "minimal"];
const MINIMAL: &str = "examples/minimal";
const STATIC: &str = "-C target-feature=+crt-static";

/// Builds something of this package in the profile `size`, in a folder of its own for each set of flags.
fn build(target: &Path, what: &[&str], flags: &str, made: &str) -> Result<PathBuf> {
    let target = target.join(if flags.is_empty() { "dynamic" } else { "static" });
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    run(cargo()
        .args(["build", "--quiet", "--profile", "size", "--target", &triple, "--target-dir"])
        .arg(&target)
        .args(what)
        .env("RUSTFLAGS", flags))?;
    Ok(target.join(triple).join("size").join(made))
}

fn build_bare(target: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/start.c");
    let program = target.join("bare");
    run(Command::new("cc").args(["-O2", "-static", "-s", "-o"]).arg(&program).arg(source))?;
    Ok(program)
}

fn crates() -> Result<usize> {
    let tree = run(cargo().args([
        "tree",
        "--no-default-features",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--package",
        "rawbpf",
    ]))?;
    let tree = String::from_utf8(tree)?;
    let names: std::collections::BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    Ok(names.len())
}
