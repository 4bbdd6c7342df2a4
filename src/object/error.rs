//! What is wrong with an object.

use crate::btf::BtfError;
use crate::insn::DecodeError;

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// It is no object for BPF, or what holds it together is damaged.
    #[error("it is no object for BPF that can be read: {problem}")]
    File {
        /// What is wrong.
        problem: &'static str,
    },
    /// A section of it is damaged.
    #[error("section `{section}` is damaged: {problem}", section = section.escape_debug())]
    Section {
        /// The name of the section.
        section: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A section with code has a slot that is no instruction.
    #[error("slot {slot} of section `{section}` is no instruction: {reason}", section = section.escape_debug(), reason = error.reason)]
    Instruction {
        /// The name of the section.
        section: String,
        /// The index of the slot.
        slot: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// Its types are damaged.
    #[error("its types (.BTF) cannot be read: {0}")]
    Types(#[source] BtfError),
}
