//! Runs one job: its output goes out as it comes, its end is reported, and nothing of it is left running.

use crate::order::Job;
use crate::port::{Frame, Port};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The end of a job, in the words that the host reads.
enum End {
    Exit(i32),
    Signal(i32),
    Timeout,
}

/// Runs it and reports everything about it.
pub fn run(job: &Job, port: &mut Port) {
    port.frame(Frame::Started, job.name.as_bytes());
    let start = Instant::now();
    let end = match spawn(job) {
        Ok(child) => attend(child, job.limit, port),
        Err(e) => {
            let name =
                job.args.first().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default();
            port.frame(Frame::Stderr, format!("cannot run {name}: {e}\n").as_bytes());
            // The exit statuses of shells.
            End::Exit(if e.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
        }
    };
    if let Some(path) = &job.ledger {
        // No file: the job had nothing to say.
        if let Ok(bytes) = std::fs::read(path) {
            port.frame(Frame::Ledger, &bytes);
            let _ = std::fs::remove_file(path);
        }
    }
    let how = match end {
        End::Exit(status) => format!("exit {status}"),
        End::Signal(number) => format!("signal {number}"),
        End::Timeout => "timeout".into(),
    };
    port.frame(Frame::Ended, format!("{how} {}", start.elapsed().as_millis()).as_bytes());
}

fn spawn(job: &Job) -> io::Result<Child> {
    let (program, args) = job.args.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(args)
        .current_dir(job.cwd.as_deref().unwrap_or(Path::new("/")))
        .env_clear()
        .envs(job.env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn attend(mut child: Child, limit: Duration, port: &mut Port) -> End {
    let pid = Pid::from_raw(child.id().cast_signed());
    let deadline = Instant::now() + limit;
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let mut end = None;
    let mut grace = None;
    loop {
        let open = pump(&mut out, Frame::Stdout, &mut err, Frame::Stderr, port);
        if end.is_none() {
            end = reap(pid);
            if end.is_none() && Instant::now() >= deadline {
                end = Some(End::Timeout);
            }
            if end.is_some() {
                // Whatever the job left behind must neither hold its pipes nor disturb the next one. The first
                // process of a machine is not reached by its own signal to everybody.
                let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
                grace = Some(Instant::now() + Duration::from_secs(2));
            }
        }
        // The rest of the pipes is read before the end is reported; a process that does not die has its time too.
        if end.is_some() && (!open || grace.is_some_and(|until| Instant::now() >= until)) {
            while reap(pid).is_some() {}
            return end.unwrap_or(End::Timeout);
        }
    }
}

/// Waits a moment for output and passes it on; returns false once both pipes are closed.
fn pump(
    out: &mut Option<impl Read + AsFd>,
    out_kind: Frame,
    err: &mut Option<impl Read + AsFd>,
    err_kind: Frame,
    port: &mut Port,
) -> bool {
    if out.is_none() && err.is_none() {
        std::thread::sleep(Duration::from_millis(1));
        return false;
    }
    let ready = {
        let fds = [out.as_ref().map(|pipe| pipe.as_fd()), err.as_ref().map(|pipe| pipe.as_fd())];
        let mut polled: Vec<PollFd> =
            fds.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        // An end without output, or one whose pipes another process still holds, is noticed this soon.
        let _ = poll(&mut polled, PollTimeout::from(10u8));
        let mut answers = polled.iter().map(|p| p.revents().is_some_and(|r| !r.is_empty()));
        fds.map(|fd| fd.is_some() && answers.next() == Some(true))
    };
    if ready[0] {
        pass_on(out, out_kind, port);
    }
    if ready[1] {
        pass_on(err, err_kind, port);
    }
    true
}

fn pass_on(pipe: &mut Option<impl Read>, kind: Frame, port: &mut Port) {
    let mut buffer = [0; 16 * 1024];
    match pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
        Some(Ok(0)) => *pipe = None,
        Some(Ok(count)) => port.frame(kind, &buffer[..count]),
        Some(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
        Some(Err(_)) => *pipe = None,
        None => {}
    }
}

/// Collects the dead, as the first process must; returns how `pid` ended if it is among them.
fn reap(pid: Pid) -> Option<End> {
    let mut end = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(who, status)) if who == pid => end = Some(End::Exit(status)),
            Ok(WaitStatus::Signaled(who, signal, _)) if who == pid => {
                end = Some(End::Signal(signal as i32))
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return end,
            Err(Errno::EINTR) | Ok(_) => {}
            Err(_) => return end,
        }
    }
}
