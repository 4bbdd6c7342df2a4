//! Errors of relocations.

use crate::btf::BtfError;
use crate::error::Error;
use std::fmt;

/// Why a name in an instruction has no number here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// The kernel does not know it, or shows nothing to look it up in.
    #[error(transparent)]
    Kernel(#[from] Error),
    /// The access has not the size of the field.
    #[error("the field has {size} bytes, and the access {access}")]
    Width {
        /// Of the field.
        size: u32,
        /// Of the access.
        access: u32,
    },
    /// The field is some bits of an integer.
    #[error(
        "it is a bit-field: load the {size} bytes at {offset}, shift them right by {shift} and mask {bits} bits"
    )]
    BitField {
        /// Bytes of the integer.
        size: u32,
        /// Where that begins.
        offset: u32,
        /// How many bits come before it.
        shift: u32,
        /// How many it has.
        bits: u32,
    },
    /// The number does not fit the instruction.
    #[error("it is {value} here, and the instruction holds {low} to {high}")]
    Range {
        /// The number.
        value: i128,
        /// The least that fits.
        low: i64,
        /// The greatest that fits.
        high: i64,
    },
    /// The arguments are those of what the program is attached to, and the spec does not say what that is.
    #[error(
        "the program does not say what it is for: {needs}; in a text `.program NAME, TARGET` says it, in Rust \
         `attach::load_and_attach` or `Target::spec`"
    )]
    NoTarget {
        /// What would say it.
        needs: &'static str,
    },
    /// The program is for several places, and they do not pass the argument in the same way.
    #[error(
        "it is at another place there: {first} has {}, {other} has {}; load the program once for each",
        shown(&.at.0), shown(&.at.1)
    )]
    Layout {
        /// A place.
        first: String,
        /// Another, where it is elsewhere or of another size.
        other: String,
        /// Where it is in the first and in the other place; `None` if that has no such argument.
        at: (Option<ArgumentAt>, Option<ArgumentAt>),
    },
    /// What the program is for passes no such argument.
    #[error("`{of}` passes no `{argument}`, but {}", .known.join(", "))]
    NoArgument {
        /// The tracepoint or function.
        of: String,
        /// The name that was asked for.
        argument: String,
        /// Those that there are.
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
        /// The name that was asked for.
        argument: String,
        /// Where it is, as the notes of the file say it: `8@-16(%rbp)`.
        place: String,
    },
    /// The value of an argument cannot be had.
    #[error("`{argument}` of `{of}`: {problem}")]
    NoValue {
        /// The place.
        of: String,
        /// The name that was asked for.
        argument: String,
        /// Why not.
        problem: String,
    },
    /// The program is for several places, and they need different instructions for the value of the argument.
    #[error(
        "its value is found in different ways at {first} and at {other}; load the program once for each"
    )]
    OtherValue {
        /// A place.
        first: String,
        /// Another.
        other: String,
    },
    /// On this architecture that argument is not in a register, or the architecture is not known here.
    #[error("this architecture keeps it in no register that is known here")]
    NoRegister,
}

/// Where an argument is in the context of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgumentAt {
    /// Its offset, bytes.
    pub offset: i64,
    /// How many bytes it has, if it is a number.
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
    /// Returns why a name in an instruction could not be resolved, if this is [`Error::Name`].
    pub fn name_problem(&self) -> Option<&NameProblem> {
        match self {
            Error::Name { problem, .. } => problem.downcast_ref(),
            _ => None,
        }
    }
}

/// Whether the kernel simply has no such thing.
pub(super) fn is_missing(problem: &NameProblem) -> bool {
    match problem {
        NameProblem::Kernel(Error::NotFound { .. }) | NameProblem::NoArgument { .. } => true,
        NameProblem::Kernel(error) => error.btf().is_some_and(BtfError::is_not_found),
        _ => false,
    }
}
