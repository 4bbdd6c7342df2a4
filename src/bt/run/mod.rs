//! Running scripts: compiled, attached, and their events read.

mod action;
mod attach;
mod data;
mod event;
mod events;
mod feature;
mod iterations;
mod layout;
mod list;
mod live;
mod resolve;
mod script;
#[cfg(feature = "bt-cli")]
mod show;
mod sink;
mod special;
mod start;

pub use event::Event;
#[cfg(feature = "bt-cli")]
pub(crate) use feature::capabilities;
#[cfg(feature = "bt-cli")]
pub(crate) use list::Probes;
pub use live::Run;
pub use script::{Error, Options, Result, Script, ScriptError};
