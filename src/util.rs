//! Small tools without a layer of their own: text made safe, excerpts of source, glob patterns, nearest names, versions, plain
//! data and its description.

pub mod char_array;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line alone prints"))]
pub(crate) mod escape;
pub(crate) mod excerpt;
pub(crate) mod file;
pub(crate) mod glob;
pub(crate) mod lines;
pub(crate) mod nearest;
pub mod pod;
mod type_desc;
mod version;

pub use type_desc::{FieldDesc, TypeDesc};
pub use version::Version;
