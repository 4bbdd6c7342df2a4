//! Attach types: the version that brought each, and the probe that detects it.
//!
//! Nothing is ever attached. The program is loaded for that type, and then attached to something that does not
//! exist: a kernel with the type returns an error about that, one without returns `EINVAL` for the type.

use super::program_types::{NOTHING, YES};
use super::row::Yes::{Answers, Done};
use super::row::{Extra, Load, Place, Row, Target, Test, Yes};
use super::{map_types, row::Shape};
use crate::bpf;
use crate::btf::Kind;
use crate::insn::Insn;
use crate::spec::attach_point::of_attach_type;
use crate::uapi::AttachType::{self, *};
use crate::uapi::{ENOTSUPP, MapType, ProgramType, flags};
use crate::util::Version;
use libc::{EBADF, EBUSY, EEXIST, ENODEV, ENOENT, EOPNOTSUPP, ESRCH};

/// The version is that of the attach-point table, as is the type of programs that it is for.
const fn row(
    of: AttachType,
    config: &'static [&'static str],
    test: Test,
    yes: Yes,
) -> Row<AttachType> {
    Row { of, since: of_attach_type(of).since, config, test, yes }
}

/// A program of the type that the attach type is for.
const fn load(of: AttachType, code: &'static [Insn]) -> Load {
    Load::new(of_attach_type(of).program_type, code).attach(of)
}

/// One that a control group has, or a socket map: the target is a descriptor.
const fn target(of: AttachType, config: &'static [&'static str]) -> Row<AttachType> {
    row(of, config, Test::Attach(load(of, YES)), Answers(&[EBADF]))
}

const fn cgroup(of: AttachType) -> Row<AttachType> {
    target(of, CGROUP)
}

/// One that is for a network device.
const fn device(of: AttachType, config: &'static [&'static str]) -> Row<AttachType> {
    row(of, config, Test::Attach(load(of, NOTHING)), Answers(&[ENODEV]))
}

/// One that a program names at load, in BTF.
const fn named(
    of: AttachType,
    config: &'static [&'static str],
    kind: Kind,
    name: &'static str,
) -> Row<AttachType> {
    row(of, config, Test::Load(load(of, NOTHING).target(Target::Named(kind, name))), Done)
}

/// One for many functions, which the link names and not the program.
const fn multi(of: AttachType) -> Row<AttachType> {
    row(of, TRAMPOLINE, Test::Load(load(of, NOTHING)), Done)
}

const fn link(
    of: AttachType,
    config: &'static [&'static str],
    place: Place,
    yes: &'static [i32],
) -> Row<AttachType> {
    row(of, config, Test::Link(load(of, NOTHING), place), Answers(yes))
}

/// One that is younger than the type of programs, which can be loaded without it.
const fn later((major, minor): (u16, u16), row: Row<AttachType>) -> Row<AttachType> {
    Row { since: Version::new(major, minor), ..row }
}

/// Reads what only such programs may read: `xdp_md.egress_ifindex`.
const EGRESS: &[Insn] = bpf! { r0 = *(u32 *)(r1 + 20); r0 = 2; exit; }.slots;

/// A CPU map whose values hold a program, which the same version brought as the type.
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

/// The errors of an XDP link on a device that has no native XDP, or has another program already.
pub(super) const NO_NATIVE_XDP: &[i32] = &[EOPNOTSUPP, EBUSY, EEXIST];

use ProgramType as P;

