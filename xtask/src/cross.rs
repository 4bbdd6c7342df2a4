//! Other architectures.

use crate::arch::Arch;
use anyhow::{Result, bail};
use std::process::Command;

/// Sets cargo up for it.
pub fn prepare(arch: Arch, _command: &mut Command) -> Result<()> {
    bail!("no programs can be built for {} yet", arch.name())
}
