//! Enums, flags and error numbers of the kernel's user-space API (`include/uapi/linux/bpf.h`).

/// Defines a type for a numbered enum of the kernel: the variants, their numbers and their usual names.
macro_rules! kernel_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// All variants, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the usual name.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// Returns the variant with that [`name`]($name::name), spelled exactly so.
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
mod errno;
pub(crate) mod flags;
mod map_type;
mod program_type;

pub use attach_type::AttachType;
pub(crate) use errno::ENOTSUPP;
pub use errno::Errno;
pub use flags::{MapFlags, ProgramFlags, TestRunFlags};
pub use map_type::MapType;
pub use program_type::ProgramType;

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks against the constants of `include/uapi/linux/bpf.h` (Linux 7.3) in the order of their
    /// numbers, without the common prefix of the enum; their lower case is the name that `bpftool` prints.
    fn check<T: Copy + std::fmt::Debug + PartialEq>(
        all: &[T],
        first: u32,
        constants: &str,
        number: fn(T) -> u32,
        name: fn(T) -> &'static str,
        from_name: fn(&str) -> Option<T>,
        (source, prefix): (&str, &str),
    ) {
        let constants: Vec<_> = constants.split_whitespace().collect();
        assert_eq!(all.len(), constants.len());
        for ((one, constant), expected) in all.iter().zip(constants).zip(first..) {
            assert_eq!((number(*one), name(*one)), (expected, &*constant.to_lowercase()));
            assert_eq!(from_name(name(*one)), Some(*one));
            // The search of the documentation finds it by the constant.
            let searched =
                format!("#[doc(alias = \"{prefix}{constant}\")]\n        {one:?} = {expected} ");
            assert!(source.contains(&searched), "{searched}");
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
        let found = (include_str!("uapi/map_type.rs"), "BPF_MAP_TYPE_");
        check(MapType::ALL, 1, maps, |one| one as u32, MapType::name, MapType::from_name, found);
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
            (include_str!("uapi/program_type.rs"), "BPF_PROG_TYPE_"),
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
            (include_str!("uapi/attach_type.rs"), "BPF_"),
        );
    }
}
