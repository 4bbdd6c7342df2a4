//! Tests of the table against libbpf's documentation, and of the names that are accepted.

use super::*;
use crate::requires::{Thing, needs};
use crate::uapi::AttachType as A;
use crate::uapi::ProgramType as P;

/// libbpf's table, by hand: `Documentation/bpf/libbpf/program_types.rst` of Linux, and behind it the `SEC()` names that libbpf
/// has taken since. `+`: a slash and more can follow. `s`: sleepable, `f`: XDP in fragments.
#[rustfmt::skip]
const LIBBPF: &[(&str, P, Option<A>, &str)] = &[
    ("cgroup/dev", P::CgroupDevice, Some(A::CgroupDevice), ""),
    ("cgroup/skb", P::CgroupSkb, None, ""),
    ("cgroup_skb/egress", P::CgroupSkb, Some(A::CgroupInetEgress), ""),
    ("cgroup_skb/ingress", P::CgroupSkb, Some(A::CgroupInetIngress), ""),
    ("cgroup/getsockopt", P::CgroupSockopt, Some(A::CgroupGetsockopt), ""),
    ("cgroup/setsockopt", P::CgroupSockopt, Some(A::CgroupSetsockopt), ""),
    ("cgroup/bind4", P::CgroupSockAddr, Some(A::CgroupInet4Bind), ""),
    ("cgroup/connect4", P::CgroupSockAddr, Some(A::CgroupInet4Connect), ""),
    ("cgroup/getpeername4", P::CgroupSockAddr, Some(A::CgroupInet4Getpeername), ""),
    ("cgroup/getsockname4", P::CgroupSockAddr, Some(A::CgroupInet4Getsockname), ""),
    ("cgroup/bind6", P::CgroupSockAddr, Some(A::CgroupInet6Bind), ""),
    ("cgroup/connect6", P::CgroupSockAddr, Some(A::CgroupInet6Connect), ""),
    ("cgroup/getpeername6", P::CgroupSockAddr, Some(A::CgroupInet6Getpeername), ""),
    ("cgroup/getsockname6", P::CgroupSockAddr, Some(A::CgroupInet6Getsockname), ""),
    ("cgroup/recvmsg4", P::CgroupSockAddr, Some(A::CgroupUdp4Recvmsg), ""),
    ("cgroup/sendmsg4", P::CgroupSockAddr, Some(A::CgroupUdp4Sendmsg), ""),
    ("cgroup/recvmsg6", P::CgroupSockAddr, Some(A::CgroupUdp6Recvmsg), ""),
    ("cgroup/sendmsg6", P::CgroupSockAddr, Some(A::CgroupUdp6Sendmsg), ""),
    ("cgroup/post_bind4", P::CgroupSock, Some(A::CgroupInet4PostBind), ""),
    ("cgroup/post_bind6", P::CgroupSock, Some(A::CgroupInet6PostBind), ""),
    ("cgroup/sock_create", P::CgroupSock, Some(A::CgroupInetSockCreate), ""),
    ("cgroup/sock", P::CgroupSock, Some(A::CgroupInetSockCreate), ""),
    ("cgroup/sock_release", P::CgroupSock, Some(A::CgroupInetSockRelease), ""),
    ("cgroup/sysctl", P::CgroupSysctl, Some(A::CgroupSysctl), ""),
    ("freplace+", P::Ext, None, ""),
    ("flow_dissector", P::FlowDissector, Some(A::FlowDissector), ""),
    ("kprobe+", P::Kprobe, None, ""),
    ("kretprobe+", P::Kprobe, None, ""),
    ("ksyscall+", P::Kprobe, None, ""),
    ("kretsyscall+", P::Kprobe, None, ""),
    ("uprobe+", P::Kprobe, None, ""),
    ("uprobe.s+", P::Kprobe, None, "s"),
    ("uretprobe+", P::Kprobe, None, ""),
    ("uretprobe.s+", P::Kprobe, None, "s"),
    ("usdt+", P::Kprobe, None, ""),
    ("kprobe.multi+", P::Kprobe, Some(A::TraceKprobeMulti), ""),
    ("kretprobe.multi+", P::Kprobe, Some(A::TraceKprobeMulti), ""),
    ("lirc_mode2", P::LircMode2, Some(A::LircMode2), ""),
    ("lsm_cgroup+", P::Lsm, Some(A::LsmCgroup), ""),
    ("lsm+", P::Lsm, Some(A::LsmMac), ""),
    ("lsm.s+", P::Lsm, Some(A::LsmMac), "s"),
    ("lwt_in", P::LwtIn, None, ""),
    ("lwt_out", P::LwtOut, None, ""),
    ("lwt_seg6local", P::LwtSeg6local, None, ""),
    ("lwt_xmit", P::LwtXmit, None, ""),
    ("perf_event", P::PerfEvent, None, ""),
    ("raw_tp.w+", P::RawTracepointWritable, None, ""),
    ("raw_tracepoint.w+", P::RawTracepointWritable, None, ""),
    ("raw_tp+", P::RawTracepoint, None, ""),
    ("raw_tracepoint+", P::RawTracepoint, None, ""),
    ("action", P::SchedAct, None, ""),
    ("classifier", P::SchedCls, None, ""),
    ("tc", P::SchedCls, None, ""),
    ("sk_lookup", P::SkLookup, Some(A::SkLookup), ""),
    ("sk_msg", P::SkMsg, Some(A::SkMsgVerdict), ""),
    ("sk_reuseport/migrate", P::SkReuseport, Some(A::SkReuseportSelectOrMigrate), ""),
    ("sk_reuseport", P::SkReuseport, Some(A::SkReuseportSelect), ""),
    ("sk_skb", P::SkSkb, None, ""),
    ("sk_skb/stream_parser", P::SkSkb, Some(A::SkSkbStreamParser), ""),
    ("sk_skb/stream_verdict", P::SkSkb, Some(A::SkSkbStreamVerdict), ""),
    ("socket", P::SocketFilter, None, ""),
    ("sockops", P::SockOps, Some(A::CgroupSockOps), ""),
    ("struct_ops+", P::StructOps, None, ""),
    ("syscall", P::Syscall, None, "s"),
    ("tp+", P::Tracepoint, None, ""),
    ("tracepoint+", P::Tracepoint, None, ""),
    ("fmod_ret+", P::Tracing, Some(A::ModifyReturn), ""),
    ("fmod_ret.s+", P::Tracing, Some(A::ModifyReturn), "s"),
    ("fentry+", P::Tracing, Some(A::TraceFentry), ""),
    ("fentry.s+", P::Tracing, Some(A::TraceFentry), "s"),
    ("fexit+", P::Tracing, Some(A::TraceFexit), ""),
    ("fexit.s+", P::Tracing, Some(A::TraceFexit), "s"),
    ("iter+", P::Tracing, Some(A::TraceIter), ""),
    ("iter.s+", P::Tracing, Some(A::TraceIter), "s"),
    ("tp_btf+", P::Tracing, Some(A::TraceRawTp), ""),
    ("xdp.frags/cpumap", P::Xdp, Some(A::XdpCpuMap), "f"),
    ("xdp/cpumap", P::Xdp, Some(A::XdpCpuMap), ""),
    ("xdp.frags/devmap", P::Xdp, Some(A::XdpDevMap), "f"),
    ("xdp/devmap", P::Xdp, Some(A::XdpDevMap), ""),
    ("xdp.frags", P::Xdp, Some(A::Xdp), "f"),
    ("xdp", P::Xdp, Some(A::Xdp), ""),
    // Not in the documentation (yet).
    ("cgroup/connect_unix", P::CgroupSockAddr, Some(A::CgroupUnixConnect), ""),
    ("cgroup/sendmsg_unix", P::CgroupSockAddr, Some(A::CgroupUnixSendmsg), ""),
    ("cgroup/recvmsg_unix", P::CgroupSockAddr, Some(A::CgroupUnixRecvmsg), ""),
    ("cgroup/getpeername_unix", P::CgroupSockAddr, Some(A::CgroupUnixGetpeername), ""),
    ("cgroup/getsockname_unix", P::CgroupSockAddr, Some(A::CgroupUnixGetsockname), ""),
    ("kprobe.session+", P::Kprobe, Some(A::TraceKprobeSession), ""),
    ("uprobe.multi+", P::Kprobe, Some(A::TraceUprobeMulti), ""),
    ("uprobe.multi.s+", P::Kprobe, Some(A::TraceUprobeMulti), "s"),
    ("uretprobe.multi+", P::Kprobe, Some(A::TraceUprobeMulti), ""),
    ("uretprobe.multi.s+", P::Kprobe, Some(A::TraceUprobeMulti), "s"),
    ("uprobe.session+", P::Kprobe, Some(A::TraceUprobeSession), ""),
    ("uprobe.session.s+", P::Kprobe, Some(A::TraceUprobeSession), "s"),
    ("usdt.s+", P::Kprobe, None, "s"),
    ("tc/ingress", P::SchedCls, Some(A::TcxIngress), ""),
    ("tc/egress", P::SchedCls, Some(A::TcxEgress), ""),
    ("tcx/ingress", P::SchedCls, Some(A::TcxIngress), ""),
    ("tcx/egress", P::SchedCls, Some(A::TcxEgress), ""),
    ("netkit/primary", P::SchedCls, Some(A::NetkitPrimary), ""),
    ("netkit/peer", P::SchedCls, Some(A::NetkitPeer), ""),
    ("sk_skb/verdict", P::SkSkb, Some(A::SkSkbVerdict), ""),
    ("struct_ops.s+", P::StructOps, None, "s"),
    ("fsession+", P::Tracing, Some(A::TraceFsession), ""),
    ("fsession.s+", P::Tracing, Some(A::TraceFsession), "s"),
    ("netfilter", P::Netfilter, Some(A::Netfilter), ""),
];

