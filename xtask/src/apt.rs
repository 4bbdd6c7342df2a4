//! Packages of Debian's suites, fetched beside the machine's own package system and not into it.
//!
//! Every archive here is apt with its own lists, cache and state, so it needs no root, changes nothing on the machine
//! and can look into releases that the machine does not run. What is fetched is checked by apt against the archive's
//! signatures, then unpacked with `dpkg-deb -x`, never installed.

use crate::interrupt::Owned;
use crate::paths;
use crate::sources::{self, Mirrors};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An archive with its own lists.
pub struct Archive {
    dir: PathBuf,
    /// The architecture it is asked about.
    arch: &'static str,
    /// Whether what the machine has installed counts when dependencies are resolved.
    beside_machine: bool,
    /// `deb`, or `deb-src` of an archive of sources.
    kind: &'static str,
    /// The messages of apt when the mirrors were asked.
    complaints: String,
    /// Whether the signatures of all suites could be checked.
    checked: bool,
}

/// One version of one package on offer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub size: u64,
}

/// The mirrors that this machine gets its packages from; the error says what to do when they are not known.
pub fn mirrors() -> Result<Mirrors> {
    let mut mirrors = sources::mirrors(&sources::read(Path::new("/etc/apt")));
    if let Ok(main) = std::env::var("RAWBPF_DEBIAN_MIRROR") {
        let old = mirrors.take();
        mirrors = Some(Mirrors {
            main,
            security: std::env::var("RAWBPF_DEBIAN_SECURITY_MIRROR").ok(),
            keyring: old.and_then(|old| old.keyring),
            own: Vec::new(),
        });
    }
    mirrors.context(
        "the kernels come from Debian, and /etc/apt names no mirror of it; set RAWBPF_DEBIAN_MIRROR and \
         RAWBPF_DEBIAN_SECURITY_MIRROR to the addresses of the main and the security archive",
    )
}

impl Archive {
    /// Of the suites that the machine itself uses; its installed packages count as present.
    pub fn of_machine(mirrors: &Mirrors) -> Result<Archive> {
        let dir = paths::cache()?.join("apt").join("machine");
        Archive::open(dir, mirrors, "deb", "amd64", &mirrors.own, true)
    }

    /// Of other suites, for packages of `arch`.
    pub fn of_suites(
        mirrors: &Mirrors,
        name: &str,
        arch: &'static str,
        suites: &[(bool, &str)],
    ) -> Result<Archive> {
        let dir = paths::cache()?.join("apt").join(format!("{name}-{arch}"));
        let suites: Vec<_> =
            suites.iter().map(|(security, suite)| (*security, suite.to_string())).collect();
        Archive::open(dir, mirrors, "deb", arch, &suites, false)
    }

    /// Of the sources of a suite.
    pub fn of_sources(mirrors: &Mirrors, suite: &str) -> Result<Archive> {
        let dir = paths::cache()?.join("apt").join(format!("{suite}-source"));
        Archive::open(dir, mirrors, "deb-src", "amd64", &[(false, suite.into())], false)
    }

