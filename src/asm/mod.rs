//! The assembler: from symbols to slots.
//!
//! One language throughout, the pseudo-C that LLVM, the kernel's verifier and `bpftool` print. In Rust it
//! is the macro [`bpf!`](crate::bpf), assembled by the compiler; in files it is read by [`parse()`]; code that is made at
//! run time comes from a [`Builder`].

mod build;
mod cfg;
mod data;
mod diagnostic;
mod directive;
#[doc(hidden)]
pub mod dsl;
mod helpers;
mod library;
mod listing;
mod listing_text;
mod message;
mod names;
mod near;
mod parse;
mod print;
mod prototypes;
mod resolve;
mod statement;

pub use build::{Builder, Label};
pub use cfg::{Block, ControlFlow, Edge, EdgeKind};
#[cfg(feature = "elf")]
pub(crate) use diagnostic::Mistake;
pub use diagnostic::{Diagnostic, Diagnostics};
pub(crate) use helpers::helper_since;
pub use helpers::{HELPERS, helper_number};
pub use library::LibraryFunction;
#[cfg(feature = "elf")]
pub(crate) use listing::{Instructions, Labels, Place, place, unknown};
pub use listing::{PrintOptions, Undecodable, disassemble, disassemble_lossy};
pub use parse::{ParseOptions, parse};
pub use print::Style;
#[cfg(feature = "elf")]
pub(crate) use print::{Target, print};
pub use prototypes::{HelperPrototype, helper_prototype};
pub use resolve::{BuildOptions, Far, ResolveError, ResolveErrors};

pub use crate::spec::{
    Assembly, Code, CodeLabels, Collection, CollectionProgram, CoreKind, CoreReloc, Data, Extern,
    JumpTable, Kconfig, LabelPlace, Line, Reloc, RelocField, RelocKind, RelocTarget, Section,
    Setting, SettingKind, Variable,
};
