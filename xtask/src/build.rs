//! Builds what goes into the guest: programs that need no library, for one architecture.

use crate::arch::Arch;
use crate::interrupt::Owned;
use crate::paths;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that cargo made.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    pub package: String,
    /// `lib`, `bin`, `test`, …
    pub kind: String,
    pub name: String,
    pub test: bool,
    pub path: PathBuf,
    /// The folder of its package.
    pub folder: PathBuf,
}

/// The cargo that started us.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into()
}

/// Builds static programs for the guest; `what` is the rest of cargo's command line.
pub fn for_guest(arch: Arch, what: &[&str]) -> Result<Vec<Artifact>> {
    let (subcommand, rest) = what.split_first().context("nothing to build")?;
    // Tests of this machine may run meanwhile, and they come first.
    let mut command = Command::new("nice");
    command
        .arg(cargo())
        .arg(subcommand)
        .args(["--quiet", "--target", &arch.target(), "--target-dir"])
        .arg(paths::target()?.join("vm").join("build"))
        .args(rest)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        // The flags that cargo was called with are the host's.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // Under emulation it is worth optimising a little: property tests take a fifth of the time. The checks of a
        // debug build stay.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        // Without debug information the initramfs has a tenth of the size; panics print their place all the same.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
    if !arch.is_host() {
        crate::cross::prepare(arch, &mut command)?;
    }
    artifacts(&mut command)
}

/// Runs cargo with its messages as JSON and lists the programs made; what the compiler says goes to standard error.
pub fn artifacts(command: &mut Command) -> Result<Vec<Artifact>> {
    command.arg("--message-format=json-render-diagnostics");
    command.current_dir(paths::workspace()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Owned::spawn(command).context("cannot run cargo")?;
    let stdout = child.0.stdout.take().context("no pipe")?;
    let mut found = Vec::new();
    for line in BufReader::new(stdout).lines() {
        found.extend(artifact(&line?));
    }
    if !child.0.wait()?.success() {
        bail!("cargo could not build it");
    }
    Ok(found)
}

fn artifact(line: &str) -> Option<Artifact> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    if json["reason"] != "compiler-artifact" {
        return None;
    }
    let target = &json["target"];
    // path+file:///…/xtask/init#rawbpf-vm-init@0.0.0 or path+file:///…/xtask#0.0.0
    let id = json["package_id"].as_str()?;
    let (place, tail) = id.rsplit_once('#')?;
    let package = match tail.split_once('@') {
        Some((name, _)) => name,
        None => place.rsplit('/').next()?,
    };
    Some(Artifact {
        package: package.into(),
        kind: target["kind"][0].as_str()?.into(),
        name: target["name"].as_str()?.into(),
        test: json["profile"]["test"].as_bool()?,
        path: json["executable"].as_str()?.into(),
        folder: Path::new(json["manifest_path"].as_str()?).parent()?.into(),
    })
}

/// The programs of a virtual machine: its init and, unless the caller does without, `rawbpf`.
pub fn programs(arch: Arch, with_rawbpf: bool) -> Result<Programs> {
    let mut what = vec!["build", "--package", "rawbpf-vm-init", "--bin", "rawbpf-vm-init"];
    if with_rawbpf {
        what.extend(["--package", "rawbpf", "--bin", "rawbpf"]);
    }
    let made = for_guest(arch, &what)?;
    let find = |name: &str| {
        made.iter().find(|artifact| artifact.name == name).map(|artifact| artifact.path.clone())
    };
    Ok(Programs {
        init: find("rawbpf-vm-init").context("cargo made no init")?,
        rawbpf: find("rawbpf"),
    })
}

/// The result of `programs`.
#[derive(Clone, Debug)]
pub struct Programs {
    pub init: PathBuf,
    pub rawbpf: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_are_read() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/main#rawbpf@0.1.0","manifest_path":"/w/main/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"name":"isa","src_path":"/w/tests/isa.rs"},"profile":{"test":true},"executable":"/t/isa-12","fresh":false}"#;
        let expected = Artifact {
            package: "rawbpf".into(),
            kind: "test".into(),
            name: "isa".into(),
            test: true,
            path: "/t/isa-12".into(),
            folder: "/w/main".into(),
        };
        assert_eq!(artifact(line), Some(expected));
        assert_eq!(artifact(&line.replace("#rawbpf@0.1.0", "#0.1.0")).unwrap().package, "main");
        assert_eq!(artifact(&line.replace("\"/t/isa-12\"", "null")), None);
        assert_eq!(artifact("not json"), None);
    }
}
