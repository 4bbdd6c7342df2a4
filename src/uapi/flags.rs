//! Flags of `bpf(2)`, by the names of `include/uapi/linux/bpf.h`.
//!
//! The sets of flags are the public types; the numbers, by the kernel's names, are for the code that makes the calls.

use crate::util::Version;

pub(crate) const BPF_F_NO_PREALLOC: u32 = 1 << 0;
pub(crate) const BPF_F_NO_COMMON_LRU: u32 = 1 << 1;
pub(crate) const BPF_F_NUMA_NODE: u32 = 1 << 2;
pub(crate) const BPF_F_RDONLY: u32 = 1 << 3;
pub(crate) const BPF_F_WRONLY: u32 = 1 << 4;
pub(crate) const BPF_F_STACK_BUILD_ID: u32 = 1 << 5;
pub(crate) const BPF_F_ZERO_SEED: u32 = 1 << 6;
pub(crate) const BPF_F_RDONLY_PROG: u32 = 1 << 7;
pub(crate) const BPF_F_WRONLY_PROG: u32 = 1 << 8;
pub(crate) const BPF_F_CLONE: u32 = 1 << 9;
pub(crate) const BPF_F_MMAPABLE: u32 = 1 << 10;
pub(crate) const BPF_F_PRESERVE_ELEMS: u32 = 1 << 11;
pub(crate) const BPF_F_INNER_MAP: u32 = 1 << 12;
pub(crate) const BPF_F_LINK: u32 = 1 << 13;
pub(crate) const BPF_F_PATH_FD: u32 = 1 << 14;
pub(crate) const BPF_F_VTYPE_BTF_OBJ_FD: u32 = 1 << 15;
pub(crate) const BPF_F_TOKEN_FD: u32 = 1 << 16;
pub(crate) const BPF_F_SEGV_ON_FAULT: u32 = 1 << 17;
pub(crate) const BPF_F_NO_USER_CONV: u32 = 1 << 18;
pub(crate) const BPF_F_RB_OVERWRITE: u32 = 1 << 19;
pub(crate) const BPF_F_STRICT_ALIGNMENT: u32 = 1 << 0;
pub(crate) const BPF_F_ANY_ALIGNMENT: u32 = 1 << 1;
pub(crate) const BPF_F_TEST_RND_HI32: u32 = 1 << 2;
pub(crate) const BPF_F_TEST_STATE_FREQ: u32 = 1 << 3;
pub(crate) const BPF_F_SLEEPABLE: u32 = 1 << 4;
pub(crate) const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
pub(crate) const BPF_F_XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
pub(crate) const BPF_F_TEST_REG_INVARIANTS: u32 = 1 << 7;
pub(crate) const BPF_F_TEST_RUN_ON_CPU: u32 = 1 << 0;
pub(crate) const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
pub(crate) const BPF_F_TEST_SKB_CHECKSUM_COMPLETE: u32 = 1 << 2;

