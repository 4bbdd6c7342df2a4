//! What is found out only at load: descriptors and names in the instructions, and what the program is attached to.
//!
//! A spec holds how that is found, as a pointer, if there is anything to find, which a `const` knows: so a program that
//! names no map, and nothing of the kernel, has the making of maps and the reading of BTF nowhere in it.

use super::Loader;
use super::prepare::{Aim, aim_at_kernel, fill_in, put_descriptors};
use crate::asm::{Ask, MapReference, Name};
use crate::btf::Btf;
use crate::error::Result;
use crate::insn::Insn;
use crate::spec::{ProgramSpec, ProgramType};
use std::fmt;
use std::os::fd::OwnedFd;

/// Puts what is found into the instructions. The types are those of the program that this one is for a function of, if it
/// is; what comes back is the array of descriptors that some instructions have their index in.
pub(super) type Fill = for<'a> fn(
    &mut Loader<'a>,
    &ProgramSpec<'a>,
    Option<&Btf>,
    &mut [Insn],
) -> Result<Vec<OwnedFd>>;

/// How the places that an assembled program leaves open are filled.
#[derive(Clone, Copy)]
pub struct FillIn(pub(super) Fill);

impl FillIn {
    /// For what these are; `None` if they are nothing.
    pub(crate) const fn of(maps: &[MapReference<'_>], names: &[Name]) -> Option<FillIn> {
        let mut index = 0;
        while index < names.len() {
            if !matches!(names[index].ask, Ask::Data(_)) {
                return Some(FillIn(fill_in));
            }
            index += 1;
        }
        // Maps and data take no look at the kernel's types.
        if maps.is_empty() && names.is_empty() { None } else { Some(FillIn(put_descriptors)) }
    }
}

impl fmt::Debug for FillIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FillIn")
    }
}

/// How the target of a spec is found in the kernel's BTF.
#[derive(Clone, Copy)]
pub struct AimAt(pub(super) for<'a> fn(&Loader<'a>, &ProgramSpec<'a>) -> Result<Aim>);

impl AimAt {
    /// For programs of a type; `None` if those are not attached by BTF.
    pub(crate) const fn of(kind: ProgramType) -> Option<AimAt> {
        if AimAt::is_for(kind) { Some(AimAt(aim_at_kernel)) } else { None }
    }

    pub(super) const fn is_for(kind: ProgramType) -> bool {
        matches!(kind, ProgramType::Tracing | ProgramType::Lsm | ProgramType::StructOps)
    }
}

impl fmt::Debug for AimAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AimAt")
    }
}
