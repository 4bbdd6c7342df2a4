//! Small tools without a layer of their own: glob patterns, nearest names, versions, plain data and its description.

pub(crate) mod file;
pub(crate) mod glob;
pub(crate) mod lines;
pub(crate) mod nearest;
pub mod pod;
mod type_desc;
mod version;

pub use type_desc::{FieldDesc, TypeDesc};
pub use version::Version;
