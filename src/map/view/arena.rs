//! Memory that programs and user space share.

use super::super::Map;
use super::{Shape, derefs};
use crate::error::{Error, Result};
use crate::ring::page_size;
use crate::syscall::SharedWords;
use crate::uapi::{Errno, MapFlags, MapType};
use crate::util::pod::{Plain, with_zeroed};
use std::os::fd::AsFd;
use std::sync::Arc;

/// Memory that programs and user space share, up to 4 GiB, with pointers in it that mean the same to both. Linux 6.9.
///
/// It gets its address, to which those pointers refer, when it is first mapped or by the spec's
/// [`map_extra`](crate::MapSpec::map_extra). Programs that use it are loaded after that.
///
/// ```no_run
/// use rawbpf::map::{Arena, Map};
/// use rawbpf::MapSpec;
///
/// static SHARED: MapSpec = MapSpec::arena("shared", 4);
///
/// let memory = Arena::of(&Map::create(&SHARED)?)?.mmap()?;
/// memory.set(8, &41u64);
/// assert_eq!(memory.get::<u64>(8), Some(41));
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_ARENA")]
#[derive(Debug)]
pub struct Arena {
    map: Map,
}

derefs! { Arena<> }

impl Arena {
    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`] if it is another kind of map.
    pub fn of(map: &Map) -> Result<Self> {
        let kinds = &[MapType::Arena];
        let shape = Shape { view: "Arena", kinds, key_size: 0, value_sizes: [0; 2] };
        Ok(Arena { map: shape.check(map)? })
    }

    /// Maps its memory into this process: at the place that it has, if it has one, else where there is room, which is its
    /// place from then on. Pages come as they are touched, by programs or here. `mmap(2)`; Linux 6.9.
    ///
    /// # Errors
    /// [`Error::Call`]; `EBUSY` if it is mapped already, or something else is where it has its place.
    /// [`Error::Unsupported`] with [`MapFlags::SEGV_ON_FAULT`]: to look at a page that is not there would
    /// end the process.
    pub fn mmap(&self) -> Result<MappedArena> {
        if self.map.flags().contains(MapFlags::SEGV_ON_FAULT) {
            return Err(Error::Unsupported {
                what: "safe way to map an arena whose missing pages are not made",
                needs: "it may not have BPF_F_SEGV_ON_FAULT",
            });
        }
        self.reserve(self.map.info()?.map_extra)
    }

    /// Maps its memory at a place, or where there is room if that is 0; perhaps with pages that may not be looked at.
    pub(crate) fn reserve(&self, place: u64) -> Result<MappedArena> {
        let len = (self.map.max_entries() as usize).saturating_mul(page_size());
        let refuse = |errno| {
            let note = match errno {
                Errno(libc::EBUSY | libc::EINVAL) => {
                    Some("it is mapped already, or something else is where it has its place")
                }
                _ => None,
            };
            self.map.refused("map the memory of", errno, note)
        };
        let map = self.map.as_fd();
        let memory = SharedWords::map_at(map, place as usize, len, true).map_err(refuse)?;
        Ok(MappedArena { memory: Arc::new(memory) })
    }
}

/// The memory of an arena: see [`Arena::mmap`]. It stays if the map goes.
///
/// Words of the machine's size are read and written as wholes; the parts of a longer value may be of different times. A clone is
/// the same memory.
#[derive(Debug, Clone)]
pub struct MappedArena {
    memory: Arc<SharedWords>,
}

impl MappedArena {
    /// The address of its first byte: what a pointer to it holds that a program leaves in memory. To a program itself an
    /// address in an arena is its low half.
    pub fn address(&self) -> u64 {
        self.memory.address() as u64
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether it has none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value `offset` bytes from the beginning, a multiple of 8; `None` if that is not within it.
    pub fn get<T: Plain>(&self, offset: usize) -> Option<T> {
        with_zeroed(T::SIZE.next_multiple_of(8), |bytes| {
            self.memory.read(offset, bytes).then(|| T::read(bytes))
        })
    }

    /// Sets the value there, and the bytes after it up to a multiple of 8 to 0; `false` if that is not within it.
    pub fn set<T: Plain>(&self, offset: usize, value: &T) -> bool {
        with_zeroed(T::SIZE.next_multiple_of(8), |bytes| {
            value.write(bytes);
            self.memory.write(offset, bytes)
        })
    }

    /// Puts bytes there, and zeros behind them up to a multiple of 8; `false` if that is not within it.
    #[cfg(feature = "elf")]
    pub(crate) fn fill(&self, offset: usize, bytes: &[u8]) -> bool {
        let (whole, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        let last =
            last.get_mut(..rest.len()).map(|start| start.copy_from_slice(rest)).map(|()| last);
        let at = offset.saturating_add(whole.as_flattened().len());
        self.memory.write(offset, whole.as_flattened())
            && (rest.is_empty() || last.is_some_and(|last| self.memory.write(at, &last)))
    }

    /// Returns the bytes there, from any place on; `None` if they are not within it.
    #[cfg(feature = "elf")]
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Option<Vec<u8>> {
        let start = offset - offset % 8;
        let end = offset.checked_add(len)?.checked_next_multiple_of(8)?;
        let mut words = vec![0; end.checked_sub(start)?];
        let read = self.memory.read(start, &mut words);
        let bytes = words.get(offset - start..)?.get(..len)?;
        read.then(|| bytes.to_vec())
    }
}
