//! Program types: the version that brought each, and the smallest program of it.

use super::row::Yes::{Done, Verifier};
use super::row::{Load, Row, Target, Test, Yes};
use crate::bpf;
use crate::btf::Kind;
use crate::insn::Insn;
use crate::spec::attach_point::{default_attach_type, first_version};
use crate::uapi::ProgramType::{self, *};
use crate::uapi::{AttachType, flags};

/// Does nothing. Every type may return 0.
pub(super) const NOTHING: &[Insn] = bpf! { r0 = 0; exit; }.slots;
/// The same for types that have to return 1.
pub(super) const YES: &[Insn] = bpf! { r0 = 1; exit; }.slots;

const fn row(
    of: ProgramType,
    config: &'static [&'static str],
    load: Load,
    yes: Yes,
) -> Row<ProgramType> {
    Row { of, since: first_version(of), config, test: Test::Load(load), yes }
}

const fn plain(kind: ProgramType) -> Load {
    Load::new(kind, NOTHING)
}

/// A program of a type that is attached to a type in BTF names an integer, which cannot be attached to: the verifier
/// says so only if the type of program exists.
const fn to_an_integer(kind: ProgramType, attach: AttachType) -> Load {
    plain(kind).attach(attach).target(Target::Id(1))
}

const NET: &[&str] = &["CONFIG_NET"];
const EVENTS: &[&str] = &["CONFIG_BPF_EVENTS"];
const CGROUP: &[&str] = &["CONFIG_CGROUP_BPF"];
const TUNNEL: &[&str] = &["CONFIG_LWTUNNEL_BPF"];
const TYPES_AND_JIT: &[&str] = &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"];

pub(super) static ROWS: &[Row<ProgramType>] = &[
    row(SocketFilter, NET, plain(SocketFilter), Done),
    row(Kprobe, EVENTS, plain(Kprobe), Done),
    row(SchedCls, NET, plain(SchedCls), Done),
    row(SchedAct, NET, plain(SchedAct), Done),
    row(Tracepoint, EVENTS, plain(Tracepoint), Done),
    row(Xdp, NET, plain(Xdp), Done),
    row(PerfEvent, EVENTS, plain(PerfEvent), Done),
    row(CgroupSkb, CGROUP, plain(CgroupSkb), Done),
    row(CgroupSock, CGROUP, plain(CgroupSock), Done),
    row(LwtIn, TUNNEL, plain(LwtIn), Done),
    row(LwtOut, TUNNEL, plain(LwtOut), Done),
    row(LwtXmit, TUNNEL, plain(LwtXmit), Done),
    row(SockOps, NET, plain(SockOps), Done),
    row(SkSkb, NET, plain(SkSkb), Done),
    row(CgroupDevice, CGROUP, plain(CgroupDevice), Done),
    row(SkMsg, NET, plain(SkMsg), Done),
    row(RawTracepoint, EVENTS, plain(RawTracepoint), Done),
    row(CgroupSockAddr, CGROUP, plain(CgroupSockAddr).attach(AttachType::CgroupInet4Connect), Done),
    row(LwtSeg6local, TUNNEL, plain(LwtSeg6local), Done),
    row(LircMode2, &["CONFIG_BPF_LIRC_MODE2"], plain(LircMode2), Done),
    row(SkReuseport, &["CONFIG_INET"], plain(SkReuseport), Done),
    row(FlowDissector, NET, plain(FlowDissector), Done),
    row(CgroupSysctl, CGROUP, plain(CgroupSysctl), Done),
    row(RawTracepointWritable, EVENTS, plain(RawTracepointWritable), Done),
    row(CgroupSockopt, CGROUP, plain(CgroupSockopt).attach(AttachType::CgroupGetsockopt), Done),
    row(
        Tracing,
        &["CONFIG_BPF_EVENTS", "CONFIG_DEBUG_INFO_BTF"],
        to_an_integer(Tracing, AttachType::TraceRawTp),
        Verifier,
    ),
    row(StructOps, TYPES_AND_JIT, plain(StructOps).target(Target::Id(1)), Verifier),
    row(Ext, TYPES_AND_JIT, plain(Ext).target(Target::Id(1)), Verifier),
    row(
        Lsm,
        &["CONFIG_BPF_LSM", "CONFIG_DEBUG_INFO_BTF"],
        to_an_integer(Lsm, AttachType::LsmMac),
        Verifier,
    ),
    row(SkLookup, &["CONFIG_INET"], plain(SkLookup).attach(AttachType::SkLookup), Done),
    row(Syscall, &[], plain(Syscall).flags(flags::BPF_F_SLEEPABLE), Done),
    row(
        Netfilter,
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
            // A helper can depend on the attach type: set_retval of cgroup_device.
            Some(Test::Load(load)) => match (load.attach, default_attach_type(kind)) {
                (None, Some(attach)) => vec![*load, load.attach(attach)],
                _ => vec![*load],
            },
            _ => Vec::new(),
        },
    }
}
