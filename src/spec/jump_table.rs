//! Jump tables, for jumps to one of many places (`gotox`).

/// A jump table of a program: the instructions that `gotox` can jump to, in the order of the table (Linux 6.19).
///
/// The loader creates a map of type `insn_array` of it, for this program alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JumpTable {
    /// The name, for messages.
    pub name: Box<str>,
    /// The slots of the instructions, from the beginning of the program's code.
    pub slots: Vec<u32>,
}
