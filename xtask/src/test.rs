//! `cargo xtask test`: every test on this machine, then every test that can go there on Debian's kernels.
//!
//! A test may skip itself where something is missing; that is why all places are looked at together in the end: a test
//! that ran nowhere is a failure.

use crate::arch::Arch;
use crate::build::{self, Artifact};
use crate::guest_tests::{self, Guest};
use crate::interrupt::Owned;
use crate::kernels;
use crate::libtest::{self, Status};
use crate::summary::{Place, Summary};
use crate::{paths, programs, tools, vm};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// The time limit of one test program on the host.
const HOST_LIMIT: Duration = Duration::from_secs(900);

/// The options of `cargo xtask test`.
#[derive(Args)]
pub struct Options {
    /// Also Linux 6.12 and the other architectures
    #[arg(long)]
    pub all: bool,
    /// Only on this machine
    #[arg(long, conflicts_with = "vm_only")]
    pub host_only: bool,
    /// Only in virtual machines
    #[arg(long)]
    pub vm_only: bool,
    /// Only this kernel: 5.10, 6.1, 6.12, latest, all, or another line such as 6.18
    #[arg(long)]
    pub kernel: Option<String>,
    /// Only this architecture
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Acceleration of the virtual machines
    #[arg(long, value_enum, default_value = "auto")]
    pub accel: vm::AccelWish,
    /// Ask Debian's archive for newer kernels
    #[arg(long)]
    pub refresh: bool,
    /// Only tests whose names contain one of these
    pub filter: Vec<String>,
}

/// Runs them all; the exit status is 0 when every test ran somewhere and none failed.
pub fn run(options: &Options) -> Result<u8> {
    need_linker()?;
    mount_tracefs();
    let guests = guests(options)?;
    // Downloads go on beside the tests of this machine.
    let refresh = options.refresh;
    let wanted: Vec<_> = guests.iter().map(|guest| (guest.arch, guest.line.clone())).collect();
    let here = !options.vm_only;
    let (fetched, path) = mpsc::channel();
    let download = std::thread::spawn(move || {
        // First what is needed first.
        if here {
            let _ = fetched.send(programs::path());
        }
        for (arch, line) in wanted {
            // An error is reported when the kernel is needed.
            let _ = kernels::get(arch, &line, refresh);
        }
    });

    // Only a whole run shows whether a test runs nowhere.
    let whole = !options.host_only
        && !options.vm_only
        && options.kernel.is_none()
        && options.arch.is_none();
    let mut summary = Summary::new(whole && options.filter.is_empty());
    let made = if here { Some(build_for_host()?) } else { None };
    let host = || {
        if let Some(made) = &made {
            summary.places.push(on_host(made, &options.filter, &path)?);
        }
        Ok(())
    };
    let say = |error: &anyhow::Error| eprintln!("xtask: the tests of this machine: {error:#}");
    let suites = beside(|| guest_tests::build(&guests), host, say)?;
    let guests = guest_tests::run(&guests, &suites, options.accel, &options.filter);
    summary.places.extend(guests);
    let _ = download.join();
    summary.print();
    Ok(u8::from(!summary.good()))
}

/// Builds for virtual machines while the tests of this machine run, which wait more than they compute. Their error is said at
/// once, since the build may take minutes.
fn beside<T: Send>(
    build: impl FnOnce() -> T + Send,
    host: impl FnOnce() -> Result<()>,
    say: impl FnOnce(&anyhow::Error),
) -> Result<T> {
    std::thread::scope(|scope| {
        let build = scope.spawn(build);
        if let Err(error) = host() {
            say(&error);
            bail!("the tests of this machine did not run to their end: see above");
        }
        build.join().map_err(|_| anyhow!("the build of the tests for virtual machines panicked"))
    })
}

