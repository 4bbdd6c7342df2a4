//! Lesson 15, task switch: how often the CPU went from one thread to another.
//!
//! After `examples/tracing/task_switch.py` and `task_switch.c` of BCC. Needs kprobes. At the end it prints how often each pair
//! of threads followed upon another; thread 0 is an idle CPU.
//!
//! ```sh
//! cargo run --example lesson_15_task_switch
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::map::Hash;
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf, plain, stack};
use std::io::Write;
use std::time::Duration;

#[path = "lesson/mod.rs"]
mod lesson;

plain! {
    /// Two threads, the second after the first.
    #[repr(C)]
    struct Key {
        prev_pid: u32,
        curr_pid: u32,
    }
}

/// The number of switches for each pair of threads.
static STATS: MapSpec = Hash::<Key, u64>::spec("stats", 16384);

/// The kernel calls `finish_task_switch(struct task_struct *prev)` when it has just switched to another thread: the current
/// one is the new one already, and the argument the old one.
static COUNT_SCHED: ProgramSpec = ProgramSpec::new(
    "count_sched",
    ProgramType::Kprobe,
    bpf! {
        // The context of a kprobe is the registers of the interrupted function, and its first argument is in one of
        // them: `di` on x86-64.
        r3 = *(u64 *)(r1 + pt_regs.parm1);
        // It is a pointer whose type the verifier does not know, so it cannot be followed by a load.
        // probe_read_kernel(to, size, from) reads memory that may be invalid.
        r3 += task_struct.pid;
        r2 = 4;
        r1 = r10;
        r1 += {stack!(Key, prev_pid)};
        call probe_read_kernel;

        // The low half of the result is the thread, the high half the process.
        call get_current_pid_tgid;
        *(u32 *)(r10 + {stack!(Key, curr_pid)}) = r0;

        // Has this pair been seen before?
        r1 = STATS ll;
        r2 = r10;
        r2 += {stack!(Key)};
        call map_lookup_elem;
        if r0 != 0 goto count;

        // No: put a 0 there. If another CPU has been faster, BPF_NOEXIST leaves what is there.
        *(u64 *)(r10 - 16) = 0;
        r1 = STATS ll;
        r2 = r10;
        r2 += {stack!(Key)};
        r3 = r10;
        r3 += -16;
        r4 = 1;                                 // BPF_NOEXIST
        call map_update_elem;
        r1 = STATS ll;
        r2 = r10;
        r2 += {stack!(Key)};
        call map_lookup_elem;
        if r0 == 0 goto out;                    // the map is full

        // Several CPUs may count the same pair at once: one instruction that no other CPU comes between.
        count:
        r1 = 1;
        lock *(u64 *)(r0 + 0) += r1;

        out:
        r0 = 0;
        exit;
    },
);

/// The lesson.
pub fn run(out: &mut dyn Write, more: &mut dyn FnMut() -> bool) -> lesson::Outcome {
    let mut loader = Loader::new();
    // Compilers like to specialise this function, and then call it `finish_task_switch.isra.0`.
    let target = Target::kprobe("finish_task_switch*");
    let (_program, link) = attach::load_and_attach(&mut loader, &COUNT_SCHED, &target)?;
    writeln!(out, "Tracing task switches... Hit Ctrl-C to end.")?;
    while more() {
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(link);
    for entry in Hash::<Key, u64>::of(loader.map(&STATS)?)?.iter() {
        let (key, count) = entry?;
        writeln!(out, "task_switch[{:>5}->{:>5}]={count}", key.prev_pid, key.curr_pid)?;
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
