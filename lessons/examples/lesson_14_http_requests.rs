//! Lesson 14, HTTP requests: a static probe of a program, and a string that it passes.
//!
//! After `examples/tracing/nodejs_http_server.py` of BCC. Node.js has lost its static probes (USDT), so this brings a server of its
//! own that has Node's: the request, the connection, the client's address and port, the method, the path, the
//! descriptor. Needs no kprobes. In another window ask the server for something, at the address that is printed:
//! `curl http://127.0.0.1:…/hello`.
//!
//! ```sh
//! cargo run --example lesson_14_http_requests
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::trace_pipe::{TraceFields, TracePipe};
use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
use std::io::Write;

#[path = "lesson/mod.rs"]
mod lesson;
#[path = "lesson/server.rs"]
mod server;

/// So much of a path is read.
const LENGTH: usize = 128;
/// The offset of the path on the stack: at its top.
const PATH: i64 = -(LENGTH as i64);
/// And below it what is printed.
const FORMAT: i64 = PATH - 8;

/// The author of the program has put the probe there, with a note in the file which register each argument is in. It is
/// `args.arg6` here, so rawbpf has to read the note, and the program has to name the file and the probe. For the kernel
/// this is a uprobe like any other.
static DO_TRACE: ProgramSpec = ProgramSpec::new(
    "do_trace",
    ProgramType::Kprobe,
    bpf! {
        r3 = *(u64 *)(r1 + args.arg6);      // char *path, in the server's memory

        // probe_read_user_str(to, size, from): up to the NUL, which is always there then.
        r1 = r10;
        r1 += {PATH};
        r2 = {LENGTH};
        call probe_read_user_str;
        if r0 s< 0 goto out;                // that memory is not there

        *(u8 *)(r10 + {FORMAT}) = "path:%s";    // seven letters and a NUL
        r1 = r10;
        r1 += {FORMAT};                     // the format
        r2 = 8;                             // its size
        r3 = r10;
        r3 += {PATH};                       // what %s stands for
        call trace_printk;

        out:
        r0 = 0;
        exit;
    },
)
.with_target("/proc/self/exe:rawbpf_lesson:http__server__request");

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let address = server::start()?;
    let program = Loader::new().load(&DO_TRACE)?;
    let target = Target::usdt("/proc/self/exe", "rawbpf_lesson", "http__server__request");
    let _link = attach::attach(&program, &target)?;
    let mut pipe = TracePipe::open()?;
    writeln!(out, "Tracing the requests to http://{address}/... Hit Ctrl-C to end.")?;
    writeln!(out, "{:<18} {:<16} {:<6} ARGS", "TIME(s)", "COMM", "PID")?;
    while more() {
        let Some(line) = pipe.next_line(lesson::soon())? else { continue };
        // Others print into the same trace.
        let Some(fields) = TraceFields::parse(line) else { continue };
        writeln!(
            out,
            "{:<18.9} {:<16} {:<6} {}",
            fields.time_ns as f64 / 1e9,
            lesson::text(fields.task),
            fields.pid,
            lesson::text(fields.message),
        )?;
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
