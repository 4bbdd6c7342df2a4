//! The types of programs.

use std::fmt;

kernel_enum! {
    /// The type of a program (`enum bpf_prog_type`), by the name that `bpftool` prints.
    #[doc(alias = "bpf_prog_type")]
    ProgramType {
        /// Packets that come to a socket, context `struct __sk_buff`. Linux 3.19.
        #[doc(alias = "BPF_PROG_TYPE_SOCKET_FILTER")]
        SocketFilter = 1 "socket_filter",
        /// Functions of the kernel and of processes, by kprobe, uprobe and USDT, entry and return; context `struct pt_regs`. Linux 4.1.
        #[doc(alias("kretprobe", "Uprobe", "uretprobe", "usdt", "ksyscall"))]
        #[doc(alias = "BPF_PROG_TYPE_KPROBE")]
        Kprobe = 2 "kprobe",
        /// Traffic classifiers (`tc`, tcx, netkit), context `struct __sk_buff`. Linux 4.1.
        #[doc(alias = "BPF_PROG_TYPE_SCHED_CLS")]
        SchedCls = 3 "sched_cls",
        /// Traffic actions (`tc`), context `struct __sk_buff`. Linux 4.1.
        #[doc(alias = "BPF_PROG_TYPE_SCHED_ACT")]
        SchedAct = 4 "sched_act",
        /// Static tracepoints of the kernel; the context is the record that the tracepoint's `format` file describes.
        /// Linux 4.7.
        #[doc(alias = "BPF_PROG_TYPE_TRACEPOINT")]
        Tracepoint = 5 "tracepoint",
        /// Packets as the network driver receives them, context `struct xdp_md`. Linux 4.8.
        #[doc(alias = "BPF_PROG_TYPE_XDP")]
        Xdp = 6 "xdp",
        /// Samples of a perf event, context `struct bpf_perf_event_data`. Linux 4.9.
        #[doc(alias = "BPF_PROG_TYPE_PERF_EVENT")]
        PerfEvent = 7 "perf_event",
        /// Packets in and out of the sockets of a control group, context `struct __sk_buff`. Linux 4.10.
        #[doc(alias = "BPF_PROG_TYPE_CGROUP_SKB")]
        CgroupSkb = 8 "cgroup_skb",
        /// Sockets that a control group makes, binds or lets go, context `struct bpf_sock`. Linux 4.10.
        #[doc(alias = "BPF_PROG_TYPE_CGROUP_SOCK")]
        CgroupSock = 9 "cgroup_sock",
        /// Packets that come in by a route (lightweight tunnel), context `struct __sk_buff`. Linux 4.10.
        #[doc(alias = "BPF_PROG_TYPE_LWT_IN")]
        LwtIn = 10 "lwt_in",
        /// Packets that go out by a route, context `struct __sk_buff`. Linux 4.10.
        #[doc(alias = "BPF_PROG_TYPE_LWT_OUT")]
        LwtOut = 11 "lwt_out",
        /// Packets as they are sent by a route, context `struct __sk_buff`. Linux 4.10.
        #[doc(alias = "BPF_PROG_TYPE_LWT_XMIT")]
        LwtXmit = 12 "lwt_xmit",
        /// Events in the life of TCP connections of a control group, context `struct bpf_sock_ops`. Linux 4.13.
        #[doc(alias = "BPF_PROG_TYPE_SOCK_OPS")]
        SockOps = 13 "sock_ops",
        /// Data that comes to a socket in a socket map, context `struct __sk_buff`. Linux 4.14.
        #[doc(alias = "BPF_PROG_TYPE_SK_SKB")]
        SkSkb = 14 "sk_skb",
        /// Whether a control group may use a device, context `struct bpf_cgroup_dev_ctx`. Linux 4.15.
        #[doc(alias = "BPF_PROG_TYPE_CGROUP_DEVICE")]
        CgroupDevice = 15 "cgroup_device",
        /// Data that a socket in a socket map sends, context `struct sk_msg_md`. Linux 4.17.
        #[doc(alias = "BPF_PROG_TYPE_SK_MSG")]
        SkMsg = 16 "sk_msg",
        /// Static tracepoints, with the arguments of the tracepoint as they are: context
        /// `struct bpf_raw_tracepoint_args`. Linux 4.17.
        #[doc(alias = "BPF_PROG_TYPE_RAW_TRACEPOINT")]
        RawTracepoint = 17 "raw_tracepoint",
        /// Addresses that sockets of a control group bind, connect or send to, context `struct bpf_sock_addr`.
        /// Linux 4.17.
        #[doc(alias = "BPF_PROG_TYPE_CGROUP_SOCK_ADDR")]
        CgroupSockAddr = 18 "cgroup_sock_addr",
        /// Packets of IPv6 segment routing that end here, context `struct __sk_buff`. Linux 4.18.
        #[doc(alias = "BPF_PROG_TYPE_LWT_SEG6LOCAL")]
        LwtSeg6local = 19 "lwt_seg6local",
        /// Infrared remote controls; the context is the `u32` of one pulse or space. Linux 4.18.
        #[doc(alias = "BPF_PROG_TYPE_LIRC_MODE2")]
        LircMode2 = 20 "lirc_mode2",
        /// Chooses a socket of a `SO_REUSEPORT` group, context `struct sk_reuseport_md`. Linux 4.19.
        #[doc(alias = "BPF_PROG_TYPE_SK_REUSEPORT")]
        SkReuseport = 21 "sk_reuseport",
        /// Finds the headers of a packet, context `struct __sk_buff`. Linux 4.20.
        #[doc(alias = "BPF_PROG_TYPE_FLOW_DISSECTOR")]
        FlowDissector = 22 "flow_dissector",
        /// Reads and writes of `/proc/sys` by a control group, context `struct bpf_sysctl`. Linux 5.2.
        #[doc(alias = "BPF_PROG_TYPE_CGROUP_SYSCTL")]
        CgroupSysctl = 23 "cgroup_sysctl",
        /// Raw tracepoints that let a program write into an argument, context `struct bpf_raw_tracepoint_args`.
        /// Linux 5.2.
        #[doc(alias = "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE")]
        RawTracepointWritable = 24 "raw_tracepoint_writable",
        /// `getsockopt` and `setsockopt` by a control group, context `struct bpf_sockopt`. Linux 5.3.
        #[doc(alias = "BPF_PROG_TYPE_CGROUP_SOCKOPT")]
        CgroupSockopt = 25 "cgroup_sockopt",
        /// Entry and exit of kernel functions, BTF tracepoints and iterators; the context is an array of the arguments, each
        /// a `u64`, with the types that the kernel's BTF says. Linux 5.5.
        #[doc(alias = "BPF_PROG_TYPE_TRACING")]
        Tracing = 26 "tracing",
        /// A function in a table of the kernel, such as a congestion control's; the context is an array of its arguments.
        /// Linux 5.6.
        #[doc(alias = "BPF_PROG_TYPE_STRUCT_OPS")]
        StructOps = 27 "struct_ops",
        /// Replaces a function of another program; the context is that function's. Linux 5.6.
        #[doc(alias = "BPF_PROG_TYPE_EXT")]
        Ext = 28 "ext",
        /// Security hooks; the context is an array of the hook's arguments. Linux 5.7.
        #[doc(alias = "BPF_PROG_TYPE_LSM")]
        Lsm = 29 "lsm",
        /// Chooses the socket that a packet or connection comes to, context `struct bpf_sk_lookup`. Linux 5.9.
        #[doc(alias = "BPF_PROG_TYPE_SK_LOOKUP")]
        SkLookup = 30 "sk_lookup",
        /// Run only by a system call of user space; the context is passed by the caller. Linux 5.14.
        #[doc(alias = "BPF_PROG_TYPE_SYSCALL")]
        Syscall = 31 "syscall",
        /// Hooks of netfilter, context `struct bpf_nf_ctx`. Linux 6.4.
        #[doc(alias = "BPF_PROG_TYPE_NETFILTER")]
        Netfilter = 32 "netfilter",
    }
}
