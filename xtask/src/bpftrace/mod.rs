//! `cargo xtask bpftrace-tests`: the tests that Debian's bpftrace 0.17 came with, run with `rawbpf bt`.
//!
//! The suite is fetched as data and run by an engine of our own, which does what the suite's does. What passes with
//! bpftrace itself on the same machine stands beside.

mod features;
mod format;
mod guest;
mod ledger;
mod outcome;
mod pattern;
mod processes;
mod runner;
mod shell;
mod stage;
mod suite;
mod verdict;

pub use guest::{GuestOptions, run_in_guest};

use crate::{build, paths, tools};
use anyhow::{Context, Result, bail};
use clap::Args;
use format::Test;
use ledger::Entry;
use outcome::{End, Outcome, Outcomes};
use runner::Setting;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use suite::Suite;
use verdict::Rules;

/// Folders in which shell commands of the suite find programs; the user's own are not among them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The shell of the suite. Signals that end this program are blocked in it and so in all that it starts, but tests are about
/// them.
const SHELL: [&str; 3] = ["/usr/bin/env", "--default-signal=INT,TERM,HUP", "/bin/sh"];

/// The options of `cargo xtask bpftrace-tests`.
#[derive(Args)]
pub struct Options {
    /// Run everything: the tests, the tools, and in a virtual machine what this one lacks something for
    #[arg(long)]
    all: bool,
    /// Compile the tools that bpftrace comes with instead of running its tests
    #[arg(long)]
    tools: bool,
    /// Run Debian's bpftrace 0.17 and keep its results, which then stand beside ours
    #[arg(long)]
    peer: bool,
    /// Run this program, called as bpftrace, instead of the `rawbpf` built here
    #[arg(long, value_name = "PROGRAM", conflicts_with = "peer")]
    command: Option<PathBuf>,
    /// Only tests whose names contain one of these
    #[arg(long, value_name = "NAME")]
    filter: Vec<String>,
    /// Kernel of the virtual machine
    #[arg(long, default_value = "6.1")]
    kernel: String,
    /// Only in the virtual machine
    #[arg(long)]
    vm_only: bool,
    /// Multiply time limits by this, on a machine that is busy with other things
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    slow: u32,
    /// List the tests with their stages and needs instead of running them
    #[arg(long)]
    list: bool,
    /// Show each test, and what was expected and printed where the two differ
    #[arg(short, long)]
    verbose: bool,
}

/// Runs what is asked for; the exit status is 1 when a test is wrong.
pub fn run(options: &Options) -> Result<u8> {
    let suite = Suite::get()?;
    let mut tests = Vec::new();
    if !options.tools {
        tests.extend(suite.tests(std::env::consts::ARCH)?);
    }
    if options.all || options.tools {
        tests.extend(suite.tools(compile_only(options.peer))?);
    }
    tests.retain(|test| is_wanted(&test.id(), &options.filter));
    if tests.is_empty() {
        bail!("no test has {:?} in its name", options.filter);
    }
    if options.list {
        list(&tests, &suite.scripts());
        return Ok(0);
    }
    for test in &tests {
        // Not when hundreds have run already.
        pattern::Pattern::new(&test.expect, true)
            .with_context(|| format!("what {} expects", test.id()))?;
    }
    let mut places = Vec::new();
    if !options.vm_only {
        places.push(on_host(options, &suite, &tests)?.finish(options)?);
    }
    if options.all || options.vm_only {
        tests.retain(|test| guest::is_for(test, &suite.scripts()));
        places.push(guest::run(options, &suite, &tests)?.finish(options)?);
    }
    let several = places.len() > 1;
    let all = ledger::together(places);
    if several {
        println!("in one place or the other\n{}", ledger::show(&all));
    }
    // Failures of the peer are not counted as ours.
    Ok(u8::from(ledger::wrong(&all) > 0 && !options.peer))
}

fn list(tests: &[Test], scripts: &Path) {
    for test in tests {
        let uses = stage::of_test(test, scripts);
        let needs: Vec<&str> = uses.needs.iter().map(|need| need.name()).collect();
        println!("{:<6} {} {}", uses.stage, test.id(), needs.join(" "));
    }
}

fn is_wanted(id: &str, filter: &[String]) -> bool {
    filter.is_empty() || filter.iter().any(|word| id.contains(word.as_str()))
}

/// Outcomes of tests in one place.
struct Results<'a> {
    place: String,
    tests: &'a [Test],
    outcomes: Outcomes,
    missing: BTreeSet<stage::Need>,
    /// Scripts are read from there.
    folder: PathBuf,
    /// The peer's results on the same kernel.
    peer_file: PathBuf,
}

impl<'a> Results<'a> {
    /// Shows the ledger and keeps the peer's results.
    fn finish(&self, options: &Options) -> Result<Vec<Entry>> {
        let mut peer = outcome::load(&self.peer_file)?.unwrap_or_default();
        if options.peer {
            peer.extend(self.outcomes.clone());
            outcome::save(&peer, &self.peer_file)?;
            peer.clear();
        }
        let entries = self.entries(&peer);
        println!("\n{}\n{}", self.place, ledger::show(&entries));
        Ok(entries)
    }

