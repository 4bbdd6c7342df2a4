//! Many elements by one system call.

use super::element::{UNWRITTEN, is_unwritten};
use super::{Map, Update};
use crate::error::Result;
use crate::syscall::{self, MapReadBatch, MapWriteBatch};
use crate::uapi::{ENOTSUPP, Errno, MapType};
use std::os::fd::AsFd;

/// Keys and values, one after the other.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The approximate number of bytes of keys and values that one call moves.
const CHUNK: usize = 64 << 10;

/// The least number of elements with a value for each CPU that one call moves: most of the room for those stays empty.
const FEW: usize = 16;

/// Whether the kernel has no batches (`EINVAL` before Linux 5.6), or not for this map. An `EINVAL` for another reason
/// comes again from the single operations, which then return it.
fn no_batch(errno: Errno) -> bool {
    matches!(errno, Errno(libc::EINVAL | ENOTSUPP | libc::EOPNOTSUPP))
}

impl Map {
    /// All its elements. `bpf(2)`, `BPF_MAP_LOOKUP_BATCH` (Linux 5.6 for hash tables and arrays, later for others),
    /// or one after the other where the kernel has no batches for it.
    ///
    /// A hash table is read bucket by bucket, each at once: what is there all the time comes just once, whatever
    /// is deleted meanwhile. One after the other it is as with [`iter`](Map::iter).
    ///
    /// # Errors
    /// [`Error::Call`](crate::Error::Call), and those of [`iter`](Map::iter).
    #[doc(alias = "BPF_MAP_LOOKUP_BATCH")]
    pub fn lookup_batch(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.read_all(false)
    }

    /// All its elements, and deletes them. `bpf(2)`, `BPF_MAP_LOOKUP_AND_DELETE_BATCH` (Linux 5.6 for hash tables), or one
    /// after the other by [`lookup_and_delete`](Map::lookup_and_delete) where the kernel has no batches for it.
    ///
    /// # Errors
    /// As [`lookup_batch`](Map::lookup_batch) and [`lookup_and_delete`](Map::lookup_and_delete).
    #[doc(alias = "BPF_MAP_LOOKUP_AND_DELETE_BATCH")]
    pub fn lookup_and_delete_batch(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.read_all(true)
    }

