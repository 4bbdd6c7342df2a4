//! What the tests against the kernel share.

#[path = "../../src/needs.rs"]
pub(crate) mod needs;