    fn entries(&self, peer: &Outcomes) -> Vec<Entry> {
        let rules = rules();
        let judge = |rules: &Rules, test: &Test, outcome: &Outcome| {
            let uses = stage::of_test(test, &self.folder);
            rules.judge(&test.id(), &uses, outcome, &self.missing)
        };
        let entry = |test: &Test| {
            let id = test.id();
            let outcome = self.outcomes.get(&id)?;
            Some(Entry {
                verdict: judge(&rules, test, outcome),
                peer: peer.get(&id).map(|outcome| judge(&Rules::default(), test, outcome)),
                file: test.file.clone(),
                stage: stage::of_test(test, &self.folder).stage,
                id,
            })
        };
        self.tests.iter().filter_map(entry).collect()
    }
}

/// Reads docs/bt.md; without it nothing is refused or different by rights.
fn rules() -> Rules {
    let document = fs::read_to_string(paths::workspace().join("docs/bt.md"));
    Rules::read(&document.unwrap_or_default())
}

/// The option by which a program is compiled and not run. The peer knows none but the one that shows what it compiled.
fn compile_only(peer: bool) -> &'static str {
    if peer { "-d" } else { "--dry-run" }
}

/// Runs tests on this machine.
fn on_host<'a>(options: &Options, suite: &Suite, tests: &'a [Test]) -> Result<Results<'a>> {
    let program = program(options)?;
    private_mounts()?;
    let scratch = paths::Scratch::new()?;
    let folder = scratch.path().join("suite");
    suite.lay_out(&folder)?;
    let bin = scratch.path().join("bin");
    fs::create_dir_all(&bin)?;
    symlink(&program.program, bin.join("bpftrace"))?;
    for (name, body) in processes::scripts(&folder) {
        tools::script(&bin.join(name), &body)?;
    }
    let bpftrace = bin.join("bpftrace");
    let mut env = Vec::new();
    for (key, value) in program.command().get_envs() {
        if let (Some(key), Some(value)) = (key.to_str(), value.and_then(|value| value.to_str())) {
            env.push((key.to_string(), value.to_string()));
        }
    }
    let mut features =
        features::ask(Command::new(&bpftrace).envs(env.iter().map(|(key, value)| (key, value))));
    // What bpftrace has here is tried with ours, whatever ours says.
    if !options.peer
        && let Ok(peer) = suite::peer()
    {
        features.extend(features::ask(&mut peer.command()));
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim().to_string();
    let setting = Setting {
        folder: folder.clone(),
        bpftrace,
        env,
        shell: &SHELL,
        path: format!("{}:{PATH}", bin.display()),
        features,
        kernel: release.clone(),
        slow: options.slow,
    };
    let mut outcomes = Outcomes::new();
    for test in tests {
        let outcome = runner::run(test, &setting)
            .with_context(|| format!("cannot run the test {}", test.id()))?;
        tell(test, &outcome, options.verbose);
        outcomes.insert(test.id(), outcome);
    }
    // The scripts that tests name have to be there when stages are told, after the folder has gone.
    Ok(Results {
        place: format!("here, Linux {release}"),
        tests,
        outcomes,
        missing: features::missing(&setting.features),
        folder: suite.scripts(),
        peer_file: suite::folder()?.join(format!("peer-{release}.jsonl")),
    })
}

/// The program to test.
fn program(options: &Options) -> Result<tools::Tool> {
    if options.peer {
        return suite::peer();
    }
    let program = match &options.command {
        Some(program) => {
            program.canonicalize().with_context(|| format!("no program {}", program.display()))?
        }
        None => {
            let mut command = Command::new(build::cargo());
            command.args(["build", "--quiet", "--package", "rawbpf", "--bin", "rawbpf"]);
            let made = build::artifacts(&mut command)?;
            let made = made.into_iter().find(|made| made.name == "rawbpf" && made.kind == "bin");
            made.context("cargo made no rawbpf")?.path
        }
    };
    Ok(tools::Tool { program, root: None })
}

/// bpftrace 0.17 and tests of its suite look into debugfs. Who does not see this run's mounts is not to see another.
fn private_mounts() -> Result<()> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS).context("the suite needs root")?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).context("no private mounts")?;
    for (kind, place) in [("debugfs", "/sys/kernel/debug"), ("tracefs", "/sys/kernel/tracing")] {
        if fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some()) {
            continue;
        }
        if let Err(e) = mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>) {
            eprintln!("xtask: cannot mount {kind} at {place}: {e}");
        }
    }
    Ok(())
}

/// Shows a test that has run.
fn tell(test: &Test, outcome: &Outcome, verbose: bool) {
    if !verbose {
        return;
    }
    eprintln!("{:?} {} ({} ms)", outcome.end, test.id(), outcome.millis);
    if matches!(outcome.end, End::Failed | End::TimedOut) {
        eprintln!("    command:  {}\n    expected: {}", test.text(), test.expect);
        eprintln!("    status:   {:?}", outcome.status);
        for line in outcome.output.lines().take(40) {
            eprintln!("    | {line}");
        }
    }
}
