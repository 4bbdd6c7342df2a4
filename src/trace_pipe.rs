//! Reads `trace_pipe`: the lines that programs print with `trace_printk`.
//!
//! Programs print into the trace buffer of the whole system, from which every line is read once, by one reader. So a
//! [`TracePipe`] has a buffer of its own where the kernel gives it one (an *instance* of the tracer): it receives the
//! lines that programs print from then on, and has no other reader. All programs of the machine print into it, those of
//! others as well; for anything more than a look at what a program does, send records through a ring, as
//! [`perf`](crate::perf) reads them.
//!
//! See `Documentation/trace/ftrace.rst` and `bpf-helpers(7)`, `bpf_trace_printk`.

mod line;

pub use crate::wait::IntoFlow;
pub use line::TraceFields;

use crate::error::{Error, Result};
use crate::kernel::trace_instance::TraceInstance;
use crate::kernel::tracefs;
use crate::permission;
use crate::syscall;
use crate::uapi::Errno;
use crate::util::file;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest time that one call continues to read while lines come faster than it reads.
const TURN: Duration = Duration::from_millis(250);

/// The time to wait where `poll(2)` reports data and there is none.
const PAUSE: Duration = Duration::from_millis(10);

/// An open `trace_pipe`.
///
/// To wait for lines and for something else at once, wait with `poll(2)` until it is readable, then call
/// [`TracePipe::read_available`]. The trace option `block` makes it always readable.
///
/// # Lost lines
/// When the buffer is full the oldest lines make room for new ones. The kernel reports their number in a line of its
/// own; such lines are counted, see [`TracePipe::lost`], and not passed on.
#[derive(Debug)]
pub struct TracePipe {
    // Closed before the instance is taken away, which the kernel refuses while it is being read.
    lines: Lines<File>,
    path: PathBuf,
    _instance: Option<TraceInstance>,
}

impl TracePipe {
    /// Opens a `trace_pipe` of its own, in which what programs print with `trace_printk` comes from now on; on a kernel or with
    /// rights that do not give it one, that of the whole system ([`TracePipe::open_global`]).
    ///
    /// The buffer is a folder `instances/rawbpf-…` in tracefs, which goes when this is dropped; what a process left there that was
    /// killed goes the next time that one is opened.
    ///
    /// # Errors
    /// As [`TracePipe::open_global`].
    pub fn open() -> Result<TracePipe> {
        let root = tracefs::root(READING)?;
        match TracePipe::open_own(&root) {
            Ok(pipe) => Ok(pipe),
            Err(_) => TracePipe::open_global(),
        }
    }

    fn open_own(root: &Path) -> io::Result<TracePipe> {
        let instance = TraceInstance::create(root)?;
        let path = instance.path().join("trace_pipe");
        let file = options().open(&path)?;
        // `bpf_trace_printk` is an event since Linux 5.9.
        instance.enable("bpf_trace", "bpf_trace_printk")?;
        Ok(TracePipe { lines: Lines::new(file), path, _instance: Some(instance) })
    }

    /// Opens the `trace_pipe` of the whole system. It also has the lines of other tracers, and holds those that were
    /// printed before. Reading it never blocks longer than the caller allows.
    ///
    /// # Errors
    /// [`Error::NoTracefs`] if tracefs is not mounted and cannot be, [`Error::File`] if this process may not read it,
    /// [`Error::TracePipeBusy`] if another process is reading it: since Linux 6.6 it has one reader.
    pub fn open_global() -> Result<TracePipe> {
        let (file, path) = match tracefs::open(READING, Path::new("trace_pipe"), &options()) {
            Err(Error::File { source, path, .. }) if Errno::of(&source) == Errno(libc::EBUSY) => {
                return Err(Error::TracePipeBusy { path });
            }
            answer => answer?,
        };
        Ok(TracePipe { lines: Lines::new(file), path, _instance: None })
    }

