//! The meaning of the kernel's answers to changes of elements: the same number means another thing for another type of map.

use crate::uapi::{ENOTSUPP, Errno, MapType};

/// Whether elements are found by an index below the number of entries.
pub(crate) const fn is_by_index(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::Array
            | MapType::PercpuArray
            | MapType::ProgArray
            | MapType::PerfEventArray
            | MapType::CgroupArray
            | MapType::ArrayOfMaps
            | MapType::StackTrace
            | MapType::DevMap
            | MapType::CpuMap
            | MapType::XskMap
            | MapType::SockMap
            | MapType::ReuseportSockArray
            | MapType::StructOps
            | MapType::InsnArray
    )
}

/// Whether all elements exist from the start.
const fn is_whole(kind: MapType) -> bool {
    matches!(kind, MapType::Array | MapType::PercpuArray | MapType::InsnArray)
}

/// Whether elements belong to an object of the kernel, which the key is a descriptor of.
const fn is_storage(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage
    )
}

const BEYOND: &str = "the index is beyond the end";
const NO_ELEMENTS: &str = "a map of this type has no elements that system calls can reach";

/// Returns the meaning of an answer to `BPF_MAP_UPDATE_ELEM`.
pub(super) fn update(kind: MapType, errno: Errno) -> Option<&'static str> {
    use MapType::*;
    Some(match (errno.0, kind) {
        (libc::E2BIG, _) if is_by_index(kind) => BEYOND,
        (libc::E2BIG, _) => "it is full",
        (libc::ENOSPC, LpmTrie) => "it is full",
        (libc::ENOMEM, LruHash | LruPercpuHash) => {
            "no element can be forgotten for it now: others are being written"
        }
        (libc::EEXIST, _) if is_whole(kind) => "all elements of an array exist from the start",
        (libc::EEXIST, DevMap | CpuMap) => {
            "a map of this type cannot be asked to set only what is not there"
        }
        (libc::EEXIST, _) => "there is one",
        (libc::ENOENT, CgroupStorage | PercpuCgroupStorage) => {
            "the control group of the key has no such memory: a program that uses the map has to be attached there"
        }
        (libc::ENOENT, _) => "there is none",
        (libc::EBADF, ProgArray) => "the value is no descriptor of a program",
        (libc::EBADF, PerfEventArray) => "the value is no descriptor of a perf event",
        (libc::EBADF, CgroupArray) => "the value is no descriptor of a control group",
        (libc::EBADF, ArrayOfMaps | HashOfMaps) => "the value is no descriptor of a map",
        (libc::EBADF, DevMap | DevMapHash | CpuMap) => {
            "the value has a descriptor of a program that is not open"
        }
        (libc::EBADF, XskMap | SockMap | SockHash | ReuseportSockArray) => {
            "the value is no descriptor of a socket"
        }
        (libc::EBADF, _) if is_storage(kind) => {
            "the key is no descriptor of what the memory belongs to"
        }
        (libc::EINVAL, ProgArray) => {
            "the program is of another type than those that use the map, or of another attach type"
        }
        (libc::EINVAL, ArrayOfMaps | HashOfMaps) => {
            "the map is not like the one that the map of maps was created with"
        }
        (libc::EINVAL, DevMap | DevMapHash) => {
            "no network device here has that number, or the program is not for device maps"
        }
        (libc::EINVAL, LpmTrie) => "the prefix of the key is longer than the key",
        (libc::EINVAL, SockMap | SockHash) => {
            "the value is no descriptor of a socket of a kind that it takes"
        }
        (libc::EINVAL, StackTrace) => "only programs put stacks into it",
        (libc::EINVAL, BloomFilter) => "a value can only be added, whatever there is",
        (libc::EOVERFLOW, CpuMap) => "the queue of a CPU has 16384 packets at most",
        (libc::ENODEV, CpuMap) => "there is no such CPU",
        (libc::EOPNOTSUPP, XskMap) => "the value is no AF_XDP socket",
        (libc::EOPNOTSUPP, SockMap | SockHash) => {
            "the socket is of another kind, or not connected: TCP has to be established or listening"
        }
        (libc::EBUSY, ReuseportSockArray) => "the socket is in a map of this type already",
        (libc::EBUSY, StructOps) => "it is registered already",
        (libc::EPERM, _) => return None,
        (ENOTSUPP | libc::EOPNOTSUPP, RingBuf | UserRingBuf | Arena) => NO_ELEMENTS,
        (libc::EINVAL, RingBuf | UserRingBuf | Arena) => NO_ELEMENTS,
        _ => return None,
    })
}

/// Returns the meaning of an answer to `BPF_MAP_DELETE_ELEM`.
pub(super) fn delete(kind: MapType, errno: Errno) -> Option<&'static str> {
    use MapType::*;
    Some(match (errno.0, kind) {
        (libc::EINVAL, Array | PercpuArray | InsnArray) => "elements of an array cannot be deleted",
        (libc::EINVAL, CgroupStorage | PercpuCgroupStorage) => {
            "this memory goes when the program is detached"
        }
        (libc::E2BIG | libc::EINVAL, ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps)
        | (libc::E2BIG | libc::EINVAL, StackTrace | DevMap | CpuMap | XskMap | SockMap)
        | (libc::E2BIG, ReuseportSockArray | StructOps) => BEYOND,
        (libc::EINVAL, LpmTrie) => "the prefix of the key is longer than the key",
        (libc::EINVAL | libc::EOPNOTSUPP | ENOTSUPP, Queue | Stack) => {
            "it has no keys: what is next is taken with a lookup that deletes"
        }
        (libc::EOPNOTSUPP | ENOTSUPP, BloomFilter) => "nothing can be taken out of a bloom filter",
        (libc::EINVAL | libc::EOPNOTSUPP | ENOTSUPP, RingBuf | UserRingBuf | Arena) => NO_ELEMENTS,
        (libc::EBADF, _) if is_storage(kind) => {
            "the key is no descriptor of what the memory belongs to"
        }
        _ => return None,
    })
}
