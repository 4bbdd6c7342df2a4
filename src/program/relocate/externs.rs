//! Externs of objects: addresses of variables and functions of the kernel.

use super::core::LocalTypes;
use super::problem::{is_missing, is_missing_function};
use super::{Answer, NameProblem, Resolution, put};
use crate::btf::{Body, Btf, Kind, essential_name, types_are_compatible};
use crate::insn::{Insn, Pseudo};
use crate::kernel::symbols;
use crate::spec::{Extern, Reloc, RelocField, RelocKind};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

impl LocalTypes {
    /// Compares the type that an object declares with that of the kernel's variable or function.
    pub(super) fn check(&mut self, wanted: &Extern, kernel: &Btf, id: u32) -> Answer<()> {
        if wanted.type_id == 0 {
            return Ok(());
        }
        let (local, budget) = self.of(&wanted.types)?;
        let found = kernel.get(id).map_err(crate::Error::from)?;
        let (Body::Variable { of, .. } | Body::Function { prototype: of, .. }) = found.body else {
            return Err(NameProblem::Instruction {
                problem: "it is neither variable nor function",
            });
        };
        let same = types_are_compatible(local, wanted.type_id, kernel, of, budget);
        if same.map_err(crate::Error::from)? {
            return Ok(());
        }
        let declaration = |btf: &Btf, id| btf.declaration(id, &wanted.name).unwrap_or_default();
        Err(NameProblem::Declaration {
            object: declaration(local, wanted.type_id),
            kernel: declaration(kernel, of),
        })
    }
}

impl Resolution<'_, '_> {
    /// Puts the address of an extern into `lddw`; 0 of a weak one that the kernel does not have.
    pub(super) fn put_extern(&mut self, reloc: &Reloc<'_>, wanted: &Extern) -> Answer<()> {
        let slot = reloc.slot as usize;
        let missing = match reloc.kind {
            RelocKind::Symbol => match address(&wanted.name)? {
                Some(address) => {
                    let address = address.cast_signed().into();
                    return put(self.insns, slot, RelocField::Immediate, address);
                }
                None => NameProblem::NoSymbol,
            },
            kind => {
                let is_missing = match kind {
                    RelocKind::FunctionAddress => is_missing_function,
                    _ => is_missing,
                };
                match self.put_btf_id(slot, wanted, kind) {
                    Err(problem) if is_missing(&problem) => problem,
                    done => return done,
                }
            }
        };
        if !wanted.weak {
            return Err(missing);
        }
        put(self.insns, slot, RelocField::Immediate, 0)
    }

    /// Makes `lddw` one of the address of what has a BTF id.
    fn put_btf_id(&mut self, slot: usize, wanted: &Extern, kind: RelocKind) -> Answer<()> {
        let (name, kind) = match kind {
            RelocKind::Variable => (&*wanted.name, Kind::Variable),
            _ => (essential_name(&wanted.name), Kind::Function),
        };
        let (id, place) = self.context.types.type_id(name, kind)?;
        self.local.check(wanted, place.btf, id)?;
        let descriptor = match place.module {
            None => 0,
            Some(module) => {
                let index = self.module(module)?;
                self.modules.get(index).map_or(0, |(_, btf)| btf.as_raw_fd())
            }
        };
        if let Some(insn) = self.insns.get_mut(slot) {
            let (code, dst, source) = (insn.opcode(), insn.dst(), Pseudo::BtfId as u8);
            *insn = Insn::from_fields(code, dst, source, 0, id.cast_signed());
        }
        if let Some(second) = self.insns.get_mut(slot + 1) {
            *second = second.with_imm(descriptor);
        }
        Ok(())
    }
}

/// Returns the address of the one kernel symbol of that name; none if there is none.
fn address(name: &str) -> Answer<Option<u64>> {
    let (mut found, mut several) = (None, false);
    symbols::each(|symbol| {
        if symbol.name == name {
            several |= found.is_some_and(|found| found != symbol.address);
            found = Some(symbol.address);
        }
        if several { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match found {
        _ if several => Err(NameProblem::Instruction {
            problem: "several symbols of the kernel have this name, at different addresses",
        }),
        Some(0) => Err(NameProblem::Instruction {
            problem: "the kernel hides addresses (kernel.kptr_restrict), or this user may not see them",
        }),
        found => Ok(found),
    }
}
