use super::*;

#[test]
fn targets_are_made_of_names() {
    for (target, text) in [
        (Target::kprobe("vfs_read"), "kprobe:vfs_read"),
        (Target::kretprobe("vfs_read"), "kretprobe:vfs_read"),
        (Target::tracepoint("sched", "sched_switch"), "tracepoint:sched/sched_switch"),
        (Target::raw_tracepoint("sched_switch"), "raw_tracepoint:sched_switch"),
        (Target::btf_tracepoint("sched_switch"), "tp_btf:sched_switch"),
        (Target::fentry("vfs_read"), "fentry:vfs_read"),
        (Target::fexit("vfs_read"), "fexit:vfs_read"),
        (Target::lsm("file_open"), "lsm:file_open"),
        (Target::uprobe("c", "malloc"), "uprobe:c:malloc"),
        (Target::uretprobe("c", "malloc"), "uretprobe:c:malloc"),
        (Target::usdt("c", "libc", "setjmp"), "usdt:c:libc:setjmp"),
        (Target::xdp("lo"), "xdp:lo"),
        (Target::tc("lo", Direction::Egress), "tc:lo/egress"),
        (
            Target::cgroup("/sys/fs/cgroup/x", AttachType::CgroupInetIngress),
            "cgroup:/sys/fs/cgroup/x:inet_ingress",
        ),
        (Target::timer(99), "profile:hz:99"),
    ] {
        assert_eq!(text.parse::<Target>().unwrap(), target, "{text}");
    }
}

#[test]
fn targets_print_as_they_are_written() {
    for text in [
        "kprobe:sys_clone",
        "kprobe:icmp_rcv+0x10",
        "kprobe:vfs_*",
        "kprobe:nf_tables:nf_hook",
        "kretprobe:nf_tables:nf_hook",
        "kprobe:nf_tables:nf_hook+0x4",
        "kprobe:_text+0x1000",
        "kretprobe:_text+0x1000",
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
        "uprobe:/bin/x:internal/poll.(*FD).Write",
        "uprobe:/bin/x:main.Map[go.shape.int_0,go.shape.string_1]",
        "uretprobe:/bin/x:main.(*Server).Handle",
        "uprobe:/bin/x:ns::Foo::bar(int, char*)",
        "uprobe:/bin/x:ns::Foo::bar+0x8",
        "uprobe:/bin/x:operator+",
        "uprobe:/bin/x:a+b",
        "uprobe:/bin/x:0xz",
        "uprobe:/bin/x:helper@0x1139",
        "uretprobe:c:a+0x4",
        "uprobe.multi:c:ns::*",
        "uprobe.multi:c:0x10",
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
        ("usdt:c:setjmp", "usdt:c::setjmp"),
        ("usdt:/opt/a:b/c:x", "usdt:/opt/a:b/c::x"),
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
        ("usdt:c", "write usdt:"),
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
        ("kprobe:a b", "space"),
        ("kprobe:a:b:c", "colon"),
        ("kprobe:a:", "missing"),
        ("kprobe::a", "missing"),
    ] {
        let message = text.parse::<Target>().map_or_else(|e| e.to_string(), |t| t.to_string());
        assert!(message.contains(problem) && message.contains(text), "{message}");
    }
}