    /// Takes out and throws away what is in the buffer, and forgets about lines lost so far: what comes
    /// after was printed after.
    ///
    /// The lines are discarded for every other reader too, and may have come from any program. If lines come faster
    /// than they can be read this ends after a quarter of a second all the same.
    ///
    /// # Errors
    /// [`Error::File`] if reading fails.
    pub fn drain_stale(&mut self) -> Result<()> {
        self.read_available(|_| ())?;
        self.lines.lost = 0;
        Ok(())
    }

    /// Passes the lines that are there to `each`, without their line breaks, until it breaks; does not
    /// wait for more. Empty lines are left out. How many lines there were.
    ///
    /// While lines come faster than they are read, it returns after a quarter of a second; a call that returns 0 found
    /// nothing. Lines that `each` was not called for are kept for the next call, so do not wait for the file to be
    /// readable after breaking off.
    ///
    /// # Errors
    /// [`Error::File`] if reading fails.
    pub fn read_available<F, R>(&mut self, mut each: F) -> Result<usize>
    where
        F: FnMut(&[u8]) -> R,
        R: IntoFlow,
    {
        let mut until = None;
        let mut count = 0;
        loop {
            while let Some(line) = self.lines.next() {
                count += 1;
                if each(self.lines.get(line)).into_flow().is_break() {
                    return Ok(count);
                }
            }
            let now = Instant::now();
            if *until.get_or_insert(now + TURN) < now || !self.fill()? {
                return Ok(count);
            }
        }
    }

    /// Waits for the next line that is not empty, and gives it without its line break; `None` if the
    /// deadline has come, or a signal that has a handler. Without a deadline it waits without end.
    ///
    /// A line can hold any bytes. One that is longer than 32 KiB comes in parts.
    ///
    /// # Errors
    /// [`Error::File`] if waiting or reading fails.
    pub fn next_line(&mut self, deadline: Option<Instant>) -> Result<Option<&[u8]>> {
        let line = loop {
            if let Some(line) = self.lines.next() {
                break line;
            }
            if self.fill()? {
                continue;
            }
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            match syscall::wait_readable(self.as_fd(), left) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(Errno(libc::EINTR)) => return Ok(None),
                Err(errno) => {
                    let source = io::Error::from_raw_os_error(errno.0);
                    return Err(permission::file("wait for", &self.path, source));
                }
            }
            if !self.fill()? {
                // The trace option `block`, or another reader: without a pause this would spin.
                std::thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE)));
            }
        };
        Ok(Some(self.lines.get(line)))
    }

    /// Returns the number of lines that the kernel reported as lost, since this was opened or
    /// [drained](TracePipe::drain_stale): a lower bound where the kernel did not know the number.
    pub fn lost(&self) -> u64 {
        self.lines.lost
    }

    /// Returns the file by which tracing into this buffer is switched off (`tracing_on`), if it is.
    pub fn switched_off(&self) -> Option<PathBuf> {
        let switch = self.path.with_file_name("tracing_on");
        let state = file::read(&switch).ok()?;
        (state.trim_ascii() == b"0").then_some(switch)
    }

    /// Reads what is there; whether there was something.
    fn fill(&mut self) -> Result<bool> {
        self.lines.fill().map_err(|source| permission::file("read", &self.path, source))
    }
}

/// Readable when there are lines. Some may have been read already: see
/// [`TracePipe::read_available`].
impl AsFd for TracePipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lines.source.as_fd()
    }
}

/// The purpose of tracefs here, for errors.
const READING: &str = "reading trace_pipe";

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    options
}

/// The largest number of bytes read at once. The kernel returns no more than two pages.
const CHUNK: usize = 8 << 10;

/// The longest line that is kept together.
const LONGEST: usize = 32 << 10;

/// Cuts a source that never blocks into lines.
#[derive(Debug)]
struct Lines<R> {
    source: R,
    buffer: Box<[u8]>,
    /// The bytes that were read and not yet returned.
    unread: Range<usize>,
    /// The number of those bytes that are known to hold no line break.
    searched: usize,
    lost: u64,
}

