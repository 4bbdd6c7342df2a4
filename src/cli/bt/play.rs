//! A run: attached, its events printed, until it ends.

use super::args::{self, Args, Buffering};
use super::{compile, tell};
use crate::bt::output::{ControlCharacters, Options as OutputOptions, Output, OutputFormat};
use crate::bt::{Options, Run};
use crate::cli::Failure;
use crate::cli::child::{self, Child};
use crate::cli::output::failed;
use crate::cli::signals::{Event, Signals};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A variable of the environment by which bpftrace is told to say on standard error that all is attached, with a line that
/// is the variable's name: whoever causes the events that a script counts waits for it. It does not go to the file of `-o`.
const NOTIFY_ATTACHED: &str = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";

/// Compiles a script, runs it and prints what it does; the exit status.
pub(super) fn play(text: &str, mut options: Options, args: &Args) -> Result<u8, Failure> {
    let signals = Signals::block_with_show()?;
    let mut command = None;
    if let Some(line) = &args.command {
        let child = Child::new(&args::command(line)?)?;
        options = options.command(child.pid());
        if let Some(note) = child.note().filter(|_| args.warnings) {
            tell(&format!("WARNING: {note}\n"));
        }
        command = Some(child);
    }
    let process = args.pid.map(|pid| child::process("-p", pid)).transpose()?;
    let script = compile(text, &options, args)?;
    if args.failures && args.warnings {
        tell("WARNING: not supported: -k: what cannot be read is 0, and nothing tells\n");
    }
    let mut out = Out::new(args)?;
    let run = script.attach()?;
    if args.warnings {
        tell(run.warnings());
    }
    if !args.quiet {
        out.output.attached_probes(run.probes() as u64);
        out.tell();
    }
    if args.dry_run {
        return Ok(0);
    }
    if std::env::var_os(NOTIFY_ATTACHED).is_some() {
        tell(&format!("{NOTIFY_ATTACHED}\n"));
    }
    command.as_mut().map_or(Ok(()), Child::release)?;
    let mut play =
        Play { run, out, signals, process, command, status: None, stopped: false, show: false };
    let done = play.events().and_then(|()| play.end());
    if let Some(command) = &mut play.command {
        command.stop();
    }
    done?;
    let status = play.run.exit_status().filter(|status| *status != 0);
    Ok(status.or(play.status).unwrap_or(0))
}

struct Play {
    run: Run,
    out: Out,
    signals: Signals,
    /// The process of `-p`.
    process: Option<OwnedFd>,
    command: Option<Child>,
    /// The status of the command, when it has ended.
    status: Option<u8>,
    /// Whether somebody has asked for the end.
    stopped: bool,
    /// Whether somebody has asked for the maps.
    show: bool,
}

/// What a wait waits for besides signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Events, or the end of a process.
    Events,
    /// Room in the output.
    Room,
}

/// How long the output may take nothing, after somebody has asked for the end.
const PATIENCE: Duration = Duration::from_secs(1);

impl Play {
    /// Prints events until something ends the run.
    fn events(&mut self) -> Result<(), Failure> {
        loop {
            self.run.print(&mut self.out.output)?;
            if std::mem::take(&mut self.show) {
                self.run.print_maps(&mut self.out.output)?;
            }
            self.write(false)?;
            if self.run.exit_status().is_some() || self.stopped || self.status.is_some() {
                return Ok(());
            }
            let timeout = self.run.interval();
            self.wait(For::Events, timeout)?;
        }
    }

    /// Ends the run: `END`, and the maps.
    fn end(&mut self) -> Result<(), Failure> {
        self.run.finish_and_print(&mut self.out.output)?;
        self.write(true)
    }

    /// Writes what there is to write.
    fn write(&mut self, last: bool) -> Result<(), Failure> {
        if self.out.buffering == Buffering::Full && !last && !self.out.is_long() {
            return Ok(());
        }
        while !self.out.output.out().is_empty() {
            if self.out.may_block {
                let timeout = self.stopped.then_some(PATIENCE);
                if !self.wait(For::Room, timeout)? && self.stopped {
                    // Whoever should read it does not, and the end was asked for.
                    return Ok(());
                }
            }
            self.out.write()?;
        }
        self.out.tell();
        Ok(())
    }

