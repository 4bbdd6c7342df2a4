//! Arrays.

use super::super::{Map, Update};
use super::{Shape, delete, derefs, each_cpu, lookup, lookup_each_cpu, room, set, set_all_cpus};
use crate::error::{Error, Result};
use crate::spec::MapSpec;
use crate::syscall::SharedWords;
use crate::uapi::{ENOTSUPP, Errno, MapType};
use crate::util::pod::{Plain, with_zeroed};
use std::marker::PhantomData;
use std::os::fd::AsFd;

/// An array: every element is there from the start, and 0.
///
/// ```no_run
/// use rawbpf::MapSpec;
/// use rawbpf::map::{Array, Map};
///
/// static TOTALS: MapSpec = Array::<u64>::spec("totals", 4);
///
/// let totals = Array::<u64>::of(&Map::create(&TOTALS)?)?;
/// totals.update(3, &7)?;
/// assert_eq!(totals.lookup(3)?, 7);
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_ARRAY")]
#[derive(Debug)]
pub struct Array<V> {
    map: Map,
    types: PhantomData<fn() -> V>,
}

/// An array with a value for each CPU.
///
/// ```no_run
/// use rawbpf::MapSpec;
/// use rawbpf::map::{Map, PercpuArray};
///
/// static TOTALS: MapSpec = PercpuArray::<u64>::spec("totals", 4);
///
/// let totals = PercpuArray::<u64>::of(&Map::create(&TOTALS)?)?;
/// let total: u64 = totals.lookup(3)?.iter().sum();
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_PERCPU_ARRAY")]
#[derive(Debug)]
pub struct PercpuArray<V> {
    map: Map,
    types: PhantomData<fn() -> V>,
}

/// Stacks, by the number that the helper `get_stackid` gives, or its answer if there is none: `-EFAULT` (-14) where nothing of
/// the kernel has run, or nothing is left after skipping; `-EEXIST` if another stack has that number.
///
/// At the tracepoint of a single system call, `syscalls/sys_enter_…` and `sys_exit_…`, there is no stack of the kernel before
/// Linux 6.12: programs are given the registers of the process (`perf_syscall_enter`, `kernel/trace/trace_syscalls.c`).
/// `raw_syscalls/sys_enter` has one. Frames of the kernel get names by [`KernelSymbols`](crate::kernel::symbols::KernelSymbols), those of
/// processes, with the flag `BPF_F_USER_STACK` (256), by `user::ProcessSymbols` with the feature `symbolize`.
#[doc(alias = "BPF_MAP_TYPE_STACK_TRACE")]
#[derive(Debug)]
pub struct StackTrace {
    map: Map,
}

derefs! { Array<V> PercpuArray<V> StackTrace<> }

