//! Counts the packets and bytes that a network device receives, by XDP, and prints both every second.
//!
//! `cargo run --example xdp_count DEVICE [SECONDS]`, as root; runs until Ctrl-C, or for so many seconds.

use rawbpf::attach::{self, Target};
use rawbpf::map::PercpuArray;
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::time::Duration;

/// One element, packets and bytes, for each CPU: no two of them write to the same memory.
static TOTALS: MapSpec = PercpuArray::<[u64; 2]>::spec("totals", 1);

#[rustfmt::skip]
static COUNT: ProgramSpec = ProgramSpec::new("count", ProgramType::Xdp, bpf! {
    r6 = *(u32 *)(r1 + xdp_md.data_end);                // pointers, though the fields have 32 bits
    r1 = *(u32 *)(r1 + xdp_md.data);
    r6 -= r1;                                           // the length of the packet
    *(u32 *)(r10 - 4) = 0;                              // the index
    r1 = TOTALS ll; r2 = r10; r2 += -4;
    call map_lookup_elem;
    if r0 == 0 goto pass;
    r1 = *(u64 *)(r0 + 0); r1 += 1; *(u64 *)(r0 + 0) = r1;
    r1 = *(u64 *)(r0 + 8); r1 += r6; *(u64 *)(r0 + 8) = r1;
pass:
    r0 = xdp_action.XDP_PASS;                           // the packet goes on its way
    exit;
});

pub(crate) fn run(device: &str, seconds: u64) -> rawbpf::Result<()> {
    let mut loader = Loader::new();
    let program = loader.load(&COUNT)?;
    let _link = attach::attach(&program, &format!("xdp:{device}").parse::<Target>()?)?;
    let totals = PercpuArray::<[u64; 2]>::of(loader.map(&TOTALS)?)?;
    println!("{:>12} {:>12}", "PACKETS", "BYTES");
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let cpus = totals.lookup(0)?;
        let [packets, bytes] = [0, 1].map(|field| cpus.iter().map(|cpu| cpu[field]).sum::<u64>());
        println!("{packets:>12} {bytes:>12}");
    }
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = std::env::args().nth(1).ok_or("which device? xdp_count DEVICE [SECONDS]")?;
    Ok(run(&device, std::env::args().nth(2).map_or(Ok(u64::MAX), |seconds| seconds.parse())?)?)
}
