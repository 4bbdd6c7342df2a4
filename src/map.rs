//! Maps: what the kernel made of a [`MapSpec`].

use crate::error::{Error, Result};
use crate::kernel::{cpu, denied};
use crate::spec::{MapSpec, MapType};
use crate::syscall::{self, Errno, MapCreate};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A map in the kernel. It lives as long as this, or as a program or another process that uses it.
#[derive(Debug)]
pub struct Map {
    name: String,
    kind: MapType,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    fd: OwnedFd,
}

impl Map {
    /// Creates the map.
    ///
    /// # Errors
    /// [`Error::Spec`] if no kernel would take it, [`Error::CreateMap`] if this one does not.
    pub fn create(spec: &MapSpec<'_>) -> Result<Map> {
        let refuse = |problem| Err(Error::Spec { what: "map", name: spec.name.into(), problem });
        if spec.name.contains('\0') {
            return refuse("its name holds a NUL byte");
        }
        let max_entries = match (spec.kind, spec.max_entries) {
            (MapType::PerfEventArray, 0) => cpu::nr_cpu_ids()?,
            (_, 0) => return refuse("max_entries is 0"),
            (_, entries) => entries,
        };
        let name = object_name(spec.name);
        let create = MapCreate {
            map_type: spec.kind as u32,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries,
            flags: spec.flags,
            name: &name,
        };
        let fd = denied::with_memlock(|| syscall::map_create(&create)).map_err(|errno| {
            Error::CreateMap {
                map: spec.name.into(),
                kind: spec.kind,
                errno,
                why: denied::explain(errno, denied::Need::Bpf),
            }
        })?;
        Ok(Map {
            name: spec.name.into(),
            kind: spec.kind,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries,
            fd,
        })
    }

    /// Its whole name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> MapType {
        self.kind
    }

    /// How many elements it holds at most.
    pub fn max_entries(&self) -> u32 {
        self.max_entries
    }

    /// Puts the perf event `fd` at `index` of a perf event array.
    pub(crate) fn set_fd(&self, index: u32, fd: BorrowedFd<'_>) -> Result<()> {
        use std::os::fd::AsRawFd;
        let refuse =
            |errno| Error::UpdateMap { map: self.name.clone(), key: index.to_string(), errno };
        // The kernel reads as many bytes as the map was made with, whatever we hand it.
        if (self.key_size, self.value_size) != (4, 4) {
            return Err(refuse(Errno(libc::EINVAL)));
        }
        let value = fd.as_raw_fd().to_ne_bytes();
        syscall::map_update(self.fd.as_fd(), &index.to_ne_bytes(), &value, 0).map_err(refuse)
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
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