    /// Waits; whether what was waited for is there.
    fn wait(&mut self, what: For, timeout: Option<Duration>) -> Result<bool, Failure> {
        loop {
            let signals = self.signals.as_fd();
            let mut fds = vec![PollFd::new(signals, PollFlags::POLLIN)];
            match what {
                For::Events => {
                    let events = self.run.as_pollable().into_iter();
                    let ends = self.process.iter().map(AsFd::as_fd);
                    let ends = self.command.iter().map(AsFd::as_fd).chain(ends);
                    fds.extend(events.chain(ends).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
                }
                For::Room => fds.push(PollFd::new(self.out.fd(), PollFlags::POLLOUT)),
            }
            let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
                PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(errno) => {
                    return Err(Failure::Other(format!("cannot wait for events: {errno}")));
                }
            }
            let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
            let (signaled, there) = (fds.first().is_some_and(ready), fds.iter().skip(1).any(ready));
            let ended =
                what == For::Events && self.process.is_some() && fds.last().is_some_and(ready);
            let was_stopped = self.stopped;
            self.stopped |= ended;
            while let Some(event) = self.signals.next() {
                match event {
                    Event::Stop => {
                        self.stopped = true;
                        self.run.end_is_near();
                    }
                    Event::Show => self.show = true,
                }
            }
            self.status = self.status.or_else(|| self.command.as_mut().and_then(Child::ended));
            // A command that ends while the output is full leaves something to be written.
            let again = what == For::Room && signaled && !there && was_stopped == self.stopped;
            if !again {
                return Ok(there);
            }
        }
    }
}

/// Where the output goes.
struct Out {
    output: Output,
    file: Option<File>,
    stdout: io::Stdout,
    buffering: Buffering,
    /// Whether a write can wait for a reader.
    may_block: bool,
}

/// As much as a pipe that is writable takes at once (`PIPE_BUF`).
const PIPE: usize = 4096;

/// From how much on output is written that may be kept.
const LONG: usize = 64 << 10;

impl Out {
    fn new(args: &Args) -> Result<Out, Failure> {
        let file = args.output.as_ref().map(|path| {
            File::create(path).map_err(|error| {
                let path = path.to_string_lossy().escape_debug().to_string();
                Failure::Other(format!("cannot open {path}: {error}"))
            })
        });
        let file = file.transpose()?;
        let stdout = io::stdout();
        let about = nix::sys::stat::fstat(match &file {
            Some(file) => file.as_fd(),
            None => stdout.as_fd(),
        });
        let kind = about.map_or(0, |about| about.st_mode) & libc::S_IFMT;
        let terminal = file.is_none() && stdout.is_terminal();
        let controls = if terminal { ControlCharacters::Escape } else { ControlCharacters::Keep };
        let format = if args.json { OutputFormat::Json } else { OutputFormat::Text };
        let options = OutputOptions::default().format(format).controls(controls);
        Ok(Out {
            output: Output::new(options),
            file,
            stdout,
            buffering: args.buffering,
            may_block: kind != libc::S_IFREG,
        })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.file {
            Some(file) => file.as_fd(),
            None => self.stdout.as_fd(),
        }
    }

    fn is_long(&self) -> bool {
        self.output.out().len() >= LONG
    }

    /// Writes as much as can be written without waiting.
    fn write(&mut self) -> Result<(), Failure> {
        let bytes = self.output.out();
        let most = if self.may_block { PIPE } else { bytes.len() };
        let some = bytes.get(..most).unwrap_or(bytes);
        // Beside the buffer of `Stdout`, which holds back what has no line feed.
        let written = match nix::unistd::write(self.fd(), some) {
            Ok(written) => written,
            Err(nix::Error::EINTR | nix::Error::EAGAIN) => 0,
            Err(errno) if self.file.is_some() => {
                return Err(Failure::Other(format!("cannot write the output: {errno}")));
            }
            Err(errno) => return Err(failed(errno.into())),
        };
        self.output.take_out(written);
        Ok(())
    }

    /// Writes the messages.
    fn tell(&mut self) {
        let mut errors = io::stderr();
        // If standard error takes nothing, there is nobody to tell.
        let _ = errors.write_all(self.output.messages());
        self.output.take_messages();
    }
}
