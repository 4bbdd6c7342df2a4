//! The `bpf(2)` commands about maps.
//!
//! The kernel takes the lengths of key and value from the map and not from the call. It reads and writes that
//! many bytes at whatever address it gets, so **the caller checks the lengths** before it calls
//! anything here: a key of `key_size` bytes; a value of `value_size` bytes or, in a map that has one value for each
//! CPU, of `value_size` rounded up to 8, times the number of possible CPUs.
//! For a map without keys or without values the slice is empty, and the kernel gets a null pointer.

use super::attr::{MapBatchAttr, MapCreateAttr, MapElemAttr, object_name};
use super::{Answer, Call, Errno, address, address_mut, bpf, call, maybe_raw, owned, raw};
use crate::uapi::flags::{BPF_F_NUMA_NODE, BPF_F_TOKEN_FD, BPF_F_VTYPE_BTF_OBJ_FD};
use std::os::fd::{BorrowedFd, OwnedFd};

const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_LOOKUP_ELEM: i32 = 1;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_MAP_DELETE_ELEM: i32 = 3;
const BPF_MAP_GET_NEXT_KEY: i32 = 4;
const BPF_MAP_LOOKUP_AND_DELETE_ELEM: i32 = 21;
const BPF_MAP_FREEZE: i32 = 22;
const BPF_MAP_LOOKUP_BATCH: i32 = 24;
const BPF_MAP_LOOKUP_AND_DELETE_BATCH: i32 = 25;
const BPF_MAP_UPDATE_BATCH: i32 = 26;
const BPF_MAP_DELETE_BATCH: i32 = 27;

/// The arguments of `bpf(BPF_MAP_CREATE)`.
#[derive(Debug, Default, Clone)]
pub(crate) struct MapCreate<'a> {
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    /// The flags for the presence of `numa_node`, `value_type_btf` and `token` are set when those are.
    pub flags: u32,
    /// Linux 4.15.
    pub name: &'a [u8],
    /// For a map of maps: one like those that will be in it (4.12).
    pub inner_map: Option<BorrowedFd<'a>>,
    /// Linux 4.14.
    pub numa_node: Option<u32>,
    /// The network device that holds the map (4.16).
    pub ifindex: u32,
    /// The types of key and value (4.18).
    pub btf: Option<MapBtf<'a>>,
    /// For `struct_ops`: the type of the value in the kernel's BTF (5.6).
    pub vmlinux_value_type: u32,
    /// Linux 5.16.
    pub map_extra: u64,
    /// The module's BTF in which `vmlinux_value_type` is (6.9).
    pub value_type_btf: Option<BorrowedFd<'a>>,
    /// Linux 6.9.
    pub token: Option<BorrowedFd<'a>>,
}

impl MapCreate<'_> {
    /// Returns the flags, with those for the presence of other fields.
    pub(super) fn all_flags(&self) -> u32 {
        [
            (self.numa_node.is_some(), BPF_F_NUMA_NODE),
            (self.value_type_btf.is_some(), BPF_F_VTYPE_BTF_OBJ_FD),
            (self.token.is_some(), BPF_F_TOKEN_FD),
        ]
        .iter()
        .fold(self.flags, |flags, (there, flag)| if *there { flags | flag } else { flags })
    }
}

/// The types of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MapBtf<'a> {
    pub btf: BorrowedFd<'a>,
    pub key_type: u32,
    pub value_type: u32,
}

/// The arguments and results of `bpf(BPF_MAP_LOOKUP_BATCH)` and `bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH)`.
#[derive(Debug)]
pub(crate) struct MapReadBatch<'a> {
    pub map: BorrowedFd<'a>,
    /// Whether what is read is deleted.
    pub delete: bool,
    /// The position to continue at: the earlier value of `next`. `None` begins.
    pub from: Option<&'a [u8]>,
    /// Set by the kernel. `key_size` bytes, and at least 4: hash tables put the number of a bucket here.
    pub next: &'a mut [u8],
    /// `count` keys.
    pub keys: &'a mut [u8],
    /// `count` values.
    pub values: &'a mut [u8],
    /// The capacity in entries. Set by the kernel to the number of entries read, also when it answers `ENOENT`: these
    /// are the last.
    pub count: u32,
    pub elem_flags: u64,
}

