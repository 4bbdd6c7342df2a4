//! Debian's kernels: which there are, and the files of one.

use crate::apt::{self, Archive, Package};
use crate::arch::Arch;
use crate::{image, paths};
use anyhow::{Context, Result, bail};
use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines that everything is tested on, the oldest first. They are the kernels of Debian's releases that are still
/// served, and the newest there is.
pub const LINES: [&str; 4] = ["5.10", "6.1", "6.12", "latest"];

/// Suites with kernels (is it of the security archive, its name). Those of the first list are nearly all small.
const SUITES: [(bool, &str); 9] = [
    (true, "bullseye-security"),
    (true, "bookworm-security"),
    (true, "trixie-security"),
    (true, "forky-security"),
    (false, "bookworm-backports"),
    (false, "trixie-backports"),
    (false, "forky-backports"),
    (false, "experimental"),
    (false, "sid"),
];

/// Asked when the others do not have the line.
const MORE_SUITES: [(bool, &str); 4] =
    [(false, "bullseye"), (false, "bookworm"), (false, "trixie"), (false, "forky")];

/// Modules that tests need, in the order in which they are loaded. None of them needs another one. Where a kernel has one
/// built in, there is no file of it.
const MODULES: [&str; 4] = ["loop", "veth", "sch_ingress", "cls_bpf"];

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The name that it was asked for by.
    pub line: String,
    /// Its release, as `uname -r` prints it.
    pub release: String,
    /// The version of Debian's package.
    pub version: String,
    pub image: PathBuf,
    /// Its configuration, for the guest's /boot.
    pub config: Option<PathBuf>,
    /// The files of those of [`MODULES`] that it has, not packed, in the order in which they are loaded; `None` if it was
    /// fetched before there was such a list.
    pub modules: Option<Vec<PathBuf>>,
}

/// The kernels that the word after `--kernel` means.
pub fn lines(word: &str) -> Result<Vec<String>> {
    if word == "all" {
        return Ok(LINES.map(String::from).to_vec());
    }
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_line = word.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor));
    if word == "latest" || is_line {
        return Ok(vec![word.into()]);
    }
    bail!(
        "there is no kernel {word:?}; --kernel takes {}, all, or another line such as 6.18",
        LINES.join(", ")
    )
}

/// The newest kernel of the line, downloaded unless it was before. With `refresh` the archive is asked for a newer one.
pub fn get(arch: Arch, line: &str, refresh: bool) -> Result<Kernel> {
    let home = paths::cache()?.join("kernels").join(arch.name());
    let stamp = home.join(format!("line-{line}"));
    let whole = |known: Option<Kernel>| known.filter(|kernel| !refresh && kernel.modules.is_some());
    if let Some(kernel) = whole(load(&home, &stamp, line)) {
        return Ok(kernel);
    }
    let _lock = paths::lock()?;
    // Another run may just have fetched it.
    let known = load(&home, &stamp, line);
    if let Some(kernel) = whole(known.clone()) {
        return Ok(kernel);
    }
    match fetch(arch, line, &home) {
        Ok(release) => {
            paths::write_whole(&stamp, release.as_bytes())?;
            load(&home, &stamp, line).context("the kernel was fetched and is not there")
        }
        Err(e) => match known {
            Some(kernel) => {
                eprintln!("xtask: using the {line} kernel of an earlier time: {e:#}");
                Ok(kernel)
            }
            None => Err(e),
        },
    }
}

fn load(home: &Path, stamp: &Path, line: &str) -> Option<Kernel> {
    let release = fs::read_to_string(stamp).ok()?;
    let folder = home.join(&release);
    let image = folder.join("image");
    let version = fs::read_to_string(folder.join("version")).ok()?;
    let config = Some(folder.join("config")).filter(|path| path.exists());
    let modules = modules_of(&folder);
    image.exists().then_some(Kernel { line: line.into(), release, version, image, config, modules })
}

/// The modules that lie beside a kernel, in the order of their names.
fn modules_of(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(folder.join("modules")).ok()?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    Some(files)
}

