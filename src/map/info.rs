//! The kernel's information on a map; maps that exist already; pins.

use super::{Map, Object};
use crate::error::{Error, Result};
use crate::permission;
use crate::syscall::{self, Numbered, ObjInfo};
use crate::uapi::{Errno, MapFlags, MapType};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// The kernel's information on a map: `struct bpf_map_info`. Fields that this kernel does not report are 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[doc(alias = "bpf_map_info")]
pub struct MapInfo {
    /// The number of its type; [`Map::kind`] returns the type.
    pub kind: u32,
    /// Its own number, which no other map has while it lives.
    pub id: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// The largest number of elements that it can hold.
    pub max_entries: u32,
    /// Its flags.
    pub flags: MapFlags,
    /// Its name, 15 bytes of it (Linux 4.15).
    pub name: String,
    /// The network device that holds it (Linux 4.16).
    pub ifindex: u32,
    /// The number of the BTF that has its types (Linux 4.18).
    pub btf_id: u32,
    /// The type of its keys there.
    pub key_type: u32,
    /// The type of its values there.
    pub value_type: u32,
    /// The type of a `struct_ops` map's value in the kernel's BTF (Linux 5.6).
    pub vmlinux_value_type: u32,
    /// The number of that BTF, the kernel's own or a module's (Linux 6.9).
    pub vmlinux_btf_id: u32,
    /// See [`MapSpec::map_extra`](crate::MapSpec::map_extra) (Linux 5.16).
    pub map_extra: u64,
}

/// `sizeof(struct bpf_map_info)` up to `map_extra`, the last field that is read.
const INFO: usize = 88;

/// `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`.
pub(super) fn info(map: BorrowedFd<'_>) -> Result<MapInfo, Errno> {
    let mut bytes = [0; INFO];
    let mut asked = ObjInfo { object: map, info: &mut bytes, len: 0, arrays: &mut [] };
    syscall::obj_info(&mut asked)?;
    let word = |at: usize| {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(bytes.iter().skip(at)) {
            *to = *from;
        }
        u32::from_ne_bytes(word)
    };
    let mut extra = [0; 8];
    for (to, from) in extra.iter_mut().zip(bytes.iter().skip(80)) {
        *to = *from;
    }
    let name: Vec<u8> =
        bytes.iter().skip(24).take(16).copied().take_while(|byte| *byte != 0).collect();
    Ok(MapInfo {
        kind: word(0),
        id: word(4),
        key_size: word(8),
        value_size: word(12),
        max_entries: word(16),
        flags: MapFlags::from_bits_retain(word(20)),
        name: String::from_utf8_lossy(&name).into_owned(),
        ifindex: word(40),
        btf_id: word(64),
        key_type: word(68),
        value_type: word(72),
        vmlinux_value_type: word(44),
        vmlinux_btf_id: word(76),
        map_extra: u64::from_ne_bytes(extra),
    })
}

/// The C string of a path.
pub(super) fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))
}

impl Map {
    /// Opens the map that is pinned at a path. `bpf(2)`, `BPF_OBJ_GET` (Linux 4.4) and `BPF_OBJ_GET_INFO_BY_FD` (4.13).
    ///
    /// # Errors
    /// [`Error::Call`]; `EINVAL` if a program or a link is pinned there.
    #[doc(alias = "BPF_OBJ_GET")]
    pub fn open_pinned(path: impl AsRef<Path>) -> Result<Map> {
        let path = path.as_ref();
        let which = format!("pinned at {}", crate::util::escape::shown_path(path));
        let fd = c_path(path)
            .and_then(|path| syscall::obj_get(&path, 0, None))
            .map_err(|errno| unopened(&which, errno, None))?;
        opened(&which, fd)
    }

    /// Opens the map with this id, which [`info`](Map::info) returns for every map. `bpf(2)`, `BPF_MAP_GET_FD_BY_ID`
    /// and `BPF_OBJ_GET_INFO_BY_FD` (Linux 4.13). It takes `CAP_SYS_ADMIN`.
    ///
    /// # Errors
    /// [`Error::Call`]; `ENOENT` if there is none.
    #[doc(alias = "BPF_MAP_GET_FD_BY_ID")]
    pub fn open_id(id: u32) -> Result<Map> {
        let which = format!("with id {id}");
        let fd = syscall::fd_by_id(Numbered::Map, id, 0)
            .map_err(|errno| unopened(&which, errno, None))?;
        opened(&which, fd)
    }

