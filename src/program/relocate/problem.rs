//! Errors of relocations.

use crate::btf::BtfError;
use crate::error::Error;
use std::fmt;

/// The reason why a name in an instruction cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// The kernel does not have it, or exposes no types to look it up in.
    #[error(transparent)]
    Kernel(#[from] Error),
    /// The access does not have the size of the field.
    #[error("the field has {size} bytes, and the access {access}")]
    Width {
        /// The size of the field, in bytes.
        size: u32,
        /// The size of the access, in bytes.
        access: u32,
    },
    /// The field is a bit-field.
    #[error(
        "it is a bit-field: load the {size} bytes at {offset}, shift them right by {shift} and mask {bits} bits"
    )]
    BitField {
        /// The size of the integer, in bytes.
        size: u32,
        /// The offset of the integer.
        offset: u32,
        /// The number of bits below the field.
        shift: u32,
        /// The number of bits of the field.
        bits: u32,
    },
    /// The instruction is not one that the relocation can be for.
    #[error("{problem}")]
    Instruction {
        /// The problem.
        problem: &'static str,
    },
    /// The kernel has no symbol of that name.
    #[error("the kernel has no symbol of that name")]
    NoSymbol,
    /// The object declares it with another type than the kernel's.
    #[error("the object declares it as `{object}`, and the kernel has `{kernel}`")]
    Declaration {
        /// The declaration of the object.
        object: String,
        /// The declaration of the kernel.
        kernel: String,
    },
    /// The number does not fit the instruction.
    #[error("it is {value} here, and the instruction holds {low} to {high}")]
    Range {
        /// The number.
        value: i128,
        /// The least value that fits.
        low: i64,
        /// The greatest value that fits.
        high: i64,
    },
    /// The arguments depend on the attach target, and the spec has none.
    #[error(
        "the program does not say what it is for: {needs}; in a text `.program NAME, TARGET` says it, in Rust \
         `attach::load_and_attach` or `Target::spec`"
    )]
    NoTarget {
        /// The kind of target that is needed.
        needs: &'static str,
    },
    /// The program has several targets, and they do not pass the argument in the same way.
    #[error(
        "it is at another place there: {first} has {}, {other} has {}; load the program once for each",
        shown(&.at.0), shown(&.at.1)
    )]
    Layout {
        /// The first target.
        first: String,
        /// Another target, which has it at another offset or with another size.
        other: String,
        /// The place in the first and in the other target; `None` if that has no such argument.
        at: (Option<ArgumentAt>, Option<ArgumentAt>),
    },
    /// The attach target passes no such argument.
    #[error("`{of}` passes no `{argument}`, but {}", .known.join(", "))]
    NoArgument {
        /// The tracepoint or function.
        of: String,
        /// The name that was looked up.
        argument: String,
        /// The arguments that exist.
        known: Vec<String>,
    },
    /// The argument of a USDT probe is not in one register.
    #[error(
        "`{argument}` of `{of}` is in {place}: only what is in one register has an offset; `call args.{argument}` with the context in \
         r1 returns it in r0"
    )]
    NotInRegister {
        /// The probe.
        of: String,
        /// The name that was looked up.
        argument: String,
        /// Its place, in the syntax of the notes of the file: `8@-16(%rbp)`.
        place: String,
    },
    /// The value of an argument is not available.
    #[error("`{argument}` of `{of}`: {problem}")]
    NoValue {
        /// The attach target.
        of: String,
        /// The name that was looked up.
        argument: String,
        /// The reason.
        problem: String,
    },
    /// The program has several targets, and they need different instructions for the value of the argument.
    #[error(
        "its value is found in different ways at {first} and at {other}; load the program once for each"
    )]
    OtherValue {
        /// The first target.
        first: String,
        /// Another target.
        other: String,
    },
    /// On this architecture that argument is not in a register, or the architecture is not supported here.
    #[error("this architecture keeps it in no register that is known here")]
    NoRegister,
}

/// The place of an argument in the context of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgumentAt {
    /// Its offset, in bytes.
    pub offset: i64,
    /// Its size in bytes, if it is a number.
    pub size: Option<u32>,
}

impl fmt::Display for ArgumentAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            Some(size) => write!(f, "{size} bytes at offset {}", self.offset),
            None => write!(f, "it at offset {}", self.offset),
        }
    }
}

fn shown(at: &Option<ArgumentAt>) -> String {
    at.map_or_else(|| "none".into(), |at| at.to_string())
}

impl Error {
    /// Returns the reason why a name in an instruction could not be resolved, if this is [`Error::Name`].
    pub fn name_problem(&self) -> Option<&NameProblem> {
        match self {
            Error::Name { problem, .. } => problem.downcast_ref(),
            _ => None,
        }
    }
}

/// Returns whether the kernel does not have the function: one with another prototype is another one, as to libbpf.
pub(super) fn is_missing_function(problem: &NameProblem) -> bool {
    matches!(problem, NameProblem::Declaration { .. }) || is_missing(problem)
}

/// Returns whether the name simply does not exist in the kernel.
pub(super) fn is_missing(problem: &NameProblem) -> bool {
    match problem {
        NameProblem::Kernel(Error::NotFound { .. }) | NameProblem::NoArgument { .. } => true,
        NameProblem::Kernel(error) => error.btf().is_some_and(BtfError::is_not_found),
        _ => false,
    }
}
