//! Functions of upper modules in specs.

use std::any::Any;
use std::fmt;

/// A function of the loader that a spec carries because it needs it: the type of the function is known to the module
/// that puts it there, and takes it out again, alone.
///
/// A spec that needs no maps and nothing of the kernel's types has none: so a program that loads only such specs has the
/// making of maps and the reading of BTF nowhere in it.
#[derive(Clone, Copy)]
pub struct Hook(&'static (dyn Any + Send + Sync));

impl Hook {
    pub(crate) const fn new(function: &'static (dyn Any + Send + Sync)) -> Hook {
        Hook(function)
    }

    /// The function, if it is one of this type.
    pub(crate) fn get<T: Any>(self) -> Option<&'static T> {
        self.0.downcast_ref()
    }
}

/// There is one of each type.
impl PartialEq for Hook {
    fn eq(&self, other: &Hook) -> bool {
        self.0.type_id() == other.0.type_id()
    }
}

impl Eq for Hook {}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
