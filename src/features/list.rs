//! The other features of a kernel: instructions, abilities of programs and maps, links, commands, BTF.

use super::row::Row;

/// The groups of [`Probe`](super::Probe)s; the table of `rawbpf features` has a part for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Group {
    /// Types of programs.
    ProgramTypes,
    /// Types of maps.
    MapTypes,
    /// Types of attachment.
    AttachTypes,
    /// Helpers of a type of program.
    Helpers,
    /// Instructions, one by one and by the versions of the instruction set that compilers count (`-mcpu=v3`).
    Instructions,
    /// Abilities of programs, and options of loading them.
    Programs,
    /// Functions of the kernel that programs can call by name.
    Functions,
    /// Abilities of maps.
    Maps,
    /// Links.
    Links,
    /// Commands of `bpf(2)`.
    Commands,
    /// Kinds of types in BTF.
    Btf,
}

impl Group {
    /// Returns its name: `program_types`.
    pub const fn name(self) -> &'static str {
        match self {
            Group::ProgramTypes => "program_types",
            Group::MapTypes => "map_types",
            Group::AttachTypes => "attach_types",
            Group::Helpers => "helpers",
            Group::Instructions => "instructions",
            Group::Programs => "programs",
            Group::Functions => "functions",
            Group::Maps => "maps",
            Group::Links => "links",
            Group::Commands => "commands",
            Group::Btf => "btf",
        }
    }

    /// One thing of it, in a sentence: `program type`.
    pub(super) const fn one(self) -> &'static str {
        match self {
            Group::ProgramTypes => "program type",
            Group::MapTypes => "map type",
            Group::AttachTypes => "attach type",
            Group::Helpers => "helper",
            Group::Instructions => "instructions",
            Group::Programs => "program feature",
            Group::Functions => "kernel function",
            Group::Maps => "map feature",
            Group::Links => "link",
            Group::Commands => "command",
            Group::Btf => "BTF kind",
        }
    }
}

/// Makes the enum: groups of variants, each with its name.
macro_rules! features {
    ($($group:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* })*) => {
        /// A feature of a kernel other than program types, map types, attach types and helpers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Feature { $($($(#[$doc])* $variant,)*)* }

        impl Feature {
            /// All of them, group by group.
            pub const ALL: &'static [Feature] = &[$($(Feature::$variant,)*)*];

            /// A short name, which is the only one of its group.
            pub const fn name(self) -> &'static str {
                match self { $($(Feature::$variant => $name,)*)* }
            }

            /// Returns the group it belongs to.
            pub const fn group(self) -> Group {
                match self { $($(Feature::$variant)|* => Group::$group,)* }
            }
        }
    };
}

