//! Views of maps: one type for each kind of use, with types for keys and values.

mod arena;
mod array;
mod cgroup_storage;
mod hash;
mod objects;
mod queue;
mod struct_ops;
mod trie;

pub use arena::{Arena, MappedArena};
pub use array::{Array, PercpuArray, StackTrace};
pub use cgroup_storage::CgroupStorage;
pub use hash::{Hash, PercpuHash};
pub use objects::{
    CgroupArray, CpuMap, DevMap, MapOfMaps, ProgArray, Redirect, SockMap, Storage, XskMap,
};
pub use queue::{BloomFilter, Queue, Stack};
pub(super) use struct_ops::STRUCT_OPS;
pub use struct_ops::{Registered, StructOps};
pub use trie::{LpmTrie, Prefix};

use super::walk::Walk;
use super::{Map, Update};
use crate::error::{Error, Result};
use crate::uapi::MapType;
use crate::util::pod::{Plain, with_bytes, with_zeroed};

/// The requirements of a view on a map.
struct Shape {
    /// Its name.
    view: &'static str,
    kinds: &'static [MapType],
    key_size: usize,
    value_sizes: [usize; 2],
}

impl Shape {
    /// The requirements for keys and values of these types.
    fn of<K: Plain, V: Plain>(view: &'static str, kinds: &'static [MapType]) -> Shape {
        Shape { view, kinds, key_size: K::SIZE, value_sizes: [V::SIZE; 2] }
    }

    fn check(&self, map: &Map) -> Result<Map> {
        let wrong = |field, has: String, needs: String| {
            Err(Error::MapView { map: map.name().into(), view: self.view, field, has, needs })
        };
        if !self.kinds.contains(&map.kind()) {
            let names: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
            return wrong("kind", map.kind().to_string(), names.join(" or "));
        }
        if map.key_size() as usize != self.key_size {
            return wrong("key_size", map.key_size().to_string(), self.key_size.to_string());
        }
        let [one, other] = self.value_sizes;
        if !self.value_sizes.contains(&(map.value_size() as usize)) {
            let needs = if one == other { one.to_string() } else { format!("{one} or {other}") };
            return wrong("value_size", map.value_size().to_string(), needs);
        }
        Ok(map.clone())
    }
}

/// A view of a map: a type for one kind of use, most with types for keys and values. Implemented by [`Hash`](struct@Hash), [`Array`] and the
/// others of this module, for [`Loader::view`](crate::Loader::view).
pub trait View: Sized + sealed::Sealed {
    /// A view of this map: the type's own `of`.
    ///
    /// # Errors
    /// [`Error::MapView`] if it is another kind of map, or its keys or values are of another size.
    fn of(map: &Map) -> Result<Self>;
}

mod sealed {
    /// Keeps [`View`](super::View) to the views of this crate: it may gain methods.
    pub trait Sealed {}
}

/// A view is its map, and what it can do.
macro_rules! derefs {
    ($($name:ident<$($param:ident),*>)*) => {$(
        impl<$($param: $crate::Plain),*> $crate::map::view::sealed::Sealed for $name<$($param),*> {}

        impl<$($param: $crate::Plain),*> $crate::map::View for $name<$($param),*> {
            fn of(map: &$crate::map::Map) -> $crate::error::Result<Self> {
                $name::of(map)
            }
        }

        impl<$($param),*> std::ops::Deref for $name<$($param),*> {
            type Target = $crate::map::Map;

            fn deref(&self) -> &$crate::map::Map {
                &self.map
            }
        }
    )*};
}
use derefs;

/// Reads one element whose key and value are of known size, without allocating.
fn lookup<K: Plain, V: Plain>(map: &Map, key: &K) -> Result<Option<V>> {
    with_bytes(key, |key| {
        with_zeroed(V::SIZE, |value| Ok(map.read(key, value, 0)?.then(|| V::read(value))))
    })
}

/// Reads one element and deletes it, without allocating.
fn take<K: Plain, V: Plain>(map: &Map, key: &K) -> Result<Option<V>> {
    with_bytes(key, |key| {
        with_zeroed(V::SIZE, |value| Ok(map.take(key, value)?.then(|| V::read(value))))
    })
}

/// Sets one element, without allocating.
fn set<K: Plain, V: Plain>(map: &Map, key: &K, value: &V, update: Update) -> Result<()> {
    with_bytes(key, |key| with_bytes(value, |value| map.update(key, value, update)))
}

/// Deletes one element, without allocating.
fn delete<K: Plain>(map: &Map, key: &K) -> Result<bool> {
    with_bytes(key, |key| map.delete(key))
}

/// Returns the key after one, or the first, without allocating.
fn next_key<K: Plain>(map: &Map, after: Option<&K>) -> Result<Option<K>> {
    with_zeroed(K::SIZE, |next| {
        let found = match after {
            Some(key) => with_bytes(key, |key| map.read_next_key(Some(key), next)),
            None => map.read_next_key(None, next),
        };
        Ok(found?.then(|| K::read(next)))
    })
}

/// The keys of a map, with their type.
fn keys<K: Plain>(map: &Map) -> impl Iterator<Item = Result<K>> + use<'_, K> {
    let mut walk = Walk::new(map);
    std::iter::from_fn(move || walk.key(next_key))
}

/// The elements of a map, with their types.
fn entries<K: Plain, V>(
    map: &Map,
    lookup: fn(&Map, &K) -> Result<Option<V>>,
) -> impl Iterator<Item = Result<(K, V)>> + use<'_, K, V> {
    let mut walk = Walk::new(map);
    std::iter::from_fn(move || walk.entry(next_key, lookup))
}

/// Reads the values that each CPU has for a key.
fn lookup_each_cpu<K: Plain, V: Plain>(map: &Map, key: &K) -> Result<Option<Vec<V>>> {
    let mut values = room(map)?;
    Ok(with_bytes(key, |key| map.read(key, &mut values, 0))?.then(|| each_cpu(&values)))
}

/// Sets the values that each CPU has for a key.
fn set_all_cpus<K: Plain, V: Plain>(
    map: &Map,
    key: &K,
    values: &[V],
    update: Update,
) -> Result<()> {
    let values = all_cpus(map, values)?;
    with_bytes(key, |key| map.update(key, &values, update))
}

/// Room for one value of a map.
fn room(map: &Map) -> Result<Vec<u8>> {
    Ok(vec![0; map.value_len()?])
}

/// The value that each CPU has, in the order of [`possible`](crate::kernel::cpu::possible).
fn each_cpu<V: Plain>(bytes: &[u8]) -> Vec<V> {
    let stride = V::SIZE.next_multiple_of(8).max(1);
    bytes.chunks_exact(stride).map(V::read).collect()
}

/// The bytes of the values of all CPUs.
fn all_cpus<V: Plain>(map: &Map, values: &[V]) -> Result<Vec<u8>> {
    let stride = V::SIZE.next_multiple_of(8).max(1);
    let mut bytes = room(map)?;
    map.fits("values for all CPUs", values.len() * stride, bytes.len())?;
    for (to, value) in bytes.chunks_exact_mut(stride).zip(values) {
        value.write(to);
    }
    Ok(bytes)
}
