//! A toolchain that links to musl: the compiler in use, the sources of its standard library, and Debian's musl, laid out as rustup lays
//! out the same target. Nothing but Rust's own linker is needed for other architectures.

use crate::apt::{self, Archive};
use crate::arch::Arch;
use crate::cross::{self, Compiler};
use crate::{paths, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source of musl, the same everywhere: 1.2.5 is the version that Rust's own builds have.
const SUITE: (bool, &str) = (false, "trixie");

/// Files that the compiler hands to the linker for a static program, and that Debian has in musl-dev.
const MUSL: [&str; 4] = ["crt1.o", "crti.o", "crtn.o", "libc.a"];

/// Other files that it hands to the linker. The first two hold what C++ and old compilers need; the last, what walks
/// the stack. Without unwinding tables there is nothing to walk: the functions do nothing. (To lld a file that is
/// neither object nor archive is a script.)
const EMPTY: &str = "/* Nothing of it is needed. */\n";
const STUBS: [(&str, &str); 3] = [
    ("crtbegin.o", EMPTY),
    ("crtend.o", EMPTY),
    ("libunwind.a", "_Unwind_Backtrace = sched_yield;\n_Unwind_GetIP = sched_yield;\n"),
];

/// A toolchain for one target.
pub struct Toolchain {
    pub target: String,
    pub compiler: Compiler,
    /// The folder that looks like the toolchain's own.
    pub farm: PathBuf,
    /// The standard library's sources.
    pub library: PathBuf,
    program: PathBuf,
    linker: PathBuf,
}

impl Toolchain {
    /// Fetches what is missing, and lays it out below `work`.
    pub fn prepare(arch: Arch, work: &Path) -> Result<Toolchain> {
        let target = match arch {
            Arch::X86_64 | Arch::Aarch64 => format!("{}-unknown-linux-musl", arch.name()),
            Arch::S390x => {
                bail!("static binaries for s390x: not supported, expected x86_64 or aarch64")
            }
        };
        let compiler = Compiler::ask()?;
        let library = cross::sources(&compiler)?;
        if !cross::is_checked(&library) {
            bail!(
                "{}: the signature was not checked; remove the folder to fetch it anew",
                library.display()
            );
        }
        let musl = fetched(arch)?;
        let farm = work.join("rust");
        let program = cross::with_sources(&compiler, &farm)?;
        let own = farm.join("lib/rustlib").join(&target);
        if own.is_symlink() {
            // The one of rustup has another musl.
            fs::remove_file(&own)?;
        }
        let folder = own.join("lib/self-contained");
        fs::create_dir_all(&folder)?;
        for name in MUSL {
            let from = musl.join(format!("usr/lib/{}-linux-musl", arch.name())).join(name);
            fs::copy(&from, folder.join(name))
                .with_context(|| format!("musl-dev has no {}", from.display()))?;
        }
        for (name, text) in STUBS {
            fs::write(folder.join(name), text)?;
        }
        // Debian's compiler comes without it.
        let host = format!("lib/rustlib/{}-unknown-linux-gnu/bin/rust-lld", std::env::consts::ARCH);
        let linker = match compiler.sysroot.join(host) {
            lld if lld.exists() => "rust-lld".into(),
            _ => tools::find("ld.lld", &["lld"])?.program,
        };
        Ok(Toolchain { target, compiler, farm, library, program, linker })
    }

    /// Sets cargo up for it.
    pub fn set_up(&self, command: &mut Command) {
        let linker = self.target.replace('-', "_").to_uppercase();
        command.env("RUSTC", &self.program);
        // -Zbuild-std is a feature of nightly compilers.
        command.env("RUSTC_BOOTSTRAP", "1");
        command.env(format!("CARGO_TARGET_{linker}_LINKER"), &self.linker);
    }
}

/// The folder that musl is unpacked in.
fn fetched(arch: Arch) -> Result<PathBuf> {
    let root = paths::cache()?.join("musl").join(arch.debian());
    let stamp = root.join(".whole");
    if stamp.exists() {
        return Ok(root);
    }
    let _lock = paths::lock()?;
    if stamp.exists() {
        return Ok(root);
    }
    let archive = Archive::of_suites(&apt::mirrors()?, "musl", arch.debian(), &[SUITE])?;
    if !archive.is_checked() {
        bail!(
            "musl-dev: the signature of Debian's {} cannot be checked; install a newer debian-archive-keyring",
            SUITE.1
        );
    }
    eprintln!("xtask: fetching musl for {}", arch.name());
    let _ = fs::remove_dir_all(&root);
    for deb in archive.download(&["musl-dev".into()])? {
        apt::unpack(&deb, &root)?;
        let _ = fs::remove_file(deb);
    }
    fs::write(stamp, "")?;
    Ok(root)
}
