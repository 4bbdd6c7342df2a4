//! The helper functions of the kernel, by number and by name, and the version that brought each.
//!
//! The list is closed: Linux adds kfuncs now, and the last helper, 211, came with 6.2
//! (`include/uapi/linux/bpf.h`, `___BPF_FUNC_MAPPER`).

use crate::util::Version;

/// The helpers in the order of their numbers from 1 on, with the version of Linux that brought each: they were only ever added
/// at the end, a few with each version (`include/uapi/linux/bpf.h` of that version). 3.19 was the first whose programs could
/// be attached to anything.
#[rustfmt::skip]
const TABLE: &[(u16, u16, &[&str])] = &[
    (3, 19, &["map_lookup_elem", "map_update_elem", "map_delete_elem"]),
    (4, 1, &[
        "probe_read", "ktime_get_ns", "trace_printk", "get_prandom_u32", "get_smp_processor_id", "skb_store_bytes",
        "l3_csum_replace", "l4_csum_replace",
    ]),
    (4, 2, &["tail_call", "clone_redirect", "get_current_pid_tgid", "get_current_uid_gid", "get_current_comm"]),
    (4, 3, &[
        "get_cgroup_classid", "skb_vlan_push", "skb_vlan_pop", "skb_get_tunnel_key", "skb_set_tunnel_key",
        "perf_event_read",
    ]),
    (4, 4, &["redirect", "get_route_realm", "perf_event_output"]),
    (4, 5, &["skb_load_bytes"]),
    (4, 6, &["get_stackid", "csum_diff", "skb_get_tunnel_opt", "skb_set_tunnel_opt"]),
    (4, 8, &[
        "skb_change_proto", "skb_change_type", "skb_under_cgroup", "get_hash_recalc", "get_current_task",
        "probe_write_user",
    ]),
    (4, 9, &["current_task_under_cgroup", "skb_change_tail", "skb_pull_data", "csum_update", "set_hash_invalid"]),
    (4, 10, &["get_numa_node_id", "skb_change_head", "xdp_adjust_head"]),
    (4, 11, &["probe_read_str"]),
    (4, 12, &["get_socket_cookie", "get_socket_uid"]),
    (4, 13, &["set_hash", "setsockopt", "skb_adjust_room"]),
    (4, 14, &["redirect_map", "sk_redirect_map", "sock_map_update"]),
    (4, 15, &["xdp_adjust_meta", "perf_event_read_value", "perf_prog_read_value", "getsockopt"]),
    (4, 16, &["override_return", "sock_ops_cb_flags_set"]),
    (4, 17, &["msg_redirect_map", "msg_apply_bytes", "msg_cork_bytes", "msg_pull_data", "bind"]),
    (4, 18, &[
        "xdp_adjust_tail", "skb_get_xfrm_state", "get_stack", "skb_load_bytes_relative", "fib_lookup",
        "sock_hash_update", "msg_redirect_hash", "sk_redirect_hash", "lwt_push_encap", "lwt_seg6_store_bytes",
        "lwt_seg6_adjust_srh", "lwt_seg6_action", "rc_repeat", "rc_keydown", "skb_cgroup_id",
        "get_current_cgroup_id",
    ]),
    (4, 19, &["get_local_storage", "sk_select_reuseport", "skb_ancestor_cgroup_id"]),
    (4, 20, &[
        "sk_lookup_tcp", "sk_lookup_udp", "sk_release", "map_push_elem", "map_pop_elem", "map_peek_elem",
        "msg_push_data",
    ]),
    (5, 0, &["msg_pop_data", "rc_pointer_rel"]),
    (5, 1, &["spin_lock", "spin_unlock", "sk_fullsock", "tcp_sock", "skb_ecn_set_ce", "get_listener_sock"]),
    (5, 2, &[
        "skc_lookup_tcp", "tcp_check_syncookie", "sysctl_get_name", "sysctl_get_current_value",
        "sysctl_get_new_value", "sysctl_set_new_value", "strtol", "strtoul", "sk_storage_get", "sk_storage_delete",
    ]),
    (5, 3, &["send_signal"]),
    (5, 4, &["tcp_gen_syncookie"]),
    (5, 5, &["skb_output", "probe_read_user", "probe_read_kernel", "probe_read_user_str", "probe_read_kernel_str"]),
    (5, 6, &["tcp_send_ack", "send_signal_thread", "jiffies64"]),
    (5, 7, &[
        "read_branch_records", "get_ns_current_pid_tgid", "xdp_output", "get_netns_cookie",
        "get_current_ancestor_cgroup_id", "sk_assign",
    ]),
    (5, 8, &[
        "ktime_get_boot_ns", "seq_printf", "seq_write", "sk_cgroup_id", "sk_ancestor_cgroup_id", "ringbuf_output",
        "ringbuf_reserve", "ringbuf_submit", "ringbuf_discard", "ringbuf_query", "csum_level",
    ]),
    (5, 9, &[
        "skc_to_tcp6_sock", "skc_to_tcp_sock", "skc_to_tcp_timewait_sock", "skc_to_tcp_request_sock",
        "skc_to_udp6_sock", "get_task_stack",
    ]),
    (5, 10, &[
        "load_hdr_opt", "store_hdr_opt", "reserve_hdr_opt", "inode_storage_get", "inode_storage_delete", "d_path",
        "copy_from_user", "snprintf_btf", "seq_printf_btf", "skb_cgroup_classid", "redirect_neigh", "per_cpu_ptr",
        "this_cpu_ptr", "redirect_peer",
    ]),
    (5, 11, &[
        "task_storage_get", "task_storage_delete", "get_current_task_btf", "bprm_opts_set", "ktime_get_coarse_ns",
        "ima_inode_hash", "sock_from_file",
    ]),
    (5, 12, &["check_mtu"]),
    (5, 13, &["for_each_map_elem", "snprintf"]),
    (5, 14, &["sys_bpf", "btf_find_by_name_kind", "sys_close"]),
    (5, 15, &[
        "timer_init", "timer_set_callback", "timer_start", "timer_cancel", "get_func_ip", "get_attach_cookie",
        "task_pt_regs",
    ]),
    (5, 16, &["get_branch_snapshot", "trace_vprintk", "skc_to_unix_sock", "kallsyms_lookup_name"]),
    (5, 17, &["find_vma", "loop", "strncmp", "get_func_arg", "get_func_ret", "get_func_arg_cnt"]),
    (5, 18, &[
        "get_retval", "set_retval", "xdp_get_buff_len", "xdp_load_bytes", "xdp_store_bytes", "copy_from_user_task",
        "skb_set_tstamp", "ima_file_hash",
    ]),
    (5, 19, &[
        "kptr_xchg", "map_lookup_percpu_elem", "skc_to_mptcp_sock", "dynptr_from_mem", "ringbuf_reserve_dynptr",
        "ringbuf_submit_dynptr", "ringbuf_discard_dynptr", "dynptr_read", "dynptr_write", "dynptr_data",
    ]),
    (6, 0, &[
        "tcp_raw_gen_syncookie_ipv4", "tcp_raw_gen_syncookie_ipv6", "tcp_raw_check_syncookie_ipv4",
        "tcp_raw_check_syncookie_ipv6",
    ]),
    (6, 1, &["ktime_get_tai_ns", "user_ringbuf_drain"]),
    (6, 2, &["cgrp_storage_get", "cgrp_storage_delete"]),
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
            names[number] = TABLE[at].2[index];
            number += 1;
            index += 1;
        }
        at += 1;
    }
    names
};

