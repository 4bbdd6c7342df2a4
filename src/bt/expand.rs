//! The machine that a script runs on, as the compiler sees it: which attach points there are, and the rest of
//! [`Environment`].

use super::environment::{Environment, Missing};
use super::probe::AttachPoint;
use crate::btf::KernelTypes;
use crate::error::Error;
use crate::kernel::format::{self, Field};
use crate::kernel::{functions, perf_names, registers, symbols};
use crate::list::Places;
use crate::user;
use crate::user::UsdtProbe;
use crate::user::dwarf::{DebugFiles, Opened};
use crate::util::escape;
use crate::util::glob::{Glob, is_pattern};
use crate::util::nearest::{Nearest, OFFERED};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// The running machine. Data about it is read lazily.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// The kernel's types.
    pub types: KernelTypes,
    /// The available attach points.
    pub places: Places,
    /// The programs and libraries whose debug information is needed.
    pub debug_files: DebugFiles,
    /// The positional parameters.
    pub parameters: Vec<String>,
    /// The options of the script, with their values.
    pub options: Vec<(String, Option<String>)>,
    /// Whether functions that need `--unsafe` are allowed.
    pub allow_unsafe: bool,
    /// Whether there is a command of `-c`.
    pub command: bool,
    /// The process of `-p`, in whose view libraries are looked for.
    pub pid: Option<u32>,
    /// The USDT probes of the files that were asked for.
    pub usdt: RefCell<HashMap<PathBuf, UsdtProbes>>,
}

type UsdtProbes = Rc<[Arc<UsdtProbe>]>;

type Expanded = Result<Vec<AttachPoint>, Missing>;

fn missing(error: Error) -> Missing {
    match error {
        Error::NotFound { nearest, .. } => Missing { problem: String::new(), nearest },
        error => Missing { problem: error.to_string(), nearest: Vec::new() },
    }
}

fn nothing() -> Missing {
    Missing { problem: "nothing matches".into(), nearest: Vec::new() }
}

impl Machine {
    /// The names of a kind that match, as [`Places`] has them.
    fn find(&self, kind: &str, pattern: &str) -> Result<Vec<String>, Missing> {
        let found = self.places.find(&format!("{kind}:{pattern}")).map_err(missing)?;
        Ok(found.places.into_iter().map(|place| place.name).collect())
    }

    fn tracepoints(&self, category: &str, name: &str) -> Expanded {
        if !is_pattern(category) && !is_pattern(name) {
            return match format::fields(category, name) {
                Ok(_) => Ok(vec![AttachPoint::Tracepoint {
                    category: category.into(),
                    name: name.into(),
                }]),
                Err(error) => {
                    let mut missing = missing(error);
                    // As scripts write them.
                    missing.nearest.iter_mut().for_each(|name| *name = name.replace('/', ":"));
                    Err(missing)
                }
            };
        }
        let names = self.find("tracepoint", &format!("{category}/{name}"))?;
        let points = names.iter().filter_map(|found| {
            let (category, name) = found.split_once('/')?;
            Some(AttachPoint::Tracepoint { category: category.into(), name: name.into() })
        });
        Ok(points.collect())
    }

    fn raw_tracepoints(&self, module: Option<&String>, name: &str) -> Expanded {
        if !is_pattern(name) {
            // Attaching finds out whether it exists; to find it in a list, all types of the kernel would have to be
            // read.
            let point = AttachPoint::RawTracepoint { module: module.cloned(), name: name.into() };
            return Ok(vec![point]);
        }
        let names = self.find("raw_tracepoint", name)?;
        let point = |name| AttachPoint::RawTracepoint { module: module.cloned(), name };
        Ok(names.into_iter().map(point).collect())
    }

    /// Functions that can perhaps be probed. A name that several modules have comes once.
    fn kprobes(&self, ret: bool, module: Option<&str>, function: &str) -> Expanded {
        let (name, within) = (Glob::new(function), module.map(Glob::new));
        let mut found = Vec::new();
        functions::each(|function, module| {
            let module_fits =
                within.as_ref().is_none_or(|glob| glob.matches(module.unwrap_or("vmlinux")));
            if module_fits && name.matches(function) {
                found.push((function.to_owned(), module.map(str::to_owned)));
            }
            ControlFlow::Continue(())
        })
        .map_err(missing)?;
        found.sort();
        found.dedup_by(|one, two| one.0 == two.0);
        let point = |(function, in_module): (String, Option<String>)| {
            let module = module.and(in_module);
            AttachPoint::Kprobe { ret, module, function, offset: 0 }
        };
        Ok(found.into_iter().map(point).collect())
    }

