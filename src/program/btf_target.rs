//! Targets in BTF: what programs of the types `tracing`, `lsm`, `struct_ops` and `ext` are attached to, by its number.

use super::Loader;
use super::prepare::Other;
use crate::btf::{BtfError, Kind, module_btf};
use crate::error::{Error, Result};
use crate::spec::attach_point::{
    AttachPointError, attach_types, default_attach_type, needs_attach_type,
};
use crate::spec::{Code, Hook, ProgramSpec};
use crate::uapi::{AttachType, ProgramType, flags};
use std::os::fd::OwnedFd;

/// What a program is for, by numbers in BTF.
#[derive(Default)]
pub(super) struct BtfTarget {
    /// In the place of an attach type: the member of a table of functions.
    pub member: Option<u32>,
    /// Its number in BTF.
    pub id: u32,
    /// That BTF, if it is a module's.
    pub module: Option<OwnedFd>,
}

/// The search for a target in the kernel's BTF, which only specs of the types that need it carry.
struct FindTarget(for<'a> fn(&Loader<'a>, &ProgramSpec<'a>) -> Result<BtfTarget>);

/// Whether programs of a type have their targets in BTF.
const fn is_in_btf(kind: ProgramType) -> bool {
    matches!(kind, ProgramType::Tracing | ProgramType::Lsm | ProgramType::StructOps)
}

/// The hook of programs of a type: to find their targets, or because the kernel needs an attach type.
const fn find_target(kind: ProgramType) -> Option<Hook> {
    if is_in_btf(kind) {
        Some(Hook::new(&FindTarget(target_in_kernel)))
    } else if needs_attach_type(kind) {
        Some(Hook::new(&FindTarget(refuse_without_attach_type)))
    } else {
        None
    }
}

impl<'a> ProgramSpec<'a> {
    /// A program under the license `GPL`, which opens all helpers to it. One of type `syscall` has
    /// [`BPF_F_SLEEPABLE`](flags::BPF_F_SLEEPABLE): the kernel knows no others.
    pub const fn new(name: &'a str, kind: ProgramType, code: Code<'a>) -> Self {
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
        self.flags |= flags_of(kind);
        self
    }
}

/// The flags that every program of a type has.
const fn flags_of(kind: ProgramType) -> u32 {
    if matches!(kind, ProgramType::Syscall) { flags::BPF_F_SLEEPABLE } else { 0 }
}

impl<'a> Loader<'a> {
    /// What the program is for, by numbers in BTF.
    pub(super) fn btf_target(
        &self,
        spec: &ProgramSpec<'a>,
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
            // It names the program itself.
            problem @ Error::AttachPoint(_) => problem,
            problem => Error::LoadTarget {
                program: spec.name.into(),
                kind: spec.kind,
                target: spec.target.unwrap_or_default().into(),
                problem: Box::new(problem),
            },
        })
    }
}

/// Refuses a program without an attach type if the kernel needs one for its type.
fn refuse_without_attach_type<'a>(_: &Loader<'a>, spec: &ProgramSpec<'a>) -> Result<BtfTarget> {
    if spec.attach_type.is_none() && needs_attach_type(spec.kind) {
        let (program, kind) = (spec.name.into(), spec.kind);
        let choices = attach_types(kind);
        return Err(AttachPointError::NoAttachType { program, kind, choices }.into());
    }
    Ok(BtfTarget::default())
}

/// What the target names in the kernel's types; nothing where the type of the program is not attached by them.
fn target_in_kernel<'a>(loader: &Loader<'a>, spec: &ProgramSpec<'a>) -> Result<BtfTarget> {
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

/// The function of another program that the target names.
fn function_of(spec: &ProgramSpec<'_>, other: &Other<'_>) -> Result<BtfTarget> {
    let Some(target) = spec.target else {
        let problem = "its target is the name of a function of that program";
        return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
    };
    let id = other.types.type_id(target, Kind::Function)?;
    Ok(BtfTarget { id, ..BtfTarget::default() })
}

/// The same problem in the words of whoever wrote the target, who did not write what BTF puts before it.
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

/// What stands before the names of tracepoints, iterators and hooks in BTF.
const TRACEPOINT: &str = "btf_trace_";
const ITERATOR: &str = "bpf_iter_";
const HOOK: &str = "bpf_lsm_";

/// What stands in BTF before the name of what a program is attached to, and what that is there; `None` for the types that are
/// not attached by BTF.
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
