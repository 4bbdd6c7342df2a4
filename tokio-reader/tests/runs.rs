//! The example runs, sees a process that the test starts, and ends after as many events as it was asked for, or by Ctrl-C.

#[path = "../../src/requires.rs"]
mod requires;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use requires::{Thing, needs};
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Starts the example, and waits for the line that it prints when it is attached.
fn start(args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut example = Command::new(env!("CARGO_BIN_EXE_tokio-reader"));
    let mut child = example.args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "PID      COMM");
    (child, lines)
}

#[test]
fn it_prints_the_processes_that_exit() {
    needs!(Tracepoint);
    const EVENTS: usize = 40;
    let (mut child, lines) = start(&[&EVENTS.to_string()]);
    let mut ours = Vec::new();
    // Each ends before the next one begins, so the last ones are too late.
    for _ in 0..EVENTS {
        let mut shell = Command::new("sh").args(["-c", ":"]).spawn().unwrap();
        ours.push(format!("{:<8} sh", shell.id()));
        shell.wait().unwrap();
    }
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(lines.len(), EVENTS, "{lines:?}");
    assert!(lines.contains(&ours[0]), "{:?} in {lines:?}", ours[0]);
    assert!(child.wait().unwrap().success());
}

#[test]
fn ctrl_c_ends_it() {
    needs!(Tracepoint);
    let (mut child, mut lines) = start(&[]);
    // Once it has printed a second event it has waited, for both.
    for _ in 0..2 {
        let mut shell = Command::new("sh").args(["-c", ":"]).spawn().unwrap();
        let ours = format!("{:<8} sh", shell.id());
        shell.wait().unwrap();
        assert!(lines.any(|line| line.unwrap() == ours));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
}
