//! Programs for other architectures: Debian's cross compilers link them, and where the toolchain has no standard
//! library for the target, cargo builds it from Debian's copy of its sources.
//!
//! The sources must be of the very version of the compiler; they lie in a folder that looks like the toolchain's own
//! but for them. `-Zbuild-std` is a feature of nightly compilers, which RUSTC_BOOTSTRAP=1 allows on others; it is used
//! for guests of a test machine only.

use crate::apt::{self, Archive, Package};
use crate::arch::Arch;
use crate::paths;
use crate::tools::{self, quoted, script};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suites that may hold the sources, the likelier first: (is it of the security archive, suite).
const SUITES: [(bool, &str); 6] = [
    (false, "trixie-backports"),
    (false, "forky-backports"),
    (false, "experimental"),
    (false, "sid"),
    (false, "forky"),
    (false, "trixie"),
];

/// A file beside sources that came from a suite whose signature could not be checked: good for guests, and for nothing else.
const UNCHECKED: &str = "unchecked";

/// Sets cargo up for it.
pub fn prepare(arch: Arch, command: &mut Command) -> Result<()> {
    let target = arch.target().replace('-', "_").to_uppercase();
    command.env(format!("CARGO_TARGET_{target}_LINKER"), linker(arch)?);
    // C code in dependencies, should there be any.
    command.env(format!("CC_{}", arch.target().replace('-', "_")), linker(arch)?);
    let compiler = Compiler::ask()?;
    if compiler.sysroot.join("lib/rustlib").join(arch.target()).join("lib").exists() {
        return Ok(());
    }
    let farm = paths::target()?.join("vm").join(format!("rust-{}", compiler.release));
    command.env("RUSTC", with_sources(&compiler, &farm)?).env("RUSTC_BOOTSTRAP", "1");
    command.arg("-Zbuild-std=std,panic_abort");
    Ok(())
}

/// The compiler in use.
pub struct Compiler {
    program: PathBuf,
    pub release: String,
    /// The commit that it was built from.
    pub commit: String,
    pub sysroot: PathBuf,
}

impl Compiler {
    pub fn ask() -> Result<Compiler> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = |args: &[&str]| -> Result<String> {
            let out = Command::new(&rustc)
                .args(args)
                .current_dir(paths::workspace())
                .output()
                .context("cannot run rustc")?;
            Ok(String::from_utf8_lossy(&out.stdout).into_owned())
        };
        let about = output(&["-vV"])?;
        let field = |name| about.lines().find_map(|line| line.strip_prefix(name));
        let release = field("release: ").context("rustc tells no version")?;
        let commit = field("commit-hash: ").unwrap_or(release);
        let sysroot = PathBuf::from(output(&["--print", "sysroot"])?.trim());
        // `rustc` itself may be rustup's, which would choose anew.
        let program = sysroot.join("bin/rustc");
        Ok(Compiler { program, release: release.into(), commit: commit.into(), sysroot })
    }
}

/// The sources of a compiler's standard library.
pub fn sources(compiler: &Compiler) -> Result<PathBuf> {
    let release = &compiler.release;
    let library = paths::cache()?.join("rust").join(release).join("library");
    if !library.exists() {
        let _lock = paths::lock()?;
        if !library.exists() {
            fetch_sources(release, &library)?;
        }
    }
    Ok(library)
}

/// Returns whether sources came with a signature that was checked.
pub fn is_checked(library: &Path) -> bool {
    !library.with_file_name(UNCHECKED).exists()
}

