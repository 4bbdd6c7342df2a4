//! Features of maps, and links.

use super::attach_types::{FPROBE, LINKED_TABLE, NETKIT, NO_NATIVE_XDP, PERF, TCX, UPROBE};
use super::list::Feature::{self, *};
use super::map_types::shape;
use super::program_types::NOTHING;
use super::row::Yes::{Answers, Done};
use super::row::{Extra, Load, Place, Row, Shape, Target, Test};
use crate::btf::Kind;
use crate::uapi::{AttachType, ENOTSUPP, MapType, ProgramType, flags};
use crate::util::Version;
use libc::{EAFNOSUPPORT, EBADF, ENODEV, ENOENT, ESRCH};

const fn map(
    of: Feature,
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    shape: Shape,
) -> Row<Feature> {
    let test = Test::Map(shape);
    Row { of, since: Version::new(major, minor), config, test, yes: Done }
}

/// A small map with a flag.
const fn flagged(kind: MapType, flags: u32) -> Shape {
    Shape { flags, ..shape(kind, 4, 4, 1) }
}

const fn extra(extra: Extra) -> Shape {
    Shape { extra, ..shape(MapType::Array, 4, 4, 1) }
}

const fn link(
    of: Feature,
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    load: Load,
    place: Place,
    yes: &'static [i32],
) -> Row<Feature> {
    let test = Test::Link(load, place);
    Row { of, since: Version::new(major, minor), config, test, yes: Answers(yes) }
}

const fn load(kind: ProgramType, attach: AttachType) -> Load {
    Load::new(kind, NOTHING).attach(attach)
}

/// An iterator over tasks, which does nothing until it is read.
pub(super) const ITERATOR: Load = Load::new(ProgramType::Tracing, NOTHING)
    .attach(AttachType::TraceIter)
    .target(Target::Named(Kind::Function, "bpf_iter_task"));

const NET: &[&str] = &["CONFIG_NET"];
const CGROUP: &[&str] = &["CONFIG_CGROUP_BPF"];
const STRUCT_OPS: &[&str] = &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"];
pub(super) const ITER: &[&str] = &["CONFIG_BPF_EVENTS", "CONFIG_DEBUG_INFO_BTF"];

use ProgramType as P;

pub(super) static ROWS: &[Row<Feature>] = &[
    map(NumaNode, (4, 14), &[], flagged(MapType::Hash, flags::BPF_F_NUMA_NODE)),
    map(ObjectNames, (4, 15), &[], extra(Extra::Name("rawbpf_probe"))),
    map(Types, (4, 18), &[], extra(Extra::Types)),
    map(ZeroSeed, (5, 0), &[], flagged(MapType::Hash, flags::BPF_F_ZERO_SEED)),
    map(ReadOnly, (5, 2), &[], flagged(MapType::Array, flags::BPF_F_RDONLY_PROG)),
    map(MappableArrays, (5, 5), &[], flagged(MapType::Array, flags::BPF_F_MMAPABLE)),
    map(DeviceMapPrograms, (5, 8), NET, shape(MapType::DevMap, 4, 8, 1)),
    map(InnerOfAnyLength, (5, 10), &[], flagged(MapType::Array, flags::BPF_F_INNER_MAP)),
    // The same version brought this helper, and accounting itself cannot be seen from outside.
    Row {
        of: MemoryControlGroup,
        since: Version::new(5, 11),
        config: &[],
        test: Test::Helper(P::SocketFilter, "ktime_get_coarse_ns"),
        yes: Done,
    },
    Row {
        of: LinkedStructOps,
        since: Version::new(6, 4),
        config: STRUCT_OPS,
        test: Test::Map(LINKED_TABLE),
        yes: Answers(&[ENOTSUPP]),
    },
    map(
        OverwritingRing,
        (6, 19),
        &[],
        Shape { flags: flags::BPF_F_RB_OVERWRITE, ..shape(MapType::RingBuf, 0, 0, 64 << 10) },
    ),
    link(
        RawTracepointLink,
        (4, 17),
        &["CONFIG_BPF_EVENTS"],
        Load::new(P::RawTracepoint, NOTHING),
        Place::NoTracepoint,
        &[ENOENT],
    ),
    link(
        CgroupLink,
        (5, 7),
        CGROUP,
        load(P::CgroupSkb, AttachType::CgroupInetIngress),
        Place::Nothing,
        &[EBADF],
    ),
    link(IterLink, (5, 8), ITER, ITERATOR, Place::Named, &[]),
    link(
        NetnsLink,
        (5, 8),
        NET,
        load(P::FlowDissector, AttachType::FlowDissector),
        Place::Nothing,
        &[EBADF],
    ),
    link(XdpLink, (5, 9), NET, load(P::Xdp, AttachType::Xdp), Place::NativeXdp, NO_NATIVE_XDP),
    link(
        PerfEventLink,
        (5, 15),
        PERF,
        load(P::PerfEvent, AttachType::PerfEvent),
        Place::Nothing,
        &[EBADF],
    ),
    link(
        KprobeMultiLink,
        (5, 18),
        FPROBE,
        load(P::Kprobe, AttachType::TraceKprobeMulti),
        Place::NoFunction,
        &[ESRCH],
    ),
    Row {
        of: StructOpsLink,
        since: Version::new(6, 4),
        config: STRUCT_OPS,
        test: Test::Map(LINKED_TABLE),
        yes: Answers(&[ENOTSUPP]),
    },
    link(
        NetfilterLink,
        (6, 4),
        &["CONFIG_NETFILTER_BPF_LINK"],
        load(P::Netfilter, AttachType::Netfilter),
        Place::NoProtocol,
        &[EAFNOSUPPORT],
    ),
    link(
        TcxLink,
        (6, 6),
        TCX,
        load(P::SchedCls, AttachType::TcxIngress),
        Place::Nothing,
        &[ENODEV],
    ),
    link(
        UprobeMultiLink,
        (6, 6),
        UPROBE,
        load(P::Kprobe, AttachType::TraceUprobeMulti),
        Place::Folder,
        &[EBADF],
    ),
    link(
        NetkitLink,
        (6, 7),
        NETKIT,
        load(P::SchedCls, AttachType::NetkitPrimary),
        Place::Nothing,
        &[ENODEV],
    ),
    link(
        SockMapLink,
        (6, 10),
        &["CONFIG_NET_SOCK_MSG"],
        load(P::SkMsg, AttachType::SkMsgVerdict),
        Place::Nothing,
        &[EBADF],
    ),
];
