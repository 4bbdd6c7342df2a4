//! The tests that need what this machine's kernel lacks, kprobes above all, in a virtual machine: this program goes there
//! with the suite, runs them and reports each in a line.

use super::format::Test;
use super::outcome::{self, Outcome, Outcomes};
use super::runner::{self, Setting};
use super::suite::{self, Suite};
use super::{Options, Results, compile_only, features, stage, tell};
use crate::arch::Arch;
use crate::cpio::Cpio;
use crate::initramfs::{self, Orders};
use crate::qemu::{self, Machine};
use crate::report::{End, Event};
use crate::tools::Tool;
use crate::{build, kernels, paths, tools, vm};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The suite's folder in the guest.
const FOLDER: &str = "/suite";
/// Time limits are those of a real machine times this.
const SLOW: u32 = 6;
/// The time limit of all tests together.
const LIMIT: Duration = Duration::from_secs(3000);
/// The suite sets probes in it.
const BASH: &str = "/bin/bash";
const GUEST_PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin";

/// The features of the kernel that the peer has used there, one a line.
const FEATURES_OF_PEER: &str = "/suite-features";

/// Features of kernels that not every machine's has.
const FEATURES: [&str; 6] =
    ["kfunc", "kprobe_multi", "iter:task", "iter:task_file", "dpath", "skboutput"];

/// Whether a test is run in a virtual machine: it needs something that kernels may lack, or tools that the guest has.
pub fn is_for(test: &Test, scripts: &Path) -> bool {
    let uncommon =
        |text: &str| text.starts_with('/') || text.contains("/proc/") || text.contains("/sys/");
    !stage::of_test(test, scripts).needs.is_empty()
        || test.features.iter().any(|feature| FEATURES.contains(&feature.as_str()))
        || test.requires.iter().any(|text| uncommon(text))
}

/// The options of the part that runs in the guest.
#[derive(Args)]
pub struct GuestOptions {
    /// Names of the tests, one a line
    wanted: PathBuf,
    /// The program to test is the peer
    #[arg(long)]
    peer: bool,
}

/// Runs tests in the guest and prints what they came to.
pub fn run_in_guest(options: &GuestOptions) -> Result<u8> {
    let wanted = fs::read_to_string(&options.wanted)?;
    let wanted: BTreeSet<&str> = wanted.lines().collect();
    let folder = PathBuf::from(FOLDER);
    let bpftrace = folder.join("bin/bpftrace");
    let mut features = features::ask(&mut Command::new(&bpftrace));
    let known = fs::read_to_string(FEATURES_OF_PEER)?;
    features.extend(known.lines().map(String::from));
    let missing = features::missing(&features);
    let names: Vec<&str> = missing.iter().map(|need| need.name()).collect();
    println!("missing {}", names.join(" "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_string();
    let mut tests = suite::read_tests(&folder.join("runtime"), std::env::consts::ARCH)?;
    tests.extend(suite::read_tools(&folder.join("tools"), compile_only(options.peer))?);
    let setting = Setting {
        folder,
        bpftrace,
        env: Vec::new(),
        shell: &["/bin/sh"],
        path: GUEST_PATH.into(),
        features,
        kernel,
        slow: SLOW,
    };
    for test in tests.iter().filter(|test| wanted.contains(test.id().as_str())) {
        println!("{}", runner::run(test, &setting)?.line(&test.id()));
    }
    Ok(0)
}

/// Runs `tests` in a virtual machine.
pub fn run<'a>(options: &Options, suite: &Suite, tests: &'a [Test]) -> Result<Results<'a>> {
    let arch = Arch::X86_64;
    let line = kernels::lines(&options.kernel)?;
    let [line] = &line[..] else { bail!("one kernel at a time: --kernel {}", options.kernel) };
    let kernel = kernels::get(arch, line, false)?;
    let programs = build::programs(arch, !options.peer && options.command.is_none())?;
    let made = build::for_guest(arch, &["build", "--package", "xtask", "--bin", "xtask"])?;
    let xtask = made.iter().find(|made| made.name == "xtask").context("cargo made no xtask")?;
    let mut cpio = initramfs::base(arch, &kernel, &programs)?;
    initramfs::add(&mut cpio, &xtask.path, "/suite-runner")?;
    fill(&mut cpio, options, suite, tests)?;
    let peer_file = suite::folder()?.join(format!("peer-{}.jsonl", kernel.release));
    let peer = outcome::load(&peer_file)?.unwrap_or_default();
    let used = features_of(tests, &peer).join("\n");
    cpio.file(FEATURES_OF_PEER.trim_start_matches('/'), 0o644, used.as_bytes());
    let mut orders = Orders::new(arch);
    orders.tracefs();
    orders.job("bpftrace-tests", LIMIT);
    for arg in ["/suite-runner", "bpftrace-guest", "/suite-wanted"] {
        orders.arg(arg);
    }
    if options.peer {
        orders.arg("--peer");
    }
    let initramfs = initramfs::finish(cpio, &orders);
    let machine = Machine {
        arch,
        accel: vm::accel(vm::AccelWish::Auto, arch, &kernel, &programs)?,
        cpus: 1,
        memory_mib: qemu::memory_for(initramfs.len(), 1024),
        append: "",
        kernel: &kernel,
        initramfs: &initramfs,
        boot_limit: Duration::from_secs(180),
        limit: LIMIT + Duration::from_secs(120),
    };
    eprintln!("xtask: {} tests on Linux {}", tests.len(), kernel.release);
    let mut said = Said::default();
    let mut end = None;
    let outcome = qemu::run(&machine, |event| {
        match event {
            Event::Stdout(bytes) => {
                for (id, outcome) in said.feed(&bytes) {
                    if let Some(test) = tests.iter().find(|test| test.id() == id) {
                        tell(test, &outcome, options.verbose);
                    }
                }
            }
            Event::Stderr(bytes) => eprint!("{}", String::from_utf8_lossy(&bytes)),
            Event::Ended(how, _) => end = Some(how),
            _ => {}
        }
        Ok(())
    })?;
    if end != Some(End::Exit(0)) || outcome.trouble.is_some() {
        eprintln!("{}", qemu::console_tail(&outcome.console, 40));
        let trouble = outcome.trouble.unwrap_or_else(|| format!("the run ended by {end:?}"));
        eprintln!("xtask: Linux {}: {trouble}", kernel.release);
    }
    // A test that is not reported counts as one that did not end.
    for test in tests {
        let lost = Outcome {
            end: outcome::End::TimedOut,
            output: "no report".into(),
            status: None,
            millis: 0,
        };
        said.outcomes.entry(test.id()).or_insert(lost);
    }
    let needs = [stage::Need::Kprobes, stage::Need::Fentry];
    Ok(Results {
        place: format!("in a virtual machine, Linux {}", kernel.release),
        tests,
        outcomes: said.outcomes,
        missing: needs
            .into_iter()
            .filter(|need| said.missing.contains(&need.name().to_string()))
            .collect(),
        folder: suite.scripts(),
        peer_file,
    })
}

