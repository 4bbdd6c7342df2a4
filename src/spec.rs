//! Specs: what a program and a map are to be, as plain data that can sit in a `static`.
//!
//! A spec is the same on every machine and asks nothing of the kernel. What a kernel makes of it is an
//! object: [`Program`](crate::Program), [`Map`](crate::Map).

/// Makes a type of the kernel's numbered enums: the variant, its number and its name in the field.
macro_rules! kernel_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name the field uses for it.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The one of that [`name`]($name::name), written exactly so.
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

mod attach_type;
pub mod flags;
mod map;
mod map_type;
mod program_type;

pub use attach_type::AttachType;
pub use map::MapSpec;
pub use map_type::MapType;
pub use program_type::ProgramType;

use crate::asm::Code;
use crate::program::AimAt;

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
    /// Where exactly it will be attached, for types that must say so at load (`expected_attach_type`,
    /// Linux 4.17).
    pub attach_type: Option<AttachType>,
    /// Flags of `BPF_PROG_LOAD`: see [`flags`].
    pub flags: u32,
    /// What it is for: the function, tracepoint, iterator or structure that the kernel's BTF names, or
    /// `category/name` of a tracepoint; of a program or library `FILE:FUNCTION` or, of a USDT probe, `FILE:PROVIDER:NAME`.
    pub target: Option<&'a str>,
    /// The number of the network device that it is for: of XDP with
    /// [`BPF_F_XDP_DEV_BOUND_ONLY`](flags::BPF_F_XDP_DEV_BOUND_ONLY) (Linux 6.3), and of what a card runs by itself (4.16).
    pub ifindex: Option<u32>,
    /// How the loader finds the target, where the type is one whose target is in BTF.
    #[doc(hidden)]
    pub aim: Option<AimAt>,
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
            aim: AimAt::of(kind),
        }
    }

    /// The same program under another license.
    pub const fn with_license(mut self, license: &'a str) -> Self {
        self.license = license;
        self
    }

    /// The same program as another type, for instance to attach it to a tracepoint instead of a kprobe.
    pub const fn with_kind(mut self, kind: ProgramType) -> Self {
        self.kind = kind;
        self.aim = AimAt::of(kind);
        self.flags |= flags_of(kind);
        self
    }

    /// The same program for this way of attaching it.
    pub const fn with_attach_type(mut self, attach_type: AttachType) -> Self {
        self.attach_type = Some(attach_type);
        self
    }

    /// The same program with these [`flags`], in place of those that it had.
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

