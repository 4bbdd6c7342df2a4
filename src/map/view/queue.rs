//! Maps without keys.

use super::super::{Map, Update};
use super::{Shape, derefs, lookup, take};
use crate::error::Result;
use crate::spec::MapSpec;
use crate::uapi::MapType;
use crate::util::pod::{Plain, with_bytes, with_zeroed};
use std::marker::PhantomData;

/// The key of a map without keys.
const NO_KEY: [u8; 0] = [];

macro_rules! ends {
    ($name:ident, $kind:ident, $alias:literal, $spec:ident, $does:literal, $next:literal) => {
        #[doc = concat!("What is put in and taken out again, ", $does, ".")]
        ///
        /// ```no_run
        #[doc = concat!("use rawbpf::map::{Map, ", stringify!($name), ", Update};")]
        /// use rawbpf::MapSpec;
        ///
        #[doc = concat!("static WORK: MapSpec = ", stringify!($name), "::<u64>::spec(\"work\", 64);")]
        ///
        #[doc = concat!("let work = ", stringify!($name), "::<u64>::of(&Map::create(&WORK)?)?;")]
        /// work.push(&7, Update::Any)?;
        /// assert_eq!(work.pop()?, Some(7));
        /// # Ok::<(), rawbpf::Error>(())
        /// ```
        #[doc(alias = $alias)]
        #[derive(Debug)]
        pub struct $name<V> {
            map: Map,
            types: PhantomData<fn() -> V>,
        }

        impl<V: Plain> $name<V> {
            /// The spec of a map for at most this number of values (Linux 4.20). The kernel accepts no types for it.
            pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
                MapSpec::$spec(name, V::SIZE as u32, max_entries)
            }

            /// A view of this map.
            ///
            /// # Errors
            /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its values are of another size.
            pub fn of(map: &Map) -> Result<Self> {
                let shape = Shape::of::<[u8; 0], V>(stringify!($name), &[MapType::$kind]);
                Ok($name { map: shape.check(map)?, types: PhantomData })
            }

            /// Puts one in. If it is full, [`Update::Exist`] drops the oldest, and [`Update::Any`] is `E2BIG`. `bpf(2)`,
            /// `BPF_MAP_UPDATE_ELEM`; Linux 4.20.
            ///
            /// # Errors
            /// As [`Map::update`].
            pub fn push(&self, value: &V, update: Update) -> Result<()> {
                with_bytes(value, |value| self.map.update(&[], value, update))
            }

            #[doc = concat!("Takes out ", $next, ". `bpf(2)`, `BPF_MAP_LOOKUP_AND_DELETE_ELEM`; Linux 4.20.")]
            ///
            /// # Errors
            /// As [`Map::lookup_and_delete`].
            pub fn pop(&self) -> Result<Option<V>> {
                take(&self.map, &NO_KEY)
            }

            #[doc = concat!("Reads ", $next, " and leaves it there. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`; Linux 4.20.")]
            ///
            /// # Errors
            /// As [`Map::lookup`].
            pub fn peek(&self) -> Result<Option<V>> {
                lookup(&self.map, &NO_KEY)
            }
        }
    };
}

ends!(Queue, Queue, "BPF_MAP_TYPE_QUEUE", queue, "the oldest first", "the oldest");
ends!(Stack, Stack, "BPF_MAP_TYPE_STACK", stack, "the newest first", "the newest");

/// A bloom filter, which reports that a value has certainly not been added, or that it may have been.
///
/// ```no_run
/// use rawbpf::map::{BloomFilter, Map};
/// use rawbpf::MapSpec;
///
/// static KNOWN: MapSpec = BloomFilter::<u32>::spec("known", 1000).with_map_extra(3);
///
/// let known = BloomFilter::<u32>::of(&Map::create(&KNOWN)?)?;
/// known.insert(&7)?;
/// assert!(known.may_contain(&7)?);
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_BLOOM_FILTER")]
#[derive(Debug)]
pub struct BloomFilter<V> {
    map: Map,
    types: PhantomData<fn() -> V>,
}

derefs! { Queue<V> Stack<V> BloomFilter<V> }

impl<V: Plain> BloomFilter<V> {
    /// The spec of a filter for about this number of values (Linux 5.16); its [`map_extra`](MapSpec::map_extra) is the
    /// number of hash functions, 0 for 5.
    pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::bloom_filter(name, V::SIZE as u32, max_entries)
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let shape = Shape::of::<[u8; 0], V>("BloomFilter", &[MapType::BloomFilter]);
        Ok(BloomFilter { map: shape.check(map)?, types: PhantomData })
    }

    /// Puts a value in, for ever. `bpf(2)`, `BPF_MAP_UPDATE_ELEM`; Linux 5.16.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn insert(&self, value: &V) -> Result<()> {
        with_bytes(value, |value| self.map.update(&[], value, Update::Any))
    }

    /// `false` if it has surely not been put in. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`; Linux 5.16.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn may_contain(&self, value: &V) -> Result<bool> {
        // The kernel reads what it is to look for where it writes elsewhere.
        with_zeroed(V::SIZE, |bytes| {
            value.write(bytes);
            self.map.read(&[], bytes, 0)
        })
    }
}
