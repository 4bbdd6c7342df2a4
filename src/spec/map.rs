//! Specs of maps.

use super::{Hook, ObjectMap};
use crate::uapi::{MapFlags, MapType};
use crate::util::pod::Plain;
use crate::util::{TypeDesc, Version};

/// The description of a map. A map whose `static` is named in an instruction of `bpf!` is created at load. Two
/// programs that name the same `static` share one map.
///
/// ```
/// use rawbpf::MapSpec;
///
/// static EVENTS: MapSpec = MapSpec::perf_event_array("events");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapSpec<'a> {
    /// Its name. Messages show all of it; the kernel keeps the first 15 bytes, letters, digits, `_` and `.`.
    pub name: &'a str,
    /// The map type.
    pub kind: MapType,
    /// The size of a key, in bytes.
    pub key_size: u32,
    /// The size of a value, in bytes.
    pub value_size: u32,
    /// The greatest number of elements. 0 in a perf event array means one for every possible CPU.
    pub max_entries: u32,
    /// Flags of `BPF_MAP_CREATE`: see [`MapFlags`].
    pub flags: MapFlags,
    /// A parameter of some map types: the number of hash functions of a bloom filter (Linux 5.16), the address of an
    /// arena (Linux 6.9). Else 0.
    pub map_extra: u64,
    /// The spec of the inner maps, for a map of maps.
    pub inner: Option<&'a MapSpec<'a>>,
    /// The kernel struct whose functions a `struct_ops` map holds, such as `tcp_congestion_ops`.
    pub table: Option<&'a str>,
    /// The NUMA node of its memory (Linux 4.14); with `None` the kernel chooses.
    pub numa_node: Option<u32>,
    /// The initial bytes of the one value of an array, such as those of `.rodata`.
    pub contents: Option<&'a [u8]>,
    /// Whether system calls can no longer change it once it has its contents (`BPF_MAP_FREEZE`, Linux 5.2).
    pub frozen: bool,
    /// The path in the BPF file system at which it is pinned. A map that is already there is used instead, if it is
    /// compatible.
    pub pin: Option<&'a str>,
    /// The types of keys and values, so that `bpftool map dump` shows their fields (Linux 4.18). On kernels that
    /// refuse the types the map is created without them; storage of sockets, tasks and the like requires them.
    pub types: Option<(TypeDesc<'a>, TypeDesc<'a>)>,
    /// Whether it is created with its [`Collection`](super::Collection). One that is not is created all the same if a program that is
    /// loaded names it. Of an object, structs of functions in a section whose name begins with a question mark are not.
    pub autocreate: bool,
    /// The rest of its definition, if it is from an object file.
    pub object: Option<&'a ObjectMap>,
    /// The loader's function that finds the `table` in BTF, for the map type that has one.
    #[doc(hidden)]
    pub find_table: Option<Hook>,
}

impl<'a> MapSpec<'a> {
    /// A map of any type, with only these attributes set.
    pub const fn new(
        name: &'a str,
        kind: MapType,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    ) -> Self {
        MapSpec {
            name,
            kind,
            key_size,
            value_size,
            max_entries,
            flags: MapFlags::empty(),
            map_extra: 0,
            inner: None,
            table: None,
            autocreate: true,
            object: None,
            find_table: None,
            numa_node: None,
            contents: None,
            frozen: false,
            pin: None,
            types: None,
        }
    }

