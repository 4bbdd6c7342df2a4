//! The command of a run: a process that exists before anything is attached, and stands before its first instruction until
//! everything is.
//!
//! The process executes the command at once, and is traced while it does (`ptrace(2)`): it stops when the command is in its
//! memory and nothing of it has run. When it is let go, what programs see is the command alone. Where that is not to be had
//! (a tracer has this program already, `kernel.yama.ptrace_scope` or seccomp forbid it, or the command would not get the
//! rights that its file gives), the process waits at a pipe and executes the command when it is let go, so that
//! the one `execve(2)` is among the events.

use super::Failure;
use super::signals;
use crate::syscall::{
    self, Executable, Hold, Inherited, Report, Resume, Waited, fork_held, resume_child,
    wait_for_child,
};
use crate::uapi::Errno;
use crate::user;
use crate::util::file;
use nix::unistd::{AccessFlags, access};
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time that a command has to end after it was signalled to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A command: a process that is held, runs or has ended. Dropping one that is held kills it.
pub(super) struct Child {
    pid: i32,
    process: OwnedFd,
    report: PipeReader,
    held: Option<Held>,
    status: Option<u8>,
    name: String,
    /// Why it could not be held before its first instruction.
    note: Option<String>,
    /// Whoever traces a process is a thread, and no other one can let it go.
    _thread: PhantomData<*const ()>,
}

/// By what a process is held.
enum Held {
    Traced,
    Gate(PipeWriter),
}

/// Why a command is not traced that could be.
const RIGHTS: &str = "its file may give it rights, which it would not get while this process, without CAP_SYS_PTRACE, traces it";

/// Why a process could not be had that is held by a trace.
enum NotHeld {
    /// The command can be tried to be held in another way.
    Otherwise(String),
    Failed(Failure),
}

impl From<Failure> for NotHeld {
    fn from(failure: Failure) -> NotHeld {
        NotHeld::Failed(failure)
    }
}

