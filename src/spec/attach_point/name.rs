//! Parsing of attach point names: `kprobe/sys_clone`, `uprobe.s:c:strlen`, `cgroup/connect4`,
//! `cgroup:PATH:connect4`, `cgroup_sock_addr/cgroup_inet4_connect`.

use super::{
    ATTACH_POINTS, Attach, AttachPoint, AttachPointError, Rest, Suffix, attach_types,
    default_attach_type,
};
use crate::uapi::{AttachType, ProgramFlags, ProgramType};
use crate::util::nearest::{Nearest, OFFERED};

type Result<T> = std::result::Result<T, AttachPointError>;

/// A parsed name of an attach point.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Named<'t> {
    /// Its row; `None` for the name of a program type alone, which determines no row, such as `tracing/do_unlinkat`.
    pub point: Option<&'static AttachPoint>,
    /// The program type.
    pub program_type: ProgramType,
    /// `expected_attach_type`.
    pub attach_type: Option<AttachType>,
    /// The suffix of the first word.
    pub suffix: Option<Suffix>,
    /// The rest after the name: a function, `FILE:FUNCTION`, a device.
    pub rest: &'t str,
    /// The middle part of a name whose first word several attach points share: the path in `cgroup:PATH:connect4`.
    pub place: &'t str,
    /// The name of the section, without the rest.
    section: &'static str,
}

impl<'t> Named<'t> {
    /// Parses a name in a target, a text or an object.
    ///
    /// # Errors
    /// [`AttachPointError::Unknown`] with the nearest names if there is no such point, [`AttachPointError::AttachType`] if the
    /// point has no such attach type.
    pub fn read(text: &'t str) -> Result<Named<'t>> {
        let (word, rest) = text.split_once(['/', ':']).unwrap_or((text, ""));
        let (plain, suffix) = cut(word);
        // Whole names with a slash in them come first: `cgroup/dev` is not a program type of control groups.
        let slash = text.as_bytes().get(word.len()) == Some(&b'/');
        let whole = ATTACH_POINTS.iter().filter(|_| slash).find_map(|row| {
            let is = |name: &&&str| name.split_once('/') == Some((plain, rest));
            let name = std::iter::once(&row.name).chain(row.also).find(is)?;
            Some(Named::of(row, name, ""))
        });
        let named = match whole {
            Some(named) => named,
            None => match shared(plain, rest, text)? {
                Some(named) => named,
                None => single(plain, rest, text)?,
            },
        };
        match (suffix, named.point) {
            (None, _) | (_, None) => Ok(Named { suffix, ..named }),
            (Some(one), Some(row)) if row.suffix == Some(one) => Ok(Named { suffix, ..named }),
            _ => Err(unknown(text)),
        }
    }

    fn of(row: &'static AttachPoint, name: &'static str, rest: &'t str) -> Named<'t> {
        Named {
            point: Some(row),
            program_type: row.program_type,
            attach_type: row.attach_type,
            suffix: None,
            rest,
            place: "",
            section: if name == row.name { row.section } else { name },
        }
    }

    /// Returns the flags of `BPF_PROG_LOAD` that the name asks for.
    pub fn flags(&self) -> ProgramFlags {
        self.suffix.map_or(ProgramFlags::empty(), Suffix::flag)
    }

    /// Returns libbpf's name of the section of such a program. The attach target is left out if libbpf does not
    /// accept it there: `xdp` for `xdp/eth0`.
    pub fn section(&self) -> String {
        let (first, second) = self.section.split_once('/').unwrap_or((self.section, ""));
        let suffix = self.suffix.map_or("", Suffix::text);
        let in_section = self.point.is_none_or(|row| row.rest.is_in_section());
        let rest = if in_section { self.rest } else { "" };
        let mut section = format!("{first}{suffix}");
        for part in [second, rest].into_iter().filter(|part| !part.is_empty()) {
            section.push('/');
            section.push_str(part);
        }
        section
    }
}

/// Splits a word into the word without its suffix, and the suffix.
fn cut(word: &str) -> (&str, Option<Suffix>) {
    let cut = |suffix: Suffix| Some((word.strip_suffix(suffix.text())?, Some(suffix)));
    Suffix::ALL.into_iter().find_map(cut).unwrap_or((word, None))
}

/// Parses `cgroup:PATH:connect4`, `netns:PATH:sk_lookup`, `tcx:DEVICE/ingress`: the last word decides which attach
/// point it is.
fn shared<'t>(word: &str, rest: &'t str, text: &str) -> Result<Option<Named<'t>>> {
    let rows = || ATTACH_POINTS.iter().filter(|row| row.among == Some(word));
    let Some(first) = rows().next() else { return Ok(None) };
    // A path has slashes in it, the name of a device has none.
    let separators: &[char] = match first.attach {
        Attach::Cgroup | Attach::Netns => &[':'],
        _ => &[':', '/'],
    };
    let (place, last) = match rest.rfind(separators) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => ("", rest),
    };
    if let Some(row) = rows().find(|row| row.last_words().any(|one| one == last)) {
        return Ok(Some(Named { place, ..Named::of(row, row.name, "") }));
    }
    let mut nearest = Nearest::new(last, OFFERED);
    rows().flat_map(AttachPoint::last_words).for_each(|one| nearest.offer(one));
    let mut nearest = nearest.into_names();
    if nearest.is_empty() {
        nearest.extend(rows().filter_map(|row| row.last_words().next()).map(str::to_owned));
    }
    Err(AttachPointError::AttachType { text: text.into(), name: last.into(), nearest })
}

