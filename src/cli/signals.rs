//! Signals as something to wait for, instead of something that interrupts.

use super::Failure;
use crate::syscall::{self, Inherited};
use crate::uapi::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

/// What a signal asks of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Ctrl-C, or a polite request to end.
    Stop,
    /// `SIGUSR1`: to show what has been gathered.
    Show,
}

/// Those that are waited for.
fn signals() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    set
}

/// Those, and `SIGUSR1`, which ends other runs than those of scripts.
fn with_show() -> SigSet {
    let mut set = signals();
    set.add(Signal::SIGUSR1);
    set
}

/// What was so before [`Signals::block`].
static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Returns what this process has inherited, which is what a command begins with; once signals are blocked.
pub(super) fn inherited() -> Result<Inherited, Failure> {
    let none = || Failure::Other("cannot start a command: signals are not blocked yet".into());
    INHERITED.get().copied().ok_or_else(none)
}

/// The signals of this process, readable like a file.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// From now on the signals that end a run wait to be read.
    pub(super) fn block() -> Result<Signals, Failure> {
        Signals::of(signals())
    }

    /// The same, and `SIGUSR1` asks for what has been gathered.
    #[cfg(feature = "bt")]
    pub(super) fn block_with_show() -> Result<Signals, Failure> {
        Signals::of(with_show())
    }

    fn of(set: SigSet) -> Result<Signals, Failure> {
        let failed = |errno: Errno| Failure::Other(format!("cannot wait for signals: {errno}"));
        let before = syscall::block_signals(set.as_ref()).map_err(failed)?;
        let _ = INHERITED.set(before);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        SignalFd::with_flags(&set, flags).map(Signals).map_err(|errno| failed(Errno(errno as i32)))
    }

    /// The next signal that has come, if any.
    pub(super) fn next(&self) -> Option<Event> {
        let signal = self.0.read_signal().ok().flatten()?;
        Some(match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
            Ok(Ok(Signal::SIGUSR1)) => Event::Show,
            _ => Event::Stop,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
