//! Loading beside the bare system call:
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --bin load`, as root.
//!
//! * a program of 4,096 instructions, by `rawbpf`, which tells the kernel its functions and source lines; by the same
//!   two system calls with all of it made in advance; and by one with nothing but the slots. What lies between the last two
//!   is shown in parts: the types alone, and the program with types that are loaded already, without and with its lines;
//! * programs that name more and more maps. One program can name 64 at most: so in several programs of
//!   one loader.

use rawbpf::asm::{Assembly, BuildOptions, Builder, ParseOptions, parse};
use rawbpf::insn::{AluOp, Bits, Insn, Op, Reg, Source};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, TextSpec};
use std::fmt::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

const ROUNDS: usize = 101;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let text = program_text();
    let module = parse(&text, "load.s", &ParseOptions::new())?;
    let spec = TextSpec::new(&module, &module.programs()[0], "load.s")?;
    let spec = spec.program(ProgramType::SocketFilter);
    let slots = spec.code.slots;

    let told = Told::new(&spec)?;
    let known = load_types(&told)?;
    let mut rows = [
        ("rawbpf", Vec::new()),
        ("the same system calls, bare", Vec::new()),
        ("one system call without types and lines", Vec::new()),
        ("the types alone", Vec::new()),
        ("one system call with types that are there", Vec::new()),
        ("the same with lines", Vec::new()),
    ];
    for round in 0..=ROUNDS {
        let same = || {
            let types = load_types(&told)?;
            bare_load(slots, Some((&types, &told, true)))
        };
        let taken = [
            time(|| Loader::new().load(&spec).map(drop).map_err(Into::into))?,
            time(|| same().map(drop))?,
            time(|| bare_load(slots, None).map(drop))?,
            time(|| load_types(&told).map(drop))?,
            time(|| bare_load(slots, Some((&known, &told, false))).map(drop))?,
            time(|| bare_load(slots, Some((&known, &told, true))).map(drop))?,
        ];
        for ((_, times), time) in rows.iter_mut().zip(taken).filter(|_| round > 0) {
            times.push(time.as_secs_f64() * 1e6);
        }
    }
    let least = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{} slots, {ROUNDS} rounds in turn, µs", slots.len());
    println!();
    println!("| | median | least | rawbpf beside it, medians | least |");
    println!("|---|---|---|---|---|");
    let (median_ours, least_ours) = (median(&mut rows[0].1), least(&rows[0].1));
    for (row, times) in &mut rows {
        let (median, least) = (median(times), least(times));
        let (a, b) = (median_ours / median, least_ours / least);
        println!("| {row} | {median:.0} | {least:.0} | {a:.2} | {b:.2} |");
    }
    println!();
    println!("| maps | µs a map |");
    println!("|---|---|");
    for count in [25, 50, 100, 200, 400] {
        let mut times = Vec::new();
        for _ in 0..11 {
            times.push(maps(count)?.as_secs_f64() * 1e6 / count as f64);
        }
        println!("| {count} | {:.1} |", median(&mut times));
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn time(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    // The kernel frees what was before in its own time.
    std::thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// 4,096 instructions as people write them: arithmetic, stores and loads on the stack, short branches.
fn program_text() -> String {
    let mut text = String::from("r0 = 0\nr6 = 1\n*(u64 *)(r10 - 8) = r6\n");
    let mut count = 3;
    let mut label = 0;
    while count < 4095 - 7 {
        let _ = write!(
            text,
            "r6 += {label}\nr7 = r6\nr7 <<= 3\n*(u64 *)(r10 - 16) = r7\nr8 = *(u64 *)(r10 - 16)\nr0 ^= r8\nw0 += {}\n",
            label + 3
        );
        count += 7;
        label += 1;
    }
    while count < 4095 {
        text.push_str("r0 += 1\n");
        count += 1;
    }
    text.push_str("exit\n");
    text
}

/// The functions and lines of a program, made in advance.
struct Told {
    blob: Vec<u8>,
    functions: Vec<[u32; 2]>,
    lines: Vec<[u32; 4]>,
}

impl Told {
    fn new(spec: &ProgramSpec<'_, '_>) -> Result<Told> {
        let mut builder = rawbpf::btf::Builder::new();
        let int = builder.int("int", 4, true);
        let prototype = builder.prototype(int, &[]);
        let functions = vec![[0, builder.function("main", prototype)]];
        let file = builder.string("load.s");
        let mut lines = Vec::new();
        for slot in 0..spec.code.slots.len() {
            let text = builder.string(&spec.code.statement(slot).unwrap_or_default());
            lines.push([slot as u32, file, text, (slot as u32 + 1) << 10 | 1]);
        }
        Ok(Told { blob: builder.finish()?, functions, lines })
    }
}

/// `BPF_BTF_LOAD`.
fn load_types(told: &Told) -> Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attr {
        btf: u64,
        log_buf: u64,
        btf_size: u32,
        log_size: u32,
        log_level: u32,
        pad: u32,
    }
    let (btf, btf_size) = (told.blob.as_ptr() as u64, told.blob.len() as u32);
    bpf(18, &Attr { btf, btf_size, ..Default::default() })
}

/// `BPF_PROG_LOAD` with the fewest fields there can be; with types and functions, and lines or not.
fn bare_load(slots: &[Insn], told: Option<(&OwnedFd, &Told, bool)>) -> Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
    }
    let mut attr = Attr {
        prog_type: 1,
        insn_cnt: slots.len() as u32,
        insns: slots.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        ..Default::default()
    };
    if let Some((types, told, lines)) = told {
        attr.prog_btf_fd = types.as_raw_fd() as u32;
        (attr.func_info_rec_size, attr.func_info_cnt) = (8, told.functions.len() as u32);
        attr.func_info = told.functions.as_ptr() as u64;
        if lines {
            (attr.line_info_rec_size, attr.line_info_cnt) = (16, told.lines.len() as u32);
            attr.line_info = told.lines.as_ptr() as u64;
        }
    }
    bpf(5, &attr)
}

fn bpf<A>(command: i32, attr: &A) -> Result<OwnedFd> {
    // SAFETY: the attribute is live and of that size, and what it points to is live.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attr, size_of::<A>()) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the kernel has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Loads programs that name this many maps, 50 each, by one loader.
fn maps(count: usize) -> Result<Duration> {
    let names: Vec<String> = (0..count).map(|number| format!("map{number}")).collect();
    let specs: Vec<MapSpec> = names.iter().map(|name| MapSpec::array(name, 4, 1)).collect();
    let programs: Vec<Assembly> = specs
        .chunks(50)
        .map(|maps| {
            let mut builder = Builder::new();
            for map in maps {
                builder.load_map(Reg::R1, map);
            }
            let src = Source::Imm(0);
            builder.push(Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst: Reg::R0, src });
            builder.push(Op::Exit);
            builder.finish(&BuildOptions::new())
        })
        .collect::<std::result::Result<_, _>>()?;
    time(|| {
        let mut loader = Loader::new();
        for program in &programs {
            loader.load(&ProgramSpec::new("maps", ProgramType::SocketFilter, program.code()))?;
        }
        Ok(())
    })
}
