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
use crate::spec::ProgramSpec;
use crate::uapi::ProgramType;
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

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::spec::{MapSpec, ProgramSpec};
    use crate::syscall::{Call, fake};
    use crate::uapi::{Errno, MapType, ProgramType};
    use crate::{Loader, Map, bpf};

    static COUNTS: MapSpec = MapSpec::array("counts", 8, 1);
    const PLAIN: ProgramSpec<'_> =
        ProgramSpec::new("plain", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    const USING: ProgramSpec<'_> =
        ProgramSpec::new("using", ProgramType::Kprobe, bpf! { r1 = COUNTS ll; r0 = 0; exit; });
    const NAMING: ProgramSpec<'_> =
        ProgramSpec::new("naming", ProgramType::Kprobe, bpf! { r0 = sizeof(task_struct); exit; });

    #[test]
    fn a_spec_holds_only_what_it_needs() {
        assert!(PLAIN.code.open.is_none() && PLAIN.aim.is_none());
        assert!(USING.code.open.is_some() && NAMING.code.open.is_some());
        assert!(PLAIN.with_kind(ProgramType::Tracing).aim.is_some());
        assert!(PLAIN.with_kind(ProgramType::Lsm).with_kind(ProgramType::Xdp).aim.is_none());
        assert!(COUNTS.find_table.is_none());
        assert!(MapSpec::struct_ops("ops", "tcp_congestion_ops").find_table.is_some());
    }

    /// What is put into a spec past its functions is not passed over in silence.
    #[test]
    fn what_was_set_by_hand_is_refused() {
        let none = |_: &mut Call<'_, '_>| -> Option<Result<i64, Errno>> { panic!("asked") };
        let mut code = PLAIN.code;
        (code.slots, code.names) = (NAMING.code.slots, NAMING.code.names);
        let named = ProgramSpec { code, ..PLAIN };
        let mut used = PLAIN;
        used.code.maps = USING.code.maps;
        let aimed = ProgramSpec { kind: ProgramType::Lsm, target: Some("file_open"), ..PLAIN };
        fake::with(none, || {
            for (spec, word) in [(named, "names"), (used, "maps"), (aimed, "with_kind")] {
                let Err(Error::Spec { problem, .. }) = Loader::new().load(&spec) else {
                    panic!("{word}");
                };
                assert!(problem.contains(word), "{problem}");
            }
            let table = MapSpec {
                kind: MapType::StructOps,
                table: Some("tcp_congestion_ops"),
                value_size: 0,
                ..MapSpec::array("ops", 4, 1)
            };
            let error = Map::create(&table).unwrap_err();
            assert!(matches!(error, Error::MapField { field: "kind", .. }), "{error}");
        });
        // Code in the place of other code is as good as that was.
        let ok = |call: &mut Call<'_, '_>| match call {
            Call::MapCreate(_) | Call::ProgLoad(_) | Call::BtfLoad(_) => Some(fake::descriptor()),
            _ => None,
        };
        fake::with(ok, || Loader::new().load(&ProgramSpec { code: USING.code, ..PLAIN })).unwrap();
    }
}