    fn fentries(&self, exit: bool, module: Option<&str>, function: &str) -> Expanded {
        let found = self.places.find(&format!("fentry:{function}")).map_err(missing)?;
        let within = module.map(Glob::new);
        let fits = |module: &Option<String>| {
            let module = module.as_deref().unwrap_or("vmlinux");
            within.as_ref().is_none_or(|glob| glob.matches(module))
        };
        let places = found.places.into_iter().filter(|place| fits(&place.module));
        let point = |place: crate::list::Place| {
            let module = module.and(place.module);
            AttachPoint::Fentry { exit, module, function: place.name }
        };
        Ok(places.map(point).collect())
    }

    /// The files that a path means: one, or those that a pattern matches.
    fn files(&self, path: &str) -> Result<Vec<PathBuf>, Missing> {
        if path.is_empty() {
            let Some(pid) = self.pid else {
                let problem = "without a file it is one of a process, which -p names".into();
                return Err(Missing { problem, nearest: Vec::new() });
            };
            return Ok(vec![PathBuf::from(format!("/proc/{pid}/exe"))]);
        }
        user::find_files(path, self.pid).map_err(missing)
    }

    fn uprobes(&self, point: &AttachPoint) -> Expanded {
        let AttachPoint::Uprobe { ret, path, function, offset, demangled } = point else {
            return Ok(Vec::new());
        };
        let mut points = Vec::new();
        let files = self.files(path)?;
        let several = files.len() > 1 || is_pattern(path);
        let mut unread = None;
        for file in files {
            let path = escape::path_text(&file).into_owned();
            let with = |function: String| AttachPoint::Uprobe {
                ret: *ret,
                path: path.clone(),
                function,
                offset: *offset,
                demangled: *demangled,
            };
            if !is_pattern(function) || *demangled {
                points.push(with(function.clone()));
                continue;
            }
            let glob = Glob::new(function);
            match user::functions(&file) {
                // A name of Go looks like a pattern.
                Ok(found) if found.iter().any(|one| one.name == *function) => {
                    points.push(with(function.clone()));
                }
                Ok(found) => {
                    let mut names: Vec<_> = found
                        .into_iter()
                        .map(|one| one.name)
                        .filter(|name| glob.matches(name))
                        .collect();
                    names.sort();
                    names.dedup();
                    if names.is_empty() {
                        unread = user::unread(&file, function);
                    }
                    points.extend(names.into_iter().map(with));
                }
                // Of several files some may be no programs.
                Err(_) if several => {}
                Err(error) => return Err(missing(error)),
            }
        }
        match (points.is_empty(), unread) {
            (true, Some(why)) => {
                Err(Missing { problem: format!("nothing matches: {why}"), ..nothing() })
            }
            (true, None) => Err(nothing()),
            (false, _) => Ok(points),
        }
    }

    /// The USDT probes of a file, which is read once.
    fn usdt_probes(&self, file: &Path) -> Result<UsdtProbes, Error> {
        if let Some(known) = self.usdt.borrow().get(file) {
            return Ok(Rc::clone(known));
        }
        let probes: Rc<[_]> = user::usdt_probes(file)?.into_iter().map(Arc::new).collect();
        self.usdt.borrow_mut().insert(file.into(), Rc::clone(&probes));
        Ok(probes)
    }

    fn static_probes(&self, path: &str, provider: Option<&str>, name: &str) -> Expanded {
        let mut points = Vec::new();
        let mut nearest = Nearest::new(name, OFFERED);
        let (names, providers) = (Glob::new(name), provider.map(Glob::new));
        let several = is_pattern(path);
        for file in self.files(path)? {
            let probes = match self.usdt_probes(&file) {
                Ok(probes) => probes,
                Err(_) if several => continue,
                Err(error) => return Err(missing(error)),
            };
            for probe in probes.iter() {
                nearest.offer(&probe.name);
                let provided = providers.as_ref().is_none_or(|glob| glob.matches(&probe.provider));
                if provided && names.matches(&probe.name) {
                    points.push(AttachPoint::Usdt {
                        path: escape::path_text(&file).into_owned(),
                        provider: Some(probe.provider.clone()),
                        name: probe.name.clone(),
                    });
                }
            }
        }
        match points.is_empty() {
            true => Err(Missing { nearest: nearest.into_names(), ..nothing() }),
            false => Ok(points),
        }
    }
}