/// A program that is this compiler with the sources of its standard library beside it, in the folder `farm`.
pub fn with_sources(compiler: &Compiler, farm: &Path) -> Result<PathBuf> {
    let library = sources(compiler)?;
    let wrapper = farm.join("rustc");
    let made_of = format!("{}\n{}\n", compiler.sysroot.display(), library.display());
    let stamp = farm.join("made-of");
    let _lock = paths::lock()?;
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&made_of) {
        let _ = fs::remove_dir_all(farm);
        let rustlib = farm.join("lib/rustlib");
        fs::create_dir_all(rustlib.join("src/rust"))?;
        link_all(&compiler.sysroot.join("lib"), &farm.join("lib"))?;
        link_all(&compiler.sysroot.join("lib/rustlib"), &rustlib)?;
        symlink(&library, rustlib.join("src/rust/library"))?;
        script(
            &wrapper,
            &format!("exec {} --sysroot {} \"$@\"", quoted(&compiler.program), quoted(farm)),
        )?;
        fs::write(stamp, made_of)?;
    }
    Ok(wrapper)
}

/// Links everything in one folder from another where there is nothing of that name yet.
fn link_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if !place.exists() {
            symlink(entry.path(), place)?;
        }
    }
    Ok(())
}

fn fetch_sources(release: &str, library: &Path) -> Result<()> {
    let mirrors = apt::mirrors()?;
    let archive = Archive::of_suites(&mirrors, "rust", "amd64", &SUITES)?;
    let versions = archive.versions("rust-src")?;
    let Some(version) = matching(&versions, release) else {
        let have: Vec<_> = versions.iter().map(|package| package.version.as_str()).collect();
        let have = if have.is_empty() { "none".into() } else { have.join(", ") };
        bail!(
            "other architectures need the standard library's sources for Rust {release}; Debian has {have}; where rustup \
             can download, `rustup target add` does as well"
        );
    };
    eprintln!("xtask: fetching rust-src {version}");
    let scratch = paths::Scratch::new()?;
    for deb in archive.download(&[format!("rust-src={version}")])? {
        apt::unpack(&deb, scratch.path())?;
        let _ = fs::remove_file(deb);
    }
    let found = scratch.path().join(format!("usr/src/rustc-{release}/library"));
    fs::create_dir_all(library.parent().unwrap_or(library))?;
    // The cache may be on another file system, where a folder cannot just be moved.
    let part = library.with_added_extension("part");
    let _ = fs::remove_dir_all(&part);
    let status =
        Command::new("cp").arg("-a").arg(&found).arg(&part).status().context("cannot run cp")?;
    if !status.success() {
        bail!(
            "rust-src {version} holds no sources of the standard library, or they cannot be copied"
        );
    }
    if !archive.is_checked() {
        fs::write(library.with_file_name(UNCHECKED), "")?;
    }
    Ok(fs::rename(part, library)?)
}

/// Debian's version of that release: `1.95.0+dfsg1-2~bpo13+1` for 1.95.0.
fn matching<'a>(versions: &'a [Package], release: &str) -> Option<&'a str> {
    let fits = |version: &&str| {
        version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    };
    versions.iter().map(|package| package.version.as_str()).find(fits)
}

/// The cross compiler that links, as a program that needs no arguments and finds its libraries.
fn linker(arch: Arch) -> Result<PathBuf> {
    let name = format!("{}-linux-gnu-gcc", arch.name());
    // `gcc` recommends the C library for the target and does not depend on it.
    let (gcc, libc) = match arch {
        Arch::X86_64 => ("gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"),
        Arch::Aarch64 => ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
        Arch::S390x => ("gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"),
    };
    let tool = tools::find_with(&name, gcc, &[gcc, libc])?;
    let place = paths::target()?.join("vm").join(&name);
    fs::create_dir_all(place.parent().unwrap_or(&place))?;
    tool.script(&place)?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_must_be_the_very_same() {
        let version =
            |version: &str| Package { name: "rust-src".into(), version: version.into(), size: 1 };
        let versions = ["1.96.1+dfsg1-2", "1.95.0+dfsg1-2~bpo13+1", "1.9.0-1"].map(version);
        assert_eq!(matching(&versions, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(matching(&versions, "1.9"), None);
        assert_eq!(matching(&versions, "1.97.0"), None);
    }
}