    fn open(
        dir: PathBuf,
        mirrors: &Mirrors,
        kind: &'static str,
        arch: &'static str,
        suites: &[(bool, String)],
        beside_machine: bool,
    ) -> Result<Archive> {
        let arch = if beside_machine { "" } else { arch };
        let mut archive =
            Archive { dir, arch, beside_machine, kind, complaints: String::new(), checked: true };
        archive.lay_out()?;
        // Once a run is enough: several kernels come from the same suites. (Who opens an archive holds `paths::lock`,
        // so no two threads find that it has to be done.)
        static UPDATED: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());
        let updated = || UPDATED.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            updated().iter().find(|(dir, _)| *dir == archive.dir).map(|(_, checked)| *checked);
        if let Some(checked) = known {
            archive.checked = checked;
        } else {
            archive.complaints = complaints(&archive.update(mirrors, suites)?);
            updated().push((archive.dir.clone(), archive.checked));
        }
        Ok(archive)
    }

    fn lay_out(&self) -> Result<()> {
        for folder in ["lists/partial", "archives/partial", "etc"] {
            let folder = self.dir.join(folder);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(self.dir.join("status"), "").context("cannot write into the download folder")?;
        paths::write_whole(&self.dir.join("etc/apt.conf"), self.configuration().as_bytes())
    }

    /// Asks the mirrors what there is. Suites that do not answer are left out; whether that matters shows when
    /// something is looked for.
    fn update(&mut self, mirrors: &Mirrors, suites: &[(bool, String)]) -> Result<String> {
        let mut keyring = mirrors.keyring.clone();
        let mut output = self.update_with(mirrors, suites, keyring.as_deref(), &[])?;
        if unsigned(&output).is_empty() {
            return Ok(output);
        }
        // Keys that are newer than this machine's: an archive that it trusts has the package with the newer ones.
        let newer = match self.newer_keyring()? {
            None if !self.beside_machine && !mirrors.own.is_empty() => {
                Archive::of_machine(mirrors)?.newer_keyring()?
            }
            found => found,
        };
        if let Some(newer) = newer {
            eprintln!(
                "xtask: Debian's keys on this machine are too old for some suites; using those of the newer package"
            );
            keyring = Some(newer.display().to_string());
            output = self.update_with(mirrors, suites, keyring.as_deref(), &[])?;
        }
        let unknown = unsigned(&output);
        // Programs that run here come from the machine's own suites, which are never used unchecked.
        if !unknown.is_empty() && !self.beside_machine {
            eprintln!(
                "xtask: no key at hand for {}; using it unchecked (the kernels run in virtual machines only)",
                unknown.join(", ")
            );
            output = self.update_with(mirrors, suites, keyring.as_deref(), &unknown)?;
            self.checked = false;
        }
        Ok(output)
    }

    fn update_with(
        &self,
        mirrors: &Mirrors,
        suites: &[(bool, String)],
        keyring: Option<&str>,
        unchecked: &[String],
    ) -> Result<String> {
        let mut list = String::new();
        for (security, suite) in suites {
            let Some(uri) =
                (if *security { mirrors.security.as_ref() } else { Some(&mirrors.main) })
            else {
                continue;
            };
            let mut options = Vec::new();
            options.extend(keyring.map(|path| format!("signed-by={path}")));
            options.extend((!self.arch.is_empty()).then(|| format!("arch={}", self.arch)));
            options.extend(unchecked.contains(suite).then(|| "trusted=yes".to_string()));
            let line = format!("{} [{}] {uri} {suite} main\n", self.kind, options.join(" "));
            list += &line.replace("[] ", "");
        }
        fs::write(self.dir.join("etc/sources.list"), list)?;
        let mut output = String::new();
        for attempt in 0..3 {
            // apt says everything that matters here on either stream.
            (_, output) = run(self.apt("apt-get").arg("update"))?;
            // A mirror that is being brought up to date does not fit together for a moment, and apt does not try again.
            if !["Hash Sum mismatch", "unexpected size", "Mirror sync in progress"]
                .iter()
                .any(|sign| output.contains(sign))
            {
                break;
            }
            if attempt < 2 {
                std::thread::sleep(Duration::from_secs(5));
            }
        }
        Ok(output)
    }

    /// Unpacks `debian-archive-keyring` from the suites whose signatures could be checked.
    fn newer_keyring(&self) -> Result<Option<PathBuf>> {
        let Ok(debs) = self.download(&["debian-archive-keyring".into()]) else { return Ok(None) };
        let root = self.dir.join("keyring");
        for deb in debs {
            unpack(&deb, &root)?;
        }
        let keys = root.join("usr/share/keyrings/debian-archive-keyring.gpg");
        Ok(keys.exists().then_some(keys))
    }

    /// The messages of apt when the mirrors were asked; empty when there were no errors.
    pub fn complaints(&self) -> &str {
        &self.complaints
    }

    /// Whether the signatures of all suites could be checked: what is not only for guests has to come from such.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Everything on offer whose name `wanted` accepts.
    pub fn packages(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Package>> {
        let (_, text) = run_stdout(self.apt("apt-cache").arg("dumpavail"))?;
        Ok(parse_packages(&text, wanted))
    }

    /// All versions of one package.
    pub fn versions(&self, name: &str) -> Result<Vec<Package>> {
        let (_, text) = run_stdout(self.apt("apt-cache").args(["show", "--all-versions", name]))?;
        Ok(parse_packages(&text, |found| found == name))
    }

    /// Fetches these (`name` or `name=version`) and nothing that they depend on.
    pub fn download(&self, names: &[String]) -> Result<Vec<PathBuf>> {
        let folder = self.dir.join("debs");
        fs::create_dir_all(&folder)?;
        let mut debs = Vec::new();
        for name in names {
            // Each into a folder of its own: apt chooses the file's name.
            let folder = folder.join(name.replace(['/', ':'], "_"));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder)?;
            let mut command = self.apt("apt-get");
            let (good, output) = run(command.args(["download", name]).current_dir(&folder))?;
            let found = files_with(&folder, "deb");
            if !good || found.len() != 1 {
                bail!("cannot download Debian's package {name}:\n{}", tail(&output));
            }
            debs.extend(found);
        }
        Ok(debs)
    }

    /// Fetches the files of a source package into `folder`; apt checks their sums.
    pub fn download_source(&self, name: &str, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let mut command = self.apt("apt-get");
        command.args(["source", "--download-only", name]).current_dir(folder);
        let (good, output) = run(&mut command)?;
        if !good {
            bail!("cannot download the source of Debian's package {name}:\n{}", tail(&output));
        }
        Ok(())
    }

    /// Fetches these and what they need that the machine lacks.
    pub fn download_with_dependencies(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let folder = self.dir.join("archives");
        for old in files_with(&folder, "deb") {
            let _ = fs::remove_file(old);
        }
        let mut command = self.apt("apt-get");
        command.args(["install", "--yes", "--download-only", "--no-install-recommends"]);
        // A package that is installed already would not be fetched, but must be here to be unpacked.
        command.args(["--reinstall", "-o", "Debug::NoLocking=1"]).args(names);
        let (good, output) = run(&mut command)?;
        if !good {
            bail!("cannot download Debian's packages {}:\n{}", names.join(", "), tail(&output));
        }
        Ok(files_with(&folder, "deb"))
    }

    /// An apt program that reads and writes here only. The machine's apt.conf still holds (it may name a proxy), but
    /// for what ours says after it.
    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.dir.join("etc/apt.conf"));
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Our apt.conf.
    fn configuration(&self) -> String {
        // Images of containers have hooks here that empty the machine's own cache.
        let mut text = String::from(
            "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n",
        );
        let mut set = |name: &str, value: &str| text += &format!("{name} \"{value}\";\n");
        let dir = |name: &str| self.dir.join(name).display().to_string();
        set("Dir::State", &dir(""));
        let status =
            if self.beside_machine { "/var/lib/dpkg/status".into() } else { dir("status") };
        set("Dir::State::status", &status);
        set("Dir::Cache", &dir(""));
        // The same images keep these unwritten, which makes every question take seconds.
        set("Dir::Cache::pkgcache", "pkgcache.bin");
        set("Dir::Cache::srcpkgcache", "srcpkgcache.bin");
        set("Acquire::GzipIndexes", "true");
        set("Dir::Etc::sourcelist", &dir("etc/sources.list"));
        set("Dir::Etc::sourceparts", "/dev/null");
        set("Dir::Etc::preferences", "/dev/null");
        set("Dir::Etc::preferencesparts", "/dev/null");
        // Old releases are no longer signed anew, and a machine's clock may be behind.
        set("Acquire::Check-Valid-Until", "false");
        set("Acquire::Check-Date", "false");
        set("Acquire::Languages", "none");
        set("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false");
        set("Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled", "false");
        set("Acquire::Retries", "4");
        set("Acquire::http::Timeout", "30");
        set("Acquire::https::Timeout", "30");
        // The folder belongs to the user that runs this, and the user that apt would switch to cannot write to it.
        set("APT::Sandbox::User", "root");
        if !self.arch.is_empty() {
            set("APT::Architecture", self.arch);
            text += &format!(
                "#clear APT::Architectures;\nAPT::Architectures {{ \"{}\"; }};\n",
                self.arch
            );
        }
        text
    }
}

