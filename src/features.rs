//! Features of the running kernel, found by probing: program types, map types, attach types, helpers, instructions,
//! links, `bpf(2)` commands, BTF kinds.
//!
//! A version says little: distributions backport features to old kernels and leave others out of new ones. So the
//! kernel is probed, with the smallest program, map or call that only a kernel with the feature accepts, or
//! refuses for another reason than that it does not know it. Nothing is attached and nothing stays loaded.
//!
//! This is not needed to load a program: a load that works probes nothing in advance. It is for
//! choosing between two programs, for explaining why something failed, and for `rawbpf features`.
//!
//! ```no_run
//! use rawbpf::features::{Feature, Features};
//! use rawbpf::{MapType, ProgramType};
//!
//! let features = Features::new();
//! if features.has(MapType::RingBuf)? && features.has_helper(ProgramType::Kprobe, "ringbuf_output")? {
//!     // …
//! }
//! features.demand(Feature::BoundedLoops)?; // or an error that says which version brought them
//! # Ok::<(), rawbpf::Error>(())
//! ```

mod attach_types;
mod code;
mod commands;
mod helpers;
mod kernel;
mod list;
mod map_types;
mod objects;
mod program_types;
mod row;
mod types;

pub use crate::util::Version;
pub use list::{Feature, Group};

use self::kernel::{Has, Kernel, Outcome};
use self::row::Row;
use crate::asm::{HELPERS, helper_number, helper_since};
use crate::error::{Error, Result};
use crate::permission::{self, Need};
use crate::uapi::{AttachType, Errno, MapType, ProgramType};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// One feature that a kernel can have, and its entry in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probe {
    /// A program type.
    ProgramType(ProgramType),
    /// A map type.
    MapType(MapType),
    /// An attach type.
    AttachType(AttachType),
    /// A helper, by its number, in programs of this type.
    Helper(ProgramType, u32),
    /// One of the other features.
    Feature(Feature),
}

impl From<ProgramType> for Probe {
    fn from(one: ProgramType) -> Probe {
        Probe::ProgramType(one)
    }
}

impl From<MapType> for Probe {
    fn from(one: MapType) -> Probe {
        Probe::MapType(one)
    }
}

impl From<AttachType> for Probe {
    fn from(one: AttachType) -> Probe {
        Probe::AttachType(one)
    }
}

impl From<Feature> for Probe {
    fn from(one: Feature) -> Probe {
        Probe::Feature(one)
    }
}

impl Probe {
    /// Returns all but the helpers, group by group.
    pub fn all() -> impl Iterator<Item = Probe> {
        let programs = ProgramType::ALL.iter().map(|one| Probe::ProgramType(*one));
        let maps = MapType::ALL.iter().map(|one| Probe::MapType(*one));
        let attach = AttachType::ALL.iter().map(|one| Probe::AttachType(*one));
        let others = Feature::ALL.iter().map(|one| Probe::Feature(*one));
        programs.chain(maps).chain(attach).chain(others)
    }

    /// Returns the helpers that can be probed without a trace: all but `trace_printk` and `trace_vprintk`, which turn on
    /// a tracepoint, and `probe_write_user`, of which the kernel warns in its log.
    ///
    /// None for [`ProgramType::Ext`]: its helpers are those of the program that it extends.
    pub fn helpers(of: ProgramType) -> impl Iterator<Item = Probe> {
        let some = !program_types::bases(of).is_empty();
        let quiet = kernel::quiet_helpers().filter(move |_| some);
        quiet.map(move |(number, _)| Probe::Helper(of, number))
    }

    /// Returns all helpers of a type, and the trace that probing them leaves, if any.
    #[cfg(feature = "cli")]
    pub(crate) fn all_helpers(
        of: ProgramType,
    ) -> impl Iterator<Item = (Probe, Option<&'static str>)> {
        let some = !program_types::bases(of).is_empty();
        let all = (0..).zip(HELPERS).skip(1).filter(move |_| some);
        all.map(move |(number, _)| (Probe::Helper(of, number), helpers::trace_left(number)))
    }

