//! The command line: a thin face over the library.

mod bt;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "scripts do not need all of it"))]
mod child;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "scripts do not need all of it"))]
mod signals;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "scripts do not need all of it"))]
mod stdio;

#[cfg(feature = "cli")]
mod asm;
#[cfg(feature = "cli")]
mod check;
#[cfg(feature = "cli")]
mod commands;
#[cfg(feature = "cli")]
mod contents;
#[cfg(feature = "cli")]
mod disasm;
#[cfg(feature = "cli")]
mod exec;
#[cfg(feature = "cli")]
mod explain;
#[cfg(feature = "cli")]
mod features;
#[cfg(feature = "cli")]
mod list;
#[cfg(feature = "cli")]
mod load;
#[cfg(feature = "cli")]
mod losses;
#[cfg(feature = "cli")]
mod map;
#[cfg(feature = "cli")]
mod object;
#[cfg(feature = "cli")]
mod output;
#[cfg(feature = "cli")]
mod pins;
#[cfg(feature = "cli")]
mod prog;
#[cfg(feature = "cli")]
mod run;
#[cfg(feature = "cli")]
mod session;
#[cfg(feature = "cli")]
mod stacks;
#[cfg(feature = "cli")]
mod text;
#[cfg(feature = "cli")]
mod trace;
#[cfg(feature = "cli")]
mod typed;
#[cfg(feature = "cli")]
mod uprobes;
#[cfg(feature = "cli")]
mod words;

#[cfg(feature = "cli")]
use self::commands::{Format, Order, RunArgs, loader, log_level};
use crate::error::Error;
use std::fmt;
use std::process::ExitCode;

/// The reason why a command failed.
enum Failure {
    /// An error of the library.
    Library(Error),
    /// Something around it, in words.
    Other(String),
    /// It failed, and the message is already complete.
    Shown(String),
    /// The command line asks for something that there is not.
    Usage(String),
    /// The command of a run cannot be executed.
    NotRun {
        /// Why.
        words: String,
        /// The exit status.
        status: u8,
    },
    /// The reader of our output went away, which is its right.
    OutputClosed,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Library(error) => error.fmt(f),
            Failure::Other(words)
            | Failure::Shown(words)
            | Failure::Usage(words)
            | Failure::NotRun { words, .. } => f.write_str(words),
            Failure::OutputClosed => Ok(()),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Before all else, since scripts are to start fast.
    let words: Vec<_> = std::env::args_os().collect();
    if let Some(words) = bt::words(&words) {
        return bt::main(words);
    }
    #[cfg(feature = "cli")]
    return commands::main();
    #[cfg(not(feature = "cli"))]
    bt::main_alone(&words)
}
