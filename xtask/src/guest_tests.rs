//! The tests in virtual machines: every test program in one boot of each kernel, two boots at a time.

use crate::arch::Arch;
use crate::build::{self, Artifact, Programs};
use crate::cpio::Cpio;
use crate::initramfs::{self, Orders};
use crate::kernels::{self, Kernel};
use crate::libtest::{self, Results};
use crate::qemu::{self, Accel, Machine};
use crate::report::{End, Event};
use crate::summary::Place;
use crate::test::binary_name;
use crate::{paths, vm};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time limit of one test program in a guest; emulation is ten to thirty times slower than the host.
const LIMIT: Duration = Duration::from_secs(600);
/// Memory beside the initramfs: the verifier's log of a large program alone may take hundreds of MiB.
const ROOM_MIB: u64 = 1024;
/// The file in which a test records what it lacked.
const LEDGER: &str = "/tmp/ledger";
/// Cases of a property test: they have run in full on the host, and emulation is slow.
const PROPTEST_CASES: &str = "32";

/// A virtual machine to test in.
#[derive(Clone, Debug)]
pub struct Guest {
    pub arch: Arch,
    pub line: String,
    pub cpus: u32,
}

/// The tests that one architecture's guests run.
pub struct Suite {
    programs: Programs,
    tests: Vec<Artifact>,
}

/// One boot.
struct Boot<'a> {
    guest: &'a Guest,
    kernel: Kernel,
    accel: Accel,
    suite: &'a Suite,
}

/// The tests of each architecture, or why they could not be built.
pub type Suites = HashMap<&'static str, Result<Suite>>;

/// Builds the tests for each architecture.
pub fn build(guests: &[Guest]) -> Suites {
    let mut suites = Suites::new();
    for guest in guests {
        suites.entry(guest.arch.name()).or_insert_with(|| {
            eprintln!("xtask: building the tests for virtual machines ({})", guest.arch.name());
            build_suite(guest.arch)
        });
    }
    suites
}