/// Returns the version of Linux that brought the helper of this number; `None` if it is not known here. Some program types
/// got it later.
pub(crate) fn helper_since(number: u32) -> Option<Version> {
    let mut first = 1;
    TABLE.iter().find_map(|(major, minor, names)| {
        let here = first..first + names.len();
        first = here.end;
        here.contains(&(number as usize)).then_some(Version::new(*major, *minor))
    })
}

/// The numbers in the order of the names, so that a name is found by halving.
const BY_NAME: [u8; HELPERS.len()] = {
    let mut order = [0; HELPERS.len()];
    let mut count = 0;
    while count < HELPERS.len() {
        let mut at = count;
        while at > 0 && before(HELPERS[count], HELPERS[order[at - 1] as usize]) {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = count as u8;
        count += 1;
    }
    assert!(COUNT <= 256, "a number has to fit a byte");
    order
};

const fn before(a: &str, b: &str) -> bool {
    compare(a.as_bytes(), b.as_bytes()) < 0
}

/// Less than, equal to or greater than 0 as `a` stands before, at or after `b`.
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
    let (mut low, mut high) = (0, HELPERS.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let number = BY_NAME[middle];
        match compare(name, HELPERS[number as usize].as_bytes()) {
            0 if number == 0 => return None, // "unspec" is not a helper
            0 => return Some(number as i32),
            less if less < 0 => high = middle,
            _ => low = middle + 1,
        }
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