    /// Returns the rest of its definition, if it is from an object file. A program that reads no objects does not contain what is made
    /// of it.
    pub(crate) const fn of_object(&self) -> Option<&'a ObjectMap> {
        if cfg!(feature = "elf") { self.object } else { None }
    }

    /// A hash table (Linux 3.19).
    #[doc(alias = "BPF_MAP_TYPE_HASH")]
    pub const fn hash(name: &'a str, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::Hash, key_size, value_size, max_entries)
    }

    /// An array of `max_entries` values of `value_size` bytes, by `u32` index (Linux 3.19).
    #[doc(alias = "BPF_MAP_TYPE_ARRAY")]
    pub const fn array(name: &'a str, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::Array, 4, value_size, max_entries)
    }

    /// A variable of programs: an array of one value, with these initial bytes. Instructions reach it by its address,
    /// `r1 = NAME[0] ll` (Linux 5.2).
    ///
    /// ```
    /// use rawbpf::{MapSpec, ProgramSpec, ProgramType, bpf};
    ///
    /// static COUNT: MapSpec = MapSpec::bss("count", 8);
    /// static LOOK: ProgramSpec = ProgramSpec::new("look", ProgramType::Kprobe, bpf! {
    ///     r1 = COUNT[0] ll;
    ///     r2 = 1;
    ///     lock *(u64 *)(r1 + 0) += r2;
    ///     r0 = 0;
    ///     exit;
    /// });
    /// ```
    pub const fn data(name: &'a str, contents: &'a [u8]) -> Self {
        // A value of 4 GiB and more is refused when the map is created, because its contents have another size.
        let size =
            if contents.len() > u32::MAX as usize { u32::MAX } else { contents.len() as u32 };
        MapSpec::array(name, size, 1).with_contents(contents)
    }

    /// A variable as with [`data`](MapSpec::data), with `size` bytes that are initially 0 (Linux 5.2).
    pub const fn bss(name: &'a str, size: u32) -> Self {
        MapSpec::array(name, size, 1)
    }

    /// A variable as with [`data`](MapSpec::data), whose bytes neither programs nor, once the map is created, system
    /// calls can change: the verifier treats them as constants (Linux 5.2).
    pub const fn rodata(name: &'a str, contents: &'a [u8]) -> Self {
        MapSpec::data(name, contents).with_flags(MapFlags::RDONLY_PROG).with_frozen(true)
    }

    /// An array of programs for `tail_call`, by `u32` index (Linux 4.2).
    #[doc(alias = "BPF_MAP_TYPE_PROG_ARRAY")]
    pub const fn prog_array(name: &'a str, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::ProgArray, 4, 4, max_entries)
    }

    /// The perf event array through which `perf_event_output` sends data to user space, one element per CPU (Linux
    /// 4.3).
    #[doc(alias = "BPF_MAP_TYPE_PERF_EVENT_ARRAY")]
    pub const fn perf_event_array(name: &'a str) -> Self {
        MapSpec::new(name, MapType::PerfEventArray, 4, 4, 0)
    }

    /// A hash table with one value for each CPU (Linux 4.6).
    #[doc(alias = "BPF_MAP_TYPE_PERCPU_HASH")]
    pub const fn percpu_hash(
        name: &'a str,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    ) -> Self {
        MapSpec::new(name, MapType::PercpuHash, key_size, value_size, max_entries)
    }

    /// An array with one value for each CPU (Linux 4.6).
    #[doc(alias = "BPF_MAP_TYPE_PERCPU_ARRAY")]
    pub const fn percpu_array(name: &'a str, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::PercpuArray, 4, value_size, max_entries)
    }

    /// A table of stack traces of at most `depth` addresses, by the number that `get_stackid` returns (Linux 4.6).
    #[doc(alias = "BPF_MAP_TYPE_STACK_TRACE")]
    pub const fn stack_trace(name: &'a str, depth: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::StackTrace, 4, depth.saturating_mul(8), max_entries)
    }

    /// A hash table that evicts the least recently used elements when it is full (Linux 4.10).
    #[doc(alias = "BPF_MAP_TYPE_LRU_HASH")]
    pub const fn lru_hash(name: &'a str, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::LruHash, key_size, value_size, max_entries)
    }

    /// A hash table as with [`lru_hash`](MapSpec::lru_hash), with one value for each CPU (Linux 4.10).
    #[doc(alias = "BPF_MAP_TYPE_LRU_PERCPU_HASH")]
    pub const fn lru_percpu_hash(
        name: &'a str,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    ) -> Self {
        MapSpec::new(name, MapType::LruPercpuHash, key_size, value_size, max_entries)
    }

    /// A trie of prefixes, of which a lookup finds the longest match (Linux 4.11). A key is a `u32`, the number of
    /// significant bits, and then `key_size - 4` bytes of address. The flag that the kernel requires is set.
    #[doc(alias = "BPF_MAP_TYPE_LPM_TRIE")]
    pub const fn lpm_trie(name: &'a str, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::LpmTrie, key_size, value_size, max_entries)
            .with_flags(MapFlags::NO_PREALLOC)
    }

    /// An array whose values are maps like `inner` (Linux 4.12).
    #[doc(alias = "BPF_MAP_TYPE_ARRAY_OF_MAPS")]
    pub const fn array_of_maps(name: &'a str, max_entries: u32, inner: &'a MapSpec<'a>) -> Self {
        MapSpec::new(name, MapType::ArrayOfMaps, 4, 4, max_entries).with_inner(inner)
    }

    /// A hash table whose values are maps like `inner` (Linux 4.12).
    #[doc(alias = "BPF_MAP_TYPE_HASH_OF_MAPS")]
    pub const fn hash_of_maps(
        name: &'a str,
        key_size: u32,
        max_entries: u32,
        inner: &'a MapSpec<'a>,
    ) -> Self {
        MapSpec::new(name, MapType::HashOfMaps, key_size, 4, max_entries).with_inner(inner)
    }

    /// A queue: first in, first out (Linux 4.20).
    #[doc(alias = "BPF_MAP_TYPE_QUEUE")]
    pub const fn queue(name: &'a str, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::Queue, 0, value_size, max_entries)
    }

    /// A stack: last in, first out (Linux 4.20).
    #[doc(alias = "BPF_MAP_TYPE_STACK")]
    pub const fn stack(name: &'a str, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::Stack, 0, value_size, max_entries)
    }

    /// One ring buffer of `bytes` for all CPUs: a power of two and whole pages (Linux 5.8).
    #[doc(alias = "BPF_MAP_TYPE_RINGBUF")]
    pub const fn ring_buffer(name: &'a str, bytes: u32) -> Self {
        MapSpec::new(name, MapType::RingBuf, 0, 0, bytes)
    }

    /// A bloom filter for some `max_entries` values (Linux 5.16).
    #[doc(alias = "BPF_MAP_TYPE_BLOOM_FILTER")]
    pub const fn bloom_filter(name: &'a str, value_size: u32, max_entries: u32) -> Self {
        MapSpec::new(name, MapType::BloomFilter, 0, value_size, max_entries)
    }

    /// A ring buffer of `bytes` that user space writes and programs read (Linux 6.1).
    #[doc(alias = "BPF_MAP_TYPE_USER_RINGBUF")]
    pub const fn user_ring_buffer(name: &'a str, bytes: u32) -> Self {
        MapSpec::new(name, MapType::UserRingBuf, 0, 0, bytes)
    }

    /// An arena of at most `pages` pages (Linux 6.9). The flag that the kernel requires is set.
    #[doc(alias = "BPF_MAP_TYPE_ARENA")]
    pub const fn arena(name: &'a str, pages: u32) -> Self {
        MapSpec::new(name, MapType::Arena, 0, 0, pages).with_flags(MapFlags::MMAPABLE)
    }

    /// The same map with these flags, in place of those that it had.
    pub const fn with_flags(mut self, flags: MapFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The same map with this [`map_extra`](MapSpec::map_extra).
    pub const fn with_map_extra(mut self, map_extra: u64) -> Self {
        self.map_extra = map_extra;
        self
    }

    /// The same map of maps, with inner maps like `inner`.
    pub const fn with_inner(mut self, inner: &'a MapSpec<'a>) -> Self {
        self.inner = Some(inner);
        self
    }

    /// The same map on this NUMA node.
    pub const fn with_numa_node(mut self, numa_node: u32) -> Self {
        self.numa_node = Some(numa_node);
        self
    }

    /// The same array with these initial bytes of its one value.
    pub const fn with_contents(mut self, contents: &'a [u8]) -> Self {
        self.contents = Some(contents);
        self
    }

    /// The same map, whether [frozen](MapSpec::frozen) or not.
    pub const fn with_frozen(mut self, frozen: bool) -> Self {
        self.frozen = frozen;
        self
    }

    /// The same map, pinned at this path in the BPF file system.
    pub const fn with_pin(mut self, path: &'a str) -> Self {
        self.pin = Some(path);
        self
    }

    /// The same map, whose keys and values are shown as these types.
    ///
    /// ```
    /// use rawbpf::MapSpec;
    ///
    /// static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 16).with_types::<u32, u64>();
    /// ```
    pub const fn with_types<K: Plain, V: Plain>(mut self) -> Self {
        self.types = Some((K::TYPE, V::TYPE));
        self
    }

    /// Local storage of `value_size` bytes that belongs to a socket, inode, task or control group: one of the types
    /// `sk_storage` (Linux 5.2), `inode_storage` (5.10), `task_storage` (5.11), `cgrp_storage` (6.2). The flag that
    /// the kernel requires is set.
    #[doc(alias = "BPF_MAP_TYPE_SK_STORAGE")]
    #[doc(alias = "BPF_MAP_TYPE_TASK_STORAGE")]
    #[doc(alias = "BPF_MAP_TYPE_INODE_STORAGE")]
    #[doc(alias = "BPF_MAP_TYPE_CGRP_STORAGE")]
    pub const fn storage<V: Plain>(name: &'a str, kind: MapType) -> Self {
        MapSpec::new(name, kind, 4, V::SIZE as u32, 0)
            .with_flags(MapFlags::NO_PREALLOC)
            .with_types::<i32, V>()
    }
}