/// Boots each guest and collects. What could not be built or cannot be booted is a trouble of its place and keeps no other
/// from being tested.
pub fn run(
    guests: &[Guest],
    suites: &Suites,
    accel: vm::AccelWish,
    filter: &[String],
) -> Vec<Place> {
    let next = AtomicUsize::new(0);
    let places = Mutex::new(Vec::new());
    let work = || {
        while let Some((number, guest)) = {
            // The later ones in the list take longer: two processors, a larger kernel, another architecture.
            let number = guests.len().checked_sub(next.fetch_add(1, Ordering::Relaxed) + 1);
            number.map(|number| (number, &guests[number]))
        } {
            let done = match &suites[guest.arch.name()] {
                Ok(suite) => prepare(guest, suite, accel).and_then(|boot| run_one(&boot, filter)),
                Err(e) => Err(anyhow!("the tests could not be built: {e:#}")),
            };
            let place = done.unwrap_or_else(|e| {
                let mut place = Place::new(place_name(guest.arch, &guest.line));
                eprintln!("xtask: {}: {e:#}", place.name);
                place.troubles.push(format!("{e:#}"));
                place
            });
            places.lock().unwrap_or_else(PoisonError::into_inner).push((number, place));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let mut places = places.into_inner().unwrap_or_else(PoisonError::into_inner);
    places.sort_by_key(|(number, _)| *number);
    places.into_iter().map(|(_, place)| place).collect()
}

fn prepare<'a>(guest: &'a Guest, suite: &'a Suite, accel: vm::AccelWish) -> Result<Boot<'a>> {
    let kernel = kernels::get(guest.arch, &guest.line, false)?;
    let accel = {
        // The trial of KVM is made once, not by both threads.
        let _lock = paths::lock()?;
        vm::accel(accel, guest.arch, &kernel, &suite.programs)?
    };
    Ok(Boot { guest, kernel, accel, suite })
}

fn place_name(arch: Arch, version: &str) -> String {
    match arch {
        Arch::X86_64 => format!("Linux {version}"),
        other => format!("Linux {version} {}", other.name()),
    }
}

fn build_suite(arch: Arch) -> Result<Suite> {
    let made = build::for_guest(
        arch,
        &["test", "--no-run", "--package", "rawbpf", "--lib", "--bins", "--tests"],
    )?;
    let mut programs = build::programs(arch, false)?;
    let rawbpf = made.iter().find(|made| made.name == "rawbpf" && made.kind == "bin" && !made.test);
    programs.rawbpf = match rawbpf {
        Some(rawbpf) => Some(rawbpf.path.clone()),
        None => build::programs(arch, true)?.rawbpf,
    };
    let mut tests: Vec<_> = made.into_iter().filter(|made| made.test).collect();
    tests.sort_by_key(binary_name);
    if tests.is_empty() {
        bail!("cargo made no test programs");
    }
    Ok(Suite { programs, tests })
}

fn run_one(boot: &Boot, filter: &[String]) -> Result<Place> {
    let initramfs = initramfs(boot, filter)?;
    let version = boot.kernel.version.split(['-', '~']).next().unwrap_or(&boot.kernel.version);
    let mut place = Place::new(place_name(boot.guest.arch, version));
    let machine = Machine {
        arch: boot.guest.arch,
        accel: boot.accel,
        cpus: boot.guest.cpus,
        memory_mib: qemu::memory_for(initramfs.len(), ROOM_MIB),
        append: "",
        kernel: &boot.kernel,
        initramfs: &initramfs,
        boot_limit: Duration::from_secs(180),
        limit: LIMIT * 3,
    };
    let mut reports: Vec<Report> = Vec::new();
    let mut notes = Vec::new();
    let outcome = qemu::run(&machine, |event| {
        match (event, reports.last_mut()) {
            (Event::Started(name), _) => reports.push(Report { name, ..Report::default() }),
            (Event::Stdout(bytes), Some(report)) => report.stdout.extend(bytes),
            (Event::Stderr(bytes), Some(report)) => report.stderr.extend(bytes),
            (Event::Ledger(bytes), Some(report)) => report.ledger.extend(bytes),
            (Event::Ended(end, millis), Some(report)) => report.end = Some((end, millis)),
            (Event::Note(note), _) => notes.push(note),
            _ => {}
        }
        Ok(())
    })?;
    for report in &reports {
        add(&mut place, report);
    }
    // A kernel with too little memory drops files without a word, so what came back is counted.
    for test in &boot.suite.tests {
        let name = binary_name(test);
        if !reports.iter().any(|report| report.name == name) {
            place.troubles.push(format!("{name}: there is no report of it"));
        }
    }
    place.troubles.extend(outcome.trouble);
    // A program that was ended for want of memory, a warning of the kernel: the console has it.
    if !place.troubles.is_empty() && !outcome.console.trim().is_empty() {
        eprintln!(
            "xtask: {}: {}; the console's last lines:",
            place.name,
            place.troubles.join("; ")
        );
        eprintln!("{}", qemu::console_tail(&outcome.console, 60));
    }
    for note in notes {
        eprintln!("xtask: {}: {note}", place.name);
    }
    // The boot is part of it.
    place.took = outcome.took;
    Ok(place)
}

/// The report of one test program.
#[derive(Default)]
struct Report {
    name: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ledger: Vec<u8>,
    end: Option<(End, u64)>,
}

fn add(place: &mut Place, report: &Report) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&report.stdout), text(&report.stderr));
    let mut results: Results = libtest::read(&stdout, &text(&report.ledger));
    match report.end {
        Some((End::Exit(_), _)) => {}
        Some((End::Signal(number), _)) => {
            results.complaint = Some(format!("signal {number} ended it"))
        }
        Some((End::Timeout, _)) => {
            results.complaint = Some(format!("it did not end within {} s", LIMIT.as_secs()))
        }
        None => results.complaint = Some("its end was not reported".into()),
    }
    let took = Duration::from_millis(report.end.map_or(0, |(_, millis)| millis));
    place.add(
        &report.name,
        results,
        took,
        matches!(report.end, Some((End::Exit(0), _))),
        &stdout,
        &stderr,
    );
}

fn initramfs(boot: &Boot, filter: &[String]) -> Result<Vec<u8>> {
    let mut cpio = initramfs::base(boot.guest.arch, &boot.kernel, &boot.suite.programs)?;
    // Tests may read files of the package by the path that was compiled into them.
    let root = paths::workspace();
    cpio.folder(&root.to_string_lossy());
    for folder in ["tests", "examples"] {
        data_files(&mut cpio, &root.join(folder))?;
    }
    if let Some(rawbpf) = &boot.suite.programs.rawbpf {
        // So does a test that uses `CARGO_BIN_EXE_rawbpf`.
        cpio.link(&rawbpf.to_string_lossy(), initramfs::RAWBPF);
    }
    let mut orders = Orders::new(boot.guest.arch);
    orders.tracefs();
    for test in &boot.suite.tests {
        let name = binary_name(test);
        let place = format!("/tests/{name}");
        initramfs::add(&mut cpio, &test.path, &place)?;
        orders.job(&name, LIMIT);
        orders.arg(&place);
        orders.arg("--test-threads=1");
        filter.iter().for_each(|word| orders.arg(word));
        orders.cwd(root);
        orders.env("CARGO_MANIFEST_DIR", root);
        orders.env("CARGO_PKG_NAME", "rawbpf");
        orders.env("RAWBPF_TEST_LEDGER", LEDGER);
        orders.env("PROPTEST_CASES", PROPTEST_CASES);
        orders.ledger(LEDGER);
    }
    Ok(initramfs::finish(cpio, &orders))
}

/// Everything below `folder` that is not Rust.
fn data_files(cpio: &mut Cpio, folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if path.is_dir() {
            data_files(cpio, &path)?;
        } else if path.is_file() && path.extension().is_none_or(|extension| extension != "rs") {
            initramfs::add(cpio, &path, &path.to_string_lossy())?;
        }
    }
    Ok(())
}
