//! The cost of looking up one field of the kernel: time and memory, in a process that has done nothing before.
//!
//! `cargo bench --bench btf`, on a kernel that shows its types; no rights are needed. This program runs itself
//! again for each figure, in turn for each way to the bytes, so that a noisy machine is noisy to all.

use rawbpf::btf::{Btf, Field, KernelTypes};
use std::process::Command;
use std::time::Instant;

const RUNS: usize = 200;
const FIELD: &str = "task_struct.tgid";
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The budget for the first lookup: microseconds, and KiB above the file.
const BUDGET: (u32, u32) = (3000, 1024);

/// The sources of the types. The kernel's folder under a name that is not its own is not mapped, as on kernels
/// before 6.16.
const WAYS: [(&str, &str); 3] = [
    ("as the kernel gives it", "/sys/kernel/btf"),
    ("copied", "/sys/kernel/../kernel/btf"),
    ("`std::fs::read`", ""),
];

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result {
    if let [_, run, folder] = std::env::args().collect::<Vec<_>>().as_slice()
        && run == "--look-up"
    {
        return look_up(folder);
    }
    let mut runs = WAYS.map(|_| Vec::new());
    for _ in 0..RUNS {
        for ((_, folder), runs) in WAYS.iter().zip(&mut runs) {
            runs.push(start(folder)?);
        }
    }
    let file = std::fs::metadata(VMLINUX)?.len() / 1024;
    println!(
        "`{FIELD}` from {file} KiB of types, each run a process, {RUNS} of each in turn, medians"
    );
    println!("(budget: {} µs, {} KiB above the file)", BUDGET.0, BUDGET.1);
    println!();
    println!(
        "| | first, µs | fastest tenth | again, µs | once more from the start, µs | memory, KiB |"
    );
    println!("|---|---|---|---|---|---|");
    for ((way, _), runs) in WAYS.iter().zip(&runs) {
        let [first, again, anew, memory] =
            [0, 1, 2, 3].map(|figure| sorted(runs.iter().map(|run| run[figure])));
        let median = |values: &[f64]| values[values.len() / 2];
        println!(
            "| {way} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            median(&first),
            first[first.len() / 10],
            median(&again),
            median(&anew),
            median(&memory)
        );
    }
    Ok(())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Runs this program for one lookup: what it took the first time, a second time, with everything
/// anew, and by how much the peak of its memory rose the first time.
fn start(folder: &str) -> Result<[f64; 4]> {
    let output = Command::new(std::env::current_exe()?).args(["--look-up", folder]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    figures.try_into().map_err(|_| String::from_utf8_lossy(&output.stderr).into())
}

fn look_up(folder: &str) -> Result {
    let before = peak_kib()?;
    let time = Instant::now();
    let types = Types::open(folder)?;
    let field = types.field()?;
    let first = time.elapsed();
    let memory = peak_kib()? - before;
    let time = Instant::now();
    let same = types.field()?;
    let again = time.elapsed();
    drop(types);
    let time = Instant::now();
    let last = Types::open(folder)?.field()?;
    let anew = time.elapsed();
    if same != field || last != field {
        return Err("it is not always the same field".into());
    }
    let [first, again, anew] = [first, again, anew].map(|time| time.as_secs_f64() * 1e6);
    println!("{first} {again} {anew} {memory}");
    Ok(())
}

enum Types {
    Kernel(KernelTypes),
    Bytes(Btf),
}

impl Types {
    fn open(folder: &str) -> Result<Types> {
        if folder.is_empty() {
            return Ok(Types::Bytes(Btf::new(std::fs::read(VMLINUX)?)?));
        }
        Ok(Types::Kernel(KernelTypes::in_folder(folder)))
    }

    fn field(&self) -> Result<Field> {
        match self {
            Types::Kernel(types) => Ok(types.field(FIELD)?),
            Types::Bytes(types) => Ok(types.field(FIELD)?),
        }
    }
}

fn peak_kib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
