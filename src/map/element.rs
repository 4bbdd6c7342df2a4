//! Operations on one element of a map, as bytes.

use super::{Map, refusals, rules};
use crate::error::{Error, Result};
use crate::kernel::cpu;
use crate::syscall;
use crate::uapi::{ENOTSUPP, Errno, MapType};
use std::os::fd::AsFd;

/// The condition of [`Map::update`]: whether an element with that key has to exist or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Update {
    /// Sets it in either case (`BPF_ANY`).
    #[default]
    #[doc(alias = "BPF_ANY")]
    Any,
    /// Sets it only if there is none, else `EEXIST` (`BPF_NOEXIST`).
    #[doc(alias = "BPF_NOEXIST")]
    NoExist,
    /// Sets it only if there is one, else `ENOENT` (`BPF_EXIST`). In a queue or stack that is full: drops the oldest.
    #[doc(alias = "BPF_EXIST")]
    Exist,
}

impl Update {
    fn flags(self) -> u64 {
        match self {
            Update::Any => 0,
            Update::NoExist => 1,
            Update::Exist => 2,
        }
    }
}

/// `BPF_F_LOCK`: under the spin lock of the value.
const LOCK: u64 = 4;

const READ: &str = "read an element of";
const SET: &str = "set an element of";
const DELETE: &str = "delete an element of";
const TAKE: &str = "read and delete an element of";

