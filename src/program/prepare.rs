//! Making a load ready: slots with everything filled in, what the program is attached to, and what the kernel is told of
//! its source.

use super::late::{AimAt, FillIn, has_target_in_btf};
use super::names::Names;
use super::source;
use super::{Loader, Program, dump};
use crate::asm::Ask;
use crate::btf::{Btf, BtfError, Entry, Kind, Likeness, ProgramTypes, module_btf};
use crate::error::{Error, Result};
use crate::insn::Insn;
use crate::map::object_name;
use crate::spec::{Hook, ProgramSpec};
use crate::syscall::{self, BtfLoad, ProgBtf, ProgLoad, memlock};
use crate::uapi::{AttachType, Errno, ProgramType};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Another program that a program is loaded for, with its types.
pub(super) struct Other<'o> {
    program: &'o Program,
    types: Btf,
}

/// What a program is for.
#[derive(Default)]
pub(super) struct Aim {
    /// In the place of an attach type: the member of a table of functions.
    member: Option<u32>,
    /// Its number in BTF.
    id: u32,
    /// That BTF, if it is a module's.
    module: Option<OwnedFd>,
}

impl<'a> Loader<'a> {
    /// Does something with a load that is ready but for the log.
    pub(super) fn prepared<T>(
        &mut self,
        spec: &ProgramSpec<'a>,
        other: Option<&Other<'_>>,
        action: impl FnOnce(&mut ProgLoad<'_>) -> Result<T>,
    ) -> Result<T> {
        let refuse = |problem| Error::Spec { what: "program", name: spec.name.into(), problem };
        let license =
            CString::new(spec.license).map_err(|_| refuse("its license holds a NUL byte"))?;
        if spec.code.slots.is_empty() {
            return Err(refuse("it has no instructions"));
        }
        let theirs = other.map(|other| &other.types);
        let mut insns = spec.code.slots.to_vec();
        let modules = match spec.code.resolver.and_then(Hook::get) {
            Some(FillIn(fill)) => fill(self, spec, theirs, &mut insns)?,
            None if spec.code.maps.is_empty() && spec.code.names.is_empty() => Vec::new(),
            None => return Err(refuse("its code was given maps or names by hand: make it anew")),
        };
        let fd_array: Vec<_> = modules.iter().map(|module| module.as_fd()).collect();
        let aim = self.aim(spec, other)?;
        let token = self.token.map(AsFd::as_fd);
        let entry = match other {
            Some(other) if spec.kind == ProgramType::Ext => {
                Entry::InPlaceOf(Likeness::of(&other.types, aim.id))
            }
            _ => source::context(spec.kind),
        };
        let mut types = source::describe(spec.name, entry, &spec.code);
        let mut loaded = types.as_ref().map(|types| load_types(types, token));
        if let (Some(Err(Errno(libc::EINVAL))), Entry::Context(_)) = (&loaded, entry) {
            // A kernel before 5.6 does not take global functions.
            types = source::describe(spec.name, Entry::Unsaid, &spec.code);
            loaded = types.as_ref().map(|types| load_types(types, token));
        }
        // They are for people who look at the program: a kernel that does not want them gets it without.
        let loaded = loaded.and_then(Result::ok);
        let name = object_name(spec.name);
        action(&mut ProgLoad {
            prog_type: spec.kind as u32,
            expected_attach_type: aim
                .member
                .or(spec.attach_type.map(|attach_type| attach_type as u32))
                .unwrap_or(0),
            flags: spec.flags,
            insns: &insns,
            license: &license,
            name: &name,
            btf: types.as_ref().zip(loaded.as_ref()).map(|(types, btf)| ProgBtf {
                btf: btf.as_fd(),
                func_info: &types.functions,
                line_info: &types.lines,
            }),
            attach_btf_id: aim.id,
            attach_to: match other {
                Some(other) => Some(other.program.as_fd()),
                None => aim.module.as_ref().map(AsFd::as_fd),
            },
            ifindex: spec.ifindex.unwrap_or(0),
            fd_array: &fd_array,
            token,
            ..Default::default()
        })
    }

    /// Puts the numbers of kernel functions into the calls of them. Of a function in a module the kernel wants the
    /// module's BTF as well: its place in the array of descriptors that comes back, where the first is not used.
    fn kernel_functions(&self, spec: &ProgramSpec<'a>, insns: &mut [Insn]) -> Result<Vec<OwnedFd>> {
        let mut modules: Vec<(&str, OwnedFd)> = Vec::new();
        for name in spec.code.names.iter().filter(|name| name.ask == Ask::Function) {
            let function = spec.code.name(name);
            let names = Names { spec, types: &self.types, theirs: None };
            let found = self.types.type_id(&function, Kind::Function);
            let (id, place) = found.map_err(|error| names.refused(name, error))?;
            let index = match place.module {
                None => 0,
                Some(module) => match modules.iter().position(|(known, _)| *known == module) {
                    Some(index) => index + 1,
                    None => {
                        let btf = module_btf(module).map_err(|error| names.refused(name, error))?;
                        modules.push((module, btf));
                        modules.len()
                    }
                },
            };
            if let Some(insn) = insns.get_mut(name.slot as usize) {
                *insn = insn.with_imm(id as i32).with_offset(index as i16);
            }
        }
        let Some((_, first)) = modules.first() else { return Ok(Vec::new()) };
        // What is at index 0 is not looked at.
        let first = first.try_clone().map_err(|source| Error::LoadProgram {
            program: spec.name.into(),
            kind: spec.kind,
            errno: Errno::of(&source),
            why: None,
        })?;
        Ok(std::iter::once(first).chain(modules.into_iter().map(|(_, btf)| btf)).collect())
    }

    /// What the program is for, by numbers in BTF.
    fn aim(&self, spec: &ProgramSpec<'a>, other: Option<&Other<'_>>) -> Result<Aim> {
        let found = match other {
            Some(other) => function_of(spec, other),
            None => match spec.find_target.and_then(Hook::get) {
                Some(AimAt(find)) => find(self, spec),
                None if !has_target_in_btf(spec.kind) => Ok(Aim::default()),
                None => {
                    let problem = "its type was set by hand: set it with with_kind";
                    return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
                }
            },
        };
        found.map_err(|problem| Error::LoadTarget {
            program: spec.name.into(),
            kind: spec.kind,
            target: spec.target.unwrap_or_default().into(),
            problem: Box::new(problem),
        })
    }
}

/// Puts the descriptors of maps and data in their places.
pub(super) fn put_descriptors<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a>,
    _: Option<&Btf>,
    insns: &mut [Insn],
) -> Result<Vec<OwnedFd>> {
    let code = &spec.code;
    let mut put = |slot: u32, fd: i32| {
        if let Some(slot) = insns.get_mut(slot as usize) {
            *slot = slot.with_imm(fd);
        }
    };
    for reference in code.maps {
        put(reference.slot, loader.map(reference.map)?.as_fd().as_raw_fd());
    }
    for name in code.names {
        if let Ask::Data(section) = name.ask {
            put(name.slot, loader.section(code, section)?.as_fd().as_raw_fd());
        }
    }
    Ok(Vec::new())
}

