//! Requirements of a test on the machine it runs on: `needs!(Bpf, Kprobe);` as its first line.
//!
//! A test whose need is not met reports that and returns: a line on standard error, and the same line at
//! the end of the file that `RAWBPF_TEST_LEDGER` names, if it names one:
//!
//! `skipped`, the test's name and what is missing, `bpf: this process has neither …`, with tabs in
//! between.
//!
//! To libtest such a test has passed. `cargo xtask` reads the ledgers of the host and of the
//! virtual machines, and fails if a test was skipped in all of them.
//!
//! Unit tests reach this as `crate::needs`, tests against the kernel as `common::needs`, both with
//! `use …::requires::{Thing, needs};`. So nothing here may use the crate, nor probe
//! with the code under test: the answers come from the kernel's own files.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses some of it")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The things that a test can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    /// The user root.
    Root,
    /// Loading tracing programs, making maps, opening perf events of every process.
    Bpf,
    /// A mounted tracefs, and the right to read it.
    Tracefs,
    /// Attaching to kernel functions by `perf_event_open(2)` (Linux 4.17, `CONFIG_KPROBE_EVENTS`).
    Kprobe,
    /// A kernel without kprobes: its error messages, and the fallbacks.
    NoKprobe,
    /// Attaching to functions of programs and libraries (Linux 4.17, `CONFIG_UPROBE_EVENTS`).
    Uprobe,
    /// Attaching to tracepoints: they are found in tracefs.
    Tracepoint,
    /// The kernel's own types, `/sys/kernel/btf/vmlinux` (Linux 5.4, `CONFIG_DEBUG_INFO_BTF`).
    Btf,
    /// A JIT (`CONFIG_BPF_JIT`) that makes trampolines: kernel functions and callbacks want one, too.
    Jit,
    /// Security hooks that programs can be attached to (Linux 5.7, `CONFIG_BPF_LSM`).
    Lsm,
    /// More than one CPU that runs.
    TwoCpus,
    /// A CPU that can be taken offline and back, in a machine where that disturbs nobody.
    OfflineCpu,
    /// The cargo that built this test, to build something with.
    Cargo,
    /// GNU printf(1) and date(1), to print beside them.
    Coreutils,
}

/// Continues with the test if all of them are present; else records it as skipped and returns from it.
///
/// In a function that returns nothing or `Result<(), _>`; with [`Thing`] in scope.
macro_rules! needs {
    ($($thing:ident),+ $(,)?) => {$(
        if let Some(why) = Thing::$thing.missing() {
            fn here() {}
            return Thing::$thing.skip(&why, here);
        }
    )+};
}
pub(crate) use needs;

/// As `needs!`, for things that only the test itself can determine, by trying: the name in the ledger, and why it is
/// missing (`Some`) or that it is not.
macro_rules! needs_tried {
    ($name:literal, $missing:expr) => {
        if let Some(why) = $missing {
            fn here() {}
            return $crate::common::requires::skip($name, &why, here);
        }
    };
}
pub(crate) use needs_tried;

/// Returns the reason why a feature is missing on AArch64 before a version, on such a kernel.
fn arm64_before(version: (u32, u32), lacks: &str) -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    let here = (numbers.next()?, numbers.next()?);
    let old = cfg!(target_arch = "aarch64") && here < version;
    old.then(|| format!("Linux {} on AArch64: {lacks}", release.trim()))
}

/// The return type of a skipped test.
pub(crate) trait Passed {
    fn passed() -> Self;
}

impl Passed for () {
    fn passed() {}
}

impl<E> Passed for Result<(), E> {
    fn passed() -> Self {
        Ok(())
    }
}

const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