bitflags::bitflags! {
    /// Flags of a map, as in [`MapSpec::flags`](crate::MapSpec::flags).
    ///
    /// Bits that have no name here are passed to the kernel unchecked: `MapFlags::from_bits_retain(1 << 30)`.
    ///
    /// ```
    /// use rawbpf::{MapFlags, MapSpec};
    ///
    /// static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 1024)
    ///     .with_flags(MapFlags::NO_PREALLOC.union(MapFlags::RDONLY_PROG));
    /// assert!(COUNTS.flags.contains(MapFlags::NO_PREALLOC));
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct MapFlags: u32 {
        /// A hash table takes memory as elements come. An LPM trie, storage and a hash that grows demand it. Linux 4.6.
        #[doc(alias = "BPF_F_NO_PREALLOC")]
        const NO_PREALLOC = BPF_F_NO_PREALLOC;
        /// An LRU list for each CPU instead of one for all. Quicker; forgets less exactly. Linux 4.10.
        #[doc(alias = "BPF_F_NO_COMMON_LRU")]
        const NO_COMMON_LRU = BPF_F_NO_COMMON_LRU;
        /// Its memory is on the NUMA node that `numa_node` names. Linux 4.14.
        #[doc(alias = "BPF_F_NUMA_NODE")]
        const NUMA_NODE = BPF_F_NUMA_NODE;
        /// System calls may only read it. Linux 4.15.
        #[doc(alias = "BPF_F_RDONLY")]
        const RDONLY = BPF_F_RDONLY;
        /// System calls may only write it. Linux 4.15.
        #[doc(alias = "BPF_F_WRONLY")]
        const WRONLY = BPF_F_WRONLY;
        /// Stacks hold build ids and offsets instead of addresses. Linux 4.17.
        #[doc(alias = "BPF_F_STACK_BUILD_ID")]
        const STACK_BUILD_ID = BPF_F_STACK_BUILD_ID;
        /// The hash has no random seed; for tests only. Linux 5.0.
        #[doc(alias = "BPF_F_ZERO_SEED")]
        const ZERO_SEED = BPF_F_ZERO_SEED;
        /// Programs may only read it. Linux 5.2.
        #[doc(alias = "BPF_F_RDONLY_PROG")]
        const RDONLY_PROG = BPF_F_RDONLY_PROG;
        /// Programs may only write it. Linux 5.2.
        #[doc(alias = "BPF_F_WRONLY_PROG")]
        const WRONLY_PROG = BPF_F_WRONLY_PROG;
        /// A connection that is accepted inherits the socket's storage. Linux 5.4.
        #[doc(alias = "BPF_F_CLONE")]
        const CLONE = BPF_F_CLONE;
        /// An array whose values can be mapped into memory; an arena demands it. Linux 5.5.
        #[doc(alias = "BPF_F_MMAPABLE")]
        const MMAPABLE = BPF_F_MMAPABLE;
        /// Perf events stay in the array when the descriptor that put them there is closed. Linux 5.10.
        #[doc(alias = "BPF_F_PRESERVE_ELEMS")]
        const PRESERVE_ELEMS = BPF_F_PRESERVE_ELEMS;
        /// An array of another length may take its place in a map of maps. Linux 5.10.
        #[doc(alias = "BPF_F_INNER_MAP")]
        const INNER_MAP = BPF_F_INNER_MAP;
        /// A `struct_ops` that is registered by a link. Linux 6.4.
        #[doc(alias = "BPF_F_LINK")]
        const LINK = BPF_F_LINK;
        /// The type of a `struct_ops` value is in a module's BTF. Linux 6.9.
        #[doc(alias = "BPF_F_VTYPE_BTF_OBJ_FD")]
        const VTYPE_BTF_OBJ_FD = BPF_F_VTYPE_BTF_OBJ_FD;
        /// It is made by the right of a BPF token. Linux 6.9.
        #[doc(alias = "BPF_F_TOKEN_FD")]
        const TOKEN_FD = BPF_F_TOKEN_FD;
        /// Touching a page that an arena lacks is `SIGSEGV` and does not make one. Linux 6.9.
        #[doc(alias = "BPF_F_SEGV_ON_FAULT")]
        const SEGV_ON_FAULT = BPF_F_SEGV_ON_FAULT;
        /// Pointers in an arena are not made into those of user space. Linux 6.9.
        #[doc(alias = "BPF_F_NO_USER_CONV")]
        const NO_USER_CONV = BPF_F_NO_USER_CONV;
        /// A full ring buffer drops its oldest records instead of the newest. Linux 6.19.
        #[doc(alias = "BPF_F_RB_OVERWRITE")]
        const RB_OVERWRITE = BPF_F_RB_OVERWRITE;
        // All other bits are kept, for kernels that know them.
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// Flags of a program, as in [`ProgramSpec::flags`](crate::ProgramSpec::flags). Bits that have no name here are passed to the
    /// kernel unchecked.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ProgramFlags: u32 {
        /// It is made by the right of a BPF token. Linux 6.9.
        #[doc(alias = "BPF_F_TOKEN_FD")]
        const TOKEN_FD = BPF_F_TOKEN_FD;
        /// The verifier demands aligned accesses as if the machine did. Linux 4.12.
        #[doc(alias = "BPF_F_STRICT_ALIGNMENT")]
        const STRICT_ALIGNMENT = BPF_F_STRICT_ALIGNMENT;
        /// The verifier allows any alignment, also where the machine does not; for tests only. Linux 5.0.
        #[doc(alias = "BPF_F_ANY_ALIGNMENT")]
        const ANY_ALIGNMENT = BPF_F_ANY_ALIGNMENT;
        /// Upper halves of registers that do not matter are filled with random bits; for tests only. Linux 5.3.
        #[doc(alias = "BPF_F_TEST_RND_HI32")]
        const TEST_RND_HI32 = BPF_F_TEST_RND_HI32;
        /// The verifier keeps many more states; for tests only. Linux 5.4.
        #[doc(alias = "BPF_F_TEST_STATE_FREQ")]
        const TEST_STATE_FREQ = BPF_F_TEST_STATE_FREQ;
        /// It may sleep, and call what sleeps. Linux 5.10.
        #[doc(alias = "BPF_F_SLEEPABLE")]
        const SLEEPABLE = BPF_F_SLEEPABLE;
        /// XDP that can handle packets in several pieces. Linux 5.18.
        #[doc(alias = "BPF_F_XDP_HAS_FRAGS")]
        const XDP_HAS_FRAGS = BPF_F_XDP_HAS_FRAGS;
        /// XDP for one device, with that device's kfuncs. Linux 6.3.
        #[doc(alias = "BPF_F_XDP_DEV_BOUND_ONLY")]
        const XDP_DEV_BOUND_ONLY = BPF_F_XDP_DEV_BOUND_ONLY;
        /// A verifier that contradicts itself rejects the program; for tests only. Linux 6.8.
        #[doc(alias = "BPF_F_TEST_REG_INVARIANTS")]
        const TEST_REG_INVARIANTS = BPF_F_TEST_REG_INVARIANTS;
        // All other bits are kept, for kernels that know them.
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// Flags of a test run, for [`TestRunOptions::flags`](crate::TestRunOptions::flags). Bits that have no name here are passed to the
    /// kernel unchecked.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct TestRunFlags: u32 {
        /// On the CPU that is named. Set with the CPU by [`TestRunOptions::cpu`](crate::TestRunOptions::cpu). Linux
        /// 5.10.
        #[doc(alias = "BPF_F_TEST_RUN_ON_CPU")]
        const RUN_ON_CPU = BPF_F_TEST_RUN_ON_CPU;
        /// XDP whose packets go where the program sends them, through drivers and the network stack. Linux 5.18.
        #[doc(alias = "BPF_F_TEST_XDP_LIVE_FRAMES")]
        const XDP_LIVE_FRAMES = BPF_F_TEST_XDP_LIVE_FRAMES;
        /// The packet has a checksum that the program is to keep right; the kernel compares. Linux 6.11.
        #[doc(alias = "BPF_F_TEST_SKB_CHECKSUM_COMPLETE")]
        const SKB_CHECKSUM_COMPLETE = BPF_F_TEST_SKB_CHECKSUM_COMPLETE;
        // All other bits are kept, for kernels that know them.
        const _ = !0;
    }
}

