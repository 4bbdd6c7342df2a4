//! Static probes of programs and libraries, USDT: uprobes at the places that their notes tell.
//!
//! Without the feature `elf` the notes cannot be read.

use super::uprobe::{Method, Probes, Spot};
use super::{Link, Options, Target};
use crate::error::{Error, Result};
use crate::kernel::features::{Feature, Features};
use crate::kernel::glob::{Glob, is_pattern};
use crate::kernel::nearest::{Nearest, OFFERED};
use crate::program::Program;
use crate::user::{self, UsdtProbe};
use std::path::Path;

/// Attaches a program to all places of a [`Target::Usdt`]; with a pattern for the provider or the name, of all probes that
/// match. A semaphore is counted up meanwhile (Linux 4.20).
///
/// The program knows by its cookie in which place it runs: what [`Options::cookie`] says, or 0, and the index of the place
/// added. Where the kernel has no cookies (before Linux 5.15), and none is asked for, it does not know.
///
/// # Errors
/// Those of [`uprobe::attach`](super::uprobe::attach).
pub(super) fn attach(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    let Target::Usdt { file, provider, name } = target else {
        return Err(Error::Target { target: target.to_string(), problem: "not a USDT probe" });
    };
    let path = user::find_file(file, options.pid)?;
    let probes = find(&path, provider, name)?;
    let places: Vec<_> = probes.iter().flat_map(|probe| &probe.places).collect();
    if places.iter().any(|place| place.unreachable) {
        return Err(Error::Place {
            target: target.to_string(),
            problem: "its semaphore is in memory that is not in the file, where the kernel does not count it up".into(),
        });
    }
    let numbered = options.cookie.is_some()
        || places.len() > 1 && Features::new().demand(Feature::PerfEventLink).is_ok();
    let first = options.cookie.unwrap_or_default();
    let spots = places.iter().enumerate().map(|(index, place)| Spot {
        offset: place.offset,
        semaphore: place.semaphore,
        cookie: numbered.then(|| first.wrapping_add(index as u64)),
    });
    let found = match probes.as_slice() {
        [one] => one.provider.clone(),
        _ => provider.clone(),
    };
    let real = Target::Usdt {
        file: path.to_string_lossy().into_owned(),
        provider: found,
        name: name.clone(),
    };
    let at = Probes { program, target: real, path: &path, returns: false, pid: options.pid };
    at.attach(spots.collect(), Method::Best, false)
}

/// The probes that a target means.
///
/// # Errors
/// [`Error::NotInFile`] with the nearest names if there is none.
pub(crate) fn find(path: &Path, provider: &str, name: &str) -> Result<Vec<UsdtProbe>> {
    let all = user::usdt_probes(path)?;
    let fits = |pattern: &str, text: &str| match is_pattern(pattern) {
        true => Glob::new(pattern).matches(text),
        false => pattern == text,
    };
    let of = |probe: &UsdtProbe| provider.is_empty() || fits(provider, &probe.provider);
    let none = all.is_empty();
    let mut nearest = Nearest::new(name, OFFERED);
    all.iter().for_each(|probe| nearest.offer(&probe.name));
    let names: Vec<_> = nearest
        .into_names()
        .iter()
        .flat_map(|name| all.iter().filter(move |probe| probe.name == *name))
        .map(|probe| format!("{}:{}", probe.provider, probe.name))
        .collect();
    let found: Vec<_> =
        all.into_iter().filter(|probe| of(probe) && fits(name, &probe.name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Error::NotInFile {
        what: "USDT probe",
        name: format!("{provider}:{name}"),
        path: path.into(),
        nearest: names,
        note: none.then_some("it has none: was it built with them?"),
    })
}