/// Unpacks a package's files below `root`.
pub fn unpack(deb: &Path, root: &Path) -> Result<()> {
    fs::create_dir_all(root)?;
    let (good, output) = run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(root))?;
    if !good {
        bail!("cannot unpack {}:\n{}", deb.display(), tail(&output));
    }
    Ok(())
}

/// Runs to the end; returns whether it went well and what it printed on both streams.
fn run(command: &mut Command) -> Result<(bool, String)> {
    let (good, mut out, err) = capture(command)?;
    out += &err;
    Ok((good, out))
}

/// The same, of standard output only.
fn run_stdout(command: &mut Command) -> Result<(bool, String)> {
    let (good, out, _) = capture(command)?;
    Ok((good, out))
}

fn capture(command: &mut Command) -> Result<(bool, String, String)> {
    use std::io::Read;
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Owned::spawn(command).with_context(|| {
        format!("cannot run {program}: the virtual machines are made on Debian, from its packages")
    })?;
    let mut err = child.0.stderr.take().context("no pipe")?;
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = err.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut out = Vec::new();
    child.0.stdout.take().context("no pipe")?.read_to_end(&mut out)?;
    let status = child.0.wait()?;
    let err = errors.join().unwrap_or_default();
    Ok((status.success(), String::from_utf8_lossy(&out).into_owned(), err))
}

