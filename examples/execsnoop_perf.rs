//! Prints each program that is executed, read from a perf event array: process, user, command name, file.
//!
//! `cargo run --example execsnoop_perf [EVENTS]`, as root; runs until Ctrl-C, or for so many events.

use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Loader, MapSpec, Plain, ProgramSpec, ProgramType, bpf, plain, stack};
use std::ffi::CStr;
use std::ops::ControlFlow::{Break, Continue};

plain! {
    #[repr(C)]
    struct Event { pid: u32, uid: u32, comm: [u8; 16], file: [u8; 64] }
}
static EVENTS: MapSpec = MapSpec::perf_event_array("events");
#[rustfmt::skip]
static EXEC: ProgramSpec = ProgramSpec::new("exec", ProgramType::Tracepoint, bpf! {
    r6 = r1;                                            // the context, kept over the calls
    call get_current_pid_tgid;                          // the event is put together on the stack
    r0 >>= 32; *(u32 *)(r10 + {stack!(Event, pid)}) = r0;
    call get_current_uid_gid; *(u32 *)(r10 + {stack!(Event, uid)}) = r0;
    r1 = r10; r1 += {stack!(Event, comm)}; r2 = 16; call get_current_comm;
    r3 = *(u32 *)(r6 + args.filename);                  // its low half: the offset of the name in the record
    r3 &= 0xffff; r3 += r6;
    r1 = r10; r1 += {stack!(Event, file)}; r2 = 64; call probe_read_kernel_str;
    r1 = r6; r2 = EVENTS ll; r3 = 0xffffffff ll;        // BPF_F_CURRENT_CPU
    r4 = r10; r4 += {stack!(Event)}; r5 = {Event::SIZE}; call perf_event_output;
    r0 = 0; exit;
});

pub(crate) fn run(mut events: u64) -> rawbpf::Result<()> {
    let mut loader = Loader::new();
    let options = PerfOptions::new().sample_size(Event::SIZE);
    let mut reader = PerfReader::open(loader.map(&EVENTS)?, &options)?;
    let target = Target::tracepoint("sched", "sched_process_exec");
    let _attached = attach::load_and_attach(&mut loader, &EXEC, &target)?;
    println!("{:<8} {:<8} {:<16} FILE", "PID", "UID", "COMM");
    while events > 0 {
        reader.poll(None, |record| {
            if let Some(Event { pid, uid, comm, file }) = record.value() {
                let text = |bytes| CStr::from_bytes_until_nul(bytes).unwrap_or_default();
                let [comm, file] = [text(&comm), text(&file)].map(CStr::to_string_lossy);
                println!("{pid:<8} {uid:<8} {comm:<16} {file}");
                events -= 1;
            } else if let Record::Lost { count, .. } = record {
                eprintln!("{count} events were lost");
            }
            if events > 0 { Continue(()) } else { Break(()) }
        })?;
    }
    Ok(())
}

#[allow(dead_code, reason = "tests start it by `run`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(run(std::env::args().nth(1).map_or(Ok(u64::MAX), |events| events.parse())?)?)
}
