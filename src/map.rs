//! Maps: what the kernel made of a [`MapSpec`](crate::MapSpec), and what user space does with it.
//!
//! [`Map`] is any map, its keys and values bytes. The other types here are views of it for one type of map each, with
//! types for keys and values ([`Plain`](crate::Plain)); each is made by [`Loader::view`](crate::Loader::view), or by its `of`
//! from a map that is found to be right for it, and most have a `spec` that makes the [`MapSpec`](crate::MapSpec) to go with it. A view can do what the map can: it
//! dereferences to it.
//!
//! ```no_run
//! use rawbpf::map::{Hash, Update};
//! use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf, plain};
//!
//! plain! {
//!     #[derive(Debug, Clone, Copy)]
//!     #[repr(C)]
//!     pub struct Who {
//!         pub pid: u32,
//!         pub cpu: u32,
//!     }
//! }
//!
//! static SEEN: MapSpec = Hash::<Who, u64>::spec("seen", 1024);
//! static LOOK: ProgramSpec = ProgramSpec::new("look", ProgramType::Kprobe, bpf! {
//!     r1 = SEEN ll;
//!     r0 = 0;
//!     exit;
//! });
//!
//! let mut loader = Loader::new();
//! let program = loader.load(&LOOK)?;
//! let seen: Hash<Who, u64> = loader.view(&SEEN)?;
//! seen.update(&Who { pid: 1, cpu: 0 }, &1, Update::Any)?;
//! for entry in seen.iter() {
//!     let (who, count) = entry?;
//!     println!("{who:?}: {count}");
//! }
//! # Ok::<(), rawbpf::Error>(())
//! ```
//!
//! # Many programs, one map
//!
//! Programs run while user space reads and writes. A value of up to 8 bytes is read and written as a whole; of a longer
//! one the parts may be of different times, unless it has a [`SpinLock`](crate::SpinLock) and is read and written
//! under it ([`Map::lookup_locked`], [`Map::update_locked`]).

mod batch;
mod create;
mod element;
mod info;
mod refusals;
mod rules;
#[cfg(test)]
mod tests;
mod view;
mod walk;

pub(crate) use create::load_object_types;
pub use element::Update;
pub use info::MapInfo;
#[cfg(feature = "cli")]
pub(crate) use refusals::is_by_index;
pub use view::*;
pub use walk::{Entries, Keys};

use crate::error::{Error, Result};
use crate::kernel::cpu;
use crate::permission;
use crate::syscall;
use crate::uapi::{Errno, MapFlags, MapType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A map in the kernel. It lives as long as this and its clones, or as a program or another process that uses it, or
/// as it is pinned.
///
/// A clone is the same map by the same descriptor.
#[derive(Debug, Clone)]
pub struct Map(Arc<Object>);

#[derive(Debug)]
struct Object {
    name: String,
    kind: MapType,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    /// Whether it was pinned before it was asked for by its spec.
    reused: bool,
    fd: OwnedFd,
    /// The number of possible CPUs, once it is known: a map with a value for each has that many.
    cpus: OnceLock<usize>,
    /// The kernel has no batches for it: found by trying.
    no_batch: AtomicBool,
}

impl Map {
    /// Its whole name; of one that was opened what the kernel keeps of it, 15 bytes.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its type.
    pub fn kind(&self) -> MapType {
        self.0.kind
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> u32 {
        self.0.key_size
    }

    /// Bytes of a value: of one CPU's, if there is one for each.
    pub fn value_size(&self) -> u32 {
        self.0.value_size
    }

    /// Returns the largest number of elements that it can hold.
    pub fn max_entries(&self) -> u32 {
        self.0.max_entries
    }

    /// Returns its flags.
    pub fn flags(&self) -> MapFlags {
        MapFlags::from_bits_retain(self.0.flags)
    }

    /// Bytes of what [`lookup`](Map::lookup) gives and [`update`](Map::update) takes. In a map that has a value for each
    /// CPU it is all of them, in the order of [`cpu::possible`], each filled up to a multiple of 8 bytes; else
    /// [`value_size`](Map::value_size).
    ///
    /// # Errors
    /// [`Error::File`] if the CPUs cannot be counted.
    pub fn value_len(&self) -> Result<usize> {
        let size = self.0.value_size as usize;
        Ok(if rules::is_percpu(self.0.kind) {
            size.next_multiple_of(8).saturating_mul(self.cpus()?)
        } else {
            size
        })
    }

    /// Bytes of a buffer for a value that is handed to the kernel: as many as it can write or read, though it be wrong how many
    /// CPUs there are. At least [`value_len`](Map::value_len).
    fn value_room(&self) -> Result<usize> {
        let length = self.value_len()?;
        let stride = (self.0.value_size as usize).next_multiple_of(8);
        Ok(if rules::is_percpu(self.0.kind) {
            length.max(stride.saturating_mul(cpu::most()))
        } else {
            length
        })
    }

    /// The number of possible CPUs.
    fn cpus(&self) -> Result<usize> {
        match self.0.cpus.get() {
            Some(cpus) => Ok(*cpus),
            None => {
                let cpus = cpu::possible()?.len();
                if cpus > cpu::most() {
                    let problem = "it lists more CPUs than this kernel can have";
                    return Err(Error::Format { path: cpu::POSSIBLE.into(), problem });
                }
                Ok(*self.0.cpus.get_or_init(|| cpus))
            }
        }
    }

    /// Makes it one that system calls can no longer change; programs can. The verifier then knows the values
    /// of an array that programs cannot change either. `bpf(2)`, `BPF_MAP_FREEZE`; Linux 5.2.
    ///
    /// # Errors
    /// [`Error::Call`]; `EBUSY` if it is frozen already, or mapped into memory to be written.
    #[doc(alias = "BPF_MAP_FREEZE")]
    pub fn freeze(&self) -> Result<()> {
        syscall::map_freeze(self.as_fd()).map_err(|errno| match errno {
            Errno(libc::EBUSY) => {
                self.refused("freeze", errno, Some("it is frozen, or mapped to be written"))
            }
            Errno(libc::EINVAL) => self.refused("freeze", errno, Some("it takes Linux 5.2")),
            _ => self.refused("freeze", errno, None),
        })
    }

    /// Whether it was pinned before it was asked for by its spec, and has contents of its own.
    pub(crate) fn is_reused(&self) -> bool {
        self.0.reused
    }

    /// Whether the kernel has been found to have no batches for it.
    fn has_batch(&self) -> bool {
        !self.0.no_batch.load(Ordering::Relaxed)
    }

    fn lacks_batch(&self) {
        self.0.no_batch.store(true, Ordering::Relaxed);
    }

    /// The error of something that the kernel refused.
    fn refused(&self, action: &'static str, errno: Errno, note: Option<&'static str>) -> Error {
        Error::Call {
            action,
            object: format!("map `{}` ({})", self.0.name, self.0.kind),
            errno,
            why: permission::explain(errno, permission::Need::Bpf),
            note,
        }
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

/// A name as the kernel takes it: what it would refuse (`bpf_obj_name_cpy` allows letters, digits, `_`
/// and `.`) becomes `_`, and what it would not keep is cut.
pub(crate) fn object_name(name: &str) -> Vec<u8> {
    name.bytes()
        .take(15)
        .map(|byte| match byte {
            b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => byte,
            _ => b'_',
        })
        .collect()
}
