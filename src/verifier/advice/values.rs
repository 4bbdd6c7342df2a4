//! Advice about one instruction: registers, memory and arguments.

use super::Row;

pub(super) static TABLE: &[Row] = &[
    (
        "pointer-leak",
        "leaks addr\n\
         pointer comparison prohibited\n\
         leak pointer",
        "Addresses of the kernel must not leave it: return, store or compare a number instead of this pointer.",
    ),
    (
        "uninitialised",
        "!read_ok",
        "Give the register a value on every path that leads here; every call clears r1 to r5, and `exit` needs r0.",
    ),
    (
        "one-kind-of-pointer",
        "same insn cannot be used with",
        "On other paths this instruction gets another kind of pointer (such as the context on one, a map's value on another): \
         access each kind by an instruction of its own, before the paths meet.",
    ),
    // ---- the stack ----
    (
        "stack-spill",
        "attempt to corrupt spilled pointer\n\
         invalid size of register spill\n\
         invalid size of register fill\n\
         corrupted spill memory\n\
         spilled ptr in range",
        "A pointer is saved on the stack and restored with eight bytes (`u64`), and not overwritten in part.",
    ),
    (
        "stack-uninitialised",
        "invalid indirect read from stack\n\
         invalid read from stack off -\n\
         invalid read from stack R* off -\n\
         invalid read from stack R* off *+* size\n\
         invalid read from stack off *+* size\n\
         invalid read from stack var_off\n\
         slot poisoned\n\
         uninit stack in range",
        "Write all of these bytes of the stack before they are read.",
    ),
    (
        "misaligned",
        "misaligned",
        "Access memory at a multiple of the access's size; what is at another offset is to be read in smaller pieces.",
    ),
    (
        "stack-bounds",
        "write to stack R\n\
         read from stack R\n\
         invalid stack off\n\
         invalid stack type\n\
         access to stack R\n\
         variable-offset\n\
         variable stack\n\
         variable offset stack\n\
         stack access\n\
         invalid unbounded\n\
         invalid stack",
        "The stack is the 512 bytes from r10 - 512 to r10 - 1: stay in there, at an offset that is known, and read only what \
         was written.",
    ),
    // ---- packets and sockets ----
    (
        "packet",
        "invalid access to packet\n\
         outside of the packet",
        "Compare a pointer behind what is to be accessed with data_end first, and access only where it is not above.",
    ),
    (
        "packet-write",
        "cannot write into packet\n\
         does not allow writes to packet",
        "Programs of this type can read packets but not write them by stores: use bpf_skb_store_bytes if the type has it, or a \
         type that changes packets (XDP, sched_cls, sk_skb, sk_msg, lwt_xmit).",
    ),
    (
        "socket-write",
        "cannot write into sock\n\
         cannot write into tcp_sock\n\
         cannot write into xdp_sock",
        "Sockets are read-only for programs: set options with bpf_setsockopt, and keep data of your own in socket \
         storage (bpf_sk_storage_get).",
    ),
    (
        "socket-field",
        "invalid sock access\n\
         invalid sock_common access\n\
         invalid tcp_sock access\n\
         invalid xdp_sock access",
        "This kind of socket pointer has no such field to read, or not of this size: bpf_sk_fullsock, bpf_tcp_sock and bpf_skc_to_… \
         give pointers with more fields.",
    ),
    (
        "flow-keys",
        "to flow keys",
        "struct bpf_flow_keys has 56 bytes: access its fields at constant offsets within them.",
    ),
    // ---- maps ----
    (
        "map-key-write",
        "write to change key",
        "The key of an element cannot be changed in place: add an element under the other key, and delete this one.",
    ),
    (
        "read-only-object",
        "only read is supported\n\
         Writes through BTF pointers\n\
         cannot write into ptr_",
        "Objects of the kernel are read-only for programs, but for the few fields that a program type opens: change them by \
         helpers or kernel functions, or write to memory of your own.",
    ),
    (
        "read-only-map",
        "write into map forbidden\n\
         cannot write into rdonly\n\
         read-only map\n\
         may write into memory\n\
         cannot write into\n\
         into map forbidden",
        "This memory is read-only for programs: write to another map, or create this one without BPF_F_RDONLY_PROG.",
    ),
    (
        "write-only-map",
        "read from map forbidden",
        "This memory is write-only for programs: read another map, or create this one without BPF_F_WRONLY_PROG.",
    ),
    (
        "zero-size",
        "invalid zero-sized",
        "The size may be 0 here, which this helper does not take: compare it with 0 first.",
    ),
    (
        "offset-limit",
        "pointer offset * is not allowed\n\
         math between * pointer and -\n\
         math between * pointer and 0\n\
         math between * pointer and 1\n\
         math between * pointer and 2\n\
         math between * pointer and 3\n\
         math between * pointer and 4\n\
         math between * pointer and 5\n\
         math between * pointer and 6\n\
         math between * pointer and 7\n\
         math between * pointer and 8\n\
         math between * pointer and 9\n\
         makes * pointer be out of bounds",
        "The verifier follows a pointer for up to 512 MiB (2^29 bytes) from where it began, and no further: add and subtract less.",
    ),
    (
        "buffer",
        "buffer access\n\
         buffer offset",
        "This buffer is accessed from its beginning on: at constant offsets that are not negative, with the register as it was \
         given.",
    ),
    (
        "context-pointer",
        "dereference of modified ctx\n\
         negative offset ctx\n\
         variable ctx access\n\
         modified ctx ptr\n\
         ctx access var_off",
        "Access the context through its pointer as it came in r1, with constant offsets: keep it unchanged in r6 \
         to r9.",
    ),
    (
        "modified-pointer",
        "dereference of modified\n\
         negative offset\n\
         access var_off\n\
         non-zero offset\n\
         cannot pass in",
        "This pointer is used as it was given: keep it unchanged in a register, and name a field by the constant offset of the \
         load or store.",
    ),
    (
        "kernel-object",
        "access beyond struct\n\
         have field at offset\n\
         access beyond the end of member\n\
         cannot access ptr member\n\
         invalid negative access\n\
         is ptr_*invalid variable offset\n\
         access user memory\n\
         access percpu memory\n\
         direct access to\n\
         struct nesting depth",
        "An object of the kernel is read field by field, each at its own constant offset and with its own size (`task_struct.pid` names \
         one); memory of processes is read with bpf_probe_read_user, per-CPU memory by bpf_per_cpu_ptr.",
    ),
    (
        "bounds",
        "invalid access to map value\n\
         invalid access to map key\n\
         invalid access to memory\n\
         outside of the allowed memory range\n\
         is outside of the array range\n\
         unbounded memory access\n\
         unbounded size\n\
         memory size * is too large\n\
         exceeds u32 max\n\
         leads to invalid memory access\n\
         min value is negative\n\
         out of bounds\n\
         math between",
        "Keep the offset within what it points to: check an index against the size (`if r1 > 7 goto …`) or mask it \
         (`r1 &= 7`) before it is added.",
    ),
    (
        "atomic",
        "BPF_ATOMIC stores into\n\
         BPF_ATOMIC loads from\n\
         BPF_ATOMIC\n\
         BPF_XADD stores into",
        "Atomic instructions work on map values, the stack and other memory of the program, not on the context or a \
         packet.",
    ),
    (
        "store-immediate",
        "BPF_ST stores into",
        "Kernels before 6.4 store only registers into the context: put the number in a register first.",
    ),
    (
        "context",
        "invalid bpf_context access\n\
         invalid access to context",
        "The context of this program type has no such field, or not of this size, or it cannot be written: see its \
         struct in linux/bpf.h.",
    ),
    (
        "legacy-packet",
        "BPF_LD_[ABS|IND]\n\
         R6 != pointer to skb\n\
         BPF_LD_ABS",
        "`skb[…]` is for programs on packets as sk_buff, with the context in r6 and outside of locks.",
    ),
    // ---- arithmetic ----
    (
        "packet-end",
        "pointer arithmetic on pkt_end",
        "data_end is only compared: add to a pointer into the packet, and compare the sum with data_end as it is.",
    ),
    (
        "fixed-pointer",
        "pointer arithmetic on flow_keys\n\
         pointer arithmetic on sock\n\
         pointer arithmetic on tcp_sock\n\
         pointer arithmetic on xdp_sock",
        "This pointer stays as it is: name a field by the constant offset of the load (`r0 = *(u32 *)(r1 + 4)`).",
    ),
    (
        "stack-subtraction",
        "subtraction from stack pointer",
        "Add a negative number instead: `r2 = r10`, then `r2 += -8`.",
    ),
    (
        "pointer-arithmetic",
        "pointer arithmetic\n\
         subtract pointer\n\
         pointer subtraction\n\
         pointer operation prohibited\n\
         pointer prohibited\n\
         partial copy of pointer\n\
         sign-extension part of pointer\n\
         bitwise operator\n\
         tried to *pointer\n\
         pointer operand",
        "To a pointer numbers can be added and subtracted, in 64 bits, and nothing else; not at all to pointers to \
         maps or to what may be null.",
    ),
    // ---- what is passed to helpers ----
    (
        "map-use",
        "cannot pass map_type\n\
         invalid map_ptr\n\
         only read from\n\
         map_ptr access not supported for map type\n\
         is not allowed for map\n\
         invalid mem access 'map_ptr'",
        "This helper or access is not for maps of this type: look elements up, and use the helpers for the map's type.",
    ),
    (
        "map",
        "is not pointing to valid bpf_map\n\
         not pointing to valid\n\
         total number of\n\
         offload device mismatch\n\
         progs cannot use\n\
         programs can only use\n\
         run-time allocat\n\
         bpf_struct_ops map cannot\n\
         direct value offset\n\
         no direct value access\n\
         only one cgroup storage\n\
         fd_array\n\
         fd_idx\n\
         excl_prog_hash\n\
         cannot bind\n\
         is not a map\n\
         map is not supported",
        "A program can name at most 64 maps, all open and of kinds that its type may use, by their descriptors or by their places in \
         the load's array of descriptors.",
    ),
    (
        "constant-text",
        "point to a readonly map\n\
         string is not zero-terminated\n\
         direct value access on string\n\
         Invalid format string\n\
         point to a const string\n\
         cannot be used as const string\n\
         is not a constant address",
        "This text has to be constant: the address of a string in read-only data (`r1 = \"…\" ll`), which ends with a zero byte; a \
         format has at most as many `%` as there are arguments.",
    ),
    (
        "not-a-pointer",
        "invalid mem access 'inv'\n\
         invalid mem access 'scalar'\n\
         invalid mem access",
        "Only pointers that the verifier knows can be followed: read other addresses with bpf_probe_read_kernel or \
         bpf_probe_read_user.",
    ),
    (
        "argument",
        "type=* expected=\n\
         type=\n\
         is not a known constant\n\
         must be a known constant\n\
         is not a const\n\
         is not a scalar\n\
         expected pointer to\n\
         expects pointer to\n\
         must point to\n\
         is of type * expected\n\
         must be a\n\
         must be referenced or trusted\n\
         non-zero flags\n\
         isn't map pointer\n\
         expected * or socket\n\
         point to a map value\n\
         point to map value\n\
         point to a type\n\
         type ID argument\n\
         size cannot be determined\n\
         arg#",
        "Pass what this takes in this register: r1 to r5 are its arguments in order (`man 7 bpf-helpers`).",
    ),
];
