//! Targets of programs as libbpf has them: the names of the sections that programs stand in.

use crate::spec::attach_point::Named;
use crate::uapi::ProgramType;

/// The section of programs without a target. No loader takes a type from it: whoever loads the object has to say it.
pub(super) const UNTYPED: &str = "program";

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
pub(super) fn section(target: Option<&str>) -> Result<String, &'static str> {
    let Some(target) = target else { return Ok(UNTYPED.into()) };
    if is_taken(target) {
        return Err("it names a section of an object that holds no programs");
    }
    let Ok(named) = Named::read(target) else { return Ok(target.into()) };
    if named.program_type == ProgramType::StructOps {
        return Err(
            "libbpf loads a struct_ops program for a variable in `.struct_ops`, which a text cannot describe",
        );
    }
    Ok(named.section())
}

/// The target that a section stands for; `None` if it says nothing. A text understands all names of sections, but for the question
/// mark at the beginning of one whose programs are not loaded with the others.
pub(super) fn target(section: &str) -> Option<String> {
    let section = section.strip_prefix('?').unwrap_or(section);
    (section != UNTYPED).then(|| section.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::attach_point::ATTACH_POINTS;

    /// The sections that libbpf's documentation lists (`Documentation/bpf/libbpf/program_types.rst`).
    #[test]
    fn targets_are_spelled_as_libbpf_has_them() {
        for (target, expected) in [
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
            ("ksession/vfs_*", "kprobe.session/vfs_*"),
            ("software/cpu-clock:99hz", "perf_event"),
            ("xdpdrv.frags/eth0", "xdp.frags"),
            ("tcx/eth0/ingress", "tcx/ingress"),
            ("clsact/eth0/ingress", "tc"),
            ("cgroup:/sys/fs/cgroup:connect4", "cgroup/connect4"),
            ("netns:/run/netns/a:sk_lookup", "sk_lookup"),
            ("lsm_cgroup/socket_bind", "lsm_cgroup/socket_bind"),
            ("uprobe.multi.s/c:str*", "uprobe.multi.s/c:str*"),
            // Not known here, and kept.
            ("odd", "odd"),
            ("syscall", "syscall"),
        ] {
            assert_eq!(section(Some(target)).as_deref(), Ok(expected), "{target}");
        }
        for wrong in [".text", "license", "struct_ops/tcp_congestion_ops.ssthresh"] {
            assert!(section(Some(wrong)).is_err(), "{wrong}");
        }
    }

    /// A text made of an object becomes the object that it was.
    #[test]
    fn sections_come_back_as_they_were() {
        let sections = ATTACH_POINTS.iter().flat_map(|row| row.also.iter().chain([&row.section]));
        let others = ["xdp.frags", "xdp.frags/cpumap", "kprobe/x", "freplace/f", "raw_tp/x", "odd"];
        for name in sections.chain(&others).filter(|name| **name != "struct_ops") {
            let ours = target(name).unwrap();
            assert_eq!(section(Some(&ours)).as_deref(), Ok(*name), "{ours}");
        }
        assert_eq!(target(UNTYPED), None);
    }
}
