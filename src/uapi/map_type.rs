//! The types of maps.

use std::fmt;

kernel_enum! {
    /// The type of a map (`enum bpf_map_type`), by the name that `bpftool` prints.
    #[doc(alias = "bpf_map_type")]
    MapType {
        /// A hash table. Linux 3.19.
        #[doc(alias = "BPF_MAP_TYPE_HASH")]
        Hash = 1 "hash",
        /// An array, by `u32` index; every element exists from the start. Linux 3.19.
        #[doc(alias = "BPF_MAP_TYPE_ARRAY")]
        Array = 2 "array",
        /// Programs to go on with, by index: what `tail_call` takes. Linux 4.2.
        #[doc(alias = "BPF_MAP_TYPE_PROG_ARRAY")]
        ProgArray = 3 "prog_array",
        /// Perf events by CPU, to send samples to user space. Linux 4.3.
        #[doc(alias = "BPF_MAP_TYPE_PERF_EVENT_ARRAY")]
        PerfEventArray = 4 "perf_event_array",
        /// A hash table with one value for each CPU. Linux 4.6.
        #[doc(alias = "BPF_MAP_TYPE_PERCPU_HASH")]
        PercpuHash = 5 "percpu_hash",
        /// An array with one value for each CPU. Linux 4.6.
        #[doc(alias = "BPF_MAP_TYPE_PERCPU_ARRAY")]
        PercpuArray = 6 "percpu_array",
        /// Stacks of the kernel or of a process, by the number that `get_stackid` returns. Linux 4.6.
        #[doc(alias = "BPF_MAP_TYPE_STACK_TRACE")]
        StackTrace = 7 "stack_trace",
        /// Control groups by index, to ask what a packet or task belongs to. Linux 4.8.
        #[doc(alias = "BPF_MAP_TYPE_CGROUP_ARRAY")]
        CgroupArray = 8 "cgroup_array",
        /// A hash table that forgets what was least recently used when it is full. Linux 4.10.
        #[doc(alias = "BPF_MAP_TYPE_LRU_HASH")]
        LruHash = 9 "lru_hash",
        /// As `lru_hash`, with one value for each CPU. Linux 4.10.
        #[doc(alias = "BPF_MAP_TYPE_LRU_PERCPU_HASH")]
        LruPercpuHash = 10 "lru_percpu_hash",
        /// Prefixes of addresses; a lookup finds the longest that matches. Linux 4.11.
        #[doc(alias = "BPF_MAP_TYPE_LPM_TRIE")]
        LpmTrie = 11 "lpm_trie",
        /// An array whose values are maps. Linux 4.12.
        #[doc(alias = "BPF_MAP_TYPE_ARRAY_OF_MAPS")]
        ArrayOfMaps = 12 "array_of_maps",
        /// A hash table whose values are maps. Linux 4.12.
        #[doc(alias = "BPF_MAP_TYPE_HASH_OF_MAPS")]
        HashOfMaps = 13 "hash_of_maps",
        /// Network devices by index, for XDP to send packets to. Linux 4.14.
        #[doc(alias = "BPF_MAP_TYPE_DEVMAP")]
        DevMap = 14 "devmap",
        /// Sockets by index, for programs to pass data to. Linux 4.14.
        #[doc(alias = "BPF_MAP_TYPE_SOCKMAP")]
        SockMap = 15 "sockmap",
        /// CPUs by number, for XDP to have packets handled there. Linux 4.15.
        #[doc(alias = "BPF_MAP_TYPE_CPUMAP")]
        CpuMap = 16 "cpumap",
        /// `AF_XDP` sockets by index, for XDP to redirect packets to user space. Linux 4.18.
        #[doc(alias = "BPF_MAP_TYPE_XSKMAP")]
        XskMap = 17 "xskmap",
        /// Sockets by any key. Linux 4.18.
        #[doc(alias = "BPF_MAP_TYPE_SOCKHASH")]
        SockHash = 18 "sockhash",
        /// Memory of a control group for the programs attached to it. Linux 4.19; `cgrp_storage` is the better one since
        /// Linux 6.2.
        #[doc(alias = "BPF_MAP_TYPE_CGROUP_STORAGE")]
        CgroupStorage = 19 "cgroup_storage",
        /// Sockets of one `SO_REUSEPORT` group, for a program to choose from. Linux 4.19.
        #[doc(alias = "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY")]
        ReuseportSockArray = 20 "reuseport_sockarray",
        /// As `cgroup_storage`, with one value for each CPU. Linux 4.20.
        #[doc(alias = "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE")]
        PercpuCgroupStorage = 21 "percpu_cgroup_storage",
        /// First in, first out, no keys. Linux 4.20.
        #[doc(alias = "BPF_MAP_TYPE_QUEUE")]
        Queue = 22 "queue",
        /// Last in, first out, no keys. Linux 4.20.
        #[doc(alias = "BPF_MAP_TYPE_STACK")]
        Stack = 23 "stack",
        /// Memory that belongs to a socket and is freed with it. Linux 5.2.
        #[doc(alias = "BPF_MAP_TYPE_SK_STORAGE")]
        SkStorage = 24 "sk_storage",
        /// Network devices by any `u32` key. Linux 5.4.
        #[doc(alias = "BPF_MAP_TYPE_DEVMAP_HASH")]
        DevMapHash = 25 "devmap_hash",
        /// A table of functions of the kernel, filled with programs. Linux 5.6.
        #[doc(alias = "BPF_MAP_TYPE_STRUCT_OPS")]
        StructOps = 26 "struct_ops",
        /// One ring for all CPUs, to send records to user space. Linux 5.8.
        #[doc(alias = "BPF_MAP_TYPE_RINGBUF")]
        RingBuf = 27 "ringbuf",
        /// Memory that belongs to an inode and is freed with it. Linux 5.10.
        #[doc(alias = "BPF_MAP_TYPE_INODE_STORAGE")]
        InodeStorage = 28 "inode_storage",
        /// Memory that belongs to a task and is freed with it. Linux 5.11.
        #[doc(alias = "BPF_MAP_TYPE_TASK_STORAGE")]
        TaskStorage = 29 "task_storage",
        /// A bloom filter: a lookup returns whether a value may have been added, or certainly was not. Linux 5.16.
        #[doc(alias = "BPF_MAP_TYPE_BLOOM_FILTER")]
        BloomFilter = 30 "bloom_filter",
        /// A ring the other way: user space writes, a program reads. Linux 6.1.
        #[doc(alias = "BPF_MAP_TYPE_USER_RINGBUF")]
        UserRingBuf = 31 "user_ringbuf",
        /// Memory that belongs to a control group and is freed with it. Linux 6.2.
        #[doc(alias = "BPF_MAP_TYPE_CGRP_STORAGE")]
        CgrpStorage = 32 "cgrp_storage",
        /// Memory that programs and user space share, with pointers in it. Linux 6.9.
        #[doc(alias = "BPF_MAP_TYPE_ARENA")]
        Arena = 33 "arena",
        /// Places in a program by index, for jumps through a table. Linux 6.19.
        #[doc(alias = "BPF_MAP_TYPE_INSN_ARRAY")]
        InsnArray = 34 "insn_array",
        /// A hash table that grows and shrinks with what is in it. Linux 7.2.
        #[doc(alias = "BPF_MAP_TYPE_RHASH")]
        Rhash = 35 "rhash",
    }
}