    /// Returns the group it belongs to.
    pub fn group(self) -> Group {
        match self {
            Probe::ProgramType(_) => Group::ProgramTypes,
            Probe::MapType(_) => Group::MapTypes,
            Probe::AttachType(_) => Group::AttachTypes,
            Probe::Helper(..) => Group::Helpers,
            Probe::Feature(feature) => feature.group(),
        }
    }

    /// Its name, the only one of its group (of helpers, of its program type).
    pub fn name(self) -> &'static str {
        match self {
            Probe::ProgramType(one) => one.name(),
            Probe::MapType(one) => one.name(),
            Probe::AttachType(one) => one.name(),
            Probe::Helper(_, number) => HELPERS.get(number as usize).copied().unwrap_or("unspec"),
            Probe::Feature(one) => one.name(),
        }
    }

    /// Returns the stable version of Linux that brought it; for a helper, that of the first type of program that had it.
    pub fn since(self) -> Version {
        let version = match self {
            Probe::ProgramType(one) => find(program_types::ROWS, one).map(|row| row.since),
            Probe::MapType(one) => find(map_types::ROWS, one).map(|row| row.since),
            Probe::AttachType(one) => find(attach_types::ROWS, one).map(|row| row.since),
            Probe::Helper(_, number) => helper_since(number),
            Probe::Feature(one) => list::row(one).map(|row| row.since),
        };
        // Every one has a row, which a test checks.
        version.unwrap_or(Version::new(0, 0))
    }

    /// Returns its other requirements: the `CONFIG_` options that a kernel of that version needs, and the abilities that
    /// the machine must have.
    pub fn needs(self) -> &'static [&'static str] {
        let needs = match self {
            Probe::ProgramType(one) | Probe::Helper(one, _) => {
                find(program_types::ROWS, one).map(|row| row.config)
            }
            Probe::MapType(one) => find(map_types::ROWS, one).map(|row| row.config),
            Probe::AttachType(one) => find(attach_types::ROWS, one).map(|row| row.config),
            Probe::Feature(one) => list::row(one).map(|row| row.config),
        };
        needs.unwrap_or_default()
    }

    /// Returns its name with its kind, for a sentence.
    fn words(self) -> String {
        let (one, name) = (self.group().one(), self.name());
        match self {
            Probe::Helper(kind, _) => format!("helper `{name}` for programs of type {kind}"),
            _ => format!("{one} `{name}`"),
        }
    }

    fn ask(self, kernel: &Kernel) -> Outcome {
        fn of<T: PartialEq + Copy>(
            kernel: &Kernel,
            rows: &'static [Row<T>],
            one: T,
        ) -> Option<Outcome> {
            find(rows, one).map(|row| kernel.ask(&row.test, row.yes))
        }
        let outcome = match self {
            Probe::ProgramType(one) => of(kernel, program_types::ROWS, one),
            Probe::MapType(one) => of(kernel, map_types::ROWS, one),
            Probe::AttachType(one) => of(kernel, attach_types::ROWS, one),
            Probe::Helper(kind, number) => {
                Some(kernel.ask_helper(kind, i32::try_from(number).unwrap_or(i32::MAX)))
            }
            Probe::Feature(one) => list::row(one).map(|row| kernel.ask(&row.test, row.yes)),
        };
        outcome.unwrap_or(Outcome { has: Has::No, found: "no probe".into() })
    }
}

fn find<T: PartialEq + Copy>(rows: &'static [Row<T>], one: T) -> Option<&'static Row<T>> {
    rows.iter().find(|row| row.of == one)
}

/// The features of the running kernel. Each probe is run when it is first asked for here, and its result is kept
/// as long as this lives.
#[derive(Debug, Default)]
pub struct Features(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kernel: Kernel,
    known: HashMap<Probe, Outcome>,
}

/// The result of one [`Probe`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Whether this kernel has it, or why that cannot be determined: mostly because probing is not permitted.
    pub has: Result<bool>,
    /// The evidence: the call and the kernel's answer, `load: EINVAL`.
    pub found: String,
}

