//! Prints each process that exits, read from a ring buffer (Linux 5.8) in a task of tokio: process and command name.
//!
//! `cargo run -p tokio-reader [EVENTS]`, as root; runs until Ctrl-C, or for so many events.

use rawbpf::attach::{self, Target};
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, field, plain};
use std::ffi::CStr;
use std::ops::ControlFlow::{Break, Continue};
use std::pin::pin;
use tokio::io::{Interest, unix::AsyncFd};

plain! {
    #[repr(C)]
    struct Event { pid: u64, comm: [u8; 16] }
}
static EVENTS: MapSpec = MapSpec::ring_buffer("events", 256 << 10);
#[rustfmt::skip]
static EXIT: ProgramSpec = ProgramSpec::new("exit", ProgramType::Tracepoint, bpf! {
    r1 = EVENTS ll; r2 = {Event::SIZE}; r3 = 0; call ringbuf_reserve;
    if r0 == 0 goto out;                                // the ring is full
    r6 = r0;
    call get_current_pid_tgid; r0 >>= 32; *(u64 *)(r6 + {field!(Event, pid)}) = r0;
    r1 = r6; r1 += {field!(Event, comm)}; r2 = 16; call get_current_comm;
    r1 = r6; r2 = 0; call ringbuf_submit;
out: r0 = 0; exit;
});

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut events = std::env::args().nth(1).map_or(Ok(u64::MAX), |events| events.parse())?;
    let mut loader = Loader::new();
    let program = loader.load(&EXIT)?;
    let _link = attach::attach(&program, &Target::tracepoint("sched", "sched_process_exit"))?;
    let reader = RingBufReader::open(loader.map(&EVENTS)?)?;
    // A reader has one descriptor, which it owns: what the newer `register` demands, an unsafe function.
    #[allow(deprecated)]
    let mut reader = AsyncFd::with_interest(reader, Interest::READABLE)?;
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    println!("{:<8} COMM", "PID");
    while events > 0 {
        tokio::select! {
            ready = reader.readable() => ready?.clear_ready(),
            interrupted = &mut interrupt => return Ok(interrupted?),
        }
        // Until there is nothing: tokio asks epoll for edges, and what comes while the ring is not empty makes none.
        while reader.get_mut().drain(|record| {
            if let Some(Event { pid, comm }) = Event::from_bytes(record.bytes) {
                let comm = CStr::from_bytes_until_nul(&comm).unwrap_or_default().to_string_lossy();
                println!("{pid:<8} {comm}");
                events -= 1;
            }
            if events > 0 { Continue(()) } else { Break(()) }
        })? > 0
            && events > 0
        {}
    }
    Ok(())
}
