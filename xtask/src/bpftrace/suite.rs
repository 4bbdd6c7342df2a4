//! Debian bookworm's bpftrace 0.17: its tests as data, its test programs, and the program itself as a peer.
//!
//! All of it is fetched when the suite runs, lies in the download folder, and nothing of it is installed or changed.

use super::format::{self, Test, What};
use crate::apt::{self, Archive};
use crate::interrupt::Owned;
use crate::paths;
use crate::tools::{self, Tool};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release that the suite belongs to.
pub const VERSION: &str = "0.17.0";
/// The suite of Debian that has it.
const SUITE: &str = "bookworm";
/// Folders within `tests/runtime` and `tools` that are needed besides what lies directly there.
const DATA: [&str; 3] = ["scripts", "outputs", "old"];

/// The suite, unpacked and built.
pub struct Suite {
    /// The unpacked source package.
    source: PathBuf,
    /// Its tests and tools, with the programs and libraries that tests run.
    built: PathBuf,
}

impl Suite {
    /// Fetches and builds it, unless that was done before.
    pub fn get() -> Result<Suite> {
        let root = folder()?;
        let suite = Suite { source: root.join("source"), built: root.join("built") };
        let _lock = paths::lock()?;
        once(&suite.source, || suite.fetch())?;
        once(&suite.built, || suite.build(&root))?;
        Ok(suite)
    }

    fn fetch(&self) -> Result<()> {
        eprintln!("xtask: fetching the source of Debian's bpftrace {VERSION}");
        let files = paths::Scratch::new()?;
        let archive = Archive::of_sources(&apt::mirrors()?, SUITE)?;
        archive.download_source("bpftrace", files.path())?;
        let entries = fs::read_dir(files.path())?.flatten().map(|entry| entry.path());
        let name = format!("bpftrace_{VERSION}.orig.tar.");
        let tar = entries
            .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&name)))
            .find(|path| path.extension().is_none_or(|e| e != "asc"))
            .with_context(|| format!("{SUITE} no longer has bpftrace {VERSION}"))?;
        fs::create_dir_all(&self.source)?;
        let mut command = Command::new("tar");
        command.arg("--strip-components=1").arg("-xf").arg(tar).arg("-C").arg(&self.source);
        succeed(&mut command)
    }

    /// Builds what the tests run, with the flags of the suite's own build.
    fn build(&self, root: &Path) -> Result<()> {
        eprintln!("xtask: building the programs of bpftrace's tests");
        let headers = root.join("sdt");
        let _ = fs::remove_dir_all(&headers);
        let archive = Archive::of_suites(&apt::mirrors()?, SUITE, "amd64", &[(false, SUITE)])?;
        for deb in archive.download(&["systemtap-sdt-dev".into()])? {
            apt::unpack(&deb, &headers)?;
        }
        let tests = self.source.join("tests");
        for kind in ["testlibs", "testprogs"] {
            let out = self.built.join(kind);
            fs::create_dir_all(&out)?;
            for source in sources(&tests.join(kind))? {
                let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let mut command = Command::new("cc");
                command.args(["-g", "-O0", "-w", "-DHAVE_SYSTEMTAP_SYS_SDT_H"]);
                for folder in [
                    "usr/include".into(),
                    format!("usr/include/{}-linux-gnu", std::env::consts::ARCH),
                ] {
                    command.arg("-I").arg(headers.join(folder));
                }
                command.arg(&source);
                if kind == "testlibs" {
                    command.args(["-fPIC", "-shared", "-o"]).arg(out.join(format!("lib{name}.so")));
                } else {
                    command.args(["-no-pie", "-o"]).arg(out.join(&name));
                    if name == "usdt_lib" {
                        command.args(["-fPIC", "-lusdt_tp", "-Wl,-rpath,$ORIGIN/../testlibs"]);
                        command.arg("-I").arg(tests.join("testlibs"));
                        command.arg("-L").arg(self.built.join("testlibs"));
                    }
                }
                succeed(&mut command).with_context(|| format!("cannot build {name}"))?;
            }
        }
        copy(&tests.join("runtime"), &self.built.join("runtime"))?;
        copy(&self.source.join("tools"), &self.built.join("tools"))?;
        for library in files(&self.built.join("testlibs"))? {
            use std::os::unix::fs::PermissionsExt;
            // A test is about libraries that may not be executed.
            fs::set_permissions(library, fs::Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    /// All tests of `arch`, in the engine's order.
    pub fn tests(&self, arch: &str) -> Result<Vec<Test>> {
        read_tests(&self.source.join("tests/runtime"), arch)
    }

    /// All tools, compiled by this option.
    pub fn tools(&self, option: &str) -> Result<Vec<Test>> {
        read_tools(&self.built.join("tools"), option)
    }

    /// The folder that scripts of tests and tools are named from.
    pub fn scripts(&self) -> PathBuf {
        self.built.clone()
    }

    /// Puts what a run needs into `folder`.
    pub fn lay_out(&self, folder: &Path) -> Result<()> {
        copy(&self.built.join("runtime"), &folder.join("runtime"))?;
        for kind in ["testprogs", "testlibs", "tools"] {
            copy(&self.built.join(kind), &folder.join(kind))?;
        }
        Ok(())
    }
}

/// Everything about this release that outlives a run.
pub fn folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join(format!("bpftrace-{VERSION}")))
}

