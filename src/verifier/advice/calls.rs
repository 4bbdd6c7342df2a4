//! Advice about what a program calls, what it must give back, what its functions return, and what it is for.

use super::Row;

pub(super) static TABLE: &[Row] = &[
    // ---- tail calls, callbacks, exceptions ----
    (
        "tail-call",
        "tail_call abusing map_ptr\n\
         tail_call is not allowed\n\
         tail_call is only allowed\n\
         tail_calls are not allowed in\n\
         mixing of tail_calls\n\
         cannot tail call\n\
         tail call\n\
         adding tail call poke\n\
         tail_call cannot",
        "A tail call is made with one and the same prog_array on every path, from the program or a static function that \
         returns `int`, with the JIT on, not from a callback and not while anything is held.",
    ),
    (
        "exception",
        "exception c\n\
         bpf_throw",
        "`bpf_throw` ends the program by its one exception callback, a global function of one number, named in the BTF; it is \
         not called from callbacks, from extensions, or while anything is held.",
    ),
    // ---- helpers and kfuncs ----
    (
        "helper-unknown",
        "invalid func unknown#\n\
         unknown func unknown#\n\
         invalid func ",
        "This kernel has no helper of that number; it may be one of a newer kernel.",
    ),
    (
        "helper-type",
        "program of this type cannot use helper\n\
         unknown func bpf_\n\
         helper call is not allowed\n\
         not supported for program type\n\
         supported only for fentry\n\
         not allowed in this program\n\
         cannot update sockmap in this context\n\
         invalid arg_type for sockmap\n\
         is not allowed in probe",
        "Programs of this type do not have this helper: use another one, or another program type (`man 7 \
         bpf-helpers`); some helpers also need a newer kernel or CAP_PERFMON.",
    ),
    (
        "packet-helper",
        "helper access to the packet is not allowed",
        "This helper does not work on packet memory: copy the bytes to the stack first (`skb_load_bytes`, `xdp_load_bytes`, or loads \
         after a comparison with data_end), and pass that.",
    ),
    (
        "gpl",
        "cannot call GPL\n\
         GPL-only\n\
         GPL only\n\
         GPL compatible license\n\
         non-GPL compatible",
        "This is for programs under a license compatible with the GPL: declare one (`.license \"GPL\"`), or do \
         without it.",
    ),
    (
        "sleepable",
        "might sleep\n\
         is sleepable within\n\
         must be sleepable\n\
         non-sleepable\n\
         is not sleepable\n\
         non-faultable\n\
         may sleep\n\
         Sleepable programs can only\n\
         Syscall programs can only be sleepable\n\
         programs cannot be sleepable\n\
         sleepable programs can only\n\
         cannot be sleepable\n\
         can be sleepable\n\
         only allowed in bpf_lsm, bpf_iter and sleepable\n\
         sleepable global function\n\
         sleepable kfunc\n\
         sleepable helper",
        "What can sleep needs a program that was loaded as sleepable, of a type and for a function that allow it, \
         outside of locks and RCU sections.",
    ),
    (
        "jit",
        "JIT is required\n\
         JIT compiler\n\
         JIT doesn't support\n\
         JIT does not support f\n\
         JIT does not support a\n\
         supported by jit\n\
         interpreter stack\n\
         should be JITed\n\
         non-JITed programs\n\
         only JITed progs",
        "The JIT of this kernel is off, or it has none (CONFIG_BPF_JIT), or not for this: `sysctl net.core.bpf_jit_enable=1` \
         switches it on.",
    ),
    (
        "kernel-types",
        "without CONFIG_DEBUG_INFO_BTF\n\
         kernel is missing BTF\n\
         in-kernel BTF is malformed\n\
         btf_vmlinux is malformed",
        "The verifier needs the kernel's own types for this, and this kernel was built without them \
         (CONFIG_DEBUG_INFO_BTF).",
    ),
    (
        "kernel-variable",
        "pseudo btf_id\n\
         ldimm64 insn specifies\n\
         ldimm64 failed\n\
         ldimm64 unable",
        "The BTF id in this `lddw` is to be that of a variable or function of this very kernel (or of the module whose BTF is \
         named), with an address in kallsyms.",
    ),
    (
        "kfunc-missing",
        "kernel function call not eliminated",
        "No kernel function is named here (BTF id 0), which may only stand where the program never gets: name one, or jump \
         over the call where the kernel has none.",
    ),
    // ---- resources ----
    (
        "null-check",
        "invalid mem access '*_or_null\n\
         type=*_or_null* expected\n\
         _or_null prohibited\n\
         Possibly NULL pointer\n\
         expected to be non-NULL\n\
         null-check it first\n\
         pointer arithmetic on *_or_null",
        "Check the result for null first: `if {register} == 0 goto …`.",
    ),
    (
        "dynptr",
        "initialized dynptr\n\
         CONST_PTR_TO_DYNPTR\n\
         dynptr",
        "Make the dynptr with one of the helpers for it before it is used, and do not touch its stack slots.",
    ),
    (
        "iterator",
        "initialized iter_\n\
         iter_ * expected\n\
         valid iter pointer\n\
         an iterator on stack\n\
         uninitialized iter",
        "An iterator is made with its `new` function, stepped with `next` and taken down with `destroy`, on every \
         path.",
    ),
    (
        "irq-flag",
        "irq flag\n\
         irq state\n\
         IRQ flag\n\
         irq_save-ed\n\
         local_irq_restore",
        "bpf_local_irq_save keeps its state in eight bytes of the stack; each is restored once, the last saved first, on every \
         path.",
    ),
    (
        "rcu",
        "rcu read\n\
         rcu_read\n\
         RCU CS\n\
         RCU critical\n\
         must be a rcu pointer",
        "Pair each bpf_rcu_read_lock with a bpf_rcu_read_unlock in the same function on every path; pointers to memory under RCU \
         are valid in between.",
    ),
    (
        "preempt",
        "preempt_enable\n\
         enable preemption\n\
         preempt_disable-ed\n\
         preemption disabled",
        "Pair each bpf_preempt_disable with a bpf_preempt_enable on every path, and call neither global functions nor what \
         sleeps in between.",
    ),
    (
        "lock",
        "spin_lock\n\
         spin_unlock\n\
         spin_{lock\n\
         _unlock \n\
         _lock \n\
         bpf_spin\n\
         deadlock\n\
         held lock\n\
         acquire lock state\n\
         failed lock acquisition\n\
         while holding a lock\n\
         holding a lock\n\
         -ed region\n\
         bpf_res_spin",
        "Between lock and unlock of one bpf_spin_lock (declared in the BTF of the map's value) there can be no call, \
         no second lock and no exit.",
    ),
    (
        "kptr",
        "kptr\n\
         uptr",
        "A kernel pointer in a map's value (declared with a BTF tag) is loaded with eight bytes at its own offset; one that \
         owns what it points to is put in and taken out by bpf_kptr_xchg only.",
    ),
    (
        "graph",
        "rbtree\n\
         bpf_rb_\n\
         bpf_list_\n\
         list_head\n\
         owning ref\n\
         bpf_refcount\n\
         bpf_obj_\n\
         bpf_percpu_obj\n\
         not found at offset\n\
         allocated object",
        "Nodes of lists and trees are made by bpf_obj_new of a type in the program's BTF, handed over to the list or tree under \
         its lock, or dropped, once; `container_of` offsets are those of the BTF.",
    ),
    (
        "special-field",
        "bpf_timer\n\
         bpf_wq\n\
         bpf_task_work\n\
         workqueue\n\
         map_uid=\n\
         has to be at the constant offset\n\
         has to be at a constant offset\n\
         has to have BTF in order to use\n\
         has no valid\n\
         cannot be accessed directly by load/store\n\
         cannot be accessed indirectly by helper\n\
         access cannot have variable offset\n\
         access size must be\n\
         point to 'struct\n\
         NMI unsafe fields",
        "Timers, work queues and locks lie in a map's value at the place that its BTF declares: pass their address at that \
         constant offset to their helpers, with the same map, and leave their bytes alone.",
    ),
    (
        "arena",
        "arena\n\
         addr_space_cast",
        "Arena memory belongs to the one arena map that the program uses: name the map in the program, and cast pointers \
         with addr_space_cast before they are used as arena pointers (Linux 6.9).",
    ),
    (
        "release",
        "must be referenced when passed to release\n\
         unacquired reference\n\
         release unowned\n\
         reference has not been acquired\n\
         expects referenced PTR\n\
         expects refcounted PTR\n\
         must have zero offset when passed\n\
         arg * release\n\
         expected=ringbuf_mem\n\
         expected=alloc_mem",
        "Release what an acquiring helper gave (its pointer as it was, checked for null), once.",
    ),
    (
        "reference",
        "Unreleased reference\n\
         Leaking reference\n\
         reference leak\n\
         cannot be mixed with socket references\n\
         reference has not been released",
        "Release what was acquired (submit or discard, bpf_sk_release, …) on every path before `exit`, also on those \
         that fail.",
    ),
    (
        "kfunc",
        "calling kernel function * is not allowed\n\
         calling kernel function\n\
         calling invalid kernel function\n\
         invalid kernel function btf_id\n\
         is not a kernel function\n\
         kernel btf_id\n\
         kernel function btf_id\n\
         find BTF for kernel function\n\
         module BTF\n\
         kernel module function call\n\
         cannot find address for kernel function\n\
         kernel function is not supported\n\
         kernel function * is not supported\n\
         unhandled dynamic return type\n\
         JIT does not support calling k\n\
         kfunc * is not allowed\n\
         kfunc",
        "Kernel functions are called by their BTF id on this very kernel, and only those registered for this program \
         type: take the id from its BTF.",
    ),
    // ---- functions and what is returned ----
    (
        "return-stack",
        "cannot return stack pointer to the caller",
        "A function's stack is gone when it returns: let the caller make room on its own stack and pass its address, or return \
         a number.",
    ),
    (
        "caller-stack",
        "into stack frame of the caller",
        "A function's stack is gone when it returns, so no address in it can be left on its caller's stack: let the caller make \
         the room, or save the address on the function's own stack.",
    ),
    (
        "function-argument",
        "Caller passes invalid args\n\
         args into func#\n\
         Function * has * args\n\
         may change packet data",
        "A global function is checked by itself, with the argument types of its BTF: pass what these say, or make the \
         function static.",
    ),
    (
        "return-number",
        "At subprogram exit\n\
         R0 not a scalar value",
        "A function that is global or a callback returns a number: set r0 to one before its `exit`.",
    ),
    (
        "callback",
        "At callback return\n\
         At async callback\n\
         In async callback\n\
         within callback\n\
         from callback\n\
         callback function\n\
         expected pointer to func\n\
         callback return",
        "A function that a helper calls is a static one of this program, takes what the helper gives it, and returns 0 to go on or 1 \
         to stop.",
    ),
    (
        "return-value",
        "should have been in\n\
         At program exit the register R0\n\
         the register R0 is not a known value\n\
         can't modify return value\n\
         R0 is not a known value",
        "Programs of this type may return some numbers only: set r0 to one of them before every `exit`.",
    ),
    // ---- what the program is for ----
    (
        "btf",
        "func_info\n\
         line_info\n\
         core_relo\n\
         func info\n\
         LD_ABS is only allowed in functions\n\
         LD_ABS is not allowed in subprogs\n\
         allowed in subprogs without BTF\n\
         Program extension requires BTF\n\
         requires prog BTF\n\
         btf_id in R\n\
         invalid btf",
        "The BTF that comes with the program does not describe these instructions: functions and lines begin at slots of the \
         program, one function for each that is called.",
    ),
    (
        "signature",
        "signature\n\
         signed p\n\
         keyring\n\
         signed metadata",
        "The program is loaded with a signature: it has to be by a key of that keyring, over these very instructions, and over \
         the frozen, exclusive map with the rest.",
    ),
    (
        "attach",
        "attach_btf_id\n\
         must provide btf_id\n\
         attach to unsupported\n\
         attach to invalid member\n\
         struct_ops module\n\
         expected_attach_type\n\
         can be attach\n\
         are attachable\n\
         programs cannot attach\n\
         attach only\n\
         Cannot attach\n\
         Attach to function\n\
         Attaching\n\
         Cannot nest\n\
         Cannot extend\n\
         Cannot replace\n\
         Cannot recursively\n\
         Extension program\n\
         freplace programs\n\
         Subprog * doesn't exist\n\
         is not modifiable\n\
         modify return codes\n\
         address of function\n\
         is not a global function\n\
         args while\n\
         in *() has\n\
         in *() is\n\
         doesn't match type\n\
         cannot find function\n\
         is not a function",
        "Name the function or hook that the program is for: it exists in the kernel's BTF (or the other program's) and can be traced, \
         changed or replaced by programs of this type, with the same arguments.",
    ),
];
