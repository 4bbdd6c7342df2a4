//! Lesson 13, strlen count: a function of a library, and the strings that it is given.
//!
//! After `examples/tracing/strlen_count.py` of BCC. Needs no kprobes: what it needs is uprobes. It counts the calls of `strlen` in
//! every process that uses the system's C library; at the end it prints each string and how often it was measured. In
//! another window type `ls`.
//!
//! ```sh
//! cargo run --example lesson_13_strlen_count
//! ```

use rawbpf::attach::{self, Target};
use rawbpf::map::{Array, Hash};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Write;
use std::time::Duration;

#[path = "lesson/mod.rs"]
mod lesson;

/// The number of bytes of a string that distinguish it from others.
const LENGTH: usize = 80;

/// The strings, and how often each was seen.
static COUNTS: MapSpec = Hash::<[u8; LENGTH], u64>::spec("counts", 65536);
/// The number of calls that found no room in the map for their string: a variable, which is a map of one element.
static FULL: MapSpec = MapSpec::bss("full", 8);

/// The offset of the string on the stack: at its top.
const KEY: i64 = -(LENGTH as i64);
/// And below it the first count of a new one.
const ZERO: i64 = KEY - 8;

/// `strlen(const char *s)`, in whatever process calls it. For the kernel a uprobe's program is one of kprobe's kind: the
/// context is the registers, those of the process this time.
static COUNT: ProgramSpec = ProgramSpec::new(
    "count",
    ProgramType::Kprobe,
    bpf! {
        r3 = *(u64 *)(r1 + pt_regs.parm1);
        if r3 == 0 goto out;

        // The key is 80 bytes, however long the string is, and the hash table compares all of them: so they are zero
        // before the string comes.
        *(u64 *)(r10 - 80) = 0;
        *(u64 *)(r10 - 72) = 0;
        *(u64 *)(r10 - 64) = 0;
        *(u64 *)(r10 - 56) = 0;
        *(u64 *)(r10 - 48) = 0;
        *(u64 *)(r10 - 40) = 0;
        *(u64 *)(r10 - 32) = 0;
        *(u64 *)(r10 - 24) = 0;
        *(u64 *)(r10 - 16) = 0;
        *(u64 *)(r10 - 8) = 0;

        // probe_read_user_str(to, size, from): from the memory of the process, up to the NUL. What comes after it is left
        // alone, else one string would have as many keys as there is memory behind it.
        r1 = r10;
        r1 += {KEY};
        r2 = {LENGTH};
        call probe_read_user_str;
        if r0 s< 0 goto out;                    // that memory is not there

        r1 = COUNTS ll;
        r2 = r10;
        r2 += {KEY};
        call map_lookup_elem;
        if r0 != 0 goto count;

        // Not seen before: put a 0 there. If another CPU has been faster, BPF_NOEXIST leaves what is there.
        *(u64 *)(r10 + {ZERO}) = 0;
        r1 = COUNTS ll;
        r2 = r10;
        r2 += {KEY};
        r3 = r10;
        r3 += {ZERO};
        r4 = 1;                                 // BPF_NOEXIST
        call map_update_elem;
        r1 = COUNTS ll;
        r2 = r10;
        r2 += {KEY};
        call map_lookup_elem;
        if r0 != 0 goto count;
        // The map is full. The address of the variable, in place of that of a count.
        r0 = FULL[0] ll;

        // No other CPU comes between this load, addition and store.
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
    let program = loader.load(&COUNT)?;
    // The library as the linker finds it. There is not one strlen in it but several, for different CPUs, of which a process
    // chooses one when it starts; rawbpf looks which one the processes have that run now.
    let link = attach::attach(&program, &Target::uprobe("c", "strlen"))?;
    writeln!(out, "Tracing strlen()... Hit Ctrl-C to end.")?;
    while more() {
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(link);
    writeln!(out, "{:>10} STRING", "COUNT")?;
    let counts = Hash::<[u8; LENGTH], u64>::of(loader.map(&COUNTS)?)?;
    let mut counts = counts.iter().collect::<rawbpf::Result<Vec<_>>>()?;
    counts.sort_by_key(|(_, count)| *count);
    for (string, count) in counts {
        writeln!(out, "{count:>10} {:?}", lesson::text(&string))?;
    }
    let full = Array::<u64>::of(loader.map(&FULL)?)?.lookup(0)?;
    if full > 0 {
        writeln!(out, "{full:>10} calls with other strings, for which there was no room")?;
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::start(run)
}
