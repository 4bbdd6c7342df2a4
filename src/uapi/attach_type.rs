//! The types of attachment.

use std::fmt;

kernel_enum! {
    /// The attach type of a program (`enum bpf_attach_type`), by the name that `bpftool` prints.
    ///
    /// Some program types need it already at load (`expected_attach_type`): the verifier's rules depend on it.
    AttachType {
        /// Packets that a control group receives. Linux 4.10.
        CgroupInetIngress = 0 "cgroup_inet_ingress",
        /// Packets that a control group sends. Linux 4.10.
        CgroupInetEgress = 1 "cgroup_inet_egress",
        /// Sockets that a control group makes. Linux 4.10.
        CgroupInetSockCreate = 2 "cgroup_inet_sock_create",
        /// Events of the TCP connections of a control group. Linux 4.13.
        CgroupSockOps = 3 "cgroup_sock_ops",
        /// Finds the end of a message in a stream. Linux 4.14.
        SkSkbStreamParser = 4 "sk_skb_stream_parser",
        /// Decides the destination of a message of a stream. Linux 4.14.
        SkSkbStreamVerdict = 5 "sk_skb_stream_verdict",
        /// Devices that a control group uses. Linux 4.15.
        CgroupDevice = 6 "cgroup_device",
        /// Decides the destination of data that a socket sends. Linux 4.17.
        SkMsgVerdict = 7 "sk_msg_verdict",
        /// `bind` to an IPv4 address. Linux 4.17.
        CgroupInet4Bind = 8 "cgroup_inet4_bind",
        /// `bind` to an IPv6 address. Linux 4.17.
        CgroupInet6Bind = 9 "cgroup_inet6_bind",
        /// `connect` to an IPv4 address. Linux 4.17.
        CgroupInet4Connect = 10 "cgroup_inet4_connect",
        /// `connect` to an IPv6 address. Linux 4.17.
        CgroupInet6Connect = 11 "cgroup_inet6_connect",
        /// After a `bind` to an IPv4 address. Linux 4.17.
        CgroupInet4PostBind = 12 "cgroup_inet4_post_bind",
        /// After a `bind` to an IPv6 address. Linux 4.17.
        CgroupInet6PostBind = 13 "cgroup_inet6_post_bind",
        /// `sendmsg` of UDP to an IPv4 address. Linux 4.18.
        CgroupUdp4Sendmsg = 14 "cgroup_udp4_sendmsg",
        /// `sendmsg` of UDP to an IPv6 address. Linux 4.18.
        CgroupUdp6Sendmsg = 15 "cgroup_udp6_sendmsg",
        /// Infrared remote controls. Linux 4.18.
        LircMode2 = 16 "lirc_mode2",
        /// The headers of packets. Linux 4.20.
        FlowDissector = 17 "flow_dissector",
        /// Reads and writes of `/proc/sys`. Linux 5.2.
        CgroupSysctl = 18 "cgroup_sysctl",
        /// `recvmsg` of UDP from an IPv4 address. Linux 5.2.
        CgroupUdp4Recvmsg = 19 "cgroup_udp4_recvmsg",
        /// `recvmsg` of UDP from an IPv6 address. Linux 5.2.
        CgroupUdp6Recvmsg = 20 "cgroup_udp6_recvmsg",
        /// `getsockopt`. Linux 5.3.
        CgroupGetsockopt = 21 "cgroup_getsockopt",
        /// `setsockopt`. Linux 5.3.
        CgroupSetsockopt = 22 "cgroup_setsockopt",
        /// A tracepoint with BTF types (`tp_btf`). Linux 5.5.
        TraceRawTp = 23 "trace_raw_tp",
        /// The entry of a kernel function or of a program. Linux 5.5.
        TraceFentry = 24 "trace_fentry",
        /// The exit of a kernel function or of a program. Linux 5.5.
        TraceFexit = 25 "trace_fexit",
        /// A kernel function that lets its return value be decided (`fmod_ret`). Linux 5.7.
        ModifyReturn = 26 "modify_return",
        /// A security hook. Linux 5.7.
        LsmMac = 27 "lsm_mac",
        /// An iterator over objects of the kernel. Linux 5.8.
        TraceIter = 28 "trace_iter",
        /// `getpeername` of an IPv4 socket. Linux 5.8.
        CgroupInet4Getpeername = 29 "cgroup_inet4_getpeername",
        /// `getpeername` of an IPv6 socket. Linux 5.8.
        CgroupInet6Getpeername = 30 "cgroup_inet6_getpeername",
        /// `getsockname` of an IPv4 socket. Linux 5.8.
        CgroupInet4Getsockname = 31 "cgroup_inet4_getsockname",
        /// `getsockname` of an IPv6 socket. Linux 5.8.
        CgroupInet6Getsockname = 32 "cgroup_inet6_getsockname",
        /// XDP that runs when a packet is sent to a device of a map. Linux 5.8.
        XdpDevMap = 33 "xdp_devmap",
        /// Sockets that a control group lets go. Linux 5.9.
        CgroupInetSockRelease = 34 "cgroup_inet_sock_release",
        /// XDP that runs on the CPU that a packet was sent to. Linux 5.9.
        XdpCpuMap = 35 "xdp_cpumap",
        /// The socket that a packet or connection comes to. Linux 5.9.
        SkLookup = 36 "sk_lookup",
        /// Packets as the network driver receives them, by a link. Linux 5.9.
        Xdp = 37 "xdp",
        /// Decides the destination of data, of stream and datagram sockets, without a parser. Linux 5.13.
        SkSkbVerdict = 38 "sk_skb_verdict",
        /// A socket of a `SO_REUSEPORT` group. Linux 5.14.
        SkReuseportSelect = 39 "sk_reuseport_select",
        /// The same, also for connections of a socket that is closed. Linux 5.14.
        SkReuseportSelectOrMigrate = 40 "sk_reuseport_select_or_migrate",
        /// A perf event: kprobe, uprobe, tracepoint or counter. Linux 5.15.
        PerfEvent = 41 "perf_event",
        /// The entry or the exit of many kernel functions. Linux 5.18.
        TraceKprobeMulti = 42 "trace_kprobe_multi",
        /// A security hook, for a control group. Linux 6.0.
        LsmCgroup = 43 "lsm_cgroup",
        /// A table of functions of the kernel. Linux 6.4.
        StructOps = 44 "struct_ops",
        /// A hook of netfilter. Linux 6.4.
        Netfilter = 45 "netfilter",
        /// Packets that a device receives. Linux 6.6.
        TcxIngress = 46 "tcx_ingress",
        /// Packets that a device sends. Linux 6.6.
        TcxEgress = 47 "tcx_egress",
        /// The entry or the exit of many functions of a file. Linux 6.6.
        TraceUprobeMulti = 48 "trace_uprobe_multi",
        /// `connect` of a Unix socket. Linux 6.7.
        CgroupUnixConnect = 49 "cgroup_unix_connect",
        /// `sendmsg` of a Unix socket. Linux 6.7.
        CgroupUnixSendmsg = 50 "cgroup_unix_sendmsg",
        /// `recvmsg` of a Unix socket. Linux 6.7.
        CgroupUnixRecvmsg = 51 "cgroup_unix_recvmsg",
        /// `getpeername` of a Unix socket. Linux 6.7.
        CgroupUnixGetpeername = 52 "cgroup_unix_getpeername",
        /// `getsockname` of a Unix socket. Linux 6.7.
        CgroupUnixGetsockname = 53 "cgroup_unix_getsockname",
        /// Packets that the host's side of a netkit device sends. Linux 6.7.
        NetkitPrimary = 54 "netkit_primary",
        /// Packets that the container's side of a netkit device sends. Linux 6.7.
        NetkitPeer = 55 "netkit_peer",
        /// Entry and exit of many kernel functions, by one program. Linux 6.10.
        TraceKprobeSession = 56 "trace_kprobe_session",
        /// Entry and exit of many functions of a file, by one program. Linux 6.13.
        TraceUprobeSession = 57 "trace_uprobe_session",
        /// Entry and exit of a kernel function, by one program. Linux 7.0.
        TraceFsession = 58 "trace_fsession",
        /// The entry of many kernel functions, with BTF types. Linux 7.2.
        TraceFentryMulti = 59 "trace_fentry_multi",
        /// The exit of many kernel functions, with BTF types. Linux 7.2.
        TraceFexitMulti = 60 "trace_fexit_multi",
        /// Entry and exit of many kernel functions, by one program, with BTF types. Linux 7.2.
        TraceFsessionMulti = 61 "trace_fsession_multi",
    }
}
