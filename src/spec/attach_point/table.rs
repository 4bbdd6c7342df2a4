//! The rows of the table, and the attach methods that they name.

use super::{Arguments as Args, AttachPoint, List, Rest, Suffix};
use crate::uapi::{AttachType as A, ProgramType as P};
use crate::util::Version;

/// The method of attaching a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attach {
    /// It cannot be attached by a target; the text names the alternative.
    No(&'static str),
    /// A kprobe, or one for each function that matches.
    Kprobe {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// A kprobe on the function of a system call.
    Syscall {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// One link for many kernel functions.
    KprobeMulti {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// One link for entry and return of many kernel functions.
    KprobeSession,
    /// A perf event on a tracepoint.
    Tracepoint,
    /// A raw tracepoint.
    RawTracepoint,
    /// A raw tracepoint whose argument the program may write to.
    RawTracepointWritable,
    /// A tracepoint that was named at load.
    BtfTracepoint,
    /// A trampoline of a function that was named at load.
    Trampoline(TrampolineAt),
    /// A security hook that was named at load.
    Lsm,
    /// An iterator that was named at load.
    Iter,
    /// A uprobe, or one for each function that matches.
    Uprobe {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// One link for many functions of a file.
    UprobeMulti {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// One link for entry and return of many functions of a file.
    UprobeSession,
    /// Uprobes at the places of a USDT probe.
    Usdt,
    /// A software event of perf.
    Software,
    /// A hardware event of perf.
    Hardware,
    /// A timer that samples at a frequency per second.
    Profile,
    /// XDP of a network device.
    Xdp(XdpMode),
    /// The traffic control of a network device.
    Tc(TcMethod),
    /// The traffic control of a network device in one direction, by a link.
    Tcx(Direction),
    /// A control group.
    Cgroup,
    /// A network namespace.
    Netns,
    /// A packet socket.
    Socket,
}

/// The point of a function at which a trampoline calls a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrampolineAt {
    /// Before it: `fentry`.
    #[doc(alias = "BPF_TRACE_FENTRY")]
    Entry,
    /// After it: `fexit`.
    #[doc(alias = "BPF_TRACE_FEXIT")]
    Exit,
    /// Before it, and the program can return instead of it: `fmod_ret`.
    #[doc(alias = "BPF_MODIFY_RETURN")]
    ModifyReturn,
    /// Before and after it: `fsession` (Linux 7.0).
    #[doc(alias = "BPF_TRACE_FSESSION")]
    Session,
}

/// The XDP mode: native driver or generic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XdpMode {
    /// Native if the driver supports it, else generic.
    Any,
    /// Native: in the driver.
    #[doc(alias = "XDP_FLAGS_DRV_MODE")]
    Native,
    /// Generic: after the packet has become an `skb` (Linux 4.12).
    #[doc(alias = "XDP_FLAGS_SKB_MODE")]
    Generic,
}

/// The direction of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Incoming packets.
    Ingress,
    /// Outgoing packets.
    Egress,
}

/// The method of attaching to traffic control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TcMethod {
    /// The first of the other methods that the kernel supports.
    Best,
    /// By a link (Linux 6.6).
    #[doc(alias = "BPF_TCX_INGRESS")]
    Tcx,
    /// As a filter of the queueing discipline `clsact`, by netlink (Linux 4.5).
    #[doc(alias = "cls_bpf")]
    Clsact,
}

/// Returns a row for programs without a special syntax that are loaded without an attach type.
const fn plain(name: &'static str, program_type: P, (major, minor): (u16, u16)) -> AttachPoint {
    AttachPoint {
        name,
        also: &[],
        section: name,
        program_type,
        attach_type: None,
        suffix: None,
        rest: Rest::Nothing,
        among: None,
        arguments: Args::Nothing,
        since: Version::new(major, minor),
        list: List::Nothing,
        repeats: false,
        attach: Attach::No("this library has no way of attaching programs of this type"),
    }
}

/// Returns a row for programs that are loaded with an attach type.
const fn typed(
    name: &'static str,
    program_type: P,
    attach_type: A,
    since: (u16, u16),
) -> AttachPoint {
    AttachPoint { attach_type: Some(attach_type), ..plain(name, program_type, since) }
}

const fn cgroup(
    name: &'static str,
    program_type: P,
    attach_type: A,
    since: (u16, u16),
) -> AttachPoint {
    AttachPoint {
        among: Some("cgroup"),
        attach: Attach::Cgroup,
        ..typed(name, program_type, attach_type, since)
    }
}

const fn address(name: &'static str, attach_type: A, since: (u16, u16)) -> AttachPoint {
    cgroup(name, P::CgroupSockAddr, attach_type, since)
}

const fn netns(
    name: &'static str,
    program_type: P,
    attach_type: A,
    since: (u16, u16),
) -> AttachPoint {
    AttachPoint {
        among: Some("netns"),
        attach: Attach::Netns,
        ..typed(name, program_type, attach_type, since)
    }
}

impl AttachPoint {
    const fn also(self, also: &'static [&'static str]) -> AttachPoint {
        AttachPoint { also, ..self }
    }

    /// Sets the section name of libbpf, if it differs.
    const fn section(self, section: &'static str) -> AttachPoint {
        AttachPoint { section, ..self }
    }

    const fn sleeps(self) -> AttachPoint {
        AttachPoint { suffix: Some(Suffix::Sleepable), ..self }
    }

    const fn frags(self) -> AttachPoint {
        AttachPoint { suffix: Some(Suffix::Frags), ..self }
    }

    /// Sets the syntax of the rest of the name, and the meaning of `args.NAME`.
    const fn takes(self, rest: Rest, arguments: Args) -> AttachPoint {
        AttachPoint { rest, arguments, ..self }
    }

    const fn lists(self, list: List) -> AttachPoint {
        AttachPoint { list, ..self }
    }

    /// Marks the row as listing the same names as another kind.
    const fn repeats(self, list: List) -> AttachPoint {
        AttachPoint { list, repeats: true, ..self }
    }

    const fn by(self, attach: Attach) -> AttachPoint {
        AttachPoint { attach, ..self }
    }
}

