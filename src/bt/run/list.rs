//! What probes there are, by the names that scripts give them.

use super::events::EVENTS;
use crate::bt::probe::PROVIDERS;
use crate::error::Error;
use crate::kernel::format;
use crate::list::{Place, Places};
use crate::user;
use crate::util::glob::Glob;

/// The probes of this machine.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    places: Places,
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

/// The names of timers, whose count is behind them.
const TIMERS: [&str; 4] = ["hz", "ms", "s", "us"];

impl Probes {
    /// Returns the probes; nothing is read yet.
    pub(crate) fn new() -> Probes {
        Probes::default()
    }

    /// Returns those that a pattern matches: `KIND:NAME`, both with wildcards.
    ///
    /// # Errors
    /// Why nothing can be looked for.
    pub(crate) fn find(&self, pattern: &str) -> Result<Vec<String>, String> {
        let (word, rest) = pattern.split_once(':').unwrap_or((pattern, "*"));
        let provider = PROVIDERS.iter().find(|provider| provider.names.contains(&word));
        let provider = provider.and_then(|provider| provider.names.first().copied());
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

    /// Those of all kinds. A kind that cannot be listed here has none.
    fn anywhere(&self, pattern: &str) -> Vec<String> {
        let glob = Glob::new(pattern);
        let mut found: Vec<_> = without_places()
            .filter(|name| name.starts_with("software") || name.starts_with("hardware"))
            .collect();
        for kind in KINDS.iter().filter(|kind| kind.main) {
            found.extend(self.of_kind(kind, "*").unwrap_or_default());
        }
        found.retain(|name| glob.matches(name));
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
                let path = user::find_file(file, None)?;
                rest = format!("{}:{name}", path.display());
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
            (Some("rawtracepoint"), Some(name), None) => self.declared("raw_tracepoint", name),
            (Some(kind @ ("fentry" | "fexit")), Some(_), Some(name)) => self.declared(kind, name),
            _ => Vec::new(),
        }
    }

    fn declared(&self, kind: &str, name: &str) -> Vec<String> {
        let found = self.places.find(&format!("{kind}:{name}")).unwrap_or_default();
        let Some(place) = found.places.first() else { return Vec::new() };
        let arguments = self.places.arguments(place).ok().flatten().unwrap_or_default();
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
        let probes = Probes::new();
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
}
