//! Types of attachment: which version brought each, and how the kernel shows that it knows it.
//!
//! Nothing is ever attached. The program is loaded for that type, and then attached to something that does not
//! exist: a kernel that knows the type looks for it and says so, one that does not calls the type wrong (`EINVAL`).

use super::program_types::{NOTHING, YES};
use super::row::Yes::{Answers, Done};
use super::row::{Extra, Load, Place, Row, Target, Test, Yes};
use super::{map_types, row::Shape};
use crate::bpf;
use crate::btf::Kind;
use crate::insn::Insn;
use crate::uapi::AttachType::{self, *};
use crate::uapi::{ENOTSUPP, MapType, ProgramType, flags};
use crate::util::Version;
use libc::{EBADF, EBUSY, EEXIST, ENODEV, ENOENT, EOPNOTSUPP, ESRCH};

const fn row(
    of: AttachType,
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    test: Test,
    yes: Yes,
) -> Row<AttachType> {
    Row { of, since: Version::new(major, minor), config, test, yes }
}

/// One that a control group has, or a socket map: the target is a descriptor.
const fn target(
    kind: ProgramType,
    of: AttachType,
    since: (u16, u16),
    config: &'static [&'static str],
) -> Row<AttachType> {
    row(of, since, config, Test::Attach(Load::new(kind, YES).attach(of)), Answers(&[EBADF]))
}

const fn cgroup(kind: ProgramType, of: AttachType, since: (u16, u16)) -> Row<AttachType> {
    target(kind, of, since, CGROUP)
}

const fn address(of: AttachType, since: (u16, u16)) -> Row<AttachType> {
    target(ProgramType::CgroupSockAddr, of, since, CGROUP)
}

/// One that is for a network device.
const fn device(
    of: AttachType,
    since: (u16, u16),
    config: &'static [&'static str],
) -> Row<AttachType> {
    let load = Load::new(ProgramType::SchedCls, NOTHING).attach(of);
    row(of, since, config, Test::Attach(load), Answers(&[ENODEV]))
}

/// One that a program names at load, in BTF.
const fn named(
    of: AttachType,
    since: (u16, u16),
    config: &'static [&'static str],
    kind: Kind,
    name: &'static str,
) -> Row<AttachType> {
    let load = Load::new(ProgramType::Tracing, NOTHING).attach(of);
    row(of, since, config, Test::Load(load.target(Target::Named(kind, name))), Done)
}

/// One for many functions, which the link names and not the program. Linux 7.2.
const fn multi(of: AttachType) -> Row<AttachType> {
    let load = Load::new(ProgramType::Tracing, NOTHING).attach(of);
    row(of, (7, 2), TRAMPOLINE, Test::Load(load), Done)
}

const fn link(
    kind: ProgramType,
    of: AttachType,
    since: (u16, u16),
    config: &'static [&'static str],
    place: Place,
    yes: &'static [i32],
) -> Row<AttachType> {
    row(of, since, config, Test::Link(Load::new(kind, NOTHING).attach(of), place), Answers(yes))
}

/// Reads what only such programs may read: `xdp_md.egress_ifindex`.
const EGRESS: &[Insn] = bpf! { r0 = *(u32 *)(r1 + 20); r0 = 2; exit; }.slots;

/// A CPU map whose values hold a program, which came together with the type.
const CPU_PROGRAMS: Shape = map_types::shape(MapType::CpuMap, 4, 8, 1);

/// A table of functions that is registered by a link; of type 1, which is an integer.
pub(super) const LINKED_TABLE: Shape = Shape {
    flags: flags::BPF_F_LINK,
    extra: Extra::ValueType(1),
    ..map_types::shape(MapType::StructOps, 4, 4, 1)
};