impl<V: Plain> Array<V> {
    /// The spec of a map with this number of elements (Linux 3.19), with the type of its values for tools to show.
    pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::array(name, V::SIZE as u32, max_entries).with_types::<u32, V>()
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`] if it is another kind of map, or its values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let map = Shape::of::<u32, V>("Array", &[MapType::Array]).check(map)?;
        Ok(Array { map, types: PhantomData })
    }

    /// Reads one element: [`Map::lookup`]. Linux 3.19.
    ///
    /// # Errors
    /// As [`Map::lookup`]; `ENOENT` beyond the end.
    pub fn lookup(&self, index: u32) -> Result<V> {
        there(&self.map, lookup(&self.map, &index)?)
    }

    /// Sets one element: [`Map::update`]. Linux 3.19.
    ///
    /// # Errors
    /// As [`Map::update`]; `E2BIG` beyond the end.
    pub fn update(&self, index: u32, value: &V) -> Result<()> {
        set(&self.map, &index, value, Update::Any)
    }

    /// All elements, in order, by as few calls as can be: [`Map::lookup_batch`]. Linux 3.19; 5.6 with batches.
    ///
    /// # Errors
    /// As [`Map::lookup_batch`].
    pub fn lookup_all(&self) -> Result<Vec<V>> {
        Ok(self.map.lookup_batch()?.iter().map(|(_, value)| V::read(value)).collect())
    }

    /// Maps its memory into this process: elements are read and written without a system call. The map has to have
    /// the flag [`MapFlags::MMAPABLE`](crate::MapFlags::MMAPABLE). If it is frozen, or may not be written, it can only be
    /// read. `mmap(2)`; Linux 5.5.
    ///
    /// ```no_run
    /// use rawbpf::map::{Array, Map};
    /// use rawbpf::{MapFlags, MapSpec};
    ///
    /// static LIMITS: MapSpec = Array::<u64>::spec("limits", 4).with_flags(MapFlags::MMAPABLE);
    ///
    /// let limits = Array::<u64>::of(&Map::create(&LIMITS)?)?.mmap()?;
    /// limits.set(2, &1000);
    /// assert_eq!(limits.get(2), Some(1000));
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Call`]; `ENOTSUPP` without the flag.
    pub fn mmap(&self) -> Result<MappedArray<V>> {
        let stride = V::SIZE.next_multiple_of(8);
        let count = self.map.max_entries() as usize;
        let len = stride.saturating_mul(count);
        let refuse = |errno| {
            let note = match errno {
                Errno(ENOTSUPP) => Some("it has to have the flag BPF_F_MMAPABLE"),
                Errno(libc::ENODEV) => Some("it takes Linux 5.5"),
                _ => None,
            };
            self.map.refused("map the memory of", errno, note)
        };
        let fd = self.map.as_fd();
        let memory = match SharedWords::map(fd, len, true) {
            Err(Errno(libc::EPERM | libc::EACCES)) => SharedWords::map(fd, len, false),
            answer => answer,
        };
        Ok(MappedArray { memory: memory.map_err(refuse)?, stride, count, types: PhantomData })
    }
}

/// The memory of an array: see [`Array::mmap`]. It stays if the map goes.
///
/// Words of the machine's size, aligned to it, are read and written as wholes; the parts of a longer value may be of
/// different times.
#[derive(Debug)]
pub struct MappedArray<V> {
    memory: SharedWords,
    stride: usize,
    count: usize,
    types: PhantomData<fn() -> V>,
}

impl<V: Plain> MappedArray<V> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        self.memory.is_writable()
    }

    /// Returns one element; `None` beyond the end.
    pub fn get(&self, index: usize) -> Option<V> {
        let from = self.place(index)?;
        let stride = V::SIZE.next_multiple_of(8);
        with_zeroed(stride, |value| self.memory.read(from, value).then(|| V::read(value)))
    }

    /// Sets one element; `false` beyond the end, or if it cannot be written.
    pub fn set(&self, index: usize, value: &V) -> bool {
        let Some(to) = self.place(index) else { return false };
        with_zeroed(V::SIZE.next_multiple_of(8), |bytes| {
            value.write(bytes);
            self.memory.write(to, bytes)
        })
    }

    fn place(&self, index: usize) -> Option<usize> {
        (index < self.count).then(|| index * self.stride)
    }
}

impl<V: Plain> PercpuArray<V> {
    /// The spec of a map with this number of elements (Linux 4.6), with the type of its values for tools to show.
    pub const fn spec(name: &str, max_entries: u32) -> MapSpec<'_> {
        MapSpec::percpu_array(name, V::SIZE as u32, max_entries).with_types::<u32, V>()
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`] if it is another kind of map, or its values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let map = Shape::of::<u32, V>("PercpuArray", &[MapType::PercpuArray]).check(map)?;
        Ok(PercpuArray { map, types: PhantomData })
    }

    /// The values of one element, in the order of [`cpu::possible`](crate::kernel::cpu::possible):
    /// [`Map::lookup`]. Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::lookup`]; `ENOENT` beyond the end.
    pub fn lookup(&self, index: u32) -> Result<Vec<V>> {
        there(&self.map, lookup_each_cpu(&self.map, &index)?)
    }

    /// The elements in order of their index, each with the values that the CPUs have, one system call for each:
    /// [`lookup`](PercpuArray::lookup).
    pub fn iter(&self) -> impl Iterator<Item = Result<(u32, Vec<V>)>> + use<'_, V> {
        (0..self.map.max_entries()).map(|index| Ok((index, self.lookup(index)?)))
    }

    /// The values of all elements, in order, by as few calls as can be: [`Map::lookup_batch`]. Linux 4.6; 5.13 with batches.
    ///
    /// # Errors
    /// As [`Map::lookup_batch`].
    pub fn lookup_all(&self) -> Result<Vec<Vec<V>>> {
        Ok(self.map.lookup_batch()?.iter().map(|(_, values)| each_cpu(values)).collect())
    }

    /// Sets the values of one element, as many as there can be CPUs: [`Map::update`]. Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::update`]; `E2BIG` beyond the end.
    pub fn update(&self, index: u32, values: &[V]) -> Result<()> {
        set_all_cpus(&self.map, &index, values, Update::Any)
    }
}

impl StackTrace {
    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`] if it is another kind of map.
    pub fn of(map: &Map) -> Result<Self> {
        let shape = Shape {
            view: "StackTrace",
            kinds: &[MapType::StackTrace],
            key_size: 4,
            value_sizes: [map.value_size() as usize; 2],
        };
        Ok(StackTrace { map: shape.check(map)? })
    }

    /// The addresses of one stack, from the innermost on: [`Map::lookup`]. (With
    /// [`MapFlags::STACK_BUILD_ID`](crate::MapFlags::STACK_BUILD_ID) it holds something else: use [`Map::lookup`].) Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup(&self, id: u32) -> Result<Option<Vec<u64>>> {
        let mut value = room(&self.map)?;
        let found = self.map.read(&id.to_ne_bytes(), &mut value, 0)?;
        let addresses = value.chunks_exact(8).map(u64::read).take_while(|address| *address != 0);
        Ok(found.then(|| addresses.collect()))
    }

    /// Deletes one stack, so that its number can be used again; `false` if there was none: [`Map::delete`]. Linux 4.6.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete(&self, id: u32) -> Result<bool> {
        delete(&self.map, &id)
    }
}

fn there<V>(map: &Map, value: Option<V>) -> Result<V, Error> {
    let note = Some("the index is beyond its end");
    value.ok_or_else(|| map.refused("read an element of", Errno(libc::ENOENT), note))
}
