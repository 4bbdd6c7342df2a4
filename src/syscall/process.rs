//! Commands: processes that stand still before their first instruction until they are let go.

use super::owned;
use crate::uapi::Errno;
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether this process began with `SIGPIPE` ignored. The standard library ignores it before `main`, and so hides that.
static IGNORED_PIPE: AtomicBool = AtomicBool::new(false);

/// Run before `main`, by the C library.
#[used]
// SAFETY: the section holds pointers to functions that take, here, no arguments; this one needs nothing of the standard library.
#[unsafe(link_section = ".init_array")]
static NOTE_PIPE: extern "C" fn() = {
    extern "C" fn note() {
        IGNORED_PIPE.store(is_ignored(libc::SIGPIPE), Relaxed);
    }
    note
};

/// Inherited signal state that this process changes for itself, and restores for the commands it runs.
#[derive(Clone, Copy)]
pub(crate) struct Inherited {
    mask: libc::sigset_t,
    ignores_child: bool,
}

/// Blocks signals, and has `SIGCHLD` do nothing rather than be ignored, which would make the kernel discard the exit
/// status of children. Returns the state before.
///
/// It changes the signal handling of the whole process: for a program, not for a library. `sigprocmask(2)`, `sigaction(2)`.
pub(crate) fn block_signals(signals: &libc::sigset_t) -> Result<Inherited, Errno> {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: reads one live set, and writes the other, which it initialises if it does not fail.
    let answer = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, signals, mask.as_mut_ptr()) };
    if answer != 0 {
        return Err(Errno(answer));
    }
    // SAFETY: it has not failed.
    let mask = unsafe { mask.assume_init() };
    // SAFETY: sets no handler.
    let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    Ok(Inherited { mask, ignores_child: before == libc::SIG_IGN })
}

/// Returns whether this process ignores a signal, as one started by `nohup(1)` does SIGHUP. A blocked signal comes even then.
/// `sigaction(2)`.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: changes nothing, and writes the disposition, which it initialises if it does not fail.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: it has not failed.
    answer == 0 && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

impl Inherited {
    /// Restores it in this process, which has forked. Calls only async-signal-safe functions: `signal-safety(7)`.
    fn restore(&self, also_unblocked: Option<i32>) -> Result<(), Errno> {
        let mut mask = self.mask;
        // SAFETY: `mask` is live; no handler is set.
        unsafe {
            if let Some(signal) = also_unblocked {
                libc::sigdelset(&mut mask, signal);
            }
            // The standard library ignores it.
            let ignored = IGNORED_PIPE.load(Relaxed);
            libc::signal(libc::SIGPIPE, if ignored { libc::SIG_IGN } else { libc::SIG_DFL });
            if self.ignores_child {
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            }
            match libc::pthread_sigmask(libc::SIG_SETMASK, &mask, std::ptr::null_mut()) {
                0 => Ok(()),
                errno => Err(Errno(errno)),
            }
        }
    }

    /// Restores it in a process that the standard library starts, before it executes the command.
    pub(crate) fn hand_on(self, command: &mut Command) {
        // SAFETY: the function calls only what may be called after a fork.
        unsafe {
            command.pre_exec(move || {
                self.restore(None).map_err(|errno| std::io::Error::from_raw_os_error(errno.0))
            });
        }
    }
}

/// A command, ready to be executed: nothing of it has to be made after a fork.
pub(crate) struct Executable<'a> {
    /// The files that it may be, in the order of `PATH`.
    files: &'a [CString],
    words: Vec<*const c_char>,
    /// The same for a file that is neither a program nor names its interpreter: the shell, a place for the file, and the
    /// words behind the first.
    shell_words: Vec<*const c_char>,
}

/// The interpreter of a file that the kernel does not know how to execute, as in `execvp(3)`.
const SHELL: &CStr = c"/bin/sh";

