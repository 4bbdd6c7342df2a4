//! Prints a histogram of the time that a system call takes, every second.
//!
//! `cargo run --example latency SYSCALL [SECONDS]`, as root; runs until Ctrl-C, or for so many seconds.

use rawbpf::attach::{self, Target};
use rawbpf::histogram::Histogram;
use rawbpf::map::{Array, Hash};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::time::Duration;

/// When each thread, by its number, entered the system call.
static STARTS: MapSpec = Hash::<u64, u64>::spec("starts", 10240);
static TIMES: MapSpec = Array::<u64>::spec("times", 65);
#[rustfmt::skip]
static ENTER: ProgramSpec = ProgramSpec::new("enter", ProgramType::Tracepoint, bpf! {
    call get_current_pid_tgid; *(u64 *)(r10 - 8) = r0; call ktime_get_ns; *(u64 *)(r10 - 16) = r0;
    r1 = STARTS ll; r2 = r10; r2 += -8; r3 = r10; r3 += -16; r4 = 0;
    call map_update_elem;
    r0 = 0; exit;
});
#[rustfmt::skip]
static EXIT: ProgramSpec = ProgramSpec::new("exit", ProgramType::Tracepoint, bpf! {
    call get_current_pid_tgid; *(u64 *)(r10 - 8) = r0;
    r1 = STARTS ll; r2 = r10; r2 += -8; call map_lookup_elem;
    if r0 == 0 goto out;                                // it was entered before this was attached
    r6 = *(u64 *)(r0 + 0);
    r1 = STARTS ll; r2 = r10; r2 += -8; call map_delete_elem;
    call ktime_get_ns; r0 -= r6; r0 /= 1000;            // microseconds
    r1 = r0; call log2; *(u32 *)(r10 - 4) = r0;         // the bucket
    r1 = TIMES ll; r2 = r10; r2 += -4; call map_lookup_elem;
    if r0 == 0 goto out;
    r1 = 1; lock *(u64 *)(r0 + 0) += r1;
out:
    r0 = 0; exit;
});

pub(crate) fn run(syscall: &str, seconds: u64) -> rawbpf::Result<()> {
    let mut loader = Loader::new();
    let (enter, exit) = (loader.load(&ENTER)?, loader.load(&EXIT)?);
    let target = |edge: &str| Target::tracepoint("syscalls", format!("sys_{edge}_{syscall}"));
    let _exit = attach::attach(&exit, &target("exit"))?;
    let _enter = attach::attach(&enter, &target("enter"))?;
    let times = Array::<u64>::of(loader.map(&TIMES)?)?;
    println!("Measuring {syscall}...");
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        println!("\n{}", Histogram::log2(&times.lookup_all()?).label("usecs"));
    }
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let syscall = std::env::args().nth(1).ok_or("which system call? latency SYSCALL [SECONDS]")?;
    Ok(run(&syscall, std::env::args().nth(2).map_or(Ok(u64::MAX), |seconds| seconds.parse())?)?)
}
