//! Preparation of a load: resolved slots, the attach target, and the BTF that describes the source.

use super::relocate::{Arguments, Relocated, relocate};
use super::source;
use super::{Loader, Program, dump};
#[cfg(feature = "elf")]
use crate::btf::with_contexts;
use crate::btf::{Btf, Entry, Likeness, ProgramTypes};
use crate::error::{Error, Result};
#[cfg(feature = "elf")]
use crate::kernel::version;
#[cfg(feature = "elf")]
use crate::map::load_object_types;
use crate::map::object_name;
use crate::spec::{ObjectCode, ProgramSpec};
use crate::syscall::{self, BtfLoad, ProgBtf, ProgLoad, memlock};
use crate::uapi::{Errno, ProgramType};
#[cfg(feature = "elf")]
use crate::util::Version;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Another program that a program is loaded for, with its types.
pub(super) struct Other<'o> {
    program: &'o Program,
    pub types: Btf,
}

impl<'a> Loader<'a> {
    /// Prepares a load, except for the log, and calls `action` with it.
    pub(super) fn prepared<T>(
        &mut self,
        spec: &ProgramSpec<'a, '_>,
        other: Option<&Other<'_>>,
        action: impl FnOnce(&mut ProgLoad<'_>) -> Result<T>,
    ) -> Result<(T, Option<Box<dyn Arguments>>)> {
        let refuse = |problem| Error::Spec { what: "program", name: spec.name.into(), problem };
        let license =
            CString::new(spec.license).map_err(|_| refuse("its license holds a NUL byte"))?;
        if spec.code.slots.is_empty() {
            return Err(refuse("it has no instructions"));
        }
        let theirs = other.map(|other| &other.types);
        let mut insns = spec.code.slots.to_vec();
        // The maps of jump tables are open until the program is loaded.
        let Relocated { modules, arguments, added, behind, own_types, tables: _tables } =
            relocate(self, spec, theirs, &mut insns)?;
        insns.extend(behind);
        let fd_array: Vec<_> = modules.iter().map(|module| module.as_fd()).collect();
        let target = self.btf_target(spec, other)?;
        let token = self.token.map(AsFd::as_fd);
        let entry = match other {
            Some(other) if spec.kind == ProgramType::Ext => {
                Entry::InPlaceOf(Likeness::of(&other.types, target.id))
            }
            _ => source::context(spec.kind),
        };
        let of_object = spec.code.of_object().filter(|object| !object.functions.is_empty());
        let of_object = of_object
            .filter(|_| added.is_empty())
            .and_then(|object| Some((object, self.object_types(object.types?).ok()?)));
        if own_types && of_object.is_none() {
            return Err(refuse("it allocates types of its object, whose BTF this kernel refuses"));
        }
        // Types that the program allocates are those of its maps only in one and the same BTF.
        let tagged = of_object.as_ref().filter(|_| !own_types);
        let contexts = tagged.and_then(|(object, _)| contexts(object, spec.kind, token));
        let describe = |entry| match of_object {
            Some(_) => None,
            None => source::describe(spec.name, entry, &spec.code, &added),
        };
        let mut types = describe(entry);
        let mut loaded = types.as_ref().map(|types| load_types(types, token));
        if let (Some(Err(Errno(libc::EINVAL))), Entry::Context(_)) = (&loaded, entry) {
            // A kernel before 5.6 does not accept global functions.
            types = describe(Entry::Unsaid);
            loaded = types.as_ref().map(|types| load_types(types, token));
        }
        // The types only help people who inspect the program: if a kernel refuses them, it is loaded
        // without.
        let loaded = loaded.and_then(Result::ok);
        let btf = match &of_object {
            Some((object, btf)) => Some(ProgBtf {
                btf: contexts.as_ref().map_or(btf.as_fd(), |(btf, _)| btf.as_fd()),
                func_info: contexts.as_ref().map_or(object.functions, |(_, functions)| functions),
                line_info: object.lines,
            }),
            None => types.as_ref().zip(loaded.as_ref()).map(|(types, btf)| ProgBtf {
                btf: btf.as_fd(),
                func_info: &types.functions,
                line_info: &types.lines,
            }),
        };
        let name = object_name(spec.name);
        let done = action(&mut ProgLoad {
            prog_type: spec.kind as u32,
            expected_attach_type: target
                .member
                .or(spec.attach_type.map(|attach_type| attach_type as u32))
                .unwrap_or(0),
            flags: spec.flags.bits(),
            insns: &insns,
            license: &license,
            name: &name,
            btf,
            attach_btf_id: target.id,
            attach_to: match other {
                Some(other) => Some(other.program.as_fd()),
                None => target.module.as_ref().map(AsFd::as_fd),
            },
            ifindex: spec.ifindex.unwrap_or(0),
            fd_array: &fd_array,
            token,
            ..Default::default()
        })?;
        Ok((done, arguments))
    }
}

/// Returns a program with its types.
pub(super) fn other(program: &Program) -> Result<Other<'_>> {
    let refused = |errno, note| program.refused("read the types of", errno, note);
    let types = dump::types(program.as_fd()).map_err(|errno| refused(errno, None))?;
    let note = "it has none, and so no function that could be named";
    let types = types.ok_or_else(|| refused(Errno(libc::ENOENT), Some(note)))?;
    Ok(Other { program, types })
}

/// Returns types and functions for a kernel that does not read on which arguments of functions `__arg_ctx` is: before Linux 6.8.
#[cfg(feature = "elf")]
fn contexts(
    object: &ObjectCode<'_>,
    kind: ProgramType,
    token: Option<BorrowedFd<'_>>,
) -> Option<(OwnedFd, Vec<[u32; 2]>)> {
    version::running().filter(|here| *here < Version::new(6, 8))?;
    let (types, functions) = with_contexts(object.types?, object.functions, kind)?;
    Some((load_object_types(&types, token).ok()?, functions))
}

/// Objects are not read here.
#[cfg(not(feature = "elf"))]
fn contexts(
    _: &ObjectCode<'_>,
    _: ProgramType,
    _: Option<BorrowedFd<'_>>,
) -> Option<(OwnedFd, Vec<[u32; 2]>)> {
    None
}

/// Loads the types of a program into the kernel.
fn load_types(types: &ProgramTypes, token: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Errno> {
    let mut load = BtfLoad { btf: &types.blob, token, log: None };
    memlock::with_memlock(|| syscall::btf_load(&mut load))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::syscall::{Call, fake};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Loads on a kernel that refuses types with these errors. Returns the number of attempts to load
    /// types, and whether the program had any in the end.
    fn reported(kind: ProgramType, refusals: &[i32]) -> (usize, bool) {
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
                // A kernel on which EPERM is not about locked memory.
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
        assert_eq!(reported(xdp, &[]), (1, true));
        // Before Linux 5.6 functions cannot be global.
        assert_eq!(reported(xdp, &[libc::EINVAL]), (2, true));
        assert_eq!(reported(xdp, &[libc::EINVAL; 2]), (2, false));
        assert_eq!(reported(xdp, &[libc::EPERM]), (1, false));
        assert_eq!(reported(kprobe, &[libc::EINVAL]), (1, false));
    }
}
