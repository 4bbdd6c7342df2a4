//! Specs: what a program and a map are to be, as plain data that can sit in a `static`.
//!
//! A spec is the same on every machine and asks nothing of the kernel. What a kernel makes of it is an
//! object: [`Program`](crate::Program), [`Map`](crate::Map).

pub mod attach_point;
mod attach_to;
mod code;
mod collection;
mod data;
mod hook;
mod map;
mod reloc;

pub use attach_to::AttachTo;
pub(crate) use attach_to::RETURN;
pub use code::{Code, CodeLabels, LabelPlace, Line};
pub use collection::{Assembly, Collection, CollectionProgram};
pub(crate) use collection::{CollectionData, NamedLabels};
pub use data::{Data, Section, Variable};
pub(crate) use hook::Hook;
pub use map::MapSpec;
pub(crate) use map::{first_map_version, implied_flags, implied_sizes};
pub use reloc::{Reloc, RelocField, RelocKind, RelocTarget};

use crate::uapi::{AttachType, ProgramType};

/// A program to be: its code and what the kernel must know to load it.
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
#[derive(Debug, Clone, Copy)]
pub struct ProgramSpec<'a> {
    /// Its name, in messages whole; the kernel keeps the first 15 bytes, letters, digits, `_` and `.`.
    pub name: &'a str,
    /// Where it can be attached, and so which helpers and context it has.
    pub kind: ProgramType,
    /// The license it declares. Many tracing helpers are only for programs whose license is compatible
    /// with the GPL; [`ProgramSpec::new`] declares `GPL`.
    pub license: &'a str,
    /// What it does.
    pub code: Code<'a>,
    /// The kind of place that it is attached to, which the kernel has to know at load for some types (`expected_attach_type`,
    /// Linux 4.17). If there is one for the type, or the kernel takes the type for one, [`new`](ProgramSpec::new) and
    /// [`with_kind`](ProgramSpec::with_kind) set it; types that have several need a choice.
    pub attach_type: Option<AttachType>,
    /// Flags of `BPF_PROG_LOAD`: see [`flags`](crate::flags).
    pub flags: u32,
    /// What it is for: the function, tracepoint, iterator or structure that the kernel's BTF names, or
    /// `category/name` of a tracepoint; of a program or library `FILE:FUNCTION` or, of a USDT probe, `FILE:PROVIDER:NAME`.
    pub target: Option<&'a str>,
    /// The place that it will be attached to, if that is not what `target` says: whoever loads a program for an attachment
    /// sets it, and `args.NAME` means the arguments there.
    pub attach_to: Option<AttachTo<'a>>,
    /// The number of the network device that it is for: of XDP with
    /// [`BPF_F_XDP_DEV_BOUND_ONLY`](crate::flags::BPF_F_XDP_DEV_BOUND_ONLY) (Linux 6.3), and of what a card runs by itself (4.16).
    pub ifindex: Option<u32>,
    /// The loader's search for the target in BTF, of the types that have theirs there.
    #[doc(hidden)]
    pub find_target: Option<Hook>,
}

impl<'a> ProgramSpec<'a> {
    /// The same program under another license.
    pub const fn with_license(mut self, license: &'a str) -> Self {
        self.license = license;
        self
    }

    /// The same program for this way of attaching it.
    pub const fn with_attach_type(mut self, attach_type: AttachType) -> Self {
        self.attach_type = Some(attach_type);
        self
    }

    /// The same program with these [`flags`](crate::flags), in place of those that it had.
    pub const fn with_flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// The same program for the network device of this number.
    pub const fn with_ifindex(mut self, ifindex: u32) -> Self {
        self.ifindex = Some(ifindex);
        self
    }

    /// The same program for this [`target`](ProgramSpec::target).
    pub const fn with_target(mut self, target: &'a str) -> Self {
        self.target = Some(target);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uapi::flags;

    static INNER: MapSpec = MapSpec::array("inner", 8, 4);
    static OUTER: MapSpec = MapSpec::hash_of_maps("outer", 4, 16, &INNER);
    static RODATA: MapSpec = MapSpec::array("rodata", 3, 1)
        .with_flags(flags::BPF_F_RDONLY_PROG | flags::BPF_F_MMAPABLE)
        .with_contents(b"abc")
        .with_frozen(true);

    #[test]
    fn a_spec_has_the_attach_type_of_its_type() {
        const EXIT: ProgramSpec<'_> =
            ProgramSpec::new("p", ProgramType::CgroupDevice, crate::bpf! { r0 = 0; exit; });
        use AttachType as A;
        assert_eq!(EXIT.attach_type, Some(A::CgroupDevice));
        assert_eq!(EXIT.with_kind(ProgramType::Kprobe).attach_type, None);
        let kprobe = EXIT.with_kind(ProgramType::Kprobe);
        assert_eq!(kprobe.with_kind(ProgramType::Netfilter).attach_type, Some(A::Netfilter));
        // What was chosen stays.
        let chosen = EXIT.with_attach_type(A::TraceFentry).with_kind(ProgramType::Tracing);
        assert_eq!(chosen.attach_type, Some(A::TraceFentry));
    }

    #[test]
    fn specs_say_everything_in_a_static() {
        assert_eq!(OUTER.inner.map(|inner| inner.name), Some("inner"));
        assert_eq!((OUTER.key_size, OUTER.value_size, OUTER.max_entries), (4, 4, 16));
        assert_eq!(
            (RODATA.contents, RODATA.frozen, RODATA.flags),
            (Some(&b"abc"[..]), true, 0x480)
        );
        assert_eq!(MapSpec::ring_buffer("r", 4096).with_numa_node(1).numa_node, Some(1));
        assert_eq!(MapSpec::lpm_trie("t", 8, 4, 9).flags, flags::BPF_F_NO_PREALLOC);
    }
}