/// The virtual machines to use.
fn guests(options: &Options) -> Result<Vec<Guest>> {
    if options.host_only {
        return Ok(Vec::new());
    }
    let lines = match (&options.kernel, options.all) {
        (Some(word), _) => kernels::lines(word)?,
        (None, true) => kernels::LINES.map(String::from).to_vec(),
        (None, false) => ["5.10", "6.1", "latest"].map(String::from).to_vec(),
    };
    let mut guests = Vec::new();
    for line in lines {
        // Tests that need two processors find them on the newest kernel; elsewhere one is faster.
        let cpus = if line == "latest" { 2 } else { 1 };
        guests.push(Guest { arch: Arch::X86_64, line, cpus });
    }
    match options.arch {
        Some(arch) => guests.iter_mut().for_each(|guest| guest.arch = arch),
        None if options.all => {
            for arch in [Arch::Aarch64, Arch::S390x] {
                guests.push(Guest { arch, line: "6.1".into(), cpus: 1 });
            }
        }
        None => {}
    }
    Ok(guests)
}

/// Cargo needs a linker, which is not part of Rust.
fn need_linker() -> Result<()> {
    if tools::in_path("cc").is_some() {
        return Ok(());
    }
    let install = ["install", "--yes", "--no-install-recommends", "gcc", "libc6-dev"];
    if !nix::unistd::Uid::effective().is_root() {
        bail!("there is no linker here; as root: apt-get {}", install.join(" "));
    }
    eprintln!("xtask: there is no linker here: apt-get {}", install.join(" "));
    for args in [&["update"][..], &install] {
        if !Command::new("apt-get").args(args).status().context("cannot run apt-get")?.success() {
            bail!("apt-get {} failed", args.join(" "));
        }
    }
    Ok(())
}

/// Tests that trace the kernel need tracefs, which not every machine mounts.
fn mount_tracefs() {
    const PLACE: &str = "/sys/kernel/tracing";
    if Path::new(PLACE).join("events").exists() {
        return;
    }
    let flags = nix::mount::MsFlags::empty();
    match nix::mount::mount(Some("tracefs"), PLACE, Some("tracefs"), flags, None::<&str>) {
        Ok(()) => eprintln!("xtask: mounted tracefs at {PLACE}"),
        Err(e) => eprintln!(
            "xtask: tracefs is not mounted at {PLACE} and cannot be ({e}); what needs it is skipped here"
        ),
    }
}

/// Builds the tests of this machine. The lessons have none: tests of the library run them.
fn build_for_host() -> Result<Vec<Artifact>> {
    eprintln!("xtask: building the tests for this machine");
    let mut command = Command::new(build::cargo());
    let args = ["test", "--quiet", "--workspace", "--exclude", "lessons", "--no-run"];
    let mut made = build::artifacts(command.args(args))?;
    // Cargo names them in the order in which they were done.
    made.sort_by_key(binary_name);
    Ok(made)
}

/// All tests of this machine, with the `PATH` that comes, if one does, once the programs are there that tests run.
fn on_host(
    made: &[Artifact],
    filter: &[String],
    path: &Receiver<Option<OsString>>,
) -> Result<Place> {
    let rawbpf = made.iter().find(|made| made.name == "rawbpf" && made.kind == "bin" && !made.test);
    let rawbpf = rawbpf.map(|made| made.path.clone());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut place = Place::new(format!("here, Linux {}", release.trim()));
    let path = path.recv().ok().flatten();
    for program in made.iter().filter(|made| made.test) {
        run_on_host(&mut place, program, rawbpf.as_deref(), path.as_deref(), filter)?;
    }
    documentation(&mut place, filter)?;
    Ok(place)
}

fn run_on_host(
    place: &mut Place,
    program: &Artifact,
    rawbpf: Option<&Path>,
    path: Option<&OsStr>,
    filter: &[String],
) -> Result<()> {
    let scratch = paths::Scratch::new()?;
    let ledger = scratch.path().join("ledger");
    let mut command = Command::new(&program.path);
    command
        .args(filter)
        .current_dir(&program.folder)
        // The variables that cargo sets for tests; ours are those of this program.
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("CARGO_PKG_NAME", &program.package)
        .env("RAWBPF_TEST_LEDGER", &ledger);
    if let Some(rawbpf) = rawbpf {
        command.env("RAWBPF_BIN", rawbpf);
    }
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let name = binary_name(program);
    let done = run_limited(&mut command, scratch.path(), HOST_LIMIT)?;
    let ledger = fs::read_to_string(&ledger).unwrap_or_default();
    let mut results = libtest::read(&done.stdout, &ledger);
    if done.timed_out {
        results.complaint = Some(format!("it did not end within {} s", HOST_LIMIT.as_secs()));
    }
    place.add(&name, results, done.took, done.good, &done.stdout, &done.stderr);
    Ok(())
}

