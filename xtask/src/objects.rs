//! `cargo xtask objects`: loads the objects of `tests/object_load/table.tsv` by libbpf and by this library on Debian's kernels.
//!
//! Guests have no compiler: the objects are made here, by each clang that is installed, and brought in with Debian's bpftool and its libraries.

use crate::apt::{self, Archive};
use crate::arch::Arch;
use crate::{build, paths, tools, vm};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

/// The compilers that are used where they are installed.
const COMPILERS: [&str; 3] = ["clang-14", "clang-19", "clang-22"];

/// The folder of the objects in the guest, with one folder for each compiler.
pub const OBJECTS: &str = "/objects";
/// The folder of bpftool in the guest.
const PEER: &str = "/peer";

/// The options of `cargo xtask objects`.
#[derive(Args)]
pub struct Options {
    /// Kernel: 5.10, 6.1, 6.12, latest, all of these one after the other, or another line such as 6.18
    #[arg(long, default_value = "all")]
    pub kernel: String,
    /// Debian's suite that bpftool comes from: bookworm has libbpf 1.1, trixie 1.5
    #[arg(long, default_value = SUITE)]
    pub suite: String,
}

/// The suite of bpftool: the newest one that does not change.
const SUITE: &str = "trixie";

/// Files for the guest: ours, and where they lie there.
pub type Files = Vec<(PathBuf, String)>;

/// Runs it; the exit status is that of the test.
pub fn run(options: &Options) -> Result<u8> {
    let mut files = objects()?.context("there is no clang here: apt-get install clang-14")?;
    files.extend(bpftool(&options.suite)?);
    let arch = Arch::X86_64;
    let made = build::for_guest(
        arch,
        &["test", "--no-run", "--package", "rawbpf", "--test", "object_load"],
    )?;
    let test = made.iter().find(|made| made.test).context("cargo made no test")?;
    files.push((test.path.clone(), "/object_load".into()));
    let file = |(ours, theirs): &(PathBuf, String)| {
        let mut pair = OsString::from(ours);
        pair.push(":");
        pair.push(theirs);
        pair
    };
    let command =
        ["/object_load", "table::every_source_is_loaded", "table::objects_that", "--nocapture"];
    vm::run(&vm::Options {
        kernel: options.kernel.clone(),
        arch,
        accel: vm::AccelWish::Auto,
        memory: None,
        cpus: 1,
        append: String::new(),
        no_tracefs: false,
        file: files.iter().map(file).collect(),
        env: vec![environment()],
        timeout: 1200,
        refresh: false,
        no_rawbpf: true,
        verbose: false,
        command: command.map(OsString::from).into(),
    })
}

/// The variable that says to tests where the objects are.
fn environment() -> String {
    format!("RAWBPF_TEST_OBJECTS={OBJECTS}")
}

/// Compiles what is newer than its object; `None` if there is no clang.
pub fn objects() -> Result<Option<Files>> {
    let sources = paths::workspace().join("tests/object_load");
    let table = sources.join("table.tsv");
    let text = fs::read_to_string(&table).context("cannot read the table of objects")?;
    let mut shared = changed(&table);
    for entry in fs::read_dir(&sources).context("cannot read the sources of objects")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "h") {
            shared = shared.max(changed(&path));
        }
    }
    let folder = paths::target()?.join("vm").join("objects");
    let (mut files, mut todo) = (Files::new(), Vec::new());
    for compiler in COMPILERS.into_iter().filter(|name| tools::in_path(name).is_some()) {
        fs::create_dir_all(folder.join(compiler))?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split('\t').collect();
            let [source, _, _, options, _] = fields[..] else {
                bail!("{}: {line}", table.display())
            };
            let (oldest, options) = oldest(options);
            if version(compiler) < oldest {
                continue;
            }
            let name = Path::new(source).with_extension("o");
            let (source, object) = (sources.join(source), folder.join(compiler).join(&name));
            if shared.max(changed(&source)) > changed(&object) || !object.exists() {
                todo.push((compiler, source, options, object.clone()));
            }
            files.push((object, format!("{OBJECTS}/{compiler}/{}", name.display())));
        }
    }
    compile(&todo)?;
    Ok((!files.is_empty()).then_some(files))
}

