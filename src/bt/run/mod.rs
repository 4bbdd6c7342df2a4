//! Running scripts: compiled, attached, and their events read.
//!
//! ```no_run
//! use rawbpf::bt::{Event, Script};
//!
//! let script = Script::compile(
//!     r#"
//!     tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args.filename)); @[comm] = count(); }
//!     interval:s:5 { exit(); }
//!     "#,
//! )?;
//! let mut run = script.attach()?;
//! for event in &mut run {
//!     match event? {
//!         Event::Printf { text, .. } => print!("{}", String::from_utf8_lossy(&text)),
//!         Event::Lost(records) => eprintln!("{records} records were lost"),
//!         event => println!("{event:?}"),
//!     }
//! }
//! run.finish()?;
//! for (command, opened) in run.read_map("@")?.entries() {
//!     println!("{command:?} has opened {:?} files", opened.as_u64());
//! }
//! # Ok::<(), rawbpf::bt::Error>(())
//! ```
//!
//! Nothing is global: a process can have several runs, each with a descriptor ([`AsFd`](std::os::fd::AsFd)) to wait for in a
//! loop of its own. What a run has attached goes when it is dropped, or when the process ends in whichever way.

mod action;
mod attach;
mod data;
mod event;
mod events;
mod feature;
mod layout;
mod list;
mod live;
mod resolve;
mod script;
#[cfg(feature = "cli")]
mod show;
mod sink;
mod start;

pub use event::Event;
#[cfg(feature = "cli")]
pub(crate) use feature::capabilities;
#[cfg(feature = "cli")]
pub(crate) use list::Probes;
pub use live::Run;
pub use script::{Error, Options, Result, Script, ScriptError};