/// Returns a section name with an example of the rest that can follow its plus.
fn with_rest(row: &AttachPoint, section: &str) -> String {
    let rest = match row.rest {
        Rest::Tracepoint => "sched/sched_switch",
        Rest::FileFunction | Rest::FilePattern => "/bin/bash:readline",
        Rest::Usdt => "/bin/python3:python:line",
        Rest::Member => "tcp_congestion_ops.ssthresh",
        _ => "name",
    };
    format!("{section}/{rest}")
}

#[test]
fn every_section_of_libbpf_is_loaded_as_libbpf_loads_it() {
    for (section, program_type, attach_type, marks) in LIBBPF {
        let (name, more) = section.strip_suffix('+').map_or((*section, false), |name| (name, true));
        let named = Named::read(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let row = named.point.unwrap_or_else(|| panic!("{name} has no row"));
        assert_eq!(
            (named.program_type, named.attach_type),
            (*program_type, *attach_type),
            "{name}"
        );
        let suffix = match *marks {
            "s" if name != "syscall" => Some(Suffix::Sleepable),
            "f" => Some(Suffix::Frags),
            _ => None,
        };
        assert_eq!(named.suffix, suffix, "{name}");
        assert_eq!(named.section(), name);
        assert_eq!(row.rest.is_in_section(), more, "{name}");
        if more {
            let text = with_rest(row, name);
            let named = Named::read(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (named.program_type, named.attach_type, named.suffix),
                (*program_type, *attach_type, suffix),
                "{text}"
            );
            assert_eq!(named.section(), text);
        }
    }
}

/// Every row stands for a section of libbpf, under its name or another one, and with all of its suffixes.
#[test]
fn every_row_is_a_section_of_libbpf() {
    let has = |name: &str| LIBBPF.iter().any(|(section, ..)| section.trim_end_matches('+') == name);
    for row in ATTACH_POINTS {
        // Linux 7.2, for which no released libbpf has sections.
        if matches!(
            row.attach_type,
            Some(A::TraceFentryMulti | A::TraceFexitMulti | A::TraceFsessionMulti)
        ) {
            continue;
        }
        assert!(has(row.section), "{}", row.name);
        assert!(row.also.iter().all(|name| has(name)), "{}", row.name);
        if let Some(suffix) = row.suffix {
            let (first, end) = match row.section.split_once('/') {
                Some((first, end)) => (first, format!("/{end}")),
                None => (row.section, String::new()),
            };
            assert!(has(&format!("{first}{}{end}", suffix.text())), "{}", row.name);
        }
    }
}

#[test]
fn names_are_read_in_all_the_ways_there_are() {
    for (text, row, suffix, place, rest) in [
        ("kprobe:sys_clone", "kprobe", None, "", "sys_clone"),
        ("uprobe.s/c:strlen", "uprobe", Some(Suffix::Sleepable), "", "c:strlen"),
        ("uprobe.multi.s:c:str*", "uprobe.multi", Some(Suffix::Sleepable), "", "c:str*"),
        ("tp:sched/sched_switch", "tracepoint", None, "", "sched/sched_switch"),
        ("raw_tracepoint_writable/x", "raw_tracepoint.w", None, "", "x"),
        ("ext/handler", "freplace", None, "", "handler"),
        ("xdp/eth0", "xdp", None, "", "eth0"),
        ("xdp/xdp_devmap", "xdp/devmap", None, "", ""),
        ("xdp.frags/xdp_cpumap", "xdp/cpumap", Some(Suffix::Frags), "", ""),
        // A device of that name.
        ("xdp:devmap", "xdp", None, "", "devmap"),
        // A function of that name.
        ("kprobe/xdp", "kprobe", None, "", "xdp"),
        ("tc/ingress", "tcx/ingress", None, "", ""),
        ("tc:lo/ingress", "tc", None, "", "lo/ingress"),
        ("tc/lo/ingress", "tc", None, "", "lo/ingress"),
        ("tcx:lo/egress", "tcx/egress", None, "lo", ""),
        ("tcx:lo:egress", "tcx/egress", None, "lo", ""),
        ("sched_cls", "tc", None, "", ""),
        ("sched_cls/tcx_egress", "tcx/egress", None, "", ""),
        ("socket_filter", "socket", None, "", ""),
        ("cgroup_sock_addr/cgroup_inet4_bind", "cgroup/bind4", None, "", ""),
        ("cgroup:/a:b:inet4_bind", "cgroup/bind4", None, "/a:b", ""),
        ("cgroup:/a:cgroup_inet4_bind", "cgroup/bind4", None, "/a", ""),
        ("cgroup:/a:bind4", "cgroup/bind4", None, "/a", ""),
        ("cgroup//a:sockops", "sockops", None, "/a", ""),
        ("cgroup:/a:lsm_cgroup", "lsm_cgroup", None, "/a", ""),
        ("lsm_cgroup/socket_bind", "lsm_cgroup", None, "", "socket_bind"),
        ("cgroup_device", "cgroup/dev", None, "", ""),
        ("cgroup_sock", "cgroup/sock_create", None, "", ""),
        ("netns:/run/netns/a:sk_lookup", "sk_lookup", None, "/run/netns/a", ""),
        ("netns:flow_dissector", "flow_dissector", None, "", ""),
        ("profile:hz:99", "profile", None, "", "hz:99"),
    ] {
        let named = Named::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let read = (named.point.map(|row| row.name), named.suffix, named.place, named.rest);
        assert_eq!(read, (Some(row), suffix, place, rest), "{text}");
    }
    for (text, kind) in [("cgroup_sock_addr", P::CgroupSockAddr), ("tracing/x", P::Tracing)] {
        let named = Named::read(text).unwrap();
        assert!(named.point.is_none() && named.program_type == kind, "{text}");
    }
    let link = Named::read("perf_event/perf_event").unwrap();
    assert_eq!(link.attach_type, Some(A::PerfEvent));
}

#[test]
fn a_name_of_nothing_gets_the_nearest() {
    for (text, nearest) in [
        ("kprob/sys_clone", "kprobe"),
        ("fenty.s:x", "fentry"),
        ("cgroup/conect4", "connect4"),
        ("cgroup:/a:inet4_bnd", "inet4_bind"),
        ("cgroup:/a:", "cgroup_sock_ops"),
        ("tcx:lo/up", "ingress"),
        ("xdp_drv:lo", "xdpdrv"),
        ("cgroup_skb/cgroup_device", "cgroup_inet_ingress"),
        ("cgroup_sock_addr/inet4_bind", "cgroup_inet4_bind"),
        // No suffix is lost.
        ("kprobe.s/x", "kprobe"),
        ("fentry.frags/x", "fentry"),
        ("none:x", "netns"),
        ("", "tracepoint"),
    ] {
        let error = Named::read(text).map(drop).unwrap_err().to_string();
        assert!(error.contains(nearest), "{text}: {error}");
    }
}

/// The kernel's treatment of programs without an attach type (bpf_prog_load_check_attach_type()).
#[test]
fn a_type_has_its_attach_type_or_a_choice() {
    for (kind, attach_type) in [
        (P::CgroupDevice, Some(A::CgroupDevice)),
        (P::CgroupSysctl, Some(A::CgroupSysctl)),
        (P::CgroupSock, Some(A::CgroupInetSockCreate)),
        (P::CgroupSkb, None),
        (P::SockOps, Some(A::CgroupSockOps)),
        (P::Netfilter, Some(A::Netfilter)),
        (P::SkLookup, Some(A::SkLookup)),
        (P::SkReuseport, Some(A::SkReuseportSelect)),
        (P::SkMsg, Some(A::SkMsgVerdict)),
        (P::Xdp, Some(A::Xdp)),
        (P::Kprobe, None),
        (P::SchedCls, None),
        (P::Syscall, None),
        (P::StructOps, None),
        (P::Ext, None),
    ] {
        assert_eq!(default_attach_type(kind), attach_type, "{kind}");
        assert!(!needs_attach_type(kind), "{kind}");
    }
    for kind in [P::CgroupSockAddr, P::CgroupSockopt, P::Tracing, P::Lsm] {
        assert!(needs_attach_type(kind) && attach_types(kind).len() > 1, "{kind}");
    }
    let options = [A::CgroupGetsockopt, A::CgroupSetsockopt];
    assert_eq!(attach_types(P::CgroupSockopt), options);
}

/// The table of `docs/assembly.md`: only the lines between these markers are generated.
const BEGIN: &str =
    "<!-- attach points: made by the test documentation_has_the_table, UPDATE_DOCS=1 -->\n";
const END: &str = "<!-- end of attach points -->\n";

fn meaning(arguments: Arguments) -> &'static str {
    match arguments {
        Arguments::Nothing => "",
        Arguments::TracepointRecord => "fields of the record",
        Arguments::EntryRegisters => "parameters, in registers",
        Arguments::ReturnRegister | Arguments::UserReturnRegister => "`ret`, in a register",
        Arguments::SessionRegisters => "parameters, in registers of the entry",
        Arguments::SyscallRegisters => "parameters of the system call",
        Arguments::UserEntryRegisters => "`arg1`, …, in registers",
        Arguments::UsdtOperands => "`arg1`, …, if in registers; `call args.arg1` returns any",
        Arguments::TracepointParameters => "parameters of the tracepoint",
        Arguments::FunctionParameters => "parameters",
        Arguments::FunctionParametersAndResult => "parameters, `ret`",
        Arguments::HookParameters => "parameters of the hook",
        Arguments::IteratorContext => "objects of the iterator",
        Arguments::MemberParameters => "parameters of the member",
    }
}

