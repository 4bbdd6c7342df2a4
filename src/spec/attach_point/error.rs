//! Errors about attach points.

use crate::error::Error;
use crate::uapi::{AttachType, ProgramType};

/// An invalid name of an attach point, or a program that does not match it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachPointError {
    /// The first word of the name is not known.
    #[error("`{text}`: unknown attach point: `{name}`, expected {}", one_of(.nearest))]
    Unknown {
        /// The whole name.
        text: String,
        /// The first word.
        name: String,
        /// The nearest words, or all of them.
        nearest: Vec<String>,
    },
    /// The rest of the name is not an attach type of such programs.
    #[error("`{text}`: unknown attach type: `{name}`, expected {}", one_of(.nearest))]
    AttachType {
        /// The whole name.
        text: String,
        /// The rest.
        name: String,
        /// The nearest attach types, or all of them; empty if nothing can follow the first word.
        nearest: Vec<String>,
    },
    /// The program has no attach type, and the kernel needs one for its type.
    #[error("program `{program}` ({kind}): the attach type is missing, expected {}", names(.choices))]
    NoAttachType {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// The attach types of programs of that type.
        choices: Vec<AttachType>,
    },
}

fn one_of(names: &[String]) -> String {
    match names {
        [] => "nothing there".into(),
        [one] => format!("`{one}`"),
        several => format!("one of {}", several.join(", ")),
    }
}

fn names(choices: &[AttachType]) -> String {
    one_of(&choices.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>())
}

impl From<AttachPointError> for Error {
    fn from(error: AttachPointError) -> Error {
        Error::AttachPoint(Box::new(error))
    }
}

impl Error {
    /// Returns the error about an attach point that this is, if it is [`Error::AttachPoint`].
    pub fn attach_point(&self) -> Option<&AttachPointError> {
        match self {
            Error::AttachPoint(source) => source.downcast_ref(),
            _ => None,
        }
    }
}
