//! The assembler and the disassembler, a slot: `cargo bench --bench asm`. Each stage at 10^3 to 10^6 slots, so
//! that the figures show whether it is linear. Beside its peers: `benches/peers`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rawbpf::asm::{ParseOptions, PrintOptions, disassemble, parse};
use rawbpf::insn::{ByteOrder, Insn, Op};
use std::hint::black_box;
use std::time::Duration;

/// A program of this many slots: every instruction that LLVM knows, repeated.
fn program(slots: usize) -> Vec<Insn> {
    let table = include_str!("../tests/vectors/isa.tsv");
    let instructions: Vec<Vec<Insn>> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').nth(1))
        .map(|hex| {
            let bytes: Vec<u8> =
                hex.split(' ').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
            let slot = |bytes: &[u8]| {
                Insn::from_bytes(bytes.try_into().unwrap_or_default(), ByteOrder::Little)
            };
            bytes.chunks_exact(8).map(slot).collect()
        })
        .collect();
    let mut program: Vec<Insn> = Vec::with_capacity(slots + 1);
    for instruction in instructions.iter().cycle() {
        if program.len() + instruction.len() > slots {
            break;
        }
        program.extend(instruction);
    }
    program
}

fn ops(program: &[Insn]) -> Vec<Op> {
    let mut rest = program;
    let mut ops = Vec::with_capacity(program.len());
    while let Ok(op) = Op::decode(rest) {
        rest = &rest[op.slots()..];
        ops.push(op);
    }
    assert!(rest.is_empty());
    ops
}

fn stages(criterion: &mut Criterion) {
    let options = ParseOptions::new();
    for slots in [1_000, 10_000, 100_000, 1_000_000] {
        let program = program(slots);
        let (ops, slots) = (ops(&program), program.len());
        let print = || disassemble(black_box(&program), &PrintOptions::default()).ok();
        let text = print().unwrap_or_default();
        // It is worth nothing if it is wrong.
        let again = parse(&text, "bench", &options).ok();
        assert_eq!(again.as_ref().map(|module| module.programs()[0].slots()), Some(&program[..]));

        let mut group = criterion.benchmark_group("asm");
        group.throughput(Throughput::Elements(slots as u64));
        group.sample_size(10).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        group.bench_function(BenchmarkId::new("text in", slots), |bencher| {
            bencher.iter(|| parse(black_box(&text), "bench", &options).map(drop).is_ok())
        });
        group.bench_function(BenchmarkId::new("text out", slots), |bencher| bencher.iter(print));
        group.bench_function(BenchmarkId::new("decode", slots), |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&program[..]);
                while let Ok(op) = Op::decode(rest) {
                    rest = &rest[black_box(op).slots()..];
                }
            })
        });
        group.bench_function(BenchmarkId::new("encode", slots), |bencher| {
            bencher.iter(|| {
                let mut out = Vec::with_capacity(slots);
                for op in black_box(&ops) {
                    out.extend_from_slice(op.encode().as_slice());
                }
                out
            })
        });
        group.bench_function(BenchmarkId::new("lines split", slots), |bencher| {
            bencher.iter(|| {
                black_box(&text).lines().for_each(|line| {
                    black_box(line);
                })
            })
        });
        group.finish();
    }
}

criterion_group!(asm, stages);
criterion_main!(asm);