/// The events that a name means.
fn events(hardware: bool, event: &str, count: Option<u64>) -> Expanded {
    let table = if hardware { perf_names::HARDWARE } else { perf_names::SOFTWARE };
    // bpftrace's own words.
    const ALSO: [(&str, &str); 3] = [
        ("cpu", "cpu-clock"),
        ("frontend-stalls", "stalled-cycles-frontend"),
        ("backend-stalls", "stalled-cycles-backend"),
    ];
    const SILENT: [&str; 2] = ["dummy", "bpf-output"];
    let known = table.iter().map(|(name, _)| *name).chain(ALSO.iter().map(|(name, _)| *name));
    let names: Vec<_> = known.chain(SILENT.into_iter().filter(|_| !hardware)).collect();
    let glob = Glob::new(event);
    let found: Vec<_> = names.iter().filter(|name| glob.matches(name)).collect();
    if found.is_empty() {
        let mut nearest = Nearest::new(event, OFFERED);
        names.iter().for_each(|name| nearest.offer(name));
        return Err(Missing { problem: "unknown event".into(), nearest: nearest.into_names() });
    }
    let point = |name: &&&str| AttachPoint::Event { hardware, event: (**name).into(), count };
    Ok(found.iter().map(point).collect())
}

/// The registers of `struct pt_regs` on x86, eight bytes each, in their order.
const X86: [&str; 21] = [
    "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di",
    "orig_ax", "ip", "cs", "flags", "sp", "ss",
];

/// The registers of AArch64.
const ARM: [&str; 34] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27",
    "r28", "r29", "r30", "sp", "pc", "pstate",
];

/// The registers of s390x, after 24 bytes.
const S390: [&str; 16] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// The names of registers here, and where the first one is.
fn register_names() -> (&'static [&'static str], u16) {
    if cfg!(target_arch = "x86_64") {
        (&X86, 0)
    } else if cfg!(target_arch = "aarch64") {
        (&ARM, 0)
    } else if cfg!(target_arch = "s390x") {
        (&S390, 24)
    } else {
        (&[], 0)
    }
}

impl Environment for Machine {
    fn types(&self) -> Result<&KernelTypes, String> {
        self.types.vmlinux().map(|_| &self.types).map_err(|error| error.to_string())
    }

    fn tracepoint(&self, category: &str, name: &str) -> Result<Vec<Field>, String> {
        format::fields(category, name).map_err(|error| error.to_string())
    }

    fn expand(&self, point: &AttachPoint) -> Expanded {
        match point {
            AttachPoint::Tracepoint { category, name } => self.tracepoints(category, name),
            AttachPoint::RawTracepoint { module, name } => {
                self.raw_tracepoints(module.as_ref(), name)
            }
            AttachPoint::Kprobe { ret, module, function, offset: 0 }
                if is_pattern(function) || module.as_deref().is_some_and(is_pattern) =>
            {
                self.kprobes(*ret, module.as_deref(), function)
            }
            AttachPoint::Fentry { exit, module, function }
                if is_pattern(function) || module.as_deref().is_some_and(is_pattern) =>
            {
                self.fentries(*exit, module.as_deref(), function)
            }
            AttachPoint::Uprobe { .. } => self.uprobes(point),
            AttachPoint::Usdt { path, provider, name } => {
                self.static_probes(path, provider.as_deref(), name)
            }
            AttachPoint::Event { hardware, event, count } => events(*hardware, event, *count),
            other => Ok(vec![other.clone()]),
        }
    }

    fn kernel_address(&self, symbol: &str) -> Option<u64> {
        symbols::address_of(symbol).ok().flatten()
    }

    fn user_symbol(&self, path: &str, symbol: &str) -> Option<(u64, u64)> {
        user::symbol(&escape::path(path), symbol).ok().flatten()
    }