/// Parses `kprobe/sys_clone`, `xdp/xdp_devmap`, `cgroup_sock_addr/cgroup_inet4_connect`.
fn single<'t>(word: &str, rest: &'t str, text: &str) -> Result<Named<'t>> {
    let row = ATTACH_POINTS.iter().find_map(|row| {
        let name = std::iter::once(&row.name).chain(row.also).find(|name| **name == word)?;
        Some(Named::of(row, name, rest))
    });
    let named = match (row, ProgramType::from_name(word)) {
        (Some(named), _) => named,
        (None, Some(kind)) => of_type(kind, rest),
        (None, None) => return Err(unknown(text)),
    };
    if rest.is_empty() {
        return Ok(named);
    }
    match named.point.map(|row| row.rest) {
        Some(rest) if rest.is_in_section() => return Ok(named),
        None if named.program_type == ProgramType::Tracing
            && AttachType::from_name(rest).is_none() =>
        {
            return Ok(named);
        }
        _ => {}
    }
    let kind = named.program_type;
    if let Some(attach_type) = AttachType::from_name(rest) {
        let row = |row: &&AttachPoint| row.attach_type == Some(attach_type);
        match ATTACH_POINTS.iter().find(|one| row(one) && one.program_type == kind) {
            Some(row) => return Ok(Named::of(row, row.name, "")),
            // Attach types of links, with which no program is loaded: `perf_event/perf_event`.
            None if !ATTACH_POINTS.iter().any(|one| row(&one)) => {
                return Ok(Named { attach_type: Some(attach_type), rest: "", ..named });
            }
            None => {}
        }
    } else if named.point.is_some_and(|row| row.rest != Rest::Nothing) {
        return Ok(named);
    }
    let known = attach_types(kind);
    let mut nearest = Nearest::new(rest, OFFERED);
    known.iter().for_each(|one| nearest.offer(one.name()));
    let nearest = match nearest.into_names() {
        none if none.is_empty() => known.iter().map(|one| one.name().to_owned()).collect(),
        names => names,
    };
    Err(AttachPointError::AttachType { text: text.into(), name: rest.into(), nearest })
}

/// Returns the name for a program type, with the type's default attach type.
fn of_type(kind: ProgramType, rest: &str) -> Named<'_> {
    let attach_type = default_attach_type(kind);
    let is = |row: &&AttachPoint| (row.program_type, row.attach_type) == (kind, attach_type);
    match ATTACH_POINTS.iter().find(is) {
        Some(row) => Named::of(row, row.name, rest),
        None => Named {
            point: None,
            program_type: kind,
            attach_type,
            suffix: None,
            rest,
            place: "",
            section: kind.name(),
        },
    }
}

/// Returns the error for an unknown name.
fn unknown(text: &str) -> AttachPointError {
    let (word, _) = text.split_once(['/', ':']).unwrap_or((text, ""));
    let mut nearest = Nearest::new(word, OFFERED);
    let types = ProgramType::ALL.iter().map(|kind| kind.name());
    let names = ATTACH_POINTS.iter().flat_map(|row| {
        let sections = row.also.iter().chain([&row.section]).copied();
        sections.chain([row.name]).chain(row.among)
    });
    names.clone().chain(types).for_each(|name| nearest.offer(name));
    let nearest = match nearest.into_names() {
        none if none.is_empty() => {
            let mut words: Vec<String> = Vec::new();
            let targets = ATTACH_POINTS.iter().filter(|row| !matches!(row.attach, Attach::No(_)));
            for name in targets.map(|row| row.among.unwrap_or(row.name)) {
                if !words.iter().any(|word| word == name) {
                    words.push(name.to_owned());
                }
            }
            words
        }
        names => names,
    };
    AttachPointError::Unknown { text: text.into(), name: word.into(), nearest }
}

impl AttachPoint {
    /// The last words of a name that select this attach point.
    fn last_words(&self) -> impl Iterator<Item = &'static str> + use<> {
        let attach_type = self.attach_type.map(AttachType::name);
        let short = attach_type.and_then(|name| name.strip_prefix("cgroup_"));
        let ends = self
            .also
            .iter()
            .chain([&self.name])
            .map(|name| name.split_once('/').map_or(*name, |(_, end)| end));
        attach_type.into_iter().chain(short).chain(ends.collect::<Vec<_>>())
    }
}
