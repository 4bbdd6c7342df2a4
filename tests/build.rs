//! Code made at run time: what the kernel makes of jumps that had to be made to reach.

mod common;

use common::requires::{Thing, needs, needs_tried};
use rawbpf::asm::{BuildOptions, Builder, Far};
use rawbpf::insn::{AluOp, Bits, Condition, Op, Reg, Source};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};

/// More than a jump of 16 bits reaches.
const FAR: usize = 40_000;

static CELL: MapSpec = MapSpec::array("cell", 8, 1);

fn alu(op: AluOp, dst: Reg, src: Source) -> Op {
    Op::Alu { bits: Bits::B64, op, dst, src }
}

fn set(dst: Reg, value: i32) -> Op {
    alu(AluOp::Mov, dst, Source::Imm(value))
}

/// Three rounds over 40,000 instructions. In each a conditional jump that is taken leads over them and back, one that is not goes
/// through them. Returns 3 for the way around, and 10 for each way through.
fn rounds() -> Builder<'static> {
    let bits = Bits::B64;
    let mut builder = Builder::new();
    let (again, around, through, back, out) = (
        builder.label_named("again"),
        builder.label_named("around"),
        builder.label_named("through"),
        builder.label_named("back"),
        builder.label_named("out"),
    );
    builder
        .push(set(Reg::R0, 0))
        .push(set(Reg::R6, 0))
        .load_map(Reg::R7, &CELL)
        .bind(again)
        .push(alu(AluOp::Add, Reg::R6, Source::Imm(1)))
        .jump_if(bits, Condition::Gt, Reg::R6, Source::Imm(3), out)
        // Both are far: the first is invertible, the second is not.
        .jump_if(bits, Condition::Eq, Reg::R6, Source::Imm(1), around)
        .jump_if(bits, Condition::Set, Reg::R6, Source::Imm(1), around)
        .bind(through)
        .push(alu(AluOp::Add, Reg::R0, Source::Imm(10)));
    for _ in 0..FAR {
        builder.push(set(Reg::R8, 0));
    }
    builder
        .jump(back)
        .bind(around)
        .push(alu(AluOp::Add, Reg::R0, Source::Imm(3)))
        .bind(back)
        .jump(again)
        .bind(out)
        .push(Op::Exit);
    builder
}

/// Rounds 1 and 3 go around, round 2 through.
const ROUNDS: u32 = 3 + 10 + 3;

fn run(builder: &Builder<'static>, far: Far) -> u32 {
    let assembly = builder.finish(&BuildOptions::new().far(far)).unwrap();
    let spec = ProgramSpec::new("far", ProgramType::SocketFilter, assembly.code());
    let program = Loader::new().load(&spec).unwrap();
    program.test_run(&[0; 64], 1).unwrap().returned
}

#[test]
fn far_jumps_by_gotol() {
    needs!(Bpf);
    static LONG: ProgramSpec = ProgramSpec::new(
        "gotol",
        ProgramType::SocketFilter,
        bpf! {
            r0 = 0;
            gotol out;
            out: exit;
        },
    );
    let missing = Loader::new().load(&LONG).err();
    needs_tried!(
        "gotol",
        missing.map(|error| format!("Linux 6.6: {}", error.to_string().replace('\n', " ")))
    );
    assert_eq!(run(&rounds(), Far::Long), ROUNDS);
}

#[test]
fn far_jumps_in_steps() {
    needs!(Bpf);
    assert_eq!(run(&rounds(), Far::Chain), ROUNDS);
}

/// Islands do not stand in another function.
#[test]
fn far_jumps_in_several_functions() {
    needs!(Bpf);
    let mut builder = Builder::new();
    let function = builder.label_named("function");
    let body = |builder: &mut Builder<'static>| {
        let end = builder.label_named("end");
        builder.push(set(Reg::R0, 5)).jump_if(
            Bits::B64,
            Condition::Ne,
            Reg::R1,
            Source::Imm(0),
            end,
        );
        for _ in 0..FAR {
            builder.push(set(Reg::R0, 7));
        }
        builder.bind(end);
    };
    body(&mut builder);
    builder
        .push(set(Reg::R1, 0))
        .call(function)
        .push(alu(AluOp::Mov, Reg::R6, Source::Reg(Reg::R0)))
        .push(set(Reg::R1, 1))
        .call(function)
        .push(alu(AluOp::Add, Reg::R0, Source::Reg(Reg::R6)))
        .push(Op::Exit)
        .bind(function);
    body(&mut builder);
    builder.push(Op::Exit);
    assert_eq!(run(&builder, Far::Chain), 7 + 5);
}
