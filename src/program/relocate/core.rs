//! CO-RE relocations: instructions of objects, changed to what the types of the kernel are.

use super::{Answer, NameProblem, Resolution, access, poison, put};
use crate::btf::{Btf, Budget, CoreValue, Resize, resolve};
use crate::insn::Insn;
use crate::spec::{CoreReloc, Reloc};
use std::sync::Arc;

/// The BTF of the objects that a program's code is from, and the limit to the work of comparing its types.
#[derive(Default)]
pub(super) struct LocalTypes {
    all: Vec<(Arc<[u8]>, Btf)>,
    budget: Budget,
}

impl LocalTypes {
    /// Returns the types of an object, and the limit.
    pub(super) fn of(&mut self, types: &Arc<[u8]>) -> Answer<(&Btf, &Budget)> {
        let index = match self.all.iter().position(|(bytes, _)| Arc::ptr_eq(bytes, types)) {
            Some(index) => index,
            None => {
                let btf = Btf::shared(Arc::clone(types))
                    .map_err(|error| NameProblem::Kernel(error.into()))?;
                self.all.push((Arc::clone(types), btf));
                self.all.len() - 1
            }
        };
        match self.all.get(index) {
            Some((_, btf)) => Ok((btf, &self.budget)),
            // It has just been found.
            None => Err(NameProblem::Instruction { problem: "the object has no types" }),
        }
    }
}

impl Resolution<'_, '_> {
    /// Puts the number of a CO-RE relocation into its instruction; one that the kernel has no number for must not be reached.
    pub(super) fn put_core(&mut self, reloc: &Reloc<'_>, core: &CoreReloc) -> Answer<()> {
        let slot = reloc.slot as usize;
        let Some(insn) = self.insns.get(slot).copied() else { return Ok(()) };
        let (local, budget) = self.local.of(&core.types)?;
        match resolve(local, self.context.types, core, budget)? {
            CoreValue::Missing => {
                poison(self.insns, slot);
                Ok(())
            }
            CoreValue::Number { value, resize } => {
                if access(insn).is_some() {
                    match resize {
                        Resize::Keep => {}
                        Resize::Wrong { .. } => {
                            poison(self.insns, slot);
                            return Ok(());
                        }
                        Resize::Change { from, to } => self.resize(slot, insn, from, to)?,
                    }
                }
                // Numbers above 2^63 are negative ones, or the 64 bits of a wide load, where the sign makes no difference.
                put(self.insns, slot, reloc.field, value.cast_signed().into())
            }
        }
    }

    /// Changes the size of a load or store.
    fn resize(&mut self, slot: usize, insn: Insn, from: u32, to: u32) -> Answer<()> {
        let size = match to {
            4 => 0x00,
            2 => 0x08,
            1 => 0x10,
            8 => 0x18,
            _ => return Err(NameProblem::Width { size: to, access: from }),
        };
        if access(insn) != Some(from) {
            return Err(NameProblem::Width { size: from, access: access(insn).unwrap_or(0) });
        }
        let code = insn.opcode() & !0x18 | size;
        if let Some(to) = self.insns.get_mut(slot) {
            *to = Insn::from_fields(code, insn.dst(), insn.src(), insn.offset(), insn.imm());
        }
        Ok(())
    }
}