/// Returns the version that added a map type.
pub(crate) const fn first_map_version(of: MapType) -> Version {
    let (major, minor) = match of {
        MapType::Hash | MapType::Array => (3, 19),
        MapType::ProgArray => (4, 2),
        MapType::PerfEventArray => (4, 3),
        MapType::PercpuHash | MapType::PercpuArray | MapType::StackTrace => (4, 6),
        MapType::CgroupArray => (4, 8),
        MapType::LruHash | MapType::LruPercpuHash => (4, 10),
        MapType::LpmTrie => (4, 11),
        MapType::ArrayOfMaps | MapType::HashOfMaps => (4, 12),
        MapType::DevMap | MapType::SockMap => (4, 14),
        MapType::CpuMap => (4, 15),
        MapType::XskMap | MapType::SockHash => (4, 18),
        MapType::CgroupStorage | MapType::ReuseportSockArray => (4, 19),
        MapType::PercpuCgroupStorage | MapType::Queue | MapType::Stack => (4, 20),
        MapType::SkStorage => (5, 2),
        MapType::DevMapHash => (5, 4),
        MapType::StructOps => (5, 6),
        MapType::RingBuf => (5, 8),
        MapType::InodeStorage => (5, 10),
        MapType::TaskStorage => (5, 11),
        MapType::BloomFilter => (5, 16),
        MapType::UserRingBuf => (6, 1),
        MapType::CgrpStorage => (6, 2),
        MapType::Arena => (6, 9),
        MapType::InsnArray => (6, 19),
        MapType::Rhash => (7, 2),
    };
    Version::new(major, minor)
}

