//! Prints each program that is executed, read from a ring buffer (Linux 5.8): process, user, command name, file.
//!
//! `cargo run --example execsnoop_ringbuf [EVENTS]`, as root; runs until Ctrl-C, or for so many events.

use rawbpf::attach::{self, Target};
use rawbpf::map::Array;
use rawbpf::ringbuf::RingBufReader;
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, field, plain};
use std::ffi::CStr;
use std::ops::ControlFlow::{Break, Continue};

plain! {
    #[repr(C)]
    struct Event { pid: u32, uid: u32, comm: [u8; 16], file: [u8; 64] }
}
static EVENTS: MapSpec = MapSpec::ring_buffer("events", 256 << 10);
static LOST: MapSpec = MapSpec::bss("lost", 8);
#[rustfmt::skip]
static EXEC: ProgramSpec = ProgramSpec::new("exec", ProgramType::Tracepoint, bpf! {
    r6 = r1;                                            // the context, kept over the calls
    r1 = EVENTS ll; r2 = {Event::SIZE}; r3 = 0; call ringbuf_reserve;
    if r0 == 0 goto full;
    r7 = r0;                                            // the event is put together in the ring
    call get_current_pid_tgid; r0 >>= 32; *(u32 *)(r7 + {field!(Event, pid)}) = r0;
    call get_current_uid_gid; *(u32 *)(r7 + {field!(Event, uid)}) = r0;
    r1 = r7; r1 += {field!(Event, comm)}; r2 = 16; call get_current_comm;
    r3 = *(u32 *)(r6 + args.filename);                  // its low half: the offset of the name in the record
    r3 &= 0xffff; r3 += r6;
    r1 = r7; r1 += {field!(Event, file)}; r2 = 64; call probe_read_kernel_str;
    r1 = r7; r2 = 0; call ringbuf_submit; goto out;
full:
    r1 = LOST[0] ll; r2 = 1; lock *(u64 *)(r1 + 0) += r2;
out: r0 = 0; exit;
});
pub(crate) fn run(mut events: u64) -> rawbpf::Result<()> {
    let mut loader = Loader::new();
    let target = Target::tracepoint("sched", "sched_process_exec");
    let _attached = attach::load_and_attach(&mut loader, &EXEC, &target)?;
    let mut reader = RingBufReader::open(loader.map(&EVENTS)?)?;
    println!("{:<8} {:<8} {:<16} FILE", "PID", "UID", "COMM");
    while events > 0 {
        reader.poll(None, |record| {
            if let Some(Event { pid, uid, comm, file }) = Event::from_bytes(record.bytes) {
                let text = |bytes| CStr::from_bytes_until_nul(bytes).unwrap_or_default();
                let [comm, file] = [text(&comm), text(&file)].map(CStr::to_string_lossy);
                println!("{pid:<8} {uid:<8} {comm:<16} {file}");
                events -= 1;
            }
            if events > 0 { Continue(()) } else { Break(()) }
        })?;
    }
    eprintln!("{} events were lost", Array::<u64>::of(loader.map(&LOST)?)?.lookup(0)?);
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(run(std::env::args().nth(1).map_or(Ok(u64::MAX), |events| events.parse())?)?)
}
