//! Lists the available probes, by the names that scripts give them.

use super::events::EVENTS;
use crate::bt::probe::PROVIDERS;
use crate::btf::{Body, KernelTypes, Kind as BtfKind};
use crate::error::Error;
use crate::kernel::format;
use crate::list::{Place, Places};
use crate::user;
use crate::user::dwarf::DebugFiles;
use crate::util::escape;
use crate::util::glob::{Glob, is_pattern};
use std::collections::BTreeSet;

/// The probes of this machine.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    places: Places,
    debug_files: DebugFiles,
    kernel: KernelTypes,
    /// The process of `-p`, whose files are those of patterns and are listed too.
    pid: Option<u32>,
}

/// A kind of probes: its name in scripts, and how its places are listed.
struct Kind {
    name: &'static str,
    /// Its name in [`Places`], and how a pattern for names becomes one there.
    place: &'static str,
    /// Returns the name behind the kind.
    display: fn(Place) -> String,
    /// Whether it is listed if no kind is named.
    main: bool,
}

const KINDS: &[Kind] = &[
    Kind { name: "kprobe", place: "kprobe", display: function, main: true },
    Kind { name: "kretprobe", place: "kretprobe", display: function, main: false },
    Kind { name: "fentry", place: "fentry", display: in_module, main: true },
    Kind { name: "fexit", place: "fexit", display: in_module, main: false },
    Kind { name: "rawtracepoint", place: "raw_tracepoint", display: plain, main: true },
    Kind { name: "tracepoint", place: "tracepoint", display: with_colon, main: true },
    Kind { name: "uprobe", place: "uprobe", display: plain, main: false },
    Kind { name: "uretprobe", place: "uretprobe", display: plain, main: false },
    Kind { name: "usdt", place: "usdt", display: plain, main: false },
    Kind { name: "iter", place: "iter", display: plain, main: true },
];

fn plain(place: Place) -> String {
    place.name
}

fn with_colon(place: Place) -> String {
    place.name.replacen('/', ":", 1)
}

fn function(place: Place) -> String {
    match place.module {
        Some(module) => format!("{module}:{}", place.name),
        None => place.name,
    }
}

fn in_module(place: Place) -> String {
    format!("{}:{}", place.module.as_deref().unwrap_or("vmlinux"), place.name)
}

/// The types that can be listed: the word, and the kinds that it stands for.
const TYPES: [(&str, &[BtfKind]); 3] = [
    ("struct", &[BtfKind::Struct]),
    ("union", &[BtfKind::Union]),
    ("enum", &[BtfKind::Enum, BtfKind::Enum64]),
];

fn is_a(kind: BtfKind, word: &str) -> bool {
    TYPES.iter().any(|(one, kinds)| *one == word && kinds.contains(&kind))
}

/// The names of timers, whose count is behind them.
const TIMERS: [&str; 4] = ["hz", "ms", "s", "us"];

impl Probes {
    /// Returns the probes, those in the files of a process among them; nothing is read yet.
    pub(crate) fn new(pid: Option<u32>) -> Probes {
        Probes { pid, ..Probes::default() }
    }

    /// Returns those that a pattern matches: `KIND:NAME`, both with wildcards; or types of the kernel, `struct NAME`. Several
    /// patterns have commas between them.
    ///
    /// # Errors
    /// The reason why nothing can be listed.
    pub(crate) fn find(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for one in pattern.split(',').map(str::trim) {
            found.extend(match self.types(one) {
                Some(types) => types?,
                None => self.probes(one)?,
            });
        }
        Ok(found)
    }