/// Returns the features that a bpftrace had for the tests that it did not skip: they are tried with ours, whatever ours says.
fn features_of(tests: &[Test], outcomes: &Outcomes) -> Vec<String> {
    let ran = |test: &&Test| {
        let outcome = outcomes.get(&test.id());
        outcome.is_some_and(|outcome| !matches!(outcome.end, outcome::End::Skipped(_)))
    };
    let used: BTreeSet<_> = tests.iter().filter(ran).flat_map(|test| &test.features).collect();
    used.into_iter().cloned().collect()
}

/// The lines that the guest has printed so far.
#[derive(Default)]
struct Said {
    buffer: Vec<u8>,
    outcomes: Outcomes,
    missing: Vec<String>,
}

impl Said {
    /// Takes what comes, in pieces of any size; returns the tests that it completes.
    fn feed(&mut self, bytes: &[u8]) -> Vec<(String, Outcome)> {
        self.buffer.extend_from_slice(bytes);
        let mut found = Vec::new();
        while let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(rest) = line.strip_prefix("missing ") {
                self.missing = rest.split_whitespace().map(String::from).collect();
            } else if let Some((id, outcome)) = outcome::parse(&line) {
                self.outcomes.insert(id.clone(), outcome.clone());
                found.push((id, outcome));
            }
        }
        found
    }
}