    /// Sets many elements, whether they are there or not; the first that cannot be set ends it. `bpf(2)`,
    /// `BPF_MAP_UPDATE_BATCH` (Linux 5.6 for hash tables and arrays), or one after the other.
    ///
    /// # Errors
    /// As [`update`](Map::update). What came before the element that failed is set.
    #[doc(alias = "BPF_MAP_UPDATE_BATCH")]
    pub fn update_batch<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, elements: &[(K, V)]) -> Result<()> {
        let (key_size, value_len) = (self.key_size() as usize, self.value_len()?);
        for (key, value) in elements {
            self.fits("a key", key.as_ref().len(), key_size)?;
            self.fits("a value", value.as_ref().len(), value_len)?;
        }
        let value_room = self.value_room()?;
        let chunk = chunk(key_size + value_room);
        for some in elements.chunks(chunk) {
            let mut done = 0;
            if self.has_batch() {
                let keys: Vec<u8> =
                    some.iter().flat_map(|(key, _)| key.as_ref()).copied().collect();
                let mut values: Vec<u8> =
                    some.iter().flat_map(|(_, value)| value.as_ref()).copied().collect();
                values.resize(some.len() * value_room, 0);
                match self.write_batch(&keys, Some(&values), some.len()) {
                    (Ok(()), _) => continue,
                    // The element after those that were done is set again by itself, which returns its error.
                    (Err(errno), count) if !no_batch(errno) => done = count,
                    (Err(_), _) => self.lacks_batch(),
                }
            }
            for (key, value) in some.iter().skip(done) {
                self.update(key.as_ref(), value.as_ref(), Update::Any)?;
            }
        }
        Ok(())
    }

    /// Deletes many elements; returns how many there were. `bpf(2)`, `BPF_MAP_DELETE_BATCH` (Linux 5.6 for hash
    /// tables), or one after the other.
    ///
    /// # Errors
    /// As [`delete`](Map::delete). What came before the element that failed is deleted.
    #[doc(alias = "BPF_MAP_DELETE_BATCH")]
    pub fn delete_batch<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<usize> {
        let key_size = self.key_size() as usize;
        for key in keys {
            self.fits("a key", key.as_ref().len(), key_size)?;
        }
        let mut deleted = 0;
        for some in keys.chunks(chunk(key_size)) {
            let mut rest = some;
            while self.has_batch() && !rest.is_empty() {
                let bytes: Vec<u8> = rest.iter().flat_map(|key| key.as_ref()).copied().collect();
                let (answer, count) = self.write_batch(&bytes, None, rest.len());
                match answer {
                    Ok(()) => {
                        deleted += rest.len();
                        rest = &[];
                    }
                    Err(errno) if no_batch(errno) && count == 0 => self.lacks_batch(),
                    // It stops at a key that is not there.
                    Err(_) => {
                        deleted += count;
                        rest = rest.get(count..).unwrap_or_default();
                        if let Some((key, after)) = rest.split_first() {
                            deleted += usize::from(self.delete(key.as_ref())?);
                            rest = after;
                        }
                    }
                }
            }
            for key in rest {
                deleted += usize::from(self.delete(key.as_ref())?);
            }
        }
        Ok(deleted)
    }

    /// Deletes the elements that are there now; those that programs add meanwhile may stay. A queue or stack is
    /// emptied, an array cannot be.
    ///
    /// # Errors
    /// Errors of [`delete_batch`](Map::delete_batch), [`keys`](Map::keys) or, for a queue or stack,
    /// [`lookup_and_delete`](Map::lookup_and_delete).
    pub fn clear(&self) -> Result<()> {
        if matches!(self.kind(), MapType::Queue | MapType::Stack) {
            // As many as the map can hold, so that this ends although a program goes on pushing.
            for _ in 0..self.max_entries() {
                if self.lookup_and_delete(&[])?.is_none() {
                    break;
                }
            }
            return Ok(());
        }
        let keys = self.keys().collect::<Result<Vec<_>>>()?;
        self.delete_batch(&keys).map(drop)
    }

    /// Makes one call; also returns how many elements it did before it failed.
    fn write_batch(
        &self,
        keys: &[u8],
        values: Option<&[u8]>,
        count: usize,
    ) -> (Result<(), Errno>, usize) {
        let mut batch = MapWriteBatch {
            map: self.as_fd(),
            keys,
            values,
            count: u32::try_from(count).unwrap_or(0),
            elem_flags: 0,
        };
        let asked = batch.count;
        let answer = syscall::map_write_batch(&mut batch);
        // A kernel that knows no such command leaves the number as it was.
        let done = if batch.count < asked { batch.count as usize } else { 0 };
        (answer, done)
    }

    fn read_all(&self, delete: bool) -> Result<Pairs> {
        let (key_size, value_len) = (self.key_size() as usize, self.value_len()?);
        let mut found = Vec::new();
        // Queues and the like have no keys to go by; the kernel returns an error.
        if key_size > 0 && self.has_batch() {
            if let Some(done) = self.read_batches(delete, key_size, value_len, &mut found)? {
                return Ok(done);
            }
            self.lacks_batch();
        }
        if !delete {
            return self.iter().collect();
        }
        let keys = self.keys().collect::<Result<Vec<_>>>()?;
        for key in keys {
            if let Some(value) = self.lookup_and_delete(&key)? {
                found.push((key, value));
            }
        }
        Ok(found)
    }

    /// Reads by batches; `None` if the kernel has none.
    fn read_batches(
        &self,
        delete: bool,
        key_size: usize,
        value_len: usize,
        found: &mut Pairs,
    ) -> Result<Option<Pairs>> {
        let entries = self.max_entries().max(1) as usize;
        let value_room = self.value_room()?;
        let least = if value_room == value_len { 1 } else { FEW };
        let mut room = chunk(key_size + value_room).max(least).min(entries);
        let buffers = |room| (vec![0; room * key_size], vec![UNWRITTEN; room * value_room]);
        let (mut keys, mut values) = buffers(room);
        // The most that one call has written.
        let mut most = 0;
        // At least 4 bytes: hash tables put the number of a bucket there.
        let mut next = vec![0; key_size.max(4)];
        let mut from: Option<Vec<u8>> = None;
        loop {
            let mut batch = MapReadBatch {
                map: self.as_fd(),
                delete,
                from: from.as_deref(),
                next: &mut next,
                keys: &mut keys,
                values: &mut values,
                count: u32::try_from(room).unwrap_or(1),
                elem_flags: 0,
            };
            let answer = syscall::map_read_batch(&mut batch);
            let count = (batch.count as usize).min(room);
            match answer {
                // A bucket holds more than there is room for: none of it was given.
                Err(Errno(libc::ENOSPC)) if room < entries => {
                    room = room.saturating_mul(2).min(entries);
                    (keys, values) = buffers(room);
                    continue;
                }
                Err(errno) if no_batch(errno) && from.is_none() => return Ok(None),
                // The last of them.
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                Err(Errno(libc::EINTR)) => continue,
                Err(errno) => return Err(self.refused("read the elements of", errno, None)),
            }
            most = most.max(count);
            if value_room != value_len {
                is_unwritten(values.get(most * value_len..).unwrap_or_default())?;
            }
            let pairs = keys.chunks_exact(key_size).zip(values.chunks_exact(value_len.max(1)));
            found.extend(pairs.take(count).map(|(key, value)| (key.to_vec(), value.to_vec())));
            if answer.is_err() {
                return Ok(Some(std::mem::take(found)));
            }
            from = Some(next.clone());
        }
    }
}

/// The number of elements of this size that one call moves.
fn chunk(size: usize) -> usize {
    (CHUNK / size.max(1)).max(1)
}
