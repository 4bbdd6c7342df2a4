//! Making a load ready: slots with everything filled in, what the program is attached to, and what the kernel is told of
//! its source.

use super::Loader;
use super::names::Names;
use super::source;
use crate::asm::{Ask, Code};
use crate::btf::{BtfError, Kind, ProgramTypes};
use crate::error::{Error, Result};
use crate::insn::Insn;
use crate::kernel::denied;
use crate::map::object_name;
use crate::spec::{AttachType, ProgramSpec, ProgramType};
use crate::syscall::{self, BtfLoad, Errno, InfoArray, Numbered, ObjInfo, ProgBtf, ProgLoad};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

impl<'a> Loader<'a> {
    /// Does something with a load that is ready but for the log.
    pub(super) fn prepared<T>(
        &mut self,
        spec: &ProgramSpec<'a>,
        action: impl FnOnce(&mut ProgLoad<'_>) -> Result<T>,
    ) -> Result<T> {
        let refuse = |problem| Error::Spec { what: "program", name: spec.name.into(), problem };
        let license =
            CString::new(spec.license).map_err(|_| refuse("its license holds a NUL byte"))?;
        if spec.code.slots.is_empty() {
            return Err(refuse("it has no instructions"));
        }
        let mut insns = self.fill_in(&spec.code)?;
        let names = Names { spec, types: &self.types };
        for name in spec.code.names {
            names.fill(name, &mut insns)?;
        }
        let modules = self.kernel_functions(spec, &mut insns)?;
        let fd_array: Vec<_> = modules.iter().map(|module| module.as_fd()).collect();
        let (attach_btf_id, module) = self.attach_to(spec)?;
        let token = self.token.map(AsFd::as_fd);
        let types = source::describe(spec.name, &spec.code);
        let loaded = types.as_ref().and_then(|types| load_types(types, token));
        let name = object_name(spec.name);
        action(&mut ProgLoad {
            prog_type: spec.kind as u32,
            expected_attach_type: spec.attach_type.map_or(0, |attach_type| attach_type as u32),
            flags: spec.flags,
            insns: &insns,
            license: &license,
            name: &name,
            btf: types.as_ref().zip(loaded.as_ref()).map(|(types, btf)| ProgBtf {
                btf: btf.as_fd(),
                func_info: &types.functions,
                line_info: &types.lines,
            }),
            attach_btf_id,
            attach_to: module.as_ref().map(AsFd::as_fd),
            fd_array: &fd_array,
            token,
            ..Default::default()
        })
    }

    /// The slots with the descriptors of maps and data in their places.
    fn fill_in(&mut self, code: &Code<'a>) -> Result<Vec<Insn>> {
        let mut insns = code.slots.to_vec();
        let mut put = |slot: u32, fd: i32| {
            if let Some(slot) = insns.get_mut(slot as usize) {
                *slot = slot.with_imm(fd);
            }
        };
        for reference in code.maps {
            put(reference.slot, self.map(reference.map)?.as_fd().as_raw_fd());
        }
        for name in code.names {
            if let Ask::Data(section) = name.ask {
                put(name.slot, self.section(code, section)?.as_fd().as_raw_fd());
            }
        }
        Ok(insns)
    }

    /// Puts the numbers of kernel functions into the calls of them. Of a function in a module the kernel wants the
    /// module's BTF as well: its place in the array of descriptors that comes back, where the first is not used.
    fn kernel_functions(&self, spec: &ProgramSpec<'a>, insns: &mut [Insn]) -> Result<Vec<OwnedFd>> {
        let mut modules: Vec<(&str, OwnedFd)> = Vec::new();
        for name in spec.code.names.iter().filter(|name| name.ask == Ask::Function) {
            let function = spec.code.name(name);
            let names = Names { spec, types: &self.types };
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

    /// The number of what the program is attached to in BTF, and the BTF if it is a module's.
    fn attach_to(&self, spec: &ProgramSpec<'a>) -> Result<(u32, Option<OwnedFd>)> {
        let Some((prefix, target, kind)) = attach_point(spec) else { return Ok((0, None)) };
        let name = format!("{prefix}{target}");
        let found = self
            .types
            .type_id(&name, kind)
            .and_then(|(id, place)| Ok((id, place.module.map(module_btf).transpose()?)));
        found.map_err(|problem| Error::LoadTarget {
            program: spec.name.into(),
            kind: spec.kind,
            target: target.into(),
            problem: Box::new(without_prefix(problem, prefix, target)),
        })
    }
}

/// The same problem in the words of whoever wrote the target, who did not write what BTF puts before it.
fn without_prefix(problem: Error, prefix: &str, target: &str) -> Error {
    let Error::Btf(BtfError::NoType { nearest, .. }) = problem else { return problem };
    let what = match prefix {
        TRACEPOINT => "tracepoint with types",
        ITERATOR => "iterator",
        HOOK => "hook of security modules",
        _ => "function or structure with types",
    };
    let nearest = nearest.iter().filter_map(|name| name.strip_prefix(prefix));
    Error::NotFound {
        what,
        name: target.into(),
        nearest: nearest.map(str::to_owned).collect(),
        note: None,
    }
}

/// Gives the kernel the types of a program. They are for people who look at it: a kernel that does not want them gets
/// the program without.
fn load_types(types: &ProgramTypes, token: Option<BorrowedFd<'_>>) -> Option<OwnedFd> {
    let mut load = BtfLoad { btf: &types.blob, token, log: None };
    denied::with_memlock(|| syscall::btf_load(&mut load)).ok()
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
        (ProgramType::StructOps, _) => ("", Kind::Struct),
        _ => return None,
    };
    Some((prefix, target, kind))
}

/// The BTF of a module, among all that the kernel has.
fn module_btf(module: &str) -> Result<OwnedFd> {
    let refused = |errno| Error::ModuleBtf { module: module.into(), errno };
    let mut id = 0;
    loop {
        id = syscall::next_id(Numbered::Btf, id).map_err(refused)?;
        let fd = match syscall::fd_by_id(Numbered::Btf, id, 0) {
            // It has gone in the meantime.
            Err(Errno(libc::ENOENT)) => continue,
            answer => answer.map_err(refused)?,
        };
        if btf_name(fd.as_fd()).map_err(refused)? == module.as_bytes() {
            return Ok(fd);
        }
    }
}

/// The name of BTF of the kernel's: that of its module. (Linux 5.11)
fn btf_name(btf: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    // struct bpf_btf_info: btf, btf_size, id, name, name_len, kernel_btf.
    const NAME: usize = 16;
    const NAME_LEN: usize = 24;
    let mut info = [0; 32];
    // A module's name has at most 55 bytes (`MODULE_NAME_LEN`) and a NUL.
    let mut name = [0; 64];
    let array = InfoArray {
        pointer_at: NAME,
        count_at: NAME_LEN,
        size_at: None,
        item: 1,
        bytes: &mut name,
    };
    let mut arrays = [array];
    syscall::obj_info(&mut ObjInfo { object: btf, info: &mut info, len: 0, arrays: &mut arrays })?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(name.get(..end).unwrap_or_default().to_vec())
}
