//! Memory of control groups in the way of before Linux 6.2.

use super::super::{Map, Update};
use super::{Shape, all_cpus, derefs, each_cpu, room};
use crate::error::Result;
use crate::uapi::{AttachType, MapType};
use crate::util::pod::Plain;
use std::marker::PhantomData;

/// Memory of a control group for the programs attached to it: one value, or one for each CPU
/// (`percpu_cgroup_storage`). It is there as long as a program with the map is attached. Linux 4.19, 4.20 for each CPU; since 6.2
/// `cgrp_storage` is the better one, with [`Storage`](super::Storage) as its view.
///
/// A key of 16 bytes is a group and a way of attaching, one of 8 bytes a group for all ways (Linux 5.9). A group goes by its
/// number, the inode of its folder.
///
/// ```no_run
/// use rawbpf::map::{CgroupStorage, Map};
/// use rawbpf::{AttachType, MapSpec, MapType};
/// use std::os::unix::fs::MetadataExt;
///
/// static SOCKETS: MapSpec = MapSpec::new("sockets", MapType::CgroupStorage, 16, 8, 0);
///
/// let sockets = CgroupStorage::<u64>::of(&Map::create(&SOCKETS)?)?;
/// let group = std::fs::metadata("/sys/fs/cgroup").unwrap().ino();
/// let made = sockets.lookup(group, AttachType::CgroupInetSockCreate)?;
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias("BPF_MAP_TYPE_CGROUP_STORAGE", "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE"))]
#[derive(Debug)]
pub struct CgroupStorage<V> {
    map: Map,
    types: PhantomData<fn() -> V>,
}

derefs! { CgroupStorage<V> }

impl<V: Plain> CgroupStorage<V> {
    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let shape = Shape {
            view: "CgroupStorage",
            kinds: &[MapType::CgroupStorage, MapType::PercpuCgroupStorage],
            // 8 or 16: the kernel makes no others.
            key_size: map.key_size() as usize,
            value_sizes: [V::SIZE; 2],
        };
        Ok(CgroupStorage { map: shape.check(map)?, types: PhantomData })
    }

    /// Returns the storage of a group: one value, or those of all CPUs in the order of
    /// [`cpu::possible`](crate::kernel::cpu::possible). `None` if no program with the map is attached to it in that
    /// way. [`Map::lookup`]; Linux 4.19.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup(&self, group: u64, attach_type: AttachType) -> Result<Option<Vec<V>>> {
        let mut bytes = room(&self.map)?;
        let found = self.map.read(&self.key(group, attach_type), &mut bytes, 0)?;
        Ok(found.then(|| match self.map.kind() {
            MapType::PercpuCgroupStorage => each_cpu(&bytes),
            _ => vec![V::read(&bytes)],
        }))
    }

    /// Sets what a group has, which it must have: as many values as [`lookup`](CgroupStorage::lookup) gives. [`Map::update`];
    /// Linux 4.19.
    ///
    /// # Errors
    /// As [`Map::update`]; `ENOENT` if no program with the map is attached to it in that way;
    /// [`Error::MapLength`](crate::Error::MapLength) if there are more or less values.
    pub fn update(&self, group: u64, attach_type: AttachType, values: &[V]) -> Result<()> {
        let bytes = match (self.map.kind(), values) {
            (MapType::PercpuCgroupStorage, values) => all_cpus(&self.map, values)?,
            (_, [value]) => value.to_bytes(),
            _ => {
                self.map.fits("values", values.len() * V::SIZE, V::SIZE)?;
                Vec::new()
            }
        };
        self.map.update(&self.key(group, attach_type), &bytes, Update::Exist)
    }

    /// `struct bpf_cgroup_storage_key`, or its beginning.
    fn key(&self, group: u64, attach_type: AttachType) -> Vec<u8> {
        let mut key = group.to_bytes();
        key.extend((attach_type as u32).to_bytes());
        key.extend([0; 4]);
        key.truncate(self.map.key_size() as usize);
        key
    }
}
