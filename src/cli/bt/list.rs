//! `-l`: what probes there are, as bpftrace lists them.

use super::args::Args;
use super::{compile, options, source};
use crate::bt::Probes;
use crate::cli::Failure;
use crate::cli::stdio::print;
use crate::util::escape;
use std::fmt::Write;
use std::path::Path;

/// Prints the probes that match, or those of a script.
pub(super) fn list(args: &Args) -> Result<u8, Failure> {
    let probes = Probes::new(args.pid);
    let names = match script(args) {
        Some(args) => {
            let (name, text) = source(&args)?;
            compile(&text, &options(name, &args), &args)?.attach_points()
        }
        None => probes.find(args.pattern.as_deref().unwrap_or("*")).map_err(Failure::Other)?,
    };
    let mut out = String::new();
    for probe in names {
        if args.verbose {
            let definitions = probes.definitions(&probe);
            for definition in &definitions {
                let _ = writeln!(out, "{}\n", escape::lines(definition));
            }
            if !definitions.is_empty() {
                continue;
            }
        }
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

/// The arguments with the script whose probes are listed, if it is not a pattern that is given.
fn script(args: &Args) -> Option<Args> {
    if args.program.is_some() {
        return Some(args.clone());
    }
    let pattern = args.pattern.as_deref()?;
    let path = escape::path(pattern);
    let is_file = !pattern.contains(':') && Path::new(&path).is_file();
    let program = super::args::Program::File(path.into());
    is_file.then(|| Args { program: Some(program), pattern: None, ..args.clone() })
}
