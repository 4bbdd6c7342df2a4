//! Standard output and standard error: the one place where the command line writes.
//!
//! * Text is made safe for a terminal here ([`escape::lines`]), whatever its source.
//! * A stream that takes nothing is waited for (a full pipe, also one that is not blocking), and with it the signals
//!   and the time that end a run: once the end was asked for, output without a reader is dropped and counted.
//! * No failure to write panics, as those of `println!` do. A failure of standard error is not reported.

use super::Failure;
use super::signals::Signals;
use crate::util::escape;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time that standard output may accept nothing after the end of the run was asked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same for standard error, whose messages come after.
const SHORT: Duration = Duration::from_millis(200);

/// As much as a pipe that is writable takes at once (`PIPE_BUF`).
const PIPE: usize = 4096;

/// Reads all that there is, if it is no longer than `most`: what is no text or object but has no end, such as `/dev/zero`, is an error
/// before memory is used up.
pub(super) fn read_within(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("more than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

/// A stream that is written to.
pub(super) struct Stream {
    to: To,
    patience: Duration,
    /// The way to write without blocking; found at the first write.
    manner: Option<Manner>,
    /// Bytes that were not written since there was no reader.
    dropped: u64,
    /// Whether it was given up.
    gave_up: bool,
}

enum To {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(File),
}

enum Manner {
    /// A file: a write waits for a disk at most.
    Whole,
    /// The same pipe or terminal, opened again so that writing never blocks: that is a property of what was opened, and the one that was
    /// inherited belongs to others, too.
    Reopened(File),
    /// In pieces, when there is said to be room for one.
    Pieces,
}

impl Stream {
    const fn new(to: To, patience: Duration) -> Stream {
        Stream { to, patience, manner: None, dropped: 0, gave_up: false }
    }

    /// Standard output.
    pub(super) fn stdout() -> Stream {
        Stream::new(To::Stdout(io::stdout()), PATIENCE)
    }

    fn stderr() -> Stream {
        Stream::new(To::Stderr(io::stderr()), SHORT)
    }

    /// A file that was opened.
    pub(super) fn file(file: File) -> Stream {
        Stream::new(To::File(file), PATIENCE)
    }

    /// Writes all of it, or drops the rest if there is no reader and the run is to end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if self.manner.is_none() && !rest.is_empty() {
            self.manner = Some(self.find_manner());
        }
        let mut until = None;
        while !rest.is_empty() {
            if self.gave_up || !self.has_room(&mut until)? {
                self.gave_up = true;
                self.dropped += rest.len() as u64;
                return Ok(());
            }
            // Until there is no room: then it is waited for anew.
            while !rest.is_empty() {
                let (fd, most) = match self.manner.as_ref() {
                    Some(Manner::Reopened(file)) => (file.as_fd(), rest.len()),
                    Some(Manner::Whole) => (self.as_fd(), rest.len()),
                    Some(Manner::Pieces) | None => (self.as_fd(), PIPE),
                };
                match nix::unistd::write(fd, rest.get(..most).unwrap_or(rest)) {
                    Ok(written) => {
                        rest = rest.get(written..).unwrap_or_default();
                        until = None;
                    }
                    Err(nix::Error::EINTR) => {}
                    Err(nix::Error::EAGAIN) => {
                        // Without the pause, a stream that polls as writable and has no room would be a busy loop.
                        std::thread::sleep(Duration::from_micros(100));
                        break;
                    }
                    Err(errno) => return Err(errno.into()),
                }
                if matches!(self.manner, Some(Manner::Pieces) | None) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The number of bytes that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Waits for room; `false` if there was none for long after the run was to end. `until`: how long that is, once it is known.
    fn has_room(&self, until: &mut Option<Instant>) -> io::Result<bool> {
        if let Some(Manner::Whole) = self.manner {
            return Ok(true);
        }
        let signals = Signals::waited_for();
        loop {
            if until.is_none() && signals.is_some_and(Signals::is_ending) {
                *until = Instant::now().checked_add(self.patience);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            let fd = match &self.manner {
                Some(Manner::Reopened(file)) => file.as_fd(),
                _ => self.as_fd(),
            };
            let mut fds = vec![PollFd::new(fd, PollFlags::POLLOUT)];
            fds.extend(signals.map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)));
            let end = until.or_else(|| signals.and_then(Signals::deadline));
            match poll(&mut fds, timeout(end)) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            // An error or a reader that is gone is for the write to find.
            if fds.first().is_none_or(|fd| fd.any().unwrap_or(true)) {
                return Ok(true);
            }
        }
    }

    fn find_manner(&self) -> Manner {
        let kind = nix::sys::stat::fstat(self.as_fd()).map_or(0, |about| about.st_mode);
        let terminal = || match &self.to {
            To::Stdout(stdout) => stdout.is_terminal(),
            To::Stderr(stderr) => stderr.is_terminal(),
            To::File(file) => file.is_terminal(),
        };
        match kind & libc::S_IFMT {
            libc::S_IFREG | libc::S_IFBLK => return Manner::Whole,
            libc::S_IFIFO => {}
            libc::S_IFCHR if terminal() => {}
            libc::S_IFCHR => return Manner::Whole,
            _ => return Manner::Pieces,
        }
        let path = format!("/proc/self/fd/{}", self.as_fd().as_raw_fd());
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        match OpenOptions::new().write(true).custom_flags(flags).open(path) {
            Ok(file) => Manner::Reopened(file),
            // Without /proc or the right to it, or when the reader has gone.
            Err(_) => Manner::Pieces,
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.to {
            To::Stdout(stdout) => stdout.as_fd(),
            To::Stderr(stderr) => stderr.as_fd(),
            To::File(file) => file.as_fd(),
        }
    }
}

/// The time up to then, up to the next whole millisecond, a long one in several parts.
fn timeout(end: Option<Instant>) -> PollTimeout {
    let Some(end) = end else { return PollTimeout::NONE };
    let left = end.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

static STDOUT: Mutex<Option<Stream>> = Mutex::new(None);
static STDERR: Mutex<Option<Stream>> = Mutex::new(None);

fn lock(stream: &'static Mutex<Option<Stream>>) -> MutexGuard<'static, Option<Stream>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints lines of text or of JSON to standard output, made safe for a terminal.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(escape::lines(text).as_bytes())
}

/// Prints bytes to standard output as they are: data, and what contains nothing from outside.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    lock(&STDOUT).get_or_insert_with(Stream::stdout).write(bytes).map_err(failed)
}

/// Writes text to standard error, made safe for a terminal. If that takes nothing, the text is dropped.
pub(super) fn write_stderr(text: &str) {
    write_stderr_bytes(escape::messages(text).as_bytes());
}

/// Writes bytes that are safe to standard error.
pub(super) fn write_stderr_bytes(bytes: &[u8]) {
    let _ = lock(&STDERR).get_or_insert_with(Stream::stderr).write(bytes);
}

/// Writes a message of this program to standard error.
pub(super) fn warn(message: impl Display) {
    write_stderr(&format!("rawbpf: {message}\n"));
}

/// Why standard output took no more.
pub(super) fn failed(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Other(format!("cannot write to standard output: {error}")),
    }
}

/// Reports at the end of the process how much of its output was dropped; returns the exit status.
pub(super) fn finish(status: u8) -> u8 {
    let dropped = lock(&STDOUT).as_ref().map_or(0, Stream::dropped);
    report_dropped(dropped, status)
}

/// Reports how much of the output was dropped; returns the exit status, which is then not that of success.
pub(super) fn report_dropped(dropped: u64, status: u8) -> u8 {
    if dropped == 0 {
        return status;
    }
    let bytes = if dropped == 1 { "byte" } else { "bytes" };
    warn(format_args!(
        "standard output is blocked: {dropped} {bytes} dropped, since nothing reads them"
    ));
    status.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_has_no_end_is_not_read() {
        let error = read_within(io::repeat(0), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "more than 1 MiB");
        assert_eq!(read_within(&[7; 1 << 20][..], 1 << 20).unwrap().len(), 1 << 20);
        assert!(read_within(io::empty(), 1 << 20).unwrap().is_empty());
    }

    #[test]
    fn a_pipe_that_fills_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes: Vec<u8> = (0..1 << 20).map(|index: u32| (index >> 7) as u8).collect();
        let expected = bytes.clone();
        let reads = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::thread::sleep(Duration::from_millis(20));
            reader.read_to_end(&mut all).map(|_| all)
        });
        let mut stream = Stream::file(File::from(std::os::fd::OwnedFd::from(writer)));
        stream.write(&bytes).unwrap();
        drop(stream);
        assert!(reads.join().unwrap().unwrap() == expected);
    }

    #[test]
    fn a_reader_that_is_gone_is_told() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut stream = Stream::file(File::from(std::os::fd::OwnedFd::from(writer)));
        assert_eq!(
            stream.write(b"x").map_err(|error| error.kind()),
            Err(io::ErrorKind::BrokenPipe)
        );
    }
}