/// The version of the oldest compiler of a source, and the options for it: `clang-22 -mcpu=v4`.
fn oldest(options: &str) -> (u32, &str) {
    match options.split_once(' ') {
        Some((compiler, options)) if compiler.starts_with("clang-") => (version(compiler), options),
        _ => (0, options),
    }
}

/// The version of a compiler, by its name.
fn version(compiler: &str) -> u32 {
    compiler.strip_prefix("clang-").and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn changed(path: &Path) -> SystemTime {
    path.metadata().and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Compiles them, two at a time.
fn compile(todo: &[(&str, PathBuf, &str, PathBuf)]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some((compiler, source, options, object)) =
            todo.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let options = options.split_whitespace().filter(|option| *option != "-");
            let done = Command::new(compiler)
                .args(["-target", "bpf", "-g", "-O2", "-c"])
                .args(options)
                .arg(source)
                .arg("-o")
                .arg(object)
                .output()?;
            if !done.status.success() {
                bail!("{compiler} {}: {}", source.display(), String::from_utf8_lossy(&done.stderr));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let own = work();
        own.and(other.join().unwrap_or_else(|_| bail!("a compiling thread panicked")))
    })
}

/// The bpftool of a suite with its libraries, and a script that runs it.
pub fn bpftool(suite: &str) -> Result<Files> {
    let root = paths::cache()?.join("peers").join(format!("bpftool-{suite}"));
    unpacked(&root, suite)?;
    let program = root.join("usr/sbin/bpftool");
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let loader =
        ["usr/lib64", "lib64"].map(|folder| root.join(folder).join("ld-linux-x86-64.so.2"));
    let loader =
        loader.into_iter().find(|path| path.exists()).context("there is no ld.so in libc6")?;
    let mut paths_of = vec![libraries, root.join("lib/x86_64-linux-gnu")];
    paths_of.retain(|path| path.exists());
    let path = std::env::join_paths(&paths_of)?;
    let listed = Command::new(&loader)
        .arg("--library-path")
        .arg(&path)
        .arg("--list")
        .arg(&program)
        .output()
        .context("cannot ask for the libraries of bpftool")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut files = vec![(program, format!("{PEER}/bpftool")), (loader, format!("{PEER}/ld.so"))];
    for line in listed.lines() {
        // `libelf.so.1 => /…/libelf.so.1 (0x00007f…)`
        let Some((name, rest)) = line.trim().split_once(" => ") else { continue };
        let file = rest.split(" (").next().unwrap_or(rest);
        files.push((file.into(), format!("{PEER}/lib/{name}")));
    }
    let script = root.join("script");
    let body = format!("exec {PEER}/ld.so --library-path {PEER}/lib {PEER}/bpftool \"$@\"");
    tools::script(&script, &body)?;
    files.push((script, "/usr/sbin/bpftool".into()));
    Ok(files)
}

/// Sees to it that bpftool and what it needs lie below `root`; asks the network only the first time.
fn unpacked(root: &Path, suite: &str) -> Result<()> {
    let stamp = root.join(".whole");
    if stamp.exists() {
        return Ok(());
    }
    let _lock = paths::lock()?;
    if stamp.exists() {
        return Ok(());
    }
    eprintln!("xtask: fetching bpftool of {suite}");
    let arch = Arch::X86_64.debian();
    let archive =
        Archive::of_suites(&apt::mirrors()?, &format!("peer-{suite}"), arch, &[(false, suite)])?;
    let debs = archive.download_with_dependencies(&["bpftool"])?;
    if debs.is_empty() {
        bail!("apt offers no bpftool: {}", archive.complaints());
    }
    let _ = fs::remove_dir_all(root);
    for deb in debs {
        apt::unpack(&deb, root)?;
        let _ = fs::remove_file(deb);
    }
    Ok(fs::write(stamp, "")?)
}
