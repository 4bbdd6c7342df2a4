//! Counts the system calls of each command name, and prints a table every second, the most frequent first.
//!
//! `cargo run --example syscount [TABLES]`, as root; runs until Ctrl-C, or for so many tables.

use rawbpf::attach::{self, Target};
use rawbpf::map::Hash;
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::cmp::Reverse;
use std::ffi::CStr;
use std::time::Duration;

static COUNTS: MapSpec = Hash::<[u8; 16], u64>::spec("counts", 10240);

#[rustfmt::skip]
static COUNT: ProgramSpec = ProgramSpec::new("count", ProgramType::Tracepoint, bpf! {
    *(u64 *)(r10 - 16) = 0; *(u64 *)(r10 - 8) = 0;      // Linux 6.1 leaves what is behind the zero of a name
    r1 = r10; r1 += -16; r2 = 16;
    call get_current_comm;                              // the key
    r1 = COUNTS ll; r2 = r10; r2 += -16;
    call map_lookup_elem;
    if r0 != 0 goto add;
    *(u64 *)(r10 - 24) = 0;                             // the first value
    r1 = COUNTS ll; r2 = r10; r2 += -16; r3 = r10; r3 += -24;
    r4 = 1;                                             // BPF_NOEXIST: another CPU may have been faster
    call map_update_elem;
    r1 = COUNTS ll; r2 = r10; r2 += -16;
    call map_lookup_elem;
    if r0 == 0 goto out;                                // the map is full
add:
    r1 = 1; lock *(u64 *)(r0 + 0) += r1;
out:
    r0 = 0; exit;
});

pub(crate) fn run(tables: u64) -> rawbpf::Result<()> {
    let mut loader = Loader::new();
    let program = loader.load(&COUNT)?;
    let _link = attach::attach(&program, &Target::tracepoint("raw_syscalls", "sys_enter"))?;
    let counts = Hash::<[u8; 16], u64>::of(loader.map(&COUNTS)?)?;
    println!("Counting system calls...");
    for _ in 0..tables {
        std::thread::sleep(Duration::from_secs(1));
        let mut rows = counts.lookup_and_delete_batch()?;
        rows.sort_by_key(|(_, count)| Reverse(*count));
        println!("\n{:<16} COUNT", "COMM");
        for (comm, count) in rows {
            let comm = CStr::from_bytes_until_nul(&comm).unwrap_or_default().to_string_lossy();
            println!("{comm:<16} {count}");
        }
    }
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(run(std::env::args().nth(1).map_or(Ok(u64::MAX), |tables| tables.parse())?)?)
}
