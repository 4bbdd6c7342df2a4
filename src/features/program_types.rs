//! Types of programs: which version brought each, and the smallest program of it.

use super::row::Yes::{Done, Verifier};
use super::row::{Load, Row, Target, Test, Yes};
use crate::bpf;
use crate::btf::Kind;
use crate::insn::Insn;
use crate::uapi::ProgramType::{self, *};
use crate::uapi::{AttachType, flags};
use crate::util::Version;

/// Does nothing. What it returns every type may return.
pub(super) const NOTHING: &[Insn] = bpf! { r0 = 0; exit; }.slots;
/// The same for those that have to say yes.
pub(super) const YES: &[Insn] = bpf! { r0 = 1; exit; }.slots;

const fn row(
    of: ProgramType,
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    load: Load,
    yes: Yes,
) -> Row<ProgramType> {
    Row { of, since: Version::new(major, minor), config, test: Test::Load(load), yes }
}

const fn plain(kind: ProgramType) -> Load {
    Load::new(kind, NOTHING)
}

/// Those that are attached to a type in BTF are loaded with one that is none they could have: the verifier says so
/// only if the type of program exists.
const fn to_an_integer(kind: ProgramType, attach: AttachType) -> Load {
    plain(kind).attach(attach).target(Target::Id(1))
}

const NET: &[&str] = &["CONFIG_NET"];
const EVENTS: &[&str] = &["CONFIG_BPF_EVENTS"];
const CGROUP: &[&str] = &["CONFIG_CGROUP_BPF"];
const TUNNEL: &[&str] = &["CONFIG_LWTUNNEL_BPF"];
const TYPES_AND_JIT: &[&str] = &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"];

pub(super) static ROWS: &[Row<ProgramType>] = &[
    row(SocketFilter, (3, 19), NET, plain(SocketFilter), Done),
    row(Kprobe, (4, 1), EVENTS, plain(Kprobe), Done),
    row(SchedCls, (4, 1), NET, plain(SchedCls), Done),
    row(SchedAct, (4, 1), NET, plain(SchedAct), Done),
    row(Tracepoint, (4, 7), EVENTS, plain(Tracepoint), Done),
    row(Xdp, (4, 8), NET, plain(Xdp), Done),
    row(PerfEvent, (4, 9), EVENTS, plain(PerfEvent), Done),
    row(CgroupSkb, (4, 10), CGROUP, plain(CgroupSkb), Done),
    row(CgroupSock, (4, 10), CGROUP, plain(CgroupSock), Done),
    row(LwtIn, (4, 10), TUNNEL, plain(LwtIn), Done),
    row(LwtOut, (4, 10), TUNNEL, plain(LwtOut), Done),
    row(LwtXmit, (4, 10), TUNNEL, plain(LwtXmit), Done),
    row(SockOps, (4, 13), NET, plain(SockOps), Done),
    row(SkSkb, (4, 14), NET, plain(SkSkb), Done),
    row(CgroupDevice, (4, 15), CGROUP, plain(CgroupDevice), Done),
    row(SkMsg, (4, 17), NET, plain(SkMsg), Done),
    row(RawTracepoint, (4, 17), EVENTS, plain(RawTracepoint), Done),
    row(
        CgroupSockAddr,
        (4, 17),
        CGROUP,
        plain(CgroupSockAddr).attach(AttachType::CgroupInet4Connect),
        Done,
    ),
    row(LwtSeg6local, (4, 18), TUNNEL, plain(LwtSeg6local), Done),
    row(LircMode2, (4, 18), &["CONFIG_BPF_LIRC_MODE2"], plain(LircMode2), Done),
    row(SkReuseport, (4, 19), &["CONFIG_INET"], plain(SkReuseport), Done),
    row(FlowDissector, (4, 20), NET, plain(FlowDissector), Done),
    row(CgroupSysctl, (5, 2), CGROUP, plain(CgroupSysctl), Done),
    row(RawTracepointWritable, (5, 2), EVENTS, plain(RawTracepointWritable), Done),
    row(
        CgroupSockopt,
        (5, 3),
        CGROUP,
        plain(CgroupSockopt).attach(AttachType::CgroupGetsockopt),
        Done,
    ),
    row(
        Tracing,
        (5, 5),
        &["CONFIG_BPF_EVENTS", "CONFIG_DEBUG_INFO_BTF"],
        to_an_integer(Tracing, AttachType::TraceRawTp),
        Verifier,
    ),
    row(StructOps, (5, 6), TYPES_AND_JIT, plain(StructOps).target(Target::Id(1)), Verifier),
    row(Ext, (5, 6), TYPES_AND_JIT, plain(Ext).target(Target::Id(1)), Verifier),
    row(
        Lsm,
        (5, 7),
        &["CONFIG_BPF_LSM", "CONFIG_DEBUG_INFO_BTF"],
        to_an_integer(Lsm, AttachType::LsmMac),
        Verifier,
    ),
    row(SkLookup, (5, 9), &["CONFIG_INET"], plain(SkLookup).attach(AttachType::SkLookup), Done),
    row(Syscall, (5, 14), &[], plain(Syscall).flags(flags::BPF_F_SLEEPABLE), Done),
    row(
        Netfilter,
        (6, 4),
        &["CONFIG_NETFILTER_BPF_LINK"],
        plain(Netfilter).attach(AttachType::Netfilter),
        Done,
    ),
];

/// Loads of that type which the verifier gets to see, whatever their code: what helpers are asked with. There are several
/// where helpers depend on what the program is for.
///
/// None for `ext`: its helpers are those of the program that it is for.
pub(super) fn bases(kind: ProgramType) -> Vec<Load> {
    let load = Load::new(kind, NOTHING);
    let named = |attach, kind, name| load.attach(attach).target(Target::Named(kind, name));
    match kind {
        Tracing => vec![
            named(AttachType::TraceRawTp, Kind::Typedef, "btf_trace_sched_switch"),
            named(AttachType::TraceIter, Kind::Function, "bpf_iter_task"),
            named(AttachType::TraceFexit, Kind::Function, "bpf_fentry_test1"),
        ],
        Lsm => {
            let hook = |name| named(AttachType::LsmMac, Kind::Function, name);
            // The only one that may sleep on Linux 5.10.
            let sleeps = hook("bpf_lsm_bprm_committed_creds").flags(flags::BPF_F_SLEEPABLE);
            vec![hook("bpf_lsm_file_open"), sleeps]
        }
        StructOps => vec![load.target(Target::Member("tcp_congestion_ops", "ssthresh"))],
        Ext => Vec::new(),
        _ => match ROWS.iter().find(|row| row.of == kind).map(|row| &row.test) {
            Some(Test::Load(load)) => vec![*load],
            _ => Vec::new(),
        },
    }
}