const CGROUP: &[&str] = &["CONFIG_CGROUP_BPF"];
const SOCKETS: &[&str] = &["CONFIG_NET_SOCK_MSG"];
const PARSER: &[&str] = &["CONFIG_BPF_STREAM_PARSER"];
const BTF: &[&str] = &["CONFIG_BPF_EVENTS", "CONFIG_DEBUG_INFO_BTF"];
pub(super) const TRAMPOLINE: &[&str] = &[
    "CONFIG_BPF_EVENTS",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_BPF_JIT",
    "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
];
const LSM: &[&str] = &["CONFIG_BPF_LSM", "CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_JIT"];
pub(super) const TCX: &[&str] = &["CONFIG_NET_XGRESS"];
pub(super) const NETKIT: &[&str] = &["CONFIG_NETKIT"];
pub(super) const FPROBE: &[&str] = &["CONFIG_FPROBE"];
pub(super) const UPROBE: &[&str] = &["CONFIG_UPROBES", "CONFIG_BPF_EVENTS"];
pub(super) const PERF: &[&str] = &["CONFIG_PERF_EVENTS", "CONFIG_BPF_EVENTS"];

/// What an XDP link says of a device that has no XDP of its own, or has another program already.
pub(super) const NO_NATIVE_XDP: &[i32] = &[EOPNOTSUPP, EBUSY, EEXIST];

use ProgramType as P;