fn fetch(arch: Arch, line: &str, home: &Path) -> Result<String> {
    let mirrors = apt::mirrors()?;
    let mut offered = Vec::new();
    let mut complaints = String::new();
    for (name, suites) in [("kernels", &SUITES[..]), ("more-kernels", &MORE_SUITES[..])] {
        let archive = Archive::of_suites(&mirrors, name, arch.debian(), suites)?;
        let packages = archive.packages(|name| is_image(name, arch))?;
        // An archive's list may name a package that is no longer there; the one before it will do.
        for package in newest_first(&packages, line).iter().take(3) {
            match fetch_one(arch, &archive, package, home) {
                Ok(release) => return Ok(release),
                Err(e) => eprintln!("xtask: {e:#}"),
            }
        }
        offered.extend(packages);
        complaints = archive.complaints().into();
    }
    let mut lines: Vec<_> = offered.iter().map(line_of).collect();
    lines.sort();
    lines.dedup();
    if lines.is_empty() {
        bail!(
            "no kernel could be found in Debian's archive; is there a network, and does /etc/apt name a mirror that \
             answers?\n{complaints}"
        );
    }
    let lines: Vec<_> =
        lines.into_iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
    bail!(
        "Debian's archive gives no kernel of the line {line} for {}; it has {}",
        arch.name(),
        lines.join(", ")
    )
}

fn fetch_one(arch: Arch, archive: &Archive, package: &Package, home: &Path) -> Result<String> {
    let release = package
        .name
        .trim_start_matches("linux-image-")
        .trim_start_matches("linux-binary-")
        .to_string();
    let folder = home.join(&release);
    let there = fs::read_to_string(folder.join("version")).is_ok_and(|it| it == package.version);
    if there && modules_of(&folder).is_some() {
        return Ok(release);
    }
    eprintln!("xtask: fetching {} {}", package.name, package.version);
    let mut names = vec![format!("{}={}", package.name, package.version)];
    if package.name.starts_with("linux-binary-") {
        // The image, its configuration and its modules live in different packages since 6.19.
        for part in ["base", "modules"] {
            names.push(format!("linux-{part}-{release}={}", package.version));
        }
    }
    let scratch = paths::Scratch::new()?;
    for deb in archive.download(&names)? {
        apt::unpack(&deb, scratch.path())?;
        // It holds a hundred modules that are not needed.
        let _ = fs::remove_file(deb);
    }
    let modules = scratch.path().join("usr/lib/modules").join(&release);
    let boot = scratch.path().join("boot");
    let first = |paths: [PathBuf; 2]| paths.into_iter().find(|path| path.exists());
    let packed = first([boot.join(format!("vmlinuz-{release}")), modules.join("vmlinuz")])
        .with_context(|| format!("there is no kernel in {}", package.name))?;
    let packed = fs::read(packed)?;
    let unpacked = match arch {
        Arch::X86_64 => image::from_bzimage(&packed),
        Arch::Aarch64 => image::from_arm64(&packed),
        Arch::S390x => Ok(packed.clone()),
    };
    let image = unpacked.unwrap_or_else(|e| {
        eprintln!("xtask: {release}: {e:#}; booting the packed kernel, which takes a second more");
        packed
    });
    fs::create_dir_all(&folder)?;
    if let Some(config) = first([boot.join(format!("config-{release}")), modules.join("config")]) {
        paths::write_whole(&folder.join("config"), &fs::read(config)?)?;
    }
    paths::write_whole(&folder.join("image"), &image)?;
    keep_modules(scratch.path(), &folder.join("modules"))?;
    // Last, since it marks that the rest is there.
    paths::write_whole(&folder.join("version"), package.version.as_bytes())?;
    Ok(release)
}

