//! Variables of programs in the kernel: what they hold before a program runs, what it makes of them, and who may write
//! them.

mod common;

use common::requires::{Thing, needs, needs_tried};
use rawbpf::asm::{Collection, ParseOptions, Section, parse};
use rawbpf::map::Update;
use rawbpf::{
    Errno, Error, Loader, Map, MapSpec, Program, ProgramSpec, ProgramType, Result, TextSpec, bpf,
};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

const ZERO: [u8; 4] = [0; 4];

fn value(map: &Map) -> Vec<u8> {
    map.lookup(&ZERO).unwrap().unwrap()
}

/// The return value of a test run.
fn run(program: &Program) -> u32 {
    program.test_run(&[0; 64], 1).unwrap().returned
}

/// The kernel answers `EPERM` to a system call that writes a frozen map (`map_get_sys_perms`).
#[track_caller]
fn is_refused(answer: Result<()>) {
    match answer {
        Err(Error::Call { errno: Errno(libc::EPERM), .. }) => {}
        other => panic!("{other:?}"),
    }
}

const TEXT: &str = "
.rodata
step:   .word 3
.data
count:  .quad 100
name:   .asciz \"hi\"
.bss
        .align 8
before: .zero 8
runs:   .zero 8
.program count
        r1 = step ll
        r0 = *(u32 *)(r1 + 0)
        r2 = count ll
        r3 = *(u64 *)(r2 + 0)
        r3 += r0
        *(u64 *)(r2 + 0) = r3
        r1 = runs ll
        r2 = *(u64 *)(r1 + 0)
        r2 += 1
        *(u64 *)(r1 + 0) = r2
        r1 = name + 1 ll
        r0 = *(u8 *)(r1 + 0)
        exit
.program peek
        r1 = count ll
        r0 = *(u64 *)(r1 + 0)
        exit
";

