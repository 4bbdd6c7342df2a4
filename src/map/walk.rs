//! Walking over the keys of a map while others change it.

use super::Map;
use crate::error::{Error, Result};

/// The keys of a map: see [`Map::keys`].
#[derive(Debug)]
pub struct Keys<'a> {
    map: &'a Map,
    /// The next key: it is looked up before the one before it is returned, which may be deleted by the time of the
    /// next call.
    next: Option<Vec<u8>>,
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

/// The elements of a map: see [`Map::iter`].
#[derive(Debug)]
pub struct Entries<'a>(Keys<'a>);

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
        let left = u64::from(self.max_entries()).max(1) * 2;
        Keys { map: self, next: None, state: State::New, left }
    }

    /// Its elements, in no order: [`keys`](Map::keys), each with its value; those that are gone before their value has
    /// been read are left out.
    pub fn iter(&self) -> Entries<'_> {
        Entries(self.keys())
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

impl Keys<'_> {
    fn step(&mut self) -> Result<Option<Vec<u8>>> {
        if self.state == State::Done {
            return Ok(None);
        }
        if self.state == State::New {
            self.next = self.map.next_key(None)?;
            self.state = State::Walking;
        }
        let Some(key) = self.next.take() else { return Ok(None) };
        if self.left == 0 {
            return Err(Error::MapChanged { map: self.map.name().into() });
        }
        self.left -= 1;
        self.next = self.map.next_key(Some(&key))?;
        Ok(Some(key))
    }
}

impl Iterator for Keys<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let key = self.step().transpose();
        if !matches!(key, Some(Ok(_))) {
            self.state = State::Done;
        }
        key
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = match self.0.next()? {
                Ok(key) => key,
                Err(error) => return Some(Err(error)),
            };
            match self.0.map.lookup(&key) {
                Ok(Some(value)) => return Some(Ok((key, value))),
                Ok(None) => {}
                Err(error) => {
                    self.0.state = State::Done;
                    return Some(Err(error));
                }
            }
        }
    }
}
