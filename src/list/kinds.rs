//! The kinds of attach points, and the functions that list those of each kind.

use super::Places;
use crate::btf::{Body, Kind as TypeKind};
use crate::error::{Error, Result};
use crate::kernel::{functions, perf_names, tracefs};
use crate::list::raw_tracepoints;
use crate::permission;
use crate::spec::attach_point::{ATTACH_POINTS, AttachPoint, List};
use crate::syscall::{self, PerfEvent};
use crate::uapi::Errno;
use crate::util::file;
use crate::util::glob::Glob;
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;

/// Names, each with its module.
pub(super) type Names = Vec<(String, Option<String>)>;

/// The kinds that can be listed, in the order of the attach-point table. Those of files (`uprobe:FILE:NAME`) are looked into
/// only if they are named, since the file has to be.
pub(super) fn kinds() -> impl Iterator<Item = &'static AttachPoint> + Clone {
    ATTACH_POINTS.iter().filter(|row| finder(row.list).is_some())
}

type Finder = fn(&Places, &str) -> Result<Names>;

/// Returns the function that lists the names that match, in any order and some perhaps twice, of a kind that can be listed.
pub(super) fn finder(list: List) -> Option<Finder> {
    Some(match list {
        List::KernelFunctions => kprobes,
        List::Tracepoints => tracepoints,
        List::RawTracepoints => raw_tracepoint_names,
        List::TypedTracepoints => typed_tracepoints,
        List::TypedFunctions => typed_functions,
        List::ModifiableFunctions => changeable_functions,
        List::Hooks => hooks,
        List::Iterators => iterators,
        #[cfg(feature = "elf")]
        List::FileFunctions => super::files::functions,
        #[cfg(feature = "elf")]
        List::UsdtProbes => super::files::probes,
        List::SoftwareEvents => software,
        List::HardwareEvents => hardware,
        _ => return None,
    })
}

/// Returns the pattern for names from the one given by the user.
pub(super) fn pattern(list: List, pattern: &str) -> String {
    match list {
        List::Tracepoints => tracepoint_pattern(pattern),
        _ => pattern.to_owned(),
    }
}

fn kprobes(_: &Places, pattern: &str) -> Result<Names> {
    functions::need_kprobes()?;
    let glob = Glob::new(pattern);
    let mut names = Vec::new();
    functions::each(|name, module| {
        if glob.matches(name) {
            names.push((name.to_owned(), module.map(str::to_owned)));
        }
        ControlFlow::Continue(())
    })?;
    Ok(names)
}

/// `syscalls:sys_enter_*` is written as well as `syscalls/sys_enter_*`; and a name without a category is one in any.
fn tracepoint_pattern(pattern: &str) -> String {
    match pattern.split_once([':', '/']) {
        Some((category, name)) => format!("{category}/{name}"),
        // `*` is more than one name.
        None if pattern.starts_with('*') => pattern.to_owned(),
        None => format!("*/{pattern}"),
    }
}

fn tracepoints(_: &Places, pattern: &str) -> Result<Names> {
    let glob = Glob::new(pattern);
    let what = "the list of tracepoints";
    let (file, path) =
        tracefs::open(what, Path::new("available_events"), OpenOptions::new().read(true))?;
    let mut names = Vec::new();
    let unread = |source| permission::file("read", &path, source);
    // Lines such as `sched:sched_switch`.
    for line in BufReader::with_capacity(4096, file).split(b'\n') {
        let line = line.map_err(unread)?;
        let Some((category, name)) =
            std::str::from_utf8(&line).ok().and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let name = format!("{category}/{name}");
        if glob.matches(&name) {
            names.push((name, None));
        }
    }
    Ok(names)
}

fn raw_tracepoint_names(_: &Places, pattern: &str) -> Result<Names> {
    let glob = Glob::new(pattern);
    let mut names = Vec::new();
    raw_tracepoints::each(|name| {
        if glob.matches(name) {
            names.push((name.to_owned(), None));
        }
    })?;
    Ok(names)
}

fn typed_tracepoints(places: &Places, pattern: &str) -> Result<Names> {
    // Without types there are none of these.
    places.types.vmlinux()?;
    raw_tracepoint_names(places, pattern)
}

/// The functions that have types and match, those of modules too.
fn functions_with_types(places: &Places, wanted: impl Fn(&str) -> bool) -> Result<Names> {
    let mut names = Vec::new();
    places.types.each(|module, btf| {
        for found in btf.types() {
            let found = found?;
            if found.kind == TypeKind::Function && wanted(found.name) {
                names.push((found.name.to_owned(), module.map(str::to_owned)));
            }
        }
        Ok(())
    })?;
    Ok(names)
}

