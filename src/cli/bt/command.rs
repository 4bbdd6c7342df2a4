//! The command of `-c`: a process that exists before anything is attached, and begins its work after.

use crate::cli::Failure;
use crate::syscall;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{CString, OsString};
use std::io::{self, PipeWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

/// How long a command has to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A command. If it is dropped before it was released, its process ends.
pub(super) struct Command {
    pid: Pid,
    gate: Option<PipeWriter>,
    status: Option<u8>,
}

fn failed(error: io::Error) -> Failure {
    Failure::Other(format!("cannot start the command: {error}"))
}

impl Command {
    /// Makes the process; nothing of the command runs yet.
    pub(super) fn new(words: Vec<OsString>) -> Result<Command, Failure> {
        let words = words.into_iter().map(|word| CString::new(word.into_vec()));
        let words: Vec<_> = words
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::Usage("-c: a word of the command holds a NUL".into()))?;
        let (reader, gate) = io::pipe().map_err(failed)?;
        let pid = syscall::fork_waiting(reader.as_fd(), gate.as_fd(), &words)
            .map_err(|errno| failed(io::Error::from_raw_os_error(errno.0)))?;
        Ok(Command { pid: Pid::from_raw(pid), gate: Some(gate), status: None })
    }

    /// Returns the number of the process.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Lets the command begin.
    pub(super) fn release(&mut self) -> Result<(), Failure> {
        match self.gate.take() {
            Some(mut gate) => gate.write_all(b"!").map_err(failed),
            None => Ok(()),
        }
    }

    /// Returns its exit status, if it has ended: 128 and the signal's number if a signal ended it.
    pub(super) fn ended(&mut self) -> Option<u8> {
        if self.status.is_none() {
            self.status = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, status)) => Some(status as u8),
                Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as u8),
                Ok(_) | Err(nix::Error::EINTR) => None,
                Err(_) => Some(1),
            };
        }
        self.status
    }

    /// Asks it to end and waits a little. A command that does not heed SIGTERM is left alone.
    pub(super) fn stop(&mut self) {
        // Closing the gate ends it if it has not begun.
        let waits = self.gate.take().is_some();
        if self.ended().is_some() {
            return;
        }
        if !waits {
            // It has not been waited for, so the number is still its own.
            let _ = kill(self.pid, Signal::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.gate.is_some() {
            self.stop();
        }
    }
}
