//! The layouts of `union bpf_attr` and `struct perf_event_attr`.
//!
//! They follow `include/uapi/linux/bpf.h` and `include/uapi/linux/perf_event.h` as of Linux 7.3. Each field has its
//! offset before it, the same on every architecture (`__aligned_u64`), and the compiler checks it. The
//! kernel accepts an attribute that is longer than the one it knows as long as the unknown tail is zero
//! (`bpf_check_uarg_tail_zero`), so one layout serves every version; what looks like padding is a field here, because
//! the kernel wants zeros there as well (`CHECK_ATTR`).

/// The name of a program or map as the kernel stores it: 15 bytes and a NUL.
pub(super) type ObjectName = [u8; 16];

pub(super) fn object_name(name: &[u8]) -> ObjectName {
    let mut bytes = [0; 16];
    for (to, from) in bytes[..15].iter_mut().zip(name) {
        *to = *from;
    }
    bytes
}

/// Makes a layout, and has the compiler check the offsets and that nothing lies between the fields.
macro_rules! attr {
    ($(#[$doc:meta])* $name:ident { $($offset:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Default)]
        pub(super) struct $name { $(pub $field: $type,)* }

        const _: () = {
            $(assert!(std::mem::offset_of!($name, $field) == $offset);)*
            assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*);
        };
    };
}

attr! {
    /// `BPF_MAP_CREATE`
    MapCreateAttr {
        0 map_type: u32,
        4 key_size: u32,
        8 value_size: u32,
        12 max_entries: u32,
        16 map_flags: u32,
        20 inner_map_fd: u32,
        24 numa_node: u32,
        28 map_name: ObjectName,
        44 map_ifindex: u32,
        48 btf_fd: u32,
        52 btf_key_type_id: u32,
        56 btf_value_type_id: u32,
        60 btf_vmlinux_value_type_id: u32,
        64 map_extra: u64,
        72 value_type_btf_obj_fd: u32,
        76 map_token_fd: u32,
    }
}

attr! {
    /// `BPF_MAP_*_ELEM`, `BPF_MAP_GET_NEXT_KEY` and `BPF_MAP_FREEZE`
    MapElemAttr {
        0 map_fd: u32,
        4 pad: u32,
        8 key: u64,
        16 value: u64,
        24 flags: u64,
    }
}

attr! {
    /// `BPF_MAP_*_BATCH`
    MapBatchAttr {
        0 in_batch: u64,
        8 out_batch: u64,
        16 keys: u64,
        24 values: u64,
        32 count: u32,
        36 map_fd: u32,
        40 elem_flags: u64,
        48 flags: u64,
    }
}

attr! {
    /// `BPF_PROG_LOAD`
    ProgLoadAttr {
        0 prog_type: u32,
        4 insn_cnt: u32,
        8 insns: u64,
        16 license: u64,
        24 log_level: u32,
        28 log_size: u32,
        32 log_buf: u64,
        40 kern_version: u32,
        44 prog_flags: u32,
        48 prog_name: ObjectName,
        64 prog_ifindex: u32,
        68 expected_attach_type: u32,
        72 prog_btf_fd: u32,
        76 func_info_rec_size: u32,
        80 func_info: u64,
        88 func_info_cnt: u32,
        92 line_info_rec_size: u32,
        96 line_info: u64,
        104 line_info_cnt: u32,
        108 attach_btf_id: u32,
        112 attach_prog_fd: u32,
        116 core_relo_cnt: u32,
        120 fd_array: u64,
        128 core_relos: u64,
        136 core_relo_rec_size: u32,
        140 log_true_size: u32,
        144 prog_token_fd: u32,
        148 fd_array_cnt: u32,
    }
}

attr! {
    /// `BPF_PROG_TEST_RUN`
    ProgTestRunAttr {
        0 prog_fd: u32,
        4 retval: u32,
        8 data_size_in: u32,
        12 data_size_out: u32,
        16 data_in: u64,
        24 data_out: u64,
        32 repeat: u32,
        36 duration: u32,
        40 ctx_size_in: u32,
        44 ctx_size_out: u32,
        48 ctx_in: u64,
        56 ctx_out: u64,
        64 flags: u32,
        68 cpu: u32,
        72 batch_size: u32,
        76 pad: u32,
    }
}

attr! {
    /// `BPF_PROG_BIND_MAP`
    ProgBindMapAttr {
        0 prog_fd: u32,
        4 map_fd: u32,
        8 flags: u32,
    }
}

attr! {
    /// `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`
    ProgAttachAttr {
        0 target: u32,
        4 attach_bpf_fd: u32,
        8 attach_type: u32,
        12 attach_flags: u32,
        16 replace_bpf_fd: u32,
        20 relative: u32,
        24 expected_revision: u64,
    }
}

attr! {
    /// `BPF_RAW_TRACEPOINT_OPEN`
    RawTracepointAttr {
        0 name: u64,
        8 prog_fd: u32,
        12 pad: u32,
        16 cookie: u64,
    }
}

attr! {
    /// `BPF_OBJ_PIN` and `BPF_OBJ_GET`
    ObjAttr {
        0 pathname: u64,
        8 bpf_fd: u32,
        12 file_flags: u32,
        16 path_fd: u32,
        20 pad: u32,
    }
}