/// The tests in documentation, which only cargo can run.
fn documentation(place: &mut Place, filter: &[String]) -> Result<()> {
    let scratch = paths::Scratch::new()?;
    let mut command = Command::new(build::cargo());
    command
        .args(["test", "--doc", "--package", "rawbpf", "--"])
        .args(filter)
        .current_dir(paths::workspace());
    let done = run_limited(&mut command, scratch.path(), HOST_LIMIT)?;
    let mut results = libtest::read(&done.stdout, "");
    // An example that is marked as not to be compiled is no test.
    results.tests.retain(|_, status| !matches!(status, Status::Skipped(_)));
    if done.timed_out {
        results.complaint = Some(format!("it did not end within {} s", HOST_LIMIT.as_secs()));
    }
    place.add("doc", results, done.took, done.good, &done.stdout, &done.stderr);
    Ok(())
}

/// The name of a test program: `lib`, the name of the file in tests/, and for other packages the package's.
pub fn binary_name(program: &Artifact) -> String {
    match (program.package.as_str(), program.kind.as_str()) {
        ("rawbpf", "lib" | "rlib") => "lib".into(),
        ("rawbpf", "bin") => "main".into(),
        ("rawbpf", "example") => format!("example-{}", program.name),
        ("rawbpf", _) => program.name.clone(),
        (package, _) => package.into(),
    }
}

struct Done {
    stdout: String,
    stderr: String,
    good: bool,
    timed_out: bool,
    took: Duration,
}

/// Runs with its output in files, so that a program which leaves a process running delays nothing.
fn run_limited(command: &mut Command, folder: &Path, limit: Duration) -> Result<Done> {
    let name = command.get_program().to_string_lossy().into_owned();
    let file = |name: &str| -> Result<(PathBuf, File)> {
        let path = folder.join(name);
        let file = File::create(&path)?;
        Ok((path, file))
    };
    let (out_path, out) = file("stdout")?;
    let (err_path, err) = file("stderr")?;
    let start = Instant::now();
    let mut child = Owned::spawn(command.stdin(Stdio::null()).stdout(out).stderr(err))
        .with_context(|| format!("cannot run {name}"))?;
    let status = loop {
        match child.0.try_wait()? {
            Some(status) => break Some(status),
            None if start.elapsed() > limit => break None,
            None => std::thread::sleep(Duration::from_millis(3)),
        }
    };
    drop(child);
    let text =
        |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Done {
        stdout: text(&out_path)?,
        stderr: text(&err_path)?,
        good: status.is_some_and(|status| status.success()),
        timed_out: status.is_none(),
        took: start.elapsed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_this_machine_is_said_before_the_build_is_done() {
        let (said, heard) = mpsc::channel();
        let mut was_heard = false;
        let set = &mut was_heard;
        let build = move || *set = heard.recv_timeout(Duration::from_secs(60)).is_ok();
        let say = |error: &anyhow::Error| said.send(error.to_string()).unwrap();
        let done = beside(build, || bail!("no rights"), say);
        assert!(done.unwrap_err().to_string().contains("see above"));
        assert!(was_heard, "the build ended first");
    }

    #[test]
    fn what_is_built_beside_the_tests_is_returned() {
        let say = |error: &anyhow::Error| panic!("{error}");
        assert_eq!(beside(|| 7, || Ok(()), say).unwrap(), 7);
        let done = beside(|| -> u32 { panic!("as it should") }, || Ok(()), say);
        assert!(done.unwrap_err().to_string().contains("panicked"));
    }
}