impl Thing {
    /// Returns the reason why it is missing; `None` if it is present.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Thing::Root => match status("Uid:")
                .and_then(|ids| Some(ids.split_whitespace().nth(1)?.to_owned()))
            {
                Some(id) if id == "0" => None,
                Some(id) => Some(format!("the effective user is {id}")),
                None => Some("/proc/self/status does not say who this is".into()),
            },
            Thing::Bpf => file("/proc/sys/kernel/unprivileged_bpf_disabled", "CONFIG_BPF_SYSCALL")
                .or_else(|| file("/proc/sys/kernel/perf_event_paranoid", "CONFIG_PERF_EVENTS"))
                .or_else(|| {
                    let caps =
                        status("CapEff:").and_then(|caps| u64::from_str_radix(&caps, 16).ok());
                    let has = |cap: u32| caps.is_some_and(|caps| caps & (1u64 << cap) != 0);
                    let enough = has(CAP_SYS_ADMIN) || has(CAP_BPF) && has(CAP_PERFMON);
                    (!enough).then(|| {
                        "this process has neither CAP_SYS_ADMIN nor CAP_BPF and CAP_PERFMON".into()
                    })
                }),
            Thing::Tracefs => {
                let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
                let mounted: Vec<&str> = mounts
                    .lines()
                    .filter_map(|line| {
                        let mut words = line.split(' ').skip(1);
                        let (place, kind) = (words.next()?, words.next()?);
                        (kind == "tracefs").then_some(place)
                    })
                    .collect();
                match mounted.as_slice() {
                    [] => Some("tracefs is not mounted".into()),
                    places => {
                        let readable =
                            |place: &&&str| fs::read_dir(Path::new(place).join("events")).is_ok();
                        let none = places.iter().find(readable).is_none();
                        none.then(|| format!("{}/events cannot be read", places.join(", ")))
                    }
                }
            }
            Thing::Kprobe => Thing::Bpf.missing().or_else(|| {
                file("/sys/bus/event_source/devices/kprobe", "Linux 4.17 with CONFIG_KPROBE_EVENTS")
            }),
            Thing::NoKprobe => Thing::Bpf.missing().or_else(|| {
                let missing = Thing::Kprobe.missing().is_some();
                (!missing).then(|| "this kernel has kprobes".into())
            }),
            Thing::Uprobe => Thing::Bpf.missing().or_else(|| {
                file("/sys/bus/event_source/devices/uprobe", "Linux 4.17 with CONFIG_UPROBE_EVENTS")
            }),
            Thing::Tracepoint => Thing::Bpf.missing().or_else(|| Thing::Tracefs.missing()),
            Thing::Btf => file("/sys/kernel/btf/vmlinux", "Linux 5.4 with CONFIG_DEBUG_INFO_BTF"),
            Thing::Jit => file("/proc/sys/net/core/bpf_jit_enable", "CONFIG_BPF_JIT")
                .or_else(|| arm64_before((6, 0), "its JIT makes no trampolines")),
            Thing::Lsm => {
                let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
                let hook = symbols.lines().any(|line| line.ends_with(" bpf_lsm_file_open"));
                let none = (!hook).then(|| "this kernel was built without CONFIG_BPF_LSM".into());
                none.or_else(|| arm64_before((6, 4), "ftrace has no direct calls"))
            }
            Thing::OfflineCpu => {
                // A test that is killed leaves the CPU offline: only in a VM.
                file("/vm/orders", "a virtual machine of these tests")
                    .or_else(|| Thing::TwoCpus.missing())
                    .or_else(|| {
                        file(
                            "/sys/devices/system/cpu/cpu1/online",
                            "CONFIG_HOTPLUG_CPU, and no firmware against it",
                        )
                    })
            }
            Thing::Cargo => file(env!("CARGO"), "a machine to build on"),
            Thing::Coreutils => ["/usr/bin/printf", "/usr/bin/date"].into_iter().find_map(|path| {
                let version = std::process::Command::new(path).arg("--version").output();
                let gnu = version.is_ok_and(|output| {
                    String::from_utf8_lossy(&output.stdout).contains("GNU coreutils")
                });
                (!gnu).then(|| format!("{path} is not that of the GNU coreutils"))
            }),
            Thing::TwoCpus => {
                let online =
                    fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
                let several = online.contains(['-', ',']);
                (!several).then(|| format!("the CPUs that run are {}", online.trim()))
            }
        }
    }

    /// Its name in the ledger.
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Records that the test around `here`, an item in it, is skipped; gives what the test is to
    /// return.
    pub(crate) fn skip<F: Fn(), P: Passed>(self, why: &str, here: F) -> P {
        skip(&self.name(), why, here)
    }
}

/// Records that the test around `here`, an item in it, is skipped for want of `thing`; gives what the test
/// is to return.
pub(crate) fn skip<F: Fn(), P: Passed>(thing: &str, why: &str, here: F) -> P {
    let line = line(thing, why, test_name(&here));
    eprint!("{line}");
    if let Some(ledger) = std::env::var_os("RAWBPF_TEST_LEDGER") {
        // Opened for appending and written at once: tests that run at the same time do not mix
        // their lines.
        let written = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&ledger)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "cannot write {}: {written:?}", ledger.display());
    }
    P::passed()
}

fn line(thing: &str, why: &str, test: &str) -> String {
    format!("skipped\t{test}\t{thing}: {why}\n")
}

/// The name that libtest gives to the test around `_here`: its path without the crate's name. (The
/// thread's name will not do: with `--test-threads=1` tests run on the main thread.)
fn test_name<F: Fn()>(_here: &F) -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.strip_suffix("::here").unwrap_or(path);
    let path = path.strip_suffix("::{{closure}}").unwrap_or(path);
    path.split_once("::").map_or(path, |(_crate, path)| path)
}

/// Returns the reason why there is no `path`; `brings` is what would have created it.
fn file(path: &str, brings: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("there is no {path} ({brings})"))
}

/// A line of `/proc/self/status`, without its label.
fn status(label: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(label)?.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Thing, line, test_name};

    #[test]
    fn a_test_knows_its_own_name() {
        fn here() {}
        let name = test_name(&here);
        assert!(name.ends_with("requires::tests::a_test_knows_its_own_name"), "{name}");
        // On the main thread (`--test-threads=1`) there is nothing to compare it with.
        if let Some(libtest) = std::thread::current().name().filter(|name| *name != "main") {
            assert_eq!(name, libtest);
        }
        let in_a_closure = || {
            fn here() {}
            test_name(&here)
        };
        let name = in_a_closure();
        assert!(name.ends_with("requires::tests::a_test_knows_its_own_name"), "{name}");
    }

    #[test]
    fn a_skipped_test_leaves_one_line() {
        assert_eq!(
            line("twocpus", "the CPUs that run are 0", "perf::tests::fair"),
            "skipped\tperf::tests::fair\ttwocpus: the CPUs that run are 0\n"
        );
    }

    #[test]
    fn what_there_is_lets_the_test_go_on() -> Result<(), String> {
        // Whoever runs this, one of the two is how it is, and both have to compile in a test that
        // returns a `Result`.
        let root = Thing::Root.missing().is_none();
        let reached = std::cell::Cell::new(false);
        let body = || -> Result<(), String> {
            needs!(Root);
            reached.set(true);
            Ok(())
        };
        if root {
            body()?;
            assert!(reached.get());
        }
        Ok(())
    }
}