impl<'a> Executable<'a> {
    pub(crate) fn new(files: &'a [CString], words: &'a [CString]) -> Executable<'a> {
        let null = std::ptr::null();
        let rest = words.iter().skip(1).map(|word| word.as_ptr());
        let shell_words = [SHELL.as_ptr(), null].into_iter().chain(rest).chain([null]).collect();
        let words = words.iter().map(|word| word.as_ptr()).chain([null]).collect();
        Executable { files, words, shell_words }
    }

    /// Becomes the first of the files that can be executed, as `execvp(3)` chooses. Returns why it cannot.
    ///
    /// Calls only what may be called after a fork, and allocates nothing.
    fn execute(&mut self) -> Errno {
        let mut refused = None;
        for file in self.files {
            // SAFETY: the file and the words are strings that are borrowed, in an array that ends with null; so is the
            // environment, which nobody changes in a process that has just been forked.
            unsafe { libc::execv(file.as_ptr(), self.words.as_ptr()) };
            let errno = Errno::last();
            match errno.0 {
                libc::ENOEXEC => {
                    if let Some(place) = self.shell_words.get_mut(1) {
                        *place = file.as_ptr();
                    }
                    // SAFETY: as above.
                    unsafe { libc::execv(SHELL.as_ptr(), self.shell_words.as_ptr()) };
                    return errno;
                }
                libc::EACCES => refused = Some(errno),
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                _ => return errno,
            }
        }
        refused.unwrap_or(Errno(libc::ENOENT))
    }
}

/// The way in which a new process is kept from running the command too early.
#[derive(Clone, Copy)]
pub(crate) enum Hold<'a> {
    /// By `ptrace(2)`: it executes the command, and stops before its first instruction with `SIGTRAP`.
    Trace,
    /// By a pipe, of which these are the two ends: it executes the command when a byte arrives, and exits when the pipe
    /// is closed.
    Gate { reader: BorrowedFd<'a>, writer: BorrowedFd<'a> },
}

/// The message that a new process writes into the pipe `report` if it cannot execute the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It could not be traced.
    NotTraced(Errno),
    /// No file could be executed.
    NotExecuted(Errno),
}

impl Report {
    /// Its length, in bytes.
    pub(crate) const SIZE: usize = 5;

    fn to_bytes(self) -> [u8; Report::SIZE] {
        let (kind, errno) = match self {
            Report::NotTraced(errno) => (0, errno),
            Report::NotExecuted(errno) => (1, errno),
        };
        let [a, b, c, d] = errno.0.to_ne_bytes();
        [kind, a, b, c, d]
    }

    pub(crate) fn from_bytes([kind, errno @ ..]: [u8; Report::SIZE]) -> Report {
        let errno = Errno(i32::from_ne_bytes(errno));
        if kind == 0 { Report::NotTraced(errno) } else { Report::NotExecuted(errno) }
    }
}

/// Starts a process that becomes a command, and is held before its first instruction. Returns its number. `fork(2)`.
///
/// `report` is closed on `execve(2)`, so that it comes to its end when the process has become the command.
pub(crate) fn fork_held(
    mut command: Executable<'_>,
    inherited: &Inherited,
    hold: Hold<'_>,
    report: BorrowedFd<'_>,
) -> Result<i32, Errno> {
    // SAFETY: in the child, which may be that of a process with several threads, only functions are called that may be called
    // then (`signal-safety(7)`; `ptrace` is a system call), on memory that was made before; and it does not return.
    unsafe {
        let parent = libc::getpid();
        let pid = libc::fork();
        if pid != 0 {
            return if pid < 0 { Err(Errno::last()) } else { Ok(pid) };
        }
        let why = match begin(inherited, hold, parent) {
            Ok(()) => Report::NotExecuted(command.execute()),
            Err(errno) => Report::NotTraced(errno),
        };
        let bytes = why.to_bytes();
        // A few bytes fit into a pipe with one writer. If the parent has exited, they are not needed.
        libc::write(report.as_raw_fd(), bytes.as_ptr().cast(), bytes.len());
        libc::_exit(1);
    }
}

/// Prepares a forked process, before it executes a command.
fn begin(inherited: &Inherited, hold: Hold<'_>, parent: libc::pid_t) -> Result<(), Errno> {
    match hold {
        Hold::Trace => {
            // The signal by which it stops must be delivered; callers have no reason to block it.
            inherited.restore(Some(libc::SIGTRAP))?;
            let null = std::ptr::null_mut::<libc::c_void>();
            // If the parent is killed before this, init would become the tracer, and the process would stand still for ever: it is
            // killed with the parent until it has a tracer.
            // SAFETY: these take no addresses.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
                if libc::getppid() != parent {
                    libc::_exit(1);
                }
                let answer = libc::ptrace(libc::PTRACE_TRACEME, 0, null, null);
                let answer = if answer < 0 { Err(Errno::last()) } else { Ok(()) };
                libc::prctl(libc::PR_SET_PDEATHSIG, 0 as libc::c_ulong);
                answer
            }
        }
        Hold::Gate { reader, writer } => {
            // Before it waits, so that nothing is left to be done but to execute the command.
            inherited.restore(None)?;
            let mut byte = 0_u8;
            // SAFETY: the descriptors are open, and `byte` is live. The other end is this process's own copy of it, which
            // would keep the pipe from coming to its end.
            unsafe {
                libc::close(writer.as_raw_fd());
                loop {
                    match libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) {
                        1 => return Ok(()),
                        -1 if Errno::last().0 == libc::EINTR => {}
                        _ => libc::_exit(1),
                    }
                }
            }
        }
    }
}

