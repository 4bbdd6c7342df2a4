//! Static binaries for whoever has nothing but a kernel: the whole command line, and `rawbpf bt` alone.
//!
//! They are linked to musl, since glibc takes 0.8 MiB more of each. The standard library is built along, for size: the toolchain's own
//! carries unwinding tables and what reads them, of which nothing is used where a panic aborts. It still says where it was.
//!
//! Whoever builds the same sources with the same compiler gets the same bytes: no path of the machine goes into them.

mod leaks;
mod musl;
mod sums;

use crate::arch::Arch;
use crate::interrupt::Owned;
use crate::{build, paths};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// For which machines (repeatable)
    #[arg(long, value_enum, value_name = "ARCH", default_values = ["x86_64", "aarch64"])]
    arch: Vec<Arch>,
    /// Build this binary only
    #[arg(long, value_name = "NAME", value_parser = VARIANTS.each_ref().map(|variant| variant.name))]
    only: Option<String>,
    /// Build a second time, in another folder, and fail unless the result is the same
    #[arg(long)]
    check: bool,
    /// The folder that the binaries and SHA256SUMS go to, instead of target/dist
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// A binary: how its name begins, the features of the crate, and the most that it may weigh, in KiB.
struct Variant {
    name: &'static str,
    features: &'static str,
    budget: usize,
}

const VARIANTS: [Variant; 2] = [
    Variant { name: "rawbpf", features: "cli", budget: 3584 },
    Variant { name: "rawbpf-bt", features: "bt-cli", budget: 1536 },
];

/// Flags of the compiler for everything that goes into a binary, beside the paths to be renamed. Paths do not belong here: cargo makes
/// the names of symbols from them, and their order depends on that.
const RUSTFLAGS: [&str; 11] = [
    "-Ctarget-feature=+crt-static",
    // Addresses that are known need no relocations at start: 0.2 MiB and 40 page faults less.
    "-Crelocation-model=static",
    "-Cforce-unwind-tables=no",
    // Of derived Debug forms the names of variants are enough: nothing that is printed has more of them.
    "-Zfmt-debug=shallow",
    // Repeated sequences of instructions become functions, as is usual for arm64: 3 % less, and no slower to start.
    "-Cllvm-args=-enable-machine-outliner=always",
    // More than 16 bytes are copied by a call or a string instruction, not by moves in a row: 46 KiB of `bt` alone.
    "-Cllvm-args=-max-store-memcpy=1",
    // The toolchain's own linker serves every machine, and needs no C compiler.
    "-Clinker-flavor=ld.lld",
    "-Clink-self-contained=yes",
    "-Clink-arg=--no-eh-frame-hdr",
    // Functions of the same code become one. Those that differ only in constants pass these to a common part: 13 KiB of `bt` alone.
    // (The compiler takes the constants out, and it is the linker that compares the code.)
    "-Clink-arg=--icf=all",
    "-Cllvm-args=-enable-global-merge-func",
];

/// For x86-64 alone, whose tables of jumps have 8 bytes an entry: comparisons are smaller up to 64 of them, 15 KiB of `bt` alone.
const RUSTFLAGS_X86_64: [&str; 1] = ["-Cllvm-args=-min-jump-table-entries=64"];

