//! Being ended early: Ctrl-C and its like take the machines and the run's files with them.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Ours {
    processes: HashSet<u32>,
    folders: Vec<PathBuf>,
}

static OURS: LazyLock<Mutex<Ours>> = LazyLock::new(Mutex::default);

fn ours() -> MutexGuard<'static, Ours> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends on SIGINT, SIGTERM and SIGHUP, with what we have started. The signals are caught and not blocked: what is blocked
/// here would be blocked in all that we start, down to the commands that tests trace.
pub fn watch() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    std::thread::spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        let ours = ours();
        for &pid in &ours.processes {
            end(pid);
        }
        for folder in &ours.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
        eprintln!("\nxtask: {name}: stopped");
        std::process::exit(128 + signal);
    });
}

/// A folder that goes when we are ended early.
pub fn remove_at_end(folder: &Path) {
    ours().folders.push(folder.into());
}

/// Ends a program and those that it started in turn, as cargo starts compilers.
fn end(pid: u32) {
    let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

/// A program that is ended when we are, in a process group of its own.
pub struct Owned(pub Child);

impl Owned {
    pub fn spawn(command: &mut Command) -> std::io::Result<Owned> {
        // Between the start and the entry in the list no signal may slip through.
        let mut ours = ours();
        let child = command.process_group(0).spawn()?;
        ours.processes.insert(child.id());
        Ok(Owned(child))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Not before it is off the list could its number be given to another process.
        let mut ours = ours();
        // A program that has ended may have left others.
        end(self.0.id());
        let _ = self.0.wait();
        ours.processes.remove(&self.0.id());
    }
}
