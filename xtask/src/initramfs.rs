//! Puts together what the guest boots with: the init, its orders, busybox, `rawbpf` and whatever a run adds.

use crate::apt::{self, Archive};
use crate::arch::Arch;
use crate::build::Programs;
use crate::cpio::Cpio;
use crate::kernels::Kernel;
use crate::{paths, qemu};
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The path of `rawbpf` in the guest.
pub const RAWBPF: &str = "/bin/rawbpf";

/// Variables that the guest's environment always holds.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATH", "/bin:/sbin:/usr/bin:/usr/sbin"),
    ("HOME", "/root"),
    ("USER", "root"),
    ("TMPDIR", "/tmp"),
    ("RAWBPF_BIN", RAWBPF),
    // Where init mounts one, if the kernel lets it.
    ("RAWBPF_TEST_DISK", "/disk"),
];

/// The orders to init, see `order.rs` there.
pub struct Orders(Vec<u8>);

impl Orders {
    pub fn new(arch: Arch) -> Orders {
        let mut orders = Orders(Vec::new());
        if let Some(device) = qemu::report_device(arch) {
            orders.line("port", device);
        }
        orders
    }

    pub fn tracefs(&mut self) {
        self.line("tracefs", "");
    }

    pub fn job(&mut self, name: &str, limit: Duration) {
        self.line("job", format!("{} {name}", limit.as_secs()));
        for (key, value) in ENVIRONMENT {
            self.env(key, value);
        }
    }

    pub fn arg(&mut self, arg: impl AsRef<OsStr>) {
        self.line("arg", arg);
    }

    pub fn env(&mut self, key: &str, value: impl AsRef<OsStr>) {
        let mut pair = OsStr::new(key).to_os_string();
        pair.push("=");
        pair.push(value);
        self.line("env", pair);
    }

    pub fn cwd(&mut self, folder: &Path) {
        self.line("cwd", folder);
    }

    pub fn ledger(&mut self, file: &str) {
        self.line("ledger", file);
    }

    fn line(&mut self, word: &str, rest: impl AsRef<OsStr>) {
        self.0.extend(word.bytes());
        self.0.push(b' ');
        for &byte in rest.as_ref().as_bytes() {
            match byte {
                b'\n' => self.0.extend(b"\\n"),
                b'\\' => self.0.extend(b"\\\\"),
                other => self.0.push(other),
            }
        }
        self.0.push(b'\n');
    }
}

/// An initramfs with everything but the orders.
pub fn base(arch: Arch, kernel: &Kernel, programs: &Programs) -> Result<Cpio> {
    let mut cpio = Cpio::default();
    for folder in
        ["proc", "sys", "dev", "tmp", "run", "root", "etc", "sbin", "usr/bin", "usr/sbin", "vm"]
    {
        cpio.folder(folder);
    }
    // The kernel opens it for the first process, before /dev is mounted.
    cpio.device("dev/console", 5, 1);
    cpio.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    );
    cpio.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    cpio.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n");
    add(&mut cpio, &programs.init, "/init")?;
    add(&mut cpio, &busybox(arch)?, "/bin/busybox")?;
    for applet in applets()? {
        cpio.link(&format!("bin/{applet}"), "busybox");
    }
    if let Some(rawbpf) = &programs.rawbpf {
        add(&mut cpio, rawbpf, RAWBPF)?;
    }
    if let Some(config) = &kernel.config {
        // Where tools look for it on Debian.
        cpio.file(&format!("boot/config-{}", kernel.release), 0o644, &fs::read(config)?);
    }
    // Init loads what lies there.
    for path in kernel.modules.iter().flatten() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        cpio.file(&format!("vm/modules/{name}"), 0o644, &fs::read(path)?);
    }
    Ok(cpio)
}

/// Adds the orders and ends it.
pub fn finish(mut cpio: Cpio, orders: &Orders) -> Vec<u8> {
    cpio.file("vm/orders", 0o644, &orders.0);
    cpio.finish()
}

/// A file of ours at a place in the guest.
pub fn add(cpio: &mut Cpio, ours: &Path, theirs: &str) -> Result<()> {
    let content = fs::read(ours).with_context(|| format!("cannot read {}", ours.display()))?;
    let mode = ours.metadata()?.permissions().mode();
    cpio.file(theirs, mode, &content);
    Ok(())
}

/// The static busybox of that architecture, downloaded unless it was before.
fn busybox(arch: Arch) -> Result<PathBuf> {
    let path = paths::cache()?.join("busybox").join(arch.name()).join("busybox");
    if path.exists() {
        return Ok(path);
    }
    let _lock = paths::lock()?;
    if path.exists() {
        return Ok(path);
    }
    eprintln!("xtask: fetching busybox-static for {}", arch.name());
    let mirrors = apt::mirrors()?;
    let archive = if arch.is_host() && !mirrors.own.is_empty() {
        Archive::of_machine(&mirrors)?
    } else {
        // The same suites, of the other architecture.
        let own: Vec<_> =
            mirrors.own.iter().map(|(security, suite)| (*security, suite.as_str())).collect();
        let suites = if own.is_empty() { vec![(false, "bookworm")] } else { own };
        Archive::of_suites(&mirrors, "own", arch.debian(), &suites)?
    };
    let scratch = paths::Scratch::new()?;
    for deb in archive.download(&["busybox-static".into()])? {
        apt::unpack(&deb, scratch.path())?;
    }
    let found = ["bin/busybox", "usr/bin/busybox"].map(|name| scratch.path().join(name));
    let found =
        found.iter().find(|path| path.exists()).context("there is no busybox in busybox-static")?;
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    let part = path.with_added_extension("part");
    fs::copy(found, &part)?;
    fs::rename(part, &path)?;
    Ok(path)
}

/// The names that busybox answers to; Debian builds it with the same ones everywhere, so our own can be asked.
fn applets() -> Result<Vec<String>> {
    let host = [Arch::X86_64, Arch::Aarch64, Arch::S390x].into_iter().find(|arch| arch.is_host());
    // It goes by the name it is called by.
    let path = busybox(host.context("this machine's architecture is not known here")?)?;
    let out = Command::new(&path)
        .arg("--list")
        .output()
        .with_context(|| format!("cannot run {}", path.display()))?;
    let names = String::from_utf8_lossy(&out.stdout).into_owned();
    Ok(names.lines().filter(|name| !matches!(*name, "busybox" | "")).map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_escaped() {
        let mut orders = Orders::new(Arch::X86_64);
        orders.tracefs();
        orders.arg("a\nb\\c");
        orders.env("K", "v");
        assert_eq!(orders.0, b"tracefs \narg a\\nb\\\\c\nenv K=v\n");
    }
}
