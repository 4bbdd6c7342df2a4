//! Assembling and disassembling beside others, on one program that all of them take:
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`
//!
//! * rbpf's assembler and disassembler, in this process, in its own dialect;
//! * `llvm-mc` and `llvm-objdump`, where they are installed, as processes: what an empty input takes is
//!   subtracted, and what they print is thrown away;
//! * splitting the text into lines, which is the least that any reader does.
//!
//! All of them run in turn, and what is taken is the time that the processor spent on them (of this process, or of the
//! processes that it started), so that others on the machine do not count; figures are medians, a slot. A second table
//! has rawbpf alone at 10^3 to 10^6 slots, on that text and on one of all instructions.

use rawbpf::asm::{ParseOptions, PrintOptions, disassemble, parse};
use rawbpf::insn::{AluOp, ByteOrder, Condition, Insn, Op, class};
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SLOTS: usize = 100_000;
const ROUNDS: usize = 15;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let slots = program(SLOTS)?;
    let bytes: Vec<u8> = slots.iter().flat_map(|slot| slot.to_bytes(ByteOrder::Little)).collect();
    let text = disassemble(&slots, &PrintOptions::default())?;
    let rbpf_text = rbpf_text(&bytes);
    // All are checked before they are measured.
    let options = ParseOptions::new();
    if parse(&text, "peers", &options)?.programs()[0].slots() != slots
        || rbpf::assembler::assemble(&rbpf_text)? != bytes
    {
        return Err("the text is not the program's".into());
    }
    let files = Files::new(&text)?;
    files.same(&bytes)?;

    let mut rows = vec![
        Row::new("text in", "rawbpf", || {
            time(|| parse(black_box(&text), "peers", &options).map(drop).is_ok())
        }),
        Row::new("text in", "lines split", || {
            time(|| {
                black_box(&text).lines().for_each(|line| {
                    black_box(line);
                })
            })
        }),
        Row::new("text in", "rbpf", || {
            time(|| rbpf::assembler::assemble(black_box(&rbpf_text)).is_ok())
        }),
    ];
    if files.mc {
        rows.push(Row::new("text in", "llvm-mc", || {
            Some(files.assemble()? - files.assemble_nothing()?)
        }));
    }
    rows.push(Row::new("text out", "rawbpf", || {
        time(|| disassemble(black_box(&slots), &PrintOptions::default()).is_ok())
    }));
    rows.push(Row::new("text out", "rbpf", || {
        time(|| rbpf::disassembler::to_insn_vec(black_box(&bytes)).len())
    }));
    if files.objdump {
        rows.push(Row::new("text out", "llvm-objdump", || {
            Some(files.disassemble()? - files.disassemble_nothing()?)
        }));
    }
    // The first round warms the caches.
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let time = (row.run)().ok_or_else(|| format!("{} failed", row.who))?;
            if round > 0 {
                row.times.push(time);
            }
        }
    }

    println!("{} slots, {ROUNDS} rounds in turn, medians", slots.len());
    println!();
    println!("| | | ns a slot | beside rawbpf |");
    println!("|---|---|---|---|");
    let mut ours = 0.0;
    for row in &mut rows {
        row.times.sort();
        let nanoseconds = row.times[ROUNDS / 2].as_secs_f64() * 1e9 / slots.len() as f64;
        if row.who == "rawbpf" {
            ours = nanoseconds;
        }
        println!("| {} | {} | {nanoseconds:.1} | {:.2} |", row.what, row.who, nanoseconds / ours);
    }
    sizes()
}

/// rawbpf alone, at more and more slots.
fn sizes() -> Result<()> {
    println!();
    println!("rawbpf, ns a slot, medians of {ROUNDS} rounds");
    println!();
    println!("| text | slots | text in | text out |");
    println!("|---|---|---|---|");
    let options = ParseOptions::new();
    for (name, program) in
        [("of the table above", program as Program), ("of all instructions", everything)]
    {
        for size in [1_000, 10_000, 100_000, 1_000_000] {
            let slots = program(size)?;
            let text = disassemble(&slots, &PrintOptions::default())?;
            if parse(&text, "sizes", &options)?.programs()[0].slots() != slots {
                return Err("the text is not the program's".into());
            }
            let median = |work: &dyn Fn() -> bool| -> Result<f64> {
                let mut times = Vec::new();
                for _ in 0..ROUNDS {
                    times.push(time(work).ok_or("it failed")?);
                }
                times.sort();
                Ok(times[ROUNDS / 2].as_secs_f64() * 1e9 / slots.len() as f64)
            };
            let text_in = median(&|| parse(black_box(&text), "sizes", &options).map(drop).is_ok())?;
            let text_out =
                median(&|| disassemble(black_box(&slots), &PrintOptions::default()).is_ok())?;
            println!("| {name} | {} | {text_in:.1} | {text_out:.1} |", slots.len());
        }
    }
    Ok(())
}

type Program = fn(usize) -> Result<Vec<Insn>>;

/// Every instruction that LLVM knows, round and round: two lines in five are a label or a jump to one.
fn everything(size: usize) -> Result<Vec<Insn>> {
    let known = vectors()?;
    let mut program = Vec::with_capacity(size);
    for (_, slots) in known.iter().cycle() {
        if program.len() + slots.len() > size {
            return Ok(program);
        }
        program.extend(slots);
    }
    Ok(program)
}

/// The lines of the table of vectors: text and slots.
fn vectors() -> Result<Vec<(&'static str, Vec<Insn>)>> {
    let table = include_str!("../../../tests/vectors/isa.tsv");
    let mut vectors = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [text, hex, ..] = fields[..] else { continue };
        let bytes: Vec<u8> = hex
            .split(' ')
            .map(|byte| u8::from_str_radix(byte, 16))
            .collect::<std::result::Result<_, _>>()?;
        let mut slots = Vec::new();
        for slot in bytes.chunks_exact(8) {
            slots.push(Insn::from_bytes(slot.try_into()?, ByteOrder::Little));
        }
        vectors.push((text, slots));
    }
    Ok(vectors)
}

struct Row<'a> {
    what: &'static str,
    who: &'static str,
    run: Box<dyn Fn() -> Option<Duration> + 'a>,
    times: Vec<Duration>,
}

impl<'a> Row<'a> {
    fn new(
        what: &'static str,
        who: &'static str,
        run: impl Fn() -> Option<Duration> + 'a,
    ) -> Row<'a> {
        Row { what, who, run: Box::new(run), times: Vec::new() }
    }
}

fn time<T>(work: impl FnOnce() -> T) -> Option<Duration> {
    let start = processor_time()?;
    black_box(work());
    Some(processor_time()? - start)
}

/// The time that processors have spent on this process, `clock_gettime(2)`.
fn processor_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is live, and what the call fills.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    (answer == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// The same for the processes that it has started and waited for, `getrusage(2)`.
fn time_of_children() -> Duration {
    // SAFETY: all fields are integers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is live, and what the call fills. It cannot fail for this who.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// The lines of the table of vectors that rbpf and old versions of LLVM know too, round and round: arithmetic,
/// loads and stores, jumps.
fn program(size: usize) -> Result<Vec<Insn>> {
    let mut known = Vec::new();
    for (text, slots) in vectors()? {
        let taken = match Op::decode(&slots)? {
            // LLVM 14 cannot assemble these.
            Op::Alu { op: AluOp::Mod, .. } => false,
            Op::JumpIf { condition: Condition::Set, .. } => false,
            Op::Alu { .. } | Op::Neg { .. } | Op::Load { .. } | Op::Store { .. } => true,
            Op::Jump { .. } | Op::JumpIf { .. } => true,
            Op::Swap { .. } => text.contains("= be") || text.contains("= le"),
            _ => false,
        };
        if taken && !known.contains(&slots) {
            known.push(slots);
        }
    }
    // One in seven is a jump, as in programs that people write.
    let (jumps, others): (Vec<Insn>, Vec<Insn>) = known
        .iter()
        .flatten()
        .partition(|slot| matches!(slot.opcode() & 7, class::JMP | class::JMP32));
    let (mut jumps, mut others) = (jumps.iter().cycle(), others.iter().cycle());
    let mut program = Vec::new();
    while program.len() < size {
        program.extend(others.by_ref().take(6));
        program.extend(jumps.next());
    }
    // No jump leads out of the program: they are of three slots either way, and none is nearer to the start.
    program.extend([Op::Exit.encode().first(); 4]);
    Ok(program)
}

/// The same in the dialect of rbpf, by its own disassembler, which is not always what its assembler
/// reads.
fn rbpf_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for insn in rbpf::disassembler::to_insn_vec(bytes) {
        text.push_str(&insn.desc);
        text.push('\n');
    }
    text
}

/// The input and the output of the programs of LLVM.
struct Files {
    mc: bool,
    objdump: bool,
    source: PathBuf,
    object: PathBuf,
    nothing: PathBuf,
    no_object: PathBuf,
}

impl Files {
    fn new(text: &str) -> Result<Files> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/files");
        std::fs::create_dir_all(&folder)?;
        let file = |name: &str| folder.join(name);
        let mut files = Files {
            mc: installed("llvm-mc"),
            objdump: installed("llvm-objdump"),
            source: file("program.s"),
            object: file("program.o"),
            nothing: file("nothing.s"),
            no_object: file("nothing.o"),
        };
        std::fs::File::create(&files.source)?.write_all(text.as_bytes())?;
        std::fs::write(&files.nothing, "")?;
        files.mc = files.mc && files.assemble().is_some() && files.assemble_nothing().is_some();
        files.objdump = files.objdump && files.mc && files.disassemble().is_some();
        Ok(files)
    }

    /// That LLVM's object holds the program.
    fn same(&self, bytes: &[u8]) -> Result<()> {
        if !self.mc {
            return Ok(());
        }
        let object = std::fs::read(&self.object)?;
        // The section begins behind the header of 64 bytes.
        let section = object.get(64..64 + bytes.len()).ok_or("LLVM's object is too short")?;
        if section == bytes { Ok(()) } else { Err("LLVM makes another program of the text".into()) }
    }

    fn assemble(&self) -> Option<Duration> {
        self.mc(&self.source, &self.object)
    }

    fn assemble_nothing(&self) -> Option<Duration> {
        self.mc(&self.nothing, &self.no_object)
    }

    fn mc(&self, from: &Path, to: &Path) -> Option<Duration> {
        let mut command = Command::new("llvm-mc");
        command.args(["-triple=bpfel", "-mcpu=v3", "-filetype=obj", "-o"]).arg(to).arg(from);
        process(&mut command)
    }

    fn disassemble(&self) -> Option<Duration> {
        process(
            Command::new("llvm-objdump")
                .args(["-d", "--mcpu=v3", "--no-show-raw-insn"])
                .arg(&self.object),
        )
    }

    fn disassemble_nothing(&self) -> Option<Duration> {
        process(Command::new("llvm-objdump").arg("-d").arg(&self.no_object))
    }
}

fn installed(program: &str) -> bool {
    process(Command::new(program).arg("--version")).is_some()
}

/// The processor time of a process, if it ends successfully.
fn process(command: &mut Command) -> Option<Duration> {
    let start = time_of_children();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then(|| time_of_children() - start)
}