impl Map {
    /// Reads one element. In a map that has a value for each CPU it is all of them: see [`value_len`](Map::value_len). In
    /// a queue or stack, whose key is empty, it is the next one. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`; Linux 3.19.
    ///
    /// ```no_run
    /// # let map = rawbpf::Map::open_id(7)?;
    /// let value: Option<Vec<u8>> = map.lookup(&1u32.to_ne_bytes())?;
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MapLength`], [`Error::Call`].
    #[doc(alias = "BPF_MAP_LOOKUP_ELEM")]
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.value_len()?];
        Ok(self.read(key, &mut value, 0)?.then_some(value))
    }

    /// Returns the same as [`lookup`](Map::lookup), read under the [`SpinLock`](crate::SpinLock) in the value, so that
    /// no part of it changes meanwhile (`BPF_F_LOCK`). Linux 5.1.
    ///
    /// # Errors
    /// As [`lookup`](Map::lookup).
    #[doc(alias = "BPF_F_LOCK")]
    pub fn lookup_locked(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.value_len()?];
        Ok(self.read(key, &mut value, LOCK)?.then_some(value))
    }

    /// Sets one element. `bpf(2)`, `BPF_MAP_UPDATE_ELEM`; Linux 3.19.
    ///
    /// # Errors
    /// [`Error::MapLength`], [`Error::Call`]; `E2BIG` if a hash table is full, or an index beyond the end of an array.
    #[doc(alias = "BPF_MAP_UPDATE_ELEM")]
    pub fn update(&self, key: &[u8], value: &[u8], update: Update) -> Result<()> {
        self.write(key, value, update.flags())
    }

    /// Does the same as [`update`](Map::update), under the [`SpinLock`](crate::SpinLock) in the value (`BPF_F_LOCK`).
    /// Linux 5.1.
    ///
    /// # Errors
    /// As [`update`](Map::update).
    #[doc(alias = "BPF_F_LOCK")]
    pub fn update_locked(&self, key: &[u8], value: &[u8], update: Update) -> Result<()> {
        self.write(key, value, update.flags() | LOCK)
    }

    /// Deletes one element; `false` if there was none. `bpf(2)`, `BPF_MAP_DELETE_ELEM`; Linux 3.19. Elements of arrays
    /// cannot be deleted (`EINVAL`).
    ///
    /// # Errors
    /// [`Error::MapLength`], [`Error::Call`].
    #[doc(alias = "BPF_MAP_DELETE_ELEM")]
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        self.fits("a key", key.len(), self.key_size() as usize)?;
        found(syscall::map_delete(self.as_fd(), key))
            .map_err(|errno| self.refused(DELETE, errno, refusals::delete(self.kind(), errno)))
    }

    /// Reads one element and deletes it, so that no other value can come between; what a queue or stack has
    /// next. `bpf(2)`, `BPF_MAP_LOOKUP_AND_DELETE_ELEM`; Linux 4.20 for queues and stacks, 5.14 for hash tables.
    ///
    /// On an older kernel it is an error: a read and then a deletion would lose what a program writes in between.
    /// Whoever does not mind does those two.
    ///
    /// # Errors
    /// [`Error::MapLength`], [`Error::Unsupported`], [`Error::Call`].
    #[doc(alias = "BPF_MAP_LOOKUP_AND_DELETE_ELEM")]
    pub fn lookup_and_delete(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.value_len()?];
        Ok(self.take(key, &mut value)?.then_some(value))
    }

    /// The key after this one, or the first (`None`, Linux 4.12; and if this one has been deleted).
    /// `bpf(2)`, `BPF_MAP_GET_NEXT_KEY`; Linux 3.19.
    ///
    /// # Errors
    /// [`Error::MapLength`], [`Error::Call`].
    #[doc(alias = "BPF_MAP_GET_NEXT_KEY")]
    pub fn next_key(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let mut next = vec![0; self.key_size() as usize];
        Ok(self.read_next_key(after, &mut next)?.then_some(next))
    }

    /// Reads the key after this one, or the first, into a buffer, which has to be [`key_size`](Map::key_size) long.
    pub(super) fn read_next_key(&self, after: Option<&[u8]>, next: &mut [u8]) -> Result<bool> {
        let key_size = self.key_size() as usize;
        self.fits("a key", next.len(), key_size)?;
        if let Some(key) = after {
            self.fits("a key", key.len(), key_size)?;
        }
        found(syscall::map_next_key(self.as_fd(), after, next))
            .map_err(|errno| self.refused("read the keys of", errno, None))
    }

    /// Reads into a buffer, which has to be [`value_len`](Map::value_len) long.
    pub(super) fn read(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<bool> {
        self.both_fit(key, value.len())?;
        let fd = self.as_fd();
        let found =
            found(self.with_room(value, |value| syscall::map_lookup(fd, key, value, flags))?);
        found.map_err(|errno| self.refused(READ, errno, None))
    }

    pub(super) fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<()> {
        self.both_fit(key, value.len())?;
        let mut roomy = Vec::new();
        let room = self.value_room()?;
        let value = if room == value.len() {
            value
        } else {
            roomy.extend_from_slice(value);
            roomy.resize(room, 0);
            &roomy
        };
        syscall::map_update(self.as_fd(), key, value, flags)
            .map_err(|errno| self.refused(SET, errno, refusals::update(self.kind(), errno)))
    }

    pub(super) fn take(&self, key: &[u8], value: &mut [u8]) -> Result<bool> {
        self.both_fit(key, value.len())?;
        let fd = self.as_fd();
        let taken =
            self.with_room(value, |value| syscall::map_lookup_and_delete(fd, key, value, 0))?;
        found(taken).map_err(|errno| {
            let hash = !matches!(self.kind(), MapType::Queue | MapType::Stack);
            match errno {
                // 4.20 has the command, for the two alone.
                Errno(libc::EINVAL | ENOTSUPP | libc::EOPNOTSUPP) if hash => Error::Unsupported {
                    what: "way to read and delete an element of such a map at once",
                    needs: "Linux 5.14 for hash tables; other types have none",
                },
                _ => self.refused(TAKE, errno, None),
            }
        })
    }

    /// Has the kernel write a value: where there is one for each CPU into a buffer that is large enough for any number of them,
    /// since the number is from a file.
    ///
    /// An error if the kernel has written another number of values.
    fn with_room(
        &self,
        value: &mut [u8],
        write: impl FnOnce(&mut [u8]) -> Result<(), Errno>,
    ) -> Result<Result<(), Errno>> {
        let room = self.value_room()?;
        if room == value.len() {
            return Ok(write(value));
        }
        let mut roomy = vec![UNWRITTEN; room];
        let answer = write(&mut roomy);
        let (values, rest) = roomy.split_at(value.len());
        if answer.is_ok() {
            is_unwritten(rest)?;
            value.copy_from_slice(values);
        }
        Ok(answer)
    }

    /// The kernel takes lengths on trust: it reads and writes as many bytes as the map has.
    pub(super) fn fits(&self, what: &'static str, has: usize, needs: usize) -> Result<()> {
        if has == needs {
            return Ok(());
        }
        Err(Error::MapLength { map: self.name().into(), what, has, needs })
    }

    fn both_fit(&self, key: &[u8], value: usize) -> Result<()> {
        self.fits("a key", key.len(), self.key_size() as usize)?;
        self.fits("a value", value, self.value_len()?)?;
        debug_assert!(!rules::is_percpu(self.kind()) || value.is_multiple_of(8));
        Ok(())
    }
}

/// The byte that fills buffers before the kernel writes to them.
pub(super) const UNWRITTEN: u8 = 0xa5;

/// Checks that the kernel has written nothing into the room behind the values of the CPUs that are known.
pub(super) fn is_unwritten(rest: &[u8]) -> Result<()> {
    if rest.iter().all(|byte| *byte == UNWRITTEN) {
        return Ok(());
    }
    let problem = "the kernel has values for more CPUs than it lists";
    Err(Error::Format { path: cpu::POSSIBLE.into(), problem })
}

/// Maps `ENOENT` to `false`.
pub(super) fn found(answer: Result<(), Errno>) -> Result<bool, Errno> {
    match answer {
        Ok(()) => Ok(true),
        Err(Errno(libc::ENOENT)) => Ok(false),
        Err(errno) => Err(errno),
    }
}
