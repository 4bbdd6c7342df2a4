//! The helper functions of the kernel, by number and by name, and the version that brought each.
//!
//! The list is closed: Linux adds kfuncs now, and the last helper, 211, came with 6.2
//! (`include/uapi/linux/bpf.h`, `___BPF_FUNC_MAPPER`).

use super::statement::same;
use crate::util::Version;

/// The helpers that a version of Linux (major, minor) added: the name of each, and its prototype.
type Added = (u16, u16, &'static [(&'static str, &'static str)]);

/// The helpers in the order of their numbers from 1 on, with the version of Linux that added each: they were only
/// ever added at the end, a few with each version (`include/uapi/linux/bpf.h` of that version). 3.19 was the first
/// whose programs could be attached to anything. Beside each name is its prototype, which `tests/prototypes.rs`
/// checks against the running kernel's verifier.
#[rustfmt::skip]
const TABLE: &[Added] = &[
    (3, 19, &[
        ("map_lookup_elem", "void * (struct bpf_map *map, const void *key)"),
        ("map_update_elem", "long (struct bpf_map *map, const void *key, const void *value, u64 flags)"),
        ("map_delete_elem", "long (struct bpf_map *map, const void *key)"),
    ]),
    (4, 1, &[
        ("probe_read", "long (void *dst, u32 size, const void *unsafe_ptr)"),
        ("ktime_get_ns", "u64 ()"),
        ("trace_printk", "long (const char *fmt, u32 fmt_size, ...)"),
        ("get_prandom_u32", "u32 ()"),
        ("get_smp_processor_id", "u32 ()"),
        ("skb_store_bytes", "long (struct sk_buff *skb, u32 offset, const void *from, u32 len, u64 flags)"),
        ("l3_csum_replace", "long (struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 size)"),
        ("l4_csum_replace", "long (struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 flags)"),
    ]),
    (4, 2, &[
        ("tail_call", "long (void *ctx, struct bpf_map *prog_array_map, u32 index)"),
        ("clone_redirect", "long (struct sk_buff *skb, u32 ifindex, u64 flags)"),
        ("get_current_pid_tgid", "u64 ()"),
        ("get_current_uid_gid", "u64 ()"),
        ("get_current_comm", "long (void *buf, u32 size_of_buf)"),
    ]),
    (4, 3, &[
        ("get_cgroup_classid", "u32 (struct sk_buff *skb)"),
        ("skb_vlan_push", "long (struct sk_buff *skb, __be16 vlan_proto, u16 vlan_tci)"),
        ("skb_vlan_pop", "long (struct sk_buff *skb)"),
        ("skb_get_tunnel_key", "long (struct sk_buff *skb, struct bpf_tunnel_key *key, u32 size, u64 flags)"),
        ("skb_set_tunnel_key", "long (struct sk_buff *skb, struct bpf_tunnel_key *key, u32 size, u64 flags)"),
        ("perf_event_read", "u64 (struct bpf_map *map, u64 flags)"),
    ]),
    (4, 4, &[
        ("redirect", "long (u32 ifindex, u64 flags)"),
        ("get_route_realm", "u32 (struct sk_buff *skb)"),
        ("perf_event_output", "long (void *ctx, struct bpf_map *map, u64 flags, void *data, u64 size)"),
    ]),
    (4, 5, &[
        ("skb_load_bytes", "long (const void *skb, u32 offset, void *to, u32 len)"),
    ]),
    (4, 6, &[
        ("get_stackid", "long (void *ctx, struct bpf_map *map, u64 flags)"),
        ("csum_diff", "s64 (__be32 *from, u32 from_size, __be32 *to, u32 to_size, __wsum seed)"),
        ("skb_get_tunnel_opt", "long (struct sk_buff *skb, void *opt, u32 size)"),
        ("skb_set_tunnel_opt", "long (struct sk_buff *skb, void *opt, u32 size)"),
    ]),
    (4, 8, &[
        ("skb_change_proto", "long (struct sk_buff *skb, __be16 proto, u64 flags)"),
        ("skb_change_type", "long (struct sk_buff *skb, u32 type)"),
        ("skb_under_cgroup", "long (struct sk_buff *skb, struct bpf_map *map, u32 index)"),
        ("get_hash_recalc", "u32 (struct sk_buff *skb)"),
        ("get_current_task", "u64 ()"),
        ("probe_write_user", "long (void *dst, const void *src, u32 len)"),
    ]),
    (4, 9, &[
        ("current_task_under_cgroup", "long (struct bpf_map *map, u32 index)"),
        ("skb_change_tail", "long (struct sk_buff *skb, u32 len, u64 flags)"),
        ("skb_pull_data", "long (struct sk_buff *skb, u32 len)"),
        ("csum_update", "s64 (struct sk_buff *skb, __wsum csum)"),
        ("set_hash_invalid", "void (struct sk_buff *skb)"),
    ]),
    (4, 10, &[
        ("get_numa_node_id", "long ()"),
        ("skb_change_head", "long (struct sk_buff *skb, u32 len, u64 flags)"),
        ("xdp_adjust_head", "long (struct xdp_buff *xdp_md, int delta)"),
    ]),
    (4, 11, &[
        ("probe_read_str", "long (void *dst, u32 size, const void *unsafe_ptr)"),
    ]),
    (4, 12, &[
        ("get_socket_cookie", "u64 (struct sock *sk)"),
        ("get_socket_uid", "u32 (struct sk_buff *skb)"),
    ]),
    (4, 13, &[
        ("set_hash", "long (struct sk_buff *skb, u32 hash)"),
        ("setsockopt", "long (void *bpf_socket, int level, int optname, void *optval, int optlen)"),
        ("skb_adjust_room", "long (struct sk_buff *skb, s32 len_diff, u32 mode, u64 flags)"),
    ]),
    (4, 14, &[
        ("redirect_map", "long (struct bpf_map *map, u64 key, u64 flags)"),
        ("sk_redirect_map", "long (struct sk_buff *skb, struct bpf_map *map, u32 key, u64 flags)"),
        ("sock_map_update", "long (struct bpf_sock_ops *skops, struct bpf_map *map, void *key, u64 flags)"),
    ]),
    (4, 15, &[
        ("xdp_adjust_meta", "long (struct xdp_buff *xdp_md, int delta)"),
        ("perf_event_read_value", "long (struct bpf_map *map, u64 flags, struct bpf_perf_event_value *buf, u32 buf_size)"),
        ("perf_prog_read_value", "long (struct bpf_perf_event_data *ctx, struct bpf_perf_event_value *buf, u32 buf_size)"),
        ("getsockopt", "long (void *bpf_socket, int level, int optname, void *optval, int optlen)"),
    ]),
    (4, 16, &[
        ("override_return", "long (struct pt_regs *regs, u64 rc)"),
        ("sock_ops_cb_flags_set", "long (struct bpf_sock_ops *bpf_sock, int argval)"),
    ]),
    (4, 17, &[
        ("msg_redirect_map", "long (struct sk_msg_buff *msg, struct bpf_map *map, u32 key, u64 flags)"),
        ("msg_apply_bytes", "long (struct sk_msg_buff *msg, u32 bytes)"),
        ("msg_cork_bytes", "long (struct sk_msg_buff *msg, u32 bytes)"),
        ("msg_pull_data", "long (struct sk_msg_buff *msg, u32 start, u32 end, u64 flags)"),
        ("bind", "long (struct bpf_sock_addr *ctx, struct sockaddr *addr, int addr_len)"),
    ]),
    (4, 18, &[
        ("xdp_adjust_tail", "long (struct xdp_buff *xdp_md, int delta)"),
        ("skb_get_xfrm_state", "long (struct sk_buff *skb, u32 index, struct bpf_xfrm_state *xfrm_state, u32 size, u64 flags)"),
        ("get_stack", "long (void *ctx, void *buf, u32 size, u64 flags)"),
        ("skb_load_bytes_relative", "long (const void *skb, u32 offset, void *to, u32 len, u32 start_header)"),
        ("fib_lookup", "long (void *ctx, struct bpf_fib_lookup *params, int plen, u32 flags)"),
        ("sock_hash_update", "long (struct bpf_sock_ops *skops, struct bpf_map *map, void *key, u64 flags)"),
        ("msg_redirect_hash", "long (struct sk_msg_buff *msg, struct bpf_map *map, void *key, u64 flags)"),
        ("sk_redirect_hash", "long (struct sk_buff *skb, struct bpf_map *map, void *key, u64 flags)"),
        ("lwt_push_encap", "long (struct sk_buff *skb, u32 type, void *hdr, u32 len)"),
        ("lwt_seg6_store_bytes", "long (struct sk_buff *skb, u32 offset, const void *from, u32 len)"),
        ("lwt_seg6_adjust_srh", "long (struct sk_buff *skb, u32 offset, s32 delta)"),
        ("lwt_seg6_action", "long (struct sk_buff *skb, u32 action, void *param, u32 param_len)"),
        ("rc_repeat", "long (void *ctx)"),
        ("rc_keydown", "long (void *ctx, u32 protocol, u64 scancode, u32 toggle)"),
        ("skb_cgroup_id", "u64 (struct sk_buff *skb)"),
        ("get_current_cgroup_id", "u64 ()"),
    ]),
    (4, 19, &[
        ("get_local_storage", "void * (void *map, u64 flags)"),
        ("sk_select_reuseport", "long (struct sk_reuseport_md *reuse, struct bpf_map *map, void *key, u64 flags)"),
        ("skb_ancestor_cgroup_id", "u64 (struct sk_buff *skb, int ancestor_level)"),
    ]),
    (4, 20, &[
        ("sk_lookup_tcp", "struct bpf_sock * (void *ctx, struct bpf_sock_tuple *tuple, u32 tuple_size, u64 netns, u64 flags)"),
        ("sk_lookup_udp", "struct bpf_sock * (void *ctx, struct bpf_sock_tuple *tuple, u32 tuple_size, u64 netns, u64 flags)"),
        ("sk_release", "long (void *sock)"),
        ("map_push_elem", "long (struct bpf_map *map, const void *value, u64 flags)"),
        ("map_pop_elem", "long (struct bpf_map *map, void *value)"),
        ("map_peek_elem", "long (struct bpf_map *map, void *value)"),
        ("msg_push_data", "long (struct sk_msg_buff *msg, u32 start, u32 len, u64 flags)"),
    ]),
    (5, 0, &[
        ("msg_pop_data", "long (struct sk_msg_buff *msg, u32 start, u32 len, u64 flags)"),
        ("rc_pointer_rel", "long (void *ctx, s32 rel_x, s32 rel_y)"),
    ]),
    (5, 1, &[
        ("spin_lock", "long (struct bpf_spin_lock *lock)"),
        ("spin_unlock", "long (struct bpf_spin_lock *lock)"),
        ("sk_fullsock", "struct bpf_sock * (struct bpf_sock *sk)"),
        ("tcp_sock", "struct bpf_tcp_sock * (struct bpf_sock *sk)"),
        ("skb_ecn_set_ce", "long (struct sk_buff *skb)"),
        ("get_listener_sock", "struct bpf_sock * (struct bpf_sock *sk)"),
    ]),
    (5, 2, &[
        ("skc_lookup_tcp", "struct bpf_sock * (void *ctx, struct bpf_sock_tuple *tuple, u32 tuple_size, u64 netns, u64 flags)"),
        ("tcp_check_syncookie", "long (void *sk, void *iph, u32 iph_len, struct tcphdr *th, u32 th_len)"),
        ("sysctl_get_name", "long (struct bpf_sysctl *ctx, char *buf, size_t buf_len, u64 flags)"),
        ("sysctl_get_current_value", "long (struct bpf_sysctl *ctx, char *buf, size_t buf_len)"),
        ("sysctl_get_new_value", "long (struct bpf_sysctl *ctx, char *buf, size_t buf_len)"),
        ("sysctl_set_new_value", "long (struct bpf_sysctl *ctx, const char *buf, size_t buf_len)"),
        ("strtol", "long (const char *buf, size_t buf_len, u64 flags, long *res)"),
        ("strtoul", "long (const char *buf, size_t buf_len, u64 flags, unsigned long *res)"),
        ("sk_storage_get", "void * (struct bpf_map *map, void *sk, void *value, u64 flags)"),
        ("sk_storage_delete", "long (struct bpf_map *map, void *sk)"),
    ]),
    (5, 3, &[
        ("send_signal", "long (u32 sig)"),
    ]),
    (5, 4, &[
        ("tcp_gen_syncookie", "s64 (void *sk, void *iph, u32 iph_len, struct tcphdr *th, u32 th_len)"),
    ]),
    (5, 5, &[
        ("skb_output", "long (void *ctx, struct bpf_map *map, u64 flags, void *data, u64 size)"),
        ("probe_read_user", "long (void *dst, u32 size, const void *unsafe_ptr)"),
        ("probe_read_kernel", "long (void *dst, u32 size, const void *unsafe_ptr)"),
        ("probe_read_user_str", "long (void *dst, u32 size, const void *unsafe_ptr)"),
        ("probe_read_kernel_str", "long (void *dst, u32 size, const void *unsafe_ptr)"),
    ]),
    (5, 6, &[
        ("tcp_send_ack", "long (void *tp, u32 rcv_nxt)"),
        ("send_signal_thread", "long (u32 sig)"),
        ("jiffies64", "u64 ()"),
    ]),
    (5, 7, &[
        ("read_branch_records", "long (struct bpf_perf_event_data *ctx, void *buf, u32 size, u64 flags)"),
        ("get_ns_current_pid_tgid", "long (u64 dev, u64 ino, struct bpf_pidns_info *nsdata, u32 size)"),
        ("xdp_output", "long (void *ctx, struct bpf_map *map, u64 flags, void *data, u64 size)"),
        ("get_netns_cookie", "u64 (void *ctx)"),
        ("get_current_ancestor_cgroup_id", "u64 (int ancestor_level)"),
        ("sk_assign", "long (struct bpf_sk_lookup *ctx, struct bpf_sock *sk, u64 flags)"),
    ]),
    (5, 8, &[
        ("ktime_get_boot_ns", "u64 ()"),
        ("seq_printf", "long (struct seq_file *m, const char *fmt, u32 fmt_size, const void *data, u32 data_len)"),
        ("seq_write", "long (struct seq_file *m, const void *data, u32 len)"),
        ("sk_cgroup_id", "u64 (void *sk)"),
        ("sk_ancestor_cgroup_id", "u64 (void *sk, int ancestor_level)"),
        ("ringbuf_output", "long (void *ringbuf, void *data, u64 size, u64 flags)"),
        ("ringbuf_reserve", "void * (void *ringbuf, u64 size, u64 flags)"),
        ("ringbuf_submit", "void (void *data, u64 flags)"),
        ("ringbuf_discard", "void (void *data, u64 flags)"),
        ("ringbuf_query", "u64 (void *ringbuf, u64 flags)"),
        ("csum_level", "long (struct sk_buff *skb, u64 level)"),
    ]),
    (5, 9, &[
        ("skc_to_tcp6_sock", "struct tcp6_sock * (void *sk)"),
        ("skc_to_tcp_sock", "struct tcp_sock * (void *sk)"),
        ("skc_to_tcp_timewait_sock", "struct tcp_timewait_sock * (void *sk)"),
        ("skc_to_tcp_request_sock", "struct tcp_request_sock * (void *sk)"),
        ("skc_to_udp6_sock", "struct udp6_sock * (void *sk)"),
        ("get_task_stack", "long (struct task_struct *task, void *buf, u32 size, u64 flags)"),
    ]),
    (5, 10, &[
        ("load_hdr_opt", "long (struct bpf_sock_ops *skops, void *searchby_res, u32 len, u64 flags)"),
        ("store_hdr_opt", "long (struct bpf_sock_ops *skops, const void *from, u32 len, u64 flags)"),
        ("reserve_hdr_opt", "long (struct bpf_sock_ops *skops, u32 len, u64 flags)"),
        ("inode_storage_get", "void * (struct bpf_map *map, void *inode, void *value, u64 flags)"),
        ("inode_storage_delete", "int (struct bpf_map *map, void *inode)"),
        ("d_path", "long (const struct path *path, char *buf, u32 sz)"),
        ("copy_from_user", "long (void *dst, u32 size, const void *user_ptr)"),
        ("snprintf_btf", "long (char *str, u32 str_size, struct btf_ptr *ptr, u32 btf_ptr_size, u64 flags)"),
        ("seq_printf_btf", "long (struct seq_file *m, struct btf_ptr *ptr, u32 ptr_size, u64 flags)"),
        ("skb_cgroup_classid", "u64 (struct sk_buff *skb)"),
        ("redirect_neigh", "long (u32 ifindex, struct bpf_redir_neigh *params, int plen, u64 flags)"),
        ("per_cpu_ptr", "void * (const void *percpu_ptr, u32 cpu)"),
        ("this_cpu_ptr", "void * (const void *percpu_ptr)"),
        ("redirect_peer", "long (u32 ifindex, u64 flags)"),
    ]),
    (5, 11, &[
        ("task_storage_get", "void * (struct bpf_map *map, struct task_struct *task, void *value, u64 flags)"),
        ("task_storage_delete", "long (struct bpf_map *map, struct task_struct *task)"),
        ("get_current_task_btf", "struct task_struct * ()"),
        ("bprm_opts_set", "long (struct linux_binprm *bprm, u64 flags)"),
        ("ktime_get_coarse_ns", "u64 ()"),
        ("ima_inode_hash", "long (struct inode *inode, void *dst, u32 size)"),
        ("sock_from_file", "struct socket * (struct file *file)"),
    ]),
    (5, 12, &[
        ("check_mtu", "long (void *ctx, u32 ifindex, u32 *mtu_len, s32 len_diff, u64 flags)"),
    ]),
    (5, 13, &[
        ("for_each_map_elem", "long (struct bpf_map *map, void *callback_fn, void *callback_ctx, u64 flags)"),
        ("snprintf", "long (char *str, u32 str_size, const char *fmt, u64 *data, u32 data_len)"),
    ]),
    (5, 14, &[
        ("sys_bpf", "long (u32 cmd, void *attr, u32 attr_size)"),
        ("btf_find_by_name_kind", "long (char *name, int name_sz, u32 kind, int flags)"),
        ("sys_close", "long (u32 fd)"),
    ]),
    (5, 15, &[
        ("timer_init", "long (struct bpf_timer *timer, struct bpf_map *map, u64 flags)"),
        ("timer_set_callback", "long (struct bpf_timer *timer, void *callback_fn)"),
        ("timer_start", "long (struct bpf_timer *timer, u64 nsecs, u64 flags)"),
        ("timer_cancel", "long (struct bpf_timer *timer)"),
        ("get_func_ip", "u64 (void *ctx)"),
        ("get_attach_cookie", "u64 (void *ctx)"),
        ("task_pt_regs", "long (struct task_struct *task)"),
    ]),
    (5, 16, &[
        ("get_branch_snapshot", "long (void *entries, u32 size, u64 flags)"),
        ("trace_vprintk", "long (const char *fmt, u32 fmt_size, const void *data, u32 data_len)"),
        ("skc_to_unix_sock", "struct unix_sock * (void *sk)"),
        ("kallsyms_lookup_name", "long (const char *name, int name_sz, int flags, u64 *res)"),
    ]),
    (5, 17, &[
        ("find_vma", "long (struct task_struct *task, u64 addr, void *callback_fn, void *callback_ctx, u64 flags)"),
        ("loop", "long (u32 nr_loops, void *callback_fn, void *callback_ctx, u64 flags)"),
        ("strncmp", "long (const char *s1, u32 s1_sz, const char *s2)"),
        ("get_func_arg", "long (void *ctx, u32 n, u64 *value)"),
        ("get_func_ret", "long (void *ctx, u64 *value)"),
        ("get_func_arg_cnt", "long (void *ctx)"),
    ]),
    (5, 18, &[
        ("get_retval", "int ()"),
        ("set_retval", "int (int retval)"),
        ("xdp_get_buff_len", "u64 (struct xdp_buff *xdp_md)"),
        ("xdp_load_bytes", "long (struct xdp_buff *xdp_md, u32 offset, void *buf, u32 len)"),
        ("xdp_store_bytes", "long (struct xdp_buff *xdp_md, u32 offset, void *buf, u32 len)"),
        ("copy_from_user_task", "long (void *dst, u32 size, const void *user_ptr, struct task_struct *tsk, u64 flags)"),
        ("skb_set_tstamp", "long (struct sk_buff *skb, u64 tstamp, u32 tstamp_type)"),
        ("ima_file_hash", "long (struct file *file, void *dst, u32 size)"),
    ]),
    (5, 19, &[
        ("kptr_xchg", "void * (void *dst, void *ptr)"),
        ("map_lookup_percpu_elem", "void * (struct bpf_map *map, const void *key, u32 cpu)"),
        ("skc_to_mptcp_sock", "struct mptcp_sock * (void *sk)"),
        ("dynptr_from_mem", "long (void *data, u64 size, u64 flags, struct bpf_dynptr *ptr)"),
        ("ringbuf_reserve_dynptr", "long (void *ringbuf, u32 size, u64 flags, struct bpf_dynptr *ptr)"),
        ("ringbuf_submit_dynptr", "void (struct bpf_dynptr *ptr, u64 flags)"),
        ("ringbuf_discard_dynptr", "void (struct bpf_dynptr *ptr, u64 flags)"),
        ("dynptr_read", "long (void *dst, u64 len, const struct bpf_dynptr *src, u64 offset, u64 flags)"),
        ("dynptr_write", "long (const struct bpf_dynptr *dst, u64 offset, void *src, u64 len, u64 flags)"),
        ("dynptr_data", "void * (const struct bpf_dynptr *ptr, u64 offset, u64 len)"),
    ]),
    (6, 0, &[
        ("tcp_raw_gen_syncookie_ipv4", "s64 (struct iphdr *iph, struct tcphdr *th, u32 th_len)"),
        ("tcp_raw_gen_syncookie_ipv6", "s64 (struct ipv6hdr *iph, struct tcphdr *th, u32 th_len)"),
        ("tcp_raw_check_syncookie_ipv4", "long (struct iphdr *iph, struct tcphdr *th)"),
        ("tcp_raw_check_syncookie_ipv6", "long (struct ipv6hdr *iph, struct tcphdr *th)"),
    ]),
    (6, 1, &[
        ("ktime_get_tai_ns", "u64 ()"),
        ("user_ringbuf_drain", "long (struct bpf_map *map, void *callback_fn, void *ctx, u64 flags)"),
    ]),
    (6, 2, &[
        ("cgrp_storage_get", "void * (struct bpf_map *map, struct cgroup *cgroup, void *value, u64 flags)"),
        ("cgrp_storage_delete", "long (struct bpf_map *map, struct cgroup *cgroup)"),
    ]),
];

const COUNT: usize = {
    let (mut count, mut at) = (1, 0);
    while at < TABLE.len() {
        count += TABLE[at].2.len();
        at += 1;
    }
    count
};

/// The name of each helper at the index that is its number. 0 is none.
pub const HELPERS: [&str; COUNT] = {
    let mut names = ["unspec"; COUNT];
    let (mut number, mut at) = (1, 0);
    while at < TABLE.len() {
        let mut index = 0;
        while index < TABLE[at].2.len() {
            names[number] = TABLE[at].2[index].0;
            number += 1;
            index += 1;
        }
        at += 1;
    }
    names
};

/// The prototype of each helper, at the index that is its number: the type of the result, and in parentheses the
/// arguments.
pub(super) static PROTOTYPES: [&str; COUNT] = {
    let mut prototypes = [""; COUNT];
    let (mut number, mut at) = (1, 0);
    while at < TABLE.len() {
        let mut index = 0;
        while index < TABLE[at].2.len() {
            prototypes[number] = TABLE[at].2[index].1;
            number += 1;
            index += 1;
        }
        at += 1;
    }
    prototypes
};

/// Returns the version of Linux that added the helper of this number; `None` if it is not known here. Some program
/// types got it later.
pub(crate) fn helper_since(number: u32) -> Option<Version> {
    let mut first = 1;
    TABLE.iter().find_map(|(major, minor, names)| {
        let here = first..first + names.len();
        first = here.end;
        here.contains(&(number as usize)).then_some(Version::new(*major, *minor))
    })
}

/// The numbers of the helpers in a hash table of their names, 0 where there is none. Each crate that uses `bpf!` computes it while it
/// is compiled, which is quicker than to sort the names.
const BY_NAME: [u8; BUCKETS] = {
    let mut table = [0; BUCKETS];
    let mut number = 1;
    while number < COUNT {
        let mut at = bucket(HELPERS[number].as_bytes());
        while table[at] != 0 {
            at = (at + 1) % BUCKETS;
        }
        table[at] = number as u8;
        number += 1;
    }
    assert!(COUNT <= 256, "a number has to fit a byte");
    table
};

const BUCKETS: usize = 512;

/// The place in the table at which the search for a name begins.
const fn bucket(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let letters = name[0] as usize + 7 * name[length / 2] as usize + 31 * name[length - 1] as usize;
    (letters + 61 * length + 13 * name[length / 4] as usize) % BUCKETS
}

/// Compares two names: less than, equal to or greater than 0 as `a` sorts before, with or after `b`.
pub(super) const fn compare(a: &[u8], b: &[u8]) -> i32 {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] as i32 - b[i] as i32;
        }
        i += 1;
    }
    (a.len() > b.len()) as i32 - (a.len() < b.len()) as i32
}

