//! Attach targets in BTF, by their ids: for programs of the types `tracing`, `lsm`, `struct_ops` and `ext`.

use super::Loader;
use super::prepare::Other;
use crate::btf::{BtfError, Kind, module_btf};
use crate::error::{Error, Result};
use crate::spec::attach_point::{
    AttachPointError, attach_types, default_attach_type, needs_attach_type,
};
use crate::spec::{Code, Hook, ProgramSpec};
use crate::uapi::{AttachType, ProgramFlags, ProgramType};
use std::os::fd::OwnedFd;

/// The attach target of a program, by its ids in BTF.
#[derive(Default)]
pub(super) struct BtfTarget {
    /// The index of the member of a table of functions, which is passed in place of an attach type.
    pub member: Option<u32>,
    /// Its BTF id.
    pub id: u32,
    /// The BTF of its module, if it is in one.
    pub module: Option<OwnedFd>,
}

/// The function that finds a target in the kernel's BTF; only specs of the types that need it carry it.
struct FindTarget(for<'a> fn(&Loader<'a>, &ProgramSpec<'_, '_>) -> Result<BtfTarget>);

/// Returns whether programs of a type have their targets in BTF.
const fn is_in_btf(kind: ProgramType) -> bool {
    matches!(kind, ProgramType::Tracing | ProgramType::Lsm | ProgramType::StructOps)
}

/// Returns the hook for programs of a type: to find their targets, or because the kernel needs an attach type.
const fn find_target(kind: ProgramType) -> Option<Hook> {
    if is_in_btf(kind) {
        Some(Hook::new(&FindTarget(target_in_kernel)))
    } else if needs_attach_type(kind) {
        Some(Hook::new(&FindTarget(refuse_without_attach_type)))
    } else {
        None
    }
}

impl<'code, 'name> ProgramSpec<'code, 'name> {
    /// Describes a program under the license `GPL`, which permits all helpers. One of type `syscall` has
    /// [`ProgramFlags::SLEEPABLE`]: the kernel accepts no others.
    pub const fn new(name: &'name str, kind: ProgramType, code: Code<'code>) -> Self {
        ProgramSpec {
            name,
            kind,
            license: "GPL",
            code,
            attach_type: default_attach_type(kind),
            flags: flags_of(kind),
            target: None,
            attach_to: None,
            ifindex: None,
            find_target: find_target(kind),
        }
    }

    /// The same program as another type, for instance to attach it to a tracepoint instead of a kprobe. An attach type that
    /// was chosen stays.
    pub const fn with_kind(mut self, kind: ProgramType) -> Self {
        let was = default_attach_type(self.kind);
        let chosen = match (self.attach_type, was) {
            (Some(is), Some(was)) => is as u32 != was as u32,
            (is, _) => is.is_some(),
        };
        if !chosen {
            self.attach_type = default_attach_type(kind);
        }
        self.kind = kind;
        self.find_target = find_target(kind);
        self.flags = self.flags.union(flags_of(kind));
        self
    }
}

/// Returns the flags that every program of a type has.
const fn flags_of(kind: ProgramType) -> ProgramFlags {
    match kind {
        ProgramType::Syscall => ProgramFlags::SLEEPABLE,
        _ => ProgramFlags::empty(),
    }
}

impl Loader<'_> {
    /// Returns the attach target of the program.
    pub(super) fn btf_target(
        &self,
        spec: &ProgramSpec<'_, '_>,
        other: Option<&Other<'_>>,
    ) -> Result<BtfTarget> {
        let found = match other {
            Some(other) => function_of(spec, other),
            None => match spec.find_target.and_then(Hook::get) {
                Some(FindTarget(find)) => find(self, spec),
                None if find_target(spec.kind).is_none() => Ok(BtfTarget::default()),
                None => {
                    let problem = "its type was set by hand: set it with with_kind";
                    return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
                }
            },
        };
        found.map_err(|problem| match problem {
            // The error names the program already.
            problem @ Error::AttachPoint(_) => problem,
            problem => Error::LoadTarget {
                program: spec.name.into(),
                kind: spec.kind,
                section: section(spec),
                target: spec.target.unwrap_or_default().into(),
                problem: Box::new(problem),
            },
        })
    }
}

