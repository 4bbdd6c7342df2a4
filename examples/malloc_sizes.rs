//! Prints a histogram of the sizes that a process asks of `malloc` of the C library, every second.
//!
//! `cargo run --example malloc_sizes PID [SECONDS]`, as root; runs until Ctrl-C, or for so many seconds.

use rawbpf::attach::{self, Options, Target};
use rawbpf::histogram::Histogram;
use rawbpf::map::Array;
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::time::Duration;

static SIZES: MapSpec = Array::<u64>::spec("sizes", 65);

/// For the kernel the program of a uprobe is a kprobe's; its context is the registers of the process.
#[rustfmt::skip]
static COUNT: ProgramSpec = ProgramSpec::new("count", ProgramType::Kprobe, bpf! {
    r1 = *(u64 *)(r1 + pt_regs.parm1);                  // malloc(size)
    call log2; *(u32 *)(r10 - 4) = r0;                  // the bucket
    r1 = SIZES ll; r2 = r10; r2 += -4;
    call map_lookup_elem;
    if r0 == 0 goto out;
    r1 = 1; lock *(u64 *)(r0 + 0) += r1;
out:
    r0 = 0; exit;
});

pub(crate) fn run(pid: u32, seconds: u64) -> rawbpf::Result<()> {
    let mut loader = Loader::new();
    let program = loader.load(&COUNT)?;
    let target = Target::uprobe("c", "malloc");
    let _link = attach::attach_with(&program, &target, &Options::new().pid(pid))?;
    let sizes = Array::<u64>::of(loader.map(&SIZES)?)?;
    println!("Counting the sizes of process {pid}...");
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        println!("\n{}", Histogram::log2(&sizes.lookup_all()?).label("bytes"));
    }
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pid = std::env::args().nth(1).ok_or("which process? malloc_sizes PID [SECONDS]")?;
    let seconds = std::env::args().nth(2).map_or(Ok(u64::MAX), |seconds| seconds.parse())?;
    Ok(run(pid.parse()?, seconds)?)
}