/// The state of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It has ended with a status.
    Exited(u8),
    /// A signal has ended it.
    Killed(u8),
    /// It is traced and has stopped, by a signal that has yet to be delivered.
    Stopped(i32),
}

/// Returns the state of a child, or waits for a change if `block` says so. `waitpid(2)`.
pub(crate) fn wait_for_child(pid: i32, block: bool) -> Result<Option<Waited>, Errno> {
    let mut status = 0;
    let options = if block { 0 } else { libc::WNOHANG };
    // SAFETY: `status` is live.
    let answer = unsafe { libc::waitpid(pid, &mut status, options) };
    match answer {
        -1 => Err(Errno::last()),
        0 => Ok(None),
        _ if libc::WIFEXITED(status) => Ok(Some(Waited::Exited(libc::WEXITSTATUS(status) as u8))),
        _ if libc::WIFSIGNALED(status) => Ok(Some(Waited::Killed(libc::WTERMSIG(status) as u8))),
        _ if libc::WIFSTOPPED(status) => Ok(Some(Waited::Stopped(libc::WSTOPSIG(status)))),
        _ => Ok(None),
    }
}

/// The request to a traced process that has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Continue, with a signal or, for 0, without.
    Continue(i32),
    /// Continue, untraced.
    Detach,
    /// Stay stopped, and be killed should this process end.
    KillAtExit,
}

/// Resumes a child that has stopped. `ptrace(2)`: from the thread that has forked it.
pub(crate) fn resume_child(pid: i32, how: Resume) -> Result<(), Errno> {
    let (request, data) = match how {
        Resume::Continue(signal) => (libc::PTRACE_CONT, signal),
        Resume::Detach => (libc::PTRACE_DETACH, 0),
        Resume::KillAtExit => (libc::PTRACE_SETOPTIONS, libc::PTRACE_O_EXITKILL),
    };
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: none of the requests takes an address of this process; `data` is a number, as large as a pointer.
    let answer = unsafe { libc::ptrace(request, pid, null, data as libc::c_long) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// A descriptor of a process that is readable when it has ended. `pidfd_open(2)`; Linux 5.3.
pub(crate) fn pidfd_open(pid: u32) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(pid).map_err(|_| Errno(libc::ESRCH))?;
    // SAFETY: takes integers.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    #[allow(clippy::useless_conversion)] // Not on every architecture.
    let answer = i64::from(answer);
    owned(if answer < 0 { Err(Errno::last()) } else { Ok(answer) })
}

/// Sends a signal to the process of a descriptor, even if its PID has been reused. `pidfd_send_signal(2)`; Linux 5.1.
pub(crate) fn pidfd_signal(process: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: takes a descriptor that is open and integers; without a `siginfo_t` the kernel makes one.
    let answer =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, null, 0) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// Whether this thread has `CAP_SYS_PTRACE` in effect. `capget(2)`.
pub(crate) fn has_sys_ptrace() -> bool {
    /// `_LINUX_CAPABILITY_VERSION_3`, with two structures of three words: effective, permitted, inheritable.
    const VERSION: u32 = 0x2008_0522;
    const CAP_SYS_PTRACE: u32 = 19;
    let mut header = [VERSION, 0];
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: both are live and as long as that version has them.
    let answer = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    let [[effective, ..], _] = sets;
    answer == 0 && effective & (1 << CAP_SYS_PTRACE) != 0
}

/// Whether a file has an extended attribute. `getxattr(2)`.
pub(crate) fn has_attribute(file: &CStr, name: &CStr) -> bool {
    // SAFETY: both strings are live and end with a NUL; with a size of 0 nothing is written.
    unsafe { libc::getxattr(file.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}
