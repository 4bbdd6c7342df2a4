//! The COMMAND of a run: a process that exists before anything is attached, and starts its work after.
//!
//! To trace a command from its first instruction, and not the fork that starts it, the fork has to happen
//! first. So this program starts itself again as a process that waits at a pipe, and becomes the
//! command when the pipe says so. If the pipe is closed instead, it goes away.

use super::Failure;
use crate::syscall;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

/// The first argument of a process that waits to become a command; the number of the pipe's end follows.
const WAIT_THEN_EXEC: &str = "__wait-then-exec";

/// How long a command has to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A command that has been started, or is about to.
pub(super) struct Waiting {
    child: Child,
    gate: PipeWriter,
}

impl Waiting {
    /// Makes the process; nothing of the command runs yet.
    pub(super) fn new(command: &[OsString]) -> Result<Waiting, Failure> {
        let failed =
            |error: io::Error| Failure::Other(format!("cannot start the command: {error}"));
        let (reader, gate) = io::pipe().map_err(failed)?;
        syscall::set_close_on_exec(reader.as_raw_fd(), false)
            .map_err(|errno| Failure::Other(format!("cannot start the command: {errno}")))?;
        let child = Command::new("/proc/self/exe")
            .arg0("rawbpf")
            .arg(WAIT_THEN_EXEC)
            .arg(reader.as_raw_fd().to_string())
            .args(command)
            .spawn()
            .map_err(failed)?;
        Ok(Waiting { child, gate })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets the command begin.
    pub(super) fn release(self) -> Result<Running, Failure> {
        let Waiting { child, mut gate } = self;
        gate.write_all(b"!")
            .map_err(|error| Failure::Other(format!("cannot start the command: {error}")))?;
        Ok(Running { child })
    }
}

/// A command that runs.
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Its exit status, if it has ended: 128 and the signal's number if a signal ended it.
    pub(super) fn ended(&mut self) -> Option<u8> {
        self.child.try_wait().ok().flatten().map(status)
    }

    /// Asks it to end and waits a little. A command that does not heed SIGTERM is left alone.
    pub(super) fn stop(mut self) {
        let pid = self.child.id();
        if self.ended().is_some() {
            return;
        }
        if let Ok(pid) = i32::try_from(pid) {
            // It has not been waited for, so the number is still its own.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                eprintln!(
                    "rawbpf: the command (process {pid}) does not end at SIGTERM; it goes on"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The first argument of a process that becomes a command at once, without the signals blocked that this one reads.
const EXEC: &str = "__exec";

/// Returns the command that runs a line of the shell, up to the line.
pub(super) fn shell() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("rawbpf").args([EXEC, "/bin/sh", "-c"]);
    command
}

/// If this process was started to wait and then become a command, does so. Comes back only if it cannot.
pub(super) fn exec_if_told() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    if first == EXEC {
        return Some(become_command(&arguments.next()?, arguments));
    }
    if first != WAIT_THEN_EXEC {
        return None;
    }
    let gate = arguments.next()?;
    let program = arguments.next()?;
    let mut permission = [0];
    // Opened by name, because a number alone says nothing of who owns it; the copy that was inherited
    // is closed by exec.
    let opened = File::open(std::path::Path::new("/proc/self/fd").join(&gate))
        .and_then(|mut gate| gate.read_exact(&mut permission));
    let closed = gate
        .to_str()
        .and_then(|number| number.parse().ok())
        .is_some_and(|number| syscall::set_close_on_exec(number, true).is_ok());
    if opened.is_err() || !closed {
        // Whoever started this is gone, or has thought better of it.
        return Some(ExitCode::from(1));
    }
    Some(become_command(&program, arguments))
}

/// Becomes a command. Comes back only if it cannot.
fn become_command(program: &OsString, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    // What is blocked to be read as from a file stays blocked over fork and exec.
    let unblocked = super::signals::unblock();
    if let Err(failure) = unblocked {
        eprintln!("rawbpf: cannot run `{}`: {failure}", program.to_string_lossy());
        return ExitCode::from(126);
    }
    let error = Command::new(program).args(arguments).exec();
    eprintln!("rawbpf: cannot run `{}`: {error}", program.to_string_lossy());
    // As shells and env(1) do it.
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}
