//! Hash tables.

use super::super::{Map, Update};
use super::{
    Shape, delete, derefs, each_cpu, entries, keys, lookup, lookup_each_cpu, room, set,
    set_all_cpus, take,
};
use crate::error::Result;
use crate::spec::MapSpec;
use crate::uapi::MapType;
use crate::util::pod::{Plain, with_bytes};
use std::marker::PhantomData;

/// A hash table, one that forgets what was least recently used (`lru_hash`), or one that grows (`rhash`).
///
/// ```no_run
/// use rawbpf::map::{Hash, Map, Update};
/// use rawbpf::MapSpec;
///
/// static COUNTS: MapSpec = Hash::<u32, u64>::spec("counts", 1024);
///
/// let counts = Hash::<u32, u64>::of(&Map::create(&COUNTS)?)?;
/// counts.update(&7, &1, Update::Any)?;
/// assert_eq!(counts.lookup(&7)?, Some(1));
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias("BPF_MAP_TYPE_HASH", "BPF_MAP_TYPE_LRU_HASH"))]
#[derive(Debug)]
pub struct Hash<K, V> {
    map: Map,
    types: PhantomData<fn() -> (K, V)>,
}

/// A hash table with a value for each CPU (`percpu_hash`, `lru_percpu_hash`).
///
/// ```no_run
/// use rawbpf::map::{Map, PercpuHash};
/// use rawbpf::MapSpec;
///
/// static COUNTS: MapSpec = PercpuHash::<u32, u64>::spec("counts", 1024);
///
/// let counts = PercpuHash::<u32, u64>::of(&Map::create(&COUNTS)?)?;
/// let total: u64 = counts.lookup(&7)?.unwrap_or_default().iter().sum();
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias("BPF_MAP_TYPE_PERCPU_HASH", "BPF_MAP_TYPE_LRU_PERCPU_HASH"))]
#[derive(Debug)]
pub struct PercpuHash<K, V> {
    map: Map,
    types: PhantomData<fn() -> (K, V)>,
}

derefs! { Hash<K, V> PercpuHash<K, V> }

impl<K: Plain, V: Plain> Hash<K, V> {
    /// A hash table (Linux 3.19), with the types of its keys and values for tools to show.
    pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::hash(name, K::SIZE as u32, V::SIZE as u32, max_entries).with_types::<K, V>()
    }

    /// A hash table that forgets what was least recently used when it is full (Linux 4.10).
    pub const fn lru_spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::lru_hash(name, K::SIZE as u32, V::SIZE as u32, max_entries).with_types::<K, V>()
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its keys or values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let kinds = &[MapType::Hash, MapType::LruHash, MapType::Rhash];
        let map = Shape::of::<K, V>("Hash", kinds).check(map)?;
        Ok(Hash { map, types: PhantomData })
    }

    /// Reads one element: [`Map::lookup`]. Linux 3.19.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup(&self, key: &K) -> Result<Option<V>> {
        lookup(&self.map, key)
    }

    /// Sets one element: [`Map::update`]. Linux 3.19.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn update(&self, key: &K, value: &V, update: Update) -> Result<()> {
        set(&self.map, key, value, update)
    }

    /// Deletes one element; `false` if there was none: [`Map::delete`]. Linux 3.19.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete(&self, key: &K) -> Result<bool> {
        delete(&self.map, key)
    }

    /// Reads one element and deletes it: [`Map::lookup_and_delete`]. Linux 5.14.
    ///
    /// # Errors
    /// As [`Map::lookup_and_delete`].
    pub fn lookup_and_delete(&self, key: &K) -> Result<Option<V>> {
        take(&self.map, key)
    }

    /// Its keys, while it may change: [`Map::keys`]. Linux 4.12.
    pub fn keys(&self) -> impl Iterator<Item = Result<K>> + use<'_, K, V> {
        keys(&self.map)
    }

    /// Its elements, while it may change: [`Map::iter`]. Linux 4.12.
    pub fn iter(&self) -> impl Iterator<Item = Result<(K, V)>> + use<'_, K, V> {
        entries(&self.map, lookup)
    }

    /// All its elements, by batches where the kernel has them: [`Map::lookup_batch`]. Linux 5.6.
    ///
    /// # Errors
    /// As [`Map::lookup_batch`].
    pub fn lookup_batch(&self) -> Result<Vec<(K, V)>> {
        Ok(typed(self.map.lookup_batch()?, V::read))
    }

    /// All its elements, and deletes them: [`Map::lookup_and_delete_batch`]. Linux 5.6.
    ///
    /// # Errors
    /// As [`Map::lookup_and_delete_batch`].
    pub fn lookup_and_delete_batch(&self) -> Result<Vec<(K, V)>> {
        Ok(typed(self.map.lookup_and_delete_batch()?, V::read))
    }

    /// Sets many elements: [`Map::update_batch`]. Linux 5.6.
    ///
    /// # Errors
    /// As [`Map::update_batch`].
    pub fn update_batch(&self, elements: &[(K, V)]) -> Result<()> {
        let bytes: Vec<_> =
            elements.iter().map(|(key, value)| (key.to_bytes(), value.to_bytes())).collect();
        self.map.update_batch(&bytes)
    }

    /// Deletes many elements; returns how many there were: [`Map::delete_batch`]. Linux 5.6.
    ///
    /// # Errors
    /// As [`Map::delete_batch`].
    pub fn delete_batch(&self, keys: &[K]) -> Result<usize> {
        self.map.delete_batch(&keys.iter().map(Plain::to_bytes).collect::<Vec<_>>())
    }
}

