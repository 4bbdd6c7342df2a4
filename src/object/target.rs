//! Targets of programs as libbpf has them: the names of the sections that programs stand in.

use crate::program::TextSpec;
use crate::uapi::AttachType::*;
use crate::uapi::ProgramType::*;
use crate::uapi::{AttachType, ProgramType, flags};

/// The section of programs without a target. No loader takes a type from it: whoever loads the object has to say it.
pub(super) const UNTYPED: &str = "program";

/// Sections that are named otherwise than targets here, or that take no name of a place behind them (libbpf's table of
/// `SEC_DEF`): each with the type and the way of attaching that it stands for.
const SECTIONS: &[(&str, ProgramType, Option<AttachType>)] = &[
    ("socket", SocketFilter, None),
    ("tc", SchedCls, None),
    ("tcx/ingress", SchedCls, Some(TcxIngress)),
    ("tcx/egress", SchedCls, Some(TcxEgress)),
    ("netkit/primary", SchedCls, Some(NetkitPrimary)),
    ("netkit/peer", SchedCls, Some(NetkitPeer)),
    ("action", SchedAct, None),
    ("xdp", ProgramType::Xdp, None),
    ("xdp", ProgramType::Xdp, Some(AttachType::Xdp)),
    ("xdp/devmap", ProgramType::Xdp, Some(XdpDevMap)),
    ("xdp/cpumap", ProgramType::Xdp, Some(XdpCpuMap)),
    ("perf_event", ProgramType::PerfEvent, None),
    ("perf_event", ProgramType::PerfEvent, Some(AttachType::PerfEvent)),
    ("cgroup/skb", CgroupSkb, None),
    ("cgroup_skb/ingress", CgroupSkb, Some(CgroupInetIngress)),
    ("cgroup_skb/egress", CgroupSkb, Some(CgroupInetEgress)),
    ("cgroup/sock", CgroupSock, None),
    ("cgroup/sock_create", CgroupSock, Some(CgroupInetSockCreate)),
    ("cgroup/sock_release", CgroupSock, Some(CgroupInetSockRelease)),
    ("cgroup/post_bind4", CgroupSock, Some(CgroupInet4PostBind)),
    ("cgroup/post_bind6", CgroupSock, Some(CgroupInet6PostBind)),
    ("cgroup/bind4", CgroupSockAddr, Some(CgroupInet4Bind)),
    ("cgroup/bind6", CgroupSockAddr, Some(CgroupInet6Bind)),
    ("cgroup/connect4", CgroupSockAddr, Some(CgroupInet4Connect)),
    ("cgroup/connect6", CgroupSockAddr, Some(CgroupInet6Connect)),
    ("cgroup/connect_unix", CgroupSockAddr, Some(CgroupUnixConnect)),
    ("cgroup/sendmsg4", CgroupSockAddr, Some(CgroupUdp4Sendmsg)),
    ("cgroup/sendmsg6", CgroupSockAddr, Some(CgroupUdp6Sendmsg)),
    ("cgroup/sendmsg_unix", CgroupSockAddr, Some(CgroupUnixSendmsg)),
    ("cgroup/recvmsg4", CgroupSockAddr, Some(CgroupUdp4Recvmsg)),
    ("cgroup/recvmsg6", CgroupSockAddr, Some(CgroupUdp6Recvmsg)),
    ("cgroup/recvmsg_unix", CgroupSockAddr, Some(CgroupUnixRecvmsg)),
    ("cgroup/getpeername4", CgroupSockAddr, Some(CgroupInet4Getpeername)),
    ("cgroup/getpeername6", CgroupSockAddr, Some(CgroupInet6Getpeername)),
    ("cgroup/getpeername_unix", CgroupSockAddr, Some(CgroupUnixGetpeername)),
    ("cgroup/getsockname4", CgroupSockAddr, Some(CgroupInet4Getsockname)),
    ("cgroup/getsockname6", CgroupSockAddr, Some(CgroupInet6Getsockname)),
    ("cgroup/getsockname_unix", CgroupSockAddr, Some(CgroupUnixGetsockname)),
    ("cgroup/sysctl", ProgramType::CgroupSysctl, None),
    ("cgroup/sysctl", ProgramType::CgroupSysctl, Some(AttachType::CgroupSysctl)),
    ("cgroup/getsockopt", CgroupSockopt, Some(CgroupGetsockopt)),
    ("cgroup/setsockopt", CgroupSockopt, Some(CgroupSetsockopt)),
    ("cgroup/dev", ProgramType::CgroupDevice, None),
    ("cgroup/dev", ProgramType::CgroupDevice, Some(AttachType::CgroupDevice)),
    ("lwt_in", LwtIn, None),
    ("lwt_out", LwtOut, None),
    ("lwt_xmit", LwtXmit, None),
    ("lwt_seg6local", LwtSeg6local, None),
    ("sockops", SockOps, None),
    ("sockops", SockOps, Some(CgroupSockOps)),
    ("sk_skb", SkSkb, None),
    ("sk_skb/stream_parser", SkSkb, Some(SkSkbStreamParser)),
    ("sk_skb/stream_verdict", SkSkb, Some(SkSkbStreamVerdict)),
    ("sk_skb/verdict", SkSkb, Some(SkSkbVerdict)),
    ("sk_msg", SkMsg, None),
    ("sk_msg", SkMsg, Some(SkMsgVerdict)),
    ("lirc_mode2", ProgramType::LircMode2, None),
    ("lirc_mode2", ProgramType::LircMode2, Some(AttachType::LircMode2)),
    ("flow_dissector", ProgramType::FlowDissector, None),
    ("flow_dissector", ProgramType::FlowDissector, Some(AttachType::FlowDissector)),
    ("sk_reuseport", SkReuseport, None),
    ("sk_reuseport", SkReuseport, Some(SkReuseportSelect)),
    ("sk_reuseport/migrate", SkReuseport, Some(SkReuseportSelectOrMigrate)),
    ("sk_lookup", ProgramType::SkLookup, None),
    ("sk_lookup", ProgramType::SkLookup, Some(AttachType::SkLookup)),
    ("syscall", Syscall, None),
    ("netfilter", ProgramType::Netfilter, None),
    ("netfilter", ProgramType::Netfilter, Some(AttachType::Netfilter)),
];

