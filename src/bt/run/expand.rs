//! The attach points that one stands for.

use super::events::{EVENTS, Event};
use crate::bt::environment::Missing;
use crate::bt::probe::AttachPoint;
use crate::error::{Error, Result};
use crate::kernel::{functions, tracefs};
use crate::list::{Place, Places};
use crate::user;
use crate::util::glob::{Glob, is_pattern};
use crate::util::nearest::{Nearest, OFFERED};
use std::ops::ControlFlow;

/// Returns the attach points that one stands for: those that a pattern matches, sorted; else itself, with the file of a
/// uprobe found. Of places that are looked up when they are attached, nothing is asked here.
pub(super) fn expand(
    places: &Places,
    point: &AttachPoint,
    pid: Option<u32>,
) -> Result<Vec<AttachPoint>, Missing> {
    match point {
        AttachPoint::Event { hardware, event, .. } => {
            known_event(*hardware, event)?;
        }
        AttachPoint::Tracepoint { category, name } => {
            if is_pattern(category) || is_pattern(name) {
                let found = find(places, &format!("tracepoint:{category}/{name}"))?;
                let points = found.into_iter().filter_map(|place| {
                    let (category, name) = place.name.split_once('/')?;
                    Some(AttachPoint::Tracepoint { category: category.into(), name: name.into() })
                });
                return Ok(points.collect());
            }
            tracefs::tracepoint_id(category, name).map_err(missing)?;
        }
        AttachPoint::RawTracepoint { module, name } if is_pattern(name) => {
            let found = find(places, &format!("raw_tracepoint:{name}"))?;
            let named = |name| AttachPoint::RawTracepoint { module: module.clone(), name };
            return Ok(found.into_iter().map(|place| named(place.name)).collect());
        }
        AttachPoint::Kprobe { ret, module, function, offset }
            if is_pattern(function) || module.as_deref().is_some_and(is_pattern) =>
        {
            return kernel_functions(module.as_deref(), function).map(|names| {
                let named = |(function, found): (String, Option<String>)| AttachPoint::Kprobe {
                    ret: *ret,
                    module: module.as_ref().and(found),
                    function,
                    offset: *offset,
                };
                names.into_iter().map(named).collect()
            });
        }
        AttachPoint::Fentry { exit, module, function }
            if is_pattern(function) || module.as_deref().is_some_and(is_pattern) =>
        {
            let found = find(places, &format!("fentry:{function}"))?;
            let wanted = module.as_deref().map(Glob::new);
            let fits = |place: &Place| {
                let module = place.module.as_deref().unwrap_or("vmlinux");
                wanted.as_ref().is_none_or(|wanted| wanted.matches(module))
            };
            let named = |place: Place| {
                let module = Some(place.module.unwrap_or_else(|| "vmlinux".into()));
                AttachPoint::Fentry { exit: *exit, module, function: place.name }
            };
            return Ok(found.into_iter().filter(fits).map(named).collect());
        }
        AttachPoint::Uprobe { ret, path, function, offset, demangled } => {
            let path = file(path, pid)?;
            let point = |function| AttachPoint::Uprobe {
                ret: *ret,
                path: path.clone(),
                function,
                offset: *offset,
                demangled: *demangled,
            };
            if !is_pattern(function) {
                return Ok(vec![point(function.clone())]);
            }
            let glob = Glob::new(function);
            let all = user::functions(&path).map_err(missing)?;
            let mut names: Vec<_> =
                all.into_iter().map(|one| one.name).filter(|name| glob.matches(name)).collect();
            names.sort_unstable();
            names.dedup();
            return Ok(names.into_iter().map(point).collect());
        }
        AttachPoint::Usdt { path, provider, name } => {
            let path = file(path, pid)?;
            let (providers, names) =
                (Glob::new(provider.as_deref().unwrap_or("*")), Glob::new(name));
            let all = user::usdt_probes(&path).map_err(missing)?;
            let fits = |one: &user::UsdtProbe| {
                providers.matches(&one.provider) && names.matches(&one.name)
            };
            let mut points: Vec<_> = all
                .into_iter()
                .filter(fits)
                .map(|one| {
                    let provider = Some(one.provider);
                    AttachPoint::Usdt { path: path.clone(), provider, name: one.name }
                })
                .collect();
            points.dedup();
            return Ok(points);
        }
        _ => {}
    }
    Ok(vec![point.clone()])
}

/// The path of a program or library.
fn file(name: &str, pid: Option<u32>) -> Result<String, Missing> {
    if is_pattern(name) {
        let problem = "not supported: patterns for the names of files".into();
        return Err(Missing { problem, nearest: Vec::new() });
    }
    let path = user::find_file(name, pid).map_err(missing)?;
    if let Err(error) = std::fs::metadata(&path) {
        let problem = format!("cannot open {}: {error}", path.display());
        return Err(Missing { problem, nearest: Vec::new() });
    }
    Ok(path.to_string_lossy().into_owned())
}

fn find(places: &Places, pattern: &str) -> Result<Vec<Place>, Missing> {
    places.find(pattern).map(|found| found.places).map_err(missing)
}

/// The functions of the kernel that match, each name once, with their modules.
fn kernel_functions(
    module: Option<&str>,
    function: &str,
) -> Result<Vec<(String, Option<String>)>, Missing> {
    functions::need_kprobes().map_err(missing)?;
    let (glob, module) = (Glob::new(function), module.map(Glob::new));
    let mut names = Vec::new();
    let each = functions::each(|name, of| {
        let fits = |module: &Glob| module.matches(of.unwrap_or("vmlinux"));
        if glob.matches(name) && module.as_ref().is_none_or(fits) {
            names.push((name.to_owned(), of.map(str::to_owned)));
        }
        ControlFlow::Continue(())
    });
    each.map_err(missing)?;
    names.sort_unstable();
    names.dedup_by(|one, other| one.0 == other.0);
    Ok(names)
}

fn known_event(hardware: bool, name: &str) -> Result<(), Missing> {
    let all = || EVENTS.iter().filter(|event| event.hardware == hardware);
    if all().any(|event: &Event| event.name == name) {
        return Ok(());
    }
    let mut nearest = Nearest::new(name, OFFERED);
    all().for_each(|event| nearest.offer(event.name));
    let kind = if hardware { "hardware" } else { "software" };
    Err(Missing { problem: format!("unknown {kind} event"), nearest: nearest.into_names() })
}

/// Why there is no such place.
fn missing(error: Error) -> Missing {
    match error {
        Error::NotFound { what, nearest, .. } => {
            Missing { problem: format!("there is no such {what}"), nearest }
        }
        error => Missing { problem: error.to_string(), nearest: Vec::new() },
    }
}