/// Fills in what the instructions leave open: descriptors of maps and data, numbers of the kernel, its functions.
pub(super) fn fill_in<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a>,
    theirs: Option<&Btf>,
    insns: &mut [Insn],
) -> Result<Vec<OwnedFd>> {
    put_descriptors(loader, spec, theirs, insns)?;
    let names = Names { spec, types: &loader.types, theirs };
    for name in spec.code.names {
        names.fill(name, insns)?;
    }
    loader.kernel_functions(spec, insns)
}

/// What the target names in the kernel's types; nothing where the type of the program is not attached by them.
pub(super) fn aim_at_kernel<'a>(loader: &Loader<'a>, spec: &ProgramSpec<'a>) -> Result<Aim> {
    let module = |name: Option<&str>| name.map(module_btf).transpose();
    if let (ProgramType::StructOps, Some(target)) = (spec.kind, spec.target) {
        let Some((of, name)) = target.split_once('.') else {
            let problem =
                "its target is a struct and a member of it, `tcp_congestion_ops.ssthresh`";
            return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
        };
        let ((id, member), place) = loader.types.member(of, name)?;
        return Ok(Aim { member: Some(member), id, module: module(place.module)? });
    }
    let Some((prefix, target, kind)) = attach_point(spec) else { return Ok(Aim::default()) };
    let found = loader.types.type_id(&format!("{prefix}{target}"), kind);
    let (id, place) = found.map_err(|problem| without_prefix(problem, prefix, target))?;
    Ok(Aim { member: None, id, module: module(place.module)? })
}