const ENTRY: TrampolineAt = TrampolineAt::Entry;
const EXIT: TrampolineAt = TrampolineAt::Exit;

const BY_MAP: &str = "the program runs when it is put into a map: of devices, CPUs, sockets";
const BY_ROUTE: &str = "it is attached to a route: ip route add … encap bpf …";
const FUNCTION_OF_PROGRAM: &str =
    "the function of another program is named at load: Loader::load_for";
const MANY_WITH_TYPES: &str = "this library has no links of many functions with types";

/// All rows. If several have the same name and rest, the first one counts.
pub(super) const ROWS: &[AttachPoint] = &[
    // Functions of the kernel.
    plain("kprobe", P::Kprobe, (4, 1))
        .takes(Rest::FunctionOffset, Args::EntryRegisters)
        .lists(List::KernelFunctions)
        .by(Attach::Kprobe { returns: false }),
    plain("kretprobe", P::Kprobe, (4, 1))
        .takes(Rest::Function, Args::ReturnRegister)
        .repeats(List::KernelFunctions)
        .by(Attach::Kprobe { returns: true }),
    plain("ksyscall", P::Kprobe, (4, 1))
        .takes(Rest::Name, Args::SyscallRegisters)
        .by(Attach::Syscall { returns: false }),
    plain("kretsyscall", P::Kprobe, (4, 1))
        .takes(Rest::Name, Args::ReturnRegister)
        .by(Attach::Syscall { returns: true }),
    typed("kprobe.multi", P::Kprobe, A::TraceKprobeMulti, (5, 18))
        .takes(Rest::Function, Args::EntryRegisters)
        .repeats(List::KernelFunctions)
        .by(Attach::KprobeMulti { returns: false }),
    typed("kretprobe.multi", P::Kprobe, A::TraceKprobeMulti, (5, 18))
        .takes(Rest::Function, Args::ReturnRegister)
        .repeats(List::KernelFunctions)
        .by(Attach::KprobeMulti { returns: true }),
    typed("ksession", P::Kprobe, A::TraceKprobeSession, (6, 10))
        .also(&["kprobe.session"])
        .section("kprobe.session")
        .takes(Rest::Function, Args::SessionRegisters)
        .repeats(List::KernelFunctions)
        .by(Attach::KprobeSession),
    // Tracepoints.
    plain("tracepoint", P::Tracepoint, (4, 7))
        .also(&["tp"])
        .takes(Rest::Tracepoint, Args::TracepointRecord)
        .lists(List::Tracepoints)
        .by(Attach::Tracepoint),
    plain("raw_tracepoint", P::RawTracepoint, (4, 17))
        .also(&["raw_tp"])
        .takes(Rest::Name, Args::TracepointParameters)
        .lists(List::RawTracepoints)
        .by(Attach::RawTracepoint),
    plain("raw_tracepoint.w", P::RawTracepointWritable, (5, 2))
        .also(&["raw_tp.w"])
        .takes(Rest::Name, Args::TracepointParameters)
        .by(Attach::RawTracepointWritable),
    typed("tp_btf", P::Tracing, A::TraceRawTp, (5, 5))
        .takes(Rest::Name, Args::TracepointParameters)
        .lists(List::TypedTracepoints)
        .by(Attach::BtfTracepoint),
    // Functions of the kernel, by their types.
    typed("fentry", P::Tracing, A::TraceFentry, (5, 5))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParameters)
        .lists(List::TypedFunctions)
        .by(Attach::Trampoline(ENTRY)),
    typed("fexit", P::Tracing, A::TraceFexit, (5, 5))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParametersAndResult)
        .repeats(List::TypedFunctions)
        .by(Attach::Trampoline(EXIT)),
    typed("fmod_ret", P::Tracing, A::ModifyReturn, (5, 7))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParametersAndResult)
        .repeats(List::ModifiableFunctions)
        .by(Attach::Trampoline(TrampolineAt::ModifyReturn)),
    typed("fsession", P::Tracing, A::TraceFsession, (7, 0))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParametersAndResult)
        .repeats(List::TypedFunctions)
        .by(Attach::Trampoline(TrampolineAt::Session)),
    typed("fentry.multi", P::Tracing, A::TraceFentryMulti, (7, 2))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParameters)
        .by(Attach::No(MANY_WITH_TYPES)),
    typed("fexit.multi", P::Tracing, A::TraceFexitMulti, (7, 2))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParametersAndResult)
        .by(Attach::No(MANY_WITH_TYPES)),
    typed("fsession.multi", P::Tracing, A::TraceFsessionMulti, (7, 2))
        .sleeps()
        .takes(Rest::Function, Args::FunctionParametersAndResult)
        .by(Attach::No(MANY_WITH_TYPES)),
    plain("freplace", P::Ext, (5, 6))
        .takes(Rest::Function, Args::Nothing)
        .by(Attach::No(FUNCTION_OF_PROGRAM)),
    plain("struct_ops", P::StructOps, (5, 6))
        .sleeps()
        .takes(Rest::Member, Args::MemberParameters)
        .by(Attach::No("it is attached with the map that holds its table")),
    typed("lsm", P::Lsm, A::LsmMac, (5, 7))
        .sleeps()
        .takes(Rest::Name, Args::HookParameters)
        .lists(List::Hooks)
        .by(Attach::Lsm),
    cgroup("lsm_cgroup", P::Lsm, A::LsmCgroup, (6, 0)).takes(Rest::Name, Args::HookParameters),
    typed("iter", P::Tracing, A::TraceIter, (5, 8))
        .sleeps()
        .takes(Rest::Name, Args::IteratorContext)
        .lists(List::Iterators)
        .by(Attach::Iter),
    // Functions and probes of files.
    plain("uprobe", P::Kprobe, (4, 3))
        .sleeps()
        .takes(Rest::FileFunction, Args::UserEntryRegisters)
        .repeats(List::FileFunctions)
        .by(Attach::Uprobe { returns: false }),
    plain("uretprobe", P::Kprobe, (4, 3))
        .sleeps()
        .takes(Rest::FileFunction, Args::UserReturnRegister)
        .repeats(List::FileFunctions)
        .by(Attach::Uprobe { returns: true }),
    typed("uprobe.multi", P::Kprobe, A::TraceUprobeMulti, (6, 6))
        .sleeps()
        .takes(Rest::FilePattern, Args::UserEntryRegisters)
        .repeats(List::FileFunctions)
        .by(Attach::UprobeMulti { returns: false }),
    typed("uretprobe.multi", P::Kprobe, A::TraceUprobeMulti, (6, 6))
        .sleeps()
        .takes(Rest::FilePattern, Args::UserReturnRegister)
        .repeats(List::FileFunctions)
        .by(Attach::UprobeMulti { returns: true }),
    typed("uprobe.session", P::Kprobe, A::TraceUprobeSession, (6, 13))
        .sleeps()
        .takes(Rest::FilePattern, Args::UserEntryRegisters)
        .repeats(List::FileFunctions)
        .by(Attach::UprobeSession),
    plain("usdt", P::Kprobe, (4, 3))
        .sleeps()
        .takes(Rest::Usdt, Args::UsdtOperands)
        .repeats(List::UsdtProbes)
        .by(Attach::Usdt),
    // Perf events.
    plain("software", P::PerfEvent, (4, 9))
        .section("perf_event")
        .takes(Rest::Event, Args::Nothing)
        .lists(List::SoftwareEvents)
        .by(Attach::Software),
    plain("hardware", P::PerfEvent, (4, 9))
        .section("perf_event")
        .takes(Rest::Event, Args::Nothing)
        .lists(List::HardwareEvents)
        .by(Attach::Hardware),
    plain("profile", P::PerfEvent, (4, 9))
        .section("perf_event")
        .takes(Rest::Rate, Args::Nothing)
        .by(Attach::Profile),
    plain("perf_event", P::PerfEvent, (4, 9)).by(Attach::No(
        "say which event and how often: software:EVENT:PERIOD, hardware:EVENT:PERIOD, profile:hz:RATE",
    )),
    // Packets of network devices.
    typed("xdp/devmap", P::Xdp, A::XdpDevMap, (5, 8)).frags().by(Attach::No(BY_MAP)),
    typed("xdp/cpumap", P::Xdp, A::XdpCpuMap, (5, 9)).frags().by(Attach::No(BY_MAP)),
    typed("xdp", P::Xdp, A::Xdp, (4, 8))
        .frags()
        .takes(Rest::Device, Args::Nothing)
        .by(Attach::Xdp(XdpMode::Any)),
    typed("xdpdrv", P::Xdp, A::Xdp, (4, 12))
        .section("xdp")
        .frags()
        .takes(Rest::Device, Args::Nothing)
        .by(Attach::Xdp(XdpMode::Native)),
    typed("xdpgeneric", P::Xdp, A::Xdp, (4, 12))
        .section("xdp")
        .frags()
        .takes(Rest::Device, Args::Nothing)
        .by(Attach::Xdp(XdpMode::Generic)),
    AttachPoint {
        among: Some("tcx"),
        ..typed("tcx/ingress", P::SchedCls, A::TcxIngress, (6, 6))
            .also(&["tc/ingress"])
            .by(Attach::Tcx(Direction::Ingress))
    },
    AttachPoint {
        among: Some("tcx"),
        ..typed("tcx/egress", P::SchedCls, A::TcxEgress, (6, 6))
            .also(&["tc/egress"])
            .by(Attach::Tcx(Direction::Egress))
    },
    plain("tc", P::SchedCls, (4, 1))
        .also(&["classifier"])
        .takes(Rest::DeviceDirection, Args::Nothing)
        .by(Attach::Tc(TcMethod::Best)),
    plain("clsact", P::SchedCls, (4, 5))
        .section("tc")
        .takes(Rest::DeviceDirection, Args::Nothing)
        .by(Attach::Tc(TcMethod::Clsact)),
    typed("netkit/primary", P::SchedCls, A::NetkitPrimary, (6, 7)),
    typed("netkit/peer", P::SchedCls, A::NetkitPeer, (6, 7)),
    plain("action", P::SchedAct, (4, 1)).by(Attach::No("it is attached with a filter of tc")),
    plain("socket", P::SocketFilter, (3, 19))
        .takes(Rest::Device, Args::Nothing)
        .by(Attach::Socket),
    plain("lwt_in", P::LwtIn, (4, 10)).by(Attach::No(BY_ROUTE)),
    plain("lwt_out", P::LwtOut, (4, 10)).by(Attach::No(BY_ROUTE)),
    plain("lwt_xmit", P::LwtXmit, (4, 10)).by(Attach::No(BY_ROUTE)),
    plain("lwt_seg6local", P::LwtSeg6local, (4, 18)).by(Attach::No(BY_ROUTE)),
    typed("netfilter", P::Netfilter, A::Netfilter, (6, 4)),
    // Network namespaces.
    netns("sk_lookup", P::SkLookup, A::SkLookup, (5, 9)),
    netns("flow_dissector", P::FlowDissector, A::FlowDissector, (4, 20)),
    // Sockets.
    typed("sk_skb/stream_parser", P::SkSkb, A::SkSkbStreamParser, (4, 14)).by(Attach::No(BY_MAP)),
    typed("sk_skb/stream_verdict", P::SkSkb, A::SkSkbStreamVerdict, (4, 14)).by(Attach::No(BY_MAP)),
    typed("sk_skb/verdict", P::SkSkb, A::SkSkbVerdict, (5, 13)).by(Attach::No(BY_MAP)),
    plain("sk_skb", P::SkSkb, (4, 14)).by(Attach::No(BY_MAP)),
    typed("sk_msg", P::SkMsg, A::SkMsgVerdict, (4, 17)).by(Attach::No(BY_MAP)),
    typed("sk_reuseport/migrate", P::SkReuseport, A::SkReuseportSelectOrMigrate, (5, 14))
        .by(Attach::No("it is attached to a socket by SO_ATTACH_REUSEPORT_EBPF")),
    typed("sk_reuseport", P::SkReuseport, A::SkReuseportSelect, (4, 19))
        .by(Attach::No("it is attached to a socket by SO_ATTACH_REUSEPORT_EBPF")),
    // Control groups.
    cgroup("cgroup_skb/ingress", P::CgroupSkb, A::CgroupInetIngress, (4, 10)),
    cgroup("cgroup_skb/egress", P::CgroupSkb, A::CgroupInetEgress, (4, 10)),
    plain("cgroup/skb", P::CgroupSkb, (4, 10)).by(Attach::No(
        "say the control group and the direction: cgroup:PATH:inet_ingress, cgroup:PATH:inet_egress",
    )),
    cgroup("cgroup/sock_create", P::CgroupSock, A::CgroupInetSockCreate, (4, 10))
        .also(&["cgroup/sock"]),
    cgroup("cgroup/sock_release", P::CgroupSock, A::CgroupInetSockRelease, (5, 9)),
    cgroup("cgroup/post_bind4", P::CgroupSock, A::CgroupInet4PostBind, (4, 17)),
    cgroup("cgroup/post_bind6", P::CgroupSock, A::CgroupInet6PostBind, (4, 17)),
    address("cgroup/bind4", A::CgroupInet4Bind, (4, 17)),
    address("cgroup/bind6", A::CgroupInet6Bind, (4, 17)),
    address("cgroup/connect4", A::CgroupInet4Connect, (4, 17)),
    address("cgroup/connect6", A::CgroupInet6Connect, (4, 17)),
    address("cgroup/connect_unix", A::CgroupUnixConnect, (6, 7)),
    address("cgroup/sendmsg4", A::CgroupUdp4Sendmsg, (4, 18)),
    address("cgroup/sendmsg6", A::CgroupUdp6Sendmsg, (4, 18)),
    address("cgroup/sendmsg_unix", A::CgroupUnixSendmsg, (6, 7)),
    address("cgroup/recvmsg4", A::CgroupUdp4Recvmsg, (5, 2)),
    address("cgroup/recvmsg6", A::CgroupUdp6Recvmsg, (5, 2)),
    address("cgroup/recvmsg_unix", A::CgroupUnixRecvmsg, (6, 7)),
    address("cgroup/getpeername4", A::CgroupInet4Getpeername, (5, 8)),
    address("cgroup/getpeername6", A::CgroupInet6Getpeername, (5, 8)),
    address("cgroup/getpeername_unix", A::CgroupUnixGetpeername, (6, 7)),
    address("cgroup/getsockname4", A::CgroupInet4Getsockname, (5, 8)),
    address("cgroup/getsockname6", A::CgroupInet6Getsockname, (5, 8)),
    address("cgroup/getsockname_unix", A::CgroupUnixGetsockname, (6, 7)),
    cgroup("cgroup/sysctl", P::CgroupSysctl, A::CgroupSysctl, (5, 2)),
    cgroup("cgroup/getsockopt", P::CgroupSockopt, A::CgroupGetsockopt, (5, 3)),
    cgroup("cgroup/setsockopt", P::CgroupSockopt, A::CgroupSetsockopt, (5, 3)),
    cgroup("cgroup/dev", P::CgroupDevice, A::CgroupDevice, (4, 15)),
    cgroup("sockops", P::SockOps, A::CgroupSockOps, (4, 13)),
    // Others.
    typed("lirc_mode2", P::LircMode2, A::LircMode2, (4, 18))
        .by(Attach::No("it is attached to the file of a receiver: ir-keytable -p")),
    plain("syscall", P::Syscall, (5, 14)).by(Attach::No("it is run by Program::test_run")),
];

/// The attach-point table.
pub static ATTACH_POINTS: &[AttachPoint] = ROWS;