pub(super) static ROWS: &[Row<AttachType>] = &[
    cgroup(P::CgroupSkb, CgroupInetIngress, (4, 10)),
    cgroup(P::CgroupSkb, CgroupInetEgress, (4, 10)),
    cgroup(P::CgroupSock, CgroupInetSockCreate, (4, 10)),
    cgroup(P::SockOps, CgroupSockOps, (4, 13)),
    target(P::SkSkb, SkSkbStreamParser, (4, 14), PARSER),
    target(P::SkSkb, SkSkbStreamVerdict, (4, 14), SOCKETS),
    cgroup(P::CgroupDevice, CgroupDevice, (4, 15)),
    target(P::SkMsg, SkMsgVerdict, (4, 17), SOCKETS),
    address(CgroupInet4Bind, (4, 17)),
    address(CgroupInet6Bind, (4, 17)),
    address(CgroupInet4Connect, (4, 17)),
    address(CgroupInet6Connect, (4, 17)),
    cgroup(P::CgroupSock, CgroupInet4PostBind, (4, 17)),
    cgroup(P::CgroupSock, CgroupInet6PostBind, (4, 17)),
    address(CgroupUdp4Sendmsg, (4, 18)),
    address(CgroupUdp6Sendmsg, (4, 18)),
    target(P::LircMode2, LircMode2, (4, 18), &["CONFIG_BPF_LIRC_MODE2"]),
    // There is one for each network namespace, and no number to name another one by.
    row(
        FlowDissector,
        (4, 20),
        &["CONFIG_NET"],
        Test::Detach(Load::new(P::FlowDissector, NOTHING).attach(FlowDissector)),
        Answers(&[ENOENT]),
    ),
    cgroup(P::CgroupSysctl, CgroupSysctl, (5, 2)),
    address(CgroupUdp4Recvmsg, (5, 2)),
    address(CgroupUdp6Recvmsg, (5, 2)),
    cgroup(P::CgroupSockopt, CgroupGetsockopt, (5, 3)),
    cgroup(P::CgroupSockopt, CgroupSetsockopt, (5, 3)),
    named(TraceRawTp, (5, 5), BTF, Kind::Typedef, "btf_trace_sched_switch"),
    // The kernel has some functions for testing what is attached to functions (net/bpf/test_run.c).
    named(TraceFentry, (5, 5), TRAMPOLINE, Kind::Function, "bpf_fentry_test1"),
    named(TraceFexit, (5, 5), TRAMPOLINE, Kind::Function, "bpf_fentry_test1"),
    // Those of security modules need no CONFIG_FUNCTION_ERROR_INJECTION.
    named(ModifyReturn, (5, 7), TRAMPOLINE, Kind::Function, "security_file_open"),
    row(
        LsmMac,
        (5, 7),
        LSM,
        Test::Load(
            Load::new(P::Lsm, NOTHING)
                .attach(LsmMac)
                .target(Target::Named(Kind::Function, "bpf_lsm_file_open")),
        ),
        Done,
    ),
    named(TraceIter, (5, 8), BTF, Kind::Function, "bpf_iter_task"),
    address(CgroupInet4Getpeername, (5, 8)),
    address(CgroupInet6Getpeername, (5, 8)),
    address(CgroupInet4Getsockname, (5, 8)),
    address(CgroupInet6Getsockname, (5, 8)),
    row(
        XdpDevMap,
        (5, 8),
        &["CONFIG_NET"],
        Test::Load(Load::new(P::Xdp, EGRESS).attach(XdpDevMap)),
        Done,
    ),
    cgroup(P::CgroupSock, CgroupInetSockRelease, (5, 9)),
    row(XdpCpuMap, (5, 9), &["CONFIG_NET"], Test::Map(CPU_PROGRAMS), Done),
    row(
        SkLookup,
        (5, 9),
        &["CONFIG_INET"],
        Test::LoadChecked(Load::new(P::SkLookup, NOTHING).attach(SkLookup)),
        Done,
    ),
    link(P::Xdp, Xdp, (5, 9), &["CONFIG_NET"], Place::NativeXdp, NO_NATIVE_XDP),
    target(P::SkSkb, SkSkbVerdict, (5, 13), SOCKETS),
    row(
        SkReuseportSelect,
        (5, 14),
        &["CONFIG_INET"],
        Test::LoadChecked(Load::new(P::SkReuseport, NOTHING).attach(SkReuseportSelect)),
        Done,
    ),
    row(
        SkReuseportSelectOrMigrate,
        (5, 14),
        &["CONFIG_INET"],
        Test::LoadChecked(Load::new(P::SkReuseport, NOTHING).attach(SkReuseportSelectOrMigrate)),
        Done,
    ),
    link(P::PerfEvent, PerfEvent, (5, 15), PERF, Place::Nothing, &[EBADF]),
    // 5.18 itself answers EINVAL for a function that it cannot find, and so seems to lack it.
    link(P::Kprobe, TraceKprobeMulti, (5, 18), FPROBE, Place::NoFunction, &[ESRCH]),
    row(
        LsmCgroup,
        (6, 0),
        &["CONFIG_BPF_LSM", "CONFIG_CGROUP_BPF", "CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_JIT"],
        Test::Attach(
            Load::new(P::Lsm, YES)
                .attach(LsmCgroup)
                .target(Target::Named(Kind::Function, "bpf_lsm_socket_bind")),
        ),
        Answers(&[EBADF]),
    ),
    row(
        StructOps,
        (6, 4),
        &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"],
        Test::Map(LINKED_TABLE),
        Answers(&[ENOTSUPP]),
    ),
    row(
        Netfilter,
        (6, 4),
        &["CONFIG_NETFILTER_BPF_LINK"],
        Test::LoadChecked(Load::new(P::Netfilter, NOTHING).attach(Netfilter)),
        Done,
    ),
    device(TcxIngress, (6, 6), TCX),
    device(TcxEgress, (6, 6), TCX),
    link(P::Kprobe, TraceUprobeMulti, (6, 6), UPROBE, Place::Folder, &[EBADF]),
    address(CgroupUnixConnect, (6, 7)),
    address(CgroupUnixSendmsg, (6, 7)),
    address(CgroupUnixRecvmsg, (6, 7)),
    address(CgroupUnixGetpeername, (6, 7)),
    address(CgroupUnixGetsockname, (6, 7)),
    device(NetkitPrimary, (6, 7), NETKIT),
    device(NetkitPeer, (6, 7), NETKIT),
    link(P::Kprobe, TraceKprobeSession, (6, 10), FPROBE, Place::NoFunction, &[ESRCH]),
    link(P::Kprobe, TraceUprobeSession, (6, 13), UPROBE, Place::Folder, &[EBADF]),
    named(TraceFsession, (7, 0), TRAMPOLINE, Kind::Function, "bpf_fentry_test1"),
    multi(TraceFentryMulti),
    multi(TraceFexitMulti),
    multi(TraceFsessionMulti),
];
