//! Being ended early: Ctrl-C and its like take the machines and the run's files with them.

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
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

/// Must be called before any other thread is started, as they inherit what is blocked here.
/// (And so do programs that we start: they end when we end them.)
pub fn watch() {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    if set.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        let Ok(signal) = set.wait() else { return };
        let ours = ours();
        for &pid in &ours.processes {
            end(pid);
        }
        for folder in &ours.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
        eprintln!("\nxtask: {signal}: stopped");
        std::process::exit(128 + signal as i32);
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
