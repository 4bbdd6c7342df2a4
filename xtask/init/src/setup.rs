//! Makes the bare kernel look like a Linux system: the usual mounts and a loopback interface.

use crate::order::Order;
use nix::mount::{MsFlags, mount};
use std::os::unix::fs::PermissionsExt;
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
    // In sysfs no folder can be made: where the kernel has none, the mount says so.
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

/// Gives the machine a name and brings the loopback interface up.
pub fn network() -> Option<String> {
    let _ = std::fs::write("/proc/sys/kernel/hostname", "rawbpf-vm");
    let done = Command::new("/bin/busybox")
        .args(["ip", "link", "set", "lo", "up"])
        .stdin(Stdio::null())
        .output();
    match done {
        Ok(done) if done.status.success() => None,
        Ok(done) => Some(format!("loopback: {}", String::from_utf8_lossy(&done.stderr).trim())),
        Err(e) => Some(format!("loopback: busybox: {e}")),
    }
}