/// First words of sections that stand before the name of a place, and that are spelled otherwise here.
const WORDS: [(&str, &str); 2] =
    [("freplace", "ext"), ("raw_tracepoint.w", "raw_tracepoint_writable")];

/// Sections that mean something else than a program.
const TAKEN: [&str; 3] = ["license", "version", "maps"];

/// Whether a target can stand in a text of which an object is made.
pub(super) fn can_be_said(target: &str) -> bool {
    let ends =
        |letter: char| letter.is_whitespace() || letter.is_control() || "#;".contains(letter);
    !target.is_empty() && !is_taken(target) && !target.contains(ends)
}

/// Whether a section of that name holds something else than programs.
fn is_taken(section: &str) -> bool {
    section.starts_with('.') || TAKEN.contains(&section)
}

/// The section for a program of a text; else why it cannot be in an object.
pub(super) fn section(spec: &TextSpec<'_>, target: Option<&str>) -> Result<String, &'static str> {
    let Some(target) = target else { return Ok(UNTYPED.into()) };
    let (word, rest) = target.split_once(['/', ':']).unwrap_or((target, ""));
    if is_taken(target) {
        return Err("it names a section of an object that holds no programs");
    }
    let Some(kind) = spec.kind() else { return Ok(target.into()) };
    if kind == ProgramType::StructOps {
        return Err(
            "libbpf loads a struct_ops program for a variable in `.struct_ops`, which a text cannot describe",
        );
    }
    let program = spec.program(kind);
    let known = SECTIONS.iter().find(|(_, of, how)| (*of, *how) == (kind, program.attach_type));
    if let Some((section, ..)) = known {
        if program.flags & flags::BPF_F_XDP_HAS_FRAGS == 0 {
            return Ok((*section).into());
        }
        let end = section.strip_prefix("xdp").unwrap_or_default();
        return Ok(format!("xdp.frags{end}"));
    }
    let (plain, suffix) = word.strip_suffix(".s").map_or((word, ""), |plain| (plain, ".s"));
    let theirs = WORDS.iter().find(|(_, ours)| *ours == plain).map(|(theirs, _)| *theirs);
    let word = theirs.unwrap_or(plain);
    if rest.is_empty() {
        return Ok(format!("{word}{suffix}"));
    }
    Ok(format!("{word}{suffix}/{rest}"))
}

/// The target that a section stands for; `None` if it says nothing.
pub(super) fn target(section: &str) -> Option<String> {
    if section == UNTYPED {
        return None;
    }
    let frags =
        section.strip_prefix("xdp.frags").filter(|end| end.is_empty() || end.starts_with('/'));
    let plain = frags.map(|end| format!("xdp{end}"));
    let plain = plain.as_deref().unwrap_or(section);
    let mark = if frags.is_some() { ".frags" } else { "" };
    // Of two entries of one name the first says less, which is enough.
    if let Some((_, kind, how)) = SECTIONS.iter().find(|(name, ..)| *name == plain) {
        return Some(match how {
            Some(how) => format!("{}{mark}/{}", kind.name(), how.name()),
            None => format!("{}{mark}", kind.name()),
        });
    }
    let (word, rest) = section.split_once('/').unwrap_or((section, ""));
    let ours = WORDS.iter().find(|(theirs, _)| *theirs == word);
    Some(ours.map_or_else(|| section.into(), |(_, ours)| format!("{ours}/{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};

    fn section_of(target: &str) -> Result<String, &'static str> {
        let text = format!(".program p, {target}\nexit\n");
        let module = parse(&text, "x.s", &ParseOptions::new()).unwrap();
        let program = module.programs().first().unwrap();
        section(&TextSpec::new(&module, program, "x.s").unwrap(), program.target())
    }

    /// What libbpf's documentation lists (`Documentation/bpf/libbpf/program_types.rst`).
    #[test]
    fn targets_are_spelled_as_libbpf_has_them() {
        for (target, section) in [
            ("kprobe/sys_clone", "kprobe/sys_clone"),
            ("kretprobe:do_exit", "kretprobe/do_exit"),
            ("tracepoint:syscalls/sys_enter_openat", "tracepoint/syscalls/sys_enter_openat"),
            ("raw_tracepoint/sched_switch", "raw_tracepoint/sched_switch"),
            ("raw_tracepoint_writable/x", "raw_tracepoint.w/x"),
            ("uprobe.s//bin/bash:readline", "uprobe.s//bin/bash:readline"),
            ("kprobe.multi/sys_*", "kprobe.multi/sys_*"),
            ("fentry.s/do_unlinkat", "fentry.s/do_unlinkat"),
            ("lsm.s/file_open", "lsm.s/file_open"),
            ("ext/handler", "freplace/handler"),
            ("socket_filter", "socket"),
            ("socket/lo", "socket"),
            ("xdp/eth0", "xdp"),
            ("xdp.frags/eth0", "xdp.frags"),
            ("xdp.frags/xdp_devmap", "xdp.frags/devmap"),
            ("xdp/xdp_cpumap", "xdp/cpumap"),
            ("sched_cls", "tc"),
            ("sched_cls/tcx_egress", "tcx/egress"),
            ("cgroup_skb/cgroup_inet_ingress", "cgroup_skb/ingress"),
            ("cgroup_sock_addr/cgroup_inet4_bind", "cgroup/bind4"),
            ("cgroup_sockopt/cgroup_setsockopt", "cgroup/setsockopt"),
            ("cgroup_device", "cgroup/dev"),
            ("sock_ops", "sockops"),
            ("syscall", "syscall"),
        ] {
            assert_eq!(section_of(target).as_deref(), Ok(section), "{target}");
        }
        for wrong in [".text", "license", "struct_ops/tcp_congestion_ops.ssthresh"] {
            assert!(section_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sections_come_back_as_they_were() {
        let sections = SECTIONS.iter().map(|(section, ..)| *section);
        let others = [
            "xdp.frags",
            "xdp.frags/cpumap",
            "kprobe/x",
            "freplace/f",
            "iter/task",
            "raw_tp/x",
            "odd",
        ];
        for section in sections.chain(others) {
            let ours = target(section).unwrap();
            assert_eq!(section_of(&ours).as_deref(), Ok(section), "{ours}");
        }
        assert_eq!(target(UNTYPED), None);
    }
}