    fn usdt(&self, path: &str, provider: &str, name: &str) -> Result<Arc<UsdtProbe>, String> {
        let all = self.usdt_probes(&escape::path(path)).map_err(|error| error.to_string())?;
        let found = all.iter().find(|probe| probe.provider == provider && probe.name == name);
        found.cloned().ok_or_else(|| format!("{path} has no USDT probe {provider}:{name}"))
    }

    fn debug_info(&self, path: &str) -> Opened {
        self.debug_files.open(&escape::path(path))
    }

    fn cgroup_id(&self, path: &str) -> Result<u64, String> {
        // The inode number of the directory is the cgroup id.
        std::fs::metadata(escape::path(path))
            .map(|found| found.ino())
            .map_err(|error| format!("{path}: {error}"))
    }

    fn register(&self, name: &str) -> Option<u16> {
        let (names, first) = register_names();
        // On all machines, as in bpftrace from 0.27 on.
        let name = if name == "pc" { "ip" } else { name };
        let at = names.iter().position(|one| *one == name);
        let named = at.and_then(|at| u16::try_from(at).ok()).map(|at| first + at * 8);
        named.or_else(|| registers::offset(name))
    }

    fn registers(&self) -> Vec<&'static str> {
        register_names().0.to_vec()
    }

    fn option(&self, name: &str) -> Option<Option<&str>> {
        let found = self.options.iter().rev().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_deref())
    }

    fn parameters(&self) -> &[String] {
        &self.parameters
    }

    fn allows_unsafe(&self) -> bool {
        self.allow_unsafe
    }

    fn has_command(&self) -> bool {
        self.command
    }

    fn process(&self) -> Option<u32> {
        self.pid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};

    #[test]
    fn events_have_the_names_of_bpftrace() {
        let names = |hardware, pattern: &str| {
            let found = events(hardware, pattern, None);
            found.map(|points| points.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names(false, "cpu"), Ok(vec!["software:cpu:".into()]));
        assert_eq!(names(true, "cache-m*"), Ok(vec!["hardware:cache-misses:".into()]));
        let Err(missing) = names(false, "fault") else { panic!() };
        assert_eq!(missing.nearest.first().map(String::as_str), Some("faults"));
        assert!(names(true, "dummy").is_err());
    }

    #[test]
    fn registers_are_where_the_kernel_keeps_them() {
        let machine = Machine::default();
        // One table checks the other: they come from different headers.
        for (name, other) in [("sp", "sp"), ("ip", "ip")] {
            if let (Some(here), true) = (machine.register(name), cfg!(target_arch = "x86_64")) {
                assert_eq!(Some(here), registers::offset(other), "{name}");
            }
        }
        assert_eq!(machine.register("pc"), registers::offset("ip"));
        assert_eq!(machine.register("xyz"), None);
    }

    #[test]
    fn programs_are_found_by_paths_that_are_not_utf8() {
        let (_folder, path) = user::fake::program_in_odd_folder();
        let machine = Machine::default();
        assert_eq!(machine.user_symbol(&path, "work"), Some((0x40_1000, 16)));
        assert_eq!(machine.usdt(&path, "app", "start").unwrap().name, "start");
        // It has none, but it is there.
        assert!(matches!(*machine.debug_info(&path), Ok(None)));
        // All steps from a pattern to the probe.
        let pattern = AttachPoint::Usdt { path, provider: None, name: "st*".into() };
        let found = machine.expand(&pattern).unwrap();
        let [AttachPoint::Usdt { path, provider: Some(provider), name }] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(machine.usdt(path, provider, name).is_ok());
    }

    #[test]
    fn tracepoints_are_found() {
        needs!(Tracefs);
        let machine = Machine::default();
        let point =
            |name: &str| AttachPoint::Tracepoint { category: "sched".into(), name: name.into() };
        let found = machine.expand(&point("sched_process_*")).unwrap();
        assert!(found.len() > 2 && found.contains(&point("sched_process_fork")), "{found:?}");
        let missing = machine.expand(&point("sched_process_frok")).unwrap_err();
        assert!(
            missing.nearest.iter().any(|name| name == "sched:sched_process_fork"),
            "{missing:?}"
        );
    }
}
