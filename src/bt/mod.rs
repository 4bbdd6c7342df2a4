//! The bpftrace language, compiled in-process: no LLVM, no clang, no headers.
//!
//! A script goes through these stages, each a module:
//!
//! 1. `lexer` and `parser` make the syntax tree of `ast`, with the place of everything in the text (`source`).
//! 2. `probe` reads attach points, `expand` finds what their wildcards match, through `environment`.
//! 3. `check` resolves names, folds constants, infers types by a fixed point over the program and gives the typed
//!    program of `hir`, in which nothing is left to be checked.
//! 4. `lower` makes code of it through [`codegen`](crate::codegen).
//! 5. `run` loads and attaches the programs and carries out the actions of their records.
//!
//! An embedder begins with [`Script`]. `types` says how each type is laid out in keys, values and records. Names, help and
//! types of builtins and functions are the tables of `builtins` and `functions`. `lower` compiles the typed program for a
//! `target`, by the `plan` of its maps, programs and records. [`value`] has the values that scripts compute and maps hold,
//! and [`output`] prints them.

// Not all of this has its caller yet: the stages that follow are being built.
#![allow(dead_code)]

pub(crate) mod ast;
pub(crate) mod builtins;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod constants;
pub(crate) mod description;
pub(crate) mod diagnostic;
#[cfg(test)]
mod docs;
pub(crate) mod dump;
pub(crate) mod environment;
pub(crate) mod expand;
pub(crate) mod format;
pub(crate) mod functions;
pub(crate) mod hir;
pub(crate) mod lexer;
pub(crate) mod literal;
pub(crate) mod lower;
pub mod output;
pub(crate) mod parser;
pub(crate) mod plan;
pub(crate) mod probe;
mod run;
pub(crate) mod source;
mod syntax;
pub(crate) mod target;
pub(crate) mod token;
pub(crate) mod types;
pub mod value;
pub(crate) mod visit;

pub use run::{Error, Event, Options, Result, Run, Script, ScriptError};
#[cfg(feature = "bt-cli")]
pub(crate) use run::{Probes, capabilities};
