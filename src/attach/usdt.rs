//! USDT, static probes of programs and libraries: uprobes at the positions that their ELF notes give.
//!
//! Their arguments are wherever the compiler had them. An argument that is in a register, and in the same one in all places,
//! can be read by name if the program names the probe ([`ProgramSpec::target`](crate::ProgramSpec::target),
//! `FILE:PROVIDER:NAME`): `r2 = *(u32 *)(r1 + args.arg1)`. All others are read with
//! [`UsdtProbe::load_argument`](user::UsdtProbe::load_argument).

use super::cookie::Cookie;
use super::uprobe::{Probes, Spot};
use super::{Link, Options, Target};
use crate::error::{Error, Result};
use crate::features::{Feature, Features};
use crate::program::Program;
use crate::user;
use crate::util::escape::path_text;

pub use super::uprobe::ProbeMethod;

/// Attaches a program to all places of a [`Target::Usdt`]; with a pattern for the provider or the name, of all probes that
/// match. A semaphore is counted up meanwhile (Linux 4.20).
///
/// The program knows by its cookie at which place it runs: [`Options::cookie`], or 0, plus the index of the place.
/// Without cookies (before Linux 5.15), and if none is asked for, it does not know.
///
/// # Errors
/// The errors of [`uprobe::attach`](super::uprobe::attach).
pub fn attach(program: &Program, target: &Target, method: ProbeMethod) -> Result<Link> {
    let target = target.plain();
    target.check(program)?;
    attach_with(program, target, method, &Options::new())
}

/// The same with options.
pub(super) fn attach_with(
    program: &Program,
    target: &Target,
    method: ProbeMethod,
    options: &Options,
) -> Result<Link> {
    let Target::Usdt { file, provider, name } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a USDT probe" });
    };
    target.check_arguments(program, options.pid)?;
    let path = user::find_file(file, options.pid)?;
    let probes = user::find_usdt(&path, provider, name)?;
    let places: Vec<_> = probes.iter().flat_map(|probe| &probe.places).collect();
    if places.iter().any(|place| place.unreachable) {
        return Err(Error::Place {
            target: target.to_string(),
            problem: "its semaphore is in memory that is not in the file, where the kernel does not count it up".into(),
        });
    }
    let numbered = options.cookie.is_some()
        || places.len() > 1 && Features::new().demand(Feature::PerfEventLink).is_ok();
    let first = options.number().unwrap_or_default();
    let spots = places.iter().enumerate().map(|(index, place)| Spot {
        offset: place.offset,
        semaphore: place.semaphore,
        cookie: numbered.then(|| Cookie::new(first.wrapping_add(index as u64))),
    });
    let found = match probes.as_slice() {
        [one] => one.provider.clone(),
        _ => provider.clone(),
    };
    let real =
        Target::Usdt { file: path_text(&path).into_owned(), provider: found, name: name.clone() };
    let at = Probes { program, target: real, path: &path, returns: false, pid: options.pid };
    at.attach(spots.collect(), method, false)
}
