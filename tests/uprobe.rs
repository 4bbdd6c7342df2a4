//! Uprobes and USDT probes: what fires, in which process, with what, and that nothing is left.
#![allow(unsafe_code, reason = "functions with a name of their own, and one of C's")]

mod common;
#[path = "uprobe/functions.rs"]
mod functions;
#[path = "uprobe/watch.rs"]
mod watch;
