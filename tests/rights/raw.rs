//! Giving up rights, and lending them: what has no safe wrapper.
#![allow(unsafe_code, reason = "system calls without a safe wrapper here")]

use nix::sched::{CloneFlags, unshare};
use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

fn owned(fd: i64) -> Result<OwnedFd> {
    done(fd)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn done(answer: i64) -> Result<()> {
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Makes this thread one of the user 65534 with these capabilities and no other. The system calls are about the
/// thread; it is the wrappers of libc that see to the other threads.
pub(crate) fn become_nobody(capabilities: &[u32]) -> Result<()> {
    const NOBODY: u32 = 65534;
    // SAFETY: takes integers.
    done(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }.into())?;
    // SAFETY: takes an integer and no pointer, as there are no groups.
    done(unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()) })?;
    // SAFETY: takes three integers.
    done(unsafe { libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY) })?;
    // SAFETY: as above.
    done(unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) })?;
    keep(capabilities)
}

/// Leaves this thread these capabilities and no other.
pub(crate) fn keep(capabilities: &[u32]) -> Result<()> {
    let bits = capabilities.iter().fold(0u64, |bits, one| bits | 1 << one);
    let (low, high) = (bits as u32, (bits >> 32) as u32);
    // struct __user_cap_header_struct: _LINUX_CAPABILITY_VERSION_3, this thread.
    let header = [0x2008_0522u32, 0];
    // Two struct __user_cap_data_struct: effective, permitted, inheritable.
    let data = [low, low, 0, high, high, 0];
    // SAFETY: both arrays are live and as long as this version of the call reads.
    done(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })
}

/// Starts it as root of a user namespace of its own, with mounts of its own. A process of several threads cannot go
/// there, and one of tests has several.
pub(crate) fn in_namespaces(command: &mut Command) {
    let enter = || {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        std::fs::write("/proc/self/uid_map", "0 0 1")
    };
    // SAFETY: what runs between fork and exec makes system calls and takes no memory and no lock.
    unsafe { command.pre_exec(enter) };
}

/// A descriptor that came with a message.
pub(crate) fn received(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has put it into the table of this process, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A BPF file system that is not there yet, of the user namespace of this process. `fsopen(2)`.
pub(crate) fn open_bpffs() -> Result<OwnedFd> {
    // SAFETY: the name ends with a NUL.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, c"bpf".as_ptr(), 1) })
}

/// Gives it these options, each a name and a value, and makes it. `fsconfig(2)`, `fsmount(2)`.
pub(crate) fn make(fs: BorrowedFd<'_>, options: &str) -> Result<OwnedFd> {
    const SET_STRING: u32 = 1;
    const CREATE: u32 = 6;
    let fs = fs.as_raw_fd();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap();
        let (name, value) = (CString::new(name).unwrap(), CString::new(value).unwrap());
        let (name, value) = (name.as_ptr(), value.as_ptr());
        // SAFETY: both strings live and end with a NUL.
        done(unsafe { libc::syscall(libc::SYS_fsconfig, fs, SET_STRING, name, value, 0) })?;
    }
    let none = std::ptr::null::<u8>();
    // SAFETY: this command takes no pointer.
    done(unsafe { libc::syscall(libc::SYS_fsconfig, fs, CREATE, none, none, 0) })?;
    // SAFETY: takes integers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs, 1, 0) })
}

/// Puts a mount at a folder. `move_mount(2)`.
pub(crate) fn put(mount: &OwnedFd, folder: &Path) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 4;
    let folder = CString::new(folder.to_str().unwrap()).unwrap();
    let (from, to) = (c"".as_ptr(), folder.as_ptr());
    let mount = mount.as_raw_fd();
    // SAFETY: both paths live and end with a NUL.
    done(unsafe {
        libc::syscall(libc::SYS_move_mount, mount, from, libc::AT_FDCWD, to, FROM_EMPTY_PATH)
    })
}
