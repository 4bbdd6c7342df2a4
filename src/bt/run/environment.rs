//! This machine, as the compiler asks for it. Nothing is read before it is asked for.

use super::expand;
use crate::bt::environment::{Environment, Missing};
use crate::bt::probe::AttachPoint;
use crate::btf::KernelTypes;
use crate::kernel::format::{self, Field};
use crate::kernel::{registers, symbols};
use crate::list::Places;
use crate::user;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a script is given on the command line, or by an embedder.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments {
    /// The positional parameters.
    pub parameters: Vec<String>,
    /// The options of the script, `--NAME` and `--NAME=VALUE`.
    pub options: Vec<(String, Option<String>)>,
    /// Whether functions that can harm are allowed.
    pub allow_unsafe: bool,
    /// Whether there is a command that is traced.
    pub command: bool,
    /// The process that programs and libraries are looked for in.
    pub pid: Option<u32>,
}

/// The machine and the arguments of the script.
#[derive(Debug, Default)]
pub(super) struct Machine {
    arguments: Arguments,
    types: KernelTypes,
    places: Places,
}

impl Machine {
    /// Returns the machine.
    pub(super) fn new(arguments: Arguments) -> Machine {
        Machine { arguments, types: KernelTypes::new(), places: Places::new() }
    }
}

impl Environment for Machine {
    fn types(&self) -> Result<&KernelTypes, String> {
        self.types.vmlinux().map(|_| &self.types).map_err(|error| error.to_string())
    }

    fn tracepoint(&self, category: &str, name: &str) -> Result<Vec<Field>, String> {
        format::fields(category, name).map_err(|error| error.to_string())
    }

    fn expand(&self, point: &AttachPoint) -> Result<Vec<AttachPoint>, Missing> {
        expand::expand(&self.places, point, self.arguments.pid)
    }

    fn kernel_address(&self, symbol: &str) -> Option<u64> {
        symbols::address_of(symbol).ok().flatten()
    }

    fn user_symbol(&self, path: &str, symbol: &str) -> Option<(u64, u64)> {
        let path = user::find_file(path, self.arguments.pid).ok()?;
        user::Elf::open(&path).ok()?.symbol(symbol).ok()?
    }

    fn cgroup_id(&self, path: &str) -> Result<u64, String> {
        // The id of a cgroup is the number of its folder (`cgroup_id()`, `include/linux/cgroup.h`).
        let about = std::fs::metadata(Path::new(path)).map_err(|error| error.to_string())?;
        Ok(about.ino())
    }

    fn register(&self, name: &str) -> Option<u16> {
        registers::NAMES.iter().find(|(known, _)| *known == name).map(|(_, offset)| *offset)
    }

    fn registers(&self) -> Vec<&'static str> {
        registers::NAMES.iter().map(|(name, _)| *name).collect()
    }

    fn option(&self, name: &str) -> Option<Option<&str>> {
        let found = self.arguments.options.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_deref())
    }

    fn parameters(&self) -> &[String] {
        &self.arguments.parameters
    }

    fn allows_unsafe(&self) -> bool {
        self.arguments.allow_unsafe
    }

    fn has_command(&self) -> bool {
        self.arguments.command
    }
}