/// Returns the key and the value size that maps of a type must have, where only one is possible.
pub(crate) const fn implied_sizes(of: MapType) -> (Option<u32>, Option<u32>) {
    match of {
        // By index, and the values are descriptors or numbers.
        MapType::ProgArray
        | MapType::PerfEventArray
        | MapType::CgroupArray
        | MapType::ArrayOfMaps
        | MapType::XskMap
        // Sockets, devices and CPUs: 8-byte values give cookies or programs as well.
        | MapType::DevMap
        | MapType::DevMapHash
        | MapType::SockMap
        | MapType::CpuMap
        | MapType::ReuseportSockArray => (Some(4), Some(4)),
        MapType::HashOfMaps | MapType::SockHash => (None, Some(4)),
        MapType::Array
        | MapType::PercpuArray
        | MapType::StackTrace
        | MapType::SkStorage
        | MapType::InodeStorage
        | MapType::TaskStorage
        | MapType::CgrpStorage => (Some(4), None),
        MapType::InsnArray => (Some(4), Some(16)),
        // No key, or neither key nor value.
        MapType::Queue | MapType::Stack | MapType::BloomFilter => (Some(0), None),
        MapType::RingBuf | MapType::UserRingBuf | MapType::Arena => (Some(0), Some(0)),
        MapType::StructOps => (Some(4), Some(0)),
        MapType::Hash
        | MapType::PercpuHash
        | MapType::LruHash
        | MapType::LruPercpuHash
        | MapType::LpmTrie
        | MapType::CgroupStorage
        | MapType::PercpuCgroupStorage
        | MapType::Rhash => (None, None),
    }
}

/// Returns the flags that every kernel requires for a map type.
pub(crate) const fn implied_flags(of: MapType) -> MapFlags {
    match of {
        MapType::LpmTrie
        | MapType::SkStorage
        | MapType::InodeStorage
        | MapType::TaskStorage
        | MapType::CgrpStorage
        | MapType::Rhash => MapFlags::NO_PREALLOC,
        MapType::Arena => MapFlags::MMAPABLE,
        _ => MapFlags::empty(),
    }
}
