//! Uprobes and USDT probes: what fires, in which process, with what, and that nothing is left.
#![allow(unsafe_code, reason = "functions with a name of their own, and one of C's")]

#[path = "uprobe/command.rs"]
mod command;
mod common;
#[path = "uprobe/compiled.rs"]
mod compiled;
#[path = "uprobe/damaged.rs"]
mod damaged;
#[path = "uprobe/debug_file.rs"]
mod debug_file;
#[path = "uprobe/functions.rs"]
mod functions;
#[path = "uprobe/names.rs"]
mod names;
// The notes are written in its assembly language.
#[cfg(target_arch = "x86_64")]
#[path = "uprobe/probes.rs"]
mod probes;
#[cfg(target_arch = "x86_64")]
#[path = "uprobe/usdt.rs"]
mod usdt;
#[path = "uprobe/watch.rs"]
mod watch;
