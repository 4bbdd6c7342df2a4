//! Flags: what `bpf(2)` takes as bits, by the names of `include/uapi/linux/bpf.h`.
//!
//! Those of a map go into [`MapSpec::flags`](crate::MapSpec::flags), those of a program into
//! [`ProgramSpec::flags`](crate::ProgramSpec::flags).

/// Map: a hash table takes memory as elements come. An LPM trie, storage and a hash that grows demand it.
/// Linux 4.6.
pub const BPF_F_NO_PREALLOC: u32 = 1 << 0;
/// Map: an LRU list for each CPU instead of one for all. Quicker; forgets less exactly. Linux 4.10.
pub const BPF_F_NO_COMMON_LRU: u32 = 1 << 1;
/// Map: its memory is on the NUMA node that `numa_node` names. Linux 4.14.
pub const BPF_F_NUMA_NODE: u32 = 1 << 2;
/// Map: system calls may only read it. Linux 4.15.
pub const BPF_F_RDONLY: u32 = 1 << 3;
/// Map: system calls may only write it. Linux 4.15.
pub const BPF_F_WRONLY: u32 = 1 << 4;
/// Map: stacks hold build ids and offsets instead of addresses. Linux 4.17.
pub const BPF_F_STACK_BUILD_ID: u32 = 1 << 5;
/// Map: the hash has no random seed; for tests only. Linux 5.0.
pub const BPF_F_ZERO_SEED: u32 = 1 << 6;
/// Map: programs may only read it. Linux 5.2.
pub const BPF_F_RDONLY_PROG: u32 = 1 << 7;
/// Map: programs may only write it. Linux 5.2.
pub const BPF_F_WRONLY_PROG: u32 = 1 << 8;
/// Map: a connection that is accepted inherits the socket's storage. Linux 5.4.
pub const BPF_F_CLONE: u32 = 1 << 9;
/// Map: an array whose values can be mapped into memory; an arena demands it. Linux 5.5.
pub const BPF_F_MMAPABLE: u32 = 1 << 10;
/// Map: perf events stay in the array when the descriptor that put them there is closed. Linux 5.10.
pub const BPF_F_PRESERVE_ELEMS: u32 = 1 << 11;
/// Map: an array of another length may take its place in a map of maps. Linux 5.10.
pub const BPF_F_INNER_MAP: u32 = 1 << 12;
/// Map: a `struct_ops` that is registered by a link. Linux 6.4.
pub const BPF_F_LINK: u32 = 1 << 13;
/// Pin: the path is relative to a descriptor. Linux 6.5.
pub const BPF_F_PATH_FD: u32 = 1 << 14;
/// Map: the type of a `struct_ops` value is in a module's BTF. Linux 6.9.
pub const BPF_F_VTYPE_BTF_OBJ_FD: u32 = 1 << 15;
/// Map, program: it is made by the right of a BPF token. Linux 6.9.
pub const BPF_F_TOKEN_FD: u32 = 1 << 16;
/// Map: touching a page that an arena lacks is `SIGSEGV` and does not make one. Linux 6.9.
pub const BPF_F_SEGV_ON_FAULT: u32 = 1 << 17;
/// Map: pointers in an arena are not made into those of user space. Linux 6.9.
pub const BPF_F_NO_USER_CONV: u32 = 1 << 18;
/// Map: a full ring buffer drops its oldest records instead of the newest. Linux 6.19.
pub const BPF_F_RB_OVERWRITE: u32 = 1 << 19;

/// Program: the verifier demands aligned accesses as if the machine did. Linux 4.12.
pub const BPF_F_STRICT_ALIGNMENT: u32 = 1 << 0;
/// Program: the verifier allows any alignment, also where the machine does not; for tests only. Linux 5.0.
pub const BPF_F_ANY_ALIGNMENT: u32 = 1 << 1;
/// Program: the upper halves of registers are filled with random bits where they do not matter; for tests
/// only. Linux 5.3.
pub const BPF_F_TEST_RND_HI32: u32 = 1 << 2;
/// Program: the verifier keeps many more states; for tests only. Linux 5.4.
pub const BPF_F_TEST_STATE_FREQ: u32 = 1 << 3;
/// Program: it may sleep, and call what sleeps. Linux 5.10.
pub const BPF_F_SLEEPABLE: u32 = 1 << 4;
/// Program: XDP that can handle packets in several pieces. Linux 5.18.
pub const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
/// Program: XDP for one device, with that device's kfuncs. Linux 6.3.
pub const BPF_F_XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
/// Program: a verifier that contradicts itself rejects the program; for tests only. Linux 6.8.
pub const BPF_F_TEST_REG_INVARIANTS: u32 = 1 << 7;

/// Test run: on the CPU that is named. Set with the CPU by
/// [`TestRunOptions::cpu`](crate::TestRunOptions::cpu). Linux 5.10.
pub const BPF_F_TEST_RUN_ON_CPU: u32 = 1 << 0;
/// Test run: XDP whose packets go where the program sends them, through drivers and the network stack. Linux 5.18.
pub const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
/// Test run: the packet has a checksum that the program is to keep right; the kernel compares. Linux 6.11.
pub const BPF_F_TEST_SKB_CHECKSUM_COMPLETE: u32 = 1 << 2;
