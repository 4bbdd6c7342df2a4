//! Errors about BTF, and about queries of it.

use super::Kind;
use crate::error::{Error, NearestNames};
use std::path::PathBuf;

/// An error while reading types, or finding a name in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BtfError {
    /// The bytes are not BTF that this can read.
    #[error("not BTF for this machine: {problem}")]
    Header {
        /// The problem with the header.
        problem: &'static str,
    },

    /// A type or a string is misplaced or malformed.
    #[error("damaged BTF: type {id}: {problem}")]
    Damaged {
        /// The number of the type.
        id: u32,
        /// The problem with the type.
        problem: &'static str,
    },

    /// A type is of a kind that is newer than this reader, and its length is unknown.
    #[error("type {id} is of the unknown kind {kind}")]
    UnknownKind {
        /// The number of the type.
        id: u32,
        /// Its kind.
        kind: u32,
    },

    /// A path is malformed.
    #[error("`{path}` is not the path of a field: {problem}")]
    Path {
        /// The text.
        path: String,
        /// The problem with the path.
        problem: &'static str,
    },

    /// There is no type of that name.
    #[error("there is no {what} `{name}` in BTF{}", NearestNames(.nearest))]
    NoType {
        /// `struct or union`, `func`.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are that come nearest to it, the nearest first.
        nearest: Vec<String>,
    },

    /// A struct or a union has no such field.
    #[error("`{owner}` has no field `{field}`{}", NearestNames(.nearest))]
    NoField {
        /// The struct or union, or the path to it.
        owner: String,
        /// The field.
        field: String,
        /// Its fields whose names come nearest, the nearest first.
        nearest: Vec<String>,
    },

    /// An enumeration has no such value.
    #[error("`{owner}` has no enumerator `{name}`{}", NearestNames(.nearest))]
    NoEnumerator {
        /// The enumeration.
        owner: String,
        /// The value's name.
        name: String,
        /// Its values whose names come nearest, the nearest first.
        nearest: Vec<String>,
    },

    /// A path leads through a pointer.
    #[error(
        "`{pointer}` is a pointer, which one instruction cannot follow: load it first, then `{then}`"
    )]
    Pointer {
        /// The path as far as the pointer.
        pointer: String,
        /// The rest of the path, starting at the value the pointer points to.
        then: String,
    },

    /// A path leads on from something that has no parts.
    #[error("`{path}` is of kind {kind} and has no {part}")]
    NoParts {
        /// The path as far as that.
        path: String,
        /// Its kind.
        kind: Kind,
        /// `fields`, `elements`.
        part: &'static str,
    },

    /// A path leads past the end of an array.
    #[error("`{path}` is an array of {len}: it has no element {index}")]
    Index {
        /// The path as far as the array.
        path: String,
        /// The number of its elements.
        len: u32,
        /// The index that was asked for.
        index: u32,
    },

    /// Something has no size: `void`, a function, a struct that is only declared.
    #[error("`{name}` is of kind {kind} and has no size")]
    NoSize {
        /// Its name, or the path to it.
        name: String,
        /// Its kind.
        kind: Kind,
    },

    /// BTF to be written is larger than any kernel takes, or a part of it is.
    #[error("BTF that no kernel takes: {what}")]
    TooLarge {
        /// The part that is too large.
        what: &'static str,
    },

    /// A CO-RE relocation cannot be resolved, whatever the kernel has.
    #[error("CO-RE relocation: {problem}")]
    Core {
        /// The problem.
        problem: &'static str,
    },

    /// Types of the kernel that match an object's type do not agree.
    #[error("CO-RE relocation: the kernel has several types for `{name}`, which do not agree")]
    Ambiguous {
        /// The field, type or enumerator.
        name: String,
    },

    /// A file has malformed contents.
    #[error("cannot understand {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem with its contents.
        source: Box<BtfError>,
    },
}

impl BtfError {
    /// Whether what was asked for is not there, while everything else is as it should be: another blob may have
    /// it.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            BtfError::NoType { .. } | BtfError::NoField { .. } | BtfError::NoEnumerator { .. }
        )
    }
}

impl From<BtfError> for Error {
    fn from(error: BtfError) -> Error {
        Error::Btf(Box::new(error))
    }
}

impl Error {
    /// Returns the error of BTF that this is, if it is [`Error::Btf`].
    pub fn btf(&self) -> Option<&BtfError> {
        match self {
            Error::Btf(source) => source.downcast_ref(),
            _ => None,
        }
    }
}
