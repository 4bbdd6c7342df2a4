//! Programs that ship: those of the BCC tutorial, each with its instructions, its maps and what it reports.

pub mod forks;
pub mod hello;
pub mod perf_output;