impl<K: Plain, V: Plain> PercpuHash<K, V> {
    /// A hash table with a value for each CPU (Linux 4.6), with the types of its keys and values for tools to show.
    pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::percpu_hash(name, K::SIZE as u32, V::SIZE as u32, max_entries).with_types::<K, V>()
    }

    /// The spec of a hash table that evicts the least recently used element when it is full (Linux 4.10).
    pub const fn lru_spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::lru_percpu_hash(name, K::SIZE as u32, V::SIZE as u32, max_entries)
            .with_types::<K, V>()
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its keys or values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let kinds = &[MapType::PercpuHash, MapType::LruPercpuHash];
        let map = Shape::of::<K, V>("PercpuHash", kinds).check(map)?;
        Ok(PercpuHash { map, types: PhantomData })
    }

    /// The values of one element, in the order of [`cpu::possible`](crate::kernel::cpu::possible):
    /// [`Map::lookup`]. Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup(&self, key: &K) -> Result<Option<Vec<V>>> {
        lookup_each_cpu(&self.map, key)
    }

    /// Sets the values of one element, as many as there can be CPUs: [`Map::update`]. Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::update`]; [`Error::MapLength`](crate::Error::MapLength) if there are not as many.
    pub fn update(&self, key: &K, values: &[V], update: Update) -> Result<()> {
        set_all_cpus(&self.map, key, values, update)
    }

    /// Deletes one element; `false` if there was none: [`Map::delete`]. Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete(&self, key: &K) -> Result<bool> {
        delete(&self.map, key)
    }

    /// Reads one element and deletes it: [`Map::lookup_and_delete`]. Linux 5.14.
    ///
    /// # Errors
    /// As [`Map::lookup_and_delete`].
    pub fn lookup_and_delete(&self, key: &K) -> Result<Option<Vec<V>>> {
        let mut values = room(&self.map)?;
        Ok(with_bytes(key, |key| self.map.take(key, &mut values))?.then(|| each_cpu(&values)))
    }

    /// Its keys, while it may change: [`Map::keys`]. Linux 4.12.
    pub fn keys(&self) -> impl Iterator<Item = Result<K>> + use<'_, K, V> {
        keys(&self.map)
    }

    /// Its elements, while it may change: [`Map::iter`]. Linux 4.12.
    pub fn iter(&self) -> impl Iterator<Item = Result<(K, Vec<V>)>> + use<'_, K, V> {
        entries(&self.map, lookup_each_cpu)
    }

    /// All its elements, by batches where the kernel has them: [`Map::lookup_batch`]. Linux 5.6.
    ///
    /// # Errors
    /// As [`Map::lookup_batch`].
    pub fn lookup_batch(&self) -> Result<Vec<(K, Vec<V>)>> {
        Ok(typed(self.map.lookup_batch()?, each_cpu))
    }
}

fn typed<K: Plain, V>(pairs: Vec<(Vec<u8>, Vec<u8>)>, read: fn(&[u8]) -> V) -> Vec<(K, V)> {
    pairs.iter().map(|(key, value)| (K::read(key), read(value))).collect()
}
