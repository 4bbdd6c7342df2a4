//! Why the kernel said no.
use crate::syscall::Errno;
use std::fmt;
/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {}
impl fmt::Display for Denied {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
/// What is needed.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// bpf
    Bpf,
}
pub(crate) fn explain(_: Errno, _: Need) -> Option<Denied> {
    None
}
pub(crate) fn with_memlock<T>(mut f: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    f()
}