fn module(text: &str) -> Collection<'_> {
    parse(text, "data.s", &ParseOptions::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn specs<'m>(module: &'m Collection<'m>) -> Vec<TextSpec<'m>> {
    let programs = module.programs().iter();
    programs.map(|program| TextSpec::new(module, program, "data.s").unwrap()).collect()
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn a_text_counts_in_its_data_and_reads_its_constants() {
    needs!(Bpf);
    let module = module(TEXT);
    let specs = specs(&module);
    let mut loader = Loader::new();
    let programs: Vec<_> = specs
        .iter()
        .map(|spec| loader.load(&spec.program(ProgramType::SocketFilter)).unwrap())
        .collect();
    let [count, peek] = &programs[..] else { panic!("not two programs") };
    assert_eq!((run(peek), run(count), run(count)), (100, u32::from(b'i'), u32::from(b'i')));
    assert_eq!(run(peek), 106);

    let code = specs[0].code();
    let data = loader.section(&code, Section::Data).unwrap();
    assert_eq!(value(data), [&106u64.to_ne_bytes()[..], b"hi\0"].concat());
    let bss = loader.section(&code, Section::Bss).unwrap();
    assert_eq!(words(&value(bss)), [0, 2]);
    // Variables are for user space to write, too; constants are not.
    let reset = [5u64, 6].map(u64::to_ne_bytes).concat();
    bss.update(&ZERO, &reset, Update::Any).unwrap();
    run(count);
    let bss = loader.section(&code, Section::Bss).unwrap();
    assert_eq!(words(&value(bss)), [5, 7]);
    let rodata = loader.section(&code, Section::Rodata).unwrap();
    is_refused(rodata.update(&ZERO, &9u32.to_ne_bytes(), Update::Any));
    assert_eq!(value(rodata), 3u32.to_ne_bytes());
}

#[test]
fn values_set_before_the_load_are_seen() {
    needs!(Bpf);
    let mut module = module(TEXT);
    module.variable("step").unwrap().set(&10u32).unwrap();
    module.variable("count").unwrap().set(&1000u64).unwrap();
    module.variable("runs").unwrap().set(&7u64).unwrap();
    module.variable("name").unwrap().set_bytes(b"yo\0").unwrap();
    let specs = specs(&module);
    let mut loader = Loader::new();
    let count = loader.load(&specs[0].program(ProgramType::SocketFilter)).unwrap();
    assert_eq!(run(&count), u32::from(b'o'));
    let code = specs[0].code();
    let data = value(loader.section(&code, Section::Data).unwrap());
    assert_eq!(data, [&1010u64.to_ne_bytes()[..], b"yo\0"].concat());
    assert_eq!(words(&value(loader.section(&code, Section::Bss).unwrap())), [0, 8]);
}

static LIMIT: MapSpec = MapSpec::rodata("limit", &[0, 0, 0, 0, 7, 0, 0, 0]);
static PAIR: MapSpec = MapSpec::data("pair", &[1; 16]);
static RUNS: MapSpec = MapSpec::bss("runs", 4);

static COUNT: ProgramSpec = ProgramSpec::new(
    "count",
    ProgramType::SocketFilter,
    bpf! {
        r1 = RUNS[0] ll;
        r2 = 1;
        lock *(u32 *)(r1 + 0) += r2;
        r1 = PAIR[0] + 8 ll;
        *(u32 *)(r1 + 4) = 0;
        r1 = LIMIT[0] + {size_of::<u32>()} ll;
        r0 = *(u8 *)(r1 + 0);
        exit;
    },
);

#[test]
fn variables_of_a_program_in_rust() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&COUNT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((run(&program), run(&program)), (7, 7));
    assert_eq!(value(loader.map(&RUNS).unwrap()), 2u32.to_ne_bytes());
    let pair = [[1; 12].as_slice(), &[0; 4]].concat();
    assert_eq!(value(loader.map(&PAIR).unwrap()), pair);
    let limit = loader.map(&LIMIT).unwrap();
    is_refused(limit.update(&ZERO, &[0; 8], Update::Any));

    let mut loader = Loader::new();
    loader.set(&LIMIT, [9; 8]).unwrap();
    loader.set(&RUNS, 40u32.to_ne_bytes()).unwrap();
    let program = loader.load(&COUNT).unwrap();
    assert_eq!(run(&program), 9);
    assert_eq!(value(loader.map(&RUNS).unwrap()), 41u32.to_ne_bytes());
}

/// The verifier knows what is in frozen data: what a constant there rules out may even be wrong.
#[test]
fn constants_rule_code_out() {
    needs!(Bpf);
    static DEBUG: MapSpec = MapSpec::rodata("debug", &[0]);
    static LOOK: ProgramSpec = ProgramSpec::new(
        "look",
        ProgramType::SocketFilter,
        bpf! {
            r1 = DEBUG[0] ll;
            r1 = *(u8 *)(r1 + 0);
            r0 = 0;
            if r1 == 0 goto out;
            r0 = *(u64 *)(r0 + 0);
            out: exit;
        },
    );
    Loader::new().load(&LOOK).unwrap_or_else(|error| panic!("{error}"));
    let mut loader = Loader::new();
    loader.set(&DEBUG, [1]).unwrap();
    let error = loader.load(&LOOK).unwrap_err();
    assert!(matches!(error, Error::Verifier(_)), "{error}");
}

#[test]
fn programs_cannot_write_constants() {
    needs!(Bpf);
    for statement in ["r1 = limit ll", "r1 = \"text\" ll"] {
        let text = format!(
            ".rodata\nlimit: .quad 1\n.text\n{statement}\n*(u8 *)(r1 + 0) = 1\nr0 = 0\nexit\n"
        );
        let module = module(&text);
        let specs = specs(&module);
        let error = Loader::new().load(&specs[0].program(ProgramType::SocketFilter)).unwrap_err();
        let error = error.into_verifier().unwrap();
        assert!(error.log().contains("write into map forbidden"), "{error}");
    }
}

/// All kernels with BTF take the types of a section, 5.10 included.
#[test]
fn sections_have_types() {
    needs!(Bpf, Btf);
    let module = module(TEXT);
    let specs = specs(&module);
    let mut loader = Loader::new();
    for section in Section::ALL {
        let map = loader.section(&specs[0].code(), section).unwrap();
        assert_eq!(map.name(), section.name());
        assert_ne!(map.info().unwrap().btf_id, 0, "{}", section.name());
    }
}

fn bpftool() -> Option<String> {
    let there =
        Command::new("bpftool").arg("version").output().is_ok_and(|out| out.status.success());
    (!there).then(|| "bpftool is not installed".into())
}

#[test]
fn others_show_variables_by_name() {
    needs!(Bpf, Btf);
    needs_tried!("bpftool", bpftool());
    let module = module(TEXT);
    let specs = specs(&module);
    let mut loader = Loader::new();
    let map = loader.section(&specs[0].code(), Section::Data).unwrap();
    let fdinfo = format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd());
    let fdinfo = std::fs::read_to_string(fdinfo).unwrap();
    let id = fdinfo.lines().find_map(|line| line.strip_prefix("map_id:")).unwrap().trim();
    let dump = Command::new("bpftool").args(["map", "dump", "id", id]).output().unwrap();
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    let dump: String = dump.split_whitespace().collect();
    assert!(dump.contains("\"count\":100,\"name\":\"hi\""), "{dump}");
}