/// The flags that every program of a type has.
const fn flags_of(kind: ProgramType) -> u32 {
    if matches!(kind, ProgramType::Syscall) { flags::BPF_F_SLEEPABLE } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constants of `include/uapi/linux/bpf.h` (Linux 7.3) in the order of their numbers, without what
    /// all of an enum begin with; their lower case is the name that `bpftool` prints.
    fn check<T: Copy + std::fmt::Debug + PartialEq>(
        all: &[T],
        first: u32,
        constants: &str,
        number: fn(T) -> u32,
        name: fn(T) -> &'static str,
        from_name: fn(&str) -> Option<T>,
    ) {
        let constants: Vec<_> = constants.split_whitespace().collect();
        assert_eq!(all.len(), constants.len());
        for ((one, constant), expected) in all.iter().zip(constants).zip(first..) {
            assert_eq!((number(*one), name(*one)), (expected, &*constant.to_lowercase()));
            assert_eq!(from_name(name(*one)), Some(*one));
        }
        assert_eq!(from_name("unspec"), None);
    }

    #[test]
    fn types_have_the_kernels_numbers_and_names() {
        let maps = "HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE CGROUP_ARRAY \
            LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP SOCKMAP CPUMAP XSKMAP \
            SOCKHASH CGROUP_STORAGE REUSEPORT_SOCKARRAY PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE \
            DEVMAP_HASH STRUCT_OPS RINGBUF INODE_STORAGE TASK_STORAGE BLOOM_FILTER USER_RINGBUF \
            CGRP_STORAGE ARENA INSN_ARRAY RHASH";
        check(MapType::ALL, 1, maps, |one| one as u32, MapType::name, MapType::from_name);
        let programs = "SOCKET_FILTER KPROBE SCHED_CLS SCHED_ACT TRACEPOINT XDP PERF_EVENT CGROUP_SKB CGROUP_SOCK \
            LWT_IN LWT_OUT LWT_XMIT SOCK_OPS SK_SKB CGROUP_DEVICE SK_MSG RAW_TRACEPOINT CGROUP_SOCK_ADDR \
            LWT_SEG6LOCAL LIRC_MODE2 SK_REUSEPORT FLOW_DISSECTOR CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE \
            CGROUP_SOCKOPT TRACING STRUCT_OPS EXT LSM SK_LOOKUP SYSCALL NETFILTER";
        check(
            ProgramType::ALL,
            1,
            programs,
            |one| one as u32,
            ProgramType::name,
            ProgramType::from_name,
        );
        let attach = "CGROUP_INET_INGRESS CGROUP_INET_EGRESS CGROUP_INET_SOCK_CREATE CGROUP_SOCK_OPS \
            SK_SKB_STREAM_PARSER SK_SKB_STREAM_VERDICT CGROUP_DEVICE SK_MSG_VERDICT CGROUP_INET4_BIND \
            CGROUP_INET6_BIND CGROUP_INET4_CONNECT CGROUP_INET6_CONNECT CGROUP_INET4_POST_BIND \
            CGROUP_INET6_POST_BIND CGROUP_UDP4_SENDMSG CGROUP_UDP6_SENDMSG LIRC_MODE2 FLOW_DISSECTOR \
            CGROUP_SYSCTL CGROUP_UDP4_RECVMSG CGROUP_UDP6_RECVMSG CGROUP_GETSOCKOPT CGROUP_SETSOCKOPT \
            TRACE_RAW_TP TRACE_FENTRY TRACE_FEXIT MODIFY_RETURN LSM_MAC TRACE_ITER \
            CGROUP_INET4_GETPEERNAME CGROUP_INET6_GETPEERNAME CGROUP_INET4_GETSOCKNAME \
            CGROUP_INET6_GETSOCKNAME XDP_DEVMAP CGROUP_INET_SOCK_RELEASE XDP_CPUMAP SK_LOOKUP XDP \
            SK_SKB_VERDICT SK_REUSEPORT_SELECT SK_REUSEPORT_SELECT_OR_MIGRATE PERF_EVENT \
            TRACE_KPROBE_MULTI LSM_CGROUP STRUCT_OPS NETFILTER TCX_INGRESS TCX_EGRESS TRACE_UPROBE_MULTI \
            CGROUP_UNIX_CONNECT CGROUP_UNIX_SENDMSG CGROUP_UNIX_RECVMSG CGROUP_UNIX_GETPEERNAME \
            CGROUP_UNIX_GETSOCKNAME NETKIT_PRIMARY NETKIT_PEER TRACE_KPROBE_SESSION TRACE_UPROBE_SESSION \
            TRACE_FSESSION TRACE_FENTRY_MULTI TRACE_FEXIT_MULTI TRACE_FSESSION_MULTI";
        check(
            AttachType::ALL,
            0,
            attach,
            |one| one as u32,
            AttachType::name,
            AttachType::from_name,
        );
    }

    static INNER: MapSpec = MapSpec::array("inner", 8, 4);
    static OUTER: MapSpec = MapSpec::hash_of_maps("outer", 4, 16, &INNER);
    static RODATA: MapSpec = MapSpec::array("rodata", 3, 1)
        .with_flags(flags::BPF_F_RDONLY_PROG | flags::BPF_F_MMAPABLE)
        .with_contents(b"abc")
        .with_frozen(true);

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