/// Returns the section of an object file that a program is from.
pub(super) fn section(spec: &ProgramSpec<'_, '_>) -> Option<String> {
    spec.code.of_object().map(|object| object.section.to_owned())
}

/// Refuses a program without an attach type if the kernel needs one for its type.
fn refuse_without_attach_type(_: &Loader<'_>, spec: &ProgramSpec<'_, '_>) -> Result<BtfTarget> {
    if spec.attach_type.is_none() && needs_attach_type(spec.kind) {
        let (program, kind) = (spec.name.into(), spec.kind);
        let choices = attach_types(kind);
        return Err(AttachPointError::NoAttachType { program, kind, choices }.into());
    }
    Ok(BtfTarget::default())
}

/// Finds the target in the kernel's types; returns the default where programs of the type are not attached by BTF.
fn target_in_kernel(loader: &Loader<'_>, spec: &ProgramSpec<'_, '_>) -> Result<BtfTarget> {
    refuse_without_attach_type(loader, spec)?;
    let module = |name: Option<&str>| name.map(module_btf).transpose();
    if let (ProgramType::StructOps, Some(target)) = (spec.kind, spec.target) {
        let Some((of, name)) = target.split_once('.') else {
            let problem =
                "its target is a struct and a member of it, `tcp_congestion_ops.ssthresh`";
            return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
        };
        let ((id, member), place) = loader.types().member(of, name)?;
        return Ok(BtfTarget { member: Some(member), id, module: module(place.module)? });
    }
    let (Some(target), Some((prefix, kind))) =
        (spec.target, attach_point(spec.kind, spec.attach_type))
    else {
        return Ok(BtfTarget::default());
    };
    let found = loader.types().type_id(&format!("{prefix}{target}"), kind);
    let (id, place) = found.map_err(|problem| without_prefix(problem, prefix, target))?;
    Ok(BtfTarget { member: None, id, module: module(place.module)? })
}

/// Finds the function of another program that the target names.
fn function_of(spec: &ProgramSpec<'_, '_>, other: &Other<'_>) -> Result<BtfTarget> {
    let Some(target) = spec.target else {
        let problem = "its target is the name of a function of that program";
        return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
    };
    let id = other.types.type_id(target, Kind::Function)?;
    Ok(BtfTarget { id, ..BtfTarget::default() })
}

/// Rewrites an error for the author of the target, who did not write the prefix that the name has in BTF.
fn without_prefix(problem: Error, prefix: &str, target: &str) -> Error {
    let Some(BtfError::NoType { nearest, .. }) = problem.btf() else { return problem };
    let what = match prefix {
        TRACEPOINT => "tracepoint with types",
        ITERATOR => "iterator",
        HOOK => "hook of security modules",
        _ => "function with types",
    };
    let nearest = nearest.iter().filter_map(|name| name.strip_prefix(prefix));
    Error::NotFound {
        what,
        name: target.into(),
        nearest: nearest.map(str::to_owned).collect(),
        note: None,
    }
}

/// The prefixes of the names of tracepoints, iterators and hooks in BTF.
const TRACEPOINT: &str = "btf_trace_";
const ITERATOR: &str = "bpf_iter_";
const HOOK: &str = "bpf_lsm_";

/// Returns the prefix in BTF of the name of the attach target, and the kind of type it is there; `None` for the
/// program types that are not attached by BTF.
pub(super) fn attach_point(
    kind: ProgramType,
    attach_type: Option<AttachType>,
) -> Option<(&'static str, Kind)> {
    use AttachType::{LsmCgroup, LsmMac, TraceIter, TraceRawTp};
    Some(match (kind, attach_type) {
        (ProgramType::Tracing, Some(TraceRawTp)) => (TRACEPOINT, Kind::Typedef),
        (ProgramType::Tracing, Some(TraceIter)) => (ITERATOR, Kind::Function),
        (ProgramType::Tracing, _) => ("", Kind::Function),
        (ProgramType::Lsm, Some(LsmMac | LsmCgroup) | None) => (HOOK, Kind::Function),
        _ => return None,
    })
}