impl<R: Read> Lines<R> {
    fn new(source: R) -> Self {
        let buffer = vec![0; LONGEST + CHUNK].into_boxed_slice();
        Lines { source, buffer, unread: 0..0, searched: 0, lost: 0 }
    }

    fn get(&self, line: Range<usize>) -> &[u8] {
        self.buffer.get(line).unwrap_or_default()
    }

    /// Returns the next complete line that is neither empty nor a report of losses.
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let unread = self.get(self.unread.clone());
            let unsearched = unread.get(self.searched..).unwrap_or_default();
            let (length, taken) = match unsearched.iter().position(|byte| *byte == b'\n') {
                Some(end) => (self.searched + end, self.searched + end + 1),
                None if unread.len() >= LONGEST => (unread.len(), unread.len()),
                None => {
                    self.searched = unread.len();
                    return None;
                }
            };
            let line = self.unread.start..self.unread.start + length;
            self.unread.start += taken;
            self.searched = 0;
            match line::lost_events(self.get(line.clone())) {
                Some(count) => self.lost = self.lost.saturating_add(count),
                None if line.is_empty() => {}
                None => return Some(line),
            }
        }
    }

    /// Reads once; whether there was something. What is unread must hold no complete line.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let room = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
        match self.source.read(room) {
            Ok(count) => {
                self.unread.end += count;
                // 0 is not the end: the kernel returns it too when tracing was turned off meanwhile.
                Ok(count > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};
    use proptest::prelude::*;
    use std::fs;
    use std::ops::ControlFlow;

    /// Gives out its parts one at a time, and would block after each and at the end.
    struct Parts(Vec<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(part) = self.0.first_mut() else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            let count = part.len().min(buffer.len());
            buffer[..count].copy_from_slice(&part[..count]);
            part.drain(..count);
            if part.is_empty() {
                self.0.remove(0);
            }
            Ok(count)
        }
    }

    fn all(parts: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, u64) {
        let mut lines = Lines::new(Parts(parts));
        let mut found = Vec::new();
        loop {
            while let Some(line) = lines.next() {
                found.push(lines.get(line).to_vec());
            }
            if !lines.fill().unwrap() && lines.source.0.is_empty() {
                return (found, lines.lost);
            }
        }
    }

    #[test]
    fn a_buffer_says_if_it_is_switched_off() {
        let folder = tempfile::tempdir().unwrap();
        let (path, switch) = (folder.path().join("trace_pipe"), folder.path().join("tracing_on"));
        fs::write(&path, "").unwrap();
        let lines = Lines::new(File::open(&path).unwrap());
        let pipe = TracePipe { lines, path, _instance: None };
        for (state, off) in [("1\n", None), ("0\n", Some(switch.clone())), ("", None)] {
            fs::write(&switch, state).unwrap();
            assert_eq!(pipe.switched_off(), off);
        }
    }

    #[test]
    fn lines_are_kept_until_they_are_complete() {
        let parts =
            ["on", "e\ntw", "", "o\n\n\nthree", "\nfour"].map(|part| part.as_bytes().to_vec());
        let (lines, lost) = all(parts.into());
        assert_eq!(lines, [&b"one"[..], b"two", b"three"]);
        assert_eq!(lost, 0);
    }

    #[test]
    fn lost_lines_are_counted_and_not_passed_on() {
        let text = b"a\nCPU:1 [LOST 508 EVENTS]\nb\nCPU:0 [LOST EVENTS]\n".to_vec();
        let (lines, lost) = all(vec![text]);
        assert_eq!(lines, [b"a", b"b"]);
        assert_eq!(lost, 509);
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let (lines, _) = all(vec![vec![b'x'; 100_000], b"\nnext\n".to_vec()]);
        assert!(lines.iter().all(|line| line.len() <= LONGEST + CHUNK));
        assert_eq!(lines.iter().map(Vec::len).sum::<usize>(), 100_004);
        assert_eq!(lines.last().unwrap(), b"next");
    }

    #[test]
    fn reading_nothing_is_not_the_end() {
        let (lines, _) = all(vec![b"a\n".to_vec(), Vec::new(), b"b\n".to_vec()]);
        assert_eq!(lines, [b"a", b"b"]);
    }

    proptest! {
        /// However the kernel cuts it up, the lines are those of the text.
        #[test]
        fn lines_do_not_depend_on_the_parts(text in "[ab\n]{0,200}", cuts in prop::collection::vec(1..20usize, 1..40)) {
            let mut rest = text.as_bytes();
            let mut parts = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, more) = rest.split_at((*cut).min(rest.len()));
                parts.push(part.to_vec());
                rest = more;
            }
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let expected: Vec<_> = whole.lines().filter(|line| !line.is_empty()).map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(all(parts).0, expected);
        }

        #[test]
        fn any_bytes_are_lines(parts in prop::collection::vec(any::<Vec<u8>>(), 0..10)) {
            all(parts);
        }
    }

    /// In a pipe of its own: that of the whole system may have a reader already.
    #[test]
    fn lines_come_from_the_kernel() {
        needs!(Root, Tracefs);
        let root = tracefs::root("this test").unwrap();
        let mut pipe = TracePipe::open_own(&root).unwrap();
        let marker = pipe.path.with_file_name("trace_marker");
        let print = |text: &str| fs::write(&marker, text).unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(200));
        print("rawbpf test: stale\n");
        pipe.drain_stale().unwrap();
        // Others may print meanwhile, so only lines of this test are looked at.
        let mut ours = |deadline: Option<Instant>| loop {
            let line = pipe.next_line(deadline).unwrap()?;
            let text = String::from_utf8_lossy(line).into_owned();
            if let Some(fields) = TraceFields::parse(text.as_bytes())
                && fields.message.starts_with(b"rawbpf test: ")
            {
                assert_eq!(fields.function, Some("tracing_mark_write"));
                assert!(!fields.time_is_count && fields.time_ns > 0);
                return Some(String::from_utf8_lossy(&fields.message[13..]).into_owned());
            }
        };

        // The deadline ends a wait, not before its time.
        let begin = Instant::now();
        assert_eq!(ours(soon()), None);
        assert!(begin.elapsed() >= Duration::from_millis(200));

        print("rawbpf test: one\nrawbpf test: lost without its fields\n");
        print("rawbpf test: two\n");
        assert_eq!(ours(soon()).as_deref(), Some("one"));
        assert_eq!(ours(soon()).as_deref(), Some("two"));

        // A line that is printed while it waits wakes it.
        let line = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                print("rawbpf test: later\n");
            });
            ours(Some(Instant::now() + Duration::from_secs(60)))
        });
        assert_eq!(line.as_deref(), Some("later"));

        // Lines that are there are returned at once, and those that were not looked at stay.
        print("rawbpf test: a\n");
        print("rawbpf test: b\n");
        let mut seen = Vec::new();
        for _ in 0..2 {
            pipe.read_available(|line| match TraceFields::parse(line) {
                Some(fields) if fields.message.starts_with(b"rawbpf test: ") => {
                    seen.push(fields.message.to_vec());
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            })
            .unwrap();
        }
        assert_eq!(seen, [b"rawbpf test: a", b"rawbpf test: b"]);
    }

    /// A second reader of the pipe of the whole system gets an error (Linux 6.6), or gets in.
    #[test]
    fn a_second_reader_is_told_of_the_first() {
        needs!(Root, Tracefs);
        let _first = TracePipe::open_global();
        match TracePipe::open_global() {
            Err(error @ Error::TracePipeBusy { .. }) => {
                assert!(error.to_string().contains("another process"), "{error}");
            }
            other => assert!(other.is_ok(), "{other:?}"),
        }
    }
}
