//! Errors of relocations.

use crate::btf::BtfError;
use crate::error::{Error, NearestNames};
use crate::util::escape;
use std::fmt;

/// The reason why a name in an instruction cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// The kernel does not have it, or exposes no types to look it up in.
    #[error(transparent)]
    Kernel(#[from] Error),
    /// The access does not have the size of the field.
    #[error("access size is {access} bytes, expected {size}, the size of the field")]
    Width {
        /// The size of the field, in bytes.
        size: u32,
        /// The size of the access, in bytes.
        access: u32,
    },
    /// The field is a bit-field.
    #[error(
        "bit-field of {bits} bits: load the {size} bytes at offset {offset}, shift right by {shift} and mask {bits} bits"
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
    #[error("the kernel has no symbol of this name")]
    NoSymbol,
    /// The object declares it with another type than the kernel's.
    #[error("declared type is `{object}`, expected `{kernel}` as in the kernel")]
    Declaration {
        /// The declaration of the object.
        object: String,
        /// The declaration of the kernel.
        kernel: String,
    },
    /// The number does not fit the instruction.
    #[error("value {value} does not fit the instruction: {low} to {high}")]
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
        "no attach target, expected {needs}: set it by `.program NAME, TARGET` in a text, by `attach::load_and_attach` \
         or `Target::spec` in Rust"
    )]
    NoTarget {
        /// The kind of target that is needed.
        needs: &'static str,
    },
    /// The program has several targets, and they do not pass the argument in the same way.
    #[error(
        "targets differ: {first} has {}, {other} has {}; load the program once for each",
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
    #[error("`{of}` has no argument `{argument}`: expected {}", one_of(.known))]
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
        "argument `{argument}` of `{of}`: place is {place}, expected one register: `call args.{argument}` with the context in r1 \
         returns its value in r0"
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
    #[error("argument `{argument}` of `{of}`: {problem}")]
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
        "targets differ: the argument is read in different ways at {first} and at {other}; load the program once for each"
    )]
    OtherValue {
        /// The first target.
        first: String,
        /// Another target.
        other: String,
    },
    /// `pt_regs` has no such field, and no register has this role.
    #[error(
        "`pt_regs` has no register `{}`: expected parm1 … for arguments, syscall1 … for those of a system call, ret, sp, fp, \
         ip, or a field of this architecture{}",
        escape::shown(.name), NearestNames(.nearest)
    )]
    UnknownRegister {
        /// The name.
        name: String,
        /// The roles that come nearest to it, the nearest first.
        nearest: Vec<String>,
    },
    /// On this architecture that argument is not in a register, or the architecture is not supported here.
    #[error("this architecture does not pass it in a register that is known here")]
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
    at.map_or_else(|| "no such argument".into(), |at| at.to_string())
}

fn one_of(known: &[String]) -> String {
    if known.is_empty() { "none, for it has no arguments".into() } else { known.join(", ") }
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