/// The table as Markdown.
fn markdown() -> String {
    let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
    let mut out = String::from(
        "| target, or target in a text | section of libbpf | program type | attach type | `args.NAME` | Linux |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in ATTACH_POINTS {
        let target = match (row.attach, row.among, row.rest.syntax()) {
            (Attach::No(_), _, "") => row.name.to_owned(),
            (Attach::No(_), _, rest) => format!("{}/{rest}", row.name),
            (_, Some("tcx"), _) => row.name.replace('/', ":DEVICE/"),
            (_, Some(among), _) => {
                let attach_type = row.attach_type.map_or("", AttachType::name);
                format!("{among}:PATH:{}", attach_type.trim_start_matches("cgroup_"))
            }
            (_, None, rest) => format!("{}:{rest}", row.name),
        };
        let suffix = row.suffix.map_or("", |suffix| match suffix {
            Suffix::Sleepable => " `.s`",
            Suffix::Frags => " `.frags`",
        });
        let plus = if row.rest.is_in_section() { "+" } else { "" };
        let names = std::iter::once(&row.section)
            .chain(row.also.iter().filter(|name| **name != row.section))
            .map(|name| format!("`{name}{plus}`"));
        let cells = [
            code(target),
            format!("{}{suffix}", names.collect::<Vec<_>>().join(", ")),
            code(row.program_type.name().into()),
            code(row.attach_type.map_or("", AttachType::name).into()),
            meaning(row.arguments).into(),
            row.since.to_string(),
        ];
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

#[test]
fn documentation_has_the_table() {
    // The documentation only exists on the machine that built the test.
    needs!(Cargo);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/assembly.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark of its beginning");
    let (table, after) = rest.split_once(END).expect("the mark of its end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", markdown())).unwrap();
        return;
    }
    assert_eq!(table, markdown(), "run this test with UPDATE_DOCS=1");
}
