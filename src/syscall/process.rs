//! Processes that wait before they become another program.

use crate::uapi::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The most words of a command line.
const MOST: usize = 1 << 16;

/// Starts a process that waits until a byte comes through a pipe and then becomes a program, found by `PATH`, with no
/// signal blocked; if the pipe is closed without one, it ends. `fork(2)`, `execvp(3)`.
///
/// If the program cannot be run, that is said on standard error, and the process ends with 127 or 126, as shells do it.
///
/// The other end of the pipe is closed in the new process, so that it is not kept open by whoever waits for it.
pub(crate) fn fork_waiting(
    gate: BorrowedFd<'_>,
    other_end: BorrowedFd<'_>,
    words: &[CString],
) -> Result<i32, Errno> {
    if words.is_empty() || words.len() > MOST {
        return Err(Errno(libc::EINVAL));
    }
    // Everything that needs memory is made before the fork: the child calls nothing but what a signal handler may.
    let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let program = words[0].to_string_lossy();
    let name = program.escape_debug();
    let missing = format!("ERROR: cannot run `{name}`: no such program\n");
    let refused = format!("ERROR: cannot run `{name}`\n");
    // SAFETY: the child calls only functions that are safe after a fork of a process with several threads (close, read,
    // sigprocmask, signal, execvp of a path or with PATH, write, _exit) on memory that was made before, and never returns.
    unsafe {
        let pid = libc::fork();
        if pid != 0 {
            return if pid < 0 { Err(Errno::last()) } else { Ok(pid) };
        }
        libc::close(other_end.as_raw_fd());
        let mut byte = 0_u8;
        loop {
            match libc::read(gate.as_raw_fd(), (&raw mut byte).cast(), 1) {
                1 => break,
                -1 if Errno::last().0 == libc::EINTR => {}
                _ => libc::_exit(1),
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // The standard library ignores it.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execvp(pointers[0], pointers.as_ptr());
        let (text, status) = match Errno::last().0 {
            libc::ENOENT => (&missing, 127),
            _ => (&refused, 126),
        };
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(status);
    }
}
