//! The descriptor of a module's BTF, which the kernel requires together with a type ID in it.

use crate::error::{Error, Result};
use crate::syscall::{self, InfoArray, Numbered, ObjInfo};
use crate::uapi::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Opens the BTF of a module, found among all BTF of the kernel.
pub(crate) fn module_btf(module: &str) -> Result<OwnedFd> {
    let refused = |errno| Error::Call {
        action: "get the BTF of",
        object: format!("module `{module}`"),
        errno,
        why: None,
        note: None,
    };
    let mut id = 0;
    loop {
        id = syscall::next_id(Numbered::Btf, id).map_err(refused)?;
        let fd = match syscall::fd_by_id(Numbered::Btf, id, 0) {
            // It has gone in the meantime.
            Err(Errno(libc::ENOENT)) => continue,
            answer => answer.map_err(refused)?,
        };
        if btf_name(fd.as_fd()).map_err(refused)? == module.as_bytes() {
            return Ok(fd);
        }
    }
}

/// The name of BTF of the kernel's: that of its module. (Linux 5.11)
pub(crate) fn btf_name(btf: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    // struct bpf_btf_info: btf, btf_size, id, name, name_len, kernel_btf.
    const NAME: usize = 16;
    const NAME_LEN: usize = 24;
    let mut info = [0; 32];
    // A module's name has at most 55 bytes (`MODULE_NAME_LEN`) and a NUL.
    let mut name = [0; 64];
    let array = InfoArray {
        pointer_at: NAME,
        count_at: NAME_LEN,
        size_at: None,
        item: 1,
        bytes: &mut name,
    };
    let mut arrays = [array];
    syscall::obj_info(&mut ObjInfo { object: btf, info: &mut info, len: 0, arrays: &mut arrays })?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(name.get(..end).unwrap_or_default().to_vec())
}