attr! {
    /// `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID`
    IdAttr {
        0 id: u32,
        4 next_id: u32,
        8 open_flags: u32,
    }
}

attr! {
    /// `BPF_OBJ_GET_INFO_BY_FD`
    InfoAttr {
        0 bpf_fd: u32,
        4 info_len: u32,
        8 info: u64,
    }
}

attr! {
    /// `BPF_BTF_LOAD`
    BtfLoadAttr {
        0 btf: u64,
        8 btf_log_buf: u64,
        16 btf_size: u32,
        20 btf_log_size: u32,
        24 btf_log_level: u32,
        28 btf_log_true_size: u32,
        32 btf_flags: u32,
        36 btf_token_fd: u32,
    }
}

attr! {
    /// `BPF_TASK_FD_QUERY`
    TaskFdQueryAttr {
        0 pid: u32,
        4 fd: u32,
        8 flags: u32,
        12 buf_len: u32,
        16 buf: u64,
        24 prog_id: u32,
        28 fd_type: u32,
        32 probe_offset: u64,
        40 probe_addr: u64,
    }
}

attr! {
    /// The common head of every `BPF_LINK_CREATE`
    LinkHead {
        0 prog_fd: u32,
        4 target: u32,
        8 attach_type: u32,
        12 flags: u32,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, an iterator
    LinkIterAttr {
        0 head: LinkHead,
        16 iter_info: u64,
        24 iter_info_len: u32,
        28 pad: u32,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, a perf event
    LinkPerfEventAttr {
        0 head: LinkHead,
        16 bpf_cookie: u64,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, kernel functions
    LinkKprobeMultiAttr {
        0 head: LinkHead,
        16 flags: u32,
        20 cnt: u32,
        24 syms: u64,
        32 addrs: u64,
        40 cookies: u64,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, an entry or exit of a function, or a hook
    LinkTracingAttr {
        0 head: LinkHead,
        16 target_btf_id: u32,
        20 pad: u32,
        24 cookie: u64,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, netfilter
    LinkNetfilterAttr {
        0 head: LinkHead,
        16 pf: u32,
        20 hooknum: u32,
        24 priority: i32,
        28 flags: u32,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, a place among other programs (tcx, netkit, control groups)
    LinkRelativeAttr {
        0 head: LinkHead,
        16 relative: u32,
        20 pad: u32,
        24 expected_revision: u64,
    }
}

attr! {
    /// `BPF_LINK_CREATE`, functions of a file
    LinkUprobeMultiAttr {
        0 head: LinkHead,
        16 path: u64,
        24 offsets: u64,
        32 ref_ctr_offsets: u64,
        40 cookies: u64,
        48 cnt: u32,
        52 flags: u32,
        56 pid: u32,
        60 path_fd: u32,
    }
}

attr! {
    /// `BPF_LINK_UPDATE`
    LinkUpdateAttr {
        0 link_fd: u32,
        4 new_fd: u32,
        8 flags: u32,
        12 old_fd: u32,
    }
}

attr! {
    /// The commands that take two numbers or less: `BPF_LINK_DETACH`, `BPF_ITER_CREATE`, `BPF_ENABLE_STATS`, `BPF_TOKEN_CREATE`
    TwoAttr {
        0 first: u32,
        4 second: u32,
    }
}

attr! {
    /// `struct perf_event_attr` up to `PERF_ATTR_SIZE_VER5` (Linux 4.1).
    PerfEventAttr {
        0 kind: u32,
        4 size: u32,
        8 config: u64,
        16 sample_period: u64,
        24 sample_type: u64,
        32 read_format: u64,
        40 flags: u64,
        48 wakeup: u32,
        52 bp_type: u32,
        56 config1: u64,
        64 config2: u64,
        72 branch_sample_type: u64,
        80 sample_regs_user: u64,
        88 sample_stack_user: u32,
        92 clockid: i32,
        96 sample_regs_intr: u64,
        104 aux_watermark: u32,
        108 sample_max_stack: u16,
        110 reserved: u16,
    }
}

/// Bit `n` of the flags of `perf_event_attr`: C bit-fields start at the low end on a little-endian
/// machine and at the high end on a big-endian one.
const fn perf_flag(n: u32) -> u64 {
    if cfg!(target_endian = "big") { 1 << (63 - n) } else { 1 << n }
}

pub(super) const PERF_FLAG_INHERIT: u64 = perf_flag(1);
pub(super) const PERF_FLAG_MMAP: u64 = perf_flag(8);
pub(super) const PERF_FLAG_MMAP2: u64 = perf_flag(23);
pub(super) const PERF_FLAG_FREQ: u64 = perf_flag(10);
pub(super) const PERF_FLAG_WATERMARK: u64 = perf_flag(14);
pub(super) const PERF_FLAG_USE_CLOCKID: u64 = perf_flag(25);
pub(super) const PERF_FLAG_WRITE_BACKWARD: u64 = perf_flag(27);
pub(super) const PERF_FLAG_INHERIT_THREAD: u64 = perf_flag(35);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_what_the_kernel_stores() {
        assert_eq!(&object_name(b"hello"), b"hello\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&object_name(b"a_name_of_sixteen"), b"a_name_of_sixte\0");
    }
}
