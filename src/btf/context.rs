//! The types by whose names the kernel knows the contexts of programs.

use crate::uapi::ProgramType;

/// Returns the name of the context of a program type in the kernel's `bpf_ctx_convert` (`include/linux/bpf_types.h`); `None` if it has
/// none.
pub(crate) fn context_name(kind: ProgramType) -> Option<&'static str> {
    use ProgramType::*;
    Some(match kind {
        CgroupSkb | FlowDissector | LwtIn | LwtOut | LwtSeg6local | LwtXmit | SchedAct
        | SchedCls | SkSkb | SocketFilter => "__sk_buff",
        CgroupDevice => "bpf_cgroup_dev_ctx",
        CgroupSock => "bpf_sock",
        CgroupSockAddr => "bpf_sock_addr",
        CgroupSockopt => "bpf_sockopt",
        CgroupSysctl => "bpf_sysctl",
        Kprobe => "bpf_user_pt_regs_t",
        Netfilter => "bpf_nf_ctx",
        PerfEvent => "bpf_perf_event_data",
        RawTracepoint | RawTracepointWritable => "bpf_raw_tracepoint_args",
        SkLookup => "bpf_sk_lookup",
        SkMsg => "sk_msg_md",
        SkReuseport => "sk_reuseport_md",
        SockOps => "bpf_sock_ops",
        Xdp => "xdp_md",
        _ => return None,
    })
}