    /// Returns the types that `struct NAME` and the like match, in the order of their names; `None` if the pattern is no such.
    fn types(&self, pattern: &str) -> Option<Result<Vec<String>, String>> {
        let (word, name) = pattern.split_once(' ')?;
        let word = TYPES.iter().find(|(one, _)| *one == word)?.0;
        let glob = Glob::new(name.trim());
        let mut found = BTreeSet::new();
        let done = self.kernel.each(|_, btf| {
            for of in btf.types() {
                let of = of?;
                if is_a(of.kind, word) && !of.name.is_empty() && glob.matches(of.name) {
                    found.insert(format!("{word} {}", of.name));
                }
            }
            Ok(())
        });
        Some(match done {
            Ok(()) => Ok(found.into_iter().collect()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Returns the definitions of a type that [`find`](Probes::find) has found, with the module that has each.
    pub(crate) fn definitions(&self, name: &str) -> Vec<String> {
        let mut definitions = Vec::new();
        let Some((word, name)) = name.split_once(' ') else { return definitions };
        // What cannot be read is left out, as in the list.
        let _ = self.kernel.each(|module, btf| {
            for of in btf.named(name)?.into_iter().filter(|of| is_a(of.kind, word)) {
                let module = module.unwrap_or("vmlinux");
                definitions.push(format!("{module}: {};", btf.definition(of.id)?));
            }
            Ok(())
        });
        definitions
    }

    fn probes(&self, pattern: &str) -> Result<Vec<String>, String> {
        let (word, rest) = pattern.split_once(':').unwrap_or((pattern, "*"));
        let provider = PROVIDERS.iter().find(|provider| provider.names.contains(&word));
        let provider = provider.and_then(|provider| provider.names.first().copied());
        if let Some(strange) = pattern.chars().find(|char| matches!(char, '\\' | '\'' | '"' | '`'))
        {
            return Err(format!("invalid character {strange} in the pattern: no probe has it"));
        }
        let Some(name) = provider else { return Ok(self.anywhere(pattern)) };
        if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
            return self.of_kind(kind, rest).map_err(|error| error.to_string());
        }
        let full = format!("{name}:{rest}");
        let glob = Glob::new(&full);
        let short = Glob::new(&format!("{full}:"));
        let fits = |one: &String| glob.matches(one) || short.matches(one);
        Ok(without_places().filter(fits).collect())
    }

    /// Returns the probes of all kinds. A kind that cannot be listed here has none.
    fn anywhere(&self, pattern: &str) -> Vec<String> {
        let glob = Glob::new(pattern);
        let mut found: Vec<_> = without_places()
            .filter(|name| name.starts_with("software") || name.starts_with("hardware"))
            .collect();
        for kind in KINDS.iter().filter(|kind| kind.main) {
            found.extend(self.of_kind(kind, "*").unwrap_or_default());
        }
        found.retain(|name| glob.matches(name));
        // Files are looked through if one is named, or a process.
        let (kinds, rest) = pattern.split_once(':').unwrap_or((pattern, "*"));
        let kinds = Glob::new(kinds);
        if rest.contains('/') || self.pid.is_some() {
            let in_files = |kind: &&Kind| matches!(kind.name, "uprobe" | "usdt");
            for kind in KINDS.iter().filter(in_files).filter(|kind| kinds.matches(kind.name)) {
                found.extend(self.of_kind(kind, rest).unwrap_or_default());
            }
        }
        found
    }

    fn of_kind(&self, kind: &Kind, rest: &str) -> Result<Vec<String>, Error> {
        let mut rest = rest.to_owned();
        let mut module = None;
        match kind.name {
            "kprobe" | "kretprobe" | "fentry" | "fexit" => {
                if let Some((of, function)) = rest.split_once(':') {
                    module = Some(Glob::new(of));
                    rest = function.to_owned();
                }
            }
            "uprobe" | "uretprobe" | "usdt" => {
                // The file is shown by its path.
                let (file, name) = rest.split_once(':').unwrap_or((&rest, "*"));
                let files = user::find_files(file, self.pid)?;
                let several = is_pattern(file);
                let mut found = Vec::new();
                for path in files {
                    match self.places.find(&format!(
                        "{}:{}:{name}",
                        kind.place,
                        escape::path_text(&path)
                    )) {
                        Ok(one) => found.extend(one.places),
                        // Of several files some may be no programs.
                        Err(_) if several => {}
                        Err(error) => return Err(error),
                    }
                }
                let names = found.into_iter();
                return Ok(names.map(|place| format!("{}:{}", kind.name, place.name)).collect());
            }
            "rawtracepoint" => {
                if let Some((of, name)) = rest.split_once(':') {
                    module = Some(Glob::new(of));
                    rest = name.to_owned();
                }
            }
            _ => {}
        }
        let found = self.places.find(&format!("{}:{rest}", kind.place))?;
        let fits = |place: &Place| {
            let of = place.module.as_deref().unwrap_or("vmlinux");
            module.as_ref().is_none_or(|module| module.matches(of))
        };
        let names = found.places.into_iter().filter(fits);
        Ok(names.map(|place| format!("{}:{}", kind.name, (kind.display)(place))).collect())
    }

    /// Returns the declarations of what a probe has as `args`; nothing if it has none or they are not known.
    pub(crate) fn arguments(&self, probe: &str) -> Vec<String> {
        let mut parts = probe.splitn(3, ':');
        let (kind, first, rest) = (parts.next(), parts.next(), parts.next());
        match (kind, first, rest) {
            (Some("tracepoint"), Some(category), Some(name)) => {
                let fields = format::fields(category, name).unwrap_or_default().into_iter();
                let fields = fields.filter(|field| !field.name.starts_with("common_"));
                fields.map(|field| declaration(&field.of, &field.name)).collect()
            }
            (Some("rawtracepoint"), Some(name), None) | (Some("rawtracepoint"), _, Some(name)) => {
                self.declared("raw_tracepoint", name)
            }
            (Some(kind @ ("fentry" | "fexit")), Some(name), None)
            | (Some(kind @ ("fentry" | "fexit")), Some(_), Some(name)) => {
                self.declared(if kind == "fentry" { "fentry" } else { "fexit" }, name)
            }
            (Some("iter"), Some(target), None) => self.context(target).unwrap_or_default(),
            (Some("uprobe"), Some(path), Some(function)) => {
                self.parameters(path, function).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The parameters of a function of a program or library; none without debug information.
    fn parameters(&self, path: &str, function: &str) -> Option<Vec<String>> {
        let opened = self.debug_files.open(&escape::path(path));
        let Ok(Some(info)) = &*opened else { return None };
        let parameters = info.parameters(function).ok()??;
        parameters.iter().map(|parameter| info.declaration(parameter).ok()).collect()
    }

    /// The fields of the context of an iterator.
    fn context(&self, target: &str) -> Option<Vec<String>> {
        let name = format!("bpf_iter__{target}");
        let (id, place) = self.kernel.type_id(&name, BtfKind::Struct).ok()?;
        let Body::Composite { members, .. } = place.btf.get(id).ok()?.body else { return None };
        let mut fields = Vec::new();
        for member in members {
            let member = member.ok()?;
            // `meta` and the object are pointers, each in a union that makes it eight bytes.
            let of = match place.btf.get(member.of).ok()?.body {
                Body::Composite { mut members, .. } if member.name.is_empty() => {
                    members.next()?.ok()?
                }
                _ => member,
            };
            fields.push(place.btf.declaration(of.of, of.name).ok()?);
        }
        Some(fields)
    }

    /// The place is not looked for: that takes as long as listing all places does.
    fn declared(&self, kind: &'static str, name: &str) -> Vec<String> {
        let place = Place { kind, name: name.to_owned(), module: None };
        let arguments = self.places.arguments(&place).ok().flatten().unwrap_or_default();
        arguments.into_iter().map(|argument| argument.declaration).collect()
    }
}

/// `char comm[16]` of `char[16]`; as tracers write them, with a space before the name.
fn declaration(of: &str, name: &str) -> String {
    match of.split_once('[') {
        Some((of, length)) if !of.starts_with("__") => format!("{of} {name}[{length}"),
        _ => format!("{of} {name}"),
    }
}

/// The probes that need no looking up.
fn without_places() -> impl Iterator<Item = String> {
    let events = EVENTS.iter().map(|event| {
        let kind = if event.hardware { "hardware" } else { "software" };
        format!("{kind}:{}:", event.name)
    });
    let timers = ["interval", "profile"].into_iter();
    let timers = timers.flat_map(|kind| TIMERS.iter().map(move |unit| format!("{kind}:{unit}:")));
    events.chain(timers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_timers_are_listed_as_bpftrace_does() {
        // From bpftrace 0.27.1.
        let probes = Probes::new(None);
        let interval = probes.find("interval:*").unwrap();
        assert_eq!(interval, ["interval:hz:", "interval:ms:", "interval:s:", "interval:us:"]);
        let software = probes.find("software:c*").unwrap();
        let expected = [
            "software:context-switches:",
            "software:cpu-clock:",
            "software:cpu-migrations:",
            "software:cpu:",
            "software:cs:",
        ];
        assert_eq!(software, expected);
        assert_eq!(probes.find("s:dummy").unwrap(), ["software:dummy:"]);
    }

    #[test]
    fn declarations_are_those_of_bpftrace() {
        assert_eq!(declaration("const char *", "filename"), "const char * filename");
        assert_eq!(declaration("char[16]", "comm"), "char comm[16]");
        assert_eq!(declaration("__data_loc char[]", "name"), "__data_loc char[] name");
    }

    #[test]
    fn probes_of_programs_are_listed_by_file_and_by_process() {
        let us = std::env::current_exe().unwrap();
        let folder = us.parent().unwrap().display().to_string();
        let name = us.file_name().unwrap().to_str().unwrap();
        let path = us.display();
        let function = "main";
        let expected = format!("uprobe:{path}:{function}");
        let (start, _) = name.split_at(name.len() - 1);
        let all = Probes::new(None);
        for pattern in [format!("uprobe:{folder}/{start}?:main"), format!("*:{path}:main")] {
            assert!(all.find(&pattern).unwrap().contains(&expected), "{pattern}");
        }
        let mine = Probes::new(Some(std::process::id()));
        for pattern in ["uprobe:*", "*", &format!("uprobe:{start}*:ma?n")] {
            assert!(mine.find(pattern).unwrap().contains(&expected), "{pattern}");
        }
        assert!(all.find("uprobe:*").is_err());
    }

    #[test]
    fn characters_that_no_probe_has_are_refused() {
        let error = Probes::new(None).find("\\n").unwrap_err();
        assert!(error.starts_with("invalid character"), "{error}");
    }
}
