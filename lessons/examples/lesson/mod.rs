//! Code that the lessons share: running one until Ctrl-C, and two small functions for printing.
#![allow(dead_code, reason = "no lesson needs all of it")]

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rawbpf::histogram::Histogram;
use rawbpf::map::Update;
use rawbpf::{Map, Plain};
use std::borrow::Cow;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The result of a lesson's `run`.
pub type Outcome = Result<(), Box<dyn Error>>;

/// A lesson: it prints to the first argument, and goes on as long as the second returns `true`.
pub type Run = fn(&mut dyn Write, &mut dyn FnMut() -> bool) -> Outcome;

/// Runs a lesson on standard output until Ctrl-C. An error is printed on standard error.
pub fn start(run: Run) -> ExitCode {
    let outcome = until_ctrl_c().and_then(|mut more| run(&mut std::io::stdout().lock(), &mut more));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns `true` until SIGINT (Ctrl-C) or SIGTERM has come.
///
/// The signals are blocked and read from a `signalfd(2)`: they interrupt nothing, so a lesson ends where it asks, and
/// prints what it has counted.
pub fn until_ctrl_c() -> Result<impl FnMut() -> bool, Box<dyn Error>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    let file = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    Ok(move || matches!(file.read_signal(), Ok(None)))
}

/// When to look again whether to go on: a tenth of a second from now.
pub fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(100))
}

/// The text in bytes that a NUL ends, as `get_current_comm` writes it.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// The counts of an array of `u64`, in the form that a histogram takes.
pub fn counts(map: &Map) -> rawbpf::Result<Vec<u64>> {
    let mut counts = vec![0; map.max_entries() as usize];
    for entry in map {
        let (key, value) = entry?;
        let (key, value) = (u32::from_bytes(&key), u64::from_bytes(&value));
        if let (Some(key), Some(value)) = (key, value)
            && let Some(count) = counts.get_mut(key as usize)
        {
            *count = value;
        }
    }
    Ok(counts)
}

/// Prints an array of `u64` as a histogram of powers of two; if nothing was counted, nothing.
pub fn print_log2(out: &mut dyn Write, map: &Map, label: &str) -> Outcome {
    let counts = counts(map)?;
    if counts.iter().any(|count| *count > 0) {
        writeln!(out, "{}", Histogram::log2(&counts).label(label))?;
    }
    Ok(())
}

/// Sets all elements of an array of `u64` to 0: an array's elements cannot be deleted.
pub fn zero(map: &Map) -> rawbpf::Result<()> {
    for number in 0..map.max_entries() {
        map.update(&number.to_ne_bytes(), &[0; 8], Update::Any)?;
    }
    Ok(())
}

/// Sleeps a tenth of a second. A lesson that only counts has nothing to read meanwhile.
pub fn wait() {
    std::thread::sleep(Duration::from_millis(100));
}
