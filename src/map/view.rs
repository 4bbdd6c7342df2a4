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

use super::Map;
use crate::error::{Error, Result};
use crate::uapi::MapType;
use crate::util::pod::Plain;

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

/// A view is its map, and what it can do.
macro_rules! derefs {
    ($($name:ident<$($param:ident),*>)*) => {$(
        impl<$($param),*> std::ops::Deref for $name<$($param),*> {
            type Target = $crate::map::Map;

            fn deref(&self) -> &$crate::map::Map {
                &self.map
            }
        }
    )*};
}
use derefs;

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
