//! Specs: descriptions of programs and maps, as plain data that can be in a `static`.
//!
//! A spec is the same on every machine and needs nothing of the kernel. A kernel makes an object of it: a
//! [`Program`](crate::Program), a [`Map`](crate::Map).

mod adjust;
pub mod attach_point;
mod attach_to;
mod code;
mod collection;
mod core;
mod data;
mod hook;
mod jump_table;
mod kconfig;
mod map;
mod object;
mod reloc;

pub use adjust::InitialValue;
pub(crate) use adjust::VariablePlace;
pub use attach_to::AttachTo;
pub(crate) use attach_to::RETURN;
pub use code::{Code, CodeLabels, LabelPlace, Line};
pub use collection::{Assembly, Collection, CollectionProgram};
pub(crate) use collection::{CollectionData, Declarations, NamedLabels};
pub(crate) use core::POISON;
pub use core::{CoreKind, CoreReloc, Extern};
pub use data::{Data, Section, Variable};
pub(crate) use hook::Hook;
pub use jump_table::JumpTable;
#[cfg(feature = "elf")]
pub(crate) use kconfig::KconfigValues;
pub use kconfig::{Kconfig, Setting, SettingKind};
pub use map::MapSpec;
pub(crate) use map::{first_map_version, implied_flags, implied_sizes};
#[cfg_attr(not(feature = "elf"), allow(unused_imports))]
pub use object::{
    DataSection, DataTypes, InnerMap, ObjectCode, ObjectLine, ObjectMap, ObjectTypes,
    StructOpsTable,
};
pub use reloc::{Reloc, RelocField, RelocKind, RelocTarget};

use crate::uapi::{AttachType, ProgramFlags, ProgramType};

/// The description of a program: its code and the attributes that the kernel needs to load it.
///
/// ```
/// use rawbpf::{ProgramSpec, ProgramType, bpf};
///
/// static RETURN_ONE: ProgramSpec = ProgramSpec::new("one", ProgramType::Kprobe, bpf! {
///     r0 = 1;
///     exit;
/// });
/// assert_eq!(RETURN_ONE.code.slots.len(), 2);
/// ```
///
/// `'code` is how long the code lasts, and the maps that it names, which a [`Loader`](crate::Loader) keeps; `'name` is how long the names
/// last: its own, its license and its target, which are needed for the load alone.
#[derive(Debug, Clone, Copy)]
pub struct ProgramSpec<'code, 'name> {
    /// Its name. Messages show all of it; the kernel keeps the first 15 bytes, letters, digits, `_` and `.`.
    pub name: &'name str,
    /// The program type, which decides the attach points, the helpers and the context.
    pub kind: ProgramType,
    /// The license it declares. Many tracing helpers are only available to programs whose license is compatible with
    /// the GPL; [`ProgramSpec::new`] declares `GPL`.
    pub license: &'name str,
    /// The instructions, and their relocations.
    pub code: Code<'code>,
    /// The attach type, which the kernel needs at load for some program types (`expected_attach_type`, Linux 4.17).
    /// If the program type has only one, or the kernel has a default, [`new`](ProgramSpec::new) and
    /// [`with_kind`](ProgramSpec::with_kind) set it; for types with several, one has to be chosen.
    pub attach_type: Option<AttachType>,
    /// Flags of `BPF_PROG_LOAD`: see [`ProgramFlags`].
    pub flags: ProgramFlags,
    /// The attach target: the function, tracepoint, iterator or structure that the kernel's BTF names, or
    /// `category/name` of a tracepoint; for a program or library `FILE:FUNCTION` or, for a USDT probe,
    /// `FILE:PROVIDER:NAME`.
    pub target: Option<&'name str>,
    /// The place that it will be attached to, if that is not the one in `target`: set by code that loads a program
    /// for an attachment; `args.NAME` then refers to the arguments there.
    pub attach_to: Option<AttachTo<'name>>,
    /// The index of the network device that it is for: for XDP with
    /// [`BPF_F_XDP_DEV_BOUND_ONLY`](crate::ProgramFlags::XDP_DEV_BOUND_ONLY) (Linux 6.3), and for offloaded programs
    /// (4.16).
    pub ifindex: Option<u32>,
    /// The loader's function that finds the target in BTF, for the program types that have theirs there.
    #[doc(hidden)]
    pub find_target: Option<Hook>,
}

impl<'code, 'name> ProgramSpec<'code, 'name> {
    /// The same program under another license.
    pub const fn with_license(mut self, license: &'name str) -> Self {
        self.license = license;
        self
    }

    /// The same program with this attach type.
    pub const fn with_attach_type(mut self, attach_type: AttachType) -> Self {
        self.attach_type = Some(attach_type);
        self
    }

    /// The same program with these flags, in place of those that it had.
    pub const fn with_flags(mut self, flags: ProgramFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The same program for the network device with this index.
    pub const fn with_ifindex(mut self, ifindex: u32) -> Self {
        self.ifindex = Some(ifindex);
        self
    }

    /// The same program for this [`target`](ProgramSpec::target).
    pub const fn with_target(mut self, target: &'name str) -> Self {
        self.target = Some(target);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uapi::MapFlags;

    static INNER: MapSpec = MapSpec::array("inner", 8, 4);
    static OUTER: MapSpec = MapSpec::hash_of_maps("outer", 4, 16, &INNER);
    static RODATA: MapSpec = MapSpec::array("rodata", 3, 1)
        .with_flags(MapFlags::RDONLY_PROG.union(MapFlags::MMAPABLE))
        .with_contents(b"abc")
        .with_frozen(true);

    #[test]
    fn a_spec_has_the_attach_type_of_its_type() {
        const EXIT: ProgramSpec<'_, '_> =
            ProgramSpec::new("p", ProgramType::CgroupDevice, crate::bpf! { r0 = 0; exit; });
        use AttachType as A;
        assert_eq!(EXIT.attach_type, Some(A::CgroupDevice));
        assert_eq!(EXIT.with_kind(ProgramType::Kprobe).attach_type, None);
        let kprobe = EXIT.with_kind(ProgramType::Kprobe);
        assert_eq!(kprobe.with_kind(ProgramType::Netfilter).attach_type, Some(A::Netfilter));
        // An attach type that was chosen is kept.
        let chosen = EXIT.with_attach_type(A::TraceFentry).with_kind(ProgramType::Tracing);
        assert_eq!(chosen.attach_type, Some(A::TraceFentry));
    }

    #[test]
    fn specs_say_everything_in_a_static() {
        assert_eq!(OUTER.inner.map(|inner| inner.name), Some("inner"));
        assert_eq!((OUTER.key_size, OUTER.value_size, OUTER.max_entries), (4, 4, 16));
        assert_eq!(
            (RODATA.contents, RODATA.frozen, RODATA.flags),
            (Some(&b"abc"[..]), true, MapFlags::from_bits_retain(0x480))
        );
        assert_eq!(MapSpec::ring_buffer("r", 4096).with_numa_node(1).numa_node, Some(1));
        assert_eq!(MapSpec::lpm_trie("t", 8, 4, 9).flags, MapFlags::NO_PREALLOC);
    }
}
