//! Functions of upper layers in specs.

use std::any::Any;
use std::fmt;

/// A function of the loader, carried by the specs that need it. Only the module that puts it there, and calls it,
/// knows the type of the function.
///
/// A spec that needs no maps and none of the kernel's types has no hook: so a program that loads only such specs
/// does not contain the code that creates maps and parses BTF.
#[derive(Clone, Copy)]
pub struct Hook(&'static (dyn Any + Send + Sync));

impl Hook {
    pub(crate) const fn new(function: &'static (dyn Any + Send + Sync)) -> Hook {
        Hook(function)
    }

    /// Returns the function, if it is of this type.
    pub(crate) fn get<T: Any>(self) -> Option<&'static T> {
        self.0.downcast_ref()
    }
}

/// There is one function of each type.
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