/// Debian's bpftrace of this release: the machine's own if it is that, else unpacked.
pub fn peer() -> Result<Tool> {
    if let Ok(tool) = tools::find("bpftrace", &["bpftrace"])
        && said_version(&tool).is_some_and(|version| version == VERSION)
    {
        return Ok(tool);
    }
    let root = folder()?.join("peer");
    let _lock = paths::lock()?;
    once(&root, || {
        eprintln!("xtask: fetching Debian's bpftrace {VERSION}");
        let archive = Archive::of_suites(&apt::mirrors()?, SUITE, "amd64", &[(false, SUITE)])?;
        for deb in archive.download_with_dependencies(&["bpftrace"])? {
            // The machine's own C library is a newer one, and has to fit its loader.
            let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with("libc6_") {
                apt::unpack(&deb, &root)?;
            }
        }
        Ok(())
    })?;
    let tool = Tool { program: root.join("usr/bin/bpftrace"), root: Some(root) };
    match said_version(&tool) {
        Some(version) if version == VERSION => Ok(tool),
        other => bail!("Debian's bpftrace is {other:?} and not {VERSION}"),
    }
}

/// `bpftrace v0.17.0`
fn said_version(tool: &Tool) -> Option<String> {
    let done = tool.command().arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&done.stdout);
    Some(said.trim().strip_prefix("bpftrace v")?.to_string())
}

/// Reads all test files in `folder`.
pub fn read_tests(folder: &Path, arch: &str) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for path in files(folder)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut found = format::parse(&file, &text, arch)?;
        found.iter_mut().for_each(cause_events);
        found.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
        tests.extend(found);
    }
    Ok(tests)
}

/// Tests that wait for events that nothing in them causes, and a command that does, which runs when the probes are attached.
///
/// `software_order` ends with the second page fault of any process on the machine. Where nothing else runs there is none, and
/// bpftrace waits without end, too.
const CAUSES: [(&str, &str); 1] = [("probe.software_order", "while :; do sleep 0.1; done")];

/// Adds the command that causes the events that a test waits for, if that needs one.
fn cause_events(test: &mut Test) {
    if let Some((_, command)) = CAUSES.iter().find(|(name, _)| *name == test.id()) {
        test.after.get_or_insert_with(|| (*command).into());
    }
}

/// The name under which tools stand in the ledger.
pub const TOOLS: &str = "tools";

/// Reads the tools in `folder`, the older editions of some included: each as a test that it compiles, by this option.
pub fn read_tools(folder: &Path, option: &str) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for prefix in ["", "old/"] {
        let mut tools = files(&folder.join(prefix))?;
        tools.retain(|path| path.extension().is_some_and(|e| e == "bt"));
        for path in tools {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{prefix}{file}");
            let command = format!("{{{{BPFTRACE}}}} --unsafe {option} tools/{name}");
            tests.push(Test {
                file: TOOLS.into(),
                name,
                number: 1,
                what: What::Command(command),
                seconds: 5,
                ..Test::default()
            });
        }
    }
    Ok(tests)
}

/// Makes `folder` by `make`, unless that was done to the end before.
fn once(folder: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join(".whole");
    if stamp.exists() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    make()?;
    Ok(fs::write(stamp, "")?)
}

/// The files directly in `folder`, by name, hidden ones left out.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && !name.starts_with('.')
    });
    files.sort();
    Ok(files)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = files(folder)?;
    sources.retain(|path| path.extension().is_some_and(|e| e == "c"));
    Ok(sources)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in files(from)? {
        fs::copy(&file, to.join(file.file_name().unwrap_or_default()))
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    for name in DATA.iter().filter(|name| from.join(name).is_dir()) {
        copy(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

fn succeed(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = Owned::spawn(command).with_context(|| format!("cannot run {name}"))?;
    if !child.0.wait()?.success() {
        bail!("{name} failed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_waits_for_is_caused() {
        let scratch = paths::Scratch::new().unwrap();
        let folder = scratch.path();
        let text = "\
NAME software
PROG software:faults:1 { exit(); }
EXPECT a
TIMEOUT 5

NAME software_order
RUN {{BPFTRACE}} runtime/scripts/software_order.bt
EXPECT first second
TIMEOUT 5
";
        fs::write(folder.join("probe"), text).unwrap();
        fs::write(folder.join("other"), text.replace("TIMEOUT", "AFTER ./own\nTIMEOUT")).unwrap();
        let after = |test: Test| (test.id(), test.after);
        let found: Vec<_> = read_tests(folder, "x86_64").unwrap().into_iter().map(after).collect();
        let own = Some("./own".to_string());
        let expected = [
            ("other.software".to_string(), own.clone()),
            ("other.software_order".to_string(), own.clone()),
            ("probe.software".to_string(), None),
            ("probe.software_order".to_string(), Some(CAUSES[0].1.to_string())),
        ];
        assert_eq!(found, expected);
        let mut test = Test { after: own.clone(), ..Test::default() };
        (test.file, test.name) = ("probe".into(), "software_order".into());
        cause_events(&mut test);
        assert_eq!(test.after, own);
    }
}
