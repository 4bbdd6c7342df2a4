//! Queries of the compiler about the machine, behind a trait so that tests can supply the answers.

use super::probe::AttachPoint;
use crate::btf::KernelTypes;
use crate::kernel::format::Field;
use crate::user::UsdtProbe;
use crate::user::dwarf::Opened;
use std::sync::Arc;

/// Answers questions about the machine and the command line.
pub(crate) trait Environment {
    /// Returns the kernel's types, or why there are none.
    fn types(&self) -> Result<&KernelTypes, String>;

    /// Returns the fields of a tracepoint.
    fn tracepoint(&self, category: &str, name: &str) -> Result<Vec<Field>, String>;

    /// Returns the attach points that one with wildcards stands for, sorted; of one without, itself, if it exists or if that
    /// is known only when it is attached.
    fn expand(&self, point: &AttachPoint) -> Result<Vec<AttachPoint>, Missing>;

    /// Returns the address of a symbol of the kernel.
    fn kernel_address(&self, symbol: &str) -> Option<u64>;

    /// Returns the address and the size of a symbol in a program or library, as its file has them.
    fn user_symbol(&self, path: &str, symbol: &str) -> Option<(u64, u64)>;

    /// Returns a USDT probe of a program or library.
    fn usdt(&self, path: &str, provider: &str, name: &str) -> Result<Arc<UsdtProbe>, String>;

    /// Returns the debug information of a program or library.
    fn debug_info(&self, path: &str) -> Opened;

    /// Returns the id of the cgroup that is mounted at a path.
    fn cgroup_id(&self, path: &str) -> Result<u64, String>;

    /// Returns where a register is in `struct pt_regs`.
    fn register(&self, name: &str) -> Option<u16>;

    /// Returns the names of registers, for errors.
    fn registers(&self) -> Vec<&'static str>;

    /// Returns the value of an option of the script, `--NAME=VALUE` or `--NAME`, if it was given.
    fn option(&self, name: &str) -> Option<Option<&str>>;

    /// Returns the positional parameters.
    fn parameters(&self) -> &[String];

    /// Whether functions that need `--unsafe` are allowed.
    fn allows_unsafe(&self) -> bool;

    /// Whether there is a command of `-c`.
    fn has_command(&self) -> bool;

    /// Returns the process of `-p`, to which the events of the script are limited.
    fn process(&self) -> Option<u32> {
        None
    }
}

/// The error that an attach point does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Missing {
    /// The cause, if it is not just an unknown name.
    pub problem: String,
    /// Names that come near.
    pub nearest: Vec<String>,
}
