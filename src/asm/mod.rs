//! From symbols to slots.
use crate::insn::Insn;
/// Code.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// The slots.
    pub slots: &'a [Insn],
}