/// The arguments and results of `bpf(BPF_MAP_UPDATE_BATCH)` and `bpf(BPF_MAP_DELETE_BATCH)`.
#[derive(Debug)]
pub(crate) struct MapWriteBatch<'a> {
    pub map: BorrowedFd<'a>,
    /// `count` keys.
    pub keys: &'a [u8],
    /// `count` values to set; `None` deletes.
    pub values: Option<&'a [u8]>,
    /// The number of entries. Set by the kernel to the number processed.
    pub count: u32,
    pub elem_flags: u64,
}

/// Creates a map. `bpf(2)`, `BPF_MAP_CREATE` (Linux 3.18).
pub(crate) fn map_create(map: &MapCreate<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::MapCreate(map)))
}

/// Reads one element of a map into `value`. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM` (Linux 3.18; flags 5.1).
///
/// The kernel does not check the lengths of `key` and `value`: the caller does.
pub(crate) fn map_lookup(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &mut [u8],
    flags: u64,
) -> Result<(), Errno> {
    call(Call::MapLookup { map, key, value, flags }).map(drop)
}

/// Sets one element of a map. `bpf(2)`, `BPF_MAP_UPDATE_ELEM` (Linux 3.18).
///
/// The kernel does not check the lengths of `key` and `value`: the caller does.
pub(crate) fn map_update(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &[u8],
    flags: u64,
) -> Result<(), Errno> {
    call(Call::MapUpdate { map, key, value, flags }).map(drop)
}

/// Deletes one element of a map. `bpf(2)`, `BPF_MAP_DELETE_ELEM` (Linux 3.18).
///
/// The kernel does not check the length of `key`: the caller does.
pub(crate) fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> Result<(), Errno> {
    call(Call::MapDelete { map, key }).map(drop)
}

/// Puts the key after `key` into `next`, or the first one (`None`, Linux 4.12, or a key that is not there);
/// `ENOENT` after the last. `bpf(2)`, `BPF_MAP_GET_NEXT_KEY` (Linux 3.18).
///
/// The kernel does not check the lengths of `key` and `next`: the caller does.
pub(crate) fn map_next_key(
    map: BorrowedFd<'_>,
    key: Option<&[u8]>,
    next: &mut [u8],
) -> Result<(), Errno> {
    call(Call::MapNextKey { map, key, next }).map(drop)
}

/// Reads one element into `value` and deletes it. `bpf(2)`, `BPF_MAP_LOOKUP_AND_DELETE_ELEM` (Linux 4.20 for
/// queues and stacks, 5.14 for hash tables and with flags).
///
/// The kernel does not check the lengths of `key` and `value`: the caller does.
pub(crate) fn map_lookup_and_delete(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &mut [u8],
    flags: u64,
) -> Result<(), Errno> {
    call(Call::MapLookupAndDelete { map, key, value, flags }).map(drop)
}

/// Makes a map one that system calls can no longer change. `bpf(2)`, `BPF_MAP_FREEZE` (Linux 5.2).
pub(crate) fn map_freeze(map: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::MapFreeze { map }).map(drop)
}

/// Reads many elements of a map, and deletes them or not. `bpf(2)`, `BPF_MAP_LOOKUP_BATCH`,
/// `BPF_MAP_LOOKUP_AND_DELETE_BATCH` (Linux 5.6).
///
/// The kernel does not check the lengths of the slices: the caller checks them against `count`.
pub(crate) fn map_read_batch(batch: &mut MapReadBatch<'_>) -> Result<(), Errno> {
    call(Call::MapReadBatch(batch)).map(drop)
}

