//! A run: attached, its events printed, until it ends.

use super::args::{self, Args, Buffering};
use super::compile;
use crate::bt::output::{ControlCharacters, Options as OutputOptions, Output, OutputFormat};
use crate::bt::{Options, Run};
use crate::cli::Failure;
use crate::cli::child::{self, Child};
use crate::cli::signals::{Event, Signals};
use crate::cli::stdio::{Stream, print_bytes, report_dropped, write_stderr, write_stderr_bytes};
use crate::util::escape::shown_path;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The environment variable that makes bpftrace report on standard error, with a line that is the variable's name, that
/// all is attached: a process that causes the events which a script counts waits for it. The line does not go to the
/// file of `-o`.
const NOTIFY_ATTACHED: &str = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";

/// Compiles a script, runs it and prints what it does; the exit status.
pub(super) fn play(text: &str, mut options: Options, args: &Args) -> Result<u8, Failure> {
    // Before signals are blocked: a FIFO is waited for until it has a reader.
    let mut out = Out::new(args)?;
    let signals = Signals::block_with_show()?;
    let mut command = None;
    if let Some(line) = &args.command {
        let child = Child::new(&args::command(line)?)?;
        options = options.command(child.pid());
        if let Some(note) = child.note().filter(|_| args.warnings) {
            write_stderr(&format!("WARNING: {note}\n"));
        }
        command = Some(child);
    }
    let process = args.pid.map(|pid| child::process("-p", pid)).transpose()?;
    // A long script, or one that keeps the verifier busy, can be interrupted: until its first code runs, nothing is to be undone.
    signals.let_through();
    let script = compile(text, &options, args)?;
    let run = script.attach_after(&|| signals.hold())?;
    signals.hold();
    if args.warnings {
        write_stderr(run.warnings());
    }
    if !args.quiet {
        out.output.attached_probes(run.probes() as u64);
        out.write_messages();
    }
    if args.dry_run {
        return Ok(0);
    }
    if std::env::var_os(NOTIFY_ATTACHED).is_some() {
        write_stderr(&format!("{NOTIFY_ATTACHED}\n"));
    }
    command.as_mut().map_or(Ok(()), Child::release)?;
    let mut play =
        Play { run, out, signals, process, command, status: None, stopped: false, show: false };
    let done = play.events().and_then(|()| play.end());
    if let Some(command) = &mut play.command
        && let Some(goes_on) = command.stop()
        && args.warnings
    {
        write_stderr(&format!("WARNING: {goes_on}\n"));
    }
    done?;
    // `exit()` comes before the end of the command, which it may have caused: else it would be a matter of time which one counts.
    let command = play.status.filter(|_| !play.stopped);
    let status = play.run.exit_status().or(command).unwrap_or(0);
    Ok(report_dropped(play.out.dropped(), status))
}

struct Play {
    run: Run,
    out: Out,
    signals: &'static Signals,
    /// The process of `-p`.
    process: Option<OwnedFd>,
    command: Option<Child>,
    /// The status of the command, when it has ended.
    status: Option<u8>,
    /// Whether somebody has asked for the end, or the process of `-p` has ended.
    stopped: bool,
    /// Whether somebody has asked for the maps.
    show: bool,
}

impl Play {
    /// Prints events until something ends the run.
    fn events(&mut self) -> Result<(), Failure> {
        loop {
            self.run.print(&mut self.out.output)?;
            // Scripts for bpftrace up to 0.21 expect that the maps are printed, later ones have a probe for it.
            if std::mem::take(&mut self.show) && !self.run.signal()? {
                self.run.print_maps(&mut self.out.output)?;
            }
            self.write(false)?;
            if self.run.exit_status().is_some() || self.stopped || self.status.is_some() {
                return Ok(());
            }
            // Records that keep coming are left alone for a while.
            match self.run.pace() {
                Some(pace) => self.wait(false, Some(pace))?,
                None => self.wait(true, self.run.interval())?,
            }
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
        self.out.write()?;
        self.out.write_messages();
        Ok(())
    }

    /// Waits for events if `events` is set, for a signal, and for the end of the process of `-p` or of the command.
    fn wait(&mut self, events: bool, timeout: Option<Duration>) -> Result<(), Failure> {
        let ends = self.command.iter().map(AsFd::as_fd);
        let ends = ends.chain([self.signals.as_fd()]).chain(self.process.iter().map(AsFd::as_fd));
        let fds = self.run.as_pollable().filter(|_| events).into_iter().chain(ends);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = match timeout {
            _ if self.signals.has_next() => PollTimeout::ZERO,
            None => PollTimeout::NONE,
            Some(timeout) => PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX),
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(Failure::Other(format!("cannot wait for events: {errno}"))),
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        self.stopped |= self.process.is_some() && fds.last().is_some_and(ready);
        // Before the signals: Ctrl-C goes to the command too, and when that has ended by it, the signal is here already. So it
        // is always Ctrl-C that ends the run.
        self.status = self.status.or_else(|| self.command.as_mut().and_then(Child::ended));
        while let Some(event) = self.signals.next() {
            match event {
                Event::Stop => {
                    self.stopped = true;
                    self.run.end_is_near();
                }
                Event::Show => self.show = true,
            }
        }
        Ok(())
    }
}

/// The destination of the output.
struct Out {
    output: Output,
    /// The file of `-o`.
    file: Option<Stream>,
    buffering: Buffering,
}

/// The length from which on buffered output is written.
const LONG: usize = 64 << 10;

impl Out {
    fn new(args: &Args) -> Result<Out, Failure> {
        let file = args.output.as_ref().map(|path| {
            File::create(path).map_err(|error| {
                Failure::Other(format!("cannot open {}: {error}", shown_path(Path::new(path))))
            })
        });
        let file = file.transpose()?;
        let terminal = match &file {
            Some(file) => file.is_terminal(),
            None => io::stdout().is_terminal(),
        };
        let controls = if terminal { ControlCharacters::Escape } else { ControlCharacters::Keep };
        let format = if args.json { OutputFormat::Json } else { OutputFormat::Text };
        let options = OutputOptions::default().format(format).controls(controls);
        let file = file.map(Stream::file);
        Ok(Out { output: Output::new(options), file, buffering: args.buffering })
    }

    fn is_long(&self) -> bool {
        self.output.out().len() >= LONG
    }

    /// Writes the output: the bytes that the script prints, as they are, except on a terminal (see [`ControlCharacters`]).
    fn write(&mut self) -> Result<(), Failure> {
        let bytes = self.output.out();
        match &mut self.file {
            Some(file) => file
                .write(bytes)
                .map_err(|error| Failure::Other(format!("cannot write the output: {error}")))?,
            None => print_bytes(bytes)?,
        }
        let written = bytes.len();
        self.output.take_out(written);
        Ok(())
    }

    /// Writes the messages.
    fn write_messages(&mut self) {
        write_stderr_bytes(self.output.messages());
        self.output.take_messages();
    }

    /// The number of bytes of the file of `-o` that were dropped.
    fn dropped(&self) -> u64 {
        self.file.as_ref().map_or(0, Stream::dropped)
    }
}
