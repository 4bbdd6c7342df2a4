//! Functions that come with the assembler: a program that calls one without defining a label of that name gets it added.

use super::statement::same;
use crate::insn::{AluOp, Bits, Insn, Op, Reg, Source};

/// A function that comes with the assembler. `call NAME` in [`bpf!`](crate::bpf) or a text adds it behind the program, once, unless the
/// program has a label of that name; [`Builder::bind_function`](super::Builder::bind_function) does where code is built. It is a function of
/// the program then, as any other (Linux 4.16).
///
/// ```
/// use rawbpf::{asm::Code, bpf};
///
/// static BUCKET: Code = bpf! {
///     r1 = 1000;
///     call log2;                  // r0 = 10: 512 to 1023
///     exit;
/// };
/// assert_eq!(BUCKET.label(3), Some("log2"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LibraryFunction {
    /// `log2`: the bucket of the number in `r1` in a [histogram by powers of two](crate::histogram::Histogram::log2), in `r0`: 1 for 0 and 1, 2
    /// for 2 and 3, 3 for 4 to 7, and so on to 64, one more than the number's binary logarithm, as `bpf_log2l` of BCC. It has no branches, is 42
    /// instructions long, changes `r1` and `r2`, and the verifier knows that the result is from 1 to 64.
    #[doc(alias("bpf_log2l", "bpf_log2", "log2l"))]
    Log2,
}

impl LibraryFunction {
    /// All functions.
    pub const ALL: &'static [LibraryFunction] = &[LibraryFunction::Log2];

    /// Returns the name by which it is called.
    pub const fn name(self) -> &'static str {
        match self {
            LibraryFunction::Log2 => "log2",
        }
    }

    /// Returns the function of that name.
    pub const fn from_name(name: &str) -> Option<LibraryFunction> {
        match position(name.as_bytes()) {
            Some(index) => Some(LibraryFunction::ALL[index]),
            None => None,
        }
    }

    /// Returns its instructions. They can be at any place.
    pub const fn slots(self) -> &'static [Insn] {
        match self {
            LibraryFunction::Log2 => &LOG2,
        }
    }
}

/// The index in [`LibraryFunction::ALL`] of the function of that name.
pub(super) const fn position(name: &[u8]) -> Option<usize> {
    let mut i = 0;
    while i < LibraryFunction::ALL.len() {
        if same(LibraryFunction::ALL[i].name().as_bytes(), name) {
            return Some(i);
        }
        i += 1;
    }
    None
}

/// The highest bit of r1 is looked for by halves. Of each the upper bits, r2, are 0 or not: below 2^63, a number that is not 0 has its highest
/// bit set when it is negated. So r2 becomes the number of bits to go on by without a branch, of which the verifier would follow
/// both sides.
const LOG2: [Insn; 42] = {
    let mut out = [Op::Exit.encode().first(); 42];
    out[0] = alu(AluOp::Mov, Reg::R0, Source::Imm(1));
    let mut at = 1;
    let mut power = 5;
    while power >= 0 {
        // r2 = 1 << power if r1 >= 1 << (1 << power), else 0
        let steps = [
            alu(AluOp::Mov, Reg::R2, Source::Reg(Reg::R1)),
            alu(AluOp::Rsh, Reg::R2, Source::Imm(1 << power)),
            Op::Neg { bits: Bits::B64, dst: Reg::R2 }.encode().first(),
            alu(AluOp::Rsh, Reg::R2, Source::Imm(63)),
            alu(AluOp::Lsh, Reg::R2, Source::Imm(power)),
            alu(AluOp::Add, Reg::R0, Source::Reg(Reg::R2)),
            alu(AluOp::Rsh, Reg::R1, Source::Reg(Reg::R2)),
        ];
        let mut i = 0;
        while i < steps.len() {
            // The last half is one bit: its step ends with the addition, and shifts nothing.
            if power > 0 || i != 4 && i != 6 {
                out[at] = steps[i];
                at += 1;
            }
            i += 1;
        }
        power -= 1;
    }
    assert!(at == out.len() - 1, "`exit` is the last");
    out
};

