//! The bpftrace language.
//!
//! [`value`] has the values that scripts compute and maps hold, and [`output`] prints them as bpftrace does, as text and as
//! JSON lines. Neither depends on how a script was compiled or run.

pub mod output;
pub mod value;
