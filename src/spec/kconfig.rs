//! Settings of the kernel that an object declares (`__kconfig`).

use super::object::DataTypes;
use crate::error::Result;
use std::fmt;

/// The settings of the kernel that an object declares (`__kconfig`), as they lie in the value of a map, which the loader fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kconfig {
    /// The settings, in the order of their offsets.
    pub settings: Vec<Setting>,
    /// The size of all of them in bytes.
    pub size: u32,
    /// The types of the map's value, if the object has them.
    pub(crate) types: Option<DataTypes>,
    /// Finds the values.
    pub(crate) values: KconfigValues,
}

/// A setting of the kernel that an object declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name: `CONFIG_HZ`, `LINUX_KERNEL_VERSION`.
    pub name: Box<str>,
    /// Whether the program can do without it: it is 0 then.
    pub weak: bool,
    /// Its type.
    pub kind: SettingKind,
    /// Its offset in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

/// The type of a setting of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// An integer of 2, 4 or 8 bytes.
    Integer {
        /// Whether it is signed.
        signed: bool,
    },
    /// A byte: a number, or the letter `y`, `m` or `n`.
    Char {
        /// Whether it is signed.
        signed: bool,
    },
    /// A truth value.
    Bool,
    /// `enum libbpf_tristate`: 0 of `n`, 1 of `y`, 2 of `m`.
    Tristate,
    /// An array of characters, with a zero at the end.
    Text,
}

/// The function that finds the values of settings: that of the module that reads objects.
#[derive(Clone, Copy)]
pub(crate) struct KconfigValues(pub fn(&Kconfig) -> Result<Vec<u8>>);

/// There is one.
impl PartialEq for KconfigValues {
    fn eq(&self, _: &KconfigValues) -> bool {
        true
    }
}

impl Eq for KconfigValues {}

impl fmt::Debug for KconfigValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KconfigValues")
    }
}
