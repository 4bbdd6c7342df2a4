//! Prefixes of addresses.

use super::super::{Map, Update};
use super::{Shape, delete, derefs, entries, keys, lookup, set};
use crate::btf::{FieldDesc, TypeDesc};
use crate::error::Result;
use crate::spec::MapSpec;
use crate::uapi::MapType;
use crate::util::pod::Plain;
use std::marker::PhantomData;

/// The first `bits` bits of an address: the key of an [`LpmTrie`].
///
/// The kernel compares addresses from their first byte on, so an address is best an array of bytes in the order of the
/// network, such as [`Ipv4Addr::octets`](std::net::Ipv4Addr::octets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix<A> {
    /// The length of the prefix, in bits.
    pub bits: u32,
    /// The address, whose other bits do not matter.
    pub address: A,
}

impl<A: Plain> Plain for Prefix<A> {
    const SIZE: usize = 4 + A::SIZE;
    const TYPE: TypeDesc<'static> = TypeDesc::Struct {
        name: "prefix",
        size: Self::SIZE as u32,
        fields: &[
            FieldDesc { name: "bits", offset: 0, desc: TypeDesc::U32 },
            FieldDesc { name: "address", offset: 4, desc: A::TYPE },
        ],
    };

    fn write(&self, to: &mut [u8]) {
        self.bits.write(to);
        self.address.write(to.get_mut(4..).unwrap_or_default());
    }

    fn read(from: &[u8]) -> Self {
        Prefix { bits: u32::read(from), address: A::read(from.get(4..).unwrap_or_default()) }
    }
}

/// A table of prefixes, of which a lookup finds the longest that matches.
///
/// ```no_run
/// use rawbpf::MapSpec;
/// use rawbpf::map::{LpmTrie, Map, Prefix, Update};
///
/// static ROUTES: MapSpec = LpmTrie::<[u8; 4], u32>::spec("routes", 1024);
///
/// let routes = LpmTrie::<[u8; 4], u32>::of(&Map::create(&ROUTES)?)?;
/// routes.update(&Prefix { bits: 8, address: [10, 0, 0, 0] }, &1, Update::Any)?;
/// assert_eq!(routes.lookup(&Prefix { bits: 32, address: [10, 1, 2, 3] })?, Some(1));
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_LPM_TRIE")]
#[derive(Debug)]
pub struct LpmTrie<A, V> {
    map: Map,
    types: PhantomData<fn() -> (A, V)>,
}

derefs! { LpmTrie<A, V> }

impl<A: Plain, V: Plain> LpmTrie<A, V> {
    /// The spec of a map for at most this number of prefixes (Linux 4.11).
    pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::lpm_trie(name, <Prefix<A>>::SIZE as u32, V::SIZE as u32, max_entries)
            .with_types::<Prefix<A>, V>()
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its keys or values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let shape = Shape::of::<Prefix<A>, V>("LpmTrie", &[MapType::LpmTrie]);
        Ok(LpmTrie { map: shape.check(map)?, types: PhantomData })
    }

    /// The value of the longest prefix there is that this one begins with: [`Map::lookup`]. Linux 4.11.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup(&self, prefix: &Prefix<A>) -> Result<Option<V>> {
        lookup(&self.map, prefix)
    }

    /// Sets the value of one prefix: [`Map::update`]. Linux 4.11.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn update(&self, prefix: &Prefix<A>, value: &V, update: Update) -> Result<()> {
        set(&self.map, prefix, value, update)
    }

    /// Deletes just this prefix; `false` if there was none: [`Map::delete`]. Linux 4.11.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete(&self, prefix: &Prefix<A>) -> Result<bool> {
        delete(&self.map, prefix)
    }

    /// The prefixes there are: [`Map::keys`]. Linux 4.16.
    pub fn keys(&self) -> impl Iterator<Item = Result<Prefix<A>>> + use<'_, A, V> {
        keys(&self.map)
    }

    /// The prefixes there are, with their values: [`Map::iter`]. Linux 4.16.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Prefix<A>, V)>> + use<'_, A, V> {
        entries(&self.map, lookup)
    }
}