pub(super) static ROWS: &[Row<AttachType>] = &[
    cgroup(CgroupInetIngress),
    cgroup(CgroupInetEgress),
    cgroup(CgroupInetSockCreate),
    cgroup(CgroupSockOps),
    target(SkSkbStreamParser, PARSER),
    target(SkSkbStreamVerdict, SOCKETS),
    cgroup(CgroupDevice),
    target(SkMsgVerdict, SOCKETS),
    cgroup(CgroupInet4Bind),
    cgroup(CgroupInet6Bind),
    cgroup(CgroupInet4Connect),
    cgroup(CgroupInet6Connect),
    cgroup(CgroupInet4PostBind),
    cgroup(CgroupInet6PostBind),
    cgroup(CgroupUdp4Sendmsg),
    cgroup(CgroupUdp6Sendmsg),
    target(LircMode2, &["CONFIG_BPF_LIRC_MODE2"]),
    // There is one for each network namespace, and no number to name another one by.
    row(
        FlowDissector,
        &["CONFIG_NET"],
        Test::Detach(load(FlowDissector, NOTHING)),
        Answers(&[ENOENT]),
    ),
    cgroup(CgroupSysctl),
    cgroup(CgroupUdp4Recvmsg),
    cgroup(CgroupUdp6Recvmsg),
    cgroup(CgroupGetsockopt),
    cgroup(CgroupSetsockopt),
    named(TraceRawTp, BTF, Kind::Typedef, "btf_trace_sched_switch"),
    // The kernel has some functions for testing what is attached to functions (net/bpf/test_run.c).
    named(TraceFentry, TRAMPOLINE, Kind::Function, "bpf_fentry_test1"),
    named(TraceFexit, TRAMPOLINE, Kind::Function, "bpf_fentry_test1"),
    // Those of security modules need no CONFIG_FUNCTION_ERROR_INJECTION.
    named(ModifyReturn, TRAMPOLINE, Kind::Function, "security_file_open"),
    row(
        LsmMac,
        LSM,
        Test::Load(
            load(LsmMac, NOTHING).target(Target::Named(Kind::Function, "bpf_lsm_file_open")),
        ),
        Done,
    ),
    named(TraceIter, BTF, Kind::Function, "bpf_iter_task"),
    cgroup(CgroupInet4Getpeername),
    cgroup(CgroupInet6Getpeername),
    cgroup(CgroupInet4Getsockname),
    cgroup(CgroupInet6Getsockname),
    row(XdpDevMap, &["CONFIG_NET"], Test::Load(load(XdpDevMap, EGRESS)), Done),
    cgroup(CgroupInetSockRelease),
    row(XdpCpuMap, &["CONFIG_NET"], Test::Map(CPU_PROGRAMS), Done),
    row(SkLookup, &["CONFIG_INET"], Test::LoadChecked(load(SkLookup, NOTHING)), Done),
    later((5, 9), link(Xdp, &["CONFIG_NET"], Place::NativeXdp, NO_NATIVE_XDP)),
    target(SkSkbVerdict, SOCKETS),
    later(
        (5, 14),
        row(
            SkReuseportSelect,
            &["CONFIG_INET"],
            Test::LoadChecked(load(SkReuseportSelect, NOTHING)),
            Done,
        ),
    ),
    row(
        SkReuseportSelectOrMigrate,
        &["CONFIG_INET"],
        Test::LoadChecked(load(SkReuseportSelectOrMigrate, NOTHING)),
        Done,
    ),
    // No program is loaded for it: it is that of links.
    Row {
        of: PerfEvent,
        since: Version::new(5, 15),
        config: PERF,
        test: Test::Link(Load::new(P::PerfEvent, NOTHING).attach(PerfEvent), Place::Nothing),
        yes: Answers(&[EBADF]),
    },
    // 5.18 itself answers EINVAL for a function that it cannot find, and so seems to lack it.
    link(TraceKprobeMulti, FPROBE, Place::NoFunction, &[ESRCH]),
    row(
        LsmCgroup,
        &["CONFIG_BPF_LSM", "CONFIG_CGROUP_BPF", "CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_JIT"],
        Test::Attach(
            load(LsmCgroup, YES).target(Target::Named(Kind::Function, "bpf_lsm_socket_bind")),
        ),
        Answers(&[EBADF]),
    ),
    Row {
        of: StructOps,
        since: Version::new(6, 4),
        config: &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"],
        test: Test::Map(LINKED_TABLE),
        yes: Answers(&[ENOTSUPP]),
    },
    row(
        Netfilter,
        &["CONFIG_NETFILTER_BPF_LINK"],
        Test::LoadChecked(load(Netfilter, NOTHING)),
        Done,
    ),
    device(TcxIngress, TCX),
    device(TcxEgress, TCX),
    link(TraceUprobeMulti, UPROBE, Place::Folder, &[EBADF]),
    cgroup(CgroupUnixConnect),
    cgroup(CgroupUnixSendmsg),
    cgroup(CgroupUnixRecvmsg),
    cgroup(CgroupUnixGetpeername),
    cgroup(CgroupUnixGetsockname),
    device(NetkitPrimary, NETKIT),
    device(NetkitPeer, NETKIT),
    link(TraceKprobeSession, FPROBE, Place::NoFunction, &[ESRCH]),
    link(TraceUprobeSession, UPROBE, Place::Folder, &[EBADF]),
    named(TraceFsession, TRAMPOLINE, Kind::Function, "bpf_fentry_test1"),
    multi(TraceFentryMulti),
    multi(TraceFexitMulti),
    multi(TraceFsessionMulti),
];