/// A flag, its name, and the version that added it.
pub(crate) type Known = (u32, &'static str, Version);

const fn known(flag: u32, name: &'static str, major: u16, minor: u16) -> Known {
    (flag, name, Version::new(major, minor))
}

/// The flags of maps.
pub(crate) const OF_MAPS: [Known; 19] = [
    known(BPF_F_NO_PREALLOC, "BPF_F_NO_PREALLOC", 4, 6),
    known(BPF_F_NO_COMMON_LRU, "BPF_F_NO_COMMON_LRU", 4, 10),
    known(BPF_F_NUMA_NODE, "BPF_F_NUMA_NODE", 4, 14),
    known(BPF_F_RDONLY, "BPF_F_RDONLY", 4, 15),
    known(BPF_F_WRONLY, "BPF_F_WRONLY", 4, 15),
    known(BPF_F_STACK_BUILD_ID, "BPF_F_STACK_BUILD_ID", 4, 17),
    known(BPF_F_ZERO_SEED, "BPF_F_ZERO_SEED", 5, 0),
    known(BPF_F_RDONLY_PROG, "BPF_F_RDONLY_PROG", 5, 2),
    known(BPF_F_WRONLY_PROG, "BPF_F_WRONLY_PROG", 5, 2),
    known(BPF_F_CLONE, "BPF_F_CLONE", 5, 4),
    known(BPF_F_MMAPABLE, "BPF_F_MMAPABLE", 5, 5),
    known(BPF_F_PRESERVE_ELEMS, "BPF_F_PRESERVE_ELEMS", 5, 10),
    known(BPF_F_INNER_MAP, "BPF_F_INNER_MAP", 5, 10),
    known(BPF_F_LINK, "BPF_F_LINK", 6, 4),
    known(BPF_F_VTYPE_BTF_OBJ_FD, "BPF_F_VTYPE_BTF_OBJ_FD", 6, 9),
    known(BPF_F_TOKEN_FD, "BPF_F_TOKEN_FD", 6, 9),
    known(BPF_F_SEGV_ON_FAULT, "BPF_F_SEGV_ON_FAULT", 6, 9),
    known(BPF_F_NO_USER_CONV, "BPF_F_NO_USER_CONV", 6, 9),
    known(BPF_F_RB_OVERWRITE, "BPF_F_RB_OVERWRITE", 6, 19),
];

/// The flags of programs.
pub(crate) const OF_PROGRAMS: [Known; 9] = [
    known(BPF_F_STRICT_ALIGNMENT, "BPF_F_STRICT_ALIGNMENT", 4, 12),
    known(BPF_F_ANY_ALIGNMENT, "BPF_F_ANY_ALIGNMENT", 5, 0),
    known(BPF_F_TEST_RND_HI32, "BPF_F_TEST_RND_HI32", 5, 3),
    known(BPF_F_TEST_STATE_FREQ, "BPF_F_TEST_STATE_FREQ", 5, 4),
    known(BPF_F_SLEEPABLE, "BPF_F_SLEEPABLE", 5, 10),
    known(BPF_F_XDP_HAS_FRAGS, "BPF_F_XDP_HAS_FRAGS", 5, 18),
    known(BPF_F_XDP_DEV_BOUND_ONLY, "BPF_F_XDP_DEV_BOUND_ONLY", 6, 3),
    known(BPF_F_TEST_REG_INVARIANTS, "BPF_F_TEST_REG_INVARIANTS", 6, 8),
    known(BPF_F_TOKEN_FD, "BPF_F_TOKEN_FD", 6, 9),
];

/// Returns the flags that no kernel has which is known here: `0x2000000 (bit 25)`; `None` if there are none.
#[cfg(feature = "cli")]
pub(crate) fn strange(flags: u32, known: &[Known]) -> Option<String> {
    let strange = flags & !known.iter().fold(0, |all, (flag, ..)| all | flag);
    let bits: Vec<_> =
        (0..u32::BITS).filter(|bit| strange >> bit & 1 != 0).map(|bit| bit.to_string()).collect();
    let word = if bits.len() == 1 { "bit" } else { "bits" };
    (strange != 0).then(|| format!("{strange:#x} ({word} {})", bits.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each flag in the table is one bit, and its version is that of its documentation.
    #[test]
    fn the_tables_are_those_of_the_documentation() {
        let source = include_str!("flags.rs");
        for (flag, name, since) in OF_MAPS.iter().chain(&OF_PROGRAMS) {
            assert!(flag.is_power_of_two(), "{name}");
            let alias = source.find(&format!("#[doc(alias = \"{name}\")]")).unwrap();
            let before = source[..alias].trim_end();
            assert!(before.ends_with(&format!("Linux {since}.")), "{name}");
        }
    }
}
