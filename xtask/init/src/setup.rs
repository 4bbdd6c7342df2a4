//! Makes the bare kernel look like a Linux system: the usual mounts and a loopback interface.

use crate::order::Order;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Mounts everything; what did not work is returned in words, for the kernel may well lack it.
pub fn mounts(orders: &[Order]) -> Vec<String> {
    let mut wanted = vec![
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("bpf", "/sys/fs/bpf"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("securityfs", "/sys/kernel/security"),
    ];
    if orders.contains(&Order::Tracefs) {
        wanted.extend([("debugfs", "/sys/kernel/debug"), ("tracefs", "/sys/kernel/tracing")]);
    }
    wanted.iter().filter_map(|(kind, place)| mount_one(kind, place).err()).collect()
}

fn mount_one(kind: &str, place: &str) -> Result<(), String> {
    // In sysfs no folder can be made: where the kernel has none, the mount returns the error.
    if !place.starts_with("/sys/") {
        let _ = std::fs::create_dir_all(place);
    }
    // The host may have put files below /tmp, which must not be hidden: it is kept in memory anyway.
    if kind == "tmpfs" && std::fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some())
    {
        let everybody = std::fs::Permissions::from_mode(0o1777);
        return std::fs::set_permissions(place, everybody).map_err(|e| format!("{place}: {e}"));
    }
    match mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>) {
        // The kernel has mounted /dev by itself.
        Ok(()) | Err(nix::Error::EBUSY) => Ok(()),
        Err(e) => Err(format!("cannot mount {kind} on {place}: {e}")),
    }
}

/// Loads the modules that the host has put there, in the order of their names; what did not work is returned in words.
pub fn modules() -> Vec<String> {
    let entries = fs::read_dir("/vm/modules").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let load = |path: &Path| -> std::io::Result<()> {
        Ok(finit_module(File::open(path)?, c"", ModuleInitFlags::empty())?)
    };
    files
        .iter()
        .filter_map(|path| load(path).err().map(|e| format!("module {}: {e}", path.display())))
        .collect()
}

/// Makes a disk of memory and mounts it at `/disk`: a file system that gives requests to a block device. No error is
/// returned where the kernel has no loop devices.
pub fn disk() -> Option<String> {
    const IMAGE: &str = "/run/disk";
    const DEVICE: &str = "/dev/loop0";
    if !Path::new(DEVICE).exists() {
        return None;
    }
    let made = || -> Result<(), String> {
        let image = File::create(IMAGE).and_then(|file| file.set_len(64 << 20));
        image.map_err(|e| format!("{IMAGE}: {e}"))?;
        busybox(&["losetup", DEVICE, IMAGE])?;
        // Blocks of a page, of which a file has twelve in a row.
        busybox(&["mke2fs", "-b", "4096", DEVICE])?;
        fs::create_dir_all("/disk").map_err(|e| e.to_string())?;
        // The driver of ext4 is the one that is built in.
        mount(Some(DEVICE), "/disk", Some("ext4"), MsFlags::empty(), None::<&str>)
            .map_err(|e| format!("cannot mount it: {e}"))
    };
    made().err().map(|why| format!("disk: {why}"))
}

fn busybox(args: &[&str]) -> Result<(), String> {
    let done = Command::new("/bin/busybox").args(args).stdin(Stdio::null()).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            Err(format!("{}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
        }
        Err(e) => Err(format!("busybox: {e}")),
    }
}

/// Gives the machine a name, brings the loopback interface up, and switches on the JIT, which Debian's kernels for some
/// machines leave off: trampolines and kernel functions need it.
pub fn network() -> Option<String> {
    let _ = std::fs::write("/proc/sys/kernel/hostname", "rawbpf-vm");
    const JIT: &str = "/proc/sys/net/core/bpf_jit_enable";
    if std::fs::read_to_string(JIT).is_ok_and(|on| on.trim() == "0") {
        let _ = std::fs::write(JIT, "1");
    }
    busybox(&["ip", "link", "set", "lo", "up"]).err()
}