const fn alu(op: AluOp, dst: Reg, src: Source) -> Insn {
    Op::Alu { bits: Bits::B64, op, dst, src }.encode().first()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{BuildOptions, Builder, Code, ParseOptions, parse};
    use crate::bpf;

    /// Executes instructions of the few kinds that the functions have.
    fn run(slots: &[Insn], argument: u64) -> u64 {
        let mut registers = [0, argument, 0];
        for slot in slots {
            match Op::decode(std::slice::from_ref(slot)).unwrap() {
                Op::Exit => return registers[0],
                Op::Neg { bits: Bits::B64, dst } => {
                    registers[dst as usize] = registers[dst as usize].wrapping_neg();
                }
                Op::Alu { bits: Bits::B64, op, dst, src } => {
                    let operand = match src {
                        Source::Imm(value) => i64::from(value) as u64,
                        Source::Reg(reg) => registers[reg as usize],
                    };
                    let register = &mut registers[dst as usize];
                    *register = match op {
                        AluOp::Mov => operand,
                        AluOp::Add => register.wrapping_add(operand),
                        AluOp::Rsh => *register >> (operand & 63),
                        AluOp::Lsh => *register << (operand & 63),
                        other => panic!("{other:?}"),
                    };
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("no exit");
    }

    #[test]
    fn log2_is_one_more_than_the_logarithm() {
        let slots = LibraryFunction::Log2.slots();
        assert_eq!(run(slots, 0), 1);
        for bit in 0..64 {
            let power = 1u64 << bit;
            for value in [power, power | power >> 1, power + (power - 1) / 3, power + (power - 1)] {
                assert_eq!(run(slots, value), u64::from(value.ilog2()) + 1, "{value:#x}");
            }
        }
    }

    #[test]
    fn a_program_that_calls_it_gets_it_once_behind_its_end() {
        static TWICE: Code = bpf! {
            call log2;
            r1 = r0;
            call log2;
            exit;
        };
        let log2 = LibraryFunction::Log2.slots();
        assert_eq!(&TWICE.slots[4..], log2);
        assert_eq!((TWICE.slots[0].imm(), TWICE.slots[2].imm()), (3, 1));
        assert_eq!(TWICE.label(4), Some("log2"));

        let text = parse("call log2\nr1 = r0\ncall log2\nexit", "twice.s", &ParseOptions::new());
        let text = text.unwrap();
        assert_eq!(text.programs()[0].slots(), TWICE.slots);
        assert_eq!(text.programs()[0].code().label(4), Some("log2"));

        let mut builder = Builder::new();
        let label = builder.label_named("log2");
        let next =
            Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst: Reg::R1, src: Source::Reg(Reg::R0) };
        builder.call(label).push(next).call(label).push(Op::Exit);
        builder.bind_function(label, LibraryFunction::Log2);
        let built = builder.finish(&BuildOptions::new()).unwrap();
        assert_eq!(built.code().slots, TWICE.slots);
    }

    #[test]
    fn a_label_of_that_name_is_the_programs_own_function() {
        static OWN: Code = bpf! {
            call log2;
            exit;
        log2:
            r0 = 7;
            exit;
        };
        assert_eq!(OWN.slots.len(), 4);
        let text = parse("call log2\nexit\nlog2: r0 = 7\nexit", "own.s", &ParseOptions::new());
        assert_eq!(text.unwrap().programs()[0].slots(), OWN.slots);
    }

    #[test]
    fn only_a_call_adds_it() {
        let jump = parse("goto log2\nexit", "jump.s", &ParseOptions::new()).unwrap_err();
        assert_eq!(jump.iter().next().unwrap().message(), "label `log2` is not defined");
        // One is enough, wherever it stands, as in `bpf!`.
        let both = "if r1 > 4 goto log2\ncall log2\nexit";
        let parsed = parse(both, "both.s", &ParseOptions::new()).unwrap();
        const BOTH: Code<'static> = bpf! {
            if r1 > 4 goto log2;
            call log2;
            exit;
        };
        assert_eq!(parsed.programs()[0].slots(), BOTH.slots);
        let near = parse("call log\nexit", "near.s", &ParseOptions::new()).unwrap_err();
        let near = near.iter().next().unwrap().message().to_owned();
        assert!(near.contains("the nearest: ") && near.contains("log2"), "{near}");
        // No function has the name of a helper, which a call means first.
        for function in LibraryFunction::ALL {
            assert_eq!(LibraryFunction::from_name(function.name()), Some(*function));
            assert_eq!(crate::asm::helper_number(function.name().as_bytes()), None);
        }
    }
}
