//! What each helper takes and returns: its prototype in C.

use super::helpers::HELPERS;
use std::fmt;

/// The prototypes in the order of the helpers' numbers from 1 on: what is returned, and the arguments. (`include/uapi/linux/bpf.h`;
/// `tests/prototypes.rs` holds them against the running kernel's verifier.)
#[rustfmt::skip]
static TABLE: [&str; HELPERS.len() - 1] = [
    "void * (struct bpf_map *map, const void *key)", // map_lookup_elem
    "long (struct bpf_map *map, const void *key, const void *value, u64 flags)", // map_update_elem
    "long (struct bpf_map *map, const void *key)", // map_delete_elem
    "long (void *dst, u32 size, const void *unsafe_ptr)", // probe_read
    "u64 ()", // ktime_get_ns
    "long (const char *fmt, u32 fmt_size, ...)", // trace_printk
    "u32 ()", // get_prandom_u32
    "u32 ()", // get_smp_processor_id
    "long (struct sk_buff *skb, u32 offset, const void *from, u32 len, u64 flags)", // skb_store_bytes
    "long (struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 size)", // l3_csum_replace
    "long (struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 flags)", // l4_csum_replace
    "long (void *ctx, struct bpf_map *prog_array_map, u32 index)", // tail_call
    "long (struct sk_buff *skb, u32 ifindex, u64 flags)", // clone_redirect
    "u64 ()", // get_current_pid_tgid
    "u64 ()", // get_current_uid_gid
    "long (void *buf, u32 size_of_buf)", // get_current_comm
    "u32 (struct sk_buff *skb)", // get_cgroup_classid
    "long (struct sk_buff *skb, __be16 vlan_proto, u16 vlan_tci)", // skb_vlan_push
    "long (struct sk_buff *skb)", // skb_vlan_pop
    "long (struct sk_buff *skb, struct bpf_tunnel_key *key, u32 size, u64 flags)", // skb_get_tunnel_key
    "long (struct sk_buff *skb, struct bpf_tunnel_key *key, u32 size, u64 flags)", // skb_set_tunnel_key
    "u64 (struct bpf_map *map, u64 flags)", // perf_event_read
    "long (u32 ifindex, u64 flags)", // redirect
    "u32 (struct sk_buff *skb)", // get_route_realm
    "long (void *ctx, struct bpf_map *map, u64 flags, void *data, u64 size)", // perf_event_output
    "long (const void *skb, u32 offset, void *to, u32 len)", // skb_load_bytes
    "long (void *ctx, struct bpf_map *map, u64 flags)", // get_stackid
    "s64 (__be32 *from, u32 from_size, __be32 *to, u32 to_size, __wsum seed)", // csum_diff
    "long (struct sk_buff *skb, void *opt, u32 size)", // skb_get_tunnel_opt
    "long (struct sk_buff *skb, void *opt, u32 size)", // skb_set_tunnel_opt
    "long (struct sk_buff *skb, __be16 proto, u64 flags)", // skb_change_proto
    "long (struct sk_buff *skb, u32 type)", // skb_change_type
    "long (struct sk_buff *skb, struct bpf_map *map, u32 index)", // skb_under_cgroup
    "u32 (struct sk_buff *skb)", // get_hash_recalc
    "u64 ()", // get_current_task
    "long (void *dst, const void *src, u32 len)", // probe_write_user
    "long (struct bpf_map *map, u32 index)", // current_task_under_cgroup
    "long (struct sk_buff *skb, u32 len, u64 flags)", // skb_change_tail
    "long (struct sk_buff *skb, u32 len)", // skb_pull_data
    "s64 (struct sk_buff *skb, __wsum csum)", // csum_update
    "void (struct sk_buff *skb)", // set_hash_invalid
    "long ()", // get_numa_node_id
    "long (struct sk_buff *skb, u32 len, u64 flags)", // skb_change_head
    "long (struct xdp_buff *xdp_md, int delta)", // xdp_adjust_head
    "long (void *dst, u32 size, const void *unsafe_ptr)", // probe_read_str
    "u64 (struct sock *sk)", // get_socket_cookie
    "u32 (struct sk_buff *skb)", // get_socket_uid
    "long (struct sk_buff *skb, u32 hash)", // set_hash
    "long (void *bpf_socket, int level, int optname, void *optval, int optlen)", // setsockopt
    "long (struct sk_buff *skb, s32 len_diff, u32 mode, u64 flags)", // skb_adjust_room
    "long (struct bpf_map *map, u64 key, u64 flags)", // redirect_map
    "long (struct sk_buff *skb, struct bpf_map *map, u32 key, u64 flags)", // sk_redirect_map
    "long (struct bpf_sock_ops *skops, struct bpf_map *map, void *key, u64 flags)", // sock_map_update
    "long (struct xdp_buff *xdp_md, int delta)", // xdp_adjust_meta
    "long (struct bpf_map *map, u64 flags, struct bpf_perf_event_value *buf, u32 buf_size)", // perf_event_read_value
    "long (struct bpf_perf_event_data *ctx, struct bpf_perf_event_value *buf, u32 buf_size)", // perf_prog_read_value
    "long (void *bpf_socket, int level, int optname, void *optval, int optlen)", // getsockopt
    "long (struct pt_regs *regs, u64 rc)", // override_return
    "long (struct bpf_sock_ops *bpf_sock, int argval)", // sock_ops_cb_flags_set
    "long (struct sk_msg_buff *msg, struct bpf_map *map, u32 key, u64 flags)", // msg_redirect_map
    "long (struct sk_msg_buff *msg, u32 bytes)", // msg_apply_bytes
    "long (struct sk_msg_buff *msg, u32 bytes)", // msg_cork_bytes
    "long (struct sk_msg_buff *msg, u32 start, u32 end, u64 flags)", // msg_pull_data
    "long (struct bpf_sock_addr *ctx, struct sockaddr *addr, int addr_len)", // bind
    "long (struct xdp_buff *xdp_md, int delta)", // xdp_adjust_tail
    "long (struct sk_buff *skb, u32 index, struct bpf_xfrm_state *xfrm_state, u32 size, u64 flags)", // skb_get_xfrm_state
    "long (void *ctx, void *buf, u32 size, u64 flags)", // get_stack
    "long (const void *skb, u32 offset, void *to, u32 len, u32 start_header)", // skb_load_bytes_relative
    "long (void *ctx, struct bpf_fib_lookup *params, int plen, u32 flags)", // fib_lookup
    "long (struct bpf_sock_ops *skops, struct bpf_map *map, void *key, u64 flags)", // sock_hash_update
    "long (struct sk_msg_buff *msg, struct bpf_map *map, void *key, u64 flags)", // msg_redirect_hash
    "long (struct sk_buff *skb, struct bpf_map *map, void *key, u64 flags)", // sk_redirect_hash
    "long (struct sk_buff *skb, u32 type, void *hdr, u32 len)", // lwt_push_encap
    "long (struct sk_buff *skb, u32 offset, const void *from, u32 len)", // lwt_seg6_store_bytes
    "long (struct sk_buff *skb, u32 offset, s32 delta)", // lwt_seg6_adjust_srh
    "long (struct sk_buff *skb, u32 action, void *param, u32 param_len)", // lwt_seg6_action
    "long (void *ctx)", // rc_repeat
    "long (void *ctx, u32 protocol, u64 scancode, u32 toggle)", // rc_keydown
    "u64 (struct sk_buff *skb)", // skb_cgroup_id
    "u64 ()", // get_current_cgroup_id
    "void * (void *map, u64 flags)", // get_local_storage
    "long (struct sk_reuseport_md *reuse, struct bpf_map *map, void *key, u64 flags)", // sk_select_reuseport
    "u64 (struct sk_buff *skb, int ancestor_level)", // skb_ancestor_cgroup_id
    "struct bpf_sock * (void *ctx, struct bpf_sock_tuple *tuple, u32 tuple_size, u64 netns, u64 flags)", // sk_lookup_tcp
    "struct bpf_sock * (void *ctx, struct bpf_sock_tuple *tuple, u32 tuple_size, u64 netns, u64 flags)", // sk_lookup_udp
    "long (void *sock)", // sk_release
    "long (struct bpf_map *map, const void *value, u64 flags)", // map_push_elem
    "long (struct bpf_map *map, void *value)", // map_pop_elem
    "long (struct bpf_map *map, void *value)", // map_peek_elem
    "long (struct sk_msg_buff *msg, u32 start, u32 len, u64 flags)", // msg_push_data
    "long (struct sk_msg_buff *msg, u32 start, u32 len, u64 flags)", // msg_pop_data
    "long (void *ctx, s32 rel_x, s32 rel_y)", // rc_pointer_rel
    "long (struct bpf_spin_lock *lock)", // spin_lock
    "long (struct bpf_spin_lock *lock)", // spin_unlock
    "struct bpf_sock * (struct bpf_sock *sk)", // sk_fullsock
    "struct bpf_tcp_sock * (struct bpf_sock *sk)", // tcp_sock
    "long (struct sk_buff *skb)", // skb_ecn_set_ce
    "struct bpf_sock * (struct bpf_sock *sk)", // get_listener_sock
    "struct bpf_sock * (void *ctx, struct bpf_sock_tuple *tuple, u32 tuple_size, u64 netns, u64 flags)", // skc_lookup_tcp
    "long (void *sk, void *iph, u32 iph_len, struct tcphdr *th, u32 th_len)", // tcp_check_syncookie
    "long (struct bpf_sysctl *ctx, char *buf, size_t buf_len, u64 flags)", // sysctl_get_name
    "long (struct bpf_sysctl *ctx, char *buf, size_t buf_len)", // sysctl_get_current_value
    "long (struct bpf_sysctl *ctx, char *buf, size_t buf_len)", // sysctl_get_new_value
    "long (struct bpf_sysctl *ctx, const char *buf, size_t buf_len)", // sysctl_set_new_value
    "long (const char *buf, size_t buf_len, u64 flags, long *res)", // strtol
    "long (const char *buf, size_t buf_len, u64 flags, unsigned long *res)", // strtoul
    "void * (struct bpf_map *map, void *sk, void *value, u64 flags)", // sk_storage_get
    "long (struct bpf_map *map, void *sk)", // sk_storage_delete
    "long (u32 sig)", // send_signal
    "s64 (void *sk, void *iph, u32 iph_len, struct tcphdr *th, u32 th_len)", // tcp_gen_syncookie
    "long (void *ctx, struct bpf_map *map, u64 flags, void *data, u64 size)", // skb_output
    "long (void *dst, u32 size, const void *unsafe_ptr)", // probe_read_user
    "long (void *dst, u32 size, const void *unsafe_ptr)", // probe_read_kernel
    "long (void *dst, u32 size, const void *unsafe_ptr)", // probe_read_user_str
    "long (void *dst, u32 size, const void *unsafe_ptr)", // probe_read_kernel_str
    "long (void *tp, u32 rcv_nxt)", // tcp_send_ack
    "long (u32 sig)", // send_signal_thread
    "u64 ()", // jiffies64
    "long (struct bpf_perf_event_data *ctx, void *buf, u32 size, u64 flags)", // read_branch_records
    "long (u64 dev, u64 ino, struct bpf_pidns_info *nsdata, u32 size)", // get_ns_current_pid_tgid
    "long (void *ctx, struct bpf_map *map, u64 flags, void *data, u64 size)", // xdp_output
    "u64 (void *ctx)", // get_netns_cookie
    "u64 (int ancestor_level)", // get_current_ancestor_cgroup_id
    "long (struct bpf_sk_lookup *ctx, struct bpf_sock *sk, u64 flags)", // sk_assign
    "u64 ()", // ktime_get_boot_ns
    "long (struct seq_file *m, const char *fmt, u32 fmt_size, const void *data, u32 data_len)", // seq_printf
    "long (struct seq_file *m, const void *data, u32 len)", // seq_write
    "u64 (void *sk)", // sk_cgroup_id
    "u64 (void *sk, int ancestor_level)", // sk_ancestor_cgroup_id
    "long (void *ringbuf, void *data, u64 size, u64 flags)", // ringbuf_output
    "void * (void *ringbuf, u64 size, u64 flags)", // ringbuf_reserve
    "void (void *data, u64 flags)", // ringbuf_submit
    "void (void *data, u64 flags)", // ringbuf_discard
    "u64 (void *ringbuf, u64 flags)", // ringbuf_query
    "long (struct sk_buff *skb, u64 level)", // csum_level
    "struct tcp6_sock * (void *sk)", // skc_to_tcp6_sock
    "struct tcp_sock * (void *sk)", // skc_to_tcp_sock
    "struct tcp_timewait_sock * (void *sk)", // skc_to_tcp_timewait_sock
    "struct tcp_request_sock * (void *sk)", // skc_to_tcp_request_sock
    "struct udp6_sock * (void *sk)", // skc_to_udp6_sock
    "long (struct task_struct *task, void *buf, u32 size, u64 flags)", // get_task_stack
    "long (struct bpf_sock_ops *skops, void *searchby_res, u32 len, u64 flags)", // load_hdr_opt
    "long (struct bpf_sock_ops *skops, const void *from, u32 len, u64 flags)", // store_hdr_opt
    "long (struct bpf_sock_ops *skops, u32 len, u64 flags)", // reserve_hdr_opt
    "void * (struct bpf_map *map, void *inode, void *value, u64 flags)", // inode_storage_get
    "int (struct bpf_map *map, void *inode)", // inode_storage_delete
    "long (const struct path *path, char *buf, u32 sz)", // d_path
    "long (void *dst, u32 size, const void *user_ptr)", // copy_from_user
    "long (char *str, u32 str_size, struct btf_ptr *ptr, u32 btf_ptr_size, u64 flags)", // snprintf_btf
    "long (struct seq_file *m, struct btf_ptr *ptr, u32 ptr_size, u64 flags)", // seq_printf_btf
    "u64 (struct sk_buff *skb)", // skb_cgroup_classid
    "long (u32 ifindex, struct bpf_redir_neigh *params, int plen, u64 flags)", // redirect_neigh
    "void * (const void *percpu_ptr, u32 cpu)", // per_cpu_ptr
    "void * (const void *percpu_ptr)", // this_cpu_ptr
    "long (u32 ifindex, u64 flags)", // redirect_peer
    "void * (struct bpf_map *map, struct task_struct *task, void *value, u64 flags)", // task_storage_get
    "long (struct bpf_map *map, struct task_struct *task)", // task_storage_delete
    "struct task_struct * ()", // get_current_task_btf
    "long (struct linux_binprm *bprm, u64 flags)", // bprm_opts_set
    "u64 ()", // ktime_get_coarse_ns
    "long (struct inode *inode, void *dst, u32 size)", // ima_inode_hash
    "struct socket * (struct file *file)", // sock_from_file
    "long (void *ctx, u32 ifindex, u32 *mtu_len, s32 len_diff, u64 flags)", // check_mtu
    "long (struct bpf_map *map, void *callback_fn, void *callback_ctx, u64 flags)", // for_each_map_elem
    "long (char *str, u32 str_size, const char *fmt, u64 *data, u32 data_len)", // snprintf
    "long (u32 cmd, void *attr, u32 attr_size)", // sys_bpf
    "long (char *name, int name_sz, u32 kind, int flags)", // btf_find_by_name_kind
    "long (u32 fd)", // sys_close
    "long (struct bpf_timer *timer, struct bpf_map *map, u64 flags)", // timer_init
    "long (struct bpf_timer *timer, void *callback_fn)", // timer_set_callback
    "long (struct bpf_timer *timer, u64 nsecs, u64 flags)", // timer_start
    "long (struct bpf_timer *timer)", // timer_cancel
    "u64 (void *ctx)", // get_func_ip
    "u64 (void *ctx)", // get_attach_cookie
    "long (struct task_struct *task)", // task_pt_regs
    "long (void *entries, u32 size, u64 flags)", // get_branch_snapshot
    "long (const char *fmt, u32 fmt_size, const void *data, u32 data_len)", // trace_vprintk
    "struct unix_sock * (void *sk)", // skc_to_unix_sock
    "long (const char *name, int name_sz, int flags, u64 *res)", // kallsyms_lookup_name
    "long (struct task_struct *task, u64 addr, void *callback_fn, void *callback_ctx, u64 flags)", // find_vma
    "long (u32 nr_loops, void *callback_fn, void *callback_ctx, u64 flags)", // loop
    "long (const char *s1, u32 s1_sz, const char *s2)", // strncmp
    "long (void *ctx, u32 n, u64 *value)", // get_func_arg
    "long (void *ctx, u64 *value)", // get_func_ret
    "long (void *ctx)", // get_func_arg_cnt
    "int ()", // get_retval
    "int (int retval)", // set_retval
    "u64 (struct xdp_buff *xdp_md)", // xdp_get_buff_len
    "long (struct xdp_buff *xdp_md, u32 offset, void *buf, u32 len)", // xdp_load_bytes
    "long (struct xdp_buff *xdp_md, u32 offset, void *buf, u32 len)", // xdp_store_bytes
    "long (void *dst, u32 size, const void *user_ptr, struct task_struct *tsk, u64 flags)", // copy_from_user_task
    "long (struct sk_buff *skb, u64 tstamp, u32 tstamp_type)", // skb_set_tstamp
    "long (struct file *file, void *dst, u32 size)", // ima_file_hash
    "void * (void *dst, void *ptr)", // kptr_xchg
    "void * (struct bpf_map *map, const void *key, u32 cpu)", // map_lookup_percpu_elem
    "struct mptcp_sock * (void *sk)", // skc_to_mptcp_sock
    "long (void *data, u64 size, u64 flags, struct bpf_dynptr *ptr)", // dynptr_from_mem
    "long (void *ringbuf, u32 size, u64 flags, struct bpf_dynptr *ptr)", // ringbuf_reserve_dynptr
    "void (struct bpf_dynptr *ptr, u64 flags)", // ringbuf_submit_dynptr
    "void (struct bpf_dynptr *ptr, u64 flags)", // ringbuf_discard_dynptr
    "long (void *dst, u64 len, const struct bpf_dynptr *src, u64 offset, u64 flags)", // dynptr_read
    "long (const struct bpf_dynptr *dst, u64 offset, void *src, u64 len, u64 flags)", // dynptr_write
    "void * (const struct bpf_dynptr *ptr, u64 offset, u64 len)", // dynptr_data
    "s64 (struct iphdr *iph, struct tcphdr *th, u32 th_len)", // tcp_raw_gen_syncookie_ipv4
    "s64 (struct ipv6hdr *iph, struct tcphdr *th, u32 th_len)", // tcp_raw_gen_syncookie_ipv6
    "long (struct iphdr *iph, struct tcphdr *th)", // tcp_raw_check_syncookie_ipv4
    "long (struct ipv6hdr *iph, struct tcphdr *th)", // tcp_raw_check_syncookie_ipv6
    "u64 ()", // ktime_get_tai_ns
    "long (struct bpf_map *map, void *callback_fn, void *ctx, u64 flags)", // user_ringbuf_drain
    "void * (struct bpf_map *map, struct cgroup *cgroup, void *value, u64 flags)", // cgrp_storage_get
    "long (struct bpf_map *map, struct cgroup *cgroup)", // cgrp_storage_delete
];