/// A program with its types.
pub(super) fn other(program: &Program) -> Result<Other<'_>> {
    let refused = |errno, note| program.refused("read the types of", errno, note);
    let types = dump::types(program.as_fd()).map_err(|errno| refused(errno, None))?;
    let note = "it has none, and so no function that could be named";
    let types = types.ok_or_else(|| refused(Errno(libc::ENOENT), Some(note)))?;
    Ok(Other { program, types })
}

/// The function of another program that the target names.
fn function_of(spec: &ProgramSpec<'_>, other: &Other<'_>) -> Result<Aim> {
    let Some(target) = spec.target else {
        let problem = "its target is the name of a function of that program";
        return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
    };
    let id = other.types.type_id(target, Kind::Function)?;
    Ok(Aim { id, ..Aim::default() })
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

/// Gives the kernel the types of a program.
fn load_types(types: &ProgramTypes, token: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Errno> {
    let mut load = BtfLoad { btf: &types.blob, token, log: None };
    memlock::with_memlock(|| syscall::btf_load(&mut load))
}

/// What stands before the names of tracepoints, iterators and hooks in BTF.
const TRACEPOINT: &str = "btf_trace_";
const ITERATOR: &str = "bpf_iter_";
const HOOK: &str = "bpf_lsm_";

/// How what a program is attached to is called in BTF, as prefix and name, and what it is there; `None` for the types that
/// are not attached by BTF, and without a target.
pub(super) fn attach_point<'a>(spec: &ProgramSpec<'a>) -> Option<(&'static str, &'a str, Kind)> {
    use AttachType::{LsmCgroup, LsmMac, TraceIter, TraceRawTp};
    let target = spec.target?;
    let (prefix, kind) = match (spec.kind, spec.attach_type) {
        (ProgramType::Tracing, Some(TraceRawTp)) => (TRACEPOINT, Kind::Typedef),
        (ProgramType::Tracing, Some(TraceIter)) => (ITERATOR, Kind::Function),
        (ProgramType::Tracing, _) => ("", Kind::Function),
        (ProgramType::Lsm, Some(LsmMac | LsmCgroup) | None) => (HOOK, Kind::Function),
        _ => return None,
    };
    Some((prefix, target, kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::syscall::{Call, fake};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// How often types were refused, with which answer, and whether the program had any in the end.
    fn told(kind: ProgramType, refusals: &[i32]) -> (usize, bool) {
        let seen = Rc::new(RefCell::new((0, false)));
        let log = Rc::clone(&seen);
        let mut refusals = Vec::from(refusals).into_iter();
        let kernel = move |call: &mut Call<'_, '_>| {
            let mut seen = log.borrow_mut();
            match call {
                Call::BtfLoad(_) => {
                    seen.0 += 1;
                    Some(refusals.next().map_or_else(fake::descriptor, |errno| Err(Errno(errno))))
                }
                Call::ProgLoad(load) => {
                    seen.1 = load.btf.is_some();
                    Some(fake::descriptor())
                }
                // A kernel on which EPERM is no matter of memory.
                Call::MemlockGet { soft, hard } => {
                    (**soft, **hard) = (syscall::UNLIMITED, syscall::UNLIMITED);
                    Some(Ok(0))
                }
                _ => None,
            }
        };
        let spec = ProgramSpec::new("p", kind, bpf! { r0 = 0; exit; });
        fake::with(kernel, || Loader::new().load(&spec)).unwrap();
        let seen = seen.borrow();
        *seen
    }

    #[test]
    fn types_that_a_kernel_does_not_take_are_left_out_step_by_step() {
        let (xdp, kprobe) = (ProgramType::Xdp, ProgramType::Kprobe);
        assert_eq!(told(xdp, &[]), (1, true));
        // Before Linux 5.6 no function is global.
        assert_eq!(told(xdp, &[libc::EINVAL]), (2, true));
        assert_eq!(told(xdp, &[libc::EINVAL; 2]), (2, false));
        assert_eq!(told(xdp, &[libc::EPERM]), (1, false));
        assert_eq!(told(kprobe, &[libc::EINVAL]), (1, false));
    }
}