features! {
    Instructions {
        /// The original instruction set. Linux 3.19.
        V1 = "v1",
        /// Jumps if less. Linux 4.14.
        V2 = "v2",
        /// Jumps on 32 bits. Linux 5.1.
        V3 = "v3",
        /// All of version 4: the five below that Linux 6.6 brought.
        V4 = "v4",
        /// Atomic operations that give the old value, exchange and compare-exchange. Linux 5.12.
        Atomics = "atomics",
        /// Loads that extend the sign. Linux 6.6.
        SignExtendingLoads = "ldsx",
        /// Moves that extend the sign. Linux 6.6.
        SignExtendingMoves = "movsx",
        /// `bswap16`, `bswap32`, `bswap64`. Linux 6.6.
        ByteSwaps = "bswap",
        /// Division of signed numbers. Linux 6.6.
        SignedDivision = "sdiv",
        /// Jumps by 32 bits, `gotol`. Linux 6.6.
        LongJumps = "gotol",
        /// `may_goto`, a loop that the kernel ends when it takes too long. Linux 6.9.
        MayGoto = "may_goto",
        /// `addr_space_cast`, for pointers in an arena. Linux 6.9.
        AddressSpaceCasts = "addr_space_cast",
        /// `load_acquire` and `store_release`. Linux 6.15.
        LoadAcquire = "load_acquire",
        /// Jumps through a table, `gotox`. Linux 6.19.
        IndirectJumps = "gotox",
    }
    Programs {
        /// Functions within a program. Linux 4.16.
        Calls = "bpf_to_bpf_calls",
        /// BTF of a program, with its functions and source lines. Linux 5.0.
        SourceLines = "func_info_line_info",
        /// More than 4,096 instructions; a million that the verifier looks at. Linux 5.2.
        Large = "large_programs",
        /// Variables: addresses within the value of an array. Linux 5.2.
        GlobalData = "global_data",
        /// Loops whose end the verifier finds. Linux 5.3.
        BoundedLoops = "bounded_loops",
        /// Programs that may sleep. Linux 5.10.
        Sleepable = "sleepable",
        /// Functions of the program that helpers call back. Linux 5.13.
        Callbacks = "callbacks",
        /// Calls of functions of the kernel (kfuncs). Linux 5.13.
        KernelCalls = "kfunc_calls",
        /// Maps and BTF by index, for calls of functions of modules. Linux 5.14.
        FdArray = "fd_array",
        /// `get_func_ip`: which function a kprobe is on. Linux 5.15.
        FunctionAddress = "get_func_ip",
        /// `get_attach_cookie`: a number that is given when attaching (BPF cookie). Linux 5.15.
        Cookies = "attach_cookie",
        /// `timer_init`: timers in map values. Linux 5.15.
        Timers = "timers",
        /// `loop`: many rounds that the verifier checks once. Linux 5.17.
        LoopHelper = "loop_helper",
        /// XDP for packets in several pieces. Linux 5.18.
        XdpFrags = "xdp_frags",
        /// Dynamic pointers: memory whose size is known only at run time. Linux 5.19.
        Dynptr = "dynptr",
        /// Pointers of the kernel's in map values. Linux 5.19.
        KernelPointers = "kptr",
        /// Uprobes that may sleep. Linux 6.0.
        SleepableUprobes = "sleepable_uprobes",
        /// The kernel returns the size of the whole log. Linux 6.4.
        LogTrueSize = "log_true_size",
        /// Rights that a BPF file system delegates (BPF token). Linux 6.9.
        Token = "token",
        /// Maps that belong to a program although it does not name them, given at load. Linux 6.14.
        BoundFdArray = "fd_array_cnt",
    }
    Functions {
        /// `bpf_task_from_pid` and its kind: tasks that a program may hold on to. Linux 6.2.
        TaskFromPid = "bpf_task_from_pid",
        /// `bpf_rcu_read_lock`. Linux 6.2.
        RcuReadLock = "bpf_rcu_read_lock",
        /// `bpf_cpumask_create`. Linux 6.3.
        CpuMask = "bpf_cpumask_create",
        /// `bpf_xdp_metadata_rx_timestamp`: metadata of a packet from the network device. Linux 6.3.
        XdpMetadata = "bpf_xdp_metadata_rx_timestamp",
        /// `bpf_iter_num_new`: loops by open-coded iterators. Linux 6.4.
        OpenIterators = "bpf_iter_num_new",
        /// `bpf_dynptr_from_skb`. Linux 6.4.
        SkbDynptr = "bpf_dynptr_from_skb",
        /// `bpf_throw`: exceptions. Linux 6.7.
        Exceptions = "bpf_throw",
        /// `bpf_arena_alloc_pages`. Linux 6.9.
        ArenaPages = "bpf_arena_alloc_pages",
        /// `bpf_wq_init`: work queues. Linux 6.10.
        WorkQueues = "bpf_wq_init",
        /// `bpf_res_spin_lock`: locks that notice a deadlock. Linux 6.15.
        ResilientLocks = "bpf_res_spin_lock",
    }
    Maps {
        /// Maps on a NUMA node. Linux 4.14.
        NumaNode = "numa_node",
        /// Names. Linux 4.15.
        ObjectNames = "names",
        /// Types of key and value. Linux 4.18.
        Types = "btf_types",
        /// Hash tables without a random seed. Linux 5.0.
        ZeroSeed = "zero_seed",
        /// Maps that programs may only read. Linux 5.2.
        ReadOnly = "rdonly_prog",
        /// Arrays that can be mapped into memory. Linux 5.5.
        MappableArrays = "mmapable",
        /// Programs in the values of device maps. Linux 5.8.
        DeviceMapPrograms = "devmap_programs",
        /// Arrays of any length in a map of maps. Linux 5.10.
        InnerOfAnyLength = "inner_map",
        /// The memory of maps and programs counts for the control group, not against the limit on locked memory. Linux 5.11.
        MemoryControlGroup = "memcg_accounting",
        /// Tables of functions that are registered by a link. Linux 6.4.
        LinkedStructOps = "struct_ops_link",
        /// Ring buffers that drop the oldest record when they are full. Linux 6.19.
        OverwritingRing = "ringbuf_overwrite",
    }
    Links {
        /// Raw tracepoints. Linux 4.17.
        RawTracepointLink = "raw_tracepoint",
        /// Control groups. Linux 5.7.
        CgroupLink = "cgroup",
        /// Iterators. Linux 5.8.
        IterLink = "iter",
        /// Network namespaces. Linux 5.8.
        NetnsLink = "netns",
        /// XDP. Linux 5.9.
        XdpLink = "xdp",
        /// Perf events: kprobes, uprobes, tracepoints. Linux 5.15.
        PerfEventLink = "perf_event",
        /// Many kernel functions at once. Linux 5.18.
        KprobeMultiLink = "kprobe_multi",
        /// Tables of functions of the kernel. Linux 6.4.
        StructOpsLink = "struct_ops",
        /// Netfilter. Linux 6.4.
        NetfilterLink = "netfilter",
        /// Traffic of a device. Linux 6.6.
        TcxLink = "tcx",
        /// Many functions of a file at once. Linux 6.6.
        UprobeMultiLink = "uprobe_multi",
        /// Traffic of a netkit device. Linux 6.7.
        NetkitLink = "netkit",
        /// Socket maps. Linux 6.10.
        SockMapLink = "sockmap",
    }
    Commands {
        /// `BPF_PROG_TEST_RUN`. Linux 4.12.
        TestRun = "prog_test_run",
        /// `BPF_PROG_GET_NEXT_ID` and its kind. Linux 4.13.
        ProgramIds = "prog_get_next_id",
        /// `BPF_OBJ_GET_INFO_BY_FD`. Linux 4.13.
        ObjectInfo = "obj_get_info_by_fd",
        /// `BPF_BTF_LOAD`. Linux 4.18.
        BtfLoad = "btf_load",
        /// `BPF_TASK_FD_QUERY`. Linux 4.18.
        TaskFdQuery = "task_fd_query",
        /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`. Linux 4.20.
        LookupAndDelete = "map_lookup_and_delete_elem",
        /// `BPF_MAP_FREEZE`. Linux 5.2.
        Freeze = "map_freeze",
        /// `BPF_BTF_GET_NEXT_ID`. Linux 5.4.
        BtfIds = "btf_get_next_id",
        /// `BPF_MAP_LOOKUP_BATCH` and its kind. Linux 5.6.
        Batch = "map_batch",
        /// `BPF_LINK_CREATE`. Linux 5.7.
        LinkCreate = "link_create",
        /// `BPF_LINK_GET_NEXT_ID`. Linux 5.8.
        LinkIds = "link_get_next_id",
        /// `BPF_ENABLE_STATS`. Linux 5.8.
        EnableStats = "enable_stats",
        /// `BPF_ITER_CREATE`. Linux 5.8.
        IterCreate = "iter_create",
        /// `BPF_LINK_DETACH`. Linux 5.9.
        LinkDetach = "link_detach",
        /// `BPF_PROG_BIND_MAP`. Linux 5.10.
        BindMap = "prog_bind_map",
    }
    Btf {
        /// Integers, pointers, structs, enums. Linux 4.18.
        BtfTypes = "types",
        /// Functions. Linux 5.0.
        BtfFunctions = "func",
        /// Structs with bit-field offsets (`kind_flag`). Linux 5.0.
        BtfBitFields = "bitfields",
        /// Variables. Linux 5.2.
        BtfVariables = "var",
        /// Sections of variables. Linux 5.2.
        BtfSections = "datasec",
        /// Functions with linkage: static, global or extern. Linux 5.6.
        BtfLinkage = "func_global",
        /// Floating-point numbers. Linux 5.13.
        BtfFloat = "float",
        /// Tags on declarations. Linux 5.16.
        BtfDeclTags = "decl_tag",
        /// Tags on types. Linux 5.17.
        BtfTypeTags = "type_tag",
        /// Enumerations of 64 bits. Linux 6.0.
        BtfEnum64 = "enum64",
        /// Tags that stand for attributes. Linux 6.15.
        BtfAttributes = "attributes",
    }
}

/// The row of a feature, from the tables of its group.
pub(super) fn row(feature: Feature) -> Option<&'static Row<Feature>> {
    let tables =
        [super::code::ROWS, super::objects::ROWS, super::commands::ROWS, super::types::ROWS];
    tables.into_iter().flatten().find(|row| row.of == feature)
}
