//! Signals that are waited for, instead of interrupting; and whether the end of the run was asked for.

use super::Failure;
use crate::syscall::{self, Inherited};
use crate::uapi::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// The request that a signal makes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Ctrl-C, or a polite request to end.
    Stop,
    /// `SIGUSR1`: to show what has been gathered.
    Show,
}

/// The signals that are waited for: those that end a run. The hang-up of the terminal does not if it is ignored, as `nohup` has
/// it. SIGINT always does: shells ignore it for commands in the background, which scripts end by `kill -INT`.
fn signals() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
    if !syscall::is_ignored(Signal::SIGHUP as i32) {
        set.add(Signal::SIGHUP);
    }
    set
}

/// The signals that would end this process now: of those that are waited for, the ones that are neither ignored, for one that is ignored
/// and not blocked is lost, nor blocked by whoever started it.
fn ending() -> SigSet {
    let mut set = signals();
    let blocked = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::all());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if blocked.contains(signal) || syscall::is_ignored(signal as i32) {
            set.remove(signal);
        }
    }
    set
}

/// The signals that are waited for, and `SIGUSR1`, which ends other runs than those of scripts.
fn with_show() -> SigSet {
    let mut set = signals();
    set.add(Signal::SIGUSR1);
    set
}

/// The signal mask and dispositions before [`Signals::block`].
static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Returns what this process has inherited, which is what a command begins with; once signals are blocked.
pub(super) fn inherited() -> Result<Inherited, Failure> {
    let none = || Failure::Other("cannot start a command: signals are not blocked yet".into());
    INHERITED.get().copied().ok_or_else(none)
}

/// The signals of this process, readable like a file. There is one, as there is one standard output, whose writer waits for
/// signals too: what it reads is kept for the loop of the run.
pub(super) struct Signals {
    fd: SignalFd,
    /// By [`Event`], what was read and not yet given out.
    pending: [(Event, AtomicBool); 2],
    /// Whether [`Event::Stop`] ever came.
    stopped: AtomicBool,
    /// The signals that end this process where they are not blocked.
    ending: SigSet,
    /// The time when the run ends by itself.
    deadline: OnceLock<Instant>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

impl Signals {
    /// Blocks the signals that end a run, so that they wait to be read.
    pub(super) fn block() -> Result<&'static Signals, Failure> {
        Signals::of(signals())
    }

    /// The same, and `SIGUSR1` asks for what has been gathered.
    pub(super) fn block_with_show() -> Result<&'static Signals, Failure> {
        Signals::of(with_show())
    }

    fn of(set: SigSet) -> Result<&'static Signals, Failure> {
        let failed = |errno: Errno| Failure::Other(format!("cannot wait for signals: {errno}"));
        let ending = ending();
        let before = syscall::block_signals(set.as_ref()).map_err(failed)?;
        let _ = INHERITED.set(before);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let fd = SignalFd::with_flags(&set, flags).map_err(|errno| failed(Errno(errno as i32)))?;
        let pending = [Event::Stop, Event::Show].map(|event| (event, AtomicBool::new(false)));
        let new =
            || Signals { fd, pending, stopped: false.into(), ending, deadline: OnceLock::new() };
        Ok(SIGNALS.get_or_init(new))
    }

    /// Lets the signals end this process at once, until they are blocked [again](Signals::hold): while it computes for long and
    /// nobody reads them, as when it compiles, or the verifier does, and as long as its end leaves nothing behind.
    pub(super) fn let_through(&self) {
        // It fails for no signals that exist.
        let _ = self.ending.thread_unblock();
    }

    /// Blocks the signals again, so that they wait to be read.
    pub(super) fn hold(&self) {
        let _ = self.ending.thread_block();
    }

    /// The signals that this process waits for, if it does.
    pub(super) fn waited_for() -> Option<&'static Signals> {
        SIGNALS.get()
    }

    /// Sets when the run ends by itself, for waits elsewhere.
    pub(super) fn end_at(&self, deadline: Instant) {
        // A process has one run.
        let _ = self.deadline.set(deadline);
    }

    /// The time when the run ends by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Whether the end of the run was asked for, or its time is over. What has come stays there for [`Signals::next`].
    pub(super) fn is_ending(&self) -> bool {
        self.read();
        self.stopped.load(Relaxed)
            || self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether a signal has come that [`Signals::next`] has not given out: a reason not to wait, for the descriptor may have
    /// been read by another.
    pub(super) fn has_next(&self) -> bool {
        self.read();
        self.pending.iter().any(|(_, pending)| pending.load(Relaxed))
    }

    /// The next signal that has come, if any.
    pub(super) fn next(&self) -> Option<Event> {
        self.read();
        let mut events = self.pending.iter();
        events.find(|(_, pending)| pending.swap(false, Relaxed)).map(|(event, _)| *event)
    }

    /// Notes the signals that have come. Of one kind several are as one, as for the kernel.
    fn read(&self) {
        while let Ok(Some(signal)) = self.fd.read_signal() {
            let event = match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGUSR1)) => Event::Show,
                _ => Event::Stop,
            };
            self.stopped.fetch_or(event == Event::Stop, Relaxed);
            for (_, pending) in self.pending.iter().filter(|(of, _)| *of == event) {
                pending.store(true, Relaxed);
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