/// Puts the suite, the program to test and the libraries that they need into the guest.
fn fill(cpio: &mut Cpio, options: &Options, suite: &Suite, tests: &[Test]) -> Result<()> {
    let scratch = paths::Scratch::new()?;
    suite.lay_out(scratch.path())?;
    let wanted: Vec<String> = tests.iter().map(Test::id).collect();
    cpio.file("suite-wanted", 0o644, wanted.join("\n").as_bytes());
    cpio.folder("suite/bin");
    let mut needy: Vec<(PathBuf, Tool)> = Vec::new();
    let own = |path: &Path| Tool { program: path.into(), root: None };
    add_tree(cpio, scratch.path(), FOLDER, &mut |path| needy.push((path.into(), own(path))))?;
    let bpftrace = match (&options.command, options.peer) {
        (_, true) => Some(suite::peer()?),
        (Some(program), _) => Some(own(&program.canonicalize()?)),
        (None, _) => None,
    };
    match bpftrace {
        None => cpio.link("suite/bin/bpftrace", initramfs::RAWBPF),
        Some(tool) => {
            initramfs::add(cpio, &tool.program, "/suite/bin/bpftrace")?;
            needy.push((tool.program.clone(), tool));
        }
    }
    initramfs::add(cpio, Path::new(BASH), BASH)?;
    needy.push((BASH.into(), own(Path::new(BASH))));
    match tools::find("bpftool", &["bpftool"]) {
        Ok(tool) => {
            initramfs::add(cpio, &tool.program, "/usr/sbin/bpftool")?;
            needy.push((tool.program.clone(), tool));
        }
        Err(e) => eprintln!("xtask: the guest goes without bpftool: {e:#}"),
    }
    // Commands of the suite name it by its path.
    cpio.link("usr/bin/env", "/bin/busybox");
    let mut libraries = BTreeSet::new();
    for (path, tool) in &needy {
        for library in needed(path, tool)? {
            // One that was unpacked lies where its package would install it.
            let inside = tool.root.as_ref().and_then(|root| library.strip_prefix(root).ok());
            let theirs = inside.map_or(library.clone(), |inside| Path::new("/").join(inside));
            libraries.insert((library, theirs));
        }
    }
    for (ours, theirs) in libraries {
        initramfs::add(cpio, &ours, &theirs.to_string_lossy())?;
    }
    Ok(())
}

fn add_tree(cpio: &mut Cpio, from: &Path, to: &str, each: &mut impl FnMut(&Path)) -> Result<()> {
    for entry in fs::read_dir(from)?.flatten() {
        let path = entry.path();
        let place = format!("{to}/{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            cpio.folder(place.trim_start_matches('/'));
            add_tree(cpio, &path, &place, each)?;
        } else {
            initramfs::add(cpio, &path, &place)?;
            each(&path);
        }
    }
    Ok(())
}

/// The libraries that a program needs, its loader included, as `ldd` finds them; none if it is no such program.
fn needed(path: &Path, tool: &Tool) -> Result<Vec<PathBuf>> {
    let mut head = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    if !read.is_ok_and(|_| &head == b"\x7fELF") {
        return Ok(Vec::new());
    }
    let mut command = Command::new("ldd");
    command.arg(path);
    for (key, value) in tool.command().get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    let done = command.output().context("cannot run ldd")?;
    Ok(libraries(&String::from_utf8_lossy(&done.stdout)))
}

/// `libc.so.6 => /lib/…/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`
fn libraries(text: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let target = line.split("=>").last()?.trim();
        let path = target.split(" (").next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_need_more_go_to_the_guest() {
        let test = |program: &str| Test {
            what: crate::bpftrace::format::What::Program(program.into()),
            ..Test::default()
        };
        let goes = |test: &Test| is_for(test, Path::new("/nonexistent"));
        assert!(!goes(&test("BEGIN { exit() }")));
        assert!(goes(&test("kprobe:vfs_read { exit() }")));
        let features = |feature: &str| vec![feature.to_string()];
        assert!(goes(&Test { features: features("iter:task"), ..test("iter:task { }") }));
        assert!(!goes(&Test { features: features("btf"), ..test("BEGIN { }") }));
        let requires = |condition: &str| vec![condition.to_string()];
        assert!(goes(&Test { requires: requires("/usr/sbin/bpftool"), ..test("BEGIN { }") }));
        assert!(!goes(&Test { requires: requires("./testprogs/a b"), ..test("BEGIN { }") }));
    }

    #[test]
    fn what_the_peer_had_is_tried() {
        let test = |name: &str, feature: &str| Test {
            file: "a".into(),
            name: name.into(),
            features: vec![feature.into()],
            ..Test::default()
        };
        let tests = [test("ran", "btf"), test("skipped", "dpath"), test("new", "kfunc")];
        let ended = Outcome { end: outcome::End::Failed, ..Outcome::skipped("") };
        let outcomes = [(tests[0].id(), ended), (tests[1].id(), Outcome::skipped("dpath"))];
        assert_eq!(features_of(&tests, &outcomes.into()), ["btf"]);
    }

    #[test]
    fn libraries_are_found() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n\tlibusdt_tp.so => not found\n";
        assert_eq!(libraries(text), [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so.2")]);
        assert!(libraries("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn reports_come_in_pieces() {
        let outcome = Outcome::skipped("nft");
        let text = format!("missing fentry\n{}\nnoise\n", outcome.line("a.b"));
        for size in [1, 7, text.len()] {
            let mut said = Said::default();
            let found: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|piece| said.feed(piece)).collect();
            assert_eq!(found, [("a.b".to_string(), outcome.clone())]);
            assert_eq!(said.missing, ["fentry"]);
        }
    }
}