fn typed_functions(places: &Places, pattern: &str) -> Result<Names> {
    let glob = Glob::new(pattern);
    let mut names = functions_with_types(places, |name| glob.matches(name))?;
    // Functions that ftrace cannot trace cannot be attached to. If the list of traceable ones is unreadable, all are listed.
    let mut traceable = HashSet::new();
    let known = functions::each_traceable(&mut |name, _| {
        if glob.matches(name) {
            traceable.insert(name.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    if known {
        names.retain(|(name, _)| traceable.contains(name));
    }
    Ok(names)
}

/// Lists the functions whose return value a program can change (check_attach_modify_return(), `kernel/bpf/verifier.c`): the
/// LSM hooks, and the functions in which errors may be injected.
fn changeable_functions(places: &Places, pattern: &str) -> Result<Names> {
    let list = file::read_to_string("/sys/kernel/debug/error_injection/list").unwrap_or_default();
    // `__x64_sys_open [module]\tERRNO`
    let injectable: HashSet<_> =
        list.lines().filter_map(|line| line.split([' ', '\t']).next()).collect();
    let mut names = typed_functions(places, pattern)?;
    names.retain(|(name, _)| name.starts_with("security_") || injectable.contains(name.as_str()));
    Ok(names)
}

/// A hook `NAME` is a function `bpf_lsm_NAME`, and a member of the union of all hooks; other functions of the security module
/// begin in the same way.
fn hooks(places: &Places, pattern: &str) -> Result<Names> {
    const PREFIX: &str = "bpf_lsm_";
    let glob = Glob::new(pattern);
    let btf = places.types.vmlinux()?;
    let mut members = HashSet::new();
    for found in btf.named("security_list_options")? {
        if let Body::Composite { members: all, .. } = found.body {
            for member in all {
                members.insert(member?.name.to_owned());
            }
        }
    }
    let names = functions_with_types(places, |name| {
        let hook = name.strip_prefix(PREFIX);
        hook.is_some_and(|hook| members.contains(hook) && glob.matches(hook))
    })?;
    if names.is_empty() && members.is_empty() {
        return Err(Error::Unsupported {
            what: "hooks of security modules for programs",
            needs: "Linux 5.7 built with CONFIG_BPF_LSM",
        });
    }
    Ok(without(PREFIX, names))
}

/// An iterator `NAME` is a function `bpf_iter_NAME`, and what a program of it gets is a `struct bpf_iter__NAME`; other
/// functions begin in the same way.
fn iterators(places: &Places, pattern: &str) -> Result<Names> {
    const PREFIX: &str = "bpf_iter_";
    let glob = Glob::new(pattern);
    let mut contexts = HashSet::new();
    places.types.each(|_, btf| {
        for found in btf.types() {
            let found = found?;
            if found.kind == TypeKind::Struct
                && let Some(name) = found.name.strip_prefix("bpf_iter__")
            {
                contexts.insert(name.to_owned());
            }
        }
        Ok(())
    })?;
    let names = functions_with_types(places, |name| {
        let iterator = name.strip_prefix(PREFIX);
        iterator.is_some_and(|name| contexts.contains(name) && glob.matches(name))
    })?;
    Ok(without(PREFIX, names))
}

fn without(prefix: &str, mut names: Names) -> Names {
    for (name, _) in &mut names {
        name.drain(..prefix.len());
    }
    names
}

fn software(_: &Places, pattern: &str) -> Result<Names> {
    let known = perf_events(1, perf_names::SOFTWARE);
    Ok(matching(pattern, known))
}

fn hardware(_: &Places, pattern: &str) -> Result<Names> {
    let known = perf_events(0, perf_names::HARDWARE);
    if known.is_empty() {
        return Err(Error::Unsupported {
            what: "hardware events",
            needs: "the CPU of this machine counts none, or does not let them be counted, as many virtual machines do",
        });
    }
    Ok(matching(pattern, known))
}

fn matching(pattern: &str, known: Vec<&str>) -> Names {
    let glob = Glob::new(pattern);
    known.into_iter().filter(|name| glob.matches(name)).map(|name| (name.into(), None)).collect()
}

/// The events that can be opened here, in this thread, with a period that never comes.
fn perf_events(kind: u32, names: &[(&'static str, u64)]) -> Vec<&'static str> {
    let there = |config: u64| {
        let event =
            PerfEvent { kind, config, sample_period: 1 << 48, cpu: -1, ..PerfEvent::default() };
        match syscall::perf_event_open(&event) {
            Ok(_) => true,
            // Without permission to open it, it is listed.
            Err(errno) => matches!(errno, Errno(libc::EPERM | libc::EACCES)),
        }
    };
    names.iter().filter(|(_, number)| there(*number)).map(|(name, _)| *name).collect()
}