/// Sets or deletes many elements of a map. `bpf(2)`, `BPF_MAP_UPDATE_BATCH`, `BPF_MAP_DELETE_BATCH` (Linux 5.6).
///
/// The kernel does not check the lengths of the slices: the caller checks them against `count`.
pub(crate) fn map_write_batch(batch: &mut MapWriteBatch<'_>) -> Result<(), Errno> {
    call(Call::MapWriteBatch(batch)).map(drop)
}

pub(super) fn create(map: &MapCreate<'_>) -> Answer {
    let mut attr = MapCreateAttr {
        map_type: map.map_type,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_flags: map.all_flags(),
        inner_map_fd: maybe_raw(map.inner_map),
        numa_node: map.numa_node.unwrap_or(0),
        map_name: object_name(map.name),
        map_ifindex: map.ifindex,
        btf_vmlinux_value_type_id: map.vmlinux_value_type,
        map_extra: map.map_extra,
        value_type_btf_obj_fd: maybe_raw(map.value_type_btf),
        map_token_fd: maybe_raw(map.token),
        ..Default::default()
    };
    if let Some(MapBtf { btf, key_type, value_type }) = map.btf {
        attr.btf_fd = raw(btf);
        (attr.btf_key_type_id, attr.btf_value_type_id) = (key_type, value_type);
    }
    bpf(BPF_MAP_CREATE, &mut attr)
}

pub(super) fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8], flags: u64) -> Answer {
    element(BPF_MAP_LOOKUP_ELEM, map, key, address_mut(value), flags)
}

pub(super) fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64) -> Answer {
    element(BPF_MAP_UPDATE_ELEM, map, key, address(value), flags)
}

pub(super) fn delete(map: BorrowedFd<'_>, key: &[u8]) -> Answer {
    element(BPF_MAP_DELETE_ELEM, map, key, 0, 0)
}

pub(super) fn next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> Answer {
    element(BPF_MAP_GET_NEXT_KEY, map, key.unwrap_or_default(), address_mut(next), 0)
}

pub(super) fn lookup_and_delete(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &mut [u8],
    flags: u64,
) -> Answer {
    element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, map, key, address_mut(value), flags)
}

pub(super) fn freeze(map: BorrowedFd<'_>) -> Answer {
    element(BPF_MAP_FREEZE, map, &[], 0, 0)
}

fn element(command: i32, map: BorrowedFd<'_>, key: &[u8], value: u64, flags: u64) -> Answer {
    bpf(command, &mut MapElemAttr { map_fd: raw(map), pad: 0, key: address(key), value, flags })
}

pub(super) fn read_batch(batch: &mut MapReadBatch<'_>) -> Answer {
    let command = if batch.delete { BPF_MAP_LOOKUP_AND_DELETE_BATCH } else { BPF_MAP_LOOKUP_BATCH };
    let mut attr = MapBatchAttr {
        in_batch: address(batch.from.unwrap_or_default()),
        out_batch: address_mut(batch.next),
        keys: address_mut(batch.keys),
        values: address_mut(batch.values),
        count: batch.count,
        map_fd: raw(batch.map),
        elem_flags: batch.elem_flags,
        flags: 0,
    };
    let answer = bpf(command, &mut attr);
    batch.count = attr.count;
    answer
}

pub(super) fn write_batch(batch: &mut MapWriteBatch<'_>) -> Answer {
    let command = if batch.values.is_some() { BPF_MAP_UPDATE_BATCH } else { BPF_MAP_DELETE_BATCH };
    let mut attr = MapBatchAttr {
        keys: address(batch.keys),
        values: address(batch.values.unwrap_or_default()),
        count: batch.count,
        map_fd: raw(batch.map),
        elem_flags: batch.elem_flags,
        ..Default::default()
    };
    let answer = bpf(command, &mut attr);
    batch.count = attr.count;
    answer
}
