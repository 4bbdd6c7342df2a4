use super::*;

#[test]
fn targets_print_as_they_are_written() {
    for text in [
        "kprobe:sys_clone",
        "kprobe:icmp_rcv+0x10",
        "kprobe:vfs_*",
        "kretprobe:vfs_read",
        "kprobe.multi:vfs_*",
        "kretprobe.multi:vfs_read",
        "ksession:vfs_*",
        "tracepoint:syscalls/sys_enter_clone",
        "raw_tracepoint:sched_switch",
        "raw_tracepoint.w:nbd_send_request",
        "tp_btf:sched_switch",
        "fentry:do_unlinkat",
        "fexit:do_unlinkat",
        "fmod_ret:bpf_modify_return_test",
        "fsession:do_unlinkat",
        "fentry.s:do_unlinkat",
        "lsm:file_open",
        "lsm.s:file_open",
        "iter:task",
        "uprobe:c:strlen",
        "uprobe:/bin/bash:readline+0x4",
        "uprobe:/opt/a:b/c:0x1234",
        "uretprobe:/bin/bash:readline",
        "uprobe.s:c:strlen",
        "uprobe.multi:c:str*",
        "uretprobe.multi.s:c:str*",
        "uprobe.session:c:strlen",
        "usdt:/usr/bin/python3:python:function__entry",
        "usdt:c::setjmp",
        "software:cpu-clock:1000000",
        "software:page-faults:100hz",
        "hardware:cycles:1000000",
        "profile:hz:99",
        "xdp:eth0",
        "xdpdrv:eth0",
        "xdpgeneric:lo",
        "xdp.frags:eth0",
        "tc:lo/ingress",
        "tcx:lo/egress",
        "clsact:lo/ingress",
        "cgroup:/sys/fs/cgroup/a:cgroup_inet_ingress",
        "cgroup:/sys/fs/cgroup:lsm_cgroup",
        "netns:/run/netns/a:sk_lookup",
        "netns::flow_dissector",
        "socket:lo",
        "socket:",
    ] {
        assert_eq!(text.parse::<Target>().map(|t| t.to_string()).ok().as_deref(), Some(text));
    }
    // bpftrace's and libbpf's ways of writing it.
    for (other, ours) in [
        ("tracepoint:sched:sched_switch", "tracepoint:sched/sched_switch"),
        ("tp:sched/sched_switch", "tracepoint:sched/sched_switch"),
        ("raw_tp:sched_switch", "raw_tracepoint:sched_switch"),
        ("cgroup:/x:inet4_bind", "cgroup:/x:cgroup_inet4_bind"),
        ("software:cpu-clock:99hz", "profile:hz:99"),
        ("netns:sk_lookup", "netns::sk_lookup"),
        ("kprobe/sys_clone", "kprobe:sys_clone"),
        ("ksyscall/clone", "kprobe:sys_clone"),
        ("kprobe.session/vfs_*", "ksession:vfs_*"),
        ("uprobe.s//bin/bash:readline", "uprobe.s:/bin/bash:readline"),
        ("raw_tp.w/x", "raw_tracepoint.w:x"),
        ("cgroup:/x:connect4", "cgroup:/x:cgroup_inet4_connect"),
        ("cgroup:/x:sockops", "cgroup:/x:cgroup_sock_ops"),
        ("sk_lookup", "netns::sk_lookup"),
    ] {
        assert_eq!(other.parse::<Target>().ok(), ours.parse().ok(), "{other}");
    }
}

#[test]
fn what_is_no_target_says_why() {
    for (text, problem) in [
        ("sys_clone", "unknown attach point"),
        ("kprobe:", "name is missing"),
        ("kprobe:f+", "not a number"),
        ("kprobe:f+0xg", "not a number"),
        ("kretprobe:f+4", "no offset"),
        ("tracepoint:sched", "CATEGORY/NAME"),
        ("tracepoint:sched/a/b", "slash"),
        ("tracepoint:/x", "CATEGORY/NAME"),
        ("uprobes:c:strlen", "unknown attach point: `uprobes`, expected one of uprobe, kprobe"),
        ("uprobe:strlen", "write uprobe:FILE:FUNCTION"),
        ("uprobe:c:", "write uprobe:FILE:FUNCTION"),
        ("uprobe:c:0xz", "not a number"),
        ("uretprobe:c:strlen+4", "no offset"),
        ("usdt:c:x", "write usdt:"),
        ("software:cpu-clock", "EVENT:PERIOD"),
        ("software:cpu-clock:0", "EVENT:PERIOD"),
        ("profile:99", "profile:hz:RATE"),
        ("tc:lo", "ingress"),
        ("tcx:lo/up", "ingress"),
        ("cgroup:/x", "unknown attach type: `/x`"),
        ("cgroup:/x:xdp", "unknown attach type: `xdp`"),
        ("cgroup:/x:inet4_bnd", "inet4_bind"),
        ("cgroup/connect4", "PATH:ATTACH_TYPE"),
        ("lsm_cgroup/socket_bind", "PATH:ATTACH_TYPE"),
        ("tcx/ingress", "say the network device"),
        ("xdp", "say the network device"),
        ("xdp/devmap", "put into a map"),
        ("netns:/x:xdp", "sk_lookup"),
        ("perf_event", "software:EVENT:PERIOD"),
        ("tracing/x", "a type of programs"),
        ("kprobe.s:x", "unknown attach point"),
        ("uprobe.multi:c:0x10", "not for offsets"),
        ("kprobe:a b", "space"),
    ] {
        let message = text.parse::<Target>().map_or_else(|e| e.to_string(), |t| t.to_string());
        assert!(message.contains(problem) && message.contains(text), "{message}");
    }
}