/// The number of the helper of that name, without the prefix `bpf_`: `trace_printk` is 6.
pub const fn helper_number(name: &[u8]) -> Option<i32> {
    let mut at = bucket(name);
    while BY_NAME[at] != 0 {
        let number = BY_NAME[at];
        if same(HELPERS[number as usize].as_bytes(), name) {
            return Some(number as i32);
        }
        at = (at + 1) % BUCKETS;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_helper_is_found_by_its_name_and_nothing_else_is() {
        for (number, name) in HELPERS.iter().enumerate().skip(1) {
            assert_eq!(helper_number(name.as_bytes()), Some(number as i32), "{name}");
        }
        for none in ["", "unspec", "trace_printk_", "trace_print", "zzz", "bpf_trace_printk"] {
            assert_eq!(helper_number(none.as_bytes()), None, "{none}");
        }
    }

    /// Numbers that user programs have been compiled against for years (bpf-helpers(7)).
    #[test]
    fn well_known_numbers() {
        for (name, number) in [
            ("map_lookup_elem", 1),
            ("ktime_get_ns", 5),
            ("trace_printk", 6),
            ("get_current_pid_tgid", 14),
            ("get_current_comm", 16),
            ("perf_event_output", 25),
            ("get_stackid", 27),
            ("ringbuf_output", 130),
            ("cgrp_storage_delete", 211),
        ] {
            assert_eq!(HELPERS[number], name);
        }
    }

    /// Versions that bpf-helpers(7) and the commits behind it give; the first and the last of one version.
    #[test]
    fn helpers_came_with_their_versions() {
        for (name, version) in [
            ("map_lookup_elem", (3, 19)),
            ("probe_read", (4, 1)),
            ("get_current_comm", (4, 2)),
            ("perf_event_output", (4, 4)),
            ("get_stackid", (4, 6)),
            ("probe_write_user", (4, 8)),
            ("xdp_adjust_head", (4, 10)),
            ("probe_read_str", (4, 11)),
            ("redirect_map", (4, 14)),
            ("bind", (4, 17)),
            ("get_stack", (4, 18)),
            ("sk_lookup_tcp", (4, 20)),
            ("spin_lock", (5, 1)),
            ("sk_storage_get", (5, 2)),
            ("send_signal", (5, 3)),
            ("probe_read_user", (5, 5)),
            ("probe_read_kernel_str", (5, 5)),
            ("sk_assign", (5, 7)),
            ("ringbuf_output", (5, 8)),
            ("redirect_peer", (5, 10)),
            ("get_func_ip", (5, 15)),
            ("loop", (5, 17)),
            ("ima_file_hash", (5, 18)),
            ("dynptr_from_mem", (5, 19)),
            ("user_ringbuf_drain", (6, 1)),
            ("cgrp_storage_delete", (6, 2)),
        ] {
            let number = helper_number(name.as_bytes()).unwrap() as u32;
            let version = Version::new(version.0, version.1);
            assert_eq!(helper_since(number), Some(version), "{name}");
        }
    }

    #[test]
    fn versions_only_grow() {
        assert!(TABLE.is_sorted_by_key(|(major, minor, _)| (*major, *minor)));
        assert_eq!((HELPERS.len(), HELPERS[211]), (212, "cgrp_storage_delete"));
        assert_eq!(
            (helper_since(0), helper_since(212), helper_since(u32::MAX)),
            (None, None, None)
        );
    }
}