/// Builds; the exit status.
pub fn run(options: &Options) -> Result<u8> {
    let out = match &options.out {
        Some(folder) => std::path::absolute(folder)?,
        None => paths::target()?.join("dist"),
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    sums::remove(&out)?;
    let here = Place::new(paths::workspace());
    let wanted =
        |variant: &&Variant| options.only.as_deref().is_none_or(|only| only == variant.name);
    let variants: Vec<_> = VARIANTS.iter().filter(wanted).collect();
    let mut names = Vec::new();
    for &arch in &options.arch {
        for (name, bytes) in here.build(arch, &variants)? {
            paths::write_whole(&out.join(&name), &bytes)?;
            executable(&out.join(&name))?;
            eprintln!("xtask: {name}: {} bytes", bytes.len());
            names.push(name);
        }
    }
    if options.check {
        let scratch = paths::Scratch::new()?;
        let there = Place::new(&scratch.path().join("the same sources elsewhere"));
        copy_sources(&there.sources)?;
        for &arch in &options.arch {
            for (name, bytes) in there.build(arch, &variants)? {
                if fs::read(out.join(&name))? != bytes {
                    let kept = out.join(format!("{name}.other"));
                    fs::write(&kept, bytes)?;
                    bail!(
                        "{name}: the same sources in another folder make another binary: {}",
                        kept.display()
                    );
                }
                eprintln!("xtask: {name}: the same from two folders");
            }
        }
    }
    sums::write(&out, &names)?;
    eprintln!("xtask: {}", out.display());
    Ok(0)
}

fn executable(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Copies what is under version control, as it stands in the folder.
fn copy_sources(to: &Path) -> Result<()> {
    let from = paths::workspace();
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(from).output();
    let listed = listed.context("cannot run git")?;
    if !listed.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    for name in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = Path::new(OsStr::from_bytes(name));
        let (file, copy) = (from.join(name), to.join(name));
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        // What was removed and not committed yet is no source any more.
        if file.is_file() {
            fs::copy(&file, &copy).with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    Ok(())
}

/// A folder with the sources, and one for what is made of them.
struct Place {
    sources: PathBuf,
    work: PathBuf,
}

impl Place {
    /// Wherever else `target` is: cargo tells the standard library's packages apart by their path, which is one within the workspace only
    /// if they lie below it. Other names of symbols would be the result, in another order.
    fn new(sources: &Path) -> Place {
        Place { sources: sources.into(), work: sources.join("target/vm/dist") }
    }

    /// Builds variants for a machine: the names and contents of the files.
    fn build(&self, arch: Arch, variants: &[&Variant]) -> Result<Vec<(String, Vec<u8>)>> {
        let toolchain = musl::Toolchain::prepare(arch, &self.work)?;
        let target = self.work.join("build");
        succeed(self.cargo("fetch").args(["--locked", "--target", &toolchain.target]))?;
        let renamed = self.renamed(&toolchain)?;
        let mut flags: Vec<String> = RUSTFLAGS.iter().map(|flag| flag.to_string()).collect();
        if arch == Arch::X86_64 {
            flags.extend(RUSTFLAGS_X86_64.map(str::to_owned));
        }
        for (from, to) in &renamed {
            flags.push(format!("--remap-path-prefix={}={to}", text(from)?));
        }
        let mut made = Vec::new();
        for variant in variants {
            let mut command = self.cargo("build");
            command
                .args(["--locked", "--package", "rawbpf", "--bin", "rawbpf", "--profile", "size"])
                .args(["--no-default-features", "--features", variant.features])
                .args(["--target", &toolchain.target, "--target-dir"])
                .arg(&target)
                .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"])
                .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
            toolchain.set_up(&mut command);
            succeed(&mut command)?;
            let built = target.join(&toolchain.target).join("size/rawbpf");
            let bytes = fs::read(&built)?;
            let name = file_name(variant, &version()?, arch);
            let private = renamed.iter().map(|(from, _)| from.as_path());
            leaks::check(&name, &bytes, private)?;
            within_budget(variant, bytes.len())?;
            if arch.is_host() {
                starts(&built)?;
            }
            made.push((name, bytes));
        }
        Ok(made)
    }

    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(build::cargo());
        command.arg(subcommand).current_dir(&self.sources).env_remove("RUSTFLAGS");
        command
    }

    /// The folders whose paths the compiler would put into the binary, and their names there. Of those that fit it takes the last.
    fn renamed(&self, toolchain: &musl::Toolchain) -> Result<Vec<(PathBuf, String)>> {
        let mut renamed = vec![
            (cargo_home()?, "/cargo".to_owned()),
            (self.sources.clone(), "/rawbpf".to_owned()),
            (self.work.clone(), "/build".to_owned()),
        ];
        // Every machine has them in a folder of its own, which is named after the registry.
        let registries = cargo_home()?.join("registry/src");
        for registry in fs::read_dir(&registries).into_iter().flatten() {
            renamed.push((registry?.path(), "/cargo/registry".to_owned()));
        }
        let std = format!("/rustc/{}", toolchain.compiler.commit);
        renamed.push((toolchain.compiler.sysroot.clone(), std));
        // Cargo names the sources of the standard library by their path from here.
        let library = toolchain.farm.join("lib/rustlib/src/rust/library");
        let below = library.strip_prefix(&self.sources).map(Path::to_owned);
        for folder in [Some(library), below.ok(), Some(toolchain.library.clone())] {
            renamed.extend(folder.map(|folder| (folder, "library".to_owned())));
        }
        Ok(renamed)
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let mut child = Owned::spawn(command).context("cannot run cargo")?;
    if !child.0.wait()?.success() {
        bail!("cargo could not build it");
    }
    Ok(())
}

/// Fails if a binary is larger than its budget.
fn within_budget(variant: &Variant, size: usize) -> Result<()> {
    let Variant { name, budget, .. } = variant;
    if size > budget << 10 {
        bail!("{name}: {size} bytes, expected {budget} KiB at most");
    }
    Ok(())
}

/// Fails unless the program says its version.
fn starts(program: &Path) -> Result<()> {
    let said = Command::new(program).args(["bt", "--version"]).output();
    let said = said.with_context(|| format!("cannot run {}", program.display()))?;
    let expected = format!("rawbpf {}\n", version()?);
    if said.stdout != expected.as_bytes() {
        bail!(
            "{}: {}, expected {expected:?}",
            program.display(),
            String::from_utf8_lossy(&said.stdout).escape_debug()
        );
    }
    Ok(())
}

/// Returns the version of the crate.
fn version() -> Result<String> {
    let manifest = fs::read_to_string(paths::workspace().join("Cargo.toml"))?;
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    Ok(version.context("Cargo.toml names no version")?.to_owned())
}

/// Returns the name of a binary as it is handed out.
fn file_name(variant: &Variant, version: &str, arch: Arch) -> String {
    format!("{}-{version}-{}-linux", variant.name, arch.name())
}

fn cargo_home() -> Result<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    named.or_else(home).context("neither CARGO_HOME nor HOME is set")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn machines_are_chosen() {
        let read = |words: &[&str]| Line::parse_from([&["dist"], words].concat()).options;
        let usual = read(&[]);
        assert_eq!(usual.arch, [Arch::X86_64, Arch::Aarch64]);
        assert!(!usual.check && usual.out.is_none() && usual.only.is_none());
        let one = read(&["--arch", "arm64", "--check", "--out", "/x"]);
        assert_eq!(one.arch, [Arch::Aarch64]);
        assert!(one.check && one.out.as_deref() == Some(Path::new("/x")));
        assert_eq!(read(&["--only", "rawbpf-bt"]).only.as_deref(), Some("rawbpf-bt"));
        assert!(Line::try_parse_from(["dist", "--arch", "riscv64"]).is_err());
        assert!(Line::try_parse_from(["dist", "--only", "bpftrace"]).is_err());
    }

    #[test]
    fn names_have_version_and_machine() {
        let names = VARIANTS.each_ref().map(|variant| file_name(variant, "1.2.3", Arch::Aarch64));
        assert_eq!(names, ["rawbpf-1.2.3-aarch64-linux", "rawbpf-bt-1.2.3-aarch64-linux"]);
        let version = version().unwrap();
        assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3);
    }

    #[test]
    fn a_binary_has_a_budget() {
        let [whole, small] = &VARIANTS;
        // 3.5 and 1.5 MiB.
        assert!(
            within_budget(whole, 3_670_016).is_ok() && within_budget(whole, 3_670_017).is_err()
        );
        assert!(within_budget(small, 1_572_864).is_ok());
        let error = within_budget(small, 1_572_865).unwrap_err().to_string();
        assert_eq!(error, "rawbpf-bt: 1572865 bytes, expected 1536 KiB at most");
    }

    /// The features are spelled in two places.
    #[test]
    fn the_features_are_the_crates() {
        let manifest = fs::read_to_string(paths::workspace().join("Cargo.toml")).unwrap();
        for variant in &VARIANTS {
            let line = format!("\n{} = [", variant.features);
            assert!(manifest.contains(&line), "{}", variant.features);
        }
    }
}
