//! What is found out only at load: descriptors and names in the instructions, and what the program is attached to.
//!
//! A spec holds how that is found, as a pointer, if there is anything to find, which a `const` knows: so a program that
//! names no map, and nothing of the kernel, has the making of maps and the reading of BTF nowhere in it.

use super::Loader;
use super::prepare::{Aim, aim_at_kernel, fill_in, put_descriptors};
use crate::asm::{Assembly, TextProgram};
use crate::btf::Btf;
use crate::codegen::Compiled;
use crate::error::Result;
use crate::insn::Insn;
use crate::spec::{Ask, Code, Hook, ProgramSpec};
use crate::uapi::{ProgramType, flags};
use std::os::fd::OwnedFd;

/// Puts what is found into the instructions. The types are those of the program that this one is for a function of, if it
/// is; what comes back is the array of descriptors that some instructions have their index in.
pub(super) type Fill = for<'a> fn(
    &mut Loader<'a>,
    &ProgramSpec<'a>,
    Option<&Btf>,
    &mut [Insn],
) -> Result<Vec<OwnedFd>>;

/// Fills in the places that assembled code leaves open.
pub(super) struct FillIn(pub(super) Fill);

/// Finds the target of a spec in the kernel's BTF.
pub(super) struct AimAt(pub(super) for<'a> fn(&Loader<'a>, &ProgramSpec<'a>) -> Result<Aim>);

/// Whether programs of a type have their targets in BTF.
pub(super) const fn has_target_in_btf(kind: ProgramType) -> bool {
    matches!(kind, ProgramType::Tracing | ProgramType::Lsm | ProgramType::StructOps)
}

const fn find_target(kind: ProgramType) -> Option<Hook> {
    if has_target_in_btf(kind) { Some(Hook::new(&AimAt(aim_at_kernel))) } else { None }
}

/// The code with the resolver that it needs: none if everything is in it.
#[doc(hidden)]
pub const fn resolvable(mut code: Code<'_>) -> Code<'_> {
    // Maps and data take no look at the kernel's types.
    if !(code.maps.is_empty() && code.names.is_empty()) {
        code.resolver = Some(Hook::new(&FillIn(put_descriptors)));
    }
    let mut index = 0;
    while index < code.names.len() {
        if !matches!(code.names[index].ask, Ask::Data(_)) {
            code.resolver = Some(Hook::new(&FillIn(fill_in)));
        }
        index += 1;
    }
    code
}

impl Assembly<'_> {
    /// The code, for a [`ProgramSpec`].
    pub fn code(&self) -> Code<'_> {
        resolvable(self.unresolved())
    }
}

impl Compiled<'_> {
    /// The code, for a [`ProgramSpec`].
    pub fn code(&self) -> Code<'_> {
        resolvable(self.unresolved())
    }
}

impl TextProgram<'_> {
    /// Its code, with zeros where addresses and numbers of the kernel's are to be filled in.
    pub fn code(&self) -> Code<'_> {
        resolvable(self.unresolved())
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
            attach_type: None,
            flags: flags_of(kind),
            target: None,
            ifindex: None,
            find_target: find_target(kind),
        }
    }

    /// The same program as another type, for instance to attach it to a tracepoint instead of a kprobe.
    pub const fn with_kind(mut self, kind: ProgramType) -> Self {
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
        assert!(PLAIN.code.resolver.is_none() && PLAIN.find_target.is_none());
        assert!(USING.code.resolver.is_some() && NAMING.code.resolver.is_some());
        assert!(PLAIN.with_kind(ProgramType::Tracing).find_target.is_some());
        assert!(
            PLAIN.with_kind(ProgramType::Lsm).with_kind(ProgramType::Xdp).find_target.is_none()
        );
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
