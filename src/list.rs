//! Lists the attach points of this machine, by name and pattern.
//!
//! ```no_run
//! use rawbpf::list::Places;
//!
//! let places = Places::new();
//! for place in places.find("tracepoint:syscalls:sys_enter_*clone*")?.places {
//!     println!("{place}");
//!     for argument in places.arguments(&place)?.unwrap_or_default() {
//!         println!("    {}", argument.declaration);
//!     }
//! }
//! # Ok::<(), rawbpf::Error>(())
//! ```

mod arguments;
#[cfg(feature = "elf")]
mod files;
mod kinds;
pub(crate) mod raw_tracepoints;

pub use arguments::Argument;

use self::arguments::Functions;
use self::kinds::kinds;
use crate::btf::KernelTypes;
use crate::error::{Error, Result};
use crate::spec::attach_point::AttachPoint;
use crate::util::glob::{Glob, is_pattern};
use crate::util::nearest::{Nearest, OFFERED};
use std::fmt;
use std::sync::OnceLock;

/// An attach point. Displays as it is written for [`Target`](crate::attach::Target): `kprobe:vfs_read`, `tracepoint:sched/sched_switch`;
/// of perf events without the sampling rate, `software:cpu-clock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Place {
    /// Its kind, the first word of a target.
    pub kind: &'static str,
    /// Its name, which is what comes after the kind.
    pub name: String,
    /// The module of the kernel that it is in.
    pub module: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// The result of [`Places::find`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The places, kind by kind, sorted, each once.
    pub places: Vec<Place>,
    /// The kinds that could not be searched, and why: mostly because this kernel lacks them. Of a kind that the
    /// pattern names alone that is an error instead.
    pub left_out: Vec<(&'static str, Error)>,
}

/// The attach points of this machine. Data read to list them is kept as long as this lives.
#[derive(Debug, Default)]
pub struct Places {
    types: KernelTypes,
    functions: OnceLock<Functions>,
}

impl Places {
    /// Creates it; nothing is read yet.
    pub fn new() -> Places {
        Places::default()
    }

    /// The kinds that can be listed, in their order.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        kinds().map(|kind| kind.name)
    }

    /// Finds the places that match a pattern: `KIND:NAME`, where both can hold `*`, `?` and `[a-z]`
    /// (`kprobe:*clone*`, `tracepoint:syscalls:*`, `tp_*:sched_*`). A kind alone is all of that kind; another word alone is
    /// looked for anywhere in the names of every kind, and nothing at all is everything. Kinds that would repeat the names of
    /// another (`kretprobe`, `fexit`) are looked into only if they are named; so are those of a file, which is named with
    /// them: `uprobe:c:str*`, `usdt:/usr/bin/python3:*` (with the feature `elf`).
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such kind; of a pattern with one kind, why it cannot be searched:
    /// [`Error::Unsupported`], [`Error::NoTracefs`], [`Error::File`].
    pub fn find(&self, pattern: &str) -> Result<Found> {
        let (kinds, name) = which(pattern)?;
        let mut found = Found::default();
        let alone = kinds.len() == 1;
        for kind in kinds {
            let Some(find) = kinds::finder(kind.list) else { continue };
            match find(self, &kinds::pattern(kind.list, &name)) {
                Ok(mut names) => {
                    names.sort_unstable();
                    names.dedup();
                    let places = names.into_iter().map(|(name, module)| Place {
                        kind: kind.name,
                        name,
                        module,
                    });
                    found.places.extend(places);
                }
                Err(error) if alone => return Err(error),
                Err(error) => found.left_out.push((kind.name, error)),
            }
        }
        Ok(found)
    }

    /// Returns the arguments of a program there, where they are known: the fields of a tracepoint, by BTF those of a function.
    ///
    /// # Errors
    /// As [`format::fields`](crate::kernel::format::fields) and [`KernelTypes::find`].
    pub fn arguments(&self, place: &Place) -> Result<Option<Vec<Argument>>> {
        match kinds().find(|kind| kind.name == place.kind) {
            Some(kind) => arguments::of(self, kind.arguments, &place.name),
            None => Ok(None),
        }
    }

    /// The functions in BTF by name, read at first need.
    fn functions(&self) -> Result<&Functions> {
        if let Some(functions) = self.functions.get() {
            return Ok(functions);
        }
        let functions = Functions::read(&self.types)?;
        Ok(self.functions.get_or_init(|| functions))
    }
}

/// The kinds that a pattern means, and the pattern for names.
fn which(pattern: &str) -> Result<(Vec<&'static AttachPoint>, String)> {
    let named = |word: &str| -> Vec<&'static AttachPoint> {
        let glob = Glob::new(word);
        kinds()
            .filter(|kind| match is_pattern(word) {
                true => !kind.repeats && glob.matches(kind.name),
                false => kind.name == word || kind.also.contains(&word),
            })
            .collect()
    };
    let main = || kinds().filter(|kind| !kind.repeats).collect();
    let Some((kind, name)) = pattern.split_once(':') else {
        let kinds = if pattern.is_empty() || is_pattern(pattern) { vec![] } else { named(pattern) };
        return Ok(match pattern {
            _ if !kinds.is_empty() => (kinds, "*".into()),
            "" => (main(), "*".into()),
            _ if is_pattern(pattern) => (main(), pattern.into()),
            word => (main(), format!("*{word}*")),
        });
    };
    let found = named(kind);
    if found.is_empty() {
        let mut nearest = Nearest::new(kind, OFFERED);
        kinds().for_each(|kind| nearest.offer(kind.name));
        let nearest = match nearest.into_names() {
            none if none.is_empty() => kinds().map(|kind| kind.name.to_owned()).collect(),
            names => names,
        };
        return Err(Error::NotFound { what: KIND, name: kind.into(), nearest, note: None });
    }
    Ok((found, if name.is_empty() { "*".into() } else { name.into() }))
}

/// The word for a kind in [`Error::NotFound`].
pub(crate) const KIND: &str = "kind of place that can be listed";

#[cfg(test)]
mod tests;