/// What a helper takes and returns.
///
/// ```
/// use rawbpf::asm::helper_prototype;
///
/// let delete = helper_prototype(3).unwrap();
/// assert_eq!(delete.to_string(), "long bpf_map_delete_elem(struct bpf_map *map, const void *key)");
/// assert_eq!(delete.arguments().nth(1), Some("const void *key"));
/// assert!(helper_prototype(9999).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperPrototype {
    name: &'static str,
    returns: &'static str,
    arguments: &'static str,
}

/// Returns the prototype of the helper of this number; `None` if it is not known here.
pub fn helper_prototype(number: u32) -> Option<HelperPrototype> {
    let index = number as usize;
    let (returns, arguments) = TABLE.get(index.checked_sub(1)?)?.split_once(" (")?;
    Some(HelperPrototype {
        name: HELPERS.get(index)?,
        returns,
        arguments: arguments.strip_suffix(')')?,
    })
}

impl HelperPrototype {
    /// Returns the name, without the prefix `bpf_`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the type of the result: `long`.
    pub fn returns(&self) -> &'static str {
        self.returns
    }

    /// Returns the arguments, those of r1 to r5 in order, each with its type and its name: `const void *key`. That of a helper
    /// with a variable number of them ends with `...`.
    pub fn arguments(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.arguments.split(", ").filter(|argument| !argument.is_empty())
    }

    /// Returns the arguments with their registers: `r1: struct bpf_map *map, r2: const void *key`.
    pub(crate) fn in_registers(&self) -> String {
        let arguments = self.arguments().enumerate().map(|(index, argument)| match argument {
            "..." => argument.to_owned(),
            _ => format!("r{}: {argument}", index + 1),
        });
        arguments.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for HelperPrototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HelperPrototype { name, returns, arguments } = self;
        let space = if returns.ends_with('*') { "" } else { " " };
        let arguments = if arguments.is_empty() { "void" } else { arguments };
        write!(f, "{returns}{space}bpf_{name}({arguments})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_helper_has_a_prototype_of_at_most_five_arguments() {
        for number in 1..HELPERS.len() as u32 {
            let prototype = helper_prototype(number).unwrap();
            assert!(prototype.arguments().count() <= 5, "{prototype}");
            for argument in prototype.arguments().filter(|argument| *argument != "...") {
                let name = argument.rsplit([' ', '*']).next().unwrap();
                assert!(!name.is_empty() && name.len() < argument.len(), "{prototype}: {argument}");
            }
        }
        assert_eq!((helper_prototype(0), helper_prototype(u32::MAX)), (None, None));
    }

    /// bpf-helpers(7).
    #[test]
    fn prototypes_are_printed_as_in_the_manual() {
        for (number, text) in [
            (1, "void *bpf_map_lookup_elem(struct bpf_map *map, const void *key)"),
            (5, "u64 bpf_ktime_get_ns(void)"),
            (
                10,
                "long bpf_l3_csum_replace(struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 size)",
            ),
        ] {
            assert_eq!(helper_prototype(number).unwrap().to_string(), text);
        }
        let update = helper_prototype(2).unwrap();
        assert_eq!(update.returns(), "long");
        assert_eq!(
            update.in_registers(),
            "r1: struct bpf_map *map, r2: const void *key, r3: const void *value, r4: u64 flags"
        );
    }
}