/// The last lines of a program's output, which hold its error.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

/// The first of the errors and warnings that apt printed; a hundred more of the same do not help.
fn complaints(output: &str) -> String {
    let lines = output.lines().filter(|line| line.starts_with("E: ") || line.starts_with("W: "));
    lines.take(3).collect::<Vec<_>>().join("\n")
}

/// The suites that `apt-get update` refused because it has no key for their signature.
fn unsigned(output: &str) -> Vec<String> {
    let mut suites = Vec::new();
    for line in
        output.lines().filter(|line| line.contains("NO_PUBKEY") || line.contains("EXPKEYSIG"))
    {
        // W: GPG error: http://… trixie-backports InRelease: The following signatures …
        let suite =
            line.split_once(" InRelease: ").and_then(|(head, _)| head.split_whitespace().last());
        if let Some(suite) = suite.filter(|suite| !suites.iter().any(|known| known == suite)) {
            suites.push(suite.to_string());
        }
    }
    suites
}

/// Reads the paragraphs of a `Packages` file.
fn parse_packages(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut current = Package::default();
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            let package = std::mem::take(&mut current);
            if wanted(&package.name) && !package.version.is_empty() {
                packages.push(package);
            }
        } else if let Some(name) = line.strip_prefix("Package: ") {
            current.name = name.into();
        } else if let Some(version) = line.strip_prefix("Version: ") {
            current.version = version.into();
        } else if let Some(size) = line.strip_prefix("Size: ") {
            current.size = size.parse().unwrap_or(0);
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read() {
        let text = "Package: a\nVersion: 1-1\nSize: 20\nDescription: x\n y\n\nPackage: b\nVersion: 2\n\nPackage: a\nVersion: 3\nSize: 7\n";
        let found = parse_packages(text, |name| name == "a");
        let package =
            |version: &str, size| Package { name: "a".into(), version: version.into(), size };
        assert_eq!(found, [package("1-1", 20), package("3", 7)]);
    }

    #[test]
    fn unknown_keys_are_noticed() {
        let text = "Get:1 http://m.example/debian sid InRelease\n\
            W: GPG error: http://m.example/debian trixie-backports InRelease: The following signatures couldn't be \
            verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131\n\
            E: The repository 'http://m.example/debian trixie-backports InRelease' is not signed.\n";
        assert_eq!(unsigned(text), ["trixie-backports"]);
        assert!(unsigned("Hit:1 http://m.example/debian sid InRelease\n").is_empty());
    }
}