/// Keeps those of [`MODULES`] that were unpacked.
fn keep_modules(unpacked: &Path, folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    let mut files = Vec::new();
    for place in ["lib/modules", "usr/lib/modules"] {
        files_below(&unpacked.join(place), &mut files);
    }
    for (number, wanted) in MODULES.iter().enumerate() {
        // `veth.ko`, or packed: `veth.ko.xz`.
        let is_it = |path: &&PathBuf| {
            path.file_name().and_then(|name| name.to_str()?.split_once(".ko")).is_some_and(
                |(name, packed)| name == *wanted && matches!(packed, "" | ".xz" | ".gz" | ".zst"),
            )
        };
        let Some(path) = files.iter().find(is_it) else { continue };
        let bytes = fs::read(path)?;
        let bytes = if bytes.starts_with(b"\x7fELF") { bytes } else { image::unpack(&bytes)? };
        paths::write_whole(&folder.join(format!("{number}-{wanted}.ko")), &bytes)?;
    }
    Ok(())
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Not where links lead to, which may be round in a circle.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn is_image(name: &str, arch: Arch) -> bool {
    let rest = name.strip_prefix("linux-image-").or_else(|| name.strip_prefix("linux-binary-"));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with(arch.flavour())
    })
}

fn newest_first(packages: &[Package], line: &str) -> Vec<Package> {
    let mut fit: Vec<_> = packages
        .iter()
        // The small ones hold no kernel but depend on one that does.
        .filter(|package| package.size > 1_000_000)
        .filter(|package| {
            let (major, minor) = line_of(package);
            // A release candidate is not what people run.
            if line == "latest" {
                !package.version.contains("~rc")
            } else {
                line == format!("{major}.{minor}")
            }
        })
        .cloned()
        .collect();
    fit.sort_by_key(|package| Reverse(numbers(&package.version)));
    fit
}

fn line_of(package: &Package) -> (u64, u64) {
    let numbers = numbers(&package.version);
    (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(0))
}

/// `6.12.117-1~bpo12+1` by its parts; what follows the tilde only says for which release it was built again.
fn numbers(version: &str) -> Vec<u64> {
    let own = version.split('~').next().unwrap_or(version);
    own.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, size: u64) -> Package {
        Package { name: name.into(), version: version.into(), size }
    }

    #[test]
    fn the_newest_of_a_line_is_chosen() {
        let packages = [
            package("linux-image-5.10.0-46-cloud-amd64", "5.10.262-1", 21_000_000),
            package("linux-image-6.1.0-9-cloud-amd64", "6.1.99-1", 26_000_000),
            package("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", 26_000_000),
            package("linux-image-6.1-cloud-amd64", "6.1.193-1", 1_500),
            package("linux-image-6.12.9+deb13-cloud-amd64", "6.12.9-1", 34_000_000),
            package("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", 13_000_000),
            package("linux-binary-7.4-cloud-amd64", "7.4~rc1-1~exp1", 13_000_000),
        ];
        let versions =
            |line| newest_first(&packages, line).into_iter().map(|p| p.version).collect::<Vec<_>>();
        assert_eq!(versions("6.1"), ["6.1.192-2", "6.1.99-1"]);
        assert_eq!(versions("5.10"), ["5.10.262-1"]);
        assert_eq!(versions("latest")[0], "7.3.4-1~bpo13+1");
        assert!(versions("6.2").is_empty());
    }

    #[test]
    fn names_of_images_are_told_from_others() {
        assert!(is_image("linux-image-6.1.0-56-cloud-amd64", Arch::X86_64));
        assert!(is_image("linux-binary-7.3.4+deb13-cloud-amd64", Arch::X86_64));
        assert!(!is_image("linux-image-6.1.0-56-cloud-amd64-unsigned", Arch::X86_64));
        assert!(!is_image("linux-image-cloud-amd64", Arch::X86_64));
        assert!(!is_image("linux-image-6.1.0-56-amd64", Arch::X86_64));
        assert!(is_image("linux-image-6.1.0-56-s390x", Arch::S390x));
    }

    #[test]
    fn words_for_kernels() {
        assert_eq!(lines("all").unwrap(), LINES);
        assert_eq!(lines("6.18").unwrap(), ["6.18"]);
        assert!(lines("6").is_err() && lines("newest").is_err() && lines("6.").is_err());
    }
}
