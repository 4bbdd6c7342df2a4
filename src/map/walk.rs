//! Walking over the keys of a map while others change it.

use super::Map;
use crate::error::{Error, Result};

/// The keys of a map: see [`Map::keys`].
#[derive(Debug)]
pub struct Keys<'a>(Walk<'a, Vec<u8>>);

/// The elements of a map: see [`Map::iter`].
#[derive(Debug)]
pub struct Entries<'a>(Walk<'a, Vec<u8>>);

/// A walk over the keys of a map, which are bytes or have a type.
#[derive(Debug)]
pub(super) struct Walk<'a, K> {
    map: &'a Map,
    /// The next key: it is looked up before the one before it is returned, which may be deleted by the time of the
    /// next call.
    next: Option<K>,
    state: State,
    /// The largest number of keys that may follow.
    left: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Walking,
    Done,
}

impl Map {
    /// Its keys, in no order. `bpf(2)`, `BPF_MAP_GET_NEXT_KEY`; Linux 4.12.
    ///
    /// The map may change meanwhile. The key that was returned last can be deleted, and the walk goes on. If the next
    /// one is deleted by another process or a program, the kernel begins again at the first, and keys come twice: so
    /// each key that is there all the time comes at least once. If more than twice as many came as the map can hold
    /// the walk ends with [`Error::MapChanged`].
    ///
    /// ```no_run
    /// # let map = rawbpf::Map::open_id(7)?;
    /// for key in map.keys() {
    ///     map.delete(&key?)?;
    /// }
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    pub fn keys(&self) -> Keys<'_> {
        Keys(Walk::new(self))
    }

    /// Its elements, in no order: [`keys`](Map::keys), each with its value; those that are gone before their value has
    /// been read are left out.
    pub fn iter(&self) -> Entries<'_> {
        Entries(Walk::new(self))
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// Returns the key after one, or the first.
type NextKey<K> = fn(&Map, Option<&K>) -> Result<Option<K>>;

impl<'a, K> Walk<'a, K> {
    pub(super) fn new(map: &'a Map) -> Walk<'a, K> {
        let left = u64::from(map.max_entries()).max(1) * 2;
        Walk { map, next: None, state: State::New, left }
    }

    /// Returns the next key.
    pub(super) fn key(&mut self, next_key: NextKey<K>) -> Option<Result<K>> {
        let key = self.step(next_key).transpose();
        if !matches!(key, Some(Ok(_))) {
            self.state = State::Done;
        }
        key
    }

    /// Returns the next key that still has a value, with it.
    pub(super) fn entry<V>(
        &mut self,
        next_key: NextKey<K>,
        lookup: fn(&Map, &K) -> Result<Option<V>>,
    ) -> Option<Result<(K, V)>> {
        loop {
            let key = match self.key(next_key)? {
                Ok(key) => key,
                Err(error) => return Some(Err(error)),
            };
            match lookup(self.map, &key) {
                Ok(Some(value)) => return Some(Ok((key, value))),
                Ok(None) => {}
                Err(error) => {
                    self.state = State::Done;
                    return Some(Err(error));
                }
            }
        }
    }

    fn step(&mut self, next_key: NextKey<K>) -> Result<Option<K>> {
        if self.state == State::Done {
            return Ok(None);
        }
        if self.state == State::New {
            self.next = next_key(self.map, None)?;
            self.state = State::Walking;
        }
        let Some(key) = self.next.take() else { return Ok(None) };
        if self.left == 0 {
            return Err(Error::MapChanged { map: self.map.name().into() });
        }
        self.left -= 1;
        self.next = next_key(self.map, Some(&key))?;
        Ok(Some(key))
    }
}

fn next_bytes(map: &Map, after: Option<&Vec<u8>>) -> Result<Option<Vec<u8>>> {
    map.next_key(after.map(Vec::as_slice))
}

impl Iterator for Keys<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        self.0.key(next_bytes)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.entry(next_bytes, |map, key| map.lookup(key))
    }
}
