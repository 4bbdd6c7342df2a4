//! The assembler: from symbols to slots.
//!
//! One language throughout, the pseudo-C that LLVM, the kernel's verifier and `bpftool` print. In Rust it
//! is the macro [`bpf!`](crate::bpf), assembled by the compiler; in files it is read by [`parse()`]; code that is made at
//! run time comes from a [`Builder`].

mod build;
mod cfg;
mod diagnostic;
mod directive;
#[doc(hidden)]
pub mod dsl;
mod helpers;
mod listing;
mod listing_text;
mod message;
mod names;
mod parse;
mod print;
mod resolve;
mod statement;

pub use build::{Assembly, Builder, Label};
pub use cfg::{Block, ControlFlow, Edge, EdgeKind};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use helpers::{HELPERS, helper_number};
pub use listing::{PrintOptions, Undecodable, disassemble};
pub use parse::{Module, ParseOptions, Reference, Referent, TextProgram, parse};
pub use print::Style;
pub use resolve::{BuildOptions, Far, ResolveError, ResolveErrors};

use crate::insn::Insn;
use crate::spec::MapSpec;

/// Assembled code: slots, the maps they name, and the source they come from.
///
/// [`bpf!`](crate::bpf) makes it at compile time, so that all of it is read-only data of the program.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// The program as the kernel takes it, but for the maps.
    pub slots: &'a [Insn],
    /// The `lddw` instructions that are to hold the address of a map.
    pub maps: &'a [MapReference<'a>],
    /// Where each statement's slots begin, in order.
    pub lines: &'a [Line],
    /// The text that `lines` points into.
    pub text: &'a str,
    /// The file in which the text stands.
    pub file: &'a str,
    /// The line of the file at which the text begins.
    pub line: u32,
}

/// The first slot of an `lddw` that is to hold a map's address.
#[derive(Debug, Clone, Copy)]
pub struct MapReference<'a> {
    /// The index of the slot.
    pub slot: u32,
    /// The map.
    pub map: &'a MapSpec<'a>,
}

/// Which piece of the source a slot comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The index of the statement's first slot.
    pub slot: u32,
    /// Where the statement starts in the text, bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

impl Code<'_> {
    /// The statement that the slot comes from, on one line; `None` past the end.
    pub fn statement(&self, slot: usize) -> Option<String> {
        if slot >= self.slots.len() {
            return None;
        }
        let after = self.lines.partition_point(|line| line.slot as usize <= slot);
        let line = self.lines.get(after.checked_sub(1)?)?;
        let text = self.text.get(line.start as usize..line.end as usize)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}