impl Child {
    /// Makes the process; nothing of the command runs yet.
    pub(super) fn new(words: &[OsString]) -> Result<Child, Failure> {
        let inherited = signals::inherited()?;
        let words: Vec<_> = words
            .iter()
            .map(|word| CString::new(word.clone().into_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::Usage("a word of the command holds a NUL".into()))?;
        let Some(program) = words.first() else {
            return Err(Failure::Usage("the command is missing".into()));
        };
        let files = files(program.as_bytes());
        let rights = !syscall::has_sys_ptrace() && files.iter().any(may_give_rights);
        let held = match rights {
            true => Err(NotHeld::Otherwise(RIGHTS.into())),
            false => Child::traced(&files, &words, &inherited),
        };
        match held {
            Ok(child) => Ok(child),
            Err(NotHeld::Otherwise(why)) => Child::gated(&files, &words, &inherited, Some(why)),
            Err(NotHeld::Failed(failure)) => Err(failure),
        }
    }

    fn traced(
        files: &[CString],
        words: &[CString],
        inherited: &Inherited,
    ) -> Result<Child, NotHeld> {
        let mut child = Child::forked(files, words, inherited, Hold::Trace, None)?;
        loop {
            match child.wait(true)? {
                None => {}
                Some(Waited::Stopped(libc::SIGTRAP)) if child.is_executed() => break,
                Some(Waited::Stopped(signal)) => {
                    // One that came before the command. Those that would stop it are dropped.
                    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
                    let signal = if stops.contains(&signal) { 0 } else { signal };
                    child.resume(Resume::Continue(signal))?;
                }
                Some(ended) => {
                    child.status = Some(status(ended));
                    return match child.report() {
                        Some(Report::NotTraced(errno)) => {
                            Err(NotHeld::Otherwise(format!("ptrace: {errno}")))
                        }
                        Some(Report::NotExecuted(errno)) if is_of_tracing(errno, files) => {
                            Err(NotHeld::Otherwise(format!("execve while traced: {errno}")))
                        }
                        Some(Report::NotExecuted(errno)) => {
                            Err(NotHeld::Failed(child.not_run(errno)))
                        }
                        // A signal ended it.
                        None => Ok(child),
                    };
                }
            }
        }
        child.held = Some(Held::Traced);
        child.resume(Resume::KillAtExit)?;
        Ok(child)
    }

    fn gated(
        files: &[CString],
        words: &[CString],
        inherited: &Inherited,
        note: Option<String>,
    ) -> Result<Child, Failure> {
        let (reader, writer) = io::pipe().map_err(failed)?;
        let hold = Hold::Gate { reader: reader.as_fd(), writer: writer.as_fd() };
        let mut child = Child::forked(files, words, inherited, hold, note)?;
        child.held = Some(Held::Gate(writer));
        child.wait_at_gate();
        Ok(child)
    }

    fn forked(
        files: &[CString],
        words: &[CString],
        inherited: &Inherited,
        hold: Hold<'_>,
        note: Option<String>,
    ) -> Result<Child, Failure> {
        let (report, end) = io::pipe().map_err(failed)?;
        let command = Executable::new(files, words);
        let pid = fork_held(command, inherited, hold, end.as_fd()).map_err(refused)?;
        let process = syscall::pidfd_open(pid.unsigned_abs());
        let process = process.map_err(|errno| {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
            let _ = wait_for_child(pid, true);
            refused(errno)
        })?;
        let name = words.first().map_or(&b""[..], |word| word.to_bytes());
        let name = crate::util::escape::shown_bytes(name).to_string();
        Ok(Child {
            pid,
            process,
            report,
            held: None,
            status: None,
            name,
            note,
            _thread: PhantomData,
        })
    }

    /// Returns the number of the process.
    pub(super) fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Returns a warning, if events before the command's first instruction will be seen.
    pub(super) fn note(&self) -> Option<String> {
        self.note.as_ref().map(|why| {
            format!("the command cannot be held before its first instruction ({why}): its execve is among the events")
        })
    }

    /// Lets the command begin.
    pub(super) fn release(&mut self) -> Result<(), Failure> {
        match self.held.take() {
            None => Ok(()),
            Some(Held::Traced) => self.resume(Resume::Detach),
            Some(Held::Gate(mut gate)) => {
                // If it has been killed meanwhile, the pipe has no reader; that is seen when it is waited for.
                let _ = gate.write_all(b"!");
                drop(gate);
                match self.report() {
                    Some(Report::NotTraced(errno) | Report::NotExecuted(errno)) => {
                        Err(self.not_run(errno))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// Returns its exit status, if it has ended: 128 and the signal's number if a signal ended it.
    pub(super) fn ended(&mut self) -> Option<u8> {
        if self.status.is_none() {
            self.status = match wait_for_child(self.pid, false) {
                Ok(Some(Waited::Stopped(_)) | None) | Err(Errno(libc::EINTR)) => None,
                Ok(Some(ended)) => Some(status(ended)),
                // Someone else has waited for it; how it ended is not known.
                Err(_) => Some(1),
            };
        }
        self.status
    }

    /// Asks it to end and waits a little. A command that does not heed `SIGTERM` is left alone: then returns a warning.
    pub(super) fn stop(&mut self) -> Option<String> {
        let pid = self.pid();
        let goes_on = || format!("the command (process {pid}) does not end at SIGTERM; it goes on");
        (!self.end()).then(goes_on)
    }

    fn end(&mut self) -> bool {
        if self.ended().is_some() {
            return true;
        }
        if self.held.take().is_some() {
            // Nothing of it has run that could heed a signal.
            let _ = syscall::pidfd_signal(self.process.as_fd(), libc::SIGKILL);
            while matches!(wait_for_child(self.pid, true), Err(Errno(libc::EINTR))) {}
            self.status = Some(128 + libc::SIGKILL as u8);
            return true;
        }
        let _ = syscall::pidfd_signal(self.process.as_fd(), libc::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let _ = syscall::wait_readable(self.process.as_fd(), Some(left));
        }
        true
    }

    /// Waits until the process sleeps, which it does at the pipe alone: until then it makes system calls, which would be among
    /// the events. Without `/proc` nothing can be known, and some may be.
    fn wait_at_gate(&self) {
        const SHORT: Duration = Duration::from_micros(50);
        const LONG: Duration = Duration::from_millis(2);
        let mut pause = SHORT;
        let path = format!("/proc/{}/stat", self.pid);
        // `D` is a wait for a page of its memory.
        while file::read(&path).is_ok_and(|stat| matches!(user::state(&stat), Some("R" | "D"))) {
            std::thread::sleep(pause);
            pause = LONG.min(pause * 2);
        }
    }

    fn wait(&self, block: bool) -> Result<Option<Waited>, Failure> {
        match wait_for_child(self.pid, block) {
            Err(Errno(libc::EINTR)) => Ok(None),
            answer => answer.map_err(refused),
        }
    }

    fn resume(&self, how: Resume) -> Result<(), Failure> {
        match resume_child(self.pid, how) {
            // It has been killed, which is seen when it is waited for.
            Ok(()) | Err(Errno(libc::ESRCH)) => Ok(()),
            Err(errno) => Err(refused(errno)),
        }
    }

    /// Whether the process has become the command: the pipe has come to its end.
    fn is_executed(&mut self) -> bool {
        let there = syscall::wait_readable(self.report.as_fd(), Some(Duration::ZERO));
        there == Ok(true) && self.report().is_none()
    }

    /// Returns its report if it cannot become the command; waits until it has or cannot.
    fn report(&mut self) -> Option<Report> {
        let mut bytes = [0; Report::SIZE];
        self.report.read_exact(&mut bytes).ok().map(|()| Report::from_bytes(bytes))
    }

    /// The failure to run the command, with the status that shells and env(1) have for it.
    fn not_run(&self, errno: Errno) -> Failure {
        let missing = matches!(errno.0, libc::ENOENT | libc::ENOTDIR);
        let status = if missing { 127 } else { 126 };
        Failure::NotRun { words: format!("cannot run `{}`: {errno}", self.name), status }
    }
}

/// A descriptor that is readable when the command has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.held.is_some() {
            self.end();
        }
    }
}

fn failed(error: io::Error) -> Failure {
    refused(Errno::of(&error))
}

fn refused(errno: Errno) -> Failure {
    Failure::Other(format!("cannot start the command: {errno}"))
}

fn status(ended: Waited) -> u8 {
    match ended {
        Waited::Exited(status) => status,
        Waited::Killed(signal) => 128 + signal,
        Waited::Stopped(_) => 1,
    }
}

/// The search path for programs if the environment has none (`execvp(3)`).
const PATH: &[u8] = b"/bin:/usr/bin";

/// The files that a command's first word may name, in the order in which they are tried: itself, or those of that name in the
/// folders of `PATH`. Those that are not there are left out, unless none is.
fn files(program: &[u8]) -> Vec<CString> {
    if program.contains(&b'/') {
        return CString::new(program).into_iter().collect();
    }
    if program.is_empty() {
        return Vec::new();
    }
    let path = std::env::var_os("PATH");
    let path = path.as_ref().map_or(PATH, |path| path.as_bytes());
    let all = path.split(|byte| *byte == b':').filter_map(|folder| {
        let folder = if folder.is_empty() { b"." } else { folder };
        CString::new([folder, b"/", program].concat()).ok()
    });
    all.filter(|file| fs::symlink_metadata(here(file)).is_ok()).collect()
}

fn here(file: &CString) -> &Path {
    Path::new(OsStr::from_bytes(file.as_bytes()))
}

/// Whether executing a file may give rights that a process does not get while it is traced by one without `CAP_SYS_PTRACE`:
/// those of its owner or group, or capabilities. What runs for a script is not known here.
fn may_give_rights(file: &CString) -> bool {
    let mut magic = [0; 4];
    let program = file::open(here(file)).and_then(|mut file| {
        let about = file.metadata()?;
        file.read_exact(&mut magic)?;
        Ok(about)
    });
    match program {
        Ok(about) => {
            about.mode() & (libc::S_ISUID | libc::S_ISGID) != 0
                || magic != *b"\x7fELF"
                || syscall::has_attribute(file, c"security.capability")
        }
        Err(_) => fs::symlink_metadata(here(file)).is_ok(),
    }
}

/// Whether a file was refused although it can be executed: a security module may not let it be traced.
fn is_of_tracing(errno: Errno, files: &[CString]) -> bool {
    let executable = |file: &CString| {
        access(here(file), AccessFlags::X_OK).is_ok()
            && fs::metadata(here(file)).is_ok_and(|about| about.is_file())
    };
    matches!(errno.0, libc::EPERM | libc::EACCES) && files.iter().any(executable)
}

/// Returns a descriptor of a process that is named by an option; it is readable when the process has ended.
pub(super) fn process(option: &str, pid: u32) -> Result<OwnedFd, Failure> {
    syscall::pidfd_open(pid).map_err(|errno| {
        let problem = match errno.0 {
            libc::ESRCH => "no such process".to_owned(),
            libc::EINVAL if !(1..=i32::MAX as u32).contains(&pid) => "no such process".to_owned(),
            libc::EINVAL | libc::ENOENT => "a thread, expected a process".to_owned(),
            _ => errno.to_string(),
        };
        Failure::Other(format!("{option} {pid}: {problem}"))
    })
}

/// Whether the process of a descriptor has ended.
pub(super) fn has_ended(process: BorrowedFd<'_>) -> bool {
    syscall::wait_readable(process, Some(Duration::ZERO)) == Ok(true)
}

/// Returns the command that runs a line of the shell, up to the line.
pub(super) fn shell() -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c");
    if let Ok(inherited) = signals::inherited() {
        inherited.hand_on(&mut command);
    }
    command
}
