//! Programs that the verifier rejects, each wrong in one way.
//!
//! The same table is held against the running kernel (`tests/rejected.rs`) and against the logs that the kernels of the
//! matrix wrote (`src/verifier/tests.rs`).

use super::case::{Case, kprobe, of_type};

/// `BPF_F_STRICT_ALIGNMENT`.
const STRICT: u32 = 1;

pub(crate) const CASES: &[Case] = &[
    // ---- registers ----
    kprobe("uninitialised", &["uninitialised"])
        .is("r0 = 0\nr0 += r3 # wrong\nexit", &["R3 !read_ok"]),
    kprobe("no_result", &["uninitialised"]).is("r1 = 0\nexit # wrong", &["R0 !read_ok"]),
    kprobe("lost_in_a_call", &["uninitialised"])
        .is("call ktime_get_ns\nr0 = r1 # wrong\nexit", &["R1 !read_ok"]),
    kprobe("on_one_branch", &["uninitialised"]).is(
        "r6 = r1
        call ktime_get_ns
        if r0 > 7 goto big
        r0 = 0
        exit
        big: r0 = *(u32 *)(r7 + 0) # wrong
        exit",
        &["R7 !read_ok"],
    ),
    kprobe("not_handed_over", &["uninitialised"]).is(
        "r6 = 1
        call function
        exit
        function:
        r0 = r6 # wrong
        exit",
        &["R6 !read_ok"],
    ),
    kprobe("frame_pointer", &["frame-pointer"])
        .is("r10 = 1 # wrong\nr0 = 0\nexit", &["frame pointer is read only"]),
    // ---- arithmetic ----
    kprobe("division", &["division"]).is("r0 = 1\nr0 /= 0 # wrong\nexit", &["div by zero"]),
    kprobe("shift", &["shift"]).is("r0 = 1\nr0 <<= 64 # wrong\nexit", &["invalid shift 64"]),
    kprobe("shift_of_32", &["shift"]).is("w0 = 1\nw0 <<= 32 # wrong\nexit", &["invalid shift 32"]),
    kprobe("pointer_times", &["pointer-arithmetic"]).is(
        "r0 = r10\nr0 *= 2 # wrong\nexit",
        &["R0 pointer arithmetic with *= operator prohibited"],
    ),
    kprobe("pointer_and_pointer", &["pointer-arithmetic"])
        .is("r0 = r10\nr0 += r1 # wrong\nexit", &["R0 pointer += pointer prohibited"]),
    kprobe("half_a_pointer", &["pointer-arithmetic"]).is(
        "r0 = r10\nw0 += 1 # wrong\nexit",
        &["R0 32-bit pointer arithmetic prohibited"],
    ),
    kprobe("bits_of_a_pointer", &["pointer-arithmetic"]).is(
        "r0 = r10\nr0 &= -8 # wrong\nexit",
        &["R0 bitwise operator &= on pointer prohibited"],
    ),
    kprobe("map_plus", &["pointer-arithmetic"]).is(
        ".map m, array, value=8, max=1\nr1 = m ll\nr1 += 8 # wrong\nr0 = 0\nexit",
        &["R1 pointer arithmetic on map_ptr prohibited"],
    ),
    kprobe("unbounded_sum", &["bounds"]).is(
        "call ktime_get_ns
        r1 = r10
        r1 += r0 # wrong
        r0 = 0
        exit",
        &["math between fp pointer and register with unbounded min value is not allowed"],
    ),
    // ---- the stack ----
    kprobe("below_the_stack", &["stack-bounds"]).is(
        "r0 = 0\n*(u64 *)(r10 - 520) = r0 # wrong\nexit",
        &["invalid write to stack R10 off=-520 size=8"],
    ),
    kprobe("above_the_stack", &["stack-bounds"]).is(
        "r0 = 0\n*(u64 *)(r10 + 8) = r0 # wrong\nexit",
        &["invalid write to stack R10 off=8 size=8"],
    ),
    kprobe("reads_below_the_stack", &["stack-bounds"]).is(
        "r0 = *(u64 *)(r10 - 520) # wrong\nexit",
        &["invalid read from stack R10 off=-520 size=8"],
    ),
    kprobe("reads_what_was_not_written", &["stack-uninitialised", "stack-bounds"])
        .is("r0 = *(u64 *)(r10 - 8) # wrong\nexit", &["invalid read from stack *-8+0 size 8", "invalid read from stack R10 off=-8 size=8"])
        .accepted_somewhere(),
    kprobe("hands_over_what_was_not_written", &["stack-uninitialised"])
        .is(
            ".map m, hash, key=4, value=8, max=1
            r1 = m ll
            r2 = r10
            r2 += -4
            call map_lookup_elem # wrong
            r0 = 0
            exit",
            &["invalid indirect read from stack *-4+0 size 4"],
        )
        .accepted_somewhere(),
    kprobe("misaligned_stack", &["misaligned"]).is(
        "r0 = 0\n*(u64 *)(r10 - 12) = r0 # wrong\nexit",
        &["misaligned stack access off *-12 size 8"],
    ),
    kprobe("half_of_a_saved_pointer", &["stack-uninitialised", "stack-spill"])
        .is(
            "*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8) # wrong\nexit",
            &["invalid size of register fill"],
        )
        .accepted_somewhere(),
    kprobe("buffer_beyond_the_stack", &["stack-bounds"]).is(
        "r1 = r10
        r1 += -16
        r2 = 32
        call get_current_comm # wrong
        r0 = 0
        exit",
        &["invalid * stack R1 off=-16 size=32", "invalid stack type R1 off=-16 access_size=32"],
    ),
    of_type("socket_filter", "stack_of_two", &["stack-depth"]).is(
        "*(u64 *)(r10 - 400) = 0
        call function
        r0 = 0
        exit
        function:
        *(u64 *)(r10 - 400) = 0
        r0 = 0
        exit",
        &["combined stack size of 2 calls is 8*. Too large"],
    ),
    kprobe("nine_deep", &["recursion"]).is(
        "call f1
        exit
        f1: call f2
        exit
        f2: call f3
        exit
        f3: call f4
        exit
        f4: call f5
        exit
        f5: call f6
        exit
        f6: call f7
        exit
        f7: call f8 # wrong
        exit
        f8: r0 = 0
        exit",
        &["the call stack of 9 frames is too deep*"],
    ).accepted_somewhere(),
    kprobe("calls_itself", &["recursion", "loop"]).is(
        "call f
        exit
        f: call f # wrong
        exit",
        &["the call stack of 9 frames is too deep*", "recursive call from *", "back-edge from insn 2 to 2"],
    ),
    // ---- maps ----
    kprobe("no_null_check", &["null-check"]).is(
        ".map m, hash, key=4, value=8, max=1
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        r0 = *(u64 *)(r0 + 0) # wrong
        exit",
        &["R0 invalid mem access 'map_value_or_null'"],
    ),
    kprobe("null_plus", &["null-check"]).is(
        ".map m, hash, key=4, value=16, max=1
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        r0 += 8 # wrong
        r0 = 0
        exit",
        &["R0 pointer arithmetic on map_value_or_null prohibited, null-check it first"],
    ),
    kprobe("past_the_value", &["bounds"]).is(
        ".map m, hash, key=4, value=8, max=1
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 + 8) # wrong
        out: exit",
        &["invalid access to map value, value_size=8 off=8 size=8; \
           R0 min value is outside of the allowed memory range"],
    ),
    kprobe("before_the_value", &["bounds"]).is(
        ".map m, hash, key=4, value=8, max=1
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 - 8) # wrong
        out: exit",
        &["R0 min value is negative, *", "invalid access to map value, value_size=8 off=-8 size=8*"],
    ),
    kprobe("any_index", &["bounds"]).is(
        ".map m, hash, key=4, value=64, max=1
        call get_prandom_u32
        r6 = r0
        r6 &= 127
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out
        r0 += r6
        r0 = *(u8 *)(r0 + 0) # wrong
        out: exit",
        &["invalid access to map value, value_size=64 off=127 size=1; \
           R0 max value is outside of the allowed memory range"],
    ),
    kprobe("read_only_map", &["read-only-map"]).is(
        ".map m, array, value=8, max=1, flags=0x80
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out
        r1 = 0
        *(u64 *)(r0 + 0) = r1 # wrong
        out: r0 = 0
        exit",
        &["write into map forbidden, value_size=8 off=0 size=8"],
    ),
    kprobe("write_only_map", &["write-only-map"]).is(
        ".map m, array, value=8, max=1, flags=0x100
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 + 0) # wrong
        out: exit",
        &["read from map forbidden, value_size=8 off=0 size=8"],
    ),
    kprobe("lookup_of_programs", &["map-use"]).is(
        ".map m, prog_array, key=4, value=4, max=1
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem # wrong
        r0 = 0
        exit",
        &["cannot pass map_type 3 into func bpf_map_lookup_elem#1"],
    ),
    kprobe("output_into_a_hash", &["map-use"]).is(
        ".map m, hash, key=4, value=8, max=1
        *(u64 *)(r10 - 8) = 0
        r2 = m ll
        r3 = 0
        r4 = r10
        r4 += -8
        r5 = 8
        call perf_event_output # wrong
        r0 = 0
        exit",
        &["cannot pass map_type 1 into func bpf_perf_event_output#25"],
    ),
    kprobe("writes_into_the_map_itself", &["map-use", "kernel-types"]).is(
        ".map m, array, value=8, max=1
        r1 = m ll
        r2 = 0
        *(u64 *)(r1 + 0) = r2 # wrong
        r0 = 0
        exit",
        &[
            "only read from bpf_array is supported",
            "map_ptr access not supported without CONFIG_DEBUG_INFO_BTF",
        ],
    ),
    kprobe("misaligned_value", &["misaligned"])
        .is(
            ".map m, hash, key=4, value=16, max=1
            *(u32 *)(r10 - 4) = 0
            r1 = m ll
            r2 = r10
            r2 += -4
            call map_lookup_elem
            if r0 == 0 goto out
            r0 = *(u64 *)(r0 + 1) # wrong
            out: exit",
            &["misaligned value access off *1 size 8"],
        )
        .flags(STRICT),
    of_type("sched_cls", "lock_without_a_type", &["lock"]).is(
        ".map m, array, value=8, max=1
        *(u32 *)(r10 - 4) = 0
        r1 = m ll
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out
        r1 = r0
        call spin_lock # wrong
        out: r0 = 0
        exit",
        &["map 'm' has to have BTF in order to use bpf_spin_lock", "map 'm' has no valid bpf_spin_lock"],
    ),
    // ---- other memory ----
    kprobe("number_as_a_pointer", &["not-a-pointer"])
        .is("r1 = 5\nr0 = *(u64 *)(r1 + 0) # wrong\nexit", &["R1 invalid mem access '*'"]),
    kprobe("past_the_context", &["context"]).is(
        "r0 = *(u64 *)(r1 + 400) # wrong\nexit",
        &["invalid bpf_context access off=400 size=8"],
    ),
    of_type("tracepoint", "writes_into_the_context", &["context"]).is(
        "r2 = 0\n*(u64 *)(r1 + 16) = r2 # wrong\nr0 = 0\nexit",
        &["invalid bpf_context access off=16 size=8"],
    ),
    of_type("socket_filter", "field_of_other_types", &["context"]).is(
        "r0 = *(u32 *)(r1 + 76) # wrong\nexit",
        &["invalid bpf_context access off=76 size=4"],
    ),
    kprobe("any_place_in_the_context", &["context-pointer"]).is(
        "r6 = r1
        call get_prandom_u32
        r0 &= 8
        r6 += r0
        r0 = *(u64 *)(r6 + 0) # wrong
        exit",
        &["variable ctx access var_off=(0x0; 0x8) disallowed"],
    ),
    of_type("xdp", "packet_without_a_check", &["packet"]).is(
        "r2 = *(u32 *)(r1 + 0)
        r0 = *(u8 *)(r2 + 0) # wrong
        r0 = 2
        exit",
        &[
            "invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0); R2 offset is outside of the packet",
            "invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0); \
             R2 min value is outside of the allowed memory range",
        ],
    ),
    of_type("xdp", "behind_the_packet", &["packet-end"]).is(
        "r3 = *(u32 *)(r1 + 4)
        r3 += 1 # wrong
        r0 = 2
        exit",
        &["R3 pointer arithmetic on pkt_end prohibited"],
    ),
    kprobe("packet_of_others", &["legacy-packet"]).is(
        "r6 = r1\nr0 = *(u8 *)skb[0] # wrong\nexit",
        &["BPF_LD_[ABS|IND] instructions not allowed for this program type"],
    ),
    of_type("socket_filter", "packet_without_context", &["legacy-packet"]).is(
        "r6 = 0\nr0 = *(u8 *)skb[0] # wrong\nexit",
        &["at the time of BPF_LD_ABS|IND R6 != pointer to skb"],
    ),
    kprobe("atomic_in_the_context", &["atomic"]).is(
        "r2 = 1\nlock *(u64 *)(r1 + 0) += r2 # wrong\nr0 = 0\nexit",
        &["BPF_XADD stores into R1 ctx is not allowed", "BPF_ATOMIC stores into R1 ctx is not allowed"],
    ),
    // ---- helpers ----
    kprobe("number_for_a_buffer", &["argument"]).is(
        "r1 = 0\nr2 = 16\ncall get_current_comm # wrong\nr0 = 0\nexit",
        &["R1 type=* expected=fp*"],
    ),
    kprobe("context_for_a_map", &["argument"]).is(
        "r2 = r10\ncall map_lookup_elem # wrong\nr0 = 0\nexit",
        &["R1 type=ctx expected=map_ptr"],
    ),
    kprobe("size_of_anything", &["bounds"]).is(
        "call get_prandom_u32
        r2 = r0
        r1 = r10
        r1 += -16
        r3 = 0
        call probe_read_kernel # wrong
        r0 = 0
        exit",
        &["R2 min value is negative, either use unsigned or 'var &= const'"],
    ),
    kprobe("helper_of_sockets", &["helper-type"]).is(
        "r1 = 0\nr2 = 0\ncall skb_load_bytes # wrong\nr0 = 0\nexit",
        &["unknown func bpf_skb_load_bytes#26", "program of this type cannot use helper bpf_skb_load_bytes#26"],
    ),
    kprobe("unknown_helper", &["helper-unknown"])
        .is("r0 = 0\ncall 9999 # wrong\nexit", &["invalid func unknown#9999"]),
    kprobe("not_gpl", &["gpl"])
        .is(
            "*(u64 *)(r10 - 8) = 0
            r1 = r10
            r1 += -8
            r2 = 8
            call trace_printk # wrong
            r0 = 0
            exit",
            &["cannot call GPL-restricted function from non-GPL compatible program"],
        )
        .license("Proprietary"),
    kprobe("may_sleep", &["sleepable", "helper-type"]).is(
        "*(u64 *)(r10 - 8) = 0
        r1 = r10
        r1 += -8
        r2 = 8
        r3 = 0
        call copy_from_user # wrong
        r0 = 0
        exit",
        &[
            "unknown func bpf_copy_from_user#148",
            "program of this type cannot use helper bpf_copy_from_user#148",
            "helper call might sleep in a non-sleepable prog",
            "sleepable helper bpf_copy_from_user#148 in *",
        ],
    ),
    kprobe("no_such_kernel_function", &["kfunc", "reserved", "jit", "kernel-types"]).is(
        "call kfunc 1 # wrong\nr0 = 0\nexit",
        &[
            "BPF_CALL uses reserved fields",
            "kernel btf_id 1 is not a function",
            "JIT is required for calling kernel function",
            "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF",
        ],
    ),
    // ---- what must be given back ----
    kprobe("never_submitted", &["reference"]).is(
        ".map r, ringbuf, max=4096
        r1 = r ll
        r2 = 8
        r3 = 0
        call ringbuf_reserve
        r0 = 0
        exit # wrong",
        &["Unreleased reference id=* alloc_insn=4*"],
    ),
    kprobe("submitted_twice", &["uninitialised", "release", "argument"]).is(
        ".map r, ringbuf, max=4096
        r1 = r ll
        r2 = 8
        r3 = 0
        call ringbuf_reserve
        if r0 == 0 goto out
        r6 = r0
        r1 = r6
        r2 = 0
        call ringbuf_submit
        r1 = r6
        r2 = 0
        call ringbuf_submit
        out: r0 = 0
        exit",
        &["R6 !read_ok", "R1 type=* expected=*"],
    ),
    kprobe("submits_the_stack", &["release", "argument"]).is(
        "r1 = r10
        r1 += -8
        r2 = 0
        call ringbuf_submit # wrong
        r0 = 0
        exit",
        &["R1 type=fp expected=*"],
    ),
    kprobe("submits_what_may_be_null", &["null-check"]).is(
        ".map r, ringbuf, max=4096
        r1 = r ll
        r2 = 8
        r3 = 0
        call ringbuf_reserve
        r1 = r0
        r2 = 0
        call ringbuf_submit # wrong
        r0 = 0
        exit",
        &["R1 type=*mem_or_null expected=*"],
    ),
    kprobe("past_the_record", &["bounds"]).is(
        ".map r, ringbuf, max=4096
        r1 = r ll
        r2 = 8
        r3 = 0
        call ringbuf_reserve
        if r0 == 0 goto out
        r1 = 0
        *(u64 *)(r0 + 8) = r1 # wrong
        r1 = r0
        r2 = 0
        call ringbuf_submit
        out: r0 = 0
        exit",
        &["invalid access to memory, mem_size=8 off=8 size=8; R0 min value is outside of the allowed memory range"],
    ),
    kprobe("dynptr_never_made", &["dynptr"])
        .is(
            "r1 = r10
            r1 += -8
            r2 = 8
            r3 = r10
            r3 += -32
            r4 = 0
            r5 = 0
            call dynptr_read # wrong
            r0 = 0
            exit",
            &["Expected an initialized dynptr as arg #3", "Expected an initialized dynptr as *", "R3 *"],
        )
        .right(DYNPTR),
    kprobe("dynptr_never_submitted", &["reference"])
        .is(
            ".map r, ringbuf, max=4096
            r1 = r ll
            r2 = 8
            r3 = 0
            r4 = r10
            r4 += -16
            call ringbuf_reserve_dynptr
            r0 = 0
            exit # wrong",
            &["Unreleased reference id=* alloc_insn=6*"],
        )
        .right(DYNPTR),
    // ---- the way through ----
    kprobe("unreachable", &["unreachable"])
        .is("r0 = 0\nexit\nr0 = 1 # wrong\nexit", &["unreachable insn 2"]),
    kprobe("endless", &["loop"]).is(
        "r0 = 0\nagain: goto again # wrong",
        &["infinite loop detected at insn 1"],
    ),
    kprobe("a_million", &["complex"]).is(
        "r0 = 0
        again: r0 += 1
        if r0 < 2000000 goto again
        exit",
        &["BPF program is too large. Processed 1000001 insn"],
    ),
    kprobe("too_many_branches", &["complex"])
        .is(
            "call get_prandom_u32
            r6 = r0
            call get_prandom_u32
            %if r0 > r6 goto +0
            r0 = 0
            exit",
            &["The sequence of 8193 jumps is too complex."],
        )
        .repeat(9000),
    kprobe("jump_too_far", &["jump"]).is(
        "r0 = 0\ngoto +7 # wrong\nexit",
        &["jump out of range from insn 1 to 9"],
    ),
    kprobe("into_a_function", &["jump"]).is(
        "r0 = 0
        if r1 == 0 goto inside # wrong
        call function
        exit
        function: r0 = 1
        inside: r0 += 1
        exit",
        &["jump out of range from insn 1 to 5"],
    ),
    kprobe("into_the_middle", &["jump", "reserved"]).is(
        "r0 = 0\nif r1 == 0 goto +1\nr1 = 5 ll # wrong\nexit",
        &["jump into the middle of ldimm64 insn 2", "invalid BPF_LD_IMM insn"],
    ),
    kprobe("no_exit", &["fall-through"])
        .is("r0 = 0\nr1 = 2 # wrong", &["last insn is not an exit or jmp"]),
    // ---- what a program may return, and be ----
    of_type("cgroup_device", "returns_two", &["return-value"]).is(
        "r0 = 2\nexit # wrong",
        &[
            "At program exit the register R0 has value (0x2; 0x0) should have been in (0x0; 0x1)",
            "At program exit the register R0 has * should have been in [0, 1]",
        ],
    ),
    of_type("cgroup_device", "returns_anything", &["return-value"]).is(
        "r0 = *(u32 *)(r1 + 4)\nexit # wrong",
        &[
            "At program exit the register R0 has value (0x0; 0xffffffff) should have been in (0x0; 0x1)",
            "At program exit the register R0 has * should have been in [0, 1]",
        ],
    ),
    of_type("cgroup_device", "returns_a_pointer", &["return-value"]).is(
        "r0 = r1\nexit # wrong",
        &["At program exit the register R0 is not a known value (ctx)"],
    ),
    of_type("tracing", "for_no_function", &["attach"])
        .is("r0 = 0\nexit", &["Tracing programs must provide btf_id"]),
    // ---- what the verifier also says ----
    of_type("xdp", "metadata_without_a_check", &["packet"])
        .is(
            "r2 = *(u32 *)(r1 + 8)
            r3 = *(u32 *)(r1 + 4)
            r4 = r2
            r4 += 4
            if r4 > r3 goto out
            r0 = *(u32 *)(r2 + 0) # wrong
            out: r0 = 2
            exit",
            &["invalid access to packet, off=0 size=4, R2(id=0,off=0,r=0); R2 *"],
        )
        .advises("with `data` first"),
    of_type("xdp", "packet_checked_with_too_little", &["packet"])
        .is(
            "r2 = *(u32 *)(r1 + 0)
            r3 = *(u32 *)(r1 + 4)
            r4 = r2
            r4 += 4
            if r4 > r3 goto out
            r0 = *(u64 *)(r2 + 0) # wrong
            out: r0 = 2
            exit",
            &["invalid access to packet, off=0 size=8, R2(id=0,off=0,r=4); R2 *"],
        )
        .advises("with data_end first"),
    of_type("socket_filter", "no_packet_to_write", &["context"])
        .is("r2 = *(u32 *)(r1 + 76) # wrong\nr0 = 0\nexit", &["invalid bpf_context access off=76 size=4"])
        .advises("`__sk_buff.data` lies there, 4 bytes at offset 76, and programs of this type cannot read it"),
    of_type("sk_reuseport", "writes_into_the_packet", &["packet-write"])
        .is(
            "r2 = *(u64 *)(r1 + 0)
            r3 = *(u64 *)(r1 + 8)
            r4 = r2
            r4 += 1
            if r4 > r3 goto out
            *(u8 *)(r2 + 0) = 1 # wrong
            out: r0 = 1
            exit",
            &["cannot write into packet"],
        ),
    of_type("sched_cls", "writes_into_a_socket", &["socket-write"])
        .is(
            "r2 = *(u64 *)(r1 + 168)
            if r2 == 0 goto out
            r3 = 0
            *(u32 *)(r2 + 4) = r3 # wrong
            out: r0 = 0
            exit",
            &["R2 cannot write into sock_common"],
        ),
    of_type("sched_cls", "field_of_no_common_socket", &["socket-field"])
        .is(
            "r2 = *(u64 *)(r1 + 168)
            if r2 == 0 goto out
            r0 = *(u32 *)(r2 + 16) # wrong
            out: r0 = 0
            exit",
            &["R2 invalid sock_common access off=16 size=4"],
        )
        .advises("bpf_sk_fullsock"),
    of_type("sched_cls", "beyond_a_socket", &["socket-field"])
        .is(
            "r1 = *(u64 *)(r1 + 168)
            if r1 == 0 goto out
            call sk_fullsock
            if r0 == 0 goto out
            r0 = *(u32 *)(r0 + 400) # wrong
            out: r0 = 0
            exit",
            &["R0 invalid sock access off=400 size=4"],
        )
        .advises("`struct bpf_sock` has 80 bytes"),
    of_type("sched_cls", "beyond_a_tcp_socket", &["socket-field"])
        .is(
            "r1 = *(u64 *)(r1 + 168)
            if r1 == 0 goto out
            call tcp_sock
            if r0 == 0 goto out
            r0 = *(u32 *)(r0 + 2) # wrong
            out: r0 = 0
            exit",
            &["R0 invalid tcp_sock access off=2 size=4"],
        )
        .advises("`bpf_tcp_sock.snd_cwnd` lies there"),
    of_type("sched_cls", "a_socket_plus", &["fixed-pointer"])
        .is(
            "r1 = *(u64 *)(r1 + 168)
            if r1 == 0 goto out
            call sk_fullsock
            if r0 == 0 goto out
            r0 += 4 # wrong
            out: r0 = 0
            exit",
            &["R0 pointer arithmetic on sock prohibited"],
        ),
    of_type("flow_dissector", "flow_keys_plus", &["fixed-pointer"]).is(
        "r6 = *(u64 *)(r1 + 144)
        call get_prandom_u32
        r0 &= 7
        r6 += r0 # wrong
        r0 = 0
        exit",
        &["R6 pointer arithmetic on flow_keys prohibited"],
    ).accepted_somewhere(),
    of_type("flow_dissector", "beyond_flow_keys", &["flow-keys"]).is(
        "r2 = *(u64 *)(r1 + 144)
        r3 = 0
        *(u32 *)(r2 + 56) = r3 # wrong
        r0 = 0
        exit",
        &["invalid access to flow keys off=56 size=4"],
    ),
    of_type("sched_cls", "context_misaligned", &["context-misaligned"])
        .is("r0 = *(u32 *)(r1 + 6) # wrong\nexit", &["invalid bpf_context access off=6 size=4"])
        .advises("6 is none of 4. `__sk_buff.pkt_type` lies there, 4 bytes at offset 4"),
    of_type("sched_cls", "context_pointer_signed", &["context-sign", "reserved"])
        .is(
            "r0 = *(s32 *)(r1 + 76) # wrong\nr0 = 0\nexit",
            &["invalid bpf_context access off=76 size=4", "BPF_LDX uses reserved fields", "unknown opcode 81"],
        )
        .advises("`__sk_buff.data` lies there, 4 bytes at offset 76, and is loaded without a sign")
        .accepted_somewhere(),
    of_type("sched_cls", "context_written", &["context"])
        .is("r2 = 0\n*(u32 *)(r1 + 0) = r2 # wrong\nr0 = 0\nexit", &["invalid bpf_context access off=0 size=4"])
        .advises("`__sk_buff.len` lies there, 4 bytes at offset 0, and programs of this type cannot write it"),
    of_type("xdp", "beyond_the_context", &["context"])
        .is("r0 = *(u32 *)(r1 + 64) # wrong\nexit", &["invalid bpf_context access off=64 size=4"])
        .advises("`struct xdp_md` has 24 bytes"),
    of_type("raw_tracepoint", "argument_of_no_tracepoint", &["context"])
        .is("r0 = *(u64 *)(r1 + 200) # wrong\nexit", &["invalid bpf_context access off=200 size=8"])
        .advises("no argument 25"),
    kprobe("null_check_of_another_register", &["null-check"])
        .is(
            ".map m, hash, key=4, value=8, max=1
            *(u32 *)(r10 - 4) = 0
            r1 = m ll
            r2 = r10
            r2 += -4
            call map_lookup_elem
            r7 = r0
            r0 = *(u64 *)(r7 + 0) # wrong
            exit",
            &["R7 invalid mem access 'map_value_or_null'"],
        )
        .advises("`if r7 == 0 goto …`"),
    kprobe("key_larger_than_what_is_there", &["stack-bounds", "stack-uninitialised"])
        .is(
            ".map wide, hash, key=16, value=8, max=1
            *(u64 *)(r10 - 8) = 0
            r1 = wide ll
            r2 = r10
            r2 += -8
            call map_lookup_elem # wrong
            r0 = 0
            exit",
            &["invalid * stack R2 off=-8 *size=16"],
        )
        .advises("A key of map `wide` has 16 bytes: r2"),
    kprobe("value_larger_than_what_is_there", &["stack-bounds", "stack-uninitialised"])
        .is(
            ".map wide, hash, key=4, value=24, max=1
            *(u64 *)(r10 - 8) = 0
            r6 = wide ll
            r1 = r6
            r2 = r10
            r2 += -4
            r3 = r10
            r3 += -8
            r4 = 0
            call map_update_elem # wrong
            r0 = 0
            exit",
            &["invalid * stack R3 off=-8 *size=24"],
        )
        .advises("A value of map `wide` has 24 bytes: r3"),
    kprobe("value_smaller_than_a_key", &["bounds"])
        .is(
            ".map small, hash, key=4, value=8, max=1
            .map wide, hash, key=16, value=8, max=1
            *(u32 *)(r10 - 4) = 0
            r1 = small ll
            r2 = r10
            r2 += -4
            call map_lookup_elem
            if r0 == 0 goto out
            r1 = wide ll
            r2 = r0
            call map_delete_elem # wrong
            out: r0 = 0
            exit",
            &["invalid access to map value, value_size=8 off=0 size=16; R2 *"],
        )
        .advises("A key of map `wide` has 16 bytes: r2"),
    kprobe("loop_of_two", &["loop"]).is(
        "r6 = 5
        l: r0 = 1
        if r0 == 0 goto out
        goto l # wrong
        out: exit",
        &["infinite loop detected at insn *"],
    ),
    kprobe("loop_by_a_condition", &["loop"]).is(
        "r0 = 0
        r6 = 5
        l: r6 += 0
        if r6 != 0 goto l # wrong
        exit",
        &["infinite loop detected at insn *"],
    ),
    kprobe("loop_around_a_call", &["loop"])
        .is(
            "call get_prandom_u32
            r6 = r0
            l: call ktime_get_ns
            if r0 > r6 goto l # wrong
            r0 = 0
            exit",
            &["infinite loop detected at insn *"],
        ),
    kprobe("loop_in_a_function", &["loop"]).is(
        "call f
        r0 = 0
        exit
        f: r0 = 0
        again: if r0 > 3 goto done
        r1 = 7
        goto again # wrong
        done: exit",
        &["infinite loop detected at insn *"],
    ),
    kprobe("outer_loop", &["loop"])
        .is(
            "r6 = 0
            outer: r7 = 0
            inner: r7 += 1
            if r7 < 3 goto inner
            if r6 == 0 goto outer # wrong
            r0 = 0
            exit",
            &["infinite loop detected at insn *"],
        ),
    kprobe("loop_before_the_exit", &["loop"])
        .is("r0 = 0\nl: goto l # wrong\nexit", &["unreachable insn 2"])
        .advises("no way out"),
    kprobe("different_pointers", &["one-kind-of-pointer"]).is(
        "r6 = r1
        call get_prandom_u32
        *(u64 *)(r10 - 8) = 0
        r2 = r10
        r2 += -8
        if r0 > 7 goto same
        r2 = r6
        same: r0 = *(u64 *)(r2 + 0) # wrong
        exit",
        &["same insn cannot be used with different pointers"],
    ),
    kprobe("stack_pointer_out_of_reach", &["offset-limit"]).is(
        "r2 = r10
        r2 += 0x1fffffff
        r2 += 0x1fffffff # wrong
        r0 = 0
        exit",
        &["fp pointer offset 1073741822 is not allowed"],
    ).accepted_somewhere(),
    kprobe("constant_out_of_reach", &["offset-limit"]).is(
        "r2 = r10
        r2 += 0x7fffffff # wrong
        r0 = 0
        exit",
        &["math between fp pointer and 2147483647 is not allowed"],
    ),
    of_type("xdp", "helper_on_a_packet", &["packet-helper"])
        .is(
            ".map m, perf_event_array
            r2 = *(u32 *)(r1 + 0)
            r3 = *(u32 *)(r1 + 4)
            r4 = r2
            r5 = r2
            r5 += 8
            if r5 > r3 goto out
            r2 = m ll
            r3 = 0
            r5 = 8
            call perf_event_output # wrong
            out: r0 = 2
            exit",
            &["helper access to the packet is not allowed"],
        )
        .notes(
            "perf_event_output(r1: void *ctx, r2: struct bpf_map *map, r3: u64 flags, r4: void *data, r5: u64 size)",
        ),
    kprobe("call_into_nothing", &["call-target"])
        .is("call pc+100 # wrong\nexit", &["call to invalid destination", "*jump out of range*"]),
    of_type("raw_tracepoint_writable", "buffer_before_its_beginning", &["buffer"])
        .is(
            "r2 = *(u64 *)(r1 + 0)
            r0 = *(u64 *)(r2 - 8) # wrong
            r0 = 0
            exit",
            &["R2 invalid tracepoint buffer access: off=-8, size=8", "R2 invalid negative tracepoint buffer offset: *"],
        ),
    kprobe("pointer_on_the_callers_stack", &["caller-stack"]).is(
        "r1 = r10
        r1 += -8
        call f
        r0 = 0
        exit
        f: *(u64 *)(r1 + 0) = r10 # wrong
        r0 = 0
        exit",
        &["cannot spill pointers to stack into stack frame of the caller"],
    ),
    kprobe("returns_its_stack", &["return-stack"]).is(
        "call f
        r0 = 0
        exit
        f: r0 = r10
        exit # wrong",
        &["cannot return stack pointer to the caller"],
    ),
    kprobe("kernel_function_of_no_id", &["kfunc-missing", "kfunc", "jit", "kernel-types", "reserved"]).is(
        "call kfunc 0 # wrong\nr0 = 0\nexit",
        &[
            "invalid kernel function call not eliminated in verifier pass",
            "JIT is required for calling kernel function",
            "BPF_CALL uses reserved fields",
        ],
    ),
    of_type("tracing", "writes_into_an_object", &["read-only-object"])
        .is(
            "r2 = *(u64 *)(r1 + 8)
            r3 = 0
            *(u32 *)(r2 + 0) = r3 # wrong
            r0 = 0
            exit",
            &["only read is supported"],
        )
        .target("sched_switch"),
    of_type("tracing", "beyond_an_object", &["kernel-object"])
        .is(
            "r2 = *(u64 *)(r1 + 8)
            r0 = *(u64 *)(r2 - 8) # wrong
            r0 = 0
            exit",
            &["R2 is ptr_task_struct invalid negative access: off=-8"],
        )
        .target("sched_switch"),
    of_type("tracing", "half_an_argument", &["context"])
        .is("r0 = *(u32 *)(r1 + 8) # wrong\nr0 = 0\nexit", &["*invalid bpf_context access off=8 size=4"])
        .target("sched_switch")
        .advises("array of 64-bit arguments")
        .accepted_somewhere(),
    of_type("tracing", "value_before_its_beginning", &["buffer"])
        .is(
            "r2 = *(u64 *)(r1 + 24)
            if r2 == 0 goto out
            r0 = *(u64 *)(r2 - 8) # wrong
            out: r0 = 0
            exit",
            &["R2 invalid rdwr buffer access: off=-8, size=8", "R2 invalid negative rdwr buffer offset: *"],
        )
        .target("bpf_map_elem")
        .right("r0 = 0\nexit"),
    kprobe("format_that_may_change", &["constant-text"])
        .is(
            ".map m, array, value=8, max=1
            r1 = r10
            r1 += -8
            r2 = 8
            r3 = m[0] ll
            r4 = 0
            r5 = 0
            call snprintf # wrong
            r0 = 0
            exit",
            &["R3 does not point to a readonly map'"],
        )
        .right("r1 = r10\nr1 += -8\nr2 = 8\nr3 = \"x\" ll\nr4 = 0\nr5 = 0\ncall snprintf\nr0 = 0\nexit"),
    kprobe("size_of_nothing", &["zero-size", "stack-bounds"])
        .is(
            "r1 = r10
            r1 += -8
            r2 = 0
            call get_current_comm # wrong
            r0 = 0
            exit",
            &["*invalid zero-sized read*", "invalid stack type R1 off=-8 access_size=0"],
        )
        .notes("get_current_comm(r1: void *buf, r2: u32 size_of_buf)"),
    kprobe("callback_returns_two", &["callback"])
        .is(
            "r1 = 1
            r2 = f ll
            r3 = 0
            r4 = 0
            call loop
            r0 = 0
            exit
            f: r0 = 2
            exit # wrong",
            &["At callback return the register R0 has *"],
        )
        .right("r1 = 1\nr2 = f ll\nr3 = 0\nr4 = 0\ncall loop\nr0 = 0\nexit\nf: r0 = 0\nexit"),
    kprobe("writes_a_key", &["map-key-write"])
        .is(
            ".map m, hash, key=4, value=8, max=1
            r1 = m ll
            r2 = f ll
            r3 = 0
            r4 = 0
            call for_each_map_elem
            r0 = 0
            exit
            f:
            r0 = 0
            *(u32 *)(r2 + 0) = r0 # wrong
            exit",
            &["write to change key R2 not allowed"],
        )
        .right(
            ".map m, hash, key=4, value=8, max=1
            r1 = m ll
            r2 = f ll
            r3 = 0
            r4 = 0
            call for_each_map_elem
            r0 = 0
            exit
            f: r0 = 0
            exit",
        ),
    kprobe("update_without_a_value", &["uninitialised"])
        .is(
            ".map m, hash, key=4, value=8, max=1
            *(u32 *)(r10 - 4) = 0
            r1 = m ll
            r2 = r10
            r2 += -4
            call map_update_elem # wrong
            r0 = 0
            exit",
            &["R3 !read_ok"],
        )
        .notes("map_update_elem(r1: struct bpf_map *map, r2: const void *key, r3: const void *value, r4: u64 flags)"),
    kprobe("two_records", &["reference"])
        .is(
            ".map r, ringbuf, max=4096
            r1 = r ll
            r2 = 8
            r3 = 0
            call ringbuf_reserve
            if r0 == 0 goto out
            r0 = 0
            out: exit # wrong",
            &["Unreleased reference id=* alloc_insn=4*"],
        )
        .notes("acquired at instruction 4: call ringbuf_reserve"),
    // ---- encodings ----
    kprobe("call_of_a_register", &["reserved"])
        .is("r2 = 1\ncallx r2 # wrong\nr0 = 0\nexit", &["BPF_CALL uses reserved fields", "unknown opcode 8d"]),
    kprobe("signed_division", &["reserved"])
        .is(
            "r0 = 4\nr0 s/= 2 # wrong\nexit",
            &["BPF_ALU uses reserved fields"],
        )
        .accepted_somewhere(),
    kprobe("exchange", &["reserved"])
        .is(
            "r0 = 4\n*(u64 *)(r10 - 8) = 0\nr0 = xchg_64(r10 - 8, r0) # wrong\nexit",
            &["BPF_XADD uses reserved fields", "BPF_STX uses reserved fields"],
        )
        .accepted_somewhere(),
    kprobe("may_goto", &["reserved"])
        .is("r0 = 0\nmay_goto out # wrong\nr0 = 1\nout: exit", &["invalid BPF_JMP*", "*unknown opcode*", "*reserved fields"])
        .accepted_somewhere(),
];

const DYNPTR: &str = "
    .map r, ringbuf, max=4096
    r1 = r ll
    r2 = 8
    r3 = 0
    r4 = r10
    r4 += -16
    call ringbuf_reserve_dynptr
    r1 = r10
    r1 += -16
    r2 = 0
    call ringbuf_submit_dynptr
    r0 = 0
    exit";
