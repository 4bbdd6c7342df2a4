//! Code over virtual registers, compiled: the verifier takes it, and it computes what it should.

mod common;
#[path = "codegen/random_code.rs"]
mod random_code;

use common::requires::{Thing, needs, needs_tried};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use random_code::program;
use rawbpf::codegen::{
    Binary, CodegenProblem, Function, FunctionId, Isa, KernelValue, Operand, Options, Unit, Var,
};
use rawbpf::insn::{Bits, Condition, Size};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, TestRunOptions};
use std::fs;

static SCRATCH: MapSpec = MapSpec::bss("scratch", 8192);

/// Why the kernel is too old; `None` if it is not.
fn before(version: (u32, u32), what: &str) -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    let here = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (here < version).then(|| format!("Linux {}: {what}", release.trim()))
}

/// Random programs, each compiled, loaded and run.
fn random(options: &Options, fetch: bool, cases: u32) {
    let config =
        Config { failure_persistence: None, cases, max_shrink_iters: 300, ..Config::default() };
    let outcome = TestRunner::new(config).run(&program(fetch), |program| {
        let contents = program.cells();
        let cells = MapSpec::data("cells", &contents);
        let compiled = program
            .compile(&cells, &SCRATCH, options)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let loaded = Loader::new()
            .load(&random_code::spec(&compiled))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let run =
            loaded.test_run(&[0; 64], 1).map_err(|error| TestCaseError::fail(error.to_string()))?;
        if run.returned != program.expected() {
            return Err(TestCaseError::fail(format!(
                "{:#x}, expected {:#x}",
                run.returned,
                program.expected()
            )));
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn random_code_of_the_first_instruction_set() {
    needs!(Bpf);
    random(&Options::new().isa(Isa::V1), false, 48);
}

#[test]
fn random_code_of_the_third_instruction_set() {
    needs!(Bpf);
    random(&Options::new().isa(Isa::V3), false, 96);
}

#[test]
fn random_code_with_atomics() {
    needs!(Bpf);
    needs_tried!("fetch", before((5, 12), "no atomic operations with results"));
    random(&Options::new().isa(Isa::V3), true, 64);
}

/// More values than fit on the stack: some are in scratch memory, whose address is in no register either when a value is taken apart
/// once more.
#[test]
fn values_in_scratch_memory_have_its_address_at_hand() {
    needs!(Bpf);
    use random_code::{Source::*, Step::*};
    let binary = |bits, op, dst, a, b| Binary { bits, op, dst, a, b };
    let steps = vec![
        binary(Bits::B64, rawbpf::codegen::Binary::Lsh, 72, Var(106), Var(106)),
        binary(Bits::B32, rawbpf::codegen::Binary::Mod, 129, Var(18), Var(127)),
        Compare { bits: Bits::B64, condition: Condition::Eq, dst: 36, a: Var(210), b: Var(139) },
        binary(Bits::B32, rawbpf::codegen::Binary::Arsh, 91, Imm(128), Var(213)),
        Assign { dst: 127, src: Var(11) },
        binary(Bits::B64, rawbpf::codegen::Binary::Mod, 153, Var(249), Var(57)),
        binary(Bits::B32, rawbpf::codegen::Binary::Xor, 18, Var(11), Imm(22)),
    ];
    for count in 70..100 {
        let values = (0..count).map(|value| value * 0x9e37_79b9).collect();
        let objects = vec![341, 329];
        let program = random_code::Program { values, objects, steps: steps.clone() };
        let contents = program.cells();
        let cells = MapSpec::data("cells", &contents);
        let compiled = program.compile(&cells, &SCRATCH, &Options::new().isa(Isa::V1)).unwrap();
        let loaded = Loader::new().load(&random_code::spec(&compiled));
        let loaded = loaded.unwrap_or_else(|error| panic!("{count} values: {error}"));
        assert_eq!(loaded.test_run(&[0; 64], 1).unwrap().returned, program.expected());
    }
}

/// With every variable in memory, so that all of it is loaded and stored.
#[test]
fn random_code_without_registers() {
    needs!(Bpf);
    random(&Options::new().in_memory(true), false, 64);
}

#[test]
fn random_code_of_the_fourth_instruction_set() {
    needs!(Bpf);
    needs_tried!("isa_v4", before((6, 6), "no fourth version of the instruction set"));
    random(&Options::new().isa(Isa::V4), true, 64);
}

/// Compiles a program with its functions, loads it, runs it once and gives what it returns.
fn run(unit: Unit<'_>, main: Function<'_>, isa: Isa) -> u32 {
    let compiled = unit.compile(main, &Options::new().isa(isa)).unwrap();
    let spec = ProgramSpec::new("compiled", ProgramType::SocketFilter, compiled.code());
    let program = Loader::new().load(&spec).unwrap_or_else(|error| panic!("{error}"));
    program.test_run(&[0; 64], 1).unwrap().returned
}

/// The versions of the instruction set that the kernel has.
fn versions() -> &'static [Isa] {
    if before((6, 6), "").is_some() {
        &[Isa::V1, Isa::V2, Isa::V3]
    } else {
        &[Isa::V1, Isa::V2, Isa::V3, Isa::V4]
    }
}

const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    31,
    32,
    63,
    64,
    100,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x0123_4567_89ab_cdef,
    i64::MAX as u64,
    i64::MIN as u64,
    i64::MIN as u64 + 1,
    u64::MAX - 1,
    u64::MAX,
];

/// The results for pairs of numbers, as a table for a program: the operands and the result.
fn table(result: impl Fn(u64, u64) -> u64) -> Vec<u8> {
    let pairs = EDGES.iter().flat_map(|a| EDGES.iter().map(move |b| (*a, *b)));
    pairs.flat_map(|(a, b)| [a, b, result(a, b)]).flat_map(|number| number.to_ne_bytes()).collect()
}

/// Returns 0 if the code computes the result in each row of a table, else the number of the first that differs, from 1.
fn check_table(
    contents: &[u8],
    isa: Isa,
    compute: impl Fn(&mut Function<'_>, Var, Var) -> Var,
) -> u32 {
    let cells = MapSpec::data("cells", contents);
    let rows = (contents.len() / 24) as u32;
    let mut f = Function::new("main", 1);
    let start = f.map_value(&cells, 0);
    f.repeat(rows, rows, |f, row, _| {
        let offset = f.mul(row, 24);
        let place = f.add(start, offset);
        let (a, b) = (f.load(Size::Double, place.at(0)), f.load(Size::Double, place.at(8)));
        let result = compute(f, a, b);
        let expected = f.load(Size::Double, place.at(16));
        f.if_then(Condition::Ne, result, expected, |f| {
            let number = f.add(row, 1);
            f.ret(number);
        });
    });
    f.ret(0);
    run(Unit::new(), f, isa)
}

#[test]
fn operations_compute_what_the_standard_says() {
    needs!(Bpf);
    for isa in versions() {
        for bits in [Bits::B64, Bits::B32] {
            for op in random_code::BINARIES {
                let contents = table(|a, b| random_code::binary(bits, *op, a, b));
                let row = check_table(&contents, *isa, |f, a, b| match bits {
                    Bits::B64 => f.binary(*op, a, b),
                    Bits::B32 => f.binary32(*op, a, b),
                });
                assert_eq!(row, 0, "{isa} {bits:?} {op:?}");
            }
        }
    }
}

#[test]
fn operations_with_constants_compute_the_same() {
    needs!(Bpf);
    for isa in versions() {
        for bits in [Bits::B64, Bits::B32] {
            for op in random_code::BINARIES {
                for constant in EDGES {
                    let right = |a, _| random_code::binary(bits, *op, a, *constant);
                    let left = |a, _| random_code::binary(bits, *op, *constant, a);
                    let sum = table(|a, b| right(a, b).wrapping_add(left(a, b)));
                    // The second operand makes no difference: a row for each of the first.
                    let rows: Vec<u8> =
                        sum.chunks(24 * EDGES.len()).flat_map(|of| &of[..24]).copied().collect();
                    let row = check_table(&rows, *isa, |f, a, _| {
                        let (right, left) = match bits {
                            Bits::B64 => (f.binary(*op, a, *constant), f.binary(*op, *constant, a)),
                            Bits::B32 => {
                                (f.binary32(*op, a, *constant), f.binary32(*op, *constant, a))
                            }
                        };
                        f.add(right, left)
                    });
                    assert_eq!(row, 0, "{isa} {bits:?} {op:?} {constant:#x}");
                }
            }
        }
    }
}

#[test]
fn comparisons_give_one_or_zero() {
    needs!(Bpf);
    for isa in versions() {
        for bits in [Bits::B64, Bits::B32] {
            for condition in random_code::CONDITIONS {
                let compare = |f: &mut Function<'_>, a: Operand, b: Operand| match bits {
                    Bits::B64 => f.compare(*condition, a, b),
                    Bits::B32 => f.compare32(*condition, a, b),
                };
                let holds = |a, b| u64::from(random_code::holds(bits, *condition, a, b));
                let row =
                    check_table(&table(holds), *isa, |f, a, b| compare(f, a.into(), b.into()));
                assert_eq!(row, 0, "{isa} {bits:?} {condition:?}");
                for constant in EDGES {
                    let contents = table(|a, _| 2 * holds(a, *constant) + holds(*constant, a));
                    let row = check_table(&contents, *isa, |f, a, _| {
                        let right = compare(f, a.into(), (*constant).into());
                        let left = compare(f, (*constant).into(), a.into());
                        let twice = f.mul(right, 2);
                        f.add(twice, left)
                    });
                    assert_eq!(row, 0, "{isa} {bits:?} {condition:?} {constant:#x}");
                }
            }
        }
    }
}

/// An index that was compared, and then had to leave its register, is still known to be in bounds.
#[test]
fn bounds_outlive_registers() {
    needs!(Bpf);
    static CELLS: MapSpec = MapSpec::bss("cells", 64 * 8);
    let mut f = Function::new("main", 1);
    let cells = f.map_value(&CELLS, 0);
    let seed = f.load(Size::Double, cells.at(0));
    let index = f.var();
    f.assign(index, seed);
    // Enough variables that live as long for the index to have no register.
    let others: Vec<_> = (1..20).map(|at| f.load(Size::Double, cells.at(8 * at))).collect();
    f.call_helper(5, &[]); // ktime_get_ns
    f.if_then(Condition::Ge, index, 64, |f| f.ret(1));
    f.call_helper(5, &[]);
    let sum = f.var();
    f.assign(sum, 0);
    for other in others.iter().chain(&others) {
        let new = f.add(sum, *other);
        f.assign(sum, new);
        f.call_helper(5, &[]);
    }
    let offset = f.mul(index, 8);
    let place = f.add(cells, offset);
    f.store(Size::Double, place.at(0), sum);
    f.ret(2);
    assert_eq!(run(Unit::new(), f, Isa::V3), 2);
}

/// A pointer that was found not to be null, likewise.
#[test]
fn pointers_outlive_registers() {
    needs!(Bpf);
    static TABLE: MapSpec = MapSpec::array("table", 8, 8);
    let mut f = Function::new("main", 1);
    let values: Vec<_> = (0..12)
        .map(|number| {
            let key = f.object(4, 4);
            f.store(Size::Word, key, number % 8);
            let (map, key) = (f.map(&TABLE), f.address(key));
            let value = f.call_helper(1, &[map.into(), key.into()]); // map_lookup_elem
            f.if_then(Condition::Eq, value, 0, |f| f.ret(1));
            value
        })
        .collect();
    for value in values.iter().rev() {
        let old = f.load(Size::Double, value.at(0));
        let new = f.add(old, 3);
        f.store(Size::Double, value.at(0), new);
    }
    let first = f.load(Size::Double, values[0].at(0));
    f.ret(first);
    assert_eq!(run(Unit::new(), f, Isa::V3), 6);
}

/// Zeros and ones that are tested only later do not make the verifier follow each combination.
#[test]
fn forty_comparisons_are_not_two_to_the_forty_paths() {
    needs!(Bpf);
    static CELLS: MapSpec = MapSpec::bss("cells", 64 * 8);
    let mut f = Function::new("main", 1);
    let cells = f.map_value(&CELLS, 0);
    let results: Vec<_> = (0..40)
        .map(|at| {
            let value = f.load(Size::Double, cells.at(8 * at));
            f.compare(Condition::SignedLt, value, at + 1)
        })
        .collect();
    let count = f.var();
    f.assign(count, 0);
    for result in results {
        let sum = f.add(count, result);
        f.assign(count, sum);
        f.call_helper(5, &[]);
    }
    f.ret(count);
    assert_eq!(run(Unit::new(), f, Isa::V3), 40);
}

/// Frames of functions that call each other fit on the stack together, because some of their objects move.
#[test]
fn the_frames_of_a_chain_of_calls_share_the_stack() {
    needs!(Bpf);
    fn filled(name: &str, scratch: Option<u32>, callee: Option<FunctionId>) -> Function<'static> {
        let mut f = Function::new(name, 1);
        let context = f.context();
        if let Some(offset) = scratch {
            let base = f.map_value(&SCRATCH, offset);
            f.scratch(base, 1024);
        }
        let (small, large) = (f.object(40, 8), f.object(300, 8));
        for (object, size) in [(small, 40), (large, 300)] {
            f.zero(object, size, 8);
            let place = f.address(object);
            // skb_load_bytes fills what it is pointed to
            f.call_helper(26, &[context.into(), 0.into(), place.into(), 16.into()]);
        }
        let below = callee.map(|callee| f.call(callee, &[context.into()]));
        let (a, b) = (f.load(Size::Byte, small.at(2)), f.load(Size::Byte, large.at(3)));
        let sum = f.add(a, b);
        let sum = match below {
            Some(below) => f.add(sum, below),
            None => sum,
        };
        f.ret(sum);
        f
    }
    let mut unit = Unit::new();
    let third = unit.add(filled("third", Some(0), None));
    let second = unit.add(filled("second", Some(1024), Some(third)));
    let main = filled("main", None, Some(second));
    let compiled = unit.compile(main, &Options::new()).unwrap();
    let frames = compiled.frames();
    assert_eq!(frames.len(), 3);
    let sum: u32 = frames.iter().map(|(_, bytes)| bytes.next_multiple_of(32)).sum();
    assert!(sum <= 512, "{frames:?}");
    let spec = ProgramSpec::new("chain", ProgramType::SocketFilter, compiled.code());
    let program = Loader::new().load(&spec).unwrap_or_else(|error| panic!("{error}"));
    let mut packet = [0; 64];
    (packet[14 + 2], packet[14 + 3]) = (5, 7);
    assert_eq!(program.test_run(&packet, 1).unwrap().returned, 3 * 12);

    // Without any there is no room, and the error names the size that it takes.
    let mut unit = Unit::new();
    let second = unit.add(filled("second", None, None));
    let main = filled("main", None, Some(second));
    let error = unit.compile(main, &Options::new()).unwrap_err();
    assert!(matches!(error.problem(), CodegenProblem::ScratchNeeded { bytes: 304 }), "{error}");
}

#[test]
fn constant_bytes_are_read() {
    needs!(Bpf);
    let mut unit = Unit::new();
    let (hi, again) = (unit.rodata(b"hi\0", 1), unit.rodata(b"hi\0", 1));
    let number = unit.rodata(&0x1234_5678u32.to_ne_bytes(), 4);
    assert_eq!((hi, hi.size()), (again, 3));
    let mut f = Function::new("main", 1);
    let (text, place) = (f.rodata(hi), f.rodata(number));
    let letter = f.load(Size::Byte, text.at(1));
    let number = f.load(Size::Word, place.at(0));
    let sum = f.add(letter, number);
    f.ret(sum);
    assert_eq!(run(unit, f, Isa::V3), 0x1234_5678 + u32::from(b'i'));
}

/// A function whose address is an argument, with its own frame and a pointer into that of its caller.
#[test]
fn bpf_loop_calls_a_function() {
    needs!(Bpf, Jit);
    needs_tried!("bpf_loop", before((5, 17), "no bpf_loop"));
    let mut body = Function::new("body", 2);
    let (round, context) = (body.parameter(0).unwrap(), body.parameter(1).unwrap());
    let kept = body.object(16, 8);
    body.store(Size::Double, kept.at(8), round);
    body.call_helper(5, &[]);
    let (sum, round) =
        (body.load(Size::Double, context.at(0)), body.load(Size::Double, kept.at(8)));
    let new = body.add(sum, round);
    body.store(Size::Double, context.at(0), new);
    body.ret(0);

    let mut unit = Unit::new();
    let body = unit.add(body);
    let mut f = Function::new("main", 1);
    let sum = f.object(8, 8);
    f.store(Size::Double, sum, 0);
    let (function, context) = (f.function_address(body), f.address(sum));
    let rounds = f.call_helper(181, &[100.into(), function.into(), context.into(), 0.into()]);
    let sum = f.load(Size::Double, sum.at(0));
    let result = f.add(sum, rounds);
    f.ret(result);
    assert_eq!(run(unit, f, Isa::V3), 4950 + 100);
}

/// Objects of loops and of branches lie in the same place, and those that are alive together do not.
#[test]
fn objects_share_memory_only_when_they_can() {
    needs!(Bpf);
    let mut f = Function::new("main", 1);
    let context = f.context();
    let sum = f.var();
    f.assign(sum, 0);
    let whole = f.object(100, 4);
    f.zero(whole, 100, 4);
    for at in 0..6 {
        let part = f.object(200, 4);
        f.zero(part, 200, 4);
        let place = f.address(part);
        f.repeat(3, 3, |f, round, _| {
            let inner = f.object(16, 4);
            f.zero(inner, 16, 4);
            let to = f.address(inner);
            f.call_helper(26, &[context.into(), at.into(), to.into(), 4.into()]); // skb_load_bytes
            let (byte, old) = (f.load(Size::Byte, inner.at(0)), f.load(Size::Byte, place.at(0)));
            let both = f.add(byte, old);
            f.store(Size::Byte, place.at(0), both);
            f.store(Size::Byte, whole.at(at), both);
            let new = f.add(sum, round);
            f.assign(sum, new);
        });
    }
    for at in 0..6 {
        let byte = f.load(Size::Byte, whole.at(at));
        let new = f.add(sum, byte);
        f.assign(sum, new);
    }
    f.ret(sum);
    let compiled = Unit::new().compile(f, &Options::new()).unwrap();
    assert!(matches!(compiled.frames(), [(_, 320..=384)]), "{:?}", compiled.frames());
    let spec = ProgramSpec::new("share", ProgramType::SocketFilter, compiled.code());
    let program = Loader::new().load(&spec).unwrap_or_else(|error| panic!("{error}"));
    let packet: Vec<u8> = (0..64).map(|at| if at < 14 { 0 } else { at - 13 }).collect();
    // Three times 1 to 6, and three times 0 + 1 + 2 for each of six.
    assert_eq!(program.test_run(&packet, 1).unwrap().returned, 3 * 21 + 3 * 6);
}

/// Kernel names: a field by its name, and functions of the kernel.
#[test]
fn kernel_names_are_filled_in() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("kfunc", before((6, 2), "no bpf_rcu_read_lock"));
    let mut f = Function::new("main", 1);
    let exists = f.kernel_value("task_struct.tgid", KernelValue::Exists);
    f.if_then(Condition::Eq, exists, 0, |f| f.ret(1));
    f.call_kfunc("bpf_rcu_read_lock", &[]);
    f.call_kfunc("bpf_rcu_read_unlock", &[]);
    let size = f.kernel_value("task_struct.tgid", KernelValue::Size);
    f.ret(size);
    let compiled = Unit::new().compile(f, &Options::new()).unwrap().with_source("text", "names", 1);
    let spec = ProgramSpec::new("names", ProgramType::SchedCls, compiled.code());
    let program = Loader::new().load(&spec).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(program.test_run(&[0; 64], 1).unwrap().returned, 4);

    let mut f = Function::new("main", 1);
    let task = f.call_helper(158, &[]); // get_current_task_btf
    let id = f.load_field(Size::Word, task, "task_struct.tgid");
    let both = f.call_helper(14, &[]); // get_current_pid_tgid
    let high = f.binary(Binary::Rsh, both, 32);
    let same = f.compare(Condition::Eq, id, high);
    f.ret(same);
    let compiled = Unit::new().compile(f, &Options::new()).unwrap();
    let spec = ProgramSpec::new("fields", ProgramType::RawTracepoint, compiled.code());
    let program = Loader::new().load(&spec).unwrap_or_else(|error| panic!("{error}"));
    let run = program.test_run_with(&TestRunOptions::new().context(&[0; 16])).unwrap();
    assert_eq!(run.returned, 1);
}

/// A refusal of the verifier is shown at the source of the statement.
#[test]
fn the_verifier_speaks_of_the_source() {
    needs!(Bpf);
    let text = "x = 5\ny = *x\nexit\n";
    let mut f = Function::new("main", 1);
    f.at(0..5);
    let pointer = f.imm(5);
    f.at(6..12);
    let value = f.load(Size::Double, pointer.at(0));
    f.at(13..17);
    f.ret(value);
    let compiled = Unit::new().compile(f, &Options::new()).unwrap().with_source(text, "script", 1);
    let spec = ProgramSpec::new("refused", ProgramType::SocketFilter, compiled.code());
    let error = Loader::new().load(&spec).unwrap_err().to_string();
    assert!(error.contains("script:2") && error.contains("y = *x"), "{error}");
}