    /// The map behind a descriptor, which may come from another process. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD` (Linux 4.13).
    ///
    /// # Errors
    /// [`Error::Call`] if it is none.
    pub fn from_fd(fd: OwnedFd) -> Result<Map> {
        opened("of a file descriptor", fd)
    }

    /// Returns the kernel's information on it. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`; Linux 4.13.
    ///
    /// # Errors
    /// [`Error::Call`].
    #[doc(alias = "BPF_OBJ_GET_INFO_BY_FD")]
    pub fn info(&self) -> Result<MapInfo> {
        info(self.as_fd()).map_err(|errno| self.refused("get the info of", errno, None))
    }

    /// Pins it at a path in a BPF file system: it is there until [`unpin`](Map::unpin), whatever becomes of this.
    /// `bpf(2)`, `BPF_OBJ_PIN`; Linux 4.4.
    ///
    /// # Errors
    /// [`Error::Call`]; `EEXIST` if something is there, `EPERM` if it is no BPF file system.
    #[doc(alias = "BPF_OBJ_PIN")]
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<()> {
        c_path(path.as_ref())
            .and_then(|path| syscall::obj_pin(self.as_fd(), &path, None))
            .map_err(|errno| self.unpinned(errno))
    }

    pub(super) fn unpinned(&self, errno: Errno) -> Error {
        let note = match errno {
            Errno(libc::EPERM) => {
                Some("pins are only in a BPF file system: mount -t bpf bpf /sys/fs/bpf")
            }
            Errno(libc::ENOENT) => Some("there is no such folder"),
            _ => None,
        };
        self.refused("pin", errno, note)
    }

    /// Removes its pin at a path, if it is this map that is pinned there. `unlink(2)`, after the commands of
    /// [`open_pinned`](Map::open_pinned).
    ///
    /// # Errors
    /// [`Error::Call`] if no map is pinned there, [`Error::PinnedMap`] if it is another one, [`Error::File`]
    /// if it cannot be removed.
    pub fn unpin(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (pinned, own) = (Map::open_pinned(path)?.info()?.id, self.info()?.id);
        if pinned != own {
            return Err(Error::PinnedMap {
                map: self.name().into(),
                path: path.into(),
                field: "number",
                pinned: pinned.to_string(),
                wanted: own.to_string(),
            });
        }
        std::fs::remove_file(path).map_err(|source| permission::file("remove", path, source))
    }
}

pub(super) fn unopened(which: &str, errno: Errno, note: Option<&'static str>) -> Error {
    let why = permission::explain(errno, permission::Need::Bpf);
    Error::Call { action: "open", object: format!("map {which}"), errno, why, note }
}

/// A map from its descriptor. Its sizes are the kernel's, so that no call hands it too short a buffer.
pub(super) fn opened(which: &str, fd: OwnedFd) -> Result<Map> {
    // A program or a link has information of its own, which is not laid out like a map's; what else is a
    // descriptor has none.
    let link = std::fs::read_link(format!("/proc/self/fd/{}", raw(&fd))).ok();
    let link = link.as_ref().map(|link| link.as_os_str().as_bytes());
    if link.is_some_and(|link| link.starts_with(b"anon_inode:") && link != b"anon_inode:bpf-map") {
        return Err(unopened(which, Errno(libc::EINVAL), Some("the descriptor is not of a map")));
    }
    let info = info(fd.as_fd()).map_err(|errno| unopened(which, errno, None))?;
    let Some(kind) = MapType::ALL.iter().copied().find(|kind| *kind as u32 == info.kind) else {
        return Err(unopened(which, Errno(libc::EINVAL), Some("unknown map type")));
    };
    Ok(Map(Arc::new(Object {
        name: info.name,
        kind,
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
        flags: info.flags.bits(),
        reused: false,
        fd,
        cpus: OnceLock::new(),
        no_batch: AtomicBool::new(false),
    })))
}

fn raw(fd: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    fd.as_raw_fd()
}
