//! Errors in virtual code.

use std::ops::Range;

/// A mistake in virtual code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("function `{function}`: {problem}")]
pub struct CodegenError {
    pub(super) function: String,
    pub(super) problem: CodegenProblem,
    pub(super) span: Option<Range<u32>>,
}

impl CodegenError {
    /// Returns the name of the function.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Returns the problem.
    pub fn problem(&self) -> &CodegenProblem {
        &self.problem
    }

    /// Returns the piece of the source ([`Function::at`](super::Function::at)) that it is about.
    pub fn span(&self) -> Option<Range<u32>> {
        self.span.clone()
    }
}

/// The kinds of mistakes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodegenProblem {
    /// A variable, block, object, function or piece of data that another function or unit made.
    #[error("{what} {index} belongs to another {owner}")]
    Foreign {
        /// `variable`, `block`, `object`, `function`.
        what: &'static str,
        /// Its number.
        index: u32,
        /// `function`, `unit`.
        owner: &'static str,
    },
    /// A block that is reached but has no statements: [`Function::switch_to`](super::Function::switch_to) was not called.
    #[error("block {block} is jumped to but never filled")]
    NeverFilled {
        /// Its number.
        block: u32,
    },
    /// A block that is reached has no jump, branch or return at its end.
    #[error("block {block} has no end: expected a jump, a branch or a return")]
    NoEnd {
        /// Its number.
        block: u32,
    },
    /// A wrong number of arguments or parameters.
    #[error("{what}: {given} arguments, expected {expected}")]
    Arguments {
        /// The function that is called.
        what: String,
        /// The number of arguments given.
        given: usize,
        /// `at most 5`, or the number of parameters.
        expected: String,
    },
    /// An object of no bytes, or with an alignment other than 1, 2, 4 or 8.
    #[error(
        "object of {size} bytes aligned to {align}: expected a size above 0, an alignment of 1, 2, 4 or 8"
    )]
    Object {
        /// Its size.
        size: u32,
        /// Its alignment.
        align: u32,
    },
    /// An access that lies outside its object.
    #[error("access to {bytes} bytes at {offset}: the object has {size} bytes")]
    OutOfBounds {
        /// Bytes accessed.
        bytes: u32,
        /// Bytes from the object's first.
        offset: i32,
        /// Bytes of the object.
        size: u32,
    },
    /// An instruction that the chosen version of the instruction set does not have.
    #[error("{what} needs instruction set {needs}: have {have}")]
    Isa {
        /// The operation.
        what: &'static str,
        /// The least version that has it.
        needs: super::Isa,
        /// The chosen version.
        have: super::Isa,
    },
    /// The frames of functions that call each other are larger than the stack and the function has not enough scratch
    /// memory. Compile again with that much: see [`Function::scratch`](super::Function::scratch).
    #[error("the stack is full: {bytes} bytes of scratch memory needed")]
    ScratchNeeded {
        /// Bytes of scratch memory that the function needs.
        bytes: u32,
    },
    /// More pointers are alive at once than fit on the stack. (Numbers can lie in scratch memory; the verifier tracks
    /// spilled pointers only on the stack.)
    #[error(
        "the stack is full: {bytes} bytes of values that may be pointers are alive at once, expected at most {limit}"
    )]
    TooManyPointers {
        /// Bytes of the frame without the variables and objects that can lie in scratch memory.
        bytes: u32,
        /// Bytes that there are.
        limit: u32,
    },
    /// An instruction that needs more registers than there are: a fault of the compiler, to be reported.
    #[error("the compiler found no registers: please report this")]
    NoRegisters,
    /// More code than the builder takes.
    #[error(transparent)]
    Resolve(#[from] crate::asm::ResolveErrors),
}
