//! Loading an object of 200 programs, beside libbpf:
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --features objects --bin objects`, as root.
//!
//! The programs are those of sources in `tests/object_load`, each many times under other names, compiled by clang: CO-RE relocations of
//! all kinds, functions, callbacks, maps, data. Each load is a process of its own, and they take turns; figures are medians of the
//! processor time of the process, with that of the kernel for it, which verifies the programs. A process that does nothing is subtracted.
//! `ROUNDS` sets their number; with `KEEP` the object stays in the folder of temporary files.

use libbpf_sys as libbpf;
use rawbpf::Loader;
use rawbpf::object::Object;
use std::ffi::{CStr, CString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PROGRAMS: usize = 200;

/// Sources whose declarations go together, with 10 programs.
const SOURCES: [&str; 7] = [
    "core.c",
    "fn_static.c",
    "fn_loop.c",
    "map_trie.c",
    "data_addresses.c",
    "code_jumps.c",
    "code_wide.c",
];

/// The loads, and what is done before either: nothing else.
const LOADS: [&str; 4] = ["nothing", "rawbpf", "libbpf", "read"];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if let [_, load, file] = &args[..] {
        return one(load, Path::new(file));
    }
    let folder = std::env::temp_dir().join(format!("rawbpf-objects-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = measured(&folder);
    if std::env::var_os("KEEP").is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    done
}

fn measured(folder: &Path) -> Result<()> {
    let file = object(folder)?;
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(21);
    let mut times = LOADS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (load, times) in LOADS.iter().zip(&mut times) {
            times.push(processor_time(load, &file)?);
        }
    }
    let [nothing, ours, theirs, read] = times.map(|mut times: Vec<[Duration; 2]>| {
        let mut median = |of: fn(&[Duration; 2]) -> Duration| {
            times.sort_by_key(of);
            of(&times[times.len() / 2])
        };
        [median(|[user, _]| *user), median(|[_, kernel]| *kernel), median(|[one, two]| *one + *two)]
    });
    println!(
        "{} bytes, {rounds} rounds; ms of processor time, medians",
        std::fs::metadata(&file)?.len()
    );
    println!("| load | user | kernel | both |\n|---|---|---|---|");
    for (name, times) in [("rawbpf", ours), ("libbpf", theirs), ("rawbpf, not loaded", read)] {
        let [user, kernel, both] =
            std::array::from_fn(|of| times[of].saturating_sub(nothing[of]).as_secs_f64() * 1e3);
        println!("| {name} | {user:.1} | {kernel:.1} | {both:.1} |");
    }
    let both = |times: [Duration; 3]| times[2].saturating_sub(nothing[2]).as_secs_f64();
    println!("rawbpf beside libbpf: {:.2}", both(ours) / both(theirs));
    Ok(())
}

/// Compiles the programs.
fn object(folder: &Path) -> Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/object_load");
    let (mut declared, mut programs) = (String::from("#include \"maps.h\"\n"), Vec::new());
    for source in SOURCES {
        let text = std::fs::read_to_string(tests.join(source))?;
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("#include"))
            .map(|line| format!("{line}\n"))
            .collect();
        let (before, _) = text.split_once("\nSEC(\"").ok_or("no program")?;
        declared += before;
        declared += "\n";
        for program in text[before.len()..].split("\nSEC(\"").skip(1) {
            let (head, body) = program.split_once('(').ok_or("no parameters")?;
            programs.push((format!("SEC(\"{head}"), body.to_owned()));
        }
    }
    let mut text = declared;
    for number in 0..PROGRAMS {
        let (head, body) = &programs[number % programs.len()];
        text += &format!("{head}_{number}({body}\n");
    }
    let (source, file) = (folder.join("many.c"), folder.join("many.o"));
    std::fs::write(&source, text)?;
    let compiler = ["clang", "clang-14", "clang-19"];
    let is_there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let compiler = compiler.iter().find(is_there).ok_or("there is no clang")?;
    let done = Command::new(compiler)
        .args(["-target", "bpf", "-g", "-O2", "-c", "-I"])
        .arg(tests)
        .arg(&source)
        .arg("-o")
        .arg(&file)
        .status()?;
    if !done.success() {
        return Err("clang has failed".into());
    }
    Ok(file)
}

/// Starts itself, and returns what the processor has spent on that: in user mode, and in the kernel.
fn processor_time(load: &str, file: &Path) -> Result<[Duration; 2]> {
    let child = Command::new(std::env::current_exe()?).arg(load).arg(file).spawn()?;
    // SAFETY: a rusage is numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both places are this function's, and nobody else waits for the child.
    let pid = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    let status = std::process::ExitStatus::from_raw(status);
    if pid < 0 || !status.success() {
        return Err(format!("{load}: {status}").into());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok([time(usage.ru_utime), time(usage.ru_stime)])
}

/// One load.
fn one(load: &str, file: &Path) -> Result<()> {
    let count = match load {
        "rawbpf" => {
            let object = Object::read(&std::fs::read(file)?)?;
            let collection = object.collection("many.o")?;
            Loader::new().load_collection(&collection)?.len()
        }
        "read" => Object::read(&std::fs::read(file)?)?.collection("many.o")?.programs().len(),
        "libbpf" => by_libbpf(file)?,
        _ => PROGRAMS,
    };
    match count {
        PROGRAMS => Ok(()),
        other => Err(format!("{load}: {other} programs").into()),
    }
}

fn by_libbpf(file: &Path) -> Result<usize> {
    let path = CString::new(file.to_str().ok_or("no UTF-8")?)?;
    // SAFETY: the path lives as long as the call, and the object is closed once, after all that is asked of it.
    unsafe {
        let object = libbpf::bpf_object__open_file(path.as_ptr(), std::ptr::null());
        if object.is_null() {
            return Err("libbpf cannot open it".into());
        }
        if libbpf::bpf_object__load(object) != 0 {
            return Err("libbpf cannot load it".into());
        }
        let mut count = 0;
        let mut program = libbpf::bpf_object__next_program(object, std::ptr::null_mut());
        while !program.is_null() {
            let section = CStr::from_ptr(libbpf::bpf_program__section_name(program));
            count += usize::from(
                section.to_bytes() != b".text" && libbpf::bpf_program__fd(program) >= 0,
            );
            program = libbpf::bpf_object__next_program(object, program);
        }
        libbpf::bpf_object__close(object);
        Ok(count)
    }
}
