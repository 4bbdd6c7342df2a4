//! Errors of objects.

use crate::btf::BtfError;

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// It is no object for BPF, or what holds it together is damaged.
    #[error("it is no object for BPF that can be read: {problem}")]
    File {
        /// The problem.
        problem: &'static str,
    },
    /// A section of it is damaged.
    #[error("section `{section}` is damaged: {problem}", section = section.escape_debug())]
    Section {
        /// The name of the section.
        section: String,
        /// The problem.
        problem: &'static str,
    },
    /// It is for machines of the other byte order.
    #[error("it is for machines of the other byte order than this one")]
    Order,
    /// It asks for something that cannot be done here, so that what would be loaded is not what is meant.
    #[error("it asks for what cannot be done here:\n  {}", what.join("\n  "))]
    Unsaid {
        /// All of that, each in a line.
        what: Vec<String>,
    },
    /// Its types are damaged.
    #[error("its types (.BTF) cannot be read: {0}")]
    Types(#[source] BtfError),
}

/// Why objects cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// One of them cannot be read.
    #[error("{file}: {source}")]
    Object {
        /// The name of the object.
        file: String,
        /// The problem with it.
        source: ObjectError,
    },
    /// They do not fit together.
    #[error("cannot link:\n  {}", problems.join("\n  "))]
    Conflicts {
        /// All that does not fit, with the names of the objects, each in a line.
        problems: Vec<String>,
    },
}
