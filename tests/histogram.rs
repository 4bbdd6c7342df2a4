//! `call log2`, the function of the assembler that finds the bucket of a value, run by the kernel.

mod common;

use common::requires::{Thing, needs};
use rawbpf::asm::{BuildOptions, Builder, LibraryFunction, ParseOptions, parse};
use rawbpf::insn::{AluOp, Bits, Condition, Op, Reg, Size, Source};
use rawbpf::map::Array;
use rawbpf::{Loader, MapSpec, Plain, Program, ProgramSpec, ProgramType, bpf};

/// r0 = the bucket of the first eight bytes of a packet's payload, in the byte order of the machine.
static BUCKET: ProgramSpec = ProgramSpec::new(
    "bucket",
    ProgramType::Xdp,
    bpf! {
        r2 = *(u32 *)(r1 + 0);
        r3 = *(u32 *)(r1 + 4);
        r0 = 0;
        r4 = r2;
        r4 += 22;
        if r4 > r3 goto out;
        r1 = *(u64 *)(r2 + 14);
        call log2;
    out:
        exit;
    },
);

const TEXT: &str = "
.program bucket, xdp/lo
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r0 = 0
        r4 = r2
        r4 += 22
        if r4 > r3 goto out
        r1 = *(u64 *)(r2 + 14)
        call log2
out:    exit
";

fn packet(value: u64) -> [u8; 64] {
    let mut packet = [0; 64];
    packet[14..22].copy_from_slice(&value.to_ne_bytes());
    packet
}

/// Every power of two, and the values beside and between them.
fn values() -> impl Iterator<Item = u64> {
    let powers = (0..64).flat_map(|bit| {
        let (first, last) = (1u64 << bit, u64::MAX >> (63 - bit));
        [first, last, first + (last - first) / 3]
    });
    [0].into_iter().chain(powers)
}

fn assert_finds_buckets(program: &Program) {
    for value in values() {
        let bucket = value.checked_ilog2().map_or(1, |logarithm| logarithm + 1);
        assert_eq!(program.test_run(&packet(value), 1).unwrap().returned, bucket, "{value:#x}");
    }
}

#[test]
fn a_program_finds_the_bucket_of_every_value() {
    needs!(Bpf);
    assert_finds_buckets(&Loader::new().load(&BUCKET).unwrap());
}

#[test]
fn a_text_finds_the_bucket_of_every_value() {
    needs!(Bpf);
    let collection = parse(TEXT, "bucket.s", &ParseOptions::new()).unwrap();
    let programs = Loader::new().load_collection(&collection).unwrap();
    assert_finds_buckets(&programs[0]);
}

#[test]
fn built_code_finds_the_bucket_of_every_value() {
    needs!(Bpf);
    let load = |size, dst, base, offset| Op::Load { size, dst, base, offset };
    let alu = |op, dst, src| Op::Alu { bits: Bits::B64, op, dst, src };
    let mut builder = Builder::new();
    let (out, log2) = (builder.label(), builder.label_named("log2"));
    builder
        .push(load(Size::Word, Reg::R2, Reg::R1, 0))
        .push(load(Size::Word, Reg::R3, Reg::R1, 4))
        .push(alu(AluOp::Mov, Reg::R0, Source::Imm(0)))
        .push(alu(AluOp::Mov, Reg::R4, Source::Reg(Reg::R2)))
        .push(alu(AluOp::Add, Reg::R4, Source::Imm(22)))
        .jump_if(Bits::B64, Condition::Gt, Reg::R4, Source::Reg(Reg::R3), out)
        .push(load(Size::Double, Reg::R1, Reg::R2, 14))
        .call(log2)
        .bind(out)
        .push(Op::Exit)
        .bind_function(log2, LibraryFunction::Log2);
    let assembly = builder.finish(&BuildOptions::new()).unwrap();
    let spec = ProgramSpec::new("bucket", ProgramType::Xdp, assembly.code());
    assert_finds_buckets(&Loader::new().load(&spec).unwrap());
}

/// The verifier knows that the bucket is from 1 to 64: no check is needed before it is an index of 65 counters.
#[test]
fn the_verifier_knows_the_range_of_the_bucket() {
    needs!(Bpf);
    static COUNTS: MapSpec = Array::<[u64; 65]>::spec("counts", 1);
    static COUNT: ProgramSpec = ProgramSpec::new(
        "count",
        ProgramType::Xdp,
        bpf! {
            r2 = *(u32 *)(r1 + 0);
            r3 = *(u32 *)(r1 + 4);
            r4 = r2;
            r4 += 22;
            if r4 > r3 goto out;
            r1 = *(u64 *)(r2 + 14);
            call log2;
            r0 <<= 3;
            r1 = COUNTS[0] ll;
            r1 += r0;
            r2 = 1;
            lock *(u64 *)(r1 + 0) += r2;
        out:
            r0 = 0;
            exit;
        },
    );
    let mut loader = Loader::new();
    let program = loader.load(&COUNT).unwrap();
    let mut expected = [0u64; 65];
    for value in values() {
        program.test_run(&packet(value), 1).unwrap();
        expected[value.max(1).ilog2() as usize + 1] += 1;
    }
    let counts: Array<[u64; 65]> = loader.view(&COUNTS).unwrap();
    assert_eq!(counts.lookup(0).unwrap(), expected);
    assert_eq!(<[u64; 65]>::SIZE, 520);
}