impl Features {
    /// Creates it; nothing is probed yet.
    pub fn new() -> Features {
        Features::default()
    }

    /// Returns whether this kernel has it: a [`ProgramType`], a [`MapType`], an [`AttachType`], a [`Feature`].
    ///
    /// # Errors
    /// [`Error::Undecided`] if it cannot be determined: probing is not permitted, or memory or descriptors ran out.
    pub fn has(&self, probe: impl Into<Probe>) -> Result<bool> {
        self.find(probe).has
    }

    /// Whether this kernel has this type of program.
    ///
    /// # Errors
    /// As [`Features::has`].
    pub fn has_program_type(&self, kind: ProgramType) -> Result<bool> {
        self.has(kind)
    }

    /// Whether this kernel has this type of map.
    ///
    /// # Errors
    /// As [`Features::has`].
    pub fn has_map_type(&self, kind: MapType) -> Result<bool> {
        self.has(kind)
    }

    /// Whether programs of this type may call the helper of this name, without `bpf_`. Where that depends on the attach
    /// type, it is enough that some may: `tracing` is probed as a tracepoint, an iterator and the exit of a function,
    /// `lsm` as a program that sleeps and one that does not. Not all are tried: `cgroup_sock_addr` is probed as
    /// `connect`, `struct_ops` as a congestion control.
    ///
    /// Probing `probe_write_user` makes the kernel write a warning into its log.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names if no kernel has a helper of that name; [`Error::Spec`] for
    /// [`ProgramType::Ext`], which has the helpers of the program that it extends; else as [`Features::has`].
    pub fn has_helper(&self, kind: ProgramType, helper: &str) -> Result<bool> {
        let number = helper_number(helper.as_bytes()).and_then(|number| u32::try_from(number).ok());
        let Some(number) = number else {
            let mut nearest = crate::util::nearest::Nearest::new(helper, 3);
            HELPERS.iter().skip(1).for_each(|name| nearest.offer(name));
            return Err(Error::NotFound {
                what: "helper",
                name: helper.into(),
                nearest: nearest.into_names(),
                note: None,
            });
        };
        if program_types::bases(kind).is_empty() {
            return Err(Error::Spec {
                what: "helper",
                name: helper.into(),
                problem: "a program of type ext has the helpers of the program that it extends: ask for that type",
            });
        }
        self.has(Probe::Helper(kind, number))
    }

    /// Does nothing if this kernel has it.
    ///
    /// # Errors
    /// [`Error::NoFeature`], which names the version that brought it and what else it takes, if it has not; else as
    /// [`Features::has`].
    pub fn demand(&self, probe: impl Into<Probe>) -> Result<()> {
        let probe = probe.into();
        if self.has(probe)? {
            return Ok(());
        }
        Err(Error::NoFeature { what: probe.words(), since: probe.since(), needs: probe.needs() })
    }

    /// The answer, and how it was found.
    pub fn find(&self, probe: impl Into<Probe>) -> Finding {
        let probe = probe.into();
        let Outcome { has, found } = self.outcome(probe);
        let has = match has {
            Has::Yes => Ok(true),
            Has::No => Ok(false),
            Has::Unknown(errno) => Err(Error::Undecided {
                what: probe.words(),
                errno,
                why: permission::explain(errno, Need::Tracing),
            }),
        };
        Finding { has, found }
    }

    fn outcome(&self, probe: Probe) -> Outcome {
        // A panic elsewhere leaves nothing here half done.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = state.known.get(&probe) {
            return known.clone();
        }
        let outcome = probe.ask(&state.kernel);
        // A failure because of memory or a signal may not recur.
        if !matches!(outcome.has, Has::Unknown(errno) if errno != Errno(libc::EPERM)) {
            state.known.insert(probe, outcome.clone());
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
