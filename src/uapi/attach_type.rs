//! The types of attachment.

use std::fmt;

kernel_enum! {
    /// The attach type of a program (`enum bpf_attach_type`), by the name that `bpftool` prints.
    ///
    /// Some program types need it already at load (`expected_attach_type`): the verifier's rules depend on it.
    #[doc(alias = "bpf_attach_type")]
    AttachType {
        /// Packets that a control group receives. Linux 4.10.
        #[doc(alias = "BPF_CGROUP_INET_INGRESS")]
        CgroupInetIngress = 0 "cgroup_inet_ingress",
        /// Packets that a control group sends. Linux 4.10.
        #[doc(alias = "BPF_CGROUP_INET_EGRESS")]
        CgroupInetEgress = 1 "cgroup_inet_egress",
        /// Sockets that a control group makes. Linux 4.10.
        #[doc(alias = "BPF_CGROUP_INET_SOCK_CREATE")]
        CgroupInetSockCreate = 2 "cgroup_inet_sock_create",
        /// Events of the TCP connections of a control group. Linux 4.13.
        #[doc(alias = "BPF_CGROUP_SOCK_OPS")]
        CgroupSockOps = 3 "cgroup_sock_ops",
        /// Finds the end of a message in a stream. Linux 4.14.
        #[doc(alias = "BPF_SK_SKB_STREAM_PARSER")]
        SkSkbStreamParser = 4 "sk_skb_stream_parser",
        /// Decides the destination of a message of a stream. Linux 4.14.
        #[doc(alias = "BPF_SK_SKB_STREAM_VERDICT")]
        SkSkbStreamVerdict = 5 "sk_skb_stream_verdict",
        /// Devices that a control group uses. Linux 4.15.
        #[doc(alias = "BPF_CGROUP_DEVICE")]
        CgroupDevice = 6 "cgroup_device",
        /// Decides the destination of data that a socket sends. Linux 4.17.
        #[doc(alias = "BPF_SK_MSG_VERDICT")]
        SkMsgVerdict = 7 "sk_msg_verdict",
        /// `bind` to an IPv4 address. Linux 4.17.
        #[doc(alias = "BPF_CGROUP_INET4_BIND")]
        CgroupInet4Bind = 8 "cgroup_inet4_bind",
        /// `bind` to an IPv6 address. Linux 4.17.
        #[doc(alias = "BPF_CGROUP_INET6_BIND")]
        CgroupInet6Bind = 9 "cgroup_inet6_bind",
        /// `connect` to an IPv4 address. Linux 4.17.
        #[doc(alias = "BPF_CGROUP_INET4_CONNECT")]
        CgroupInet4Connect = 10 "cgroup_inet4_connect",
        /// `connect` to an IPv6 address. Linux 4.17.
        #[doc(alias = "BPF_CGROUP_INET6_CONNECT")]
        CgroupInet6Connect = 11 "cgroup_inet6_connect",
        /// After a `bind` to an IPv4 address. Linux 4.17.
        #[doc(alias = "BPF_CGROUP_INET4_POST_BIND")]
        CgroupInet4PostBind = 12 "cgroup_inet4_post_bind",
        /// After a `bind` to an IPv6 address. Linux 4.17.
        #[doc(alias = "BPF_CGROUP_INET6_POST_BIND")]
        CgroupInet6PostBind = 13 "cgroup_inet6_post_bind",
        /// `sendmsg` of UDP to an IPv4 address. Linux 4.18.
        #[doc(alias = "BPF_CGROUP_UDP4_SENDMSG")]
        CgroupUdp4Sendmsg = 14 "cgroup_udp4_sendmsg",
        /// `sendmsg` of UDP to an IPv6 address. Linux 4.18.
        #[doc(alias = "BPF_CGROUP_UDP6_SENDMSG")]
        CgroupUdp6Sendmsg = 15 "cgroup_udp6_sendmsg",
        /// Infrared remote controls. Linux 4.18.
        #[doc(alias = "BPF_LIRC_MODE2")]
        LircMode2 = 16 "lirc_mode2",
        /// The headers of packets. Linux 4.20.
        #[doc(alias = "BPF_FLOW_DISSECTOR")]
        FlowDissector = 17 "flow_dissector",
        /// Reads and writes of `/proc/sys`. Linux 5.2.
        #[doc(alias = "BPF_CGROUP_SYSCTL")]
        CgroupSysctl = 18 "cgroup_sysctl",
        /// `recvmsg` of UDP from an IPv4 address. Linux 5.2.
        #[doc(alias = "BPF_CGROUP_UDP4_RECVMSG")]
        CgroupUdp4Recvmsg = 19 "cgroup_udp4_recvmsg",
        /// `recvmsg` of UDP from an IPv6 address. Linux 5.2.
        #[doc(alias = "BPF_CGROUP_UDP6_RECVMSG")]
        CgroupUdp6Recvmsg = 20 "cgroup_udp6_recvmsg",
        /// `getsockopt`. Linux 5.3.
        #[doc(alias = "BPF_CGROUP_GETSOCKOPT")]
        CgroupGetsockopt = 21 "cgroup_getsockopt",
        /// `setsockopt`. Linux 5.3.
        #[doc(alias = "BPF_CGROUP_SETSOCKOPT")]
        CgroupSetsockopt = 22 "cgroup_setsockopt",
        /// A tracepoint with BTF types (`tp_btf`). Linux 5.5.
        #[doc(alias = "BPF_TRACE_RAW_TP")]
        TraceRawTp = 23 "trace_raw_tp",
        /// The entry of a kernel function or of a program. Linux 5.5.
        #[doc(alias = "BPF_TRACE_FENTRY")]
        TraceFentry = 24 "trace_fentry",
        /// The exit of a kernel function or of a program. Linux 5.5.
        #[doc(alias = "BPF_TRACE_FEXIT")]
        TraceFexit = 25 "trace_fexit",
        /// A kernel function that lets its return value be decided (`fmod_ret`). Linux 5.7.
        #[doc(alias = "BPF_MODIFY_RETURN")]
        ModifyReturn = 26 "modify_return",
        /// A security hook. Linux 5.7.
        #[doc(alias = "BPF_LSM_MAC")]
        LsmMac = 27 "lsm_mac",
        /// An iterator over objects of the kernel. Linux 5.8.
        #[doc(alias = "BPF_TRACE_ITER")]
        TraceIter = 28 "trace_iter",
        /// `getpeername` of an IPv4 socket. Linux 5.8.
        #[doc(alias = "BPF_CGROUP_INET4_GETPEERNAME")]
        CgroupInet4Getpeername = 29 "cgroup_inet4_getpeername",
        /// `getpeername` of an IPv6 socket. Linux 5.8.
        #[doc(alias = "BPF_CGROUP_INET6_GETPEERNAME")]
        CgroupInet6Getpeername = 30 "cgroup_inet6_getpeername",
        /// `getsockname` of an IPv4 socket. Linux 5.8.
        #[doc(alias = "BPF_CGROUP_INET4_GETSOCKNAME")]
        CgroupInet4Getsockname = 31 "cgroup_inet4_getsockname",
        /// `getsockname` of an IPv6 socket. Linux 5.8.
        #[doc(alias = "BPF_CGROUP_INET6_GETSOCKNAME")]
        CgroupInet6Getsockname = 32 "cgroup_inet6_getsockname",
        /// XDP that runs when a packet is sent to a device of a map. Linux 5.8.
        #[doc(alias = "BPF_XDP_DEVMAP")]
        XdpDevMap = 33 "xdp_devmap",
        /// Sockets that a control group lets go. Linux 5.9.
        #[doc(alias = "BPF_CGROUP_INET_SOCK_RELEASE")]
        CgroupInetSockRelease = 34 "cgroup_inet_sock_release",
        /// XDP that runs on the CPU that a packet was sent to. Linux 5.9.
        #[doc(alias = "BPF_XDP_CPUMAP")]
        XdpCpuMap = 35 "xdp_cpumap",
        /// The socket that a packet or connection comes to. Linux 5.9.
        #[doc(alias = "BPF_SK_LOOKUP")]
        SkLookup = 36 "sk_lookup",
        /// Packets as the network driver receives them, by a link. Linux 5.9.
        #[doc(alias = "BPF_XDP")]
        Xdp = 37 "xdp",
        /// Decides the destination of data, of stream and datagram sockets, without a parser. Linux 5.13.
        #[doc(alias = "BPF_SK_SKB_VERDICT")]
        SkSkbVerdict = 38 "sk_skb_verdict",
        /// A socket of a `SO_REUSEPORT` group. Linux 5.14.
        #[doc(alias = "BPF_SK_REUSEPORT_SELECT")]
        SkReuseportSelect = 39 "sk_reuseport_select",
        /// The same, also for connections of a socket that is closed. Linux 5.14.
        #[doc(alias = "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE")]
        SkReuseportSelectOrMigrate = 40 "sk_reuseport_select_or_migrate",
        /// A perf event: kprobe, uprobe, tracepoint or counter. Linux 5.15.
        #[doc(alias = "BPF_PERF_EVENT")]
        PerfEvent = 41 "perf_event",
        /// The entry or the exit of many kernel functions. Linux 5.18.
        #[doc(alias = "BPF_TRACE_KPROBE_MULTI")]
        TraceKprobeMulti = 42 "trace_kprobe_multi",
        /// A security hook, for a control group. Linux 6.0.
        #[doc(alias = "BPF_LSM_CGROUP")]
        LsmCgroup = 43 "lsm_cgroup",
        /// A table of functions of the kernel. Linux 6.4.
        #[doc(alias = "BPF_STRUCT_OPS")]
        StructOps = 44 "struct_ops",
        /// A hook of netfilter. Linux 6.4.
        #[doc(alias = "BPF_NETFILTER")]
        Netfilter = 45 "netfilter",
        /// Packets that a device receives. Linux 6.6.
        #[doc(alias = "BPF_TCX_INGRESS")]
        TcxIngress = 46 "tcx_ingress",
        /// Packets that a device sends. Linux 6.6.
        #[doc(alias = "BPF_TCX_EGRESS")]
        TcxEgress = 47 "tcx_egress",
        /// The entry or the exit of many functions of a file. Linux 6.6.
        #[doc(alias = "BPF_TRACE_UPROBE_MULTI")]
        TraceUprobeMulti = 48 "trace_uprobe_multi",
        /// `connect` of a Unix socket. Linux 6.7.
        #[doc(alias = "BPF_CGROUP_UNIX_CONNECT")]
        CgroupUnixConnect = 49 "cgroup_unix_connect",
        /// `sendmsg` of a Unix socket. Linux 6.7.
        #[doc(alias = "BPF_CGROUP_UNIX_SENDMSG")]
        CgroupUnixSendmsg = 50 "cgroup_unix_sendmsg",
        /// `recvmsg` of a Unix socket. Linux 6.7.
        #[doc(alias = "BPF_CGROUP_UNIX_RECVMSG")]
        CgroupUnixRecvmsg = 51 "cgroup_unix_recvmsg",
        /// `getpeername` of a Unix socket. Linux 6.7.
        #[doc(alias = "BPF_CGROUP_UNIX_GETPEERNAME")]
        CgroupUnixGetpeername = 52 "cgroup_unix_getpeername",
        /// `getsockname` of a Unix socket. Linux 6.7.
        #[doc(alias = "BPF_CGROUP_UNIX_GETSOCKNAME")]
        CgroupUnixGetsockname = 53 "cgroup_unix_getsockname",
        /// Packets that the host's side of a netkit device sends. Linux 6.7.
        #[doc(alias = "BPF_NETKIT_PRIMARY")]
        NetkitPrimary = 54 "netkit_primary",
        /// Packets that the container's side of a netkit device sends. Linux 6.7.
        #[doc(alias = "BPF_NETKIT_PEER")]
        NetkitPeer = 55 "netkit_peer",
        /// Entry and exit of many kernel functions, by one program. Linux 6.10.
        #[doc(alias = "BPF_TRACE_KPROBE_SESSION")]
        TraceKprobeSession = 56 "trace_kprobe_session",
        /// Entry and exit of many functions of a file, by one program. Linux 6.13.
        #[doc(alias = "BPF_TRACE_UPROBE_SESSION")]
        TraceUprobeSession = 57 "trace_uprobe_session",
        /// Entry and exit of a kernel function, by one program. Linux 7.0.
        #[doc(alias = "BPF_TRACE_FSESSION")]
        TraceFsession = 58 "trace_fsession",
        /// The entry of many kernel functions, with BTF types. Linux 7.2.
        #[doc(alias = "BPF_TRACE_FENTRY_MULTI")]
        TraceFentryMulti = 59 "trace_fentry_multi",
        /// The exit of many kernel functions, with BTF types. Linux 7.2.
        #[doc(alias = "BPF_TRACE_FEXIT_MULTI")]
        TraceFexitMulti = 60 "trace_fexit_multi",
        /// Entry and exit of many kernel functions, by one program, with BTF types. Linux 7.2.
        #[doc(alias = "BPF_TRACE_FSESSION_MULTI")]
        TraceFsessionMulti = 61 "trace_fsession_multi",
    }
}
