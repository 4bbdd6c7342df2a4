//! `-l`: what probes there are, as bpftrace lists them.

use super::args::Args;
use crate::bt::Probes;
use crate::cli::Failure;
use crate::cli::stdio::print;
use crate::util::escape;
use std::fmt::Write;

/// Prints the probes that match.
pub(super) fn list(args: &Args) -> Result<u8, Failure> {
    let probes = Probes::new(args.pid);
    let pattern = args.pattern.as_deref().unwrap_or("*");
    let mut out = String::new();
    for probe in probes.find(pattern).map_err(Failure::Other)? {
        let _ = writeln!(out, "{}", escape::shown(&probe));
        if args.verbose {
            for argument in probes.arguments(&probe) {
                let _ = writeln!(out, "    {}", escape::shown(&argument));
            }
        }
    }
    print(&out)?;
    Ok(0)
}
